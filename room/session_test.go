package room

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roomd/playlists"
)

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
				Order:     rapid.SampledFrom([]playlists.Order{playlists.Listed, playlists.Shuffle, playlists.BestFit}).Draw(t, "order"),
				Level:     float64(rapid.IntRange(-10, 3).Draw(t, "level")),
			}
			ph.Flex = time.Duration(rapid.IntRange(0, 60).Draw(t, "flex")) * time.Second
			ph.Flex = min(ph.Flex, ph.Length/3)
			if rapid.IntRange(0, 3).Draw(t, "waits") == 0 {
				ph.Until = "Lozenge"
			}
			if rapid.IntRange(0, 6).Draw(t, "silent") == 0 {
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
	p.Boost = &playlists.Boost{Mark: "Booster", Phase: p.Phases[len(p.Phases)-1].Name, By: 10 * time.Minute}
	return p
}

// drawCommand is a random command that might be tapped.
func drawCommand(t *rapid.T, n int, s *Session) Command {
	c := Command{ID: fmt.Sprint("c", n)}
	c.Do = rapid.SampledFrom([]Verb{Hold, Release, Next, Extend, SetLevel, Silence, Resume, Skip, MarkNow, MarkNow, BringBack, Soften, Care,
		Emergency, Undo, Undo, Follow, Revise}).Draw(t, "verb")
	switch c.Do {
	case Extend:
		c.By = rapid.SampledFrom([]string{"5m", "-5m", "1m", "-1m", "30s"}).Draw(t, "by")
	case SetLevel:
		db := float64(rapid.SampledFrom([]int{-12, -3, -1, 1, 3, 6}).Draw(t, "db"))
		c.DB = &db
	case MarkNow:
		c.Name = rapid.SampledFrom([]string{"Lozenge", "Booster", "Vitals"}).Draw(t, "mark")
	case Revise:
		pl := drawPlaylist(t)
		c.Plan = &pl
	case Undo:
		if len(s.undo) > 0 {
			c.Of = s.undo[0].view.ID
		}
	}
	return c
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
		// Music has to cover the phase from its start, or from now.
		from := max(sp.Start, now)
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
		if s.State == Running && q.Start > now && q.End > p.ends() {
			t.Fatalf("piece %s ends at %v, after the session's end %v", q.ID, q.End, p.ends())
		}
		if q.fadeIn < 0 || q.fadeOut < 0 {
			t.Fatalf("piece %s fades %v, %v", q.ID, q.fadeIn, q.fadeOut)
		}
	}
	if db := s.master() + s.phase(s.Current).Level; db > s.Begin.Ceiling+1e-9 {
		t.Fatalf("%.1f dB over the reference, ceiling %.1f", db, s.Begin.Ceiling)
	}
}

func TestSessionUnderRandomCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Begin{Playlist: drawPlaylist(t), Reference: -23, Ceiling: 6, Seed: 7, Marks: []string{"Lozenge", "Vitals"}}
		s, _ := NewSession("s", b)
		type taken struct {
			in  Input
			now time.Duration
		}
		var log []taken
		var now time.Duration
		sound(t, s, now)
		for n := range rapid.IntRange(0, 25).Draw(t, "inputs") {
			now += time.Duration(rapid.IntRange(0, 900_000).Draw(t, "wait")) * time.Millisecond
			if rapid.Bool().Draw(t, "soon") {
				now = now.Truncate(time.Minute)
				now = max(now, func() time.Duration {
					if len(log) > 0 {
						return log[len(log)-1].now
					}
					return 0
				}())
			}
			in := Input{}
			if rapid.IntRange(0, 9).Draw(t, "trouble") == 0 && len(s.Pieces) > 0 {
				in.Trouble = &Trouble{Clip: s.Pieces[rapid.IntRange(0, len(s.Pieces)-1).Draw(t, "clip")].ID}
			} else {
				c := drawCommand(t, n, s)
				in.Command = &c
			}
			before := fmt.Sprintf("%+v", s)
			next, _, err := Step(s, in, now)
			if fmt.Sprintf("%+v", s) != before {
				t.Fatal("Step changed the session it was given")
			}
			if _, ok := err.(*Refused); err != nil && !ok {
				t.Fatalf("refused without a reason: %v", err)
			}
			log = append(log, taken{in, now})
			s = next
			sound(t, s, now)
		}
		// Replaying the inputs gives the same session, also when time is looked at in between.
		r, _ := NewSession("s", b)
		var last time.Duration
		for _, l := range log {
			for mid := last + 7*time.Minute; mid < l.now; mid += 11 * time.Minute {
				r, _, _ = Step(r, Input{}, mid)
			}
			r, _, _ = Step(r, l.in, l.now)
			last = l.now
		}
		if d := cmp.Diff(s.Score(), r.Score()); d != "" {
			t.Fatalf("a replay sounds otherwise:\n%s", d)
		}
		if d := cmp.Diff(s.View(now), r.View(now)); d != "" {
			t.Fatalf("a replay looks otherwise:\n%s", d)
		}
	})
}

func TestKeepEndHoldsTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := journey()
		s, _ := NewSession("s", Begin{Playlist: p, Reference: -23, Ceiling: 6})
		// Whenever the lozenge comes, within what integration can give (25 minutes), the end stays to the millisecond.
		at := 31*time.Minute + time.Duration(rapid.IntRange(0, 33*60_000).Draw(t, "lozenge"))*time.Millisecond
		s, _, err := Step(s, Input{Command: &Command{ID: "1", Do: MarkNow, Name: "Lozenge"}}, at)
		if err != nil {
			t.Fatal(err)
		}
		if s.ends() != 3*time.Hour {
			t.Fatalf("lozenge at %v: the session ends at %v", at, s.ends())
		}
		// What is counted from the lozenge keeps its lengths.
		if got := s.Spans[4].End - s.Spans[1].End; got != 90*time.Minute {
			t.Fatalf("the administration after the lozenge lasts %v", got)
		}
	})
}

func TestCommandIsDoneOnce(t *testing.T) {
	s, _ := NewSession("s", Begin{Playlist: journey(), Reference: -23, Ceiling: 6})
	c := Command{ID: "1", Do: Extend, By: "5m"}
	s, _, _ = Step(s, Input{Command: &c}, time.Minute)
	end := s.Spans[0].Nominal
	s, eff, err := Step(s, Input{Command: &c}, 2*time.Minute)
	if err != nil || s.Spans[0].Nominal != end || eff.Score {
		t.Fatalf("a repeated command was done again: %v, %v", s.Spans[0].Nominal, err)
	}
}

func TestLouderIsSlowSofterIsAtOnce(t *testing.T) {
	s, _ := NewSession("s", Begin{Playlist: journey(), Reference: -23, Ceiling: 6})
	for n, db := range []float64{6, -6, 3, -12} {
		c := Command{ID: fmt.Sprint(n), Do: SetLevel, DB: &db}
		var eff Effects
		s, eff, _ = Step(s, Input{Command: &c}, time.Duration(n)*time.Minute)
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
	s, _ := NewSession("s", Begin{Playlist: first, Reference: -23, Marks: []string{"Lozenge"}})
	at := 4 * time.Minute
	was := s.Pieces[0]
	s, _, err := Step(s, Input{Command: &Command{ID: "1", Do: Hold}}, at)
	if err != nil {
		t.Fatal(err)
	}
	s, eff, err := Step(s, Input{Command: &Command{ID: "2", Do: Revise, Plan: &newer}}, at)
	if err != nil || !eff.Score {
		t.Fatal(err, eff)
	}
	s, _, err = Step(s, Input{Command: &Command{ID: "3", Do: Release}}, at)
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
	if len(s.View(at).Undo) != 1 {
		t.Errorf("what was done before can be taken back: %+v", s.View(at).Undo)
	}
	for name, c := range map[string]*Command{
		"nothing newer": {ID: "4", Do: Revise},
		"no such phase": {ID: "5", Do: Revise, Plan: &playlists.Playlist{Phases: newer.Phases[2:]}},
	} {
		if _, _, err := Step(s, Input{Command: c}, at); err == nil {
			t.Error(name, "is taken over")
		}
	}
}
