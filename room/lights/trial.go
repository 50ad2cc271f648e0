package lights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// trial is a test of a role's lamps that is under way in a running room.
type trial struct {
	gate *gate
	stop context.CancelFunc
	lent bool // to somebody else: it is no test, and is not told of
}

// gate is the connection of a test. Once it is shut the test commands nothing more and hears nothing.
type gate struct {
	Conn
	shut atomic.Bool
}

var errBrokenOff = errors.New("the test was broken off")

func (g *gate) Publish(topic string, payload []byte) error {
	if g.shut.Load() {
		return errBrokenOff
	}
	return g.Conn.Publish(topic, payload)
}

func (g *gate) Subscribe(filter string, handle func(string, []byte, bool)) {
	g.Conn.Subscribe(filter, func(topic string, payload []byte, retained bool) {
		if !g.shut.Load() {
			handle(topic, payload, retained)
		}
	})
}

// Test finds out what a role's lamps can do, one after the other (see Commission), keeps it and goes by it from then on.
// It returns at once; View.Test tells how far it is. The role is not commanded meanwhile; any move of it
// breaks the test off. refused says why these lamps can't be tested now; empty: the test has begun.
func (c *Controller) Test(role string) (refused Said) {
	answer := make(chan Said, 1)
	c.put(func(now time.Time) { answer <- c.begins(role, now) })
	select {
	case refused = <-answer:
		return refused
	case <-time.After(time.Second):
		return said("lights-silent")
	}
}

// offers are a role's lamps as a test takes them: those that are there in truth.
func (r *role) offers() (all []Offer) {
	for _, l := range r.entries {
		if l.drv == nil || l.conf.Driver == "simulated" {
			continue
		}
		for _, u := range l.units {
			all = append(all, Offer{Lamp: Lamp{Driver: l.conf.Driver, Topic: u.addr.topic, Extra: u.addr.extra}, Caps: u.addr.caps})
		}
	}
	return all
}

// begins starts a test, on the owner's goroutine.
func (c *Controller) begins(name string, now time.Time) (refused Said) {
	r := c.roles[name]
	switch {
	case r == nil:
		return said("unknown-role", "role", name)
	case !c.open:
		return said("lights-cut-off")
	}
	for _, other := range c.order {
		if other.trial != nil {
			return said("lights-testing", "role", other.name)
		}
	}
	offers := r.offers()
	if len(offers) == 0 {
		return said("lights-none")
	}
	ctx, stop := context.WithCancel(c.ctx)
	t := &trial{gate: &gate{Conn: c.conn}, stop: stop}
	r.trial, r.test, r.found = t, said("test-runs", "lamp", offers[0].Lamp.Topic), ""
	r.plan, r.pending, r.arrived = plan{}, nil, time.Time{}
	c.pause(r, pause{on: true}, now)
	dir := c.profiles
	go func() {
		defer stop()
		var found []Profile
		var failed []error
		last, ended := "", said("test-done")
		var silent []string
		for _, o := range offers {
			p, err := Commission(ctx, t.gate, o, func(s string) {
				c.put(func(time.Time) {
					if r.trial == t {
						r.test, r.found = said("test-runs", "lamp", o.Lamp.Topic), o.Lamp.Topic+": "+s
					}
				})
			})
			if err == nil {
				err = p.Save(dir)
			}
			if err != nil {
				failed, silent = append(failed, fmt.Errorf("%s: %w", o.Lamp.Topic, err)), append(silent, o.Lamp.Topic)
				continue
			}
			found = append(found, p)
			last += o.Lamp.Topic + ": " + p.String() + ". "
		}
		if err := errors.Join(failed...); err != nil {
			last += "Not tested: " + err.Error() + "."
			ended = said("test-failed", "lamps", strings.Join(silent, ", "))
		}
		t.gate.shut.Store(true)
		c.put(func(now time.Time) {
			if r.trial == t {
				r.trial, r.test, r.found = nil, ended, last
				c.learned(r, found, now)
			}
		})
	}()
	return Said{}
}

// learned takes what a test of a role has found.
func (c *Controller) learned(r *role, profiles []Profile, now time.Time) {
	if c.tested == nil {
		c.tested = Profiles{}
	}
	for _, p := range profiles {
		c.tested[p.Topic] = p
	}
	for _, l := range r.entries {
		var f found
		for i, u := range l.units {
			k := c.tested.known(l.conf, u.addr.topic, u.addr.caps)
			f.units = append(f.units, address{u.addr.topic, u.addr.extra, k})
			if l.grouped && i == 0 {
				f.group = &address{l.group.addr.topic, l.group.addr.extra, k}
			}
			if l.grouped {
				f.group.caps = f.group.caps.both(k)
			}
		}
		c.resolve(l, f, now)
	}
	c.pause(r, pause{why: reconnected}, now)
}

// pause tells all lamps of a role.
func (c *Controller) pause(r *role, in pause, now time.Time) {
	for _, l := range r.entries {
		c.tell(l, in, now)
	}
}

// breakOff ends a role's test before its time: a move is asked for.
func (c *Controller) breakOff(r *role, now time.Time) {
	if r.trial == nil {
		return
	}
	r.trial.gate.shut.Store(true)
	r.trial.stop()
	if !r.trial.lent {
		r.test, r.found = said("test-broken-off"), ""
	}
	r.trial = nil
	c.pause(r, pause{why: strayed}, now)
}

// Lend runs do while no role commands the lamps of some topics, nor takes what do does to them for a person's doing. do moves them
// by the connection that it is given, a way over conn; a move of their roles shuts it, and ends ctx. Afterwards the roles
// go on where they were. refused says why the lamps can't be lent now.
func (c *Controller) Lend(ctx context.Context, conn Conn, topics []string, do func(ctx context.Context, conn Conn) error) (refused Said, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &trial{gate: &gate{Conn: conn}, stop: stop, lent: true}
	var lent []*role // owned by Run
	answer := make(chan Said, 1)
	c.put(func(now time.Time) {
		for _, r := range c.order {
			if !slices.ContainsFunc(r.units(), func(u *unit) bool { return slices.Contains(topics, u.addr.topic) }) {
				continue
			}
			if r.trial != nil {
				answer <- said("lights-testing", "role", r.name)
				return
			}
			lent = append(lent, r)
		}
		for _, r := range lent {
			r.trial = t
			c.pause(r, pause{on: true}, now)
		}
		answer <- Said{}
	})
	select {
	case refused = <-answer:
	case <-time.After(time.Second):
		t.gate.shut.Store(true)
		refused = said("lights-silent")
	}
	if refused.Code != "" {
		// Where the owner was only slow it gives them back.
		c.put(func(now time.Time) { c.takeBack(lent, t, now) })
		return refused, nil
	}
	err = do(ctx, t.gate)
	t.gate.shut.Store(true)
	c.put(func(now time.Time) { c.takeBack(lent, t, now) })
	return Said{}, err
}

// takeBack has roles commanded again that were lent.
func (c *Controller) takeBack(lent []*role, t *trial, now time.Time) {
	for _, r := range lent {
		if r.trial != t {
			continue
		}
		r.trial = nil
		c.pause(r, pause{why: reconnected}, now)
		if r.plan.active {
			for _, l := range r.entries {
				c.tell(l, aim{r.plan}, now)
			}
		}
	}
}
