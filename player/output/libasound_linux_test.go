package output

import (
	"errors"
	"strings"
	"testing"
)

func TestAMissingLibraryIsAPlainError(t *testing.T) {
	// The second is there, but is not ALSA's.
	for _, name := range []string{"libasound-of-nobody.so.2", "libm.so.6"} {
		lib, err := load(name)
		if lib != nil || !errors.Is(err, errNoLibrary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if says, do := explain(Config{Kind: ALSA}, errNoLibrary); !strings.Contains(says, "not installed") || !strings.Contains(do, "libasound2") {
		t.Errorf("%q, %q", says, do)
	}
}
