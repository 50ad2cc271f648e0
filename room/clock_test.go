package room

import (
	"testing"
	"time"

	"roomd/room/journal"
)

func TestClockGoesOnFromItsAnchor(t *testing.T) {
	wall := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	anchor := journal.Anchor{BootID: "a", Boot: time.Hour, Wall: wall, Room: 50 * time.Hour}
	for _, c := range []struct {
		name    string
		boot    string
		since   time.Duration
		wall    time.Time
		want    time.Duration
		trusted bool
	}{
		{"restart in the same boot", "a", time.Hour + 7*time.Second, wall.Add(7 * time.Second), 50*time.Hour + 7*time.Second, true},
		{"same boot, the wall clock jumped a day on", "a", time.Hour + 7*time.Second, wall.Add(24 * time.Hour), 50*time.Hour + 7*time.Second, true},
		{"same boot, the wall clock jumped to 1970", "a", time.Hour + 7*time.Second, time.Unix(0, 0), 50*time.Hour + 7*time.Second, true},
		{"reboot", "b", 20 * time.Second, wall.Add(90 * time.Second), 50*time.Hour + 90*time.Second, true},
		{"reboot without a set clock", "b", 20 * time.Second, time.Unix(0, 0), 50 * time.Hour, false},
		{"reboot after the summer", "b", 20 * time.Second, wall.AddDate(0, 3, 0), 50*time.Hour + wall.AddDate(0, 3, 0).Sub(wall), true},
		{"reboot with a clock that is decades ahead", "b", 20 * time.Second, wall.AddDate(50, 0, 0), 50 * time.Hour, false},
	} {
		since := c.since
		k, trusted := newClock(anchor, c.boot, func() time.Duration { return since }, func() time.Time { return c.wall })
		if got := k.Now(); got != c.want || trusted != c.trusted {
			t.Errorf("%s: %v (trusted %v), want %v (%v)", c.name, got, trusted, c.want, c.trusted)
		}
		since += 3 * time.Second
		if got := k.Now(); got != c.want+3*time.Second {
			t.Errorf("%s: three seconds later %v", c.name, got)
		}
		if a := k.Anchor(); a.Room != c.want+3*time.Second || a.BootID != c.boot {
			t.Errorf("%s: anchor %+v", c.name, a)
		}
	}
}
