package web

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"roomd/room"
)

// pair lets a device in by a code or a link that the room's computer shows, and gives it a cookie.
func (f *Front) pair(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code string `json:"code"`
		Link string `json:"link"`
		Name string `json:"name"` // as the device calls itself
	}
	if !f.body(w, r, &in) {
		return
	}
	code, from := strings.Map(func(c rune) rune {
		if c == ' ' || c == '-' {
			return -1
		}
		return c
	}, in.Code), source(r.RemoteAddr)
	asked, looked := code, true
	switch {
	case (in.Code == "") == (in.Link == ""):
		reply(w, http.StatusUnprocessableEntity, fault{"code", "a code or a link, one of them"})
		return
	case in.Link != "" && isCode(in.Link):
		reply(w, http.StatusUnprocessableEntity, fault{"link", "what stands behind the # of the link"})
		return
	case in.Link != "":
		// Nobody guesses 128 bits, so that links need no limit; one that is not known costs no writing.
		asked, _, _ = strings.Cut(in.Link, ".") // then comes the authority's fingerprint, which is the page's business
		looked = f.o.Tokens.Offered(asked)
	case !isCode(code):
		reply(w, http.StatusUnprocessableEntity, fault{"code", "a code has six digits"})
		return
	case !f.guesses.allow(from):
		f.guesses.wrong(from, false)
		w.Header().Set("Retry-After", "60")
		reply(w, http.StatusTooManyRequests, fault{"", f.o.Wording.TooMany})
		return
	}
	old, _, _ := f.who(r)
	token, is, err := "", Token{}, ErrNoPairing
	if looked {
		token, is, err = f.o.Tokens.Redeem(r.Context(), asked, in.Name, old, r.TLS != nil)
	}
	switch {
	case errors.Is(err, ErrNoPairing):
		f.guesses.wrong(from, true)
		reply(w, http.StatusUnauthorized, fault{"", f.o.Wording.BadCode})
		return
	case err != nil:
		f.o.Log.Error("a device can't be let in", "err", err)
		reply(w, http.StatusInternalServerError, fault{"", f.o.Wording.Failed})
		return
	}
	f.guesses.right(from)
	f.o.Log.Info("a device was let in", "device", is.Name, "role", is.Role, "admitted by", cmp.Or(is.Admitted, f.o.Wording.By))
	signIn(w, r, token)
	reply(w, http.StatusOK, you{is.Name, is.Role})
}

// howToPair is what the pairing page says.
type howToPair struct {
	Command string `json:"command"`
	Sheet   bool   `json:"sheet"` // the code on the sheet of the room's card still works
}

// PairCommand is what shows a code on the room's computer, as it is typed there. Anybody may read Plain; Full names the data
// folder where that is needed, for a therapist.
type PairCommand struct{ Plain, Full string }

// how tells where a code is: on a printed sheet, and by which command the room's computer shows one.
func (f *Front) how(w http.ResponseWriter, r *http.Request) {
	h := howToPair{f.o.Pair.Plain, f.o.Tokens.FirstCodeWaits()}
	if _, whose, ok := f.who(r); ok && whose.Role == Therapist {
		h.Command = f.o.Pair.Full
	}
	reply(w, http.StatusOK, h)
}

// admission lets one device in. A page shows it once.
type admission struct {
	Role        Role     `json:"role"`
	Code        string   `json:"code"`
	Link        string   `json:"link"`
	QR          []string `json:"qr"` // of the link: a row of modules each, 1 is dark; without the quiet zone
	ExpiresInMS int64    `json:"expires_in_ms"`
	// Fingerprint is that of the room's authority, where the page came from the room by https with it.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Plain leads a device over http that does not trust the room yet: https would only show it a warning.
	PlainLink string   `json:"plain_link,omitempty"`
	PlainQR   []string `json:"plain_qr,omitempty"`
}

