package room

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

func configSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(ConfigSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConfigSchema holds that an editor with the schema and roomd itself say the same of a room file, but for what
// one value asks of another.
func TestConfigSchema(t *testing.T) {
	s := configSchema(t)
	crossRules := []string{"listen-port.yaml", "mqtt-password.yaml", "mqtt-ca.yaml", "scenes-role.yaml", "lights-scale.yaml", "clinic-user.yaml"}
	archive, err := txtar.ParseFile("testdata/config/broken.txtar")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("testdata/config/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, f := range append(archive.Files, txtar.File{Name: "testdata/config/example.yaml", Data: example}) {
		var doc any
		if strings.HasSuffix(f.Name, ".want") || yaml.Unmarshal(f.Data, &doc) != nil {
			continue
		}
		compared++
		_, problems := ParseConfig(f.Name, f.Data)
		valid := s.Validate(doc)
		cross := slices.Contains(crossRules, f.Name)
		if bad := len(problems.Errors()) > 0; bad != (valid != nil) && !cross || cross && (!bad || valid != nil) {
			t.Errorf("%s: roomd says %v, the schema %v", f.Name, problems.Strings(), valid)
		}
	}
	if compared < 40 {
		t.Errorf("only %d files compared", compared)
	}
}

// TestConfigSchemaAgrees compares the two on random room files, made of values that are right and wrong by themselves.
func TestConfigSchemaAgrees(t *testing.T) {
	s := configSchema(t)
	values := map[string][]string{
		"room":   {"Willow", "7", `""`, "~", "[x]", strings.Repeat("x", 81)},
		"listen": {`":8080"`, "8080", `"a.b:80"`, `"[::1]:80"`, `"a b:80"`, "host", "~"},
		"https":  {"off", "{}", `{listen: ":8443"}`, "{listen: 8443}", "{certificate: a.pem, key: b.pem}", "{certificate: a.pem}", "{key: b.pem}", "{names: [a.b]}", "{names: [a b]}", "{names: [a..b]}", "{names: [a-.b]}", "{names: [192.168.1.20]}", `{names: ["::1"]}`, "{names: [a.7]}", "{names: a.b}", "{names: []}", "on", "{port: 1}", "~"},
		"web":    {"{}", "{frame: []}", "{frame: [https://desk.clinic.example]}", `{frame: ["http://192.168.1.9:8123", "https://[fd00::1]:8"]}`, "{frame: ['*']}", "{frame: [desk.clinic.example]}", "{frame: [https://a.b/c]}", "{frame: [https://*.b]}", "{frame: ['https://a b']}", "{frame: [\"https://a;script-src *\"]}", "{frame: https://a.b}", "{frames: []}", "x"},
		"audio": {"{}", "{output: alsa}", "{output: none, device: hw}", "{output: oss}", "{output: {command: [aplay, 2]}}", "{output: {command: []}}", "{output: {}}",
			`{device: ""}`, "{device: [x]}", "{reference: -23}", "{reference: -41}", "{ceiling: 0}", "{ceiling: 13}", `{ceiling: "3"}`, "{volume: 3}", "alsa"},
		"mqtt": {"{broker: embedded}", "{broker: embeded}", "{broker: mqtt://host}", "{broker: mqtts://u:p@host:8883/}", "{broker: tcp://host}", "{broker: mqtt://}", "{broker: mqtt://h/path}",
			"{base: a/b}", "{base: a/+}", "{base: /a}", "{base: a/}", "{base: $a}", "{base: ''}", "{host: x}", "{commands: allowed}", "{commands: yes}", "x"},
		"lights": {"{ambient: {driver: simulated}}", "{ambient: [{driver: simulated}, {driver: zigbee2mqtt, topic: a}]}", "{ambient: {driver: zigbee2mqtt}}", "{ambient: {topic: a}}", "{ambient: {driver: x, topic: a}}",
			"{ambient: {driver: zigbee2mqtt, topic: a/set}}", "{ambient: {driver: homeassistant, topic: a/set, brightness_scale: 1000, fade: one, command: c, state: s, availability: v}}", "{ambient: {driver: homeassistant, topic: a, brightness_scale: 1}}",
			"{ambient: {driver: simulated, fade: slow}}", "{ambient: {driver: simulated, colour: x}}", "{ambient: {driver: wled, topic: a, brightness_scale: 100}}", "{ambient: {driver: tasmota, topic: a, led_table: off}}", "{ambient: {driver: tasmota, topic: a, led_table: 1}}",
			"{ambient: {driver: tasmota, topic: a, fade: both}}", "{ambient: {driver: homeassistant, topic: a, brightness_scale: 10..1000}}", "{ambient: {driver: homeassistant, topic: a, brightness_scale: 0..9}}", "{ambient: {driver: homeassistant, topic: a, brightness_scale: '100'}}",
			"{ambient: {driver: template, command: a, payload: '{level}'}}", "{ambient: {driver: template, command: a}}", "{ambient: {driver: template, payload: '{level}'}}", "{ambient: {driver: template, topic: a, command: a, payload: '{level}'}}",
			`{ambient: {driver: template, command: a, payload: '{"b": {level}, "t": {seconds}}', fade: both, max_fade: 1m, state: s, state_level: a.0.b, availability: v, brightness_scale: 1..100, command_white: w, payload_white: '{"k":{kelvin}}'}}`,
			"{ambient: {driver: template, command: a, payload: '{level}', fade: both}}", "{ambient: {driver: template, command: a, payload: '{level} {milliseconds}', fade: one}}", "{ambient: {driver: template, command: a, payload: '{brightness}'}}", "{ambient: {driver: template, command: a, payload: '{level} {mired}'}}",
			`{ambient: {driver: template, command: a, payload: '{"effect":"none","b":{level}}'}}`, `{ambient: {driver: template, command: a, payload: '{"Flash":1,"b":{level}}'}}`, `{ambient: {driver: template, command: a, payload: 'off {level}'}}`, "{ambient: {driver: template, command: a, payload: '{level}', max_fade: 1m}}",
			"{ambient: {driver: template, command: a, payload: '{level}', state_level: b}}", "{ambient: {driver: template, command: a, payload: '{level}', state: s, state_level: a..b}}", "{ambient: {driver: template, command: a, payload: '{level}', command_white: b}}",
			"{ambient: {driver: template, command: a, payload: '{level}', payload_white: '{level}'}}", "{ambient: {driver: template, command: a, payload: '{level}', payload_white: '{}{mired}'}}", "{ambient: {driver: template, command: a, payload: ' '}}", "{ambient: {driver: template, command: a, payload: [x]}}", "{ambient: {driver: zigbee2mqtt, topic: a, led_table: on}}", "{ambient: []}", "{}", "{'a/b': {driver: simulated}}", "{ambient: x}", "[x]", "~"},
		"scenes": {"{}", "{a: {ambient: {level: 1}}}", "{a: {ambient: {level: 20, kelvin: 2700}}}", "{a: {ambient: {level: 20, color: '#aAbB09'}}}", "{a: {ambient: {level: 0}}}", "{a: {ambient: {level: 101}}}", "{a: {ambient: {}}}",
			"{a: {ambient: {level: 20, kelvin: 999}}}", "{a: {ambient: {level: 20, kelvin: 2700.5}}}", "{a: {ambient: {level: 20, color: red}}}", "{a: {ambient: {level: 20, color: '#aabbcc', kelvin: 2700}}}", "{a: {}}", "{a: x}", "{a: {ambient: {level: 5, hue: 1}}}", "[a]"},
		"marks": {"[A]", "[A, B]", "[]", "[A, A]", "A", "[~]", "[7]"},
		"schedule": {"[]", `[{at: "0 8 * * *", do: {scene: day}}]`, `[{at: "0 8 * * *", do: {scene: day, fade: 5m}}]`, `[{at: "0 8 * *", do: {scene: day}}]`, `[{at: "0 8 * * *", do: {scene: day, fade: 0s}}]`,
			`[{at: "0 8 * * *", do: {}}]`, `[{at: "0 8 * * *", do: day}]`, `[{at: "0 8 * * *"}]`, `[{do: {scene: day}}]`, `[{at: "0 8 * * *", do: {scene: day}, x: 1}]`, "x", "[x]"},
		"buttons": {"[]", "[{topic: a, action: single, do: care}]", "[{topic: a, payload: x, do: mark, name: Note}]", "[{topic: a, payload: x, do: mark}]", "[{topic: a, do: care}]", "[{topic: a, action: x, payload: y, do: care}]",
			"[{topic: a, action: x, do: start}]", "[{topic: a, action: x, do: start, playlist: p}]", "[{topic: '#', action: x, do: care}]", "[{action: x, do: care}]", "[{topic: a, action: x}]", "[{topic: a, action: x, do: undo}]", "[x]", "x"},
		"sign":     {"{topic: a, session: x, free: y}", "{topic: a, session: x}", "{topic: a/#, session: x, free: y}", "{}", "x", "{topic: a, session: x, free: y, z: 1}"},
		"history":  {"{}", "{days: 1}", "{days: 365}", "{days: 0}", "{days: 366}", "{days: 7.5}", "{days: '7'}", "{days: 30d}", "{keep: 1}", "30", "~"},
		"nonsense": {"1"},
	}
	var keys []string
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	agree := func(text string, fatalf func(string, ...any)) {
		var doc any
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			fatalf("%v", err)
		}
		if doc == nil {
			return
		}
		_, problems := ParseConfig("room.yaml", []byte(text))
		var own int
		for _, p := range problems.Errors() {
			// A scene's role is looked for in lights, which may be wrong themselves.
			if !strings.Contains(p.Says, "the room has no light") {
				own++
			}
		}
		if valid := s.Validate(doc); own == 0 && len(problems.Errors()) == 0 != (valid == nil) || own > 0 && valid == nil {
			fatalf("%s\nroomd says %v\nthe schema %v", text, problems.Strings(), valid)
		}
	}
	for _, k := range keys {
		for _, v := range values[k] {
			agree(k+": "+v+"\n", t.Errorf)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for _, k := range keys {
			if rapid.IntRange(0, 5).Draw(t, "with "+k) == 0 {
				fmt.Fprintf(&b, "%s: %s\n", k, rapid.SampledFrom(values[k]).Draw(t, k))
			}
		}
		agree(b.String(), t.Fatalf)
	})
}
