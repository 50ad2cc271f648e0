package mqtt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
)

// BrokerOptions is where the embedded broker listens and keeps its retained messages.
type BrokerOptions struct {
	Dir      string // its own folder; it is made where it is not there
	Host     string // default 127.0.0.1
	Port     int    // 0 for a free one
	User     string // default "roomd"
	Password string // default: one of its own, made once and kept in Dir
	Log      *slog.Logger
}

// Broker is the broker of a room that has none: nats-server, which speaks MQTT 3.1.1.
type Broker struct {
	ns    *server.Server
	url   string
	spare string // the folder that it has instead of its own; empty: none
}

// Embed starts a broker. What an earlier one retained in Dir is there again, also after a power cut; where that
// can't be read it is set aside beside Dir and the broker starts anew. Where Dir can't be written, or its disk is full,
// what is retained is kept elsewhere until the broker is closed.
func Embed(o BrokerOptions) (*Broker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.User == "" {
		o.User = "roomd"
	}
	dir, spare := o.Dir, ""
	if err := hasRoom(dir); err != nil {
		var none error
		if spare, none = spareFolder(err); none != nil {
			return nil, fmt.Errorf("broker's folder: %w", none)
		}
		o.Log.Warn("the broker's folder can't be written: what it retains is lost when roomd ends", "folder", dir, "err", err)
		dir = spare
	}
	if o.Password == "" {
		password, err := keptPassword(filepath.Join(o.Dir, "password"))
		if err != nil && (spare == "" || password == "") {
			return nil, fmt.Errorf("broker's password: %w", err)
		}
		o.Password = password
	}
	store := filepath.Join(dir, "store")
	b, err := embed(o, store)
	for tries := 0; o.Port == 0 && errors.Is(err, errTaken) && tries < 5; tries++ {
		b, err = embed(o, store)
	}
	if errors.Is(err, errTaken) && spare == "" {
		return nil, err
	}
	if err == nil {
		b.spare = spare
		return b, nil
	}
	if spare != "" {
		return nil, errors.Join(err, os.RemoveAll(spare))
	}
	if _, serr := os.Stat(store); serr != nil {
		return nil, err
	}
	aside := fmt.Sprintf("%s.broken-%d", store, time.Now().Unix())
	if rerr := os.Rename(store, aside); rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	o.Log.Error("broker's store is broken and was set aside", "aside", aside, "err", err)
	return embed(o, store)
}

// errTaken: another program has the port, or took the free one just before the broker did.
var errTaken = errors.New("the broker's port is in use")

