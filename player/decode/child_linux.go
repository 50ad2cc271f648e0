package decode

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// start runs the child in a process group of its own, so that Ctrl-C in a terminal is roomd's to handle, and dead with
// roomd. The kernel takes the death of the thread that started a child for its parent's, so that thread stays until
// the child has ended.
func (c *child) start() error {
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.exit = c.cmd.Wait()
			close(c.exited)
		}
	}()
	return <-started
}

// widen makes a pipe hold 1 MiB, 2.7 s of sound, so that a child works in few long bursts.
func widen(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	// Refused where the user's pipe quota is used up; the pipe then keeps its 64 KiB.
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
}
