package main

import (
	"bytes"
	"context"
	le "encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/player"
	"roomd/rig"
	"roomd/room"
)

// TestJoins holds that render --joins writes each crossfade as the whole render has it, away from the edges, which are
// faded, with silence in between: to one step of 24 bit, as a file of another rate is resampled from elsewhere.
func TestJoins(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := tones(t)
	whole, joins := filepath.Join(data, "whole.wav"), filepath.Join(data, "joins.wav")
	if code, _, errs := roomd(t, nil, "render", "p", "--out", whole, "--data", data); code != exitOK {
		t.Fatalf("render: %d %s", code, errs)
	}
	code, says, errs := roomd(t, nil, "render", "p", "--joins", "--out", joins, "--data", data)
	if code != exitOK {
		t.Fatalf("render --joins: %d %s", code, errs)
	}
	cfg, _, _ := room.LoadConfig(filepath.Join(data, "room.yaml"))
	lib := openLibrary(filepath.Join(data, "playlists"), cfg, filepath.Join(data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	pl, err := lib.Resolve(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	s := room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: 1})
	list := room.Joins(s.ScoreWith(lib.Heard))
	// a and b, b and c over the end of a phase, c and the bed that covers; ocean and e. Silence is no join.
	if len(list) != 4 || strings.Count(says, "\n") != 4 {
		t.Fatalf("there are %d joins: %v\n%s", len(list), list, says)
	}
	pcm := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(b, []byte("data"))
		if int(le.LittleEndian.Uint32(b[i+4:])) != len(b)-i-8 {
			t.Fatalf("%s is not whole", path)
		}
		return b[i+8:]
	}
	const ms = 48 * 6 // bytes
	w, j := pcm(whole), pcm(joins)
	at := 0
	for i, x := range list {
		if x.To-x.From != 6*time.Second {
			t.Errorf("join %d takes %v", i, x.To-x.From)
		}
		if i > 0 {
			if gap := j[at*ms : (at+500)*ms]; !bytes.Equal(gap, make([]byte, len(gap))) {
				t.Errorf("no silence before join %d", i)
			}
			at += 500
		}
		from, long := int((x.From - 4*time.Second).Milliseconds()), 14_000
		if off := apart(j[(at+200)*ms:(at+long-200)*ms], w[(from+200)*ms:(from+long-200)*ms]); off > 1 {
			t.Errorf("join %d, at %v, is not what the whole render has there: off by %d of 24 bit", i, x.From, off)
		}
		if edge := j[at*ms : at*ms+6]; !bytes.Equal(edge, make([]byte, 6)) {
			t.Errorf("join %d begins at once", i)
		}
		at += long
	}
	if at*ms != len(j) {
		t.Errorf("the file is of %d ms, its joins of %d", len(j)/ms, at)
	}
	if code, _, errs := roomd(t, nil, "render", "p", "--joins", "--to", "10s", "--out", joins, "--data", data); code != exitUsage || !strings.Contains(errs, "leave out --from") {
		t.Errorf("--joins --to ends with %d: %s", code, errs)
	}
}

// apart is the farthest that two pieces of 24-bit PCM are apart, in steps.
func apart(a, b []byte) (most int32) {
	for i := 0; i+3 <= len(a); i += 3 {
		at := func(b []byte) int32 { return int32(uint32(b[i])<<8|uint32(b[i+1])<<16|uint32(b[i+2])<<24) >> 8 }
		most = max(most, at(a)-at(b), at(b)-at(a))
	}
	return most
}

// TestPartsOfARender holds that a part of a playlist of beds is what the whole has there.
func TestPartsOfARender(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	cfg, _, _ := room.LoadConfig(filepath.Join(t.TempDir(), "room.yaml"))
	lib := openLibrary(t.TempDir(), cfg, filepath.Join(t.TempDir(), "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	pl, err := lib.Resolve(t.Context(), "starter/tour")
	if err != nil {
		t.Fatal(err)
	}
	s := room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: 1})
	sc := s.ScoreWith(lib.Heard)
	o := player.Options{Rate: rate, Open: lib.opener(gently), Ceiling: cfg.Audio.Ceiling, Loudest: cfg.Audio.Reference + cfg.Audio.Ceiling}
	take := func(render func(func([][2]float64) error) error) (out [][2]float64) {
		if err := render(func(b [][2]float64) error { out = append(out, b...); return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	whole := take(func(sink func([][2]float64) error) error {
		return player.Render(context.Background(), sc, o, 0, 3*time.Minute, sink, nil)
	})
	for _, from := range []time.Duration{0, 3 * time.Second, 86_123 * time.Millisecond, 2*time.Minute + 20*time.Second} {
		part := take(func(sink func([][2]float64) error) error {
			return renderPart(context.Background(), sc, o, from, from+5*time.Second, sink, nil)
		})
		if len(part) != 5*rate {
			t.Fatalf("%d frames from %v", len(part), from)
		}
		first := int(frameAt(from, rate))
		worst := 0.0
		for i := rate / 5; i < len(part)-rate/5; i++ {
			for ch := range 2 {
				worst = max(worst, part[i][ch]-whole[first+i][ch], whole[first+i][ch]-part[i][ch])
			}
		}
		if worst > 1e-9 { // 1/100 of a step of 24 bit
			t.Errorf("from %v it is off by %g", from, worst)
		}
	}
}
