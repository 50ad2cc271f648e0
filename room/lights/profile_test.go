package lights

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a test found holds over what the maker is known for, and the room file over both.
func TestProfileHolds(t *testing.T) {
	for _, c := range []struct {
		name, topic, profile, file string
		together                   bool
	}{
		{"nothing known", "a", "", "", false}, {"tested", "a", "both", "", true}, {"room file", "a", "both", "one", false},
		{"group, nothing known", "all", "", "", false}, {"group, tested", "all", "both", "", true}, {"group, room file", "all", "both", "one", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(context.Background())
				w := newWorld(t, ctx, &bulb{name: "zigbee2mqtt/a", ikea: true, on: true}, &bulb{name: "zigbee2mqtt/b", ikea: true, on: true})
				lamps := z2m(c.topic)
				lamps[0].Extra = map[string]string{"fade": c.file}
				dir := t.TempDir()
				for _, x := range []string{"a", "b"} {
					if err := (Profile{Topic: "zigbee2mqtt/" + x, Fade: c.profile, Lowest: 9}).Save(dir); err != nil {
						t.Fatal(err)
					}
				}
				profiles, err := LoadProfiles(dir)
				if err != nil {
					t.Fatal(err)
				}
				ctl := New(w.bus, map[string][]Lamp{"ambient": lamps}, nil)
				ctl.Tested(profiles, "")
				done := make(chan struct{})
				go func() { _ = ctl.Run(ctx); close(done) }()
				time.Sleep(3 * time.Second)
				ctl.Fade(Move{Scene: Scene{"ambient": {L: 5, Kelvin: 4000}}, Over: time.Minute})
				time.Sleep(90 * time.Second)
				both := false
				for _, p := range w.bus.commands(c.topic+"/set", time.Time{}) {
					text := string(p.payload)
					both = both || strings.Contains(text, "brightness") && strings.Contains(text, "color_temp")
				}
				if both != c.together {
					t.Errorf("level and white in one message: %v", both)
				}
				if got := w.bulb("zigbee2mqtt/a").level.to; got != 9 {
					t.Errorf("the lowest level is 9, and it is sent to %.0f", got)
				}
				stop()
				<-done
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestProfilesThatCanNotBeRead(t *testing.T) {
	dir := t.TempDir()
	if p, err := LoadProfiles(filepath.Join(dir, "none")); p != nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	for name, text := range map[string]string{"a.json": "{", "b.json": "{}", "c.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Profile{Topic: "x/y", Fade: "none", Tested: time.Now()}).Save(dir); err != nil {
		t.Fatal(err)
	}
	p, err := LoadProfiles(dir)
	if len(p) != 1 || p["x/y"].Fade != "none" || err == nil || !strings.Contains(err.Error(), "a.json") || !strings.Contains(err.Error(), "b.json") {
		t.Errorf("%v, %v", p, err)
	}
}
