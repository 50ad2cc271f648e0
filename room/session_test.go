package room

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roomd/playlists"
	"roomd/rig"
)

// begin is what a session of a playlist starts from.
func begin(pl playlists.Playlist) Begin {
	return Begin{Playlist: pl, Reference: -23, Ceiling: 6, Seed: 7, Marks: []string{"Lozenge", "Vitals"}, Rules: rules}
}

// drawPlaylist is a random playlist.
func drawPlaylist(t *rapid.T) playlists.Playlist {
	p := playlists.Playlist{ID: "random", Name: "Random", Bed: playlists.Drone,
		Keep: rapid.SampledFrom([]playlists.Keep{playlists.KeepEnd, playlists.KeepLengths}).Draw(t, "keep")}
	stages := []playlists.Stage{playlists.Preparation, playlists.Administration, playlists.Integration}
	for st, stage := range stages {
		for k := range rapid.IntRange(1, 3).Draw(t, "phases") {
			ph := playlists.Phase{
				Name: fmt.Sprintf("%s %d", stage, k), Stage: stage,
				Length:    time.Duration(rapid.IntRange(20, 2400).Draw(t, "length")) * time.Second,
				Crossfade: time.Duration(rapid.IntRange(0, 15).Draw(t, "crossfade")) * time.Second,
				Order:     rapid.SampledFrom([]playlists.Order{playlists.Listed, playlists.Shuffle, playlists.BestFit, playlists.Pooled, playlists.Pooled}).Draw(t, "order"),
				Level:     float64(rapid.IntRange(-10, 3).Draw(t, "level")),
			}
			ph.Flex = time.Duration(rapid.IntRange(0, 60).Draw(t, "flex")) * time.Second
			ph.Flex = min(ph.Flex, ph.Length/3)
			if rapid.IntRange(0, 3).Draw(t, "waits") == 0 {
				ph.Until = "Lozenge"
			}
			if ph.Order == playlists.Pooled {
				drawPool(t, &ph)
			} else if rapid.IntRange(0, 6).Draw(t, "silent") == 0 {
				ph.Music = []playlists.Item{{Silence: true}}
			} else {
				for n := range rapid.IntRange(0, 6).Draw(t, "items") {
					if rapid.IntRange(0, 6).Draw(t, "bed") == 0 {
						ph.Music = append(ph.Music, playlists.Item{Bed: playlists.Ocean})
					} else {
						ph.Music = append(ph.Music, track(fmt.Sprint(st, k, n), time.Duration(rapid.IntRange(1, 1500).Draw(t, "track"))*time.Second, -20))
					}
				}
			}
			p.Phases = append(p.Phases, ph)
		}
	}
	p.Remind = []playlists.Reminder{{After: "Lozenge", In: 7 * time.Minute, Say: "Spit or swallow", Marks: []string{"Vitals"}}, {In: time.Minute, Say: "Begin"}}
	p.Boost = &playlists.Boost{Mark: "Booster", Phase: p.Phases[len(p.Phases)-1].Name, By: 10 * time.Minute}
	return p
}

// drawPool fills a phase with a pool of some of the same thirty tracks and two beds, with a menu or without.
func drawPool(t *rapid.T, ph *playlists.Phase) {
	if rapid.Bool().Draw(t, "course") {
		ph.Course = &playlists.Course{From: float64(rapid.IntRange(1, 5).Draw(t, "from")), To: float64(rapid.IntRange(1, 5).Draw(t, "to"))}
	}
	in := rapid.Uint32().Draw(t, "in the pool")
	for n := range 30 {
		if in>>n&1 == 0 {
			continue
		}
		it := track(fmt.Sprint("pool", n), time.Duration(20+n*n%29*20)*time.Second, -20)
		it.Track.Intensity = float64(n % 6)
		ph.Music = append(ph.Music, it)
	}
	if len(ph.Music) == 0 || rapid.IntRange(0, 3).Draw(t, "beds") == 0 {
		ph.Music = append(ph.Music, playlists.Item{Bed: playlists.Rain, Intensity: 2}, playlists.Item{Bed: playlists.Drone, Intensity: 4})
	}
	if rapid.Bool().Draw(t, "menu") {
		half := len(ph.Music)/2 + 1
		var ground, open []int
		for k := range ph.Music {
			if k < half {
				ground = append(ground, k)
			} else {
				open = append(open, k)
			}
		}
		ph.Menu = []playlists.Choice{{Name: "Ground", Items: ground}, {Name: "Open", Items: open}, {Name: "Still", Silence: true}}
	}
}

