package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/mqtt"
)

// box keeps what was heard, by topic.
type box struct {
	mu  sync.Mutex
	got map[string][]string
}

func (b *box) put(topic string, payload []byte, retained bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.got == nil {
		b.got = map[string][]string{}
	}
	b.got[topic] = append(b.got[topic], fmt.Sprintf("%s%s", payload, map[bool]string{true: " retained"}[retained]))
}

func (b *box) all(topic string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got[topic]...)
}

func (b *box) count(topic string) int { return len(b.all(topic)) }

func dial(t *testing.T, o mqtt.Options) *mqtt.Client {
	t.Helper()
	c, err := mqtt.Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// heard keeps what another client hears on a filter.
func heard(t *testing.T, b *rig.Broker, filter string) *box {
	t.Helper()
	var kept box
	ear := dial(t, mqtt.Options{Broker: b.URL})
	ear.Subscribe(filter, kept.put)
	open(t, ear)
	return &kept
}

func open(t *testing.T, c *mqtt.Client) {
	t.Helper()
	rig.Eventually(t, "connected", c.Open)
}

func TestMatch(t *testing.T) {
	for _, x := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false},
		{"a/+", "a/b", true}, {"a/+", "a", false}, {"+/b", "a/b", true}, {"a/+/c", "a/b/c", true}, {"a/+/c", "a/b/d", false},
		{"#", "a/b", true}, {"a/#", "a/b/c", true}, {"a/#", "a", true}, {"a/#", "b", false}, {"a/b/#", "a", false},
		{"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true},
	} {
		if got := mqtt.Match(x.filter, x.topic); got != x.want {
			t.Errorf("Match(%q, %q) = %v", x.filter, x.topic, got)
		}
	}
}

func TestNothingIsPublishedWithoutConnection(t *testing.T) {
	c := dial(t, mqtt.Options{Broker: fmt.Sprintf("mqtt://127.0.0.1:%d", rig.FreePort(t))})
	begin := time.Now()
	if err := c.Publish("x", []byte("1")); err != mqtt.ErrNotOpen {
		t.Fatalf("got %v", err)
	}
	if d := time.Since(begin); d > 10*time.Millisecond {
		t.Fatalf("took %v", d)
	}
	rig.Eventually(t, "the problem is told", func() bool {
		p := c.Problem()
		return p != nil && p.Code == "broker-silent" && strings.Contains(fmt.Sprint(p.Args), "127.0.0.1")
	})
}

