package playlists

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestBrowse lists folders and finds music as a person looks for it.
func TestBrowse(t *testing.T) {
	root := files(t, map[string]string{"music/Arvo Pärt/02 Spiegel.flac": "", "music/Arvo Pärt/10 Fratres.flac": "", "music/Arvo Pärt/CD2/01.mp3": "", "music/Deep/one.mp3": "",
		"music/Deep/list.m3u": "one.mp3", "usb/STICK/two.ogg": "", "notes/read.txt": "", ".versions/x.1.yaml": "", "top.wav": "", "evening.yaml": playlistText("E", "top.wav")})
	outside := files(t, map[string]string{"secret.mp3": ""})
	if err := os.Symlink(outside, filepath.Join(root, "music", "out")); err != nil {
		t.Fatal(err)
	}
	l := NewLibrary(LibraryOptions{Folder: root, Known: func(file string) (Track, bool) {
		return Track{Title: "Cantus", Artist: "Pärt", Length: time.Minute}, filepath.Base(file) == "one.mp3"
	}})
	for _, c := range []struct{ in, find, want string }{
		{"", "", "folder music 4, folder usb 1, track top.wav"},
		{"music", "", "folder music/Arvo Pärt 3, folder music/Deep 1"},
		{"music/Arvo Pärt/", "", "folder music/Arvo Pärt/CD2 1, track music/Arvo Pärt/02 Spiegel.flac, track music/Arvo Pärt/10 Fratres.flac"},
		{"MUSIC/deep", "", "track music/Deep/one.mp3 Cantus, list music/Deep/list.m3u"},
		{"", "pärt", "folder music/Arvo Pärt 3, track music/Arvo Pärt/02 Spiegel.flac, track music/Arvo Pärt/10 Fratres.flac, track music/Arvo Pärt/CD2/01.mp3, track music/Deep/one.mp3 Cantus"},
		{"music", "CANTUS deep", "track music/Deep/one.mp3 Cantus"},
		{"", "xyz", ""}, {"notes", "", ""},
	} {
		got, more, err := l.Music(c.in, c.find)
		var says []string
		for _, f := range got {
			s := f.Kind + " " + f.File
			if f.Tracks > 0 {
				s += " " + string(rune('0'+f.Tracks))
			}
			if f.Title != "" {
				s += " " + f.Title
			}
			says = append(says, s)
		}
		if s := strings.Join(says, ", "); s != c.want || more || err != nil {
			t.Errorf("%q %q: %s, %v %v", c.in, c.find, s, more, err)
		}
	}
	for _, in := range []string{"..", "/etc", "gone", "top.wav", "music/out", ".versions", "music/../.."} {
		if got, _, err := l.Music(in, ""); err == nil {
			t.Errorf("%q: %v", in, got)
		}
	}
	if _, _, err := l.Music("music/out", ""); !errors.Is(err, errLeaves) {
		t.Error(err)
	}
	if _, _, err := l.Music("gone", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestHeard holds that each entry of a phase's music is told with its own tracks.
func TestHeard(t *testing.T) {
	root := files(t, map[string]string{"a/1.mp3": "", "a/2.mp3": "", "b.mp3": "", "x.yaml": "name: X\nphases:\n  - {name: A, stage: preparation, length: 3m, music: [a/, gone.mp3, {bed: rain}, {file: b.mp3, from: 0:20}]}\n"})
	d, err := Load(root, "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pl, _ := Resolve(t.Context(), root, "x.yaml", d.Playlist, func(_ context.Context, file string) (Track, error) {
		return Track{Title: map[string]string{"b.mp3": "B"}[filepath.Base(file)], Length: time.Minute}, nil
	}, nil)
	var got []Heard
	for _, s := range d.Playlist.Phases[0].Written.Music {
		got = append(got, pl.Heard(0, s))
	}
	want := []Heard{{Tracks: 2, Length: 2 * time.Minute}, {Tracks: 1, Title: "gone", Problem: "The file is not there."}, {}, {Tracks: 1, Length: 40 * time.Second, Title: "B"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
