package player

import (
	"context"
	"errors"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomd/player/loudness"
	"roomd/rig"
)

const rate = 8000 // of the tests: small, so that each sample can be looked at

// card is a line that is paced by the clock and keeps what it was given. Its own clock may be off by ppm.
type card struct {
	rate  int
	ppm   float64
	ahead time.Duration // that it can be written ahead of hearing

	mu    sync.Mutex
	gen   uint64
	ok    bool
	from  time.Time // when the first of what it holds began to sound
	wrote int64     // since
	heard [][2]float64
	at    []time.Time // of each block, when its first frame sounds
	first []int       // frame of each block in heard
	asked []int       // rates
	rests int
	waits int
	looks int
	more  [][][2]float64
}

func newCard() *card { return &card{rate: rate, gen: 1, ok: true, ahead: 150 * time.Millisecond} }

func (c *card) waited() int   { c.mu.Lock(); defer c.mu.Unlock(); return c.waits }
func (c *card) prepared() int { c.mu.Lock(); defer c.mu.Unlock(); return c.looks }
func (c *card) rested() int   { c.mu.Lock(); defer c.mu.Unlock(); return c.rests }
func (c *card) askedFor() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

func (c *card) Prepare() (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looks++
	return c.gen, c.ok
}

func (c *card) Rate() int { c.mu.Lock(); defer c.mu.Unlock(); return c.rate }

// Wait returns when half of what the card holds at most is played, as a line does.
func (c *card) Wait(woken <-chan struct{}) int {
	c.mu.Lock()
	c.waits++
	c.mu.Unlock()
	if d := c.Delay() - c.ahead/2; d > 0 {
		select {
		case <-time.After(d):
		case <-woken:
			return 0
		}
	}
	return int(frames(c.ahead-c.Delay(), c.Rate()))
}

func (c *card) Rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rests++
	c.from = time.Time{}
	c.gen++
}

func (c *card) SetRate(hz int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate, c.from, c.gen, c.asked = hz, time.Time{}, c.gen+1, append(c.asked, hz)
}

func (c *card) pace() float64 { return float64(c.rate) * (1 + c.ppm/1e6) }

func (c *card) Delay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delay()
}

func (c *card) delay() time.Duration {
	if c.from.IsZero() {
		return 0
	}
	end := c.from.Add(time.Duration(float64(c.wrote) / c.pace() * 1e9))
	return max(0, time.Until(end))
}

func (c *card) Write(b [][2]float64, more ...[][2]float64) error {
	c.mu.Lock()
	d := c.delay()
	if d == 0 {
		c.from, c.wrote = time.Now(), 0
	}
	c.wrote += int64(len(b))
	if c.ok {
		c.first = append(c.first, len(c.heard))
		c.heard = append(c.heard, b...)
		c.at = append(c.at, time.Now().Add(d))
		for k, m := range more {
			if len(c.more) == k {
				c.more = append(c.more, nil)
			}
			c.more[k] = append(c.more[k], m...)
		}
	}
	c.mu.Unlock()
	return nil
}

func (c *card) set(ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok && !c.ok {
		c.gen++
		c.from = time.Time{}
	}
	c.ok = ok
}

// sample is what was heard at session time d after start.
func (c *card) sample(start time.Time, d time.Duration) [2]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	when := start.Add(d)
	i := sort.Search(len(c.at), func(i int) bool { return c.at[i].After(when) }) - 1
	if i < 0 {
		return [2]float64{}
	}
	k := int(frames(when.Sub(c.at[i]), c.rate))
	if k >= len(c.heard)-c.first[i] || i+1 < len(c.at) && k >= c.first[i+1]-c.first[i] {
		return [2]float64{}
	}
	return c.heard[c.first[i]+k]
}

// tape is all that was played so far.
func (c *card) tape() [][2]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.heard)
}

// tape is a source whose frames tell their own place: left is the place in frames over 2^20, right is 1.
type tape struct {
	place, end int64
	err        error
	block      func(place int64) bool // no frame is ready at place
	closed     func()
}

func (s *tape) TryStream(b [][2]float64) (int, bool) {
	for i := range b {
		if s.place >= s.end {
			return i, i > 0
		}
		if s.block != nil && s.block(s.place) {
			return i, true
		}
		b[i] = [2]float64{float64(s.place) / (1 << 20), 1}
		s.place++
	}
	return len(b), true
}
func (s *tape) Stream(b [][2]float64) (int, bool) { return s.TryStream(b) }
func (s *tape) Err() error                        { return s.err }
func (s *tape) Close() error {
	if s.closed != nil {
		s.closed()
	}
	return nil
}

// noNumbers is what a broken decoder may hand out.
type noNumbers struct{ tape }

func (noNumbers) TryStream(b [][2]float64) (int, bool) {
	for i := range b {
		b[i] = [2]float64{math.NaN(), math.Inf(1)}
	}
	return len(b), true
}

// shelf opens tapes by name; a name that is not there is an error.
type shelf map[string]func(from time.Duration) (Source, error)

