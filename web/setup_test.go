package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"roomd/rig"
	"roomd/room"
)

// fakeSetup has a room with one of everything. What it is asked for is kept; an argument named for its fault fails.
type fakeSetup struct {
	mu      sync.Mutex
	asked   []string
	playing chan struct{} // gets a value as each play begins
	wrote   SetupChange
}

func (f *fakeSetup) note(what, name string) error {
	f.mu.Lock()
	f.asked = append(f.asked, what+" "+name)
	f.mu.Unlock()
	switch name {
	case "field":
		return room.Refuse("setup-device", "device", name).Of("device")
	case "state":
		return room.Refuse("setup-file")
	case "broken":
		return Trouble{room.NewProblem("sound", "sound-busy").With("EBUSY")}
	case "fire":
		return errors.New("disk on fire")
	}
	return nil
}

func (f *fakeSetup) View() SetupView {
	f.mu.Lock()
	defer f.mu.Unlock()
	return SetupView{Fresh: true, Room: "Willow", Problems: []room.Problem{room.NewProblem("room", "room-file-error").With("room.yaml:1")},
		Sound: SetupSound{Output: "alsa", Devices: []SoundDevice{{Name: "DAC", Rates: []int{48000}, USB: true}}, Reference: -23, ReferenceMin: -40, ReferenceMax: -14},
		Lights: SetupLights{Broker: "mqtt://me@localhost:1883", BrokerState: BrokerConnected, Brokers: []FoundBroker{{URL: "mqtt://localhost:1883"}}, Zigbee: true,
			Joined: []JoinedDevice{{"0x1", "asked"}}, Offers: []LightOffer{{Driver: "zigbee2mqtt", Topic: "z/a", Members: []string{"z/b"}}}, Roles: []string{"ambient"}}}
}

func (f *fakeSetup) Look(context.Context) error { return f.note("look", "") }

func (f *fakeSetup) Play(ctx context.Context, device string, reference *float64) error {
	if err := f.note("play", device); err != nil {
		return err
	}
	if device == "long" {
		f.playing <- struct{}{}
		<-ctx.Done()
	}
	return ctx.Err()
}

func (f *fakeSetup) Try(_ context.Context, broker string) error   { return f.note("try", broker) }
func (f *fakeSetup) Show(_ context.Context, lamp SetupLamp) error { return f.note("show", lamp.Topic) }

func (f *fakeSetup) Join(_ context.Context, seconds int) error {
	return f.note("join", map[int]string{13: "broken"}[seconds])
}

func (f *fakeSetup) Write(_ context.Context, c SetupChange) error {
	f.mu.Lock()
	f.wrote = c
	f.mu.Unlock()
	name := ""
	if c.Room != nil {
		name = *c.Room
	}
	return f.note("write", name)
}

func (f *fakeSetup) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

const setupAt = "/api/v1/setup"

// setupChanges are the routes that change something, each with a body.
var setupChanges = []struct{ method, path, body string }{
	{"PUT", setupAt, `{"room":"Oak","device":"","reference":-20,"broker":"embedded","lights":{"ambient":[{"driver":"zigbee2mqtt","topic":"z/a"}],"accent":[]},"done":true}`},
	{"POST", setupAt + "/look", ""}, {"POST", setupAt + "/sound/play", `{"device":"DAC","reference":-23}`}, {"POST", setupAt + "/sound/stop", ""},
	{"POST", setupAt + "/broker/try", `{"broker":"mqtt://a:b@c"}`}, {"POST", setupAt + "/lights/show", `{"driver":"zigbee2mqtt","topic":"z/a"}`}, {"POST", setupAt + "/zigbee/join", `{"seconds":120}`},
}

