package room

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"roomd/player"
	"roomd/playlists"
	"roomd/room/lights"
)

// Sound is the player, as the room needs it. Nothing here blocks.
type Sound interface {
	// SetScore replaces what sounds; zero is the moment at which the score's time line begins.
	SetScore(s player.Score, zero time.Time)
	SetMaster(player.Master)
	Events() <-chan player.Event
	View() SoundView
}

// Lamps are the room's lights, as the room needs them. Nothing here blocks.
type Lamps interface {
	Fade(lights.Move)
	Follow(role string)
	// Test finds out what a role's lamps can do, or says in a sentence why it can't now.
	Test(role string) (refused string)
	Views() map[string]lights.View
	// Answered tells of each lamp whether it answered to the last urgent move.
	Answered() []lights.Answer
	Changed() <-chan struct{}
}

// Library finds playlists.
type Library interface {
	List() []PlaylistView
	// Resolve reads a playlist with its tracks as measured. It may take seconds.
	Resolve(ctx context.Context, id string) (playlists.Playlist, error)
	Changed() <-chan struct{}
}

// Options is what a room is made of.
type Options struct {
	Config  Config
	Store   *Store
	Sound   Sound
	Lights  Lamps
	Library Library
	Log     *slog.Logger
	Version string
	Boot    string // of this process
	// Problems are those that the room does not know of itself, as they stand.
	Problems func() []Problem
	// Schedule is the schedule with its next runs; nil: none.
	Schedule func() []ScheduleView
	// Heard tells of files that were heard through; nil: nothing.
	Heard Heard
}

// Room is one room: the owner of the session. Its methods may be called from anywhere.
type Room struct {
	o     Options
	clock *Clock
	inbox chan request
	state atomic.Pointer[state]
	// damage is what a restart found broken; set by New.
	damage []Problem

	// Owned by Run.
	told    *Outage      // the disk's outage that the log knows of
	check   player.Score // the last sound check
	checked time.Time    // when it began
}

// state is what readers see: replaced whole, never changed.
type state struct {
	session  *Session
	started  time.Duration // room time of the session's start
	rev      uint64
	changed  chan struct{} // closed when a newer state is there
	lights   map[string]LightView
	sound    SoundView
	problems []Problem
	parts    []PartView
	outage   *Outage // of the disk
	revised  bool    // the file of the session's playlist is another now
	// checkEnds is until when the sound check plays.
	checkEnds time.Duration
	rehearsal *rehearsal // nil: none
}

type request struct {
	ping   bool   // nothing is asked but an answer
	erase  string // the session to erase
	cmd    Command
	begin  *Begin
	came   time.Duration // room time
	answer chan answer
}

type answer struct {
	ack Ack
	err error
}

// journal kinds
const (
	kindBegin   = "begin"
	kindCommand = "command"
	kindTrouble = "trouble"
	kindNote    = "note"
)

// New makes a room and takes up the session that its journal holds unfinished. It does no sound and no light before Run.
func New(ctx context.Context, o Options) (*Room, error) {
	r := &Room{o: o, inbox: make(chan request, 16)}
	anchor, err := o.Store.Anchor(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the clock's anchor: %w", err)
	}
	clock, trusted := NewClock(anchor)
	r.clock = clock
	st := &state{rev: 1, changed: make(chan struct{}), outage: o.Store.Outage(), parts: partViews(nil, nil, nil, 0)}
	if !trusted {
		o.Log.Warn("the wall clock went back over a reboot: the session's time counts from before it")
		r.damage = append(r.damage, Problem{"clock", "The computer's clock went back while it was off, so the session does not know how long that was.",
			"Look whether the time since the lozenge is right."})
	}
	rec, ok, err := o.Store.Unfinished(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for an unfinished session: %w", err)
	}
	if ok {
		s, started, broken, err := r.replay(ctx, rec.ID)
		if broken > 0 {
			o.Log.Error("events of the unfinished session are scribbled over and left out", "session", rec.ID, "events", broken)
			r.damage = append(r.damage, Problem{"disk", "A part of this session's record was damaged and is left out.",
				"Look whether the phase and the marks are right. Whoever looks after the computer should check its disk."})
		}
		switch {
		case err != nil:
			o.Log.Error("the unfinished session can't be read", "session", rec.ID, "err", err)
			r.damage = append(r.damage, Problem{"disk", "The session that was running can't be read any more, so it has ended.",
				"Start its playlist again and go on to the phase it was in."})
			if err := o.Store.Finish(ctx, rec.ID, ms(clock.Now()), "could not be read after a restart"); err != nil {
				return nil, err
			}
		default:
			s, _, _ = Step(s, Input{}, clock.Now()-started)
			st.session, st.started = s, started
			if s.State == Ended {
				s.Ending = "ended while the room was off"
				if err := o.Store.Finish(ctx, s.ID, ms(started+s.EndAt), s.Ending); err != nil {
					return nil, err
				}
			}
			o.Log.Info("took up the unfinished session", "session", s.ID, "elapsed", clock.Now()-started, "state", s.State)
		}
	}
	r.state.Store(st)
	return r, o.Store.SetAnchor(ctx, clock.Anchor())
}

