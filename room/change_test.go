package room

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomd/playlists"
	"roomd/rig"
)

// TestChangeKeepsTheTimes changes random sessions to random playlists. The present phase, the time that each stage has left and the
// session's end stay, and what plays goes on.
func TestChangeKeepsTheTimes(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	changed := 0
	rapid.Check(t, func(t *rapid.T) {
		s, _ := NewSession("s", begin(drawPlaylist(t)))
		var now time.Duration
		for n := range rapid.IntRange(0, 6).Draw(t, "inputs") {
			now = drawTime(t, s, now)
			s, _, _ = s.Step(drawInput(t, n, s, now), now)
		}
		s, _, _ = s.Step(Input{}, now)
		pl := drawPlaylist(t)
		pl.ID, pl.Revision = "other", "2"
		in := Input{Command: &Command{ID: "change", Do: Change, Plan: &pl}}
		n, _, err := step(t, s, in, now)
		if err != nil {
			return
		}
		changed++
		continuous(t, s, n, in, now)
		left := func(s *Session) map[playlists.Stage]time.Duration {
			out := map[playlists.Stage]time.Duration{}
			for i := s.Current + 1; i < len(s.Spans); i++ {
				if !s.Spans[i].Passed {
					out[s.phase(i).Stage] += s.Spans[i].Length
				}
			}
			return out
		}
		if a, b := left(s), left(n); fmt.Sprint(a) != fmt.Sprint(b) {
			t.Fatalf("the stages had %v left, and have %v", a, b)
		}
		a, b := s.Spans[s.Current], n.Spans[n.Current]
		// What was laid while the phase's end was moved within its flex counted from there. Now all counts from the planned end.
		moved := (s.Spans[s.lastPhase()].Nominal - n.Spans[n.lastPhase()].Nominal).Abs()
		if s.Current != n.Current || a.Start != b.Start || a.Nominal != b.Nominal || moved > s.phase(s.Current).Flex {
			t.Fatalf("the times moved: %+v, %+v", s.Spans, n.Spans)
		}
		for i := n.Current + 1; i < len(n.Spans); i++ {
			if n.Spans[i].Waiting == n.zero() && n.given(n.zero()) != nil && !slices.ContainsFunc(s.Spans[s.Current+1:], func(sp Span) bool { return sp.Waiting == s.zero() }) {
				t.Fatalf("phase %d waits for a mark that was given", i)
			}
		}
	})
	if changed < 20 {
		t.Errorf("only %d sessions were changed", changed)
	}
}

// TestChange tells one change and its undo, which is offered until the next phase begins.
func TestChange(t *testing.T) {
	t.Parallel()
	s, _ := NewSession("s", begin(journey()))
	other := journey()
	other.ID, other.Name, other.Keep = "other", "Other", playlists.KeepLengths
	other.Phases = []playlists.Phase{
		{Name: "Settle", Stage: playlists.Preparation, Length: 20 * time.Minute},
		{Name: "Intention", Stage: playlists.Preparation, Length: 5 * time.Minute, Until: "Lozenge", Music: []playlists.Item{{Bed: playlists.Ocean}}},
		{Name: "Ascent", Stage: playlists.Administration, Length: 10 * time.Minute},
		{Name: "Peak", Stage: playlists.Administration, Length: 20 * time.Minute, Music: []playlists.Item{track("Summit", 40*time.Minute, -20)}},
	}
	change := Input{Command: &Command{ID: "1", Do: Change, Plan: &other}}
	now := 10 * time.Minute
	n, _, err := s.Step(change, now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, sp := range n.Spans {
		got = append(got, fmt.Sprint(n.phase(i).Name, " ", sp.Nominal.Round(time.Second)))
	}
	// The stages keep 10, 90 and 50 minutes. Integration is not in the other playlist.
	want := []string{"Arrival 30m0s", "Intention 40m0s", "Ascent 1h10m0s", "Peak 2h10m0s", "Integration 2h55m0s", "Leave 3h0m0s"}
	if !slices.Equal(got, want) {
		t.Errorf("%v\nwanted\n%v", got, want)
	}
	if u := n.View(now + 19*time.Minute).Undo; len(u) != 1 || u[0].Says != "Changed to Other" || u[0].UntilMS > ms(n.Spans[1].Start) {
		t.Errorf("%+v", u)
	}
	back, _, err := n.Step(Input{Command: &Command{ID: "2", Do: Undo, Of: "1"}}, now+15*time.Minute)
	never, _, _ := s.Step(Input{}, now+15*time.Minute)
	if err != nil || same(back, never) != "" {
		t.Errorf("%v %s", err, same(back, never))
	}
	for code, c := range map[string]struct {
		s  *Session
		in *playlists.Playlist
		at time.Duration
	}{
		"change-same":     {s, &s.Begin.Playlist, now},
		"change-nothing":  {n, &playlists.Playlist{ID: "x", Phases: other.Phases[:1]}, now + 21*time.Minute},
		"revise-crossing": {s, &other, s.Spans[0].End - 2*time.Second},
		"no-playlist":     {s, nil, now},
	} {
		_, _, err := c.s.Step(Input{Command: &Command{ID: "3", Do: Change, Plan: c.in}}, c.at)
		if refused, ok := err.(*Refused); !ok || refused.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestNoTrackTwice plays three phases from the same files. Those that roomd chooses for come once in the session while others are
// left; a list plays as it is written. Sessions of earlier rules go on as they were.
func TestNoTrackTwice(t *testing.T) {
	t.Parallel()
	for _, order := range []playlists.Order{playlists.Shuffle, playlists.BestFit, playlists.Pooled, playlists.Listed} {
		pl := playlists.Playlist{ID: "p", Bed: playlists.Drone}
		var music []playlists.Item
		for k := range 12 {
			music = append(music, track(fmt.Sprint(k), time.Duration(200+10*k)*time.Second, -20))
		}
		for k := range 3 {
			pl.Phases = append(pl.Phases, playlists.Phase{Name: fmt.Sprint(k), Stage: playlists.Administration, Length: 11 * time.Minute, Order: order, Music: music, Crossfade: 5 * time.Second})
		}
		repeats := func(b Begin) (n int) {
			s, _ := NewSession("s", b)
			heard := map[string]bool{}
			for _, p := range s.Pieces {
				if file := s.file(p); file != "" {
					if heard[file] {
						n++
					}
					heard[file] = true
				}
			}
			return n
		}
		b := begin(pl)
		b.Heard = map[string]int{"/music/0.flac": 3, "/music/1.flac": 5, "/music/2.flac": 1}
		n := repeats(b)
		b.Rules = 2
		before := repeats(b)
		if (n > 0) != (order == playlists.Listed) || before == 0 && order != playlists.Pooled {
			t.Errorf("%s: %d tracks come again, %d by the rules before", order, n, before)
		}
	}
	// Where nothing else is left, fit plays it again rather than the bed.
	pl := playlists.Playlist{ID: "p", Bed: playlists.Drone}
	for k := range 2 {
		pl.Phases = append(pl.Phases, playlists.Phase{Name: fmt.Sprint(k), Stage: playlists.Administration, Length: 5 * time.Minute, Order: playlists.BestFit, Music: []playlists.Item{track("only", 5*time.Minute, -20)}})
	}
	s, _ := NewSession("s", begin(pl))
	if p := s.sounding(7 * time.Minute); p == nil || s.title(*p) != "only" {
		t.Errorf("%+v", p)
	}
}
