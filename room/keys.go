package room

import (
	"fmt"
	"math"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/playlists/yamlfile"
	"roomd/room/crontab"
	"roomd/room/lights"
)

// The keys of the room file. ParseConfig reads it by these declarations, and ConfigSchema and the tables of docs/room.md are
// made from them. What one value asks of another is ParseConfig's alone.

type (
	key    = yamlfile.Key
	object = yamlfile.Object
	value  = yamlfile.Value
)

var (
	name80   = yamlfile.Text{Max: 80}
	fileName = yamlfile.Text{Max: 1000}
	idText   = yamlfile.Text{Max: 200}
	second   = yamlfile.Length{Min: time.Second}
)

var roomKeys = &yamlfile.Map{
	Name: "the room file", Write: "room: Willow",
	Keys: []key{
		{Name: "room", Type: name80, Example: "Willow", Doc: "what the room is called", Default: "`Room`"},
		{Name: "listen", Type: address(defaultListen), Doc: "where the page is served: a port, or an address and a port", Default: "`:8080`"},
		{Name: "https", Type: yamlfile.OneOf{Map: httpsKeys, Else: offWord}, Doc: "where the page is served privately; `off` for nowhere", Default: "`:8443`, with a certificate that the room makes"},
		{Name: "web", Type: webKeys, Doc: "what else the page may do", Default: "nothing"},
		{Name: "audio", Type: audioKeys, Doc: "the speaker", Default: "the sound device, if there is one"},
		{Name: "mqtt", Type: mqttKeys, Doc: "the broker that leads to lamps and buttons", Default: "no broker: simulated lamps only"},
		{Name: "lights", Type: rolesType{}, Example: "{ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/lamp}}", Doc: "the lamps by role; a role can list several", Default: "two simulated lamps, `ambient` and `accent`"},
		{Name: "scenes", Type: scenesType{}, Example: "{dusk: {ambient: {level: 25, kelvin: 2400}}}", Doc: "light by name and role; `care` is light to see by, `full` is for emergencies", Default: "day, dusk, dim, floor, journey, return, care and full"},
		{Name: "marks", Type: yamlfile.List{Of: name80, Name: "marks", Max: 24, More: "a tablet shows no more", Unique: true, Empty: "write marks: [Lozenge, Vitals, Note]"}, Example: "[Lozenge, Vitals, Note]", Doc: "the moments that a therapist can tap; at most 24", Default: "Lozenge, Spit, Swallow, Vitals, Note"},
		{Name: "music", Type: yamlfile.List{Of: folderText, Name: "folders", Max: 20, More: "name a folder that holds them", Single: true}, Example: "[/mnt/nas]", Doc: "folders outside the playlists folder that links in it may lead to, such as a network share", Default: "none"},
		{Name: "schedule", Type: yamlfile.List{Of: jobKeys, Name: "entries", Max: 200, More: "combine some"}, Example: `[{at: "0 8 * * MON-FRI", do: {scene: day, fade: 5m}}]`, Doc: "what the room does by itself; never during a session", Default: "nothing"},
		{Name: "buttons", Type: yamlfile.List{Of: buttonKeys, Name: "buttons", Max: 50, More: "leave some out"}, Example: "[{topic: zigbee2mqtt/button, action: single, do: care}]", Doc: "MQTT messages that ask for a command; at most 50", Default: "none"},
		{Name: "sign", Type: signKeys, Doc: "the sign at the door", Default: "none"},
		{Name: "syncthing", Type: syncthingKeys, Doc: "a Syncthing on this computer whose folders pause while a session runs", Default: "none"},
		{Name: "clinic", Type: clinicKeys, Doc: "the clinic's own broker, which this room tells how it is; a room that joined a desk by a code needs none", Default: "none"},
		{Name: "history", Type: historyKeys, Doc: "how long sessions are kept", Default: "`{days: 30}`"},
	},
}

var offWord = yamlfile.Rule{
	Type: yamlfile.Text{Max: 10},
	Check: func(v value, got any) bool {
		if got != "off" {
			v.Error(fmt.Sprintf("https is %q", got), "write "+httpsWrite)
		}
		return got == "off"
	},
	Says: object{"enum": []any{"off", false}},
}

