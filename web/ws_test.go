package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/rig"
	"roomd/room"
)

// dial connects a tablet; head are further headers in turn.
func (h *house) dial(head ...string) (*websocket.Conn, *http.Response, error) {
	hd := http.Header{}
	for k := 0; k+1 < len(head); k += 2 {
		hd.Set(head[k], head[k+1])
	}
	return websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(h.URL, "http")+"/ws", hd)
}

func (h *house) tablet(t testing.TB) *websocket.Conn {
	t.Helper()
	c, _, err := h.dial("Cookie", "roomd="+h.token, "Origin", h.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	return c
}

// next is the next message of a kind.
func next(t testing.TB, c *websocket.Conn, kind string) map[string]any {
	t.Helper()
	for {
		var m map[string]any
		if err := c.ReadJSON(&m); err != nil {
			t.Fatalf("waiting for %s: %v", kind, err)
		}
		if m["type"] == kind {
			return m
		}
	}
}

func TestSocketIsForThePageAlone(t *testing.T) {
	h := open(t)
	port := h.URL[strings.LastIndex(h.URL, ":"):]
	for origin, want := range map[string]int{
		h.URL: 101, "http://evil.example": 403, "https://127.0.0.1" + port: 101, "http://127.0.0.1:1": 403, "https://127.0.0.1:1": 403, "http://localhost" + port: 403, "null": 403,
	} {
		c, resp, _ := h.dial("Cookie", "roomd="+h.token, "Origin", origin)
		if resp.StatusCode != want {
			t.Errorf("origin %s: %s, wanted %d", origin, resp.Status, want)
		}
		if c != nil {
			c.Close()
		}
	}
	if _, resp, _ := h.dial("Cookie", "roomd="+h.token); resp.StatusCode != 403 {
		t.Errorf("a cookie without an origin: %s", resp.Status)
	}
	if _, resp, _ := h.dial("Origin", h.URL); resp.StatusCode != 401 {
		t.Errorf("no token: %s", resp.Status)
	}
	c, resp, err := h.dial("Authorization", "Bearer "+h.token)
	if err != nil {
		t.Fatalf("a program with its token: %v %v", resp, err)
	}
	c.Close()
}

func TestSocketTalks(t *testing.T) {
	h := open(t)
	c := h.tablet(t)
	if m := next(t, c, "snapshot"); m["rev"] != 1.0 || m["session"].(map[string]any)["name"] != "P" {
		t.Errorf("the first message is %v", m)
	}
	h.room.change()
	if m := next(t, c, "snapshot"); m["rev"] != 2.0 {
		t.Errorf("after a change: %v", m["rev"])
	}
	for _, talk := range []struct{ say, kind, want string }{
		{`{"type":"command","id":"1","do":"next"}`, "ack", `"id":"1"`},
		{`{"type":"command","id":"2","do":"hold"}`, "nack", `"reason":"Arrival is held already."`},
		{`{"type":"command","do":"next"}`, "nack", `"field":"id"`},
		{`{"type":"command","id":"3","do":"next","loud":1}`, "nack", `"field":"loud"`},
		{`{"type":"time","t0":41.5}`, "time", `"t0":41.5,"t1":5000,"t2":5000`},
		{`{"type":"time"}`, "nack", `"field":"t0"`},
		{`{"type":"ping"}`, "pong", `"pong"`},
		{`{"type":"dance"}`, "nack", `"field":"type"`},
		{`garbage`, "nack", `"reason"`},
		{`[1]`, "nack", `"reason"`},
	} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(talk.say)); err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(next(t, c, talk.kind))
		if !strings.Contains(string(b), talk.want) {
			t.Errorf("%s is answered by %s, wanted %s in it", talk.say, b, talk.want)
		}
	}
}

// TestSocketTellsSteadily has nothing change: snapshots are sent all the same. When is due.
func TestSocketTellsSteadily(t *testing.T) {
	h := open(t)
	for _, idle := range []bool{false, true} {
		h.room.rest(idle)
		c := h.tablet(t)
		for range 3 {
			next(t, c, "snapshot")
		}
	}
}

