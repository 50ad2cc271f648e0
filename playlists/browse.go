package playlists

import (
	"io/fs"
	"path"
	"strings"
	"time"
)

// maxFound is how many files a search tells.
const maxFound = 200

// MusicFile is something that a phase's music can name.
type MusicFile struct {
	File     string `json:"file"`             // below the playlists folder, with slashes
	Kind     string `json:"kind"`             // folder, track or list
	Tracks   int    `json:"tracks,omitempty"` // in a folder and below it
	Title    string `json:"title,omitempty"`  // where it is known
	Artist   string `json:"artist,omitempty"`
	Album    string `json:"album,omitempty"`
	LengthMS int64  `json:"length_ms,omitempty"`
}

// Music lists what a folder of the playlists folder holds that can be played, folders first; "" is the playlists folder
// itself. With words to find it lists the folders and tracks anywhere below whose path, title, artist or album have all of
// them, at most 200; more: there are others. The error is fs.ErrNotExist, or says that the folder leads out.
func (l *Library) Music(in, find string) (files []MusicFile, more bool, err error) {
	f, err := openFolder(l.o.Folder, l.o.Linked...)
	if err != nil {
		return nil, false, err
	}
	dir, info, err := f.find(path.Clean("./" + in))
	switch {
	case err != nil:
		return nil, false, err
	case !info.IsDir() || dir != "." && hidden(path.Base(dir)):
		return nil, false, fs.ErrNotExist
	}
	words := strings.Fields(fold(find))
	all, tracks := f.under(dir), map[string]int{} // by folder
	var folders []string
	below := func(rel string) string { return strings.TrimPrefix(strings.TrimPrefix(rel, dir), "/") }
	for _, rel := range all {
		for at := path.Dir(rel); at != dir && at != "."; at = path.Dir(at) {
			if tracks[at] == 0 {
				folders = append(folders, at)
			}
			tracks[at]++
		}
	}
	naturally(folders)
	for _, at := range folders {
		if len(words) == 0 && !strings.Contains(below(at), "/") || len(words) > 0 && hasAll(words, path.Base(at)) {
			files = append(files, MusicFile{File: at, Kind: "folder", Tracks: tracks[at]})
		}
	}
	for _, rel := range all {
		if len(words) == 0 && strings.Contains(below(rel), "/") {
			continue
		}
		m := MusicFile{File: rel, Kind: "track"}
		if t, ok := l.known(f.abs(rel)); ok {
			m.Title, m.Artist, m.Album, m.LengthMS = t.Title, t.Artist, t.Album, t.Length.Milliseconds()
		}
		if len(words) == 0 || hasAll(words, rel, m.Title, m.Artist, m.Album) {
			files = append(files, m)
		}
		if len(words) > 0 && len(files) > maxFound {
			return files[:maxFound], true, nil
		}
	}
	if len(words) == 0 {
		for _, e := range f.read(dir) {
			if isList(e.Name()) && ending(e.Name()) != ".csv" && e.Type().IsRegular() && !hidden(e.Name()) {
				files = append(files, MusicFile{File: path.Join(dir, e.Name()), Kind: "list"})
			}
		}
	}
	return files, false, nil
}

func (l *Library) known(file string) (Track, bool) {
	if l.o.Known == nil {
		return Track{}, false
	}
	return l.o.Known(file)
}

// hasAll says whether each of the folded words is in one of the texts.
func hasAll(words []string, texts ...string) bool {
	text := fold(strings.Join(texts, "\n"))
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// Heard is what an entry of music was resolved to.
type Heard struct {
	Tracks  int
	Length  time.Duration // of its tracks, as much as is played of them
	Title   string        // of the only one
	Problem string        // of the first that can't be played
}

// Heard is what one entry of a phase's music was resolved to; nothing before the playlist was, and of a music player's list.
func (p *Playlist) Heard(phase int, s Source) (h Heard) {
	if phase >= len(p.Phases) {
		return h
	}
	for _, it := range p.Phases[phase].Music {
		if it.Track == nil || it.At.Line != s.Line || it.At.Col != s.Col || it.At.File != s.File {
			continue
		}
		if h.Tracks++; it.Track.Problem == "" {
			h.Length += it.Track.Length - it.Track.LeadIn - it.Track.LeadOut
		} else if h.Problem == "" {
			h.Problem = it.Track.Problem
		}
		if h.Title = it.Track.Title; h.Tracks > 1 {
			h.Title = ""
		}
	}
	return h
}
