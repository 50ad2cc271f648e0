package room

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](v T) *T { return &v }

// TestWriteConfig holds that setup changes what was asked for and nothing else: not a comment, not a line.
func TestWriteConfig(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		a    Answers
		want string
	}{
		"nothing is asked for": {"room: A # b\n", Answers{}, "room: A # b\n"},
		"a new file": {"", Answers{Room: ptr("Willow: one"), Device: ptr("usb"), Broker: ptr("mqtt://localhost:1883"), Lights: map[string]string{"ambient": "{driver: wled, topic: wled/a}", "accent": "{driver: simulated}"}},
			firstConfig + `room: 'Willow: one'

# The sound device, by its name: it is never replaced by another. "" is the system's own.
audio: {device: usb}

# The way to the lamps: embedded is roomd's own broker.
mqtt: {broker: 'mqtt://localhost:1883'}

# Roles, each with its lamps. ambient is the room's light, accent a second, smaller one.
lights:
  accent: {driver: simulated}
  ambient: {driver: wled, topic: wled/a}
`},
		"one line among others": {"# mine\nlisten: \":80\"\n\nroom: A # the old name\n\n# scenes\nscenes:\n  # dark\n  x: {ambient: {level: 9}}\n", Answers{Room: ptr("B")},
			"# mine\nlisten: \":80\"\n\nroom: B\n\n# scenes\nscenes:\n  # dark\n  x: {ambient: {level: 9}}\n"},
		"other options stay":    {"audio: {reference: -24, device: old, ceiling: 3}\nroom: A\n", Answers{Device: ptr("new")}, "audio: {reference: -24, device: new, ceiling: 3}\nroom: A\n"},
		"a loudness":            {"audio: {reference: -24, device: old} # loud\n", Answers{Device: ptr("new"), Reference: ptr(-20.0)}, "audio: {reference: -20, device: new} # loud\n"},
		"a loudness and a half": {"room: A\n", Answers{Reference: ptr(-20.5)}, "room: A\n\n# How loud the music is: what a level of 0 is, in LUFS.\naudio: {reference: -20.5}\n"},
		"on lines of their own": {"mqtt:\n  base: willow # ours\n  broker: embedded\nroom: A\n", Answers{Broker: ptr("mqtt://h:1883")}, "mqtt:\n  base: willow # ours\n  broker: mqtt://h:1883\nroom: A\n"},
		"other roles stay": {"lights:\n  floor: {driver: wled, topic: f}\n  ambient:\n    - {driver: wled, topic: a}\n    - {driver: wled, topic: b}\n# the end\n",
			Answers{Lights: map[string]string{"ambient": "{driver: shelly, topic: s}"}}, "lights:\n  floor: {driver: wled, topic: f}\n  ambient: {driver: shelly, topic: s}\n# the end\n"},
		"no line at the end": {"room: A", Answers{Device: ptr("")}, "room: A\n\n# The sound device, by its name: it is never replaced by another. \"\" is the system's own.\naudio: {device: \"\"}\n"},
		"an empty value":     {"audio:\nroom: A\n", Answers{Device: ptr("x")}, "audio: {device: x}\nroom: A\n"},
		"windows":            {"room: A\r\nlisten: \":80\"\r\n", Answers{Room: ptr("B")}, "room: B\nlisten: \":80\"\r\n"},
	} {
		got, err := WriteConfig([]byte(c.text), c.a)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(c.want, string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		again, err := WriteConfig(got, c.a)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: written twice it is another: %v\n%s", name, err, again)
		}
		if _, problems := ParseConfig("room.yaml", got); len(problems.Errors()) > 0 {
			t.Errorf("%s: %v", name, problems.Strings())
		}
	}
	for name, text := range map[string]string{
		"braces":            "{room: A, listen: \":80\"}\n",
		"broken":            "room: [\n",
		"a list":            "- room\n",
		"a word":            "audio: loud\n",
		"somebody's anchor": "audio: &a {device: x}\nother: *a\n",
	} {
		if got, err := WriteConfig([]byte(text), Answers{Device: ptr("x")}); err == nil {
			t.Errorf("%s: %s", name, got)
		} else if !strings.Contains(err.Error(), "by hand") && !strings.Contains(err.Error(), "a key a line") && !strings.Contains(err.Error(), "can't be read") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzWriteConfig(f *testing.F) {
	for _, text := range []string{"", "room: A\n", "audio:\n  device: x\n\n# c\nlights: {a: {driver: wled, topic: t}}\n", "lights: |\n  text\n", "mqtt: &m {broker: b}\nx: *m\n", "room: A\n---\nroom: B\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a := Answers{Room: ptr("R"), Device: ptr("d"), Broker: ptr("embedded"), Lights: map[string]string{"ambient": "{driver: simulated}"}}
		before, problems := ParseConfig("room.yaml", []byte(text))
		got, err := WriteConfig([]byte(text), a)
		if err != nil || len(problems.Errors()) > 0 {
			return
		}
		after, problems := ParseConfig("room.yaml", got)
		if len(problems.Errors()) > 0 || after.Room != "R" || after.Audio.Device != "d" || after.Listen != before.Listen || len(after.Schedule) != len(before.Schedule) {
			t.Errorf("%q became %q: %v", text, got, problems.Strings())
		}
	})
}
