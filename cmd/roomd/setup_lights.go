package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"roomd/room"
	"roomd/room/lights"
)

// lights asks which of the broker's lights are the room's; nil: they stay as they are.
func (a dialog) lights(ctx context.Context, cfg room.Config, newBroker bool) map[string]string {
	if a.err != nil {
		return nil
	}
	way, err := a.listen(cfg)
	if err == nil {
		fmt.Fprintf(a.out, "\nLooking for lights …\n")
		err = a.await(ctx, way)
	}
	if errors.Is(err, errNoBroker) {
		if newBroker {
			return map[string]string{"ambient": simulatedLamp, "accent": simulatedLamp}
		}
		return nil
	} else if err != nil {
		fmt.Fprintf(a.out, "The lights can't be looked for: %v\n", err)
		return nil
	}
	offers := slices.DeleteFunc(way.Offers(), func(o lights.Offer) bool { return o.Trouble != "" })
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
	fmt.Fprintln(a.out, "Several lights of one role: 1,2,5 or 1-4. A lamp and a group that it is in can't be of two roles. 0: a simulated lamp.")
	p := a.pick(cfg, offers, "ambient", "accent")
	out := map[string]string{}
	for _, role := range []struct{ name, question string }{
		{"ambient", "Which light the room (ambient)?"},
		{"accent", "Which is the second, smaller light (accent)?"},
	} {
		now := p.ofRole(role.name)
		def := now
		if len(now) == 0 && role.name == "ambient" {
			def = p.first()
		}
		if p.fits(list(def)) != nil {
			def = nil
		}
		picked, err := numbers(a.ask(role.question, list(def), p.fits), len(offers))
		if a.err != nil || err != nil {
			return nil
		}
		text, err := p.give(ctx, way.Finder, role.name, p.lamps(picked))
		if err != nil {
			fmt.Fprintf(a.out, "    They move one by one: %v\n", err)
			if text, err = p.give(ctx, nil, role.name, p.lamps(picked)); err != nil {
				return nil
			}
		}
		if text != "" {
			out[role.name] = text
		}
	}
	if left := p.free(); len(left) > 0 {
		fmt.Fprintf(a.out, "No role has %s: roomd does not move what has no role.\n", list(left))
	}
	return out
}

// The broker's lights have numbers, from 1 on.

func (p picking) lamps(picked []int) (out []lights.Lamp) {
	for _, n := range picked {
		out = append(out, p.offers[n-1].Lamp)
	}
	return out
}

// ofRole are the lights that the room file gives a role.
func (p picking) ofRole(name string) (out []int) {
	for i, o := range p.offers {
		if role, _ := uses(p.cfg, p.offers, o); role == name {
			out = append(out, i+1)
		}
	}
	return out
}

// free are the lights that no chosen one moves.
func (p picking) free() (out []int) {
	for i, o := range p.offers {
		if _, _, clash := anyOverlap(p.offers, p.chosen, []lights.Lamp{o.Lamp}); !clash {
			out = append(out, i+1)
		}
	}
	return out
}

// first proposes what lights a new room: a group; else all bulbs, where the broker is on this computer and so has this room's alone;
// else one.
func (p picking) first() []int {
	free := p.free()
	if i := slices.IndexFunc(free, func(n int) bool { return p.offers[n-1].Members != nil }); i >= 0 {
		return free[i : i+1]
	}
	u, err := url.Parse(p.cfg.MQTT.Broker)
	if err == nil && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()) {
		return free
	}
	return free[:min(1, len(free))]
}

// fits says why an answer can't be.
func (p picking) fits(answer string) error {
	picked, err := numbers(answer, len(p.offers))
	if err != nil {
		return err
	}
	if role, topic, clash := anyOverlap(p.offers, p.chosen, p.lamps(picked)); clash {
		return fmt.Errorf("%s is already a light of %s, alone or in a group: choose another, or 0", topic, role)
	}
	return nil
}

// list writes numbers as somebody would type them; none is 0.
func list(numbers []int) string {
	if len(numbers) == 0 {
		return "0"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ","), "[]")
}

// numbers reads numbers from 1 to most, such as "1,2 5-7", each once and in order; 0 alone is none.
func numbers(s string, most int) (out []int, err error) {
	if strings.TrimSpace(s) == "0" {
		return nil, nil
	}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		first, last, span := strings.Cut(word, "-")
		from, bad := strconv.Atoi(first)
		to := from
		if span && bad == nil {
			to, bad = strconv.Atoi(last)
		}
		if bad != nil || from < 1 || to > most || from > to {
			return nil, fmt.Errorf("write numbers from 1 to %d, or 0", most)
		}
		for n := from; n <= to; n++ {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		err = fmt.Errorf("write numbers from 1 to %d, or 0", most)
	}
	return out, err
}
