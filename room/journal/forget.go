package journal

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Forget erases a session with its events and notes. SQLite overwrites the bytes with zeros; a flash disk may still keep
// old copies. During an outage Forget returns the outage's error.
func (s *Store) Forget(ctx context.Context, id string) error {
	return s.forget(ctx, "DELETE FROM events WHERE session = ?1", "DELETE FROM sessions WHERE id = ?1", id)
}

// ForgetBefore erases the sessions that ended before room time roomMS, and the earlier events outside any session.
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

// forget runs both deletions in one transaction and truncates the log, which still holds the deleted rows. It refuses
// during an outage, because the disk would keep what the copy in memory deletes.
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
	defer func() { _ = tx.Rollback() }() // no effect after Commit
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

// ForgetDamaged removes damaged journals that were set aside more than age ago, because they hold sessions too.
func (s *Store) ForgetDamaged(age time.Duration) error {
	files, err := filepath.Glob(s.path + ".damaged-*")
	for _, f := range files {
		if info, e := os.Stat(f); e == nil && time.Since(info.ModTime()) > age {
			err = errors.Join(err, os.Remove(f))
		}
	}
	return err
}
