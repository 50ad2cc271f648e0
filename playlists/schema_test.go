package playlists

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// suits says whether a YAML text suits a schema. ok is false where it is not YAML, or holds what JSON can't.
func suits(s *jsonschema.Schema, text []byte) (valid error, ok bool) {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return nil, false
	}
	v, ok := jsonOf(doc.Content[0])
	if !ok {
		return nil, false
	}
	return s.Validate(v), true
}

// jsonOf is a value as an editor sees it: dates are texts.
func jsonOf(n *yaml.Node) (any, bool) {
	switch n.Kind {
	case yaml.AliasNode:
		return jsonOf(n.Alias)
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			v, ok := jsonOf(n.Content[i+1])
			if _, twice := m[n.Content[i].Value]; !ok || twice || n.Content[i].Kind != yaml.ScalarNode {
				return nil, false
			}
			m[n.Content[i].Value] = v
		}
		return m, true
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			v, ok := jsonOf(c)
			if !ok {
				return nil, false
			}
			l = append(l, v)
		}
		return l, true
	}
	if n.ShortTag() == "!!timestamp" {
		return n.Value, true
	}
	var v any
	err := n.Decode(&v)
	return v, err == nil
}

// crossRules are broken files that no schema can see: one value is wrong because of another, or of how it is written.
var crossRules = []string{
	"too-long-together.yaml", "stage-order.yaml", "same-name.yaml", "crossfade-phase.yaml", "crossfade-playlist.yaml", "until-not-offered.yaml", "boost.yaml", "part-order.yaml", "menu-twice.yaml",
	"two-documents.yaml", // an editor looks at each by itself
	"tag.yaml",           // it is text, in a way that nobody writes
}

// TestSchema holds that an editor with the schema and roomd itself say the same of a file.
func TestSchema(t *testing.T) {
	s := compile(t, Schema())
	archive, err := txtar.ParseFile("testdata/broken.txtar")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".want") {
			continue
		}
		_, problems := Parse("x", f.Name, f.Data)
		valid, ok := suits(s, f.Data)
		if !ok {
			continue
		}
		compared++
		cross := slices.Contains(crossRules, f.Name)
		if bad := len(problems.Errors()) > 0; bad != (valid != nil) && !cross || cross && (!bad || valid != nil) {
			t.Errorf("%s: roomd says %v, the schema %v", f.Name, problems.Strings(), valid)
		}
	}
	if compared < 40 {
		t.Errorf("only %d files compared", compared)
	}
	good, _ := filepath.Glob("starter/*.yaml")
	for _, name := range append(good, "testdata/example.yaml") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if valid, ok := suits(s, data); !ok || valid != nil {
			t.Errorf("%s: %v", name, valid)
		}
	}
}

