package playlists

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
	encoding "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// What a file may cost. A file of the largest size with the most values takes less than 64 MiB and a second.
const (
	maxFile     = 512 << 10 // bytes
	maxValues   = 40_000    // commas, brackets, colons, dashes and lines: each may begin a value
	maxVisits   = 200_000   // values looked at, with each alias counted as often as it is used
	maxProblems = 200
	maxSearch   = 16 << 10 // bytes of a file whose syntax error is searched for to the column
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

// ReadYAML reads a file's one document. The value's Exists is false where there is none or it can't be read; the
// reader's Problems say why.
func ReadYAML(file string, data []byte) (*Reader, Value) {
	r := &Reader{file: file}
	if len(data) > maxFile {
		r.report(Place{File: file}, Error, fmt.Sprintf("the file is larger than %d KiB", maxFile>>10), "split it, or name folders instead of files")
		return r, Value{}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) || bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		if utf, _, err := transform.Bytes(encoding.BOMOverride(transform.Nop), data); err == nil {
			data = utf
		}
	}
	r.lines = splitLines(redact(string(data)))
	if !utf8.Valid(data) {
		at := 0
		for rest := data; ; {
			c, n := utf8.DecodeRune(rest)
			if c == utf8.RuneError && n < 2 {
				break
			}
			rest, at = rest[n:], at+n
		}
		r.report(r.offset(data, at), Error, "this character is not UTF-8", "save the file as UTF-8")
		return r, Value{}
	}
	values := 0
	for i, c := range data {
		switch c {
		case ',', '[', '{', '\n', '\r':
			values++
		case '-', ':', '?':
			if i+1 == len(data) || data[i+1] == ' ' || data[i+1] == '\n' || data[i+1] == '\t' {
				values++
			}
		}
	}
	if values > maxValues {
		r.report(Place{File: file}, Error, "the file holds too many values", "split it, or name folders instead of files")
		return r, Value{}
	}
	root, err := decode(data)
	if err != nil {
		r.syntax(data, err)
		return r, Value{}
	}
	if root != nil && root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" && root.Value == "" {
		root = nil
	}
	return r, Value{r, root, "the file"}
}

// errSecond is a file of two documents.
var errSecond = errors.New("second document")

// decode reads the one document; nil where the file is empty.
func decode(data []byte) (root *yaml.Node, err error) {
	// The library's parser is of good repute and has panicked before; a file must never end the daemon.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("yaml: the parser panicked: %v", p)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(&second); err == nil {
		return &second, errSecond
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return doc.Content[0], nil
}

var (
	tightColon = regexp.MustCompile(`^ *(?:- +)?[a-z]+:[^\s/\\]`) // name:X
	bareColor  = regexp.MustCompile(`\{.*: +#[0-9A-Fa-f]{6}\b`)
	firstKey   = regexp.MustCompile(`^ *(?:- +)?[a-z]+:`)
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	// mends are how to write what the parser could not read.
	mends = []struct{ part, says, write string }{
		{"cannot start any token", "this character can't begin a value", "put the text in quotes"},
		{"tab character", "a line begins with a tab", "use spaces"},
		{"mapping values are not allowed", "a colon stands where none can", `put a text with a colon in quotes: name: "Dawn: slow", and begin each key on its own line`},
		{"could not find expected ':'", "this line has no colon, or a text before it is not closed", "write key: value"},
		{"block sequence entries are not allowed", "a list can't begin here", "begin it on its own line: - first"},
		{"did not find expected key", "this line is not in line with those above it", "give keys of one thing the same number of spaces; put a text that holds quotes or brackets in quotes"},
		{"did not find expected '-' indicator", "this line is not in line with the list above it", "begin each entry with - in the same column"},
		{"did not find expected ',' or ']'", "this list is not closed", "write [first, second]"},
		{"did not find expected ',' or '}'", "this is not closed", "write {scene: dusk, fade: 5m}"},
		{"did not find expected node content", "a value is missing here, or a bracket is not closed", "write [first, second]"},
		{"unexpected end of stream", "a quote is not closed", `write "text"`},
		{"unexpected document indicator", "a quote is not closed", `write "text"`},
		{"unknown escape character", `a \ in double quotes has a meaning of its own`, `use single quotes, or / in a path`},
		{"unknown anchor", "an alias names nothing that stands before it", "write the value itself; put a text that begins with * in quotes"},
		{"alphabetic or numeric character", "& and * have a meaning of their own here", "put the text in quotes"},
		{"contains itself", "an alias contains itself", "write the value itself"},
		{"control characters are not allowed", "the file holds a control character", "save it as plain text"},
		{"exceeded max depth", "lists stand too deep in lists", "write one list"},
		{"<document start>", "this does not belong to what stands above it", "give keys of one thing the same number of spaces"},
	}
)

