// Package topics is the room on MQTT, for a front desk, Home Assistant, buttons and a door sign.
//
//	BASE/ROOM/status    retained, the last will: {"state":"online","boot":"…"} (published by the connection itself)
//	BASE/ROOM/state     retained, on change, at most once a second
//	BASE/ROOM/event     not retained
//	BASE/ROOM/cmd/VERB  never retained; where room.yaml switches commands on
//	BASE/ROOM/ack       answers to commands, not retained
//
// It reads the room's snapshots and sends commands to its owner loop; it has no other hold on the session, and nothing
// the broker does makes the room wait. Nothing about the client leaves by it: no marks and no session's name.
package topics

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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

// Slug is a room's name as a level of a topic: letters a to z, digits and hyphens.
func Slug(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	if s = strings.Trim(s, "-"); s == "" {
		return "room"
	}
	return s
}

// Root is BASE/ROOM of a room.
func Root(c room.Config) string { return c.MQTT.Base + "/" + Slug(c.Room) }

// Topics is the room on MQTT. Its methods may be called from anywhere.
type Topics struct {
	cfg     room.Config
	room    Room
	broker  Broker
	log     *slog.Logger
	version string
	root    string

	commands chan request // from cmd/VERB; full: dropped and counted
	presses  chan request // from buttons, which wait behind no flood of commands
	again    chan struct{}

	dropped, refused atomic.Uint64

	mu       sync.Mutex // guards what follows
	retained string     // a topic on which a retained command was found
	chosen   string     // ID of the playlist that start takes where it names none
	pressed  map[int]time.Time

	// Owned by Run.
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
	answer bool
	until  time.Time
}

// New makes the topics of a room. It publishes nothing before Run.
func New(cfg room.Config, r Room, b Broker, version string, log *slog.Logger) *Topics {
	return &Topics{cfg: cfg, room: r, broker: b, log: log, version: version, root: Root(cfg),
		commands: make(chan request, 16), presses: make(chan request, 8), again: make(chan struct{}, 1), pressed: map[int]time.Time{}}
}

