package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"roomd/rig"
	"roomd/room"
)

// manager listens as systemd does.
type manager struct {
	mu   sync.Mutex
	said []string // a line each
}

func (m *manager) take(state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, strings.Split(state, "\n")...)
}

func (m *manager) count(line string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.said {
		if strings.HasPrefix(s, line) {
			n++
		}
	}
	return n
}

// TestWatchdog runs the daemon under a manager that listens: it says that it is ready, goes on saying that it is not
// stuck though its broker and its sound device are away, says nothing while it is stopped, and that it stops.
func TestWatchdog(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	m := &manager{}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.take(string(buf[:n]))
		}
	}()
	d := newDaemon(t, []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=1500000"}, map[string]string{
		"room.yaml": fmt.Sprintf("mqtt: {broker: \"mqtt://127.0.0.1:%d\"}\naudio: {output: alsa, device: Nowhere}\n", rig.FreePort(t))})
	d.start()
	rig.Eventually(t, "it is ready", func() bool { return m.count("READY=1") == 1 })
	d.do(room.Command{Do: room.Start, Playlist: "starter/tour"})
	before := m.count("WATCHDOG=1")
	time.Sleep(4500 * time.Millisecond) // three of the manager's times
	if n := m.count("WATCHDOG=1") - before; n < 6 {
		t.Errorf("with its broker and its sound away it was heard of %d times, wanted about 9", n)
	}
	if m.count("STATUS=degraded: sound, broker") == 0 {
		t.Errorf("it said %q", m.said)
	}
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	before = m.count("WATCHDOG=1")
	time.Sleep(2 * time.Second)
	if n := m.count("WATCHDOG=1"); n != before {
		t.Errorf("stopped, it was heard of %d times", n-before)
	}
	if err := d.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "it is heard of again", func() bool { return m.count("WATCHDOG=1") > before })
	d.terminate(t.Context())
	if m.count("STOPPING=1") != 1 || m.count("READY=1") != 1 {
		t.Errorf("it said %q", m.said)
	}
}

// TestWatchdogStarves hangs the room's owner, and then the sound, for a minute each.
func TestWatchdogStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &manager{}
		var hung, still atomic.Bool
		began := time.Now()
		var beats atomic.Uint64
		w := watchdog{tell: m.take, every: 9 * time.Second, log: slog.New(slog.DiscardHandler), status: func() string { return "" },
			ping: func(ctx context.Context) error {
				if hung.Load() {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			beats: func() uint64 {
				if !still.Load() {
					beats.Store(uint64(time.Since(began) / (20 * time.Millisecond)))
				}
				return beats.Load()
			}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.run(ctx) }()
		heard := func(over time.Duration) int {
			before := m.count("WATCHDOG=1")
			time.Sleep(over)
			return m.count("WATCHDOG=1") - before
		}
		if n := heard(time.Minute); n < 18 || m.count("READY=1") != 1 {
			t.Errorf("%d words in a minute, ready %d", n, m.count("READY=1"))
		}
		for name, f := range map[string]*atomic.Bool{"owner": &hung, "sound": &still} {
			f.Store(true)
			time.Sleep(4 * time.Second) // what was on its way
			if n := heard(time.Minute); n != 0 {
				t.Errorf("with the %s hung it was fed %d times", name, n)
			}
			f.Store(false)
			if n := heard(time.Minute); n < 14 {
				t.Errorf("with the %s back it was fed %d times", name, n)
			}
		}
		cancel()
		if err := <-done; err != nil || m.count("STOPPING=1") != 1 {
			t.Error(err, m.said)
		}
	})
}