// syntax reports what the parser could not read, at the place where it gave up. The parser tells only a line, and
// that of the beginning of what it could not finish, so the place is searched for: it is the end of the shortest
// beginning of the file that fails in the same way.
func (r *Reader) syntax(data []byte, err error) {
	if errors.Is(err, errSecond) {
		line := 1
		for i, l := range r.lines {
			if i > 0 && strings.HasPrefix(l, "---") {
				line = i + 1
				break
			}
		}
		r.report(r.at(line, 1), Error, "a second document begins here", "write one playlist or room a file, without ---")
		return
	}
	m := yamlLine.FindStringSubmatch(err.Error())
	says, write, line := err.Error(), "", 0
	if m != nil {
		line, _ = strconv.Atoi(m[1])
		says = m[2]
	}
	for _, mend := range mends {
		if strings.Contains(says, mend.part) {
			says, write = mend.says, mend.write
			break
		}
	}
	for i, l := range r.lines { // a tab is the commonest cause, and the parser complains about it in many ways
		rest := strings.TrimLeft(l, " ")
		if strings.HasPrefix(rest, "\t") && strings.TrimSpace(rest) != "" && i+1 >= line-1 && i+1 <= line+2 {
			r.report(r.at(i+1, len(l)-len(rest)+1), Error, "this line begins with a tab", "use spaces")
			return
		}
	}
	for i := max(line-2, 0); i < min(line+2, len(r.lines)); i++ { // a colour without quotes hides what follows it
		if at := bareColor.FindStringIndex(r.lines[i]); at != nil {
			r.report(r.at(i+1, utf8.RuneCountInString(r.lines[i][:at[1]-7])+1), Error, "what follows # is not read, so the brackets before it are not closed", `put a colour in quotes: color: "#ff9a4a"`)
			return
		}
	}
	place := r.at(min(max(line, 1), len(r.lines)), 0)
	switch msg := err.Error(); {
	case len(data) > maxSearch:
	case strings.Contains(msg, "unexpected end of stream"):
		// The quote that was not closed is the last one that can still be left out with what follows it.
		for q, tries := len(data), 0; tries < 100; tries++ {
			if q = bytes.LastIndexAny(data[:q], `"'`); q < 0 {
				break
			}
			if _, e := decode(data[:q]); e == nil || !strings.Contains(e.Error(), "unexpected end of stream") {
				place = r.offset(data, q)
				break
			}
		}
	case strings.Contains(msg, "unknown anchor"):
		if name := strings.Split(msg, "'"); len(name) > 2 {
			for i, l := range r.lines {
				if at := strings.Index(l, "*"+name[1]); at >= 0 {
					place = r.at(i+1, utf8.RuneCountInString(l[:at])+1)
					break
				}
			}
		}
	case strings.Contains(msg, "could not find expected ':'"): // its line is that of what should have had one
	default:
		lo, hi := 0, len(data) // data[:hi] fails in the same way, data[:lo] does not
		for hi-lo > 1 {
			mid := (lo + hi) / 2
			if _, e := decode(data[:mid]); e != nil && e.Error() == msg {
				hi = mid
			} else {
				lo = mid
			}
		}
		for hi > 1 && (unicode.IsSpace(rune(data[hi-1])) || !utf8.RuneStart(data[hi-1])) {
			hi--
		}
		place = r.offset(data, hi-1)
	}
	if strings.Contains(err.Error(), "mapping values") || strings.Contains(err.Error(), "expected ':'") {
		if n := place.Line - 1; n > 0 && tightColon.MatchString(r.lines[n-1]) {
			place = r.at(n, 0)
		}
		line := r.lines[min(place.Line, len(r.lines))-1]
		if at := tightColon.FindStringIndex(line); at != nil {
			place.Col = utf8.RuneCountInString(line[:at[1]-1]) + 1
			says, write = "a space is missing after the colon", "write name: Arrival"
		} else if firstKey.MatchString(line) && place.Col == utf8.RuneCountInString(firstKey.FindString(line)) {
			place = r.at(place.Line, len(line)-len(strings.TrimLeft(line, " "))+1)
			says, write = "this line is not in line with those above it", "give keys of one thing the same number of spaces"
		}
	}
	r.report(place, Error, says, write)
}

