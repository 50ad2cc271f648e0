// Package doctor looks at the computer that a room runs on: its power, heat, disk, card, clock and network. What can't be
// looked at is unknown, never well.
package doctor

import (
	"fmt"
	"io"
	"strings"
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
	Check string `json:"check"` // what was looked at, in a word or two: power, sound, light ambient
	State State  `json:"state"`
	Says  string `json:"says"`         // a sentence, with figures
	Do    string `json:"do,omitempty"` // how to mend it; never with OK
}

// Good is a finding that all is well.
func Good(check, says string, args ...any) Finding {
	return Finding{Check: check, State: OK, Says: fmt.Sprintf(says, args...)}
}

// Bad is one that something is wrong.
func Bad(check, do, says string, args ...any) Finding {
	return Finding{check, Wrong, fmt.Sprintf(says, args...), do}
}

// Open is one that can't be told; do, which may be empty, says what would tell it.
func Open(check, do, says string, args ...any) Finding {
	return Finding{check, Unknown, fmt.Sprintf(says, args...), do}
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
		fmt.Fprintf(&b, "%-7s  %-*s  %s\n", f.State, wide, f.Check, f.Says)
		if f.Do != "" {
			fmt.Fprintf(&b, "%7s  %*s  → %s\n", "", wide, "", f.Do)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
