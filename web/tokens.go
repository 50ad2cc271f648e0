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
type Tokens struct{ db Database }

// Database holds the table of tokens. *room.Store is one.
type Database interface {
	Read(use func(*sql.DB) error) error
	Write(ctx context.Context, change func(*sql.DB) error) (saved bool, err error)
}

// Token is one that was handed out.
type Token struct {
	Name     string
	Created  time.Time
	LastUsed time.Time // to the day; zero: never
}

// ErrNoToken: there is no token of that name.
var ErrNoToken = errors.New("no such token")

// NewTokens are the tokens in a database.
func NewTokens(db Database) *Tokens { return &Tokens{db} }

func hash(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// Create makes a token under a name of its own. It is on the disk when Create returns, unless the disk takes nothing, and
// can't be read again.
func (t *Tokens) Create(ctx context.Context, name string) (token string, err error) {
	if name = strings.TrimSpace(name); name == "" || utf8.RuneCountInString(name) > 64 {
		return "", errors.New("a token needs a name of 1 to 64 letters, such as the tablet's")
	}
	b := make([]byte, 32)
	rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	n, err := t.exec(ctx, "INSERT INTO tokens (hash, name, created) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", hash(token), name, time.Now().Unix())
	if err != nil {
		return "", fmt.Errorf("save the token: %w", err)
	}
	if n == 0 {
		return "", fmt.Errorf("there is a token called %q already (roomd token revoke %q ends it)", name, name)
	}
	return token, nil
}

// exec changes the table by one statement and says how many rows that has changed.
func (t *Tokens) exec(ctx context.Context, query string, args ...any) (n int64, err error) {
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		r, err := db.ExecContext(ctx, query, args...)
		if err == nil {
			n, err = r.RowsAffected()
		}
		return err
	})
	return n, err
}

// Revoke ends a token at once, and what is connected by it within a second.
func (t *Tokens) Revoke(ctx context.Context, name string) error {
	n, err := t.exec(ctx, "DELETE FROM tokens WHERE name = ?", name)
	if err != nil {
		return fmt.Errorf("revoke the token: %w", err)
	}
	if n == 0 {
		return ErrNoToken
	}
	return nil
}

// List is all tokens by name.
func (t *Tokens) List(ctx context.Context) (out []Token, err error) {
	err = t.db.Read(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT name, created, used FROM tokens ORDER BY name")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k Token
			var created, used int64
			if err := rows.Scan(&k.Name, &created, &used); err != nil {
				return err
			}
			k.Created = time.Unix(created, 0)
			if used > 0 {
				k.LastUsed = time.Unix(used, 0)
			}
			out = append(out, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	return out, nil
}

// Check says whose token it is. A hash is looked up, so that timing tells nothing of a token.
func (t *Tokens) Check(ctx context.Context, token string) (name string, ok bool) {
	if token == "" || len(token) > 128 {
		return "", false
	}
	err := t.db.Read(func(db *sql.DB) error {
		var used int64
		if err := db.QueryRowContext(ctx, "SELECT name, used FROM tokens WHERE hash = ?", hash(token)).Scan(&name, &used); err != nil {
			return err
		}
		// Kept to the day: a write for each request would wear the card out. Where the disk does not take it, no matter.
		if day := time.Now().Truncate(24 * time.Hour).Unix(); day > used {
			_, _ = db.ExecContext(ctx, "UPDATE tokens SET used = ? WHERE hash = ?", day, hash(token))
		}
		return nil
	})
	if err != nil {
		return "", false
	}
	return name, true
}
