// Package topics is the room on MQTT, for a front desk, Home Assistant, buttons and a door sign.
//
//	BASE/ID/status    retained, the last will: {"state":"online","boot":"…"} (published by the connection itself)
//	BASE/ID/state     retained, on change, at most once a second
//	BASE/ID/event     not retained
//	BASE/ID/cmd/VERB  never retained; where room.yaml switches commands on
//	BASE/ID/ack       answers to commands, not retained
//
// ID is the room's random id (Identity); its name is payload.
//
// It reads the room's snapshots and sends commands to its owner loop; it has no other hold on the session, and nothing
// the broker does makes the room wait. Nothing about the client leaves by it: no marks and no session's name.
package topics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"roomd/room"
)

// Broker is the connection, as the topics need it. Nothing here waits for the network.
type Broker interface {
	Publish(topic string, payload []byte) error
	Retain(topic string, payload []byte)
	Subscribe(filter string, handle func(topic string, payload []byte, retained bool))
	OnConnect(func(open bool))
	// Republish has all that is retained published again.
	Republish()
	// Settled tells whether the room's topics are its own on this connection. Commands wait for it.
	Settled() bool
}

// Room is the room, as the topics need it.
type Room interface {
	Do(context.Context, room.Command) (room.Ack, error)
	Snapshot() room.Snapshot
	Changed() <-chan struct{}
	Playlists() []room.PlaylistView
}

const (
	birth      = "homeassistant/status"
	longest    = 4096 // bytes of a command or of a button's message
	usualTTL   = 5 * time.Second
	longestTTL = time.Minute
	early      = 5 * time.Second        // how far ahead of ours a sender's clock may be
	pace       = 100 * time.Millisecond // between two commands
	bounce     = 500 * time.Millisecond // a second press within it is the first one's echo
	answerIn   = 5 * time.Second
	stateEvery = time.Second
	signEvery  = time.Minute // the sign is told again: it may have lost its power
)

// Topics is the room on MQTT. Its methods may be called from anywhere.
type Topics struct {
	cfg     room.Config
	who     *Identity
	room    Room
	broker  Broker
	log     *slog.Logger
	version string

	commands chan request // from cmd/VERB; full: dropped and counted
	presses  chan request // from buttons, which wait behind no flood of commands
	again    chan struct{}

	dropped, refused atomic.Uint64
	answers          *rate.Limiter // to commands that are not done: a flood of them must not crowd out the lamps

	mu       sync.Mutex // guards what follows
	retained string     // a topic on which a retained command was found
	chosen   string     // ID of the playlist that start takes where it names none
	pressed  map[int]time.Time

	// Owned by Run.
	id       string // as of the last look
	was      room.Snapshot
	ends     time.Time
	state    string
	config   string
	sign     string
	signedAt time.Time
	shown    time.Time
}

type request struct {
	cmd    room.Command
	value  string   // the text that a control sent
	to     *float64 // level: dB to reach
	answer bool
	until  time.Time
	id     string // the room's, when it came
}

// New makes the topics of a room. It publishes nothing before Run.
func New(cfg room.Config, who *Identity, r Room, b Broker, version string, log *slog.Logger) *Topics {
	return &Topics{cfg: cfg, who: who, room: r, broker: b, log: log, version: version,
		commands: make(chan request, 16), presses: make(chan request, 8), again: make(chan struct{}, 1), pressed: map[int]time.Time{},
		answers: rate.NewLimiter(20, 50)}
}

func (t *Topics) root() string { return t.who.Root(t.cfg) }

