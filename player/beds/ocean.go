package beds

import "math"

// bands of the sea, split by one-pole filters at these frequencies in Hz: body, roll, crash, wash, hiss.
var splits = [4]float64{4600, 1500, 480, 150}

const seaBands = 5 // from the highest

// surf is one row of waves: how they come in.
type surf struct {
	period float64 // seconds from one to the next, on average
	height float64
	bright float64 // how much of the crash and hiss reaches the ear
	wide   float64 // how far to the sides they break
}

var surfs = [...]surf{
	{period: 10.4, height: 1, bright: 1, wide: 0.75},
	{period: 13.1, height: 0.6, bright: 0.55, wide: 1},
	{period: 8.3, height: 0.34, bright: 0.3, wide: 0.9},
}

// ocean is noise in five bands, whose gains follow waves that come in, break and run out.
type ocean struct {
	seed uint64
	rate float64
	mood mood
	pole [4]float64
	lp   [2][4]float64
	low  biquad
	top  biquad
	now  [2][seaBands]float64
	at   int64
}

func newOcean(seed uint64, rate float64, m mood) *ocean {
	o := &ocean{seed: seed, rate: rate, mood: m, low: highpass(48, rate), top: lowpass(9000, rate), at: math.MinInt64}
	for i, f := range splits {
		o.pole[i] = pole(f, rate)
	}
	return o
}

// bell rises from 0 at a to 1 at b as a raised cosine, and falls from there with time constant fall.
func bell(u, a, b, fall float64) float64 {
	switch {
	case u <= a:
		return 0
	case u < b:
		return 0.5 - 0.5*math.Cos(math.Pi*(u-a)/(b-a))
	}
	x := (u - b) / fall
	return (1 + x) * math.Exp(-x) // leaves its top without a corner
}

// gains are the five bands' gains for two ears at t.
func (o *ocean) gains(t float64) (g [2][seaBands]float64) {
	t *= o.mood.speed
	// What never stops: the surf along the whole beach, far off.
	far := 1 + 0.25*wander(o.seed, 20, t, 23)
	swell := 1 + 0.35*wander(o.seed, 21, t, 7.3)
	lean := 0.12 * wander(o.seed, 22, t, 31)
	for ear := range g {
		side := float64(2*ear - 1)
		f := far * (1 + side*lean)
		g[ear] = [seaBands]float64{0.010 * f, 0.030 * f, 0.062 * f, 0.12 * f, 0.34 * swell}
	}
	// Waves come in sets: a few high ones, then a calm.
	set := 0.78 + 0.22*wander(o.seed, 23, t, 47)
	for row := range surfs {
		s := &surfs[row]
		use := uint64(30 + 10*row)
		x := t/s.period + unit(o.seed, use, math.MinInt64)
		for i := int64(math.Floor(x)) - 1; i <= int64(math.Floor(x))+1; i++ {
			// Between two waves lie 0.68 to 1.32 periods.
			u := (x - float64(i) - 0.5 - 0.32*(unit(o.seed, use+1, i)-0.5)) * s.period
			h := s.height * set * (0.6 + 0.4*unit(o.seed, use+2, i))
			place := s.wide * (2*unit(o.seed, use+3, i) - 1)
			run := 0.9 * (2*unit(o.seed, use+4, i) - 1) // it breaks along the beach, one ear first
			slow := 0.85 + 0.4*unit(o.seed, use+5, i)
			for ear := range g {
				side := float64(2*ear - 1)
				v := (u - side*run) / slow
				if v < -5 || v > 13 {
					continue
				}
				a := h * (1 + 0.45*side*place)
				bright := s.bright * (0.55 + 0.45*h)
				body, crash, wash := bell(v, -4.6, -0.2, 1.5), bell(v, -2.2, 0.4, 1.25), bell(v, -1.2, 1.6, 1.9)
				g[ear][4] += a * 0.22 * body
				g[ear][3] += a * (0.20*body + 0.10*crash)
				g[ear][2] += a * (0.045*body + 0.15*crash*bright)
				g[ear][1] += a * bright * (0.085*crash + 0.045*wash)
				g[ear][0] += a * bright * (0.022*crash + 0.034*wash)
			}
		}
	}
	// Foam: the highest band is never smooth.
	for ear := range g {
		g[ear][0] *= 1 + 0.22*wander(o.seed, 24+uint64(ear), t, 0.09)
	}
	// A wave of all rows at once is tall, not loud: over what one good wave has, half of the decibels count.
	var power float64
	for ear := range g {
		for b, k := range seaPower {
			power += k * g[ear][b] * g[ear][b]
		}
	}
	power /= goodWave
	soft := math.Pow(1+power*power, -1./8)
	for ear := range g {
		for b := range g[ear] {
			g[ear][b] *= soft * math.Exp2(o.mood.more*seaBright[b])
		}
	}
	return g
}

// seaPower is about how loud each band is at gain 1, as power; goodWave is a good wave's sum.
var seaPower = [seaBands]float64{0.5, 0.35, 0.066, 0.018, 0.006}

const goodWave = 0.015

// seaBright is how many doublings of each band a step of intensity makes.
var seaBright = [seaBands]float64{0.35, 0.25, 0.1, -0.05, -0.15}

func (o *ocean) span(out *[span][2]float64, index int64, at, next float64) {
	if o.at != index {
		o.now = o.gains(at)
	}
	then := o.gains(next)
	level := oceanLevel * o.mood.level * density(o.rate)
	g := o.now
	var d [2][seaBands]float64
	for ear := range g {
		for b := range g[ear] {
			g[ear][b] *= level
			d[ear][b] = (then[ear][b]*level - g[ear][b]) / span
		}
	}
	o.now, o.at = then, index+1

	w := noiseAt(o.seed, 25, index)
	for i := range out {
		out[i][0], out[i][1] = w.frame()
	}
	for ear := range g {
		y0, y1, y2, y3 := o.lp[ear][0], o.lp[ear][1], o.lp[ear][2], o.lp[ear][3]
		p0, p1, p2, p3 := o.pole[0], o.pole[1], o.pole[2], o.pole[3]
		g0, g1, g2, g3, g4 := g[ear][0], g[ear][1], g[ear][2], g[ear][3], g[ear][4]
		d0, d1, d2, d3, d4 := d[ear][0], d[ear][1], d[ear][2], d[ear][3], d[ear][4]
		for i := range out {
			x := out[i][ear]
			y0 += p0 * (x - y0)
			y1 += p1 * (y0 - y1)
			y2 += p2 * (y1 - y2)
			y3 += p3 * (y2 - y3)
			out[i][ear] = g0*(x-y0) + g1*(y0-y1) + g2*(y1-y2) + g3*(y2-y3) + g4*y3
			g0 += d0
			g1 += d1
			g2 += d2
			g3 += d3
			g4 += d4
		}
		o.lp[ear] = [4]float64{y0, y1, y2, y3}
	}
	low, top := o.low, o.top
	for i := range out {
		l, r := top.frame(out[i][0], out[i][1])
		out[i][0], out[i][1] = low.frame(l, r)
	}
	o.low, o.top = low, top
}

const oceanLevel = 1.33
