package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room"
)

// diskDaemon is a room whose data folder is a small disk of its own.
func diskDaemon(t *testing.T, disk *rig.Disk) *daemon {
	t.Helper()
	d := newDaemon(t, nil, nil)
	// The log, which newDaemon's folder takes, stays off the disk.
	d.data = disk.Dir
	for name, text := range map[string]string{"room.yaml": "audio: {output: none}\n", "playlists/long.yaml": long} {
		path := filepath.Join(disk.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, out, said := roomd(t, nil, "token", "create", "test", "--data", disk.Dir)
	if code != 0 {
		t.Fatal(said)
	}
	d.token = strings.TrimSpace(out)
	return d
}

// diskSays is what the page says of the disk.
func (d *daemon) diskSays() (says string) {
	d.t.Helper()
	for _, p := range d.snapshot().Problems {
		if p.Part == "disk" {
			says += p.Says + " " + p.Do
		}
	}
	return says
}

// mark taps Vitals and says whether it was saved.
func (d *daemon) mark(id string) (saved bool) {
	d.t.Helper()
	status, body, err := d.post(room.Command{ID: id, Do: room.MarkNow, Name: "Vitals"})
	if err != nil || status != http.StatusOK {
		d.t.Fatalf("mark: %d %s %v\n%s", status, body, err, d.log())
	}
	var ack room.Ack
	if err := json.Unmarshal([]byte(body), &ack); err != nil {
		d.t.Fatal(err)
	}
	return !ack.Unsaved
}

// TestDiskFills fills the disk of a running session, kills the daemon, starts it on the full disk, and gives the room
// back: no mark that was said to be saved is lost, and none that could be saved in the end.
func TestDiskFills(t *testing.T) {
	t.Parallel()
	disk := rig.NewDisk(t, 4096)
	d := diskDaemon(t, disk)
	d.start()
	d.do(room.Command{Do: room.Start, Playlist: "long"})
	have := map[string]bool{}
	tap := func(n int) (saved int) {
		for range n {
			id := room.NewID()
			if d.mark(id) {
				saved++
				have[id] = true
			}
		}
		return saved
	}
	if tap(5) != 5 {
		t.Fatal("a mark is not saved, though there is room")
	}
	disk.Fill()
	// There is some room left in the files themselves.
	for n := 0; tap(1) == 1; n++ {
		if n > 500 {
			t.Fatal("on a full disk all marks are said to be saved")
		}
	}
	tap(20)
	rig.Eventually(t, "the page says that the disk is full", func() bool { return strings.Contains(d.diskSays(), "full") })
	d.Kill()
	check := func(what string) {
		t.Helper()
		s := d.snapshot().Session
		if s == nil || s.State != room.Running {
			t.Fatalf("%s: the session is %+v", what, s)
		}
		seen := map[string]bool{}
		for _, m := range s.Marks {
			seen[m.ID] = true
		}
		for id := range have {
			if !seen[id] {
				t.Fatalf("%s: the mark %s was said to be saved and is lost", what, id)
			}
		}
	}
	d.start()
	check("started on the full disk")
	later := []string{}
	for unsaved := 0; unsaved < 20; {
		id := room.NewID()
		if !d.mark(id) {
			unsaved++
		}
		if later = append(later, id); len(later) > 500 {
			t.Fatal("on a full disk all marks are said to be saved")
		}
	}
	rig.Eventually(t, "the page says that the disk is full", func() bool { return strings.Contains(d.diskSays(), "full") })
	disk.Free()
	rig.Eventually(t, "the page says nothing of the disk any more", func() bool { return d.diskSays() == "" })
	for _, id := range later {
		have[id] = true
	}
	if d.snapshot().Unsaved != 0 || !d.mark("last") {
		t.Error("there is room, and marks are not saved")
	}
	d.Kill()
	d.start()
	check("started after all was saved")
}

// TestDiskReadOnly starts the daemon on a disk that can't be written, with a session on it and without, also on one that
// was never used.
func TestDiskReadOnly(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with a session", "without", "empty"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := rig.NewDisk(t, 8192)
			d := diskDaemon(t, disk)
			switch name {
			case "with a session":
				d.start()
				d.do(room.Command{Do: room.Start, Playlist: "long"})
				d.mark("one")
				d.Kill()
			case "empty":
				old, err := filepath.Glob(filepath.Join(disk.Dir, "*"))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range old {
					if err := os.RemoveAll(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			disk.ReadOnly(true)
			d.start()
			if name == "empty" {
				// Nobody is paired, so nobody may look; it says so to whoever looks after the computer.
				rig.Eventually(t, "the log says so", func() bool { return strings.Contains(d.log(), "journaling to memory") })
				disk.ReadOnly(false)
				return
			}
			rig.Eventually(t, "the page says so", func() bool { return strings.Contains(d.diskSays(), "read-only") })
			if name == "with a session" {
				if s := d.snapshot().Session; s == nil || len(s.Marks) != 1 {
					t.Fatalf("the session is %+v", s)
				}
			} else {
				d.do(room.Command{Do: room.Start, Playlist: "long"})
			}
			if d.mark("two") {
				t.Error("a mark on a disk that can't be written is said to be saved")
			}
			disk.ReadOnly(false)
			rig.Eventually(t, "all is saved", func() bool { return !strings.Contains(d.diskSays(), "memory") })
			d.Kill()
			d.start()
			s := d.snapshot().Session
			if s == nil || s.State != room.Running || s.Marks[len(s.Marks)-1].ID != "two" {
				t.Fatalf("after all was saved the session is %+v", s)
			}
			if code, _, said := roomd(t, nil, "token", "list", "--data", disk.Dir); code != 0 {
				t.Error(said)
			}
		})
	}
}

// TestJournalScribbledOver scribbles over the journal of a daemon that was killed. The next one starts, the tablet is still
// paired, and the page says what happened.
func TestJournalScribbledOver(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n", "playlists/long.yaml": long})
	d.start()
	d.do(room.Command{Do: room.Start, Playlist: "long"})
	for range 50 {
		d.mark(room.NewID())
	}
	d.Kill()
	for n, at := range []int64{0, 4096} { // the list of tables, and all of one
		// The last to close the file empties its log into it: what the log holds would stand in for what is scribbled over.
		if code, _, said := roomd(t, nil, "token", "list", "--data", d.data); code != exitOK {
			t.Fatal(said)
		}
		f, err := os.OpenFile(filepath.Join(d.data, "roomd.db"), os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt([]byte(strings.Repeat("scribble", 512)), at)
		must(t, err)
		must(t, f.Close())
		d.start()
		if says := d.diskSays(); !strings.Contains(says, "damaged") {
			t.Errorf("the page says %q of the disk", says)
		}
		if s := d.snapshot().Session; s == nil || s.State != room.Running || len(s.Marks) < 20 {
			t.Errorf("the session is %+v", s)
		}
		if aside, _ := filepath.Glob(filepath.Join(d.data, "roomd.db.damaged-*")); len(aside) < n+1 {
			t.Errorf("set aside: %v", aside)
		}
		d.Kill()
	}
}
