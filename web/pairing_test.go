package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"roomd/room/journal"

	"roomd/rig"
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
	theirs := NewTokens(other).SealCodes(codeKey)

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
	if _, ok := h.tokens.Check(c.Value, false); ok {
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

// TestGuessedCodes guesses from more addresses than there are in a house, for the five minutes of a code.
func TestGuessedCodes(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	for _, addresses := range []int{1, 50, 5000} {
		log := new(bytes.Buffer)
		g := newGuesses(slog.New(slog.NewTextHandler(log, nil)))
		now := time.Now()
		g.now = func() time.Time { return now }
		address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }
		looked := 0
		for tick := range 3000 { // five minutes, 3,000 a second
			now = now.Add(100 * time.Millisecond)
			for n := range 300 {
				from := address((tick*300 + n) % addresses)
				ok := g.allow(from)
				if ok {
					looked++
				}
				g.wrong(from, ok)
			}
			if addresses <= 50 && tick%300 == 0 {
				owner := netip.AddrFrom4([4]byte{192, 168, 7, byte(tick / 300)})
				if !g.allow(owner) { // who mistypes twice
					t.Fatalf("%d addresses guess: the owner can't type a code after %d s", addresses, tick/10)
				}
				g.wrong(owner, true)
				if !g.allow(owner) {
					t.Fatalf("%d addresses guess: the owner can't type a code a second time after %d s", addresses, tick/10)
				}
				g.right(owner)
			}
		}
		most := map[int]int{1: 8, 50: 170, 5000: 260}[addresses]
		if t.Logf("%d addresses: %d of 900,000 guesses were looked at", addresses, looked); looked > most+1 {
			t.Errorf("%d addresses: %d guesses were looked at, at most %d are", addresses, looked, most)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("%d lines for a burst: %s", n, log)
		}
		if a := g.lately(); a == nil || a.Count < 900_000 || a.Addresses < min(addresses, maxGuessers) {
			t.Errorf("%+v", a)
		}
		if now = now.Add(25 * time.Hour); g.lately() != nil {
			t.Error("a burst is told of after a day")
		}
	}
}

// After very many wrong ones the code is worth nothing whatever limits there were, over restarts too; its link still lets in.
func TestWrongCodesEndACode(t *testing.T) {
	h := open(t)
	p := offer(t, h.tokens, "", Therapist)
	for n := range wrongCodes {
		if guess := fmt.Sprintf("%06d", 999_999-n); guess != p.Code {
			h.pair(t, fmt.Sprintf(`{"code":%q}`, guess))
		}
	}
	h.pair(t, `{"code":"12345"}`) // no code, and none that counts
	h.pair(t, `{"code":"000000"}`)
	if code, _ := h.pair(t, fmt.Sprintf(`{"code":%q}`, p.Code)); code != http.StatusUnauthorized {
		t.Errorf("the code after %d guesses: %d", wrongCodes, code)
	}
	if code, _ := h.pair(t, fmt.Sprintf(`{"link":%q}`, p.Link)); code != 200 {
		t.Errorf("the link after %d guesses: %d", wrongCodes, code)
	}
}

