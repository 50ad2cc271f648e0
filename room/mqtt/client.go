// Package mqtt is the room's connection to its broker, and Local where the room has none. It is the only place that
// knows paho.
//
// Two kinds of message leave by it. A command (Publish) is worth something now or never: QoS 0, never retained, an error
// at once where the connection is not open, and never delivered late. A fact about the room (Retain) is worth something
// until the next one: it is retained, and all of them are published again at each connect, because a broker that was killed
// has lost them.
package mqtt

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// ErrNotOpen is the error of a command while there is no connection.
var ErrNotOpen = errors.New("no connection to the broker")

// ErrBusy is the error of a command while the broker takes nothing.
var ErrBusy = errors.New("the broker takes no messages")

const (
	outQueue    = 256                    // commands that wait for the connection's writer
	echoOfOne   = 3 * time.Second        // our own status comes back from the broker within it
	echoOfMany  = 30 * time.Second       // the same, where Spread says that many clients share the broker
	connectOne  = 3 * time.Second        // an attempt to connect
	connectMany = 7 * time.Second        // the same, where Spread says that many clients share the broker
	quietFor    = time.Second            // after it came back: nobody else claims it
	correctIn   = 100 * time.Millisecond // between two corrections of what another client says on our status topic
	twinShown   = 10 * time.Minute       // how long the page mentions another client on our status topic
	commandAge  = 500 * time.Millisecond // a command that waited longer is stale and is dropped
)

// Options says which broker, and as whom.
type Options struct {
	Broker string // mqtt://user:password@host:1883, or mqtts://…
	CA     string // PEM file that signs an mqtts broker's certificate; empty for the system's
	// Authority, in PEM, replaces CA. It signs for this broker alone, so its signature counts whatever the broker's address and
	// whatever this computer's date: a room whose clock is years off still reaches it.
	Authority []byte
	// ClockSet reports whether this computer's date can be right; nil: it is. As long as it can't, the date does not count for any
	// other certificate either, only its authority and name: a Pi without a battery wakes up in another year, or when it was shut down.
	ClockSet func(time.Time) bool
	ClientID string // empty for a random one: two clients of one name throw each other out for ever
	Status   string // topic of the last will; empty for none. It says {"state":"online"} or {"state":"offline"}, retained
	Boot     string // of this process, told in the status: a late will can't mark a restarted room dead
	Was      string // boot of the process before this one, whose will may come late
	// KeepAlive is how long the connection may be silent before it is tested, in whole seconds; 0 for 5 s.
	KeepAlive time.Duration
	// Spread is the longest time from the start of one attempt to connect to the start of the next; 0 is a pause of 1 s after each attempt.
	// If it is over 1 s, the times are random, so that a thousand clients don't come back at once: up to 1 s before the first attempt
	// after a loss, then 1 s to Spread. Each attempt may then take 7 s instead of 3: a busy broker never gets done with clients that
	// give up and begin again.
	Spread time.Duration
	// Yield is called when another client claims Status, has had it for longer and is alive: a copy of this room. It should
	// call Rename, and may take its time.
	Yield func()
	Log   *slog.Logger
}

// Problem is what is wrong with the connection: the code of its sentence in room/english.json, and the names and values of
// its arguments in turn.
type Problem struct {
	Code string
	Args []any
}

// Client is one connection to a broker that comes back by itself. Its methods may be called from anywhere and never
// wait for the network.
type Client struct {
	log      *slog.Logger
	host     string
	boot     string
	was      string
	yield    func()
	options  *paho.ClientOptions // without a will
	renaming sync.Mutex          // held by Rename and Close

	inbox inbox
	out   chan command
	wake  chan struct{}      // there is something in dirty or unsent
	flush chan chan struct{} // what is sent on it is closed once nothing is
	done  chan struct{}
	ended sync.WaitGroup

	open   atomic.Bool
	tried  atomic.Int32 // attempts to connect since the last connection
	spread time.Duration

	droppedOut, stale, sent atomic.Uint64

	mu       sync.Mutex // guards what follows
	paho     paho.Client
	connects int // number of connections so far
	status   string
	unsent   []string                 // filters that the broker has not seen yet
	retained map[string][]byte        // ours, by topic
	made     map[string]func() []byte // of RetainMade, by topic
	dirty    []string                 // topics of retained whose value the broker has not seen yet
	hooks    []func(bool)
	problem  *Problem
	denied   []string
	echo     *time.Timer // runs until the broker has told us our own status; nil without a status
	withheld bool        // it has not, so it withholds what we write or read
	claim    claim
	closing  bool
	began    time.Time // when the last attempt to connect began
}

