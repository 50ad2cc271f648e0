package playlists

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	utf "golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

// Lists as the usual programs write them. ROOT is where the playlists folder is.
var exported = map[string]string{
	// Exact Audio Copy, one file.
	"eac.cue": "REM GENRE Ambient\r\nREM DATE 1996\r\nREM DISCID 8F0B2D0A\r\nREM COMMENT \"ExactAudioCopy v1.6\"\r\nPERFORMER \"Anna\"\r\nTITLE \"Tides\"\r\nFILE \"Tides.flac\" WAVE\r\n" +
		"  TRACK 01 AUDIO\r\n    TITLE \"Ebb\"\r\n    PERFORMER \"Anna\"\r\n    ISRC DEF000000001\r\n    FLAGS DCP\r\n    INDEX 01 00:00:00\r\n" +
		"  TRACK 02 AUDIO\r\n    TITLE \"Flood\"\r\n    PERFORMER \"Anna & Ben\"\r\n    INDEX 00 03:10:00\r\n    INDEX 01 03:12:37\r\n" +
		"  TRACK 03 AUDIO\r\n    TITLE \"Slack \"\r\n    PERFORMER \"Anna\"\r\n    INDEX 01 06:00:00\r\n",
	// Exact Audio Copy, a file a track with the gaps at the ends: TRACK 02 begins in the file before its own.
	"gaps.cue": "TITLE \"Two\"\r\nFILE \"one.wav\" WAVE\r\n  TRACK 01 AUDIO\r\n    TITLE \"One\"\r\n    INDEX 01 00:00:00\r\n  TRACK 02 AUDIO\r\n    TITLE \"Two\"\r\n    INDEX 00 02:58:00\r\nFILE \"two.wav\" WAVE\r\n    INDEX 01 00:00:00\r\n",
	// foobar2000, names without quotes.
	"foobar.cue": "FILE Tides.flac WAVE\n  TRACK 01 AUDIO\n    TITLE Ebb\n    INDEX 01 00:00:00\n  TRACK 02 AUDIO\n    INDEX 01 05:00:00\n",
	// VLC, Media > Save Playlist as XSPF.
	"vlc.xspf": `<?xml version="1.0" encoding="UTF-8"?>
<playlist xmlns="http://xspf.org/ns/0/" xmlns:vlc="http://www.videolan.org/vlc/playlist/ns/0/" version="1">
	<title>Playlist</title>
	<trackList>
		<track>
			<location>file://ROOT/Tears%20For%20Fears/02%20Mad%20World.mp3</location>
			<title>Mad World</title>
			<creator>Tears For Fears</creator>
			<album>The Hurting</album>
			<duration>217000</duration>
			<extension application="http://www.videolan.org/vlc/playlist/0">
				<vlc:id>0</vlc:id>
				<vlc:option>start-time=30</vlc:option>
				<vlc:option>stop-time=90.5</vlc:option>
			</extension>
		</track>
		<track><location>two%20%26%20100%25.flac</location></track>
	</trackList>
	<extension application="http://www.videolan.org/vlc/playlist/0"><vlc:item tid="0"/></extension>
</playlist>
`,
	// VLC, as M3U.
	"vlc.m3u8": "#EXTM3U\n#EXTINF:217,Tears For Fears - Mad World\n#EXTVLCOPT:start-time=30\nTears%20For%20Fears/02%20Mad%20World.mp3\n#EXTINF:1,two\nfile://ROOT/two%20%26%20100%25.flac\n",
	// Rhythmbox, Playlist > Save to File, as PLS and as XSPF.
	"rhythmbox.pls":  "[playlist]\nX-GNOME-Title=Evening\nNumberOfEntries=2\nFile1=file://ROOT/Tears%20For%20Fears/02%20Mad%20World.mp3\nTitle1=Mad World\nFile2=two%20&%20100%25.flac\nTitle2=Two\n",
	"rhythmbox.xspf": `<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><title>Evening</title><trackList><track><location>Tears%20For%20Fears/02%20Mad%20World.mp3</location></track><track><location>two%20&amp;%20100%25.flac</location></track></trackList></playlist>`,
	// Clementine and Strawberry: absolute paths in XSPF, with an image and a track number.
	"clementine.xspf": `<?xml version="1.0" encoding="UTF-8"?>
<playlist version="1" xmlns="http://xspf.org/ns/0/">
 <trackList>
  <track>
   <location>ROOT/Tears For Fears/02 Mad World.mp3</location>
   <title>Mad World</title>
   <creator>Tears For Fears</creator>
   <album>The Hurting</album>
   <duration>217000</duration>
   <trackNum>2</trackNum>
   <image>file:///home/anna/.config/Clementine/albumcovers/1.jpg</image>
  </track>
  <track><location>two &amp; 100%.flac</location></track>
 </trackList>
</playlist>
`,
	// Windows Media Player.
	"wmp.wpl": "<?wpl version=\"1.0\"?>\r\n<smil>\r\n    <head>\r\n        <meta name=\"Generator\" content=\"Microsoft Windows Media Player -- 12.0.19041.1\"/>\r\n        <meta name=\"ItemCount\" content=\"2\"/>\r\n        <author/>\r\n        <title>Evening</title>\r\n    </head>\r\n    <body>\r\n        <seq>\r\n" +
		"            <media src=\"C:\\Users\\Anna\\Music\\Tears For Fears\\02 Mad World.mp3\" albumTitle=\"The Hurting\" albumArtist=\"Tears For Fears\" trackTitle=\"Mad World\" trackArtist=\"Tears For Fears\" duration=\"217000\"/>\r\n            <media src=\"two &amp; 100%.flac\"/>\r\n        </seq>\r\n    </body>\r\n</smil>\r\n",
	// An older one: case as it comes, & as it is, and no quotes on a tag's end.
	"old.asx": "<ASX VERSION=\"3.0\">\r\n<TITLE>Evening</TITLE>\r\n<Entry>\r\n<Title>Mad World</Title>\r\n<REF HREF=\"Tears For Fears\\02 Mad World.mp3\" />\r\n</entry>\r\n<ENTRY><ref href=\"two & 100%.flac\"></ENTRY>\r\n</ASX>\r\n",
	// Music on a Mac, File > Library > Export Playlist, XML.
	"music.xml": `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Major Version</key><integer>1</integer>
	<key>Application Version</key><string>1.4.6.32</string>
	<key>Tracks</key>
	<dict>
		<key>2172</key>
		<dict>
			<key>Track ID</key><integer>2172</integer>
			<key>Name</key><string>Two</string>
			<key>Location</key><string>file:///Users/anna/Music/Media.localized/Music/two%20&#38;%20100%25.flac</string>
		</dict>
		<key>2170</key>
		<dict>
			<key>Track ID</key><integer>2170</integer>
			<key>Name</key><string>Mad World</string>
			<key>Artist</key><string>Tears For Fears</string>
			<key>Album</key><string>The Hurting</string>
			<key>Compilation</key><true/>
			<key>Location</key><string>file:///Users/anna/Music/Tears%20For%20Fears/02%20Mad%20World.mp3</string>
		</dict>
	</dict>
	<key>Playlists</key>
	<array>
		<dict>
			<key>Name</key><string>Evening</string>
			<key>Playlist Items</key>
			<array>
				<dict><key>Track ID</key><integer>2170</integer></dict>
				<dict><key>Track ID</key><integer>2172</integer></dict>
			</array>
		</dict>
	</array>
</dict>
</plist>
`,
}

