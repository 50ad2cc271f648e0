package room

import (
	"math"
	"slices"
	"time"

	"roomd/player"
	"roomd/playlists"
)

// This file holds what each verb of the table does to a session.

func (s *Session) hold(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	sp := &s.Spans[s.Current]
	if sp.Held {
		return Said{}, Refuse("held-already", "phase", s.phase(s.Current).Name)
	}
	sp.Held = true
	s.recompose(now, cutNothing, eff)
	return Say("did-hold", "phase", s.phase(s.Current).Name), nil
}

// release lets a held phase go on: to its planned end, or, where that is past, to the next phase. One that waits for a
// mark waits again.
func (s *Session) release(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	sp := &s.Spans[s.Current]
	name := s.phase(s.Current).Name
	if !sp.Held {
		return Said{}, Refuse("not-held", "phase", name)
	}
	sp.Held = false
	if sp.Waiting != "" && !s.firstRules() {
		s.recompose(now, cutNothing, eff)
	} else {
		s.closeAt(now, s.letGo(now), eff)
	}
	return Say("did-release", "phase", name), nil
}

// letGo is where the present phase ends if nothing keeps it open any more. The last phase never ends at once: where its
// planned end is closer than endFade, it ends with the present track if that is within waitForEnd, or else fades out over
// endFade.
func (s *Session) letGo(now time.Duration) time.Duration {
	end := max(s.Spans[s.Current].Nominal, now)
	if end >= now+endFade || s.following(s.Current) >= 0 || s.firstRules() {
		return end
	}
	if p := s.sounding(now); p != nil && p.natural-now >= endFade && p.natural-now <= waitForEnd {
		return p.natural
	}
	return now + endFade
}

func (s *Session) moveOn(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	sp := &s.Spans[s.Current]
	name, mark := s.phase(s.Current).Name, sp.Waiting
	if s.following(s.Current) < 0 {
		return Said{}, Refuse("last-phase", "phase", name)
	}
	sp.Held, sp.Waiting = false, ""
	s.closeAt(now, now, eff)
	if mark != "" {
		return Say("did-next-open", "phase", name, "mark", mark), nil
	}
	return Say("did-next", "phase", name), nil
}

// closeAt ends the present phase at session time at, and lays what follows anew.
func (s *Session) closeAt(now, at time.Duration, eff *Effects) {
	sp := &s.Spans[s.Current]
	sp.End, sp.Nominal = at, at
	if s.following(s.Current) < 0 && !s.firstRules() {
		s.Goal = max(s.Goal, at)
		sp.Fade = endFade
	}
	s.relay()
	if at > now {
		s.recompose(now, cutNothing, eff)
		return
	}
	sp.Over = true
	i := s.following(s.Current)
	if i < 0 { // rules 1
		s.close(now, english["ended-early"], eff)
		return
	}
	s.enter(i, now, eff)
	s.recompose(now, cutAll, eff)
}

func (s *Session) relay() {
	relay(s.Spans, s.Begin.Playlist.Phases, s.Current, s.Begin.Playlist.Keep, s.Goal)
}

func (s *Session) extend(c *Command, now time.Duration, eff *Effects) (Said, error) {
	by, err := time.ParseDuration(c.By)
	if err != nil || by.Abs() < time.Second && !s.firstRules() || by == 0 || by.Abs() > maxExtend {
		return Said{}, Refuse("bad-by").Of("by")
	}
	sp := &s.Spans[s.Current]
	name := s.phase(s.Current).Name
	end := max(sp.Nominal, 0) + by
	if sp.open() && sp.Nominal < now && by > 0 {
		end = now + by
	}
	if end < now+time.Second {
		return Said{}, Refuse("too-short", "phase", name)
	}
	sp.End, sp.Nominal = end, end
	if s.following(s.Current) < 0 {
		s.Goal = end
	}
	s.relay()
	s.recompose(now, cutNothing, eff)
	if by < 0 {
		return Say("did-shorten", "phase", name, "by", -by), nil
	}
	return Say("did-extend", "phase", name, "by", by), nil
}

func (s *Session) setLevel(c *Command, _ time.Duration, _ *Effects) (Said, error) {
	if c.DB == nil || math.IsNaN(*c.DB) || *c.DB == 0 || *c.DB > 6 || *c.DB < -12 {
		return Said{}, Refuse("bad-db").Of("db")
	}
	top := s.Begin.Ceiling - s.phase(s.Current).Level
	was := min(s.Level, top)
	if *c.DB > 0 && was >= top {
		return Said{}, Refuse("loudest")
	}
	if *c.DB < 0 && was <= lowestLevel {
		return Said{}, Refuse("softest")
	}
	s.Level = max(lowestLevel, min(was+*c.DB, top))
	if *c.DB > 0 {
		return Say("did-louder"), nil
	}
	return Say("did-softer"), nil
}

