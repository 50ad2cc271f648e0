package lights

import (
	"math"
	"slices"
	"strings"
	"time"
)

// How an echo and an answer are told apart: zigbee2mqtt publishes the same topic for both, and the echo of a command also
// for a lamp that is dead. So a message counts as an answer only after a question, asked when the echo of the last command
// has had its time, and while no command was sent since. Anything else is at most a reason to ask.

// hear takes a message.
func (m *machine) hear(h heard) {
	toAll, group := report{}, false
	if m.grouped {
		toAll, group = m.drv.decode(m.group.addr, h.topic, h.payload)
		group = group && toAll.kind == saysCommand
	}
	for u := range m.each() {
		if h.own {
			u.heardOwn = u.heardOwn || group || slices.ContainsFunc(m.drv.hears(u.addr), func(f string) bool { return covers(f, h.topic) })
			continue
		}
		if group {
			m.command(u, h, toAll)
		}
		r, ok := m.drv.decode(u.addr, h.topic, h.payload)
		if !ok {
			continue
		}
		if r.impossible != "" && r.impossible != u.impossible {
			u.impossible = r.impossible
			m.warn("a light says what can't be; it is ignored", "light", u.name, "topic", h.topic, "says", r.impossible)
		}
		switch r.kind {
		case saysCommand:
			m.command(u, h, r)
		case saysOnline:
			m.reachable(u, r.on, h.retained)
		case saysState:
			m.told(u, r, h.retained)
		}
	}
}

// covers tells whether a topic is that of a filter, whose last level may be +.
func covers(filter, topic string) bool {
	base, any := strings.CutSuffix(filter, "+")
	return filter == topic || any && strings.LastIndexByte(topic, '/') == len(base)-1 && strings.HasPrefix(topic, base)
}

// command takes somebody else's command.
func (m *machine) command(u *unit, h heard, r report) {
	if h.retained {
		if !m.trap {
			m.warn("retained command on a light", "topic", h.topic)
		}
		m.trap = true
		return
	}
	m.hand(u, r.movesLevel, r.movesColour, "command of another program")
}

// reachable is the bridge's opinion of whether a light answers.
func (m *machine) reachable(u *unit, online, retained bool) {
	switch {
	case !online:
		m.lose(u, "its bridge can't reach it")
	case u.lost:
		u.lost, u.misses = false, 0
		u.quiet = m.now.Add(powerQuiet)
		m.recover(u, powered)
	case !retained:
		u.quiet, u.readAt = m.now.Add(powerQuiet), m.now
	}
}

func (m *machine) lose(u *unit, why string) {
	if !u.lost {
		m.warn("light is lost", "light", u.name, "why", why)
	}
	u.lost, u.known = true, false
}

// hand is told that somebody else moves a light.
func (m *machine) hand(u *unit, level, hue bool, why string) {
	if m.now.Before(m.rush.hush) {
		return
	}
	u.readAt = m.now.Add(readGap)
	if !m.plan.active {
		return // nobody is disturbed: only where it is has to be learned
	}
	if level && !u.heldLevel || hue && !u.heldColour {
		m.note("light is held", "light", u.name, "why", why)
	}
	u.heldLevel = u.heldLevel || level
	u.heldColour = u.heldColour || hue
	u.reading, u.suspect = 0, 0
}