type command struct {
	topic   string
	payload []byte
	at      time.Time
}

// Dial starts to connect and returns at once; an error means that the options can't be used. Whether the broker
// answers is told by OnConnect, Open and Problem.
func Dial(o Options) (*Client, error) {
	u, err := url.Parse(o.Broker)
	if err != nil {
		// url.Error holds the whole address, and with it the password.
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err
		}
		return nil, fmt.Errorf("broker address: %w", err)
	}
	port := map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	if port == "" || u.Hostname() == "" {
		return nil, fmt.Errorf("broker address %s is not mqtt://HOST or mqtts://HOST", u.Redacted())
	}
	if u.Port() == "" {
		u.Host += ":" + port
	}
	c := &Client{
		log: o.Log, host: u.Host, status: o.Status, boot: o.Boot, was: o.Was, yield: o.Yield,
		inbox: newInbox(), out: make(chan command, outQueue),
		wake: make(chan struct{}, 1), flush: make(chan chan struct{}), done: make(chan struct{}),
		retained: map[string][]byte{}, made: map[string]func() []byte{}, spread: o.Spread,
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.problem = c.explain(nil)
	if o.ClientID == "" {
		var b [6]byte
		crand.Read(b[:])
		o.ClientID = "roomd-" + hex.EncodeToString(b[:])
	}
	po := paho.NewClientOptions()
	if u.Scheme == "mqtts" {
		t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
		switch {
		case len(o.Authority) > 0:
			if err := trustOnly(t, o.Authority); err != nil {
				return nil, fmt.Errorf("broker certificate authority: %w", err)
			}
		case o.CA != "":
			text, err := os.ReadFile(o.CA)
			if err != nil {
				return nil, fmt.Errorf("broker certificate authority: %w", err)
			}
			t.RootCAs = x509.NewCertPool()
			if !t.RootCAs.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("broker certificate authority: no certificate in %s", o.CA)
			}
		}
		if o.ClockSet != nil && len(o.Authority) == 0 {
			trustUndated(t, o.ClockSet)
		}
		po.SetTLSConfig(t)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		po.SetUsername(u.User.Username()).SetPassword(password)
		u.User = nil
	}
	po.AddBroker(u.String()).
		SetClientID(o.ClientID).
		SetProtocolVersion(4). // else a refused password is tried a second time as MQTT 3.1
		SetCleanSession(true). // nothing of the last connection is delivered in the next
		SetKeepAlive(cmp.Or(o.KeepAlive, 5*time.Second)).SetPingTimeout(2 * time.Second).
		SetConnectTimeout(connectOne).SetWriteTimeout(2 * time.Second).
		// paho's back-off grows to ten minutes and is kept over good connections.
		SetMaxReconnectInterval(time.Second).
		SetConnectRetry(true).SetConnectRetryInterval(time.Second).
		// Handlers run in order, because receive only queues; out of order paho starts a goroutine for each message.
		SetOrderMatters(true).
		SetDefaultPublishHandler(c.receive).
		SetConnectionNotificationHandler(c.notified)
	if c.spread > time.Second {
		// The pauses are in pause alone.
		po.SetMaxReconnectInterval(time.Millisecond).SetConnectRetryInterval(time.Millisecond).SetConnectTimeout(connectMany)
		po.SetConnectionAttemptHandler(func(_ *url.URL, t *tls.Config) *tls.Config {
			c.pause()
			return t
		})
	}
	c.options = po
	if c.status != "" {
		c.listenToSelf()
	}
	c.dial()
	c.ended.Go(c.write)
	c.ended.Go(func() { c.inbox.dispatch(c.done) })
	c.client().Connect() // its token never completes while a password is wrong: never wait for it
	return c, nil
}

