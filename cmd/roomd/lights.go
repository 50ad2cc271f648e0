package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roomd/room"
	"roomd/room/lights"
	"roomd/room/mqtt"
)

// surveyFor is how long the broker is listened to: what is retained comes at once, a device that is asked within a second.
const surveyFor = 3 * time.Second

const writeLightsCommand = "write: roomd lights, roomd lights test ROLE|TOPIC, or roomd lights simulate PLAYLIST [--out FILE.svg]"

// lightsCommand finds, tests and rehearses the room's lights.
func lightsCommand(ctx context.Context, c *call) error {
	out := c.flags.String("out", "", "with simulate: an SVG file")
	lowest := c.flags.Int("lowest", 0, "with test: the lowest level at which somebody has seen light")
	words, err := c.parse()
	if err != nil {
		return err
	}
	cfg, problems, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(problems.Errors()) > 0 {
		if err := problems.Render(c.stderr); err != nil {
			return err
		}
	}
	switch {
	case len(words) == 0:
		return listLights(ctx, c, cfg)
	case words[0] == "test" && len(words) == 2:
		return testLights(ctx, c, cfg, words[1], *lowest)
	case words[0] == "simulate" && len(words) == 2:
		return simulateLights(ctx, c, cfg, words[1], *out)
	}
	return usageError{errors.New(writeLightsCommand)}
}

// errNoBroker says that there are no lights to find.
var errNoBroker = errors.New("the room's broker is the one inside roomd, and its only lights are the simulated ones: write mqtt: {broker: mqtt://HOST:1883} into the room file")

// reach connects to the room's broker.
func reach(ctx context.Context, cfg room.Config) (*mqtt.Client, error) {
	if embedded(cfg) {
		return nil, errNoBroker
	}
	conn, err := mqtt.Dial(mqtt.Options{Broker: cfg.MQTT.Broker, CA: cfg.MQTT.CA, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	open := make(chan struct{}, 1)
	conn.OnConnect(func(is bool) {
		if is {
			select {
			case open <- struct{}{}:
			default:
			}
		}
	})
	select {
	case <-open:
		return conn, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(6 * time.Second):
		err = errors.New("the broker does not answer")
		if p := conn.Problem(); p != nil {
			says := room.NewProblem("broker", p.Code, p.Args...)
			err = errors.New(says.Says + " " + says.Do)
		}
	}
	conn.Close()
	return nil, err
}

func survey(ctx context.Context, conn *mqtt.Client) []lights.Offer {
	ctx, stop := context.WithTimeout(ctx, surveyFor)
	defer stop()
	return lights.Survey(ctx, conn)
}

// uses tells which role has a light, and by which group where it is a group's.
func uses(cfg room.Config, offers []lights.Offer, o lights.Offer) (role, group string) {
	for role, lamps := range cfg.Lights {
		for _, l := range lamps {
			if l.Driver != o.Lamp.Driver {
				continue
			}
			if l.Topic == o.Lamp.Topic {
				return role, ""
			}
			for _, g := range offers {
				if g.Lamp.Topic == l.Topic && slices.Contains(g.Members, o.Lamp.Topic) {
					group = role + " in " + l.Topic
				}
			}
		}
	}
	return "", group
}

// listLights tells what the room's broker offers, and how the room file names it.
func listLights(ctx context.Context, c *call, cfg room.Config) error {
	conn, err := reach(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	offers := survey(ctx, conn)
	profiles, err := lights.LoadProfiles(profilesIn(c.data))
	if err != nil {
		fmt.Fprintln(c.stderr, "roomd lights:", err)
	}
	if len(offers) == 0 {
		fmt.Fprintln(c.stdout, "Nobody on the broker offers a light. Lamps of homeassistant without discovery and of template can't be found.")
	} else {
		fmt.Fprintln(c.stdout, "Write the line of a light below lights: into the room file, with a role of yours for ROLE.")
	}
	for _, o := range offers {
		printOffer(c.stdout, cfg, offers, o, profiles)
	}
	return printMissing(c.stdout, cfg, offers)
}

func printOffer(to io.Writer, cfg room.Config, offers []lights.Offer, o lights.Offer, profiles lights.Profiles) {
	role, group := uses(cfg, offers, o)
	used := "no role"
	switch {
	case role != "":
		used = "role " + role
	case group != "":
		used = "role " + group
	default:
		role = "ROLE"
	}
	if role == "" {
		role = "ROLE"
	}
	what := []string{o.Caps.String()}
	if o.Members != nil {
		what = append([]string{fmt.Sprintf("group of %d", len(o.Members))}, what...)
	}
	if o.Name != "" && !strings.HasSuffix(o.Lamp.Topic, o.Name) {
		what = append([]string{fmt.Sprintf("%q", o.Name)}, what...)
	}
	if p, ok := profiles[o.Lamp.Topic]; ok {
		what = append(what, "tested "+p.Tested.Format(time.DateOnly)+": "+p.String())
	}
	if o.Trouble != "" {
		what = append(what, "first "+o.Trouble)
	}
	fmt.Fprintf(to, "\n%s  %s  %s  %s\n    %s: %s\n", o.Lamp.Driver, o.Lamp.Topic, used, strings.Join(what, "; "), role, o.Lamp.YAML())
}

// printMissing names the lamps of the room file that should have been found.
func printMissing(to io.Writer, cfg room.Config, offers []lights.Offer) error {
	var err error
	for _, role := range slices.Sorted(maps.Keys(cfg.Lights)) {
		for _, l := range missing(cfg.Lights[role], offers) {
			err = errFound
			fmt.Fprintf(to, "\nrole %s: nobody offers %s %s. Check its topic, and that it has power.\n", role, l.Driver, l.Topic)
		}
	}
	return err
}

// missing are the lamps that somebody should offer and nobody does.
func missing(lamps []lights.Lamp, offers []lights.Offer) (out []lights.Lamp) {
	for _, l := range lamps {
		found := slices.ContainsFunc(offers, func(o lights.Offer) bool { return o.Lamp.Driver == l.Driver && o.Lamp.Topic == l.Topic })
		if !found && slices.Contains([]string{"zigbee2mqtt", "tasmota", "wled", "shelly"}, l.Driver) {
			out = append(out, l)
		}
	}
	return out
}

// profilesIn is where the profiles of tested lights are.
func profilesIn(data string) string { return filepath.Join(data, "lights") }
