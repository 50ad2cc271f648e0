package web

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// wrongCodes is after how many wrong codes those that wait are worth nothing any more, over restarts too: of a million, so that
// one flood in 3,333 finds one. Their links still are. What limits floods before is guesses.
const wrongCodes = 300

// CodeTime is how long a code that is shown lets a device in.
const CodeTime = 5 * time.Minute

// maxAdmitting is how many devices may have a code open at once: each open code is one more that a guess may find.
const maxAdmitting = 3

// ErrManyPairings: as many devices as may have a code open already.
var ErrManyPairings = errors.New("too many codes are open")

// ErrNoPairing: no device waits to be let in by this code or link, or no longer.
var ErrNoPairing = errors.New("no such pairing")

// Offer makes a pairing for a device of this role, valid for so long. A name is what the device will be called; empty: as
// it calls itself.
func (t *Tokens) Offer(ctx context.Context, name string, role Role, valid time.Duration) (Pairing, error) {
	return t.offer(ctx, name, role, valid, nil)
}

// Admit makes a pairing, valid for CodeTime, in the name of a therapist's device, whose token it is. The device's earlier pairing
// ends, and this one ends with the token: a device that is sent away lets nobody in, nor does who copied a token that was
// replaced. It returns ErrNoToken for a token that is not a therapist's, and ErrManyPairings.
func (t *Tokens) Admit(ctx context.Context, token string, private bool, role Role) (Pairing, error) {
	maker, whose, ok := t.valid(token, private)
	if !ok || whose.Role != Therapist {
		return Pairing{}, ErrNoToken
	}
	return t.offer(ctx, "", role, CodeTime, maker[:])
}

// unexpired is an SQL condition for pairings that have not expired. Its arguments are the Unix time, the boot ID and the seconds since boot.
// Codes expire by uptime, because the network may set a new room's clock while someone types one. A card's code has no boot ID: see
// CountFirstCode.
const unexpired = "(boot = '' AND until > ? OR boot <> '' AND boot = ? AND until > ?)"

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// offer makes a pairing; maker is the hash of the token of the device that makes it, nil: roomd pair does.
func (t *Tokens) offer(ctx context.Context, name string, role Role, valid time.Duration, maker []byte) (p Pairing, err error) {
	if len(t.codes) == 0 {
		return p, errors.New("save the pairing: no key to store its code by")
	}
	name = strings.TrimSpace(name)
	if err := nameable(name); err != nil {
		return p, err
	}
	digits, err := newCode()
	if err != nil {
		return p, err
	}
	p = Pairing{Code: digits, Link: secret(16), Until: time.Now().Add(valid)}
	link, code := hash(p.Link), t.codes.stored(p.Code)
	boot, now := t.uptime()
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		if _, err := db.ExecContext(ctx, "DELETE FROM pairings WHERE maker = ? OR NOT "+unexpired, maker, t.now().Unix(), boot, seconds(now)); err != nil {
			return err
		}
		r, err := db.ExecContext(ctx, `INSERT INTO pairings (link, code, name, role, until, maker, boot) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?8
			WHERE ?6 IS NULL OR (SELECT count(*) FROM pairings WHERE maker IS NOT NULL) < ?7`,
			link[:], code[:], name, role, seconds(now+valid), maker, maxAdmitting, boot)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrManyPairings, err)
		}
		return nil
	})
	if err != nil {
		return Pairing{}, fmt.Errorf("save the pairing: %w", err)
	}
	return p, nil
}

// Redeem lets a device in by a pairing's code or link, which is used up by that, and gives it a token. calls is how the
// device calls itself; where a name is taken a number is put behind it. replaces is the token that the device had until
// now, if any: it ends. It returns ErrNoPairing for a code or link that is wrong, was used or is too old.
func (t *Tokens) Redeem(ctx context.Context, codeOrLink, calls, replaces string, private bool) (token string, is Token, err error) {
	which := "link = ?"
	if isCode(codeOrLink) {
		which = fmt.Sprintf("code = ? AND wrong < %d", wrongCodes)
	}
	h, old, now := t.codes.stored(codeOrLink), hash(replaces), t.now()
	boot, running := t.uptime()
	token = secret(32)
	th := hash(token)
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // nothing once it is committed
		// A code that a device made ends with that device's token.
		var maker []byte
		err = tx.QueryRowContext(ctx, "DELETE FROM pairings WHERE "+unexpired+" AND "+which+" AND (maker IS NULL OR maker IN (SELECT hash FROM tokens WHERE role = ?)) RETURNING name, role, maker",
			now.Unix(), boot, seconds(running), h[:], Therapist).Scan(&is.Name, &is.Role, &maker)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoPairing
		}
		if err != nil {
			return err
		}
		if is.Name == "" {
			is.Name = calls
		}
		if maker != nil {
			if err := tx.QueryRowContext(ctx, "SELECT name FROM tokens WHERE hash = ?", maker).Scan(&is.Admitted); err != nil {
				return err
			}
		}
		if replaces != "" {
			if _, err := tx.ExecContext(ctx, "DELETE FROM tokens WHERE hash = ? OR was = ?", old[:], old[:]); err != nil {
				return err
			}
		}
		if is.Name, err = freeName(ctx, tx, is.Name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO tokens (hash, name, role, created, secure, admitted) VALUES (?, ?, ?, ?, ?, ?)", th[:], is.Name, is.Role, now.Unix(), private, is.Admitted); err != nil {
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
	t.reload(tokensTime, 0)
	return token, is, nil
}

// Offered reports whether a pairing with this link waits, as the disk had it a tenth of a second ago at the most, or may wait
// because the disk can't be read.
func (t *Tokens) Offered(link string) bool {
	h := hash(link)
	waits := func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		until, ok := t.links[h]
		return ok && time.Now().Before(until)
	}
	if waits() {
		return true
	}
	t.reload(tokensTime, strangersEvery)
	if waits() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
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
