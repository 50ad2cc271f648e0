package lights

import (
	"math"
	"slices"
	"time"
)

const (
	recoverWait  = 1500 * time.Millisecond // how long commands wait for a lamp to say where it is
	readTimeout  = 1500 * time.Millisecond
	answerMore   = 60 * time.Millisecond
	readRetry    = 3 * time.Second
	readMisses   = 3                      // unanswered in a row: lost
	readGap      = 600 * time.Millisecond // after a command, for its echo to pass
	ackWithin    = 1200 * time.Millisecond
	steadyRead   = time.Minute
	arriveRead   = 1200 * time.Millisecond // after a fade's end: the last command may still be ramping for a second
	movingRead   = 15 * time.Second
	refreshEvery = time.Minute
	refreshOver  = 10 * time.Second // gentle wherever the lamp is in truth
	repeats      = 3
	repeatEvery  = 5 * time.Second
	repeatOver   = 8 * time.Second  // of a group: a member that missed the whole fade may be far away
	blindOver    = 30 * time.Second // a ramp of a lamp that can be anywhere takes no less
	powerQuiet   = 10 * time.Second // after its power returned a lamp is not taken for moved by a hand
	ourTargets   = 90 * time.Second // how long a level that we sent explains a lamp that stands there
	colourStep   = 10.0             // mired in one step of a lamp that can't fade colour
	urgentEvery  = 700 * time.Millisecond
	urgentTime   = 2 * time.Second         // an urgent move has the lamp to itself
	urgentRead   = 2300 * time.Millisecond // after it the lamps are asked
	urgentWait   = 6 * time.Second         // and their answers awaited
)

// lamp is one entry of the room file: a light, or a group with its members. It is a value. step alone changes it, on a
// copy, so the same inputs give the same lamp.
type lamp struct {
	role string
	conf Lamp
	drv  driver

	// What is wanted.
	plan   plan
	rush   rush
	paused bool // a test has its lamps

	// The way to it.
	open bool // the connection to the broker
	off  bool // its bridge is off
	trap bool // a retained command lies on its topic

	grouped bool
	group   line // where grouped
	units   []unit
	readAt  time.Time // of the next routine read
	turn    int       // of which unit

	notes []note // of the last step, for the log
}

// rush is an urgent move: three commands, each of which alone would do.
type rush struct {
	at     time.Time
	on     bool // nothing newer was asked for
	sent   int
	asking bool      // for the answers
	hush   time.Time // until then no command of another program is a hand's, whichever role is urged
}

type note struct {
	warn  bool
	text  string
	pairs []any
}

// line is what commands are sent on: a single lamp's, or a group's.
type line struct {
	addr     address
	next     time.Time
	sent     int // level of the last command; 0: none
	sentAt   time.Time
	repeats  int
	colourAt time.Time // a colour step was sent, the level follows
	mode     bool      // it was used last: another line for the same lamps starts anew
}

// unit is one light.
type unit struct {
	line // the command
	name string
	belief
	evidence
}

// belief is where the light is, as far as what was sent and read tells.
type belief struct {
	known  bool
	ever   bool // it was known once
	on     bool
	ramp   ramp
	before ramp // where it would be without the last command
	hue    colour
	past   []mark // levels that were sent
	away   away
}

// evidence is what the light was seen to do, and what is asked of it.
type evidence struct {
	actual     *Level
	impossible string // what it last said that can't be
	misses     int
	lost       bool
	heldLevel  bool
	heldColour bool
	quiet      time.Time // until then a strange level is the power's doing
	suspect    int       // reads in a row that a hand would explain
	alarmed    time.Time // a strange message last was a cause to ask at once
	rumour     float64   // the last strange level that was told without a question, 0 to 1
	rumourAt   time.Time
	heldAt     time.Time // a read found it where a hand may have put it, or its power
	waitUntil  time.Time // commands wait for a read
	reason     reason
	reading    int // question that is out, counted from 1; 0: none
	asks       []packet
	askedAt    time.Time
	answer     report
	guessed    bool    // one answer came that nobody expected: guess
	guess      float64 // 0 to 1
	guessOn    bool
	guessAt    time.Time
	answerAt   time.Time // the answer is taken then; zero: there is none yet
	readAt     time.Time // of a read out of turn
	okAt       time.Time // last read that agreed
	ackDue     time.Time
	unheard    bool // the last command had no echo
	echoes     bool // it has an echo for commands
	doubts     int  // commands in a row that were taken for lost
	heardOwn   bool // the broker gave back a command or question of ours since the connect
	spoke      time.Time
	urged      bool // an urgent move was sent to it
	reached    bool // and it was read where that sent it
}

type mark struct {
	level float64
	at    time.Time
}

// reason is why it has to be learned anew where a light is.
type reason int

const (
	reconnected reason = iota
	powered
	strayed
	resumed
)