const httpsWrite = `https: {listen: ":8443"}, or https: off`

var httpsKeys = &yamlfile.Map{
	Name: "https", Write: httpsWrite,
	Keys: []key{
		{Name: "listen", Type: address(":8443"), Doc: "a port, or an address and a port", Default: "`:8443`"},
		{Name: "certificate", Type: fileName, Example: "FILE, in PEM", Doc: "the PEM file of your own certificate, relative to this file", Default: "the room makes one"},
		{Name: "key", Type: fileName, Example: "FILE, in PEM", Doc: "the PEM file of its key", Default: "the room makes one"},
		{Name: "names", Type: yamlfile.List{Of: hostName, Name: "names", Max: 100, More: "leave some out"}, Example: "[room.clinic.example]", Doc: "further host names of the room", Default: "this computer's own names"},
	},
	Rules: object{"dependentRequired": object{"certificate": []string{"key"}, "key": []string{"certificate"}}},
}

var webKeys = &yamlfile.Map{
	Name: "web", Write: "web: {frame: [https://desk.clinic.example]}",
	Keys: []key{
		{Name: "frame", Type: yamlfile.List{Of: originText, Name: "origins", Max: 20, More: "leave some out"}, Example: "[https://desk.clinic.example]", Doc: "origins whose pages may show the [wall page](network.md) in a frame", Default: "none"},
	},
}

const originPattern = `^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`

var originForm = regexp.MustCompile(originPattern)

// originText is a page's origin, as a browser tells it: no path, no wildcard. It goes into a header as it is.
var originText = yamlfile.Rule{
	Type: idText,
	Check: func(v value, got any) bool {
		good := originForm.MatchString(got.(string))
		if !good {
			v.Error(fmt.Sprintf("%q is not a valid origin", got), "write scheme, host and port alone: frame: [https://desk.clinic.example]")
		}
		return good
	},
	Says: object{"type": "string", "pattern": originPattern},
}

var audioKeys = &yamlfile.Map{
	Name: "audio", Write: `audio: {output: alsa, device: "", reference: -23, ceiling: 6}`,
	Keys: []key{
		{Name: "output", Type: yamlfile.OneOf{Map: commandKeys, Else: yamlfile.Word{"alsa", "none"}}, Doc: "`alsa`, `none`, or `{command: [aplay, …]}`, a program that takes PCM on standard input; `{format}`, `{rate}`, `{channels}` and `{bits}` in its words stand for what it is fed", Default: "`alsa` if there is a sound device, else `none`"},
		{Name: "device", Type: yamlfile.Text{Max: 200, Empty: true}, Example: `"" for the usual one, or the name that aplay -L shows`, Doc: "an ALSA device by its name (`roomd sound` lists them); never replaced by another", Default: "the system's own"},
		{Name: "reference", Type: references, Doc: "LUFS that a playlist's level 0 sounds at, -40 to -14", Default: "`-23`"},
		{Name: "ceiling", Type: yamlfile.Number{Min: 0, Max: 12}, Doc: "dB over the reference that nobody gets past, 0 to 12", Default: "`6`"},
		{Name: "headphones", Type: headphoneKeys, Doc: "headphones on channels 3 and 4 of the device, in step with the speaker", Default: "none"},
	},
}

var commandKeys = &yamlfile.Map{
	Name: "output", Write: "output: {command: [aplay, -q, -f, S32_LE, -c, 2, -r, 48000]}",
	Keys: []key{{Name: "command", Need: true, Example: "[aplay, -q, -f, S32_LE, -c, 2, -r, 48000]", Doc: "the program and its arguments",
		Type: yamlfile.List{Of: fileName, Name: "words", Max: 200, More: "write a script", Empty: "write command: [aplay, -q, -f, S32_LE, -c, 2, -r, 48000]"}}},
}

var headphoneKeys = &yamlfile.Map{
	Name: "headphones", Write: "headphones: {level: -6, ceiling: 3}",
	Keys: []key{
		{Name: "level", Type: yamlfile.Number{Min: -30, Max: 12}, Doc: "dB against the speaker, -30 to 12", Default: "`0`"},
		{Name: "ceiling", Type: yamlfile.Number{Min: 0, Max: 12}, Doc: "dB over the reference that they never get past, 0 to 12", Default: "that of the speaker"},
	},
}

