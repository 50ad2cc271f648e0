package lights

import (
	"strconv"
	"strings"
	"time"
)

var _ = register(kind{name: "wled", rank: 3, options: []string{"fade"}, driver: wled{},
	offers: map[string]func(*Finder, string, []byte){"wled/+/status": (*Finder).wled, "wled/+/g": (*Finder).wled}})

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

func (s *Finder) wled(topic string, _ []byte) {
	l := Lamp{Driver: "wled", Topic: topic[:strings.LastIndexByte(topic, '/')]}
	s.add(Offer{Lamp: l, Caps: wled{}.caps(l)})
}
