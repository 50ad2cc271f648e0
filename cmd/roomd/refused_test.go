package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// TestWhatTheProbeRefusesIsNotScanned holds that a text with a name of music costs one look: it is not heard through.
func TestWhatTheProbeRefusesIsNotScanned(t *testing.T) {
	t.Parallel()
	lists := t.TempDir()
	music(t, lists, map[string]tone{"good.wav": {500, 2, -12}})
	bomb := "ffconcat version 1.0\n" + strings.Repeat("file good.wav\noutpoint 800000\n", 50)
	list := "name: Two\nphases:\n  - {name: One, stage: preparation, length: 40s, music: [good.wav, bomb.m4a]}\n"
	old := time.Now().Add(-time.Hour) // else they would be still being copied
	for name, text := range map[string]string{"bomb.m4a": bomb, "two.yaml": list} {
		path := filepath.Join(lists, name)
		must(t, os.WriteFile(path, []byte(text), 0o644))
		must(t, os.Chtimes(path, old, old))
	}
	must(t, os.Chtimes(filepath.Join(lists, "good.wav"), old, old))
	l := openLibrary(lists, room.Config{}, t.TempDir(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	defer l.Close()
	began := time.Now()
	e, ok := l.Library.Resolve(t.Context(), "two")
	if !ok || !strings.Contains(strings.Join(e.Problems.Strings(), "\n"), "\"bomb.m4a\" can't be played") {
		t.Fatalf("%+v, %v; want a problem with bomb.m4a", e.Problems, ok)
	}
	rig.Bar(t, "a file that is a bomb", "it is looked at in", time.Since(began).Seconds(), 10, "s")
	if p := l.scan.Progress(); p.Total != 1 {
		t.Errorf("%d files are to be heard through, want good.wav alone", p.Total)
	}
}