func (s shelf) open(_ context.Context, file string, from time.Duration, _ int) (Source, error) {
	f, ok := s[file]
	if !ok {
		return nil, errors.New("no such tape")
	}
	return f(from)
}

func long(d time.Duration) func(time.Duration) (Source, error) {
	return func(from time.Duration) (Source, error) {
		return &tape{place: frames(from, rate), end: frames(d, rate)}, nil
	}
}

// live runs a player on a card inside a bubble.
func live(t *testing.T, s shelf, c *card, play func(p *Player)) {
	liveWith(t, Options{bare: true, Rate: rate, Line: c, Open: s.open, Ceiling: 6}, play)
}

func liveWith(t *testing.T, o Options, play func(p *Player)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := New(o)
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		play(p)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

func TestACrossfadeKeepsItsPower(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Minute), "b": long(time.Minute)}, c, func(p *Player) {
		start := time.Now()
		p.SetScore(Score{Clips: []Clip{
			{ID: "a", File: "a", Start: 0, End: 20 * time.Second, FadeIn: 2 * time.Second, FadeOut: 5 * time.Second},
			{ID: "b", File: "b", Start: 15 * time.Second, End: 40 * time.Second, FadeIn: 5 * time.Second},
		}}, start)
		time.Sleep(25 * time.Second)
		for d := 3 * time.Second; d < 24*time.Second; d += 37 * time.Millisecond {
			got := c.sample(start, d)[1]
			x := math.Max(0, math.Min(1, (d.Seconds()-15)/5)) * math.Pi / 2
			if want := math.Sin(x) + math.Cos(x); math.Abs(got-want) > 0.001 {
				t.Fatalf("at %v: %.4f, want %.4f", d, got, want)
			}
		}
	})
}

func TestAScoreThatChangesLeavesASoundingClipUntouched(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Minute)}, c, func(p *Player) {
		start := time.Now()
		clip := Clip{ID: "a", File: "a", End: 30 * time.Second, FadeOut: 4 * time.Second}
		p.SetScore(Score{Clips: []Clip{clip}}, start)
		time.Sleep(10 * time.Second)
		clip.End, clip.FadeOut, clip.Title = 50*time.Second, 9*time.Second, "renamed"
		p.SetScore(Score{Clips: []Clip{clip}}, start)
		time.Sleep(10 * time.Second)
		clip.End, clip.FadeOut = 25*time.Second, 2*time.Second
		p.SetScore(Score{Clips: []Clip{clip}}, start)
		time.Sleep(6 * time.Second)
	})
	for i := 3 * rate; i < 22*rate; i++ {
		if got, want := c.heard[i], [2]float64{c.heard[i-1][0] + 1./(1<<20), 1}; math.Abs(got[0]-want[0]) > 1e-12 || got[1] != want[1] {
			t.Fatalf("frame %d: %v, want %v", i, got, want)
		}
	}
	if end := c.heard[len(c.heard)-rate/2]; end != [2]float64{} {
		t.Errorf("%v sounds past the clip's new end", end)
	}
	for i := 1; i < len(c.heard)-rate/2; i++ {
		if step := math.Abs(c.heard[i][1] - c.heard[i-1][1]); step > 0.001 {
			t.Fatalf("a step of %.4f at frame %d", step, i)
		}
	}
}

// An ending that is put off while the fade runs comes back up without a step; one that is brought forward past its
// own fade does not cut.
func TestAFadeThatIsChangedMidwayHasNoStep(t *testing.T) {
	for name, end := range map[string]time.Duration{"put off": 50 * time.Second, "brought forward": 17 * time.Second} {
		t.Run(name, func(t *testing.T) {
			c := newCard()
			live(t, shelf{"a": long(time.Minute)}, c, func(p *Player) {
				start := time.Now()
				clip := Clip{ID: "a", File: "a", End: 20 * time.Second, FadeOut: 5 * time.Second}
				p.SetScore(Score{Clips: []Clip{clip}}, start)
				time.Sleep(17*time.Second + 300*time.Millisecond)
				clip.End = end
				p.SetScore(Score{Clips: []Clip{clip}}, start)
				time.Sleep(6 * time.Second)
				switch got := c.sample(start, 23*time.Second)[1]; {
				case end > 23*time.Second && math.Abs(got-1) > 1e-9:
					t.Errorf("%.3f, want full level again", got)
				case end < 23*time.Second && got != 0:
					t.Errorf("%.3f, want silence", got)
				}
			})
			for i := 1; i < len(c.heard)-rate/2; i++ {
				if step := math.Abs(c.heard[i][1] - c.heard[i-1][1]); step > 0.001 {
					t.Fatalf("a step of %.4f at %v", step, duration(int64(i), rate))
				}
			}
		})
	}
}

