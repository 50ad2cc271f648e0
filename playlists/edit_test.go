package playlists

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// edited is the text with the edits.
func edited(text []byte, phases []PhaseEdit) ([]byte, error) {
	d, err := Document{ID: "x", Name: "x.yaml"}.With(text).Edit(phases)
	return d.Text, err
}

func of[T any](v T) *T { return &v }

const written = `# What this is for.
name: Evening   # to be changed

phases:
  # people arrive
  - name: Arrival
    stage: preparation
    length: 30m   # ±
    level: -14  # quiet
    lights: {scene: dusk, fade: 5m}

  # they wait
  # for the lozenge
  - stage: administration
    length: '1h30m'
    name: "Journey"
    lights:
      scene: "floor"

  - {name: Home, stage: administration, length: 10m} # short
  # --- the last of it ---
  -
    name: Last
    stage: integration
    length: 5m
    # a thought at the end

remind:
  - {in: 1m, say: Begin}
`

func TestEdit(t *testing.T) {
	as := func(was ...int) (out []PhaseEdit) {
		for _, w := range was {
			out = append(out, PhaseEdit{Was: w})
		}
		return out
	}
	for name, c := range map[string]struct {
		text   string
		phases []PhaseEdit
		want   func(string) string
	}{
		"nothing":        {written, as(0, 1, 2, 3), func(s string) string { return s }},
		"the same again": {written, []PhaseEdit{{Was: 0, Length: of(30 * time.Minute), Level: of(-14.0), Scene: of("dusk"), Fade: of(5 * time.Minute)}, {Was: 1, Length: of(90 * time.Minute), Level: of(0.0), Scene: of("floor")}, {Was: 2}, {Was: 3}}, func(s string) string { return s }},
		"values": {written, []PhaseEdit{
			{Was: 0, Length: of(25 * time.Minute), Level: of(-3.5), Scene: of("dim"), Fade: of(90 * time.Second)},
			{Was: 1, Length: of(time.Hour), Level: of(2.0), Scene: of("day"), Fade: of(time.Minute)},
			{Was: 2, Length: of(11 * time.Minute), Level: of(-1.0), Scene: of("dusk"), Fade: of(2 * time.Minute)},
			{Was: 3, Level: of(1.0), Scene: of("a, b")},
		}, strings.NewReplacer(
			"length: 30m   #", "length: 25m   #", "level: -14  #", "level: -3.5  #", "{scene: dusk, fade: 5m}", "{scene: dim, fade: 1m30s}",
			"length: '1h30m'\n", "length: '1h'\n    level: 2\n", "      scene: \"floor\"\n", "      scene: \"day\"\n      fade: 1m\n",
			"length: 10m}", "length: 11m, level: -1, lights: {scene: dusk, fade: 2m}}",
			"    length: 5m\n    # a", "    length: 5m\n    level: 1\n    lights: {scene: \"a, b\"}\n    # a").Replace},
		"order": {written, as(0, 2, 1, 3), func(s string) string {
			const home = "  - {name: Home, stage: administration, length: 10m} # short\n"
			i := strings.Index(s, "  # they wait")
			return s[:i] + home + strings.Replace(s[i:], home, "", 1)
		}},
		"windows": {strings.ReplaceAll(written, "\n", "\r\n"), []PhaseEdit{{Was: 0, Length: of(time.Minute)}, {Was: 1, Level: of(1.0)}, {Was: 2}, {Was: 3}}, func(s string) string {
			return strings.NewReplacer("length: 30m", "length: 1m", "'1h30m'\r\n", "'1h30m'\r\n    level: 1\r\n").Replace(s)
		}},
		"the last line": {"name: X\nphases:\n- name: A\n  stage: preparation\n  length: 1m\n- name: B\n  stage: preparation\n  length: 2m", []PhaseEdit{{Was: 1, Level: of(-1.0)}, {Was: 0}}, func(string) string {
			return "name: X\nphases:\n- name: B\n  stage: preparation\n  length: 2m\n  level: -1\n- name: A\n  stage: preparation\n  length: 1m\n"
		}},
		"in brackets": {"name: X\nphases: [{name: A, stage: preparation, length: 1m}, {name: B, stage: preparation, length: 2m}]\n", []PhaseEdit{{Was: 0, Length: of(3 * time.Minute)}, {Was: 1, Length: of(12 * time.Minute)}}, func(s string) string {
			return strings.NewReplacer("1m", "3m", "2m", "12m").Replace(s)
		}},
	} {
		got, err := edited([]byte(c.text), c.phases)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := c.want(c.text); string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if _, problems := Parse("x", "x.yaml", got); len(problems.Errors()) > 0 {
			t.Errorf("%s: %v", name, problems.Strings())
		}
	}
	for name, c := range map[string]struct {
		text   string
		phases []PhaseEdit
	}{
		"too few":         {written, as(0, 1, 2)},
		"twice":           {written, as(0, 1, 2, 2)},
		"not there":       {written, as(0, 1, 2, 4)},
		"nothing to fade": {written, []PhaseEdit{{Was: 0}, {Was: 1}, {Was: 2, Fade: of(time.Minute)}, {Was: 3}}},
		"brackets":        {"name: X\nphases: [{name: A, stage: preparation, length: 1m}, {name: B, stage: preparation, length: 2m}]\n", as(1, 0)},
		"no map":          {"- a\n", nil},
		"nothing":         {"", nil},
		"broken":          {"name: [", nil},
		"phases in words": {"phases: a\n", nil},
	} {
		if got, err := edited([]byte(c.text), c.phases); err == nil {
			t.Errorf("%s makes\n%s", name, got)
		}
	}
}

