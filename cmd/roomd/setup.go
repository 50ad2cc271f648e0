package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/player"
	"roomd/player/output"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/lights"
)

// setup asks for what a room is made of and writes the room file. Each answer has a default: what the file says already,
// or what was found.
func setup(ctx context.Context, c *call) error {
	yes := c.flags.Bool("yes", false, "take every default")
	if words, err := c.parse(); err != nil {
		return err
	} else if len(words) > 0 {
		return usageError{fmt.Errorf("what is %q?", words[0])}
	}
	cfg, problems, err := room.LoadConfig(c.config)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return err
	}
	if len(problems.Errors()) > 0 {
		if err := problems.Render(c.stderr); err != nil {
			return err
		}
		return fmt.Errorf("%s has errors: correct them first, so that nothing in it is lost", c.config)
	}
	text, err := os.ReadFile(c.config)
	if err != nil && !fresh {
		return err
	}
	a := &asker{in: bufio.NewReader(c.stdin), out: c.stdout, yes: *yes}
	fmt.Fprintf(c.stdout, "Each question has its answer in brackets: Enter takes it.\n\n")

	var answers room.Answers
	name := a.ask("What is the room called?", cfg.Room, func(s string) error { return checkAnswer(room.Answers{Room: &s}) })
	if name != cfg.Room || fresh {
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
	with.MQTT.Broker = broker
	answers.Lights = a.lights(ctx, with, broker != cfg.MQTT.Broker)
	if a.err != nil {
		return fmt.Errorf("the answers ended (%w); nothing was written", a.err)
	}

	now, err := room.WriteConfig(text, answers)
	if err != nil {
		return err
	}
	if fresh {
		schema := filepath.Join(".schema", "room.json")
		if err := os.MkdirAll(filepath.Join(filepath.Dir(c.config), ".schema"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(c.config), schema), room.ConfigSchema(), 0o644); err != nil {
			return err
		}
		now = append([]byte(room.SchemaLine(filepath.ToSlash(schema))), now...)
	}
	if _, found := room.ParseConfig(c.config, now); len(found.Errors()) > 0 {
		if err := found.Render(c.stderr); err != nil {
			return err
		}
		return errors.New("the room file would have errors like this; nothing was written")
	}
	if string(now) == string(text) {
		fmt.Fprintf(c.stdout, "\n%s stays as it is.\n", c.config)
		return nil
	}
	if !fresh {
		aside := c.config + ".before-" + time.Now().Format(backupTime)
		if err := copyFile(c.config, aside, 0o600); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "\nThe file as it was: %s\n", aside)
	}
	// Written in place, so that it still belongs to whom it did.
	if err := os.WriteFile(c.config, now, 0o640); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "\nWritten: %s\nStart roomd again for it: a session that is running goes on.\n", c.config)
	return nil
}

// checkAnswer says what is wrong with a file that holds the answers.
func checkAnswer(a room.Answers) error {
	text, err := room.WriteConfig(nil, a)
	if err != nil {
		return err
	}
	if _, problems := room.ParseConfig("room.yaml", text); len(problems.Errors()) > 0 {
		p := problems.Errors()[0]
		return fmt.Errorf("%s (%s)", p.Says, p.Write)
	}
	return nil
}

// asker asks on a console.
type asker struct {
	in  *bufio.Reader
	out io.Writer
	yes bool
	err error // nobody answers any more
}

// ask asks until an answer is right. An empty one is def; check may be nil.
func (a *asker) ask(question, def string, check func(string) error) string {
	for a.err == nil {
		fmt.Fprintf(a.out, "%s [%s] ", question, def)
		if a.yes {
			fmt.Fprintln(a.out)
			return def
		}
		line, err := a.in.ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
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
		} else {
			fmt.Fprintf(a.out, "    That can't be: %s.\n", strings.TrimSuffix(err.Error(), "."))
		}
	}
	return def
}

// number asks for one of so many things, from 0 or 1 on.
func (a *asker) number(question string, def, least, most int) int {
	s := a.ask(question, strconv.Itoa(def), func(s string) error {
		if n, err := strconv.Atoi(s); err != nil || n < least || n > most {
			return fmt.Errorf("a number from %d to %d", least, most)
		}
		return nil
	})
	n, err := strconv.Atoi(s)
	if err != nil {
		return def
	}
	return n
}

