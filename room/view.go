package room

import (
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
		ElapsedMS: ms(now), PlannedMS: ms(s.Begin.Playlist.Length()), EndsAtMS: ms(p.ends()),
		LevelDB: min(s.Level, s.Begin.Ceiling-s.phase(s.Current).Level), CeilingDB: s.Begin.Ceiling - s.phase(s.Current).Level,
		Silent: s.Silent, Softened: s.Softened, Emergency: s.Emergency, Care: s.Care, Returning: s.Returning,
		Marks: append([]MarkView{}, s.Marks...), Offer: append([]string{}, s.phase(s.Current).Marks...),
		Phases: []PhaseView{}, Timeline: []ClipView{}, Reminders: s.reminders(now), Undo: []UndoView{},
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
	for _, q := range p.Pieces {
		v.Timeline = append(v.Timeline, ClipView{Title: p.title(q), StartMS: ms(q.Start), EndMS: ms(q.End), Bed: p.bedOf(q) != ""})
	}
	if s.State == Running {
		v.Music = s.music(now, p)
		held := s.clone()
		held.Spans[s.Current].End = max(held.Spans[s.Current].Nominal, now) + time.Minute
		relay(held.Spans, held.Begin.Playlist.Phases, s.Current, held.Begin.Playlist.Keep, held.Goal)
		v.HoldEndsMS = ms(held.ends())
	}
	for _, u := range s.undo {
		if u.view.UntilMS > ms(now) {
			v.Undo = append(v.Undo, u.view)
		}
	}
	return v
}

// projected is the session as it will go if an open phase is let go at its planned end, or now where that is past.
func (s *Session) projected(now time.Duration) *Session {
	if s.State != Running || !s.Spans[s.Current].open() {
		return s
	}
	p := s.clone()
	sp := &p.Spans[p.Current]
	held, waiting := sp.Held, sp.Waiting
	sp.Held, sp.Waiting = false, ""
	if end := (now + time.Second).Truncate(time.Second); end > sp.Nominal {
		sp.Nominal, sp.End = end, end
		relay(p.Spans, p.Begin.Playlist.Phases, p.Current, p.Begin.Playlist.Keep, p.Goal)
	}
	p.compose(now, cutNothing)
	sp.Held, sp.Waiting = held, waiting
	return p
}

func (s *Session) ends() time.Duration {
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

// reminderStays is how long a reminder without marks to answer it is shown.
const reminderStays = 15 * time.Minute

// reminders are those due and not answered: by one of its marks, tapped after it was due or up to five minutes before.
func (s *Session) reminders(now time.Duration) []RemindView {
	out := []RemindView{}
	for _, r := range s.Begin.Playlist.Remind {
		from := time.Duration(0)
		if r.After != "" {
			from = -1
			for _, m := range s.Marks {
				if m.Name == r.After {
					from = time.Duration(m.AtMS) * time.Millisecond
				}
			}
			if from < 0 {
				continue
			}
		}
		due := from + r.In
		if now < due || len(r.Marks) == 0 && now > due+reminderStays {
			continue
		}
		answered := false
		for _, m := range s.Marks {
			at := time.Duration(m.AtMS) * time.Millisecond
			for _, want := range r.Marks {
				answered = answered || m.Name == want && at > from && at >= due-5*time.Minute
			}
		}
		if !answered {
			say := r.Say
			if say == "" && len(r.Marks) > 0 {
				say = r.Marks[0]
			}
			out = append(out, RemindView{Say: say, DueMS: ms(due), Marks: append([]string{}, r.Marks...)})
		}
	}
	return out
}
