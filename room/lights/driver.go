package lights

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fade is what a lamp can fade by itself.
type Fade int

const (
	FadeNone Fade = iota // it jumps
	FadeOne              // one attribute at a time: a second one, or both in one message, breaks the first one's fade
	FadeBoth             // level and colour together
)

// Caps is what a lamp can do.
type Caps struct {
	Fade     Fade
	MaxFade  time.Duration // longest transition
	Min, Max int           // lowest level that is light (0 is off), and full light
	MinMired int           // colour temperature; 0 where it has none
	MaxMired int
	Color    bool // takes a colour as x, y
	ReadBack bool // answers when asked
}

// level is the lamp's own level for an L*, never off.
func (c Caps) level(l float64) int {
	return min(c.Max, max(c.Min, int(math.Round(luminance(l)*float64(c.Max)))))
}

func (c Caps) lightness(level int) float64 { return lightness(float64(level) / float64(c.Max)) }

// fits is the colour as near as the lamp can show it; none where it can't.
func (c Caps) fits(k colour) colour {
	switch {
	case k.mode == byMired && c.MinMired > 0:
		k.a = min(float64(c.MaxMired), max(float64(c.MinMired), k.a))
		return k
	case k.mode == byXY && c.Color:
		return k
	}
	return colour{}
}

// both is what two lamps that are commanded together can do.
func (c Caps) both(d Caps) Caps {
	c.Fade = min(c.Fade, d.Fade)
	c.MaxFade = min(c.MaxFade, d.MaxFade)
	c.Min = max(c.Min, d.Min)
	c.Max = min(c.Max, d.Max)
	if c.MinMired == 0 || d.MinMired == 0 {
		c.MinMired, c.MaxMired = 0, 0
	} else {
		c.MinMired, c.MaxMired = max(c.MinMired, d.MinMired), min(c.MaxMired, d.MaxMired)
	}
	c.Color = c.Color && d.Color
	c.ReadBack = c.ReadBack && d.ReadBack
	return c
}

// address is a lamp or a group as a driver knows it.
type address struct {
	topic string
	extra map[string]string
	caps  Caps
}

// order is one command. A driver sends what is set, never an effect, and never off.
type order struct {
	level int // 0: leave it
	hue   colour
	over  time.Duration // 0: at once
}

type reportKind int

const (
	saysState   reportKind = iota // the lamp's state: an answer, a report or an echo
	saysCommand                   // somebody's command to the lamp; our own come back too
	saysOnline                    // whether its bridge can reach it
)

// report is one message about a lamp.
type report struct {
	kind     reportKind
	hasLevel bool
	level    float64 // 0 to 1
	hasOn    bool
	on       bool
	hue      colour
	// Of a command: what it moves.
	movesLevel, movesColour bool
	// impossible is what the message says that no lamp can mean; it is left out of the rest.
	impossible string
}

type packet struct {
	topic   string
	payload []byte
}

// driver speaks one kind of lamp's language.
type driver interface {
	// caps is what is known of a lamp from the room file alone.
	caps(Lamp) Caps
	// hears is what to subscribe to.
	hears(address) []string
	// order is the command as messages.
	order(address, order) []packet
	// asks are the questions that make a lamp tell its state, to be asked one after the other.
	asks(a address, colour bool) []packet
	// decode reads a message on one of the topics of hears.
	decode(a address, topic string, payload []byte) (report, bool)
}

// kind is one way to speak to lamps. Each has a file, which registers it.
type kind struct {
	name    string
	rank    int      // its place where people are told of all kinds
	options []string // beside driver and topic
	driver
	// offers reads who tells of lamps of this kind, by topic filter.
	offers map[string]func(s *Finder, topic string, payload []byte)
}

var (
	kinds   []kind
	drivers = map[string]driver{}
	// Drivers are the kinds of lamps that a room file can name, in the order in which people are told of them.
	Drivers []string
)

// register adds a kind of lamps. Its result is nothing; it lets a file call it from a variable.
func register(k kind) struct{} {
	at, _ := slices.BinarySearchFunc(kinds, k, func(a, b kind) int { return cmp.Compare(a.rank, b.rank) })
	kinds, Drivers = slices.Insert(kinds, at, k), slices.Insert(Drivers, at, k.name)
	drivers[k.name] = k.driver
	return struct{}{}
}

// Options are what a room file may say of a driver's lamp beside its driver and its topic, which a template does not have;
// all options for a driver that does not exist.
func Options(driver string) (all []string) {
	for _, k := range kinds {
		if k.name == driver {
			return k.options
		}
		for _, o := range k.options {
			if !slices.Contains(all, o) {
				all = append(all, o)
			}
		}
	}
	return all
}

// state is the JSON that zigbee2mqtt and Home Assistant's JSON schema have in common.
type state struct {
	State      string          `json:"state"`
	Brightness json.RawMessage `json:"brightness"`
	ColorTemp  json.RawMessage `json:"color_temp"`
	Color      json.RawMessage `json:"color"`
	ColorMode  string          `json:"color_mode"`
}

