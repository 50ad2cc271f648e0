// Package journal keeps what a room must not lose: what was asked of its sessions, where its clock stands, which devices
// belong to it. It is an SQLite database that survives kill -9, power cuts, full disks and scribbled pages, and it knows
// no session's rules.
package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver; imported here alone
)

// Store is the journal: an SQLite database on the disk, in which an event is durable when Append says that it is saved,
// through kill -9 and power cuts alike. While the disk takes nothing a copy in memory stands in for it (see Outage).
// Its methods may be called from any goroutine.
type Store struct {
	path string

	use    sync.RWMutex // held by who uses db, alone by who replaces it
	db     *sql.DB
	memory bool  // db is a copy
	saved  int64 // seq of the last event that the disk holds; while memory
	whole  bool  // the file was looked through since the start
	pages  int   // that the file may have at most, for tests; 0: as many as there is room for

	mu     sync.Mutex // guards what follows
	outage *Outage
	under  int       // uses of the database that are under way
	waits  time.Time // since when there is one
}

// enter notes that the database is about to be used; the caller calls what it returns when it was.
func (s *Store) enter() (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under == 0 {
		s.waits = time.Now()
	}
	s.under++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.under--
	}
}

// Limit lets the file have so many pages at most, also when it is opened again, as a full disk does; 0: as many as there is
// room for. It is for tests.
func (s *Store) Limit(pages int) {
	s.use.Lock()
	defer s.use.Unlock()
	s.pages = pages
}

// Hangs says whether the disk has not answered for two seconds: neither took what it was given nor refused it.
func (s *Store) Hangs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.under > 0 && time.Since(s.waits) > 2*time.Second
}

// migrations take the database from one user_version to the next. A released one is never changed.
var migrations = []string{`
CREATE TABLE sessions (
	id TEXT PRIMARY KEY, playlist TEXT NOT NULL, name TEXT NOT NULL,
	started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0, ending TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, at_ms INTEGER NOT NULL,
	kind TEXT NOT NULL, command_id TEXT, data TEXT NOT NULL
) STRICT;
CREATE INDEX events_session ON events (session, seq);
CREATE UNIQUE INDEX events_command ON events (command_id) WHERE command_id IS NOT NULL;
CREATE TABLE anchor (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	boot_id TEXT NOT NULL, boot_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL, room_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE heard (file TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT;
`, `
CREATE TABLE IF NOT EXISTS tokens (
	hash BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT;
ALTER TABLE events ADD COLUMN sum INTEGER; -- CRC-32 of the other columns; null: written by an older roomd
ALTER TABLE anchor ADD COLUMN sum INTEGER;
`, `
ALTER TABLE tokens ADD COLUMN role TEXT NOT NULL DEFAULT 'therapist';
CREATE TABLE pairings (
	link BLOB PRIMARY KEY, code BLOB NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
	until INTEGER NOT NULL, wrong INTEGER NOT NULL DEFAULT 0) STRICT;
`}

// Open opens the database, or makes it. One that is damaged is set aside under another name, and what of it is
// whole is copied into a new one; warning then says so, for the therapist. Where the disk takes nothing the store works
// all the same, in memory: Outage says so. An error is a file of a newer roomd.
func Open(path string) (s *Store, warning string, err error) {
	s = &Store{path: path}
	s.db, warning, err = s.openFile()
	switch {
	case errors.Is(err, errNewer):
		return nil, "", err
	case err != nil:
		err = s.retreat(err)
	}
	return s, warning, err
}

// Share opens the database beside another process that may have it open, or makes it. It mends nothing: a file that
// is damaged is an error, and so is a disk that takes nothing.
func Share(path string) (*Store, error) {
	db, err := openDB(path, false)
	if err != nil {
		return nil, err
	}
	return &Store{path: path, db: db, whole: true}, nil
}

// CopyTo writes the whole of it, as it is now, into a file that is not there yet.
func (s *Store) CopyTo(ctx context.Context, path string) error {
	s.use.RLock()
	defer s.use.RUnlock()
	defer s.enter()()
	_, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// fileURI is the file as SQLite is asked for it.
func fileURI(path string, q url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// openDB opens the file, or makes it, and brings it to the present schema. With look it is looked through first.
func openDB(path string, look bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)", "secure_delete(1)",
		// A short log: what is scribbled over in it can cost all that came after.
		"wal_autocheckpoint(16)"}}
	db, err := sql.Open("sqlite", fileURI(path, q))
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	// One connection: a single writer, and pragmas that hold for all.
	db.SetMaxOpenConns(1)
	if err := migrate(db, look); err != nil {
		db.Close()
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return db, nil
}

