package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// TestBackup writes a room down while a session runs in it, and puts it into another folder, where the session goes on with
// all that belongs to it; and into one that is in use, where nothing is lost.
func TestBackup(t *testing.T) {
	t.Parallel()
	yaml := fmt.Sprintf("room: Willow Room\naudio: {output: none}\nlights: {ambient: {driver: simulated}}\nhttps: {listen: \"127.0.0.1:%d\"}\n", rig.FreePort(t))
	d := newDaemon(t, nil, map[string]string{
		"room.yaml": yaml, "playlists/evening.yaml": "name: Evening\nphases: [{name: A, stage: preparation, length: 10m, music: rain, marks: [Vitals]}]\n",
		"playlists/music/a/list.m3u8": "tone.flac\n", "lights/test.json": `{}`,
	})
	music(t, filepath.Join(d.dir, "playlists", "music", "a"), map[string]tone{"tone.flac": {300, 3, -20}})
	d.start()
	mark := room.NewID()
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	d.do(room.Command{ID: mark, Do: room.MarkNow, Name: "Vitals"})
	was := d.snapshot()
	to := t.TempDir()
	for range 3 { // its name tells the second
		if code, out, err := roomd(t, nil, "backup", to, "--keep", "2", "--data", d.dir); code != exitOK {
			t.Fatal(out, err)
		}
		time.Sleep(1100 * time.Millisecond)
	}
	if err := os.WriteFile(filepath.Join(to, "roomd-Willow-Room-notes.tar.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(to, "roomd-Willow-Room-2*.tar.gz"))
	if err != nil || len(kept) != 2 {
		t.Fatal(kept, err)
	}
	if st, err := os.Stat(kept[1]); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", st.Mode(), err)
	}
	if s := d.snapshot(); s.Session == nil || s.Boot != was.Boot || len(s.Problems) != len(was.Problems) {
		t.Errorf("the room felt it: %+v", s.Problems)
	}
	if code, _, err := roomd(t, nil, "restore", kept[1], "--data", d.dir); code != exitError || !strings.Contains(err, "another roomd uses") {
		t.Errorf("restored under a roomd that runs: %d %s", code, err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.dir, ".*-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	d.Kill()

	// A new computer: the session and its mark, playlists and keys are there; the music is not. The tablet's token is where
	// that was asked for.
	without := t.TempDir()
	code, out, errs := roomd(t, nil, "restore", kept[1], "--data", without)
	if _, list, _ := roomd(t, nil, "token", "list", "--data", without); code != exitOK || !strings.Contains(out, "stay out: test.") || len(lines(list)) != 1 {
		t.Fatal(code, out, errs, list)
	}
	fresh := t.TempDir()
	if code, out, errs := roomd(t, nil, "restore", kept[1], "--data", fresh, "--tokens"); code != exitError || !strings.Contains(out, `The device "test" is let in again, as therapist.`) || !strings.Contains(errs, "nothing was changed") {
		t.Fatal(code, out, errs)
	}
	code, out, errs = roomd(t, nil, "restore", kept[1], "--data", fresh, "--tokens", "--yes")
	if code != exitOK || !strings.Contains(out, "room Willow Room") || strings.Contains(out, "before") {
		t.Fatal(code, out, errs)
	}
	n := &daemon{t: t, dir: fresh, data: fresh, addr: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), token: d.token}
	n.start()
	if s := n.snapshot().Session; s == nil || s.ID != was.Session.ID || len(s.Marks) != 1 || s.Marks[0].ID != mark {
		t.Errorf("the session is %+v", s)
	}
	n.Kill()
	for name, want := range map[string]bool{"room.yaml": true, "lights/test.json": true, "tls": true, "playlists/evening.yaml": true, "playlists/music/a/list.m3u8": true, "playlists/music/a/tone.flac": false} {
		if _, err := os.Stat(filepath.Join(fresh, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a, b := read(t, filepath.Join(d.dir, "tls", "authority.pem")), read(t, filepath.Join(fresh, "tls", "authority.pem")); a == "" || a != b {
		t.Error("tablets would have to trust the room anew")
	}

	// A computer that is in use: what it had is kept.
	if err := os.WriteFile(filepath.Join(fresh, "room.yaml"), []byte("room: Oak\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := roomd(t, nil, "restore", kept[0], "--data", fresh); code != exitOK || !strings.Contains(out, "before-restore-") {
		t.Fatal(code, out, errs)
	}
	aside, _ := filepath.Glob(filepath.Join(fresh, "before-restore-*"))
	if len(aside) != 1 || read(t, filepath.Join(fresh, "room.yaml")) != yaml || read(t, filepath.Join(aside[0], "room.yaml")) != "room: Oak\n" ||
		read(t, filepath.Join(aside[0], "roomd.db")) == "" || read(t, filepath.Join(aside[0], "playlists", "evening.yaml")) == "" {
		t.Errorf("%v: %q", aside, read(t, filepath.Join(fresh, "room.yaml")))
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

// TestRestoreRefuses gives restore what is no whole backup: it says so, and changes nothing.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\n", "playlists/a.yaml": strings.Repeat("# much\n", 5000) + "name: A\nphases: [{name: A, stage: preparation, length: 10m}]\n"})
	to := t.TempDir()
	if code, _, err := roomd(t, nil, "backup", to, "--data", d.dir); code != exitOK {
		t.Fatal(err)
	}
	good, _ := filepath.Glob(filepath.Join(to, "*.tar.gz"))
	whole := []byte(read(t, good[0]))
	newer := filepath.Join(t.TempDir(), "newer.db")
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	archive := func(files ...[2]string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, f := range files {
			h := &tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}
			if l, is := strings.CutPrefix(f[1], "->"); is {
				h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, l, 0
				f[1] = ""
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(f[1])); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		z.Close()
		return b.Bytes()
	}
	about := [2]string{"backup.json", `{"format":1,"version":"v1"}`}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0x10
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":              {nil, "no backup"},
		"no archive":           {[]byte("a letter"), "no backup"},
		"cut":                  {whole[:len(whole)*2/3], "damaged"},
		"its last byte":        {whole[:len(whole)-1], "damaged"},
		"a bit":                {flipped, "damaged"},
		"another archive":      {archive([2]string{"room.yaml", "room: Evil\n"}), "no backup of roomd's"},
		"of a later form":      {archive([2]string{"backup.json", `{"format":2,"version":"v9"}`}), "v9"},
		"leads out":            {archive(about, [2]string{"playlists/../../room.yaml", "room: Evil\n"}), "which no backup does"},
		"from the root":        {archive(about, [2]string{"/etc/roomd", "x"}), "which no backup does"},
		"a link":               {archive(about, [2]string{"playlists/x.yaml", "->/etc/passwd"}), "which no backup does"},
		"something else":       {archive(about, [2]string{"bin/roomd", "x"}), "which no backup does"},
		"twice":                {archive(about, [2]string{"room.yaml", "a"}, [2]string{"room.yaml", "b"}), "exists"},
		"a newer journal":      {archive(about, [2]string{"room.yaml", "room: Evil\n"}, [2]string{"roomd.db", read(t, newer)}), "newer roomd"},
		"a journal of letters": {archive(about, [2]string{"room.yaml", "room: Evil\n"}, [2]string{"roomd.db", strings.Repeat("letters", 1000)}), "its journal"},
	} {
		file := filepath.Join(t.TempDir(), "x.tar.gz")
		if err := os.WriteFile(file, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := roomd(t, nil, "restore", file, "--data", d.dir)
		if code != exitError || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "nothing was changed") {
			t.Errorf("%s: %d %s%s", name, code, out, errs)
		}
		if got := read(t, filepath.Join(d.dir, "room.yaml")); got != "room: Willow\n" {
			t.Fatalf("%s: the room is %q", name, got)
		}
	}
	left, _ := filepath.Glob(filepath.Join(d.dir, "*restore*"))
	if more, _ := filepath.Glob(filepath.Join(d.dir, ".restore*")); len(left)+len(more) > 0 {
		t.Error("left over:", left, more)
	}
	if code, _, err := roomd(t, nil, "backup", filepath.Join(to, "nowhere"), "--data", d.dir); code != exitError || !strings.Contains(err, "the folder for the backup") {
		t.Errorf("%d %s", code, err)
	}
}

// TestKeptBackups checks which backups --keep deletes: first those dated in the future, then the oldest, and never the one just written.
func TestKeptBackups(t *testing.T) {
	t.Parallel()
	const before, last, now, ahead, further = "2026-11-28T090000", "2026-11-29T090000", "2026-11-30T090000", "2076-11-30T090000", "2076-12-01T090000"
	for _, x := range []struct {
		there []string
		made  string
		keep  int
		left  []string
	}{
		{[]string{before, last}, now, 2, []string{last, now}},
		{[]string{before, last}, now, 3, []string{before, last, now}},
		{[]string{before, last}, "1970-01-01T000010", 2, []string{"1970-01-01T000010", last}},
		{[]string{before, ahead, further}, now, 2, []string{before, now}},
		{[]string{ahead, further}, now, 2, []string{now, further}},
		{[]string{ahead}, now, 1, []string{now}},
	} {
		dir := t.TempDir()
		name := func(at string) string { return "roomd-willow-" + at + ".tar.gz" }
		for _, at := range append(slices.Clone(x.there), x.made, "no-time") {
			if err := os.WriteFile(filepath.Join(dir, name(at)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := keepNewest(dir, "roomd-willow-", name(x.made), x.keep); err != nil {
			t.Fatal(err)
		}
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{filepath.Join(dir, name("no-time"))}
		for _, at := range x.left {
			want = append(want, filepath.Join(dir, name(at)))
		}
		if slices.Sort(want); !slices.Equal(left, want) {
			t.Errorf("%v and then %s, of which %d are kept: left are %v", x.there, x.made, x.keep, left)
		}
	}
}