// drawCommand is a random command that might be tapped.
func drawCommand(t *rapid.T, n int, s *Session, now time.Duration) Command {
	c := Command{ID: fmt.Sprint("c", n)}
	c.Do = rapid.SampledFrom([]Verb{Hold, Release, Next, Extend, SetLevel, Silence, Resume, Skip, MarkNow, MarkNow, BringBack, Soften, Care,
		Emergency, Undo, Undo, Follow, Revise, StartTimer, StopTimer, Deeper, Lighter, Another, Choose, Choose, Bring, Bring, Change}).Draw(t, "verb")
	if s.pooled(s.Current) && rapid.IntRange(0, 2).Draw(t, "steers") > 0 {
		c.Do = rapid.SampledFrom([]Verb{Deeper, Lighter, Another, Choose, Bring}).Draw(t, "steer")
	}
	switch c.Do {
	case Extend:
		c.By = rapid.SampledFrom([]string{"5m", "-5m", "1m", "-1m", "30s"}).Draw(t, "by")
	case SetLevel:
		db := float64(rapid.SampledFrom([]int{-12, -3, -1, 1, 3, 6}).Draw(t, "db"))
		c.DB = &db
	case MarkNow:
		c.Name = rapid.SampledFrom([]string{"Lozenge", "Booster", "Vitals"}).Draw(t, "mark")
		c.Then = rapid.SampledFrom([]Then{"", "", ThenBegin, ThenNote}).Draw(t, "then")
		c.Second = rapid.Bool().Draw(t, "second")
	case StartTimer:
		c.Name, c.In = rapid.SampledFrom([]string{"Vitals", "Lozenge"}).Draw(t, "timer"), rapid.SampledFrom([]string{"10s", "5m"}).Draw(t, "in")
	case StopTimer:
		if all := s.timers(now); len(all) > 0 {
			c.Of = all[0].ID
		}
	case Choose:
		c.Name = rapid.SampledFrom([]string{"Ground", "Open", "Still", "Other"}).Draw(t, "word")
	case Revise, Change:
		pl := drawPlaylist(t)
		pl.Revision = c.ID
		c.Plan = &pl
	case Undo:
		if open := s.undoable(now); len(open) > 0 {
			c.Of = s.inputs[open[0].input].id
		}
	}
	return c
}

// onlyNoted reports whether a person chose to only note a mark.
func onlyNoted(s *Session, mark string) bool {
	return slices.ContainsFunc(s.inputs, func(i taken) bool {
		return i.in.Command != nil && i.in.Command.Name == mark && i.in.Command.Then == ThenNote && !i.undone
	})
}

// sound checks what promise 2 and 4 ask of the arc: music without a gap wherever it is due, phases one behind the
// other, nothing past the end.
func sound(t *rapid.T, s *Session, now time.Duration) {
	p := s.projected(now)
	var at time.Duration
	for i, sp := range p.Spans {
		if sp.Passed {
			continue
		}
		if sp.Start != at {
			t.Fatalf("phase %d starts at %v, the one before ended at %v", i, sp.Start, at)
		}
		if sp.End < sp.Start {
			t.Fatalf("phase %d ends before it starts: %v at %v, %v, phase %d: %+v", i, sp, now, s.State, s.Current, p.Spans)
		}
		at = sp.End
		if s.State != Running || sp.End <= now || p.silent(i) {
			continue
		}
		// Music has to cover the phase from its start, or from now, or until the silence that was chosen.
		from := max(sp.Start, now)
		if a := s.steered(); a != nil && i == s.Current && a.still {
			sp.End = min(sp.End, s.begins(a))
		}
		for progress := true; progress && from < sp.End; {
			progress = false
			for _, q := range p.Pieces {
				if q.Start <= from && q.End > from {
					from, progress = q.End, true
				}
			}
		}
		if from < sp.End {
			t.Fatalf("silence from %v to %v in phase %d at %v: %+v", from, sp.End, i, now, p.Pieces)
		}
	}
	for _, q := range p.Pieces {
		if s.State == Running && q.Start > now && q.End > p.Ends() {
			t.Fatalf("piece %s ends at %v, after the session's end %v", q.ID, q.End, p.Ends())
		}
		if q.fadeIn < 0 || q.fadeOut < 0 {
			t.Fatalf("piece %s fades %v, %v", q.ID, q.fadeIn, q.fadeOut)
		}
	}
	ids := map[string]bool{}
	for _, q := range p.Pieces {
		if ids[q.ID] {
			t.Fatalf("two pieces are called %s: %+v", q.ID, p.Pieces)
		}
		ids[q.ID] = true
	}
	for i, sp := range s.Spans {
		if sp.Waiting == s.zero() && !sp.Over && !sp.Passed && s.given(sp.Waiting) != nil && !onlyNoted(s, sp.Waiting) {
			t.Fatalf("phase %d waits for %s, which was given", i, sp.Waiting)
		}
	}
	if db := s.master() + s.phase(s.Current).Level; db > s.Begin.Ceiling+1e-9 {
		t.Fatalf("%.1f dB over the reference, ceiling %.1f", db, s.Begin.Ceiling)
	}
}

