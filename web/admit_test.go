package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// admit asks for a code in the name of a token.
func (h *house) admit(t testing.TB, token string, role Role, head ...string) (status int, a admission, body string) {
	t.Helper()
	resp, body := h.ask(t, "POST", "/api/v1/pair/codes", fmt.Sprintf(`{"role":%q}`, role),
		append([]string{"Cookie", "roomd=" + token, "Content-Type", asJSON, "Host", "willow.local:8080", "Origin", "http://willow.local:8080"}, head...)...)
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, a, body
}

// TestATabletAdmitsAnother lets devices in by another one's code and link: once each, with the role that was asked for, and told of
// in the log and the list by the name of the device that did it. No log and no disk holds the code.
func TestATabletAdmitsAnother(t *testing.T) {
	h := open(t)
	var log bytes.Buffer
	h.server.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, c := range []struct {
		role Role
		by   func(admission) string
	}{
		{Therapist, func(a admission) string { return fmt.Sprintf(`{"code":%q,"name":"iPad"}`, a.Code) }},
		{Observer, func(a admission) string {
			return fmt.Sprintf(`{"link":%q,"name":"Phone"}`, strings.TrimPrefix(a.Link, "http://willow.local:8080/pair#"))
		}},
	} {
		status, a, body := h.admit(t, h.token, c.role)
		if status != http.StatusOK || a.Role != c.role || a.ExpiresInMS != 300_000 || a.Fingerprint != "" || a.PlainLink != "" {
			t.Fatalf("%d %s", status, body)
		}
		status, cookie := h.pair(t, c.by(a))
		if status != http.StatusOK {
			t.Fatalf("by %s: %d", c.by(a), status)
		}
		if whose, ok := h.tokens.Check(cookie.Value, false); !ok || whose.Role != c.role || whose.Admitted != "tablet" {
			t.Errorf("%+v, %v", whose, ok)
		}
		for _, again := range []string{fmt.Sprintf(`{"code":%q}`, a.Code), fmt.Sprintf(`{"link":%q}`, a.Link[strings.Index(a.Link, "#")+1:])} {
			if status, _ := h.pair(t, again); status != http.StatusUnauthorized {
				t.Errorf("a second time by %s: %d", again, status)
			}
		}
		link := a.Link[strings.Index(a.Link, "#")+1:]
		for _, file := range []string{h.store, h.store + "-wal"} {
			if b, _ := os.ReadFile(file); bytes.Contains(b, []byte(link)) {
				t.Errorf("%s holds the link", file)
			}
		}
		if said := log.String(); strings.Contains(said, a.Code) || strings.Contains(said, link) || !strings.Contains(said, `"admitted by"=tablet`) {
			t.Errorf("the log: %s", said)
		}
	}
	_, body := h.ask(t, "GET", "/api/v1/devices", "", h.bearer()...)
	var list []device
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for _, d := range list {
		by[d.Name] = d.Admitted
	}
	if fmt.Sprint(by) != "map[Phone:tablet iPad:tablet tablet:]" {
		t.Errorf("the devices were let in by %v", by)
	}
}

// TestACodeEndsWithItsMaker takes from a device what it made a code by: then the code is worth nothing.
func TestACodeEndsWithItsMaker(t *testing.T) {
	for what, end := range map[string]func(t *testing.T, h *house, thief string){
		"it is sent away": func(t *testing.T, h *house, _ string) {
			if resp, body := h.ask(t, "DELETE", "/api/v1/devices/iPad", "", h.bearer()...); resp.StatusCode != 200 {
				t.Fatal(body)
			}
		},
		"another process sends it away": func(t *testing.T, h *house, _ string) {
			if _, err := h.tokens.exec(t.Context(), "DELETE FROM tokens WHERE name = 'iPad'"); err != nil {
				t.Fatal(err)
			}
		},
		"its token was copied from http, and is replaced": func(t *testing.T, h *house, thief string) {
			if next, err := h.tokens.Replace(t.Context(), thief); err != nil || next == "" {
				t.Fatal(next, err)
			}
		},
		"it makes another": func(t *testing.T, h *house, thief string) {
			if status, _, body := h.admit(t, thief, Observer); status != 200 {
				t.Fatal(body)
			}
		},
		"its time is over": func(t *testing.T, h *house, _ string) {
			if _, err := h.tokens.exec(t.Context(), "UPDATE pairings SET until = 0"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := open(t)
			thief, err := h.tokens.Create(t.Context(), "iPad", Therapist)
			if err != nil {
				t.Fatal(err)
			}
			status, a, body := h.admit(t, thief, Therapist)
			if status != 200 {
				t.Fatal(body)
			}
			end(t, h, thief)
			for _, by := range []string{fmt.Sprintf(`{"code":%q}`, a.Code), fmt.Sprintf(`{"link":%q}`, a.Link[strings.Index(a.Link, "#")+1:])} {
				if status, _ := h.pair(t, by); status != http.StatusUnauthorized {
					t.Errorf("by %s: %d", by, status)
				}
			}
		})
	}
}

