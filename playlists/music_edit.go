package playlists

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"roomd/playlists/yamlfile"
)

// MusicEdit is one entry of what a phase's music becomes: an entry that it has, or else exactly one of File, Bed and Silence.
type MusicEdit struct {
	Was     *int   // its place in the phase's music as written, from 0: the entry stays as it is, with its comments
	File    string // of a file, a folder or a list: its path below the playlists folder, with slashes
	Bed     Bed
	Silence bool
}

// text is a new entry as the file at name writes it.
func (m MusicEdit) text(name string) (string, error) {
	switch {
	case m.Silence && m.Bed == "" && m.File == "":
		return "silence", nil
	case m.Bed != "" && !m.Silence && m.File == "":
		if !slices.Contains(beds, m.Bed) {
			return "", fmt.Errorf("%q is not a bed: choose %s", m.Bed, orList(bedWord))
		}
		return "{bed: " + string(m.Bed) + "}", nil
	case m.File == "" || m.Bed != "" || m.Silence:
		return "", errors.New("an entry of music is one of a file, a bed and silence")
	case !filepath.IsLocal(filepath.FromSlash(m.File)) || path.Clean(m.File) == ".":
		return "", fmt.Errorf("%q is not in the playlists folder: choose music from there", m.File)
	}
	rel, err := filepath.Rel(filepath.FromSlash(path.Dir(name)), filepath.FromSlash(m.File))
	if err != nil {
		return "", err
	}
	rel = filepath.ToSlash(rel)
	if rel == "silence" { // the word means none
		rel = "./" + rel
	}
	if strings.HasSuffix(m.File, "/") { // a folder, for who reads the file
		rel += "/"
	}
	return scalar(rel), nil
}

