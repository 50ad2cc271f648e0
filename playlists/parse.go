package playlists

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/playlists/yamlfile"
)

// What is so where a playlist does not say.
const (
	defaultCrossfade = 8 * time.Second
	defaultFade      = time.Minute // of the lights
)

// How much a playlist may hold.
const (
	maxName      = 80  // characters of a name or a mark
	maxAbout     = 600 // characters
	maxPath      = 1000
	maxPhases    = 200
	maxMusic     = 10_000 // entries of a phase
	maxMarks     = 24     // buttons of a phase
	maxReminders = 200
	minLevel     = -40 // dB against the room's reference
	maxLevel     = 12
)

// Written is a phase as its file says it: where it stands and what its music is called.
type Written struct {
	Name, Length, Level, Lights, Until Place // where each is written; the phase's own place where it is not
	Marks                              []Place
	Music                              []Source
}

// Source is one entry of a phase's music as written. Exactly one of Path, Bed and Silence is set.
type Source struct {
	Place
	Path    string // a file, folder, glob or list, relative to the playlist's file
	Bed     Bed
	Silence bool
	Part    *Part // nil: the whole file, and the phase's crossfade
}

// Parse reads a playlist's file. It reports all that is wrong with it at once, in the order of the file; without an
// error the playlist can be resolved and played. With errors the playlist holds what could be read, so that a list
// can still show it.
func Parse(id, file string, data []byte) (*Playlist, Problems) {
	r, root := yamlfile.Read(file, data)
	p := &parser{
		Reader:   r,
		pl:       &Playlist{ID: id, Name: id, Keep: KeepEnd, Crossfade: defaultCrossfade, Bed: Drone, Revision: Revision(data)},
		nameLine: map[string]int{},
	}
	if !root.Exists() {
		if len(r.Problems()) == 0 {
			r.Report(r.At(1, 1), Error, "the file is empty", "write name: and phases:, or copy a starter playlist")
		}
		return p.pl, r.Problems()
	}
	p.playlist(root)
	return p.pl, r.Problems()
}

type parser struct {
	*yamlfile.Reader
	pl         *Playlist
	wroteCross bool           // the file says the playlist's crossfade
	nameLine   map[string]int // line of each phase, by its name in lower case
}

func (p *parser) playlist(root Value) {
	f := root.Fields("a playlist", "write name: and phases:",
		"name", "about", "keep", "crossfade", "bed", "phases", "remind", "boost")
	pl := p.pl
	if v, ok := f.Need("name", "the playlist", "write name: First journey"); ok {
		if s, ok := v.Text(maxName, "write name: First journey"); ok {
			pl.Name = s
		}
	}
	if v, ok := f.Get("about"); ok {
		pl.About, _ = v.Text(maxAbout, "write about: Slow strings, no voices")
	}
	if v, ok := f.Get("keep"); ok {
		if s, ok := v.Word(string(KeepEnd), string(KeepLengths)); ok {
			pl.Keep = Keep(s)
		}
	}
	if v, ok := f.Get("bed"); ok {
		if b, ok := bed(v); ok {
			pl.Bed = b
		}
	}
	if v, ok := f.Get("crossfade"); ok {
		if d, ok := v.Length(0); ok {
			pl.Crossfade, p.wroteCross = d, true
		}
	}
	const phases = "begin with phases: and, under it, - name: Arrival"
	if v, ok := f.Need("phases", "the playlist", phases); ok {
		p.phases(v, phases)
	}
	known := p.marks(f)
	if v, ok := f.Get("remind"); ok {
		p.remind(v, known)
	}
	if v, ok := f.Get("boost"); ok {
		p.boost(v)
	}
}

func bed(v Value) (Bed, bool) {
	s, ok := v.Word(string(Drone), string(Ocean), string(Rain))
	return Bed(s), ok
}

