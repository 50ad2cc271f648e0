package desk

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"roomd/room"
	"roomd/room/clinic"
	"roomd/web"
)

// Limits of what a room may tell.
const (
	maxText  = 64             // letters of a name
	maxLeft  = 24 * time.Hour // of a session
	maxRooms = 10_000         // of an outside broker
)

var stages = []string{"", "preparation", "administration", "integration"}

// Rooms is what the desk knows of its rooms, live and in memory alone. Times are on the desk's monotonic clock, in milliseconds since it
// started. Its methods may be called from anywhere.
type Rooms struct {
	start time.Time
	parts []string // names of the parts that a room may call broken
	open  bool     // rooms are those that speak, not those that have joined

	mu        sync.Mutex // guards the rest
	rooms     map[string]*live
	gone      map[string]uint64 // removed rooms by ID, with their revision
	revision  uint64            // grows with each change
	changed   chan struct{}     // closed at the next change
	connected bool
	dropped   uint64
}

// live is one room.
type live struct {
	revision   uint64
	view       view
	boot       string // of the room's roomd, as its last online said
	registered registered
	retained   bool   // the state was kept by the broker, and may be of long ago
	text       []byte // view in JSON; nil: to be made
}

// view is a room as the page gets it.
type view struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	House   string         `json:"house,omitempty"`
	Version string         `json:"version,omitempty"`
	Library clinic.Library `json:"library"`
	Reached bool           `json:"reached"`
	Heard   bool           `json:"heard"`             // since the desk started
	LostMS  int64          `json:"lost_ms,omitempty"` // when it was last reached; only if it is not now
	Stage   string         `json:"stage,omitempty"`   // of the session; empty: none runs
	EndsMS  int64          `json:"ends_ms,omitempty"` // when the session ends as things stand
	Held    bool           `json:"held,omitempty"`    // the present phase stays open
	Ending  bool           `json:"ending,omitempty"`  // the session fades out
	Broken  []brokenSince  `json:"broken"`            // parts that don't work, the most urgent first
}

type brokenSince struct {
	Part    string `json:"part"`
	SinceMS int64  `json:"since_ms"`
}

// newRooms returns rooms of which nothing is known. If open, every room that speaks is one.
func newRooms(open bool) *Rooms {
	return &Rooms{start: time.Now(), parts: room.Parts(), open: open, connected: !open,
		rooms: map[string]*live{}, gone: map[string]uint64{}, changed: make(chan struct{})}
}

// now is the desk's clock; since the start, so that a wall clock that jumps moves nothing.
func (r *Rooms) now() int64 { return time.Since(r.start).Milliseconds() }

