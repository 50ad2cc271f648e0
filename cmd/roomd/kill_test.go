package main

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

var kills = flag.Int("kills", 15, "how often TestKill kills the daemon")

// long is a session that a test does not outlive.
const long = `name: Long
bed: ocean
phases:
  - {name: One, stage: preparation, length: 30m, lights: {scene: dusk, fade: 2m}, marks: [Lozenge, Vitals]}
  - {name: Two, stage: administration, length: 60m, level: -3, lights: {scene: dusk, fade: 2m}}
  - {name: Three, stage: integration, length: 90m, lights: {scene: dusk, fade: 2m}}
`

// TestKill kills the daemon at random moments while commands arrive. What was acknowledged has to be there
// afterwards, once, and the arc has to be where it would have been.
func TestKill(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n", "playlists/long.yaml": long})
	d.start()
	d.do(room.Command{Do: room.Start, Playlist: "long"})
	r, delays := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4)) // each owned by one goroutine at a time
	started := d.snapshot().Session.StartedMS
	acked := map[string]bool{} // marks by command ID
	var extended time.Duration // of phase One, as acknowledged
	var level float64          // as acknowledged
	done := func(c room.Command) {
		switch c.Do {
		case room.MarkNow:
			acked[c.ID] = true
		case room.SetLevel:
			level += *c.DB
		case room.Extend:
			by, _ := time.ParseDuration(c.By)
			extended += by
		}
	}
	maybe := map[string]room.Command{}
	// The room's clock against ours. It was read at some moment between the question and the answer, so it is off by
	// what no such moment explains.
	began := time.Now()
	read := func() (s room.Snapshot, early, late time.Duration) {
		asked := time.Since(began)
		s = d.snapshot()
		at := time.Duration(s.NowMS) * time.Millisecond
		return s, asked - at, time.Since(began) - at
	}
	_, early0, late0 := read()
	worst := time.Duration(0)
	for n := range *kills {
		var wg sync.WaitGroup
		stop := make(chan struct{})
		wg.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				c := room.Command{ID: room.NewID(), Do: room.SetLevel}
				switch k % 5 {
				case 0:
					c.Do, c.Name = room.MarkNow, "Vitals"
				case 4:
					c.Do, c.By = room.Extend, "30s"
					if extended > 20*time.Minute {
						c.By = "-30s"
					}
				default:
					by := float64(1+r.IntN(8)) / 2
					if level+by > 0 {
						by -= 8
					}
					c.DB = &by
				}
				status, body, err := d.post(c)
				switch {
				case err != nil:
					maybe[c.ID] = c // it may have been done, or not; not twice
					return
				case status != http.StatusOK:
					t.Errorf("%s: %d %s", c.Do, status, body)
					return
				}
				done(c)
			}
		})
		time.Sleep(time.Duration(delays.IntN(120)) * time.Millisecond)
		d.Kill()
		close(stop)
		wg.Wait()
		d.start()
		if s := d.snapshot(); s.Session == nil || s.Session.State != room.Running {
			t.Fatalf("kill %d: the session is gone: %+v\n%s", n, s.Session, d.log())
		}
		// A command whose answer was lost is sent again, as the tablet does: it is done once.
		for id, c := range maybe {
			if status, body, err := d.post(c); err != nil || status != http.StatusOK {
				t.Fatalf("repeated %s: %d %s %v", c.Do, status, body, err)
			}
			done(c)
			delete(maybe, id)
		}
		s, early, late := read()
		worst = max(worst, early-late0, early0-late)
		if s.Session.StartedMS != started {
			t.Fatalf("kill %d: the session started at %d ms, before at %d ms", n, s.Session.StartedMS, started)
		}
		if end := (30*time.Minute + extended).Milliseconds(); s.Session.Phases[0].EndMS != end || s.Session.EndsAtMS != 3*3600_000 {
			t.Fatalf("kill %d: the first phase ends at %d ms and the session at %d ms, wanted %d and 10800000", n, s.Session.Phases[0].EndMS, s.Session.EndsAtMS, end)
		}
		if s.Session.LevelDB != level {
			t.Fatalf("kill %d: the level is %v dB, wanted %v", n, s.Session.LevelDB, level)
		}
		seen := map[string]int{}
		for _, m := range s.Session.Marks {
			seen[m.ID]++
		}
		for id := range acked {
			if seen[id] != 1 {
				t.Fatalf("kill %d: the acknowledged mark %s is there %d times", n, id, seen[id])
			}
		}
		if len(seen) != len(acked) {
			t.Fatalf("kill %d: %d marks, %d were asked for", n, len(seen), len(acked))
		}
	}
	if worst > 100*time.Millisecond {
		t.Errorf("the session's clock was %v off", worst)
	}
	t.Logf("%d kills, %d marks, the clock off by %v at the most", *kills, len(acked), worst)
}