var mqttKeys = &yamlfile.Map{
	Name: "mqtt", Write: "mqtt: {broker: embedded}, or mqtt: {broker: mqtt://user:password@host:1883}",
	Keys: []key{
		{Name: "broker", Type: brokerText, Example: "mqtt://user:password@host:1883", Doc: "`embedded` for none, `mqtt://user:password@host:1883` or `mqtts://host:8883`", Default: "`embedded`"},
		{Name: "ca", Type: fileName, Example: "broker.pem", Doc: "the PEM file of the authority that signs an `mqtts` broker's certificate, relative to this file", Default: "the system's authorities"},
		{Name: "base", Type: topicText, Example: "roomd", Doc: "the first part of roomd's own topics", Default: "`roomd`"},
		{Name: "commands", Type: yamlfile.Word{"allowed", "refused"}, Doc: "whether whoever may write to the broker may steer the room", Default: "`refused`"},
	},
}

var levelKeys = &yamlfile.Map{
	Name: "the light of a role", Write: `{level: 25, kelvin: 2400}, or {level: 25, color: "#ff9a4a"}`,
	Keys: []key{
		{Name: "level", Need: true, Example: "25", Doc: "L*, how bright it looks, from 1 to 100; light never goes off by itself", Type: yamlfile.Rule{
			Type: yamlfile.Number{Min: 0, Max: 100},
			Check: func(v value, got any) bool {
				if got.(float64) < 1 {
					v.Error("level is 0, but light never goes off by itself", "write 1 or more")
				}
				return got.(float64) >= 1
			},
			Says: object{"minimum": 1},
		}},
		{Name: "kelvin", Type: whole(1000, 10_000), Doc: "white light, 1000 to 10000 K", Default: "the lamp's color stays"},
		{Name: "color", Example: `"#ff9a4a", with its quotes`, Doc: "a color in place of `kelvin`: `\"#ff9a4a\"`", Default: "the lamp's color stays",
			Type: matching(yamlfile.Text{Max: 20}, `^#[0-9A-Fa-f]{6}$`, "%q is not a color", `write color: "#ff9a4a", with its quotes`)},
	},
	Rules: object{"not": object{"required": []string{"kelvin", "color"}}},
}

var jobKeys = &yamlfile.Map{
	Name: "an entry of the schedule", Write: `- {at: "0 8 * * MON-FRI", do: {scene: day, fade: 5m}}, or play, check or backup in place of scene`,
	Keys: []key{
		{Name: "at", Type: cronText, Need: true, Example: `"0 8 * * MON-FRI"`, Doc: "minute, hour, day, month, weekday, as cron writes them"},
		{Name: "do", Type: doKeys, Need: true, Doc: "one of `scene`, `play`, `check` and `backup`"},
	},
}

// jobOptions are the keys that belong to each thing that an entry of the schedule can do.
var jobOptions = []struct {
	does    string
	options []string
}{{"scene", []string{"fade"}}, {"play", []string{"for", "level"}}, {"check", nil}, {"backup", []string{"keep"}}}

var doKeys = &yamlfile.Map{
	Name: "do", Write: "do: {scene: day, fade: 5m}, or play, check or backup in place of scene",
	Keys: []key{
		{Name: "scene", Type: name80, Example: "day", Doc: "a scene that the room fades to"},
		{Name: "fade", Type: second, Example: "5m", Doc: "with `scene`: how long that takes", Default: "as fast as planned light may move"},
		{Name: "play", Type: idText, Example: "welcome", Doc: "a playlist, by the path of its file without .yaml"},
		{Name: "for", Type: second, Example: "30m", Doc: "with `play`: how long it plays", Default: "`30m`"},
		{Name: "level", Type: yamlfile.Number{Min: -40, Max: 0}, Doc: "with `play`: dB against the playlist's own loudness, -40 to 0", Default: "`-10`"},
		{Name: "check", Type: yamlfile.Words([]Check{CheckFiles, CheckRoom}), Doc: "`files`: playlists and their music; `room`: sound and lights"},
		{Name: "backup", Example: "/media/stick/roomd", Doc: "a folder that the room is backed up to, by its absolute path", Type: yamlfile.Rule{
			Type: idText,
			Check: func(v value, got any) bool {
				return absolute(v, got.(string), "write the whole path: /media/stick/roomd")
			},
			Says: object{"pattern": `^\s*/[^\x00-\x1f\x7f-\x9f]*$`},
		}},
		{Name: "keep", Type: whole(1, 1000), Doc: "with `backup`: how many of the newest backups stay", Default: "`14`"},
	},
	Rules: object{"oneOf": jobChoices()},
}

