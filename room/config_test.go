package room

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"roomd/playlists"
	"roomd/room/crontab"
	"roomd/room/lights"
)

// TestConfigBroken holds what is said of a room file that is wrong, that no password is in it, and that the room runs
// all the same.
func TestConfigBroken(t *testing.T) {
	const archive = "testdata/config/broken.txtar"
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	var out []txtar.File
	for i, f := range a.Files {
		if strings.HasSuffix(f.Name, ".want") {
			continue
		}
		c, problems := ParseConfig(f.Name, f.Data)
		checkConfig(t, c)
		if len(problems) == 0 {
			t.Errorf("%s: no problem found", f.Name)
		}
		var b strings.Builder
		if err := problems.Render(&b); err != nil {
			t.Fatal(err)
		}
		j, err := problems.JSON()
		if err != nil || strings.Contains(b.String()+string(j), "hush") {
			t.Errorf("%s: the password is shown (%v):\n%s", f.Name, err, b.String())
		}
		want := ""
		if i+1 < len(a.Files) && a.Files[i+1].Name == f.Name+".want" {
			want = string(a.Files[i+1].Data)
		}
		if d := cmp.Diff(want, b.String()); d != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", f.Name, d)
		}
		out = append(out, f, txtar.File{Name: f.Name + ".want", Data: []byte(b.String())})
	}
	if len(out) < 80 {
		t.Fatalf("only %d cases", len(out)/2)
	}
	if *update {
		a.Files = out
		if err := os.WriteFile(archive, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkConfig holds what the daemon relies on, whatever the file says.
func checkConfig(t *testing.T, c Config) {
	t.Helper()
	if _, _, err := net.SplitHostPort(c.Listen); err != nil || c.Room == "" || c.MQTT.Broker == "" || c.MQTT.Base == "" || len(c.Lights) == 0 || len(c.Marks) == 0 {
		t.Errorf("config %+v: %v", c, err)
	}
	if a := c.Audio; a.Reference < -40 || a.Reference > -14 || a.Ceiling < 0 || a.Ceiling > 12 || (a.Output == "command") != (len(a.Command) > 0) {
		t.Errorf("audio %+v", a)
	}
	for role, lamps := range c.Lights {
		for _, l := range lamps {
			if role == "" || l.Driver == "" || l.Topic == "" || strings.ContainsAny(l.Topic, "+#") {
				t.Errorf("%s: %+v", role, l)
			}
		}
		if len(lamps) == 0 {
			t.Errorf("%s has no lamp", role)
		}
	}
	for name, s := range c.Scenes {
		for role, l := range s {
			if c.Lights[role] == nil || l.L < 1 || l.L > 100 || l.Kelvin != 0 && (l.Kelvin < 1000 || l.Kelvin > 10_000) || l.Kelvin != 0 && l.Color != "" {
				t.Errorf("scene %s, %s: %+v", name, role, l)
			}
		}
	}
	for _, d := range defaultScenes {
		if len(c.Scenes[d.name]) == 0 {
			t.Errorf("there is no scene %s", d.name)
		}
	}
	for _, j := range c.Schedule {
		if _, ok := c.Scenes[j.Scene]; !ok && j.Scene != "" || badTime(j.At) || j.Fade < 0 {
			t.Errorf("job %+v", j)
		}
	}
}

func TestConfigExample(t *testing.T) {
	got, problems, err := LoadConfig("testdata/config/example.yaml")
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems.Strings())
	}
	checkConfig(t, got)
	want := Config{
		File: "testdata/config/example.yaml", Room: "Willow", Listen: "192.168.1.20:8080",
		Audio: AudioConfig{Output: "alsa", Reference: -23.5, Ceiling: 4},
		MQTT:  MQTTConfig{Broker: "mqtts://user:pass%40word@host:8883", CA: "testdata/config/ca.pem", Base: "willow", Commands: true},
		Lights: map[string][]lights.Lamp{
			"ambient": {{Driver: "zigbee2mqtt", Topic: "zigbee2mqtt/room1/all"}},
			"accent": {{Driver: "homeassistant", Topic: "home/lamp", Extra: map[string]string{"brightness_scale": "1000", "fade": "none"}},
				{Driver: "simulated", Topic: "willow/simulated/accent-2"}},
			"floor lamp": {{Driver: "simulated", Topic: "willow/simulated/floor lamp"}},
		},
		Music: []string{"/mnt/nas", "/srv/music"}, Marks: []string{"Lozenge", "Tea"},
		Schedule: []Job{{At: "0 8 * * MON-FRI", Scene: "dusk", Fade: 5 * time.Minute}, {At: "*/15 20 1,15 * *", Scene: "reading"},
			{At: "30 8 * * MON-FRI", Play: "evening/welcome", For: 20 * time.Minute, Level: -12.5}, {At: "15 8 * * MON-FRI", Check: CheckRoom}, {At: "0 4 * * *", Backup: "/media/stick/roomd", Keep: 7}},
		Buttons:   []Button{{Topic: "zigbee2mqtt/room1/button", Action: "single", Do: Care}, {Topic: "willow/bell", Payload: "pressed", Do: MarkNow, Name: "Tea"}},
		Sign:      &Sign{Topic: "zigbee2mqtt/room1/sign/set", Session: `{"state":"ON"}`, Free: `{"state":"OFF"}`},
		Syncthing: &SyncthingConfig{URL: "http://127.0.0.1:8384", KeyFile: filepath.Join("testdata", "config", "syncthing.key")},
		Clinic:    &ClinicConfig{Broker: "mqtts://willow:pass%40word@clinic.example", CA: "testdata/config/ca.pem", House: "North"},
		KeepDays:  90,
	}
	scenes := got.Scenes
	got.Scenes = nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	dusk := lights.Scene{"ambient": {L: 25, Kelvin: 2400}, "accent": {L: 15, Color: "#ff9a4a"}}
	if d := cmp.Diff(dusk, scenes["dusk"]); d != "" {
		t.Errorf("dusk (-want +got):\n%s", d)
	}
	if l := scenes["care"]["floor lamp"]; l.L != 60 || l.Kelvin != 2700 {
		t.Errorf("care of a role of the room's own: %+v", l)
	}
	if l := scenes["full"]["ambient"]; l.L != 100 || l.Kelvin != 4000 {
		t.Errorf("full: %+v", l)
	}
}

