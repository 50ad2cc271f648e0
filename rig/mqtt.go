//go:build linux

package rig

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Broker is a mosquitto of the test's own.
type Broker struct {
	*Process
	URL  string // with user and password where the configuration asks for them
	Port int

	t    testing.TB
	dir  string
	runs int
}

// Mosquitto starts a mosquitto on a free port of the loopback interface. Each line of conf is added to its
// configuration; without any, everybody may do everything.
func Mosquitto(t testing.TB, conf ...string) *Broker {
	t.Helper()
	b := &Broker{t: t, dir: t.TempDir(), Port: FreePort(t)}
	b.URL = fmt.Sprintf("mqtt://127.0.0.1:%d", b.Port)
	if len(conf) == 0 {
		conf = []string{"allow_anonymous true"}
	}
	lines := append([]string{
		"per_listener_settings false",
		// As root it would change to a user who can't read the test's folder.
		"user root",
		"persistence true",
		"persistence_location " + b.dir + "/",
		"log_dest stderr",
	}, conf...)
	lines = append(lines, fmt.Sprintf("listener %d 127.0.0.1", b.Port))
	if err := os.WriteFile(filepath.Join(b.dir, "mosquitto.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Start()
	return b
}

// Dir is the broker's folder, for password and certificate files.
func (b *Broker) Dir() string { return b.dir }

// Start starts the broker again on its port, after Kill or Stop.
func (b *Broker) Start() {
	b.t.Helper()
	name, err := exec.LookPath("mosquitto")
	if err != nil {
		name = "/usr/sbin/mosquitto" // Debian puts it where only root looks
	}
	b.runs++
	log := filepath.Join(b.dir, fmt.Sprintf("run%d", b.runs))
	if err := os.MkdirAll(log, 0o700); err != nil {
		b.t.Fatal(err)
	}
	b.Process = Run(b.t, log, name, nil, "-c", filepath.Join(b.dir, "mosquitto.conf"))
	Eventually(b.t, "mosquitto listens", func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", b.Port), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// Stop ends the broker as an administrator would: it writes its retained messages first.
func (b *Broker) Stop() {
	b.t.Helper()
	_ = b.Signal(syscall.SIGTERM)
	select {
	case <-b.Done():
	case <-time.After(5 * time.Second):
		b.t.Fatal("mosquitto did not stop")
	}
}

// Freeze stops the broker without ending it, as a machine out of memory does; Thaw lets it go on.
func (b *Broker) Freeze() { _ = b.Signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (b *Broker) Thaw() { _ = b.Signal(syscall.SIGCONT) }

// Peer is a plain MQTT client: somebody else on the broker.
type Peer struct {
	paho.Client
	t    testing.TB
	conn net.Conn
}

// Visit is how a Peer connects, where that matters.
type Visit struct {
	TLS      *tls.Config // for mqtts://
	ClientID string      // empty: one of its own
	Will     string      // the topic of its last will, "will"
	Once     bool        // a connection that was lost is not opened again, and Drop ends it
}

// Dial connects a client of somebody else to the broker at address (mqtt://user:password@host:port).
func Dial(t testing.TB, address string) *Peer {
	t.Helper()
	p, err := Visit{}.Dial(t, address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Dial is the function Dial, with an error where the broker takes no such client.
func (v Visit) Dial(t testing.TB, address string) (*Peer, error) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	o := paho.NewClientOptions().SetClientID(cmp.Or(v.ClientID, fmt.Sprintf("peer-%d", time.Now().UnixNano()))).SetProtocolVersion(4).SetTLSConfig(v.TLS).SetAutoReconnect(!v.Once)
	if v.Will != "" {
		o.SetWill(v.Will, "will", 1, true)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		o.SetUsername(u.User.Username()).SetPassword(password)
		u.User = nil
	}
	o.AddBroker(u.String()).SetMaxReconnectInterval(200 * time.Millisecond)
	p := &Peer{t: t}
	if v.Once {
		o.SetCustomOpenConnectionFn(func(u *url.URL, _ paho.ClientOptions) (c net.Conn, err error) {
			if v.TLS != nil {
				c, err = tls.Dial("tcp", u.Host, v.TLS)
			} else {
				c, err = net.Dial("tcp", u.Host)
			}
			p.conn = c
			return c, err
		})
	}
	p.Client = paho.NewClient(o)
	if token := p.Connect(); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		return nil, fmt.Errorf("connect to %s: %w", u, cmp.Or(token.Error(), os.ErrDeadlineExceeded))
	}
	t.Cleanup(func() { p.Disconnect(0) })
	return p, nil
}

// Drop ends the connection without a word, so that the broker sends the last will.
func (p *Peer) Drop() { p.conn.Close() }

// Say publishes and waits until the broker has it.
func (p *Peer) Say(topic, payload string, retained bool) {
	p.t.Helper()
	if token := p.Publish(topic, 1, retained, payload); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		p.t.Fatalf("publish %s: %v", topic, token.Error())
	}
}

// Hear calls each for every message on filter, in their order, until the test ends. It may Say something itself: it does not run in
// the client's own goroutine, which would wait for an acknowledgement that it has to read.
func (p *Peer) Hear(filter string, each func(topic string, payload []byte, retained bool)) {
	p.t.Helper()
	queue, done, ended := make(chan paho.Message, 4096), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case m := <-queue:
				each(m.Topic(), m.Payload(), m.Retained())
			}
		}
	}()
	p.t.Cleanup(func() { close(done); <-ended })
	token := p.Subscribe(filter, 1, func(_ paho.Client, m paho.Message) {
		select {
		case queue <- m:
		case <-done:
		}
	})
	if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		p.t.Fatalf("subscribe %s: %v", filter, token.Error())
	}
}

