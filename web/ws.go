package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"roomd/room"
)

// Times of a websocket. A tablet sends something each second; one that is silent is gone.
const (
	writeWait = 3 * time.Second
	readWait  = 10 * time.Second
	pingEvery = 3 * time.Second
	atRest    = 2 * time.Second // between snapshots; a page that hears nothing for 3 s takes the room for gone
)

// hub counts the sockets and why they ended.
type hub struct {
	room Room
	log  *slog.Logger
	bye  chan struct{} // closed when roomd ends
	all  sync.WaitGroup
	// watched is told when the first socket of a therapist opens and the last one is gone; nil: nobody asks. An observer's asks for no
	// sound: a display on a wall does not keep the sound device.
	watched func(bool)

	mu      sync.Mutex               // guards the rest
	open    map[you]int              // by the token
	gone    map[string]chan struct{} // closed to have the sockets of that name look whether they are still wanted
	dropped map[string]uint64        // by reason
}

// Dropped is how many sockets were ended, by reason.
func (s *Server) Dropped() map[string]uint64 {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return maps.Clone(s.hub.dropped)
}

// enter counts a socket of who. It refuses one too many of the same device, and one too many of its role. gone is closed when
// who was sent away.
func (h *hub) enter(who you) (gone chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.bye:
		return nil, false
	default:
	}
	own, all := maxSockets, 2*maxSockets
	if who.Role == Observer {
		own, all = observerSockets, maxSockets
	}
	if h.open[who] >= own || h.sum(func(y you) bool { return y.Role == who.Role }) >= all {
		return nil, false
	}
	h.add(who, 1)
	h.all.Add(1)
	if h.gone[who.Name] == nil {
		h.gone[who.Name] = make(chan struct{})
	}
	return h.gone[who.Name], true
}

// drop has the sockets of who look whether they are still wanted.
func (h *hub) drop(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.gone[who]; c != nil {
		close(c)
		delete(h.gone, who)
	}
}

// of is how many sockets who has open.
func (h *hub) of(who string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum(func(y you) bool { return y.Name == who })
}

// Bye tells all tablets that the room is about to be started again, and returns when their sockets have ended or ctx does.
func (s *Server) Bye(ctx context.Context) {
	s.hub.mu.Lock()
	select {
	case <-s.hub.bye: // another listener's end has said so
	default:
		close(s.hub.bye)
	}
	s.hub.mu.Unlock()
	gone := make(chan struct{})
	go func() { s.hub.all.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
	}
}

func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sum(func(you) bool { return true })
}

// sum is how many sockets those have that are meant. The caller holds mu.
func (h *hub) sum(of func(you) bool) (n int) {
	for who, k := range h.open {
		if of(who) {
			n += k
		}
	}
	return n
}

// add counts n more sockets of who, and tells watched where that matters. The caller holds mu.
func (h *hub) add(who you, n int) {
	therapists := func() bool { return h.sum(func(y you) bool { return y.Role == Therapist }) > 0 }
	before := therapists()
	h.open[who] += n
	if now := therapists(); now != before && h.watched != nil {
		h.watched(now)
	}
}

func (h *hub) leave(who you, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.add(who, -1); h.open[who] == 0 {
		delete(h.open, who)
		delete(h.gone, who.Name)
	}
	h.dropped[why.Error()]++
	h.all.Done()
}

// socket is one tablet. Its reader goroutine takes messages, its writer alone writes; commands are done one after
// the other in a third, so that a slow one does not hold up the clock.
type socket struct {
	conn     *websocket.Conn
	room     Room
	is       you
	valid    func() bool   // its token still is
	heard    atomic.Bool   // the tablet has sent something
	revoked  chan struct{} // closed when it may have been sent away
	bye      chan struct{}
	answers  chan any // small answers, few: see answer
	commands chan room.Command
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

// Why a socket was ended.
var (
	errRefused = errors.New("refused")
	errSlow    = errors.New("too slow")
	errLarge   = errors.New("message too large")
	errSilent  = errors.New("silent")
	errRevoked = errors.New("revoked")
	errClosed  = errors.New("closed")
	errRestart = errors.New("roomd ended")
)

// noneEnded has every reason at zero, so that the first of each is seen to be one more.
func noneEnded() map[string]uint64 {
	n := map[string]uint64{}
	for _, why := range []error{errRefused, errSlow, errLarge, errSilent, errRevoked, errClosed, errRestart} {
		n[why.Error()] = 0
	}
	return n
}

var upgrader = websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 16384, HandshakeTimeout: 5 * time.Second,
	CheckOrigin: sameOrigin, Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		reply(w, status, fault{Reason: reason.Error()})
	}}

