package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"roomd/web/ui"
)

// darkCSS is the style of error pages.
//
//go:embed dark.css
var darkCSS []byte

// darkPage is an error as a page: in a dark room an error must not be a white screen.
func (s *Server) darkPage(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="dark"><title>roomd</title>`+
		`<link rel="stylesheet" href="/dark.css"><body bgcolor="#000000"><main><h1>%d</h1><p>%s</p><p><a href="/">To the room</a></p></main></body></html>`+"\n",
		status, html.EscapeString(reason))
}

// ui serves the tablet's page. Files with a hash in their name never change; index.html is asked for anew each time.
func (s *Server) ui(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" || name == "pair" {
		name = "index.html"
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		s.fail(w, r, http.StatusNotFound, "there is no such route")
		return
	}
	if name == "dark.css" {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(darkCSS)
		return
	}
	b, err := fs.ReadFile(ui.Files, "dist/"+name)
	if err != nil || strings.HasSuffix(name, ".gz") {
		s.fail(w, r, http.StatusNotFound, "there is no such page")
		return
	}
	h := w.Header()
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".webmanifest" {
		kind = "application/manifest+json" // which few systems know
	}
	h.Set("Content-Type", kind)
	h.Set("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if zipped, err := fs.ReadFile(ui.Files, "dist/"+name+".gz"); err == nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		b = zipped
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// https is the room's https address by the name that a request used; empty: there is none.
func (s *Server) https(r *http.Request) string {
	if s.o.Certs == nil {
		return ""
	}
	return "https://" + net.JoinHostPort(bare(r.Host), s.o.HTTPSPort)
}

// trust tells how a tablet comes to trust the room.
func (s *Server) trust(w http.ResponseWriter, r *http.Request) {
	var t struct {
		HTTPS       string `json:"https"`       // empty: there is none
		Fingerprint string `json:"fingerprint"` // of the room's authority, SHA-256
		Own         bool   `json:"own"`         // the certificate is the owner's: there is nothing to install
	}
	if c := s.o.Certs; c != nil {
		t.HTTPS, t.Fingerprint, t.Own = s.https(r), c.Fingerprint(), c.Own()
	}
	reply(w, http.StatusOK, t)
}

// authority gives the room's authority to who is to trust it, as a certificate or as Apple's profile.
func (s *Server) authority(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.o.Certs == nil:
		s.fail(w, r, http.StatusNotFound, "there is no https here")
	case r.URL.Path == "/ca.crt":
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		_, _ = w.Write(s.o.Certs.Authority())
	default:
		w.Header().Set("Content-Type", "application/x-apple-aspen-config")
		_, _ = w.Write(s.o.Certs.Profile())
	}
}
