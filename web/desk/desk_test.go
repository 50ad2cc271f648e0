package desk

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"roomd/rig"
	"roomd/room/clinic"
	"roomd/room/journal"
	"roomd/web"
)

// hub is a desk with its broker and its page, as roomd desk makes them.
type hub struct {
	t        *testing.T
	data     string
	server   *Server
	broker   *Broker
	registry *Registry
	certs    *web.Certs
	tokens   *web.Tokens
	page     string // HOST:PORT
	roots    *x509.CertPool
	stop     func()
}

// open starts a desk on a data folder; port is the broker's, 0 for a free one.
func open(t *testing.T, data string, port int) *hub {
	t.Helper()
	h := &hub{t: t, data: data}
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	h.registry, err = OpenRegistry(filepath.Join(data, "desk.json"))
	must(err)
	must(h.registry.SetUp("North clinic", ":8444"))
	h.certs, _, err = web.NewCerts(web.CertOptions{Dir: filepath.Join(data, "tls"), Log: log})
	must(err)
	h.roots = x509.NewCertPool()
	ca, err := x509.ParseCertificate(h.certs.Authority())
	must(err)
	h.roots.AddCert(ca)
	store, _, err := journal.Open(filepath.Join(data, "roomd.db"))
	must(err)
	key, err := web.CodeKey(filepath.Join(data, "tls", "codes.key"))
	must(err)
	h.tokens = web.NewTokens(store).SealCodes(key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	h.page = l.Addr().String()
	_, pagePort, _ := net.SplitHostPort(h.page)
	config := &tls.Config{GetCertificate: h.certs.GetCertificate, MinVersion: tls.VersionTLS12}
	h.server = New(Options{Name: "host", Version: "1.2.3", Tokens: h.tokens, Certs: h.certs, Port: pagePort, Registry: h.registry, Log: log,
		Broker: func() string { return h.broker.Port() }, Drop: func(ctx context.Context, id string) error { return h.broker.Drop(ctx, id) },
		Addresses: func() []string { return []string{h.page} }})
	h.broker, err = StartBroker(BrokerOptions{Listen: fmt.Sprintf("127.0.0.1:%d", port), TLS: config, Dir: filepath.Join(data, "broker"), Admit: h.registry.Admit, Known: h.registry.Known,
		Receive: func(id, topic string, payload []byte) { h.server.rooms.Receive(id, topic, payload, false) }, Log: log})
	must(err)
	gate := web.NewGate()
	page := &http.Server{Handler: h.server, TLSConfig: config, ConnContext: web.ConnContext, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = page.ServeTLS(gate.Listen(l), "", "") }()
	stopped := false
	h.stop = func() {
		if !stopped {
			stopped = true
			h.server.Bye(t.Context())
			page.Close()
			h.broker.Close()
			store.Close()
		}
	}
	t.Cleanup(h.stop)
	return h
}

// register has a room be one of the desk's, and returns its secret.
func (h *hub) register(id string) string {
	h.t.Helper()
	secret, err := h.registry.add(id, "Room "+id, "")
	if err != nil {
		h.t.Fatal(err)
	}
	h.server.rooms.set(id, registered{Name: "Room " + id})
	return secret
}

// link is how a test's room connects.
type link struct {
	id, secret, client string
	will               string // topic; its payload is a lie about the room
	keepAlive          time.Duration
	conn               func(net.Conn) net.Conn // changes the TCP connection; nil: as it is
	persistent         bool
}

// connect connects a room by a real client. The error is what the broker said.
func (h *hub) connect(l link) (paho.Client, error) {
	h.t.Helper()
	o := paho.NewClientOptions().AddBroker("ssl://127.0.0.1:" + h.broker.Port()).SetUsername(l.id).SetPassword(l.secret).SetClientID(cmp.Or(l.client, l.id)).
		SetProtocolVersion(4).SetAutoReconnect(false).SetCleanSession(!l.persistent).SetConnectTimeout(5 * time.Second).SetKeepAlive(cmp.Or(l.keepAlive, 30*time.Second))
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
		c, err := net.Dial("tcp", "127.0.0.1:"+h.broker.Port())
		if err != nil {
			return nil, err
		}
		if l.conn != nil {
			c = l.conn(c)
		}
		return tls.Client(c, &tls.Config{RootCAs: h.roots, ServerName: "127.0.0.1"}), nil
	})
	if l.will != "" {
		o.SetWill(l.will, `{"state":"offline"}`, 1, true)
	}
	c := paho.NewClient(o)
	t := c.Connect()
	if !t.WaitTimeout(10 * time.Second) {
		h.t.Fatal("the broker does not answer")
	}
	h.t.Cleanup(func() { c.Disconnect(0) })
	return c, t.Error()
}

