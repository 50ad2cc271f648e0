package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"roomd/player/output"
	"roomd/playlists"
	"roomd/room"
)

func setupCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "setup", Short: "Ask for the room's name, sound device, broker and lights, and write the room file", Args: takes(0, 0), Annotations: on(makesRoom),
		Long: "Ask for the room's name, sound device, broker and lights, and write the room file. It can be run again: what is not asked for stays. Ctrl-C changes nothing."}
	yes := cmd.Flags().Bool("yes", false, "take every default")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return setup(cmd.Context(), c, *yes) }
	return cmd
}

// setup asks for what a room is made of and writes the room file. Each answer has a default: what the file says already,
// or what was found.
func setup(ctx context.Context, c *call, yes bool) error {
	s := newRoomSetup(c.settings, c.env, slog.New(slog.DiscardHandler))
	defer s.close()
	f, err := s.read()
	if err != nil {
		return err
	}
	if len(f.found.Errors()) > 0 {
		if err := f.found.Render(c.stderr); err != nil {
			return err
		}
		return fmt.Errorf("%s has errors: correct them first, so that nothing in it is lost", c.config)
	}
	cfg := f.cfg
	a := dialog{newAsker(ctx, c.stdin, c.stdout, yes), s}
	fmt.Fprintf(c.stdout, "Each question has its answer in brackets: Enter takes it.\n\n")

	var answers room.Answers
	name := a.ask("What is the room called?", cfg.Room, func(s string) error { return checkAnswer(room.Answers{Room: &s}) })
	if name != cfg.Room || f.fresh {
		answers.Room = &name
	}
	device, err := a.device(ctx, cfg)
	if err != nil {
		return err
	}
	if device != nil && *device != cfg.Audio.Device {
		answers.Device = device
	}
	broker := a.broker(ctx, cfg)
	if broker != cfg.MQTT.Broker {
		answers.Broker = &broker
	}
	with := cfg
	with.Room, with.MQTT.Broker = name, broker
	answers.Lights = a.lights(ctx, with, broker != cfg.MQTT.Broker)
	if a.err == nil && ctx.Err() != nil {
		a.err = errStopped
	}
	if errors.Is(a.err, errStopped) {
		return fmt.Errorf("%w; nothing was written", a.err)
	}
	if a.err != nil {
		return fmt.Errorf("the answers ended (%w); nothing was written", a.err)
	}

	aside, changed, err := s.write(f, answers)
	var wrong errBecomesWrong
	if errors.As(err, &wrong) {
		if err := playlists.Problems(wrong).Render(c.stderr); err != nil {
			return err
		}
		return errors.New("the room file would have errors like this; nothing was written")
	}
	if err != nil {
		return err
	}
	if !changed {
		fmt.Fprintf(c.stdout, "\n%s stays as it is.\n", c.config)
		return nil
	}
	if s.fresh(false) { // the page's walk is overtaken
		if err := s.walked(walkDone); err != nil {
			return err
		}
	}
	if aside != "" {
		fmt.Fprintf(c.stdout, "\nThe file as it was: %s\n", aside)
	}
	fmt.Fprintf(c.stdout, "\nWritten: %s\nA room that runs takes it over by itself, after a session.\n", c.config)
	return nil
}

// asker asks on a console.
type asker struct {
	ctx   context.Context // when it ends, nobody answers any more
	typed <-chan typed
	out   io.Writer
	yes   bool
	err   error // nobody answers any more
}

// typed is a line that somebody typed.
type typed struct {
	line string
	err  error
}

// errStopped says that somebody pressed Ctrl-C.
var errStopped = errors.New("stopped")

