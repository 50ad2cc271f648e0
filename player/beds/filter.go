package beds

import "math"

// pole is the factor of a one-pole low-pass (6 dB an octave) at f Hz: y += pole*(x-y).
func pole(f, rate float64) float64 { return 1 - math.Exp(-2*math.Pi*min(f, 0.45*rate)/rate) }

// biquad is a second-order filter for two ears.
type biquad struct {
	b0, b1, b2, a1, a2 float64
	l1, l2, r1, r2     float64 // transposed direct form II
}

func (q *biquad) frame(l, r float64) (float64, float64) {
	x, y := q.b0*l+q.l1, q.b0*r+q.r1
	q.l1, q.l2 = q.b1*l-q.a1*x+q.l2, q.b2*l-q.a2*x
	q.r1, q.r2 = q.b1*r-q.a1*y+q.r2, q.b2*r-q.a2*y
	return x, y
}

// highpass is a Butterworth high-pass at f Hz.
func highpass(f, rate float64) biquad {
	s, c := math.Sincos(2 * math.Pi * f / rate)
	alpha := s / math.Sqrt2
	a0 := 1 + alpha
	return biquad{b0: (1 + c) / 2 / a0, b1: -(1 + c) / a0, b2: (1 + c) / 2 / a0, a1: -2 * c / a0, a2: (1 - alpha) / a0}
}

// lowpass is a Butterworth low-pass at f Hz.
func lowpass(f, rate float64) biquad {
	s, c := math.Sincos(2 * math.Pi * min(f, 0.45*rate) / rate)
	alpha := s / math.Sqrt2
	a0 := 1 + alpha
	return biquad{b0: (1 - c) / 2 / a0, b1: (1 - c) / a0, b2: (1 - c) / 2 / a0, a1: -2 * c / a0, a2: (1 - alpha) / a0}
}

// bandpass has its peak of 1 at f Hz; q is f over its width.
func bandpass(f, q, rate float64) biquad {
	s, c := math.Sincos(2 * math.Pi * min(f, 0.45*rate) / rate)
	alpha := s / (2 * q)
	a0 := 1 + alpha
	return biquad{b0: alpha / a0, b2: -alpha / a0, a1: -2 * c / a0, a2: (1 - alpha) / a0}
}

// taps is how many samples of the past a halfBand needs.
const taps = 5

// halfBand doubles a rate. It is meant for sound far below the lower rate's half: at a fifth of the rate its image
// is 45 dB down, at a tenth 80 dB.
type halfBand struct{ past [taps][2]float64 }

// process writes two samples to out for each of in after the first taps, which it fills with the past.
func (h *halfBand) process(out, in [][2]float64) {
	copy(in, h.past[:])
	copy(h.past[:], in[len(in)-taps:])
	for i := range in[taps:] {
		x := in[i : i+6 : i+6]
		out[2*i] = x[2]
		for ear := range 2 {
			out[2*i+1][ear] = (3*(x[0][ear]+x[5][ear]) - 25*(x[1][ear]+x[4][ear]) + 150*(x[2][ear]+x[3][ear])) / 256
		}
	}
}

// density scales white noise so that it is as loud in each Hz at every rate as at 48 kHz.
func density(rate float64) float64 { return math.Sqrt(rate / 48000) }