// sameOrigin judges a websocket as http.CrossOriginProtection judges all else: by Sec-Fetch-Site, which browsers send over
// https and no page can set, else by the Origin's host. Behind a proxy that ends TLS the scheme that roomd sees is not the
// page's. A program that sends no Origin has to bring its token in a header, which no page of another origin can.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return r.Header.Get("Authorization") != ""
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host && (u.Scheme == "https" || u.Scheme == "http" && r.TLS == nil)
}

func (s *Server) websocket(w http.ResponseWriter, r *http.Request) {
	token, whose, _ := s.who(r)
	s.socket(w, r, token, whose, http.Header{"Set-Cookie": w.Header().Values("Set-Cookie")}) // of a token that was replaced
}

// The page at /wall offers two subprotocols: this one, which the room takes, and one that is a token behind a prefix.
const (
	wallProtocol = "roomd.wall"
	wallToken    = "roomd.token."
)

// wall is the websocket of the page at /wall. The page brings a token by a subprotocol: in a frame of another site a browser sends
// no cookie, and a page can set no other header. The token came by a link, which is copied, stored and shown: so it has to be an
// observer's.
func (s *Server) wall(w http.ResponseWriter, r *http.Request) {
	token := ""
	for _, p := range websocket.Subprotocols(r) {
		if t, is := strings.CutPrefix(p, wallToken); is {
			token = t
		}
	}
	whose, ok := s.o.Tokens.Check(token, r.TLS != nil)
	switch {
	case !ok:
		s.fail(w, r, http.StatusUnauthorized, "this link's token is not valid, or no longer: roomd token create NAME --observer, on the room's computer, makes another")
	case whose.Role != Observer:
		s.fail(w, r, http.StatusForbidden, "the link has to hold an observer's token: roomd token create NAME --observer, on the room's computer, makes one")
	default:
		welcome(r, whose.Name)
		s.socket(w, r, token, whose, http.Header{"Sec-Websocket-Protocol": {wallProtocol}})
	}
}

// socket serves a websocket to whose token a request brought.
func (s *Server) socket(w http.ResponseWriter, r *http.Request, token string, whose Token, head http.Header) {
	device := you{whose.Name, whose.Role}
	left, ok := s.hub.enter(device)
	if !ok {
		s.fail(w, r, http.StatusServiceUnavailable, "too many tablets are connected")
		return
	}
	why := errRefused
	defer func() { s.hub.leave(device, why) }()
	conn, err := upgrader.Upgrade(w, r, head)
	if err != nil {
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	c := &socket{conn: conn, room: s.o.Room, is: device, revoked: left, answers: make(chan any, 16), commands: make(chan room.Command, 16), ctx: ctx, cancel: cancel, bye: s.hub.bye}
	c.valid = func() bool {
		if !c.heard.Load() { // its token may have been replaced, and the answer with the other lost
			_, _, ok := s.o.Tokens.valid(token, r.TLS != nil)
			return ok
		}
		_, ok := s.o.Tokens.Check(token, r.TLS != nil)
		return ok
	}
	var jobs sync.WaitGroup
	jobs.Go(c.write)
	jobs.Go(c.do)
	c.read()
	jobs.Wait()
	why = context.Cause(ctx)
}

// read takes messages until the socket ends.
func (c *socket) read() {
	c.conn.SetReadLimit(maxBody)
	alive := func() { _ = c.conn.SetReadDeadline(time.Now().Add(readWait)) }
	alive()
	c.conn.SetPongHandler(func(string) error { alive(); return nil })
	for {
		_, msg, err := c.conn.ReadMessage()
		if err != nil {
			var timeout net.Error
			switch {
			case errors.Is(err, websocket.ErrReadLimit):
				c.cancel(errLarge)
			case errors.As(err, &timeout) && timeout.Timeout():
				c.cancel(errSilent)
			default:
				c.cancel(errClosed)
			}
			return
		}
		at := c.room.Now()
		c.heard.Store(true)
		alive()
		var m struct {
			Type string          `json:"type"`
			T0   json.RawMessage `json:"t0"`
		}
		if err := json.Unmarshal(msg, &m); err != nil {
			c.answer(nack{Type: "nack", Reason: "no JSON object with a type"})
			continue
		}
		switch m.Type {
		case "time":
			var t0 float64
			if json.Unmarshal(m.T0, &t0) != nil {
				c.answer(nack{Type: "nack", Field: "t0", Reason: "a number of milliseconds"})
				continue
			}
			c.answer(timed{Type: "time", T0: t0, T1: millis(at)})
		case "ping":
			c.answer(map[string]string{"type": "pong"})
		case "command":
			var cmd struct {
				Type string `json:"type"`
				room.Command
			}
			if field, reason := decodeStrict(msg, &cmd); reason != "" {
				c.answer(nack{Type: "nack", ID: cmd.ID, Field: field, Reason: reason})
				continue
			}
			if c.is.Role != Therapist {
				c.answer(refusal(cmd.ID, watches))
				continue
			}
			cmd.Device = c.is.Name
			select {
			case c.commands <- cmd.Command:
			default:
				c.answer(refusal(cmd.ID, room.Refuse("too-many-commands")))
			}
		default:
			c.answer(nack{Type: "nack", Field: "type", Reason: "command, time or ping"})
		}
	}
}

type nack struct {
	Type    string    `json:"type"`
	ID      string    `json:"id"`
	Field   string    `json:"field,omitempty"`
	Reason  string    `json:"reason"`
	Code    string    `json:"code,omitempty"` // with Args, identifies Reason for translation
	Args    room.Args `json:"args,omitempty"`
	Details string    `json:"details,omitempty"`
}

// refusal answers command id.
func refusal(id string, r *room.Refused) nack {
	return nack{"nack", id, r.Field, r.Reason, r.Code, r.Args, r.Details}
}

type ack struct {
	Type string `json:"type"`
	room.Ack
}

// timed answers a question for the time: t1 when it came, t2 when the answer left, on the room's clock, in ms.
type timed struct {
	Type string  `json:"type"`
	T0   float64 `json:"t0"`
	T1   float64 `json:"t1"`
	T2   float64 `json:"t2"`
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

// answer queues a small answer. A client that lets them pile up is not reading: it is ended.
func (c *socket) answer(v any) {
	select {
	case c.answers <- v:
	default:
		c.end(errSlow)
	}
}

// end ends the socket, and with it the reader.
func (c *socket) end(why error) {
	c.cancel(why)
	c.conn.Close()
}

// do does the socket's commands in order.
func (c *socket) do() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case cmd := <-c.commands:
			if !c.valid() {
				c.end(errRevoked)
				return
			}
			// A command that was taken is done even if the tablet goes away.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), 10*time.Second)
			a, err := c.room.Do(ctx, cmd)
			cancel()
			var refused *room.Refused
			switch {
			case err == nil:
				c.answer(ack{"ack", a})
			case errors.As(err, &refused):
				c.answer(refusal(cmd.ID, refused))
			default:
				c.answer(refusal(cmd.ID, room.Refuse("no-answer")))
			}
		}
	}
}

