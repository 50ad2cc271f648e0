package playlists

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"roomd/player/decode/endings"
)

func isAudio(name string) bool  { return endings.IsMusic(name) }
func ending(name string) string { return endings.Of(name) }

// hidden are names that no person has given: of the system, of a share, of a Mac's second fork.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "@") || name == "__MACOSX"
}

var (
	errLeaves  = errors.New("leads out of the playlists folder")
	errNoPlain = errors.New("not a plain file")
)

// maxWalked is how many files a folder may hold below it, and how deep.
const (
	maxWalked = 100_000
	maxDeep   = 32
)

// folder finds files below one root. Paths are relative to the root, with slashes. Nothing outside is ever returned,
// whatever links are in it. It keeps what it has read, so it is made anew for each look.
type folder struct {
	root string   // absolute
	real string   // the same with its links followed
	also []string // folders outside that links may lead to, with their own links followed
	dirs map[string][]fs.DirEntry
	tree map[string][]string // audio files by folded name; nil: not walked yet
}

// openFolder opens a root. linked are folders outside of it that links in it may lead to; one that is not there, such as a
// share that is not mounted, is left out.
func openFolder(root string, linked ...string) (*folder, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, err
	}
	f := &folder{root: abs, real: real, dirs: map[string][]fs.DirEntry{}}
	for _, l := range linked {
		if to, err := filepath.EvalSymlinks(l); err == nil && filepath.IsAbs(to) {
			f.also = append(f.also, to)
		}
	}
	return f, nil
}

func (f *folder) abs(rel string) string { return filepath.Join(f.root, filepath.FromSlash(rel)) }

// within opens the folder that rel lies in, with links followed: below the root, or below a folder that links may lead to.
// name is rel's in it. rel need not be there.
func (f *folder) within(rel string) (dir *os.Root, name string, err error) {
	real, err := filepath.EvalSymlinks(f.abs(rel))
	if errors.Is(err, fs.ErrNotExist) {
		real, err = filepath.EvalSymlinks(f.abs(path.Dir(rel)))
		real = filepath.Join(real, path.Base(rel))
	}
	if err != nil {
		return nil, "", err
	}
	for _, base := range append([]string{f.real}, f.also...) {
		if !inside(base, real) {
			continue
		}
		top, err := os.OpenRoot(base)
		if err != nil {
			return nil, "", err
		}
		defer top.Close()
		below, err := filepath.Rel(base, real)
		if err != nil {
			return nil, "", err
		}
		dir, err := top.OpenRoot(filepath.Dir(below))
		return dir, filepath.Base(below), err
	}
	return nil, "", f.linked(rel)
}

// fold makes names equal that differ in case or in their Unicode form only.
func fold(s string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(s))) }

func (f *folder) read(dir string) []fs.DirEntry {
	if es, ok := f.dirs[dir]; ok {
		return es
	}
	es, err := os.ReadDir(f.abs(dir))
	if err != nil {
		es = nil
	}
	f.dirs[dir] = es
	return es
}

// find is the path as it is on the disk: rel itself, or the one that differs in case or Unicode form only.
func (f *folder) find(rel string) (string, fs.FileInfo, error) {
	rel = path.Clean(rel)
	if !filepath.IsLocal(filepath.FromSlash(rel)) {
		return "", nil, errLeaves
	}
	if info, err := f.stat(rel); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return rel, info, err
	}
	at := "."
	for _, part := range strings.Split(rel, "/") {
		name := ""
		for _, e := range f.read(at) {
			if e.Name() == part {
				name = part
				break
			}
			if name == "" && fold(e.Name()) == fold(part) {
				name = e.Name()
			}
		}
		if name == "" {
			return "", nil, fs.ErrNotExist
		}
		at = path.Join(at, name)
	}
	info, err := f.stat(at)
	return at, info, err
}

// stat follows links, as far as they stay below the root, and takes plain files and folders only: a pipe would hold
// up whoever opens it.
func (f *folder) stat(rel string) (fs.FileInfo, error) {
	real, err := filepath.EvalSymlinks(f.abs(rel))
	if err != nil {
		return nil, err
	}
	if !inside(f.real, real) && !f.abroad(real) {
		return nil, f.linked(rel)
	}
	info, err := os.Stat(real)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return nil, errNoPlain
	}
	return info, err
}

func inside(dir, file string) bool {
	in, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(in)
}

// abroad says whether a path whose links were followed is in a folder that links may lead to.
func (f *folder) abroad(real string) bool {
	return slices.ContainsFunc(f.also, func(dir string) bool { return inside(dir, real) })
}

// leavesTo is errLeaves by a link: the folder that it leads to.
type leavesTo string

