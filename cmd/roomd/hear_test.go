package main

import (
	le "encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// integrated is a file's integrated loudness, LUFS, as ffmpeg judges it.
func integrated(t *testing.T, path string) float64 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-nostats", "-i", path, "-af", "ebur128", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	m := regexp.MustCompile(`I:\s+(-?[0-9.]+) LUFS`).FindAllSubmatch(out, -1)
	if m == nil {
		t.Fatalf("ffmpeg says no loudness:\n%s", out)
	}
	v, err := strconv.ParseFloat(string(m[len(m)-1][1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestHeardBeforeItIsPlayed holds that check and render know each track from its end to its beginning: what is damaged
// is said, and a track of which nothing was known comes out at its level, the same on each run.
func TestHeardBeforeItIsPlayed(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	dir := t.TempDir()
	lists := filepath.Join(dir, "playlists")
	music(t, lists, map[string]tone{"soft.wav": {500, 40, -12}, "cut.flac": {400, 60, -20}})
	cut := filepath.Join(lists, "cut.flac")
	b, err := os.ReadFile(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if old := time.Now().Add(-time.Hour); os.Chtimes(cut, old, old) != nil { // else it would be one that is still being copied
		t.Fatal("chtimes")
	}
	const text = "name: Soft\nphases:\n  - {name: One, stage: preparation, length: 40s, level: -2, music: soft.wav}\n"
	for name, text := range map[string]string{"soft.yaml": text, "cut.yaml": strings.ReplaceAll(text, "soft.wav", "cut.flac")} {
		if err := os.WriteFile(filepath.Join(lists, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var renders [2][]byte
	for i := range renders {
		out := filepath.Join(dir, "out.wav")
		if code, _, stderr := roomd(t, nil, "render", "soft", "--out", out, "--data", dir); code != exitOK {
			t.Fatalf("render: %d %s", code, stderr)
		}
		if renders[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
		if l := integrated(t, out); math.Abs(l - -25) > 0.5 {
			t.Errorf("render %d is at %.1f LUFS, its phase asks for -25", i+1, l)
		}
	}
	if string(renders[0]) != string(renders[1]) {
		t.Error("two renders differ")
	}
	if _, stdout, _ := roomd(t, nil, "check", "cut", "--quick", "--data", dir); strings.Contains(stdout, "is damaged") {
		t.Errorf("a quick check has heard it through: %s", stdout)
	}
	for range 2 { // heard, and remembered
		code, stdout, stderr := roomd(t, nil, "check", "cut", "--data", dir)
		if code != exitOK || !strings.Contains(stdout, `"cut.flac" is damaged`) {
			t.Errorf("check: %d %s %s", code, stdout, stderr)
		}
	}
}

// TestMusicInsideThePromiseIsUntouched holds that a render of music that keeps the promise is what ffmpeg decodes, but for
// one gain: to -90 dBFS, outside of its fades. It has no infrasound, as music has none and this noise has.
func TestMusicInsideThePromiseIsUntouched(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	dir := t.TempDir()
	lists, out := filepath.Join(dir, "playlists"), filepath.Join(dir, "out.wav")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(lists, "music.flac")
	made := "anoisesrc=c=pink:r=48000:d=60:a=0.3:seed=4,highpass=f=25:p=2,highpass=f=25:p=2,tremolo=f=0.3:d=0.3,aformat=channel_layouts=stereo:sample_fmts=s32"
	if b, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", made, file).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, b)
	}
	if err := os.WriteFile(filepath.Join(lists, "one.yaml"), []byte("name: One\nphases: [{name: One, stage: preparation, length: 60s, level: -3, music: music.flac}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := roomd(t, nil, "render", "one", "--out", out, "--data", dir); code != exitOK {
		t.Fatalf("render: %d %s", code, stderr)
	}
	samples := func(path string) (s []float64) {
		b, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-f", "f64le", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		for ; len(b) >= 8; b = b[8:] {
			s = append(s, math.Float64frombits(le.LittleEndian.Uint64(b)))
		}
		return s
	}
	was, is := samples(file), samples(out)
	if len(was) != len(is) {
		t.Fatalf("%d samples were rendered of %d", len(is), len(was))
	}
	from, to := 2*rate*12, 2*rate*45
	var across, power float64
	for i := from; i < to; i++ {
		across += was[i] * is[i]
		power += was[i] * was[i]
	}
	gain, worst := across/power, 0.0
	for i := from; i < to; i++ {
		worst = max(worst, math.Abs(is[i]-gain*was[i]))
	}
	if want := -26 - integrated(t, file); math.Abs(20*math.Log10(gain)-want) > 0.15 {
		t.Errorf("the gain is %.2f dB, wanted %.2f", 20*math.Log10(gain), want)
	}
	if db := 20 * math.Log10(worst); db > -90 {
		t.Errorf("what is left over is at %.1f dBFS", db)
	}
}

// TestAuditionInTheRoom holds that a moment of a playlist sounds in the room as the session will have it there, entered and
// left softly.
func TestAuditionInTheRoom(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "room: Willow\n", "playlists/x.yaml": "name: X\ncrossfade: 2s\nphases: [{name: A, stage: preparation, length: 2m, music: [a.flac, b.flac]}]\n"})
	music(t, filepath.Join(d.dir, "playlists"), map[string]tone{"a.flac": {300, 60, -20}, "b.flac": {450, 70, -20}})
	d.start()
	d.ready("x")
	d.do(room.Command{Do: room.Audition, Playlist: "x", AtMS: 52_000}) // the crossfade is from 58 to 60 s
	time.Sleep(12 * time.Second)
	d.do(room.Command{Do: room.Silence})
	time.Sleep(3 * time.Second)
	d.Kill()
	s := card.Played()
	a, b := strengths(s, 300), strengths(s, 450)
	fromA, toA := span(a, 30)
	fromB, toB := span(b, 30)
	if turn := fromB - fromA; turn < 4 || turn > 7 || math.Abs(toA-fromB-1.5) > 0.8 || toB-fromA < 11 || toB-fromA > 14 {
		t.Errorf("the first track sounds from %.1f s to %.1f s, the second from %.1f s to %.1f s", fromA, toA, fromB, toB)
	}
	// In the first 300 ms it is at most half as strong as later.
	full := slices.Max(a)
	for i, v := range a {
		if at := float64(i) * step.Seconds(); v > full/2 && at < fromA+0.3 {
			t.Errorf("%.2f s: it enters at %.0f %%", at-fromA, 100*v/full)
			break
		}
	}
}
