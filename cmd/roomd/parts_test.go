package main

import (
	le "encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"roomd/rig"
)

// samples are a sound file's left channel.
func samples(t *testing.T, file string) []float64 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-map_channel", "0.0.0", "-f", "f32le", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := make([]float64, len(out)/4)
	for i := range s {
		s[i] = float64(math.Float32frombits(le.LittleEndian.Uint32(out[4*i:])))
	}
	return s
}

// power is the mean power from one second to another, in dB.
func power(s []float64, rate int, from, to float64) float64 {
	sum, n := 0.0, 0
	for _, v := range s[int(from*float64(rate)):min(len(s), int(to*float64(rate)))] {
		sum += v * v
		n++
	}
	return 10 * math.Log10(sum/float64(n)+1e-12)
}

// TestParts renders parts of files: an album of a CUE sheet sounds as the one file that it is, to the sample, at its own rate and
// resampled; a crossfade of one join is as long as it says; a part that ends in mid-sound is faded where nothing follows.
func TestParts(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := t.TempDir()
	root := filepath.Join(data, "playlists")
	music(t, root, map[string]tone{"low.flac": {200, 60, -20}, "high.flac": {2000, 60, -20}})
	// Sweeping tones: each place of it is unlike every other.
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "aevalsrc='0.1*sin(2*PI*(200+3*t)*t)+0.1*sin(2*PI*(310+2*t)*t)':s=44100:d=110", "-ac", "2", filepath.Join(root, "album.flac")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=400:sample_rate=48000:duration=40", "-ac", "2", filepath.Join(root, "other.flac")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("album.cue", "FILE \"album.wav\" WAVE\n TRACK 01 AUDIO\n INDEX 01 00:00:00\n TRACK 02 AUDIO\n INDEX 00 00:31:00\n INDEX 01 00:33:17\n TRACK 03 AUDIO\n INDEX 01 01:10:74\n")
	const head = "name: X\nphases:\n  - {name: A, stage: preparation, flex: 10s, length: 110s, music: "
	render := func(id, text string) []float64 {
		t.Helper()
		write(id+".yaml", text)
		out := filepath.Join(data, id+".wav")
		if code, said, bad := roomd(t, nil, "check", id, "--data", data); code != exitOK {
			t.Fatal(said, bad)
		}
		if code, _, bad := roomd(t, nil, "render", id, "--out", out, "--data", data); code != exitOK {
			t.Fatal(bad)
		}
		return samples(t, out)
	}
	for name, tail := range map[string]string{"own": "}\n", "resampled": "}\n  - {name: B, stage: integration, length: 30s, flex: 5s, music: other.flac}\n"} {
		whole, parts := render("whole-"+name, head+"album.flac"+tail), render("parts-"+name, head+"album.cue"+tail)
		if len(whole) != len(parts) {
			t.Fatalf("%s: %d samples in parts, %d as a whole", name, len(parts), len(whole))
		}
		worst, at := 0.0, 0
		for i := range whole {
			if d := math.Abs(whole[i] - parts[i]); d > worst {
				worst, at = d, i
			}
		}
		if db := 20 * math.Log10(worst+1e-12); db > -70 {
			t.Errorf("%s: the parts are off by %.1f dB at sample %d of %d", name, db, at, len(whole))
		}
	}

	// 30 s of crossfade into the second of three, no crossfade into the third.
	s := render("join", "name: X\ncrossfade: 2s\nphases:\n  - {name: A, stage: preparation, flex: 10s, length: 150s, music: [low.flac, {file: high.flac, crossfade: 30s}, {file: low.flac, crossfade: 0s}]}\n")
	rate := 44100 // as the files
	if got, want := float64(len(s))/float64(rate), 150.0; math.Abs(got-want) > 1 {
		t.Errorf("the three tracks last %.2f s, not %.0f", got, want)
	}
	if a, b := power(s, rate, 20, 25), power(s, rate, 42, 47); math.Abs(a-b) > 2 {
		t.Errorf("the crossfade is uneven: %.1f and %.1f dB", a, b)
	}
	// A part that ends in mid-sound, and nothing behind it.
	s = render("end", "name: X\ncrossfade: 4s\nphases:\n  - {name: A, stage: preparation, flex: 5s, length: 35s, music: {file: low.flac, from: 0:10, to: 0:45}}\n  - {name: B, stage: integration, length: 30s, music: silence}\n")
	if mid, late, gone := power(s, rate, 25, 30), power(s, rate, 34, 34.8), power(s, rate, 36, 40); mid-late < 6 || gone > -80 {
		t.Errorf("a part that ends in mid-sound: %.1f dB, %.1f dB at its end, %.1f dB after it", mid, late, gone)
	}
}