func writtenFiles(t *testing.T) string {
	t.Helper()
	m := map[string]string{
		"Tides.flac": "9m Tides", "one.flac": "3m", "two.flac": "3m", "Tears For Fears/02 Mad World.mp3": "217s The Hurting", "two & 100%.flac": "4m",
	}
	for name, text := range exported {
		m[name] = text
	}
	return files(t, m)
}

// tracks is a phase's music as "FILE FROM-TO [joined] TITLE by ARTIST".
func tracks(t *testing.T, root, music string) (out []string, problems Problems) {
	t.Helper()
	pl, problems := Parse("x", "x.yaml", []byte("name: X\nphases:\n  - name: A\n    stage: preparation\n    length: 10m\n    music: "+music+"\n"))
	if len(problems) > 0 {
		return nil, problems
	}
	pl, problems = Resolve(context.Background(), root, "x.yaml", pl, new(meter).measure, nil)
	for _, it := range pl.Phases[0].Music {
		tr := it.Track
		if tr == nil {
			out = append(out, fmt.Sprint(it.Bed, it.Silence))
			continue
		}
		rel, _ := filepath.Rel(root, tr.File)
		s := fmt.Sprintf("%s %s-%s", filepath.ToSlash(rel), tr.LeadIn, tr.Length-tr.LeadOut)
		if tr.Joined {
			s += " joined"
		}
		if tr.Problem != "" {
			s = rel + " " + tr.Problem
		}
		out = append(out, s+" "+tr.Title)
		if tr.Artist != "" {
			out[len(out)-1] += " by " + tr.Artist
		}
	}
	return out, problems
}