func migrate(db *sql.DB, look bool) error {
	if look {
		var check string
		if err := db.QueryRow("PRAGMA quick_check(1)").Scan(&check); err != nil {
			return err
		}
		if check != "ok" {
			return fmt.Errorf("%w: %s", errDamaged, check)
		}
	}
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("%w (schema %d, this one knows %d)", errNewer, version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		if _, err = tx.Exec(migrations[version]); err == nil {
			_, err = tx.Exec(fmt.Sprintf("PRAGMA user_version = %d", version+1))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("schema %d: %w", version+1, err), tx.Rollback())
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

var (
	errDamaged = errors.New("the file is damaged")
	errNewer   = errors.New("it was written by a newer roomd")
)

// SQLite's primary result codes.
const (
	sqliteReadOnly   = 8
	sqliteInterrupt  = 9
	sqliteCorrupt    = 11
	sqliteFull       = 13
	sqliteConstraint = 19
	sqliteNotADB     = 26
)

// code is SQLite's primary result code in an error of modernc's; 0 where there is none.
func code(err error) int {
	var c interface{ Code() int }
	if errors.As(err, &c) {
		return c.Code() & 0xff
	}
	return 0
}

// damaged says whether an error means that the file is not, or no longer, a database.
func damaged(err error) bool {
	return errors.Is(err, errDamaged) || code(err) == sqliteCorrupt || code(err) == sqliteNotADB
}

// Read gives use the database. It must not change the journal.
func (s *Store) Read(use func(*sql.DB) error) error {
	defer s.enter()()
	s.use.RLock()
	defer s.use.RUnlock()
	return use(s.db)
}

// Write gives change the database. What change has done is durable where saved; else it is in memory only, and on the
// disk as soon as that takes it. Where the disk refuses, change is called a second time, with the copy in memory.
func (s *Store) Write(ctx context.Context, change func(*sql.DB) error) (saved bool, err error) {
	defer s.enter()()
	s.use.RLock()
	err, memory := change(s.db), s.memory
	s.use.RUnlock()
	if c := code(err); err == nil || ctx.Err() != nil || c == 0 || c == sqliteConstraint || c == sqliteInterrupt {
		return err == nil && !memory, err
	}
	s.use.Lock()
	defer s.use.Unlock()
	if !s.memory {
		if err := s.retreat(err); err != nil {
			return false, err
		}
	}
	return false, change(s.db)
}

// exec writes by one statement.
func (s *Store) exec(ctx context.Context, query string, args ...any) (saved bool, err error) {
	return s.Write(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, query, args...)
		return err
	})
}

// Close closes the database. What is in memory only is lost.
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	return s.db.Close()
}

// Kinds of events.
const (
	KindBegin   = "begin"   // what a session starts from
	KindCommand = "command" // what a person or a program asked for
	KindTrouble = "trouble" // a track that failed
	KindNote    = "note"    // what was written to a mark or a session
)

// Anchor ties the room's clock to the kernel's and to the wall, so that a later process can go on from it.
type Anchor struct {
	BootID string        // the kernel's, new with each boot
	Boot   time.Duration // since boot, suspend included
	Wall   time.Time
	Room   time.Duration
}

// Event is one line of the journal. Data is JSON that the store does not read.
type Event struct {
	Seq       int64
	Session   string // empty: outside of sessions
	AtMS      int64  // on the room's clock
	Kind      string
	CommandID string // empty: of no command
	Data      json.RawMessage
}

// sum is what tells an event that was scribbled over.
func (e Event) sum() int64 {
	return checksum(e.Session, strconv.FormatInt(e.AtMS, 10), e.Kind, e.CommandID, string(e.Data))
}

func checksum(parts ...string) int64 {
	h := crc32.NewIEEE()
	for _, p := range parts {
		h.Write(strconv.AppendQuote(nil, p))
	}
	return int64(h.Sum32())
}

// Append writes an event down. It is on the disk when Append returns, where saved; else it is kept in memory, after those
// before it, until Retry saves it. An event of a command that is in the journal already is not written twice.
func (s *Store) Append(ctx context.Context, e Event) (saved bool, err error) {
	if len(e.Data) == 0 {
		e.Data = json.RawMessage("null")
	}
	id := sql.NullString{String: e.CommandID, Valid: e.CommandID != ""}
	saved, err = s.exec(ctx, "INSERT INTO events (session, at_ms, kind, command_id, data, sum) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		e.Session, e.AtMS, e.Kind, id, string(e.Data), e.sum())
	if err != nil {
		return false, fmt.Errorf("append to the journal: %w", err)
	}
	if !saved && e.CommandID != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t := s.outage; t != nil {
			n := *t
			n.Unsaved = append(n.Unsaved[:len(n.Unsaved):len(n.Unsaved)], e.CommandID)
			s.outage = &n
		}
	}
	return saved, nil
}

// Events are a session's events in order. Those that were scribbled over are left out and counted in broken.
func (s *Store) Events(ctx context.Context, session string) (out []Event, broken int, err error) {
	err = s.Read(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT seq, session, at_ms, kind, coalesce(command_id, ''), data, sum FROM events WHERE session = ? ORDER BY seq", session)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e Event
			var data string
			var sum sql.NullInt64
			if err := rows.Scan(&e.Seq, &e.Session, &e.AtMS, &e.Kind, &e.CommandID, &data, &sum); err != nil {
				return err
			}
			e.Data = json.RawMessage(data)
			if sum.Valid && sum.Int64 != e.sum() {
				broken++
				continue
			}
			out = append(out, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, broken, fmt.Errorf("read the journal: %w", err)
	}
	return out, broken, nil
}

// Seen says whether a command is in the journal.
func (s *Store) Seen(ctx context.Context, commandID string) (bool, error) {
	var n int
	err := s.Read(func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE command_id = ?", commandID).Scan(&n)
	})
	return n > 0, err
}

