package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/playlists"
	"roomd/playlists/yamlfile"
	"roomd/room"

	"roomd/rig"
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

// prose is the documents that people read, by their paths in the checkout.
func prose(t *testing.T) map[string]string {
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			all[filepath.ToSlash(strings.TrimPrefix(file, filepath.Join("..", "..")+string(filepath.Separator)))] = read(t, file)
		}
	}
	if len(all) < 15 {
		t.Fatalf("only %d documents found", len(all))
	}
	return all
}

// fenced is a block of code in a document, whose words are nobody's links, paths or labels.
var fenced = regexp.MustCompile("(?ms)^```.*?^```$|^    .*?$")

// headingID is what a heading is linked by.
func headingID(heading string) string {
	kept := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}

// TestDocsLeadSomewhere holds that each link of the documents leads to a file of the checkout and to a heading in it, and that
// each file that they name is there.
func TestDocsLeadSomewhere(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	source := regexp.MustCompile("`((?:cmd|docs|player|playlists|rig|room|web)(?:/[A-Za-z0-9_.@*-]+)+)/?`")
	heading := regexp.MustCompile(`(?m)^#+ (.+)$`)
	paths := map[string]int{}
	for name, text := range prose(t) {
		plain := fenced.ReplaceAllString(text, "")
		for _, m := range link.FindAllStringSubmatch(plain, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to, part, _ := strings.Cut(m[1], "#")
			file := filepath.Join("..", "..", filepath.FromSlash(name))
			if to != "" {
				file = filepath.Join(filepath.Dir(file), filepath.FromSlash(to))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
				continue
			}
			if part == "" || !strings.HasSuffix(file, ".md") {
				continue
			}
			var there []string
			for _, h := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, file), ""), -1) {
				there = append(there, headingID(h[1]))
			}
			if !slices.Contains(there, part) {
				t.Errorf("%s: no heading for the link to %s", name, m[1])
			}
		}
		for _, m := range source.FindAllStringSubmatch(plain, -1) {
			paths[name]++
			if found, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(m[1]))); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
	if paths["CONTRIBUTING.md"] < 20 || paths["docs/engineer.md"] < 10 {
		t.Errorf("too few paths found: %v", paths)
	}
}

// TestDocsHaveOneReader holds that docs/README.md lists each page with one reader, and that README.md stays short.
func TestDocsHaveOneReader(t *testing.T) {
	t.Parallel()
	index := read(t, "../../docs/README.md")
	pages, err := filepath.Glob("../../docs/*.*")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range lines(index) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| [") {
			continue
		}
		if rows++; len(cells) != 3 || !slices.Contains([]string{"therapist", "installer", "curator", "integrator", "engineer"}, cells[1]) {
			t.Errorf("a page has one reader: %s", line)
		}
	}
	for _, page := range pages {
		name := filepath.Base(page)
		if ext := filepath.Ext(name); name != "README.md" && (ext == ".md" || ext == ".html") && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
	if rows < 15 {
		t.Errorf("%d pages listed", rows)
	}
	if n := len(strings.Fields(read(t, "../../README.md"))); n > 900 {
		t.Errorf("README.md has %d words, more than 900", n)
	}
}

// TestDocsNameLabels holds that what the documents set in italics is what the page says in English: a key that gets another name
// gets it everywhere. "Room → Check everything" is two labels.
func TestDocsNameLabels(t *testing.T) {
	t.Parallel()
	var labels []*regexp.Regexp
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			const hole = `\\\{\\\{.*?\\\}\\\}`
			text := regexp.MustCompile(hole).ReplaceAllString(regexp.QuoteMeta(v), ".+")
			if text == regexp.QuoteMeta(v) || len(text) >= len("Test .+") { // "{{what}}." would stand for everything
				labels = append(labels, regexp.MustCompile("^(?:"+text+")$"))
			}
		case map[string]any:
			for _, in := range v {
				walk(in)
			}
		}
	}
	for _, file := range []string{"../../web/ui/src/locales/en.json", "../../web/ui/src/desk/locales/en.json", "../../web/ui/src/clinic/locales/en.json"} {
		var all map[string]any
		if err := json.Unmarshal([]byte(read(t, file)), &all); err != nil {
			t.Fatal(err)
		}
		walk(all)
	}
	bold, lightness := regexp.MustCompile(`\*\*.+?\*\*`), strings.NewReplacer("L*", "L")
	code, italics := regexp.MustCompile("`[^`]*`"), regexp.MustCompile(`\*([^*\n]+)\*`)
	found := 0
	for name, text := range prose(t) {
		if name == "docs/cli.md" {
			continue // generated
		}
		for n, line := range strings.Split(lightness.Replace(code.ReplaceAllString(bold.ReplaceAllString(fenced.ReplaceAllStringFunc(text, blank), ""), "")), "\n") {
			for _, m := range italics.FindAllStringSubmatch(line, -1) {
				for label := range strings.SplitSeq(m[1], " → ") {
					found++
					if !slices.ContainsFunc(labels, func(l *regexp.Regexp) bool { return l.MatchString(label) }) {
						t.Errorf("%s:%d: the page has no label %q", name, n+1, label)
					}
				}
			}
		}
	}
	if found < 80 {
		t.Errorf("%d labels found", found)
	}
}

// blank is a text's lines without their words.
func blank(text string) string { return strings.Repeat("\n", strings.Count(text, "\n")) }

// TestDocsNameTests holds that each name after -run in the documents is that of a test in one of the packages before it.
func TestDocsNameTests(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	line := regexp.MustCompile("((?:\\./[a-z/]+ )+)-run '?([^'` ]+)'?")
	test := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	named := 0
	for name, text := range prose(t) {
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			var there []string
			for dir := range strings.FieldsSeq(m[1]) {
				files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*_test.go"))
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range files {
					for _, f := range test.FindAllStringSubmatch(read(t, file), -1) {
						there = append(there, f[1])
					}
				}
			}
			for one := range strings.SplitSeq(strings.ReplaceAll(m[2], `\|`, "|"), "|") {
				if named++; one != "^$" && !slices.ContainsFunc(there, regexp.MustCompile(one).MatchString) {
					t.Errorf("%s: %s-run %s: no such test", name, m[1], one)
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("%d names of tests found", named)
	}
}
