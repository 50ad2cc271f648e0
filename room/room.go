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
	"strings"
	"sync/atomic"
	"time"

	"roomd/player"
	"roomd/playlists"
	"roomd/room/journal"
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
	// Test finds out what a role's lamps can do, or says why it can't now.
	Test(role string) (refused lights.Said)
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
	Store   *journal.Store
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
	// Before is the room that was left for this one; its last session is still shown. nil: there was none.
	Before *Room
}

// Room is one room: the owner of its state. Its methods may be called from any goroutine.
type Room struct {
	o     Options
	clock *Clock
	inbox chan request
	state atomic.Pointer[state]
	// damage is what a restart found broken; set by New.
	damage []Problem

	// Owned by Run.
	outage  *journal.Outage // the disk's outage that the log knows of
	answers answers
}

// state is what readers see: replaced whole, never changed.
type state struct {
	State
	rev      uint64
	changed  chan struct{} // closed when a newer state is there
	lights   map[string]LightView
	sound    SoundView
	problems []Problem
	parts    []PartView
	outage   *journal.Outage // of the disk
	revised  bool            // the file of the session's playlist is another now
}

type request struct {
	ping   bool   // nothing is asked but an answer
	leave  bool   // Run is to end
	erase  string // the session to erase
	in     Input
	unfit  error         // why the command can't be carried out, as far as that is known before its turn
	came   time.Duration // room time
	answer chan answer
}

type answer struct {
	ack Ack
	err error
}

// answers are the last answers by the command's ID, so that a retry gets the first one, whatever has happened since.
type answers struct {
	byID  map[string]answer
	order []string
}

const keptAnswers = 512

func (a *answers) keep(id string, ans answer) {
	if a.byID == nil {
		a.byID = map[string]answer{}
	}
	if len(a.order) == keptAnswers {
		delete(a.byID, a.order[0])
		a.order = a.order[1:]
	}
	a.byID[id] = ans
	a.order = append(a.order, id)
}

// New makes a room and resumes the session that its journal holds unfinished. It makes no sound and no light before Run.
func New(ctx context.Context, o Options) (*Room, error) {
	r := &Room{o: o, inbox: make(chan request, 16)}
	anchor, err := o.Store.Anchor(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the clock's anchor: %w", err)
	}
	clock, trusted := NewClock(anchor)
	r.clock = clock
	st := &state{rev: 1, changed: make(chan struct{}), outage: o.Store.Outage(), parts: partViews(nil, nil, nil, 0)}
	st.Room = Place{Scenes: slices.Sorted(maps.Keys(o.Config.Scenes)), Roles: slices.Sorted(maps.Keys(o.Config.Lights))}
	if !trusted {
		o.Log.Warn("the wall clock went back, or ahead by decades, across a reboot; resuming from the last saved time")
		r.damage = append(r.damage, NewProblem("clock", "clock-back"))
	}
	rec, ok, err := o.Store.Unfinished(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for an unfinished session: %w", err)
	}
	if ok {
		if err := r.resume(ctx, st, rec); err != nil {
			return nil, err
		}
	} else if o.Before != nil {
		was := o.Before.state.Load()
		st.Session, st.Started = was.Session, was.Started
		r.o.Before = nil
	}
	r.state.Store(st)
	r.refresh() // who asks before Run's first round hears of what is wrong
	return r, o.Store.SetAnchor(ctx, clock.Anchor())
}

// resume puts the unfinished session into st, where real time says it is.
func (r *Room) resume(ctx context.Context, st *state, rec journal.SessionRow) error {
	s, started, broken, err := r.replay(ctx, rec.ID)
	if broken > 0 {
		r.o.Log.Error("skipped corrupt journal events", "session", rec.ID, "events", broken)
		r.damage = append(r.damage, NewProblem("disk", "record-cut"))
	}
	if err != nil {
		r.o.Log.Error("the unfinished session can't be read", "session", rec.ID, "err", err)
		r.damage = append(r.damage, NewProblem("disk", "record-lost"))
		return r.o.Store.Finish(ctx, rec.ID, ms(r.clock.Now()), english["ended-unread"])
	}
	s, _, _ = s.Step(Input{}, r.now()-started)
	if s.State == Ended {
		s.Ending = english["ended-off"]
		if err := r.o.Store.Finish(ctx, s.ID, ms(started+s.EndAt), s.Ending); err != nil {
			return err
		}
	}
	st.Session, st.Started = s, started
	r.o.Log.Info("resumed the unfinished session", "session", s.ID, "elapsed", r.now()-started, "state", s.State, "rules", max(s.Begin.Rules, 1))
	return nil
}

