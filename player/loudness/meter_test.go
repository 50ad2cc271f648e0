package loudness_test

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

func gain(db float64) float64 { return math.Pow(10, db/20) }

// tone is a stereo sine; db is its peak level in dBFS.
func tone(rate int, seconds, hz, db float64) [][2]float64 {
	f, g := make([][2]float64, int(math.Round(seconds*float64(rate)))), gain(db)
	for i := range f {
		s := g * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
		f[i] = [2]float64{s, s}
	}
	return f
}

func noise(rate int, seconds, db float64, seed uint64) [][2]float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	f, g := make([][2]float64, int(seconds*float64(rate))), gain(db)
	for i := range f {
		f[i] = [2]float64{g * r.NormFloat64(), g * r.NormFloat64()}
	}
	return f
}

// music is pink-ish noise in two bands with a slow swell and struck notes that decay.
func music(rate int, seconds, db float64, seed uint64) [][2]float64 {
	r := rand.New(rand.NewPCG(seed, 2))
	f, g := noise(rate, seconds, 0, seed), gain(db)
	var low, mid [2]float64
	struck, hz, at := 0.0, 220.0, 0
	for i := range f {
		if r.IntN(rate/2) == 0 {
			struck, hz, at = 1, 110*math.Exp2(float64(r.IntN(36))/12), i
		}
		swell := 0.55 + 0.45*math.Sin(2*math.Pi*float64(i)/float64(rate)/7)
		note := struck * math.Exp(-4*float64(i-at)/float64(rate)) * math.Sin(2*math.Pi*hz*float64(i-at)/float64(rate))
		for ch := range 2 {
			low[ch] += (f[i][ch] - low[ch]) * 300 / float64(rate)
			mid[ch] += (f[i][ch] - mid[ch]) * 6000 / float64(rate)
			f[i][ch] = g * (swell*(2*low[ch]+0.15*mid[ch]) + note)
		}
	}
	return f
}

func square(rate int, seconds, hz, db float64) [][2]float64 {
	f, g := make([][2]float64, int(seconds*float64(rate))), gain(db)
	for i := range f {
		s := g
		if math.Mod(float64(i)*hz/float64(rate), 1) >= 0.5 {
			s = -s
		}
		f[i] = [2]float64{s, s}
	}
	return f
}

func clicks(rate int, seconds, db float64) [][2]float64 {
	f := make([][2]float64, int(seconds*float64(rate)))
	for i := rate / 3; i < len(f); i += rate * 7 / 10 {
		f[i] = [2]float64{gain(db), -gain(db)}
	}
	return f
}

func measure(rate int, frames [][2]float64) *loudness.Meter {
	m := loudness.NewMeter(rate)
	m.Write(frames)
	return m
}

// loud is measure without the true peak.
func loud(rate int, frames [][2]float64) *loudness.Meter {
	m := loudness.NewMeter(rate).WithoutPeak()
	m.Write(frames)
	return m
}

// The corpus of extremes: what ffmpeg says of it is what we say.
func TestMeterAgreesWithFFmpeg(t *testing.T) {
	rig.Arithmetic(t)
	type sound struct {
		name   string
		rate   int
		frames [][2]float64
	}
	var corpus []sound
	add := func(name string, rate int, frames ...[][2]float64) {
		corpus = append(corpus, sound{fmt.Sprintf("%s at %d Hz", name, rate), rate, slices.Concat(frames...)})
	}
	for _, rate := range []int{8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000} {
		add("music", rate, music(rate, 4, -12, uint64(rate)))
	}
	for _, rate := range []int{44100, 48000} {
		add("loud", rate, music(rate, 8, 0, 3))
		add("soft", rate, music(rate, 8, -45, 4))
		add("a jump of 30 dB", rate, music(rate, 6, -38, 5), music(rate, 3, -8, 6), music(rate, 6, -38, 7))
		add("silence inside", rate, music(rate, 4, -20, 8), make([][2]float64, 5*rate), tone(rate, 4, 440, -20))
		add("clicks", rate, clicks(rate, 8, 0))
		add("square of 0 dBFS at fs/4", rate, square(rate, 4, float64(rate)/4, 0))
		add("square of 0 dBFS", rate, square(rate, 4, 997, 0))
		add("low tone", rate, tone(rate, 4, 30, -6))
		add("high tone", rate, tone(rate, 4, 15000, -3))
		add("white noise", rate, noise(rate, 5, -20, 9))
		add("half a second", rate, music(rate, 0.5, -10, 10))
		left := music(rate, 5, -15, 11)
		for i := range left {
			left[i][1] = 0
		}
		add("left only", rate, left)
	}
	for _, s := range corpus {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			want := judge.FFmpeg(t, s.rate, s.frames)
			m := measure(s.rate, s.frames)
			near := func(what string, got, want, within float64) {
				if want <= -70 && got <= -70 {
					return // under ffmpeg's floor
				}
				if math.Abs(got-want) > within+0.05 { // it prints one decimal
					t.Errorf("%s is %.2f, ffmpeg says %.1f", what, got, want)
				}
			}
			near("integrated", m.Integrated(), want.Integrated, 0.1)
			near("range", m.Range(), want.Range, 1) // the tolerance of Tech 3342; percentiles of a few seconds are coarse
			near("largest momentary", m.MaxMomentary(), slices.Max(want.Momentary), 0.2)
			near("true peak", m.TruePeak(), want.Peak, 0.2)
		})
	}
}