// room connects a room that must get in.
func (h *hub) room(l link) paho.Client {
	h.t.Helper()
	c, err := h.connect(l)
	if err != nil {
		h.t.Fatalf("%s: %v", l.id, err)
	}
	return c
}

// say publishes a retained message and returns when the broker has it.
func (h *hub) say(c paho.Client, topic string, payload any) {
	h.t.Helper()
	text, is := payload.(string)
	if !is {
		b, err := json.Marshal(payload)
		if err != nil {
			h.t.Fatal(err)
		}
		text = string(b)
	}
	if t := c.Publish(topic, 1, true, text); !t.WaitTimeout(10*time.Second) || t.Error() != nil {
		h.t.Fatalf("publish on %s: %v", topic, t.Error())
	}
}

// view is a room as the desk shows it; false: it shows none.
func (h *hub) view(id string) (v view, ok bool) {
	h.t.Helper()
	e, _, _ := h.server.rooms.since(0)
	for _, text := range e.Rooms {
		if err := json.Unmarshal(text, &v); err != nil {
			h.t.Fatal(err)
		}
		if v.ID == id {
			return v, true
		}
	}
	return view{}, false
}

func (h *hub) eventually(id, what string, ok func(v view) bool) {
	h.t.Helper()
	var last view
	defer func() {
		if h.t.Failed() {
			h.t.Logf("%s: %+v", id, last)
		}
	}()
	rig.Eventually(h.t, what, func() bool { last, _ = h.view(id); return ok(last) })
}

// client asks the page as a browser with a token does.
type client struct {
	h     *hub
	token string
}

func (h *hub) device(name string, role web.Role) client {
	h.t.Helper()
	token, err := h.tokens.Create(h.t.Context(), name, role)
	if err != nil {
		h.t.Fatal(err)
	}
	return client{h, token}
}

func (c client) do(method, path string, body any) *http.Response {
	c.h.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			c.h.t.Fatal(err)
		}
	}
	return c.send(method, path, "application/json", b.String())
}

func (c client) send(method, path, kind, body string) *http.Response {
	c.h.t.Helper()
	req, err := http.NewRequestWithContext(c.h.t.Context(), method, "https://"+c.h.page+path, strings.NewReader(body))
	if err != nil {
		c.h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	by := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.h.roots}}
	c.h.t.Cleanup(by.CloseIdleConnections)
	resp, err := by.RoundTrip(req)
	if err != nil {
		c.h.t.Fatal(err)
	}
	c.h.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// ask does a request and reads the answer into v.
func (c client) ask(method, path string, body, v any) int {
	c.h.t.Helper()
	resp := c.do(method, path, body)
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.h.t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			c.h.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
		}
	}
	return resp.StatusCode
}

// refusal is the body of an answer that is not 2xx.
type refusal struct{ Reason string }

// TestRoomsCantTouchEachOther has each room try to read, write, delete, will and throw off each other one.
func TestRoomsCantTouchEachOther(t *testing.T) { roomsApart(t, 4) }

// TestHundredRoomsCantTouchEachOther is the same with 100 rooms.
func TestHundredRoomsCantTouchEachOther(t *testing.T) {
	rig.OnlyBars(t)
	roomsApart(t, 100)
}

