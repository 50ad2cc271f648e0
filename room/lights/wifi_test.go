package lights

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDriversAreListedOnce(t *testing.T) {
	if listed, known := slices.Sorted(slices.Values(Drivers)), slices.Sorted(maps.Keys(drivers)); !slices.Equal(listed, known) {
		t.Errorf("listed %v, known %v", listed, known)
	}
}

// Whatever is asked, a lamp on the wifi is only sent a level that is light, with a transition that it takes.
func TestOrdersOverWifi(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]string{"wled", "shelly"}).Draw(rt, "driver")
		l := Lamp{Driver: kind, Topic: "x", Extra: map[string]string{"fade": rapid.SampledFrom([]string{"", "none", "both"}).Draw(rt, "fade")}}
		drv := drivers[kind]
		caps := drv.caps(l)
		o := order{level: rapid.IntRange(-5, 1000).Draw(rt, "level"), over: rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Millisecond, 1550 * time.Millisecond, time.Minute, 200 * time.Hour}).Draw(rt, "over")}
		for _, p := range drv.order(address{"x", l.Extra, caps}, o) {
			var m struct {
				Method string
				On     *bool
				Bri    *int
				TT     *int
				Params *struct {
					On         *bool
					Brightness *int
					Transition float64 `json:"transition_duration"`
				}
			}
			if err := json.Unmarshal(p.payload, &m); err != nil {
				rt.Fatal(err)
			}
			on, level, over := m.On, m.Bri, 0.0
			if m.TT != nil {
				over = float64(*m.TT) / 10
			}
			if m.Params != nil {
				on, level, over = m.Params.On, m.Params.Brightness, m.Params.Transition
			}
			if on == nil || !*on || level == nil || *level < caps.Min || *level > caps.Max || over < 0 || over > caps.MaxFade.Seconds() || caps.Fade == FadeNone && over > 0 {
				rt.Fatalf("%s", p.payload)
			}
		}
	})
}

func TestWLED(t *testing.T) {
	a := address{"wled/shelf", nil, wled{}.caps(Lamp{})}
	p := wled{}.order(a, order{level: 40, over: 5 * time.Second, hue: colour{byMired, 370, 0}})
	if len(p) != 1 || p[0].topic != "wled/shelf/api" || string(p[0].payload) != `{"bri":40,"on":true,"tt":50}` {
		t.Errorf("%s", p)
	}
	// 65.5 s and more wrap to almost nothing.
	var m struct{ TT int }
	if err := json.Unmarshal(wled{}.order(a, order{level: 40, over: time.Hour})[0].payload, &m); err != nil || m.TT > 655 || m.TT < 500 {
		t.Errorf("a long fade is sent as %d tenths: %v", m.TT, err)
	}
	for _, o := range []order{{}, {hue: colour{byMired, 370, 0}}} {
		if p := (wled{}).order(a, o); p != nil {
			t.Errorf("%+v is sent as %s", o, p)
		}
	}
	for _, c := range []struct {
		topic, payload string
		want           report
		ok             bool
	}{
		{"wled/shelf/g", "51", report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 0.2}, true},
		{"wled/shelf/g", "0", report{kind: saysState, hasOn: true}, true},
		{"wled/shelf/g", "900", report{}, false},
		{"wled/shelf/status", "offline", report{kind: saysOnline}, true},
		{"wled/shelf", "T", report{kind: saysCommand, movesLevel: true}, true},
		{"wled/shelf/col", "#FF0000", report{kind: saysCommand, movesColour: true}, true},
	} {
		if r, ok := (wled{}).decode(a, c.topic, []byte(c.payload)); ok != c.ok || ok && r != c.want {
			t.Errorf("%s on %s: %+v, %v", c.payload, c.topic, r, ok)
		}
	}
}

func TestShelly(t *testing.T) {
	a := address{"shellydimmer-1", nil, shelly{}.caps(Lamp{})}
	for _, c := range []struct {
		o    order
		want string
	}{
		{order{level: 40, over: 5 * time.Second}, `{"id":1,"method":"Light.Set","params":{"brightness":40,"id":0,"on":true,"transition_duration":5},"src":"roomd/shellydimmer-1"}`},
		{order{level: 40, over: 100 * time.Millisecond}, `{"id":1,"method":"Light.Set","params":{"brightness":40,"id":0,"on":true,"transition_duration":0.5},"src":"roomd/shellydimmer-1"}`},
	} {
		if p := (shelly{}).order(a, c.o); len(p) != 1 || p[0].topic != "shellydimmer-1/rpc" || string(p[0].payload) != c.want {
			t.Errorf("%s", p)
		}
	}
	if p := (shelly{}).asks(a, true); len(p) != 1 || string(p[0].payload) != `{"id":2,"method":"Light.GetStatus","params":{"id":0},"src":"roomd/shellydimmer-1"}` {
		t.Errorf("%s", p)
	}
	for _, c := range []struct {
		topic, payload string
		want           report
		ok             bool
	}{
		{"shellydimmer-1/status/light:0", `{"id":0,"source":"WS_in","output":true,"brightness":20}`, report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 0.2}, true},
		{"roomd/shellydimmer-1/rpc", `{"id":2,"src":"shellydimmer-1","dst":"roomd/shellydimmer-1","result":{"id":0,"output":false,"brightness":20}}`, report{kind: saysState, hasOn: true, hasLevel: true, level: 0.2}, true},
		{"roomd/shellydimmer-1/rpc", `{"id":1,"src":"shellydimmer-1","result":null}`, report{}, false}, // taken is not answered
		{"shellydimmer-1/rpc", `{"id":9,"src":"ha","method":"Light.Set","params":{"id":0,"on":false}}`, report{kind: saysCommand, movesLevel: true}, true},
		{"shellydimmer-1/rpc", `{"id":9,"src":"ha","method":"Light.GetStatus","params":{"id":0}}`, report{}, false},
		{"shellydimmer-1/online", "false", report{kind: saysOnline}, true},
	} {
		if r, ok := (shelly{}).decode(a, c.topic, []byte(c.payload)); ok != c.ok || ok && r != c.want {
			t.Errorf("%s on %s: %+v, %v", c.payload, c.topic, r, ok)
		}
	}
}
