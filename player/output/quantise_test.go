package output

import (
	"math"
	"math/rand/v2"
	"testing"

	"roomd/rig"
)

func TestRoundsToNearestAndNeverWraps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	in := [][2]float64{{1, -1}, {2, -2}, {math.Inf(1), math.Inf(-1)}, {math.NaN(), 0}, {0.99999999999, -0.99999999999}}
	for range 20000 {
		in = append(in, [2]float64{random.Float64()*2.2 - 1.1, random.NormFloat64()})
	}
	for _, f := range []format{s32, s243, s24, s16} {
		q := newQuantiser(f)
		raw := make([]byte, len(in)*q.frame())
		if n := q.encode(raw, in); n != len(raw) {
			t.Fatalf("%s: %d bytes of %d", f.name, n, len(raw))
		}
		if f == s24 { // the same three bytes, and the sign in the fourth
			packed := raw[:0]
			for i := 0; i < len(raw); i += 4 {
				if sign := byte(int8(raw[i+2]) >> 7); raw[i+3] != sign {
					t.Fatalf("byte %d: % x", i, raw[i:i+4])
				}
				packed = append(packed, raw[i], raw[i+1], raw[i+2])
			}
			raw = packed
		}
		step := math.Ldexp(1, 1-f.bits)
		allowed := step / 2
		if f == s16 {
			allowed = 1.5 * step // with dither
		}
		for i, out := range rig.Frames(raw, f.bits) {
			for ch, got := range out {
				x := in[i][ch]
				want := min(max(x, -1), 1-step)
				if x != x {
					want = 0
				}
				if d := math.Abs(got - want); d > allowed {
					t.Fatalf("%s: %v became %v, %g steps away", f.name, x, got, d/step)
				}
			}
		}
	}
}

// A tone of a third of a 16-bit step would vanish by rounding; with dither it is there, unmodulated, above noise of
// constant power.
func TestDitherKeepsWhatIsSmallerThanAStep(t *testing.T) {
	const n, step = 1 << 17, 1.0 / (1 << 15)
	in := make([][2]float64, n)
	for i := range in {
		in[i][0] = step / 3 * math.Sin(2*math.Pi*1000*float64(i)/48000)
		in[i][1] = step * (0.5 + 1e-9)
	}
	q := newQuantiser(s16)
	raw := make([]byte, n*q.frame())
	q.encode(raw, in)
	var tone, mean, power float64
	out := rig.Frames(raw, 16)
	for i, f := range out {
		tone += 2 * f[0] * math.Sin(2*math.Pi*1000*float64(i)/48000) / n
		mean += f[1] / n
		e := f[0] - in[i][0]
		power += e * e / n
	}
	if math.Abs(tone/step-1.0/3) > 0.01 || math.Abs(mean/step-0.5) > 0.01 {
		t.Errorf("tone of %.3f steps, level of %.3f", tone/step, mean/step)
	}
	// Rounding 1/12, dither 1/6: together a quarter of a step's square, whatever the sound.
	if p := power / step / step; math.Abs(p-0.25) > 0.01 {
		t.Errorf("noise power %.3f", p)
	}
}

func TestDigitalSilenceStaysSilent(t *testing.T) {
	q := newQuantiser(s16)
	raw := make([]byte, 4000)
	raw[17] = 1
	q.encode(raw, make([][2]float64, 1000))
	for i, b := range raw {
		if b != 0 {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
}

func BenchmarkQuantise(b *testing.B) {
	for _, f := range []format{s32, s243, s16} {
		b.Run(f.name, func(b *testing.B) {
			q := newQuantiser(f)
			block := make([][2]float64, 960)
			for i := range block {
				block[i] = count(i * 1000)
			}
			raw := make([]byte, len(block)*q.frame())
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				q.encode(raw, block)
			}
		})
	}
}
