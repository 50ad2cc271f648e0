package room

import (
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"roomd/player"
	"roomd/playlists"
)

// rules is the version of the rules that new sessions follow. A session keeps the rules that it began with, also when
// roomd is upgraded in the middle of it: recovery replays its journal, and other rules would move what was laid.
//
//	1: until roomd kept no version. Undo brought back a stored arc; an early mark moved nothing.
//	2: undo is a replay.
//	3: what was heard in one phase comes in another only where nothing else is left, unless the playlist lists it.
const rules = 3

// Begin is everything that a session starts from. It is frozen: a file that changes later does not change the session,
// unless a person takes over what follows (Revise).
type Begin struct {
	Playlist  playlists.Playlist `json:"playlist"`
	Reference float64            `json:"reference"` // LUFS of level 0
	Ceiling   float64            `json:"ceiling"`   // dB over the reference that nobody gets past
	Seed      uint64             `json:"seed"`
	Heard     map[string]int     `json:"heard,omitempty"` // how often each file was heard in earlier sessions
	Marks     []string           `json:"marks,omitempty"` // the room's marks; those of the playlist are marks too
	Rules     int                `json:"rules,omitempty"` // 0: 1
	// Device is the name of the device that started the session. It stands in the journal alone.
	Device string `json:"device,omitempty"`
}

// Session is one session: the fold of its inputs over its Begin. Step alone makes new ones. Times are session times.
type Session struct {
	ID    string
	Begin Begin // with the playlist as it was last taken over
	State SessionState
	EndAt time.Duration // where it ends, once it is ending or ended
	// Ending is how it ended, in English; empty while it runs.
	Ending string
	Notes  []Note // what has happened by itself, in order
	arc
	begun  *Begin    // what it started from
	inputs []taken   // what it was given, in order; shared between copies, so only ever appended to or replaced
	past   []sounded // what has sounded and is not in the arc any more
	// without is the session as it would be without the newest act of a person; nil: that can't be undone late. It is never
	// changed, only replaced; advance is the reader's.
	without *Session
	next    int // rules 1: number of the next piece
}

// taken is one input that the session has taken.
type taken struct {
	id     string // of a command
	at     time.Duration
	in     Input
	undo   Said     // what undoing it would take back; zero: it can't be undone
	file   string   // of a trouble: the file that is broken
	undone bool     // it was undone, or never changed anything
	before *Session // rules 1: the session before it
}

// arc is what a session's inputs have made of its plan.
type arc struct {
	Spans     []Span
	Current   int
	Goal      time.Duration // where keep end would end the session
	Pieces    []placed      // by Start; what has sounded and what is to sound
	Marks     []MarkView
	Timers    []timer
	Stopped   []string // IDs of timers that a person has stopped
	Level     float64  // a person's, dB
	Silent    bool
	Softened  bool
	Care      bool
	Emergency bool
	Returning bool
	Light     LightCue
	Asked     []asking        // of the music of phases with a pool, in order
	failed    map[[2]int]bool // {phase, item} of tracks that turned out broken
	laid      time.Duration   // how far an open phase's music is laid
}

// Note is something that happened by itself.
type Note struct {
	At   time.Duration
	Kind string // phase, trouble, revised, ended
	Text string
}

// LightCue is a scene that the lights fade to.
type LightCue struct {
	Scene string
	At    time.Duration // when the fade began
	Over  time.Duration
	// Unplanned fades were asked for by a person and keep to the unplanned limits.
	Unplanned bool
}

// placed is a piece of the fit in its place, with what a clip needs.
type placed struct {
	ID      string
	Phase   int
	piece                 // of the phase's music
	natural time.Duration // where its source ends by itself; 0: a bed
	fadeIn  time.Duration
	fadeOut time.Duration
	fresh   bool          // laid by the last composition
	left    bool          // it was cut while it sounded, and fades out
	broke   bool          // it can't sound on
	rise    time.Duration // its fade-in where it follows nothing; 0: the phase's crossfade
	fall    time.Duration // its fade-out where nothing follows; 0: the phase's crossfade
}

// sounded is a piece that has sounded in a phase that is no more as it was: it was undone, or a file was taken over.
type sounded struct {
	id, file string
	view     ClipView
	undone   bool // by a command that was undone: what follows is laid as if it had not
}

// Trouble says that a clip can't sound, or ended before its time.
type Trouble struct {
	Clip   string `json:"clip"`
	Detail string `json:"detail,omitempty"`
}

// errNotOurs is for trouble with a clip that is not of a running session.
var errNotOurs = errors.New("no clip of a running session")

