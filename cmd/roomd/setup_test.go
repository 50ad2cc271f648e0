package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// setUp runs roomd setup with answers typed on its console.
func setUp(t *testing.T, env []string, dir, typed string, more ...string) (code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), theBinary(t), append([]string{"setup", "--data", dir}, more...)...)
	var o bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(typed), &o, &o
	cmd.Env = append(os.Environ(), env...)
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !asExit(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String()
}

// TestSetup goes through a first setup with a real broker, simulated bulbs and a sound card, and then again.
func TestSetup(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	card.Configure(`pcm.quiet { type null hint { show on description "The computer's own" } }`)
	broker := rig.Mosquitto(t)
	bulbs := rig.Zigbee(t, broker.URL)
	defer bulbs.Kill()
	dir := t.TempDir()
	file := filepath.Join(dir, "room.yaml")

	// A name that can't be one, then a good one; the DAC is heard, then taken as the default; a broker that is not there, then ours.
	code, out := setUp(t, card.Env(), dir, strings.Join([]string{strings.Repeat("long ", 40), "Willow", "p1", "", "mqtt://127.0.0.1:9", broker.URL, "", "", ""}, "\n"))
	if code != exitOK {
		t.Fatal(code, out)
	}
	for _, want := range []string{"That can't be", "fake USB DAC", "Played on usbdac", "does not answer", "zigbee2mqtt", "Written: " + file} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing says %q:\n%s", want, out)
		}
	}
	text := read(t, file)
	cfg, problems := room.ParseConfig(file, []byte(text))
	if len(problems) > 0 || cfg.Room != "Willow" || cfg.Audio.Device != "usbdac" || cfg.MQTT.Broker != broker.URL || cfg.Lights["ambient"][0].Driver != "zigbee2mqtt" || cfg.Lights["accent"][0].Driver != "simulated" {
		t.Errorf("%v\n%s", problems.Strings(), text)
	}
	if !strings.HasPrefix(text, "# yaml-language-server: $schema=.schema/room.json\n") || read(t, filepath.Join(dir, ".schema", "room.json")) != string(room.ConfigSchema()) {
		t.Errorf("no editor finds its schema:\n%s", text)
	}
	// Five seconds of the drone, far under the reference, out of silence and into it.
	played := card.Played()
	sum, last := 0.0, 0
	for k, f := range played.Frames {
		sum += f[0] * f[0]
		if math.Abs(f[0]) > 1e-4 {
			last = k
		}
	}
	if s := float64(last) / float64(played.Rate); s < 3.5 || s > 5.5 || sum == 0 {
		t.Errorf("heard for %.1f s", s)
	}
	if db := 10 * math.Log10(sum/float64(last+1)); db > -28 || db < -45 {
		t.Errorf("as loud as %.1f dBFS", db)
	}
	// What it wrote runs.
	if code, out, errs := roomd(t, card.Env(), "check", "--quick", "--data", dir); code != exitOK {
		t.Error(out, errs)
	}

	// Again, every default: the file stays as it is, to the byte.
	if code, out := setUp(t, card.Env(), dir, "", "--yes"); code != exitOK || !strings.Contains(out, "stays as it is") || read(t, file) != text {
		t.Errorf("%d %s\n%s", code, out, read(t, file))
	}
	// Again, with what somebody wrote between: only the answer changes, and the file before is kept.
	mine := text + "\n# evenings\nscenes:\n  dusk: {ambient: {level: 22}} # not more\n"
	if err := os.WriteFile(file, []byte(mine), 0o640); err != nil {
		t.Fatal(err)
	}
	if code, out := setUp(t, card.Env(), dir, "Oak\n3\n\n\n\n"); code != exitOK {
		t.Fatal(out)
	}
	if got, want := read(t, file), strings.Replace(strings.Replace(mine, "Willow", "Oak", 1), "device: usbdac", "device: quiet", 1); got != want {
		t.Errorf("written is\n%swanted\n%s", got, want)
	}
	kept, _ := filepath.Glob(file + ".before-*")
	if len(kept) != 1 || read(t, kept[0]) != mine {
		t.Errorf("kept is %v", kept)
	}

	// Whoever goes away in the middle has changed nothing; nor has a file with errors.
	before := read(t, file)
	if code, out := setUp(t, card.Env(), dir, "Elm\n"); code != exitError || !strings.Contains(out, "nothing was written") || read(t, file) != before {
		t.Errorf("%d %s", code, out)
	}
	if err := os.WriteFile(file, []byte("rom: Oak\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if code, out := setUp(t, card.Env(), dir, "", "--yes"); code != exitError || !strings.Contains(out, "did you mean \"room\"?") || read(t, file) != "rom: Oak\n" {
		t.Errorf("%d %s", code, out)
	}
}