func jobChoices() (out []object) {
	for _, j := range jobOptions {
		out = append(out, object{"required": []string{j.does}, "propertyNames": object{"enum": append([]string{j.does}, j.options...)}})
	}
	return out
}

var buttonKeys = &yamlfile.Map{
	Name: "a button", Write: "- {topic: zigbee2mqtt/button, action: single, do: care}",
	Keys: []key{
		{Name: "topic", Type: topicText, Need: true, Example: "zigbee2mqtt/button", Doc: "where the button reports"},
		{Name: "action", Type: name80, Example: "single", Doc: "the action in zigbee2mqtt's message: `single`, `double`, `hold`, …", Default: "the button has a `payload`"},
		{Name: "payload", Type: idText, Example: "pressed", Doc: "the whole message", Default: "the button has an `action`"},
		{Name: "do", Type: buttonVerb{}, Example: "care", Need: true, Doc: "the command"},
		{Name: "name", Type: name80, Example: "Note", Doc: "with `do: mark`: one of the marks"},
		{Name: "playlist", Type: idText, Example: "three-hours", Doc: "with `do: start`: a playlist"},
	},
	Rules: object{
		"oneOf": []object{{"required": []string{"action"}}, {"required": []string{"payload"}}},
		"allOf": []object{needsWith(MarkNow, "name"), needsWith(Start, "playlist")},
	},
}

// buttonVerb is a command that a button may send. It reads as a string.
type buttonVerb struct{}

func (buttonVerb) Read(v value, write string) (any, bool) {
	return yamlfile.Words(Verbs(true)).Read(v, write)
}

func (buttonVerb) Schema() object { return yamlfile.Words(Verbs(true)).Schema() }

func needsWith(do Verb, key string) object {
	return object{"if": object{"properties": object{"do": object{"const": do}}, "required": []string{"do"}}, "then": object{"required": []string{key}}}
}

var signKeys = &yamlfile.Map{
	Name: "sign", Write: `sign: {topic: zigbee2mqtt/sign/set, session: '{"state":"ON"}', free: '{"state":"OFF"}'}`,
	Keys: []key{
		{Name: "topic", Type: topicText, Need: true, Example: "zigbee2mqtt/sign/set", Doc: "where its commands go"},
		{Name: "session", Type: yamlfile.Text{Max: 500}, Need: true, Example: `'{"state":"ON"}'`, Doc: "what it is sent during a session"},
		{Name: "free", Type: yamlfile.Text{Max: 500}, Need: true, Example: `'{"state":"OFF"}'`, Doc: "what it is sent while the room is free"},
	},
}

var syncthingKeys = &yamlfile.Map{
	Name: "syncthing", Write: "syncthing: {url: http://127.0.0.1:8384, key_file: syncthing.key}",
	Keys: []key{
		{Name: "url", Need: true, Example: "http://127.0.0.1:8384", Doc: "the address of its page, without a path",
			Type: matching(idText, originPattern, "%q is not a valid address", "write scheme, host and port alone: url: http://127.0.0.1:8384")},
		{Name: "key_file", Type: keyFile, Need: true, Example: "syncthing.key", Doc: "a file that holds its API key alone, relative to this file"},
	},
}

