package rig

import "testing"

// Bar prints a measured figure beside the most that it may be, and fails the test where it is more. With -v the lines of
// one run are a table.
func Bar(t testing.TB, fault, figure string, is, most float64, unit string) {
	t.Helper()
	verdict := "ok"
	if !(is <= most) {
		verdict = "MISSED"
		t.Errorf("%s: %s is %.3g %s, at most %.3g", fault, figure, is, unit, most)
	}
	t.Logf("| %-38s | %-44s | %8.2f | ≤ %-6.4g | %-6s | %s", fault, figure, is, most, unit, verdict)
}
