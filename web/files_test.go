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
		`"phases":[{"was":0,"music":[]},{"was":1}]`, `"phases":[{"was":0,"music":[{"was":0}]},{"was":1}]`, `"phases":[{"was":0,"music":[{}]},{"was":1}]`,
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
	tryVersions(t, h, try, steers, watches)
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

// tryVersions tries every answer of the versions and of the music. p.yaml was changed once.
func tryVersions(t *testing.T, h *house, try func(method, path, body string, want int, head ...string), steers, watches []string) {
	const p = "/api/v1/playlists/p/"
	for _, path := range []string{p + "versions", p + "versions/1", "/api/v1/music"} {
		try("GET", path, "", 401)
		try("GET", path, "", 403, watches...)
		try("GET", path, "", 200, steers...)
	}
	for path, want := range map[string]int{
		"/api/v1/playlists/none/versions": 404, "/api/v1/playlists/none/versions/1": 404, "/api/v1/playlists/starter%2Fquiet/versions": 409, "/api/v1/playlists/starter%2Fquiet/versions/1": 409,
		p + "versions/7": 404, p + "versions/-1": 404, p + "versions/x": 404,
		"/api/v1/music?in=music%2FDeep": 200, "/api/v1/music?find=one": 200, "/api/v1/music?in=..": 404, "/api/v1/music?in=gone": 404, "/api/v1/music?in=p.yaml": 404, "/api/v1/music?in=.versions": 404,
		"/api/v1/music?find=" + strings.Repeat("x", maxIn+1): 422,
	} {
		try("GET", path, "", want, steers...)
	}
	get := func(path string, into any) string {
		t.Helper()
		resp, body := h.ask(t, "GET", path, "", h.bearer()...)
		if err := json.Unmarshal([]byte(body), into); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", path, resp.Status, body)
		}
		return body
	}
	var list []versionView
	get(p+"versions", &list)
	if len(list) != 1 || list[0].Number != 1 || list[0].Phases != 2 || list[0].AgoMS > 60_000 || list[0].Revision != playlists.Revision([]byte(aPlaylist)) {
		t.Errorf("%+v", list)
	}
	var one versionView
	get(p+"versions/1", &one)
	if one.File == nil || one.File.Text != aPlaylist || len(one.File.Phases) != 2 || !strings.Contains(one.Diff, "level: -2") {
		t.Errorf("%+v", one)
	}
	// Music is added; then the version of before that is restored, and taken back again.
	var file fileView
	get(p+"file", &file)
	put := func(what string) string { return fmt.Sprintf(`{"revision":%q,%s}`, file.Revision, what) }
	try("PUT", p+"file", put(`"restore":9`), 404, steers...)
	try("PUT", p+"file", put(`"restore":1,"text":"x"`), 422, steers...)
	try("PUT", p+"file", put(`"phases":[{"was":0,"music":[{"silence":true},{"bed":"rain"}]},{"was":1}]`), 422, steers...) // the file would be wrong
	try("PUT", p+"file", put(`"phases":[{"was":0,"music":[{"file":"../x.mp3"}]},{"was":1}]`), 422, steers...)
	try("PUT", p+"file", put(`"phases":[{"was":0,"music":[{"file":"music/Deep/"},{"bed":"ocean"}]},{"was":1}]`), 200, steers...)
	get(p+"file", &file)
	if m := file.Phases[0].Music; len(m) != 2 || m[0].File != "music/Deep" || m[1].Bed != "ocean" || *m[1].Was != 1 {
		t.Errorf("%+v\n%s", m, file.Text)
	}
	added := file.Text
	try("PUT", p+"file", put(`"restore":1`), 200, steers...)
	get(p+"file", &file)
	get(p+"versions", &list)
	if file.Text != aPlaylist || len(list) != 3 {
		t.Errorf("%d versions, %s", len(list), file.Text)
	}
	try("PUT", p+"file", put(fmt.Sprintf(`"restore":%d`, list[0].Number)), 200, steers...)
	if get(p+"file", &file); file.Text != added {
		t.Errorf("the restoring can't be taken back: %s", file.Text)
	}
	// One that could not be played is not restored.
	if err := os.WriteFile(filepath.Join(h.folder, ".versions", "p.1.yaml"), []byte("name: ["), 0o644); err != nil {
		t.Fatal(err)
	}
	try("GET", p+"versions/1", "", 200, steers...)
	try("PUT", p+"file", put(`"restore":1`), 422, steers...)
	if err := errors.Join(os.RemoveAll(filepath.Join(h.folder, ".versions")), os.WriteFile(filepath.Join(h.folder, ".versions"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	try("GET", p+"versions", "", 500, steers...)
	try("GET", p+"versions/1", "", 500, steers...)
	var music struct{ Files []playlists.MusicFile }
	get("/api/v1/music", &music)
	if len(music.Files) != 1 || music.Files[0] != (playlists.MusicFile{File: "music", Kind: "folder", Tracks: 1}) {
		t.Errorf("%+v", music)
	}
}
