package beds

import (
	"maps"
	"math"
	"slices"
)

// note is one note of a chord: its ratio to the root, in just intonation, and its strength.
type note struct{ ratio, level float64 }

// chords are the colours that the drone moves through. The root never leaves; the rest are fifths, fourths, thirds
// and sixths in just intonation, so that whichever of them sound together, their harmonics meet instead of beating.
var chords = [...][]note{
	{{1, .55}, {3. / 2, .70}, {2, .85}, {3, .60}, {4, .30}},                         // open fifths
	{{1, .55}, {3. / 2, .50}, {2, .70}, {5. / 2, .60}, {3, .45}},                    // major, wide
	{{1, .55}, {3. / 2, .70}, {9. / 4, .55}, {3, .50}, {9. / 2, .22}},               // ninth
	{{1, .50}, {4. / 3, .50}, {2, .75}, {8. / 3, .55}, {10. / 3, .38}},              // the fourth over the root
	{{1, .35}, {5. / 3, .55}, {2, .60}, {5. / 2, .58}, {10. / 3, .38}, {5, .18}},    // minor, from the sixth
	{{1, .50}, {3. / 2, .45}, {2, .55}, {3, .55}, {4, .42}, {9. / 2, .28}, {6, .2}}, // high and open
}

// timbre is the strength of a note's harmonics. The seventh would be out of tune with the others.
var timbre = [...]float64{1, .52, .40, .24, .17, .11, 0, .07, .04, .035}

// faint is the strength under which a harmonic is left out.
const faint = 0.017

const (
	dwell  = 84.0 // seconds of a chord,
	change = 46.0 // of which the last are the way to the next
)

// drone is a choir of sines: each tone is three voices for each ear, a hair apart, so that it breathes and drifts.
//
// Its highest tone is at 2.3 kHz, so the choir sings at a fraction of the rate and is doubled up to it by half-band
// filters. A tone's slow envelope is a complex number at each span's edge; between two edges the choir of the one
// fades into the choir of the other, both with fixed amplitudes. So a tone costs two additions and a
// multiplication a sample for each.
type drone struct {
	seed  uint64
	rate  float64
	mood  mood
	tone  []tone
	chord [len(chords)][]float64 // how strong each tone is

	choirs [2]choir // the one that fades out over the span, the one that fades in
	slow   int      // samples of a span at the choir's rate
	sung   [2][][2]float64
	double []halfBand
	ready  int64 // the index of the span that the choirs can go on with

	breath biquad
	pole   float64
	lp     [2]float64
}

// choir is all tones with the envelopes of one moment. Each tone is a resonator: y[n] = 2 cos w y[n-1] - y[n-2].
type choir struct {
	voices []sine // with room for one more, so that they go in pairs
	n      int    // in voices
}

type sine struct {
	k              float64 // 2 cos w
	l1, l2, r1, r2 float64 // the last two samples, for two ears
}

// tone is one frequency of any chord.
type tone struct {
	ratio  float64
	cycles float64 // a second
	k      float64 // K-weighting at this pitch, as power
	swell  float64 // period of its swelling, seconds
	detune float64 // of the outer voices, Hz
	voice  [2][3]complex128
	k2     float64 // 2 cos w, at the choir's rate
}

func newDrone(seed uint64, rate float64, m mood) *drone {
	d := &drone{seed: seed, rate: rate, mood: m, ready: math.MinInt64}
	root := 64 * math.Pow(2, unit(seed, 1, 0)*3/12) // C2 to E flat 2
	place := map[int64]int{}                        // of a tone, by twelfths of the root
	for c, notes := range chords {
		sum := map[int64]float64{}
		for _, n := range notes {
			for h, level := range timbre {
				sum[int64(math.Round(12*n.ratio*float64(h+1)))] += n.level * level
			}
		}
		d.chord[c] = make([]float64, len(place), 64)
		for _, key := range slices.Sorted(maps.Keys(sum)) {
			ratio := float64(key) / 12
			if sum[key] < faint || ratio > 30 {
				continue
			}
			i, ok := place[key]
			if !ok {
				i = len(place)
				place[key] = i
				d.tone = append(d.tone, newTone(seed, int64(i), ratio, root))
				d.chord[c] = append(d.chord[c], 0)
			}
			d.chord[c][i] = sum[key]
		}
	}
	for c := range d.chord {
		d.chord[c] = append(d.chord[c], make([]float64, len(d.tone)-len(d.chord[c]))...)
	}
	for d.slow = span; rate*float64(d.slow)/span > 12500; d.slow /= 2 {
		d.double = append(d.double, halfBand{})
	}
	for i := range d.tone {
		d.tone[i].k2 = 2 * math.Cos(2*math.Pi*d.tone[i].cycles/d.slowRate())
	}
	for i := range d.choirs {
		d.choirs[i].voices = make([]sine, len(d.tone)+1)
	}
	for i := range d.sung {
		d.sung[i] = make([][2]float64, span+taps)
	}
	d.breath = bandpass(1100, 0.5, rate)
	d.pole = pole(3000, rate)
	return d
}