func TestSilenceHasNoLoudness(t *testing.T) {
	m := loudness.NewMeter(48000)
	for _, at := range []string{"nothing", "silence"} {
		for what, v := range map[string]float64{"integrated": m.Integrated(), "momentary": m.Momentary(), "short-term": m.ShortTerm(),
			"max": m.MaxMomentary(), "true peak": m.TruePeak()} {
			if v != loudness.Silent {
				t.Errorf("%s of %s is %v", what, at, v)
			}
		}
		if m.Range() != 0 {
			t.Errorf("range of %s is %v", at, m.Range())
		}
		m.Write(make([][2]float64, 48000*5))
	}
}

// Silence counts for nothing: neither by itself nor for the gate that follows.
func TestGates(t *testing.T) {
	rig.Arithmetic(t)
	const rate = 8000
	loud, soft := tone(rate, 10, 1000, -23), tone(rate, 10, 1000, -36)
	if a, b := measure(rate, slices.Concat(loud, soft)).Integrated(), measure(rate, slices.Concat(loud, soft, make([][2]float64, 300*rate))).Integrated(); a != b || math.Abs(a+23) > 0.1 {
		t.Errorf("integrated %.2f, and with silence after it %.2f, want -23", a, b)
	}
	if got := measure(rate, tone(rate, 5, 1000, -75)).Integrated(); got != loudness.Silent {
		t.Errorf("integrated %.2f of what is under the gate", got)
	}
}

// The worst sound for the filter peaks as far over its samples as the bound says, and is found behind a louder sample.
func TestTruePeakOfTheWorst(t *testing.T) {
	for _, at := range []int{200, 205, 210, 215} {
		f := make([][2]float64, 400)
		f[50] = [2]float64{1, 0}
		a := 1.05 / loudness.NewInterpolator(48000, 0).Gain()
		for i := range loudness.Taps {
			f[at+i][1] = a
			if int(math.Abs(float64(i)-15.5))%2 == 1 {
				f[at+i][1] = -a
			}
		}
		if got := measure(48000, f).TruePeak(); math.Abs(got-20*math.Log10(1.05)) > 0.001 {
			t.Errorf("at %d: %.3f dBTP, want %.3f", at, got, 20*math.Log10(1.05))
		}
	}
}