func (p *parser) phases(v Value, write string) {
	entries := v.Entries(false, write)
	if len(entries) == 0 && v.IsList() && !p.Spent() {
		v.Error("the list of phases is empty", write)
	}
	var total time.Duration
	for i, e := range entries {
		if i == maxPhases {
			e.Error(fmt.Sprintf("there are more than %d phases", maxPhases), "combine some")
			break
		}
		ph, ok := p.phase(e)
		if !ok {
			continue
		}
		total += ph.Length
		p.pl.Phases = append(p.pl.Phases, ph)
	}
	if total > longest {
		v.Error("the phases add up to "+FormatLength(total), "shorten them to 24h or less")
	}
	stages := []Stage{Preparation, Administration, Integration}
	latest := 0
	for _, ph := range p.pl.Phases {
		k := slices.Index(stages, ph.Stage)
		if k < 0 {
			continue
		}
		if k < latest {
			p.Report(ph.Written.Name, Error, fmt.Sprintf("phase %q (%s) comes after a phase of %s", ph.Name, ph.Stage, stages[latest]), "keep the stages in order: preparation, administration, integration")
		}
		latest = max(latest, k)
	}
}

func (p *parser) phase(v Value) (Phase, bool) {
	const write = "write - name: Arrival, and under it stage: and length:"
	f := v.Fields("a phase", write, "name", "stage", "length", "flex", "until", "music", "order", "level", "crossfade", "lights", "marks")
	if !f.IsMap() {
		return Phase{}, false
	}
	here := v.Place()
	w := &Written{Name: here, Length: here, Level: here, Lights: here, Until: here}
	ph := Phase{Order: Listed, Crossfade: p.pl.Crossfade, Written: w}
	what := "the phase"
	if nv, ok := f.Need("name", "the phase", "write name: Arrival"); ok {
		w.Name = nv.Place()
		if s, ok := nv.Text(maxName, "write name: Arrival"); ok {
			ph.Name, what = s, "phase "+strconv.Quote(s)
			lower := strings.ToLower(s)
			if line, twice := p.nameLine[lower]; twice {
				nv.Error(fmt.Sprintf("the phase on line %d is also called %q", line, s), "give each phase its own name")
			} else {
				p.nameLine[lower] = nv.Place().Line
			}
		}
	}
	if sv, ok := f.Need("stage", what, "write stage: preparation, administration or integration"); ok {
		s, _ := sv.Word(string(Preparation), string(Administration), string(Integration))
		ph.Stage = Stage(s)
	}
	if lv, ok := f.Need("length", what, "write length: 30m"); ok {
		w.Length = lv.Place()
		ph.Length, _ = lv.Length(time.Second)
	}
	if fv, ok := f.Get("flex"); ok {
		if d, ok := fv.Length(0); ok {
			ph.Flex = d
			if ph.Length > 0 && d >= ph.Length {
				fv.Error(fmt.Sprintf("flex is %s, not less than the phase's length of %s", FormatLength(d), FormatLength(ph.Length)), "write a shorter one, such as flex: 2m")
			}
		}
	}
	p.crossfade(f, &ph, what)
	if ov, ok := f.Get("order"); ok {
		if s, ok := ov.Word(string(Listed), string(Shuffle), string(BestFit)); ok {
			ph.Order = Order(s)
		}
	}
	if lv, ok := f.Get("level"); ok {
		w.Level = lv.Place()
		ph.Level, _ = lv.Number(minLevel, maxLevel)
	}
	if lv, ok := f.Get("lights"); ok {
		w.Lights = lv.Place()
		ph.Lights = p.lights(lv, ph.Length)
	}
	if mv, ok := f.Get("marks"); ok {
		ph.Marks, w.Marks = markList(mv)
	}
	if uv, ok := f.Get("until"); ok {
		w.Until = uv.Place()
		if s, ok := uv.Text(maxName, "write until: Lozenge"); ok {
			ph.Until = s
			if !slices.Contains(ph.Marks, s) {
				write := fmt.Sprintf("add marks: [%s]", s)
				if near := nearest(s, ph.Marks); near != "" {
					write = fmt.Sprintf("did you mean %q?", near)
				}
				uv.Error(fmt.Sprintf("%s waits for the mark %q but does not offer it", what, s), write)
			}
		}
	}
	if mv, ok := f.Get("music"); ok {
		w.Music = p.music(mv)
	}
	return ph, true
}