// keyFile is the path of a file with a key of Syncthing's, and not that key: no message shows it.
var keyFile = yamlfile.Rule{
	Type: fileName,
	Check: func(v value, got any) bool {
		is := syncthingKey.MatchString(got.(string))
		if is {
			v.Error("key_file is the API key itself", "put the key into a file and write key_file: syncthing.key")
		}
		return !is
	},
	Says: object{"not": object{"pattern": syncthingKey.String()}},
}

var syncthingKey = regexp.MustCompile(`^\s*[A-Za-z0-9]{32}\s*$`)

var clinicKeys = &yamlfile.Map{
	Name: "clinic", Write: "clinic: {broker: mqtts://user:password@host:8883, house: North}",
	Keys: []key{
		{Name: "broker", Need: true, Example: "mqtts://user:password@host:8883", Doc: "its address, `mqtts://user:password@host:8883`; the room's topics are `roomd/USER/…`",
			Type: yamlfile.Rule{Type: yamlfile.Text{Max: 500}, Says: object{"pattern": `^mqtts://[^\s/?#]+/?$`}}},
		{Name: "ca", Type: fileName, Example: "clinic.pem", Doc: "the PEM file of the authority that signs the broker's certificate, relative to this file", Default: "the system's authorities"},
		{Name: "house", Type: name80, Example: "North", Doc: "the group that the desk shows the room in", Default: "none"},
	},
}

var historyKeys = &yamlfile.Map{
	Name: "history", Write: "history: {days: 30}",
	Keys: []key{{Name: "days", Type: whole(1, 365), Doc: "how many days after its end a session erases itself, 1 to 365", Default: "`30`"}},
}

// lampKeys are the keys of a lamp of one driver.
func lampKeys(driver string) *yamlfile.Map {
	m := &yamlfile.Map{
		Name: "a light of driver " + driver, Write: "ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/lamp}",
		Keys: []key{{Name: "driver", Type: yamlfile.Word(lights.Drivers), Need: true, Doc: "what the lamp speaks"}},
	}
	topicKey := key{Name: "topic", Type: topicText, Need: driver != "simulated", Example: "zigbee2mqtt/lamp", Doc: "the lamp's or group's own topic, without /set"}
	switch driver {
	case "template":
		m.Write = `ambient: {driver: template, command: lamp/set, payload: '{"bri": {level}}'}`
		m.Rules = object{
			"dependentRequired": object{"command_white": []string{"payload_white"}, "state_level": []string{"state"}, "max_fade": []string{"fade"}},
			"allOf": []object{{"if": object{"required": []string{"fade"}, "properties": object{"fade": object{"const": "both"}}},
				"then": object{"properties": object{"payload": object{"pattern": `\{(seconds|milliseconds)\}`}}}}},
		}
	case "zigbee2mqtt":
		topicKey.Type = yamlfile.Rule{
			Type: topicText,
			Check: func(v value, got any) bool {
				bare, ends := strings.CutSuffix(got.(string), "/set")
				if ends {
					v.Error("the topic ends in /set", "write it without: "+bare)
				}
				return !ends
			},
			Says: object{"not": object{"type": "string", "pattern": "/set$"}},
		}
		fallthrough
	default:
		m.Keys = append(m.Keys, topicKey)
	}
	for _, name := range lights.Options(driver) {
		for _, k := range lampOptions {
			if k.Name != name {
				continue
			}
			if driver == "template" {
				k.Need = name == "command" || name == "payload"
				if name == "fade" {
					k.Type = yamlfile.Word{"none", "both"}
				}
			}
			m.Keys = append(m.Keys, k)
		}
	}
	return m
}

