package loudness_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomd/player/loudness"
	"roomd/rig"
	"roomd/rig/judge"
)

func always(target float64) func(int) float64 { return func(int) float64 { return target } }

func at(curve []loudness.Point, t time.Duration) float64 {
	i, _ := slices.BinarySearchFunc(curve, t, func(p loudness.Point, t time.Duration) int { return int(p.At - t) })
	switch {
	case len(curve) == 0:
		return 0
	case i == 0:
		return curve[0].DB
	case i == len(curve):
		return curve[i-1].DB
	}
	a, b := curve[i-1], curve[i]
	return a.DB + (b.DB-a.DB)*float64(t-a.At)/float64(b.At-a.At)
}

// played are the moments of a file's blocks as they sound at a gain, with a curve.
func played(a *loudness.Analysis, gain float64, curve []loudness.Point) []float64 {
	const fine = 8
	powers := make([]float64, len(a.Blocks))
	for i, b := range a.Blocks {
		if b <= loudness.Silent*100 {
			continue
		}
		for k := range fine {
			t := time.Duration(i)*100*time.Millisecond + time.Duration(2*k+1)*50*time.Millisecond/fine
			powers[i] += loudness.Power(float64(b)/100+gain+at(curve, t)) / fine
		}
	}
	m := make([]float64, len(powers))
	for i := range m {
		var sum float64
		for _, p := range powers[max(0, i-3) : i+1] {
			sum += p / 4
		}
		m[i] = loudness.Level(sum)
	}
	return m
}

// wild are blocks of a file that jumps, swells, falls silent and clicks.
func wild(seed uint64, n int) []int16 {
	r := rand.New(rand.NewPCG(seed, 4))
	b := make([]int16, 0, n)
	level := -60 + 50*r.Float64()
	for len(b) < n {
		length, drift, rough := 1+int(math.Exp(r.Float64()*5)), 0.0, r.Float64()*3
		switch r.IntN(5) {
		case 0:
			level = -60 + 60*r.Float64()
		case 1:
			level += 30
		case 2:
			level -= 30
		case 3:
			drift = r.Float64()*4 - 2
		case 4:
			b = append(b, slices.Repeat([]int16{loudness.Silent * 100}, length)...)
			continue
		}
		for range length {
			level = max(-90, min(level+drift, 3))
			b = append(b, int16(100*max(-119, level+rough*r.NormFloat64())))
		}
	}
	return b[:n]
}

// entered are a file's moments after five seconds of music at the target, from which it is entered.
func entered(moments []float64, target float64) []float64 {
	return slices.Concat(slices.Repeat([]float64{target - 5}, 10), slices.Repeat([]float64{target}, 50), moments)
}

func TestCurveKeepsThePromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := loudness.Analysis{Blocks: wild(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 1500).Draw(t, "blocks"))}
		gain := rapid.Float64Range(-25, 25).Draw(t, "gain")
		target := rapid.Float64Range(-40, -14).Draw(t, "target")
		curve := loudness.Curve(&a, gain, target)
		if bare := judge.Startles(entered(played(&a, gain, nil), target), always(target)); (bare == "") != (curve == nil) {
			t.Fatalf("without a curve: %q; and the curve has %d points", bare, len(curve))
		}
		if s := judge.Startles(entered(played(&a, gain, curve), target), always(target)); s != "" {
			t.Fatal(s)
		}
		for i, p := range curve {
			if p.DB > 0 || math.IsNaN(p.DB) {
				t.Fatalf("point %v", p)
			}
			if i == 0 {
				continue
			}
			q := curve[i-1]
			if p.At <= q.At || math.Abs(p.DB-q.DB) > 3.001*(p.At-q.At).Seconds() {
				t.Fatalf("from %v to %v", q, p)
			}
		}
		if n := len(curve); n > 0 && curve[n-1].At > time.Duration(len(a.Blocks))*100*time.Millisecond {
			t.Fatalf("the curve ends at %v", curve[n-1].At)
		}
	})
}

// A jump of 30 dB in a file is met before it comes, and let go of after it: no more than the promise needs.
func TestCurveMeetsAJump(t *testing.T) {
	level := func(seconds int, lufs float64) []int16 { return slices.Repeat([]int16{int16(lufs * 100)}, seconds*10) }
	a := loudness.Analysis{Blocks: slices.Concat(level(20, -50), level(20, -20), level(20, -50))}
	curve := loudness.Curve(&a, 0, -23)
	out := played(&a, 0, curve)
	if s := judge.Startles(out, always(-23)); s != "" {
		t.Fatal(s)
	}
	for _, c := range []struct {
		at       time.Duration
		from, to float64
	}{
		{10 * time.Second, 0, 0}, {20 * time.Second, -9, -7}, {26 * time.Second, 0, 0}, {50 * time.Second, 0, 0},
	} {
		if db := at(curve, c.at); db < c.from || db > c.to {
			t.Errorf("at %v: %.2f dB, want %v to %v\n%v", c.at, db, c.from, c.to, curve)
		}
	}
	if after := slices.Max(out[200:204]); after < -28.5 || after > -27.5 {
		t.Errorf("the jump reaches %.2f LUFS, want a little under -27", after)
	}

	// A track that is only too loud as a whole is taken down as a whole.
	b := loudness.Analysis{Blocks: slices.Concat(level(3, -30), level(60, -10), level(3, -30))}
	if db := at(loudness.Curve(&b, 0, -23), 30*time.Second); math.Abs(db+7.75) > 0.5 {
		t.Errorf("a loud middle is taken down by %.2f dB, want 7.75", db)
	}
	if c := loudness.Curve(&loudness.Analysis{Blocks: level(60, -27.1)}, 0, -23); c != nil {
		t.Errorf("music that keeps the promise gets %v", c)
	}
	if c := loudness.Curve(&loudness.Analysis{}, 0, -23); c != nil {
		t.Errorf("nothing gets %v", c)
	}
}

// On sound, wherever the judge's 100 ms fall.
func TestCurveOnSound(t *testing.T) {
	rig.Arithmetic(t)
	const rate, target = 48000, -23.0
	parts := [][][2]float64{
		music(rate, 7, -45, 1), music(rate, 6, -12, 2), make([][2]float64, 6*rate), tone(rate, 1, 440, -12),
		music(rate, 8, -40, 3), clicks(rate, 3, 0), music(rate, 6, -8, 4), square(rate, 4, 300, -6),
	}
	f := slices.Concat(parts...)
	a := analysed(t, rate, f)
	const up = 3
	curve := loudness.Curve(&a, up, target)
	for i := range f {
		g := gain(up + at(curve, time.Duration(i)*time.Second/rate))
		f[i][0] *= g
		f[i][1] *= g
	}
	for _, off := range []int{0, 2400} {
		late := slices.Concat(make([][2]float64, off), f)
		// Between the blocks a moment can be a little more than on them: that is what the margin is for.
		if s := judge.Startles(judge.FFmpeg(t, rate, late).Momentary, always(target)); s != "" {
			t.Errorf("ffmpeg, %d frames later: %s", off, s)
		}
	}
}

func BenchmarkCurve(b *testing.B) {
	a := loudness.Analysis{Blocks: wild(1, 2400)}
	for b.Loop() {
		loudness.Curve(&a, 10, -23)
	}
}
