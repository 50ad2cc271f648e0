package output

import (
	"testing"
	"testing/synctest"
	"time"
)

// A call that does not come back is a hang; a device that is slow to begin is asked again and again.
func TestASlowDeviceIsNotTakenForAHangingOne(t *testing.T) {
	for _, beats := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a := &alsa{timer: newTimer(), done: make(chan result, 1)}
			go func() {
				for start := time.Now(); time.Since(start) < 2*time.Second; {
					time.Sleep(50 * time.Millisecond)
					if beats {
						a.beats.Add(1)
					}
				}
				a.done <- result{delay: 7}
			}()
			start := time.Now()
			r, ok := a.answer()
			d := time.Since(start)
			if beats && (!ok || r.delay != 7 || d != 2*time.Second) || !beats && (ok || d > time.Second) {
				t.Errorf("beats %v: %v, %v after %v", beats, r, ok, d)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
		})
	}
}