func (s *Session) silence(_ *Command, _ time.Duration, eff *Effects) (Said, error) {
	if s.Silent || s.Emergency && !s.firstRules() {
		return Said{}, Refuse("silent-already")
	}
	s.Silent = true
	eff.Master = &player.Master{DB: silenceDB, Over: 6 * time.Second}
	return Say("did-silence"), nil
}

func (s *Session) soften(_ *Command, _ time.Duration, eff *Effects) (Said, error) {
	if s.Softened {
		return Said{}, Refuse("soft-already")
	}
	if (s.Silent || s.Emergency) && !s.firstRules() {
		return Said{}, Refuse("silent-already")
	}
	s.Softened = true
	eff.Master = &player.Master{DB: s.master(), Over: 3 * time.Second}
	return Say("did-soften"), nil
}

// resume brings the music back, and after an emergency the lights.
func (s *Session) resume(_ *Command, _ time.Duration, eff *Effects) (Said, error) {
	if !s.Silent && !s.Softened && !s.Emergency {
		return Said{}, Refuse("playing-already")
	}
	s.Silent, s.Softened = false, false
	if s.Emergency {
		s.Emergency = false
		s.backToArc(eff)
	}
	return Say("did-resume"), nil
}

func (s *Session) skip(c *Command, now time.Duration, eff *Effects) (Said, error) {
	p := s.sounding(now)
	if p == nil {
		return Said{}, Refuse("nothing-plays")
	}
	if c.Clip != "" && c.Clip != p.ID {
		return Said{}, Refuse("track-over")
	}
	was := *p
	s.recompose(now, cutCurrent, eff)
	if q := s.sounding(now); q != nil && q.Item == was.Item && q.Phase == was.Phase && !s.firstRules() {
		return Said{}, Refuse("nothing-else", "phase", s.phase(was.Phase).Name)
	}
	return Say("did-skip"), nil
}

// zero is the mark of the dose: the room's first, where a phase waits for it or a reminder counts from it; else empty.
func (s *Session) zero() string {
	pl, marks := &s.begun.Playlist, s.Begin.Marks
	waits := func(p playlists.Phase) bool { return p.Until == marks[0] }
	counts := func(r playlists.Reminder) bool { return r.After == marks[0] }
	if len(marks) == 0 || !slices.ContainsFunc(pl.Phases, waits) && !slices.ContainsFunc(pl.Remind, counts) {
		return ""
	}
	return marks[0]
}

// given is the first mark called name, or nil.
func (s *Session) given(name string) *MarkView {
	if i := slices.IndexFunc(s.Marks, func(m MarkView) bool { return m.Name == name }); i >= 0 {
		return &s.Marks[i]
	}
	return nil
}

// mark notes a moment. A phase that waits for the mark goes on. Where a later phase waits for it, the person says what
// the mark means: begin the phase after that one now, or only note it. Without either the later phase no longer waits.
func (s *Session) mark(c *Command, now time.Duration, eff *Effects) (Said, error) {
	if !s.known(c.Name) {
		return Said{}, Refuse("unknown-mark", "mark", c.Name).Of("name")
	}
	if c.Then != "" && c.Then != ThenBegin && c.Then != ThenNote {
		return Said{}, Refuse("bad-then").Of("then")
	}
	m := MarkView{ID: c.ID, Name: c.Name, AtMS: ms(now)}
	if was := s.given(c.Name); was != nil && c.Name == s.zero() && !s.firstRules() {
		if !c.Second {
			return Said{}, Refuse("given-already", "mark", c.Name, "ago", now-time.Duration(was.AtMS)*time.Millisecond)
		}
		m.Second = true
	}
	s.Marks = append(s.Marks, m)
	said := Say("did-mark", "mark", c.Name)
	if m.Second {
		said = Say("did-second", "mark", c.Name)
	}
	if s.State != Running {
		return said, nil
	}
	later := slices.IndexFunc(s.Spans, func(sp Span) bool { return sp.Waiting == c.Name && !sp.Passed && !sp.Over })
	switch b := s.Begin.Playlist.Boost; {
	case s.Spans[s.Current].Waiting == c.Name:
		sp := &s.Spans[s.Current]
		s.stopWaiting(c.Name, s.Current)
		switch {
		case sp.Held:
			if !s.firstRules() {
				s.recompose(now, cutNothing, eff)
			}
		case s.following(s.Current) < 0:
			s.closeAt(now, s.letGo(now), eff)
		default:
			s.closeAt(now, now, eff)
		}
	case later > s.Current && c.Then == ThenBegin:
		s.stopWaiting(c.Name, later)
		for i := s.Current + 1; i <= later; i++ {
			s.Spans[i].Passed = s.following(later) >= 0 || i < later
		}
		sp := &s.Spans[s.Current]
		sp.Held, sp.Waiting = false, ""
		s.closeAt(now, now, eff)
		return Say("did-begin", "mark", c.Name), nil
	case later > s.Current && c.Then == "" && !m.Second && !s.firstRules():
		s.stopWaiting(c.Name, later)
	case b != nil && b.Mark == c.Name:
		s.boost(b, now, eff)
	}
	return said, nil
}

