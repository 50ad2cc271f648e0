package lights

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

func hue1() *bulb  { return &bulb{name: "zigbee2mqtt/hue1", on: true} }
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
				if v := c.Views()["ambient"]; v.State != Following || v.Says.Code != "" || v.Target.L != x.to {
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

var ambient = map[string][]Lamp{"ambient": z2m("hue1")}

// at has a bulb at an L*.
func at(x *bulb, l float64) *bulb {
	y := 254 * luminance(l)
	x.level = ramp{from: y, to: y}
	return x
}

func TestLampThatIsOffFadesUpFromTheFloor(t *testing.T) {
	for _, x := range []*bulb{hue1(), ikea1()} {
		x.on = false
		inBubble(t, map[string][]Lamp{"ambient": z2m(x.name[12:])}, []*bulb{x}, func(w *world, c *Controller) {
			time.Sleep(5 * time.Second)
			if n := len(w.bus.commands("/set", w.begin)); n != 0 {
				t.Fatalf("%d commands before any fade", n)
			}
			begin := time.Now()
			c.Fade(Move{Scene: Scene{"ambient": {L: 50}}, Over: time.Minute})
			g := w.watch(90 * time.Second)[x.name]
			lit := 0
			for i, y := range g {
				if y.l > 0 {
					lit = i
					break
				}
			}
			if g[lit].l > 7.2 {
				t.Errorf("%s lights up at %.1f L*", x.name, g[lit].l)
			}
			if j := jump(g[lit:]); j > 0.5 {
				t.Errorf("%s: a jump of %.2f L*", x.name, j)
			}
			if s := steepest(g[lit:]); s > 2 {
				t.Errorf("%s: %.1f L* in a second", x.name, s)
			}
			if end := g[len(g)-1].l; math.Abs(end-50) > 0.5 {
				t.Errorf("%s ends at %.1f", x.name, end)
			}
			if d := g[lit].at.Sub(begin); d > time.Second {
				t.Errorf("lit after %v", d)
			}
		})
	}
}

func TestPlannedFadeIsStretchedToItsLimit(t *testing.T) {
	inBubble(t, ambient, []*bulb{at(hue1(), 90)}, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 10}}, Over: 5 * time.Second})
		g := w.watch(70 * time.Second)["zigbee2mqtt/hue1"]
		if s := steepest(g); s > 2.3 {
			t.Errorf("%.2f L* in a second", s)
		}
		if end := g[len(g)-1].l; math.Abs(end-10) > 1.5 {
			t.Errorf("ends at %.1f", end)
		}
	})
}

func TestUnplannedMove(t *testing.T) {
	for _, x := range [][2]float64{{100, 7}, {7, 100}, {30, 28}} {
		inBubble(t, ambient, []*bulb{at(hue1(), x[0])}, func(w *world, c *Controller) {
			time.Sleep(5 * time.Second)
			c.Fade(Move{Scene: Scene{"ambient": {L: x[1]}}, Kind: Unplanned})
			g := w.watch(20 * time.Second)["zigbee2mqtt/hue1"]
			if s := steepest(g); s > 12 {
				t.Errorf("%v: %.1f L* in a second", x, s)
			}
			if end := g[len(g)-1].l; math.Abs(end-x[1]) > 0.5 {
				t.Errorf("%v: ends at %.1f", x, end)
			}
			if early := g[40].l; math.Abs(early-x[1]) < 0.3 {
				t.Errorf("%v: there after 2 s", x)
			}
		})
	}
}

func TestNewFadeTakesOverFromWhereTheLightIs(t *testing.T) {
	inBubble(t, ambient, []*bulb{at(hue1(), 80)}, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		var all []glimpse
		for i, l := range []float64{20, 70, 30, 60} {
			c.Fade(Move{Scene: Scene{"ambient": {L: l}}, Over: time.Minute})
			all = append(all, w.watch(time.Duration(17+3*i) * time.Second)["zigbee2mqtt/hue1"]...)
		}
		all = append(all, w.watch(time.Minute)["zigbee2mqtt/hue1"]...)
		if j := jump(all); j > 0.5 {
			t.Errorf("a jump of %.2f L*", j)
		}
		if s := steepest(all); s > 2.2 {
			t.Errorf("%.2f L* in a second", s)
		}
		if end := all[len(all)-1].l; math.Abs(end-60) > 0.5 {
			t.Errorf("ends at %.1f", end)
		}
	})
}

