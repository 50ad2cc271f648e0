package player

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"roomd/player/loudness"
	"roomd/rig"
	"roomd/rig/judge"
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
	out := append(make([][2]float64, 0, len(frames)+guardDelay(g.rate)), frames...)
	out = append(out, make([][2]float64, guardDelay(g.rate))...)
	for rest := out; len(rest) > 0; {
		n := min(1+r.IntN(3000), len(rest))
		g.Process(rest[:n])
		rest = rest[n:]
	}
	return out[guardDelay(g.rate):]
}

// moments are the momentary loudnesses of each 100 ms.
func moments(rate int, frames [][2]float64) []float64 {
	w := loudness.NewWeighting(rate)
	var last [4]float64
	var all []float64
	for tenth := rate / 10; len(frames) >= tenth; frames = frames[tenth:] {
		last[len(all)%4] = w.Energy(frames[:tenth])
		all = append(all, loudness.Level((last[0]+last[1]+last[2]+last[3])/float64(4*tenth)))
	}
	return all
}

func TestGuardHoldsThePromise(t *testing.T) {
	rig.Arithmetic(t)
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{16000, 16000, 16000, 16000, 16000, 16000, 44100, 48000}).Draw(t, "rate")
		seed := rapid.Uint64().Draw(t, "seed")
		target := float64(rapid.IntRange(-40, -16).Draw(t, "target"))
		ceiling := float64(rapid.IntRange(-30, -12).Draw(t, "ceiling"))
		in := extremes(rate, rate*6, seed)
		out := guarded(NewGuard(rate, target, ceiling), in, seed)
		for _, off := range []int{0, rapid.IntRange(1, rate/10-1).Draw(t, "offset")} { // wherever the judge's 100 ms fall
			m := moments(rate, slices.Concat(make([][2]float64, off), out))
			if s := judge.Startles(m, func(int) float64 { return target }); s != "" {
				t.Fatalf("%s (%d frames earlier)", s, off)
			}
			if most := slices.Max(m); most > ceiling {
				t.Fatalf("%.2f LUFS is over the ceiling (%d frames earlier)", most, off)
			}
		}
		m := loudness.NewMeter(rate)
		m.Write(out)
		if p := m.TruePeak(); p > -1 {
			t.Fatalf("true peak %.3f dBTP", p)
		}
	})
}

// ffmpeg is the judge of a smaller number.
func TestGuardBeforeTheJudge(t *testing.T) {
	rig.Arithmetic(t)
	for _, c := range []struct {
		rate            int
		seed            uint64
		target, ceiling float64
	}{{48000, 1, -23, -17}, {48000, 2, -35, -17}, {44100, 3, -18, -12}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			in := extremes(c.rate, c.rate*15, c.seed)
			// Peaks between the samples: squares and tones whose samples miss their peaks, at full scale and over it.
			for _, hz := range []float64{float64(c.rate) / 4, float64(c.rate) / 6, 8000, 11999, 997} {
				for i := range c.rate / 2 {
					s := math.Copysign(1, math.Sin(2*math.Pi*hz*float64(i)/float64(c.rate)+math.Pi/4))
					in = append(in, [2]float64{s, -s})
				}
				for i := range c.rate / 2 {
					s := 1.4 * math.Sin(2*math.Pi*hz*float64(i)/float64(c.rate)+math.Pi/4)
					in = append(in, [2]float64{s, s})
				}
			}
			// What ffmpeg takes a sudden start for is a peak of its own.
			in = slices.Concat(make([][2]float64, c.rate), in)
			out := guarded(NewGuard(c.rate, c.target, c.ceiling), in, c.seed)
			j := judge.FFmpeg(t, c.rate, out)
			if s := judge.Startles(j.Momentary, func(int) float64 { return c.target }); s != "" {
				t.Error(s)
			}
			if j.Peak > -1 {
				t.Errorf("true peak %.1f dBTP", j.Peak)
			}
			if most := slices.Max(j.Momentary); most > c.ceiling {
				t.Errorf("%.1f LUFS is over the ceiling", most)
			}

			// The limiter by itself, where no loudness is held.
			out = guarded(NewGuard(c.rate, 60, 100), in, c.seed)
			if j := judge.FFmpeg(t, c.rate, out); j.Peak > -1 || j.Peak < -1.3 {
				t.Errorf("true peak %.1f dBTP without a target", j.Peak)
			}
		})
	}
}