// TestConfigAbsent holds that a room without a file, or with one that can't be read, runs on defaults.
func TestConfigAbsent(t *testing.T) {
	c, problems, err := LoadConfig(filepath.Join(t.TempDir(), "room.yaml"))
	if !errors.Is(err, fs.ErrNotExist) || len(problems) > 0 {
		t.Errorf("%v, %v", err, problems)
	}
	if d := cmp.Diff(DefaultConfig(), c); d != "" {
		t.Error(d)
	}
	checkConfig(t, c)
	if c, _, err = LoadConfig(t.TempDir()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
	checkConfig(t, c)
	for _, text := range []string{"", "# nothing yet\n", "---\n"} {
		c, problems := ParseConfig("room.yaml", []byte(text))
		if want := DefaultConfig(); len(problems) > 0 || c.Room != want.Room || len(c.Lights) != 2 {
			t.Errorf("%q: %v %+v", text, problems.Strings(), c)
		}
	}
}

// TestConfigKeepsTheRest holds that one part that is wrong costs only that part.
func TestConfigKeepsTheRest(t *testing.T) {
	c, problems := ParseConfig("room.yaml", []byte(`room: Willow
listen: nonsense
audio: {output: none, reference: 3, ceiling: 2}
mqtt: {broker: "mqtt://host:1883", base: "a/#"}
lights:
  ambient: {driver: zigbee2mqtt, topic: z/a}
  accent: {driver: nothing, topic: z/b}
scenes:
  dusk: {ambient: {level: 33}, accent: {level: 22}}
  own: {accent: {level: 22}}
schedule:
  - {at: nonsense, do: {scene: dusk}}
  - {at: "0 8 * * *", do: {scene: own}}
`))
	if len(problems) != 5 {
		t.Errorf("%s", strings.Join(problems.Strings(), "\n"))
	}
	def := DefaultConfig()
	if c.Room != "Willow" || c.Listen != def.Listen || c.Audio.Output != "none" || c.Audio.Reference != def.Audio.Reference || c.Audio.Ceiling != 2 ||
		c.MQTT.Broker != "mqtt://host:1883" || c.MQTT.Base != def.MQTT.Base || len(c.Lights) != 1 || c.Lights["ambient"] == nil ||
		c.Scenes["dusk"]["ambient"].L != 33 || len(c.Scenes["dusk"]) != 1 || len(c.Schedule) != 1 || c.Schedule[0].Scene != "own" {
		t.Errorf("%+v", c)
	}
}

// TestStartersSuit holds that the starters need nothing that a room without a file lacks.
func TestStartersSuit(t *testing.T) {
	own, problems := ParseConfig("room.yaml", []byte("lights: {ceiling: {driver: zigbee2mqtt, topic: a}}\naudio: {ceiling: 0}\n"))
	if len(problems) > 0 {
		t.Fatal(problems.Strings())
	}
	for _, c := range []Config{DefaultConfig(), own} {
		for _, pl := range playlists.Starters() {
			if found := c.CheckPlaylist(pl); len(found) > 0 {
				t.Errorf("%s: %v", pl.ID, found.Strings())
			}
			dark := true // the lights of the journey
			for _, ph := range pl.Phases {
				dark = dark && ph.Lights == nil
			}
			if dark {
				t.Errorf("%s has no light", pl.ID)
			}
		}
	}
}

// TestCheckPlaylist holds what does not suit a room, at its place.
func TestCheckPlaylist(t *testing.T) {
	pl, problems := playlists.Parse("x", "x.yaml", []byte(`name: X
phases:
  - {name: A, stage: preparation, length: 5m, lights: {scene: day, fade: 1s}, marks: [Lozenge]}
  - {name: B, stage: preparation, length: 5m, lights: {scene: floor, fade: 28s}, marks: [Losenge, Booster]}
  - {name: C, stage: preparation, length: 5m, lights: {scene: day, fade: 29s}, level: 8}
  - {name: D, stage: preparation, length: 5m, lights: {scene: dask}}
  - {name: E, stage: preparation, length: 5m, lights: {scene: floor, fade: 10s}}
boost: {mark: Booster, phase: B, by: 1m}
`))
	if len(problems) > 0 {
		t.Fatal(problems.Strings())
	}
	want := []string{
		`x.yaml:4:55: warning: the light would move by 58 in 28s, which may startle; it is slowed down (write fade: 29s or more)`,
		`x.yaml:4:90: warning: the room has no mark "Losenge", so the button does nothing (did you mean "Lozenge"?)`,
		`x.yaml:5:87: warning: the level of 8 dB is over the room's ceiling of 6 dB, which always holds (write 6 or less)`,
		`x.yaml:6:55: warning: the room has no scene "dask", so the light stays as it is (did you mean "dusk"?)`,
		`x.yaml:7:55: warning: the light would move by 58 in 10s, which may startle; it is slowed down (write fade: 29s or more)`,
	}
	if d := cmp.Diff(want, DefaultConfig().CheckPlaylist(pl).Strings()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func FuzzConfig(f *testing.F) {
	a, err := txtar.ParseFile("testdata/config/broken.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range a.Files {
		if !strings.HasSuffix(file.Name, ".want") {
			f.Add(file.Data)
		}
	}
	example, err := os.ReadFile("testdata/config/example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := ParseConfig("room.yaml", data)
		checkConfig(t, c)
		for _, p := range problems {
			if strings.ContainsAny(p.String(), "\r\n") || p.Says == "" {
				t.Errorf("%q", p.String())
			}
		}
	})
}

func badTime(spec string) bool {
	_, err := crontab.Parse(spec)
	return err != nil
}
