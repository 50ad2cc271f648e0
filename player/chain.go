package player

import (
	"context"
	"slices"
	"time"

	"github.com/gopxl/beep/v2"
)

// chain is the signal path, one beep.Streamer after the other, the same for live sound, a render and an audition:
//
//	source → tap → voice ┐
//	                     deck ┐
//	bed → tap → voice ───┘    mix → level → guard → fall → the line
//	                     deck ┘           ↘ pair → guard → fall → the line's next pair
//
// A further effect goes between any two of them.
type chain struct {
	mix    *mix
	level  *level
	guards []*guarding
	out    beep.Streamer
	pairs  []beep.Streamer
	tee    *tee
}

// newChain makes the path for blocks of up to so many frames.
func newChain(ctx context.Context, o Options, block int, notify func(Event)) *chain {
	c := &chain{mix: newMix(ctx, o.Rate, block, o.Open, notify)}
	guard := func(src beep.Streamer, loudest, db float64) beep.Streamer {
		g := &guarding{src: src, c: c, db: db, rate: o.Rate}
		if loudest == 0 {
			loudest = 100
		}
		if !o.bare {
			g.guard = NewGuard(o.Rate, assumedTarget, loudest)
		}
		c.guards = append(c.guards, g)
		return fall{g, c.level}
	}
	late := 0
	if !o.bare {
		late = guardDelay(o.Rate)
	}
	c.level = newLevel(c.mix, o.Rate, block, late, o.Ceiling)
	c.tee = &tee{src: c.level}
	c.out = guard(c.tee, o.Loudest, 0)
	for _, p := range o.Pairs {
		b := &branch{gain: linear(p.Level)}
		c.tee.branches = append(c.tee.branches, b)
		c.pairs = append(c.pairs, guard(b, p.Loudest, p.Level))
	}
	return c
}

// late is how many frames later a frame leaves.
func (c *chain) late() int64 { return int64(c.level.delay) }

// reset forgets what is under way: it belongs to before a gap.
func (c *chain) reset() {
	for _, g := range c.guards {
		if g.guard != nil {
			g.guard.Reset()
		}
	}
}

// rests reports whether nothing sounds, is under way, or is to come: what Stream would give is silence.
func (c *chain) rests() bool {
	m, l := c.mix, c.level
	return len(m.decks) == 0 && m.next == len(m.plan.clips) && l.db == l.to && l.still >= l.delay &&
		!slices.ContainsFunc(c.guards, func(g *guarding) bool { return g.guard != nil && !g.asleep() })
}

// Stream gives the next frames of the first pair. Those of the others follow it, as long.
func (c *chain) Stream(s [][2]float64) (int, bool) { return c.out.Stream(s) }

// Err is nil: a source that fails is covered.
func (c *chain) Err() error { return nil }

// tee is the node at which the further pairs branch off.
type tee struct {
	src      beep.Streamer
	branches []*branch
}

func (t *tee) Stream(s [][2]float64) (int, bool) {
	n, ok := t.src.Stream(s)
	for _, b := range t.branches {
		b.held = append(b.held[:0], s[:n]...)
	}
	return n, ok
}

func (t *tee) Err() error { return t.src.Err() }

// branch is what a further pair plays: the same at its own level.
type branch struct {
	gain float64
	held [][2]float64
}

func (b *branch) Stream(s [][2]float64) (int, bool) {
	for i, f := range b.held {
		s[i] = [2]float64{f[0] * b.gain, f[1] * b.gain}
	}
	return len(b.held), true
}

func (b *branch) Err() error { return nil }

// guarding is the node of the guard, and of the target that it measures against.
type guarding struct {
	src    beep.Streamer
	c      *chain
	db     float64 // of the pair against the first
	guard  *Guard  // nil: none, in tests
	rate   int
	target float64 // LUFS, gliding
	set    bool
	silent int // frames of silence that came last
}

// forgets is after how much silence a guard is as it was when it was new: nothing is under way and nothing is remembered.
const forgets = 6 * time.Second

// asleep reports whether nothing is under way: silence goes through as it is.
func (g *guarding) asleep() bool { return g.silent >= int(frames(forgets, g.rate)) }

// targetGlide is how fast the guard's target goes to another, in dB a second: ahead of a fall that the score plans, and
// after one that comes unforeseen. A fall as steep as the score's own step would cut into what is still sounding.
const targetGlide = 6.0

// assumedTarget is the target where a score names none.
const assumedTarget = -23.0

func (g *guarding) Stream(s [][2]float64) (int, bool) {
	n, ok := g.src.Stream(s)
	if g.guard == nil {
		return n, ok
	}
	sounds := slices.ContainsFunc(s[:n], func(f [2]float64) bool { return f != [2]float64{} })
	switch {
	case sounds:
		g.silent = 0
	case g.asleep():
		return n, ok
	default:
		if g.silent += n; g.asleep() {
			g.guard.Reset()
			return n, ok
		}
	}
	want := assumedTarget
	if t, ok := g.c.mix.plan.aim(g.c.mix.pos, targetGlide); ok {
		want = t
	}
	if want += g.c.level.db + g.db; !g.set {
		g.target, g.set = want, true
	}
	step := targetGlide * float64(n) / float64(g.rate)
	g.target = max(g.target-step, min(g.target+step, want))
	g.guard.SetTarget(g.target)
	g.guard.Process(s[:n])
	return n, ok
}

func (g *guarding) Err() error { return g.src.Err() }