func TestHandOfAnotherProgram(t *testing.T) {
	inBubble(t, ambient, []*bulb{at(hue1(), 60)}, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 20}}, Over: time.Minute})
		time.Sleep(7 * time.Second)
		hand := time.Now()
		w.bus.say("zigbee2mqtt/hue1/set", `{"brightness":200}`)
		time.Sleep(100 * time.Millisecond)
		if v := c.Views()["ambient"]; v.State != Held || v.Says.Code == "" {
			t.Errorf("view %+v", v)
		}
		time.Sleep(5 * time.Minute)
		if n := w.bus.commands("/set", hand); len(n) != 0 {
			t.Errorf("commanded against a hand: %s", n[0].payload)
		}
		if v := c.Views()["ambient"]; v.Actual == nil || math.Abs(v.Actual.L-lightness(200./254)) > 1 {
			t.Errorf("actual %+v", v.Actual)
		}
		back := time.Now()
		c.Follow("ambient")
		g := w.watch(30 * time.Second)["zigbee2mqtt/hue1"]
		follows(t, g, back, lightness(200./254), 20, 10*time.Second, 3)
		if s := steepest(g); s > 12 {
			t.Errorf("%.1f L* in a second", s)
		}
		if v := c.Views()["ambient"]; v.State != Following {
			t.Errorf("view %+v", v)
		}
	})
}

// A switch or remote that speaks to the bulb alone: the bulb's report is the only sign.
func TestHandOnTheBulb(t *testing.T) {
	for _, when := range []time.Duration{500 * time.Millisecond, 2900 * time.Millisecond, 20 * time.Second, 10 * time.Minute} {
		for _, x := range []struct {
			on    bool
			level float64
			says  string
		}{
			{false, 100, `{"state":"OFF","brightness":100}`},
			{true, 254, `{"state":"ON","brightness":254}`},
			{true, 3, `{"state":"ON","brightness":3}`},
		} {
			inBubble(t, ambient, []*bulb{at(hue1(), 60)}, func(w *world, c *Controller) {
				time.Sleep(5 * time.Second)
				c.Fade(Move{Scene: Scene{"ambient": {L: 30}}, Over: time.Minute})
				time.Sleep(when)
				w.bulb("zigbee2mqtt/hue1").turn(x.on, x.level)
				w.bus.say("zigbee2mqtt/hue1", x.says)
				hand := time.Now()
				time.Sleep(3 * time.Second)
				if v := c.Views()["ambient"]; v.State != Held {
					t.Errorf("%s after %v: view %+v", x.says, when, v)
				}
				time.Sleep(2 * time.Minute)
				if n := w.bus.commands("/set", hand); len(n) != 0 {
					t.Errorf("%s after %v: commanded against a hand %v later: %s", x.says, when, n[0].at.Sub(hand), n[0].payload)
				}
			})
		}
	}
}

func TestPowerCut(t *testing.T) {
	for _, announce := range []bool{true, false} {
		for _, when := range []time.Duration{20 * time.Second, 10 * time.Minute} {
			inBubble(t, ambient, []*bulb{at(hue1(), 60)}, func(w *world, c *Controller) {
				time.Sleep(5 * time.Second)
				// In six seconds at 12 L* a second: a darker plan takes longer, since what must not startle goes first.
				c.Fade(Move{Scene: Scene{"ambient": {L: 40}}, Over: time.Minute})
				time.Sleep(when)
				cut := time.Now()
				w.power(w.bulb("zigbee2mqtt/hue1"), announce)
				g := w.watch(90 * time.Second)["zigbee2mqtt/hue1"]
				// Before it is found nobody can know how far it has to come.
				if s := steepest(g[1:]); announce && s > 12 {
					t.Errorf("%.1f L* in a second", s)
				}
				plan := func(at time.Time) float64 {
					return 60 - 20*min(1, (when+at.Sub(cut)).Seconds()/60)
				}
				home := time.Duration(0)
				for _, x := range g {
					if math.Abs(x.l-plan(x.at)) > 2 {
						home = x.at.Sub(cut)
					}
				}
				limit := 6 * time.Second
				if !announce {
					limit = 75 * time.Second
				}
				if home > limit {
					t.Errorf("announce %v after %v: on target after %v", announce, when, home)
				}
				if announce {
					if n := w.bus.commands("/set", cut); len(n) == 0 || n[0].at.Sub(cut) > 300*time.Millisecond {
						t.Error("not commanded within 0.3 s of the announce")
					}
				}
				if v := c.Views()["ambient"]; v.State != Following {
					t.Errorf("view %+v", v)
				}
			})
		}
	}
}

