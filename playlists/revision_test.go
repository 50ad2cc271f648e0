package playlists

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRevision holds that two rooms with the same files have the same revision, whatever the times of the files, and that each change
// of a playlist, a list or a name makes another one.
func TestRevision(t *testing.T) {
	t.Parallel()
	write := func(dir, name, text string, at time.Time) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	busy := false
	folder := func(at time.Time) (*Library, string) {
		dir := t.TempDir()
		write(dir, "evening.yaml", "name: Evening\n", at)
		write(dir, "music/a/01.flac", "abc", at)
		write(dir, "music/a/list.m3u", "01.flac\n", at)
		write(dir, ".stfolder/marker", "Syncthing's own", at)
		return NewLibrary(LibraryOptions{Folder: dir, Busy: func() bool { return busy }}), dir
	}
	revision := func(l *Library) string {
		t.Helper()
		l.scan()
		r, _, err := l.Revision(t.Context())
		if err != nil || len(r) != revisionDigits {
			t.Fatal(r, err)
		}
		return r
	}
	old, now := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC), time.Now()
	willow, at := folder(old)
	oak, _ := folder(now)
	first := revision(willow)
	if other := revision(oak); other != first {
		t.Errorf("the same files are %s and %s", first, other)
	}
	if _, changed, err := willow.Revision(t.Context()); err != nil || !changed.Equal(old) {
		t.Errorf("changed %v, %v", changed, err)
	}
	known := map[string]string{first: "the first"}
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"a playlist of the same length", func() { write(at, "evening.yaml", "name: Evenint\n", old) }},
		{"a list", func() { write(at, "music/a/list.m3u", "1.flac\n", old) }},
		{"longer music", func() { write(at, "music/a/01.flac", "abcd", old) }},
		{"another track", func() { write(at, "music/a/02.flac", "abc", old) }},
		{"a moved track", func() {
			if err := os.Rename(filepath.Join(at, "music/a/02.flac"), filepath.Join(at, "music/a/03.flac")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		select {
		case <-willow.Turned():
		default:
		}
		c.do()
		now := revision(willow)
		if before, is := known[now]; is {
			t.Errorf("%s: the revision is that of %s", c.what, before)
		}
		known[now] = c.what
	}
	select {
	case <-willow.Turned():
	default:
		t.Error("nobody is told of the moved track")
	}
	write(at, "cover.jpg", "no music", now)
	write(at, ".stfolder/more", "x", now)
	if now := revision(willow); known[now] != "a moved track" {
		t.Error("a file that is no music nor a playlist changes the revision")
	}
	write(at, "later.yaml", "name: Later\n", now.AddDate(30, 0, 0))
	revision(willow)
	if _, changed, err := willow.Revision(t.Context()); err != nil || changed.After(now) {
		t.Errorf("a file of a time to come: changed %v, %v", changed, err)
	}
	busy = true
	if _, _, err := willow.Revision(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("in a session: %v", err)
	}
	busy = false
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := willow.Revision(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
}
