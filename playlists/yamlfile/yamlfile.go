// Package yamlfile reads the YAML files that people write: playlists and the room file. It is strict, reports all that is
// wrong with a file at once, gives each problem its place and its cure, and bounds what a file can cost.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v4"
	encoding "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// What a file may cost. A file of the largest size with the most values takes less than 64 MiB and a second.
const (
	MaxFile     = 512 << 10 // bytes
	maxValues   = 32_000    // more than the 10,000 tracks of the longest playlist need: commas, brackets, colons, dashes and lines: each may begin a value
	maxVisits   = 200_000   // values looked at, with each alias counted as often as it is used
	MaxProblems = 200
)

// Reader reads one YAML file strictly and keeps the place of every value. It gathers all that is wrong, so that
// a person sees it at once; a value that is wrong reads as absent.
type Reader struct {
	file     string
	lines    []string
	problems Problems
	more     int // problems beyond the most that are kept
	visits   int
	spent    bool
}

// Value is one value of a file, with the name that messages call it by.
type Value struct {
	r    *Reader
	n    *yaml.Node
	name string
}

// Read reads a file's one document. The value's Exists is false where there is none or it can't be read; the
// reader's Problems say why.
func Read(file string, data []byte) (*Reader, Value) {
	r := &Reader{file: file}
	if len(data) > MaxFile {
		r.Report(Place{File: file}, Error, fmt.Sprintf("the file is larger than %d KiB", MaxFile>>10), "split it, or name folders instead of files")
		return r, Value{}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) || bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		if utf, _, err := transform.Bytes(encoding.BOMOverride(transform.Nop), data); err == nil {
			data = utf
		}
	}
	r.lines = Lines(redact(string(data)))
	for i, l := range r.lines {
		r.lines[i] = trimEnd(l)
	}
	if !utf8.Valid(data) {
		at := 0
		for rest := data; ; {
			c, n := utf8.DecodeRune(rest)
			if c == utf8.RuneError && n < 2 {
				break
			}
			rest, at = rest[n:], at+n
		}
		r.Report(r.offset(data, at), Error, "this character is not UTF-8", "save the file as UTF-8")
		return r, Value{}
	}
	values, quotes := 0, 0
	for i, c := range data {
		switch c {
		case ',', '[', '{', '\n', '\r':
			values++
		case '"', '\'':
			quotes++
		case '-', ':', '?':
			if i+1 == len(data) || data[i+1] == ' ' || data[i+1] == '\n' || data[i+1] == '\t' {
				values++
			}
		}
	}
	if values > maxValues || quotes > 2*maxValues {
		r.Report(Place{File: file}, Error, "the file contains too many values", "split it, or name folders instead of files")
		return r, Value{}
	}
	root, second, err := Decode(data)
	switch {
	case err != nil:
		r.syntax(data, err)
		return r, Value{}
	case second > 0:
		r.Report(r.At(second, 1), Error, "a second YAML document starts here", "keep one playlist or room per file, without ---")
		return r, Value{}
	}
	if root != nil && root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" && root.Value == "" {
		root = nil
	}
	return r, Value{r, root, "the file"}
}

// Decode reads the one document; nil where the file is empty. second is the line that a second one starts on, 0 for none.
func Decode(data []byte) (root *yaml.Node, second int, err error) {
	// The parser is reputable and has panicked before; a file must never end the daemon.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("yaml: the parser panicked: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	if err := d.Decode(&more); err == nil {
		for i, l := range Lines(string(data)) {
			if i > 0 && strings.HasPrefix(l, "---") {
				return nil, i + 1, nil
			}
		}
		return nil, more.Line, nil
	} else if !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return doc.Content[0], 0, nil
}

var (
	tightColon = regexp.MustCompile(`^ *(?:- +)?[a-z]+:[^\s/\\]`) // name:X
	bareColor  = regexp.MustCompile(`\{.*: +#[0-9A-Fa-f]{6}\b`)
	firstKey   = regexp.MustCompile(`^ *(?:- +)?[a-z]+:`)
)

