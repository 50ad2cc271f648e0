package clinic_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/clinic"
)

// authority is one of a test's.
type authority struct {
	der []byte
	cer *x509.Certificate
	key *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{der, c, key}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.der})
}

// sign makes a certificate that was valid years ago for another name: for what an authority of one desk alone has signed neither counts.
func (a *authority) sign(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "desk"}, DNSNames: []string{"desk.example"},
		NotBefore: time.Now().AddDate(-9, 0, 0), NotAfter: time.Now().AddDate(-8, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cer, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.der}, PrivateKey: key}
}

// broker is a Mosquitto over TLS of an authority.
func (a *authority) broker(t testing.TB) (b *rig.Broker, url string) {
	t.Helper()
	dir, port, c := t.TempDir(), rig.FreePort(t), a.sign(t)
	key, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), a.pem()...)
	for name, text := range map[string][]byte{"crt": chain, "key": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b = rig.Mosquitto(t, "allow_anonymous true", fmt.Sprintf("listener %d 127.0.0.1", port), "certfile "+filepath.Join(dir, "crt"), "keyfile "+filepath.Join(dir, "key"))
	return b, fmt.Sprintf("mqtts://127.0.0.1:%d", port)
}

// stage is a room whose snapshot a test sets.
type stage struct {
	mu      sync.Mutex
	snap    room.Snapshot
	changed chan struct{}
	began   time.Time // snapshots count from it
}

func newStage(name string) *stage {
	s := &stage{changed: make(chan struct{}), began: time.Now()}
	s.snap = room.Snapshot{Room: name, Version: "9.9"}
	return s
}

func (s *stage) Snapshot() room.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.snap
	out.NowMS += time.Since(s.began).Milliseconds()
	return out
}

func (s *stage) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *stage) set(change func(*room.Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.snap)
	close(s.changed)
	s.changed = make(chan struct{})
}

// now is the room's time.
func (s *stage) now() int64 { return s.Snapshot().NowMS }

// session has a session run that ends so much later.
func (s *stage) session(stage string, left time.Duration) {
	now := s.now()
	s.set(func(snap *room.Snapshot) {
		snap.Session = &room.SessionView{Name: "Evening", Playlist: "evening", State: room.Running, StartedMS: now, EndsAtMS: left.Milliseconds(), LevelDB: -7.5,
			Phase: room.PhaseView{Name: "Journey", Stage: stage}, Marks: []room.MarkView{{Name: "Lozenge"}}}
	})
}

// desk is somebody who reads all rooms.
type desk struct {
	*rig.Peer
	mu  sync.Mutex
	all map[string][]string // by topic
}

func newDesk(t testing.TB, broker string) *desk {
	d := &desk{Peer: rig.Dial(t, broker), all: map[string][]string{}}
	d.Hear("roomd/#", func(topic string, payload []byte, _ bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all[topic] = append(d.all[topic], string(payload))
	})
	return d
}

func (d *desk) heard(topic string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all[topic])
}

