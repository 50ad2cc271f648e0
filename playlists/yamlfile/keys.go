package yamlfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Object is a piece of a JSON Schema, draft 2020-12.
type Object = map[string]any

// Type is one kind of value: how it is read, and what an editor is told of it.
type Type interface {
	// Read returns the value. It reports what is wrong with one that can't be used; write says how to write it.
	Read(v Value, write string) (any, bool)
	Schema() Object
}

// Map declares the keys of a map. What reads a file, its JSON Schema and the tables of its documentation are made from it.
type Map struct {
	Name  string // in messages: "a phase"
	Write string // how to write the map: "lights: {scene: dusk, fade: 5m}"
	Label string // the key whose text names the map in messages: phase "Arrival"
	Keys  []Key
	Rules Object // what one key asks of another, as far as a schema can say it; whoever takes the Fields checks it
}

// Key declares one key of a map.
type Key struct {
	Name    string
	Type    Type
	Need    bool
	Example string // a value, for messages; a Word and a Map need none
	Doc     string // what it is, in Markdown, with its unit and range
	Default string // what holds without it, in Markdown
}

func (k Key) write() string {
	switch t := k.Type.(type) {
	case *Map:
		return "write " + t.Write
	case Word:
		return "write " + k.Name + ": " + OrList(t)
	}
	return "write " + k.Name + ": " + k.Example
}

// Fields are the values of a map that were read by its declaration. One that is absent or wrong has no value.
type Fields struct {
	Place
	of    Value
	what  string
	m     map[string]Value
	got   map[string]any
	meant map[string]bool // known keys that an unknown one was probably meant to be
	odd   bool            // there is an unknown key
}

// Read reads the map as Fields, which are false where it is no map.
func (m *Map) Read(v Value, _ string) (any, bool) {
	f := m.Fields(v)
	return f, f.of.Exists()
}

// Fields reads the map. An unknown key, and a value that can't be used, are errors.
func (m *Map) Fields(v Value) Fields {
	f := Fields{Place: v.Place(), what: m.Name, m: map[string]Value{}, got: map[string]any{}, meant: map[string]bool{}}
	if v.Exists() && !v.IsMap() {
		v.Error(fmt.Sprintf("%s is %s", m.Name, v.kind()), "write "+m.Write)
		return f
	}
	f.of = v
	var known []string
	for _, k := range m.Keys {
		known = append(known, k.Name)
	}
	for _, p := range v.Pairs("write " + m.Write) {
		if slices.Contains(known, p.Key) {
			f.m[p.Key] = p.Value
			continue
		}
		f.odd = true
		if near := Nearest(p.Key, known); near != "" {
			f.meant[near] = true
		}
		p.At.Error(fmt.Sprintf("unknown key %q in %s", Clip(p.Key), m.Name), Suggest(p.Key, known, m.Name+" has "+strings.Join(known, ", ")))
	}
	for _, article := range []string{"a ", "an "} {
		if noun, ok := strings.CutPrefix(m.Name, article); ok {
			f.what = "the " + noun
		}
	}
	for _, k := range m.Keys {
		kv, there := f.m[k.Name]
		if !there {
			if k.Need && f.of.Exists() && !f.meant[k.Name] && !v.r.spent {
				v.Error(fmt.Sprintf("%s has no %s", f.what, k.Name), k.write())
			}
			continue
		}
		got, ok := k.Type.Read(kv, k.write())
		if !ok {
			continue
		}
		if f.got[k.Name] = got; k.Name == m.Label {
			_, noun, _ := strings.Cut(m.Name, " ")
			f.what = fmt.Sprintf("%s %q", noun, got)
		}
	}
	return f
}

// What names the map in messages: phase "Arrival", or else the phase.
func (f Fields) What() string { return f.what }

// Exists reports whether there was a map to read.
func (f Fields) Exists() bool { return f.of.Exists() && !f.of.r.spent }

// Odd reports whether the map has an unknown key.
func (f Fields) Odd() bool { return f.odd }

// Meant reports whether an unknown key looks like a misspelling of this one.
func (f Fields) Meant(key string) bool { return f.meant[key] }

// Error reports a problem with the map as a whole.
func (f Fields) Error(says, write string) { f.of.Error(says, write) }

// Has reports whether the key is present, whatever its value.
func (f Fields) Has(key string) bool { return f.m[key].Exists() }

// Value is a key's value as written.
func (f Fields) Value(key string) Value { return f.m[key] }

// At is where a key's value is, or the map where it has none.
func (f Fields) At(key string) Place {
	if v, ok := f.m[key]; ok {
		return v.Place()
	}
	return f.Place
}

