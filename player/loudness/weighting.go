// Package loudness measures sound as people hear it: ITU-R BS.1770-5 and EBU R128 (Tech 3341, 3342). It analyses
// whole files in the background, keeps the results, and finds the gain curve that keeps a file from startling.
//
// Levels are LUFS, LU or dBTP; sound is stereo frames, 1 is full scale. Mono counts as what it is played as, two equal
// channels.
package loudness

import "math"

// Weighting is the K-weighting of BS.1770-5 (annex 1) for two channels: a high shelf for the head, then a high-pass.
// The standard's coefficients are for 48 kHz; for any other rate they are derived anew, by the bilinear transform, from
// the two analogue filters behind them. The high-pass's numerator stays 1, -2, 1 at each rate, as in libebur128 and ffmpeg: at
// 8 kHz that is 0.2 dB more, about what the transform takes from the shelf at 1 kHz there. It is a value: a copy of it goes on from the same state.
type Weighting struct {
	b0, b1, b2, a1, a2 float64 // the shelf
	c1, c2             float64 // the high-pass, whose numerator is 1, -2, 1
	s, h               [2][2]float64
}

// NewWeighting is the filter at rest for a rate of 8000 to 192000 Hz.
func NewWeighting(rate int) Weighting {
	const (
		shelfHz, shelfQ = 1681.974450955533, 0.7071752369554196
		shelfDB         = 3.999843853973347
		passHz, passQ   = 38.13547087602444, 0.5003270373238773
	)
	var w Weighting
	k := math.Tan(math.Pi * shelfHz / float64(rate))
	vh := math.Pow(10, shelfDB/20)
	vb := math.Pow(vh, 0.4996667741545416)
	a0 := 1 + k/shelfQ + k*k
	p := math.Tan(math.Pi * passHz / float64(rate))
	p0 := 1 + p/passQ + p*p
	w.b0, w.b1, w.b2 = (vh+vb*k/shelfQ+k*k)/a0, 2*(k*k-vh)/a0, (vh-vb*k/shelfQ+k*k)/a0
	w.a1, w.a2 = 2*(k*k-1)/a0, (1-k/shelfQ+k*k)/a0
	w.c1, w.c2 = 2*(p*p-1)/p0, (1-p/passQ+p*p)/p0
	return w
}

// Energy filters frames and returns the sum of the squares of what comes out, of both channels.
func (w *Weighting) Energy(frames [][2]float64) float64 {
	b0, b1, b2, a1, a2, c1, c2 := w.b0, w.b1, w.b2, w.a1, w.a2, w.c1, w.c2
	s0, s1, h0, h1 := w.s[0][0], w.s[0][1], w.h[0][0], w.h[0][1]
	t0, t1, i0, i1 := w.s[1][0], w.s[1][1], w.h[1][0], w.h[1][1]
	var left, right float64
	for _, f := range frames {
		x, u := f[0], f[1]
		y, v := b0*x+s0, b0*u+t0
		s0, t0 = b1*x-a1*y+s1, b1*u-a1*v+t1
		s1, t1 = b2*x-a2*y, b2*u-a2*v
		z, q := y+h0, v+i0
		h0, i0 = h1-2*y-c1*z, i1-2*v-c1*q
		h1, i1 = y-c2*z, v-c2*q
		left += z * z
		right += q * q
	}
	w.s = [2][2]float64{{s0, s1}, {t0, t1}}
	w.h = [2][2]float64{{h0, h1}, {i0, i1}}
	w.settle()
	return left + right
}

// settle ends a decay that nobody hears: in silence the state would shrink into denormal numbers, which are slow.
func (w *Weighting) settle() {
	const least = 1e-30
	for ch := range 2 {
		for i := range 2 {
			if math.Abs(w.s[ch][i]) < least {
				w.s[ch][i] = 0
			}
			if math.Abs(w.h[ch][i]) < least {
				w.h[ch][i] = 0
			}
		}
	}
}

// Silent is the level, in LUFS, LU or dBTP, of what is too soft to have one, and of nothing at all.
const Silent = -120.0

// Level is the loudness in LUFS of a mean K-weighted power, both channels added up.
func Level(power float64) float64 {
	if !(power > 0) {
		return Silent
	}
	return max(-0.691+10*math.Log10(power), Silent)
}

// Power is the mean K-weighted power at a loudness in LUFS.
func Power(lufs float64) float64 { return math.Pow(10, (lufs+0.691)/10) }
