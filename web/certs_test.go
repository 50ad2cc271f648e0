package web

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// machine is a computer whose clock and addresses can be changed.
type machine struct {
	now time.Time
	ips []net.IP
	dir string
}

func newMachine(t *testing.T) *machine {
	return &machine{now: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC), ips: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(192, 168, 7, 20)}, dir: filepath.Join(t.TempDir(), "tls")}
}

func (m *machine) options() CertOptions {
	return CertOptions{Dir: m.dir, Names: []string{"willow.local"}, Now: func() time.Time { return m.now }, Addresses: func() []net.IP { return m.ips }, Log: slog.New(slog.DiscardHandler)}
}

func (m *machine) certs(t *testing.T) *Certs {
	t.Helper()
	c, warning, err := NewCerts(m.options())
	if err != nil || warning != "" {
		t.Fatal(warning, err)
	}
	return c
}

// trusts says whether who trusts the authority believes that leaf is name.
func trusts(t *testing.T, c *Certs, leaf *x509.Certificate, name string, at time.Time) error {
	t.Helper()
	ca, err := x509.ParseCertificate(c.Authority())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: at})
	return err
}

func (c *Certs) present(t *testing.T) *x509.Certificate {
	t.Helper()
	got, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.Leaf
}

// The authority is this room's alone, and can vouch for nothing else.
func TestAuthority(t *testing.T) {
	m := newMachine(t)
	m.ips = append(m.ips, net.IPv4(8, 8, 8, 8)) // a public address: left out
	c := m.certs(t)
	leaf := c.present(t)
	for _, name := range []string{"willow.local", "localhost", "192.168.7.20", "127.0.0.1"} {
		if err := trusts(t, c, leaf, name, m.now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"bank.example", "8.8.8.8", "192.168.7.21"} {
		if trusts(t, c, leaf, name, m.now) == nil {
			t.Errorf("it is taken for %s", name)
		}
	}
	// Whoever steals the key still can't be a bank with it, nor make another authority.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, forged := range map[string]*x509.Certificate{
		"bank.example": {DNSNames: []string{"bank.example"}}, "8.8.8.8": {IPAddresses: []net.IP{net.IPv4(8, 8, 8, 8)}},
		"willow.local": {DNSNames: []string{"willow.local"}, EmailAddresses: []string{"boss@clinic.example"}},
		"localhost":    {DNSNames: []string{"localhost"}, URIs: []*url.URL{{Scheme: "https", Host: "bank.example"}}},
	} {
		forged.SerialNumber, forged.NotBefore, forged.NotAfter = big.NewInt(1), m.now.Add(-time.Hour), m.now.Add(time.Hour)
		forged.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		der, err := x509.CreateCertificate(rand.Reader, forged, c.ca, key.Public(), c.key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := trusts(t, c, parsed, what, m.now); !errors.As(err, new(x509.CertificateInvalidError)) {
			t.Errorf("the authority can vouch for %s: %v", what, err)
		}
	}
	// A person's certificate for mail or to sign programs is none, whatever it says.
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageCodeSigning, x509.ExtKeyUsageClientAuth} {
		forged := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Boss"}, NotBefore: m.now.Add(-time.Hour), NotAfter: m.now.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{use}}
		der, err := x509.CreateCertificate(rand.Reader, forged, c.ca, key.Public(), c.key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(c.ca)
		if _, err := parsed.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: m.now, KeyUsages: []x509.ExtKeyUsage{use}}); err == nil {
			t.Errorf("the authority can vouch for use %d", use)
		}
	}
	if !c.Narrow() || !c.ca.MaxPathLenZero || !c.ca.PermittedDNSDomainsCritical || c.ca.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("%+v", c.ca)
	}
	if long := leaf.NotAfter.Sub(leaf.NotBefore); long > 398*24*time.Hour {
		t.Errorf("it is valid for %v", long)
	}
	if info, err := os.Stat(filepath.Join(m.dir, "authority.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	var plist struct {
		Data string `xml:"dict>array>dict>data"`
	}
	if err := xml.Unmarshal(c.Profile(), &plist); err != nil || plist.Data == "" {
		t.Errorf("the profile: %v\n%s", err, c.Profile())
	}
}