// TestPlayersLists holds that the lists of the usual programs are read: each file, the parts, the titles.
func TestPlayersLists(t *testing.T) {
	root := writtenFiles(t)
	const mad, two = "Tears For Fears/02 Mad World.mp3 ", "two & 100%.flac 0s-4m0s "
	for _, c := range []struct {
		list string
		want []string
		says []string
	}{
		{"eac.cue", []string{"Tides.flac 0s-3m12.493333s Ebb by Anna", "Tides.flac 3m12.493333s-6m0s joined Flood by Anna & Ben", "Tides.flac 6m0s-9m0s joined Slack  by Anna"}, nil},
		{"gaps.cue", []string{"one.flac 0s-3m0s One", "two.flac 0s-3m0s Two"}, []string{
			`gaps.cue:3:1: warning: "one.wav" is not there; roomd plays one.flac, which has the same name with another ending`, "two.flac, which has the same name with another ending"}},
		{"foobar.cue", []string{"Tides.flac 0s-5m0s Ebb", "Tides.flac 5m0s-9m0s joined Tides"}, nil},
		{"vlc.xspf", []string{mad + "30s-1m30.5s Mad World by Tears For Fears", two + "two & 100%"}, nil},
		{"vlc.m3u8", []string{mad + "30s-3m37s Mad World by Tears For Fears", two + "two"}, nil},
		{"rhythmbox.pls", []string{mad + "0s-3m37s Mad World", two + "Two"}, nil},
		{"rhythmbox.xspf", []string{mad + "0s-3m37s 02 Mad World", two + "two & 100%"}, nil},
		{"clementine.xspf", []string{mad + "0s-3m37s Mad World by Tears For Fears", two + "two & 100%"}, nil},
		{"wmp.wpl", []string{mad + "0s-3m37s Mad World by Tears For Fears", two + "two & 100%"}, nil},
		{"old.asx", []string{mad + "0s-3m37s Mad World", two + "two & 100%"}, nil},
		{"music.xml", []string{mad + "0s-3m37s Mad World by Tears For Fears", two + "Two"}, []string{`music.xml:13:1: warning: "file:///Users/anna/Music/Media.localized/Music/two%20&%20100…" is not there; roomd plays two & 100%.flac, which has the same name`}},
	} {
		got, problems := tracks(t, root, c.list)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.list, got, c.want)
		}
		problems = slices.DeleteFunc(problems, func(p Problem) bool { return strings.Contains(p.Says, "of music for") })
		for i := range max(len(problems), len(c.says)) {
			if i >= len(problems) || i >= len(c.says) || !strings.Contains(problems[i].String(), c.says[i]) {
				t.Errorf("%s: says %q, want %q", c.list, problems.Strings(), c.says)
				break
			}
		}
		// A playlist that is made of the list plays the same.
		text, _, err := Draft(t.Context(), root, c.list, new(meter).measure)
		if err != nil {
			t.Errorf("%s: %v", c.list, err)
			continue
		}
		pl, wrong := Parse("y", "y.yaml", text)
		pl, more := Resolve(t.Context(), root, "y.yaml", pl, new(meter).measure, nil)
		n := 0
		for _, ph := range pl.Phases {
			for _, it := range ph.Music {
				if it.Track == nil {
					continue
				}
				if rel, _ := filepath.Rel(root, it.Track.File); n < len(c.want) && !strings.HasPrefix(c.want[n], fmt.Sprintf("%s %s-%s", rel, it.Track.LeadIn, it.Track.Length-it.Track.LeadOut)) {
					t.Errorf("%s: the file that is made of it plays %s from %v", c.list, rel, it.Track.LeadIn)
				}
				n++
			}
		}
		if n != len(c.want) || len(wrong) > 0 || len(more.Errors()) > 0 {
			t.Errorf("%s: the file that is made of it has %d tracks, %v %v\n%s", c.list, n, wrong.Strings(), more.Strings(), text)
		}
	}
}

