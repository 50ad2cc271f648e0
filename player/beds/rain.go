package beds

import "math"

// drop is one droplet that is heard singly: a small bubble that rings, its pitch rising a little.
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
	seed   uint64
	rate   float64
	wash   biquad // shapes the wash
	top    biquad
	leaf   biquad // rings of the patter
	roof   biquad
	low    biquad
	rumble [2]float64
	pole   float64
	drops  [maxDrops]drop
	n      int
	now    [2]rainMood
	at     int64
}

// rainMood is how it rains, for one ear.
type rainMood struct{ wash, patter, far float64 }

func newRain(seed uint64, rate float64) *rain {
	return &rain{
		seed: seed, rate: rate, at: math.MinInt64,
		wash: bandpass(1500, 0.32, rate), top: lowpass(7500, rate),
		leaf: bandpass(2300, 1.1, rate), roof: bandpass(820, 0.9, rate),
		low: highpass(60, rate), pole: pole(190, rate),
	}
}

// density of the rain at t: 0.6 to 1.4.
func (r *rain) density(t float64) float64 {
	return 1 + 0.25*wander(r.seed, 50, t, 41) + 0.15*wander(r.seed, 51, t, 13)
}

func (r *rain) mood(t float64) (m [2]rainMood) {
	d := r.density(t)
	gust := wander(r.seed, 52, t, 5.7)
	roll := wander(r.seed, 53, t, 19)
	for ear := range m {
		side := float64(2*ear - 1)
		lean := 0.14*wander(r.seed, 54, t, 17) + 0.05*gust
		m[ear] = rainMood{
			wash:   0.30 * math.Sqrt(d) * (1 + 0.10*gust) * (1 + side*lean),
			patter: 0.80 * d * (1 - side*lean),
			far:    0.55 * (1 + 0.4*roll) * (1 + 0.5*side*lean),
		}
	}
	return m
}

func (r *rain) span(out *[span][2]float64, index int64, at, next float64) {
	if r.at != index {
		r.now = r.mood(at)
	}
	then := r.mood(next)
	level := rainLevel * density(r.rate)
	a, b := r.now[0], r.now[1]
	da := rainMood{(then[0].wash - a.wash) / span, (then[0].patter - a.patter) / span, (then[0].far - a.far) / span}
	db := rainMood{(then[1].wash - b.wash) / span, (then[1].patter - b.patter) / span, (then[1].far - b.far) / span}
	r.now, r.at = then, index+1

	w := noiseAt(r.seed, 55, index)
	p := noiseAt(r.seed, 56, index)
	often := uint64(r.density(at) * 2600 / r.rate * (1 << 32)) // chance of a patter drop a frame
	wash, top, leaf, roof, low := r.wash, r.top, r.leaf, r.roof, r.low
	rum := r.rumble
	for i := range out {
		x, y := w.frame()
		wl, wr := wash.frame(x*a.wash, y*b.wash)
		rum[0] += r.pole * (x*a.far - rum[0])
		rum[1] += r.pole * (y*b.far - rum[1])
		// A patter drop is an impulse at some place between the ears; most are small.
		var il, ir float64
		u := p
		u ^= u << 13
		u ^= u >> 7
		u ^= u << 17
		p = u
		if uint64(u)>>32 < often {
			size := float64(uint32(u)&0xffff) / 65536
			pan := float64(uint32(u)>>16) / 65536
			size = 0.25 + size*size*size*2.2
			if u&1 == 0 {
				size = -size
			}
			il, ir = size*(1-pan)*a.patter, size*pan*b.patter
		}
		ll, lr := leaf.frame(il, ir)
		ol, or := roof.frame(il, ir)
		l, s := top.frame(wl+1.5*ll+1.2*ol+rum[0], wr+1.5*lr+1.2*or+rum[1])
		l, s = low.frame(l, s)
		out[i][0], out[i][1] = level*l, level*s
		a.wash += da.wash
		a.patter += da.patter
		a.far += da.far
		b.wash += db.wash
		b.patter += db.patter
		b.far += db.far
	}
	r.wash, r.top, r.leaf, r.roof, r.low, r.rumble = wash, top, leaf, roof, low, rum
	r.ring(out, index, at)
}

// ring adds the droplets that can be told apart.
func (r *rain) ring(out *[span][2]float64, index int64, at float64) {
	const perSecond = 55
	mean := perSecond * r.density(at) * span / r.rate
	place := index * 64
	for k := int64(0); k < 4 && r.n < maxDrops; k++ {
		// Four chances a span.
		if unit(r.seed, 57, place+k) >= mean/4 {
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
			amp: dropLevel * size * math.Sqrt(620/pitch), fall: math.Exp(-1 / (length * r.rate)),
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
	rainLevel = 0.33
	dropLevel = 0.05
)
