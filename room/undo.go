package room

import (
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
	switch i := slices.IndexFunc(open, func(k int) bool { return s.inputs[k].id == c.Of }); {
	case i < 0:
		return Said{}, refuse("undo-gone")
	case i > 0:
		return Said{}, refuse("undo-order", "says", s.inputs[open[0]].undo.Text)
	}
	inputs := slices.Clone(s.inputs)
	undone := &inputs[open[0]]
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
		return Said{}, refuse("undo-ends")
	}
	n.inputs = inputs
	n.past = slices.DeleteFunc(slices.Clone(s.past), func(p sounded) bool {
		return slices.ContainsFunc(n.Pieces, func(q placed) bool { return q.ID == p.id })
	})
	for _, p := range s.Pieces {
		if !s.firstRules() && p.Start <= now && !slices.ContainsFunc(n.Pieces, func(q placed) bool { return q.ID == p.ID }) {
			n.remember(s, p, now)
		}
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

// undoable are the indices of the inputs that can be undone at session time now, the newest first.
func (s *Session) undoable(now time.Duration) (open []int) {
	if s.State != Running {
		return nil
	}
	for k := len(s.inputs) - 1; k >= 0 && len(open) < undoMost; k-- {
		if t := &s.inputs[k]; t.undo.Code != "" && !t.undone && t.at+undoFor > now {
			open = append(open, k)
		}
	}
	return open
}
