package playlists

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Draft writes the playlist file that music without one stands for. from is a folder, or a music player's list, below
// root, with slashes; the file is meant to stand beside it, so that what it names is found. There are three kinds:
//
//   - A folder of numbered folders or lists ("01 Arrival 30m", "02 Onset 15m") is a playlist of as many phases.
//   - So is a list with groups (#EXTGRP:Arrival 30m).
//   - Any other folder or list is laid on the standard three-hour arc: each track in the phase that its middle falls
//     into. Less music than three hours is spread over all of it; more is left out, with a warning.
//
// A phase without a length lasts as long as its music. One that is called as a phase of the standard arc, or as a stage,
// is like it; of the others the first is preparation, the last integration, and what is between administration.
//
// measure may be nil: then lengths that are not written are guesses, and nothing is laid on the standard arc but beds.
// linked is as in Resolve. Problems are what was passed over. An error is a from that is not there or holds no music.
func Draft(ctx context.Context, root, from string, measure Measure, linked ...string) ([]byte, Problems, error) {
	folder, err := openFolder(root, linked...)
	if err != nil {
		return nil, nil, err
	}
	from = path.Clean(from)
	info, err := folder.stat(from)
	if err != nil {
		return nil, nil, err
	}
	if from == "." {
		return nil, nil, errors.New("the playlists folder itself is not a playlist")
	}
	d := &drafter{resolver: &resolver{ctx: ctx, folder: folder, base: path.Dir(from), measure: measure, tracks: map[string]*Track{}}, from: from, at: Place{File: draftFile(from)}}
	switch {
	case info.IsDir():
		d.numbered()
		if len(d.phases) == 0 {
			d.lay(d.dir(Source{Place: d.at, Path: path.Base(from)}, from))
		}
	case isList(from):
		ns := d.list(named{Place: d.at, rel: from}, 1, []string{from})
		if slices.ContainsFunc(ns, func(n named) bool { return n.entry.Group != "" }) {
			d.grouped(ns)
		} else {
			d.lay(ns)
		}
	default:
		return nil, nil, fmt.Errorf("%s is no folder and no list of music", from)
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if d.found == 0 {
		return nil, d.problems.Sorted(), fmt.Errorf("there is no music in %s", from)
	}
	return d.text(), d.problems.Sorted(), nil
}

// drafter makes one draft.
type drafter struct {
	*resolver
	from   string
	at     Place // the file that is written
	phases []draft
	found  int // tracks
}

// draft is one phase of it.
type draft struct {
	Phase
	music []string // as the file holds it, relative to the base
	note  string   // a comment on its length
}

// guess is a phase's length where nothing is known of it.
const guess = 30 * time.Minute

// standard is the playlist with the standard arc.
var standard = sync.OnceValue(func() *Playlist { return Starters()[0] })

var (
	number = regexp.MustCompile(`^(\d{1,4})(?:[\s._-]+|$)`)
	// The length at the end of a name: 30m, 1h, 1h30m, 90 min, (15m).
	nameLength = regexp.MustCompile(`(?i)[\s_-]*(?:^|[\s_(-])(?:(\d{1,2})\s?h)?\s?(?:(\d{1,4})\s?m(?:in)?)?\)?$`)
)

// phaseName takes a name apart: "01 Arrival 30m" is Arrival, of 30 minutes. length is 0 where none is written.
func phaseName(s string) (name string, length time.Duration) {
	s = strings.TrimSpace(s)
	if m := nameLength.FindStringSubmatch(s); m != nil && m[1]+m[2] != "" {
		h, _ := strconv.Atoi(m[1])
		min, _ := strconv.Atoi(m[2])
		length = time.Duration(h)*time.Hour + time.Duration(min)*time.Minute
		s = s[:len(s)-len(m[0])]
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '_' || r == '\t' }), " ")
	if r := []rune(s); len(r) > maxName {
		s = string(r[:maxName])
	}
	return strings.TrimSpace(s), length
}

// numbered makes a phase of each numbered folder or list.
func (d *drafter) numbered() {
	var names []string
	for _, e := range d.folder.read(d.from) {
		info, err := d.folder.stat(path.Join(d.from, e.Name()))
		if err != nil || hidden(e.Name()) || !d.sayable(e.Name()) || !number.MatchString(e.Name()) || !info.IsDir() && !isList(e.Name()) {
			continue
		}
		names = append(names, e.Name())
	}
	naturally(names)
	for _, name := range names {
		rel := path.Join(d.from, name)
		plain := name
		if isList(name) {
			plain = strings.TrimSuffix(name, path.Ext(name))
		} else {
			rel += "/"
		}
		// A phase of its own, whatever is in it: one that is empty plays the bed.
		ns := d.name([]Source{{Place: d.at, Path: d.relative(rel)}})
		d.add(number.ReplaceAllString(plain, ""), []string{scalar(d.relative(rel))}, ns)
	}
	if d.found == 0 {
		d.phases = nil
	}
}

