package playlists

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const onePhase = "name: NAME\nphases: [{name: A, stage: preparation, length: 1m, music: MUSIC}]\n"

func write(t *testing.T, root, name, text string) {
	t.Helper()
	p := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	// As editors do: whole, under another name, then moved there.
	if err := os.WriteFile(p+"~", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p+"~", p); err != nil {
		t.Fatal(err)
	}
}

func playlistText(name, music string) string {
	return strings.NewReplacer("NAME", name, "MUSIC", music).Replace(onePhase)
}

// run opens a library and keeps it up until the test ends.
func run(t *testing.T, o LibraryOptions) *Library {
	t.Helper()
	if o.Measure == nil {
		o.Measure = new(meter).measure
	}
	l := NewLibrary(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// until waits for the library to tell of changes until it is so.
func until(t *testing.T, l *Library, what string, so func() bool) {
	t.Helper()
	late := time.After(2 * time.Minute) // as rig.Eventually does
	for !so() {
		select {
		case <-l.Changed():
		case <-late:
			t.Fatalf("it never comes: %s\n%v", what, l.ids())
		}
	}
}

func (l *Library) ids() (ids []string) {
	for _, e := range l.List() {
		ids = append(ids, e.ID)
	}
	return ids
}

var starterIDs = []string{"starter/three-hours", "starter/quiet", "starter/steered", "starter/tour"}

func TestLibraryLists(t *testing.T) {
	outside := files(t, map[string]string{"x.yaml": playlistText("Outside", "silence")})
	root := files(t, map[string]string{
		"b 10.yaml":          playlistText("B10", "silence"),
		"b 9.yml":            playlistText("B9", "silence"),
		"Evening/first.yaml": playlistText("First", "a.flac"),
		"Evening/first.yml":  playlistText("Second", "a.flac"),
		"Evening/a.flac":     "2m",
		"broken.yaml":        "name: Broken\nphases: 3\n",
		"no yaml.yaml":       "name: [",
		"room.yaml":          "room: Willow\n",
		".hidden.yaml":       playlistText("Hidden", "silence"),
		".git/x.yaml":        playlistText("Git", "silence"),
		"starter/quiet.yaml": playlistText("My own", "silence"),
		"out.yaml":           "-> " + outside + "/x.yaml",
		"notes.txt":          "hello",
	})
	l := NewLibrary(LibraryOptions{Folder: root, Measure: new(meter).measure})
	want := append([]string{"b 9", "b 10", "broken", "Evening/first", "Evening/first-2", "no yaml", "out", "starter/quiet-2"}, starterIDs...)
	if got := l.ids(); !slices.Equal(got, want) {
		t.Fatalf("\n got %q\nwant %q", got, want)
	}
	for id, says := range map[string]string{"broken": "broken.yaml:2:9: phases is \"3\"", "no yaml": "no yaml.yaml:1:", "out": "out.yaml: the file is a link that leads out"} {
		e, _ := l.Get(id)
		if len(e.Problems) == 0 || !strings.HasPrefix(e.Problems[0].String(), says) || e.Ready {
			t.Errorf("%s: ready %v, %v", id, e.Ready, e.Problems.Strings())
		}
		if e, ok := l.Resolve(context.Background(), id); !ok || e.Ready {
			t.Errorf("%s: %v, ready %v", id, ok, e.Ready)
		}
	}
	if e, _ := l.Get("Evening/first"); e.Ready || e.Playlist.Name != "First" {
		t.Errorf("before its music is measured: %+v", e)
	}
	if e, ok := l.Resolve(context.Background(), "Evening/first"); !ok || !e.Ready || e.Playlist.Phases[0].Music[0].Track.Length != 2*time.Minute {
		t.Errorf("%v %+v", ok, e)
	}
	for _, id := range starterIDs {
		if e, ok := l.Get(id); !ok || !e.Ready || e.File != "" || len(e.Problems) > 0 {
			t.Errorf("%s: %+v", id, e)
		}
	}
	if _, ok := l.Resolve(context.Background(), "none"); ok {
		t.Error("a playlist that is not there")
	}
	if p := l.Problems(); len(p) > 0 {
		t.Error(p.Strings())
	}
}

// TestLibraryFollows holds that what a therapist does in the folder is seen without a restart.
func TestLibraryFollows(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"first.yaml": playlistText("First", "[a.flac, deep/]")})
	m := new(meter)
	l := run(t, LibraryOptions{Folder: root, Measure: m.measure, Check: func(pl *Playlist) Problems {
		if pl.Name != "Checked" {
			return nil
		}
		return Problems{problem(Place{File: "first.yaml"}, Warning, "checked", "")}
	}})
	first := func() Entry { e, _ := l.Get("first"); return e }
	music := func() (lengths []time.Duration) {
		for _, ph := range first().Playlist.Phases {
			for _, it := range ph.Music {
				if it.Track.Problem == "" {
					lengths = append(lengths, it.Track.Length)
				}
			}
		}
		return lengths
	}
	until(t, l, "the playlist is ready without its music", func() bool { return first().Ready && len(music()) == 0 })
	if w := first().Problems.Warnings(); len(w) != 3 {
		t.Errorf("missing music: %v", w.Strings())
	}
	write(t, root, "a.flac", "2m")
	until(t, l, "a track appears", func() bool { return slices.Equal(music(), []time.Duration{2 * time.Minute}) })
	write(t, root, "deep/er/b.flac", "30s") // a folder that nobody watched
	until(t, l, "a folder appears", func() bool { return len(music()) == 2 })
	write(t, root, "deep/er/b.flac", "4m40s")
	until(t, l, "a track changes in a new folder", func() bool { m := music(); return len(m) == 2 && m[1] == 280*time.Second })
	write(t, root, "sub/second.yaml", playlistText("Second", "../a.flac"))
	until(t, l, "a playlist appears in a new folder", func() bool { e, _ := l.Get("sub/second"); return e.Ready })
	write(t, root, "first.yaml", "name: [\n")
	until(t, l, "a playlist breaks", func() bool { return len(first().Problems.Errors()) == 1 && !first().Ready })
	write(t, root, "first.yaml", playlistText("Checked", "a.flac"))
	until(t, l, "and is mended", func() bool { return first().Ready && first().Playlist.Name == "Checked" })
	if p := first().Problems; len(p) != 1 || p[0].Says != "checked" {
		t.Errorf("%v", p.Strings())
	}
	if err := os.RemoveAll(filepath.Join(root, "sub")); err != nil {
		t.Fatal(err)
	}
	until(t, l, "a playlist goes", func() bool { _, ok := l.Get("sub/second"); return !ok })
}

