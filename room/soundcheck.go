package room

import (
	"time"

	"roomd/player"
)

const (
	checkTime    = 15 * time.Second // length of a sound check
	auditionTime = 30 * time.Second // length of an audition
)

// SoundCheck is music outside a session: a sound check, an audition or arrival music.
type SoundCheck struct {
	Score player.Score
	From  time.Duration // score time at which playback starts
	Zero  time.Duration // room time of score time 0; set by Step
}

func (c *SoundCheck) ends() time.Duration { return c.Zero + c.Score.End }

// check starts in.Check and ends any rehearsal.
func (st *State) check(in Input, now time.Duration, eff *Effects) error {
	c := *in.Check
	c.Zero = now - c.From
	st.Check, st.Rehearsal = &c, nil
	eff.Check, eff.Master = &c, &player.Master{}
	return nil
}

// stop fades out a check and ends a rehearsal. The lights stay as they are.
func (st *State) stop(_ Input, now time.Duration, eff *Effects) error {
	st.quiet(now, eff)
	return nil
}

func (st *State) quiet(now time.Duration, eff *Effects) {
	if c := st.Check; c != nil {
		end := *c
		end.Score = until(c.Score, min(c.Score.End, now-c.Zero+time.Second), time.Second)
		eff.Check = &end
	}
	st.Check, st.Rehearsal = nil, nil
}

// checkOf builds the score for a CheckSound, Audition or Arrival command. heard gives the loudness curve of each track.
func checkOf(c Command, b Begin, heard Heard) (*SoundCheck, *Refused) {
	var check *SoundCheck
	switch s := Rehearsal(b); c.Do {
	case CheckSound:
		sc, ok := excerpt(s.ScoreWith(heard))
		if !ok {
			return nil, Refuse("no-check-music")
		}
		check = &SoundCheck{Score: sc}
	case Audition:
		at := time.Duration(c.AtMS) * time.Millisecond
		if at < 0 || at >= s.Ends() {
			return nil, Refuse("bad-at").Of("at_ms")
		}
		check = &SoundCheck{Score: until(s.ScoreWith(heard), min(at+auditionTime, s.Ends()), 3*time.Second), From: at}
	case Arrival:
		long, err := time.ParseDuration(c.By)
		if err != nil || long < time.Second || long > 24*time.Hour {
			return nil, Refuse("bad-arrival").Of("by")
		}
		if c.DB == nil || !(*c.DB >= -40 && *c.DB <= 0) {
			return nil, Refuse("bad-arrival-db").Of("db")
		}
		check = &SoundCheck{Score: until(s.ScoreWith(heard), min(long, s.Ends()), 10*time.Second)}
		for k := range check.Score.Clips {
			check.Score.Clips[k].Gain += *c.DB
		}
		for k := range check.Score.Levels {
			check.Score.Levels[k].Target += *c.DB
		}
	}
	for k := range check.Score.Clips {
		check.Score.Clips[k].ID = "check " + NewID() // so that it never matches a session's clip
	}
	return check, nil
}

// until returns sc cut at end, with the clips still playing there faded out over at most fade.
func until(sc player.Score, end, fade time.Duration) player.Score {
	var clips []player.Clip
	for _, c := range sc.Clips {
		if c.Start >= end {
			continue
		}
		if c.End >= end {
			c.End, c.FadeOut = end, min(fade, end-c.Start)
		}
		clips = append(clips, c)
	}
	sc.Clips, sc.End = clips, end
	return sc
}

// excerpt returns up to checkTime from the middle of the loudest clip in sc, faded in and out. It prefers tracks to beds.
// ok is false if sc has no clips.
func excerpt(sc player.Score) (out player.Score, ok bool) {
	target := func(at time.Duration) (db float64) {
		for _, l := range sc.Levels {
			if l.At <= at {
				db = l.Target
			}
		}
		return db
	}
	var best player.Clip
	loudest := 0.0
	for _, c := range sc.Clips {
		t := target((c.Start + c.End) / 2)
		if better := t > loudest || t == loudest && c.End-c.Start > best.End-best.Start; !ok || best.File == "" && c.File != "" || (best.File == "") == (c.File == "") && better {
			best, loudest, ok = c, t, true
		}
	}
	if !ok {
		return player.Score{}, false
	}
	long := min(checkTime, best.End-best.Start)
	from := (best.End - best.Start - long) / 2
	best.From += from
	best.Start, best.End = 0, long
	best.FadeIn, best.FadeOut = long/6, long/5
	return player.Score{Clips: []player.Clip{best}, Levels: []player.Level{{Target: loudest}}, Cover: sc.Cover, Seed: sc.Seed, Rate: sc.Rate, End: long}, true
}
