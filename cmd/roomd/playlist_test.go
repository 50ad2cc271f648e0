package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/playlists"
	"roomd/rig"
	"roomd/room"
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
		if code, _, bad := roomd(t, env, args...); code != exitUsage || !strings.Contains(bad, "Usage: roomd ") {
			t.Errorf("%v: %d %s", args, code, bad)
		}
	}
	for _, from := range []string{"gone", "/proc/self/fd", root} {
		if code, _, bad := roomd(t, env, "playlist", "new", from); code != exitError || bad == "" {
			t.Errorf("%s: %d %s", from, code, bad)
		}
	}
	file := filepath.Join(root, "evening.yaml")
	code, out, bad := roomd(t, env, "playlist", "new", filepath.Join(root, "evening")+"/")
	if code != exitOK || strings.TrimSpace(out) != file {
		t.Fatalf("%d %s %s", code, out, bad)
	}
	if code, _, bad := roomd(t, env, "playlist", "new", "evening"); code != exitError || !strings.Contains(bad, "already exists") {
		t.Errorf("%d %s", code, bad)
	}
	// It can be named as a shell completes it, by its ID, and by its name below the folder.
	for _, name := range []string{file, "evening", "evening.yaml"} {
		code, out, _ := roomd(t, env, "check", name)
		if code != exitOK || !strings.Contains(out, "evening: evening, 2 phases, 11m30s") || strings.Contains(out, "starter") {
			t.Errorf("check %s: %d %s", name, code, out)
		}
	}
	if code, out, _ := roomd(t, env, "check", "evenning"); code != exitError || !strings.Contains(out, "did you mean \"evening\"?") {
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

// TestCheckHears holds what check says of music that it has heard through: a steep rise, a voice, a file that was moved.
func TestCheckHears(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := t.TempDir()
	root := filepath.Join(data, "playlists")
	env := []string{"ROOMD_DATA=" + data}
	music(t, root, map[string]tone{"calm.flac": {300, 60, -20}, "other.flac": {310, 60, -20}})
	for name, arg := range map[string][]string{
		"jump.flac":  {"-f", "lavfi", "-i", "aevalsrc='(if(between(t,40,41),0.6,0.03))*sin(2*PI*400*t)':s=44100:d=80"},
		"voice.flac": {"-i", filepath.Join(root, "other.flac"), "-metadata", "genre=Guided meditation"},
	} {
		if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error"}, arg...), filepath.Join(root, name))...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("evening.yaml", `name: Evening
phases:
  - {name: Arrival, stage: preparation, length: 2m, music: [voice.flac, list.m3u8]}
  - {name: Journey, stage: administration, length: 3m, music: [voice.flac, jump.flac, calm.flac]}
`)
	write("list.m3u8", "calm.flac\n")
	code, out, bad := roomd(t, env, "check", "evening")
	if code != exitOK {
		t.Fatal(code, out, bad)
	}
	for _, want := range []string{
		`evening.yaml:4:64: warning: "voice.flac" has vocals`,
		`evening.yaml:4:76: warning: "jump.flac" gets loud suddenly at `,
	} {
		if strings.Count(out, want) != 1 {
			t.Errorf("not said once: %s\n%s", want, out)
		}
	}
	if strings.Contains(out, "evening.yaml:3") || strings.Contains(out, `"calm.flac"`) {
		t.Errorf("something is wrong that is right:\n%s", out)
	}
	// Moved and renamed; another file of its length lies nearby.
	if err := os.MkdirAll(filepath.Join(root, "music", "Slow"), 0o755); err != nil {
		t.Fatal(err)
	}
	decoy, err := os.ReadFile(filepath.Join(root, "calm.flac"))
	if err != nil {
		t.Fatal(err)
	}
	decoy[len(decoy)/2] ^= 1
	write("music/a.flac", string(decoy))
	if err := os.Rename(filepath.Join(root, "calm.flac"), filepath.Join(root, "music", "Slow", "01 Calm.flac")); err != nil {
		t.Fatal(err)
	}
	code, out, bad = roomd(t, env, "check", "evening")
	for _, want := range []string{
		`evening.yaml:4:87: warning: "calm.flac" is not there; roomd plays music/Slow/01 Calm.flac, which has the same content (write music/Slow/01 Calm.flac)`,
		`list.m3u8:1:1: warning: "calm.flac" is not there; roomd plays music/Slow/01 Calm.flac, which has the same content (export the list anew)`,
	} {
		if code != exitOK || strings.Count(out, want) != 1 {
			t.Errorf("%d, not said once: %s\n%s%s", code, want, out, bad)
		}
	}
}

// TestChangedPlaylistIsOffered holds that a file that is changed in a session changes nothing of it, is offered, is taken
// over from the next phase on when that is asked for, and that a kill forgets nothing of this.
func TestChangedPlaylistIsOffered(t *testing.T) {
	t.Parallel()
	const text = "name: %s\nkeep: lengths\nphases:\n  - {name: One, stage: preparation, length: 5m}\n  - {name: Two, stage: integration, length: %s}\n"
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n", "playlists/x.yaml": fmt.Sprintf(text, "X", "5m"), "playlists/y.yaml": fmt.Sprintf(text, "Y", "5m")})
	d.start()
	d.ready("x")
	d.do(room.Command{Do: room.Start, Playlist: "x"})
	if d.snapshot().Session.Revised {
		t.Error("offered, and nothing has changed")
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(d.dir, "playlists", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("y.yaml", fmt.Sprintf(text, "Y", "8m"))
	write("x.yaml", "name: X\nphases: [")
	time.Sleep(time.Second)
	if d.snapshot().Session.Revised {
		t.Error("a broken file is offered, or another playlist's")
	}
	write("x.yaml", fmt.Sprintf(text, "Newer", "20m"))
	rig.Eventually(t, "the change is offered", func() bool { return d.snapshot().Session.Revised })
	if s := d.snapshot().Session; s.Name != "X" || s.EndsAtMS != 10*60*1000 {
		t.Errorf("it was applied by itself: %s ends at %d", s.Name, s.EndsAtMS)
	}
	holds := func(when string) {
		t.Helper()
		if s := d.snapshot().Session; s.Name != "Newer" || s.EndsAtMS != 25*60*1000 || s.Revised || len(s.Phases) != 2 {
			t.Errorf("%s: %s ends at %d, offered %v", when, s.Name, s.EndsAtMS, s.Revised)
		}
	}
	// What a command brings along is not looked at.
	d.do(room.Command{Do: room.Revise, Plan: &playlists.Playlist{Phases: []playlists.Phase{{Name: "One", Length: time.Hour}}}})
	holds("taken over")
	d.Kill()
	d.start()
	holds("after a kill")
}