// trySetup tries each route of the setup: what it takes, and each kind of fault.
func trySetup(t *testing.T, h *house, try func(method, path, body string, want int, head ...string), bj, observer []string) {
	t.Helper()
	with := func(head []string) []string { return append(slices.Clone(head), "Content-Type", asJSON) }
	h.room.rest(true)
	try("GET", setupAt, "", 200, bj...)
	for _, c := range setupChanges {
		want := http.StatusNoContent
		if c.path == setupAt || strings.HasSuffix(c.path, "/look") {
			want = http.StatusOK
		}
		try(c.method, c.path, c.body, want, bj...)
		try(c.method, c.path, c.body, 401, "Content-Type", asJSON)
		try(c.method, c.path, c.body, 403, with(observer)...)
		if c.body != "" {
			try(c.method, c.path, `{"loud":true}`, 400, bj...)
			try(c.method, c.path, c.body, 415, bj[:2]...)
			try(c.method, c.path, `{"room":"`+strings.Repeat("x", maxBody)+`"}`, 413, bj...)
		}
	}
	try("GET", setupAt, "", 401)
	try("GET", setupAt, "", 403, observer...)
	for fault, want := range map[string]int{"field": 422, "state": 409, "broken": 502, "fire": 500} {
		try("PUT", setupAt, `{"room":"`+fault+`"}`, want, bj...)
		if want == 500 {
			continue
		}
		try("POST", setupAt+"/sound/play", `{"device":"`+fault+`"}`, want, bj...)
		try("POST", setupAt+"/broker/try", `{"broker":"`+fault+`"}`, want, bj...)
		try("POST", setupAt+"/lights/show", `{"driver":"x","topic":"`+fault+`"}`, want, bj...)
	}
	for _, bad := range []string{`{"seconds":-1}`, `{"seconds":255}`} {
		try("POST", setupAt+"/zigbee/join", bad, 422, bj...)
	}
	try("POST", setupAt+"/zigbee/join", `{"seconds":13}`, 502, bj...)
	h.setup.mu.Lock()
	h.setup.asked = nil
	h.setup.mu.Unlock()
	h.room.rest(false)
	for _, c := range setupChanges {
		if !strings.HasSuffix(c.path, "/stop") {
			try(c.method, c.path, c.body, 409, bj...)
		}
	}
	if got := h.setup.calls(); len(got) > 0 {
		t.Errorf("in a session it was asked to %v", got)
	}
	try("GET", setupAt, "", 200, bj...)
	h.server.o.Setup = nil
	try("GET", setupAt, "", 503, bj...)
	for _, c := range setupChanges {
		try(c.method, c.path, c.body, 503, bj...)
	}
	h.server.o.Setup = h.setup
}

// TestSetupIsOneAtATime holds that two tablets do not set the room up at once, that a stop lets the next one play at once, and that
// a session that begins ends what is played.
func TestSetupIsOneAtATime(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.room.rest(true)
	bj := append(h.bearer(), "Content-Type", asJSON)
	type answer struct {
		status int
		body   string
	}
	play := func() chan answer {
		ended := make(chan answer, 1)
		go func() {
			resp, body := h.ask(t, "POST", setupAt+"/sound/play", `{"device":"long"}`, bj...)
			ended <- answer{resp.StatusCode, body}
		}()
		select {
		case <-h.setup.playing:
		case a := <-ended:
			t.Fatalf("it does not play: %+v", a)
		}
		return ended
	}
	first := play()
	if resp, body := h.ask(t, "PUT", setupAt, `{"room":"Oak"}`, bj...); resp.StatusCode != http.StatusConflict || !strings.Contains(body, "setup-busy") {
		t.Errorf("%s %s", resp.Status, body)
	}
	if resp, _ := h.ask(t, "GET", setupAt, "", bj...); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if resp, _ := h.ask(t, "POST", setupAt+"/sound/stop", "", bj...); resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
	second := play() // does not wait
	if a := <-first; a.status != http.StatusNoContent {
		t.Errorf("stopped, it answers %+v", a)
	}
	h.room.rest(false)
	if a := <-second; a.status != http.StatusConflict || !strings.Contains(a.body, "setup-in-session") {
		t.Errorf("at a session's begin it answers %+v", a)
	}
	h.room.rest(true)
	// Who goes away ends it too.
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", h.URL+setupAt+"/sound/play", strings.NewReader(`{"device":"long"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", bj[1])
	req.Header.Set("Content-Type", asJSON)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}()
	<-h.setup.playing
	leave()
	<-gone
	rig.Eventually(t, "the next one is let in", func() bool {
		resp, _ := h.ask(t, "POST", setupAt+"/sound/play", `{"device":"DAC"}`, bj...)
		return resp.StatusCode == http.StatusNoContent
	})
}