// replay makes a session from its journal, and says when on the room's clock it began and how many of its events could
// not be read.
func (r *Room) replay(ctx context.Context, id string) (s *Session, started time.Duration, broken int, err error) {
	events, broken, err := r.o.Store.Events(ctx, id)
	if err != nil {
		return nil, 0, broken, err
	}
	if len(events) == 0 || events[0].Kind != journal.KindBegin {
		return nil, 0, broken, errors.New("the journal does not hold its beginning")
	}
	started = time.Duration(events[0].AtMS) * time.Millisecond
	var b Begin
	if err := json.Unmarshal(events[0].Data, &b); err != nil {
		return nil, 0, broken, fmt.Errorf("its beginning: %w", err)
	}
	switch {
	case len(b.Playlist.Phases) == 0:
		return nil, 0, broken, errors.New("its beginning has no phases")
	case b.Rules > rules:
		return nil, 0, broken, fmt.Errorf("it follows rules %d of a newer roomd; this one knows %d", b.Rules, rules)
	}
	s, _ = NewSession(id, b)
	s.inputs = []taken{{id: events[0].CommandID}}
	for _, e := range events[1:] {
		var in Input
		switch e.Kind {
		case journal.KindCommand:
			in.Command = new(Command)
			err = json.Unmarshal(e.Data, in.Command)
		case journal.KindTrouble:
			in.Trouble = new(Trouble)
			err = json.Unmarshal(e.Data, in.Trouble)
		case journal.KindNote:
			s = s.noted()
			continue
		default:
			continue
		}
		if err != nil {
			return nil, 0, broken, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		// A refusal changes nothing: the input depended on one that damage has taken out.
		s, _, _ = s.Step(in, time.Duration(e.AtMS)*time.Millisecond-started)
	}
	return s, started, broken, nil
}

// now is the room's clock as the rules and the journal have it: whole milliseconds, so that a replay is exact.
func (r *Room) now() time.Duration { return r.clock.Now().Truncate(time.Millisecond) }

// Now is the room's clock.
func (r *Room) Now() time.Duration { return r.clock.Now() }

// Do executes c. When it returns, c is journaled; if Ack.Unsaved is set, only in memory. A command that can't be carried
// out gives *Refused. A repeated ID gets the first answer.
func (r *Room) Do(ctx context.Context, c Command) (Ack, error) {
	if c.ID == "" || len(c.ID) > 64 {
		return Ack{}, Refuse("bad-id").Of("id")
	}
	c.Plan = nil
	req := request{in: Input{Command: &c}, came: r.now(), answer: make(chan answer, 1)}
	if rule, refused := r.state.Load().rule(c.Do); refused != nil {
		req.unfit = refused
	} else {
		c = rule.only(c)
		req.unfit = r.prepare(ctx, rule, &req.in)
	}
	return r.ask(ctx, req) // an unfit command too: if it is a retry, the owner has its first answer
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

// ErrLeft says that Run has ended because of Leave.
var ErrLeft = errors.New("the room has been left")

var errPlays = errors.New("something plays in the room")

// Leave ends Run with ErrLeft, unless something plays in the room: then it is false, and nothing happens.
func (r *Room) Leave(ctx context.Context) bool {
	_, err := r.ask(ctx, request{leave: true, answer: make(chan answer, 1)})
	return err == nil
}

// prepare reads what a command needs and the rules don't read themselves.
func (r *Room) prepare(ctx context.Context, rule *rule, in *Input) error {
	c := in.Command
	switch rule.needs {
	case revision:
		if s := r.state.Load().Session; s != nil {
			b, err := r.load(ctx, s.Begin.Playlist.ID)
			if err != nil {
				return err
			}
			c.Plan = &b.Playlist
		}
	case other:
		b, err := r.load(ctx, c.Playlist)
		if err != nil {
			return err
		}
		c.Plan = &b.Playlist
	case playlist:
		b, err := r.load(ctx, c.Playlist)
		if err != nil {
			return err
		}
		b.Device = in.Command.Device
		in.Begin, in.ID = b, sessionID()
		if c.Do != Start && c.Do != Rehearse {
			var refused *Refused
			if in.Check, refused = checkOf(*c, *b, r.o.Heard); refused != nil {
				return refused
			}
		}
	case record:
		return r.noteFor(ctx, c)
	}
	return nil
}

// load reads a playlist as a session begins with it.
func (r *Room) load(ctx context.Context, id string) (*Begin, error) {
	if id == "" {
		return nil, Refuse("no-playlist").Of("playlist")
	}
	pl, err := r.o.Library.Resolve(ctx, id)
	if err != nil {
		var refused *Refused
		if errors.As(err, &refused) {
			return nil, refused
		}
		r.o.Log.Error("a playlist can't be started", "playlist", id, "err", err)
		return nil, Refuse("broken-playlist")
	}
	if len(pl.Phases) == 0 {
		return nil, Refuse("empty-playlist").Of("playlist")
	}
	heard, err := r.o.Store.Heard(ctx)
	if err != nil {
		r.o.Log.Warn("what was heard before is unknown", "err", err)
	}
	return &Begin{Playlist: pl, Reference: r.o.Config.Audio.Reference, Ceiling: r.o.Config.Audio.Ceiling,
		Seed: rand.Uint64(), Heard: heard, Marks: r.o.Config.Marks, Rules: rules}, nil
}

// anchorEvery is how old the clock's anchor may get in a session. It is what a power cut costs where nothing tells the time
// afterwards; each is 20 KiB written.
const anchorEvery = 150 * time.Second

// Run owns the session until ctx ends. Music goes on from where real time says it is.
func (r *Room) Run(ctx context.Context) error {
	st := r.state.Load()
	if s := st.Session; s != nil && s.State != Ended {
		r.o.Sound.SetMaster(player.Master{DB: s.master()})
		r.play(&st.State)
		r.relight(&st.State)
	}
	r.save()
	r.compare()
	second := time.NewTimer(time.Second)
	defer second.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	anchored := time.Now()
	tidy := time.NewTicker(time.Hour)
	defer tidy.Stop()
	r.forgetOld(ctx)
	for {
		if at, ok := r.state.Load().Due(); ok {
			due.Reset(max(0, at-r.clock.Now()))
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
			if req.leave && r.state.Load().Mode() != Idle {
				req.answer <- answer{err: errPlays}
				continue
			} else if req.leave {
				r.save()
				err := r.o.Store.SetAnchor(context.WithoutCancel(ctx), r.clock.Anchor())
				req.answer <- answer{}
				return errors.Join(ErrLeft, err)
			}
			if req.erase != "" {
				req.answer <- answer{err: r.erase(context.WithoutCancel(ctx), req.erase)}
				continue
			}
			req.answer <- r.do(context.WithoutCancel(ctx), req) // what was begun is journaled, also while roomd stops
		case e := <-r.o.Sound.Events():
			r.heard(context.WithoutCancel(ctx), e)
		case <-due.C:
			_ = r.step(context.WithoutCancel(ctx), Input{}, r.clock.Now(), nil)
		case <-tidy.C:
			r.forgetOld(ctx)
		case <-r.o.Lights.Changed():
		case <-r.o.Library.Changed():
			r.compare()
		case <-second.C:
			second.Reset(UntilNext(time.Second, time.Now()))
			r.save()
			if r.state.Load().Mode()&during != 0 && time.Since(anchored) > anchorEvery {
				anchored = time.Now()
				if err := r.o.Store.SetAnchor(ctx, r.clock.Anchor()); err != nil {
					r.o.Log.Warn("the clock's anchor was not saved", "err", err)
				}
			}
		}
		r.refresh()
	}
}

// do carries out one command, and keeps the answer for a retry.
func (r *Room) do(ctx context.Context, req request) answer {
	c := req.in.Command
	if a, ok := r.answers.byID[c.ID]; ok {
		return a
	}
	if seen, err := r.o.Store.Seen(ctx, c.ID); err == nil && seen {
		return answer{ack: Ack{ID: c.ID, Rev: r.state.Load().rev, Unsaved: r.o.Store.Outage().Holds(c.ID)}}
	}
	a := answer{}
	a.ack, a.err = r.fresh(ctx, req)
	if a.err != nil {
		a.ack = Ack{}
	}
	r.answers.keep(c.ID, a)
	return a
}

// fresh carries out a command that was not given before.
func (r *Room) fresh(ctx context.Context, req request) (ack Ack, err error) {
	c := req.in.Command
	now := r.now()
	if c.Do == Start {
		now = req.came // reading its playlist may take seconds, which are not the tap's
	}
	if c.BeforeMS != 0 && ms(now) > c.BeforeMS {
		return ack, Refuse("too-late")
	}
	if req.unfit != nil {
		return ack, req.unfit
	}
	err = r.step(ctx, req.in, now, func(st *State) {
		e := journal.Event{AtMS: ms(now), Kind: journal.KindCommand, CommandID: c.ID}
		var data any = c
		switch {
		case c.Do == Start:
			e.Kind, e.Session, data = journal.KindBegin, st.Session.ID, st.Session.begun
			pl := &st.Session.Begin.Playlist
			if err := r.o.Store.Begin(ctx, journal.SessionRow{ID: e.Session, Playlist: pl.ID, Name: pl.Name, StartedMS: e.AtMS}); err != nil {
				r.o.Log.Error("the session's start was not saved", "err", err)
			}
		case c.Do == WriteNote:
			e.Kind, e.Session, data = journal.KindNote, c.Session, WrittenNote{Of: c.Of, Text: c.Text, Device: c.Device}
		case st.Mode()&during != 0:
			e.Session = st.Session.ID
		}
		ack = r.journal(ctx, e, data)
		if c.Do == Start {
			if err := r.o.Store.SetAnchor(ctx, r.clock.Anchor()); err != nil {
				r.o.Log.Warn("the clock's anchor was not saved", "err", err)
			}
		}
	})
	if c.Do == Start || c.Do == Revise || c.Do == Change || c.Do == Undo {
		r.compare()
	}
	ack.Rev = r.state.Load().rev
	return ack, err
}

// compare finds out whether the file of the session's playlist is still the one that it was begun with.
func (r *Room) compare() {
	st := r.state.Load()
	revised := false
	if s := st.Session; s != nil && s.State == Running {
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

// step takes the room one step at room time now: journal first, then act. It publishes the new state once the session's
// end can be read in its record too. journal is called with the new state if the input is accepted; nil: it is not kept.
func (r *Room) step(ctx context.Context, in Input, now time.Duration, journal func(*State)) error {
	was := r.state.Load()
	st, eff, err := Step(was.State, in, now)
	if err == nil && journal != nil {
		journal(&st)
	}
	refused := r.act(eff, &st)
	if s := st.Session; s != nil && s.State == Ended && (was.Session == nil || was.Session.State != Ended) {
		if err := r.o.Store.Hear(ctx, s.files()); err != nil {
			r.o.Log.Warn("what was heard was not saved", "err", err)
		}
		if err := r.o.Store.Finish(ctx, s.ID, ms(st.Started+s.EndAt), s.Ending); err != nil {
			r.o.Log.Error("the session's end was not saved", "err", err)
		}
	}
	r.publish(func(n *state) {
		n.State = st
		n.revised = n.revised && st.Mode() == InSession
	})
	if err == nil && refused != nil {
		return refused
	}
	return err
}

// journal writes an event down. What the disk does not take is kept in memory and written as soon as it does.
func (r *Room) journal(ctx context.Context, e journal.Event, data any) Ack {
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
		r.damage = append(r.damage, NewProblem("disk", warning))
	}
	switch t := r.o.Store.Outage(); {
	case t != nil && r.outage == nil:
		r.o.Log.Error("disk not writable; journaling to memory", "err", t.Err)
		r.outage = t
	case t == nil && r.outage != nil:
		r.o.Log.Info("disk writable again; the journal is saved", "after", time.Since(r.outage.Since))
		r.outage = nil
	}
}

// heard takes what the player reports of its clips.
func (r *Room) heard(ctx context.Context, e player.Event) {
	switch e.Kind {
	case player.ClipFailed, player.ClipShort:
		r.o.Log.Warn("a track can't be played to its end", "clip", e.Clip, "what", string(e.Kind), "err", e.Detail)
		now := r.now()
		in := Input{Trouble: &Trouble{Clip: e.Clip, Detail: e.Detail}}
		_ = r.step(ctx, in, now, func(st *State) { // what concerns no session is only logged
			r.journal(ctx, journal.Event{Session: st.Session.ID, AtMS: ms(now), Kind: journal.KindTrouble}, in.Trouble)
		})
	case player.DeviceLost, player.DeviceBack:
		r.o.Log.Warn(string(e.Kind), "err", e.Detail)
	}
}

// act carries out a step's effects, of the state that it led to. Only the lights can still refuse one: a test of their lamps.
func (r *Room) act(eff Effects, st *State) *Refused {
	if eff.Master != nil {
		r.o.Sound.SetMaster(*eff.Master)
	}
	if eff.Score {
		r.play(st)
	} else if c := eff.Check; c != nil {
		r.o.Sound.SetScore(c.Score, time.Now().Add(-(r.clock.Now() - c.Zero)))
	}
	if eff.Light != nil {
		r.move(*eff.Light)
	}
	if eff.Test != "" {
		if says := r.o.Lights.Test(eff.Test); says.Code != "" {
			return Refuse(says.Code, says.Args...)
		}
	}
	return nil
}

// play gives the player the session's score.
func (r *Room) play(st *State) {
	r.o.Sound.SetScore(st.Session.ScoreWith(r.o.Heard), time.Now().Add(-(r.clock.Now() - st.Started)))
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
func (r *Room) relight(st *State) {
	s := st.Session
	now := r.clock.Now() - st.Started
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
	if reflect.DeepEqual(lv, st.lights) && quiet == st.sound && reflect.DeepEqual(problems, st.problems) && reflect.DeepEqual(parts, st.parts) && r.o.Store.Outage() == st.outage {
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
		lv := LightView{Target: LightLevel{v.Target.L, v.Target.Kelvin, v.Target.Color}, State: string(v.State), Lamps: []LampView{}, Testable: v.Testable, Details: v.Details}
		if v.Says.Code != "" {
			s := Say(v.Says.Code, append([]any{"role", role}, v.Says.Args...)...)
			lv.Says, lv.Code, lv.Args = strings.TrimSpace(s.Text+" "+s.Do()), s.Code, s.Args
		}
		if v.Test.Code != "" {
			s := Say(v.Test.Code, append([]any{"role", role}, v.Test.Args...)...)
			lv.Test, lv.TestCode, lv.TestArgs = s.Text, s.Code, s.Args
		}
		if v.Actual != nil {
			lv.Actual = &LightLevel{v.Actual.L, v.Actual.Kelvin, v.Actual.Color}
			if v.Target == (lights.Level{}) {
				lv.Target = *lv.Actual // nothing was asked of it yet: it is to stay as it is
			}
		}
		for _, l := range v.Lamps {
			lv.Lamps = append(lv.Lamps, LampView{Name: l.Name, State: string(l.State), Drawn: l.Drawn, Answer: answer[[2]string{role, l.Name}]})
		}
		out[role] = lv
	}
	return out
}

// problems are all that are known, as they stand.
func (r *Room) problems() []Problem {
	out := []Problem{}
	if t := r.o.Store.Outage(); t != nil {
		out = append(out, outageProblem(t))
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

// outageProblem says what a disk that can't be written means.
func outageProblem(t *journal.Outage) Problem {
	code := "disk-fails"
	switch {
	case t.Full():
		code = "disk-full"
	case t.ReadOnly():
		code = "disk-read-only"
	}
	if n := len(t.Unsaved); n > 0 {
		return NewProblem("disk", code+"-taps", "n", n)
	}
	return NewProblem("disk", code)
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
	snap.Checking = st.Check != nil && now < st.Check.ends()
	if st.Rehearsal != nil {
		snap.Rehearsal = st.Rehearsal.view(now)
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
	if st.Session != nil {
		snap.Session = st.Session.View(now - st.Started)
		snap.Session.StartedMS = ms(st.Started)
		snap.Session.Revised = st.revised && st.Session.State == Running
		r.o.Config.light(snap.Session.Phases)
		for k, m := range snap.Session.Marks {
			snap.Session.Marks[k].Unsaved = st.outage.Holds(m.ID)
		}
	}
	if st.outage != nil {
		snap.Unsaved = len(st.outage.Unsaved)
	}
	return snap
}

// Preview is the running session as it would be if it changed to a playlist now. It changes nothing.
func (r *Room) Preview(ctx context.Context, playlist string) (*SessionView, error) {
	st := r.state.Load()
	c := Command{ID: NewID(), Do: Change, Playlist: playlist}
	rule, refused := st.rule(c.Do)
	if refused != nil {
		return nil, refused
	}
	in := Input{Command: &c}
	if err := r.prepare(ctx, rule, &in); err != nil {
		return nil, err
	}
	now := r.now()
	next, _, err := Step(st.State, in, now)
	if err != nil {
		return nil, err
	}
	v := next.Session.View(now - next.Started)
	v.StartedMS = ms(next.Started)
	r.o.Config.light(v.Phases)
	return v, nil
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