func (d *drone) slowRate() float64 { return d.rate * float64(d.slow) / span }

func newTone(seed uint64, i int64, ratio, root float64) tone {
	t := tone{ratio: ratio, cycles: root * ratio, k: kWeight(root * ratio), swell: 9 + 13*unit(seed, 7, i)}
	// The outer two beat with the middle at 0.03 to 0.075 Hz, and with each other at twice that.
	t.detune = 0.03 + 0.045*unit(seed, 2, i)
	for ear := range t.voice {
		for v, level := range [3]float64{0.62, 1, 0.62} {
			s, c := math.Sincos(2 * math.Pi * unit(seed, 3, i*6+int64(ear*3+v)))
			t.voice[ear][v] = complex(level*c, level*s)
		}
	}
	return t
}

// kWeight is the power gain of BS.1770's K-weighting at f Hz, near enough: a high-pass at 38 Hz and a shelf of 4 dB.
func kWeight(f float64) float64 {
	hp := math.Pow(f*f/(f*f+38*38), 2)
	s := f / 1500
	return hp * (1 + 1.51*s*s) / (1 + s*s)
}

// between is the chord at t, the one that it moves to, and how much there is of each.
func (d *drone) between(t float64) (a, b []float64, wa, wb float64) {
	x := t*d.mood.speed/dwell + unit(d.seed, 4, 0)
	i := int64(math.Floor(x))
	f := max(((x-float64(i))*dwell-(dwell-change))/change, 0)
	wb = f * f * (3 - 2*f)
	return d.chord[d.pick(i)], d.chord[d.pick(i+1)], 1 - wb, wb
}

func (d *drone) pick(i int64) int {
	n := uint64(len(chords))
	c, before := hash(d.seed, 5, i)%n, hash(d.seed, 5, i-1)%n
	if c == before {
		c = (c + 1 + hash(d.seed, 6, i)%(n-1)) % n
	}
	return int(c)
}

// sing makes c the choir with the envelopes of moment t, whose next sample is at moment from.
func (d *drone) sing(c *choir, t, from float64) {
	a, b, wa, wb := d.between(t)
	slow := t * d.mood.speed
	bright := 0.16*wander(d.seed, 11, slow, 37) + droneTilt*d.mood.more
	var power float64
	c.n = 0
	for i := range d.tone {
		o := &d.tone[i]
		w := a[i]*wa + b[i]*wb
		if w < 1e-6 {
			continue
		}
		// Each tone swells and sinks in its own time, and the whole grows brighter and darker.
		w *= (0.70 + 0.30*wander(d.seed, 100+uint64(i), slow, o.swell)) * math.Exp(bright*math.Log(o.ratio/3))
		s, co := math.Sincos(2 * math.Pi * o.detune * t)
		up, down := complex(w*co, w*s), complex(w*co, -w*s)
		turn := o.cycles * from
		s, co = math.Sincos(2 * math.Pi * (turn - math.Floor(turn)))
		now := complex(co, s)
		s, co = math.Sincos(2 * math.Pi * o.cycles / d.slowRate())
		back := complex(co, -s)
		v := &c.voices[c.n]
		c.n++
		v.k = o.k2
		l := o.voice[0][0]*up + o.voice[0][1]*complex(w, 0) + o.voice[0][2]*down
		r := o.voice[1][0]*up + o.voice[1][1]*complex(w, 0) + o.voice[1][2]*down
		power += o.k * (real(l)*real(l) + imag(l)*imag(l) + real(r)*real(r) + imag(r)*imag(r)) / 2
		l, r = l*now*back, r*now*back
		v.l1, v.r1 = real(l), real(r)
		v.l2, v.r2 = real(l*back), real(r*back)
	}
	// Most of what the beating does to the whole is taken back: it breathes slowly, and never swells up.
	g := droneLevel * d.mood.level * math.Pow(power, -0.42) * (1 + 0.10*wander(d.seed, 12, slow, 17))
	for i := range c.voices[:c.n] {
		v := &c.voices[i]
		v.l1, v.l2, v.r1, v.r2 = v.l1*g, v.l2*g, v.r1*g, v.r2*g
	}
}

