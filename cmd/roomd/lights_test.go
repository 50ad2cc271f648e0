package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
)

// lightsRoom is a data folder with a room file.
func lightsRoom(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "room.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLightsListed has each kind of lamp announce itself in its own system's words.
func TestLightsListed(t *testing.T) {
	t.Parallel()
	b := rig.Mosquitto(t)
	p := rig.Dial(t, b.URL)
	z2m := func(vendor, name, address string) string {
		return `{"friendly_name":"` + name + `","ieee_address":"` + address + `","definition":{"vendor":"` + vendor + `","exposes":[{"type":"light","features":[
			{"name":"brightness","value_max":254},{"name":"color_temp","value_min":250,"value_max":454}]}]}}`
	}
	p.Say("zigbee2mqtt/bridge/devices", "["+z2m("Philips", "room1/hue", "0x1")+","+z2m("IKEA", "room1/ikea", "0x2")+`,{"friendly_name":"button","ieee_address":"0x3","definition":{"exposes":[]}}]`, true)
	p.Say("zigbee2mqtt/bridge/groups", `[{"friendly_name":"room1/all","members":[{"ieee_address":"0x1"},{"ieee_address":"0x2"}]}]`, true)
	p.Say("homeassistant/light/esp/shelf/config", `{"schema":"json","~":"esp/shelf","name":"Shelf","cmd_t":"~/command","stat_t":"~/state","avty_t":"esp/status","bri_scl":1000,"sup_clrm":["color_temp"],"min_mireds":200,"max_mireds":400}`, true)
	p.Say("homeassistant/light/0x1/config", `{"schema":"json","command_topic":"zigbee2mqtt/room1/hue/set","state_topic":"zigbee2mqtt/room1/hue"}`, true)
	p.Say("homeassistant/light/plain/config", `{"command_topic":"plain/set"}`, true)
	p.Say("tasmota/discovery/AABBCC/config", `{"t":"tasmota_1","fn":["Corner",null],"ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"lt_st":2}`, true)
	p.Say("tasmota/discovery/AABBCD/config", `{"t":"plug","fn":["Plug"],"ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"lt_st":0}`, true)
	p.Say("tasmota/discovery/AABBCE/config", `{"t":"odd","fn":["Odd"],"ft":"%topic%/%prefix%/","tp":["cmnd","stat","tele"],"lt_st":1}`, true)
	p.Say("wled/strip/status", "online", true)
	p.Say("shellydimmer-1/online", "true", true)
	p.Say("shellyplug-1/online", "true", true)
	commands := make(chan string, 100)
	p.Hear("#", func(topic string, payload []byte, retained bool) {
		switch {
		case retained:
		case topic == "shellydimmer-1/rpc":
			p.Say("roomd/shellydimmer-1/rpc", `{"id":2,"result":{"id":0,"output":true,"brightness":20}}`, false)
		case topic == "shellyplug-1/rpc":
			p.Say("roomd/shellyplug-1/rpc", `{"id":2,"error":{"code":404}}`, false)
		}
		if !retained && !strings.HasPrefix(topic, "roomd/") && !strings.Contains(string(payload), "Light.GetStatus") {
			commands <- topic
		}
	})
	dir := lightsRoom(t, "mqtt: {broker: '"+b.URL+"'}\nlights:\n  ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/all}\n  accent: {driver: wled, topic: wled/strip}\n  far: {driver: wled, topic: wled/gone}\n")
	code, out, errs := roomd(t, nil, "lights", "--data", dir)
	if code != exitError || errs != "" {
		t.Errorf("it ends with %d: %s", code, errs)
	}
	want := []string{
		"zigbee2mqtt  zigbee2mqtt/room1/all  role ambient  group of 2; fades level or white at a time up to 300 s, white 2202 to 4000 K\n    ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/all}\n",
		"zigbee2mqtt  zigbee2mqtt/room1/hue  role ambient in zigbee2mqtt/room1/all  fades up to 300 s, white 2202 to 4000 K\n    ROLE: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/hue}\n",
		"homeassistant  esp/shelf/state  no role  \"Shelf\"; fades up to 300 s, white 2500 to 5000 K, can't be asked\n    ROLE: {driver: homeassistant, topic: esp/shelf/state, command: esp/shelf/command, availability: esp/status, brightness_scale: 1000}\n",
		"wled  wled/strip  role accent  fades up to 60 s, can't be asked\n    accent: {driver: wled, topic: wled/strip}\n",
		"shelly  shellydimmer-1  no role  fades up to 300 s, 100 levels, which are seen in the dark\n",
		"first set its FullTopic",
		"tasmota  tasmota_1  no role  \"Corner\"; fades in steps of roomd's, white 2000 to 6535 K\n",
		"role far: nobody offers wled wled/gone",
	}
	rest := out
	for _, w := range want {
		i := strings.Index(rest, w)
		if i < 0 {
			t.Fatalf("%q is not there, or too early, in\n%s", w, out)
		}
		rest = rest[i+len(w):]
	}
	for _, no := range []string{"button", "plain", "plug", "0x1", "homeassistant  zigbee2mqtt"} {
		if strings.Contains(out, no) {
			t.Errorf("%q is no light for roomd:\n%s", no, out)
		}
	}
	select {
	case topic := <-commands:
		t.Errorf("something was sent to %s", topic)
	default:
	}
}

// TestLightsTested has the real zigbee2mqtt's bulbs tested. Those of IKEA jump where white comes along with a level.
func TestLightsTested(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	b := rig.Mosquitto(t)
	bulbs := rig.Zigbee(t, b.URL)
	p := rig.Dial(t, b.URL)
	rig.Eventually(t, "the bulbs are lit", func() bool {
		p.Say("zigbee2mqtt/room1/all/set", `{"state":"ON","brightness":20}`, false) // it says online before it listens
		time.Sleep(300 * time.Millisecond)
		for _, n := range rig.BulbNames {
			if x := bulbs.Now(n); !x.On || math.Abs(x.Level-20) > 0.5 {
				return false
			}
		}
		return true
	})
	begin := time.Now()
	var wg sync.WaitGroup
	for name, want := range map[string]lights.Profile{"room1/hue1": {Fade: "both", Lowest: 2, ReadBack: true}, "room1/ikea1": {Fade: "one", Lowest: 1, ReadBack: true}} {
		wg.Go(func() {
			dir := lightsRoom(t, "mqtt: {broker: '"+b.URL+"'}\nlights: {ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/"+name+"}}\n")
			code, out, errs := roomd(t, nil, "lights", "test", "ambient", "--data", dir)
			if code != exitOK || errs != "" {
				t.Errorf("%s: it ends with %d: %s%s", name, code, out, errs)
				return
			}
			kept, err := lights.LoadProfiles(filepath.Join(dir, "lights"))
			if err != nil {
				t.Error(err)
			}
			got := kept["zigbee2mqtt/"+name]
			if got.Tested.Before(begin.Truncate(time.Second)) {
				t.Errorf("%s: tested at %v", name, got.Tested)
			}
			got.Tested, want.Topic = time.Time{}, "zigbee2mqtt/"+name
			if got != want {
				t.Errorf("%s: %+v\n%s", name, got, out)
			}
			var most float64
			for _, p := range bulbs.Trace(name, begin) {
				if !p.On {
					t.Errorf("%s was off", name)
				}
				most = max(most, p.Level)
			}
			if most > 29 { // L* 40 of 254
				t.Errorf("%s was at level %.0f", name, most)
			}
			if x := bulbs.Now(name); math.Abs(x.Level-20) > 1 || math.Abs(x.Mired-370) > 1 || len(bulbs.Trace(name, begin)) < 100 {
				t.Errorf("%s ends at %+v", name, x)
			}
			if _, out, _ := roomd(t, nil, "lights", "--data", dir); !strings.Contains(out, "tested "+begin.Format(time.DateOnly)+": "+want.String()) {
				t.Errorf("the list does not tell: %s", out)
			}
		})
	}
	wg.Wait()
}

// TestLightsNotTestedBesideARoom: the room would take the test for a hand.
func TestLightsNotTestedBesideARoom(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\nmqtt: {broker: 'mqtt://127.0.0.1:1'}\n"})
	d.start()
	if code, _, errs := roomd(t, nil, "lights", "test", "ambient", "--data", d.dir); code != exitError || !strings.Contains(errs, "another roomd uses") {
		t.Errorf("it ends with %d: %s", code, errs)
	}
	for _, c := range []struct{ config, name, says string }{
		{"audio: {output: none}\n", "ambient", "the one inside roomd"},
		{fmt.Sprintf("mqtt: {broker: 'mqtt://127.0.0.1:%d'}\n", rig.FreePort(t)), "ambient", "broker"},
	} {
		if code, _, errs := roomd(t, nil, "lights", "test", c.name, "--data", lightsRoom(t, c.config)); code != exitError || !strings.Contains(errs, c.says) {
			t.Errorf("it ends with %d: %s", code, errs)
		}
	}
}

// TestLightsSimulated tells a session's light in a table and a picture. The second fade asks for 50 L* in 5 s, which takes
// longer; the lozenge comes where the file says.
func TestLightsSimulated(t *testing.T) {
	t.Parallel()
	dir := lightsRoom(t, "lights: {ambient: {driver: simulated}, accent: {driver: wled, topic: wled/a}}\n"+
		"scenes: {low: {ambient: {level: 10, kelvin: 2200}}, high: {ambient: {level: 60, color: '#ff7a4a'}, accent: {level: 20}}}\n")
	if err := os.Mkdir(filepath.Join(dir, "playlists"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "playlists", "p.yaml"), []byte("name: Sea & sky\nphases:\n"+
		"  - {name: First, stage: preparation, length: 5m, until: Lozenge, marks: [Lozenge], music: silence, lights: {scene: low, fade: 2m}}\n"+
		"  - {name: Second, stage: administration, length: 5m, music: silence, lights: {scene: high, fade: 5s}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "light.svg")
	code, text, errs := roomd(t, nil, "lights", "simulate", "p", "--data", dir, "--out", out)
	if code != exitOK {
		t.Fatalf("it ends with %d: %s", code, errs)
	}
	want := `time     phase   ambient           accent
0:00:00  First   L* 70.0, 3000 K   L* 55.0
0:01:00          L* 40.0, 2540 K   L* 55.0
0:02:00          L* 10.0, 2200 K   L* 55.0
0:05:00  Second  L* 10.0, #ff7a4a  L* 55.0
0:05:18          L* 45.0, #ff7a4a  L* 20.0
0:05:26          L* 60.0, #ff7a4a  L* 20.0
0:10:00          L* 60.0, #ff7a4a  L* 20.0
`
	if text != want {
		t.Errorf("the table is\n%s", text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for dec := xml.NewDecoder(strings.NewReader(string(b))); ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := tok.(xml.CharData); ok {
			words[string(c)] = true
		}
	}
	for _, w := range []string{"Sea & sky", "ambient", "accent", "First", "Second", "Lozenge", "administration", "10, 2200 K", "60, #ff7a4a", "0:05"} {
		if !words[w] {
			t.Errorf("the picture does not hold %q", w)
		}
	}
	if code, _, errs := roomd(t, nil, "lights", "simulate", "q", "--data", dir); code != exitError || !strings.Contains(errs, `no playlist or file "q"`) {
		t.Errorf("it ends with %d: %s", code, errs)
	}
	if code, _, errs := roomd(t, nil, "lights", "simulate", "--data", dir); code != exitUsage || !strings.Contains(errs, "lights simulate PLAYLIST") {
		t.Errorf("it ends with %d: %s", code, errs)
	}
}