// secrets are what a file may hold and no message may show: a password in an address, or under a key of its own.
var secrets = regexp.MustCompile(`(?i)(://[^\s:/@]*:)(\S+)(@)|((?:password|passwd|secret|token)["']?\s*[:=]\s*)([^\s,}]+)()`)

// redact hides secrets and keeps every other character in its column.
func redact(s string) string {
	lower := strings.ToLower(s)
	if !slices.ContainsFunc([]string{"://", "passw", "secret", "token"}, func(w string) bool { return strings.Contains(lower, w) }) {
		return s // mostly; the pattern is slow on a long text
	}
	return secrets.ReplaceAllStringFunc(s, func(m string) string {
		p := secrets.FindStringSubmatch(m)
		return p[1] + p[4] + strings.Repeat("•", utf8.RuneCountInString(p[2]+p[5])) + p[3]
	})
}

// splitLines splits as YAML counts lines.
func splitLines(s string) []string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Split(s, "\n")
}

// offset is the place of a byte.
func (r *Reader) offset(data []byte, at int) Place {
	before := splitLines(strings.ToValidUTF8(string(data[:max(at, 0)]), "?"))
	return r.at(len(before), utf8.RuneCountInString(before[len(before)-1])+1)
}

// maxSource is how much of a line is kept with a place, in bytes.
const maxSource = 400

func (r *Reader) at(line, col int) Place {
	p := Place{File: r.file, Line: line, Col: col}
	if line >= 1 && line <= len(r.lines) {
		if p.Source = r.lines[line-1]; len(p.Source) > maxSource {
			// A place far to the right of a long line is told without its line.
			p.Source = strings.ToValidUTF8(p.Source[:maxSource], "")
			if col > utf8.RuneCountInString(p.Source) {
				p.Source = ""
			}
		}
	}
	return p
}

func (r *Reader) report(at Place, s Severity, says, write string) {
	if len(r.problems) >= maxProblems || r.spent && len(r.problems) > 0 {
		r.more++
		return
	}
	r.problems = append(r.problems, Problem{at, s, says, write})
}

// Problems is all that is wrong so far, in the order of the file.
func (r *Reader) Problems() Problems {
	ps := slices.Clone(r.problems).Sorted()
	if r.more > 0 && !r.spent {
		ps = append(ps, Problem{Place{File: r.file}, Error, fmt.Sprintf("and %d more problems", r.more), ""})
	}
	return ps
}