// given is an input at its time.
type given struct {
	in  Input
	now time.Duration
}

// drawTime is a moment after now at which something might be tapped: soon, within minutes, or around the end of the phase.
func drawTime(t *rapid.T, s *Session, now time.Duration) time.Duration {
	switch rapid.IntRange(0, 3).Draw(t, "when") {
	case 0:
		return now + time.Duration(rapid.IntRange(0, 900_000).Draw(t, "wait"))*time.Millisecond
	case 1:
		return now + time.Duration(rapid.IntRange(0, 9_000).Draw(t, "wait"))*time.Millisecond
	case 2:
		at := (s.Spans[s.Current].End + time.Duration(rapid.IntRange(-16_000, 3_000).Draw(t, "around"))*time.Millisecond).Truncate(time.Millisecond)
		if at > now && at < now+time.Hour {
			return at
		}
	}
	return now
}

// drawInput is a random input at now.
func drawInput(t *rapid.T, n int, s *Session, now time.Duration) Input {
	if rapid.IntRange(0, 9).Draw(t, "trouble") == 0 && len(s.Pieces) > 0 {
		return Input{Trouble: &Trouble{Clip: s.Pieces[rapid.IntRange(0, len(s.Pieces)-1).Draw(t, "clip")].ID}}
	}
	c := drawCommand(t, n, s, now)
	return Input{Command: &c}
}

// check does what Step must never break: it leaves its argument alone, refuses in words, and what comes out is sound.
func step(t *rapid.T, s *Session, in Input, now time.Duration) (*Session, Effects, error) {
	before := fmt.Sprintf("%+v", s)
	next, eff, err := s.Step(in, now)
	if fmt.Sprintf("%+v", s) != before {
		t.Fatal("Step changed the session that it was given")
	}
	if _, ok := err.(*Refused); err != nil && !ok && err != errNotOurs {
		t.Fatalf("refused without a reason: %v", err)
	}
	sound(t, next, now)
	return next, eff, err
}

// seen is what a person can see of a session, without the list of what can be undone.
func seen(s *Session, now time.Duration) SessionView {
	v := *s.View(now)
	v.Undo = nil
	return v
}

// same compares two sessions: the whole arc, what has happened, and what is to happen.
func same(a, b *Session) string {
	if a.State == b.State && a.EndAt == b.EndAt && a.Ending == b.Ending && slices.Equal(a.Notes, b.Notes) && reflect.DeepEqual(a.arc, b.arc) {
		return ""
	}
	tell := func(s *Session) string {
		return strings.ReplaceAll(fmt.Sprintf("%s %v %s\n%+v\n%+v", s.State, s.EndAt, s.Ending, s.Notes, s.arc), "} {", "}\n{")
	}
	return cmp.Diff(tell(a), tell(b)) + " "
}

