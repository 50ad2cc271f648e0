package lights

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

var _ = register(kind{name: "zigbee2mqtt", rank: 1, options: []string{"fade"}, driver: zigbee{}, offers: map[string]func(*Finder, string, []byte){
	"+/bridge/devices": (*Finder).zigbee, "+/bridge/groups": (*Finder).zigbee, "+/+/bridge/devices": (*Finder).zigbee, "+/+/bridge/groups": (*Finder).zigbee,
	"+/bridge/info": (*Finder).zigbee, "+/bridge/state": (*Finder).zigbee, "+/bridge/event": (*Finder).zigbee, "+/bridge/response/#": (*Finder).zigbee,
	"+/+/bridge/info": (*Finder).zigbee, "+/+/bridge/state": (*Finder).zigbee, "+/+/bridge/event": (*Finder).zigbee, "+/+/bridge/response/#": (*Finder).zigbee,
}})

var _ = register(kind{name: "simulated", rank: 9, options: []string{"fade"}, driver: zigbee{simulated: true}})

// zigbee speaks to zigbee2mqtt, devices and groups, and to the simulated lamps.
type zigbee struct{ simulated bool }

func (z zigbee) caps(l Lamp) Caps {
	// What every lamp takes, until bridge/devices lists what this one does.
	c := Caps{Fade: FadeOne, MaxFade: 5 * time.Minute, Min: 1, Max: 254, MinMired: 250, MaxMired: 454, ReadBack: true}
	if z.simulated {
		c = Caps{Fade: FadeBoth, MaxFade: 5 * time.Minute, Min: 1, Max: 254, MinMired: 153, MaxMired: 500, Color: true, ReadBack: true}
	}
	c.Fade = fadeOf(l, c.Fade)
	return c
}

func (zigbee) hears(a address) []string {
	return []string{a.topic, a.topic + "/set", a.topic + "/set/+", a.topic + "/get", a.topic + "/availability"}
}

func (zigbee) order(a address, o order) []packet { return messages(a, a.topic+"/set", o, nil) }

func (zigbee) asks(a address, colour bool) []packet {
	// One by one: the answer to the first question repeats old values of all the others.
	all := []packet{{a.topic + "/get", []byte(`{"brightness":""}`)}, {a.topic + "/get", []byte(`{"state":""}`)}}
	if colour && a.caps.MinMired > 0 {
		all = append([]packet{{a.topic + "/get", []byte(`{"color_temp":""}`)}}, all...)
	}
	return all
}

func (zigbee) decode(a address, topic string, payload []byte) (report, bool) {
	switch rest := strings.TrimPrefix(topic, a.topic); {
	case rest == "":
		return decodeState(a.caps, false, payload)
	case rest == "/set":
		return decodeCommand(payload)
	case strings.HasPrefix(rest, "/set/"):
		return decodeCommand([]byte(`{"` + strings.TrimPrefix(rest, "/set/") + `":0}`))
	case rest == "/availability":
		var s struct{ State string }
		if json.Unmarshal(payload, &s) != nil {
			s.State = string(payload)
		}
		return report{kind: saysOnline, on: s.State == "online"}, s.State == "online" || s.State == "offline"
	}
	return report{}, false
}

// bridge is one zigbee2mqtt, which tells which lamps it has.
type bridge struct {
	base    string
	offline bool
	online  bool            // it said so
	devices map[string]Caps // by friendly name
	members map[string][]string
	address map[string]string // ieee to friendly name
	raw     []byte            // bridge/groups that came before bridge/devices
	kinds   map[string]string // what the makers call them, by friendly name
	info    *bridgeInfo       // nil: it takes no requests
}

func newBridge(base string) *bridge { return &bridge{base: base, address: map[string]string{}} }

// basesOf are the topics under which a lamp may have its bridge; none for a lamp without one. Base topic and friendly name
// may both hold slashes: the bridge that knows the rest of the topic is the one.
func basesOf(l Lamp) (all []string) {
	for i, r := range l.Topic {
		if r == '/' && i > 0 && l.Driver == "zigbee2mqtt" {
			all = append(all, l.Topic[:i])
		}
	}
	return all
}

func (b *bridge) hears() []string {
	return []string{b.base + "/bridge/state", b.base + "/bridge/devices", b.base + "/bridge/groups", b.base + "/bridge/event"}
}

// listed is the news that a bridge has told which lamps it has.
type listed struct{}

// hear reads a message of the bridge: news for its lamps, or nil.
func (b *bridge) hear(what string, payload []byte, retained bool) (news any, err error) {
	switch what {
	case "state":
		var s struct{ State string }
		if json.Unmarshal(payload, &s) != nil {
			s.State = string(payload)
		}
		was := b.offline
		switch b.offline, b.online = s.State == "offline", s.State == "online"; {
		case b.offline, b.online && (was || !retained):
			return bridgeIs{b.online}, nil
		}
	case "devices", "groups":
		return listed{}, b.learn(what, payload)
	case "event":
		var ev struct {
			Type string
			Data struct {
				Name string `json:"friendly_name"`
			}
		}
		if json.Unmarshal(payload, &ev) == nil && ev.Type == "device_announce" && !retained {
			return regained{b.base + "/" + ev.Data.Name}, nil
		}
	}
	return nil, nil
}

// silent tells whether the bridge is there and has told of no lamps.
func (b *bridge) silent() bool { return b.online && b.devices == nil }