// trustOnly has t accept the certificates that authority has signed, and no others.
func trustOnly(t *tls.Config, authority []byte) error {
	block, _ := pem.Decode(authority)
	if block == nil {
		return errors.New("no certificate in it")
	}
	by, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	t.InsecureSkipVerify = true // VerifyConnection does it
	t.VerifyConnection = func(s tls.ConnectionState) error {
		if err := s.PeerCertificates[0].CheckSignatureFrom(by); err != nil {
			return x509.UnknownAuthorityError{Cert: s.PeerCertificates[0]}
		}
		return nil
	}
	return nil
}

// trustUndated makes t verify certificates as crypto/tls does, but while the clock is not set, as of a date when they had become valid.
func trustUndated(t *tls.Config, set func(time.Time) bool) {
	host, roots := t.ServerName, t.RootCAs
	t.InsecureSkipVerify = true // VerifyConnection does it
	t.VerifyConnection = func(s tls.ConnectionState) error {
		o := x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: time.Now()}
		unset := !set(o.CurrentTime)
		if unset {
			o.CurrentTime = s.PeerCertificates[0].NotBefore
		}
		for _, c := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
			if unset && c.NotBefore.After(o.CurrentTime) {
				o.CurrentTime = c.NotBefore
			}
		}
		_, err := s.PeerCertificates[0].Verify(o)
		return err
	}
}

// pause waits before an attempt to connect, until Close at most.
func (c *Client) pause() {
	d := rand.N(time.Second)
	c.mu.Lock()
	if c.tried.Add(1) > 1 {
		d = time.Second + rand.N(c.spread-time.Second) - time.Since(c.began)
	}
	c.began = time.Now().Add(max(0, d))
	c.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.done:
	}
}

// dial makes a paho client with the will of our status.
func (c *Client) dial() {
	po := *c.options
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != "" {
		po.SetWill(c.status, c.says("offline"), 1, true)
		c.retained[c.status] = []byte(c.says("online"))
	}
	c.paho = paho.NewClient(&po)
}

func (c *Client) client() paho.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paho
}

// says is the payload of our status; mu is held.
func (c *Client) says(state string) string {
	b, _ := json.Marshal(status{state, c.boot, c.claim.since})
	return string(b)
}

// Open tells whether the connection stands.
func (c *Client) Open() bool { return c.open.Load() }

// OnConnect has hook called after each connect, with our subscriptions and retained topics in place, and after each
// loss. It must not wait.
func (c *Client) OnConnect(hook func(open bool)) {
	c.mu.Lock()
	c.hooks = append(c.hooks, hook)
	c.mu.Unlock()
	if c.Open() {
		hook(true)
	}
}

// Publish sends a command: QoS 0, never retained. It returns ErrNotOpen where there is no connection and ErrBusy where
// the broker takes nothing; a nil error says that it was handed over, not that anybody got it.
func (c *Client) Publish(topic string, payload []byte) error {
	if !c.Open() {
		return ErrNotOpen
	}
	select {
	case c.out <- command{topic, payload, time.Now()}:
		return nil
	default:
		c.droppedOut.Add(1)
		return ErrBusy
	}
}

// Retain makes payload the retained message of topic, now and after every connect; an empty payload removes it.
func (c *Client) Retain(topic string, payload []byte) {
	c.mu.Lock()
	c.retained[topic] = slices.Clone(payload)
	delete(c.made, topic)
	c.soil(topic)
	c.mu.Unlock()
}

// RetainMade is Retain with a payload that make makes each time it is sent, so that one that was true before an outage is never
// sent after it. make is called by the client's writer, one call at a time, and must not wait.
func (c *Client) RetainMade(topic string, make func() []byte) {
	c.mu.Lock()
	c.retained[topic], c.made[topic] = []byte{}, make
	c.soil(topic)
	c.mu.Unlock()
}

