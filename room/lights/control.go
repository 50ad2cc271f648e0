package lights

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	blindOver    = 30 * time.Second // a ramp of a lamp that can be anywhere: under 12 L*/s at its end
	powerQuiet   = 10 * time.Second // after its power returned a lamp is not taken for moved by a hand
	ourTargets   = 90 * time.Second // how long a level that we sent explains a lamp that stands there
	colourStep   = 10.0             // mired in one step of a lamp that can't fade colour
	maxState     = 16 << 10         // bytes; no lamp says more
	maxList      = 1 << 20          // of a bridge's lists
	inboxLimit   = 4096
)

// Controller moves the lamps of a room. Run owns all of its state.
type Controller struct {
	conn Conn
	log  *slog.Logger

	events   chan event
	dropped  atomic.Uint64
	profiles string // the folder where tests keep what they find
	wake     chan struct{}
	changed  chan struct{}

	mu      sync.Mutex // guards what follows
	inbox   []any      // Move, follow, connected
	views   map[string]View
	answers []Answer

	// Owned by Run.
	roles   map[string]*role
	order   []*role // by name
	hearers map[string][]*unit
	groups  map[string][]*lamp // by a group's command topic
	bridges map[string]*bridge
	own     map[string][]sent // commands of ours that the broker has not given back yet
	open    bool
	opened  time.Time
	rest    map[string]bool // subscriptions that are made
	tested  Profiles        // of lamps, by topic
	ctx     context.Context // of Run
	urgent  *urgent
}

type event struct {
	topic    string
	payload  []byte
	retained bool
}

type (
	follow    struct{ role string }
	connected struct{ open bool }
)

type sent struct {
	payload string
	at      time.Time
}

type role struct {
	name    string
	lamps   []*lamp
	plan    plan
	pending *pending
	trial   *trial    // a test of its lamps; nil: none
	test    string    // how far it is, or what it has found
	arrived time.Time // all its lamps are asked then, since a fade has ended; zero: they were
}

// pending is a fade that waits to learn where its lamps are.
type pending struct {
	move  Move
	asked time.Time
	until time.Time
}

// lamp is one entry of the room file: a light, or a group with its members.
type lamp struct {
	role    *role
	conf    Lamp
	drv     driver
	bridge  *bridge // nil: none, or not known yet
	group   *line   // nil: no group
	units   []*unit
	says    string    // what is wrong with its entry
	trap    bool      // a retained command lies on its topic
	readAt  time.Time // of the next routine read
	turn    int       // of which unit
	settled time.Time // until then a topic that is not resolved waits for its bridge
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

// unit is one lamp.
type unit struct {
	line
	name string
	drv  driver
	lamp *lamp

	// What is believed.
	known      bool
	impossible string // what it last said that can't be
	ever       bool   // it was known once
	on         bool
	ramp       ramp
	hue        colour
	past       []mark
	away       away

	// What is observed.
	actual     *Level
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
	answerAt   time.Time // the answer is taken then; zero: there is none yet
	readAt     time.Time // of a read out of turn
	okAt       time.Time // last read that agreed
	ackDue     time.Time
	unheard    bool // the last command had no echo
	before     ramp // where it would be without the last command
	echoes     bool // it has an echo for commands
	doubts     int  // commands in a row that were taken for lost
	heardOwn   bool // the broker gave back a command or question of ours since the connect
	spoke      time.Time
}

type mark struct {
	level float64
	at    time.Time
}

type reason int

const (
	reconnected reason = iota
	powered
	strayed
	resumed
)

type urgent struct {
	at      time.Time
	roles   map[string]int // commands sent
	target  map[*unit]bool // answered
	readAt  time.Time
	waiting bool
}

// bridge is one zigbee2mqtt.
type bridge struct {
	base    string
	offline bool
	online  bool            // it said so
	devices map[string]Caps // by friendly name
	members map[string][]string
	address map[string]string // ieee to friendly name
	raw     []byte            // bridge/groups that came before bridge/devices
}

// New makes a controller of the lamps of each role. Lamps whose driver does not exist are shown as lost, with the reason.
func New(conn Conn, roles map[string][]Lamp, log *slog.Logger) *Controller {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Controller{
		conn: conn, log: log,
		events: make(chan event, inboxLimit), wake: make(chan struct{}, 1), changed: make(chan struct{}, 1),
		views: map[string]View{},
		roles: map[string]*role{}, hearers: map[string][]*unit{}, groups: map[string][]*lamp{},
		bridges: map[string]*bridge{}, own: map[string][]sent{}, rest: map[string]bool{},
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		r := &role{name: name}
		for _, conf := range roles[name] {
			l := &lamp{role: r, conf: conf, drv: drivers[conf.Driver]}
			if l.drv == nil {
				l.says = fmt.Sprintf("roomd knows no lights of kind %q. Write one of %s in the room file.", conf.Driver,
					strings.Join(slices.Sorted(maps.Keys(drivers)), ", "))
			}
			r.lamps = append(r.lamps, l)
		}
		c.roles[name] = r
		c.order = append(c.order, r)
		c.views[name] = View{State: Unknown}
	}
	return c
}

// Fade starts a move and returns at once. A new fade of a role takes over from where its light is.
func (c *Controller) Fade(m Move) {
	m.Scene = maps.Clone(m.Scene)
	c.put(m)
}

// Follow has a role's lamps commanded again after a hand moved them; an empty role means all.
func (c *Controller) Follow(role string) { c.put(follow{role}) }

// Views is each role as it is now.
func (c *Controller) Views() map[string]View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.views)
}

