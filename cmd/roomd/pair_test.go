package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room"
	"roomd/web"
)

// TestJournalNamesTheDevice ends a session by one of two tablets: its record says which, to therapists alone, until it is erased.
func TestJournalNamesTheDevice(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n", "playlists/a.yaml": "name: A\nphases: [{name: One, stage: preparation, length: 10m, music: {bed: rain}, marks: [Note]}]\n"})
	var tokens []string
	for _, args := range [][]string{{"Lindenzimmer"}, {"Supervision", "--observer"}} {
		out, err := exec.Command(theBinary(t), append([]string{"token", "create", "--data", d.data}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, strings.TrimSpace(string(out)))
	}
	d.start()
	d.ready("a")
	d.do(room.Command{Do: room.Start, Playlist: "a"})
	id := d.snapshot().Session.ID
	first, second, observer := d.token, tokens[0], tokens[1]
	d.do(room.Command{Do: room.MarkNow, Name: "Note", Device: "forged"})
	d.token = second
	d.do(room.Command{Do: room.WriteNote, Session: id, Text: "calm"})
	d.do(room.Command{Do: room.Abort})
	all := func(path, token string) string {
		req, _ := http.NewRequest(http.MethodGet, "http://"+d.addr+path, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	d.token = first
	rig.Eventually(t, "the session has ended", func() bool { return d.snapshot().Session.State == room.Ended })
	var rec room.SessionRecord
	d.get("/api/v1/sessions/"+id, &rec)
	said := map[room.Verb]string{}
	for _, e := range rec.Events {
		var c room.Command
		if e.Kind == "command" && json.Unmarshal(e.Data, &c) == nil {
			said[c.Do] = c.Device
		}
	}
	if said[room.MarkNow] != "test" || said[room.Abort] != "Lindenzimmer" {
		t.Errorf("the record says %v", said)
	}
	for path, token := range map[string]string{"/api/v1/state": observer, "/api/v1/sessions/" + id: observer, "/api/v1/sessions/" + id + "/session.json": first, "/api/v1/sessions/" + id + "/session.csv": first} {
		if strings.Contains(all(path, token), "Lindenzimmer") {
			t.Errorf("%s tells which device", path)
		}
	}
	erase, _ := http.NewRequest(http.MethodDelete, "http://"+d.addr+"/api/v1/sessions/"+id, nil)
	erase.Header.Set("Authorization", "Bearer "+first)
	if resp, err := http.DefaultClient.Do(erase); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	if _, _, errs := roomd(t, nil, "token", "revoke", "Lindenzimmer", "--data", d.data); errs != "" {
		t.Fatal(errs)
	}
	rig.Eventually(t, "the erased session's device stands nowhere", func() bool {
		for _, name := range []string{"roomd.db", "roomd.db-wal"} {
			if b, err := os.ReadFile(filepath.Join(d.data, name)); err == nil && bytes.Contains(b, []byte("Lindenzimmer")) {
				return false
			}
		}
		return true
	})
}

// TestFingerprintAtTheRoomsComputer shows it where nobody on the network can change it: by roomd pair, in the link behind the #,
// which is never sent, and by roomd doctor.
func TestFingerprintAtTheRoomsComputer(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": fmt.Sprintf("audio: {output: none}\nhttps: {listen: \"127.0.0.1:%d\"}\n", rig.FreePort(t))})
	_, before, _ := roomd(t, nil, "pair", "--data", d.data, "--listen", d.addr)
	if strings.Contains(before, "fingerprint") {
		t.Errorf("there is no authority yet:\n%s", before)
	}
	d.start()
	var trust struct{ HTTPS, Fingerprint string }
	d.get("/api/v1/trust", &trust)
	if len(trust.Fingerprint) != 95 {
		t.Fatalf("%+v", trust)
	}
	// It names the address that the room is at, wherever it was started.
	_, out, errs := roomd(t, nil, "pair", "--data", d.data)
	if flat := strings.Join(strings.Fields(out), ""); !strings.Contains(flat, trust.Fingerprint) || !strings.Contains(out, "."+strings.ReplaceAll(trust.Fingerprint, ":", "")+"\n") {
		t.Errorf("roomd pair does not show %s:\n%s%s", trust.Fingerprint, out, errs)
	}
	if !strings.Contains(out, "http://"+d.addr+"\n") {
		t.Errorf("it does not show the address %s:\n%s", d.addr, out)
	}
	if _, out, _ := roomd(t, nil, "doctor", "--data", d.data, "--listen", d.addr); !strings.Contains(strings.Join(strings.Fields(out), ""), trust.Fingerprint) {
		t.Errorf("roomd doctor does not show %s:\n%s", trust.Fingerprint, out)
	}
	// A certificate of the owner's needs no comparing.
	own := "audio: {output: none}\nhttps: {certificate: /etc/ssl/room.crt, key: /etc/ssl/room.key}\n"
	if err := os.WriteFile(filepath.Join(d.data, "room.yaml"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Kill()
	if _, out, _ := roomd(t, nil, "pair", "--data", d.data, "--listen", d.addr); strings.Contains(out, "fingerprint") {
		t.Errorf("beside the owner's certificate:\n%s", out)
	}
}

// TestPairCommand holds what the page tells to type: what the guide says, and no folder to strangers.
func TestPairCommand(t *testing.T) {
	for data, want := range map[string]web.PairCommand{
		usualData():       {Plain: "roomd pair", Full: "roomd pair"},
		"/srv/willow":     {Plain: "roomd pair", Full: "roomd pair --data /srv/willow"},
		"/srv/Ada's room": {Plain: "roomd pair", Full: `roomd pair --data '/srv/Ada'\''s room'`},
	} {
		if got := howToPair(data, "ada"); got != want {
			t.Errorf("%s: %+v", data, got)
		}
	}
	guide, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := howToPair(packageData, "roomd"); got.Plain != got.Full || !strings.Contains(string(guide), "    "+got.Plain+"\n") {
		t.Errorf("the guide does not say %+v", got)
	}
}
