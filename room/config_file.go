package room

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/playlists"
	"roomd/playlists/yamlfile"
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

// DefaultConfig is the room without a file: no broker, two simulated lights that the page draws, the sound
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
		p.room(roomKeys.Fields(root))
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

func (p *configReader) room(f yamlfile.Fields) {
	c := &p.c
	f.Set("room", &c.Room)
	f.Set("listen", &c.Listen)
	p.https(f)
	if f, ok := f.Map("web"); ok {
		c.Web.Frame, _ = f.Texts("frame")
	}
	p.audio(f)
	p.mqtt(f)
	c.Lights = simulated(c.MQTT.Base)
	if f.Has("lights") {
		p.lights(f.Value("lights"))
	}
	for role := range c.Lights {
		if !slices.Contains(p.roles, role) {
			p.roles = append(p.roles, role)
		}
	}
	slices.Sort(p.roles)
	c.Scenes = scenesFor(c.Lights)
	if f.Has("scenes") {
		p.scenes(f.Value("scenes"))
	}
	if marks, _ := f.Texts("marks"); len(marks) > 0 {
		c.Marks = marks
	}
	c.Music, _ = f.Texts("music")
	for i, m := range c.Music {
		c.Music[i] = filepath.Clean(m)
	}
	for _, e := range f.List("schedule") {
		if j, ok := p.job(e.Got.(yamlfile.Fields)); ok {
			c.Schedule = append(c.Schedule, j)
		}
	}
	for _, e := range f.List("buttons") {
		if b, ok := p.button(e.Got.(yamlfile.Fields)); ok {
			c.Buttons = append(c.Buttons, b)
		}
	}
	if f, ok := f.Map("sign"); ok {
		var s Sign
		topic, session, free := f.Set("topic", &s.Topic), f.Set("session", &s.Session), f.Set("free", &s.Free)
		if topic && session && free {
			c.Sign = &s
		}
	}
	if f, ok := f.Map("syncthing"); ok {
		var at, key string
		if url, file := f.Set("url", &at), f.Set("key_file", &key); url && file {
			c.Syncthing = &SyncthingConfig{at, p.path(key)}
		}
	}
	p.clinic(f)
	if f, ok := f.Map("history"); ok {
		f.Set("days", &c.KeepDays)
	}
}

// path is a file that the room file names, relative to it.
func (p *configReader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

func (p *configReader) https(f yamlfile.Fields) {
	h := &p.c.HTTPS
	m, ok := f.Map("https")
	if h.Off = f.Has("https") && !ok && f.Value("https").String() == "off"; !ok {
		return
	}
	m.Set("listen", &h.Listen)
	h.Names, _ = m.Texts("names")
	if m.Has("certificate") != m.Has("key") {
		m.Error("https has one of certificate and key", "write both, or neither for the room's own")
		return
	}
	var cert, key string
	if m.Set("certificate", &cert) && m.Set("key", &key) {
		h.Certificate, h.Key = p.path(cert), p.path(key)
	}
}

func (p *configReader) audio(f yamlfile.Fields) {
	f, _ = f.Map("audio")
	a := &p.c.Audio
	if out, ok := f.Map("output"); ok {
		// A command of which a word is wrong is not run.
		if words, _ := out.Texts("command"); len(words) > 0 && len(words) == len(out.Value("command").Items()) {
			a.Output, a.Command = "command", words
		}
	} else if f.Has("output") {
		f.Set("output", &a.Output)
	}
	f.Set("device", &a.Device)
	f.Set("reference", &a.Reference)
	f.Set("ceiling", &a.Ceiling)
	if m, ok := f.Map("headphones"); ok {
		a.Headphones = &Headphones{Ceiling: a.Ceiling}
		m.Set("level", &a.Headphones.Level)
		m.Set("ceiling", &a.Headphones.Ceiling)
	}
}

func (p *configReader) mqtt(f yamlfile.Fields) {
	f, _ = f.Map("mqtt")
	m := &p.c.MQTT
	var commands string
	p.broker = f.Has("broker") && f.Value("broker").String() != defaultBroker
	if p.broker {
		if broker, ok := p.address(f, "write embedded, mqtt://user:password@host:1883 or mqtts://host:8883", "mqtt", "mqtts"); ok {
			m.Broker = broker
		}
	}
	m.CA = p.authority(f, m.Broker)
	if f.Set("commands", &commands) {
		m.Commands = commands == "allowed"
	}
	f.Set("base", &m.Base)
}

// address is the address of a broker in f, which has one of the schemes.
func (p *configReader) address(f yamlfile.Fields, write string, schemes ...string) (broker string, ok bool) {
	if !f.Set("broker", &broker) {
		return "", false
	}
	u, err := url.Parse(broker)
	port := 1
	if err == nil && u.Port() != "" {
		port, _ = strconv.Atoi(u.Port())
	}
	switch at := f.Value("broker"); {
	case err == nil && !slices.Contains(schemes, u.Scheme):
		at.Error("the broker's address does not start with "+strings.Join(schemes, ":// or ")+"://", write)
	case err != nil || u.Hostname() == "" || port < 1 || port > 65535 || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		at.Error("not a valid broker address", write+"; in a password write @ as %40, / as %2F, # as %23")
	default:
		return broker, true
	}
	return "", false
}

// authority is the file with the authority of a broker in f; empty: the system's are used.
func (p *configReader) authority(f yamlfile.Fields, broker string) (file string) {
	var ca string
	if !f.Set("ca", &ca) {
		return ""
	}
	switch at := f.Value("ca"); {
	case !strings.HasPrefix(broker, "mqtts:"):
		at.Warn("ca is used with mqtts:// only", "write broker: mqtts://host:8883, or leave ca out")
	case !plainFile(p.path(ca)):
		at.Error(fmt.Sprintf("%q is not there", ca), "write the path of a PEM file, relative to this file")
	default:
		return p.path(ca)
	}
	return ""
}

// clinic is the clinic's own broker.
func (p *configReader) clinic(f yamlfile.Fields) {
	f, ok := f.Map("clinic")
	if !ok {
		return
	}
	const write = "write broker: mqtts://user:password@host:8883"
	broker, ok := p.address(f, write, "mqtts")
	if !ok {
		return
	}
	c := &ClinicConfig{Broker: broker, CA: p.authority(f, broker)}
	if u, err := url.Parse(broker); err == nil && strings.ContainsAny(u.User.Username(), "/+# ") {
		f.Value("broker").Error("the broker's user name can't be a part of a topic", "use a name without a space, /, + and #")
		return
	}
	f.Set("house", &c.House)
	p.c.Clinic = c
}

func plainFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
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
			roles[role] = append(roles[role], l)
		}
	}
	if len(roles) > 0 {
		p.c.Lights = roles
	}
}

