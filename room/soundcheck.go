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
	r.o.Sound.SetMaster(player.Master{})
	r.o.Sound.SetScore(sc, time.Now())
	r.check, r.checked = sc, time.Now()
	r.publish(func(n *state) { n.checkEnds = r.clock.Now() + sc.End })
	ack := r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c)
	ack.Rev = r.state.Load().rev
	return ack, nil
}

// endCheck fades a sound check out. It refuses where none plays.
func (r *Room) endCheck(ctx context.Context, c Command) (Ack, error) {
	at := time.Since(r.checked)
	if len(r.check.Clips) == 0 || at >= r.check.End {
		return Ack{}, &Refused{Reason: "No session is running."}
	}
	sc := r.check
	clip := sc.Clips[0]
	clip.FadeOut = time.Second
	clip.End = min(clip.End, at+clip.FadeOut)
	sc.Clips, sc.End = []player.Clip{clip}, clip.End
	r.o.Sound.SetScore(sc, r.checked)
	r.check = player.Score{}
	r.publish(func(n *state) { n.checkEnds = 0 })
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
