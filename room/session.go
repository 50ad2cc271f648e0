package room

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"roomd/player"
	"roomd/playlists"
)

// Begin is all that a session starts from. It is frozen: a file that changes later does not change the session, unless a
// person takes over what follows (Revise).
type Begin struct {
	Playlist  playlists.Playlist `json:"playlist"`
	Reference float64            `json:"reference"` // LUFS of level 0
	Ceiling   float64            `json:"ceiling"`   // dB over the reference that no one gets past
	Seed      uint64             `json:"seed"`
	Heard     map[string]int     `json:"heard,omitempty"` // how often each file was heard in earlier sessions
	Marks     []string           `json:"marks,omitempty"` // the room's marks; those of the playlist are marks too
}

// Session is the state of one session. It is changed by Step alone; times are session times.
type Session struct {
	ID    string
	Begin Begin
	State SessionState
	Done  map[string]bool // commands that were done, by ID
	EndAt time.Duration   // where it ends, once it is ending or ended
	// Ending is how it ended, in words; empty while it runs.
	Ending string
	Notes  []Note // what has happened by itself, in order
	arc
	undo []undoable
	next int // number of the next piece
}

// arc is the part of a session that an undo brings back.
type arc struct {
	Spans     []Span
	Current   int
	Goal      time.Duration // where keep end would end the session
	Pieces    []placed      // by Start; what has sounded and what is to sound
	Marks     []MarkView
	Level     float64 // a person's, dB
	Silent    bool
	Softened  bool
	Care      bool
	Emergency bool
	Returning bool
	Light     LightCue
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
}

type undoable struct {
	view   UndoView
	before arc
}

// Input is what Step takes: exactly one field is set, or none for time alone.
type Input struct {
	Command *Command `json:"command,omitempty"`
	Trouble *Trouble `json:"trouble,omitempty"`
}

// Trouble says that a clip can't sound, or ended before its time.
type Trouble struct {
	Clip   string `json:"clip"`
	Detail string `json:"detail,omitempty"`
}

// Effects is what has to be done to the room after a step. The zero value: nothing.
type Effects struct {
	Score  bool           // the score has changed
	Master *player.Master // the master level is to move
	Light  *LightMove     // the lights are to move
}

// LightMove asks for lights.
type LightMove struct {
	Scene  string
	Over   time.Duration
	Urgent bool   // lights for care, emergency
	Plan   bool   // a playlist's own fade
	Follow string // a role to command again; "*" for all
}

const (
	endFade     = 20 * time.Second
	abortFade   = 3 * time.Second
	undoFor     = 10 * time.Second
	undoMost    = 16
	openFor     = 3 * time.Hour // how far ahead an open phase is laid
	softenDB    = -18
	silenceDB   = -120
	lowestLevel = -40
	louderDBs   = 1.5 // dB a second
	softerDBs   = 12.0
	maxExtend   = time.Hour
	maxGain     = 24.0 // dB that a quiet track is raised at most
	// assumed is the loudness of a track of which nothing is known: that of a loud master, LUFS, so that it comes out
	// rather too soft than too loud.
	assumed = -12.0
)

// NewSession starts a session at session time 0.
func NewSession(id string, b Begin) (*Session, Effects) {
	s := &Session{ID: id, Begin: b, State: Running, Done: map[string]bool{}}
	s.Spans = plan(b.Playlist.Phases)
	s.Goal = b.Playlist.Length()
	s.failed = map[[2]int]bool{}
	s.compose(0, cutNothing)
	eff := Effects{Score: true, Master: &player.Master{DB: s.master()}}
	s.enter(0, 0, &eff)
	return s, eff
}

// Step applies one input at session time now, after all that was due by then. It changes nothing but what it
// returns, and the same session, input and time give the same result. A command that can't be done gives *Refused;
// the returned session has then moved on in time only.
func Step(old *Session, in Input, now time.Duration) (*Session, Effects, error) {
	s := old.clone()
	eff, err := s.apply(in, now)
	return s, eff, err
}

// apply is Step on a session that nobody else looks at.
func (s *Session) apply(in Input, now time.Duration) (eff Effects, err error) {
	s.advance(now, &eff)
	switch {
	case in.Command != nil:
		err = s.command(in.Command, now, &eff)
	case in.Trouble != nil:
		s.trouble(in.Trouble, now, &eff)
	}
	return eff, err
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
	c.Done = maps.Clone(s.Done)
	c.Notes = slices.Clone(s.Notes)
	c.arc = s.arc.clone()
	c.undo = slices.Clone(s.undo)
	return &c
}

