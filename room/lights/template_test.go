package lights

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is asked, a template's messages hold a level that is light, a white that exists, and a time that was allowed.
func TestOrdersByTemplate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := Lamp{Driver: "template", Topic: "x", Extra: map[string]string{"command": "x", "payload": `{"b":{level},"s":{seconds},"ms":{milliseconds}}`,
			"payload_white": `{"m":{mired},"k":{kelvin},"s":{seconds},"ms":{milliseconds}}`, "max_fade": rapid.SampledFrom([]string{"", "30s", "5m0s"}).Draw(rt, "max_fade"),
			"fade": rapid.SampledFrom([]string{"", "none", "both"}).Draw(rt, "fade"), "brightness_scale": rapid.SampledFrom([]string{"", "100", "10..1000"}).Draw(rt, "scale")}}
		caps := template{}.caps(l)
		o := order{level: rapid.IntRange(-5, 2000).Draw(rt, "level"), over: rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Millisecond, urgentOver, 200 * time.Hour}).Draw(rt, "over"),
			hue: rapid.SampledFrom([]colour{{}, {byMired, -4, 0}, {byMired, 370, 0}, {byMired, 1e6, 0}, {byXY, 0.3, 0.3}}).Draw(rt, "hue")}
		for _, p := range (template{}).order(address{"x", l.Extra, caps}, o) {
			var m struct {
				B, M, K, MS *int
				S           float64
			}
			if err := json.Unmarshal(p.payload, &m); err != nil {
				rt.Fatalf("%s: %v", p.payload, err)
			}
			bright := m.B != nil && *m.B >= caps.Min && *m.B <= caps.Max && caps.Min > 0
			white := m.M != nil && *m.M >= 153 && *m.M <= 500 && m.K != nil && *m.K >= 2000 && *m.K <= 6536
			if bright == white || m.S < 0 || m.S > caps.MaxFade.Seconds() || *m.MS != int(m.S*1000+0.5) || caps.Fade == FadeNone && m.S > 0 {
				rt.Fatalf("%s", p.payload)
			}
		}
	})
}

func TestTemplate(t *testing.T) {
	l := Lamp{Extra: map[string]string{"command": "lamp/set", "payload": "{level}", "brightness_scale": "5..100", "state": "lamp", "state_level": "out.0.bri", "availability": "lamp/lwt"}}
	a := address{"lamp/set", l.Extra, template{}.caps(l)}
	for _, c := range []struct {
		topic, payload string
		want           report
		ok             bool
	}{
		{"lamp", `{"out":[{"bri":20}]}`, report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 0.2}, true},
		{"lamp", `{"out":[{"bri":"20"}]}`, report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 0.2}, true},
		{"lamp", `{"out":[{"bri":0}]}`, report{kind: saysState, hasOn: true}, true},
		{"lamp", `{"out":[]}`, report{}, false},
		{"lamp", `{"out":{"bri":20}}`, report{}, false},
		{"lamp", `20`, report{}, false},
		{"lamp/set", "7", report{kind: saysCommand, movesLevel: true}, true},
		{"lamp/lwt", "Online", report{kind: saysOnline, on: true}, true},
		{"lamp/lwt", "gone", report{}, false},
	} {
		if r, ok := (template{}).decode(a, c.topic, []byte(c.payload)); ok != c.ok || ok && r != c.want {
			t.Errorf("%s on %s: %+v, %v", c.payload, c.topic, r, ok)
		}
	}
	delete(l.Extra, "state_level")
	if r, ok := (template{}).decode(a, "lamp", []byte(" 50 ")); !ok || r.level != 0.5 {
		t.Errorf("a plain number: %+v", r)
	}
	if p := (template{}).order(a, order{level: 2}); len(p) != 1 || string(p[0].payload) != "5" {
		t.Errorf("%s", p)
	}
}