func (p *configReader) lamp(v yamlfile.Value, role string, i int) (lights.Lamp, bool) {
	l := lights.Lamp{Driver: v.Peek("driver").String()}
	m := lampKeys(l.Driver)
	known := slices.Contains(lights.Drivers, l.Driver)
	if !known {
		m.Name = "a light of " + role
		m.Keys[1].Need = v.Peek("driver").Exists()
	}
	f := m.Fields(v)
	if !f.Exists() || !known {
		return l, false
	}
	if l.Driver != "simulated" && !p.far.Exists() {
		p.far = f.Value("driver")
	}
	ok := true
	for _, k := range m.Keys {
		var s string
		switch good := f.Set(k.Name, &s); {
		case k.Name == "driver":
		case f.Has(k.Name) && !good, k.Need && !good:
			ok = false
		case good && k.Name == "topic":
			l.Topic = s
		case good:
			if l.Extra == nil {
				l.Extra = map[string]string{}
			}
			l.Extra[k.Name] = s
		}
	}
	switch l.Driver {
	case "template":
		l.Topic = l.Extra["command"]
		ok = template(f, l) && ok
	case "simulated":
		if l.Topic == "" {
			l.Topic = simulatedTopic(p.c.MQTT.Base, role, i)
		}
	}
	return l, ok
}