func TestAClipThatIsGoneFadesOutInThreeSeconds(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Minute), "b": long(time.Minute)}, c, func(p *Player) {
		start := time.Now()
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Minute}}}, start)
		time.Sleep(10 * time.Second)
		p.Stop()
		time.Sleep(5 * time.Second)
		at := func(d time.Duration) float64 { return c.sample(start, 10*time.Second+d)[1] }
		if at(-50*time.Millisecond) != 1 || at(3400*time.Millisecond) != 0 {
			t.Errorf("%.3f before and %.3f after, want 1 and 0", at(-50*time.Millisecond), at(3400*time.Millisecond))
		}
		if mid := at(1700 * time.Millisecond); math.Abs(mid-math.Sqrt2/2) > 0.1 {
			t.Errorf("%.3f half way, want about 0.707", mid)
		}
		if s := p.Status(); s.Running || len(s.Sounding) != 0 {
			t.Errorf("%+v", s)
		}
	})
	for i := 2 * rate; i < len(c.heard)-rate/2; i++ {
		if step := math.Abs(c.heard[i][1] - c.heard[i-1][1]); step > 0.001 {
			t.Fatalf("a step of %.4f at frame %d", step, i)
		}
	}
}

// After a restart in mid-session the clip is at the place where real time is, and rises from silence.
func TestALateStartIsAtItsPlaceAndFadesIn(t *testing.T) {
	c := newCard()
	var opened time.Duration
	tapes := shelf{"a": func(from time.Duration) (Source, error) { opened = from; return long(time.Hour)(from) }}
	live(t, tapes, c, func(p *Player) {
		boot := time.Now()
		start := boot.Add(-20 * time.Minute)
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", Start: 10 * time.Minute, From: 5 * time.Second, End: time.Hour}}}, start)
		time.Sleep(4 * time.Second)
		first := -1
		heard := c.tape()
		for i, s := range heard {
			if s[1] > 0.01 && first < 0 {
				first = i
			}
		}
		if first < 0 || first > rate/4 {
			t.Errorf("first sound at frame %d of %d a second, want within 250 ms", first, rate)
		}
		for d := 2500 * time.Millisecond; d < 4*time.Second; d += 111 * time.Millisecond {
			s := c.sample(boot, d)
			place := 10*time.Minute + d + 5*time.Second
			if got := math.Round(s[0] / s[1] * (1 << 20)); math.Abs(got-float64(frames(place, rate))) > 1 || math.Abs(s[1]-1) > 1e-9 {
				t.Fatalf("at %v frame %.0f at %.3f, want %d at 1", d, got, s[1], frames(place, rate))
			}
		}
		if opened < 10*time.Minute+5*time.Second {
			t.Errorf("opened at %v, and all up to its place was decoded for nothing", opened)
		}
		if s := heard[first+rate/2][1]; math.Abs(s-math.Sin(math.Pi/8)) > 0.02 {
			t.Errorf("level %.2f half a second after the first sound, want a rise over two", s)
		}
	})
}

func events(p *Player) (all []Event) {
	for {
		select {
		case e := <-p.Events():
			all = append(all, e)
		default:
			return all
		}
	}
}

func rms(s [][2]float64) float64 {
	var sum float64
	for _, f := range s {
		sum += f[0]*f[0] + f[1]*f[1]
	}
	return math.Sqrt(sum / float64(2*len(s)))
}

