package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomd/playlists"
)

// tryFiles tries every answer of the playlists' files.
func tryFiles(t *testing.T, h *house, try func(method, path, body string, want int, head ...string), steers, watches []string) {
	const p = "/api/v1/playlists/p/file"
	put := func(revision, what string) string { return fmt.Sprintf(`{"revision":%q,%s}`, revision, what) }
	now := playlists.Revision([]byte(aPlaylist))
	for _, method := range []string{"GET", "POST", "PUT"} {
		try(method, p, put(now, `"text":""`), 401, "Content-Type", asJSON)
		try(method, p, put(now, `"text":""`), 403, append(watches, "Content-Type", asJSON)...)
		try(method, "/api/v1/playlists/none/file", put(now, `"text":""`), 404, steers...)
	}
	try("GET", p, "", 200, steers...)
	try("GET", "/api/v1/playlists/starter%2Fquiet/file", "", 409, steers...)
	try("POST", p, "", 409, steers...)
	try("POST", "/api/v1/playlists/starter%2Fquiet/file", "", 201, steers...)
	try("PUT", p, "{", 400, steers...)
	try("PUT", p, put("old", `"text":"name: X"`), 409, steers...)
	try("PUT", p, put(now, `"text":"`+strings.Repeat("#", maxFileBody)+`"`), 413, steers...)
	try("PUT", p, put(now, `"text":""`), 415, h.bearer()...)
	for _, bad := range []string{
		`"text":"name: X"`, `"phases":[]`, `"phases":[{"was":0}]`, `"phases":[{"was":0},{"was":0}]`, `"phases":[{"was":0},{"was":1,"level_db":99}]`,
		`"phases":[{"was":0,"length_ms":-5},{"was":1}]`, `"phases":[{"was":0,"length_ms":99999999999999},{"was":1}]`, `"text":"x","phases":[]`,
	} {
		try("PUT", p, put(now, bad), 422, steers...)
	}
	if text, err := os.ReadFile(filepath.Join(h.folder, "p.yaml")); err != nil || string(text) != aPlaylist {
		t.Errorf("%v\n%s", err, text)
	}
	try("PUT", p, put(now, `"phases":[{"was":1,"scene":"dim"},{"was":0,"length_ms":720000,"level_db":-2}]`), 200, steers...)
	const want = "# Keep this.\nname: P\nphases:\n  - {name: B, stage: preparation, length: 5m, lights: {scene: dim}}\n  - {name: A, stage: preparation, length: 12m, level: -2} # one\n"
	text, err := os.ReadFile(filepath.Join(h.folder, "p.yaml"))
	if err != nil || string(text) != want {
		t.Errorf("%v\n%s", err, text)
	}
	file := filepath.Join(h.folder, "p.yaml")
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o755)); err != nil {
		t.Fatal(err)
	}
	try("GET", p, "", 500, steers...)
	try("PUT", p, put(now, `"text":""`), 500, steers...)
	// Where a file would be made, one stands in the way that is none.
	if err := errors.Join(os.RemoveAll(filepath.Join(h.folder, ".schema")), os.WriteFile(filepath.Join(h.folder, ".schema"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	try("POST", "/api/v1/playlists/starter%2Ftour/file", "", 500, steers...)
}

// TestAFileIsNamedByItsWholePath holds that a playlist in a folder, and one that is a folder, are found by their IDs.
func TestAFileIsNamedByItsWholePath(t *testing.T) {
	h := open(t)
	for id, want := range map[string]string{"evening%2Fp": "evening/p.yaml", "p": "p.yaml"} {
		resp, body := h.ask(t, "GET", "/api/v1/playlists/"+id+"/file", "", h.bearer()...)
		var got fileView
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != http.StatusOK || got.File != want || got.Text != aPlaylist || len(got.Phases) != 2 {
			t.Errorf("%s: %s %s", id, resp.Status, body)
		}
	}
	if resp, body := h.ask(t, "POST", "/api/v1/playlists/music%2FDeep/file", "", h.bearer()...); resp.StatusCode != http.StatusCreated || !strings.Contains(body, `"music/Deep"`) {
		t.Errorf("%s %s", resp.Status, body)
	}
	if _, err := os.Stat(filepath.Join(h.folder, "music", "Deep.yaml")); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"..%2Fp", "%2Fetc%2Fpasswd", "evening", "p.yaml", "%00"} {
		if resp, body := h.ask(t, "GET", "/api/v1/playlists/"+id+"/file", "", h.bearer()...); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s %s", id, resp.Status, body)
		}
	}
}