// admit makes a code and a link by which a therapist's device lets another one in. Nobody logs them.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Role Role `json:"role"`
	}
	if !s.body(w, r, &in) {
		return
	}
	if in.Role != Therapist && in.Role != Observer {
		reply(w, http.StatusUnprocessableEntity, fault{"role", "therapist or observer"})
		return
	}
	token, _, _ := s.who(r)
	p, err := Pairing{}, ErrManyPairings
	if s.admitting.Allow() {
		p, err = s.o.Tokens.Admit(r.Context(), token, r.TLS != nil, in.Role)
	}
	switch {
	case errors.Is(err, ErrManyPairings):
		w.Header().Set("Retry-After", strconv.Itoa(int(admitEvery.Seconds())))
		reply(w, http.StatusTooManyRequests, room.Refuse("codes-many"))
		return
	case err != nil:
		s.o.Log.Error("no code can be made to let a device in", "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("code-failed"))
		return
	}
	a := admission{Role: in.Role, Code: p.Code, ExpiresInMS: CodeTime.Milliseconds(), Link: s.origin(r) + "/pair#" + p.Link}
	if c := s.o.Certs; c != nil && r.TLS != nil && !c.Own() {
		// What came by the room's own https is the room's word: nobody between could change it.
		a.Fingerprint = c.Fingerprint()
		print := "." + strings.ReplaceAll(a.Fingerprint, ":", "")
		a.Link += print
		a.PlainLink = "http://" + net.JoinHostPort(bare(r.Host), s.o.Port) + "/pair#" + p.Link + print
		a.PlainQR, err = qrRows(a.PlainLink)
	}
	if err == nil {
		a.QR, err = qrRows(a.Link)
	}
	if err != nil {
		s.o.Log.Warn("a link can't be drawn", "err", err) // it can be typed
	}
	reply(w, http.StatusOK, a)
}

// origin is where the page of a request came from: a proxy may have ended its https.
func (f *Front) origin(r *http.Request) string {
	if o, err := url.Parse(r.Header.Get("Origin")); r.TLS != nil || err == nil && o.Host == r.Host && o.Scheme == "https" {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// qrRows is a text as a QR code's rows.
func qrRows(text string) ([]string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return nil, err
	}
	rows := make([]string, code.Size)
	for y := range rows {
		row := make([]byte, code.Size)
		for x := range row {
			if row[x] = '0'; code.Black(x, y) {
				row[x] = '1'
			}
		}
		rows[y] = string(row)
	}
	return rows, nil
}

// you is what a device is called, and what it may do.
type you struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
}

// device is one that may see or steer the room.
type device struct {
	you
	Created   string `json:"created"`               // the day, 2026-05-01
	LastUsed  string `json:"last_used,omitempty"`   // the day
	Ends      string `json:"ends,omitempty"`        // the day on which it ends if it is not used, where that is soon
	Ended     bool   `json:"ended,omitempty"`       // it was not used for too long
	Connected int    `json:"connected"`             // its open websockets
	This      bool   `json:"this"`                  // it is the one that asks
	Admitted  string `json:"admitted_by,omitempty"` // the device that let it in; none: roomd pair or roomd token did
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
		d := device{you: you{t.Name, t.Role}, Created: t.Created.Format(time.DateOnly), Connected: s.hub.of(t.Name), This: t.Name == me.Name, Admitted: t.Admitted}
		if !t.LastUsed.IsZero() {
			d.LastUsed = t.LastUsed.Format(time.DateOnly)
		}
		if d.Ended = s.o.Tokens.Ended(t); !d.Ended && s.o.Tokens.now().After(t.Ends().Add(-Warned)) {
			d.Ends = t.Ends().Format(time.DateOnly)
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
		reply(w, http.StatusInternalServerError, room.Refuse("device-failed"))
	default:
		s.hub.drop(name)
		s.o.Log.Info("a device was sent away", "device", name)
		reply(w, http.StatusOK, struct{}{})
	}
}
