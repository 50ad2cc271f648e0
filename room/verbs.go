// Package room runs the session: arc, step function, owner loop, schedule and room file. The step function is pure: the
// same inputs give the same session, so recovery is a replay.
package room

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"roomd/player"
)

// Verb is what a command asks for.
type Verb string

const (
	Start      Verb = "start"       // start a session with Playlist
	Hold       Verb = "hold"        // keep the current phase open
	Release    Verb = "release"     // stop holding the current phase
	Next       Verb = "next"        // end the current phase now
	Extend     Verb = "extend"      // lengthen the current phase by By, or shorten it if By is negative
	SetLevel   Verb = "level"       // change the volume by DB
	Silence    Verb = "silence"     // fade out the music; the arc continues
	Resume     Verb = "resume"      // bring back the music after silence, soften or emergency
	Skip       Verb = "skip"        // skip the current track
	MarkNow    Verb = "mark"        // record the mark Name now
	BringBack  Verb = "bring-back"  // return early: skip to the phase that leads back
	Soften     Verb = "soften"      // fade the music far down in 3 s; lights stay
	Care       Verb = "care"        // lights for care: bright enough to see; music continues
	Emergency  Verb = "emergency"   // music down, lights full; the clock continues
	End        Verb = "end"         // fade over 20 s, then end the session
	Abort      Verb = "abort"       // end the session now (3 s fade)
	Undo       Verb = "undo"        // undo command Of
	Revise     Verb = "revise"      // use the changed playlist file from the next phase on
	SetScene   Verb = "scene"       // set the lights to Scene; only without a session
	CheckSound Verb = "check-sound" // play an excerpt of Playlist at its loudest level; only without a session; silence ends it
	Audition   Verb = "audition"    // play Playlist from AtMS for 30 s as a session would; only without a session; silence ends it
	Arrival    Verb = "arrival"     // play Playlist for By at DB relative to its own level, before people come; only without a session; silence or a session ends it
	Rehearse   Verb = "rehearse"    // run the clock and lights of Playlist from AtMS at Speed; only without a session; silence ends it
	WriteNote  Verb = "note"        // attach Text to mark Of of Session, or to Session
	TestLamps  Verb = "test-lights" // test what Role's lamps can do; only without a session
	Follow     Verb = "follow"      // control Role again after a change by hand; empty: all roles, also after care
	StartTimer Verb = "timer"       // count down In to the mark Name, silently
	Deeper     Verb = "deeper"      // in a phase with a pool: more intense music next, and for the rest of the phase
	Lighter    Verb = "lighter"     // less intense music
	Another    Verb = "another"     // other music of the same intensity
	Choose     Verb = "choose"      // music of the word Name of the phase's menu
	Bring      Verb = "now"         // what was asked comes at once, by a long crossfade
	Change     Verb = "change"      // from the next phase on use Playlist, which fills the time that each stage has left
	StopTimer  Verb = "timer-stop"  // stop timer Of, or dismiss reminder Of
)

// Mode is what the room is doing, one thing at a time. Modes combine as bits.
type Mode uint8

const (
	Idle       Mode = 1 << iota // no session yet, or the last one has ended
	Checking                    // a sound check, audition or arrival music is playing
	Rehearsing                  // a rehearsal is running
	InSession                   // a session is running
	InEnding                    // a session is fading out

	beforehand = Idle | Checking | Rehearsing
	during     = InSession | InEnding
	anytime    = beforehand | during
)

// needs is what the room must read before it applies a command. The rules themselves do no I/O.
type needs uint8

const (
	nothing  needs = iota
	playlist       // the command's playlist, resolved
	revision       // the current file of the session's playlist
	other          // the playlist that the session is to change to
	record         // the note's session and mark
)

// rule is one row of the table of verbs.
type rule struct {
	do     Verb
	in     Mode   // modes in which it is allowed
	takes  string // fields that it reads, besides id, do, phase and before_ms
	needs  needs
	button bool // a button or switch may send it
	undo   bool // it can be undone
	// Exactly one is set: session acts on the session, room on the room without one. session returns the sentence for
	// Undo, or the zero Said if there is nothing to undo this time.
	session func(s *Session, c *Command, now time.Duration, eff *Effects) (Said, error)
	room    func(st *State, in Input, now time.Duration, eff *Effects) error
}

