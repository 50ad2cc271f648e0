package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// brokerPassword is the name of the credential that holds the broker's password (systemd.exec(5), LoadCredential).
const brokerPassword = "mqtt-password"

// withPassword is a broker's address with the password that systemd gave the service, where the address names a user and no
// password. The room file can be read and backed up then without it.
func withPassword(broker string, env func(string) string) (string, error) {
	u, err := url.Parse(broker)
	if err != nil || u.User == nil || env("CREDENTIALS_DIRECTORY") == "" {
		return broker, nil // what is wrong with an address is said where it is used
	}
	if _, there := u.User.Password(); there {
		return broker, nil
	}
	path := filepath.Join(env("CREDENTIALS_DIRECTORY"), brokerPassword)
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return broker, nil // a broker may know users without one
	}
	if err != nil {
		return broker, fmt.Errorf("read the credential %s: %w", brokerPassword, err)
	}
	u.User = url.UserPassword(u.User.Username(), strings.TrimRight(string(b), "\r\n"))
	return u.String(), nil
}
