package web

import (
	"context"
	"crypto/hmac"
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

	"roomd/room"
)

// Tokens are who may steer the room: a random token each, of which only the SHA-256 is stored. Another process may
// create and revoke them while this one serves. They are known in memory too, so that a disk that hangs or fails keeps
// no tablet waiting and sends none away.
type Tokens struct {
	db Database

	now    func() time.Time               // the wall clock
	set    func() bool                    // whether it can be right
	uptime func() (string, time.Duration) // room.Uptime
	key    []byte                         // of this process, derives successors: two requests at once get the same one
	seen   sync.Map                       // uptime of each token's last use in this process, by digest

	mu      sync.Mutex
	table                        // as last read
	late    map[digest]lateToken // replaced tokens that requests under way may still carry
	tried   time.Time            // when the last reading began that has ended
	failed  bool                 // that reading failed
	reading chan struct{}        // closed when the one that is under way ends; nil: none is

	codes codeSeal
}

// digest is the SHA-256 of a token, a code or a link.
type digest = [sha256.Size]byte

// table is what the database holds.
type table struct {
	known  map[digest]Token
	former map[digest]digest    // a replaced token that works over https until its successor is used, and that successor
	links  map[digest]time.Time // links of pairings, and when they end
	sheet  time.Time            // when the code of a card's sheet ends; zero: none works
}

// lateToken is the successor of a replaced token, and until when a request with the replaced one is served.
type lateToken struct {
	to    digest
	until time.Time
}

const (
	maxName        = 64                     // letters
	tokensFresh    = 500 * time.Millisecond // so long what was read is taken as it is
	tokensWait     = 50 * time.Millisecond  // for the disk, by who is known
	tokensTime     = 5 * time.Second        // for the disk, by who is not
	strangersEvery = 100 * time.Millisecond // between two readings for who is not known: guesses must not keep the disk busy
	lateTime       = 10 * time.Second       // for requests that were sent before their answer brought another token
	// Unused is how long a token works that nobody uses. Warned is how long before its end the page says so.
	Unused = 90 * 24 * time.Hour
	Warned = 7 * 24 * time.Hour
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
	Secure   bool      // works over https only
	Admitted string    // name of the device that let this one in; empty: roomd pair or roomd token did
	since    time.Time // its unused days count from here at the earliest
	hash     digest
}

// Ends is when the token ends if nobody uses it until then.
func (t Token) Ends() time.Time {
	last := t.Created
	for _, at := range []time.Time{t.LastUsed, t.since} {
		if at.After(last) {
			last = at
		}
	}
	return last.Add(Unused)
}

// ErrNoToken: there is no token of that name.
var ErrNoToken = errors.New("no such token")

// NewTokens are the tokens in a database.
func NewTokens(db Database) *Tokens {
	t := &Tokens{db: db, now: time.Now, uptime: room.Uptime, key: make([]byte, 32), late: map[digest]lateToken{}}
	t.set = func() bool { return room.ClockSet(t.now()) }
	rand.Read(t.key)
	return t
}

func hash(token string) digest { return sha256.Sum256([]byte(token)) }

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
	t.reload(tokensTime, 0)
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

// reload reads the table, in a goroutine of its own, and waits for it, but not for longer than wait. A reading that has to begin
// begins no sooner than so long after the last one: every.
func (t *Tokens) reload(wait, every time.Duration) {
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
			time.AfterFunc(every-time.Since(t.tried), func() { t.read(ended) })
		}
		t.mu.Unlock()
		select {
		case <-ended:
		case <-late.C:
			return
		}
	}
}

// read reads the table. Where it can't be read what is known stays.
func (t *Tokens) read(ended chan struct{}) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	is, err := t.load(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.table = is
	}
	t.tried, t.failed, t.reading = began, err != nil, nil
	maps.DeleteFunc(t.late, func(_ digest, l lateToken) bool { return began.After(l.until) })
	t.seen.Range(func(h, _ any) bool {
		if _, there := t.known[h.(digest)]; !there {
			t.seen.Delete(h)
		}
		return true
	})
	close(ended)
}

