//go:build linux

package rig

import (
	"os"
	"testing"
)

// Whole says whether figures are wanted (ROOMD_BARS=1): faults are as long and as many as the documentation says, and
// times are held to the letter. Else a test is short, and on a busy machine a time may be three times as long.
var Whole = os.Getenv("ROOMD_BARS") != ""

// Bar prints a measured figure beside the most that it may be, and fails the test where it is more. With -v the lines of
// one run are a table.
func Bar(t testing.TB, fault, figure string, is, most float64, unit string) {
	t.Helper()
	allowed := most
	if !Whole && (unit == "s" || unit == "ms") {
		allowed = 3 * most
	}
	verdict := "ok"
	if !(is <= allowed) {
		verdict = "MISSED"
		t.Errorf("%s: %s is %.3g %s, at most %.3g", fault, figure, is, unit, allowed)
	}
	t.Logf("| %-38s | %-44s | %8.2f | ≤ %-6.4g | %-6s | %s", fault, figure, is, most, unit, verdict)
}