// TestSchemaAgrees compares the two on random files, made of values that are right and wrong by themselves.
func TestSchemaAgrees(t *testing.T) {
	s := compile(t, Schema())
	values := map[string][]string{
		"name":  {"A", "7", "true", `""`, `"  "`, "[A]", "~", "{a: b}", strings.Repeat("x", 80), strings.Repeat("x", 81), `"a\tb"`, "2026-11-23", "夜", "1.50"},
		"about": {"Slow", strings.Repeat("x", 600), strings.Repeat("x", 601), "|\n  a\n  b"},
		"keep":  {"end", "lengths", "End", "1"}, "crossfade": {"8s", "0s", "8", "1m", "-1s", "s"}, "bed": {"rain", "wind", "~"},
		"stage": {"preparation", "integration", "x"}, "length": {"30m", "1h", "30", "0m", "00s", "1h30", "3 m", "~", "[1m]"}, "flex": {"0s", "10s", "x"},
		"music":     {"a.flac", "silence", "[silence]", "[a, silence]", "{bed: rain}", "[{bed: rain}, b]", "[]", "{}", "{bed: x}", "{file: a}", "[[a]]", "~", "7", "[~]"},
		"pool":      {"a/", "[a/, {bed: rain, intensity: 2}]", "[{file: b, intensity: 4.5}]", "silence", "[silence]", "[a, silence]", "[]", "{}", "[{file: b, intensity: 6}]", "~"},
		"menu":      {"{Open: a/}", "{Open: [a, b], Still: silence}", "{A: a, B: b, C: c, D: d, E: e}", "{A: a, B: b, C: c, D: d, E: e, F: f}", "{}", "{Open: []}", "{Open: [a, silence]}", "a/", "[a]", "{Open: ~}", `{" ": a}`, "{7: a}"},
		"intensity": {"3", "2..4", "4.5..1", "1.25", "5.0", "5.1", "0", "6..7", "2-4", "2..", "..4", "2..4..5", `"3"`, "[2, 4]", "~", "high"},
		"order":     {"listed", "fit", "random"}, "level": {"0", "-4.5", "12", "12.1", "-41", `"3"`, "x", "~"},
		"lights":   {"{scene: dusk}", "{scene: dusk, fade: 10s}", "{fade: 5m}", "dusk", "{scene: dusk, fade: 0s}", "{scene: dusk, x: 1}"},
		"marks":    {"[A]", "[]", "[A, A]", "A", "[~]", "[7, x]"},
		"remind":   {"[]", "[{in: 1s, say: x}]", "[{in: 1s}]", "[{in: 1s, marks: [A]}]", "[{in: 1s, marks: []}]", "[{say: x}]", "{in: 1s}", "[x]"},
		"nonsense": {"1"},
	}
	top := []string{"name", "about", "keep", "crossfade", "bed", "remind", "nonsense"}
	phase := []string{"name", "stage", "length", "flex", "music", "pool", "menu", "intensity", "order", "level", "lights", "marks", "nonsense"}
	agree := func(text string, fatalf func(string, ...any)) {
		_, problems := Parse("x", "x.yaml", []byte(text))
		valid, ok := suits(s, []byte(text))
		if !ok {
			return // no YAML
		}
		// What only the parser can see is left out of the values, but for a crossfade or flex that is too long.
		var own Problems
		for _, p := range problems.Errors() {
			if !strings.Contains(p.Says, "not less than") && !strings.Contains(p.Says, "not longer than") {
				own = append(own, p)
			}
		}
		if len(own) < len(problems.Errors()) && len(own) == 0 {
			return
		}
		if (len(own) > 0) != (valid != nil) {
			fatalf("%s\nroomd says %v\nthe schema %v", text, own.Strings(), valid)
		}
	}
	const usual = "name: A\nphases:\n  - name: A\n    stage: preparation\n    length: 30m\n"
	for _, k := range top {
		for _, v := range values[k] {
			if k == "name" {
				agree(strings.Replace(usual, "name: A", "name: "+v, 1), t.Errorf)
			} else {
				agree(k+": "+v+"\n"+usual, t.Errorf)
			}
		}
	}
	for _, k := range phase {
		for _, v := range values[k] {
			if was := map[string]string{"name": "    name: A", "stage": "    stage: preparation", "length": "    length: 30m"}[k]; was == "" {
				agree(usual+"    "+k+": "+v+"\n", t.Errorf)
			} else {
				agree(strings.Replace(strings.Replace(usual, "  - name", "  -\n    name", 1), was, "    "+k+": "+v, 1), t.Errorf)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		fields := func(keys []string, indent string) string {
			var b strings.Builder
			for _, k := range keys {
				// Mostly right, so that one wrong value is seen by itself.
				if v := values[k]; k == "name" || k == "stage" || k == "length" {
					if rapid.IntRange(0, 19).Draw(t, "leave out") > 0 {
						pick := v[0]
						if rapid.IntRange(0, 4).Draw(t, "usual") == 0 {
							pick = rapid.SampledFrom(v).Draw(t, k)
						}
						fmt.Fprintf(&b, "%s%s: %s\n", indent, k, pick)
					}
				} else if rapid.IntRange(0, 5).Draw(t, "with "+k) == 0 && (k != "nonsense" || rapid.IntRange(0, 9).Draw(t, "odd") == 0) {
					fmt.Fprintf(&b, "%s%s: %s\n", indent, k, rapid.SampledFrom(v).Draw(t, k))
				}
			}
			return b.String()
		}
		ph := fields(phase, "    ")
		text := fields(top, "") + "phases:\n  -" + strings.TrimPrefix(ph, "   ")
		if ph == "" {
			text = "phases: []\n"
		}
		agree(text, t.Fatalf)
	})
}
