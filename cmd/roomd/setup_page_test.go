package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/player/output"
	"roomd/rig"
	"roomd/room"
	"roomd/web"
)

// setUp asks a route of the setup by the page. While the room is made anew it asks again, as the page does.
func (d *daemon) setUp(method, path string, body any) (status int, view web.SetupView, fault room.Refused) {
	d.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	var answer []byte
	rig.Eventually(d.t, method+" "+path+" is answered", func() bool {
		req, _ := http.NewRequest(method, "http://"+d.addr+"/api/v1/setup"+path, strings.NewReader(string(text)))
		req.Header.Set("Authorization", "Bearer "+d.token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		if answer, err = io.ReadAll(resp.Body); err != nil {
			return false
		}
		status = resp.StatusCode
		return true
	})
	switch {
	case status == http.StatusOK:
		err = json.Unmarshal(answer, &view)
	case status != http.StatusNoContent:
		err = json.Unmarshal(answer, &fault)
	}
	if err != nil {
		d.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	return status, view, fault
}

// must asks what has to be done.
func (d *daemon) must(method, path string, body any) web.SetupView {
	d.t.Helper()
	status, v, fault := d.setUp(method, path, body)
	if status >= 300 {
		d.t.Fatalf("%s %s %+v: %d %+v", method, path, body, status, fault)
	}
	return v
}

// refused asks what must not be done, and compares why.
func (d *daemon) refused(method, path string, body any, status int, code, field string) {
	d.t.Helper()
	is, _, fault := d.setUp(method, path, body)
	if is != status || fault.Code != code || fault.Field != field || fault.Reason == "" {
		d.t.Errorf("%s %s %+v: %d %+v, wanted %d %s %s", method, path, body, is, fault, status, code, field)
	}
}

// change is the body of a PUT.
type change map[string]any

func lampsAt(names ...string) (all []web.SetupLamp) {
	for _, n := range names {
		all = append(all, web.SetupLamp{Driver: "zigbee2mqtt", Topic: "zigbee2mqtt/" + n})
	}
	return append([]web.SetupLamp{}, all...)
}

// TestSetupByThePage sets a fresh room up by the page alone, with a real broker, a real zigbee2mqtt and a sound card: name, broker,
// lamps that show themselves, bulbs that are let in, roles, sound. Then it changes a room that somebody has written in by hand.
func TestSetupByThePage(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	broker := rig.Mosquitto(t)
	bulbs := rig.Zigbee(t, broker.URL)
	d := newDaemon(t, card.Env(), map[string]string{"playlists/short.yaml": "name: Short\nphases: [{name: One, stage: preparation, length: 1h, music: {bed: drone}}]\n"})
	file := filepath.Join(d.data, "room.yaml")
	d.start()
	become := func(what string, is func(room.Snapshot) bool) {
		t.Helper()
		rig.Eventually(t, what, func() bool { s, err := d.peek(); return err == nil && is(s) })
	}

	v := d.must("GET", "", nil)
	if !v.Fresh || v.Lights.BrokerState != web.BrokerEmbedded || v.Lights.Broker != "embedded" || v.Sound.Output != "alsa" || !slices.Equal(v.Lights.Roles, []string{"ambient", "accent"}) || v.Playlists < 1 {
		t.Errorf("%+v", v)
	}
	d.refused("POST", "/lights/show", lampsAt("room1/hue1")[0], 409, "setup-no-broker", "")
	d.refused("POST", "/zigbee/join", change{"seconds": 9}, 409, "setup-no-broker", "")
	d.refused("PUT", "", change{"lights": change{"ambient": lampsAt("room1/hue1")}}, 422, "setup-no-broker", "lights")
	d.refused("PUT", "", change{"room": strings.Repeat("long ", 40)}, 422, "setup-value", "room")
	if _, err := os.Stat(file); err == nil {
		t.Error("what was refused made a room file")
	}
	if v := d.must("PUT", "", change{"room": "Willow"}); !v.Fresh || v.Room != "Willow" {
		t.Errorf("in the middle of the walk: %+v", v)
	}
	become("the room has its name", func(s room.Snapshot) bool { return s.Room == "Willow" })
	d.must("POST", "/broker/try", change{"broker": broker.URL})
	d.must("PUT", "", change{"broker": broker.URL})
	v = d.must("POST", "/look", nil)
	if !v.Lights.Zigbee || v.Lights.BrokerState != web.BrokerConnected || len(v.Lights.Offers) != 5 || !strings.Contains(v.Lights.Offers[1].Kind, "Hue") {
		t.Errorf("found: %+v", v.Lights)
	}
	if !slices.ContainsFunc(v.Sound.Devices, func(s web.SoundDevice) bool { return s.Name == "usbdac" && s.USB }) {
		t.Errorf("found: %+v", v.Sound)
	}

	// Lamps.
	from := time.Now()
	d.must("POST", "/lights/show", lampsAt("room1/hue1")[0])
	highest := 0.0
	for _, p := range bulbs.Trace("room1/hue1", from) {
		highest = max(highest, p.Shine())
	}
	if len(bulbs.Trace("room1/hue2", from)) > 0 || highest < 20 || highest > 30 { // L* 40 is 28
		t.Errorf("hue1 shows itself at %.0f", highest)
	}
	d.refused("POST", "/lights/show", lampsAt("nobody")[0], 422, "setup-light", "topic")
	bulbs.Dead(300*time.Millisecond, "room1/ikea2")
	d.refused("POST", "/lights/show", lampsAt("room1/ikea2")[0], 502, "setup-lamp-silent", "")
	d.must("POST", "/zigbee/join", change{"seconds": 100})
	rig.Eventually(t, "bulbs are let in", func() bool { return d.must("GET", "", nil).Lights.JoiningMS > 50_000 })
	d.must("POST", "/zigbee/join", change{"seconds": 0})
	rig.Eventually(t, "bulbs are no longer let in", func() bool { return d.must("GET", "", nil).Lights.JoiningMS == 0 })
	before := read(t, file)
	both := change{"ambient": lampsAt("room1/all"), "accent": lampsAt("room1/ikea1")}
	d.refused("PUT", "", change{"room": "Oak", "lights": both}, 422, "setup-overlap", "lights")
	d.refused("PUT", "", change{"lights": change{"ceiling": lampsAt("room1/hue1")}}, 422, "unknown-role", "lights")
	d.refused("PUT", "", change{"lights": change{"accent": lampsAt("room1/ikea1", "room1/ikea2")}}, 502, "setup-group", "")
	d.refused("PUT", "", change{"device": "nobody"}, 422, "setup-device", "device")
	d.refused("PUT", "", change{"reference": -13}, 422, "setup-reference", "reference")
	d.refused("PUT", "", change{"broker": "http://x"}, 422, "setup-broker", "broker")
	if read(t, file) != before {
		t.Errorf("what was refused wrote\n%s", read(t, file))
	}
	bulbs.Dead(0)
	v = d.must("PUT", "", change{"device": "usbdac", "reference": -22.5, "lights": change{"ambient": lampsAt("room1/hue1", "room1/hue2"), "accent": []web.SetupLamp{}}, "done": true})
	if v.Fresh || v.Sound.Device != "usbdac" || v.Sound.Reference != -22.5 {
		t.Errorf("%+v", v)
	}
	k := slices.IndexFunc(v.Lights.Offers, func(o web.LightOffer) bool { return o.Topic == "zigbee2mqtt/willow-ambient" })
	if k < 0 || v.Lights.Offers[k].Role != "ambient" || len(v.Lights.Offers[k].Members) != 2 {
		t.Errorf("grouped: %+v", v.Lights.Offers)
	}
	cfg, problems := room.ParseConfig(file, []byte(read(t, file)))
	if len(problems) > 0 || len(cfg.Lights["ambient"]) != 1 || cfg.Lights["ambient"][0].Topic != "zigbee2mqtt/willow-ambient" || cfg.Audio.Device != "usbdac" || cfg.Audio.Reference != -22.5 || cfg.MQTT.Broker != broker.URL {
		t.Errorf("%v\n%s", problems.Strings(), read(t, file))
	}
	become("the room runs with its lamps and its sound", func(s room.Snapshot) bool {
		return s.Lights["ambient"].State == "following" && len(s.Lights["ambient"].Lamps) == 2 && s.Sound.Output == "alsa usbdac"
	})

	// By hand: what somebody wrote stays.
	mine := strings.Replace(read(t, file), "# The room.", "# Mine. The room.", 1) + "\n# evenings\nscenes:\n  dusk: {ambient: {level: 22}} # not more\n"
	d.writeRoomFile(mine)
	become("it has the scene", func(s room.Snapshot) bool { return slices.Contains(s.Scenes, "dusk") })
	if v := d.must("PUT", "", change{"room": "Oak", "lights": change{"ambient": lampsAt("willow-ambient")}}); !v.Waits {
		t.Error("the page is not told that the room will be made anew")
	}
	if got, want := read(t, file), strings.Replace(mine, "Willow", "Oak", 1); got != want {
		t.Errorf("written is\n%swanted\n%s", got, want)
	}
	kept, _ := filepath.Glob(file + ".before-*")
	if len(kept) == 0 || !slices.ContainsFunc(kept, func(k string) bool { return read(t, k) == mine }) {
		t.Errorf("kept is %v", kept)
	}
	become("it has its new name", func(s room.Snapshot) bool { return s.Room == "Oak" })
	rig.Eventually(t, "the page is told of no wait: the room is made anew", func() bool { return !d.must("GET", "", nil).Waits })

	// In a session nothing is written, lit or played.
	d.ready("short")
	d.do(room.Command{Do: room.Start, Playlist: "short"})
	before, from = read(t, file), time.Now()
	for _, c := range []struct {
		method, path string
		body         any
	}{{"PUT", "", change{"room": "Elm"}}, {"POST", "/look", nil}, {"POST", "/sound/play", change{"device": "usbdac"}}, {"POST", "/broker/try", change{"broker": broker.URL}}, {"POST", "/lights/show", lampsAt("room1/ikea1")[0]}, {"POST", "/zigbee/join", change{"seconds": 9}}} {
		d.refused(c.method, c.path, c.body, 409, "setup-in-session", "")
	}
	if read(t, file) != before || len(bulbs.Trace("room1/ikea1", from)) > 0 {
		t.Errorf("in a session: %s", read(t, file))
	}
	d.writeRoomFile(strings.Replace(before, "Oak", "Elm", 1))
	rig.Eventually(t, "the file waits", func() bool { return d.must("GET", "", nil).Waits })
	d.do(room.Command{Do: room.End, In: "10s"})
	become("it has taken over what waited", func(s room.Snapshot) bool { return s.Room == "Elm" })

	// A file with errors is left alone.
	d.writeRoomFile("rom: Oak\n")
	d.refused("PUT", "", change{"room": "Oak"}, 409, "setup-file", "")
	rig.Eventually(t, "the page is told", func() bool { v := d.must("GET", "", nil); return len(v.Problems) > 0 && v.Room == "Elm" })
	if read(t, file) != "rom: Oak\n" {
		t.Error("it was written")
	}
}

// TestSetupPlays has the room's own device heard while the page is open, and so holds it: softly, and as loud as music is by a
// reference. The room lends it and takes it back; a play that is stopped, and one that a session ends, are silent at once.
func TestSetupPlays(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "audio: {device: usbdac, reference: -24}\nlights: {ambient: {driver: simulated}}\n",
		"playlists/short.yaml": "name: Short\nphases: [{name: One, stage: preparation, length: 1h, music: {bed: drone}}]\n"})
	d.start()
	d.tablet()
	rig.Eventually(t, "the room holds the device", func() bool { return d.snapshot().Sound.State == "playing" })
	// heard is what the card played while do ran.
	heard := func(do func()) [][2]float64 {
		t.Helper()
		from := card.Size()
		do()
		all := card.Played()
		frame := int64(all.Bits / 8 * 2)
		if all.Bits == 32 || all.Bits == 24 {
			frame = 8
		}
		return all.Frames[min(int(from/frame), len(all.Frames)):]
	}
	loudness := func(frames [][2]float64) (lufs float64, loudest float64) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "heard.wav")
		w, err := output.CreateWAV(path, 48000)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(frames); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ffmpeg", "-nostats", "-v", "verbose", "-i", path, "-af", "ebur128", "-f", "null", "-").CombinedOutput()
		if err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, out)
		}
		loudest, rise, last := math.Inf(-1), 0.0, []float64{}
		for _, l := range lines(string(out)) {
			var at, m float64
			if i := strings.Index(l, " M:"); i < 0 {
				continue
			} else if _, err := fmt.Sscan(l[i+3:], &m); err != nil {
				t.Fatal(l, at)
			}
			if math.IsNaN(m) { // before the first 400 ms
				continue
			}
			loudest, last = max(loudest, m), append(last, m)
		}
		floor := loudest - 12 // promise 1: never more than 8 LU over the loudest of the 5 s before, or over the target less 12
		for _, m := range last {
			rise = max(rise, m-floor)
			floor = max(floor, m)
		}
		if rise > 8 {
			t.Errorf("it rises by %.1f LU", rise)
		}
		return integrated(t, path), loudest
	}
	for _, c := range []struct {
		body change
		want float64
	}{{change{"device": "usbdac"}, -34}, {change{"device": "usbdac", "reference": -20}, -20}} {
		began := time.Now()
		is, most := loudness(heard(func() { d.must("POST", "/sound/play", c.body) }))
		t.Logf("%v: %.1f LUFS, at most %.1f in 400 ms, in %v", c.body, is, most, time.Since(began).Round(100*time.Millisecond))
		// More than half of it fades in and out, and on a busy computer it may begin late: its loudest 400 ms are what is set.
		if math.Abs(most-c.want) > 2 || is > c.want+2 {
			t.Errorf("%v sounds at %.1f LUFS, at most %.1f", c.body, is, most)
		}
	}
	held := 0
	for _, l := range lines(card.Log()) {
		switch {
		case strings.Contains(l, " open ok"):
			held++
		case strings.Contains(l, " close "):
			held--
		case strings.Contains(l, " start ") && held != 1: // a device of one's own is one program's, and one line's, at a time
			t.Errorf("%d lines hold the device at %q:\n%s", held, l, card.Log())
		}
	}
	rig.Eventually(t, "the room holds the device again", func() bool { return d.snapshot().Sound.State == "playing" })
	d.refused("POST", "/sound/play", change{"device": "nobody"}, 422, "setup-device", "device")
	d.refused("POST", "/sound/play", change{"device": "usbdac", "reference": 0}, 422, "setup-reference", "reference")

	// Stopped, and ended by a session.
	for _, end := range []string{"stop", "session"} {
		status := make(chan int, 1)
		from := card.Size()
		go func() {
			s, _, _ := d.setUp("POST", "/sound/play", change{"device": "usbdac"})
			status <- s
		}()
		rig.Eventually(t, "it plays", func() bool { return card.Size() > from+200_000 })
		began := time.Now()
		want := http.StatusNoContent
		if end == "stop" {
			d.must("POST", "/sound/stop", nil)
		} else {
			d.ready("short")
			began = time.Now()
			d.do(room.Command{Do: room.Start, Playlist: "short"})
			want = http.StatusConflict
		}
		if s := <-status; s != want {
			t.Errorf("%s: %d", end, s)
		}
		rig.Bar(t, "a play is ended", end, time.Since(began).Seconds(), 2, "s")
	}
	rig.Eventually(t, "the session plays", func() bool { s := d.snapshot(); return s.Sound.State == "playing" && s.Session != nil })
}

