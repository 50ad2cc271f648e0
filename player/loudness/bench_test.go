//go:build unix

package loudness_test

import (
	"syscall"
	"testing"
	"time"

	"roomd/player/loudness"
)

// cpuTime is what this process has used; time by the clock says little on a busy machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMeter(b *testing.B) {
	f := music(48000, 20, -12, 1)
	m := loudness.NewMeter(48000)
	start := cpuTime()
	for b.Loop() {
		m.Write(f)
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N*len(f)), "cpu-ns/frame")
}

func BenchmarkWeighting(b *testing.B) {
	f := music(48000, 20, -12, 1)
	w := loudness.NewWeighting(48000)
	start := cpuTime()
	for b.Loop() {
		w.Energy(f)
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N*len(f)), "cpu-ns/frame")
}
