package room

import (
	"context"
	"time"

	"roomd/player"
)

// checkTime is how long a sound check plays.
const checkTime = 15 * time.Second

// checkSound plays a piece of a playlist as loud as its session gets, while no session runs.
func (r *Room) checkSound(ctx context.Context, c Command, b *Begin) (Ack, error) {
	s, _ := NewSession("check", *b)
	sc, ok := excerpt(s.ScoreWith(r.o.Heard))
	if !ok {
		return Ack{}, &Refused{Reason: "This playlist has no music to check the sound with."}
	}
	return r.playCheck(ctx, c, sc, 0), nil
}

// auditionTime is how long an audition plays.
const auditionTime = 30 * time.Second

// audition plays a moment of a playlist as its session will, while no session runs.
func (r *Room) audition(ctx context.Context, c Command, b *Begin) (Ack, error) {
	s := Rehearsal(*b)
	at := time.Duration(c.AtMS) * time.Millisecond
	if at < 0 || at >= s.Ends() {
		return Ack{}, &Refused{Field: "at_ms", Reason: "The playlist is not that long."}
	}
	sc := until(s.ScoreWith(r.o.Heard), min(at+auditionTime, s.Ends()), 3*time.Second)
	for k := range sc.Clips {
		sc.Clips[k].ID = "check " + NewID() // nothing that sounded in a session
	}
	return r.playCheck(ctx, c, sc, at), nil
}

// arrival plays a playlist softly, from its start, before people come.
func (r *Room) arrival(ctx context.Context, c Command, b *Begin) (Ack, error) {
	long, err := time.ParseDuration(c.By)
	if err != nil || long < time.Second || long > 24*time.Hour {
		return Ack{}, &Refused{Field: "by", Reason: "how long it plays, 30m"}
	}
	if c.DB == nil || !(*c.DB >= -40 && *c.DB <= 0) {
		return Ack{}, &Refused{Field: "db", Reason: "from -40 to 0"}
	}
	s := Rehearsal(*b)
	sc := until(s.ScoreWith(r.o.Heard), min(long, s.Ends()), 10*time.Second)
	for k := range sc.Clips {
		sc.Clips[k].ID = "check " + NewID()
		sc.Clips[k].Gain += *c.DB
	}
	for k := range sc.Levels {
		sc.Levels[k].Target += *c.DB
	}
	return r.playCheck(ctx, c, sc, 0), nil
}

// playCheck plays a score from a moment of it on, until its end.
func (r *Room) playCheck(ctx context.Context, c Command, sc player.Score, from time.Duration) Ack {
	zero := time.Now().Add(-from)
	r.o.Sound.SetMaster(player.Master{})
	r.o.Sound.SetScore(sc, zero)
	r.check, r.checked = sc, zero
	r.publish(func(n *state) { n.checkEnds = r.clock.Now() + sc.End - from })
	ack := r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c)
	ack.Rev = r.state.Load().rev
	return ack
}

// until is a score that fades out to its end there.
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

// endCheck fades a sound check out, and ends a rehearsal. It refuses where there is neither.
func (r *Room) endCheck(ctx context.Context, c Command) (Ack, error) {
	at := time.Since(r.checked)
	plays := len(r.check.Clips) > 0 && at < r.check.End
	if !r.endRehearsal() && !plays {
		return Ack{}, &Refused{Reason: "No session is running."}
	}
	if plays {
		r.o.Sound.SetScore(until(r.check, min(r.check.End, at+time.Second), time.Second), r.checked)
		r.check = player.Score{}
		r.publish(func(n *state) { n.checkEnds = 0 })
	}
	ack := r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c)
	ack.Rev = r.state.Load().rev
	return ack, nil
}

// excerpt is a piece of the score's loudest stretch, from its middle, that begins and ends softly: a track where there is
// one, else a bed.
func excerpt(sc player.Score) (player.Score, bool) {
	target := func(at time.Duration) (db float64) {
		for _, l := range sc.Levels {
			if l.At <= at {
				db = l.Target
			}
		}
		return db
	}
	var best player.Clip
	found := false
	loudest := 0.0
	for _, c := range sc.Clips {
		t := target((c.Start + c.End) / 2)
		if better := t > loudest || t == loudest && c.End-c.Start > best.End-best.Start; !found || best.File == "" && c.File != "" || (best.File == "") == (c.File == "") && better {
			best, loudest, found = c, t, true
		}
	}
	if !found {
		return player.Score{}, false
	}
	long := min(checkTime, best.End-best.Start)
	from := (best.End - best.Start - long) / 2
	best.ID = "check " + NewID()
	best.From += from
	best.Start, best.End = 0, long
	best.FadeIn, best.FadeOut = long/6, long/5
	return player.Score{Clips: []player.Clip{best}, Levels: []player.Level{{Target: loudest}}, Cover: sc.Cover, Seed: sc.Seed, Rate: sc.Rate, End: long}, true
}
