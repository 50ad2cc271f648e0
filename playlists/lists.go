package playlists

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/htmlindex"

	"roomd/charset"
)

// What a music player's list may cost.
const (
	maxList        = 4 << 20 // bytes
	maxListEntries = 20_000
	maxListDepth   = 3 // lists in lists
)

// list is a music player's playlist.
type list struct {
	Name    string // as the player calls it
	Entries []listEntry
	Cut     bool // there were more entries than are read
	// Says is why a file of this kind names no music, and Write what to do, where that can be told.
	Says, Write string
}

// listEntry is one file of a list, as it is written there.
type listEntry struct {
	Line                 int
	Path                 string
	Title, Artist, Album string
	Group                string        // #EXTGRP
	Source               string        // the line as written
	From, To             time.Duration // the part of the file, to the microsecond; 0: from its start, to its end
}

// add appends an entry, or notes that there are too many.
func (l *list) add(e listEntry) {
	if e.Path = strings.TrimSpace(e.Path); e.Path == "" || strings.ContainsAny(e.Path, "\r\n\x00") {
		return
	}
	if len(l.Entries) == maxListEntries {
		l.Cut = true
		return
	}
	l.Entries = append(l.Entries, e)
}

// listFormats are the kinds of lists, by the endings of their names. Browsed ones are playlists by themselves where a
// library finds them; the others are read where somebody names them, as their endings are those of many other files too.
var listFormats = map[string]struct {
	browsed bool
	read    func(text string) list
}{
	".m3u":  {true, readM3U},
	".m3u8": {true, readM3U},
	".pls":  {true, readPLS},
	".cue":  {true, readCue},
	".xspf": {true, readXSPF},
	".wpl":  {true, readWPL},
	".asx":  {true, readASX},
	".wax":  {true, readASX},
	".xml":  {false, readITunes},
	".csv":  {false, readCSV},
}

// listEndings are the endings of lists, sorted.
var listEndings = slices.Sorted(maps.Keys(listFormats))

func isList(name string) bool    { return slices.Contains(listEndings, ending(name)) }
func isBrowsed(name string) bool { return listFormats[ending(name)].browsed }

// readList reads a list; ending is one of listEndings. Lines that mean nothing are passed over, as every player does.
func readList(ending string, data []byte) list {
	data = data[:min(len(data), maxList)]
	return listFormats[ending].read(listText(data))
}

var xmlEncoding = regexp.MustCompile(`^\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)["']`)

// listText is a list's text with plain line ends. An encoding that it declares counts before one that its bytes suggest.
func listText(data []byte) string {
	text, _ := charset.Decode(data)
	if m := xmlEncoding.FindSubmatch(data[:min(len(data), 200)]); m != nil {
		if enc, err := htmlindex.Get(string(m[1])); err == nil {
			if out, err := enc.NewDecoder().Bytes(data); err == nil {
				text = string(out)
			}
		}
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "").Replace(text)
}

var (
	extinf      = regexp.MustCompile(`^-?[\d.]*`)
	extinfField = regexp.MustCompile(`^\s+[\w-]+="[^"]*"`)
)

func readM3U(text string) list {
	var l list
	var next listEntry
	var album, artist string
	for i, raw := range strings.Split(text, "\n") {
		line := strings.TrimSpace(raw)
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
		case !strings.HasPrefix(line, "#"):
			next.Line, next.Path, next.Source = i+1, line, raw
			if next.Artist == "" {
				next.Artist = artist
			}
			next.Album = album
			l.add(next)
			next = listEntry{Group: next.Group}
		case strings.EqualFold(key, "#EXTINF"):
			// #EXTINF:123 key="value",Artist - Title
			rest := strings.TrimPrefix(value, extinf.FindString(value))
			for m := extinfField.FindString(rest); m != ""; m = extinfField.FindString(rest) {
				rest = rest[len(m):]
			}
			_, title, ok := strings.Cut(rest, ",")
			if !ok {
				continue
			}
			next.Artist, next.Title = splitTitle(strings.TrimSpace(title))
		case strings.EqualFold(key, "#EXTVLCOPT"):
			next.option(value)
		case strings.EqualFold(key, "#EXTALB"):
			album = value
		case strings.EqualFold(key, "#EXTART"):
			artist = value
		case strings.EqualFold(key, "#EXTGRP"):
			next.Group = value
		case strings.EqualFold(key, "#PLAYLIST"):
			l.Name = value
		}
	}
	return l
}

// splitTitle takes "Artist - Title" apart.
func splitTitle(s string) (artist, title string) {
	if a, t, ok := strings.Cut(s, " - "); ok && strings.TrimSpace(a) != "" && strings.TrimSpace(t) != "" {
		return strings.TrimSpace(a), strings.TrimSpace(t)
	}
	return "", s
}

func readPLS(text string) list {
	var l list
	index := map[string]int{} // number in the key → entry
	titles := map[string]string{}
	for i, raw := range strings.Split(text, "\n") {
		key, value, ok := strings.Cut(strings.TrimSpace(raw), "=")
		if !ok {
			continue
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if n, ok := strings.CutPrefix(key, "file"); ok && value != "" {
			if _, twice := index[n]; twice {
				continue
			}
			index[n] = len(l.Entries)
			l.add(listEntry{Line: i + 1, Path: value, Source: raw})
		} else if n, ok := strings.CutPrefix(key, "title"); ok {
			titles[n] = value
		}
	}
	for n, title := range titles {
		if k, ok := index[n]; ok && k < len(l.Entries) {
			l.Entries[k].Artist, l.Entries[k].Title = splitTitle(title)
		}
	}
	return l
}

var (
	scheme  = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]+):`)
	windows = regexp.MustCompile(`^(?:[A-Za-z]:[\\/]|\\\\)`)
)

// isStream says whether a path is an address of the network.
func isStream(p string) bool {
	m := scheme.FindStringSubmatch(p)
	return m != nil && !strings.EqualFold(m[1], "file") && (strings.HasPrefix(p[len(m[0]):], "//") || strings.EqualFold(m[1], "spotify"))
}

// isAbsolute says whether a path begins at the root of some computer.
func isAbsolute(p string) bool { return strings.HasPrefix(p, "/") || windows.MatchString(p) }

// localPath is a list's path with slashes. A file:// address is unescaped.
func localPath(p string) (string, error) {
	if len(p) > 7 && strings.EqualFold(p[:7], "file://") {
		rest := p[7:]
		// What stands before the next slash is a host: none, localhost, or a share's. A drive may stand there too.
		if host, after, ok := strings.Cut(rest, "/"); ok && !windows.MatchString(rest) && host != "" {
			rest = "/" + after
		}
		un, err := url.PathUnescape(rest)
		if err != nil {
			return "", fmt.Errorf("unescape address: %w", err)
		}
		p = un
		if len(p) > 2 && p[0] == '/' && windows.MatchString(p[1:]) {
			p = p[1:]
		}
	}
	if windows.MatchString(p) || strings.Contains(p, `\`) {
		p = strings.ReplaceAll(p, `\`, "/")
	}
	return p, nil
}

// pathUnescape undoes the %20 that some players write.
func pathUnescape(p string) (string, error) {
	if !strings.Contains(p, "%") {
		return p, nil
	}
	return url.PathUnescape(p)
}