// stopWaiting notes that phase i no longer waits for a mark. The mark that times are told from is given once: no later
// phase waits for it either. A phase that waits for another mark waits for a tap of its own.
func (s *Session) stopWaiting(mark string, i int) {
	for k := i; k < len(s.Spans); k++ {
		if sp := &s.Spans[k]; sp.Waiting == mark && (k == i || mark == s.zero() && !s.firstRules()) {
			sp.Waiting = ""
		}
	}
}

// known reports whether a mark is one of the room's or the playlist's.
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

// boost lengthens the phase that a second dose asks for, unless it is over. Where that is the present one and it was held
// past its planned end, the time counts from now.
func (s *Session) boost(b *playlists.Boost, now time.Duration, eff *Effects) {
	for i := s.Current; i < len(s.Spans); i++ {
		if s.phase(i).Name != b.Phase || s.Spans[i].Passed {
			continue
		}
		sp := &s.Spans[i]
		sp.Length += b.By
		sp.Added += b.By
		if i == s.Current {
			if sp.open() && !s.firstRules() {
				sp.Nominal = max(sp.Nominal, now)
			}
			sp.Nominal += b.By
			sp.End = sp.Nominal
			if s.following(i) < 0 && !s.firstRules() {
				s.Goal = max(s.Goal, sp.Nominal)
			}
		}
		s.relay()
		s.recompose(now, cutNothing, eff)
		return
	}
}

// bringBack goes to the return's music at the next musical joint: the last administration phase, or, once that has
// begun, the first integration phase after it. A joint more than waitForEnd away is not waited for.
func (s *Session) bringBack(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	to := -1
	for i := s.Current + 1; i < len(s.Spans); i++ {
		if st := s.phase(i).Stage; st == playlists.Administration {
			to = i
		} else if st == playlists.Integration && to < 0 {
			to = i
			break
		}
	}
	switch {
	case s.phase(s.Current).Stage == playlists.Integration, s.Returning && !s.firstRules():
		return Said{}, Refuse("return-begun")
	case to < 0:
		return Said{}, Refuse("no-return")
	}
	for i := s.Current + 1; i < to; i++ {
		s.Spans[i].Passed = true
	}
	s.Returning = true
	at := now
	if p := s.sounding(now); p != nil && p.natural > now && p.natural-now <= waitForEnd {
		at = p.natural
	}
	sp := &s.Spans[s.Current]
	sp.Held, sp.Waiting = false, ""
	s.closeAt(now, at, eff)
	if l := s.phase(to).Lights; l != nil {
		s.light(LightCue{Scene: l.Scene, At: now, Over: min(l.Fade, 90*time.Second), Unplanned: true}, eff)
	}
	return Say("did-bring-back"), nil
}

