package web

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"roomd/playlists"
	"roomd/rig"
	"roomd/room"
	"roomd/room/doctor"
	"roomd/room/journal"
	"roomd/web/ui"
)

// fakeRoom answers with every field filled, and keeps the commands that it was given.
type fakeRoom struct {
	mu         sync.Mutex
	done       []room.Command
	changed    chan struct{}
	rev        uint64
	broken     bool
	slow       time.Duration
	begun      int // commands that have come
	well, idle bool
}

func newFakeRoom() *fakeRoom { return &fakeRoom{changed: make(chan struct{}), rev: 1} }

func (f *fakeRoom) Do(_ context.Context, c room.Command) (room.Ack, error) {
	f.mu.Lock()
	f.begun++
	f.mu.Unlock()
	time.Sleep(f.slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case c.ID == "":
		return room.Ack{}, &room.Refused{Field: "id", Reason: "an id of its own"}
	case c.Do == room.Hold:
		return room.Ack{}, &room.Refused{Reason: "Arrival is held already."}
	case f.broken:
		return room.Ack{}, errors.New("disk on fire")
	}
	f.done = append(f.done, c)
	return room.Ack{ID: c.ID, Rev: f.rev, Unsaved: c.Do == room.Emergency}, nil
}

// change makes a newer snapshot.
func (f *fakeRoom) change() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rev++
	close(f.changed)
	f.changed = make(chan struct{})
}

// rest ends the session, or has it run again.
func (f *fakeRoom) rest(idle bool) {
	f.mu.Lock()
	f.idle = idle
	f.mu.Unlock()
	f.change()
}

func (f *fakeRoom) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeRoom) commands() []room.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done)
}

func (f *fakeRoom) Now() time.Duration { return 5 * time.Second }

func (f *fakeRoom) Snapshot() room.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	ph := room.PhaseView{Name: "Arrival", Stage: "preparation", EndMS: 1000, Waiting: "Lozenge", Scene: "dusk"}
	l := room.LightLevel{Level: 40, Kelvin: 2400, Color: "#ff9a4a"}
	snap := room.Snapshot{
		Boot: "b", Rev: f.rev, NowMS: 5000, Version: "v", Room: "Willow", Checking: true, Rehearsal: &room.RehearsalView{Playlist: "p", Name: "P", Phase: "A", AtMS: 1, EndMS: 2, Speed: 60},
		Session: &room.SessionView{ID: "s", Playlist: "p", Name: "P", State: room.Running, Phase: ph, Phases: []room.PhaseView{ph},
			Music: &room.MusicView{Clip: "c", Title: "T", Next: "N"},
			Steer: &room.SteerView{Intensity: 3, Asked: 3.5, Can: []room.Verb{room.Deeper}, Offers: map[room.Verb]room.OfferedView{room.Deeper: {Title: "T", Intensity: 4, AtMS: 5}},
				Menu: []room.WordView{{Name: "Open", Can: true, Title: "T", AtMS: 5}}, Word: "Open",
				Coming: &room.ComingView{ID: "a", Do: room.Choose, Name: "Open", Title: "T", Intensity: 4, AtMS: 5, CanNow: true}},
			Timeline: []room.ClipView{{Title: "T", EndMS: 10, Bed: true}}, Marks: []room.MarkView{{ID: "m", Name: "Vitals", AtMS: 3}},
			Offer: []string{"Vitals"}, Reminders: []room.RemindView{{Say: "s", Marks: []string{"Spit"}}},
			Timers: []room.TimerView{{ID: "t", Say: "Vitals", DueMS: 9, Marks: []string{"Vitals"}}},
			Undo:   []room.UndoView{{ID: "u", Do: room.Extend, Says: "x", Code: "did-extend", Args: room.Args{"by": time.Minute}}}},
		Lights: map[string]room.LightView{"ambient": {Target: l, Actual: &l, State: "held", Says: "x", Lamps: []room.LampView{{Name: "a", State: "lost", Answer: "no"}}},
			"accent": {Target: l, State: "unknown", Lamps: []room.LampView{}}},
		Sound:    room.SoundView{Output: "alsa", State: "playing"},
		Problems: []room.Problem{{Part: "sound", Says: "s", Do: "d"}},
		Parts:    []room.PartView{{Part: "sound", State: room.Degraded, SinceMS: 1, Why: "s", Do: "d"}, {Part: "disk", State: room.Working}},
		Schedule: []room.ScheduleView{{At: "0 8 * * *", Do: "scene dusk", Next: "n", Last: "l"}},
		Marks:    []string{"Vitals"}, Scenes: []string{"dusk"},
	}
	if f.well {
		snap.Parts[0] = room.PartView{Part: "sound", State: room.Working}
	}
	if f.idle {
		snap.Session, snap.Checking, snap.Rehearsal = nil, false, nil
	}
	return snap
}

func (f *fakeRoom) Playlists() []room.PlaylistView {
	return []room.PlaylistView{{ID: "p", Name: "P", Phases: []room.PhaseView{{Name: "A", Stage: "integration"}}, Errors: []string{"e"}, Warnings: []string{}}}
}

var record = room.SessionRecord{ID: "s", Playlist: "p", Name: "P", State: room.Ended, Ending: "as planned",
	ErasedInMS: new(int64), Zero: "Lozenge", Asked: []room.AskedView{{AtMS: 1_380_000, Do: room.Choose, Name: "Open", Phase: "Arrival", CameMS: 1_500_000, Now: true, Title: "T", Intensity: 3}}, Notes: []room.WrittenNote{{Of: "m2", Text: "=calm, \"slow\""}, {Text: "all went well"}},
	Events: []room.RecordedEvent{{Seq: 1, AtMS: 600_000, Kind: "command", Data: json.RawMessage(`{"do":"hold"}`)}, {Kind: "phase"},
		{Seq: 2, AtMS: 700_000, Kind: "command", Data: json.RawMessage(`{"do":"level","db":-1}`)},
		{Seq: 3, AtMS: 660_000, Kind: "command", Data: json.RawMessage(`{"do":"mark","name":"Lozenge"}`)}},
	Session: &room.SessionView{ID: "s", Playlist: "p", Name: "P", State: room.Ended, StartedMS: 12345, ElapsedMS: 10_800_000,
		Phase:    room.PhaseView{Name: "Arrival", Stage: "preparation", EndMS: 1000},
		Phases:   []room.PhaseView{{Name: "Arrival", Stage: "preparation", EndMS: 1000}},
		Timeline: []room.ClipView{{Title: "@Nuvole", EndMS: 10}}, Marks: []room.MarkView{{ID: "m1", Name: "Vitals", AtMS: 300_000}, {ID: "m2", Name: "Lozenge", AtMS: 660_000}},
		Offer: []string{}, Reminders: []room.RemindView{}, Timers: []room.TimerView{}, Undo: []room.UndoView{}}}

