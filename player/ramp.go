package player

import (
	"math"
	"sort"
	"time"
)

const quarter = math.Pi / 2

// ramp is an equal-power fade: an angle that goes evenly from a to b between two moments, whose sine is the gain.
// 0 is silence, a quarter turn is full. A fade-out (quarter to 0) and a fade-in (0 to quarter) over the same
// moments are cosine and sine of one angle, so that their powers always add up to 1.
type ramp struct {
	from, to int64 // frames, on whatever line the owner counts
	a, b     float64
}

var full = ramp{a: quarter, b: quarter}

func (r ramp) at(p int64) float64 {
	switch {
	case p >= r.to:
		return r.b
	case p <= r.from:
		return r.a
	}
	return r.a + (r.b-r.a)*float64(p-r.from)/float64(r.to-r.from)
}

// flat reports whether the gain is the same over [p, q), and which.
func (r ramp) flat(p, q int64) (float64, bool) {
	switch {
	case r.a == r.b, p >= r.to:
		return math.Sin(r.b), true
	case q <= r.from:
		return math.Sin(r.a), true
	}
	return 0, false
}

// mul multiplies env, whose first entry is moment p, by the gain. A rotation a frame stands in for the sine.
func (r ramp) mul(env []float64, p int64) {
	n := int64(len(env))
	start, end := min(max(r.from-p, 0), n), min(max(r.to-p, 0), n)
	scale(env[:start], math.Sin(r.a))
	if start < end {
		s, c := math.Sincos(r.at(p + start))
		ds, dc := math.Sincos((r.b - r.a) / float64(r.to-r.from))
		for i := start; i < end; i++ {
			env[i] *= s
			s, c = s*dc+c*ds, c*dc-s*ds
		}
	}
	scale(env[max(start, end):], math.Sin(r.b))
}

func scale(env []float64, g float64) {
	if g == 1 {
		return
	}
	for i := range env {
		env[i] *= g
	}
}

// exit is how a deck leaves: an optional way back to full (its ending was put off while it was fading), then the
// way out. Both are on the session's line.
type exit struct{ back, out ramp }

func (e exit) at(p int64) float64 {
	if p < e.out.from {
		return e.back.at(p)
	}
	return e.out.at(p)
}

func (e exit) flat(p, q int64) (float64, bool) {
	if q <= e.out.from {
		return e.back.flat(p, q)
	}
	if p >= e.out.from {
		return e.out.flat(p, q)
	}
	g, ok := e.back.flat(p, e.out.from)
	h, ok2 := e.out.flat(e.out.from, q)
	return g, ok && ok2 && g == h
}

func (e exit) mul(env []float64, p int64) {
	k := int(min(max(e.out.from-p, 0), int64(len(env))))
	e.back.mul(env[:k], p)
	e.out.mul(env[k:], p+int64(k))
}

// levels is a gain in dB over frames, linear between its points and flat outside them.
type levels []levelPoint

type levelPoint struct {
	at int64
	db float64
}

func (l levels) seek(p int64) int {
	return sort.Search(len(l), func(i int) bool { return l[i].at > p })
}

func (l levels) at(p int64) float64 {
	i := l.seek(p)
	switch {
	case len(l) == 0:
		return 0
	case i == 0:
		return l[0].db
	case i == len(l):
		return l[i-1].db
	}
	a, b := l[i-1], l[i]
	return a.db + (b.db-a.db)*float64(p-a.at)/float64(b.at-a.at)
}

func (l levels) flat(p, q int64) (float64, bool) {
	i, j := l.seek(p), l.seek(q-1)
	first, last := max(i-1, 0), min(j, len(l)-1)
	for k := first + 1; k <= last; k++ {
		if l[k].db != l[first].db {
			return 0, false
		}
	}
	return linear(l.at(p)), true
}

func (l levels) mul(env []float64, p int64) {
	for len(env) > 0 {
		i := l.seek(p)
		n := len(env)
		if i < len(l) {
			n = int(min(int64(n), l[i].at-p))
		}
		g := linear(l.at(p))
		if i == 0 || i == len(l) || l[i].db == l[i-1].db {
			scale(env[:n], g)
		} else {
			ratio := linear((l[i].db - l[i-1].db) / float64(l[i].at-l[i-1].at))
			for k := range env[:n] {
				env[k] *= g
				g *= ratio
			}
		}
		env, p = env[n:], p+int64(n)
	}
}

func linear(db float64) float64 {
	if db == 0 {
		return 1
	}
	return math.Pow(10, db/20)
}

// frames is the frame that is nearest to d at rate.
func frames(d time.Duration, rate int) int64 {
	r := int64(rate)
	s, rest := int64(d/time.Second), int64(d%time.Second)
	half := int64(time.Second) / 2
	if rest < 0 {
		half = -half
	}
	return s*r + (rest*r+half)/int64(time.Second)
}

// duration is the time of frame f, to the nearest nanosecond: frames(duration(f)) is f.
func duration(f int64, rate int) time.Duration {
	r := int64(rate)
	s, rest := f/r, f%r
	half := r / 2
	if rest < 0 {
		half = -half
	}
	return time.Duration(s)*time.Second + time.Duration((rest*int64(time.Second)+half)/r)
}
