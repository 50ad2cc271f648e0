package decode

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// start runs cmd in a process group of its own, so that Ctrl-C in a terminal is roomd's to handle, and dead with
// roomd. Its end goes to exited. The kernel takes the death of the thread that started a child for the parent's, so
// that thread stays until the child has ended.
func start(cmd *exec.Cmd, exited chan<- error) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
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
