package web

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Pairing lets one device in, once, by its code or its link, whichever is used first. It is shown on the room's computer
// and nowhere else: who can read it there is in the room.
type Pairing struct {
	Code  string    // six digits
	Link  string    // 128 random bits, as they can stand in an address
	Until time.Time // by the wall clock
}

// wrongCodes is after how many wrong codes those that wait are worth nothing any more: of a million, one in 100,000 is
// found. Their links still are.
const wrongCodes = 10

// ErrNoPairing: no device waits to be let in by this code or link, or no longer.
var ErrNoPairing = errors.New("no such pairing")

// Offer makes a pairing for a device of this role, valid for so long. A name is what the device will be called; empty: as
// it calls itself.
func (t *Tokens) Offer(ctx context.Context, name string, role Role, valid time.Duration) (p Pairing, err error) {
	name = strings.TrimSpace(name)
	if err := nameable(name); err != nil {
		return p, err
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return p, err
	}
	p = Pairing{Code: fmt.Sprintf("%06d", n), Link: secret(16), Until: time.Now().Add(valid)}
	link, code := hash(p.Link), hash(p.Code)
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "DELETE FROM pairings WHERE until <= ?", time.Now().Unix()); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, "INSERT INTO pairings (link, code, name, role, until) VALUES (?, ?, ?, ?, ?)",
			link[:], code[:], name, role, p.Until.Unix())
		return err
	})
	if err != nil {
		return Pairing{}, fmt.Errorf("save the pairing: %w", err)
	}
	return p, nil
}

// Redeem lets a device in by a pairing's code or link, which is used up by that, and gives it a token. calls is how the
// device calls itself; where a name is taken a number is put behind it. replaces is the token that the device had until
// now, if any: it ends. It returns ErrNoPairing for a code or link that is wrong, was used or is too old.
func (t *Tokens) Redeem(ctx context.Context, codeOrLink, calls, replaces string) (token string, is Token, err error) {
	which := "link = ?"
	if isCode(codeOrLink) {
		which = fmt.Sprintf("code = ? AND wrong < %d", wrongCodes)
	}
	h, old, now := hash(codeOrLink), hash(replaces), time.Now()
	token = secret(32)
	th := hash(token)
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // nothing once it is committed
		err = tx.QueryRowContext(ctx, "DELETE FROM pairings WHERE until > ? AND "+which+" RETURNING name, role", now.Unix(), h[:]).Scan(&is.Name, &is.Role)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoPairing
		}
		if err != nil {
			return err
		}
		if is.Name == "" {
			is.Name = calls
		}
		if replaces != "" {
			if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE hash = ?", old[:]); err != nil {
				return err
			}
		}
		if is.Name, err = freeName(ctx, tx, is.Name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO tokens (hash, name, role, created) VALUES (?, ?, ?, ?)", th[:], is.Name, is.Role, now.Unix()); err != nil {
			return err
		}
		return tx.Commit()
	})
	switch {
	case errors.Is(err, ErrNoPairing) && isCode(codeOrLink):
		return "", Token{}, t.wrong(ctx)
	case errors.Is(err, ErrNoPairing):
		return "", Token{}, err
	case err != nil:
		return "", Token{}, fmt.Errorf("pair: %w", err)
	}
	t.settle(ctx)
	t.renew(tokensTime)
	return token, is, nil
}

// isCode tells a code from a link.
func isCode(s string) bool {
	return len(s) == 6 && strings.Trim(s, "0123456789") == ""
}

// wrong counts a code that was wrong against those that wait.
func (t *Tokens) wrong(ctx context.Context) error {
	_, err := t.db.Write(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, "UPDATE pairings SET wrong = wrong + 1 WHERE wrong < ?", wrongCodes)
		return err
	})
	return errors.Join(ErrNoPairing, err)
}

// freeName is name, with a number behind it where that is taken.
func freeName(ctx context.Context, tx *sql.Tx, name string) (string, error) {
	if name = strings.TrimSpace(readable(name)); strings.Trim(name, ". ") == "" {
		name = "Tablet"
	}
	if letters := []rune(name); len(letters) > maxName-4 {
		name = string(letters[:maxName-4])
	}
	for n := 1; ; n++ {
		try := name
		if n > 1 {
			try = fmt.Sprintf("%s %d", name, n)
		}
		var taken int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM tokens WHERE name = ?", try).Scan(&taken); err != nil {
			return "", err
		}
		if taken == 0 {
			return try, nil
		}
	}
}