// Set stores a key's value in what to points to, which is of the type that its Type reads or of one like it. It is false, and
// nothing is stored, where the key is absent or wrong.
func (f Fields) Set(key string, to any) bool {
	got, ok := f.got[key]
	if ok {
		into := reflect.ValueOf(to).Elem()
		into.Set(reflect.ValueOf(got).Convert(into.Type()))
	}
	return ok
}

// Map are the fields of a key whose Type is a *Map.
func (f Fields) Map(key string) (Fields, bool) {
	in, ok := f.got[key].(Fields)
	return in, ok
}

// Entry is one entry of a list, as its Type reads it.
type Entry struct {
	Value Value
	Got   any
}

// List are the entries of a key whose Type is a List, without those that are wrong.
func (f Fields) List(key string) []Entry {
	es, _ := f.got[key].([]Entry)
	return es
}

// Texts are the entries of a List of Text, and where each is.
func (f Fields) Texts(key string) (texts []string, at []Place) {
	for _, e := range f.List(key) {
		texts, at = append(texts, e.Got.(string)), append(at, e.Value.Place())
	}
	return texts, at
}

// Schema is the map as an editor checks it.
func (m *Map) Schema() Object {
	properties, need := Object{}, []string{}
	for _, k := range m.Keys {
		s := maps.Clone(k.Type.Schema())
		doc := strings.ToUpper(k.Doc[:1]) + k.Doc[1:] + "."
		if k.Default != "" {
			doc += " Without it: " + k.Default + "."
		}
		s["description"] = strings.ReplaceAll(doc, "`", "")
		properties[k.Name] = s
		if k.Need {
			need = append(need, k.Name)
		}
	}
	s := Object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(need) > 0 {
		s["required"] = need
	}
	maps.Copy(s, m.Rules)
	return s
}

// JSON is the JSON Schema of a file that is this map.
func (m *Map) JSON(title string) []byte {
	s := m.Schema()
	s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", title
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(fmt.Sprintf("the schema of %s: %v", m.Name, err)) // a declaration is at fault
	}
	return b.Bytes()
}

// Table is the keys as a table in Markdown.
func (m *Map) Table() string {
	var b strings.Builder
	b.WriteString("| key | what | without it |\n|---|---|---|\n")
	for _, k := range m.Keys {
		without := k.Default
		if k.Need {
			without = "required"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, strings.ReplaceAll(k.Doc, "|", `\|`), without)
	}
	return b.String()
}

// Text is a text of 1 to Max characters on one line. It reads as a string. Numbers and dates are texts as written.
type Text struct {
	Max   int
	Empty bool // it may be ""
}

func (t Text) Read(v Value, write string) (any, bool) {
	s, ok := v.Scalar(write)
	if !ok {
		return "", false
	}
	switch s = strings.TrimSpace(s); {
	case utf8.RuneCountInString(s) > t.Max:
		v.Error(fmt.Sprintf("%s is longer than %d characters", v.name, t.Max), "shorten it")
	case strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || c == '\ufeff' || c == utf8.RuneError }):
		v.Error(v.name+" contains a line break or a control character", "write it on one line")
	case s == "" && !t.Empty:
		v.Error(v.name+" is empty", write)
	default:
		return s, true
	}
	return "", false
}

func (t Text) Schema() Object {
	s := Object{"type": []string{"string", "number", "boolean"}, "maxLength": t.Max, "pattern": `^[^\x00-\x1f\x7f-\x9f]*$`}
	if !t.Empty {
		s["minLength"], s["pattern"] = 1, `^\s*[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?\s*$`
	}
	return s
}

// Word is one of a few words. It reads as a string.
type Word []string

// Words are the values of a type of their own.
func Words[T ~string](of []T) Word {
	var w Word
	for _, t := range of {
		w = append(w, string(t))
	}
	return w
}

func (w Word) Read(v Value, _ string) (any, bool) {
	write := "write " + OrList(w)
	s, ok := v.Scalar(write)
	if ok && !slices.Contains(w, s) {
		v.Error(fmt.Sprintf("%s is %q", v.name, Clip(s)), Suggest(s, w, write))
		ok = false
	}
	return s, ok
}

func (w Word) Schema() Object { return Object{"enum": w} }

// Length is a length of time from Min to 24 hours: 90s, 30m, 1h30m. It reads as a time.Duration.
type Length struct{ Min time.Duration }