// Music that keeps the promise goes through with its very bits.
func TestGuardLeavesAlone(t *testing.T) {
	rig.Arithmetic(t)
	for _, rate := range []int{48000, 44100} {
		f := pieces(rate, 30)
		// A struck bar now and then: for a few hundredths of a second far over what a moment may be, as music is.
		for at := 3 * rate; at+rate < len(f); at += 5 * rate / 4 {
			top := 0.7
			if at == 3*rate {
				top = 0.3 // it does not come out of the blue
			}
			for i := range rate / 4 {
				s := top * math.Exp(-60*float64(i)/float64(rate)) * math.Sin(2*math.Pi*400*float64(i)/float64(rate))
				f[at+i][0] += s
				f[at+i][1] += s
			}
		}
		m := loudness.NewMeter(rate)
		m.Write(f)
		target := m.Integrated()
		for off := 0; off < rate/10; off += rate / 50 {
			if s := judge.Startles(moments(rate, slices.Concat(make([][2]float64, off), f)), func(int) float64 { return target - 0.3 }); s != "" {
				t.Fatalf("the music does not keep the promise by itself: %s", s)
			}
		}
		if s := judge.Impulses(rate, f, func(int) float64 { return target }); s != "" {
			t.Fatalf("the music does not keep the promise by itself: %s", s)
		}
		if loud := 20 * math.Log10(loudness.Peak(f)); loud > -2 || loud < -5 || m.MaxMomentary() < target+2 {
			t.Fatalf("the music tests nothing: peak %.1f, largest moment %.1f, target %.1f", loud, m.MaxMomentary(), target)
		}
		for i, s := range guarded(NewGuard(rate, target, target+6), f, 1) {
			if s != f[i] {
				t.Fatalf("frame %d is %v, was %v", i, s, f[i])
			}
		}
	}
}

// What a curve has made keep the promise, the guard has nothing to do with: wherever the file begins on the
// judge's clock, and with a jump of 30 dB in it.
func TestGuardLeavesTheCurveAlone(t *testing.T) {
	rig.Arithmetic(t)
	const rate, target = 48000, -23.0
	var f [][2]float64
	for i, db := range []float64{-20, 10, -20, -8, 12, -15} {
		part := pieces(rate, 16)[3*rate:][:6*rate+i*1234]
		g := linear(db)
		for _, s := range part {
			f = append(f, [2]float64{g * s[0], g * s[1]})
		}
	}
	a, err := loudness.Analyse(t.Context(), &whole{f}, rate)
	if err != nil {
		t.Fatal(err)
	}
	gain := target - a.Integrated
	curve := loudness.Curve(&a, gain, target)
	if s := judge.Startles(moments(rate, f), func(int) float64 { return target - gain }); s == "" || len(curve) == 0 {
		t.Fatalf("the music keeps the promise by itself; a curve of %d points", len(curve))
	}
	points := make(levels, len(curve))
	for i, p := range curve {
		points[i] = levelPoint{frames(p.At, rate), p.DB + gain}
	}
	env := make([]float64, len(f))
	for i := range env {
		env[i] = 1
	}
	points.mul(env, 0)
	for i, g := range env {
		f[i] = [2]float64{g * f[i][0], g * f[i][1]}
	}
	for _, off := range []int{0, 1000, 2500} {
		in := slices.Concat(make([][2]float64, off), f)
		for i, s := range guarded(NewGuard(rate, target, 0), in, 1) {
			// A curve knows of loudness, not of a peak that comes at once: the first fifths of a second are the guard's.
			if at := i - off; at > 6*rate && (at-6*rate)%(6*rate) < rate/2 {
				continue
			}
			if s != in[i] {
				t.Fatalf("%.2f s, %d frames later: %v, was %v", float64(i)/rate, off, s, in[i])
			}
		}
	}
}

// whole is a stream that is over after one read.
type whole struct{ frames [][2]float64 }

func (w *whole) Stream(s [][2]float64) (int, bool) {
	n := copy(s, w.frames)
	w.frames = w.frames[n:]
	return n, n > 0
}

func (w *whole) Err() error { return nil }

