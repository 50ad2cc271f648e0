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

// Outage is a disk that takes nothing: what is to be kept is in memory until it does.
type Outage struct {
	Since   time.Time
	Err     error    // the last reason
	Unsaved []string // IDs of the commands that only memory holds, in order; a kill would lose them
}

// Outage is the disk's present one; nil: the disk takes what it is given. It is not to be changed.
func (s *Store) Outage() *Outage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outage
}

// retreat goes on in memory after cause, with all that the disk still lets us read. It is called with use held alone.
func (s *Store) retreat(cause error) error {
	db, err := copyToMemory(s.path)
	if err != nil {
		return errors.Join(cause, err)
	}
	if err := db.QueryRow("SELECT coalesce(max(seq), 0) FROM events").Scan(&s.saved); err != nil {
		db.Close()
		return errors.Join(cause, err)
	}
	if s.db != nil {
		s.db.Close()
	}
	s.db, s.memory = db, true
	if damaged(cause) {
		s.whole = false // before it is used again it is looked through
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = &Outage{Since: time.Now(), Err: errors.Join(probe(s.path), cause)}
	return nil
}

// copyToMemory is a database in memory with what the file holds, as far as that can be read.
func copyToMemory(path string) (*sql.DB, error) {
	// The second way is for a file system that takes no lock and no index beside the file.
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
	db.SetMaxOpenConns(1) // a second one would be another database
	return db, nil
}

// restore copies a whole database into db.
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

// Retry saves what is in memory, if the disk takes it now. saved: it did, and there is no outage any more. warning is
// Open's. It costs milliseconds, and blocks nobody for longer.
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

// bringBack copies what came to be in memory to the file, all of it or nothing.
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
	// Of the tokens only those made meanwhile: another process may have revoked one that the copy has.
	do(`INSERT INTO disk.tokens SELECT * FROM main.tokens WHERE created >= ? ON CONFLICT DO NOTHING`, s.Outage().Since.Unix())
	do(`DELETE FROM disk.pairings WHERE link NOT IN (SELECT link FROM main.pairings)`) // used up
	do("COMMIT")
	if err != nil {
		_, _ = conn.ExecContext(ctx, "ROLLBACK")
	}
	return err
}

// probe says why no file can be written beside the journal, which SQLite does not always tell; nil: it can.
func probe(path string) error {
	path += ".probe"
	err := os.WriteFile(path, make([]byte, pageSize), 0o600)
	_ = os.Remove(path)
	return err
}

// Full reports whether the disk is full.
func (t *Outage) Full() bool { return code(t.Err) == sqliteFull || errors.Is(t.Err, syscall.ENOSPC) }

// ReadOnly reports whether the disk can be read and not written.
func (t *Outage) ReadOnly() bool {
	return code(t.Err) == sqliteReadOnly || errors.Is(t.Err, syscall.EROFS)
}

// Holds reports whether only memory holds a command. A nil Outage holds none.
func (t *Outage) Holds(id string) bool { return t != nil && slices.Contains(t.Unsaved, id) }
