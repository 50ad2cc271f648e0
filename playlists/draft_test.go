package playlists

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// draftOf is the playlist that a folder or list stands for, as "NAME STAGE LENGTH [until] LEVEL: title title …".
func draftOf(t *testing.T, root, from string) ([]string, Problems) {
	t.Helper()
	m := new(meter)
	text, problems, err := Draft(context.Background(), root, from, m.measure)
	if err != nil {
		t.Fatal(err)
	}
	pl, wrong := Parse("x", draftFile(from), text)
	if len(wrong) > 0 {
		t.Fatalf("the file that was made is wrong:\n%s\n%s", strings.Join(wrong.Strings(), "\n"), text)
	}
	pl, found := Resolve(context.Background(), root, draftFile(from), pl, m.measure, nil)
	var out []string
	for _, ph := range pl.Phases {
		s := fmt.Sprintf("%s %s %s", ph.Name, ph.Stage, FormatLength(ph.Length))
		if ph.Until != "" {
			s += " until " + ph.Until
		}
		s += fmt.Sprintf(" %g:", ph.Level)
		for _, it := range ph.Music {
			switch {
			case it.Track != nil:
				s += " " + it.Track.Title
			case it.Silence:
				s += " silence"
			default:
				s += " " + string(it.Bed)
			}
		}
		out = append(out, s)
	}
	return out, append(problems, found...)
}