const (
	endFade     = 20 * time.Second
	abortFade   = 3 * time.Second
	urgentFade  = 2 * time.Second
	undoFor     = 10 * time.Second
	undoMost    = 16
	openFor     = 3 * time.Hour // how far ahead an open phase is laid
	waitForEnd  = time.Minute   // a track's own ending that is further away is not waited for
	softenDB    = -18
	silenceDB   = -120
	lowestLevel = -40
	louderDBs   = 1.5 // dB a second
	softerDBs   = 12.0
	maxExtend   = time.Hour
	maxGain     = 24.0 // dB that a quiet track is raised at most
	// assumed is the loudness of a track of which nothing is known, LUFS: that of a loud master, so that the track comes
	// out too soft rather than too loud.
	assumed = -12.0
)

// NewSession starts a session at session time 0.
func NewSession(id string, b Begin) (*Session, Effects) {
	s := &Session{ID: id, Begin: b, State: Running, begun: &b}
	s.Spans = plan(b.Playlist.Phases)
	s.Goal = b.Playlist.Length()
	s.failed = map[[2]int]bool{}
	s.compose(0, cutNothing)
	eff := Effects{Score: true, Master: &player.Master{DB: s.master()}}
	s.enter(0, 0, &eff)
	return s, eff
}

// firstRules reports whether the session follows the first rules.
func (s *Session) firstRules() bool { return s.Begin.Rules < 2 }

// Step applies one input at session time now, after everything that was due by then. It changes nothing but what it
// returns, and the same session, input and time give the same result. A command that can't be carried out gives *Refused;
// the returned session has then moved on in time only.
func (s *Session) Step(in Input, now time.Duration) (*Session, Effects, error) {
	n := s.clone()
	var eff Effects
	n.advance(now, &eff)
	if in.Command == nil && in.Trouble == nil {
		return n, eff, nil
	}
	took, more := n.clone(), Effects{}
	if err := took.take(in, now, &more); err != nil {
		return n, eff, err
	}
	took.advance(now, &more) // an end that the input laid here is due
	return took, eff.and(more), nil
}

// take applies an input and keeps it.
func (s *Session) take(in Input, now time.Duration, eff *Effects) (err error) {
	t := taken{at: now, in: in}
	if s.firstRules() {
		t.before = s.clone()
	}
	if in.Trouble != nil {
		t.file, err = s.trouble(in.Trouble, "", now, eff)
		if err == nil && s.without != nil {
			w := s.without.clone()
			var unseen Effects
			w.advance(now, &unseen)
			_, _ = w.trouble(in.Trouble, t.file, now, &unseen)
			s.without = w
		}
	} else {
		t.id = in.Command.ID
		if s.took(t.id) {
			return nil
		}
		without := s.clone()
		without.without = nil
		t.undo, t.undone, err = s.command(in.Command, now, eff)
		s.without = nil
		if t.undo.Code != "" && !s.firstRules() {
			s.without = without
		}
	}
	if err == nil {
		s.inputs = append(s.inputs[:len(s.inputs):len(s.inputs)], t)
	}
	return err
}

// took reports whether the session has taken the command called id.
func (s *Session) took(id string) bool {
	return slices.ContainsFunc(s.inputs, func(t taken) bool { return t.id == id })
}

// Due is the session time of the next thing that happens by itself; ok is false where there is none.
func (s *Session) Due() (at time.Duration, ok bool) {
	switch {
	case s.State == Ended:
		return 0, false
	case s.State == Ending:
		return s.EndAt, true
	case s.Spans[s.Current].open():
		return s.laid - openFor/6, true
	}
	return s.Spans[s.Current].End, true
}

func (s *Session) clone() *Session {
	c := *s
	c.Notes = slices.Clone(s.Notes)
	c.Spans = slices.Clone(s.Spans)
	c.Pieces = slices.Clone(s.Pieces)
	c.Marks = slices.Clone(s.Marks)
	c.Timers = slices.Clone(s.Timers)
	c.Stopped = slices.Clone(s.Stopped)
	c.Asked = slices.Clone(s.Asked)
	c.failed = maps.Clone(s.failed)
	return &c
}

func (s *Session) phase(i int) *playlists.Phase { return &s.Begin.Playlist.Phases[i] }

// advance lets happen what is due by now, each at its own time.
func (s *Session) advance(now time.Duration, eff *Effects) {
	for {
		at, ok := s.Due()
		if !ok || at > now {
			return
		}
		if s.State == Ending {
			s.close(at, s.Ending, eff)
			return
		}
		if s.Spans[s.Current].open() {
			s.recompose(at, cutNothing, eff) // held for hours: there has to be music beyond what is laid
			continue
		}
		s.Spans[s.Current].Over = true
		i := s.following(s.Current)
		if i < 0 {
			s.close(at, english["ended-planned"], eff)
			return
		}
		s.enter(i, at, eff)
		if s.Spans[i].open() {
			s.recompose(at, cutNothing, eff)
		}
	}
}

// following is the phase that comes after i, or -1.
func (s *Session) following(i int) int {
	for j := i + 1; j < len(s.Spans); j++ {
		if !s.Spans[j].Passed {
			return j
		}
	}
	return -1
}