// Republish has all that is retained published again: whoever reads it may have lost it.
func (c *Client) Republish() {
	c.mu.Lock()
	for t := range c.retained {
		c.soil(t)
	}
	slices.Sort(c.dirty)
	c.mu.Unlock()
}

// Subscribe has handle called for each message on the topics of filter, over all connections, in the order of their
// arrival. Handlers share one goroutine: one that waits holds up the others, and messages that pile up are dropped and counted.
func (c *Client) Subscribe(filter string, handle func(topic string, payload []byte, retained bool)) {
	c.inbox.subscribe(subscription{filter, handle})
	c.mu.Lock()
	c.unsent = append(c.unsent, filter)
	c.mu.Unlock()
	c.poke()
}

// Problem is what is wrong with the connection; nil when nothing is.
func (c *Client) Problem() *Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.problem == nil && len(c.denied) > 0 {
		return say("broker-denies", "topics", strings.Join(c.denied, ", "))
	}
	if c.problem == nil && c.withheld {
		return say("broker-withholds", "root", strings.TrimSuffix(c.status, "/status"))
	}
	if c.problem == nil && c.claim.problem != nil && time.Since(c.claim.seen) < twinShown {
		return c.claim.problem
	}
	return c.problem
}

// Dropped counts the messages that were lost on purpose, by reason: "in" came faster than they were handled, "out"
// found the broker busy, "stale" waited too long to be sent.
func (c *Client) Dropped() map[string]uint64 {
	return map[string]uint64{"in": c.inbox.dropped.Load(), "out": c.droppedOut.Load(), "stale": c.stale.Load()}
}

// Sent counts the retained messages that were handed to a connection.
func (c *Client) Sent() uint64 { return c.sent.Load() }

// Close says goodbye: what is retained is sent, the status becomes offline, and the connection ends. It takes half a second at most.
func (c *Client) Close() {
	c.renaming.Lock()
	defer c.renaming.Unlock()
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.closing = true
	if c.echo != nil {
		c.echo.Stop()
		c.claim.quiet.Stop()
		c.claim.correct.Stop()
	}
	conn, topic, offline := c.paho, c.status, c.says("offline")
	c.mu.Unlock()
	if c.Open() {
		ctx, stop := context.WithTimeout(context.Background(), 250*time.Millisecond)
		defer stop()
		sent := make(chan struct{})
		select {
		case c.flush <- sent:
			select {
			case <-sent:
			case <-ctx.Done():
			}
		case <-ctx.Done(): // a broker that takes nothing holds up the writer
		}
		if topic != "" {
			select {
			case <-conn.Publish(topic, 1, true, offline).Done():
			case <-ctx.Done():
			}
		}
	}
	conn.Disconnect(250)
	c.open.Store(false)
	close(c.done)
	c.ended.Wait()
}

func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// receive runs in paho's reader and must not wait.
func (c *Client) receive(_ paho.Client, m paho.Message) {
	c.inbox.put(message{m.Topic(), m.Payload(), m.Retained()})
}

// write is the only goroutine that hands messages to paho, so that a broker that takes nothing holds up nobody else.
func (c *Client) write() {
	for {
		select {
		case <-c.done:
			return
		case <-c.wake:
			c.catchUp()
		case sent := <-c.flush:
			c.catchUp()
			close(sent)
		case m := <-c.out:
			if time.Since(m.at) > commandAge || !c.Open() {
				c.stale.Add(1)
				continue
			}
			// A subscription made before this command has to be there before its answer.
			c.catchUp()
			c.client().Publish(m.topic, 0, false, m.payload)
		}
	}
}

