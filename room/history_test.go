package room

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/player"
	"roomd/rig"
	"roomd/room/journal"
	"roomd/room/lights"
)

// ended runs a session with one mark to its end, and returns its and the mark's ID.
func ended(t *testing.T, r *testRoom) (session, mark string) {
	t.Helper()
	mark = NewID()
	r.must(t, Command{Do: Start, Playlist: "journey"})
	r.must(t, Command{ID: mark, Do: MarkNow, Name: "Lozenge"})
	session = r.Snapshot().Session.ID
	r.must(t, Command{Do: Abort})
	rig.Eventually(t, "it has ended", func() bool { return r.Snapshot().Session.State == Ended })
	return session, mark
}

func refusal(err error) string {
	var refused *Refused
	if errors.As(err, &refused) {
		return refused.Error()
	}
	return ""
}

// The page counts an emergency's own time from its first tap, until Resume.
func TestEmergencyHasATime(t *testing.T) {
	s, _ := NewSession("s", begin(journey()))
	for _, c := range []struct {
		at   time.Duration
		id   string
		do   Verb
		of   string
		want int64
	}{
		{time.Minute, "a", Emergency, "", 60_000}, {2 * time.Minute, "b", Emergency, "", 60_000}, {3 * time.Minute, "c", Resume, "", 0},
		{4 * time.Minute, "d", Emergency, "", 240_000}, {4*time.Minute + time.Second, "e", Undo, "d", 0},
	} {
		n, _, err := s.Step(Input{Command: &Command{ID: c.id, Do: c.do, Of: c.of}}, c.at)
		if err != nil {
			t.Fatal(c.id, err)
		}
		s = n
		if got := s.View(c.at).EmergencyMS; got != c.want {
			t.Errorf("after %s: %d, not %d", c.id, got, c.want)
		}
	}
}

// What was written to a session is read with it; a later note takes the place of an earlier one. It can be written after
// the end, and after a restart.
func TestNotes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roomd.db")
	r := openRoom(t, path)
	id, mark := ended(t, r)
	for _, c := range []struct{ session, of, text, want string }{
		{"nothing", "", "x", "session: There is no such session."}, {id, "nothing", "x", "of: There is no such mark in this session."},
		{id, mark, strings.Repeat("ö", maxNote+1), "text: The note is longer than 1,000 characters. Shorten it."}, {id, mark, "a\x00b", "text: The note contains characters that can't be saved. Remove them."},
	} {
		if _, err := r.Do(t.Context(), Command{ID: NewID(), Do: WriteNote, Session: c.session, Of: c.of, Text: c.text}); refusal(err) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
	r.must(t, Command{Do: WriteNote, Session: id, Of: mark, Text: "first words"})
	r.must(t, Command{Do: WriteNote, Session: id, Text: "calm\nthroughout"})
	r.stop()
	r = openRoom(t, path)
	r.must(t, Command{Do: WriteNote, Session: id, Of: mark, Text: "  tears  "})
	rec, ok, err := r.Session(t.Context(), id)
	if err != nil || !ok || len(rec.Notes) != 2 || rec.Notes[0] != (WrittenNote{Text: "calm\nthroughout"}) || rec.Notes[1] != (WrittenNote{Of: mark, Text: "tears"}) {
		t.Fatalf("%+v, %v", rec.Notes, err)
	}
	if rec.Session == nil || len(rec.Session.Marks) != 1 || len(rec.Session.Phases) == 0 || rec.Zero != "Lozenge" {
		t.Errorf("the record lacks its arc: %+v", rec)
	}
	r.must(t, Command{Do: WriteNote, Session: id, Of: "", Text: ""}) // emptied: counts no more
	list, err := r.Sessions(t.Context())
	if err != nil || len(list) != 1 || list[0].Marks != 1 || list[0].Written != 1 || list[0].EndedAgoMS <= 0 || list[0].EndedAgoMS > ms(time.Hour) {
		t.Errorf("%+v, %v", list, err)
	}
	for _, e := range rec.Events {
		if bytes.Contains(e.Data, []byte("first words")) {
			t.Error("a note that was replaced is still told")
		}
	}
}

