package player

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"roomd/player/loudness"
	"roomd/rig"
)

// wild is a source that does all that startles: bursts of full scale out of near silence, clicks, squares whose true
// peak is over full scale, noise that jumps by 30 dB.
type wild struct {
	r    *rand.Rand
	left int
	amp  float64
	kind int
	n    int
}

func (w *wild) TryStream(s [][2]float64) (int, bool) { return w.Stream(s) }
func (w *wild) Err() error                           { return nil }
func (w *wild) Close() error                         { return nil }
func (w *wild) Stream(s [][2]float64) (int, bool) {
	for i := range s {
		if w.left == 0 {
			w.left = w.r.IntN(48000) + 1
			w.kind = w.r.IntN(4)
			w.amp = math.Pow(10, -w.r.Float64()*2.5)
			if w.r.IntN(3) == 0 {
				w.amp = 1
			}
		}
		w.left--
		w.n++
		v := 0.0
		switch w.kind {
		case 0:
			v = w.amp * (2*w.r.Float64() - 1)
		case 1: // a square at a quarter of the rate, between whose samples the peak is 3 dB higher
			v = w.amp * []float64{1, 1, -1, -1}[w.n%4]
		case 2:
			v = w.amp * math.Sin(float64(w.n)*0.06)
		case 3:
			if w.n%9600 == 0 {
				v = 1
			}
		}
		s[i] = [2]float64{v, v}
	}
	return len(s), true
}

// TestNothingStartles holds promise 1 on what leaves a render, whatever the files hold and however wrong their gains.
func TestNothingStartles(t *testing.T) {
	rig.Arithmetic(t)
	const target = -23.0
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		score := Score{Cover: "drone", Levels: []Level{{0, target}, {30 * time.Second, target - 6}}, End: time.Minute}
		for at := time.Duration(0); at < time.Minute; at += 10 * time.Second {
			score.Clips = append(score.Clips, Clip{ID: at.String(), File: "wild", Start: at, End: at + 12*time.Second,
				FadeIn: 2 * time.Second, FadeOut: 2 * time.Second, Gain: r.Float64()*30 - 15})
		}
		var opened atomic.Uint64
		open := func(context.Context, string, time.Duration, int) (Source, error) {
			return &wild{r: rand.New(rand.NewPCG(seed, opened.Add(1)))}, nil
		}
		m := loudness.NewMeter(48000)
		var moments []float64
		held := make([][2]float64, 0, 4800)
		err := Render(t.Context(), score, Options{Rate: 48000, Open: open}, 0, time.Minute, func(b [][2]float64) error {
			for _, f := range b {
				if held = append(held, f); len(held) == cap(held) {
					m.Write(held)
					moments = append(moments, m.Momentary())
					held = held[:0]
				}
			}
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(moments) != 600 {
			t.Fatalf("%d moments", len(moments))
		}
		if p := m.TruePeak(); p > -1 {
			t.Errorf("seed %d: true peak %.2f dBTP", seed, p)
		}
		loudest := -100.0
		for i, l := range moments {
			aim := target
			if i >= 300 {
				aim -= 6
			}
			before := aim - 12
			for _, b := range moments[max(0, i-50):i] {
				before = max(before, b)
			}
			if l > aim+6 {
				t.Errorf("seed %d: %.1f LUFS at %.1f s, %.1f over the target", seed, l, float64(i)/10, l-aim)
			}
			if l > before+8 {
				t.Errorf("seed %d: %.1f LUFS at %.1f s, %.1f over what was before", seed, l, float64(i)/10, l-before)
			}
			loudest = max(loudest, l)
		}
		if loudest < target {
			t.Errorf("seed %d: nothing over %.1f LUFS was let through: no music would sound", seed, loudest)
		}
	}
}
