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

// BenchmarkIntensity is what a track's intensity costs: the loudness alone and with all that the intensity is made of, in turn, as
// the processor's speed changes with what else it does.
func BenchmarkIntensity(b *testing.B) {
	f := music(48000, 20, -12, 1)
	var spent [2]time.Duration
	for b.Loop() {
		for i, m := range []*loudness.Meter{loudness.NewMeter(48000), loudness.NewMeter(48000).WithTexture()} {
			start := cpuTime()
			m.Write(f)
			spent[i] += cpuTime() - start
		}
	}
	for i, unit := range []string{"loudness-ns/frame", "both-ns/frame"} {
		b.ReportMetric(float64(spent[i].Nanoseconds())/float64(b.N*len(f)), unit)
	}
	b.ReportMetric(100*float64(spent[1]-spent[0])/float64(spent[0]), "%-more")
}