func group() (map[string][]Lamp, []*bulb) {
	return map[string][]Lamp{"ambient": z2m("all")}, []*bulb{
		at(&bulb{name: "zigbee2mqtt/hue1", on: true}, 60), at(&bulb{name: "zigbee2mqtt/hue2", on: true}, 60),
		at(&bulb{name: "zigbee2mqtt/ikea1", on: true, ikea: true}, 60), at(&bulb{name: "zigbee2mqtt/ikea2", on: true, ikea: true}, 60)}
}

func TestGroup(t *testing.T) {
	roles, bulbs := group()
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"ambient": {L: 20}}, Over: time.Minute})
		for name, g := range w.watch(90 * time.Second) {
			follows(t, g, begin, 60, 20, time.Minute, 1)
			if j := jump(g); j > 0.5 {
				t.Errorf("%s: a jump of %.2f L*", name, j)
			}
		}
		all, cast := w.bus.commands("/set", begin), w.bus.commands("all/set", begin)
		if len(all) != len(cast) || len(cast) == 0 {
			t.Errorf("%d commands, %d of them to the group", len(all), len(cast))
		}
		if rate := float64(len(w.bus.commands("", begin))) / 90; rate > 0.5 {
			t.Errorf("%.2f messages a second", rate)
		}
	})
}

func TestGroupOfDifferentLevelsComesTogether(t *testing.T) {
	roles, bulbs := group()
	at(bulbs[0], 95)
	at(bulbs[1], 10)
	bulbs[2].on = false
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 40}}, Over: 2 * time.Minute})
		for name, g := range w.watch(150 * time.Second) {
			lit := g
			for len(lit) > 0 && lit[0].l == 0 {
				lit = lit[1:]
			}
			if j := jump(lit); j > 0.5 {
				t.Errorf("%s: a jump of %.2f L*", name, j)
			}
			if s := steepest(lit); s > 2 {
				t.Errorf("%s: %.2f L* in a second", name, s)
			}
			if end := g[len(g)-1].l; math.Abs(end-40) > 1 {
				t.Errorf("%s ends at %.1f", name, end)
			}
		}
	})
}

func TestDeadBulbInAGroup(t *testing.T) {
	roles, bulbs := group()
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 30}}, Over: 10 * time.Minute})
		time.Sleep(time.Minute)
		w.bulb("zigbee2mqtt/hue2").dead.Store(true)
		time.Sleep(75 * time.Second)
		v := c.Views()["ambient"]
		if v.State != Lost || v.Says.Code == "" {
			t.Errorf("view %+v", v)
		}
		for _, l := range v.Lamps {
			if want := map[bool]State{true: Lost, false: Following}[l.Name == "zigbee2mqtt/hue2"]; l.State != want {
				t.Errorf("%s is %s", l.Name, l.State)
			}
		}
		begin := time.Now()
		for name, g := range w.watch(10 * time.Minute) {
			if name == "zigbee2mqtt/hue2" {
				continue
			}
			if j := jump(g); j > 0.5 {
				t.Errorf("%s: a jump of %.2f L*", name, j)
			}
			if end := g[len(g)-1].l; math.Abs(end-30) > 1 {
				t.Errorf("%s ends at %.1f", name, end)
			}
		}
		if n := len(w.bus.commands("/set", begin)); float64(n)/600 > 0.5 {
			t.Errorf("%d commands in ten minutes", n)
		}
		// It is back where it was left, and comes to the others gently.
		w.bulb("zigbee2mqtt/hue2").dead.Store(false)
		g := w.watch(time.Minute)["zigbee2mqtt/hue2"]
		if end := g[len(g)-1].l; math.Abs(end-30) > 1 {
			t.Errorf("ends at %.1f", end)
		}
		if s := steepest(g); s > 12 {
			t.Errorf("%.1f L* in a second", s)
		}
		if v := c.Views()["ambient"]; v.State != Following {
			t.Errorf("view %+v", v)
		}
	})
}