// A page takes a room that says nothing for 3 s for gone.
func TestSnapshotsAreDue(t *testing.T) {
	now := time.Date(2026, 11, 30, 18, 0, 1, 250_000_000, time.UTC)
	for name, x := range map[string]struct {
		snap room.Snapshot
		want time.Duration
	}{
		"in a session":     {room.Snapshot{Session: &room.SessionView{State: room.Running, ElapsedMS: 61_234}}, 766 * time.Millisecond},
		"in a sound check": {room.Snapshot{Checking: true}, time.Second},
		"in a rehearsal":   {room.Snapshot{Rehearsal: &room.RehearsalView{}}, time.Second},
		"at rest":          {room.Snapshot{}, 750 * time.Millisecond},
	} {
		if got := due(x.snap, now); got != x.want {
			t.Errorf("%s: after %v, wanted %v", name, got, x.want)
		}
	}
	if got := due(room.Snapshot{}, now.Add(750*time.Millisecond)); got != atRest {
		t.Errorf("at rest: after %v, wanted %v", got, atRest)
	}
}

func TestSocketDoesCommandsInOrder(t *testing.T) {
	h := open(t)
	h.room.slow = 5 * time.Millisecond
	c := h.tablet(t)
	for n := range 10 {
		if err := c.WriteJSON(map[string]any{"type": "command", "id": fmt.Sprint(n), "do": "next"}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10 {
		if m := next(t, c, "ack"); m["id"] != fmt.Sprint(n) {
			t.Fatalf("acknowledged %v, wanted %d", m["id"], n)
		}
	}
	// One that was taken is done, though nobody waits for the answer.
	h.room.slow = 50 * time.Millisecond
	if err := c.WriteJSON(map[string]any{"type": "command", "id": "last", "do": "next"}); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the command has come", func() bool {
		h.room.mu.Lock()
		defer h.room.mu.Unlock()
		return h.room.begun == 11
	})
	c.Close()
	rig.Eventually(t, "the command is done", func() bool { cs := h.room.commands(); return cs[len(cs)-1].ID == "last" })
}

