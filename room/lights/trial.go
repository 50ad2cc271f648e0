package lights

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// trial is a test of a role's lamps that is under way in a running room.
type trial struct {
	gate *gate
	stop context.CancelFunc
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
// It returns at once; View.Test tells how far it is and what was found. The role is not commanded meanwhile; any move of it
// breaks the test off. refused is a sentence for a therapist: why these lamps can't be tested now; empty: the test has begun.
func (c *Controller) Test(role string) (refused string) {
	answer := make(chan string, 1)
	c.put(func(now time.Time) { answer <- c.begins(role, now) })
	select {
	case refused = <-answer:
		return refused
	case <-time.After(time.Second):
		return "The lights do not answer."
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
func (c *Controller) begins(name string, now time.Time) (refused string) {
	r := c.roles[name]
	switch {
	case r == nil:
		return fmt.Sprintf("There is no light called %q.", name)
	case !c.open:
		return "The lights can't be reached."
	}
	for _, other := range c.order {
		if other.trial != nil {
			return fmt.Sprintf("The light %q is being tested: that takes a minute for each lamp.", other.name)
		}
	}
	offers := r.offers()
	if len(offers) == 0 {
		return "There is no lamp to test: these are drawn by the page, or not found yet."
	}
	ctx, stop := context.WithCancel(c.ctx)
	t := &trial{&gate{Conn: c.conn}, stop}
	r.trial, r.test = t, "asking where it is"
	r.plan, r.pending, r.arrived = plan{}, nil, time.Time{}
	c.pause(r, pause{on: true}, now)
	dir := c.profiles
	go func() {
		defer stop()
		var found []Profile
		var failed []error
		last := ""
		for _, o := range offers {
			p, err := Commission(ctx, t.gate, o, func(s string) {
				c.put(func(time.Time) {
					if r.trial == t {
						r.test = o.Lamp.Topic + ": " + s
					}
				})
			})
			if err == nil {
				err = p.Save(dir)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", o.Lamp.Topic, err))
				continue
			}
			found = append(found, p)
			last += o.Lamp.Topic + ": " + p.String() + ". "
		}
		if err := errors.Join(failed...); err != nil {
			last += "Not tested: " + err.Error() + "."
		}
		t.gate.shut.Store(true)
		c.put(func(now time.Time) {
			if r.trial == t {
				r.trial, r.test = nil, last
				c.learned(r, found, now)
			}
		})
	}()
	return ""
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
	r.trial, r.test = nil, "The test was broken off."
	c.pause(r, pause{why: strayed}, now)
}
