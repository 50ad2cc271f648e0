package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roomd/room"
	"roomd/room/lights"
)

// testLights finds out what a role's lamps can do, or one light by its topic, and keeps that for the room. lowest is what a
// person has seen; 0: nobody looked.
func testLights(ctx context.Context, c *call, cfg room.Config, name string, lowest int) error {
	// While a roomd runs it would take the test for a hand on the lamp, and a session may be on.
	unlock, err := lockData(c.data)
	if err != nil {
		return fmt.Errorf("a test needs the lights for itself: %w", err)
	}
	defer unlock()
	conn, err := reach(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	lamps, err := toTest(cfg, survey(ctx, conn), name)
	if err != nil {
		return err
	}
	var failed []error
	for _, o := range lamps {
		fmt.Fprintf(c.stdout, "%s %s\n", o.Lamp.Driver, o.Lamp.Topic)
		p, err := lights.Commission(ctx, conn, o, func(s string) { fmt.Fprintf(c.stdout, "    %s\n", s) })
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", o.Lamp.Topic, err))
			continue
		}
		if lowest > 0 {
			p.Lowest = lowest
		}
		if err := p.Save(profilesIn(c.data)); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "    found: %s\n", p)
	}
	if len(failed) == 0 {
		fmt.Fprintln(c.stdout, "Kept. Whether there is light at the lowest level only an eye can tell: if there was none, test again with --lowest and a higher number.")
	}
	return errors.Join(failed...)
}

// toTest are the single lamps that a role or a topic names.
func toTest(cfg room.Config, offers []lights.Offer, name string) ([]lights.Offer, error) {
	byTopic := func(topic string) (lights.Offer, bool) {
		i := slices.IndexFunc(offers, func(o lights.Offer) bool { return o.Lamp.Topic == topic })
		if i < 0 {
			return lights.Offer{}, false
		}
		return offers[i], true
	}
	var wanted []lights.Lamp
	for role, lamps := range cfg.Lights {
		for _, l := range lamps {
			if role == name || l.Topic == name {
				wanted = append(wanted, l)
			}
		}
	}
	if o, ok := byTopic(name); ok && len(wanted) == 0 {
		wanted = append(wanted, o.Lamp)
	}
	var all []lights.Offer
	for _, l := range wanted {
		o, ok := byTopic(l.Topic)
		switch {
		case l.Driver == "simulated":
			return nil, fmt.Errorf("%s is simulated: there is nothing to test", l.Topic)
		case !ok && l.Driver == "zigbee2mqtt":
			return nil, fmt.Errorf("zigbee2mqtt knows no light %s: roomd lights says which it knows", l.Topic)
		case !ok:
			o = lights.Known(l)
		}
		o.Lamp = l // with its options
		if o.Members == nil {
			all = append(all, o)
			continue
		}
		for _, m := range o.Members {
			if member, ok := byTopic(m); ok {
				all = append(all, member)
			}
		}
	}
	if len(all) == 0 {
		var names []string
		for role := range cfg.Lights {
			names = append(names, role)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("there is no light %q: name a role (%s) or a topic that roomd lights shows", name, strings.Join(names, ", "))
	}
	return all, nil
}
