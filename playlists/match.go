package playlists

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A list that comes from another computer, or is older than the folder it stands in, names files where they are not. What
// is left of such a path is its end. It is found by these rules:
//
//   - The file's name has to be the same, whatever its case and Unicode form.
//   - The folder that holds an album counts. Those of its discs (CD1, Disc 2) do not, nor do folders that hold everything
//     (Music, Downloads).
//   - A file of another album is never taken, unless its own tags say that it is the one.
//   - Where several files remain, the one beside the entry's neighbors in the list is meant, or none.
//   - Whatever is taken is told, with both paths, unless one of them is the whole end of the other.

var disc = regexp.MustCompile(`^(?:(?:cd|dvd|disc|disk|lp|side|seite|part|teil|vol|volume)?[\s._#-]*(?:\d{1,3}|[a-d])?|(?:cd|disc|disk)\s*\d{1,3}\b.*)$`)

// containers are folders that hold music of every kind.
var containers = []string{"music", "my music", "musik", "musique", "música", "audio", "mp3", "flac", "songs", "tracks", "downloads", "desktop", "documents", "home", "users",
	"media", "mnt", "volumes", "usb", "library", "itunes", "itunes media", "itunes music", "playlists", "compilations", "unknown album", "unknown artist", "various artists"}

// albumOf is the folder of a path's album, as a name and with what is above it; empty where the path names none.
func albumOf(p string) (name, dir string) {
	for dir = path.Dir(p); ; dir = path.Dir(dir) {
		name = fold(path.Base(dir))
		switch {
		case dir == "." || dir == "/" || windows.MatchString(name+"/"), slices.Contains(containers, name):
			return "", dir
		case !disc.MatchString(name):
			return name, dir
		}
	}
}

// sameAlbum says whether two names may be of one album: "Quiet Album" is "quiet-album (Remastered)".
func sameAlbum(a, b string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, fold(s))
	}
	a, b = plain(a), plain(b)
	return a != "" && (a == b || min(len(a), len(b)) >= 6 && (strings.Contains(a, b) || strings.Contains(b, a)))
}

// match is what a path that is not there may mean. Paths are relative to the root.
type match struct {
	rel      string   // the file; empty: none, or several
	whole    bool     // one path is the end of the other
	rivals   []string // several that are as likely
	stranger string   // it has the name, and is of another album
}

// match finds files by the end of a path that counts from dir.
func (f *folder) match(dir, p string) (m match) {
	if f.tree == nil {
		f.tree = map[string][]string{}
		f.walk(".", func(rel string) {
			k := fold(path.Base(rel))
			f.tree[k] = append(f.tree[k], rel)
		})
	}
	p = path.Clean(p)
	want := strings.Split(strings.TrimPrefix(fold(p), "/"), "/")
	for want[0] == ".." && len(want) > 1 {
		want = want[1:]
	}
	album, _ := albumOf(p)
	best := 0
	for _, c := range f.tree[want[len(want)-1]] {
		have := strings.Split(fold(c), "/")
		n, told := 0, false
		for n < len(have) && n < len(want) && have[len(have)-1-n] == want[len(want)-1-n] {
			name := have[len(have)-1-n]
			told = told || n > 0 && !disc.MatchString(name) && !slices.Contains(containers, name)
			n++
		}
		if other, _ := albumOf(c); album != "" && other != "" && !told && !sameAlbum(album, other) {
			if m.stranger == "" || path.Dir(c) == dir {
				m.stranger = c
			}
			continue
		}
		switch {
		case n > best:
			best, m.rel, m.rivals = n, c, []string{c}
			m.whole = told && (n == len(have) || n == len(want))
		case n == best:
			m.rel = ""
			m.rivals = append(m.rivals, c)
		}
	}
	return m
}

// beside is a rival in the album of the nearest neighbor that has one; empty where no neighbor tells.
func (m match) beside(near []string) string {
	for _, dir := range near {
		var album []string // the rivals in the neighbor's album
		for _, c := range m.rivals {
			_, a := albumOf(c)
			_, b := albumOf(path.Join(dir, "x"))
			if path.Dir(c) == dir {
				return c
			} else if a == b {
				album = append(album, c)
			}
		}
		if len(album) == 1 {
			return album[0]
		}
	}
	return ""
}

