package lights

import (
	"math"
	"testing"
	"time"

	"roomd/rig"
)

// A session of three hours, with a lamp that fades both attributes, one that fades only one, and a group.
func TestThreeHours(t *testing.T) {
	rig.Arithmetic(t)
	roles := map[string][]Lamp{"ambient": z2m("a", "b"), "accent": z2m("c")}
	bulbs := []*bulb{{name: "zigbee2mqtt/a", on: true}, {name: "zigbee2mqtt/b", on: true, ikea: true}, {name: "zigbee2mqtt/c", on: true, ikea: true}}
	fades := []struct {
		at, over time.Duration
		l        float64
		kelvin   int
	}{
		{0, 5 * time.Minute, 70, 2700}, {15 * time.Minute, 10 * time.Minute, 40, 2400}, {30 * time.Minute, 12 * time.Minute, 6, 2200},
		{110 * time.Minute, 15 * time.Minute, 20, 2200}, {140 * time.Minute, 10 * time.Minute, 45, 2500}, {170 * time.Minute, 5 * time.Minute, 70, 2700},
	}
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(10 * time.Second)
		var off, dark, step float64
		begin := time.Now()
		from := 100.0
		for i, f := range fades {
			time.Sleep(time.Until(begin.Add(f.at)))
			at := time.Now()
			c.Fade(Move{Scene: Scene{"ambient": {L: f.l, Kelvin: f.kelvin}, "accent": {L: f.l, Kelvin: f.kelvin}}, Over: f.over})
			end := begin.Add(3 * time.Hour)
			if i+1 < len(fades) {
				end = begin.Add(fades[i+1].at)
			}
			for _, g := range w.watch(time.Until(end)) {
				for j := range g {
					want := from + (f.l-from)*share(g[j].at, at, at.Add(f.over))
					d := math.Abs(g[j].l - want)
					if want < 12 {
						dark = max(dark, d) // one level of the lamp is up to 3.6 L* there
					} else {
						off = max(off, d)
					}
					if j > 0 {
						step = max(step, math.Abs(g[j].l-g[j-1].l))
					}
				}
			}
			from = f.l
		}
		// Two lamps of the ambient role have a topic each: a message to one of them is half a role's.
		n := 0
		for _, p := range w.bus.commands("/set", begin) {
			if p.topic == "zigbee2mqtt/c/set" {
				n++
			}
		}
		rig.Bar(t, "none, three hours", "off the plan", off, 1, "L*")
		rig.Bar(t, "none, three hours", "off the plan below L* 12, half a level", dark, 1.8, "L*")
		rig.Bar(t, "none, three hours", "step in 50 ms", step, 0.5, "L*")
		rig.Bar(t, "none, three hours", "commands a second, of a role", float64(n)/time.Since(begin).Seconds(), 0.5, "1/s")
		rig.Bar(t, "none, three hours", "commands and questions a second, of a lamp", float64(n+len(w.bus.commands("c/get", begin)))/time.Since(begin).Seconds(), 0.5, "1/s")
	})
}
