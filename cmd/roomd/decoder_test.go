package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/player/decode"
	"roomd/rig"
	"roomd/room"
)

// decoders are the daemon's children that decode file.
func (d *daemon) decoders(file string) (pids []int) {
	d.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name is in brackets and may hold anything; the parent is the second field after it.
		rest := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(rest) < 2 || rest[1] != strconv.Itoa(d.Process.Process.Pid) {
			continue
		}
		said, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && strings.Contains(string(said), file) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// longestSilence is the longest time in which a recording is under -60 dBFS, tenth by tenth.
func longestSilence(frames [][2]float64, rate int) time.Duration {
	worst, run := 0, 0
	for at := 0; at+rate/10 <= len(frames); at += rate / 10 {
		sum := 0.0
		for _, f := range frames[at : at+rate/10] {
			sum += f[0]*f[0] + f[1]*f[1]
		}
		if math.Sqrt(sum/float64(rate/5)) < 0.001 {
			run++
			worst = max(worst, run)
		} else {
			run = 0
		}
	}
	return time.Duration(worst) * 100 * time.Millisecond
}

// TestTrackIsLostInMidPlay takes the sounding track away from its decoder, or the decoder from its track, each in a room of
// its own: what follows or the bed covers it, and at no moment is there silence for two seconds.
func TestTrackIsLostInMidPlay(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	send := func(sig syscall.Signal) func(*daemon, string) {
		return func(d *daemon, file string) {
			pids := d.decoders(file)
			if len(pids) == 0 {
				d.t.Fatalf("nobody decodes %s", file)
			}
			for _, pid := range pids {
				must(d.t, syscall.Kill(pid, sig))
			}
		}
	}
	type oneRoom struct {
		*daemon
		name  string
		card  *rig.Card
		file  string
		spoil func(*daemon, string)
		from  int // frames that were played before
	}
	rooms := []*oneRoom{
		{name: "its decoder is killed", spoil: send(syscall.SIGKILL)},
		{name: "its decoder is stopped for 10 s", spoil: send(syscall.SIGSTOP)},
		{name: "its file is deleted", spoil: func(d *daemon, file string) { must(d.t, os.Remove(file)) }},
		{name: "its file is truncated", spoil: func(d *daemon, file string) { must(d.t, os.Truncate(file, 1000)) }},
		{name: "its file becomes noise", spoil: func(d *daemon, file string) {
			st, err := os.Stat(file)
			must(d.t, err)
			noise := make([]byte, st.Size())
			_, _ = rand.Read(noise)
			must(d.t, os.WriteFile(file, noise, 0o644))
		}},
	}
	for _, r := range rooms {
		r.card = rig.SoundCard(t, 1)
		r.daemon = newDaemon(t, r.card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/two.yaml": `name: Two
bed: ocean
phases: [{name: One, stage: preparation, length: 2m50s, music: [one.aiff, two.aiff]}]
`})
		// A kind that only a child decodes.
		music(t, r.dir+"/playlists", map[string]tone{"one.aiff": {300, 90, -20}, "two.aiff": {500, 90, -20}})
		r.file = filepath.Join(r.dir, "playlists", "one.aiff")
		r.start()
		defer r.tellOnFailure()
		r.ready("two")
	}
	for _, r := range rooms {
		r.do(room.Command{Do: room.Start, Playlist: "two"})
	}
	for _, r := range rooms {
		rig.Eventually(t, "it plays", func() bool {
			s := r.card.Played()
			time.Sleep(100 * time.Millisecond)
			return s.Rate > 0 && len(s.Frames) > s.Rate && longestSilence(s.Frames[len(s.Frames)-s.Rate/2:], s.Rate) == 0
		})
	}
	time.Sleep(2 * time.Second)
	for _, r := range rooms {
		r.from = len(r.card.Played().Frames)
		r.spoil(r.daemon, r.file)
	}
	time.Sleep(10 * time.Second)
	send(syscall.SIGCONT)(rooms[1].daemon, rooms[1].file)
	// What was decoded ahead is played first: 14 s, and 3 s in a child's pipe.
	time.Sleep(14 * time.Second)
	for _, r := range rooms {
		s := r.card.Played()
		if got := float64(len(s.Frames)-r.from) / float64(s.Rate); got < 23 {
			t.Errorf("%s: only %.1f s were played", r.name, got)
		}
		silent := longestSilence(s.Frames[r.from:], s.Rate)
		if silent >= 2*time.Second {
			t.Errorf("%s: %v of silence\n%s", r.name, silent, r.log())
		}
		snap := r.snapshot()
		if snap.Session == nil || snap.Session.State != room.Running {
			t.Fatalf("%s: the session is %+v", r.name, snap.Session)
		}
		t.Logf("%s: %v of silence at most; %d decoders of it left; %q sounds", r.name, silent, len(r.decoders(r.file)), snap.Session.Music.Title)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("the test itself: %w", err))
	}
}

// TestDecodedAhead plays a track: 10 s of it are always there before they are heard, and never more than are
// meant to be.
func TestDecodedAhead(t *testing.T) {
	dir := t.TempDir()
	music(t, dir, map[string]tone{"a.flac": {300, 60, -20}, "a.aiff": {300, 60, -20}})
	for _, name := range []string{"a.flac", "a.aiff"} {
		s, err := decode.Open(t.Context(), filepath.Join(dir, name), decode.Options{Rate: rate, Ahead: ahead})
		must(t, err)
		defer s.Close()
		rig.Eventually(t, "it is decoded ahead", func() bool { return s.Buffered() > ahead-time.Second })
		block := make([][2]float64, rate/50)
		for at := time.Duration(0); at < 40*time.Second; at += 20 * time.Millisecond {
			if n, ok := s.TryStream(block); n != len(block) || !ok {
				t.Fatalf("%s: at %v there are %d frames", name, at, n)
			}
			if b := s.Buffered(); b < 10*time.Second {
				// Blocks come faster here than they sound.
				rig.Eventually(t, "the decoder goes on", func() bool { return s.Buffered() > 10*time.Second })
			} else if b > ahead {
				t.Fatalf("%s: %v are decoded", name, b)
			}
		}
	}
}

// TestHeadersAreReadOnce has what is kept of a file's headers be wrong: who plays it to its end goes by that, and reads none again.
func TestHeadersAreReadOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	music(t, dir, map[string]tone{"a.flac": {300, 3, -20}})
	l := openLibrary(dir, room.Config{}, t.TempDir(), slog.New(slog.DiscardHandler))
	defer l.Close()
	file := filepath.Join(dir, "a.flac")
	p, err := l.probe(t.Context(), file)
	must(t, err)
	p.Duration += time.Minute
	text, err := json.Marshal(p)
	must(t, err)
	st, err := os.Stat(file)
	must(t, err)
	must(t, l.cache.Note(file, st, probeVersion+string(text)))
	end := func() error {
		s, err := l.opener(decode.Options{})(t.Context(), file, 0, rate)
		must(t, err)
		defer s.Close()
		for block := make([][2]float64, rate); ; {
			if n, ok := s.Stream(block); !ok || n == 0 {
				return s.Err()
			}
		}
	}
	if err := end(); !errors.Is(err, decode.ErrDamaged) {
		t.Errorf("it ended with %v", err)
	}
	must(t, os.Chtimes(file, time.Now(), time.Now().Add(time.Second))) // it has changed
	if err := end(); err != nil {
		t.Errorf("it ended with %v after a change", err)
	}
}