const sameIndent = "give the keys of one thing the same number of spaces"

// cures are what the parser could not read, and how to write it. At the opening, the place is where the thing begins
// that was never closed.
var cures = []struct {
	part, says, write string
	opening           bool
}{
	{"unknown escape character", `unknown escape \ in double quotes`, `use single quotes, or / in a path`, false},
	{"cannot start any token", "this character can't begin a value", "put the text in quotes", false},
	{"mapping values are not allowed", "unexpected colon", `put text with a colon in quotes, as in name: "Dawn: slow", and start each key on its own line`, false},
	{"could not find expected ':'", "this line has no colon, or the text before it is not closed", "write key: value", true},
	{"block sequence entries are not allowed", "unexpected list", "start it on its own line: - first", false},
	{"did not find expected key", "wrong indentation", sameIndent + "; put text that contains quotes or brackets in quotes", false},
	{"did not find expected '-' indicator", "wrong indentation in a list", "start each entry with - in the same column", false},
	{"did not find expected ',' or ']'", "this list is not closed", "write [first, second]", true},
	{"did not find expected ',' or '}'", "this brace is not closed", "write {scene: dusk, fade: 5m}", true},
	{"did not find expected node content", "a value is missing here, or a bracket is not closed", "write [first, second]", false},
	{"unexpected end of stream", "this quote is not closed", `write "text"`, true},
	{"unexpected document indicator", "this quote is not closed", `write "text"`, true},
	{"unknown anchor", "unknown alias", "write the value itself; put text that begins with * in quotes", false},
	{"alphabetic or numeric character", "& and * have a special meaning here", "put the text in quotes", false},
	{"contains itself", "this alias contains itself", "write the value itself", false},
	{"control characters are not allowed", "the file contains a control character", "save it as plain text", false},
	{"exceeded max depth", "too many lists inside lists", "write one list", false},
	{"<document start>", "this does not belong to the text above it", sameIndent, false},
}

// syntax reports what the parser could not read, where it gave up. Some mistakes show themselves only later, so the
// usual ones are looked for first.
func (r *Reader) syntax(data []byte, err error) {
	var bad *yaml.LoadError
	if !errors.As(err, &bad) {
		bad = &yaml.LoadError{Message: err.Error()}
	}
	place := r.At(min(max(bad.Mark.Line, 1), len(r.lines)), bad.Mark.Column)
	for i := max(place.Line-2, 0); i < min(place.Line+1, len(r.lines)); i++ {
		l := r.lines[i]
		rest := strings.TrimLeft(l, " ")
		if strings.HasPrefix(rest, "\t") && strings.TrimSpace(rest) != "" {
			r.Report(r.At(i+1, len(l)-len(rest)+1), Error, "this line begins with a tab", "use spaces")
			return
		}
		if at := bareColor.FindStringIndex(l); at != nil {
			r.Report(r.At(i+1, utf8.RuneCountInString(l[:at[1]-7])+1), Error, "# begins a comment, so the brackets before it are not closed", `put a color in quotes: color: "#ff9a4a"`)
			return
		}
	}
	says, write := bad.Message, "check this line against the examples"
	for _, c := range cures {
		if strings.Contains(bad.Message, c.part) {
			says, write = c.says, c.write
			if c.opening && bad.ContextMark.Line > 0 {
				place = r.At(bad.ContextMark.Line, bad.ContextMark.Column)
			}
			break
		}
	}
	if strings.Contains(bad.Message, "control characters") {
		place = r.offset(data, bytes.IndexFunc(data, func(c rune) bool { return unicode.IsControl(c) && !strings.ContainsRune("\t\n\r\u0085", c) }))
	}
	if strings.Contains(bad.Message, "mapping values") || strings.Contains(bad.Message, "expected ':'") {
		if n := place.Line - 1; n > 0 && tightColon.MatchString(r.lines[n-1]) {
			place = r.At(n, 0)
		}
		line := r.lines[place.Line-1]
		if at := tightColon.FindStringIndex(line); at != nil {
			place.Col = utf8.RuneCountInString(line[:at[1]-1]) + 1
			says, write = "missing space after the colon", "write name: Arrival"
		} else if firstKey.MatchString(line) && place.Col == utf8.RuneCountInString(firstKey.FindString(line)) {
			place.Col = len(line) - len(strings.TrimLeft(line, " ")) + 1
			says, write = "wrong indentation", sameIndent
		}
	}
	r.Report(place, Error, says, write)
}

