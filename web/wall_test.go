package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// TestOnlyTheWallIsFramed asks for every page, written in every way that may lead to the wall: only the wall itself, as the page knows
// it, may stand in a frame, and only in those of the room file.
func TestOnlyTheWallIsFramed(t *testing.T) {
	h := open(t)
	frame := func(path string, head ...string) string {
		resp, _ := h.ask(t, "GET", path, "", head...)
		_, policy, _ := strings.Cut(resp.Header.Get("Content-Security-Policy"), "frame-ancestors ")
		policy, _, _ = strings.Cut(policy, ";")
		if (policy == "'none'") != (resp.Header.Get("X-Frame-Options") == "DENY") {
			t.Errorf("%s: frame-ancestors %s and X-Frame-Options %q", path, policy, resp.Header.Get("X-Frame-Options"))
		}
		return policy
	}
	if got := frame("/wall"); got != "'none'" {
		t.Errorf("a room file without frames: %s", got)
	}
	h.server.o.Frame = []string{"https://desk.clinic.example", "http://192.168.1.9:8123"}
	for _, path := range []string{"/wall", "/wall?x=1"} {
		if got := frame(path); got != "https://desk.clinic.example http://192.168.1.9:8123" {
			t.Errorf("%s: %s", path, got)
		}
	}
	for _, path := range []string{"/", "/pair", "/index.html", "/wall/", "//wall", "/%77all", "/wal%6c", "/./wall", "/wall/.", "/x/../wall", "/Wall", "/wall/ws", "/wall/x", "/api/v1/state", "/nothing", "/ca.crt", "/assets/x.js"} {
		if got := frame(path); got != "'none'" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if resp, body := h.ask(t, "GET", "/wall", ""); resp.StatusCode != http.StatusOK || !strings.Contains(body, `id="app"`) {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// TestWall is the matrix of who opens the wall's websocket, and from where: an observer's token that comes as a subprotocol, from a
// page of the room's own, and nothing else. What is sent over it is refused.
func TestWall(t *testing.T) {
	h := open(t)
	watch, err := h.tokens.Create(t.Context(), "Wall", Observer)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(path string, head ...string) (*websocket.Conn, int) {
		hd := http.Header{}
		for k := 0; k+1 < len(head); k += 2 {
			hd.Set(head[k], head[k+1])
		}
		c, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(h.URL, "http")+path, hd)
		if resp == nil {
			t.Fatal(err)
		}
		if c != nil {
			t.Cleanup(func() { c.Close() })
		}
		return c, resp.StatusCode
	}
	by := func(token string) []string {
		return []string{"Sec-WebSocket-Protocol", wallProtocol + ", " + wallToken + token}
	}
	own := []string{"Origin", h.URL}
	for _, c := range []struct {
		what, path string
		head       []string
		want       int
	}{
		{"an observer", "/wall/ws", slices.Concat(by(watch), own), 101},
		{"an observer in a frame", "/wall/ws", slices.Concat(by(watch), own, []string{"Sec-Fetch-Site", "same-origin"}), 101},
		{"an observer's cookie", "/wall/ws", slices.Concat([]string{"Cookie", "roomd=" + watch}, own), 401},
		{"an observer's header", "/wall/ws", []string{"Authorization", "Bearer " + watch}, 401},
		{"a therapist", "/wall/ws", slices.Concat(by(h.token), own), 403},
		{"a therapist's cookie beside it", "/wall/ws", slices.Concat(by(""), own, []string{"Cookie", "roomd=" + h.token}), 401},
		{"a stranger", "/wall/ws", slices.Concat(by("guess"), own), 401},
		{"no token", "/wall/ws", own, 401},
		{"a page of another origin", "/wall/ws", slices.Concat(by(watch), []string{"Origin", "https://desk.clinic.example"}), 403},
		{"a page of another site", "/wall/ws", slices.Concat(by(watch), own, []string{"Sec-Fetch-Site", "cross-site"}), 403},
		{"no origin", "/wall/ws", by(watch), 403},
		{"elsewhere", "/ws", slices.Concat(by(watch), own), 401},
		{"elsewhere, a therapist", "/ws", slices.Concat(by(h.token), own), 401},
	} {
		if _, got := dial(c.path, c.head...); got != c.want {
			t.Errorf("%s: %d, wanted %d", c.what, got, c.want)
		}
	}
	for _, r := range routes {
		if resp, _ := h.ask(t, r.method, r.path, r.body, append(by(watch), "Content-Type", asJSON)...); (resp.StatusCode == http.StatusUnauthorized) == (r.who == anybody) {
			t.Errorf("%s %s takes the token as a subprotocol: %s", r.method, r.path, resp.Status)
		}
	}
	c, _ := dial("/wall/ws", slices.Concat(by(watch), own)...)
	if c == nil || c.Subprotocol() != wallProtocol {
		t.Fatal("the answer's subprotocol, which a browser asks for")
	}
	next(t, c, "snapshot")
	if err := c.WriteJSON(map[string]string{"type": "command", "id": "1", "do": "emergency"}); err != nil {
		t.Fatal(err)
	}
	if m := next(t, c, "nack"); m["reason"] != watches.Reason || len(h.room.commands()) != 0 {
		t.Errorf("%v, %v", m, h.room.commands())
	}
	// Sent away, it is cut off.
	if resp, body := h.ask(t, "DELETE", "/api/v1/devices/Wall", "", h.bearer()...); resp.StatusCode != 200 {
		t.Fatal(body)
	}
	for err == nil {
		_, _, err = c.ReadMessage()
	}
	if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Error(err)
	}
}
