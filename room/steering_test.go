package room

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"roomd/playlists"
	"roomd/rig"
)

// drawPooled is a random playlist whose middle phases have pools.
func drawPooled(t *rapid.T) playlists.Playlist {
	p := playlists.Playlist{ID: "pooled", Name: "Pooled", Bed: playlists.Drone, Keep: playlists.KeepEnd}
	for k := range rapid.IntRange(1, 3).Draw(t, "phases") {
		ph := playlists.Phase{Name: fmt.Sprint("Journey ", k), Stage: playlists.Administration, Order: playlists.Pooled,
			Length:    time.Duration(rapid.IntRange(120, 3000).Draw(t, "length")) * time.Second,
			Flex:      time.Duration(rapid.IntRange(0, 30).Draw(t, "flex")) * time.Second,
			Crossfade: time.Duration(rapid.IntRange(0, 15).Draw(t, "crossfade")) * time.Second}
		drawPool(t, &ph)
		p.Phases = append(p.Phases, ph)
	}
	return p
}

// TestSteering taps at random times in random pools. It holds that a tap brings what was offered, when it was offered, and only
// that; that nothing comes twice while something else is left; that phases end as planned; and that a replay is the same session.
func TestSteering(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	came := map[Verb]int{}
	rapid.Check(t, func(t *rapid.T) {
		b := begin(drawPooled(t))
		s, _ := NewSession("s", b)
		var log []given
		var now time.Duration
		for n := range rapid.IntRange(1, 15).Draw(t, "taps") {
			now += time.Duration(rapid.IntRange(0, 400_000).Draw(t, "wait")) * time.Millisecond
			if s, _, _ = s.Step(Input{}, now); s.State != Running {
				break
			}
			c := Command{ID: fmt.Sprint(n), Do: rapid.SampledFrom([]Verb{Deeper, Lighter, Another, Choose, Bring, Bring}).Draw(t, "tap")}
			if c.Do == Choose {
				c.Name = rapid.SampledFrom([]string{"Ground", "Open", "Still"}).Draw(t, "word")
			}
			was := s.View(now).Steer
			plays := s.present(now)
			next, _, err := step(t, s, Input{Command: &c}, now)
			for i, sp := range s.Spans {
				if next.Spans[i].Nominal != sp.Nominal || next.Spans[i].Length != sp.Length {
					t.Fatalf("%+v at %v moves phase %d: %+v, %+v", c, now, i, sp, next.Spans[i])
				}
			}
			switch c.Do {
			case Bring:
				can := was.Coming != nil && was.Coming.CanNow
				if can != (err == nil) {
					t.Fatalf("%+v at %v: %v", was.Coming, now, err)
				}
				if err == nil {
					brought(t, s, next, plays, was.Coming, now)
				}
			case Choose:
				k := slices.IndexFunc(was.Menu, func(w WordView) bool { return w.Name == c.Name })
				if (k >= 0 && was.Menu[k].Can) != (err == nil) {
					t.Fatalf("%s at %v, of %+v: %v", c.Name, now, was.Menu, err)
				}
				if err == nil {
					promised(t, next, OfferedView{was.Menu[k].Title, 0, was.Menu[k].AtMS}, now)
				}
			default:
				o, can := was.Offers[c.Do]
				if can != (err == nil) || can != slices.Contains(was.Can, c.Do) {
					t.Fatalf("%s at %v, of %v: %v", c.Do, now, was.Can, err)
				}
				if err != nil {
					break
				}
				promised(t, next, o, now)
				is, sounds := o.Intensity, s.sounds(plays, now)
				if is == 0 {
					is = assumedIntensity
				}
				if c.Do == Deeper && is <= sounds || c.Do == Lighter && is >= sounds || c.Do == Another && math.Abs(is-sounds) >= 1 {
					t.Fatalf("%s at %v brings %g after %g", c.Do, now, is, sounds)
				}
			}
			if err == nil {
				came[c.Do]++
				log = append(log, given{Input{Command: &c}, now})
				continuous(t, s, next, Input{Command: &c}, now)
			}
			for _, u := range next.View(now).Undo {
				if a := next.steered(); a == nil || a.id != u.ID || next.begins(a) <= now || u.UntilMS > ms(next.begins(a)) {
					t.Fatalf("at %v an undo is offered of what has begun: %+v, %+v", now, u, a)
				}
			}
			s = next
		}
		now += time.Duration(rapid.IntRange(0, 7200).Draw(t, "rest")) * time.Second
		s, _, _ = s.Step(Input{}, now)
		notTwice(t, s, now)
		r, _ := NewSession("s", b)
		for _, g := range log {
			r, _, _ = r.Step(g.in, g.now)
		}
		r, _, _ = r.Step(Input{}, now)
		if d := same(s, r) + cmp.Diff(s.View(now), r.View(now)) + cmp.Diff(s.Score(), r.Score()) + cmp.Diff(s.askedViews(now), r.askedViews(now)); d != "" {
			t.Fatalf("a replay is another session:\n%s", d)
		}
	})
	for _, do := range []Verb{Deeper, Lighter, Another, Choose, Bring} {
		if came[do] < 10 {
			t.Errorf("%s came only %d times", do, came[do])
		}
	}
}

