package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Tokens are who may steer the room: a random token each, of which only the SHA-256 is stored. Another process may
// create and revoke them while this one serves.
type Tokens struct{ db *sql.DB }

// Token is one that was handed out.
type Token struct {
	Name     string
	Created  time.Time
	LastUsed time.Time // to the day; zero: never
}

// ErrNoToken: there is no token of that name.
var ErrNoToken = errors.New("no such token")

// NewTokens makes the table of tokens where it is not there yet.
func NewTokens(db *sql.DB) (*Tokens, error) {
	_, err := db.Exec(`CREATE TABLE IF NOT EXISTS tokens (
		hash BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) STRICT`)
	if err != nil {
		return nil, fmt.Errorf("table of tokens: %w", err)
	}
	return &Tokens{db}, nil
}

func hash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// Create makes a token under a name of its own. It is on the disk when Create returns, and can't be read again.
func (t *Tokens) Create(ctx context.Context, name string) (token string, err error) {
	if name = strings.TrimSpace(name); name == "" || utf8.RuneCountInString(name) > 64 {
		return "", errors.New("a token needs a name of 1 to 64 letters, such as the tablet's")
	}
	b := make([]byte, 32)
	rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	r, err := t.db.ExecContext(ctx, "INSERT INTO tokens (hash, name, created) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", hash(token), name, time.Now().Unix())
	if err != nil {
		return "", fmt.Errorf("save the token: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return "", errors.Join(err, fmt.Errorf("there is a token called %q already (roomd token revoke %q ends it)", name, name))
	}
	return token, nil
}

// Revoke ends a token at once, and what is connected by it within a second.
func (t *Tokens) Revoke(ctx context.Context, name string) error {
	r, err := t.db.ExecContext(ctx, "DELETE FROM tokens WHERE name = ?", name)
	if err != nil {
		return fmt.Errorf("revoke the token: %w", err)
	}
	if n, err := r.RowsAffected(); err == nil && n == 0 {
		return ErrNoToken
	}
	return nil
}

// List is all tokens by name.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	rows, err := t.db.QueryContext(ctx, "SELECT name, created, used FROM tokens ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		var k Token
		var created, used int64
		if err := rows.Scan(&k.Name, &created, &used); err != nil {
			return nil, fmt.Errorf("list the tokens: %w", err)
		}
		k.Created = time.Unix(created, 0)
		if used > 0 {
			k.LastUsed = time.Unix(used, 0)
		}
		out = append(out, k)
	}
	return out, rows.Err()
}

// Check says whose token it is. A hash is looked up, so that timing tells nothing of a token.
func (t *Tokens) Check(ctx context.Context, token string) (name string, ok bool) {
	if token == "" || len(token) > 128 {
		return "", false
	}
	var used int64
	if t.db.QueryRowContext(ctx, "SELECT name, used FROM tokens WHERE hash = ?", hash(token)).Scan(&name, &used) != nil {
		return "", false
	}
	// Kept to the day: a write for each request would wear the card out.
	if day := time.Now().Truncate(24 * time.Hour).Unix(); day > used {
		_, _ = t.db.ExecContext(ctx, "UPDATE tokens SET used = ? WHERE hash = ?", day, hash(token))
	}
	return name, true
}