// table lists every verb. A verb that differs with and without a session has two rows. init fills it, because its functions
// look up rules in it and Go rejects the cycle.
var table []rule

func init() {
	table = []rule{
		{do: Start, in: beforehand, takes: "playlist", needs: playlist, button: true, room: (*State).start},

		{do: Hold, in: InSession, button: true, undo: true, session: (*Session).hold},
		{do: Release, in: InSession, button: true, undo: true, session: (*Session).release},
		{do: Next, in: InSession, button: true, undo: true, session: (*Session).moveOn},
		{do: Extend, in: InSession, takes: "by", undo: true, session: (*Session).extend},
		{do: BringBack, in: InSession, button: true, undo: true, session: (*Session).bringBack},
		{do: Revise, in: InSession, takes: "plan", needs: revision, undo: true, session: (*Session).revise},
		{do: Change, in: InSession, takes: "playlist plan", needs: other, undo: true, session: (*Session).change},

		{do: Deeper, in: InSession, button: true, undo: true, session: (*Session).steer},
		{do: Lighter, in: InSession, button: true, undo: true, session: (*Session).steer},
		{do: Another, in: InSession, button: true, undo: true, session: (*Session).steer},
		{do: Choose, in: InSession, takes: "name", undo: true, session: (*Session).steer},
		{do: Bring, in: InSession, button: true, session: (*Session).bring},

		{do: SetLevel, in: InSession, takes: "db", undo: true, session: (*Session).setLevel},
		{do: Soften, in: InSession, button: true, undo: true, session: (*Session).soften},
		{do: Silence, in: InSession, button: true, undo: true, session: (*Session).silence},
		{do: Silence, in: Checking | Rehearsing, button: true, room: (*State).stop},
		{do: Resume, in: InSession, button: true, undo: true, session: (*Session).resume},
		{do: Skip, in: InSession, takes: "clip", button: true, undo: true, session: (*Session).skip},

		{do: MarkNow, in: during, takes: "name then second", button: true, undo: true, session: (*Session).mark},
		{do: StartTimer, in: InSession, takes: "name in", undo: true, session: (*Session).startTimer},
		{do: StopTimer, in: InSession, takes: "of", undo: true, session: (*Session).stopTimer},
		{do: WriteNote, in: anytime, takes: "of session text", needs: record, room: (*State).note},

		{do: Care, in: during, button: true, undo: true, session: (*Session).care},
		{do: Care, in: beforehand, button: true, room: (*State).care},
		{do: Emergency, in: during, button: true, undo: true, session: (*Session).emergency},
		{do: Emergency, in: beforehand, button: true, room: (*State).emergency},
		{do: Follow, in: during, takes: "role", button: true, undo: true, session: (*Session).follow},
		{do: Follow, in: beforehand, takes: "role", button: true, room: (*State).follow},
		{do: SetScene, in: beforehand, takes: "scene by", room: (*State).scene},

		{do: End, in: InSession, button: true, session: (*Session).end},
		{do: Abort, in: during, session: (*Session).abort},
		{do: Undo, in: InSession, takes: "of", session: (*Session).takeBack},

		{do: CheckSound, in: beforehand, takes: "playlist", needs: playlist, room: (*State).check},
		{do: Audition, in: beforehand, takes: "playlist at_ms", needs: playlist, room: (*State).check},
		{do: Arrival, in: beforehand, takes: "playlist by db", needs: playlist, room: (*State).check},
		{do: Rehearse, in: beforehand, takes: "playlist at_ms speed", needs: playlist, room: (*State).rehearse},
		{do: TestLamps, in: beforehand, takes: "role", room: (*State).testLamps},
	}
}

