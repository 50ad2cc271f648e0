package main

import (
	"bytes"
	bigendian "encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/clinic"
	"roomd/room/doctor"
)

var (
	rawFor   = flag.Duration("raw", 0, "how long sessions are held and erased before their bytes are looked for; 0: two sessions")
	twoRooms = flag.Duration("two-rooms", 6*time.Second, "how long two rooms and a copy share a broker")
)

// short is a session of a few seconds with words that stand nowhere else.
const short = `name: Zanzibarlist
phases:
  - {name: Quagmirephase, length: 2s, stage: preparation, music: [{bed: drone}]}
  - {name: Xylophonephase, length: 2s, stage: administration, music: [{bed: drone}]}
`

// TestNothingOfAnErasedSessionIsLeft reads every byte of the room's folder, and of the desk's that watches it, after sessions in which all
// was tapped, and after their erasure.
func TestNothingOfAnErasedSessionIsLeft(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "short.yaml"), []byte(short), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDaemon(t, []string{"ROOMD_PLAYLISTS=" + elsewhere}, map[string]string{"room.yaml": "audio: {output: none}\nmarks: [Wombatmark, Note]\n"})
	d.start()
	h := newHub(t)
	code, _ := h.offer()
	if status, body := d.send(http.MethodPost, "/api/v1/clinic/join", map[string]string{"address": h.page, "code": code}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	d.reach(clinic.Reached)
	h.shows("the room", func(r deskRoom) bool { return r.Reached })
	time.Sleep(1100 * time.Millisecond) // so that what is written at the start is of another second
	began := time.Now()
	sessions := 0
	for ; sessions < 2 || time.Since(began) < *rawFor; sessions++ {
		d.do(room.Command{Do: room.Start, Playlist: "short"})
		d.do(room.Command{Do: room.MarkNow, Name: "Wombatmark"})
		d.do(room.Command{Do: room.Hold})
		if sessions == 0 {
			h.shows("the session", func(r deskRoom) bool { return r.Stage == "preparation" && r.Held })
		}
		d.do(room.Command{Do: room.Care})
		d.do(room.Command{Do: room.Emergency})
		time.Sleep(1200 * time.Millisecond) // the state is told once a second
		d.do(room.Command{Do: room.WriteNote, Session: d.snapshot().Session.ID, Text: "Okapinote"})
		d.do(room.Command{Do: room.Abort})
		rig.Eventually(t, "the session ends", func() bool { return !d.snapshot().InSession() })
		time.Sleep(time.Second)
		req, _ := http.NewRequest(http.MethodDelete, "http://"+d.addr+"/api/v1/sessions/"+d.snapshot().Session.ID, nil)
		req.Header.Set("Authorization", "Bearer "+d.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("erase: %v %v", resp, err)
		}
		resp.Body.Close()
	}
	until := time.Now().Add(-time.Second) // the last erasure
	look := func(when, dir string, words []string, skip ...string) {
		t.Helper()
		files := 0
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, path)
			switch {
			case err != nil:
				return err
			case slices.Contains(skip, rel) && e.IsDir():
				return fs.SkipDir
			case slices.Contains(skip, rel), e.IsDir(), e.Type() == fs.ModeSocket: // a socket holds nothing
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			for _, word := range words {
				if bytes.Contains(b, []byte(word)) {
					t.Errorf("%s: %s holds %s", when, path, word)
				}
			}
			for _, at := range wallTimes(b) {
				if at.After(began) && at.Before(until) {
					t.Errorf("%s: %s holds %v, a time of a session", when, path, at)
				}
			}
			return nil
		})
		if err != nil || files == 0 {
			t.Fatalf("%d files: %v", files, err)
		}
	}
	both := func(when string) {
		words := []string{"Zanzibar", "Quagmire", "Xylophone", "Wombat", "Okapi", "ends_at", `"care"`, `"emergency"`, "left_ms"}
		look(when, d.data, words, "log", "room.yaml", "room.yaml.kept") // log is the test's own; the others name the marks
		look(when, h.data, append(words, "preparation", "administration", "integration", "stage", "ends_ms"))
	}
	both("while they run")
	for _, p := range []*rig.Process{d.Process, h.Process} {
		_ = p.Signal(syscall.SIGTERM)
		<-p.Done()
	}
	both("after their end")
	t.Logf("%d sessions in %v", sessions, time.Since(began).Round(time.Second))
}

