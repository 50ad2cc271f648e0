package room

import (
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot is the time since boot, suspend included (CLOCK_BOOTTIME): a Go monotonic reading stands still in a suspend.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return time.Since(process)
	}
	return time.Duration(ts.Nano())
}

var process = time.Now()

// clockSet says whether the wall clock can be right: a network tells the kernel the time, or the computer has a clock of its
// own that runs while it is off. A Raspberry Pi that has neither wakes up where it went to sleep.
func clockSet(wall time.Time) bool {
	if wall.Year() < wrongYear {
		return false
	}
	there := func(pattern string) bool {
		found, _ := filepath.Glob(pattern) // each is one
		return len(found) > 0
	}
	if there("/sys/class/rtc/rtc*") {
		return true
	}
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err == nil {
		return tx.Status&unix.STA_UNSYNC == 0
	}
	// A service that may not touch the clock may not ask the kernel either. Then systemd tells, where it keeps the time.
	return there("/run/systemd/timesync/synchronized") || !there("/run/systemd/timesync")
}
