package lights

import (
	"math"
	"testing"
	"time"
)

func hue1() *bulb { return &bulb{name: "zigbee2mqtt/hue1", on: true} }
func ikea1() *bulb { return &bulb{name: "zigbee2mqtt/ikea1", on: true, ikea: true} }

// follows checks a light against a straight line in L*.
func follows(t *testing.T, g []glimpse, begin time.Time, from, to float64, over time.Duration, within float64) {
	t.Helper()
	worst, at := 0.0, time.Duration(0)
	for _, x := range g {
		want := from + (to-from)*share(x.at, begin, begin.Add(over))
		if d := math.Abs(x.l - want); d > worst {
			worst, at = d, x.at.Sub(begin)
		}
	}
	if worst > within {
		t.Errorf("%.2f L* from the plan after %v", worst, at)
	}
}

func TestFade(t *testing.T) {
	for _, x := range []struct {
		name     string
		bulb     *bulb
		from, to float64
		over     time.Duration
	}{
		{"down", hue1(), 100, 20, 60 * time.Second},
		{"down to the dark", ikea1(), 60, 7.1, 5 * time.Minute},
		{"slow in the dark", ikea1(), 14, 4, 10 * time.Minute},
		{"up", ikea1(), 20, 90, 2 * time.Minute},
	} {
		t.Run(x.name, func(t *testing.T) {
			x.bulb.level.to = 254 * luminance(x.from)
			x.bulb.level.from = x.bulb.level.to
			inBubble(t, map[string][]Lamp{"ambient": z2m(x.bulb.name[12:])}, []*bulb{x.bulb}, func(w *world, c *Controller) {
				time.Sleep(5 * time.Second)
				begin := time.Now()
				c.Fade(Move{Scene: Scene{"ambient": {L: x.to}}, Over: x.over})
				g := w.watch(x.over + 30*time.Second)[x.bulb.name]
				follows(t, g, begin, x.from, x.to, x.over, 1)
				if j := jump(g); j > 0.5 {
					t.Errorf("a jump of %.2f L*", j)
				}
				n := len(w.bus.commands("/set", begin))
				if rate := float64(n) / (x.over + 30*time.Second).Seconds(); rate > 0.5 {
					t.Errorf("%.2f commands a second", rate)
				}
				if v := c.Views()["ambient"]; v.State != Following || v.Says != "" || v.Target.L != x.to {
					t.Errorf("view %+v", v)
				}
				time.Sleep(time.Minute)
				if v := c.Views()["ambient"]; v.Actual == nil || math.Abs(v.Actual.L-x.to) > 2 {
					t.Errorf("view %+v actual %v", v, v.Actual)
				}
			})
		})
	}
}
