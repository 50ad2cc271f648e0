//go:build linux

package rig

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// now is the line of Go's time.Now that reads the wall clock; Clocked puts set behind it.
const (
	now = "sec, nsec, mono := runtimeNow()\n"
	set = "\tsec += *wallOff\n"
)

// wallOff is a file added to package time. It maps a file that holds the offset in seconds: a test can change it while the program runs.
const wallOff = `package time

import (
	"syscall"
	"unsafe"
)

var wallOff = func() *int64 {
	name, is := syscall.Getenv("ROOMD_TEST_CLOCK")
	if !is {
		return new(int64)
	}
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		panic("ROOMD_TEST_CLOCK: " + err.Error())
	}
	b, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic("ROOMD_TEST_CLOCK: " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&b[0]))
}()
`

// Clocked returns the path of a roomd whose wall clock follows a Clock. It is built from the same source, with one line added to Go's time.Now.
// The monotonic clock and the dates of files stay right.
func Clocked(t testing.TB) string {
	t.Helper()
	path, err := clocked()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// clocked builds it once per process, always in the same folder, so that Go's build cache applies.
var clocked = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "roomd-clocked")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	std := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		return "", err
	}
	before, after, found := strings.Cut(string(text), now)
	if !found {
		return "", fmt.Errorf("%s has no line %q: this Go reads the wall clock elsewhere, so adapt rig.Clocked", std, now)
	}
	instead := map[string]string{"time.go": before + now + set + after, "walloff.go": wallOff}
	overlay := map[string]map[string]string{"Replace": {}}
	for name, text := range instead {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay["Replace"][filepath.Join(std, name)] = path
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		return "", err
	}
	_, file, _, _ := runtime.Caller(0)
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(dir, "roomd"), "./cmd/roomd")
	build.Dir = filepath.Dir(filepath.Dir(file))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build roomd with another clock: %w\n%s", err, out)
	}
	return filepath.Join(dir, "roomd"), nil
})

// Clock is a wall clock that a test sets.
type Clock struct {
	t    testing.TB
	path string
}

// NewClock returns a clock with this offset from the right time.
func NewClock(t testing.TB, off time.Duration) Clock {
	c := Clock{t, filepath.Join(t.TempDir(), "clock")}
	if err := os.WriteFile(c.path, make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Off(off)
	return c
}

// Off sets the offset, in whole seconds, also for programs that run.
func (c Clock) Off(by time.Duration) {
	c.t.Helper()
	f, err := os.OpenFile(c.path, os.O_WRONLY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)), 0); err != nil {
		c.t.Fatal(err)
	}
}

// Env returns the environment variables that make a Clocked program follow the clock.
func (c Clock) Env() []string { return []string{"ROOMD_TEST_CLOCK=" + c.path} }
