package playlists

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"roomd/playlists/yamlfile"
)

// PhaseEdit is what one phase becomes. Was is its place in the file, from 0; a nil field stays as it is.
type PhaseEdit struct {
	Was    int
	Length *time.Duration
	Level  *float64 // dB against the room's reference loudness
	Scene  *string
	Fade   *time.Duration
	Music  []MusicEdit // what its music becomes; nil: it stays
}

// errByHand refuses an edit that would change more than was asked.
var errByHand = errors.New("this file is written in a way that can't be changed here: change it in a text editor")

// Edit returns d with its phases in the order of the edits, and changed as they say. Every other byte stays: comments,
// quotes, spaces, line ends. A comment moves with the phase below it; the heading of a stage stays at the stage.
//
// d must have no errors; the result may, and Save refuses it then. The result is read again and compared with what was
// asked; if they differ, or the change can't be made, Edit returns an error that says what to do, and d.
func (d Document) Edit(phases []PhaseEdit) (Document, error) {
	if errs := d.Problems.Errors(); len(errs) > 0 {
		return d, fmt.Errorf("correct the file's errors first: %s", errs[0])
	}
	if bytes.HasPrefix(d.Text, []byte("\xff\xfe")) || bytes.HasPrefix(d.Text, []byte("\xfe\xff")) {
		return d, errors.New("save the file as UTF-8 first, then it can be changed here")
	}
	text, bom := strings.CutPrefix(string(d.Text), "\ufeff")
	root, _, err := yamlfile.Decode([]byte(text))
	if err != nil {
		return d, err
	}
	e := &editor{name: d.Name, text: text, stages: stagesOf(d.Playlist)}
	want, err := e.change(root, phases)
	if err != nil {
		return d, err
	}
	e.apply()
	if !slices.IsSortedFunc(phases, func(a, b PhaseEdit) int { return a.Was - b.Was }) {
		if err := e.order(phases); err != nil {
			return d, err
		}
	}
	root, second, err := yamlfile.Decode([]byte(e.text))
	if err != nil || second > 0 || !reflect.DeepEqual(plain(root), want) {
		return d, errByHand
	}
	if bom {
		e.text = "\ufeff" + e.text
	}
	return d.With([]byte(e.text)), nil
}

func stagesOf(pl *Playlist) (out []Stage) {
	for _, ph := range pl.Phases {
		out = append(out, ph.Stage)
	}
	return out
}

// plain is what a node says, without how it is written: maps, lists, and texts with their type. Aliases are expanded.
func plain(n *yaml.Node) any {
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.AliasNode:
		return plain(n.Alias)
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return m
	case n.Kind == yaml.SequenceNode:
		l := make([]any, len(n.Content))
		for i, c := range n.Content {
			l[i] = plain(c)
		}
		return l
	}
	return n.ShortTag() + " " + n.Value
}