// replay makes a session from its journal, and says when on the room's clock it began and how many of its events could
// not be read.
func (r *Room) replay(ctx context.Context, id string) (s *Session, started time.Duration, broken int, err error) {
	events, broken, err := r.o.Store.Events(ctx, id)
	if err != nil {
		return nil, 0, broken, err
	}
	if len(events) == 0 || events[0].Kind != kindBegin {
		return nil, 0, broken, errors.New("the journal does not hold its beginning")
	}
	started = time.Duration(events[0].AtMS) * time.Millisecond
	var b Begin
	if err := json.Unmarshal(events[0].Data, &b); err != nil {
		return nil, 0, broken, fmt.Errorf("its beginning: %w", err)
	}
	if len(b.Playlist.Phases) == 0 {
		return nil, 0, broken, errors.New("its beginning has no phases")
	}
	s, _ = NewSession(id, b)
	s.Done[events[0].CommandID] = true
	for _, e := range events[1:] {
		var in Input
		switch e.Kind {
		case kindCommand:
			in.Command = new(Command)
			err = json.Unmarshal(e.Data, in.Command)
		case kindTrouble:
			in.Trouble = new(Trouble)
			err = json.Unmarshal(e.Data, in.Trouble)
		default:
			continue
		}
		if err != nil {
			return nil, 0, broken, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		_, _ = s.apply(in, time.Duration(e.AtMS)*time.Millisecond-started)
	}
	return s, started, broken, nil
}

// Now is the room's clock.
func (r *Room) Now() time.Duration { return r.clock.Now() }

// Do does a command: it is in the journal when Do returns, and on the disk unless the answer says Unsaved. A command that can't be done gives *Refused.
func (r *Room) Do(ctx context.Context, c Command) (Ack, error) {
	if c.ID == "" || len(c.ID) > 64 {
		return Ack{}, &Refused{Field: "id", Reason: "an id of its own for each command, a UUID"}
	}
	req := request{cmd: c, came: r.clock.Now(), answer: make(chan answer, 1)}
	req.cmd.Plan = nil
	if s := r.state.Load().session; c.Do == Revise && s != nil && !s.Done[c.ID] {
		b, err := r.prepare(ctx, s.Begin.Playlist.ID)
		if err != nil {
			return Ack{}, err
		}
		req.cmd.Plan = &b.Playlist
	}
	if c.Do == Start || c.Do == CheckSound || c.Do == Audition || c.Do == Arrival || c.Do == Rehearse {
		b, err := r.prepare(ctx, c.Playlist)
		if err != nil {
			return Ack{}, err
		}
		req.begin = b
	}
	return r.ask(ctx, req)
}

// ask hands a request to the owner and waits for its answer.
func (r *Room) ask(ctx context.Context, req request) (Ack, error) {
	select {
	case r.inbox <- req:
	case <-ctx.Done():
		return Ack{}, ctx.Err()
	}
	select {
	case a := <-req.answer:
		return a.ack, a.err
	case <-ctx.Done():
		return Ack{}, ctx.Err()
	}
}

// Ping returns nil once the owner of the session has answered: it is not stuck. One that waits for a disk that hangs is not
// stuck either: sound and light go on with what they have, and a new start would wait for the same disk, in silence.
func (r *Room) Ping(ctx context.Context) error {
	_, err := r.ask(ctx, request{ping: true, answer: make(chan answer, 1)})
	if err != nil && r.o.Store.Hangs() {
		return nil
	}
	return err
}

// prepare reads the playlist that a session is to start with.
func (r *Room) prepare(ctx context.Context, id string) (*Begin, error) {
	if id == "" {
		return nil, &Refused{Field: "playlist", Reason: "the id of a playlist"}
	}
	pl, err := r.o.Library.Resolve(ctx, id)
	if err != nil {
		var refused *Refused
		if errors.As(err, &refused) {
			return nil, refused
		}
		r.o.Log.Error("a playlist can't be started", "playlist", id, "err", err)
		return nil, &Refused{Reason: "This playlist has errors. Its page says which."}
	}
	if len(pl.Phases) == 0 {
		return nil, &Refused{Field: "playlist", Reason: "no such playlist"}
	}
	heard, err := r.o.Store.Heard(ctx)
	if err != nil {
		r.o.Log.Warn("what was heard before is not known", "err", err)
	}
	return &Begin{Playlist: pl, Reference: r.o.Config.Audio.Reference, Ceiling: r.o.Config.Audio.Ceiling,
		Seed: rand.Uint64(), Heard: heard, Marks: r.o.Config.Marks}, nil
}

// anchorEvery is how old the clock's anchor may get in a session. It is what a power cut costs where nothing tells the time
// afterwards; each is 20 KiB written.
const anchorEvery = 150 * time.Second

// Run owns the session until ctx ends. Music goes on from where real time says it is.
func (r *Room) Run(ctx context.Context) error {
	st := r.state.Load()
	if s := st.session; s != nil && s.State != Ended {
		r.o.Sound.SetMaster(player.Master{DB: s.master()})
		r.play(st)
		r.relight(st)
	}
	r.save()
	r.compare()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	anchored := time.Now()
	tidy := time.NewTicker(time.Hour)
	defer tidy.Stop()
	r.forgetOld(ctx)
	for {
		st = r.state.Load()
		if s := st.session; s != nil {
			if at, ok := s.Due(); ok {
				due.Reset(max(0, at-(r.clock.Now()-st.started)))
			}
		}
		if h := st.rehearsal; h != nil {
			if at, ok := h.due(); ok {
				due.Reset(max(0, at-r.clock.Now()))
			}
		}
		select {
		case <-ctx.Done():
			r.save()
			return r.o.Store.SetAnchor(context.WithoutCancel(ctx), r.clock.Anchor())
		case req := <-r.inbox:
			if req.ping {
				req.answer <- answer{}
				continue
			}
			if req.erase != "" {
				req.answer <- answer{err: r.erase(context.WithoutCancel(ctx), req.erase)}
				continue
			}
			ack, err := r.do(context.WithoutCancel(ctx), req) // what was begun is journalled, also while roomd ends
			req.answer <- answer{ack, err}
		case e := <-r.o.Sound.Events():
			r.heard(context.WithoutCancel(ctx), e)
		case <-due.C:
			r.step(Input{}, nil)
			r.rehearseOn()
		case <-tidy.C:
			r.forgetOld(ctx)
		case <-r.o.Lights.Changed():
		case <-r.o.Library.Changed():
			r.compare()
		case <-second.C:
			r.save()
			if s := r.state.Load().session; s != nil && s.State != Ended && time.Since(anchored) > anchorEvery {
				anchored = time.Now()
				if err := r.o.Store.SetAnchor(ctx, r.clock.Anchor()); err != nil {
					r.o.Log.Warn("the clock's anchor was not saved", "err", err)
				}
			}
		}
		r.refresh()
	}
}

// do does one command.
func (r *Room) do(ctx context.Context, req request) (Ack, error) {
	c := req.cmd
	st := r.state.Load()
	done := Ack{ID: c.ID, Rev: st.rev, Unsaved: r.o.Store.Outage().unsaved(c.ID)}
	if s := st.session; s != nil && s.Done[c.ID] {
		return done, nil
	}
	if seen, err := r.o.Store.Seen(ctx, c.ID); err == nil && seen {
		return done, nil
	}
	now := r.clock.Now()
	if c.Do == Start {
		now = req.came // reading its playlist may take seconds, which are not the tap's
	}
	if c.BeforeMS != 0 && ms(now) > c.BeforeMS {
		return Ack{}, &Refused{Reason: "This came too late and was not done. Tap again if it is still wanted."}
	}
	running := st.session != nil && st.session.State != Ended
	switch {
	case c.Do == Start && !running:
		return r.begin(ctx, c, req.begin)
	case c.Do == WriteNote:
		return r.note(ctx, c)
	case (c.Do == CheckSound || c.Do == Audition || c.Do == Arrival || c.Do == Rehearse) && running:
		return Ack{}, &Refused{Reason: "This is done before a session, not in one."}
	case c.Do == Arrival:
		return r.arrival(ctx, c, req.begin)
	case c.Do == Rehearse:
		return r.rehearse(ctx, c, req.begin)
	case c.Do == CheckSound:
		return r.checkSound(ctx, c, req.begin)
	case c.Do == Audition:
		return r.audition(ctx, c, req.begin)
	case c.Do == Silence && !running:
		return r.endCheck(ctx, c)
	case c.Do == TestLamps && running:
		return Ack{}, &Refused{Reason: "Lights are tested before a session, not in one."}
	case c.Do == TestLamps:
		if reason := r.o.Lights.Test(c.Role); reason != "" {
			return Ack{}, &Refused{Reason: reason}
		}
		return r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c), nil
	case c.Do == SetScene && !running:
		r.endRehearsal()
		return r.scene(ctx, c)
	case c.Do == Follow && !running:
		r.o.Lights.Follow(c.Role)
		return r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c), nil
	case (c.Do == Care || c.Do == Emergency) && !running:
		r.endRehearsal()
		r.move(LightMove{Scene: map[Verb]string{Care: careScene, Emergency: fullScene}[c.Do], Over: 2 * time.Second, Urgent: true})
		return r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c), nil
	case st.session == nil:
		return Ack{}, &Refused{Reason: "No session is running."}
	}
	var ack Ack
	err := r.step(Input{Command: &c}, func(s *Session, now time.Duration) {
		ack = r.journal(ctx, Event{Session: s.ID, AtMS: ms(st.started + now), Kind: kindCommand, CommandID: c.ID}, c)
	})
	if c.Do == Revise {
		r.compare()
	}
	ack.Rev = r.state.Load().rev
	return ack, err
}

