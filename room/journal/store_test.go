package journal

import (
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
