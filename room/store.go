package room

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	_ "modernc.org/sqlite" // the driver; imported here alone
)

// Store is the journal on disk: an SQLite database in which an event is durable when Append returns, through kill -9
// and power cuts alike. Its methods may be called from any goroutine.
type Store struct {
	db *sql.DB
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
`}

// OpenStore opens the database, or makes it. One that is damaged is set aside under another name and a new one made;
// warning then says so, for the therapist.
func OpenStore(path string) (s *Store, warning string, err error) {
	s, err = openStore(path)
	if err == nil || !damaged(err) {
		return s, "", err
	}
	aside := fmt.Sprintf("%s.damaged-%d", path, time.Now().Unix())
	for _, ending := range []string{"", "-wal", "-shm"} {
		if e := os.Rename(path+ending, aside+ending); e != nil && !errors.Is(e, os.ErrNotExist) {
			return nil, "", fmt.Errorf("set the damaged journal aside: %w", errors.Join(e, err))
		}
	}
	s, err = openStore(path)
	return s, "The record of earlier sessions was damaged and was set aside; a new one was begun.", err
}

func openStore(path string) (*Store, error) {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	// One connection: a single writer, and pragmas that hold for all.
	db.SetMaxOpenConns(1)
	s := &Store{db}
	if err := s.migrate(); err != nil {
		db.Close()
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return s, nil
}

func (s *Store) migrate() error {
	var check string
	if err := s.db.QueryRow("PRAGMA quick_check(1)").Scan(&check); err != nil {
		return err
	}
	if check != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, check)
	}
	var version int
	if err := s.db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("it was written by a newer roomd (schema %d, this one knows %d)", version, len(migrations))
	}
	for ; version < len(migrations); version++ {
		tx, err := s.db.Begin()
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

var errDamaged = errors.New("the file is damaged")

// damaged says whether an error means that the file is not, or no longer, a database. modernc's errors carry SQLite's
// result code: SQLITE_CORRUPT is 11, SQLITE_NOTADB 26; the low byte is the primary code.
func damaged(err error) bool {
	var code interface{ Code() int }
	return errors.Is(err, errDamaged) || errors.As(err, &code) && (code.Code()&0xff == 11 || code.Code()&0xff == 26)
}

// DB is the database, for tables of others.
func (s *Store) DB() *sql.DB { return s.db }

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Event is one line of the journal. Data is JSON that the store does not read.
type Event struct {
	Seq       int64
	Session   string // empty: outside of sessions
	AtMS      int64  // on the room's clock
	Kind      string
	CommandID string // empty: of no command
	Data      json.RawMessage
}

// Append writes an event down. It is on the disk when Append returns.
func (s *Store) Append(ctx context.Context, e Event) (seq int64, err error) {
	if len(e.Data) == 0 {
		e.Data = json.RawMessage("null")
	}
	id := sql.NullString{String: e.CommandID, Valid: e.CommandID != ""}
	r, err := s.db.ExecContext(ctx, "INSERT INTO events (session, at_ms, kind, command_id, data) VALUES (?, ?, ?, ?, ?)",
		e.Session, e.AtMS, e.Kind, id, string(e.Data))
	if err != nil {
		return 0, fmt.Errorf("append to the journal: %w", err)
	}
	return r.LastInsertId()
}

// Events are a session's events in order.
func (s *Store) Events(ctx context.Context, session string) ([]Event, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT seq, session, at_ms, kind, coalesce(command_id, ''), data FROM events WHERE session = ? ORDER BY seq", session)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	defer rows.Close()
	var out []Event
	for rows.Next() {
		var e Event
		var data string
		if err := rows.Scan(&e.Seq, &e.Session, &e.AtMS, &e.Kind, &e.CommandID, &data); err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		e.Data = json.RawMessage(data)
		out = append(out, e)
	}
	return out, rows.Err()
}

// Seen says whether a command is in the journal.
func (s *Store) Seen(ctx context.Context, commandID string) (bool, error) {
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM events WHERE command_id = ?", commandID).Scan(&n)
	return n > 0, err
}

// SetAnchor keeps where the room's clock stands.
func (s *Store) SetAnchor(ctx context.Context, a Anchor) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO anchor VALUES (1, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET
		boot_id = excluded.boot_id, boot_ns = excluded.boot_ns, wall_ns = excluded.wall_ns, room_ns = excluded.room_ns`,
		a.BootID, int64(a.Boot), a.Wall.UnixNano(), int64(a.Room))
	return err
}

