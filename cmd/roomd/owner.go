package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// owner is a user that a data folder belongs to. As an error it says that root runs a command on that folder: whatever
// root then reads or writes there could be a link that leads to root's own files, so the command runs as the owner.
type owner struct{ uid, gid uint32 }

func (o owner) Error() string { return fmt.Sprintf("the data folder belongs to user %d", o.uid) }

// deputy executes a command line that this user may not. As an error it says that it has to.
type deputy interface {
	error
	again(ctx context.Context, c *call, args []string, stdout io.Writer, files ...*os.File) error
}

// again runs roomd as the owner, with other arguments. files get the numbers from 3 on.
func (o owner) again(ctx context.Context, c *call, args []string, stdout io.Writer, files ...*os.File) error {
	return again(ctx, c, o.become, args, stdout, files...)
}

// again runs roomd in a process of its own, as somebody else or, where become is nil, behind this one's music.
func again(ctx context.Context, c *call, become func(*exec.Cmd), args []string, stdout io.Writer, files ...*os.File) error {
	// This program itself, also where the owner may not read the folder it lies in.
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "roomd"
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = c.stdin, stdout, c.stderr, files
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if become != nil {
		become(cmd)
	}
	var exit *exec.ExitError
	err := cmd.Start()
	if err == nil {
		if become == nil {
			giveWay(cmd.Process.Pid)
		}
		err = cmd.Wait()
	}
	if errors.As(err, &exit) && exit.Exited() {
		return ended(exit.ExitCode())
	}
	return err
}

// ended is the exit code of a roomd that has said itself what is wrong.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// words are the options that all commands have, as they stand on a command line.
func (s settings) words() []string {
	w := []string{"--data", s.data, "--config", s.config, "--playlists", s.playlists}
	if s.listen != "" {
		w = append(w, "--listen", s.listen)
	}
	return w
}
