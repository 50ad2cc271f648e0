package player

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func render(t testing.TB, s Score, from, to time.Duration) ([][2]float64, []Event) {
	t.Helper()
	var all [][2]float64
	var happened []Event
	tapes := shelf{"a": long(time.Hour), "short": long(7 * time.Second)}
	err := Render(t.Context(), s, Options{bare: true, Rate: rate, Open: tapes.open}, from, to, func(b [][2]float64) error {
		all = append(all, b...)
		return nil
	}, func(e Event) { happened = append(happened, e) })
	if err != nil {
		t.Fatal(err)
	}
	return all, happened
}

var longScore = Score{Cover: "drone", Seed: 5, End: time.Minute, Levels: []Level{{0, -25}}, Clips: []Clip{
	{ID: "a", File: "a", End: 20 * time.Second, FadeIn: 3 * time.Second, FadeOut: 4 * time.Second, Gain: -3.3},
	{ID: "b", Bed: "rain", Start: 16 * time.Second, End: 30 * time.Second, FadeIn: 4 * time.Second, FadeOut: 2 * time.Second},
	{ID: "c", File: "short", Start: 28 * time.Second, End: 40 * time.Second, FadeIn: 2 * time.Second, FadeOut: 2 * time.Second},
	{ID: "d", File: "missing", Start: 38 * time.Second, End: 50 * time.Second, FadeIn: 2 * time.Second, FadeOut: time.Second},
	{ID: "e", File: "a", Start: 52*time.Second + 1, End: 2 * time.Minute},
}}

func TestARenderIsTheSameEachTimeAndToTheFrame(t *testing.T) {
	one, happened := render(t, longScore, 0, time.Minute)
	two, _ := render(t, longScore, 0, time.Minute)
	if len(one) != 60*rate || !slices.Equal(one, two) {
		t.Fatalf("%d and %d frames, the same: %v", len(one), len(two), slices.Equal(one, two))
	}
	var kinds []string
	for _, e := range happened {
		kinds = append(kinds, string(e.Kind)+" "+e.Clip)
	}
	slices.Sort(kinds)
	want := []string{"clip failed d", "clip short c", "clip started a", "clip started b", "clip started c", "clip started e"}
	if !slices.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
	for _, at := range []time.Duration{36 * time.Second, 45 * time.Second} {
		if l := rms(one[frames(at, rate):][:rate]); l < 0.01 {
			t.Errorf("level %.4f at %v, want the bed that covers", l, at)
		}
	}
	if quiet := one[50*rate+1 : 52*rate]; rms(quiet) != 0 {
		t.Error("the planned pause is not silent")
	}
	// The first frame of the last clip is where it belongs.
	if one[52*rate] != [2]float64{0, 1} || one[52*rate-1] != [2]float64{} {
		t.Errorf("%v, %v at the last clip's start", one[52*rate-1], one[52*rate])
	}
}

// A part of a render is that part of the whole.
func TestARenderOfAPart(t *testing.T) {
	whole, _ := render(t, longScore, 0, time.Minute)
	from := 17*time.Second + 123*time.Millisecond
	part, _ := render(t, longScore, from, 33*time.Second)
	for i, s := range part {
		w := whole[frames(from, rate)+int64(i)]
		if d := max(s[0]-w[0], w[0]-s[0], s[1]-w[1], w[1]-s[1]); d > 1e-9 {
			t.Fatalf("frame %d of the part is %v, of the whole %v", i, s, w)
		}
	}
}

// What keeps the promise goes through the guard with its very bits, and at its very frames.
func TestTheGuardLeavesSoftMusicAsItIs(t *testing.T) {
	s := Score{Clips: []Clip{{ID: "a", Bed: "ocean", Start: time.Second, End: 20 * time.Second, FadeIn: 3 * time.Second, FadeOut: 4 * time.Second, Gain: -10}}}
	bare, _ := render(t, s, 0, 21*time.Second)
	var guarded [][2]float64
	err := Render(t.Context(), s, Options{Rate: rate}, 0, 21*time.Second, func(b [][2]float64) error {
		guarded = append(guarded, b...)
		return nil
	}, nil)
	if err != nil || len(guarded) != len(bare) {
		t.Fatalf("%v, %d frames, want %d", err, len(guarded), len(bare))
	}
	for i := range bare {
		if bare[i] != guarded[i] {
			t.Fatalf("frame %d is %v, want %v", i, guarded[i], bare[i])
		}
	}
}

func TestARenderEndsWhereItsSinkFails(t *testing.T) {
	full := errors.New("disk full")
	n := 0
	err := Render(t.Context(), longScore, Options{bare: true, Rate: rate, Open: shelf{"a": long(time.Hour)}.open}, 0, time.Hour, func([][2]float64) error {
		if n++; n == 3 {
			return full
		}
		return nil
	}, nil)
	if !errors.Is(err, full) || n != 3 {
		t.Errorf("%v after %d blocks", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Render(ctx, longScore, Options{bare: true, Rate: rate, Open: shelf{"a": long(time.Hour)}.open}, 0, time.Hour, func([][2]float64) error {
		cancel()
		return nil
	}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want a cancelled render", err)
	}
}

func TestCues(t *testing.T) {
	cues := Cues(longScore, rate, []Event{{Kind: ClipShort, Clip: "c", At: 35 * time.Second, Detail: "why"}, {Kind: ClipStarted, Clip: "a"}})
	var got []string
	for _, c := range cues {
		got = append(got, c.At.String()+" "+c.Kind+" "+c.Clip)
		if frames(c.At, rate) != c.Frame {
			t.Errorf("%+v", c)
		}
	}
	want := []string{"0s start a", "16s fade out a", "16s start b", "20s end a", "28s fade out b", "28s start c", "30s end b", "35s clip short c",
		"38s fade out c", "38s start d", "40s end c", "49s fade out d", "50s end d", "52s start e", "57s fade out e", "1m0s end e", "1m0s score end "}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// BenchmarkRender tells how much faster than time a session of beds that cross is rendered.
func BenchmarkRender(b *testing.B) {
	const minutes = 10
	s := Score{Seed: 1}
	for i := range minutes {
		at := time.Duration(i) * time.Minute
		s.Clips = append(s.Clips, Clip{ID: at.String(), Bed: []string{"drone", "ocean", "rain"}[i%3], Start: at, End: at + 70*time.Second, FadeIn: 10 * time.Second, FadeOut: 10 * time.Second})
	}
	for b.Loop() {
		err := Render(b.Context(), s, Options{Rate: 48000}, 0, minutes*time.Minute, func([][2]float64) error { return nil }, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(minutes*60*float64(b.N)/b.Elapsed().Seconds(), "x_real_time")
}
