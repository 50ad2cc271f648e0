package lights

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

// How an echo and an answer are told apart: zigbee2mqtt publishes the same topic for both, and the echo of a command also
// for a lamp that is dead. So a message counts as an answer only after a question, asked when the echo of the last command
// has had its time, and while no command was sent since. Anything else is at most a reason to ask.

// listen takes one message.
func (c *Controller) listen(e event, now time.Time) {
	if base, what, ok := strings.Cut(e.topic, "/bridge/"); ok && c.bridges[base] != nil {
		c.hearBridge(c.bridges[base], what, e, now)
		return
	}
	own := c.ours(e.topic, e.payload)
	for _, l := range c.groups[e.topic] {
		if own {
			for _, u := range l.units {
				u.heardOwn = true
			}
			continue
		}
		r, ok := decodeCommand(e.payload)
		if !ok {
			continue
		}
		if e.retained {
			l.trap = true
			c.log.Warn("retained command on a light", "topic", e.topic)
			continue
		}
		for _, u := range l.units {
			c.hand(u, r.movesLevel, r.movesColour, "command of another program", now)
		}
	}
	us := c.hearers[e.topic]
	if us == nil {
		if i := strings.LastIndexByte(e.topic, '/'); i > 0 {
			us = c.hearers[e.topic[:i]+"/+"]
		}
	}
	for _, u := range us {
		if own {
			u.heardOwn = true
			continue
		}
		r, ok := u.drv.decode(u.addr, e.topic, e.payload)
		if !ok {
			continue
		}
		if r.impossible != "" && r.impossible != u.impossible {
			u.impossible = r.impossible
			c.log.Warn("a light says what can't be; it is ignored", "light", u.name, "topic", e.topic, "says", r.impossible)
		}
		switch r.kind {
		case saysCommand:
			if e.retained {
				u.lamp.trap = true
				c.log.Warn("retained command on a light", "topic", e.topic)
				continue
			}
			c.hand(u, r.movesLevel, r.movesColour, "command of another program", now)
		case saysOnline:
			c.reachable(u, r.on, e.retained, now)
		case saysState:
			c.told(u, r, e.retained, now)
		}
	}
}

func (c *Controller) hearBridge(b *bridge, what string, e event, now time.Time) {
	switch what {
	case "state":
		var s struct{ State string }
		if json.Unmarshal(e.payload, &s) != nil {
			s.State = string(e.payload)
		}
		if s.State != "online" && s.State != "offline" {
			return
		}
		was := b.offline
		b.offline, b.online = s.State == "offline", s.State == "online"
		if b.offline != was {
			c.log.Info("light bridge", "base", b.base, "state", s.State)
		}
		for _, u := range c.unitsOf(b) {
			if b.offline {
				u.reading, u.readAt = 0, time.Time{}
				u.known = false
			} else if was || !e.retained {
				c.recover(u, reconnected, now)
				// A bridge that starts tells first what it remembers, and that is no answer.
				u.readAt = now.Add(250 * time.Millisecond)
				u.waitUntil = now.Add(recoverWait + time.Second)
			}
		}
	case "devices", "groups":
		if err := b.learn(what, e.payload); err != nil {
			c.log.Warn("light bridge tells nonsense", "base", b.base, "err", err)
			return
		}
		c.place(b, now)
	case "event":
		var ev struct {
			Type string
			Data struct {
				Name string `json:"friendly_name"`
			}
		}
		if json.Unmarshal(e.payload, &ev) != nil || ev.Type != "device_announce" || e.retained {
			return
		}
		for _, u := range c.hearers[b.base+"/"+ev.Data.Name] {
			c.log.Info("light has power again", "light", u.name)
			u.quiet = now.Add(powerQuiet)
			if now.Sub(u.heldAt) < powerQuiet {
				u.heldLevel, u.heldColour = false, false // it was its power, and no hand
			}
			c.recover(u, powered, now)
		}
	}
}