// TestEditKeepsTheRest holds for random changes of random files that the file then says what was asked, and every comment
// is still there.
func TestEditKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(rt, "phases")
		var b strings.Builder
		b.WriteString("name: X # c0\nphases:\n")
		comments := 1
		for i := range n {
			note := func() string {
				comments++
				return fmt.Sprintf(" # c%d", comments-1)
			}
			light := rapid.SampledFrom([]string{"", "lights: {scene: dusk}", "lights: {fade: 2m, scene: \"dim\"}"}).Draw(rt, "light")
			if rapid.Bool().Draw(rt, "flow") {
				if light != "" {
					light = ", " + light
				}
				fmt.Fprintf(&b, "  - {name: P%d, length: \"5m\", stage: preparation%s}%s\n", i, light, note())
				continue
			}
			if rapid.Bool().Draw(rt, "above") {
				b.WriteString(" " + note() + "\n")
			}
			fmt.Fprintf(&b, "  - name: P%d%s\n    length: 5m%s\n", i, note(), note())
			if rapid.Bool().Draw(rt, "level") {
				b.WriteString("    level: -2.50" + note() + "\n")
			}
			if light != "" {
				b.WriteString("    " + light + note() + "\n")
			}
			b.WriteString("    stage: preparation\n" + rapid.SampledFrom([]string{"", "\n", "\n\n"}).Draw(rt, "space"))
		}
		b.WriteString("# c" + fmt.Sprint(comments) + "\nkeep: end\n")
		order := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range n {
				if !yield(i) {
					return
				}
			}
		})).Draw(rt, "order")
		var edits []PhaseEdit
		for _, w := range order {
			e := PhaseEdit{Was: w}
			if rapid.Bool().Draw(rt, "set length") {
				e.Length = of(time.Duration(rapid.IntRange(130, 9000).Draw(rt, "length")) * time.Second)
			}
			if rapid.Bool().Draw(rt, "set level") {
				e.Level = of(float64(rapid.IntRange(-80, 20).Draw(rt, "level")) / 2)
			}
			if rapid.Bool().Draw(rt, "set scene") {
				e.Scene = of(rapid.SampledFrom([]string{"dusk", "a b", "x: y", "yes", "{", "12"}).Draw(rt, "scene"))
				e.Fade = of(time.Duration(rapid.IntRange(1, 120).Draw(rt, "fade")) * time.Second)
			}
			edits = append(edits, e)
		}
		before, wrong := Parse("x", "x.yaml", []byte(b.String()))
		if len(wrong.Errors()) > 0 {
			rt.Fatalf("%v\n%s", wrong.Strings(), b.String())
		}
		got, err := edited([]byte(b.String()), edits)
		if err != nil {
			rt.Fatalf("%v\n%s", err, b.String())
		}
		after, wrong := Parse("x", "x.yaml", got)
		if len(wrong.Errors()) > 0 {
			rt.Fatalf("%v\n%s\nfrom\n%s", wrong.Strings(), got, b.String())
		}
		for i, e := range edits {
			want, is := before.Phases[e.Was], after.Phases[i]
			if e.Length != nil {
				want.Length = *e.Length
			}
			if e.Level != nil {
				want.Level = *e.Level
			}
			light := Light{Fade: min(defaultFade, want.Length)}
			if want.Lights != nil {
				light = *want.Lights
			}
			if e.Scene != nil {
				light.Scene, light.Fade = *e.Scene, *e.Fade
			}
			if want.Name != is.Name || want.Length != is.Length || want.Level != is.Level || is.Lights != nil && *is.Lights != light || is.Lights == nil && light.Scene != "" {
				rt.Fatalf("phase %d is %+v %+v\n%s\nfrom\n%s", i, is, is.Lights, got, b.String())
			}
		}
		for i := range comments + 1 {
			if strings.Count(string(got)+"\n", fmt.Sprintf("# c%d\n", i)) != 1 {
				rt.Fatalf("comment %d is lost:\n%s\nfrom\n%s", i, got, b.String())
			}
		}
	})
}