// A sound that sets in too loud is taken down before it comes, without a hole after it, and let go of slowly.
func TestGuardMeetsAnOnset(t *testing.T) {
	rig.Arithmetic(t)
	const rate, target, step = 48000, -23.0, 48000 / 50
	for _, before := range []float64{-60, -30, -23} {
		limit := min(target+overTarget, max(before, target+underFloor)+overBefore)
		for _, after := range []float64{-16, -15, -13, -10, -3, 6} {
			f := make([][2]float64, 10*rate)
			for i := range f {
				db := before
				if i >= 6*rate {
					db = after
				}
				s := linear(db) * math.Sin(2*math.Pi*997*float64(i)/rate)
				f[i] = [2]float64{s, s}
			}
			out := guarded(NewGuard(rate, target, 0), f, 1)
			level := func(i int) float64 { // of 20 ms
				var e float64
				for _, s := range out[i*step : (i+1)*step] {
					e += s[0]*s[0] + s[1]*s[1]
				}
				return 10 * math.Log10(e/step)
			}
			name := fmt.Sprintf("%.0f LUFS, then %.0f", before, after)
			low, high := math.Inf(1), math.Inf(-1)
			first := 300
			if after-max(before, target+peakFloor) > overPeaks {
				first = 315 // the peak comes up in steps of a tenth of a second
			}
			for i := first; i < 498; i++ {
				low, high = min(low, level(i)), max(high, level(i))
				speed := max(guardRise, (after-level(i-1))/2)
				if rise := level(i) - level(i-1); i > first+1 && rise > 0.02*speed+0.03 {
					t.Fatalf("%s: rises by %.2f dB in 20 ms, %.2f s after the onset", name, rise, float64(i-300)/50)
				}
			}
			if low < limit-3 {
				t.Errorf("%s: a hole of %.1f LUFS where %.1f is the limit", name, low, limit)
			}
			if after-limit > 6.5 && high > target+overTarget+0.1 {
				t.Errorf("%s: sets in with %.1f LUFS", name, high)
			}
			if end := level(498); math.Abs(end-(target+overTarget)) > 0.5 && end < after-0.1 {
				t.Errorf("%s: ends at %.1f LUFS", name, end)
			}
		}
	}
}

// Out of silence the first moment may reach target - 4 LU, and 4 s later all is as it came in.
func TestGuardOutOfSilence(t *testing.T) {
	const rate, target = 48000, -23.0
	f := pieces(rate, 12)[4*rate:]
	m := loudness.NewMeter(rate)
	m.Write(f)
	up := linear(target + 4 - m.MaxMomentary())
	for i := range f {
		f[i][0] *= up
		f[i][1] *= up
	}
	in := slices.Concat(make([][2]float64, 3*rate), f)
	got, want := moments(rate, guarded(NewGuard(rate, target, 0), in, 1)), moments(rate, in)
	if first := slices.Max(got[30:34]); first > target-4 || first < target-8 {
		t.Errorf("the first moment reaches %.2f LUFS", first)
	}
	for i := 30 + 40; i < len(got); i++ {
		if math.Abs(got[i]-want[i]) > 0.1 {
			t.Fatalf("after %.1f s it is %.2f LUFS, %.2f came in", float64(i-30)/10, got[i], want[i])
		}
	}
}

// A target that glides down takes what sounds with it; no moment is over the target that holds then.
func TestGuardFollowsTheTarget(t *testing.T) {
	const rate = 48000
	f := make([][2]float64, 20*rate)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range f {
		s := linear(-20) * r.NormFloat64()
		f[i] = [2]float64{s, s}
	}
	target := func(at float64) float64 { return -14 - min(max(at-5, 0)*3, 18) }
	g := NewGuard(rate, target(0), 0)
	out := append(slices.Clone(f), make([][2]float64, guardDelay(g.rate))...)
	for i := 0; i < len(out); i += 480 {
		g.SetTarget(target(float64(i) / rate))
		g.Process(out[i:min(i+480, len(out))])
	}
	m := moments(rate, out[guardDelay(g.rate):])
	for i := range m {
		// 3 dB a second are 1.2 dB in the moment's own 400 ms.
		if over := m[i] - target(float64(i+1)/10) - overTarget; over > 1.2 || over > 0 && i > 130 {
			t.Errorf("at %.1f s: %.2f LUFS, %.2f over", float64(i+1)/10, m[i], over)
		}
	}
	if last := m[len(m)-1]; last < -27 {
		t.Errorf("in the end %.2f LUFS, want a little under -26", last)
	}
}

// An abrupt target is met at once, at the level that it allows and not under it.
func TestGuardMeetsAFallingTarget(t *testing.T) {
	const rate, step = 48000, 48000 / 50
	f := make([][2]float64, 8*rate)
	for i := range f {
		s := linear(-12) * math.Sin(2*math.Pi*997*float64(i)/rate)
		f[i] = [2]float64{s, s}
	}
	g := NewGuard(rate, -16, 0)
	out := append(f, make([][2]float64, guardDelay(g.rate))...)
	g.Process(out[:5*rate])
	g.SetTarget(-30)
	g.Process(out[5*rate:])
	out = out[guardDelay(g.rate):]
	for i := 252; i < 398; i++ {
		var e float64
		for _, s := range out[i*step : (i+1)*step] {
			e += s[0]*s[0] + s[1]*s[1]
		}
		if level := 10 * math.Log10(e/step); level > -24 || level < -26 {
			t.Fatalf("%.2f s after the target fell it is %.2f LUFS, want a little under -24", float64(i-250)/50, level)
		}
	}
}

