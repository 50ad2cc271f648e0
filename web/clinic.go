package web

import (
	"context"
	"errors"
	"net/http"

	"roomd/room"
)

// Clinic is the room's place in a clinic. Its errors are *room.Refused for what can't be done, with a Field where a value is at fault.
// Nothing of it touches the session that runs.
type Clinic interface {
	// View waits for nobody.
	View() ClinicView
	// Join has the desk at an address enroll the room by a code. The address may be the desk's link, which holds both.
	Join(ctx context.Context, address, code string) error
	// Leave forgets the clinic.
	Leave() error
}

// ClinicView is the clinic that the room has joined.
type ClinicView struct {
	Joined bool   `json:"joined"`
	Name   string `json:"name"`  // the clinic's
	Fixed  bool   `json:"fixed"` // the room file names the clinic's broker: it is not left by the page
	// Reach is reached, not-reached, refused (the desk has removed the room) or copied (a copy of the room has its place); empty: not joined.
	Reach   string `json:"reach"`
	ForMS   int64  `json:"for_ms"`            // so long
	Details string `json:"details,omitempty"` // for an engineer
}

// clinicJoin is the body of a request.
type clinicJoin struct {
	Address string `json:"address"`
	Code    string `json:"code"`
}

func (s *Server) clinic(w http.ResponseWriter, r *http.Request) {
	if s.o.Clinic == nil {
		s.noSetup(w, r)
		return
	}
	reply(w, http.StatusOK, s.o.Clinic.View())
}

func (s *Server) joinClinic(w http.ResponseWriter, r *http.Request) {
	var in clinicJoin
	if s.o.Clinic == nil {
		s.noSetup(w, r)
	} else if s.body(w, r, &in) {
		s.clinicDone(w, r, s.o.Clinic.Join(r.Context(), in.Address, in.Code))
	}
}

func (s *Server) leaveClinic(w http.ResponseWriter, r *http.Request) {
	if s.o.Clinic == nil {
		s.noSetup(w, r)
		return
	}
	s.clinicDone(w, r, s.o.Clinic.Leave())
}

// clinicDone answers with the view, or with what went wrong.
func (s *Server) clinicDone(w http.ResponseWriter, r *http.Request, err error) {
	var refused *room.Refused
	switch {
	case err == nil:
		reply(w, http.StatusOK, s.o.Clinic.View())
	case errors.As(err, &refused) && refused.Field != "":
		reply(w, http.StatusUnprocessableEntity, refused)
	case errors.As(err, &refused):
		reply(w, http.StatusConflict, refused)
	default:
		s.o.Log.Error("the room's clinic can't be changed", "asked", r.URL.Path, "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("setup-failed"))
	}
}
