package player

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"roomd/player/loudness"
	"roomd/rig"
	"roomd/rig/judge"
)

var places = flag.Int("places", 60, "of clicks, DC and infrasound in TestNothingSuddenStartles")

// scratched is quiet music with one damaged place in it.
type scratched struct {
	place int // frame of the next
	from  int // of the damage
	r     *rand.Rand
	music func(i int) float64
	kind  int
	long  int // frames of the damage
	top   float64
}

var damages = []string{"click", "burst of noise", "burst of a tone", "DC", "infrasound", "no numbers", "a step", "one frame"}

func (w *scratched) Stream(s [][2]float64) (int, bool) {
	for i := range s {
		v := w.music(w.place)
		if d := w.place - w.from; d >= 0 && d < w.long {
			switch damages[w.kind] {
			case "click":
				v = w.top
			case "burst of noise":
				v = w.top * (2*w.r.Float64() - 1)
			case "burst of a tone":
				v = w.top * math.Sin(float64(d)*0.1)
			case "DC":
				v = min(v+w.top, 1)
			case "infrasound":
				v += w.top * math.Sin(2*math.Pi*float64(d)/48000*(0.5+14.5*float64(w.from%7)/6))
			case "no numbers":
				v = math.NaN()
			case "a step":
				v = math.Copysign(w.top, float64(d%200)-100)
			case "one frame":
				if d == 0 {
					v = -w.top
				}
			}
		}
		s[i] = [2]float64{v, 0.8 * v}
		w.place++
	}
	return len(s), true
}

func (w *scratched) TryStream(s [][2]float64) (int, bool) { return w.Stream(s) }
func (w *scratched) Err() error                           { return nil }
func (w *scratched) Close() error                         { return nil }

// TestNothingSuddenStartles holds promise 1 for what is too short for a loudness, and for what is not heard but moves the
// loudspeaker: damage of 0.1 to 50 ms, DC and infrasound, at random places of quiet music, judged on the render.
func TestNothingSuddenStartles(t *testing.T) {
	rig.Arithmetic(t)
	const target = -23.0
	for seed := range uint64(*places) {
		r := rand.New(rand.NewPCG(seed, 11))
		quiet := linear(-37 + 10*r.Float64())
		hz := 80 + 600*r.Float64()
		w := &scratched{r: r, from: 48000*6 + r.IntN(48000*2), kind: int(seed) % len(damages), top: 0.2 + 0.79*r.Float64(),
			long: int(48 * math.Pow(10, r.Float64()*2.7-1)),
			music: func(i int) float64 {
				return quiet * math.Sin(2*math.Pi*hz*float64(i)/48000) * (0.7 + 0.3*math.Sin(float64(i)/20000))
			}}
		if k := damages[w.kind]; k == "DC" || k == "infrasound" {
			w.long = 48000 * 3
		}
		name := fmt.Sprintf("seed %d: %s of %d frames at %.2f, music at %.0f dBFS", seed, damages[w.kind], w.long, w.top, 20*math.Log10(quiet))
		score := Score{Cover: "drone", Levels: []Level{{0, target}}, End: 12 * time.Second, Clips: []Clip{{ID: "a", File: "a", End: 20 * time.Second, FadeIn: time.Second}}}
		var heard [][2]float64
		err := Render(t.Context(), score, Options{Rate: 48000, Open: func(context.Context, string, time.Duration, int) (Source, error) { return w, nil }},
			0, score.End, func(b [][2]float64) error { heard = append(heard, b...); return nil }, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s := judge.Impulses(48000, heard, func(int) float64 { return target }); s != "" {
			t.Errorf("%s: %s (damaged at %.2f s)", name, s, float64(w.from)/48000)
		}
		// A second later the music is what it was.
		if damages[w.kind] == "no numbers" {
			continue // the bed has it covered
		}
		for i := w.from + w.long + 48000*5/2; i < 48000*19/2 && i < len(heard); i += 101 {
			if want := w.music(i); math.Abs(heard[i][0]-want) > 0.02*quiet {
				t.Errorf("%s: %.4f at %.2f s, the music is %.4f", name, heard[i][0], float64(i)/48000, want)
				break
			}
		}
	}
}

// TestGuardLeavesTonesAlone holds that nothing which is heard is taken for infrasound: loud tones from 20 Hz up go through with
// their very bits. Below 15 Hz they do not.
func TestGuardLeavesTonesAlone(t *testing.T) {
	rig.Arithmetic(t)
	const rate = 48000
	for _, hz := range []float64{0.7, 5, 10, 20, 24, 31, 41, 100, 195, 198, 203, 205, 210, 398, 403, 1000} {
		f := make([][2]float64, 4*rate)
		for i := range f {
			s := 0.7 * math.Sin(2*math.Pi*hz*float64(i)/rate) * min(1, float64(i)/float64(2*rate), float64(len(f)-i)/float64(rate/2))
			f[i] = [2]float64{s, s}
		}
		out := guarded(NewGuard(rate, 10, 20), f, 1)
		changed := -1
		for i := range f {
			if out[i] != f[i] {
				changed = i
				break
			}
		}
		if (changed >= 0) != (hz < 15) {
			t.Errorf("%v Hz: the first frame that is changed is %d", hz, changed)
		}
		if peak := 20 * math.Log10(loudness.Peak(out[3*rate:])); hz < 15 && peak > -9 {
			t.Errorf("%v Hz: %.1f dBFS pass", hz, peak)
		}
	}
}
