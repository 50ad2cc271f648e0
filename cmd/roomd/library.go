package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roomd/player"
	"roomd/player/decode"
	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/room"
)

// library is the playlists and what is known of their music, as the room needs them.
type library struct {
	*playlists.Library
	log    *slog.Logger
	folder string            // of the playlists
	linked []string          // folders outside of it that links may lead to
	busy   func() bool       // a session runs; nil: never. It is set before Run
	cache  *loudness.Cache   // nil: what is found out is not kept
	scan   *loudness.Scanner // nil with the cache

	mu   sync.Mutex                    // guards what follows
	loud map[string]*loudness.Analysis // by path, of the tracks of the session; nil: not heard through
}

func openLibrary(dir string, cfg room.Config, cache string, log *slog.Logger) *library {
	l := &library{log: log, folder: dir, loud: map[string]*loudness.Analysis{}}
	c, err := loudness.OpenCache(cache)
	if err != nil {
		log.Warn("what is found out about the music is not kept", "err", err)
	} else {
		l.cache = c
		l.scan = &loudness.Scanner{Cache: c, Open: l.openToMeasure, Done: l.analysed, Workers: max(1, runtime.NumCPU()-1)}
	}
	l.linked = cfg.Music
	busy := func() bool { return l.busy != nil && l.busy() }
	if l.scan != nil {
		l.scan.Busy = busy
	}
	l.Library = playlists.NewLibrary(playlists.LibraryOptions{Busy: busy, Folder: dir, Linked: cfg.Music, Measure: l.measure, Moved: l.moved, Known: l.known,
		Check: cfg.CheckPlaylist, CheckMusic: cfg.CheckMusic, Log: log})
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

// Run keeps up with the folder and analyses its music in the background until ctx ends.
func (l *library) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.Library.Run(ctx) })
	if l.scan != nil {
		g.Go(func() error { l.scan.Run(ctx); return nil })
	}
	return g.Wait()
}

func (l *library) openToMeasure(ctx context.Context, path string) (loudness.Source, int, error) {
	s, err := l.opener(gently)(ctx, path, 0, rate)
	return s, rate, err
}

// gently is for what nobody's session waits for.
var gently = decode.Options{Background: true}

