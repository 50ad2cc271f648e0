package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room"
	"roomd/room/doctor"
)

// examined runs roomd doctor and returns the findings of a check.
func (d *daemon) examined(args ...string) (code int, of func(check string) doctor.Finding) {
	d.t.Helper()
	code, found := d.findings(args...)
	return code, func(check string) doctor.Finding {
		d.t.Helper()
		i := slices.IndexFunc(found, func(f doctor.Finding) bool { return f.Check == check })
		if i < 0 {
			d.t.Fatalf("nothing is said of %s: %+v", check, found)
		}
		return found[i]
	}
}

// findings are all that roomd doctor finds.
func (d *daemon) findings(args ...string) (code int, found []doctor.Finding) {
	d.t.Helper()
	code, out, errs := roomd(d.t, d.env, append([]string{"doctor", "--json", "--data", d.data, "--listen", d.addr}, args...)...)
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		d.t.Fatalf("%v: %s%s", err, out, errs)
	}
	if wrong := doctor.AnyWrong(found); wrong != (code == exitError) {
		d.t.Errorf("exit %d with %+v", code, found)
	}
	return code, found
}

// TestDoctor asks about a room with a sound card, a broker, lights and music; then breaks one after the other.
func TestDoctor(t *testing.T) {
	t.Parallel()
	card := rig.SoundCard(t, 1)
	broker := rig.Mosquitto(t)
	d := newDaemon(t, card.Env(), map[string]string{
		"room.yaml": fmt.Sprintf("room: Willow\nhttps: {listen: \"127.0.0.1:%d\"}\nmqtt: {broker: \"mqtt://kap:hunter-two@127.0.0.1:%d\"}\nlights: {ambient: {driver: simulated}, accent: {driver: zigbee2mqtt, topic: zigbee2mqtt/nobody}}\n",
			rig.FreePort(t), broker.Port),
		"playlists/p.yaml": "name: Evening\nphases: [{name: A, stage: preparation, length: 10m, music: tone.flac}]\n",
	})
	music(t, filepath.Join(d.dir, "playlists"), map[string]tone{"tone.flac": {300, 30, -20}})

	// Where no roomd runs, what can be seen is looked at.
	_, of := d.examined()
	for check, want := range map[string]doctor.State{"roomd": doctor.Wrong, "sound": doctor.OK, "broker": doctor.OK, "light accent": doctor.Wrong, "room file": doctor.OK, "disk of journal": doctor.OK} {
		if f := of(check); f.State != want {
			t.Errorf("before the start: %+v, want %s", f, want)
		}
	}

	d.start()
	rig.Eventually(t, "the room has all but its second light", func() bool {
		_, of = d.examined()
		return of("roomd").State == doctor.OK && of("sound").State == doctor.OK && of("broker").State == doctor.OK && of("playlists").State == doctor.OK
	})
	for _, check := range []string{"room file", "sound gaps", "sound devices", "first sound", "https", "ffmpeg", "disk of journal", "disk of playlists"} {
		if f := of(check); f.State != doctor.OK {
			t.Errorf("%+v", f)
		}
	}
	if f := of("light ambient"); f.State != doctor.Unknown || !strings.Contains(f.Says, "drawn on the page only") {
		t.Errorf("a simulated lamp: %+v", f)
	}
	if f := of("first sound"); !strings.Contains(f.Says, "playlist, p, is heard") {
		t.Errorf("%+v", f)
	}
	if f := of("broker"); strings.Contains(f.Says, "hunter-two") {
		t.Errorf("it tells the password: %+v", f)
	}
	if f := of("light accent"); f.State == doctor.OK {
		t.Errorf("a light that nobody has: %+v", f)
	}

	// A session is not disturbed.
	d.do(room.Command{Do: room.Start, Playlist: "p"})
	_, of = d.examined()
	for _, check := range []string{"sound devices", "first sound"} {
		if f := of(check); f.State != doctor.Unknown {
			t.Errorf("in a session: %+v", f)
		}
	}
	d.do(room.Command{Do: room.Abort})
	rig.Eventually(t, "the session is over", func() bool { return !d.snapshot().InSession() })

	card.Unplug()
	broker.Stop()
	if err := os.Remove(filepath.Join(d.dir, "playlists", "tone.flac")); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "sound, broker and playlists are found wrong", func() bool {
		_, of = d.examined()
		return of("sound").State == doctor.Wrong && of("broker").State == doctor.Wrong && (of("playlists").State == doctor.Wrong || of("first sound").State != doctor.OK || !strings.Contains(of("first sound").Says, "playlist, p,"))
	})
	if code, out, _ := roomd(t, d.env, "doctor", "--data", d.data, "--listen", d.addr); code != exitError || !strings.Contains(out, "wrong") || !strings.Contains(out, "→ ") {
		t.Errorf("%d\n%s", code, out)
	}
	if code, _, _ := roomd(t, d.env, "doctor", "everything", "--data", d.data); code != exitUsage {
		t.Errorf("exit %d for a word too many", code)
	}
}