func embed(o BrokerOptions, store string) (*Broker, error) {
	// Asked for here, since nats-server would wait ten seconds on a port that is in use and say it only in its log.
	l, err := net.Listen("tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: %w", errTaken, err)
	}
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	o.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	// Each start makes a reader of the retained messages for itself, which a kill leaves behind for five minutes of running:
	// hundreds of them, after many kills, are more than the store takes.
	if err := os.RemoveAll(filepath.Join(store, "jetstream", "$G", "streams", "$MQTT_rmsgs", "obs")); err != nil {
		return nil, fmt.Errorf("broker's store: %w", err)
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: "roomd",
		DontListen: true, // nobody speaks NATS to it
		NoSigs:     true, NoSystemAccount: true,
		JetStream: true, StoreDir: store,
		JetStreamMaxMemory: 16 << 20, JetStreamMaxStore: 256 << 20,
		MaxPayload: 1 << 20,
		MQTT: server.MQTTOpts{
			Host: o.Host, Port: o.Port, Username: o.User, Password: o.Password,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	log := &natsLog{log: o.Log}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	b := &Broker{ns: ns, url: (&url.URL{Scheme: "mqtt", User: url.UserPassword(o.User, o.Password),
		Host: net.JoinHostPort(o.Host, strconv.Itoa(o.Port))}).String()}
	for deadline := time.Now().Add(5 * time.Second); !ns.ReadyForConnections(30 * time.Millisecond); {
		if strings.Contains(log.last(), "address already in use") {
			b.Close()
			return nil, fmt.Errorf("%w: %s", errTaken, log.last())
		}
		if log.gaveUp() || time.Now().After(deadline) {
			b.Close()
			return nil, fmt.Errorf("broker does not start: %s", log.last())
		}
	}
	if err := b.works(o); err != nil {
		b.Close()
		return nil, fmt.Errorf("broker does not work: %w (%s)", err, log.last())
	}
	return b, nil
}

// works puts one retained message through the broker: a store that can't be read shows only here.
func (b *Broker) works(o BrokerOptions) error {
	host := o.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	c := paho.NewClient(paho.NewClientOptions().
		AddBroker("mqtt://" + net.JoinHostPort(host, strconv.Itoa(o.Port))).
		SetUsername(o.User).SetPassword(o.Password).SetClientID("roomd-self-check").
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(3 * time.Second))
	defer c.Disconnect(0)
	for _, t := range []func() paho.Token{
		c.Connect,
		func() paho.Token { return c.Publish("roomd/self-check", 1, true, "{}") },
		func() paho.Token { return c.Publish("roomd/self-check", 1, true, "") },
	} {
		token := t()
		if !token.WaitTimeout(2 * time.Second) {
			return errors.New("no answer within 2 s")
		}
		if err := token.Error(); err != nil {
			return err
		}
	}
	return nil
}

// URL is the broker's address with its user and password, as Options.Broker takes it.
func (b *Broker) URL() string { return b.url }

// Close ends the broker and waits until its store is on disk.
func (b *Broker) Close() {
	b.ns.Shutdown()
	b.ns.WaitForShutdown()
	if b.spare != "" {
		_ = os.RemoveAll(b.spare)
	}
}

// hasRoom makes a folder where it is not there, and says why a broker can't keep its messages in it.
func hasRoom(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	probe := filepath.Join(dir, "probe")
	err := os.WriteFile(probe, make([]byte, 512<<10), 0o600)
	return errors.Join(err, os.Remove(probe))
}

// spareFolder is a new folder with room, on another disk or in memory; why is what is wrong with the broker's own.
func spareFolder(why error) (string, error) {
	for _, parent := range []string{os.TempDir(), "/dev/shm"} {
		dir, err := os.MkdirTemp(parent, "roomd-broker")
		if err == nil {
			if err = hasRoom(dir); err == nil {
				return dir, nil
			}
			err = errors.Join(err, os.RemoveAll(dir))
		}
		why = errors.Join(why, err)
	}
	return "", why
}

// keptPassword reads the password in file, or makes one where there is none.
func keptPassword(file string) (string, error) {
	b, err := os.ReadFile(file)
	if password := strings.TrimSpace(string(b)); err == nil && password != "" {
		return password, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	return password, os.WriteFile(file, []byte(password+"\n"), 0o600)
}

// natsLog passes on what nats-server complains of. Its own Fatalf would end the process.
type natsLog struct {
	log   *slog.Logger
	mu    sync.Mutex
	worst string
	fatal bool
}

func (l *natsLog) note(level slog.Level, format string, v []any) {
	says := fmt.Sprintf(format, v...)
	l.mu.Lock()
	l.worst = says
	l.mu.Unlock()
	l.log.Log(context.Background(), level, "embedded broker", "says", says)
}

func (l *natsLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.worst
}

func (l *natsLog) gaveUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *natsLog) Noticef(string, ...any)         {}
func (l *natsLog) Debugf(string, ...any)          {}
func (l *natsLog) Tracef(string, ...any)          {}
func (l *natsLog) Warnf(format string, v ...any)  { l.note(slog.LevelDebug, format, v) }
func (l *natsLog) Errorf(format string, v ...any) { l.note(slog.LevelError, format, v) }
func (l *natsLog) Fatalf(format string, v ...any) {
	l.note(slog.LevelError, format, v)
	l.mu.Lock()
	l.fatal = true
	l.mu.Unlock()
}