// compare finds out whether the file of the session's playlist is still the one that it was begun with.
func (r *Room) compare() {
	st := r.state.Load()
	revised := false
	if s := st.session; s != nil && s.State == Running {
		for _, v := range r.o.Library.List() {
			if v.ID == s.Begin.Playlist.ID {
				revised = v.Ready && v.Revision != "" && v.Revision != s.Begin.Playlist.Revision
			}
		}
	}
	if revised != st.revised {
		r.publish(func(n *state) { n.revised = revised })
	}
}

// step takes the session one step: journal first, then act. It publishes the new state.
func (r *Room) step(in Input, journal func(*Session, time.Duration)) error {
	st := r.state.Load()
	if st.session == nil {
		return nil
	}
	now := r.clock.Now() - st.started
	was := st.session.State
	s, eff, err := Step(st.session, in, now)
	if err == nil && journal != nil {
		journal(s, now)
	}
	next := *st
	next.session = s
	r.act(eff, &next)
	if s.State == Ended && was != Ended {
		if err := r.o.Store.Hear(context.Background(), s.files()); err != nil {
			r.o.Log.Warn("what was heard was not saved", "err", err)
		}
		if err := r.o.Store.Finish(context.Background(), s.ID, ms(st.started+s.EndAt), s.Ending); err != nil {
			r.o.Log.Error("the session's end was not saved", "err", err)
		}
	}
	r.publish(func(n *state) { n.session = s }) // once its end can be read in its record too
	return err
}