// find returns the rule for verb do in mode in, or the refusal. ended says that the last session has ended.
func find(do Verb, in Mode, ended bool) (*rule, *Refused) {
	known := false
	for k := range table {
		if r := &table[k]; r.do == do {
			if known = true; r.in&in != 0 {
				return r, nil
			}
		}
	}
	switch {
	case !known:
		return nil, Refuse("unknown-verb", "verb", string(do)).Of("do")
	case in == InEnding && do != Start:
		return nil, Refuse("session-ending")
	case do == Start:
		return nil, Refuse("session-runs")
	case do == SetScene:
		return nil, Refuse("scene-in-session")
	case in&during != 0:
		return nil, Refuse("before-only")
	case ended:
		return nil, Refuse("session-ended")
	}
	return nil, Refuse("no-session")
}

// Verbs returns each verb once, in table order. With button it returns only those that a button may send.
func Verbs(button bool) (out []Verb) {
	for _, r := range table {
		if (r.button || !button) && !slices.Contains(out, r.do) {
			out = append(out, r.do)
		}
	}
	return out
}

// only clears the fields that the verb does not read, so that the journal holds only what was used.
func (r *rule) only(c Command) Command {
	keep := append(strings.Fields(r.takes), "id", "do", "phase", "before_ms", "device")
	v := reflect.ValueOf(&c).Elem()
	for k := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(k).Tag.Get("json"), ",")
		if !slices.Contains(keep, name) {
			v.Field(k).SetZero()
		}
	}
	return c
}

// Input is one input to Step. At most one of Command and Trouble is set; if neither is, only time passes.
type Input struct {
	Command *Command `json:"command,omitempty"`
	Trouble *Trouble `json:"trouble,omitempty"`
	// Read before Step: Begin for a start or a rehearsal, Check for a check.
	Begin *Begin      `json:"-"`
	Check *SoundCheck `json:"-"`
	ID    string      `json:"-"` // ID of the session to start
}

// State is the rules' view of the room. It is immutable; Step returns new ones.
type State struct {
	Room      Place
	Session   *Session      // the newest session; nil: there was none yet, or it was erased
	Started   time.Duration // start of Session, room time
	Check     *SoundCheck   // nil unless Checking
	Rehearsal *rehearsal    // nil unless Rehearsing
}

// Place is the part of the room file that the rules use.
type Place struct {
	Scenes []string
	Roles  []string
}

// Mode returns the room's current mode.
func (st *State) Mode() Mode {
	switch s := st.Session; {
	case s != nil && s.State == Running:
		return InSession
	case s != nil && s.State == Ending:
		return InEnding
	case st.Rehearsal != nil:
		return Rehearsing
	case st.Check != nil:
		return Checking
	}
	return Idle
}

// rule returns the rule for verb do in the current mode, or the refusal.
func (st *State) rule(do Verb) (*rule, *Refused) { return find(do, st.Mode(), st.Session != nil) }

// Effects lists what the owner must do in the room after a step. The zero value means nothing.
type Effects struct {
	Score  bool           // play the session's new score
	Check  *SoundCheck    // play this check
	Master *player.Master // move the master level
	Light  *LightMove     // move the lights
	Test   string         // test this role's lamps
}

// LightMove is a request to change the lights.
type LightMove struct {
	Scene  string
	Over   time.Duration
	Urgent bool   // lights for care or emergency
	Plan   bool   // a fade planned in the playlist
	Follow string // the role to control again; "*": all
}

// Step advances old to room time now, then applies one input. It is pure: it does no I/O, does not modify old, and gives
// the same result for the same arguments. If it refuses a command, it returns *Refused and the state with only time
// advanced. For Trouble that belongs to no session it returns errNotOurs.
//
// The owner journals an accepted command before it acts on the effects, so a confirmed command is never lost. A session is
// the fold of its journaled inputs: recovery replays them, and undo replays them without one.
func Step(old State, in Input, now time.Duration) (State, Effects, error) {
	st := old
	var eff Effects
	st.advance(now, &eff)
	c := in.Command
	if c == nil {
		if in.Trouble == nil {
			return st, eff, nil
		}
		return st.inSession(in, now, eff)
	}
	r, refused := st.rule(c.Do)
	if refused != nil {
		return st, eff, refused
	}
	if takes := strings.Fields(r.takes); slices.Contains(takes, "role") && !slices.Contains(st.Room.Roles, c.Role) && (c.Role != "" || r.do == TestLamps) {
		return st, eff, Refuse("unknown-role", "role", c.Role).Of("role")
	}
	if r.session != nil {
		return st.inSession(in, now, eff)
	}
	next, more := st, eff
	if err := r.room(&next, in, now, &more); err != nil {
		return st, eff, err
	}
	return next, more, nil
}

