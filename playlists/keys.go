package playlists

import (
	"time"

	"roomd/playlists/yamlfile"
)

// The keys of a playlist's file. Parse reads it by these declarations, and Schema and the tables of docs/playlists.md are
// made from them. What one value asks of another is Parse's alone.

type (
	key    = yamlfile.Key
	object = yamlfile.Object
)

// How much a playlist may hold.
const (
	maxName      = 80   // characters of a name or a mark
	maxPath      = 1000 // of a file
	maxPhases    = 200
	maxMusic     = 10_000 // entries of a phase
	maxReminders = 200
	maxMenu      = 5 // words: one thumb, nothing to read
)

// The words of a file.
var (
	stages = []Stage{Preparation, Administration, Integration}
	keeps  = []Keep{KeepEnd, KeepLengths}
	orders = []Order{Listed, Shuffle, BestFit}
	beds   = []Bed{Drone, Ocean, Rain}
)

var (
	nameText  = yamlfile.Text{Max: maxName}
	bedWord   = yamlfile.Words(beds)
	crossfade = yamlfile.Length{}
	markList  = yamlfile.List{Of: nameText, Name: "marks", Max: 24, More: "a tablet shows no more", Unique: true}
)

var playlistKeys = &yamlfile.Map{
	Name: "a playlist", Write: "name: and phases:",
	Keys: []key{
		{Name: "name", Type: nameText, Need: true, Example: "First journey", Doc: "what the page calls it; at most 80 characters"},
		{Name: "about", Type: yamlfile.Text{Max: 600}, Example: "Slow strings, no voices", Doc: "a sentence or two for whoever chooses it; at most 600 characters", Default: "none"},
		{Name: "keep", Type: yamlfile.Words(keeps), Doc: "what happens when a phase is held or lengthened. `end`: the integration gives the time, and the session ends as planned. `lengths`: the later phases stay as long as they are, and the session ends later", Default: "`end`"},
		{Name: "crossfade", Type: crossfade, Example: "8s", Doc: "how long one track turns into the next; `0s` for none", Default: "`8s`"},
		{Name: "bed", Type: bedWord, Doc: "the generated sound where nothing else plays: `drone`, `ocean` or `rain`", Default: "`drone`"},
		{Name: "phases", Type: phaseList, Need: true, Example: "and, under it, - name: Arrival", Doc: "the phases in order; at most 200, and 24 hours together"},
		{Name: "remind", Type: yamlfile.List{Of: reminderKeys, Name: "reminders", Max: maxReminders, More: "combine some"}, Example: "[{after: Lozenge, in: 40m, say: Blood pressure, marks: [Vitals]}]", Doc: "lines that appear on the tablet, silently", Default: "none"},
		{Name: "boost", Type: boostKeys, Doc: "the phase that a second dose lengthens", Default: "none"},
	},
}

const writePhases = "begin with phases: and, under it, - name: Arrival"

var phaseList = yamlfile.List{Of: phaseKeys, Name: "phases", Max: maxPhases, More: "combine some", Empty: writePhases}

