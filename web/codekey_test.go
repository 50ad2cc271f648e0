package web

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestCodeKey makes a key by ten processes at once, and reads it again; a file that a power cut has emptied gets a new one.
func TestCodeKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls", "codes.key")
	keys := make([][]byte, 10)
	var g errgroup.Group
	for k := range keys {
		g.Go(func() (err error) { keys[k], err = CodeKey(file); return err })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if len(key) != codeKeySize || !bytes.Equal(key, keys[0]) {
			t.Fatalf("%x and %x", key, keys[0])
		}
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Error(left)
	}
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	again, err := CodeKey(file)
	if err != nil || len(again) != codeKeySize || bytes.Equal(again, keys[0]) {
		t.Errorf("%x, %v", again, err)
	}
}

// TestCodesAreSealed looks for a code in the journal as whoever has read it would: by the hash of each. One that an earlier
// version has stored lets nobody in.
func TestCodesAreSealed(t *testing.T) {
	h := open(t)
	p := offer(t, h.tokens, "", Therapist)
	stored := map[string]bool{}
	err := h.tokens.db.Read(func(db *sql.DB) error {
		var code []byte
		err := db.QueryRow("SELECT code FROM pairings").Scan(&code)
		stored[string(code)] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1_000_000 {
		if sum := sha256.Sum256(fmt.Appendf(nil, "%06d", n)); stored[string(sum[:])] {
			t.Fatalf("the code is %06d", n)
		}
	}
	if _, err := NewTokens(h.tokens.db).Offer(t.Context(), "", Therapist, time.Minute); err == nil {
		t.Error("a code was stored without a key")
	}
	if _, _, err := NewTokens(h.tokens.db).SealCodes([]byte("another key")).Redeem(t.Context(), p.Code, "x", "", false); !errors.Is(err, ErrNoPairing) {
		t.Error("let in by another key:", err)
	}
	old := sha256.Sum256([]byte("123456"))
	if _, err := h.tokens.exec(t.Context(), "INSERT INTO pairings (link, code, name, role, until) VALUES (?, ?, '', 'therapist', ?)", []byte("l"), old[:], time.Now().Add(time.Minute).Unix()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.tokens.Redeem(t.Context(), "123456", "x", "", false); !errors.Is(err, ErrNoPairing) {
		t.Error("let in by an older code:", err)
	}
	if _, _, err := h.tokens.Redeem(t.Context(), p.Code, "x", "", false); err != nil {
		t.Error(err)
	}
}
