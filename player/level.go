package player

import (
	"time"

	"github.com/gopxl/beep/v2"
)

const (
	silence = -120 // dB: what a Master means by silence
	// A glide to or from silence ends and begins here, where nothing is heard any more, and its last 6 dB taper to
	// nothing: even in dB all the way, it would be unheard for most of its time.
	floor  = -48.0
	louder = 3.0 // dB a second, at most
	// The least that any fall takes, so that it is no click.
	leastFall = 100 * time.Millisecond
)

// level is the gain that a person steers. Up it goes before the guard, which has to see what is louder before it is
// heard. Down it goes behind the guard, so that what is asked to be softer is softer without the guard's delay: until
// what came in before that has gone out, the node fall holds it down. It belongs to the loop.
//
// As a beep.Streamer it is the node before the guard.
type level struct {
	src     beep.Streamer
	rate    int
	delay   int     // frames from here to fall
	ceiling float64 // dB
	db      float64 // now; floor is silence
	to      float64
	speed   float64 // dB a second, towards to

	gains []float64 // of the block
	falls []float64 // of the block, at fall; empty: 1
	past  []float64 // gains of the last delay frames, as a ring
	at    int       // in past
	still int       // frames for which the gain has been the same
}

func newLevel(src beep.Streamer, rate, block, delay int, ceiling float64) *level {
	return &level{src: src, rate: rate, delay: delay, ceiling: ceiling, still: delay,
		gains: make([]float64, block), falls: make([]float64, 0, block), past: make([]float64, delay)}
}

// ask begins a glide; at once where nothing is heard.
func (l *level) ask(a Master, unheard bool) {
	// Anything that is no number is silence, too.
	to := floor
	if a.DB > floor {
		to = min(a.DB, l.ceiling)
	}
	l.to = to
	if unheard {
		l.db, l.still = to, l.delay
		return
	}
	over := a.Over
	if to < l.db {
		over = max(over, leastFall)
	}
	l.speed = louder
	if over > 0 {
		l.speed = max(to-l.db, l.db-to) / over.Seconds()
	}
	if to > l.db {
		l.speed = min(l.speed, louder)
	}
}

// told is the present gain in dB.
func (l *level) told() float64 {
	if l.db <= floor {
		return silence
	}
	return l.db
}

func (l *level) gain() float64 {
	g := linear(l.db)
	if l.db < floor+6 {
		g *= (l.db - floor) / 6
	}
	return g
}

// Stream applies the gain, moving it on every 10 ms and evenly between.
func (l *level) Stream(s [][2]float64) (int, bool) {
	n, ok := l.src.Stream(s)
	s = s[:n]
	l.falls = l.falls[:0]
	if l.db == l.to && l.still >= l.delay {
		if g := l.gain(); g != 1 {
			for i := range s {
				s[i][0] *= g
				s[i][1] *= g
			}
		}
		return n, ok
	}
	if l.still >= l.delay {
		g := l.gain()
		for i := range l.past {
			l.past[i] = g
		}
	}
	l.glide(l.gains[:n])
	for i, g := range l.gains[:n] {
		s[i][0] *= g
		s[i][1] *= g
	}
	if l.delay == 0 {
		return n, ok
	}
	for _, g := range l.gains[:n] {
		before := l.past[l.at]
		l.past[l.at] = g
		if l.at++; l.at == l.delay {
			l.at = 0
		}
		if g < before {
			l.falls = append(l.falls, g/before)
		} else {
			l.falls = append(l.falls, 1)
		}
	}
	return n, ok
}

// Err is the source's.
func (l *level) Err() error { return l.src.Err() }

// glide is the gain of each frame of a block.
func (l *level) glide(env []float64) {
	step := l.rate / 100
	for len(env) > 0 {
		n := min(step, len(env))
		g := l.gain()
		if l.db == l.to {
			for i := range env {
				env[i] = g
			}
			l.still += len(env)
			return
		}
		move := l.speed * float64(n) / float64(l.rate)
		if l.to > l.db {
			l.db = min(l.db+move, l.to)
		} else {
			l.db = max(l.db-move, l.to)
		}
		d := (l.gain() - g) / float64(n)
		for i := range env[:n] {
			g += d
			env[i] = g
		}
		env, l.still = env[n:], 0
	}
}

// fall is the node behind the guard.
type fall struct {
	src beep.Streamer
	l   *level
}

func (f fall) Stream(s [][2]float64) (int, bool) {
	n, ok := f.src.Stream(s)
	for i, g := range f.l.falls {
		s[i][0] *= g
		s[i][1] *= g
	}
	return n, ok
}

func (f fall) Err() error { return f.src.Err() }
