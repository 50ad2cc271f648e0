package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"roomd/playlists"
	"roomd/rig"
)

// TestCheckMusic holds what check says of music that is there and is not what its writer expects: nearly silent, not reached;
// and that no problem is left out where a program reads them.
func TestCheckMusic(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := t.TempDir()
	root := filepath.Join(data, "playlists")
	tones := map[string]tone{}
	var many []string
	for i := range 20 {
		name := fmt.Sprintf("%02d.flac", i+1)
		tones[name] = tone{200 + 20*float64(i), 40, -20}
		many = append(many, name)
	}
	music(t, root, tones)
	for name, volume := range map[string]string{"hiss.flac": "-38dB", "nothing.flac": "-48dB"} {
		out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=d=65:a=0.05:r=44100:seed=1,volume="+volume, "-ac", "2", filepath.Join(root, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	gone := strings.Repeat("gone.flac\n", 100)
	for name, text := range map[string]string{
		"gone.m3u8": gone, "evening.yaml": `name: Evening
crossfade: 0s
phases:
  - {name: Arrival, stage: preparation, length: 320s, music: [` + strings.Join(many, ", ") + `]}
  - {name: Shuffled, stage: administration, length: 320s, order: shuffle, music: [` + strings.Join(many, ", ") + `]}
  - {name: Hiss, stage: administration, length: 130s, music: [hiss.flac, nothing.flac]}
`, "lost.yaml": "name: Lost\nphases:\n  - {name: A, stage: preparation, length: 1m, music: [01.flac, gone.m3u8]}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, out, bad := roomd(t, nil, "check", "evening", "--data", data)
	if code != exitOK {
		t.Fatal(out, bad)
	}
	for _, want := range []string{
		`evening.yaml:4:63: warning: phase "Arrival": 12 of 20 tracks are not reached at this length of 5m20s (write a longer length, fewer tracks, or order: shuffle)`,
		`evening.yaml:6:63: warning: "hiss.flac" is nearly silent: it would be raised by 24 dB, with all its noise`,
		`evening.yaml:6:74: warning: "nothing.flac" is nearly silent: nothing of it can be heard`,
	} {
		if strings.Count(out, want) != 1 {
			t.Errorf("not said once: %s\n%s", want, out)
		}
	}
	if strings.Contains(out, `"Shuffled"`) {
		t.Errorf("what a shuffled phase leaves for another time is told:\n%s", out)
	}
	code, out, _ = roomd(t, nil, "check", "lost", "--data", data)
	if code != exitOK || strings.Count(out, `"gone.flac" is not there`) != 12 || !strings.Contains(out, "gone.m3u8: warning: 88 more warnings (roomd check --all lists them)") {
		t.Errorf("%s", out)
	}
	_, out, _ = roomd(t, nil, "check", "lost", "--json", "--data", data)
	var all playlists.Problems
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) < 100 {
		t.Errorf("%d problems, %v", len(all), err)
	}
}