// Run publishes the room and takes commands until ctx ends.
func (t *Topics) Run(ctx context.Context) error {
	t.forgetOld()
	t.broker.Subscribe(birth, func(_ string, payload []byte, _ bool) {
		if string(payload) == "online" {
			t.repeat()
		}
	})
	for i, b := range t.cfg.Buttons {
		t.broker.Subscribe(b.Topic, func(_ string, payload []byte, retained bool) { t.press(i, payload, retained) })
	}
	t.broker.OnConnect(func(open bool) {
		if open {
			t.repeat()
		}
	})
	var doing sync.WaitGroup
	defer doing.Wait()
	doing.Go(func() { t.work(ctx, t.commands) })
	doing.Go(func() { t.work(ctx, t.presses) })
	tick := time.NewTimer(stateEvery)
	defer tick.Stop()
	t.was = t.room.Snapshot()
	for {
		changed := t.room.Changed() // taken before the look, so that no change falls between
		tick.Reset(t.look(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
		case <-t.again:
			t.signedAt = time.Time{}
			t.broker.Republish()
		}
	}
}

// Moved has all published anew, under another id.
func (t *Topics) Moved() { t.repeat() }

// move listens to the commands of an id that is new, and clears what the room left under another name.
func (t *Topics) move(id string) {
	t.id, t.state, t.config = id, "", ""
	root := t.root()
	t.broker.Subscribe(root+"/cmd/+", t.command)
	t.clear(t.who.publish([]string{root + "/status", root + "/state", config(id)}))
}

// clear removes retained topics from the broker, and notes it once the broker has heard it.
func (t *Topics) clear(topics []string) {
	for _, topic := range topics {
		t.broker.Subscribe(topic, func(topic string, payload []byte, _ bool) {
			if len(payload) == 0 {
				t.who.cleared([]string{topic})
			}
		})
	}
	if len(topics) > 0 {
		t.broker.OnConnect(func(open bool) {
			for _, topic := range topics {
				if open {
					t.broker.Retain(topic, nil)
				}
			}
		})
	}
}

// forgetOld clears the topics that an older roomd named by the room's name. Another room may have the same ones, so they
// stay while somebody is online there.
func (t *Topics) forgetOld() {
	old := t.who.old()
	if old == "" {
		return
	}
	slug := old[strings.LastIndexByte(old, '/')+1:]
	lamps := map[string]bool{}
	for _, role := range t.cfg.Lights {
		for _, l := range role {
			if l.Driver == "simulated" {
				lamps[l.Topic+"/memory"] = true
			}
		}
	}
	t.broker.Subscribe(old+"/status", func(topic string, payload []byte, _ bool) {
		var says struct{ State string }
		switch {
		case len(payload) == 0:
			t.who.cleared([]string{topic})
		case json.Unmarshal(payload, &says) == nil && says.State == "offline":
			for _, left := range append(slices.Sorted(maps.Keys(lamps)), old+"/state", config(slug), topic) {
				t.broker.Retain(left, nil)
			}
			t.log.Info("the room's old topics are cleared", "old", old, "now", t.root())
		}
	})
}

func (t *Topics) repeat() {
	select {
	case t.again <- struct{}{}:
	default:
	}
}

// Dropped counts commands that were lost on purpose, by reason: "busy" came faster than they are done, "refused" were
// retained, old, too large, not JSON, or came while commands are off.
func (t *Topics) Dropped() map[string]uint64 {
	return map[string]uint64{"busy": t.dropped.Load(), "refused": t.refused.Load()}
}

// Problems is what is wrong, in words.
func (t *Topics) Problems() []room.Problem {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retained == "" {
		return nil
	}
	return []room.Problem{room.NewProblem("broker", "broker-retained", "topic", t.retained)}
}

// look publishes what has changed.
func (t *Topics) look(now time.Time) (again time.Duration) {
	snap := t.room.Snapshot()
	if id := t.who.ID(); id != t.id {
		t.move(id)
		t.shown = time.Time{}
	}
	for _, e := range events(t.was, snap) {
		b, _ := json.Marshal(e)
		_ = t.broker.Publish(t.root()+"/event", b) // worth something now or never
	}
	t.was = snap
	if s := t.cfg.Sign; s != nil {
		says := s.Free
		if inSession(snap) {
			says = s.Session
		}
		if says != t.sign || now.Sub(t.signedAt) >= signEvery {
			if t.broker.Publish(s.Topic, []byte(says)) == nil {
				t.sign, t.signedAt = says, now
			}
		}
	}
	if now.Sub(t.shown) < stateEvery-50*time.Millisecond {
		return stateEvery
	}
	if b, _ := json.Marshal(t.describe(snap, now)); string(b) != t.state {
		t.state, t.shown = string(b), now
		t.broker.Retain(t.root()+"/state", b)
	}
	if b := t.discovery(); string(b) != t.config {
		t.config = string(b)
		t.broker.Retain(config(t.id), b)
	}
	if inSession(snap) {
		return stateEvery
	}
	return signEvery
}

func inSession(s room.Snapshot) bool { return s.Session != nil && s.Session.State != room.Ended }

// State is the payload of BASE/ID/state.
type State struct {
	State    string   `json:"state"`    // free, running, ending
	Room     string   `json:"room"`     // its name
	Phase    string   `json:"phase"`    // empty while free
	Stage    string   `json:"stage"`    // of the phase
	EndsAt   *string  `json:"ends_at"`  // RFC 3339, UTC, to the second
	Left     *int64   `json:"left_min"` // minutes to the end, rounded up
	Title    string   `json:"title"`    // of what sounds
	Scene    string   `json:"scene"`    // of the lights; empty: none of the room's
	Playlist string   `json:"playlist"` // the running one, or the one chosen for start
	LevelDB  float64  `json:"level_db"`
	Held     bool     `json:"held"`
	Care     bool     `json:"care"`
	Problem  bool     `json:"problem"`
	Parts    []string `json:"parts"` // that have a problem, by the names that Problem.Part has
}

func (t *Topics) describe(s room.Snapshot, now time.Time) State {
	d := State{State: "free", Room: t.cfg.Room, Scene: t.scene(s), Parts: []string{}}
	for _, p := range s.Parts {
		if p.State != room.Working {
			d.Parts = append(d.Parts, p.ProblemName())
		}
	}
	d.Problem = len(d.Parts) > 0
	v := s.Session
	if !inSession(s) {
		d.Playlist = t.name(t.choice())
		return d
	}
	// A late look moves the end by less than a second, which is no news.
	if ends := now.Add(time.Duration(v.EndsAtMS-v.ElapsedMS) * time.Millisecond).Round(time.Second); ends.Sub(t.ends).Abs() > 2*time.Second {
		t.ends = ends
	}
	at := t.ends.UTC().Format(time.RFC3339)
	d.State, d.Phase, d.EndsAt, d.Playlist = string(v.State), v.Phase.Name, &at, v.Name
	left := max(0, (v.EndsAtMS-v.ElapsedMS+59_999)/60_000)
	d.Stage, d.Left = v.Phase.Stage, &left
	if v.Music != nil {
		d.Title = v.Music.Title
	}
	d.LevelDB, d.Held, d.Care = math.Round(v.LevelDB*10)/10, v.Phase.Held, v.Care
	return d
}

// scene is the scene of the room's that its lights have or go to.
func (t *Topics) scene(s room.Snapshot) string {
	for _, name := range slices.Sorted(maps.Keys(t.cfg.Scenes)) {
		same := len(t.cfg.Scenes[name]) > 0
		for role, l := range t.cfg.Scenes[name] {
			to := s.Lights[role].Target
			same = same && to == (room.LightLevel{Level: l.L, Kelvin: l.Kelvin, Color: l.Color})
		}
		if same {
			return name
		}
	}
	return ""
}

// degraded tells whether a part of the room does not work as it should.
func degraded(s room.Snapshot) bool {
	return slices.ContainsFunc(s.Parts, func(p room.PartView) bool { return p.State != room.Working })
}

// Event is the payload of BASE/ID/event.
type Event struct {
	Type  string `json:"event_type"`
	Phase string `json:"phase,omitempty"`
}

var eventTypes = []string{"started", "phase", "held", "released", "care", "emergency", "problem", "recovered", "ended"}

// events is what has happened between two looks.
func events(was, is room.Snapshot) (out []Event) {
	a, b := was.Session, is.Session
	if inSession(was) && (b == nil || b.ID != a.ID || b.State == room.Ended) {
		out = append(out, Event{Type: "ended"})
	}
	if inSession(is) {
		if !inSession(was) || a.ID != b.ID {
			a = &room.SessionView{}
			out = append(out, Event{Type: "started"})
		}
		if a.Phase.Name != b.Phase.Name {
			out = append(out, Event{"phase", b.Phase.Name})
		}
		for _, f := range []struct {
			was, is bool
			on, off string
		}{{a.Phase.Held, b.Phase.Held, "held", "released"}, {a.Care, b.Care, "care", ""}, {a.Emergency, b.Emergency, "emergency", ""}} {
			switch {
			case f.is && !f.was:
				out = append(out, Event{Type: f.on})
			case f.was && !f.is && f.off != "":
				out = append(out, Event{Type: f.off})
			}
		}
	}
	switch bad, worse := degraded(was), degraded(is); {
	case worse && !bad:
		out = append(out, Event{Type: "problem"})
	case bad && !worse:
		out = append(out, Event{Type: "recovered"})
	}
	return out
}

func (t *Topics) choice() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.chosen
}

