package loudness_test

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"roomd/player/loudness"
	"roomd/rig"
)

// sound is a stream of frames in pieces of odd sizes.
type sound struct {
	frames [][2]float64
	err    error // at the end
}

func (s *sound) Stream(samples [][2]float64) (int, bool) {
	n := copy(samples[:min(len(samples), 1000)], s.frames)
	s.frames = s.frames[n:]
	return n, n > 0
}

func (s *sound) Err() error   { return s.err }
func (s *sound) Close() error { return nil }

func analysed(t testing.TB, rate int, frames [][2]float64) loudness.Analysis {
	t.Helper()
	a, err := loudness.Analyse(t.Context(), &sound{frames: frames}, rate)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnalysis(t *testing.T) {
	const rate = 44100
	f := slices.Concat(make([][2]float64, rate), music(rate, 5, -14, 1), make([][2]float64, 2*rate+17))
	a, m := analysed(t, rate, f), measure(rate, f)
	if a.Frames != int64(len(f)) || a.Rate != rate || a.Length() != 8*time.Second+17*time.Second/rate {
		t.Errorf("%d frames at %d Hz, %v; want %d", a.Frames, a.Rate, a.Length(), len(f))
	}
	if a.Integrated != m.Integrated() || a.TruePeak != m.TruePeak() || a.Range != m.Range() || a.MaxMomentary != m.MaxMomentary() ||
		a.MaxShortTerm != m.MaxShortTerm() {
		t.Errorf("not what the meter says: %+v", a)
	}
	meter := loudness.NewMeter(rate)
	got, short := a.Momentary(), a.ShortTerm()
	if len(got) != 80 || len(short) != 80 {
		t.Fatalf("%d moments of 8 s", len(got))
	}
	for i := range got {
		meter.Write(f[i*rate/10 : (i+1)*rate/10])
		if math.Abs(got[i]-meter.Momentary()) > 0.01 || math.Abs(short[i]-meter.ShortTerm()) > 0.01 {
			t.Fatalf("at %d: momentary %v, short-term %v; the meter says %v, %v", i, got[i], short[i], meter.Momentary(), meter.ShortTerm())
		}
	}
}

func TestSilenceAtTheEdges(t *testing.T) {
	rig.Arithmetic(t)
	const rate = 48000
	silence := func(seconds, db float64) [][2]float64 { return noise(rate, seconds, db-12, 5) } // its peak is about db
	for _, c := range []struct {
		name    string
		frames  [][2]float64
		in, out float64 // s
	}{
		{"loud", slices.Concat(silence(1, -63), tone(rate, 2, 440, -10), silence(1.5, -63)), 1, 1.5},
		{"loud with soft ends", slices.Concat(silence(1, -50), tone(rate, 2, 440, -10), silence(1.5, -50)), 0, 0},
		{"soft", slices.Concat(silence(1, -63), tone(rate, 20, 440, -45), silence(1.5, -63)), 0, 0},
		{"soft with silence", slices.Concat(make([][2]float64, rate), tone(rate, 20, 440, -45), silence(1.5, -95)), 1, 1.5},
		{"click", slices.Concat(make([][2]float64, rate), clicks(rate, 0.4, 0), make([][2]float64, rate)), 1.333, 1.066},
		{"only silence", make([][2]float64, 3*rate), 3, 0},
		{"only whispers", silence(2, -70), 0, 0},
		{"nothing", nil, 0, 0},
	} {
		a := analysed(t, rate, c.frames)
		if math.Abs(a.LeadIn.Seconds()-c.in) > 0.002 || math.Abs(a.LeadOut.Seconds()-c.out) > 0.002 {
			t.Errorf("%s: silence of %v and %v, want %v s and %v s", c.name, a.LeadIn, a.LeadOut, c.in, c.out)
		}
	}
}

type endless struct{ sound }

func (endless) Stream([][2]float64) (int, bool) { return 0, true }

func TestDamagedStreams(t *testing.T) {
	broke := errors.New("broke off")
	a, err := loudness.Analyse(t.Context(), &sound{tone(8000, 2, 440, -20), broke}, 8000)
	if !errors.Is(err, broke) || !a.Damaged || a.Frames != 16000 || math.Abs(a.Integrated+20) > 1 {
		t.Errorf("a stream that breaks off: %v, %+v", err, a)
	}
	f := tone(8000, 2, 440, -20)
	f[12000][1] = math.NaN()
	a, err = loudness.Analyse(t.Context(), &sound{f, nil}, 8000)
	if err == nil || !a.Damaged || a.Frames != 12000 && a.Frames > 12000 || math.IsNaN(a.Integrated) {
		t.Errorf("a stream with NaN: %v, %+v", err, a)
	}
	if _, err = loudness.Analyse(t.Context(), &endless{}, 8000); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a stream that gives nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = loudness.Analyse(ctx, &endless{}, 8000); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