func TestUrgent(t *testing.T) {
	roles, bulbs := group()
	roles["accent"] = z2m("spot")
	bulbs = append(bulbs, at(&bulb{name: "zigbee2mqtt/spot", on: true}, 10))
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		w.groups["zigbee2mqtt/all"] = bulbs[:4]
		w.bus.keep("zigbee2mqtt/bridge/groups", `[{"friendly_name":"all","members":[{"ieee_address":"0x0"},{"ieee_address":"0x1"},{"ieee_address":"0x2"},{"ieee_address":"0x3"}]}]`)
		time.Sleep(5 * time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 20}, "accent": {L: 10}}, Over: time.Minute})
		time.Sleep(30 * time.Second)
		w.bus.say("zigbee2mqtt/spot/set", `{"state":"OFF"}`)
		w.bulb("zigbee2mqtt/ikea1").dead.Store(true)
		time.Sleep(time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"ambient": {L: 70}, "accent": {L: 80, Kelvin: 3000}}, Kind: Urgent})
		g := w.watch(2100 * time.Millisecond)
		for name, x := range g {
			want := 70.0
			if name == "zigbee2mqtt/spot" {
				want = 80
			}
			if name == "zigbee2mqtt/ikea1" {
				continue
			}
			if end := x[len(x)-1].l; math.Abs(end-want) > 1 {
				t.Errorf("%s is at %.1f after 2 s", name, end)
			}
		}
		for _, topic := range []string{"all/set", "spot/set"} {
			n := w.bus.commands(topic, begin)
			if len(n) < 3 || n[0].at.Sub(begin) > 50*time.Millisecond || n[2].at.Sub(begin) > 2*time.Second {
				t.Errorf("%s: %d commands", topic, len(n))
			}
		}
		time.Sleep(8 * time.Second)
		for _, a := range c.Answered() {
			if a.Waiting || a.Answered != (a.Lamp != "zigbee2mqtt/ikea1") {
				t.Errorf("%+v", a)
			}
		}
		if n := len(c.Answered()); n != 5 {
			t.Errorf("%d lamps in the report", n)
		}
		// And back to the arc from there.
		c.Fade(Move{Scene: Scene{"ambient": {L: 20}, "accent": {L: 10}}, Kind: Unplanned, Over: 10 * time.Second})
		for name, x := range w.watch(20 * time.Second) {
			if s := steepest(x); s > 12 {
				t.Errorf("%s: %.1f L* in a second", name, s)
			}
		}
	})
}

func TestConnectionLost(t *testing.T) {
	for _, out := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
		inBubble(t, ambient, []*bulb{at(hue1(), 90)}, func(w *world, c *Controller) {
			time.Sleep(5 * time.Second)
			begin := time.Now()
			c.Fade(Move{Scene: Scene{"ambient": {L: 10}}, Over: 3 * time.Minute})
			time.Sleep(30 * time.Second)
			w.bus.set(false)
			g := w.watch(out)["zigbee2mqtt/hue1"]
			w.bus.set(true)
			back := time.Now()
			g = append(g, w.watch(4 * time.Minute)["zigbee2mqtt/hue1"]...)
			if j := jump(g); j > 0.6 {
				t.Errorf("out %v: a jump of %.2f L*", out, j)
			}
			home := time.Duration(0)
			for _, x := range g {
				if want := 90 - 80*min(1, x.at.Sub(begin).Seconds()/180); math.Abs(x.l-want) > 2 {
					home = x.at.Sub(back)
				}
			}
			if home > 10*time.Second {
				t.Errorf("out %v: on the plan after %v", out, home)
			}
			if v := c.Views()["ambient"]; v.State != Following {
				t.Errorf("view %+v", v)
			}
		})
	}
}

func TestBridgeDown(t *testing.T) {
	inBubble(t, ambient, []*bulb{at(hue1(), 90)}, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"ambient": {L: 10}}, Over: 3 * time.Minute})
		time.Sleep(30 * time.Second)
		w.bus.say("zigbee2mqtt/bridge/state", `{"state":"offline"}`)
		x := w.bulb("zigbee2mqtt/hue1")
		x.dead.Store(true)
		time.Sleep(time.Second)
		if v := c.Views()["ambient"]; v.State != Lost || v.Says.Code == "" {
			t.Errorf("view %+v", v)
		}
		off := time.Now()
		time.Sleep(20 * time.Second)
		if n := len(w.bus.commands("", off)); n != 0 {
			t.Errorf("%d messages to a bridge that is off", n)
		}
		x.dead.Store(false)
		w.bus.say("zigbee2mqtt/bridge/state", `{"state":"online"}`)
		w.bus.say("zigbee2mqtt/hue1", `{"state":"ON","brightness":200}`)
		back := time.Now()
		g := w.watch(time.Minute)["zigbee2mqtt/hue1"]
		home := time.Duration(0)
		for _, x := range g {
			if want := 90 - 80*min(1, x.at.Sub(begin).Seconds()/180); math.Abs(x.l-want) > 2 {
				home = x.at.Sub(back)
			}
		}
		if home > 6*time.Second {
			t.Errorf("on the plan after %v", home)
		}
		if v := c.Views()["ambient"]; v.State != Following {
			t.Errorf("view %+v", v)
		}
	})
}

