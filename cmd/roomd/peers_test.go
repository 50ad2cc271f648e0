package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// taken is what a program and its children have taken.
type taken struct {
	cpu time.Duration
	rss float64 // MB, the sum over its processes
}

// consumed reads the processor time of a process, of its living children, and of those that have ended.
func consumed(b *testing.B, pid int) (u taken) {
	b.Helper()
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u // it has ended meanwhile, and its parent knows what it took
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	for _, v := range f[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(v)
		u.cpu += time.Duration(n) * tick
	}
	pages, _ := strconv.Atoi(f[21])
	u.rss = float64(pages*os.Getpagesize()) / 1e6
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, c := range children {
		list, _ := os.ReadFile(c)
		for _, word := range strings.Fields(string(list)) {
			child, _ := strconv.Atoi(word)
			v := consumed(b, child)
			u.cpu += v.cpu
			u.rss += v.rss
		}
	}
	return u
}

// BenchmarkPeers plays the same files for 90 s with roomd, MPD and mpv, one after the other, each on its own card
// and on one core: four mp3 of 40 s, 44.1 kHz, with ReplayGain tags; roomd and MPD cross them over 8 s, mpv joins them.
// The share of the core is told over the last 50 s, with a join or two and without roomd's first track, which its Go
// decoder plays so that it sounds at once; memory at the end; both with all children.
func BenchmarkPeers(b *testing.B) {
	dir := b.TempDir()
	var files []string
	for k := range 4 {
		f := filepath.Join(dir, fmt.Sprintf("%d.mp3", k))
		out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("anoisesrc=c=pink:r=44100:d=40:a=0.4:seed=%d,aformat=channel_layouts=stereo", k),
			"-b:a", "192k", "-metadata", "REPLAYGAIN_TRACK_GAIN=-4.00 dB", "-metadata", "REPLAYGAIN_TRACK_PEAK=0.7", f).CombinedOutput()
		if err != nil {
			b.Fatalf("ffmpeg: %v\n%s", err, out)
		}
		files = append(files, f)
	}
	onOneCore := func(name string, env []string, args ...string) *rig.Process {
		return rig.Run(b, b.TempDir(), "taskset", env, append([]string{"-c", "0", name}, args...)...)
	}
	watch := func(b *testing.B, pid int) {
		time.Sleep(40 * time.Second)
		from := consumed(b, pid)
		time.Sleep(50 * time.Second)
		to := consumed(b, pid)
		b.ReportMetric((to.cpu-from.cpu).Seconds()/50*100, "%core")
		b.ReportMetric(to.rss, "MB")
		b.ReportMetric(0, "ns/op")
	}
	heard := func(b *testing.B, c *rig.Card) {
		s := c.Played()
		if n := len(gaps(s, 15, float64(len(s.Frames))/float64(s.Rate)-2)); n > 0 || len(s.Frames) < 45*s.Rate {
			b.Errorf("%.0f s, %d gaps", float64(len(s.Frames))/float64(s.Rate), n)
		}
	}
	b.Run("roomd", func(b *testing.B) {
		for b.Loop() {
			card := rig.SoundCard(b, 1)
			// As the Go runtime would find it, were it started on the one core.
			d := newDaemon(b, append(card.Env(), "GOMAXPROCS=1"), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/three.yaml": "name: Three\ncrossfade: 8s\n" +
				"phases: [{name: One, stage: preparation, length: 120s, music: [" + strings.Join(base(files), ", ") + "]}]\n"})
			for _, f := range files {
				if err := os.Link(f, filepath.Join(d.dir, "playlists", filepath.Base(f))); err != nil {
					b.Fatal(err)
				}
			}
			d.start()
			d.ready("three")
			if out, err := exec.Command("taskset", "-a", "-p", "-c", "0", strconv.Itoa(d.Process.Process.Pid)).CombinedOutput(); err != nil {
				b.Fatalf("taskset: %v\n%s", err, out)
			}
			d.do(room.Command{Do: room.Start, Playlist: "three"})
			watch(b, d.Process.Process.Pid)
			heard(b, card)
			d.Kill()
		}
	})
	b.Run("mpd", func(b *testing.B) {
		for b.Loop() {
			card := rig.SoundCard(b, 1)
			home := b.TempDir()
			socket := filepath.Join(home, "socket")
			conf := fmt.Sprintf("music_directory %q\ndb_file %q\nbind_to_address %q\nreplaygain \"track\"\naudio_output {\n type \"alsa\"\n name \"card\"\n device \"default\"\n mixer_type \"none\"\n}\n",
				home, filepath.Join(home, "db"), socket)
			if err := os.WriteFile(filepath.Join(home, "mpd.conf"), []byte(conf), 0o644); err != nil {
				b.Fatal(err)
			}
			p := onOneCore("mpd", card.Env(), "--no-daemon", filepath.Join(home, "mpd.conf"))
			var conn net.Conn
			rig.Eventually(b, 10*time.Second, "mpd answers", func() (ok bool) {
				var err error
				conn, err = net.Dial("unix", socket)
				return err == nil
			})
			defer conn.Close()
			in := bufio.NewScanner(conn)
			in.Scan() // its greeting
			say := func(line string) {
				fmt.Fprintln(conn, line)
				for in.Scan() && in.Text() != "OK" {
					if strings.HasPrefix(in.Text(), "ACK") {
						b.Fatalf("mpd, %s: %s", line, in.Text())
					}
				}
			}
			for _, f := range files {
				say(fmt.Sprintf("add %q", "file://"+f))
			}
			say("crossfade 8")
			say("play")
			watch(b, p.Process.Pid)
			heard(b, card)
			p.Kill()
		}
	})
	b.Run("mpv", func(b *testing.B) {
		for b.Loop() {
			card := rig.SoundCard(b, 1)
			p := onOneCore("mpv", card.Env(), append([]string{"--no-config", "--no-video", "--no-terminal", "--ao=alsa", "--replaygain=track", "--gapless-audio=yes"}, files...)...)
			watch(b, p.Process.Pid)
			heard(b, card)
			p.Kill()
		}
	})
}

func base(paths []string) (names []string) {
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}