// add adds the choir's next samples to out, two tones at a time.
func (c *choir) add(out [][2]float64) {
	voices := c.voices[:c.n]
	if len(voices)%2 == 1 {
		c.voices[c.n] = sine{}
		voices = c.voices[:c.n+1]
	}
	for i := 0; i+1 < len(voices); i += 2 {
		a, b := &voices[i], &voices[i+1]
		ak, al1, al2, ar1, ar2 := a.k, a.l1, a.l2, a.r1, a.r2
		bk, bl1, bl2, br1, br2 := b.k, b.l1, b.l2, b.r1, b.r2
		for n := range out {
			al1, al2 = ak*al1-al2, al1
			bl1, bl2 = bk*bl1-bl2, bl1
			ar1, ar2 = ak*ar1-ar2, ar1
			br1, br2 = bk*br1-br2, br1
			out[n][0] += al1 + bl1
			out[n][1] += ar1 + br1
		}
		a.l1, a.l2, a.r1, a.r2 = al1, al2, ar1, ar2
		b.l1, b.l2, b.r1, b.r2 = bl1, bl2, br1, br2
	}
}

func (d *drone) span(out *[span][2]float64, index int64, at, next float64) {
	// The choir that was fading in sings on and fades out.
	d.choirs[0], d.choirs[1] = d.choirs[1], d.choirs[0]
	fades, comes := &d.choirs[0], &d.choirs[1]
	if d.ready != index {
		d.sing(fades, at, at)
	}
	d.sing(comes, next, at)
	d.ready = index + 1
	a, b := d.sung[0][taps:][:d.slow], d.sung[1][taps:][:d.slow]
	clear(a)
	clear(b)
	fades.add(a)
	comes.add(b)
	for i := range a {
		x := (float64(i) + 1) / float64(d.slow)
		a[i][0] += x * (b[i][0] - a[i][0])
		a[i][1] += x * (b[i][1] - a[i][1])
	}
	from, to := d.sung[0], d.sung[1]
	n := d.slow
	for i := range d.double {
		d.double[i].process(to[taps:], from[:taps+n])
		from, to = to, from
		n *= 2
	}
	tones := from[taps:]

	// Air: noise like breath, very soft, that goes from side to side.
	w := noiseAt(d.seed, 8, index)
	g := airLevel * d.mood.level * math.Exp2(d.mood.more/2) * density(d.rate)
	l0, r0 := d.breathe(at)
	l1, r1 := d.breathe(next)
	l0, r0, l1, r1 = l0*g, r0*g, l1*g, r1*g
	dl, dr := (l1-l0)/span, (r1-r0)/span
	breath, lp := d.breath, d.lp
	for i := range out {
		l, r := w.frame()
		l, r = breath.frame(l*l0, r*r0)
		lp[0] += d.pole * (l - lp[0])
		lp[1] += d.pole * (r - lp[1])
		out[i][0], out[i][1] = tones[i][0]+lp[0], tones[i][1]+lp[1]
		l0 += dl
		r0 += dr
	}
	d.breath, d.lp = breath, lp
}

// breathe is how much air there is at t, for two ears.
func (d *drone) breathe(t float64) (l, r float64) {
	much, side := 0.7+0.3*wander(d.seed, 9, t, 13), 0.35*wander(d.seed, 10, t, 21)
	return much * (1 - side), much * (1 + side)
}

const (
	droneLevel = 0.070
	airLevel   = 0.02
	droneTilt  = 0.22 // more of the higher tones for each step of intensity
)
