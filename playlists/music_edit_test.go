package playlists

import (
	"fmt"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMusicEditWays changes music that is written in each way that a file can.
func TestMusicEditWays(t *testing.T) {
	const head = "name: X\nphases:\n"
	phase := func(music string) string {
		return head + "  - name: A\n    stage: preparation\n    length: 10m\n" + music + "    level: -3 # soft\n"
	}
	keep := func(k ...int) (out []MusicEdit) {
		for _, k := range k {
			out = append(out, MusicEdit{Was: &k})
		}
		return out
	}
	file := func(name string) []MusicEdit { return []MusicEdit{{File: name}} }
	lines := phase("    music:\n      # calm first\n      - a.flac # one\n      # then sea\n      - {bed: ocean}\n\n      - file: c.flac\n        from: 0:30 # later\n")
	for name, c := range map[string]struct {
		file, text string
		music      []MusicEdit
		want       string // empty: refused
	}{
		"nothing is otherwise":      {"x.yaml", lines, keep(0, 1, 2), lines},
		"lines in another order":    {"x.yaml", lines, keep(2, 0, 1), phase("    music:\n      # calm first\n\n      - file: c.flac\n        from: 0:30 # later\n      - a.flac # one\n      # then sea\n      - {bed: ocean}\n")},
		"a line goes, one comes":    {"x.yaml", lines, append(keep(0, 2), file("music/Ä: #1/")...), phase("    music:\n      # calm first\n      - a.flac # one\n\n      - file: c.flac\n        from: 0:30 # later\n      - 'music/Ä: #1/'\n")},
		"one instead of all":        {"x.yaml", lines, file("b.flac"), phase("    music:\n      # calm first\n      - b.flac\n")},
		"a word becomes lines":      {"x.yaml", phase("    music: rain/ # wet\n"), append(keep(0), MusicEdit{Bed: Rain}), phase("    music:  # wet\n      - rain/\n      - {bed: rain}\n")},
		"a word becomes another":    {"x.yaml", phase("    music: rain/ # wet\n"), []MusicEdit{{Silence: true}}, phase("    music: silence # wet\n")},
		"none becomes one":          {"x.yaml", phase(""), file("a.flac"), head + "  - name: A\n    stage: preparation\n    length: 10m\n    music: a.flac\n    level: -3 # soft\n"},
		"none becomes lines":        {"x.yaml", phase(""), append(file("a.flac"), file("b")...), phase("    music:\n      - a.flac\n      - b\n")},
		"brackets":                  {"x.yaml", phase("    music: [a.flac, {file: b.flac, to: 1:00}]\n"), append(keep(1, 0), MusicEdit{Bed: Drone}), phase("    music: [{file: b.flac, to: 1:00}, a.flac, {bed: drone}]\n")},
		"brackets over lines":       {"x.yaml", phase("    music: [\n      a.flac,\n      b.flac,\n    ]\n"), append(keep(1, 0), file("c.flac")...), phase("    music: [\n      b.flac,\n      a.flac,\n      c.flac,\n    ]\n")},
		"comments in brackets":      {"x.yaml", phase("    music: [\n      a.flac, # one\n      b.flac\n    ]\n"), keep(1, 0), ""},
		"a phase in braces":         {"x.yaml", head + "  - {name: A, stage: preparation, length: 10m, music: a.flac}\n", append(keep(0), file("b, c.flac")...), head + "  - {name: A, stage: preparation, length: 10m, music: [a.flac, \"b, c.flac\"]}\n"},
		"a phase in braces, silent": {"x.yaml", head + "  - {name: A, stage: preparation, length: 10m}\n", []MusicEdit{{Silence: true}}, head + "  - {name: A, stage: preparation, length: 10m, music: silence}\n"},
		"a file in a folder":        {"evening/x.yaml", phase("    music: a.flac\n"), file("music/Strings/01.flac"), phase("    music: ../music/Strings/01.flac\n")},
		"a folder named silence":    {"x.yaml", phase("    music: a.flac\n"), file("silence"), phase("    music: ./silence\n")},
		"a name that is a number":   {"x.yaml", phase("    music: a.flac\n"), file("1999"), phase("    music: \"1999\"\n")},
		"music of another phase": {"x.yaml", head + "  - {name: 0, stage: preparation, length: 1m, music: &m [a.flac, b.flac]}\n  - name: A\n    stage: preparation\n    length: 10m\n    music: *m\n", append(keep(1), file("c.flac")...),
			head + "  - {name: 0, stage: preparation, length: 1m, music: &m [a.flac, b.flac]}\n  - name: A\n    stage: preparation\n    length: 10m\n    music: \n      - b.flac\n      - c.flac\n"},
		"the last line, without an end": {"x.yaml", head + "  - name: A\n    stage: preparation\n    length: 10m\n    music:\n    - a.flac\n    - b.flac", keep(1, 0), head + "  - name: A\n    stage: preparation\n    length: 10m\n    music:\n    - b.flac\n    - a.flac\n"},
		"an anchor that others use":     {"x.yaml", head + "  - {name: A, stage: preparation, length: 1m, music: &m [a.flac, b.flac]}\n  - {name: B, stage: preparation, length: 1m, music: *m}\n", file("c.flac"), ""},
		"a folded name":                 {"x.yaml", phase("    music:\n      - >-\n        a.flac\n      - b.flac\n"), keep(1, 0), ""},
		"silence beside music":          {"x.yaml", phase("    music: a.flac\n"), append(keep(0), MusicEdit{Silence: true}), phase("    music: \n      - a.flac\n      - silence\n")}, // Save refuses it
		"a pool":                        {"x.yaml", phase("    pool: [a.flac, {file: b/, intensity: 4}]\n    menu: {Open: open/}\n"), append(keep(1), file("c/")...), phase("    pool: [{file: b/, intensity: 4}, c/]\n    menu: {Open: open/}\n")},
		"a menu":                        {"x.yaml", phase("    menu: {Open: open/}\n"), file("c/"), ""},
		"silence in a pool":             {"x.yaml", phase("    pool: a/\n"), []MusicEdit{{Silence: true}}, phase("    pool: silence\n")}, // Save refuses it
		"nothing":                       {"x.yaml", phase("    music: a.flac\n"), []MusicEdit{}, ""},
		"twice":                         {"x.yaml", lines, keep(1, 1), ""},
		"not there":                     {"x.yaml", lines, keep(3), ""},
		"out of the folder":             {"x.yaml", lines, file("../a.flac"), ""},
		"from the root":                 {"x.yaml", lines, file("/etc/a.flac"), ""},
		"two things":                    {"x.yaml", lines, []MusicEdit{{File: "a", Bed: Rain}}, ""},
		"no such bed":                   {"x.yaml", lines, []MusicEdit{{Bed: "wind"}}, ""},
	} {
		d := Document{ID: "x", Name: c.file}.With([]byte(c.text))
		var edits []PhaseEdit
		for i, ph := range d.Playlist.Phases {
			edits = append(edits, PhaseEdit{Was: i})
			if ph.Name == "A" {
				edits[i].Music = c.music
			}
		}
		got, err := d.Edit(edits)
		if c.want == "" && (err == nil || string(got.Text) != c.text) || c.want != "" && (err != nil || string(got.Text) != c.want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got.Text, c.want)
		}
	}
}

