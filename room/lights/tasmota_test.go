package lights

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is asked, Tasmota is only sent a dimmer that is light and a white that it has, each with a Speed2 of its own.
func TestOrdersToTasmota(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := Lamp{Driver: "tasmota", Topic: "x", Extra: map[string]string{"led_table": rapid.SampledFrom([]string{"", "on", "off"}).Draw(rt, "led_table")}}
		caps := tasmota{}.caps(l)
		o := order{level: rapid.IntRange(-5, 2000).Draw(rt, "level"), over: rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Millisecond, urgentOver, time.Hour}).Draw(rt, "over"),
			hue: rapid.SampledFrom([]colour{{}, {byMired, -4, 0}, {byMired, 370, 0}, {byMired, 1e6, 0}, {byXY, 0.3, 0.3}}).Draw(rt, "hue")}
		for _, p := range (tasmota{}).order(address{"x", l.Extra, caps}, o) {
			if p.topic != "cmnd/x/Backlog0" {
				rt.Fatalf("topic %s", p.topic)
			}
			speed, command, _ := strings.Cut(string(p.payload), ";")
			n, err := strconv.Atoi(strings.TrimPrefix(speed, "Speed2 "))
			if err != nil || n < 1 || n > 40 || o.over == urgentOver && n > 3 {
				rt.Fatalf("%s", p.payload)
			}
			name, value, _ := strings.Cut(command, " ")
			v, err := strconv.Atoi(value)
			if ok := name == "Dimmer" && v >= 1 && v <= 100 || name == "CT" && v >= 153 && v <= 500; !ok || err != nil {
				rt.Fatalf("%s", p.payload)
			}
		}
	})
}

func TestTasmota(t *testing.T) {
	a := address{"t1", nil, tasmota{}.caps(Lamp{})}
	for _, c := range []struct {
		o    order
		want string
	}{
		{order{level: 1}, "Speed2 24;Dimmer 1"},
		{order{level: 106}, "Speed2 24;Dimmer 45"}, // 457 of 1023 gives 106 of 1023
		{order{level: 1023, over: urgentOver}, "Speed2 3;Dimmer 100"},
		{order{hue: colour{byMired, 370, 0}}, "Speed2 24;CT 370"},
	} {
		if p := (tasmota{}).order(a, c.o); len(p) != 1 || string(p[0].payload) != c.want {
			t.Errorf("%+v: %s", c.o, p)
		}
	}
	// A percent is about one L* all the way, which is why steps of a percent do.
	for d := 2; d <= 100; d++ {
		step := lightness(tasmota{}.share(a.caps, float64(d))) - lightness(tasmota{}.share(a.caps, float64(d-1)))
		if step < 0.3 || step > 1.7 {
			t.Errorf("from %d to %d %% is a step of %.2f L*", d-1, d, step)
		}
		if back := (tasmota{}).dimmer(a.caps, int(math.Round((tasmota{}).share(a.caps, float64(d))*1023))); math.Abs(float64(back-d)) > 5 || d > 20 && back != d {
			t.Errorf("%d %% becomes %d %%", d, back)
		}
	}
	for _, c := range []struct {
		topic, payload string
		want           report
		ok             bool
	}{
		{"stat/t1/RESULT", `{"POWER":"ON","Dimmer":100,"Color":"FF00","CT":370}`, report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 1, hue: colour{byMired, 370, 0}}, true},
		{"stat/t1/RESULT", `{"Speed2":24}`, report{}, false},
		{"tele/t1/STATE", `{"Time":"2026-01-01T00:00:00","POWER":"OFF","Dimmer":100,"LedTable":"ON"}`, report{kind: saysState, hasOn: true, hasLevel: true, level: 1}, true},
		{"tele/t1/LWT", "Offline", report{kind: saysOnline}, true},
		{"cmnd/t1/POWER", "TOGGLE", report{kind: saysCommand, movesLevel: true}, true},
		{"cmnd/t1/Dimmer", "", report{}, false}, // a question
		{"cmnd/t1/CT", "200", report{kind: saysCommand, movesColour: true}, true},
		{"cmnd/t1/backlog", "Dimmer 3", report{kind: saysCommand, movesLevel: true, movesColour: true}, true},
		{"cmnd/t1/TelePeriod", "10", report{}, false},
	} {
		if r, ok := (tasmota{}).decode(a, c.topic, []byte(c.payload)); ok != c.ok || ok && r != c.want {
			t.Errorf("%s on %s: %+v, %v", c.payload, c.topic, r, ok)
		}
	}
}
