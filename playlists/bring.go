package playlists

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"roomd/player/decode/endings"
)

// Limits of what is brought into a playlists folder.
const (
	maxBrought = 200       // bytes of one name, so that a number can stand behind it
	maxFolders = 8         // how deep a folder may be
	keptFree   = 500 << 20 // bytes that nothing brought may take, or a twentieth of a disk that is smaller than 10 GB
	bringing   = ".bringing"
)

// Shelf brings files into a playlists folder. It writes over nothing, and never outside of the folder. Its methods may be
// called from anywhere.
type Shelf struct {
	root string
	free func(dir string) (free, size uint64, err error) // bytes
	mu   sync.Mutex                                      // held while a file gets its name
}

// OpenShelf makes the shelf of a playlists folder, which need not exist yet. What an earlier process was copying when it
// was killed is removed.
func OpenShelf(folder string) (*Shelf, error) {
	root, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("the shelf: %w", err)
	}
	// A link of this name is removed itself, not what it leads to.
	if err := os.RemoveAll(filepath.Join(root, bringing)); err != nil {
		return nil, fmt.Errorf("the shelf: %w", err)
	}
	return &Shelf{root: root, free: DiskSpace}, nil
}

// Belongs says whether a file of this name is one that a library is made of: audio, a list or a playlist.
func Belongs(name string) bool {
	return isAudio(name) || isList(name) && ending(name) != ".csv" || slices.Contains([]string{".yaml", ".yml"}, ending(name))
}

// Writing says whether a file of this name was written, not recorded: a list or a playlist.
func Writing(name string) bool { return Belongs(name) && !isAudio(name) }

// Refusal is why something is not brought: the code of the sentence in room/english.json, which says what to do too, and the names and
// values of its arguments in turn. Err is what only an engineer reads.
type Refusal struct {
	Code string
	Args []any
	Err  error
}

func (r *Refusal) Error() string { return fmt.Sprint(r.Code, r.Args, r.Err) }
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(code string, args ...any) *Refusal { return &Refusal{Code: code, Args: args} }

func (r *Refusal) because(err error) *Refusal {
	r.Err = err
	return r
}

// Place is where a file of this name goes in a folder below the playlists folder, empty for the playlists folder itself:
// a path with slashes, below it. The error is a *Refusal.
func (s *Shelf) Place(folder, name string) (string, error) {
	name = norm.NFC.String(name)
	if no := unfit(name); no != nil {
		return "", no
	}
	if !Belongs(name) {
		if isList(name) {
			return "", refuse("bring-table", "name", name)
		}
		return "", refuse("bring-other", "name", name, "endings", strings.Join(append(slices.Clone(endings.Music), listEndings...), ", "))
	}
	if folder == "" {
		return name, nil
	}
	parts := strings.Split(norm.NFC.String(folder), "/")
	if len(parts) > maxFolders {
		return "", refuse("bring-deep", "folders", maxFolders)
	}
	for _, p := range parts {
		if no := unfit(p); no != nil {
			return "", no
		}
	}
	return path.Join(append(parts, name)...), nil
}