// Whatever goes wrong with a clip: within 2 s the bed is heard in its place, and its owner is told.
func TestAClipThatFailsIsCovered(t *testing.T) {
	dry := func(from time.Duration) (Source, error) {
		return &tape{place: frames(from, rate), end: 1 << 40, block: func(p int64) bool { return p > 5*rate }}, nil
	}
	broken := func(from time.Duration) (Source, error) {
		return &tape{place: frames(from, rate), end: 5 * rate, err: errors.New("bit rot")}, nil
	}
	bad := func(from time.Duration) (Source, error) { panic("decoder") }
	nan := func(from time.Duration) (Source, error) { return &noNumbers{}, nil }
	for name, c := range map[string]struct {
		file string
		kind EventKind
		hole time.Duration // session time from which the clip is missed
	}{
		"missing":        {"missing", ClipFailed, 10 * time.Second},
		"short":          {"short", ClipShort, 15 * time.Second},
		"broken":         {"broken", ClipFailed, 15 * time.Second},
		"panics":         {"bad", ClipFailed, 10 * time.Second},
		"never opens":    {"slow", "", 10 * time.Second},
		"runs dry":       {"dry", "", 15 * time.Second},
		"is not numbers": {"nan", ClipFailed, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			d := newCard()
			s := shelf{"a": long(time.Hour), "short": long(5 * time.Second), "broken": broken, "bad": bad, "nan": nan, "dry": dry}
			live(t, s, d, func(p *Player) {
				hang := make(chan struct{})
				defer close(hang)
				s["slow"] = func(time.Duration) (Source, error) { <-hang; return nil, errors.New("too late") }
				start := time.Now()
				p.SetScore(Score{Cover: "drone", Levels: []Level{{0, -20}}, Clips: []Clip{
					{ID: "a", File: "a", End: 12 * time.Second, FadeOut: 2 * time.Second},
					{ID: "b", File: c.file, Start: 10 * time.Second, End: 42 * time.Second, FadeIn: 2 * time.Second, FadeOut: 2 * time.Second},
					{ID: "c", File: "a", Start: 40 * time.Second, End: time.Minute, FadeIn: 2 * time.Second},
				}}, start)
				time.Sleep(10*time.Second + 300*time.Millisecond)
				if s := p.Status().Sounding; c.hole == 10*time.Second && c.file != "slow" && (len(s) != 2 || !s[1].Covered) {
					t.Errorf("%+v: what is known before it is due is covered by a crossfade", s)
				}
				time.Sleep(40 * time.Second)
				level := func(at time.Duration) float64 {
					var s [][2]float64
					for k := range rate / 10 {
						s = append(s, d.sample(start, at+duration(int64(k), rate)))
					}
					return rms(s)
				}
				whole := level(30 * time.Second)
				if whole < 0.02 || whole > 0.3 {
					t.Fatalf("level %.4f in the middle of the hole, want a bed", whole)
				}
				if l := level(c.hole + 2*time.Second); l < whole/4 {
					t.Errorf("level %.4f two seconds after, want something of %.4f", l, whole)
				}
				if l := level(45 * time.Second); math.Abs(l-0.6) > 0.4 || d.sample(start, 45*time.Second)[1] != 1 {
					t.Errorf("the next clip sounds at %.3f, want it alone", l)
				}
				var told bool
				for _, e := range events(p) {
					told = told || e.Kind == c.kind && e.Clip == "b" && e.Detail != ""
				}
				if c.kind != "" && !told {
					t.Errorf("nobody was told %q", c.kind)
				}
			})
			for i := rate; i < len(d.heard); i++ {
				if step := math.Abs(d.heard[i][1] - d.heard[i-1][1]); step > 0.1 {
					t.Fatalf("a step of %.4f at %v", step, duration(int64(i), rate))
				}
			}
		})
	}
}

// Two tracks of a live album join to the frame, whatever the card's clock does.
func TestTracksThatBelongTogetherJoinWithoutAGap(t *testing.T) {
	c := newCard()
	c.ppm = 200
	live(t, shelf{"a": long(20 * time.Second), "b": long(time.Minute)}, c, func(p *Player) {
		p.SetScore(Score{Clips: []Clip{
			{ID: "a", File: "a", End: 20 * time.Second},
			{ID: "b", File: "b", Start: 20 * time.Second, End: time.Minute},
		}}, time.Now())
		time.Sleep(25 * time.Second)
	})
	last := float64(20*rate-1) / (1 << 20)
	for i, s := range c.heard {
		if s[0] == last {
			for k := range 4 * rate {
				if want := [2]float64{float64(k) / (1 << 20), 1}; c.heard[i+1+k] != want {
					t.Fatalf("%d frames after the join: %v, want %v", k, c.heard[i+1+k], want)
				}
			}
			return
		}
	}
	t.Error("the first track's last frame was not played at its level")
}

// A card whose clock is off keeps the session's time, and the music is never bent for it.
func TestACardsClockThatDriftsIsFollowed(t *testing.T) {
	for _, ppm := range []float64{-200, 200} {
		c := newCard()
		c.ppm = ppm
		live(t, shelf{"a": long(2 * time.Hour), "b": long(time.Hour)}, c, func(p *Player) {
			start := time.Now()
			p.SetScore(Score{Clips: []Clip{
				{ID: "a", File: "a", End: time.Hour},
				{ID: "b", File: "b", Start: 8 * time.Minute, End: time.Hour, FadeIn: time.Second},
			}}, start)
			time.Sleep(8*time.Minute + 3*time.Second)
			// Undisturbed, the card would be 96 ms off by now.
			begins := start.Add(8 * time.Minute)
			for d := begins.Sub(start) - 2*time.Second; d < begins.Sub(start)+2*time.Second; d += time.Millisecond {
				if c.sample(start, d)[1] > 1.02 {
					if off := start.Add(d).Sub(begins); off < -15*time.Millisecond || off > 30*time.Millisecond {
						t.Errorf("%+.0f ppm: the second clip begins %v off", ppm, off)
					}
					return
				}
			}
			t.Error("the second clip was not heard")
		})
		for i := 4 * rate; i < 7*60*rate; i++ {
			if step := c.heard[i][0] - c.heard[i-1][0]; math.Abs(step-1./(1<<20)) > 1e-9 {
				t.Fatalf("%+.0f ppm: the music is bent at frame %d", ppm, i)
			}
		}
	}
}

