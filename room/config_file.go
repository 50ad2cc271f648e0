package room

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/playlists"
	"roomd/playlists/yamlfile"
	"roomd/room/crontab"
	"roomd/room/lights"
)

// What a room is where its file does not say.
const (
	defaultListen    = ":8080"
	defaultReference = -23 // LUFS
	defaultCeiling   = 6   // dB
	defaultBroker    = "embedded"
	defaultBase      = "roomd"
)

// defaultScenes are the light that every room has, by the two usual roles; other roles take that of ambient. care is
// light to see by, full is for emergencies.
var defaultScenes = []struct {
	name            string
	ambient, accent lights.Level
}{
	{"day", lights.Level{L: 70, Kelvin: 3000}, lights.Level{L: 55, Kelvin: 2700}},
	{"dusk", lights.Level{L: 40, Kelvin: 2400}, lights.Level{L: 30, Kelvin: 2200}},
	{"dim", lights.Level{L: 25, Kelvin: 2200}, lights.Level{L: 18, Kelvin: 2200}},
	{"floor", lights.Level{L: 12, Kelvin: 2200}, lights.Level{L: 9, Kelvin: 2200}},
	{"journey", lights.Level{L: 6, Kelvin: 2200}, lights.Level{L: 5, Kelvin: 2200}},
	{"return", lights.Level{L: 20, Kelvin: 2200}, lights.Level{L: 16, Kelvin: 2200}},
	{careScene, lights.Level{L: 60, Kelvin: 2700}, lights.Level{L: 60, Kelvin: 2700}},
	{fullScene, lights.Level{L: 100, Kelvin: 4000}, lights.Level{L: 100, Kelvin: 4000}},
}

// DefaultConfig is the room without a file: an embedded broker, two simulated lights that the page draws, the sound
// device if there is one.
func DefaultConfig() Config {
	c := Config{
		Room:   "Room",
		Listen: defaultListen,
		Audio:  AudioConfig{Reference: defaultReference, Ceiling: defaultCeiling},
		MQTT:   MQTTConfig{Broker: defaultBroker, Base: defaultBase},
		Marks:  []string{"Lozenge", "Spit", "Swallow", "Vitals", "Note"},
		// Long enough to export what has to be kept elsewhere.
		KeepDays: 30,
	}
	c.Lights = simulated(c.MQTT.Base)
	c.Scenes = scenesFor(c.Lights)
	return c
}

func simulated(base string) map[string][]lights.Lamp {
	out := map[string][]lights.Lamp{}
	for _, role := range []string{"ambient", "accent"} {
		out[role] = []lights.Lamp{{Driver: "simulated", Topic: simulatedTopic(base, role, 0)}}
	}
	return out
}

func simulatedTopic(base, role string, i int) string {
	t := base + "/simulated/" + role
	if i > 0 {
		t += "-" + strconv.Itoa(i+1)
	}
	return t
}

// scenesFor are the default scenes for a room's roles.
func scenesFor(roles map[string][]lights.Lamp) map[string]lights.Scene {
	out := map[string]lights.Scene{}
	for _, d := range defaultScenes {
		s := lights.Scene{}
		for role := range roles {
			if role == "accent" {
				s[role] = d.accent
			} else {
				s[role] = d.ambient
			}
		}
		out[d.name] = s
	}
	return out
}

// maxConfig is how large a room file may be, in bytes.
const maxConfig = 1 << 20

