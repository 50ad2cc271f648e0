package lights

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomd/room/mqtt"
)

// bus is a broker in memory, on a bubble's clock.
type bus struct {
	mu      sync.Mutex
	open    bool
	subs    []busSub
	hooks   []func(bool)
	queue   chan packetAt
	kept    map[string][]byte
	log     []packetAt // commands of the controller
	lose    func(topic string) bool
	latency time.Duration
}

type busSub struct {
	filter string
	handle func(string, []byte, bool)
}

type packetAt struct {
	packet
	at       time.Time
	retained bool
}

func newBus(ctx context.Context) *bus {
	b := &bus{open: true, queue: make(chan packetAt, 100000), kept: map[string][]byte{}, latency: time.Millisecond}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case p := <-b.queue:
				time.Sleep(time.Until(p.at))
				b.mu.Lock()
				subs := slices.Clone(b.subs)
				b.mu.Unlock()
				for _, s := range subs {
					if mqtt.Match(s.filter, p.topic) {
						s.handle(p.topic, p.payload, p.retained)
					}
				}
			}
		}
	}()
	return b
}

// say publishes as somebody else.
func (b *bus) say(topic, payload string) {
	b.queue <- packetAt{packet{topic, []byte(payload)}, time.Now().Add(b.latency), false}
}

func (b *bus) keep(topic, payload string) {
	b.mu.Lock()
	b.kept[topic] = []byte(payload)
	b.mu.Unlock()
	b.say(topic, payload)
}

func (b *bus) Subscribe(filter string, handle func(string, []byte, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = append(b.subs, busSub{filter, handle})
	for t, p := range b.kept {
		if mqtt.Match(filter, t) {
			b.queue <- packetAt{packet{t, p}, time.Now(), true}
		}
	}
}

func (b *bus) OnConnect(hook func(bool)) {
	b.mu.Lock()
	b.hooks = append(b.hooks, hook)
	open := b.open
	b.mu.Unlock()
	if open {
		hook(true)
	}
}

func (b *bus) Open() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.open }

func (b *bus) set(open bool) {
	b.mu.Lock()
	b.open = open
	hooks := slices.Clone(b.hooks)
	b.mu.Unlock()
	for _, h := range hooks {
		h(open)
	}
}

// Publish is the controller's.
func (b *bus) Publish(topic string, payload []byte) error {
	b.mu.Lock()
	if !b.open {
		b.mu.Unlock()
		return mqtt.ErrNotOpen
	}
	b.log = append(b.log, packetAt{packet{topic, payload}, time.Now(), false})
	lost := b.lose != nil && b.lose(topic)
	b.mu.Unlock()
	if !lost {
		b.say(topic, string(payload))
	}
	return nil
}

func (b *bus) losing(lose func(topic string) bool) {
	b.mu.Lock()
	b.lose = lose
	b.mu.Unlock()
}

// commands are the controller's messages on topics that end in suffix, since a time.
func (b *bus) commands(suffix string, since time.Time) []packetAt {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []packetAt
	for _, p := range b.log {
		if strings.HasSuffix(p.topic, suffix) && !p.at.Before(since) {
			all = append(all, p)
		}
	}
	return all
}

// bulb is a lamp behind zigbee2mqtt, with its real light and the bridge's idea of it.
type bulb struct {
	name string // topic
	ikea bool

	mu    sync.Mutex
	on    bool
	level ramp // 0 to 254
	hue   ramp
	dead  atomic.Bool
	mute  atomic.Bool    // it follows commands and answers nothing
	old   map[string]any // the bridge's cache
	cmds  int

	before  func()      // called once, just before the next command reaches it
	powered []time.Time // when its power returned, and when it announced that
	heard   []time.Time // commands that reached it
	unheard []time.Time // commands that did not
}

type glimpse struct {
	at time.Time
	l  float64 // L*; 0 when off
	ct float64
}