func (c *Controller) unitsOf(b *bridge) []*unit {
	var all []*unit
	for _, r := range c.order {
		for _, l := range r.lamps {
			if l.bridge == b {
				all = append(all, l.units...)
			}
		}
	}
	return all
}

// reachable is the bridge's opinion of whether a lamp answers.
func (c *Controller) reachable(u *unit, online, retained bool, now time.Time) {
	if !online {
		if !u.lost {
			c.log.Warn("light is lost", "light", u.name, "why", "its bridge can't reach it")
		}
		u.lost, u.known = true, false
		return
	}
	if u.lost {
		u.lost = false
		u.misses = 0
		u.quiet = now.Add(powerQuiet)
		c.recover(u, powered, now)
	} else if !retained {
		u.quiet = now.Add(powerQuiet)
		u.readAt = now
	}
}

// hand is told that somebody else moves a lamp.
func (c *Controller) hand(u *unit, level, hue bool, why string, now time.Time) {
	if c.urgent != nil && now.Sub(c.urgent.at) < 2*time.Second {
		return
	}
	if !u.lamp.role.plan.active {
		// Nobody is disturbed: only where it is has to be learned.
		u.readAt = now.Add(readGap)
		return
	}
	if level && !u.heldLevel || hue && !u.heldColour {
		c.log.Info("light is held", "light", u.name, "why", why)
	}
	u.heldLevel = u.heldLevel || level
	u.heldColour = u.heldColour || hue
	u.reading, u.suspect = 0, 0
	u.readAt = now.Add(readGap)
}

// told is a state message of a lamp.
func (c *Controller) told(u *unit, r report, retained bool, now time.Time) {
	if !u.ackDue.IsZero() {
		u.ackDue, u.echoes, u.doubts = time.Time{}, true, 0
	}
	if u.reading > 0 {
		if u.reading < len(u.asks) {
			u.reading++
			c.ask(u, now)
			return
		}
		// A lamp that answers tells both; and what follows at once is newer, should a stray message have been counted.
		if (r.hasLevel || r.hasOn && !r.on) && r.hasOn {
			u.answer = r
			if u.answerAt.IsZero() {
				u.answerAt = now.Add(answerMore)
			}
		}
		return
	}
	if u.drv.asks(u.addr, false) == nil {
		c.reported(u, r, retained, now)
		return
	}
	if !u.known || u.heldLevel || u.lost {
		return
	}
	if r.hasOn && r.on != u.on || r.hasLevel && u.strange(r.level, 3*time.Second, now) {
		if r.hasLevel && math.Abs(r.level-u.fromFull(now)) >= 0.03 {
			u.rumour, u.rumourAt = r.level, now
		}
		// A cause to ask, now where the last such cause is not fresh; an echo or a stale report changes nothing.
		at := now
		switch {
		case u.sentAt.After(u.askedAt) && now.Sub(u.askedAt) < time.Second:
			// The answer to a question that a command has overtaken: ask again.
			at = u.sentAt.Add(readGap)
		case now.Sub(u.okAt) < 2*time.Second && now.Sub(u.alarmed) < 5*time.Second:
			at = u.okAt.Add(2 * time.Second)
		case u.suspect == 0:
			u.alarmed = now
			u.suspect = 1
			u.waitUntil = now.Add(recoverWait)
		}
		u.readAt = sooner(u.readAt, at)
	}
}

// fromFull is where the lamp is, as a share of full light, if it was full when our last command came.
func (u *unit) fromFull(now time.Time) float64 {
	return 1 + (u.ramp.to-1)*share(now, u.ramp.t0, u.ramp.t1)
}

// strange tells whether a level is none that the lamp could have had within the last time, by what we sent.
func (u *unit) strange(level float64, within time.Duration, now time.Time) bool {
	lo, hi := u.span(within, now)
	tol := 8 / float64(u.addr.caps.Max)
	if level >= lo-tol && level <= hi+tol {
		return false
	}
	return lightness(level) < lightness(lo)-4 || lightness(level) > lightness(hi)+4
}

