package room

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"roomd/room/doctor"
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

// ClockSet says whether the wall clock, which shows wall, can be right: a network tells the kernel the time, or the computer
// has a clock of its own that runs while it is off. A Raspberry Pi that has neither wakes up where it went to sleep.
func ClockSet(wall time.Time) bool {
	if wall.Year() < wrongYear {
		return false
	}
	if doctor.BatteryClock(os.DirFS("/")) != "" {
		return true
	}
	var tx unix.Timex
	if _, err := unix.Adjtimex(&tx); err == nil {
		return tx.Status&unix.STA_UNSYNC == 0
	}
	// A service that may not touch the clock may not ask the kernel either. Then systemd tells, where it keeps the time.
	there := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	return there("/run/systemd/timesync/synchronized") || !there("/run/systemd/timesync")
}