// What went before is what was heard, not what came in: sound that the limiter took away does not count.
func TestGuardRemembersWhatWentOut(t *testing.T) {
	const rate, target = 48000, -23.0
	f := make([][2]float64, 10*rate)
	for i := range f {
		switch {
		case i >= 7*rate:
			s := linear(target+4) * math.Sin(2*math.Pi*997*float64(i)/rate)
			f[i] = [2]float64{s, s}
		case i%(rate/4) == 0:
			f[i] = [2]float64{linear(16), linear(16)}
		}
	}
	in, out := moments(rate, f), moments(rate, guarded(NewGuard(rate, target, 0), f, 1))
	if in[60] < target-10 || out[60] > target-10 {
		t.Fatalf("the clicks test nothing: %.1f LUFS in, %.1f out", in[60], out[60])
	}
	if s := judge.Startles(out, func(int) float64 { return target }); s != "" {
		t.Error(s)
	}
}

func TestGuardTakesAnything(t *testing.T) {
	g := NewGuard(48000, -23, -17)
	f := extremes(48000, 48000, 1)
	for i := range f {
		switch i % 1000 {
		case 0:
			f[i][0] = math.NaN()
		case 10:
			f[i][1] = math.Inf(1)
		case 20:
			f[i][0] = math.Inf(-1)
		case 30:
			f[i] = [2]float64{1e300, -1e300}
		case 40:
			f[i][1] = 5e-324
		}
	}
	out := guarded(g, f, 1)
	if p := loudness.Peak(out); !(p <= linear(-1)) {
		t.Errorf("peak %v", p)
	}
	m := moments(48000, out)
	if s := judge.Startles(m, func(int) float64 { return -23 }); s != "" {
		t.Error(s)
	}
	g.SetTarget(math.NaN())
	if g.target != -23 {
		t.Errorf("target %v", g.target)
	}
	// And once it has stopped, music comes back.
	quiet := pieces(48000, 10)
	out = guarded(g, quiet, 1)
	if s := out[len(out)-1]; s != quiet[len(quiet)-1] {
		t.Errorf("the last frame is %v, was %v: %.1f dB down", s, quiet[len(quiet)-1], -20*math.Log10(g.gain))
	}
}

// However it is cut into blocks, the same comes out; and a guard that was reset is a new one.
func TestGuardBlocks(t *testing.T) {
	rig.Arithmetic(t)
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{8000, 44100, 48000}).Draw(t, "rate")
		seed := rapid.Uint64().Draw(t, "seed")
		in := extremes(rate, rate, seed)
		g := NewGuard(rate, -23, -17)
		a := guarded(g, in, seed)
		g.Reset()
		b := slices.Concat(in, make([][2]float64, guardDelay(g.rate)))
		g.Process(b)
		if !slices.Equal(a, b[guardDelay(g.rate):]) {
			t.Fatal("other blocks, other sound")
		}
		if rate == 48000 && guardDelay(g.rate) != 48000*95/1000 {
			t.Fatalf("a delay of %d frames", guardDelay(g.rate))
		}
	})
}

func TestGuardDoesNotAllocate(t *testing.T) {
	f := extremes(48000, 48000*4, 5)
	g := NewGuard(48000, -23, -17)
	block := make([][2]float64, 1920)
	at := 0
	if n := testing.AllocsPerRun(80, func() {
		copy(block, f[at:])
		g.Process(block)
		at += len(block)
	}); n != 0 {
		t.Errorf("%v allocations a block", n)
	}
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

// A guard that has heard nothing for a while is left alone, and what comes then is guarded as by a new one.
func TestGuardAfterLongSilence(t *testing.T) {
	const rate = 48000
	onset := make([][2]float64, rate)
	for i := range onset {
		s := 0.9 * math.Sin(2*math.Pi*440*float64(i)/rate)
		onset[i] = [2]float64{s, s}
	}
	play := func(silence int) [][2]float64 {
		c := newChain(t.Context(), Options{Rate: rate}, 960, func(Event) {})
		g := c.guards[0]
		var fed [][2]float64
		src := &whole{}
		g.src = src
		for range silence / 960 {
			src.frames = make([][2]float64, 960)
			g.Stream(make([][2]float64, 960))
		}
		for at := 0; at < len(onset); at += 960 {
			block := make([][2]float64, 960)
			src.frames = onset[at : at+960]
			g.Stream(block)
			fed = append(fed, block...)
		}
		return fed
	}
	if first, late := play(0), play(20*rate); !slices.Equal(first, late) || loudness.Peak(late) == 0 {
		t.Errorf("after 20 s of silence it is another sound: peaks of %.3f and %.3f", loudness.Peak(first), loudness.Peak(late))
	}
}
