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

	"github.com/spf13/cobra"

	"roomd/playlists"
	"roomd/room"
	"roomd/room/lights"
	"roomd/room/mqtt"
	"roomd/web"
)

// surveyFor is how long the broker is listened to: what is retained comes at once, a device that is asked within a second.
const surveyFor = 3 * time.Second

// lightsCommand finds, tests and rehearses the room's lights.
func lightsCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "lights", Short: "List the lights that the room's broker offers, each with its line for the room file", Args: cobra.ArbitraryArgs, Annotations: on(theRoom)}
	asJSON := cmd.Flags().Bool("json", false, "print them as JSON")
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		if len(words) > 0 {
			return unknownCommand(cmd, words[0])
		}
		return c.withRoomFile(func(cfg room.Config) error { return listLights(cmd.Context(), c, cfg, *asJSON) })
	}
	test := &cobra.Command{Use: "test ROLE|TOPIC", Short: "Find out what a light can do, gently, while no roomd runs", Args: takes(1, 1), Annotations: on(theRoom),
		Example: "  roomd lights test ambient\n  roomd lights test ambient --lowest 5",
		ValidArgsFunction: c.completing(1, func(cfg room.Config) (names []string) {
			for role, lamps := range cfg.Lights {
				names = append(names, role)
				for _, l := range lamps {
					names = append(names, l.Topic)
				}
			}
			return names
		})}
	lowest := test.Flags().Int("lowest", 0, "the lowest `LEVEL` at which somebody has seen light")
	test.RunE = func(cmd *cobra.Command, words []string) error {
		return c.withRoomFile(func(cfg room.Config) error { return testLights(cmd.Context(), c, cfg, words[0], *lowest) })
	}
	simulate := &cobra.Command{Use: "simulate PLAYLIST", Short: "Tell a session's light by time, and draw it", Args: takes(1, 1), Annotations: on(files), ValidArgsFunction: c.playlistIDs(1)}
	out := simulate.Flags().String("out", "", "an SVG `FILE` to draw it in")
	simulate.RunE = func(cmd *cobra.Command, words []string) error {
		return c.withRoomFile(func(cfg room.Config) error { return simulateLights(cmd.Context(), c, cfg, words[0], *out) })
	}
	cmd.AddCommand(test, simulate)
	return cmd
}

// withRoomFile reads the room file; what is wrong in it is printed, and the defaults stand there.
func (c *call) withRoomFile(do func(room.Config) error) error {
	cfg, problems, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(problems.Errors()) > 0 {
		if err := problems.Render(c.stderr); err != nil {
			return err
		}
	}
	return do(cfg)
}

// errNoBroker says that there are no lights to find.
var errNoBroker = errors.New("the room's broker is the one inside roomd, and its only lights are the simulated ones: write mqtt: {broker: mqtt://HOST:1883} into the room file")

// brokerWait is how long a broker may take to let roomd in.
const brokerWait = 6 * time.Second

// errSilentBroker says that a broker neither lets roomd in nor says why.
var errSilentBroker = errors.New("the broker does not answer")

// reach connects to the room's broker.
func reach(ctx context.Context, cfg room.Config) (_ *mqtt.Client, err error) {
	if embedded(cfg) {
		return nil, errNoBroker
	}
	conn, err := mqtt.Dial(mqtt.Options{Broker: cfg.MQTT.Broker, CA: cfg.MQTT.CA, ClockSet: room.ClockSet, Log: slog.New(slog.DiscardHandler)})
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
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for late := time.After(brokerWait); ; {
		select {
		case <-open:
			return conn, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-look.C: // a broker that refuses a password is not asked again
			if p := conn.Problem(); p == nil || p.Code != "broker-password" {
				continue
			}
		case <-late:
		}
		return nil, brokerTrouble(conn)
	}
}

// asError is a problem as a command tells it.
func asError(p room.Problem) error { return web.Trouble{Problem: p} }

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

// overlap finds a topic that two lists of lamps both move: a lamp in both, or one in a group that is in the other.
func overlap(offers []lights.Offer, a, b []lights.Lamp) (topic string, is bool) {
	moved := func(l lights.Lamp) []string {
		topics := []string{l.Topic}
		for _, o := range offers {
			if o.Lamp.Topic == l.Topic {
				topics = append(topics, o.Members...)
			}
		}
		return topics
	}
	for _, x := range a {
		for _, y := range b {
			for _, t := range moved(y) {
				if x.Driver != "simulated" && y.Driver != "simulated" && slices.Contains(moved(x), t) {
					return t, true
				}
			}
		}
	}
	return "", false
}

// anyOverlap finds the role whose lamps overlap with some.
func anyOverlap(offers []lights.Offer, roles map[string][]lights.Lamp, lamps []lights.Lamp) (role, topic string, is bool) {
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		if topic, is := overlap(offers, lamps, roles[role]); is {
			return role, topic, true
		}
	}
	return "", "", false
}

// clashes are the roles of the room file that would move the same lamp, because the broker has it in a group. Each would take the
// other's move for a person's.
func clashes(ctx context.Context, cfg room.Config, at func(keys ...string) playlists.Place) (playlists.Problems, error) {
	grouped := map[string][]lights.Lamp{} // by role, of the only driver with groups
	for role, lamps := range cfg.Lights {
		for _, l := range lamps {
			if l.Driver == "zigbee2mqtt" {
				grouped[role] = append(grouped[role], l)
			}
		}
	}
	if len(grouped) < 2 {
		return nil, nil
	}
	conn, err := reach(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	offers := survey(ctx, conn)
	var out playlists.Problems
	before := map[string][]lights.Lamp{}
	for _, role := range slices.Sorted(maps.Keys(grouped)) {
		if other, topic, is := anyOverlap(offers, before, grouped[role]); is {
			out = append(out, playlists.Problem{Place: at("lights", role), Severity: playlists.Error,
				Says: fmt.Sprintf("the roles %s and %s both move %s, one of them through a group", other, role, topic), Write: "give each lamp to one role: roomd lights lists the groups"})
		}
		before[role] = grouped[role]
	}
	return out, nil
}

// listLights tells what the room's broker offers, and how the room file names it.
func listLights(ctx context.Context, c *call, cfg room.Config, asJSON bool) error {
	conn, err := reach(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	offers := survey(ctx, conn)
	if asJSON {
		return printJSON(c.stdout, offered(cfg, offers))
	}
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

// lightJSON is a light that the broker offers, for a program.
type lightJSON struct {
	Driver  string   `json:"driver"`
	Topic   string   `json:"topic"`
	Name    string   `json:"name,omitempty"`
	Role    string   `json:"role,omitempty"`    // that the room file gives it
	Group   string   `json:"group,omitempty"`   // the role and topic of a group that it is in
	Members []string `json:"members,omitempty"` // topics, of a group
	Can     string   `json:"can"`
	Trouble string   `json:"trouble,omitempty"` // why roomd can't use it as it is
	Line    string   `json:"line"`              // for the room file
}

func offered(cfg room.Config, offers []lights.Offer) []lightJSON {
	out := []lightJSON{}
	for _, o := range offers {
		role, group := uses(cfg, offers, o)
		out = append(out, lightJSON{o.Lamp.Driver, o.Lamp.Topic, o.Name, role, group, o.Members, o.Caps.String(), o.Trouble, o.Lamp.YAML()})
	}
	return out
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
