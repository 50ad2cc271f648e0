package playlists

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomd/rig"
)

// TestIDsStay holds that an ID never moves to another file: not when one of the same name comes, and not over a restart.
func TestIDsStay(t *testing.T) {
	root := files(t, map[string]string{"evening.yml": playlistText("Old", "a.mp3")})
	l := NewLibrary(LibraryOptions{Folder: root})
	name := func(l *Library, id string) string {
		e, ok := l.Get(id)
		if !ok {
			return "nothing"
		}
		return e.Playlist.Name
	}
	if err := os.WriteFile(filepath.Join(root, "evening.yaml"), []byte(playlistText("New", "a.mp3")), 0o644); err != nil {
		t.Fatal(err)
	}
	l.scan()
	for _, l := range []*Library{l, NewLibrary(LibraryOptions{Folder: root})} {
		if name(l, "evening") != "Old" || name(l, "evening-2") != "New" || name(l, "evening.yaml") != "New" {
			t.Error("evening is", name(l, "evening"), "and evening-2", name(l, "evening-2"))
		}
		if e, _ := l.Get("evening-2"); len(e.Problems) == 0 || !strings.Contains(e.Problems[0].Says, `already called "evening"`) {
			t.Error("nothing says so:", e.Problems.Strings())
		}
	}
	// One that is gone frees its ID for a file that comes later, and no other is renamed.
	if err := os.Remove(filepath.Join(root, "evening.yml")); err != nil {
		t.Fatal(err)
	}
	if l = NewLibrary(LibraryOptions{Folder: root}); name(l, "evening") != "nothing" || name(l, "evening-2") != "New" {
		t.Error("evening is", name(l, "evening"), "and evening-2", name(l, "evening-2"))
	}
}

// TestCreateOnFullDisk holds that a new playlist is written whole or not at all.
func TestCreateOnFullDisk(t *testing.T) {
	d := rig.NewDisk(t, 256)
	if err := writeSchema(d.Dir); err != nil {
		t.Fatal(err)
	}
	d.Fill()
	if err := createFile(d.Dir, "evening.yaml", []byte(playlistText("X", "a.mp3"))); err == nil {
		t.Fatal("it was written to a full disk")
	}
	entries, err := os.ReadDir(d.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "evening") || strings.HasPrefix(e.Name(), ".new-") {
			t.Errorf("%s stays", e.Name())
		}
	}
	d.Free()
	if err := createFile(d.Dir, "evening.yaml", []byte(playlistText("X", "a.mp3"))); err != nil {
		t.Error("it can't be written later:", err)
	}
	if err := createFile(d.Dir, "evening.yaml", nil); !errors.Is(err, fs.ErrExist) {
		t.Error("it was overwritten:", err)
	}
}

// TestVersions lists, compares and restores what Save has replaced.
func TestVersions(t *testing.T) {
	root := files(t, map[string]string{"sub/x.yaml": playlistText("One", "a.mp3")})
	d, err := Load(root, "sub/x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	save := func(next Document) {
		t.Helper()
		if err := next.Save(d.Revision); err != nil {
			t.Fatal(err)
		}
		d = next
	}
	if vs, err := d.Versions(); err != nil || len(vs) != 0 {
		t.Fatal(vs, err)
	}
	save(d.With([]byte(playlistText("Two", "a.mp3"))))
	save(d.With([]byte(playlistText("Three", "a.mp3"))))
	vs, err := d.Versions()
	if err != nil || len(vs) != 2 || vs[0].Number != 2 || vs[0].Replaced.IsZero() {
		t.Fatal(vs, err)
	}
	if diff, err := d.Compare(1); err != nil || !strings.Contains(diff, "\n-name: One") || !strings.Contains(diff, "\n+name: Three") {
		t.Error(diff, err)
	}
	one, err := d.Restore(1)
	if err != nil || one.Playlist.Name != "One" {
		t.Fatal(one.Playlist, err)
	}
	save(one)
	if vs, err = d.Versions(); err != nil || len(vs) != 3 {
		t.Error("what was restored over is lost:", vs, err)
	}
	if now, err := Load(root, "sub/x.yaml"); err != nil || now.Playlist.Name != "One" {
		t.Error(now.Playlist, err)
	}
	if _, err := d.Restore(9); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