// An unplugged card: when it is back the music is where it would have been, from silence.
func TestALostDeviceComesBackFromSilenceAtTheRightPlace(t *testing.T) {
	for _, away := range []time.Duration{3 * time.Second, 40 * time.Second} {
		c := newCard()
		live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
			start := time.Now()
			p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Hour}}}, start)
			time.Sleep(10 * time.Second)
			c.set(false)
			time.Sleep(away)
			if s := p.Status(); s.Device || (s.Position-10*time.Second-away).Abs() > time.Millisecond {
				t.Errorf("%+v", s)
			}
			n := len(c.tape())
			c.set(true)
			back := time.Now()
			time.Sleep(4 * time.Second)
			for i, s := range c.tape()[n : n+2*rate] {
				if limit := float64(i)/rate*math.Pi/4 + 0.01; s[1] > limit {
					t.Fatalf("away %v: level %.3f after %v, want a rise from silence", away, s[1], duration(int64(i), rate))
				}
			}
			at := back.Add(3500 * time.Millisecond).Sub(start)
			s := c.sample(start, at)
			if want := frames(at, rate); s[1] != 1 || math.Abs(s[0]*(1<<20)-float64(want)) > 2 {
				t.Errorf("away %v: frame %.1f at level %.3f, want %d at 1", away, s[0]*(1<<20), s[1], want)
			}
			var kinds []EventKind
			for _, e := range events(p) {
				if e.Kind != ClipStarted {
					kinds = append(kinds, e.Kind)
				}
			}
			if len(kinds) != 2 || kinds[0] != DeviceLost || kinds[1] != DeviceBack {
				t.Errorf("told %v", kinds)
			}
		})
	}
}

// What the guard held when the device was lost belongs to before the gap.
func TestNothingIsLeftInTheGuardOverAGap(t *testing.T) {
	c := newCard()
	liveWith(t, Options{Rate: rate, Line: c, Open: shelf{"a": long(time.Hour)}.open}, func(p *Player) {
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Hour, Gain: -30}}}, time.Now())
		time.Sleep(10 * time.Second)
		c.set(false)
		time.Sleep(3 * time.Second)
		n := len(c.tape())
		c.set(true)
		time.Sleep(2 * time.Second)
		if s := c.tape()[n : n+rate/20]; rms(s) != 0 {
			t.Errorf("a rest of level %.5f is heard when the device is back", rms(s))
		}
	})
}

// A device that ran dry for a moment is back at once, and the sound rises from silence.
func TestAfterAnUnderrunTheSoundRisesFromSilence(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		start := time.Now()
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Hour}}}, start)
		time.Sleep(10 * time.Second)
		c.mu.Lock()
		c.gen++
		n := len(c.heard)
		c.mu.Unlock()
		time.Sleep(4 * time.Second)
		for i, s := range c.tape()[n : n+2*rate] {
			if limit := float64(i)/rate*math.Pi/4 + 0.01; s[1] > limit {
				t.Fatalf("level %.3f after %v, want a rise from silence", s[1], duration(int64(i), rate))
			}
		}
		at := 13 * time.Second
		if s, want := c.sample(start, at), frames(at, rate); s[1] != 1 || math.Abs(s[0]*(1<<20)-float64(want)) > 2 {
			t.Errorf("frame %.1f at level %.3f, want %d at 1", s[0]*(1<<20), s[1], want)
		}
	})
}

// It rises also where somebody asks for something in the moment of the gap, before anything is rendered.
func TestAGapIsNotForgottenOverAWord(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Hour}}}, time.Now())
		time.Sleep(10 * time.Second)
		c.mu.Lock()
		c.gen++
		n := len(c.heard)
		c.mu.Unlock()
		p.SetMaster(Master{})
		time.Sleep(4 * time.Second)
		for i, s := range c.tape()[n : n+2*rate] {
			if limit := float64(i)/rate*math.Pi/4 + 0.01; s[1] > limit {
				t.Fatalf("level %.3f after %v, want a rise from silence", s[1], duration(int64(i), rate))
			}
		}
	})
}

// A clip that comes into the score when it should be sounding already fades in beside what sounds.
func TestAClipThatIsAddedInItsMiddleFadesIn(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		start := time.Now()
		a := Clip{ID: "a", File: "a", End: time.Hour}
		p.SetScore(Score{Clips: []Clip{a}}, start)
		time.Sleep(10 * time.Second)
		p.SetScore(Score{Clips: []Clip{a, {ID: "b", File: "a", Start: 5 * time.Second, End: time.Hour}}}, start)
		time.Sleep(4 * time.Second)
		if s := c.sample(start, 13*time.Second); math.Abs(s[1]-2) > 1e-9 {
			t.Errorf("level %.4f, want both", s[1])
		}
	})
	for i := 4 * rate; i < len(c.heard)-rate/2; i++ {
		if step := math.Abs(c.heard[i][1] - c.heard[i-1][1]); step > 0.001 {
			t.Fatalf("a step of %.4f at %v", step, duration(int64(i), rate))
		}
	}
}