// revise takes over a newer file: what follows the present phase there follows it here. The present phase stays as it
// is, and so does what people have done to the phases to come.
func (s *Session) revise(c *Command, now time.Duration, eff *Effects) (Said, error) {
	if c.Plan == nil {
		return Said{}, Refuse("nothing-revised")
	}
	cur := s.Current
	name := s.phase(cur).Name
	called := func(name string) func(playlists.Phase) bool {
		return func(p playlists.Phase) bool { return p.Name == name }
	}
	k := slices.IndexFunc(c.Plan.Phases, called(name))
	if k < 0 {
		return Said{}, Refuse("revise-lost", "phase", name)
	}
	if refused := s.fixed(now); refused != nil {
		return Said{}, refused
	}
	pl := *c.Plan
	pl.Phases = slices.Concat(s.Begin.Playlist.Phases[:cur+1], c.Plan.Phases[k+1:])
	spans := append(slices.Clone(s.Spans[:cur+1]), plan(pl.Phases)[cur+1:]...)
	if !s.firstRules() {
		for i, sp := range s.Spans[cur+1:] {
			was := s.phase(cur + 1 + i)
			j := slices.IndexFunc(pl.Phases[cur+1:], called(was.Name))
			switch {
			case j >= 0:
				n := &spans[cur+1+j]
				n.Added, n.Length = sp.Added, n.Length+sp.Added
				if n.Waiting == was.Until && sp.Waiting == "" {
					n.Waiting = ""
				}
			case sp.Added > 0:
				return Said{}, Refuse("revise-lost-boost", "phase", was.Name, "by", sp.Added)
			}
		}
		s.stopWaitingAgain(spans)
	}
	s.takeOver(pl, spans, now, eff)
	if s.firstRules() {
		return Said{}, nil
	}
	return Say("did-revise"), nil
}

// fixed says why what follows the present phase can't be replaced at session time now; nil: it can.
func (s *Session) fixed(now time.Duration) *Refused {
	switch {
	case s.Returning:
		return Refuse("revise-returning")
	case slices.ContainsFunc(s.Pieces, func(p placed) bool { return p.Phase > s.Current && p.Start <= now && (p.End > now || s.firstRules()) }):
		return Refuse("revise-crossing")
	}
	return nil
}

// stopWaitingAgain lets the later of new spans not wait for the mark of the dose where it was given, and not only noted.
func (s *Session) stopWaitingAgain(spans []Span) {
	waits := slices.ContainsFunc(s.Spans[s.Current+1:], func(sp Span) bool { return sp.Waiting == s.zero() })
	for i := range spans[s.Current+1:] {
		if n := &spans[s.Current+1+i]; n.Waiting == s.zero() && s.given(n.Waiting) != nil && !waits {
			n.Waiting = ""
		}
	}
}

// takeOver replaces what follows the present phase.
func (s *Session) takeOver(pl playlists.Playlist, spans []Span, now time.Duration, eff *Effects) {
	cur := s.Current
	for _, p := range s.Pieces {
		if p.Phase > cur && p.End <= now {
			s.remember(s, p, now) // the next phase faded in before, and out again
		}
	}
	s.Pieces = slices.DeleteFunc(s.Pieces, func(p placed) bool { return p.Phase > cur })
	var was, is time.Duration
	for _, sp := range s.Spans[cur+1:] {
		was += sp.Length
	}
	for _, sp := range spans[cur+1:] {
		is += sp.Length
	}
	s.Spans = spans
	s.Begin.Playlist = pl
	s.Goal += is - was
	for at := range s.failed {
		if at[0] > cur {
			delete(s.failed, at)
		}
	}
	if sp := &s.Spans[cur]; sp.Nominal > now || s.firstRules() {
		sp.End = sp.Nominal // what follows counts from there; where its music ends is found anew
	} // else its last track is playing on into the flex, and is not cut
	s.relay()
	s.recompose(now, cutNothing, eff)
	s.Notes = append(s.Notes, Note{now, "revised", pl.Name})
}