// The simulated bulbs, by the name that zigbee2mqtt gives them.
var bulbAddress = map[string]string{
	"room1/hue1": "0x0017880100000001", "room1/hue2": "0x0017880100000002",
	"room1/ikea1": "0x90fd9ffffe000003", "room1/ikea2": "0x90fd9ffffe000004",
}

// BulbNames are the four bulbs in zigbee2mqtt; the group of all is room1/all.
var BulbNames = []string{"room1/hue1", "room1/hue2", "room1/ikea1", "room1/ikea2"}

// Bulbs is zigbee2mqtt with four simulated bulbs. What they really do is in their own log.
type Bulbs struct {
	*Process
	t         testing.TB
	dir       string
	broker    string
	env       []string
	runs, cut int

	mu     sync.Mutex
	taken  int64 // bytes of their log
	events []Event
}

// Point is the light of a bulb at a time: Level 0 to 254 as it would be measured, mired, and whether it is on.
type Point struct {
	At    time.Time
	Level float64
	Mired float64
	On    bool
}

// Shine is what is seen: the level, and nothing while it is off.
func (p Point) Shine() float64 {
	if !p.On {
		return 0
	}
	return p.Level
}

// Zigbee starts zigbee2mqtt with simulated bulbs on a broker and waits until it is online. env are the simulation's
// variables (SIM_REPORT=1 …); SIM_PERSIST=1 is always set, since a bulb does not forget when zigbee2mqtt restarts.
func Zigbee(t testing.TB, broker string, env ...string) *Bulbs {
	t.Helper()
	b := &Bulbs{t: t, dir: t.TempDir(), broker: broker, env: append([]string{"SIM_PERSIST=1"}, env...)}
	b.Start()
	return b
}

// Start starts zigbee2mqtt again after a Kill, and waits until it is online.
func (b *Bulbs) Start() {
	b.t.Helper()
	p := Dial(b.t, b.broker)
	defer p.Disconnect(0)
	online := make(chan struct{}, 16)
	p.Hear("zigbee2mqtt/bridge/state", func(_ string, payload []byte, retained bool) {
		if !retained && strings.Contains(string(payload), "online") {
			online <- struct{}{}
		}
	})
	u, err := url.Parse(b.broker)
	if err != nil {
		b.t.Fatal(err)
	}
	args := []string{filepath.Join(b.dir, "z2m")}
	user := u.User
	u.User = nil
	args = append(args, u.String())
	if user != nil {
		password, _ := user.Password()
		args = append(args, user.Username(), password)
	}
	// One start at a time on this computer: the first one installs what the others would find half there.
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "roomd-zigbee-sim.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		b.t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		b.t.Fatal(err)
	}
	b.runs++
	log := filepath.Join(b.dir, fmt.Sprintf("run%d", b.runs))
	if err := os.MkdirAll(log, 0o700); err != nil {
		b.t.Fatal(err)
	}
	b.Process = Run(b.t, log, filepath.Join(Shared(b.t, "zigbee-sim"), "start"), b.env, args...)
	select {
	case <-online:
	case <-b.Done():
		out, _ := os.ReadFile(filepath.Join(log, "start.log"))
		b.t.Fatalf("zigbee2mqtt ended:\n%s", out)
	case <-time.After(3 * time.Minute): // the first time npm installs it
		b.t.Fatal("zigbee2mqtt is not online")
	}
}

