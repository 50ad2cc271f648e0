package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	win "golang.org/x/sys/windows"
)

// lockData makes sure that one roomd has the data folder. The lock ends with the process, however it ends.
func lockData(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := win.LockFileEx(win.Handle(f.Fd()), win.LOCKFILE_EXCLUSIVE_LOCK|win.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(win.Overlapped)); err != nil {
		f.Close()
		return nil, fmt.Errorf("another roomd uses %s: end it, or choose another folder with --data", dir)
	}
	return func() { f.Close() }, nil
}

// replaceIn writes a file. Only developers run roomd here, so a power cut may leave half of it.
func replaceIn(dir *os.Root, name string, text []byte) error { return dir.WriteFile(name, text, 0o600) }

// keepPrivate does nothing: there is no umask.
func keepPrivate() {}

func otherOwner(string) (owner, bool) { return owner{}, false }

// holder only tells whether the folder is there.
func holder(dir string) (who string, err error) {
	_, err = os.Stat(dir)
	return "", err
}

func (owner) become(*exec.Cmd) {}