// grouped makes a phase of each run of entries of one group.
func (d *drafter) grouped(ns []named) {
	for len(ns) > 0 {
		group := ns[0].entry.Group
		n := slices.IndexFunc(ns, func(n named) bool { return n.entry.Group != group })
		if n < 0 {
			n = len(ns)
		}
		d.add(number.ReplaceAllString(strings.TrimSpace(group), ""), d.paths(ns[:n]), ns[:n])
		ns = ns[n:]
	}
}

func (d *drafter) relative(rel string) string {
	if near, err := filepath.Rel(filepath.FromSlash(d.base), filepath.FromSlash(rel)); err == nil {
		dir := strings.HasSuffix(rel, "/")
		if rel = filepath.ToSlash(near); dir {
			rel += "/"
		}
	}
	return rel
}

func (d *drafter) paths(ns []named) []string {
	var out []string
	for _, n := range ns {
		if n.rel != "" && d.sayable(n.rel) {
			out = append(out, n.source(d.relative(n.rel)))
		}
	}
	return out
}

// sayable says whether a name can stand in a file of text.
func (d *drafter) sayable(rel string) bool {
	if utf8.ValidString(rel) {
		return true
	}
	d.warn(d.at, fmt.Sprintf("the name %q is not UTF-8", clip(strings.ToValidUTF8(rel, "?"))), "rename it")
	return false
}

// add makes one phase, as long as is written or as its music is.
func (d *drafter) add(called string, music []string, ns []named) {
	if len(d.phases) == maxPhases {
		return // Parse would refuse more
	}
	ph := draft{music: music}
	ph.Name, ph.Length = phaseName(called)
	if ph.Name == "" {
		ph.Name = fmt.Sprintf("Phase %d", len(d.phases)+1)
	}
	for base, k := ph.Name, 2; slices.ContainsFunc(d.phases, func(o draft) bool { return strings.EqualFold(o.Name, ph.Name) }); k++ {
		ph.Name = fmt.Sprintf("%s %d", base, k)
	}
	tracks := 0
	for _, n := range ns {
		if n.rel != "" {
			tracks++
		}
	}
	d.found += tracks
	if tracks == 0 {
		ph.music = nil
	}
	if ph.Length == 0 {
		var sum time.Duration
		for i, l := range d.lengths(ns) {
			if sum += l; i > 0 && l > 2*defaultCrossfade {
				sum -= defaultCrossfade
			}
		}
		ph.note = "as long as its music"
		if ph.Length = sum.Truncate(time.Second); ph.Length < time.Minute {
			ph.Length, ph.note = guess, "a guess"
		}
	}
	ph.Length = min(ph.Length, longest)
	d.phases = append(d.phases, ph)
}

// lengths are how long each piece sounds; 0: not known.
func (d *drafter) lengths(ns []named) []time.Duration {
	out := make([]time.Duration, len(ns))
	if d.measure == nil {
		return out
	}
	d.run([][]named{ns})
	for i, n := range ns {
		if t := d.tracks[n.rel]; n.rel != "" && t != nil && t.Problem == "" {
			sounding := *t
			d.part(n, &sounding)
			out[i] = max(0, sounding.Length-sounding.LeadIn-sounding.LeadOut)
		}
	}
	return out
}

// lay puts tracks on the standard arc.
func (d *drafter) lay(ns []named) {
	ns = slices.DeleteFunc(ns, func(n named) bool { return n.rel == "" })
	d.found = len(ns)
	for _, ph := range standard().Phases {
		d.phases = append(d.phases, draft{Phase: ph})
	}
	lengths := d.lengths(ns)
	var sum, arc time.Duration
	for _, l := range lengths {
		sum += l
	}
	if sum == 0 {
		return
	}
	// Planned silence stays silent: the music ends before it.
	with := len(d.phases)
	for with > 0 && silent(d.phases[with-1].Phase) {
		with--
	}
	for _, ph := range d.phases[:with] {
		arc += ph.Length
	}
	stretch := max(1, float64(arc)/float64(sum))
	at, k, end := 0.0, 0, d.phases[0].Length
	for i, n := range ns {
		middle := time.Duration((at + float64(lengths[i])/2) * stretch)
		at += float64(lengths[i])
		if middle >= arc {
			d.say(d.at, Warning, fmt.Sprintf("there is %s of music for an arc of %s, so %d of %d tracks are left out", FormatLength(sum), FormatLength(arc), len(ns)-i, len(ns)), "write a playlist file with longer phases: roomd playlist new")
			break
		}
		for middle >= end {
			k++
			end += d.phases[k].Length
		}
		if lengths[i] > 0 && d.sayable(n.rel) {
			d.phases[k].music = append(d.phases[k].music, n.source(d.relative(n.rel)))
		}
	}
}

// silent says whether a phase, as written or resolved, is planned silence.
func silent(ph Phase) bool {
	if ph.Written != nil {
		return len(ph.Written.Music) == 1 && ph.Written.Music[0].Silence
	}
	return len(ph.Music) == 1 && ph.Music[0].Silence
}

