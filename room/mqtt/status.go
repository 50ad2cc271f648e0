package mqtt

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// status is the payload of a room's status topic.
type status struct {
	State string `json:"state"` // online, offline
	Boot  string `json:"boot"`
	// Since is when this process was first alone with the topic, Unix time in ms; 0: it is not yet.
	Since int64 `json:"since,omitempty"`
}

// claim is our right to the status topic. A memory card that was copied makes two rooms of one identity: both claim the
// topic, and the one that was there first keeps it.
type claim struct {
	since   int64 // see status
	settled bool  // on this connection: our status came back, and nobody else claimed the topic after it
	quiet   *time.Timer
	correct *time.Timer
	due     bool // correct runs
	all     bool // correct republishes all topics, not just the status
	seen    time.Time
	problem *Problem
}

// stronger tells whether we keep the topic against another that is alive.
func (c *Client) stronger(other status) bool {
	switch ours := c.claim.since; {
	case (ours == 0) != (other.Since == 0):
		return ours != 0
	case ours != other.Since:
		return ours < other.Since
	}
	return c.boot < other.Boot
}

// Settled tells whether the status topic is ours alone on this connection, as far as can be known. Commands that come
// before may be meant for another room.
func (c *Client) Settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open.Load() && (c.status == "" || c.claim.settled)
}

// listenToSelf looks for our own status to come back: a broker that withholds what a list forbids says so to nobody (MQTT
// 3.1.1 has no answer for it). It asks again while nothing comes, because a flood may have swept the answer away. It also
// corrects what anybody else says there.
func (c *Client) listenToSelf() {
	c.echo = time.AfterFunc(time.Hour, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.Open() || c.closing {
			return
		}
		if !c.withheld {
			c.log.Error("broker withholds our own topics", "topic", c.status)
		}
		c.withheld = true
		c.soil(c.status)
		c.echo.Reset(c.echoWithin())
	})
	c.claim.quiet = time.AfterFunc(time.Hour, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.Open() || c.closing {
			return
		}
		c.claim.settled = true
		if c.claim.since == 0 {
			c.claim.since = time.Now().UnixMilli()
			c.retained[c.status] = []byte(c.says("online"))
			c.soil(c.status)
		}
	})
	c.claim.correct = time.AfterFunc(time.Hour, func() {
		c.mu.Lock()
		all := c.claim.all
		c.claim.due, c.claim.all = false, false
		c.soil(c.status)
		c.mu.Unlock()
		if all {
			c.Republish()
		}
	})
	c.echo.Stop()
	c.claim.quiet.Stop()
	c.claim.correct.Stop()
	c.Subscribe(c.status, c.hearSelf)
}

// soil has the retained value of topic sent again; mu is held.
func (c *Client) soil(topic string) {
	if !slices.Contains(c.dirty, topic) {
		c.dirty = append(c.dirty, topic)
	}
	c.poke()
}

// echoWithin is how long our own status may take to come back. A broker to which a thousand clients return at once is slow; asking it
// again would make it slower.
func (c *Client) echoWithin() time.Duration {
	if c.spread > time.Second {
		return echoOfMany
	}
	return echoOfOne
}

// hearSelf takes one message on our status topic.
func (c *Client) hearSelf(topic string, payload []byte, retained bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if topic != c.status || c.closing {
		return
	}
	var says status
	_ = json.Unmarshal(payload, &says) // nonsense is corrected as well
	if says.Boot == c.boot && says.State == "online" {
		c.withheld = false
		c.echo.Stop()
		if !c.claim.settled {
			c.claim.quiet.Reset(quietFor)
		}
		return
	}
	if retained && says.Boot != c.boot {
		return // from before we came, and overwritten already
	}
	if !c.claim.due {
		c.claim.due = true
		c.claim.correct.Reset(correctIn)
	}
	if says.Boot == c.boot || says.Boot == c.was && says.State == "offline" {
		return // the last will of our earlier, half-open connection
	}
	c.claim.all = true
	if c.claim.problem == nil || time.Since(c.claim.seen) > twinShown {
		c.log.Warn("somebody else speaks on this room's status topic", "topic", topic, "state", says.State, "boot", says.Boot)
	}
	c.claim.seen = time.Now()
	c.claim.problem = say("broker-copy", "topic", topic)
	if says.State != "online" || c.stronger(says) {
		return
	}
	// It was here first. From now on we take nothing and say nothing under this name.
	c.claim.settled = false
	c.claim.quiet.Stop()
	c.claim.correct.Stop()
	c.claim.due = true // until Rename
	if c.yield != nil {
		c.log.Warn("a copy of this room was on the broker first: this one takes another id", "topic", topic)
		go c.yield()
	}
}

// Rename moves to another status topic with a connection of its own, so that the last will follows. What is retained on
// topics for which mine is true stays on the broker and belongs to somebody else from now on.
func (c *Client) Rename(to string, mine func(topic string) bool) {
	c.renaming.Lock()
	defer c.renaming.Unlock()
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	old, from := c.paho, c.status
	for t := range c.retained {
		if t == from || mine(t) {
			delete(c.retained, t)
		}
	}
	c.dirty = slices.DeleteFunc(c.dirty, func(t string) bool { return t == from || mine(t) })
	c.inbox.unsubscribe(func(filter string) bool {
		return filter == from || strings.HasPrefix(filter, strings.TrimSuffix(from, "status"))
	})
	c.status = to
	c.claim.since, c.claim.due, c.claim.all = 0, false, false
	c.open.Store(false)
	hooks := slices.Clone(c.hooks)
	c.mu.Unlock()
	c.dial()
	old.Disconnect(0) // with a goodbye, so that our will is not published on what is the other's
	for _, hook := range hooks {
		hook(false)
	}
	c.Subscribe(to, c.hearSelf)
	c.client().Connect()
}