// Tablets go on trusting the room: the authority stays over restarts, while what it signs follows the computer.
func TestCertificateFollowsTheComputer(t *testing.T) {
	m := newMachine(t)
	c := m.certs(t)
	first := c.present(t)
	if err := c.Renew(); err != nil || c.present(t) != first {
		t.Errorf("it was made anew for nothing: %v", err)
	}
	m.ips = []net.IP{net.IPv4(10, 0, 0, 5)}
	if err := c.Renew(); err != nil || trusts(t, c, c.present(t), "10.0.0.5", m.now) != nil {
		t.Errorf("another address: %v", err)
	}
	m.now = m.now.Add(380 * 24 * time.Hour)
	if err := c.Renew(); err != nil || trusts(t, c, c.present(t), "willow.local", m.now.Add(300*24*time.Hour)) != nil {
		t.Errorf("before its end: %v", err)
	}
	again := m.certs(t)
	if !bytes.Equal(again.Authority(), c.Authority()) || trusts(t, c, again.present(t), "willow.local", m.now) != nil {
		t.Error("another authority after a restart")
	}
	o := m.options()
	o.Names = append(o.Names, "garden.example")
	named, _, err := NewCerts(o)
	if err != nil {
		t.Fatal(err)
	}
	if p := named.Problems(); len(p) != 1 || !strings.Contains(p[0].Says, "garden.example") {
		t.Errorf("a name that the authority does not cover: %+v", p)
	}
}

// A computer without a battery clock starts in 1970. Once its clock is set the next tablet trusts it.
func TestCertificateInTheWrongYear(t *testing.T) {
	m := newMachine(t)
	right := m.now
	m.now = time.Date(1970, 1, 1, 0, 0, 9, 0, time.UTC)
	c := m.certs(t)
	if trusts(t, c, c.present(t), "willow.local", right) == nil {
		t.Fatal("a certificate of 1970 is valid now")
	}
	m.now = right
	if err := trusts(t, c, c.present(t), "willow.local", right); err != nil {
		t.Errorf("after the clock was set: %v", err)
	}
	m.now = right.AddDate(3, 0, 0)
	if err := c.Renew(); err != nil {
		t.Fatal(err)
	}
	m.now = right
	if err := trusts(t, c, c.present(t), "willow.local", right); err != nil {
		t.Errorf("after a clock that was ahead was set back: %v", err)
	}
}

// boundless is an authority that can vouch for any name.
func boundless(t *testing.T) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: authorityFrom, NotAfter: authorityTo, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true}
	der, err := x509.CreateCertificate(rand.Reader, a, a, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
}

// A name that no certificate can hold does not cost the room the others.
func TestOddNames(t *testing.T) {
	for _, host := range []string{"", "garden..house", "gärten", "192.168.7.20", "-", "Garden.", strings.Repeat("x", 64), "a b", "*"} {
		m := newMachine(t)
		o := m.options()
		o.Hostname, o.Names = func() (string, error) { return host, nil }, append(o.Names, host)
		c, _, err := NewCerts(o)
		if err != nil {
			t.Errorf("%q: %v", host, err)
			continue
		}
		for _, name := range []string{"willow.local", "localhost", "192.168.7.20"} {
			if err := trusts(t, c, c.present(t), name, m.now); err != nil {
				t.Errorf("on %q: %s: %v", host, name, err)
			}
		}
		if p := c.Problems(); len(p) > 0 {
			t.Errorf("on %q: %+v", host, p)
		}
		if host == "Garden." && (trusts(t, c, c.present(t), "garden", m.now) != nil || trusts(t, c, c.present(t), "garden.local", m.now) != nil) {
			t.Errorf("%v", c.present(t).DNSNames)
		}
	}
}