// secrets are what a file may hold and no message may show: a password in an address, or under a key of its own, and a key of Syncthing's
// in the place of its file.
var secrets = regexp.MustCompile(`(?i)(://[^\s:/@]*:)(\S+)(@)|((?:password|passwd|secret|token|api_?key)["']?\s*[:=]\s*)([^\s,}]+)()|(key(?:_file)?["']?\s*:\s*["']?)([A-Za-z0-9]{32})\b`)

// redact hides secrets and keeps every other character in its column.
func redact(s string) string {
	lower := strings.ToLower(s)
	if !slices.ContainsFunc([]string{"://", "passw", "secret", "token", "key"}, func(w string) bool { return strings.Contains(lower, w) }) {
		return s // mostly; the pattern is slow on a long text
	}
	return secrets.ReplaceAllStringFunc(s, func(m string) string {
		p := secrets.FindStringSubmatch(m)
		return p[1] + p[4] + p[7] + strings.Repeat("•", utf8.RuneCountInString(p[2]+p[5]+p[8])) + p[3]
	})
}

const lineEnds = "\r\n\u0085\u2028\u2029"

// Lines splits text as YAML counts lines. Each keeps its end, so that joined they are the text.
func Lines(s string) []string {
	var out []string
	for {
		at := strings.IndexAny(s, lineEnds)
		if at < 0 {
			return append(out, s)
		}
		_, n := utf8.DecodeRuneInString(s[at:])
		if strings.HasPrefix(s[at:], "\r\n") {
			n = 2
		}
		out = append(out, s[:at+n])
		s = s[at+n:]
	}
}

// trimEnd is a line without its end.
func trimEnd(l string) string { return strings.TrimRight(l, lineEnds) }

// offset is the place of a byte.
func (r *Reader) offset(data []byte, at int) Place {
	before := Lines(strings.ToValidUTF8(string(data[:max(at, 0)]), "?"))
	return r.At(len(before), utf8.RuneCountInString(before[len(before)-1])+1)
}

// MaxSource is how much of a line is kept with a place, in bytes.
const MaxSource = 400

func (r *Reader) At(line, col int) Place {
	p := Place{File: r.file, Line: line, Col: col}
	if line >= 1 && line <= len(r.lines) {
		if p.Source = r.lines[line-1]; len(p.Source) > MaxSource {
			// A place far to the right of a long line is told without its line.
			p.Source = strings.ToValidUTF8(p.Source[:MaxSource], "")
			if col > utf8.RuneCountInString(p.Source) {
				p.Source = ""
			}
		}
	}
	return p
}

func (r *Reader) Report(at Place, s Severity, says, write string) {
	if len(r.problems) >= MaxProblems || r.spent && len(r.problems) > 0 {
		r.more++
		return
	}
	r.problems = append(r.problems, Problem{Place: at, Severity: s, Says: says, Write: write})
}

// Problems is all that is wrong so far, in the order of the file.
func (r *Reader) Problems() Problems {
	ps := slices.Clone(r.problems).Sorted()
	if r.more > 0 && !r.spent {
		ps = append(ps, Problem{Place: Place{File: r.file}, Severity: Error, Says: fmt.Sprintf("and %d more problems", r.more)}.About("playlist-more", fmt.Sprint(r.more)))
	}
	return ps
}

// Spent says whether the file was given up, since its aliases make it too large.
func (r *Reader) Spent() bool { return r.spent }

