package web

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"roomd/playlists"
)

// Files are the files of the playlists.
type Files interface {
	// Document is a playlist's file; the error is playlists.ErrNoFile or fs.ErrNotExist where there is none.
	Document(id string) (playlists.Document, error)
	// Save writes one, if its file is still at the revision was; with errors among its problems it writes nothing.
	Save(d playlists.Document, was string) error
	// Found writes the file of a playlist that has none, and returns the ID of the playlist in it.
	Found(id string) (string, error)
}

// maxFileBody is how large the change of a playlist's file may be, in bytes.
const maxFileBody = 1 << 20

// fileView is a playlist's file on the page.
type fileView struct {
	File     string             `json:"file"`
	Revision string             `json:"revision"`
	Text     string             `json:"text"`
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
}

func viewFile(d playlists.Document) fileView {
	v := fileView{File: d.Name, Revision: d.Revision, Text: string(d.Text), Phases: []phaseEdit{}, Problems: orEmpty(d.Problems)}
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
		reply(w, http.StatusConflict, fault{Reason: "This playlist is not a file yet. Make it a file first."})
	case errors.Is(err, playlists.ErrChanged):
		reply(w, http.StatusConflict, fault{Reason: "Somebody else has changed this playlist meanwhile. Look at it again."})
	case errors.Is(err, fs.ErrExist):
		reply(w, http.StatusConflict, fault{Reason: "A file with that name already exists."})
	case errors.Is(err, fs.ErrNotExist):
		reply(w, http.StatusNotFound, fault{Reason: fmt.Sprintf("There is no playlist %q.", id)})
	default:
		s.o.Log.Error("a playlist's file", "playlist", id, "err", err)
		reply(w, http.StatusInternalServerError, fault{Reason: "The file can't be read or written: the disk may be full, or belong to somebody else."})
	}
	return true
}

func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d, err := s.o.Files.Document(id)
	if s.noFile(w, id, err) {
		return
	}
	reply(w, http.StatusOK, viewFile(d))
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

// save writes a playlist's file anew: a text, or its phases in another order or otherwise.
func (s *Server) save(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var in struct {
		Revision string      `json:"revision"`
		Text     *string     `json:"text"`
		Phases   []phaseEdit `json:"phases"`
	}
	if !s.bodyOf(w, r, &in, maxFileBody) {
		return
	}
	if (in.Text == nil) == (in.Phases == nil) {
		reply(w, http.StatusUnprocessableEntity, fault{"text", "a text or phases, one of them"})
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
	if in.Text != nil {
		d = d.With([]byte(*in.Text))
	} else {
		var edits []playlists.PhaseEdit
		for _, p := range in.Phases {
			edits = append(edits, playlists.PhaseEdit{Was: p.Was, Length: length(p.LengthMS), Level: p.LevelDB, Scene: p.Scene, Fade: length(p.FadeMS)})
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
		refused := viewFile(d)
		refused.Revision = was
		reply(w, http.StatusUnprocessableEntity, refused)
		return
	}
	s.o.Log.Info("playlist saved", "playlist", d.ID)
	now, err := s.o.Files.Document(d.ID)
	if !s.noFile(w, d.ID, err) {
		reply(w, http.StatusOK, viewFile(now))
	}
}

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