func (t *Tokens) load(ctx context.Context) (is table, err error) {
	err = t.db.Read(func(db *sql.DB) error {
		is = table{known: map[digest]Token{}, former: map[digest]digest{}, links: map[digest]time.Time{}}
		rows, err := db.QueryContext(ctx, "SELECT hash, name, role, created, used, secure, was, since, admitted FROM tokens")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k Token
			var h, was []byte
			var created, used, since int64
			if err := rows.Scan(&h, &k.Name, &k.Role, &created, &used, &k.Secure, &was, &since, &k.Admitted); err != nil {
				return err
			}
			k.Created, k.since = time.Unix(created, 0), time.Unix(since, 0)
			if used > 0 {
				k.LastUsed = time.Unix(used, 0)
			}
			if len(h) != sha256.Size {
				continue
			}
			k.hash = digest(h)
			is.known[k.hash] = k
			if len(was) == sha256.Size {
				is.former[digest(was)] = digest(h)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		links, err := db.QueryContext(ctx, "SELECT link, until, boot, remaining IS NOT NULL AND wrong < ? FROM pairings", wrongCodes)
		if err != nil {
			return err
		}
		defer links.Close()
		boot, running := t.uptime()
		for links.Next() {
			var link []byte
			var until int64
			var madeIn string
			var sheet bool
			if err := links.Scan(&link, &until, &madeIn, &sheet); err != nil {
				return err
			}
			ends := time.Unix(until, 0)
			if madeIn != "" {
				ends = time.Now().Add(time.Duration(until)*time.Second - running)
			}
			if len(link) == sha256.Size && (madeIn == "" || madeIn == boot) {
				is.links[digest(link)] = ends
			}
			if sheet && ends.After(is.sheet) {
				is.sheet = ends
			}
		}
		return links.Err()
	})
	return is, err
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
	is, err := t.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	return slices.SortedFunc(maps.Values(is.known), func(a, b Token) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Ended reports whether a token expired from disuse. No token expires while the wall clock can't be right, and no token that is in use
// expires because the clock is set ahead.
func (t *Tokens) Ended(k Token) bool {
	if !t.now().After(k.Ends()) || !t.set() {
		return false
	}
	last, used := t.seen.Load(k.hash)
	_, now := t.uptime()
	return !used || now-last.(time.Duration) > Unused
}

// find is the token of a hash, as last read, that may come over https (private) or over http. The caller holds mu.
func (t *Tokens) find(h digest, private bool) (at digest, k Token, ok bool) {
	if to, replaced := t.former[h]; replaced && private {
		h = to
	} else if l, replaced := t.late[h]; replaced && private && time.Now().Before(l.until) {
		h = l.to
	}
	k, ok = t.known[h]
	return h, k, ok && (private || !k.Secure)
}

// Check says whose token it is, as the disk had it half a second ago at the most. private says that it came over https. While
// the disk does not answer, whoever is known stays so. A hash is looked up, so that timing tells nothing of a token.
func (t *Tokens) Check(token string, private bool) (whose Token, ok bool) {
	at, whose, ok := t.valid(token, private)
	if ok {
		t.mark(at, whose, at == hash(token))
	}
	return whose, ok
}

// valid is like Check, but does not count as a use of the token.
func (t *Tokens) valid(token string, private bool) (at digest, whose Token, ok bool) {
	if token == "" || len(token) > 128 {
		return at, Token{}, false
	}
	h := hash(token)
	t.mu.Lock()
	_, _, ok = t.find(h, private)
	fresh := time.Since(t.tried) < tokensFresh
	t.mu.Unlock()
	switch {
	case !ok:
		t.reload(tokensTime, strangersEvery)
	case !fresh:
		t.reload(tokensWait, 0)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, whose, ok = t.find(h, private)
	return at, whose, ok && !t.Ended(whose)
}

// mark notes that a token is used today. Its first use ends the token that it replaces.
func (t *Tokens) mark(h digest, k Token, itself bool) {
	day := t.now().Truncate(24 * time.Hour)
	_, running := t.uptime()
	t.seen.Store(h, running)
	t.mu.Lock()
	defer t.mu.Unlock()
	first := false
	if itself {
		for was, to := range t.former {
			if to == h {
				first = true
				delete(t.former, was)
				t.late[was] = lateToken{h, time.Now().Add(lateTime)}
			}
		}
	}
	// A future day comes from a wrong clock.
	if !first && !day.After(k.LastUsed) && !(day.Before(k.LastUsed) && t.set()) {
		return
	}
	// Kept to the day: a write for each request would wear the card out. Where the disk does not take it, no matter.
	k.LastUsed = day
	if _, there := t.known[h]; there {
		t.known[h] = k
	}
	go func() {
		_ = t.db.Read(func(db *sql.DB) error {
			_, err := db.Exec("UPDATE tokens SET used = ?, was = CASE WHEN ? THEN NULL ELSE was END WHERE hash = ?", day.Unix(), itself, h[:])
			return err
		})
	}()
}

// Replace gives the owner of a token another one, which works over https only. The token itself works over http no more, and
// ends once the other is used: until then the answer that brings it may have been lost. Where the disk takes nothing, or the
// token is not known, it changes nothing and returns "".
func (t *Tokens) Replace(ctx context.Context, token string) (successor string, err error) {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(token))
	successor = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	old, h, n := hash(token), hash(successor), int64(0)
	change := func(db *sql.DB, query string, args ...any) error {
		r, err := db.ExecContext(ctx, query, args...)
		if err == nil {
			n, err = r.RowsAffected()
		}
		return err
	}
	saved, err := t.db.Write(ctx, func(db *sql.DB) error {
		return change(db, "UPDATE tokens SET hash = ?, secure = 1, was = ? WHERE hash = ? OR was = ?", h[:], old[:], old[:], old[:])
	})
	if err == nil && n > 0 && !saved {
		// A copy in memory does not bring a changed token back to the disk.
		_, err = t.db.Write(ctx, func(db *sql.DB) error {
			return change(db, "UPDATE tokens SET hash = ?, secure = 0, was = NULL WHERE hash = ?", old[:], h[:])
		})
		successor = ""
	}
	if err != nil {
		return "", fmt.Errorf("replace a token: %w", err)
	}
	t.settle(ctx)
	t.reload(tokensTime, 0)
	if n == 0 {
		return "", nil
	}
	return successor, nil
}
