package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/clinic"
	"roomd/web"
)

const year = 365 * 24 * time.Hour

// Wrong clocks, by what they are off.
var (
	in1970 = -time.Since(time.Date(1970, 1, 1, 0, 10, 0, 0, time.UTC)) // a Pi without a battery
	in2076 = 50 * year                                                 // a certificate made now has ended, and so has the authority
)

// clocked is a room and its desk, each a whole roomd with a wall clock of its own.
type clocked struct {
	*daemon
	desk                *hub
	roomClock, hubClock rig.Clock
	ends                time.Time // of the session, by the right clock
	well                []string  // what was wrong before
}

// left returns the remaining time of the session, as the room and the desk report it.
func (c *clocked) left() (room, desk time.Duration) {
	c.t.Helper()
	s := c.snapshot()
	if s.Session == nil {
		c.t.Fatalf("the session is gone\n%s", c.log())
	}
	r, _ := c.desk.room()
	return time.Duration(s.Session.StartedMS+s.Session.EndsAtMS-s.NowMS) * time.Millisecond, time.Duration(r.EndsMS-r.now) * time.Millisecond
}

// goesOn holds, for some seconds, that the session's time passes as it does and that nothing is said to be wrong which was right before.
func (c *clocked) goesOn(after string) {
	c.t.Helper()
	for began := time.Now(); time.Since(began) < 3*time.Second; {
		inRoom, atDesk := c.left()
		is := time.Until(c.ends)
		if d := (inRoom - is).Abs(); d > time.Second {
			c.t.Errorf("%s: the room has %v left, of %v", after, inRoom, is)
		}
		if d := (atDesk - is).Abs(); d > 2*time.Second {
			c.t.Errorf("%s: the desk shows %v left, of %v", after, atDesk, is)
		}
		for _, what := range unwell(c.snapshot()) {
			if !slices.Contains(append(c.well, "clock", "clock-wrong"), what) { // that it is, the room may say
				c.t.Errorf("%s: the room says %q", after, what)
			}
		}
		if is := c.clinic().Reach; is != string(clinic.Reached) {
			c.t.Errorf("%s: the room's page says that the desk is %q", after, is)
		}
		if c.t.Failed() {
			c.t.FailNow()
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestWrongClocks has whole rooms and desks whose wall clocks are years off, and turns them in a session: the room joins, the session
// goes on to the second, over a kill too, the desk shows the right minutes, and who was let in stays in.
func TestWrongClocks(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	program := rig.Clocked(t)
	for name, off := range map[string]struct{ room, desk time.Duration }{
		"both are right":         {0, 0},
		"the room's has no time": {in1970, 0},
		"the desk's has no time": {0, in1970},
		"neither has a time":     {in1970, in1970},
		"the room's is fast":     {in2076, 0},
		"the desk's is fast":     {0, in2076},
		"the room's is slow":     {-3 * year, time.Hour},
		"the desk's is slow":     {time.Minute, -3 * year},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &clocked{daemon: clinicRoom(t), roomClock: rig.NewClock(t, off.room), hubClock: rig.NewClock(t, off.desk)}
			c.program, c.env = program, c.roomClock.Env()
			c.token = createToken(t, program, c.env, "tablet", c.data)
			c.desk = startHub(t, program, c.hubClock.Env())
			c.start()
			c.ready("evening")
			code, _ := c.desk.offer()
			if status, body := c.send(http.MethodPost, "/api/v1/clinic/join", map[string]string{"address": c.desk.page, "code": code}); status != http.StatusOK {
				t.Fatalf("join: %d %s", status, body)
			}
			c.reach(clinic.Reached)
			c.do(room.Command{Do: room.Start, Playlist: "evening"})
			inRoom, _ := c.left()
			c.ends, c.well = time.Now().Add(inRoom), unwell(c.snapshot())
			shows := func() {
				t.Helper()
				c.desk.shows("the session", func(r deskRoom) bool { return r.Reached && r.Stage == "preparation" })
			}
			shows()
			tablet := c.tablet()
			c.goesOn("at the start")
			for _, turn := range []time.Duration{off.room + time.Hour, off.room - time.Hour, 0, in2076, in1970, off.room} {
				c.roomClock.Off(turn)
				c.goesOn(fmt.Sprintf("the room's clock is off by %v", turn))
				c.hubClock.Off(turn)
				c.goesOn(fmt.Sprintf("both clocks are off by %v", turn))
			}
			for _, turn := range []time.Duration{in2076, in1970, 0} {
				c.hubClock.Off(turn)
				c.desk.Kill()
				c.reach(clinic.NotReached)
				c.desk.start()
				c.reach(clinic.Reached)
				shows()
				c.goesOn(fmt.Sprintf("the desk was killed, and its clock is off by %v", turn))
				c.roomClock.Off(turn)
				c.Kill()
				c.daemon.start()
				c.reach(clinic.Reached)
				shows()
				c.goesOn(fmt.Sprintf("the room was killed, and its clock is off by %v", turn))
			}
			if len(tablet.all()) == 0 {
				t.Error("the tablet heard nothing: this test proves nothing")
			}
		})
	}
}

// TestClockIsSet sets the clock of a room that woke up in 1970 while an installer stands before it: the code that roomd pair printed
// before still works, and the page's certificate is one that a browser takes.
func TestClockIsSet(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	clock := rig.NewClock(t, in1970)
	d := clinicRoom(t)
	d.program, d.env = rig.Clocked(t), clock.Env()
	secure := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	text, err := os.ReadFile(filepath.Join(d.data, "room.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d.writeRoomFile(string(text) + "https: {listen: \"" + secure + "\"}\n")
	d.start()
	_, out, bad := runRoomd(t, d.program, d.env, "pair", "--data", d.data)
	code := regexp.MustCompile(`\b(\d{3}) (\d{3})\b`).FindStringSubmatch(out)
	if code == nil {
		t.Fatalf("no code: %s %s", out, bad)
	}
	clock.Off(0)
	body, err := json.Marshal(map[string]string{"code": code[1] + code[2], "name": "iPad"})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post("http://"+d.addr+"/api/v1/pair", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a code of before the clock was set: %s", resp.Status)
	}
	authority, err := os.ReadFile(filepath.Join(d.data, "tls", "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	by := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	began := time.Now()
	rig.Eventually(t, "a browser takes the certificate", func() bool {
		resp, err := by.Get("https://" + secure + "/ping")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	rig.Bar(t, "the clock is set", "the page's certificate is right", time.Since(began).Seconds(), 1, "s")
}

// TestWrongClocksAtTheClinicsBroker has a room and a desk that woke up in 1970 meet at the clinic's own broker, whose certificate is not valid
// yet by their clocks; and they stay there when the clocks are set.
func TestWrongClocksAtTheClinicsBroker(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	dir := t.TempDir()
	certs, _, err := web.NewCerts(web.CertOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	is, err := certs.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(is.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, der []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca, port := file("ca.pem", "CERTIFICATE", certs.Authority()), rig.FreePort(t)
	rig.Mosquitto(t, fmt.Sprintf("listener %d 127.0.0.1", port), "allow_anonymous true", "certfile "+file("broker.pem", "CERTIFICATE", is.Certificate[0]), "keyfile "+file("broker.key", "PRIVATE KEY", key))
	address := func(user string) string { return fmt.Sprintf("mqtts://%s:secret@localhost:%d", user, port) }

	clock := rig.NewClock(t, in1970)
	d := clinicRoom(t)
	d.program, d.env = rig.Clocked(t), clock.Env()
	text, err := os.ReadFile(filepath.Join(d.data, "room.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d.writeRoomFile(string(text) + fmt.Sprintf("clinic: {broker: %q, ca: %q}\n", address("willow"), ca))
	d.token = createToken(t, d.program, d.env, "tablet", d.data)
	d.start()
	d.reach(clinic.Reached)
	h := startHub(t, d.program, d.env, "--broker", address("desk"), "--ca", ca)
	h.shows("the room", func(r deskRoom) bool { return r.Reached && r.Name == "Willow" })
	for _, off := range []time.Duration{0, in1970, time.Hour} {
		clock.Off(off)
		d.ready("evening")
		d.do(room.Command{Do: room.Start, Playlist: "evening"})
		h.shows("a session", func(r deskRoom) bool { return r.Reached && r.Stage == "preparation" })
		d.do(room.Command{Do: room.Abort})
		h.shows("its end", func(r deskRoom) bool { return r.Reached && r.Stage == "" })
		d.reach(clinic.Reached)
	}
}
