package decode

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"roomd/rig"
)

// tone is n frames of a sine of amplitude 1 on the left, and its half on the right.
func tone(hz float64, rate, n int) [][2]float32 {
	f := make([][2]float32, n)
	for i := range f {
		v := math.Sin(2 * math.Pi * hz * float64(i) / float64(rate))
		f[i] = [2]float32{float32(v), float32(v / 2)}
	}
	return f
}

func resampled(in, out int, f [][2]float32, block int) [][2]float32 {
	r := newResampler(in, out)
	var got [][2]float32
	for b := range slices.Chunk(f, block) {
		got = append(got, r.push(b)...)
	}
	return append(got, r.flush()...)
}

// part splits a sound into the sine of a frequency and the rest: both in dB of a sine of amplitude 1. The ends, where
// the filter starts and stops, are left out.
func part(f [][2]float32, hz float64, rate int) (sine, rest float64) {
	f = f[500 : len(f)-500]
	var ss, sc, cc, xs, xc float64
	at := func(i int) (float64, float64) { return math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate)) }
	for i, v := range f {
		s, c := at(i)
		ss, sc, cc = ss+s*s, sc+s*c, cc+c*c
		xs, xc = xs+s*float64(v[0]), xc+c*float64(v[0])
	}
	det := ss*cc - sc*sc
	a, b := (xs*cc-xc*sc)/det, (xc*ss-xs*sc)/det
	sum := 0.0
	for i, v := range f {
		s, c := at(i)
		e := float64(v[0]) - a*s - b*c
		sum += e * e
	}
	return 20 * math.Log10(math.Hypot(a, b)+1e-12), 10 * math.Log10(2*sum/float64(len(f))+1e-24)
}

// A sine that is swept over all that the input can hold comes out alone: its images and aliases stay 90 dB below it, up
// to 18 kHz (or the same share of a lower rate) it keeps its level, and above the output's half rate nothing is left.
func TestSweptSineComesOutAlone(t *testing.T) {
	for _, r := range [][2]int{{44100, 48000}, {48000, 44100}, {96000, 48000}, {96000, 44100}, {192000, 48000}, {22050, 48000}, {8000, 44100}, {44056, 48000}} {
		in, out := r[0], r[1]
		low := float64(min(in, out))
		flat, half := 18000/44100.0*low, low/2
		dip, worst, alias := 0.0, -200.0, -200.0
		for k := range 19 {
			hz := (float64(k) + 0.5) / 19 * float64(in) / 2 * 0.9999
			got := resampled(in, out, tone(hz, in, in/20+1500*in/out+1500), 1000)
			if hz < half {
				sine, rest := part(got, hz, out)
				worst = max(worst, rest)
				if hz <= flat {
					dip = max(dip, math.Abs(sine))
				}
			} else {
				_, rest := part(got, 1, out)
				alias = max(alias, rest)
			}
		}
		t.Logf("%d to %d: flat within %.3f dB, images %.1f dB, aliases %.1f dB", in, out, dip, worst, alias)
		if dip > 0.5 || worst > -90 || alias > -90 {
			t.Errorf("%d to %d: flat within %.2f dB (want 0.5), images %.1f dB, aliases %.1f dB (want -90)", in, out, dip, worst, alias)
		}
	}
}

func TestResamplerKeepsTimeAndLength(t *testing.T) {
	for _, r := range [][2]int{{44100, 48000}, {48000, 44100}, {96000, 44100}, {8000, 48000}, {44056, 48000}} {
		in, out := r[0], r[1]
		for _, n := range []int{1, 2, 100, 4410, 10007} {
			f := tone(float64(in)/40, in, n)
			a := resampled(in, out, f, 1000)
			if want := (n*out + in - 1) / in; len(a) != want {
				t.Errorf("%d to %d: %d frames of %d, want %d", in, out, len(a), n, want)
			}
			if b := resampled(in, out, f, 7); !slices.Equal(a, b) {
				t.Errorf("%d to %d: blocks of 7 frames give another sound than blocks of 1000", in, out)
			}
			for i := 400; i < len(a)-400; i++ { // no delay: frame i lies at i/out seconds
				want := math.Sin(2 * math.Pi * float64(i) * float64(in) / 40 / float64(out))
				if math.Abs(float64(a[i][0])-want) > 1e-4 || math.Abs(float64(a[i][1])-want/2) > 1e-4 {
					t.Fatalf("%d to %d: frame %d is %v, want %.5f", in, out, i, a[i], want)
				}
			}
		}
	}
}

func BenchmarkResample(b *testing.B) {
	for _, r := range [][2]int{{44100, 48000}, {48000, 44100}, {96000, 48000}} {
		b.Run(fmt.Sprintf("%d-%d", r[0], r[1]), func(b *testing.B) {
			f := tone(1000, r[0], r[0]) // 1 s
			re := newResampler(r[0], r[1])
			for b.Loop() {
				re.push(f)
			}
			b.ReportMetric(60*float64(b.Elapsed().Seconds())/float64(b.N), "s/min")
		})
	}
}

// The same of the other way, with ffmpeg's resampler at the setting that is used.
func TestSweptSineComesOutAloneOfFFmpeg(t *testing.T) {
	rig.OnlyBars(t)
	rig.Arithmetic(t)
	t.Parallel()
	dir := t.TempDir()
	for _, r := range [][2]int{{44100, 48000}, {48000, 44100}, {96000, 48000}} {
		in, out := r[0], r[1]
		dip, worst, alias := 0.0, -200.0, -200.0
		for k := range 9 {
			hz := math.Round((float64(k) + 0.5) / 9 * float64(in) / 2)
			path := filepath.Join(dir, fmt.Sprint(in, "-", k, ".wav"))
			ffmpeg(t, "-f", "lavfi", "-i", fmt.Sprintf("aevalsrc='sin(2*PI*%g*t)|sin(2*PI*%g*t)':s=%d:d=1", hz, hz, in), "-c:a", "pcm_f32le", path)
			whole := mustAll(t, path, Options{Rate: out})
			got := make([][2]float32, 0, len(whole))
			for _, f := range whole[out/10 : len(whole)-out/10] { // the edges of the sine are no sine
				got = append(got, [2]float32{float32(f[0]), float32(f[1])})
			}
			sine, rest := part(got, hz, out)
			switch half := float64(min(in, out)) / 2; {
			case hz <= 18000:
				dip, worst = max(dip, math.Abs(sine)), max(worst, rest)
			case hz > half:
				_, rest = part(got, 1, out)
				alias = max(alias, rest)
			}
		}
		t.Logf("%d to %d: flat within %.3f dB, images %.1f dB, aliases %.1f dB", in, out, dip, worst, alias)
		if dip > 0.5 || worst > -90 || alias > -90 {
			t.Errorf("%d to %d: flat within %.2f dB (want 0.5), images %.1f dB, aliases %.1f dB (want -90)", in, out, dip, worst, alias)
		}
	}
}
