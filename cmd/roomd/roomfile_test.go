package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// writeRoomFile writes a room's file as an editor does: aside, then in its place.
func (d *daemon) writeRoomFile(text string) {
	d.t.Helper()
	path := filepath.Join(d.data, "room.yaml")
	if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		d.t.Fatal(err)
	}
}

// becomes waits until the room is as its file says.
func (d *daemon) becomes(name string, lamps int) {
	d.t.Helper()
	rig.Eventually(d.t, "the room is "+name, func() bool {
		s, err := d.peek()
		return err == nil && s.Room == name && len(s.Lights) == lamps
	})
}

// told waits until a problem says so.
func (d *daemon) told(what string) {
	d.t.Helper()
	rig.Eventually(d.t, "the page says "+what, func() bool {
		s, err := d.peek()
		if err != nil {
			return false
		}
		for _, p := range s.Problems {
			if strings.Contains(p.Says+" "+p.Details, what) {
				return true
			}
		}
		return false
	})
}

// TestSettingsWithoutARestart changes the room file of a room that runs: by an editor, by a slow hand, wrongly, in a session.
// The process stays the same one, and what the room had before a wrong file it keeps, also over a restart.
func TestSettingsWithoutARestart(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	const lamp = "lights: {ambient: {driver: simulated}}\n"
	d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\naudio: {output: none}\n" + lamp,
		"playlists/short.yaml": "name: Short\nphases: [{name: One, stage: preparation, length: 10s, music: {bed: drone}}]\n"})
	d.start()
	d.becomes("Willow", 1)
	d.writeRoomFile("room: Oak\naudio: {output: none}\nlights: {ambient: {driver: simulated}, accent: {driver: simulated}}\n")
	d.becomes("Oak", 2)

	// Wrong, half written, empty or gone: the room stays as it is.
	d.writeRoomFile("room: Elm\naudio: {output: none, reference: loud}\n")
	d.told("room.yaml:2:")
	d.becomes("Oak", 2)
	if err := os.Remove(filepath.Join(d.data, "room.yaml")); err != nil {
		t.Fatal(err)
	}
	d.writeRoomFile("")
	time.Sleep(3 * time.Second) // nothing is to happen
	d.becomes("Oak", 2)
	if n := strings.Count(d.log(), "made anew"); n != 1 {
		t.Errorf("made anew %d times", n)
	}
	d.writeRoomFile("room: Elm\naudio: {output: nothing}\n")
	d.told("room.yaml:2:")
	d.Kill()
	d.start()
	d.becomes("Oak", 2)
	d.told("room.yaml:2:")

	// In a session nothing changes until its end.
	d.ready("short")
	d.do(room.Command{Do: room.Start, Playlist: "short"})
	d.writeRoomFile("room: Elm\naudio: {output: none}\n" + lamp)
	rig.Eventually(t, "the error is no longer told", func() bool { return len(d.snapshot().Problems) == 0 })
	if s := d.snapshot(); s.Room != "Oak" || s.Session == nil || s.Session.State != room.Running {
		t.Errorf("in the session: %s, %+v", s.Room, s.Session)
	}
	d.becomes("Elm", 1)
	if s := d.snapshot().Session; s == nil || s.State != room.Ended {
		t.Errorf("the session that has ended is gone: %+v", s)
	}

	// A comment makes no new room; it would silence what somebody listens to.
	made := strings.Count(d.log(), "made anew")
	d.writeRoomFile("# by hand\nroom: Elm\naudio: {output: none}\n" + lamp)
	time.Sleep(3 * time.Second) // nothing is to happen
	if n := strings.Count(d.log(), "made anew"); n != made || n != 1 {
		t.Errorf("made anew %d times, and %d after a comment", made, n)
	}
}

// TestManySettingsLeaveNothing makes a room anew again and again: no file, socket or goroutine of the last one is left.
func TestManySettingsLeaveNothing(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	broker := rig.Mosquitto(t)
	card := rig.SoundCard(t, 1)
	text := func(n int) string {
		return fmt.Sprintf("room: Room %d\naudio: {output: alsa}\nmqtt: {broker: %q}\nlights: {ambient: {driver: simulated}}\n", n, broker.URL)
	}
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": text(0)})
	d.start()
	var files int
	var goroutines float64
	for n := 1; n <= 8; n++ {
		d.writeRoomFile(text(n))
		d.becomes(fmt.Sprintf("Room %d", n), 1)
		rig.Eventually(t, "the broker is reached", func() bool {
			for _, p := range d.snapshot().Parts {
				if p.Part == "broker" {
					return p.State == room.Working
				}
			}
			return false
		})
		if n == 2 {
			files, goroutines = d.openFiles(), d.metrics()["go_goroutines"]
		}
	}
	if f, n := d.openFiles(), d.metrics()["go_goroutines"]; f > files+2 || n > goroutines+4 {
		t.Errorf("%d files and %.0f goroutines after two rooms, %d and %.0f after eight", files, goroutines, f, n)
	}
}
