package main

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// TestBrokerPasswordFromACredential reads it where the room file leaves it out, and nowhere else.
func TestBrokerPasswordFromACredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, brokerPassword), []byte("p@ss:w/rd%\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	in := func(dir string) func(string) string {
		return func(name string) string {
			if name == "CREDENTIALS_DIRECTORY" {
				return dir
			}
			return ""
		}
	}
	got, err := withPassword("mqtts://room1@broker.example:8883", in(dir))
	u, e := url.Parse(got)
	if err != nil || e != nil {
		t.Fatal(err, e)
	}
	if p, _ := u.User.Password(); p != "p@ss:w/rd%" || u.User.Username() != "room1" || u.Host != "broker.example:8883" {
		t.Errorf("%q: the password is %q", got, p)
	}
	for _, as := range []string{"mqtt://room1:own@broker.example", "mqtt://broker.example", "embedded", "::"} {
		if got, err := withPassword(as, in(dir)); got != as || err != nil {
			t.Errorf("%s: %s, %v", as, got, err)
		}
	}
	const user = "mqtt://room1@broker.example"
	for _, none := range []string{"", t.TempDir()} {
		if got, err := withPassword(user, in(none)); got != user || err != nil {
			t.Errorf("no credential: %s, %v", got, err)
		}
	}
	unreadable := t.TempDir()
	if err := os.Mkdir(filepath.Join(unreadable, brokerPassword), 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := withPassword(user, in(unreadable)); got != user || err == nil {
		t.Errorf("a credential that can't be read: %s, %v", got, err)
	}
}