// TestSessionUnderRandomCommands is the session's promises under random commands, troubles and restarts.
func TestSessionUnderRandomCommands(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := begin(drawPlaylist(t))
		s, _ := NewSession("s", b)
		var log []given
		var now time.Duration
		sound(t, s, now)
		for n := range rapid.IntRange(0, 25).Draw(t, "inputs") {
			now = drawTime(t, s, now)
			s, _, _ = s.Step(Input{}, now) // so that a command means what stands
			in := drawInput(t, n, s, now)
			next, eff, err := step(t, s, in, now)
			if err == nil {
				continuous(t, s, next, in, now)
				if in.Command != nil && in.Command.Do != Undo && reflect.DeepEqual(seen(s, now), seen(next, now)) && eff.Light == nil && s.Begin.Playlist.Revision == next.Begin.Playlist.Revision {
					t.Fatalf("%+v is acknowledged and nobody can see why", *in.Command)
				}
				log = append(log, given{in, now})
			}
			undoMeans(t, s, now)
			if c := in.Command; err == nil && c != nil && len(next.View(now).Undo) > 0 && next.View(now).Undo[0].ID == c.ID {
				doUndoIsNever(t, s, next, c, now)
			}
			s = next
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				r, _ := NewSession("s", b)
				for _, g := range log {
					r, _, _ = r.Step(g.in, g.now)
				}
				r, _, _ = r.Step(Input{}, now)
				if d := same(s, r); d != "" {
					t.Fatalf("a replay is another session:\n%s", d)
				}
				s = r
			}
		}
		// Replaying the inputs gives the same session, also when time is looked at in between.
		r, _ := NewSession("s", b)
		var last time.Duration
		for _, l := range log {
			for mid := last + 7*time.Minute; mid < l.now; mid += 11 * time.Minute {
				r, _, _ = r.Step(Input{}, mid)
			}
			r, _, _ = r.Step(l.in, l.now)
			last = l.now
		}
		r, _, _ = r.Step(Input{}, now)
		if d := same(s, r) + cmp.Diff(s.View(now), r.View(now)) + cmp.Diff(s.Score(), r.Score()); d != "" {
			t.Fatalf("a replay is another session:\n%s", d)
		}
	})
}

// doUndoIsNever holds that a command and its undo, up to ten seconds later and with other things in between, are as if the
// command had never been given.
func doUndoIsNever(t *rapid.T, before, after *Session, c *Command, now time.Duration) {
	never := before
	for k := range rapid.IntRange(0, 2).Draw(t, "meanwhile") {
		now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "later")) * time.Millisecond
		in := Input{Command: &Command{ID: fmt.Sprint("between ", c.ID, k), Do: Follow, Role: "ambient"}}
		after, _, _ = after.Step(in, now)
		never, _, _ = never.Step(in, now)
		if c.Do != Revise && len(never.Pieces) > 0 && rapid.Bool().Draw(t, "trouble too") {
			in := Input{Trouble: &Trouble{Clip: never.Pieces[rapid.IntRange(0, len(never.Pieces)-1).Draw(t, "clip")].ID}}
			if a, _, err := after.Step(in, now); err == nil {
				after = a
				never, _, _ = never.Step(in, now)
			}
		}
	}
	now += time.Duration(rapid.IntRange(0, 3900).Draw(t, "undo after")) * time.Millisecond
	never, _, _ = never.Step(Input{}, now)
	undone, eff, err := after.Step(Input{Command: &Command{ID: "undo " + c.ID, Do: Undo, Of: c.ID}}, now)
	switch {
	case err != nil && (never.State == Ended || after.State != Running || laterState(after, now) != Running):
		return // it would be over
	case err != nil && after.askedUntil(&taken{id: c.ID, in: Input{Command: c}}) <= now:
		return // what it asked has begun
	case err != nil:
		t.Fatalf("%+v can't be undone: %v", *c, err)
	}
	if d := same(never, undone); d != "" {
		t.Fatalf("%+v and its undo at %v are not as if it had never been (-never +undone):\n%s", *c, now, d)
	}
	if !eff.Score {
		t.Fatal("the player is not told")
	}
	sound(t, undone, now)
	// What has sounded stays in the record.
	later, _, _ := after.Step(Input{}, now)
	for _, p := range later.Pieces {
		if p.Start <= now && !slices.ContainsFunc(undone.Pieces, func(q placed) bool { return q.ID == p.ID }) &&
			!slices.ContainsFunc(undone.past, func(q sounded) bool { return q.id == p.ID }) {
			t.Fatalf("%s has sounded and is forgotten", p.ID)
		}
	}
}