// TestFewCodesAreOpen asks for codes as fast as it can, from one device and from many: a guess finds one of a few at most, and the
// disk is not written without end. Codes of roomd pair do not count.
func TestFewCodesAreOpen(t *testing.T) {
	h := open(t)
	made := 0
	for range 3 * admitBurst {
		if status, _, _ := h.admit(t, h.token, Observer); status == http.StatusOK {
			made++
		} else if status != http.StatusTooManyRequests {
			t.Errorf("status %d", status)
		}
	}
	if made < admitBurst || made > admitBurst+1 {
		t.Errorf("%d codes in a moment", made)
	}
	for n := range 2 * maxAdmitting {
		token, err := h.tokens.Create(t.Context(), fmt.Sprint("tablet ", n), Therapist)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.tokens.Admit(t.Context(), token, false, Observer)
		if open := n+2 <= maxAdmitting; (err == nil) != open { // one is the first device's
			t.Errorf("device %d: %v", n, err)
		}
	}
	offer(t, h.tokens, "", Therapist)
	watch, err := h.tokens.Create(t.Context(), "watcher", Observer)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{watch, "", "nobody's"} {
		if _, err := h.tokens.Admit(t.Context(), token, false, Observer); err == nil {
			t.Errorf("%q makes a code", token)
		}
	}
}

// TestWhereALinkLeads holds the link's scheme and its fingerprint to how the page came.
func TestWhereALinkLeads(t *testing.T) {
	h := open(t)
	c, _, err := NewCerts(CertOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	h.server.o.Certs = c
	if _, a, body := h.admit(t, h.token, Observer); !strings.HasPrefix(a.Link, "http://willow.local:8080/pair#") || strings.Contains(a.Link, ".local:8080/pair#.") || a.Fingerprint != "" || a.PlainLink != "" || strings.Contains(a.Link[20:], ".") {
		t.Errorf("over http: %s", body)
	}
	// A proxy ended the https: its certificate is not the room's.
	if _, a, body := h.admit(t, h.token, Observer, "Host", "room.clinic.example", "Origin", "https://room.clinic.example"); !strings.HasPrefix(a.Link, "https://room.clinic.example/pair#") || a.Fingerprint != "" || a.PlainLink != "" {
		t.Errorf("behind a proxy: %s", body)
	}
	req := httptest.NewRequest("POST", "https://willow.local:8443/api/v1/pair/codes", strings.NewReader(`{"role":"therapist"}`))
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", asJSON)
	resp := httptest.NewRecorder()
	h.server.ServeHTTP(resp, req)
	body := resp.Body.String()
	var a admission
	if err := json.Unmarshal([]byte(body), &a); err != nil || resp.Code != 200 {
		t.Fatal(resp.Code, body, err)
	}
	print := "." + strings.ReplaceAll(c.Fingerprint(), ":", "")
	if !strings.HasPrefix(a.Link, "https://willow.local:8443/pair#") || !strings.HasSuffix(a.Link, print) || a.Fingerprint != c.Fingerprint() ||
		!strings.HasPrefix(a.PlainLink, "http://willow.local:8080/pair#") || !strings.HasSuffix(a.PlainLink, print) {
		t.Errorf("over https: %s", body)
	}
	for _, rows := range [][]string{a.QR, a.PlainQR} {
		for y, row := range rows {
			if len(row) != len(rows) || strings.Trim(row, "01") != "" {
				t.Fatalf("row %d of %d is %q", y, len(rows), row)
			}
		}
		for k, finder := range []string{"1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"} {
			if n := len(rows); rows[k][:7] != finder || rows[k][n-7:] != finder || rows[n-7+k][:7] != finder {
				t.Fatalf("no QR code:\n%s", strings.Join(rows, "\n"))
			}
		}
	}
}

// TestHowToPair tells strangers no folder.
func TestHowToPair(t *testing.T) {
	h := open(t)
	watch, err := h.tokens.Create(context.Background(), "watcher", Observer)
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{"": "roomd pair", watch: "roomd pair", h.token: "roomd pair --data /srv/willow"} {
		if _, body := h.ask(t, "GET", "/api/v1/pair", "", "Cookie", "roomd="+token); body != fmt.Sprintf("{\"command\":%q,\"sheet\":false}\n", want) {
			t.Errorf("%q: %s", token, body)
		}
	}
}
