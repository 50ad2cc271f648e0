package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
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
