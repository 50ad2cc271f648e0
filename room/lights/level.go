package lights

import (
	"math"
	"strconv"
	"time"
)

// luminance is the share of full light, 0 to 1, that looks like L* l (CIE 1976).
func luminance(l float64) float64 {
	if l <= 8 {
		return max(l, 0) / 903.2963
	}
	f := (min(l, 100) + 16) / 116
	return f * f * f
}

// lightness is the inverse of luminance.
func lightness(y float64) float64 {
	if y <= 216.0/24389 {
		return 903.2963 * max(y, 0)
	}
	return 116*math.Cbrt(min(y, 1)) - 16
}

// gentle is how long a ramp that is straight in the level has to take, so that it is nowhere faster than slope L* a second.
func gentle(from, to, slope float64) time.Duration {
	steepest := 903.2963
	if y := min(from, to); y > 216.0/24389 {
		steepest = 116.0 / 3 * math.Pow(y, -2.0/3)
	}
	return time.Duration(math.Abs(to-from) * steepest / slope * float64(time.Second))
}

// colour is a point on the way from one colour to another.
type colour struct {
	mode colourMode
	a, b float64 // mired; or x, y (CIE 1931)
}

type colourMode int

const (
	asItIs colourMode = iota // the lamp keeps its own
	byMired
	byXY
)

// colour is the level's colour; a Color that is no "#rrggbb" is none.
func (l Level) colour() colour {
	if l.Kelvin > 0 {
		return colour{mode: byMired, a: 1e6 / float64(l.Kelvin)}
	}
	if len(l.Color) != 7 || l.Color[0] != '#' {
		return colour{}
	}
	n, err := strconv.ParseUint(l.Color[1:], 16, 32)
	if err != nil {
		return colour{}
	}
	lin := func(shift int) float64 {
		v := float64(n>>shift&0xff) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	r, g, b := lin(16), lin(8), lin(0)
	// sRGB to XYZ, white D65 (IEC 61966-2-1). Only the chromaticity counts: how bright it is, L says.
	x := 0.4124*r + 0.3576*g + 0.1805*b
	y := 0.2126*r + 0.7152*g + 0.0722*b
	z := 0.0193*r + 0.1192*g + 0.9505*b
	if x+y+z == 0 {
		return colour{mode: byXY, a: 0.3127, b: 0.3290}
	}
	return colour{mode: byXY, a: x / (x + y + z), b: y / (x + y + z)}
}

// distance between colours in mired, or in what is about as much to the eye: a step of 3 is not seen.
func (c colour) distance(d colour) float64 {
	switch {
	case c.mode != d.mode:
		return math.Inf(1)
	case c.mode == byMired:
		return math.Abs(c.a - d.a)
	case c.mode == byXY:
		return 500 * math.Hypot(c.a-d.a, c.b-d.b)
	}
	return 0
}

// towards is the colour a share f of the way to d.
func (c colour) towards(d colour, f float64) colour {
	if c.mode != d.mode || f >= 1 {
		return d
	}
	return colour{c.mode, c.a + f*(d.a-c.a), c.b + f*(d.b-c.b)}
}