func FuzzEdit(f *testing.F) {
	f.Add(written, uint64(1))
	f.Add("name: X\nphases: [{name: A, stage: preparation, length: 1m}]\n", uint64(2))
	f.Add("phases:\n- length: &l 1m\n  name: A\n  stage: preparation\n- name: \"B\"\n  stage: preparation\n  length: *l\nname: |\n  X\n", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		before, wrong := Parse("x", "x.yaml", []byte(text))
		if len(wrong.Errors()) > 0 {
			t.Skip()
		}
		r := rand.New(rand.NewPCG(seed, 1))
		var edits []PhaseEdit
		for _, w := range r.Perm(len(before.Phases)) {
			edits = append(edits, PhaseEdit{Was: w, Length: of(time.Hour), Level: of(-3.0)})
		}
		got, err := edited([]byte(text), edits)
		if err != nil {
			return
		}
		after, _ := Parse("x", "x.yaml", got)
		for i, e := range edits {
			if i >= len(after.Phases) || after.Phases[i].Name != before.Phases[e.Was].Name || after.Phases[i].Length != time.Hour || after.Phases[i].Level != -3 {
				t.Fatalf("%q\nbecomes\n%q", text, got)
			}
		}
	})
}

func TestSave(t *testing.T) {
	root := files(t, map[string]string{"sub/x.yaml": playlistText("One", "a.mp3"), "a.mp3": "1m", "evening/01 A/a.mp3": "10m", "linked.yaml": "-> sub/x.yaml"})
	if err := os.Chmod(filepath.Join(root, "sub", "x.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := run(t, LibraryOptions{Folder: root})
	first, err := l.Document("sub/x")
	if err != nil {
		t.Fatal(err)
	}
	save := func(id, was string, text []byte) (Document, Problems, error) {
		d, err := l.Document(id)
		if err != nil {
			return d, nil, err
		}
		problems := d.With(text).Problems
		if err := l.Save(d.With(text), was); err != nil {
			return d, problems, err
		}
		d, err = l.Document(id)
		return d, problems, err
	}
	last := first
	for i := range keptVersions + 5 {
		text := []byte(playlistText(fmt.Sprintf("Version %d", i), "a.mp3"))
		var problems Problems
		if last, problems, err = save("sub/x", last.Revision, text); err != nil || len(problems) > 0 {
			t.Fatal(err, problems)
		}
		if e, _ := l.Get("sub/x"); e.Playlist.Name != fmt.Sprintf("Version %d", i) {
			t.Fatal("the library does not know of it:", e.Playlist.Name)
		}
	}
	kept, err := filepath.Glob(filepath.Join(root, ".versions", "sub", "x.*.yaml"))
	if err != nil || len(kept) != keptVersions {
		t.Fatal(kept, err)
	}
	if text, err := os.ReadFile(filepath.Join(root, ".versions", "sub", fmt.Sprintf("x.%d.yaml", keptVersions+5))); err != nil || string(text) != playlistText(fmt.Sprintf("Version %d", keptVersions+3), "a.mp3") {
		t.Errorf("%v\n%s", err, text)
	}
	if info, err := os.Stat(filepath.Join(root, "sub", "x.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, _, err := save("sub/x", first.Revision, first.Text); !errors.Is(err, ErrChanged) {
		t.Error("written over what somebody else wrote:", err)
	}
	if _, problems, err := save("sub/x", last.Revision, []byte("name: X\n")); err != nil || len(problems.Errors()) == 0 {
		t.Error("a broken file is written:", err, problems)
	}
	if now, err := l.Document("sub/x"); err != nil || now.Revision != last.Revision {
		t.Error("the file has changed:", err)
	}
	// What is wrong with its music is told with the file, once that has been looked at.
	if _, _, err := save("sub/x", last.Revision, []byte(playlistText("Without", "gone.mp3"))); err != nil {
		t.Fatal(err)
	} else if _, ok := l.Resolve(t.Context(), "sub/x"); !ok {
		t.Fatal("it is not known")
	}
	last, err = l.Document("sub/x")
	if err != nil || len(last.Problems) == 0 || last.Problems[0].Line == 0 || !strings.Contains(last.Problems[0].String(), "gone.mp3") {
		t.Fatal(err, last.Problems.Strings())
	}
	if _, _, err := save("linked", last.Revision, []byte(playlistText("By the link", "a.mp3"))); err != nil {
		t.Error(err)
	}
	if to, err := os.Readlink(filepath.Join(root, "linked.yaml")); err != nil || to != "sub/x.yaml" {
		t.Error("the link is gone:", to, err)
	}
	for _, id := range []string{"starter/quiet", "evening"} {
		if _, err := l.Document(id); !errors.Is(err, ErrNoFile) {
			t.Error(id, err)
		}
		if _, _, err := save(id, "", []byte(playlistText("X", "a.mp3"))); !errors.Is(err, ErrNoFile) {
			t.Error(id, err)
		}
	}
	if _, err := l.Document("gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// A starter, and a folder, as files of one's own.
	until(t, l, "the folder is read", func() bool { e, ok := l.Get("evening"); return ok && e.Ready })
	for id, want := range map[string]string{"starter/quiet": "quiet", "evening": "evening"} {
		got, err := l.Found(id)
		if err != nil || got != want {
			t.Fatal(id, got, err)
		}
		if _, err := l.Document(want); err != nil {
			t.Error(id, err)
		}
		if _, err := l.Found(id); !errors.Is(err, fs.ErrExist) {
			t.Error("written twice:", err)
		}
	}
	if _, err := l.Found("gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if e, ok := l.Resolve(context.Background(), "evening"); !ok || !e.Ready || len(e.Playlist.Phases) != 1 || e.Playlist.Phases[0].Length != 10*time.Minute {
		t.Errorf("%+v", e)
	}
}
