package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// groupRoom starts a secretRoom as the package's unit does: as the room's user, with a runtime folder that the group may enter. It
// returns a function that runs a program as another user, and the secrets.
func groupRoom(t *testing.T) (d *daemon, runtime string, as func(who syscall.Credential, words ...string) (code int, out, bad string), secrets []string) {
	t.Helper()
	program, data, lists := installed(t)
	runtime = filepath.Join(filepath.Dir(data), "run")
	if err := errors.Join(os.Remove(filepath.Join(data, "playlists")), os.Mkdir(runtime, 0o750), os.Chown(runtime, roomdID, roomdID)); err != nil {
		t.Fatal(lists, err)
	}
	d = daemonIn(t, data, []string{"RUNTIME_DIRECTORY=" + runtime}, secretRoom(t))
	if err := errors.Join(os.Mkdir(filepath.Join(data, "log"), 0o755), exec.Command("chown", "-R", fmt.Sprint(roomdID, ":", roomdID), data).Run()); err != nil {
		t.Fatal(err)
	}
	d.inside = []string{"setpriv", "--reuid", fmt.Sprint(roomdID), "--regid", fmt.Sprint(roomdID), "--clear-groups", "--", "sh", "-c", `shift; exec "$0" "$@"`, program}
	secrets = d.plant()
	return d, runtime, func(who syscall.Credential, words ...string) (int, string, string) {
		cmd := exec.CommandContext(t.Context(), program, words...)
		cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH"), "HOME=/", "ROOMD_DATA=" + data, "RUNTIME_DIRECTORY=" + runtime}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &who}
		var o, e bytes.Buffer
		cmd.Stdout, cmd.Stderr = &o, &e
		_ = cmd.Run() // its exit code tells
		return cmd.ProcessState.ExitCode(), o.String(), e.String()
	}, secrets
}

// aMember is a user who may add playlists.
var aMember = syscall.Credential{Uid: guestID, Gid: guestID, Groups: []uint32{roomdID}}

// TestGroupReadsNoSecret plants secrets and has a member of the group ask for all that the running room gives members, also with a room
// file whose error quotes the broker's password.
func TestGroupReadsNoSecret(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	d, runtime, as, secrets := groupRoom(t)
	try := func() {
		for _, line := range groupLines {
			code, out, bad := as(aMember, strings.Fields(line)...)
			all := map[string]string{"stdout": out, "stderr": bad}
			if line == "report -" {
				all = unpacked(t, []byte(out))
				if !strings.Contains(all["state.json"], `"ambient"`) || !strings.Contains(all["metrics.txt"], "roomd_session_part_degraded") || !strings.Contains(all["sessions.txt"], "running") {
					t.Errorf("the report does not tell of the room: %v", all)
				}
			} else if strings.HasSuffix(line, "--json") && out != "" && (!json.Valid([]byte(out)) || line == "doctor --json" && !strings.Contains(out, `"doc-`)) {
				t.Errorf("%s: no JSON, or without its codes: %s", line, out)
			} else if code != exitError || len(out)+len(bad) < 40 { // no broker answers
				t.Errorf("%s: %d %s%s", line, code, out, bad)
			}
			for name, text := range all {
				for _, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("%s, %s: it holds %q:\n%s", line, name, secret, text)
					}
				}
			}
		}
	}
	try()
	wrong := "room: Willow\nmqtt: {broker: \"kapuser:" + secretPassword + "@127.0.0.1:1\"}\n"
	if err := os.WriteFile(filepath.Join(d.data, "room.yaml"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, bad := roomd(t, nil, "lights", "--data", d.data); !strings.Contains(out+bad, secretPassword) {
		t.Error("nothing quotes the password: this test misses it")
	}
	try()

	// Whatever else a member asks for by the socket itself is refused, and a stranger does not get that far.
	for _, ask := range [][2]string{{"POST", "/pair"}, {"POST", "/pair?observer=true"}, {"GET", "/api/v1/state"}, {"GET", "/api/v1/sessions"}, {"POST", "/api/v1/pair/codes"}, {"POST", "/api/v1/pair"}, {"GET", "/metrics"}, {"GET", "/"}, {"GET", "/ws"},
		{"POST", "/run?line=pair"}, {"POST", "/run?line=token+list"}, {"POST", "/run?line=backup+-"}, {"POST", "/run?line=doctor+--data+/tmp"}, {"POST", "/run?line=report+/tmp/x"}, {"POST", "/run?line="}} {
		curl := []string{"-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", ask[0], "--unix-socket", filepath.Join(runtime, socketName), "http://localhost" + ask[1]}
		if out, err := asUser(t, guestID, "curl", curl...); err != nil || out != "403" {
			t.Errorf("%v: %s %v", ask, out, err)
		}
		cmd := exec.CommandContext(t.Context(), "curl", curl...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: guestID + 1, Gid: guestID + 1}}
		if out, err := cmd.Output(); err == nil || string(out) != "000" {
			t.Errorf("a stranger, %v: %s %v", ask, out, err)
		}
	}
}

