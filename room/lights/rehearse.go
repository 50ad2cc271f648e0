package lights

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Cue is a move at a session time.
type Cue struct {
	At   time.Duration
	Move Move
}

// Rehearsal is the light of a whole session, as the controller plans it when nothing comes in between.
type Rehearsal struct {
	roles map[string]*rehearsed
}

type rehearsed struct {
	caps  Caps
	plans []plan // by their beginning, which is counted from the zero time
}

// Rehearse lays the moves of a session one after the other, in the order of their times. The light begins as begin says.
// The lamps of the roles give the lowest light and the colours that can be shown, as far as the room file and tests tell.
func Rehearse(roles map[string][]Lamp, tested Profiles, begin Scene, cues []Cue) Rehearsal {
	r := Rehearsal{map[string]*rehearsed{}}
	for name, lamps := range roles {
		x := &rehearsed{}
		for _, l := range lamps {
			if drivers[l.Driver] == nil {
				continue
			}
			k := tested.known(l, l.Topic, drivers[l.Driver].caps(l))
			if l.Driver == "zigbee2mqtt" {
				// Only its bridge knows its colours: as the playlist has them, then.
				k.Color, k.MinMired, k.MaxMired = true, 1, math.MaxInt16
			}
			if x.caps.Max == 0 {
				x.caps = k
			}
			x.caps = x.caps.both(k)
		}
		if x.caps.Max == 0 {
			continue
		}
		r.roles[name] = x
		if l, ok := begin[name]; ok {
			x.turn(Planned, l, l.L, l.colour(), 0, 0)
		}
	}
	for _, c := range cues {
		for name, l := range c.Move.Scene {
			x := r.roles[name]
			if x == nil || math.IsNaN(l.L) {
				continue
			}
			from, start := l.L, l.colour()
			if len(x.plans) > 0 {
				now := time.Time{}.Add(c.At)
				p := x.plans[len(x.plans)-1]
				from = p.at(now)
				if k := p.colour(now); k.mode != asItIs {
					start = k
				}
			}
			x.turn(c.Move.Kind, l, from, start, c.Move.Over, c.At)
		}
	}
	return r
}

func (x *rehearsed) turn(kind Kind, l Level, from float64, start colour, over, at time.Duration) {
	floor := x.caps.lightness(x.caps.Min)
	farthest := max(math.Abs(l.L-from), math.Abs(max(l.L, floor)-max(from, floor)))
	x.plans = append(x.plans, turn(kind, l, from, start, farthest, over, time.Time{}.Add(at)))
}

// At is the light of a role at a session time; ok is false before its first scene.
func (r Rehearsal) At(role string, at time.Duration) (l Level, ok bool) {
	x := r.roles[role]
	if x == nil {
		return Level{}, false
	}
	now := time.Time{}.Add(at)
	i := len(x.plans) - 1
	for i >= 0 && x.plans[i].t0.After(now) {
		i--
	}
	if i < 0 {
		return Level{}, false
	}
	p := &x.plans[i]
	l.L = math.Round(10*course{plan: p, floor: x.caps.lightness(x.caps.Min)}.at(now)) / 10
	switch k := x.caps.fits(p.colour(now)); k.mode {
	case byMired:
		l.Kelvin = int(math.Round(1e6/k.a/10)) * 10
	case byXY:
		l.Color = k.hex()
	}
	return l, true
}

// Bends are the session times at which a fade of a role begins or ends, each once, in order.
func (r Rehearsal) Bends(role string) []time.Duration {
	var all []time.Duration
	if x := r.roles[role]; x != nil {
		for i, p := range x.plans {
			all = append(all, p.t0.Sub(time.Time{}))
			if end := p.t1; i+1 == len(x.plans) || !end.After(x.plans[i+1].t0) {
				all = append(all, end.Sub(time.Time{}))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Tint is a light's colour as a screen shows it, "#rrggbb", at its brightest; white of 2700 K where it has none.
func (l Level) Tint() string {
	switch k := l.colour(); k.mode {
	case byMired:
		return k.hex()
	case byXY:
		return l.Color
	}
	return colour{mode: byMired, a: 1e6 / 2700}.hex()
}

// xy is the colour as CIE 1931 chromaticity; a white is on the Planckian locus (Kim et al., 1667 to 25000 K).
func (c colour) xy() (x, y float64) {
	if c.mode != byMired {
		return c.a, c.b
	}
	t := min(25000, max(1667, 1e6/c.a))
	k := 1e3 / t
	if t <= 4000 {
		x = -0.2661239*k*k*k - 0.2343589*k*k + 0.8776956*k + 0.179910
	} else {
		x = -3.0258469*k*k*k + 2.1070379*k*k + 0.2226347*k + 0.240390
	}
	switch {
	case t <= 2222:
		y = -1.1063814*x*x*x - 1.34811020*x*x + 2.18555832*x - 0.20219683
	case t <= 4000:
		y = -0.9549476*x*x*x - 1.37418593*x*x + 2.09137015*x - 0.16748867
	default:
		y = 3.0817580*x*x*x - 5.87338670*x*x + 3.75112997*x - 0.37001483
	}
	return x, y
}

// hex is the colour as sRGB at its brightest.
func (c colour) hex() string {
	x, y := c.xy()
	if y <= 0 {
		return "#ffffff"
	}
	X, Z := x/y, (1-x-y)/y
	rgb := [3]float64{3.2406*X - 1.5372 - 0.4986*Z, -0.9689*X + 1.8758 + 0.0415*Z, 0.0557*X - 0.2040 + 1.0570*Z}
	most := max(rgb[0], rgb[1], rgb[2])
	var out [3]int
	for i, v := range rgb {
		v = max(0, v/most)
		if v <= 0.0031308 {
			v *= 12.92
		} else {
			v = 1.055*math.Pow(v, 1/2.4) - 0.055
		}
		out[i] = int(math.Round(255 * v))
	}
	return fmt.Sprintf("#%02x%02x%02x", out[0], out[1], out[2])
}