// lampOptions are the options of all drivers; lights.Options tells which of them has which.
var lampOptions = []key{
	{Name: "command", Type: topicText, Example: "home/lamp/command", Doc: "where commands go", Default: "the topic, with /set"},
	{Name: "payload", Type: payload{false}, Example: `'{"bri": {level}}'`, Doc: "the command for a brightness, with `{level}`, `{seconds}` and `{milliseconds}`", Default: "`template` needs it"},
	{Name: "command_white", Type: topicText, Example: "home/lamp/white", Doc: "where `payload_white` goes", Default: "to `command`"},
	{Name: "payload_white", Type: payload{true}, Example: "'{mired}'", Doc: "the command for white light, with `{mired}` or `{kelvin}`, `{seconds}` and `{milliseconds}`", Default: "the lamp's color stays"},
	{Name: "state", Type: topicText, Example: "home/lamp/state", Doc: "where the lamp tells its state", Default: "the topic itself"},
	{Name: "state_level", Example: "light.bri", Doc: "the path of the brightness in the JSON of `state`, as `light.bri`", Default: "the message is the number",
		Type: matching(yamlfile.Text{Max: 200}, `^[^ \t/.]+(\.[^ \t/.]+)*$`, "%q is not a valid path", "write the path of the number in the lamp's JSON, as light.bri")},
	{Name: "availability", Type: topicText, Example: "home/lamp/online", Doc: "where the lamp tells whether it is there", Default: "not known"},
	{Name: "brightness_scale", Type: scale{}, Doc: "the lamp's full light, or its least and full light as `10..1000`", Default: "`255`"},
	{Name: "color_temp", Type: yamlfile.Word{"mired", "kelvin"}, Doc: "how the lamp speaks of white light: `kelvin` where its discovery says `color_temp_kelvin`", Default: "`mired`"},
	{Name: "led_table", Type: yamlfile.Word{"on", "off"}, Doc: "what the lamp's LedTable is set to", Default: "`on`"},
	{Name: "fade", Type: yamlfile.Word{"none", "one", "both"}, Doc: "what the lamp fades by itself: nothing, one attribute a message, or brightness and color together", Default: "as its driver knows it"},
	{Name: "max_fade", Example: "1m", Doc: "the longest fade that the lamp takes, 30s to 5m", Default: "`1m`", Type: yamlfile.Rule{
		// A lamp that does not say where it is has to be moved slowly from anywhere: shorter ones are of no use.
		Type: yamlfile.Length{Min: 30 * time.Second},
		Check: func(v value, got any) bool {
			if got.(time.Duration) > 5*time.Minute {
				v.Error("max_fade is longer than 5 minutes, the longest that roomd uses", "write 5m")
			}
			return got.(time.Duration) <= 5*time.Minute
		},
	}},
}

// rolesType are the lamps by role. They read as the Value.
type rolesType struct{}

func (rolesType) Read(v value, _ string) (any, bool) { return v, true }

func (rolesType) Schema() object {
	var drivers []object
	for _, d := range lights.Drivers {
		drivers = append(drivers, object{"if": object{"required": []string{"driver"}, "properties": object{"driver": object{"const": d}}}, "then": lampKeys(d).Schema()})
	}
	lamp := object{"type": "object", "required": []string{"driver"}, "properties": object{"driver": object{"enum": lights.Drivers}}, "allOf": drivers}
	return object{"type": "object", "minProperties": 1, "propertyNames": object{"maxLength": 40, "pattern": "^[^/+#$]+$"},
		"additionalProperties": object{"oneOf": []object{lamp, {"type": "array", "minItems": 1, "items": lamp}}}}
}

// scenesType is light by name and role. It reads as the Value.
type scenesType struct{}

func (scenesType) Read(v value, _ string) (any, bool) { return v, true }

func (scenesType) Schema() object {
	return object{"type": "object", "propertyNames": object{"minLength": 1, "maxLength": 80},
		"additionalProperties": object{"type": "object", "minProperties": 1, "additionalProperties": levelKeys.Schema()}}
}

// payload is what a lamp of driver template is sent. It reads as a string.
type payload struct{ white bool }

func (p payload) Read(v value, write string) (any, bool) {
	got, ok := fileName.Read(v, write)
	if !ok {
		return got, false
	}
	says, cure, unknown := lights.CheckPayload(got.(string), p.white)
	if unknown != "" {
		cure = yamlfile.Suggest(unknown, lights.Placeholders(p.white), cure)
	}
	if says != "" {
		v.Error(says, cure)
	}
	return got, says == ""
}

