package lights

import (
	"context"
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
	maxState   = 16 << 10 // bytes; no lamp says more
	maxList    = 1 << 20  // of a bridge's lists
	inboxLimit = 4096
)

// Controller moves the lamps of a room: it routes messages to lamps and gives them their roles' plans. Run owns all of its
// state.
type Controller struct {
	conn Conn
	log  *slog.Logger

	events   chan event
	dropped  atomic.Uint64
	profiles string // the folder where tests keep what they find
	wake     chan struct{}
	changed  chan struct{}

	mu      sync.Mutex            // guards what follows
	inbox   []func(now time.Time) // what the owner is to do
	views   map[string]View
	answers []Answer

	// Owned by Run.
	roles   map[string]*role
	order   []*role // by name
	hearers map[string][]*entry
	bridges map[string]*bridge
	own     map[string][]sent // commands of ours that the broker has not given back yet
	open    bool
	rest    map[string]bool // subscriptions that are made
	tested  Profiles        // of lamps, by topic
	ctx     context.Context // of Run
	urgent  []*role         // of the last urgent move
}

type event struct {
	topic    string
	payload  []byte
	retained bool
}

type sent struct {
	payload string
	at      time.Time
}

type role struct {
	name    string
	entries []*entry
	plan    plan
	pending *pending
	trial   *trial    // a test of its lamps; nil: none
	test    Said      // how far it is, or how it ended
	found   string    // what it has found, for an engineer
	arrived time.Time // all its lamps are asked then, since a fade has ended; zero: they were
}

// pending is a fade that waits to learn where its lamps are.
type pending struct {
	move  Move
	asked time.Time
	until time.Time
}

