package playlists

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"roomd/rig"
)

func openShelf(t testing.TB, folder string) *Shelf {
	t.Helper()
	s, err := OpenShelf(folder)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// part writes a file that is to be brought, outside of the playlists folder.
func part(t testing.TB, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// within are all files below a folder, with their content.
func within(t testing.TB, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			b, _ := os.ReadFile(p)
			rel, _ := filepath.Rel(root, p)
			out[rel] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPlace(t *testing.T) {
	s := openShelf(t, t.TempDir())
	for _, c := range [][3]string{
		{"", "a.mp3", "a.mp3"}, {"music", "A.FLAC", "music/A.FLAC"}, {"music/Bj\u00f6rk", "1. x.ogg", "music/Bj\u00f6rk/1. x.ogg"},
		{"", "e\u0301.mp3", "\u00e9.mp3"}, {"", "list.m3u8", "list.m3u8"}, {"", "evening.yml", "evening.yml"}, {"", "a..b.mp3", "a..b.mp3"},
	} {
		if got, err := s.Place(c[0], c[1]); got != c[2] || err != nil {
			t.Errorf("%q in %q: %q, %v", c[1], c[0], got, err)
		}
	}
	for _, c := range [][2]string{
		{"", "../a.mp3"}, {"", "a/b.mp3"}, {"", `a\b.mp3`}, {"", "/etc/a.mp3"}, {"", `..\a.mp3`}, {"", ".a.mp3"}, {"", "@eaDir.mp3"}, {"", "a\x00.mp3"}, {"", "a\n.mp3"}, {"", "a\u202e3pm.mp3"},
		{"", "a\xff.mp3"}, {"", ""}, {"", " "}, {"", " a.mp3"}, {"", "a.zip"}, {"", "a"}, {"", "a.mp3.exe"}, {"", "room.yaml"}, {"", "Room.YAML"}, {"x", "room.yml"},
		{"", strings.Repeat("a", 300) + ".mp3"}, {"room.yaml", "a.mp3"}, {"..", "a.mp3"}, {"music/..", "a.mp3"}, {"/music", "a.mp3"}, {"music/", "a.mp3"}, {"music//x", "a.mp3"},
		{".hidden", "a.mp3"}, {"music/.x", "a.mp3"}, {"__MACOSX", "a.mp3"}, {".", "a.mp3"}, {strings.Repeat("a/", 9) + "a", "a.mp3"},
	} {
		if got, err := s.Place(c[0], c[1]); err == nil {
			t.Errorf("%q in %q is placed at %q", c[1], c[0], got)
		} else if no := new(Refusal); !errors.As(err, &no) || no.Code == "" {
			t.Errorf("%q in %q: %v is not a refusal", c[1], c[0], err)
		}
	}
}

func TestShelveWritesOverNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "playlists") // it is not there yet
	s := openShelf(t, root)
	for k, c := range []struct {
		content, place, file string
		there                bool
	}{
		{"one", "music/a.mp3", "music/a.mp3", false}, {"one", "music/a.mp3", "music/a.mp3", true}, {"two", "music/a.mp3", "music/a 2.mp3", false},
		{"two", "music/A.MP3", "music/a 2.mp3", true}, {"six", "Music/A.mp3", "music/A 3.mp3", false}, {"one", "b.mp3", "b.mp3", false},
	} {
		from := part(t, c.content)
		file, there, err := s.Shelve(t.Context(), from, c.place)
		if file != c.file || there != c.there || err != nil {
			t.Errorf("%d: %q, %v, %v", k, file, there, err)
		}
		if _, err := os.Stat(from); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%d: the part is left behind", k)
		}
	}
	if have := within(t, root); len(have) != 4 || have["music/a.mp3"] != "one" || have["music/a 2.mp3"] != "two" {
		t.Errorf("%v", have)
	}
}

