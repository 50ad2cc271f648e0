package desk

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// shown is a room of rooms as the page gets it.
func shown(t interface{ Fatal(...any) }, r *Rooms, id string) (v view, ok bool) {
	e, _, _ := r.since(0)
	for _, text := range e.Rooms {
		v = view{}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		if v.ID == id {
			return v, true
		}
	}
	return view{}, false
}

// TestRoomsReadAnything gives the desk whatever a room could send: only that room's card changes, and what is shown is within bounds.
func TestRoomsReadAnything(t *testing.T) {
	parts := newRooms(false).parts
	rapid.Check(t, func(t *rapid.T) {
		r := newRooms(false)
		r.set("oak", registered{Name: "Oak"})
		r.set("elm", registered{Name: "Elm", House: "North"})
		before, _ := shown(t, r, "elm")
		for range rapid.IntRange(1, 8).Draw(t, "messages") {
			value := rapid.SampledFrom([]string{`""`, `"preparation"`, `"integration"`, "-1", "0", "5000", "99999999999", "1e99", "null", "true", "[]", "{}", `"online"`, `"offline"`, `"\u202e\u0000Oak"`, `"` + strings.Repeat("x", 500) + `"`,
				`[{"part":"sound","since_ms":5}]`, `[{"part":"cellar","since_ms":-5}]`, `{"revision":"` + strings.Repeat("9", 300) + `","changed_ms":-4}`})
			payload := "{"
			for i, key := range []string{"stage", "left_ms", "held", "ending", "broken", "state", "boot", "name", "house", "version", "library"} {
				if rapid.Bool().Draw(t, key) {
					if payload != "{" && i > 0 {
						payload += ","
					}
					payload += `"` + key + `":` + value.Draw(t, "value")
				}
			}
			payload += "}"
			if rapid.IntRange(0, 5).Draw(t, "raw") == 0 {
				payload = string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
			}
			id := rapid.SampledFrom([]string{"oak", "oak", "oak", "ash", "", "o/k"}).Draw(t, "id")
			r.Receive(id, rapid.SampledFrom([]string{"state", "status", "about", "cmd"}).Draw(t, "topic"), []byte(payload), rapid.Bool().Draw(t, "retained"))
		}
		e, _, _ := r.since(0)
		if after, _ := shown(t, r, "elm"); len(e.Rooms) != 2 || !same(before, after) {
			t.Fatalf("%d rooms, %+v became %+v", len(e.Rooms), before, after)
		}
		v, _ := shown(t, r, "oak")
		if v.Name == "" || len([]rune(v.Name+v.House+v.Version+v.Library.Revision)) > 4*maxText || strings.ContainsAny(v.Name, "\u202e\x00") || v.EndsMS > r.now()+maxLeft.Milliseconds() || len(v.Broken) > len(parts) || v.Broken == nil || v.Library.ChangedMS < 0 {
			t.Fatalf("%+v", v)
		}
		for _, s := range []string{v.Name, v.House, v.Version, v.Library.Revision} {
			if len([]rune(s)) > maxText {
				t.Fatalf("%q is shown", s)
			}
		}
	})
}

// TestWrongState ignores a state with a value that no room has, and keeps the one before.
func TestWrongState(t *testing.T) {
	r := newRooms(false)
	r.set("oak", registered{Name: "Oak"})
	r.Receive("oak", "state", []byte(`{"stage":"preparation","left_ms":5000}`), false)
	before, _ := shown(t, r, "oak")
	for _, wrong := range []string{"", "{", `[]`, `{"stage":"lunch"}`, `{"stage":"integration","left_ms":86400001}`, `{"stage":"integration","left_ms":-1}`,
		`{"broken":[` + strings.Repeat(`{"part":"sound"},`, 50) + `{"part":"sound"}]}`, `{"stage":"integration","x":"` + strings.Repeat("x", maxMessage) + `"}`} {
		r.Receive("oak", "state", []byte(wrong), false)
		if after, _ := shown(t, r, "oak"); !same(before, after) {
			t.Errorf("%.80s: %+v", wrong, after)
		}
	}
	r.Receive("oak", "state", []byte(`{"broken":[{"part":"cellar"},{"part":"sound","since_ms":-1},{"part":"disk"}]}`), false)
	if v, _ := shown(t, r, "oak"); len(v.Broken) != 1 || v.Broken[0].Part != "disk" {
		t.Errorf("%+v", v)
	}
}

