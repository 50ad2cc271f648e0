package clinic

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestCode reads every code back, however a person types it, and finds every single wrong letter but one in 256.
func TestCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		authority := rapid.SliceOf(rapid.Byte()).Draw(t, "authority")
		c := NewCode(authority)
		typed := c.String()
		if len(typed) != 29 {
			t.Fatalf("%q has %d letters", typed, len(typed))
		}
		for _, typed := range []string{typed, " " + strings.ToLower(typed), strings.ReplaceAll(typed, "-", " "), strings.ReplaceAll(typed, "0", "O"), strings.ReplaceAll(typed, "1", "l")} {
			got, err := ParseCode(typed)
			if err != nil || got != c {
				t.Fatalf("%q: %v, %v", typed, got, err)
			}
		}
		if !c.Knows(authority) || c.Knows(append(authority, 0)) {
			t.Fatal("the code knows the wrong authority")
		}
	})
	c := NewCode([]byte("a desk"))
	missed, tried := 0, 0
	for i, r := range c.String() {
		for _, other := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if r == '-' || r == other {
				continue
			}
			tried++
			if got, err := ParseCode(c.String()[:i] + string(other) + c.String()[i+1:]); err == nil {
				if missed++; got == c {
					t.Fatalf("letter %d is not read", i)
				}
			}
		}
	}
	if missed > tried/50 {
		t.Errorf("%d of %d wrong letters not noticed", missed, tried)
	}
	for _, bad := range []string{"", "0000", c.String() + "0", "!!!!-0000-0000-0000-0000-0000"} {
		if _, err := ParseCode(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