func TestCommandsLost(t *testing.T) {
	for seed := range 20 {
		inBubble(t, ambient, []*bulb{at(hue1(), 90)}, func(w *world, c *Controller) {
			time.Sleep(5 * time.Second)
			n := seed
			begin := time.Now()
			w.bus.losing(func(topic string) bool {
				n = n*1103515245 + 12345
				last := time.Since(begin) > 55*time.Second && time.Since(begin) < 61*time.Second
				return topic == "zigbee2mqtt/hue1/set" && (last || n>>16&0xff < 51)
			})
			c.Fade(Move{Scene: Scene{"ambient": {L: 30}}, Over: time.Minute})
			g := w.watch(90 * time.Second)["zigbee2mqtt/hue1"]
			if s := steepest(g); s > 2.1 {
				t.Errorf("%.2f L* in a second", s)
			}
			for _, x := range g {
				if x.at.Sub(begin) > 75*time.Second && math.Abs(x.l-30) > 0.6 {
					t.Errorf("at %.1f L* %v after the end", x.l, x.at.Sub(begin)-time.Minute)
					break
				}
			}
			if v := c.Views()["ambient"]; v.State != Following {
				t.Errorf("view %+v", v)
			}
		})
	}
}

func TestColour(t *testing.T) {
	for _, x := range []*bulb{hue1(), ikea1()} {
		at(x, 60)
		inBubble(t, map[string][]Lamp{"ambient": z2m(x.name[12:])}, []*bulb{x}, func(w *world, c *Controller) {
			time.Sleep(5 * time.Second)
			begin := time.Now()
			c.Fade(Move{Scene: Scene{"ambient": {L: 30, Kelvin: 2300}}, Over: 2 * time.Minute})
			g := w.watch(150 * time.Second)[x.name]
			follows(t, g, begin, 60, 30, 2*time.Minute, 1.2)
			if ct := g[len(g)-1].ct; math.Abs(ct-1e6/2300) > 2 {
				t.Errorf("%s ends at %.0f mired", x.name, ct)
			}
			for i := 1; i < len(g); i++ {
				if d := math.Abs(g[i].ct - g[i-1].ct); d > 10 {
					t.Fatalf("%s: %.0f mired in 50 ms", x.name, d)
				}
			}
			if g[1200].ct < 375 || g[1200].ct > 430 {
				t.Errorf("%s is at %.0f mired half way", x.name, g[1200].ct)
			}
			if rate := float64(len(w.bus.commands("/set", begin))) / 150; rate > 1 {
				t.Errorf("%s: %.2f commands a second", x.name, rate)
			}
		})
	}
}

func TestLampThatNeverAnswers(t *testing.T) {
	x := at(hue1(), 100)
	inBubble(t, ambient, []*bulb{x}, func(w *world, c *Controller) {
		w.bus.losing(func(topic string) bool { return topic == "zigbee2mqtt/hue1/get" })
		c.Fade(Move{Scene: Scene{"ambient": {L: 20}}, Over: time.Minute})
		g := w.watch(5 * time.Minute)[x.name]
		if s := steepest(g); s > 12 {
			t.Errorf("%.1f L* in a second", s)
		}
		if end := g[len(g)-1].l; math.Abs(end-20) > 1 {
			t.Errorf("ends at %.1f", end)
		}
		if v := c.Views()["ambient"]; v.State != Lost || v.Actual != nil {
			t.Errorf("view %+v", v)
		}
	})
}

func TestRetainedCommandIsTold(t *testing.T) {
	inBubble(t, ambient, []*bulb{at(hue1(), 60)}, func(w *world, c *Controller) {
		w.bus.keep("zigbee2mqtt/hue1/set", `{"brightness":77}`)
		time.Sleep(time.Second)
		w.bus.mu.Lock()
		hear := w.bus.subs[1].handle
		w.bus.mu.Unlock()
		hear("zigbee2mqtt/hue1/set", []byte(`{"brightness":77}`), true)
		c.Fade(Move{Scene: Scene{"ambient": {L: 60}}})
		time.Sleep(time.Minute)
		if v := c.Views()["ambient"]; v.State != Following || v.Says.Code == "" {
			t.Errorf("view %+v", v)
		}
	})
}

