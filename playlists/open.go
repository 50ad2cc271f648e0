package playlists

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Open returns the ID of the playlist that a person names: by its ID, which wins, or by the path of its file, folder or
// list. A file outside of the library's folder joins the library until it is closed, under the path as ID; its own folder
// is then the root that its music stays below. The error is fs.ErrNotExist, fs.ErrPermission, or says what to do.
func (l *Library) Open(word string) (string, error) {
	l.mu.Lock()
	id := l.called(filepath.ToSlash(filepath.Clean(word)))
	_, ok := l.shelf[id]
	l.mu.Unlock()
	if ok {
		return id, nil
	}
	real, err := filepath.EvalSymlinks(word)
	if err != nil {
		return "", err
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", err
	}
	if id := l.inside(real); id != "" {
		return id, nil
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	if ext := strings.ToLower(path.Ext(real)); !info.Mode().IsRegular() || ext != ".yaml" && ext != ".yml" {
		return "", fmt.Errorf("%s is not a playlist file: write one with roomd playlist new %s", word, word)
	}
	d, err := Load(filepath.Dir(real), filepath.Base(real))
	if err != nil {
		return "", err
	}
	name := d.Name
	d.Name = word // as problems say it
	d = d.With(d.Text)
	s := &shelved{file: name, root: filepath.Dir(real), raw: d.Playlist, problems: d.Problems}
	if len(d.Problems.Errors()) == 0 {
		s.due = time.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shelf[word] = s
	return word, nil
}

// inside is the ID of the playlist with this absolute path, if it is in the library's folder.
func (l *Library) inside(real string) string {
	root, err := filepath.EvalSymlinks(l.o.Folder)
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(root, real)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := l.called(filepath.ToSlash(rel)); l.shelf[id] != nil {
		return id
	}
	return ""
}

// Missing says in a sentence why Open found no playlist.
func Missing(word string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no playlist or file %q", word)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("%s can't be read: roomd's user may not read it", word)
	}
	return err.Error()
}
