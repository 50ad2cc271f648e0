package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"roomd/player"
	"roomd/player/decode"
	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/room"
)

// library is the playlists folder and what is known of its music, as the room needs them.
type library struct {
	dir     string
	cfg     room.Config
	log     *slog.Logger
	cache   *loudness.Cache // nil: what is found out is not kept
	scan    *loudness.Scanner
	busy    func() bool // music is playing
	changed chan struct{}

	mu     sync.Mutex // guards the rest
	shelf  map[string]*shelved
	folder *playlists.Problem     // what is wrong with the folder itself
	probed map[string]decode.Info // by path, size and time
}

// shelved is a playlist as last read.
type shelved struct {
	file     string // below the folder, with slashes; empty: embedded
	stamp    string // size and time of the file
	raw      *playlists.Playlist
	problems playlists.Problems // of the file
	resolved *playlists.Playlist
	music    playlists.Problems // of its music
}

// rescan is how often the folder is looked through: shares tell of no change.
const rescan = 2 * time.Second

func openLibrary(dir string, cfg room.Config, cache string, log *slog.Logger) *library {
	l := &library{dir: dir, cfg: cfg, log: log, changed: make(chan struct{}, 1), shelf: map[string]*shelved{}, probed: map[string]decode.Info{}}
	c, err := loudness.OpenCache(cache)
	if err != nil {
		log.Warn("what is found out about the music is not kept", "err", err)
	} else {
		l.cache = c
		l.scan = &loudness.Scanner{Cache: c, Workers: 1, Open: openToMeasure, Done: l.analysed,
			Gentle: func() bool { return l.busy != nil && l.busy() }}
	}
	for _, pl := range playlists.Starters() {
		res, _ := playlists.Resolve(context.Background(), "", pl.ID+".yaml", pl, nil)
		l.shelf[pl.ID] = &shelved{raw: pl, resolved: res}
	}
	l.read()
	return l
}

// Close lets go of the cache.
func (l *library) Close() {
	if l.cache != nil {
		if err := l.cache.Close(); err != nil {
			l.log.Warn("close the analysis cache", "err", err)
		}
	}
}

func openToMeasure(ctx context.Context, path string) (loudness.Source, int, error) {
	s, err := decode.Open(ctx, path, decode.Options{Rate: rate})
	if err != nil {
		return nil, 0, err
	}
	return s, rate, nil
}

// analysed takes note of a file that has been heard through.
func (l *library) analysed(path string, _ loudness.Analysis, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		l.log.Warn("a track is damaged", "file", path, "err", err)
	}
	l.mu.Lock()
	for _, s := range l.shelf {
		if s.resolved != nil && slices.ContainsFunc(s.resolved.Phases, func(p playlists.Phase) bool {
			return slices.ContainsFunc(p.Music, func(i playlists.Item) bool { return i.Track != nil && i.Track.File == path })
		}) {
			s.resolved = nil // to be measured again
		}
	}
	l.mu.Unlock()
	l.tell()
}

func (l *library) tell() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Changed tells that the list may look otherwise now.
func (l *library) Changed() <-chan struct{} { return l.changed }