// undoMeans takes back each act that is offered at session time now, and holds that the tap does what its words say: an act
// older than ten seconds leaves the present phase and what plays alone, brings on no bright light, and changes something.
// What is not offered is refused.
func undoMeans(t fataler, s *Session, now time.Duration) (late int) {
	s, _, _ = s.Step(Input{}, now)
	view := s.View(now)
	offered := map[string]bool{}
	for k, u := range view.Undo {
		offered[u.ID] = true
		i := slices.IndexFunc(s.inputs, func(i taken) bool { return i.id == u.ID })
		if u.UntilMS <= ms(now) || u.Says == "" {
			t.Fatalf("at %v an undo is offered that is over: %+v", now, u)
		}
		if k > 0 || s.inputs[i].at+undoFor > now {
			continue // doUndoIsNever
		}
		late++
		back, eff, err := s.Step(Input{Command: &Command{ID: "back", Do: Undo, Of: u.ID}}, now)
		if err != nil {
			t.Fatalf("%+v is offered at %v and refused: %v", u, now, err)
		}
		a, b := s.sounding(now), back.sounding(now)
		switch {
		case back.State != Running || back.Current != s.Current || back.Spans[s.Current].Start != s.Spans[s.Current].Start:
			t.Fatalf("undoing %+v at %v moves the phase:\n%s", u, now, same(s, back))
		case u.Do != Skip && ((a == nil) != (b == nil) || a != nil && (a.ID != b.ID || s.file(*a) != back.file(*b))):
			t.Fatalf("undoing %+v at %v changes what plays: %+v, %+v", u, now, a, b)
		case u.Do == Skip && (a == nil || b == nil || a.ID == b.ID):
			t.Fatalf("undoing %+v at %v brings back no track", u, now)
		case eff.Light != nil && eff.Light.Urgent && !s.Care:
			t.Fatalf("undoing %+v at %v brings on bright light", u, now)
		}
		was, is := seen(s, now), seen(back, now)
		if reflect.DeepEqual(was, is) && s.Begin.Playlist.Revision == back.Begin.Playlist.Revision && s.Level == back.Level && len(is.Timeline) == len(was.Timeline) {
			t.Fatalf("undoing %+v at %v changes nothing", u, now)
		}
		// It is offered at least until then.
		if until := time.Duration(u.UntilMS) * time.Millisecond; u.UntilMS < view.EndsAtMS {
			for _, at := range []time.Duration{(now + until) / 2, until - time.Millisecond} {
				later, _, _ := s.Step(Input{}, at)
				if open := later.View(at).Undo; len(open) == 0 || open[0].ID != u.ID {
					t.Fatalf("%+v is offered at %v and not at %v: %+v", u, now, at, open)
				}
			}
		}
	}
	for _, i := range s.inputs {
		if i.id != "" && !offered[i.id] {
			if _, _, err := s.Step(Input{Command: &Command{ID: "back", Do: Undo, Of: i.id}}, now); err == nil {
				t.Fatalf("%+v is not offered at %v and undone", i.in.Command, now)
			}
		}
	}
	return late
}

type fataler interface{ Fatalf(string, ...any) }

func laterState(s *Session, now time.Duration) SessionState {
	s, _, _ = s.Step(Input{}, now)
	return s.State
}

// continuous holds that what sounds is replaced only by what asks for it.
func continuous(t *rapid.T, before, after *Session, in Input, now time.Duration) {
	var asks bool
	if c := in.Command; c != nil {
		switch c.Do {
		case Next, Skip, BringBack, Undo, End, Abort, Bring:
			asks = true
		case Release:
			asks = after.Current != before.Current
		case MarkNow:
			asks = before.Spans[before.Current].Waiting == c.Name || c.Then == ThenBegin
		}
	}
	if asks {
		return
	}
	for k := len(before.Pieces) - 1; k >= 0; k-- {
		p := before.Pieces[k]
		if p.Phase != before.Current || p.left || before.bedOf(p) != "" || p.Start > now || p.End <= now { // a bed gives way to music
			continue
		}
		if in.Trouble != nil && in.Trouble.Clip == p.ID {
			return
		}
		i := slices.IndexFunc(after.Pieces, func(q placed) bool { return q.ID == p.ID })
		if i < 0 || after.Pieces[i].left || after.Pieces[i].End <= now || after.Pieces[i].Start != p.Start {
			t.Fatalf("%+v at %v ends what plays, %+v: %+v", in, now, p, after.Pieces)
		}
		return
	}
}

