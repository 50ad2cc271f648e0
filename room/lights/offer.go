package lights

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Offer is a light that somebody on the broker offers.
type Offer struct {
	Lamp    Lamp   // as the room file would name it
	Name    string // by which its own system knows it; may be empty
	Caps    Caps
	Members []string // topics of a group's lamps; nil for a single lamp
	Trouble string   // why roomd can't use it as it is; empty where it can
}

// survey is what is being found out.
type survey struct {
	mu      sync.Mutex
	bridges map[string]*bridge
	found   map[string]Offer // by driver and topic
	asked   map[string]bool  // Shelly devices
	conn    Conn
}

// Survey listens until ctx ends and tells which lights the broker offers, by driver and topic: zigbee2mqtt's devices and
// groups, Home Assistant's discovery of lights with a JSON schema, Tasmota's discovery, WLED and Shelly. It commands none,
// and asks only Shelly devices, which do not say by themselves whether they are a dimmer.
func Survey(ctx context.Context, conn Conn) []Offer {
	s := &survey{bridges: map[string]*bridge{}, found: map[string]Offer{}, asked: map[string]bool{}, conn: conn}
	for filter, hear := range map[string]func(topic string, payload []byte){
		"+/bridge/devices":                          s.zigbee,
		"+/bridge/groups":                           s.zigbee,
		"+/+/bridge/devices":                        s.zigbee,
		"+/+/bridge/groups":                         s.zigbee,
		"homeassistant/light/+/config":              s.homeAssistant,
		"homeassistant/light/+/+/config":            s.homeAssistant,
		"tasmota/discovery/+/config":                s.tasmota,
		"wled/+/status":                             s.wled,
		"wled/+/g":                                  s.wled,
		"+/online":                                  s.shelly,
		"+/status/light:0":                          s.shelly,
		shelly{}.from(address{topic: "+"}) + "/rpc": s.shelly,
	} {
		conn.Subscribe(filter, func(topic string, payload []byte, _ bool) {
			if ctx.Err() != nil || len(payload) > maxList {
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			hear(topic, payload)
		})
	}
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bridges {
		s.list(b)
	}
	all := slices.SortedFunc(maps.Values(s.found), func(a, b Offer) int {
		return cmp.Or(cmp.Compare(slices.Index(Drivers, a.Lamp.Driver), slices.Index(Drivers, b.Lamp.Driver)), strings.Compare(a.Lamp.Topic, b.Lamp.Topic))
	})
	// zigbee2mqtt may tell Home Assistant of its lamps too.
	return slices.DeleteFunc(all, func(o Offer) bool {
		_, twice := s.found["zigbee2mqtt "+o.Lamp.Topic]
		return o.Lamp.Driver == "homeassistant" && twice
	})
}

func (s *survey) add(o Offer) { s.found[o.Lamp.Driver+" "+o.Lamp.Topic] = o }

func (s *survey) zigbee(topic string, payload []byte) {
	base, what, _ := strings.Cut(topic, "/bridge/")
	if s.bridges[base] == nil {
		s.bridges[base] = &bridge{base: base, address: map[string]string{}}
	}
	_ = s.bridges[base].learn(what, payload) // nonsense offers nothing
}

func (s *survey) list(b *bridge) {
	for name, caps := range b.devices {
		if caps.Max > 0 {
			s.add(Offer{Lamp: Lamp{Driver: "zigbee2mqtt", Topic: b.base + "/" + name}, Name: name, Caps: caps})
		}
	}
	for name, members := range b.members {
		us, caps := b.lamps(members, func(_ string, k Caps) Caps { return k })
		o := Offer{Lamp: Lamp{Driver: "zigbee2mqtt", Topic: b.base + "/" + name}, Name: name, Caps: caps, Members: []string{}}
		for _, a := range us {
			o.Members = append(o.Members, a.topic)
		}
		if len(us) > 0 {
			s.add(o)
		}
	}
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

func (s *survey) homeAssistant(topic string, payload []byte) {
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

func (s *survey) tasmota(_ string, payload []byte) {
	var c struct {
		Topic  string    `json:"t"`
		Names  []*string `json:"fn"`
		Full   string    `json:"ft"`
		Prefix []string  `json:"tp"`
		Light  int       `json:"lt_st"` // how many channels
	}
	if json.Unmarshal(payload, &c) != nil || c.Light == 0 || c.Topic == "" {
		return
	}
	l := Lamp{Driver: "tasmota", Topic: c.Topic}
	o := Offer{Lamp: l, Caps: tasmota{}.caps(l)}
	if len(c.Names) > 0 && c.Names[0] != nil {
		o.Name = *c.Names[0]
	}
	if c.Light != 2 && c.Light != 5 {
		o.Caps.MinMired, o.Caps.MaxMired = 0, 0
	}
	if strings.Trim(c.Full, "/") != "%prefix%/%topic%" || !slices.Equal(c.Prefix, []string{"cmnd", "stat", "tele"}) {
		o.Trouble = "set its FullTopic to %prefix%/%topic%/ and its prefixes to cmnd, stat and tele"
	}
	s.add(o)
}

func (s *survey) wled(topic string, _ []byte) {
	l := Lamp{Driver: "wled", Topic: topic[:strings.LastIndexByte(topic, '/')]}
	s.add(Offer{Lamp: l, Caps: wled{}.caps(l)})
}

func (s *survey) shelly(topic string, payload []byte) {
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

// String says what a lamp can do, for a person who sets up a room.
func (c Caps) String() string {
	all := []string{map[Fade]string{FadeNone: "fades in steps of roomd's", FadeOne: "fades level or white at a time", FadeBoth: "fades"}[c.Fade]}
	if c.Fade != FadeNone {
		all[0] += fmt.Sprintf(" up to %g s", c.MaxFade.Seconds())
	}
	if c.MinMired > 0 {
		all = append(all, fmt.Sprintf("white %d to %d K", 1_000_000/c.MaxMired, 1_000_000/c.MinMired))
	}
	if c.Color {
		all = append(all, "colour")
	}
	if c.Max <= 100 {
		all = append(all, fmt.Sprintf("%d levels, which are seen in the dark", c.Max-c.Min+1))
	}
	if !c.ReadBack {
		all = append(all, "can't be asked")
	}
	return strings.Join(all, ", ")
}

// YAML is the lamp as the room file writes it, on one line.
func (l Lamp) YAML() string {
	all := []string{"driver: " + l.Driver}
	if l.Driver != "template" && l.Topic != "" {
		all = append(all, "topic: "+quoted(l.Topic))
	}
	for _, k := range Options(l.Driver) {
		if v := l.Extra[k]; v != "" {
			all = append(all, k+": "+quoted(v))
		}
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// quoted is a text as YAML takes it between braces.
func quoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/_-.", c))
	}) && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// Known is a lamp of the room file as its driver knows it, without anybody's offer.
func Known(l Lamp) Offer { return Offer{Lamp: l, Caps: drivers[l.Driver].caps(l)} }
