package playlists

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
)

// Errors of a document.
var (
	// ErrChanged: somebody else has changed the file meanwhile.
	ErrChanged = errors.New("the file has changed meanwhile")
	// ErrNoFile: the playlist is not a file but a folder, a list, or a starter.
	ErrNoFile = errors.New("this playlist is not a file yet")
)

// Document is a playlist's file: its text, and the playlist that the text describes. It is a value; Edit and With return
// another one, and nothing is written before Save.
type Document struct {
	ID       string
	Name     string // of the file below the playlists folder, with slashes
	Text     []byte
	Revision string    // of Text
	Playlist *Playlist // not nil; with errors, what could be read
	Problems Problems  // of the text; from a Library also of its music, once that was measured

	root   string   // the playlists folder
	linked []string // folders outside of it that links may lead to
}

// Revision identifies a text.
func Revision(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// Load reads the playlist file with this name below root, with slashes. A file that is wrong is not an error: see
// Problems. A link must not lead out of root, except into one of the linked folders.
func Load(root, name string, linked ...string) (Document, error) {
	folder, err := openFolder(root, linked...)
	if err != nil {
		return Document{}, err
	}
	if _, err := folder.stat(name); err != nil {
		return Document{}, err
	}
	dir, base, err := folder.within(name)
	if err != nil {
		return Document{}, err
	}
	defer dir.Close()
	f, err := dir.Open(base)
	if err != nil {
		return Document{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // a longer one is an error of its text
	if err != nil {
		return Document{}, err
	}
	return Document{ID: strings.TrimSuffix(name, path.Ext(name)), Name: name, root: root, linked: linked}.With(text), nil
}

// With is the document with another text.
func (d Document) With(text []byte) Document {
	d.Text, d.Revision = text, Revision(text)
	d.Playlist, d.Problems = Parse(d.ID, d.Name, text)
	return d
}

// Save writes the document if its file is still at revision was, and keeps what it replaces as a version. It writes
// nothing if the text has errors (see Problems) or has not changed. The error is ErrChanged or what the disk says.
func (d Document) Save(was string) error {
	now, err := Load(d.root, d.Name, d.linked...)
	switch {
	case err != nil:
		return err
	case now.Revision != was:
		return ErrChanged
	case len(d.Problems.Errors()) > 0 || now.Revision == d.Revision:
		return nil
	}
	if err := now.keep(); err != nil {
		return fmt.Errorf("keep the earlier version: %w", err)
	}
	folder, err := openFolder(d.root, d.linked...)
	if err != nil {
		return err
	}
	dir, name, err := folder.within(d.Name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return replaceFile(dir, name, d.Text)
}

// keptVersions is how many earlier versions of a file are kept.
const keptVersions = 20

// Version is an earlier text of a file. They are kept below the playlists folder as .versions/NAME.NUMBER.yaml.
type Version struct {
	Number   int       `json:"number"` // the oldest is 1
	Replaced time.Time `json:"replaced"`
	Revision string    `json:"revision"`
}

// versionFile is the path of a version, below the playlists folder. With "*" for the number it is a pattern for all of them.
func (d Document) versionFile(number string) string {
	end := path.Ext(d.Name)
	return filepath.Join(".versions", filepath.FromSlash(strings.TrimSuffix(d.Name, end)+"."+number+end))
}

// numbers are those of the versions below the playlists folder, the oldest first.
func (d Document) numbers(root *os.Root) ([]int, error) {
	pre, end, _ := strings.Cut(filepath.Base(d.versionFile("*")), "*")
	entries, err := fs.ReadDir(root.FS(), path.Dir(filepath.ToSlash(d.versionFile("*"))))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), pre); ok && strings.HasSuffix(rest, end) {
			if n, err := strconv.Atoi(strings.TrimSuffix(rest, end)); err == nil {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// Versions are the earlier texts of the file, the latest first. There are at most 20.
func (d Document) Versions() ([]Version, error) {
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	numbers, err := d.numbers(root)
	out := []Version{}
	for _, n := range slices.Backward(numbers) {
		file := d.versionFile(strconv.Itoa(n))
		info, err := root.Stat(file)
		if err != nil {
			return nil, err
		}
		text, err := root.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out = append(out, Version{n, info.ModTime(), Revision(text)})
	}
	return out, err
}

// Restore is the document with the text of a version. Saving it makes the present text a version in turn. The error is
// fs.ErrNotExist where there is no such version.
func (d Document) Restore(number int) (Document, error) {
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return d, err
	}
	defer root.Close()
	text, err := root.ReadFile(d.versionFile(strconv.Itoa(number)))
	if err != nil {
		return d, err
	}
	return d.With(text), nil
}

// Compare is what d's text has otherwise than version number, as a unified diff; empty: nothing.
func (d Document) Compare(number int) (string, error) {
	was, err := d.Restore(number)
	return string(diff.Diff(fmt.Sprintf("version %d", number), was.Text, "now", d.Text)), err
}

// keep makes the text a version.
func (d Document) keep() error {
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return err
	}
	defer root.Close()
	numbers, err := d.numbers(root)
	if err != nil {
		return err
	}
	dir, err := makeFolder(root, filepath.Dir(d.versionFile("*")))
	if err != nil {
		return err
	}
	defer dir.Close()
	next := 1
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	if err := replaceFile(dir, filepath.Base(d.versionFile(strconv.Itoa(next))), d.Text); err != nil {
		return err
	}
	for _, n := range numbers[:max(0, len(numbers)+1-keptVersions)] {
		_ = root.Remove(d.versionFile(strconv.Itoa(n)))
	}
	return nil
}

// createFile writes a playlist file that was not there, with a line that leads editors to the schema: whole or not at
// all, and never over another. The error is then fs.ErrExist.
func createFile(root, name string, text []byte, linked ...string) error {
	if err := writeSchema(root); err != nil {
		return err
	}
	folder, err := openFolder(root, linked...)
	if err != nil {
		return err
	}
	dir, base, err := folder.within(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	text = append([]byte("# yaml-language-server: $schema="+strings.Repeat("../", strings.Count(name, "/"))+schemaFile+"\n"), text...)
	aside := ".new-" + rand.Text()
	defer func() { _ = dir.Remove(aside) }()
	if err := replaceFile(dir, aside, text); err != nil {
		return err
	}
	// A link takes a name only if it is free. A stick's file system has none.
	if err := dir.Link(aside, base); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := dir.Lstat(base); !errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(err, fs.ErrExist)
	}
	return dir.Rename(aside, base)
}

// Document is the file of a playlist. The error is ErrNoFile where the playlist is a folder, a list or a starter, and
// fs.ErrNotExist where there is no such playlist.
func (l *Library) Document(id string) (Document, error) {
	l.mu.Lock()
	s, ok := l.shelf[id]
	l.mu.Unlock()
	switch {
	case !ok:
		return Document{}, fs.ErrNotExist
	case s.file == "" || s.drafted:
		return Document{}, ErrNoFile
	}
	d, err := Load(cmp.Or(s.root, l.o.Folder), s.file, l.o.Linked...)
	if err != nil {
		return d, err
	}
	d.ID, d.Playlist.ID = id, id
	if e, ok := l.Get(id); ok && e.Playlist != nil && e.Playlist.Revision == d.Revision {
		d.Problems = e.Problems
	}
	return d, nil
}

// Save writes a document as Document.Save does, and lists it.
func (l *Library) Save(d Document, was string) error {
	l.saving.Lock()
	defer l.saving.Unlock()
	err := d.Save(was)
	if err == nil {
		l.scan()
	}
	return err
}

// Found writes the file of a playlist that has none: of a folder or list beside it, of a starter into the playlists
// folder. It never overwrites a file: the error is then fs.ErrExist.
func (l *Library) Found(id string) (string, error) {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	s, ok := l.shelf[id]
	var text []byte
	if ok {
		text = s.text
	}
	l.mu.Unlock()
	if !ok {
		return "", fs.ErrNotExist
	}
	name := draftFile(s.file)
	switch {
	case s.file == "": // a starter
		base := strings.TrimPrefix(id, "starter/")
		var err error
		if text, err = StarterFile(base); err != nil {
			return "", err
		}
		name = base + ".yaml"
	case !s.drafted:
		return "", fs.ErrExist
	}
	if err := createFile(l.o.Folder, name, text, l.o.Linked...); err != nil {
		return "", err
	}
	l.scan()
	return l.idOf(name), nil
}

// idOf is the ID of the playlist with this file.
func (l *Library) idOf(file string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.shelf {
		if s.file == file && s.root == "" && !s.drafted {
			return id
		}
	}
	return strings.TrimSuffix(file, path.Ext(file))
}
