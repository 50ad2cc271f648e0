package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"roomd/rig"
	"roomd/room"
)

// TestStartsWhereItCan starts rooms in which something is wrong. Each says what, in words, and works otherwise.
func TestStartsWhereItCan(t *testing.T) {
	t.Parallel()
	closed := rig.FreePort(t) // nobody listens there
	for _, c := range []struct {
		name  string
		files map[string]string
		part  string // the problem's
		says  string // part of what it says, or of its details
	}{
		{"broker that is not there", map[string]string{"room.yaml": fmt.Sprintf("mqtt: {broker: \"mqtt://127.0.0.1:%d\"}\naudio: {output: none}\n", closed)}, "broker", "broker"},
		{"room file with errors", map[string]string{"room.yaml": "audio: {output: none, reference: loud}\nlistn: 5\n"}, "room", "room.yaml:1:"},
		{"room file that is no YAML", map[string]string{"room.yaml": "audio: {output: none\n"}, "room", "room.yaml:"},
		{"sound device that is not there", map[string]string{"room.yaml": "audio: {output: alsa, device: Nowhere}\n"}, "sound", "Nowhere"},
		{"playlist with errors", map[string]string{"room.yaml": "audio: {output: none}\n", "playlists/bad.yaml": "name: Bad\nphases:\n  - {name: One, stage: overture, length: 5}\n"}, "playlist", "bad.yaml"},
		{"no playlists folder", map[string]string{"room.yaml": "audio: {output: none}\n"}, "playlist", "folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var env []string
			if c.part == "playlist" && c.says == "folder" {
				env = []string{"ROOMD_PLAYLISTS=/nowhere/playlists"}
			}
			d := newDaemon(t, env, c.files)
			d.start()
			var last []room.Problem
			rig.Eventually(t, "the page says what is wrong", func() bool {
				last = d.snapshot().Problems
				for _, p := range last {
					if p.Part == c.part && strings.Contains(p.Says+" "+p.Details, c.says) && p.Do != "" {
						return true
					}
				}
				return false
			})
			if d.log() == "" {
				t.Error("the log says nothing")
			}
			// The rest works: the starter playlist runs.
			d.do(room.Command{Do: room.Start, Playlist: "starter/tour"})
			if s := d.snapshot().Session; s == nil || s.State != room.Running {
				t.Errorf("the session is %+v", s)
			}
			rig.Bar(t, c.name, "it ends in", d.terminate(t.Context()).Seconds(), 3, "s")
		})
	}
}

// TestPortInUse: the room runs without its page, and has it as soon as the port is free.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	log := t.TempDir()
	d.Process = rig.Run(t, log, theBinary(t), nil, "serve", "--data", d.dir, "--listen", d.addr)
	rig.Eventually(t, "the log names the port", func() bool {
		b, _ := os.ReadFile(filepath.Join(log, "roomd.log"))
		return strings.Contains(string(b), d.addr) && strings.Contains(string(b), "in use")
	})
	l.Close()
	rig.Eventually(t, "the page is there", func() bool {
		resp, err := http.Get("http://" + d.addr + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

// TestHTTPSPortInUse: the page is there over http, says so, and is there over https as soon as the port is free; over a
// kill tablets go on trusting it.
func TestHTTPSPortInUse(t *testing.T) {
	t.Parallel()
	private := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\nhttps: {listen: " + strconv.Quote(private) + "}\n"})
	l, err := net.Listen("tcp", private)
	if err != nil {
		t.Fatal(err)
	}
	d.start()
	rig.Eventually(t, "the page says that it is not served privately", func() bool {
		return slices.ContainsFunc(d.snapshot().Problems, func(p room.Problem) bool { return p.Part == "link" && strings.Contains(p.Says, private) })
	})
	resp, err := http.Get("http://" + d.addr + "/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	der, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	shake := func(most uint16) (tls.ConnectionState, error) {
		c, err := tls.Dial("tcp", private, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: most, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer c.Close()
		return c.ConnectionState(), nil
	}
	l.Close()
	served := func() bool { _, err := shake(tls.VersionTLS13); return err == nil }
	rig.Eventually(t, "the page is served privately", served)
	rig.Eventually(t, "and is no problem any more", func() bool {
		return !slices.ContainsFunc(d.snapshot().Problems, func(p room.Problem) bool { return strings.Contains(p.Says, private) })
	})
	if s, err := shake(tls.VersionTLS12); err != nil || s.NegotiatedProtocol != "http/1.1" {
		t.Errorf("TLS 1.2, where websockets need HTTP/1.1: %q, %v", s.NegotiatedProtocol, err)
	}
	if _, err := shake(tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	if err := d.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.Done()
	d.start()
	rig.Eventually(t, "the same authority vouches for it after a kill", served)
}

// TestOneRoomAtATime: a second daemon on the same data refuses to start.
func TestOneRoomAtATime(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	code, _, stderr := roomd(t, nil, "serve", "--data", d.dir, "--listen", "127.0.0.1:0")
	if code != exitError || !strings.Contains(stderr, "another roomd") {
		t.Errorf("a second roomd: %d %s", code, stderr)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir, card := t.TempDir(), rig.SoundCard(t, 1)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"version"}, exitOK, "roomd"},
		{[]string{"help"}, exitOK, "Exit codes"},
		{[]string{"dance"}, exitUsage, `no command "dance"`},
		{[]string{"serve", "--loud"}, exitUsage, "loud"},
		{[]string{"serve", "now"}, exitUsage, `"now"`},
		{[]string{"render"}, exitUsage, "--out"},
		{[]string{"render", "nothing", "--out", dir + "/x.wav", "--data", dir}, exitError, "nothing"},
		{[]string{"token", "--data", dir}, exitUsage, "create NAME"},
		{[]string{"--data", dir, "token", "create", "tablet"}, exitOK, ""},
		{[]string{"token", "create", "tablet", "--data", dir}, exitError, "already"},
		{[]string{"token", "list", "--data", dir}, exitOK, "tablet"},
		{[]string{"token", "revoke", "tablet", "--data", dir}, exitOK, ""},
		{[]string{"token", "revoke", "tablet", "--data", dir}, exitError, "no token"},
		{[]string{"check", "--data", dir}, exitOK, "starter/tour"},
		{[]string{"sound", "loud"}, exitUsage, `"loud"`},
		{[]string{"sound"}, exitOK, "usbdac\n    fake USB DAC\n    44.1, 48, 88.2, 96 kHz"},
	} {
		code, stdout, stderr := roomd(t, card.Env(), c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("roomd %v: exit code %d, wanted %d; it says %q, wanted %q in it", c.args, code, c.code, stdout+stderr, c.says)
		}
	}
}
