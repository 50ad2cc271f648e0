package lights

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Offer is a light that somebody on the broker offers.
type Offer struct {
	Lamp    Lamp   // as the room file would name it
	Name    string // by which its own system knows it; may be empty
	Kind    string // what its maker calls it; may be empty
	Caps    Caps
	Members []string // topics of a group's lamps; nil for a single lamp
	Trouble string   // why roomd can't use it as it is; empty where it can
}

// Finder finds out which lights a broker offers: zigbee2mqtt's devices and groups, Home Assistant's discovery of lights with a JSON
// schema, Tasmota's discovery, WLED, Shelly and Z-Wave. It commands none, and asks only Shelly devices, which do not say by
// themselves whether they are a dimmer. It listens for as long as its connection stands.
type Finder struct {
	conn Conn

	mu       sync.Mutex // guards what follows
	bridges  map[string]*bridge
	found    map[string]Offer // by driver and topic, but for zigbee2mqtt's
	asked    map[string]bool  // Shelly devices
	requests map[string]chan response
	joined   []Joined
	told     map[string][]byte // bridge/groups and bridge/devices as they came, by topic
}

// Find begins to listen.
func Find(conn Conn) *Finder {
	s := &Finder{conn: conn, bridges: map[string]*bridge{}, found: map[string]Offer{}, asked: map[string]bool{}, requests: map[string]chan response{}, told: map[string][]byte{}}
	for _, k := range kinds {
		for filter, hear := range k.offers {
			conn.Subscribe(filter, func(topic string, payload []byte, _ bool) {
				if len(payload) > maxList {
					return
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				hear(s, topic, payload)
			})
		}
	}
	return s
}

// Survey listens until ctx ends and tells which lights the broker offers.
func Survey(ctx context.Context, conn Conn) []Offer {
	s := Find(conn)
	<-ctx.Done()
	return s.Offers()
}

// Offers are the lights that were found until now, by driver and topic.
func (s *Finder) Offers() []Offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := maps.Clone(s.found)
	for _, b := range s.bridges {
		for _, o := range b.offers() {
			found[o.key()] = o
		}
	}
	all := slices.SortedFunc(maps.Values(found), func(a, b Offer) int {
		return cmp.Or(cmp.Compare(slices.Index(Drivers, a.Lamp.Driver), slices.Index(Drivers, b.Lamp.Driver)), strings.Compare(a.Lamp.Topic, b.Lamp.Topic))
	})
	// zigbee2mqtt may tell Home Assistant of its lamps too.
	return slices.DeleteFunc(all, func(o Offer) bool {
		_, twice := found["zigbee2mqtt "+o.Lamp.Topic]
		return o.Lamp.Driver == "homeassistant" && twice
	})
}

func (o Offer) key() string { return o.Lamp.Driver + " " + o.Lamp.Topic }

func (s *Finder) add(o Offer) { s.found[o.key()] = o }

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