// LoadConfig reads a room file. Whatever is wrong with it, the Config can be run: a part that can't be used has its
// default, and the Problems say which. Without a file all is default, and the error is fs.ErrNotExist.
func LoadConfig(path string) (Config, playlists.Problems, error) {
	f, err := os.Open(path)
	if err != nil {
		return DefaultConfig(), nil, fmt.Errorf("read the room file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a plain file", path)
	}
	if err == nil && info.Size() > maxConfig {
		err = fmt.Errorf("%s is larger than %d KiB", path, maxConfig>>10)
	}
	if err != nil {
		return DefaultConfig(), nil, fmt.Errorf("read the room file: %w", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return DefaultConfig(), nil, fmt.Errorf("read the room file: %w", err)
	}
	p := parseConfig(path, data)
	if p.far.Exists() && !p.broker {
		p.far.Error("this lamp needs a broker, and the room has none: embedded reaches simulated lamps only",
			"name the broker: mqtt: {broker: mqtt://HOST:1883}")
	}
	return p.c, p.found(), nil
}

// ParseConfig reads the text of a room file, each key by itself; see LoadConfig. A relative path in it counts from file's
// folder.
func ParseConfig(file string, data []byte) (Config, playlists.Problems) {
	p := parseConfig(file, data)
	return p.c, p.found()
}

func parseConfig(file string, data []byte) *configReader {
	r, root := yamlfile.Read(file, data)
	p := &configReader{c: DefaultConfig(), dir: filepath.Dir(file), found: r.Problems}
	p.c.File = file
	if root.Exists() {
		p.room(root)
	}
	return p
}

type configReader struct {
	found func() playlists.Problems
	c     Config
	dir   string
	roles []string // all that the file names, those of broken lamps too
	// broker tells that the file names one, right or wrong.
	broker bool
	far    yamlfile.Value // the first lamp that only a broker reaches
}

func (p *configReader) room(root yamlfile.Value) {
	f := root.Fields("the room file", "write room: Willow", "room", "listen", "https", "audio", "mqtt", "lights", "scenes", "marks", "music", "schedule", "buttons", "sign", "history")
	if v, ok := f.Get("room"); ok {
		set(&p.c.Room)(v.Text(80, "write room: Willow"))
	}
	if v, ok := f.Get("listen"); ok {
		set(&p.c.Listen)(address(v, "listen", defaultListen))
	}
	if v, ok := f.Get("https"); ok {
		p.https(v)
	}
	if v, ok := f.Get("audio"); ok {
		p.audio(v)
	}
	if v, ok := f.Get("mqtt"); ok {
		p.mqtt(v)
	}
	p.c.Lights = simulated(p.c.MQTT.Base)
	if v, ok := f.Get("lights"); ok {
		p.lights(v)
	}
	for role := range p.c.Lights {
		if !slices.Contains(p.roles, role) {
			p.roles = append(p.roles, role)
		}
	}
	slices.Sort(p.roles)
	p.c.Scenes = scenesFor(p.c.Lights)
	if v, ok := f.Get("scenes"); ok {
		p.scenes(v)
	}
	if v, ok := f.Get("marks"); ok {
		p.marks(v)
	}
	if v, ok := f.Get("music"); ok {
		p.music(v)
	}
	if v, ok := f.Get("schedule"); ok {
		p.schedule(v)
	}
	if v, ok := f.Get("buttons"); ok {
		p.buttons(v)
	}
	if v, ok := f.Get("sign"); ok {
		p.sign(v)
	}
	if v, ok := f.Get("history"); ok {
		hf := v.Fields("history", "write history: {days: 30}", "days")
		if dv, ok := hf.Get("days"); ok {
			n, ok := whole(dv, 1, 365)
			set(&p.c.KeepDays)(int(n), ok)
		}
	}
}

// set keeps the default where a value can't be used.
func set[T any](to *T) func(T, bool) {
	return func(v T, ok bool) {
		if ok {
			*to = v
		}
	}
}

var (
	hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	// A name that a certificate can hold, and a browser does not take for an address.
	nameForm     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)
	endsInNumber = regexp.MustCompile(`(^|\.)[0-9]+$`)
)

// address reads where something is served.
func address(v yamlfile.Value, what, such string) (string, bool) {
	write := fmt.Sprintf(`write %s: %q, or "192.168.1.20%s"`, what, such, such)
	s, ok := v.Text(200, write)
	if !ok {
		return "", false
	}
	host, port, err := net.SplitHostPort(s)
	if n, bad := strconv.Atoi(s); bad == nil && n > 0 && n < 65536 {
		v.Error(what+" is a port alone", fmt.Sprintf(`write %s: ":%d"`, what, n))
		return "", false
	}
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > 65535 || host != "" && net.ParseIP(host) == nil && !hostForm.MatchString(host) {
		v.Error(fmt.Sprintf("%s is %q, not a valid address", what, s), write)
		return "", false
	}
	return s, true
}

