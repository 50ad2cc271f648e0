package playlists

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEditWays edits files that are written in ways that an edit once destroyed, or refused.
func TestEditWays(t *testing.T) {
	two := func(a, b string) string {
		return "name: X\nphases:\n" + a + b + "remind: [{in: 1m, say: Begin}]\n"
	}
	const a, b = "  - name: A\n    stage: preparation\n    length: 10m\n", "  - name: B\n    stage: preparation\n    length: 5m\n"
	anchored, alias := strings.Replace(a, "10m", "&l 10m", 1), strings.Replace(b, "5m", "*l", 1)
	swap := []PhaseEdit{{Was: 1}, {Was: 0}}
	for name, c := range map[string]struct {
		text   string
		phases []PhaseEdit
		want   string // empty: refused
	}{
		"a quoted name over two lines": {two("  - name: \"A\n      long\"\n    stage: preparation\n    length: 10m\n", b), swap,
			two(b, "  - name: \"A\n      long\"\n    stage: preparation\n    length: 10m\n")},
		"the last name over two lines": {two(a, "  - stage: preparation\n    length: 5m\n    name: 'B\n  - b'\n"), swap,
			two("  - stage: preparation\n    length: 5m\n    name: 'B\n  - b'\n", a)},
		"an apostrophe": {two(a, b+"    lights: {scene: 'it''s dark', fade: 1m}\n"), []PhaseEdit{{Was: 0}, {Was: 1, Scene: of("dusk's"), Fade: of(2 * time.Minute)}},
			two(a, b+"    lights: {scene: 'dusk''s', fade: 2m}\n")},
		"an old Mac's line ends": {strings.ReplaceAll(two(a, b), "\n", "\r"), []PhaseEdit{{Was: 1, Level: of(-3.0)}, {Was: 0, Length: of(time.Minute)}},
			strings.ReplaceAll(two(b+"    level: -3\n", strings.Replace(a, "10m", "1m", 1)), "\n", "\r")},
		"a closing bracket on its own line": {two(a, b+"    music: [\n      a.flac,\n    ]\n"), swap, two(b+"    music: [\n      a.flac,\n    ]\n", a)},
		"the heading of a stage": {two("  # --- Preparation ---\n\n  # people arrive\n"+a+"\n", "  # they talk\n"+b+"\n"+"  # Administration: two hours\n  - {name: C, stage: administration, length: 1m}\n"), []PhaseEdit{{Was: 1}, {Was: 0}, {Was: 2}},
			two("  # --- Preparation ---\n\n  # they talk\n"+b+"\n", "  # people arrive\n"+a+"\n"+"  # Administration: two hours\n  - {name: C, stage: administration, length: 1m}\n")},
		"a comment at the end of a phase": {two(a+"    # quiet here\n", b), swap, two(b, a+"    # quiet here\n")},
		"a byte order mark":               {"\ufeff" + two(a, b), swap, "\ufeff" + two(b, a)},
		"light of another phase": {two(a+"    lights: &l {scene: dusk, fade: 1m}\n", b+"    lights: *l\n"), []PhaseEdit{{Was: 0}, {Was: 1, Scene: of("dim")}},
			two(a+"    lights: &l {scene: dusk, fade: 1m}\n", b+"    lights: {scene: dim, fade: 1m}\n")},
		"an alias for a length": {two(anchored, alias), []PhaseEdit{{Was: 0}, {Was: 1, Length: of(time.Minute)}}, two(anchored, strings.Replace(b, "5m", "1m", 1))},
		"the end of a document": {"name: X\nphases:\n" + a + b + "...\n", swap, "name: X\nphases:\n" + b + a + "...\n"},
		"a list at the margin": {"phases:\n- {name: A, stage: preparation, length: 1m}\n# b\n- {name: B, stage: preparation, length: 1m}\n\n# the name\nname: X\n", swap,
			"phases:\n# b\n- {name: B, stage: preparation, length: 1m}\n- {name: A, stage: preparation, length: 1m}\n\n# the name\nname: X\n"},
		"an anchor that others use":  {two(anchored, alias), []PhaseEdit{{Was: 0, Length: of(time.Minute)}, {Was: 1}}, ""},
		"an alias before its anchor": {two(anchored, alias), swap, ""},
		"UTF-16":                     {utf16(two(a, b)), swap, ""},
		"an error elsewhere":         {two(a, b) + "bedd: x\n", swap, ""},
	} {
		got, err := edited([]byte(c.text), c.phases)
		if c.want == "" && (err == nil || string(got) != c.text) || c.want != "" && (err != nil || string(got) != c.want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, c.want)
		}
	}
}

