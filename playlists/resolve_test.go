package playlists

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"roomd/rig"
)

// meter measures files by their text: "LENGTH [ALBUM]", or "broken".
type meter struct {
	mu    sync.Mutex
	times map[string]int // how often each file was measured
}

func (m *meter) measure(_ context.Context, path string) (Track, error) {
	m.mu.Lock()
	if m.times == nil {
		m.times = map[string]int{}
	}
	m.times[path]++
	m.mu.Unlock()
	data, err := os.ReadFile(path)
	if err != nil {
		return Track{}, err
	}
	length, album, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	d, err := time.ParseDuration(length)
	if err != nil {
		return Track{}, fmt.Errorf("decode: %w", errors.New(length))
	}
	return Track{Length: d, Album: album, Loudness: -20, HasLoudness: true}, nil
}

// files writes a folder: path → text; "-> TARGET" is a link.
func files(t *testing.T, m map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range m {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(strings.ReplaceAll(to, "ROOT", root), p)
		} else {
			err = os.WriteFile(p, []byte(strings.ReplaceAll(text, "ROOT", root)), 0o644)
			if old := time.Now().Add(-time.Hour); err == nil { // they were copied long ago
				err = os.Chtimes(p, old, old)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// resolve reads a playlist of one phase with this music, in folder sub of root, and tells what it is made of.
func resolve(t *testing.T, root, sub, music string) (got []string, problems Problems) {
	t.Helper()
	file := filepath.ToSlash(filepath.Join(sub, "x.yaml"))
	data := "name: X\nphases:\n  - name: A\n    stage: preparation\n    length: 10m\n    music: " + music + "\n"
	pl, problems := Parse("x", file, []byte(data))
	if len(problems) > 0 {
		t.Fatalf("%s: %v", music, problems.Strings())
	}
	var m meter
	out, problems := Resolve(context.Background(), root, file, pl, m.measure, nil)
	checkProblems(t, problems)
	if out.Phases[0].Written != nil || pl.Phases[0].Written == nil || pl.Phases[0].Music != nil {
		t.Errorf("%s: the written form is in the wrong playlist", music)
	}
	for f, n := range m.times {
		if n != 1 {
			t.Errorf("%s was measured %d times", f, n)
		}
	}
	for _, it := range out.Phases[0].Music {
		switch {
		case it.Silence:
			got = append(got, "silence")
		case it.Bed != "":
			got = append(got, "bed "+string(it.Bed))
		default:
			if it.Track.File != "" && !filepath.IsAbs(it.Track.File) {
				t.Errorf("%s: %q is not absolute", music, it.Track.File)
			}
			rel, err := filepath.Rel(root, it.Track.File)
			if err != nil || !filepath.IsLocal(rel) {
				rel = it.Track.File
			}
			s := filepath.ToSlash(rel)
			if it.Track.Problem != "" {
				s += " (" + it.Track.Problem + ")"
			}
			if it.Track.Artist != "" {
				s += " by " + it.Track.Artist
			}
			if want := titleOf(s); it.Track.Problem == "" && !strings.HasPrefix(want, it.Track.Title) {
				s += " called " + it.Track.Title
			}
			got = append(got, s)
		}
	}
	return got, problems
}

const nfcName, nfdName = "caf\u00e9.flac", "cafe\u0301.flac"

// TestMusic holds what each way to name music finds, and what is said where it finds nothing.
func TestMusic(t *testing.T) {
	outside := files(t, map[string]string{"secret.flac": "9m", "dir/a.flac": "9m"})
	root := files(t, map[string]string{
		"a.flac":                      "6m",
		"B.MP3":                       "6m",
		"broken.ogg":                  "garbage",
		"silent.wav":                  "0s",
		"notes.txt":                   "hello",
		"sub/10 ten.flac":             "2m",
		"sub/2 two.flac":              "2m",
		"sub/1 one.flac":              "2m",
		"sub/cover.jpg":               "x",
		"sub/._1 one.flac":            "x",
		"sub/.hidden/x.flac":          "x",
		"sub/disc 2/1.opus":           "2m",
		"sub/disc 10/1.m4a":           "2m",
		"[live] {x}.flac":             "6m",
		"empty/readme.txt":            "x",
		nfdName:                       "6m",
		"link.flac":                   "-> a.flac",
		"linkdir":                     "-> sub",
		"out.flac":                    "-> " + outside + "/secret.flac",
		"outdir":                      "-> " + outside + "/dir",
		"absolute.flac":               "-> ROOT/a.flac",
		"dangling.flac":               "-> nowhere.flac",
		"lists/deep.m3u8":             "#EXTM3U\n#EXTINF:360,Someone - Something\n../a.flac\n1.flac\n",
		"lists/1.flac":                "6m",
		"lists/self.m3u8":             "self.m3u8\n1.flac\n",
		"lists/nested.m3u":            "deep.m3u8\n",
		"lists/win.m3u":               "\xef\xbb\xbf#EXTM3U\r\nC:\\Users\\Anna\\Music\\sub\\2 two.flac\r\n..\\A.FLAC\r\n",
		"lists/latin.m3u":             "#EXTINF:1,Caf\xe9\n../caf\xe9.flac\n",
		"lists/url.m3u8":              "file:///home/anna/sub/1%20one.flac\nfile://localhost/x/y/a.flac\nhttp://example.org/x.mp3\n../sub/10%20ten.flac\n",
		"lists/out.m3u8":              "../../secret.flac\n" + outside + "/secret.flac\n../out.flac\n/etc/passwd\n",
		"lists/root.m3u8":             "ROOT/sub/1 one.flac\n",
		"lists/other.m3u8":            "/home/anna/Music/10 TEN.flac\nC:\\Users\\Anna\\Downloads\\1.flac\n/Elsewhere/10 TEN.flac\n",
		"lists/none.m3u8":             "#EXTM3U\n",
		"lists/dir.m3u8":              "../sub\n",
		"lists/x.pls":                 "[playlist]\r\nFile2=../a.flac\r\nTitle2=Second\r\nFile1=1.flac\r\nTitle1=Anna - First\r\nLength1=3\r\nNumberOfEntries=2\r\n",
		"albums/1.flac":               "6m Live",
		"albums/2.flac":               "6m Live",
		"deep/er/and/deeper/x.flac":   "6m",
		"deep/er/and/deeper/y.mp3":    "6m",
		"two words, and a comma.flac": "6m",
	})
	if err := syscall.Mkfifo(filepath.Join(root, "pipe.flac"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sub, music string
		want       []string
		says       []string // parts of the problems, in order
	}{
		{"", "a.flac", []string{"a.flac"}, nil},
		{"", "./a.flac", []string{"a.flac"}, nil},
		{"", "b.mp3", []string{"B.MP3"}, nil},
		{"", "'two words, and a comma.flac'", []string{"two words, and a comma.flac"}, nil},
		{"", "[a.flac, {bed: ocean}, b.mp3]", []string{"a.flac", "bed ocean", "B.MP3"}, nil},
		{"", "{bed: rain}", []string{"bed rain"}, nil},
		{"", "silence", []string{"silence"}, nil},
		{"", "sub/", []string{"sub/1 one.flac", "sub/2 two.flac", "sub/10 ten.flac", "sub/disc 2/1.opus", "sub/disc 10/1.m4a"}, nil},
		{"", "SUB", []string{"sub/1 one.flac", "sub/2 two.flac", "sub/10 ten.flac", "sub/disc 2/1.opus", "sub/disc 10/1.m4a"}, nil},
		{"", "'sub/*.flac'", []string{"sub/1 one.flac", "sub/2 two.flac", "sub/10 ten.flac"}, nil},
		{"", "'deep/**/*.{flac,mp3}'", []string{"deep/er/and/deeper/x.flac", "deep/er/and/deeper/y.mp3"}, nil},
		{"sub", "'../deep/**/*.flac'", []string{"deep/er/and/deeper/x.flac"}, nil},
		{"", "'CAF*.flac'", []string{nfdName}, nil},
		{"", "'[live] {x}.flac'", []string{"[live] {x}.flac"}, nil},
		{"sub", "../a.flac", []string{"a.flac"}, nil},
		{"", nfcName, []string{nfdName}, nil},
		{"", "link.flac", []string{"link.flac"}, nil},
		{"", "absolute.flac", []string{"absolute.flac"}, nil},
		{"", "linkdir/1 one.flac", []string{"linkdir/1 one.flac"}, nil},
		{"", `sub\1 one.flac`, []string{"sub/1 one.flac"}, nil},
		{"lists", "deep.m3u8", []string{"a.flac by Someone called Something", "lists/1.flac"}, nil},
		{"", "lists/nested.m3u", []string{"a.flac by Someone called Something", "lists/1.flac"}, nil},
		{"", "lists/win.m3u", []string{"sub/2 two.flac", "a.flac"}, nil},
		{"", "lists/latin.m3u", []string{nfdName + " called Café"}, nil},
		{"", "lists/url.m3u8", []string{"sub/1 one.flac", "a.flac", " (A stream is not played.)", "sub/10 ten.flac"},
			[]string{`lists/url.m3u8:2:1: warning: "file://localhost/x/y/a.flac" is not there; roomd plays a.flac, which has the same name`, "lists/url.m3u8:3:1: warning: roomd plays no streams"}},
		{"", "lists/root.m3u8", []string{"sub/1 one.flac"}, nil},
		{"", "lists/other.m3u8", []string{"sub/10 ten.flac", "lists/1.flac", " (The file is not there.)"}, []string{"sub/10 ten.flac, which has the same name (write ../sub/10 ten.flac)", "lists/1.flac, the file of this name beside its neighbors (write 1.flac)", `"/Elsewhere/10 TEN.flac" is not there; sub/10 ten.flac has the same name but belongs to another album (write ../sub/10 ten.flac if it is the one)`}},
		{"", "lists/dir.m3u8", []string{"sub/1 one.flac", "sub/2 two.flac", "sub/10 ten.flac", "sub/disc 2/1.opus", "sub/disc 10/1.m4a"}, nil},
		{"", "lists/x.pls", []string{"a.flac called Second", "lists/1.flac by Anna called First"}, nil},

		{"", "nothere.flac", []string{"nothere.flac (The file is not there.)"}, []string{`x.yaml:6:12: warning: "nothere.flac" is not there (check its name`, "no music that can be played"}},
		{"", "[a.flac, bb.mp3, {bed: rain}]", []string{"a.flac", "bb.mp3 (The file is not there.)", "bed rain"}, []string{"x.yaml:6:21: warning: \"bb.mp3\" is not there (did you mean B.MP3?)"}},
		{"", "ocean", []string{"ocean (The file is not there.)"}, []string{"write {bed: ocean}", "no music"}},
		{"", "dangling.flac", []string{"dangling.flac (The file is not there.)"}, []string{"is not there", "no music"}},
		{"", "broken.ogg", []string{"broken.ogg (The file can't be played.)"}, []string{`"broken.ogg" can't be played (replace`, "no music"}},
		{"", "silent.wav", []string{"silent.wav (There is no sound in the file.)"}, []string{"there is no sound in the file", "no music"}},
		{"", "notes.txt", []string{"notes.txt (This is not a music file.)"}, []string{`"notes.txt" is not a music file`, "no music"}},
		{"", "pipe.flac", []string{"pipe.flac (This is not a music file.)"}, []string{"is not a plain file", "no music"}},
		{"", "empty/", []string{"empty (The folder holds no music.)"}, []string{`there is no music in "empty/"`, "no music"}},
		{"", "'x*.flac'", []string{"x*.flac (No file matches.)"}, []string{"no music file matches", "no music"}},
		{"", "lists/none.m3u8", nil, []string{`the list "lists/none.m3u8" names no file`}},
		{"", "lists/self.m3u8", []string{"lists/1.flac"}, []string{"contains itself"}},
		{"", "'{a,.flac'", nil, []string{"not a valid pattern"}},
		{"", "'**/**/**/x.flac'", nil, []string{"not a valid pattern"}},

		{"", "../secret.flac", nil, []string{"x.yaml:6:12: \"../secret.flac\" leads out of the playlists folder"}},
		{"sub", "../../secret.flac", nil, []string{"leads out"}},
		{"", "sub/../../secret.flac", nil, []string{"leads out"}},
		{"", "'../*.flac'", nil, []string{"leads out"}},
		{"", "out.flac", nil, []string{"leads out"}},
		{"", "outdir", nil, []string{"leads out"}},
		{"", "outdir/a.flac", nil, []string{"leads out"}},
		{"", "'outdir/*.flac'", nil, []string{"leads out"}},
		{"", "/etc/passwd", nil, []string{"is an absolute path (write it relative"}},
		{"", `'C:\Music\a.flac'`, nil, []string{"is an absolute path"}},
		{"", "file:///etc/passwd", nil, []string{"an address is not a path"}},
		{"", "http://example.org/a.mp3", nil, []string{"roomd plays no streams"}},
		{"", "lists/out.m3u8", []string{"secret.flac (The file is not in the playlists folder.)", "SECRET (The file is not there.)", "out.flac (The file is not in the playlists folder.)", "passwd (The file is not there.)"},
			[]string{`lists/out.m3u8:1:1: warning: "../../secret.flac" leads out`, "is not there", "leads out", "is not there", "no music"}},
	} {
		got, problems := resolve(t, root, c.sub, c.music)
		if c.music == "lists/out.m3u8" { // placeholders have no fixed path: only that nothing outside is played counts
			for i, p := range []string{"not in the playlists folder", "not there", "not in the playlists folder", "not there"} {
				if i >= len(got) || !strings.Contains(got[i], p) {
					t.Errorf("%s: %q, want %s", c.music, got, p)
				}
			}
		} else if !slices.Equal(got, c.want) {
			t.Errorf("%s in %q:\n got %q\nwant %q\n%v", c.music, c.sub, got, c.want, problems.Strings())
		}
		for i := 0; i < max(len(c.says), len(problems)); i++ {
			if i >= len(c.says) || i >= len(problems) || !strings.Contains(problems[i].String(), c.says[i]) {
				t.Errorf("%s in %q: problems\n%s\nwant %q", c.music, c.sub, strings.Join(problems.Strings(), "\n"), c.says)
				break
			}
		}
	}
	for _, p := range []string{"a.flac", "broken.ogg"} { // an absolute path of our own is told how to be written
		_, problems := resolve(t, root, "sub", filepath.Join(root, p))
		if len(problems) != 1 || problems[0].Write != "write ../"+p {
			t.Errorf("%s: %v", p, problems.Strings())
		}
	}
}

// TestJoined holds that two tracks of one album follow each other without a crossfade only where both sound to the edge.
func TestJoined(t *testing.T) {
	base := Track{File: "/m/1.flac", Album: "Live", Length: time.Minute, Measured: true}
	next := Track{File: "/m/2.flac", Album: "Live", Length: time.Minute, Measured: true}
	if !joined(&base, &next) {
		t.Error("two tracks of a live album are not joined")
	}
	for name, change := range map[string]func(a, b *Track){
		"no album":         func(a, b *Track) { a.Album, b.Album = "", "" },
		"another album":    func(a, b *Track) { b.Album = "Studio" },
		"another folder":   func(a, b *Track) { b.File = "/n/2.flac" },
		"the same file":    func(a, b *Track) { b.File = a.File },
		"silence at end":   func(a, b *Track) { a.LeadOut = 50 * time.Millisecond },
		"silence at start": func(a, b *Track) { b.LeadIn = 50 * time.Millisecond },
		"a not heard yet":  func(a, b *Track) { a.Measured = false },
		"b not heard yet":  func(a, b *Track) { b.Measured = false },
		"broken":           func(a, b *Track) { a.Problem = "x" },
	} {
		a, b := base, next
		if change(&a, &b); joined(&a, &b) {
			t.Errorf("%s: joined", name)
		}
	}
	if joined(nil, &next) {
		t.Error("joined with nothing")
	}
}

// TestManyMissing holds that every file of a lost folder is told, and in a few lines where there is little room.
func TestManyMissing(t *testing.T) {
	root := files(t, map[string]string{"x.m3u8": strings.Repeat("gone.flac\n", 500)})
	got, problems := resolve(t, root, "", "x.m3u8")
	if len(got) != 500 || len(problems.Warnings()) != 501 {
		t.Fatalf("%d places kept, %d problems", len(got), len(problems))
	}
	brief := problems.Brief()
	if all := strings.Join(brief.Strings(), "\n"); len(brief) != 12+2 || !strings.Contains(all, "x.m3u8: warning: 488 more warnings (roomd check --all lists them)") {
		t.Error(all)
	}
}

// TestInterrupted holds that a reading that was interrupted is not taken for the whole.
func TestInterrupted(t *testing.T) {
	root := files(t, map[string]string{"a.flac": "6m", "b.flac": "6m"})
	pl, _ := Parse("x", "x.yaml", []byte("name: X\nphases: [{name: A, stage: preparation, length: 1m, music: [a.flac, b.flac]}]\n"))
	ctx, cancel := context.WithCancel(context.Background())
	_, problems := Resolve(ctx, root, "x.yaml", pl, func(ctx context.Context, _ string) (Track, error) {
		cancel()
		return Track{}, ctx.Err()
	}, nil)
	if len(problems.Errors()) != 1 || !strings.Contains(problems.Errors()[0].Says, "interrupted") {
		t.Error(problems.Strings())
	}
}

// TestNothingOutside holds for random names that no file outside the folder is ever measured.
func TestNothingOutside(t *testing.T) {
	top := files(t, map[string]string{
		"secret.flac": "9m", "root/a.flac": "9m", "root/sub/b.flac": "9m", "root/up": "-> ..", "root/sub/l.flac": "-> ../../secret.flac", "root/x.m3u8": "up/secret.flac\n../secret.flac\nsub/l.flac\n",
	})
	root := filepath.Join(top, "root")
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]string{"..", ".", "up", "sub", "root", "a.flac", "b.flac", "secret.flac", "l.flac", "*", "**", "*.flac", "x.m3u8", "", "/", "{up,sub}", `..\..`, "%2e%2e"})
		p := strings.Join(rapid.SliceOfN(part, 1, 6).Draw(rt, "path"), "/")
		ph := Phase{Name: "A", Length: time.Minute, Written: &Written{Music: []Source{{Place: Place{File: "x.yaml", Line: 1, Col: 1}, Path: p}}}}
		file := rapid.SampledFrom([]string{"x.yaml", "sub/x.yaml"}).Draw(rt, "file")
		out, _ := Resolve(context.Background(), root, file, &Playlist{Phases: []Phase{ph}}, func(_ context.Context, path string) (Track, error) {
			real, err := filepath.EvalSymlinks(path)
			if err != nil || !strings.HasPrefix(real, root+string(filepath.Separator)) {
				rt.Fatalf("%q leads to %s", p, real)
			}
			return Track{Length: time.Minute}, nil
		}, nil)
		if out == nil {
			rt.Fatal("nothing")
		}
	})
}