func (t *Topics) name(id string) string {
	for _, p := range t.room.Playlists() {
		if p.ID == id {
			return p.Name
		}
	}
	return ""
}

// ask is the payload of a command: the command's own fields, when it was sent and how long it is meant.
type ask struct {
	room.Command
	ID    json.RawMessage `json:"id"`     // a string or a number
	TS    *float64        `json:"ts"`     // Unix time, ms
	TTL   float64         `json:"ttl_ms"` // default 5000, at most 60000
	Value json.RawMessage `json:"value"`  // what a control of Home Assistant was set to: a string or a number
}

// command takes one message of cmd/VERB. It runs in the connection's dispatcher and does not wait.
func (t *Topics) command(topic string, payload []byte, retained bool) {
	verb, ours := strings.CutPrefix(topic, t.root()+"/cmd/")
	if len(payload) == 0 || !ours {
		return // a retained command that was removed, or one of an id that the room no longer has
	}
	if retained {
		t.mu.Lock()
		news := t.retained != topic
		t.retained = topic
		t.mu.Unlock()
		if news {
			t.log.Warn("a retained command was refused", "topic", topic)
		}
	}
	id := idOf(payload)
	turnDown := func(field, reason string) {
		t.refused.Add(1)
		if id != "" && t.answers.Allow() {
			t.ack(id, field, reason)
		}
	}
	var a ask
	switch {
	case !t.cfg.MQTT.Commands:
		turnDown("", "This room takes no commands over MQTT. Allow them in the room file: mqtt: {commands: allowed}.")
		return
	case retained:
		turnDown("", "The command is retained. Send it without the retain flag.")
		return
	case len(payload) > longest:
		turnDown("", "The command is longer than 4096 bytes.")
		return
	case len(id) > 64:
		id = id[:64]
		turnDown("id", "The id is longer than 64 characters.")
		return
	}
	if err := json.Unmarshal(payload, &a); err != nil {
		field := ""
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			field = wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
			turnDown(field, fmt.Sprintf("%s can't be a %s.", field, wrong.Value))
		} else {
			turnDown("", "The command is not valid JSON.")
		}
		return
	}
	if id == "" {
		t.refused.Add(1)
		return
	}
	ttl := usualTTL
	if a.TTL > 0 {
		ttl = time.Duration(min(a.TTL, float64(longestTTL.Milliseconds())) * float64(time.Millisecond))
	}
	const latest = 1 << 50 // ms; no clock shows more
	if a.TS == nil || math.Abs(*a.TS) > latest {
		turnDown("ts", "ts is missing or out of range: it is when the command was sent, Unix time in ms.")
		return
	}
	left := time.Until(time.UnixMilli(int64(*a.TS)).Add(ttl))
	if left <= 0 || left > ttl+early {
		turnDown("ts", "The command is too old, or the sender's clock is wrong (ts is Unix time in ms).")
		return
	}
	r := request{id: t.who.ID(), cmd: a.Command, answer: true, until: time.Now().Add(min(left, ttl)), value: text(a.Value)}
	r.cmd.ID, r.cmd.Do = id, room.Verb(verb)
	if !t.queue(t.commands, r) && t.answers.Allow() {
		t.ack(id, "", "Too many commands at once, so this one was dropped.")
	}
}