// TestDoUndoIsNeverAtEverySecond goes through a session with a boundary within flex, a phase that waits, crossfades and a
// last phase, second by second and verb by verb.
func TestDoUndoIsNeverAtEverySecond(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	db := -3.0
	var commands []Command
	for _, c := range []Command{{Do: Hold}, {Do: Next}, {Do: Extend, By: "1m"}, {Do: Extend, By: "-10s"}, {Do: SetLevel, DB: &db}, {Do: Soften},
		{Do: Silence}, {Do: Skip}, {Do: MarkNow, Name: "Vitals"}, {Do: MarkNow, Name: "Lozenge"}, {Do: MarkNow, Name: "Lozenge", Then: ThenBegin},
		{Do: MarkNow, Name: "Booster"}, {Do: StartTimer, Name: "Vitals", In: "1m"}, {Do: BringBack}, {Do: Care}, {Do: Emergency}, {Do: Revise}} {
		c.ID = "x"
		if c.Do == Revise {
			pl := short()
			pl.Revision = "2"
			pl.Phases[2].Length += time.Minute
			c.Plan = &pl
		}
		commands = append(commands, c)
	}
	undone, late := 0, 0
	for _, lozenge := range []time.Duration{0, 50 * time.Second} {
		s, _ := NewSession("s", begin(short()))
		for now := time.Duration(0); now < 9*time.Minute; now += time.Second {
			s, _, _ = s.Step(Input{}, now)
			if lozenge != 0 && now == lozenge {
				s, _, _ = s.Step(Input{Command: &Command{ID: "lozenge", Do: MarkNow, Name: "Lozenge"}}, now)
			}
			for _, c := range commands {
				done, _, err := s.Step(Input{Command: &c}, now)
				if err != nil {
					continue
				}
				for _, after := range []time.Duration{11 * time.Second, 45 * time.Second, 3 * time.Minute} {
					late += undoMeans(t, done, now+after)
				}
				for _, after := range []time.Duration{0, 400 * time.Millisecond, 5500 * time.Millisecond, 9999 * time.Millisecond} {
					never, _, _ := s.Step(Input{}, now+after)
					back, _, err := done.Step(Input{Command: &Command{ID: "undo", Do: Undo, Of: "x"}}, now+after)
					if err != nil {
						if never.State == Running && laterState(done, now+after) == Running {
							t.Fatalf("%s at %v can't be undone after %v: %v", c.Do, now, after, err)
						}
						continue
					}
					undone++
					if d := same(never, back); d != "" {
						t.Fatalf("%s at %v, undone after %v (-never +undone):\n%s", c.Do, now, after, d)
					}
				}
			}
		}
	}
	if undone < 10_000 || late < 5_000 {
		t.Fatalf("only %d were undone at once, and %d late", undone, late)
	}
}

// TestReviseInTheFlexCutsNothing takes a playlist over while a phase's last track plays on into the flex, of which the new next
// phase leaves less.
func TestReviseInTheFlexCutsNothing(t *testing.T) {
	t.Parallel()
	phase := func(name string, length time.Duration, music ...playlists.Item) playlists.Phase {
		return playlists.Phase{Name: name, Stage: playlists.Preparation, Length: length, Flex: time.Minute, Music: music, Crossfade: time.Second}
	}
	pl := journey()
	pl.Phases = []playlists.Phase{phase("One", 10*time.Minute, track("one", 640*time.Second, -20)), phase("Two", 10*time.Minute, track("two", 10*time.Minute, -20))}
	s, _ := NewSession("s", begin(pl))
	now := 630 * time.Second
	s, _, _ = s.Step(Input{}, now)
	if p := s.sounding(now); p == nil || p.End != 640*time.Second {
		t.Fatalf("plays %+v", p)
	}
	pl.Phases = slices.Clone(pl.Phases)
	pl.Phases[1].Length, pl.Revision = 20*time.Second, "2"
	n, _, err := s.Step(Input{Command: &Command{ID: "revise", Do: Revise, Plan: &pl}}, now)
	if err != nil {
		t.Fatal(err)
	}
	if p := n.sounding(now); p == nil || p.End != 640*time.Second || n.Spans[1].Start != 640*time.Second {
		t.Errorf("plays %+v, then %+v", p, n.Spans[1])
	}
}

