package playlists

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// readCue reads a CUE sheet: an album in one file, or in a file for each track. A track lasts until the next one of its
// file begins, so that the pause before that one, if it is recorded, stays where it was on the record.
func readCue(text string) list {
	var l list
	var album, artist, file string
	var track *listEntry // not of the file as a whole
	open := -1           // the entry whose end is where the next track of its file begins
	for i, raw := range strings.Split(text, "\n") {
		words := cueWords(raw)
		if len(words) < 2 {
			continue
		}
		switch strings.ToUpper(words[0]) {
		case "FILE":
			file, open = words[1], -1
		case "TRACK":
			track = &listEntry{Line: i + 1, Album: album, Artist: artist, Source: raw}
			if len(words) > 2 && !strings.EqualFold(words[2], "AUDIO") {
				track = nil // a data track
			}
		case "TITLE":
			if track != nil {
				track.Title = words[1]
			} else if len(l.Entries) == 0 {
				album, l.Name = words[1], words[1]
			}
		case "PERFORMER":
			if track != nil {
				track.Artist = words[1]
			} else if len(l.Entries) == 0 {
				artist = words[1]
			}
		case "INDEX":
			at, ok := cueTime(words[len(words)-1])
			if n, err := strconv.Atoi(words[1]); track == nil || file == "" || !ok || err != nil || n != 1 {
				continue
			}
			if open >= 0 && open < len(l.Entries) && at > l.Entries[open].From {
				l.Entries[open].To = at
			}
			track.Path, track.From = file, at
			l.add(*track)
			open, track = len(l.Entries)-1, nil
		}
	}
	return l
}

// cueWords are the words of a line; quotes hold blanks together.
func cueWords(line string) []string {
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " \t") {
		var word string
		if rest, ok := strings.CutPrefix(line, `"`); ok {
			word, line, _ = strings.Cut(rest, `"`)
		} else if k := strings.IndexAny(line, " \t"); k >= 0 {
			word, line = line[:k], line[k:]
		} else {
			word, line = line, ""
		}
		words = append(words, word)
	}
	return words
}

var cueClock = regexp.MustCompile(`^(\d{1,4}):(\d{1,2}):(\d{1,2})$`)

// cueTime reads minutes, seconds and 75ths of a second.
func cueTime(s string) (time.Duration, bool) {
	m := cueClock.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	var n [3]time.Duration
	for i := range n {
		v, _ := strconv.Atoi(m[i+1])
		n[i] = time.Duration(v)
	}
	return (n[0]*time.Minute + n[1]*time.Second + n[2]*time.Second/75).Truncate(time.Microsecond), n[1] < 60 && n[2] < 75
}

// option takes what VLC notes of an entry: the part of the file that it plays.
func (e *listEntry) option(s string) {
	key, value, _ := strings.Cut(s, "=")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || seconds <= 0 || seconds > longest.Seconds() {
		return
	}
	at := time.Duration(seconds * float64(time.Second)).Truncate(time.Microsecond)
	switch strings.TrimPrefix(strings.TrimSpace(key), ":") {
	case "start-time":
		e.From = at
	case "stop-time":
		e.To = at
	}
}

// element is one element of an XML list. Names are in lower case, without their name space.
type element struct {
	name  string
	attrs map[string]string
	text  string
	line  int
	in    []*element
}

// maxXMLDepth is how deep an XML list may be nested; what is deeper is left out.
const maxXMLDepth = 40

// readXML reads as much of a text as is XML, however carelessly it was written: Windows Media Player mixes the case of its
// tags and leaves & as it is.
func readXML(text string) *element {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.Entity = false, xml.HTMLEntity
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // listText has decoded it
	root := &element{}
	stack := []*element{root}
	for {
		line, _ := d.InputPos()
		t, err := d.RawToken()
		if err != nil {
			return root
		}
		top := stack[len(stack)-1]
		switch t := t.(type) {
		case xml.StartElement:
			e := &element{name: strings.ToLower(t.Name.Local), line: line, attrs: map[string]string{}}
			for _, a := range t.Attr {
				e.attrs[strings.ToLower(a.Name.Local)] = strings.TrimSpace(a.Value)
			}
			if len(stack) < maxXMLDepth {
				top.in = append(top.in, e)
			}
			stack = append(stack, e)
		case xml.EndElement:
			for k := len(stack) - 1; k > 0; k-- {
				if stack[k].name == strings.ToLower(t.Name.Local) {
					stack = stack[:k]
					break
				}
			}
		case xml.CharData:
			top.text += string(t)
		}
	}
}

// first is the first element of a name directly below e; an empty one where there is none.
func (e *element) first(name string) *element {
	for _, c := range e.in {
		if c.name == name {
			return c
		}
	}
	return &element{}
}

