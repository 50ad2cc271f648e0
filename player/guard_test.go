package player

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"roomd/player/loudness"
)

// extremes makes n frames of what no therapist would play, from a seed.
func extremes(rate, n int, seed uint64) [][2]float64 {
	r := rand.New(rand.NewPCG(seed, 7))
	f := make([][2]float64, 0, n)
	for len(f) < n {
		length := int(float64(rate) * math.Pow(10, r.Float64()*2.5-1.5)) // 30 ms to 10 s
		level := linear(-50 + 50*r.Float64())
		kind := r.IntN(9)
		hz := 20 * math.Pow(2, r.Float64()*9.5)
		phase := r.Float64()
		var low float64
		for i := range length {
			at := float64(i) / float64(rate)
			var a, b float64
			switch kind {
			case 0: // silence
			case 1: // tone
				a = level * math.Sin(2*math.Pi*(hz*at+phase))
				b = a
			case 2: // noise
				a, b = level*r.NormFloat64(), level*r.NormFloat64()
			case 3: // square
				a = math.Copysign(level, math.Sin(2*math.Pi*(hz*at+phase)))
				b = -a
			case 4: // a square of full scale at a quarter of the rate
				a = 1
				if i/2%2 == 1 {
					a = -1
				}
				b = a
			case 5: // clicks
				if i%(rate/3) == rate/7 {
					a, b = 1, -1
				}
			case 6: // struck notes
				a = level * 4 * math.Exp(-6*math.Mod(at, 0.5)) * math.Sin(2*math.Pi*hz*at)
				b = a * 0.5
			case 7: // rumble
				low += (r.NormFloat64() - low) * 0.003
				a, b = 30*level*low, 25*level*low
			case 8: // over full scale, one channel
				a = 8 * math.Sin(2*math.Pi*hz*at)
			}
			f = append(f, [2]float64{a, b})
		}
	}
	return f[:n]
}

// guarded is what leaves a guard, in blocks of odd sizes, without its delay.
func guarded(g *Guard, frames [][2]float64, seed uint64) [][2]float64 {
	r := rand.New(rand.NewPCG(seed, 3))
	out := append(make([][2]float64, 0, len(frames)+g.Delay()), frames...)
	out = append(out, make([][2]float64, g.Delay())...)
	for rest := out; len(rest) > 0; {
		n := min(1+r.IntN(3000), len(rest))
		g.Process(rest[:n])
		rest = rest[n:]
	}
	return out[g.Delay():]
}

// moments are the momentary loudnesses of each 100 ms.
func moments(rate int, frames [][2]float64) []float64 {
	m := loudness.NewMeter(rate)
	var all []float64
	for len(frames) >= rate/10 {
		m.Write(frames[:rate/10])
		frames = frames[rate/10:]
		all = append(all, m.Momentary())
	}
	return all
}

// startles says where moments break promise 1, read in its strictest way: what overlaps with a moment is not
// before it, and what is 5 s old is no more.
func startles(moments []float64, target, ceiling float64) string {
	for i, m := range moments {
		before := target + underFloor
		for _, b := range moments[max(0, i-49):max(0, i-3)] {
			before = max(before, b)
		}
		switch {
		case m > target+overTarget:
			return fmt.Sprintf("at %.1f s: %.2f LUFS, %.2f over the target", float64(i)/10, m, m-target)
		case m > before+overBefore:
			return fmt.Sprintf("at %.1f s: %.2f LUFS, %.2f over the 5 s before", float64(i)/10, m, m-before)
		case m > ceiling:
			return fmt.Sprintf("at %.1f s: %.2f LUFS, over the ceiling", float64(i)/10, m)
		}
	}
	return ""
}

func TestGuardHoldsThePromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{48000, 44100}).Draw(t, "rate")
		seed := rapid.Uint64().Draw(t, "seed")
		target := float64(rapid.IntRange(-40, -16).Draw(t, "target"))
		ceiling := float64(rapid.IntRange(-30, -12).Draw(t, "ceiling"))
		in := extremes(rate, rate*12, seed)
		out := guarded(NewGuard(rate, target, ceiling), in, seed)
		for _, off := range []int{0, rapid.IntRange(1, rate/10-1).Draw(t, "offset")} {
			if s := startles(moments(rate, slices.Concat(make([][2]float64, off), out)), target, ceiling); s != "" {
				t.Fatalf("%s (%d frames earlier)", s, off)
			}
		}
		m := loudness.NewMeter(rate)
		m.Write(out)
		if p := m.TruePeak(); p > -1 {
			t.Fatalf("true peak %.3f dBTP", p)
		}
	})
}

// pieces is music that keeps the promise: soft noise and notes that swell.
func pieces(rate int, seconds float64) [][2]float64 {
	r := rand.New(rand.NewPCG(1, 1))
	f := make([][2]float64, int(seconds*float64(rate)))
	var low [2]float64
	hz, at := 220.0, 0
	for i := range f {
		if i%(rate/2) == 0 {
			hz, at = 110*math.Exp2(float64(r.IntN(36))/12), i
		}
		age := float64(i-at) / float64(rate)
		note := 0.1 * min(1, age*50) * math.Exp(-3*age) * math.Sin(2*math.Pi*hz*age)
		for ch := range 2 {
			low[ch] += (r.NormFloat64() - low[ch]) * 0.05
			f[i][ch] = (0.1*low[ch] + note) * min(1, float64(i)/float64(2*rate))
		}
	}
	return f
}
