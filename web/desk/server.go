// Package desk serves a clinic's desk: one page that shows all rooms, live. Rooms join it by a code and tell it their state over MQTT. The
// desk steers nothing, and holds nothing of a session but its present state, in memory.
package desk

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"roomd/room/clinic"
	"roomd/web"
	"roomd/web/ui"
)

// Options is what a desk is made of.
type Options struct {
	Name     string // the clinic's; the registry's goes first
	Version  string
	Tokens   *web.Tokens // a therapist's token may add and remove rooms, an observer's only look
	Certs    *web.Certs
	Port     string   // of the page, over https
	Hosts    []string // names it answers to beside this computer's own
	Pair     web.PairCommand
	Registry *Registry
	// Outside says that rooms speak over a broker of the clinic's own, where whoever looks after it adds and removes them.
	Outside bool
	// Broker is the port that rooms connect to; Drop ends a room's connections. Both are for the desk's own broker.
	Broker func() string
	Drop   func(ctx context.Context, id string) error
	// Addresses are this computer's, HOST:PORT of the page, the likeliest first.
	Addresses func() []string
	Log       *slog.Logger
}

// Limits of the feed.
const (
	feedEvery   = 250 * time.Millisecond // between two events of a page
	feedComment = 15 * time.Second       // a line that says nothing, so that a dead page is noticed
	feedCheck   = 3 * time.Second        // whether the page's device is still paired
	feedsOfOne  = 8                      // pages of one device
	feedsOfAll  = 64
	dropTime    = 5 * time.Second
)

// Server is the handler of the desk's page and API.
type Server struct {
	*web.Front
	o       Options
	boot    string
	rooms   *Rooms
	offers  offers
	guesses web.Guesses
	handler http.Handler
	bye     chan struct{} // closed when the desk ends
	ended   sync.Once

	mu    sync.Mutex // guards the rest
	pages map[string]int
	count int
}

var wording = web.Wording{
	OtherName: "this desk does not go by that name",
	Stranger:  "this device does not belong to the desk: roomd desk pair, on the desk's computer, lets it in",
	Watches:   "This device only watches. Only a device that was let in by roomd desk pair --enrolls adds and removes rooms.",
	TooMany:   "Too many tries. Wait a minute, or scan the picture that roomd desk pair shows.",
	BadCode:   "This code is not valid, was used or is too old. Make a new one on the desk's computer: roomd desk pair",
	Failed:    "The desk could not let this device in. Try again.",
	Back:      "To the desk",
	By:        "roomd desk pair",
}

// page is the desk's entry of the built page.
const page = "clinic.html"

// New makes a desk. Its rooms are those of the registry, or with an outside broker those that speak.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	run := make([]byte, 8)
	rand.Read(run)
	s := &Server{o: o, boot: hex.EncodeToString(run), rooms: newRooms(o.Outside), guesses: web.NewGuesses(o.Log), bye: make(chan struct{}), pages: map[string]int{}}
	s.Front = web.NewFront(web.Options{Tokens: o.Tokens, Certs: o.Certs, HTTPSPort: o.Port, Pair: o.Pair, Hosts: o.Hosts, Page: page, Paths: []string{"join"}, Wording: wording, Log: o.Log})
	if !o.Outside {
		o.Registry.each(s.rooms.set)
	}
	mux := http.NewServeMux()
	s.Routes(mux)
	mux.HandleFunc("POST /api/v1/desk/join", s.join)
	mux.Handle("GET /api/v1/desk", s.Paired(s.desk))
	mux.Handle("GET /api/v1/desk/rooms", s.Paired(s.feed))
	mux.Handle("POST /api/v1/desk/offers", s.enrolling(s.offer))
	mux.Handle("GET /api/v1/desk/offers/current", s.enrolling(s.current))
	mux.Handle("DELETE /api/v1/desk/offers/current", s.enrolling(s.closeOffer))
	mux.Handle("DELETE /api/v1/desk/rooms/{id}", s.enrolling(s.remove))
	if _, err := ui.Files.Open("dist/" + page); err != nil {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
			s.Fail(w, r, http.StatusNotFound, "the desk's page is not built: npm run build, in web/ui, builds it")
		})
	}
	s.handler = s.Guard(mux)
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Rooms is the state that the desk shows.
func (s *Server) Rooms() *Rooms { return s.rooms }

// Bye ends the feeds, so that the pages come back to the next desk.
func (s *Server) Bye(context.Context) { s.ended.Do(func() { close(s.bye) }) }