func (x *bulb) seen(now time.Time) glimpse {
	x.mu.Lock()
	defer x.mu.Unlock()
	g := glimpse{at: now, ct: x.hue.at(now)}
	if x.on {
		g.l = lightness(x.level.at(now) / 254)
	}
	return g
}

// turn sets the light as a hand on the lamp would.
func (x *bulb) turn(on bool, level float64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.on = on
	x.level = ramp{from: level, to: level}
}

// miss notes a command that did not reach the bulb.
func (x *bulb) miss() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unheard = append(x.unheard, time.Now())
}

// world is a bridge with bulbs.
type world struct {
	t      *testing.T
	bus    *bus
	bulbs  []*bulb
	groups map[string][]*bulb
	begin  time.Time
	frames int
}

const frame = 20 * time.Millisecond // radio and bridge

func (w *world) bulb(name string) *bulb {
	for _, x := range w.bulbs {
		if x.name == name {
			return x
		}
	}
	w.t.Fatalf("no bulb %s", name)
	return nil
}

func newWorld(t *testing.T, ctx context.Context, bulbs ...*bulb) *world {
	w := &world{t: t, bus: newBus(ctx), bulbs: bulbs, groups: map[string][]*bulb{}, begin: time.Now()}
	var devices, members []string
	for i, x := range bulbs {
		if x.level.to == 0 {
			x.level = ramp{from: 254, to: 254}
		}
		if x.hue.to == 0 {
			x.hue = ramp{from: 370, to: 370}
		}
		x.old = map[string]any{}
		x.cmds = 0
		vendor := "Philips"
		if x.ikea {
			vendor = "IKEA"
		}
		devices = append(devices, fmt.Sprintf(`{"friendly_name":%q,"ieee_address":"0x%d","definition":{"vendor":%q,"exposes":[{"type":"light","features":[{"name":"state"},{"name":"brightness","value_min":0,"value_max":254},{"name":"color_temp","value_min":250,"value_max":454}]}]}}`,
			strings.TrimPrefix(x.name, "zigbee2mqtt/"), i, vendor))
		members = append(members, fmt.Sprintf(`{"ieee_address":"0x%d","endpoint":1}`, i))
		w.groups["zigbee2mqtt/all"] = append(w.groups["zigbee2mqtt/all"], x)
	}
	w.bus.keep("zigbee2mqtt/bridge/state", `{"state":"online"}`)
	w.bus.keep("zigbee2mqtt/bridge/devices", "["+strings.Join(devices, ",")+"]")
	w.bus.keep("zigbee2mqtt/bridge/groups", `[{"friendly_name":"all","members":[`+strings.Join(members, ",")+`]}]`)
	w.bus.Subscribe("zigbee2mqtt/#", w.handle)
	return w
}

func (w *world) handle(topic string, payload []byte, _ bool) {
	w.frames++
	frame := frame + time.Duration(w.frames%1000)*time.Microsecond // in the order of the messages
	switch {
	case strings.HasSuffix(topic, "/set"):
		time.AfterFunc(frame, func() { w.set(strings.TrimSuffix(topic, "/set"), payload) })
	case strings.HasSuffix(topic, "/get"):
		time.AfterFunc(frame, func() { w.get(strings.TrimSuffix(topic, "/get"), payload) })
	}
}

