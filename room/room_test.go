package room

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"roomd/player"
	"roomd/playlists"
	"roomd/rig"
	"roomd/room/journal"
	"roomd/room/lights"
)

// fakeSound keeps what it was asked.
type fakeSound struct {
	mu     sync.Mutex
	score  player.Score
	zero   time.Time
	master player.Master
	events chan player.Event
}

func (f *fakeSound) SetScore(s player.Score, zero time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.score, f.zero = s, zero
}
func (f *fakeSound) SetMaster(m player.Master) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.master = m
}
func (f *fakeSound) Events() <-chan player.Event { return f.events }
func (f *fakeSound) View() SoundView             { return SoundView{Output: "test", State: "playing"} }
func (f *fakeSound) asked() (player.Score, player.Master) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.score, f.master
}

// fakeLamps keep what they were asked.
type fakeLamps struct {
	mu      sync.Mutex
	moves   []lights.Move
	follows []string
	changed chan struct{}
}

func (f *fakeLamps) Fade(m lights.Move) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moves = append(f.moves, m)
}
func (f *fakeLamps) Follow(role string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follows = append(f.follows, role)
}
func (f *fakeLamps) Test(role string) lights.Said {
	if role != "ambient" {
		return lights.Said{Code: "lights-none", Args: []any{"role", role}}
	}
	return lights.Said{}
}
func (f *fakeLamps) Views() map[string]lights.View {
	return map[string]lights.View{"ambient": {State: lights.Unknown}}
}
func (f *fakeLamps) Answered() []lights.Answer { return nil }
func (f *fakeLamps) Changed() <-chan struct{}  { return f.changed }
func (f *fakeLamps) last() lights.Move {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.moves) == 0 {
		return lights.Move{}
	}
	return f.moves[len(f.moves)-1]
}

type fakeLibrary struct{ pl playlists.Playlist }

func (f fakeLibrary) List() []PlaylistView { return nil }
func (f fakeLibrary) Resolve(_ context.Context, id string) (playlists.Playlist, error) {
	if id != f.pl.ID {
		return playlists.Playlist{}, &Refused{Field: "playlist", Reason: "no such playlist"}
	}
	return f.pl, nil
}
func (f fakeLibrary) Changed() <-chan struct{} { return nil }

// testRoom is a room on a store, running until its stop is called.
type testRoom struct {
	*Room
	sound *fakeSound
	lamps *fakeLamps
	store *journal.Store
	stop  func()
}

func openRoom(t *testing.T, path string) *testRoom {
	t.Helper()
	store, warning, err := journal.Open(path)
	if err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	return runRoom(t, store)
}

// runRoom runs a room on a store.
func runRoom(t *testing.T, store *journal.Store) *testRoom {
	t.Helper()
	return runRoomWith(t, store, func(*Config) {})
}

// runRoomWith runs a room that is set differently.
func runRoomWith(t *testing.T, store *journal.Store, change func(*Config)) *testRoom {
	t.Helper()
	return runRoomOf(t, store, fakeLibrary{journey()}, change)
}

// runRoomOf runs a room with a library of its own.
func runRoomOf(t *testing.T, store *journal.Store, lib Library, change func(*Config)) *testRoom {
	t.Helper()
	tr := &testRoom{sound: &fakeSound{events: make(chan player.Event)}, lamps: &fakeLamps{changed: make(chan struct{})}, store: store}
	scene := lights.Scene{"ambient": {L: 20}}
	cfg := Config{Room: "Test", Audio: AudioConfig{Reference: -23, Ceiling: 6}, Marks: []string{"Lozenge", "Vitals"},
		Scenes: map[string]lights.Scene{"dusk": scene, "floor": scene, "day": scene, "care": {"ambient": {L: 60}}, "full": {"ambient": {L: 100}}}}
	change(&cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	tr.Room, err = New(ctx, Options{Config: cfg, Store: store, Sound: tr.sound, Lights: tr.lamps, Library: lib,
		Log: slog.New(slog.DiscardHandler), Boot: "b"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	var once sync.Once
	tr.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			store.Close()
		})
	}
	t.Cleanup(tr.stop)
	return tr
}

// ping returns an error where the room's owner does not answer within that time.
func (tr *testRoom) ping(t *testing.T, within time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	return tr.Ping(ctx)
}