// What no report may hold.
const (
	secretPassword = "hunter-two!"
	secretComment  = "the wifi is Sommerwiese9"
	secretClient   = "Dr. Mabuse"
	secretNote     = "she spoke of her brother"
	secretTablet   = "Annegret's iPad"
)

// secretRoom is a room's files with secrets in them.
func secretRoom(t *testing.T) map[string]string {
	return map[string]string{
		"room.yaml": fmt.Sprintf("# %s\nroom: Willow\naudio: {output: none} # %s\nhttps: {listen: \"127.0.0.1:%d\"}\nmqtt: {broker: \"mqtt://kapuser:%s@127.0.0.1:%d\"}\nlights: {ambient: {driver: simulated}}\nmarks: [Vitals]\n",
			secretComment, secretComment, rig.FreePort(t), secretPassword, rig.FreePort(t)),
		"playlists/evening.yaml": "# " + secretComment + "\nname: " + secretClient + "\nphases: [{name: A, stage: preparation, length: 10m, music: rain, marks: [Vitals]}]\n",
		"playlists/broken.yaml":  "name: Broken\nphases: [{name: A, stage: overture, length: 10m}]\n",
		"lights/a.json":          `{}`,
	}
}

// plant starts a secretRoom and puts secrets wherever one may be: a session with a note, devices, the log. It returns them all.
func (d *daemon) plant() (secrets []string) {
	t := d.t
	d.start()
	_, made, errs := roomd(t, nil, "token", "create", secretTablet, "--data", d.data)
	if errs != "" {
		t.Fatal(errs)
	}
	if _, out, errs := roomd(t, nil, "pair", secretTablet+" 2", "--data", d.data, "--listen", d.addr); errs != "" || out == "" {
		t.Fatal(errs)
	}
	mark := room.NewID()
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	d.do(room.Command{ID: mark, Do: room.MarkNow, Name: "Vitals"})
	d.do(room.Command{Do: room.WriteNote, Session: d.snapshot().Session.ID, Of: mark, Text: secretNote})
	away, err := http.NewRequest(http.MethodDelete, "http://"+d.addr+"/api/v1/devices/"+url.PathEscape(secretTablet), nil)
	if err != nil {
		t.Fatal(err)
	}
	away.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(away)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	rig.Eventually(t, "the log names the device: what is taken out of a report is in it before", func() bool { return strings.Contains(d.log(), "Annegret") })
	key, err := os.ReadFile(filepath.Join(d.data, "tls", "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return []string{secretPassword, "kapuser", "Sommerwiese9", secretClient, secretNote, secretTablet, "Annegret", strings.TrimSpace(made), d.token, strings.Split(string(key), "\n")[1]}
}

// unpacked reads a report.
func unpacked(t *testing.T, report []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(report), int64(len(report)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = string(b)
	}
	return all
}

// TestReport plants secrets wherever one may be and looks for them in a report.
func TestReport(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, secretRoom(t))
	secrets := d.plant()

	for _, running := range []bool{true, false} {
		if !running {
			d.Kill()
		}
		file := filepath.Join(t.TempDir(), "r.zip")
		if code, out, errs := roomd(t, nil, "report", file, "--data", d.data, "--listen", d.addr); code != exitOK || !strings.Contains(out, file) {
			t.Fatal(code, out, errs)
		}
		if code, _, _ := roomd(t, nil, "report", file, "--data", d.data, "--listen", d.addr); code != exitError {
			t.Error("it writes over a file")
		}
		if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", st.Mode(), err)
		}
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := unpacked(t, packed)
		for name, text := range all {
			for _, secret := range secrets {
				if strings.Contains(name+text, secret) {
					t.Errorf("%s holds %q:\n%s", name, secret, text)
				}
			}
		}
		want := map[string]string{
			"about.txt": "doctor.txt", "doctor.txt": "wrong", "check.txt": "overture", "room.yaml": "driver: simulated", "log.txt": "", "sessions.txt": "running", "lights/a.json": "{}",
		}
		if running {
			want["state.json"], want["metrics.txt"], want["log.txt"] = `"ambient"`, "roomd_session_part_degraded", "the page is served"
		} else {
			want["state.json"], want["metrics.txt"] = "does not run", "does not run"
		}
		for name, holds := range want {
			if text, ok := all[name]; !ok || !strings.Contains(text, holds) {
				t.Errorf("running %v: %s does not hold %q:\n%s", running, name, holds, text)
			}
		}
	}
}