func (f *fakeRoom) Erase(_ context.Context, id string) error {
	switch {
	case f.broken:
		return errors.New("disk on fire")
	case id == "running":
		return &room.Refused{Reason: "This session is running."}
	case id != "s":
		return &room.Refused{Field: "id", Reason: "There is no such session."}
	}
	return nil
}

func (f *fakeRoom) Preview(_ context.Context, id string) (*room.SessionView, error) {
	switch {
	case f.broken:
		return nil, errors.New("disk on fire")
	case id == "evening/half":
		return nil, &room.Refused{Reason: "The return has begun."}
	case id != "evening/first":
		return nil, &room.Refused{Field: "playlist", Reason: "There is no such playlist."}
	}
	return f.Snapshot().Session, nil
}

// arc has every field filled.
func (f *fakeRoom) arc(_ context.Context, id string) (room.ArcView, error) {
	switch {
	case f.broken:
		return room.ArcView{}, errors.New("disk on fire")
	case id == "evening/half":
		return room.ArcView{}, &room.Refused{Reason: "It is still being read."}
	case id != "evening/first":
		return room.ArcView{}, &room.Refused{Field: "playlist", Reason: "There is no such playlist."}
	}
	return room.ArcView{Playlist: id, Name: "P", EndMS: 10, Notes: []room.ArcNote{{AtMS: 3, Clip: "p1.1", Says: "rises steeply"}},
		Phases:   []room.ArcPhase{{Name: "Arrival", Stage: "preparation", EndMS: 10, PlanMS: 9, FlexMS: 2, Until: "Lozenge", Target: -23, Silence: true}},
		Clips:    []room.ArcClip{{ID: "c", Title: "T", EndMS: 10, FadeInMS: 1, FadeOutMS: 2, Gain: -1.5, Bed: "rain", Cover: "rest", Cut: true}},
		Joins:    []room.ArcJoin{{FromMS: 4, ToMS: 6}},
		Loudness: room.ArcLoudness{StepMS: 1000, ShortTerm: []float64{-23.1}, Momentary: []float64{-70}},
		Lights:   []room.ArcLight{{Role: "ambient", Points: []room.ArcPoint{{AtMS: 1, Level: 40, Color: "#ff9a4a"}}}}}, nil
}

func (f *fakeRoom) audition(ctx context.Context, id string, p Part) (func(context.Context, io.Writer) error, error) {
	if p.IsJoin && p.Join > 3 {
		return nil, &room.Refused{Field: "join", Reason: "This playlist has 4 joins, counted from 0."}
	}
	if _, err := f.arc(ctx, id); err != nil {
		return nil, err
	}
	return func(_ context.Context, w io.Writer) error {
		_, err := fmt.Fprintf(w, "RIFF %+v", p)
		return err
	}, nil
}

func (f *fakeRoom) Sessions(context.Context) ([]room.SessionRecord, error) {
	if f.broken {
		return nil, errors.New("disk on fire")
	}
	return []room.SessionRecord{record}, nil
}

func (f *fakeRoom) Session(_ context.Context, id string) (room.SessionRecord, bool, error) {
	if f.broken {
		return room.SessionRecord{}, false, errors.New("disk on fire")
	}
	return record, id == "s", nil
}

// house is a server with a token.
type house struct {
	*httptest.Server
	room               *fakeRoom
	tokens             *Tokens
	token              string
	server             *Server
	store              string
	playlists, uploads string // folders: where uploads go
	folder             string // of the playlists that are read and written
	sticks             *fakeSticks
	setup              *fakeSetup
	clinic             *fakeClinic
}

// aPlaylist is a playlist's file.
const aPlaylist = "# Keep this.\nname: P\nphases:\n  - {name: A, stage: preparation, length: 10m} # one\n  - {name: B, stage: preparation, length: 5m, lights: {scene: dusk}}\n"

// codeKey is the key of pairing codes of all tests.
var codeKey = []byte("a key of 32 bytes, as CodeKey has")

