package room

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPartsSayWhatIsDegraded(t *testing.T) {
	lost := map[string]LightView{"ambient": {State: "following"}, "accent": {State: "lost", Code: "lamps-lost", Args: Args{"role": "accent", "lamps": "a"}}}
	for _, c := range []struct {
		problem Problem
		lights  map[string]LightView
		part    string
	}{
		{Problem{Part: "sound", Says: "s", Do: "d"}, nil, "sound"},
		{Problem{Part: "lights", Says: "s", Do: "d"}, nil, "lights"},
		{Problem{}, lost, "lights"},
		{Problem{Part: "broker", Says: "s", Do: "d"}, nil, "broker"},
		{Problem{Part: "playlist", Says: "s", Do: "d"}, nil, "playlists"},
		{Problem{Part: "link", Says: "s", Do: "d"}, nil, "page"},
		{Problem{Part: "disk", Says: "s", Do: "d"}, nil, "disk"},
		{Problem{Part: "clock", Says: "s", Do: "d"}, nil, "clock"},
		{Problem{Part: "room", Says: "s", Do: "d"}, nil, "room"},
	} {
		first := partViews(partViews(nil, nil, nil, 0), []Problem{c.problem}, c.lights, time.Minute)
		again := partViews(first, []Problem{c.problem}, c.lights, time.Hour)
		well := partViews(again, nil, nil, 2*time.Hour)
		for k, name := range Parts() {
			switch v := again[k]; {
			case v.Part != name || !reflect.DeepEqual(well[k], PartView{Part: name, State: Working}):
				t.Errorf("%s: %+v, then %+v", name, v, well[k])
			case name != c.part && v.State != Working:
				t.Errorf("a problem of %s degrades %s", c.part, name)
			case name == c.part && (v.State != Degraded || v.SinceMS != 60_000 || v.Why == "" || v.Do == ""):
				t.Errorf("a problem of %s gives %+v", c.part, v)
			}
		}
	}
}

func TestClockThatIsWrong(t *testing.T) {
	if p, wrong := clockProblem(time.Date(1970, 1, 1, 0, 3, 0, 0, time.UTC)); !wrong || p.Part != "clock" || !strings.Contains(p.Says, "1970") || p.Do == "" {
		t.Errorf("%+v %v", p, wrong)
	}
	if _, wrong := clockProblem(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)); wrong {
		t.Error("today is taken for wrong")
	}
}
