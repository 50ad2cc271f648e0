package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"roomd/room"
)

// Times of certificates. The authority's are fixed: a computer without a battery clock may make it in 1970.
var (
	authorityFrom = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	authorityTo   = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
)

const (
	leafTime  = 397 * 24 * time.Hour // Apple refuses more than 825 days, and of public authorities more than 398
	leafEarly = 48 * time.Hour       // from before now: a tablet's clock may be behind
	leafRenew = 30 * 24 * time.Hour  // before its end
)

// Certs are what the page is served with over https: a certificate for the names and addresses that this computer has now,
// signed by an authority of this room's own, or one of the owner's. The authority is kept, since tablets trust it; it can
// vouch for this room's names and private addresses alone (RFC 5280, name constraints). The certificate itself is made at each
// start, before its end, when the computer's addresses change, and when its clock is set.
type Certs struct {
	o   CertOptions
	key *ecdsa.PrivateKey
	ca  *x509.Certificate

	mu       sync.Mutex // guards the rest
	leaf     *tls.Certificate
	covers   string // the names and addresses of leaf
	own      *tls.Certificate
	ownStamp string
	ownWrong room.Problem // with the owner's; zero: none
	left     []string
}

// CertOptions is what Certs are made of.
type CertOptions struct {
	Dir       string   // of the authority's key; made where it is not there, for its owner alone
	Names     []string // beside this computer's own
	File, Key string   // the owner's certificate and key, PEM; empty: none
	Log       *slog.Logger
	Now       func() time.Time       // nil: the wall clock
	Addresses func() []net.IP        // nil: this computer's
	Hostname  func() (string, error) // nil: this computer's
}

// privateNets are addresses that are nobody's on the internet (RFC 1918, 3927, 4193, 4291).
var privateNets = func() (out []*net.IPNet) {
	for _, s := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"} {
		_, n, err := net.ParseCIDR(s)
		if err != nil {
			panic(err)
		}
		out = append(out, n)
	}
	return out
}()

// NewCerts reads the room's authority, or makes one. Where it was damaged it is set aside and made anew, and warning is the code of that problem:
// tablets have to trust the new one. An error is a folder that can't be written.
func NewCerts(o CertOptions) (c *Certs, warning string, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Addresses == nil {
		o.Addresses = addresses
	}
	if o.Hostname == nil {
		o.Hostname = os.Hostname
	}
	c = &Certs{o: o}
	path := filepath.Join(o.Dir, "authority.pem")
	err = c.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil && !errors.As(err, new(*fs.PathError)):
		if e := os.Rename(path, fmt.Sprintf("%s.damaged-%d", path, o.Now().UnixMilli())); e != nil {
			return nil, "", fmt.Errorf("set the damaged authority aside: %w", e)
		}
		o.Log.Error("the room's authority is damaged and was made anew", "err", err)
		warning = "certificate-renewed"
	}
	if c.ca == nil {
		if err != nil && warning == "" && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("read the room's authority: %w", err)
		}
		if err := c.create(path); err != nil {
			return nil, "", fmt.Errorf("make the room's authority: %w", err)
		}
	}
	if err := c.Renew(); err != nil {
		return nil, "", err
	}
	return c, warning, nil
}