// unfit says what is wrong with the name of a file or a folder; nil: nothing.
func unfit(name string) *Refusal {
	odd := func(c rune) bool {
		return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) && c != '\u200c' && c != '\u200d'
	}
	switch {
	case strings.TrimSpace(name) == "":
		return refuse("bring-nameless")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, odd):
		return refuse("bring-unseen", "name", strings.Map(func(c rune) rune {
			if c == utf8.RuneError || odd(c) {
				return '\uFFFD'
			}
			return c
		}, name))
	case len(name) > maxBrought:
		return refuse("bring-long", "name", name)
	case strings.ContainsAny(name, `/\`):
		return refuse("bring-slash", "name", name)
	case fold(name) == "room.yaml" || fold(name) == "room.yml":
		return refuse("bring-own", "name", name)
	case hidden(name) || !filepath.IsLocal(name) || strings.TrimSpace(name) != name:
		return refuse("bring-name", "name", name)
	}
	return nil
}

// Fits says whether a file of so many bytes may be written into the playlists folder, and before that into the folder
// where it waits until it is whole. Neither need be there yet. The error is a *Refusal.
func (s *Shelf) Fits(size int64, waits string) error {
	for _, dir := range []string{s.root, waits} {
		if err := s.fits(dir, size); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shelf) fits(dir string, size int64) error {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, whole, err := s.free(dir)
	if err != nil {
		return refuse("bring-disk").because(err)
	}
	reserve := min(uint64(keptFree), whole/20)
	if size < 0 || free < reserve || uint64(size) > free-reserve {
		left := uint64(0)
		if free > reserve {
			left = free - reserve
		}
		return refuse("bring-space", "needed", (max(size, 0)+1<<20-1)>>20, "left", left>>20)
	}
	return nil
}

// Shelve moves a whole file to where Place said. It returns where it is now, below the playlists folder: where another file has
// the name, a number is put behind it. there: a file of this name and content was there already, and part is removed. On
// an error part is as it was, and nothing is left in the playlists folder.
func (s *Shelf) Shelve(ctx context.Context, part, place string) (file string, there bool, err error) {
	wrap := func(err error) (string, bool, error) { return "", false, fmt.Errorf("shelve %s: %w", place, err) }
	dir, name := path.Split(place)
	if at, err := s.Place(strings.TrimSuffix(dir, "/"), name); err != nil || at != place {
		return wrap(errors.Join(errLeaves, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return wrap(err)
	}
	f, err := openFolder(s.root)
	if err != nil {
		return wrap(err)
	}
	at, err := f.folders(path.Clean(dir))
	if err != nil {
		return wrap(err)
	}
	name, there, err = f.vacant(ctx, part, at, name)
	file = path.Join(at, name)
	switch {
	case err != nil:
		return wrap(err)
	case there:
		if err := os.Remove(part); err != nil {
			return wrap(err)
		}
		return file, true, nil
	}
	to, name, err := f.within(file)
	if err != nil {
		return wrap(err)
	}
	defer to.Close()
	if err := moveInto(part, to, name); err == nil {
		return file, false, syncDir(to)
	}
	// Another file system: a copy gets its name when it is whole and on the disk.
	whole, err := s.copied(ctx, part)
	if err != nil {
		return wrap(err)
	}
	if err := moveInto(whole, to, name); err != nil {
		return wrap(errors.Join(err, os.Remove(whole)))
	}
	return file, false, errors.Join(syncDir(to), os.Remove(part))
}

// moveInto moves a file into a folder on the same file system, and gives it to the folder's group.
func moveInto(file string, to *os.Root, name string) error {
	group, err := groupOf(to)
	if err != nil {
		return err
	}
	from, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return err
	}
	defer from.Close()
	if err := from.Chmod(filepath.Base(file), 0o600|group&0o060); err != nil {
		return err
	}
	return renameAt(from, filepath.Base(file), to, name)
}

// folders is a folder as it is on the disk, made where it is not there.
func (f *folder) folders(rel string) (string, error) {
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return "", err
	}
	defer root.Close()
	at := "."
	for _, part := range strings.Split(rel, "/") {
		next := path.Join(at, part)
		if have, info, err := f.find(next); err == nil {
			if !info.IsDir() {
				return "", fmt.Errorf("%s is a file, not a folder", have)
			}
			at = have
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		// A link that leads nowhere has the name: it is not followed.
		if _, err := root.Lstat(next); err == nil {
			return "", fmt.Errorf("%s is a link that leads nowhere", next)
		}
		dir, err := makeFolder(root, next)
		if err != nil {
			return "", err
		}
		dir.Close()
		at = next
	}
	return at, nil
}

// vacant is name, with a number behind it where another file has it. there: a file that has it is the same.
func (f *folder) vacant(ctx context.Context, part, dir, name string) (free string, there bool, err error) {
	taken := map[string][]string{}
	es, err := os.ReadDir(f.abs(dir))
	if err != nil {
		return "", false, err
	}
	for _, e := range es {
		taken[fold(e.Name())] = append(taken[fold(e.Name())], e.Name())
	}
	stem, ext := strings.TrimSuffix(name, path.Ext(name)), path.Ext(name)
	for n := 2; ; n++ {
		have := taken[fold(name)]
		if len(have) == 0 {
			return name, false, nil
		}
		for _, h := range have {
			rel := path.Join(dir, h)
			info, err := f.stat(rel)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			if same, err := sameContent(ctx, part, f.abs(rel)); err != nil || same {
				return h, same, err
			}
		}
		name = fmt.Sprintf("%s %d%s", stem, n, ext)
	}
}

func sameContent(ctx context.Context, a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	ia, err := fa.Stat()
	if err != nil {
		return false, err
	}
	ib, err := fb.Stat()
	if err != nil || ia.Size() != ib.Size() {
		return false, err
	}
	bufA, bufB := make([]byte, 1<<20), make([]byte, 1<<20)
	for ctx.Err() == nil {
		na, err := io.ReadFull(fa, bufA)
		nb, errB := io.ReadFull(fb, bufB)
		if !bytes.Equal(bufA[:na], bufB[:nb]) {
			return false, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return err == errB, nil
		}
		if err := errors.Join(err, errB); err != nil {
			return false, err
		}
	}
	return false, ctx.Err()
}

// copied is a copy of a file on the playlists folder's file system, under a name that no library reads. It is on the disk.
func (s *Shelf) copied(ctx context.Context, file string) (name string, err error) {
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := root.Mkdir(bringing, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if info, err := root.Lstat(bringing); err != nil || !info.IsDir() {
		return "", errors.Join(errLeaves, err)
	}
	dir, err := root.OpenRoot(bringing)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	from, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer from.Close()
	part := "part-" + rand.Text()
	to, err := dir.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, stopping{ctx, from})
	err = errors.Join(err, to.Sync(), to.Close())
	if err != nil {
		return "", errors.Join(err, dir.Remove(part))
	}
	return filepath.Join(s.root, bringing, part), nil
}

// stopping reads until ctx ends.
type stopping struct {
	ctx  context.Context
	from io.Reader
}

func (s stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.from.Read(p)
}
