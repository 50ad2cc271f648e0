// The processors that a room has do not change, so Go need not look each second.

//go:debug updatemaxprocs=0

// Command roomd is the daemon of one therapy room: it plays a session's music, moves the room's lights and shows
// the therapist a clock.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"roomd/player/decode"
)

// version is set at link time.
var version = "dev"

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it could not be done, or a checked file has errors
	exitUsage = 2
)

func main() {
	decode.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	keepPrivate()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &call{args: args, env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	root := commandLine(c)
	root.SetArgs(order(root, args, isTerminal(stdin)))
	cmd, err := root.ExecuteContextC(ctx)
	if d, is := errors.AsType[deputy](err); is {
		err = d.again(ctx, c, args, stdout)
	}
	var u usageError
	var e ended
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &e):
		return int(e)
	case errors.Is(err, errFound):
		return exitError
	case errors.As(err, &u):
		fmt.Fprintf(stderr, "%s: %v\n\nUsage: %s\n%s --help tells more.\n", cmd.CommandPath(), err, cmd.UseLine(), cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	return exitError
}

// errFound says that what is wrong has been printed already.
var errFound = errors.New("errors found")

// usageError is a command line that roomd does not understand.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
