package clinic

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/renameio/v2/maybe"

	"roomd/room"
)

const (
	joinTime   = 10 * time.Second
	answerMost = 64 << 10 // bytes of a desk's answer
	deskPort   = "8444"   // of a desk's page, where an address names none
	joinPath   = "/api/v1/desk/join"
)

// Membership is what a room keeps of the clinic that it has joined.
type Membership struct {
	ID string `json:"id"` // the room's, which the desk knows it by
	Joined
}

// Load reads a membership; fs.ErrNotExist: the room has joined no clinic.
func Load(file string) (m Membership, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil || !ValidID(m.ID) || m.Broker == "" {
		return Membership{}, fmt.Errorf("%s is damaged: leave the clinic and join it again", file)
	}
	return m, nil
}

// Save writes the membership to file atomically, readable by the room's user alone (mode 0600).
func (m Membership) Save(file string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return maybe.WriteFile(file, append(text, '\n'), 0o600)
}

// Address is the broker's address with the room's name and secret.
func (m Membership) Address() string {
	u, err := url.Parse(m.Broker)
	if err != nil {
		return m.Broker // Open says what is wrong with it
	}
	u.User = url.UserPassword(m.ID, m.Secret)
	return u.String()
}

// ReadInvitation reads what a person typed or pasted: an address and a code, or in either place the desk's link, which holds both.
// Its error is a *room.Refused that names the field.
func ReadInvitation(address, code string) (host string, c Code, err error) {
	address, code = strings.TrimSpace(address), strings.TrimSpace(code)
	if strings.Contains(code, "#") && strings.Contains(code, "/") {
		address, code = code, ""
	}
	address, inLink, linked := strings.Cut(address, "#")
	if linked {
		code = inLink
	}
	if _, rest, has := strings.Cut(address, "://"); has {
		address = rest
	}
	address, _, _ = strings.Cut(address, "/")
	u, err := url.Parse("https://" + address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(u.Host, " ?") {
		return "", c, room.Refuse("clinic-address").Of("address")
	}
	if c, err = ParseCode(code); err != nil {
		return "", c, room.Refuse("clinic-code").Of("code")
	}
	host = u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), deskPort)
	}
	return host, c, nil
}

// errAnother is the error of a connection whose other side has not the authority that the code names.
var errAnother = errors.New("another authority signs the certificate")

// trusted has t accept the desk that made c, and nobody else: in the handshake, before the room has sent a word. Neither the address
// that a person typed nor this computer's date matters.
func (c Code) trusted() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, authority := range s.PeerCertificates {
				if c.Knows(authority.Raw) && s.PeerCertificates[0].CheckSignatureFrom(authority) == nil {
					return nil
				}
			}
			return errAnother
		},
	}
}

// Join has the desk at host enroll the room by a code. Its error is a *room.Refused; nothing has changed then.
func Join(ctx context.Context, host string, c Code, id, name string) (m Membership, err error) {
	ctx, stop := context.WithTimeout(ctx, joinTime)
	defer stop()
	body, err := json.Marshal(Joining{Code: c.Secret(), ID: id, Name: name})
	if err != nil {
		return m, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+joinPath, bytes.NewReader(body))
	if err != nil {
		return m, room.Refuse("clinic-address").Of("address")
	}
	req.Header.Set("Content-Type", "application/json")
	by := &http.Transport{TLSClientConfig: c.trusted(), TLSHandshakeTimeout: joinTime, DisableKeepAlives: true}
	resp, err := by.RoundTrip(req) // no redirect is followed, and no proxy asked
	if err != nil {
		return m, unreached(host, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return m, unreached(host, err)
	}
	if resp.StatusCode != http.StatusOK {
		return m, refusal(host, resp.StatusCode, text)
	}
	if json.Unmarshal(text, &m.Joined) != nil || m.Secret == "" || !strings.HasPrefix(m.Broker, "mqtts://") {
		return Membership{}, detailed(room.Refuse("clinic-not-desk", "host", host).Of("address"), errors.New("unexpected answer"))
	}
	block, _ := pem.Decode([]byte(m.CA))
	if block == nil || !c.Knows(block.Bytes) {
		return Membership{}, room.Refuse("clinic-another", "host", host).Of("address")
	}
	m.ID = id
	return m, nil
}

// unreached says why there was no answer.
func unreached(host string, err error) *room.Refused {
	var plain tls.RecordHeaderError
	var bad *x509.CertificateInvalidError
	switch {
	case errors.Is(err, errAnother), errors.As(err, &bad):
		return detailed(room.Refuse("clinic-another", "host", host).Of("address"), err)
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response"):
		return detailed(room.Refuse("clinic-not-desk", "host", host).Of("address"), err)
	}
	return detailed(room.Refuse("clinic-unreached", "host", host).Of("address"), err)
}

// refusal says why a desk, which has the code's authority, has refused.
func refusal(host string, status int, text []byte) *room.Refused {
	var says room.Refused
	_ = json.Unmarshal(text, &says) // what can't be read is shown to nobody
	why := fmt.Errorf("status %d: %s", status, says.Reason)
	switch status {
	case http.StatusUnauthorized:
		return detailed(room.Refuse("clinic-code-wrong").Of("code"), why)
	case http.StatusGone:
		return detailed(room.Refuse("clinic-code-over").Of("code"), why)
	case http.StatusNotFound:
		return detailed(room.Refuse("clinic-not-desk", "host", host).Of("address"), why)
	case http.StatusTooManyRequests:
		return detailed(room.Refuse("clinic-code-guesses").Of("code"), why)
	}
	return detailed(room.Refuse("clinic-failed"), why)
}

func detailed(r *room.Refused, err error) *room.Refused {
	r.Details = err.Error()
	return r
}
