package playlists

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roomd/player/decode/endings"
)

// Measure tells what a music file is: its tags, its length, its loudness. An error, or a Track with Problem set, is a
// file that can't be played. It is called from several goroutines.
type Measure func(ctx context.Context, path string) (Track, error)

// Moved finds a file that is not there any more by what was in it, among files that are there; paths are absolute. It is
// empty where it was never known or is nowhere.
type Moved func(ctx context.Context, path string, among []string) string

// maxTracks is how many tracks a playlist may name.
const maxTracks = 10_000

// copying is how long ago a file that is not whole may have changed to count as one that is still being copied.
const copying = 10 * time.Second

// Resolve finds and measures the music of a playlist that Parse has read without an error. root is the playlists
// folder and file the playlist's own file below it, with slashes; what the playlist names is relative to that file
// and stays below root, or in one of the folders outside of it that links may lead to: linked. root is empty for an embedded
// playlist, which names no files. moved may be nil: then a file that was moved is missing.
//
// The playlist that it returns is a new one with Music in place of Written. A track that is missing or broken keeps
// its place there, with Problem set, and is a warning: the bed covers it.
func Resolve(ctx context.Context, root, file string, pl *Playlist, measure Measure, moved Moved, linked ...string) (*Playlist, Problems) {
	r := &resolver{ctx: ctx, base: path.Dir(filepath.ToSlash(file)), measure: measure, moved: moved, tracks: map[string]*Track{}}
	if root != "" {
		if f, err := openFolder(root, linked...); err == nil {
			r.folder = f
		} else {
			r.say(Place{File: file}, Error, "the playlists folder can't be read", "check that it is there and may be read")
		}
	}
	out := *pl
	out.Phases = slices.Clone(pl.Phases)
	named := make([][]named, len(out.Phases))
	for i, ph := range out.Phases {
		if ph.Written != nil && ctx.Err() == nil {
			named[i] = r.name(ph.Written.Sources())
		}
	}
	r.run(named)
	for i := range out.Phases {
		ph := &out.Phases[i]
		if ph.Written == nil {
			continue
		}
		if ph.Order == Pooled {
			r.pool(ph, named[i])
		} else {
			ph.Music = r.items(named[i], ph.Stage)
		}
		r.enough(ph)
		ph.Written = nil
	}
	if ctx.Err() != nil {
		r.say(Place{File: file}, Error, "reading the music was interrupted", "try again")
	}
	return &out, r.problems.Sorted()
}

type resolver struct {
	ctx      context.Context
	folder   *folder // nil: there is none
	base     string  // the playlist's folder, relative to the root
	measure  Measure
	moved    Moved
	tracks   map[string]*Track // by path relative to the root
	count    int
	problems Problems
	all      []string // every music file, absolute; nil: not looked yet
}

// named is one piece of music that was found, or the name of one that was not.
type named struct {
	Place
	item  Item
	rel   string // relative to the root; empty: not a file, or not there
	entry listEntry
	of    int // which of the phase's sources names it
	// intensity is what its entry gives it; 0: nothing.
	intensity float64
	Part
}

func (r *resolver) say(at Place, s Severity, says, write string) {
	r.problems = append(r.problems, problem(at, s, says, write))
}

func (r *resolver) warn(at Place, says, write string) { r.say(at, Warning, says, write) }

// about gives the last problem a sentence of its own for who does not write files; of is the file, as the playlist names it.
func (r *resolver) about(code, of string) {
	p := &r.problems[len(r.problems)-1]
	*p = p.About(code, clip(path.Base(of)))
}

