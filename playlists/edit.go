package playlists

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v4"

	"roomd/playlists/yamlfile"
)

// PhaseEdit is what a phase shall be: Was is its place in the file so far, from 0. What is nil stays as it is.
type PhaseEdit struct {
	Was    int
	Length *time.Duration
	Level  *float64 // dB against the room's reference loudness
	Scene  *string
	Fade   *time.Duration
}

// Errors of Edit and Save.
var (
	// ErrChanged: somebody else has changed the file meanwhile.
	ErrChanged = errors.New("the file has changed meanwhile")
	// ErrNoFile: the playlist is no file: a folder, a list, or a starter.
	ErrNoFile = errors.New("this playlist is not a file yet")
)

// Edit is the text of a playlist's file with its phases in another order or otherwise. What is not asked for stays as it
// was written: comments, the order of keys, spaces. It needs a file without errors, and its phases to stand in lines of
// their own where their order changes; the error says so.
func Edit(text []byte, phases []PhaseEdit) ([]byte, error) {
	root, _, err := yamlfile.Decode(text)
	if err != nil {
		return nil, err
	}
	e := &editor{lines: strings.SplitAfter(string(text), "\n")}
	if root == nil || root.Kind != yaml.MappingNode {
		return nil, errors.New("the file is no playlist")
	}
	list := valueOf(root, "phases")
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil, errors.New("the file has no list of phases")
	}
	seen := make([]bool, len(list.Content))
	for _, p := range phases {
		if p.Was < 0 || p.Was >= len(seen) || seen[p.Was] {
			return nil, fmt.Errorf("phase %d is not there, or stands twice", p.Was+1)
		}
		seen[p.Was] = true
	}
	if len(phases) != len(seen) {
		return nil, fmt.Errorf("there are %d phases in the file, and %d are asked for", len(seen), len(phases))
	}
	for _, p := range phases {
		node := list.Content[p.Was]
		if node.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("phase %d stands elsewhere in the file (an alias): change it in an editor", p.Was+1)
		}
		if err := e.phase(node, p); err != nil {
			return nil, fmt.Errorf("phase %d: %w", p.Was+1, err)
		}
	}
	e.apply()
	if slices.IsSortedFunc(phases, func(a, b PhaseEdit) int { return a.Was - b.Was }) {
		return []byte(strings.Join(e.lines, "")), nil
	}
	return e.order(phases)
}

