package player

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"roomd/rig"
)

var wishes = flag.Int("wishes", 60, "sessions of random wishes in TestWhateverIsWishedIsHeard")

// slow opens what shelf has after as long as a child takes to start.
func (s shelf) slow(ctx context.Context, file string, from time.Duration, rate int) (Source, error) {
	time.Sleep(150 * time.Millisecond)
	return s.open(ctx, file, from, rate)
}

// heardAfter is how long after at the card first gives sound.
func heardAfter(c *card, at time.Time) time.Duration {
	for d := time.Duration(0); d < 3*time.Second; d += time.Millisecond {
		if c.sample(at, d) != [2]float64{} {
			return d
		}
	}
	return time.Hour
}

// A player that nobody needs gives its device back and does nothing at all, and is still known to live.
func TestAPlayerThatNobodyNeedsSleeps(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Minute)}, c, func(p *Player) {
		time.Sleep(2 * time.Minute)
		waits := c.waited()
		if c.rested() != 1 {
			t.Fatalf("the device was given back %d times", c.rested())
		}
		p.Beats()
		time.Sleep(time.Hour)
		first := p.Beats()
		time.Sleep(time.Second)
		if second := p.Beats(); second == first {
			t.Error("it can't be told from a player that is stuck")
		}
		if n := c.waited() - waits; n > 0 {
			t.Errorf("the loop went round %d times in an hour", n)
		}

		p.Rouse()
		time.Sleep(30 * time.Second)
		if c.waited() == waits {
			t.Error("it was not roused")
		}
		time.Sleep(time.Minute)
		p.Attend(true)
		time.Sleep(5 * time.Minute)
		if c.rested() != 2 {
			t.Errorf("the device was given back %d times, with a page open the last time", c.rested())
		}
		p.Attend(false)
		time.Sleep(2 * time.Minute)

		start := time.Now()
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: 30 * time.Second}}}, start)
		time.Sleep(3 * time.Second)
		if d := heardAfter(c, start); d > 300*time.Millisecond {
			t.Errorf("from its sleep, sound is heard after %v", d)
		}
		rests := c.rested()
		time.Sleep(80 * time.Second)
		if c.rested() != rests {
			t.Error("it fell asleep within a minute of the music")
		}
		time.Sleep(20 * time.Second)
		if c.rested() != rests+1 {
			t.Error("it did not fall asleep after the music")
		}
	})
}

// A device that is lent is free at once, though a page is open, unless something sounds; it is taken again for a score, and when it is
// no longer lent.
func TestADeviceIsLent(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Minute)}, c, func(p *Player) {
		p.Attend(true)
		time.Sleep(2 * time.Minute)
		rests := c.rested()
		p.Lend(true)
		time.Sleep(100 * time.Millisecond)
		if c.rested() != rests+1 {
			t.Fatal("it is not given back")
		}
		waits := c.waited()
		time.Sleep(time.Hour)
		if c.waited() != waits {
			t.Error("it is taken while it is lent")
		}
		start := time.Now()
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: 30 * time.Second}}}, start)
		time.Sleep(3 * time.Second)
		if d := heardAfter(c, start); d > 300*time.Millisecond {
			t.Errorf("a score is heard after %v", d)
		}
		rests = c.rested()
		time.Sleep(20 * time.Second)
		if c.rested() != rests {
			t.Error("it is given back while something sounds")
		}
		time.Sleep(20 * time.Second)
		if c.rested() != rests+1 {
			t.Error("it is not given back after the music")
		}
		p.Lend(false)
		waits = c.waited()
		time.Sleep(time.Second)
		if c.waited() == waits {
			t.Error("it is not taken again")
		}
	})
}

