package room

import (
	"fmt"
	"slices"
	"time"
)

// timer is a silent countdown that a person has started.
type timer struct {
	id   string // of the command
	mark string // what it is for; noting it answers the timer
	at   time.Duration
	due  time.Duration
}

const (
	leastTimer = 10 * time.Second
	mostTimer  = 3 * time.Hour
	mostTimers = 8
	// answeredEarly is how long before its time a mark answers a timer.
	answeredEarly = 5 * time.Minute
	// reminderStays is how long a reminder without marks to answer it is shown.
	reminderStays = 15 * time.Minute
)

func (s *Session) startTimer(c *Command, now time.Duration, _ *Effects) (Said, error) {
	in, err := time.ParseDuration(c.In)
	if err != nil || in < leastTimer || in > mostTimer {
		return Said{}, Refuse("bad-in").Of("in")
	}
	if !s.known(c.Name) {
		return Said{}, Refuse("unknown-mark", "mark", c.Name).Of("name")
	}
	running := 0
	for _, t := range s.timers(now) {
		if t.Own {
			running++
		}
	}
	if running >= mostTimers {
		return Said{}, Refuse("many-timers")
	}
	s.Timers = append(s.Timers, timer{c.ID, c.Name, now, now + in})
	return Say("did-timer", "mark", c.Name, "in", in), nil
}

// stopTimer ends a timer or dismisses a reminder.
func (s *Session) stopTimer(c *Command, now time.Duration, _ *Effects) (Said, error) {
	all := s.timers(now)
	i := slices.IndexFunc(all, func(t TimerView) bool { return t.ID == c.Of })
	if i < 0 {
		return Said{}, Refuse("unknown-timer").Of("of")
	}
	s.Stopped = append(s.Stopped, c.Of)
	return Say("did-timer-stop", "mark", all[i].Say), nil
}

// timers are the countdowns that are known and not yet answered: those that people started, and the playlist's reminders,
// which are timers that the session's start or a mark starts. One is answered by one of its marks, noted after it was
// due or up to answeredEarly before.
func (s *Session) timers(now time.Duration) []TimerView {
	out := []TimerView{}
	add := func(t TimerView, from, due time.Duration) {
		if slices.Contains(s.Stopped, t.ID) || len(t.Marks) == 0 && now > due+reminderStays {
			return
		}
		for _, m := range s.Marks {
			at := time.Duration(m.AtMS) * time.Millisecond
			if slices.Contains(t.Marks, m.Name) && at > from && at >= due-answeredEarly {
				return
			}
		}
		t.SinceMS, t.DueMS, t.Due = ms(from), ms(due), now >= due
		out = append(out, t)
	}
	for k, r := range s.Begin.Playlist.Remind {
		t := TimerView{Say: r.Say, Marks: append([]string{}, r.Marks...)}
		if t.Say == "" && len(r.Marks) > 0 {
			t.Say = r.Marks[0]
		}
		if r.After == "" {
			t.ID = fmt.Sprintf("remind-%d", k+1)
			add(t, 0, r.In)
		}
		// Each dose has its own; of other marks the last one counts.
		for i := len(s.Marks) - 1; i >= 0; i-- {
			if m := s.Marks[i]; m.Name == r.After {
				t.ID = fmt.Sprintf("remind-%d-%s", k+1, m.ID)
				from := time.Duration(m.AtMS) * time.Millisecond
				add(t, from, from+r.In)
				if m.Name != s.zero() || s.firstRules() {
					break
				}
			}
		}
	}
	for _, t := range s.Timers {
		add(TimerView{ID: t.id, Say: t.mark, Marks: []string{t.mark}, Own: true}, t.at, t.due)
	}
	slices.SortStableFunc(out, func(a, b TimerView) int { return int(a.DueMS - b.DueMS) })
	return out
}