// TestListsThatNameNoFiles holds that a file which can't be a list says what it is, and what to do.
func TestListsThatNameNoFiles(t *testing.T) {
	root := files(t, map[string]string{
		"evening.csv": "Track URI,Track Name,Artist URI(s),Artist Name(s),Album URI\n\"spotify:track:1\",\"Dawn\",\"x\",\"Anna\",\"y\"\n\"spotify:track:2\",\"Dusk\",\"x\",\"Anna\",\"y\"\n",
		"other.csv":   "a,b\n1,2\n",
		"radio.m3u":   "#EXTM3U\n#EXTINF:-1,Radio\nhttp://example.org/radio.mp3\nhttps://example.org/two.aac\n",
		"whole.xml":   "<plist><dict><key>Tracks</key><dict/><key>Playlists</key><array><dict><key>Name</key><string>One</string><key>Playlist Items</key><array/></dict><dict><key>Name</key><string>Two</string><key>Playlist Items</key><array/></dict></array></dict></plist>",
		"config.xml":  "<config><a/></config>",
	})
	for list, says := range map[string]string{
		"evening.csv": "it is a table of songs from a streaming service, as Exportify writes it, and holds no music (buy or rip the songs as files",
		"other.csv":   "this is a table, not a list of files",
		"radio.m3u":   "names only internet streams",
		"whole.xml":   "it is a whole library of 2 playlists (One, Two …)",
		"config.xml":  "this XML file is not a playlist",
	} {
		got, problems := tracks(t, root, list)
		if len(problems.Errors()) > 0 || len(problems) != 2 || !strings.Contains(problems[0].String(), says) || len(got) != 1 {
			t.Errorf("%s: %q %q", list, got, problems.Strings())
		}
	}
	shelf, err := OpenShelf(root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shelf.Place("", "evening.csv"); err == nil || !strings.HasPrefix(err.Error(), "bring-table") {
		t.Errorf("a CSV that is brought: %v", err)
	}
	for _, name := range []string{"a.cue", "a.xspf", "a.wpl", "a.asx", "a.xml", "a.wv", "a.m4b", "a.mka", "a.caf", "a.webm", "a.ape", "a.tta", "a.mpc", "a.dsf"} {
		if _, err := shelf.Place("", name); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
}

// TestListEncodings holds that a list is read in the code page of the computer that wrote it.
func TestListEncodings(t *testing.T) {
	for _, c := range []struct {
		name string
		enc  encoding.Encoding
		song string
	}{
		{"Latin-1", charmap.ISO8859_1, "Sigur Rós/Ágætis byrjun"}, {"MacRoman", charmap.Macintosh, "Sigur Rós/Ágætis byrjun"},
		{"cp1251", charmap.Windows1251, "Кино/Группа крови"}, {"Shift-JIS", japanese.ShiftJIS, "久石譲/風の通り道"}, {"UTF-16", utf.UTF16(utf.LittleEndian, utf.UseBOM), "久石譲/風の通り道"},
	} {
		artist, title, _ := strings.Cut(c.song, "/")
		for ending, text := range map[string]string{
			".m3u": "#EXTM3U\r\n#EXTINF:200," + artist + " - " + title + "\r\n" + c.song + ".flac\r\n",
			".pls": "[playlist]\nFile1=" + c.song + ".flac\nTitle1=" + artist + " - " + title + "\n",
			".cue": "PERFORMER \"" + artist + "\"\nFILE \"" + c.song + ".flac\" WAVE\n  TRACK 01 AUDIO\n    TITLE \"" + title + "\"\n    INDEX 01 00:00:00\n",
		} {
			raw, err := c.enc.NewEncoder().String(text)
			if err != nil {
				t.Fatal(err)
			}
			root := files(t, map[string]string{"x" + ending: raw, c.song + ".flac": "10m"})
			got, problems := tracks(t, root, "x"+ending)
			if want := []string{c.song + ".flac 0s-10m0s " + title + " by " + artist}; !slices.Equal(got, want) || len(problems) > 0 {
				t.Errorf("%s in %s: %q %v", ending, c.name, got, problems.Strings())
			}
		}
	}
}

// TestOtherAlbum holds that a missing file is never replaced by one of another album, that whatever is taken in its place is
// told, and that two files of one name are told apart by their neighbors.
func TestOtherAlbum(t *testing.T) {
	base := map[string]string{
		"Metal Box/CD1/01 Intro.mp3": "5m Metal Box", "Metal Box/CD1/02.mp3": "5m", "Quiet Songs/02.mp3": "5m", "Quiet Songs/03.mp3": "5m", "Loud/CD 2/09 Coda.mp3": "5m",
		"Deep/one.flac": "5m", "Tears For Fears/The Hurting/02 Mad World.mp3": "5m", "box/Old Name/07 End.mp3": "5m New Name", "Slow Album (Remastered)/04.flac": "5m", "single.mp3": "5m",
	}
	for _, c := range []struct{ entry, want, says string }{
		{"Quiet Album/CD1/01 Intro.mp3", "", `"Quiet Album/CD1/01 Intro.mp3" is not there; Metal Box/CD1/01 Intro.mp3 has the same name but belongs to another album`},
		{"Quiet Album/01 Intro.mp3", "", "belongs to another album"},
		{`D:\Music\Quiet Album\CD1\01 Intro.mp3`, "", "belongs to another album"},
		{"CD1/01 Intro.mp3", "Metal Box/CD1/01 Intro.mp3", `"CD1/01 Intro.mp3" is not there; roomd plays Metal Box/CD1/01 Intro.mp3, which has the same name (write `},
		{"01 Intro.mp3", "Metal Box/CD1/01 Intro.mp3", "which has the same name"},
		{`C:\Users\Anna\Music\Metal Box\CD1\01 Intro.mp3`, "Metal Box/CD1/01 Intro.mp3", ""},
		{`C:\Music\Deep\one.flac`, "Deep/one.flac", ""},
		{"Artist/Loud/CD 2/09 Coda.mp3", "Loud/CD 2/09 Coda.mp3", ""},
		{"Loud/Disc 2/09 Coda.mp3", "Loud/CD 2/09 Coda.mp3", "Loud/CD 2/09 Coda.mp3, which has the same name"},
		{"New Name/07 End.mp3", "box/Old Name/07 End.mp3", "the same recording according to its tags"},
		{"Slow Album/04.flac", "Slow Album (Remastered)/04.flac", "which has the same name"},
		{"02.mp3", "", `"02.mp3" is not there; 2 files have this name: Metal Box/CD1/02.mp3, Quiet Songs/02.mp3 (write the folder too, such as `},
		{"Tears%20For%20Fears/The%20Hurting/02%20Mad%20World.mp3", "Tears For Fears/The Hurting/02 Mad World.mp3", ""},
		{"/home/anna/Tears%20For%20Fears/The%20Hurting/02%20Mad%20World.mp3", "Tears For Fears/The Hurting/02 Mad World.mp3", ""},
		{"Quiet Album/single.mp3", "single.mp3", "single.mp3, which has the same name"},
	} {
		list := map[string]string{"x.m3u8": c.entry + "\n"}
		for k, v := range base {
			list[k] = v
		}
		root := files(t, list)
		for _, music := range []string{"x.m3u8", "'" + c.entry + "'"} {
			if music != "x.m3u8" && isAbsolute(c.entry) {
				continue // refused in a file of our own
			}
			got, problems := tracks(t, root, music)
			said := strings.Join(problems.Strings(), "\n")
			if c.want == "" && !strings.Contains(strings.Join(got, ""), "not there") || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want+" ")) {
				t.Errorf("%s: %q", music, got)
			}
			if c.says == "" && strings.Contains(said, "not there") || !strings.Contains(said, c.says) {
				t.Errorf("%s: says %s", music, said)
			}
		}
	}
	// A first idea of a playlist, for which nothing is measured.
	other := files(t, map[string]string{"a/Old/07 End.mp3": "5m", "x.m3u8": "New/07 End.mp3\na/Old/07 End.mp3\n"})
	if _, problems, err := Draft(t.Context(), other, "x.m3u8", nil); err != nil || len(problems) != 1 || !strings.Contains(problems[0].Says, "another album") {
		t.Errorf("%v %v", problems.Strings(), err)
	}
	base["x.m3u8"] = "02.mp3\nQuiet Songs/03.mp3\n"
	root := files(t, base)
	for _, music := range []string{"x.m3u8", "[02.mp3, Quiet Songs/03.mp3]"} {
		got, problems := tracks(t, root, music)
		if len(got) != 2 || !strings.HasPrefix(got[0], "Quiet Songs/02.mp3 ") || !strings.Contains(problems[0].Says, "beside its neighbors") {
			t.Errorf("%s: %q %q", music, got, problems.Strings())
		}
	}
}

