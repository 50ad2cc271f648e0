package player

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const rate = 8000 // of the tests: small, so that each sample can be looked at

// card is a line that is paced by the clock and keeps what it was given. Its own clock may be off by ppm.
type card struct {
	rate int
	ppm  float64

	mu    sync.Mutex
	gen   uint64
	ok    bool
	from  time.Time // when the first of what it holds began to sound
	wrote int64     // since
	heard [][2]float64
	at    []time.Time // of each block, when its first frame sounds
	sizes []int
}

func newCard() *card { return &card{rate: rate, gen: 1, ok: true} }

func (c *card) Prepare() (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen, c.ok
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

func (c *card) Write(b [][2]float64) error {
	c.mu.Lock()
	d := c.delay()
	if d == 0 {
		c.from, c.wrote = time.Now(), 0
	}
	c.wrote += int64(len(b))
	if c.ok {
		c.heard = append(c.heard, b...)
		c.at = append(c.at, time.Now().Add(d))
		c.sizes = append(c.sizes, len(b))
	}
	d = c.delay()
	c.mu.Unlock()
	if d > 200*time.Millisecond {
		time.Sleep(d - 200*time.Millisecond)
	}
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
	when, first := start.Add(d), 0
	for i, at := range c.at {
		if k := frames(when.Sub(at), c.rate); k >= 0 && k < int64(c.sizes[i]) {
			return c.heard[first+int(k)]
		}
		first += c.sizes[i]
	}
	return [2]float64{}
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

// shelf opens tapes by name; a name that is not there is an error.
type shelf map[string]func(from time.Duration) (Source, error)

func (s shelf) open(_ context.Context, file string, from time.Duration) (Source, error) {
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
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := New(Options{Rate: rate, Line: c, Open: s.open, Ceiling: 6})
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