// A decoder that runs dry and comes back: the bed leaves again, and the music is at its place.
func TestASourceThatComesBackTakesOverFromTheBed(t *testing.T) {
	c := newCard()
	var dry atomic.Bool
	tapes := shelf{"a": func(from time.Duration) (Source, error) {
		return &tape{place: frames(from, rate), end: 1 << 40, block: func(int64) bool { return dry.Load() }}, nil
	}}
	live(t, tapes, c, func(p *Player) {
		start := time.Now()
		p.SetScore(Score{Cover: "drone", Clips: []Clip{{ID: "a", File: "a", End: time.Hour}}}, start)
		time.Sleep(5 * time.Second)
		dry.Store(true)
		time.Sleep(8 * time.Second)
		if s := p.Status().Sounding; len(s) != 1 || !s[0].Covered {
			t.Errorf("%+v, want it covered", s)
		}
		dry.Store(false)
		time.Sleep(4 * time.Second)
		if s := p.Status().Sounding; len(s) != 1 || s[0].Covered {
			t.Errorf("%+v, want it back", s)
		}
		at := 16500 * time.Millisecond
		if s, want := c.sample(start, at), frames(at, rate); s[1] != 1 || math.Abs(s[0]*(1<<20)-float64(want)) > 2 {
			t.Errorf("frame %.1f at level %.3f, want %d at 1 and nothing else", s[0]*(1<<20), s[1], want)
		}
	})
}

// A file that goes on beyond its clip is not cut off.
func TestAFileThatIsLongerThanItsClipEndsWithoutAStep(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: 5 * time.Second}}}, time.Now())
		time.Sleep(7 * time.Second)
	})
	for i := 1; i < len(c.heard); i++ {
		if step := math.Abs(c.heard[i][1] - c.heard[i-1][1]); step > 0.05 {
			t.Fatalf("a step of %.4f at %v", step, duration(int64(i), rate))
		}
	}
}

func TestNothingSoundsFromTheScoresEndOn(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		start := time.Now()
		p.SetScore(Score{End: 10 * time.Second, Cover: "drone", Clips: []Clip{
			{ID: "a", File: "a", End: time.Minute},
			{ID: "b", File: "missing", Start: 5 * time.Second, End: time.Hour},
			{ID: "c", File: "a", Start: 11 * time.Second, End: time.Hour},
		}}, start)
		time.Sleep(14 * time.Second)
		if before := c.sample(start, 9500*time.Millisecond); before == [2]float64{} {
			t.Error("nothing sounds before the end")
		}
		for d := 10*time.Second + 5*time.Millisecond; d < 13*time.Second; d += 7 * time.Millisecond {
			if s := c.sample(start, d); s != [2]float64{} {
				t.Fatalf("%v at %v", s, d)
			}
		}
	})
}

// Planned silence is kept; nothing covers it.
func TestAPauseInTheScoreIsSilent(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(5 * time.Second)}, c, func(p *Player) {
		start := time.Now()
		p.SetScore(Score{Cover: "drone", Clips: []Clip{
			{ID: "a", File: "a", End: 5 * time.Second},
			{ID: "b", File: "missing", Start: 10 * time.Second, End: 20 * time.Second},
		}}, start)
		time.Sleep(25 * time.Second)
		for d := 5500 * time.Millisecond; d < 24*time.Second; d += 7 * time.Millisecond {
			if s := c.sample(start, d); s != [2]float64{} && (d < 9990*time.Millisecond || d > 20010*time.Millisecond) {
				t.Fatalf("%v at %v", s, d)
			}
		}
	})
}

func TestTheMasterGlides(t *testing.T) {
	c := newCard()
	db := func(start time.Time, at time.Duration) float64 { return 20 * math.Log10(c.sample(start, at)[1]) }
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.25 {
			t.Errorf("%s: %.2f dB, want %.2f", what, got, want)
		}
	}
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		p.SetMaster(Master{DB: -6, Over: 20 * time.Second})
		start := time.Now()
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Hour}}}, start)
		time.Sleep(3 * time.Second)
		near("before the first sound it is set at once", db(start, 2200*time.Millisecond), -6)
		time.Sleep(2 * time.Second)
		p.SetMaster(Master{DB: -18, Over: 4 * time.Second})
		time.Sleep(5 * time.Second)
		near("half way down", db(start, 7100*time.Millisecond), -12)
		near("down", db(start, 9500*time.Millisecond), -18)
		p.SetMaster(Master{DB: 40, Over: time.Second})
		time.Sleep(10 * time.Second)
		near("up by 3 dB a second", db(start, 12200*time.Millisecond), -12)
		near("up to the ceiling", db(start, 19*time.Second), 6)
		if got := p.Status().Master; got != 6 {
			t.Errorf("the status says %.1f dB", got)
		}
		p.SetMaster(Master{DB: math.Inf(-1), Over: 2 * time.Second})
		time.Sleep(3 * time.Second)
		if s := c.sample(start, 22500*time.Millisecond); s != [2]float64{} {
			t.Errorf("%v, want silence", s)
		}
		if got := p.Status().Master; got != -120 {
			t.Errorf("the status says %.1f dB", got)
		}
		p.SetMaster(Master{DB: math.NaN()})
		time.Sleep(time.Second)
		if s := c.sample(start, 23500*time.Millisecond); s != [2]float64{} {
			t.Errorf("%v for a level that is no number", s)
		}
	})
	for i := 1; i < len(c.heard); i++ {
		a, b := c.heard[i-1][1], c.heard[i][1]
		if b-a > 0.004 {
			t.Fatalf("a step of %.4f at %v", b-a, duration(int64(i), rate))
		}
	}
}