func open(t testing.TB) *house {
	t.Helper()
	h := &house{room: newFakeRoom(), sticks: &fakeSticks{}, setup: &fakeSetup{playing: make(chan struct{})}, clinic: &fakeClinic{}, store: filepath.Join(t.TempDir(), "roomd.db")}
	store, _, err := journal.Open(h.store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h.tokens = NewTokens(store).SealCodes(codeKey)
	if h.token, err = h.tokens.Create(t.Context(), "tablet", Therapist); err != nil {
		t.Fatal(err)
	}
	h.playlists, h.uploads = filepath.Join(t.TempDir(), "playlists"), filepath.Join(t.TempDir(), "uploads")
	h.folder = t.TempDir()
	for name, text := range map[string]string{"p.yaml": aPlaylist, "evening/p.yaml": aPlaylist, "music/Deep/01 A 5m/one.mp3": ""} {
		file := filepath.Join(h.folder, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	h.serve(t)
	t.Cleanup(func() { h.Server.Close() })
	return h
}

// serve starts the server, again where it was stopped.
func (h *house) serve(t testing.TB) {
	t.Helper()
	shelf, err := playlists.OpenShelf(h.playlists)
	if err != nil {
		t.Fatal(err)
	}
	lib := playlists.NewLibrary(playlists.LibraryOptions{Folder: h.folder, Measure: func(context.Context, string) (playlists.Track, error) {
		return playlists.Track{Length: time.Minute}, nil
	}})
	h.server = New(Options{Room: h.room, Arc: h.room.arc, Audition: h.room.audition, Tokens: h.tokens, Files: lib, Shelf: shelf, Uploads: h.uploads, Sticks: h.sticks, Setup: h.setup, Clinic: h.clinic, Lines: func() []string { return []string{"a line"} }, Doctor: func(context.Context) []doctor.Finding {
		return []doctor.Finding{doctor.Good("sound", "doc-no-gaps"), doctor.Bad("light ambient", "lamps-lost", "role", "ambient", "lamps", "a").With("x")}
	}, Hosts: []string{"room.clinic.example"}, Port: "8080", Pair: PairCommand{Plain: "roomd pair", Full: "roomd pair --data /srv/willow"}, Log: slog.New(slog.DiscardHandler)})
	h.Server = httptest.NewServer(h.server)
	h.unlimited()
}

// unlimited lets everybody try codes as often as they like.
func (h *house) unlimited() {
	for _, tier := range h.server.guesses.tiers {
		tier.SetLimit(rate.Inf)
	}
	h.server.guesses.by[source("127.0.0.1:1")] = &guesser{slow: rate.NewLimiter(rate.Inf, 1), last: time.Now()}
}

// ask sends a request; head are header names and values in turn. "Host" sets the host.
func (h *house) ask(t testing.TB, method, path, body string, head ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, h.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k := 0; k+1 < len(head); k += 2 {
		if head[k] == "Host" {
			req.Host = head[k+1]
		}
		req.Header.Set(head[k], head[k+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func (h *house) bearer() []string { return []string{"Authorization", "Bearer " + h.token} }

const asJSON = "application/json"

// Who may use a route.
const (
	anybody   = iota // also who has no token
	watching         // who has one
	therapist        // who has one of a therapist
)

// routes are all that the server has, with a body where one is needed.
var routes = []struct {
	method, path, body string
	who                int
}{
	{"GET", "/healthz", "", anybody}, {"GET", "/metrics", "", anybody}, {"GET", "/pair", "", anybody}, {"GET", "/dark.css", "", anybody},
	{"GET", "/", "", anybody}, {"GET", "/index.html", "", anybody}, {"DELETE", "/", "", anybody}, {"GET", "/nothing", "", anybody},
	{"GET", "/api/v1/nothing", "", anybody}, {"GET", "/api/v1/trust", "", anybody}, {"GET", "/ping", "", anybody}, {"GET", "/ca.crt", "", anybody}, {"GET", "/ca.pem", "", anybody}, {"GET", "/ca.mobileconfig", "", anybody},
	{"GET", "/api/v1/state", "", watching}, {"GET", "/api/v1/playlists", "", watching}, {"GET", "/api/v1/playlists/evening%2Ffirst/arc", "", watching}, {"GET", "/ws", "", watching}, {"GET", "/wall", "", anybody}, {"GET", "/api/v1/playlists/p/audition?join=0", "", therapist}, {"GET", "/api/v1/playlists/p/change", "", therapist},
	{"POST", "/api/v1/commands", `{"id":"1","do":"next"}`, therapist}, {"GET", "/api/v1/log", "", therapist}, {"GET", "/api/v1/doctor", "", therapist}, {"GET", "/api/v1/sessions", "", therapist}, {"GET", "/api/v1/sessions/s", "", therapist},
	{"GET", "/api/v1/playlists/p/file", "", therapist}, {"POST", "/api/v1/playlists/p/file", "", therapist},
	{"PUT", "/api/v1/playlists/p/file", `{"revision":"1","text":"name: X"}`, therapist},
	{"DELETE", "/api/v1/sessions/s", "", therapist}, {"GET", "/api/v1/sessions/s/session.csv", "", therapist},
	{"GET", "/api/v1/devices", "", therapist}, {"GET", "/api/v1/pair/attempts", "", therapist}, {"GET", "/api/v1/pair", "", anybody}, {"POST", "/api/v1/pair/codes", `{"role":"observer"}`, therapist}, {"DELETE", "/api/v1/devices/nobody", "", therapist},
	{"POST", "/api/v1/uploads", "", therapist}, {"HEAD", "/api/v1/uploads/x", "", therapist}, {"PATCH", "/api/v1/uploads/x", "x", therapist},
	{"DELETE", "/api/v1/uploads/x", "", therapist},
	{"GET", "/api/v1/setup", "", therapist}, {"PUT", "/api/v1/setup", "{}", therapist}, {"POST", "/api/v1/setup/look", "", therapist}, {"POST", "/api/v1/setup/sound/play", `{"device":"DAC"}`, therapist}, {"POST", "/api/v1/setup/sound/stop", "", therapist},
	{"POST", "/api/v1/setup/broker/try", `{"broker":"embedded"}`, therapist}, {"POST", "/api/v1/setup/lights/show", `{"driver":"wled","topic":"x"}`, therapist}, {"POST", "/api/v1/setup/zigbee/join", `{"seconds":0}`, therapist},
	{"GET", "/api/v1/clinic", "", therapist}, {"POST", "/api/v1/clinic/join", `{"address":"x","code":"y"}`, therapist}, {"DELETE", "/api/v1/clinic", "", therapist},
	{"GET", "/api/v1/sticks", "", therapist}, {"POST", "/api/v1/sticks/1/import", "", therapist}, {"DELETE", "/api/v1/sticks/import", "", therapist},
}

// TestOnlyWhoHasAToken is the matrix of promise 5.
func TestOnlyWhoHasAToken(t *testing.T) {
	h := open(t)
	gone, err := h.tokens.Create(t.Context(), "old tablet", Therapist)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.tokens.Revoke(t.Context(), "old tablet"); err != nil {
		t.Fatal(err)
	}
	watch, err := h.tokens.Create(t.Context(), "watcher", Observer)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		for who, head := range map[string][]string{
			"nobody": nil, "a wrong token": {"Authorization", "Bearer " + strings.Repeat("A", 43)}, "a revoked token": {"Authorization", "Bearer " + gone},
			"a revoked cookie": {"Cookie", "roomd=" + gone}, "basic auth": {"Authorization", "Basic " + h.token},
		} {
			resp, body := h.ask(t, r.method, r.path, r.body, append(head, "Content-Type", asJSON)...)
			if (resp.StatusCode == http.StatusUnauthorized) == (r.who == anybody) {
				t.Errorf("%s %s for %s: %s", r.method, r.path, who, resp.Status)
			}
			if strings.Contains(body, "Arrival") || strings.Contains(body, "Willow") {
				t.Errorf("%s %s tells %s of the session", r.method, r.path, who)
			}
		}
		for _, head := range [][]string{{"Authorization", "Bearer " + watch}, {"Cookie", "roomd=" + watch}} {
			if resp, _ := h.ask(t, r.method, r.path, r.body, append(head, "Content-Type", asJSON)...); (resp.StatusCode == http.StatusForbidden) != (r.who == therapist) &&
				r.path != "/ws" { // which wants an origin with a cookie
				t.Errorf("%s %s for an observer: %s", r.method, r.path, resp.Status)
			}
		}
		// Another Host, as a page has it whose name was made to resolve to the room.
		for _, host := range []string{"evil.example", "evil.local.example", "a.b.local", "localhost.evil.example"} {
			if resp, _ := h.ask(t, r.method, r.path, r.body, append(h.bearer(), "Host", host)...); resp.StatusCode != http.StatusMisdirectedRequest {
				t.Errorf("%s %s for the host %s: %s", r.method, r.path, host, resp.Status)
			}
		}
		// A page of another origin, with the tablet's cookie.
		for _, head := range [][]string{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Origin", "null"}} {
			resp, _ := h.ask(t, r.method, r.path, r.body, append(head, "Cookie", "roomd="+h.token, "Content-Type", asJSON)...)
			if changes := r.method != "GET" && r.method != "HEAD"; changes && resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s with %v: %s", r.method, r.path, head, resp.Status)
			}
		}
	}
	if n := len(h.room.commands()); n != 0 {
		t.Errorf("%d commands were done", n)
	}
	for _, host := range []string{"127.0.0.1", "[::1]:8080", "192.168.1.5:8080", "localhost", "willow.local:80", "room.clinic.example"} {
		if resp, _ := h.ask(t, "GET", "/api/v1/state", "", append(h.bearer(), "Host", host)...); resp.StatusCode != http.StatusOK {
			t.Errorf("the host %s: %s", host, resp.Status)
		}
	}
}

func TestEveryAnswerIsDarkAndStrict(t *testing.T) {
	h := open(t)
	for _, r := range routes {
		for _, head := range [][]string{nil, h.bearer(), {"Host", "evil.example"}} {
			resp, body := h.ask(t, r.method, r.path, r.body, append(slices.Clone(head), "Content-Type", asJSON)...)
			csp := resp.Header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") ||
				resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s %s: %v", r.method, r.path, resp.Header)
			}
			if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && !strings.Contains(body, `bgcolor="#000000"`) {
				t.Errorf("%s %s is a page that is white until its style comes", r.method, r.path)
			}
		}
	}
	for _, c := range [][2]string{{"DELETE", "/api/v1/state"}, {"GET", "/api/v1/commands"}, {"PUT", "/api/v1/sessions/s"}, {"POST", "/api/v1/playlists/p/arc"}, {"POST", "/ws"}, {"POST", "/healthz"}, {"PUT", "/api/v1/pair"}, {"GET", "/api/v1/pair/codes"}, {"POST", "/api/v1/devices"}} {
		if resp, _ := h.ask(t, c[0], c[1], "", h.bearer()...); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
			t.Errorf("%v: %s, allow %q", c, resp.Status, resp.Header.Get("Allow"))
		}
	}
}

// fullShelf is one on a full disk.
type fullShelf struct{ Shelf }

func (fullShelf) Fits(int64, string) error { return errors.New("no space") }

// TestAPIIsAsDescribed validates requests and answers of every route and every kind of fault against openapi.yaml.
func TestAPIIsAsDescribed(t *testing.T) {
	h := open(t)
	api := rig.OpenAPI(t, "openapi.yaml").At(h.URL)
	try := func(method, path, body string, want int, head ...string) {
		t.Helper()
		resp, out := h.ask(t, method, path, body, head...)
		if resp.StatusCode != want {
			t.Errorf("%s %s %s: %s %s, wanted %d", method, path, body, resp.Status, out, want)
			return
		}
		req, _ := http.NewRequest(method, h.URL+path, strings.NewReader(body))
		for k := 0; k+1 < len(head); k += 2 {
			req.Header.Set(head[k], head[k+1])
		}
		api.Holds(req, resp, out)
	}
	b, j := h.bearer(), []string{"Content-Type", asJSON}
	bj := append(slices.Clone(b), j...)
	try("GET", "/healthz", "", 200)
	try("GET", "/metrics", "", 200)
	try("GET", "/api/v1/trust", "", 200)
	try("GET", "/metrics", "", 401, "X-Forwarded-For", "192.168.1.9")
	watch, err := h.tokens.Create(t.Context(), "watcher", Observer)
	if err != nil {
		t.Fatal(err)
	}
	upgrade := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}
	try("GET", "/ws", "", 400, b...)
	try("GET", "/ws", "", 401, upgrade...)
	try("GET", "/wall/ws", "", 400, "Sec-WebSocket-Protocol", wallProtocol+", "+wallToken+watch)
	try("GET", "/wall/ws", "", 401, upgrade...)
	try("GET", "/wall/ws", "", 403, append(upgrade, "Sec-WebSocket-Protocol", wallProtocol+", "+wallToken+h.token)...)
	try("GET", "/ws", "", 403, append(upgrade, "Cookie", "roomd="+h.token)...)
	api.Tried("GET", "/ws", 101)      // TestMessagesAreAsDescribed
	api.Tried("GET", "/wall/ws", 101) // TestWall
	o := []string{"Authorization", "Bearer " + watch}
	for _, p := range []string{"/api/v1/state", "/api/v1/playlists", "/api/v1/sessions", "/api/v1/sessions/s", "/api/v1/devices", "/api/v1/pair/attempts", "/api/v1/log", "/api/v1/doctor", "/api/v1/sessions/s/session.json"} {
		try("GET", p, "", 200, b...)
		try("GET", p, "", 401)
		if p != "/api/v1/state" && p != "/api/v1/playlists" {
			try("GET", p, "", 403, o...)
		}
	}
	const arc = "/api/v1/playlists/evening%2Ffirst/arc"
	try("GET", arc, "", 200, o...)
	try("GET", arc, "", 401)
	try("GET", "/api/v1/playlists/evening%2Fsecond/arc", "", 404, b...)
	try("GET", "/api/v1/playlists/evening%2Fhalf/arc", "", 409, b...)
	const change = "/api/v1/playlists/evening%2Ffirst/change"
	try("GET", change, "", 200, b...)
	try("GET", change, "", 401)
	try("GET", change, "", 403, o...)
	try("GET", "/api/v1/playlists/evening%2Fsecond/change", "", 404, b...)
	try("GET", "/api/v1/playlists/evening%2Fhalf/change", "", 409, b...)
	const heard = "/api/v1/playlists/evening%2Ffirst/audition"
	try("GET", heard+"?join=0", "", 409, b...) // a session runs
	h.room.rest(true)
	try("GET", heard+"?join=3", "", 200, b...)
	try("GET", heard+"?at=0&for=60000", "", 200, b...)
	try("GET", heard+"?join=0", "", 401)
	try("GET", heard+"?join=0", "", 403, o...)
	try("GET", "/api/v1/playlists/evening%2Fsecond/audition?join=0", "", 404, b...)
	try("GET", "/api/v1/playlists/evening%2Fhalf/audition?join=0", "", 409, b...)
	for _, bad := range []string{"", "?at=0", "?at=-1&for=2000", "?at=0&for=60001", "?at=0&for=999", "?join=x", "?join=4", "?join=1&at=2&for=3000"} {
		try("GET", heard+bad, "", 422, b...)
	}
	h.server.listening.Lock()
	try("GET", heard+"?join=0", "", 409, b...)
	h.server.listening.Unlock()
	if _, err := h.tokens.Create(t.Context(), "lost tablet", Therapist); err != nil {
		t.Fatal(err)
	}
	try("DELETE", "/api/v1/devices/lost%20tablet", "", 200, b...)
	try("DELETE", "/api/v1/devices/lost%20tablet", "", 404, b...)
	try("DELETE", "/api/v1/devices/tablet", "", 401)
	try("DELETE", "/api/v1/devices/tablet", "", 403, o...)
	try("GET", "/api/v1/sessions/t", "", 404, b...)
	try("GET", "/api/v1/sessions/s/session.pdf", "", 404, b...)
	try("GET", "/api/v1/sessions/t/session.csv", "", 404, b...)
	try("DELETE", "/api/v1/sessions/s", "", 200, b...)
	try("DELETE", "/api/v1/sessions/t", "", 404, b...)
	try("DELETE", "/api/v1/sessions/running", "", 409, b...)
	try("DELETE", "/api/v1/sessions/s", "", 401)
	try("DELETE", "/api/v1/sessions/s", "", 403, o...)
	const uploads = "/api/v1/uploads"
	up := func(name, size string) []string {
		return append(slices.Clone(b), "Tus-Resumable", "1.0.0", "Upload-Length", size, "Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte(name)))
	}
	h.room.rest(true)
	begun, _ := h.ask(t, "POST", uploads, "", up("a.mp3", "8")...)
	one8 := strings.TrimPrefix(begun.Header.Get("Location"), h.URL)
	rest := append(slices.Clone(b), "Tus-Resumable", "1.0.0", "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream")
	try("POST", uploads, "", 201, up("b.mp3", "8")...)
	try("POST", uploads, "", 422, up("b.zip", "8")...)
	try("POST", uploads, "", 507, up("b.mp3", "9000000000000000")...)
	try("POST", uploads, "", 400, append(up("b.mp3", "8"), "Upload-Length", "-1")...)
	try("POST", uploads, "", 412, append(up("b.mp3", "8"), "Tus-Resumable", "0.1")...)
	try("HEAD", one8, "", 200, up("", "")...)
	try("HEAD", uploads+"/ab", "", 404, up("", "")...)
	try("PATCH", uploads+"/ab", "12345678", 404, rest...)
	try("PATCH", one8, "12345678", 409, append(slices.Clone(rest), "Upload-Offset", "4")...)
	h.room.rest(false)
	try("POST", uploads, "", 423, up("b.mp3", "8")...)
	try("HEAD", one8, "", 423, up("", "")...)
	try("PATCH", one8, "12345678", 423, rest...)
	h.room.rest(true)
	for range uploadsAtOnce {
		h.server.uploading <- struct{}{}
	}
	try("PATCH", one8, "12345678", 429, rest...)
	for range uploadsAtOnce {
		<-h.server.uploading
	}
	try("PATCH", one8, "1234", 204, rest...)
	try("PATCH", one8, "5678", 200, append(slices.Clone(rest), "Upload-Offset", "4")...)
	other, _ := h.ask(t, "POST", uploads, "", up("d.mp3", "8")...)
	shelf := h.server.o.Shelf
	h.server.o.Shelf = fullShelf{shelf}
	try("PATCH", strings.TrimPrefix(other.Header.Get("Location"), h.URL), "1234", 507, rest...)
	h.server.o.Shelf = shelf
	again, _ := h.ask(t, "POST", uploads, "", up("c.mp3", "8")...)
	gone := strings.TrimPrefix(again.Header.Get("Location"), h.URL)
	try("DELETE", gone, "", 204, up("", "")...)
	try("DELETE", gone, "", 404, up("", "")...)
	h.room.rest(false)
	for _, m := range [][2]string{{"POST", uploads}, {"HEAD", gone}, {"PATCH", gone}, {"DELETE", gone}} {
		try(m[0], m[1], "", 401)
		try(m[0], m[1], "", 403, o...)
	}
	try("POST", "/api/v1/sticks/1/import", "", 423, b...)
	h.room.rest(true)
	for id, status := range map[string]int{"1": 202, "2": 404, "3": 409, "4": 507, "5": 500} {
		try("POST", "/api/v1/sticks/"+id+"/import", "", status, b...)
	}
	try("GET", "/api/v1/sticks", "", 200, b...)
	try("DELETE", "/api/v1/sticks/import", "", 200, b...)
	try("DELETE", "/api/v1/sticks/import", "", 404, b...)
	h.sticks.broken = true
	try("GET", "/api/v1/sticks", "", 500, b...)
	h.room.rest(false)
	for _, m := range [][2]string{{"GET", "/api/v1/sticks"}, {"POST", "/api/v1/sticks/1/import"}, {"DELETE", "/api/v1/sticks/import"}} {
		try(m[0], m[1], "", 401)
		try(m[0], m[1], "", 403, o...)
	}
	tryFiles(t, h, try, bj, o)
	trySetup(t, h, try, bj, o)
	tryClinic(t, h, try, bj, o)
	const commands, pair = "/api/v1/commands", "/api/v1/pair"
	try("POST", commands, `{"id":"1","do":"extend","by":"5m","phase":"Arrival"}`, 200, bj...)
	try("POST", commands, `{"id":"1","do":"level","db":-1.5}`, 200, bj...)
	try("POST", commands, `{"id":"2","do":"emergency"}`, 200, bj...)
	try("POST", commands, `{"id":"1","do":"hold"}`, 409, bj...)
	try("POST", commands, `{"do":"next"}`, 422, bj...)
	try("POST", commands, `{"id":"1","do":"next"}`, 401, j...)
	try("POST", commands, `{"id":"1","do":"next"}`, 415, b...)
	try("POST", commands, `{"id":"1","do":"next"}`, 403, append(slices.Clone(o), j...)...)
	for _, bad := range []string{``, `{`, `[]`, `{"id":7}`, `{"id":"1","do":"next","loud":true}`, `{"id":"1","do":"next"} {}`} {
		try("POST", commands, bad, 400, bj...)
	}
	try("POST", commands, `{"id":"`+strings.Repeat("1", maxBody)+`"}`, 413, bj...)
	one, two := offer(t, h.tokens, "", Therapist), offer(t, h.tokens, "", Observer)
	try("POST", pair, fmt.Sprintf(`{"code":%q,"name":"iPad"}`, one.Code), 200, j...)
	try("POST", pair, fmt.Sprintf(`{"link":%q}`, two.Link), 200, j...)
	try("POST", pair, `{"link":"guess"}`, 401, j...)
	try("POST", pair, `{"key":"guess"}`, 400, j...)
	try("POST", pair, `{"link":"guess"}`, 415)
	for _, bad := range []string{`{}`, `{"code":"1234567"}`, `{"code":"12345x"}`, `{"link":"123456"}`, `{"code":"123456","link":"x"}`} {
		try("POST", pair, bad, 422, j...)
	}
	try("POST", pair, strings.Repeat(" ", maxBody+1), 413, j...)
	const codes = pair + "/codes"
	try("GET", pair, "", 200)
	try("POST", codes, `{"role":"observer"}`, 200, bj...)
	try("POST", codes, `{"role":"observer"}`, 401, j...)
	try("POST", codes, `{"role":"observer"}`, 403, append(slices.Clone(o), j...)...)
	try("POST", codes, `{"role":"observer","name":"x"}`, 400, bj...)
	try("POST", codes, `{"role":"owner"}`, 422, bj...)
	try("POST", codes, `{"role":"observer"}`, 415, b...)
	try("POST", codes, strings.Repeat(" ", maxBody+1), 413, bj...)
	h.server.admitting.SetBurst(0)
	try("POST", codes, `{"role":"observer"}`, 429, bj...)
	h.server.admitting.SetBurst(admitBurst)
	h.server.admitting.SetLimit(rate.Inf)
	h.server.guesses = newGuesses(slog.New(slog.DiscardHandler))
	for range triesAtOnce {
		try("POST", pair, `{"code":"123456"}`, 401, j...)
	}
	try("POST", pair, `{"code":"123456"}`, 429, j...)
	h.room.rest(true)
	h.room.broken = true
	try("POST", commands, `{"id":"9","do":"next"}`, 500, bj...)
	try("GET", arc, "", 500, b...)
	try("GET", heard+"?join=0", "", 500, b...)
	try("GET", change, "", 500, b...)
	try("GET", "/api/v1/sessions", "", 500, b...)
	try("GET", "/api/v1/sessions/s", "", 500, b...)
	try("GET", "/api/v1/sessions/s/session.csv", "", 500, b...)
	try("DELETE", "/api/v1/sessions/s", "", 500, b...)
	disk := &sick{Database: h.tokens.db}
	disk.fails.Store(true)
	h.tokens.db = disk
	try("GET", "/api/v1/devices", "", 500, b...)
	try("DELETE", "/api/v1/devices/tablet", "", 500, b...)
	try("POST", pair, `{"link":"guess"}`, 500, j...)
	try("POST", codes, `{"role":"observer"}`, 500, bj...)
	h.server.Bye(t.Context())
	try("GET", "/ws", "", 503, append(upgrade, b...)...)
	try("GET", "/wall/ws", "", 503, append(upgrade, "Sec-WebSocket-Protocol", wallProtocol+", "+wallToken+watch)...)
	api.Whole()
}

func TestFaultNamesTheField(t *testing.T) {
	h := open(t)
	for body, want := range map[string]string{
		`{"id":7}`:                            `{"field":"id","reason":"a number where a string belongs"}`,
		`{"id":"1","loud":true}`:              `{"field":"loud","reason":"there is no such field"}`,
		`{"id":"1",}`:                         `"reason":"no JSON at byte`,
		`{"id":"1","do":"level","db":"high"}`: `"field":"db"`,
	} {
		if _, out := h.ask(t, "POST", "/api/v1/commands", body, append(h.bearer(), "Content-Type", asJSON)...); !strings.Contains(out, want) {
			t.Errorf("%s: %s", body, out)
		}
	}
}

func TestTokens(t *testing.T) {
	h := open(t)
	for _, name := range []string{"", "  ", strings.Repeat("x", 65), "tablet"} {
		if _, err := h.tokens.Create(t.Context(), name, Therapist); err == nil {
			t.Errorf("a token called %q was made", name)
		}
	}
	// Another process makes and ends tokens.
	other, _, err := journal.Open(h.store)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	theirs := NewTokens(other)
	token, err := theirs.Create(t.Context(), "second", Observer)
	if err != nil {
		t.Fatal(err)
	}
	if whose, ok := h.tokens.Check(token, false); !ok || whose.Name != "second" || whose.Role != Observer {
		t.Errorf("a token that another process made: %+v, %v", whose, ok)
	}
	rig.Eventually(t, "its use is noted", func() bool {
		list, err := h.tokens.List(t.Context())
		if err != nil || len(list) != 2 || list[0].Name != "second" {
			t.Fatalf("the list is %+v, %v", list, err)
		}
		return !list[0].LastUsed.IsZero()
	})
	if err := theirs.Revoke(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "a revoked token works no more", func() bool { _, ok := h.tokens.Check(token, false); return !ok })
	if err := theirs.Revoke(t.Context(), "second"); !errors.Is(err, ErrNoToken) {
		t.Errorf("revoked twice: %v", err)
	}
	for _, ending := range []string{"", "-wal"} {
		if b, _ := os.ReadFile(h.store + ending); bytes.Contains(b, []byte(h.token)) {
			t.Error("the token itself is on the disk")
		}
	}
}

func TestUIFiles(t *testing.T) {
	h := open(t)
	resp, body := h.ask(t, "GET", "/", "", h.bearer()...)
	if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(body, "/assets/") {
		t.Fatalf("the page: %s %v", resp.Status, resp.Header)
	}
	i := strings.Index(body, "/assets/")
	asset := body[i : i+strings.IndexByte(body[i:], '"')]
	resp, _ = h.ask(t, "GET", asset, "", append(h.bearer(), "Accept-Encoding", "gzip")...)
	if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") || resp.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%s: %s %v", asset, resp.Status, resp.Header)
	}
	for _, path := range []string{"/%2e%2e/server.go", "/assets/", "/embed.go", asset + ".gz", "/nothing"} {
		if resp, _ := h.ask(t, "GET", path, "", h.bearer()...); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func FuzzCommandBody(f *testing.F) {
	for _, s := range []string{`{"id":"1","do":"next"}`, `{"id":"1","do":"level","db":1e999}`, `{`, `[[[[`, "\x00", `{"do":null}`} {
		f.Add(s)
	}
	h := open(f)
	f.Fuzz(func(t *testing.T, body string) {
		resp, out := h.ask(t, "POST", "/api/v1/commands", body, append(h.bearer(), "Content-Type", asJSON)...)
		if resp.StatusCode >= 500 || !json.Valid([]byte(out)) {
			t.Errorf("%q: %s %s", body, resp.Status, out)
		}
	})
}

// TestHealthTellsNothingOfASession asks as anybody on the network may.
func TestHealthTellsNothingOfASession(t *testing.T) {
	h := open(t)
	var got health
	resp, body := h.ask(t, "GET", "/healthz", "")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || got.State != "degraded" || len(got.Parts) != 2 {
		t.Fatalf("%s %+v", resp.Status, got)
	}
	if p := got.Parts[0]; p.Part != "sound" || p.State != room.Degraded || p.Since == "" || p.Why == "" || p.Why == "s" || p.Do == "" || p.Do == "d" {
		t.Errorf("of a degraded part it says %+v", p)
	}
	if p := got.Parts[1]; p != (partHealth{Part: "disk", State: room.Working}) {
		t.Errorf("of a part that works it says %+v", p)
	}
	for _, name := range room.Parts() {
		if unwell[name] == "" {
			t.Errorf("nothing can be said of %s", name)
		}
	}
}

// sick is a database on a disk that hangs, or fails.
type sick struct {
	Database
	hangs atomic.Bool
	fails atomic.Bool
}

func (s *sick) Read(use func(*sql.DB) error) error {
	for s.hangs.Load() {
		time.Sleep(5 * time.Millisecond)
	}
	if s.fails.Load() {
		return errors.New("disk I/O error")
	}
	return s.Database.Read(use)
}

func (s *sick) Write(ctx context.Context, change func(*sql.DB) error) (bool, error) {
	if s.fails.Load() {
		return false, errors.New("disk I/O error")
	}
	return s.Database.Write(ctx, change)
}

// A disk that does not answer keeps no tablet waiting and sends none away.
func TestTokensWhileTheDiskIsSick(t *testing.T) {
	h := open(t)
	disk := &sick{Database: h.tokens.db}
	tokens := NewTokens(disk)
	if whose, ok := tokens.Check(h.token, false); !ok || whose.Name != "tablet" {
		t.Fatalf("%+v, %v", whose, ok)
	}
	for _, x := range []struct {
		name string
		sick *atomic.Bool
	}{{"hangs", &disk.hangs}, {"fails", &disk.fails}} {
		time.Sleep(tokensFresh + 10*time.Millisecond)
		x.sick.Store(true)
		asked := time.Now()
		if _, ok := tokens.Check(h.token, false); !ok {
			t.Errorf("a disk that %s sends a tablet away", x.name)
		}
		rig.Bar(t, "a disk that "+x.name, "a tablet waits", time.Since(asked).Seconds(), 0.5, "s")
		x.sick.Store(false)
	}
}

// Figures are for who is on this computer or has a token, and hold nothing of a session but that it runs.
func TestMetrics(t *testing.T) {
	h := open(t)
	h.room.change()
	ask := func(from string, head ...string) (int, string) {
		r := httptest.NewRequest("GET", "http://localhost/metrics", nil)
		r.RemoteAddr = from
		for i := 0; i < len(head); i += 2 {
			r.Header.Set(head[i], head[i+1])
		}
		w := httptest.NewRecorder()
		h.server.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		from string
		head []string
		want int
	}{
		{"127.0.0.1:5", nil, 200}, {"[::1]:5", nil, 200}, {"[::ffff:127.0.0.1]:5", nil, 200}, {"192.168.1.9:5", nil, 401}, {"[fe80::1%eth0]:5", nil, 401},
		{"127.0.0.1:5", []string{"X-Forwarded-For", "192.168.1.9"}, 401}, {"127.0.0.1:5", []string{"X-Real-IP", "192.168.1.9"}, 401},
		{"127.0.0.1:5", []string{"via", "1.1 proxy"}, 401}, {"127.0.0.1:5", []string{"X-Forwarded-Host", "room"}, 401}, {"", nil, 401}, {"192.168.1.9:5", h.bearer(), 200},
	} {
		code, body := ask(c.from, c.head...)
		if code != c.want {
			t.Errorf("from %q with %v: %d, wanted %d", c.from, c.head, code, c.want)
		}
		if code != 200 {
			continue
		}
		for _, want := range []string{`roomd_part_degraded{part="sound"} 1`, `roomd_session_part_degraded{part="sound"} 1`, `roomd_session_part_degraded{part="disk"} 0`, "roomd_sound_underruns_total", "roomd_tablet_sockets 0", "go_goroutines", "process_open_fds"} {
			if !strings.Contains(body, want) {
				t.Errorf("the figures lack %s:\n%s", want, body)
			}
		}
		if strings.Contains(body, "Arrival") || strings.Contains(body, "Evening") {
			t.Error("the figures tell of the session")
		}
	}
	// Of a room whose parts all work they don't tell whether a session runs.
	h.room.mu.Lock()
	h.room.well = true
	h.room.mu.Unlock()
	figures := func(idle bool) (out []string) {
		h.room.rest(idle)
		_, body := ask("127.0.0.1:5")
		for line := range strings.Lines(body) {
			if strings.HasPrefix(line, "roomd_") {
				out = append(out, line)
			}
		}
		return out
	}
	if running, free := figures(false), figures(true); len(free) < 10 || !slices.Equal(running, free) {
		t.Errorf("the figures tell that a session runs:\n%s\n%s", running, free)
	}
}

// A session as a file tells times from the lozenge, and neither a date nor when its record erases itself.
func TestExport(t *testing.T) {
	h := open(t)
	resp, csv := h.ask(t, "GET", "/api/v1/sessions/s/session.csv", "", h.bearer()...)
	want := "\ufeffsince the start,since Lozenge,kind,what,detail\r\n" +
		"0:00:00,-0:11:00,phase,Arrival,preparation\r\n" +
		"0:00:00,-0:11:00,music,'@Nuvole,\r\n" +
		"0:05:00,-0:06:00,mark,Vitals,\r\n" +
		"0:10:00,-0:01:00,change,hold,\r\n" +
		"0:11:00,0:00:00,mark,Lozenge,\"'=calm, \"\"slow\"\"\"\r\n" +
		"0:11:40,0:00:40,change,level,'-1 dB\r\n" +
		"0:23:00,0:12:00,asked,choose Open,T at 0:25:00\r\n" +
		"3:00:00,2:49:00,end,as planned,all went well\r\n"
	if csv != want {
		t.Errorf("%s\nwanted\n%s", csv, want)
	}
	if d := resp.Header.Get("Content-Disposition"); d != `attachment; filename="session-s.csv"` {
		t.Error(d)
	}
	_, text := h.ask(t, "GET", "/api/v1/sessions/s/session.json", "", h.bearer()...)
	var rec room.SessionRecord
	if err := json.Unmarshal([]byte(text), &rec); err != nil || len(rec.Notes) != 2 || len(rec.Session.Marks) != 2 || rec.ErasedInMS != nil || rec.Session.StartedMS != 0 {
		t.Errorf("%s, %v", text, err)
	}
}

// The page stays small as it travels. What a session really fetches is measured in a browser.
func TestPageIsSmall(t *testing.T) {
	size := func(name string) int {
		b, err := ui.Files.ReadFile("dist/" + name + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	page, err := ui.Files.ReadFile("dist/index.html")
	if err != nil {
		t.Fatal(err)
	}
	code, rest, found := 0, size("index.html"), 0
	for _, m := range regexp.MustCompile(`(?:src|href)="/(assets/[^"]+)"`).FindAllSubmatch(page, -1) {
		if name := string(m[1]); strings.HasSuffix(name, ".js") {
			code += size(name)
		} else {
			rest += size(name)
		}
		found++
	}
	// What the first script fetches before anything is shown is named in it: texts, and but for English the room's sentences.
	all, err := fs.Glob(ui.Files, "dist/assets/*.js")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]int{}
	lazy := []string{"aside-", "desk-", "wall-", "Page-", "clinic-"} // what no session fetches
	for _, f := range all {
		name := strings.TrimPrefix(f, "dist/")
		base := path.Base(name)
		kind, rest, _ := strings.Cut(base, "-")
		switch {
		case kind == "locales" || kind == "said":
			texts[rest[:2]] += size(name)
		case !strings.Contains(string(page), name) && !slices.ContainsFunc(lazy, func(p string) bool { return strings.HasPrefix(base, p) }):
			t.Errorf("%s is fetched, and counted nowhere", name)
		}
	}
	if english := code + texts["en"]; found < 2 || len(texts) != 5 || english > 60_000 {
		t.Errorf("a session takes %d bytes of JavaScript in English, in %d files", english, found)
	}
	for l, n := range texts {
		if code+rest+n > 73_000 {
			t.Errorf("the page takes %d bytes in %s", code+rest+n, l)
		}
	}
	t.Logf("%d bytes of code, %d beside it, texts %v", code, rest, texts)
}