func number(raw json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// whitest and warmest are the white light that a lamp can have, in kelvin: a number outside of them is in another unit, or
// nonsense.
const whitest, warmest = 20_000, 1_000

// white is a colour temperature of kelvin or mired, in mired; ok is false where no lamp can have it.
func white(n float64, kelvin bool) (mired float64, ok bool) {
	if kelvin {
		n = 1e6 / n
	}
	return n, n >= 1e6/whitest && n <= 1e6/warmest
}

func decodeState(c Caps, kelvin bool, payload []byte) (report, bool) {
	var s state
	if json.Unmarshal(payload, &s) != nil {
		return report{}, false
	}
	r := report{kind: saysState}
	switch strings.ToUpper(s.State) {
	case "ON":
		r.hasOn, r.on = true, true
	case "OFF":
		r.hasOn = true
	}
	if b, ok := number(s.Brightness); ok && b >= 0 {
		r.hasLevel, r.level = true, min(1, b/float64(c.Max))
	}
	if n, ok := number(s.ColorTemp); ok && n > 0 && (s.ColorMode == "" || s.ColorMode == "color_temp") {
		if m, ok := white(n, kelvin); ok {
			r.hue = colour{mode: byMired, a: m}
		} else {
			r.impossible = fmt.Sprintf("color_temp %g %s", n, map[bool]string{false: "mired", true: "kelvin"}[kelvin])
		}
	} else if s.ColorMode == "xy" {
		var xy struct{ X, Y float64 }
		if json.Unmarshal(s.Color, &xy) == nil && xy.Y > 0 {
			r.hue = colour{byXY, xy.X, xy.Y}
		}
	}
	return r, r.hasOn || r.hasLevel || r.hue.mode != asItIs || r.impossible != ""
}

func decodeCommand(payload []byte) (report, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(payload, &m) != nil {
		// zigbee2mqtt takes a bare ON, OFF or TOGGLE.
		switch strings.ToUpper(strings.TrimSpace(string(payload))) {
		case "ON", "OFF", "TOGGLE":
			return report{kind: saysCommand, movesLevel: true}, true
		}
		return report{}, false
	}
	r := report{kind: saysCommand}
	for k := range m {
		switch {
		case strings.HasPrefix(k, "state"), strings.HasPrefix(k, "brightness"), k == "scene_recall", k == "on_time":
			r.movesLevel = true
		case strings.HasPrefix(k, "color"), k == "hue_move", k == "saturation_move":
			r.movesColour = true
		}
	}
	return r, true
}

// tenths is a transition in tenths of a second, as Zigbee takes them, and never less than was meant: a lamp that arrives
// early has been too fast.
func tenths(d time.Duration) time.Duration {
	const tenth = time.Second / 10
	return max(0, (d+tenth-time.Millisecond)/tenth*tenth)
}

// limit keeps a transition inside what the lamp takes.
func limit(c Caps, d time.Duration) time.Duration {
	if c.Fade == FadeNone {
		return 0
	}
	return min(d, c.MaxFade)
}

func fields(a address, o order) map[string]any {
	m := map[string]any{"transition": tenths(limit(a.caps, o.over)).Seconds()}
	if a.caps.Fade == FadeNone {
		delete(m, "transition")
	}
	if o.level > 0 {
		m["brightness"] = min(a.caps.Max, max(a.caps.Min, o.level))
	}
	switch hue := a.caps.fits(o.hue); hue.mode {
	case byMired:
		m["color_temp"] = int(math.Round(hue.a))
	case byXY:
		m["color"] = map[string]float64{"x": math.Round(hue.a*1e4) / 1e4, "y": math.Round(hue.b*1e4) / 1e4}
	}
	return m
}

// messages is one message, or two where the lamp takes only one attribute in each. change adds what else a driver says.
func messages(a address, topic string, o order, change func(map[string]any)) []packet {
	var all []packet
	split := []order{o}
	if a.caps.Fade != FadeBoth && o.level > 0 && a.caps.fits(o.hue).mode != asItIs {
		split = []order{{hue: o.hue}, {level: o.level, over: o.over}}
	}
	for _, o := range split {
		m := fields(a, o)
		_, level := m["brightness"]
		_, mired := m["color_temp"]
		_, color := m["color"]
		if !level && !mired && !color {
			continue
		}
		if change != nil {
			change(m)
		}
		payload, err := json.Marshal(m)
		if err != nil {
			continue // a NaN; nothing is better than a wrong light
		}
		all = append(all, packet{topic, payload})
	}
	return all
}

// fadeOf is what the room file says of a lamp that fades otherwise than its kind.
func fadeOf(l Lamp, f Fade) Fade {
	switch l.Extra["fade"] {
	case "none":
		return FadeNone
	case "one":
		return FadeOne
	case "both":
		return FadeBoth
	}
	return f
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

func encoded(topic string, m map[string]any) []packet {
	payload, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return []packet{{topic, payload}}
}