func (l leavesTo) Error() string        { return fmt.Sprintf("%v, to %s", errLeaves, string(l)) }
func (l leavesTo) Is(target error) bool { return target == errLeaves }

// linked is the error of a path of which a part is a link that leads out.
func (f *folder) linked(rel string) error {
	at := "."
	for _, part := range strings.Split(rel, "/") {
		at = path.Join(at, part)
		real, err := filepath.EvalSymlinks(f.abs(at))
		if err != nil {
			break
		}
		if inside(f.real, real) {
			continue
		}
		if info, err := os.Stat(real); err == nil && !info.IsDir() {
			real = filepath.Dir(real)
		}
		return leavesTo(real)
	}
	return errLeaves
}

// walk calls each with every audio file below dir. Links to files are followed, and so are links to folders that are allowed
// by name; other links to folders are not, as they may lead in circles.
func (f *folder) walk(dir string, each func(rel string)) {
	n := 0
	var down func(dir string, depth int)
	down = func(dir string, depth int) {
		for _, e := range f.read(dir) {
			if n++; n > maxWalked || hidden(e.Name()) {
				continue
			}
			rel := path.Join(dir, e.Name())
			switch {
			case e.IsDir():
				if depth < maxDeep {
					down(rel, depth+1)
				}
			case e.Type().IsRegular() && isAudio(e.Name()):
				each(rel)
			case e.Type()&fs.ModeSymlink != 0:
				info, err := f.stat(rel)
				switch {
				case err != nil:
				case !info.IsDir() && isAudio(e.Name()):
					each(rel)
				case info.IsDir() && depth < maxDeep && f.leadsAbroad(dir, rel):
					down(rel, depth+1)
				}
			}
		}
	}
	down(dir, 0)
}

// leadsAbroad says whether a link in a folder of the root itself leads to a folder that is allowed by name. A link that is met
// in such a folder is not followed: it may lead back.
func (f *folder) leadsAbroad(dir, rel string) bool {
	if len(f.also) == 0 {
		return false
	}
	home, err := filepath.EvalSymlinks(f.abs(dir))
	if err != nil || !inside(f.real, home) {
		return false
	}
	to, err := filepath.EvalSymlinks(f.abs(rel))
	return err == nil && !inside(f.real, to) && f.abroad(to)
}

// under are the audio files below a folder, in natural order.
func (f *folder) under(dir string) []string {
	var out []string
	f.walk(dir, func(rel string) { out = append(out, rel) })
	naturally(out)
	return out
}

// glob are the audio files that match a pattern, in natural order. It matches whatever the case and Unicode form.
func (f *folder) glob(pattern string) ([]string, error) {
	pattern = path.Clean(pattern)
	if !doublestar.ValidatePattern(pattern) || strings.Count(pattern, "**") > 2 || len(pattern) > maxPath {
		return nil, doublestar.ErrBadPattern
	}
	base, rest := doublestar.SplitPattern(pattern)
	dir, info, err := f.find(base)
	if err != nil || !info.IsDir() {
		return nil, err
	}
	var out []string
	rest = fold(rest)
	f.walk(dir, func(rel string) {
		name := rel
		if dir != "." {
			name = strings.TrimPrefix(rel, dir+"/")
		}
		if doublestar.MatchUnvalidated(rest, fold(name)) {
			out = append(out, rel)
		}
	})
	naturally(out)
	return out, nil
}

// near is a name beside rel that was probably meant.
func (f *folder) near(rel string) string {
	var names []string
	for _, e := range f.read(path.Dir(rel)) {
		if !hidden(e.Name()) && len(names) < 1000 {
			names = append(names, e.Name())
		}
	}
	return nearest(path.Base(rel), names)
}

var digits = regexp.MustCompile(`\d+`)

// counted writes a 1 before each number, without its leading zeros: their order is the same, and none is 0, which the
// collation puts after all others (golang.org/x/text v0.43).
func counted(name string) string {
	return digits.ReplaceAllStringFunc(name, func(n string) string { return "1" + strings.TrimLeft(n, "0") })
}

// naturally sorts paths as people count: 2 before 10, whatever the case, folder by folder.
func naturally(paths []string) {
	c := collate.New(language.Und, collate.Numeric, collate.IgnoreCase)
	var buf collate.Buffer
	keys := make(map[string][][]byte, len(paths))
	for _, p := range paths {
		var key [][]byte
		for _, part := range strings.Split(p, "/") {
			if utf8.ValidString(part) {
				key = append(key, slices.Clone(c.KeyFromString(&buf, counted(part))))
			} else {
				key = append(key, []byte(part))
			}
			buf.Reset()
		}
		keys[p] = key
	}
	slices.SortFunc(paths, func(a, b string) int {
		if d := slices.CompareFunc(keys[a], keys[b], slices.Compare[[]byte]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}