// told is a state message of a light.
func (m *machine) told(u *unit, r report, retained bool) {
	now := m.now
	if !u.ackDue.IsZero() {
		u.ackDue, u.echoes, u.doubts = time.Time{}, true, 0
	}
	if u.reading > 0 {
		if u.reading < len(u.asks) {
			u.reading++
			m.ask(u)
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
	if !m.asked(u) {
		m.reported(u, r, retained)
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
			u.alarmed, u.suspect = now, 1
			u.waitUntil = now.Add(recoverWait)
		}
		u.readAt = sooner(u.readAt, at)
	}
}

// fromFull is where the light is, as a share of full light, if it was full when our last command came.
func (u *unit) fromFull(now time.Time) float64 {
	return 1 + (u.ramp.to-1)*share(now, u.ramp.t0, u.ramp.t1)
}

// cameFull tells whether the level y is what a power cut leaves: full, or on the way from full to where our last command
// sends the light.
func (u *unit) cameFull(y float64, now time.Time) bool {
	way := u.fromFull(now)
	return y > 0.98 || math.Abs(y-way) < 0.03 && way > u.ramp.at(now)+0.1
}

// saidTwice tells whether an answer that nobody expected bears out the one before: the light stands there, or our last
// command has moved it on from there meanwhile.
func (u *unit) saidTwice(on bool, y float64, now time.Time) bool {
	lo, hi := u.guess, u.guess
	if u.ramp.t1.After(u.guessAt) && now.Sub(u.guessAt) < readTimeout {
		moved := ramp{u.guess, u.ramp.to, u.guessAt, u.ramp.t1}.at(now)
		lo, hi = min(lo, moved), max(hi, moved)
	}
	tol := 8 / float64(u.addr.caps.Max)
	return u.guessed && u.guessOn == on && y >= lo-tol && y <= hi+tol
}

// strange tells whether a level is none that the light could have had within the last time, by what we sent.
func (u *unit) strange(level float64, within time.Duration, now time.Time) bool {
	lo, hi := u.span(within, now)
	tol := 8 / float64(u.addr.caps.Max)
	if level >= lo-tol && level <= hi+tol {
		return false
	}
	return lightness(level) < lightness(lo)-4 || lightness(level) > lightness(hi)+4
}

// span is where the light can have been, as a share of full light.
func (b *belief) span(within time.Duration, now time.Time) (lo, hi float64) {
	y := b.ramp.at(now)
	lo, hi = min(y, b.ramp.to), max(y, b.ramp.to)
	if now.Sub(b.ramp.t0) < within {
		lo, hi = min(lo, b.ramp.from), max(hi, b.ramp.from)
	}
	for _, m := range b.past {
		if now.Sub(m.at) < within {
			lo, hi = min(lo, m.level), max(hi, m.level)
		}
	}
	return lo, hi
}

// sentOnce tells whether the light stands at a level that we sent it a while ago: it has missed what came after.
func (u *unit) sentOnce(y float64, now time.Time) bool {
	for _, m := range u.past {
		if now.Sub(m.at) < ourTargets && math.Abs(m.level-y) <= 1.01/float64(u.addr.caps.Max) {
			return true
		}
	}
	return false
}

// ask sends the question that is next.
func (m *machine) ask(u *unit) {
	if !m.open {
		u.reading = 0
		return
	}
	m.packets = append(m.packets, u.asks[u.reading-1])
	u.askedAt, u.spoke, u.answerAt = m.now, m.now, time.Time{}
}

// read starts reads that are due and gives up those that got no answer.
func (m *machine) read(u *unit) (next time.Time) {
	now := m.now
	if !m.open || m.off {
		return time.Time{}
	}
	if t := m.rushUntil(); now.Before(t) {
		// A read in the middle of an urgent move tells a level that is past already.
		u.reading, u.ackDue, u.readAt = 0, time.Time{}, t
		return t
	}
	if !u.ackDue.IsZero() && !now.Before(u.ackDue) {
		// Nobody said anything about our command: it may be lost.
		u.ackDue, u.unheard = time.Time{}, true
		if !u.lost {
			u.readAt = sooner(u.readAt, now)
		}
	}
	if u.reading > 0 && !u.answerAt.IsZero() {
		if now.Before(u.answerAt) {
			return u.answerAt
		}
		m.observed(u, u.answer)
		return now
	}
	if u.reading > 0 {
		if at := u.askedAt.Add(readTimeout); now.Before(at) {
			return at
		}
		u.reading = 0
		m.missed(u)
	}
	if u.readAt.IsZero() {
		return u.ackDue
	}
	at := u.readAt
	if gap := u.sentAt.Add(readGap); u.known && at.Before(gap) {
		at = gap
	}
	// Not just ahead of a command either.
	due := u.next
	if m.grouped && m.group.mode {
		due = m.group.next
	}
	if u.known && u.suspect == 0 && !u.lost && due.After(now) && due.Sub(now) < 200*time.Millisecond {
		at = due.Add(readGap)
	}
	if now.Before(at) {
		return sooner(at, u.ackDue)
	}
	u.readAt = time.Time{}
	u.asks = m.drv.asks(u.addr, !u.known || u.actual == nil)
	if len(u.asks) == 0 {
		// It can't be asked. Where nothing was heard, what we sent last is still the best guess.
		if !u.known && u.ever {
			u.known = true
			m.align(u, u.reason)
		}
		return time.Time{}
	}
	u.reading = 1
	m.ask(u)
	return now.Add(readTimeout)
}

func (m *machine) missed(u *unit) {
	u.misses++
	u.suspect = 0
	u.readAt = m.now.Add(readRetry)
	// It may have missed commands too: what comes next must be gentle from anywhere.
	if u.known {
		u.forget(strayed)
		u.waitUntil = m.now.Add(readRetry + readTimeout/2)
	}
	if u.misses >= readMisses {
		m.lose(u, "no answer")
		u.readAt = m.now.Add(movingRead)
	}
}

// routine reads one light of an entry in turn, so that each is read once a minute, and more often while light moves.
func (m *machine) routine() {
	if len(m.units) == 0 || m.now.Before(m.readAt) {
		return
	}
	every := steadyRead / time.Duration(len(m.units))
	if m.now.Before(m.plan.t1) {
		every = min(every, movingRead)
	}
	m.readAt = m.now.Add(every)
	m.turn = (m.turn + 1) % len(m.units)
	if u := &m.units[m.turn]; u.reading == 0 && u.readAt.IsZero() {
		u.readAt = m.now
	}
}

// observed is where a light is in truth.
func (m *machine) observed(u *unit, r report) {
	now := m.now
	u.reading, u.misses, u.lost = 0, 0, false
	on := !r.hasOn || r.on
	y := r.level
	if !r.hasLevel && on {
		y = 1 // a lamp that is only on or off
	}
	u.seen(on, y)
	if r.hue.mode == byMired {
		u.actual.Kelvin = int(math.Round(1e6/r.hue.a/10)) * 10
	}
	if u.urged && now.Sub(m.rush.at) < 10*time.Second && now.After(m.rush.at.Add(urgentRead)) {
		u.reached = u.reached || math.Abs(u.actual.L-max(m.plan.to, u.floor())) < 4
	}
	if u.heldLevel {
		u.stand(on, y, r.hue, now)
		u.suspect, u.waitUntil = 0, time.Time{}
		return
	}
	if !u.known {
		// Believed where it is no surprise, or said twice: from a stray message taken for an answer the next command would be a flash.
		expected := u.ever && u.reason != powered && on == u.on && !u.strange(y, time.Second, now) ||
			u.reason == powered && on && u.cameFull(y, now)
		again := u.saidTwice(on, y, now)
		u.guess, u.guessOn, u.guessAt, u.guessed = y, on, now, !expected && !again
		if u.guessed {
			u.readAt = now
			u.waitUntil = now.Add(recoverWait)
			return
		}
		u.stand(on, y, r.hue, now)
		u.waitUntil = time.Time{}
		m.align(u, u.reason)
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
	if near || !m.plan.active {
		if !near {
			u.stand(on, y, r.hue, now)
		}
		if u.suspect > 0 {
			u.next = now
		}
		u.suspect, u.okAt, u.waitUntil = 0, now, time.Time{}
		return
	}
	// Full, or on the way from full to where our last command sends it, and nobody has told of it: that's how lamps come
	// back from a power cut. A hand's doing is told by another program's command or by a report.
	full := on && lightness(is) < 95 && u.cameFull(y, now)
	told := now.Sub(u.rumourAt) < 5*time.Second && math.Abs(u.rumour-y) < 0.05
	missed := on && u.on && (u.sentOnce(y, now) || !u.strange(y, 3*time.Second, now))
	power := now.Before(u.quiet) || full && !told && u.suspect < 2
	if !power && u.suspect < 2 && !(unheard && missed) {
		// Twice the same answer, or it was a stray message.
		u.suspect++
		u.waitUntil = now.Add(recoverWait)
		u.readAt = now.Add(300 * time.Millisecond)
		return
	}
	if !power && !missed {
		m.hand(u, true, false, "it stands where we did not put it")
		u.heldAt = now
	}
	u.stand(on, y, r.hue, now)
	switch {
	case power:
		u.quiet = now.Add(powerQuiet)
		m.align(u, powered)
		m.note("light is brought back after a power cut", "light", u.name)
	case missed:
		m.align(u, strayed)
	}
	u.suspect, u.waitUntil = 0, time.Time{}
}

// reported is the state of a light that can't be asked: what it says is all there is.
func (m *machine) reported(u *unit, r report, retained bool) {
	now := m.now
	if !u.ever && !r.hasLevel && !r.hasOn {
		return
	}
	y, on := u.ramp.to, u.on
	if r.hasLevel {
		y = r.level
	}
	if r.hasOn {
		on = r.on
	}
	u.lost, u.misses = false, 0
	// While it ramps it tells where it goes to.
	if !u.ramp.t1.After(now) || u.actual == nil {
		u.seen(on, y)
	}
	past := u.past
	defer func() { u.past = past }() // it is not read: what was sent still explains what it says
	switch {
	case u.heldLevel:
		u.stand(on, y, r.hue, now)
	case !u.known:
		u.stand(on, y, r.hue, now)
		u.waitUntil = time.Time{}
		m.align(u, u.reason)
	case retained:
	case on == u.on && (!u.strange(y, 3*time.Second, now) || u.sentOnce(y, now)):
		u.okAt = now
	case now.Before(u.quiet) || on && y > 0.98 && lightness(u.ramp.at(now)) < 95:
		u.stand(on, y, r.hue, now)
		m.align(u, powered)
	default:
		if m.plan.active {
			m.hand(u, true, false, "it says that it is where we did not put it")
		}
		u.stand(on, y, r.hue, now)
	}
}

// align plans a light's way from where it was observed back to its role's plan.
func (m *machine) align(u *unit, why reason) {
	if !m.plan.active {
		return
	}
	d := u.lightness(m.now) - m.plan.at(m.now)
	if math.Abs(d) < 0.05 {
		d = 0
	}
	u.away = away{d, m.now, m.now.Add(m.closeUp(u, why))}
	u.next, u.repeats = m.now, repeats
	m.group.next = m.now
}

// closeUp is how long a light takes back to the plan: never faster than an unplanned move, and gently where nothing else
// happened.
func (m *machine) closeUp(u *unit, why reason) time.Duration {
	d := math.Abs(u.lightness(m.now) - m.plan.at(m.now))
	s := math.Abs(m.plan.slope(m.now))
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
	return time.Duration(max(least, d/max(2, recoverSlope-s)) * float64(time.Second))
}