// TestSetupEnds has somebody press Ctrl-C at a question, and then Enter: setup ends at once and writes nothing.
func TestSetupEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), theBinary(t), "setup", "--data", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var bad strings.Builder
	cmd.Stderr = &bad
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	asked := make([]byte, 4096)
	for said := ""; !strings.Contains(said, "called?"); {
		n, err := out.Read(asked)
		if said += string(asked[:n]); err != nil {
			t.Fatal(said, err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, out); _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("Ctrl-C alone does not end it")
		for range 9 {
			_, _ = io.WriteString(in, "\n") // it may have ended
		}
		_ = in.Close()
		<-ended
	}
	if code := cmd.ProcessState.ExitCode(); code != exitError || !strings.Contains(bad.String(), "stopped; nothing was written") {
		t.Errorf("%d %s", code, bad.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "room.yaml")); err == nil {
		t.Error("it wrote the file")
	}
}

// TestAskerEnds holds that no line counts that is typed after Ctrl-C, however the two race.
func TestAskerEnds(t *testing.T) {
	t.Parallel()
	for range 100 {
		ctx, stop := context.WithCancel(t.Context())
		a := newAsker(ctx, strings.NewReader("first\n"), io.Discard, false)
		if got := a.ask("?", "none", nil); got != "first" {
			t.Fatal(got, a.err)
		}
		second := make(chan typed, 1)
		second <- typed{line: "second\n"}
		a.typed = second
		stop()
		if got := a.ask("?", "none", nil); got != "none" || !errors.Is(a.err, errStopped) {
			t.Fatal(got, a.err)
		}
	}
}

// TestNumbers holds which answers name lights.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{"1": "1", "0": "0", "2,1": "1,2", " 1 3-5, 4": "1,3,4,5", "6": "!", "-1": "!", "3-2": "!", "": "!", "x": "!", "0,1": "!", "1-": "!", "1-2-3": "!"} {
		got, err := numbers(s, 5)
		if says := list(got); err != nil && want != "!" || err == nil && says != want {
			t.Errorf("%q: %s %v", s, says, err)
		}
	}
}

