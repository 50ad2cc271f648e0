package playlists

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The umask of roomd; see keepPrivate.
func init() { syscall.Umask(0o007) }

// TestNoLinkLeadsOut plants a link at each path that roomd writes in a playlists folder, as a member of its group may: what it leads
// to is never changed, nor read.
func TestNoLinkLeadsOut(t *testing.T) {
	t.Parallel()
	for _, planted := range []string{".versions", ".versions/evening.1.yaml", ".schema", ".schema/playlist.json", ".ids.json", ".bringing", "new", "evening.yaml", "sub/evening.yaml", "sub"} {
		for _, to := range []string{"folder", "file", "nowhere"} {
			root, outside := t.TempDir(), t.TempDir()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(planted, to, err)
				}
			}
			text := []byte(playlistText("Theirs", "a.mp3"))
			must(os.Mkdir(filepath.Join(outside, "folder"), 0o755))
			for _, f := range []string{"file", "folder/evening.yaml", "folder/evening.1.yaml", "folder/playlist.json"} {
				must(os.WriteFile(filepath.Join(outside, f), text, 0o644))
			}
			must(os.MkdirAll(filepath.Join(root, "sub"), 0o755))
			for _, f := range []string{"evening.yaml", "sub/evening.yaml"} {
				must(os.WriteFile(filepath.Join(root, f), []byte(playlistText("Ours", "a.mp3")), 0o644))
			}
			at := filepath.Join(root, planted)
			must(errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.RemoveAll(at), os.Symlink(filepath.Join(outside, to), at)))

			// Each may be refused; none may reach what is outside.
			for _, name := range []string{"evening.yaml", "sub/evening.yaml"} {
				d, err := Load(root, name)
				if err != nil {
					continue
				}
				if d.Playlist.Name != "Ours" {
					t.Errorf("%s to %s: %s was read: %s", planted, to, name, d.Playlist.Name)
				}
				_ = d.With([]byte(playlistText("Changed", "a.mp3"))).Save(d.Revision)
				if was, err := d.Restore(1); err == nil && was.Playlist.Name == "Theirs" {
					t.Errorf("%s to %s: a version was read", planted, to)
				}
				_, _ = d.Versions()
			}
			_ = createFile(root, "new/made.yaml", text)
			_ = createFile(root, "made.yaml", text)
			_ = writeIDs(root, map[string]string{"a.yaml": "a"})
			_ = writeIDs(root, nil)
			if s, err := OpenShelf(root); err == nil {
				part := filepath.Join(t.TempDir(), "part")
				for _, place := range []string{"brought.yaml", "new/brought.yaml", "sub/brought.yaml"} {
					must(os.WriteFile(part, []byte(playlistText("Brought", "a.mp3")), 0o600))
					_, _, _ = s.Shelve(t.Context(), part, place)
					must(os.WriteFile(part, []byte(playlistText("Taken", "a.mp3")), 0o600))
					_ = s.take(t.Context(), part, "taken/"+place)
				}
			}
			err := filepath.WalkDir(outside, func(file string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				now, err := os.ReadFile(file)
				if err == nil && string(now) != string(text) {
					t.Errorf("%s to %s: %s is now\n%s", planted, to, file, now)
				}
				rel, _ := filepath.Rel(outside, file)
				if !strings.Contains("file folder/evening.yaml folder/evening.1.yaml folder/playlist.json", rel) {
					t.Errorf("%s to %s: %s was made", planted, to, rel)
				}
				return err
			})
			must(err)
		}
	}
}

// TestShared makes files and folders in a playlists folder that is a group's, and in one that is not.
func TestShared(t *testing.T) {
	t.Parallel()
	for group, want := range map[fs.FileMode][2]fs.FileMode{0o770 | fs.ModeSetgid: {0o770 | fs.ModeSetgid, 0o660}, 0o750: {0o750, 0o640}, 0o700: {0o700, 0o600}} {
		root := t.TempDir()
		if err := os.Chmod(root, group); err != nil {
			t.Fatal(err)
		}
		if err := createFile(root, "evening.yaml", []byte(playlistText("One", "a.mp3"))); err != nil {
			t.Fatal(err)
		}
		d, err := Load(root, "evening.yaml")
		if err == nil {
			err = d.With([]byte(playlistText("Two", "a.mp3"))).Save(d.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := OpenShelf(root)
		if err != nil {
			t.Fatal(err)
		}
		part := filepath.Join(t.TempDir(), "part")
		if err := os.WriteFile(part, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.take(t.Context(), part, "music/deep/a.mp3"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Shelve(t.Context(), part, "music/b.mp3"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".schema", ".schema/playlist.json", ".versions", ".versions/evening.1.yaml", "evening.yaml", "music", "music/deep", "music/deep/a.mp3", "music/b.mp3"} {
			st, err := os.Stat(filepath.Join(root, name))
			if err != nil {
				t.Error(err)
				continue
			}
			k := 1
			if st.IsDir() {
				k = 0
			}
			if got := st.Mode() & (fs.ModePerm | fs.ModeSetgid); got != want[k] {
				t.Errorf("%s in %v has %v, not %v", name, group, got, want[k])
			}
		}
	}
}