// newAsker asks until ctx ends. It reads ahead, so in is its own from now on: a read of a console can't be interrupted.
func newAsker(ctx context.Context, in io.Reader, out io.Writer, yes bool) *asker {
	lines := make(chan typed)
	go func() {
		for r := bufio.NewReader(in); ; {
			line, err := r.ReadString('\n')
			select {
			case lines <- typed{line, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return &asker{ctx: ctx, typed: lines, out: out, yes: yes}
}

// read waits for a line.
func (a *asker) read() (string, error) {
	select {
	case <-a.ctx.Done():
	case t := <-a.typed:
		// What is typed after Ctrl-C no longer counts.
		if a.ctx.Err() == nil {
			if errors.Is(t.err, io.EOF) && t.line != "" {
				t.err = nil
			}
			return t.line, t.err
		}
	}
	fmt.Fprintln(a.out)
	return "", errStopped
}

// ask asks until an answer is right. An empty one is def; check may be nil.
func (a *asker) ask(question, def string, check func(string) error) string {
	for a.err == nil {
		fmt.Fprintf(a.out, "%s [%s] ", question, def)
		if a.yes {
			fmt.Fprintln(a.out)
			return def
		}
		line, err := a.read()
		if err != nil {
			a.err = err
			break
		}
		answer := strings.TrimSpace(line)
		if answer == "" || answer == def {
			return def
		}
		if check == nil {
			return answer
		}
		if err := check(answer); err == nil {
			return answer
		} else if a.ctx.Err() == nil {
			fmt.Fprintf(a.out, "    That can't be: %s.\n", strings.TrimSuffix(err.Error(), "."))
		}
	}
	return def
}

// dialog is a set-up on the console.
type dialog struct {
	*asker
	*roomSetup
}

// device asks for the sound device; each can be heard. nil: nothing was asked, for there is none, or the room plays elsewhere.
func (a dialog) device(ctx context.Context, cfg room.Config) (*string, error) {
	if cfg.Audio.Output == "command" {
		fmt.Fprintln(a.out, "\nThe sound goes to a command of the room file's; that stays.")
		return nil, nil
	}
	found, err := output.Devices()
	if err != nil {
		fmt.Fprintf(a.out, "\nThe sound devices can't be listed: %v\n", err)
		return nil, nil
	}
	if len(found) == 0 {
		fmt.Fprintln(a.out, "\nThere is no sound device. Plug one in and run this again, or check that this user is in the group audio.")
		return nil, nil
	}
	fmt.Fprintf(a.out, "\nSound devices:\n")
	def := 0
	for i, d := range found {
		if d.Name == cfg.Audio.Device {
			def = i + 1
		}
		fmt.Fprintf(a.out, "  %d  %s  %s\n", i+1, d.Name, d.Description)
	}
	if def == 0 {
		def = 1
		// A device of its own is what a room should have; the computer's own comes second.
		if i := slices.IndexFunc(found, isUSB); i >= 0 {
			def = i + 1
		}
	}
	for a.err == nil {
		answer := a.ask("Which one plays the music? A p before its number lets it be heard, softly, for five seconds: p1", strconv.Itoa(def), func(s string) error {
			n, err := strconv.Atoi(strings.TrimPrefix(s, "p"))
			if err != nil || n < 1 || n > len(found) {
				return fmt.Errorf("a number from 1 to %d, or p and a number", len(found))
			}
			return nil
		})
		play := strings.HasPrefix(answer, "p")
		n, err := strconv.Atoi(strings.TrimPrefix(answer, "p"))
		if err != nil {
			return nil, err
		}
		name := found[n-1].Name
		if !play {
			return &name, nil
		}
		if err := a.hear(ctx, cfg.Audio, name, cfg.Audio.Reference-findLevel); err != nil {
			fmt.Fprintf(a.out, "    It does not play: %v\n", err)
		} else {
			fmt.Fprintf(a.out, "    Played on %s.\n", name)
		}
		def = n
	}
	return nil, nil
}

// broker asks for the way to the lamps.
func (a dialog) broker(ctx context.Context, cfg room.Config) string {
	def := cfg.MQTT.Broker
	if embedded(cfg) && a.err == nil {
		def = "embedded"
		for _, f := range findBrokers(ctx) {
			if f.URL == ownBroker {
				def = f.URL
				fmt.Fprintf(a.out, "\nThere is an MQTT broker on this computer.\n")
			} else {
				fmt.Fprintf(a.out, "\nThere is an MQTT broker in this network: %s, %s\n", f.URL, f.Name)
			}
		}
	}
	fmt.Fprintf(a.out, "\nThe lamps are reached through an MQTT broker: mqtt://host:1883 or mqtt://user:password@host:1883; embedded is for a room without lamps: the page then shows simulated ones.\n")
	return a.ask("Which broker?", def, func(s string) error {
		if err := checkAnswer(room.Answers{Broker: &s}); err != nil {
			return err
		}
		try := cfg
		try.MQTT.Broker = s
		conn, err := reach(ctx, try)
		if errors.Is(err, errNoBroker) {
			return nil
		} else if err != nil {
			return err
		}
		conn.Close()
		return nil
	})
}
