package main

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/rig"
	"roomd/room"
	"roomd/web/ui"
)

// slowKinds are connections that take a place and do next to nothing with it. Each sends what it sends at first.
var slowKinds = []struct {
	name    string
	private bool // to the port of https
	first   string
	drip    string // sent each second, so that it never looks idle
	reads   bool   // takes what is answered
}{
	{"silent", false, "", "", true},
	{"slow headers", false, "GET / HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n", true},
	{"slow body", false, "POST /api/v1/pair HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{", " ", true},
	{"slow body of what is not read", false, "POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{", " ", true},
	{"slow TLS handshake", true, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00", true},
	{"slow reader", false, strings.Repeat("GET "+largest()+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 4), "", false},
	{"websocket of nobody", false, "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", "\x81", true},
}

// largest is the page's largest file: a few of them are more than the system keeps for who does not read.
func largest() (path string) {
	most := int64(0)
	_ = fs.WalkDir(ui.Files, "dist/assets", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err == nil && info.Size() > most && !strings.HasSuffix(name, ".gz") {
			path, most = strings.TrimPrefix(name, "dist"), info.Size()
		}
		return nil
	})
	return path
}

// flood keeps n connections of a kind, from 200 addresses, until stop is closed. An ended one comes again after a while. Those
// that are open at the end stay so until let is closed.
func flood(n, kind int, plain, private string, again time.Duration, stop, let <-chan struct{}, all *sync.WaitGroup, cut func()) {
	k := slowKinds[kind]
	for w := range n {
		all.Go(func() {
			at := plain
			if k.private {
				at = private
			}
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+w%200))}, Timeout: 5 * time.Second}
			pause := time.NewTimer(again * time.Duration(w) / time.Duration(n)) // not all in the same instant
			defer pause.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pause.C:
				}
				select {
				case <-stop:
					return
				default:
				}
				pause.Reset(again)
				c, err := from.Dial("tcp", at)
				if err != nil {
					continue
				}
				if !k.reads {
					_ = c.(*net.TCPConn).SetReadBuffer(4096)
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if _, err := io.WriteString(c, k.first); err != nil {
						return
					}
					if k.reads {
						_, _ = io.Copy(io.Discard, c)
						return
					}
					look := time.NewTicker(time.Second)
					defer look.Stop()
					for range look.C { // it takes nothing, and looks whether it is still there
						if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n"); err != nil {
							return
						}
					}
				}()
				drip := time.NewTicker(time.Second)
				for open := true; open; {
					select {
					case <-ended:
						cut()
						open = false
					case <-drip.C:
						if k.drip != "" {
							_, _ = io.WriteString(c, k.drip)
						}
					case <-let:
						open = false
					}
				}
				drip.Stop()
				c.Close()
				<-ended
			}
		})
	}
}

// openFiles is how many a process has.
func (d *daemon) openFiles() int {
	d.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.Process.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	return len(list)
}

// TestSlowConnections has very many connections of each slow kind come in a session: the sound goes on, a tap is answered, memory
// stays, and what they took is free again 10 s later, whether they let go or not.
func TestSlowConnections(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	const each, lasts, again = 10_000, time.Minute, 10 * time.Second
	card := rig.SoundCard(t, 1)
	private := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	d := newDaemon(t, card.Env(), map[string]string{"room.yaml": fmt.Sprintf("audio: {output: alsa}\nhttps: {listen: %q}\n", private), "playlists/tone.yaml": `name: Tone
phases: [{name: One, stage: preparation, length: 2h, music: {bed: ocean}, marks: [Note]}]
`})
	out, err := exec.Command(theBinary(t), "token", "create", "watcher", "--observer", "--data", d.dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	watcher := strings.TrimSpace(string(out))
	d.start()
	d.ready("tone")
	d.do(room.Command{Do: room.Start, Playlist: "tone"})
	for range 4 { // an observer's sockets, which never read
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+d.addr+"/ws", http.Header{"Authorization": {"Bearer " + watcher}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	steady := d.tablet()
	before := d.openFiles()
	dry := d.snapshot().Sound.Underruns
	for kind := range slowKinds {
		var all sync.WaitGroup
		var mu sync.Mutex
		cuts := 0
		stop, let := make(chan struct{}), make(chan struct{})
		flood(each, kind, d.addr, private, again, stop, let, &all, func() { mu.Lock(); cuts++; mu.Unlock() })
		var took []float64
		most := 0
		tap := time.NewTicker(50 * time.Millisecond)
		for began := time.Now(); time.Since(began) < lasts; {
			<-tap.C
			if len(took)%10 == 9 { // a tablet that comes anew
				http.DefaultClient.CloseIdleConnections()
			}
			at := time.Now()
			d.do(room.Command{Do: room.MarkNow, Name: "Note"})
			took = append(took, float64(time.Since(at).Milliseconds()))
			if len(took)%20 == 0 {
				most = max(most, d.openFiles())
			}
		}
		tap.Stop()
		close(stop)
		// What is open stays open at the other end. roomd closes it.
		left := 0
		rig.Eventually(t, "the files are free again after "+slowKinds[kind].name, func() bool {
			left = d.openFiles()
			return left <= before+8
		})
		close(let)
		all.Wait()
		slices.Sort(took)
		under := fmt.Sprintf("%d connections, %s", each, slowKinds[kind].name)
		mu.Lock()
		t.Logf("%s: %d cut, at most %d files, %d before, %d after; %d taps, p50 %.0f ms, p99 %.0f ms", under, cuts, most, before, left, len(took), took[len(took)/2], took[len(took)*99/100])
		mu.Unlock()
		if most > 700 {
			t.Errorf("%s: %d files were open", under, most)
		}
		if p99 := took[len(took)*99/100]; p99 > 200 {
			t.Errorf("%s: a tap is answered in %.0f ms at p99", under, p99)
		}
	}
	select {
	case <-steady.done:
		t.Error("the therapist's websocket was ended")
	default:
	}
	if n := d.snapshot().Sound.Underruns - dry; n != 0 {
		t.Errorf("the sound ran dry %d times", n)
	}
	mib := d.peak()
	t.Logf("memory at its peak %.0f MiB, underruns %d", mib, d.snapshot().Sound.Underruns-dry)
	if mib > 150 {
		t.Errorf("roomd took %.0f MiB", mib)
	}
}
