package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Tokens are who may steer the room: a random token each, of which only the SHA-256 is stored. Another process may
// create and revoke them while this one serves. They are known in memory too, so that a disk that hangs or fails keeps
// no tablet waiting and sends none away.
type Tokens struct {
	db Database

	mu      sync.Mutex
	known   map[[sha256.Size]byte]Token // as last read
	tried   time.Time                   // when the last reading began that has ended
	reading chan struct{}               // closed when the one that is under way ends; nil: none is
}

const (
	maxName     = 64                     // letters
	tokensFresh = 500 * time.Millisecond // so long what was read is taken as it is
	tokensWait  = 50 * time.Millisecond  // for the disk, by who is known
	tokensTime  = 5 * time.Second        // for the disk, by who is not
)

// Database holds the table of tokens. *journal.Store is one.
type Database interface {
	Read(use func(*sql.DB) error) error
	Write(ctx context.Context, change func(*sql.DB) error) (saved bool, err error)
}

// Role is what a token lets its owner do.
type Role string

const (
	Therapist Role = "therapist" // sees and steers
	Observer  Role = "observer"  // sees the session and does nothing
)

// Token is one that was handed out.
type Token struct {
	Name     string
	Role     Role
	Created  time.Time
	LastUsed time.Time // to the day; zero: never
}

// ErrNoToken: there is no token of that name.
var ErrNoToken = errors.New("no such token")

// NewTokens are the tokens in a database.
func NewTokens(db Database) *Tokens { return &Tokens{db: db} }

func hash(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// Create makes a token under a name of its own. It is on the disk when Create returns, unless the disk takes nothing, and
// can't be read again.
func (t *Tokens) Create(ctx context.Context, name string, role Role) (token string, err error) {
	if name = strings.TrimSpace(name); name == "" {
		return "", fmt.Errorf("a token needs a name of 1 to %d letters, such as the tablet's", maxName)
	}
	if err := nameable(name); err != nil {
		return "", err
	}
	token = secret(32)
	h := hash(token)
	n, err := t.exec(ctx, "INSERT INTO tokens (hash, name, role, created) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING", h[:], name, role, time.Now().Unix())
	if err != nil {
		return "", fmt.Errorf("save the token: %w", err)
	}
	if n == 0 {
		return "", fmt.Errorf("there is a token called %q already (roomd token revoke %q ends it)", name, name)
	}
	return token, nil
}

// nameable reports why a device can't have this name: it is too long, can't stand in an address, or shows otherwise than it is
// written.
func nameable(name string) error {
	switch {
	case utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("a name has at most %d letters", maxName)
	case readable(name) != name:
		return fmt.Errorf("the name %q holds characters that can't be seen: leave them out", name)
	case name != "" && strings.Trim(name, ". ") == "":
		return fmt.Errorf("%q is not a name: add a letter or a digit", name)
	}
	return nil
}

// readable is a name without what nobody sees: control characters, and those that turn the direction of a text.
func readable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
}

// secret is so many random bytes, as they can stand in an address.
func secret(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
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
	t.settle(ctx)
	t.renew(tokensTime)
	return n, err
}

// settle brings what was written from the journal's log into its file: who may steer outlives a power cut that costs the
// log. One that fails costs nothing now.
func (t *Tokens) settle(ctx context.Context) {
	_ = t.db.Read(func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
		return err
	})
}

// renew reads the tokens anew, in a goroutine of its own, and waits for it, but not for longer than wait.
func (t *Tokens) renew(wait time.Duration) {
	asked := time.Now()
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		t.mu.Lock()
		if !t.tried.Before(asked) {
			t.mu.Unlock()
			return
		}
		ended := t.reading
		if ended == nil {
			ended = make(chan struct{})
			t.reading = ended
			go t.read(ended)
		}
		t.mu.Unlock()
		select {
		case <-ended:
		case <-late.C:
			return
		}
	}
}

// read reads the tokens. Where they can't be read those known stay.
func (t *Tokens) read(ended chan struct{}) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	known, err := t.load(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.known = known
	}
	t.tried, t.reading = began, nil
	close(ended)
}

func (t *Tokens) load(ctx context.Context) (known map[[sha256.Size]byte]Token, err error) {
	err = t.db.Read(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT hash, name, role, created, used FROM tokens")
		if err != nil {
			return err
		}
		defer rows.Close()
		known = map[[sha256.Size]byte]Token{}
		for rows.Next() {
			var k Token
			var h []byte
			var created, used int64
			if err := rows.Scan(&h, &k.Name, &k.Role, &created, &used); err != nil {
				return err
			}
			k.Created = time.Unix(created, 0)
			if used > 0 {
				k.LastUsed = time.Unix(used, 0)
			}
			if len(h) == sha256.Size {
				known[[sha256.Size]byte(h)] = k
			}
		}
		return rows.Err()
	})
	return known, err
}

// Revoke ends a token. What is connected by it to another process is cut off within three seconds.
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
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	known, err := t.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	return slices.SortedFunc(maps.Values(known), func(a, b Token) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Check says whose token it is, as the disk had it half a second ago at the most. While the disk does not answer, whoever
// is known stays so. A hash is looked up, so that timing tells nothing of a token.
func (t *Tokens) Check(token string) (whose Token, ok bool) {
	if token == "" || len(token) > 128 {
		return Token{}, false
	}
	h := hash(token)
	t.mu.Lock()
	k, ok := t.known[h]
	fresh := time.Since(t.tried) < tokensFresh
	t.mu.Unlock()
	switch {
	case !ok:
		t.renew(tokensTime)
	case !fresh:
		t.renew(tokensWait)
	}
	day := time.Now().Truncate(24 * time.Hour)
	t.mu.Lock()
	defer t.mu.Unlock()
	if k, ok = t.known[h]; ok && day.After(k.LastUsed) {
		// Kept to the day: a write for each request would wear the card out. Where the disk does not take it, no matter.
		k.LastUsed = day
		t.known[h] = k
		go func() {
			_ = t.db.Read(func(db *sql.DB) error {
				_, err := db.Exec("UPDATE tokens SET used = ? WHERE hash = ?", day.Unix(), h[:])
				return err
			})
		}()
	}
	return k, ok
}