// Links in the folder that lead out of it are not followed, whichever name they have.
func TestShelveFollowsNoLinkOut(t *testing.T) {
	root, out := t.TempDir(), t.TempDir()
	for _, name := range []string{"music", "a.mp3", bringing} {
		if err := os.Symlink(out, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(out, "new"), filepath.Join(root, "dangling")); err != nil {
		t.Fatal(err)
	}
	s := openShelf(t, root)
	for _, place := range []string{"music/a.mp3", "dangling/a.mp3", "../a.mp3", "/a.mp3", "x/../../a.mp3", ".hidden/a.mp3", "room.yaml"} {
		from := part(t, "x")
		if file, _, err := s.Shelve(t.Context(), from, place); err == nil {
			t.Errorf("%s is shelved at %s", place, file)
		} else if _, err := os.Stat(from); err != nil {
			t.Errorf("%s: the part is gone: %v", place, err)
		}
	}
	if file, _, err := s.Shelve(t.Context(), part(t, "x"), "a.mp3"); file != "a 2.mp3" || err != nil {
		t.Errorf("beside a link: %q, %v", file, err)
	}
	if have := within(t, out); len(have) != 0 {
		t.Errorf("outside of the folder there is %v", have)
	}
}

// TestShelveOnAnotherDisk copies to a disk of its own, fills that, and finds nothing left behind.
func TestShelveOnAnotherDisk(t *testing.T) {
	disk := rig.NewDisk(t, 4096)
	s := openShelf(t, disk.Dir)
	content := strings.Repeat("music", 100_000)
	if file, _, err := s.Shelve(t.Context(), part(t, content), "music/a.mp3"); err != nil || within(t, disk.Dir)[file] != content {
		t.Fatalf("%q, %v", file, err)
	}
	if err := s.Fits(1<<20, filepath.Join(t.TempDir(), "uploads")); err != nil {
		t.Error(err)
	}
	if err := s.Fits(4096<<10-600_000, t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "bring-space[needed 4 left 3]") {
		t.Errorf("what would take the reserve: %v", err)
	}
	disk.Fill()
	from := part(t, content+"2")
	_, _, err := s.Shelve(t.Context(), from, "music/b.mp3")
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %v", err)
	}
	if have := within(t, disk.Dir); len(have) != 2 {
		t.Errorf("%d files are on the disk, not the first and what fills it", len(have))
	}
	if _, err := os.Stat(from); err != nil {
		t.Error("the part is gone though it is nowhere else")
	}
	if err := s.Fits(1, t.TempDir()); err == nil || !strings.HasPrefix(err.Error(), "bring-space") {
		t.Errorf("a full disk: %v", err)
	}
	if err := openShelf(t, t.TempDir()).Fits(1, disk.Dir); err == nil {
		t.Error("it fits where it waits on a full disk")
	}
	disk.Free()
	if file, _, err := s.Shelve(t.Context(), from, "music/b.mp3"); err != nil || within(t, disk.Dir)[file] != content+"2" {
		t.Errorf("with space again: %q, %v", file, err)
	}
	// What was being copied when the process was killed.
	if err := os.WriteFile(filepath.Join(disk.Dir, bringing, "part-1"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	openShelf(t, disk.Dir)
	if _, err := os.Stat(filepath.Join(disk.Dir, bringing)); !errors.Is(err, os.ErrNotExist) {
		t.Error("a half copy is left behind")
	}
}

// FuzzPlace holds that whatever is shelved lies below the folder, and is something that the library reads.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{"a.mp3", "../a.mp3", "/a.mp3", "a/../../b.mp3", ".a.mp3", "a\x00.mp3", "room.yaml", "ROOM.yaml", "CON.mp3", "a\\b.mp3", "\u202ea.mp3"} {
		f.Add("music", s)
		f.Add(s, "a.mp3")
	}
	f.Fuzz(func(t *testing.T, folder, name string) {
		above := t.TempDir()
		root := filepath.Join(above, "playlists")
		s := openShelf(t, root)
		place, err := s.Place(folder, name)
		if err != nil {
			return
		}
		file, _, err := s.Shelve(t.Context(), part(t, "x"), place)
		if err != nil {
			t.Fatal(err)
		}
		if have := within(t, above); len(have) != 1 || have[filepath.Join("playlists", filepath.FromSlash(file))] != "x" {
			t.Fatalf("%v", have)
		}
		for _, p := range strings.Split(file, "/") {
			if hidden(p) || fold(p) == "room.yaml" {
				t.Fatalf("the library does not read %q", file)
			}
		}
	})
}