var (
	dated  = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d`)
	digits = regexp.MustCompile(`\b1[6-9]\d{8}(\d{3}){0,3}\b`)
)

// wallTimes are all times of day in b: as text, as Unix seconds, ms, µs or ns in digits, and as SQLite keeps them, eight or
// six bytes of ms or ns.
func wallTimes(b []byte) (out []time.Time) {
	for _, m := range dated.FindAll(b, -1) {
		if at, err := time.Parse("2006-01-02T15:04:05", string(m)); err == nil {
			out = append(out, at)
		}
	}
	for _, m := range digits.FindAll(b, -1) {
		n := int64(0)
		fmt.Sscan(string(m), &n)
		for ; n < 1e18; n *= 1000 {
		}
		out = append(out, time.Unix(0, n))
	}
	for i := range b {
		if len(b)-i >= 8 {
			out = append(out, time.Unix(0, int64(bigendian.BigEndian.Uint64(b[i:]))))
		}
		if len(b)-i >= 6 {
			out = append(out, time.UnixMilli(int64(bigendian.BigEndian.Uint64(append([]byte{0, 0}, b[i:i+6]...)))))
		}
	}
	return out
}

// voices keeps what was last said on each topic of a broker, and since when.
type voices struct {
	mu   sync.Mutex
	last map[string]string
	acks map[string]int // by id
}

func overhear(p *rig.Peer) *voices {
	v := &voices{last: map[string]string{}, acks: map[string]int{}}
	p.Hear("#", func(topic string, payload []byte, _ bool) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.last[topic] = string(payload); strings.HasSuffix(topic, "/ack") {
			var a struct{ ID string }
			_ = json.Unmarshal(payload, &a)
			v.acks[a.ID]++
		}
	})
	return v
}

func (v *voices) says(topic string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last[topic]
}

func (v *voices) acked(id string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.acks[id]
}

// root is the room's root on the broker, as its identity says.
func (d *daemon) root() string {
	d.t.Helper()
	var who struct{ ID string }
	text, err := os.ReadFile(filepath.Join(d.data, "identity.json"))
	if err != nil || json.Unmarshal(text, &who) != nil || who.ID == "" {
		d.t.Fatalf("no identity: %s %v", text, err)
	}
	return "roomd/" + who.ID
}

// TestHealthIsOneTruth breaks several parts and asks all who tell of them.
func TestHealthIsOneTruth(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	broker := rig.Mosquitto(t)
	peer := rig.Dial(t, broker.URL)
	v := overhear(peer)
	for name, c := range map[string]struct {
		room  string
		files map[string]string
	}{
		"a light that nobody answers":    {"audio: {output: none}\nlights: {ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/nobody}}\n", nil},
		"a sound program that is absent": {"audio: {output: {command: [no-such-program]}}\n", nil},
		"a playlist with an error":       {"audio: {output: none}\n", map[string]string{"playlists/bad.yaml": "name: [\n"}},
		"a room file with an error":      {"audio: {output: none}\nfoo: 1\n", nil},
		"all is well":                    {"audio: {output: none}\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"room.yaml": fmt.Sprintf("room: Willow\nmqtt: {broker: %q}\n", broker.URL) + c.room}
			for k, text := range c.files {
				files[k] = text
			}
			d := newDaemon(t, nil, files)
			d.start()
			var page, old, doc []string
			deadline := time.Now().Add(30 * time.Second)
			for {
				page, old = nil, nil
				for _, p := range d.snapshot().Parts {
					if p.State != room.Working {
						page = append(page, p.Part)
						// MQTT keeps the names it has had from the start.
						old = append(old, strings.NewReplacer("page", "link", "playlists", "playlist").Replace(p.Part))
					}
				}
				if (len(page) > 0) != (name == "all is well") && time.Now().After(deadline.Add(-27*time.Second)) || time.Now().After(deadline) {
					break
				}
				time.Sleep(200 * time.Millisecond)
			}
			if (len(page) == 0) != (name == "all is well") {
				t.Fatalf("the page says %v", page)
			}
			var h struct {
				Parts []struct {
					Part  string
					State room.PartState
				}
			}
			d.get("/healthz", &h)
			var healthz, metrics []string
			for _, p := range h.Parts {
				if p.State != room.Working {
					healthz = append(healthz, p.Part)
				}
			}
			m := d.metrics()
			for _, p := range room.Parts() {
				if m[`roomd_part_degraded{part="`+p+`"}`] > 0 {
					metrics = append(metrics, p)
				}
			}
			var state struct {
				Problem bool
				Parts   []string
			}
			rig.Eventually(t, "MQTT says the same", func() bool {
				_ = json.Unmarshal([]byte(v.says(d.root()+"/state")), &state)
				return slices.Equal(state.Parts, old) || len(state.Parts)+len(old) == 0
			})
			_, found := d.findings()
			for _, p := range room.Parts() {
				// Of the clock the doctor also looks whether the network sets it.
				if slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.State == doctor.Wrong && partOf(f.Check) == p }) && (p != "clock" || slices.Contains(page, p)) {
					doc = append(doc, p)
				}
			}
			if !slices.Equal(page, healthz) || !slices.Equal(page, metrics) || !slices.Equal(page, doc) || state.Problem != (len(page) > 0) {
				t.Errorf("page %v, healthz %v, metrics %v, doctor %v, MQTT %+v", page, healthz, metrics, doc, state)
			}
		})
	}
}

// partOf is the part of the room that a check of the doctor's is about.
func partOf(check string) string {
	switch word, _, _ := strings.Cut(check, " "); word {
	case "light", "lights":
		return "lights"
	case "playlist", "playlists":
		return "playlists"
	case "room":
		return "room"
	default:
		return check
	}
}

// TestRoomsOnOneBroker has two rooms of names that were one topic before, and a copy of the first one's memory card, do
// random commands. Each is answered once, and no room that lives is said to be offline for two seconds.
func TestRoomsOnOneBroker(t *testing.T) {
	t.Parallel()
	broker := rig.Mosquitto(t)
	peer := rig.Dial(t, broker.URL)
	v := overhear(peer)
	text := func(name string) map[string]string {
		return map[string]string{"room.yaml": fmt.Sprintf("room: %q\naudio: {output: none}\nmqtt: {broker: %q, commands: allowed}\n", name, broker.URL), "playlists/long.yaml": long}
	}
	a, b := newDaemon(t, nil, text("診察室")), newDaemon(t, nil, text("静"))
	a.start()
	b.start()
	n := 0
	ask := func(root, verb, more string) string {
		n++
		id := fmt.Sprintf("n%d", n)
		peer.Say(root+"/cmd/"+verb, fmt.Sprintf(`{"id":%q,"ts":%d%s}`, id, time.Now().UnixMilli(), more), false)
		return id
	}
	once := func(id string) {
		t.Helper()
		rig.Eventually(t, "the command "+id+" is answered", func() bool { return v.acked(id) > 0 })
	}
	once(ask(a.root(), "care", ""))
	once(ask(b.root(), "care", ""))
	if a.root() == b.root() {
		t.Fatal("two rooms have one root")
	}

	// The copy, with the original in a session.
	once(ask(a.root(), "start", `,"playlist":"long"`))
	was := a.root()
	copied := t.TempDir()
	if err := exec.Command("cp", "-a", a.data+"/.", copied).Run(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"roomd.db", "roomd.db-wal", "roomd.db-shm"} {
		_ = os.Remove(filepath.Join(copied, f)) // the session is not copied: the card was copied before it
	}
	clone := daemonIn(t, copied, nil, nil)
	clone.start()
	living := []*daemon{a, b, clone}
	offline := map[string]time.Time{}
	var worst time.Duration
	watch := func() {
		for _, d := range living {
			root := d.root()
			if strings.Contains(v.says(root+"/status"), `"online"`) {
				delete(offline, root)
			} else if offline[root].IsZero() {
				offline[root] = time.Now()
			} else {
				worst = max(worst, time.Since(offline[root]))
			}
		}
	}
	var ids []string
	for end := time.Now().Add(*twoRooms); time.Now().Before(end); {
		d := living[rand.IntN(3)]
		verb := []string{"care", "follow", "hold", "mark"}[rand.IntN(4)]
		more := ""
		if verb == "mark" {
			more = `,"name":"Note"`
		}
		// A command that comes while the room settles who it is may find nobody.
		if root := d.root(); strings.Contains(v.says(root+"/status"), `"since"`) {
			ids = append(ids, ask(root, verb, more))
		}
		if rand.IntN(60) == 0 {
			_ = clone.Signal(syscall.SIGKILL)
			<-clone.Done()
			clone.start()
		}
		for range 6 {
			time.Sleep(25 * time.Millisecond)
			watch()
		}
	}
	if a.root() != was || clone.root() == was || clone.root() == b.root() {
		t.Errorf("the room is %s, its copy %s, the other %s; it was %s", a.root(), clone.root(), b.root(), was)
	}
	if worst > 2*time.Second {
		t.Errorf("a room that lives was said to be offline for %v", worst)
	}
	rig.Eventually(t, "the last command is answered", func() bool { return v.acked(ids[len(ids)-1]) > 0 })
	lost := 0
	for _, id := range ids {
		if n := v.acked(id); n > 1 {
			t.Errorf("%s was answered %d times", id, n)
		} else if n == 0 {
			lost++ // to a copy that was killed
		}
	}
	if lost > len(ids)/4+2 {
		t.Errorf("%d of %d commands were not answered", lost, len(ids))
	}
	if !a.snapshot().InSession() || b.snapshot().InSession() || clone.snapshot().InSession() {
		t.Error("one start was done in more than one room")
	}
	rig.Eventually(t, "the original tells of its copy", func() bool {
		for _, p := range a.snapshot().Parts {
			if p.Part == "broker" {
				return strings.Contains(p.Why, "Another computer")
			}
		}
		return false
	})
	t.Logf("%d commands, %d to a copy that was dead, offline for %v at most", len(ids), lost, worst)
}

// TestOldTopicsMoveOver starts a room that an older roomd has run, and gives it another name and base.
func TestOldTopicsMoveOver(t *testing.T) {
	t.Parallel()
	broker := rig.Mosquitto(t)
	peer := rig.Dial(t, broker.URL)
	for topic, payload := range map[string]string{
		"roomd/willow/status": `{"state":"offline","boot":"1"}`, "roomd/willow/state": `{"state":"free"}`, "homeassistant/device/roomd_willow/config": `{"device":{}}`,
		"roomd/oak/status": `{"state":"online","boot":"2"}`, "roomd/oak/state": `{"state":"free"}`,
	} {
		peer.Say(topic, payload, true)
	}
	config := func(name, base string) map[string]string {
		return map[string]string{"room.yaml": fmt.Sprintf("room: %s\naudio: {output: none}\nmqtt: {broker: %q, base: %s}\n", name, broker.URL, base)}
	}
	retained := func() map[string]bool {
		out := map[string]bool{}
		p := rig.Dial(t, broker.URL)
		var mu sync.Mutex
		end, all := fmt.Sprint("end/", rand.Int()), make(chan struct{})
		p.Hear("#", func(topic string, payload []byte, retained bool) {
			mu.Lock()
			defer mu.Unlock()
			if topic == end {
				close(all)
			} else if retained && len(payload) > 0 {
				out[topic] = true
			}
		})
		p.Say(end, "", false) // it comes after what is retained
		<-all
		mu.Lock()
		defer mu.Unlock()
		return out
	}
	d := newDaemon(t, nil, config("Willow", "roomd"))
	d.start()
	root := d.root()
	rig.Eventually(t, "the old topics are cleared", func() bool {
		r := retained()
		return r[root+"/state"] && !r["roomd/willow/status"] && !r["roomd/willow/state"] && !r["homeassistant/device/roomd_willow/config"]
	})
	_ = d.Signal(syscall.SIGTERM)
	<-d.Done()
	oak := newDaemon(t, nil, config("Oak", "roomd"))
	oak.start()
	rig.Eventually(t, "the new room is there", func() bool { return retained()[oak.root()+"/state"] })
	if r := retained(); !r["roomd/oak/status"] || !r["roomd/oak/state"] {
		t.Error("topics of a room that is online were cleared")
	}

	if err := os.WriteFile(filepath.Join(d.data, "room.yaml"), []byte(config("Süd", "clinic")["room.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	if d.root() != root {
		t.Error("a room that was renamed has another id")
	}
	moved := "clinic" + strings.TrimPrefix(root, "roomd")
	rig.Eventually(t, "it moved to its new base", func() bool {
		r := retained()
		return r[moved+"/state"] && r[moved+"/status"] && !r[root+"/state"] && !r[root+"/status"]
	})
}

// TestRoomFileThatAPowerCutHasEmptied starts a room whose file is empty, or zeros, where it was not before.
func TestRoomFileThatAPowerCutHasEmptied(t *testing.T) {
	t.Parallel()
	const file = "room: Willow\naudio: {output: none}\n"
	d := newDaemon(t, nil, map[string]string{"room.yaml": file})
	path := filepath.Join(d.data, "room.yaml")
	for n, text := range []string{file, "", strings.Repeat("\x00", 40)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d.start()
		s := d.snapshot()
		if s.Room != "Willow" {
			t.Errorf("%q makes the room %q", text, s.Room)
		}
		told := slices.ContainsFunc(s.Problems, func(p room.Problem) bool { return strings.Contains(p.Says, "room file was empty") })
		aside, _ := filepath.Glob(path + ".damaged-*")
		if now, _ := os.ReadFile(path); told != (n > 0) || len(aside) != min(n, len(aside)) || n > 0 && len(aside) == 0 || string(now) != file {
			t.Errorf("%q: told %v, aside %v, now %q", text, told, aside, now)
		}
		_ = d.Signal(syscall.SIGTERM)
		<-d.Done()
	}
}

// TestLampsWithoutABroker asks check about lamps that nothing reaches.
func TestLampsWithoutABroker(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]bool{
		"lights:\n  ambient: {driver: wled, topic: wled/a}\n":                                              true,
		"mqtt: {broker: embedded}\nlights: {ambient: {driver: zigbee2mqtt, topic: z/a}}\n":                 true,
		"mqtt: {broker: 'mqtt://127.0.0.1:1'}\nlights: {ambient: {driver: zigbee2mqtt, topic: 'z/a b'}}\n": false,
		"mqtt: {base: 'my room'}\nlights: {ambient: {driver: simulated}}\n":                                false,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "room.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := roomd(t, nil, "check", "--data", dir)
		if all := out + errs; wrong != (code != 0) || wrong != strings.Contains(all, "needs a broker") {
			t.Errorf("%q: exit %d %s", text, code, all)
		}
	}
}

// TestSpaceInTheBase runs a room without a broker whose base has a space: its simulated lamps answer.
func TestSpaceInTheBase(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\nmqtt: {base: 'my room'}\n"})
	d.start()
	rig.Eventually(t, "the lamps answer", func() bool {
		s := d.snapshot()
		return len(s.Lights) == 2 && s.Lights["ambient"].State == "following" && len(s.Problems) == 0
	})
}