// TestLibraryWithoutFolder holds that the starters are there whatever becomes of the folder, and that it is found when
// it comes back.
func TestLibraryWithoutFolder(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "stick", "playlists")
	l := run(t, LibraryOptions{Folder: root, Rescan: 50 * time.Millisecond})
	problem := func() string { return strings.Join(l.Problems().Strings(), "\n") }
	if got := l.ids(); !slices.Equal(got, starterIDs) || !strings.Contains(problem(), "the playlists folder is not there (make it") {
		t.Fatalf("%q %s", got, problem())
	}
	write(t, root, "x.yaml", playlistText("X", "silence"))
	until(t, l, "the folder appears", func() bool { e, _ := l.Get("x"); return e.Ready && problem() == "" })
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	until(t, l, "the folder goes", func() bool { return slices.Equal(l.ids(), starterIDs) && problem() != "" })
	if err := os.WriteFile(root, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	until(t, l, "a file is in its place", func() bool { return strings.Contains(problem(), "can't be read") })
	if e, ok := l.Resolve(context.Background(), "starter/quiet"); !ok || !e.Ready {
		t.Error("a starter is gone with the folder")
	}
}

// TestLibraryLinked holds that the folder itself may be a link, to a stick for one.
func TestLibraryLinked(t *testing.T) {
	real := files(t, map[string]string{"x.yaml": playlistText("X", "a.flac"), "a.flac": "1m"})
	link := filepath.Join(t.TempDir(), "playlists")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	l := NewLibrary(LibraryOptions{Folder: link, Measure: new(meter).measure})
	if e, ok := l.Resolve(context.Background(), "x"); !ok || !e.Ready || len(e.Problems) > 0 {
		t.Errorf("%v %+v", ok, e)
	}
}

// TestLibraryMeasuresLazily holds that listing waits for no music, that a call for one playlist does not wait for the
// others, and that nothing is measured again that has not changed.
func TestLibraryMeasuresLazily(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"a.yaml": playlistText("A", "a.flac"), "b.yaml": playlistText("B", "b.flac"), "a.flac": "1m", "b.flac": "1m"})
	var m meter
	hold := make(chan struct{})
	l := run(t, LibraryOptions{Folder: root, Rescan: 20 * time.Millisecond, Measure: func(ctx context.Context, p string) (Track, error) {
		if filepath.Base(p) == "a.flac" {
			select {
			case <-hold:
			case <-ctx.Done():
				return Track{}, ctx.Err()
			}
		}
		return m.measure(ctx, p)
	}})
	if got := l.ids(); len(got) != 2+len(starterIDs) {
		t.Fatal(got)
	}
	if e, ok := l.Resolve(context.Background(), "b"); !ok || !e.Ready {
		t.Fatalf("b waits for a: %+v", e)
	}
	close(hold)
	ready := func() bool { e, _ := l.Get("a"); return e.Ready }
	until(t, l, "a is ready", ready)
	m.mu.Lock()
	before := m.times[filepath.Join(root, "a.flac")]
	m.mu.Unlock()
	for range 3 {
		l.scan()
		l.Resolve(context.Background(), "a")
	}
	m.mu.Lock()
	if after := m.times[filepath.Join(root, "a.flac")]; after != before {
		t.Errorf("measured %d times, then %d", before, after)
	}
	m.mu.Unlock()
	l.Again(filepath.Join(root, "a.flac"))
	l.Resolve(context.Background(), "a")
	m.mu.Lock()
	if after := m.times[filepath.Join(root, "a.flac")]; after != before+1 {
		t.Errorf("asked to measure again: %d times, then %d", before, after)
	}
	m.mu.Unlock()
}