// begin starts a session.
func (r *Room) begin(ctx context.Context, c Command, b *Begin) (Ack, error) {
	now := r.clock.Now()
	id := sessionID()
	s, eff := NewSession(id, *b)
	s.Done[c.ID] = true
	if err := r.o.Store.Begin(ctx, SessionRow{ID: id, Playlist: b.Playlist.ID, Name: b.Playlist.Name, StartedMS: ms(now)}); err != nil {
		r.o.Log.Error("the session's start was not saved", "err", err)
	}
	ack := r.journal(ctx, Event{Session: id, AtMS: ms(now), Kind: kindBegin, CommandID: c.ID}, b)
	if err := r.o.Store.SetAnchor(ctx, r.clock.Anchor()); err != nil {
		r.o.Log.Warn("the clock's anchor was not saved", "err", err)
	}
	r.publish(func(n *state) { n.session, n.started, n.checkEnds, n.revised, n.rehearsal = s, now, 0, false, nil })
	r.act(eff, r.state.Load())
	ack.Rev = r.state.Load().rev
	return ack, nil
}

// scene lights the room while no session runs.
func (r *Room) scene(ctx context.Context, c Command) (Ack, error) {
	if _, ok := r.o.Config.Scenes[c.Scene]; !ok {
		return Ack{}, &Refused{Field: "scene", Reason: "no such scene in room.yaml"}
	}
	over, _ := time.ParseDuration(c.By)
	r.move(LightMove{Scene: c.Scene, Over: over})
	ack := r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c)
	ack.Rev = r.state.Load().rev
	return ack, nil
}

