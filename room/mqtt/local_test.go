package mqtt

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLocalKeepsThroughNoLink plants what another user of the computer may make beside the file of simulated lamps, which lies in a
// folder that everybody writes to: a link is replaced, and a pipe keeps nobody waiting.
func TestLocalKeepsThroughNoLink(t *testing.T) {
	t.Parallel()
	theirs, file := filepath.Join(t.TempDir(), "theirs"), filepath.Join(t.TempDir(), "lamps")
	if err := errors.Join(os.WriteFile(theirs, []byte(`{"a": "Yg=="}`), 0o600), os.Symlink(theirs, file)); err != nil {
		t.Fatal(err)
	}
	l := NewLocal(file)
	l.Keep("lamp", []byte("on"))
	l.Close()
	if b, err := os.ReadFile(theirs); err != nil || string(b) != `{"a": "Yg=="}` || len(l.kept) != 1 {
		t.Errorf("%s, %v; kept %d", b, err, len(l.kept))
	}
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)); err != nil {
		t.Fatal(err)
	}
	NewLocal(file).Close()
}
