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
	letGoSoon   = 0.03 // s, of what is sudden: the music is not to be missed for a click
	peakRun     = 16   // frames that are judged together
)

// limiter holds the true peak, and the sample peak of what is sudden. It finds what each frame needs, keeps the lowest of what
// the look-ahead needs, and averages that over the look-ahead, so that the gain is smooth and is there when the peak is.
type limiter struct {
	p       *loudness.Interpolator
	ceiling float64
	hop     int
	look    int // frames that the gain is averaged over
	keep    [2]float64

	x     [][2]float64 // the frames under way, oldest first; then the hop that came in
	peaks float64      // of the hop before
	most  float64      // that the hop before might have
	need  [][2]float64 // gain that a hop of frames needs for either, behind the last by half the filter

	idle bool
	ones int        // frames since anything was needed
	env  [2]float64 // what is needed, let go slowly
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

func newLimiter(rate, hop int, ceiling float64) *limiter {
	look := limiterHops*hop - loudness.Taps/2 + 1
	l := &limiter{
		// 8 times where the rate does not divide 192 kHz: others measure on another grid.
		p: loudness.NewInterpolator(rate, 0), ceiling: ceiling, hop: hop, look: look,
		keep: [2]float64{math.Exp(-1 / (letGo * float64(rate))), math.Exp(-1 / (letGoSoon * float64(rate)))},
		x:    make([][2]float64, (limiterHops+1)*hop+loudness.Taps),
		need: make([][2]float64, hop), queue: make([]lowest, look+1), mean: make([]float64, look),
		idle: true, most: math.Inf(1),
	}
	if 192000%rate != 0 {
		l.p = loudness.NewInterpolator(rate, 8)
	}
	return l
}

// process lets a hop in, whose peak is at most peak and is to be at most most, and fills out with the hop before the last. It
// reports whether out is anything else than what came in.
func (l *limiter) process(in [][2]float64, peak, most float64, out [][2]float64) bool {
	copy(l.x, l.x[l.hop:])
	copy(l.x[len(l.x)-l.hop:], in)
	due := l.x[len(l.x)-(limiterHops+1)*l.hop:][:l.hop]
	top, least := max(peak, l.peaks), min(most, l.most)
	clean := top*l.p.Gain() <= l.ceiling && top <= least
	l.peaks, l.most = peak, most
	if !clean {
		clean = l.demand(least)
	}
	if clean && l.idle {
		copy(out, due)
		return false
	}
	if l.idle {
		l.wake()
	}
	for i := range l.hop {
		n := [2]float64{1, 1}
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
func (l *limiter) demand(most float64) (clean bool) {
	// Frame i of need is base[16+i]; it answers for itself and for what is between it and the next one.
	base := l.x[len(l.x)-l.hop-loudness.Taps:]
	clean = true
	for from := 0; from < l.hop; from += peakRun {
		to := min(from+peakRun, l.hop)
		bound := loudness.Peak(base[from+1 : to+loudness.Taps])
		over := bound*l.p.Gain() > l.ceiling
		for i := from; i < to; i++ {
			l.need[i] = [2]float64{1, 1}
			if !over && bound <= most {
				continue
			}
			x := (*[loudness.Taps][2]float64)(base[i+1 : i+1+loudness.Taps])
			peak := max(math.Abs(x[15][0]), math.Abs(x[15][1]))
			if peak > most {
				l.need[i][1] = most / peak
				clean = false
			}
			if !over {
				continue
			}
			if peak = max(peak, l.p.Over(x, bound, l.ceiling)); peak > l.ceiling {
				l.need[i][0] = l.ceiling / peak
				clean = false
			}
		}
	}
	return clean
}

func (l *limiter) wake() {
	l.idle, l.env, l.head, l.tail, l.now, l.ones = false, [2]float64{1, 1}, 0, 0, 0, 0
	for i := range l.mean {
		l.mean[i] = 1
	}
	l.sum = float64(l.look)
}

// follow takes what the newest frame needs and returns the gain of the one that is due.
func (l *limiter) follow(need [2]float64) float64 {
	for k, n := range need {
		l.env[k] = 1 - (1-l.env[k])*l.keep[k]
		if l.env[k] > 1-1e-5 {
			l.env[k] = 1
		}
		l.env[k] = min(l.env[k], n)
	}
	env := min(l.env[0], l.env[1])
	if l.ones++; env < 1 {
		l.ones = 0
	}

	size := len(l.queue)
	for l.tail != l.head && l.queue[(l.tail+size-1)%size].gain >= env {
		l.tail = (l.tail + size - 1) % size
	}
	l.queue[l.tail] = lowest{l.now, env}
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
