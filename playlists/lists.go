package playlists

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	encoding "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// What a music player's list may cost.
const (
	maxList        = 4 << 20 // bytes
	maxListEntries = 20_000
	maxListDepth   = 3 // lists in lists
)

// list is a music player's playlist: M3U or PLS.
type list struct {
	Name    string // #PLAYLIST
	Entries []listEntry
	Cut     bool // there were more entries than are read
}

// listEntry is one file of a list, as it is written there.
type listEntry struct {
	Line                 int
	Path                 string
	Title, Artist, Album string
	Group                string // #EXTGRP
	Source               string // the line as written
}

// readList reads an M3U or a PLS; ending is .m3u, .m3u8 or .pls. Lines that mean nothing are passed over, as every
// player does.
func readList(ending string, data []byte) list {
	data = data[:min(len(data), maxList)]
	var text string
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")), bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		utf, _, _ := transform.Bytes(encoding.BOMOverride(transform.Nop), data)
		text = strings.ToValidUTF8(string(utf), "\ufffd")
	case utf8.Valid(data):
		text = string(data)
	default: // older players write the Windows code page, of which Latin-1 is a part
		utf, _ := charmap.Windows1252.NewDecoder().Bytes(data)
		text = string(utf)
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	if ending == ".pls" {
		return readPLS(lines)
	}
	return readM3U(lines)
}

var (
	extinf      = regexp.MustCompile(`^-?[\d.]*`)
	extinfField = regexp.MustCompile(`^\s+[\w-]+="[^"]*"`)
)

func readM3U(lines []string) list {
	var l list
	var next listEntry
	var album, artist string
	for i, raw := range lines {
		line := strings.TrimSpace(raw)
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
		case !strings.HasPrefix(line, "#"):
			if len(l.Entries) == maxListEntries {
				l.Cut = true
				return l
			}
			next.Line, next.Path, next.Source = i+1, line, raw
			if next.Artist == "" {
				next.Artist = artist
			}
			next.Album = album
			l.Entries = append(l.Entries, next)
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

func readPLS(lines []string) list {
	var l list
	index := map[string]int{} // number in the key → entry
	titles := map[string]string{}
	for i, raw := range lines {
		key, value, ok := strings.Cut(strings.TrimSpace(raw), "=")
		if !ok {
			continue
		}
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if n, ok := strings.CutPrefix(key, "file"); ok && value != "" {
			if _, twice := index[n]; twice {
				continue
			}
			if len(l.Entries) == maxListEntries {
				l.Cut = true
				break
			}
			index[n] = len(l.Entries)
			l.Entries = append(l.Entries, listEntry{Line: i + 1, Path: value, Source: raw})
		} else if n, ok := strings.CutPrefix(key, "title"); ok {
			titles[n] = value
		}
	}
	for n, title := range titles {
		if k, ok := index[n]; ok {
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