// opener returns the function that opens files for a player. What is kept of their headers is not read again.
func (l *library) opener(o decode.Options) func(ctx context.Context, file string, from time.Duration, hz int) (player.Source, error) {
	o.Probe = l.probe
	return func(ctx context.Context, file string, from time.Duration, hz int) (player.Source, error) {
		o.From, o.Rate = from, hz
		s, err := decode.Open(ctx, file, o)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// analysed takes note of a file that has been heard through.
func (l *library) analysed(path string, _ loudness.Analysis, err error) {
	if err != nil {
		l.log.Warn("a track is damaged", "file", path, "err", err)
	}
	l.mu.Lock()
	delete(l.loud, path) // it is asked for anew
	l.mu.Unlock()
	l.Again(path)
}

// moved finds a file that has been heard through by what is in it.
func (l *library) moved(ctx context.Context, path string, among []string) string {
	if l.cache == nil {
		return ""
	}
	return l.cache.Moved(ctx, path, among)
}

// probeVersion begins what is kept of a file's headers and tags. Another one has them read anew.
const probeVersion = "3 "

// probe tells a file's headers and tags. They are kept: asking a decoder takes a twentieth of a second.
func (l *library) probe(ctx context.Context, path string) (p decode.Info, err error) {
	if l.cache == nil {
		return decode.Probe(ctx, path)
	}
	st, err := os.Stat(path)
	if err != nil {
		return p, err
	}
	if p, ok := l.noted(path, st); ok {
		return p, nil
	}
	if p, err = decode.Probe(ctx, path); err != nil {
		return p, err
	}
	text, err := json.Marshal(p)
	if err == nil {
		err = l.cache.Note(path, st, probeVersion+string(text))
	}
	if err != nil {
		l.log.Warn("a track's tags can't be kept", "file", path, "err", err)
	}
	return p, nil
}

// measure tells what a track is: from its analysis where it has been heard through; until then from its headers and
// tags, and it is asked to be analysed.
func (l *library) measure(ctx context.Context, path string) (playlists.Track, error) {
	p, err := l.probe(ctx, path)
	if err != nil {
		return playlists.Track{Problem: decode.Says(err)}, err
	}
	t := playlists.Track{Title: p.Title, Artist: p.Artist, Album: p.Album, Length: p.Duration, Rate: p.Rate, Voice: p.Voice, Loudness: p.Loudness, HasLoudness: p.HasLoudness,
		Intensity: p.Intensity, Rated: p.Intensity > 0}
	if l.cache == nil {
		return t, nil
	}
	if a, ok := l.cache.Lookup(path); ok {
		t.Length, t.LeadIn, t.LeadOut = a.Length(), a.LeadIn, a.LeadOut
		t.Loudness, t.HasLoudness, t.TruePeak = a.Integrated, a.Integrated > loudness.Silent, a.TruePeak
		t.Measured, t.Damaged = true, a.Damaged
		t.Levelled, t.LevelledAt = a.Levelled, a.LevelledAt
		if t.LeadIn >= t.Length {
			t.Problem = decode.Says(decode.ErrNoSound)
		}
		if !t.Rated {
			t.Intensity = a.Intensity()
		}
		if a.Features == nil && l.busy != nil { // the running room has the time; a person who checks a file waits
			l.scan.Renew(path)
		}
	} else {
		l.scan.Add(path)
	}
	return t, nil
}

// known is what is kept of a file's headers and tags.
func (l *library) known(file string) (t playlists.Track, ok bool) {
	st, err := os.Stat(file)
	if err != nil || l.cache == nil {
		return t, false
	}
	p, ok := l.noted(file, st)
	return playlists.Track{Title: p.Title, Artist: p.Artist, Album: p.Album, Length: p.Duration}, ok
}

func (l *library) noted(file string, st os.FileInfo) (p decode.Info, ok bool) {
	text, _ := l.cache.Noted(file, st)
	text, ok = strings.CutPrefix(text, probeVersion)
	return p, ok && json.Unmarshal([]byte(text), &p) == nil
}

// find is a playlist that can be played: what was saved a moment ago counts.
func (l *library) find(ctx context.Context, id string) (playlists.Playlist, error) {
	e, ok := l.Library.Resolve(ctx, id)
	switch {
	case !ok:
		return playlists.Playlist{}, room.Refuse("unknown-playlist", "playlist", id).Of("playlist")
	case ctx.Err() != nil:
		return playlists.Playlist{}, ctx.Err()
	case !e.Ready:
		if errs := e.Problems.Errors(); len(errs) > 0 {
			refused := room.Refuse("broken-playlist")
			refused.Details = errs[0].String()
			return playlists.Playlist{}, refused
		}
		return playlists.Playlist{}, room.Refuse("playlist-unread")
	}
	return *e.Playlist, nil
}

// Resolve is the playlist that a session starts with.
func (l *library) Resolve(ctx context.Context, id string) (playlists.Playlist, error) {
	pl, err := l.find(ctx, id)
	if err != nil {
		return pl, err
	}
	l.mu.Lock()
	clear(l.loud) // those of the session before
	l.mu.Unlock()
	if l.cache != nil {
		for _, ph := range pl.Phases {
			for _, it := range ph.Music {
				if it.Track != nil && it.Track.Measured {
					l.remember(it.Track.File)
				}
			}
		}
	}
	return pl, nil
}

// List is each playlist as the page shows it.
func (l *library) List() []room.PlaylistView {
	out := []room.PlaylistView{}
	for _, e := range l.Library.List() {
		pl := e.Playlist
		v := room.PlaylistView{ID: e.ID, Name: pl.Name, About: pl.About, LengthMS: pl.Length().Milliseconds(), Ready: e.Ready, Revision: pl.Revision, File: e.File,
			Errors: e.Problems.Errors().Strings(), Warnings: e.Problems.Warnings().Brief().Strings(), Phases: []room.PhaseView{}, Remarks: []room.RemarkView{}}
		for _, p := range append(e.Problems.Errors(), e.Problems.Warnings().Brief()...) {
			v.Remarks = append(v.Remarks, remark(p))
		}
		if p, ok := measuring(pl); ok {
			v.Warnings = append(v.Warnings, p.Says)
			v.Remarks = append(v.Remarks, room.RemarkView{Problem: p})
		}
		at := time.Duration(0)
		for _, ph := range pl.Phases {
			pv := room.PhaseView{Name: ph.Name, Stage: string(ph.Stage), StartMS: at.Milliseconds(), EndMS: (at + ph.Length).Milliseconds(), Waiting: ph.Until, LevelDB: ph.Level}
			if ph.Lights != nil {
				pv.Scene = ph.Lights.Scene
			}
			at += ph.Length
			v.Phases = append(v.Phases, pv)
		}
		out = append(out, v)
	}
	return out
}

// remark is what an error or a warning means to a therapist.
func remark(p playlists.Problem) room.RemarkView {
	code := p.Code
	switch {
	case code == "" && p.Severity == playlists.Error:
		code = "playlist-error"
	case code == "":
		code = "playlist-warning"
	}
	return room.RemarkView{Problem: room.NewProblem("playlist", code, "name", p.Of).With(p.String()), Error: p.Severity == playlists.Error}
}

// measuring says how far a playlist's tracks have been heard through; ok is false where all were.
func measuring(pl *playlists.Playlist) (says room.Problem, ok bool) {
	all, done, guessed := 0, 0, 0
	for _, ph := range pl.Phases {
		for _, it := range ph.Music {
			if t := it.Track; t != nil && t.Problem == "" {
				all++
				if t.Measured {
					done++
				} else if !t.HasLoudness {
					guessed++
				}
			}
		}
	}
	switch {
	case done == all:
		return room.Problem{}, false
	case guessed == 0:
		return room.NewProblem("playlist", "tracks-tagged", "done", done, "all", all), true
	}
	return room.NewProblem("playlist", "tracks-unmeasured", "done", done, "all", all), true
}

// Problems is what is wrong with the folder and the playlists in it.
func (l *library) Problems() []room.Problem {
	var out []room.Problem
	for _, p := range l.Library.Problems() {
		out = append(out, remark(p).Problem)
	}
	for _, e := range l.Library.List() {
		if errs := e.Problems.Errors(); len(errs) > 0 {
			out = append(out, room.NewProblem("playlist", "playlist-broken", "playlist", e.Playlist.Name).With(errs[0].String()))
		}
	}
	return out
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.TrimSuffix(strings.ToUpper(s[:1])+s[1:], ".") + "."
}

// check is a playlist with all that is wrong with it; the playlist is nil where it can't be played.
func (l *library) check(ctx context.Context, id string) (*playlists.Playlist, playlists.Problems) {
	e, ok := l.Library.Resolve(ctx, id)
	if !ok {
		var ids []string
		for _, e := range l.Library.List() {
			ids = append(ids, e.ID)
		}
		return nil, playlists.Problems{{Place: playlists.Place{File: id}, Severity: playlists.Error, Says: "there is no such playlist",
			Write: playlists.Suggest(id, ids, "roomd check without a name lists them all")}}
	}
	if !e.Ready {
		return nil, e.Problems
	}
	return e.Playlist, e.Problems
}

// look waits until every track has been heard through, and tells in sentences which playlists can be played.
func (l *library) look(ctx context.Context) (says string, bad bool, err error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for again := true; again; {
		var broken []string
		ready := 0
		for _, e := range l.Library.List() {
			if now, ok := l.Library.Resolve(ctx, e.ID); ok && now.Ready {
				ready++
			} else if ok {
				broken = append(broken, fmt.Sprintf("%s (%s)", e.ID, counted(len(now.Problems.Errors()), "error")))
			}
		}
		says, bad = counted(ready, "playlist")+" can be played.", len(broken) > 0
		if bad {
			says += " Not: " + strings.Join(broken, ", ") + "."
		}
		again = l.scan != nil && l.scan.Progress().Done < l.scan.Progress().Total
		if again {
			select {
			case <-ctx.Done():
				return "", false, ctx.Err()
			case <-tick.C:
			}
		}
	}
	for _, p := range l.Library.Problems() {
		says, bad = says+" "+sentence(p.Says), true
	}
	return says, bad, nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// hear has the playlists' tracks heard through that were not yet, and says how far that is. What was found damaged is
// among the playlists' problems.
func (l *library) hear(ctx context.Context, ids []string, say func(loudness.Progress)) error {
	if l.scan == nil {
		return nil
	}
	for _, id := range ids {
		if _, ok := l.Library.Resolve(ctx, id); !ok && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if p := l.scan.Progress(); p.Done == p.Total {
		return nil
	}
	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.scan.Run(run) })
	defer wg.Wait() // then each file that was looked at is taken note of
	defer stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		p := l.scan.Progress()
		say(p)
		if p.Done == p.Total {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Heard is what a track needs beside its one gain so that nothing in it startles or seems to have stopped; nothing where
// it has not been heard through: then the guard in the last stage holds the promise alone. It is asked while music plays,
// so a disk that does not answer is not waited for.
func (l *library) Heard(file string, gain, target float64) (h room.Hearing) {
	if l.cache == nil {
		return h
	}
	l.mu.Lock()
	a, ok := l.loud[file]
	l.mu.Unlock()
	if !ok {
		found := make(chan *loudness.Analysis, 1)
		go func() { found <- l.remember(file) }()
		select {
		case a = <-found:
		case <-time.After(200 * time.Millisecond):
			l.log.Warn("a track's analysis takes too long to read", "file", file)
		}
	}
	if a == nil {
		return h
	}
	curve := loudness.Curve(a, gain, target)
	for _, p := range curve {
		h.Curve = append(h.Curve, player.GainPoint{At: p.At, DB: p.DB})
	}
	for _, q := range loudness.Quiet(a, gain, curve, target) {
		h.Quiet = append(h.Quiet, room.Quiet(q))
	}
	return h
}

// remember keeps a track's analysis at hand.
func (l *library) remember(file string) *loudness.Analysis {
	var found *loudness.Analysis
	if a, ok := l.cache.Lookup(file); ok {
		found = &a
	}
	l.mu.Lock()
	l.loud[file] = found
	l.mu.Unlock()
	return found
}
