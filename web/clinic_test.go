package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"roomd/room"
)

// fakeClinic is a clinic that is joined at once. The address chooses a fault.
type fakeClinic struct {
	joined bool
	asked  []string
	leave  error
}

func (f *fakeClinic) View() ClinicView {
	if !f.joined {
		return ClinicView{}
	}
	return ClinicView{Joined: true, Name: "North", Reach: "reached", ForMS: 7}
}

func (f *fakeClinic) Join(_ context.Context, address, code string) error {
	f.asked = append(f.asked, address+" "+code)
	switch address {
	case "field":
		return room.Refuse("clinic-code").Of("code")
	case "state":
		return room.Refuse("clinic-own")
	case "fire":
		return errors.New("disk on fire")
	}
	f.joined = true
	return nil
}

func (f *fakeClinic) Leave() error {
	if f.leave == nil {
		f.joined = false
	}
	return f.leave
}

const clinicAt = "/api/v1/clinic"

// tryClinic tries each route of the room's place in a clinic: what it takes, and each kind of fault. A session runs meanwhile.
func tryClinic(t *testing.T, h *house, try func(method, path, body string, want int, head ...string), bj, observer []string) {
	t.Helper()
	const join = `{"address":"desk:8444","code":"ABCD"}`
	h.room.rest(false)
	try("GET", clinicAt, "", 200, bj...)
	try("GET", clinicAt, "", 401)
	try("GET", clinicAt, "", 403, observer...)
	try("POST", clinicAt+"/join", join, 401, "Content-Type", asJSON)
	try("POST", clinicAt+"/join", join, 403, append(slices.Clone(observer), "Content-Type", asJSON)...)
	try("POST", clinicAt+"/join", `{"loud":true}`, 400, bj...)
	try("POST", clinicAt+"/join", join, 415, bj[:2]...)
	try("POST", clinicAt+"/join", `{"address":"`+strings.Repeat("x", maxBody)+`"}`, 413, bj...)
	try("DELETE", clinicAt, "", 401)
	try("DELETE", clinicAt, "", 403, observer...)
	if len(h.clinic.asked) > 0 {
		t.Errorf("strangers and observers joined: %q", h.clinic.asked)
	}
	for fault, want := range map[string]int{"field": 422, "state": 409, "fire": 500} {
		try("POST", clinicAt+"/join", `{"address":"`+fault+`","code":"ABCD"}`, want, bj...)
	}
	try("POST", clinicAt+"/join", join, 200, bj...)
	if last := h.clinic.asked[len(h.clinic.asked)-1]; last != "desk:8444 ABCD" || !h.clinic.joined {
		t.Errorf("joined by %q", last)
	}
	try("GET", clinicAt, "", 200, bj...)
	for err, want := range map[error]int{room.Refuse("clinic-own"): 409, errors.New("disk on fire"): 500} {
		h.clinic.leave = err
		try("DELETE", clinicAt, "", want, bj...)
	}
	h.clinic.leave = nil
	try("DELETE", clinicAt, "", 200, bj...)
	if h.clinic.joined {
		t.Error("the room has not left")
	}
	h.server.o.Clinic = nil
	for _, c := range [][3]string{{http.MethodGet, clinicAt, ""}, {http.MethodPost, clinicAt + "/join", join}, {http.MethodDelete, clinicAt, ""}} {
		try(c[0], c[1], c[2], 503, bj...)
	}
	h.server.o.Clinic = h.clinic
}