// enrolling rejects devices that may only look, and everybody if rooms are added at the clinic's own broker.
func (s *Server) enrolling(next http.HandlerFunc) http.Handler {
	return s.Steering(func(w http.ResponseWriter, r *http.Request) {
		if s.o.Outside {
			s.Fail(w, r, http.StatusConflict, "Rooms are added and removed at the clinic's broker. docs/clinic.md says how.")
			return
		}
		next(w, r)
	})
}

func (s *Server) name() string { return cmp.Or(s.o.Registry.Name(), s.o.Name) }

// about is the desk itself as the page gets it.
type about struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Boot      string `json:"boot"`
	Broker    string `json:"broker"` // own, outside
	Enrolls   bool   `json:"enrolls"`
	Connected bool   `json:"connected"`
}

func (s *Server) desk(w http.ResponseWriter, r *http.Request) {
	e, _, _ := s.rooms.since(^uint64(0))
	broker := "own"
	if s.o.Outside {
		broker = "outside"
	}
	web.Reply(w, http.StatusOK, about{s.name(), s.o.Version, s.boot, broker, !s.o.Outside && web.Whose(r.Context()).Role == web.Therapist, e.Connected})
}

// enter counts a page of a device. It reports whether there is room for one more.
func (s *Server) enter(device string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= feedsOfAll || s.pages[device] >= feedsOfOne {
		return false
	}
	s.count++
	s.pages[device]++
	return true
}

func (s *Server) leave(device string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	if s.pages[device]--; s.pages[device] == 0 {
		delete(s.pages, device)
	}
}

// feed sends the rooms as they change, until the page goes. What changes between two events is told once, as it is then: a page that
// reads slowly misses what is old, and one that reads nothing is cut off.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) {
	device := web.Whose(r.Context()).Name
	if !s.enter(device) {
		w.Header().Set("Retry-After", "10")
		s.Fail(w, r, http.StatusTooManyRequests, "Too many pages of this desk are open. Close one.")
		return
	}
	defer s.leave(device)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	write := func(text []byte) error { return web.Event(w, text) }
	if err := s.stream(r.Context(), write, func() bool { return s.StillPaired(r) }); err != nil {
		s.o.Log.Error("the rooms can't be written", "err", err)
	}
}

// stream writes the feed's events until ctx ends, write fails or paired reports false.
func (s *Server) stream(ctx context.Context, write func([]byte) error, paired func() bool) error {
	check, comment, pause := time.NewTicker(feedCheck), time.NewTicker(feedComment), time.NewTimer(0)
	defer check.Stop()
	defer comment.Stop()
	defer pause.Stop()
	seen, may, changed := uint64(0), false, (<-chan struct{})(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.bye:
			return nil
		case <-check.C:
			if !paired() {
				return nil
			}
			continue
		case <-comment.C:
			if write([]byte(": still here\n\n")) != nil {
				return nil
			}
			continue
		case <-pause.C:
			may = true
		case <-changed:
			changed = nil
		}
		if !may || changed != nil {
			continue
		}
		var e event
		var text bytes.Buffer
		e, seen, changed = s.rooms.since(seen)
		text.WriteString("data: ")
		if err := json.NewEncoder(&text).Encode(e); err != nil {
			return err
		}
		text.WriteByte('\n')
		if write(text.Bytes()) != nil {
			return nil
		}
		may = false
		pause.Reset(feedEvery)
	}
}

// address is where a room finds the desk: as the page was asked for, unless that means this computer alone.
func (s *Server) address(host string) string {
	name := web.Bare(host)
	if ip, err := netip.ParseAddr(name); name != "" && name != "localhost" && (err != nil || !ip.IsLoopback()) {
		return net.JoinHostPort(name, s.o.Port)
	}
	if all := s.o.Addresses(); len(all) > 0 {
		return all[0]
	}
	return net.JoinHostPort(cmp.Or(name, "localhost"), s.o.Port)
}

// offered is the open code as the page shows it.
type offered struct {
	Code    string   `json:"code"`
	Link    string   `json:"link"`
	QR      []string `json:"qr"`
	NowMS   int64    `json:"now_ms"`
	EndsMS  int64    `json:"ends_ms"`
	Address string   `json:"address"`
}

func (s *Server) offered(host string, code clinic.Code, since time.Time) offered {
	now := s.rooms.now()
	o := offered{Code: code.String(), Address: s.address(host), NowMS: now, EndsMS: now + (offerTime - time.Since(since)).Milliseconds()}
	o.Link = "https://" + o.Address + "/join#" + o.Code
	var err error
	if o.QR, err = web.QRRows(o.Link); err != nil {
		s.o.Log.Warn("a link can't be drawn", "err", err) // it can be typed
		o.QR = []string{}
	}
	return o
}

