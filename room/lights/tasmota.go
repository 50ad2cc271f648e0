package lights

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

var _ = register(kind{name: "tasmota", rank: 5, options: []string{"led_table"}, driver: tasmota{},
	offers: map[string]func(*Finder, string, []byte){"tasmota/discovery/+/config": (*Finder).tasmota}})

// tasmota speaks to a light with Tasmota 9.3 or later, by its topic, with Tasmota's own order of topics (cmnd/TOPIC/…).
//
// Tasmota's Speed is a slew rate, 20 s for the whole range at the most, so a fade of a few percent is over in half a
// second whatever is asked for. The fade is therefore made of our own steps, and each step is softened by Speed2, which
// holds for one command alone and leaves the lamp's settings as they are. Fade itself is never touched: to change it while
// a fade runs makes the light jump.
type tasmota struct{}

const (
	// In halves of a second for the whole range: a step of 1 % takes an eighth of a second, and a step from a wrong
	// belief stays under 12 L* a second wherever there is light to speak of.
	tasmotaSpeed   = 24
	tasmotaFine    = 1023 // levels of a lamp with its LedTable on: light itself, of which Dimmer is a curve
	tasmotaPercent = 100
)

// ledTable is what Tasmota makes of a brightness from 0 to 1023, between these points in straight lines.
var ledTable = [][2]float64{{0, 0}, {1, 1}, {4, 1}, {209, 13}, {312, 41}, {457, 106}, {626, 261}, {762, 450}, {895, 703}, {1023, 1023}}

// along is the value at x on the lines between points, whose axes are from and to.
func along(points [][2]float64, from, to int, x float64) float64 {
	for i := 1; i < len(points); i++ {
		a, b := points[i-1], points[i]
		if x <= b[from] && b[from] > a[from] {
			return a[to] + (b[to]-a[to])*(x-a[from])/(b[from]-a[from])
		}
	}
	return points[len(points)-1][to]
}

func (tasmota) caps(l Lamp) Caps {
	c := Caps{Fade: FadeNone, Min: 1, Max: tasmotaFine, MinMired: 153, MaxMired: 500, ReadBack: true}
	if l.Extra["led_table"] == "off" {
		c.Max = tasmotaPercent
	}
	return c
}

// dimmer is Tasmota's percent for a level.
func (tasmota) dimmer(c Caps, level int) int {
	d := float64(min(c.Max, max(c.Min, level)))
	if c.Max == tasmotaFine {
		d = along(ledTable, 1, 0, d) / tasmotaFine * tasmotaPercent
	}
	return min(tasmotaPercent, max(1, int(math.Round(d))))
}

// share is the light, 0 to 1, of Tasmota's percent.
func (tasmota) share(c Caps, dimmer float64) float64 {
	y := min(1, dimmer/tasmotaPercent)
	if c.Max == tasmotaFine {
		y = along(ledTable, 0, 1, y*tasmotaFine) / tasmotaFine
	}
	return y
}

func (tasmota) hears(a address) []string {
	return []string{"cmnd/" + a.topic + "/+", "stat/" + a.topic + "/RESULT", "tele/" + a.topic + "/STATE", "tele/" + a.topic + "/LWT"}
}

func (t tasmota) order(a address, o order) []packet {
	speed := tasmotaSpeed
	if o.over > 0 { // at once, as far as it goes
		speed = int(min(40, max(1, o.over/(500*time.Millisecond))))
	}
	var all []packet
	say := func(command string, n int) {
		// Backlog0 does not wait between its commands.
		all = append(all, packet{"cmnd/" + a.topic + "/Backlog0", fmt.Appendf(nil, "Speed2 %d;%s %d", speed, command, n)})
	}
	if hue := a.caps.fits(o.hue); hue.mode == byMired && hue.a > 0 {
		say("CT", int(math.Round(hue.a)))
	}
	if o.level > 0 {
		say("Dimmer", t.dimmer(a.caps, o.level))
	}
	return all
}

func (tasmota) asks(a address, _ bool) []packet { return []packet{{"cmnd/" + a.topic + "/STATE", nil}} }

func (t tasmota) decode(a address, topic string, payload []byte) (report, bool) {
	switch topic {
	case "stat/" + a.topic + "/RESULT", "tele/" + a.topic + "/STATE":
		var s struct {
			Power, Power1 string
			Dimmer        json.RawMessage
			CT            json.RawMessage
		}
		if json.Unmarshal(payload, &s) != nil {
			return report{}, false
		}
		r := report{kind: saysState}
		if p := or(s.Power, s.Power1); p == "ON" || p == "OFF" {
			r.hasOn, r.on = true, p == "ON"
		}
		if d, ok := number(s.Dimmer); ok && d >= 0 {
			r.hasLevel, r.level = true, t.share(a.caps, d)
		}
		if m, ok := number(s.CT); ok && m > 0 {
			r.hue = colour{mode: byMired, a: m}
		}
		return r, r.hasOn || r.hasLevel
	case "tele/" + a.topic + "/LWT":
		s := strings.TrimSpace(string(payload))
		return report{kind: saysOnline, on: s == "Online"}, s == "Online" || s == "Offline"
	}
	command, ok := strings.CutPrefix(topic, "cmnd/"+a.topic+"/")
	if !ok || len(payload) == 0 { // without a value it is a question
		return report{}, false
	}
	r := report{kind: saysCommand}
	switch c := strings.TrimRight(strings.ToLower(command), "0123456789"); c {
	case "dimmer", "power", "white", "channel":
		r.movesLevel = true
	case "ct":
		r.movesColour = true
	case "backlog", "color", "hsbcolor", "scheme", "wakeup", "event":
		r.movesLevel, r.movesColour = true, true
	}
	return r, r.movesLevel || r.movesColour
}

func (s *Finder) tasmota(_ string, payload []byte) {
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