func (p *configReader) https(v yamlfile.Value) {
	const write = `write https: {listen: ":8443"}, or https: off`
	h := &p.c.HTTPS
	if !v.IsMap() {
		if s, ok := v.Text(10, write); ok && s == "off" {
			h.Off = true
		} else if ok {
			v.Error(fmt.Sprintf("https is %q", s), write)
		}
		return
	}
	f := v.Fields("https", write, "listen", "certificate", "key", "names")
	if lv, ok := f.Get("listen"); ok {
		set(&h.Listen)(address(lv, "listen", ":8443"))
	}
	file := func(name string, to *string) (there bool) {
		fv, there := f.Get(name)
		if !there {
			return false
		}
		if s, ok := fv.Text(1000, "write "+name+": FILE, in PEM"); ok {
			if !filepath.IsAbs(s) {
				s = filepath.Join(p.dir, s)
			}
			*to = s
		}
		return true
	}
	if cert, key := file("certificate", &h.Certificate), file("key", &h.Key); cert != key {
		v.Error("https has one of certificate and key", "write both, or neither for the room's own")
		h.Certificate, h.Key = "", ""
	} else if h.Certificate == "" || h.Key == "" {
		h.Certificate, h.Key = "", ""
	}
	if nv, ok := f.Get("names"); ok {
		const write = "write names: [room.clinic.example]"
		for _, e := range nv.Entries(false, write) {
			switch s, ok := e.Text(253, write); {
			case !ok:
			case net.ParseIP(s) != nil:
				e.Error(fmt.Sprintf("%q is an address; the certificate covers the room's addresses already", s), "leave it out, or "+write)
			case !nameForm.MatchString(s) || endsInNumber.MatchString(s):
				e.Error(fmt.Sprintf("%q is not a valid host name", s), write)
			default:
				h.Names = append(h.Names, s)
			}
		}
	}
}

func (p *configReader) audio(v yamlfile.Value) {
	const write = `write audio: {output: alsa, device: "", reference: -23, ceiling: 6}`
	f := v.Fields("audio", write, "output", "device", "reference", "ceiling", "headphones")
	if ov, ok := f.Get("output"); ok {
		if ov.IsMap() {
			const write = "write output: {command: [aplay, -q, -f, S32_LE, -c, 2, -r, 48000]}"
			of := ov.Fields("output", write, "command")
			if cv, ok := of.Need("command", "output", write); ok {
				p.command(cv, write)
			}
		} else if s, ok := ov.Word("alsa", "none"); ok {
			p.c.Audio.Output = s
		}
	}
	if dv, ok := f.Get("device"); ok {
		set(&p.c.Audio.Device)(dv.TextOrNone(200, `write device: "" for the usual one, or the name that aplay -L shows`))
	}
	if rv, ok := f.Get("reference"); ok {
		set(&p.c.Audio.Reference)(rv.Number(-40, -14))
	}
	if cv, ok := f.Get("ceiling"); ok {
		set(&p.c.Audio.Ceiling)(cv.Number(0, 12))
	}
	if hv, ok := f.Get("headphones"); ok {
		h := &Headphones{Ceiling: p.c.Audio.Ceiling}
		p.c.Audio.Headphones = h
		hf := hv.Fields("headphones", "write headphones: {level: -6, ceiling: 3}", "level", "ceiling")
		if lv, ok := hf.Get("level"); ok {
			set(&h.Level)(lv.Number(-30, 12))
		}
		if cv, ok := hf.Get("ceiling"); ok {
			set(&h.Ceiling)(cv.Number(0, 12))
		}
	}
}

func (p *configReader) command(v yamlfile.Value, write string) {
	entries := v.Entries(false, write)
	if len(entries) == 0 && v.IsList() {
		v.Error("the command is empty", write)
	}
	var words []string
	for _, e := range entries {
		s, ok := e.Text(1000, write)
		if !ok {
			return
		}
		words = append(words, s)
	}
	if len(words) > 0 {
		p.c.Audio.Output, p.c.Audio.Command = "command", words
	}
}