// catchUp sends the subscriptions and retained values that the broker has not seen.
func (c *Client) catchUp() {
	c.mu.Lock()
	if !c.Open() || len(c.unsent)+len(c.dirty) == 0 {
		c.mu.Unlock()
		return
	}
	conn, connects, filters, topics := c.paho, c.connects, c.unsent, c.dirty
	c.unsent, c.dirty = nil, nil
	c.mu.Unlock()
	if len(filters) > 0 {
		want := map[string]byte{}
		for _, f := range filters {
			want[f] = 0
		}
		token := conn.SubscribeMultiple(want, nil)
		go c.granted(token)
	}
	for _, t := range topics {
		c.mu.Lock()
		if c.connects != connects {
			c.mu.Unlock()
			return // the client reconnected, and sends everything again
		}
		// What is sent now also answers requests that came in since.
		c.dirty = slices.DeleteFunc(c.dirty, func(d string) bool { return d == t })
		value, there := c.retained[t]
		fresh := c.made[t]
		if len(value) == 0 && fresh == nil {
			delete(c.retained, t)
		}
		c.mu.Unlock()
		if !there {
			continue // Rename gave the topic away
		}
		if fresh != nil {
			value = fresh()
		}
		// With QoS 1 paho sends what it holds unanswered once more on each connect, after what is newer; and it writes
		// to the message while that is being sent. All of it is published anew on each connect anyway.
		conn.Publish(t, 0, true, value)
		c.sent.Add(1)
	}
}

// granted looks at the broker's answer to a subscription. Some brokers (mosquitto 2.0) grant what they then withhold.
func (c *Client) granted(token paho.Token) {
	if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
		return // the connection went; the next one subscribes again
	}
	var refused []string
	for f, code := range token.(*paho.SubscribeToken).Result() {
		if code == 0x80 {
			refused = append(refused, f)
		}
	}
	if len(refused) == 0 {
		return
	}
	c.log.Error("broker refuses subscriptions", "topics", refused)
	c.mu.Lock()
	for _, f := range refused {
		if !slices.Contains(c.denied, f) {
			c.denied = append(c.denied, f)
		}
	}
	c.mu.Unlock()
}

// notified gets paho's news of the connection, each in a goroutine of its own or in the connecting one.
func (c *Client) notified(from paho.Client, n paho.ConnectionNotification) {
	if from != c.client() {
		return // of before a Rename
	}
	switch n := n.(type) {
	case paho.ConnectionNotificationConnected:
		c.connected()
	case paho.ConnectionNotificationLost:
		c.lost(n.Reason)
	case paho.ConnectionNotificationFailed:
		p := c.explain(n.Reason)
		c.mu.Lock()
		news := c.problem == nil || c.problem.Code != p.Code
		c.problem = p
		c.mu.Unlock()
		if news {
			c.log.Warn("broker can't be reached", "broker", c.host, "err", n.Reason)
		}
	}
}

func (c *Client) connected() {
	c.mu.Lock()
	if !c.paho.IsConnectionOpen() || c.closing {
		c.mu.Unlock()
		return
	}
	c.tried.Store(0)
	c.connects++
	c.problem, c.denied, c.withheld = nil, nil, false
	if c.echo != nil {
		c.echo.Reset(c.echoWithin())
		c.claim.quiet.Stop()
		c.claim.settled = false
	}
	c.unsent, c.dirty = c.inbox.filters(), nil
	for t := range c.retained {
		c.dirty = append(c.dirty, t)
	}
	slices.Sort(c.dirty)
	c.open.Store(true)
	hooks := slices.Clone(c.hooks)
	c.mu.Unlock()
	c.poke()
	c.log.Info("broker connected", "broker", c.host)
	for _, hook := range hooks {
		hook(true)
	}
}

func (c *Client) lost(err error) {
	c.mu.Lock()
	// Both notifications come in goroutines of their own: a loss that is told after the next connect is old news.
	if c.paho.IsConnectionOpen() || c.closing {
		c.mu.Unlock()
		return
	}
	c.open.Store(false)
	c.claim.settled = false
	c.problem = c.explain(err)
	hooks := slices.Clone(c.hooks)
	c.mu.Unlock()
	c.log.Warn("broker lost", "broker", c.host, "err", err)
	for _, hook := range hooks {
		hook(false)
	}
}

// Match tells whether an MQTT filter covers a topic (MQTT 3.1.1, 4.7).
func Match(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") != strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		f, frest, fmore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, trest, tmore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		if !fmore || !tmore {
			return fmore == tmore || (fmore && frest == "#")
		}
		filter, topic = frest, trest
	}
}
