package main

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// urgent asks the kernel to run roomd before other programs, so that a busy computer does not make the sound run dry.
// Priorities belong to threads; those made later, and decoders, inherit it. Without the right to ask (CAP_SYS_NICE) all
// stays as it is.
func urgent() error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, -11); err != nil {
			return err
		}
	}
	// Where the kernel shares the processors out by session (autogroups), those priorities count within the session only.
	// Under systemd roomd leads one of its own, and may ask for all of it.
	if sid, err := unix.Getsid(0); err == nil && sid == os.Getpid() {
		if err := os.WriteFile("/proc/self/autogroup", []byte("-11"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// giveWay has a process run behind others. Refused or not, it does its work.
func giveWay(pid int) { _ = unix.Setpriority(unix.PRIO_PROCESS, pid, 10) }