// entry is one lamp of the room file, with its bridge.
type entry struct {
	lamp
	bridge  *bridge   // nil: none, or not known yet
	says    Said      // what is wrong with it
	settled time.Time // until then a topic that is not resolved waits for its bridge
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
		roles: map[string]*role{}, hearers: map[string][]*entry{},
		bridges: map[string]*bridge{}, own: map[string][]sent{}, rest: map[string]bool{},
	}
	for _, name := range slices.Sorted(maps.Keys(roles)) {
		r := &role{name: name}
		for _, conf := range roles[name] {
			l := &entry{lamp: lamp{role: name, conf: conf, drv: drivers[conf.Driver]}}
			if l.drv == nil {
				l.says = said("lamps-kind", "kind", conf.Driver, "kinds", strings.Join(slices.Sorted(maps.Keys(drivers)), ", "))
			}
			r.entries = append(r.entries, l)
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
	c.put(func(now time.Time) { c.move(m, now) })
}

// Follow has a role's lamps commanded again after a hand moved them; an empty role means all.
func (c *Controller) Follow(role string) {
	c.put(func(now time.Time) {
		for l := range c.entries() {
			if role == "" || role == l.role {
				c.tell(l, resume{}, now)
			}
		}
	})
}

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

// put has the owner do something.
func (c *Controller) put(do func(now time.Time)) {
	c.mu.Lock()
	c.inbox = append(c.inbox, do)
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
	for l := range c.entries() {
		if l.drv == nil {
			continue
		}
		if l.conf.Topic == "" && l.conf.Driver == "simulated" {
			l.conf.Topic = "roomd/lamp/" + l.role
		}
		if l.conf.Driver == "simulated" {
			simulate(ctx, c.conn, l.conf.Topic)
		}
		c.introduce(l, time.Now())
	}
	c.conn.OnConnect(func(open bool) { c.put(func(now time.Time) { c.link(open, now) }) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// What people ask for goes before what lamps tell.
		c.mu.Lock()
		asked := c.inbox
		c.inbox = nil
		c.mu.Unlock()
		for _, do := range asked {
			do(time.Now())
		}
		now := time.Now()
		next := c.step(now)
		c.show(now)
		if whole := now.Truncate(time.Second).Add(time.Second); whole.Before(next) {
			next = whole // with the room's own look, so that an idle computer is woken once a second and not twice
		}
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

// entries are those of all roles.
func (c *Controller) entries() func(yield func(*entry) bool) {
	return func(yield func(*entry) bool) {
		for _, r := range c.order {
			for _, l := range r.entries {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// tell steps a lamp and does what comes of it.
func (c *Controller) tell(l *entry, in any, now time.Time) (wake time.Time) {
	var packets []packet
	l.lamp, packets, wake = step(l.lamp, in, now)
	for _, n := range l.notes {
		level := slog.LevelInfo
		if n.warn {
			level = slog.LevelWarn
		}
		c.log.Log(c.ctx, level, n.text, n.pairs...)
	}
	for _, p := range packets {
		if err := c.conn.Publish(p.topic, p.payload); err != nil {
			c.log.Debug("light command was not sent", "topic", p.topic, "err", err) // it is found by the next read
			continue
		}
		mine := slices.DeleteFunc(c.own[p.topic], func(s sent) bool { return now.Sub(s.at) > time.Minute })
		c.own[p.topic] = append(mine, sent{string(p.payload), now})
	}
	return wake
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

// listen takes one message.
func (c *Controller) listen(e event, now time.Time) {
	if base, what, ok := strings.Cut(e.topic, "/bridge/"); ok && c.bridges[base] != nil {
		c.listenTo(c.bridges[base], what, e, now)
		return
	}
	us := c.hearers[e.topic]
	if i := strings.LastIndexByte(e.topic, '/'); us == nil && i > 0 {
		us = c.hearers[e.topic[:i]+"/+"]
	}
	own := c.ours(e.topic, e.payload)
	for _, l := range us {
		c.tell(l, heard{e.topic, e.payload, e.retained, own}, now)
	}
}

// listenTo takes a message of a bridge.
func (c *Controller) listenTo(b *bridge, what string, e event, now time.Time) {
	news, err := b.hear(what, e.payload, e.retained)
	if err != nil {
		c.log.Warn("light bridge tells nonsense", "base", b.base, "err", err)
	}
	if _, ok := news.(listed); ok {
		for l := range c.entries() {
			c.place(l, b, now)
		}
		return
	}
	if is, ok := news.(bridgeIs); ok {
		c.log.Info("light bridge", "base", b.base, "online", is.online)
	}
	_, back := news.(regained)
	for l := range c.entries() {
		if news != nil && (l.bridge == b || back) {
			c.tell(l, news, now)
		}
	}
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
func (c *Controller) introduce(l *entry, now time.Time) {
	l.settled = now.Add(recoverWait)
	bases := basesOf(l.conf)
	if len(bases) == 0 {
		c.alone(l, now)
	}
	for _, base := range bases {
		if c.bridges[base] == nil {
			c.bridges[base] = newBridge(base)
		}
		c.subscribe(c.bridges[base].hears()...)
	}
}

// alone resolves a lamp as the room file has it.
func (c *Controller) alone(l *entry, now time.Time) {
	c.resolve(l, found{units: []address{{l.conf.Topic, l.conf.Extra, c.tested.known(l.conf, l.conf.Topic, l.drv.caps(l.conf))}}}, now)
}

// place resolves a lamp by the lists of its bridge.
func (c *Controller) place(l *entry, b *bridge, now time.Time) {
	if basesOf(l.conf) == nil || l.bridge != nil && l.bridge != b {
		return
	}
	f, says, ok := b.find(l.conf.Topic, func(topic string, k Caps) Caps { return c.tested.known(l.conf, topic, k) })
	if !ok {
		return
	}
	l.says = says
	if len(f.units) > 0 {
		l.bridge = b
		c.resolve(l, f, now)
	}
}

// resolve gives a lamp its lights, and has it hear of them.
func (c *Controller) resolve(l *entry, f found, now time.Time) {
	for filter, ls := range c.hearers {
		c.hearers[filter] = slices.DeleteFunc(ls, func(x *entry) bool { return x == l })
	}
	l.says, f.open, f.off = Said{}, c.open, l.bridge != nil && l.bridge.offline
	c.tell(l, f, now)
	var filters []string
	for _, a := range f.units {
		filters = append(filters, l.drv.hears(a)...)
	}
	if f.group != nil { // others may command it
		filters = append(filters, l.drv.order(*f.group, order{level: 1})[0].topic)
	}
	for _, filter := range filters {
		if !slices.Contains(c.hearers[filter], l) {
			c.hearers[filter] = append(c.hearers[filter], l)
		}
	}
	c.subscribe(filters...)
}

// link is told that the connection stands, or is lost.
func (c *Controller) link(open bool, now time.Time) {
	c.open = open
	clear(c.own)
	for l := range c.entries() {
		l.settled = now.Add(recoverWait)
		c.tell(l, linked{open}, now)
	}
}

// move begins a move: at once if it is urgent, else when it is known where the lamps are.
func (c *Controller) move(m Move, now time.Time) {
	for name, level := range m.Scene {
		r := c.roles[name]
		if r == nil {
			c.log.Warn("scene names a role without lights", "role", name)
			delete(m.Scene, name)
			continue
		}
		c.breakOff(r, now)
		if math.IsNaN(level.L) {
			delete(m.Scene, name)
		} else if m.Kind != Urgent {
			// A lamp in a group that is still being looked for has to be waited for too.
			r.pending = &pending{Move{Scene{name: level}, m.Over, m.Kind}, now, now.Add(recoverWait + 500*time.Millisecond)}
		}
	}
	if m.Kind == Urgent {
		c.hasten(m, now)
	}
}

// units are all lights of a role.
func (r *role) units() (all []*unit) {
	for _, l := range r.entries {
		for i := range l.lamp.units {
			all = append(all, &l.lamp.units[i])
		}
	}
	return all
}

// begin starts a planned or unplanned fade of a role.
func (c *Controller) begin(r *role, p *pending, now time.Time) {
	level := p.move.Scene[r.name]
	to := min(100, max(0, level.L))
	from, sum, known, start := to, 0.0, 0.0, level.colour()
	for _, u := range r.units() {
		if u.known {
			known++
			sum += u.lightness(now)
			if u.hue.mode == start.mode {
				start = u.hue
			}
		}
	}
	if r.plan.active {
		from = r.plan.at(now)
		if k := r.plan.colour(now); k.mode != asItIs {
			start = k
		}
	} else if known > 0 {
		from = sum / known
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
	r.arrived = r.plan.t1.Add(arriveRead)
	for _, l := range r.entries {
		c.tell(l, aim{r.plan}, now)
	}
}

// hasten sends an urgent move at once, whatever a hand did and wherever the lamps are.
func (c *Controller) hasten(m Move, now time.Time) {
	c.urgent = []*role{}
	for _, r := range c.order {
		level, ok := m.Scene[r.name]
		if !ok {
			for _, l := range r.entries {
				c.tell(l, hush{}, now)
			}
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
		c.urgent = append(c.urgent, r)
		for _, l := range r.entries {
			c.tell(l, urge{r.plan}, now)
		}
	}
}

// step does all that is due and returns when the next thing is.
func (c *Controller) step(now time.Time) time.Time {
	next := now.Add(time.Second)
	for _, r := range c.order {
		ready := true
		for _, l := range r.entries {
			if l.drv != nil && l.units == nil && l.says.Code == "" && !now.Before(l.settled) && c.open {
				c.alone(l, now) // the bridge keeps silent: try the topic as it is
			}
			ready = ready && (l.drv == nil || l.units != nil || l.says.Code != "")
		}
		for _, u := range r.units() {
			ready = ready && (u.known || u.lost || u.heldLevel)
		}
		if p := r.pending; p != nil && (ready || !now.Before(p.until)) {
			r.pending = nil
			c.begin(r, p, now)
		} else if p != nil {
			next = sooner(next, p.until)
		}
		var in any
		if !r.arrived.IsZero() && !now.Before(r.arrived) {
			r.arrived, in = time.Time{}, look{}
		}
		next = sooner(next, r.arrived)
		for _, l := range r.entries {
			if l.drv != nil {
				next = sooner(next, c.tell(l, in, now))
			}
		}
	}
	return next
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
	for _, r := range c.urgent {
		for _, l := range r.entries {
			for _, u := range l.units {
				if u.urged {
					answers = append(answers, Answer{Role: r.name, Lamp: u.name, Answered: u.reached, Waiting: !u.reached && l.rush.asking})
				}
			}
		}
	}
	slices.SortFunc(answers, func(a, b Answer) int { return strings.Compare(a.Role+"\x00"+a.Lamp, b.Role+"\x00"+b.Lamp) })
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
	v := View{State: Following, Test: r.test, Details: r.found, Testable: len(r.offers()) > 0}
	switch {
	case r.pending != nil:
		v.Target = r.pending.move.Scene[r.name]
	case r.plan.active:
		v.Target = r.plan.target
	}
	var held, lost, unknown, mute []*unit
	var sum float64
	seen := 0
	for _, l := range r.entries {
		for i := range l.units {
			u := &l.units[i]
			lv := LampView{Name: u.name, Actual: u.actual, State: Following, Drawn: l.conf.Driver == "simulated"}
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
			if !u.heardOwn && !u.spoke.IsZero() && now.Sub(u.spoke) > 2500*time.Millisecond && (u.misses > 0 || u.lost) && l.drv.asks(u.addr, false) != nil {
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
	}
	if seen > 0 {
		v.Actual.L = math.Round(10*sum/float64(seen)) / 10
	}
	var wrong Said
	var trap, off []string
	for _, l := range r.entries {
		if wrong.Code != "" {
			break
		}
		if l.bridge == nil && len(unknown)+len(lost) > 0 && len(mute) == 0 && slices.ContainsFunc(basesOf(l.conf), func(base string) bool { return c.bridges[base].silent() }) {
			// Its list was retained by a broker that was killed: only a start of zigbee2mqtt brings it back.
			wrong = said("lamps-no-list")
		}
		if l.says.Code != "" {
			wrong = l.says
		}
	}
	for _, l := range r.entries {
		if l.trap {
			trap = append(trap, l.conf.Topic)
		}
		if l.off && !slices.Contains(off, l.bridge.base) {
			off = append(off, l.bridge.base)
		}
	}
	switch {
	case wrong.Code != "":
		v.State, v.Says = Lost, wrong
	case !c.open:
		v.State, v.Says = Unknown, said("lamps-cut-off")
	case len(off) > 0:
		v.State, v.Says = Lost, said("lamps-bridge-off", "bridges", strings.Join(off, ", "))
	case len(held) > 0:
		v.State, v.Says = Held, said("lamps-held", "lamps", names(held))
	case len(mute) > 0:
		v.State, v.Says = Lost, said("lamps-denied", "lamps", names(mute))
	case len(lost) > 0:
		v.State, v.Says = Lost, said("lamps-lost", "lamps", names(lost))
	case len(unknown) > 0 || len(v.Lamps) == 0:
		v.State = Unknown
	case len(trap) > 0:
		v.Says = said("lamps-retained", "topics", strings.Join(trap, ", "))
	}
	return v
}
