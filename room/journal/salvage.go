package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// openFile opens the journal's file. It renames a damaged file and copies the readable rows into a new one.
func (s *Store) openFile() (db *sql.DB, warning string, err error) {
	aside := fmt.Sprintf("%s.damaged-%d", s.path, time.Now().UnixMilli())
	mended := false
	if !s.whole {
		lost, err := refill(s.path, aside)
		if err != nil {
			return nil, "", err
		}
		if lost {
			db, warning, err = s.openFile()
			if warning == "" {
				warning = "record-empty"
			}
			return db, warning, err
		}
		if mended, err = mendLog(s.path+"-wal", aside+".log"); err != nil {
			return nil, "", err
		}
	}
	db, err = openDB(s.path, !s.whole)
	if err == nil && mended {
		warning = "record-some"
	}
	if err == nil || !damaged(err) {
		if err == nil && !s.whole {
			s.whole = true
			// A file that is whole without its log outlives a power cut that costs the log. One that fails is tried by SQLite.
			_, _ = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		return db, warning, err
	}
	for _, ending := range []string{"", "-wal", "-shm"} {
		if e := os.Rename(s.path+ending, aside+ending); e != nil && !errors.Is(e, os.ErrNotExist) {
			return nil, "", fmt.Errorf("set the damaged journal aside: %w", errors.Join(e, err))
		}
	}
	if db, err = openDB(s.path, false); err != nil {
		return nil, "", err
	}
	s.whole = true
	lost, err := salvage(db, aside)
	switch {
	case err != nil:
		warning = "record-none"
	case lost || mended:
		warning = "record-some"
	default:
		warning = "record-all"
	}
	return db, warning, nil
}

// refill finds a journal that a power cut has emptied. SQLite would delete the log of an empty file, so the file gets one
// empty page: then the log is read, with all that it holds. lost tells that it was so; copies of both are set aside.
func refill(path, aside string) (lost bool, err error) {
	if st, err := os.Stat(path); err != nil || st.Size() > 0 {
		return false, nil
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil || len(log) == 0 {
		return false, nil // a new room's
	}
	if err := errors.Join(os.WriteFile(aside+"-wal", log, 0o600), os.WriteFile(aside, nil, 0o600)); err != nil {
		return false, fmt.Errorf("set the empty journal aside: %w", err)
	}
	return true, os.WriteFile(path, make([]byte, pageSize), 0o600)
}

// salvage copies all readable rows of the damaged file at path into db. lost reports whether it may have missed any. It
// returns an error if it finds no table.
func salvage(db *sql.DB, path string) (lost bool, err error) {
	lost, err = copyRows(db, path)
	if err == nil {
		return lost, nil
	}
	// The first page, which holds the schema, is corrupt. Use the first page of a new file: it has the same schema.
	spare := path + ".spare"
	defer func() {
		for _, ending := range []string{"", "-wal", "-shm"} {
			os.Remove(spare + ending)
		}
	}()
	fresh, e := openDB(spare, false)
	if e != nil {
		return true, errors.Join(err, e)
	}
	if e := fresh.Close(); e != nil {
		return true, errors.Join(err, e)
	}
	first, e := os.ReadFile(spare)
	if e != nil {
		return true, errors.Join(err, e)
	}
	b, e := os.ReadFile(path)
	if e != nil || len(first) < pageSize || len(b) < pageSize {
		return true, errors.Join(err, e)
	}
	copy(b, first[:pageSize])
	b[28], b[29], b[30], b[31] = 0, 0, 0, 0 // clear the page count, so that SQLite uses the file's length
	if e := os.WriteFile(spare, b, 0o600); e != nil {
		return true, errors.Join(err, e)
	}
	if wal, e := os.ReadFile(path + "-wal"); e == nil {
		if e := os.WriteFile(spare+"-wal", wal, 0o600); e != nil {
			return true, errors.Join(err, e)
		}
	}
	_, e = copyRows(db, spare)
	return true, e
}

const (
	pageSize = 4096    // SQLite's default, in bytes
	maxRows  = 1 << 22 // a higher rowid is corrupt
	maxFails = 20000   // failed reads before giving up on a table
)

// copyRows copies the readable rows of each table. It returns an error if it finds no table.
func copyRows(db *sql.DB, path string) (lost bool, err error) {
	from, err := sql.Open("sqlite", fileURI(path, url.Values{"mode": {"ro"}}))
	if err != nil {
		return true, err
	}
	defer from.Close()
	from.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, tx.Commit()) }()
	found := 0
	for _, table := range []string{"tokens", "sessions", "events", "anchor", "heard"} {
		// Copy by column name: an older file may lack some columns.
		rows, err := from.Query("SELECT * FROM " + table + " LIMIT 0")
		if err != nil {
			lost = true
			continue
		}
		columns, err := rows.Columns()
		rows.Close()
		if err != nil || len(columns) == 0 {
			lost = true
			continue
		}
		found++
		c := copying{from: from, to: tx, columns: len(columns),
			read:  "SELECT rowid, * FROM " + table + " WHERE rowid BETWEEN ? AND ? ORDER BY rowid",
			write: "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ") ON CONFLICT DO NOTHING"}
		top := int64(maxRows)
		if from.QueryRow("SELECT coalesce(max(rowid), 0) FROM "+table).Scan(&top) != nil || top < 0 || top > maxRows {
			top = maxRows
		}
		if !rooted(from, table) {
			lost = true
			continue
		}
		c.rows(0, top)
		lost = lost || c.lost
	}
	if found == 0 {
		return true, fmt.Errorf("%w: no tables found", errDamaged)
	}
	return lost, missingSessions(tx)
}

