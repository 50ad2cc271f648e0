package web

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSentencesHaveCodes holds that what the room says to a person by HTTP has a code (room.Refuse), so that the page says it in its own
// language. A sentence that begins with a small letter is for whoever writes a program.
func TestSentencesHaveCodes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatal(files, err)
	}
	plain := regexp.MustCompile(`(?:fault\{(?:"\w*", |Reason: )|\.fail\(.*, )(?:fmt\.Sprintf\()?("[A-Z][^"]*")`)
	found := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range plain.FindAllSubmatch(b, -1) {
			if s := string(m[1]); s == `"There is no such upload."` { // its id is made by the program that asks
				found++
			} else {
				t.Errorf("%s says %s without a code", file, s)
			}
		}
	}
	if found != 1 {
		t.Errorf("%d sentences found that have none", found)
	}
}
