package main

import (
	"context"
	le "encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/rig"
	"roomd/room"
)

// TestIntensityOfATrack has a track rated by its tag, and else by its sound; what an earlier version kept of it is used until it has been heard again.
func TestIntensityOfATrack(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := t.TempDir()
	dir, cache := filepath.Join(data, "playlists"), filepath.Join(data, "analysis")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"drone.flac": {"sine=f=110:r=48000:d=6"},
		"drums.flac": {"anoisesrc=c=white:r=48000:d=6:a=0.5:seed=1,volume='exp(-25*mod(t,0.2))':eval=frame,asetnsamples=480"},
		"rated.flac": {"sine=f=110:r=48000:d=6", "-metadata", "INTENSITY=4.5"},
	} {
		if out, err := exec.Command("ffmpeg", append(append([]string{"-v", "error", "-f", "lavfi", "-i"}, args...), filepath.Join(dir, name))...).CombinedOutput(); err != nil {
			t.Fatalf("ffmpeg: %v %s", err, out)
		}
	}
	text := "name: P\nphases: [{name: A, stage: preparation, length: 1m, music: [drone.flac, drums.flac, rated.flac]}]\n"
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	open := func() *library { return openLibrary(dir, room.Config{}, cache, slog.New(slog.DiscardHandler)) }
	tracks := func(l *library) map[string]playlists.Track {
		e, ok := l.Library.Resolve(t.Context(), "p")
		if !ok {
			t.Fatal("no playlist")
		}
		found := map[string]playlists.Track{}
		for _, it := range e.Playlist.Phases[0].Music {
			found[strings.TrimSuffix(filepath.Base(it.Track.File), ".flac")] = *it.Track
		}
		return found
	}
	lib := open()
	if x := tracks(lib); x["drone"].Intensity != 0 || x["drone"].Rated || x["rated"].Intensity != 4.5 || !x["rated"].Rated {
		t.Errorf("before they were heard: %+v", x)
	}
	if err := lib.hear(t.Context(), []string{"p"}, func(loudness.Progress) {}); err != nil {
		t.Fatal(err)
	}
	lib.Close()
	lib = open()
	heard := tracks(lib)
	lib.Close()
	if drone, drums := heard["drone"].Intensity, heard["drums"].Intensity; drone < 1 || drone > 1.5 || drums < 3 || drums > 5 || heard["drums"].Rated {
		t.Errorf("a drone has %v, drums have %v", drone, drums)
	}
	if heard["rated"].Intensity != 4.5 || !heard["rated"].Rated {
		t.Errorf("the curator's is overruled: %+v", heard["rated"])
	}
	_, out, _ := roomd(t, []string{"ROOMD_DATA=" + data}, "check", "p", "--verbose")
	for _, line := range []string{fmt.Sprintf("intensity %.1f, as heard ", heard["drums"].Intensity), "intensity 4.5, yours ", "rated.flac\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("check --verbose does not say %q:\n%s", line, out)
		}
	}
	if _, out, _ := roomd(t, []string{"ROOMD_DATA=" + data}, "check", "p"); strings.Contains(out, "intensity") {
		t.Errorf("check says without --verbose:\n%s", out)
	}

	// As the version before kept it: no features in an analysis, no intensity in what was read of a header.
	entries, err := filepath.Glob(filepath.Join(cache, "??", "*"))
	if err != nil || len(entries) != 3 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(e)
		if err != nil {
			t.Fatal(err)
		}
		const numbers, features = 92, 56
		b = append(b[:numbers:numbers], b[numbers+features:len(b)-4]...)
		b[3] = '2'
		if err := os.WriteFile(e, le.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(cache, "index")
	b, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.NewReplacer(`"3 {`, `"2 {`, `,\"intensity\":4.5`, "").Replace(string(b))
	if strings.Count(old, `"2 {`) != 3 || strings.Contains(old, "intensity") {
		t.Fatalf("not as it was: %s", old)
	}
	if err := os.WriteFile(index, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	lib = open()
	if err := lib.hear(t.Context(), []string{"p"}, func(p loudness.Progress) {
		if p.Total > 0 {
			t.Errorf("roomd check hears it again: %+v", p)
		}
	}); err != nil {
		t.Fatal(err)
	}
	lib.Close()
	lib = open()
	defer lib.Close()
	lib.busy = func() bool { return false } // as in a running room
	if x := tracks(lib)["drums"]; x.Intensity != 0 || !x.Measured || x.Loudness != heard["drums"].Loudness {
		t.Errorf("of an earlier version: %+v", x)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = lib.Run(ctx) })
	defer wg.Wait()
	defer stop()
	rig.Within(t, 3*time.Minute, "it is heard again", func() bool {
		x := tracks(lib)
		return x["drums"].Intensity == heard["drums"].Intensity && x["drone"].Intensity == heard["drone"].Intensity && x["rated"].Intensity == 4.5 && x["rated"].Rated
	})
}