// promised holds that what was offered is what comes, and when.
func promised(t *rapid.T, s *Session, o OfferedView, now time.Duration) {
	a := s.steered()
	at := s.begins(a)
	title := ""
	if p := a.first(s.Pieces); p != nil && !a.still {
		title = s.title(*p)
	}
	if title != o.Title || (ms(at)-o.AtMS < -100 || ms(at)-o.AtMS > 100) {
		t.Fatalf("%q at %v was offered at %v; %q comes at %v: %+v, %+v", o.Title, time.Duration(o.AtMS)*time.Millisecond, now, title, at, *a, s.Pieces)
	}
	if c := s.View(now).Steer.Coming; at > now && (c == nil || c.Title != o.Title || c.AtMS != ms(at)) {
		t.Fatalf("%+v is shown as coming, of %+v", c, o)
	}
}

// brought holds that what was coming begins at once, in a crossfade of equal power.
func brought(t *rapid.T, before, after *Session, plays *placed, coming *ComingView, now time.Duration) {
	if plays == nil {
		t.Fatalf("%+v was coming at %v out of silence", coming, now)
	}
	k := slices.IndexFunc(after.Pieces, func(p placed) bool { return p.ID == plays.ID })
	left := after.Pieces[k]
	x := left.End - now
	short := x < steerCross && left.End != plays.natural && left.End != after.ends(now)
	if p := after.present(now); short && p != nil {
		short = x != lengthOf(after.phase(p.Phase).Music[p.Item])/2
	}
	if left.fadeOut != x || x > steerCross || x <= 0 || short {
		t.Fatalf("at %v %+v leaves as %+v", now, *plays, left)
	}
	if a := after.steered(); a.still {
		return
	}
	if p := after.present(now); p == nil || p.Start != now || after.title(*p) != coming.Title || p.fadeIn != x {
		t.Fatalf("at %v comes %+v in place of %+v, which takes %v to leave", now, p, *coming, x)
	}
}

// notTwice holds that no track came again in a phase with a pool while another was left in the pool.
func notTwice(t *rapid.T, s *Session, now time.Duration) {
	begun := map[string]time.Duration{}
	for _, p := range s.Pieces {
		file := s.file(p)
		if file == "" || p.Start > now {
			continue
		}
		if at, again := begun[file]; again {
			for k, it := range s.phase(p.Phase).Music {
				if it.Track == nil || s.failed[[2]int{p.Phase, k}] {
					continue
				}
				if _, heard := begun[it.Track.File]; !heard && s.Spans[p.Phase].Nominal-p.Start >= leastPlayed {
					t.Fatalf("%s comes at %v and again at %v, and %s was left: %+v, %+v", file, at, p.Start, it.Track.File, s.Asked, s.Pieces)
				}
			}
		}
		begun[file] = p.Start
	}
}

// BenchmarkSteer measures a tap in a phase of 50 minutes and 2,000 tracks: until the rest is laid anew, and until the snapshot of it.
func BenchmarkSteer(b *testing.B) {
	for _, n := range []int{20, 200, 2000} {
		ph := playlists.Phase{Name: "Journey", Stage: playlists.Administration, Length: 50 * time.Minute, Flex: 2 * time.Minute, Crossfade: 8 * time.Second,
			Order: playlists.Pooled, Course: &playlists.Course{From: 2, To: 4}}
		for k := range n {
			t := track(fmt.Sprint(k), time.Duration(120+k*7919%420)*time.Second, -20)
			t.Track.Intensity = 1 + float64(k*104729%400)/100
			ph.Music = append(ph.Music, t)
			if k%20 == 0 {
				ph.Menu = append(ph.Menu, playlists.Choice{Name: fmt.Sprint(k), Items: []int{k}})
			}
		}
		ph.Menu = ph.Menu[:min(5, len(ph.Menu))]
		s, _ := NewSession("s", begin(playlists.Playlist{ID: "p", Bed: playlists.Drone, Phases: []playlists.Phase{ph}}))
		now := 5 * time.Minute
		s, _, _ = s.Step(Input{}, now)
		c := Command{ID: "1", Do: Deeper}
		tapped, _, err := s.Step(Input{Command: &c}, now)
		if err != nil {
			b.Fatal(err)
		}
		held, _, err := tapped.Step(Input{Command: &Command{ID: "2", Do: Hold}}, now)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint("tap of ", n), func(b *testing.B) {
			for b.Loop() {
				courses.forget()
				_, _, _ = s.Step(Input{Command: &c}, now)
			}
		})
		b.Run(fmt.Sprint("snapshot of ", n), func(b *testing.B) {
			for b.Loop() {
				tapped.View(now)
			}
		})
		b.Run(fmt.Sprint("snapshot of ", n, " held"), func(b *testing.B) {
			for b.Loop() {
				held.View(now)
			}
		})
	}
}