// TestSetupTriesABroker holds what is said of a broker that does not let the room in, and that no password is shown.
func TestSetupTriesABroker(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "passwords")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", secret, "roomd", "s3cret@").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	closed := rig.Mosquitto(t, "allow_anonymous false", "password_file "+secret)
	right := strings.Replace(closed.URL, "mqtt://", "mqtt://roomd:s3cret%40@", 1)
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\nmqtt: {broker: '" + right + "'}\n"})
	d.start()
	try := func(broker string) change { return change{"broker": broker} }
	d.must("POST", "/broker/try", try(right))
	v := d.must("GET", "", nil)
	if strings.Contains(v.Lights.Broker, "s3cret") || !strings.HasPrefix(v.Lights.Broker, "mqtt://roomd@") {
		t.Errorf("the broker is shown as %q", v.Lights.Broker)
	}
	d.must("POST", "/broker/try", try(v.Lights.Broker)) // as it was shown
	d.must("POST", "/broker/try", try("embedded"))
	file := filepath.Join(d.data, "room.yaml")
	before := read(t, file)
	d.must("PUT", "", change{"broker": v.Lights.Broker})
	if read(t, file) != before {
		t.Errorf("as it was shown, it is written as\n%s", read(t, file))
	}
	for _, bad := range []string{closed.URL, strings.Replace(right, "s3cret", "secret", 1)} {
		d.refused("POST", "/broker/try", try(bad), 502, "setup-password", "")
	}
	if _, _, fault := d.setUp("POST", "/broker/try", try(closed.URL)); !strings.Contains(fault.Reason, "Type a user name and password") {
		t.Errorf("without the cure: %s", fault.Reason)
	}
	d.refused("POST", "/broker/try", try(fmt.Sprintf("mqtt://127.0.0.1:%d", rig.FreePort(t))), 502, "setup-silent", "")
	d.refused("POST", "/broker/try", try("mqtt://host:1883/topic"), 422, "setup-broker", "broker")
	d.refused("POST", "/broker/try", try("elsewhere"), 422, "setup-broker", "broker")
	if v := d.must("POST", "/look", nil); v.Lights.BrokerState != web.BrokerConnected {
		t.Errorf("%+v", v.Lights)
	}
	d.refused("POST", "/zigbee/join", change{"seconds": 9}, 502, "setup-no-zigbee", "")
	d.refused("PUT", "", change{"device": "usbdac"}, 422, "setup-fixed", "device")
}
