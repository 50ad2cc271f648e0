package lights_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
	"roomd/room/mqtt"
)

var (
	_ lights.Conn = (*mqtt.Client)(nil)
	_ lights.Conn = (*mqtt.Local)(nil)
)

// A daemon that starts again finds its simulated lamps where they were, as it would find real ones.
func TestSimulatedLampsKeepTheirLight(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lamps")
	run := func(test func(c *lights.Controller)) {
		conn := mqtt.NewLocal(file)
		defer conn.Close()
		ctx, stop := context.WithCancel(context.Background())
		c := lights.New(conn, map[string][]lights.Lamp{"ambient": {{Driver: "simulated"}}}, nil)
		done := make(chan struct{})
		go func() { _ = c.Run(ctx); close(done) }()
		defer func() { stop(); <-done }()
		rig.Eventually(t, "the lamp is known", func() bool { return c.Views()["ambient"].State == lights.Following })
		test(c)
	}
	at := func(c *lights.Controller, l float64) func() bool {
		return func() bool {
			v := c.Views()["ambient"]
			return v.Actual != nil && math.Abs(v.Actual.L-l) < 1
		}
	}
	run(func(c *lights.Controller) {
		c.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: 88}}, Kind: lights.Urgent})
		rig.Eventually(t, "the light is there", at(c, 88))
		time.Sleep(1100 * time.Millisecond) // the lamp remembers once a second
	})
	run(func(c *lights.Controller) {
		rig.Eventually(t, "the light is where it was", at(c, 88))
	})
}