// TestForms holds that a name is found whatever its case and Unicode form.
func TestForms(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`[a-zäöüéñçåA-ZÄÖ]{1,12}`).Draw(rt, "name") + ".flac"
		form := rapid.SampledFrom([]norm.Form{norm.NFC, norm.NFD})
		root, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, form.Draw(rt, "disk").String(name)), nil, 0o644); err != nil {
			rt.Fatal(err)
		}
		f, err := openFolder(root)
		if err != nil {
			rt.Fatal(err)
		}
		asked := form.Draw(rt, "asked").String(name)
		if rapid.Bool().Draw(rt, "upper") {
			asked = strings.ToUpper(asked)
		}
		if _, _, err := f.find(asked); err != nil {
			rt.Fatalf("%q is not found as %q: %v", name, asked, err)
		}
	})
}

func TestNaturally(t *testing.T) {
	want := []string{"0 z.flac", "00 z.flac", "000.flac", "01 a.flac", "1 b.flac", "2.flac", "10.flac", "a/2.flac", "A/10.flac", "b 0.flac", "b 1.flac", "b 1a.flac", "b 9.flac", "b 10.flac", "Élan.flac", "zebra.flac"}
	got := slices.Clone(want)
	slices.Reverse(got)
	naturally(got)
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func FuzzM3U(f *testing.F) {
	for _, s := range []string{
		"#EXTM3U\n#PLAYLIST:Evening\n#EXTALB:Tides\n#EXTART:Anna\n#EXTGRP:Arrival\n#EXTINF:123 tvg-id=\"x\",Anna - Dawn\na.mp3\n",
		"\ufeff#EXTM3U\r\nC:\\Music\\a.mp3\r\n", "caf\xe9.mp3\r", "#EXTINF:-1\nhttp://x/y\n", "\xff\xfea\x00.\x00m\x00p\x003\x00", "file:///C:/a%20b.mp3\n", "", "#\n#EXTINF:,\n ",
		"#EXTINF:1.5,a,b - c - d\n../x.flac\nfile://host/share/x.mp3\n%zz.mp3\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkList(t, readList(".m3u", data)) })
}

func FuzzPLS(f *testing.F) {
	for _, s := range []string{
		"[playlist]\nFile1=a.mp3\nTitle1=Anna - Dawn\nLength1=-1\nNumberOfEntries=1\nVersion=2\n", "[Playlist]\r\nfile1 = b.mp3\r\nFile1=c.mp3\r\nFile=\r\nTitle9=x\r\n", "=\n=x\nFile", "\xef\xbb\xbf[playlist]\nFile1=caf\u00e9.mp3",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkList(t, readList(".pls", data)) })
}

// checkList holds what a list's entries have, whatever bytes they came from, and that each can be looked for.
func checkList(t *testing.T, l list) {
	t.Helper()
	if len(l.Entries) > maxListEntries {
		t.Fatalf("%d entries", len(l.Entries))
	}
	for _, e := range l.Entries {
		if e.Path == "" || e.Line < 1 || strings.ContainsAny(e.Path, "\r\n") {
			t.Fatalf("entry %+v", e)
		}
		if p, err := localPath(e.Path); err == nil && strings.Contains(p, `\`) && !strings.Contains(e.Path, "%5") && !strings.Contains(e.Path, "%5c") {
			t.Fatalf("%q is %q", e.Path, p)
		}
		isStream(e.Path)
	}
}

// TestLists reads what players write.
func TestLists(t *testing.T) {
	l := readList(".m3u8", []byte("\ufeff#EXTM3U\r\n#PLAYLIST: Evening\r\n#EXTALB:Tides\r\n#EXTINF:123 a=\"b, c\" d=\"e\",Anna - Dawn, slow\r\na.mp3\r\n\r\n#EXTGRP:Return\r\n#EXTINF:-1,Only a title\r\nb.mp3\r\n#EXTART:Band\r\nc.mp3\r\n"))
	want := []listEntry{
		{Line: 5, Path: "a.mp3", Title: "Dawn, slow", Artist: "Anna", Album: "Tides"},
		{Line: 9, Path: "b.mp3", Title: "Only a title", Album: "Tides", Group: "Return"},
		{Line: 11, Path: "c.mp3", Artist: "Band", Album: "Tides", Group: "Return"},
	}
	for i := range l.Entries {
		l.Entries[i].Source = ""
	}
	if l.Name != "Evening" || !slices.Equal(l.Entries, want) {
		t.Errorf("%q %+v", l.Name, l.Entries)
	}
	for in, want := range map[string]string{
		`C:\Music\a.mp3`: "C:/Music/a.mp3", "file:///C:/Music/a%20b.mp3": "C:/Music/a b.mp3", "file:///home/a/%C3%A9.mp3": "/home/a/é.mp3",
		"file://localhost/home/a.mp3": "/home/a.mp3", "file://nas/music/a.mp3": "/music/a.mp3", `sub\a.mp3`: "sub/a.mp3", "100%.mp3": "100%.mp3", `\\nas\music\a.mp3`: "//nas/music/a.mp3",
	} {
		if got, err := localPath(in); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", in, got, err, want)
		}
	}
	if _, err := localPath("file:///%zz"); err == nil {
		t.Error("an escape that can't be read is taken")
	}
}

// TestMostTracks holds that a playlist that names very many tracks is bounded, and measures each file once.
func TestMostTracks(t *testing.T) {
	rig.Arithmetic(t)
	root := files(t, map[string]string{"a.flac": "1m", "x.m3u8": strings.Repeat("a.flac\n", maxTracks+50)})
	got, problems := resolve(t, root, "", "x.m3u8")
	if len(got) != maxTracks || len(problems.Errors()) != 1 || !strings.Contains(problems.Errors()[0].Says, "more than 10000 tracks") {
		t.Errorf("%d tracks, %v", len(got), problems.Strings())
	}
}

func BenchmarkResolveTenThousand(b *testing.B) {
	root := b.TempDir()
	for i := range maxTracks {
		dir := filepath.Join(root, fmt.Sprint(i/500))
		if i%500 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.flac", i)), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	pl, _ := Parse("x", "x.yaml", []byte("name: X\nphases: [{name: A, stage: preparation, length: 1m, music: '**'}]\n"))
	for b.Loop() {
		out, _ := Resolve(context.Background(), root, "x.yaml", pl, func(context.Context, string) (Track, error) { return Track{Length: time.Minute}, nil }, nil)
		if len(out.Phases[0].Music) != maxTracks {
			b.Fatal(len(out.Phases[0].Music))
		}
	}
}
