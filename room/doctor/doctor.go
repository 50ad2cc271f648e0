// Package doctor looks at the computer that a room runs on: its power, heat, disk, card, clock and network. What can't be
// looked at is unknown, never well.
package doctor

import (
	"fmt"
	"io"
	"strings"

	"roomd/room"
)

// State is how a thing is.
type State string

const (
	OK      State = "ok"
	Wrong   State = "wrong"   // a session may suffer
	Unknown State = "unknown" // it can't be told here
)

// Finding is what was found in one place.
type Finding struct {
	Check string    `json:"check"` // what was looked at, in a word or two: power, sound, light ambient
	State State     `json:"state"`
	Says  string    `json:"says"`         // a sentence, with figures
	Do    string    `json:"do,omitempty"` // how to mend it; never with OK
	Code  string    `json:"code"`         // with Args, identifies Says and Do for translation
	Args  room.Args `json:"args,omitempty"`
	// Details are for an engineer: an error, a command's output.
	Details string `json:"details,omitempty"`
}

func find(check string, state State, code string, args []any) Finding {
	s := room.Say(code, args...)
	return Finding{Check: check, State: state, Says: s.Text, Do: s.Do(), Code: s.Code, Args: s.Args}
}

// Good is a finding that all is well: the sentence called code in room/english.json, and its arguments in turn.
func Good(check, code string, args ...any) Finding { return find(check, OK, code, args) }

// Bad is one that something is wrong; code-do says how to mend it.
func Bad(check, code string, args ...any) Finding { return find(check, Wrong, code, args) }

// Open is one that can't be told; code-do, which may be missing, says what would tell it.
func Open(check, code string, args ...any) Finding { return find(check, Unknown, code, args) }

// Faulty is a problem of the room as a finding.
func Faulty(check string, p room.Problem) Finding {
	return Finding{check, Wrong, p.Says, p.Do, p.Code, p.Args, p.Details}
}

// With adds what only an engineer reads.
func (f Finding) With(details string) Finding {
	f.Details = details
	return f
}

// AnyWrong says whether one of the findings is wrong.
func AnyWrong(all []Finding) bool {
	for _, f := range all {
		if f.State == Wrong {
			return true
		}
	}
	return false
}

// Print writes a line for each finding, and below it what to do.
func Print(to io.Writer, all []Finding) error {
	wide := 0
	for _, f := range all {
		wide = max(wide, len([]rune(f.Check)))
	}
	var b strings.Builder
	for _, f := range all {
		says := f.Says
		if f.Details != "" {
			says += " (" + f.Details + ")"
		}
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", f.State, wide, f.Check, says)
		if f.Do != "" {
			fmt.Fprintf(&b, "%7s  %*s  → %s\n", "", wide, "", f.Do)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
