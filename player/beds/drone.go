package beds

import "math"

// ratios are the tones of the drone over its root, in just intonation: whichever of them sound together, their
// harmonics meet instead of beating.
var ratios = [...]float64{1, 4. / 3, 3. / 2, 5. / 3, 2, 9. / 4, 5. / 2, 8. / 3, 3, 10. / 3, 4, 9. / 2, 5, 16. / 3, 6, 20. / 3, 8, 9, 10, 12}

const tones = len(ratios)

// chords are the colours that it moves through: how strong each tone is. The root and its fifth or fourth never
// leave.
var chords = [...][tones]float64{
	//1  4/3  3/2  5/3  2   9/4  5/2  8/3  3   10/3  4   9/2  5   16/3  6   20/3  8    9    10   12
	{.80, 0, .75, 0, 1.0, 0, 0, 0, .75, 0, .50, 0, 0, 0, .26, 0, .14, 0, 0, .06},   // open fifths
	{.80, 0, .55, 0, .90, 0, .62, 0, .60, 0, .34, 0, .32, 0, .20, 0, 0, 0, .10, 0}, // major, wide
	{.80, 0, .80, 0, .50, .58, 0, 0, .75, 0, .20, .38, 0, 0, .24, 0, 0, .13, 0, 0}, // ninth
	{.80, .55, 0, 0, .90, 0, 0, .62, 0, .46, .42, 0, 0, .24, 0, .16, .10, 0, 0, 0}, // the fourth over the root
	{.75, 0, 0, .48, .85, 0, .62, 0, 0, .50, .38, 0, .34, 0, 0, .18, 0, 0, .10, 0}, // minor, from the sixth
	{.80, 0, .60, 0, .80, 0, 0, 0, .60, 0, .55, .22, 0, 0, .36, 0, .22, .12, 0, .10},
}

const (
	dwell  = 84.0 // seconds of a chord,
	change = 46.0 // of which the last are the way to the next
)

// drone is a choir of sines: each tone is three voices for each ear, a hair apart, so that it breathes and drifts.
type drone struct {
	seed uint64
	rate float64
	tone [tones]struct {
		cycles float64 // a second
		tilt   float64 // level
		k      float64 // K-weighting at this pitch, as power
		detune [3]float64
		phase  [2][3]float64
	}
	now [tones][2]complex128 // slow envelopes at the next span's start, for two ears
	at  int64                // of now

	air      biquad
	breath   biquad
	low      biquad
	softness float64
	lp       [2]float64
}

func newDrone(seed uint64, rate float64) *drone {
	d := &drone{seed: seed, rate: rate, at: math.MinInt64}
	root := 64 * math.Pow(2, unit(seed, 1, 0)*3/12) // C2 to E flat 2
	for i := range d.tone {
		t := &d.tone[i]
		t.cycles = root * ratios[i]
		// Warm: 4 dB an octave down above the third octave, and the lowest held back for small speakers.
		t.tilt = math.Pow(1+ratios[i]/4, -0.9)
		t.k = kWeight(t.cycles)
		for v := range t.detune {
			// The pairs beat at 0.03 to 0.15 Hz.
			t.detune[v] = float64(v-1) * (0.03 + 0.06*unit(seed, 2, int64(i*3+v)))
			for ear := range t.phase {
				t.phase[ear][v] = unit(seed, 3, int64(i*6+ear*3+v))
			}
		}
	}
	d.air = bandpass(1500, 0.5, rate)
	d.breath = bandpass(root*6, 1.2, rate)
	d.low = highpass(45, rate)
	d.softness = pole(3200, rate)
	return d
}

// kWeight is the power gain of BS.1770's K-weighting at f Hz, near enough: a high-pass at 38 Hz and a shelf of 4 dB.
func kWeight(f float64) float64 {
	hp := math.Pow(f*f/(f*f+38*38), 2)
	s := f / 1500
	return hp * (1 + 1.51*s*s) / (1 + s*s)
}

// chord is how strong each tone is at t.
func (d *drone) chord(t float64) (w [tones]float64) {
	x := t/dwell + unit(d.seed, 4, 0)
	i := int64(math.Floor(x))
	f := ((x-float64(i))*dwell - (dwell - change)) / change
	f = max(f, 0)
	a, b := &chords[d.pick(i)], &chords[d.pick(i+1)]
	s, c := math.Sincos(f * math.Pi / 2)
	s, c = s*s, c*c
	for k := range w {
		w[k] = a[k]*c + b[k]*s
	}
	return w
}

