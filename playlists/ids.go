package playlists

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// idsFile holds the IDs of files that share a name, by file; it is there only where some do.
const idsFile = ".ids.json"

// keptIDs are the IDs that files have had, by file.
func (l *Library) keptIDs() map[string]string {
	kept := map[string]string{}
	if dir, err := os.OpenRoot(l.o.Folder); err == nil {
		text, err := dir.ReadFile(idsFile)
		if err == nil && json.Unmarshal(text, &kept) != nil {
			l.o.Log.Warn("IDs of playlists can't be read", "file", idsFile)
		}
		dir.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.shelf {
		if s.file != "" && s.root == "" && !s.drafted {
			kept[s.file] = id
		}
	}
	return kept
}

// keepIDs remembers the IDs of files that share a name, for the next start.
func (l *Library) keepIDs(files []string, ids map[string]string) {
	shared, first := map[string]string{}, map[string]string{}
	for _, rel := range files {
		base := strings.TrimSuffix(rel, path.Ext(rel))
		if other, twice := first[base]; twice {
			shared[rel], shared[other] = ids[rel], ids[other]
		} else if first[base] = rel; ids[rel] != base {
			shared[rel] = ids[rel]
		}
	}
	if maps.Equal(shared, l.sharedIDs) {
		return
	}
	l.sharedIDs = shared
	if err := writeIDs(l.o.Folder, shared); err != nil {
		l.o.Log.Warn("IDs of playlists can't be kept", "file", filepath.Join(l.o.Folder, idsFile), "err", err)
	}
}

// writeIDs writes the file of IDs; none: it removes it.
func writeIDs(folder string, shared map[string]string) error {
	dir, err := os.OpenRoot(folder)
	if len(shared) == 0 && errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer dir.Close()
	if len(shared) == 0 {
		if err := dir.Remove(idsFile); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.MarshalIndent(shared, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(dir, idsFile, append(text, '\n'))
}

// called is the ID that a playlist is named by: its ID, or else its file. Call it with l.mu held.
func (l *Library) called(name string) string {
	if _, ok := l.shelf[name]; !ok {
		for id, s := range l.shelf {
			if s.file == name && s.root == "" {
				return id
			}
		}
	}
	return name
}

// renamed warns that a file's ID is not its name, since another file has that.
func renamed(id, rel string) Problems {
	base := strings.TrimSuffix(rel, path.Ext(rel))
	if id == base || strings.ContainsRune(id, '?') {
		return nil
	}
	return Problems{problem(Place{File: rel}, Warning, fmt.Sprintf("another playlist is already called %q, so this one is called %q", base, id), "rename the file").About("playlist-renamed", id)}
}