func roomsApart(t *testing.T, n int) {
	h := open(t, t.TempDir(), 0)
	ids, secrets, rooms := make([]string, n), make([]string, n), make([]paho.Client, n)
	for i := range n {
		// An ID that begins as another one, which the hyphen of a client ID must not mix up.
		if ids[i] = fmt.Sprintf("room%d", i); i%2 == 1 {
			ids[i] = ids[i-1] + "-b"
		}
		secrets[i] = h.register(ids[i])
	}
	truth := func(i int) clinic.State {
		return clinic.State{Stage: "administration", LeftMS: int64(3_600_000 + i*60_000)}
	}
	for i, id := range ids {
		rooms[i] = h.room(link{id: id, secret: secrets[i]})
		h.say(rooms[i], "roomd/"+id+"/status", `{"state":"online"}`)
		h.say(rooms[i], "roomd/"+id+"/state", truth(i))
		h.say(rooms[i], "roomd/"+id+"/about", clinic.About{Name: "Truth " + id})
	}
	const lie = `{"stage":"integration","held":true,"left_ms":1}`
	heard := make(chan string, 1024)
	for a, id := range ids {
		foreign := func(_ paho.Client, m paho.Message) {
			if !strings.HasPrefix(m.Topic(), "roomd/"+id+"/") {
				select {
				case heard <- id + " reads " + m.Topic():
				default:
				}
			}
		}
		refused := func(as link) {
			if _, err := h.connect(as); err == nil {
				t.Errorf("%s gets in as %s with client ID %s", id, as.id, as.client)
			}
		}
		refused(link{id: id, secret: "", client: id + "-1"})                     // no secret
		refused(link{id: hubUser, secret: secrets[a], client: id + "-1"})        // the desk's own user
		refused(link{id: "roomd.>", secret: secrets[a], client: "roomd.>"})      // a pattern
		refused(link{id: "*", secret: secrets[a], client: "*"})                  // another one
		refused(link{id: id, secret: secrets[a], client: "room" + id[4:] + "x"}) // a client ID of nobody
		thief := h.room(link{id: id, secret: secrets[a], client: id + "-thief"})
		for _, filter := range []string{"#", "+/+/+", "roomd/#", "roomd/+/state", "$MQTT/#", "$JS/#", "$SYS/#"} {
			thief.Subscribe(filter, 1, foreign).WaitTimeout(10 * time.Second)
			if !thief.IsConnectionOpen() {
				thief = h.room(link{id: id, secret: secrets[a], client: id + "-thief"})
			}
		}
		for v, victim := range ids {
			if v == a {
				continue
			}
			thief.Subscribe("roomd/"+victim+"/#", 1, foreign).WaitTimeout(10 * time.Second)
			thief.Subscribe("roomd/"+victim+"/state", 0, foreign).WaitTimeout(10 * time.Second)
			for _, topic := range []string{"state", "status", "about"} {
				for _, qos := range []byte{0, 1} {
					for _, payload := range []string{lie, ""} {
						thief.Publish("roomd/"+victim+"/"+topic, qos, true, payload).WaitTimeout(10 * time.Second)
					}
				}
			}
			if !thief.IsConnectionOpen() {
				thief = h.room(link{id: id, secret: secrets[a], client: id + "-thief"})
			}
			refused(link{id: id, secret: secrets[a], client: victim})     // the client ID
			refused(link{id: victim, secret: secrets[a], client: victim}) // the name
			var cut net.Conn
			_ = h.room(link{id: id, secret: secrets[a], client: id + "-will-" + victim, will: "roomd/" + victim + "/status", conn: func(c net.Conn) net.Conn { cut = c; return c }})
			cut.Close()
			if h.links(id) == linksOfRoom {
				rig.Eventually(t, "a connection is gone", func() bool { return h.links(id) < linksOfRoom })
			}
		}
		thief.Disconnect(250)
		rig.Eventually(t, "the connection is gone", func() bool { return h.links(id) == 1 })
	}
	if err := h.broker.hub.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case what := <-heard:
		t.Error(what)
	default:
	}
	for i, id := range ids {
		v, _ := h.view(id)
		if left := v.EndsMS - h.server.rooms.now(); !v.Reached || v.Stage != "administration" || v.Held || v.Name != "Truth "+id || left > truth(i).LeftMS || left < truth(i).LeftMS-30*60_000 {
			t.Errorf("%s was changed: %+v", id, v)
		}
		if !rooms[i].IsConnectionOpen() {
			t.Errorf("%s was thrown off", id)
		}
		// What the broker keeps is what the room has said.
		kept := make(chan string, 8)
		rooms[i].Subscribe("roomd/"+id+"/#", 0, func(_ paho.Client, m paho.Message) { kept <- m.Topic() + " " + string(m.Payload()) })
		var got []string
		for range 3 {
			select {
			case k := <-kept:
				got = append(got, k)
			case <-time.After(2 * time.Minute):
				t.Fatalf("%s: only %q is kept", id, got)
			}
		}
		want, _ := json.Marshal(truth(i))
		if all := strings.Join(got, "\n"); !strings.Contains(all, string(want)) || !strings.Contains(all, `"online"`) || !strings.Contains(all, "Truth "+id) {
			t.Errorf("%s: kept is %s", id, all)
		}
		// A room itself may.
		h.say(rooms[i], "roomd/"+id+"/state", clinic.State{})
		h.eventually(id, "its own word", func(v view) bool { return v.Stage == "" })
	}
}

