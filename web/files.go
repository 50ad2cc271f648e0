package web

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/playlists"
	"roomd/room"
)

// Files are the files of the playlists.
type Files interface {
	// Document is a playlist's file; the error is playlists.ErrNoFile or fs.ErrNotExist where there is none.
	Document(id string) (playlists.Document, error)
	// Save writes one, if its file is still at the revision was; with errors among its problems it writes nothing.
	Save(d playlists.Document, was string) error
	// Found writes the file of a playlist that has none, and returns the ID of the playlist in it.
	Found(id string) (string, error)
	// Get is a playlist as it is listed, with its music where that is known.
	Get(id string) (playlists.Entry, bool)
	// Music lists a folder below the playlists folder, or what is found below it.
	Music(in, find string) (files []playlists.MusicFile, more bool, err error)
}

// maxFileBody is how large the change of a playlist's file may be, in bytes.
const maxFileBody = 1 << 20

// fileView is a playlist's file on the page.
type fileView struct {
	File     string             `json:"file"`
	Revision string             `json:"revision"`
	Text     string             `json:"text"`
	Bed      string             `json:"bed"`    // what a phase without music plays
	Phases   []phaseEdit        `json:"phases"` // as the text says; none where it has errors
	Problems playlists.Problems `json:"problems"`
}

// phaseEdit is a phase that can be changed. In a request what is absent stays as it is.
type phaseEdit struct {
	Was      int      `json:"was"` // its place in the file, from 0
	Name     string   `json:"name,omitempty"`
	Stage    string   `json:"stage,omitempty"`
	LengthMS *int64   `json:"length_ms,omitempty"`
	LevelDB  *float64 `json:"level_db,omitempty"`
	Scene    *string  `json:"scene,omitempty"`
	FadeMS   *int64   `json:"fade_ms,omitempty"`
	Music    []entry  `json:"music,omitempty"` // in a request: what it becomes
}

// entry is one entry of a phase's music. In a request it is one that the phase has, or a file, a bed or silence; the rest is
// not read.
type entry struct {
	Was      *int   `json:"was,omitempty"`  // its place in the phase's music, from 0
	File     string `json:"file,omitempty"` // below the playlists folder
	Bed      string `json:"bed,omitempty"`
	Silence  bool   `json:"silence,omitempty"`
	Title    string `json:"title,omitempty"`  // of a single track
	Tracks   int    `json:"tracks,omitempty"` // that it stands for, once it was looked at
	LengthMS int64  `json:"length_ms,omitempty"`
	Problem  string `json:"problem,omitempty"`
	FromMS   int64  `json:"from_ms,omitempty"` // of the part that is played
	ToMS     int64  `json:"to_ms,omitempty"`
}

// edit is what a request asks of one phase.
func (p phaseEdit) edit() playlists.PhaseEdit {
	e := playlists.PhaseEdit{Was: p.Was, Length: length(p.LengthMS), Level: p.LevelDB, Scene: p.Scene, Fade: length(p.FadeMS)}
	if p.Music != nil {
		e.Music = []playlists.MusicEdit{}
	}
	for _, m := range p.Music {
		if m.Was != nil {
			e.Music = append(e.Music, playlists.MusicEdit{Was: m.Was})
		} else {
			e.Music = append(e.Music, playlists.MusicEdit{File: m.File, Bed: playlists.Bed(m.Bed), Silence: m.Silence})
		}
	}
	return e
}

// view is a document as the page shows it, with what its music was resolved to where that is known.
func (s *Server) view(d playlists.Document) fileView {
	v := viewFile(d)
	e, ok := s.o.Files.Get(d.ID)
	known := ok && e.Playlist != nil && e.Playlist.Revision == d.Revision
	for i := range v.Phases {
		music := d.Playlist.Phases[i].Written.Music
		heard := make([]playlists.Heard, len(music))
		if known {
			heard = e.Playlist.Heard(i, music)
		}
		for k, src := range music {
			h := heard[k]
			m := entry{Was: &k, File: d.Entry(src), Bed: string(src.Bed), Silence: src.Silence, Title: h.Title, Tracks: h.Tracks, LengthMS: h.Length.Milliseconds(), Problem: h.Problem}
			if src.Part != nil {
				m.FromMS, m.ToMS = src.Part.From.Milliseconds(), src.Part.To.Milliseconds()
			}
			v.Phases[i].Music = append(v.Phases[i].Music, m)
		}
	}
	return v
}