// TestOwnerPairsWhileOthersGuess has 50 addresses guess codes and links, 1,000 a second, while the owner comes by code and link.
func TestOwnerPairsWhileOthersGuess(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.server.guesses = newGuesses(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var guessed atomic.Int64
	from := func(ip string) *http.Client {
		dial := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		return &http.Client{Transport: &http.Transport{DialContext: dial.DialContext}, Timeout: 30 * time.Second}
	}
	pair := func(c *http.Client, body string) (int, error) {
		resp, err := c.Post(h.URL+"/api/v1/pair", asJSON, strings.NewReader(body))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	for n := range 50 {
		for _, kind := range []string{"code", "link"} {
			all.Go(func() {
				c := from(fmt.Sprintf("127.0.1.%d", n+1))
				tick := time.NewTicker(100 * time.Millisecond)
				defer tick.Stop()
				for k := 0; ; k++ {
					select {
					case <-ctx.Done():
						c.CloseIdleConnections()
						return
					case <-tick.C:
						guess := secret(16)
						if kind == "code" {
							guess = fmt.Sprintf("%06d", (n*17+k)%1000)
						}
						if code, err := pair(c, fmt.Sprintf(`{%q:%q}`, kind, guess)); err == nil && code/100 == 4 {
							guessed.Add(1)
						}
					}
				}
			})
		}
	}
	began := time.Now()
	rig.Eventually(t, "the guessing is under way", func() bool { return guessed.Load() > 500 })
	for k := range 3 {
		p := offer(t, h.tokens, "", Therapist)
		for p.Code < "001000" { // one that the others do not try
			p = offer(t, h.tokens, "", Therapist)
		}
		for _, body := range []string{fmt.Sprintf(`{"code":%q,"name":"iPad"}`, p.Code), fmt.Sprintf(`{"link":%q,"name":"iPad"}`, offer(t, h.tokens, "", Therapist).Link)} {
			asked := time.Now()
			code, err := pair(from("127.0.0.200"), body)
			if took := time.Since(asked); err != nil || code != 200 || took > 10*time.Second {
				t.Errorf("the owner's %d. time after %v of guesses: %d, %v, after %v", k, time.Since(began).Round(time.Second), code, err, took)
			}
		}
		before := guessed.Load()
		rig.Eventually(t, "more is guessed", func() bool { return guessed.Load() > before+1000 })
	}
	cancel()
	all.Wait()
	t.Logf("%d guesses in %v", guessed.Load(), time.Since(began))
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
				_, _, err := h.tokens.Redeem(t.Context(), by, "iPad", "", false)
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
	if m.ID != "1" || m.Reason != watches.Reason || len(h.room.commands()) != 0 {
		t.Errorf("%+v, %d commands done", m, len(h.room.commands()))
	}
	sent := time.Now()
	if resp, body := h.ask(t, "DELETE", "/api/v1/devices/watcher", "", h.bearer()...); resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	for err == nil {
		err = conn.ReadJSON(&m)
	}
	if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
		t.Error(err)
	}
	rig.Bar(t, "a device is removed", "its line ends after", time.Since(sent).Seconds(), 1, "s")
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
		_, is, err := h.tokens.Redeem(t.Context(), offer(t, h.tokens, "", Therapist).Link, name, "", false)
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

// TestClockIsSetWhileACodeWaits sets the wall clock back and forth by up to 56 years while a pairing code is open. The code still works for
// exactly CodeTime. A reboot ends it.
func TestClockIsSetWhileACodeWaits(t *testing.T) {
	for _, leap := range []time.Duration{56 * 365 * 24 * time.Hour, time.Hour, -time.Hour, -56 * 365 * 24 * time.Hour} {
		for name, x := range map[string]struct {
			passed time.Duration
			boot   string
			works  bool
		}{
			"at once":         {0, "first", true},
			"in time":         {CodeTime - 2*time.Second, "first", true},
			"late":            {CodeTime + time.Second, "first", false},
			"after a restart": {0, "second", false},
		} {
			for _, by := range []string{"code", "link"} {
				t.Run(fmt.Sprint(leap, " ", name, " by ", by), func(t *testing.T) {
					h := open(t)
					var mu sync.Mutex
					wall, boot, since := time.Now(), "first", 40*time.Second
					h.tokens.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return wall }
					h.tokens.uptime = func() (string, time.Duration) { mu.Lock(); defer mu.Unlock(); return boot, since }
					p, err := h.tokens.Offer(t.Context(), "", Therapist, CodeTime)
					if err != nil {
						t.Fatal(err)
					}
					mu.Lock()
					wall, boot, since = wall.Add(leap), x.boot, since+x.passed
					mu.Unlock()
					what := p.Code
					if by == "link" {
						what = p.Link
						if is := h.tokens.Offered(p.Link); !is && x.works {
							t.Error("the page is told that the link does not wait")
						}
					}
					if _, _, err := h.tokens.Redeem(t.Context(), what, "iPad", "", false); (err == nil) != x.works {
						t.Errorf("%v", err)
					}
				})
			}
		}
	}
}
