package mqtt

import (
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

func say(code string, args ...any) *Problem { return &Problem{code, args} }

// explain turns paho's error into a problem. The chain goes to the log, this does not.
func (c *Client) explain(err error) *Problem {
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		dns     *net.DNSError
	)
	switch {
	case err == nil:
		return say("broker-waits")
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return say("broker-password")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return say("broker-certificate-early")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say("broker-certificate-expired", "host", c.host)
	case errors.As(err, &unknown):
		return say("broker-certificate-unknown")
	case errors.As(err, &name):
		return say("broker-certificate-name", "host", c.host)
	case errors.As(err, &invalid):
		return say("broker-certificate-bad", "host", c.host)
	case errors.As(err, &dns):
		return say("broker-unknown", "host", c.host)
	}
	return say("broker-silent", "host", c.host)
}
