package desk

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"roomd/rig"
	"roomd/room/clinic"
	"roomd/room/mqtt"
	"roomd/web"
)

// TestJoin has rooms join, join again and be removed.
func TestJoin(t *testing.T) {
	data := t.TempDir()
	h := open(t, data, 0)
	enrolls, looks, nobody := h.device("desk", web.Therapist), h.device("wall", web.Observer), client{h: h}
	for _, c := range []struct{ method, path string }{
		{"POST", "/api/v1/desk/offers"}, {"GET", "/api/v1/desk/offers/current"}, {"DELETE", "/api/v1/desk/offers/current"}, {"DELETE", "/api/v1/desk/rooms/willow"},
	} {
		if a, b := looks.ask(c.method, c.path, struct{}{}, nil), nobody.ask(c.method, c.path, struct{}{}, nil); a != http.StatusForbidden || b != http.StatusUnauthorized {
			t.Errorf("%s %s: an observer %d, a stranger %d", c.method, c.path, a, b)
		}
	}
	var is struct {
		Name, Version, Broker string
		Enrolls, Connected    bool
	}
	if enrolls.ask("GET", "/api/v1/desk", nil, &is); is.Name != "North clinic" || is.Version != "1.2.3" || is.Broker != "own" || !is.Enrolls || !is.Connected {
		t.Errorf("%+v", is)
	}
	if looks.ask("GET", "/api/v1/desk", nil, &is); is.Enrolls {
		t.Error("an observer enrolls")
	}

	var no refusal
	joining := clinic.Joining{Code: "0000000", ID: "willow", Name: "Willow"}
	if code := nobody.ask("POST", "/api/v1/desk/join", joining, &no); code != http.StatusGone || no.Reason == "" {
		t.Errorf("without a code: %d %+v", code, no)
	}
	if code := enrolls.ask("GET", "/api/v1/desk/offers/current", nil, &no); code != http.StatusNotFound {
		t.Errorf("no code: %d", code)
	}
	var o offered
	if code := enrolls.ask("POST", "/api/v1/desk/offers", map[string]string{"house": "North"}, &o); code != http.StatusOK {
		t.Fatal(code)
	}
	code, err := clinic.ParseCode(o.Code)
	at, _ := url.Parse(o.Link)
	if err != nil || !code.Knows(h.certs.Authority()) || o.Address != h.page || at.Host != h.page || at.Path != "/join" || at.Fragment != o.Code || len(o.QR) < 21 || o.EndsMS-o.NowMS > offerTime.Milliseconds() || o.EndsMS-o.NowMS < offerTime.Milliseconds()-30_000 {
		t.Errorf("%v %+v", err, o)
	}
	var same offered
	if enrolls.ask("GET", "/api/v1/desk/offers/current", nil, &same); same.Code != o.Code {
		t.Errorf("%+v", same)
	}
	for _, bad := range []clinic.Joining{{Code: code.Secret(), ID: "../x"}, {Code: code.Secret()}, {Code: code.Secret(), ID: strings.Repeat("a", 65)}, {Code: code.Secret(), ID: "a.b"}, {Code: code.Secret(), ID: "a/b"}, {Code: code.Secret(), ID: "*"}, {Code: code.Secret(), ID: "$hub"}} {
		if code := nobody.ask("POST", "/api/v1/desk/join", bad, &no); code != http.StatusUnprocessableEntity {
			t.Errorf("%+v: %d", bad, code)
		}
	}
	joining.Code = "0000000"
	if code := nobody.ask("POST", "/api/v1/desk/join", joining, &no); code != http.StatusUnauthorized || no.Reason == "" {
		t.Errorf("a wrong code: %d %+v", code, no)
	}
	joining.Code = code.Secret()
	var in clinic.Joined
	if status := nobody.ask("POST", "/api/v1/desk/join", joining, &in); status != http.StatusOK {
		t.Fatal(status)
	}
	block, _ := pem.Decode([]byte(in.CA))
	if block == nil || !code.Knows(block.Bytes) || in.Clinic != "North clinic" || in.House != "North" || in.Broker != "mqtts://127.0.0.1:"+h.broker.Port() || len(in.Secret) != 64 {
		t.Errorf("%+v", in)
	}
	var used struct{ Joined member }
	if enrolls.ask("GET", "/api/v1/desk/offers/current", nil, &used); used.Joined != (member{"willow", "Willow"}) {
		t.Errorf("%+v", used)
	}
	if v, ok := h.view("willow"); !ok || v.Name != "Willow" || v.House != "North" || v.Heard || v.Reached {
		t.Errorf("%+v", v)
	}

	// The file holds no secret, and is its owner's.
	text, err := os.ReadFile(filepath.Join(data, "desk.json"))
	st, _ := os.Stat(filepath.Join(data, "desk.json"))
	if err != nil || strings.Contains(string(text), in.Secret) || st.Mode().Perm() != 0o600 || !strings.Contains(string(text), time.Now().Format(time.DateOnly)) {
		t.Errorf("%v %v %s", err, st, text)
	}

	// The room connects by what it got.
	c := h.room(as("willow", in.Secret))
	h.say(c, "roomd/willow/state", clinic.State{Stage: "preparation"})
	h.eventually("willow", "heard", func(v view) bool { return v.Reached })

	// It joins again: the old secret is worth nothing.
	h.server.guesses = web.NewGuesses(h.server.o.Log) // the test is one address
	if code := nobody.ask("POST", "/api/v1/desk/join", joining, &no); code != http.StatusGone {
		t.Errorf("a code that was used: %d", code)
	}
	enrolls.ask("POST", "/api/v1/desk/offers", map[string]string{}, &o)
	code, _ = clinic.ParseCode(o.Code)
	joining.Code = code.Secret()
	var again clinic.Joined
	if status := nobody.ask("POST", "/api/v1/desk/join", joining, &again); status != http.StatusOK || again.Secret == in.Secret {
		t.Fatal(status, again)
	}
	rig.Eventually(t, "the old connection ends", func() bool { return !c.IsConnectionOpen() })
	h.eventually("willow", "not reached", func(v view) bool { return !v.Reached })
	if _, err := h.connect(as("willow", in.Secret)); err == nil {
		t.Error("the old secret works")
	}
	c = h.room(link{id: "willow", secret: again.Secret, will: "roomd/willow/status"})
	h.say(c, "roomd/willow/state", clinic.State{Stage: "preparation"})
	h.eventually("willow", "heard", func(v view) bool { return v.Reached })

	wills, err := h.broker.hub.SubscribeSync("roomd.willow.status")
	if err != nil {
		t.Fatal(err)
	}
	// It is removed: its connection ends, and nothing that it said is kept.
	if code := enrolls.ask("DELETE", "/api/v1/desk/rooms/willow", nil, nil); code != http.StatusOK {
		t.Fatal(code)
	}
	rig.Eventually(t, "the connection ends", func() bool { return !c.IsConnectionOpen() && h.links("willow") == 0 })
	if _, err := h.connect(as("willow", again.Secret)); err == nil {
		t.Error("a removed room gets in")
	}
	if _, ok := h.view("willow"); ok {
		t.Error("a removed room is shown")
	}
	if err := h.broker.hub.Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := wills.Pending(); n != 0 {
		t.Error("its will is published")
	}
	if n := h.kept("willow"); n != 0 {
		t.Errorf("%d of its messages are kept", n)
	}
	if code := enrolls.ask("DELETE", "/api/v1/desk/rooms/willow", nil, &no); code != http.StatusNotFound {
		t.Errorf("removed twice: %d", code)
	}

	// A code can be cancelled.
	enrolls.ask("POST", "/api/v1/desk/offers", map[string]string{}, &o)
	enrolls.ask("DELETE", "/api/v1/desk/offers/current", nil, nil)
	code, _ = clinic.ParseCode(o.Code)
	joining.Code = code.Secret()
	h.server.guesses = web.NewGuesses(h.server.o.Log)
	if status := nobody.ask("POST", "/api/v1/desk/join", joining, &no); status != http.StatusGone {
		t.Errorf("a cancelled code: %d", status)
	}
	for range 10 {
		if code := nobody.ask("POST", "/api/v1/desk/join", joining, &no); code == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("one address may try without end")
}

func as(id, secret string) link { return link{id: id, secret: secret} }

// kept is how many retained messages of a room the broker has.
func (h *hub) kept(id string) int {
	h.t.Helper()
	js, err := h.broker.hub.JetStream()
	if err != nil {
		h.t.Fatal(err)
	}
	info, err := js.StreamInfo("$MQTT_rmsgs", &nats.StreamInfoRequest{SubjectsFilter: "$MQTT.rmsgs.roomd." + id + ".>"})
	if err != nil {
		h.t.Fatal(err)
	}
	return len(info.State.Subjects)
}

// TestOffer holds the ends of a code: one use, five minutes, ten wrong guesses.
func TestOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		joined := 0
		var o offers
		use := func(secret string) error {
			return o.use(secret, member{"a", "A"}, func(string) error { joined++; return nil })
		}
		c, _ := o.make([]byte("desk"), "")
		time.Sleep(offerTime - time.Second)
		for range offerWrong - 1 {
			if err := use("0"); err != errWrongCode {
				t.Fatal(err)
			}
		}
		if err := use(strings.ToLower(c.Secret())); err != nil || joined != 1 {
			t.Fatal(err)
		}
		if err := use(c.Secret()); err != errNoOffer {
			t.Error("used twice:", err)
		}
		c, _ = o.make([]byte("desk"), "")
		for range offerWrong {
			_ = use("0")
		}
		if err := use(c.Secret()); err != errNoOffer {
			t.Error("after ten wrong guesses:", err)
		}
		c, _ = o.make([]byte("desk"), "")
		time.Sleep(offerTime)
		if err := use(c.Secret()); err != errNoOffer {
			t.Error("after five minutes:", err)
		}
		// What could not be saved can be tried again.
		c, _ = o.make([]byte("desk"), "")
		if err := o.use(c.Secret(), member{}, func(string) error { return os.ErrPermission }); err != os.ErrPermission {
			t.Error(err)
		}
		if err := use(c.Secret()); err != nil || joined != 2 {
			t.Error(err, joined)
		}
	})
}

