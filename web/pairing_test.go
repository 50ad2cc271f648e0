package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"roomd/room/journal"
)

func offer(t testing.TB, tokens *Tokens, name string, role Role) Pairing {
	t.Helper()
	p, err := tokens.Offer(t.Context(), name, role, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pair asks to be let in, and returns the answer's status and the cookie.
func (h *house) pair(t testing.TB, body string, head ...string) (int, *http.Cookie) {
	t.Helper()
	resp, _ := h.ask(t, "POST", "/api/v1/pair", body, append(head, "Content-Type", asJSON, "Host", "willow.local:8080")...)
	if c := resp.Cookies(); len(c) == 1 {
		return resp.StatusCode, c[0]
	}
	return resp.StatusCode, nil
}

func TestPairing(t *testing.T) {
	h := open(t)
	// Made by another process, as roomd pair does.
	other, _, err := journal.Open(h.store)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	theirs := NewTokens(other)

	p := offer(t, theirs, "", Therapist)
	if len(p.Code) != 6 || len(p.Link) != 22 || time.Until(p.Until) > time.Minute {
		t.Fatalf("%+v", p)
	}
	for _, name := range []string{h.store, h.store + "-wal"} {
		if b, _ := os.ReadFile(name); bytes.Contains(b, []byte(p.Link)) {
			t.Error("the link itself is on the disk")
		}
	}
	code, c := h.pair(t, fmt.Sprintf(`{"code":"%s %s","name":"iPad"}`, p.Code[:3], p.Code[3:]))
	if code != 200 || c == nil || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge < 86400 || c.Value == p.Link {
		t.Fatalf("%d, the cookie is %+v", code, c)
	}
	if resp, _ := h.ask(t, "POST", "/api/v1/commands", `{"id":"1","do":"next"}`, "Cookie", "roomd="+c.Value, "Content-Type", asJSON); resp.StatusCode != 200 {
		t.Errorf("with the cookie: %s", resp.Status)
	}
	// Used up, by code and by link.
	for _, again := range []string{fmt.Sprintf(`{"code":%q}`, p.Code), fmt.Sprintf(`{"link":%q}`, p.Link)} {
		if code, _ := h.pair(t, again); code != http.StatusUnauthorized {
			t.Errorf("a second time: %d", code)
		}
	}
	// By its link; a name that is taken gets a number; one that was given at the room's computer stands.
	if code, _ := h.pair(t, fmt.Sprintf(`{"link":%q,"name":"iPad"}`, offer(t, theirs, "", Therapist).Link)); code != 200 {
		t.Errorf("by a link: %d", code)
	}
	if code, _ := h.pair(t, fmt.Sprintf(`{"link":%q,"name":"iPad"}`, offer(t, theirs, "Supervision", Observer).Link)); code != 200 {
		t.Errorf("by a link: %d", code)
	}
	// A device that comes again gives its old token up.
	if code, _ := h.pair(t, fmt.Sprintf(`{"code":%q,"name":"iPad"}`, offer(t, theirs, "", Therapist).Code), "Cookie", "roomd="+c.Value); code != 200 {
		t.Errorf("again: %d", code)
	}
	if _, ok := h.tokens.Check(c.Value); ok {
		t.Error("the old token of a device that was let in again still works")
	}
	_, body := h.ask(t, "GET", "/api/v1/devices", "", h.bearer()...)
	var list []device
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range list {
		got = append(got, fmt.Sprintf("%s %s %v", d.Name, d.Role, d.This))
	}
	if s := strings.Join(got, ", "); s != "Supervision observer false, iPad therapist false, iPad 2 therapist false, tablet therapist true" {
		t.Errorf("the devices are %s", s)
	}
	// Too old.
	late, err := theirs.Offer(t.Context(), "", Therapist, -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := h.pair(t, fmt.Sprintf(`{"code":%q}`, late.Code)); code != http.StatusUnauthorized {
		t.Errorf("too old: %d", code)
	}
}

// Ten thousand guesses find nothing, and hold up nobody who belongs to the room.
func TestGuessedCodes(t *testing.T) {
	h := open(t)
	h.server.codes.SetLimit(rate.Every(2 * time.Second))
	p := offer(t, h.tokens, "", Therapist)
	tried, refused := 0, 0
	for n := range 10_000 {
		guess := fmt.Sprintf("%06d", n)
		if guess == p.Code {
			continue
		}
		switch code, _ := h.pair(t, fmt.Sprintf(`{"code":%q}`, guess)); code {
		case http.StatusUnauthorized:
			tried++
		case http.StatusTooManyRequests:
			refused++
		default:
			t.Fatalf("guess %s: %d", guess, code)
		}
		if n%1000 == 0 {
			if resp, _ := h.ask(t, "GET", "/api/v1/state", "", h.bearer()...); resp.StatusCode != 200 {
				t.Fatalf("the tablet, meanwhile: %s", resp.Status)
			}
		}
	}
	if tried > 60 || refused < 9_000 {
		t.Errorf("%d guesses were looked at, %d refused", tried, refused)
	}
	// Without the limit too, after ten wrong ones the code is worth nothing; its link still lets in.
	h.server.codes.SetLimit(rate.Inf)
	for n := range wrongCodes {
		if guess := fmt.Sprintf("%06d", 999_999-n); guess != p.Code {
			h.pair(t, fmt.Sprintf(`{"code":%q}`, guess))
		}
	}
	h.pair(t, `{"code":"999989"}`)
	if code, _ := h.pair(t, fmt.Sprintf(`{"code":%q}`, p.Code)); code != http.StatusUnauthorized {
		t.Errorf("the code after ten guesses: %d", code)
	}
	if code, _ := h.pair(t, fmt.Sprintf(`{"link":%q}`, p.Link)); code != 200 {
		t.Errorf("the link after ten guesses: %d", code)
	}
}

// Of several who come with one code at once, one is let in.
func TestOneCodeLetsOneIn(t *testing.T) {
	h := open(t)
	for range 20 {
		p := offer(t, h.tokens, "", Therapist)
		var in atomic.Int32
		var all sync.WaitGroup
		for _, by := range []string{p.Code, p.Link, p.Code, p.Link} {
			all.Go(func() {
				_, _, err := h.tokens.Redeem(t.Context(), by, "iPad", "")
				if err == nil {
					in.Add(1)
				} else if !errors.Is(err, ErrNoPairing) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := in.Load(); n != 1 {
			t.Fatalf("%d were let in by one code", n)
		}
	}
}

// An observer sees the session, and what it sends is refused; one that is sent away is cut off at once.
func TestObserver(t *testing.T) {
	h := open(t)
	token, err := h.tokens.Create(t.Context(), "watcher", Observer)
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(h.URL, "http")+"/ws", http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var m struct {
		Type, Room, ID, Reason string
		You                    you
	}
	if err := conn.ReadJSON(&m); err != nil || m.Type != "snapshot" || m.Room != "Willow" || m.You != (you{"watcher", Observer}) {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := conn.WriteJSON(map[string]string{"type": "command", "id": "1", "do": "emergency"}); err != nil {
		t.Fatal(err)
	}
	for m.Type != "nack" {
		if err := conn.ReadJSON(&m); err != nil {
			t.Fatal(err)
		}
	}
	if m.ID != "1" || m.Reason != watches || len(h.room.commands()) != 0 {
		t.Errorf("%+v, %d commands done", m, len(h.room.commands()))
	}
	sent := time.Now()
	if resp, body := h.ask(t, "DELETE", "/api/v1/devices/watcher", "", h.bearer()...); resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	for err == nil {
		err = conn.ReadJSON(&m)
	}
	if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) || time.Since(sent) > time.Second {
		t.Errorf("after %v: %v", time.Since(sent), err)
	}
}

// TestADeviceCanBeNamed lets in devices with names that nobody could read or remove again.
func TestADeviceCanBeNamed(t *testing.T) {
	h := open(t)
	for _, name := range []string{".", "..", ". .", "a\u202eb", "a\u200fb", "a\x00b", "\ufeffa", strings.Repeat("x", maxName+1)} {
		if _, err := h.tokens.Create(t.Context(), name, Therapist); err == nil {
			t.Errorf("a token called %q", name)
		}
		if _, err := h.tokens.Offer(t.Context(), name, Therapist, time.Minute); err == nil {
			t.Errorf("a pairing for %q", name)
		}
		_, is, err := h.tokens.Redeem(t.Context(), offer(t, h.tokens, "", Therapist).Link, name, "")
		if err != nil || nameable(is.Name) != nil {
			t.Errorf("%q is let in as %q, %v", name, is.Name, err)
		}
		status, _ := h.ask(t, "DELETE", "/api/v1/devices/"+url.PathEscape(is.Name), "", h.bearer()...)
		if status.StatusCode/100 != 2 {
			t.Errorf("%q can't be sent away: %d", is.Name, status.StatusCode)
		}
	}
	for _, name := range []string{"診察室", "Ada's iPad", "Süd", "🌿"} {
		if _, err := h.tokens.Create(t.Context(), name, Therapist); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
