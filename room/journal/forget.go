package journal

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Forget erases a session: its record, its events and its notes. On a disk the bytes are overwritten with zeros, as far as
// the disk itself does what it is told.
func (s *Store) Forget(ctx context.Context, id string) error {
	return s.forget(ctx, "DELETE FROM events WHERE session = ?1", "DELETE FROM sessions WHERE id = ?1", id)
}

// ForgetBefore erases the sessions that ended before a time on the room's clock, and what was done outside of sessions
// before it.
func (s *Store) ForgetBefore(ctx context.Context, roomMS int64) error {
	var n int
	err := s.Read(func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM sessions WHERE ended_ms > 0 AND ended_ms < ?1)
			+ (SELECT count(*) FROM events WHERE session = '' AND at_ms < ?1)`, roomMS).Scan(&n)
	})
	if err != nil || n == 0 {
		return err
	}
	return s.forget(ctx, "DELETE FROM events WHERE session = '' AND at_ms < ?1 OR session IN (SELECT id FROM sessions WHERE ended_ms > 0 AND ended_ms < ?1)",
		"DELETE FROM sessions WHERE ended_ms > 0 AND ended_ms < ?1", roomMS)
}

// forget does two deletions as one, and empties the log that still holds what was deleted. A copy in memory is no place to
// delete from: the disk would still have it.
func (s *Store) forget(ctx context.Context, events, sessions string, arg any) error {
	if t := s.Outage(); t != nil {
		return t.Err
	}
	defer s.enter()()
	s.use.RLock()
	defer s.use.RUnlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing once it is committed
	if _, err := tx.ExecContext(ctx, events, arg); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, sessions, arg); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// ForgetDamaged removes the damaged journals that were set aside longer ago than age: they hold sessions too.
func (s *Store) ForgetDamaged(age time.Duration) error {
	files, err := filepath.Glob(s.path + ".damaged-*")
	for _, f := range files {
		if info, e := os.Stat(f); e == nil && time.Since(info.ModTime()) > age {
			err = errors.Join(err, os.Remove(f))
		}
	}
	return err
}
