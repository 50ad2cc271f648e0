package room

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot returns the time since boot, suspend included (CLOCK_BOOTTIME). Go's monotonic clock stops during suspend.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return time.Since(process)
	}
	return time.Duration(ts.Nano())
}

var process = time.Now()

// ClockSet reports whether wall, read from the wall clock, can be right: the kernel's clock is synchronized, or the
// computer has a battery clock. A Raspberry Pi with neither boots with the time at which it was shut down.
func ClockSet(wall time.Time) bool {
	if wall.Year() < wrongYear {
		return false
	}
	if BatteryClock(os.DirFS("/")) != "" {
		return true
	}
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err == nil {
		return tx.Status&unix.STA_UNSYNC == 0
	}
	// A sandboxed service may not call adjtimex. Fall back to systemd-timesyncd's state, if it runs.
	there := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	return there("/run/systemd/timesync/synchronized") || !there("/run/systemd/timesync")
}
