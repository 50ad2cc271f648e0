package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/room"
)

// pooledPlaylist is a playlist of minutes with a pool of generated beds.
const pooledPlaylist = `name: Pooled
bed: drone
crossfade: 4s
phases:
  - {name: Arrival, stage: preparation, length: 30s, music: rain}
  - name: Journey
    stage: administration
    length: 8m
    intensity: 2..4
    pool: [{bed: drone, intensity: 2}, {bed: ocean, intensity: 3}, {bed: rain, intensity: 4}]
    menu: {Open: [{bed: rain, intensity: 4}], Still: silence}
  - {name: Leave, stage: integration, length: 30s, music: ocean}
`

// TestTapsAreRead holds that a script of taps gives the taps, or each error at its place.
func TestTapsAreRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "taps.txt")
	for _, c := range []struct{ text, want string }{
		{"\ufeff# deeper soon\n0:42:10 deeper\n\n  0:43:00.5 now\r\n1:00:00 choose Wide open\n1:00:00 another", ""},
		{"0:42:10 deper", ":1:9: unknown tap \"deper\" (write deeper, lighter, another, choose WORD or now)"},
		{"0:42:10", ":1:8: the tap is missing (write deeper, lighter, another, choose WORD or now)"},
		{"0:42:10 choose", ":1:15: choose has no word (write a word of the phase's menu behind it)"},
		{"0:42:10 now please", ":1:13: unexpected \"please\" behind now"},
		{"42:10 deeper", ":1:1: \"42:10\" is not a session time (write it as 0:42:10)"},
		{"0:60:10 deeper\n-1:00:00 now", ":1:1: \"0:60:10\" is not a session time (write it as 0:42:10)\nFILE:2:1: \"-1:00:00\" is not a session time (write it as 0:42:10)"},
		{"0:42:10 deeper\n 0:42:09 now", ":2:2: 0:42:09 is earlier than the line before (write the earliest tap first)"},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		taps, err := readTaps(file)
		got := strings.ReplaceAll(fmt.Sprint(err), file, "FILE")
		if c.want != "" && got != "FILE"+c.want {
			t.Errorf("%q: %s", c.text, got)
		}
		if c.want == "" {
			if err != nil || len(taps) != 4 || taps[0].at != 42*time.Minute+10*time.Second || taps[0].command.Do != room.Deeper ||
				taps[1].at != 43*time.Minute+500*time.Millisecond || taps[2].command.Name != "Wide open" {
				t.Errorf("%+v, %v", taps, err)
			}
		}
	}
	if _, err := readTaps(file + ".not"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestRenderSteered renders a playlist with taps and without, and holds that the sound is the same up to the first that counts, and
// another behind it.
func TestRenderSteered(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "playlists"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(data, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("playlists/p.yaml", pooledPlaylist)
	plain, steered := filepath.Join(data, "plain.wav"), filepath.Join(data, "steered.wav")
	taps := write("taps.txt", "0:01:00 choose Open\n0:01:20 now\n")
	for out, args := range map[string][]string{plain: nil, steered: {"--steer", taps}} {
		if code, _, says := roomd(t, nil, append([]string{"render", "p", "--out", out, "--to", "2m", "--data", data}, args...)...); code != exitOK {
			t.Fatal(says)
		}
	}
	a, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(steered)
	if err != nil {
		t.Fatal(err)
	}
	const second = 48000 * 6
	if len(a) != len(b) || apart(a[44:44+80*second], b[44:44+80*second]) > 0 {
		t.Errorf("%d and %d bytes, apart before the tap", len(a), len(b))
	}
	if apart(a[44+90*second:44+110*second], b[44+90*second:44+110*second]) < 1000 {
		t.Error("nothing else is heard after the tap")
	}
	code, _, says := roomd(t, nil, "render", "p", "--out", plain, "--to", "1s", "--data", data, "--steer", write("bad.txt", "0:01:00 deeper\n0:00:10 now"))
	if code != exitError || !strings.Contains(says, "bad.txt:2:1: 0:00:10 is earlier") {
		t.Errorf("%d %s", code, says)
	}
	code, _, says = roomd(t, nil, "render", "p", "--out", plain, "--to", "1s", "--data", data, "--steer", write("no.txt", "# soon\n0:01:00 now"))
	if code != exitError || !strings.Contains(says, `no.txt:2:9: the session refuses "now": Nothing is waiting to come.`) {
		t.Errorf("%d %s", code, says)
	}
}

// TestSteeringSurvives steers a session over the API, kills roomd, and holds that the session goes on as it was asked to, that its record
// tells what was asked and what came, and that another playlist can be looked at, taken over and given back.
func TestSteeringSurvives(t *testing.T) {
	t.Parallel()
	const beds = "pool: [{bed: drone, intensity: 2}, {bed: ocean, intensity: 3}, {bed: rain, intensity: 4}]"
	d := newDaemon(t, nil, map[string]string{
		"room.yaml":             "audio: {output: none}\n",
		"playlists/pool.yaml":   "name: Pool\ncrossfade: 4s\nphases:\n- {name: Journey, stage: administration, length: 30m, intensity: 2, " + beds + ", menu: {Open: {bed: rain, intensity: 4}, Still: silence}}\n- {name: Leave, stage: integration, length: 5m, music: ocean}\n",
		"playlists/other.yaml":  "name: Other\nphases:\n- {name: Peak, stage: administration, length: 10m, music: rain}\n- {name: Talk, stage: integration, length: 30m, music: silence}\n",
		"playlists/before.yaml": "name: Before\nphases: [{name: A, stage: preparation, length: 10m, music: rain}]\n",
	})
	d.start()
	d.do(room.Command{Do: room.Start, Playlist: "pool"})
	v := d.snapshot().Session.Steer
	if v == nil || v.Offers[room.Deeper].Title != "Ocean" || len(v.Menu) != 2 || v.Coming != nil {
		t.Fatalf("%+v", v)
	}
	d.do(room.Command{Do: room.Choose, Name: "Open"})
	if v = d.snapshot().Session.Steer; v.Coming == nil || v.Coming.Title != "Rain" || !v.Coming.CanNow || v.Word != "Open" {
		t.Fatalf("%+v", v)
	}
	d.do(room.Command{Do: room.Bring})
	d.Kill()
	d.start()
	s := d.snapshot().Session
	if s.Music == nil || s.Music.Title != "Rain" || s.Steer == nil || s.Steer.Word != "Open" || s.Steer.Coming != nil {
		t.Fatalf("after a kill: %+v, %+v", s.Music, s.Steer)
	}
	var rec room.SessionRecord
	d.get("/api/v1/sessions/"+s.ID, &rec)
	if len(rec.Asked) != 1 || rec.Asked[0].Do != room.Choose || rec.Asked[0].Name != "Open" || rec.Asked[0].Title != "Rain" || !rec.Asked[0].Now || rec.Asked[0].CameMS < rec.Asked[0].AtMS {
		t.Errorf("%+v", rec.Asked)
	}
	var preview room.SessionView
	d.get("/api/v1/playlists/other/change", &preview)
	names := func(v *room.SessionView) string {
		out := ""
		for _, p := range v.Phases {
			out += fmt.Sprintf("%s %d, ", p.Name, (p.EndMS-p.StartMS)/1000)
		}
		return out
	}
	if got := names(&preview); got != "Journey 1800, Talk 300, " {
		t.Errorf("a preview of %s", got)
	}
	if got := names(d.snapshot().Session); got != "Journey 1800, Leave 300, " {
		t.Errorf("the preview changed the session: %s", got)
	}
	d.do(room.Command{Do: room.Change, Playlist: "other"})
	s = d.snapshot().Session
	if got := names(s); got != "Journey 1800, Talk 300, " || s.Name != "Other" || len(s.Undo) == 0 || s.Undo[0].Do != room.Change {
		t.Fatalf("changed to %s, %+v", got, s.Undo)
	}
	d.Kill()
	d.start()
	d.do(room.Command{Do: room.Undo, Of: s.Undo[0].ID})
	if s = d.snapshot().Session; names(s) != "Journey 1800, Leave 300, " || s.Name != "Pool" || s.Steer.Word != "Open" {
		t.Errorf("after the undo: %s, %s, %+v", names(s), s.Name, s.Steer)
	}
}