// neighbors are the folders of the entries around entry i, the nearest first. dirs holds each entry's; empty: not found.
func neighbors(dirs []string, i int) (near []string) {
	for d := 1; d < len(dirs) && len(near) < 4; d++ {
		for _, k := range []int{i - d, i + d} {
			if k >= 0 && k < len(dirs) && dirs[k] != "" && !slices.Contains(near, dirs[k]) {
				near = append(near, dirs[k])
			}
		}
	}
	return near
}

// guess is the file that a path which leads nowhere means, told with a warning. dir is the folder that the path counts from.
// Without one, says and write are why not.
func (r *resolver) guess(at Place, dir, p string, e listEntry, near []string) (rel, says, write string) {
	if !isAudio(p) {
		return "", "", ""
	}
	shown := clip(p)
	if e.Path != "" {
		shown = clip(e.Path)
	}
	near = append(slices.Clone(near), dir)
	display := func(rel string) string {
		if by, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(rel)); err == nil {
			return filepath.ToSlash(by)
		}
		return rel
	}
	take := func(rel, why string) (string, string, string) {
		r.say(at, Warning, fmt.Sprintf("%q is not there; roomd plays %s, %s", shown, rel, why), "write "+display(rel))
		r.about("track-moved", shown)
		return rel, "", ""
	}
	m := r.folder.match(dir, p)
	if un, err := pathUnescape(p); err == nil && un != p && m.rel == "" && len(m.rivals) == 0 {
		p, m = un, r.folder.match(dir, un)
	}
	switch {
	case m.rel != "" && m.whole:
		return m.rel, "", ""
	case m.rel != "":
		return take(m.rel, "which has the same name")
	case len(m.rivals) > 0:
		if rel := m.beside(near); rel != "" {
			return take(rel, "the file of this name beside its neighbors")
		}
		var some []string
		for _, c := range m.rivals[:min(4, len(m.rivals))] {
			some = append(some, display(c))
		}
		if len(m.rivals) > len(some) {
			some = append(some, "…")
		}
		return "", fmt.Sprintf("%q is not there; %d files have this name: %s", shown, len(m.rivals), strings.Join(some, ", ")), "write the folder too, such as " + some[0]
	case m.stranger != "":
		if r.tagged(m.stranger, p, e) {
			return take(m.stranger, "the same recording according to its tags")
		}
		return "", fmt.Sprintf("%q is not there; %s has the same name but belongs to another album", shown, m.stranger), "write " + display(m.stranger) + " if it is the one"
	}
	if by := r.folder.renamed(path.Join(dir, p)); by != "" {
		return take(by, "which has the same name with another ending")
	}
	return "", "", ""
}

// tagged says whether a file's tags name the album of a path, or the artist and title of a list's entry.
func (r *resolver) tagged(rel, p string, e listEntry) bool {
	if r.measure == nil {
		return false // a first idea of a playlist looks into no file
	}
	t := r.tracks[rel]
	if t == nil {
		now := r.track(r.ctx, rel)
		t = &now
		r.tracks[rel] = t
	}
	album, _ := albumOf(p)
	if t.Problem != "" {
		return false
	}
	return sameAlbum(album, t.Album) || e.Album != "" && sameAlbum(e.Album, t.Album) ||
		e.Title != "" && e.Artist != "" && fold(e.Title) == fold(t.Title) && fold(e.Artist) == fold(t.Artist)
}

// renamed is the file that stands where a path names one of another kind: album.wav was made album.flac later.
func (f *folder) renamed(rel string) string {
	dir, _, err := f.find(path.Dir(rel))
	if err != nil {
		return ""
	}
	stem := func(name string) string { return fold(strings.TrimSuffix(path.Base(name), path.Ext(name))) }
	found := ""
	for _, e := range f.read(dir) {
		if isAudio(e.Name()) && stem(e.Name()) == stem(rel) {
			if info, err := f.stat(path.Join(dir, e.Name())); err != nil || info.IsDir() {
				continue
			}
			if found != "" {
				return "" // two could be meant
			}
			found = path.Join(dir, e.Name())
		}
	}
	return found
}

// findAs looks for a path below a folder as written, with a Windows computer's slashes, and with its escapes undone.
func (r *resolver) findAs(dir, p string) (rel string, info fs.FileInfo, err error) {
	un, bad := pathUnescape(p)
	if bad != nil {
		un = p
	}
	for _, as := range slices.Compact([]string{p, strings.ReplaceAll(p, `\`, "/"), un, strings.ReplaceAll(un, `\`, "/")}) {
		if rel, info, err = r.folder.find(path.Join(dir, as)); !errors.Is(err, fs.ErrNotExist) {
			return rel, info, err
		}
	}
	return rel, info, err
}
