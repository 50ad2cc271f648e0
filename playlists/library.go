package playlists

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/fsnotify/fsnotify"
)

// How the library keeps up with its folder.
const (
	rescanEvery  = 30 * time.Second // shares tell of no change
	rescanAbsent = 2 * time.Second  // while the folder is not there
	settle       = 300 * time.Millisecond
	settleMost   = 1500 * time.Millisecond // a file that is being copied changes all the time
	againAfter   = 5 * time.Second         // analyses come one by one; a playlist is not measured anew for each
	maxPlaylists = 2000
)

// Entry is one playlist of a library.
type Entry struct {
	ID       string
	File     string    // below the folder, with slashes; empty: a starter
	Playlist *Playlist // with its Music where Ready, else as far as it could be read
	Problems Problems  // of the file, then of its music
	Ready    bool      // it can be played
}

// LibraryOptions say what a library is made of.
type LibraryOptions struct {
	Folder  string
	Linked  []string // absolute; folders outside that links in Folder may lead to
	Measure Measure
	Moved   Moved // nil: a file that was moved is missing
	// Known is what is known of a file without a look into it; nil: nothing.
	Known func(file string) (Track, bool)
	// Check finds what else is wrong with a playlist as written; nil: nothing.
	Check func(*Playlist) Problems
	// CheckMusic finds what is wrong with one whose music is known; nil: nothing.
	CheckMusic func(*Playlist) Problems
	// Busy, where it is set and true, holds the measuring of music that appeared by itself: a session runs. A playlist whose file was
	// written meanwhile, and what is asked for by Resolve, is measured all the same: somebody waits for it.
	Busy   func() bool
	Rescan time.Duration // how often the folder is scanned without a notification; default 30 s
	Log    *slog.Logger  // nil: none
}

// Library is the playlists of one folder and its subfolders, and the starters, which are there whatever becomes of the
// folder. Every .yaml and .yml file is a playlist but room.yaml, hidden files and what is in hidden folders. So is a
// folder of music that has no such file in it, and a music player's list, unless a playlist names them: see Draft. The
// folders "music" and "usb" are shelves: not they are playlists, but the folders in them. Files are read at once and their music is measured in the background, one playlist after the other.
//
// Its methods may be called from anywhere.
type Library struct {
	o       LibraryOptions
	changed chan struct{}
	kick    chan struct{} // something may have to be measured
	turned  chan struct{} // a file was added, removed or written

	saving sync.Mutex // held while a playlist's file is written

	look sync.Mutex // held while the folder is looked through; guards sharedIDs

	sharedIDs map[string]string // of files that share a name, as written; nil: not yet

	mu       sync.Mutex // guards the rest
	shelf    map[string]*shelved
	starters []string // their IDs, in order
	problems Problems // of the folder
	absent   bool     // the folder can't be read
	music    uint64   // a sum of all music files' names, sizes and times
	dirs     []string // absolute
	files    []seen   // all that count, in the order of the last look
}

// shelved is one playlist as last read. Guarded by Library.mu; the playlists it points to are never changed.
type shelved struct {
	file     string
	root     string // of a file outside of the library's folder; empty: it is inside
	drafted  bool   // the file is a folder or a list
	edited   bool   // its file was written since the library was opened, and not measured since
	text     []byte // of a draft
	stamp    string // size and time of the file
	raw      *Playlist
	problems Problems // of the file
	resolved *Playlist
	heard    Problems  // of the music and of Check
	due      time.Time // when its music is to be measured; zero: it was
	retry    time.Time // when it is to be looked at again, as a file of it is still being copied; zero: none is
}

// next is when the playlist is to be measured; zero: not before something changes.
func (s *shelved) next() time.Time {
	if s.due.IsZero() {
		return s.retry
	}
	return s.due
}

// NewLibrary reads the folder's playlists, not their music. Run does that, and keeps up with the folder.
func NewLibrary(o LibraryOptions) *Library {
	if o.Rescan <= 0 {
		o.Rescan = rescanEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if abs, err := filepath.Abs(o.Folder); err == nil {
		o.Folder = abs
	}
	l := &Library{o: o, changed: make(chan struct{}, 1), kick: make(chan struct{}, 1), turned: make(chan struct{}, 1), shelf: map[string]*shelved{}}
	for _, pl := range Starters() {
		l.starters = append(l.starters, pl.ID)
		l.shelf[pl.ID] = &shelved{raw: pl, resolved: resolveStarter(pl), heard: l.check(pl)}
	}
	l.scan()
	return l
}

func (l *Library) check(pl *Playlist) Problems {
	if l.o.Check == nil {
		return nil
	}
	return l.o.Check(pl)
}

// Changed tells that List may be otherwise now. It has one reader.
func (l *Library) Changed() <-chan struct{} { return l.changed }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// List is every playlist: those of the folder in natural order, then the starters.
func (l *Library) List() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, s := range l.shelf {
		if s.file != "" {
			ids = append(ids, id)
		}
	}
	naturally(ids)
	out := make([]Entry, 0, len(l.shelf))
	for _, id := range append(ids, l.starters...) {
		out = append(out, l.shelf[id].entry(id))
	}
	return out
}

