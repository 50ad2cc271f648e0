package desk

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"roomd/room/clinic"
)

// Broker is the desk's own MQTT broker: nats-server with TLS and one user a room. Rooms publish and read their own topics. All of it is in
// memory; a folder is only there because nats-server wants one.
type Broker struct {
	o      BrokerOptions
	server *server.Server
	hub    *nats.Conn
	secret string // of the hub itself
	ready  chan struct{}

	mu    sync.Mutex // guards the rest
	links map[string][]server.ClientAuthentication
}

// BrokerOptions is what a Broker is made of.
type BrokerOptions struct {
	Listen string // HOST:PORT
	TLS    *tls.Config
	Dir    string // nats-server's folder, which is emptied at the start and removed at the end
	// Admit reports whether a room has this secret.
	Admit func(id, secret string) bool
	// Known reports whether a room has this ID.
	Known func(id string) bool
	// Receive gets each message on a room's topics, in order. It must not wait.
	Receive func(id, topic string, payload []byte)
	Log     *slog.Logger
}

const (
	hubUser     = "$hub" // not a room's ID
	linksOfRoom = 4      // a room that comes back may still have a half-open link or two
	brokerStart = 10 * time.Second
	maxMessage  = 16 << 10
	maxStored   = 64 << 20 // of all rooms: retained messages and sessions
)

// streams are what nats-server keeps MQTT in. It would make them on the disk, so they are made before it looks.
var streams = []*nats.StreamConfig{
	{Name: "$MQTT_sess", Subjects: []string{"$MQTT.sess.>"}, MaxMsgsPerSubject: 1, MaxBytes: maxStored / 4},
	{Name: "$MQTT_msgs", Subjects: []string{"$MQTT.msgs.>"}, Retention: nats.InterestPolicy, MaxBytes: maxStored / 8},
	{Name: "$MQTT_qos2in", Subjects: []string{"$MQTT.qos2.in.>"}, Discard: nats.DiscardNew, MaxMsgsPerSubject: 1, DiscardNewPerSubject: true, MaxBytes: maxStored / 8},
	{Name: "$MQTT_out", Subjects: []string{"$MQTT.out.>"}, Retention: nats.InterestPolicy, MaxBytes: maxStored / 8},
	{Name: "$MQTT_rmsgs", Subjects: []string{"$MQTT.rmsgs.>"}, MaxMsgsPerSubject: 1, MaxBytes: maxStored / 4},
}

// StartBroker starts a broker. It listens when StartBroker returns.
func StartBroker(o BrokerOptions) (*Broker, error) {
	host, text, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for rooms: %w", err)
	}
	port, err := net.LookupPort("tcp", text)
	if err != nil {
		return nil, fmt.Errorf("listen for rooms: %w", err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	} else if l, err := net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("listen for rooms on %s: %w", o.Listen, err) // nats-server would only log it
	} else {
		l.Close()
	}
	b := &Broker{o: o, secret: rand.Text(), ready: make(chan struct{}), links: map[string][]server.ClientAuthentication{}}
	if err := errors.Join(os.RemoveAll(o.Dir), os.Mkdir(o.Dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make the broker's folder: %w", err)
	}
	b.server, err = server.NewServer(&server.Options{
		ServerName: "roomd-desk", DontListen: true, NoSigs: true, NoLog: true, MaxPayload: maxMessage, MaxPending: 1 << 20, MaxSubs: 64, MaxConn: 10_000,
		JetStream: true, StoreDir: o.Dir, JetStreamMaxMemory: maxStored, JetStreamMaxStore: 1, // a store of one byte takes nothing
		CustomClientAuthentication: b,
		MQTT: server.MQTTOpts{Host: host, Port: port, TLSConfig: o.TLS, TLSTimeout: brokerStart.Seconds(), AuthTimeout: brokerStart.Seconds(),
			ConsumerMemoryStorage: true, MaxAckPending: 64},
	})
	if err == nil {
		b.server.SetLoggerV2(brokerLog{o.Log}, false, false, false)
		b.server.Start()
		err = b.open()
	}
	close(b.ready) // where it failed too: Check must not wait for ever
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	return b, nil
}

