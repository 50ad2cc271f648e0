// Package journal stores what a room must not lose: session events, the room clock and the paired devices. It is an SQLite
// database that survives kill -9, power cuts, full disks and corrupt pages. It knows nothing about session rules.
package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite" // the driver; imported here alone
	sqlite3 "modernc.org/sqlite/lib"
)

// Store is the journal, an SQLite database on disk. Once Append reports an event as saved, it survives kill -9 and power
// cuts. While the disk is not writable, a copy in memory replaces the database (see Outage). Store is safe for concurrent use.
type Store struct {
	path string

	use    sync.RWMutex // read-locked to use db, locked to replace it
	db     *sql.DB
	memory bool  // db is the copy in memory
	saved  int64 // seq of the last event on disk; valid while memory is set
	whole  bool  // the next open needs no integrity check
	pages  int   // maximum pages in the file, for tests; 0: no limit

	mu     sync.Mutex // guards the fields below
	outage *Outage
	under  int       // database calls in flight
	waits  time.Time // when under last rose from 0
}

// enter marks the start of a database call. The caller must call leave at its end.
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

// Limit caps the file at pages, like a full disk; 0 removes the cap. It applies when Retry writes to the file. For tests only.
func (s *Store) Limit(pages int) {
	s.use.Lock()
	defer s.use.Unlock()
	s.pages = pages
}

// Hangs reports whether database calls have been in flight for more than 2 s without a break.
func (s *Store) Hangs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.under > 0 && time.Since(s.waits) > 2*time.Second
}