// A score sounds at once, whatever the player was doing before and whatever rate the score has. Ready alone never opens the device of a
// player that sleeps or has lent it.
func TestAScoreIsHeardOutOfAnyRest(t *testing.T) {
	rests := map[string]func(p *Player){
		"awake":  func(p *Player) { p.Attend(true) },
		"asleep": func(*Player) {},
		"lent":   func(p *Player) { p.Attend(true); p.Lend(true) },
		"roused": func(p *Player) { time.AfterFunc(2*time.Minute, p.Rouse) },
	}
	for name, rest := range rests {
		for _, hz := range []int{0, rate, 2 * rate} {
			for _, ready := range []bool{false, true} {
				c := newCard()
				live(t, shelf{"a": long(time.Minute)}, c, func(p *Player) {
					score := Score{Clips: []Clip{{ID: "a", File: "a", End: 30 * time.Second}}, Rate: hz}
					rest(p)
					time.Sleep(2*time.Minute + 7*time.Second)
					if ready {
						waits := c.waited()
						p.Ready(score)
						time.Sleep(time.Second)
						if (name == "asleep" || name == "lent") && (c.waited() != waits || len(c.askedFor()) > 0) {
							t.Errorf("%s, %d Hz: Ready opened the device, or asked it for %v", name, hz, c.askedFor())
						}
					}
					start := time.Now()
					p.SetScore(score, start)
					time.Sleep(3 * time.Second)
					if d := heardAfter(c, start); d > 400*time.Millisecond {
						t.Errorf("%s, %d Hz, ready %v: heard after %v", name, hz, ready, d)
					}
				})
			}
		}
	}
}

// A device that is missing is looked for while the player sleeps.
func TestASleepingPlayerLooksForADeviceThatIsMissing(t *testing.T) {
	c := newCard()
	c.set(false)
	live(t, nil, c, func(p *Player) {
		time.Sleep(2 * time.Minute)
		before := c.rested()
		time.Sleep(10 * time.Minute)
		if n := c.rested() - before; n < 15 || n > 25 {
			t.Errorf("looked for %d times in 10 minutes", n)
		}
		c.set(true)
		time.Sleep(time.Minute)
		before = c.prepared()
		time.Sleep(10 * time.Minute)
		if n := c.prepared() - before; n != 0 {
			t.Errorf("looked for %d times though it is there", n)
		}
	})
}

// What was made ready is heard at once, from its beginning and at its rate, however long a file takes to open; what was made
// ready and is not asked for is closed.
func TestWhatIsReadyIsHeardAtOnce(t *testing.T) {
	for _, ready := range []bool{false, true} {
		c := newCard()
		c.ahead = 110 * time.Millisecond
		var closed atomic.Int64
		tapes := shelf{"a": long(time.Hour), "b": func(from time.Duration) (Source, error) {
			return &tape{place: frames(from, rate), end: 1 << 40, closed: func() { closed.Add(1) }}, nil
		}}
		liveWith(t, Options{Rate: rate, Line: c, Open: tapes.slow}, func(p *Player) {
			p.Attend(true)
			time.Sleep(3*time.Second + 7*time.Millisecond)
			score := func(file string) Score {
				return Score{Clips: []Clip{{ID: file, File: file, End: time.Hour, Gain: -46}}, Rate: 2 * rate}
			}
			if ready {
				p.Ready(score("b"))
				time.Sleep(time.Second)
				p.Ready(score("a"))
				time.Sleep(time.Second)
				if asked := c.askedFor(); !slices.Equal(asked, []int{2 * rate}) || closed.Load() != 1 {
					t.Errorf("the device was asked for %v, %d closed", asked, closed.Load())
				}
			}
			start := time.Now()
			p.SetScore(score("a"), start)
			time.Sleep(3 * time.Second)
			if d := heardAfter(c, start); (d <= 250*time.Millisecond) != ready {
				t.Errorf("ready %v: heard after %v", ready, d)
			}
		})
		if ready {
			for _, f := range c.heard {
				if f[1] != 0 {
					if place := math.Round(f[0] / f[1] * (1 << 20)); place > 2 {
						t.Errorf("it begins at frame %.0f", place)
					}
					break
				}
			}
		}
	}
}

