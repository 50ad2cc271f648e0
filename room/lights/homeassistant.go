package lights

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

var _ = register(kind{name: "homeassistant", rank: 2, driver: homeAssistant{},
	options: []string{"command", "state", "availability", "brightness_scale", "color_temp", "fade"},
	offers: map[string]func(*Finder, string, []byte){
		"homeassistant/light/+/config": (*Finder).homeAssistant, "homeassistant/light/+/+/config": (*Finder).homeAssistant,
	}})

// homeAssistant speaks Home Assistant's MQTT JSON schema, as ESPHome and many others do. Such a lamp can't be asked.
type homeAssistant struct{}

func (homeAssistant) caps(l Lamp) Caps {
	c := Caps{Fade: fadeOf(l, FadeBoth), MaxFade: 5 * time.Minute, Min: 1, Max: 255, MinMired: 153, MaxMired: 500, Color: true}
	if least, full, ok := ParseScale(l.Extra["brightness_scale"]); ok {
		c.Min, c.Max = least, full
	}
	return c
}

func (homeAssistant) command(a address) string { return or(a.extra["command"], a.topic+"/set") }
func (homeAssistant) state(a address) string   { return or(a.extra["state"], a.topic) }

func (h homeAssistant) hears(a address) []string {
	all := []string{h.state(a), h.command(a)}
	if t := a.extra["availability"]; t != "" {
		all = append(all, t)
	}
	return all
}

// kelvin tells whether the lamp speaks of white in kelvin (Home Assistant: color_temp_kelvin) and not in mired.
func (homeAssistant) kelvin(a address) bool { return a.extra["color_temp"] == "kelvin" }

func (h homeAssistant) order(a address, o order) []packet {
	return messages(a, h.command(a), o, func(m map[string]any) {
		m["state"] = "ON"
		if mired, ok := m["color_temp"].(int); ok && h.kelvin(a) {
			m["color_temp"] = int(math.Round(1e6 / float64(mired)))
		}
	})
}

func (homeAssistant) asks(address, bool) []packet { return nil }

func (h homeAssistant) decode(a address, topic string, payload []byte) (report, bool) {
	switch topic {
	case h.command(a):
		return decodeCommand(payload)
	case h.state(a):
		return decodeState(a.caps, h.kelvin(a), payload)
	case a.extra["availability"]:
		s := strings.ToLower(strings.TrimSpace(string(payload)))
		return report{kind: saysOnline, on: s == "online"}, s == "online" || s == "offline"
	}
	return report{}, false
}

// haConfig is Home Assistant's discovery of a light, with the short names that it may use.
type haConfig struct {
	Base      string `json:"~"`
	Schema    string
	Name      *string
	Command   string          `json:"command_topic"`
	Cmd       string          `json:"cmd_t"`
	State     string          `json:"state_topic"`
	Stat      string          `json:"stat_t"`
	Avail     string          `json:"availability_topic"`
	Avty      string          `json:"avty_t"`
	Scale     json.RawMessage `json:"brightness_scale"`
	Scl       json.RawMessage `json:"bri_scl"`
	Modes     []string        `json:"supported_color_modes"`
	Clrm      []string        `json:"sup_clrm"`
	MinMireds float64         `json:"min_mireds"`
	MaxMireds float64         `json:"max_mireds"`
	Kelvin    bool            `json:"color_temp_kelvin"`
	Klv       bool            `json:"clr_temp_k"`
	MinKelvin float64         `json:"min_kelvin"`
	MaxKelvin float64         `json:"max_kelvin"`
	MinMirs   float64         `json:"min_mirs"`
	MaxMirs   float64         `json:"max_mirs"`
	MinK      float64         `json:"min_k"`
	MaxK      float64         `json:"max_k"`
}

func (s *Finder) homeAssistant(topic string, payload []byte) {
	var c haConfig
	if json.Unmarshal(payload, &c) != nil || c.Schema != "json" {
		return
	}
	full := func(a, b string) string {
		t := or(a, b)
		if rest, ok := strings.CutPrefix(t, "~"); ok {
			return c.Base + rest
		}
		if rest, ok := strings.CutSuffix(t, "~"); ok {
			return rest + c.Base
		}
		return t
	}
	command, state, avail := full(c.Command, c.Cmd), full(c.State, c.Stat), full(c.Avail, c.Avty)
	if command == "" {
		return
	}
	l := Lamp{Driver: "homeassistant", Topic: or(state, strings.TrimSuffix(command, "/set")), Extra: map[string]string{}}
	if command != l.Topic+"/set" {
		l.Extra["command"] = command
	}
	if avail != "" {
		l.Extra["availability"] = avail
	}
	for _, raw := range []json.RawMessage{c.Scale, c.Scl} {
		if n, ok := number(raw); ok && n >= 2 && n != 255 {
			l.Extra["brightness_scale"] = strconv.Itoa(int(n))
		}
	}
	if c.Kelvin || c.Klv {
		l.Extra["color_temp"] = "kelvin"
	}
	o := Offer{Lamp: l, Caps: homeAssistant{}.caps(l)}
	if c.Name != nil {
		o.Name = *c.Name
	}
	modes := append(c.Modes, c.Clrm...)
	o.Caps.Color = slices.Contains(modes, "xy")
	if !slices.Contains(modes, "color_temp") {
		o.Caps.MinMired, o.Caps.MaxMired = 0, 0
	} else {
		// Of each end what is given, in either unit. What no lamp can have is left as it is without an offer.
		limit := func(to *int, mired, kelvin float64) {
			for n, inKelvin := range map[float64]bool{mired: false, kelvin: true} {
				if m, ok := white(n, inKelvin); n > 0 && ok {
					*to = int(math.Round(m))
				} else if n > 0 {
					o.Trouble = fmt.Sprintf("its white light can't be from or to %g; roomd takes %d to %d mired", n, o.Caps.MinMired, o.Caps.MaxMired)
				}
			}
		}
		limit(&o.Caps.MinMired, max(c.MinMireds, c.MinMirs), max(c.MaxKelvin, c.MaxK))
		limit(&o.Caps.MaxMired, max(c.MaxMireds, c.MaxMirs), max(c.MinKelvin, c.MinK))
		if o.Caps.MaxMired <= o.Caps.MinMired {
			o.Caps.MinMired, o.Caps.MaxMired = homeAssistant{}.caps(l).MinMired, homeAssistant{}.caps(l).MaxMired
		}
	}
	s.add(o)
}
