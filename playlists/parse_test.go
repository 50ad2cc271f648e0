package playlists

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"roomd/playlists/yamlfile"
)

var update = flag.Bool("update", false, "rewrite the expected texts")

// golden runs each file of an archive that has a .want beside it.
func golden(t *testing.T, archive string, run func(name string, data []byte) string) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	var out []txtar.File
	cases := 0
	for i, f := range a.Files {
		if strings.HasSuffix(f.Name, ".want") {
			continue
		}
		cases++
		got := run(f.Name, f.Data)
		want := ""
		if i+1 < len(a.Files) && a.Files[i+1].Name == f.Name+".want" {
			want = string(a.Files[i+1].Data)
		}
		if d := cmp.Diff(want, got); d != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", f.Name, d)
		}
		out = append(out, f, txtar.File{Name: f.Name + ".want", Data: []byte(got)})
	}
	if cases < 20 {
		t.Fatalf("only %d cases in %s", cases, archive)
	}
	if *update {
		a.Files = out
		if err := os.WriteFile(archive, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBroken holds what a therapist reads of a file that is wrong: each message, its place and how to mend it.
func TestBroken(t *testing.T) {
	golden(t, "testdata/broken.txtar", func(name string, data []byte) string {
		_, problems := Parse("x", name, data)
		if len(problems) == 0 {
			t.Errorf("%s: no problem found", name)
		}
		var b strings.Builder
		if err := problems.Render(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	})
}

// bytesCases are files that no text archive can hold.
var bytesCases = []struct{ name, data, want string }{
	{"a byte order mark", "\ufeffname: A\nphases: [{name: B, stage: preparation, length: 1m}]\n", ""},
	{"Windows line ends", "name: A\r\nphases:\r\n  - {name: B, stage: preparation, length: 0}\r\n", "x.yaml:3:43"},
	{"a Mac's old line ends", "name: A\rphases:\r  - {name: B, stage: preparation, length: 0}\r", "x.yaml:3:43"},
	{"UTF-16 of Windows", utf16("name: A\nphases: [{name: B, stage: preparation, length: 0}]\n"), "x.yaml:2:48"},
	{"Latin-1", "name: A\nabout: caf\xe9\nphases: []\n", "x.yaml:2:11: this character is not UTF-8"},
	{"a control character", "name: A\nabout: \x01\n", "x.yaml:2:8: the file contains a control character"},
	{"nothing", "", "x.yaml:1:1: the file is empty"},
	{"comments only", "# a\n# b\n", "x.yaml:1:1: the file is empty"},
	{"too large", strings.Repeat("# padding\n", 120_000), "x.yaml: the file is larger than 512 KiB"},
	{"too many values", "name: [" + strings.Repeat("a,", 60_000) + "]\n", "x.yaml: the file contains too many values"},
	{"two documents", "name: A\n---\nname: B\n", "x.yaml:2:1: a second YAML document starts here"},
	{"a tab", "name: A\nphases:\n\t- name: B\n", "x.yaml:3:1: this line begins with a tab"},
}

func utf16(s string) string {
	out := "\xff\xfe"
	for _, c := range s {
		out += string([]byte{byte(c), byte(c >> 8)})
	}
	return out
}

func TestBytes(t *testing.T) {
	for _, c := range bytesCases {
		_, problems := Parse("x", "x.yaml", []byte(c.data))
		got := strings.Join(problems.Strings(), "\n")
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n%s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestWritten reads the format's own example in full.
func TestWritten(t *testing.T) {
	data, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, problems := Parse("evening/first", "evening/first.yaml", data)
	if len(problems) > 0 {
		t.Fatal(problems.Strings())
	}
	want := &Playlist{
		ID: "evening/first", Name: "First journey", About: "Slow strings, no voices until the return.", Keep: KeepEnd, Crossfade: 8 * time.Second, Bed: Drone,
		Phases: []Phase{
			{Name: "Arrival", Stage: Preparation, Length: 30 * time.Minute, Flex: 2 * time.Minute, Until: "Lozenge", Order: Listed, Level: -4,
				Crossfade: 12 * time.Second, Lights: &Light{"dusk", 5 * time.Minute}, Marks: []string{"Lozenge", "Vitals"}},
			{Name: "Journey", Stage: Administration, Length: 90 * time.Minute, Order: BestFit, Crossfade: 8 * time.Second},
			{Name: "Rest", Stage: Integration, Length: 5 * time.Second, Order: Listed, Crossfade: 2 * time.Second, Lights: &Light{"day", 5 * time.Second}},
		},
		Remind: []Reminder{
			{After: "Lozenge", In: 7 * time.Minute, Say: "Spit or swallow", Marks: []string{"Spit", "Swallow"}},
			{After: "Lozenge", In: 40 * time.Minute, Say: "Vitals", Marks: []string{"Vitals"}},
			{In: time.Minute, Say: "Begin"},
		},
		Boost: &Boost{Mark: "Booster", Phase: "Journey", By: 20 * time.Minute},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Phase{}, "Written"), cmpopts.IgnoreFields(Playlist{}, "Revision")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	music := got.Phases[0].Written.Music
	at := func(line, col int) Place {
		return Place{File: "evening/first.yaml", Line: line, Col: col, Source: strings.Split(string(data), "\n")[line-1]}
	}
	wantMusic := []Source{{Place: at(12, 13), Path: "arrival/"}, {Place: at(12, 23), Path: "intro.flac"}, {Place: at(12, 35), Path: "onset.m3u8"}, {Place: at(12, 47), Bed: Ocean}}
	if d := cmp.Diff(wantMusic, music); d != "" {
		t.Errorf("music (-want +got):\n%s", d)
	}
	if m := got.Phases[2].Written.Music; len(m) != 1 || !m[0].Silence {
		t.Errorf("silence: %+v", m)
	}
}

// TestShortPhase holds that the usual crossfade, which nobody wrote, gives way to a phase that is shorter.
func TestShortPhase(t *testing.T) {
	pl, problems := Parse("x", "x.yaml", []byte("name: X\nphases:\n  - {name: A, stage: preparation, length: 5s}\n  - {name: B, stage: preparation, length: 9s}\n"))
	if len(problems) > 0 || pl.Phases[0].Crossfade != 2500*time.Millisecond || pl.Phases[1].Crossfade != 8*time.Second {
		t.Errorf("%v %+v", problems.Strings(), pl.Phases)
	}
}

func TestLengths(t *testing.T) {
	for s, want := range map[string]time.Duration{"90s": 90 * time.Second, "30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second, "0s": 0} {
		if got, ok := ParseLength(s); !ok || got != want {
			t.Errorf("%s: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "90", "1.5h", "-5m", "5m1h", "5 m", "1h30", "9999999h", "5M", "h", "1d", "1e3s"} {
		if got, ok := ParseLength(s); ok {
			t.Errorf("%q is read as %v", s, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.IntRange(0, 86400).Draw(t, "seconds")) * time.Second
		if got, ok := ParseLength(FormatLength(d)); !ok || got != d {
			t.Fatalf("%v is written %s and read as %v, %v", d, FormatLength(d), got, ok)
		}
	})
}

// explosions are files that are small and mean to be large.
func explosions() map[string][]byte {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 20; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	long := "name: x\nphases:\n  - &p {name: A, stage: preparation, length: 1m, music: [" + strings.Repeat("a,", 20_000) + "a]}\n" + strings.Repeat("  - *p\n", 9_000)
	return map[string][]byte{
		"a billion laughs":    []byte(bomb + "name: x\nphases: *a19\n"),
		"aliases of a list":   []byte(long),
		"an alias of itself":  []byte("name: x\nphases: &a [*a, *a]\n"),
		"deep brackets":       []byte("name: " + strings.Repeat("[", 31_000)),
		"deep braces":         []byte("name: " + strings.Repeat("{a: ", 19_000)),
		"deep dashes":         []byte("name:\n" + strings.Repeat("- ", 31_000)),
		"many values":         []byte("phases: [" + strings.Repeat("a,", 31_000) + "]"),
		"many pairs":          []byte("phases: [{" + strings.Repeat("a,", 31_000) + "}]"),
		"many keys":           []byte(strings.Repeat("nme: x\n", 35_000)),
		"many comments":       []byte("name: x\n" + strings.Repeat("#\n", 31_000) + "phases: []\n"),
		"long comments":       []byte("name: x\n" + strings.Repeat("# "+strings.Repeat("x", 400)+"\n", 1_250) + "phases: []\n"),
		"one long line":       []byte("name: " + strings.Repeat("x", 500_000)),
		"one long key":        []byte(strings.Repeat("x", 500_000) + ": 1\n"),
		"quotes":              []byte(strings.Repeat(`"`, 500_000)),
		"some quotes":         []byte(strings.Repeat(`"" x"`+"\n", 2_300)),
		"an unclosed quote":   []byte("a: \"\n" + strings.Repeat("b: ''\n", 2_300)),
		"broken at its end":   []byte("name: x\nphases:\n" + strings.Repeat("  - {a: [b,c,d]}\n", 850) + "  - [\n"),
		"many anchors":        []byte("phases: [" + strings.Repeat("&a a,", 31_000) + "]"),
		"many aliases":        []byte("name: &a x\nphases: [" + strings.Repeat("*a,", 31_000) + "]"),
		"a broken long file":  []byte("name: x\nphases:\n" + strings.Repeat("  - {name: A, stage: preparation, length: 1m}\n", 330) + "  - {name: A: B}\n"),
		"spaces":              []byte(strings.Repeat(" ", 500_000)),
		"question marks":      []byte(strings.Repeat("? ", 31_000)),
		"many tags":           []byte("phases: [" + strings.Repeat("!a a,", 31_000) + "]"),
		"an unclosed literal": []byte("name: |\n" + strings.Repeat(" x\n", 31_000)),
	}
}

// TestExplosions holds the bounds on what a file may cost: all that reading it allocates, garbage included, is less than
// 64 MiB, and there is a readable number of problems. What it takes in time is a benchmark's.
func TestExplosions(t *testing.T) {
	for name, data := range explosions() {
		if len(data) > maxFile {
			t.Fatalf("%s is too large to try anything", name)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, problems := Parse("x", "x.yaml", data)
		runtime.ReadMemStats(&after)
		if len(problems) == 0 || len(problems) > yamlfile.MaxProblems+1 {
			t.Errorf("%s: %d problems", name, len(problems))
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
			t.Errorf("%s took %d MiB", name, took>>20)
		}
	}
}

func BenchmarkExplosions(b *testing.B) {
	for name, data := range explosions() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Parse("x", "x.yaml", data)
			}
		})
	}
}

func seeds(f *testing.F, archive string) {
	a, err := txtar.ParseFile(archive)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range a.Files {
		if !strings.HasSuffix(file.Name, ".want") {
			f.Add(file.Data)
		}
	}
}

// FuzzParse holds that no file ends the daemon, and that what is read without an error keeps the format's rules.
func FuzzParse(f *testing.F) {
	seeds(f, "testdata/broken.txtar")
	for _, c := range bytesCases {
		if len(c.data) < 1000 {
			f.Add([]byte(c.data))
		}
	}
	starters, _ := filepath.Glob("starter/*.yaml")
	for _, s := range append(starters, "testdata/example.yaml") {
		data, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pl, problems := Parse("x", "x.yaml", data)
		checkProblems(t, problems)
		if len(problems.Errors()) == 0 {
			checkRules(t, pl)
			Resolve(context.Background(), "", "x.yaml", pl, nil, nil)
		}
	})
}

// checkProblems holds what every problem has: a place in the file and words that fit on their line.
func checkProblems(t *testing.T, problems Problems) {
	t.Helper()
	var b bytes.Buffer
	if err := problems.Render(&b); err != nil {
		t.Fatal(err)
	}
	if j, err := problems.JSON(); err != nil || !json.Valid(j) {
		t.Fatalf("JSON: %v", err)
	}
	for _, p := range problems {
		if p.File == "" || p.Line < 0 || p.Col < 0 || p.Says == "" || strings.ContainsAny(p.String(), "\n\r") {
			t.Fatalf("problem %q of %+v", p.String(), p)
		}
	}
}

// checkRules holds what a session may rely on in a playlist that has no error.
func checkRules(t *testing.T, pl *Playlist) {
	t.Helper()
	names := map[string]bool{}
	if pl.Name == "" || len(pl.Phases) == 0 || pl.Length() > longest {
		t.Fatalf("playlist %+v", pl)
	}
	last := ""
	order := map[Stage]string{Preparation: "1", Administration: "2", Integration: "3"}
	for _, ph := range pl.Phases {
		if ph.Name == "" || names[ph.Name] || ph.Length < time.Second || ph.Flex < 0 || ph.Flex >= ph.Length || ph.Crossfade < 0 || ph.Crossfade >= ph.Length ||
			ph.Level < -40 || ph.Level > 12 || order[ph.Stage] == "" || order[ph.Stage] < last || ph.Written == nil {
			t.Fatalf("phase %+v", ph)
		}
		names[ph.Name], last = true, order[ph.Stage]
		for _, s := range ph.Written.Music {
			if s.Silence && len(ph.Written.Music) > 1 {
				t.Fatalf("silence in a list: %+v", ph.Written.Music)
			}
		}
	}
	if b := pl.Boost; b != nil && (!names[b.Phase] || b.By <= 0) {
		t.Fatalf("boost %+v", b)
	}
}
