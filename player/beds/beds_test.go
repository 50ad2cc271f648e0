package beds

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"roomd/player/loudness"
	"roomd/rig"
)

const rate = 48000

func open(t testing.TB, name string, seed uint64, from time.Duration) Bed {
	t.Helper()
	b, err := New(name, seed, rate, from)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLevel holds what the player counts on: each bed, whatever its seed and place, sounds at -23 LUFS, no moment of
// it startles, and its peaks are far from full scale.
func TestLevel(t *testing.T) {
	rig.Arithmetic(t)
	for _, name := range Names {
		for seed := range uint64(2) {
			bed := open(t, name, seed, time.Duration(seed)*90*time.Minute)
			m := loudness.NewMeter(rate)
			block := make([][2]float64, rate/10)
			var loudest []float64
			for n := range 1200 { // two minutes
				bed.Fill(block)
				m.Write(block)
				if n < 4 {
					continue
				}
				now := m.Momentary()
				before := -35.0
				for _, b := range loudest[max(0, len(loudest)-50):] {
					before = max(before, b)
				}
				if now > -18 || len(loudest) > 0 && now > before+8 || now < -33 {
					t.Errorf("%s, seed %d: %.1f LUFS at %.1f s, after %.1f at the most", name, seed, now, float64(n)/10, before)
				}
				loudest = append(loudest, now)
			}
			if i := m.Integrated(); math.Abs(i+23) > 1 {
				t.Errorf("%s, seed %d: %.1f LUFS, wanted -23", name, seed, i)
			}
			if p := m.TruePeak(); p > -7 {
				t.Errorf("%s, seed %d: true peak %.1f dBTP", name, seed, p)
			}
			t.Logf("%s, seed %d: %.1f LUFS, at most %.1f, %.1f dBTP, range %.1f LU", name, seed, m.Integrated(), m.MaxMomentary(), m.TruePeak(), m.Range())
		}
	}
}

// TestIntensity holds that a bed is as loud at each intensity, that no moment of it startles, and that it grows brighter and moves faster
// from one to the next. At 3 it is the bed as it always was.
func TestIntensity(t *testing.T) {
	rig.Arithmetic(t)
	for _, name := range Names {
		var bright [6]float64
		for i := 1; i <= 5; i++ {
			bed, err := At(name, float64(i), 5, rate, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			m := loudness.NewMeter(rate)
			block := make([][2]float64, rate/10)
			var loudest []float64
			startles := ""
			var rough, power float64
			for n := range 1800 {
				bed.Fill(block)
				m.Write(block)
				for k := 1; k < len(block); k++ {
					d := block[k][0] - block[k-1][0]
					rough += d * d
					power += block[k][0] * block[k][0]
				}
				if n < 4 {
					continue
				}
				now, before := m.Momentary(), -35.0
				for _, b := range loudest[max(0, len(loudest)-50):] {
					before = max(before, b)
				}
				if startles == "" && (now > -18 || len(loudest) > 0 && now > before+8 || now < -33) {
					startles = fmt.Sprintf("%.1f LUFS at %.1f s, after %.1f at the most", now, float64(n)/10, before)
				}
				loudest = append(loudest, now)
			}
			if startles != "" {
				t.Errorf("%s at %d: %s", name, i, startles)
			}
			bright[i] = rough / power
			if lufs := m.Integrated(); math.Abs(lufs+23) > 1 {
				t.Errorf("%s at %d: %.1f LUFS, wanted -23", name, i, lufs)
			}
			if p := m.TruePeak(); p > -7 {
				t.Errorf("%s at %d: true peak %.1f dBTP", name, i, p)
			}
			if i > 1 && bright[i] < 1.1*bright[i-1] {
				t.Errorf("%s is as bright at %d (%.2g) as at %d (%.2g)", name, i, bright[i], i-1, bright[i-1])
			}
			t.Logf("%s at %d: %.2f LUFS, at most %.1f, %.1f dBTP, brightness %.3g", name, i, m.Integrated(), m.MaxMomentary(), m.TruePeak(), bright[i])
		}
		for _, same := range []float64{0, 3} {
			a, b := make([][2]float64, rate), make([][2]float64, rate)
			open(t, name, 1, time.Minute).Fill(a)
			bed, _ := At(name, same, 1, rate, time.Minute)
			if bed.Fill(b); !slices.Equal(a, b) {
				t.Errorf("%s at %g is not the bed as it was", name, same)
			}
		}
	}
}

// TestPlace: a bed that is entered anywhere sounds as if it had always been there, so that a restart goes on where it was.
func TestPlace(t *testing.T) {
	rig.Arithmetic(t)
	const from = 37*time.Second + 123*time.Millisecond
	for _, name := range Names {
		a := open(t, name, 7, 0)
		skip := make([][2]float64, int(math.Round(from.Seconds()*rate)))
		a.Fill(skip)
		b := open(t, name, 7, from)
		x, y := make([][2]float64, 2*rate), make([][2]float64, 2*rate)
		a.Fill(x)
		b.Fill(y)
		var diff, sum float64
		for i := range x {
			d := x[i][0] - y[i][0]
			diff += d * d
			sum += x[i][0] * x[i][0]
		}
		if db := 10 * math.Log10(diff/sum+1e-20); db > -150 {
			t.Errorf("%s entered at %v differs by %.1f dB", name, from, db)
		}
	}
}

// TestNeverTheSameMinuteTwice: other minutes and other seeds are other sounds; the same seed is the same.
func TestNeverTheSameMinuteTwice(t *testing.T) {
	take := func(name string, seed uint64, from time.Duration) [][2]float64 {
		s := make([][2]float64, 4*rate)
		open(t, name, seed, from).Fill(s)
		return s
	}
	alike := func(a, b [][2]float64) float64 {
		var ab, aa, bb float64
		for i := range a {
			ab += a[i][0] * b[i][0]
			aa += a[i][0] * a[i][0]
			bb += b[i][0] * b[i][0]
		}
		return math.Abs(ab) / math.Sqrt(aa*bb)
	}
	for _, name := range Names {
		first := take(name, 1, time.Minute)
		if c := alike(first, take(name, 1, time.Minute)); c < 1-1e-12 {
			t.Errorf("%s: the same place is another sound (%.4f)", name, c)
		}
		for _, from := range []time.Duration{2 * time.Minute, 61 * time.Minute, 3 * time.Hour} {
			if c := alike(first, take(name, 1, from)); c > 0.5 {
				t.Errorf("%s: the sound at %v is that of the first minute (%.2f)", name, from, c)
			}
		}
		if c := alike(first, take(name, 2, time.Minute)); c > 0.5 {
			t.Errorf("%s: another seed is the same sound (%.2f)", name, c)
		}
	}
}

// TestRates: the level is the same at every rate that a session may have.
func TestRates(t *testing.T) {
	rig.Arithmetic(t)
	for _, name := range Names {
		for _, rate := range []int{44100, 96000} {
			bed, err := New(name, 3, rate, 0)
			if err != nil {
				t.Fatal(err)
			}
			m := loudness.NewMeter(rate)
			block := make([][2]float64, rate/10)
			for range 300 {
				bed.Fill(block)
				m.Write(block)
			}
			if i := m.Integrated(); math.Abs(i+23) > 1.5 {
				t.Errorf("%s at %d Hz: %.1f LUFS, wanted -23", name, rate, i)
			}
		}
	}
}

// TestFillAllocatesNothing: a bed is played by the loop that must not wait.
func TestFillAllocatesNothing(t *testing.T) {
	for _, name := range Names {
		bed, block := open(t, name, 1, 0), make([][2]float64, 2000)
		if n := testing.AllocsPerRun(50, func() { bed.Fill(block) }); n != 0 {
			t.Errorf("%s: %.1f allocations a block", name, n)
		}
	}
}

func TestUnknownBed(t *testing.T) {
	if _, err := New("thunder", 1, rate, 0); err == nil {
		t.Error("there is a bed called thunder")
	}
}

func BenchmarkFill(b *testing.B) {
	for _, name := range Names {
		b.Run(name, func(b *testing.B) {
			bed := open(b, name, 1, 0)
			block := make([][2]float64, rate/10)
			for b.Loop() {
				bed.Fill(block)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(block)), "ns/frame")
		})
	}
}