func (r *resolver) name(sources []Source) []named {
	var out []named
	dirs := make([]string, len(sources)) // where each plain file is
	for i, s := range sources {
		if s.Path != "" && r.folder != nil && !isAbsolute(s.Path) {
			if rel, info, err := r.findAs(r.base, s.Path); err == nil && !info.IsDir() {
				dirs[i] = path.Dir(rel)
			}
		}
	}
	for i, s := range sources {
		part := s.Part
		if part == nil {
			part = &Part{}
		}
		begin := len(out)
		switch {
		case s.Silence:
			out = append(out, named{Place: s.Place, item: Item{Silence: true}})
		case s.Bed != "":
			out = append(out, named{Place: s.Place, item: Item{Bed: s.Bed, Intensity: s.Intensity, Crossfade: part.Join}})
		default:
			ns := r.path(s, neighbors(dirs, i))
			if len(ns) == 1 && isAudio(s.Path) {
				ns[0].Part = *part
			} else if len(ns) > 0 && part.At != nil {
				r.say(*part.At, Error, fmt.Sprintf("%q is not one file, so it has no part", clip(s.Path)), "name one file: {file: a.flac, from: 0:30, to: 6:10}")
			}
			if len(ns) > 0 {
				ns[0].Join = part.Join
			}
			out = append(out, ns...)
		}
		for k := range out[begin:] {
			out[begin+k].of, out[begin+k].intensity = i, s.Intensity
		}
	}
	return out
}

// missing keeps the place of music that is not there. dir is the folder that its path p counts from.
func (r *resolver) missing(at Place, dir, p, problem string) named {
	t := &Track{Title: titleOf(p), Problem: problem}
	if rel := path.Join(dir, p); r.folder != nil && !isAbsolute(p) && !scheme.MatchString(p) && filepath.IsLocal(filepath.FromSlash(rel)) {
		t.File = r.folder.abs(rel)
	}
	return named{Place: at, item: Item{Track: t}}
}

