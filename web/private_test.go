package web

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/rig"
)

// https serves the same room over TLS too, and returns its address.
func (h *house) https(t testing.TB) string {
	t.Helper()
	s := httptest.NewTLSServer(h.server)
	t.Cleanup(s.Close)
	return s.URL
}

var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// send asks an address for a path; head are header names and values in turn.
func send(t testing.TB, method, url, body string, head ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k := 0; k+1 < len(head); k += 2 {
		req.Header.Set(head[k], head[k+1])
	}
	client := http.Transport{TLSClientConfig: anyCertificate, DisableKeepAlives: true}
	resp, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

// socket opens a websocket at an address with a header, and returns the answer's status.
func dialAt(t testing.TB, url string, head ...string) (*websocket.Conn, *http.Response) {
	t.Helper()
	hd := http.Header{"Origin": {url}}
	for k := 0; k+1 < len(head); k += 2 {
		hd.Set(head[k], head[k+1])
	}
	d := websocket.Dialer{TLSClientConfig: anyCertificate}
	c, resp, err := d.Dial("ws"+strings.TrimPrefix(url, "http")+"/ws", hd)
	if resp == nil {
		t.Fatal(err)
	}
	if c != nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, resp
}

// let lets a device in at an address, and returns its cookie.
func (h *house) let(t testing.TB, url string, role Role) *http.Cookie {
	t.Helper()
	resp := send(t, "POST", url+"/api/v1/pair", `{"link":"`+offer(t, h.tokens, "", role).Link+`","name":"iPad"}`, "Content-Type", asJSON)
	if len(resp.Cookies()) != 1 {
		t.Fatalf("%s: %v", resp.Status, resp.Cookies())
	}
	return resp.Cookies()[0]
}

// TestTokensAndTransports is the matrix of every kind of token, the way that it comes by, and what it is asked for with.
func TestTokensAndTransports(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.tokens.set = func() bool { return true }
	plain, private := h.URL, h.https(t)
	renewed := h.let(t, plain, Therapist)
	answer := send(t, "GET", private+"/", "", "Cookie", plainCookie+"="+renewed.Value)
	if len(answer.Cookies()) != 2 {
		t.Fatalf("the first request over https brings %v", answer.Cookies())
	}
	successor := answer.Cookies()[1]
	if successor.Name != secureCookie || !successor.Secure || !successor.HttpOnly || successor.Path != "/" || successor.Domain != "" || answer.Cookies()[0].MaxAge >= 0 {
		t.Fatalf("%+v", answer.Cookies())
	}
	send(t, "GET", private+"/api/v1/state", "", "Cookie", secureCookie+"="+successor.Value)
	h.tokens.mu.Lock()
	clear(h.tokens.late) // as ten seconds later
	h.tokens.mu.Unlock()
	made := func(name string, role Role) string {
		token, err := h.tokens.Create(t.Context(), name, role)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	gone := made("revoked", Therapist)
	if err := h.tokens.Revoke(t.Context(), "revoked"); err != nil {
		t.Fatal(err)
	}
	expiredPlain, expiredPrivate := h.let(t, plain, Therapist).Value, h.let(t, private, Therapist).Value
	_, err := h.tokens.exec(t.Context(), "UPDATE tokens SET created = 0, used = unixepoch() - ? WHERE hash IN (?, ?)", int(Unused.Seconds())+86400, digestOf(expiredPlain), digestOf(expiredPrivate))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		kind            string
		token           string
		http, https     bool // works over it
		steers, replace bool // replace: the first cookie over https is
	}{
		{"born over http", h.let(t, plain, Therapist).Value, true, true, true, true},
		{"born over https", h.let(t, private, Therapist).Value, false, true, true, false},
		{"replaced", renewed.Value, false, false, false, false},
		{"its successor", successor.Value, false, true, true, false},
		{"an observer's born over http", h.let(t, plain, Observer).Value, true, true, false, true},
		{"an observer's born over https", h.let(t, private, Observer).Value, false, true, false, false},
		{"made at the room's computer", made("program", Therapist), true, true, true, true},
		{"expired, born over http", expiredPlain, false, false, false, false},
		{"expired, born over https", expiredPrivate, false, false, false, false},
		{"revoked", gone, false, false, false, false},
	} {
		for _, by := range []string{"Authorization", plainCookie, secureCookie} {
			for url, works := range map[string]bool{plain: x.http, private: x.https} {
				if by == plainCookie && url == private {
					continue // changes the token: below
				}
				if by == secureCookie && url == plain {
					works = false // a browser never sends it, and roomd never reads it
				}
				head := []string{"Content-Type", asJSON, "Cookie", by + "=" + x.token}
				if by == "Authorization" {
					head = []string{"Content-Type", asJSON, by, "Bearer " + x.token}
				}
				where := x.kind + " by " + by + " at " + url
				want := map[bool]int{true: 200, false: 401}[works]
				if resp := send(t, "GET", url+"/api/v1/state", "", head...); resp.StatusCode != want {
					t.Errorf("%s: %s to see, wanted %d", where, resp.Status, want)
				}
				if works && !x.steers {
					want = 403
				}
				if resp := send(t, "POST", url+"/api/v1/commands", `{"id":"1","do":"next"}`, head...); resp.StatusCode != want {
					t.Errorf("%s: %s to steer, wanted %d", where, resp.Status, want)
				}
				want = map[bool]int{true: 101, false: 401}[works]
				c, resp := dialAt(t, url, head[2:]...)
				if resp.StatusCode != want {
					t.Errorf("%s: %s for a websocket, wanted %d", where, resp.Status, want)
				}
				if c != nil {
					c.Close()
				}
			}
		}
		// The browser's cookie of earlier days, over https: by the page, or first by its websocket.
		for _, first := range []string{"/api/v1/state", "/ws"} {
			old := x.token
			if first == "/ws" && !x.replace {
				continue
			} else if first == "/ws" {
				old = h.let(t, plain, map[bool]Role{true: Therapist, false: Observer}[x.steers]).Value
			}
			var resp *http.Response
			if first == "/ws" {
				_, resp = dialAt(t, private, "Cookie", plainCookie+"="+old)
			} else {
				resp = send(t, "GET", private+first, "", "Cookie", plainCookie+"="+old)
			}
			if ok := resp.StatusCode < 300; ok != x.https {
				t.Errorf("%s as the old cookie over https at %s: %s", x.kind, first, resp.Status)
			}
			if x.https == (len(resp.Cookies()) == 0) {
				t.Errorf("%s as the old cookie over https at %s brings %v", x.kind, first, resp.Cookies())
			}
			if resp := send(t, "GET", plain+"/api/v1/state", "", "Cookie", plainCookie+"="+old); resp.StatusCode != 401 {
				t.Errorf("%s over http after it came over https at %s: %s", x.kind, first, resp.Status)
			}
		}
	}
}

func digestOf(token string) []byte {
	h := hash(token)
	return h[:]
}

// TestReplacingCutsOffNobody replaces a token while two pages of the same tablet ask at once, loses the answer, and starts roomd
// again in between.
func TestReplacingCutsOffNobody(t *testing.T) {
	h := open(t)
	plain, private := h.URL, h.https(t)
	old := h.let(t, plain, Therapist).Value
	running, _ := dialAt(t, private, "Authorization", "Bearer "+old) // as a page's that opened its websocket a moment before
	var all sync.WaitGroup
	var mu sync.Mutex
	given := map[string]bool{}
	for range 8 {
		all.Go(func() {
			resp := send(t, "GET", private+"/api/v1/state", "", "Cookie", plainCookie+"="+old)
			mu.Lock()
			defer mu.Unlock()
			if resp.StatusCode != 200 {
				t.Errorf("one of several pages: %s", resp.Status)
			}
			for _, c := range resp.Cookies() {
				if c.Name == secureCookie {
					given[c.Value] = true
				}
			}
		})
	}
	all.Wait()
	if len(given) != 1 {
		t.Fatalf("the pages of one tablet were given %d tokens", len(given))
	}
	ask := func(name, value string) int {
		return send(t, "GET", private+"/api/v1/state", "", "Cookie", name+"="+value).StatusCode
	}
	// The answer was lost, and roomd was started again: the tablet still has the old one alone.
	h.tokens = NewTokens(h.tokens.db)
	h.serve(t)
	private = h.https(t)
	resp := send(t, "GET", private+"/", "", "Cookie", plainCookie+"="+old)
	if len(resp.Cookies()) != 2 {
		t.Fatalf("after a lost answer: %v", resp.Cookies())
	}
	if over := send(t, "GET", h.URL+"/api/v1/state", "", "Cookie", plainCookie+"="+old); over.StatusCode != 401 {
		t.Errorf("over http meanwhile: %s", over.Status)
	}
	successor := resp.Cookies()[1].Value
	if code := ask(secureCookie, successor); code != 200 {
		t.Fatalf("the successor: %d", code)
	}
	// A request that was on its way when the successor was used is served, and given nothing.
	late := send(t, "GET", private+"/api/v1/state", "", "Cookie", plainCookie+"="+old)
	if late.StatusCode != 200 {
		t.Errorf("a request that was on its way: %s", late.Status)
	}
	for _, c := range late.Cookies() {
		if c.Value != successor && c.Value != "" {
			t.Errorf("whoever comes with a used token is given another")
		}
	}
	rig.Eventually(t, "the successor's first use is on the disk", func() bool {
		var n int
		_ = h.tokens.db.Read(func(db *sql.DB) error {
			return db.QueryRow("SELECT count(*) FROM tokens WHERE was IS NOT NULL").Scan(&n)
		})
		return n == 0
	})
	h.tokens.mu.Lock()
	clear(h.tokens.late)
	h.tokens.mu.Unlock()
	if code := ask(plainCookie, old); code != 401 {
		t.Errorf("the old one afterwards: %d", code)
	}
	list, err := h.tokens.List(t.Context())
	if err != nil || len(list) != 2 { // tablet, and this one
		t.Errorf("%+v, %v", list, err)
	}
	running.Close()
}

// A disk that takes nothing leaves the token as it is: when it takes something again, the tablet is still known.
func TestReplacingWaitsForTheDisk(t *testing.T) {
	h := open(t)
	disk := &sick{Database: h.tokens.db}
	tokens := NewTokens(disk)
	if _, ok := tokens.Check(h.token, false); !ok {
		t.Fatal("not known")
	}
	disk.fails.Store(true)
	if s, err := tokens.Replace(t.Context(), h.token); err == nil || s != "" {
		t.Errorf("%q, %v", s, err)
	}
	disk.fails.Store(false)
	if _, ok := tokens.Check(h.token, false); !ok {
		t.Error("the token ended")
	}
	if s, err := tokens.Replace(t.Context(), "nobody's"); err != nil || s != "" {
		t.Errorf("%q, %v", s, err)
	}
	unsaved := NewTokens(forgetful{h.tokens.db})
	if s, err := unsaved.Replace(t.Context(), h.token); err != nil || s != "" {
		t.Errorf("%q, %v", s, err)
	}
	if _, ok := tokens.Check(h.token, false); !ok {
		t.Error("the token ended in memory alone")
	}
}

// forgetful keeps everything in memory.
type forgetful struct{ Database }

func (f forgetful) Write(ctx context.Context, change func(*sql.DB) error) (bool, error) {
	_, err := f.Database.Write(ctx, change)
	return false, err
}

// TestUnusedTokensEnd holds when: 90 days after the last use, by a clock that can be right.
func TestUnusedTokensEnd(t *testing.T) {
	h := open(t)
	now, set := time.Now(), true
	var passed atomic.Int64
	h.tokens.now, h.tokens.set = func() time.Time { return now }, func() bool { return set }
	h.tokens.uptime = func() (string, time.Duration) { return "boot", time.Duration(passed.Load()) }
	wait := func(days int) {
		now = now.AddDate(0, 0, days)
		passed.Add(int64(days) * int64(24*time.Hour))
	}
	works := func() bool { _, ok := h.tokens.Check(h.token, false); return ok }
	for _, days := range []int{1, 89, 89, 89} { // each use begins the days anew
		wait(days)
		if !works() {
			t.Fatalf("after %d days without use it ended", days)
		}
		rig.Eventually(t, "the day of its use is on the disk", func() bool {
			var used int64
			_ = h.tokens.db.Read(func(db *sql.DB) error {
				return db.QueryRow("SELECT used FROM tokens WHERE name = 'tablet'").Scan(&used)
			})
			return used == now.Truncate(24*time.Hour).Unix()
		})
	}
	wait(92)
	set = false
	if _, _, ok := h.tokens.valid(h.token, false); !ok {
		t.Error("a clock that can't be right ended it")
	}
	set = true
	if works() {
		t.Error("it works after 92 days without use")
	}
	wait(-5) // 87 days after: its last week
	if _, err := h.tokens.Create(t.Context(), "another", Therapist); err != nil {
		t.Fatal(err)
	}
	another := h.let(t, h.URL, Therapist)
	_, err := h.tokens.exec(t.Context(), "UPDATE tokens SET created = ?, used = ? WHERE hash = ?", now.Unix(), now.Unix(), digestOf(another.Value))
	if err != nil {
		t.Fatal(err)
	}
	told := func() (d device) {
		_, body := h.ask(t, "GET", "/api/v1/devices", "", "Cookie", plainCookie+"="+another.Value)
		var list []device
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err, body)
		}
		for _, one := range list {
			if one.Name == "tablet" {
				d = one
			}
		}
		return d
	}
	if d := told(); d.Ends == "" || d.Ended {
		t.Errorf("in its last week: %+v", d)
	}
	wait(5)
	if d := told(); d.Ends != "" || !d.Ended {
		t.Errorf("after it: %+v", d)
	}
}

// TestClockLeapsWhileATabletIsInUse has the wall clock be wrong by a year in a session: who was let in stays in, and the last day of use
// is right again when the clock is.
func TestClockLeapsWhileATabletIsInUse(t *testing.T) {
	h := open(t)
	now := time.Now()
	h.tokens.now, h.tokens.set = func() time.Time { return now }, func() bool { return true }
	works := func() bool { _, ok := h.tokens.Check(h.token, false); return ok }
	used := func(is time.Time) {
		t.Helper()
		rig.Eventually(t, "the day of its use is on the disk", func() bool {
			list, err := h.tokens.List(t.Context())
			return err == nil && list[0].LastUsed.Unix() == is.Truncate(24*time.Hour).Unix()
		})
	}
	if !works() {
		t.Fatal("it does not work at all")
	}
	right := now
	used(right)
	now = right.AddDate(1, 0, 0)
	if !works() {
		t.Error("a clock that is a year ahead sends a tablet away that is in use")
	}
	used(now)
	if now = right; !works() {
		t.Error("it does not work when the clock is right again")
	}
	used(right)
}
