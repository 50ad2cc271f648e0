package decode

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// self is this program's own file, also where an upgrade has replaced it on the disk.
func self() (string, error) { return "/proc/self/exe", nil }

// spawn runs a child in a process group of its own, so that Ctrl-C in a terminal is roomd's to handle, and dead with
// roomd. The kernel takes the death of the thread that started a child for its parent's, so that thread stays until
// the child has ended. One in the background gives way to everything else. ended is told how it ended.
func spawn(cmd *exec.Cmd, background bool, ended func(error)) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			if background {
				_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, 10) // refused or not, it decodes
			}
		}
		started <- err
		if err == nil {
			ended(cmd.Wait())
		}
	}()
	return <-started
}

// confine has this process, and what it runs, end where it asks for more than maxMemory beyond what it holds now, and takes from it
// what no decoder needs: files other than the one to decode and the system's programs, all writing, and the network. A kernel
// without Landlock leaves it those; Confined tells.
func confine(file, program string) {
	var held uint64 // kB
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		if at := bytes.Index(b, []byte("VmData:")); at >= 0 {
			_, _ = fmt.Sscan(string(b[at+len("VmData:"):]), &held)
		}
	}
	most := held<<10 + maxMemory
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most})

	rules := []landlock.Rule{landlock.ROFiles(file).IgnoreIfMissing(), landlock.RWFiles("/dev/null").IgnoreIfMissing()}
	if program != "" {
		rules = append(rules, landlock.RODirs("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/snap", "/nix", "/proc", "/sys").IgnoreIfMissing())
		if real, err := filepath.EvalSymlinks(program); err == nil {
			rules = append(rules, landlock.RODirs(filepath.Dir(real)))
		}
	}
	_ = landlock.V11.BestEffort().Restrict(rules...)
}

// Confined says whether the kernel keeps decoders from other files and from the network.
func Confined() bool {
	abi, err := ll.LandlockGetABIVersion()
	return err == nil && abi >= 4 // the first that knows of the network
}

// become goes on as another program.
func become(path string, args []string) error { return unix.Exec(path, args, os.Environ()) }

// widen makes a pipe hold 1 MiB, 2.7 s of sound, so that a child works in few long bursts.
func widen(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	// Refused where the user's pipe quota is used up; the pipe then keeps its 64 KiB.
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 1<<20) })
}