// follow is the node that an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// valueOf is a key's value in a map; nil: it has no such key.
func valueOf(m *yaml.Node, key string) *yaml.Node {
	for i := 0; m != nil && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// editor changes a text in place.
type editor struct {
	name    string // of the file, below the playlists folder
	text    string
	stages  []Stage // of the phases, as they are in the file
	splices []splice
}

// splice replaces text[from:to].
type splice struct {
	from, to int
	with     string
}

// apply makes all changes. Those at one place keep their order.
func (e *editor) apply() {
	slices.SortStableFunc(e.splices, func(a, b splice) int { return cmp.Compare(a.from, b.from) })
	var b strings.Builder
	at := 0
	for _, s := range e.splices {
		b.WriteString(e.text[at:max(at, s.from)] + s.with)
		at = max(at, s.to)
	}
	e.text = b.String() + e.text[at:]
}

// change notes the splices that the edits need, and returns what the file must say then.
func (e *editor) change(root *yaml.Node, phases []PhaseEdit) (want any, err error) {
	list := valueOf(root, "phases")
	all := plain(root).(map[string]any)
	was := all["phases"].([]any)
	seen := make([]bool, len(was))
	var now []any
	for _, p := range phases {
		if p.Was < 0 || p.Was >= len(seen) || seen[p.Was] {
			return nil, fmt.Errorf("phase %d is missing or listed twice", p.Was+1)
		}
		seen[p.Was] = true
		ph := maps.Clone(was[p.Was].(map[string]any))
		if err := e.phase(follow(follow(list).Content[p.Was]), ph, p); err != nil {
			return nil, fmt.Errorf("phase %d: %w", p.Was+1, err)
		}
		if p.Music != nil {
			if err := e.music(follow(follow(list).Content[p.Was]), ph, p.Music); err != nil {
				return nil, fmt.Errorf("phase %d: %w", p.Was+1, err)
			}
		}
		now = append(now, ph)
	}
	if len(phases) != len(seen) {
		return nil, fmt.Errorf("the file has %d phases, and %d were sent: reload it", len(seen), len(phases))
	}
	all["phases"] = now
	return all, nil
}

// phase notes the splices for one phase, and changes what it must say.
func (e *editor) phase(m *yaml.Node, ph map[string]any, p PhaseEdit) error {
	length := valueOf(m, "length")
	if p.Length != nil {
		if was, ok := ParseLength(follow(length).Value); !ok || was != *p.Length {
			ph["length"] = "!!str " + FormatLength(*p.Length)
			if err := e.set(length, FormatLength(*p.Length)); err != nil {
				return err
			}
		}
	}
	if p.Level != nil {
		text := strconv.FormatFloat(*p.Level, 'f', -1, 64)
		tag := "!!int "
		if strings.Contains(text, ".") {
			tag = "!!float "
		}
		v := valueOf(m, "level")
		was := 0.0
		if v != nil {
			was, _ = strconv.ParseFloat(follow(v).Value, 64)
		}
		if was != *p.Level {
			ph["level"] = tag + text
			if err := e.put(m, length, "level", v, text); err != nil {
				return err
			}
		}
	}
	if p.Scene == nil && p.Fade == nil {
		return nil
	}
	return e.light(m, length, ph, p)
}

func (e *editor) light(m, length *yaml.Node, ph map[string]any, p PhaseEdit) error {
	lights := valueOf(m, "lights")
	now := map[string]any{}
	if was, ok := ph["lights"].(map[string]any); ok {
		now = maps.Clone(was)
	} else if p.Scene == nil {
		return errors.New("it has no light to fade to: choose a scene")
	}
	said := func(key string) string {
		s, _ := now[key].(string)
		_, text, _ := strings.Cut(s, " ")
		return text
	}
	scene, fade := said("scene"), said("fade")
	setScene := p.Scene != nil && strings.TrimSpace(scene) != *p.Scene
	if setScene {
		scene = *p.Scene
		now["scene"] = plain(scalarNode(scene))
	}
	setFade := false
	if p.Fade != nil {
		was, ok := ParseLength(fade)
		if setFade = !ok || was != *p.Fade; setFade {
			fade = FormatLength(*p.Fade)
			now["fade"] = "!!str " + fade
		}
	}
	if !setScene && !setFade {
		return nil
	}
	ph["lights"] = now
	if lights == nil || lights.Kind != yaml.MappingNode { // absent or an alias: the phase gets its own
		text := "{scene: " + scalar(scene)
		if fade != "" {
			text += ", fade: " + fade
		}
		return e.put(m, length, "lights", lights, text+"}")
	}
	v := valueOf(lights, "scene")
	if setScene {
		if err := e.set(v, scene); err != nil {
			return err
		}
	}
	if setFade {
		return e.put(lights, v, "fade", valueOf(lights, "fade"), fade)
	}
	return nil
}

// scalarNode is the node that a text is written as and read back.
func scalarNode(s string) *yaml.Node {
	root, _, err := yamlfile.Decode([]byte(scalar(s)))
	if err != nil || root == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	}
	return root
}