func (p *configReader) mqtt(v yamlfile.Value) {
	const write = "write mqtt: {broker: embedded}, or mqtt: {broker: mqtt://user:password@host:1883}"
	f := v.Fields("mqtt", write, "broker", "ca", "base", "commands")
	secure := false
	if bv, ok := f.Get("broker"); ok {
		const write = "write embedded, mqtt://user:password@host:1883 or mqtts://host:8883"
		const escape = write + "; in a password write @ as %40, / as %2F, # as %23"
		s, ok := bv.Text(500, write)
		p.broker = s != defaultBroker
		if ok && p.broker {
			// The address may hold a password, so no message repeats it.
			u, err := url.Parse(s)
			port := 1
			if err == nil && u.Port() != "" {
				port, _ = strconv.Atoi(u.Port())
			}
			switch {
			case err != nil:
				bv.Error("not a valid broker address", escape)
			case u.Scheme != "mqtt" && u.Scheme != "mqtts":
				bv.Error("the broker's address does not start with mqtt:// or mqtts://", write)
			case u.Hostname() == "" || port < 1 || port > 65535 || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
				bv.Error("not a valid broker address", escape)
			default:
				p.c.MQTT.Broker, secure = s, u.Scheme == "mqtts"
			}
		}
	}
	if cv, ok := f.Get("ca"); ok {
		if s, ok := cv.Text(1000, "write ca: broker.pem"); ok {
			path := s
			if !filepath.IsAbs(path) {
				path = filepath.Join(p.dir, path)
			}
			switch {
			case !secure:
				cv.Warn("ca is used with mqtts:// only", "write broker: mqtts://host:8883, or leave ca out")
			case !plainFile(path):
				cv.Error(fmt.Sprintf("%q is not there", s), "write the path of a PEM file, relative to this file")
			default:
				p.c.MQTT.CA = path
			}
		}
	}
	if cv, ok := f.Get("commands"); ok {
		if s, ok := cv.Word("allowed", "refused"); ok {
			p.c.MQTT.Commands = s == "allowed"
		}
	}
	if tv, ok := f.Get("base"); ok {
		if s, ok := topic(tv, "write base: roomd"); ok {
			p.c.MQTT.Base = s
		}
	}
}

func plainFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// topic is an MQTT topic that can be published to.
func topic(v yamlfile.Value, write string) (string, bool) {
	s, ok := v.Text(200, write)
	switch {
	case !ok:
	case strings.ContainsAny(s, "+#"):
		v.Error(fmt.Sprintf("%q contains a wildcard", s), "name one topic, without + and #")
	case strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") || strings.HasPrefix(s, "$"):
		v.Error(fmt.Sprintf("%q is not a valid topic", s), "write it without / at its ends and without $")
	default:
		return s, true
	}
	return "", false
}

const writeLights = "write ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/lamp}"

func (p *configReader) lights(v yamlfile.Value) {
	pairs := v.Pairs(writeLights)
	if v.IsMap() && len(pairs) == 0 {
		v.Error("the list of lights is empty", writeLights)
	}
	roles := map[string][]lights.Lamp{}
	owner := map[string]string{}
	for _, pair := range pairs {
		role := pair.Key
		p.roles = append(p.roles, role)
		if strings.ContainsAny(role, "/+#$") || len(role) > 40 {
			pair.At.Error(fmt.Sprintf("%q can't name a role", role), "write a short word, such as ambient")
			continue
		}
		var lamps []lights.Lamp
		entries := pair.Value.Entries(true, writeLights)
		if pair.Value.IsList() && len(entries) == 0 {
			pair.Value.Error(fmt.Sprintf("%s has no light", role), writeLights)
		}
		for i, e := range entries {
			l, ok := p.lamp(e, role, i)
			if !ok {
				continue
			}
			if other, twice := owner[l.Topic]; twice {
				e.Warn(fmt.Sprintf("%s is already a light of %s", l.Topic, other), "give each light to one role")
			}
			owner[l.Topic] = role
			lamps = append(lamps, l)
		}
		if len(lamps) > 0 {
			roles[role] = lamps
		}
	}
	if len(roles) > 0 {
		p.c.Lights = roles
	}
}

