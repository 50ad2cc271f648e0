package web

import (
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits of wrong codes. An address may try three codes, then one a minute. All addresses share a ceiling for their first try,
// one for their second, one for their third, and a small one for all that follow: whoever floods the room uses up the last,
// while a tablet that comes for the first time still has its place. Within the five minutes of a code at most 260 can be tried,
// by however many.
const (
	triesAtOnce = 3
	tryAgain    = time.Minute // for the next one of an address
	tierBurst   = 60
	tierEvery   = 15 * time.Second
	lastBurst   = 10
	lastEvery   = 30 * time.Second
	forgetTries = 30 * time.Minute
	maxGuessers = 4096
	// A burst is this many wrong codes or links, and ends after so long without one.
	burstOf   = 5
	burstOver = 10 * time.Minute
	// Codes that devices make for others: so many at once, then one each so often.
	admitBurst = 6
	admitEvery = 10 * time.Second
)

// guesses limits who tries codes, and remembers the last burst of wrong ones.
type guesses struct {
	log *slog.Logger
	now func() time.Time

	mu    sync.Mutex // guards the rest
	by    map[netip.Addr]*guesser
	tiers [triesAtOnce + 1]*rate.Limiter
	burst attempts
	from  map[netip.Addr]bool // addresses of the burst
	last  time.Time           // its last attempt

	pruned time.Time // when by was last cleared of those who stopped
}

// guesser is an address that tried codes.
type guesser struct {
	wrong int
	slow  *rate.Limiter
	last  time.Time
}

// attempts is the last burst of wrong codes and links. It says nothing of which they were.
type attempts struct {
	Count     int   `json:"count"`     // wrong ones, also those that were not looked at
	Addresses int   `json:"addresses"` // where they came from
	AgoMS     int64 `json:"ago_ms"`    // since the last one
}

func newGuesses(log *slog.Logger) *guesses {
	g := &guesses{log: log, now: time.Now, by: map[netip.Addr]*guesser{}, from: map[netip.Addr]bool{}}
	for k := range g.tiers {
		g.tiers[k] = rate.NewLimiter(rate.Every(tierEvery), tierBurst)
	}
	g.tiers[triesAtOnce] = rate.NewLimiter(rate.Every(lastEvery), lastBurst)
	return g
}

// source is the address that a request comes from, or the proxy's.
func source(remote string) netip.Addr {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// allow reports whether a code from this address is looked at now.
func (g *guesses) allow(from netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	who := g.by[from]
	if who == nil {
		if len(g.by) >= maxGuessers && now.Sub(g.pruned) > tryAgain {
			g.pruned = now
			maps.DeleteFunc(g.by, func(_ netip.Addr, w *guesser) bool { return now.Sub(w.last) > forgetTries })
		}
		if len(g.by) >= maxGuessers {
			return g.tiers[triesAtOnce].AllowN(now, 1)
		}
		who = &guesser{slow: rate.NewLimiter(rate.Every(tryAgain), triesAtOnce)}
		g.by[from] = who
	} else if now.Sub(who.last) > forgetTries {
		who.wrong = 0
	}
	who.last = now
	own := who.slow.ReserveN(now, 1)
	if own.DelayFrom(now) > 0 {
		own.CancelAt(now)
		return false
	}
	if !g.tiers[min(who.wrong, triesAtOnce)].AllowN(now, 1) {
		own.CancelAt(now)
		return false
	}
	return true
}

// wrong notes an attempt that let nobody in; looked: it was looked at.
func (g *guesses) wrong(from netip.Addr, looked bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if who := g.by[from]; who != nil && looked {
		who.wrong++
	}
	if now.Sub(g.last) > burstOver {
		g.burst.Count = 0
		clear(g.from)
	}
	g.last = now
	g.burst.Count++
	if len(g.from) < maxGuessers {
		g.from[from] = true
	}
	if g.burst.Count == burstOf {
		g.log.Warn("somebody tries codes or links to be let in; roomd limits them, and logs nothing more until they stop", "addresses", len(g.from), "one", from)
	}
}

// right forgets the wrong codes of an address that was let in.
func (g *guesses) right(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if who := g.by[from]; who != nil {
		who.wrong = 0
	}
}

// lately is the last burst; nil: there was none, or over a day ago.
func (g *guesses) lately() *attempts {
	g.mu.Lock()
	defer g.mu.Unlock()
	ago := g.now().Sub(g.last)
	if g.burst.Count < burstOf || ago > 24*time.Hour {
		return nil
	}
	return &attempts{g.burst.Count, len(g.from), ago.Milliseconds()}
}

// attempts tells of the last burst of wrong codes.
func (s *Server) attempts(w http.ResponseWriter, _ *http.Request) {
	if a := s.guesses.lately(); a != nil {
		reply(w, http.StatusOK, a)
		return
	}
	reply(w, http.StatusOK, attempts{})
}