// spend counts a value that is looked at, and says whether it may be: aliases can make a small file endless.
func (r *Reader) spend(at *yaml.Node) bool {
	if r.visits++; r.visits > maxVisits && !r.spent {
		r.spent = true
		r.problems = nil
		r.report(r.at(at.Line, at.Column), Error, "with its aliases written out the file is too large", "write fewer aliases")
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
	return v.r.at(v.n.Line, v.n.Column)
}

// Error reports that the value can't be used: what is wrong, and how to write it.
func (v Value) Error(says, write string) { v.r.report(v.Place(), Error, says, write) }

// Warn reports that the value is probably not meant.
func (v Value) Warn(says, write string) { v.r.report(v.Place(), Warning, says, write) }

// follow is the node that an alias stands for.
func (v Value) follow() *yaml.Node {
	n := v.n
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < 10; i++ {
		n = n.Alias
	}
	return n
}

// kind says in words what a value is.
func (v Value) kind() string {
	switch n := v.follow(); {
	case n == nil:
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "empty"
	}
	return strconv.Quote(clip(v.follow().Value))
}

func clip(s string) string {
	s = redact(s[:min(len(s), 4*maxSource)])
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// IsMap says whether the value has keys.
func (v Value) IsMap() bool { n := v.follow(); return n != nil && n.Kind == yaml.MappingNode }

// IsList says whether the value is a list.
func (v Value) IsList() bool { n := v.follow(); return n != nil && n.Kind == yaml.SequenceNode }

// scalar is a single value's text as written; write says how to write it where it is none.
func (v Value) scalar(write string) (string, bool) {
	n := v.follow()
	if n == nil || !v.r.spend(v.n) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		v.Error(fmt.Sprintf("%s is %s", v.name, v.kind()), write)
		return "", false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		v.Error(fmt.Sprintf("%s has a tag", v.name), "leave out what begins with !")
		return "", false
	}
	return n.Value, true
}

// Text is a text of 1 to most characters without control characters. Numbers and dates are texts as written.
func (v Value) Text(most int, write string) (string, bool) {
	s, ok := v.TextOrNone(most, write)
	if ok && s == "" {
		v.Error(v.name+" is empty", write)
		return "", false
	}
	return s, ok
}

// TextOrNone is a Text that may also be "".
func (v Value) TextOrNone(most int, write string) (string, bool) {
	s, ok := v.scalar(write)
	if !ok {
		return "", false
	}
	s = strings.TrimSpace(s)
	switch {
	case utf8.RuneCountInString(s) > most:
		v.Error(fmt.Sprintf("%s is longer than %d characters", v.name, most), "shorten it")
	case strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || c == '\ufeff' || c == utf8.RuneError }):
		v.Error(v.name+" holds a character that can't be shown", "write it on one line")
	default:
		return s, true
	}
	return "", false
}

// Word is one of the words.
func (v Value) Word(words ...string) (string, bool) {
	write := "write " + orList(words)
	s, ok := v.scalar(write)
	if !ok {
		return "", false
	}
	if slices.Contains(words, s) {
		return s, true
	}
	v.Error(fmt.Sprintf("%s is %q", v.name, clip(s)), Suggest(s, words, write))
	return "", false
}

// Number is a number from lo to hi.
func (v Value) Number(lo, hi float64) (float64, bool) {
	write := fmt.Sprintf("write a number from %g to %g", lo, hi)
	s, ok := v.scalar(write)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	n := v.follow()
	if tag := n.ShortTag(); err != nil || tag != "!!int" && tag != "!!float" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		if m := leadingNumber.FindString(s); m != "" {
			write = "write " + m
		}
		v.Error(fmt.Sprintf("%s is %q, which is no plain number", v.name, clip(s)), write)
		return 0, false
	}
	if math.IsNaN(f) || f < lo || f > hi {
		v.Error(fmt.Sprintf("%s is %s", v.name, clip(s)), write)
		return 0, false
	}
	return f, true
}

var leadingNumber = regexp.MustCompile(`^[-+]?\d+(\.\d+)?`)

// longest is the longest time that can be written.
const longest = 24 * time.Hour

