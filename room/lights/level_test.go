package lights

import (
	"math"
	"testing"
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