// ha is a lamp that speaks Home Assistant's JSON schema and tells its state as ESPHome does: where it goes to.
type ha struct {
	mu    sync.Mutex
	level ramp // 0 to 255
	on    bool
	bus   *bus
}

func newHA(b *bus, level float64) *ha {
	h := &ha{level: ramp{from: level, to: level}, on: true, bus: b}
	b.Subscribe("home/lamp/set", func(_ string, payload []byte, _ bool) {
		var m struct {
			State      string
			Brightness *float64
			Transition float64
		}
		if json.Unmarshal(payload, &m) != nil {
			return
		}
		now := time.Now()
		h.mu.Lock()
		h.on = m.State != "OFF"
		if m.Brightness != nil {
			h.level = ramp{h.level.at(now), *m.Brightness, now, now.Add(time.Duration(m.Transition * float64(time.Second)))}
		}
		h.mu.Unlock()
		h.tell()
	})
	return h
}

func (h *ha) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bus.say("home/lamp", fmt.Sprintf(`{"state":%q,"brightness":%.0f}`, map[bool]string{true: "ON", false: "OFF"}[h.on], h.level.to))
}

func (h *ha) watch(d time.Duration) (all []glimpse) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now := time.Now()
		h.mu.Lock()
		all = append(all, glimpse{at: now, l: lightness(h.level.at(now) / 255)})
		h.mu.Unlock()
	}
	return all
}

func TestHomeAssistant(t *testing.T) {
	roles := map[string][]Lamp{"accent": {{Driver: "homeassistant", Topic: "home/lamp"}}}
	inBubble(t, roles, nil, func(w *world, c *Controller) {
		h := newHA(w.bus, 255*luminance(60))
		time.Sleep(100 * time.Millisecond)
		h.tell()
		time.Sleep(5 * time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"accent": {L: 20, Kelvin: 2400}}, Over: time.Minute})
		g := h.watch(90 * time.Second)
		follows(t, g, begin, 60, 20, time.Minute, 1)
		if j := jump(g); j > 0.5 {
			t.Errorf("a jump of %.2f L*", j)
		}
		for _, p := range w.bus.commands("lamp/set", begin) {
			if !strings.Contains(string(p.payload), `"state":"ON"`) {
				t.Errorf("without a state: %s", p.payload)
			}
		}
		if v := c.Views()["accent"]; v.State != Following || v.Actual == nil {
			t.Errorf("view %+v", v)
		}
		// A hand in Home Assistant, and one on the lamp.
		w.bus.say("home/lamp/set", `{"state":"ON","brightness":200}`)
		time.Sleep(time.Second)
		if v := c.Views()["accent"]; v.State != Held || math.Abs(v.Actual.L-lightness(200./255)) > 1 {
			t.Errorf("view %+v %+v", v, v.Actual)
		}
		back := time.Now()
		c.Follow("accent")
		g = h.watch(30 * time.Second)
		follows(t, g, back, lightness(200./255), 20, 10*time.Second, 3)
		hand := time.Now()
		w.bus.say("home/lamp", `{"state":"OFF"}`)
		time.Sleep(5 * time.Minute)
		if n := w.bus.commands("lamp/set", hand); len(n) > 0 || c.Views()["accent"].State != Held {
			t.Errorf("%d commands against a hand, %s", len(n), c.Views()["accent"].State)
		}
	})
}

func TestHomeAssistantReconnects(t *testing.T) {
	roles := map[string][]Lamp{"accent": {{Driver: "homeassistant", Topic: "home/lamp"}}}
	inBubble(t, roles, nil, func(w *world, c *Controller) {
		h := newHA(w.bus, 255*luminance(60))
		c.Fade(Move{Scene: Scene{"accent": {L: 20}}, Over: 2 * time.Minute})
		g := h.watch(40 * time.Second)
		w.bus.set(false)
		g = append(g, h.watch(20*time.Second)...)
		w.bus.set(true)
		g = append(g, h.watch(2*time.Minute)...)
		if s := steepest(g); s > 12 {
			t.Errorf("%.1f L* in a second", s)
		}
		if end := g[len(g)-1].l; math.Abs(end-20) > 0.7 {
			t.Errorf("ends at %.1f", end)
		}
	})
}

