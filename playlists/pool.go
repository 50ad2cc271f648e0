package playlists

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"roomd/playlists/yamlfile"
)

// WrittenChoice is a word of a menu as written.
type WrittenChoice struct {
	Place
	Name  string
	Music []Source
}

// Sources are all that a phase names: its music or pool, then its menu's.
func (w *Written) Sources() []Source {
	all := slices.Clone(w.Music)
	for _, c := range w.Menu {
		all = append(all, c.Music...)
	}
	return all
}

// menu is one to five words with their music. It reads as a slice of WrittenChoice.
type menu struct{}

const writeMenu = "write menu: {Ground: ground/, Open: open/, Still: silence}"

func (menu) Read(v Value, _ string) (any, bool) {
	var out []WrittenChoice
	pairs := v.Pairs(writeMenu)
	switch {
	case v.IsMap() && len(v.Node().Content) == 0:
		v.Error("the menu is empty", writeMenu)
	case len(pairs) > maxMenu:
		pairs[maxMenu].At.Error(fmt.Sprintf("the menu has %d words", len(pairs)), fmt.Sprintf("keep %d or fewer: they are chosen with one thumb", maxMenu))
	}
	seen := map[string]bool{}
	for _, p := range pairs[:min(len(pairs), maxMenu)] {
		name, ok := nameText.Read(p.At, writeMenu)
		if !ok {
			continue
		}
		c := WrittenChoice{Place: p.At.Place(), Name: name.(string)}
		if lower := strings.ToLower(c.Name); seen[lower] {
			p.At.Error(fmt.Sprintf("%q is listed twice", c.Name), "keep one of them")
			continue
		} else {
			seen[lower] = true
		}
		music, ok := choiceList.Read(p.Value, "write "+clip(c.Name)+": a folder, [files] or silence")
		if !ok {
			continue
		}
		entries := music.([]yamlfile.Entry)
		for _, e := range entries {
			if src := e.Got.(Source); !src.Silence || len(p.Value.Items()) <= 1 {
				c.Music = append(c.Music, src)
				continue
			}
			e.Value.Error("silence is mixed with other music", "give it its own word: Still: silence")
		}
		out = append(out, c)
	}
	return out, v.IsMap()
}

func (menu) Schema() object {
	word := nameText.Schema()
	delete(word, "type")
	return object{"type": "object", "minProperties": 1, "maxProperties": maxMenu, "propertyNames": word, "additionalProperties": choiceList.Schema()}
}

// courseText is the intensity of a phase: 3, 2..4 or 4..2. It reads as a Course.
type courseText struct{}

const oneToFive = `(?:5(?:\.0+)?|[1-4](?:\.[0-9]+)?)`

var courseWords = regexp.MustCompile(`^(` + oneToFive + `)(?:\.\.(` + oneToFive + `))?$`)

func (courseText) Read(v Value, _ string) (any, bool) {
	const write = "write a number from 1 (calm) to 5 (intense), or from..to: intensity: 2..4"
	s, ok := v.Scalar(write)
	if !ok {
		return Course{}, false
	}
	m := courseWords.FindStringSubmatch(s)
	if m == nil {
		v.Error(fmt.Sprintf("%s is %q", v.Name(), clip(s)), write)
		return Course{}, false
	}
	from, _ := strconv.ParseFloat(m[1], 64)
	to := from
	if m[2] != "" {
		to, _ = strconv.ParseFloat(m[2], 64)
	}
	return Course{From: from, To: to}, true
}

func (courseText) Schema() object {
	return object{"oneOf": []object{{"type": "number", "minimum": 1, "maximum": 5}, {"type": "string", "pattern": courseWords.String()}}}
}

// pooled reads what a phase says of its pool, which stands in place of music.
func (p *parser) pooled(f yamlfile.Fields, ph *Phase) {
	var from string
	for _, key := range []string{"menu", "pool"} {
		if f.Has(key) {
			from = key
		}
	}
	var course Course
	if from == "" {
		if f.Has("intensity") {
			p.fail(f.At("intensity"), "add pool: with the folders to choose from, or leave it out", "%s has an intensity but no pool", f.What())
		}
		return
	}
	ph.Order = Pooled
	if f.Has("music") {
		p.fail(f.At("music"), "name all of it in pool:, and remove music:", "%s has music and a %s", f.What(), from)
	}
	if f.Has("order") {
		p.fail(f.At("order"), "remove order: a pool is laid by the intensity", "%s has an order and a %s", f.What(), from)
	}
	if f.Set("intensity", &course) {
		ph.Course = &course
	}
	for _, e := range f.List("pool") {
		ph.Written.Music = append(ph.Written.Music, e.Got.(Source))
	}
	f.Set("menu", &ph.Written.Menu)
}

// pool makes a phase's music of all that its pool and its menu name: each file once, though several entries name it. What an entry says
// of it holds, whichever names it first.
func (r *resolver) pool(ph *Phase, ns []named) {
	var once []named
	at := make([]int, len(ns)) // where each is in once
	place := map[string]int{}
	for i, n := range ns {
		key := n.rel
		switch {
		case n.item.Silence:
			at[i] = -1
			continue
		case n.item.Bed != "":
			key = fmt.Sprint("bed ", n.item.Bed, n.intensity)
		case key == "":
			key = "missing " + n.item.Track.File + n.item.Track.Title
		default:
			key = fmt.Sprint("file ", key, n.From, n.To)
		}
		k, known := place[key]
		if !known {
			k = len(once)
			place[key] = k
			once = append(once, n)
		}
		if at[i] = k; once[k].intensity == 0 {
			once[k].intensity = n.intensity
		}
		if once[k].Join == nil {
			once[k].Join = n.Join
			once[k].item.Crossfade = n.item.Crossfade
		}
	}
	ph.Music = r.items(once, ph.Stage)
	if len(ph.Music) < len(once) {
		return // interrupted
	}
	for k := range ph.Music {
		if t := ph.Music[k].Track; t != nil && !t.Rated && once[k].rel != "" {
			if x := folderIntensity(once[k].rel); x > 0 {
				t.Intensity, t.Rated = x, true
			}
		}
	}
	first := len(ph.Written.Music) // of the next word, in the written sources
	for _, c := range ph.Written.Menu {
		choice := Choice{Name: c.Name, Silence: len(c.Music) == 1 && c.Music[0].Silence}
		for i, n := range ns {
			if n.of >= first && n.of < first+len(c.Music) && at[i] >= 0 {
				choice.Items = append(choice.Items, at[i])
			}
		}
		slices.Sort(choice.Items)
		choice.Items = slices.Compact(choice.Items)
		ph.Menu = append(ph.Menu, choice)
		first += len(c.Music)
	}
}

var rated = regexp.MustCompile(`^[1-5] `)

// folderIntensity is what the nearest folder that is named "4 …" says of its files; 0: none does.
func folderIntensity(rel string) float64 {
	for dir := path.Dir(rel); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if name := path.Base(dir); rated.MatchString(name) {
			return float64(name[0] - '0')
		}
	}
	return 0
}
