package lights_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
)

// TestTrial tests a role of one Hue and one IKEA bulb in a running room: the test is no hand, ends where it began and
// is kept; a move breaks it off at once.
func TestTrial(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	b := rig.Mosquitto(t)
	s := &stage{b, rig.Zigbee(t, b.URL)}
	s.light(t, 40)
	d := s.daemon(t, map[string][]lights.Lamp{"ambient": {lamp("room1/hue1"), lamp("room1/ikea1")}, "drawn": {{Driver: "simulated"}}})
	d.await(t, "ambient", lights.Following)
	for role, want := range map[string]string{"nobody": "unknown-role", "drawn": "lights-none"} {
		if says := d.Test(role); says.Code != want {
			t.Errorf("a test of %q: %q", role, says)
		}
	}
	d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: lstar(40)}}, Over: time.Second})
	time.Sleep(2 * time.Second)
	began := time.Now()
	if says := d.Test("ambient"); says.Code != "" {
		t.Fatal(says)
	}
	if says := d.Test("ambient"); says.Code != "lights-testing" {
		t.Errorf("a second test: %q", says)
	}
	rig.Within(t, 150*time.Second, "both are tested", func() bool {
		v := d.Views()["ambient"]
		if v.State == lights.Held {
			t.Fatalf("the test is taken for a hand: %+v", v)
		}
		time.Sleep(20 * time.Millisecond)
		return v.Test.Code == "test-done" && strings.Contains(v.Details, "hue1: fades level and colour together") && strings.Contains(v.Details, "ikea1: fades level or colour at a time")
	})
	t.Logf("%v: %s", time.Since(began).Round(time.Second), d.Views()["ambient"].Details)
	for _, n := range []string{"room1/hue1", "room1/ikea1"} {
		for _, p := range s.bulbs.Trace(n, began) {
			if !p.On || lstar(p.Shine()) > lstar(40)+1 {
				t.Fatalf("%s is at %.1f L*, on %v, in its test", n, lstar(p.Shine()), p.On)
			}
		}
		if x := s.bulbs.Now(n); math.Abs(x.Level-40) > 1 {
			t.Errorf("%s ends at %.0f", n, x.Level)
		}
	}
	if kept, err := lights.LoadProfiles(d.dir); err != nil || kept["zigbee2mqtt/room1/ikea1"].Fade != "one" {
		t.Errorf("kept: %+v %v", kept, err)
	}
	d.await(t, "ambient", lights.Following)

	// Light that is asked for in the middle of a test.
	if says := d.Test("ambient"); says.Code != "" {
		t.Fatal(says)
	}
	time.Sleep(8 * time.Second)
	d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: 75}}, Kind: lights.Urgent})
	time.Sleep(2 * time.Second)
	for range 20 {
		for _, n := range []string{"room1/hue1", "room1/ikea1"} {
			if l := lstar(s.bulbs.Now(n).Shine()); math.Abs(l-75) > 1.5 {
				t.Fatalf("%s is at %.1f L* after lights for care", n, l)
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	d.stop()
}
