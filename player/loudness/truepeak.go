package loudness

import "math"

// Taps is the length of the interpolation filter: an interpolated sample is made of half as many frames on either side.
const Taps = 32

// Interpolator estimates the true peak as annex 2 of BS.1770-5 does: the largest sample after oversampling to at least
// 192 kHz (4× at 48 kHz). Its filter is a sinc in a Kaiser window (β 9), longer than the standard's example and
// therefore flat to 20 kHz; ffmpeg's is the same. It has no state and may be shared.
type Interpolator struct {
	phases [][Taps]float64
	gain   float64
	far    float64 // the gain of all taps but the near ones
}

// The near taps are those from nearFrom to nearTo, excluding.
const nearFrom, nearTo = Taps/2 - 4, Taps/2 + 4

// NewInterpolator is the interpolator for a rate of 8000 to 192000 Hz, with at least the given oversampling (0: as the standard asks).
func NewInterpolator(rate, least int) *Interpolator {
	const centre, beta = Taps/2 - 1, 9
	n := max((192000+rate-1)/rate, least)
	p := &Interpolator{gain: 1}
	for ph := 1; ph < n; ph++ {
		var h [Taps]float64
		var sum, abs, far float64
		for i := range h {
			at := float64(i-centre) - float64(ph)/float64(n)
			w := 2 * at / Taps
			h[i] = math.Sin(math.Pi*at) / (math.Pi * at) * bessel(beta*math.Sqrt(max(1-w*w, 0)))
			sum += h[i]
		}
		for i := range h {
			h[i] /= sum
			abs += math.Abs(h[i])
			if i < nearFrom || i >= nearTo {
				far += math.Abs(h[i])
			}
		}
		p.phases = append(p.phases, h)
		p.gain = max(p.gain, abs)
		p.far = max(p.far, far)
	}
	return p
}

// Gain bounds the filter: no interpolated sample is larger than Gain times the largest of the frames it is made of.
func (p *Interpolator) Gain() float64 { return p.gain }

// Between is the largest interpolated magnitude, of both channels, strictly between x[15] and x[16].
func (p *Interpolator) Between(x *[Taps][2]float64) float64 {
	var most float64
	for k := range p.phases {
		h := &p.phases[k]
		var a, b, c, d float64
		for i := 0; i < Taps; i += 2 {
			a += h[i] * x[i][0]
			b += h[i] * x[i][1]
			c += h[i+1] * x[i+1][0]
			d += h[i+1] * x[i+1][1]
		}
		most = max(most, math.Abs(a+c), math.Abs(b+d))
	}
	return most
}

// Over is Between where that is over least; anything else is not over it. It looks at the near frames first, and
// need not look at the others where they can't make up what is missing; bound is Peak(x[:]) or more.
func (p *Interpolator) Over(x *[Taps][2]float64, bound, least float64) float64 {
	enough := least - p.far*bound
	for k := range p.phases {
		h, y := (*[nearTo - nearFrom]float64)(p.phases[k][nearFrom:nearTo]), (*[nearTo - nearFrom][2]float64)(x[nearFrom:nearTo])
		a := h[0]*y[0][0] + h[1]*y[1][0] + h[2]*y[2][0] + h[3]*y[3][0]
		b := h[0]*y[0][1] + h[1]*y[1][1] + h[2]*y[2][1] + h[3]*y[3][1]
		c := h[4]*y[4][0] + h[5]*y[5][0] + h[6]*y[6][0] + h[7]*y[7][0]
		d := h[4]*y[4][1] + h[5]*y[5][1] + h[6]*y[6][1] + h[7]*y[7][1]
		if math.Abs(a+c) > enough || math.Abs(b+d) > enough {
			return p.Between(x)
		}
	}
	return 0
}

// bessel is the modified Bessel function I0, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x / 2 / k * (x / 2 / k)
		sum += term
	}
	return sum
}

// Peak is the largest magnitude in frames, of both channels. It is +Inf or NaN where one is no number.
func Peak(frames [][2]float64) float64 {
	// As integers, magnitudes keep their order, and infinity and NaN are over all of them.
	var a, b uint64
	for i := range frames {
		a = max(a, math.Float64bits(frames[i][0])<<1)
		b = max(b, math.Float64bits(frames[i][1])<<1)
	}
	return math.Float64frombits(max(a, b) >> 1)
}

// truePeak keeps the largest true peak of a stream. It looks between two frames only where the bound on the filter's gain
// leaves a chance to find more than it has. As ffmpeg does, it takes what was before the first frame for the mirror
// image of what follows, not for silence, whose edge would be a peak of its own; and it does not guess what follows the
// last frame, so that the last 16 count by their samples only.
type truePeak struct {
	p    *Interpolator
	buf  [][2]float64 // the last Taps-1 frames, and then what comes in
	head int          // frames at the stream's start that wait in buf for the mirror to be made; Taps: it is made
	most float64
}

const peakRun = 16 // frames that are judged together

func newTruePeak(rate int) truePeak {
	return truePeak{p: NewInterpolator(rate, 0), buf: make([][2]float64, Taps, Taps+peakBlock)}
}

const peakBlock = 1024

// write takes up to peakBlock frames.
func (t *truePeak) write(frames [][2]float64) {
	t.most = max(t.most, Peak(frames))
	if t.head < Taps {
		n := copy(t.buf[t.head:Taps], frames)
		t.head += n
		frames = frames[n:]
		if t.head < Taps {
			return
		}
		first := [Taps][2]float64(t.buf)
		for k := 1; k < Taps; k++ {
			t.buf[Taps-1-k] = first[k]
		}
		t.scan(first[:])
	}
	t.scan(frames)
}

func (t *truePeak) scan(frames [][2]float64) {
	x := append(t.buf[:Taps-1], frames...)
	if len(t.p.phases) > 0 {
		n := len(frames) // places between two frames that have all their taps now
		reach := (Taps-2)/peakRun + 1
		var runs [peakBlock/peakRun + Taps/peakRun + 1]float64
		for i := 0; i*peakRun < len(x); i++ {
			runs[i] = Peak(x[i*peakRun : min((i+1)*peakRun, len(x))])
		}
		for i := 0; i*peakRun < n; i++ {
			bound := runs[i]
			for k := 1; k <= reach; k++ {
				bound = max(bound, runs[i+k])
			}
			if bound*t.p.gain <= t.most {
				continue
			}
			for j := i * peakRun; j < min((i+1)*peakRun, n); j++ {
				t.most = max(t.most, t.p.Over((*[Taps][2]float64)(x[j:j+Taps]), bound, t.most))
			}
		}
	}
	copy(t.buf[:Taps-1], x[len(x)-(Taps-1):])
}
