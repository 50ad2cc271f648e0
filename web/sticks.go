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
	// Start begins to copy a stick; the error is playlists.ErrNoStick, playlists.ErrImporting or a playlists.Refusal.
	Start(ctx context.Context, id string) error
	// Stop ends the copying for a reason that is a sentence; false where there is none.
	Stop(reason string) bool
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
	reply(w, http.StatusOK, struct {
		Sticks []playlists.Stick `json:"sticks"`
		Import *playlists.Import `json:"import"`
	}{orEmpty(list), s.o.Sticks.Import()})
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
	var no playlists.Refusal
	switch {
	case errors.Is(err, playlists.ErrNoStick):
		reply(w, http.StatusNotFound, room.Refuse("stick-gone"))
	case errors.Is(err, playlists.ErrImporting):
		reply(w, http.StatusConflict, room.Refuse("stick-copying"))
	case errors.As(err, &no):
		s.fail(w, r, http.StatusInsufficientStorage, string(no))
	case err != nil:
		s.o.Log.Error("a stick can't be copied", "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("stick-failed"))
	default:
		go s.yield(changed)
		reply(w, http.StatusAccepted, s.o.Sticks.Import())
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
			s.o.Sticks.Stop("A session has begun. Copy the rest after it.")
			return
		}
	}
}

func (s *Server) stopBringing(w http.ResponseWriter, r *http.Request) {
	if !s.o.Sticks.Stop("It was stopped. Copy it again to go on.") {
		reply(w, http.StatusNotFound, room.Refuse("stick-idle"))
		return
	}
	reply(w, http.StatusOK, s.o.Sticks.Import())
}
