package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"roomd/playlists"
)

func TestPlaylistNew(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	env := []string{"ROOMD_DATA=" + data}
	root := filepath.Join(data, "playlists")
	for _, dir := range []string{"01 Arrival 10m", "02 Journey"} {
		music(t, filepath.Join(root, "evening", dir), map[string]tone{"one.wav": {300, 90, -20}})
	}
	for _, args := range [][]string{{"playlist"}, {"playlist", "old", "evening"}, {"playlist", "new"}, {"schema", "light"}, {"schema"}} {
		if code, _, bad := roomd(t, env, args...); code != exitUsage || !strings.Contains(bad, "write: roomd") {
			t.Errorf("%v: %d %s", args, code, bad)
		}
	}
	for _, from := range []string{"gone", "/etc", "../playlists/../.."} {
		if code, _, bad := roomd(t, env, "playlist", "new", from); code != exitError || !strings.Contains(bad, "is not") {
			t.Errorf("%s: %d %s", from, code, bad)
		}
	}
	file := filepath.Join(root, "evening.yaml")
	code, out, bad := roomd(t, env, "playlist", "new", filepath.Join(root, "evening")+"/")
	if code != exitOK || strings.TrimSpace(out) != file {
		t.Fatalf("%d %s %s", code, out, bad)
	}
	if code, _, bad := roomd(t, env, "playlist", "new", "evening"); code != exitError || !strings.Contains(bad, "is there already") {
		t.Errorf("%d %s", code, bad)
	}
	// It can be named as a shell completes it, by its ID, and by its name below the folder.
	for _, name := range []string{file, "evening", "evening.yaml"} {
		code, out, _ := roomd(t, env, "check", name)
		if code != exitOK || !strings.Contains(out, "evening: evening, 2 phases, 11m30s") || strings.Contains(out, "starter") {
			t.Errorf("check %s: %d %s", name, code, out)
		}
	}
	if code, out, _ := roomd(t, env, "check", "evenning"); code != exitError || !strings.Contains(out, "did you mean evening?") {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ := roomd(t, env, "check", "--json", "evening"); code != exitOK {
		t.Error(code, out)
	} else {
		var got []playlists.Problem
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Error(err, out)
		}
	}
	for _, of := range []string{"playlist", "room"} {
		if code, out, _ := roomd(t, env, "schema", of); code != exitOK || !json.Valid([]byte(out)) {
			t.Error(of, code)
		}
	}
}