// offering is what an offer is asked for with.
type offering struct {
	House string `json:"house,omitempty"`
}

// used is an offer by which a room has joined.
type used struct {
	Joined member `json:"joined"`
}

func (s *Server) offer(w http.ResponseWriter, r *http.Request) {
	var in offering
	if !s.Body(w, r, &in) {
		return
	}
	code, since := s.offers.make(s.o.Certs.Authority(), text(in.House))
	web.Reply(w, http.StatusOK, s.offered(r.Host, code, since))
}

func (s *Server) current(w http.ResponseWriter, r *http.Request) {
	code, since, joined, ok := s.offers.current()
	switch {
	case !ok:
		s.Fail(w, r, http.StatusNotFound, "No code is open. It was cancelled, is too old, or too many wrong codes were tried.")
	case joined != nil:
		web.Reply(w, http.StatusOK, used{*joined})
	default:
		web.Reply(w, http.StatusOK, s.offered(r.Host, code, since))
	}
}

func (s *Server) closeOffer(w http.ResponseWriter, _ *http.Request) {
	s.offers.close()
	web.Reply(w, http.StatusOK, struct{}{})
}

// join lets a room join by the open code. A room that joins again gets a new secret.
func (s *Server) join(w http.ResponseWriter, r *http.Request) {
	var in clinic.Joining
	if s.o.Outside {
		s.Fail(w, r, http.StatusConflict, "Rooms are added at the clinic's broker. docs/clinic.md says how.")
		return
	}
	if !s.Body(w, r, &in) {
		return
	}
	if !roomID.MatchString(in.ID) {
		s.Fail(w, r, http.StatusUnprocessableEntity, "The room's ID is not valid: 1 to 64 letters, digits, hyphens and underscores are.")
		return
	}
	if !s.guesses.Allow(r) {
		w.Header().Set("Retry-After", "60")
		s.Fail(w, r, http.StatusTooManyRequests, "Too many codes came from this room. Wait a minute.")
		return
	}
	out := clinic.Joined{Clinic: s.name(), CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.o.Certs.Authority()}))}
	host, _, _ := net.SplitHostPort(s.address(r.Host))
	out.Broker = "mqtts://" + net.JoinHostPort(host, s.o.Broker())
	who := member{in.ID, cmp.Or(text(in.Name), in.ID)}
	err := s.offers.use(in.Code, who, func(house string) (err error) {
		out.House = house
		out.Secret, err = s.o.Registry.add(who.ID, who.Name, house)
		return err
	})
	s.guesses.Count(r, err == nil)
	switch {
	case errors.Is(err, errNoOffer):
		s.Fail(w, r, http.StatusGone, "The desk's code was used, is too old or was cancelled. Make a new one on the desk's page.")
		return
	case errors.Is(err, errWrongCode):
		s.Fail(w, r, http.StatusUnauthorized, "This is not the desk's code. Check each letter.")
		return
	case err != nil:
		s.o.Log.Error("a room can't join", "room", in.ID, "err", err)
		s.Fail(w, r, http.StatusInternalServerError, "The desk could not save the room. Its disk may be full. Try again.")
		return
	}
	// Whoever had the secret before is off.
	s.drop(r.Context(), who.ID)
	s.rooms.set(who.ID, registered{Name: who.Name, House: out.House})
	s.o.Log.Info("a room has joined", "room", who.ID, "name", who.Name)
	web.Reply(w, http.StatusOK, out)
}

// drop ends a room's connections.
func (s *Server) drop(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime)
	defer cancel()
	if err := s.o.Drop(ctx, id); err != nil {
		s.o.Log.Warn("what a room has told is not forgotten", "room", id, "err", err)
	}
}

// remove forgets a room and ends its connection.
func (s *Server) remove(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	was, err := s.o.Registry.remove(id)
	switch {
	case err != nil:
		s.o.Log.Error("a room can't be removed", "room", id, "err", err)
		s.Fail(w, r, http.StatusInternalServerError, "The desk could not remove the room. Its disk may be full. Try again.")
		return
	case !was:
		s.Fail(w, r, http.StatusNotFound, "There is no such room.")
		return
	}
	s.drop(r.Context(), id)
	s.rooms.remove(id)
	s.o.Log.Info("a room was removed", "room", id)
	web.Reply(w, http.StatusOK, struct{}{})
}