var phaseKeys = &yamlfile.Map{
	Name: "a phase", Write: "- name: Arrival, and under it stage: and length:", Label: "name",
	Keys: []key{
		{Name: "name", Type: nameText, Need: true, Example: "Arrival", Doc: "what the page calls it; no other phase has this name"},
		{Name: "stage", Type: yamlfile.Words(stages), Need: true, Doc: "`preparation`, `administration` or `integration`, in this order"},
		{Name: "length", Type: yamlfile.Length{Min: time.Second}, Need: true, Example: "30m", Doc: "how long it lasts"},
		{Name: "flex", Type: yamlfile.Length{}, Example: "2m", Doc: "how far its end may move, earlier or later, to meet a track's own ending; less than its length", Default: "it ends on the minute"},
		{Name: "until", Type: nameText, Example: "Lozenge", Doc: "the mark that ends it: the phase stays open until that button is tapped, and what follows counts from there. Its `length` is then a guess. List the mark in `marks` too", Default: "it ends by the clock"},
		{Name: "music", Type: musicList, Example: "[arrival/, {bed: ocean}], or music: silence", Doc: "files, folders, patterns, lists and beds, or `silence`", Default: "the playlist's bed plays"},
		{Name: "pool", Type: poolList, Example: "[deep/, open/]", Doc: "in place of `music`: more music than the phase needs. roomd chooses from it by the `intensity`, and the therapist may steer it", Default: "the `menu` is the pool, if there is one"},
		{Name: "menu", Type: menu{}, Example: "{Ground: ground/, Open: [open/, more.flac], Still: silence}", Doc: "one to five words that the therapist may choose, and the music of each or `silence`; what it names belongs to the pool", Default: "no words"},
		{Name: "intensity", Type: courseText{}, Example: "2..4", Doc: "how intense the music from the pool is, 1 (calm) to 5 (intense): `3`, rising `2..4` or falling `4..2`", Default: "whatever the pool has"},
		{Name: "order", Type: yamlfile.Words(orders), Doc: "`listed`: as written, from the beginning again while a track fits. `shuffle`: each track once before one comes again, also across sessions. `fit`: the tracks that fit the length best", Default: "`listed`"},
		{Name: "level", Type: yamlfile.Number{Min: -40, Max: 12}, Doc: "dB against the room's reference loudness, -40 to 12; the room's ceiling holds whatever is written here", Default: "`0`"},
		{Name: "crossfade", Type: crossfade, Example: "8s", Doc: "the phase's own; shorter than the phase", Default: "the playlist's"},
		{Name: "lights", Type: lightKeys, Doc: "the scene that the light fades to from the phase's start, and how long that takes", Default: "the light stays"},
		{Name: "marks", Type: markList, Example: "[Lozenge, Vitals]", Doc: "the buttons that the tablet offers in this phase; at most 24", Default: "none"},
	},
	Rules: object{
		"dependentSchemas": object{
			"pool":      object{"not": object{"anyOf": []object{{"required": []string{"music"}}, {"required": []string{"order"}}}}},
			"menu":      object{"not": object{"anyOf": []object{{"required": []string{"music"}}, {"required": []string{"order"}}}}},
			"intensity": object{"anyOf": []object{{"required": []string{"pool"}}, {"required": []string{"menu"}}}},
		},
	},
}

var lightKeys = &yamlfile.Map{
	Name: "lights", Write: "lights: {scene: dusk, fade: 5m}",
	Keys: []key{
		{Name: "scene", Type: nameText, Need: true, Example: "dusk", Doc: "one of the room's scenes"},
		{Name: "fade", Type: yamlfile.Length{Min: time.Second}, Example: "5m", Doc: "how long the light takes", Default: "`1m`, or the phase's length if that is shorter"},
	},
}

var reminderKeys = &yamlfile.Map{
	Name: "a reminder", Write: "- {after: Lozenge, in: 40m, say: Blood pressure, marks: [Vitals]}",
	Keys: []key{
		{Name: "after", Type: nameText, Example: "Lozenge", Doc: "the mark that it counts from", Default: "the session's start"},
		{Name: "in", Type: yamlfile.Length{Min: time.Second}, Need: true, Example: "40m", Doc: "how long after that it is due"},
		{Name: "say", Type: nameText, Example: "Spit or swallow", Doc: "what the tablet shows; at most 80 characters", Default: "the names of its marks"},
		{Name: "marks", Type: markList, Example: "[Vitals]", Doc: "the buttons that answer it", Default: "none"},
	},
	Rules: object{"anyOf": []object{{"required": []string{"say"}}, {"required": []string{"marks"}, "properties": object{"marks": object{"minItems": 1}}}}},
}

var boostKeys = &yamlfile.Map{
	Name: "boost", Write: "boost: {mark: Booster, phase: Journey, by: 20m}",
	Keys: []key{
		{Name: "mark", Type: nameText, Need: true, Example: "Booster", Doc: "the button of the second dose"},
		{Name: "phase", Type: nameText, Need: true, Example: "Journey", Doc: "the name of the phase that it lengthens"},
		{Name: "by", Type: yamlfile.Length{Min: time.Second}, Need: true, Example: "20m", Doc: "by how much"},
	},
}

