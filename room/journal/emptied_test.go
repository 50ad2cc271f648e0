package journal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJournalThatAPowerCutHasEmptied opens a journal of no bytes beside its log. It is set aside and told, and what the
// log holds is there.
func TestJournalThatAPowerCutHasEmptied(t *testing.T) {
	for name, first := range map[string]bool{"the log holds all": true, "the log holds the last session": false} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "roomd.db")
			open := Share // makes no checkpoint
			if !first {
				open = func(path string) (*Store, error) { s, _, err := Open(path); return s, err }
			}
			was, err := open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer was.Close()
			if err := was.Begin(t.Context(), SessionRow{ID: "abc", Playlist: "p", Name: "P"}); err != nil {
				t.Fatal(err)
			}
			cut := filepath.Join(t.TempDir(), "roomd.db")
			log, err := os.ReadFile(path + "-wal")
			if err != nil || len(log) == 0 {
				t.Fatalf("no log: %v", err)
			}
			if err := os.WriteFile(cut+"-wal", log, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(cut, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			s, warning, err := Open(cut)
			if err != nil || warning == "" {
				t.Fatalf("%q %v", warning, err)
			}
			defer s.Close()
			aside, _ := filepath.Glob(cut + ".damaged-*-wal")
			if len(aside) == 0 {
				t.Error("the log was not set aside")
			}
			_, there, err := s.Session(context.Background(), "abc")
			if err != nil || first && !there {
				t.Errorf("the session is lost: %v", err)
			}
			if err := s.Begin(t.Context(), SessionRow{ID: "next", Playlist: "p", Name: "P"}); err != nil {
				t.Errorf("nothing can be written: %v", err)
			}
		})
	}
}

// TestJournalIsWholeAfterItsStart opens what is left of a journal whose log is lost.
func TestJournalIsWholeAfterItsStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roomd.db")
	s, err := Share(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(t.Context(), SessionRow{ID: "abc", Playlist: "p", Name: "P"}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s, _, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cut := filepath.Join(t.TempDir(), "roomd.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c, warning, err := Open(cut)
	if err != nil || strings.Contains(warning, "damaged") {
		t.Fatalf("%q %v", warning, err)
	}
	defer c.Close()
	if _, there, err := c.Session(t.Context(), "abc"); err != nil || !there {
		t.Errorf("the session is lost: %v", err)
	}
}