// withMusic writes a file whose phases have music in every style, with numbered comments. It returns which comment belongs to
// which entry: "phase entry", or "" where it belongs to none.
func (d draw) withMusic() (text string, notes []string) {
	note := func(of string) string {
		notes = append(notes, of)
		return fmt.Sprintf("# c%d;", len(notes)-1)
	}
	var b strings.Builder
	b.WriteString("name: X " + note("") + "\nphases:\n")
	for i := range 1 + d.IntN(3) {
		entry := func() string {
			return d.one("a.flac", "'it''s.flac'", `"b \"c\".flac"`, "Übung 01.mp3", "folder/", "{bed: ocean}", "{file: d.flac, from: 0:30}", "{file: d/, intensity: 2.5}", "{ file: 'e, f.flac', to: 6:10, crossfade: 30s }", "'#1.flac'", "a b: c.flac")
		}
		if d.in(5) {
			fmt.Fprintf(&b, "  - {name: P%d, stage: preparation, length: 10m%s} %s\n", i, d.one("", ", music: silence", ", music: [rain/, {bed: drone}]", ", music: {file: a.flac, to: 90s}"), note(""))
			continue
		}
		music := ""
		switch n := 1 + d.IntN(4); d.IntN(6) {
		case 0: // a word
			music = "    music: " + strings.Replace(entry(), "a b: c.flac", "silence", 1) + " " + note("") + "\n"
		case 1: // brackets
			var es []string
			for range n {
				es = append(es, strings.Replace(entry(), "a b: c.flac", "x.flac", 1))
			}
			music = "    music: [" + strings.Join(es, d.one(", ", ",\n      ", " , ")) + d.one("]", "\n      ]", " ]", ",]") + d.maybe(" "+note("")) + "\n"
			for len(notes) > 0 && !strings.Contains(b.String()+music, fmt.Sprintf("# c%d;", len(notes)-1)) {
				notes = notes[:len(notes)-1]
			}
		case 2: // none
		default: // lines
			in := d.one("    ", "      ", "         ")
			music = "    music:" + d.one("", " "+note("")) + "\n"
			for len(notes) > 0 && !strings.Contains(b.String()+music, fmt.Sprintf("# c%d;", len(notes)-1)) {
				notes = notes[:len(notes)-1]
			}
			for k := range n {
				own := fmt.Sprint(i, " ", k)
				if d.in(3) {
					above := own
					if k == 0 {
						above = ""
					}
					music += in + note(above) + "\n"
				}
				e := strings.Replace(entry(), "a b: c.flac", "x.flac", 1)
				if d.in(5) {
					e = "file: g.flac\n" + in + "  from: 1:00"
				}
				music += in + "-" + d.one(" ", "   ") + e
				if strings.Contains(e, "\n") && !strings.HasSuffix(music, "-"+" "+e) { // its keys stand in one column
					music = strings.TrimSuffix(music, "-   "+e) + "- " + e
				}
				if d.in(3) {
					music += " " + note(own)
				}
				music += "\n"
				if d.in(6) {
					music += "\n"
				}
			}
		}
		course := ""
		if strings.HasPrefix(music, "    music:") && !strings.Contains(music, "silence") && d.in(3) {
			music = strings.Replace(music, "    music:", "    pool:", 1)
			course = d.maybe("    intensity: 2..4\n") + d.maybe("    menu: {Open: [open/, {bed: rain, intensity: 2}], Still: silence}\n")
		}
		keys := []string{course, "    stage: preparation\n", "    length: " + d.one("10m", "'10m'") + "\n", music, d.maybe("    level: -3\n")}
		d.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		b.WriteString(fmt.Sprintf("  - name: P%d\n", i) + strings.Join(keys, ""))
	}
	if text = b.String(); d.in(3) {
		text = strings.TrimRight(text, "\n")
	}
	return strings.ReplaceAll(text, "\n", d.one("\n", "\n", "\r\n", "\r")), notes
}