// A mosquitto that is killed forgets what is retained, and who was subscribed.
func TestBrokerKilled(t *testing.T) {
	t.Parallel()
	b := rig.Mosquitto(t)
	c := dial(t, mqtt.Options{Broker: b.URL, Status: "roomd/willow/status", Boot: "b1"})
	var in box
	c.Subscribe("lamp/+", in.put)
	c.Retain("roomd/willow/state", []byte("1"))
	c.Retain("roomd/willow/gone", []byte("x"))
	var mu sync.Mutex
	var hooks []bool
	c.OnConnect(func(open bool) { mu.Lock(); hooks = append(hooks, open); mu.Unlock() })
	open(t, c)
	c.Retain("roomd/willow/state", []byte("2"))
	c.Retain("roomd/willow/gone", nil)

	look := func() *box {
		var seen box
		p := rig.Dial(t, b.URL)
		p.Hear("roomd/#", seen.put)
		rig.Eventually(t, "retained state and status", func() bool {
			return slicesEqual(seen.all("roomd/willow/state"), "2 retained") &&
				slicesEqual(seen.all("roomd/willow/status"), `{"state":"online","boot":"b1"} retained`)
		})
		rig.Eventually(t, "a removed topic is retained no more", func() bool {
			gone := seen.all("roomd/willow/gone") // who comes while it is on its way sees it go
			return len(gone) == 0 || gone[len(gone)-1] == ""
		})
		p.Say("lamp/one", "hello", false)
		return &seen
	}
	look()
	rig.Eventually(t, "heard", func() bool { return in.count("lamp/one") == 1 })

	for i := range 2 {
		b.Kill()
		rig.Eventually(t, "loss is noticed", func() bool { return !c.Open() })
		if err := c.Publish("lamp/one/set", []byte("stale")); err != mqtt.ErrNotOpen {
			t.Fatalf("publish while lost: %v", err)
		}
		var late box
		b.Start()
		rig.Dial(t, b.URL).Hear("lamp/one/set", late.put)
		back := time.Now()
		open(t, c)
		if d := time.Since(back); d > 3*time.Second {
			t.Fatalf("connected %v after the broker's return", d)
		}
		look()
		rig.Eventually(t, "heard again", func() bool { return in.count("lamp/one") == 2+i })
		if n := late.count("lamp/one/set"); n != 0 {
			t.Fatalf("a stale command was delivered: %v", late.all("lamp/one/set"))
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if got := fmt.Sprint(hooks); got != "[true false true false true]" {
		t.Fatalf("hooks: %v", got)
	}
}

func slicesEqual(got []string, want ...string) bool { return fmt.Sprint(got) == fmt.Sprint(want) }

func TestBrokerFrozen(t *testing.T) {
	t.Parallel()
	b := rig.Mosquitto(t)
	c := dial(t, mqtt.Options{Broker: b.URL})
	open(t, c)
	b.Freeze()
	defer b.Thaw()
	// Commands are never held up by a broker that takes nothing.
	var worst time.Duration
	stalls := rig.Stalls(time.Second)
	for range 2000 {
		begin := time.Now()
		_ = c.Publish("x/set", make([]byte, 8<<10))
		worst = max(worst, time.Since(begin))
	}
	if _, still := stalls(); worst > 100*time.Millisecond+still {
		t.Errorf("a command took %v, and the computer stood still for %v", worst, still)
	}
	rig.Eventually(t, "the frozen broker is noticed", func() bool { return !c.Open() && c.Problem() != nil })
	b.Thaw()
	rig.Eventually(t, "connected again", c.Open)
	if p := c.Problem(); p != nil {
		t.Errorf("problem after the return: %+v", p)
	}
}

func TestLastWill(t *testing.T) {
	b := rig.Mosquitto(t)
	var seen box
	rig.Dial(t, b.URL).Hear("roomd/+/status", seen.put)
	c, err := mqtt.Dial(mqtt.Options{Broker: b.URL, Status: "roomd/willow/status", Boot: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	open(t, c)
	rig.Eventually(t, "online", func() bool { return seen.count("roomd/willow/status") == 1 })
	c.Close()
	rig.Eventually(t, "offline", func() bool {
		return slicesEqual(seen.all("roomd/willow/status"), `{"state":"online","boot":"b1"}`, `{"state":"offline","boot":"b1"}`)
	})
	c.Close()
}

// TestLateWillTakesBackTheStatusAlone delivers a client's own last will after it reconnected, as a desk that was frozen does to each room: the
// client republishes its status alone. A stranger's status makes it republish everything.
func TestLateWillTakesBackTheStatusAlone(t *testing.T) {
	b := rig.Mosquitto(t)
	seen := heard(t, b, "roomd/willow/#")
	c := dial(t, mqtt.Options{Broker: b.URL, Status: "roomd/willow/status", Boot: "b1"})
	c.Retain("roomd/willow/state", []byte("calm"))
	open(t, c)
	rig.Eventually(t, "it is alone", func() bool {
		all := seen.all("roomd/willow/status")
		return c.Settled() && len(all) > 0 && strings.Contains(all[len(all)-1], "since") && seen.count("roomd/willow/state") == 1
	})
	other := rig.Dial(t, b.URL)
	back := func(times int) func() bool {
		return func() bool { return strings.Count(strings.Join(seen.all("roomd/willow/status"), ""), "since") == times }
	}
	other.Say("roomd/willow/status", `{"state":"offline","boot":"b1"}`, true)
	rig.Eventually(t, "the status is taken back", back(2))
	if n := seen.count("roomd/willow/state"); n != 1 {
		t.Errorf("the state was sent %d times", n)
	}
	other.Say("roomd/willow/status", `{"state":"offline","boot":"x"}`, true)
	rig.Eventually(t, "the status is taken back again", back(3))
	rig.Eventually(t, "and so is the rest", func() bool { return seen.count("roomd/willow/state") == 2 })
}

// A handler that is slow, or a flood, costs messages and never the connection or memory.
func TestFlood(t *testing.T) {
	t.Parallel()
	b := rig.Mosquitto(t)
	c := dial(t, mqtt.Options{Broker: b.URL})
	hold := make(chan struct{})
	var got box
	held := make(chan struct{}, 1)
	c.Subscribe("flood", func(string, []byte, bool) {
		select {
		case held <- struct{}{}:
		default:
		}
		<-hold
	})
	c.Subscribe("after", got.put)
	open(t, c)
	p := rig.Dial(t, b.URL)
	rig.Eventually(t, "subscribed", func() bool { p.Say("flood", "x", false); return len(held) > 0 })
	for range 5000 {
		p.Publish("flood", 0, false, "x")
	}
	rig.Eventually(t, "messages are dropped and counted", func() bool { return c.Dropped()["in"] > 1000 })
	if !c.Open() {
		t.Error("the flood cost the connection")
	}
	close(hold)
	rig.Eventually(t, "messages are handled again", func() bool {
		p.Say("after", "y", false)
		return got.count("after") > 0
	})
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "passwd")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", file, "willow", "rightsecret").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v %s", err, out)
	}
	b := rig.Mosquitto(t, "allow_anonymous false", "password_file "+file)
	wrong := strings.Replace(b.URL, "mqtt://", "mqtt://willow:wrongsecret@", 1)
	c := dial(t, mqtt.Options{Broker: wrong})
	rig.Eventually(t, "the password is named", func() bool {
		p := c.Problem()
		return p != nil && p.Code == "broker-password"
	})
	if p := c.Problem(); strings.Contains(fmt.Sprint(*p), "wrongsecret") {
		t.Errorf("the password is told: %+v", p)
	}
	c = dial(t, mqtt.Options{Broker: strings.Replace(b.URL, "mqtt://", "mqtt://willow:rightsecret@", 1)})
	open(t, c)
}

func TestBadAddressKeepsThePassword(t *testing.T) {
	for _, address := range []string{"mqtt://u:hush@ho st:1", "http://u:hush@host", "mqtt://u:hush@host:port", "::", ""} {
		_, err := mqtt.Dial(mqtt.Options{Broker: address})
		if err == nil {
			t.Errorf("%q was taken", address)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

// sign makes a certificate for the host, valid between two times, signed by its own authority; it returns file names.
func sign(t *testing.T, host string, from, to time.Time) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	caCert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clinic"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, caCert, caCert, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	ownKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	own := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: from, NotAfter: to,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		own.IPAddresses = []net.IP{ip}
	} else {
		own.DNSNames = []string{host}
	}
	ownDER, err := x509.CreateCertificate(rand.Reader, own, caCert, &ownKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, _ := x509.MarshalECPrivateKey(ownKey)
	return write("ca.crt", "CERTIFICATE", caDER), write("own.crt", "CERTIFICATE", ownDER), write("own.key", "EC PRIVATE KEY", keyDER)
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	now := time.Now()
	otherCA, _, _ := sign(t, "x", now, now)
	for name, x := range map[string]struct {
		host     string
		from, to time.Time
		ca       string
		says     string
	}{
		"good":     {"127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour), "", ""},
		"expired":  {"127.0.0.1", now.Add(-2 * time.Hour), now.Add(-time.Hour), "", "broker-certificate-expired"},
		"early":    {"127.0.0.1", now.Add(time.Hour), now.Add(2 * time.Hour), "", "broker-certificate-early"},
		"name":     {"broker.clinic", now.Add(-time.Hour), now.Add(time.Hour), "", "broker-certificate-name"},
		"stranger": {"127.0.0.1", now.Add(-time.Hour), now.Add(time.Hour), otherCA, "broker-certificate-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			ca, cert, key := sign(t, x.host, x.from, x.to)
			port := rig.FreePort(t)
			rig.Mosquitto(t, "allow_anonymous true", fmt.Sprintf("listener %d 127.0.0.1", port),
				"certfile "+cert, "keyfile "+key)
			if x.ca != "" {
				ca = x.ca
			}
			// An authority of this broker alone is trusted whatever the address and the date.
			text, err := os.ReadFile(ca)
			if err != nil {
				t.Fatal(err)
			}
			alone := dial(t, mqtt.Options{Broker: fmt.Sprintf("mqtts://127.0.0.1:%d", port), Authority: text})
			if x.ca == "" {
				open(t, alone)
			} else {
				rig.Eventually(t, x.says, func() bool {
					p := alone.Problem()
					return p != nil && p.Code == x.says
				})
			}
			c := dial(t, mqtt.Options{Broker: fmt.Sprintf("mqtts://127.0.0.1:%d", port), CA: ca})
			if x.says == "" {
				open(t, c)
				return
			}
			// While the date can't be right, it does not count; authority and name still do.
			undated := dial(t, mqtt.Options{Broker: fmt.Sprintf("mqtts://127.0.0.1:%d", port), CA: ca, ClockSet: func(time.Time) bool { return false }})
			dated := dial(t, mqtt.Options{Broker: fmt.Sprintf("mqtts://127.0.0.1:%d", port), CA: ca, ClockSet: func(time.Time) bool { return true }})
			refused := []*mqtt.Client{c, dated}
			if name == "expired" || name == "early" {
				open(t, undated)
			} else {
				refused = append(refused, undated)
			}
			for _, c := range refused {
				rig.Eventually(t, x.says, func() bool {
					p := c.Problem()
					return p != nil && p.Code == x.says
				})
				if c.Open() {
					t.Error("connected all the same")
				}
			}
		})
	}
}

// TestRetainMade sends a payload that is made when it is sent: what was true before an outage is not sent after it.
func TestRetainMade(t *testing.T) {
	b := rig.Mosquitto(t)
	c := dial(t, mqtt.Options{Broker: b.URL, Spread: 2 * time.Second})
	var now atomic.Int64
	c.RetainMade("room/state", func() []byte { return fmt.Append(nil, now.Load()) })
	open(t, c)
	var got box
	ear := dial(t, mqtt.Options{Broker: b.URL})
	ear.Subscribe("room/state", got.put)
	rig.Eventually(t, "the first value", func() bool { return got.count("room/state") > 0 })
	b.Stop()
	rig.Eventually(t, "the loss", func() bool { return !c.Open() })
	now.Store(7)
	b.Start()
	rig.Eventually(t, "the value of now", func() bool {
		all := got.all("room/state")
		return strings.HasPrefix(all[len(all)-1], "7")
	})
	if all := got.all("room/state"); len(all) > 3 { // a retained one of the ear's may come before
		t.Errorf("sent too often: %v", all)
	}
	c.Retain("room/state", []byte("plain"))
	rig.Eventually(t, "a plain value in its place", func() bool { return slices.Contains(got.all("room/state"), "plain") })
}

// TestWhatIsRetainedIsSentBeforeTheEnd holds that Close leaves nothing unsent: a room that leaves a clinic takes back what it told.
func TestWhatIsRetainedIsSentBeforeTheEnd(t *testing.T) {
	b := rig.Mosquitto(t)
	got := heard(t, b, "room/#")
	for k := range 30 {
		topic := fmt.Sprintf("room/%d", k)
		c := dial(t, mqtt.Options{Broker: b.URL})
		c.Retain(topic, []byte("there"))
		open(t, c)
		rig.Eventually(t, "it is there", func() bool { return got.count(topic) > 0 })
		c.Retain(topic, nil)
		c.Close()
		rig.Eventually(t, topic+" is taken back", func() bool {
			all := got.all(topic)
			return strings.HasPrefix(all[len(all)-1], " ") || all[len(all)-1] == ""
		})
	}
}

// TestWhatIsAskedForWhileItIsSentIsSentOnce requests a topic again while it waits to be sent. The client sends it once.
func TestWhatIsAskedForWhileItIsSentIsSentOnce(t *testing.T) {
	b := rig.Mosquitto(t)
	got := heard(t, b, "room/#")
	c := dial(t, mqtt.Options{Broker: b.URL})
	open(t, c)
	second := func() []byte { return []byte("2") }
	registered := make(chan struct{})
	c.RetainMade("room/begin", func() []byte { <-registered; return []byte("1") }) // what follows is sent together
	for k := range 20 {
		first, last := fmt.Sprintf("room/%d/a", k), fmt.Sprintf("room/%d/b", k)
		c.RetainMade(first, func() []byte {
			c.RetainMade(last, second) // while the first one is on its way
			return []byte("1")
		})
		c.RetainMade(last, second)
	}
	c.Retain("room/end", []byte("there"))
	close(registered)
	rig.Eventually(t, "all is sent", func() bool { return got.count("room/end") > 0 })
	for k := range 20 {
		if n := got.count(fmt.Sprintf("room/%d/b", k)); n != 1 {
			t.Fatalf("room/%d/b was sent %d times", k, n)
		}
	}
}

// TestSpread holds that clients of a dead broker come back at random times, and not too late.
func TestSpread(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	const clients, tries, spread = 20, 4, 3 * time.Second
	gaps := make(chan time.Duration, clients*tries)
	for range clients {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for last := time.Now(); ; {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
				select {
				case gaps <- time.Since(last):
				default:
				}
				last = time.Now()
			}
		}()
		dial(t, mqtt.Options{Broker: "mqtt://" + l.Addr().String(), Spread: spread})
	}
	rig.Eventually(t, "all attempts", func() bool { return len(gaps) == cap(gaps) })
	long, short := 0, 0
	for range clients * tries {
		switch d := <-gaps; {
		case d < time.Second:
			short++ // the first ones
		case d > spread/2:
			long++
		}
	}
	if long < clients || long > clients*(tries-1) || short < clients/2 {
		t.Errorf("of %d pauses %d are under a second, %d over %v", clients*tries, short, long, spread/2)
	}
}

// TestSpreadIsPatient holds that one of many clients waits for a broker that is slow to answer, and does not wait again after that.
func TestSpreadIsPatient(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan time.Time, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // until then it says nothing
			accepted <- time.Now()
		}
	}()
	dial(t, mqtt.Options{Broker: "mqtt://" + l.Addr().String(), Spread: 4 * time.Second})
	first := <-accepted
	if gap := (<-accepted).Sub(first); gap < 6500*time.Millisecond || gap > 9*time.Second {
		t.Errorf("the second attempt came %v after the first", gap)
	}
}

func TestBrokerWithholds(t *testing.T) {
	for _, c := range []struct {
		name, list string
		wrong      bool
	}{
		{"all allowed", "topic readwrite #", false},
		{"no write", "topic read #", true},
		{"no read", "topic write #", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := filepath.Join(t.TempDir(), "acl")
			if err := os.WriteFile(list, []byte(c.list+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			b := rig.Mosquitto(t, "allow_anonymous true", "acl_file "+list)
			m := dial(t, mqtt.Options{Broker: b.URL, Status: "clinic/room/status", Boot: "1"})
			open(t, m)
			began := time.Now()
			if c.wrong {
				rig.Eventually(t, "named", func() bool {
					p := m.Problem()
					return p != nil && slices.Contains([]string{"broker-denies", "broker-withholds"}, p.Code)
				})
				return
			}
			for time.Since(began) < 3500*time.Millisecond {
				if p := m.Problem(); p != nil {
					t.Fatalf("%+v", p)
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}
