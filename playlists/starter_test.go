package playlists

import (
	"context"
	"testing"
	"time"
)

// TestStarters holds what the starters promise: no warning, no file, the lengths that their names say.
func TestStarters(t *testing.T) {
	want := map[string]time.Duration{"starter/three-hours": 3 * time.Hour, "starter/quiet": 3 * time.Hour, "starter/steered": 3 * time.Hour, "starter/tour": 10 * time.Minute}
	for _, pl := range Starters() {
		length, ok := want[pl.ID]
		if !ok {
			t.Fatalf("%s: not expected", pl.ID)
		}
		delete(want, pl.ID)
		if pl.Length() != length {
			t.Errorf("%s is %v long, want %v", pl.ID, pl.Length(), length)
		}
		var before, after time.Duration // the lozenge
		for _, ph := range pl.Phases {
			if ph.Stage == Preparation {
				before += ph.Length
			} else {
				after += ph.Length
			}
		}
		if length == 3*time.Hour && (before != 40*time.Minute || after != 140*time.Minute) {
			t.Errorf("%s: %v before the lozenge, %v after it", pl.ID, before, after)
		}
		got, problems := Resolve(context.Background(), "", pl.ID+".yaml", pl, nil, nil)
		if len(problems) > 0 {
			t.Errorf("%s: %v", pl.ID, problems.Strings())
		}
		waits := false
		for _, ph := range got.Phases {
			waits = waits || ph.Until == "Lozenge"
			for _, it := range ph.Music {
				if it.Track != nil || it.Bed == "" && !it.Silence {
					t.Errorf("%s, %s: music %+v", pl.ID, ph.Name, it)
				}
			}
		}
		if !waits {
			t.Errorf("%s: no phase waits for the lozenge", pl.ID)
		}
	}
	if len(want) > 0 {
		t.Errorf("not embedded: %v", want)
	}
}