func (t Length) Read(v Value, _ string) (any, bool) {
	const write = "write 90s, 30m or 1h30m"
	s, ok := v.Scalar(write)
	if !ok {
		return 0, false
	}
	d, ok := ParseLength(s)
	switch {
	case !ok:
		v.Error(fmt.Sprintf("%s is %q, not a length of time", v.name, Clip(s)), lengthMeant(s, write))
	case d > Longest:
		v.Error(fmt.Sprintf("%s is longer than 24 hours", v.name), "write 24h or less")
	case d < t.Min && t.Min == time.Second:
		v.Error(fmt.Sprintf("%s is zero", v.name), "write 1s or more")
	case d < t.Min:
		v.Error(fmt.Sprintf("%s is shorter than %s", v.name, FormatLength(t.Min)), "write "+FormatLength(t.Min)+" or more")
	default:
		return d, true
	}
	return 0, false
}

func (t Length) Schema() Object {
	s := Object{"type": "string", "minLength": 2, "pattern": "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"}
	if t.Min > 0 {
		s["allOf"] = []Object{{"pattern": "[1-9]"}}
	}
	return s
}

// Number is a number from Min to Max. It reads as a float64.
type Number struct{ Min, Max float64 }

func (n Number) Read(v Value, _ string) (any, bool) {
	write := fmt.Sprintf("write a number from %g to %g", n.Min, n.Max)
	s, ok := v.Scalar(write)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	node := v.Node()
	if tag := node.ShortTag(); err != nil || tag != "!!int" && tag != "!!float" || node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		if m := leadingNumber.FindString(s); m != "" {
			write = "write " + m
		}
		v.Error(fmt.Sprintf("%s is %q, not a number", v.name, Clip(s)), write)
		return 0, false
	}
	if math.IsNaN(f) || f < n.Min || f > n.Max {
		v.Error(fmt.Sprintf("%s is %s", v.name, Clip(s)), write)
		return 0, false
	}
	return f, true
}

var leadingNumber = regexp.MustCompile(`^[-+]?\d+(\.\d+)?`)

func (n Number) Schema() Object {
	return Object{"type": "number", "minimum": n.Min, "maximum": n.Max}
}

// List is a list of values of one Type. It reads as a slice of Entry.
type List struct {
	Of     Type
	Name   string // what it is a list of: "phases"
	Max    int
	More   string // what to do about more than Max
	Empty  string // how to write an empty one; "": it may be empty
	Single bool   // a value by itself is a list of one
	Unique bool   // of texts: none is listed twice
}

func (l List) Read(v Value, write string) (any, bool) {
	values := v.Entries(l.Single, write)
	if len(values) == 0 && v.IsList() && l.Empty != "" && !v.r.spent {
		v.Error(fmt.Sprintf("the list of %s is empty", l.Name), l.Empty)
	}
	out := make([]Entry, 0, min(len(values), l.Max))
	first := map[any]bool{}
	for i, e := range values {
		if i == l.Max {
			e.Error(fmt.Sprintf("there are more than %d %s", l.Max, l.Name), l.More)
			break
		}
		got, ok := l.Of.Read(e, write)
		switch {
		case !ok:
		case l.Unique && first[got]:
			e.Error(fmt.Sprintf("%q is listed twice", got), "keep one of them")
		default:
			if l.Unique {
				first[got] = true
			}
			out = append(out, Entry{e, got})
		}
	}
	return out, true
}

func (l List) Schema() Object {
	s := Object{"type": "array", "maxItems": l.Max, "items": l.Of.Schema()}
	if l.Empty != "" {
		s["minItems"] = 1
	}
	if l.Unique {
		s["uniqueItems"] = true
	}
	if l.Single {
		return Object{"oneOf": []Object{l.Of.Schema(), s}}
	}
	return s
}

// Rule is a Type with one more rule.
type Rule struct {
	Type
	Check func(v Value, got any) bool // reports what is wrong
	Says  Object                      // the rule, as far as a schema can say it
}

func (r Rule) Read(v Value, write string) (any, bool) {
	got, ok := r.Type.Read(v, write)
	return got, ok && (r.Check == nil || r.Check(v, got))
}

func (r Rule) Schema() Object {
	s := maps.Clone(r.Type.Schema())
	maps.Copy(s, r.Says)
	return s
}

// OneOf is a map, or else a value of another type.
type OneOf struct {
	Map  *Map
	Else Type
}

func (o OneOf) Read(v Value, _ string) (any, bool) {
	write := "write " + o.Map.Write
	if v.IsMap() {
		return o.Map.Read(v, write)
	}
	return o.Else.Read(v, write)
}

func (o OneOf) Schema() Object { return Object{"oneOf": []Object{o.Else.Schema(), o.Map.Schema()}} }
