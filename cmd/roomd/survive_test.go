package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/rig"
	"roomd/room"
)

// TestUpgradeInMidSession stops the daemon as a package manager does and starts it again: the tablets are told, the
// arc is the arc before, the sound is back from silence.
func TestUpgradeInMidSession(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/tone.yaml": `name: Tone
phases: [{name: One, stage: preparation, length: 2m, music: one.flac, marks: [Note]}, {name: Two, stage: integration, length: 10m}]
`})
	music(t, filepath.Join(d.dir, "playlists"), map[string]tone{"one.flac": {300, 120, -20}})
	d.start()
	d.ready("tone")
	d.do(room.Command{Do: room.Start, Playlist: "tone"})
	d.do(room.Command{Do: room.Extend, By: "3m"})
	d.do(room.Command{Do: room.MarkNow, Name: "Note"})
	time.Sleep(10 * time.Second)
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+d.addr+"/ws", http.Header{"Authorization": {"Bearer " + d.token}, "Origin": {"http://" + d.addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	closed := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				closed <- err
				return
			}
		}
	}()
	before := d.snapshot().Session
	asked := time.Now()
	at := time.Duration(d.snapshot().NowMS) * time.Millisecond
	took := d.terminate(t.Context())
	var told *websocket.CloseError
	if err := <-closed; !errors.As(err, &told) || told.Code != websocket.CloseServiceRestart {
		t.Errorf("the tablet was told %v", err)
	}
	played := card.Size()
	d.start()
	s := d.snapshot()
	off := time.Duration(s.NowMS)*time.Millisecond - at - time.Since(asked)
	rig.Bar(t, "stopped and started", "the room's clock is off", float64(off.Abs().Milliseconds()), 50, "ms")
	rig.Bar(t, "stopped and started", "the stop took", took.Seconds(), 2, "s")
	if x, _ := json.Marshal(before.Phases); s.Session == nil {
		t.Fatal("the session is gone")
	} else if y, _ := json.Marshal(s.Session.Phases); string(x) != string(y) || len(s.Session.Marks) != 1 || s.Session.EndsAtMS != before.EndsAtMS || s.Session.StartedMS != before.StartedMS {
		t.Errorf("the arc was\n%s, is\n%s", x, y)
	}
	rig.Eventually(t, "sound", func() bool {
		if card.Size() < played+8*44100 {
			return false
		}
		p := card.Played()
		return amplitude(p.Frames[len(p.Frames)-p.Rate/2:], p.Rate, 300) > 0.001
	})
	rig.Bar(t, "stopped and started", "sound is back after the process's start", time.Since(d.began).Seconds()-0.5, 2.5, "s")
}

// TestReconnects has a tablet connect a thousand times, as one at the edge of the wifi's reach does: nothing is left over.
func TestReconnects(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	time.Sleep(time.Second)
	before := d.metrics()
	for n := range 1000 {
		conn, resp, err := websocket.DefaultDialer.Dial("ws://"+d.addr+"/ws", http.Header{"Authorization": {"Bearer " + d.token}, "Origin": {"http://" + d.addr}})
		if err != nil {
			if resp != nil && resp.StatusCode == http.StatusServiceUnavailable {
				time.Sleep(20 * time.Millisecond) // sixteen are still leaving
				continue
			}
			t.Fatalf("connection %d: %v", n, err)
		}
		if n%2 == 0 {
			_, _, _ = conn.ReadMessage()
		}
		conn.Close()
	}
	rig.Eventually(t, "all have left", func() bool { return d.metrics()["roomd_tablet_sockets"] == 0 })
	time.Sleep(500 * time.Millisecond)
	after := d.metrics()
	for _, what := range []string{"go_goroutines", "process_open_fds"} {
		// The measuring connection itself comes and goes.
		rig.Bar(t, "a tablet reconnects 1,000 times", what+" more", after[what]-before[what], 3, "")
	}
}

// TestNetworkGoes runs the room in a network of its own whose only link goes down, comes back, and comes back with
// another address. The session goes on, the broker is found again, the page is there under both addresses.
func TestNetworkGoes(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	name := fmt.Sprintf("roomd%d", time.Now().UnixNano()%1e6)
	ip := func(words string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
			t.Skipf("a network can't be made (root can): ip %s: %v %s", words, err, out)
		}
	}
	ip("netns add " + name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	ip("link add " + name + "a type veth peer name " + name + "b")
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", name+"a").Run() })
	net := fmt.Sprintf("10.%d.%d", 64+time.Now().UnixNano()%60, time.Now().UnixNano()/1000%250)
	ip("link set " + name + "b netns " + name)
	ip("addr add " + net + ".1/24 dev " + name + "a")
	ip("link set " + name + "a up")
	ip("netns exec " + name + " ip addr add " + net + ".2/24 dev " + name + "b")
	ip("netns exec " + name + " ip link set " + name + "b up")
	ip("netns exec " + name + " ip link set lo up")

	port := rig.FreePort(t)
	rig.Mosquitto(t, "allow_anonymous true", fmt.Sprintf("listener %d %s.1", port, net))
	d := newDaemon(t, nil, map[string]string{"room.yaml": fmt.Sprintf("audio: {output: none}\nmqtt: {broker: \"mqtt://%s.1:%d\"}\n", net, port), "playlists/long.yaml": long})
	_, page, _ := strings.Cut(d.addr, ":")
	d.addr = net + ".2:" + page
	d.inside, d.listen = []string{"ip", "netns", "exec", name}, ":"+page
	d.start()
	connected := func() bool {
		for _, p := range d.snapshot().Parts {
			if p.Part == "broker" {
				return p.State == room.Working
			}
		}
		return false
	}
	rig.Eventually(t, "the broker is reached", connected)
	d.do(room.Command{Do: room.Start, Playlist: "long"})
	asked, at := time.Now(), time.Duration(d.snapshot().NowMS)*time.Millisecond
	ip("link set " + name + "a down")
	time.Sleep(12 * time.Second)
	ip("link set " + name + "a up")
	up := time.Now()
	if !strings.Contains(d.log(), "broker lost") {
		t.Error("12 s without a link were not noticed")
	}
	rig.Eventually(t, "the broker is reached again", connected)
	rig.Bar(t, "the link is down for 12 s", "page and broker are back after it", time.Since(up).Seconds(), 10, "s")
	ip("netns exec " + name + " ip addr del " + net + ".2/24 dev " + name + "b")
	time.Sleep(time.Second)
	ip("netns exec " + name + " ip addr add " + net + ".3/24 dev " + name + "b")
	d.addr = net + ".3:" + page
	changed := time.Now()
	rig.Eventually(t, "the room is there under its new address", func() bool {
		resp, err := http.Get("http://" + d.addr + "/healthz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		// The connection from the old address is dead, which only silence tells.
		return strings.Count(d.log(), "broker lost") == 2 && connected()
	})
	rig.Bar(t, "the address changes", "page and broker are back after it", time.Since(changed).Seconds(), 15, "s")
	s := d.snapshot()
	if s.Session == nil || s.Session.State != room.Running {
		t.Fatalf("the session is gone: %+v", s.Session)
	}
	off := time.Duration(s.NowMS)*time.Millisecond - at - time.Since(asked)
	rig.Bar(t, "link and address", "the room's clock is off", float64(off.Abs().Milliseconds()), 50, "ms")
}

// TestMemoryIsShort gives the daemon and its decoders little more memory than they use, and a neighbour in the same
// group that takes all that it can get. The music goes on, and nothing of the session is lost.
func TestMemoryIsShort(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	const neighbours = 10
	group := filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("roomd-test-%d", time.Now().UnixNano()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("a group with little memory can't be made (root can, with version 1): %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(group) })
	if err := os.WriteFile(filepath.Join(group, "memory.limit_in_bytes"), []byte("140M"), 0o644); err != nil {
		t.Skipf("its limit can't be set: %v", err)
	}
	inside := []string{"sh", "-c", "echo $$ > " + group + "/cgroup.procs && exec \"$@\"", "sh"}
	card := rig.SoundCard(t, 1)
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": "audio: {output: alsa}\n", "playlists/tone.yaml": `name: Tone
crossfade: 2s
phases: [{name: One, stage: preparation, length: 42s, music: [one.mp3, two.mp3, one.mp3, two.mp3], marks: [Note]}]
`})
	music(t, filepath.Join(d.dir, "playlists"), map[string]tone{"one.mp3": {300, 12, -20}, "two.mp3": {450, 12, -20}})
	d.inside = inside
	d.start()
	d.ready("tone")
	d.do(room.Command{Do: room.Start, Playlist: "tone"})
	d.do(room.Command{Do: room.MarkNow, Name: "Note"})
	time.Sleep(5 * time.Second)
	begin := len(card.Played().Frames)
	// A neighbour of 200 MiB again and again, which the kernel ends sooner or later, it or another.
	for range neighbours {
		words := append(append([]string{}, inside...), "timeout", "2", "sh", "-c", "head -c 200000000 /dev/zero | tail")
		_ = exec.Command(words[0], words[1:]...).Run()
	}
	time.Sleep(time.Second)
	s := d.snapshot()
	if s.Session == nil || s.Session.State != room.Running || len(s.Session.Marks) != 1 {
		t.Fatalf("the session is %+v", s.Session)
	}
	p := card.Played()
	quiet, most := 0, 0
	step := p.Rate / 10
	for at := begin; at+step < len(p.Frames); at += step {
		if max(amplitude(p.Frames[at:at+step], p.Rate, 300), amplitude(p.Frames[at:at+step], p.Rate, 450)) > 0.003 {
			quiet = 0
			continue
		}
		quiet++
		most = max(most, quiet)
	}
	rig.Bar(t, "memory is short", "no music for", float64(most)/10, 2, "s")
	t.Logf("%d underruns; killed by the kernel: %s", s.Sound.Underruns, killed(group))
}

// killed is what the group says of those that were ended for want of memory.
func killed(group string) string {
	b, _ := os.ReadFile(filepath.Join(group, "memory.oom_control"))
	return strings.ReplaceAll(strings.TrimSpace(string(b)), "\n", ", ")
}
