package output

import (
	"errors"
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
	if code := explain(Config{Kind: ALSA}, errNoLibrary); code != "sound-library" {
		t.Error(code)
	}
}