// stages gives each phase that is not of the standard arc its stage, level, light and marks.
func (d *drafter) stages() {
	known := standard().Phases
	latest := 0
	for i := range d.phases {
		ph := &d.phases[i]
		if ph.Stage != "" {
			continue
		}
		like := slices.IndexFunc(known, func(k Phase) bool { return strings.EqualFold(k.Name, ph.Name) })
		stage := 1
		switch {
		case like >= 0:
			stage = slices.Index(stages, known[like].Stage)
		case slices.ContainsFunc(stages, func(s Stage) bool { return strings.Contains(strings.ToLower(ph.Name), string(s)) }):
			stage = slices.IndexFunc(stages, func(s Stage) bool { return strings.Contains(strings.ToLower(ph.Name), string(s)) })
		case i == 0 && len(d.phases) > 1:
			stage = 0
		case i == len(d.phases)-1 && i > 1:
			stage = 2
		}
		stage = max(stage, latest)
		latest = stage
		if like < 0 || known[like].Stage != stages[stage] {
			like = slices.IndexFunc(known, func(k Phase) bool { return k.Name == []string{"Arrival", "Journey", "Integration"}[stage] })
		}
		name, length := ph.Name, ph.Length
		ph.Phase = known[like]
		ph.Name, ph.Length, ph.Until, ph.Stage = name, length, "", stages[stage]
	}
	// The last phase before the administration waits for the lozenge.
	for i := range d.phases {
		ph := &d.phases[i]
		last := ph.Stage == Preparation && i+1 < len(d.phases) && d.phases[i+1].Stage != Preparation
		if ph.Until = ""; last {
			ph.Until = "Lozenge"
			if !slices.Contains(ph.Marks, ph.Until) {
				ph.Marks = slices.Insert(slices.Clone(ph.Marks), 0, ph.Until)
			}
		}
	}
}

//go:embed draft.tmpl
var draftText string

var draftFormat = template.Must(template.New("draft").Funcs(template.FuncMap{
	"scalar": scalar, "length": FormatLength, "silent": silent,
	"list": func(marks []string) string {
		var quoted []string
		for _, m := range marks {
			quoted = append(quoted, scalar(m))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	},
	"flexible": func(p draft) bool { return p.Length >= 5*time.Minute && len(p.music) > 0 },
	"music":    func(p draft) []string { return p.music },
	"note":     func(p draft) string { return p.note },
	"lit":      func(p draft) bool { return p.Lights != nil && p.Length >= time.Minute },
	"fade":     func(p draft) string { return FormatLength(min(p.Lights.Fade, p.Length)) },
}).Parse(draftText))

// text is the file.
func (d *drafter) text() []byte {
	d.stages()
	name := path.Base(d.from)
	if isList(name) {
		name = strings.TrimSuffix(name, path.Ext(name))
	}
	if name = strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(name, "_", " "), "?")); len([]rune(name)) > maxName {
		name = string([]rune(name)[:maxName])
	}
	is := struct {
		From, Name string
		Phases     []draft
		Remind     []Reminder // where a phase waits for the lozenge
		Waits      bool
		Longest    string // phase of the administration
	}{From: path.Base(d.from), Name: name, Phases: d.phases}
	var total, longest time.Duration
	for _, ph := range d.phases {
		total += ph.Length
		is.Waits = is.Waits || ph.Until != ""
		if ph.Stage == Administration && ph.Length > longest {
			longest, is.Longest = ph.Length, ph.Name
		}
	}
	for _, rm := range standard().Remind {
		if rm.In <= total {
			is.Remind = append(is.Remind, rm)
		}
	}
	var b bytes.Buffer
	if err := draftFormat.Execute(&b, is); err != nil {
		panic("draft: " + err.Error()) // the template is at fault
	}
	return b.Bytes()
}

// scalar writes a text as YAML reads it, also between brackets.
func scalar(s string) string {
	plain, err := yaml.Marshal(s)
	if err != nil || strings.ContainsAny(s, ",[]{}\n") || strings.HasPrefix(string(plain), "|") || strings.HasPrefix(string(plain), ">") {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(string(plain), "\n")
}

// WriteNew writes the file of a draft beside what it was made of, and tells its path below root. Its first line leads
// editors to the schema, which is written below root too. It never writes over a file: the error is fs.ErrExist.
func WriteNew(ctx context.Context, root, from string, measure Measure, linked ...string) (file string, problems Problems, err error) {
	text, problems, err := Draft(ctx, root, from, measure, linked...)
	if err != nil {
		return "", problems, err
	}
	file = draftFile(path.Clean(from))
	return file, problems, createFile(root, file, text, linked...)
}

// draftFile is where the file of a folder or list stands: beside it.
func draftFile(from string) string {
	if isList(from) {
		from = strings.TrimSuffix(from, path.Ext(from))
	}
	return from + ".yaml"
}