func TestDamagedAuthority(t *testing.T) {
	m := newMachine(t)
	old := m.certs(t).Authority()
	path := filepath.Join(m.dir, "authority.pem")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range [][]byte{nil, whole[:len(whole)/2], bytes.ReplaceAll(whole, []byte("A"), []byte("B")), []byte("x"), boundless(t)} {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		m.now = m.now.Add(time.Second)
		c, warning, err := NewCerts(m.options())
		if err != nil || warning == "" || bytes.Equal(c.Authority(), old) || trusts(t, c, c.present(t), "willow.local", m.now) != nil {
			t.Errorf("%q: %q, %v", broken[:min(9, len(broken))], warning, err)
		}
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 5 {
		t.Errorf("set aside: %v", aside)
	}
	if os.Geteuid() != 0 {
		return
	}
	m.dir = filepath.Join("/proc", "nowhere")
	if _, _, err := NewCerts(m.options()); err == nil {
		t.Error("a folder that can't be made is no error")
	}
}

// An authority that an earlier roomd made stays as it is: tablets trust it.
func TestEarlierAuthority(t *testing.T) {
	m := newMachine(t)
	c := m.certs(t)
	wide := &x509.Certificate{SerialNumber: big.NewInt(9), Subject: c.ca.Subject, NotBefore: authorityFrom, NotAfter: authorityTo, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomainsCritical: true, PermittedDNSDomains: c.ca.PermittedDNSDomains, PermittedIPRanges: privateNets}
	der, err := x509.CreateCertificate(rand.Reader, wide, wide, c.key.Public(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	b := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(filepath.Join(m.dir, "authority.pem"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	again := m.certs(t)
	if !bytes.Equal(again.Authority(), der) || again.Narrow() || trusts(t, again, again.present(t), "willow.local", m.now) != nil {
		t.Error("an earlier authority was not taken up as it is")
	}
	if got, err := AuthorityFingerprint(m.dir); err != nil || got != again.Fingerprint() {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := AuthorityFingerprint(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no authority: %v", err)
	}
}

// The owner's certificate is used while it can be, and read again when it was renewed.
func TestOwnCertificate(t *testing.T) {
	m := newMachine(t)
	o := m.options()
	o.File, o.Key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	c, _, err := NewCerts(o)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Problems(); len(p) != 1 || c.Own() {
		t.Errorf("files that are not there: %+v", p)
	}
	write := func(from, to time.Time) {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: from, NotAfter: to, DNSNames: []string{"room.clinic.example"}},
			c.ca, key.Public(), c.key)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for f, b := range map[string]*pem.Block{o.File: {Type: "CERTIFICATE", Bytes: der}, o.Key: {Type: "PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(f, pem.EncodeToMemory(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Renew(); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		from, to time.Duration
		used     bool
	}{{-time.Hour, time.Hour, true}, {-2 * time.Hour, -time.Hour, false}, {time.Hour, 2 * time.Hour, false}, {-time.Hour, 2 * time.Hour, true}} {
		write(m.now.Add(x.from), m.now.Add(x.to))
		if got := c.present(t).SerialNumber.Int64() == 7; got != x.used || c.Own() != x.used || len(c.Problems()) == 0 != x.used {
			t.Errorf("from %v to %v: used %v, %+v", x.from, x.to, got, c.Problems())
		}
	}
}

// Over https the cookie is for https alone, a page of it belongs to it, and the way there is told over http.
func TestHTTPS(t *testing.T) {
	h := open(t)
	m := newMachine(t)
	m.now = time.Now()
	c := m.certs(t)
	h.server.o.Certs, h.server.o.HTTPSPort = c, "8443"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	private := &http.Server{Handler: h.server, TLSConfig: &tls.Config{GetCertificate: c.GetCertificate}, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = private.ServeTLS(l, "", "") }()
	defer private.Close()
	ca, err := x509.ParseCertificate(c.Authority())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	resp, err := browser.Post("https://"+l.Addr().String()+"/api/v1/pair", asJSON, strings.NewReader(`{"code":"`+offer(t, h.tokens, "", Therapist).Code+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if cookies := resp.Cookies(); len(cookies) != 1 || !cookies[0].Secure {
		t.Errorf("%+v", cookies)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src 'self';") {
		t.Error(csp)
	}
	if resp.Header.Get("Strict-Transport-Security") != "" {
		t.Error("a tablet is stranded by this when the certificate changes")
	}
	resp, csp := h.ask(t, "GET", "/api/v1/trust", "", "Host", "willow.local:8080")
	var told struct{ HTTPS, Fingerprint string }
	if err := json.Unmarshal([]byte(csp), &told); err != nil || told.HTTPS != "https://willow.local:8443" || len(told.Fingerprint) != 95 {
		t.Errorf("%s, %v", csp, err)
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src 'self' https://willow.local:8443;") {
		t.Error(csp)
	}
	if resp, _ := h.ask(t, "GET", "/ping", "", "Host", "evil.example"); strings.Contains(resp.Header.Get("Content-Security-Policy"), "evil") {
		t.Error("a name that is not ours stands in the policy")
	}
	if resp, body := h.ask(t, "GET", "/ca.crt", ""); resp.StatusCode != 200 || body != string(c.Authority()) {
		t.Errorf("%s", resp.Status)
	}
	if resp, _ := h.ask(t, "GET", "/ca.mobileconfig", ""); resp.Header.Get("Content-Type") != "application/x-apple-aspen-config" {
		t.Errorf("%s", resp.Header)
	}
	if resp, _ := h.ask(t, "GET", "/ping", ""); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%s", resp.Status)
	}
}
