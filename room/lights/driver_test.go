package lights

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is asked of a driver, its messages are ones that a lamp can't be hurt by.
func TestOrdersOfAllDrivers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"zigbee2mqtt", "homeassistant", "simulated"}).Draw(rt, "driver")
		fade := rapid.SampledFrom([]string{"", "none", "one", "both"}).Draw(rt, "fade")
		l := Lamp{Driver: kind, Topic: "x", Extra: map[string]string{"fade": fade}}
		drv := drivers[kind]
		caps := drv.caps(l)
		o := order{level: rapid.IntRange(-5, 1000).Draw(rt, "level"), over: rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Millisecond, 1550 * time.Millisecond, time.Minute, 7000 * time.Second, 200 * time.Hour}).Draw(rt, "over")}
		switch rapid.IntRange(0, 2).Draw(rt, "hue") {
		case 1:
			o.hue = colour{byMired, rapid.Float64Range(-10, 1e6).Draw(rt, "mired"), 0}
		case 2:
			o.hue = colour{byXY, rapid.Float64Range(0, 1).Draw(rt, "x"), rapid.Float64Range(0, 1).Draw(rt, "y")}
		}
		for _, p := range drv.order(address{"x", l.Extra, caps}, o) {
			if p.topic != "x/set" {
				rt.Fatalf("topic %s", p.topic)
			}
			var m map[string]any
			if err := json.Unmarshal(p.payload, &m); err != nil {
				rt.Fatal(err)
			}
			attributes := 0
			for k, v := range m {
				f, _ := v.(float64)
				switch k {
				case "brightness":
					attributes++
					if f < float64(caps.Min) || f > float64(caps.Max) {
						rt.Fatalf("%s", p.payload)
					}
				case "color_temp":
					attributes++
					if f < float64(caps.MinMired) || f > float64(caps.MaxMired) {
						rt.Fatalf("%s", p.payload)
					}
				case "color":
					attributes++
				case "state":
					if v != "ON" {
						rt.Fatalf("%s", p.payload)
					}
				case "transition":
					if f < 0 || f > caps.MaxFade.Seconds() || caps.Fade == FadeNone {
						rt.Fatalf("%s", p.payload)
					}
				default:
					rt.Fatalf("%s", p.payload)
				}
			}
			if attributes == 0 || attributes > 1 && caps.Fade != FadeBoth {
				rt.Fatalf("%d attributes: %s", attributes, p.payload)
			}
		}
	})
}

func TestDecodeNonsense(t *testing.T) {
	for name, drv := range drivers {
		a := address{"x", map[string]string{"availability": "x/lwt"}, drv.caps(Lamp{Driver: name})}
		for _, topic := range []string{"x", "x/set", "x/set/brightness", "x/get", "x/availability", "x/lwt", "y", ""} {
			for _, payload := range []string{"", "null", "7", "[]", "{}", `{"brightness":null}`, `{"brightness":-4}`, `{"brightness":"NaN"}`, `{"state":[]}`,
				`{"color":{"x":1e999}}`, strings.Repeat("{", 10000)} {
				if r, ok := drv.decode(a, topic, []byte(payload)); ok && r.kind == saysState {
					t.Errorf("%s: %q on %s is a state: %+v", name, payload, topic, r)
				}
			}
		}
	}
}

func TestHomeAssistantTopics(t *testing.T) {
	a := address{"esp/light/lamp", map[string]string{"command": "esp/light/lamp/command", "state": "esp/light/lamp/state"}, homeAssistant{}.caps(Lamp{})}
	if p := (homeAssistant{}).order(a, order{level: 100, over: 1500 * time.Millisecond}); len(p) != 1 || p[0].topic != "esp/light/lamp/command" ||
		string(p[0].payload) != `{"brightness":100,"state":"ON","transition":1.5}` {
		t.Errorf("%s", p)
	}
	r, ok := homeAssistant{}.decode(a, "esp/light/lamp/state", []byte(`{"state":"ON","brightness":51,"color_mode":"color_temp","color_temp":370}`))
	if !ok || !r.on || r.level != 0.2 || r.hue != (colour{byMired, 370, 0}) {
		t.Errorf("%+v", r)
	}
}

// TestWhiteIsInTheLampsOwnUnit has a lamp that speaks of kelvin commanded and heard in kelvin, whatever white it is asked
// for, and what no lamp can mean refused.
func TestWhiteIsInTheLampsOwnUnit(t *testing.T) {
	offer := func(config string) Offer {
		s := &Finder{found: map[string]Offer{}}
		s.homeAssistant("homeassistant/light/x/config", []byte(config))
		return s.found["homeassistant x"]
	}
	o := offer(`{"schema":"json","command_topic":"x/set","state_topic":"x","supported_color_modes":["color_temp"],"color_temp_kelvin":true,"min_kelvin":2200,"max_kelvin":6500}`)
	if o.Lamp.Extra["color_temp"] != "kelvin" || o.Caps.MaxMired != 455 || o.Caps.MinMired != 154 || o.Trouble != "" {
		t.Errorf("%+v", o)
	}
	for _, config := range []string{`"min_kelvin":4`, `"min_mireds":2200`, `"max_kelvin":1e9`} {
		if o := offer(`{"schema":"json","command_topic":"x/set","state_topic":"x","sup_clrm":["color_temp"],` + config + `}`); o.Trouble == "" || o.Caps.MinMired != 153 || o.Caps.MaxMired != 500 {
			t.Errorf("%s: %+v", config, o)
		}
	}
	a := address{"x", o.Lamp.Extra, o.Caps}
	rapid.Check(t, func(rt *rapid.T) {
		mired := float64(rapid.IntRange(o.Caps.MinMired, o.Caps.MaxMired).Draw(rt, "mired"))
		var m struct {
			Kelvin float64 `json:"color_temp"`
		}
		p := homeAssistant{}.order(a, order{hue: colour{mode: byMired, a: mired}})
		if len(p) != 1 || json.Unmarshal(p[0].payload, &m) != nil || math.Abs(1e6/m.Kelvin-mired) > 0.11 { // half a kelvin
			rt.Fatalf("%g mired: %s", mired, p)
		}
		r, ok := homeAssistant{}.decode(a, "x", fmt.Appendf(nil, `{"color_mode":"color_temp","color_temp":%g}`, m.Kelvin))
		if !ok || math.Abs(r.hue.a-mired) > 0.11 {
			rt.Fatalf("%g mired comes back as %+v", mired, r)
		}
	})
	for _, c := range []struct {
		extra map[string]string
		says  string
	}{{nil, `{"state":"ON","color_temp":4000}`}, {o.Lamp.Extra, `{"state":"ON","color_temp":250}`}} {
		if r, ok := (homeAssistant{}).decode(address{"x", c.extra, o.Caps}, "x", []byte(c.says)); !ok || !r.on || r.hue.mode != asItIs || r.impossible == "" {
			t.Errorf("%s: %+v", c.says, r)
		}
	}
}
