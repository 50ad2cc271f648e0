// Package web serves the tablet's page, and the HTTP API and the websocket to who was let in and to nobody else.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"roomd/room"
	"roomd/room/doctor"
)

// Room is what is served.
type Room interface {
	// Do does a command. It is in the journal when Do returns; one that can't be done gives *room.Refused.
	Do(ctx context.Context, c room.Command) (room.Ack, error)
	Snapshot() room.Snapshot
	// Changed is closed when there is a newer snapshot than the one that Snapshot gave before the call.
	Changed() <-chan struct{}
	Now() time.Duration
	Playlists() []room.PlaylistView
	Sessions(ctx context.Context) ([]room.SessionRecord, error)
	Session(ctx context.Context, id string) (room.SessionRecord, bool, error)
	// Preview is the running session as it would be if it changed to a playlist now. What can't be done gives *room.Refused.
	Preview(ctx context.Context, playlist string) (*room.SessionView, error)
	// Erase erases a session that is over. One that is running or not there gives *room.Refused.
	Erase(ctx context.Context, id string) error
}

// Options is what a server is made of.
type Options struct {
	Room   Room
	Tokens *Tokens
	Files  Files
	// Arc is the picture of a playlist's arc. A playlist that is not there or not ready gives *room.Refused.
	Arc func(ctx context.Context, playlist string) (room.ArcView, error)
	// Audition makes ready to write a part of a playlist's sound as WAV. A playlist that is not there or not ready, and a part
	// that is not in it, gives *room.Refused.
	Audition func(ctx context.Context, playlist string, p Part) (func(context.Context, io.Writer) error, error)
	// Doctor looks at all that a session needs.
	Doctor func(ctx context.Context) []doctor.Finding
	// Dropped counts messages that were refused or not looked at, by where they came from; nil: nowhere.
	Dropped map[string]func() map[string]uint64
	// Certs are what https is served with, on HTTPSPort; nil: there is no https.
	Certs     *Certs
	HTTPSPort string
	Port      string   // of http
	Frame     []string // origins whose pages may show /wall in a frame
	Pair      PairCommand
	Page      string   // the file of the page below dist; empty: index.html
	Paths     []string // further addresses that show the page
	Wording   Wording  // zero: the room's
	Hosts     []string // names it answers to beside IP addresses, localhost, this computer's name and NAME.local
	// Shelf takes what is uploaded, which waits in the folder Uploads until it is whole; nil: nothing can be uploaded.
	Shelf   Shelf
	Uploads string
	Sticks  Sticks
	Setup   Setup  // nil: the room can't be set up by the page
	Clinic  Clinic // nil: the room can't join one by the page
	// Watched is told whether a therapist has the page open, and Chosen which playlist may be started next. Neither may wait.
	Watched func(bool)
	Chosen  func(playlist string)
	// Lines are the last lines of the log, the oldest first.
	Lines func() []string
	Log   *slog.Logger
}

// Limits.
const (
	maxBody = 8 << 10 // of a command, and of a websocket message
	// Sockets of one tablet; twice as many of all. Those that watch have places of their own, so that they take none of those
	// that steer.
	maxSockets      = 16
	observerSockets = 4 // of one observer; maxSockets of all
	// The cookie over http, and over https, where no page of the network can set one of its name (RFC 6265bis, 4.1.3.2).
	plainCookie  = "roomd"
	secureCookie = "__Host-roomd"
	cookieAge    = 400 * 24 * time.Hour // the most that browsers keep one; a token that is not used ends before
)

// Server is the handler of everything.
type Server struct {
	*Front
	handler http.Handler
	hub     hub
	// One at a time: a picture, somebody who listens, a doctor, a search for music.
	drawing, listening, examining, browsing sync.Mutex
	admitting                               *rate.Limiter // of codes that devices make for others
	uploading                               chan struct{} // holds one for each upload under way
	changing                                chan struct{} // holds one while the room is being set up
	played                                  player        // by a setup
}

