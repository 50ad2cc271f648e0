package room

import (
	"math"
	"reflect"
	"slices"
	"time"
)

// fold replays a session's inputs, without those that were undone, up to session time now.
func fold(id string, b Begin, inputs []taken, now time.Duration) *Session {
	s, _ := NewSession(id, b)
	var eff Effects // what is to be done in the room follows from the session that comes out
	for _, t := range inputs {
		s.advance(t.at, &eff)
		switch {
		case t.undone:
		case t.in.Trouble != nil:
			_, _ = s.trouble(t.in.Trouble, t.file, t.at, &eff)
		case t.in.Command != nil && t.in.Command.Do != Undo:
			// What the undone command had made possible is refused, and then never happened either.
			next := s.clone()
			if _, _, err := next.command(t.in.Command, t.at, &eff); err == nil {
				s = next
			}
		}
	}
	s.advance(now, &eff)
	s.inputs = inputs
	return s
}

// takeBack undoes a command: the session becomes what it would be had the command never been given. What has sounded
// meanwhile stays in the record.
func (s *Session) takeBack(c *Command, now time.Duration, eff *Effects) (Said, error) {
	open := s.undoable(now)
	switch i := slices.IndexFunc(open, func(o offer) bool { return s.inputs[o.input].id == c.Of }); {
	case i < 0:
		return Said{}, Refuse("undo-gone")
	case i > 0:
		return Said{}, Refuse("undo-order", "says", s.inputs[open[0].input].undo)
	}
	inputs := slices.Clone(s.inputs)
	undone := &inputs[open[0].input]
	undone.undone = true
	old, n := s.clone(), undone.before
	if s.firstRules() {
		n = n.clone()
		n.next, n.Notes, n.Begin = s.next, s.Notes, s.Begin
		n.recompose(now, cutNothing, eff)
		n.advance(now, eff)
	} else {
		n = fold(s.ID, *s.begun, inputs, now)
	}
	if n.State != Running && !s.firstRules() {
		return Said{}, Refuse("undo-ends")
	}
	n.inputs = inputs
	own := n.past
	n.past = slices.DeleteFunc(slices.Clone(s.past), func(p sounded) bool {
		return slices.ContainsFunc(n.Pieces, func(q placed) bool { return q.ID == p.id })
	})
	for _, p := range s.Pieces {
		if !s.firstRules() && p.Start <= now && !slices.ContainsFunc(n.Pieces, func(q placed) bool { return q.ID == p.ID }) {
			n.remember(s, p, now)
		}
	}
	for k := range n.past {
		p := &n.past[k]
		p.undone = !slices.ContainsFunc(own, func(q sounded) bool { return q.id == p.id })
	}
	*s = *n
	eff.Score = true
	if to, from := s.master(), old.master(); to != from {
		s.fade(from, eff)
	}
	switch {
	case old.Light.Scene == s.Light.Scene && old.Care == s.Care && old.Emergency == s.Emergency:
	case s.Emergency:
		eff.Light = &LightMove{Scene: fullScene, Over: urgentFade, Urgent: true}
	case s.Care:
		eff.Light = &LightMove{Scene: careScene, Over: urgentFade, Urgent: true}
	default:
		s.backToArc(eff)
	}
	return Said{}, nil
}

// offer is an input that can be undone, and the session time at which that ends, as things stand.
type offer struct {
	input int           // index in Session.inputs
	until time.Duration // forever: at the session's end
}

// undoable lists what can be undone at session time now, the newest first: every act for undoFor, and the newest act of all
// until a person acts again, for as long as taking it back does what its words say.
func (s *Session) undoable(now time.Duration) (open []offer) {
	if s.State != Running {
		return nil
	}
	newest := true
	for k := len(s.inputs) - 1; k >= 0 && len(open) < undoMost; k-- {
		t := &s.inputs[k]
		if t.in.Command == nil {
			continue // nobody's act
		}
		until := t.at + undoFor
		if newest && s.without != nil {
			until = max(until, s.surelyUntil(t, now))
		}
		newest = false
		until = min(until, s.askedUntil(t))
		if t.undo.Code != "" && !t.undone && until > now {
			open = append(open, offer{k, until})
		}
	}
	return open
}

// askedUntil is when what t asked of the music begins; 0: something else was asked since, or its phase is over. Of another command it
// is forever.
func (s *Session) askedUntil(t *taken) time.Duration {
	if !slices.Contains([]Verb{Deeper, Lighter, Another, Choose}, t.in.Command.Do) {
		return forever
	}
	if a := s.steered(); a != nil && a.id == t.id {
		return s.begins(a)
	}
	return 0
}

// noted is the session after a person has written a note. That is an act too: a mark that has a note is not taken back late.
func (s *Session) noted() *Session {
	n := s.clone()
	n.without = nil
	return n
}

// forever is later than any session's end.
const forever = time.Duration(math.MaxInt64)