// journal writes an event down. What the disk does not take is kept in memory and written as soon as it does.
func (r *Room) journal(ctx context.Context, e Event, data any) Ack {
	saved := false
	var err error
	if e.Data, err = json.Marshal(data); err == nil {
		saved, err = r.o.Store.Append(ctx, e)
	}
	if err != nil {
		r.o.Log.Error("an event can't be journalled", "kind", e.Kind, "err", err)
	}
	return Ack{ID: e.CommandID, Unsaved: !saved}
}

// save tries again what the disk did not take, and tells the log of each change.
func (r *Room) save() {
	if _, warning := r.o.Store.Retry(); warning != "" {
		r.o.Log.Error("journal", "problem", warning)
		r.damage = append(r.damage, Problem{"disk", warning, "Whoever looks after the computer should check its disk."})
	}
	switch t := r.o.Store.Outage(); {
	case t != nil && r.told == nil:
		r.o.Log.Error("the disk takes nothing; the journal is kept in memory", "err", t.Err)
		r.told = t
	case t == nil && r.told != nil:
		r.o.Log.Info("the disk takes the journal again; all of it is saved", "after", time.Since(r.told.Since))
		r.told = nil
	}
}

// heard takes what the player says of its clips.
func (r *Room) heard(ctx context.Context, e player.Event) {
	switch e.Kind {
	case player.ClipFailed, player.ClipShort:
		r.o.Log.Warn("a track can't be played on", "clip", e.Clip, "what", string(e.Kind), "err", e.Detail)
		tr := Trouble{Clip: e.Clip, Detail: e.Detail}
		st := r.state.Load()
		if st.session == nil {
			return
		}
		_ = r.step(Input{Trouble: &tr}, func(s *Session, now time.Duration) {
			r.journal(ctx, Event{Session: s.ID, AtMS: ms(st.started + now), Kind: kindTrouble}, tr)
		})
	case player.DeviceLost, player.DeviceBack:
		r.o.Log.Warn(string(e.Kind), "err", e.Detail)
	}
}

// act does a step's effects, of the state that it led to.
func (r *Room) act(eff Effects, st *state) {
	if eff.Master != nil {
		r.o.Sound.SetMaster(*eff.Master)
	}
	if eff.Score {
		r.play(st)
	}
	if eff.Light != nil {
		r.move(*eff.Light)
	}
}

// play gives the player the session's score.
func (r *Room) play(st *state) {
	s := st.session
	sc := s.ScoreWith(r.o.Heard)
	r.o.Sound.SetScore(sc, time.Now().Add(-(r.clock.Now() - st.started)))
}

// move moves the lights.
func (r *Room) move(m LightMove) {
	switch m.Follow {
	case "":
	case "*":
		for role := range r.o.Config.Lights {
			r.o.Lights.Follow(role)
		}
	default:
		r.o.Lights.Follow(m.Follow)
	}
	if m.Scene == "" {
		return
	}
	scene, ok := r.o.Config.Scenes[m.Scene]
	if !ok {
		r.o.Log.Warn("a scene is not in the room file", "scene", m.Scene)
		return
	}
	kind := lights.Unplanned
	switch {
	case m.Urgent:
		kind = lights.Urgent
	case m.Plan:
		kind = lights.Planned
	}
	r.o.Lights.Fade(lights.Move{Scene: scene, Over: m.Over, Kind: kind})
}

// relight goes on with the lights after a restart, from where they are.
func (r *Room) relight(st *state) {
	s := st.session
	now := r.clock.Now() - st.started
	switch {
	case s.Emergency:
		r.move(LightMove{Scene: fullScene})
	case s.Care:
		r.move(LightMove{Scene: careScene})
	case s.Light.Scene != "":
		left := s.Light.At + s.Light.Over - now
		r.move(LightMove{Scene: s.Light.Scene, Over: max(left, 10*time.Second)})
	}
}

// publish replaces the state by a changed copy and wakes those who wait for it.
func (r *Room) publish(change func(*state)) {
	old := r.state.Load()
	n := *old
	change(&n)
	n.outage = r.o.Store.Outage()
	n.rev++
	n.changed = make(chan struct{})
	r.state.Store(&n)
	close(old.changed)
}