// Anchor is the last one kept, or the zero one.
func (s *Store) Anchor(ctx context.Context) (a Anchor, err error) {
	var boot, wall, room int64
	err = s.db.QueryRowContext(ctx, "SELECT boot_id, boot_ns, wall_ns, room_ns FROM anchor").Scan(&a.BootID, &boot, &wall, &room)
	if errors.Is(err, sql.ErrNoRows) {
		return Anchor{}, nil
	}
	a.Boot, a.Wall, a.Room = time.Duration(boot), time.Unix(0, wall), time.Duration(room)
	return a, err
}

// SessionRow is one session of the history. No field tells of the client.
type SessionRow struct {
	ID, Playlist, Name string
	StartedMS, EndedMS int64 // on the room's clock; EndedMS 0: not ended
	Ending             string
}

func (r SessionRow) record() SessionRecord {
	rec := SessionRecord{ID: r.ID, Playlist: r.Playlist, Name: r.Name, State: Running, Ending: r.Ending}
	if r.EndedMS != 0 {
		rec.State, rec.LengthMS = Ended, r.EndedMS-r.StartedMS
	}
	return rec
}

// Begin notes a session's start.
func (s *Store) Begin(ctx context.Context, r SessionRow) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO sessions (id, playlist, name, started_ms) VALUES (?, ?, ?, ?)", r.ID, r.Playlist, r.Name, r.StartedMS)
	return err
}

// Finish notes a session's end, and how it came.
func (s *Store) Finish(ctx context.Context, id string, endedMS int64, ending string) error {
	_, err := s.db.ExecContext(ctx, "UPDATE sessions SET ended_ms = ?, ending = ? WHERE id = ?", max(endedMS, 1), ending, id)
	return err
}

const sessionColumns = "SELECT id, playlist, name, started_ms, ended_ms, ending FROM sessions "

func (r *SessionRow) scan(scan func(...any) error) error {
	return scan(&r.ID, &r.Playlist, &r.Name, &r.StartedMS, &r.EndedMS, &r.Ending)
}

// Unfinished is the newest session, if it has not ended.
func (s *Store) Unfinished(ctx context.Context) (r SessionRow, ok bool, err error) {
	err = r.scan(s.db.QueryRowContext(ctx, sessionColumns+"ORDER BY rowid DESC LIMIT 1").Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil && r.EndedMS == 0, err
}

// Session is one session of the history.
func (s *Store) Session(ctx context.Context, id string) (r SessionRow, ok bool, err error) {
	err = r.scan(s.db.QueryRowContext(ctx, sessionColumns+"WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

// Sessions are the newest sessions, at most so many.
func (s *Store) Sessions(ctx context.Context, most int) ([]SessionRow, error) {
	rows, err := s.db.QueryContext(ctx, sessionColumns+"ORDER BY rowid DESC LIMIT ?", most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []SessionRow
	for rows.Next() {
		var r SessionRow
		if err := r.scan(rows.Scan); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// Heard is how often each file was heard, for shuffled phases.
func (s *Store) Heard(ctx context.Context) (map[string]int, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT file, times FROM heard")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var file string
		var n int
		if err := rows.Scan(&file, &n); err != nil {
			return nil, err
		}
		out[file] = n
	}
	return out, rows.Err()
}

// Hear notes that files were heard.
func (s *Store) Hear(ctx context.Context, files []string) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, err := tx.ExecContext(ctx, "INSERT INTO heard VALUES (?, 1) ON CONFLICT (file) DO UPDATE SET times = times + 1", f); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}