// open makes the streams and subscribes, before any room is let in.
func (b *Broker) open() error {
	if !b.server.ReadyForConnections(brokerStart) {
		return errors.New("it does not listen")
	}
	var err error
	b.hub, err = nats.Connect("", nats.InProcessServer(b.server), nats.UserInfo(hubUser, b.secret), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	js, err := b.hub.JetStream()
	if err != nil {
		return err
	}
	for _, s := range streams {
		cfg := *s
		cfg.Storage = nats.MemoryStorage
		if _, err := js.AddStream(&cfg); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	// NATS has dots where MQTT has slashes.
	_, err = b.hub.Subscribe(clinic.Root+".*.*", func(m *nats.Msg) {
		levels := strings.Split(m.Subject, ".")
		b.o.Receive(levels[1], levels[2], m.Data)
	})
	if err != nil {
		return err
	}
	return b.hub.Flush()
}

// Port returns the port that rooms connect to.
func (b *Broker) Port() string {
	varz, err := b.server.Varz(nil)
	if err != nil {
		return ""
	}
	return strconv.Itoa(varz.MQTT.Port)
}

// roomID is what an ID may be: one level of a topic, and one token of a NATS subject.
var roomID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Check lets a room in that has its secret and does not take another room's client ID, which would throw that room off.
func (b *Broker) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if o.Username == hubUser {
		return subtle.ConstantTimeCompare([]byte(o.Password), []byte(b.secret)) == 1
	}
	<-b.ready
	id := o.Username
	if !roomID.MatchString(id) || !b.ownClientID(c.GetID(), id) || !b.link(id, c) {
		return false
	}
	// The link is known before the secret is compared, so that Drop, which comes after the secret is forgotten, finds it.
	if !b.o.Admit(id, o.Password) {
		b.unlink(id, c)
		return false
	}
	topic := func(last string) string { return clinic.Root + "." + id + "." + last }
	c.RegisterUser(&server.User{Username: id, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{topic(clinic.States), topic(clinic.Status), topic(clinic.Abouts)}},
		Subscribe: &server.SubjectPermission{Allow: []string{clinic.Root + "." + id, topic(">")}},
	}})
	return true
}

// ownClientID reports whether the connection's client ID is the room's ID, alone or with something behind a hyphen. An ID may hold a
// hyphen too: then the client ID belongs to the room with the longest ID that fits.
func (b *Broker) ownClientID(conn uint64, id string) bool {
	z, err := b.server.Connz(&server.ConnzOptions{CID: conn})
	if err != nil || len(z.Conns) != 1 {
		return false
	}
	client := z.Conns[0].MQTTClient
	rest, ok := strings.CutPrefix(client, id)
	if !ok || rest != "" && rest[0] != '-' {
		return false
	}
	for longer := client; len(longer) > len(id); longer = longer[:strings.LastIndexByte(longer, '-')] {
		if b.o.Known(longer) {
			return false
		}
	}
	return true
}

// link notes a room's connection. It reports whether the room may have one more.
func (b *Broker) link(id string, c server.ClientAuthentication) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := slices.DeleteFunc(b.links[id], func(c server.ClientAuthentication) bool { return b.server.GetClient(c.GetID()) == nil })
	ok := len(open) < linksOfRoom
	if ok {
		open = append(open, c)
	}
	b.links[id] = open
	return ok
}

func (b *Broker) unlink(id string, c server.ClientAuthentication) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links[id] = slices.DeleteFunc(b.links[id], func(other server.ClientAuthentication) bool { return other == c })
	if len(b.links[id]) == 0 {
		delete(b.links, id)
	}
}

// Drop ends a room's connections and forgets what the room has published. Admit must not let the room in any more.
func (b *Broker) Drop(ctx context.Context, id string) error {
	b.mu.Lock()
	links := b.links[id]
	delete(b.links, id)
	b.mu.Unlock()
	for _, c := range links {
		// Without rights its last will is not published.
		c.RegisterUser(&server.User{Username: id, Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{">"}}}})
		_ = b.server.DisconnectClientByID(c.GetID()) // it has gone by itself
	}
	js, err := b.hub.JetStream()
	if err == nil {
		err = js.PurgeStream("$MQTT_rmsgs", &nats.StreamPurgeRequest{Subject: "$MQTT.rmsgs." + clinic.Root + "." + id + ".>"}, nats.Context(ctx))
	}
	if err != nil {
		return fmt.Errorf("forget the room's messages: %w", err)
	}
	return nil
}

// Close ends all connections and removes the broker's folder.
func (b *Broker) Close() {
	if b.hub != nil {
		b.hub.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	if err := os.RemoveAll(b.o.Dir); err != nil {
		b.o.Log.Warn("the broker's folder can't be removed", "folder", b.o.Dir, "err", err)
	}
}

// brokerLog takes nats-server's lines. They name addresses and client IDs, and a stranger can cause as many as it likes.
type brokerLog struct{ log *slog.Logger }

func (l brokerLog) say(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "broker: "+fmt.Sprintf(format, v...))
}

func (l brokerLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l brokerLog) Warnf(format string, v ...any)   { l.say(slog.LevelDebug, format, v) }
func (l brokerLog) Errorf(format string, v ...any)  { l.say(slog.LevelDebug, format, v) }
func (l brokerLog) Fatalf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l brokerLog) Debugf(string, ...any)           {}
func (l brokerLog) Tracef(string, ...any)           {}
