package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// dataNames are what roomd makes in a data folder, as patterns. Other files there belong to somebody else.
var dataNames = []string{"room.yaml*", "roomd.db*", "desk.json", "identity.json", ".schema", "lights", "tls", "analysis", "uploads", "broker", lockFile, "syncthing.*", "before-restore-*", ".restore-*", ".backup-*"}

// makeData makes the data folder if it is missing.
func (c *call) makeData() error {
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	return nil
}

// tighten takes the data folder, and what roomd made in it, from everybody but its owner: earlier versions let the group
// read. It follows no link. The playlists folder keeps its rights, and so do the files below analysis, which nobody can
// reach: there may be 10,000 of them, and a card would take seconds.
func tighten(data string) error {
	root, err := os.OpenRoot(data)
	if err != nil {
		return err
	}
	defer root.Close()
	errs := []error{own(root, ".")}
	for _, pattern := range dataNames {
		names, err := fs.Glob(root.FS(), pattern)
		errs = append(errs, err)
		for _, top := range names {
			errs = append(errs, fs.WalkDir(root.FS(), top, func(name string, e fs.DirEntry, err error) error {
				switch {
				case errors.Is(err, fs.ErrNotExist):
					return nil
				case err != nil:
					return err
				case e.Type()&^fs.ModeDir != 0:
					return nil
				case e.IsDir() && path.Dir(name) == "analysis":
					return fs.SkipDir
				}
				return own(root, name)
			}))
		}
	}
	return errors.Join(errs...)
}

// own leaves a file's or folder's rights to its owner alone.
func own(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	return root.Chmod(name, info.Mode().Perm()&0o700)
}