// EBU Tech 3341 (2016), table 1: each case is made of 1 kHz sines in both channels.
func TestTech3341(t *testing.T) {
	rig.Arithmetic(t)
	type step struct{ db, seconds float64 }
	sines := func(steps ...step) [][2]float64 {
		var f [][2]float64
		for _, s := range steps {
			f = append(f, tone(48000, s.seconds, 1000, s.db)...)
		}
		return f
	}
	for _, c := range []struct {
		name   string
		frames [][2]float64
		want   float64
	}{
		{"1", sines(step{-23, 20}), -23},
		{"2", sines(step{-33, 20}), -33},
		{"3", sines(step{-36, 10}, step{-23, 60}, step{-36, 10}), -23},
		{"4", sines(step{-72, 10}, step{-36, 10}, step{-23, 60}, step{-36, 10}, step{-72, 10}), -23},
		{"5", sines(step{-26, 20}, step{-20, 20.1}, step{-26, 20}), -23},
	} {
		t.Run("integrated/"+c.name, func(t *testing.T) {
			m := loud(48000, c.frames)
			if got := m.Integrated(); math.Abs(got-c.want) > 0.1 {
				t.Errorf("integrated %.3f, want %.1f", got, c.want)
			}
			if c.name <= "2" {
				if s, mo := m.ShortTerm(), m.Momentary(); math.Abs(s-c.want) > 0.1 || math.Abs(mo-c.want) > 0.1 {
					t.Errorf("short-term %.3f, momentary %.3f, want %.1f", s, mo, c.want)
				}
			}
		})
	}

	// 9 and 12: bursts that keep short-term and momentary loudness constant.
	each := func(frames [][2]float64, from float64, read func(m *loudness.Meter) float64) {
		t.Helper()
		m := loudness.NewMeter(48000).WithoutPeak()
		for i := 0; i+4800 <= len(frames); i += 4800 {
			m.Write(frames[i : i+4800])
			if at := float64(i+4800) / 48000; at >= from {
				if got := read(m); math.Abs(got+23) > 0.1 {
					t.Fatalf("at %.1f s: %.3f, want -23.0", at, got)
				}
			}
		}
	}
	var nine, twelve []step
	for range 5 {
		nine = append(nine, step{-20, 1.34}, step{-30, 1.66})
	}
	for range 25 {
		twelve = append(twelve, step{-20, 0.18}, step{-30, 0.22})
	}
	each(sines(nine...), 3, (*loudness.Meter).ShortTerm)
	each(sines(twelve...), 1, (*loudness.Meter).Momentary)

	// 10, 11, 13, 14: a burst after each of 20 offsets reads its own level, wherever it begins.
	for i := range 20 {
		off := float64(i) * 0.15
		if got := loud(48000, slices.Concat(make([][2]float64, int(off*48000)), tone(48000, 3, 1000, -23), make([][2]float64, 48000))).MaxShortTerm(); math.Abs(got+23) > 0.1 {
			t.Errorf("case 10, file %d: max short-term %.3f", i+1, got)
		}
		db := -38 + float64(i)
		if got := loud(48000, slices.Concat(make([][2]float64, int(off*48000)), tone(48000, 3, 1000, db), make([][2]float64, int((3-off)*48000)))).MaxShortTerm(); math.Abs(got-db) > 0.1 {
			t.Errorf("case 11, segment %d: max short-term %.3f, want %.0f", i+1, got, db)
		}
		// The momentary ones are shorter than a meter could tell that looks each 100 ms.
		off = float64(i) * 0.02
		live := func(db float64) float64 {
			m, most := loudness.NewMeter(48000).WithoutPeak(), loudness.Silent
			f := slices.Concat(make([][2]float64, int(off*48000)), tone(48000, 0.4, 1000, db), make([][2]float64, 24000))
			for ; len(f) >= 480; f = f[480:] {
				m.Write(f[:480])
				most = max(most, m.Momentary())
			}
			return most
		}
		if got := live(-23); math.Abs(got+23) > 0.1 {
			t.Errorf("case 13, file %d: max momentary %.3f", i+1, got)
		}
		if got := live(db); math.Abs(got-db) > 0.1 {
			t.Errorf("case 14, segment %d: max momentary %.3f, want %.0f", i+1, got, db)
		}
	}

	// 15 to 18: sines whose samples miss their peaks; 19: one that peaks over full scale.
	for _, c := range []struct {
		name             string
		divide           float64 // of the rate
		phase, peak, max float64
	}{
		{"15", 4, 0, 0.5, -6}, {"16", 4, 45, 0.5, -6}, {"17", 6, 60, 0.5, -6}, {"18", 8, 67.5, 0.5, -6}, {"19", 4, 45, 1.41, 3},
	} {
		f := make([][2]float64, 48000)
		for i := range f {
			s := c.peak * math.Sin(2*math.Pi*float64(i)/c.divide+c.phase*math.Pi/180)
			// It fades in and out, since a sudden start would itself peak.
			s *= min(1, float64(i)/4800, float64(len(f)-i)/4800)
			f[i] = [2]float64{s, s}
		}
		if got := measure(48000, f).TruePeak(); got > c.max+0.2 || got < c.max-0.4 {
			t.Errorf("case %s: true peak %.3f, want %.1f (+0.2 -0.4)", c.name, got, c.max)
		}
	}
	// 20 to 23: an impulse that was made at four times the rate, at each offset of a quarter sample.
	for off := range 4 {
		f := make([][2]float64, 9600)
		for i := range f {
			x := math.Pi * (float64(i) - 4800 - float64(off)/4) * 0.5
			s := 1.0
			if x != 0 {
				s = math.Sin(x) / x
			}
			s *= 0.5 * (1 + math.Cos(math.Pi*max(-1, min(1, (float64(i)-4800-float64(off)/4)/200))))
			f[i] = [2]float64{s, s}
		}
		if got := measure(48000, f).TruePeak(); got > 0.2 || got < -0.4 {
			t.Errorf("case %d: true peak %.3f, want 0.0 (+0.2 -0.4)", 20+off, got)
		}
	}
}

