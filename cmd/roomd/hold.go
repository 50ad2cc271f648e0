package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"roomd/room"
)

// What must wait for the end of a session sees the file lockFile, or asks by roomd wait-idle: Syncthing, apt, a reboot, a stick.
const (
	lockFile = "in-session"     // in the data folder
	lockTime = 12 * time.Hour   // longer than a session: without a roomd an older lock does not count
	idleLook = 2 * time.Second  // how often roomd wait-idle looks
	idleAsk  = 10 * time.Second // how long a roomd that hangs is waited for
)

// keepLock keeps the file in-session in the data folder while a session runs. When ctx ends the file stays as it is: neither a restart
// nor a crash ends a session.
func (c *call) keepLock(ctx context.Context, r *room.Room, log *slog.Logger) error {
	lock := filepath.Join(c.data, lockFile)
	old := lock
	if dir := c.env("RUNTIME_DIRECTORY"); dir != "" {
		old = filepath.Join(dir, "session") // of an earlier version, for which a stick may still wait
	}
	for first, was := true, false; ; first = false {
		changed := r.Changed()
		if is := r.Snapshot().InSession(); first || is != was {
			was = is
			var err error
			if is {
				err = os.WriteFile(lock, nil, 0o600)
			} else {
				err = cmp.Or(gone(os.Remove(lock)), gone(os.Remove(old)))
			}
			if err != nil {
				log.Warn("who looks at the file alone may not wait for the end of a session, or wait on after it", "file", lock, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// gone takes the error of a removal, for which a missing file is none.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// present is what the running room tells of its session to whoever waits for the end.
type present struct {
	Room    string
	Session bool
	LeftMS  int64 // to its end, as things stand
}

func (s *callers) inSession(w http.ResponseWriter, _ *http.Request) {
	snap := s.snapshot()
	p := present{Room: snap.Room, Session: snap.InSession()}
	if p.Session {
		p.LeftMS = max(0, snap.Session.EndsAtMS-snap.Session.ElapsedMS)
	}
	_ = json.NewEncoder(w).Encode(p) // the caller has gone
}

// present asks the running room about its session. Where none answers, the lock tells.
func (c *call) present(ctx context.Context) (p present, err error) {
	if answer, err := c.ask(ctx, http.MethodGet, "/in-session", idleAsk); err == nil {
		return p, json.Unmarshal(answer, &p)
	}
	st, err := os.Stat(filepath.Join(c.data, lockFile))
	if err == nil {
		p.Session = time.Since(st.ModTime()) < lockTime
	}
	return p, gone(err)
}

// String tells a person of a session that runs.
func (p present) String() string {
	switch left := time.Duration(p.LeftMS) * time.Millisecond; {
	case p.Room == "":
		return "a session is running (roomd does not answer, so the time left is unknown)"
	case left < time.Minute:
		return fmt.Sprintf("a session is running in %s, about %d s left", p.Room, int(left.Seconds()))
	case left < time.Hour:
		return fmt.Sprintf("a session is running in %s, about %d min left", p.Room, int(left.Minutes()))
	default:
		return fmt.Sprintf("a session is running in %s, about %d h %02d min left", p.Room, int(left.Hours()), int(left.Minutes())%60)
	}
}

// noteSession tells a person who types a command that reads much that a session runs. The command goes on: a person asked for it.
func (c *call) noteSession(ctx context.Context, command string) {
	if p, err := c.present(ctx); err == nil && p.Session {
		fmt.Fprintf(c.stderr, "roomd %s: %v; to wait for its end, type roomd wait-idle first\n", command, p)
	}
}

func waitIdleCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "wait-idle", Short: "Wait until no session runs", Args: takes(0, 0), Annotations: on(theRoomAsked),
		Long:    "Wait until no session runs in the room, for scripts that load the computer or restart it. Exit code 1: one still runs after --timeout.\nA restart of roomd ends no session. While roomd does not run, the file in-session in the data folder counts, for 12 hours at most.",
		Example: "  roomd wait-idle\n  roomd wait-idle --timeout 90m"}
	limit := cmd.Flags().Duration("timeout", 0, "give up after so long, such as 90m; 0 only looks (default: never)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *limit < 0 {
			return usageError{errors.New("--timeout takes 0 or more")}
		}
		ctx := cmd.Context()
		var over <-chan time.Time
		if cmd.Flags().Changed("timeout") {
			over = time.After(*limit)
		}
		return c.waitIdle(ctx, over, *limit == 0 && over != nil)
	}
	return cmd
}

// waitIdle waits until no session runs, or until over; once only looks. It says once whom it waits for.
func (c *call) waitIdle(ctx context.Context, over <-chan time.Time, once bool) error {
	for said := false; ; said = true {
		p, err := c.present(ctx)
		switch {
		case err != nil || !p.Session:
			return err
		case once:
			return errors.New(p.String())
		case !said:
			fmt.Fprintf(c.stderr, "roomd wait-idle: %v; waiting for its end\n", p)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped while %v", p)
		case <-over:
			return fmt.Errorf("gave up: %v", p)
		case <-time.After(idleLook):
		}
	}
}