// spend counts a value that is looked at, and says whether it may be: aliases can make a small file endless.
func (r *Reader) spend(at *yaml.Node) bool {
	if r.visits++; r.visits > maxVisits && !r.spent {
		r.spent = true
		r.problems = nil
		r.Report(r.At(at.Line, at.Column), Error, "the file is too large once its aliases are expanded", "use fewer aliases")
	}
	return !r.spent
}

// Exists says whether there is a value.
func (v Value) Exists() bool { return v.n != nil }

// Place is where the value stands.
func (v Value) Place() Place {
	if v.n == nil {
		return Place{}
	}
	return v.r.At(v.n.Line, v.n.Column)
}

// Error reports that the value can't be used: what is wrong, and how to write it.
func (v Value) Error(says, write string) { v.r.Report(v.Place(), Error, says, write) }

// Warn reports that the value is probably not meant.
func (v Value) Warn(says, write string) { v.r.Report(v.Place(), Warning, says, write) }

// Node is the node that an alias stands for.
func (v Value) Node() *yaml.Node {
	n := v.n
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < 10; i++ {
		n = n.Alias
	}
	return n
}

// kind says in words what a value is.
func (v Value) kind() string {
	switch n := v.Node(); {
	case n == nil:
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty"
	}
	return strconv.Quote(Clip(v.Node().Value))
}

func Clip(s string) string {
	s = redact(s[:min(len(s), 4*MaxSource)])
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// Name is the value's name in messages, usually its key.
func (v Value) Name() string { return v.name }

// IsMap says whether the value has keys.
func (v Value) IsMap() bool { n := v.Node(); return n != nil && n.Kind == yaml.MappingNode }

// Items are a list's values, and nothing is reported; none where it is not a list.
func (v Value) Items() []Value {
	var out []Value
	if v.IsList() {
		for _, c := range v.Node().Content {
			out = append(out, Value{v.r, c, v.name})
		}
	}
	return out
}

// IsList says whether the value is a list.
func (v Value) IsList() bool { n := v.Node(); return n != nil && n.Kind == yaml.SequenceNode }

// Scalar is a single value's text as written; write says how to write it where it is none.
func (v Value) Scalar(write string) (string, bool) {
	n := v.Node()
	if n == nil || !v.r.spend(v.n) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		v.Error(fmt.Sprintf("%s is %s", v.name, v.kind()), write)
		return "", false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		v.Error(fmt.Sprintf("%s has a YAML tag", v.name), "remove the word that begins with !")
		return "", false
	}
	return n.Value, true
}

// Longest is the longest time that can be written.
const Longest = 24 * time.Hour

var (
	lengthForm = regexp.MustCompile(`^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$`)
	looseForm  = regexp.MustCompile(`(?i)^\s*(?:([\d.]+)\s*h(?:rs?|ours?)?)?[\s,]*(?:([\d.]+)\s*m(?:ins?|inutes?)?)?[\s,]*(?:([\d.]+)\s*s(?:ecs?|econds?)?)?\.?\s*$`)
	clockForm  = regexp.MustCompile(`^(?:(\d{1,2}):)?(\d{1,3}):(\d{2})$`)
	plainForm  = regexp.MustCompile(`^\d{1,5}$`)
)

// ParseLength reads a length of time as playlists write it: whole hours, minutes and seconds, 1h30m, 30m, 90s.
func ParseLength(s string) (time.Duration, bool) {
	m := lengthForm.FindStringSubmatch(s)
	if s == "" || m == nil {
		return 0, false
	}
	var d time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi("0" + m[i+1])
		d += time.Duration(n) * unit
	}
	return d, true
}