// Run publishes the room and takes commands until ctx ends.
func (t *Topics) Run(ctx context.Context) error {
	t.broker.Subscribe(t.root+"/cmd/+", t.command)
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
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	t.was = t.room.Snapshot()
	for {
		changed := t.room.Changed() // taken before the look, so that no change falls between
		t.look(time.Now())
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
	return []room.Problem{{Part: "broker", Says: "A command is kept on the broker, at " + t.retained + ". It was not done.",
		Do: "Remove the kept message from the broker, and send commands without the retain flag."}}
}

// look publishes what has changed.
func (t *Topics) look(now time.Time) {
	snap := t.room.Snapshot()
	for _, e := range events(t.was, snap) {
		b, _ := json.Marshal(e)
		_ = t.broker.Publish(t.root+"/event", b) // worth something now or never
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
		return
	}
	if b, _ := json.Marshal(t.describe(snap, now)); string(b) != t.state {
		t.state, t.shown = string(b), now
		t.broker.Retain(t.root+"/state", b)
	}
	if b := t.discovery(); string(b) != t.config {
		t.config = string(b)
		t.broker.Retain("homeassistant/device/roomd_"+Slug(t.cfg.Room)+"/config", b)
	}
}

func inSession(s room.Snapshot) bool { return s.Session != nil && s.Session.State != room.Ended }

// State is the payload of BASE/ROOM/state.
type State struct {
	State    string   `json:"state"`    // free, running, ending
	Phase    string   `json:"phase"`    // empty while free
	EndsAt   *string  `json:"ends_at"`  // RFC 3339, UTC, to the second
	Playlist string   `json:"playlist"` // the running one, or the one chosen for start
	LevelDB  float64  `json:"level_db"`
	Held     bool     `json:"held"`
	Care     bool     `json:"care"`
	Problem  bool     `json:"problem"`
	Parts    []string `json:"parts"` // of the room that have a problem
}

func (t *Topics) describe(s room.Snapshot, now time.Time) State {
	d := State{State: "free", Problem: len(s.Problems) > 0, Parts: []string{}}
	for _, p := range s.Problems {
		if !slices.Contains(d.Parts, p.Part) {
			d.Parts = append(d.Parts, p.Part)
		}
	}
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
	d.LevelDB, d.Held, d.Care = math.Round(v.LevelDB*10)/10, v.Phase.Held, v.Care
	return d
}

// Event is the payload of BASE/ROOM/event.
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
	switch bad, worse := len(was.Problems) > 0, len(is.Problems) > 0; {
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
	TS    int64  `json:"ts"`     // Unix time, ms
	TTL   int64  `json:"ttl_ms"` // default 5000, at most 60000
	Value string `json:"value"`  // what a control of Home Assistant was set to
}

// command takes one message of cmd/VERB. It runs in the connection's dispatcher and does not wait.
func (t *Topics) command(topic string, payload []byte, retained bool) {
	if retained && len(payload) > 0 {
		t.mu.Lock()
		news := t.retained != topic
		t.retained = topic
		t.mu.Unlock()
		if news {
			t.log.Warn("a retained command was refused", "topic", topic)
		}
	}
	var a ask
	if len(payload) == 0 || retained || !t.cfg.MQTT.Commands || len(payload) > longest || json.Unmarshal(payload, &a) != nil || a.ID == "" || len(a.ID) > 64 {
		t.refused.Add(1)
		return
	}
	ttl := usualTTL
	if a.TTL > 0 {
		ttl = min(time.Duration(min(a.TTL, longestTTL.Milliseconds()))*time.Millisecond, longestTTL)
	}
	left := time.Until(time.UnixMilli(a.TS).Add(ttl))
	if left <= 0 || left > ttl+early {
		t.refused.Add(1)
		t.ack(a.ID, "The command is too old, or the sender's clock is wrong (ts is Unix time in milliseconds).")
		return
	}
	c := a.Command
	c.Do = room.Verb(topic[strings.LastIndexByte(topic, '/')+1:])
	if says := t.control(&c, a.Value); says != "" {
		t.refused.Add(1)
		t.ack(a.ID, says)
		return
	}
	if c.Do == choose {
		t.ack(a.ID, "")
		t.repeat()
		return
	}
	t.queue(t.commands, request{c, true, time.Now().Add(min(left, ttl))})
}

// choose is the one verb that is not the room's: which playlist start takes.
const choose room.Verb = "playlist"

// control turns what a control was set to into the command's own fields, and says what is wrong with it.
func (t *Topics) control(c *room.Command, value string) string {
	switch {
	case c.Do == choose:
		for _, p := range t.room.Playlists() {
			if p.Name == value || p.ID == value {
				t.mu.Lock()
				t.chosen = p.ID
				t.mu.Unlock()
				return ""
			}
		}
		return "No such playlist."
	case c.Do == room.Start && c.Playlist == "":
		if c.Playlist = t.choice(); c.Playlist == "" {
			return "Choose a playlist first."
		}
	case c.Do == room.Hold && value == "OFF":
		c.Do = room.Release
	case c.Do == room.SetLevel && value != "":
		var to float64
		s := t.room.Snapshot()
		if json.Unmarshal([]byte(value), &to) != nil || !inSession(s) {
			return "The level is set in dB while a session runs."
		}
		// One command goes up by 6 dB at most and down by 12.
		by := max(-12, min(to-s.Session.LevelDB, 6))
		c.DB = &by
	}
	return ""
}

func (t *Topics) queue(to chan request, r request) {
	select {
	case to <- r:
	default:
		t.dropped.Add(1)
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
		r.cmd.BeforeMS = max(1, t.room.Snapshot().NowMS+time.Until(r.until).Milliseconds())
		within, cancel := context.WithTimeout(ctx, answerIn)
		_, err := t.room.Do(within, r.cmd)
		cancel()
		says := ""
		if refused := new(room.Refused); errors.As(err, &refused) {
			says = refused.Error()
		} else if err != nil {
			says = "The room did not answer."
		}
		if says != "" {
			t.log.Info("a command over MQTT was not done", "do", r.cmd.Do, "why", says)
		}
		if r.answer {
			t.ack(r.cmd.ID, says)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pace):
		}
	}
}

// ack answers a command; says is empty where it was done.
func (t *Topics) ack(id, says string) {
	b, _ := json.Marshal(struct {
		ID     string `json:"id"`
		OK     bool   `json:"ok"`
		Reason string `json:"reason,omitempty"`
	}{id, says == "", says})
	_ = t.broker.Publish(t.root+"/ack", b)
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
	t.queue(t.presses, request{room.Command{ID: room.NewID(), Do: b.Do, Name: b.Name, Playlist: b.Playlist}, false, now.Add(usualTTL)})
}
