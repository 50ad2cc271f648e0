package playlists

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"roomd/playlists/yamlfile"
)

// What is so where a playlist does not say.
const (
	defaultCrossfade = 8 * time.Second
	defaultFade      = time.Minute // of the lights
)

// Written is a phase as its file says it: where it stands and what its music is called.
type Written struct {
	Name, Length, Level, Lights, Until Place // where each is written; the phase's own place where it is not
	Marks                              []Place
	Music                              []Source        // of music, or else of pool
	Menu                               []WrittenChoice // in the order of the file
}

// Source is one entry of a phase's music as written. Exactly one of Path, Bed and Silence is set.
type Source struct {
	Place
	Path    string // a file, folder, glob or list, relative to the playlist's file
	Bed     Bed
	Silence bool
	Part    *Part // nil: the whole file, and the phase's crossfade
	// Intensity is what the entry gives its music, 1 to 5; 0: nothing.
	Intensity float64
}

// Parse reads a playlist's file. It reports all that is wrong with it at once, in the order of the file; without an
// error the playlist can be resolved and played. With errors the playlist holds what could be read, so that a list
// can still show it.
func Parse(id, file string, data []byte) (*Playlist, Problems) {
	r, root := yamlfile.Read(file, data)
	p := &parser{
		Reader: r,
		pl:     &Playlist{ID: id, Name: id, Keep: KeepEnd, Crossfade: defaultCrossfade, Bed: Drone, Revision: Revision(data)},
		names:  map[string]int{},
	}
	switch {
	case root.Exists():
		p.playlist(playlistKeys.Fields(root))
	case len(r.Problems()) == 0:
		r.Report(r.At(1, 1), Error, "the file is empty", "write name: and phases:, or copy a starter playlist")
	}
	return p.pl, r.Problems()
}

// parser checks what one value of a playlist asks of another.
type parser struct {
	*yamlfile.Reader
	pl    *Playlist
	wrote bool           // the file says the playlist's crossfade
	names map[string]int // line of each phase, by its name in lower case
}

func (p *parser) fail(at Place, write, says string, args ...any) {
	p.Report(at, Error, fmt.Sprintf(says, args...), write)
}

func (p *parser) warn(at Place, write, says string, args ...any) {
	p.Report(at, Warning, fmt.Sprintf(says, args...), write)
}

func (p *parser) playlist(f yamlfile.Fields) {
	pl := p.pl
	f.Set("name", &pl.Name)
	f.Set("about", &pl.About)
	f.Set("keep", &pl.Keep)
	f.Set("bed", &pl.Bed)
	p.wrote = f.Set("crossfade", &pl.Crossfade)
	for _, e := range f.List("phases") {
		pl.Phases = append(pl.Phases, p.phase(e.Got.(yamlfile.Fields)))
	}
	if total := pl.Length(); total > longest {
		p.fail(f.At("phases"), "shorten them to 24h or less", "the phases add up to %s", FormatLength(total))
	}
	latest := 0
	for _, ph := range pl.Phases {
		k := slices.Index(stages, ph.Stage)
		if k >= 0 && k < latest {
			p.fail(ph.Written.Name, "keep the stages in order: "+strings.Join(yamlfile.Words(stages), ", "), "phase %q (%s) comes after a phase of %s", ph.Name, ph.Stage, stages[latest])
		}
		latest = max(latest, k)
	}
	p.boost(f)
	p.remind(f)
}

func (p *parser) phase(f yamlfile.Fields) Phase {
	w := &Written{Name: f.At("name"), Length: f.At("length"), Level: f.At("level"), Lights: f.At("lights"), Until: f.At("until")}
	ph := Phase{Order: Listed, Written: w}
	if f.Set("name", &ph.Name) {
		lower := strings.ToLower(ph.Name)
		if line, twice := p.names[lower]; twice {
			p.fail(w.Name, "give each phase its own name", "the phase on line %d is also called %q", line, ph.Name)
		} else {
			p.names[lower] = w.Name.Line
		}
	}
	f.Set("stage", &ph.Stage)
	f.Set("order", &ph.Order)
	f.Set("level", &ph.Level)
	f.Set("length", &ph.Length)
	if f.Set("flex", &ph.Flex) && ph.Length > 0 && ph.Flex >= ph.Length {
		p.fail(f.At("flex"), "write a shorter one, such as flex: 2m", "flex is %s, not less than the phase's length of %s", FormatLength(ph.Flex), FormatLength(ph.Length))
	}
	p.crossfade(f, &ph)
	if lf, ok := f.Map("lights"); ok {
		ph.Lights = p.lights(lf, ph.Length)
	}
	ph.Marks, w.Marks = f.Texts("marks")
	if f.Set("until", &ph.Until) && !slices.Contains(ph.Marks, ph.Until) {
		p.fail(w.Until, Suggest(ph.Until, ph.Marks, fmt.Sprintf("add marks: [%s]", ph.Until)), "%s waits for the mark %q but does not offer it", f.What(), ph.Until)
	}
	several := len(f.Value("music").Items()) > 1
	for _, e := range f.List("music") {
		src := e.Got.(Source)
		if src.Silence && several {
			e.Value.Error("silence is mixed with other music", "give it its own phase: music: silence")
			continue
		}
		w.Music = append(w.Music, src)
	}
	p.pooled(f, &ph)
	return ph
}