// With the guard's look-ahead and a device that is written 110 ms ahead: a start is heard within 250 ms, a command
// within 300 ms.
func TestWhatIsAskedForIsHeardSoon(t *testing.T) {
	c := newCard()
	c.ahead = 110 * time.Millisecond
	liveWith(t, Options{Rate: rate, Line: c, Open: shelf{"a": long(time.Hour)}.open, Ceiling: 6}, func(p *Player) {
		time.Sleep(3*time.Second + 7*time.Millisecond) // the device is open and fed
		start := time.Now()
		p.SetScore(Score{Clips: []Clip{{ID: "a", File: "a", End: time.Hour, Gain: -46, FadeIn: 2 * time.Second}}}, start)
		time.Sleep(10 * time.Second)
		if c.sample(start, 250*time.Millisecond)[1] == 0 {
			t.Error("nothing is heard 250 ms after the start")
		}
		asked := time.Now()
		before := c.sample(start, asked.Sub(start))[1]
		p.SetMaster(Master{DB: silence})
		time.Sleep(time.Second)
		if after := c.sample(start, asked.Sub(start)+300*time.Millisecond)[1]; before < 0.0045 || after > before/2 {
			t.Errorf("300 ms after silence was asked for the level is %.5f, of %.5f", after, before)
		}
	})
}

// Files that share a rate are played at it, from their first frame on: each is opened at it, and the second is where it
// is to be by the device's new clock. What sounds already is never interrupted for a rate.
func TestFilesThatShareARateArePlayedAtIt(t *testing.T) {
	c := newCard()
	files := shelf{"a": long(time.Hour), "b": long(time.Hour)}
	var mu sync.Mutex
	rates := map[string][]int{}
	open := func(ctx context.Context, file string, from time.Duration, hz int) (Source, error) {
		mu.Lock()
		defer mu.Unlock()
		rates[file] = append(rates[file], hz)
		return files.open(ctx, file, from, hz)
	}
	liveWith(t, Options{bare: true, Rate: rate, Line: c, Open: open, Ceiling: 6}, func(p *Player) {
		time.Sleep(time.Second)
		start := time.Now()
		score := Score{Rate: rate * 2, Clips: []Clip{
			{ID: "a", File: "a", End: 20 * time.Second, FadeOut: 2 * time.Second},
			{ID: "b", File: "b", Start: 18 * time.Second, End: 40 * time.Second, FadeIn: 2 * time.Second},
		}}
		p.SetScore(score, start)
		time.Sleep(5 * time.Second)
		score.Rate = rate * 4 // not while it sounds
		p.SetScore(score, start)
		time.Sleep(5 * time.Second)
		if got := p.Status(); len(got.Sounding) != 1 || got.Sounding[0].ID != "a" || !got.Device {
			t.Errorf("after 10 s: %+v", got)
		}
		time.Sleep(10 * time.Second)
		p.SetScore(Score{End: time.Second, Rate: rate * 2}, start) // the session is over
		time.Sleep(10 * time.Second)
		score.Rate = 0                // its files differ: the rate of the session before is not theirs
		p.SetScore(score, time.Now()) // another begins
		time.Sleep(5 * time.Second)
		for {
			select {
			case e := <-p.Events():
				if e.Kind != ClipStarted {
					t.Errorf("%+v", e)
				}
				continue
			default:
			}
			break
		}
	})
	if both := []int{rate * 2, rate}; !slices.Equal(c.asked, both) || !slices.Equal(rates["a"], both) || !slices.Equal(rates["b"], both) {
		t.Errorf("the device was asked for %v, the files for %v", c.asked, rates)
	}
	// a counts up by one each frame of its own.
	at := c.first[slices.IndexFunc(c.at, func(at time.Time) bool { return at.Sub(c.at[0]) > 5*time.Second })]
	if d := c.heard[at+1000][0] - c.heard[at][0]; d <= 0 {
		t.Errorf("a does not go on: %v", d)
	}
}

