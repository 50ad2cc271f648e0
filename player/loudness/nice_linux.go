package loudness

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// lowPriority lets everything else go first on the calling goroutine's thread, which ends with the goroutine.
func lowPriority() {
	runtime.LockOSThread()
	// Refused or not, the analysis is right.
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
}