// draw draws a document from one seed: a draw of rapid for each choice is too slow for 100,000 documents.
type draw struct{ *rand.Rand }

func (d draw) one(of ...string) string { return of[d.IntN(len(of))] }
func (d draw) in(n int) bool           { return d.IntN(n) == 0 }
func (d draw) maybe(s string) string {
	if d.in(4) {
		return s
	}
	return ""
}

// document writes a playlist file in every style that the format has, with numbered comments.
func (d draw) document() (text string, comments int) {
	note := func() string {
		comments++
		return fmt.Sprintf("# c%d;", comments-1)
	}
	maybeNote := func(before, after string) string {
		if d.in(4) {
			return before + note() + after
		}
		return ""
	}
	var b strings.Builder
	late := d.in(2)
	if !late {
		b.WriteString("name: X " + note() + "\n" + maybeNote("", "\n"))
	}
	b.WriteString("phases:" + maybeNote(" ", "") + "\n")
	list := strings.Repeat(" ", d.IntN(3))
	in := list + "  "
	stage, anchors := 0, ""
	for i := range 1 + d.IntN(4) {
		if i > 0 && d.in(2) && stage < 2 {
			stage++
			if d.in(3) {
				b.WriteString(list + "# --- a part --- " + note() + "\n" + d.maybe("\n"))
			}
		}
		b.WriteString(maybeNote(list, "\n") + maybeNote(list, "\n"))
		wrap := "\n" + in + strings.Repeat(" ", 2+d.IntN(3))
		p := fmt.Sprintf("P%d", i)
		name := d.one(p, "'"+p+"'", `"`+p+wrap+`wrapped"`, "'it''s"+wrap+p+"'", p+wrap+"wrapped", `"\u00e9\"`+p+`"`, "夜の旅 "+p)
		st := []string{"preparation", "administration", "integration"}[stage]
		length := d.one("30m", "'30m'", `"45m"`, "1h30m", "240s")
		if !strings.Contains(anchors, "l") && d.in(6) {
			length, anchors = "&len 20m", anchors+"l"
		} else if strings.Contains(anchors, "l") && d.in(3) {
			length = "*len"
		}
		scene := d.one("dusk", "'it''s dark'", `"a: b"`, "'x # y'")
		if d.in(5) { // in braces
			sep := ", "
			if d.in(3) {
				sep = " " + note() + wrap + ", "
			}
			fmt.Fprintf(&b, "%s- {name: %s%slength: %s, stage: %s%s%s} %s\n", list, p, sep, length, st, d.maybe(", lights: {scene: "+scene+"}"), d.maybe(wrap), note())
			continue
		}
		keys := []string{"name: " + name, "stage: " + st, "length: " + length}
		switch d.IntN(6) {
		case 0:
			keys = append(keys, "lights: {scene: "+scene+d.maybe(", fade: 2m")+"}")
		case 1:
			keys = append(keys, "lights:"+maybeNote(" ", "")+"\n"+in+"  scene: "+scene+maybeNote(" ", "")+d.maybe("\n"+in+"  fade: '2m'"))
		case 2:
			if !strings.Contains(anchors, "s") {
				keys, anchors = append(keys, "lights: &light {scene: "+scene+", fade: 2m}"), anchors+"s"
			}
		case 3:
			if strings.Contains(anchors, "s") {
				keys = append(keys, "lights: *light")
			}
		}
		switch d.IntN(6) {
		case 0:
			keys = append(keys, "music: ["+wrap+"a.flac, "+note()+wrap+"{bed: ocean},\n"+in+"]")
		case 1:
			keys = append(keys, "music:\n"+in+"- a.flac "+note()+"\n"+in+"- >-\n"+in+"    folded\n"+in+"    # name")
		case 2:
			keys = append(keys, "music: 'a"+wrap+"  b.flac'")
		case 3:
			keys = append(keys, "pool: ["+wrap+"{file: deep/, intensity: 2.5}, "+note()+wrap+"{bed: ocean, intensity: 4},\n"+in+"]", "intensity: "+d.one("2..4", "3", "'4..2'"))
		case 4:
			keys = append(keys, "menu:"+maybeNote(" ", "")+"\n"+in+"  'Open up': [open/, {file: a.flac, intensity: 1}] "+note()+"\n"+in+"  Still: silence")
		}
		if d.in(4) {
			keys = append(keys, "level: "+d.one("-2.50", "3", "0"))
		}
		d.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		if d.in(4) {
			b.WriteString(list + "-" + maybeNote(" ", "") + "\n" + in)
		} else {
			b.WriteString(list + "- ")
		}
		for k, key := range keys {
			if k > 0 {
				b.WriteString(in)
			}
			b.WriteString(key)
			if strings.Contains(key, "folded") {
				b.WriteString("\n")
			} else {
				b.WriteString(maybeNote(" ", "") + "\n" + maybeNote(in, "\n"))
			}
		}
		b.WriteString(d.one("", "", "\n", "\n\n"))
	}
	if late {
		b.WriteString(note() + "\nname: X\n")
	} else if d.in(3) {
		b.WriteString("...\n")
	}
	text = b.String()
	if d.in(4) {
		text = strings.TrimRight(text, "\n")
	}
	return d.maybe("\ufeff") + strings.ReplaceAll(text, "\n", d.one("\n", "\n", "\r\n", "\r")), comments
}

