package room

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Answers are what a setup asks for. What is nil or not in the map stays as it is.
type Answers struct {
	Room   *string
	Device *string // of audio; "" for the default one
	// Reference is of audio, LUFS.
	Reference *float64
	Broker    *string // of mqtt
	// Lights are roles, each with its lamps as the file has them: {driver: zigbee2mqtt, topic: …}, or a list of such.
	Lights map[string]string
}

// firstConfig is a room file that says nothing yet.
const firstConfig = `# The room. roomd setup writes this file and can be run again; change what you like.
# Everything has a default. What each key means is in docs/room.md.
# A room that runs takes a change over by itself, after a session. roomd check says whether it is right.
`

// WriteConfig is a room file with the answers in it: an empty text is written anew, in any other all that is not asked for
// stays, its comments and its lines with it.
func WriteConfig(text []byte, a Answers) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte(firstConfig)
	}
	type change struct {
		key, comment string
		to           func(was *yaml.Node) (*yaml.Node, error)
	}
	set := func(path, tag string, value string) func(*yaml.Node) (*yaml.Node, error) {
		return func(was *yaml.Node) (*yaml.Node, error) {
			to := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
			if path == "" {
				return to, nil
			}
			return with(was, path, to, yaml.FlowStyle)
		}
	}
	var changes []change
	if a.Room != nil {
		changes = append(changes, change{"room", "", set("", "!!str", *a.Room)})
	}
	if a.Device != nil {
		changes = append(changes, change{"audio", "The sound device, by its name: it is never replaced by another. \"\" is the system's own.", set("device", "!!str", *a.Device)})
	}
	if a.Reference != nil {
		changes = append(changes, change{"audio", "How loud the music is: what a level of 0 is, in LUFS.", set("reference", "", strconv.FormatFloat(*a.Reference, 'f', -1, 64))})
	}
	if a.Broker != nil {
		changes = append(changes, change{"mqtt", "The way to the lamps: embedded is roomd's own broker.", set("broker", "!!str", *a.Broker)})
	}
	if len(a.Lights) > 0 {
		changes = append(changes, change{"lights", "Roles, each with its lamps. ambient is the room's light, accent a second, smaller one.", func(was *yaml.Node) (*yaml.Node, error) {
			node := was
			for _, role := range sortedKeys(a.Lights) {
				var doc yaml.Node
				if err := yaml.Unmarshal([]byte(a.Lights[role]), &doc); err != nil || len(doc.Content) == 0 {
					return nil, fmt.Errorf("the lamps of %s: %w", role, errors.Join(err, errors.New("they can't be written")))
				}
				var err error
				if node, err = with(node, role, doc.Content[0], 0); err != nil {
					return nil, err
				}
			}
			return node, nil
		}})
	}
	for _, c := range changes {
		var err error
		if text, err = splice(text, c.key, c.comment, c.to); err != nil {
			return nil, err
		}
	}
	return text, nil
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// with is a mapping with a key set: a copy of was, or a new one of the style.
func with(was *yaml.Node, key string, to *yaml.Node, style yaml.Style) (*yaml.Node, error) {
	m := &yaml.Node{Kind: yaml.MappingNode, Style: style}
	if was != nil && was.Tag != "!!null" {
		if was.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("line %d: this is no map of keys, so it can't be changed: correct it by hand first", was.Line)
		}
		m.Style, m.HeadComment, m.LineComment, m.FootComment = was.Style, was.HeadComment, was.LineComment, was.FootComment
		m.Content = slices.Clone(was.Content)
	}
	for i := 0; i < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1] = to
			return m, nil
		}
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, to)
	return m, nil
}

// splice replaces the lines of one key of a file, or adds them at its end, and leaves every other line as it is.
func splice(text []byte, key, comment string, to func(*yaml.Node) (*yaml.Node, error)) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("the room file can't be read, so it can't be changed: %w", err)
	}
	var root yaml.Node
	if len(doc.Content) > 0 {
		root = *doc.Content[0]
	}
	if root.Kind != 0 && (root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0) {
		return nil, errors.New("the room file is written in braces, or is no map of keys: write a key a line first")
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	from, till := len(lines), len(lines) // the key's lines, from 0
	var was *yaml.Node
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value != key {
			continue
		}
		was, from = root.Content[i+1], root.Content[i].Line-1
		if i+2 < len(root.Content) {
			till = root.Content[i+2].Line - 1
		}
		// What stands before the next key, and no deeper than it, belongs to that.
		for till > from+1 && (len(bytes.TrimSpace(lines[till-1])) == 0 || lines[till-1][0] == '#') {
			till--
		}
	}
	value, err := to(was)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, l := range lines[:from] {
		b.Write(l)
	}
	if was == nil {
		if b.Len() > 0 && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
			b.WriteByte('\n')
		}
		if comment != "" {
			b.WriteString("\n# " + comment + "\n")
		}
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: key}, value}}); err != nil {
		return nil, err
	}
	for _, l := range lines[till:] {
		b.Write(l)
	}
	// Nothing else may have changed.
	var before, after map[string]any
	if err := yaml.Unmarshal(text, &before); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(b.Bytes(), &after); err != nil {
		return nil, fmt.Errorf("%s is written in a way that can't be changed: change it by hand (%w)", key, err)
	}
	delete(before, key)
	delete(after, key)
	if !reflect.DeepEqual(before, after) && len(before)+len(after) > 0 {
		return nil, fmt.Errorf("%s is written in a way that can't be changed: change it by hand", key)
	}
	return b.Bytes(), nil
}

// SchemaLine is the line that leads editors from a room file to its JSON Schema.
func SchemaLine(schema string) string {
	return "# yaml-language-server: $schema=" + strings.ReplaceAll(schema, "\n", "") + "\n"
}

// WithoutComments is a room file without its comments, which may hold anything. An error is a text that is no YAML.
func WithoutComments(text []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("it is no YAML: %w", err)
	}
	var strip func(*yaml.Node)
	strip = func(n *yaml.Node) {
		n.HeadComment, n.LineComment, n.FootComment = "", "", ""
		for _, m := range n.Content {
			strip(m)
		}
	}
	strip(&doc)
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return yaml.Marshal(&doc)
}