// crossfade is the phase's own, or the playlist's, which must be shorter than each phase. Where neither is written the
// usual one is shortened to fit.
func (p *parser) crossfade(f yamlfile.Fields, ph *Phase, what string) {
	v, own := f.Get("crossfade")
	if own {
		d, ok := v.Length(0)
		if !ok {
			return
		}
		ph.Crossfade = d
		if ph.Length > 0 && d >= ph.Length {
			v.Error(fmt.Sprintf("crossfade is %s, not less than the phase's length of %s", FormatLength(d), FormatLength(ph.Length)), "write a shorter one")
		}
		return
	}
	if ph.Length <= 0 || ph.Crossfade < ph.Length {
		return
	}
	if p.wroteCross {
		p.Report(ph.Written.Length, Error, fmt.Sprintf("%s lasts %s, not longer than the playlist's crossfade of %s", what, FormatLength(ph.Length), FormatLength(ph.Crossfade)), "give the phase its own, shorter crossfade")
		return
	}
	ph.Crossfade = ph.Length / 2
}

func (p *parser) lights(v Value, length time.Duration) *Light {
	const write = "write lights: {scene: dusk, fade: 5m}"
	f := v.Fields("lights", write, "scene", "fade")
	sv, ok := f.Need("scene", "lights", write)
	if !ok {
		return nil
	}
	scene, ok := sv.Text(maxName, write)
	if !ok {
		return nil
	}
	l := &Light{Scene: scene, Fade: defaultFade}
	if length > 0 {
		l.Fade = min(l.Fade, length)
	}
	if fv, ok := f.Get("fade"); ok {
		if d, ok := fv.Length(time.Second); ok {
			l.Fade = d
			if length > 0 && d > length {
				fv.Warn(fmt.Sprintf("the fade of %s is longer than the phase of %s", FormatLength(d), FormatLength(length)), "write a shorter fade; the next phase takes the light from where it is then")
			}
		}
	}
	return l
}

func markList(v Value) (marks []string, places []Place) {
	for i, e := range v.Entries(false, "write marks: [Lozenge, Vitals]") {
		if i == maxMarks {
			e.Error(fmt.Sprintf("there are more than %d marks", maxMarks), "a tablet shows no more")
			break
		}
		s, ok := e.Text(maxName, "write marks: [Lozenge, Vitals]")
		switch {
		case !ok:
		case slices.Contains(marks, s):
			e.Error(fmt.Sprintf("%q is listed twice", s), "keep one of them")
		default:
			marks, places = append(marks, s), append(places, e.Place())
		}
	}
	return marks, places
}

func (p *parser) music(v Value) []Source {
	const write = "write music: [arrival/, {bed: ocean}], or music: silence"
	entries := v.Entries(true, write)
	if len(entries) == 0 && v.IsList() && !p.Spent() {
		v.Error("music is an empty list", "name a file, a folder or {bed: drone}; without the key music the playlist's bed plays")
	}
	out := make([]Source, 0, min(len(entries), maxMusic))
	for i, e := range entries {
		if i == maxMusic {
			e.Error(fmt.Sprintf("there are more than %d entries", maxMusic), "name folders instead of files")
			break
		}
		src := Source{Place: e.Place()}
		if e.IsMap() {
			var ok bool
			if src, ok = p.entry(e, write); !ok {
				continue
			}
		} else {
			e = e.Named("music")
			s, ok := e.Text(maxPath, write)
			if !ok {
				continue
			}
			if s == "silence" {
				src.Silence = true
				if len(entries) > 1 {
					e.Error("silence is mixed with other music", "give it its own phase: music: silence")
					continue
				}
			} else {
				src.Path = s
			}
		}
		out = append(out, src)
	}
	return out
}

