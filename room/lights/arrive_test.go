package lights

import (
	"math"
	"testing"
	"time"
)

// After a fade and after a quick scene the page shows where the lamps are, not where they were on the way.
func TestReadsBackWhenAFadeEnds(t *testing.T) {
	for name, m := range map[string]Move{
		"a fade":        {Scene: Scene{"ambient": {L: 60}}, Over: 40 * time.Second},
		"a quick scene": {Scene: Scene{"ambient": {L: 80}}, Over: 3 * time.Second, Kind: Unplanned},
	} {
		t.Run(name, func(t *testing.T) {
			roles := map[string][]Lamp{"ambient": z2m("a", "b")}
			inBubble(t, roles, []*bulb{{name: "zigbee2mqtt/a", on: true}, {name: "zigbee2mqtt/b", on: true}}, func(w *world, c *Controller) {
				time.Sleep(20 * time.Second)
				begin := time.Now()
				c.Fade(m)
				end := m.Over
				if need := time.Duration(math.Abs(100-m.Scene["ambient"].L) / plannedSlope * float64(time.Second)); m.Kind == Planned && need > end {
					end = need
				}
				time.Sleep(time.Until(begin.Add(end + 4*time.Second)))
				for _, l := range c.Views()["ambient"].Lamps {
					if l.Actual == nil || math.Abs(l.Actual.L-m.Scene["ambient"].L) > 1 {
						t.Errorf("%s is shown at %+v 4 s after the end", l.Name, l.Actual)
					}
				}
			})
		})
	}
}