// due returns the time until the next snapshot if nothing changes: in a session the next full second of its clock, at rest up to two seconds,
// in step with the room's own timer so that an idle computer wakes once.
func due(snap room.Snapshot, now time.Time) time.Duration {
	switch {
	case snap.InSession():
		return time.Duration(1000-snap.Session.ElapsedMS%1000) * time.Millisecond
	case snap.Checking || snap.Rehearsal != nil:
		return time.Second
	}
	return room.UntilNext(atRest, now)
}

// write sends the latest snapshot when it changes and when one is due, and answers in between. There is never a queue of snapshots: one that was not sent is replaced by its successor.
func (c *socket) write() {
	defer c.conn.Close()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	second := time.NewTimer(0)
	defer second.Stop()
	send := func(v any) bool {
		if t, ok := v.(timed); ok {
			t.T2 = millis(c.room.Now())
			v = t
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait))
		switch err := c.conn.WriteJSON(v); {
		case errors.Is(err, websocket.ErrCloseSent): // by the reader, which is about to say why
			return false
		case err != nil:
			c.end(errSlow)
			return false
		}
		return true
	}
	snapshot := func() (changed <-chan struct{}, ok bool) {
		changed = c.room.Changed() // before the snapshot, so that no change falls between
		snap := c.room.Snapshot()
		second.Reset(due(snap, time.Now()))
		return changed, send(struct {
			Type string `json:"type"`
			You  you    `json:"you"`
			room.Snapshot
		}{"snapshot", c.is, snap})
	}
	revoked := func() bool {
		if c.valid() {
			return false
		}
		_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "this tablet was removed"), time.Now().Add(writeWait))
		c.end(errRevoked)
		return true
	}
	changed, ok := snapshot()
	for ok {
		select {
		case <-c.ctx.Done():
			return
		case <-c.bye:
			_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, "the room is started again"), time.Now().Add(200*time.Millisecond))
			c.end(errRestart)
			return
		case v := <-c.answers:
			ok = send(v)
		case <-changed:
			changed, ok = snapshot()
		case <-second.C:
			changed, ok = snapshot()
		case <-c.revoked:
			if revoked() {
				return
			}
			c.revoked = nil
		case <-ping.C:
			if revoked() {
				return
			}
			if err := c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)); err != nil && !errors.Is(err, websocket.ErrCloseSent) {
				c.end(errSlow)
				return
			}
		}
	}
}
