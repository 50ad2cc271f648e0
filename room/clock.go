package room

import (
	"cmp"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"roomd/room/journal"
)

// Clock is the room's monotonic clock, which times sessions. It counts from the room's first start, continues across
// restarts and reboots, and ignores changes to the wall clock while the computer runs.
type Clock struct {
	boot  string        // kernel boot ID; empty: unknown
	start time.Duration // time since boot when this process started the clock
	room  time.Duration // room time at start
	since func() time.Duration
	wall  func() time.Time
}

// NewClock continues from anchor a; the zero Anchor starts at 0. Within one boot, the kernel's clock gives the exact time
// passed. After a reboot only the wall clock can. If it moved backwards or by more than longestOff, or if only one of its two readings has a
// plausible year, NewClock assumes that no time passed and returns trusted false. Otherwise a clock that is wrong by decades would end a
// running session and erase old ones.
func NewClock(a journal.Anchor) (c *Clock, trusted bool) {
	return newClock(a, bootID(), sinceBoot, time.Now)
}

// longestOff is more than any room stays switched off.
const longestOff = 10 * 365 * 24 * time.Hour

func newClock(a journal.Anchor, boot string, since func() time.Duration, wall func() time.Time) (*Clock, bool) {
	c := &Clock{boot: boot, start: since(), since: since, wall: wall}
	passed, trusted := time.Duration(0), true
	switch {
	case a == journal.Anchor{}:
	case boot != "" && boot == a.BootID && c.start >= a.Boot:
		passed = c.start - a.Boot
	default:
		// Round strips the monotonic reading, which means nothing across a reboot.
		now := wall().Round(0)
		if passed = now.Sub(a.Wall.Round(0)); passed < 0 || passed > longestOff || (now.Year() < wrongYear) != (a.Wall.Year() < wrongYear) {
			passed, trusted = 0, false
		}
	}
	c.room = a.Room + passed
	return c, trusted
}

// Now returns the room time, truncated to milliseconds because the journal stores milliseconds and must replay exactly.
func (c *Clock) Now() time.Duration {
	return (c.room + c.since() - c.start).Truncate(time.Millisecond)
}

// Anchor returns the clock's present reading, for NewClock in a later process.
func (c *Clock) Anchor() journal.Anchor {
	since := c.since()
	return journal.Anchor{BootID: c.boot, Boot: since, Wall: c.wall(), Room: c.room + since - c.start}
}

// UntilNext returns the time from now until the wall clock next shows a multiple of every. Timers that use it wake the computer together.
func UntilNext(every time.Duration, now time.Time) time.Duration {
	return every - now.Sub(now.Truncate(every)) // reads the clock once: it may be set between two readings
}

// Uptime returns the kernel's boot ID and the time since boot, suspend included. Changes to the wall clock don't affect it, and all processes
// of a computer agree on it. On systems without a boot ID, boot is "" and since is the Unix time.
func Uptime() (boot string, since time.Duration) {
	if boot = thisBoot(); boot == "" {
		return "", time.Duration(time.Now().UnixNano())
	}
	return boot, sinceBoot()
}

var thisBoot = sync.OnceValue(bootID)

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// BatteryClock is the name of a clock that runs while the computer is off; empty where there is none. A Raspberry Pi 5 has the
// clock and sells the battery apart: only that it is charged shows that there is one.
func BatteryClock(root fs.FS) string {
	read := func(name string) string {
		b, _ := fs.ReadFile(root, name) // what can't be read is not there
		return strings.TrimSpace(string(b))
	}
	clocks, _ := fs.Glob(root, "sys/class/rtc/rtc*")
	for _, r := range clocks {
		if volts, err := strconv.ParseInt(read(r+"/charging_voltage"), 0, 64); err != nil || volts > 0 {
			return cmp.Or(read(r+"/name"), path.Base(r))
		}
	}
	return ""
}