// TestReviseTakesNothingBack holds that a changed file never takes back what people have done to the arc.
func TestReviseTakesNothingBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := NewSession("s", begin(drawPlaylist(t)))
		var now time.Duration
		for n := range rapid.IntRange(0, 8).Draw(t, "inputs") {
			now = drawTime(t, s, now)
			s, _, _ = s.Step(drawInput(t, n, s, now), now)
		}
		if sp := s.Spans[s.Current]; sp.Nominal > now && sp.End > sp.Nominal && rapid.Bool().Draw(t, "in the flex") {
			now = sp.Nominal + time.Duration(rapid.Int64Range(0, int64(sp.End-sp.Nominal)-1).Draw(t, "into it"))
		}
		s, _, _ = s.Step(Input{}, now)
		pl := s.Begin.Playlist
		pl.Revision = "2"
		pl.Phases = slices.Clone(pl.Phases)
		for i := range pl.Phases {
			pl.Phases[i].Length = time.Duration(rapid.IntRange(20, 2400).Draw(t, "length")) * time.Second
			if rapid.IntRange(0, 3).Draw(t, "waits") == 0 {
				pl.Phases[i].Until = "Lozenge"
			}
		}
		if k := len(pl.Phases) - 1; rapid.IntRange(0, 3).Draw(t, "shorter") == 0 && k > s.Current {
			pl.Phases = pl.Phases[:k]
		}
		in := Input{Command: &Command{ID: "revise", Do: Revise, Plan: &pl}}
		n, _, err := s.Step(in, now)
		if err != nil {
			return
		}
		continuous(t, s, n, in, now)
		if d := cmp.Diff(s.Marks, n.Marks) + cmp.Diff(s.Spans[s.Current].Held, n.Spans[n.Current].Held); d != "" || s.Level != n.Level || s.Silent != n.Silent || s.Current != n.Current {
			t.Fatalf("taken back: %s", d)
		}
		// After a change of the playlist two phases may have one name: one that has begun, and one to come.
		called := func(name string) func(playlists.Phase) bool {
			return func(p playlists.Phase) bool { return p.Name == name }
		}
		here := slices.IndexFunc(pl.Phases, called(s.phase(s.Current).Name)) // in the file
		for i, sp := range s.Spans {
			j := i
			if i > s.Current {
				j = s.Current + 1 + slices.IndexFunc(n.Begin.Playlist.Phases[s.Current+1:], called(s.phase(i).Name))
			}
			lost := i > s.Current && j == s.Current
			if sp.Added > 0 && (lost || n.Spans[j].Added != sp.Added || i > s.Current && n.Spans[j].Length != pl.Phases[here+j-s.Current].Length+sp.Added) {
				t.Fatalf("%s was lengthened by %v: %+v", s.phase(i).Name, sp.Added, n.Spans)
			}
		}
		for i, sp := range n.Spans[n.Current+1:] {
			waited := slices.ContainsFunc(s.Spans[s.Current+1:], func(o Span) bool { return o.Waiting == sp.Waiting })
			if sp.Waiting == n.zero() && n.given(sp.Waiting) != nil && !waited {
				t.Fatalf("phase %d waits for a mark that was given", n.Current+1+i)
			}
		}
	})
}

func TestKeepEndHoldsTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := journey()
		s, _ := NewSession("s", begin(p))
		// Whenever the lozenge comes, within what integration can give (25 minutes), the end stays to the millisecond.
		at := 31*time.Minute + time.Duration(rapid.IntRange(0, 33*60_000).Draw(t, "lozenge"))*time.Millisecond
		s, _, err := s.Step(Input{Command: &Command{ID: "1", Do: MarkNow, Name: "Lozenge"}}, at)
		if err != nil {
			t.Fatal(err)
		}
		if s.Ends() != 3*time.Hour {
			t.Fatalf("lozenge at %v: the session ends at %v", at, s.Ends())
		}
		// What is counted from the lozenge keeps its lengths.
		if got := s.Spans[4].End - s.Spans[1].End; got != 90*time.Minute {
			t.Fatalf("the administration after the lozenge lasts %v", got)
		}
	})
}