// The next clip waits open, also when it is an hour away, so that Next is heard at once. What is laid elsewhere has another ID,
// and a tap may take a while to get here.
func TestTheNextClipIsHeardAtOnce(t *testing.T) {
	for _, next := range []struct {
		id    string
		since time.Duration
	}{{"b", 0}, {"sooner", 0}, {"sooner", 2 * time.Second}} {
		c := newCard()
		c.ahead = 110 * time.Millisecond
		tapes := shelf{"a": long(time.Hour), "b": long(2 * time.Hour)}
		liveWith(t, Options{bare: true, Rate: rate, Line: c, Open: tapes.slow}, func(p *Player) {
			start := time.Now()
			a, b := Clip{ID: "a", File: "a", End: time.Hour}, Clip{ID: "b", File: "b", Start: time.Hour, End: 2 * time.Hour, FadeIn: time.Second}
			p.SetScore(Score{Clips: []Clip{a, b}}, start)
			time.Sleep(time.Minute)
			now := time.Since(start)
			tap := now - next.since
			a.End = tap + 10*time.Second
			b.ID, b.Start, b.End = next.id, tap, tap+time.Hour
			p.SetScore(Score{Clips: []Clip{a, b}}, start)
			time.Sleep(3 * time.Second)
			for d := now; d < now+3*time.Second; d += time.Millisecond {
				if s := c.sample(start, d); s[1] > 1.01 {
					if late := d - now; late > 160*time.Millisecond {
						t.Errorf("%+v: heard after %v", next, late)
					}
					return
				}
			}
			t.Errorf("%+v: nothing changes", next)
		})
	}
}

// TestWhateverIsWishedIsHeard calls the player's methods at random, while its device comes and goes. A session always sounds within 3 s
// of its start or of the device's return, and outside sessions a lent device stays closed.
func TestWhateverIsWishedIsHeard(t *testing.T) {
	rig.Arithmetic(t)
	for seed := range uint64(*wishes) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := newCard()
		var did []string
		live(t, shelf{"a": long(3 * time.Hour), "b": long(3 * time.Hour)}, c, func(p *Player) {
			var session, device, lent, ended time.Time // when each began; zero: not now
			device, ended = time.Now(), time.Now()
			score := func() Score {
				file := string("ab"[rng.IntN(2)])
				return Score{Clips: []Clip{{ID: file, File: file, End: 3 * time.Hour}}, Rate: []int{0, rate, 2 * rate}[rng.IntN(3)]}
			}
			set := func(since *time.Time, yes bool) {
				switch {
				case !yes:
					*since = time.Time{}
				case since.IsZero():
					*since = time.Now()
				}
			}
			for range 15 {
				yes := rng.IntN(2) == 0
				what := []string{"start", "revise", "stop", "attend", "lend", "rouse", "ready", "device"}[rng.IntN(8)]
				did = append(did, fmt.Sprint(what, " ", yes))
				switch what {
				case "start":
					session = time.Now()
					p.SetScore(score(), session)
				case "revise":
					if !session.IsZero() {
						p.SetScore(score(), session)
						time.Sleep(4 * time.Second) // the old music fades out
					}
				case "stop":
					p.Stop()
					session, ended = time.Time{}, time.Now()
				case "attend":
					p.Attend(yes)
				case "lend":
					p.Lend(yes)
					set(&lent, yes)
				case "rouse":
					p.Rouse()
				case "ready":
					p.Ready(score())
				case "device":
					c.set(yes)
					set(&device, yes)
				}
				time.Sleep(time.Duration([]int{17, 300, 5003, 70_011}[rng.IntN(4)]) * time.Millisecond)
				settled := func(since time.Time) bool { return !since.IsZero() && time.Since(since) > 3*time.Second }
				switch {
				case settled(session) && settled(device):
					if c.sample(session, time.Since(session)-200*time.Millisecond) == [2]float64{} {
						t.Errorf("seed %d: silence, %v into a session, after %v", seed, time.Since(session), did)
						return
					}
				case session.IsZero() && settled(lent) && time.Since(ended) > 4*time.Second:
					waits := c.waited()
					time.Sleep(10 * time.Second)
					if n := c.waited() - waits; n > 2 {
						t.Errorf("seed %d: the lent device was opened, after %v", seed, did)
						return
					}
				}
			}
		})
	}
}