// span is where the lamp can have been, as a share of full light.
func (u *unit) span(within time.Duration, now time.Time) (lo, hi float64) {
	y := u.ramp.at(now)
	lo, hi = min(y, u.ramp.to), max(y, u.ramp.to)
	if now.Sub(u.ramp.t0) < within {
		lo, hi = min(lo, u.ramp.from), max(hi, u.ramp.from)
	}
	for _, m := range u.past {
		if now.Sub(m.at) < within {
			lo, hi = min(lo, m.level), max(hi, m.level)
		}
	}
	return lo, hi
}

// ask sends the question that is next.
func (c *Controller) ask(u *unit, now time.Time) {
	if err := c.publish(u.asks[u.reading-1], now); err != nil {
		u.reading = 0
		return
	}
	u.askedAt, u.spoke = now, now
	u.answerAt = time.Time{}
}

// readStep starts reads that are due and gives up those that got no answer.
func (c *Controller) readStep(u *unit, now time.Time) (next time.Time) {
	if !c.open || u.lamp.bridge != nil && u.lamp.bridge.offline {
		return time.Time{}
	}
	if t := c.rushUntil(u.lamp.role); now.Before(t) {
		// A read in the middle of an urgent move tells a level that is past already.
		u.reading, u.ackDue = 0, time.Time{}
		u.readAt = t
		return t
	}
	if !u.ackDue.IsZero() && !now.Before(u.ackDue) {
		// Nobody said anything about our command: it may be lost.
		u.ackDue = time.Time{}
		u.unheard = true
		if !u.lost {
			u.readAt = sooner(u.readAt, now)
		}
	}
	if u.reading > 0 && !u.answerAt.IsZero() {
		if now.Before(u.answerAt) {
			return u.answerAt
		}
		c.observed(u, u.answer, now)
		return now
	}
	if u.reading > 0 {
		if now.Before(u.askedAt.Add(readTimeout)) {
			return u.askedAt.Add(readTimeout)
		}
		u.reading = 0
		c.missed(u, now)
	}
	if u.readAt.IsZero() {
		return u.ackDue
	}
	at := u.readAt
	if gap := u.sentAt.Add(readGap); u.known && at.Before(gap) {
		at = gap
	}
	// Not just ahead of a command either.
	if due := u.due(); u.known && u.suspect == 0 && !u.lost && due.After(now) && due.Sub(now) < 200*time.Millisecond {
		at = due.Add(readGap)
	}
	if now.Before(at) {
		return sooner(at, u.ackDue)
	}
	u.readAt = time.Time{}
	u.asks = u.drv.asks(u.addr, !u.known || u.actual == nil)
	if len(u.asks) == 0 {
		c.settle(u, now)
		return time.Time{}
	}
	u.reading = 1
	c.ask(u, now)
	return now.Add(readTimeout)
}

// due is when the next command goes to the lamp.
func (u *unit) due() time.Time {
	if g := u.lamp.group; g != nil && g.mode {
		return g.next
	}
	return u.next
}

// settle is the recovery of a lamp that can't be asked: where nothing was heard, what we sent last is still the best guess.
func (c *Controller) settle(u *unit, now time.Time) {
	if u.known || !u.ever {
		return
	}
	u.known = true
	u.align(u.reason, now)
}

func (c *Controller) missed(u *unit, now time.Time) {
	u.misses++
	u.suspect = 0
	u.readAt = now.Add(readRetry)
	// It may have missed commands too: what comes next must be gentle from anywhere.
	if u.known {
		u.known, u.reason = false, strayed
		u.waitUntil = now.Add(readRetry + readTimeout/2)
	}
	if u.misses >= readMisses {
		if !u.lost {
			c.log.Warn("light is lost", "light", u.name, "why", "no answer")
		}
		u.lost, u.known = true, false
		u.readAt = now.Add(movingRead)
	}
}