// idOf is the id of a command, which may be cut off or wrong after it; empty where there is none.
func idOf(payload []byte) string {
	d := json.NewDecoder(bytes.NewReader(payload[:min(len(payload), longest)]))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return ""
	}
	for {
		key, err := d.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return ""
		}
		if k, ok := key.(string); ok && strings.EqualFold(k, "id") {
			return text(value)
		}
	}
}

// text is a JSON string or number as text; empty for anything else.
func text(raw json.RawMessage) string {
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(raw, &s) == nil:
		return s
	case json.Unmarshal(raw, &n) == nil:
		return n.String()
	}
	return ""
}

// choose is the one verb that is not the room's: which playlist start takes.
const choose room.Verb = "playlist"

// control turns what a control was set to into the command's own fields, and says what is wrong with it, and in which field.
func (t *Topics) control(r *request) (field, reason string) {
	c, value := &r.cmd, r.value
	switch {
	case c.Do == choose:
		for _, p := range t.room.Playlists() {
			if p.Name == value || p.ID == value {
				t.mu.Lock()
				t.chosen = p.ID
				t.mu.Unlock()
				t.repeat()
				return "", ""
			}
		}
		return "value", "No such playlist."
	case c.Do == room.Start && c.Playlist == "":
		if c.Playlist = t.choice(); c.Playlist == "" {
			return "", "Choose a playlist first."
		}
	case c.Do == room.SetScene && c.Scene == "":
		c.Scene = value
	case c.Do == room.Hold && value == "OFF":
		c.Do = room.Release
	case c.Do == room.SetLevel && value != "":
		to, err := strconv.ParseFloat(value, 64)
		s := t.room.Snapshot()
		switch {
		case err != nil || math.IsNaN(to):
			return "value", "The level has to be a number of dB."
		case !inSession(s):
			return "", "The level is set while a session runs."
		case to < lowest || to > s.Session.CeilingDB:
			return "value", fmt.Sprintf("The level goes from %d to %+.1f dB in this phase.", lowest, s.Session.CeilingDB)
		}
		r.to = &to
	}
	return "", ""
}