func TestRedact(t *testing.T) {
	r := redactor{}
	cfg := room.Config{}
	cfg.MQTT.Broker = "mqtt://kapuser:p%40ss-word@host:1883"
	file := filepath.Join(t.TempDir(), "syncthing.key")
	if err := os.WriteFile(file, []byte("short-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Syncthing = &room.SyncthingConfig{KeyFile: file}
	cfg.Clinic = &room.ClinicConfig{Broker: "mqtts://willow-7:clinic-word@host"}
	r.learn(cfg)
	for text, want := range map[string]string{
		`level=INFO msg="type this code" code=653377 until=21:22`:              `level=INFO msg="type this code" code=(removed) until=21:22`,
		`msg="a device was let in" device="Anna's \"iPad\"" role=therapist`:    `msg="a device was let in" device=(removed) role=therapist`,
		`msg="a device was sent away" device=Anna`:                             `msg="a device was sent away" device=(removed)`,
		`msg="sound device opened" device=default rate=48000`:                  `msg="sound device opened" device=default rate=48000`,
		`dial mqtts://user:secret@broker:8883: refused`:                        `dial mqtts://(removed)@broker:8883: refused`,
		`mqtt: {broker: "kapuser:hunter two@h:1", base: x}`:                    `mqtt: {broker: "(removed)@h:1", base: x}`,
		`broker: mqtt://localhost:1883`:                                        `broker: mqtt://localhost:1883`,
		`it says p@ss-word and p%40ss-word of kapuser`:                         `it says (removed) and (removed) of (removed)`,
		`{"password": "a b\"c", "api_token": 'x', "name": "Willow"}`:           `{"password": "(removed)", "api_token": '(removed)', "name": "Willow"}`,
		`{"code": "doc-version", "other_code": "482 913"}`:                     `{"code": "doc-version", "other_code": "(removed)"}`,
		"-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----": `(removed)`,
		"Authorization: Bearer " + strings.Repeat("aB3_", 10) + "xyz":          "Authorization: Bearer (removed)",
		`it says short-key`:               `it says (removed)`,
		`it says clinic-word of willow-7`: `it says (removed) of (removed)`,
		`syncthing: {api_key: x, key: "0123456789abcdefghijklmnopqrstuv"}`: `syncthing: {api_key: (removed), key: "(removed)"}`,
		"  key_file: 0123456789abcdefghijklmnopqrstuv\n  key: server.pem":  "  key_file: (removed)\n  key: server.pem",
		"roomd_sound_underruns_total 0":                                    "roomd_sound_underruns_total 0",
	} {
		if got := string(r.clean([]byte(text))); got != want {
			t.Errorf("%s\n became %s\n want   %s", text, got, want)
		}
	}
}