// TestTakenUpFromSilence kills the daemon while music plays: it comes back within two seconds of the process's start,
// from silence, and never louder than it was.
func TestTakenUpFromSilence(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/tone.yaml": `name: Tone
phases: [{name: One, stage: preparation, length: 1m, music: one.flac}]
`})
	// If the decoder starts late, the drone covers for it. It hums at 300 Hz, and has nothing at 2 kHz.
	const hz = 2000
	music(t, d.dir+"/playlists", map[string]tone{"one.flac": {hz, 60, -20}})
	d.start()
	defer d.tellOnFailure()
	d.ready("tone")
	d.do(room.Command{Do: room.Start, Playlist: "tone"})
	down := -6.0
	d.do(room.Command{Do: room.SetLevel, DB: &down})
	// levels has the strength of the tone for each 50 ms, beginning at a frame.
	levels := func(from int) []float64 {
		s := card.Played()
		s.Frames = s.Frames[min(from, len(s.Frames)):]
		return strengths(s, hz)
	}
	// If the computer stands still, the sound runs dry and fades in again. So the loudest moment before the kill counts, not the last.
	var was float64
	rig.Eventually(t, "the music has faded in", func() bool {
		time.Sleep(250 * time.Millisecond)
		all := levels(0)
		was = slices.Max(append(all, 0))
		n := len(all)
		return n > 20 && was > 0.01 && all[n-1] > was*0.99 && all[n-21] > was*0.99
	})
	d.Kill()
	before := len(card.Played().Frames)
	d.start()
	rig.Eventually(t, "the music is back at its level", func() bool {
		time.Sleep(250 * time.Millisecond)
		after := levels(before)
		return len(after) > 0 && slices.Max(after) > was*0.99
	})
	time.Sleep(time.Second)
	after := levels(before)
	if after[0] > was/10 {
		t.Errorf("it came back with %.4f, it had %.4f", after[0], was)
	}
	for i, l := range after {
		if l > was*1.05 {
			t.Fatalf("%v after the restart the sound is %.4f, louder than before (%.4f)", time.Duration(i)*step, l, was)
		}
	}
	if l := after[len(after)-1]; l < was*0.7 && d.snapshot().Sound.Underruns == 0 {
		t.Errorf("at the end the sound is %.4f, before the kill it was %.4f", l, was)
	}
	// The card's log has a line with the wall time of each opening.
	began, opened := float64(d.began.UnixMilli())/1000, 0.0
	for _, l := range lines(card.Log()) {
		var sec float64
		if strings.Contains(l, "start rate") && json.Unmarshal([]byte(strings.Fields(l)[0]), &sec) == nil && sec > began {
			opened = sec
			break // the card is opened again if the sound runs dry
		}
	}
	if after := opened - began; after < 0 || after > 2 {
		t.Errorf("the card was started %.2f s after the process", after)
	} else {
		t.Logf("the card was started %.2f s after the process", after)
	}
}
