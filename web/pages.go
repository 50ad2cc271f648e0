package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"html"
	"io/fs"
	"mime"
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
