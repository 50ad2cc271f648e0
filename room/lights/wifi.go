package lights

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// wled speaks to a WLED controller by its device topic. It moves only the brightness: colour is a matter of segments and
// effects there, which a session leaves alone. WLED can't be asked over MQTT; it tells each new target on TOPIC/g.
type wled struct{}

// caps: WLED counts a transition in a 16 bit number of milliseconds, so 70 s would become 4.5 s.
func (wled) caps(l Lamp) Caps {
	return Caps{Fade: fadeOf(l, FadeBoth), MaxFade: time.Minute, Min: 1, Max: 255}
}

func (wled) hears(a address) []string {
	return []string{a.topic, a.topic + "/col", a.topic + "/api", a.topic + "/g", a.topic + "/status"}
}

func (wled) order(a address, o order) []packet {
	if o.level <= 0 {
		return nil
	}
	// tt counts tenths of a second, for this message alone.
	m := map[string]any{"on": true, "bri": min(a.caps.Max, max(a.caps.Min, o.level)), "tt": int(tenths(limit(a.caps, o.over)) / (100 * time.Millisecond))}
	return encoded(a.topic+"/api", m)
}

func (wled) asks(address, bool) []packet { return nil }

func (wled) decode(a address, topic string, payload []byte) (report, bool) {
	text := strings.TrimSpace(string(payload))
	switch strings.TrimPrefix(topic, a.topic) {
	case "":
		return report{kind: saysCommand, movesLevel: true}, text != ""
	case "/col":
		return report{kind: saysCommand, movesColour: true}, text != ""
	case "/api":
		return report{kind: saysCommand, movesLevel: true, movesColour: true}, text != ""
	case "/g":
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > 255 {
			return report{}, false
		}
		return report{kind: saysState, hasOn: true, on: n > 0, hasLevel: n > 0, level: float64(n) / float64(a.caps.Max)}, true
	case "/status":
		return report{kind: saysOnline, on: text == "online"}, text == "online" || text == "offline"
	}
	return report{}, false
}

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

func encoded(topic string, m map[string]any) []packet {
	payload, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return []packet{{topic, payload}}
}