// Entry is where an entry that names a path leads, below the playlists folder; empty: it names none.
func (d Document) Entry(s Source) string {
	if s.Path == "" {
		return ""
	}
	return path.Join(path.Dir(d.Name), strings.ReplaceAll(s.Path, `\`, "/"))
}

// music notes the splices that make a phase's music the entries, and changes what the phase must say. An entry that stays
// keeps its text, and in a list of lines the comments above and behind it; those above the first entry stay where they are. The
// music of a phase with a pool is the pool.
func (e *editor) music(m *yaml.Node, ph map[string]any, entries []MusicEdit) error {
	if len(entries) == 0 {
		return errors.New("music is an empty list: choose a file, a folder, a bed or silence")
	}
	key := "music"
	if valueOf(m, "pool") != nil {
		key = "pool"
	} else if valueOf(m, "menu") != nil {
		return errors.New("the music of this phase is a menu: change it in a text editor")
	}
	value := valueOf(m, key)
	list := follow(value)
	var old []*yaml.Node
	switch {
	case list == nil:
	case list.Kind == yaml.SequenceNode:
		old = list.Content
	default:
		old = []*yaml.Node{list}
	}
	texts, want := make([]string, len(entries)), make([]any, len(entries))
	same, seen := len(entries) == len(old), map[int]bool{}
	for i, en := range entries {
		if en.Was == nil {
			text, err := en.text(e.name)
			if err != nil {
				return err
			}
			root, _, err := yamlfile.Decode([]byte(text))
			if err != nil {
				return errByHand
			}
			texts[i], want[i], same = text, plain(root), false
			continue
		}
		k := *en.Was
		if k < 0 || k >= len(old) || seen[k] || en.File != "" || en.Bed != "" || en.Silence {
			return fmt.Errorf("entry %d of the music is missing or listed twice: reload the file", k+1)
		}
		seen[k], same = true, same && k == i
		from, to, err := e.extent(old[k])
		if err != nil {
			return err
		}
		texts[i], want[i] = e.text[from:to], plain(old[k])
	}
	if same {
		return nil
	}
	one := len(entries) == 1 && (list == nil || list.Kind != yaml.SequenceNode)
	if ph[key] = want; one {
		ph[key] = want[0]
	}
	inBraces := m.Style&yaml.FlowStyle != 0
	switch {
	case list != nil && list.Kind == yaml.SequenceNode && list.Style&yaml.FlowStyle == 0 && value == list:
		return e.musicLines(list, entries, texts)
	case list != nil && list.Kind == yaml.SequenceNode && list.Style&yaml.FlowStyle != 0 && value == list && len(old) > 0:
		return e.musicBrackets(list, texts)
	case slices.ContainsFunc(texts, func(s string) bool { return strings.ContainsAny(s, "\r\n") }) && !one:
		return errByHand // an entry over some lines has its place in them
	case one || inBraces:
		text := texts[0]
		if !one {
			text = "[" + strings.Join(texts, ", ") + "]"
		}
		if value == nil {
			return e.add(m, valueOf(m, "length"), key+": "+text)
		}
		from, to, err := e.extent(value)
		e.splices = append(e.splices, splice{from, to, text})
		return err
	}
	// Each on its own line, below the key.
	below := strings.Repeat(" ", m.Content[0].Column+1) + "- "
	lines := below + strings.Join(texts, e.eol()+below)
	if value == nil {
		return e.add(m, valueOf(m, "length"), key+":"+e.eol()+lines)
	}
	from, to, err := e.extent(value)
	if err != nil {
		return err
	}
	end, last := e.lineEnd(to)
	e.splices = append(e.splices, splice{from, to, ""})
	if last {
		e.splices = append(e.splices, splice{end, end, e.eol() + lines})
	} else {
		e.splices = append(e.splices, splice{end, end, lines + e.eol()})
	}
	return nil
}

// lineEnd is where the line of a place ends, behind its line end. last: the text ends without one.
func (e *editor) lineEnd(at int) (end int, last bool) {
	if at >= len(e.text) {
		return len(e.text), true
	}
	line := yamlfile.Lines(e.text[at:])[0]
	return at + len(line), strings.TrimRight(line, "\r\n\u0085\u2028\u2029") == line
}

// lineStart is where the line of a place begins.
func (e *editor) lineStart(at int) int {
	start := 0
	for _, l := range yamlfile.Lines(e.text) {
		if start+len(l) > at {
			break
		}
		start += len(l)
	}
	return min(start, at)
}

// musicLines writes a list that has each entry on its own line.
func (e *editor) musicLines(list *yaml.Node, entries []MusicEdit, texts []string) error {
	starts, ends := make([]int, len(list.Content)), make([]int, len(list.Content)) // of each entry's lines
	dash, last := "", false
	for i, n := range list.Content {
		from, to, err := e.extent(n)
		if err != nil {
			return err
		}
		at := e.lineStart(from)
		for at > 0 && !strings.HasPrefix(strings.TrimLeft(e.text[at:], " "), "-") {
			at = e.lineStart(at - 1)
		}
		line := e.text[at:]
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		if i > 0 && (indent != dash || at < ends[i-1]) || at > from {
			return errByHand
		}
		dash = indent
		if starts[i] = at; i > 0 {
			starts[i] = ends[i-1] // with the comments above it
		}
		ends[i], last = e.lineEnd(to)
	}
	var b strings.Builder
	for i, en := range entries {
		line := dash + "- " + texts[i] + e.eol()
		if en.Was != nil {
			if line = e.text[starts[*en.Was]:ends[*en.Was]]; last && *en.Was == len(ends)-1 {
				line += e.eol()
			}
		}
		b.WriteString(line)
	}
	e.splices = append(e.splices, splice{starts[0], ends[len(ends)-1], b.String()})
	return nil
}

// musicBrackets writes a list in brackets, with what stands between its first two entries between all of them.
func (e *editor) musicBrackets(list *yaml.Node, texts []string) error {
	first, firstEnd, err := e.extent(list.Content[0])
	if err != nil {
		return err
	}
	between, end := ", ", firstEnd
	for i, n := range list.Content[1:] {
		from, to, err := e.extent(n)
		if err != nil {
			return err
		}
		gap := e.text[end:from]
		if strings.Contains(gap, "#") {
			return errors.New("this list has comments in its brackets: start each entry on its own line with a dash to change it here")
		}
		if end = to; i == 0 {
			between = gap
		}
	}
	e.splices = append(e.splices, splice{first, end, strings.Join(texts, between)})
	return nil
}

// extent is where a node is written. Unlike span it takes maps and lists.
func (e *editor) extent(n *yaml.Node) (from, to int, err error) {
	if n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode {
		return e.span(n)
	}
	from = e.offset(n.Line, n.Column)
	if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 {
		return 0, 0, errByHand
	}
	if n.Style&yaml.FlowStyle == 0 {
		if len(n.Content) == 0 {
			return 0, 0, errByHand
		}
		_, to, err = e.extent(n.Content[len(n.Content)-1])
		return from, to, err
	}
	to = from + 1
	for _, c := range n.Content {
		if _, to, err = e.extent(c); err != nil {
			return 0, 0, err
		}
	}
	// Behind the last value there are only spaces, a comma and comments before the bracket.
	for comment := false; to < len(e.text); to++ {
		switch c := e.text[to]; {
		case comment:
			comment = c != '\n' && c != '\r'
		case c == '#':
			comment = true
		case c == ']' || c == '}':
			return from, to + 1, nil
		}
	}
	return 0, 0, errByHand
}
