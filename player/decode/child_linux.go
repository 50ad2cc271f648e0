package decode

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// start runs the child in a process group of its own, so that Ctrl-C in a terminal is roomd's to handle, and dead with
// roomd. The kernel takes the death of the thread that started a child for its parent's, so that thread stays until
// the child has ended. One in the background gives way to everything else.
func (c *child) start(background bool) error {
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		if err == nil && background {
			_ = unix.Setpriority(unix.PRIO_PROCESS, c.cmd.Process.Pid, 10) // refused or not, it decodes
		}
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
