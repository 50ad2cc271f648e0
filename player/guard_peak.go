package player

import (
	"math"

	"roomd/player/loudness"
)

const (
	limiterHops = 2 // hops of look-ahead
	// The promise is -1 dBTP. What is left covers what a moving gain does between the samples.
	peakCeiling = -1.1
	letGo       = 0.25 // s, the time constant with which the limiter lets go
	peakRun     = 16   // frames that are judged together
)

// limiter holds the true peak. It finds what each frame needs, keeps the lowest of what the look-ahead needs, and
// averages that over the look-ahead, so that the gain is smooth and is there when the peak is.
type limiter struct {
	p       *loudness.Interpolator
	ceiling float64
	hop     int
	look    int // frames that the gain is averaged over
	keep    float64

	x     [][2]float64 // the frames under way, oldest first; then the hop that came in
	peaks float64      // of the hop before
	need  []float64    // gain that a hop of frames needs, behind the last by half the filter

	idle bool
	ones int     // frames since anything was needed
	env  float64 // what is needed, let go slowly
	// Lowest of the last look frames, as a queue whose values rise from head to tail.
	queue      []lowest
	head, tail int
	now        int // frames since the limiter woke
	mean       []float64
	sum        float64
}

type lowest struct {
	at   int
	gain float64
}

func newLimiter(rate, hop int) *limiter {
	look := limiterHops*hop - loudness.Taps/2 + 1
	l := &limiter{
		// 8 times where the rate does not divide 192 kHz: others measure on another grid.
		p: loudness.NewInterpolator(rate, 0), ceiling: linear(peakCeiling), hop: hop, look: look,
		keep: math.Exp(-1 / (letGo * float64(rate))),
		x:    make([][2]float64, (limiterHops+1)*hop+loudness.Taps),
		need: make([]float64, hop), queue: make([]lowest, look+1), mean: make([]float64, look),
		idle: true, env: 1,
	}
	if 192000%rate != 0 {
		l.p = loudness.NewInterpolator(rate, 8)
	}
	return l
}

// process lets a hop in, whose peak is at most peak, and fills out with the hop before the last. It reports whether
// out is anything else than what came in.
func (l *limiter) process(in [][2]float64, peak float64, out [][2]float64) bool {
	copy(l.x, l.x[l.hop:])
	copy(l.x[len(l.x)-l.hop:], in)
	due := l.x[len(l.x)-(limiterHops+1)*l.hop:][:l.hop]
	clean := max(peak, l.peaks)*l.p.Gain() <= l.ceiling
	l.peaks = peak
	if !clean {
		clean = l.demand()
	}
	if clean && l.idle {
		copy(out, due)
		return false
	}
	if l.idle {
		l.wake()
	}
	for i := range l.hop {
		n := 1.0
		if !clean {
			n = l.need[i]
		}
		g := l.follow(n)
		out[i] = [2]float64{g * due[i][0], g * due[i][1]}
	}
	l.idle = l.ones >= 2*l.look
	return true
}

// demand fills need for the frames whose neighbourhood is now known. It reports whether none needs anything.
func (l *limiter) demand() (clean bool) {
	// Frame i of need is base[16+i]; it answers for itself and for what is between it and the next one.
	base := l.x[len(l.x)-l.hop-loudness.Taps:]
	clean = true
	for from := 0; from < l.hop; from += peakRun {
		to := min(from+peakRun, l.hop)
		bound := loudness.Peak(base[from+1 : to+loudness.Taps])
		over := bound*l.p.Gain() > l.ceiling
		for i := from; i < to; i++ {
			l.need[i] = 1
			if !over {
				continue
			}
			x := (*[loudness.Taps][2]float64)(base[i+1 : i+1+loudness.Taps])
			peak := max(l.p.Over(x, bound, l.ceiling), math.Abs(x[15][0]), math.Abs(x[15][1]))
			if peak > l.ceiling {
				l.need[i] = l.ceiling / peak
				clean = false
			}
		}
	}
	return clean
}

func (l *limiter) wake() {
	l.idle, l.env, l.head, l.tail, l.now, l.ones = false, 1, 0, 0, 0, 0
	for i := range l.mean {
		l.mean[i] = 1
	}
	l.sum = float64(l.look)
}

// follow takes what the newest frame needs and returns the gain of the one that is due.
func (l *limiter) follow(need float64) float64 {
	l.env = 1 - (1-l.env)*l.keep
	if l.env > 1-1e-5 {
		l.env = 1
	}
	l.env = min(l.env, need)
	if l.ones++; l.env < 1 {
		l.ones = 0
	}

	size := len(l.queue)
	for l.tail != l.head && l.queue[(l.tail+size-1)%size].gain >= l.env {
		l.tail = (l.tail + size - 1) % size
	}
	l.queue[l.tail] = lowest{l.now, l.env}
	l.tail = (l.tail + 1) % size
	if l.queue[l.head].at <= l.now-l.look {
		l.head = (l.head + 1) % size
	}
	low := l.queue[l.head].gain

	i := l.now % l.look
	l.sum += low - l.mean[i]
	l.mean[i] = low
	l.now++
	return min(1, l.sum/float64(l.look))
}
