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

func placeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