// each calls f with every element of a name below e, in order.
func (e *element) each(name string, f func(*element)) {
	for _, c := range e.in {
		if c.name == name {
			f(c)
		}
		c.each(name, f)
	}
}

// says is an element's own text, on one line.
func (e *element) says() string { return strings.Join(strings.Fields(e.text), " ") }

// readXSPF reads what VLC, Clementine and Strawberry export. A location is an address: its escapes are undone here, since a
// file name may hold a % of its own.
func readXSPF(text string) list {
	root := readXML(text).first("playlist")
	l := list{Name: root.first("title").says()}
	root.each("track", func(t *element) {
		e := listEntry{Line: t.line, Title: t.first("title").says(), Artist: t.first("creator").says(), Album: t.first("album").says()}
		t.each("option", func(o *element) { e.option(o.says()) })
		for _, at := range t.in {
			if p := strings.TrimSpace(at.text); at.name == "location" && p != "" {
				e.Path, e.Line, e.Source = p, at.line, p
				break
			}
		}
		l.add(e)
	})
	return l
}

// readWPL reads what Windows Media Player and Groove save.
func readWPL(text string) list {
	root := readXML(text)
	var l list
	root.each("title", func(t *element) {
		if l.Name == "" {
			l.Name = t.says()
		}
	})
	root.each("media", func(m *element) {
		l.add(listEntry{Line: m.line, Path: m.attrs["src"], Title: m.attrs["tracktitle"], Artist: m.attrs["trackartist"], Album: m.attrs["albumtitle"], Source: m.attrs["src"]})
	})
	return l
}

// readASX reads what older Windows programs save.
func readASX(text string) list {
	root := readXML(text).first("asx")
	l := list{Name: root.first("title").says()}
	root.each("entry", func(t *element) {
		ref := t.first("ref")
		l.add(listEntry{Line: max(ref.line, 1), Path: ref.attrs["href"], Title: t.first("title").says(), Artist: t.first("author").says(), Source: ref.attrs["href"]})
	})
	return l
}

// readITunes reads a playlist that iTunes or Music exports as XML.
func readITunes(text string) list {
	l := list{Says: "this XML file is not a playlist", Write: "in Music, choose File, Library, Export Playlist, Format XML; or write a list of files, such as a .m3u8"}
	root := readXML(text).first("plist").first("dict")
	tracks, lists := root.value("tracks"), root.value("playlists")
	if tracks == nil || lists == nil {
		return l
	}
	l.Says, l.Write = "", ""
	byID := map[string]*element{}
	for i := 0; i+1 < len(tracks.in); i += 2 {
		byID[tracks.in[i].says()] = tracks.in[i+1]
	}
	var one *element
	var names []string
	for _, p := range lists.in {
		if items := p.value("playlist items"); items != nil {
			one = p
			names = append(names, p.string("name"))
		}
	}
	if len(names) > 1 {
		l.Says = fmt.Sprintf("it is a whole library of %d playlists (%s …)", len(names), clip(strings.Join(names[:min(3, len(names))], ", ")))
		l.Write = "choose one playlist in Music, then File, Library, Export Playlist, Format XML"
		return l
	}
	if one == nil {
		return l
	}
	l.Name = one.string("name")
	for _, item := range one.value("playlist items").in {
		t := byID[item.string("track id")]
		if t == nil {
			continue
		}
		at := t.value("location")
		if at == nil {
			// A track of the cloud: it has no file here, and keeps its place.
			at = &element{line: t.line, text: t.string("name")}
		}
		l.add(listEntry{Line: at.line, Path: strings.TrimSpace(at.text), Source: at.says(), Title: t.string("name"), Artist: t.string("artist"), Album: t.string("album")})
	}
	return l
}

// value is the value of a property list's key, in lower case; nil where there is none.
func (e *element) value(key string) *element {
	for i := 0; i+1 < len(e.in); i++ {
		if e.in[i].name == "key" && strings.ToLower(e.in[i].says()) == key {
			return e.in[i+1]
		}
	}
	return nil
}

func (e *element) string(key string) string {
	if v := e.value(key); v != nil {
		return v.says()
	}
	return ""
}

// readCSV tells what to do with a table, which names songs and no files.
func readCSV(text string) list {
	head, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), "\n")
	says := "this is a table, not a list of files"
	if strings.Contains(head, "track uri") || strings.Contains(head, "spotify") || strings.Contains(head, "track name") && strings.Contains(head, "artist") {
		says = "it is a table of songs from a streaming service, as Exportify writes it, and holds no music"
	}
	return list{Says: says, Write: "buy or rip the songs as files, put them into the playlists folder, and name that folder"}
}
