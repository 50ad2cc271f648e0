package room

import (
	"os"
	"strings"
	"time"

	"roomd/room/journal"
)

// Clock is the room's own clock: it counts from the room's first start, goes on over restarts and reboots, and never
// goes back or jumps with the wall clock. Sessions are timed by it.
type Clock struct {
	boot  string        // of the kernel, empty where unknown
	start time.Duration // since boot, when this process took its reading
	room  time.Duration // room time at start
	since func() time.Duration
	wall  func() time.Time
}

// NewClock goes on from an anchor; the zero Anchor begins at 0. In the same boot the kernel's clock tells how much
// time has passed, exactly. After a reboot only the wall clock can; where that has gone back, no time is assumed to
// have passed and trusted is false; nor where one of the two was read before the computer knew the year: a session, and
// what is kept of others, would end by decades that never passed.
func NewClock(a journal.Anchor) (c *Clock, trusted bool) {
	return newClock(a, bootID(), sinceBoot, time.Now)
}

func newClock(a journal.Anchor, boot string, since func() time.Duration, wall func() time.Time) (*Clock, bool) {
	c := &Clock{boot: boot, start: since(), since: since, wall: wall}
	passed, trusted := time.Duration(0), true
	switch {
	case a == journal.Anchor{}:
	case boot != "" && boot == a.BootID && c.start >= a.Boot:
		passed = c.start - a.Boot
	default:
		// Round strips the monotonic reading: across a reboot only wall time compares.
		now := wall().Round(0)
		if passed = now.Sub(a.Wall.Round(0)); passed < 0 || (now.Year() < wrongYear) != (a.Wall.Year() < wrongYear) {
			passed, trusted = 0, false
		}
	}
	c.room = a.Room + passed
	return c, trusted
}

// Now is the room's time, in whole milliseconds, so that a journal that keeps milliseconds replays exactly.
func (c *Clock) Now() time.Duration {
	return (c.room + c.since() - c.start).Truncate(time.Millisecond)
}

// Anchor is where the clock stands.
func (c *Clock) Anchor() journal.Anchor {
	since := c.since()
	return journal.Anchor{BootID: c.boot, Boot: since, Wall: c.wall(), Room: c.room + since - c.start}
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