// What a lamp can be told. nil: only the time has passed.
type (
	// found gives the entry its lights: itself, or the members of its group.
	found struct {
		units     []address
		group     *address
		open, off bool // the way to them
	}
	// linked is a new or a lost connection.
	linked struct{ open bool }
	// bridge is its bridge that was switched off, or that is there again.
	bridgeIs struct{ online bool }
	// regained: the light at topic has its power again.
	regained struct{ topic string }
	// heard is a message. own: it is one of ours that came back.
	heard struct {
		topic         string
		payload       []byte
		retained, own bool
	}
	// aim is a new plan of its role.
	aim struct{ plan plan }
	// urge is a new plan of its role that is urgent.
	urge struct{ plan plan }
	// hush says that some role is urged.
	hush struct{}
	// resume ends what a hand did.
	resume struct{}
	// look has all lights read.
	look struct{}
	// pause leaves the lights to a test; its end has them read, for the reason given.
	pause struct {
		on  bool
		why reason
	}
)

// step is the lamp after an input at the time now, what is sent, and when the next step is due; zero: at the next input.
func step(l lamp, in any, now time.Time) (lamp, []packet, time.Time) {
	l.units, l.notes = slices.Clone(l.units), nil
	m := machine{lamp: &l, now: now}
	m.take(in)
	return l, m.packets, m.due()
}

// machine is one step under way.
type machine struct {
	*lamp
	now     time.Time
	packets []packet
}

func (m *machine) note(text string, pairs ...any) {
	m.notes = append(m.notes, note{false, text, pairs})
}
func (m *machine) warn(text string, pairs ...any) { m.notes = append(m.notes, note{true, text, pairs}) }

// take takes an input.
func (m *machine) take(in any) {
	switch in := in.(type) {
	case found:
		m.find(in)
	case linked:
		m.open = in.open
		for u := range m.each() {
			u.heardOwn, u.spoke = false, time.Time{}
			if u.reading = 0; in.open {
				m.recover(u, reconnected)
			}
		}
	case bridgeIs:
		m.off = !in.online
		for u := range m.each() {
			if m.off {
				u.reading, u.readAt, u.known = 0, time.Time{}, false
				continue
			}
			m.recover(u, reconnected)
			// A bridge that starts tells first what it remembers, and that is no answer.
			u.readAt = m.now.Add(250 * time.Millisecond)
			u.waitUntil = m.now.Add(recoverWait + time.Second)
		}
	case regained:
		for u := range m.each() {
			if u.addr.topic != in.topic {
				continue
			}
			m.note("light has power again", "light", u.name)
			u.quiet = m.now.Add(powerQuiet)
			if m.now.Sub(u.heldAt) < powerQuiet {
				u.heldLevel, u.heldColour = false, false // it was its power, and no hand
			}
			m.recover(u, powered)
		}
	case heard:
		m.hear(in)
	case aim:
		m.plan, m.rush.on = in.plan, false
		for u := range m.each() {
			if u.urged && !u.reached {
				m.recover(u, strayed) // nobody knows whether the urgent move came through
			}
			u.urged = false
			u.away = away{}
			if u.known {
				u.away = away{u.lightness(m.now) - m.plan.from, m.now, m.plan.t1}
			}
		}
		m.restart(m.now)
	case urge:
		m.plan, m.rush = in.plan, rush{at: m.now, on: true, asking: true, hush: m.now.Add(urgentTime)}
		for u := range m.each() {
			u.heldLevel, u.heldColour = false, false
			u.away, u.reading, u.suspect = away{}, 0, 0
			u.waitUntil, u.readAt = time.Time{}, time.Time{}
			u.urged, u.reached = true, false
		}
		m.restart(m.now.Add(urgentTime))
	case hush:
		m.rush.on, m.rush.asking, m.rush.hush = false, false, m.now.Add(urgentTime)
		for u := range m.each() {
			u.urged = false
		}
	case resume:
		for u := range m.each() {
			if u.heldLevel || u.heldColour {
				m.note("light is commanded again", "role", m.role, "light", u.name)
				u.heldLevel, u.heldColour = false, false
				m.recover(u, resumed)
			}
		}
	case look:
		for u := range m.each() {
			if u.reading == 0 {
				u.readAt = sooner(u.readAt, m.now)
			}
		}
	case pause:
		if m.paused = in.on; in.on {
			m.plan = plan{}
		}
		for u := range m.each() {
			if u.reading = 0; !in.on {
				m.recover(u, in.why)
			}
		}
	}
}

// due does all that is due and says when the next thing is.
func (m *machine) due() (next time.Time) {
	if m.paused {
		return time.Time{}
	}
	next = sooner(sooner(m.now.Add(time.Second), m.hurry()), m.countAnswers())
	for u := range m.each() {
		next = sooner(next, m.read(u))
	}
	m.routine()
	return sooner(next, m.drive())
}