func (p payload) Schema() object {
	s := fileName.Schema()
	s["not"] = object{"pattern": `[Ee][Ff][Ff][Ee][Cc][Tt]|[Ff][Ll][Aa][Ss][Hh]|[Ii][Dd][Ee][Nn][Tt][Ii][Ff][Yy]|[Bb][Ll][Ii][Nn][Kk]|[Ss][Tt][Rr][Oo][Bb][Ee]|\b[Oo][Ff][Ff]\b`}
	one, any := "level", "level|seconds|milliseconds"
	if p.white {
		one, any = "(mired|kelvin)", "mired|kelvin|seconds|milliseconds"
	}
	s["allOf"] = []object{{"pattern": `\{` + one + `\}`}, {"pattern": `^([^{]|\{+(` + any + `)\}|\{+\}|\{+[A-Za-z_0-9]*[^A-Za-z_0-9{}]|\{+[A-Za-z_0-9]*$)*$`}}
	return s
}

// scale is a lamp's full light, or its least and full light. It reads as a string.
type scale struct{}

func (scale) Read(v value, write string) (any, bool) {
	if text := v.String(); !strings.Contains(text, "..") {
		n, ok := whole(2, 65535).Read(v, write)
		return fmt.Sprint(n), ok
	}
	got, ok := yamlfile.Text{Max: 12}.Read(v, write)
	s, _ := got.(string)
	if _, _, good := lights.ParseScale(s); ok && !good {
		v.Error(fmt.Sprintf("brightness_scale is %q", s), "write the lamp's least and full light, as 10..1000")
		return "", false
	}
	return s, ok
}

func (scale) Schema() object {
	return object{"oneOf": []object{whole(2, 65535).Schema(), {"type": "string", "pattern": `^[1-9][0-9]{0,4}\.\.[1-9][0-9]{0,4}$`}}}
}

// wholeNumber is a number without a fraction. It reads as an int.
type wholeNumber struct{ yamlfile.Number }

func whole(lo, hi float64) wholeNumber { return wholeNumber{yamlfile.Number{Min: lo, Max: hi}} }

func (w wholeNumber) Read(v value, write string) (any, bool) {
	got, ok := w.Number.Read(v, write)
	n, _ := got.(float64)
	if ok && n != math.Trunc(n) {
		v.Error(v.Name()+" is not a whole number", fmt.Sprintf("write %.0f", n))
		return 0, false
	}
	return int(n), ok
}

func (w wholeNumber) Schema() object {
	s := w.Number.Schema()
	s["type"] = "integer"
	return s
}

// matching is a text of one form.
func matching(t yamlfile.Type, form, says, write string) yamlfile.Rule {
	re := regexp.MustCompile(form)
	return yamlfile.Rule{
		Type: t,
		Check: func(v value, got any) bool {
			good := re.MatchString(got.(string))
			if !good {
				v.Error(fmt.Sprintf(says, yamlfile.Clip(got.(string))), write)
			}
			return good
		},
		Says: object{"allOf": []object{{"pattern": `^\s*` + form[1:len(form)-1] + `\s*$`}}},
	}
}

var topicText = yamlfile.Rule{
	Type: idText,
	Check: func(v value, got any) bool {
		switch s := got.(string); {
		case strings.ContainsAny(s, "+#"):
			v.Error(fmt.Sprintf("%q contains a wildcard", s), "name one topic, without + and #")
		case strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasPrefix(s, "$"):
			v.Error(fmt.Sprintf("%q is not a valid topic", s), "write it without / at its ends and without $")
		default:
			return true
		}
		return false
	},
	Says: object{"pattern": "^[^+#/$]([^+#]*[^+#/])?$"},
}

func absolute(v value, path, write string) bool {
	ok := filepath.IsAbs(path) && filepath.Clean(path) != "/"
	if !ok {
		v.Error(fmt.Sprintf("%q is not an absolute path", path), write)
	}
	return ok
}

var folderText = yamlfile.Rule{
	Type:  fileName,
	Check: func(v value, got any) bool { return absolute(v, got.(string), "write music: [/mnt/nas]") },
	Says:  object{"allOf": []object{{"pattern": `^\s*/.*[^/.\s]`}}},
}

// brokerText checks no more than the scheme here: the address may hold a password, so no message repeats it.
var brokerText = yamlfile.Rule{
	Type: yamlfile.Text{Max: 500},
	Says: object{"pattern": `^(embedded|mqtts?://[^\s/?#]+/?)$`},
}

