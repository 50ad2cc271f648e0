package room

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/journal"
)

// diskProblem is what the page says of the disk; empty: nothing.
func diskProblem(r *Room) string {
	for _, p := range r.Snapshot().Problems {
		if p.Part == "disk" {
			return p.Says + " " + p.Do
		}
	}
	return ""
}

// fillStore leaves no room in a store's file; the retries find none either, until free is called.
func fillStore(t *testing.T, s *journal.Store) (free func()) {
	t.Helper()
	var pages int
	err := s.Read(func(db *sql.DB) error {
		if err := db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
			return err
		}
		_, err := db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Limit(pages)
	return func() { s.Limit(0) }
}

// TestRoomKeepsWhatTheDiskDoesNotTake fills the disk in mid-session: taps go on, in memory and said to be so, in their
// order; where there is room again all of them are saved, once.
func TestRoomKeepsWhatTheDiskDoesNotTake(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roomd.db")
	a := openRoom(t, path)
	a.must(t, Command{ID: "start", Do: Start, Playlist: "journey"})
	a.must(t, Command{ID: "before", Do: MarkNow, Name: "Vitals"})
	free := fillStore(t, a.store)
	var ids []string
	for n := 0; len(ids) < 20; n++ {
		id := fmt.Sprintf("tap %d", n)
		ack, err := a.Do(t.Context(), Command{ID: id, Do: MarkNow, Name: "Vitals"})
		if err != nil {
			t.Fatalf("on a full disk: %v", err)
		}
		if ack.Unsaved {
			ids = append(ids, id)
		} else if len(ids) > 0 || n > 200 {
			t.Fatalf("tap %d is said to be saved", n)
		}
	}
	rig.Eventually(t, "the page says so", func() bool {
		return strings.Contains(diskProblem(a.Room), "full") && strings.Contains(diskProblem(a.Room), "not yet saved: 20.")
	})
	snap := a.Snapshot()
	for _, m := range snap.Session.Marks {
		if m.Unsaved != slices.Contains(ids, m.ID) {
			t.Errorf("mark %s: unsaved is %v", m.ID, m.Unsaved)
		}
	}
	if snap.Unsaved != 20 {
		t.Errorf("%d unsaved in the snapshot", snap.Unsaved)
	}
	// A tap that is repeated is not done twice, and the history reads well meanwhile.
	if ack, err := a.Do(t.Context(), Command{ID: ids[0], Do: MarkNow, Name: "Vitals"}); err != nil || !ack.Unsaved {
		t.Errorf("a repeated tap that is not saved: %+v %v", ack, err)
	}
	if rec, ok, err := a.Session(t.Context(), snap.Session.ID); err != nil || !ok || len(rec.Events) < 22 {
		t.Errorf("the session's record: %d events %v %v", len(rec.Events), ok, err)
	}
	free()
	rig.Eventually(t, "the disk has all and nobody speaks of it", func() bool {
		return diskProblem(a.Room) == "" && a.Snapshot().Unsaved == 0
	})
	a.must(t, Command{ID: "after", Do: MarkNow, Name: "Vitals"})
	want := a.Snapshot().Session.Marks
	a.stop()
	b := openRoom(t, path)
	got := b.Snapshot().Session.Marks
	if !slices.Equal(got, want) {
		t.Errorf("after a restart the marks are %v, they were %v", got, want)
	}
}

// TestStoreOnARealDisk fills a real file system, makes it read-only, and opens the store on it.
func TestStoreOnARealDisk(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		kib  int
		shut func(*rig.Disk)
		open func(*rig.Disk)
		says string
	}{
		{"full", 1024, (*rig.Disk).Fill, (*rig.Disk).Free, "full"},
		{"read-only", 1024, func(d *rig.Disk) { d.ReadOnly(true) }, func(d *rig.Disk) { d.ReadOnly(false) }, "disk"},
	} {
		for _, made := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", made before: ", made), func(t *testing.T) {
				disk := rig.NewDisk(t, c.kib)
				path := filepath.Join(disk.Dir, "roomd.db")
				before := 0
				if made {
					a := openRoom(t, path)
					a.must(t, Command{Do: Start, Playlist: "journey"})
					a.must(t, Command{Do: MarkNow, Name: "Vitals"})
					before = 1
					a.stop()
				}
				c.shut(disk)
				store, warning, err := journal.Open(path)
				if err != nil || warning != "" {
					t.Fatal(err, warning)
				}
				a := runRoom(t, store)
				if made {
					if s := a.Snapshot().Session; s == nil || s.State != Running || len(s.Marks) != 1 {
						t.Fatalf("the session that the disk holds is not taken up: %+v", s)
					}
				} else if ack, err := a.Do(t.Context(), Command{ID: "s", Do: Start, Playlist: "journey"}); err != nil || !ack.Unsaved {
					t.Fatalf("start: %+v %v", ack, err)
				}
				for n := range 300 {
					if _, err := a.Do(t.Context(), Command{ID: fmt.Sprint(n), Do: MarkNow, Name: "Vitals"}); err != nil {
						t.Fatal(err)
					}
				}
				rig.Eventually(t, "the page says so", func() bool { return strings.Contains(diskProblem(a.Room), c.says) })
				c.open(disk)
				rig.Eventually(t, "all is saved", func() bool { return diskProblem(a.Room) == "" && a.Snapshot().Unsaved == 0 })
				a.stop()
				b := openRoom(t, path)
				s := b.Snapshot().Session
				if s == nil || len(s.Marks) != before+300 {
					t.Fatalf("after a restart: %+v", s)
				}
				for n, m := range s.Marks[before:] {
					if m.ID != fmt.Sprint(n) {
						t.Fatalf("mark %d is %s", n, m.ID)
					}
				}
			})
		}
	}
}