// Get is one playlist by its ID, or by its file.
func (l *Library) Get(id string) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id = l.called(id)
	s, ok := l.shelf[id]
	if !ok {
		return Entry{}, false
	}
	return s.entry(id), true
}

func (s *shelved) entry(id string) Entry {
	e := Entry{ID: id, File: s.file, Playlist: s.raw, Problems: slices.Concat(s.problems, s.heard)}
	if s.resolved != nil {
		e.Playlist, e.Ready = s.resolved, len(e.Problems.Errors()) == 0
	}
	return e
}

// Problems are what is wrong with the folder itself, not with its playlists.
func (l *Library) Problems() Problems {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.problems)
}

// Resolve is a playlist as its file and music are now. It may take as long as measuring its music takes. It is false
// where there is no such playlist.
func (l *Library) Resolve(ctx context.Context, id string) (Entry, bool) {
	l.scan()
	for {
		l.mu.Lock()
		id = l.called(id)
		s, ok := l.shelf[id]
		fresh := ok && s.due.IsZero()
		l.mu.Unlock()
		if !ok || fresh || !l.resolve(ctx, id, s) {
			break
		}
	}
	return l.Get(id)
}

// Again has every playlist with this music file measured anew, within seconds: more is known of it now.
func (l *Library) Again(file string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.shelf {
		if s.resolved != nil && s.due.IsZero() && s.resolved.has(file) {
			s.due = time.Now().Add(againAfter)
			poke(l.kick)
		}
	}
}

// copying says whether one of its files is not there as a whole yet.
func (p *Playlist) copying() bool {
	return slices.ContainsFunc(p.Phases, func(ph Phase) bool {
		return slices.ContainsFunc(ph.Music, func(it Item) bool { return it.Track != nil && it.Track.Copying })
	})
}

func (p *Playlist) has(file string) bool {
	return slices.ContainsFunc(p.Phases, func(ph Phase) bool {
		return slices.ContainsFunc(ph.Music, func(it Item) bool { return it.Track != nil && it.Track.File == file })
	})
}

// Run keeps up with the folder, and measures its music, until ctx ends.
func (l *Library) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { l.measureAll(ctx) })
	var events <-chan fsnotify.Event
	var failures <-chan error
	w, err := fsnotify.NewWatcher()
	if err != nil {
		l.o.Log.Warn("changes in the playlists folder are seen late", "every", l.o.Rescan, "err", err)
	} else {
		defer w.Close()
		events, failures = w.Events, w.Errors
	}
	complained := false
	for {
		l.scan()
		if w != nil {
			more, err := l.watch(w)
			if err != nil && !complained {
				complained = true
				l.o.Log.Warn("changes in the playlists folder are seen late", "every", l.o.Rescan, "err", err)
			}
			if more && ctx.Err() == nil {
				continue
			}
		}
		l.mu.Lock()
		next := l.o.Rescan
		if l.absent {
			next = min(next, rescanAbsent)
		}
		l.mu.Unlock()
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-failures: // too many changes at once, mostly: look at everything
		case <-events:
			// A copy is many changes: wait until it is quiet, but not for long.
			quiet, most := time.NewTimer(settle), time.After(settleMost)
			for waiting := true; waiting; {
				select {
				case <-ctx.Done():
					return nil
				case <-events:
					quiet.Reset(settle)
				case <-failures:
				case <-quiet.C:
					waiting = false
				case <-most:
					waiting = false
				}
			}
			quiet.Stop()
		}
		timer.Stop()
	}
}

// watch has the watcher tell of changes in every folder. It is true where it did not watch one of them before: what
// has happened there since the last look is not told of.
func (l *Library) watch(w *fsnotify.Watcher) (more bool, err error) {
	l.mu.Lock()
	dirs := slices.Clone(l.dirs)
	l.mu.Unlock()
	gone := map[string]bool{}
	for _, d := range w.WatchList() { // one that was deleted is not listed, even if it was made again
		gone[d] = true
	}
	for _, d := range dirs {
		if gone[d] {
			delete(gone, d)
			continue
		}
		switch e := w.Add(d); {
		case e == nil:
			more = true
		case !errors.Is(e, fs.ErrNotExist):
			err = e
		}
	}
	for d := range gone {
		_ = w.Remove(d) // mostly its watch is gone with it
	}
	return more, err
}

