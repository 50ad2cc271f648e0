// Command roomd is the daemon of one therapy room: it plays a session's music, moves the room's lights and shows
// the therapist a clock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// version is set at link time.
var version = "dev"

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it could not be done, or a checked file has errors
	exitUsage = 2
)

const usage = `roomd plays a session's music, moves the room's lights and shows the therapist a clock.

Usage:
  roomd [serve]                          run the room
  roomd setup [--yes]                    ask for the room's name, sound device, broker and lights, and write the room file
  roomd check [PLAYLIST…] [--strict] [--all] [--verbose] [--quick] [--json]
                                         check playlists and the room file; all without PLAYLIST
  roomd playlist new FOLDER|LIST         write the playlist file for a folder of music or a music player's list
  roomd playlist versions PLAYLIST       list the earlier versions of its file
  roomd playlist compare PLAYLIST NUMBER show what changed since one
  roomd playlist restore PLAYLIST NUMBER put one back
  roomd schema playlist|room             print the JSON Schema of a playlist or of the room file
  roomd render PLAYLIST --out FILE.wav   write a session's sound to a file
                                         with --joins only the crossfades
  roomd plot PLAYLIST --out FILE.svg     draw a session: phases, music, loudness and light; or FILE.png
  roomd sound                            list the sound devices
  roomd lights                           list the lights that the room's broker offers
  roomd lights test ROLE|TOPIC           find out what a light can do, gently, with no roomd running
  roomd lights simulate PLAYLIST [--out FILE.svg]
                                         tell a session's light by time, and draw it
  roomd pair [NAME] [--observer]         show a code that lets a tablet in
  roomd token create NAME [--observer] | list | revoke NAME
                                         who may steer the room, or only watch; a token is for a program
  roomd backup FOLDER [--music] [--keep N]
                                         write playlists, room file, sessions, keys and lights into one file
  roomd restore FILE                     put a backup in place; what was there is kept beside it
  roomd doctor [--json]                  look at all that a session needs: each line is ok, or says what to do
  roomd report [FILE.zip]                pack what a helper needs, without secrets and notes
  roomd version

PLAYLIST is an ID, or the path of a file.

Options, before or after the command, each also an environment variable:
  --config FILE      the room file            ROOMD_CONFIG     (default: room.yaml in the data folder)
  --data DIR         journal, keys, caches    ROOMD_DATA       (default: /var/lib/roomd where that
                     may be read, else ~/.local/share/roomd)
  --playlists DIR    the playlists            ROOMD_PLAYLISTS  (default: playlists in the data folder)
  --listen ADDRESS   where the page is served ROOMD_LISTEN     (default: as the room file says, else :8080, and
                     by https on :8443; with --listen, https only where the room file says)

Exit codes: 0 done; 1 it could not be done, or a checked file has errors; 2 the command line is wrong.
`

// settings are the options that all commands share.
type settings struct {
	config, data, playlists, listen string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}

// usageError is a command line that can't be understood.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }

func run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, *call) error{
		"serve": serve, "setup": setup, "check": check, "playlist": playlistCommand, "schema": schema, "render": render, "plot": plot, "sound": listSound, "lights": lightsCommand, "pair": pair, "token": token, "backup": backup, "restore": restore, "doctor": doctorCommand, "report": report, "version": showVersion,
	}
	name, rest := "serve", args
	for i, a := range args {
		if _, ok := commands[a]; ok {
			name, rest = a, append(append([]string{}, args[:i]...), args[i+1:]...)
			break
		}
		if a == "help" || a == "-h" || a == "--help" {
			fmt.Fprint(stdout, usage)
			return exitOK
		}
		if len(a) > 0 && a[0] != '-' && (i == 0 || !takesValue(args[i-1])) {
			fmt.Fprintf(stderr, "roomd: no command %q\n\n%s", a, usage)
			return exitUsage
		}
	}
	c := &call{flags: flag.NewFlagSet("roomd "+name, flag.ContinueOnError), args: rest, env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	c.flags.SetOutput(io.Discard)
	c.shared()
	err := commands[name](ctx, c)
	var u usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case errors.As(err, &u):
		fmt.Fprintf(stderr, "roomd %s: %v\n\n%s", name, err, usage)
		return exitUsage
	case errors.Is(err, errFound):
		return exitError
	}
	fmt.Fprintf(stderr, "roomd %s: %v\n", name, err)
	return exitError
}

// errFound says that what is wrong has been printed already.
var errFound = errors.New("errors found")

func takesValue(option string) bool {
	switch option {
	case "--config", "--data", "--playlists", "--listen", "-config", "-data", "-playlists", "-listen":
		return true
	}
	return false
}

// packageData is the data folder of the room that the Debian package runs; who may read it means that one.
const packageData = "/var/lib/roomd"

// call is one command line.
type call struct {
	settings
	flags          *flag.FlagSet
	args           []string
	env            func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// shared declares the options that all commands have.
func (c *call) shared() {
	or := func(name, def string) string {
		if v := c.env(name); v != "" {
			return v
		}
		return def
	}
	data := filepath.Join(os.TempDir(), "roomd")
	if _, err := os.ReadDir(packageData); err == nil {
		data = packageData
	} else if home, err := os.UserHomeDir(); err == nil {
		data = filepath.Join(home, ".local", "share", "roomd")
	}
	c.flags.StringVar(&c.data, "data", or("ROOMD_DATA", data), "")
	c.flags.StringVar(&c.config, "config", or("ROOMD_CONFIG", ""), "")
	c.flags.StringVar(&c.playlists, "playlists", or("ROOMD_PLAYLISTS", ""), "")
	c.flags.StringVar(&c.listen, "listen", or("ROOMD_LISTEN", ""), "")
}

// parse reads the options, wherever they stand, and returns the other words.
func (c *call) parse() ([]string, error) {
	var words []string
	args := c.args
	for {
		if err := c.flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err}
		}
		if c.flags.NArg() == 0 {
			break
		}
		words = append(words, c.flags.Arg(0))
		args = c.flags.Args()[1:]
	}
	data, err := filepath.Abs(c.data)
	if err != nil {
		return nil, err
	}
	c.data = data
	if c.config == "" {
		c.config = filepath.Join(data, "room.yaml")
	}
	if c.playlists == "" {
		c.playlists = filepath.Join(data, "playlists")
		// One that is named has to be there: it may be a share that is not mounted.
		// Where it can't be made, the playlists say that it is missing; what roomd brings along can be played.
		_ = os.MkdirAll(c.playlists, 0o755)
	}
	return words, nil
}

func showVersion(_ context.Context, c *call) error {
	if words, err := c.parse(); err != nil {
		return err
	} else if len(words) > 0 {
		return usageError{fmt.Errorf("what is %q?", words[0])}
	}
	_, err := fmt.Fprintln(c.stdout, "roomd", version)
	return err
}
