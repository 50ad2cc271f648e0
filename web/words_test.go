package web

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roomd/room"
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

// TestWhatIsNotBroughtHasASentence holds that each code that package playlists refuses with is a sentence, and names all its arguments.
func TestWhatIsNotBroughtHasASentence(t *testing.T) {
	found := 0
	for _, file := range []string{"bring.go", "stick.go"} {
		b, err := os.ReadFile(filepath.Join("..", "playlists", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`refuse\("([^"]+)"(.*)\n`).FindAllSubmatch(b, -1) {
			found++
			var args []any
			for _, name := range regexp.MustCompile(`"(\w+)", `).FindAllSubmatch(m[2], -1) {
				args = append(args, string(name[1]), "x")
			}
			if s := room.Say(string(m[1]), args...).Text; !strings.HasSuffix(s, ".") || strings.Contains(s, "{") {
				t.Errorf("%s is said as %q", m[1], s)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d refusals were found", found)
	}
}