// change takes over another playlist from the next phase on. Each stage keeps the time that it has left: the present phase, the
// lozenge's times and the session's end stay. The other playlist's phases of a stage share that time in proportion to their lengths;
// of the present stage those at its end. A stage that the other playlist lacks stays as it was.
func (s *Session) change(c *Command, now time.Duration, eff *Effects) (Said, error) {
	cur, was := s.Current, &s.Begin.Playlist
	switch {
	case c.Plan == nil:
		return Said{}, Refuse("no-playlist").Of("playlist")
	case c.Plan.ID == was.ID && c.Plan.Revision == was.Revision:
		return Said{}, Refuse("change-same").Of("playlist")
	case s.following(cur) < 0:
		return Said{}, Refuse("last-phase", "phase", s.phase(cur).Name)
	}
	if refused := s.fixed(now); refused != nil {
		return Said{}, refused
	}
	pl := *c.Plan
	pl.Keep = was.Keep
	pl.Phases = slices.Clone(was.Phases[:cur+1])
	spans := slices.Clone(s.Spans[:cur+1])
	changed := false
	for _, stage := range []playlists.Stage{playlists.Preparation, playlists.Administration, playlists.Integration} {
		var old, fresh []int // indices of phases
		var left time.Duration
		for i := cur + 1; i < len(was.Phases); i++ {
			if was.Phases[i].Stage == stage && !s.Spans[i].Passed {
				old = append(old, i)
				left += s.Spans[i].Length
			}
		}
		var sum time.Duration
		for i := len(c.Plan.Phases) - 1; i >= 0; i-- {
			ph := &c.Plan.Phases[i]
			if ph.Stage != stage {
				continue
			}
			if stage == s.phase(cur).Stage && len(fresh) > 0 && sum+ph.Length/2 > left {
				break // of the present stage only what there is time for
			}
			fresh = append(fresh, i)
			sum += ph.Length
		}
		slices.Reverse(fresh)
		switch {
		case len(old) == 0: // it is over, or has no time
		case len(fresh) == 0:
			for _, i := range old {
				pl.Phases = append(pl.Phases, was.Phases[i])
				spans = append(spans, s.Spans[i])
			}
		default:
			changed = true
			rest := left
			for k, i := range fresh {
				ph := c.Plan.Phases[i]
				length := time.Duration(float64(left) * float64(ph.Length) / float64(sum)).Round(time.Millisecond)
				if k == len(fresh)-1 {
					length = rest
				}
				rest -= length
				ph.Length, ph.Flex = length, min(ph.Flex, length/3)
				pl.Phases = append(pl.Phases, ph)
				spans = append(spans, Span{Length: length, Waiting: ph.Until})
			}
		}
	}
	if !changed {
		return Said{}, Refuse("change-nothing").Of("playlist")
	}
	s.stopWaitingAgain(spans)
	s.takeOver(pl, spans, now, eff)
	return Say("did-change", "playlist", pl.Name), nil
}

// Names of the two scenes that every room has.
const (
	careScene = "care"
	fullScene = "full"
)

// care lights the room to see by. A second tap asks the lamps again, and there is nothing to undo in it.
func (s *Session) care(_ *Command, _ time.Duration, eff *Effects) (Said, error) {
	again := s.Care
	s.Care = true
	eff.Light = &LightMove{Scene: careScene, Over: urgentFade, Urgent: true}
	if again && !s.firstRules() {
		return Said{}, nil
	}
	return Say("did-care"), nil
}

// emergency fades the music out and the lights to full. The session's clock runs on. A second tap asks again.
func (s *Session) emergency(_ *Command, _ time.Duration, eff *Effects) (Said, error) {
	again := s.Emergency
	s.Emergency = true
	eff.Light = &LightMove{Scene: fullScene, Over: urgentFade, Urgent: true}
	eff.Master = &player.Master{DB: silenceDB, Over: 1500 * time.Millisecond}
	if again && !s.firstRules() {
		return Said{}, nil
	}
	return Say("did-emergency"), nil
}

// follow commands lights again that a person has moved by hand: one role's, or all, which also ends lights for care.
func (s *Session) follow(c *Command, _ time.Duration, eff *Effects) (Said, error) {
	if c.Role != "" {
		eff.Light = &LightMove{Follow: c.Role}
		return Said{}, nil
	}
	if s.Emergency && !s.firstRules() {
		return Said{}, Refuse("emergency-first")
	}
	was := s.Care
	s.Care = false
	s.backToArc(eff)
	if !was && !s.firstRules() {
		return Said{}, nil
	}
	return Say("did-follow"), nil
}

// backToArc gives the lights back to the playlist, slowly, after a person had them.
func (s *Session) backToArc(eff *Effects) {
	if s.Care || s.Emergency {
		return
	}
	eff.Light = &LightMove{Scene: s.Light.Scene, Over: 30 * time.Second, Follow: "*"}
}

func (s *Session) end(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	s.finish(now, endFade, "ended-early", eff)
	if s.Care || s.Emergency {
		return Said{}, nil
	}
	for i := len(s.Spans) - 1; i > s.Current; i-- {
		if l := s.phase(i).Lights; l != nil {
			s.light(LightCue{Scene: l.Scene, At: now, Over: endFade, Unplanned: true}, eff)
			break
		}
	}
	return Said{}, nil
}

func (s *Session) abort(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	s.finish(now, abortFade, "ended-aborted", eff)
	return Said{}, nil
}

// finish fades everything out and ends the session.
func (s *Session) finish(now, over time.Duration, how string, eff *Effects) {
	s.State, s.EndAt, s.Ending = Ending, now+over, english[how]
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
}