// entryKeys are those of an entry of music in brackets.
var entryKeys = &yamlfile.Map{
	Name: "an entry of music", Write: "{file: a.flac, from: 0:30, to: 6:10} or {bed: ocean}",
	Keys: []key{
		{Name: "file", Type: fileText, Example: "a.flac", Doc: "a file, folder, pattern or list", Default: "the entry has a `bed`"},
		{Name: "bed", Type: bedWord, Doc: "a bed: `drone`, `ocean` or `rain`", Default: "the entry has a `file`"},
		{Name: "from", Type: clock{}, Doc: "where in the file it begins: `0:30`, `1:02:30` or `90s`", Default: "at its first sound"},
		{Name: "to", Type: clock{}, Doc: "where in the file it ends; later than `from`", Default: "at its last sound"},
		{Name: "intensity", Type: yamlfile.Number{Min: 1, Max: 5}, Doc: "1 (calm) to 5 (intense), for a pool; a folder gives it to all its files", Default: "the file's tag INTENSITY, a folder named `4 …`, or as measured"},
		{Name: "crossfade", Type: crossfade, Example: "30s", Doc: "from what plays before into this entry; `0s` for none", Default: "the phase's"},
	},
	Rules: object{"oneOf": []object{{"required": []string{"file"}}, {"required": []string{"bed"}, "propertyNames": object{"enum": []string{"bed", "intensity", "crossfade"}}}}},
}

var fileText = yamlfile.Rule{
	Type: yamlfile.Text{Max: maxPath},
	Check: func(v Value, got any) bool {
		if got == "silence" {
			v.Error("silence is not a file", "write music: silence, as a phase of its own")
		}
		return got != "silence"
	},
	Says: object{"not": object{"const": "silence"}},
}

var musicList = yamlfile.Rule{
	Type: yamlfile.List{Of: source{}, Name: "music entries", Max: maxMusic, More: "name folders instead of files", Single: true,
		Empty: "name a file, a folder or {bed: drone}; without the key music the playlist's bed plays"},
	Says: aloneSilence,
}

// aloneSilence says that silence is not mixed with other music.
var aloneSilence = object{"if": object{"type": "array", "minItems": 2}, "then": object{"not": object{"contains": object{"const": "silence"}}}}

// choiceList is the music of a menu's word.
var choiceList = yamlfile.Rule{
	Type: yamlfile.List{Of: source{}, Name: "music entries", Max: maxMusic, More: "name folders instead of files", Single: true, Empty: "name a folder, files or silence"},
	Says: aloneSilence,
}

// poolList is the music of a pool.
var poolList = yamlfile.Rule{
	Type: yamlfile.List{Of: source{}, Name: "pool entries", Max: maxMusic, More: "name folders instead of files", Single: true, Empty: "name a file, a folder or {bed: drone, intensity: 2}"},
	Check: func(v Value, got any) bool {
		for _, e := range got.([]yamlfile.Entry) {
			if e.Got.(Source).Silence {
				e.Value.Error("a pool can't hold silence", "offer it as a word: menu: {Still: silence}")
				return false
			}
		}
		return true
	},
	Says: object{"not": object{"anyOf": []object{{"const": "silence"}, {"type": "array", "contains": object{"const": "silence"}}}}},
}

// source is an entry of music. It reads as a Source.
type source struct{}

func (source) Read(v Value, write string) (any, bool) {
	if v.IsMap() {
		return readEntry(entryKeys.Fields(v))
	}
	got, ok := yamlfile.Text{Max: maxPath}.Read(v, write)
	if got == "silence" {
		return Source{Place: v.Place(), Silence: true}, ok
	}
	s, _ := got.(string)
	return Source{Place: v.Place(), Path: s}, ok
}

func (source) Schema() object {
	return object{"oneOf": []object{yamlfile.Text{Max: maxPath}.Schema(), entryKeys.Schema()}}
}

// Schema is the JSON Schema of a playlist file, for editors that complete and check YAML. What one value asks of
// another (stages in order, marks and phases that exist, lengths that are less than others) is Parse's alone.
func Schema() []byte { return playlistKeys.JSON("roomd playlist") }

// Keys are the declarations of a playlist's file, for its documentation.
func Keys() []*yamlfile.Map {
	return []*yamlfile.Map{playlistKeys, phaseKeys, entryKeys, lightKeys, reminderKeys, boostKeys}
}