// TestMusicEditProperty holds for random changes of the music in random files that the file then says what was asked, that
// nothing else has changed, and that an entry that stays keeps its comments. ROOMD_EDITS is the number of cases of a long run.
func TestMusicEditProperty(t *testing.T) {
	total, refused := 0, 0
	one := func(seed uint64, fatalf func(string, ...any)) {
		d := draw{rand.New(rand.NewPCG(seed, 9))}
		text, notes := d.withMusic()
		before := Document{ID: "x", Name: d.one("x.yaml", "evening/x.yaml")}.With([]byte(text))
		if errs := before.Problems.Errors(); len(errs) > 0 {
			fatalf("seed %d: the document is wrong: %v\n%s", seed, errs.Strings(), text)
		}
		var edits []PhaseEdit
		var want []Phase
		gone := map[string]bool{} // entries, as notes have them
		order := d.Perm(len(before.Playlist.Phases))
		if d.in(2) {
			slices.Sort(order)
		}
		for _, w := range order {
			e, ph := PhaseEdit{Was: w}, bare(before.Playlist.Phases[w])
			if d.in(4) {
				e.Length = of(time.Duration(130+d.IntN(5000)) * time.Second)
				ph.Length = *e.Length
			}
			if !d.in(3) {
				was := ph.Written.Music
				ph.Written = &Written{Menu: ph.Written.Menu}
				for _, k := range d.Perm(len(was)) {
					if was[k].Silence || d.in(3) {
						gone[fmt.Sprint(w, " ", k)] = true
						continue
					}
					e.Music = append(e.Music, MusicEdit{Was: of(k)})
					ph.Written.Music = append(ph.Written.Music, was[k])
				}
				for len(e.Music) == 0 || d.in(3) {
					m, s := MusicEdit{Bed: Rain}, Source{Bed: Rain}
					if d.in(2) {
						m = MusicEdit{File: d.one("music/Nächte/01 – a, b.flac", "music/[x] {y}.mp3", "a: #1.ogg", "'quoted'/x.flac", "true", "12", "- x.flac", "*x.flac", "&x", "!x", "music/it's \"me\".flac", "夜/旅.flac", "> x.mp3")}
						s = Source{Path: m.File}
						if strings.HasPrefix(before.Name, "evening/") {
							s.Path = path.Join("..", m.File)
						}
					}
					at := d.IntN(len(e.Music) + 1)
					e.Music = slices.Insert(e.Music, at, m)
					ph.Written.Music = slices.Insert(ph.Written.Music, at, s)
				}
			}
			edits, want = append(edits, e), append(want, ph)
		}
		total++
		after, err := before.Edit(edits)
		if err != nil {
			if refused++; string(after.Text) != text {
				fatalf("seed %d: refused and changed: %v\n%s\nfrom\n%s", seed, err, after.Text, text)
			}
			return
		}
		if errs := after.Problems.Errors(); len(errs) > 0 {
			fatalf("seed %d: %v\n%s\nfrom\n%s", seed, errs.Strings(), after.Text, text)
		}
		for i, w := range want {
			if g := bare(after.Playlist.Phases[i]); !reflect.DeepEqual(timeless(w), timeless(g)) {
				fatalf("seed %d: phase %d is %+v, not %+v\n%s\nfrom\n%s", seed, i, g.Written.Music, w.Written.Music, after.Text, text)
			}
		}
		for i, of := range notes {
			n := strings.Count(string(after.Text), fmt.Sprintf("# c%d;", i))
			if of == "" && n != 1 || gone[of] && n != 0 || of != "" && !gone[of] && n != 1 {
				fatalf("seed %d: comment %d (of %q) stands %d times:\n%s\nfrom\n%s", seed, i, of, n, after.Text, text)
			}
		}
	}
	manyEdits(t, one)
	if refused > total/20+5 {
		t.Errorf("%d of %d edits were refused", refused, total)
	}
	t.Logf("%d edits, %d refused", total, refused)
}

// timeless is a bare phase without the places of its parts.
func timeless(ph Phase) Phase {
	var music []Source
	for _, s := range ph.Written.Music {
		if s.Part != nil {
			p := *s.Part
			p.At = nil
			s.Part = &p
		}
		music = append(music, s)
	}
	ph.Written = &Written{Music: music, Menu: ph.Written.Menu}
	return ph
}
