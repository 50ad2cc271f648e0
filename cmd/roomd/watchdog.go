package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"roomd/room"
)

// watchdog tells the service manager that roomd is ready and, again and again, that it is not stuck. It goes by what a
// session needs: the room's owner answers and the sound moves on. A device, a disk or a broker that is away stops
// neither, so it starves nobody.
type watchdog struct {
	tell   func(state string)
	every  time.Duration // that the manager waits for a word before it ends the process; 0: it does not
	ping   func(context.Context) error
	beats  func() uint64
	status func() string
	log    *slog.Logger
}

var errNoSound = errors.New("the sound does not move on")

// run feeds the watchdog three times in its time until ctx ends.
func (w *watchdog) run(ctx context.Context) error {
	pause := w.every / 3
	if pause <= 0 {
		pause = 10 * time.Second // for the status
	}
	said, ready, starved := "", false, false
	last := w.beats()
	// The first look is a short one, so that roomd is ready as soon as it is.
	t := time.NewTimer(min(pause, 100*time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			w.tell("STOPPING=1")
			return nil
		case <-t.C:
		}
		asked, cancel := context.WithTimeout(ctx, pause)
		err := w.ping(asked)
		cancel()
		beats := w.beats()
		if err != nil {
			err = fmt.Errorf("the room's owner does not answer: %w", err)
		} else if beats == last {
			err = errNoSound
		}
		last = beats
		switch {
		case ctx.Err() != nil:
		case err != nil && !starved && ready:
			starved = true
			w.log.Error("roomd is stuck; the watchdog is not told otherwise", "err", err)
		case err == nil:
			words := []string{}
			if !ready {
				words, ready = append(words, "READY=1"), true
			}
			if w.every > 0 {
				words = append(words, "WATCHDOG=1")
			}
			if s := w.status(); s != said {
				words, said = append(words, "STATUS="+s), s
			}
			if starved {
				starved = false
				w.log.Warn("roomd is not stuck any more")
			}
			if len(words) > 0 {
				w.tell(strings.Join(words, "\n"))
			}
		}
		if ready {
			t.Reset(pause)
		} else {
			t.Reset(min(pause, 100*time.Millisecond))
		}
	}
}

// status is the room's parts in a line.
func status(parts []room.PartView) string {
	var bad []string
	for _, p := range parts {
		if p.State != room.Working {
			bad = append(bad, p.Part)
		}
	}
	if len(bad) == 0 {
		return "all parts work"
	}
	return "degraded: " + strings.Join(bad, ", ")
}

// watchdogTime is how long systemd waits for a word of this process; 0: for ever.
func watchdogTime(env func(string) string) time.Duration {
	us, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if pid := env("WATCHDOG_PID"); err != nil || us <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// openNotifier sends states to systemd (sd_notify(3)); without one they go nowhere.
func openNotifier(env func(string) string) func(state string) {
	path := env("NOTIFY_SOCKET")
	if path == "" {
		return func(string) {}
	}
	// A name that begins with @ is an abstract one; net takes it as it is.
	return func(state string) {
		conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			return // a manager that listens no more ends nobody
		}
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = conn.Write([]byte(state))
	}
}
