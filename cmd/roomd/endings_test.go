package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"roomd/player/decode/endings"
)

// TestEndingsAreAsDocumented holds that docs/sound.md and docs/playlists.md name each ending that counts as music, and no other.
func TestEndingsAreAsDocumented(t *testing.T) {
	for file, part := range map[string]string{
		"docs/sound.md":     `(?s)With .ffmpeg. installed: every format.*?by beep`,
		"docs/playlists.md": `(?s)Music files end in .*?\n\n`,
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		got := regexp.MustCompile(`\.[a-z0-9]+\b`).FindAllString(regexp.MustCompile(part).FindString(string(text)), -1)
		want := slices.Clone(endings.Music)
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s says %v, the decoder %v", file, got, want)
		}
	}
}