func (m *machine) each() func(yield func(*unit) bool) {
	return func(yield func(*unit) bool) {
		for i := range m.units {
			if !yield(&m.units[i]) {
				return
			}
		}
	}
}

func (m *machine) all() (us []*unit) {
	for u := range m.each() {
		us = append(us, u)
	}
	return us
}

func (m *machine) find(f found) {
	old := m.units
	m.units, m.open, m.off = nil, f.open, f.off
	for _, a := range f.units {
		i := slices.IndexFunc(old, func(u unit) bool { return u.addr.topic == a.topic })
		if i >= 0 {
			old[i].addr = a
			m.units = append(m.units, old[i])
			continue
		}
		u := unit{line: line{addr: a}, name: a.topic}
		m.recover(&u, reconnected)
		m.units = append(m.units, u)
	}
	for _, u := range old {
		if !slices.ContainsFunc(m.units, func(v unit) bool { return u.addr.topic == v.addr.topic }) {
			m.note("light is no longer in its group", "role", m.role, "light", u.name)
		}
	}
	m.grouped, m.group = f.group != nil, line{}
	if m.grouped {
		m.group.addr = *f.group
	}
}

// forget has nobody know where a light is. The last command is forgotten too: it was meant for a light that is elsewhere.
func (u *unit) forget(why reason) {
	u.known, u.reason, u.sent = false, why, 0
}

// recover forgets what is believed of a light, and asks it.
func (m *machine) recover(u *unit, why reason) {
	u.forget(why)
	u.reading, u.suspect, u.guessed = 0, 0, false
	u.ackDue = time.Time{}
	u.waitUntil = m.now.Add(recoverWait)
	u.readAt, u.next = m.now, m.now
}

// restart has all lines look at the plan again at a time.
func (m *machine) restart(at time.Time) {
	m.group.next, m.group.repeats = at, repeats
	for u := range m.each() {
		u.next, u.repeats = at, repeats
	}
}

func (u *unit) floor() float64 { return u.addr.caps.lightness(u.addr.caps.Min) }

// lightness is the L* at which the light is believed to be.
func (u *unit) lightness(now time.Time) float64 {
	if !u.on {
		return 0
	}
	return lightness(u.ramp.at(now))
}

// stand has the light believed where it was seen.
func (u *unit) stand(on bool, y float64, hue colour, now time.Time) {
	u.on, u.ramp = on, ramp{y, y, now, now}
	u.before = u.ramp
	if hue.mode != asItIs {
		u.hue = hue
	}
	u.known, u.ever = true, true
	u.sent, u.past = 0, nil
}

// seen notes what a message says that the light shows.
func (u *unit) seen(on bool, y float64) {
	if !on {
		y = 0
	}
	u.actual = &Level{L: math.Round(10*lightness(y)) / 10}
}

// asked tells whether the light can be asked.
func (m *machine) asked(u *unit) bool { return m.drv.asks(u.addr, false) != nil }

func (m *machine) course(u *unit) course { return course{&m.plan, u.away, u.floor()} }

// hurry sends what is due of an urgent move.
func (m *machine) hurry() time.Time {
	if !m.rush.on || m.rush.sent >= repeats {
		return time.Time{}
	}
	if due := m.rush.at.Add(time.Duration(m.rush.sent) * urgentEvery); m.now.Before(due) {
		return due
	}
	over := max(500*time.Millisecond, urgentOver-m.now.Sub(m.rush.at))
	send := func(ln *line, us []*unit) {
		if len(us) > 0 && m.send(ln, us, order{level: ln.addr.caps.level(m.plan.to), over: over}) {
			for _, u := range us {
				u.known, u.ever, u.on = true, true, true
			}
		}
	}
	if m.grouped {
		send(&m.group, m.all())
	} else {
		for u := range m.each() {
			send(&u.line, []*unit{u})
		}
	}
	if m.rush.sent++; m.rush.sent == repeats {
		return time.Time{}
	}
	return m.now.Add(urgentEvery)
}

// rushUntil is when an urgent move is over; zero where there is none.
func (m *machine) rushUntil() time.Time {
	if !m.rush.on {
		return time.Time{}
	}
	return m.rush.at.Add(urgentTime)
}

// countAnswers asks the lights after an urgent move, until all have answered or the time for it is over.
func (m *machine) countAnswers() time.Time {
	if !m.rush.asking {
		return time.Time{}
	}
	if at := m.rush.at.Add(urgentRead); m.now.Before(at) {
		return at
	}
	done := true
	for u := range m.each() {
		if !u.urged || u.reached {
			continue
		}
		if done = false; u.reading == 0 && u.readAt.IsZero() {
			u.readAt = m.now
		}
	}
	if done || m.now.Sub(m.rush.at) > urgentWait {
		m.rush.asking = false
		return time.Time{}
	}
	return m.now.Add(200 * time.Millisecond)
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
