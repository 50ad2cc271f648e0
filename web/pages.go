package web

import (
	"bytes"
	_ "embed"
	"encoding/pem"
	"fmt"
	"html"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"roomd/web/ui"
)

// darkCSS is the style of error pages.
//
//go:embed dark.css
var darkCSS []byte

// darkPage is an error as a page: in a dark room an error must not be a white screen.
func (f *Front) darkPage(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="dark"><title>roomd</title>`+
		`<link rel="stylesheet" href="/dark.css"><body bgcolor="#000000"><main><h1>%d</h1><p>%s</p><p><a href="/">%s</a></p></main></body></html>`+"\n",
		status, html.EscapeString(reason), html.EscapeString(f.o.Wording.Back))
}

// isWall reports whether a request is for the page that may be shown in a frame. The page decides by its own address what it
// shows, and a browser keeps that as it was written: /%77all or /wall/ is not the wall, and would be the tablet's page, with all
// its keys, in a stranger's frame.
func isWall(r *http.Request) bool { return r.URL.Path == "/wall" && r.URL.RawPath == "" }

// ui serves the tablet's page. Files with a hash in their name never change; index.html is asked for anew each time.
func (f *Front) ui(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" || name == "pair" || isWall(r) || slices.Contains(f.o.Paths, name) {
		name = f.o.Page
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		f.fail(w, r, http.StatusNotFound, "there is no such route")
		return
	}
	if name == "dark.css" {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(darkCSS)
		return
	}
	b, err := fs.ReadFile(ui.Files, "dist/"+name)
	if err != nil || strings.HasSuffix(name, ".gz") {
		f.fail(w, r, http.StatusNotFound, "there is no such page")
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
func (f *Front) https(r *http.Request) string {
	if f.o.Certs == nil {
		return ""
	}
	return "https://" + net.JoinHostPort(bare(r.Host), f.o.HTTPSPort)
}

// trusted is what a device has to trust to reach the room over https.
type trusted struct {
	HTTPS       string `json:"https"`       // empty: there is none
	Fingerprint string `json:"fingerprint"` // of the room's authority, SHA-256
	Own         bool   `json:"own"`         // the certificate is the owner's: there is nothing to install
}

// trust tells how a tablet comes to trust the room.
func (f *Front) trust(w http.ResponseWriter, r *http.Request) {
	var t trusted
	if c := f.o.Certs; c != nil {
		t.HTTPS, t.Fingerprint, t.Own = f.https(r), c.Fingerprint(), c.Own()
	}
	reply(w, http.StatusOK, t)
}

// authority sends the room's authority to whoever is to trust it: for devices in DER and as Apple's profile, for programs in PEM.
func (f *Front) authority(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.o.Certs == nil:
		f.fail(w, r, http.StatusNotFound, "there is no https here")
	case r.URL.Path == "/ca.crt":
		w.Header().Set("Content-Type", "application/x-x509-ca-cert")
		_, _ = w.Write(f.o.Certs.Authority())
	case r.URL.Path == "/ca.pem":
		w.Header().Set("Content-Type", "application/x-pem-file")
		_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: f.o.Certs.Authority()})
	default:
		w.Header().Set("Content-Type", "application/x-apple-aspen-config")
		_, _ = w.Write(f.o.Certs.Profile())
	}
}
