package output

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup keeps a child from a terminal's Ctrl-C, so that the fade-out is still heard.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// endGroup waits until a child has ended, and then ends what it has started. The child is not collected yet, so that no other
// process can have its number.
func endGroup(p *os.Process) {
	for unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
}

// shrinkPipe makes a pipe hold no more than so many bytes, but a page, and says how many.
func shrinkPipe(f *os.File, bytes int) int {
	size := 4096
	for size*2 <= bytes {
		size *= 2
	}
	if raw, err := f.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size) })
	}
	return size
}

// unread is how many bytes lie in a pipe.
func unread(f *os.File) int {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}
