package clinic_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/room"
	"roomd/room/clinic"
)

// page is an HTTPS server that answers like a desk and keeps every byte that it was sent once the handshake was over.
type page struct {
	addr  string
	mu    sync.Mutex
	heard string
}

func newPage(t *testing.T, c tls.Certificate, answer http.HandlerFunc) *page {
	t.Helper()
	p := &page{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.heard += r.Method + " " + r.URL.Path + " " + string(body)
		p.mu.Unlock()
		answer(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{c}}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	p.addr = s.Listener.Addr().String()
	return p
}

func (p *page) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

func welcome(ca []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(clinic.Joined{Clinic: "North clinic", Broker: "mqtts://192.168.1.5:8883", CA: string(ca), Secret: "s3cret", House: "East"})
	}
}

func refusedAs(t *testing.T, err error, code, field string) {
	t.Helper()
	var r *room.Refused
	if !errors.As(err, &r) || r.Code != code || r.Field != field {
		t.Errorf("%v, want %s of %q", err, code, field)
	} else if r.Reason == "" || strings.Contains(r.Reason, "{") {
		t.Errorf("%s says %q", code, r.Reason)
	}
}

// TestJoin enrolls a room at a desk that its code names, whatever the date and the name in the desk's certificate.
func TestJoin(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "North")
	c := clinic.NewCode(a.der)
	desk := newPage(t, a.sign(t), welcome(a.pem()))
	host, read, err := clinic.ReadInvitation("https://"+desk.addr+"/join#"+c.String(), "")
	if err != nil || host != desk.addr || read != c {
		t.Fatal(host, err)
	}
	m, err := clinic.Join(t.Context(), host, read, "ab12", "Willow")
	if err != nil {
		t.Fatal(err)
	}
	if want := `POST /api/v1/desk/join {"code":"` + c.Secret() + `","id":"ab12","name":"Willow"}`; desk.said() != want {
		t.Errorf("the desk heard %s", desk.said())
	}
	if m.ID != "ab12" || m.Clinic != "North clinic" || m.House != "East" || m.Address() != "mqtts://ab12:s3cret@192.168.1.5:8883" {
		t.Errorf("%+v", m)
	}
	file := filepath.Join(t.TempDir(), "clinic.json")
	if _, err := clinic.Load(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if back, err := clinic.Load(file); err != nil || back != m {
		t.Errorf("%+v, %v", back, err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := clinic.Load(file); err == nil || !strings.Contains(err.Error(), "join it again") {
		t.Errorf("a damaged file: %v", err)
	}
}

// between is a man in the middle: he has an authority of his own and passes all that he reads on to the desk. He keeps what he could read.
func between(t *testing.T, c tls.Certificate, desk string) *page {
	t.Helper()
	p := &page{}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p.addr = l.Addr().String()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				on, err := tls.Dial("tcp", desk, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					return
				}
				defer on.Close()
				go func() { _, _ = io.Copy(conn, on) }()
				for buf := make([]byte, 4096); ; {
					n, err := conn.Read(buf)
					p.mu.Lock()
					p.heard += string(buf[:n])
					p.mu.Unlock()
					if _, bad := on.Write(buf[:n]); err != nil || bad != nil {
						return
					}
				}
			}()
		}
	}()
	return p
}

// TestJoinTrustsNoOtherDesk holds that the room sends nothing to whoever has not the authority of the code: not a byte of it, nor of
// the room's name. The man in the middle works for a code of his own, so he is one.
func TestJoinTrustsNoOtherDesk(t *testing.T) {
	t.Parallel()
	a, his := newAuthority(t, "North"), newAuthority(t, "North")
	desk := newPage(t, a.sign(t), welcome(a.pem()))
	c := clinic.NewCode(a.der)

	his1 := his.sign(t)
	with := his1 // with the desk's true authority beside his certificate
	with.Certificate = append([][]byte{his1.Certificate[0]}, his.der, a.der)
	only := his1
	only.Certificate = [][]byte{his1.Certificate[0], a.der}
	for name, cert := range map[string]tls.Certificate{"his own authority": his1, "both authorities": with, "the desk's authority alone": only} {
		man := between(t, cert, desk.addr)
		_, err := clinic.Join(t.Context(), man.addr, c, "ab12", "Willow")
		refusedAs(t, err, "clinic-another", "address")
		if man.said() != "" {
			t.Errorf("%s: he read %q", name, man.said())
		}
	}
	if desk.said() != "" {
		t.Errorf("the desk heard %q", desk.said())
	}
	man := between(t, his1, desk.addr)
	_, err := clinic.Join(t.Context(), man.addr, clinic.NewCode(his.der), "ab12", "Willow")
	refusedAs(t, err, "clinic-another", "address") // of the answer, which has the desk's authority
	if !strings.Contains(man.said(), "Willow") {
		t.Error("the man in the middle reads nothing even where he is trusted: this test proves nothing")
	}
}