// migrations[i] upgrades the database from user_version i to i+1. Never change a released one.
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
`, `
ALTER TABLE tokens ADD COLUMN secure INTEGER NOT NULL DEFAULT 0; -- 1: works over https only
ALTER TABLE tokens ADD COLUMN was BLOB; -- hash of the token that this one replaces, until this one is used
ALTER TABLE tokens ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- unused days count from here at the earliest
UPDATE tokens SET since = unixepoch(); -- a device of an earlier roomd has all its days still
`, `
ALTER TABLE pairings ADD COLUMN maker BLOB; -- hash of the token of the device that made it; null: roomd pair did
ALTER TABLE tokens ADD COLUMN admitted TEXT NOT NULL DEFAULT ''; -- name of the device that let this one in; empty: roomd pair or roomd token did
`, `
ALTER TABLE pairings ADD COLUMN remaining INTEGER; -- seconds of running time that a card's code has left; null: only until counts
CREATE TABLE cards (link BLOB PRIMARY KEY) STRICT; -- hashes of the links of the cards that the room took over
`, `
ALTER TABLE pairings ADD COLUMN boot TEXT NOT NULL DEFAULT ''; -- start of the computer that until counts its seconds from; empty: Unix time
`}

// Open opens or creates the database. A damaged file is renamed, its readable rows are copied into a new one, and warning
// tells the therapist so. If the disk is not writable, the store works in memory and Outage is set. Open returns an error
// if a newer roomd wrote the file, or if memory can't be used either.
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

// Share opens or creates the database while another process may have it open. It repairs nothing: a damaged file or a
// disk that is not writable is an error.
func Share(path string) (*Store, error) {
	db, err := openDB(path, false)
	if err != nil {
		return nil, err
	}
	return &Store{path: path, db: db, whole: true}, nil
}

// CopyTo writes a consistent copy of the database to path, which must not exist.
func (s *Store) CopyTo(ctx context.Context, path string) error {
	s.use.RLock()
	defer s.use.RUnlock()
	defer s.enter()()
	makePrivate(path)
	_, err := s.db.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// makePrivate makes an empty file that only its owner can read: SQLite gives its own to whomever the umask lets, and its log
// the rights of its database. It leaves a file that exists as it is, and errors to SQLite.
func makePrivate(path string) {
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		_ = f.Close() // nothing was written
	}
}

// fileURI returns SQLite's URI for path with the parameters q.
func fileURI(path string, q url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// openDB opens or creates the file and migrates it to the current schema. With look it runs an integrity check first.
func openDB(path string, look bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)", "secure_delete(1)",
		// A short log limits the loss: one corrupt frame can cost every frame after it.
		"wal_autocheckpoint(16)"}}
	makePrivate(path)
	db, err := sql.Open("sqlite", fileURI(path, q))
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	// One connection means one writer, and the pragmas always apply.
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
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	// Where two connections turn on the log of a new file at once, SQLite does not wait, but refuses one of them.
	for began := time.Now(); isBusy(err) && time.Since(began) < 5*time.Second; conn, err = db.Conn(ctx) {
		<-time.After(10 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if version, err := schemaOf(ctx, conn); err != nil || version == len(migrations) {
		return err
	}
	// Another process may be at it, too: a service that has just started, and whoever pairs with it. The second one waits for the
	// lock and finds the work done. After an error the caller closes db, and with it the transaction.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	version, err := schemaOf(ctx, conn)
	if err != nil {
		return err
	}
	for ; version < len(migrations); version++ {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("%s; PRAGMA user_version = %d", migrations[version], version+1)); err != nil {
			return fmt.Errorf("schema %d: %w", version+1, err)
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// schemaOf returns the user_version of the database, which is an error if this roomd does not know it.
func schemaOf(ctx context.Context, conn *sql.Conn) (version int, err error) {
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	if version > len(migrations) {
		return 0, fmt.Errorf("%w (schema %d, this roomd supports up to %d)", errNewer, version, len(migrations))
	}
	return version, nil
}

var (
	errDamaged = errors.New("the file is damaged")
	errNewer   = errors.New("the file was written by a newer roomd")
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

// code returns the primary SQLite result code in err, or 0 if err has none.
func code(err error) int {
	var c interface{ Code() int }
	if errors.As(err, &c) {
		return c.Code() & 0xff
	}
	return 0
}

// damaged reports whether err means that the file is not a valid database.
func damaged(err error) bool {
	return errors.Is(err, errDamaged) || code(err) == sqliteCorrupt || code(err) == sqliteNotADB
}

// Read calls use with the database. use must only read.
func (s *Store) Read(use func(*sql.DB) error) error {
	defer s.enter()()
	s.use.RLock()
	defer s.use.RUnlock()
	return use(s.db)
}

// Write calls change with the database. If saved, the change is on disk; otherwise it is in memory until Retry saves it.
// If the disk fails, Write switches to the copy in memory and calls change again.
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

// exec is Write for a single statement.
func (s *Store) exec(ctx context.Context, query string, args ...any) (saved bool, err error) {
	return s.Write(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, query, args...)
		return err
	})
}

// Close closes the database. Changes that are only in memory are lost.
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	return s.db.Close()
}

// Kinds of events.
const (
	KindBegin   = "begin"   // a session's starting state
	KindCommand = "command" // a command from a person or a program
	KindTrouble = "trouble" // a track that failed
	KindNote    = "note"    // a note on a mark or a session
)

// Anchor is one simultaneous reading of the room, boot and wall clocks, from which a later process continues room time.
type Anchor struct {
	BootID string        // from the kernel, new at each boot
	Boot   time.Duration // since boot, suspend included
	Wall   time.Time
	Room   time.Duration
}

// Event is one journal entry. Data is JSON that the store does not interpret.
type Event struct {
	Seq       int64
	Session   string // empty: outside any session
	AtMS      int64  // room time
	Kind      string
	CommandID string // empty: not caused by a command
	Data      json.RawMessage
}

// sum is the checksum that detects a corrupt event.
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

// Append writes e. If saved, e is on disk; otherwise it is in memory until Retry saves it. An event whose CommandID is
// already in the journal is ignored.
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

// Events returns a session's events in order. It skips corrupt events and counts them in broken.
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

// Seen reports whether the journal contains a command.
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

// SetAnchor stores a, replacing the previous anchor.
func (s *Store) SetAnchor(ctx context.Context, a Anchor) error {
	_, err := s.exec(ctx, `INSERT INTO anchor (one, boot_id, boot_ns, wall_ns, room_ns, sum) VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET
		boot_id = excluded.boot_id, boot_ns = excluded.boot_ns, wall_ns = excluded.wall_ns, room_ns = excluded.room_ns, sum = excluded.sum`,
		a.BootID, int64(a.Boot), a.Wall.UnixNano(), int64(a.Room), a.sum())
	return err
}

// Anchor returns the last stored anchor. If it is missing or corrupt, Anchor returns one that continues from the last event
// as if no time had passed, or the zero Anchor if there are no events.
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

// SessionRow is one session in the history. No field describes the client.
type SessionRow struct {
	ID, Playlist, Name string
	StartedMS, EndedMS int64 // room time; EndedMS 0: not ended
	Ending             string
}

// Begin records a session's start.
func (s *Store) Begin(ctx context.Context, r SessionRow) error {
	_, err := s.exec(ctx, "INSERT INTO sessions (id, playlist, name, started_ms) VALUES (?, ?, ?, ?)", r.ID, r.Playlist, r.Name, r.StartedMS)
	return err
}

// Finish records when and how a session ended.
func (s *Store) Finish(ctx context.Context, id string, endedMS int64, ending string) error {
	_, err := s.exec(ctx, "UPDATE sessions SET ended_ms = ?, ending = ? WHERE id = ?", max(endedMS, 1), ending, id)
	return err
}

const (
	sessionColumns = "SELECT id, playlist, name, started_ms, ended_ms, ending FROM sessions "
	// Sort by time, because a recovered row comes later in the file.
	newest = "ORDER BY started_ms DESC, rowid DESC "
)

func (r *SessionRow) scan(scan func(...any) error) error {
	return scan(&r.ID, &r.Playlist, &r.Name, &r.StartedMS, &r.EndedMS, &r.Ending)
}

// Unfinished returns the newest session if it has not ended.
func (s *Store) Unfinished(ctx context.Context) (r SessionRow, ok bool, err error) {
	r, ok, err = s.session(ctx, newest+"LIMIT 1")
	return r, ok && r.EndedMS == 0, err
}

// Session returns the session with this id.
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

// Sessions returns the newest sessions, up to most of them, newest first.
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

// Tally is how much was marked and written in a session.
type Tally struct{ Marks, Notes int }

// Tallies returns each session's tally. What was undone, or written and emptied again, does not count.
func (s *Store) Tallies(ctx context.Context) (map[string]Tally, error) {
	out := map[string]Tally{}
	err := s.Read(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `
			WITH e AS (SELECT seq, session, kind, command_id, json_extract(data, '$.do') AS do, coalesce(json_extract(data, '$.of'), '') AS of,
				coalesce(json_extract(data, '$.text'), '') AS text FROM events WHERE kind IN (?, ?) AND json_valid(data))
			SELECT session,
				count(*) FILTER (WHERE do = 'mark' AND NOT EXISTS (SELECT 1 FROM e u WHERE u.session = e.session AND u.do = 'undo' AND u.of = e.command_id)),
				count(*) FILTER (WHERE kind = ? AND text <> '' AND NOT EXISTS (SELECT 1 FROM e n WHERE n.session = e.session AND n.kind = e.kind AND n.of = e.of AND n.seq > e.seq))
			FROM e GROUP BY session`, KindCommand, KindNote, KindNote)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var t Tally
			if err := rows.Scan(&id, &t.Marks, &t.Notes); err != nil {
				return err
			}
			out[id] = t
		}
		return rows.Err()
	})
	return out, err
}

// Heard returns how often each file was played, for shuffled phases.
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

// Hear adds one play to each of files.
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

// AdoptTokens makes the tokens of the database at path the store's: whoever is let in there is let in here. That database has
// to be of the present schema, as Share leaves it; an empty path has no tokens. The store's own tokens stay only if keep is set,
// and where path has neither their name nor their hash. Pairings that are offered end.
func (s *Store) AdoptTokens(ctx context.Context, path string, keep bool) error {
	change := []string{"DELETE FROM main.pairings"}
	if !keep {
		change = append(change, "DELETE FROM main.tokens")
	}
	if path != "" {
		change = append(change,
			"DELETE FROM main.tokens WHERE name IN (SELECT name FROM present.tokens) OR hash IN (SELECT hash FROM present.tokens)",
			"INSERT INTO main.tokens SELECT * FROM present.tokens")
	}
	_, err := s.Write(ctx, func(db *sql.DB) (err error) {
		if path != "" {
			if _, err := db.ExecContext(ctx, "ATTACH ? AS present", path); err != nil {
				return err
			}
			defer func() {
				_, e := db.ExecContext(context.WithoutCancel(ctx), "DETACH present")
				err = errors.Join(err, e)
			}()
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // no effect after Commit
		for _, c := range change {
			if _, err := tx.ExecContext(ctx, c); err != nil {
				return err
			}
		}
		return tx.Commit()
	})
	if err != nil {
		return fmt.Errorf("adopt tokens: %w", err)
	}
	return nil
}
