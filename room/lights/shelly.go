package lights

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

var _ = register(kind{name: "shelly", rank: 4, options: []string{"fade"}, driver: shelly{},
	offers: map[string]func(*Finder, string, []byte){
		"+/online": (*Finder).shelly, "+/status/light:0": (*Finder).shelly, shelly{}.from(address{topic: "+"}) + "/rpc": (*Finder).shelly,
	}})

// shelly speaks the RPC of Shelly's second generation and later to a device's first dimmer, light:0.
type shelly struct{}

// Shelly takes transitions from half a second to three hours.
const shellyLeast = 500 * time.Millisecond

func (shelly) caps(l Lamp) Caps {
	return Caps{Fade: fadeOf(l, FadeBoth), MaxFade: 5 * time.Minute, Min: 1, Max: 100, ReadBack: true}
}

// The answer to a question comes on the topic of who asked, so each lamp is asked in a name of its own.
func (shelly) from(a address) string { return "roomd/" + a.topic }

func (s shelly) hears(a address) []string {
	return []string{a.topic + "/rpc", a.topic + "/status/light:0", a.topic + "/online", s.from(a) + "/rpc"}
}

func (s shelly) order(a address, o order) []packet {
	if o.level <= 0 {
		return nil
	}
	params := map[string]any{"id": 0, "on": true, "brightness": min(a.caps.Max, max(a.caps.Min, o.level))}
	if a.caps.Fade != FadeNone {
		params["transition_duration"] = max(shellyLeast, tenths(limit(a.caps, o.over))).Seconds()
	}
	return encoded(a.topic+"/rpc", map[string]any{"id": 1, "src": s.from(a), "method": "Light.Set", "params": params})
}

func (s shelly) asks(a address, _ bool) []packet {
	return encoded(a.topic+"/rpc", map[string]any{"id": 2, "src": s.from(a), "method": "Light.GetStatus", "params": map[string]any{"id": 0}})
}

type shellyStatus struct {
	Output     *bool
	Brightness *float64
}

func (s shelly) decode(a address, topic string, payload []byte) (report, bool) {
	switch topic {
	case a.topic + "/rpc":
		var m struct{ Method string }
		return report{kind: saysCommand, movesLevel: true}, json.Unmarshal(payload, &m) == nil && (m.Method == "Light.Set" || m.Method == "Light.Toggle" || strings.HasPrefix(m.Method, "Light.Dim"))
	case a.topic + "/online":
		t := strings.TrimSpace(string(payload))
		return report{kind: saysOnline, on: t == "true"}, t == "true" || t == "false"
	case a.topic + "/status/light:0":
		var st shellyStatus
		return st.report(a.caps, json.Unmarshal(payload, &st))
	case s.from(a) + "/rpc":
		var m struct{ Result shellyStatus }
		err := json.Unmarshal(payload, &m)
		return m.Result.report(a.caps, err)
	}
	return report{}, false
}

func (st shellyStatus) report(c Caps, err error) (report, bool) {
	if err != nil || st.Output == nil || st.Brightness == nil || *st.Brightness < 0 {
		return report{}, false
	}
	return report{kind: saysState, hasOn: true, on: *st.Output, hasLevel: true, level: math.Min(1, *st.Brightness/float64(c.Max))}, true
}

func (s *Finder) shelly(topic string, payload []byte) {
	var drv shelly
	name := strings.TrimPrefix(topic, drv.from(address{}))
	name, _, _ = strings.Cut(name, "/")
	l := Lamp{Driver: "shelly", Topic: name}
	a := address{topic: name, caps: drv.caps(l)}
	r, ok := drv.decode(a, topic, payload)
	switch {
	case ok && r.kind == saysState:
		s.add(Offer{Lamp: l, Caps: a.caps})
	case ok && r.kind == saysOnline && r.on && !s.asked[name]:
		s.asked[name] = true
		for _, p := range drv.asks(a, false) {
			_ = s.conn.Publish(p.topic, p.payload)
		}
	}
}
