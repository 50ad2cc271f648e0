package playlists

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLinkedFolders holds that links lead to the folders that are allowed by name, in every way to name music, and nowhere
// else; and that a refusal says how to allow it.
func TestLinkedFolders(t *testing.T) {
	nas := files(t, map[string]string{"Album/1.flac": "5m", "Album/2.flac": "5m", "back": "-> ../..", "lists/a.m3u8": "../Album/2.flac\n"})
	other := files(t, map[string]string{"secret.flac": "5m"})
	root := files(t, map[string]string{
		"nas": "-> " + nas, "other": "-> " + other, "one.flac": "-> " + nas + "/Album/1.flac", "x.m3u8": "nas/Album/1.flac\nC:\\Music\\Album\\2.flac\n",
		"evening.yaml": playlistText("Evening", "nas/Album/"),
	})
	if err := os.Symlink(root, filepath.Join(nas, "home")); err != nil {
		t.Fatal(err)
	}
	find := func(music string, linked ...string) ([]string, Problems) {
		pl, problems := Parse("x", "x.yaml", []byte("name: X\nphases:\n  - name: A\n    stage: preparation\n    length: 10m\n    music: "+music+"\n"))
		if len(problems) > 0 {
			t.Fatal(problems.Strings())
		}
		pl, problems = Resolve(t.Context(), root, "x.yaml", pl, new(meter).measure, nil, linked...)
		var out []string
		for _, it := range pl.Phases[0].Music {
			if it.Track.Problem == "" {
				rel, _ := filepath.Rel(root, it.Track.File)
				out = append(out, filepath.ToSlash(rel))
			}
		}
		return out, problems
	}
	for music, want := range map[string][]string{
		"nas/Album/": {"nas/Album/1.flac", "nas/Album/2.flac"}, "nas/Album/1.flac": {"nas/Album/1.flac"}, "one.flac": {"one.flac"}, "'**/1.flac'": {"nas/Album/1.flac"},
		"x.m3u8": {"nas/Album/1.flac", "nas/Album/2.flac"}, "nas": {"nas/Album/1.flac", "nas/Album/2.flac"}, "nas/lists/a.m3u8": {"nas/Album/2.flac"},
	} {
		got, problems := find(music, nas, "/not/mounted")
		if !slices.Equal(got, want) || len(problems.Errors()) > 0 {
			t.Errorf("%s: %q %v", music, got, problems.Strings())
		}
		got, problems = find(music)
		said := strings.Join(problems.Strings(), "\n")
		if len(got) > 0 || !strings.Contains(music, "*") && !strings.Contains(said, "or allow links to its folder in room.yaml: music: ["+nas) {
			t.Errorf("%s is found without leave: %q %s", music, got, said)
		}
	}
	for _, music := range []string{"other/secret.flac", "nas/back/x.flac", "../x.flac"} {
		if got, problems := find(music, nas); len(got) > 0 || len(problems) == 0 {
			t.Errorf("%s: %q", music, got)
		}
	}
	l := NewLibrary(LibraryOptions{Folder: root, Linked: []string{nas}, Measure: new(meter).measure})
	if e, ok := l.Resolve(t.Context(), "evening"); !ok || !e.Ready || len(e.Playlist.Phases[0].Music) != 2 {
		t.Errorf("%+v", e)
	}
	before := l.music
	if err := os.WriteFile(filepath.Join(nas, "Album", "3.flac"), []byte("5m"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.scan()
	if l.music == before {
		t.Error("new music in a linked folder is not seen")
	}
}

// TestStillCopied holds that a file which is not whole and changed a moment ago is not called damaged, and that it is looked at
// again until it is whole.
func TestStillCopied(t *testing.T) {
	root := files(t, map[string]string{"a.flac": "half", "b.flac": "10m", "x.yaml": playlistText("X", "[a.flac, b.flac]")})
	synctest.Test(t, func(t *testing.T) {
		a := filepath.Join(root, "a.flac")
		touch := func(at time.Time) {
			if err := os.Chtimes(a, at, at); err != nil {
				t.Fatal(err)
			}
		}
		touch(time.Now())
		var whole atomic.Bool
		l := NewLibrary(LibraryOptions{Folder: root, Measure: func(_ context.Context, p string) (Track, error) {
			if p == a && !whole.Load() {
				return Track{Length: time.Minute, Damaged: true}, errors.New("breaks off")
			}
			return Track{Length: 10 * time.Minute}, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.measureAll(ctx); close(done) }()
		synctest.Wait()
		e, _ := l.Get("x")
		said := strings.Join(e.Problems.Strings(), "\n")
		if !strings.Contains(said, `"a.flac" is still being copied`) || strings.Contains(said, "damaged") || e.Playlist.Phases[0].Music[0].Track.Problem != "The file is still being copied." {
			t.Errorf("%s", said)
		}
		whole.Store(true) // and no change is told of: the library looks again by itself
		time.Sleep(copying + time.Second)
		synctest.Wait()
		if e, _ := l.Get("x"); len(e.Problems) > 0 {
			t.Error(e.Problems.Strings())
		}
		whole.Store(false)
		touch(time.Now().Add(-time.Hour))
		l.mu.Lock()
		l.shelf["x"].due = time.Now()
		l.mu.Unlock()
		poke(l.kick)
		synctest.Wait()
		if e, _ := l.Get("x"); !strings.Contains(strings.Join(e.Problems.Strings(), "\n"), `"a.flac" can't be played`) {
			t.Error("a file that broke long ago is called copied", e.Problems.Strings())
		}
		cancel()
		<-done
	})
}

// TestNothingMeasuredInSession holds that music which appears while a session runs is measured only after it, but for what
// somebody asks for.
func TestNothingMeasuredInSession(t *testing.T) {
	root := files(t, map[string]string{"a.flac": "10m", "x.yaml": playlistText("X", "a.flac")})
	synctest.Test(t, func(t *testing.T) {
		var session atomic.Bool
		session.Store(true)
		var m meter
		l := NewLibrary(LibraryOptions{Folder: root, Measure: m.measure, Busy: session.Load})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { l.measureAll(ctx); close(done) }()
		time.Sleep(3 * time.Hour)
		if len(m.times) != 0 {
			t.Error("measured in a session:", m.times)
		}
		write(t, root, "edited.yaml", playlistText("Edited", "a.flac"))
		l.scan()
		time.Sleep(2 * time.Second)
		if e, _ := l.Get("edited"); !e.Ready {
			t.Error("a playlist that was written in the session is not ready")
		}
		session.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if e, _ := l.Get("x"); !e.Ready || m.times[filepath.Join(root, "a.flac")] != 2 {
			t.Errorf("after the session: %+v %v", e, m.times)
		}
		session.Store(true)
		l.mu.Lock()
		l.shelf["x"].due = time.Now()
		l.mu.Unlock()
		if e, _ := l.Resolve(ctx, "x"); !e.Ready {
			t.Error("what is asked for is not measured")
		}
		cancel()
		<-done
	})
}