func (p *configReader) lamp(v yamlfile.Value, role string, i int) (lights.Lamp, bool) {
	what := "a light of " + role
	driver := v.Peek("driver").String()
	kind := what
	if slices.Contains(lights.Drivers, driver) {
		kind = "a light of driver " + driver
	}
	keys := append([]string{"driver"}, lights.Options(driver)...)
	if driver != "template" {
		keys = slices.Insert(keys, 1, "topic")
	}
	f := v.Fields(kind, writeLights, keys...)
	if !v.IsMap() {
		return lights.Lamp{}, false
	}
	var l lights.Lamp
	dv, ok := f.Need("driver", what, writeLights)
	if ok {
		l.Driver, ok = dv.Word(lights.Drivers...)
		if ok && l.Driver != "simulated" && !p.far.Exists() {
			p.far = dv
		}
	}
	if tv, has := f.Get("topic"); has {
		s, good := topic(tv, writeLights)
		if good && strings.HasSuffix(s, "/set") && l.Driver == "zigbee2mqtt" {
			tv.Error("the topic ends in /set", "write it without: "+strings.TrimSuffix(s, "/set"))
			good = false
		}
		l.Topic, ok = s, ok && good
	} else if l.Driver == "simulated" {
		l.Topic = simulatedTopic(p.c.MQTT.Base, role, i)
	} else if l.Driver == "template" {
		for _, k := range []string{"command", "payload"} {
			if _, has := f.Need(k, kind, writeTemplate); !has {
				ok = false
			}
		}
	} else if _, has := f.Need("topic", what, writeLights); !has {
		ok = false
	}
	for _, k := range lights.Options(driver) {
		ov, has := f.Get(k)
		if !has {
			continue
		}
		s, good := lampOption(ov, driver, k)
		if good {
			if l.Extra == nil {
				l.Extra = map[string]string{}
			}
			l.Extra[k] = s
		}
		ok = ok && good
	}
	if l.Driver == "template" {
		l.Topic = l.Extra["command"]
		ok = template(f, l) && ok
	}
	return l, ok
}

const writeTemplate = "write ambient: {driver: template, command: lamp/set, payload: '{\"bri\": {level}}'}"

// lampOption reads one option of a lamp; driver is what the file says, which may be none.
func lampOption(v yamlfile.Value, driver, key string) (string, bool) {
	switch key {
	case "fade":
		if driver == "template" {
			return v.Word("none", "both")
		}
		return v.Word("none", "one", "both")
	case "led_table":
		return v.Word("on", "off")
	case "color_temp":
		return v.Word("mired", "kelvin")
	case "brightness_scale":
		if text := v.String(); !strings.Contains(text, "..") {
			n, ok := whole(v, 2, 65535)
			return strconv.Itoa(int(n)), ok
		}
		const write = "write the lamp's least and full light, as 10..1000"
		s, ok := v.Text(12, write)
		if _, _, good := lights.ParseScale(s); ok && !good {
			v.Error(fmt.Sprintf("brightness_scale is %q", s), write)
			return "", false
		}
		return s, ok
	case "max_fade":
		// Shorter ones are no use: a lamp that does not say where it is has to be moved slowly from anywhere.
		d, ok := v.Length(30 * time.Second)
		if ok && d > 5*time.Minute {
			v.Error("max_fade is longer than 5 minutes, the longest that roomd uses", "write 5m")
			return "", false
		}
		return d.String(), ok
	case "payload", "payload_white":
		s, ok := v.Text(1000, writeTemplate)
		if !ok {
			return "", false
		}
		white := key == "payload_white"
		says, write, unknown := lights.CheckPayload(s, white)
		if says == "" {
			return s, true
		}
		if unknown != "" {
			write = yamlfile.Suggest(unknown, lights.Placeholders(white), write)
		}
		v.Error(says, write)
		return "", false
	case "state_level":
		const write = "write the path of the number in the lamp's JSON, as light.bri"
		s, ok := v.Text(200, write)
		if ok && (strings.ContainsAny(s, " \t/") || strings.Contains("."+s+".", "..")) {
			v.Error(fmt.Sprintf("%q is not a valid path", s), write)
			return "", false
		}
		return s, ok
	}
	return topic(v, "write "+key+": home/lamp/"+key)
}