// enter begins phase i at session time at.
func (s *Session) enter(i int, at time.Duration, eff *Effects) {
	before := s.master()
	s.Current = i
	ph := s.phase(i)
	s.Notes = append(s.Notes, Note{at, "phase", ph.Name})
	if db := s.master(); db != before {
		eff.Master = &player.Master{DB: db, Over: 4 * time.Second}
	}
	if l := ph.Lights; l != nil && s.Light.Scene != l.Scene {
		s.light(LightCue{Scene: l.Scene, At: at, Over: l.Fade}, eff)
	}
}

// light moves the lights to a cue, unless a person has taken them for care.
func (s *Session) light(c LightCue, eff *Effects) {
	s.Light = c
	if !s.Care && !s.Emergency {
		eff.Light = &LightMove{Scene: c.Scene, Over: c.Over, Plan: !c.Unplanned}
	}
}

func (s *Session) close(at time.Duration, how string, eff *Effects) {
	s.State, s.EndAt, s.Ending = Ended, at, how
	s.Notes = append(s.Notes, Note{at, "ended", how})
	eff.Score = true
}

// master is the level of the whole sound as it stands, dB.
func (s *Session) master() float64 {
	if s.Silent || s.Emergency {
		return silenceDB
	}
	db := min(s.Level, s.Begin.Ceiling-s.phase(s.Current).Level)
	if s.Softened {
		db += softenDB
	}
	return db
}

// fade moves the master to where it stands now: softer at once, louder slowly.
func (s *Session) fade(from float64, eff *Effects) {
	to := s.master()
	over := time.Duration(math.Abs(to-from) / louderDBs * float64(time.Second))
	switch {
	case from <= silenceDB:
		over = 8 * time.Second // from silence, the player's own fade law
	case to < from:
		over = time.Duration((from - to) / softerDBs * float64(time.Second))
	}
	eff.Master = &player.Master{DB: to, Over: over}
}

// command carries out one command, or says why not. It returns what Undo would say; same reports that the session is the
// same as before, so that there is nothing to undo.
func (s *Session) command(c *Command, now time.Duration, eff *Effects) (undo Said, same bool, err error) {
	mode := map[SessionState]Mode{Running: InSession, Ending: InEnding, Ended: Idle}[s.State]
	r, refused := find(c.Do, mode, true)
	switch {
	case refused != nil:
		return Said{}, false, refused
	case r.session == nil:
		return Said{}, false, Refuse("session-ended") // it is meant for a room without a session
	case c.Phase != "" && c.Phase != s.phase(s.Current).Name:
		return Said{}, false, Refuse("phase-over", "phase", c.Phase, "now", s.phase(s.Current).Name)
	}
	from := s.master()
	undo, err = r.session(s, c, now, eff)
	if to := s.master(); err == nil && to != from && eff.Master == nil {
		s.fade(from, eff)
	}
	return undo, r.undo && undo.Code == "", err
}

// trouble takes a broken track out of the arc, fits the rest anew, and returns its file. Where no piece has the clip's
// name, because what came before it was undone, it looks for the file.
func (s *Session) trouble(t *Trouble, file string, now time.Duration, eff *Effects) (string, error) {
	if s.State != Running {
		return "", errNotOurs
	}
	i := slices.IndexFunc(s.Pieces, func(p placed) bool { return p.ID == t.Clip && p.Item >= 0 && (s.file(p) != "" || s.firstRules()) })
	if i < 0 {
		i = slices.IndexFunc(s.Pieces, func(p placed) bool { return file != "" && s.file(p) == file })
	}
	if i < 0 {
		return "", errNotOurs
	}
	p := s.Pieces[i]
	s.failed[[2]int{p.Phase, p.Item}] = true
	s.Notes = append(s.Notes, Note{now, "trouble", s.title(p)})
	s.Pieces[i].broke = true
	cut := cutNothing // of what sounds only the broken piece goes
	if s.firstRules() && p.Start <= now && now < p.End {
		cut = cutCurrent
	}
	s.recompose(now, cut, eff)
	return s.file(p), nil
}

// remember keeps a piece that has sounded for the record.
func (s *Session) remember(from *Session, p placed, now time.Duration) {
	v := ClipView{Title: from.title(p), StartMS: ms(p.Start), EndMS: ms(min(p.End, now)), Bed: from.bedOf(p) != ""}
	s.past = append(s.past[:len(s.past):len(s.past)], sounded{id: p.ID, file: from.heardAs(p), view: v})
}

// file is the file that a piece plays; empty for a bed.
func (s *Session) file(p placed) string {
	if s.bedOf(p) != "" {
		return ""
	}
	return s.phase(p.Phase).Music[p.Item].Track.File
}

// sounding is the piece that was begun last and still sounds, or nil.
func (s *Session) sounding(now time.Duration) *placed {
	for k := len(s.Pieces) - 1; k >= 0; k-- {
		if p := &s.Pieces[k]; p.Start <= now && now < p.End {
			return p
		}
	}
	return nil
}

func ms(d time.Duration) int64 { return d.Milliseconds() }
