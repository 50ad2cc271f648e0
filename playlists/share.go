package playlists

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Whoever may write to the playlists folder may put links there, also while roomd works in it. So all that roomd writes in it
// goes through an os.Root, which no link leads out of.

// groupOf returns what the group may do in a folder. What roomd makes in it is the group's as far: files of a folder with
// mode 2770 get 0660, those of a folder with mode 0700 get 0600.
func groupOf(dir *os.Root) (fs.FileMode, error) {
	info, err := dir.Stat(".")
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm() & 0o070, nil
}

// makeFolder makes a folder below root, with those above it, and opens it.
func makeFolder(root *os.Root, name string) (*os.Root, error) {
	name = filepath.Clean(name)
	dir, err := root.OpenRoot(name)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || name == "." {
		return dir, err
	}
	above, err := makeFolder(root, filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	defer above.Close()
	group, err := groupOf(above)
	if err != nil {
		return nil, err
	}
	if err := above.Mkdir(filepath.Base(name), 0o700|group); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return above.OpenRoot(filepath.Base(name))
}

// replaceFile writes a file in dir whole or not at all. The rights of one that is there stay; a link is replaced.
func replaceFile(dir *os.Root, name string, text []byte) error {
	group, err := groupOf(dir)
	if err != nil {
		return err
	}
	return writeAt(dir, name, text, 0o600|group&0o060)
}

// Put moves a file below a playlists folder to another place in it, over what is there, and gives it to the group as far as its
// new folder is the group's.
func Put(root *os.Root, from, to string) error {
	dir, err := makeFolder(root, filepath.Dir(to))
	if err != nil {
		return err
	}
	defer dir.Close()
	group, err := groupOf(dir)
	if err != nil {
		return err
	}
	if err := root.Chmod(from, 0o600|group&0o060); err != nil {
		return err
	}
	return root.Rename(from, to)
}
