package lights

import (
	"math"
	"testing"
	"time"
)

func TestLightness(t *testing.T) {
	// CIE 15: L* of a luminance factor.
	for y, l := range map[float64]float64{0: 0, 0.005: 4.5165, 0.1842: 50.0011, 0.5: 76.0693, 1: 100} {
		if got := lightness(y); math.Abs(got-l) > 0.001 {
			t.Errorf("L*(%v) = %v, not %v", y, got, l)
		}
	}
	for l := 0.0; l <= 100; l += 0.1 {
		if got := lightness(luminance(l)); math.Abs(got-l) > 1e-3 {
			t.Fatalf("there and back from %v: %v", l, got)
		}
	}
}

func TestColours(t *testing.T) {
	for text, xy := range map[string][2]float64{"#ffffff": {0.3127, 0.3290}, "#ff0000": {0.64, 0.33}, "#0000ff": {0.15, 0.06}, "#000000": {0.3127, 0.3290}} {
		c := Level{Color: text}.colour()
		if c.mode != byXY || math.Abs(c.a-xy[0]) > 0.001 || math.Abs(c.b-xy[1]) > 0.001 {
			t.Errorf("%s is %+v", text, c)
		}
	}
	if c := (Level{Kelvin: 2500}).colour(); c != (colour{byMired, 400, 0}) {
		t.Errorf("2500 K is %+v", c)
	}
	for _, text := range []string{"", "red", "#12345", "#gggggg"} {
		if c := (Level{Color: text}).colour(); c.mode != asItIs {
			t.Errorf("%q is %+v", text, c)
		}
	}
}

// The ramp of a lamp that can be anywhere keeps the promise of 12 L* a second from anywhere, with the longest fade of each kind.
func TestGentleFromAnywhere(t *testing.T) {
	for _, k := range kinds {
		c := k.caps(Lamp{Driver: k.name, Extra: map[string]string{"fade": "both"}})
		if c.MaxFade == 0 {
			continue // it only jumps
		}
		step := max(1, c.Max/40)
		for want := c.Min; want <= c.Max; want += step {
			level, over := c.fromAnywhere(want)
			if over > c.MaxFade || over < blindOver || level != want && c.MaxFade > 80*time.Second {
				t.Errorf("%s: to %d: to %d over %v", k.name, want, level, over)
			}
			for _, from := range []int{c.Min, c.Max / 2, c.Max} {
				begin := time.Time{}
				r := ramp{float64(from) / float64(c.Max), float64(level) / float64(c.Max), begin, begin.Add(tenths(over))}
				for at := begin; at.Before(r.t1); at = at.Add(100 * time.Millisecond) {
					if a, b := lightness(r.at(at)), lightness(r.at(at.Add(time.Second))); math.Abs(a-b) > 12 {
						t.Fatalf("%s: from %d to %d over %v: %.1f to %.1f L* in a second", k.name, from, level, over, a, b)
					}
				}
			}
		}
	}
}