func titleOf(p string) string {
	b := path.Base(strings.ReplaceAll(p, `\`, "/"))
	if t := strings.TrimSuffix(b, path.Ext(b)); t != "" && (isAudio(b) || isList(b)) {
		return t
	}
	return b
}

const streamWhy = "roomd plays no streams: a session must not depend on the network"

// path finds what one entry of the playlist's file names.
func (r *resolver) path(s Source, near []string) []named {
	p := s.Path
	leaves := func(write string) []named {
		r.say(s.Place, Error, fmt.Sprintf("%q leads out of the playlists folder", clip(p)), write)
		return nil
	}
	switch {
	case isStream(p):
		r.say(s.Place, Error, streamWhy, "put the file into the playlists folder and write its name")
		return nil
	case scheme.MatchString(p) && strings.HasPrefix(strings.ToLower(p), "file:"):
		r.say(s.Place, Error, "an address is not a path", "write the path relative to this file, such as arrival/01.flac")
		return nil
	case isAbsolute(p):
		write := "write it relative to this file, such as arrival/01.flac"
		if r.folder != nil {
			if rel, err := filepath.Rel(r.folder.root, p); err == nil && filepath.IsLocal(rel) {
				if near, err := filepath.Rel(filepath.FromSlash(r.base), rel); err == nil {
					write = "write " + filepath.ToSlash(near)
				}
			}
		}
		r.say(s.Place, Error, fmt.Sprintf("%q is an absolute path", clip(p)), write)
		return nil
	case r.folder == nil:
		r.say(s.Place, Error, fmt.Sprintf("%q can't be found: this playlist has no folder", clip(p)), "use beds")
		return nil
	}
	const inside = "put the music into the playlists folder"
	rel, info, err := r.findAs(r.base, p)
	switch {
	case errors.Is(err, errLeaves):
		return leaves(allow(err, inside))
	case errors.Is(err, errNoPlain):
		r.warn(s.Place, fmt.Sprintf("%q is not a plain file", clip(p)), "name a music file")
		return []named{r.missing(s.Place, r.base, p, "This is not a music file.")}
	case err == nil && info.IsDir():
		return r.dir(s, rel)
	case err == nil:
		return r.file(named{Place: s.Place, rel: rel}, 0, nil)
	case errors.Is(err, fs.ErrPermission):
		r.warn(s.Place, fmt.Sprintf("%q may not be read", clip(p)), "give everyone the right to read it")
		r.about("track-forbidden", p)
		return []named{r.missing(s.Place, r.base, p, "The file may not be read.")}
	}
	if strings.ContainsAny(p, "*?[{") {
		files, err := r.folder.glob(path.Join(r.base, p))
		switch {
		case errors.Is(err, errLeaves):
			return leaves(allow(err, inside))
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			r.say(s.Place, Error, fmt.Sprintf("%q is not a valid pattern", clip(p)), "write arrival/*.flac or deep/**/*.mp3")
			return nil
		case len(files) > 0:
			return r.files(s.Place, files)
		}
		r.warn(s.Place, fmt.Sprintf("no music file matches %q", clip(p)), "write arrival/*.flac or deep/**/*.mp3")
		r.about("tracks-missing", p)
		return []named{r.missing(s.Place, r.base, p, "No file matches.")}
	}
	if by := r.elsewhere(path.Join(r.base, p)); by != "" {
		near, bad := filepath.Rel(filepath.FromSlash(r.base), filepath.FromSlash(by))
		if bad != nil {
			near = by
		}
		r.warn(s.Place, fmt.Sprintf("%q is not there; roomd plays %s, which has the same content", clip(p), by), "write "+filepath.ToSlash(near))
		r.about("track-moved", p)
		return r.file(named{Place: s.Place, rel: by}, 0, nil)
	}
	by, says, how := r.guess(s.Place, r.base, p, listEntry{}, near)
	if by != "" {
		return r.file(named{Place: s.Place, rel: by}, 0, nil)
	}
	if says != "" {
		r.warn(s.Place, says, how)
		r.about("track-missing", p)
		return []named{r.missing(s.Place, r.base, p, "The file is not there.")}
	}
	write := "check its name; it is looked for beside this file"
	if b := strings.ToLower(p); slices.Contains(beds, Bed(b)) {
		write = "write {bed: " + b + "} for the bed"
	} else if near := r.folder.near(path.Join(r.base, p)); near != "" {
		write = "did you mean " + path.Join(path.Dir(p), near) + "?"
	}
	r.warn(s.Place, fmt.Sprintf("%q is not there", clip(p)), write)
	r.about("track-missing", p)
	return []named{r.missing(s.Place, r.base, p, "The file is not there.")}
}

// allow is what to do about a path that leads out: otherwise, and where it is a link that does, to allow its folder.
func allow(err error, otherwise string) string {
	var to leavesTo
	if errors.As(err, &to) {
		return fmt.Sprintf("%s, or allow links to its folder in room.yaml: music: [%s]", otherwise, string(to))
	}
	return otherwise
}

// elsewhere is where a music file went that was moved or renamed; empty: nowhere that is known. Paths are relative to the root.
func (r *resolver) elsewhere(rel string) string {
	if r.moved == nil || !isAudio(rel) || !filepath.IsLocal(filepath.FromSlash(rel)) {
		return ""
	}
	if r.all == nil {
		r.folder.walk(".", func(rel string) { r.all = append(r.all, r.folder.abs(rel)) })
	}
	now := r.moved(r.ctx, r.folder.abs(rel), r.all)
	if now == "" {
		return ""
	}
	by, err := filepath.Rel(r.folder.root, now)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(by)
}

func (r *resolver) dir(s Source, rel string) []named {
	files := r.folder.under(rel)
	if len(files) == 0 {
		r.warn(s.Place, fmt.Sprintf("there is no music in %q", clip(s.Path)), "put music files into it")
		r.about("tracks-missing", s.Path)
		return []named{r.missing(s.Place, r.base, s.Path, "The folder holds no music.")}
	}
	return r.files(s.Place, files)
}

func (r *resolver) files(at Place, files []string) []named {
	var out []named
	for _, f := range files {
		out = append(out, r.file(named{Place: at, rel: f}, 0, nil)...)
	}
	return out
}

// file takes a plain file: a track, or a list of them. lists are those that led here.
func (r *resolver) file(n named, depth int, lists []string) []named {
	switch {
	case isList(n.rel):
		if depth == maxListDepth || slices.Contains(lists, n.rel) {
			r.warn(n.Place, fmt.Sprintf("the list %q contains itself, or is nested too deep", clip(path.Base(n.rel))), "name the files")
			return nil
		}
		return r.list(n, depth+1, append(slices.Clone(lists), n.rel))
	case !isAudio(n.rel):
		r.warn(n.Place, fmt.Sprintf("%q is not a music file", clip(path.Base(n.rel))), "its name should end in "+orList(endings.Music))
		n.item = Item{Track: &Track{File: r.folder.abs(n.rel), Title: path.Base(n.rel), Problem: "This is not a music file."}}
		n.rel = ""
		return []named{n}
	case r.count == maxTracks:
		r.say(n.Place, Error, fmt.Sprintf("the playlist names more than %d tracks", maxTracks), "name fewer")
		r.count++
		return nil
	case r.count > maxTracks:
		return nil
	}
	r.count++
	return []named{n}
}

// list takes the entries of a music player's list, each relative to the list.
func (r *resolver) list(n named, depth int, lists []string) []named {
	file := n.rel
	display := path.Base(file)
	if rel, err := filepath.Rel(filepath.FromSlash(r.base), filepath.FromSlash(file)); err == nil {
		display = path.Join(path.Dir(filepath.ToSlash(n.File)), filepath.ToSlash(rel))
	}
	info, err := r.folder.stat(file)
	var data []byte
	if err == nil && info.Size() <= maxList {
		data, err = os.ReadFile(r.folder.abs(file))
	}
	if err != nil || info.Size() > maxList {
		r.warn(n.Place, fmt.Sprintf("the list %q can't be read", clip(display)), "check its rights and that it is a list of files")
		return []named{r.missing(n.Place, ".", n.rel, "The list can't be read.")}
	}
	l := readList(ending(file), data)
	switch streams := slices.IndexFunc(l.Entries, func(e listEntry) bool { return !isStream(e.Path) }) < 0; {
	case l.Says != "":
		r.warn(n.Place, fmt.Sprintf("%q can't be played: %s", clip(display), l.Says), l.Write)
		return []named{r.missing(n.Place, ".", n.rel, "It names no music files.")}
	case len(l.Entries) == 0:
		r.warn(n.Place, fmt.Sprintf("the list %q names no file", clip(display)), "write one path a line")
	case streams:
		r.warn(n.Place, fmt.Sprintf("the list %q names only internet streams, and a session must not depend on the network", clip(display)),
			"buy or rip the music as files, put them into the playlists folder, and name that folder")
		return []named{r.missing(n.Place, ".", n.rel, "A stream is not played.")}
	}
	if l.Cut {
		r.warn(n.Place, fmt.Sprintf("the list %q names more than %d files", clip(display), maxListEntries), "name fewer")
	}
	dirs := make([]string, len(l.Entries))
	for i, e := range l.Entries {
		if rel, info, err := r.listedAt(path.Dir(file), e.Path); err == nil && !info.IsDir() {
			dirs[i] = path.Dir(rel)
		}
	}
	var out []named
	for i, e := range l.Entries {
		at := Place{File: display, Line: e.Line, Col: 1, Source: e.Source}
		if len(at.Source) > maxSource {
			at.Source = ""
		}
		ns := r.listed(at, path.Dir(file), e, depth, lists, neighbors(dirs, i))
		if len(ns) == 1 {
			ns[0].Part = Part{From: e.From, To: e.To, At: &at}
		}
		out = append(out, ns...)
	}
	return out
}

// listedAt looks for an entry of a list where it says that it is: relative to the list, or by an absolute path that leads
// below the root.
func (r *resolver) listedAt(dir, entry string) (string, fs.FileInfo, error) {
	p, err := localPath(entry)
	if err != nil {
		return "", nil, err
	}
	if !isAbsolute(p) {
		return r.findAs(dir, p)
	}
	if in, err := filepath.Rel(r.folder.root, filepath.FromSlash(p)); err == nil && filepath.IsLocal(in) {
		return r.folder.find(filepath.ToSlash(in))
	}
	return "", nil, fs.ErrNotExist
}

func (r *resolver) listed(at Place, dir string, e listEntry, depth int, lists []string, near []string) []named {
	gone := func(says, write, problem string) []named {
		r.warn(at, says, write)
		if problem == "The file is not there." {
			r.about("track-missing", e.Path)
		}
		n := r.missing(at, dir, e.Path, problem)
		if e.Title != "" {
			n.item.Track.Title, n.item.Track.Artist = e.Title, e.Artist
		}
		return []named{n}
	}
	if isStream(e.Path) {
		return gone(streamWhy, "put the file into the playlists folder and name it here", "A stream is not played.")
	}
	p, err := localPath(e.Path)
	if err != nil {
		return gone(fmt.Sprintf("%q can't be read as an address", clip(e.Path)), "write a path", "The file is not there.")
	}
	rel, info, err := r.listedAt(dir, e.Path)
	if errors.Is(err, fs.ErrNotExist) && !isAbsolute(p) {
		if by := r.elsewhere(path.Join(dir, p)); by != "" {
			if rel, info, err = r.folder.find(by); err == nil {
				r.warn(at, fmt.Sprintf("%q is not there; roomd plays %s, which has the same content", clip(e.Path), by), "export the list anew")
				r.about("track-moved", e.Path)
			}
		}
	}
	says, write := "", ""
	linked := errors.Is(err, errLeaves) && filepath.IsLocal(filepath.FromSlash(path.Join(dir, p)))
	if err != nil && !linked {
		var by string
		if by, says, write = r.guess(at, dir, p, e, near); by != "" {
			rel, info, err = r.folder.find(by)
		}
	}
	switch {
	case err != nil && says != "":
		return gone(says, write, "The file is not there.")
	case errors.Is(err, errLeaves):
		return gone(fmt.Sprintf("%q leads out of the playlists folder", clip(e.Path)), allow(err, "put the music into the playlists folder"), "The file is not in the playlists folder.")
	case err != nil:
		return gone(fmt.Sprintf("%q is not there", clip(e.Path)), "check its name; it is looked for beside this list and below the playlists folder", "The file is not there.")
	case info.IsDir():
		return r.dir(Source{Place: at, Path: e.Path}, rel)
	}
	return r.file(named{Place: at, rel: rel, entry: e}, depth, lists)
}

// run measures each file once, some at a time.
func (r *resolver) run(all [][]named) {
	var mu sync.Mutex // guards r.tracks
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	seen := map[string]bool{}
	for _, ns := range all {
		for _, n := range ns {
			mu.Lock()
			known := r.tracks[n.rel] != nil
			mu.Unlock()
			if n.rel == "" || seen[n.rel] || known {
				continue
			}
			seen[n.rel] = true
			g.Go(func() error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				t := r.track(ctx, n.rel)
				mu.Lock()
				defer mu.Unlock()
				r.tracks[n.rel] = &t
				return nil
			})
		}
	}
	_ = g.Wait() // the context's end is told by Resolve
}

func (r *resolver) track(ctx context.Context, rel string) Track {
	file := r.folder.abs(rel)
	t, err := r.measure(ctx, file)
	t.File = file
	switch {
	case err != nil && t.Problem == "" && errors.Is(err, fs.ErrPermission):
		t.Problem = "The file may not be read."
	case err != nil && t.Problem == "" && errors.Is(err, fs.ErrNotExist):
		t.Problem = "The file is not there."
	case err != nil && t.Problem == "":
		t.Problem = noDecode
	case t.Problem == "" && t.Length <= t.LeadIn+t.LeadOut:
		t.Problem = "There is no sound in the file."
	}
	if info, bad := os.Stat(file); bad == nil && (t.Problem != "" || t.Damaged) && time.Since(info.ModTime()).Abs() < copying {
		t.Copying, t.Damaged, t.Problem = true, false, "The file is still being copied."
	}
	return t
}

// noDecode is why a track can't be played where nothing more is known.
const noDecode = "The file can't be played."

// items are the pieces with what was measured.
func (r *resolver) items(ns []named, stage Stage) []Item {
	var out []Item
	for _, n := range ns {
		n.item.At = n.Place
		if n.rel == "" {
			out = append(out, n.item)
			continue
		}
		m := r.tracks[n.rel]
		if m == nil { // interrupted
			continue
		}
		t := *m
		if t.Title == "" {
			t.Title = titleOf(n.rel)
		}
		if n.entry.Title != "" {
			t.Title = n.entry.Title
		}
		if n.entry.Artist != "" {
			t.Artist = n.entry.Artist
		}
		if n.entry.Album != "" {
			t.Album = n.entry.Album
		}
		if n.intensity > 0 {
			t.Intensity, t.Rated = n.intensity, true
		}
		wrong := t.Problem // of the file, not of the part
		r.part(n, &t)
		if t.Copying {
			r.warn(n.Place, fmt.Sprintf("%q is still being copied", clip(path.Base(n.rel))), "wait; roomd looks at it again by itself")
			r.about("track-copying", n.rel)
		} else if wrong != "" {
			says := fmt.Sprintf("%q can't be played", clip(path.Base(n.rel)))
			if t.Problem != noDecode {
				says += ": " + strings.TrimSuffix(lowerFirst(t.Problem), ".")
			}
			r.warn(n.Place, says, "replace the file or leave it out; until then the next track or the bed covers it")
			r.about("track-broken", n.rel)
		} else if t.Damaged {
			r.warn(n.Place, fmt.Sprintf("%q is damaged: parts of it can't be heard", clip(path.Base(n.rel))), "copy it again; until then roomd plays what is left of it")
			r.about("track-damaged", n.rel)
		}
		if t.Problem == "" && t.Voice && stage == Administration {
			r.warn(n.Place, fmt.Sprintf("%q has vocals, according to its tags", clip(path.Base(n.rel))), "vocals may guide the client here; choose an instrumental, or correct the tag")
			r.about("track-vocals", n.rel)
		}
		if t.Problem == "" && t.Levelled >= MuchLevelled {
			r.warn(n.Place, fmt.Sprintf("%q gets loud suddenly at %s, so roomd lowers it by %.0f dB there", clip(path.Base(n.rel)), formatClock(t.LevelledAt.Truncate(time.Second)), t.Levelled), "listen to it there, or choose another")
			r.about("track-sudden", n.rel)
		}
		if t.Problem == "" && len(out) > 0 {
			t.Joined = t.Crossfade == nil && joined(out[len(out)-1].Track, &t)
		}
		out = append(out, Item{Track: &t, At: n.Place})
	}
	return out
}

// MuchLevelled is from how many dB on a person should know that a track is levelled.
const MuchLevelled = 10

// joinEdge is the most silence at an edge where two tracks run into each other.
const joinEdge = 20 * time.Millisecond

// joined says whether b goes on where a ends: two parts of one file, or two of one album, in one folder, that sound to their very edges. Before
// they were heard through nothing is known of their edges.
func joined(a, b *Track) bool {
	if a != nil && a.File == b.File && a.To != 0 && a.To == b.From {
		return true // one part goes on where the other ends
	}
	return a != nil && a.Problem == "" && a.Measured && b.Measured && a.Album != "" && a.Album == b.Album && a.File != b.File &&
		filepath.Dir(a.File) == filepath.Dir(b.File) && a.LeadOut < joinEdge && b.LeadIn < joinEdge
}

// enough warns where a phase has tracks and none can be played.
func (r *resolver) enough(ph *Phase) {
	tracks := 0
	for _, it := range ph.Music {
		if it.Track == nil || it.Track.Problem == "" {
			return
		}
		tracks++
	}
	if tracks > 0 {
		r.say(ph.Written.Sources()[0].Place, Warning, fmt.Sprintf("phase %q has no music that can be played, so the bed covers it", ph.Name), "repair its files, or write {bed: ocean}")
		p := &r.problems[len(r.problems)-1]
		*p = p.About("phase-no-music", ph.Name)
	}
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
