package main

import (
	"encoding/json"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// BenchmarkHeard measures how long after a tap it is heard: what the room's card plays against the time at which the
// command was sent. The figures asked for: the first sound of a session within 250 ms, a command within 300 ms.
func BenchmarkHeard(b *testing.B) {
	card := rig.SoundCard(b, 1)
	d := newDaemon(b, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/tone.yaml": `name: Tone
phases: [{name: One, stage: preparation, length: 10m, music: one.wav}]
`})
	// At the rate at which the device is open already.
	one := d.dir + "/playlists/one.wav"
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=frequency=480:sample_rate=48000:duration=600,volume=-20dB", one).CombinedOutput(); err != nil {
		b.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	d.start()
	d.ready("tone")
	// The card's clock began with its first start; it has not stopped since.
	began := 0.0
	for _, l := range lines(card.Log()) {
		if strings.Contains(l, "start rate") {
			if err := json.Unmarshal([]byte(strings.Fields(l)[0]), &began); err != nil {
				b.Fatal(err)
			}
			break
		}
	}
	played := func() rig.Sound { time.Sleep(1200 * time.Millisecond); return card.Played() }
	frame := func(s rig.Sound, at time.Time) int {
		return int((float64(at.UnixNano())/1e9 - began) * float64(s.Rate))
	}
	var first, heard []float64
	for b.Loop() {
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
			for i < len(s.Frames) && math.Abs(s.Frames[i][0]-s.Frames[i-period][0]) < top/5000 {
				i++
			}
			if i == len(s.Frames) {
				b.Fatal("the level does not change")
			}
			heard = append(heard, float64(i-frame(s, at))/float64(s.Rate)*1000)
			time.Sleep(4 * time.Second)
		}
		d.do(room.Command{Do: room.Abort})
		time.Sleep(4 * time.Second)
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(median(first), "ms/start")
	b.ReportMetric(median(heard), "ms/command")
	b.ReportMetric(slices.Max(heard), "ms/worst-command")
	b.ReportMetric(0, "ns/op")
	if n := d.snapshot().Sound.Underruns; n > 0 {
		b.Errorf("the sound ran dry %d times", n)
	}
}
