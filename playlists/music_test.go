package playlists

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestBrokenMusic holds what a therapist reads of music that is not as the playlist says, and what plays instead. Each case of
// testdata/music.txtar is a playlists folder. Its file music is what a phase of 10 minutes names. A music file holds its length
// and what is so of it: damaged, voice, steep, silent, now (it changed a moment ago). A link is "-> TARGET".
func TestBrokenMusic(t *testing.T) {
	const archive = "testdata/music.txtar"
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	cases := map[string]map[string]string{}
	for _, f := range a.Files {
		name, file, _ := strings.Cut(f.Name, "/")
		if cases[name] == nil {
			names, cases[name] = append(names, name), map[string]string{}
		}
		cases[name][file] = strings.TrimSpace(string(f.Data))
	}
	if len(names) < 20 {
		t.Fatalf("only %d cases", len(names))
	}
	measure := func(_ context.Context, path string) (Track, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return Track{}, err
		}
		length, is, _ := strings.Cut(string(data), " ")
		d, err := time.ParseDuration(length)
		tr := Track{Length: d, Loudness: -20, HasLoudness: true, Measured: true, Damaged: strings.Contains(is, "damaged"), Voice: strings.Contains(is, "voice")}
		if strings.Contains(is, "steep") {
			tr.Levelled, tr.LevelledAt = 14, d/2
		}
		if strings.Contains(is, "silent") {
			tr.LeadOut = d / 2
		}
		return tr, err
	}
	for _, name := range names {
		in := cases[name]
		music, want := in["music"], in["want"]
		delete(in, "music")
		delete(in, "want")
		root := files(t, in)
		for file, text := range in {
			if strings.Contains(text, " now") {
				if err := os.Chtimes(filepath.Join(root, file), time.Now(), time.Now()); err != nil {
					t.Fatal(err)
				}
			}
		}
		text := "name: X\nphases:\n  - {name: A, stage: administration, length: 10m, music: " + music + "}\n"
		pl, problems := Parse("x", "x.yaml", []byte(text))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", name, problems.Strings())
		}
		out, problems := Resolve(context.Background(), root, "x.yaml", pl, measure, nil)
		var b strings.Builder
		if err := problems.Render(&b); err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Phases[0].Music {
			switch {
			case it.Track == nil:
				b.WriteString("plays " + string(it.Bed) + "\n")
			case it.Track.Problem == "":
				rel, _ := filepath.Rel(root, it.Track.File)
				b.WriteString("plays " + filepath.ToSlash(rel) + "\n")
			default:
				b.WriteString("passes over " + path.Base(filepath.ToSlash(it.Track.File)) + ": " + it.Track.Problem + "\n")
			}
		}
		got := strings.TrimSpace(strings.ReplaceAll(b.String(), root, "ROOT"))
		if d := cmp.Diff(want, got); d != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		in["want"] = got
	}
	if !*update {
		return
	}
	files := a.Files
	a.Files = nil
	for i, f := range files {
		name, file, _ := strings.Cut(f.Name, "/")
		if file != "want" {
			a.Files = append(a.Files, f)
		}
		if i+1 == len(files) || !strings.HasPrefix(files[i+1].Name, name+"/") {
			a.Files = append(a.Files, txtar.File{Name: name + "/want", Data: []byte(cases[name]["want"] + "\n")})
		}
	}
	if err := os.WriteFile(archive, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}