// FormatLength writes a length of time as playlists write it, to the second.
func FormatLength(d time.Duration) string {
	d = d.Round(time.Second)
	if d < 0 {
		return "-" + FormatLength(-d)
	}
	h, m, s := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second
	var b strings.Builder
	for _, part := range []struct {
		n    time.Duration
		unit string
	}{{h, "h"}, {m, "m"}, {s, "s"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, "%d%s", part.n, part.unit)
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// lengthMeant is how to write what was probably meant.
func lengthMeant(s, otherwise string) string {
	if plainForm.MatchString(s) && strings.Trim(s, "0") != "" {
		return fmt.Sprintf("write %sm for minutes or %ss for seconds", s, s)
	}
	var parts []string
	if m := clockForm.FindStringSubmatch(s); m != nil {
		if m[1] == "" { // 1:30 may be either
			a, _ := strconv.Atoi(m[2])
			b, _ := strconv.Atoi(m[3])
			return fmt.Sprintf("write %s or %s", FormatLength(time.Duration(a)*time.Hour+time.Duration(b)*time.Minute), FormatLength(time.Duration(a)*time.Minute+time.Duration(b)*time.Second))
		}
		parts = m[1:]
	} else if m := looseForm.FindStringSubmatch(s); m != nil {
		parts = m[1:]
	}
	var d time.Duration
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second} {
		if i < len(parts) && parts[i] != "" {
			f, err := strconv.ParseFloat(parts[i], 64)
			if err != nil || f > 1e6 {
				return otherwise
			}
			d += time.Duration(f * float64(unit))
		}
	}
	if d <= 0 || d > Longest {
		return otherwise
	}
	return "write " + FormatLength(d)
}

// Entries are a list's values; a single value stands for a list of one where single is true.
func (v Value) Entries(single bool, write string) []Value {
	n := v.Node()
	if n == nil || !v.r.spend(v.n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		if single && !(n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null") {
			return []Value{v}
		}
		v.Error(fmt.Sprintf("%s is %s", v.name, v.kind()), write)
		return nil
	}
	out := make([]Value, 0, len(n.Content))
	for _, c := range n.Content {
		if !v.r.spend(c) {
			return nil
		}
		out = append(out, Value{v.r, c, v.name})
	}
	return out
}

// Pair is one key of a map and its value.
type Pair struct {
	Key   string
	At    Value // the key itself
	Value Value
}

// Pairs are the keys and values of a map in the order of the file. A key that stands twice counts where it first
// stands.
func (v Value) Pairs(write string) []Pair {
	n := v.Node()
	if n == nil || !v.r.spend(v.n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		v.Error(fmt.Sprintf("%s is %s", v.name, v.kind()), write)
		return nil
	}
	var out []Pair
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !v.r.spend(n.Content[i]) {
			return nil
		}
		key := Value{v.r, n.Content[i], "a key"}
		k := key.Node()
		if k == nil || k.Kind != yaml.ScalarNode || k.Value == "" {
			key.Error("a key is "+key.kind()+", not a word", "write a word and a colon")
			continue
		}
		if k.ShortTag() == "!!merge" {
			key.Error("merge keys (<<) are not supported", "write the keys themselves")
			continue
		}
		if line, twice := first[k.Value]; twice {
			key.Error(fmt.Sprintf("duplicate key %q, first on line %d", Clip(k.Value), line), "keep one of them")
			continue
		}
		first[k.Value] = k.Line
		out = append(out, Pair{k.Value, key, Value{v.r, n.Content[i+1], k.Value}})
	}
	return out
}

// Peek is a key's value, and nothing is reported.
func (v Value) Peek(key string) Value {
	if n := v.Node(); n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return Value{v.r, n.Content[i+1], key}
			}
		}
	}
	return Value{}
}

// String is the text of a plain value, and nothing is reported; empty where it is none.
func (v Value) String() string {
	if n := v.Node(); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// Nearest is the word that was probably meant; empty: none is near.
func Nearest(s string, words []string) string {
	best, least := "", 0
	if len(s) > 64 {
		return ""
	}
	for _, w := range words {
		d := levenshtein.ComputeDistance(strings.ToLower(s), strings.ToLower(w))
		if d <= max(1, (min(len(s), len(w))+1)/3) && (best == "" || d < least) {
			best, least = w, d
		}
	}
	return best
}

// Suggest asks whether a near word was meant, or else says otherwise.
func Suggest(s string, words []string, otherwise string) string {
	if near := Nearest(s, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

func OrList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
