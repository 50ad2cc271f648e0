package beds

import "math"

// drop is one droplet that is heard singly: a small bubble that rings.
type drop struct {
	s, c, ds, dc float64 // the ring
	amp, fall    float64 // and how it dies away, a frame
	rise, attack float64 // its first fraction of a millisecond
	l, r         float64
	wait         int // frames until it falls
	left         int // frames that it sounds
}

const maxDrops = 48

// rain is a wide soft wash, a patter of drops too many to tell apart, and some that ring.
type rain struct {
	seed  uint64
	rate  float64
	mood  mood
	poles [5]float64    // of the wash and of the far-off, see span
	lp    [2][5]float64 // their state
	leaf  biquad        // rings of the patter
	roof  biquad
	drops [maxDrops]drop
	n     int
	now   [2]rainMood
	at    int64
}

// rainMood is how it rains, for one ear.
type rainMood struct{ wash, patter, far float64 }

func newRain(seed uint64, rate float64, m mood) *rain {
	r := &rain{
		seed: seed, rate: rate, mood: m, at: math.MinInt64,
		leaf: bandpass(2300*math.Exp2(0.2*m.more), 0.9, rate), roof: bandpass(820, 0.8, rate),
	}
	for i, f := range [...]float64{5200, 2400, 330, 190, 70} {
		if i < 2 {
			f *= math.Exp2(0.35 * m.more)
		}
		r.poles[i] = pole(f, rate)
	}
	return r
}

// density of the rain at t: 0.6 to 1.4, and twice or half of that at its most and least intense.
func (r *rain) density(t float64) float64 {
	t *= r.mood.speed
	return math.Exp2(r.mood.more/2) * (1 + 0.25*wander(r.seed, 50, t, 41) + 0.15*wander(r.seed, 51, t, 13))
}

func (r *rain) moodAt(t float64) (m [2]rainMood) {
	d := r.density(t)
	t *= r.mood.speed
	gust := wander(r.seed, 52, t, 5.7)
	roll := wander(r.seed, 53, t, 19)
	for ear := range m {
		side := float64(2*ear - 1)
		lean := 0.14*wander(r.seed, 54, t, 17) + 0.05*gust
		m[ear] = rainMood{
			wash:   0.30 * math.Sqrt(d) * (1 + 0.10*gust) * (1 + side*lean),
			patter: 0.80 * d * math.Exp2(-r.mood.more/2) * (1 - side*lean),
			far:    0.55 * math.Exp2(-0.4*r.mood.more) * (1 + 0.4*roll) * (1 + 0.5*side*lean),
		}
	}
	return m
}

func (r *rain) span(out *[span][2]float64, index int64, at, next float64) {
	if r.at != index {
		r.now = r.moodAt(at)
	}
	then := r.moodAt(next)
	level := rainLevel * r.mood.level * density(r.rate)
	a, b := r.now[0], r.now[1]
	da := rainMood{wash: (then[0].wash - a.wash) / span, far: (then[0].far - a.far) / span}
	db := rainMood{wash: (then[1].wash - b.wash) / span, far: (then[1].far - b.far) / span}
	r.now, r.at = then, index+1

	*out = [span][2]float64{}
	r.patter(out, index, at, a, b)

	w := noiseAt(r.seed, 55, index)
	leaf, roof, lp := r.leaf, r.roof, r.lp
	p0, p1, p2, p3, p4 := r.poles[0], r.poles[1], r.poles[2], r.poles[3], r.poles[4]
	for i := range out {
		x, y := w.frame()
		ll, lr := leaf.frame(out[i][0], out[i][1])
		ol, or := roof.frame(out[i][0], out[i][1])
		// The wash: nothing sharp above, nothing heavy below. The far-off is a band of its own.
		l := &lp[0]
		l[0] += p0 * (x - l[0])
		l[1] += p1 * (l[0] - l[1])
		l[2] += p2 * (l[1] - l[2])
		l[3] += p3 * (x - l[3])
		l[4] += p4 * (l[3] - l[4])
		out[i][0] = level * (1.5*ll + 1.2*ol + a.wash*(0.4*l[0]+0.6*l[1]-l[2]) + a.far*(l[3]-l[4]))
		l = &lp[1]
		l[0] += p0 * (y - l[0])
		l[1] += p1 * (l[0] - l[1])
		l[2] += p2 * (l[1] - l[2])
		l[3] += p3 * (y - l[3])
		l[4] += p4 * (l[3] - l[4])
		out[i][1] = level * (1.5*lr + 1.2*or + b.wash*(0.4*l[0]+0.6*l[1]-l[2]) + b.far*(l[3]-l[4]))
		a.wash += da.wash
		a.far += da.far
		b.wash += db.wash
		b.far += db.far
	}
	r.leaf, r.roof, r.lp = leaf, roof, lp
	r.ring(out, index, at)
}

