package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"syscall"
	"time"

	"modernc.org/sqlite"
)

// Outage describes a disk that is not writable. Changes stay in memory until Retry saves them.
type Outage struct {
	Since   time.Time
	Err     error    // the latest cause
	Unsaved []string // IDs of the commands that are only in memory, in order; a kill would lose them
}

// Outage returns the current outage, or nil if the disk works. Callers must not modify it.
func (s *Store) Outage() *Outage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outage
}

// retreat switches to a copy in memory of everything that the disk can still read. The caller must hold use exclusively.
func (s *Store) retreat(cause error) error {
	db, err := copyToMemory(s.path)
	if err != nil {
		return errors.Join(cause, err)
	}
	err = db.QueryRow("SELECT coalesce(max(seq), 0) FROM events").Scan(&s.saved)
	if err == nil {
		_, err = db.Exec("CREATE TEMP TABLE tokens_before AS SELECT hash FROM tokens")
	}
	if err != nil {
		db.Close()
		return errors.Join(cause, err)
	}
	if s.db != nil {
		s.db.Close()
	}
	s.db, s.memory = db, true
	if damaged(cause) {
		s.whole = false // check the file before using it again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = &Outage{Since: time.Now(), Err: errors.Join(probe(s.path), cause)}
	return nil
}

// copyToMemory returns a database in memory with everything readable in the file.
func copyToMemory(path string) (*sql.DB, error) {
	// immutable is for a file system on which SQLite can create neither its lock nor its index file.
	for _, way := range []string{"mode=ro", "immutable=1"} {
		q, _ := url.ParseQuery(way)
		db, err := openMemory()
		if err != nil {
			return nil, err
		}
		if restore(db, fileURI(path, q)) == nil && migrate(db, true) == nil {
			return db, nil
		}
		db.Close()
	}
	db, err := openMemory()
	if err != nil {
		return nil, err
	}
	if err := migrate(db, false); err != nil {
		db.Close()
		return nil, err
	}
	_, _ = salvage(db, path)
	return db, nil
}

func openMemory() (*sql.DB, error) {
	db, err := sql.Open("sqlite", ":memory:?_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // a second connection would open another database
	return db, nil
}

// restore replaces db with a copy of the database at the URI from.
func restore(db *sql.DB, from string) error {
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		b, err := c.(interface {
			NewRestore(string) (*sqlite.Backup, error)
		}).NewRestore(from)
		if err != nil {
			return err
		}
		_, err = b.Step(-1)
		return errors.Join(err, b.Finish())
	})
}

// Retry tries to save the copy in memory to disk and to end the outage. saved reports success. warning is as for Open.
// Retry blocks all other calls while it runs, usually for milliseconds.
func (s *Store) Retry() (saved bool, warning string) {
	if s.Outage() == nil {
		return false, ""
	}
	s.use.Lock()
	defer s.use.Unlock()
	db, warning, err := s.openFile()
	if err == nil {
		if err = s.bringBack(); err != nil {
			db.Close()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		n := *s.outage
		n.Err = errors.Join(probe(s.path), err)
		s.outage = &n
		return false, warning
	}
	s.db.Close()
	s.db, s.memory, s.outage = db, false, nil
	return true, warning
}

// bringBack copies the changes made in memory to the file in one transaction.
func (s *Store) bringBack() (err error) {
	ctx := context.Background()
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	do := func(query string, args ...any) {
		if err == nil {
			_, err = conn.ExecContext(ctx, query, args...)
		}
	}
	do("ATTACH ? AS disk", fileURI(s.path, url.Values{"mode": {"rw"}}))
	if err != nil {
		return err
	}
	defer func() {
		_, e := conn.ExecContext(ctx, "DETACH disk")
		err = errors.Join(err, e)
	}()
	do("PRAGMA disk.synchronous = FULL")
	if s.pages > 0 {
		do(fmt.Sprintf("PRAGMA disk.max_page_count = %d", s.pages))
	}
	do("BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	do(`INSERT INTO disk.sessions SELECT * FROM main.sessions WHERE true
		ON CONFLICT (id) DO UPDATE SET ended_ms = excluded.ended_ms, ending = excluded.ending`)
	do(`INSERT INTO disk.events (session, at_ms, kind, command_id, data, sum)
		SELECT session, at_ms, kind, command_id, data, sum FROM main.events WHERE seq > ? ORDER BY seq ON CONFLICT DO NOTHING`, s.saved)
	do(`INSERT INTO disk.anchor SELECT * FROM main.anchor WHERE true ON CONFLICT (one) DO UPDATE SET boot_id = excluded.boot_id,
		boot_ns = excluded.boot_ns, wall_ns = excluded.wall_ns, room_ns = excluded.room_ns, sum = excluded.sum`)
	do(`INSERT INTO disk.heard SELECT * FROM main.heard WHERE true ON CONFLICT (file) DO UPDATE SET times = max(times, excluded.times)`)
	// Copy only tokens created during the outage: another process may have revoked an older one.
	do(`INSERT INTO disk.tokens SELECT * FROM main.tokens WHERE hash NOT IN (SELECT hash FROM temp.tokens_before) ON CONFLICT DO NOTHING`)
	do(`DELETE FROM disk.pairings WHERE link NOT IN (SELECT link FROM main.pairings)`) // used up
	do("COMMIT")
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

// probe writes a file beside the journal and returns the error. SQLite does not always report the cause.
func probe(path string) error {
	path += ".probe"
	err := os.WriteFile(path, make([]byte, pageSize), 0o600)
	_ = os.Remove(path)
	return err
}

// Full reports whether the disk is full.
func (t *Outage) Full() bool { return code(t.Err) == sqliteFull || errors.Is(t.Err, syscall.ENOSPC) }

// ReadOnly reports whether the disk is read-only.
func (t *Outage) ReadOnly() bool {
	return code(t.Err) == sqliteReadOnly || errors.Is(t.Err, syscall.EROFS)
}

// Holds reports whether a command is only in memory. A nil Outage holds none.
func (t *Outage) Holds(id string) bool { return t != nil && slices.Contains(t.Unsaved, id) }