// links is how many connections a room has.
func (h *hub) links(id string) (n int) {
	h.broker.mu.Lock()
	defer h.broker.mu.Unlock()
	for _, c := range h.broker.links[id] {
		if h.broker.server.GetClient(c.GetID()) != nil {
			n++
		}
	}
	return n
}

// TestNothingOfASessionOnDisk looks for what rooms have told in every byte of the desk's folders, while it runs and after.
func TestNothingOfASessionOnDisk(t *testing.T) {
	data := t.TempDir()
	t.Setenv("TMPDIR", filepath.Join(data, "tmp"))
	if err := os.Mkdir(filepath.Join(data, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := open(t, data, 0)
	secret := h.register("willow")
	page := h.device("front", web.Observer)
	c := h.room(link{id: "willow", secret: secret, persistent: true})
	c.Subscribe("roomd/willow/#", 1, nil).WaitTimeout(10 * time.Second) // then the broker stores what is published with QoS 1
	for i := range 300 {
		for _, stage := range []string{"preparation", "administration", "integration"} {
			h.say(c, "roomd/willow/state", clinic.State{Stage: stage, LeftMS: int64(i), Broken: []clinic.Broken{{Part: "sound", SinceMS: 1}}})
		}
	}
	h.eventually("willow", "the last state", func(v view) bool { return v.Stage == "integration" })
	line, err := bufio.NewReader(page.do("GET", "/api/v1/desk/rooms", nil).Body).ReadString('\n')
	if err != nil || !strings.Contains(line, `"stage":"integration"`) {
		t.Fatalf("the page shows %s: %v", line, err)
	}
	look := func(when string) {
		known := false
		err := filepath.WalkDir(data, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			known = known || bytes.Contains(b, []byte("willow"))
			for _, word := range []string{"preparation", "administration", "integration", "left_ms", "ends_ms", "stage", "since_ms"} {
				if bytes.Contains(b, []byte(word)) {
					t.Errorf("%s, %s holds %q", when, path, word)
				}
			}
			return nil
		})
		if err != nil || !known {
			t.Errorf("%s: the room itself is not found: %v", when, err)
		}
	}
	look("while it runs")
	h.stop()
	look("after")
	if _, err := os.Stat(filepath.Join(data, "broker")); !os.IsNotExist(err) {
		t.Error("the broker's folder stays:", err)
	}
}

// silent is a connection whose network goes away without a word.
type silent struct {
	net.Conn
	gone chan struct{}
}

func (s silent) Write(b []byte) (int, error) {
	select {
	case <-s.gone:
		return len(b), nil
	default:
		return s.Conn.Write(b)
	}
}

// TestDeadRoomsAreSeen ends a room's process, and its network. The figures are a bar's.
func TestDeadRoomsAreSeen(t *testing.T) {
	h := open(t, t.TempDir(), 0)
	var cut net.Conn
	gone := make(chan struct{})
	for id, l := range map[string]link{
		"oak": {conn: func(c net.Conn) net.Conn { cut = c; return c }},
		"elm": {keepAlive: 2 * time.Second, conn: func(c net.Conn) net.Conn { return silent{c, gone} }},
	} {
		l.id, l.secret, l.will = id, h.register(id), "roomd/"+id+"/status"
		c := h.room(l)
		h.say(c, "roomd/"+id+"/status", `{"state":"online"}`)
		h.say(c, "roomd/"+id+"/state", clinic.State{Stage: "preparation", LeftMS: 60_000})
		h.eventually(id, "reached", func(v view) bool { return v.Reached && v.Heard && v.Stage == "preparation" })
	}
	at := h.server.rooms.now()
	cut.Close()
	close(gone)
	for _, id := range []string{"oak", "elm"} {
		h.eventually(id, "not reached", func(v view) bool { return !v.Reached && v.Heard && v.LostMS >= at && v.Stage == "preparation" })
	}
}

// TestBrokerListensNowhereElse holds that there is one way to the broker, and that it is encrypted.
func TestBrokerListensNowhereElse(t *testing.T) {
	h := open(t, t.TempDir(), 0)
	if a, m := h.broker.server.Addr(), h.broker.server.MonitorAddr(); a != nil || m != nil {
		t.Errorf("it listens at %v and %v", a, m)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+h.broker.Port())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = c.Write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"))
	if b, _ := io.ReadAll(c); bytes.HasPrefix(b, []byte{0x20}) {
		t.Errorf("it answers without TLS: %q", b)
	}
}

// TestTakenPort says which port is taken.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = StartBroker(BrokerOptions{Listen: l.Addr().String(), Dir: filepath.Join(t.TempDir(), "b"), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
}