// rooted reports whether the page that a table begins on can be read. Without it every read fails, and thousands of them would
// hold up the start: so it asks for some rows that are far apart, which need not exist.
func rooted(from *sql.DB, table string) bool {
	for id := int64(1); id <= maxRows; id *= 2 {
		var n int
		if from.QueryRow("SELECT count(*) FROM "+table+" WHERE rowid = ?", id).Scan(&n) == nil {
			return true
		}
	}
	return false
}

// missingSessions re-creates the rows of sessions that only have events left. It leaves the newest session unfinished:
// replaying its events shows whether it has ended.
func missingSessions(tx *sql.Tx) error {
	rows, err := tx.Query(`SELECT session, at_ms, data, (SELECT max(at_ms) FROM events AS e WHERE e.session = events.session)
		FROM events WHERE kind = ? AND session NOT IN (SELECT id FROM sessions) ORDER BY seq`, KindBegin)
	if err != nil {
		return err
	}
	var missing []SessionRow
	for rows.Next() {
		var r SessionRow
		var data string
		var b struct{ Playlist struct{ ID, Name string } }
		if err := rows.Scan(&r.ID, &r.StartedMS, &data, &r.EndedMS); err != nil || json.Unmarshal([]byte(data), &b) != nil {
			continue
		}
		r.Playlist, r.Name, r.Ending = b.Playlist.ID, b.Playlist.Name, "not known"
		missing = append(missing, r)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for k, r := range missing {
		var newer int
		if err := tx.QueryRow("SELECT count(*) FROM sessions WHERE started_ms > ?", r.StartedMS).Scan(&newer); err != nil {
			return err
		}
		if k == len(missing)-1 && newer == 0 {
			r.EndedMS, r.Ending = 0, ""
		}
		if _, err := tx.Exec("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", r.ID, r.Playlist, r.Name, r.StartedMS, r.EndedMS, r.Ending); err != nil {
			return err
		}
	}
	return nil
}

// copying holds the state of copying one table.
type copying struct {
	from        *sql.DB
	to          *sql.Tx
	read, write string
	columns     int
	fails       int
	lost        bool
}

// rows copies rowids lo to hi. After a failed read it splits the rest in half, down to single rows.
func (c *copying) rows(lo, hi int64) {
	for lo <= hi && c.fails < maxFails {
		next, err := c.run(lo, hi)
		if err == nil {
			return
		}
		c.fails++
		c.lost = true
		if lo = next; lo >= hi {
			return
		}
		mid := lo + (hi-lo)/2
		c.rows(lo, mid)
		lo = mid + 1
	}
}

// run copies rowids lo to hi up to the first read error. next is the rowid after the last one copied.
func (c *copying) run(lo, hi int64) (next int64, err error) {
	ctx := context.Background()
	next = lo
	values := make([]any, 1+c.columns)
	into := make([]any, len(values))
	for k := range values {
		into[k] = &values[k]
	}
	rows, err := c.from.QueryContext(ctx, c.read, lo, hi)
	if err != nil {
		return next, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return next, err
		}
		id, ok := values[0].(int64)
		if !ok || id < next {
			return next, errDamaged
		}
		next = id + 1
		if _, err := c.to.ExecContext(ctx, c.write, values[1:]...); err != nil {
			c.lost = true // the row violates the schema
		}
	}
	return next, rows.Err()
}