// read looks through the folder, and reads what is new or changed. It reports whether anything was.
func (l *library) read() bool {
	seen := map[string]bool{}
	change := false
	err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == l.dir {
				return err
			}
			l.log.Warn("a folder can't be read", "folder", path, "err", err)
			return fs.SkipDir
		}
		if strings.HasPrefix(d.Name(), ".") && path != l.dir {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		ext := strings.ToLower(filepath.Ext(path))
		if d.IsDir() || ext != ".yaml" && ext != ".yml" {
			return nil
		}
		rel, err := filepath.Rel(l.dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		id := strings.TrimSuffix(rel, filepath.Ext(rel))
		seen[id] = true
		change = l.readOne(id, rel, path) || change
		return nil
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	var folder *playlists.Problem
	if err != nil {
		folder = &playlists.Problem{Place: playlists.Place{File: l.dir}, Severity: playlists.Warning,
			Says: "the playlists folder is not there", Write: "make it and put playlists in it; until then there are the starter playlists"}
		if !errors.Is(err, fs.ErrNotExist) {
			folder.Says, folder.Write = "the playlists folder can't be read", "check that roomd's user may read it"
		}
	}
	change = change || (folder == nil) != (l.folder == nil)
	l.folder = folder
	for id, s := range l.shelf {
		if s.file != "" && !seen[id] && (err == nil || folder != nil) {
			delete(l.shelf, id)
			change = true
		}
	}
	return change
}

// readOne reads one playlist file, if it is not the one that was read last.
func (l *library) readOne(id, rel, path string) bool {
	info, err := os.Stat(path)
	stamp := "unreadable"
	if err == nil {
		stamp = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	}
	l.mu.Lock()
	old := l.shelf[id]
	l.mu.Unlock()
	if old != nil && old.stamp == stamp {
		return false
	}
	s := &shelved{file: rel, stamp: stamp}
	data, err := os.ReadFile(path)
	if err != nil {
		s.raw = &playlists.Playlist{ID: id, Name: id}
		s.problems = playlists.Problems{{Place: playlists.Place{File: rel}, Severity: playlists.Error, Says: "the file can't be read", Write: "check that roomd's user may read it"}}
		l.log.Warn("a playlist can't be read", "file", rel, "err", err)
	} else {
		s.raw, s.problems = playlists.Parse(id, rel, data)
	}
	l.mu.Lock()
	l.shelf[id] = s
	l.mu.Unlock()
	return true
}

// Run keeps up with the folder and analyses its music in the background until ctx ends.
func (l *library) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if l.scan != nil {
		wg.Go(func() { l.scan.Run(ctx) })
	}
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	for {
		l.measureAll(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if l.read() {
			l.tell()
		}
	}
}

// measureAll resolves what has not been resolved since it changed, and asks for its music to be analysed.
func (l *library) measureAll(ctx context.Context) {
	l.mu.Lock()
	ids := []string{}
	for id, s := range l.shelf {
		if s.resolved == nil && len(s.problems.Errors()) == 0 {
			ids = append(ids, id)
		}
	}
	l.mu.Unlock()
	slices.Sort(ids)
	for _, id := range ids {
		if ctx.Err() != nil {
			return
		}
		pl, _ := l.check(ctx, id)
		if pl == nil {
			continue
		}
		if l.scan != nil {
			l.scan.Add(unknown(pl, l.cache)...)
		}
		l.tell()
	}
}

// unknown are the tracks of a playlist that have not been heard through.
func unknown(pl *playlists.Playlist, cache *loudness.Cache) []string {
	var out []string
	for _, ph := range pl.Phases {
		for _, it := range ph.Music {
			if t := it.Track; t != nil && t.Problem == "" {
				if _, ok := cache.Lookup(t.File); !ok {
					out = append(out, t.File)
				}
			}
		}
	}
	return out
}

// check reads a playlist with its music. It returns all that is wrong with it; the playlist is nil where it can't be played.
func (l *library) check(ctx context.Context, id string) (*playlists.Playlist, playlists.Problems) {
	l.mu.Lock()
	s := l.shelf[id]
	var problems playlists.Problems
	if s != nil {
		if s.resolved != nil {
			defer l.mu.Unlock()
			return s.resolved, append(slices.Clone(s.problems), s.music...)
		}
		problems = slices.Clone(s.problems)
	}
	l.mu.Unlock()
	if s == nil {
		return nil, playlists.Problems{{Place: playlists.Place{File: id}, Severity: playlists.Error, Says: "there is no such playlist in " + l.dir}}
	}
	if len(problems.Errors()) > 0 {
		return nil, problems
	}
	suits := l.cfg.CheckPlaylist(s.raw)
	pl, music := playlists.Resolve(ctx, l.dir, s.file, s.raw, l.measure)
	music = append(suits, music...)
	if ctx.Err() != nil {
		return nil, append(problems, music...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shelf[id] == s {
		s.resolved, s.music = pl, music
	}
	if problems = append(problems, music...); len(problems.Errors()) > 0 {
		return nil, problems
	}
	return pl, problems
}

// measure tells what a track is: from its analysis where it has been heard through, else from its headers and tags.
func (l *library) measure(ctx context.Context, path string) (playlists.Track, error) {
	info, err := os.Stat(path)
	if err != nil {
		return playlists.Track{}, err
	}
	key := fmt.Sprint(path, info.Size(), info.ModTime().UnixNano())
	l.mu.Lock()
	p, ok := l.probed[key]
	l.mu.Unlock()
	if !ok {
		if p, err = decode.Probe(ctx, path); err != nil {
			return playlists.Track{Problem: decode.Says(err)}, err
		}
		l.mu.Lock()
		l.probed[key] = p
		l.mu.Unlock()
	}
	t := playlists.Track{Title: p.Title, Artist: p.Artist, Album: p.Album, Length: p.Duration, Loudness: p.Loudness, HasLoudness: p.HasLoudness}
	if l.cache != nil {
		if a, ok := l.cache.Lookup(path); ok {
			t.Length, t.LeadIn, t.LeadOut = a.Length(), a.LeadIn, a.LeadOut
			t.Loudness, t.HasLoudness, t.TruePeak = a.Integrated, a.Integrated > loudness.Silent, a.TruePeak
		}
	}
	return t, nil
}

// Resolve is the playlist that a session starts with.
func (l *library) Resolve(ctx context.Context, id string) (playlists.Playlist, error) {
	l.read() // what was saved a moment ago counts
	pl, problems := l.check(ctx, id)
	if pl != nil {
		return *pl, nil
	}
	l.mu.Lock()
	_, known := l.shelf[id]
	l.mu.Unlock()
	if !known {
		return playlists.Playlist{}, &room.Refused{Field: "playlist", Reason: fmt.Sprintf("There is no playlist %q.", id)}
	}
	return playlists.Playlist{}, &room.Refused{Reason: "This playlist has an error: " + problems.Errors()[0].String()}
}

// List is each playlist as the page shows it: the starters first.
func (l *library) List() []room.PlaylistView {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []room.PlaylistView{}
	for id, s := range l.shelf {
		pl := s.raw
		if s.resolved != nil {
			pl = s.resolved
		}
		all := append(slices.Clone(s.problems), s.music...)
		v := room.PlaylistView{ID: id, Name: pl.Name, About: pl.About, LengthMS: pl.Length().Milliseconds(),
			Ready: s.resolved != nil && len(all.Errors()) == 0, Errors: all.Errors().Strings(), Warnings: all.Warnings().Strings(), Phases: []room.PhaseView{}}
		at := time.Duration(0)
		for _, ph := range pl.Phases {
			pv := room.PhaseView{Name: ph.Name, Stage: string(ph.Stage), StartMS: at.Milliseconds(), EndMS: (at + ph.Length).Milliseconds(), Waiting: ph.Until}
			if ph.Lights != nil {
				pv.Scene = ph.Lights.Scene
			}
			at += ph.Length
			v.Phases = append(v.Phases, pv)
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b room.PlaylistView) int {
		as, bs := strings.HasPrefix(a.ID, "starter/"), strings.HasPrefix(b.ID, "starter/")
		if as != bs {
			if bs {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

// Problems is what is wrong with the folder and the playlists in it.
func (l *library) Problems() []room.Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []room.Problem
	if f := l.folder; f != nil {
		out = append(out, room.Problem{Part: "playlist", Says: strings.ToUpper(f.Says[:1]) + f.Says[1:] + ": " + f.File + ".", Do: strings.ToUpper(f.Write[:1]) + f.Write[1:] + "."})
	}
	for _, s := range l.shelf {
		if e := s.problems.Errors(); len(e) > 0 {
			out = append(out, room.Problem{Part: "playlist", Says: e[0].String(), Do: "Correct the file; the list shows all that is wrong with it. The other playlists work."})
		}
	}
	slices.SortFunc(out, func(a, b room.Problem) int { return strings.Compare(a.Says, b.Says) })
	return out
}

// Curve is the gain that a track needs beside its one gain so that nothing in it startles; nil where it needs none, or
// has not been heard through: then the guard in the last stage holds the promise alone.
func (l *library) Curve(file string, gain, target float64) []player.GainPoint {
	if l.cache == nil {
		return nil
	}
	a, ok := l.cache.Lookup(file)
	if !ok {
		return nil
	}
	var out []player.GainPoint
	for _, p := range loudness.Curve(&a, gain, target) {
		out = append(out, player.GainPoint{At: p.At, DB: p.DB})
	}
	return out
}