func (a arc) clone() arc {
	a.Spans = slices.Clone(a.Spans)
	a.Pieces = slices.Clone(a.Pieces)
	a.Marks = slices.Clone(a.Marks)
	a.failed = maps.Clone(a.failed)
	return a
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
			s.close(at, "as planned", eff)
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
	s.undo = nil
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

// command does one command, or says why not.
func (s *Session) command(c *Command, now time.Duration, eff *Effects) error {
	if s.Done[c.ID] {
		return nil
	}
	if s.State == Ended {
		return &Refused{Reason: "The session has ended."}
	}
	if s.State == Ending && c.Do != Care && c.Do != Emergency && c.Do != MarkNow && c.Do != Abort && c.Do != Follow {
		return &Refused{Reason: "The session is ending."}
	}
	if c.Phase != "" && c.Phase != s.phase(s.Current).Name {
		return &Refused{Reason: fmt.Sprintf("%s is over; now is %s.", c.Phase, s.phase(s.Current).Name)}
	}
	before, from := s.arc.clone(), s.master()
	says, err := s.do(c, now, eff)
	if err != nil {
		return err
	}
	s.Done[c.ID] = true
	if c.Do != Undo {
		s.undo = slices.DeleteFunc(s.undo, func(u undoable) bool { return u.view.UntilMS <= ms(now) })
		if says != "" {
			s.undo = append([]undoable{{UndoView{c.ID, c.Do, says, ms(now + undoFor)}, before}}, s.undo[:min(len(s.undo), undoMost-1)]...)
		} else {
			s.undo = nil // what can't be taken back also closes what came before it
		}
	}
	if to := s.master(); to != from && eff.Master == nil {
		s.fade(from, eff)
	}
	return nil
}

// do does one command. It returns what an undo would say was done; empty: it can't be taken back.
func (s *Session) do(c *Command, now time.Duration, eff *Effects) (says string, err error) {
	sp := &s.Spans[s.Current]
	ph := s.phase(s.Current)
	switch c.Do {
	case Start:
		return "", &Refused{Reason: "A session is running. End it first."}
	case SetScene:
		return "", &Refused{Reason: "A session is running; its playlist has the lights."}
	case Hold:
		if sp.Held {
			return "", &Refused{Reason: ph.Name + " is held already."}
		}
		sp.Held = true
		s.recompose(now, cutNothing, eff)
		return ph.Name + " held", nil
	case Release:
		if !sp.Held {
			return "", &Refused{Reason: ph.Name + " is not held."}
		}
		sp.Held = false
		s.closeAt(now, max(sp.Nominal, now), eff)
		return ph.Name + " goes on", nil
	case Next:
		if s.following(s.Current) < 0 {
			return "", &Refused{Reason: ph.Name + " is the last phase. Use End."}
		}
		sp.Held, sp.Waiting = false, ""
		s.closeAt(now, now, eff)
		return "Moved on from " + ph.Name, nil
	case Extend:
		return s.extend(c, now, eff)
	case SetLevel:
		return s.level(c)
	case Silence:
		if s.Silent {
			return "", &Refused{Reason: "The music is silent already."}
		}
		s.Silent = true
		eff.Master = &player.Master{DB: silenceDB, Over: 6 * time.Second}
		return "Music silenced", nil
	case Resume:
		if !s.Silent && !s.Softened && !s.Emergency {
			return "", &Refused{Reason: "The music is playing."}
		}
		s.Silent, s.Softened = false, false
		if s.Emergency {
			s.Emergency = false
			s.backToArc(eff)
		}
		return "Music resumed", nil
	case Soften:
		if s.Softened {
			return "", &Refused{Reason: "The music is soft already."}
		}
		s.Softened = true
		eff.Master = &player.Master{DB: s.master(), Over: 3 * time.Second}
		return "Music softened", nil
	case Skip:
		return s.skip(c, now, eff)
	case MarkNow:
		return s.mark(c, now, eff)
	case BringBack:
		return s.bringBack(now, eff)
	case Care:
		s.Care = true
		eff.Light = &LightMove{Scene: careScene, Over: 2 * time.Second, Urgent: true}
		return "Lights for care", nil
	case Emergency:
		s.Emergency = true
		eff.Light = &LightMove{Scene: fullScene, Over: 2 * time.Second, Urgent: true}
		eff.Master = &player.Master{DB: silenceDB, Over: 1500 * time.Millisecond}
		return "Emergency", nil
	case Follow:
		if c.Role != "" {
			eff.Light = &LightMove{Follow: c.Role}
			return "", nil
		}
		s.Care = false
		s.backToArc(eff)
		return "Lights back to the playlist", nil
	case End, Abort:
		return s.finish(c.Do, now, eff)
	case Revise:
		return "", s.revise(c, now, eff)
	case Undo:
		return s.takeBack(c, now, eff)
	}
	return "", &Refused{Field: "do", Reason: fmt.Sprintf("unknown command %q", c.Do)}
}

// revise takes over a newer file: what follows the present phase there follows it here. The present phase stays as it is.
func (s *Session) revise(c *Command, now time.Duration, eff *Effects) error {
	if c.Plan == nil {
		return &Refused{Reason: "There is no newer playlist to take over."}
	}
	old, cur := &s.Begin.Playlist, s.Current
	k := slices.IndexFunc(c.Plan.Phases, func(p playlists.Phase) bool { return p.Name == s.phase(cur).Name })
	switch {
	case k < 0:
		return &Refused{Reason: fmt.Sprintf("The playlist's file has no phase called %s any more, so what follows is not known.", s.phase(cur).Name)}
	case s.Returning:
		return &Refused{Reason: "The return has begun. The playlist stays as it is."}
	case slices.ContainsFunc(s.Pieces, func(p placed) bool { return p.Phase > cur && p.Start <= now }):
		return &Refused{Reason: "The next phase is fading in. Try again in a moment."}
	}
	var was, is time.Duration
	for _, sp := range s.Spans[cur+1:] {
		was += sp.Length
	}
	pl := *c.Plan
	pl.Phases = slices.Concat(old.Phases[:cur+1], c.Plan.Phases[k+1:])
	s.Spans = append(slices.Clone(s.Spans[:cur+1]), plan(pl.Phases)[cur+1:]...)
	for _, sp := range s.Spans[cur+1:] {
		is += sp.Length
	}
	s.Begin.Playlist = pl
	s.Goal += is - was
	maps.DeleteFunc(s.failed, func(at [2]int, _ bool) bool { return at[0] > cur })
	s.Spans[cur].End = s.Spans[cur].Nominal // what follows counts from there; where its music ends is found anew
	relay(s.Spans, pl.Phases, cur, pl.Keep, s.Goal)
	s.recompose(now, cutNothing, eff)
	s.Notes = append(s.Notes, Note{now, "revised", pl.Name})
	return nil
}

// Names of the two scenes that every room has.
const (
	careScene = "care"
	fullScene = "full"
)

// backToArc gives the lights back to the playlist, slowly, after a person had them.
func (s *Session) backToArc(eff *Effects) {
	if s.Care || s.Emergency {
		return
	}
	eff.Light = &LightMove{Scene: s.Light.Scene, Over: 30 * time.Second, Follow: "*"}
}

// closeAt ends the present phase at session time at, and lays what follows anew.
func (s *Session) closeAt(now, at time.Duration, eff *Effects) {
	sp := &s.Spans[s.Current]
	sp.End, sp.Nominal = at, at
	relay(s.Spans, s.Begin.Playlist.Phases, s.Current, s.Begin.Playlist.Keep, s.Goal)
	if at > now {
		s.recompose(now, cutNothing, eff)
		return
	}
	sp.Over = true
	i := s.following(s.Current)
	if i < 0 {
		s.close(now, "ended early", eff)
		return
	}
	s.enter(i, now, eff)
	s.recompose(now, cutAll, eff)
}

func (s *Session) extend(c *Command, now time.Duration, eff *Effects) (string, error) {
	by, err := time.ParseDuration(c.By)
	if err != nil || by == 0 || by > maxExtend || by < -maxExtend {
		return "", &Refused{Field: "by", Reason: `a duration of at most an hour (write "5m" or "-5m")`}
	}
	sp := &s.Spans[s.Current]
	end := max(sp.Nominal, 0) + by
	if sp.open() && sp.Nominal < now && by > 0 {
		end = now + by
	}
	if end < now+time.Second {
		return "", &Refused{Reason: "That would end the phase at once. Use Next."}
	}
	sp.End, sp.Nominal = end, end
	if s.following(s.Current) < 0 {
		s.Goal = end
	}
	relay(s.Spans, s.Begin.Playlist.Phases, s.Current, s.Begin.Playlist.Keep, s.Goal)
	s.recompose(now, cutNothing, eff)
	word := "extended"
	if by < 0 {
		word, by = "shortened", -by
	}
	return fmt.Sprintf("%s %s by %s", s.phase(s.Current).Name, word, spoken(by)), nil
}

func (s *Session) level(c *Command) (string, error) {
	if c.DB == nil || math.IsNaN(*c.DB) || *c.DB == 0 || *c.DB > 6 || *c.DB < -12 {
		return "", &Refused{Field: "db", Reason: "dB louder (up to 6) or softer (down to -12)"}
	}
	top := s.Begin.Ceiling - s.phase(s.Current).Level
	was := min(s.Level, top)
	if *c.DB > 0 && was >= top {
		return "", &Refused{Reason: "This is as loud as the room allows."}
	}
	if *c.DB < 0 && was <= lowestLevel {
		return "", &Refused{Reason: "This is as soft as it goes. Use Silence."}
	}
	s.Level = max(lowestLevel, min(was+*c.DB, top))
	if *c.DB > 0 {
		return "Louder", nil
	}
	return "Softer", nil
}

func (s *Session) skip(c *Command, now time.Duration, eff *Effects) (string, error) {
	p := s.sounding(now)
	if p == nil {
		return "", &Refused{Reason: "No music is playing."}
	}
	if c.Clip != "" && c.Clip != p.ID {
		return "", &Refused{Reason: "That track is over already."}
	}
	s.recompose(now, cutCurrent, eff)
	return "Track skipped", nil
}

func (s *Session) mark(c *Command, now time.Duration, eff *Effects) (string, error) {
	if !s.known(c.Name) {
		return "", &Refused{Field: "name", Reason: fmt.Sprintf("%q is no mark of this room or playlist", c.Name)}
	}
	s.Marks = append(s.Marks, MarkView{ID: c.ID, Name: c.Name, AtMS: ms(now)})
	pl := &s.Begin.Playlist
	if s.State == Running && s.Spans[s.Current].Waiting == c.Name {
		s.Spans[s.Current].Waiting = ""
		if !s.Spans[s.Current].Held {
			if s.following(s.Current) < 0 {
				s.closeAt(now, max(now, s.Spans[s.Current].Nominal), eff)
			} else {
				s.closeAt(now, now, eff)
			}
		}
	} else if b := pl.Boost; b != nil && b.Mark == c.Name && s.State == Running {
		s.boost(b, now, eff)
	}
	return c.Name, nil
}

// known says whether a mark is one of the room's or the playlist's.
func (s *Session) known(mark string) bool {
	if mark == "" {
		return false
	}
	pl := &s.Begin.Playlist
	ok := slices.Contains(s.Begin.Marks, mark) || pl.Boost != nil && pl.Boost.Mark == mark
	for _, ph := range pl.Phases {
		ok = ok || ph.Until == mark || slices.Contains(ph.Marks, mark)
	}
	for _, r := range pl.Remind {
		ok = ok || r.After == mark || slices.Contains(r.Marks, mark)
	}
	return ok
}

// boost lengthens the phase that a second dose asks for, unless it is over.
func (s *Session) boost(b *playlists.Boost, now time.Duration, eff *Effects) {
	for i := s.Current; i < len(s.Spans); i++ {
		if s.phase(i).Name != b.Phase || s.Spans[i].Passed {
			continue
		}
		s.Spans[i].Length += b.By
		cur := &s.Spans[s.Current]
		if i == s.Current {
			cur.Nominal += b.By
			cur.End = cur.Nominal
		}
		relay(s.Spans, s.Begin.Playlist.Phases, s.Current, s.Begin.Playlist.Keep, s.Goal)
		s.recompose(now, cutNothing, eff)
		return
	}
}

// bringBack goes to the return's music at the next musical joint: the last administration phase, or, once that
// has begun, the first integration phase after it. A joint more than a minute away is not waited for.
func (s *Session) bringBack(now time.Duration, eff *Effects) (string, error) {
	to := -1
	for i := s.Current + 1; i < len(s.Spans); i++ {
		if st := s.phase(i).Stage; st == playlists.Administration {
			to = i
		} else if st == playlists.Integration && to < 0 {
			to = i
			break
		}
	}
	if to < 0 || s.phase(s.Current).Stage == playlists.Integration {
		return "", &Refused{Reason: "The return has begun already."}
	}
	for i := s.Current + 1; i < to; i++ {
		s.Spans[i].Passed = true
	}
	s.Returning = true
	at := now
	if p := s.sounding(now); p != nil && p.natural > now && p.natural-now <= time.Minute {
		at = p.natural
	}
	sp := &s.Spans[s.Current]
	sp.Held, sp.Waiting = false, ""
	s.closeAt(now, at, eff)
	if l := s.phase(to).Lights; l != nil {
		s.light(LightCue{Scene: l.Scene, At: now, Over: min(l.Fade, 90*time.Second), Unplanned: true}, eff)
	}
	return "Bringing back", nil
}

func (s *Session) finish(how Verb, now time.Duration, eff *Effects) (string, error) {
	over, words := endFade, "ended early"
	if how == Abort {
		over, words = abortFade, "aborted"
	}
	s.State, s.EndAt, s.Ending = Ending, now+over, words
	s.Pieces = slices.DeleteFunc(s.Pieces, func(p placed) bool { return p.Start > now })
	for k := range s.Pieces {
		if p := &s.Pieces[k]; p.End > now {
			p.End, p.fadeOut, p.Cut = min(p.End, s.EndAt), over, true
		}
	}
	for i := s.Current; i < len(s.Spans); i++ {
		s.Spans[i].End = min(s.Spans[i].End, s.EndAt)
		s.Spans[i].Start = min(s.Spans[i].Start, s.EndAt)
		s.Spans[i].Held, s.Spans[i].Waiting = false, ""
		s.Spans[i].Passed = i > s.Current
	}
	eff.Score = true
	if how == End && !s.Care && !s.Emergency {
		for i := len(s.Spans) - 1; i > s.Current; i-- {
			if l := s.phase(i).Lights; l != nil {
				s.light(LightCue{Scene: l.Scene, At: now, Over: over, Unplanned: true}, eff)
				break
			}
		}
	}
	return "", nil
}

func (s *Session) takeBack(c *Command, now time.Duration, eff *Effects) (string, error) {
	i := slices.IndexFunc(s.undo, func(u undoable) bool { return u.view.ID == c.Of && u.view.UntilMS > ms(now) })
	if i < 0 {
		return "", &Refused{Reason: "That can no longer be undone."}
	}
	if i > 0 {
		return "", &Refused{Reason: fmt.Sprintf("Undo %q first.", s.undo[0].view.Says)}
	}
	before := s.undo[0].before
	light, from := s.Light, s.master()
	care := s.Care || s.Emergency
	s.arc = before.clone()
	s.undo = s.undo[1:]
	s.recompose(now, cutNothing, eff)
	s.advance(now, eff)
	if to := s.master(); to != from {
		s.fade(from, eff)
	}
	if light.Scene != s.Light.Scene || care != (s.Care || s.Emergency) {
		if s.Emergency {
			eff.Light = &LightMove{Scene: fullScene, Over: 2 * time.Second, Urgent: true}
		} else if s.Care {
			eff.Light = &LightMove{Scene: careScene, Over: 2 * time.Second, Urgent: true}
		} else {
			s.backToArc(eff)
		}
	}
	return "", nil
}

// trouble takes a broken track out of the arc and fits the rest anew.
func (s *Session) trouble(t *Trouble, now time.Duration, eff *Effects) {
	if s.State != Running {
		return
	}
	for _, p := range s.Pieces {
		if p.ID != t.Clip || p.Item < 0 {
			continue
		}
		s.failed[[2]int{p.Phase, p.Item}] = true
		s.Notes = append(s.Notes, Note{now, "trouble", s.title(p)})
		if p.Start <= now && now < p.End {
			s.recompose(now, cutCurrent, eff)
		} else {
			s.recompose(now, cutNothing, eff)
		}
		return
	}
}

// sounding is the piece of the present phase that was begun last and still sounds, or nil.
func (s *Session) sounding(now time.Duration) *placed {
	for k := len(s.Pieces) - 1; k >= 0; k-- {
		if p := &s.Pieces[k]; p.Start <= now && now < p.End {
			return p
		}
	}
	return nil
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

// spoken is a duration as it is said: "5 min", "90 s".
func spoken(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