// A second pair plays the same in step, at its own level and under its own ceiling.
func TestAPairHasItsOwnLevelAndCeiling(t *testing.T) {
	rig.Arithmetic(t)
	c := newCard()
	soft := Score{Levels: []Level{{Target: -23}}, Clips: []Clip{{ID: "a", Bed: "ocean", End: time.Hour}}}
	for _, k := range []struct{ level, loudest, lower float64 }{{-6, 0, 6}, {3, -31, 8}} {
		*c = *newCard()
		o := Options{Rate: 48000, Line: c, Loudest: -17, Pairs: []Pair{{Level: k.level, Loudest: k.loudest}}}
		c.rate = o.Rate
		liveWith(t, o, func(p *Player) {
			p.SetScore(soft, time.Now())
			time.Sleep(30 * time.Second)
		})
		if len(c.more) != 1 || len(c.more[0]) != len(c.heard) {
			t.Fatal("the second pair is not in step")
		}
		main, pair := loudness.NewMeter(o.Rate), loudness.NewMeter(o.Rate)
		main.Write(c.heard)
		pair.Write(c.more[0])
		if d := main.Integrated() - pair.Integrated(); math.Abs(d-k.lower) > 1.5 {
			t.Errorf("level %v, ceiling %v: the pair is %.1f LU softer, wanted %.0f", k.level, k.loudest, d, k.lower)
		}
		if m := pair.MaxMomentary(); k.loudest != 0 && m > k.loudest+0.1 {
			t.Errorf("the pair is at %.1f LUFS, its ceiling is %v", m, k.loudest)
		}
	}
}

// A clip's own gain and curve are exact, and a level that changes under it glides.
func TestGainAndCurve(t *testing.T) {
	c := newCard()
	live(t, shelf{"a": long(time.Hour)}, c, func(p *Player) {
		start := time.Now()
		clip := Clip{ID: "a", File: "a", From: 10 * time.Second, End: time.Hour, Gain: -6, Curve: []GainPoint{
			{10 * time.Second, 0}, {14 * time.Second, 0}, {16 * time.Second, -4}, {20 * time.Second, -4},
		}}
		p.SetScore(Score{Clips: []Clip{clip}}, start)
		time.Sleep(12 * time.Second)
		clip.Gain = 0
		clip.Curve = []GainPoint{{0, -20}} // a curve found meanwhile is no use to what sounds already
		p.SetScore(Score{Clips: []Clip{clip}}, start)
		time.Sleep(4 * time.Second)
		for at, want := range map[time.Duration]float64{3 * time.Second: -6, 7 * time.Second: -10, 13100 * time.Millisecond: -7, 15 * time.Second: -4} {
			if got := 20 * math.Log10(c.sample(start, at)[1]); math.Abs(got-want) > 0.15 {
				t.Errorf("at %v %.2f dB, want %.2f", at, got, want)
			}
		}
		// The start is up to a block late, and the curve goes with the file.
		s := c.sample(start, 5*time.Second)
		place := s[0] / s[1] * (1 << 20)
		if got, want := 20*math.Log10(s[1]), -6-2*(place/rate-14); math.Abs(got-want) > 0.001 {
			t.Errorf("on the slope %.4f dB, want %.4f", got, want)
		}
	})
}

func TestEventsThatNobodyFetchesAreDroppedOldestFirst(t *testing.T) {
	p := New(Options{bare: true, Rate: rate})
	for i := range kept + 5 {
		p.emit(Event{At: time.Duration(i)})
	}
	if e := <-p.Events(); e.At != 5 {
		t.Errorf("the first is %d, want 5", e.At)
	}
	if d := p.Status().Dropped; d != 5 {
		t.Errorf("dropped %d", d)
	}
}

// Every source that was opened is closed, whatever became of it.
func TestSourcesAreClosed(t *testing.T) {
	var open int
	var mu sync.Mutex
	count := func(n int) { mu.Lock(); open += n; mu.Unlock() }
	s := shelf{"a": func(from time.Duration) (Source, error) {
		count(1)
		time.Sleep(100 * time.Millisecond)
		return &tape{place: frames(from, rate), end: 100 * rate, closed: func() { count(-1) }}, nil
	}}
	live(t, s, newCard(), func(p *Player) {
		start := time.Now()
		for i := range 20 {
			at := time.Duration(i) * time.Second
			p.SetScore(Score{Clips: []Clip{
				{ID: string(rune('a' + i)), File: "a", End: time.Hour},
				{ID: string(rune('A' + i)), File: "a", Start: at + 5*time.Second, End: at + 300*time.Second, FadeIn: time.Second, FadeOut: time.Second},
			}}, start)
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
		}
		p.SetScore(Score{}, start.Add(time.Hour))
		time.Sleep(5 * time.Second)
	})
	if open != 0 {
		t.Errorf("%d sources are still open", open)
	}
}

func TestTheLoopAllocatesNothing(t *testing.T) {
	m := newMix(t.Context(), 48000, 1920, shelf{"a": long(time.Hour)}.open, func(Event) {})
	m.offline = true
	m.setPlan(newPlan(Score{Clips: []Clip{
		{ID: "a", File: "a", End: time.Hour, FadeIn: time.Minute, Curve: []GainPoint{{0, 0}, {time.Hour, -3}}},
		{ID: "b", Bed: "ocean", End: time.Hour},
	}}, 48000))
	block := make([][2]float64, 1920)
	m.Stream(block)
	if n := testing.AllocsPerRun(100, func() { m.Stream(block) }); n != 0 {
		t.Errorf("%.1f allocations a block", n)
	}
	m.close()
}