func (d *drone) pick(i int64) int {
	n := uint64(len(chords))
	c, before := hash(d.seed, 5, i)%n, hash(d.seed, 5, i-1)%n
	if c == before {
		c = (c + 1 + hash(d.seed, 6, i)%(n-1)) % n
	}
	return int(c)
}

// envelopes are the tones' slow amplitudes and phases at t, levelled so that the sum is as loud at all times.
func (d *drone) envelopes(t float64) (e [tones][2]complex128) {
	w := d.chord(t)
	var power float64
	for i := range d.tone {
		if w[i] == 0 {
			continue
		}
		o := &d.tone[i]
		// Each tone swells and sinks in its own time.
		swell := 0.72 + 0.28*wander(d.seed, 100+uint64(i), t, 9+13*unit(d.seed, 7, int64(i)))
		a := w[i] * o.tilt * swell
		for ear := range e[i] {
			var sum complex128
			for v, det := range o.detune {
				s, c := math.Sincos(2 * math.Pi * (det*t + o.phase[ear][v]))
				part := [3]float64{0.62, 1, 0.62}[v] * a
				sum += complex(part*c, part*s)
			}
			e[i][ear] = sum
			power += o.k * (real(sum)*real(sum) + imag(sum)*imag(sum)) / 2
		}
	}
	// Nine tenths of what the beating does to the whole is taken back: it breathes, and never swells up.
	g := complex(droneLevel*math.Pow(power, -0.45), 0)
	for i := range e {
		e[i][0] *= g
		e[i][1] *= g
	}
	return e
}

func (d *drone) span(out *[span][2]float64, index int64, at, next float64) {
	if d.at != index {
		d.now = d.envelopes(at)
	}
	then := d.envelopes(next)
	*out = [span][2]float64{}
	for i := range d.tone {
		if d.now[i] != [2]complex128{} || then[i] != [2]complex128{} {
			d.sing(out, i, at, &d.now[i], &then[i])
		}
	}
	d.now, d.at = then, index+1

	// Air: noise like breath, with the tones' colour in it, very soft.
	w := noiseAt(d.seed, 8, index)
	g := airLevel * density(d.rate)
	a, b := g*(0.7+0.3*wander(d.seed, 9, at, 13)), g*(0.7+0.3*wander(d.seed, 9, next, 13))
	p, q := 0.5+0.4*wander(d.seed, 10, at, 21), 0.5+0.4*wander(d.seed, 10, next, 21)
	da, dp := (b-a)/span, (q-p)/span
	air, breath, low := d.air, d.breath, d.low
	lp := d.lp
	for i := range out {
		l, r := w.frame()
		l, r = l*a, r*a
		x, y := air.frame(l, r)
		u, v := breath.frame(l, r)
		lp[0] += d.softness * (x*(1-p) + 1.6*u*p - lp[0])
		lp[1] += d.softness * (y*p + 1.6*v*(1-p) - lp[1])
		out[i][0], out[i][1] = low.frame(out[i][0]+lp[0], out[i][1]+lp[1])
		a += da
		p += dp
	}
	d.air, d.breath, d.low, d.lp = air, breath, low, lp
}

// sing adds one tone, whose envelopes run straight from a to b.
func (d *drone) sing(out *[span][2]float64, i int, at float64, a, b *[2]complex128) {
	f := d.tone[i].cycles
	turn := f * at
	s, c := math.Sincos(2 * math.Pi * (turn - math.Floor(turn)))
	ds, dc := math.Sincos(2 * math.Pi * f / d.rate)
	lr, li, rr, ri := real(a[0]), imag(a[0]), real(a[1]), imag(a[1])
	dlr, dli := (real(b[0])-lr)/span, (imag(b[0])-li)/span
	drr, dri := (real(b[1])-rr)/span, (imag(b[1])-ri)/span
	for k := range out {
		out[k][0] += lr*c - li*s
		out[k][1] += rr*c - ri*s
		s, c = s*dc+c*ds, c*dc-s*ds
		lr += dlr
		li += dli
		rr += drr
		ri += dri
	}
}

const (
	droneLevel = 0.079
	airLevel   = 0.02
)