// Length is a time such as 90s, 30m or 1h30m, from least to 24 hours.
func (v Value) Length(least time.Duration) (time.Duration, bool) {
	const write = "write 90s, 30m or 1h30m"
	s, ok := v.scalar(write)
	if !ok {
		return 0, false
	}
	d, ok := ParseLength(s)
	switch {
	case !ok:
		v.Error(fmt.Sprintf("%s is %q, which is no length of time", v.name, clip(s)), lengthMeant(s, write))
	case d > longest:
		v.Error(fmt.Sprintf("%s is longer than 24 hours", v.name), "write 24h or less")
	case d < least && least == time.Second:
		v.Error(fmt.Sprintf("%s is no time at all", v.name), "write 1s or more")
	case d < least:
		v.Error(fmt.Sprintf("%s is shorter than %s", v.name, FormatLength(least)), "write "+FormatLength(least)+" or more")
	default:
		return d, true
	}
	return 0, false
}

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
	if d <= 0 || d > longest {
		return otherwise
	}
	return "write " + FormatLength(d)
}

// Entries are a list's values; a single value stands for a list of one where single is true.
func (v Value) Entries(single bool, write string) []Value {
	n := v.follow()
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
	var out []Value
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
	n := v.follow()
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
		k := key.follow()
		if k == nil || k.Kind != yaml.ScalarNode || k.Value == "" {
			key.Error("a key is "+key.kind(), "write a word and a colon")
			continue
		}
		if k.ShortTag() == "!!merge" {
			key.Error("<< is not read here", "write the keys themselves")
			continue
		}
		if line, twice := first[k.Value]; twice {
			key.Error(fmt.Sprintf("%s stands twice, first on line %d", strconv.Quote(clip(k.Value)), line), "keep one of them")
			continue
		}
		first[k.Value] = k.Line
		out = append(out, Pair{k.Value, key, Value{v.r, n.Content[i+1], k.Value}})
	}
	return out
}

// Peek is a key's value, and nothing is reported.
func (v Value) Peek(key string) Value {
	if n := v.follow(); n != nil && n.Kind == yaml.MappingNode {
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
	if n := v.follow(); n != nil && n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return ""
}

// Fields are the values of a map whose keys are known.
type Fields struct {
	of      Value
	m       map[string]Value
	meant   map[string]bool // known keys that an unknown one was probably meant to be
	unknown int
}

// Fields are the values by key. Another key is an error. what names the thing in messages: "a phase".
func (v Value) Fields(what, write string, known ...string) Fields {
	f := Fields{of: v, m: map[string]Value{}, meant: map[string]bool{}}
	if v.Exists() && !v.IsMap() {
		v.Error(fmt.Sprintf("%s is %s", what, v.kind()), write)
		f.of = Value{}
		return f
	}
	for _, p := range v.Pairs(write) {
		if slices.Contains(known, p.Key) {
			f.m[p.Key] = p.Value
			continue
		}
		f.unknown++
		if near := nearest(p.Key, known); near != "" {
			f.meant[near] = true
		}
		p.At.Error(fmt.Sprintf("%q is no key of %s", clip(p.Key), what), Suggest(p.Key, known, what+" has "+strings.Join(known, ", ")))
	}
	return f
}

// Get is a key's value, if it is there.
func (f Fields) Get(key string) (Value, bool) {
	v, ok := f.m[key]
	return v, ok
}

// Need is the value of a key that must be there.
func (f Fields) Need(key, what, write string) (Value, bool) {
	v, ok := f.m[key]
	if !ok && f.of.Exists() && !f.meant[key] && !f.of.r.spent {
		f.of.Error(fmt.Sprintf("%s has no %s", what, key), write)
	}
	return v, ok
}

// nearest is the word that was probably meant; empty: none is near.
func nearest(s string, words []string) string {
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
	if near := nearest(s, words); near != "" {
		return "did you mean " + near + "?"
	}
	return otherwise
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
