package lights

import (
	"context"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// A rehearsal is what the controller does: bulbs that are commanded by the same moves shine as it tells.
func TestRehearsalIsWhatTheControllerDoes(t *testing.T) {
	roles := map[string][]Lamp{"ambient": z2m("a"), "accent": z2m("b")}
	begin := Scene{"ambient": {L: 70, Kelvin: 3000}, "accent": {L: 50, Kelvin: 3000}}
	cues := []Cue{
		{10 * time.Second, Move{Scene: begin}},
		{time.Minute, Move{Scene: Scene{"ambient": {L: 40, Kelvin: 2400}, "accent": {L: 3, Kelvin: 2200}}, Over: 3 * time.Minute}},
		{150 * time.Second, Move{Scene: Scene{"ambient": {L: 60, Kelvin: 2700}}, Over: time.Minute}},      // in the middle of the last
		{5 * time.Minute, Move{Scene: Scene{"ambient": {L: 5}, "accent": {L: 5}}, Over: 2 * time.Second}}, // too fast: it takes longer
	}
	// Without its bridge nobody knows that a Hue has no level under 2, L* 7: that is for a test to find.
	hue := Profile{Topic: "zigbee2mqtt/a", Lowest: 2}
	for k, tested := range []Profiles{{hue.Topic: hue}, {hue.Topic: hue, "zigbee2mqtt/b": {Topic: "zigbee2mqtt/b", Lowest: 3}}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			a, b := &bulb{name: "zigbee2mqtt/a"}, &bulb{name: "zigbee2mqtt/b", ikea: true}
			a.turn(true, 254*luminance(70))
			b.turn(true, 254*luminance(50))
			w := newWorld(t, ctx, a, b)
			c := New(w.bus, roles, nil)
			c.Tested(tested, "")
			done := make(chan struct{})
			go func() { _ = c.Run(ctx); close(done) }()
			r := Rehearse(roles, tested, begin, cues)
			start := time.Now()
			i := 0
			var most, colours float64
			for at := time.Duration(0); at < 6*time.Minute; at += 250 * time.Millisecond {
				time.Sleep(time.Until(start.Add(at)))
				for i < len(cues) && cues[i].At <= at {
					c.Fade(cues[i].Move)
					i++
				}
				if at < 15*time.Second {
					continue // the lamps are found, and the first colour is slow
				}
				for role, x := range map[string]*bulb{"ambient": a, "accent": b} {
					l, ok := r.At(role, at)
					if !ok {
						t.Fatalf("%s has no light at %v", role, at)
					}
					g := x.seen(time.Now())
					if most = max(most, math.Abs(l.L-g.l)); math.Abs(l.L-g.l) > 1.7 {
						t.Fatalf("%d: %s at %v is at L* %.1f, and was to be at %.1f", k, role, at, g.l, l.L)
					}
					if at > 40*time.Second && l.Kelvin > 0 && at < 5*time.Minute {
						colours = max(colours, math.Abs(1e6/float64(l.Kelvin)-g.ct))
					}
				}
			}
			t.Logf("at most %.2f L* and %.0f mired apart", most, colours)
			if colours > 12 {
				t.Errorf("the colour is up to %.0f mired apart", colours)
			}
			stop()
			<-done
			time.Sleep(time.Minute)
		})
	}
	r := Rehearse(roles, nil, begin, cues)
	if b := r.Bends("ambient"); len(b) != 7 || b[3] != 150*time.Second {
		t.Errorf("bends %v", b)
	}
	if _, ok := r.At("nobody", 0); ok {
		t.Error("a role that is not there has a light")
	}
}

// A lamp that shows no colour is not told to, and a white looks warmer the lower its kelvin.
func TestRehearsedColours(t *testing.T) {
	show := Scene{"ambient": {L: 20, Color: "#ff7a4a"}, "accent": {L: 20, Kelvin: 2200}}
	r := Rehearse(map[string][]Lamp{"ambient": {{Driver: "simulated"}}, "accent": {{Driver: "wled", Topic: "w"}}}, nil, show, nil)
	if l, _ := r.At("ambient", 0); l != show["ambient"] {
		t.Errorf("%+v", l)
	}
	if l, _ := r.At("accent", 0); l.Kelvin != 0 || l.L != 20 {
		t.Errorf("%+v", l)
	}
	blue := -1
	for _, k := range []int{1800, 2200, 2700, 4000, 6500} {
		tint := Level{Kelvin: k}.Tint()
		n, err := strconv.ParseUint(tint[1:], 16, 32)
		if err != nil || tint[1:3] != "ff" && k < 6500 || int(n&0xff) <= blue {
			t.Errorf("%d K is shown as %s", k, tint)
		}
		blue = int(n & 0xff)
	}
}
