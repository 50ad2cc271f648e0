package main

import (
	le "encoding/binary"
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

var tracks = flag.Int("tracks", 10_000, "how many tracks TestLargeLibrary has")

// TestLargeLibrary has thousands of tracks in a hundred folders: heard through in the background, known at once at the next
// start, a change seen soon, in little memory.
func TestLargeLibrary(t *testing.T) {
	rig.OnlyBars(t)
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	folders := max(4, *tracks/100)
	for i := range *tracks {
		dir := filepath.Join(d.dir, "playlists", fmt.Sprintf("Folder %d", i%folders), "01 All 1h")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.wav", i)), beep(i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprintf("%d tracks in %d playlists", *tracks, folders)
	list := func() (ready, measured int) {
		var all []room.PlaylistView
		d.get("/api/v1/playlists", &all)
		for _, p := range all {
			if !p.Ready || !strings.HasPrefix(p.ID, "Folder") {
				continue
			}
			ready++
			if !strings.Contains(strings.Join(p.Warnings, " "), "are measured") {
				measured++
			}
		}
		return ready, measured
	}
	began := time.Now()
	d.start()
	rig.Within(t, 90*time.Minute, "all is heard through", func() bool {
		time.Sleep(200 * time.Millisecond)
		_, measured := list()
		return measured == folders
	})
	t.Logf("| %-38s | heard through in %v, %v a track", name, time.Since(began).Round(time.Second), (time.Since(began) / time.Duration(*tracks)).Round(100*time.Microsecond))
	rig.Bar(t, name, "memory at most", d.peak(), 150, "MiB")
	if left := d.terminate(t.Context()); left > 5*time.Second {
		t.Errorf("it took %v to stop", left)
	}
	began = time.Now()
	d.start()
	rig.Bar(t, name, "at the next start the page answers in", time.Since(began).Seconds(), 1, "s")
	rig.Eventually(t, "all is known again", func() bool { _, measured := list(); return measured == folders })
	rig.Bar(t, name, "at the next start known in", time.Since(began).Seconds(), 2, "s")
	rig.Bar(t, name, "memory at most", d.peak(), 150, "MiB")
	began = time.Now()
	if err := os.WriteFile(filepath.Join(d.dir, "playlists", "new.yaml"), []byte("name: New\nphases: [{name: A, stage: preparation, length: 5m, music: [\"Folder 0/01 All 1h\"]}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	seen := func() bool {
		var all []room.PlaylistView
		d.get("/api/v1/playlists", &all)
		for _, p := range all {
			if p.ID == "new" && p.Ready {
				return true
			}
		}
		return false
	}
	rig.Eventually(t, "a new playlist is listed", seen)
	rig.Bar(t, name, "a change is on the page in", time.Since(began).Seconds(), 2, "s")
	began = time.Now()
	d.do(room.Command{Do: room.Start, Playlist: "Folder 1"})
	rig.Bar(t, name, "a session starts in", time.Since(began).Seconds(), 1, "s")
	if status, _, err := d.post(room.Command{ID: room.NewID(), Do: room.End}); err != nil || status != http.StatusOK {
		t.Error(status, err)
	}
}

// beep is a WAV file of two seconds that no other is like.
func beep(seed int) []byte {
	const rate, n = 8000, 16000
	b := make([]byte, 44+2*n)
	copy(b, "RIFF____WAVEfmt ")
	le := le.LittleEndian
	le.PutUint32(b[4:], uint32(len(b)-8))
	le.PutUint32(b[16:], 16)
	le.PutUint16(b[20:], 1)
	le.PutUint16(b[22:], 1)
	le.PutUint32(b[24:], rate)
	le.PutUint32(b[28:], 2*rate)
	le.PutUint16(b[32:], 2)
	le.PutUint16(b[34:], 16)
	copy(b[36:], "data")
	le.PutUint32(b[40:], 2*n)
	for i := range n {
		le.PutUint16(b[44+2*i:], uint16(int16(3000*math.Sin(float64(i)*(0.2+float64(seed)*1e-5)))))
	}
	return b
}
