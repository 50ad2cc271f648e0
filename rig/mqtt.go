package rig

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
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
	b.Process = Run(b.t, log, name, nil, "-c", filepath.Join(b.dir, "mosquitto.conf"))
	Eventually(b.t, 5*time.Second, "mosquitto listens", func() bool {
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
	t testing.TB
}

// Dial connects a client of somebody else to the broker at address (mqtt://user:password@host:port).
func Dial(t testing.TB, address string) *Peer {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	o := paho.NewClientOptions().SetClientID(fmt.Sprintf("peer-%d", time.Now().UnixNano())).SetProtocolVersion(4)
	if u.User != nil {
		password, _ := u.User.Password()
		o.SetUsername(u.User.Username()).SetPassword(password)
		u.User = nil
	}
	o.AddBroker(u.String()).SetMaxReconnectInterval(200 * time.Millisecond)
	p := &Peer{paho.NewClient(o), t}
	if token := p.Connect(); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		t.Fatalf("connect to %s: %v", u, token.Error())
	}
	t.Cleanup(func() { p.Disconnect(0) })
	return p
}

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
	f, err := os.Open(filepath.Join(b.dir, "z2m", "sim.jsonl"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	names := map[string]string{}
	for n, a := range bulbAddress {
		names[a] = n
	}
	var all []Event
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var raw map[string]any
		if json.Unmarshal(s.Bytes(), &raw) != nil {
			continue // the last line, half written
		}
		ms, _ := raw["t"].(float64)
		at := time.UnixMilli(int64(ms))
		if at.Before(since.Truncate(time.Millisecond)) {
			continue
		}
		kind, _ := raw["ev"].(string)
		address, _ := raw["b"].(string)
		all = append(all, Event{At: at, Kind: kind, Bulb: names[address], Raw: raw})
	}
	return all
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