// surelyUntil is meansUntil, tried: what the session and the one without t come to by themselves is not all told by their spans.
// Where the undo would mean something else in half that time, or just before its end, the time is halved; less than half a
// second is no time for a tap.
func (s *Session) surelyUntil(t *taken, now time.Duration) time.Duration {
	means := func(at time.Duration) bool {
		later := s.clone()
		var eff Effects // of a session that nobody sees
		later.advance(at, &eff)
		return later.State == Running && later.meansUntil(t, at) > at
	}
	until := min(s.meansUntil(t, now), s.askedUntil(t))
	for until < s.Ends() && until > now {
		until = until.Truncate(time.Millisecond)
		if means((now+until)/2) && means(until-time.Millisecond) {
			break
		}
		if until = now + (until-now)/2; until < now+time.Second/2 {
			return now
		}
	}
	return until
}

// meansUntil is the session time until which undoing the newest act t still means what its words say; now if it no longer
// does. An undo that comes late changes only what the act changed:
//
//   - The session stays in its phase, and the phase keeps its beginning and its description. So a move to another phase, or
//     a length of a phase that is over, stays as it is.
//   - What plays goes on. Only a skip brings back another track: the skipped one, while it would still play.
//   - It never turns on emergency or lights for care, which come too fast for a tap that means something else.
//   - Something changes.
func (s *Session) meansUntil(t *taken, now time.Duration) time.Duration {
	w := s.without.clone()
	var eff Effects // of a session that nobody sees
	w.advance(now, &eff)
	i := s.Current
	switch {
	case w.State != Running, w.Current != i, w.Spans[i].Start != s.Spans[i].Start,
		w.otherFile(s) && !reflect.DeepEqual(w.phase(i), s.phase(i)),
		w.Emergency && !s.Emergency, w.Care && !s.Care:
		return now
	}
	until := s.parts(w)
	plays, would := s.sounding(now), w.sounding(now)
	if t.in.Command.Do == Skip {
		skipped := w.sounding(t.at)
		if skipped == nil || would == nil || would.ID != skipped.ID || plays == nil || plays.ID == would.ID {
			return now
		}
		until = min(until, would.End)
		for _, p := range w.Pieces {
			if p.Start > now {
				until = min(until, p.Start)
			}
		}
		return until
	}
	if (plays == nil) != (would == nil) || plays != nil && (plays.ID != would.ID || s.file(*plays) != w.file(*would)) || !s.differs(w, now) {
		return now
	}
	for _, x := range [][2]*Session{{s, w}, {w, s}} {
		for _, p := range x[0].Pieces {
			if p.Start > now && !slices.ContainsFunc(x[1].Pieces, func(q placed) bool { return q.ID == p.ID && x[1].file(q) == x[0].file(p) }) {
				until = min(until, p.Start)
			}
		}
	}
	return until
}

// parts is the session time until which s and w, which are in the same phase, go the same way for certain.
func (s *Session) parts(w *Session) time.Duration {
	revised := w.otherFile(s)
	for i := s.Current; i < min(len(s.Spans), len(w.Spans)); i++ {
		a, b := s.Spans[i], w.Spans[i]
		switch {
		case a.Passed && b.Passed:
		case a.Passed != b.Passed || revised && !reflect.DeepEqual(s.phase(i), w.phase(i)):
			return min(a.Start, b.Start)
		case a.open() && b.open():
			return forever // until a person acts
		case a.open() != b.open() && i > s.Current:
			return min(a.Start, b.Start) // at least: what it holds is laid anew when it begins
		case a.open():
			return b.End
		case b.open():
			return a.End
		case a.Start != b.Start || a.End != b.End:
			return min(a.End, b.End)
		}
	}
	return forever
}

// otherFile reports whether s and w follow different playlists, or versions of one.
func (s *Session) otherFile(w *Session) bool {
	a, b := &s.Begin.Playlist, &w.Begin.Playlist
	return a.ID != b.ID || a.Revision != b.Revision
}

// differs reports whether a person could tell the session from w, but for what plays.
func (s *Session) differs(w *Session, now time.Duration) bool {
	type span struct {
		Start, End    time.Duration
		Held, Passed  bool
		Waiting, Name string
	}
	type told struct {
		Spans                                        []span
		Marks                                        []MarkView
		Timers                                       []TimerView
		Level                                        float64
		Silent, Softened, Care, Emergency, Returning bool
		Scene, Playlist, Revision, Asked             string
	}
	tell := func(x *Session) told {
		var spans []span
		for i, sp := range x.projected(now).Spans {
			spans = append(spans, span{sp.Start, sp.End, sp.Held, sp.Passed, sp.Waiting, x.phase(i).Name})
		}
		asked := ""
		if a := x.steered(); a != nil && x.begins(a) > now {
			asked = a.id
		}
		return told{spans, append([]MarkView{}, x.Marks...), x.timers(now), x.Level, x.Silent, x.Softened, x.Care, x.Emergency, x.Returning,
			x.Light.Scene, x.Begin.Playlist.ID, x.Begin.Playlist.Revision, asked}
	}
	return !reflect.DeepEqual(tell(s), tell(w))
}