func (tr *testRoom) must(t *testing.T, c Command) {
	t.Helper()
	if c.ID == "" {
		c.ID = NewID()
	}
	if ack, err := tr.Do(t.Context(), c); err != nil || ack.ID != c.ID || ack.Unsaved {
		t.Fatalf("%s: %+v %v", c.Do, ack, err)
	}
}

// TestWhatIsWrongIsThereFromTheFirst asks a room as soon as it is made. Nobody is to hear that all is well only because nobody has looked.
func TestWhatIsWrongIsThereFromTheFirst(t *testing.T) {
	store, _, err := journal.Open(filepath.Join(t.TempDir(), "roomd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r, err := New(t.Context(), Options{
		Config: Config{Room: "Test"}, Store: store, Library: fakeLibrary{}, Log: slog.New(slog.DiscardHandler),
		Sound: &fakeSound{events: make(chan player.Event)}, Lights: &fakeLamps{changed: make(chan struct{})},
		Problems: func() []Problem { return []Problem{NewProblem("disk", "record-some")} },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := r.Snapshot()
	part := func(p PartView) bool { return p.Part == "disk" && p.State != Working }
	if len(s.Problems) != 1 || s.Problems[0].Code != "record-some" || !slices.ContainsFunc(s.Parts, part) {
		t.Errorf("problems %v, parts %+v", s.Problems, s.Parts)
	}
}

func TestRoomTakesUpItsSession(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roomd.db")
	a := openRoom(t, path)
	a.must(t, Command{Do: Start, Playlist: "journey"})
	a.must(t, Command{Do: MarkNow, Name: "Vitals"})
	a.must(t, Command{Do: Extend, By: "5m"})
	down := -3.0
	a.must(t, Command{Do: SetLevel, DB: &down})
	before := a.Snapshot().Session
	score, _ := a.sound.asked()
	a.stop()

	b := openRoom(t, path)
	after := b.Snapshot().Session
	if after == nil || after.ID != before.ID || after.StartedMS != before.StartedMS {
		t.Fatalf("the session after the restart is %+v", after)
	}
	if !reflect.DeepEqual(after.Phases, before.Phases) || !reflect.DeepEqual(after.Marks, before.Marks) || after.LevelDB != -3 {
		t.Errorf("the arc after the restart is another:\n%+v\n%+v", before, after)
	}
	// The loop gives the player the same score, at the level it had, and the lights their scene.
	deadline := time.Now().Add(5 * time.Second)
	for {
		again, master := b.sound.asked()
		if len(again.Clips) > 0 && b.lamps.last().Scene != nil {
			if !reflect.DeepEqual(again, score) || master.DB != -3 || master.Over != 0 {
				t.Errorf("the player was asked for %+v at %+v", again, master)
			}
			if at := time.Since(b.sound.zero); at > 20*time.Second {
				t.Errorf("the session's start was %v ago", at)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the player got no score")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRoomDoesACommandOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roomd.db")
	a := openRoom(t, path)
	a.must(t, Command{ID: "s", Do: Start, Playlist: "journey"})
	for range 3 {
		a.must(t, Command{ID: "m", Do: MarkNow, Name: "Vitals"})
		a.must(t, Command{ID: "s", Do: Start, Playlist: "journey"})
	}
	if n := len(a.Snapshot().Session.Marks); n != 1 {
		t.Errorf("one tap made %d marks", n)
	}
	a.stop()
	b := openRoom(t, path)
	b.must(t, Command{ID: "m", Do: MarkNow, Name: "Vitals"})
	if n := len(b.Snapshot().Session.Marks); n != 1 {
		t.Errorf("a tap repeated after a restart made %d marks", n)
	}
}

func TestRoomRefusesInWords(t *testing.T) {
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	for _, c := range []struct {
		cmd   Command
		field string
	}{
		{Command{ID: "1", Do: Hold}, ""},
		{Command{ID: "2", Do: Start, Playlist: "nothing"}, "playlist"},
		{Command{ID: "3", Do: Start}, "playlist"},
		{Command{Do: Start, Playlist: "journey"}, "id"},
		{Command{ID: "4", Do: SetScene, Scene: "beach"}, "scene"},
		{Command{ID: "5", Do: Start, Playlist: "journey"}, "-"},
		{Command{ID: "6", Do: Start, Playlist: "journey"}, ""},
		{Command{ID: "7", Do: SetScene, Scene: "dusk"}, ""},
		{Command{ID: "8", Do: MarkNow, Name: "Someone's name"}, "name"},
		{Command{ID: "9", Do: "explode"}, "do"},
		{Command{ID: "10", Do: SetLevel}, "db"},
		{Command{ID: "11", Do: Extend, By: "soon"}, "by"},
		{Command{ID: "12", Do: Next, Phase: "Journey"}, ""},
	} {
		_, err := a.Do(t.Context(), c.cmd)
		var r *Refused
		if c.field == "-" {
			if err != nil {
				t.Errorf("%+v: %v", c.cmd, err)
			}
			continue
		}
		if !errors.As(err, &r) || r.Field != c.field || r.Reason == "" {
			t.Errorf("%+v: %v, wanted the field %q", c.cmd, err, c.field)
		}
	}
}

func TestRoomCoversABrokenTrack(t *testing.T) {
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	a.must(t, Command{Do: Start, Playlist: "journey"})
	sc, _ := a.sound.asked()
	a.sound.events <- player.Event{Kind: player.ClipFailed, Clip: sc.Clips[0].ID, Detail: "no such file"}
	deadline := time.Now().Add(5 * time.Second)
	for {
		sc, _ = a.sound.asked()
		if i := slices.IndexFunc(sc.Clips, func(c player.Clip) bool { return c.Title == "Moss" }); i >= 0 && sc.Clips[i].Start < time.Minute {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the next track was not brought forward: %+v", sc.Clips[:2])
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRoomInAnEmergency(t *testing.T) {
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	a.must(t, Command{Do: Emergency}) // also with no session
	if m := a.lamps.last(); m.Kind != lights.Urgent || m.Scene["ambient"].L != 100 {
		t.Errorf("the lights were asked for %+v", m)
	}
	a.must(t, Command{Do: Start, Playlist: "journey"})
	a.must(t, Command{Do: Emergency})
	_, m := a.sound.asked()
	if m.DB > -100 || m.Over > 2*time.Second {
		t.Errorf("the music was asked for %+v", m)
	}
	if s := a.Snapshot().Session; !s.Emergency || s.State != Running {
		t.Errorf("the session is %+v", s)
	}
	a.must(t, Command{Do: Resume})
	if m := a.lamps.last(); m.Kind == lights.Urgent || m.Over < 10*time.Second {
		t.Errorf("the lights went back by %+v", m)
	}
}

func TestRoomRefusesWhatCameTooLate(t *testing.T) {
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	a.must(t, Command{ID: "s", Do: Start, Playlist: "journey", BeforeMS: ms(a.Now()) + 60_000})
	in := ms(a.Now()) + 60_000
	a.must(t, Command{ID: "m", Do: MarkNow, Name: "Vitals", BeforeMS: in})
	rig.Eventually(t, "the room's clock has begun", func() bool { return ms(a.Now()) > 1 }) // 0 stands for never
	late := ms(a.Now()) - 1
	var r *Refused
	if _, err := a.Do(t.Context(), Command{ID: "late", Do: MarkNow, Name: "Vitals", BeforeMS: late}); !errors.As(err, &r) || r.Field != "" || r.Reason == "" {
		t.Errorf("a late tap gave %v", err)
	}
	a.must(t, Command{ID: "m", Do: MarkNow, Name: "Vitals", BeforeMS: late}) // done in time: a late repeat is acknowledged
	if n := len(a.Snapshot().Session.Marks); n != 1 {
		t.Errorf("%d marks, wanted the one that came in time", n)
	}
}

// TestPingTellsAStuckOwner hangs the owner where it moves the lights.
func TestPingTellsAStuckOwner(t *testing.T) {
	a := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	if err := a.ping(t, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	a.lamps.mu.Lock()
	done := make(chan error, 1)
	go func() {
		_, err := a.Do(context.WithoutCancel(t.Context()), Command{ID: "e", Do: Emergency})
		done <- err
	}()
	var err error
	for deadline := time.Now().Add(5 * time.Second); err == nil && time.Now().Before(deadline); {
		err = a.ping(t, 500*time.Millisecond)
	}
	a.lamps.mu.Unlock()
	if err == nil {
		t.Error("an owner that is stuck answers")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := a.ping(t, 10*time.Second); err != nil {
		t.Error(err)
	}
}