// TestLightsOfTwoRoles sets up a room with six bulbs, first without a group, then with one of all: no lamp gets two roles, and check
// refuses a room file in which one has.
func TestLightsOfTwoRoles(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	broker := rig.Mosquitto(t)
	peer := rig.Dial(t, broker.URL)
	var devices, members []string
	for i := 1; i <= 6; i++ {
		devices = append(devices, fmt.Sprintf(`{"friendly_name": "lamp-%[1]d", "ieee_address": "0x%[1]d", "type": "Router", "supported": true, "definition": {"exposes": [
			{"type": "light", "features": [{"name": "state", "property": "state", "type": "binary"}, {"name": "brightness", "property": "brightness", "type": "numeric", "value_min": 0, "value_max": 254}]}]}}`, i))
		members = append(members, fmt.Sprintf(`{"ieee_address": "0x%d", "endpoint": 1}`, i))
	}
	peer.Say("zigbee2mqtt/bridge/state", `{"state": "online"}`, true)
	peer.Say("zigbee2mqtt/bridge/devices", "["+strings.Join(devices, ",")+"]", true)
	dir := t.TempDir()
	file := filepath.Join(dir, "room.yaml")
	begin := func(lights string) {
		if err := os.WriteFile(file, fmt.Appendf(nil, "audio: {output: {command: [cat]}}\nmqtt: {broker: %q}\n%s", broker.URL, lights), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	topics := func() string {
		cfg, problems := room.ParseConfig(file, []byte(read(t, file)))
		if len(problems) > 0 {
			t.Error(problems.Strings())
		}
		var out []string
		for _, role := range []string{"ambient", "accent"} {
			var of []string
			for _, l := range cfg.Lights[role] {
				of = append(of, strings.TrimPrefix(l.Topic, "zigbee2mqtt/"))
			}
			out = append(out, strings.Join(of, " "))
		}
		return strings.Join(out, "; ")
	}
	// A bridge on this computer is the room's own: all of its bulbs light the room.
	begin("")
	if code, out := setUp(t, nil, dir, "", "--yes"); code != exitOK || topics() != "lamp-1 lamp-2 lamp-3 lamp-4 lamp-5 lamp-6; roomd/simulated/accent" {
		t.Errorf("%d %s %s", code, topics(), out)
	}
	// Chosen by hand: none twice, and what is left is said. Then the same again changes nothing.
	begin("")
	code, out := setUp(t, nil, dir, "\n\n1-3\n3,4\n4,5\n")
	if code != exitOK || topics() != "lamp-1 lamp-2 lamp-3; lamp-4 lamp-5" || !strings.Contains(out, "zigbee2mqtt/lamp-3 is already a light of ambient") || !strings.Contains(out, "No role has 6") {
		t.Errorf("%d %s %s", code, topics(), out)
	}
	if code, out := setUp(t, nil, dir, "", "--yes"); code != exitOK || !strings.Contains(out, "stays as it is") {
		t.Errorf("%d %s %s", code, topics(), out)
	}

	peer.Say("zigbee2mqtt/bridge/groups", `[{"id": 1, "friendly_name": "all", "members": [`+strings.Join(members, ",")+`]}]`, true)
	begin("")
	if code, out := setUp(t, nil, dir, "\n\n\n4\n0\n"); code != exitOK || topics() != "all; roomd/simulated/accent" || !strings.Contains(out, "already a light of ambient") {
		t.Errorf("%d %s %s", code, topics(), out)
	}
	// A file from before, with a group and its member.
	begin("lights:\n  ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/all}\n  accent: {driver: zigbee2mqtt, topic: zigbee2mqtt/lamp-3}\n")
	code, says, _ := roomd(t, nil, "check", "--data", dir)
	if code != exitError || !strings.Contains(says, "room.yaml:4:12: the roles accent and ambient both move zigbee2mqtt/lamp-3, one of them through a group") {
		t.Errorf("%d %s", code, says)
	}
	if code, says, _ := roomd(t, nil, "check", "--quick", "--data", dir); code != exitOK {
		t.Errorf("%d %s", code, says)
	}
	if code, out := setUp(t, nil, dir, "", "--yes"); code != exitOK || topics() != "all; roomd/simulated/accent" {
		t.Errorf("%d %s %s", code, topics(), out)
	}
	var found []lightJSON
	if code, out, _ := roomd(t, nil, "lights", "--json", "--data", dir); code != exitOK || json.Unmarshal([]byte(out), &found) != nil || len(found) != 7 || found[0].Role != "ambient" || len(found[0].Members) != 6 || !strings.HasPrefix(found[1].Group, "ambient") {
		t.Errorf("%d %s", code, out)
	}
	// Without the broker check says what it could not look at.
	begin("lights:\n  ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/all}\n  accent: {driver: zigbee2mqtt, topic: zigbee2mqtt/lamp-3}\n")
	broker.Kill()
	if code, says, _ := roomd(t, nil, "check", "--data", dir); code != exitOK || !strings.Contains(says, "groups of lights were not compared") {
		t.Errorf("%d %s", code, says)
	}
}