// device asks for the sound device; each can be heard. nil: nothing was asked, for there is none, or the room plays elsewhere.
func (a *asker) device(ctx context.Context, cfg room.Config) (*string, error) {
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
		if i := slices.IndexFunc(found, func(d output.Device) bool { return strings.Contains(strings.ToUpper(d.Description), "USB") }); i >= 0 {
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
		if err := hearDevice(ctx, cfg.Audio, name); err != nil {
			fmt.Fprintf(a.out, "    It does not play: %v\n", err)
		} else {
			fmt.Fprintf(a.out, "    Played on %s.\n", name)
		}
		def = n
	}
	return nil, nil
}

// hearDevice plays the drone for five seconds, 10 dB under the room's reference.
func hearDevice(ctx context.Context, cfg room.AudioConfig, device string) error {
	const long = 5 * time.Second
	cfg.Output, cfg.Device, cfg.Headphones = "alsa", device, nil
	snd := openSound(cfg, player.Options{Loudest: cfg.Reference, Log: slog.New(slog.DiscardHandler)})
	defer snd.line.Close()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- snd.Run(ctx) }()
	defer func() { stop(); <-done }()
	snd.SetScore(player.Score{End: long, Levels: []player.Level{{Target: cfg.Reference - 10}}, Cover: string(playlists.Drone),
		Clips: []player.Clip{{ID: "setup", Bed: string(playlists.Drone), Title: "Drone", End: long, FadeIn: time.Second, FadeOut: 2 * time.Second, Gain: cfg.Reference - 10 - player.BedLUFS}}}, time.Now())
	for end := time.After(long + time.Second); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			if h := snd.line.Health(); h.Says != "" {
				return fmt.Errorf("%s %s", h.Says, h.Do)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			if h := snd.line.Health(); h.Error != "" {
				return fmt.Errorf("%s %s", h.Says, h.Do)
			}
		}
	}
}

// broker asks for the way to the lamps.
func (a *asker) broker(ctx context.Context, cfg room.Config) string {
	const own = "mqtt://localhost:1883"
	def := cfg.MQTT.Broker
	if embedded(cfg) {
		def = "embedded"
		if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", "localhost:1883"); err == nil {
			c.Close()
			def = own
			fmt.Fprintf(a.out, "\nThere is an MQTT broker on this computer.\n")
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

// lights asks which of the broker's lights are the room's; nil: they stay as they are.
func (a *asker) lights(ctx context.Context, cfg room.Config, newBroker bool) map[string]string {
	if a.err != nil {
		return nil
	}
	conn, err := reach(ctx, cfg)
	if errors.Is(err, errNoBroker) {
		if newBroker {
			return map[string]string{"ambient": "{driver: simulated}", "accent": "{driver: simulated}"}
		}
		return nil
	} else if err != nil {
		fmt.Fprintf(a.out, "The lights can't be looked for: %v\n", err)
		return nil
	}
	defer conn.Close()
	fmt.Fprintf(a.out, "\nLooking for lights …\n")
	offers := slices.DeleteFunc(survey(ctx, conn), func(o lights.Offer) bool { return o.Trouble != "" })
	if len(offers) == 0 {
		fmt.Fprintln(a.out, "Nobody on the broker offers a light. When there is one, run this again.")
		return nil
	}
	for i, o := range offers {
		what := o.Name
		if o.Members != nil {
			what = fmt.Sprintf("%s, a group of %d", what, len(o.Members))
		}
		fmt.Fprintf(a.out, "  %d  %s %s  %s\n", i+1, o.Lamp.Driver, o.Lamp.Topic, strings.Trim(what, ", "))
	}
	out := map[string]string{}
	for _, role := range []struct{ name, question string }{
		{"ambient", "Which one lights the room (ambient)? 0: a simulated lamp"},
		{"accent", "Which one is the second, smaller light (accent)? 0: a simulated lamp"},
	} {
		def := 0
		for i, o := range offers {
			if r, _ := uses(cfg, offers, o); r == role.name {
				def = i + 1
			}
		}
		if def == 0 && role.name == "ambient" {
			def = 1
			if i := slices.IndexFunc(offers, func(o lights.Offer) bool { return o.Members != nil }); i >= 0 {
				def = i + 1
			}
		}
		n := a.number(role.question, def, 0, len(offers))
		if n == def && def > 0 {
			if r, _ := uses(cfg, offers, offers[n-1]); r == role.name {
				continue // as it was, with the options that somebody wrote
			}
		}
		out[role.name] = "{driver: simulated}"
		if n > 0 {
			out[role.name] = offers[n-1].Lamp.YAML()
		}
	}
	return out
}
