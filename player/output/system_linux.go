package output

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup keeps a child from a terminal's Ctrl-C, so that the fade-out is still heard.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// endGroup ends a child and what it has started.
func endGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// shrinkPipe makes a pipe hold about so many bytes and answers how many it holds; 0 where that is not known.
func shrinkPipe(f *os.File, bytes int) int {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	size := 0
	_ = raw.Control(func(fd uintptr) {
		power := 4096
		for power*2 <= bytes {
			power *= 2
		}
		if size, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, power); err != nil {
			size, _ = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		}
	})
	return max(0, size)
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