func viewFile(d playlists.Document) fileView {
	v := fileView{File: d.Name, Revision: d.Revision, Text: string(d.Text), Bed: string(d.Playlist.Bed), Phases: []phaseEdit{}, Problems: orEmpty(d.Problems)}
	read := d.With(d.Text)
	if len(read.Problems.Errors()) > 0 {
		return v
	}
	for i, ph := range read.Playlist.Phases {
		length := ph.Length.Milliseconds()
		e := phaseEdit{Was: i, Name: ph.Name, Stage: string(ph.Stage), LengthMS: &length, LevelDB: &ph.Level}
		if ph.Lights != nil {
			fade := ph.Lights.Fade.Milliseconds()
			e.Scene, e.FadeMS = &ph.Lights.Scene, &fade
		}
		v.Phases = append(v.Phases, e)
	}
	return v
}

// noFile answers where a playlist's file can't be had. It is false where err is nil.
func (s *Server) noFile(w http.ResponseWriter, id string, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, playlists.ErrNoFile):
		reply(w, http.StatusConflict, room.Refuse("file-none"))
	case errors.Is(err, playlists.ErrChanged):
		reply(w, http.StatusConflict, room.Refuse("file-changed").Of("revision"))
	case errors.Is(err, fs.ErrExist):
		reply(w, http.StatusConflict, room.Refuse("file-exists"))
	case errors.Is(err, fs.ErrNotExist):
		reply(w, http.StatusNotFound, room.Refuse("unknown-playlist", "playlist", id))
	default:
		s.o.Log.Error("a playlist's file", "playlist", id, "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("file-failed"))
	}
	return true
}

func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d, err := s.o.Files.Document(id)
	if s.noFile(w, id, err) {
		return
	}
	reply(w, http.StatusOK, s.view(d))
}

// found makes a playlist that is a folder, a list or a starter a file of its own.
func (s *Server) found(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	now, err := s.o.Files.Found(id)
	if s.noFile(w, id, err) {
		return
	}
	s.o.Log.Info("a playlist was made a file", "playlist", now)
	reply(w, http.StatusCreated, struct {
		ID string `json:"id"`
	}{now})
}

// save writes a playlist's file anew: a text, its phases in another order or otherwise, or an earlier version.
func (s *Server) save(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var in struct {
		Revision string      `json:"revision"`
		Text     *string     `json:"text"`
		Phases   []phaseEdit `json:"phases"`
		Restore  *int        `json:"restore"`
	}
	if !s.bodyOf(w, r, &in, maxFileBody) {
		return
	}
	given := 0
	for _, is := range []bool{in.Text != nil, in.Phases != nil, in.Restore != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		reply(w, http.StatusUnprocessableEntity, fault{"text", "write one of text, phases and restore"})
		return
	}
	d, err := s.o.Files.Document(id)
	if s.noFile(w, id, err) {
		return
	}
	if d.Revision != in.Revision {
		s.noFile(w, id, playlists.ErrChanged)
		return
	}
	switch {
	case in.Text != nil:
		d = d.With([]byte(*in.Text))
	case in.Restore != nil:
		if d, err = d.Restore(*in.Restore); s.noVersion(w, d, *in.Restore, err) {
			return
		}
	default:
		var edits []playlists.PhaseEdit
		for _, p := range in.Phases {
			edits = append(edits, p.edit())
		}
		if d, err = d.With(d.Text).Edit(edits); err != nil {
			reply(w, http.StatusUnprocessableEntity, fault{"phases", sentence(err.Error())})
			return
		}
	}
	s.write(w, d, in.Revision)
}

// write saves a document and answers with the file as it is then, or as it was asked for, with what is wrong in it.
func (s *Server) write(w http.ResponseWriter, d playlists.Document, was string) {
	if s.noFile(w, d.ID, s.o.Files.Save(d, was)) {
		return
	}
	if len(d.Problems.Errors()) > 0 {
		refused := s.view(d)
		refused.Revision = was
		reply(w, http.StatusUnprocessableEntity, refused)
		return
	}
	s.o.Log.Info("playlist saved", "playlist", d.ID)
	now, err := s.o.Files.Document(d.ID)
	if !s.noFile(w, d.ID, err) {
		reply(w, http.StatusOK, s.view(now))
	}
}

