package room

import (
	"cmp"
	"slices"
	"time"
)

// View is the session as a tablet shows it at session time now. StartedMS is the caller's to fill in.
func (s *Session) View(now time.Duration) *SessionView {
	if s.State == Ended {
		now = s.EndAt
	}
	p := s.projected(now)
	v := &SessionView{
		ID: s.ID, Playlist: s.Begin.Playlist.ID, Name: s.Begin.Playlist.Name, State: s.State,
		ElapsedMS: ms(now), PlannedMS: ms(s.Begin.Playlist.Length()), EndsAtMS: ms(p.Ends()),
		LevelDB: min(s.Level, s.Begin.Ceiling-s.phase(s.Current).Level), CeilingDB: s.Begin.Ceiling - s.phase(s.Current).Level,
		Silent: s.Silent, Softened: s.Softened, Emergency: s.Emergency, Care: s.Care, Returning: s.Returning,
		Marks: append([]MarkView{}, s.Marks...), Zero: s.zero(), Offer: append([]string{}, s.phase(s.Current).Marks...),
		Phases: []PhaseView{}, Timeline: []ClipView{}, Reminders: []RemindView{}, Timers: s.timers(now), Undo: []UndoView{},
	}
	for k := len(s.inputs) - 1; s.Emergency && k >= 0; k-- { // from the first tap that led to this one
		switch t := &s.inputs[k]; {
		case t.undone || t.in.Command == nil:
		case t.in.Command.Do == Emergency:
			v.EmergencyMS = max(1, ms(t.at))
		case t.in.Command.Do == Resume:
			k = 0
		}
	}
	for _, t := range v.Timers {
		if t.Due {
			v.Reminders = append(v.Reminders, RemindView{Say: t.Say, DueMS: t.DueMS, Marks: t.Marks})
		}
	}
	for i, sp := range p.Spans {
		if sp.Passed {
			continue
		}
		pv := PhaseView{Name: s.phase(i).Name, Stage: string(s.phase(i).Stage), StartMS: ms(sp.Start), EndMS: ms(sp.End),
			Held: sp.Held, Waiting: sp.Waiting, LevelDB: s.phase(i).Level}
		if l := s.phase(i).Lights; l != nil {
			pv.Scene = l.Scene
		}
		v.Phases = append(v.Phases, pv)
		if i == s.Current {
			v.Phase = pv
		}
	}
	for _, q := range s.past {
		v.Timeline = append(v.Timeline, q.view)
	}
	for _, q := range p.Pieces {
		v.Timeline = append(v.Timeline, ClipView{Title: p.title(q), StartMS: ms(q.Start), EndMS: ms(q.End), Bed: p.bedOf(q) != ""})
	}
	slices.SortStableFunc(v.Timeline, func(p, q ClipView) int { return cmp.Compare(p.StartMS, q.StartMS) })
	if s.State == Running {
		v.Music = s.music(now, p)
		v.Steer = s.steerView(now)
		held := s.clone()
		held.Spans[s.Current].End = max(held.Spans[s.Current].Nominal, now) + time.Minute
		relay(held.Spans, held.Begin.Playlist.Phases, s.Current, held.Begin.Playlist.Keep, held.Goal)
		v.HoldEndsMS = ms(held.Ends())
		if sp := p.Spans[s.Current]; sp.Held {
			v.ReleaseEndsMS = ms(sp.End)
		}
	}
	last := p.Ends()
	if p.Spans[p.Current].open() {
		last += openFor // nobody knows when that will be
	}
	for _, o := range s.undoable(now) {
		t := &s.inputs[o.input]
		v.Undo = append(v.Undo, UndoView{t.id, t.in.Command.Do, t.undo.Text, t.undo.Code, t.undo.Args, ms(min(o.until, max(last, t.at+undoFor)))})
	}
	return v
}

// projected is the session as it will go if an open phase is let go at its planned end, or now where that is past. It moves
// by whole seconds.
func (s *Session) projected(now time.Duration) *Session {
	if s.State != Running || !s.Spans[s.Current].open() {
		return s
	}
	p := s.clone()
	sp := &p.Spans[p.Current]
	held, waiting := sp.Held, sp.Waiting
	sp.Held, sp.Waiting = false, ""
	at := now
	if end := p.letGo(now); end > sp.Nominal {
		at = end
	}
	if end := (at + time.Second).Truncate(time.Second); end > sp.Nominal {
		sp.Nominal, sp.End = end, end
		p.relay()
	}
	p.compose(now, cutNothing)
	sp.Held, sp.Waiting = held, waiting
	return p
}

// Ends is the session time at which the session ends, as things stand.
func (s *Session) Ends() time.Duration {
	if s.State != Running {
		return s.EndAt
	}
	return s.Spans[s.lastPhase()].End
}

// music is what sounds now and what comes next.
func (s *Session) music(now time.Duration, p *Session) *MusicView {
	cur := s.sounding(now)
	if cur == nil {
		return nil
	}
	v := &MusicView{Clip: cur.ID, Title: s.title(*cur), StartMS: ms(cur.Start), EndMS: ms(cur.End)}
	for _, q := range p.Pieces {
		if q.ID == cur.ID {
			v.EndMS = ms(q.End)
		}
		if q.Start > now {
			v.Next = p.title(q)
			break
		}
	}
	return v
}