// find is the lamp or the group at topic; says is what is wrong with it. It is not ok while the bridge has not told enough.
func (b *bridge) find(topic string, known func(topic string, k Caps) Caps) (f found, says Said, ok bool) {
	name, ok := strings.CutPrefix(topic, b.base+"/")
	if !ok || b.devices == nil || b.members == nil {
		return found{}, Said{}, false
	}
	if members, ok := b.members[name]; ok {
		us, caps := b.lamps(members, known)
		if len(us) == 0 {
			return found{}, said("lamps-group-empty", "name", name), true
		}
		return found{units: us, group: &address{topic, nil, caps}}, Said{}, true
	}
	switch k, ok := b.devices[name]; {
	case !ok:
		return found{}, said("lamps-topic-unknown", "name", name), true
	case k.Max == 0:
		return found{}, said("lamps-topic-other", "name", name), true
	default:
		return found{units: []address{{topic, nil, known(topic, k)}}}, Said{}, true
	}
}

// member and group lists of bridge/devices and bridge/groups.
type bridgeDevice struct {
	Name       string `json:"friendly_name"`
	Address    string `json:"ieee_address"`
	Definition *struct {
		Vendor  string `json:"vendor"`
		About   string `json:"description"`
		Exposes []struct {
			Type     string `json:"type"`
			Features []struct {
				Name     string   `json:"name"`
				Property string   `json:"property"`
				Min      *float64 `json:"value_min"`
				Max      *float64 `json:"value_max"`
			} `json:"features"`
		} `json:"exposes"`
	} `json:"definition"`
}

type bridgeGroup struct {
	Name    string `json:"friendly_name"`
	Members []struct {
		Address string `json:"ieee_address"`
	} `json:"members"`
}

func (d bridgeDevice) caps(c Caps) Caps {
	c.MinMired, c.MaxMired, c.Color = 0, 0, false
	light := false
	for _, e := range d.Definition.Exposes {
		if e.Type != "light" {
			continue
		}
		light = true
		for _, f := range e.Features {
			switch {
			case f.Name == "brightness" && f.Max != nil && *f.Max > 1:
				c.Max = int(*f.Max)
			case f.Name == "color_temp" && f.Min != nil && f.Max != nil && *f.Max >= *f.Min && *f.Min > 0:
				c.MinMired, c.MaxMired = int(*f.Min), int(*f.Max)
			case f.Name == "color_xy":
				c.Color = true
			}
		}
	}
	if !light {
		return Caps{}
	}
	switch d.Definition.Vendor {
	case "Philips", "Signify Netherlands B.V.", "Innr":
		c.Min = 2 // at 1 some of them are off
		if d.Definition.Vendor != "Innr" {
			c.Fade = FadeBoth
		}
	}
	return c
}

// learn reads bridge/devices and bridge/groups.
func (b *bridge) learn(what string, payload []byte) error {
	switch what {
	case "devices":
		var all []bridgeDevice
		if err := json.Unmarshal(payload, &all); err != nil {
			return fmt.Errorf("bridge/devices: %w", err)
		}
		b.devices, b.address, b.kinds = map[string]Caps{}, map[string]string{}, map[string]string{}
		for _, d := range all {
			b.address[d.Address] = d.Name
			if d.Definition != nil {
				b.devices[d.Name] = d.caps(zigbee{}.caps(Lamp{}))
				b.kinds[d.Name] = strings.TrimSpace(d.Definition.Vendor + " " + d.Definition.About)
			}
		}
		if b.raw != nil {
			return b.learn("groups", b.raw)
		}
	case "groups":
		b.raw = payload
		var all []bridgeGroup
		if err := json.Unmarshal(payload, &all); err != nil {
			b.raw = nil
			return fmt.Errorf("bridge/groups: %w", err)
		}
		b.members = map[string][]string{}
		for _, g := range all {
			b.members[g.Name] = []string{}
			for _, m := range g.Members {
				if name := b.address[m.Address]; name != "" {
					b.members[g.Name] = append(b.members[g.Name], name)
				}
			}
		}
	}
	return nil
}

// lamps are the lights of a group, and what they can do together. known corrects what the bridge says of each.
func (b *bridge) lamps(members []string, known func(topic string, k Caps) Caps) (us []address, caps Caps) {
	for _, m := range members {
		k := b.devices[m]
		if k.Max == 0 {
			continue
		}
		k = known(b.base+"/"+m, k)
		us = append(us, address{b.base + "/" + m, nil, k})
		if caps.Max == 0 {
			caps = k
		}
		caps = caps.both(k)
	}
	return us, caps
}

// zigbee reads what a bridge tells a Finder.
func (s *Finder) zigbee(topic string, payload []byte) {
	base, what, _ := strings.Cut(topic, "/bridge/")
	b := s.bridges[base]
	if b == nil {
		b = newBridge(base)
		s.bridges[base] = b
	}
	if name, is := strings.CutPrefix(what, "response/"); is {
		s.answered(name, payload)
		return
	}
	switch what {
	case "info":
		b.info = nil // nonsense takes no requests
		_ = json.Unmarshal(payload, &b.info)
	case "event":
		s.heardOf(payload)
	default:
		if what == "groups" || what == "devices" {
			s.told[topic] = payload
		}
		_, _ = b.hear(what, payload, true) // nonsense offers nothing
	}
}

// offers are the lamps and groups of a bridge.
func (b *bridge) offers() (all []Offer) {
	for name, caps := range b.devices {
		if caps.Max > 0 {
			all = append(all, Offer{Lamp: Lamp{Driver: "zigbee2mqtt", Topic: b.base + "/" + name}, Name: name, Kind: b.kinds[name], Caps: caps})
		}
	}
	for name, members := range b.members {
		us, caps := b.lamps(members, func(_ string, k Caps) Caps { return k })
		o := Offer{Lamp: Lamp{Driver: "zigbee2mqtt", Topic: b.base + "/" + name}, Name: name, Caps: caps, Members: []string{}}
		for _, a := range us {
			o.Members = append(o.Members, a.topic)
		}
		if len(us) > 0 {
			all = append(all, o)
		}
	}
	return all
}