func (a Anchor) sum() int64 {
	return checksum(a.BootID, strconv.FormatInt(int64(a.Boot), 10), strconv.FormatInt(a.Wall.UnixNano(), 10), strconv.FormatInt(int64(a.Room), 10))
}

// SetAnchor keeps where the room's clock stands.
func (s *Store) SetAnchor(ctx context.Context, a Anchor) error {
	_, err := s.exec(ctx, `INSERT INTO anchor (one, boot_id, boot_ns, wall_ns, room_ns, sum) VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET
		boot_id = excluded.boot_id, boot_ns = excluded.boot_ns, wall_ns = excluded.wall_ns, room_ns = excluded.room_ns, sum = excluded.sum`,
		a.BootID, int64(a.Boot), a.Wall.UnixNano(), int64(a.Room), a.sum())
	return err
}

// Anchor is the last one kept, or the zero one. Where it is not whole the room's clock goes on from the last event, as if
// no time had passed.
func (s *Store) Anchor(ctx context.Context) (a Anchor, err error) {
	err = s.Read(func(db *sql.DB) error {
		var boot, wall, room int64
		var sum sql.NullInt64
		err := db.QueryRowContext(ctx, "SELECT boot_id, boot_ns, wall_ns, room_ns, sum FROM anchor").Scan(&a.BootID, &boot, &wall, &room, &sum)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		a.Boot, a.Wall, a.Room = time.Duration(boot), time.Unix(0, wall), time.Duration(room)
		if err == nil && (!sum.Valid || sum.Int64 == a.sum()) {
			return nil
		}
		a = Anchor{}
		var last sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT max(at_ms) FROM events").Scan(&last); err != nil || !last.Valid {
			return err
		}
		a = Anchor{Wall: time.Now(), Room: time.Duration(last.Int64) * time.Millisecond}
		return nil
	})
	return a, err
}

// SessionRow is one session of the history. No field tells of the client.
type SessionRow struct {
	ID, Playlist, Name string
	StartedMS, EndedMS int64 // on the room's clock; EndedMS 0: not ended
	Ending             string
}

// Begin notes a session's start.
func (s *Store) Begin(ctx context.Context, r SessionRow) error {
	_, err := s.exec(ctx, "INSERT INTO sessions (id, playlist, name, started_ms) VALUES (?, ?, ?, ?)", r.ID, r.Playlist, r.Name, r.StartedMS)
	return err
}

// Finish notes a session's end, and how it came.
func (s *Store) Finish(ctx context.Context, id string, endedMS int64, ending string) error {
	_, err := s.exec(ctx, "UPDATE sessions SET ended_ms = ?, ending = ? WHERE id = ?", max(endedMS, 1), ending, id)
	return err
}

const (
	sessionColumns = "SELECT id, playlist, name, started_ms, ended_ms, ending FROM sessions "
	// By time: a row that was lost and made again comes later in the file.
	newest = "ORDER BY started_ms DESC, rowid DESC "
)

func (r *SessionRow) scan(scan func(...any) error) error {
	return scan(&r.ID, &r.Playlist, &r.Name, &r.StartedMS, &r.EndedMS, &r.Ending)
}

// Unfinished is the newest session, if it has not ended.
func (s *Store) Unfinished(ctx context.Context) (r SessionRow, ok bool, err error) {
	r, ok, err = s.session(ctx, newest+"LIMIT 1")
	return r, ok && r.EndedMS == 0, err
}

// Session is one session of the history.
func (s *Store) Session(ctx context.Context, id string) (r SessionRow, ok bool, err error) {
	return s.session(ctx, "WHERE id = ?", id)
}

func (s *Store) session(ctx context.Context, which string, args ...any) (r SessionRow, ok bool, err error) {
	err = s.Read(func(db *sql.DB) error { return r.scan(db.QueryRowContext(ctx, sessionColumns+which, args...).Scan) })
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// Sessions are the newest sessions, at most so many.
func (s *Store) Sessions(ctx context.Context, most int) (out []SessionRow, err error) {
	err = s.Read(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, sessionColumns+newest+"LIMIT ?", most)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r SessionRow
			if err := r.scan(rows.Scan); err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	return out, err
}

// Heard is how often each file was heard, for shuffled phases.
func (s *Store) Heard(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	err := s.Read(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT file, times FROM heard")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var file string
			var n int
			if err := rows.Scan(&file, &n); err != nil {
				return err
			}
			out[file] = n
		}
		return rows.Err()
	})
	return out, err
}

// Hear notes that files were heard.
func (s *Store) Hear(ctx context.Context, files []string) error {
	_, err := s.Write(ctx, func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, f := range files {
			if _, err := tx.ExecContext(ctx, "INSERT INTO heard VALUES (?, 1) ON CONFLICT (file) DO UPDATE SET times = times + 1", f); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		return tx.Commit()
	})
	return err
}
