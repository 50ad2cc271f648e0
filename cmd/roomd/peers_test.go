package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// taken is what a program and its children have taken.
type taken struct {
	cpu   time.Duration
	pss   float64 // MB: shared pages are counted once, a part each
	wakes int     // times that one of its threads was switched to
	bytes int     // written
}

// consumed reads what a process and its children have used; processor time includes children that have ended.
func consumed(t testing.TB, pid int) (u taken) {
	t.Helper()
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
	sum := func(pattern, key string) (n int) {
		files, _ := filepath.Glob(fmt.Sprintf(pattern, pid))
		for _, f := range files {
			text, _ := os.ReadFile(f)
			for _, line := range strings.Split(string(text), "\n") {
				if k, v, ok := strings.Cut(line, ":"); ok && k == key {
					v, _, _ := strings.Cut(strings.TrimSpace(v), " ")
					k, _ := strconv.Atoi(v)
					n += k
				}
			}
		}
		return n
	}
	u.pss = float64(sum("/proc/%d/smaps_rollup", "Pss")) * 1024 / 1e6
	u.wakes = sum("/proc/%d/task/*/status", "voluntary_ctxt_switches")
	u.bytes = sum("/proc/%d/io", "write_bytes")
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, c := range children {
		list, _ := os.ReadFile(c)
		for _, word := range strings.Fields(string(list)) {
			child, _ := strconv.Atoi(word)
			v := consumed(t, child)
			u.cpu += v.cpu
			u.pss += v.pss
			u.wakes += v.wakes
			u.bytes += v.bytes
		}
	}
	return u
}

// share is what a program takes for each second.
type share struct{ core, pss, wakes, bytes float64 }

// watch measures a program for so long.
func watch(t testing.TB, pid int, long time.Duration) share {
	t.Helper()
	from := consumed(t, pid)
	time.Sleep(long)
	to := consumed(t, pid)
	// Of a child that has ended the switches are gone with it; its time is not.
	return share{(to.cpu - from.cpu).Seconds() / long.Seconds() * 100, to.pss, float64(max(0, to.wakes-from.wakes)) / long.Seconds(), float64(to.bytes - from.bytes)}
}

// median is the middle of each figure of an odd number of rounds.
func median(rounds []share) share {
	of := func(get func(share) float64) float64 {
		var all []float64
		for _, r := range rounds {
			all = append(all, get(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return share{of(func(s share) float64 { return s.core }), of(func(s share) float64 { return s.pss }),
		of(func(s share) float64 { return s.wakes }), of(func(s share) float64 { return s.bytes })}
}

var peerRounds = flag.Int("rounds", 3, "of BenchmarkPeers; the table has their medians")

// BenchmarkPeers measures what roomd, MPD and mpv take, in rounds one after the other, each on its own simulated card and on one
// core, with all children, and prints one table of the medians; with -update it goes into docs/performance.md.
//
// In a session they play four mp3 of 40 s, 44.1 kHz, with ReplayGain tags: roomd and MPD cross them over 8 s, mpv joins
// them. It is measured over the last 50 s of 90, with a join or two. At rest roomd has its default settings, with a card and
// without one, and its page open nowhere or on one tablet.
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
	playing := func(pid int, c *rig.Card) share {
		time.Sleep(40 * time.Second)
		s := watch(b, pid, 50*time.Second)
		played := c.Played()
		if n := len(gaps(played, 15, float64(len(played.Frames))/float64(played.Rate)-2)); n > 0 || len(played.Frames) < 45*played.Rate {
			b.Errorf("%.0f s, %d gaps", float64(len(played.Frames))/float64(played.Rate), n)
		}
		return s
	}
	// As the Go runtime would find it, were it started on the one core.
	room1 := func(env []string) *daemon {
		d := newDaemon(b, append(env, "GOMAXPROCS=1"), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/three.yaml": "name: Three\ncrossfade: 8s\n" +
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
		return d
	}
	atRest := func(card, page bool) func() share {
		return func() share {
			env := []string{"ALSA_CONFIG_PATH=/dev/null"}
			if card {
				env = rig.SoundCard(b, 1).Env()
			}
			d := room1(env)
			defer d.Kill()
			if page {
				d.tablet()
			}
			time.Sleep(75 * time.Second)
			return watch(b, d.Process.Process.Pid, 30*time.Second)
		}
	}
	rows := []struct {
		name    string
		measure func() share
		rounds  []share
	}{
		{name: "roomd, in a session", measure: func() share {
			card := rig.SoundCard(b, 1)
			d := room1(card.Env())
			defer d.Kill()
			d.do(room.Command{Do: room.Start, Playlist: "three"})
			return playing(d.Process.Process.Pid, card)
		}},
		{name: "MPD, playing the same", measure: func() share {
			card := rig.SoundCard(b, 1)
			home := b.TempDir()
			socket := filepath.Join(home, "socket")
			conf := fmt.Sprintf("music_directory %q\ndb_file %q\nbind_to_address %q\nreplaygain \"track\"\naudio_output {\n type \"alsa\"\n name \"card\"\n device \"default\"\n mixer_type \"none\"\n}\n",
				home, filepath.Join(home, "db"), socket)
			if err := os.WriteFile(filepath.Join(home, "mpd.conf"), []byte(conf), 0o644); err != nil {
				b.Fatal(err)
			}
			p := onOneCore("mpd", card.Env(), "--no-daemon", filepath.Join(home, "mpd.conf"))
			defer p.Kill()
			var conn net.Conn
			rig.Within(b, 10*time.Second, "mpd answers", func() (ok bool) {
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
			return playing(p.Process.Pid, card)
		}},
		{name: "mpv, the same without crossfades", measure: func() share {
			card := rig.SoundCard(b, 1)
			p := onOneCore("mpv", card.Env(), append([]string{"--no-config", "--no-video", "--no-terminal", "--ao=alsa", "--replaygain=track", "--gapless-audio=yes"}, files...)...)
			defer p.Kill()
			return playing(p.Process.Pid, card)
		}},
		{name: "roomd at rest, with a card", measure: atRest(true, false)},
		{name: "roomd at rest, without one", measure: atRest(false, false)},
		{name: "roomd at rest, a page open", measure: atRest(true, true)},
	}
	for range *peerRounds {
		for k := range rows {
			rows[k].rounds = append(rows[k].rounds, rows[k].measure())
		}
	}
	var table strings.Builder
	table.WriteString("| | of a core | memory (PSS) | thread switches a second | written |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		m := median(r.rounds)
		fmt.Fprintf(&table, "| %s | %.2f %% | %.0f MB | %.0f | %.0f KB |\n", r.name, m.core, m.pss, m.wakes, m.bytes/1000)
	}
	b.ReportMetric(0, "ns/op")
	fmt.Print("\n", table.String())
	if *updateDocs {
		const file = "../../docs/performance.md"
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		head, rest, ok := strings.Cut(string(text), "<!-- peers -->\n")
		_, tail, ok2 := strings.Cut(rest, "<!-- /peers -->")
		if !ok || !ok2 {
			b.Fatal("no place for the table in " + file)
		}
		if err := os.WriteFile(file, []byte(head+"<!-- peers -->\n"+table.String()+"<!-- /peers -->"+tail), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func base(paths []string) (names []string) {
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}