// read reads the authority.
func (c *Certs) read(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(b, b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	// One that could vouch for anything is not ours to hand out, even if somebody put it there.
	if !ok || !pair.Leaf.IsCA || !pair.Leaf.MaxPathLenZero || !pair.Leaf.PermittedDNSDomainsCritical ||
		!slices.Contains(pair.Leaf.PermittedDNSDomains, "localhost") || len(pair.Leaf.PermittedIPRanges) != len(privateNets) {
		return fmt.Errorf("%s: not the authority that roomd makes", path)
	}
	c.key, c.ca = key, pair.Leaf
	return nil
}

const nobody = "roomd.invalid"

// Narrow reports whether the authority is limited to servers. One that an earlier roomd made is not: it stays, since tablets
// trust it.
func (c *Certs) Narrow() bool {
	return slices.Equal(c.ca.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) && len(c.ca.PermittedURIDomains) > 0
}

// create makes the authority. It is on the disk when create returns.
func (c *Certs) create(path string) (err error) {
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	serial, err := serial()
	if err != nil {
		return err
	}
	names := c.names()
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "roomd " + names[0], Organization: []string{"roomd"}},
		NotBefore: authorityFrom, NotAfter: authorityTo,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: names, PermittedIPRanges: privateNets,
		// A kind of name with no constraint could be any. These permit a domain that cannot exist (RFC 2606). A constraint of
		// directory names would have to be critical, and programs in Go refuse the whole chain for it; the key usage does
		// instead: a server is known by its DNS name or address.
		PermittedEmailAddresses: []string{nobody}, PermittedURIDomains: []string{nobody},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, c.key.Public(), c.key)
	if err != nil {
		return err
	}
	if c.ca, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		return err
	}
	b := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	// After a power cut the name has to be there too: tablets would have to trust another authority. Not every system can.
	for _, dir := range []string{c.o.Dir, filepath.Dir(c.o.Dir)} {
		if d, err := os.Open(dir); err == nil {
			_ = d.Sync()
			d.Close()
		}
	}
	return nil
}

func serial() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) }