// TestParts holds what a part of a file is, and what is said where it can't be.
func TestParts(t *testing.T) {
	root := files(t, map[string]string{"a.flac": "10m", "b.flac": "10m", "dir/c.flac": "10m", "l.m3u8": "a.flac\nb.flac\n"})
	for _, c := range []struct {
		music string
		want  []string
		says  string
	}{
		{"{file: a.flac, from: 0:30, to: 6:10}", []string{"a.flac 30s-6m10s a"}, ""},
		{"{file: a.flac, from: 90s}", []string{"a.flac 1m30s-10m0s a"}, ""},
		{"{file: a.flac, to: 0:06:10.25}", []string{"a.flac 0s-6m10.25s a"}, ""},
		{"[{file: a.flac, to: 5:00}, {file: a.flac, from: 5:00}]", []string{"a.flac 0s-5m0s a", "a.flac 5m0s-10m0s joined a"}, ""},
		{"[{file: a.flac, to: 5:00}, {file: a.flac, from: 5:00, crossfade: 10s}]", []string{"a.flac 0s-5m0s a", "a.flac 5m0s-10m0s a"}, ""},
		{"[a.flac, {file: dir/, crossfade: 30s}]", []string{"a.flac 0s-10m0s a", "dir/c.flac 0s-10m0s c"}, ""},
		{"{file: a.flac, to: 12:00}", []string{"a.flac 0s-10m0s a"}, `x.yaml:6:31: warning: "a.flac" ends at 10:00, before 12:00 (leave out to)`},
		{"{file: a.flac, from: 11:00}", []string{"a.flac The part that the playlist names is not in the file. a"}, `"a.flac" is 10:00 long, so it has nothing from 11:00 on`},
		{"{file: a.flac, from: 6:10, to: 0:30}", nil, "the part ends at 0:30, not after its start at 6:10"},
		{"{file: a.flac, from: soon}", nil, `from is "soon", not a place in a track (write 0:30, 1:02:30 or 90s)`},
		{"{file: dir/, from: 1:00}", []string{"dir/c.flac 0s-10m0s c"}, `"dir/" is not one file, so it has no part`},
		{"{file: l.m3u8, to: 1:00}", []string{"a.flac 0s-10m0s a", "b.flac 0s-10m0s b"}, `"l.m3u8" is not one file, so it has no part`},
		{"{bed: ocean, from: 1:00}", nil, "a bed has no from: it never ends"},
		{"{bed: ocean, file: a.flac}", nil, "the entry has a file and a bed"},
		{"{file: a.flac, frm: 1:00}", nil, `unknown key "frm"`},
	} {
		got, problems := tracks(t, root, c.music)
		said := strings.Join(problems.Strings(), "\n")
		if !slices.Equal(got, c.want) || c.says == "" != (said == "") || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q\n%s", c.music, got, said)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(longest/time.Microsecond)).Draw(rt, "us")) * time.Microsecond
		if got, ok := parseClock(formatClock(d)); !ok || got != d {
			rt.Fatalf("%v is exported %s and read as %v, %v", d, formatClock(d), got, ok)
		}
	})
}

func FuzzLists(f *testing.F) {
	for name, text := range exported {
		f.Add(slices.Index(listEndings, ending(name)), []byte(text))
	}
	f.Add(0, []byte("<asx><entry><ref href='http://x'/></entry>"))
	f.Add(2, []byte("FILE \"\nTRACK 1 AUDIO\nINDEX 01 99:99:99\nINDEX 01"))
	f.Fuzz(func(t *testing.T, kind int, data []byte) {
		l := readList(listEndings[uint(kind)%uint(len(listEndings))], data)
		checkList(t, l)
		for _, e := range l.Entries {
			if e.From < 0 || e.To < 0 || e.To > 0 && e.To <= e.From && e.Source != "" && strings.HasPrefix(strings.ToUpper(strings.TrimSpace(e.Source)), "TRACK") {
				t.Fatalf("%+v", e)
			}
		}
	})
}
