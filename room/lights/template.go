package lights

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var _ = register(kind{name: "template", rank: 8, driver: template{}, options: []string{"command", "payload", "command_white", "payload_white",
	"brightness_scale", "state", "state_level", "availability", "fade", "max_fade"}})

// template is any lamp that takes a payload on a topic, written in the room file with placeholders. Brightness and white
// are messages of their own.
type template struct{}

// Placeholders of a template's payload; seconds and milliseconds are how long the lamp is to take.
const (
	holdLevel   = "{level}"
	holdMired   = "{mired}"
	holdKelvin  = "{kelvin}"
	holdSeconds = "{seconds}"
	holdMillis  = "{milliseconds}"
)

var (
	placeholder = regexp.MustCompile(`\{[A-Za-z_0-9]+\}`)
	startling   = regexp.MustCompile(`(?i)effect|flash|identify|blink|strobe|\boff\b`)
	levelScale  = regexp.MustCompile(`^(?:(\d{1,5})\.\.)?(\d{1,5})$`)
)

// Placeholders are what the payload of a template may hold: that of its brightness, or that of its white.
func Placeholders(white bool) []string {
	if white {
		return []string{holdMired, holdKelvin, holdSeconds, holdMillis}
	}
	return []string{holdLevel, holdSeconds, holdMillis}
}

// HasTime tells whether a template's payload says how long the lamp is to take.
func HasTime(payload string) bool {
	return strings.Contains(payload, holdSeconds) || strings.Contains(payload, holdMillis)
}

// CheckPayload is what is wrong with the payload of a template and how to mend it; both are empty where it can be used.
// unknown is a placeholder in it that does not exist, if that is what is wrong.
func CheckPayload(payload string, white bool) (says, write, unknown string) {
	known := Placeholders(white)
	if word := startling.FindString(payload); word != "" {
		return fmt.Sprintf("the payload holds %q: roomd sends no effect and never off", word), "leave it out", ""
	}
	for _, p := range placeholder.FindAllString(payload, -1) {
		if !slices.Contains(known, p) {
			return "the payload has no placeholder " + p, "write " + strings.Join(known, ", "), p
		}
	}
	switch {
	case white && !strings.Contains(payload, holdMired) && !strings.Contains(payload, holdKelvin):
		return "the payload does not say which white", "write {mired} or {kelvin} where the number stands", ""
	case !white && !strings.Contains(payload, holdLevel):
		return "the payload does not say how bright", "write {level} where the number stands", ""
	}
	return "", "", ""
}

// ParseScale reads a lamp's own levels, as 255 or 10..1000: its lowest light, 1 at least, and its full light.
func ParseScale(s string) (least, full int, ok bool) {
	m := levelScale.FindStringSubmatch(s)
	if m == nil {
		return 0, 0, false
	}
	least = 1
	if m[1] != "" {
		least, _ = strconv.Atoi(m[1])
	}
	full, _ = strconv.Atoi(m[2])
	return least, full, least >= 1 && full > least && full <= math.MaxUint16
}

func (template) caps(l Lamp) Caps {
	c := Caps{Fade: fadeOf(l, FadeNone), MaxFade: time.Minute, Min: 1, Max: 255}
	if least, full, ok := ParseScale(l.Extra["brightness_scale"]); ok {
		c.Min, c.Max = least, full
	}
	if d, err := time.ParseDuration(l.Extra["max_fade"]); err == nil && d > 0 {
		c.MaxFade = d
	}
	if l.Extra["payload_white"] != "" {
		c.MinMired, c.MaxMired = 153, 500
	}
	return c
}

func (template) hears(a address) []string {
	var all []string
	for _, k := range []string{"command", "command_white", "state", "availability"} {
		if t := a.extra[k]; t != "" && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

func (template) order(a address, o order) []packet {
	over := tenths(limit(a.caps, o.over))
	fill := func(payload string, values ...string) []byte {
		values = append(values, holdSeconds, strconv.FormatFloat(over.Seconds(), 'f', -1, 64), holdMillis, strconv.FormatInt(over.Milliseconds(), 10))
		return []byte(strings.NewReplacer(values...).Replace(payload))
	}
	var all []packet
	if hue := a.caps.fits(o.hue); hue.mode == byMired && hue.a > 0 {
		all = append(all, packet{or(a.extra["command_white"], a.extra["command"]), fill(a.extra["payload_white"],
			holdMired, strconv.Itoa(int(math.Round(hue.a))), holdKelvin, strconv.Itoa(int(math.Round(1e6/hue.a))))})
	}
	if o.level > 0 {
		level := min(a.caps.Max, max(a.caps.Min, o.level))
		all = append(all, packet{a.extra["command"], fill(a.extra["payload"], holdLevel, strconv.Itoa(level))})
	}
	return all
}

func (template) asks(address, bool) []packet { return nil }

func (template) decode(a address, topic string, payload []byte) (report, bool) {
	switch topic {
	case "": // an option that is not there
	case a.extra["state"]:
		v, ok := dig(payload, a.extra["state_level"])
		if !ok || v < 0 {
			return report{}, false
		}
		return report{kind: saysState, hasOn: true, on: v > 0, hasLevel: v > 0, level: min(1, v/float64(a.caps.Max))}, true
	case a.extra["availability"]:
		switch strings.ToLower(strings.TrimSpace(string(payload))) {
		case "online", "true", "1":
			return report{kind: saysOnline, on: true}, true
		case "offline", "false", "0":
			return report{kind: saysOnline}, true
		}
	case a.extra["command"], a.extra["command_white"]:
		return report{kind: saysCommand, movesLevel: topic == a.extra["command"], movesColour: topic != a.extra["command"] || a.caps.MinMired > 0}, len(payload) > 0
	}
	return report{}, false
}

// dig is the number at a dotted path in JSON, such as light.0.bri; without a path the payload is the number.
func dig(payload []byte, path string) (float64, bool) {
	raw := json.RawMessage(payload)
	for key := range strings.SplitSeq(path, ".") {
		if path == "" {
			break
		}
		var m map[string]json.RawMessage
		var list []json.RawMessage
		switch i, err := strconv.Atoi(key); {
		case json.Unmarshal(raw, &m) == nil:
			raw = m[key]
		case err == nil && json.Unmarshal(raw, &list) == nil && i >= 0 && i < len(list):
			raw = list[i]
		default:
			return 0, false
		}
	}
	return number(json.RawMessage(strings.TrimSpace(string(raw))))
}