// A lamp that can't fade is moved in steps.
func TestStepsOfALampThatCantFade(t *testing.T) {
	roles := map[string][]Lamp{"accent": {{Driver: "homeassistant", Topic: "home/lamp", Extra: map[string]string{"fade": "none"}}}}
	inBubble(t, roles, nil, func(w *world, c *Controller) {
		h := newHA(w.bus, 255*luminance(60))
		time.Sleep(100 * time.Millisecond)
		h.tell()
		time.Sleep(3 * time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"accent": {L: 30}}, Over: time.Minute})
		g := h.watch(70 * time.Second)
		if j := jump(g); j > 2.2 {
			t.Errorf("a jump of %.2f L*", j)
		}
		if end := g[len(g)-1].l; math.Abs(end-30) > 1 {
			t.Errorf("ends at %.1f", end)
		}
		for _, p := range w.bus.commands("lamp/set", begin) {
			if strings.Contains(string(p.payload), "transition") {
				t.Fatalf("a transition: %s", p.payload)
			}
		}
	})
}

func TestSimulatedLamp(t *testing.T) {
	roles := map[string][]Lamp{"ambient": {{Driver: "simulated"}}}
	inBubble(t, roles, nil, func(w *world, c *Controller) {
		time.Sleep(3 * time.Second)
		v := c.Views()["ambient"]
		if v.State != Following || v.Actual == nil {
			t.Fatalf("view %+v", v)
		}
		c.Fade(Move{Scene: Scene{"ambient": {L: 20, Color: "#ff9a4a"}}, Over: time.Minute})
		time.Sleep(2 * time.Minute)
		v = c.Views()["ambient"]
		if v.State != Following || math.Abs(v.Actual.L-20) > 1 {
			t.Errorf("view %+v %+v", v, v.Actual)
		}
		w.bus.say("roomd/lamp/ambient/set", `{"brightness":250}`)
		time.Sleep(3 * time.Second)
		v = c.Views()["ambient"]
		if v.State != Held || math.Abs(v.Actual.L-lightness(250./254)) > 1 {
			t.Errorf("view %+v %+v", v, v.Actual)
		}
	})
}

// Three hours in which the bridge repeats old values, intermediate ones and nonsense.
func TestNoisyReportsAreNoHand(t *testing.T) {
	roles, bulbs := group()
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		n := uint32(1)
		draw := func(below int) int { n = n*1664525 + 1013904223; return int(n>>8) % below }
		end := time.Now().Add(3 * time.Hour)
		for next := time.Now(); time.Now().Before(end); {
			if !time.Now().Before(next) {
				c.Fade(Move{Scene: Scene{"ambient": {L: float64(10 + draw(60)), Kelvin: 2200 + draw(1500)}}, Over: time.Duration(1+draw(8)) * time.Minute})
				next = time.Now().Add(10 * time.Minute)
			}
			x := bulbs[draw(4)]
			switch draw(5) {
			case 0:
				w.bus.say(x.name, fmt.Sprintf(`{"state":"ON","brightness":%d}`, draw(255)))
			case 1:
				w.bus.say(x.name, `{"state":"OFF","brightness":0}`)
			case 2:
				w.bus.say(x.name, `{"brightness":null,"state":7}`)
			case 3:
				w.bus.say(x.name, `{"state":"ON","linkquality":120,"color_temp":400}`)
			case 4:
				w.bus.say("zigbee2mqtt/all", fmt.Sprintf(`{"state":"ON","brightness":%d}`, draw(255)))
			}
			time.Sleep(time.Duration(500+draw(9000)) * time.Millisecond)
			if v := c.Views()["ambient"]; v.State == Held {
				t.Fatalf("a false alarm: %+v", v)
			}
		}
		for _, x := range bulbs {
			if got, want := x.seen(time.Now()).l, c.roles["ambient"].plan.to; math.Abs(got-want) > 1 {
				t.Errorf("%s ends at %.1f, not %.1f", x.name, got, want)
			}
		}
	})
}

func TestFlood(t *testing.T) {
	inBubble(t, ambient, []*bulb{at(hue1(), 90)}, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"ambient": {L: 30}}, Over: 2 * time.Minute})
		huge := `{"state":"` + strings.Repeat("x", 230_000) + `"}`
		go func() {
			for i := 0; time.Since(begin) < 20*time.Second; i++ {
				for range 100 {
					c.hear("zigbee2mqtt/hue1", []byte(`{"linkquality":1,"brightness":`), false)
				}
				if i%100 == 0 {
					c.hear("zigbee2mqtt/bridge/devices", []byte(huge), false)
					c.hear("zigbee2mqtt/bridge/groups", make([]byte, 2<<20), false)
					c.hear("zigbee2mqtt/hue1", []byte(huge), false)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		g := w.watch(150 * time.Second)["zigbee2mqtt/hue1"]
		follows(t, g, begin, 90, 30, 2*time.Minute, 1)
		if c.Dropped() < 40 {
			t.Errorf("%d dropped", c.Dropped())
		}
	})
}