// marks are all marks that can be tapped in a session of this playlist: of phases, reminders and the boost.
func (p *parser) marks(f yamlfile.Fields) []string {
	var known []string
	for _, ph := range p.pl.Phases {
		known = append(known, ph.Marks...)
	}
	peek := func(v Value) {
		if s := strings.TrimSpace(v.String()); s != "" {
			known = append(known, s)
		}
	}
	if v, ok := f.Get("boost"); ok {
		peek(v.Peek("mark"))
	}
	if v, ok := f.Get("remind"); ok {
		reminders := v.Items()
		for _, e := range reminders[:min(len(reminders), maxReminders)] {
			marks := e.Peek("marks").Items()
			for _, m := range marks[:min(len(marks), maxMarks)] {
				peek(m)
			}
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}

func (p *parser) remind(v Value, known []string) {
	const write = "write - {after: Lozenge, in: 40m, say: Blood pressure, marks: [Vitals]}"
	length := p.pl.Length()
	for i, e := range v.Entries(false, write) {
		if i == maxReminders {
			e.Error(fmt.Sprintf("there are more than %d reminders", maxReminders), "combine some")
			break
		}
		f := e.Fields("a reminder", write, "after", "in", "say", "marks")
		if !f.IsMap() {
			continue
		}
		var rm Reminder
		if av, ok := f.Get("after"); ok {
			if rm.After, ok = av.Text(maxName, "write after: Lozenge"); ok && !slices.Contains(known, rm.After) {
				write := "add it to the marks of a phase"
				if len(known) > 0 {
					write += "; there are " + strings.Join(known, ", ")
				}
				av.Error(fmt.Sprintf("no phase has the mark %q", rm.After), Suggest(rm.After, known, write))
			}
		}
		if iv, ok := f.Need("in", "the reminder", "write in: 40m"); ok {
			if rm.In, ok = iv.Length(time.Second); ok && length > 0 && rm.In > length {
				iv.Warn(fmt.Sprintf("the session is planned for %s, so a reminder after %s never comes", FormatLength(length), FormatLength(rm.In)), "write an earlier one")
			}
		}
		if mv, ok := f.Get("marks"); ok {
			rm.Marks, _ = markList(mv)
		}
		if sv, ok := f.Get("say"); ok {
			rm.Say, _ = sv.Text(maxName, "write say: Spit or swallow")
		} else if rm.Say = strings.Join(rm.Marks, ", "); rm.Say == "" && !f.Meant("say") && !f.Meant("marks") {
			e.Error("the reminder says nothing", "write say: Spit or swallow, or marks: [Vitals]")
		}
		p.pl.Remind = append(p.pl.Remind, rm)
	}
}

func (p *parser) boost(v Value) {
	const write = "write boost: {mark: Booster, phase: Journey, by: 20m}"
	f := v.Fields("boost", write, "mark", "phase", "by")
	b := &Boost{}
	ok := true
	if mv, is := f.Need("mark", "boost", write); is {
		b.Mark, is = mv.Text(maxName, "write mark: Booster")
		ok = ok && is
	}
	if pv, is := f.Need("phase", "boost", write); is {
		if b.Phase, is = pv.Text(maxName, "write phase: Journey"); is {
			var names []string
			for _, ph := range p.pl.Phases {
				names = append(names, ph.Name)
			}
			if !slices.Contains(names, b.Phase) {
				pv.Error(fmt.Sprintf("there is no phase %q", b.Phase), Suggest(b.Phase, names, "name one of the phases"))
			}
		}
		ok = ok && is
	}
	if bv, is := f.Need("by", "boost", write); is {
		b.By, is = bv.Length(time.Second)
		ok = ok && is
	}
	if ok && b.Mark != "" && b.Phase != "" && b.By > 0 {
		p.pl.Boost = b
	}
}
