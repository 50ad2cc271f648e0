package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/rig"
	"roomd/room"
)

// TestTwentyTablets has five of twenty tablets dead: they are connected and never read. The others see each change, and
// the sound goes on.
func TestTwentyTablets(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/tone.yaml": `name: Tone
phases: [{name: One, stage: preparation, length: 2m, music: one.flac, marks: [Note]}]
`})
	music(t, filepath.Join(d.dir, "playlists"), map[string]tone{"one.flac": {300, 120, -20}})
	out, err := exec.Command(theBinary(t), "token", "create", "second", "--data", d.dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	second := *d
	second.token = strings.TrimSpace(string(out))
	d.start()
	second.Process = d.Process
	d.ready("tone")
	d.do(room.Command{Do: room.Start, Playlist: "tone"})
	for n := range 5 {
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+d.addr+"/ws", http.Header{
			"Authorization": {"Bearer " + d.token}, "Origin": {"http://" + d.addr}})
		if err != nil {
			t.Fatalf("dead tablet %d: %v", n, err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	var live []*tablet
	for n := range 15 {
		who := d
		if n >= 8 {
			who = &second
		}
		live = append(live, who.tablet())
	}
	time.Sleep(time.Second)
	var late []float64
	changes := 30
	if rig.Whole {
		changes = 100
	}
	for range changes {
		id := room.NewID()
		at := time.Now()
		d.do(room.Command{ID: id, Do: room.MarkNow, Name: "Note"})
		for n, tb := range live {
			rig.Eventually(t, fmt.Sprintf("a change is on live tablet %d", n), func() bool {
				all := tb.all()
				first := slices.IndexFunc(all, func(h heard) bool {
					return h.snap.Session != nil && slices.ContainsFunc(h.snap.Session.Marks, func(m room.MarkView) bool { return m.ID == id })
				})
				if first < 0 {
					return false
				}
				late = append(late, 1000*all[first].at.Sub(at).Seconds())
				return true
			})
		}
	}
	if !rig.Whole {
		return // make test holds only that each was told
	}
	slices.Sort(late)
	rig.Bar(t, "20 tablets, 5 of them dead", "a change is on a live one, median", late[len(late)/2], 50, "ms")
	rig.Bar(t, "20 tablets, 5 of them dead", "a change is on a live one, p99", late[len(late)*99/100], 100, "ms")
	rig.Bar(t, "20 tablets, 5 of them dead", "the sound ran dry", float64(d.snapshot().Sound.Underruns), 0, "times")
}
