package lights

import (
	"math"
	"time"
)

// Limits of how fast light moves, L* a second. What is planned stays a little under the promise of 2 and of 12, since a
// lamp's own ramp is straight in its level and not in L*.
const (
	plannedSlope   = 1.95
	unplannedSlope = 10
	recoverSlope   = 11.5
	promisedSlope  = 11.6 // of any single transition, where it is steepest: a read is up to half a level off
	leastUnplanned = 3 * time.Second
	urgentOver     = 1500 * time.Millisecond
	resumeOver     = 10 * time.Second // a lamp that was held comes back to the plan in no less
)

// plan is where a role's light should be at any time: straight in L* and in mired.
type plan struct {
	active    bool
	kind      Kind
	target    Level
	from, to  float64 // L*
	hue, hues colour  // from, to
	t0, t1    time.Time
}

// turn is the plan of a move that begins now at L* from and the colour start. farthest is how far that lamp of the role has
// to go that has to go farthest, L*: it, too, keeps to the speed that its kind of move may have.
func turn(kind Kind, level Level, from float64, start colour, farthest float64, over time.Duration, now time.Time) plan {
	limit, least := plannedSlope, time.Duration(0)
	if kind == Unplanned {
		limit, least = unplannedSlope, leastUnplanned
	}
	over = max(over, least, time.Duration(farthest/limit*float64(time.Second)))
	hue := level.colour()
	if hue.mode == asItIs {
		hue = start
	}
	return plan{active: true, kind: kind, target: level, from: from, to: min(100, max(0, level.L)), hue: start, hues: hue, t0: now, t1: now.Add(over)}
}

func share(now, t0, t1 time.Time) float64 {
	if !now.Before(t1) {
		return 1
	}
	return max(0, now.Sub(t0).Seconds()/t1.Sub(t0).Seconds())
}

func (p *plan) at(now time.Time) float64 { return p.from + (p.to-p.from)*share(now, p.t0, p.t1) }

func (p *plan) colour(now time.Time) colour { return p.hue.towards(p.hues, share(now, p.t0, p.t1)) }

// slope in L* a second just after now.
func (p *plan) slope(now time.Time) float64 {
	if !now.Before(p.t1) {
		return 0
	}
	return (p.to - p.from) / p.t1.Sub(p.t0).Seconds()
}

// away is how far a lamp is from its role's plan, and until when it closes up.
type away struct {
	d      float64 // L*
	t0, t1 time.Time
}

func (a away) at(now time.Time) float64 { return a.d * (1 - share(now, a.t0, a.t1)) }

func (a away) slope(now time.Time) float64 {
	if a.d == 0 || !now.Before(a.t1) {
		return 0
	}
	return -a.d / a.t1.Sub(a.t0).Seconds()
}

// ramp is where a lamp is believed to be: straight in its level, 0 to 1, as lamps fade.
type ramp struct {
	from, to float64
	t0, t1   time.Time
}

func (r ramp) at(now time.Time) float64 { return r.from + (r.to-r.from)*share(now, r.t0, r.t1) }

// course is the way of one lamp: its role's plan, and its own way back to it.
type course struct {
	plan  *plan
	away  away
	floor float64 // L* of the lowest level that is light
}

func (c course) at(now time.Time) float64 {
	return min(100, max(c.floor, c.plan.at(now)+c.away.at(now)))
}

func (c course) slope(now time.Time) float64 { return c.plan.slope(now) + c.away.slope(now) }

// ends are the times after now at which the slope changes; the last one is rest.
func (c course) ends(now time.Time) (next, rest time.Time) {
	if c.plan.t1.After(now) {
		next, rest = c.plan.t1, c.plan.t1
	}
	if t := c.away.t1; c.away.d != 0 && t.After(now) {
		next = sooner(next, t)
		if t.After(rest) {
			rest = t
		}
	}
	return next, rest
}

// chunk is one native transition of a lamp.
type chunk struct {
	level int // to this
	over  time.Duration
}

// chunk picks the next transition of a lamp that was sent to level last and is believed at L* is. Nothing to send: ok is false, and wait says until when.
//
// Chunks end where the course passes a whole level, because at the dim end one level is up to 3.5 L*: there a lamp that
// ramps between two levels for a minute is on the line, and one that is sent a rounded level every five seconds is not.
func (c course) chunk(caps Caps, level int, is float64, now time.Time) (ch chunk, wait time.Time, ok bool) {
	next, rest := c.ends(now)
	if rest.IsZero() {
		return chunk{}, now, false
	}
	slope := c.slope(now)
	fast := math.Abs(slope) > 2.5 || math.Abs(c.at(now)-is) > 1
	h := 5 * time.Second
	switch l := c.at(now); {
	case fast && l < 60:
		h = 500 * time.Millisecond
	case fast:
		h = 600 * time.Millisecond
	case slope != 0:
		h = min(h, max(2*time.Second, time.Duration(4/math.Abs(slope)*float64(time.Second))))
	}
	end := now.Add(h)
	if left := next.Sub(now); left < h*13/10 {
		end = next // no splinter before a bend
	}
	if slope == 0 {
		return chunk{}, next, false
	}
	if fast {
		if to := caps.level(c.at(end)); to != level {
			return chunk{to, max(100*time.Millisecond, end.Sub(now))}, time.Time{}, true
		}
	}
	dir := 1
	round := math.Ceil
	if slope < 0 {
		dir, round = -1, math.Floor
	}
	at := next
	to := int(round(luminance(c.at(end))*float64(caps.Max) - float64(dir)*0.01))
	for ; ; to += dir {
		t, found := c.passes(caps.lightness(to), now, next)
		if to < caps.Min || to > caps.Max || !found || next.Sub(t) < h*3/10 {
			to = caps.level(c.at(next))
			break
		}
		if to != level && t.Sub(now) >= h/2 {
			at = t
			break
		}
	}
	if to == level {
		return chunk{}, next, false
	}
	if d := at.Sub(now); d <= caps.MaxFade {
		return chunk{to, max(d, 100*time.Millisecond)}, time.Time{}, true
	}
	return chunk{}, at.Add(-caps.MaxFade), false
}

// passes is when the course is at L* l, between now and the end of its present straight line.
func (c course) passes(l float64, now, end time.Time) (time.Time, bool) {
	a, b := c.plan.at(now)+c.away.at(now), c.plan.at(end)+c.away.at(end)
	if a == b {
		return end, false
	}
	f := (l - a) / (b - a)
	if f < 0 || f > 1 {
		return end, false
	}
	return now.Add(time.Duration(f * float64(end.Sub(now)))), true
}