func TestDraftOfNumberedFolders(t *testing.T) {
	root := files(t, map[string]string{
		"evening/01 Arrival 30m/b.flac":             "20m",
		"evening/01 Arrival 30m/a.flac":             "10m",
		"evening/2_Onset (15m)/x/y.mp3":             "15m",
		"evening/03 - Deep Journey 1h10m/1.mp3":     "40m",
		"evening/03 - Deep Journey 1h10m/2.mp3":     "30m",
		"evening/04 Silence: [odd], # name/1.mp3":   "5m",
		"evening/10 Home.m3u8":                      "song.mp3\n../gone.mp3\n",
		"evening/song.mp3":                          "20m",
		"evening/11/readme.txt":                     "",
		"evening/notes/left out.mp3":                "5m",
		"evening/05.mp3":                            "5m",
		"evening/.06 Hidden/1.mp3":                  "5m",
		"evening/12 Arrival/long silence after.mp3": "2m",
	})
	got, problems := draftOf(t, root, "evening")
	want := []string{
		"Arrival preparation 30m until Lozenge -14: a b",
		"Onset administration 15m -5: y",
		"Deep Journey administration 1h10m 0: 1 2",
		"Silence: [odd], # name administration 5m 0: 1",
		"Home administration 20m 0: song gone", // named, so that what is missing is seen
		"Phase 6 administration 30m 0:",
		"Arrival 2 integration 2m -14: long silence after",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	said := strings.Join(problems.Strings(), "\n")
	for _, w := range []string{`"../gone.mp3" is not there`, `no music in "evening/11/"`} {
		if !strings.Contains(said, w) {
			t.Errorf("nothing says %s:\n%s", w, said)
		}
	}
}

func TestDraftOfGroups(t *testing.T) {
	root := files(t, map[string]string{
		"a.mp3": "10m", "b.mp3": "10m", "c.mp3": "10m", "d.mp3": "10m",
		"first.m3u8": "\ufeff#EXTM3U\r\n#PLAYLIST:First\r\n#EXTGRP:Preparation 25m\r\n#EXTINF:600,Someone - A\r\na.mp3\r\n#EXTGRP:02 Journey\r\nb.mp3\r\nC.MP3\r\n#EXTGRP:Coming home\r\nd.mp3\r\n",
	})
	got, problems := draftOf(t, root, "first.m3u8")
	want := []string{
		"Preparation preparation 25m until Lozenge -14: a",
		"Journey administration 19m52s 0: b c",
		"Coming home integration 10m -14: d",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, p := range problems {
		if !strings.Contains(p.Says, "has 10m of music for 25m") {
			t.Error(p)
		}
	}
}

func TestDraftOnTheStandardArc(t *testing.T) {
	all := map[string]string{"empty/readme.txt": "", "notes.txt": ""}
	var some, lots []string
	for i := range 45 {
		all[fmt.Sprintf("lots/%d.mp3", i)] = "6m"
		lots = append(lots, fmt.Sprint(i))
	}
	for i := range 10 {
		all[fmt.Sprintf("some/%d.mp3", i)] = "9m"
		some = append(some, fmt.Sprint(i))
	}
	root := files(t, all)
	played := func(phases []string) (out []string) {
		for _, p := range phases {
			_, music, _ := strings.Cut(p, ":")
			for _, w := range strings.Fields(music) {
				if w != "silence" {
					out = append(out, w)
				}
			}
		}
		return out
	}
	got, problems := draftOf(t, root, "some")
	if len(got) != 9 || got[8] != "Leaving integration 5m 0: silence" {
		t.Errorf("not the standard arc:\n%s", strings.Join(got, "\n"))
	}
	if p := played(got); !slices.Equal(p, some) {
		t.Errorf("90 minutes are laid as %v", p)
	}
	if !strings.Contains(got[7], ": 7 8 9") {
		t.Errorf("90 minutes are not spread over the arc:\n%s", strings.Join(got, "\n"))
	}
	for _, p := range problems.Errors() {
		t.Error(p)
	}
	got, problems = draftOf(t, root, "lots")
	// 175 minutes of sound: the track whose middle is beyond them is the first that is left out.
	if p := played(got); !slices.Equal(p, lots[:29]) {
		t.Errorf("270 minutes are laid as %v", p)
	}
	if said := strings.Join(problems.Strings(), "\n"); !strings.Contains(said, "there is 4h30m of music for an arc of 2h55m, so 16 of 45 tracks are left out") {
		t.Error(said)
	}
	for _, from := range []string{"empty", "gone", ".", "..", "notes.txt"} {
		if _, _, err := Draft(context.Background(), root, from, nil); err == nil {
			t.Errorf("%s makes a playlist", from)
		}
	}
	// Before anything is measured it is the arc, with beds.
	text, _, err := Draft(context.Background(), root, "some", nil)
	pl, wrong := Parse("some", "some.yaml", text)
	if err != nil || len(wrong) > 0 || pl.Length() != 3*time.Hour {
		t.Error(err, wrong, pl.Length())
	}
}

func TestPhaseName(t *testing.T) {
	for in, want := range map[string]string{
		"Arrival 30m": "Arrival 30m", "Onset_15m": "Onset 15m", "Journey (1h30m)": "Journey 1h30m", "Return 90 min": "Return 1h30m",
		"Return 2h": "Return 2h", "Arrival": "Arrival 0s", "30m": " 30m", "Boom 5mm": "Boom 5mm 0s", "Room 101": "Room 101 0s",
		"A  b\tc - 5m": "A b c 5m", "Team": "Team 0s", "10 Million": "10 Million 0s", "h m": "h m 0s", "": " 0s",
	} {
		name, length := phaseName(in)
		if got := name + " " + FormatLength(length); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzDraft(f *testing.F) {
	f.Add("01 Arrival 30m", "02 ?*[x]{y}", "#EXTGRP:Journey 1h\na.mp3\n")
	f.Add("1", "01 - - 99h9999m", "#EXTGRP:: \"'\na.mp3\n#EXTGRP:\x00\nb.mp3")
	f.Add("2 Integration", "1 yes", "#EXTGRP:null\na.mp3\n#EXTGRP:~\na.mp3\n#EXTGRP:NULL\na.mp3")
	f.Fuzz(func(t *testing.T, one, two, list string) {
		root := t.TempDir()
		for _, dir := range []string{one, two} {
			if strings.ContainsAny(dir, "/\x00") || dir == "." || dir == ".." || len(dir) > 100 {
				t.Skip()
			}
			_ = os.MkdirAll(filepath.Join(root, "x", dir), 0o755)
			_ = os.WriteFile(filepath.Join(root, "x", dir, "a.mp3"), []byte("1m"), 0o644)
		}
		_ = os.WriteFile(filepath.Join(root, "x", "a.mp3"), []byte("1m"), 0o644)
		_ = os.WriteFile(filepath.Join(root, "x.m3u8"), []byte(list), 0o644)
		for _, from := range []string{"x", "x.m3u8"} {
			text, _, err := Draft(context.Background(), root, from, new(meter).measure)
			if err != nil {
				continue
			}
			pl, wrong := Parse("x", "x.yaml", text)
			if len(wrong) == 1 && pl.Length() > longest {
				continue // as it was asked
			}
			if len(wrong) > 0 || len(pl.Phases) == 0 {
				t.Errorf("%s\n%s", strings.Join(wrong.Strings(), "\n"), text)
			}
		}
	})
}

func TestWriteNew(t *testing.T) {
	root := files(t, map[string]string{"evening/01 Arrival/a.mp3": "10m", "list.m3u": "evening/01 Arrival/a.mp3"})
	for from, want := range map[string]string{"evening": "evening.yaml", "evening/": "evening.yaml", "list.m3u": "list.yaml"} {
		file, _, err := WriteNew(context.Background(), root, from, nil)
		if from == "evening/" || from == "evening" {
			if file != want || err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(from, file, err)
			}
			continue
		}
		if err != nil || file != want {
			t.Error(from, file, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "evening.yaml"))
	if err != nil || !strings.HasPrefix(string(text), "# yaml-language-server: $schema=.schema/playlist.json\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if kept, err := os.ReadFile(filepath.Join(root, ".schema", "playlist.json")); err != nil || string(kept) != string(Schema()) {
		t.Error("the schema is not where the file says:", err)
	}
	if _, _, err := WriteNew(context.Background(), root, "evening", nil); !errors.Is(err, fs.ErrExist) {
		t.Error("a file is written over:", err)
	}
}

func TestLibraryOfFolders(t *testing.T) {
	root := files(t, map[string]string{
		"evening/01 Arrival 30m/a.mp3":  "20m",
		"evening/02 Journey 40m/b.mp3":  "40m",
		"used/a.mp3":                    "5m",
		"own/own.yaml":                  playlistText("Own", "a.mp3"),
		"own/a.mp3":                     "2m",
		"own/spare.m3u8":                "a.mp3",
		"own/used.m3u8":                 "a.mp3",
		"pl.yaml":                       playlistText("Named", "[used, own/used.m3u8]"),
		"music/Album/1.mp3":             "5m",
		"music/Album/album.m3u":         "1.mp3",
		"music/loose.mp3":               "5m",
		"usb/STICK/Deep/1.mp3":          "5m",
		"walk.m3u8":                     "used/a.mp3\n",
		"empty.m3u8":                    "#EXTM3U\n",
		"broken/01 A/a.mp3":             "not music",
		".hidden/01 A/a.mp3":            "5m",
		"pictures/cover.jpg":            "",
		"single.mp3":                    "5m",
		"evening/02 Journey 40m/x.m3u8": "b.mp3",
	})
	l := run(t, LibraryOptions{Folder: root})
	want := []string{"broken", "empty", "evening", "music/Album", "own/own", "own/spare", "pl", "usb/STICK", "walk", "starter/three-hours", "starter/quiet", "starter/steered", "starter/tour"}
	until(t, l, "all is read", func() bool { e, ok := l.Get("walk"); return ok && e.Ready })
	if got := l.ids(); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	until(t, l, "the folder is ready", func() bool { e, ok := l.Get("evening"); return ok && e.Ready })
	e, _ := l.Get("evening")
	if len(e.Playlist.Phases) != 2 || e.Playlist.Length() != 70*time.Minute || e.Playlist.Phases[1].Music[0].Track.Title != "b" {
		t.Errorf("%+v", e.Playlist)
	}
	for _, p := range e.Problems {
		if p.File != "evening" || p.Line != 0 {
			t.Error("a problem stands in a file that is not there:", p)
		}
	}
	if e, _ := l.Get("empty"); e.Ready || len(e.Problems.Errors()) != 1 || e.Problems.Errors()[0].File != "empty.m3u8" {
		t.Errorf("%+v", e.Problems)
	}
	if e, _ := l.Get("broken"); !e.Ready || !strings.Contains(strings.Join(e.Problems.Strings(), "\n"), "can't be played") {
		t.Errorf("%v %+v", e.Ready, e.Problems)
	}
	// More music makes it another playlist; a file of its own takes its place and its name.
	write(t, root, "evening/03 Home 10m/c.mp3", "10m")
	until(t, l, "the folder has grown", func() bool { e, _ := l.Get("evening"); return e.Ready && len(e.Playlist.Phases) == 3 })
	if _, _, err := WriteNew(context.Background(), root, "evening", nil); err != nil {
		t.Fatal(err)
	}
	until(t, l, "the file is the playlist", func() bool {
		e, _ := l.Get("evening")
		return e.Ready && e.File == "evening.yaml" && len(e.Playlist.Phases) == 3
	})
	if slices.Contains(l.ids(), "evening-2") {
		t.Error("the folder is a playlist beside its file")
	}
}