func (d draw) edits(n int) (out []PhaseEdit) {
	order := d.Perm(n)
	if d.in(2) {
		slices.Sort(order)
	}
	for _, w := range order {
		e := PhaseEdit{Was: w}
		if d.in(3) {
			e.Length = of(time.Duration(130+d.IntN(5000)) * time.Second)
		}
		if d.in(3) {
			e.Level = of(float64(d.IntN(100)-79) / 2)
		}
		if d.in(3) {
			e.Scene = of(d.one("dusk", "it's dark", "x: y", "yes", "{", "12", `say "hm"`, "夜", "a # b", "- c"))
			e.Fade = of(time.Duration(1+d.IntN(120)) * time.Second)
		}
		out = append(out, e)
	}
	return out
}

// bare is a phase without the places in its file.
func bare(ph Phase) Phase {
	var music []Source
	for _, s := range ph.Written.Music {
		s.Place = Place{}
		music = append(music, s)
	}
	var words []WrittenChoice
	for _, c := range ph.Written.Menu {
		word := WrittenChoice{Name: c.Name}
		for _, s := range c.Music {
			s.Place = Place{}
			word.Music = append(word.Music, s)
		}
		words = append(words, word)
	}
	ph.Written = &Written{Music: music, Menu: words}
	return ph
}

// stepwise makes the changes one by one, the order of the phases last. Each must leave every byte outside of one value, or of
// one new key, as it was. It is false where a change by itself is refused.
func stepwise(d Document, edits []PhaseEdit, wrong func(says, text string)) (Document, bool) {
	n := len(edits)
	step := func(e PhaseEdit) bool {
		var all []PhaseEdit
		for k := range n {
			if all = append(all, PhaseEdit{Was: k}); k == e.Was {
				all[k] = e
			}
		}
		next, err := d.Edit(all)
		if err != nil {
			return false
		}
		was, now := string(d.Text), string(next.Text)
		for was != "" && now != "" && was[0] == now[0] {
			was, now = was[1:], now[1:]
		}
		for was != "" && now != "" && was[len(was)-1] == now[len(now)-1] {
			was, now = was[:len(was)-1], now[:len(now)-1]
		}
		if strings.ContainsAny(was, "\r\n") || strings.Contains(was, "# c") || regexp.MustCompile(`\b(?:name|stage|length|level|music|scene|fade): `).MatchString(was) {
			wrong(fmt.Sprintf("the change of %q took away %q", now, was), string(next.Text)+"\nfrom\n"+string(d.Text))
		}
		if len(now) > 80 {
			wrong(fmt.Sprintf("%q is more than one key and its value", now), string(next.Text))
		}
		d = next
		return true
	}
	for _, e := range edits {
		for _, one := range []PhaseEdit{{Scene: e.Scene}, {Fade: e.Fade}, {Level: e.Level}, {Length: e.Length}} {
			if one.Was = e.Was; one.Scene != nil || one.Fade != nil || one.Level != nil || one.Length != nil {
				if !step(one) {
					return d, false
				}
			}
		}
	}
	var order []PhaseEdit
	for _, e := range edits {
		order = append(order, PhaseEdit{Was: e.Was})
	}
	d, err := d.Edit(order)
	return d, err == nil
}