// TestOfferIsUsedOnce lets many rooms use one code at once.
func TestOfferIsUsedOnce(t *testing.T) {
	var o offers
	c, _ := o.make([]byte("desk"), "")
	var all sync.WaitGroup
	in := make(chan int, 20)
	for i := range 20 {
		all.Go(func() {
			_ = o.use(c.Secret(), member{}, func(string) error { in <- i; return nil })
		})
	}
	all.Wait()
	if len(in) != 1 {
		t.Errorf("%d rooms have joined", len(in))
	}
}

// TestRegistry keeps rooms over a restart, and changes nothing that it can't write.
func TestRegistry(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "desk.json")
	r, err := OpenRegistry(path)
	if err != nil || r.SetUp("North", ":1") != nil {
		t.Fatal(err)
	}
	secret, err := r.add("oak", "Oak", "North")
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenRegistry(path)
	if err != nil || !again.Admit("oak", secret) || again.Admit("oak", secret+"0") || again.Admit("oak", "") || again.Admit("elm", "") || again.Name() != "North" || again.Listen() != ":1" {
		t.Fatal(err, again)
	}
	if again.SetUp("", ":2") != nil || again.Name() != "North" || again.Listen() != ":2" {
		t.Error(again)
	}
	broken, err := OpenRegistry(filepath.Join(dir, "no", "desk.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.add("elm", "Elm", ""); err == nil || broken.Known("elm") {
		t.Error("a room joins that is not saved:", err)
	}
	if err := os.WriteFile(path, []byte(`{"rooms": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRegistry(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "join again") {
		t.Error(err)
	}
}

// TestHubComesBack ends the desk while a real room is connected: the next one has not heard of the room until it speaks, and then knows
// all of it.
func TestHubComesBack(t *testing.T) {
	data := t.TempDir()
	port := rig.FreePort(t)
	h := open(t, data, port)
	secret := h.register("willow")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.certs.Authority()}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := mqtt.Dial(mqtt.Options{Broker: fmt.Sprintf("mqtts://willow:%s@127.0.0.1:%d", secret, port), CA: ca, ClientID: "willow-1", Status: "roomd/willow/status", Boot: "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	state, _ := json.Marshal(clinic.State{Stage: "integration", LeftMS: 60_000, Held: true})
	about, _ := json.Marshal(clinic.About{Name: "Willow", House: "South", Version: "2", Library: clinic.Library{Revision: "abc", ChangedMS: 5}})
	c.Retain("roomd/willow/state", state)
	c.Retain("roomd/willow/about", about)
	right := func(v view) bool {
		return v.Reached && v.Heard && v.Stage == "integration" && v.Held && v.Name == "Willow" && v.House == "South" && v.Version == "2" && v.Library == clinic.Library{Revision: "abc", ChangedMS: 5}
	}
	h.eventually("willow", "all of it", right)
	h.stop()
	rig.Eventually(t, "the link is lost", func() bool { return !c.Open() })
	// Nobody is let in while the desk looks at what it knows by itself.
	h = open(t, data, 0)
	if v, ok := h.view("willow"); !ok || v.Heard || v.Reached || v.Stage != "" || v.Name != "Room willow" {
		t.Errorf("not heard yet: %+v", v)
	}
	h.stop()
	h = open(t, data, port)
	h.eventually("willow", "all of it again", right)
}

// events reads the events of a feed, without comments.
func events(t *testing.T, resp *http.Response) func() event {
	next := eventTexts(t, resp)
	return func() (e event) {
		t.Helper()
		if err := json.Unmarshal([]byte(next()), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
}

// eventTexts reads the data of a feed's events.
func eventTexts(t *testing.T, resp *http.Response) func() string {
	lines := bufio.NewReader(resp.Body)
	return func() string {
		t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if text, is := strings.CutPrefix(line, "data: "); is {
				return text
			}
		}
	}
}

// TestFeed reads the page's feed: first all rooms, then those that change.
func TestFeed(t *testing.T) {
	h := open(t, t.TempDir(), 0)
	oak := h.register("oak")
	h.register("elm")
	wall := h.device("wall", web.Observer)
	resp := wall.do("GET", "/api/v1/desk/rooms", nil)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(resp.Status, resp.Header)
	}
	next := events(t, resp)
	if e := next(); !e.All || len(e.Rooms) != 2 || !e.Connected || len(e.Gone) != 0 {
		t.Errorf("%+v", e)
	}
	c := h.room(as("oak", oak))
	h.say(c, "roomd/oak/state", clinic.State{Stage: "preparation", LeftMS: 90_000, Broken: []clinic.Broken{{Part: "sound", SinceMS: 2000}}})
	e := next()
	var v view
	if len(e.Rooms) != 1 || e.All || json.Unmarshal(e.Rooms[0], &v) != nil || v.ID != "oak" || v.EndsMS-e.NowMS > 90_000 || v.EndsMS-e.NowMS < 60_000 || len(v.Broken) != 1 || e.NowMS-v.Broken[0].SinceMS < 2000 {
		t.Errorf("%+v %+v", e, v)
	}
	h.device("desk", web.Therapist).ask("DELETE", "/api/v1/desk/rooms/elm", nil, nil)
	for e = next(); len(e.Gone) == 0; e = next() {
	}
	if e.All || e.Gone[0] != "elm" || len(e.Rooms) != 0 {
		t.Errorf("%+v", e)
	}
	// As many pages as one device may have.
	for range feedsOfOne - 1 {
		if resp := wall.do("GET", "/api/v1/desk/rooms", nil); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	if code := wall.ask("GET", "/api/v1/desk/rooms", nil, nil); code != http.StatusTooManyRequests {
		t.Errorf("one page too many: %d", code)
	}
	if code := (client{h: h}).ask("GET", "/api/v1/desk/rooms", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("a stranger: %d", code)
	}
	// A device that is sent away reads no more.
	if err := h.tokens.Revoke(t.Context(), "wall"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = bufio.NewReader(resp.Body).WriteTo(&strings.Builder{})
	}()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("it still reads")
	}
}

// TestFeedIsConflated changes a thousand rooms a thousand times a second: a page gets four events a second, each with the newest of each
// room once, and a page that reads nothing is cut off without holding up another.
func TestFeedIsConflated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{rooms: newRooms(true), bye: make(chan struct{})}
		for i := range 100 {
			s.rooms.Receive(fmt.Sprint("room", i), "status", []byte(`{"state":"online"}`), false)
		}
		got, last := 0, map[string]int64{}
		go func() {
			_ = s.stream(t.Context(), func(text []byte) error {
				if text[0] == ':' {
					return nil
				}
				got++
				var e event
				if err := json.Unmarshal(text[len("data: "):], &e); err != nil || len(e.Rooms) > 100 {
					t.Errorf("%v: %d rooms", err, len(e.Rooms))
				}
				for _, r := range e.Rooms {
					var v view
					_ = json.Unmarshal(r, &v)
					last[v.ID] = v.EndsMS - e.NowMS
				}
				return nil
			}, func() bool { return true })
		}()
		slow := make(chan struct{})
		go func() {
			_ = s.stream(t.Context(), func([]byte) error { time.Sleep(feedEvery * 20); return os.ErrDeadlineExceeded }, func() bool { return true })
			close(slow)
		}()
		for i := range 10_000 {
			s.rooms.Receive(fmt.Sprint("room", i%100), "state", fmt.Appendf(nil, `{"stage":"preparation","left_ms":%d}`, 1000*i), false)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got < 38 || got > 43 {
			t.Errorf("%d events in 10 s", got)
		}
		for i := range 100 {
			if left := last[fmt.Sprint("room", i)]; left < int64(1000*(9900+i))-300 {
				t.Errorf("room%d ends in %d", i, left)
			}
		}
		select {
		case <-slow:
		default:
			t.Error("a page that reads nothing is not cut off")
		}
		s.Bye(t.Context())
		synctest.Wait()
	})
}