// template looks at what one option of a template asks of another.
func template(f yamlfile.OldFields, l lights.Lamp) bool {
	ok := true
	needs := func(key, other, write string) {
		if v, has := f.Get(key); has {
			if _, has := f.Get(other); !has {
				v.Error(fmt.Sprintf("%s has no effect without %s", key, other), write)
				ok = false
			}
		}
	}
	needs("command_white", "payload_white", "write payload_white: '{mired}', or leave command_white out")
	needs("state_level", "state", "write state: home/lamp, or leave state_level out")
	needs("max_fade", "fade", "write fade: both, or leave max_fade out")
	if payload := l.Extra["payload"]; l.Extra["fade"] == "both" && payload != "" && !lights.HasTime(payload) {
		v, _ := f.Get("payload")
		v.Error("the payload does not say how long the fade takes, so the lamp can't fade", "write {seconds} or {milliseconds} into it, or fade: none")
		ok = false
	}
	return ok
}

// whole is a number without a fraction.
func whole(v yamlfile.Value, lo, hi float64) (float64, bool) {
	n, ok := v.Number(lo, hi)
	if ok && n != math.Trunc(n) {
		v.Error("not a whole number", fmt.Sprintf("write %.0f", n))
		return 0, false
	}
	return n, ok
}

const writeScene = "write dusk: {ambient: {level: 25, kelvin: 2400}}"

func (p *configReader) scenes(v yamlfile.Value) {
	for _, pair := range v.Pairs(writeScene) {
		name := pair.Key
		if len(name) > 80 {
			pair.At.Error("the scene's name is too long", "shorten it")
			continue
		}
		s := lights.Scene{}
		roles := pair.Value.Pairs(writeScene)
		if pair.Value.IsMap() && len(roles) == 0 {
			pair.Value.Error(fmt.Sprintf("scene %s has no light", name), writeScene)
		}
		for _, rp := range roles {
			if !slices.Contains(p.roles, rp.Key) {
				rp.At.Error(fmt.Sprintf("the room has no light %q", rp.Key), yamlfile.Suggest(rp.Key, p.roles, "write "+strings.Join(p.roles, " or ")))
				continue
			}
			if l, ok := p.level(rp.Value, rp.Key); ok && p.c.Lights[rp.Key] != nil {
				s[rp.Key] = l
			}
		}
		if len(s) == 0 {
			// A scene that is asked for must exist; with nothing in it the light stays as it is.
			if _, ok := p.c.Scenes[name]; !ok {
				p.c.Scenes[name] = s
			}
			continue
		}
		brightest := 0.0
		for _, l := range s {
			brightest = max(brightest, l.L)
		}
		if name == careScene && brightest < 30 || name == fullScene && brightest < 60 {
			pair.Value.Warn(fmt.Sprintf("scene %s is dark: it is the light to see by when help is needed", name), "write level: 60 or more")
		}
		p.c.Scenes[name] = s
	}
}

var colorForm = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

func (p *configReader) level(v yamlfile.Value, role string) (lights.Level, bool) {
	const write = `write {level: 25, kelvin: 2400}, or {level: 25, color: "#ff9a4a"}`
	f := v.Fields("the light of "+role, write, "level", "kelvin", "color")
	var l lights.Level
	lv, ok := f.Need("level", "the light of "+role, write)
	if ok {
		l.L, ok = lv.Number(0, 100)
		if ok && l.L < 1 {
			lv.Error("level is 0, but light never goes off by itself", "write 1 or more")
			ok = false
		}
	}
	kv, kelvin := f.Get("kelvin")
	if kelvin {
		n, good := whole(kv, 1000, 10_000)
		l.Kelvin, ok = int(n), ok && good
	}
	if cv, has := f.Get("color"); has {
		s, good := cv.Text(20, `write color: "#ff9a4a", with its quotes`)
		if good && !colorForm.MatchString(s) {
			cv.Error(fmt.Sprintf("%q is not a color", s), `write color: "#ff9a4a", with its quotes`)
			good = false
		}
		if good && kelvin {
			cv.Error("the light has both kelvin and color", "keep one of them")
			good = false
		}
		l.Color, ok = strings.ToLower(s), ok && good
	}
	return l, ok
}

