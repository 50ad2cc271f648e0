package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room"
	"roomd/room/clinic"
	"roomd/web"
)

// TestAPIIsAsDescribed holds every route and every kind of fault to openapi.yaml, and its schemas to the types.
func TestAPIIsAsDescribed(t *testing.T) {
	h := open(t, t.TempDir(), 0)
	api := rig.OpenAPI(t, "openapi.yaml").At("https://" + h.page)
	api.Named()
	api.Types(map[string]any{"Fault": room.Refused{}, "About": about{}, "News": event{}, "Room": view{}, "Broken": brokenSince{}, "Library": clinic.Library{},
		"Offering": offering{}, "Offer": offered{}, "Used": used{}, "Member": member{}, "Joining": clinic.Joining{}, "Joined": clinic.Joined{}}, nil)
	enrolls, looks, nobody := h.device("desk", web.Therapist), h.device("wall", web.Observer), client{h: h}
	read := func(resp *http.Response) string {
		t.Helper()
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	// try does a request whose body is JSON, or text as it stands.
	try := func(c client, method, path string, body any, want int) string {
		t.Helper()
		text, kind := "", "application/json"
		switch body := body.(type) {
		case nil:
		case string:
			text = body
		case plain:
			text, kind = string(body), "text/plain"
		default:
			b, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		resp := c.send(method, path, kind, text)
		out := read(resp)
		if resp.StatusCode != want {
			t.Errorf("%s %s %.100s: %s %s, wanted %d", method, path, text, resp.Status, out, want)
			return out
		}
		req, err := http.NewRequest(method, "https://"+h.page+path, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", kind)
		api.Holds(req, resp, out)
		return out
	}
	const offers, current, join, rooms, willow = "/api/v1/desk/offers", "/api/v1/desk/offers/current", "/api/v1/desk/join", "/api/v1/desk/rooms", "/api/v1/desk/rooms/willow"
	try(nobody, "GET", "/api/v1/trust", nil, 200)
	try(nobody, "GET", "/api/v1/pair", nil, 200)
	for _, status := range []int{200, 400, 401, 413, 415, 422, 429, 500} {
		api.Tried("POST", "/api/v1/pair", status) // package web's own test: it is the same code
	}
	for _, path := range []string{"/api/v1/desk", rooms} {
		try(nobody, "GET", path, nil, 401)
	}
	for _, r := range []struct{ method, path string }{{"POST", offers}, {"GET", current}, {"DELETE", current}, {"DELETE", willow}} {
		try(nobody, r.method, r.path, struct{}{}, 401)
		try(looks, r.method, r.path, struct{}{}, 403)
	}
	try(looks, "GET", "/api/v1/desk", nil, 200)
	try(enrolls, "GET", current, nil, 404)
	joining := clinic.Joining{Code: "0000000", ID: "willow", Name: "Willow"}
	try(nobody, "POST", join, joining, 410)
	for _, r := range []struct {
		c    client
		path string
	}{{enrolls, offers}, {nobody, join}} {
		try(r.c, "POST", r.path, `{"loud":true}`, 400)
		try(r.c, "POST", r.path, strings.Repeat(" ", 1<<20), 413)
		try(r.c, "POST", r.path, plain("{}"), 415)
	}
	try(nobody, "POST", join, clinic.Joining{Code: "0000000", ID: "a/b"}, 422)
	try(enrolls, "POST", offers, offering{House: "North"}, 200)
	try(nobody, "POST", join, joining, 401)
	var o offered
	if err := json.Unmarshal([]byte(try(enrolls, "GET", current, nil, 200)), &o); err != nil {
		t.Fatal(err)
	}
	code, err := clinic.ParseCode(o.Code)
	if err != nil {
		t.Fatal(err)
	}
	joining.Code = code.Secret()
	try(nobody, "POST", join, joining, 200)
	try(enrolls, "GET", current, nil, 200) // who has used it
	try(enrolls, "DELETE", current, nil, 200)

	// Each event of the feed is as described, of a room in a session, of one that was lost and of one that was removed.
	willows := h.room(link{id: "willow", secret: h.register("willow")})
	h.say(willows, "roomd/willow/about", clinic.About{Name: "Willow", House: "North", Version: "1.2.3", Library: clinic.Library{Revision: "abc", ChangedMS: 5}})
	h.say(willows, "roomd/willow/state", clinic.State{Stage: "administration", LeftMS: 60_000, Held: true, Ending: true, Broken: []clinic.Broken{{Part: "sound", SinceMS: 90_000}}})
	h.eventually("willow", "in session", func(v view) bool { return v.Stage != "" && v.Version != "" })
	h.server.rooms.set("elm", registered{Name: "Elm"})
	feed := looks.do("GET", rooms, nil)
	if got := feed.Header.Get("Content-Type"); feed.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatal(feed.Status, got)
	}
	api.Tried("GET", rooms, 200)
	next := eventTexts(t, feed)
	news := func() (e event) {
		t.Helper()
		text := next()
		var is any
		if err := errors.Join(json.Unmarshal([]byte(text), &is), json.Unmarshal([]byte(text), &e)); err != nil {
			t.Fatal(err)
		}
		if err := api.Components.Schemas["News"].Value.VisitJSON(is); err != nil {
			t.Errorf("%s is not described: %v", text, err)
		}
		return e
	}
	if e := news(); !e.All || len(e.Rooms) != 2 {
		t.Fatalf("%+v", e)
	}
	willows.Disconnect(0)
	h.server.rooms.Receive("willow", clinic.Status, []byte(`{"state":"offline"}`), false)
	if e := news(); e.All || len(e.Rooms) != 1 {
		t.Errorf("%+v", e)
	}
	try(enrolls, "DELETE", willow, nil, 200)
	if e := news(); len(e.Gone) != 1 {
		t.Errorf("%+v", e)
	}
	try(enrolls, "DELETE", willow, nil, 404)
	feed.Body.Close()

	h.server.mu.Lock()
	h.server.count += feedsOfAll
	h.server.mu.Unlock()
	try(looks, "GET", rooms, nil, 429)
	h.register("willow")
	try(enrolls, "POST", offers, offering{}, 200)
	if err := json.Unmarshal([]byte(try(enrolls, "GET", current, nil, 200)), &o); err != nil {
		t.Fatal(err)
	}
	if code, err = clinic.ParseCode(o.Code); err != nil {
		t.Fatal(err)
	}
	h.registry.path = filepath.Join(t.TempDir(), "gone", "desk.json") // a disk that takes nothing
	joining.Code = code.Secret()
	h.server.guesses = web.NewGuesses(h.server.o.Log)
	try(nobody, "POST", join, joining, 500)
	try(enrolls, "DELETE", willow, nil, 500)
	joining.Code = "0000000"
	for n := 0; ; n++ {
		resp := nobody.send("POST", join, "application/json", fmt.Sprintf(`{"code":"0000000","id":"willow","name":"W%d"}`, n))
		if read(resp); resp.StatusCode == http.StatusTooManyRequests {
			break
		}
		if n > 20 {
			t.Fatal("guesses have no end")
		}
	}
	try(nobody, "POST", join, joining, 429)
	h.server.o.Outside = true
	for _, r := range []struct{ method, path string }{{"POST", offers}, {"GET", current}, {"DELETE", current}, {"DELETE", willow}} {
		try(enrolls, r.method, r.path, struct{}{}, 409)
	}
	try(nobody, "POST", join, joining, 409)
	api.Whole()
}

// plain is a body that does not say that it is JSON.
type plain string