// The standard's own check of the weighting, at any rate: a 997 Hz sine of full scale in one channel is -3.01 LUFS.
func TestWeightingAtAnyRate(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000} {
		f := tone(rate, 5, 997, 0)
		for i := range f {
			f[i][1] = 0
		}
		if got := loud(rate, f).Integrated(); math.Abs(got+3.01) > 0.1 {
			t.Errorf("at %d Hz: %.3f LUFS, want -3.01", rate, got)
		}
	}
}

// EBU Tech 3342 (2016), table 1: ±1 LU.
func TestTech3342(t *testing.T) {
	rig.Arithmetic(t)
	for i, c := range []struct {
		levels []float64
		want   float64
	}{
		{[]float64{-20, -30}, 10}, {[]float64{-20, -15}, 5}, {[]float64{-40, -20}, 20}, {[]float64{-50, -35, -20, -35, -50}, 15},
	} {
		var f [][2]float64
		for _, db := range c.levels {
			f = append(f, tone(48000, 20, 1000, db)...)
		}
		if got := loud(48000, f).Range(); math.Abs(got-c.want) > 1 {
			t.Errorf("case %d: range %.2f, want %.0f", i+1, got, c.want)
		}
	}
}

// However a stream is cut into writes, it measures the same, and the peaks that are passed over are none that count.
func TestMeterWrites(t *testing.T) {
	rig.Arithmetic(t)
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]int{8000, 44100, 48000, 192000}).Draw(t, "rate")
		n := rapid.IntRange(0, rate/2).Draw(t, "frames")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		f := make([][2]float64, n)
		var level float64
		for i := range f {
			if i%97 == 0 {
				level = gain(-40 * r.Float64())
			}
			f[i] = [2]float64{level * r.NormFloat64(), level * r.NormFloat64()}
		}
		whole := measure(rate, f)
		cut := loudness.NewMeter(rate)
		for rest := f; len(rest) > 0; {
			k := min(1+r.IntN(3000), len(rest))
			cut.Write(rest[:k])
			rest = rest[k:]
		}
		// The filter is settled between writes, so that the last bits may differ.
		if a, b := whole.Integrated(), cut.Integrated(); math.Abs(a-b) > 1e-6 {
			t.Fatalf("integrated %v in one write, %v in many", a, b)
		}
		if a, b := whole.TruePeak(), cut.TruePeak(); a != b {
			t.Fatalf("true peak %v in one write, %v in many", a, b)
		}
		p := loudness.NewInterpolator(rate, 0)
		most := loudness.Peak(f)
		var padded [][2]float64
		if len(f) >= loudness.Taps {
			padded = append(padded, f[1:loudness.Taps]...)
			slices.Reverse(padded)
			padded = append(padded, f...)
		}
		for i := range max(len(padded)-loudness.Taps+1, 0) {
			x := (*[loudness.Taps][2]float64)(padded[i : i+loudness.Taps])
			b := p.Between(x)
			if b > p.Gain()*loudness.Peak(x[:])*(1+1e-12) {
				t.Fatalf("interpolated %v of %v, over the bound %v", b, loudness.Peak(x[:]), p.Gain())
			}
			most = max(most, b)
		}
		if want := max(20*math.Log10(most), loudness.Silent); math.Abs(whole.TruePeak()-want) > 1e-9 {
			t.Fatalf("true peak %v, each place looked at: %v", whole.TruePeak(), want)
		}
	})
}