// routine asks one lamp of an entry in turn, so that each is asked once a minute, and more often while light moves.
func (c *Controller) routine(l *lamp, now time.Time) {
	if len(l.units) == 0 || now.Before(l.readAt) {
		return
	}
	every := steadyRead / time.Duration(len(l.units))
	if now.Before(l.role.plan.t1) {
		every = min(every, movingRead)
	}
	l.readAt = now.Add(every)
	l.turn = (l.turn + 1) % len(l.units)
	if u := l.units[l.turn]; u.reading == 0 && u.readAt.IsZero() {
		u.readAt = now
	}
}

// observed is where a lamp is in truth.
func (c *Controller) observed(u *unit, r report, now time.Time) {
	u.reading, u.misses, u.lost = 0, 0, false
	on := !r.hasOn || r.on
	y := r.level
	if !r.hasLevel {
		if on {
			y = 1 // a lamp that is only on or off
		}
	}
	shown := y
	if !on {
		shown = 0
	}
	u.actual = &Level{L: math.Round(10*lightness(shown)) / 10}
	if r.hue.mode == byMired {
		u.actual.Kelvin = int(math.Round(1e6/r.hue.a/10)) * 10
	}
	if c.urgent != nil {
		if _, ok := c.urgent.target[u]; ok && now.Sub(c.urgent.at) < 10*time.Second && now.After(c.urgent.readAt) {
			want := u.lamp.role.plan.to
			c.urgent.target[u] = c.urgent.target[u] || math.Abs(lightness(shown)-max(want, u.floor())) < 4
		}
	}
	stand := func() {
		u.on = on
		u.ramp = ramp{y, y, now, now}
		u.before = u.ramp
		if r.hue.mode != asItIs {
			u.hue = r.hue
		}
		u.known, u.ever = true, true
		u.sent = 0
		u.past = nil
	}
	if u.heldLevel {
		stand()
		u.suspect = 0
		u.waitUntil = time.Time{}
		return
	}
	if !u.known {
		// Believed where it is no surprise, or said twice: from a stray message taken for an answer the next command would be a flash.
		surprise := !(u.ever && u.reason != powered && on == u.on && !u.strange(y, time.Second, now)) && !(u.reason == powered && on && y > 0.98)
		again := u.guessed && u.guessOn == on && math.Abs(u.guess-y) <= 8.0/float64(u.addr.caps.Max)
		u.guess, u.guessOn, u.guessed = y, on, surprise && !again
		if u.guessed {
			u.readAt = now
			u.waitUntil = now.Add(recoverWait)
			return
		}
		why := u.reason
		stand()
		u.waitUntil = time.Time{}
		u.align(why, now)
		// What was told first after an outage may be a memory of the bridge: look again soon.
		u.readAt = now.Add(3 * time.Second)
		return
	}
	is := u.ramp.at(now)
	lo, hi := u.span(500*time.Millisecond, now)
	one := 1.01 / float64(u.addr.caps.Max)
	near := on == u.on && (y >= lo-one && y <= hi+one || math.Abs(lightness(y)-lightness(is)) < 1.5)
	unheard := u.unheard
	u.unheard = false
	if unheard {
		// Nobody confirmed the last command: did the lamp move at all?
		near = on == u.on && (math.Abs(y-is) <= one || math.Abs(lightness(y)-lightness(is)) < 0.5)
	}
	if near || !u.lamp.role.plan.active {
		if !near {
			stand()
		}
		if u.suspect > 0 {
			u.next = now
		}
		u.suspect, u.okAt, u.waitUntil = 0, now, time.Time{}
		return
	}
	// Full, or on the way from full to where our last command sends it, and nobody has told of it: that's how lamps come
	// back from a power cut. A hand's doing is told by another program's command or by a report.
	way := u.fromFull(now)
	full := on && lightness(is) < 95 && (y > 0.98 || math.Abs(y-way) < 0.03 && way > is+0.1)
	told := now.Sub(u.rumourAt) < 5*time.Second && math.Abs(u.rumour-y) < 0.05
	switch {
	case now.Before(u.quiet) || full && !told && u.suspect < 2:
		stand()
		u.quiet = now.Add(powerQuiet)
		u.align(powered, now)
		c.log.Info("light is brought back after a power cut", "light", u.name)
	case !unheard && u.suspect < 2:
		// Twice the same answer, or it was a stray message.
		u.suspect++
		u.waitUntil = now.Add(recoverWait)
		u.readAt = now.Add(300 * time.Millisecond)
		return
	case on && u.on && (u.sentOnce(y, now) || !u.strange(y, 3*time.Second, now)):
		stand()
		u.align(strayed, now)
		c.log.Debug("light missed a command", "light", u.name)
	case u.suspect < 2:
		u.suspect++
		u.waitUntil = now.Add(recoverWait)
		u.readAt = now.Add(300 * time.Millisecond)
		return
	default:
		c.hand(u, true, false, "it stands where we did not put it", now)
		u.heldAt = now
		stand()
	}
	u.suspect, u.waitUntil = 0, time.Time{}
}