func (d *desk) last(topic string) string {
	all := d.heard(topic)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func (d *desk) state(t testing.TB, id string) (s clinic.State) {
	t.Helper()
	if last := d.last("roomd/" + id + "/state"); last != "" {
		if err := json.Unmarshal([]byte(last), &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func openLink(t testing.TB, o clinic.Options) *clinic.Link {
	t.Helper()
	l, err := clinic.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "")
}

// TestLink tells a desk what it may see of a room and nothing else, over a certificate of the desk's own authority whose date and name
// are wrong, and finds the desk again.
func TestLink(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "North")
	b, url := a.broker(t)
	d := newDesk(t, b.URL)
	r := newStage("Willow")
	r.snap.NowMS = 1 << 50 // a room's clock that is millennia off
	library := clinic.Library{Revision: "abc", ChangedMS: 7}
	turned := make(chan struct{}, 1)
	var mu sync.Mutex
	l := openLink(t, clinic.Options{Broker: url, Authority: a.pem(), ID: "ab12", House: "North", Room: r, Boot: "b1", LibraryChanged: turned, Library: func() clinic.Library {
		mu.Lock()
		defer mu.Unlock()
		return library
	}})
	await := func(what string, ok func() bool) {
		t.Helper()
		rig.Eventually(t, what, ok)
	}
	const about = "roomd/ab12/about"
	await("about", func() bool {
		return d.last(about) == `{"name":"Willow","house":"North","version":"9.9","library":{"revision":"abc","changed_ms":7}}`
	})
	await("online", func() bool { return strings.Contains(d.last("roomd/ab12/status"), `"online"`) })
	await("no session", func() bool { return d.last("roomd/ab12/state") == "{}" })
	if reach, _, _ := l.Reach(); reach != clinic.Reached {
		t.Errorf("reach is %s", reach)
	}

	r.session("administration", 25*time.Minute)
	await("the session", func() bool { return d.state(t, "ab12").Stage == "administration" })
	s := d.state(t, "ab12")
	if left := time.Duration(s.LeftMS) * time.Millisecond; left < 24*time.Minute+50*time.Second || left > 25*time.Minute {
		t.Errorf("%v left", left)
	}
	r.set(func(s *room.Snapshot) { s.Session.Phase.Waiting = "Lozenge" })
	await("held", func() bool { return d.state(t, "ab12").Held })
	r.set(func(s *room.Snapshot) { s.Session.Phase.Waiting, s.Session.State = "", room.Ending })
	await("ending", func() bool { s := d.state(t, "ab12"); return s.Ending && !s.Held })
	since := r.now() - 120_000
	r.set(func(s *room.Snapshot) {
		s.Parts = []room.PartView{{Part: "sound", State: room.Degraded, SinceMS: since, Why: "hush"}, {Part: "lights", State: room.Working}}
	})
	await("a broken part", func() bool { return len(d.state(t, "ab12").Broken) == 1 })
	if got := d.state(t, "ab12").Broken[0]; got.Part != "sound" || got.SinceMS < 120_000 || got.SinceMS > 130_000 {
		t.Errorf("broken: %+v", got)
	}
	mu.Lock()
	library.Revision = "def"
	mu.Unlock()
	turned <- struct{}{}
	await("another library", func() bool { return strings.Contains(d.last(about), "def") })
	r.set(func(s *room.Snapshot) { s.Room = "Oak" })
	await("another name", func() bool { return strings.Contains(d.last(about), "Oak") })

	// A change that is none for the desk is not told.
	before := len(d.heard("roomd/ab12/state"))
	r.set(func(s *room.Snapshot) { s.Session.LevelDB++; s.Session.EndsAtMS += 300 })
	r.set(func(s *room.Snapshot) { s.Session.EndsAtMS += 5000 })
	await("the end that moved", func() bool { return len(d.heard("roomd/ab12/state")) > before })
	r.set(func(s *room.Snapshot) { s.Session = nil })
	await("the end", func() bool { return d.state(t, "ab12").Stage == "" })
	if more := len(d.heard("roomd/ab12/state")) - before; more != 2 {
		t.Errorf("%d states for two changes", more)
	}

	l.Leave()
	await("offline", func() bool { return strings.Contains(d.last("roomd/ab12/status"), `"offline"`) })
	await("nothing left", func() bool { return d.last("roomd/ab12/state") == "" && d.last(about) == "" })
	for topic, all := range d.all {
		for _, hidden := range []string{"Evening", "evening", "Journey", "Lozenge", "7.5", "hush"} {
			if strings.Contains(strings.Join(all, " "), hidden) {
				t.Errorf("%s tells %q", topic, hidden)
			}
		}
	}
}

// TestLinkDeskGone holds that a desk that is gone costs the room nothing but a line in the log, and that it learns what is true then
// when it is back, in three messages.
func TestLinkDeskGone(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	a := newAuthority(t, "North")
	b, url := a.broker(t)
	r := newStage("Willow")
	log := &lines{}
	l := openLink(t, clinic.Options{Broker: url, Authority: a.pem(), ID: "ab12", Room: r, Boot: "b1", Log: slog.New(slog.NewTextHandler(log, nil))})
	reached := func(want clinic.Reach) func() bool {
		return func() bool { reach, _, _ := l.Reach(); return reach == want }
	}
	rig.Eventually(t, "reached", reached(clinic.Reached))
	d := newDesk(t, b.URL)
	rig.Eventually(t, "since and all", func() bool { return strings.Contains(d.last("roomd/ab12/status"), "since") })
	b.Kill()
	rig.Eventually(t, "not reached", reached(clinic.NotReached))
	longest := time.Duration(0)
	for k := range 200 {
		at := time.Now()
		r.session("preparation", time.Duration(k)*time.Minute)
		longest = max(longest, time.Since(at))
	}
	r.session("integration", 50*time.Minute)
	rig.Eventually(t, "a line in the log", func() bool { return strings.Contains(log.text(), "not reached") })
	b.Start()
	d = newDesk(t, b.URL)
	rig.Eventually(t, "what is true now", func() bool { return d.state(t, "ab12").Stage == "integration" })
	rig.Eventually(t, "online", func() bool { return strings.Contains(d.last("roomd/ab12/status"), "online") })
	rig.Eventually(t, "the log", func() bool { return strings.Contains(log.text(), "reached again") })
	if n := len(d.heard("roomd/ab12/state")) + len(d.heard("roomd/ab12/about")) + len(d.heard("roomd/ab12/status")); n != 3 {
		t.Errorf("%d messages", n)
	}
	if n := strings.Count(log.text(), "\n"); n != 2 {
		t.Errorf("%d lines in the log:\n%s", n, log.text())
	}
	rig.Bar(t, "desk gone", "a change of the room", float64(longest.Microseconds())/1000, 5, "ms")
}

// TestLinkTrusts holds that a room tells nobody whose certificate another authority has signed.
func TestLinkTrusts(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t, "North"), newAuthority(t, "North")
	b, url := other.broker(t)
	d := newDesk(t, b.URL)
	l := openLink(t, clinic.Options{Broker: url, Authority: a.pem(), ID: "ab12", Room: newStage("Willow"), Boot: "b1"})
	rig.Eventually(t, "the reason", func() bool {
		reach, _, why := l.Reach()
		return reach == clinic.NotReached && why == "broker-certificate-unknown"
	})
	if len(d.all) > 0 {
		t.Errorf("it heard %v", d.all)
	}
}

// TestLinkCopied holds that of two rooms of one ID the later one stops telling.
func TestLinkCopied(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "North")
	b, url := a.broker(t)
	d := newDesk(t, b.URL)
	first := openLink(t, clinic.Options{Broker: url, Authority: a.pem(), ID: "ab12", Room: newStage("Willow"), Boot: "b1"})
	rig.Eventually(t, "the first is alone", func() bool { return strings.Contains(d.last("roomd/ab12/status"), "since") })
	second := openLink(t, clinic.Options{Broker: url, Authority: a.pem(), ID: "ab12", Room: newStage("Copy"), Boot: "b2"})
	rig.Eventually(t, "the second gives way", func() bool { reach, _, _ := second.Reach(); return reach == clinic.Copied })
	rig.Eventually(t, "the first is seen", func() bool { return strings.Contains(d.last("roomd/ab12/status"), `"online","boot":"b1"`) })
	if reach, _, _ := first.Reach(); reach != clinic.Reached {
		t.Errorf("the first is %s", reach)
	}
}
