package mqtt

import (
	"crypto/x509"
	"errors"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// explain turns paho's error into a sentence for a therapist. The chain goes to the log, this does not.
func (c *Client) explain(err error) *Problem {
	const stay = " The lights stay as they are, and are picked up again by themselves."
	var (
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		dns     *net.DNSError
	)
	switch {
	case err == nil:
		return &Problem{"The light bridge's broker has not answered yet.", "Wait a moment."}
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return &Problem{"The light bridge's broker refuses roomd's user name or password.",
			"Correct them in the room file: mqtt: {broker: mqtt://USER:PASSWORD@" + c.host + "}." + stay}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		return &Problem{"The certificate of the light bridge's broker is not valid yet.",
			"Check this computer's date and time." + stay}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &Problem{"The certificate of the light bridge's broker has expired.",
			"Put a new certificate on the broker at " + c.host + ", and check this computer's date." + stay}
	case errors.As(err, &unknown):
		return &Problem{"The certificate of the light bridge's broker is signed by someone this room does not know.",
			"Name the file of the certificate authority in the room file: mqtt: {ca: FILE}." + stay}
	case errors.As(err, &name):
		return &Problem{"The certificate of the light bridge's broker is for another name than " + c.host + ".",
			"Use the name on the certificate in the room file, or a certificate for this name." + stay}
	case errors.As(err, &invalid):
		return &Problem{"The certificate of the light bridge's broker can't be used.",
			"Put a valid certificate on the broker at " + c.host + "." + stay}
	case errors.As(err, &dns):
		return &Problem{"The light bridge's broker " + c.host + " is not known on this network.",
			"Check its name in the room file, and the network." + stay}
	}
	return &Problem{"The light bridge's broker does not answer.",
		"Check that " + c.host + " is switched on and on this network." + stay}
}