func same(a, b view) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// TestClocks holds that the desk counts by its own monotonic clock from the moment of receipt.
func TestClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRooms(false)
		r.set("oak", registered{Name: "Oak"})
		time.Sleep(time.Hour)
		r.Receive("oak", "state", []byte(`{"stage":"administration","left_ms":600000,"broken":[{"part":"sound","since_ms":90000}]}`), false)
		time.Sleep(time.Minute)
		e, _, _ := r.since(0)
		v, _ := shown(t, r, "oak")
		if e.NowMS != 3_660_000 || v.EndsMS != 3_600_000+600_000 || len(v.Broken) != 1 || v.Broken[0] != (brokenSince{"sound", 3_510_000}) || !v.Reached {
			t.Errorf("%d %+v", e.NowMS, v)
		}
		r.Receive("oak", "status", []byte(`{"state":"offline"}`), false)
		time.Sleep(time.Minute)
		r.Receive("oak", "status", []byte(`{"state":"offline"}`), false)
		if v, _ = shown(t, r, "oak"); v.Reached || v.LostMS != 3_660_000 || v.Stage == "" {
			t.Errorf("lost: %+v", v)
		}
		r.Receive("oak", "state", []byte(`{}`), false)
		if v, _ = shown(t, r, "oak"); !v.Reached || v.LostMS != 0 || v.Stage != "" || v.EndsMS != 0 || len(v.Broken) != 0 {
			t.Errorf("free: %+v", v)
		}
	})
}

// TestLateWill ignores the will of a roomd that was started again since.
func TestLateWill(t *testing.T) {
	r := newRooms(false)
	r.set("oak", registered{})
	r.Receive("oak", "status", []byte(`{"state":"online","boot":"new"}`), false)
	r.Receive("oak", "status", []byte(`{"state":"offline","boot":"old"}`), false)
	if v, _ := shown(t, r, "oak"); !v.Reached {
		t.Error("a late will has it gone")
	}
	r.Receive("oak", "status", []byte(`{"state":"offline","boot":"new"}`), false)
	if v, _ := shown(t, r, "oak"); v.Reached {
		t.Error("its own will does not")
	}
}

// TestOutsideBroker reads what a broker of the clinic's has kept: a room that is not reached shows nothing of a session, of which nobody
// knows the age.
func TestOutsideBroker(t *testing.T) {
	r := newRooms(true)
	if e, _, _ := r.since(0); e.Connected || len(e.Rooms) != 0 {
		t.Errorf("%+v", e)
	}
	r.SetConnected(true)
	for _, topic := range []struct{ id, topic, text string }{
		{"oak", "state", `{"stage":"integration","left_ms":1000,"broken":[{"part":"sound"}]}`}, {"oak", "status", `{"state":"offline"}`}, {"oak", "about", `{"name":"Oak"}`},
		{"elm", "state", `{"stage":"integration","left_ms":1000}`}, {"elm", "status", `{"state":"online"}`},
	} {
		r.Receive(topic.id, topic.topic, []byte(topic.text), true)
	}
	if v, _ := shown(t, r, "oak"); v.Name != "Oak" || v.Heard || v.Reached || v.Stage != "" || v.EndsMS != 0 || len(v.Broken) != 0 {
		t.Errorf("a room that is off: %+v", v)
	}
	if v, _ := shown(t, r, "elm"); v.Name != "elm" || !v.Heard || !v.Reached || v.Stage != "integration" {
		t.Errorf("a room that is on: %+v", v)
	}
	e, at, _ := r.since(0)
	if !e.Connected {
		t.Error("not connected")
	}
	r.Receive("oak", "about", nil, false)
	if e, _, _ := r.since(at); len(e.Gone) != 1 || e.Gone[0] != "oak" || len(e.Rooms) != 0 {
		t.Errorf("removed: %+v", e)
	}
	r.Receive("oak", "about", []byte(`{"name":"Oak"}`), false)
	if e, _, _ := r.since(at); len(e.Gone) != 0 || len(e.Rooms) != 1 {
		t.Errorf("back: %+v", e)
	}
}