var (
	hostForm     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	hostNameForm = regexp.MustCompile(hostPattern)
	endsInNumber = regexp.MustCompile(`(^|\.)[0-9]+$`)
)

// hostPattern matches a name that a certificate can hold, and that a browser does not take for an address.
const hostPattern = `^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`

var hostName = yamlfile.Rule{
	Type: yamlfile.Text{Max: 253},
	Check: func(v value, got any) bool {
		s := got.(string)
		good := hostNameForm.MatchString(s) && !endsInNumber.MatchString(s)
		if net.ParseIP(s) != nil {
			v.Error(fmt.Sprintf("%q is an address; the certificate covers the room's addresses already", s), "leave it out, or write names: [room.clinic.example]")
		} else if !good {
			v.Error(fmt.Sprintf("%q is not a valid host name", s), "write names: [room.clinic.example]")
		}
		return good
	},
	Says: object{"type": "string", "pattern": hostPattern, "not": object{"pattern": `(^|\.)[0-9]+$`}},
}

// address is where something is served, such as ":8080".
func address(such string) yamlfile.Rule {
	return yamlfile.Rule{
		Type: idText,
		Check: func(v value, got any) bool {
			s, what := got.(string), v.Name()
			host, port, err := net.SplitHostPort(s)
			if n, bad := strconv.Atoi(s); bad == nil && n > 0 && n < 65536 {
				v.Error(what+" is a port alone", fmt.Sprintf(`write %s: ":%d"`, what, n))
				return false
			}
			n, bad := strconv.Atoi(port)
			good := err == nil && bad == nil && n > 0 && n < 65536 && (host == "" || net.ParseIP(host) != nil || hostForm.MatchString(host))
			if !good {
				v.Error(fmt.Sprintf("%s is %q, not a valid address", what, s), fmt.Sprintf(`write %s: %q, or "192.168.1.20%s"`, what, such, such))
			}
			return good
		},
		Says: object{"type": "string", "pattern": `^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])?:[0-9]{1,5}$`},
	}
}

var cronText = yamlfile.Rule{
	Type: yamlfile.Text{Max: 100},
	Check: func(v value, got any) bool {
		const write = `write five fields, minute hour day month weekday: "0 8 * * MON-FRI"`
		s := got.(string)
		fields := strings.Fields(s)
		if len(fields) != 5 {
			v.Error(fmt.Sprintf("%q does not have five fields", s), write)
			return false
		}
		switch times, err := crontab.Parse(s); {
		case err != nil:
			v.Error(err.Error(), write)
			return false
		case times.Never():
			v.Warn(fmt.Sprintf("%q never comes", s), "choose a day that the month has")
		case slices.Contains(strings.Split(fields[1], ","), "2"):
			v.Warn("when the clocks go forward, 02:00 to 03:00 is skipped and this runs at 03:00", "choose another hour")
		}
		return true
	},
	Says: object{"type": "string", "pattern": `^\s*\S+(\s+\S+){4}\s*$`},
}

// ConfigSchema is the JSON Schema of a room file, for editors that complete and check YAML. What one value asks of
// another (roles and scenes that exist, cron's ranges, files that are there) is ParseConfig's alone.
func ConfigSchema() []byte { return roomKeys.JSON("roomd room") }

// Keys are the declarations of the room file, for its documentation.
func Keys() []*yamlfile.Map {
	all := &yamlfile.Map{Name: "a light", Keys: append([]key{lampKeys("").Keys[0], lampKeys("").Keys[1]}, lampOptions...)}
	return []*yamlfile.Map{roomKeys, httpsKeys, webKeys, audioKeys, headphoneKeys, mqttKeys, all, levelKeys, jobKeys, doKeys, buttonKeys, signKeys, syncthingKeys, clinicKeys, historyKeys}
}

// references are the loudness that music of level 0 can have, LUFS.
var references = yamlfile.Number{Min: -40, Max: -14}

// ReferenceRange is the least and the most that AudioConfig.Reference can be, LUFS.
func ReferenceRange() (least, most float64) { return references.Min, references.Max }
