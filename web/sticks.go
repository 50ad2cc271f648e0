package web

import (
	"context"
	"errors"
	"net/http"

	"roomd/playlists"
	"roomd/room"
)

// Sticks are what is plugged into the room's computer.
type Sticks interface {
	List(ctx context.Context) ([]playlists.Stick, error)
	// Import is the copying that is under way, or the last one; nil: there was none.
	Import() *playlists.Import
	// Start begins to copy a stick; the error is playlists.ErrNoStick, playlists.ErrImporting or a *playlists.Refusal.
	Start(ctx context.Context, id string) error
	// Stop ends the copying; code is the sentence that says why. It is false where there is none.
	Stop(code string) bool
}

// A stick and an import as the API gives them.
type (
	stick struct {
		playlists.Stick
		why
	}
	imported struct {
		playlists.Import
		why
		LeftOut []leftOut `json:"left_out,omitempty"`
	}
	leftOut struct {
		File string `json:"file"`
		why
	}
	// why is a playlists.Refusal as a sentence; empty where there is none.
	why struct {
		Says string `json:"says,omitempty"`
		room.Said
	}
)

func whyOf(no *playlists.Refusal) why {
	if no == nil {
		return why{}
	}
	s := room.Say(no.Code, no.Args...)
	return why{s.Text, s}
}

// refusedBy is err as an answer: a *playlists.Refusal in its own words.
func refusedBy(err error) *room.Refused {
	var no *playlists.Refusal
	if errors.As(err, &no) {
		return room.Refuse(no.Code, no.Args...)
	}
	return room.Refuse("upload-failed")
}

// importing is the copying that is under way, or the last one; nil: there was none.
func (s *Server) importing() *imported {
	i := s.o.Sticks.Import()
	if i == nil {
		return nil
	}
	out := &imported{Import: *i, why: whyOf(i.Why)}
	for _, f := range i.LeftOut {
		out.LeftOut = append(out.LeftOut, leftOut{f.File, whyOf(f.Why)})
	}
	return out
}

// withSticks answers for a room whose playlists folder takes nothing.
func (s *Server) withSticks(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.o.Sticks == nil {
			reply(w, http.StatusServiceUnavailable, room.Refuse("upload-none"))
			return
		}
		h(w, r)
	}
}

func (s *Server) sticks(w http.ResponseWriter, r *http.Request) {
	list, err := s.o.Sticks.List(r.Context())
	if err != nil {
		s.o.Log.Error("sticks can't be looked for", "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("sticks-unseen"))
		return
	}
	sticks := make([]stick, len(list))
	for i, st := range list {
		sticks[i] = stick{st, whyOf(st.Unread)}
	}
	reply(w, http.StatusOK, struct {
		Sticks []stick   `json:"sticks"`
		Import *imported `json:"import"`
	}{sticks, s.importing()})
}

// bring copies a stick. A session has the machine to itself: none is begun beside one, and one that is under way stops when
// a session starts.
func (s *Server) bring(w http.ResponseWriter, r *http.Request) {
	changed := s.o.Room.Changed()
	if s.o.Room.Snapshot().InSession() {
		w.Header().Set("Retry-After", "60")
		reply(w, http.StatusLocked, room.Refuse("upload-in-session"))
		return
	}
	err := s.o.Sticks.Start(r.Context(), r.PathValue("id"))
	var no *playlists.Refusal
	switch {
	case errors.Is(err, playlists.ErrNoStick):
		reply(w, http.StatusNotFound, room.Refuse("stick-gone"))
	case errors.Is(err, playlists.ErrImporting):
		reply(w, http.StatusConflict, room.Refuse("stick-copying"))
	case errors.As(err, &no):
		s.o.Log.Warn("a stick is not copied", "err", err)
		reply(w, http.StatusInsufficientStorage, refusedBy(err))
	case err != nil:
		s.o.Log.Error("a stick can't be copied", "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("stick-failed"))
	default:
		go s.yield(changed)
		reply(w, http.StatusAccepted, s.importing())
	}
}

// yield stops the copying when a session starts.
func (s *Server) yield(changed <-chan struct{}) {
	for {
		<-changed
		changed = s.o.Room.Changed()
		if i := s.o.Sticks.Import(); i == nil || i.State != playlists.Importing {
			return
		}
		if s.o.Room.Snapshot().InSession() {
			s.o.Sticks.Stop("stick-session")
			return
		}
	}
}

func (s *Server) stopBringing(w http.ResponseWriter, r *http.Request) {
	if !s.o.Sticks.Stop("stick-stopped") {
		reply(w, http.StatusNotFound, room.Refuse("stick-idle"))
		return
	}
	reply(w, http.StatusOK, s.importing())
}
