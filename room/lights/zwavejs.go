package lights

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

var _ = register(kind{name: "zwavejs", rank: 6, options: []string{"fade"}, driver: zwave{}, offers: map[string]func(*Finder, string, []byte){
	"+/+/38/+/currentValue": (*Finder).zwave, "+/+/+/38/+/currentValue": (*Finder).zwave,
	"+/+/switch_multilevel/currentValue": (*Finder).zwave, "+/+/+/switch_multilevel/currentValue": (*Finder).zwave,
}})

// zwave speaks to a Z-Wave dimmer through zwave-js-ui's MQTT gateway, by the topic of its Multilevel Switch (command class
// 38): zwave/NODE/38/0 with value topics, zwave/NODE/switch_multilevel with named ones. It can't be asked: the gateway polls
// by an API of its own. It tells each value that the dimmer reports.
type zwave struct{}

// caps: a duration is 1 to 127 whole seconds; longer ones count in minutes.
func (zwave) caps(l Lamp) Caps {
	return Caps{Fade: fadeOf(l, FadeBoth), MaxFade: 2 * time.Minute, Min: 1, Max: 99}
}

// node is the topic of the dimmer's node, which has its status.
func (zwave) node(a address) string {
	for _, class := range []string{"/38/", "/switch_multilevel"} {
		if i := strings.LastIndex(a.topic, class); i > 0 {
			return a.topic[:i]
		}
	}
	return a.topic
}

func (z zwave) hears(a address) []string {
	return []string{a.topic + "/currentValue", a.topic + "/targetValue/set", z.node(a) + "/status"}
}

func (zwave) order(a address, o order) []packet {
	if o.level <= 0 {
		return nil
	}
	m := map[string]any{"value": min(a.caps.Max, max(a.caps.Min, o.level))}
	if a.caps.Fade != FadeNone {
		// Up to whole seconds: a lamp that arrives early has been too fast.
		seconds := (limit(a.caps, o.over) + time.Second - time.Millisecond) / time.Second
		m["options"] = map[string]string{"transitionDuration": fmt.Sprintf("%ds", seconds)}
	}
	return encoded(a.topic+"/targetValue/set", m)
}

func (zwave) asks(address, bool) []packet { return nil }

// value is the gateway's payload: JSON with a value, or the value alone.
func (zwave) value(payload []byte) json.RawMessage {
	var m struct{ Value json.RawMessage }
	if json.Unmarshal(payload, &m) == nil {
		return m.Value
	}
	return payload
}

func (z zwave) decode(a address, topic string, payload []byte) (report, bool) {
	switch topic {
	case a.topic + "/currentValue":
		n, ok := number(z.value(payload))
		if !ok || n < 0 || n > 99 {
			return report{}, false // 254 is unknown
		}
		return report{kind: saysState, hasOn: true, on: n > 0, hasLevel: n > 0, level: n / 99}, true
	case a.topic + "/targetValue/set":
		return report{kind: saysCommand, movesLevel: true}, len(payload) > 0
	case z.node(a) + "/status":
		v := string(z.value(payload))
		return report{kind: saysOnline, on: v == "true"}, v == "true" || v == "false"
	}
	return report{}, false
}

func (s *Finder) zwave(topic string, payload []byte) {
	if _, ok := number(zwave{}.value(payload)); ok {
		l := Lamp{Driver: "zwavejs", Topic: strings.TrimSuffix(topic, "/currentValue")}
		s.add(Offer{Lamp: l, Caps: zwave{}.caps(l)})
	}
}
