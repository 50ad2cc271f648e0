package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2/maybe"
)

// codeKeySize is the size of a CodeKey in bytes.
const codeKeySize = sha256.Size

// CodeKey returns the key in a file, which it makes if it is missing or damaged. Pairing codes are stored as their HMAC by this
// key: of a code's mere hash whoever reads the journal finds the six digits by trying all of them. A code that was stored by
// another key lets nobody in. Of two processes that make the file at once, both get the same key.
func CodeKey(file string) ([]byte, error) {
	key, err := os.ReadFile(file)
	if err == nil && len(key) == codeKeySize {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key of pairing codes: %w", err)
	}
	damaged := err == nil
	key = make([]byte, codeKeySize)
	rand.Read(key)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("make the key of pairing codes: %w", err)
	}
	if damaged {
		err = maybe.WriteFile(file, key, 0o600)
	} else if err = linkNew(file, key); errors.Is(err, fs.ErrExist) {
		return CodeKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("make the key of pairing codes: %w", err)
	}
	return key, nil
}

// linkNew writes a file that is not there yet, whole or not at all. The error is fs.ErrExist if it is there.
func linkNew(file string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), file)
}

// codeSeal is the key that codes are stored by; without one none can be offered, and none lets in.
type codeSeal []byte

// SealCodes has codes stored by a key; see CodeKey. It is called before the tokens are used.
func (t *Tokens) SealCodes(key []byte) *Tokens {
	t.codes = key
	return t
}

// stored returns what is stored of a code, or of a link, whose 128 random bits nobody finds by its hash.
func (s codeSeal) stored(codeOrLink string) (sum [sha256.Size]byte) {
	if !isCode(codeOrLink) {
		return hash(codeOrLink)
	}
	m := hmac.New(sha256.New, s)
	m.Write([]byte(codeOrLink))
	m.Sum(sum[:0])
	return sum
}