// TestGroupCannotCrowdTheRoom has a member open more connections than the running room takes and say nothing: the room's own user is
// served by the other socket meanwhile, and members are once those connections end.
func TestGroupCannotCrowdTheRoom(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	d, runtime, as, _ := groupRoom(t)

	// What it does for a member gives way to the music.
	seen, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			as(aMember, "lights")
			select {
			case <-seen:
				return
			default: // it was over before anybody looked
			}
		}
	}()
	rig.Eventually(t, "the line runs behind the music", func() bool {
		out, _ := exec.Command("ps", "-o", "ni=", "--ppid", fmt.Sprint(d.Process.Process.Pid)).Output() // none yet
		return slices.Contains(strings.Fields(string(out)), "10")
	})
	close(seen)
	<-over

	crowd := make([]net.Conn, 0, 200)
	for range cap(crowd) {
		conn, err := net.Dial("unix", filepath.Join(runtime, socketName))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		crowd = append(crowd, conn)
	}
	refused := 0
	until := time.Now().Add(4 * time.Second) // before silence ends a connection
	for _, conn := range slices.Backward(crowd) {
		_ = conn.SetReadDeadline(until)
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			refused++
		}
	}
	if refused < cap(crowd)-maxCallers {
		t.Errorf("%d of %d connections were refused", refused, cap(crowd))
	}
	if code, out, bad := as(syscall.Credential{Uid: roomdID, Gid: roomdID}, "doctor"); code != exitError || !strings.Contains(out, "Version") {
		t.Errorf("the room's user: %d %s%s", code, out, bad)
	}
	for _, conn := range crowd {
		conn.Close()
	}
	rig.Eventually(t, "a member is served", func() bool {
		_, out, _ := as(aMember, "doctor")
		return strings.Contains(out, "Version")
	})
}

// TestPairOnAFullDisk lets a tablet in where the journal takes nothing: one may break in mid-session.
func TestPairOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := rig.NewDisk(t, 4096)
	d := diskDaemon(t, disk)
	d.start()
	d.do(room.Command{Do: room.Start, Playlist: "long"})
	disk.Fill()
	for n := 0; d.mark(room.NewID()); n++ {
		if n > 500 {
			t.Fatal("on a full disk all marks are said to be saved")
		}
	}
	code, out, bad := roomd(t, nil, "pair", "--data", d.data)
	link := regexp.MustCompile(`/pair#([A-Za-z0-9_-]{22})`).FindStringSubmatch(out)
	if code != exitOK || link == nil {
		t.Fatal(code, out, bad)
	}
	in, _ := json.Marshal(map[string]string{"link": link[1], "name": "the new one"})
	resp, err := http.Post("http://"+d.addr+"/api/v1/pair", "application/json", bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

// TestSocketAnywhere asks a room whose folder has a longer path than a socket may have, after a kill that left the old socket, and one
// with a file of that name in the way: that file stays, and the room runs all the same.
func TestSocketAnywhere(t *testing.T) {
	t.Parallel()
	d := daemonIn(t, filepath.Join(t.TempDir(), strings.Repeat("far ", 40)), nil, map[string]string{"room.yaml": "audio: {output: none}\nhttps: {off: true}\n"})
	socket := filepath.Join(d.data, socketName)
	says := func() string {
		_, out, bad := roomd(t, nil, "doctor", "--data", d.data)
		return out + bad
	}
	for range 2 {
		d.start()
		if got := says(); !strings.Contains(got, "Version") {
			t.Error(got)
		}
		d.Kill()
		if _, err := os.Lstat(socket); err != nil {
			t.Error("the kill left no socket: this test misses it")
		}
	}
	if err := errors.Join(os.Remove(socket), os.WriteFile(socket, []byte("theirs"), 0o600)); err != nil {
		t.Fatal(err)
	}
	d.start()
	if got := says(); !strings.Contains(got, "does not answer") || !strings.Contains(d.log(), "no command reaches the running room by this folder") {
		t.Errorf("%s\n%s", got, d.log())
	}
	if code, out, bad := roomd(t, nil, "pair", "--data", d.data); code != exitOK || !strings.Contains(out, "One device may steer") {
		t.Error(code, out, bad)
	}
	if text, err := os.ReadFile(socket); err != nil || string(text) != "theirs" {
		t.Errorf("%s %v", text, err)
	}
}