// found is what a look at the folder has seen.
type found struct {
	playlists []string // below the folder, with slashes
	lists     []string
	folders   map[string]holds // those that may be playlists
	infos     map[string]fs.FileInfo
	music     uint64
	dirs      []string
	files     []seen
	problems  Problems
}

// holds is what is somewhere in a folder.
type holds struct{ music, playlist bool }

// shelves are folders that hold what may be playlists.
var shelves = []string{"music", "usb"}

// folderOf is the folder that a file would be a playlist with; empty: none.
func folderOf(rel string) string {
	parts := strings.Split(rel, "/")
	n := 1
	if slices.Contains(shelves, fold(parts[0])) {
		n = 2
	}
	if len(parts) <= n {
		return ""
	}
	return path.Join(parts[:n]...)
}

func (l *Library) walk() (*found, error) {
	f := &found{infos: map[string]fs.FileInfo{}, folders: map[string]holds{}}
	sum := fnv.New64a()
	root, err := filepath.EvalSymlinks(l.o.Folder)
	if err != nil {
		return f, err
	}
	also, err := openFolder(root, l.o.Linked...)
	if err != nil {
		return f, err
	}
	n := 0
	var visit func(p string, d fs.DirEntry, err error) error
	visit = func(p string, d fs.DirEntry, err error) error {
		rel, bad := filepath.Rel(root, p)
		if bad != nil {
			return bad
		}
		rel = filepath.ToSlash(rel)
		if err != nil {
			if rel == "." {
				return err
			}
			if !errors.Is(err, fs.ErrNotExist) {
				f.problems = append(f.problems, problem(Place{File: rel}, Warning, "this folder can't be read", "check that roomd's user may read it").About("playlists-folder-part", rel))
			}
			return nil
		}
		if rel != "." && hidden(path.Base(rel)) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if n++; n > maxWalked {
			f.problems = append(f.problems, problem(Place{File: l.o.Folder}, Warning, fmt.Sprintf("the playlists folder holds more than %d files", maxWalked), "keep only the music of playlists in it").About("playlists-many-files", fmt.Sprint(maxWalked)))
			return fs.SkipAll
		}
		if d.IsDir() {
			if strings.Count(rel, "/") >= maxDeep {
				return fs.SkipDir
			}
			f.dirs = append(f.dirs, p)
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 && also.leadsAbroad(path.Dir(rel), rel) {
			return filepath.WalkDir(p+string(filepath.Separator)+".", visit) // the folder itself, by the link's name
		}
		isPlaylist := slices.Contains([]string{".yaml", ".yml"}, ending(rel)) && !slices.Contains([]string{"room.yaml", "room.yml"}, strings.ToLower(d.Name()))
		if !isPlaylist && !isAudio(rel) && !isBrowsed(rel) {
			return nil
		}
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() {
			return nil // gone meanwhile, or nothing that can be read
		}
		f.files = append(f.files, seen{rel, info.Size(), info.ModTime().UnixNano(), !isAudio(rel)})
		if isPlaylist {
			if len(f.playlists) == maxPlaylists {
				f.problems = append(f.problems, problem(Place{File: l.o.Folder}, Warning, fmt.Sprintf("there are more than %d playlists", maxPlaylists), "move some out of the folder").About("playlists-many", fmt.Sprint(maxPlaylists)))
			}
			if len(f.playlists) < maxPlaylists {
				f.playlists = append(f.playlists, rel)
				f.infos[rel] = info
			}
			in := f.folders[folderOf(rel)]
			in.playlist = true
			f.folders[folderOf(rel)] = in
			return nil
		}
		if isBrowsed(rel) {
			f.lists = append(f.lists, rel)
		} else if in := f.folders[folderOf(rel)]; !in.music {
			in.music = true
			f.folders[folderOf(rel)] = in
		}
		fmt.Fprintln(sum, rel, info.Size(), info.ModTime().UnixNano())
		return nil
	}
	err = filepath.WalkDir(root, visit)
	if info, bad := os.Stat(root); err == nil && (bad != nil || !info.IsDir()) {
		err = errors.Join(bad, fmt.Errorf("%s is not a folder", l.o.Folder))
	}
	f.music = sum.Sum64()
	return f, err
}

// scan looks through the folder, and reads what is new or changed.
func (l *Library) scan() {
	l.look.Lock()
	defer l.look.Unlock()
	f, err := l.walk()
	if err != nil {
		p := problem(Place{File: l.o.Folder}, Warning, "the playlists folder is not there", "make it and put playlists into it; until then there are the starter playlists").About("playlists-no-folder", l.o.Folder)
		if !errors.Is(err, fs.ErrNotExist) {
			p.Says, p.Write = "the playlists folder can't be read", "check that it is a folder and that roomd's user may read it; until then there are the starter playlists"
			p.Code = "playlists-folder-unreadable"
		}
		f = &found{problems: Problems{p}}
	}
	l.mu.Lock()
	old := map[string]string{} // file → stamp
	ids := map[string]string{} // file → ID
	taken := map[string]bool{}
	for id, s := range l.shelf {
		if s.file == "" || s.root != "" {
			taken[id] = true
		} else {
			old[s.file] = s.stamp
		}
	}
	l.mu.Unlock()
	slices.Sort(f.playlists)
	read := map[string]*shelved{}
	// A file keeps its ID while it is there, so that a schedule never plays another one.
	kept := l.keptIDs()
	for _, rel := range f.playlists {
		if id := kept[rel]; id != "" && !taken[id] {
			taken[id], ids[rel] = true, id
		}
	}
	name := func(rel string) string {
		if id, ok := ids[rel]; ok {
			return id
		}
		id := strings.ToValidUTF8(strings.TrimSuffix(rel, path.Ext(rel)), "?")
		for base, n := id, 2; taken[id]; n++ {
			id = fmt.Sprintf("%s-%d", base, n)
		}
		taken[id], ids[rel] = true, id
		return id
	}
	for _, rel := range f.playlists {
		id, info := name(rel), f.infos[rel]
		stamp := fmt.Sprint(id, " ", info.Size(), " ", info.ModTime().UnixNano())
		if old[rel] != stamp {
			read[id] = l.readFile(id, rel, stamp)
		}
	}
	l.keepIDs(f.playlists, ids)
	for _, rel := range l.unwritten(f, read) {
		id := name(rel)
		if stamp := fmt.Sprint(id, " ", f.music); old[rel] != stamp {
			s := &shelved{file: rel, drafted: true, stamp: stamp}
			s.text, s.raw, s.problems = l.draft(context.Background(), id, rel, nil)
			s.problems = unplaced(s.problems, rel)
			read[id] = s
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	change := len(read) > 0 || l.absent != (err != nil) || !slices.Equal(l.problems, f.problems)
	for id, s := range l.shelf {
		if s.file != "" && s.root == "" && ids[s.file] != id {
			delete(l.shelf, id)
			change = true
		}
	}
	now := time.Now()
	for id, s := range read {
		if len(s.problems.Errors()) == 0 {
			s.due, s.edited = now, !s.drafted && len(l.dirs) > 0
		}
		l.shelf[id] = s
	}
	if l.music != f.music {
		for _, s := range l.shelf {
			if s.file != "" && len(s.problems.Errors()) == 0 {
				s.due = now
			}
		}
	}
	if err != nil && !l.absent {
		l.o.Log.Warn("the playlists folder can't be read", "folder", l.o.Folder, "err", err)
	}
	l.absent, l.problems, l.music, l.dirs = err != nil, f.problems, f.music, f.dirs
	if !slices.Equal(l.files, f.files) {
		l.files = f.files
		poke(l.turned)
	}
	poke(l.kick)
	if change {
		poke(l.changed)
	}
}

// unwritten are the folders and lists that are playlists without a file. read are the playlist files that are new.
func (l *Library) unwritten(f *found, read map[string]*shelved) []string {
	var named []string // folders and files that playlists name, folded
	note := func(s *shelved) {
		for _, ph := range s.raw.Phases {
			if ph.Written == nil {
				continue
			}
			for _, src := range ph.Written.Sources() {
				if src.Path != "" {
					p := path.Join(path.Dir(s.file), strings.ReplaceAll(src.Path, `\`, "/"))
					if strings.ContainsAny(p, "*?[{") {
						p, _ = doublestar.SplitPattern(p)
					}
					named = append(named, fold(path.Clean(p)))
				}
			}
		}
	}
	l.mu.Lock()
	for id, s := range l.shelf {
		if _, again := read[id]; !again && s.file != "" && !s.drafted && slices.Contains(f.playlists, s.file) {
			note(s)
		}
	}
	l.mu.Unlock()
	for _, s := range read {
		note(s)
	}
	slices.Sort(named)
	named = slices.Compact(named)
	used := func(rel string) bool {
		rel = fold(rel)
		return slices.ContainsFunc(named, func(n string) bool {
			return n == "." || n == rel || strings.HasPrefix(n, rel+"/") || strings.HasPrefix(rel, n+"/")
		})
	}
	var out []string
	for dir, in := range f.folders {
		if dir != "" && in.music && !in.playlist && !used(dir) {
			out = append(out, dir)
		}
	}
	for _, rel := range f.lists {
		if in := f.folders[folderOf(rel)]; (folderOf(rel) == "" || in.playlist || !in.music) && !used(rel) {
			out = append(out, rel)
		}
	}
	slices.Sort(out)
	return out[:min(len(out), maxPlaylists)]
}

// draft is the playlist that a folder or list stands for. Without measure it is a first idea of it.
func (l *Library) draft(ctx context.Context, id, rel string, measure Measure) ([]byte, *Playlist, Problems) {
	text, problems, err := Draft(ctx, l.o.Folder, rel, measure, l.o.Linked...)
	if err != nil {
		return nil, &Playlist{ID: id, Name: id}, append(problems, problem(Place{File: rel}, Error, err.Error(), "put music into it").About("playlist-no-music", ""))
	}
	pl, wrong := Parse(id, draftFile(rel), text)
	pl.Revision = "" // its text changes with whatever is found out of the music
	return text, pl, append(problems, wrong...)
}

// unplaced has problems of a file that nobody wrote stand at what it was made from.
func unplaced(problems Problems, rel string) Problems {
	var out Problems
	for _, p := range problems {
		if p.File == draftFile(rel) {
			p.Place = Place{File: rel}
		}
		out = append(out, p)
	}
	return out.Sorted()
}

// readFile reads one playlist file. It never waits for music.
func (l *Library) readFile(id, rel, stamp string) *shelved {
	s := &shelved{file: rel, stamp: stamp, raw: &Playlist{ID: id, Name: id}}
	d, err := Load(l.o.Folder, rel, l.o.Linked...)
	switch {
	case errors.Is(err, errLeaves):
		s.problems = Problems{problem(Place{File: rel}, Error, "the file is a link that leads out of the playlists folder", "copy the file itself").About("playlist-outside", "")}
	case err != nil:
		l.o.Log.Warn("a playlist can't be read", "file", rel, "err", err)
		s.problems = Problems{problem(Place{File: rel}, Error, "the file can't be read", "check that roomd's user may read it").About("playlist-unreadable", "")}
	default:
		s.raw, s.problems = d.Playlist, d.Problems
		s.raw.ID = id
		s.problems = append(renamed(id, rel), s.problems...)
	}
	return s
}

// measureAll resolves what is due, one playlist after the other, until ctx ends.
func (l *Library) measureAll(ctx context.Context) {
	for {
		var next *shelved
		var id string
		busy := l.o.Busy != nil && l.o.Busy()
		l.mu.Lock()
		for i, s := range l.shelf {
			if busy && !s.edited {
				continue
			}
			if at := s.next(); !at.IsZero() && (next == nil || at.Before(next.next()) || at.Equal(next.next()) && i < id) {
				next, id = s, i
			}
		}
		wait := time.Hour
		if busy {
			wait = time.Second // then it is asked again
		}
		if next != nil {
			wait = min(wait, time.Until(next.next()))
		}
		l.mu.Unlock()
		if wait <= 0 {
			l.resolve(ctx, id, next)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// resolve measures one playlist's music. It is false where ctx has ended before that.
func (l *Library) resolve(ctx context.Context, id string, s *shelved) bool {
	l.mu.Lock()
	raw, file, drafted, due := s.raw, s.file, s.drafted, s.due
	l.mu.Unlock()
	var text []byte
	var written Problems
	if drafted {
		text, raw, written = l.draft(ctx, id, file, l.o.Measure)
		file = draftFile(file)
	}
	pl, music := Resolve(ctx, cmp.Or(s.root, l.o.Folder), file, raw, l.o.Measure, l.o.Moved, l.o.Linked...)
	if ctx.Err() != nil {
		return false
	}
	heard := append(l.check(raw), music...)
	if l.o.CheckMusic != nil {
		heard = append(heard, l.o.CheckMusic(pl)...).Sorted()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if drafted {
		s.text, s.raw, s.problems, heard = text, raw, nil, unplaced(append(heard, written...), s.file)
	}
	s.resolved, s.heard = pl, heard
	if s.due.Equal(due) { // else it has changed meanwhile, and is due again
		s.due = time.Time{}
	}
	s.edited, s.retry = false, time.Time{}
	if pl.copying() {
		s.retry = time.Now().Add(copying)
	}
	poke(l.changed)
	return true
}