// template looks at what one option of a template asks of another.
func template(f yamlfile.Fields, l lights.Lamp) bool {
	ok := true
	for _, needs := range [][3]string{
		{"command_white", "payload_white", "write payload_white: '{mired}', or leave command_white out"},
		{"state_level", "state", "write state: home/lamp, or leave state_level out"},
		{"max_fade", "fade", "write fade: both, or leave max_fade out"},
	} {
		if f.Has(needs[0]) && !f.Has(needs[1]) {
			f.Value(needs[0]).Error(fmt.Sprintf("%s has no effect without %s", needs[0], needs[1]), needs[2])
			ok = false
		}
	}
	if payload := l.Extra["payload"]; l.Extra["fade"] == "both" && payload != "" && !lights.HasTime(payload) {
		f.Value("payload").Error("the payload does not say how long the fade takes, so the lamp can't fade", "write {seconds} or {milliseconds} into it, or fade: none")
		ok = false
	}
	return ok
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
			if l, ok := level(rp.Value, rp.Key); ok && p.c.Lights[rp.Key] != nil {
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

func level(v yamlfile.Value, role string) (l lights.Level, ok bool) {
	m := *levelKeys
	m.Name = "the light of " + role
	f := m.Fields(v)
	ok = f.Set("level", &l.L)
	kelvin, color := f.Set("kelvin", &l.Kelvin), f.Set("color", &l.Color)
	l.Color = strings.ToLower(l.Color)
	if f.Has("kelvin") && f.Has("color") {
		f.Value("color").Error("the light has both kelvin and color", "keep one of them")
		return l, false
	}
	return l, ok && kelvin == f.Has("kelvin") && color == f.Has("color")
}

func (p *configReader) job(f yamlfile.Fields) (j Job, ok bool) {
	ok = f.Set("at", &j.At)
	f, is := f.Map("do")
	if !is {
		return j, false
	}
	var what []string
	for _, o := range jobOptions {
		if f.Has(o.does) {
			what = append(what, o.does)
		}
	}
	if len(what) != 1 {
		f.Error("an entry does one thing", "write one of scene, play, check, backup")
		return j, false
	}
	does := what[0]
	for _, o := range jobOptions {
		for _, option := range o.options {
			if f.Has(option) && o.does != does {
				f.Value(option).Error(fmt.Sprintf("%q belongs to %s", option, o.does), "leave it out")
				ok = false
			}
		}
	}
	j.For, j.Level, j.Keep = 30*time.Minute, -10, 14
	for key, to := range map[string]any{"scene": &j.Scene, "fade": &j.Fade, "play": &j.Play, "for": &j.For, "level": &j.Level, "check": &j.Check, "backup": &j.Backup, "keep": &j.Keep} {
		if !f.Set(key, to) && f.Has(key) {
			ok = false
		}
	}
	if does != "play" {
		j.For, j.Level = 0, 0
	}
	if does != "backup" {
		j.Keep = 0
	}
	scenes := slices.Sorted(maps.Keys(p.c.Scenes))
	if j.Scene != "" && !slices.Contains(scenes, j.Scene) {
		f.Value("scene").Error(fmt.Sprintf("the room has no scene %q", j.Scene), yamlfile.Suggest(j.Scene, scenes, "write "+strings.Join(scenes, ", ")))
		ok = false
	}
	return j, ok
}

func (p *configReader) button(f yamlfile.Fields) (b Button, ok bool) {
	ok = true
	for key, to := range map[string]any{"topic": &b.Topic, "action": &b.Action, "payload": &b.Payload, "do": &b.Do, "name": &b.Name, "playlist": &b.Playlist} {
		if !f.Set(key, to) && (f.Has(key) || key == "topic" || key == "do") {
			ok = false
		}
	}
	if f.Has("action") == f.Has("payload") {
		f.Error("the button needs either action or payload", "write action: single for zigbee2mqtt, or payload: pressed for the whole message")
		ok = false
	}
	if b.Do == MarkNow && b.Name != "" && !slices.Contains(p.c.Marks, b.Name) {
		f.Value("name").Warn(fmt.Sprintf("the room has no mark %q", b.Name), yamlfile.Suggest(b.Name, p.c.Marks, "add it to marks"))
	}
	for do, needs := range map[Verb][2]string{MarkNow: {"name", "write do: mark, name: Note"}, Start: {"playlist", "write do: start, playlist: three-hours"}} {
		if b.Do == do && !f.Has(needs[0]) {
			f.Error("the button has no "+needs[0], needs[1])
			ok = false
		}
	}
	return b, ok
}

// plannedSpeed is the fastest that a planned fade may be, L* a second.
const plannedSpeed = 2.0

// CheckPlaylist warns where a playlist that was parsed, and not yet resolved, does not suit the room: a scene or a
// mark that the room lacks, a fade that would be too fast, a level over the ceiling.
func (c Config) CheckPlaylist(pl *playlists.Playlist) playlists.Problems {
	var out playlists.Problems
	warn := func(code, of string, at playlists.Place, says, write string) {
		out = append(out, playlists.Problem{Place: at, Severity: playlists.Warning, Says: says, Write: write}.About(code, of))
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
				warn("mark-missing", m, w.Marks[i], fmt.Sprintf("the room has no mark %q, so the button does nothing", m), yamlfile.Suggest(m, c.Marks, "add it to marks in the room file"))
			}
		}
		if ph.Level > c.Audio.Ceiling {
			warn("phase-loud", ph.Name, w.Level, fmt.Sprintf("the level of %g dB is over the room's ceiling of %g dB, which always holds", ph.Level, c.Audio.Ceiling), fmt.Sprintf("write %g or less", c.Audio.Ceiling))
		}
		if ph.Lights == nil {
			continue
		}
		scene, ok := c.Scenes[ph.Lights.Scene]
		if !ok {
			warn("scene-missing", ph.Lights.Scene, w.Lights, fmt.Sprintf("the room has no scene %q, so the light stays as it is", ph.Lights.Scene), yamlfile.Suggest(ph.Lights.Scene, scenes, "write "+strings.Join(scenes, ", ")))
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
			warn("phase-fast-light", ph.Name, w.Lights, fmt.Sprintf("the light would move by %.0f in %s, which may startle; it is slowed down", move, playlists.FormatLength(ph.Lights.Fade)), "write fade: "+playlists.FormatLength(least)+" or more")
		}
	}
	return out.Sorted()
}
