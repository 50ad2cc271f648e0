package room

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// enum returns the words of the first list after mark in a file, whatever quotes and commas stand around them.
func enum(t *testing.T, file, mark, end string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), mark)
	list, _, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no %q", file, mark)
	}
	out := regexp.MustCompile(`[a-z]+(-[a-z]+)*`).FindAllString(list, -1)
	slices.Sort(out)
	return out
}

func names(verbs []Verb) (out []string) {
	for _, v := range verbs {
		out = append(out, string(v))
	}
	slices.Sort(out)
	return out
}

// TestVerbsAreTheTable holds the API's description to the table. The page's types are made from that.
func TestVerbsAreTheTable(t *testing.T) {
	all := names(Verbs(false))
	if got := enum(t, "../web/openapi.yaml", "Verb:\n      type: string\n      enum: [", "]"); !slices.Equal(got, all) {
		t.Errorf("openapi.yaml: %v, the table has %v", got, all)
	}
}

// TestFieldsAreTheTable holds the command's fields to the table and the API's description: each is read by some verb, and
// what a verb does not take is not journaled.
func TestFieldsAreTheTable(t *testing.T) {
	var fields []string
	ct := reflect.TypeFor[Command]()
	for k := range ct.NumField() {
		name, _, _ := strings.Cut(ct.Field(k).Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	used := []string{"id", "do", "phase", "before_ms", "device"}
	for _, r := range table {
		for _, f := range strings.Fields(r.takes) {
			if !slices.Contains(fields, f) {
				t.Errorf("%s takes %q, which no command has", r.do, f)
			}
			used = append(used, f)
		}
		if (r.session == nil) == (r.room == nil) || r.in == 0 || r.session != nil && r.in&beforehand != 0 || r.undo && r.session == nil {
			t.Errorf("the row of %s is for no mode, or for both kinds", r.do)
		}
	}
	api, err := os.ReadFile("../web/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(api), "\n    Command:\n")
	described, _, _ := strings.Cut(rest, "\n    Verb:")
	for _, f := range fields {
		if !slices.Contains(used, f) {
			t.Errorf("no verb takes %q", f)
		}
		if f != "plan" && f != "device" && // the room or the server fills them in
			!strings.Contains(described, "\n        "+f+":") {
			t.Errorf("openapi.yaml does not describe %q", f)
		}
	}
	db := 1.0
	c := Command{ID: "1", Do: Hold, Phase: "A", By: "5m", DB: &db, Text: "Anna", Role: "ambient", Second: true, BeforeMS: 5, Device: "iPad"}
	r, _ := find(Hold, InSession, false)
	if got := r.only(c); !reflect.DeepEqual(got, Command{ID: "1", Do: Hold, Phase: "A", BeforeMS: 5, Device: "iPad"}) {
		t.Errorf("hold keeps %+v", got)
	}
}

// TestModes asks every verb of a room in every mode: it is allowed where the table says, and refused in words elsewhere.
func TestModes(t *testing.T) {
	b := begin(journey())
	place := Place{Scenes: []string{"dusk"}, Roles: []string{"ambient"}}
	db := -3.0
	idle := State{Room: place}
	input := func(v Verb) Input {
		c := &Command{ID: string(v), Do: v, Playlist: "journey", By: "5m", In: "5m", DB: &db, Name: "Vitals", Scene: "dusk", Role: "ambient", Speed: 60}
		in := Input{Command: c, Begin: &b, ID: "s"}
		if v == CheckSound || v == Audition || v == Arrival {
			check, refused := checkOf(*c, b, nil)
			if refused != nil {
				t.Fatal(refused)
			}
			in.Check = check
		}
		return in
	}
	with := func(st State, v Verb) State {
		next, _, err := Step(st, input(v), time.Minute)
		if err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		return next
	}
	session := with(idle, Start)
	states := map[Mode]State{Idle: idle, Checking: with(idle, CheckSound), Rehearsing: with(idle, Rehearse), InSession: session, InEnding: with(session, End)}
	for mode, st := range states {
		if st.Mode() != mode {
			t.Fatalf("mode %d is %d", mode, st.Mode())
		}
		for _, v := range append(Verbs(false), "dance") {
			allowed := false
			for _, r := range table {
				allowed = allowed || r.do == v && r.in&mode != 0
			}
			before := fmt.Sprintf("%+v", st)
			next, eff, err := Step(st, input(v), time.Minute)
			if fmt.Sprintf("%+v", st) != before {
				t.Fatalf("%s in mode %d changed the state that it was given", v, mode)
			}
			refused, _ := err.(*Refused)
			switch {
			case err != nil && refused == nil:
				t.Errorf("%s in mode %d: %v", v, mode, err)
			case !allowed && (refused == nil || refused.Code == "" || refused.Reason != english[refused.Code] && refused.Args == nil):
				t.Errorf("%s in mode %d: %v", v, mode, err)
			case !allowed && (!reflect.DeepEqual(eff, Effects{}) || next.Mode() != mode):
				t.Errorf("%s in mode %d is refused and does something: %+v", v, mode, eff)
			case allowed && refused != nil && slices.Contains([]string{"no-session", "session-ended", "session-ending", "session-runs", "before-only", "scene-in-session"}, refused.Code):
				t.Errorf("%s in mode %d: %v", v, mode, err)
			}
		}
	}
}

// TestSentences holds each sentence to its code: all that the code says are there, all that are there are said, and their
// arguments are those of the text.
func TestSentences(t *testing.T) {
	var files []string
	for _, folder := range []string{".", "mqtt", "topics", "lights", "clinic", "journal", "doctor", "../player/output", "../playlists", "../playlists/yamlfile", "../web", "../cmd/roomd"} {
		some, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, some...)
	}
	said := map[string][]string{}
	constants := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && file != "words.go" {
					constants[s] = true
				}
			case *ast.CompositeLit:
				// What has no code can't be translated: only words.go makes these.
				name := ""
				switch t := n.Type.(type) {
				case *ast.Ident:
					if filepath.Dir(file) == "." {
						name = t.Name
					}
				case *ast.SelectorExpr:
					if x, ok := t.X.(*ast.Ident); ok && x.Name == "room" {
						name = t.Sel.Name
					}
				}
				if file != "words.go" && len(n.Elts) > 0 && slices.Contains([]string{"Problem", "Refused", "Said"}, name) {
					t.Errorf("%s makes a %s by hand", file, name)
				}
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					if name = f.Name; name == "say" && filepath.Dir(file) != "mqtt" || name == "said" && filepath.Dir(file) != "lights" {
						return true // another's
					}
				case *ast.SelectorExpr:
					name = f.Sel.Name
					if x, ok := f.X.(*ast.Ident); name == "say" || name == "said" || name == "Open" && (!ok || x.Name != "doctor") {
						return true
					}
				}
				args := n.Args
				switch {
				case slices.Contains([]string{"Good", "Bad", "Open"}, name) && len(args) > 1:
					args = args[1:]
				case name == "NewProblem" && len(args) > 1:
					args = args[1:]
				case !slices.Contains([]string{"say", "said", "Say", "Refuse", "About", "about"}, name) || len(args) == 0:
					return true
				}
				lit, ok := args[0].(*ast.BasicLit)
				if !ok { // outageProblem
					if len(args) > 1 && file == "room.go" {
						for _, code := range []string{"disk-full", "disk-read-only", "disk-fails"} {
							said[code+"-taps"] = []string{"n"}
						}
					}
					return true
				}
				code, _ := strconv.Unquote(lit.Value)
				if english[code] == "" {
					t.Errorf("%s: no sentence is called %q", file, code)
				}
				if name == "About" || name == "about" {
					return true // each has {name}, or nothing
				}
				names := []string{}
				for k := 1; k+1 < len(args); k += 2 {
					if lit, ok := args[k].(*ast.BasicLit); ok {
						name, _ := strconv.Unquote(lit.Value)
						names = append(names, name)
					}
				}
				if filepath.Dir(file) == "lights" && strings.Contains(english[code]+english[code+"-do"], "{role}") && !slices.Contains(names, "role") {
					names = append(names, "role") // each has it
				}
				if was, ok := said[code]; !ok || len(names) > len(was) {
					said[code] = names
				}
			}
			return true
		})
	}
	for _, code := range slices.Sorted(maps.Keys(english)) {
		names, used := said[code]
		var holes []string
		for _, m := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(english[code]+english[code+"-do"], -1) {
			if !slices.Contains(holes, m[1]) {
				holes = append(holes, m[1])
			}
		}
		switch {
		case used:
			slices.Sort(names)
			slices.Sort(holes)
			if !slices.Equal(names, holes) {
				t.Errorf("%s is said with %v, its text has %v", code, names, holes)
			}
		case constants[code] || slices.Contains(endings, code) || strings.HasPrefix(code, "disk-"):
		case !strings.HasSuffix(code, "-do") || english[strings.TrimSuffix(code, "-do")] == "":
			t.Errorf("nobody says %s", code)
		}
	}
	b, err := json.Marshal(Refuse("given-already", "mark", "Lozenge", "ago", 61*time.Second))
	if want := `{"reason":"Lozenge was noted 61 s ago. For a second dose, press and hold it.","code":"given-already","args":{"ago_ms":61000,"mark":"Lozenge"}}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}