// put writes a key's value: in the place of v, or else as a new key after another one's value.
func (e *editor) put(m, after *yaml.Node, key string, v *yaml.Node, text string) error {
	if v == nil {
		return e.add(m, after, key+": "+text)
	}
	from, to, err := e.span(v)
	if err == nil {
		e.splices = append(e.splices, splice{from, to, text})
	}
	return err
}

// set writes a text in the place of v, in the same quotes.
func (e *editor) set(v *yaml.Node, text string) error {
	from, to, err := e.span(v)
	if err != nil {
		return err
	}
	switch {
	case v.Kind == yaml.AliasNode:
		text = scalar(text)
	case e.text[from] == '\'':
		text = "'" + strings.ReplaceAll(text, "'", "''") + "'"
	case e.text[from] == '"':
		text = strconv.Quote(text)
	default:
		text = scalar(text)
	}
	e.splices = append(e.splices, splice{from, to, text})
	return nil
}

// offset is the byte at a line and column, from 1.
func (e *editor) offset(line, col int) int {
	lines := yamlfile.Lines(e.text)
	at := 0
	for _, l := range lines[:min(line-1, len(lines))] {
		at += len(l)
	}
	for ; col > 1 && at < len(e.text); col-- {
		_, n := utf8.DecodeRuneInString(e.text[at:])
		at += n
	}
	return at
}

// span is where a scalar or an alias is written, without an anchor before it.
func (e *editor) span(v *yaml.Node) (from, to int, err error) {
	from = e.offset(v.Line, v.Column)
	rest := e.text[from:]
	if v.Kind == yaml.AliasNode {
		return from, from + len("*"+v.Value), nil
	}
	if v.Anchor != "" && strings.HasPrefix(rest, "&"+v.Anchor) {
		rest = strings.TrimLeft(strings.TrimPrefix(rest, "&"+v.Anchor), " ")
		from = len(e.text) - len(rest)
	}
	if v.Kind != yaml.ScalarNode || rest == "" {
		return 0, 0, errByHand
	}
	switch rest[0] {
	case '|', '>', '!', '&', '?':
		return 0, 0, errByHand
	case '\'', '"':
		for i := 1; i < len(rest); i++ {
			if rest[i] == '\\' && rest[0] == '"' {
				i++
			} else if rest[i] == rest[0] {
				if rest[0] == '"' || !strings.HasPrefix(rest[i+1:], "'") {
					return from, from + i + 1, nil
				}
				i++ // '' is one quote
			}
		}
		return 0, 0, errByHand
	}
	// A plain scalar may be wrapped over lines: its characters are there in order, with other spaces.
	to = from
	for _, c := range v.Value {
		if unicode.IsSpace(c) {
			continue
		}
		for to < len(e.text) {
			got, n := utf8.DecodeRuneInString(e.text[to:])
			to += n
			if got == c {
				break
			}
			if !unicode.IsSpace(got) {
				return 0, 0, errByHand
			}
		}
	}
	return from, to, nil
}

// add writes one more key of a map after a value that it has.
func (e *editor) add(m, after *yaml.Node, text string) error {
	_, to, err := e.span(after)
	if err != nil {
		return err
	}
	if m.Style&yaml.FlowStyle != 0 {
		e.splices = append(e.splices, splice{to, to, ", " + text})
		return nil
	}
	text = strings.Repeat(" ", m.Content[0].Column-1) + text
	line := yamlfile.Lines(e.text[to:])[0]
	if end := to + len(line); strings.TrimRight(line, "\r\n\u0085\u2028\u2029") != line {
		e.splices = append(e.splices, splice{end, end, text + e.eol()})
	} else { // the file's last line
		e.splices = append(e.splices, splice{end, end, e.eol() + text})
	}
	return nil
}

// eol is how the file ends its lines.
func (e *editor) eol() string {
	first := yamlfile.Lines(e.text)[0]
	if end := first[len(strings.TrimRight(first, "\r\n\u0085\u2028\u2029")):]; end != "" {
		return end
	}
	return "\n"
}

// piece is the lines of one phase.
type piece struct {
	heading string // of the stage that begins here
	text    string // what describes it, the phase, and the empty lines behind it
}