// inSession applies an input to the session.
func (st State) inSession(in Input, now time.Duration, eff Effects) (State, Effects, error) {
	if st.Session == nil {
		return st, eff, errNotOurs
	}
	s, more, err := st.Session.Step(in, now-st.Started)
	st.Session = s
	return st, eff.and(more), err
}

// advance applies everything that is due by room time now.
func (st *State) advance(now time.Duration, eff *Effects) {
	if s := st.Session; s != nil {
		if at, ok := s.Due(); ok && at <= now-st.Started {
			n, more, _ := s.Step(Input{}, now-st.Started)
			st.Session, *eff = n, eff.and(more)
		}
	}
	if h := st.Rehearsal; h != nil {
		st.Rehearsal = h.advance(now, eff)
	}
	if st.Check != nil && now >= st.Check.ends() {
		st.Check = nil
	}
}

// Due returns the room time of the next event that needs no input. ok is false if there is none.
func (st *State) Due() (at time.Duration, ok bool) {
	next := func(t time.Duration) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	if s := st.Session; s != nil {
		if t, has := s.Due(); has {
			next(st.Started + t)
		}
	}
	if st.Rehearsal != nil {
		next(st.Rehearsal.due())
	}
	if st.Check != nil {
		next(st.Check.ends())
	}
	return at, ok
}

// and merges the effects of two steps; more is the later one and wins.
func (eff Effects) and(more Effects) Effects {
	eff.Score = eff.Score || more.Score
	if more.Check != nil {
		eff.Check = more.Check
	}
	if more.Master != nil {
		eff.Master = more.Master
	}
	if m := more.Light; m != nil {
		if m.Scene == "" && eff.Light != nil { // more only follows a role; keep the requested scene
			both := *eff.Light
			both.Follow, m = m.Follow, &both
		}
		eff.Light = m
	}
	if more.Test != "" {
		eff.Test = more.Test
	}
	return eff
}

// start starts a session and drops any check or rehearsal.
func (st *State) start(in Input, now time.Duration, eff *Effects) error {
	if in.Begin == nil || len(in.Begin.Playlist.Phases) == 0 {
		return Refuse("empty-playlist").Of("playlist")
	}
	s, more := NewSession(in.ID, *in.Begin)
	s.inputs = append(s.inputs, taken{id: in.Command.ID})
	*st = State{Room: st.Room, Session: s, Started: now}
	*eff = more
	return nil
}

func (st *State) care(_ Input, _ time.Duration, eff *Effects) error {
	st.Rehearsal = nil
	eff.Light = &LightMove{Scene: careScene, Over: urgentFade, Urgent: true}
	return nil
}

func (st *State) emergency(_ Input, now time.Duration, eff *Effects) error {
	st.quiet(now, eff)
	eff.Light = &LightMove{Scene: fullScene, Over: urgentFade, Urgent: true}
	return nil
}

func (st *State) follow(in Input, _ time.Duration, eff *Effects) error {
	eff.Light = &LightMove{Follow: cmp.Or(in.Command.Role, "*")}
	return nil
}

func (st *State) scene(in Input, _ time.Duration, eff *Effects) error {
	c := in.Command
	if !slices.Contains(st.Room.Scenes, c.Scene) {
		return Refuse("unknown-scene", "scene", c.Scene).Of("scene")
	}
	st.Rehearsal = nil
	over, _ := time.ParseDuration(c.By)
	eff.Light = &LightMove{Scene: c.Scene, Over: over}
	return nil
}

func (st *State) testLamps(in Input, _ time.Duration, eff *Effects) error {
	eff.Test = in.Command.Role
	return nil
}

// note changes only what can be undone late: the journal holds the note.
func (st *State) note(Input, time.Duration, *Effects) error {
	if s := st.Session; s != nil && s.State == Running {
		st.Session = s.noted()
	}
	return nil
}
