package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roomd/playlists"
	"roomd/playlists/yamlfile"
	"roomd/room"
)

// TestPlaylistsAreAsDocumented tries every example of docs/playlists.md: each playlist is without a fault in the room that
// stands above it, each folder makes the file that is shown, and each key of the schema is explained.
func TestPlaylistsAreAsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "playlists.md"))
	if err != nil {
		t.Fatal(err)
	}
	plain, problems := room.ParseConfig("room.yaml", []byte("{}\n"))
	if len(problems) > 0 {
		t.Fatal(problems.Strings())
	}
	cfg := plain
	tried, made := 0, ""
	for _, block := range regexp.MustCompile("(?ms)^```(yaml|folder)\n(.*?)^```$").FindAllSubmatch(doc, -1) {
		text := string(block[2])
		switch {
		case string(block[1]) == "folder":
			made = draftOf(t, text)
		case strings.HasPrefix(text, "marks:"):
			if cfg, problems = room.ParseConfig("room.yaml", block[2]); len(problems) > 0 {
				t.Errorf("%v\n%s", problems.Strings(), text)
			}
		default:
			if made != "" && text != made {
				t.Errorf("the folder makes\n%s", made)
			}
			made = ""
			pl, problems := playlists.Parse("x", "x.yaml", block[2])
			if problems = append(problems, cfg.CheckPlaylist(pl)...); len(problems) > 0 {
				t.Errorf("%v\n%s", problems.Strings(), text)
			}
			tried++
			cfg = plain
		}
	}
	if tried < 8 {
		t.Errorf("%d examples", tried)
	}
}

// TestKeysAreAsDocumented holds that the tables of keys in docs are those that the declarations make, and that the example of a
// room file is right.
func TestKeysAreAsDocumented(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]*yamlfile.Map{"playlists.md": playlists.Keys(), "room.md": room.Keys()} {
		file := filepath.Join("..", "..", "docs", name)
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(doc)
		for _, m := range keys {
			marker := "<!-- keys: " + m.Name + " -->\n"
			before, rest, ok := strings.Cut(text, marker)
			if !ok {
				t.Errorf("%s has no table of the keys of %s: write %s where it belongs", name, m.Name, strings.TrimSpace(marker))
				continue
			}
			end := regexp.MustCompile(`(?m)^(?:[^|].*)?$`).FindStringIndex(rest)
			if rest[:end[0]] != m.Table() {
				t.Errorf("%s: the table of the keys of %s is not the one that its declaration makes (-update writes it)", name, m.Name)
				text = before + marker + m.Table() + rest[end[0]:]
			}
		}
		for _, m := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
			if _, problems := room.ParseConfig("room.yaml", []byte(m[1])); name == "room.md" && len(problems) > 0 {
				t.Errorf("%s: %v", name, problems.Strings())
			}
		}
		if *updateDocs {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

var updateDocs = flag.Bool("update", false, "rewrite the tables of keys in docs")

// draftOf is the file that a folder makes. Each track in it lasts half an hour.
func draftOf(t *testing.T, tree string) string {
	root := t.TempDir()
	var path []string
	for _, line := range strings.Split(strings.TrimSpace(tree), "\n") {
		name := strings.TrimLeft(line, " ")
		path = append(path[:(len(line)-len(name))/2], strings.TrimSuffix(name, "/"))
		at := filepath.Join(append([]string{root}, path...)...)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if err == nil && strings.HasSuffix(name, "/") {
			err = os.MkdirAll(at, 0o755)
		} else if err == nil {
			err = os.WriteFile(at, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	text, problems, err := playlists.Draft(context.Background(), root, "evening", func(context.Context, string) (playlists.Track, error) {
		return playlists.Track{Length: 30 * time.Minute}, nil
	})
	if err != nil || len(problems) > 0 {
		t.Error(err, problems.Strings())
	}
	return string(text)
}
