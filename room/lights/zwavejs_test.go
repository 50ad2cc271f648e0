package lights

import (
	"slices"
	"testing"
	"time"

	"roomd/rig"
)

// TestZwave commands and hears a Z-Wave dimmer in the payloads that zwave-js-ui documents, for each kind of its topics.
func TestZwave(t *testing.T) {
	for _, topic := range []string{"zwave/5/38/0", "zwave/office/lamp/switch_multilevel", "zwave/lamp/switch_multilevel/endpoint_1"} {
		a := address{topic, nil, zwave{}.caps(Lamp{})}
		for _, c := range []struct {
			o    order
			want string
		}{
			{order{level: 40, over: 2600 * time.Millisecond}, `{"options":{"transitionDuration":"3s"},"value":40}`},
			{order{level: 300, over: time.Hour}, `{"options":{"transitionDuration":"120s"},"value":99}`},
			{order{level: 1}, `{"options":{"transitionDuration":"0s"},"value":1}`},
		} {
			if p := (zwave{}).order(a, c.o); len(p) != 1 || p[0].topic != topic+"/targetValue/set" || string(p[0].payload) != c.want {
				t.Errorf("%+v: %s", c.o, p)
			}
		}
		if p := (zwave{}).order(a, order{hue: colour{mode: byMired, a: 370}}); p != nil {
			t.Errorf("a dimmer has no colour: %s", p)
		}
		for _, c := range []struct {
			topic, payload string
			ok             bool
			want           report
		}{
			{topic + "/currentValue", `{"time":1548683523859,"value":99}`, true, report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 1}},
			{topic + "/currentValue", `33`, true, report{kind: saysState, hasOn: true, on: true, hasLevel: true, level: 33.0 / 99}},
			{topic + "/currentValue", `{"time":1,"value":0}`, true, report{kind: saysState, hasOn: true}},
			{topic + "/currentValue", `{"time":1,"value":254}`, false, report{}},
			{topic + "/currentValue", `{"time":1}`, false, report{}},
			{topic + "/targetValue", `{"time":1,"value":50}`, false, report{}},
			{topic + "/targetValue/set", `50`, true, report{kind: saysCommand, movesLevel: true}},
			{zwave{}.node(a) + "/status", `{"time":1,"value":false,"status":"Dead"}`, true, report{kind: saysOnline}},
			{zwave{}.node(a) + "/status", `true`, true, report{kind: saysOnline, on: true}},
		} {
			if r, ok := (zwave{}).decode(a, c.topic, []byte(c.payload)); ok != c.ok || ok && r != c.want {
				t.Errorf("%s %s: %v %+v", c.topic, c.payload, ok, r)
			}
		}
	}
}

// TestZwaveIsOffered finds dimmers among what a gateway tells.
func TestZwaveIsOffered(t *testing.T) {
	b := newBus(t.Context())
	b.keep("zwave/5/38/0/currentValue", `{"time":1,"value":20}`)
	b.keep("zwave/office/lamp/switch_multilevel/currentValue", `20`)
	b.keep("zwave/6/38/0/currentValue", `{"time":1}`)
	b.keep("zwave/7/37/0/currentValue", `{"time":1,"value":true}`)
	f := Find(b)
	b.say("zwave/8/38/0/currentValue", `20`) // heard after all others
	var got []Offer
	rig.Eventually(t, "the last one is found", func() bool {
		got = f.Offers()
		return slices.ContainsFunc(got, func(o Offer) bool { return o.Lamp.Topic == "zwave/8/38/0" })
	})
	if len(got) != 3 || got[0].Lamp.YAML() != "{driver: zwavejs, topic: zwave/5/38/0}" || got[2].Lamp.Topic != "zwave/office/lamp/switch_multilevel" {
		t.Errorf("%+v", got)
	}
}