// TestStoreIsTrueToItsWord copies the files, as a kill and a restart would find them, after each of many taps while the
// disk fills and empties: what was said to be saved is there.
func TestStoreIsTrueToItsWord(t *testing.T) {
	t.Parallel()
	disk := rig.NewDisk(t, 400)
	path := filepath.Join(disk.Dir, "roomd.db")
	s, _, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	saved, unsaved := []string{}, 0
	for n := range 400 {
		switch n % 100 {
		case 30:
			disk.Fill()
		case 70:
			disk.Free()
			if ok, _ := s.Retry(); !ok && s.Outage() != nil {
				t.Fatalf("there is room, but: %v", s.Outage().Err)
			}
			for k := n/100*100 + 30; k < n; k++ {
				saved = append(saved, fmt.Sprint(k))
			}
		}
		id := fmt.Sprint(n)
		ok, err := s.Append(t.Context(), journal.Event{Session: "s", Kind: "k", CommandID: id, Data: json.RawMessage(`"some text that fills the pages, some text that fills the pages"`)})
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			saved = append(saved, id)
		} else {
			unsaved++
		}
		if n%9 != 0 {
			continue
		}
		copied := filepath.Join(t.TempDir(), "roomd.db")
		for _, ending := range []string{"", "-wal"} {
			if b, err := os.ReadFile(path + ending); err == nil {
				if err := os.WriteFile(copied+ending, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		other, warning, err := journal.Open(copied)
		if err != nil || warning != "" || other.Outage() != nil {
			t.Fatalf("after %d: %q %v %v", n, warning, err, other.Outage())
		}
		for _, id := range saved {
			if seen, err := other.Seen(t.Context(), id); err != nil || !seen {
				t.Fatalf("after %d: %s was said to be saved and is not there: %v", n, id, err)
			}
		}
		other.Close()
	}
	if unsaved < 20 {
		t.Errorf("only %d events met a full disk", unsaved)
	}
}

// journalOf makes a journal of a session with n marks and its tokens, closed, and returns its marks. With open its
// write-ahead log is left as a kill would leave it.
func journalOf(t *testing.T, path string, n int, open bool) (marks []MarkView) {
	t.Helper()
	a := openRoom(t, path)
	a.must(t, Command{Do: Start, Playlist: "journey"})
	for range n {
		a.must(t, Command{Do: MarkNow, Name: "Vitals"})
	}
	if err := a.store.Read(func(db *sql.DB) error {
		_, err := db.Exec("INSERT INTO tokens (hash, name, created, used, role) VALUES (x'00', 'tablet', 1, 1, 'therapist')")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	marks = a.Snapshot().Session.Marks
	if !open {
		a.stop()
		return marks
	}
	for _, ending := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + ending)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".killed"+ending, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.stop()
	for _, ending := range []string{"", "-wal"} {
		if err := os.Rename(path+".killed"+ending, path+ending); err != nil {
			t.Fatal(err)
		}
	}
	return marks
}

// TestBrokenJournal tears and scribbles over a journal. The room starts on it whatever it holds, with what is whole, says
// what happened and sets the file aside; the marks that it shows are those that were tapped, in order.
func TestBrokenJournal(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	dir := t.TempDir()
	closed, killed := filepath.Join(dir, "closed.db"), filepath.Join(dir, "killed.db")
	marks := map[string][]MarkView{closed: journalOf(t, closed, 150, false), killed: journalOf(t, killed, 150, true)}
	kept, lost, running := 0, 0, 0
	mayLose := false // a log whose end is torn off can't be told from one that was never finished
	check := func(t *testing.T, from string, damage func(name string, b []byte) []byte) (warning string, n int) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "roomd.db")
		for _, ending := range []string{"", "-wal"} {
			b, err := os.ReadFile(from + ending)
			if err != nil {
				continue
			}
			if err := os.WriteFile(path+ending, damage("db"+ending, b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		store, warning, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		a := runRoom(t, store)
		defer a.stop()
		if o := store.Outage(); o != nil {
			t.Fatalf("in memory: %v", o.Err)
		}
		aside, _ := filepath.Glob(path + ".damaged-*")
		if (warning != "") != (len(aside) > 0) {
			t.Errorf("warning %q, but set aside: %v", warning, aside)
		}
		if spare, _ := filepath.Glob(path + "*.spare*"); len(spare) > 0 {
			t.Errorf("left behind: %v", spare)
		}
		s := a.Snapshot().Session
		if s != nil {
			running++
			was := map[string]int{}
			for k, m := range marks[from] {
				was[m.ID] = k
			}
			last := -1
			for _, m := range s.Marks {
				k, ok := was[m.ID]
				if !ok || k <= last {
					t.Errorf("mark %+v was not tapped, or is out of order", m)
				}
				last = max(last, k)
			}
			n = len(s.Marks)
			if n < len(marks[from]) && warning == "" && len(a.damage) == 0 && !mayLose {
				t.Errorf("%d of %d marks, and nothing is said", n, len(marks[from]))
			}
		} else if warning == "" && len(a.damage) == 0 {
			t.Error("the session is gone, and nothing is said")
		}
		// It works on.
		a.must(t, Command{Do: Emergency})
		return warning, n
	}
	t.Run("whole", func(t *testing.T) {
		for from := range marks {
			if warning, n := check(t, from, func(_ string, b []byte) []byte { return b }); warning != "" || n != 150 {
				t.Errorf("%q, %d marks", warning, n)
			}
		}
	})
	t.Run("torn", func(t *testing.T) {
		for _, cut := range []int{1, 100, 4096, 5000} {
			mayLose = true
			_, n := check(t, killed, func(name string, b []byte) []byte {
				if name == "db-wal" {
					b = b[:len(b)-cut]
				}
				return b
			})
			if n < 140 {
				t.Errorf("%d bytes torn off the log left %d marks", cut, n)
			}
			mayLose = false
			check(t, closed, func(_ string, b []byte) []byte { return b[:len(b)-cut] })
		}
	})
	t.Run("no database", func(t *testing.T) {
		if warning, _ := check(t, closed, func(_ string, b []byte) []byte { return []byte(strings.Repeat("this is not a database; ", 400)) }); warning == "" {
			t.Error("nothing is said")
		}
	})
	t.Run("first page", func(t *testing.T) {
		warning, n := check(t, closed, func(_ string, b []byte) []byte {
			b = slices.Clone(b)
			for k := range 4096 {
				b[k] ^= 0x5a
			}
			return b
		})
		if warning == "" || n != 150 {
			t.Errorf("%q, %d marks of 150", warning, n)
		}
	})
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			from := closed
			if seed%3 == 0 {
				from = killed
			}
			_, n := check(t, from, func(name string, b []byte) []byte {
				b = slices.Clone(b)
				for range 1 + r.IntN(4) {
					at, length := r.IntN(len(b)), 1+r.IntN(64)
					for k := at; k < min(at+length, len(b)); k++ {
						b[k] = byte(r.Uint32())
					}
				}
				return b
			})
			kept += n
			lost += 150 - n
		})
	}
	t.Logf("over all seeds: %d sessions taken up; %d marks kept, %d lost", running, kept, lost)
}

// TestBrokenLog scribbles over each frame of a log that is not in the file yet: nothing is lost without a word, and what
// later frames hold is kept.
func TestBrokenLog(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "roomd.db")
	s, _, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	const events = 40
	if err := s.Read(func(db *sql.DB) error {
		_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for n := range events {
		if saved, err := s.Append(t.Context(), journal.Event{Session: "s", Kind: "k", CommandID: fmt.Sprint(n), Data: json.RawMessage(`"some text that fills the pages"`)}); err != nil || !saved {
			t.Fatal(saved, err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	const frame = 24 + 4096
	kept, tried := 0, 0
	try := func(what string, at int) {
		broken := slices.Clone(log)
		for k := at; k < min(at+16, len(broken)); k++ {
			broken[k] ^= 0x5a
		}
		path := filepath.Join(t.TempDir(), "roomd.db")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", broken, 0o600); err != nil {
			t.Fatal(err)
		}
		s, warning, err := journal.Open(path)
		if err != nil || s.Outage() != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer s.Close()
		found, _, err := s.Events(t.Context(), "s")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		last := at+frame >= len(log) // can't be told from one that was never finished
		if len(found) < events && warning == "" && !last {
			t.Errorf("%s: %d of %d events, and nothing is said", what, len(found), events)
		}
		kept += len(found)
		tried++
	}
	try("the header", 0)
	for n := range (len(log) - 32) / frame {
		try(fmt.Sprintf("the header of frame %d", n), 32+n*frame)
		try(fmt.Sprintf("the page of frame %d", n), 32+n*frame+24+100)
	}
	if share := float64(kept) / float64(tried*events); share < 0.98 {
		t.Errorf("%.1f %% of the events were kept", share*100)
	} else {
		t.Logf("%d logs: %.1f %% of the events were kept", tried, share*100)
	}
}

// TestSessionsAreMadeAgain loses the list of sessions. Their events are left, and tell what they were; the newest one goes on.
func TestSessionsAreMadeAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "roomd.db")
	a := openRoom(t, path)
	for range 2 {
		a.must(t, Command{Do: Start, Playlist: "journey"})
		a.must(t, Command{Do: MarkNow, Name: "Vitals"})
		a.must(t, Command{Do: Abort})
		rig.Eventually(t, "it ends", func() bool { return a.Snapshot().Session.State == Ended })
	}
	a.must(t, Command{Do: Start, Playlist: "journey"})
	a.must(t, Command{Do: MarkNow, Name: "Vitals"})
	now := a.Snapshot().Session
	had, err := a.Sessions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	var root int64
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = 'sessions'").Scan(&root); err != nil {
		t.Fatal(err)
	}
	db.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const pageSize = 4096 // SQLite's own choice
	for k := (root - 1) * pageSize; k < root*pageSize; k++ {
		b[k] = 0x5a
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	store, warning, err := journal.Open(path)
	if err != nil || warning == "" {
		t.Fatal(warning, err)
	}
	r := runRoom(t, store)
	if s := r.Snapshot().Session; s == nil || s.ID != now.ID || s.State != Running || len(s.Marks) != 1 {
		t.Errorf("the session is %+v", s)
	}
	got, err := r.Sessions(t.Context())
	if err != nil || len(got) != len(had) {
		t.Fatalf("%d sessions of %d: %v", len(got), len(had), err)
	}
	for k := range got {
		if got[k].ID != had[k].ID || got[k].Name != had[k].Name || got[k].State != had[k].State {
			t.Errorf("session %d is %+v, it was %+v", k, got[k], had[k])
		}
	}
}

// A disk that hangs keeps taps waiting. The owner that waits for it is not taken for stuck, and does all once it goes on.
func TestRoomWaitsForADiskThatHangs(t *testing.T) {
	t.Parallel()
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	var conn *sql.Conn // the only one there is
	if err := a.store.Read(func(db *sql.DB) (err error) { conn, err = db.Conn(t.Context()); return err }); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.Do(context.WithoutCancel(t.Context()), Command{ID: "e", Do: Emergency})
		done <- err
	}()
	time.Sleep(2500 * time.Millisecond)
	select {
	case err := <-done:
		t.Fatalf("the disk hangs and the tap is answered: %v", err)
	default:
	}
	if err := a.ping(t, 300*time.Millisecond); err != nil { // it does not answer, as the disk hangs
		t.Errorf("an owner that waits for the disk is taken for stuck: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if a.store.Hangs() {
		t.Error("the disk answers and is said to hang")
	}
}
