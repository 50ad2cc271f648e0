//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockData makes sure that one roomd has the data folder: the folder itself is locked, since on a full disk no file can be
// made in it. The lock ends with the process, however it ends.
func lockData(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another roomd uses %s: end it, or choose another folder with --data", dir)
	}
	return func() { f.Close() }, nil
}

// crossDevice says whether a rename failed because it led to another disk.
func crossDevice(err error) bool { return errors.Is(err, unix.EXDEV) }
