package web

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
	"roomd/room/journal"
)

// takeFirstCode makes a card's code and has the room take it over.
func takeFirstCode(t testing.TB, tokens *Tokens) (FirstCode, string) {
	t.Helper()
	f, link, err := NewFirstCode()
	if err == nil {
		err = tokens.TakeFirstCode(t.Context(), f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f, link
}

// waitsFirstCode tells whether a card's code would let a device in.
func waitsFirstCode(t testing.TB, store *journal.Store, now time.Time) (waits bool) {
	t.Helper()
	err := store.Read(func(db *sql.DB) error {
		return db.QueryRow("SELECT EXISTS (SELECT 1 FROM pairings WHERE remaining IS NOT NULL AND until > ?)", now.Unix()).Scan(&waits)
	})
	if err != nil {
		t.Fatal(err)
	}
	return waits
}

// TestFirstCode pairs a device by the code of a card, and another card's by its link: each once, and no card is taken twice.
func TestFirstCode(t *testing.T) {
	h := open(t)
	f, link := takeFirstCode(t, h.tokens)
	for _, name := range []string{h.store, h.store + "-wal"} {
		if b, _ := os.ReadFile(name); bytes.Contains(b, []byte(f.Code)) || bytes.Contains(b, []byte(link)) {
			t.Errorf("%s holds the code or the link as it is typed", name)
		}
	}
	if err := h.tokens.TakeFirstCode(t.Context(), f); !errors.Is(err, ErrCardTaken) {
		t.Errorf("a card that was taken over: %v", err)
	}
	if code, c := h.pair(t, fmt.Sprintf(`{"code":%q,"name":"iPad"}`, f.Code)); code != http.StatusOK || c == nil {
		t.Fatalf("by the code: %d", code)
	}
	for _, again := range []string{fmt.Sprintf(`{"code":%q}`, f.Code), fmt.Sprintf(`{"link":%q}`, link)} {
		if code, _ := h.pair(t, again); code != http.StatusUnauthorized {
			t.Errorf("%s a second time: %d", again, code)
		}
	}
	if err := h.tokens.TakeFirstCode(t.Context(), f); !errors.Is(err, ErrCardTaken) {
		t.Errorf("a card whose code was used: %v", err)
	}
	_, link = takeFirstCode(t, h.tokens)
	if code, _ := h.pair(t, fmt.Sprintf(`{"link":%q}`, link)); code != http.StatusOK {
		t.Errorf("by the link: %d", code)
	}
}

// TestFirstCodeWaits holds what the page is told of a card's sheet: its code waits until it is used by its digits or by its link, is over,
// or was guessed at too often. A code that roomd pair shows is on no sheet.
func TestFirstCodeWaits(t *testing.T) {
	h := open(t)
	waits := func(when string, want bool) {
		t.Helper()
		resp, body := h.ask(t, "GET", "/api/v1/pair", "")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"sheet":%v}`, want)) {
			t.Errorf("%s: %d %s, wanted %v", when, resp.StatusCode, body, want)
		}
	}
	passes := func(d time.Duration) {
		t.Helper()
		if err := h.tokens.passFirstCode(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	offer(t, h.tokens, "", Therapist)
	waits("no card", false)
	f, _ := takeFirstCode(t, h.tokens)
	waits("a card", true)
	h.pair(t, fmt.Sprintf(`{"code":%q}`, f.Code))
	waits("its code was used", false)
	_, link := takeFirstCode(t, h.tokens)
	waits("another card", true)
	h.pair(t, fmt.Sprintf(`{"link":%q}`, link))
	waits("its link was used", false)

	takeFirstCode(t, h.tokens)
	passes(FirstCodeTime - time.Minute)
	waits("a minute before its end", true)
	passes(time.Minute)
	waits("after 24 hours", false)
	// The room was off for a day: the code is over before it is counted down again.
	takeFirstCode(t, h.tokens)
	h.tokens.now, h.tokens.set = func() time.Time { return time.Now().Add(-FirstCodeTime) }, func() bool { return true }
	passes(time.Minute)
	waits("after a day without power", false)

	f, _ = takeFirstCode(t, h.tokens)
	waits("a third card", true)
	if _, err := h.tokens.exec(t.Context(), "UPDATE pairings SET wrong = ?", wrongCodes); err != nil {
		t.Fatal(err)
	}
	waits("guessed at too often", false)
	if code, _ := h.pair(t, fmt.Sprintf(`{"code":%q}`, f.Code)); code != http.StatusUnauthorized {
		t.Errorf("its code: %d", code)
	}
}

// TestFirstCodeText reads what it writes, and nothing else.
func TestFirstCodeText(t *testing.T) {
	f, _, err := NewFirstCode()
	if err != nil {
		t.Fatal(err)
	}
	text, err := f.MarshalText()
	var got FirstCode
	if err = errors.Join(err, got.UnmarshalText(text)); err != nil || got != f {
		t.Errorf("%v becomes %v: %v", f, got, err)
	}
	for _, bad := range []string{"", f.Code, f.Code + " ff", f.Link + " " + f.Code, f.Code + "1 " + f.Link, f.Code + " " + f.Link + " x", f.Code + " g" + f.Link[1:]} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestFirstCodeEnds runs a room for days: off and on, its clock wrong at first, set by the network at any time and wrong again after a
// reboot. The code works for 24 hours at least, for 24 hours of running at most, and no longer than 24 hours once the clock was set.
func TestFirstCodeEnds(t *testing.T) {
	t.Parallel()
	store, _, err := journal.Open(t.TempDir() + "/roomd.db")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rapid.Check(t, func(r *rapid.T) {
		if _, err := store.Write(t.Context(), func(db *sql.DB) error { _, err := db.Exec("DELETE FROM pairings"); return err }); err != nil {
			t.Fatal(err)
		}
		tokens := NewTokens(store).SealCodes(codeKey)
		began := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		at := began // the true time
		wrong := -time.Duration(rapid.IntRange(0, 400*24).Draw(r, "hours behind")) * time.Hour
		set, everSet := false, false
		tokens.now = func() time.Time {
			if set {
				return at
			}
			return at.Add(wrong)
		}
		tokens.set = func() bool { return set }
		takeFirstCode(t, tokens)
		ran := time.Duration(0)
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"run", "run", "off", "set"}).Draw(r, "step") {
			case "run":
				for range rapid.IntRange(1, 3).Draw(r, "ticks") {
					d := time.Duration(rapid.IntRange(1, 600).Draw(r, "minutes")) * time.Minute
					at, ran = at.Add(d), ran+d
					everSet = everSet || set
					if err := tokens.passFirstCode(t.Context(), d); err != nil {
						t.Fatal(err)
					}
				}
			case "off":
				at, set = at.Add(time.Duration(rapid.IntRange(1, 30).Draw(r, "hours off"))*time.Hour), false
				wrong = -time.Duration(rapid.IntRange(1, 400*24).Draw(r, "hours behind")) * time.Hour
			case "set":
				set = true
			}
			waits, gone := waitsFirstCode(t, store, tokens.now()), at.Sub(began)
			switch {
			case !waits && gone < FirstCodeTime:
				r.Fatalf("it ended after %v", gone)
			case waits && ran >= FirstCodeTime:
				r.Fatalf("it works after %v of running", ran)
			case waits && set && everSet && ran == gone && gone >= FirstCodeTime:
				r.Fatalf("it works after %v", gone)
			}
		}
		// With the right time it ends for good, though the room was off for the rest.
		at, set = at.Add(time.Minute), true
		if err := tokens.passFirstCode(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		at = at.Add(FirstCodeTime)
		if waitsFirstCode(t, store, at) {
			r.Fatalf("it works %v after it was taken over, though the clock has been right for a day", at.Sub(began))
		}
	})
}
