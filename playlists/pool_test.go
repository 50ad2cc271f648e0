package playlists

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rater measures files by their text: "LENGTH [MEASURED [TAG]]", the intensities.
func rater(_ context.Context, path string) (Track, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Track{}, err
	}
	var length string
	var measured, tag float64
	fmt.Sscan(string(data), &length, &measured, &tag)
	d, err := time.ParseDuration(length)
	t := Track{Length: d, Loudness: -20, HasLoudness: true, Intensity: measured}
	if tag > 0 {
		t.Intensity, t.Rated = tag, true
	}
	return t, err
}

// resolvePool resolves a playlist of one phase with these lines, and writes its music as "file intensity", with a ! where the
// intensity is the curator's, and its menu.
func resolvePool(t *testing.T, root, lines string) (*Playlist, string, Problems) {
	t.Helper()
	pl, problems := Parse("x", "x.yaml", []byte("name: X\nphases:\n  - name: A\n    stage: preparation\n    length: 10m\n"+lines))
	if len(problems) > 0 {
		t.Fatal(problems.Strings())
	}
	out, problems := Resolve(t.Context(), root, "x.yaml", pl, rater, nil)
	var b strings.Builder
	for _, it := range out.Phases[0].Music {
		name := string(it.Bed)
		if it.Track != nil {
			name = filepath.Base(it.Track.File)
		}
		fmt.Fprintf(&b, "%s %g", name, it.Rating())
		if it.Track != nil && it.Track.Rated {
			b.WriteString("!")
		}
		if it.Track != nil && it.Track.Problem != "" {
			b.WriteString(" (" + it.Track.Problem + ")")
		}
		b.WriteString("\n")
	}
	for _, c := range out.Phases[0].Menu {
		fmt.Fprintf(&b, "%s: %v", c.Name, c.Items)
		if c.Silence {
			b.WriteString(" silence")
		}
		b.WriteString("\n")
	}
	return out, b.String(), problems
}

func TestPool(t *testing.T) {
	root := files(t, map[string]string{
		"deep/a.flac": "4m 3.2", "deep/b.flac": "5m 4.1 5", "deep/c.flac": "6m",
		"4 deep/a.flac": "4m 2", "4 deep/b.flac": "5m 2 1", "4 deep/2 soft/d.flac": "5m", "40 deep/e.flac": "5m",
	})
	for name, c := range map[string]struct{ lines, want string }{
		"a folder, and a tag before what was measured": {"    pool: deep/\n", "a.flac 3.2\nb.flac 5!\nc.flac 0\n"},
		"an entry before all":                          {"    pool: [{file: deep/, intensity: 2}, {bed: rain, intensity: 1.5}]\n", "a.flac 2!\nb.flac 2!\nc.flac 2!\nrain 1.5\n"},
		"a folder's name":                              {"    pool: [4 deep/, 40 deep/]\n", "d.flac 2!\na.flac 4!\nb.flac 1!\ne.flac 0\n"},
		"an entry of one file of a folder":             {"    pool: [deep/, {file: deep/c.flac, intensity: 4}]\n", "a.flac 3.2\nb.flac 5!\nc.flac 4!\n"},
		"a menu in a pool":                             {"    pool: [deep/a.flac, deep/b.flac]\n    menu: {Open: [deep/b.flac, deep/c.flac], Still: silence, Ground: {bed: drone}}\n", "a.flac 3.2\nb.flac 5!\nc.flac 0\ndrone 0\nOpen: [1 2]\nStill: [] silence\nGround: [3]\n"},
		"a menu alone":                                 {"    menu: {Open: deep/, Same: deep/b.flac}\n    intensity: 2..4\n", "a.flac 3.2\nb.flac 5!\nc.flac 0\nOpen: [0 1 2]\nSame: [1]\n"},
		"a missing file":                               {"    pool: [deep/x.flac, deep/a.flac]\n    menu: {Gone: deep/x.flac}\n", "x.flac 0 (The file is not there.)\na.flac 3.2\nGone: [0]\n"},
		"two parts of a file":                          {"    pool: [{file: deep/a.flac, to: 2:00}, {file: deep/a.flac, from: 2:00}, {file: deep/a.flac, to: 2:00}]\n", "a.flac 3.2\na.flac 3.2\n"},
	} {
		pl, got, problems := resolvePool(t, root, c.lines)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if wrong := strings.Contains(name, "missing"); wrong == (len(problems) == 0) {
			t.Errorf("%s: %v", name, problems.Strings())
		}
		if ph := pl.Phases[0]; ph.Order != Pooled || ph.Written != nil {
			t.Errorf("%s: order %s", name, ph.Order)
		}
	}
	// A folder's name means its files' intensity in a pool only: elsewhere it may be a number.
	if _, got, _ := resolvePool(t, root, "    music: 4 deep/\n"); !strings.Contains(got, "a.flac 2\n") {
		t.Error(got)
	}
}

func TestCourse(t *testing.T) {
	for text, want := range map[string]*Course{"3": {3, 3}, "2..4": {2, 4}, "4.5..1": {4.5, 1}, `"5"`: {5, 5}, "": nil} {
		lines := "    pool: deep/\n"
		if text != "" {
			lines += "    intensity: " + text + "\n"
		}
		pl, problems := Parse("x", "x.yaml", []byte("name: X\nphases:\n  - name: A\n    stage: preparation\n    length: 10m\n"+lines))
		if len(problems) > 0 {
			t.Fatal(text, problems.Strings())
		}
		if d := cmp.Diff(want, pl.Phases[0].Course); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}
