package room

import (
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
