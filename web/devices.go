package web

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// pair lets a device in by a code or a link that the room's computer shows, and gives it a cookie.
func (s *Server) pair(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
		Link string `json:"link"`
		Name string `json:"name"` // as the device calls itself
	}
	if !s.body(w, r, &in) {
		return
	}
	slow, asked := s.codes, strings.Map(func(c rune) rune {
		if c == ' ' || c == '-' {
			return -1
		}
		return c
	}, in.Code)
	switch {
	case (in.Code == "") == (in.Link == ""):
		reply(w, http.StatusUnprocessableEntity, fault{"code", "a code or a link, one of them"})
		return
	case in.Link != "":
		slow, asked = s.links, in.Link
		if isCode(asked) {
			reply(w, http.StatusUnprocessableEntity, fault{"link", "what stands behind the # of the link"})
			return
		}
	case !isCode(asked):
		reply(w, http.StatusUnprocessableEntity, fault{"code", "a code has six digits"})
		return
	}
	if !slow.Allow() {
		w.Header().Set("Retry-After", "5")
		reply(w, http.StatusTooManyRequests, fault{"", "Too many tries. Wait a few seconds and try again."})
		return
	}
	old, _, _ := s.who(r)
	token, is, err := s.o.Tokens.Redeem(r.Context(), asked, in.Name, old)
	switch {
	case errors.Is(err, ErrNoPairing):
		reply(w, http.StatusUnauthorized, fault{"", "This code is not valid, was used or is too old. Make a new one on the room's computer: roomd pair"})
		return
	case err != nil:
		s.o.Log.Error("a device can't be let in", "err", err)
		reply(w, http.StatusInternalServerError, fault{"", "The room could not let this device in. Try again."})
		return
	}
	s.o.Log.Info("a device was let in", "device", is.Name, "role", is.Role)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", MaxAge: int(cookieAge.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil})
	reply(w, http.StatusOK, you{is.Name, is.Role})
}

// you is what a device is called, and what it may do.
type you struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
}

// device is one that may see or steer the room.
type device struct {
	you
	Created   string `json:"created"`             // the day, 2026-05-01
	LastUsed  string `json:"last_used,omitempty"` // the day
	Connected int    `json:"connected"`           // its open websockets
	This      bool   `json:"this"`                // it is the one that asks
}

func (s *Server) devices(w http.ResponseWriter, r *http.Request) {
	list, err := s.o.Tokens.List(r.Context())
	if err != nil {
		s.o.Log.Error("the devices can't be read", "err", err)
		reply(w, http.StatusInternalServerError, fault{Reason: "the devices can't be read"})
		return
	}
	me, _ := r.Context().Value(whoKey{}).(Token)
	out := []device{}
	for _, t := range list {
		d := device{you: you{t.Name, t.Role}, Created: t.Created.Format(time.DateOnly), Connected: s.hub.of(t.Name), This: t.Name == me.Name}
		if !t.LastUsed.IsZero() {
			d.LastUsed = t.LastUsed.Format(time.DateOnly)
		}
		out = append(out, d)
	}
	reply(w, http.StatusOK, out)
}

// revoke sends a device away.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := s.o.Tokens.Revoke(r.Context(), name)
	switch {
	case errors.Is(err, ErrNoToken):
		reply(w, http.StatusNotFound, fault{"name", "there is no such device"})
	case err != nil:
		s.o.Log.Error("a device can't be sent away", "err", err)
		reply(w, http.StatusInternalServerError, fault{Reason: "the device could not be sent away"})
	default:
		s.hub.drop(name)
		s.o.Log.Info("a device was sent away", "device", name)
		reply(w, http.StatusOK, struct{}{})
	}
}
