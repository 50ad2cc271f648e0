//go:build linux

// Package rig starts the real things that tests talk to: brokers, bridges, sound cards, sound servers. Each is a
// child process of the test, on a free port, in a temporary directory, and is ended by its own pid.
package rig

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	_ "pgregory.net/rapid" // see init
)

// Process is one running peer.
type Process struct {
	*exec.Cmd
	log    string // its file
	killed atomic.Bool
	done   chan struct{}
	err    error // how it ended; read after done
}

// Run starts a program and ends it when the test does. Its output goes to NAME.log in dir.
func Run(t testing.TB, dir, name string, env []string, arg ...string) *Process {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed (make setup installs what the tests need)", name)
	}
	log, err := os.Create(filepath.Join(dir, filepath.Base(name)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Cmd: exec.Command(path, arg...), log: log.Name(), done: make(chan struct{})}
	p.Stdout, p.Stderr = log, log
	p.Env = append(os.Environ(), env...)
	// A session of its own, as systemd gives each service: the kernel may share the processors out by session.
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	// Pdeathsig fires when the thread that started the child ends, so that thread has to live as long as the child.
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := p.Start(); err != nil {
			started <- err
			return
		}
		close(started)
		for unix.Waitid(unix.P_PID, p.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) // while its number is still its own
		p.err = p.Wait()
		log.Close()
		close(p.done)
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the process and its children at once, as a power cut would, and waits for it. A second call does nothing.
func (p *Process) Kill() {
	p.killed.Store(true)
	_ = p.Process.Kill()
	<-p.done
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends sig to the process.
func (p *Process) Signal(sig syscall.Signal) error { return syscall.Kill(p.Process.Pid, sig) }

// FreePort is a TCP port of the loopback interface that nobody listens on, below those that the system gives out by
// itself: a port that a restarted process needs again is not taken by another's connection meanwhile. No other test gets it until this
// one has ended, of whatever package: a lock says that it is taken.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		lock, err := net.Listen("unix", fmt.Sprintf("@roomd-test-port-%d", port)) // no file: it ends with its process
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			t.Cleanup(func() { lock.Close() })
			return port
		}
		lock.Close()
	}
	t.Fatal("no port is free")
	return 0
}

// Eventually waits until ok is true. It fails the test with what only where that never comes, so that a busy computer is no fault: a
// time that is promised is for Within.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Within(t, 2*time.Minute, what, ok)
}

// Within waits until ok is true, and fails the test with what where it is not within d. It asks every 5 ms and, the longer it has
// waited, less often, down to every 25 ms: many tests wait side by side, and each question costs roomd a snapshot.
func Within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); {
		waited := time.Since(began)
		if waited > d {
			t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(min(25*time.Millisecond, max(5*time.Millisecond, waited/40)))
	}
}

// Long is for a test that takes a quarter of a minute and longer: make test runs it, go test alone does not.
func Long(t testing.TB) {
	t.Helper()
	if os.Getenv("ROOMD_LONG") == "" && !Whole {
		t.Skip("takes long: make test runs it (ROOMD_LONG=1)")
	}
}

// SideBySide has up to eight tests of a package run at a time, unless someone says how many: where they mostly wait, for rooms or decoders
// that they have started, Go's one for each processor leaves the processors idle. For TestMain.
func SideBySide() {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = given.Value.Set("8")
	}
}

// Properties are checked from one seed, so that a change is judged by what it changes; make bars (ROOMD_BARS=1) and -rapid.seed=0 draw
// anew. rapid has made its flags by then: it is imported.
func init() {
	if !Whole {
		_ = flag.Set("rapid.seed", "1")
	}
}

// OnlyBars is for a test whose length make test can't afford: make bars runs it (ROOMD_BARS=1).
func OnlyBars(t testing.TB) {
	t.Helper()
	if !Whole {
		t.Skip("takes long: make bars runs it (ROOMD_BARS=1)")
	}
}

// Arithmetic is for a test that only computes, itself or in decoders, and shares nothing: under the race detector it takes up to ten times
// as long, and there is nothing to find.
func Arithmetic(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("computes alone: make test runs it without the race detector")
	}
}

// Apart is for a test that runs roomd as a process of its own. That process is built without the race detector, which would watch
// only the test.
func Apart(t testing.TB) {
	t.Helper()
	if race {
		t.Skip("runs roomd as a process of its own: make test runs this test without the race detector")
	}
}

// Shared is the path of a peer that lives beside the checkout (fakedac, zigbee-sim); ROOMD_SHARED names another place.
func Shared(t testing.TB, name string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := os.Getenv("ROOMD_SHARED")
	if dir == "" {
		dir = filepath.Join(filepath.Dir(file), "..", "..", "shared")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not there: set ROOMD_SHARED to the folder that holds it", path)
	}
	return path
}

// Stalls watches how often this computer stands still. What it returns ends that and tells how many times a thread that was due
// did not run for longer than limit, and the longest of them.
func Stalls(limit time.Duration) func() (n int, longest time.Duration) {
	const pause = 5 * time.Millisecond
	end, ended := make(chan struct{}), make(chan struct{})
	n, longest := 0, time.Duration(0)
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		last := time.Now()
		for {
			select {
			case <-end:
				return
			case <-time.After(pause):
				still := time.Since(last) - pause
				if still > limit {
					n++
				}
				longest, last = max(longest, still), time.Now()
			}
		}
	}()
	return func() (int, time.Duration) {
		close(end)
		<-ended
		return n, longest
	}
}