// change notes a change of a room, or of the desk itself where l is nil. The caller holds mu.
func (r *Rooms) change(l *live) {
	r.revision++
	if l != nil {
		l.revision, l.text = r.revision, nil
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// set has a room be there, which has joined now or before.
func (r *Rooms) set(id string, is registered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.room(id)
	l.registered, l.view.Name, l.view.House = is, is.Name, is.House
	if l.view.Reached {
		l.view.Reached, l.view.LostMS = false, r.now() // its connection was ended
	}
	r.change(l)
}

// room returns a room, which it makes if it is not there. The caller holds mu.
func (r *Rooms) room(id string) *live {
	l := r.rooms[id]
	if l == nil {
		l = &live{view: view{ID: id, Name: id, Broken: []brokenSince{}}}
		r.rooms[id] = l
		delete(r.gone, id)
	}
	return l
}

// remove forgets a room.
func (r *Rooms) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(id)
}

// forget is remove. The caller holds mu.
func (r *Rooms) forget(id string) {
	if r.rooms[id] == nil {
		return
	}
	delete(r.rooms, id)
	r.change(nil)
	r.gone[id] = r.revision
}

// SetConnected tells whether the desk reaches its broker.
func (r *Rooms) SetConnected(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connected != yes {
		r.connected = yes
		r.change(nil)
	}
}

// Receive takes a message on topic roomd/ID/TOPIC. retained tells that the broker has kept it for an unknown time. What can't be read
// is dropped: a room can spoil its own card at the most.
func (r *Rooms) Receive(id, topic string, payload []byte, retained bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.rooms[id]; !roomID.MatchString(id) || l == nil && (!r.open || len(r.rooms) >= maxRooms) || len(payload) > maxMessage {
		r.dropped++
		return
	}
	if len(payload) == 0 {
		if r.open && topic == clinic.Abouts {
			r.forget(id) // whoever looks after the broker has removed the room
		}
		return
	}
	l, ok := r.room(id), false
	switch topic {
	case clinic.States:
		ok = l.state(payload, retained, r.now(), r.parts)
	case clinic.Status:
		ok = l.status(payload, retained, r.now())
	case clinic.Abouts:
		ok = l.about(payload)
	}
	if !ok {
		r.dropped++
		return
	}
	r.change(l)
}

func (l *live) state(payload []byte, retained bool, now int64, parts []string) bool {
	var s clinic.State
	if json.Unmarshal(payload, &s) != nil || !slices.Contains(stages, s.Stage) || s.LeftMS < 0 || s.LeftMS > maxLeft.Milliseconds() || len(s.Broken) > len(parts) {
		return false
	}
	v := &l.view
	v.Stage, v.EndsMS, v.Held, v.Ending, v.Broken = s.Stage, 0, s.Held, s.Ending, []brokenSince{}
	if s.Stage != "" {
		v.EndsMS = now + s.LeftMS
	}
	for _, b := range s.Broken {
		if slices.Contains(parts, b.Part) && b.SinceMS >= 0 {
			v.Broken = append(v.Broken, brokenSince{b.Part, now - b.SinceMS})
		}
	}
	if l.retained = retained; !retained {
		v.Reached, v.Heard, v.LostMS = true, true, 0
	}
	return true
}

func (l *live) status(payload []byte, retained bool, now int64) bool {
	var s struct{ State, Boot string }
	if json.Unmarshal(payload, &s) != nil || s.State != "online" && s.State != "offline" {
		return false
	}
	v := &l.view
	if s.State == "online" {
		l.boot, v.Reached, v.Heard, v.LostMS = s.Boot, true, true, 0
		return true
	}
	if s.Boot != "" && l.boot != "" && s.Boot != l.boot {
		return true // the late will of a roomd that was started again since
	}
	if v.Reached {
		v.Reached, v.LostMS = false, now
	}
	return true
}

func (l *live) about(payload []byte) bool {
	var a clinic.About
	if json.Unmarshal(payload, &a) != nil {
		return false
	}
	v := &l.view
	v.Name, v.House = text(a.Name), text(a.House)
	if v.Name == "" {
		v.Name = l.registered.Name
	}
	if v.Name == "" {
		v.Name = v.ID
	}
	if v.House == "" {
		v.House = l.registered.House
	}
	v.Version, v.Library = text(a.Version), clinic.Library{Revision: text(a.Library.Revision), ChangedMS: max(0, a.Library.ChangedMS)}
	return true
}

// text is what a room tells without characters that nobody sees, and no longer than a name may be.
func text(s string) string {
	s = strings.TrimSpace(web.Readable(s))
	if letters := []rune(s); len(letters) > maxText {
		s = string(letters[:maxText])
	}
	return s
}

// json is the room as the page gets it. The caller holds mu.
func (l *live) json() []byte {
	if l.text == nil {
		v := l.view
		if !v.Heard && l.retained {
			// The broker kept this from a room that nobody has heard since.
			v.Stage, v.EndsMS, v.Held, v.Ending, v.Broken = "", 0, false, false, []brokenSince{}
		}
		l.text, _ = json.Marshal(v) // strings and numbers
	}
	return l.text
}

// event is one event of the feed.
type event struct {
	NowMS     int64             `json:"now_ms"`
	All       bool              `json:"all"`
	Rooms     []json.RawMessage `json:"rooms"`
	Gone      []string          `json:"gone"`
	Connected bool              `json:"connected"`
}

// since returns what has changed after a revision, the revision now, and what is closed at the next change. After 0 it is all.
func (r *Rooms) since(revision uint64) (e event, now uint64, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e = event{NowMS: r.now(), All: revision == 0, Rooms: []json.RawMessage{}, Gone: []string{}, Connected: r.connected}
	for _, l := range r.rooms {
		if e.All || l.revision > revision {
			e.Rooms = append(e.Rooms, l.json())
		}
	}
	for id, at := range r.gone {
		if !e.All && at > revision {
			e.Gone = append(e.Gone, id)
		}
	}
	return e, max(r.revision, 1), r.changed
}