func TestSocketsThatMisbehave(t *testing.T) {
	h := open(t)
	c := h.tablet(t)
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"type":"`+strings.Repeat("x", maxBody)+`"}`)); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "a large message ends the socket", func() bool { return h.server.Dropped()["message too large"] == 1 })

	// Sixteen, and no more until one leaves.
	var all []*websocket.Conn
	for range maxSockets {
		all = append(all, h.tablet(t))
	}
	if _, resp, err := h.dial("Cookie", "roomd="+h.token, "Origin", h.URL); err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %v %v", resp, err)
	}
	all[0].Close()
	rig.Eventually(t, "there is room again", func() bool {
		c, _, err := h.dial("Cookie", "roomd="+h.token, "Origin", h.URL)
		if err == nil {
			c.Close()
		}
		return err == nil
	})

	// A revoked tablet is shown out.
	if err := h.tokens.Revoke(t.Context(), "tablet"); err != nil {
		t.Fatal(err)
	}
	if err := all[1].WriteJSON(map[string]any{"type": "command", "id": "late", "do": "next"}); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "revoked sockets end", func() bool { return h.server.Dropped()["revoked"] >= 1 })
	for _, c := range h.room.commands() {
		if c.ID == "late" {
			t.Error("a revoked tablet steered")
		}
	}
}

// TestObserversTakeNoTherapistsPlace has observers open all that they can: the therapist still gets in.
func TestObserversTakeNoTherapistsPlace(t *testing.T) {
	h := open(t)
	got := 0
	for k := range 8 {
		watch, err := h.tokens.Create(t.Context(), fmt.Sprint("watcher ", k), Observer)
		if err != nil {
			t.Fatal(err)
		}
		for range maxSockets {
			c, _, err := h.dial("Cookie", "roomd="+watch, "Origin", h.URL)
			if err != nil {
				break
			}
			defer c.Close()
			got++
		}
		if got > 4*(k+1) {
			t.Fatalf("%d sockets of %d observers", got, k+1)
		}
	}
	if got != maxSockets {
		t.Errorf("%d sockets of observers", got)
	}
	second, err := h.tokens.Create(t.Context(), "second", Therapist)
	if err != nil {
		t.Fatal(err)
	}
	for range maxSockets {
		h.tablet(t)
		c, _, err := h.dial("Cookie", "roomd="+second, "Origin", h.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
}

// TestDeadTabletsDoNotDelayALiveOne: five that never read, and one that sees each change.
func TestDeadTabletsDoNotDelayALiveOne(t *testing.T) {
	h := open(t)
	for range 5 {
		h.tablet(t) // never reads
	}
	c := h.tablet(t)
	next(t, c, "snapshot")
	for n := range 300 {
		h.room.change()
		want := float64(n + 2)
		for {
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			if m := next(t, c, "snapshot"); m["rev"].(float64) >= want {
				break
			}
		}
	}
}

// BenchmarkChange is a change on its way to as many tablets as may connect.
func BenchmarkChange(b *testing.B) {
	h := open(b)
	var all []*websocket.Conn
	for range maxSockets {
		c := h.tablet(b)
		_ = c.SetReadDeadline(time.Time{})
		next(b, c, "snapshot")
		all = append(all, c)
	}
	for b.Loop() {
		h.room.change()
		want := float64(h.room.Snapshot().Rev)
		for _, c := range all {
			for next(b, c, "snapshot")["rev"].(float64) < want {
			}
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{`{"type":"command","id":"1","do":"next"}`, `{"type":"time","t0":1e999}`, `{"type":{}}`, `{`, "\x00", `{"type":"command","db":[]}`} {
		f.Add(s)
	}
	h := open(f)
	f.Fuzz(func(t *testing.T, msg string) {
		if len(msg) > maxBody {
			return
		}
		c := h.tablet(t)
		defer c.Close()
		if err := c.WriteMessage(websocket.TextMessage, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		if err := c.WriteJSON(map[string]string{"type": "ping"}); err != nil {
			t.Fatal(err)
		}
		next(t, c, "pong") // it lives
	})
}

var _ Room = (*room.Room)(nil)

// The room is told when a therapist's first page opens and when the last one is gone, and which playlist may be started. A page
// that only watches does not count.
func TestTheRoomKnowsThatSomebodyLooks(t *testing.T) {
	h := open(t)
	told := make(chan bool, 10)
	h.server.hub.watched = func(yes bool) { told <- yes }
	var chosen []string
	h.server.o.Chosen = func(id string) { chosen = append(chosen, id) }
	watches, err := h.tokens.Create(t.Context(), "wall", Observer)
	if err != nil {
		t.Fatal(err)
	}
	wall, _, err := h.dial("Cookie", "roomd="+watches, "Origin", h.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer wall.Close()
	next(t, wall, "snapshot")
	if len(told) > 0 {
		t.Error("a page that watches wakes the sound")
	}
	a, b := h.tablet(t), h.tablet(t)
	next(t, b, "snapshot")
	a.Close()
	b.Close()
	for _, want := range []bool{true, false} {
		select {
		case got := <-told:
			if got != want {
				t.Errorf("told %v, want %v", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("not told %v", want)
		}
	}
	if len(told) > 0 {
		t.Error("told more than once")
	}
	for _, query := range []string{"", "?chosen=", "?chosen=evening%2Fp"} {
		if resp, _ := h.ask(t, "GET", "/api/v1/playlists"+query, "", "Cookie", "roomd="+h.token); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
	if resp, _ := h.ask(t, "GET", "/api/v1/playlists?chosen=x", ""); resp.StatusCode == http.StatusOK || len(chosen) != 1 || chosen[0] != "evening/p" {
		t.Errorf("%s, chosen: %q", resp.Status, chosen)
	}
}