// refresh publishes what has changed around the session: lights, sound, problems.
func (r *Room) refresh() {
	st := r.state.Load()
	lv, sv := r.lightViews(), r.o.Sound.View()
	problems := r.problems()
	parts := partViews(st.parts, problems, lv, r.clock.Now())
	quiet := sv
	quiet.LatencyMS = st.sound.LatencyMS // moves all the time; no change by itself
	if reflect.DeepEqual(lv, st.lights) && quiet == st.sound && slices.Equal(problems, st.problems) && slices.Equal(parts, st.parts) && r.o.Store.Outage() == st.outage {
		return
	}
	r.publish(func(n *state) { n.lights, n.sound, n.problems, n.parts = lv, sv, problems, parts })
}

// lightViews is the lights as a tablet shows them.
func (r *Room) lightViews() map[string]LightView {
	answer := map[[2]string]string{}
	for _, a := range r.o.Lights.Answered() {
		word := "no"
		if a.Answered {
			word = "yes"
		} else if a.Waiting {
			word = "waiting"
		}
		answer[[2]string{a.Role, a.Lamp}] = word
	}
	out := map[string]LightView{}
	for role, v := range r.o.Lights.Views() {
		lv := LightView{Target: LightLevel{v.Target.L, v.Target.Kelvin, v.Target.Color}, State: string(v.State), Says: v.Says, Lamps: []LampView{}, Test: v.Test, Testable: v.Testable}
		if v.Actual != nil {
			lv.Actual = &LightLevel{v.Actual.L, v.Actual.Kelvin, v.Actual.Color}
			if v.Target == (lights.Level{}) {
				lv.Target = *lv.Actual // nothing was asked of it yet: it is to stay as it is
			}
		}
		for _, l := range v.Lamps {
			lv.Lamps = append(lv.Lamps, LampView{l.Name, string(l.State), answer[[2]string{role, l.Name}]})
		}
		out[role] = lv
	}
	return out
}

// problems are all that are known, as they stand.
func (r *Room) problems() []Problem {
	out := []Problem{}
	if t := r.o.Store.Outage(); t != nil {
		out = append(out, t.problem())
	}
	out = append(out, r.damage...)
	if p, wrong := clockProblem(time.Now()); wrong {
		out = append(out, p)
	}
	if r.o.Problems != nil {
		out = append(out, r.o.Problems()...)
	}
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Compare(weight(a.Part), weight(b.Part)) })
	return out
}

// weight orders problems: what the client would feel comes first.
func weight(part string) int {
	return slices.Index([]string{"playlist", "room", "clock", "link", "disk", "broker", "lights", "sound"}, part) * -1
}

// Snapshot is all that a tablet shows, as of now.
func (r *Room) Snapshot() Snapshot {
	st := r.state.Load()
	now := r.clock.Now()
	snap := Snapshot{
		Boot: r.o.Boot, Rev: st.rev, NowMS: ms(now), Version: r.o.Version, Room: r.o.Config.Room,
		Lights: st.lights, Sound: st.sound, Problems: st.problems, Parts: st.parts,
		Marks: r.o.Config.Marks, Scenes: slices.Sorted(maps.Keys(r.o.Config.Scenes)),
	}
	snap.Checking = now < st.checkEnds
	if st.rehearsal != nil {
		snap.Rehearsal = st.rehearsal.view(now)
	}
	if r.o.Schedule != nil {
		snap.Schedule = r.o.Schedule()
	}
	if snap.Lights == nil {
		snap.Lights = map[string]LightView{}
	}
	if snap.Problems == nil {
		snap.Problems = []Problem{}
	}
	if st.session != nil {
		snap.Session = st.session.View(now - st.started)
		snap.Session.StartedMS = ms(st.started)
		snap.Session.Revised = st.revised && st.session.State == Running
		r.o.Config.light(snap.Session.Phases)
		for k, m := range snap.Session.Marks {
			snap.Session.Marks[k].Unsaved = st.outage.unsaved(m.ID)
		}
	}
	if st.outage != nil {
		snap.Unsaved = len(st.outage.Unsaved)
	}
	return snap
}

// Changed is closed when a newer state than now is there.
func (r *Room) Changed() <-chan struct{} { return r.state.Load().changed }

// Playlists are those that can be chosen.
func (r *Room) Playlists() []PlaylistView {
	list := r.o.Library.List()
	for _, p := range list {
		r.o.Config.light(p.Phases)
	}
	return list
}

// NewID is an id for a command of roomd's own: a random UUID (RFC 9562, version 4).
func NewID() string {
	a, b := rand.Uint64(), rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

// sessionID is a random name that tells nothing.
func sessionID() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	b := make([]byte, 8)
	for k := range b {
		b[k] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}