// patter puts an impulse where a drop falls, at some place between the ears; most are small.
func (r *rain) patter(out *[span][2]float64, index int64, at float64, a, b rainMood) {
	gap := r.rate / (2600 * r.density(at)) // frames from one drop to the next, on average
	w := noiseAt(r.seed, 56, index)
	place := 0.0
	for {
		u, v := w.frame()
		place -= gap * math.Log(0.5*u+0.5+1e-9)
		if place >= span {
			return
		}
		x, _ := w.frame()
		size := 0.27 + 0.75*v*v*math.Abs(v)
		if x < 0 {
			size = -size
		}
		pan := math.Abs(x)
		out[int(place)][0] += size * (1 - pan) * a.patter
		out[int(place)][1] += size * pan * b.patter
	}
}

// ring adds the droplets that can be told apart.
func (r *rain) ring(out *[span][2]float64, index int64, at float64) {
	const perSecond = 55
	mean := perSecond * r.density(at) * span / r.rate
	const chances = 8 // a span
	place := index * chances
	for k := int64(0); k < chances && r.n < maxDrops; k++ {
		if unit(r.seed, 57, place+k) >= mean/chances {
			continue
		}
		v := func(use uint64) float64 { return unit(r.seed, use, place+k) }
		pitch := 620 * math.Pow(2, 2.3*v(58)) // up to 3 kHz
		size := 0.12 + 0.88*math.Pow(v(59), 3)
		length := (0.010 + 0.030*v(60)) * math.Sqrt(900/pitch)
		pan := v(61)
		ds, dc := math.Sincos(2 * math.Pi * pitch / r.rate)
		frames := int(7 * length * r.rate)
		r.drops[r.n] = drop{
			c: 1, ds: ds, dc: dc,
			amp: dropLevel * r.mood.level * size * math.Sqrt(620/pitch), fall: math.Exp(-1 / (length * r.rate)),
			attack: 1 - math.Exp(-1/(0.0012*r.rate)),
			l:      math.Sqrt(1 - pan), r: math.Sqrt(pan),
			wait: int(v(62) * span), left: frames,
		}
		r.n++
	}
	kept := 0
	for k := range r.drops[:r.n] {
		d := &r.drops[k]
		n := min(span-d.wait, d.left)
		s, c, amp, rise := d.s, d.c, d.amp, d.rise
		for i := d.wait; i < d.wait+n; i++ {
			x := amp * rise * s
			out[i][0] += d.l * x
			out[i][1] += d.r * x
			s, c = s*d.dc+c*d.ds, c*d.dc-s*d.ds
			amp *= d.fall
			rise += d.attack * (1 - rise)
		}
		d.s, d.c, d.amp, d.rise = s, c, amp, rise
		d.left -= n
		d.wait = 0
		if d.left > 0 {
			r.drops[kept] = *d
			kept++
		}
	}
	r.n = kept
}

const (
	rainLevel = 0.409
	dropLevel = 0.060
)