// order puts the lines of the phases in their new order.
func (e *editor) order(phases []PhaseEdit) error {
	root, _, err := yamlfile.Decode([]byte(e.text))
	if err != nil {
		return errByHand
	}
	list := valueOf(root, "phases")
	if list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0 || len(list.Content) != len(phases) {
		return errors.New("the phases are in brackets: start each on its own line with a dash to reorder them here")
	}
	lines := yamlfile.Lines(e.text)
	// The list ends where the next key of the file begins, or the document.
	begin, end := 0, len(lines)
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch line := root.Content[i].Line; {
		case root.Content[i+1] == list:
			begin = line
		case line > begin && begin > 0 && line <= end:
			end = line - 1
		}
	}
	for i := begin; i < end; i++ {
		if strings.HasPrefix(lines[i], "...") {
			end = i
		}
	}
	indent := func(l string) int { return len(l) - len(strings.TrimLeft(l, " ")) }
	blank := func(l string) bool { return strings.TrimSpace(l) == "" }
	dash := -1 // the column of the dashes, from 0
	starts := make([]int, len(list.Content))
	for i, n := range list.Content {
		at := n.Line - 1
		for at > 0 && !strings.HasPrefix(strings.TrimLeft(lines[at], " "), "-") {
			at--
		}
		if starts[i] = at; dash < 0 {
			dash = indent(lines[at])
		}
		if indent(lines[at]) != dash || i > 0 && at <= starts[i-1] || at < begin {
			return errByHand
		}
	}
	// outside says whether a line stands between phases: it is empty, or a comment no deeper than the dashes.
	outside := func(l string) bool {
		return blank(l) || strings.HasPrefix(strings.TrimSpace(l), "#") && indent(l) <= dash
	}
	for end > starts[len(starts)-1]+1 && outside(lines[end-1]) {
		end--
	}
	heads := make([]int, len(starts)) // where the comments above each phase begin
	for i, at := range starts {
		low := begin
		if i > 0 {
			low = starts[i-1] + 1
		}
		head := at
		for head > low && outside(lines[head-1]) {
			head--
		}
		for head < at && blank(lines[head]) {
			head++
		}
		heads[i] = head
	}
	join := func(from, to int) string { return strings.Join(lines[from:to], "") }
	pieces := make([]piece, len(starts))
	for i, at := range starts {
		body := at // where what describes the phase begins, below a stage's heading
		for body > heads[i] && !blank(lines[body-1]) {
			body--
		}
		if i > 0 && e.stages[i] == e.stages[i-1] {
			body = heads[i]
		} else if isHeading(lines[body:at]) {
			body = at
		}
		to := end
		if i+1 < len(heads) {
			to = heads[i+1]
		}
		pieces[i] = piece{join(heads[i], body), join(body, to)}
	}
	var b strings.Builder
	b.WriteString(join(0, heads[0]))
	write := func(s string) {
		if b.WriteString(s); s != "" && strings.TrimRight(s, "\r\n\u0085\u2028\u2029") == s {
			b.WriteString(e.eol())
		}
	}
	told := map[Stage]bool{}
	for _, p := range phases {
		if stage := e.stages[p.Was]; !told[stage] {
			told[stage] = true
			for i, s := range e.stages {
				if s == stage {
					write(pieces[i].heading)
				}
			}
		}
		write(pieces[p.Was].text)
	}
	e.text = b.String() + join(end, len(lines))
	return nil
}

// isHeading says whether comment lines are the heading of a stage: they name one, or are drawn as a line.
func isHeading(lines []string) bool {
	for _, l := range lines {
		l = strings.ToLower(strings.TrimSpace(l))
		if slices.ContainsFunc(stages, func(s Stage) bool { return strings.Contains(l, string(s)) }) {
			return true
		}
		l = strings.TrimSpace(strings.TrimPrefix(l, "#"))
		for _, mark := range []string{"--", "==", "##", "**", "~~"} {
			if strings.HasPrefix(l, mark) {
				return true
			}
		}
	}
	return false
}