// TestEditProperty holds for random edits of random files that the file then says what was asked and nothing else has
// changed, or that the edit is refused. ROOMD_EDITS is the number of cases of a long run.
func TestEditProperty(t *testing.T) {
	total, refused := 0, 0
	one := func(seed uint64, fatalf func(string, ...any)) {
		d := draw{rand.New(rand.NewPCG(seed, 7))}
		text, comments := d.document()
		before := Document{ID: "x", Name: "x.yaml"}.With([]byte(text))
		if errs := before.Problems.Errors(); len(errs) > 0 {
			fatalf("seed %d: the document is wrong: %v\n%s", seed, errs.Strings(), text)
		}
		edits := d.edits(len(before.Playlist.Phases))
		total++
		after, err := before.Edit(edits)
		if err != nil {
			if refused++; string(after.Text) != text || !strings.Contains(text, "&") {
				fatalf("seed %d: refused: %v\n%s\nfrom\n%s", seed, err, after.Text, text)
			}
			return
		}
		if len(after.Playlist.Phases) != len(edits) {
			fatalf("seed %d: %d phases\n%s\nfrom\n%s", seed, len(after.Playlist.Phases), after.Text, text)
		}
		asked := 0
		for i, e := range edits {
			want := before.Playlist.Phases[e.Was]
			if e.Length != nil {
				want.Length = *e.Length
				asked++
			}
			if e.Level != nil {
				want.Level = *e.Level
				asked++
			}
			if e.Scene != nil {
				want.Lights = &Light{Scene: *e.Scene, Fade: *e.Fade}
				asked += 2
			}
			if w, g := bare(want), bare(after.Playlist.Phases[i]); !reflect.DeepEqual(w, g) {
				fatalf("seed %d: phase %d is %+v %+v, not %+v %+v\n%s\nfrom\n%s", seed, i, g, g.Lights, w, w.Lights, after.Text, text)
			}
		}
		for i := range comments {
			if strings.Count(string(after.Text), fmt.Sprintf("# c%d;", i)) != 1 {
				fatalf("seed %d: comment %d is lost:\n%s\nfrom\n%s", seed, i, after.Text, text)
			}
		}
		if by, ok := stepwise(before, edits, func(says, text string) { fatalf("seed %d: %s:\n%s", seed, says, text) }); ok && string(by.Text) != string(after.Text) {
			fatalf("seed %d: one change at a time gives another text:\n%s\nnot\n%s\nfrom\n%s", seed, by.Text, after.Text, text)
		}
		// Line by line, only what was asked for has changed.
		lines := func(s string) map[string]int {
			m := map[string]int{}
			for _, l := range strings.FieldsFunc(s, func(c rune) bool { return c == '\n' || c == '\r' }) {
				m[l]++
			}
			return m
		}
		now := lines(string(after.Text))
		for l, n := range lines(text) {
			if now[l] >= n {
				continue
			}
			if asked--; asked < 0 || !slices.ContainsFunc([]string{"length:", "level:", "scene:", "fade:", "lights:"}, func(k string) bool { return strings.Contains(l, k) }) {
				fatalf("seed %d: the line %q is gone:\n%s\nfrom\n%s", seed, l, after.Text, text)
			}
		}
	}
	manyEdits(t, one)
	if refused > total/5+5 {
		t.Errorf("%d of %d edits were refused", refused, total)
	}
	t.Logf("%d edits, %d refused", total, refused)
}

// manyEdits tries random seeds, or in a long run so many as ROOMD_EDITS says.
func manyEdits(t *testing.T, one func(seed uint64, fatalf func(string, ...any))) {
	if n, err := strconv.Atoi(os.Getenv("ROOMD_EDITS")); err == nil {
		for seed := range n {
			one(uint64(seed), t.Fatalf)
		}
	} else {
		rapid.Check(t, func(rt *rapid.T) { one(rapid.Uint64().Draw(rt, "seed"), rt.Fatalf) })
	}
}
