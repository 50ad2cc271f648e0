package topics_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/lights"
	"roomd/room/mqtt"
	"roomd/room/topics"
)

// fakeRoom is a room that keeps what it was asked.
type fakeRoom struct {
	mu      sync.Mutex
	snap    room.Snapshot
	changed chan struct{}
	done    []room.Command
}

func (f *fakeRoom) Do(_ context.Context, c room.Command) (room.Ack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Do == room.End {
		return room.Ack{}, &room.Refused{Reason: "No session is running."}
	}
	f.done = append(f.done, c)
	if c.Do == room.SetLevel && c.DB != nil && f.snap.Session != nil {
		v := *f.snap.Session
		v.LevelDB += *c.DB
		f.snap.Session = &v
	}
	f.snap.Rev++
	return room.Ack{ID: c.ID, Rev: f.snap.Rev}, nil
}

func (f *fakeRoom) Snapshot() room.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snap
}

func (f *fakeRoom) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeRoom) Playlists() []room.PlaylistView {
	return []room.PlaylistView{{ID: "journey", Name: "Journey", Ready: true}}
}

func (f *fakeRoom) change(change func(*room.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.snap)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeRoom) asked() []room.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]room.Command{}, f.done...)
}

// heard is what somebody else on the broker hears.
type heard struct {
	mu sync.Mutex
	by map[string][]string
}

func (h *heard) put(topic string, payload []byte, _ bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[topic] = append(h.by[topic], string(payload))
}

func (h *heard) all(topic string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{}, h.by[topic]...)
}

func (h *heard) last(topic string) string {
	if a := h.all(topic); len(a) > 0 {
		return a[len(a)-1]
	}
	return ""
}

type bench struct {
	broker *rig.Broker
	room   *fakeRoom
	topics *topics.Topics
	client *mqtt.Client
}

