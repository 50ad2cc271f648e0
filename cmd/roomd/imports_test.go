package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"roomd/rig"
)

// TestImportRules holds the map of the packages: who may know whom, and the one place where a library is used.
func TestImportRules(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "roomd/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	imports := map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		imports[strings.TrimPrefix(p.ImportPath, "roomd/")] = p.Imports
	}
	if len(imports) < 10 {
		t.Fatalf("only %d packages found", len(imports))
	}
	under := func(pkg, tree string) bool { return pkg == tree || strings.HasPrefix(pkg, tree+"/") }
	// forbidden[a] must not import anything of b.
	forbidden := map[string][]string{
		"playlists":   {"roomd/player", "roomd/room", "roomd/web"},
		"player":      {"roomd/playlists", "roomd/room", "roomd/web"},
		"room/lights": {"roomd/player", "roomd/playlists", "roomd/web", "roomd/room/mqtt"},
		"room/mqtt":   {"roomd/player", "roomd/playlists", "roomd/web", "roomd/room/lights"},
		"web":         {"roomd/player", "roomd/room/lights", "roomd/room/mqtt"},
	}
	only := map[string][]string{ // library: the trees that may import it
		"github.com/gopxl/beep":        {"player"},
		"github.com/eclipse/paho":      {"room/mqtt", "rig"},
		"github.com/gorilla/websocket": {"web"},
		"github.com/robfig/cron":       {"room"},
		"modernc.org/sqlite":           {"room/journal"},
		"github.com/ebitengine/purego": {"player/output"},
		"go.yaml.in/yaml":              {"playlists", "room"},
		"github.com/fsnotify/fsnotify": {"playlists"},
		"github.com/hashicorp/mdns":    {"room/mqtt"},
		"github.com/nats-io":           {"web/desk"},
		"roomd/cmd":                    {},
		"roomd/rig":                    {},
	}
	for pkg, deps := range imports {
		for tree, bad := range forbidden {
			if !under(pkg, tree) {
				continue
			}
			for _, d := range deps {
				for _, b := range bad {
					if under(d, b) && d != "roomd/player/decode/endings" { // names alone
						t.Errorf("%s imports %s", pkg, d)
					}
				}
			}
		}
		for lib, trees := range only {
			for _, d := range deps {
				if !strings.HasPrefix(d, lib) {
					continue
				}
				ok := false
				for _, tree := range trees {
					ok = ok || under(pkg, tree)
				}
				if !ok {
					t.Errorf("%s imports %s, which belongs to %v", pkg, d, trees)
				}
			}
		}
	}
	files, err := exec.Command("grep", "-rl", "--include=*.go", "--exclude=*_test.go", `^	"github.com/nats-io/`, "../..").Output()
	if err != nil || strings.TrimSpace(string(files)) != "../../web/desk/broker.go" {
		t.Errorf("nats-server is imported in %s: %v", files, err)
	}
}

// importMap imports what has been checked already, by the name that the importing package knows it by.
type importMap struct {
	checked map[string]*types.Package
	names   map[string]string
}

func (m importMap) Import(path string) (*types.Package, error) {
	if name, ok := m.names[path]; ok {
		path = name
	}
	if pkg, ok := m.checked[path]; ok {
		return pkg, nil
	}
	return nil, errors.New("not listed: " + path)
}

// TestElsewhere checks the types of every package on the systems where only developers run roomd. To compile for each takes a
// minute more: make bars does.
func TestElsewhere(t *testing.T) {
	rig.Long(t)
	rig.Arithmetic(t)
	t.Parallel()
	for _, on := range []string{"windows/amd64", "darwin/arm64"} {
		system, processor, _ := strings.Cut(on, "/")
		list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap", "roomd/...")
		list.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+processor, "CGO_ENABLED=0")
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			t.Fatalf("%s: %v", on, err)
		}
		files, own := token.NewFileSet(), 0
		checked := map[string]*types.Package{"unsafe": types.Unsafe}
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; { // each package after those that it imports
			var p struct {
				ImportPath, Dir string
				GoFiles         []string
				ImportMap       map[string]string
			}
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if p.ImportPath == "unsafe" {
				continue
			}
			var parsed []*ast.File
			for _, name := range p.GoFiles {
				f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
				if err != nil {
					t.Fatalf("%s: %v", on, err)
				}
				parsed = append(parsed, f)
			}
			ours := strings.HasPrefix(p.ImportPath, "roomd/")
			if ours {
				own++
			}
			check := types.Config{Importer: importMap{checked, p.ImportMap}, Sizes: types.SizesFor("gc", processor), IgnoreFuncBodies: !ours,
				Error: func(err error) { t.Errorf("%s: %v", on, err) }}
			checked[p.ImportPath], _ = check.Check(p.ImportPath, files, parsed, nil)
		}
		if own < 20 {
			t.Errorf("%s: only %d packages checked", on, own)
		}
	}
}