// versionView is an earlier version of a playlist's file.
type versionView struct {
	Number   int       `json:"number"`
	AgoMS    int64     `json:"ago_ms"` // since it was replaced
	Revision string    `json:"revision"`
	Phases   int       `json:"phases"` // none where it has errors
	LengthMS int64     `json:"length_ms"`
	File     *fileView `json:"file,omitempty"`
	Diff     string    `json:"diff,omitempty"` // what the file has otherwise, as a unified diff
}

func viewVersion(v playlists.Version, was playlists.Document) versionView {
	out := versionView{Number: v.Number, AgoMS: max(0, time.Since(v.Replaced).Milliseconds()), Revision: v.Revision}
	if len(was.Problems.Errors()) == 0 {
		out.Phases, out.LengthMS = len(was.Playlist.Phases), was.Playlist.Length().Milliseconds()
	}
	return out
}

// noVersion answers where a version can't be had. It is false where err is nil.
func (s *Server) noVersion(w http.ResponseWriter, d playlists.Document, number int, err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		reply(w, http.StatusNotFound, room.Refuse("version-gone", "number", number).Of("restore"))
		return true
	}
	return s.noFile(w, d.ID, err)
}

// versions lists the earlier versions of a playlist's file, the latest first.
func (s *Server) versions(w http.ResponseWriter, r *http.Request) {
	d, err := s.o.Files.Document(r.PathValue("id"))
	if s.noFile(w, r.PathValue("id"), err) {
		return
	}
	list, err := d.Versions()
	if s.noFile(w, d.ID, err) {
		return
	}
	out := []versionView{}
	for _, v := range list {
		if was, err := d.Restore(v.Number); err == nil { // else it has just been dropped
			out = append(out, viewVersion(v, was))
		}
	}
	reply(w, http.StatusOK, out)
}

// version is one earlier version of a playlist's file, and how the file differs from it.
func (s *Server) version(w http.ResponseWriter, r *http.Request) {
	d, err := s.o.Files.Document(r.PathValue("id"))
	if s.noFile(w, r.PathValue("id"), err) {
		return
	}
	number, _ := strconv.Atoi(r.PathValue("number"))
	list, err := d.Versions()
	if s.noFile(w, d.ID, err) {
		return
	}
	was, err := d.Restore(number)
	k := slices.IndexFunc(list, func(v playlists.Version) bool { return v.Number == number })
	if err == nil && k < 0 {
		err = fs.ErrNotExist
	}
	if s.noVersion(w, d, number, err) {
		return
	}
	file, v := s.view(was), viewVersion(list[k], was)
	v.File = &file
	if v.Diff, err = d.Compare(number); !s.noVersion(w, d, number, err) {
		reply(w, http.StatusOK, v)
	}
}

// music lists what can be played: what a folder holds, or what is found below it.
func (s *Server) music(w http.ResponseWriter, r *http.Request) {
	s.browsing.Lock()
	defer s.browsing.Unlock()
	in, find := r.URL.Query().Get("in"), r.URL.Query().Get("find")
	if len(in) > maxIn || len(find) > maxIn {
		reply(w, http.StatusUnprocessableEntity, room.Refuse("find-long").Of("find"))
		return
	}
	files, more, err := s.o.Files.Music(in, find)
	if err != nil {
		reply(w, http.StatusNotFound, room.Refuse("folder-gone", "folder", in).Of("in"))
		return
	}
	reply(w, http.StatusOK, struct {
		Files []playlists.MusicFile `json:"files"`
		More  bool                  `json:"more"` // there are others
	}{orEmpty(files), more})
}

// maxIn is how long a folder's path and the words of a search may be, in bytes.
const maxIn = 2000

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.TrimSuffix(strings.ToUpper(s[:1])+s[1:], ".") + "."
}

func length(ms *int64) *time.Duration {
	if ms == nil {
		return nil
	}
	d := time.Duration(min(max(*ms, 0), int64(48*time.Hour/time.Millisecond))) * time.Millisecond
	return &d
}
