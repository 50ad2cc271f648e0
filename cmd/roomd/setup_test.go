package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room"
)

// setUp runs roomd setup with answers typed on its console.
func setUp(t *testing.T, env []string, dir, typed string, more ...string) (code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), theBinary(), append([]string{"setup", "--data", dir}, more...)...)
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
