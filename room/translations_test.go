package room

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// alike are the sentences that are the same in another language, as LANGUAGE CODE.
var alike = []string{"de did-mark", "es did-mark", "fr did-mark", "nl did-mark", "de did-still", "es did-still", "fr did-still", "nl did-still",
	"de did-choose", "es did-choose", "nl did-choose", "de did-timer", "nl doc-computer"}

// TestTranslations holds the sentences of the page's languages to English: each language has them all, with the same
// arguments, none is left in English, and none is so long that it does not fit.
func TestTranslations(t *testing.T) {
	const page = "../web/ui/src/"
	names, err := filepath.Glob(page + "locales/*.json")
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	hole := regexp.MustCompile(`{\w+}`)
	holes := func(s string) []string {
		return slices.Compact(slices.Sorted(slices.Values(hole.FindAllString(s, -1))))
	}
	for _, name := range names {
		language := strings.TrimSuffix(filepath.Base(name), ".json")
		if language == "en" {
			continue // the room's own
		}
		said := map[string]string{}
		for _, file := range []string{"said/", "desk/said/"} { // the second is what no session needs
			b, err := os.ReadFile(page + file + language + ".json")
			if err != nil {
				t.Fatal(err)
			}
			before := len(said)
			var more map[string]string
			if err := json.Unmarshal(b, &more); err != nil {
				t.Fatal(language, err)
			}
			if maps.Copy(said, more); len(said) != before+len(more) {
				t.Errorf("%s: a sentence is in both files", language)
			}
		}
		for _, code := range slices.Sorted(maps.Keys(english)) {
			is, was := said[code], english[code]
			long := max(140, utf8.RuneCountInString(was)*16/10)
			switch {
			case strings.TrimSpace(is) == "":
				t.Errorf("%s lacks %s", language, code)
			case !slices.Equal(holes(is), holes(was)):
				t.Errorf("%s %s has %v, the English has %v", language, code, holes(is), holes(was))
			case is == was && !slices.Contains(alike, language+" "+code):
				t.Errorf("%s %s is English: %s", language, code, is)
			case utf8.RuneCountInString(is) > long:
				t.Errorf("%s %s has %d characters, at most %d: %s", language, code, utf8.RuneCountInString(is), long, is)
			}
			delete(said, code)
		}
		for code := range said {
			t.Errorf("%s has %s, which nobody says", language, code)
		}
	}
}
