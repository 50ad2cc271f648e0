package journal

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestNewFileOpenedAtOnce has a service start on a new file while others open it: each waits for whoever brings it to the present schema.
func TestNewFileOpenedAtOnce(t *testing.T) {
	t.Parallel()
	for range 10 {
		path := filepath.Join(t.TempDir(), "roomd.db")
		var g errgroup.Group
		g.Go(func() error {
			s, warning, err := Open(path)
			if err != nil {
				return err
			}
			if outage := s.Outage(); warning != "" || outage != nil {
				t.Errorf("the service works in memory: %v %q", outage, warning)
			}
			return s.Close()
		})
		for range 3 {
			g.Go(func() error {
				s, err := Share(path)
				if err != nil {
					return err
				}
				return s.Close()
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTokenOfAnOutageIsKept lets a device in while the disk takes nothing and the wall clock is set back: it stays in once the disk works, and
// one that another process has revoked meanwhile stays out.
func TestTokenOfAnOutageIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "roomd.db")
	s, _, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	add := func(name string, created int64) {
		t.Helper()
		if _, err := s.Write(t.Context(), func(db *sql.DB) error {
			_, err := db.Exec("INSERT INTO tokens (hash, name, created) VALUES (?, ?, ?)", []byte(name), name, created)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	add("before", 1_800_000_000) // by a clock that was ahead
	s.use.Lock()
	err = s.retreat(errors.New("the disk takes nothing"))
	s.use.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	other, err := Share(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Write(t.Context(), func(db *sql.DB) error { _, err := db.Exec("DELETE FROM tokens"); return err }); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	add("meanwhile", 1_000_000)
	if saved, warning := s.Retry(); !saved || warning != "" {
		t.Fatal(saved, warning, s.Outage())
	}
	var names string
	if err := s.Read(func(db *sql.DB) error { return db.QueryRow("SELECT group_concat(name) FROM tokens").Scan(&names) }); err != nil {
		t.Fatal(err)
	}
	if names != "meanwhile" {
		t.Errorf("let in are %q", names)
	}
}