// certifiable are the names that a certificate can hold. One that it can't would leave the room without any.
var certifiable = regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$`)

// names are those of this computer, the likeliest first.
func (c *Certs) names() []string {
	var out []string
	if h, err := c.o.Hostname(); err == nil {
		h = strings.TrimSuffix(strings.ToLower(h), ".")
		if out = append(out, h); !strings.Contains(h, ".") {
			out = []string{h + ".local", h}
		}
	}
	for _, n := range append(slices.Clone(c.o.Names), "localhost") {
		if n = strings.ToLower(n); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return slices.DeleteFunc(out, func(n string) bool { return !certifiable.MatchString(n) || net.ParseIP(n) != nil })
}

// Renew makes a new certificate where the present one does not cover what this computer is called now, or is about to end, or
// was made before the clock was set; and it reads the owner's where that has changed.
func (c *Certs) Renew() error {
	now := c.o.Now()
	var ips []net.IP
	for _, ip := range c.o.Addresses() {
		if slices.ContainsFunc(privateNets, func(n *net.IPNet) bool { return n.Contains(ip) }) {
			ips = append(ips, ip)
		}
	}
	var names, left []string
	for _, n := range c.names() {
		permitted := slices.ContainsFunc(c.ca.PermittedDNSDomains, func(p string) bool { return n == p || strings.HasSuffix(n, "."+p) })
		if permitted {
			names = append(names, n)
		} else {
			left = append(left, n)
		}
	}
	covers := fmt.Sprint(names, ips)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = left
	c.renewOwn(now)
	if l := c.leaf; l != nil && covers == c.covers && now.After(l.Leaf.NotBefore) && now.Add(leafRenew).Before(l.Leaf.NotAfter) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	number, err := serial()
	if err != nil {
		return err
	}
	t := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: names[0]}, NotBefore: now.Add(-leafEarly), NotAfter: now.Add(-leafEarly + leafTime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: names, IPAddresses: ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.ca, key.Public(), c.key)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	c.leaf, c.covers = &tls.Certificate{Certificate: [][]byte{der, c.ca.Raw}, PrivateKey: key, Leaf: leaf}, covers
	return nil
}

// renewOwn reads the owner's certificate where its files have changed. One that can't be used is said, and the room's own
// stands in for it.
func (c *Certs) renewOwn(now time.Time) {
	if c.o.File == "" {
		return
	}
	stamp := ""
	for _, f := range []string{c.o.File, c.o.Key} {
		if info, err := os.Stat(f); err == nil {
			stamp += fmt.Sprint(info.Size(), info.ModTime().UnixNano(), " ")
		}
	}
	if stamp != c.ownStamp || c.own == nil {
		pair, err := tls.LoadX509KeyPair(c.o.File, c.o.Key)
		c.own, c.ownStamp, c.ownWrong = nil, stamp, room.Problem{}
		if err != nil {
			c.ownWrong = room.NewProblem("link", "certificate-unreadable", "file", c.o.File).With(err.Error())
			return
		}
		c.own = &pair
	}
	c.ownWrong = room.Problem{}
	if now.After(c.own.Leaf.NotAfter) {
		c.ownWrong = room.NewProblem("link", "certificate-ended", "since", c.own.Leaf.NotAfter, "file", c.o.File)
	} else if now.Before(c.own.Leaf.NotBefore) {
		c.ownWrong = room.NewProblem("link", "certificate-early", "from", c.own.Leaf.NotBefore, "file", c.o.File)
	}
}

// Run keeps the certificate right until ctx ends.
func (c *Certs) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-minute.C:
			if err := c.Renew(); err != nil {
				c.o.Log.Error("the certificate can't be renewed", "err", err)
			}
		}
	}
}

// GetCertificate is for a tls.Config. It renews a certificate whose dates are wrong because the clock was set.
func (c *Certs) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := c.o.Now()
	c.mu.Lock()
	invalid := now.Before(c.leaf.Leaf.NotBefore) || now.After(c.leaf.Leaf.NotAfter)
	c.mu.Unlock()
	if invalid {
		if err := c.Renew(); err != nil {
			c.o.Log.Error("the certificate can't be renewed", "err", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil && c.ownWrong.Code == "" {
		return c.own, nil
	}
	return c.leaf, nil
}

// Own says whether the owner's certificate is used.
func (c *Certs) Own() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.own != nil && c.ownWrong.Code == ""
}

// Until is when the certificate that the page is served with ends.
func (c *Certs) Until() (time.Time, error) {
	cert, err := c.GetCertificate(nil)
	if err != nil {
		return time.Time{}, err
	}
	leaf := cert.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(cert.Certificate[0]); err != nil {
			return time.Time{}, err
		}
	}
	return leaf.NotAfter, nil
}

// Problems are what keeps tablets from trusting the page.
func (c *Certs) Problems() (out []room.Problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ownWrong.Code != "" {
		out = append(out, c.ownWrong)
	}
	if len(c.left) > 0 {
		out = append(out, room.NewProblem("link", "certificate-names", "names", strings.Join(c.left, ", "), "folder", c.o.Dir))
	}
	return out
}

// Authority is the room's own authority in DER.
func (c *Certs) Authority() []byte { return c.ca.Raw }

// Fingerprint is the authority's SHA-256 in pairs of hexadecimal digits, as systems show it.
func (c *Certs) Fingerprint() string {
	sum := sha256.Sum256(c.ca.Raw)
	return strings.ReplaceAll(strings.ToUpper(fmt.Sprintf("% x", sum[:])), " ", ":")
}

// AuthorityFingerprint is that of the authority in a folder, for a program beside the roomd that serves with it. Where no
// authority was made yet the error is fs.ErrNotExist.
func AuthorityFingerprint(dir string) (string, error) {
	var c Certs
	if err := c.read(filepath.Join(dir, "authority.pem")); err != nil {
		return "", err
	}
	return c.Fingerprint(), nil
}

// Profile is a configuration profile that has an Apple system trust the authority (Apple, Configuration Profile Reference:
// com.apple.security.root). Its identifiers follow from the authority, so that a second one replaces the first.
func (c *Certs) Profile() []byte {
	sum := sha256.Sum256(c.ca.Raw)
	uuid := func(n int) string {
		b := sum[n : n+16]
		return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>roomd.%[1]s</string><key>PayloadUUID</key><string>%[1]s</string>
<key>PayloadDisplayName</key><string>%[3]s</string>
<key>PayloadDescription</key><string>Lets this device trust this one room.</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.security.root</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>roomd.%[2]s</string><key>PayloadUUID</key><string>%[2]s</string>
<key>PayloadDisplayName</key><string>%[3]s</string><key>PayloadContent</key><data>%[4]s</data>
</dict></array></dict></plist>
`, uuid(0), uuid(16), xmlText(c.ca.Subject.CommonName), base64.StdEncoding.EncodeToString(c.ca.Raw))
	return b.Bytes()
}

func xmlText(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes all
	return b.String()
}