// crossfade is the phase's own, or the playlist's, which must be shorter than each phase. Where neither is written the
// usual one is shortened to fit.
func (p *parser) crossfade(f yamlfile.Fields, ph *Phase) {
	own := f.Set("crossfade", &ph.Crossfade)
	if !own {
		ph.Crossfade = p.pl.Crossfade
	}
	switch {
	case ph.Length <= 0 || ph.Crossfade < ph.Length:
	case own:
		p.fail(f.At("crossfade"), "write a shorter one", "crossfade is %s, not less than the phase's length of %s", FormatLength(ph.Crossfade), FormatLength(ph.Length))
	case p.wrote:
		p.fail(ph.Written.Length, "give the phase its own, shorter crossfade", "%s lasts %s, not longer than the playlist's crossfade of %s", f.What(), FormatLength(ph.Length), FormatLength(ph.Crossfade))
	default:
		ph.Crossfade = ph.Length / 2
	}
}

func (p *parser) lights(f yamlfile.Fields, length time.Duration) *Light {
	l := &Light{Fade: defaultFade}
	if length > 0 {
		l.Fade = min(l.Fade, length)
	}
	if f.Set("fade", &l.Fade) && length > 0 && l.Fade > length {
		p.warn(f.At("fade"), "write a shorter fade; the next phase takes the light from where it is then", "the fade of %s is longer than the phase of %s", FormatLength(l.Fade), FormatLength(length))
	}
	if !f.Set("scene", &l.Scene) {
		return nil
	}
	return l
}

func (p *parser) remind(f yamlfile.Fields) {
	// The marks that can be tapped in a session: of phases, reminders and the boost.
	var known []string
	for _, ph := range p.pl.Phases {
		known = append(known, ph.Marks...)
	}
	for _, e := range f.List("remind") {
		marks, _ := e.Got.(yamlfile.Fields).Texts("marks")
		known = append(known, marks...)
	}
	if b, ok := f.Map("boost"); ok {
		var mark string
		b.Set("mark", &mark)
		known = append(known, mark)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	length := p.pl.Length()
	for _, e := range f.List("remind") {
		f := e.Got.(yamlfile.Fields)
		var rm Reminder
		rm.Marks, _ = f.Texts("marks")
		if f.Set("after", &rm.After) && !slices.Contains(known, rm.After) {
			write := "add it to the marks of a phase"
			if len(known) > 0 {
				write += "; the marks are " + strings.Join(known, ", ")
			}
			p.fail(f.At("after"), Suggest(rm.After, known, write), "no phase has the mark %q", rm.After)
		}
		if f.Set("in", &rm.In) && length > 0 && rm.In > length {
			p.warn(f.At("in"), "write an earlier one", "the session is planned for %s, so a reminder after %s never comes", FormatLength(length), FormatLength(rm.In))
		}
		if !f.Set("say", &rm.Say) && !f.Has("say") {
			if rm.Say = strings.Join(rm.Marks, ", "); rm.Say == "" && !f.Meant("say") && !f.Meant("marks") {
				f.Error("the reminder says nothing", "write say: Spit or swallow, or marks: [Vitals]")
			}
		}
		p.pl.Remind = append(p.pl.Remind, rm)
	}
}

func (p *parser) boost(f yamlfile.Fields) {
	f, _ = f.Map("boost")
	var b Boost
	mark, phase, by := f.Set("mark", &b.Mark), f.Set("phase", &b.Phase), f.Set("by", &b.By)
	var names []string
	for _, ph := range p.pl.Phases {
		names = append(names, ph.Name)
	}
	if phase && !slices.Contains(names, b.Phase) {
		p.fail(f.At("phase"), Suggest(b.Phase, names, "name one of the phases"), "there is no phase %q", b.Phase)
	}
	if mark && phase && by {
		p.pl.Boost = &b
	}
}
