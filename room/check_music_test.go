package room

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/playlists"
)

// TestCheckFit holds that check says of a phase with little music what the fit does with it.
func TestCheckFit(t *testing.T) {
	for length, want := range map[time.Duration]string{
		20 * time.Second: `phase "A" has 20s of music for 3m, so the bed covers 2m48s`,
		50 * time.Second: `phase "A" has 50s of music for 3m, so it plays`,
		2 * time.Minute:  "",
	} {
		root := t.TempDir()
		placeFile(t, root, "a.flac", "")
		written, problems := playlists.Parse("x", "x.yaml", []byte("name: X\nphases:\n  - {name: A, stage: preparation, length: 3m, music: a.flac}\n"))
		if len(problems) > 0 {
			t.Fatal(problems.Strings())
		}
		pl, problems := playlists.Resolve(context.Background(), root, "x.yaml", written, func(context.Context, string) (playlists.Track, error) {
			return playlists.Track{Length: length}, nil
		}, nil)
		if len(problems) > 0 {
			t.Fatal(problems.Strings())
		}
		got := strings.Join(DefaultConfig().CheckMusic(pl).Strings(), " ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%v: %s\nwant %s", length, got, want)
		}
	}
}

// TestCheckPool holds that check says which intensity a pool lacks, and which word.
func TestCheckPool(t *testing.T) {
	for _, c := range []struct {
		lines, want string
		unrated     int
	}{
		{"pool: [{file: a.flac, intensity: 4}, {file: b.flac, intensity: 2}], intensity: 4", `phase "A" has 8 min at intensity 4, and 50 min are planned (add music to the pool, or give some of it its intensity: {file: a.flac, intensity: 4})`, 0},
		{"pool: [{file: a.flac, intensity: 4}, {bed: rain, intensity: 4}], intensity: 4", "", 0},
		{"pool: [{file: a.flac, intensity: 4}, {bed: rain, intensity: 2}], intensity: 2..4", `at intensity 3, and 25 min are planned`, 0},
		{"pool: [{file: a.flac, intensity: 4}, b.flac], intensity: 5", `phase "A" has 16 min in its pool, and 50 min are planned (add music to the pool, or {bed: ocean})`, 1},
		{"pool: [a.flac, {bed: drone}], menu: {Open: b.flac, Still: silence, Sea: {bed: ocean}}", `"Open" in the menu of phase "A" has 8 min of music (give it 10 min or more)`, 2},
		{"pool: [a.flac, b.flac, {bed: drone}], menu: {Open: [a.flac, b.flac]}", "", 2},
		{"pool: [{file: a.flac, intensity: 1}, {bed: drone, intensity: 5}], intensity: 4.6..5", "", 0},
		{"music: [a.flac, {bed: drone}]", "", 0},
	} {
		root := t.TempDir()
		placeFile(t, root, "a.flac", "")
		placeFile(t, root, "b.flac", "")
		written, problems := playlists.Parse("x", "x.yaml", []byte("name: X\nphases:\n  - {name: A, stage: preparation, length: 50m, "+c.lines+"}\n"))
		if len(problems) > 0 {
			t.Fatal(problems.Strings())
		}
		pl, problems := playlists.Resolve(context.Background(), root, "x.yaml", written, func(context.Context, string) (playlists.Track, error) {
			return playlists.Track{Length: 8 * time.Minute}, nil
		}, nil)
		if len(problems) > 0 {
			t.Fatal(problems.Strings())
		}
		got := strings.Join(DefaultConfig().CheckMusic(pl).Strings(), " ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s\nwant %s", c.lines, got, c.want)
		}
		if n := Unrated(*pl); n != c.unrated {
			t.Errorf("%s: %d tracks without an intensity", c.lines, n)
		}
	}
}

func placeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