func TestCommandIsDoneOnce(t *testing.T) {
	s, _ := NewSession("s", begin(journey()))
	c := Command{ID: "1", Do: Extend, By: "5m"}
	s, _, _ = s.Step(Input{Command: &c}, time.Minute)
	end := s.Spans[0].Nominal
	s, eff, err := s.Step(Input{Command: &c}, 2*time.Minute)
	if err != nil || s.Spans[0].Nominal != end || eff.Score {
		t.Fatalf("a repeated command was done again: %v, %v", s.Spans[0].Nominal, err)
	}
}

func TestLouderIsSlowSofterIsAtOnce(t *testing.T) {
	s, _ := NewSession("s", begin(journey()))
	for n, db := range []float64{6, -6, 3, -12} {
		c := Command{ID: fmt.Sprint(n), Do: SetLevel, DB: &db}
		var eff Effects
		s, eff, _ = s.Step(Input{Command: &c}, time.Duration(n)*time.Minute)
		rate := math.Abs(db) / eff.Master.Over.Seconds()
		if db > 0 && rate > 3 || db < 0 && eff.Master.Over > time.Second {
			t.Errorf("%+.0f dB over %v", db, eff.Master.Over)
		}
	}
}

func TestReviseTakesOverWhatFollows(t *testing.T) {
	first := playlists.Playlist{ID: "p", Name: "P", Bed: playlists.Drone, Revision: "1", Phases: []playlists.Phase{
		{Name: "A", Stage: playlists.Preparation, Length: 10 * time.Minute, Music: []playlists.Item{track("a", 20*time.Minute, -20)}},
		{Name: "B", Stage: playlists.Administration, Length: 10 * time.Minute},
		{Name: "C", Stage: playlists.Integration, Length: 10 * time.Minute},
	}}
	newer := playlists.Playlist{ID: "p", Name: "Newer", Bed: playlists.Ocean, Keep: playlists.KeepLengths, Revision: "2", Phases: []playlists.Phase{
		{Name: "Before", Stage: playlists.Preparation, Length: time.Hour},
		{Name: "A", Stage: playlists.Preparation, Length: time.Hour, Music: []playlists.Item{track("other", time.Hour, -20)}},
		{Name: "B", Stage: playlists.Administration, Length: 20 * time.Minute, Level: -3, Music: []playlists.Item{track("b", 30*time.Minute, -20)}},
		{Name: "D", Stage: playlists.Administration, Length: 5 * time.Minute, Until: "Lozenge"},
		{Name: "E", Stage: playlists.Integration, Length: 7 * time.Minute},
	}}
	s, _ := NewSession("s", begin(first))
	at := 4 * time.Minute
	was := s.Pieces[0]
	s, _, err := s.Step(Input{Command: &Command{ID: "1", Do: Hold}}, at)
	if err != nil {
		t.Fatal(err)
	}
	s, eff, err := s.Step(Input{Command: &Command{ID: "2", Do: Revise, Plan: &newer}}, at)
	if err != nil || !eff.Score {
		t.Fatal(err, eff)
	}
	s, _, err = s.Step(Input{Command: &Command{ID: "3", Do: Release}}, at)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, sp := range s.Spans {
		got = append(got, fmt.Sprint(s.phase(i).Name, " ", sp.Start, " ", sp.End))
	}
	if want := []string{"A 0s 10m0s", "B 10m0s 30m0s", "D 30m0s 35m0s", "E 35m0s 42m0s"}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if p := s.Pieces[0]; p.ID != was.ID || p.Start != was.Start || s.phase(0).Music[0].Track.Title != "a" {
		t.Errorf("what sounds has changed: %+v", p)
	}
	if b := s.sounding(20 * time.Minute); b == nil || s.phase(b.Phase).Music[b.Item].Track.Title != "b" {
		t.Errorf("the newer music does not follow: %+v", b)
	}
	if !s.known("Lozenge") || s.Begin.Playlist.Revision != "2" || len(first.Phases) != 3 {
		t.Errorf("%+v", s.Begin.Playlist)
	}
	if n := len(s.View(at).Undo); n != 3 {
		t.Errorf("%d of 3 commands can be undone", n)
	}
	for name, c := range map[string]*Command{
		"nothing newer": {ID: "4", Do: Revise},
		"no such phase": {ID: "5", Do: Revise, Plan: &playlists.Playlist{Phases: newer.Phases[2:]}},
	} {
		if _, _, err := s.Step(Input{Command: c}, at); err == nil {
			t.Error(name, "is taken over")
		}
	}
}