func (w *world) set(topic string, payload []byte) {
	var m map[string]any
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	group := w.groups[topic]
	for _, x := range w.bulbs {
		if x.name != topic && !slices.Contains(group, x) {
			continue
		}
		if x.dead.Load() {
			x.miss()
		}
		if x.dead.Load() && group == nil {
			continue
		}
		x.mu.Lock()
		before := x.before
		x.before = nil
		x.mu.Unlock()
		if before != nil {
			before()
		}
		now := time.Now()
		x.mu.Lock()
		tt := 0.0
		if v, ok := m["transition"].(float64); ok {
			tt = v
		}
		over := time.Duration(tt * float64(time.Second))
		if !x.dead.Load() {
			x.cmds++
			x.heard = append(x.heard, now)
			if v, ok := m["brightness"].(float64); ok && v > 0 {
				from := x.level.at(now)
				if !x.on && tt > 0 {
					from = 1
				}
				x.on = true
				x.level = ramp{from, v, now, now.Add(over)}
				if x.ikea {
					x.hue = ramp{from: x.hue.at(now), to: x.hue.at(now)}
				}
			}
			if v, ok := m["color_temp"].(float64); ok {
				x.hue = ramp{x.hue.at(now), v, now, now.Add(over)}
				if x.ikea {
					x.level = ramp{from: x.level.at(now), to: x.level.at(now)}
				}
			}
			switch m["state"] {
			case "OFF":
				x.on = false
			case "ON":
				x.on = true
			}
		}
		for k, v := range m {
			if k != "transition" {
				x.old[k] = v
			}
		}
		if _, ok := m["brightness"]; ok {
			x.old["state"] = "ON"
		}
		echo, _ := json.Marshal(x.old)
		x.mu.Unlock()
		w.bus.say(x.name, string(echo))
	}
}

func (w *world) get(topic string, payload []byte) {
	var m map[string]any
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	for _, x := range w.bulbs {
		if x.name != topic || x.dead.Load() || x.mute.Load() {
			continue
		}
		now := time.Now()
		x.mu.Lock()
		for k := range m {
			switch k {
			case "brightness":
				x.old[k] = math.Round(x.level.at(now))
			case "color_temp":
				x.old[k] = math.Round(x.hue.at(now))
			case "state":
				x.old[k] = map[bool]string{true: "ON", false: "OFF"}[x.on]
			}
		}
		answer, _ := json.Marshal(x.old)
		x.mu.Unlock()
		w.bus.say(x.name, string(answer))
	}
}

// power cuts a bulb's power and gives it back.
func (w *world) power(x *bulb, announce bool) {
	x.turn(true, 254)
	x.mu.Lock()
	x.powered = append(x.powered, time.Now())
	x.mu.Unlock()
	if announce {
		w.announce(x)
	}
}

// announce has the bridge say that a bulb has its power again.
func (w *world) announce(x *bulb) {
	x.mu.Lock()
	x.powered = append(x.powered, time.Now())
	x.mu.Unlock()
	w.bus.say("zigbee2mqtt/bridge/event", fmt.Sprintf(`{"type":"device_announce","data":{"friendly_name":%q}}`, strings.TrimPrefix(x.name, "zigbee2mqtt/")))
}

// watch looks at all bulbs every 50 ms for d.
func (w *world) watch(d time.Duration) map[string][]glimpse {
	all := map[string][]glimpse{}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now := time.Now()
		for _, x := range w.bulbs {
			all[x.name] = append(all[x.name], x.seen(now))
		}
	}
	return all
}

// jump is the biggest change in 50 ms.
func jump(g []glimpse) (most float64) {
	for i := 1; i < len(g); i++ {
		most = max(most, math.Abs(g[i].l-g[i-1].l))
	}
	return most
}

// steepest is the biggest change in a second, in L*.
func steepest(g []glimpse) (most float64) {
	for i := 20; i < len(g); i++ {
		most = max(most, math.Abs(g[i].l-g[i-20].l))
	}
	return most
}

// inBubble runs a controller of the roles over a world, on a clock of its own.
func inBubble(t *testing.T, roles map[string][]Lamp, bulbs []*bulb, test func(w *world, c *Controller)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		w := newWorld(t, ctx, bulbs...)
		c := New(w.bus, roles, nil)
		done := make(chan struct{})
		go func() { _ = c.Run(ctx); close(done) }()
		test(w, c)
		stop()
		<-done
		time.Sleep(time.Minute) // for what is on its way
	})
}

func z2m(topics ...string) []Lamp {
	var all []Lamp
	for _, t := range topics {
		all = append(all, Lamp{Driver: "zigbee2mqtt", Topic: "zigbee2mqtt/" + t})
	}
	return all
}
