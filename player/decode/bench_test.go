package decode

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// spent is the CPU time of this process and of its children that have ended.
func spent(b testing.TB) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// BenchmarkMinute decodes a minute of music, each way, with and without another rate: CPU seconds a minute, and how
// many times faster than it sounds.
func BenchmarkMinute(b *testing.B) {
	for _, name := range []string{"a.mp3", "a.flac", "a.ogg", "a.wav"} {
		path := filepath.Join(b.TempDir(), name)
		args := []string{"-f", "lavfi", "-i", music + ",aloop=-1:264600", "-t", "60"}
		if name == "a.mp3" {
			args = append(args, "-q:a", "2")
		}
		ffmpeg(b, append(args, path)...)
		for _, way := range []string{"ffmpeg", "native"} {
			for rate, to := range map[int]string{44100: "as is", 48000: "to 48k"} {
				b.Run(name[2:]+"/"+way+"/"+to, func(b *testing.B) {
					before := spent(b)
					for b.Loop() {
						s, err := Open(b.Context(), path, Options{Rate: rate, native: ways[way]})
						if err != nil {
							b.Fatal(err)
						}
						if n := drain(s); n != 60*rate || s.Err() != nil {
							b.Fatalf("%d frames, %v", n, s.Err())
						}
						s.Close()
					}
					b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "cpu-s/min")
					b.ReportMetric(60*float64(b.N)/b.Elapsed().Seconds(), "x-realtime")
				})
			}
		}
	}
}

// BenchmarkOpen is the time from a file's name to its first frames, at its start and far inside.
func BenchmarkOpen(b *testing.B) {
	for _, name := range []string{"long.mp3", "long.flac", "long.ogg"} {
		for _, way := range []string{"ffmpeg", "native"} {
			for place, from := range map[string]time.Duration{"start": 0, "inside": 5 * time.Second} {
				b.Run(name[5:]+"/"+way+"/"+place, func(b *testing.B) {
					path := sample(b, name)
					for b.Loop() {
						s, err := Open(b.Context(), path, Options{Rate: 48000, native: ways[way], From: from})
						if err != nil {
							b.Fatal(err)
						}
						s.Close()
					}
				})
			}
		}
	}
}