func TestLampsThatAreWrong(t *testing.T) {
	roles := map[string][]Lamp{
		"a": {{Driver: "zigbe2mqtt", Topic: "x"}},
		"b": z2m("nobody"),
		"c": z2m("hue1"),
	}
	inBubble(t, roles, []*bulb{at(hue1(), 50)}, func(w *world, c *Controller) {
		c.Fade(Move{Scene: Scene{"a": {L: 50}, "b": {L: 50}, "c": {L: 40}, "nowhere": {L: 1}}, Over: time.Minute})
		time.Sleep(2 * time.Minute)
		for role, says := range map[string]string{"a": "lamps-kind", "b": "lamps-topic-unknown", "c": ""} {
			v := c.Views()[role]
			if v.Says.Code != says || (says == "") != (v.State == Following) {
				t.Errorf("%s: %+v", role, v)
			}
		}
	})
}

// One bulb of a group is moved by hand: the others follow, and no groupcast reaches it.
func TestHandOnOneOfAGroup(t *testing.T) {
	roles, bulbs := group()
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		begin := time.Now()
		c.Fade(Move{Scene: Scene{"ambient": {L: 20}}, Over: 2 * time.Minute})
		time.Sleep(20 * time.Second)
		w.bus.say("zigbee2mqtt/hue2/set", `{"brightness":200}`)
		time.Sleep(100 * time.Millisecond)
		for name, g := range w.watch(150 * time.Second) {
			if name == "zigbee2mqtt/hue2" {
				if end := g[len(g)-1].l; math.Abs(end-lightness(200./254)) > 0.1 {
					t.Errorf("the held one is at %.1f", end)
				}
				continue
			}
			if j := jump(g); j > 0.5 {
				t.Errorf("%s: a jump of %.2f L*", name, j)
			}
			follows(t, g, begin, 60, 20, 2*time.Minute, 1)
		}
		if v := c.Views()["ambient"]; v.State != Held || v.Says.Code != "lamps-held" || !strings.Contains(fmt.Sprint(v.Says.Args), "hue2") || strings.Contains(fmt.Sprint(v.Says.Args), "hue1") {
			t.Errorf("view %+v", v)
		}
	})
}

// A hand on the colour holds the colour, and the level goes on.
func TestHandOnTheColour(t *testing.T) {
	roles, bulbs := group()
	inBubble(t, roles, bulbs, func(w *world, c *Controller) {
		time.Sleep(5 * time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 40, Kelvin: 2500}}, Over: time.Minute})
		time.Sleep(80 * time.Second)
		w.bus.say("zigbee2mqtt/hue2/set", `{"color_temp":300}`)
		time.Sleep(time.Second)
		c.Fade(Move{Scene: Scene{"ambient": {L: 20, Kelvin: 2300}}, Over: time.Minute})
		time.Sleep(2 * time.Minute)
		for _, x := range bulbs {
			g := x.seen(time.Now())
			ct := 1e6 / 2300.
			if x.name == "zigbee2mqtt/hue2" {
				ct = 300
			}
			if math.Abs(g.l-20) > 1 || math.Abs(g.ct-ct) > 2 {
				t.Errorf("%s is at %.1f L*, %.0f mired", x.name, g.l, g.ct)
			}
		}
		if v := c.Views()["ambient"]; v.State != Held {
			t.Errorf("view %+v", v)
		}
	})
}

// A message that is no answer comes where one is awaited.
func TestStrayMessageInARecovery(t *testing.T) {
	for ms := 1; ms < 250; ms += 9 {
		inBubble(t, ambient, []*bulb{at(hue1(), 10)}, func(w *world, c *Controller) {
			c.Fade(Move{Scene: Scene{"ambient": {L: 15}}, Over: time.Minute})
			time.Sleep(time.Duration(ms) * time.Millisecond)
			w.bus.say("zigbee2mqtt/hue1", `{"state":"ON","brightness":200}`)
			g := w.watch(90 * time.Second)["zigbee2mqtt/hue1"]
			if s := steepest(g); s > 2.2 {
				t.Errorf("stray after %d ms: %.1f L* in a second", ms, s)
			}
			if end := g[len(g)-1].l; math.Abs(end-15) > 1 {
				t.Errorf("stray after %d ms: ends at %.1f", ms, end)
			}
		})
	}
}