// lowest is the softest level of a session, dB.
const lowest = -40

// queue notes r to be done, and says whether there was room.
func (t *Topics) queue(to chan request, r request) bool {
	select {
	case to <- r:
		return true
	default:
		t.dropped.Add(1)
		return false
	}
}

// work does commands one by one, and no faster than pace: each is written to the journal by the loop that owns the session.
func (t *Topics) work(ctx context.Context, from chan request) {
	for {
		var r request
		select {
		case <-ctx.Done():
			return
		case r = <-from:
		}
		if r.answer && !t.settled(ctx, r) {
			continue
		}
		field, reason := t.control(&r)
		if reason == "" && r.cmd.Do != choose {
			field, reason = t.do(ctx, r)
		}
		if reason != "" {
			t.log.Info("a command over MQTT was not done", "do", r.cmd.Do, "why", reason)
		}
		if r.answer {
			t.ack(r.cmd.ID, field, reason)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// settled waits until the topic that a command came by is known to be the room's own. A command that waited too long, or
// came by an id that the room no longer has, is dropped without an answer: its own room answers.
func (t *Topics) settled(ctx context.Context, r request) bool {
	for !t.broker.Settled() || r.id != t.who.ID() {
		if r.id != t.who.ID() || time.Now().After(r.until) {
			t.refused.Add(1)
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pace):
		}
	}
	return true
}

// do has the room do a command, and tells why it did not. A level is reached by as many commands as it takes: one goes
// up by 6 dB at most and down by 12.
func (t *Topics) do(ctx context.Context, r request) (field, reason string) {
	cmd := r.cmd
	for n := 1; ; n++ {
		if r.to != nil {
			s := t.room.Snapshot()
			if !inSession(s) {
				return "", "The session has ended."
			}
			by := max(-12, min(*r.to-s.Session.LevelDB, 6))
			if math.Abs(by) < 0.01 {
				return "", ""
			}
			cmd.DB = &by
		}
		cmd.BeforeMS = max(1, t.room.Snapshot().NowMS+time.Until(r.until).Milliseconds())
		within, cancel := context.WithTimeout(ctx, answerIn)
		rev := t.room.Snapshot().Rev
		ack, err := t.room.Do(within, cmd)
		cancel()
		if refused := new(room.Refused); errors.As(err, &refused) {
			return refused.Field, refused.Reason
		} else if err != nil {
			return "", "The room did not answer."
		}
		// A repeat of what was done before moves nothing, and its other steps were done then.
		if r.to == nil || n == maxSteps || ack.Rev <= rev {
			return "", ""
		}
		cmd.ID = fmt.Sprintf("%.58s-%d", r.cmd.ID, n+1)
	}
}

// maxSteps are more than it takes from the softest to the loudest level.
const maxSteps = 16

// ack answers a command; reason is empty where it was done. field is the one at fault, where there is one.
func (t *Topics) ack(id, field, reason string) {
	b, _ := json.Marshal(struct {
		ID     string `json:"id"`
		OK     bool   `json:"ok"`
		Field  string `json:"field,omitempty"`
		Reason string `json:"reason,omitempty"`
	}{id, reason == "", field, reason})
	_ = t.broker.Publish(t.root()+"/ack", b)
}

// press takes one message of button i.
func (t *Topics) press(i int, payload []byte, retained bool) {
	b := t.cfg.Buttons[i]
	if retained || len(payload) > longest {
		t.refused.Add(1)
		return
	}
	if b.Action != "" {
		var m struct {
			Action string `json:"action"`
		}
		if json.Unmarshal(payload, &m) != nil || m.Action != b.Action {
			return
		}
	} else if string(payload) != b.Payload {
		return
	}
	now := time.Now()
	t.mu.Lock()
	echo := now.Sub(t.pressed[i]) < bounce
	t.pressed[i] = now
	t.mu.Unlock()
	if echo {
		t.dropped.Add(1)
		return
	}
	t.queue(t.presses, request{cmd: room.Command{ID: room.NewID(), Do: b.Do, Name: b.Name, Playlist: b.Playlist}, until: now.Add(usualTTL)})
}