// sentOnce tells whether the lamp stands at a level that we sent it a while ago: it has missed what came after.
func (u *unit) sentOnce(y float64, now time.Time) bool {
	for _, m := range u.past {
		if now.Sub(m.at) < ourTargets && math.Abs(m.level-y) <= 1.01/float64(u.addr.caps.Max) {
			return true
		}
	}
	return false
}

// align plans a lamp's way from where it was observed back to its role's plan.
func (u *unit) align(why reason, now time.Time) {
	p := &u.lamp.role.plan
	if !p.active {
		return
	}
	d := u.lightness(now) - p.at(now)
	if math.Abs(d) < 0.05 {
		d = 0
	}
	u.away = away{d, now, now.Add(u.closeUp(why, now))}
	u.next, u.repeats = now, repeats
	if g := u.lamp.group; g != nil {
		g.next = now
	}
}

// closeUp is how long a lamp takes back to the plan: never faster than an unplanned move, and gently where nothing else happened.
func (u *unit) closeUp(why reason, now time.Time) time.Duration {
	p := &u.lamp.role.plan
	d := math.Abs(u.lightness(now) - p.at(now))
	s := math.Abs(p.slope(now))
	fast := max(2, recoverSlope-s)
	least := 3.0
	switch why {
	case resumed:
		least = resumeOver.Seconds()
	case reconnected:
		least = 5
	case strayed:
		// Together with the plan's own slope no more than twice that.
		least = max(3, d/1.5)
		if s > 0 {
			least = max(7, d/max(0.85*s, 0.5))
		}
		if d > 10 {
			least = 6
		}
	}
	return time.Duration(max(least, d/fast) * float64(time.Second))
}

// reported is the state of a lamp that can't be asked: what it says is all there is.
func (c *Controller) reported(u *unit, r report, retained bool, now time.Time) {
	y := u.ramp.to
	if r.hasLevel {
		y = r.level
	}
	on := u.on
	if r.hasOn {
		on = r.on
	}
	if !u.ever && !r.hasLevel && !r.hasOn {
		return
	}
	shown := y
	if !on {
		shown = 0
	}
	u.lost, u.misses = false, 0
	// While it ramps it tells where it goes to.
	if !u.ramp.t1.After(now) || u.actual == nil {
		u.actual = &Level{L: math.Round(10*lightness(shown)) / 10}
	}
	stand := func() {
		u.on = on
		u.ramp = ramp{y, y, now, now}
		if r.hue.mode != asItIs {
			u.hue = r.hue
		}
		u.known, u.ever = true, true
		u.sent = 0
	}
	switch {
	case u.heldLevel:
		stand()
	case !u.known:
		why := u.reason
		stand()
		u.waitUntil = time.Time{}
		u.align(why, now)
	case retained:
	case on == u.on && (!u.strange(y, 3*time.Second, now) || u.sentOnce(y, now)):
		u.okAt = now
	case now.Before(u.quiet) || on && y > 0.98 && lightness(u.ramp.at(now)) < 95:
		stand()
		u.align(powered, now)
	case !u.lamp.role.plan.active:
		stand()
	default:
		c.hand(u, true, false, "it says that it is where we did not put it", now)
		stand()
	}
}
