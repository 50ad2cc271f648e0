package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomd/player"
	"roomd/playlists"
	"roomd/rig"

	"roomd/room/journal"
)

// changingLibrary is a library whose playlists come and go.
type changingLibrary struct{ gone atomic.Bool }

func (l *changingLibrary) List() []PlaylistView { return nil }
func (l *changingLibrary) Resolve(_ context.Context, id string) (playlists.Playlist, error) {
	if l.gone.Load() || id != "journey" {
		return playlists.Playlist{}, Refuse("no-playlist").Of("playlist")
	}
	return journey(), nil
}
func (l *changingLibrary) Changed() <-chan struct{} { return nil }

// TestRetryGetsTheFirstAnswer holds that a repeated ID is answered as at first, whatever the world looks like now, and
// across a restart.
func TestRetryGetsTheFirstAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roomd.db")
	lib := &changingLibrary{}
	open := func() *testRoom {
		store, _, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return runRoomOf(t, store, lib, func(*Config) {})
	}
	a := open()
	start := Command{ID: "start", Do: Start, Playlist: "journey"}
	first, err := a.Do(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	session := a.Snapshot().Session.ID
	lib.gone.Store(true)
	if again, err := a.Do(t.Context(), start); err != nil || again != first {
		t.Errorf("the playlist is gone: %+v, %v; at first %+v", again, err, first)
	}
	_, refused := a.Do(t.Context(), Command{ID: "unknown", Do: Start, Playlist: "nothing"})
	var r *Refused
	if !errors.As(refused, &r) || r.Code != "session-runs" {
		t.Errorf("a second start of an unknown playlist: %v", refused)
	}
	a.must(t, Command{ID: "end", Do: Abort})
	if _, err := a.Do(t.Context(), Command{ID: "unknown", Do: Start, Playlist: "nothing"}); !reflect.DeepEqual(err, refused) {
		t.Errorf("%v, at first %v", err, refused)
	}
	a.stop()
	b := open()
	if _, err := b.Do(t.Context(), start); err != nil || b.Snapshot().Session != nil && b.Snapshot().Session.ID != session {
		t.Errorf("after a restart: %v, %+v", err, b.Snapshot().Session)
	}
}

// TestNoRetryActsTwice sends random commands with random retries, restarts between them, and compares with a room that
// got each command once.
func TestNoRetryActsTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		a := openRoom(t, path)
		defer func() { a.stop() }()
		a.must(t, Command{ID: "start", Do: Start, Playlist: "journey"})
		type told struct {
			c   Command
			ack Ack
			err error
		}
		var all []told
		accepted := 1
		for k := range rapid.IntRange(1, 12).Draw(rt, "commands") {
			st := a.state.Load()
			c := drawCommand(rt, k, st.Session, a.now()-st.Started)
			ack, err := a.Do(t.Context(), c)
			if err == nil {
				accepted++
			}
			all = append(all, told{c, ack, err})
			for range rapid.IntRange(0, 2).Draw(rt, "retries") {
				old := all[rapid.IntRange(0, len(all)-1).Draw(rt, "which")]
				if ack, err := a.Do(t.Context(), old.c); ack != old.ack || !reflect.DeepEqual(err, old.err) {
					rt.Fatalf("%+v was answered %+v, %v; a retry %+v, %v", old.c, old.ack, old.err, ack, err)
				}
			}
		}
		if rapid.Bool().Draw(rt, "restart") {
			a.stop()
			a = openRoom(t, path)
			for _, old := range all {
				if _, err := a.Do(t.Context(), old.c); old.err == nil && err != nil {
					rt.Fatalf("%+v was accepted; after a restart: %v", old.c, err)
				} else if old.err != nil && err == nil {
					accepted++ // it was refused, nobody was told that it would be, and now it can be
				}
			}
		}
		events, _, err := a.store.Events(t.Context(), a.Snapshot().Session.ID)
		if err != nil || len(events) != accepted {
			rt.Fatalf("%d commands were accepted, the journal has %d events, %v", accepted, len(events), err)
		}
	})
}

// TestTroubleOfACheckIsNoSessions holds that what fails in a sound check is not journaled into the session that has ended.
func TestTroubleOfACheckIsNoSessions(t *testing.T) {
	t.Parallel()
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	a.must(t, Command{Do: Start, Playlist: "journey"})
	id := a.Snapshot().Session.ID
	a.must(t, Command{Do: Abort})
	rig.Eventually(t, "the session has ended", func() bool { return a.Snapshot().Session.State == Ended })
	before, _, err := a.store.Events(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	a.must(t, Command{Do: CheckSound, Playlist: "journey"})
	sc, _ := a.sound.asked()
	a.sound.events <- player.Event{Kind: player.ClipFailed, Clip: sc.Clips[0].ID}
	a.sound.events <- player.Event{Kind: player.ClipFailed, Clip: "p1.1@0"}
	if err := a.Ping(t.Context()); err != nil { // both were taken
		t.Fatal(err)
	}
	after, _, err := a.store.Events(t.Context(), id)
	if err != nil || len(after) != len(before) {
		t.Errorf("the session had %d events and has %d, %v", len(before), len(after), err)
	}
}

// TestUpgradeInMidSession opens a journal that a roomd of the first rules wrote, in the middle of its session, with a hold,
// a boost, a level and an undo across a phase boundary: the arc after is the arc before.
func TestUpgradeInMidSession(t *testing.T) {
	b, err := os.ReadFile("testdata/rules1.db")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "roomd.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	store, warning, err := journal.Open(path)
	if err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	// As if the upgrade took no time: the room's clock goes on from the last event.
	rec, ok, err := store.Unfinished(t.Context())
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	events, _, err := store.Events(t.Context(), rec.ID)
	if err != nil {
		t.Fatal(err)
	}
	last := time.Duration(events[len(events)-1].AtMS) * time.Millisecond
	if err := store.SetAnchor(t.Context(), journal.Anchor{BootID: "before the upgrade", Wall: time.Now(), Room: last}); err != nil {
		t.Fatal(err)
	}
	a := runRoom(t, store)
	s := a.Snapshot().Session
	var got []string
	for _, p := range s.Phases {
		got = append(got, fmt.Sprintf("%s %d-%d held %v waits %q", p.Name, p.StartMS, p.EndMS, p.Held, p.Waiting))
	}
	want, err := os.ReadFile("testdata/rules1.arc")
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(got); text != string(want) {
		t.Errorf("the arc was\n%s\nand is\n%s", want, text)
	}
	// It goes on: a new command is taken, and can be undone by the rules that the session began with.
	a.must(t, Command{ID: "more", Do: Extend, By: "5m"})
	if u := a.Snapshot().Session.Undo; len(u) == 0 || u[0].ID != "more" {
		t.Errorf("%+v", u)
	}
	a.must(t, Command{Do: Undo, Of: "more"})
	if now := a.Snapshot().Session; !slices.EqualFunc(now.Phases, s.Phases, func(p, q PhaseView) bool { return p.EndMS == q.EndMS }) {
		t.Errorf("after an undo: %+v", now.Phases)
	}
}