// Answered tells which lamps answered after the last urgent move; nil where there was none.
func (c *Controller) Answered() []Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.answers)
}

// Changed gets a value after Views or Answered changed.
func (c *Controller) Changed() <-chan struct{} { return c.changed }

// Dropped counts messages that came faster than they could be looked at, or were too large.
func (c *Controller) Dropped() uint64 { return c.dropped.Load() }

func (c *Controller) put(v any) {
	c.mu.Lock()
	c.inbox = append(c.inbox, v)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// hear is the handler of all subscriptions.
func (c *Controller) hear(topic string, payload []byte, retained bool) {
	most := maxState
	if strings.HasSuffix(topic, "/bridge/devices") || strings.HasSuffix(topic, "/bridge/groups") {
		most = maxList
	}
	if len(payload) > most {
		c.dropped.Add(1)
		return
	}
	select {
	case c.events <- event{topic, payload, retained}:
	default:
		c.dropped.Add(1)
	}
}

// Run moves the lamps until ctx ends. The lamps stay as they are then.
func (c *Controller) Run(ctx context.Context) error {
	c.ctx = ctx
	for _, r := range c.order {
		for _, l := range r.lamps {
			if l.drv == nil {
				continue
			}
			if l.conf.Topic == "" && l.conf.Driver == "simulated" {
				l.conf.Topic = "roomd/lamp/" + r.name
			}
			if l.conf.Driver == "simulated" {
				go simulate(ctx, c.conn, l.conf.Topic)
			}
			c.introduce(l, time.Now())
		}
	}
	c.conn.OnConnect(func(open bool) { c.put(connected{open}) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// What people ask for goes before what lamps tell.
		for _, v := range c.take() {
			c.command(v, time.Now())
		}
		now := time.Now()
		next := c.step(now)
		c.show(now)
		timer.Reset(max(0, time.Until(next)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.wake:
		case <-timer.C:
		case e := <-c.events:
			for n := 0; ; n++ {
				c.listen(e, time.Now())
				if n == 64 {
					break
				}
				select {
				case e = <-c.events:
					continue
				default:
				}
				break
			}
		}
	}
}

func (c *Controller) take() []any {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.inbox
	c.inbox = nil
	return all
}

func (c *Controller) subscribe(filters ...string) {
	for _, f := range filters {
		if !c.rest[f] {
			c.rest[f] = true
			c.conn.Subscribe(f, c.hear)
		}
	}
}

// introduce makes a lamp known: its bridge is looked for where it may have one.
func (c *Controller) introduce(l *lamp, now time.Time) {
	l.settled = now.Add(recoverWait)
	if l.conf.Driver != "zigbee2mqtt" {
		c.resolve(l, []address{{l.conf.Topic, l.conf.Extra, c.known(l.conf, l.conf.Topic, l.drv.caps(l.conf))}}, nil, now)
		return
	}
	// Base topic and friendly name may both hold slashes: the bridge that knows the rest of the topic is the one.
	parts := strings.Split(l.conf.Topic, "/")
	for i := 1; i < len(parts); i++ {
		base := strings.Join(parts[:i], "/")
		if c.bridges[base] == nil {
			c.bridges[base] = &bridge{base: base, address: map[string]string{}}
		}
		for _, t := range []string{"state", "devices", "groups", "event"} {
			c.subscribe(base + "/bridge/" + t)
		}
	}
}

// resolve gives a lamp its units: itself, or its group's members.
func (c *Controller) resolve(l *lamp, members []address, group *address, now time.Time) {
	old := map[string]*unit{}
	for _, u := range l.units {
		old[u.addr.topic] = u
	}
	l.units, l.group = nil, nil
	for _, a := range members {
		u := old[a.topic]
		if u == nil {
			u = &unit{name: a.topic, drv: l.drv, lamp: l}
			u.addr = a
			c.recover(u, reconnected, now)
			for _, f := range l.drv.hears(a) {
				c.subscribe(f)
				c.hearers[f] = append(c.hearers[f], u)
			}
		}
		u.addr = a
		l.units = append(l.units, u)
	}
	for topic, u := range old {
		if !slices.Contains(l.units, u) {
			for f, us := range c.hearers {
				c.hearers[f] = slices.DeleteFunc(us, func(x *unit) bool { return x == u })
			}
			c.log.Info("light is no longer in its group", "role", l.role.name, "light", topic)
		}
	}
	if group != nil {
		l.group = &line{addr: *group}
		set := group.topic + "/set"
		c.subscribe(set)
		if !slices.Contains(c.groups[set], l) {
			c.groups[set] = append(c.groups[set], l)
		}
	}
	l.says = ""
}

// recover forgets what is believed of a lamp's light, and asks it.
func (c *Controller) recover(u *unit, why reason, now time.Time) {
	u.known = false
	u.reason = why
	u.reading, u.suspect, u.guessed = 0, 0, false
	u.ackDue = time.Time{}
	u.waitUntil = now.Add(recoverWait)
	u.readAt = now
	u.next = now
}

func (c *Controller) command(v any, now time.Time) {
	switch v := v.(type) {
	case connected:
		c.connection(v.open, now)
	case testRole:
		v.answer <- c.begins(c.ctx, v.role)
	case testSays:
		if v.role.trial == v.trial {
			v.role.test = v.says
		}
	case testDone:
		c.learned(v, now)
	case follow:
		for _, r := range c.order {
			if v.role == "" || v.role == r.name {
				for _, u := range r.units() {
					if u.heldLevel || u.heldColour {
						c.log.Info("light is commanded again", "role", r.name, "light", u.name)
						u.heldLevel, u.heldColour = false, false
						c.recover(u, resumed, now)
					}
				}
			}
		}
	case Move:
		for name := range v.Scene {
			if r := c.roles[name]; r != nil {
				c.breakOff(r, now)
			}
		}
		if v.Kind == Urgent {
			c.hasten(v, now)
			return
		}
		for name, level := range v.Scene {
			r := c.roles[name]
			if r == nil {
				c.log.Warn("scene names a role without lights", "role", name)
				continue
			}
			if math.IsNaN(level.L) {
				continue
			}
			// A lamp in a group that is still being looked for has to be waited for too.
			r.pending = &pending{Move{Scene{name: level}, v.Over, v.Kind}, now, now.Add(recoverWait + 500*time.Millisecond)}
		}
	}
}

func (c *Controller) connection(open bool, now time.Time) {
	c.open, c.opened = open, now
	clear(c.own)
	for _, r := range c.order {
		for _, l := range r.lamps {
			l.settled = now.Add(recoverWait)
			for _, u := range l.units {
				u.heardOwn, u.spoke = false, time.Time{}
				if !open {
					u.reading = 0
					continue
				}
				c.recover(u, reconnected, now)
			}
		}
	}
}

func (r *role) units() []*unit {
	var all []*unit
	for _, l := range r.lamps {
		all = append(all, l.units...)
	}
	return all
}

// begin starts a planned or unplanned fade of a role.
func (c *Controller) begin(r *role, p *pending, now time.Time) {
	if c.urgent != nil {
		delete(c.urgent.roles, r.name) // what was asked for last holds
		for _, u := range r.units() {
			delete(c.urgent.target, u)
		}
	}
	level := p.move.Scene[r.name]
	to := min(100, max(0, level.L))
	var from, sum float64
	hue := level.colour()
	start := hue
	known := 0
	for _, u := range r.units() {
		if u.known {
			known++
			sum += u.lightness(now)
			if u.hue.mode == hue.mode {
				start = u.hue
			}
		}
	}
	switch {
	case r.plan.active:
		from = r.plan.at(now)
		if k := r.plan.colour(now); k.mode != asItIs {
			start = k
		}
	case known > 0:
		from = sum / float64(known)
	default:
		from = to
	}
	over := max(p.asked.Add(p.move.Over).Sub(now), 0)
	farthest := math.Abs(to - from)
	for _, u := range r.units() {
		if u.known {
			farthest = max(farthest, math.Abs(max(to, u.floor())-u.lightness(now)))
		}
	}
	r.plan = turn(p.move.Kind, level, from, start, farthest, over, now)
	if need := r.plan.t1.Sub(now); need > over+time.Second && p.move.Kind == Planned && p.move.Over > 0 {
		c.log.Warn("fade is made longer, it asked for more than 2 L* a second", "role", r.name, "asked", p.move.Over, "takes", need)
	}
	over = r.plan.t1.Sub(now)
	r.arrived = r.plan.t1.Add(arriveRead)
	for _, u := range r.units() {
		u.away = away{}
		if u.known {
			u.away = away{u.lightness(now) - from, now, now.Add(over)}
		}
	}
	r.restart(now)
}

// restart has all lines of a role look at the plan again.
func (r *role) restart(now time.Time) {
	for _, l := range r.lamps {
		if l.group != nil {
			l.group.next, l.group.repeats = now, repeats
		}
		for _, u := range l.units {
			u.next, u.repeats = now, repeats
		}
	}
}

func (u *unit) floor() float64 { return u.addr.caps.lightness(u.addr.caps.Min) }

// lightness is the L* at which the lamp is believed to be.
func (u *unit) lightness(now time.Time) float64 {
	if !u.on {
		return 0
	}
	return lightness(u.ramp.at(now))
}

func (u *unit) course() course { return course{&u.lamp.role.plan, u.away, u.floor()} }

// hasten sends an urgent move at once, whatever a hand did and wherever the lamps are.
func (c *Controller) hasten(m Move, now time.Time) {
	c.urgent = &urgent{at: now, roles: map[string]int{}, target: map[*unit]bool{}, readAt: now.Add(2300 * time.Millisecond), waiting: true}
	for name, level := range m.Scene {
		r := c.roles[name]
		if r == nil || math.IsNaN(level.L) {
			continue
		}
		to := min(100, max(0, level.L))
		from := to
		for _, u := range r.units() {
			if u.known {
				from = u.lightness(now)
			}
		}
		hue := level.colour()
		if hue.mode == asItIs {
			hue = r.plan.colour(now)
		}
		r.pending = nil
		r.plan = plan{active: true, kind: Urgent, target: level, from: from, to: to, hue: hue, hues: hue, t0: now, t1: now.Add(urgentOver)}
		c.urgent.roles[name] = 0
		for _, u := range r.units() {
			u.heldLevel, u.heldColour = false, false
			u.away, u.reading, u.suspect = away{}, 0, 0
			u.waitUntil, u.readAt = time.Time{}, time.Time{}
			c.urgent.target[u] = false
		}
		r.restart(now.Add(2 * time.Second))
	}
	c.rush(now)
}

// rush sends what is due of an urgent move: three commands, each of which alone would do.
func (c *Controller) rush(now time.Time) (next time.Time) {
	g := c.urgent
	for _, r := range c.order {
		n, ok := g.roles[r.name]
		if !ok || n >= repeats {
			continue
		}
		due := g.at.Add([]time.Duration{0, 700 * time.Millisecond, 1400 * time.Millisecond}[n])
		if now.Before(due) {
			next = sooner(next, due)
			continue
		}
		over := max(500*time.Millisecond, urgentOver-now.Sub(g.at))
		for _, l := range r.lamps {
			if l.group != nil {
				c.urge(l.group, l.units, over, now)
				continue
			}
			for _, u := range l.units {
				c.urge(&u.line, []*unit{u}, over, now)
			}
		}
		g.roles[r.name]++
		if n+1 < repeats {
			next = sooner(next, now.Add(700*time.Millisecond))
		}
	}
	return next
}

// rushUntil is when a role's urgent move is over; zero where it has none.
func (c *Controller) rushUntil(r *role) time.Time {
	if c.urgent == nil {
		return time.Time{}
	}
	if _, ok := c.urgent.roles[r.name]; !ok {
		return time.Time{}
	}
	return c.urgent.at.Add(2 * time.Second)
}

func (c *Controller) urge(ln *line, us []*unit, over time.Duration, now time.Time) {
	if len(us) == 0 {
		return
	}
	level := ln.addr.caps.level(us[0].lamp.role.plan.to)
	if c.send(ln, us, order{level: level, over: over}, now) != nil {
		return
	}
	for _, u := range us {
		u.known, u.ever, u.on = true, true, true
	}
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// step does all that is due and returns when the next thing is.
func (c *Controller) step(now time.Time) time.Time {
	next := now.Add(time.Second)
	if c.urgent != nil {
		if t := c.rush(now); !t.IsZero() {
			next = sooner(next, t)
		}
		next = sooner(next, c.countAnswers(now))
	}
	for _, r := range c.order {
		for _, l := range r.lamps {
			if l.drv != nil && l.units == nil && l.says == "" && !now.Before(l.settled) && c.open {
				// The bridge keeps silent: try the topic as it is.
				c.resolve(l, []address{{l.conf.Topic, l.conf.Extra, c.known(l.conf, l.conf.Topic, l.drv.caps(l.conf))}}, nil, now)
			}
		}
		if p := r.pending; p != nil {
			ready := true
			for _, l := range r.lamps {
				ready = ready && (l.drv == nil || l.units != nil || l.says != "")
			}
			for _, u := range r.units() {
				ready = ready && (u.known || u.lost || u.heldLevel)
			}
			if ready || !now.Before(p.until) {
				r.pending = nil
				c.begin(r, p, now)
			} else {
				next = sooner(next, p.until)
			}
		}
		if !r.arrived.IsZero() && !now.Before(r.arrived) {
			r.arrived = time.Time{}
			for _, u := range r.units() {
				if u.reading == 0 {
					u.readAt = sooner(u.readAt, now)
				}
			}
		}
		next = sooner(next, r.arrived)
		if r.trial != nil {
			continue // its lamps are the test's
		}
		for _, l := range r.lamps {
			for _, u := range l.units {
				next = sooner(next, c.readStep(u, now))
			}
			c.routine(l, now)
			if t := c.drive(l, now); !t.IsZero() {
				next = sooner(next, t)
			}
		}
	}
	return next
}

// countAnswers asks the lamps after an urgent move, until all have answered or five seconds have gone.
func (c *Controller) countAnswers(now time.Time) time.Time {
	g := c.urgent
	if !g.waiting {
		return now.Add(time.Second)
	}
	if now.Before(g.readAt) {
		return g.readAt
	}
	done := true
	for u, ok := range g.target {
		if ok {
			continue
		}
		done = false
		if u.reading == 0 && u.readAt.IsZero() {
			u.readAt = now
		}
	}
	if done || now.Sub(g.at) > 6*time.Second {
		g.waiting = false
	}
	return now.Add(200 * time.Millisecond)
}

// drive sends what is due to one lamp or group.
func (c *Controller) drive(l *lamp, now time.Time) time.Time {
	if !c.open || !l.role.plan.active || (l.bridge != nil && l.bridge.offline) {
		return time.Time{}
	}
	if t := c.rushUntil(l.role); now.Before(t) {
		return t
	}
	if l.group != nil {
		if us := l.together(now); us != nil {
			if !l.group.mode {
				l.group.mode, l.group.next, l.group.sent = true, now, us[0].sent
				l.group.repeats = us[0].repeats
			}
			return c.driveLine(l.group, us, now)
		}
		if l.group.mode {
			l.group.mode = false
			for _, u := range l.units {
				u.next, u.repeats = now, max(u.repeats, l.group.repeats)
			}
		}
	}
	var next time.Time
	for _, u := range l.units {
		next = sooner(next, c.driveLine(&u.line, []*unit{u}, now))
	}
	return next
}

// together is the members of a group, where one command can move all of them; nil where it can't. A lost one may hear it
// all the same, and nobody knows how far it would jump.
func (l *lamp) together(now time.Time) []*unit {
	a := l.units[0]
	for _, u := range l.units {
		if u.heldLevel || u.heldColour || u.lost || !u.known || u.suspect > 0 || a.on != u.on ||
			math.Abs(a.away.at(now)-u.away.at(now)) > 0.05 ||
			math.Abs(a.ramp.at(now)-u.ramp.at(now)) > 1.01/254 || a.hue.distance(u.hue) > 3 {
			return nil
		}
	}
	return l.units
}

// driveLine sends the next chunk, refresh or repeat on one line, and returns when it has to be looked at again.
func (c *Controller) driveLine(ln *line, us []*unit, now time.Time) time.Time {
	u := us[0]
	caps := ln.addr.caps
	for _, x := range us {
		if x.heldLevel && x.heldColour {
			return time.Time{}
		}
		// An answer tells more than a guess: wait for it, a moment.
		if now.Before(x.waitUntil) && (!x.known || x.suspect > 0) {
			return x.waitUntil
		}
	}
	if now.Before(ln.next) {
		return ln.next
	}
	if u.lost && now.Sub(ln.sentAt) < refreshEvery {
		return ln.sentAt.Add(refreshEvery)
	}
	if !u.known {
		return c.blind(ln, us, now)
	}
	for _, x := range us {
		// A chunk of a fast move that had no echo by now was lost: the next one must not make up for it in one go.
		if !x.ackDue.IsZero() && now.Sub(x.sentAt) >= 250*time.Millisecond && x.echoes && x.doubts < 2 && x.on {
			x.doubts++
			y := x.before.at(now)
			x.ramp = ramp{y, y, now, now}
			x.align(strayed, now)
			x.sent, ln.sent = 0, 0
		}
	}
	way := u.course()
	if !u.on {
		if u.heldLevel {
			return now.Add(time.Second)
		}
		// Lit at its lowest level at once: a lamp that is switched on by a fade may flash its last level first.
		if c.send(ln, us, order{level: caps.Min}, now) == nil {
			for _, x := range us {
				x.on = true
				x.away = away{way.floor - u.lamp.role.plan.at(now), now, now.Add(x.closeUp(resumed, now))}
				if _, rest := way.ends(now); rest.After(x.away.t1) {
					x.away.t1 = rest
				}
			}
		}
		ln.next = now.Add(300 * time.Millisecond)
		return ln.next
	}
	_, rest := way.ends(now)
	moving := rest.After(now)

	// Colour. A lamp that fades one attribute gets it in steps too small to see, ahead of the level's next chunk.
	var hue colour
	if want := caps.fits(u.lamp.role.plan.colour(now.Add(2 * time.Second))); want.mode != asItIs && !u.heldColour {
		d := u.hue.distance(want)
		if d >= 3 || (d >= 1 && !moving) {
			hue = want
		}
	}
	if hue.mode != asItIs && caps.Fade != FadeBoth && now.Sub(ln.colourAt) > 200*time.Millisecond {
		if d := u.hue.distance(hue); d > colourStep && !math.IsInf(d, 1) {
			hue = u.hue.towards(hue, colourStep/d)
		}
		if c.send(ln, us, order{hue: hue}, now) == nil {
			ln.colourAt = now
			// Such a lamp stands still now: go on from here.
			for _, x := range us {
				y := x.ramp.at(now)
				x.ramp = ramp{y, y, now, now}
			}
			ln.sent = 0
		}
		ln.next = now.Add(150 * time.Millisecond)
		return ln.next
	}
	if caps.Fade != FadeBoth {
		hue = colour{}
	}
	colouring := u.lamp.role.plan.t1.After(now) && u.lamp.role.plan.hue != u.lamp.role.plan.hues || hue.mode != asItIs ||
		u.hue.distance(caps.fits(u.lamp.role.plan.colour(now))) >= 3 && caps.fits(u.lamp.role.plan.colour(now)).mode != asItIs && !u.heldColour

	if u.heldLevel {
		ln.next = now.Add(2 * time.Second)
		if hue.mode != asItIs {
			_ = c.send(ln, us, order{hue: hue, over: 2 * time.Second}, now)
		}
		return ln.next
	}
	if caps.Fade == FadeNone {
		return c.leap(ln, us, way, now)
	}
	level := ln.sent
	if level == 0 || u.ramp.t1.After(now.Add(time.Millisecond)) {
		level = -1 // in mid-ramp: any level is news
	}
	if !moving {
		return c.keep(ln, us, way, hue, colouring, now)
	}
	ch, wait, ok := way.chunk(caps, level, u.lightness(now), now)
	if ok && level == -1 && math.Abs(caps.lightness(ch.level)-u.lightness(now)) < 0.01 {
		ok, wait = false, now.Add(time.Second)
	}
	if !ok {
		if hue.mode != asItIs {
			_ = c.send(ln, us, order{hue: hue, over: 2 * time.Second}, now)
		}
		ln.next = sooner(wait, now.Add(refreshEvery))
		if colouring {
			ln.next = sooner(ln.next, now.Add(2*time.Second))
		}
		if !ln.next.After(now) {
			ln.next = now.Add(50 * time.Millisecond)
		}
		return ln.next
	}
	// Whatever came before, the lamp is not asked for more than its limit from where it is.
	most := float64(promisedSlope)
	if u.lamp.role.plan.kind == Planned && u.away.d == 0 {
		most = 2 * plannedSlope
	}
	from := u.ramp.at(now)
	for ch.over < time.Second && ch.over < gentle(from, float64(ch.level)/float64(caps.Max), most) {
		// Less far is better than later: chunks are counted in tenths of a second.
		back := ch.level + 1
		if float64(ch.level)/float64(caps.Max) > from {
			back = ch.level - 1
		}
		if math.Abs(float64(back)/float64(caps.Max)-from)*float64(caps.Max) < 1 {
			break
		}
		ch.level = back
	}
	ch.over = max(ch.over, gentle(from, float64(ch.level)/float64(caps.Max), most))
	// In tenths, as it is sent: the next chunk starts when this one has ended in truth.
	ch.over = tenths(min(ch.over, caps.MaxFade))
	o := order{level: ch.level, hue: hue, over: ch.over}
	if hue.mode != asItIs && u.hue.mode == asItIs {
		o.hue = colour{} // the first colour is a message of its own, and slow
		_ = c.send(ln, us, order{hue: hue, over: 5 * time.Second}, now)
	}
	_ = c.send(ln, us, o, now)
	ln.next = now.Add(ch.over)
	if colouring && ch.over > 5*time.Second {
		ln.next = now.Add(5 * time.Second)
	}
	return ln.next
}

// keep holds a lamp at the end of its course: the level is repeated three times, and refreshed once a minute.
func (c *Controller) keep(ln *line, us []*unit, way course, hue colour, colouring bool, now time.Time) time.Time {
	u := us[0]
	caps := ln.addr.caps
	level := caps.level(way.at(now))
	if hue.mode != asItIs {
		_ = c.send(ln, us, order{hue: hue, over: 2 * time.Second}, now)
	}
	switch off := math.Abs(caps.lightness(level) - u.lightness(now)); {
	case ln.sent != level || off > 0.5 && !u.ramp.t1.After(now):
		most, least := plannedSlope, time.Second
		if u.away.d != 0 || u.lamp.role.plan.kind != Planned {
			most, least = promisedSlope, 300*time.Millisecond
		}
		if off <= 0.5 {
			least = repeatEvery // it is there already, unless it has just lost its power
		}
		over := min(caps.MaxFade, max(least, gentle(u.ramp.at(now), float64(level)/float64(caps.Max), most)))
		_ = c.send(ln, us, order{level: level, over: over}, now)
		ln.next = now.Add(max(over, repeatEvery))
	case ln.repeats > 0 && now.Sub(ln.sentAt) >= repeatEvery-50*time.Millisecond:
		ln.repeats--
		over := repeatEvery
		if len(us) > 1 {
			over = repeatOver
		}
		_ = c.send(ln, us, order{level: level, over: over}, now)
		ln.next = now.Add(repeatEvery)
	case now.Sub(ln.sentAt) >= refreshEvery:
		_ = c.send(ln, us, order{level: level, over: refreshOver}, now)
		ln.next = now.Add(refreshEvery)
	default:
		ln.next = ln.sentAt.Add(refreshEvery)
		if ln.repeats > 0 {
			ln.next = ln.sentAt.Add(repeatEvery)
		}
	}
	if colouring {
		ln.next = sooner(ln.next, now.Add(2*time.Second))
	}
	if !ln.next.After(now) {
		ln.next = now.Add(100 * time.Millisecond)
	}
	return ln.next
}

// blind moves a lamp that does not say where it is: so slowly that it is gentle from anywhere.
func (c *Controller) blind(ln *line, us []*unit, now time.Time) time.Time {
	u := us[0]
	caps := ln.addr.caps
	if now.Before(u.ramp.t1) && ln.sent != 0 {
		ln.next = u.ramp.t1
		return ln.next
	}
	if u.heldLevel {
		return now.Add(time.Second)
	}
	over := min(blindOver, caps.MaxFade)
	level := caps.level(u.course().at(now.Add(over)))
	if caps.Fade == FadeNone {
		// It can only jump: up from the dark, never down from a guess.
		level, over = caps.Min, 0
	}
	if c.send(ln, us, order{level: level, over: over}, now) == nil {
		for _, x := range us {
			x.on = true
			if !x.addr.caps.ReadBack || caps.Fade == FadeNone {
				x.known, x.ever = true, true
				if caps.Fade == FadeNone {
					x.align(strayed, now)
				}
			}
			x.away = away{}
		}
	}
	ln.next = now.Add(max(over, time.Second))
	return ln.next
}

// leap moves a lamp that can't fade, in steps of 2 L* at most.
func (c *Controller) leap(ln *line, us []*unit, way course, now time.Time) time.Time {
	u := us[0]
	caps := ln.addr.caps
	every := time.Second
	if math.Abs(way.slope(now)) > 2.5 {
		every = 200 * time.Millisecond
	}
	is, want := u.lightness(now), way.at(now)
	level := caps.level(is + min(2, max(-2, want-is)))
	if at := caps.level(is); level == at && caps.level(want) != at {
		if want > is {
			level++ // one level is more than 2 L* down here
		} else {
			level--
		}
	}
	_, rest := way.ends(now)
	switch {
	case level != caps.level(is):
		_ = c.send(ln, us, order{level: level}, now)
	case rest.IsZero() && ln.repeats > 0 && now.Sub(ln.sentAt) >= repeatEvery:
		ln.repeats--
		_ = c.send(ln, us, order{level: level}, now)
	case now.Sub(ln.sentAt) >= refreshEvery:
		_ = c.send(ln, us, order{level: level}, now)
	}
	ln.next = now.Add(every)
	return ln.next
}

// send publishes one command and notes what it does to its lamps.
func (c *Controller) send(ln *line, us []*unit, o order, now time.Time) error {
	drv := us[0].drv
	if c.urgent == nil || !c.urgent.waiting {
		o.over = max(0, o.over)
	}
	for _, p := range drv.order(ln.addr, o) {
		if err := c.publish(p, now); err != nil {
			return err
		}
	}
	if o.level > 0 {
		ln.sent = o.level
	}
	ln.sentAt = now
	over := tenths(limit(ln.addr.caps, o.over))
	for _, u := range us {
		u.spoke = now
		if u.reading > 0 {
			// Its answer could be this command's echo.
			u.reading = 0
			u.readAt = now.Add(readGap + 200*time.Millisecond)
		}
		if u.drv.asks(u.addr, false) != nil {
			u.ackDue = now.Add(ackWithin)
		}
		u.before = u.ramp
		if o.level > 0 {
			y := float64(o.level) / float64(ln.addr.caps.Max)
			from := u.ramp.at(now)
			if !u.on {
				from = y
			}
			u.ramp = ramp{from, y, now, now.Add(over)}
			u.sent = o.level
			u.past = append(slices.DeleteFunc(u.past, func(m mark) bool { return now.Sub(m.at) > ourTargets }), mark{y, now})
		}
		u.sentAt = now
		if k := ln.addr.caps.fits(o.hue); k.mode != asItIs {
			u.hue = k
		}
	}
	return nil
}

func (c *Controller) publish(p packet, now time.Time) error {
	if err := c.conn.Publish(p.topic, p.payload); err != nil {
		return fmt.Errorf("light command to %s: %w", p.topic, err)
	}
	mine := slices.DeleteFunc(c.own[p.topic], func(s sent) bool { return now.Sub(s.at) > time.Minute })
	c.own[p.topic] = append(mine, sent{string(p.payload), now})
	return nil
}

// ours takes one of our own messages off the list of those that are still to come back.
func (c *Controller) ours(topic string, payload []byte) bool {
	i := slices.IndexFunc(c.own[topic], func(s sent) bool { return s.payload == string(payload) })
	if i < 0 {
		return false
	}
	c.own[topic] = slices.Delete(c.own[topic], i, i+1)
	return true
}

func names(us []*unit) string {
	var all []string
	for _, u := range us {
		all = append(all, u.name)
	}
	return strings.Join(all, ", ")
}

// show makes the views from the state, and tells when they changed.
func (c *Controller) show(now time.Time) {
	views := make(map[string]View, len(c.order))
	for _, r := range c.order {
		views[r.name] = c.view(r, now)
	}
	var answers []Answer
	if g := c.urgent; g != nil {
		for u, ok := range g.target {
			answers = append(answers, Answer{Role: u.lamp.role.name, Lamp: u.name, Answered: ok, Waiting: !ok && g.waiting})
		}
		slices.SortFunc(answers, func(a, b Answer) int {
			return strings.Compare(a.Role+"\x00"+a.Lamp, b.Role+"\x00"+b.Lamp)
		})
	}
	c.mu.Lock()
	same := reflect.DeepEqual(views, c.views) && slices.Equal(answers, c.answers)
	if !same {
		c.views, c.answers = views, answers
	}
	c.mu.Unlock()
	if !same {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

func (c *Controller) view(r *role, now time.Time) View {
	v := View{State: Following, Test: r.test, Testable: len(r.offers()) > 0}
	switch {
	case r.pending != nil:
		v.Target = r.pending.move.Scene[r.name]
	case r.plan.active:
		v.Target = r.plan.target
	}
	var held, lost, unknown, mute []*unit
	var sum float64
	seen := 0
	for _, u := range r.units() {
		lv := LampView{Name: u.name, Actual: u.actual, State: Following}
		switch {
		case u.heldLevel || u.heldColour:
			lv.State = Held
			held = append(held, u)
		case u.lost:
			lv.State = Lost
			lost = append(lost, u)
		case !u.known || u.actual == nil:
			lv.State = Unknown
			unknown = append(unknown, u)
		}
		if !u.heardOwn && !u.spoke.IsZero() && now.Sub(u.spoke) > 2500*time.Millisecond && (u.misses > 0 || u.lost) && u.drv.asks(u.addr, false) != nil {
			mute = append(mute, u)
		}
		if u.actual != nil && !u.lost {
			seen++
			sum += u.actual.L
			a := *u.actual
			v.Actual = &a
		}
		v.Lamps = append(v.Lamps, lv)
	}
	if seen > 0 {
		v.Actual.L = math.Round(10*sum/float64(seen)) / 10
	}
	var wrong, trap, off []string
	for _, l := range r.lamps {
		if l.conf.Driver == "zigbee2mqtt" && l.bridge == nil && len(unknown)+len(lost) > 0 && len(mute) == 0 && c.bridgeSilent(l) {
			// Its list was retained by a broker that was killed: only a start of zigbee2mqtt brings it back.
			wrong = append(wrong, "zigbee2mqtt has not told which lights it has. Restart zigbee2mqtt.")
		}
		if l.says != "" {
			wrong = append(wrong, l.says)
		}
		if l.trap {
			trap = append(trap, l.conf.Topic)
		}
		if l.bridge != nil && l.bridge.offline && !slices.Contains(off, l.bridge.base) {
			off = append(off, l.bridge.base)
		}
	}
	switch {
	case len(wrong) > 0:
		v.State, v.Says = Lost, strings.Join(wrong, " ")
	case !c.open:
		v.State, v.Says = Unknown, "No connection to the lights: they stay as they are. Use the wall switch if you need light."
	case len(off) > 0:
		v.State, v.Says = Lost, "The light bridge ("+strings.Join(off, ", ")+") is off: its lights stay as they are. Use the wall switch if you need light."
	case len(held) > 0:
		v.State, v.Says = Held, "Moved by hand: "+names(held)+". Tap to let it follow the session again."
	case len(mute) > 0:
		v.State, v.Says = Lost, "The broker does not pass on what roomd says to "+names(mute)+". Let roomd's user read and write these topics in the broker's access list."
	case len(lost) > 0:
		v.State, v.Says = Lost, "No answer from "+names(lost)+". Check that it has power and its wall switch is on."
	case len(unknown) > 0 || len(v.Lamps) == 0:
		v.State = Unknown
	case len(trap) > 0:
		v.Says = "A stored command lies on " + strings.Join(trap, ", ") + "/set and can move the light when the broker restarts. Remove it (publish an empty retained message)."
	}
	return v
}

// bridgeSilent tells whether a bridge of the lamp is there and has no list.
func (c *Controller) bridgeSilent(l *lamp) bool {
	for base, b := range c.bridges {
		if strings.HasPrefix(l.conf.Topic, base+"/") && b.online && b.devices == nil {
			return true
		}
	}
	return false
}

// member and group lists of bridge/devices and bridge/groups.
type bridgeDevice struct {
	Name       string `json:"friendly_name"`
	Address    string `json:"ieee_address"`
	Definition *struct {
		Vendor  string `json:"vendor"`
		Exposes []struct {
			Type     string `json:"type"`
			Features []struct {
				Name     string   `json:"name"`
				Property string   `json:"property"`
				Min      *float64 `json:"value_min"`
				Max      *float64 `json:"value_max"`
			} `json:"features"`
		} `json:"exposes"`
	} `json:"definition"`
}

type bridgeGroup struct {
	Name    string `json:"friendly_name"`
	Members []struct {
		Address string `json:"ieee_address"`
	} `json:"members"`
}

func (d bridgeDevice) caps(c Caps) Caps {
	c.MinMired, c.MaxMired, c.Color = 0, 0, false
	light := false
	for _, e := range d.Definition.Exposes {
		if e.Type != "light" {
			continue
		}
		light = true
		for _, f := range e.Features {
			switch {
			case f.Name == "brightness" && f.Max != nil && *f.Max > 1:
				c.Max = int(*f.Max)
			case f.Name == "color_temp" && f.Min != nil && f.Max != nil && *f.Max >= *f.Min && *f.Min > 0:
				c.MinMired, c.MaxMired = int(*f.Min), int(*f.Max)
			case f.Name == "color_xy":
				c.Color = true
			}
		}
	}
	if !light {
		return Caps{}
	}
	switch d.Definition.Vendor {
	case "Philips", "Signify Netherlands B.V.", "Innr":
		c.Min = 2 // at 1 some of them are off
		if d.Definition.Vendor != "Innr" {
			c.Fade = FadeBoth
		}
	}
	return c
}

// learn reads bridge/devices and bridge/groups.
func (b *bridge) learn(what string, payload []byte) error {
	switch what {
	case "devices":
		var all []bridgeDevice
		if err := json.Unmarshal(payload, &all); err != nil {
			return fmt.Errorf("bridge/devices: %w", err)
		}
		b.devices, b.address = map[string]Caps{}, map[string]string{}
		for _, d := range all {
			b.address[d.Address] = d.Name
			if d.Definition != nil {
				b.devices[d.Name] = d.caps(zigbee{}.caps(Lamp{}))
			}
		}
		if b.raw != nil {
			return b.learn("groups", b.raw)
		}
	case "groups":
		b.raw = payload
		var all []bridgeGroup
		if err := json.Unmarshal(payload, &all); err != nil {
			b.raw = nil
			return fmt.Errorf("bridge/groups: %w", err)
		}
		b.members = map[string][]string{}
		for _, g := range all {
			b.members[g.Name] = []string{}
			for _, m := range g.Members {
				if name := b.address[m.Address]; name != "" {
					b.members[g.Name] = append(b.members[g.Name], name)
				}
			}
		}
	}
	return nil
}

// lamps are the lights of a group, and what they can do together. known corrects what the bridge says of each.
func (b *bridge) lamps(members []string, known func(topic string, k Caps) Caps) (us []address, caps Caps) {
	for _, m := range members {
		k := b.devices[m]
		if k.Max == 0 {
			continue
		}
		k = known(b.base+"/"+m, k)
		us = append(us, address{b.base + "/" + m, nil, k})
		if caps.Max == 0 {
			caps = k
		}
		caps = caps.both(k)
	}
	return us, caps
}

// place finds a bridge's lamps after its lists changed.
func (c *Controller) place(b *bridge, now time.Time) {
	if b.devices == nil || b.members == nil {
		return
	}
	for _, r := range c.order {
		for _, l := range r.lamps {
			name, ok := strings.CutPrefix(l.conf.Topic, b.base+"/")
			if !ok || l.conf.Driver != "zigbee2mqtt" || l.bridge != nil && l.bridge != b {
				continue
			}
			if members, ok := b.members[name]; ok {
				us, caps := b.lamps(members, func(topic string, k Caps) Caps { return c.known(l.conf, topic, k) })
				l.bridge = b
				if len(us) == 0 {
					l.says = fmt.Sprintf("The light group %s has no lights in it. Add some in zigbee2mqtt.", name)
					continue
				}
				c.resolve(l, us, &address{l.conf.Topic, nil, caps}, now)
				continue
			}
			if k, ok := b.devices[name]; ok {
				l.bridge = b
				if k.Max == 0 {
					l.says = fmt.Sprintf("%s is no light. Correct the topic in the room file.", name)
					continue
				}
				c.resolve(l, []address{{l.conf.Topic, nil, c.known(l.conf, l.conf.Topic, k)}}, nil, now)
				continue
			}
			l.says = fmt.Sprintf("zigbee2mqtt knows no light and no group %q. Correct the topic in the room file.", name)
		}
	}
}