// valueOf is a key's value in a map; nil: it has no such key.
func valueOf(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// editor changes a text in place.
type editor struct {
	lines   []string // each with its end
	changes []change
}

// change puts text in the place of n characters, in a line from 0 and at a character from 0. A change of no characters
// whose text ends in a line's end is a line of its own, before that line.
type change struct {
	line, at, n int
	text        string
}

// apply makes all changes, the last in the text first, so that the places of the others stay. Of those at one place the
// first stands first then.
func (e *editor) apply() {
	slices.Reverse(e.changes)
	slices.SortStableFunc(e.changes, func(a, b change) int { return cmp.Or(b.line-a.line, b.at-a.at) })
	for _, c := range e.changes {
		line := []rune(e.lines[c.line])
		e.lines[c.line] = string(line[:c.at]) + c.text + string(line[c.at+c.n:])
	}
}

// phase notes the changes that one phase needs.
func (e *editor) phase(m *yaml.Node, p PhaseEdit) error {
	length := valueOf(m, "length")
	if length == nil {
		return errors.New("it has no length")
	}
	if p.Length != nil {
		if was, ok := ParseLength(length.Value); !ok || was != *p.Length {
			if err := e.set(length, FormatLength(*p.Length)); err != nil {
				return err
			}
		}
	}
	if p.Level != nil {
		text := strconv.FormatFloat(*p.Level, 'f', -1, 64)
		if v := valueOf(m, "level"); v == nil {
			if *p.Level != 0 {
				e.add(m, length, "level: "+text)
			}
		} else if was, err := strconv.ParseFloat(v.Value, 64); err != nil || was != *p.Level {
			if err := e.set(v, text); err != nil {
				return err
			}
		}
	}
	if p.Scene == nil && p.Fade == nil {
		return nil
	}
	lights := valueOf(m, "lights")
	switch {
	case lights == nil && p.Scene == nil:
		return errors.New("it has no light to fade to: choose a scene")
	case lights == nil:
		text := "lights: {scene: " + scalar(*p.Scene)
		if p.Fade != nil {
			text += ", fade: " + FormatLength(*p.Fade)
		}
		e.add(m, length, text+"}")
		return nil
	case lights.Kind != yaml.MappingNode:
		return errors.New("its light stands elsewhere in the file (an alias): change it in an editor")
	}
	scene := valueOf(lights, "scene")
	if scene == nil {
		return errors.New("its light has no scene")
	}
	if p.Scene != nil && scene.Value != *p.Scene {
		if err := e.set(scene, scalar(*p.Scene)); err != nil {
			return err
		}
	}
	if p.Fade != nil {
		if v := valueOf(lights, "fade"); v == nil {
			e.add(lights, scene, "fade: "+FormatLength(*p.Fade))
		} else if was, ok := ParseLength(v.Value); !ok || was != *p.Fade {
			return e.set(v, FormatLength(*p.Fade))
		}
	}
	return nil
}

// set writes another value in the place of one.
func (e *editor) set(v *yaml.Node, text string) error {
	at, n, err := e.span(v)
	if err != nil {
		return err
	}
	e.changes = append(e.changes, change{v.Line - 1, at, n, text})
	return nil
}

// span is where a value stands in its line.
func (e *editor) span(v *yaml.Node) (at, n int, err error) {
	line := []rune(e.lines[v.Line-1])
	at = v.Column - 1
	if at < 0 || at >= len(line) {
		return 0, 0, errors.New("it is written in a way that can't be changed here: use an editor")
	}
	rest := string(line[at:])
	switch {
	case v.Kind == yaml.AliasNode:
		return at, len([]rune("*" + v.Value)), nil
	case v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		for i := 1; i < len(line)-at; i++ {
			c := line[at+i]
			if c == '\\' && line[at] == '"' {
				i++
			} else if c == line[at] {
				return at, i + 1, nil
			}
		}
	case v.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && v.Anchor == "" && strings.HasPrefix(rest, v.Value):
		return at, len([]rune(v.Value)), nil
	}
	return 0, 0, errors.New("it is written in a way that can't be changed here: use an editor")
}

// add writes one more key of a map, after a value that it has.
func (e *editor) add(m, after *yaml.Node, text string) {
	if m.Style&yaml.FlowStyle != 0 {
		if at, n, err := e.span(after); err == nil {
			e.changes = append(e.changes, change{after.Line - 1, at + n, 0, ", " + text})
		}
		return
	}
	end := "\n"
	last := e.lines[after.Line-1]
	if strings.HasSuffix(last, "\r\n") {
		end = "\r\n"
	}
	text = strings.Repeat(" ", m.Content[0].Column-1) + text
	if !strings.HasSuffix(last, "\n") { // the file's last line
		e.changes = append(e.changes, change{after.Line - 1, len([]rune(last)), 0, end + text})
		return
	}
	e.changes = append(e.changes, change{after.Line, 0, 0, text + end})
}

// order puts the lines of the phases in their new order.
func (e *editor) order(phases []PhaseEdit) ([]byte, error) {
	text := strings.Join(e.lines, "")
	root, _, err := yamlfile.Decode([]byte(text))
	if err != nil {
		return nil, err
	}
	list := valueOf(root, "phases")
	if list.Style&yaml.FlowStyle != 0 {
		return nil, errors.New("the phases stand in brackets: write each in a line of its own, after a dash, to change their order here")
	}
	lines := strings.SplitAfter(text, "\n")
	comment := func(i int) bool { return strings.HasPrefix(strings.TrimSpace(lines[i]), "#") }
	var starts []int
	for _, n := range list.Content {
		at := n.Line - 1
		for at > 0 && !strings.HasPrefix(strings.TrimSpace(lines[at]), "-") {
			at--
		}
		for at > 0 && comment(at-1) { // what is said above a phase goes with it
			at--
		}
		starts = append(starts, at)
	}
	end := lastLine(list)
	if !slices.IsSorted(starts) || end > len(lines) {
		return nil, errors.New("the phases are written in a way that can't be put in order here: use an editor")
	}
	if !strings.HasSuffix(lines[end-1], "\n") {
		lines[end-1] += "\n"
	}
	var b strings.Builder
	b.WriteString(strings.Join(lines[:starts[0]], ""))
	for _, p := range phases {
		to := end
		if p.Was+1 < len(starts) {
			to = starts[p.Was+1]
		}
		b.WriteString(strings.Join(lines[starts[p.Was]:to], ""))
	}
	b.WriteString(strings.Join(lines[end:], ""))
	return []byte(b.String()), nil
}

// lastLine is the last line of what is in a node, from 1.
func lastLine(n *yaml.Node) int {
	last := n.Line
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		last += strings.Count(n.Value, "\n")
	}
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

// File is a playlist's file as it is now.
type File struct {
	Name     string // below the playlists folder, with slashes
	Text     []byte
	Revision string   // of the text
	Problems Problems // of the text; and of its music, where that has been looked at since
}

// Revision tells a text from every other.
func Revision(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// File is the file of a playlist. The error is ErrNoFile where the playlist is a folder, a list or a starter, and
// fs.ErrNotExist where there is no such playlist.
func (l *Library) File(id string) (File, error) {
	l.mu.Lock()
	s, ok := l.shelf[id]
	l.mu.Unlock()
	switch {
	case !ok:
		return File{}, fs.ErrNotExist
	case s.file == "" || s.drafted:
		return File{}, ErrNoFile
	}
	folder, err := openFolder(l.o.Folder)
	if err != nil {
		return File{}, err
	}
	if _, err := folder.stat(s.file); err != nil {
		return File{}, err
	}
	text, err := os.ReadFile(folder.abs(s.file))
	if err != nil {
		return File{}, err
	}
	f := File{Name: s.file, Text: text, Revision: Revision(text)}
	if e, ok := l.Get(id); ok && e.Playlist != nil && e.Playlist.Revision == f.Revision {
		f.Problems = e.Problems
	} else {
		_, f.Problems = Parse(id, f.Name, text)
	}
	return f, nil
}

// keptVersions is how many earlier versions of a file are kept.
const keptVersions = 20

// Save writes a playlist's file anew, if it is still at the revision that was read, and keeps the earlier version in the
// folder ".versions" below the playlists folder: NAME.1.yaml is the oldest. It writes nothing where the text has errors,
// which are among the problems. The error is ErrChanged, ErrNoFile or what the disk says.
func (l *Library) Save(id, revision string, text []byte) (File, Problems, error) {
	l.saving.Lock()
	defer l.saving.Unlock()
	f, err := l.File(id)
	if err != nil {
		return f, nil, err
	}
	if f.Revision != revision {
		return f, nil, ErrChanged
	}
	_, problems := Parse(id, f.Name, text)
	if len(problems.Errors()) > 0 {
		return f, problems, nil
	}
	if string(text) == string(f.Text) {
		return f, problems, nil
	}
	if err := l.keepVersion(f); err != nil {
		return f, problems, fmt.Errorf("keep the earlier version: %w", err)
	}
	if err := replaceFile(filepath.Join(l.o.Folder, filepath.FromSlash(f.Name)), text); err != nil {
		return f, problems, err
	}
	f.Text, f.Revision, f.Problems = text, Revision(text), problems
	l.scan()
	return f, problems, nil
}

// Found writes the file of a playlist that has none: of a folder or list beside it, of a starter into the playlists
// folder. It never writes over a file: the error is then fs.ErrExist.
func (l *Library) Found(id string) (string, error) {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	s, ok := l.shelf[id]
	l.mu.Unlock()
	if !ok {
		return "", fs.ErrNotExist
	}
	if _, err := l.File(id); !errors.Is(err, ErrNoFile) {
		return "", fs.ErrExist
	}
	name := draftFile(s.file)
	var text []byte
	var err error
	if s.drafted {
		l.mu.Lock()
		text = s.text
		l.mu.Unlock()
	} else {
		base := strings.TrimPrefix(id, "starter/")
		name = base + ".yaml"
		text, err = StarterFile(base)
	}
	if err != nil {
		return "", err
	}
	if err := createFile(l.o.Folder, name, text); err != nil {
		return "", err
	}
	l.scan()
	return strings.TrimSuffix(name, ".yaml"), nil
}

// createFile writes a playlist file that was not there, with a line that leads editors to the schema.
func createFile(root, name string, text []byte) error {
	if err := writeSchema(root); err != nil {
		return err
	}
	text = append([]byte("# yaml-language-server: $schema="+strings.Repeat("../", strings.Count(name, "/"))+schemaFile+"\n"), text...)
	f, err := os.OpenFile(filepath.Join(root, filepath.FromSlash(name)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return cmp.Or(err, errors.Join(f.Sync(), f.Close()))
}

func (l *Library) keepVersion(f File) error {
	dir := filepath.Join(l.o.Folder, ".versions", filepath.FromSlash(path.Dir(f.Name)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	end := path.Ext(f.Name)
	base := strings.TrimSuffix(path.Base(f.Name), end)
	var numbers []int
	es, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range es {
		if rest, ok := strings.CutPrefix(e.Name(), base+"."); ok && strings.HasSuffix(rest, end) {
			if n, err := strconv.Atoi(strings.TrimSuffix(rest, end)); err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	next := 1
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	for len(numbers) >= keptVersions {
		_ = os.Remove(filepath.Join(dir, fmt.Sprintf("%s.%d%s", base, numbers[0], end)))
		numbers = numbers[1:]
	}
	return replaceFile(filepath.Join(dir, fmt.Sprintf("%s.%d%s", base, next, end)), f.Text)
}

// replaceFile writes a file whole or not at all. Its rights stay, and a link to it.
func replaceFile(name string, text []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	return renameio.WriteFile(name, text, 0o644, renameio.WithExistingPermissions())
}
