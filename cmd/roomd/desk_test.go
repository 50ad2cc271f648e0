package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room/clinic"
	"roomd/room/mqtt"
)

// deskRun is a real desk.
type deskRun struct {
	t          *testing.T
	data       string
	page, mqtt string // HOST:PORT
	words      []string
	process    *rig.Process
	client     http.Client
	cookie     *http.Cookie
}

func startDesk(t *testing.T, words ...string) *deskRun {
	t.Helper()
	d := &deskRun{t: t, data: t.TempDir(), words: words, page: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), mqtt: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))}
	d.start()
	return d
}

func (d *deskRun) start() {
	d.t.Helper()
	log := d.t.TempDir()
	d.process = rig.Run(d.t, log, theBinary(d.t), []string{"RUNTIME_DIRECTORY=" + log}, append([]string{"desk", "--data", d.data, "--listen", d.page, "--mqtt", d.mqtt}, d.words...)...)
	rig.Eventually(d.t, "the desk answers", func() bool {
		text, err := os.ReadFile(filepath.Join(d.data, "tls", "authority.pem"))
		if err != nil {
			return false
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		d.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		resp, err := d.client.Get("https://" + d.page + "/ping")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	d.t.Cleanup(d.client.CloseIdleConnections)
}

// ask asks the page, and reads the answer into v.
func (d *deskRun) ask(method, path string, body, v any) *http.Response {
	d.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, "https://"+d.page+path, bytes.NewReader(b))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if d.cookie != nil {
		req.AddCookie(d.cookie)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { resp.Body.Close() })
	if v != nil {
		text, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, json.Unmarshal(text, v)); err != nil {
			d.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, text, err)
		}
	}
	return resp
}

// pair signs in by what roomd desk pair shows.
func (d *deskRun) pair(options ...string) {
	d.t.Helper()
	code, out, bad := roomd(d.t, nil, append([]string{"desk", "pair", "--data", d.data}, options...)...)
	link := regexp.MustCompile(`https://` + regexp.QuoteMeta(d.page) + `/pair#(\S+)`).FindStringSubmatch(out)
	if code != exitOK || link == nil {
		d.t.Fatalf("%d %s %s", code, out, bad)
	}
	d.cookie = nil
	for _, c := range d.ask("POST", "/api/v1/pair", map[string]string{"link": link[1], "name": "Front desk"}, nil).Cookies() {
		d.cookie = c
	}
	if d.cookie == nil || !d.cookie.Secure || !d.cookie.HttpOnly {
		d.t.Fatalf("not let in: %v", d.cookie)
	}
}

// eventually reads the feed anew until a line of it has all words.
func (d *deskRun) eventually(words ...string) {
	d.t.Helper()
	rig.Eventually(d.t, strings.Join(words, ", "), func() bool {
		resp := d.ask("GET", "/api/v1/desk/rooms", nil, nil)
		defer resp.Body.Close()
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		for _, w := range words {
			if err != nil || !strings.Contains(line, w) {
				return false
			}
		}
		return true
	})
}

// TestDesk runs a real desk: a device is let in by roomd desk pair, a room joins and is shown, and after a kill -9 both are known still.
func TestDesk(t *testing.T) {
	t.Parallel()
	d := startDesk(t, "--name", "North clinic")
	d.pair()
	var no struct{ Reason string }
	if resp := d.ask("POST", "/api/v1/desk/offers", struct{}{}, &no); resp.StatusCode != http.StatusForbidden || !strings.Contains(no.Reason, "--enrolls") {
		t.Errorf("an observer: %s %+v", resp.Status, no)
	}
	d.pair("--enrolls")
	var offer struct{ Code, Address string }
	d.ask("POST", "/api/v1/desk/offers", map[string]string{"house": "North"}, &offer)
	code, err := clinic.ParseCode(offer.Code)
	if err != nil {
		t.Fatal(err)
	}
	var in clinic.Joined
	if resp := d.ask("POST", "/api/v1/desk/join", clinic.Joining{Code: code.Secret(), ID: "willow", Name: "Willow"}, &in); resp.StatusCode != http.StatusOK || in.Clinic != "North clinic" || in.Broker != "mqtts://"+d.mqtt {
		t.Fatal(resp.Status, in)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(in.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	room, err := mqtt.Dial(mqtt.Options{Broker: "mqtts://willow:" + in.Secret + "@" + d.mqtt, CA: ca, ClientID: "willow", Status: "roomd/willow/status"})
	if err != nil {
		t.Fatal(err)
	}
	defer room.Close()
	room.Retain("roomd/willow/state", []byte(`{"stage":"administration","left_ms":600000}`))
	d.eventually(`"id":"willow"`, `"stage":"administration"`, `"reached":true`, `"house":"North"`)
	d.process.Kill()
	d.start()
	d.eventually(`"id":"willow"`, `"stage":"administration"`, `"reached":true`)
	// No rest of the session is in the data folder.
	err = filepath.WalkDir(d.data, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("administration")) {
			t.Errorf("%s holds the stage", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	var is struct{ Name string }
	if d.ask("GET", "/api/v1/desk", nil, &is); is.Name != "North clinic" {
		t.Errorf("%+v", is)
	}
	if code, _, bad := roomd(t, nil, "desk", "--data", d.data, "--listen", d.page, "--mqtt", d.mqtt); code != exitError || !strings.Contains(bad, "another roomd") {
		t.Errorf("a second desk: %d %s", code, bad)
	}
}

// TestDeskOverAnotherBroker shows rooms that speak over a broker of the clinic's own, which may go away.
func TestDeskOverAnotherBroker(t *testing.T) {
	t.Parallel()
	broker := rig.Mosquitto(t)
	room := rig.Dial(t, broker.URL)
	room.Say("roomd/oak/about", `{"name":"Oak","version":"9","library":{"revision":"r"}}`, true)
	room.Say("roomd/oak/status", `{"state":"online"}`, true)
	room.Say("roomd/oak/state", `{"stage":"integration","left_ms":600000}`, true)
	d := startDesk(t, "--broker", broker.URL)
	d.pair("--enrolls")
	d.eventually(`"connected":true`, `"name":"Oak"`, `"stage":"integration"`, `"reached":true`)
	var is struct {
		Broker  string
		Enrolls bool
	}
	if d.ask("GET", "/api/v1/desk", nil, &is); is.Broker != "outside" || is.Enrolls {
		t.Errorf("%+v", is)
	}
	if resp := d.ask("POST", "/api/v1/desk/offers", struct{}{}, nil); resp.StatusCode != http.StatusConflict {
		t.Errorf("it enrolls: %s", resp.Status)
	}
	room.Say("roomd/oak/status", `{"state":"offline"}`, true)
	d.eventually(`"reached":false`, `"stage":"integration"`)
	broker.Stop()
	d.eventually(`"connected":false`)
}

// TestDeskFolder keeps a desk out of a room's folder, and says what a desk that is not there needs.
func TestDeskFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, words := range [][]string{{"desk", "pair"}} {
		if code, out, bad := roomd(t, nil, append(words, "--data", filepath.Join(dir, "no"))...); code != exitError || out != "" || !strings.Contains(bad, "there is no desk") || !strings.Contains(bad, "roomd desk --data") {
			t.Errorf("%v: %d %s %s", words, code, out, bad)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "room.yaml"), []byte("room: Oak\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"desk"}, {"desk", "pair"}} {
		if code, out, bad := roomd(t, nil, append(words, "--data", dir)...); code != exitError || out != "" || !strings.Contains(bad, "is a room's folder") {
			t.Errorf("%v: %d %s %s", words, code, out, bad)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Error("made:", all, err)
	}
}
