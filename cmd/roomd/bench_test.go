package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// BenchmarkHeard measures how long after a tap it is heard, with the playlist's page open: what the room's card plays against the
// time at which the command was sent. The figures asked for: the first sound of a session within 250 ms, with ffmpeg and
// without, softer within 150 ms, louder within 300 ms.
func BenchmarkHeard(b *testing.B) {
	for _, kind := range []string{"mp3", "flac"} {
		b.Run(kind, func(b *testing.B) { benchHeard(b, kind, nil) })
		b.Run(kind+" without ffmpeg", func(b *testing.B) { benchHeard(b, kind, []string{"PATH=/nowhere"}) })
	}
}

// clockOf is when a card's clock began, in Unix seconds: with its first start, and it has not stopped since.
func clockOf(b *testing.B, card *rig.Card) (began float64) {
	for _, l := range lines(card.Log()) {
		if strings.Contains(l, "start rate") {
			if err := json.Unmarshal([]byte(strings.Fields(l)[0]), &began); err != nil {
				b.Fatal(err)
			}
			return began
		}
	}
	b.Fatal("the card has not started")
	return 0
}

func benchHeard(b *testing.B, kind string, env []string) {
	card := rig.SoundCard(b, 1)
	d := newDaemon(b, append(card.Env(), env...), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/tone.yaml": `name: Tone
phases: [{name: One, stage: preparation, length: 10m, music: one.` + kind + `}]
`})
	// At the rate at which the device is open already.
	one := d.dir + "/playlists/one." + kind
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=frequency=480:sample_rate=48000:duration=600,volume=-20dB", one).CombinedOutput(); err != nil {
		b.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	d.start()
	d.ready("tone")
	page := d.tablet()
	defer page.conn.Close()
	began := clockOf(b, card)
	played := func() rig.Sound { time.Sleep(1200 * time.Millisecond); return card.Played() }
	frame := func(s rig.Sound, at time.Time) int {
		return int((float64(at.UnixNano())/1e9 - began) * float64(s.Rate))
	}
	var first, softer, louder []float64
	for b.Loop() {
		var list any
		d.get("/api/v1/playlists?chosen=tone", &list)
		time.Sleep(time.Second)
		at := time.Now()
		d.do(room.Command{Do: room.Start, Playlist: "tone"})
		s := played()
		i := frame(s, at)
		for i < len(s.Frames) && math.Abs(s.Frames[i][0]) < 1e-7 {
			i++
		}
		if i == len(s.Frames) {
			b.Fatal("nothing is heard")
		}
		first = append(first, float64(i-frame(s, at))/float64(s.Rate)*1000)
		time.Sleep(9 * time.Second) // the fade-in
		for _, db := range []float64{-3, 3, -3, 3} {
			at := time.Now()
			d.do(room.Command{Do: room.SetLevel, DB: &db})
			s := played()
			i, period := frame(s, at), s.Rate/480
			top := 0.0
			for _, f := range s.Frames[i-period : i] {
				top = max(top, math.Abs(f[0]))
			}
			for i < len(s.Frames) && math.Abs(s.Frames[i][0]-s.Frames[i-period][0]) < top/200 { // what an mp3 adds is less
				i++
			}
			if i == len(s.Frames) {
				b.Fatal("the level does not change")
			}
			took := float64(i-frame(s, at)) / float64(s.Rate) * 1000
			if db < 0 {
				softer = append(softer, took)
			} else {
				louder = append(louder, took)
			}
			time.Sleep(4 * time.Second)
		}
		d.do(room.Command{Do: room.Abort})
		time.Sleep(4 * time.Second)
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(median(first), "ms/start")
	b.ReportMetric(slices.Max(first), "ms/worst-start")
	b.ReportMetric(median(softer), "ms/softer")
	b.ReportMetric(slices.Max(softer), "ms/worst-softer")
	b.ReportMetric(median(louder), "ms/louder")
	b.ReportMetric(slices.Max(louder), "ms/worst-louder")
	b.ReportMetric(0, "ns/op")
	if n := d.snapshot().Sound.Underruns; n > 0 {
		b.Errorf("the sound ran dry %d times", n)
	}
}

// BenchmarkSteered measures how long after a tap the page knows what will come, and how long after "now" the first sample of the crossfade
// is played. The figures asked for: 100 ms and 300 ms.
func BenchmarkSteered(b *testing.B) {
	card := rig.SoundCard(b, 1)
	d := newDaemon(b, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/pool.yaml": `name: Pool
crossfade: 4s
phases: [{name: One, stage: administration, length: 9m, intensity: 2, pool: [{file: one.flac, intensity: 2}, {file: two.flac, intensity: 4}]}]
`})
	for name, hz := range map[string]int{"one": 480, "two": 600} {
		if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=%d:sample_rate=48000:duration=600,volume=-20dB", hz), d.dir+"/playlists/"+name+".flac").CombinedOutput(); err != nil {
			b.Fatalf("ffmpeg: %v\n%s", err, out)
		}
	}
	d.start()
	d.ready("pool")
	page := d.tablet()
	defer page.conn.Close()
	began := clockOf(b, card)
	var told, begun []float64
	for b.Loop() {
		d.do(room.Command{Do: room.Start, Playlist: "pool"})
		time.Sleep(8 * time.Second) // the fade-in
		at := time.Now()
		d.do(room.Command{Do: room.Deeper})
		time.Sleep(500 * time.Millisecond)
		seen := slices.IndexFunc(page.all(), func(h heard) bool {
			return h.at.After(at) && h.snap.Session != nil && h.snap.Session.Steer != nil && h.snap.Session.Steer.Coming != nil
		})
		if seen < 0 {
			b.Fatalf("the page does not know what comes: %+v", d.snapshot().Session.Steer)
		}
		told = append(told, float64(page.all()[seen].at.Sub(at))/1e6)
		time.Sleep(4 * time.Second)
		at = time.Now()
		d.do(room.Command{Do: room.Bring})
		time.Sleep(1500 * time.Millisecond)
		s := card.Played()
		from := int((float64(at.UnixNano())/1e9 - began) * float64(s.Rate))
		i, period := from, s.Rate/480
		top := 0.0
		for _, f := range s.Frames[from-period : from] {
			top = max(top, math.Abs(f[0]))
		}
		for i < len(s.Frames) && math.Abs(s.Frames[i][0]-s.Frames[i-period][0]) < top/2000 { // the fade of 30 s begins far below what is heard
			i++
		}
		if i == len(s.Frames) {
			b.Fatal("nothing begins")
		}
		begun = append(begun, float64(i-from)/float64(s.Rate)*1000)
		d.do(room.Command{Do: room.Abort})
		time.Sleep(4 * time.Second)
	}
	b.ReportMetric(slices.Max(told), "ms/worst-told")
	b.ReportMetric(slices.Max(begun), "ms/worst-begun")
	b.ReportMetric(0, "ns/op")
}