// What is erased is gone from the disk, and what is older than the room keeps erases itself.
func TestErase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roomd.db")
	r := openRoom(t, path)
	keep, _ := ended(t, r)
	id, mark := ended(t, r)
	r.must(t, Command{Do: WriteNote, Session: id, Of: mark, Text: "unmistakable"})
	onDisk := func(text string) bool {
		for _, ending := range []string{"", "-wal"} {
			if b, _ := os.ReadFile(path + ending); bytes.Contains(b, []byte(text)) {
				return true
			}
		}
		return false
	}
	if !onDisk("unmistakable") {
		t.Fatal("the note is not on the disk")
	}
	r.must(t, Command{Do: Start, Playlist: "journey"})
	running := r.Snapshot().Session.ID
	if err := r.Erase(t.Context(), running); refusal(err) == "" {
		t.Errorf("a running session was erased: %v", err)
	}
	if err := r.Erase(t.Context(), "nothing"); refusal(err) == "" {
		t.Errorf("a session that is not there was erased: %v", err)
	}
	r.must(t, Command{Do: Abort})
	rig.Eventually(t, "it has ended", func() bool { return r.Snapshot().Session.State == Ended })
	for _, x := range []string{id, running} {
		if err := r.Erase(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := r.Session(t.Context(), x); ok || err != nil {
			t.Errorf("it is still there: %v", err)
		}
		if onDisk(x) {
			t.Errorf("%s is still on the disk", x)
		}
	}
	if onDisk("unmistakable") {
		t.Error("a note of it is still on the disk")
	}
	if r.Snapshot().Session != nil {
		t.Error("an erased session is still shown")
	}
	list, err := r.Sessions(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != keep {
		t.Fatalf("%+v, %v", list, err)
	}

	// By age, on the room's clock; what was set aside goes by its own.
	aside := path + ".damaged-1"
	if err := os.WriteFile(aside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.stop()
	store, _, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rows, err := store.Sessions(t.Context(), 10)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	for _, c := range []struct {
		before int64
		left   int
	}{{rows[0].EndedMS, 1}, {rows[0].EndedMS + 1, 0}} {
		if err := store.ForgetBefore(t.Context(), c.before); err != nil {
			t.Fatal(err)
		}
		if rows, err := store.Sessions(t.Context(), 10); err != nil || len(rows) != c.left {
			t.Errorf("before %d: %+v, %v", c.before, rows, err)
		}
	}
	if onDisk(keep) {
		t.Error("what was too old is still on the disk")
	}
	if err := store.ForgetDamaged(time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Error("a file was removed that was set aside just now")
	}
	if err := store.ForgetDamaged(-time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(aside); err == nil {
		t.Error("an old file that was set aside is still there")
	}
}

// A room erases by itself, but never while a session runs.
func TestRoomErasesWhatIsOld(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roomd.db")
	r := openRoom(t, path)
	ended(t, r)
	ended(t, r)
	r.stop()
	store, _, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	// As if it were a month later.
	a, err := store.Anchor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.Room += 31 * 24 * time.Hour
	if err := store.SetAnchor(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	r = runRoomWith(t, store, func(c *Config) { c.KeepDays = 30 })
	rig.Eventually(t, "they are erased", func() bool {
		list, err := r.Sessions(t.Context())
		return err == nil && len(list) == 0
	})
	id, _ := ended(t, r)
	list, err := r.Sessions(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != id || list[0].ErasedInMS == nil || *list[0].ErasedInMS > ms(30*24*time.Hour) || *list[0].ErasedInMS < ms(29*24*time.Hour) {
		t.Errorf("%+v, %v", list, err)
	}
	r.must(t, Command{Do: Start, Playlist: "journey"})
	r.o.Config.KeepDays = -1 // all that has ended
	r.forgetOld(context.Background())
	if list, err := r.Sessions(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("erased in a session: %+v, %v", list, err)
	}
}

// The sound is checked at the loudest that the session gets, softly in and out, and only before it.
func TestSoundCheck(t *testing.T) {
	r := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	if _, err := r.Do(t.Context(), Command{ID: NewID(), Do: Silence}); refusal(err) == "" {
		t.Errorf("silence with nothing to silence: %v", err)
	}
	r.must(t, Command{Do: CheckSound, Playlist: "journey"})
	sc := played(r)
	if !r.Snapshot().Checking {
		t.Error("the sound check is not shown")
	}
	loudest := -100.0
	for _, p := range journey().Phases {
		loudest = max(loudest, p.Level-23)
	}
	if len(sc.Clips) != 1 || len(sc.Levels) != 1 || sc.Levels[0].Target != loudest || sc.End != checkTime || sc.Clips[0].FadeIn < 2*time.Second || sc.Clips[0].FadeOut < 2*time.Second {
		t.Fatalf("%+v, the loudest phase is at %g", sc, loudest)
	}
	r.must(t, Command{Do: Silence})
	stop := played(r)
	if r.Snapshot().Checking {
		t.Error("a sound check is shown that was ended")
	}
	if stop.Clips[0].ID != sc.Clips[0].ID || stop.End > 3*time.Second || stop.Clips[0].FadeOut != time.Second {
		t.Errorf("ended by %+v", stop)
	}
	r.must(t, Command{Do: Start, Playlist: "journey"})
	if _, err := r.Do(t.Context(), Command{ID: NewID(), Do: CheckSound, Playlist: "journey"}); refusal(err) == "" {
		t.Errorf("a sound check in a session: %v", err)
	}
	r.must(t, Command{Do: Silence}) // the session's
	if !r.Snapshot().Session.Silent {
		t.Error("silence does not reach the session")
	}
}

// An audition is a moment of the session as it will sound, and ends like a sound check.
func TestAudition(t *testing.T) {
	r := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	at := 70 * time.Minute
	r.must(t, Command{Do: Audition, Playlist: "journey", AtMS: at.Milliseconds()})
	sc := played(r)
	whole := Rehearsal(Begin{Playlist: journey(), Reference: -23}).Score()
	if sc.End != at+auditionTime || !r.Snapshot().Checking || len(sc.Clips) == 0 || len(sc.Levels) != len(whole.Levels) {
		t.Fatalf("%+v", sc)
	}
	for k, c := range sc.Clips {
		w := whole.Clips[k]
		if c.Start != w.Start || c.From != w.From || c.File != w.File || c.Gain != w.Gain || c.End > sc.End || w.End < sc.End && c.End != w.End {
			t.Errorf("%+v is not as the session has it: %+v", c, w)
		}
		if c.End == sc.End && w.End > sc.End && c.FadeOut != 3*time.Second {
			t.Errorf("cut off: %+v", c)
		}
	}
	r.must(t, Command{Do: Silence})
	if stop := played(r); stop.End > at+3*time.Second || stop.End < at+time.Second || r.Snapshot().Checking {
		t.Errorf("ended by %+v", stop)
	}
	for _, bad := range []int64{-1, 24 * 3600 * 1000} {
		if _, err := r.Do(t.Context(), Command{ID: NewID(), Do: Audition, Playlist: "journey", AtMS: bad}); refusal(err) == "" {
			t.Errorf("%d ms: %v", bad, err)
		}
	}
	r.must(t, Command{Do: Start, Playlist: "journey"})
	if _, err := r.Do(t.Context(), Command{ID: NewID(), Do: Audition, Playlist: "journey"}); refusal(err) == "" {
		t.Errorf("an audition in a session: %v", err)
	}
}

// Music before people come is the playlist's own, softer; it ends after its time, by silence, or where a session begins.
func TestArrival(t *testing.T) {
	r := openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	soft := -12.0
	c := Command{Do: Arrival, Playlist: "journey", By: "20m", DB: &soft}
	r.must(t, c)
	sc, whole := played(r), Rehearsal(Begin{Playlist: journey(), Reference: -23}).Score()
	if sc.End != 20*time.Minute || len(sc.Clips) == 0 || !r.Snapshot().Checking || r.Snapshot().Session != nil {
		t.Fatalf("%+v", sc)
	}
	for k, c := range sc.Clips {
		if w := whole.Clips[k]; c.Start != w.Start || c.File != w.File || c.Gain != w.Gain-12 || c.End > sc.End {
			t.Errorf("%+v is not the session's %+v", c, w)
		}
	}
	if last := sc.Clips[len(sc.Clips)-1]; last.FadeOut != 10*time.Second || last.End != sc.End {
		t.Errorf("it ends with %+v", last)
	}
	for k, l := range sc.Levels {
		if l.Target != whole.Levels[k].Target-12 {
			t.Errorf("guarded at %+v, the session at %+v", l, whole.Levels[k])
		}
	}
	r.must(t, Command{Do: Silence})
	if stop := played(r); stop.End > 5*time.Second || r.Snapshot().Checking {
		t.Errorf("ended by %+v", stop)
	}
	loud, long := 3.0, c
	long.By = "soon"
	for _, bad := range []Command{long, {Do: Arrival, Playlist: "journey", By: "20m"}, {Do: Arrival, Playlist: "journey", By: "20m", DB: &loud}} {
		bad.ID = NewID()
		var no *Refused
		if _, err := r.Do(t.Context(), bad); !errors.As(err, &no) || no.Field == "" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	r.must(t, c)
	r.must(t, Command{Do: Start, Playlist: "journey"})
	if sc := played(r); r.Snapshot().Checking || sc.End != whole.End || sc.Clips[0].Gain != whole.Clips[0].Gain {
		t.Errorf("the session plays %+v", sc)
	}
	c.ID = NewID()
	if _, err := r.Do(t.Context(), c); refusal(err) == "" {
		t.Errorf("music over a session: %v", err)
	}
}

// A rehearsal goes through the session at its speed: its phases when they come, its light no faster than light may move.
func TestRehearse(t *testing.T) {
	store, _, err := journal.Open(filepath.Join(t.TempDir(), "roomd.db"))
	if err != nil {
		t.Fatal(err)
	}
	r := runRoomWith(t, store, func(c *Config) { c.Scenes["floor"] = lights.Scene{"ambient": {L: 5}} })
	from := func(at time.Duration, speed int) Command {
		return Command{Do: Rehearse, Playlist: "journey", AtMS: at.Milliseconds(), Speed: speed}
	}
	// Twenty seconds before the onset, sixty times as fast: it is there within the second.
	r.must(t, from(40*time.Minute-20*time.Second, 60))
	v := r.Snapshot().Rehearsal
	if v == nil || v.Phase != "Intention" || v.Playlist != "journey" || v.Speed != 60 || v.EndMS != (180*time.Minute).Milliseconds() || v.AtMS < (40*time.Minute-21*time.Second).Milliseconds() {
		t.Fatalf("%+v", v)
	}
	if m := r.lamps.last(); m.Scene["ambient"].L != 20 || m.Kind != lights.Unplanned || m.Over != 5*time.Second {
		t.Errorf("begun with %+v", m)
	}
	rig.Eventually(t, "the onset, with its light", func() bool {
		v := r.Snapshot().Rehearsal
		m := r.lamps.last()
		return v != nil && v.Phase == "Onset" && v.AtMS >= (40*time.Minute).Milliseconds() && m.Scene["ambient"].L == 5 && m.Kind == lights.Unplanned
	})
	if sc, _ := r.sound.asked(); len(sc.Clips) > 0 {
		t.Errorf("it sounds: %+v", sc)
	}
	if s := r.Snapshot().Session; s != nil {
		t.Errorf("a session is kept of it: %+v", s)
	}
	r.must(t, Command{Do: Silence})
	if v := r.Snapshot().Rehearsal; v != nil {
		t.Errorf("silence does not end it: %+v", v)
	}
	// Its end ends it, and so does whoever takes the light, or a session.
	r.must(t, from(180*time.Minute-time.Second, 600))
	rig.Eventually(t, "it is over", func() bool { return r.Snapshot().Rehearsal == nil })
	for _, c := range []Command{{Do: SetScene, Scene: "dusk"}, {Do: Care}, {Do: Start, Playlist: "journey"}} {
		r.must(t, from(0, 1))
		r.must(t, c)
		if v := r.Snapshot().Rehearsal; v != nil {
			t.Errorf("%s does not end it: %+v", c.Do, v)
		}
	}
	if _, err := r.Do(t.Context(), Command{ID: NewID(), Do: Rehearse, Playlist: "journey", Speed: 1}); refusal(err) == "" {
		t.Errorf("a rehearsal in a session: %v", err)
	}
	r = openRoom(t, filepath.Join(t.TempDir(), "roomd.db"))
	for _, bad := range []Command{from(0, 0), from(0, 601), from(-time.Second, 1), from(180*time.Minute, 1)} {
		bad.ID = NewID()
		var no *Refused
		if _, err := r.Do(t.Context(), bad); !errors.As(err, &no) || no.Field == "" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestExcerpt(t *testing.T) {
	min := time.Minute
	sc := player.Score{Clips: []player.Clip{
		{ID: "a", Bed: "rain", Start: 0, End: 10 * min},
		{ID: "b", File: "/quiet.flac", Start: 10 * min, End: 20 * min, Gain: -3},
		{ID: "c", File: "/loud.flac", Start: 20 * min, End: 22 * min, From: 5 * time.Second, Gain: -9},
		{ID: "d", Bed: "ocean", Start: 22 * min, End: 30 * min},
	}, Levels: []player.Level{{At: 0, Target: -20}, {At: 10 * min, Target: -29}, {At: 20 * min, Target: -26}, {At: 22 * min, Target: -18}}}
	got, ok := excerpt(sc)
	c := got.Clips[0]
	if !ok || c.File != "/loud.flac" || c.From != 5*time.Second+min-checkTime/2 || c.Start != 0 || c.End != checkTime || c.Gain != -9 || got.Levels[0].Target != -26 {
		t.Errorf("%+v", got)
	}
	sc.Clips = sc.Clips[:1]
	if got, ok := excerpt(sc); !ok || got.Clips[0].Bed != "rain" || got.Levels[0].Target != -20 {
		t.Errorf("of a bed: %+v", got)
	}
	if _, ok := excerpt(player.Score{}); ok {
		t.Error("of nothing")
	}
}

func played(r *testRoom) player.Score {
	sc, _ := r.sound.asked()
	return sc
}