// identity opens one that an earlier run has left.
func identity(t testing.TB, text, boot string) *topics.Identity {
	t.Helper()
	file := filepath.Join(t.TempDir(), "identity.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	who, err := topics.OpenIdentity(file, boot, "")
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func open(t *testing.T, b *rig.Broker, change func(*room.Config)) *bench {
	t.Helper()
	cfg := room.Config{Room: "Room One", MQTT: room.MQTTConfig{Base: "clinic", Commands: true}, Audio: room.AudioConfig{Ceiling: 6}}
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	who := identity(t, `{"id":"room-one"}`, "17")
	// The room tells its state after it has subscribed to its commands.
	told := make(chan struct{}, 100)
	rig.Dial(t, b.URL).Hear(who.Root(cfg)+"/state", func(_ string, _ []byte, retained bool) {
		if !retained {
			select {
			case told <- struct{}{}:
			default:
			}
		}
	})
	c, err := mqtt.Dial(mqtt.Options{Broker: b.URL, Status: who.Root(cfg) + "/status", Boot: "17", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	f := &fakeRoom{changed: make(chan struct{})}
	tp := topics.New(cfg, who, f, c, "1", log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = tp.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	rig.Eventually(t, "it listens", func() bool { return len(told) > 0 })
	return &bench{b, f, tp, c}
}

func listen(t *testing.T, b *rig.Broker) (*rig.Peer, *heard) {
	h := &heard{by: map[string][]string{}}
	p := rig.Dial(t, b.URL)
	p.Hear("#", h.put)
	return p, h
}

const (
	root   = "clinic/room-one"
	config = "homeassistant/device/roomd_room-one/config"
)

func begin(s *room.Snapshot) {
	s.Session = &room.SessionView{ID: "abc", State: room.Running, Name: "Journey", EndsAtMS: 60_000, Phase: room.PhaseView{Name: "Arrive"},
		Marks: []room.MarkView{{ID: "m", Name: "Someone", AtMS: 1}}}
}

func TestRoomIsToldAgain(t *testing.T) {
	b := rig.Mosquitto(t)
	r := open(t, b, func(c *room.Config) { c.Sign = &room.Sign{Topic: "door/sign", Session: "busy", Free: "free"} })
	p, h := listen(t, b)
	all := func(h *heard) bool {
		return strings.Contains(h.last(root+"/status"), `"online"`) && h.last(root+"/state") != "" && h.last(config) != "" && h.last("door/sign") != ""
	}
	r.room.change(begin)
	rig.Eventually(t, "told", func() bool {
		return all(h) && strings.Contains(h.last(root+"/state"), `"phase":"Arrive"`) && h.last("door/sign") == "busy" && len(h.all(root+"/event")) == 2
	})
	for _, topic := range []string{"/state", "/event"} {
		if got := strings.Join(h.all(root+topic), " "); strings.Contains(got, "Someone") || strings.Contains(got, "abc") {
			t.Errorf("%s tells of the session's marks or name: %s", topic, got)
		}
	}
	n, m := len(h.all(config)), len(h.all(root+"/state"))
	p.Say("homeassistant/status", "online", false)
	rig.Eventually(t, "told after the birth", func() bool { return len(h.all(config)) > n && len(h.all(root+"/state")) > m })

	b.Kill()
	b.Start() // persistence was not written: all is lost
	began := time.Now()
	_, again := listen(t, b)
	rig.Eventually(t, "all told again", func() bool { return all(again) })
	t.Logf("all of ours and discovery back %v after the broker", time.Since(began))
}

func TestStateAtMostOnceASecond(t *testing.T) {
	b := rig.Mosquitto(t)
	r := open(t, b, nil)
	_, h := listen(t, b)
	began := time.Now()
	for i := 0; time.Since(began) < 2500*time.Millisecond; i++ {
		r.room.change(func(s *room.Snapshot) { begin(s); s.Session.LevelDB = float64(i % 40) })
		runtime.Gosched()
	}
	if n := len(h.all(root + "/state")); n < 2 || n > 6 { // retained ones are told once more on connect
		t.Errorf("%d states in 2.5 s", n)
	}
}

func say(id, more string) string {
	return fmt.Sprintf(`{"id":%q,"ts":%d%s}`, id, time.Now().UnixMilli(), more)
}

func TestCommands(t *testing.T) {
	b := rig.Mosquitto(t)
	p, h := listen(t, b)
	p.Say(root+"/cmd/hold", say("kept", ""), true)
	r := open(t, b, nil)
	rig.Eventually(t, "the kept command is reported", func() bool { return len(r.topics.Problems()) == 1 })
	p.Say(root+"/cmd/care", say("good", ""), false)
	p.Say(root+"/cmd/end", say("not-now", ""), false)
	p.Say(root+"/cmd/start", say("which", ""), false)
	p.Say(root+"/cmd/playlist", say("choose", `,"value":"Journey"`), false)
	p.Say(root+"/cmd/start", say("go", ""), false)
	p.Say(root+"/cmd/hold", `{"id":"old","ts":1000}`, false)
	for _, bad := range []string{"", "null", "{", "[]", `{"id":7}`, strings.Repeat("x", 230_000), say("big", `,"value":"`+strings.Repeat("x", 230_000)+`"`)} {
		p.Say(root+"/cmd/hold", bad, false)
	}
	rig.Eventually(t, "answers", func() bool { return len(h.all(root+"/ack")) >= 9 && r.topics.Dropped()["refused"] >= 8 })
	got := strings.Join(h.all(root+"/ack"), "\n")
	for _, want := range []string{`{"id":"good","ok":true}`, `{"id":"not-now","ok":false,"reason":"No session is running."}`, `"id":"which","ok":false`, `{"id":"choose","ok":true}`, `{"id":"go","ok":true}`, `"id":"old","ok":false,"field":"ts"`, `"id":"7","ok":false,"field":"ts"`, `"id":"big","ok":false`, `"id":"kept","ok":false`} {
		if !strings.Contains(got, want) {
			t.Errorf("no answer %s in\n%s", want, got)
		}
	}
	done := r.room.asked()
	if len(done) != 2 || done[0].Do != room.Care || done[1].Do != room.Start || done[1].Playlist != "journey" || done[0].BeforeMS == 0 {
		t.Errorf("done: %+v", done)
	}
}

func TestCommandsAreOff(t *testing.T) {
	b := rig.Mosquitto(t)
	r := open(t, b, func(c *room.Config) { c.MQTT.Commands = false })
	p, h := listen(t, b)
	p.Say(root+"/cmd/care", say("a", ""), false)
	rig.Eventually(t, "refused", func() bool { return r.topics.Dropped()["refused"] == 1 && h.last(config) != "" })
	if len(r.room.asked()) > 0 || strings.Contains(h.last(config), "command_topic") {
		t.Error("commands are taken or offered while they are off")
	}
}

func TestButton(t *testing.T) {
	b := rig.Mosquitto(t)
	p, _ := listen(t, b)
	p.Say("z/button", `{"action":"single"}`, true)
	r := open(t, b, func(c *room.Config) {
		c.MQTT.Commands = false
		c.Buttons = []room.Button{{Topic: "z/button", Action: "single", Do: room.Care}, {Topic: "bell", Payload: "pressed", Do: room.MarkNow, Name: "Note"}}
	})
	rig.Eventually(t, "the kept press is refused", func() bool { return r.topics.Dropped()["refused"] == 1 })
	for _, m := range [][2]string{{"z/button", `{"action":"double"}`}, {"z/button", `{"action":null}`}, {"z/button", "{"}, {"bell", "no"},
		{"z/button", `{"action":"single","battery":90}`}, {"z/button", `{"action":"single"}`}, {"bell", "pressed"}} {
		p.Say(m[0], m[1], false)
	}
	rig.Eventually(t, "pressed", func() bool { return len(r.room.asked()) == 2 && r.topics.Dropped()["busy"] == 1 })
	if d := r.room.asked(); d[0].Do != room.Care || d[1].Do != room.MarkNow || d[1].Name != "Note" || d[0].ID == d[1].ID {
		t.Errorf("done: %+v", d)
	}
}

func TestFloodOfCommands(t *testing.T) {
	b := rig.Mosquitto(t)
	r := open(t, b, func(c *room.Config) { c.Buttons = []room.Button{{Topic: "z/button", Action: "single", Do: room.Care}} })
	p, h := listen(t, b)
	began := time.Now()
	for i := range 10_000 {
		p.Publish(root+"/cmd/hold", 0, false, say(fmt.Sprint("f", i), ""))
	}
	sent := time.Since(began)
	r.room.change(begin)
	rig.Eventually(t, "the state is told in the flood", func() bool { return strings.Contains(h.last(root+"/state"), "Arrive") })
	p.Say("z/button", `{"action":"single"}`, false)
	rig.Eventually(t, "the button is heard", func() bool {
		for _, c := range r.room.asked() {
			if c.Do == room.Care {
				return true
			}
		}
		return false
	})
	asked := len(r.room.asked())
	if most := int(time.Since(began)/(100*time.Millisecond)) + 3; asked > most {
		t.Errorf("the room was asked %d times, more than %d", asked, most)
	}
	if d := r.topics.Dropped()["busy"] + r.client.Dropped()["in"]; d == 0 {
		t.Error("nothing was counted as dropped")
	}
	t.Logf("10000 messages sent in %v, %d asked", sent, asked)
}

// documented is what Home Assistant's documentation of MQTT device discovery says of each platform that roomd uses: the keys,
// those that are required with an exclamation mark, and the JSON type of each. Each component also has platform!, unique_id!
// and name, and may leave state_topic and availability to the whole device.
var documented = map[string]string{
	"sensor":        "state_topic!:string value_template:string device_class:string unit_of_measurement:string expire_after:number icon:string suggested_display_precision:number state_class:string",
	"binary_sensor": "state_topic!:string value_template:string device_class:string payload_on:string payload_off:string",
	"event":         "state_topic!:string event_types!:list value_template:string device_class:string",
	"select":        "command_topic!:string options!:list state_topic:string command_template:string value_template:string optimistic:bool",
	"switch":        "command_topic!:string state_topic:string command_template:string value_template:string payload_on:string payload_off:string state_on:string state_off:string",
	"number":        "command_topic!:string state_topic:string command_template:string value_template:string min:number max:number step:number mode:string unit_of_measurement:string device_class:string",
	"button":        "command_topic!:string command_template:string payload_press:string device_class:string",
}

// TestDiscovery holds the payload, with and without commands, to what Home Assistant documents, and its templates to what
// roomd publishes.
func TestDiscovery(t *testing.T) {
	kind := func(v any) string {
		switch v.(type) {
		case string:
			return "string"
		case float64:
			return "number"
		case []any:
			return "list"
		case bool:
			return "bool"
		}
		return fmt.Sprintf("%T", v)
	}
	var state map[string]any
	text, _ := json.Marshal(topics.State{})
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	for commands, want := range map[bool]map[string]string{
		true: {"phase": "sensor", "stage": "sensor", "title": "sensor", "left": "sensor", "ends": "sensor", "problem": "binary_sensor", "event": "event",
			"scene": "select", "playlist": "select", "level": "number", "hold": "switch", "start": "button", "care": "button"},
		false: {"phase": "sensor", "stage": "sensor", "title": "sensor", "left": "sensor", "ends": "sensor", "problem": "binary_sensor", "event": "event",
			"scene": "sensor", "playlist": "sensor"},
	} {
		b := rig.Mosquitto(t)
		open(t, b, func(c *room.Config) {
			c.MQTT.Commands = commands
			c.Scenes = map[string]lights.Scene{"dusk": {"ambient": {L: 20}}, "day": {"ambient": {L: 80}}}
		})
		_, h := listen(t, b)
		rig.Eventually(t, "discovery", func() bool { return h.last(config) != "" })
		var d map[string]any
		if err := json.Unmarshal([]byte(h.last(config)), &d); err != nil {
			t.Fatal(err)
		}
		for key := range d {
			if !slices.Contains([]string{"device", "origin", "components", "availability", "state_topic", "command_topic", "qos", "encoding"}, key) {
				t.Errorf("a device's discovery has no %s", key)
			}
		}
		device, origin := d["device"].(map[string]any), d["origin"].(map[string]any)
		availability := d["availability"].([]any)[0].(map[string]any)
		if device["identifiers"] == nil || device["name"] == "" || origin["name"] != "roomd" || d["state_topic"] != root+"/state" || availability["topic"] != root+"/status" {
			t.Errorf("%+v", d)
		}
		for key, c := range d["components"].(map[string]any) {
			c := c.(map[string]any)
			platform, _ := c["platform"].(string)
			if want[key] == "" {
				if len(c) != 1 { // its platform alone removes a component
					t.Errorf("%s is there without commands: %v", key, c)
				}
				continue
			}
			if platform != want[key] || c["unique_id"] != "roomd_room-one_"+key || c["name"] == "" {
				t.Errorf("%s: %v", key, c)
			}
			delete(want, key)
			may := map[string]string{"platform": "string", "unique_id": "string", "name": "string"}
			for entry := range strings.FieldsSeq(documented[platform]) {
				k, is, _ := strings.Cut(entry, ":")
				name, required := strings.CutSuffix(k, "!")
				may[name] = is
				if required && c[name] == nil && d[name] == nil {
					t.Errorf("%s: a %s needs %s", key, platform, name)
				}
			}
			for k, v := range c {
				if may[k] == "" || kind(v) != may[k] {
					t.Errorf("%s: a %s has no %s %s", key, platform, kind(v), k)
				}
			}
			switch class, unit := c["device_class"], c["unit_of_measurement"]; {
			case class == "duration" && !slices.Contains([]any{"d", "h", "min", "s", "ms"}, unit), class == "timestamp" && unit != nil:
				t.Errorf("%s: a %v in %v", key, class, unit)
			}
			for _, m := range regexp.MustCompile(`value_json\.(\w+)`).FindAllStringSubmatch(fmt.Sprint(c["value_template"]), -1) {
				if _, ok := state[m[1]]; !ok {
					t.Errorf("%s: the state has no %s", key, m[1])
				}
			}
			if command, ok := c["command_topic"].(string); ok && !strings.HasPrefix(command, root+"/cmd/") {
				t.Errorf("%s goes to %s", key, command)
			}
			if template, ok := c["command_template"].(string); ok {
				filled := regexp.MustCompile(`\{\{.*?\}\}`).ReplaceAllString(template, "1")
				if !json.Valid([]byte(filled)) {
					t.Errorf("%s sends %s", key, filled)
				}
			}
		}
		if len(want) > 0 {
			t.Errorf("commands %v: there is no %v", commands, want)
		}
	}
}

// TestCommandsSayWhatIsWrong sends commands whose id can be read: each is answered once, with the field at fault.
func TestCommandsSayWhatIsWrong(t *testing.T) {
	b := rig.Mosquitto(t)
	p, h := listen(t, b)
	r := open(t, b, nil)
	r.room.change(func(s *room.Snapshot) { begin(s); s.Session.CeilingDB = 6 })
	now := time.Now().UnixMilli()
	for id, c := range map[string]struct {
		payload, want string
	}{
		"number":   {fmt.Sprintf(`{"id":"number","ts":%d,"value":0}`, now), `"ok":true`}, // where it stands already
		"text":     {fmt.Sprintf(`{"id":"text","ts":%d,"value":"0"}`, now), `"ok":true`},
		"fraction": {fmt.Sprintf(`{"id":"fraction","ts":%d.25,"value":0}`, now), `"ok":true`},
		"7":        {fmt.Sprintf(`{"id":7,"ts":%d,"value":0}`, now), `"ok":true`},
		"no-ts":    {`{"id":"no-ts","value":0}`, `"field":"ts"`},
		"ts":       {`{"id":"ts","ts":"soon"}`, `"field":"ts"`},
		"ttl":      {fmt.Sprintf(`{"id":"ttl","ts":%d,"ttl_ms":[]}`, now), `"field":"ttl_ms"`},
		"db":       {fmt.Sprintf(`{"id":"db","ts":%d,"db":"loud"}`, now), `"field":"db"`},
		"low":      {fmt.Sprintf(`{"id":"low","ts":%d,"value":-41}`, now), `"field":"value"`},
		"high":     {fmt.Sprintf(`{"id":"high","ts":%d,"value":7}`, now), `"field":"value"`},
		"word":     {fmt.Sprintf(`{"id":"word","ts":%d,"value":"loud"}`, now), `"field":"value"`},
		"cut":      {`{"id":"cut","ts":1`, `"ok":false`},
	} {
		p.Say(root+"/cmd/level", c.payload, false)
		says := func() (all []string) {
			for _, a := range h.all(root + "/ack") {
				if strings.Contains(a, fmt.Sprintf(`"id":%q`, id)) {
					all = append(all, a)
				}
			}
			return all
		}
		rig.Eventually(t, "an answer to "+id, func() bool { return len(says()) > 0 })
		if all := says(); len(all) != 1 || !strings.Contains(all[0], c.want) {
			t.Errorf("%s: %q, wanted %s", c.payload, all, c.want)
		}
	}
	if d := r.room.asked(); len(d) > 0 {
		t.Errorf("done: %+v", d)
	}
}

// TestLevelIsReached sets random levels from random ones: whatever is in reach is reached, by steps that a session takes.
func TestLevelIsReached(t *testing.T) {
	w, r := &wire{}, &fakeRoom{changed: make(chan struct{})}
	r.snap.Session = &room.SessionView{State: room.Running, CeilingDB: 6}
	cfg := room.Config{MQTT: room.MQTTConfig{Base: "clinic", Commands: true}}
	tp := topics.New(cfg, identity(t, `{"id":"room-one"}`, "17"), r, w, "1", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = tp.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	rig.Eventually(t, "it listens", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.subs) >= 2 })
	for n, to := range []float64{-20, 6, -40, -40, 0.5, -4} {
		before := len(r.asked())
		w.say("clinic/room-one/cmd/level", []byte(say(fmt.Sprint("l", n), fmt.Sprintf(`,"value":%g`, to))), false)
		rig.Eventually(t, "the level is there", func() bool { return r.Snapshot().Session.LevelDB == to })
		for _, c := range r.asked()[before:] {
			if c.Do != room.SetLevel || c.DB == nil || *c.DB > 6 || *c.DB < -12 || *c.DB == 0 {
				t.Errorf("to %g: %+v", to, c)
			}
		}
		time.Sleep(150 * time.Millisecond) // a command that is not needed would come now
		if n == 3 && len(r.asked()) != before {
			t.Error("the same value again was asked of the room")
		}
	}
}
