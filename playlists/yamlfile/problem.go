package yamlfile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Place is a place in a file that a person wrote.
type Place struct {
	File   string `json:"file"`             // as it was named when it was read
	Line   int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Col    int    `json:"col,omitempty"`    // from 1, in characters; 0: the line as a whole
	Source string `json:"source,omitempty"` // the line as written
}

// Severity says how bad a problem is.
type Severity string

const (
	Error   Severity = "error"   // what stands there can't be used
	Warning Severity = "warning" // it works, but probably not as was meant
)

// Problem is one thing that is wrong in a file.
type Problem struct {
	Place
	Severity Severity `json:"severity"`
	Says     string   `json:"says"`            // what is wrong
	Write    string   `json:"write,omitempty"` // how to write it
	// Code is the sentence in room/english.json for who does not write files, and Of what it is about there: a file, a phase, a
	// scene. Empty: there is none of its own.
	Code string `json:"-"`
	Of   string `json:"-"`
}

// About gives the problem a sentence of its own for who does not write files.
func (p Problem) About(code, of string) Problem {
	p.Code, p.Of = code, of
	return p
}

// String is "file:line:col: what is wrong (how to write it)", on one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Col > 0 {
			fmt.Fprintf(&b, ":%d", p.Col)
		}
	}
	b.WriteString(": ")
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Says)
	if p.Write != "" {
		b.WriteString(" (" + p.Write + ")")
	}
	return b.String()
}

// Problems are what is wrong in one or more files, in the order of their places.
type Problems []Problem

// Errors are those that are errors.
func (ps Problems) Errors() Problems { return ps.only(Error) }

// Warnings are those that are warnings.
func (ps Problems) Warnings() Problems { return ps.only(Warning) }

func (ps Problems) only(s Severity) Problems {
	var out Problems
	for _, p := range ps {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

// Strings is each problem on one line.
func (ps Problems) Strings() []string {
	out := make([]string, len(ps))
	for i, p := range ps {
		out[i] = p.String()
	}
	return out
}

// JSON is the problems as an array; none is an empty array.
func (ps Problems) JSON() ([]byte, error) {
	if ps == nil {
		ps = Problems{}
	}
	return json.MarshalIndent(ps, "", "  ")
}

// Render writes each problem with its line and a caret under the place.
func (ps Problems) Render(w io.Writer) error {
	for _, p := range ps {
		if _, err := io.WriteString(w, p.render()); err != nil {
			return err
		}
	}
	return nil
}

// excerpt is how much of a long line is shown, in characters.
const excerpt = 100

func (p Problem) render() string {
	var b strings.Builder
	b.WriteString(p.String() + "\n")
	if p.Line == 0 || strings.TrimSpace(p.Source) == "" {
		return b.String()
	}
	line := []rune(p.Source)
	at := min(max(p.Col-1, 0), len(line))
	if from := at - excerpt/2; from > 0 && len(line) > excerpt {
		line, at = append([]rune("…"), line[from:]...), excerpt/2+1
	}
	if len(line) > excerpt {
		line = append(line[:excerpt:excerpt], '…')
	}
	pad := make([]rune, at)
	for i, r := range line {
		if r != '\t' && (unicode.IsControl(r) || r == utf8.RuneError) {
			line[i] = '·'
		}
		if i < at {
			pad[i] = ' '
			if r == '\t' {
				pad[i] = '\t'
			}
		}
	}
	number := fmt.Sprint(p.Line)
	fmt.Fprintf(&b, "  %s | %s\n", number, string(line))
	if p.Col > 0 {
		fmt.Fprintf(&b, "  %s | %s^\n", strings.Repeat(" ", len(number)), string(pad))
	}
	return b.String()
}

// maxTold is how many warnings of one file are told where there is little room.
const maxTold = 12

// Brief is the problems where there is little room: all errors, and of each file so many warnings as are read before somebody
// mends the first of them.
func (ps Problems) Brief() Problems {
	var out Problems
	told, left := map[string]int{}, map[string]Problem{}
	for _, p := range ps {
		if p.Severity == Warning {
			if told[p.File]++; told[p.File] > maxTold {
				left[p.File] = p
				continue
			}
		}
		out = append(out, p)
	}
	for _, file := range slices.Sorted(maps.Keys(left)) {
		out = append(out, Problem{Place: Place{File: file}, Severity: Warning, Says: fmt.Sprintf("%d more warnings", told[file]-maxTold), Write: "roomd check --all lists them"}.About("playlist-more", fmt.Sprint(told[file]-maxTold)))
	}
	return out
}

// Sorted puts the problems in the order of their places and leaves out those that are said twice.
func (ps Problems) Sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(ps)
}
