package main

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

var soak = flag.Duration("soak", 0, "how long TestSoak plays")

// soakList is a session of ten minutes.
const soakList = `name: Soak
crossfade: 4s
bed: ocean
phases:
  - {name: One, stage: preparation, length: 3m, music: [a.mp3, b.flac], lights: {scene: dusk, fade: 2m}, marks: [Note]}
  - {name: Two, stage: administration, length: 4m, order: fit, flex: 20s, music: [c.ogg, a.mp3, {bed: rain}], level: -3, lights: {scene: floor, fade: 2m}, marks: [Note]}
  - {name: Three, stage: integration, length: 3m, music: [b.flac, c.ogg], lights: {scene: dusk, fade: 2m}, marks: [Note]}
`

// TestSoak plays sessions of ten minutes on a sound card, one after the other, with a command every other second and tablets
// that come and go. Nothing grows, the sound never runs dry, the clock is right and each session ends when it should.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("make soak HOURS=1 runs it")
	}
	card := rig.SoundCard(t, 1)
	broker := rig.Mosquitto(t)
	bulbs := rig.Zigbee(t, broker.URL, "SIM_REPORT=1")
	defer bulbs.Kill()
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": zigbeeRoom(broker.URL), "playlists/soak.yaml": soakList})
	music(t, filepath.Join(d.dir, "playlists"), map[string]tone{"a.mp3": {300, 100, -15}, "b.flac": {450, 130, -25}, "c.ogg": {675, 90, -9}})
	d.start()
	d.ready("soak")
	r := rand.New(rand.NewPCG(21, 22))
	began := time.Now()
	read := func() (s room.Snapshot, early, late time.Duration) {
		asked := time.Since(began)
		s = d.snapshot()
		at := time.Duration(s.NowMS) * time.Millisecond
		return s, asked - at, time.Since(began) - at
	}
	_, early0, late0 := read()
	var off, endOff, slowest time.Duration
	var heap, goroutines, files []float64
	sessions := 0
	sampled := time.Now()
	for time.Since(began) < *soak {
		d.do(room.Command{Do: room.Start, Playlist: "soak"})
		started := d.snapshot().Session.StartedMS
		for {
			s, early, late := read()
			off = max(off, early-late0, early0-late)
			if s.Session.State == room.Ended {
				endOff = max(endOff, (time.Duration(s.Session.ElapsedMS)*time.Millisecond - 10*time.Minute).Abs())
				break
			}
			if s.Session.StartedMS != started {
				t.Fatal("the session began anew")
			}
			if time.Since(sampled) > 5*time.Second {
				sampled = time.Now()
				m := d.metrics()
				heap = append(heap, m["go_memstats_heap_alloc_bytes"]/(1<<20))
			}
			c := room.Command{ID: room.NewID()}
			db := float64(1 - r.IntN(3))
			switch r.IntN(8) {
			case 0, 1:
				c.Do, c.Name = room.MarkNow, "Note"
			case 2:
				if db == 0 || s.Session.LevelDB+db > 0 {
					db = -1
				}
				if s.Session.LevelDB < -6 {
					db = 6
				}
				c.Do, c.DB = room.SetLevel, &db
			case 3:
				c.Do = room.Skip
			case 4:
				c.Do = []room.Verb{room.Silence, room.Soften, room.Resume}[r.IntN(3)]
			case 5:
				c.Do = []room.Verb{room.Care, room.Follow}[r.IntN(2)]
			default:
				tb := d.tablet()
				time.Sleep(100 * time.Millisecond)
				tb.conn.Close()
			}
			if c.Do != "" {
				at := time.Now()
				if status, body, err := d.post(c); err != nil || status != http.StatusOK && status != http.StatusConflict {
					t.Errorf("%s: %d %s %v", c.Do, status, body, err)
				}
				slowest = max(slowest, time.Since(at))
			}
			time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
		}
		sessions++
		// What a session leaves behind: the least of some looks, for tablets come and go.
		least, open := math.Inf(1), math.Inf(1)
		for range 20 {
			time.Sleep(250 * time.Millisecond)
			m := d.metrics()
			least, open = min(least, m["go_goroutines"]), min(open, m["process_open_fds"])
		}
		goroutines, files = append(goroutines, least), append(files, open)
	}
	name := fmt.Sprintf("soak, %v, %d sessions", soak.Round(time.Minute), sessions)
	quarter := max(1, len(heap)/4)
	// What is in use right after a collection is the least of many looks.
	growth := func(all []float64) float64 { return slices.Min(all[len(all)-quarter:]) - slices.Min(all[:quarter]) }
	rig.Bar(t, name, "the heap grew", growth(heap), 5, "MiB")
	rig.Bar(t, name, "goroutines more", goroutines[sessions-1]-goroutines[0], 0, "")
	rig.Bar(t, name, "open files more", files[sessions-1]-files[0], 0, "")
	rig.Bar(t, name, "the sound ran dry", float64(d.snapshot().Sound.Underruns), 0, "times")
	rig.Bar(t, name, "the session's clock is off", float64(off.Microseconds())/1000, 20, "ms")
	rig.Bar(t, name, "a session's end is off, by its clock", float64(endOff.Milliseconds()), 1000, "ms")
	rig.Bar(t, name, "memory at its most", d.peak(), 256, "MiB")
	t.Logf("the slowest command took %v", slowest)
}

// metrics are the daemon's figures that have no label.
func (d *daemon) metrics() map[string]float64 {
	d.t.Helper()
	resp, err := http.Get("http://" + d.addr + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		name, value, ok := strings.Cut(sc.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			out[name] = v
		}
	}
	return out
}