// Cut takes the power from a bulb and gives it back: it is at full light, and announces itself after the time given
// (a very long one for a bulb that never does).
func (b *Bulbs) Cut(name string, announce time.Duration) {
	b.t.Helper()
	b.cut++
	b.control(map[string]any{"n": b.cut, "powercycle": bulbAddress[name], "announceMs": announce.Milliseconds()})
}

// Dead makes the named bulbs unreachable by single commands, and only these.
func (b *Bulbs) Dead(fail time.Duration, names ...string) {
	b.t.Helper()
	dead := []string{}
	for _, n := range names {
		dead = append(dead, bulbAddress[n])
	}
	b.control(map[string]any{"dead": dead, "failMs": fail.Milliseconds()})
}

func (b *Bulbs) control(c map[string]any) {
	b.t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(b.dir, "z2m", "ctl.json")
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		b.t.Fatal(err)
	}
}

// Event is one line of the bulbs' log.
type Event struct {
	At   time.Time
	Kind string // out, cmd, group, read, report, announce, tx-fail
	Bulb string // its name
	Raw  map[string]any
}

// Events is all that the bulbs did since a time, in order.
func (b *Bulbs) Events(since time.Time) []Event {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read()
	since = since.Truncate(time.Millisecond)
	i := sort.Search(len(b.events), func(i int) bool { return !b.events[i].At.Before(since) })
	return slices.Clip(b.events[i:])
}

// read takes in what the bulbs have logged since it was last called.
func (b *Bulbs) read() {
	b.t.Helper()
	f, err := os.Open(filepath.Join(b.dir, "z2m", "sim.jsonl"))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	fresh, err := io.ReadAll(io.NewSectionReader(f, b.taken, math.MaxInt64-b.taken))
	if err != nil {
		b.t.Fatal(err)
	}
	fresh = fresh[:bytes.LastIndexByte(fresh, '\n')+1] // the last line may be half written
	b.taken += int64(len(fresh))
	names := map[string]string{}
	for n, a := range bulbAddress {
		names[a] = n
	}
	for line := range bytes.Lines(fresh) {
		var raw map[string]any
		if json.Unmarshal(line, &raw) != nil {
			continue // zigbee2mqtt was killed in the middle of it
		}
		ms, _ := raw["t"].(float64)
		kind, _ := raw["ev"].(string)
		address, _ := raw["b"].(string)
		b.events = append(b.events, Event{At: time.UnixMilli(int64(ms)), Kind: kind, Bulb: names[address], Raw: raw})
	}
}

// Trace is a bulb's light since a time, from its own log: a point for each change, every 50 ms while it ramps.
func (b *Bulbs) Trace(name string, since time.Time) []Point {
	b.t.Helper()
	var trace []Point
	p := Point{Level: 254, Mired: 370}
	for _, e := range b.Events(time.Time{}) {
		if e.Kind != "out" || e.Bulb != name {
			continue
		}
		v, _ := e.Raw["v"].(float64)
		on, _ := e.Raw["on"].(float64)
		if e.Raw["k"] == "ct" {
			p.Mired = v
		} else {
			p.Level = v
		}
		p.At, p.On = e.At, on != 0
		trace = append(trace, p)
	}
	i := sort.Search(len(trace), func(i int) bool { return !trace[i].At.Before(since.Truncate(time.Millisecond)) })
	return trace[i:]
}

// Now is a bulb's light at present.
func (b *Bulbs) Now(name string) Point {
	b.t.Helper()
	t := b.Trace(name, time.Time{})
	if len(t) == 0 {
		return Point{Level: 254, Mired: 370}
	}
	return t[len(t)-1]
}
