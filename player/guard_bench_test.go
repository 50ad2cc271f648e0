//go:build unix

package player

import (
	"syscall"
	"testing"
	"time"

	"roomd/player/loudness"
)

func BenchmarkGuard(b *testing.B) {
	for _, c := range []struct {
		name  string
		level float64
	}{{"ordinary", -23}, {"peaks", -14}, {"held", -5}} {
		b.Run(c.name, func(b *testing.B) {
			f := pieces(48000, 20)
			g := NewGuard(48000, c.level, 0)
			m := loudness.NewMeter(48000)
			m.Write(f)
			up := linear(c.level - m.Integrated())
			for i := range f {
				f[i][0] *= up
				f[i][1] *= up
			}
			block := make([][2]float64, 1920)
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				for rest := f; len(rest) >= len(block); rest = rest[len(block):] {
					copy(block, rest)
					g.Process(block)
				}
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N*len(f)), "cpu-ns/frame")
		})
	}
}

// cpuTime is what this process has used; time by the clock says little on a busy machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