// New makes a server.
func New(o Options) *Server {
	f := NewFront(o)
	o = f.o
	s := &Server{Front: f, admitting: rate.NewLimiter(rate.Every(admitEvery), admitBurst), uploading: make(chan struct{}, uploadsAtOnce), changing: make(chan struct{}, 1)}
	s.hub = hub{room: o.Room, log: o.Log, watched: o.Watched, bye: make(chan struct{}), open: map[you]int{}, gone: map[string]chan struct{}{}, dropped: noneEnded()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.Handle("GET /metrics", s.local(newMetrics(s)))
	s.Routes(mux)
	private := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, s.authenticated(h)) }
	steering := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, s.authenticated(s.steers(h))) }
	private("GET /api/v1/state", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, o.Room.Snapshot()) })
	steering("POST /api/v1/commands", s.command)
	private("GET /api/v1/playlists", func(w http.ResponseWriter, r *http.Request) {
		if id := r.URL.Query().Get("chosen"); id != "" && s.o.Chosen != nil {
			s.o.Chosen(id)
		}
		reply(w, http.StatusOK, orEmpty(o.Room.Playlists()))
	})
	steering("GET /api/v1/playlists/{id}/file", s.file)
	steering("POST /api/v1/playlists/{id}/file", s.found)
	steering("PUT /api/v1/playlists/{id}/file", s.save)
	steering("GET /api/v1/playlists/{id}/versions", s.versions)
	steering("GET /api/v1/playlists/{id}/versions/{number}", s.version)
	steering("GET /api/v1/music", s.music)
	private("GET /api/v1/playlists/{id}/arc", s.arc)
	steering("GET /api/v1/playlists/{id}/change", s.preview)
	steering("GET /api/v1/playlists/{id}/audition", s.audition)
	steering("GET /api/v1/sticks", s.withSticks(s.sticks))
	steering("POST /api/v1/sticks/{id}/import", s.withSticks(s.bring))
	steering("DELETE /api/v1/sticks/import", s.withSticks(s.stopBringing))
	steering("GET /api/v1/setup", s.setup)
	steering("PUT /api/v1/setup", settingUp(s, false, s.setUp))
	steering("POST /api/v1/setup/look", settingUp(s, false, s.lookAnew))
	steering("POST /api/v1/setup/sound/play", settingUp(s, true, s.playDevice))
	steering("POST /api/v1/setup/sound/stop", s.stopDevice)
	steering("POST /api/v1/setup/broker/try", settingUp(s, true, s.tryBroker))
	steering("POST /api/v1/setup/lights/show", settingUp(s, true, s.showLight))
	steering("POST /api/v1/setup/zigbee/join", settingUp(s, true, s.letBulbsIn))
	steering("GET /api/v1/clinic", s.clinic)
	steering("DELETE /api/v1/clinic", s.leaveClinic)
	steering("POST /api/v1/clinic/join", s.joinClinic)
	steering("GET /api/v1/doctor", func(w http.ResponseWriter, r *http.Request) {
		s.examining.Lock()
		defer s.examining.Unlock()
		reply(w, http.StatusOK, o.Doctor(r.Context()))
	})
	steering("GET /api/v1/log", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, orEmpty(o.Lines())) })
	steering("GET /api/v1/sessions", s.sessions)
	steering("GET /api/v1/sessions/{id}", s.session)
	steering("DELETE /api/v1/sessions/{id}", s.erase)
	steering("GET /api/v1/sessions/{id}/{file}", s.export)
	steering("GET /api/v1/devices", s.devices)
	steering("GET /api/v1/pair/attempts", s.attempts)
	steering("POST /api/v1/pair/codes", s.admit)
	steering("DELETE /api/v1/devices/{name}", s.revoke)
	uploads := s.uploads()
	steering("POST /api/v1/uploads", uploads)
	steering("HEAD /api/v1/uploads/{id}", uploads)
	steering("PATCH /api/v1/uploads/{id}", uploads)
	steering("DELETE /api/v1/uploads/{id}", uploads)
	private("GET /ws", s.websocket)
	mux.HandleFunc("GET /wall/ws", s.wall)
	for pattern, allow := range map[string]string{
		"/healthz": "GET", "/metrics": "GET", "/api/v1/pair": "GET, POST", "/api/v1/pair/attempts": "GET", "/api/v1/pair/codes": "POST", "/api/v1/trust": "GET", "/api/v1/state": "GET", "/api/v1/commands": "POST",
		"/api/v1/playlists": "GET", "/api/v1/playlists/{id}/arc": "GET", "/api/v1/playlists/{id}/audition": "GET", "/api/v1/sessions": "GET", "/api/v1/sessions/{id}": "GET, DELETE", "/api/v1/sessions/{id}/{file}": "GET", "/ws": "GET", "/wall/ws": "GET",
		"/api/v1/playlists/{id}/file": "GET, POST, PUT", "/api/v1/playlists/{id}/versions": "GET", "/api/v1/playlists/{id}/versions/{number}": "GET", "/api/v1/music": "GET", "/api/v1/devices": "GET", "/api/v1/devices/{name}": "DELETE",
		"/api/v1/setup": "GET, PUT", "/api/v1/setup/look": "POST", "/api/v1/setup/sound/play": "POST", "/api/v1/setup/sound/stop": "POST", "/api/v1/setup/broker/try": "POST", "/api/v1/setup/lights/show": "POST", "/api/v1/setup/zigbee/join": "POST",
		"/api/v1/clinic": "GET, DELETE", "/api/v1/clinic/join": "POST",
		"/api/v1/doctor": "GET", "/api/v1/log": "GET", "/api/v1/sticks": "GET", "/api/v1/sticks/{id}/import": "POST", "/api/v1/sticks/import": "DELETE", "/api/v1/uploads": "POST", "/api/v1/uploads/{id}": "HEAD, PATCH, DELETE",
	} {
		private(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			s.fail(w, r, http.StatusMethodNotAllowed, "this takes "+allow+" only")
		})
	}
	s.handler = s.Guard(mux)
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// guarded sets the headers of every answer and refuses names that are not the room's: a page elsewhere can make its
// own name resolve to the room's address (DNS rebinding), but it can't change the Host that the browser sends.
func (f *Front) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, ancestors := w.Header(), "'none'"
		if len(f.o.Frame) > 0 && isWall(r) {
			ancestors = strings.Join(f.o.Frame, " ") // X-Frame-Options can't name them
		} else {
			h.Set("X-Frame-Options", "DENY")
		}
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"+f.elsewhere(r)+"; img-src 'self' data:; "+
			"manifest-src 'self'; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "+ancestors+"; "+
			"require-trusted-types-for 'script'; trusted-types svelte-trusted-html roomd")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !f.ours(r.Host) {
			f.fail(w, r, http.StatusMisdirectedRequest, f.o.Wording.OtherName)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bare is a Host header without its port and brackets.
func bare(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

// ours says whether a Host header names this room.
func (f *Front) ours(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(bare(host), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true // there is no answer of a name server to poison
	}
	if name == "localhost" || strings.HasSuffix(name, ".local") && strings.Count(name, ".") == 1 {
		return true
	}
	return slices.ContainsFunc(f.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// elsewhere is the room's https address, which a page that came over http looks for.
func (f *Front) elsewhere(r *http.Request) string {
	if at := f.https(r); at != "" && r.TLS == nil && f.ours(r.Host) {
		return " " + at
	}
	return ""
}

// who owns the token that a request carries.
func (f *Front) who(r *http.Request) (token string, whose Token, ok bool) {
	if is, replaced := r.Context().Value(successorKey{}).(successor); replaced {
		return is.token, is.whose, true
	}
	private := r.TLS != nil
	if a := r.Header.Get("Authorization"); a != "" {
		t, found := strings.CutPrefix(a, "Bearer ")
		if !found {
			return "", Token{}, false
		}
		token = strings.TrimSpace(t)
		whose, ok = f.o.Tokens.Check(token, private)
		return token, whose, ok
	}
	names := []string{plainCookie}
	if private {
		// The page was let in again over http after its private token had ended.
		names = []string{secureCookie, plainCookie}
	}
	for _, name := range names {
		if c, err := r.Cookie(name); err == nil {
			token = c.Value
			if whose, ok = f.o.Tokens.Check(token, private); ok {
				break
			}
		}
	}
	return token, whose, ok
}

// signIn gives a browser the cookie of a token.
func signIn(w http.ResponseWriter, r *http.Request, token string) {
	c := http.Cookie{Name: plainCookie, Value: token, Path: "/", MaxAge: int(cookieAge.Seconds()), HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if r.TLS != nil {
		if _, err := r.Cookie(plainCookie); err == nil {
			gone := c
			gone.Value, gone.MaxAge = "", -1
			http.SetCookie(w, &gone)
		}
		c.Name, c.Secure = secureCookie, true
	}
	http.SetCookie(w, &c)
}

// successorKey is where private puts the token that a request's token was replaced by. That the request goes on with it is no
// sign that the device has it.
type successorKey struct{}

// AsTherapist has requests steer the room without a token: they came by a way that only the room's own user has.
func AsTherapist(ctx context.Context) context.Context {
	return context.WithValue(ctx, successorKey{}, successor{whose: Token{Name: "This computer", Role: Therapist}})
}

type successor struct {
	token string
	whose Token
}

// replaceTime is for the disk, to replace a token: the request goes on without.
const replaceTime = time.Second

// private replaces a token that may have come over http, where anybody could read it, with the first request over https. A
// token in a header is a program's: it does not look at the answer's cookies.
func (f *Front) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(plainCookie)
		if r.TLS == nil || err != nil || r.Header.Get("Authorization") != "" || strings.HasPrefix(r.URL.Path, "/assets/") {
			next.ServeHTTP(w, r)
			return
		}
		token, whose, ok := f.who(r)
		if ok && token == c.Value {
			ctx, cancel := context.WithTimeout(r.Context(), replaceTime)
			next, err := f.o.Tokens.Replace(ctx, token)
			cancel()
			if err != nil {
				f.o.Log.Warn("a device keeps the token that it had over http", "err", err)
			} else if next != "" {
				signIn(w, r, next)
				r = r.WithContext(context.WithValue(r.Context(), successorKey{}, successor{next, whose}))
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (f *Front) authenticated(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, whose, ok := f.who(r); ok {
			welcome(r, whose.Name)
			next(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, whose)))
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="roomd"`)
		f.fail(w, r, http.StatusUnauthorized, f.o.Wording.Stranger)
	})
}

// whoKey is where authenticated puts whose token a request carried.
type whoKey struct{}

// steers lets nobody by who may only see. It stands behind authenticated.
func (f *Front) steers(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if whose, _ := r.Context().Value(whoKey{}).(Token); whose.Role != Therapist {
			f.fail(w, r, http.StatusForbidden, f.o.Wording.Watches)
			return
		}
		next(w, r)
	}
}

// watches is what a device is told that may see and not steer.
var watches = room.Refuse("observer")

// fault is the body of an answer that is not 2xx.
type fault struct {
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// fail answers a request that can't be done: JSON below /api, a dark page elsewhere.
func (f *Front) fail(w http.ResponseWriter, r *http.Request, status int, reason string) {
	if strings.HasSuffix(r.URL.Path, "/ws") || strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == "/healthz" || r.URL.Path == "/metrics" || r.URL.Path == "/ping" {
		reply(w, status, fault{Reason: reason})
		return
	}
	f.darkPage(w, status, reason)
}

func reply(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"reason":"the answer can't be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func orEmpty[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// healthz says whether the room works, to anybody: part and state, and nothing of a session.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	snap := s.o.Room.Snapshot()
	h := health{State: "ok", Parts: []partHealth{}}
	for _, p := range snap.Parts {
		ph := partHealth{Part: p.Part, State: p.State}
		if p.State != room.Working {
			h.State = "degraded"
			at := time.Now().Add(-time.Duration(snap.NowMS-p.SinceMS) * time.Millisecond)
			ph.Since, ph.Why, ph.Do = at.Format(time.RFC3339), unwell[p.Part], "The room's page says what to do."
		}
		h.Parts = append(h.Parts, ph)
	}
	reply(w, http.StatusOK, h)
}

// health is what anybody may know of a room.
type health struct {
	State string       `json:"state"`
	Parts []partHealth `json:"parts"`
}

type partHealth struct {
	Part  string         `json:"part"`
	State room.PartState `json:"state"`
	Since string         `json:"since,omitempty"`
	Why   string         `json:"why,omitempty"`
	Do    string         `json:"do,omitempty"`
}

// unwell says what a degraded part means. The room's own sentences may name a playlist, or tell that somebody tapped.
var unwell = map[string]string{
	"sound":     "The sound device does not play.",
	"lights":    "A light does not answer.",
	"broker":    "The broker of the lights is not reached, or not as it should be.",
	"playlists": "A playlist has errors, or its folder can't be read.",
	"page":      "The page can't be served.",
	"disk":      "The disk can't be written, or what it held was damaged.",
	"clock":     "The computer's date is wrong.",
	"room":      "The room file has errors.",
}

// body reads a JSON body into v, strictly. It answers the request itself where that can't be done.
func (f *Front) body(w http.ResponseWriter, r *http.Request, v any) bool {
	return f.bodyOf(w, r, v, maxBody)
}

// bodyOf is body where more than that is let in: most bytes.
func (f *Front) bodyOf(w http.ResponseWriter, r *http.Request, v any, most int64) bool {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		f.fail(w, r, http.StatusUnsupportedMediaType, "the body has to be application/json")
		return false
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyWait)) // a recorder of tests has none
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	_ = conn.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		f.fail(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", most))
		return false
	case err != nil:
		f.fail(w, r, http.StatusBadRequest, "the body broke off")
		return false
	}
	if field, reason := decodeStrict(b, v); reason != "" {
		reply(w, http.StatusBadRequest, fault{field, reason})
		return false
	}
	return true
}

// decodeStrict decodes one JSON value. It returns the field and what is wrong with it, in words; an empty reason where
// nothing is.
func decodeStrict(b []byte, v any) (field, reason string) {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return "", "there is more after the JSON value"
		}
		return "", ""
	}
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return "", fmt.Sprintf("no JSON at byte %d: %v", syntax.Offset, syntax)
	case errors.As(err, &typed):
		return typed.Field, fmt.Sprintf("a %s where a %s belongs", typed.Value, typed.Type)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "", "the JSON breaks off"
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return strings.Trim(name, `"`), "there is no such field"
	}
	return "", strings.TrimPrefix(err.Error(), "json: ")
}

func (s *Server) command(w http.ResponseWriter, r *http.Request) {
	var c room.Command
	if !s.body(w, r, &c) {
		return
	}
	whose, _ := r.Context().Value(whoKey{}).(Token)
	c.Device = whose.Name
	ack, err := s.o.Room.Do(r.Context(), c)
	var refused *room.Refused
	switch {
	case err == nil:
		reply(w, http.StatusOK, ack)
	case errors.As(err, &refused) && refused.Field != "":
		reply(w, http.StatusUnprocessableEntity, refused)
	case errors.As(err, &refused):
		reply(w, http.StatusConflict, refused)
	default:
		s.o.Log.Error("a command failed", "do", c.Do, "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("no-answer"))
	}
}

// arc gives the picture of a playlist's arc, whose ID has its slashes written %2F.
func (s *Server) arc(w http.ResponseWriter, r *http.Request) {
	s.drawing.Lock()
	defer s.drawing.Unlock()
	v, err := s.o.Arc(r.Context(), r.PathValue("id"))
	s.ofPlaylist(w, r, v, err, "arc-failed")
}

// ofPlaylist answers with v, or says why there is none: 404 for an unknown playlist, 409 where it can't be done now. An error
// without a reason goes to the log, and the sentence called failed to the page.
func (s *Server) ofPlaylist(w http.ResponseWriter, r *http.Request, v any, err error, failed string) {
	var refused *room.Refused
	switch {
	case err == nil:
		reply(w, http.StatusOK, v)
	case errors.As(err, &refused) && refused.Field != "":
		reply(w, http.StatusNotFound, refused)
	case errors.As(err, &refused):
		reply(w, http.StatusConflict, refused)
	default:
		s.o.Log.Error("no answer about a playlist", "playlist", r.PathValue("id"), "code", failed, "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse(failed))
	}
}

// preview gives the running session as it would be with another playlist, whose ID has its slashes written %2F.
func (s *Server) preview(w http.ResponseWriter, r *http.Request) {
	v, err := s.o.Room.Preview(r.Context(), r.PathValue("id"))
	s.ofPlaylist(w, r, v, err, "preview-failed")
}

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	list, err := s.o.Room.Sessions(r.Context())
	if err != nil {
		s.o.Log.Error("the history can't be read", "err", err)
		reply(w, http.StatusInternalServerError, fault{Reason: "the history can't be read"})
		return
	}
	reply(w, http.StatusOK, orEmpty(list))
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	if rec, ok := s.record(w, r); ok {
		reply(w, http.StatusOK, rec)
	}
}

// record is the session that a request names. Where there is none it answers the request itself.
func (s *Server) record(w http.ResponseWriter, r *http.Request) (room.SessionRecord, bool) {
	rec, ok, err := s.o.Room.Session(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		s.o.Log.Error("a session can't be read", "err", err)
		reply(w, http.StatusInternalServerError, fault{Reason: "the session can't be read"})
	case !ok:
		reply(w, http.StatusNotFound, fault{Reason: "there is no such session"})
	}
	return rec, ok && err == nil
}