func (p *configReader) marks(v yamlfile.Value) {
	const write = "write marks: [Lozenge, Vitals, Note]"
	entries := v.Entries(false, write)
	if v.IsList() && len(entries) == 0 {
		v.Error("the list of marks is empty", write)
	}
	var marks []string
	for i, e := range entries {
		if i == 24 {
			e.Error("there are more than 24 marks", "a tablet shows no more")
			break
		}
		s, ok := e.Text(80, write)
		switch {
		case !ok:
		case slices.Contains(marks, s):
			e.Error(fmt.Sprintf("%q is listed twice", s), "keep one of them")
		default:
			marks = append(marks, s)
		}
	}
	if len(marks) > 0 {
		p.c.Marks = marks
	}
}

func (p *configReader) schedule(v yamlfile.Value) {
	const write = `write - {at: "0 8 * * MON-FRI", do: {scene: day, fade: 5m}}, or play, check or backup in place of scene`
	var names []string
	for n := range p.c.Scenes {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, e := range v.Entries(false, write) {
		if i == 200 {
			e.Error("there are more than 200 entries", "combine some")
			return
		}
		f := e.Fields("an entry of the schedule", write, "at", "do")
		if !e.IsMap() {
			continue
		}
		var j Job
		ok := true
		if av, has := f.Need("at", "the entry", write); has {
			const write = `write five fields, minute hour day month weekday: "0 8 * * MON-FRI"`
			s, good := av.Text(100, write)
			if fields := strings.Fields(s); good && len(fields) != 5 {
				av.Error(fmt.Sprintf("%q does not have five fields", s), write)
				good = false
			} else if times, err := crontab.Parse(s); good && err != nil {
				av.Error(err.Error(), write)
				good = false
			} else if good && times.Never() {
				av.Warn(fmt.Sprintf("%q never comes", s), "choose a day that the month has")
			} else if good && slices.Contains(strings.Split(fields[1], ","), "2") {
				av.Warn("when the clocks go forward, 02:00 to 03:00 is skipped and this runs at 03:00", "choose another hour")
			}
			j.At, ok = s, ok && good
		} else {
			ok = false
		}
		dv, has := f.Need("do", "the entry", write)
		if !has {
			continue
		}
		if p.job(dv, write, names, &j) && ok {
			p.c.Schedule = append(p.c.Schedule, j)
		}
	}
}

// job reads what is to be done, and says whether it can be.
func (p *configReader) job(v yamlfile.Value, write string, scenes []string, j *Job) (ok bool) {
	f := v.Fields("do", write, "scene", "fade", "play", "for", "level", "check", "backup", "keep")
	if !v.IsMap() {
		return false
	}
	options := map[string][]string{"scene": {"fade"}, "play": {"for", "level"}, "check": nil, "backup": {"keep"}}
	var what []string
	for _, name := range []string{"scene", "play", "check", "backup"} {
		if _, has := f.Get(name); has {
			what = append(what, name)
		}
	}
	if len(what) != 1 {
		v.Error("an entry does one thing", "write one of scene, play, check, backup")
		return false
	}
	ok = true
	for name, of := range options {
		for _, o := range of {
			if ov, has := f.Get(o); has && name != what[0] {
				ov.Error(fmt.Sprintf("%q belongs to %s", o, name), "leave it out")
				ok = false
			}
		}
	}
	text := func(name string) (s string) {
		if tv, has := f.Get(name); has {
			var good bool
			s, good = tv.Text(200, write)
			ok = ok && good
		}
		return s
	}
	length := func(name string, def time.Duration) time.Duration {
		lv, has := f.Get(name)
		if !has {
			return def
		}
		d, good := lv.Length(time.Second)
		ok = ok && good
		return d
	}
	number := func(name string, lo, hi, def float64) float64 {
		nv, has := f.Get(name)
		if !has {
			return def
		}
		n, good := nv.Number(lo, hi)
		ok = ok && good
		return n
	}
	switch what[0] {
	case "scene":
		j.Scene, j.Fade = text("scene"), length("fade", 0)
		if sv, _ := f.Get("scene"); ok && !slices.Contains(scenes, j.Scene) {
			sv.Error(fmt.Sprintf("the room has no scene %q", j.Scene), yamlfile.Suggest(j.Scene, scenes, "write "+strings.Join(scenes, ", ")))
			ok = false
		}
	case "play":
		j.Play, j.For, j.Level = text("play"), length("for", 30*time.Minute), number("level", -40, 0, -10)
	case "check":
		cv, _ := f.Get("check")
		w, good := cv.Word(string(CheckFiles), string(CheckRoom))
		j.Check, ok = Check(w), ok && good
	case "backup":
		j.Backup = text("backup")
		keep := number("keep", 1, 1000, 14)
		j.Keep = int(keep)
		if kv, has := f.Get("keep"); ok && has && keep != math.Trunc(keep) {
			kv.Error("keep is not a whole number", "write how many backups to keep: 14")
			ok = false
		}
		if bv, _ := f.Get("backup"); ok && !filepath.IsAbs(j.Backup) {
			bv.Error(fmt.Sprintf("%q is not an absolute path", j.Backup), "write the whole path: /media/stick/roomd")
			ok = false
		}
	}
	return ok
}

// plannedSpeed is the fastest that a planned fade may be, L* a second.
const plannedSpeed = 2.0

// music reads the folders outside the playlists folder that links in it may lead to.
func (p *configReader) music(v playlists.Value) {
	const write = "write music: [/mnt/nas]"
	for i, e := range v.Entries(true, write) {
		if i == maxMusicFolders {
			e.Error(fmt.Sprintf("there are more than %d folders", maxMusicFolders), "name a folder that holds them")
			return
		}
		s, ok := e.Text(1000, write)
		switch {
		case !ok:
		case !filepath.IsAbs(s) || filepath.Clean(s) == "/":
			e.Error(fmt.Sprintf("%q is not an absolute path", s), write)
		default:
			p.c.Music = append(p.c.Music, filepath.Clean(s))
		}
	}
}

// maxMusicFolders is how many folders outside links may lead to.
const maxMusicFolders = 20

// CheckPlaylist warns where a playlist that was parsed, and not yet resolved, does not suit the room: a scene or a
// mark that the room lacks, a fade that would be too fast, a level over the ceiling.
func (c Config) CheckPlaylist(pl *playlists.Playlist) playlists.Problems {
	var out playlists.Problems
	warn := func(at playlists.Place, says, write string) {
		out = append(out, playlists.Problem{Place: at, Severity: playlists.Warning, Says: says, Write: write})
	}
	var scenes []string
	for n := range c.Scenes {
		scenes = append(scenes, n)
	}
	slices.Sort(scenes)
	now := map[string]float64{} // the light of each role, as far as the playlist has set it
	for _, ph := range pl.Phases {
		w := ph.Written
		if w == nil {
			w = &playlists.Written{}
		}
		for i, m := range ph.Marks {
			if !slices.Contains(c.Marks, m) && (pl.Boost == nil || pl.Boost.Mark != m) && i < len(w.Marks) {
				warn(w.Marks[i], fmt.Sprintf("the room has no mark %q, so the button does nothing", m), yamlfile.Suggest(m, c.Marks, "add it to marks in the room file"))
			}
		}
		if ph.Level > c.Audio.Ceiling {
			warn(w.Level, fmt.Sprintf("the level of %g dB is over the room's ceiling of %g dB, which always holds", ph.Level, c.Audio.Ceiling), fmt.Sprintf("write %g or less", c.Audio.Ceiling))
		}
		if ph.Lights == nil {
			continue
		}
		scene, ok := c.Scenes[ph.Lights.Scene]
		if !ok {
			warn(w.Lights, fmt.Sprintf("the room has no scene %q, so the light stays as it is", ph.Lights.Scene), yamlfile.Suggest(ph.Lights.Scene, scenes, "write "+strings.Join(scenes, ", ")))
			continue
		}
		move := 0.0
		for role, l := range scene {
			if was, known := now[role]; known {
				move = max(move, math.Abs(l.L-was))
			}
			now[role] = l.L
		}
		if s := ph.Lights.Fade.Seconds(); move > plannedSpeed*s {
			least := time.Duration(math.Ceil(move/plannedSpeed)) * time.Second
			warn(w.Lights, fmt.Sprintf("the light would move by %.0f in %s, which may startle; it is slowed down", move, playlists.FormatLength(ph.Lights.Fade)), "write fade: "+playlists.FormatLength(least)+" or more")
		}
	}
	return out.Sorted()
}
