package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
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
}
