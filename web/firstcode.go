package web

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// FirstCode is the pairing that a card brings into its room. The card holds the code, because it can be no safer there than its six
// digits are, and only the hash of the link. The sheet that is printed with the card shows both.
type FirstCode struct {
	Code string // six digits
	Link string // hex SHA-256 of the link's secret
}

// FirstCodeTime is how long a card's code works after the room took it over.
const FirstCodeTime = 24 * time.Hour

// firstCodeTick is how often a card's code is counted down. A power cut may give it back so much.
const firstCodeTick = time.Minute

// never is the end of a card's code while the wall clock is not set, in Unix seconds.
const never = 1 << 40

// ErrCardTaken means that the room took this card's code over before.
var ErrCardTaken = errors.New("the card's code was taken over before")

// NewFirstCode makes a card's code and the secret of its link.
func NewFirstCode() (code FirstCode, link string, err error) {
	six, err := newCode()
	link = secret(16)
	sum := hash(link)
	return FirstCode{Code: six, Link: hex.EncodeToString(sum[:])}, link, err
}

// newCode returns six random digits.
func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

// MarshalText writes the code and the link on one line, as a card holds them.
func (f FirstCode) MarshalText() ([]byte, error) { return []byte(f.Code + " " + f.Link + "\n"), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *FirstCode) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) != 2 || !isCode(words[0]) || len(words[1]) != hex.EncodedLen(len(digest{})) {
		return errors.New("not a card's code: six digits, a space and 64 hex digits are expected; write the card again")
	}
	if _, err := hex.DecodeString(words[1]); err != nil {
		return fmt.Errorf("not a card's code: %w; write the card again", err)
	}
	*f = FirstCode{Code: words[0], Link: words[1]}
	return nil
}

// TakeFirstCode offers a card's code and link to one therapist's device for FirstCodeTime. It returns ErrCardTaken for a card that
// was taken over before, whether its code was used or not.
func (t *Tokens) TakeFirstCode(ctx context.Context, f FirstCode) error {
	if len(t.codes) == 0 {
		return errors.New("take the card's code over: no key to store the code by")
	}
	link, err := hex.DecodeString(f.Link)
	if err != nil || !isCode(f.Code) {
		return errors.Join(errors.New("take the card's code over: it is damaged; write the card again"), err)
	}
	code := t.codes.stored(f.Code)
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // nothing once it is committed
		r, err := tx.ExecContext(ctx, "INSERT INTO cards (link) VALUES (?) ON CONFLICT DO NOTHING", link)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrCardTaken, err)
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO pairings (link, code, name, role, until, remaining) VALUES (?, ?, '', ?, ?, ?)",
			link, code[:], Therapist, int64(never), int64(FirstCodeTime/time.Second))
		if err != nil {
			return err
		}
		return tx.Commit()
	})
	if err != nil {
		return fmt.Errorf("take the card's code over: %w", err)
	}
	return nil
}

// FirstCodeWaits reports whether the code of a card's sheet would let a device in, as the disk had it a tenth of a second ago at the
// most.
func (t *Tokens) FirstCodeWaits() bool {
	t.reload(tokensTime, strangersEvery)
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.sheet)
}

// CountFirstCode ends a card's code after FirstCodeTime. It runs until ctx ends.
//
// A Raspberry Pi has no battery clock: its first boot has the wrong date, and the network's time moves it by months. So the code
// counts the time that the room runs, and once the wall clock is set also the time when it is off. Whichever is over first ends it.
func (t *Tokens) CountFirstCode(ctx context.Context) error {
	tick := time.NewTicker(firstCodeTick)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if t.passFirstCode(ctx, now.Sub(last)) == nil { // the journal says what is wrong with the disk
				last = now
			}
		}
	}
}

// passFirstCode counts the time that passed.
func (t *Tokens) passFirstCode(ctx context.Context, passed time.Duration) error {
	waits := false
	err := t.db.Read(func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pairings WHERE remaining IS NOT NULL)").Scan(&waits)
	})
	if err != nil || !waits {
		return err
	}
	now, set := t.now().Unix(), t.set()
	_, err = t.db.Write(ctx, func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, `UPDATE pairings SET remaining = remaining - ?1, until = iif(?2 AND until = ?3, ?4 + remaining - ?1, until) WHERE remaining IS NOT NULL`,
			int64(passed.Round(time.Second)/time.Second), set, int64(never), now)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, "DELETE FROM pairings WHERE remaining <= 0 OR ?1 AND remaining IS NOT NULL AND until <= ?2", set, now)
		return err
	})
	return err
}