// TestJoinErrors names what keeps a room from joining.
func TestJoinErrors(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t, "North"), newAuthority(t, "South")
	c := clinic.NewCode(a.der)
	answers := func(status int, body string) *page {
		return newPage(t, a.sign(t), func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	elsewhere := answers(http.StatusTemporaryRedirect, "")
	for _, x := range []struct{ host, code, field string }{
		{answers(http.StatusUnauthorized, `{"reason":"x"}`).addr, "clinic-code-wrong", "code"},
		{answers(http.StatusGone, `{"reason":"x"}`).addr, "clinic-code-over", "code"},
		{answers(http.StatusTooManyRequests, "").addr, "clinic-code-guesses", "code"},
		{answers(http.StatusInternalServerError, "").addr, "clinic-failed", ""},
		{answers(http.StatusNotFound, "").addr, "clinic-not-desk", "address"},
		{answers(http.StatusOK, "<html>").addr, "clinic-not-desk", "address"},
		{answers(http.StatusOK, `{"clinic":"x","broker":"mqtt://x","secret":"y"}`).addr, "clinic-not-desk", "address"},
		{newPage(t, a.sign(t), welcome(other.pem())).addr, "clinic-another", "address"},
		{newPage(t, a.sign(t), welcome(nil)).addr, "clinic-another", "address"},
		{elsewhere.addr, "clinic-failed", ""},
		{plain.Listener.Addr().String(), "clinic-not-desk", "address"},
		{gone.Addr().String(), "clinic-unreached", "address"},
	} {
		m, err := clinic.Join(t.Context(), x.host, c, "ab12", "Willow")
		refusedAs(t, err, x.code, x.field)
		if m != (clinic.Membership{}) {
			t.Errorf("%s: %+v", x.code, m)
		}
	}

	code := c.String()
	for _, good := range [][2]string{{"192.168.1.5:9443", code}, {" 192.168.1.5:9443 ", strings.ToLower(code)}, {"https://192.168.1.5:9443", code}, {"https://192.168.1.5:9443/join#" + code, "x"}, {"", "https://192.168.1.5:9443/join#" + code}} {
		if host, got, err := clinic.ReadInvitation(good[0], good[1]); err != nil || host != "192.168.1.5:9443" || got != c {
			t.Errorf("%q: %s, %v", good, host, err)
		}
	}
	for address, want := range map[string]string{"desk.local": "desk.local:8444", "[fe80::1]": "[fe80::1]:8444", "[fe80::1]:1": "[fe80::1]:1"} {
		if host, _, err := clinic.ReadInvitation(address, code); err != nil || host != want {
			t.Errorf("%s: %s, %v", address, host, err)
		}
	}
	for _, bad := range []string{"", "  ", "a b", "user@host", "host:port", "http://", "#"} {
		_, _, err := clinic.ReadInvitation(bad, code)
		refusedAs(t, err, "clinic-address", "address")
	}
	for _, bad := range []string{"", code[1:], code + "0", "1234"} {
		_, _, err := clinic.ReadInvitation("host", bad)
		refusedAs(t, err, "clinic-code", "code")
	}
}

// TestJoinInTime gives a desk that does not answer up.
func TestJoinInTime(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err = clinic.Join(ctx, l.Addr().String(), clinic.NewCode(nil), "ab12", "Willow")
	refusedAs(t, err, "clinic-unreached", "address")
}
