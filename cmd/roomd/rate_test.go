package main

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"roomd/rig"
	"roomd/room"
)

// TestARenderIsWhatASessionPlays plays files of 44.1 kHz on a card and renders them: the card gets 44.1 kHz, and the same
// samples.
func TestARenderIsWhatASessionPlays(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/p.yaml": "name: P\ncrossfade: 1s\nphases: [{name: One, stage: preparation, length: 60s, music: one.flac}]\n"})
	lists := filepath.Join(d.dir, "playlists")
	// Without infrasound, which is taken out hop by hop, wherever the hops lie.
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=c=pink:d=75:a=0.2:r=44100:seed=1,highpass=f=25:p=2,highpass=f=25:p=2", "-ac", "2", filepath.Join(lists, "one.flac")).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	wav := filepath.Join(d.dir, "p.wav")
	if code, _, says := roomd(t, nil, "render", "p", "--out", wav, "--data", d.dir); code != exitOK {
		t.Fatalf("render: %d %s", code, says)
	}
	raw, err := os.ReadFile(wav)
	if err != nil {
		t.Fatal(err)
	}
	rendered := rig.Frames(raw[len(raw)-60*44100*6:], 24)
	d.start()
	d.ready("p")
	d.do(room.Command{Do: room.Start, Playlist: "p"})
	rig.Eventually(t, "the fade-in is over", func() bool { return card.Size() > 17*44100*8 })
	played := card.Played()
	if played.Rate != 44100 {
		t.Fatalf("the card got %d Hz", played.Rate)
	}
	const step = 1. / (1 << 23)
	same := func(a, b [2]float64) bool {
		return math.Abs(a[0]-b[0]) < 1.01*step && math.Abs(a[1]-b[1]) < 1.01*step
	}
	begin := len(played.Frames) - 5*44100
	for at := range rendered[:len(rendered)-44100] {
		if !same(rendered[at], played.Frames[begin]) || !same(rendered[at+1], played.Frames[begin+1]) || !same(rendered[at+2], played.Frames[begin+2]) {
			continue
		}
		for k := range 4 * 44100 {
			if !same(rendered[at+k], played.Frames[begin+k]) {
				t.Fatalf("%d frames on: %v rendered, %v played", k, rendered[at+k], played.Frames[begin+k])
			}
		}
		return
	}
	t.Error("what was played is nowhere in the render")
}
