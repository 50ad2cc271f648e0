package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	tus "github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog" // tusd's

	"roomd/room"
)

// Shelf is where whole files go. The errors of Place and Fits are of *playlists.Refusal.
type Shelf interface {
	// Place is where a file of this name goes in a folder, both as a person or a program gave them.
	Place(folder, name string) (place string, err error)
	// Fits says whether so many bytes may be written, also into the folder where they wait.
	Fits(size int64, waits string) error
	// Shelve moves a whole file to a place. there: the same file is there already.
	Shelve(ctx context.Context, part, place string) (file string, there bool, err error)
}

// Limits of uploads.
const (
	uploadsAtOnce = 3
	uploadKept    = 7 * 24 * time.Hour // since its last byte
	uploadSilent  = 30 * time.Second   // an upload that sends nothing for so long is cut
	// Of uploads that are not whole: their number, and the bytes that they are to have. For another one the oldest ends whose last
	// byte came so long ago.
	unfinishedCount = 100
	unfinishedBytes = 16 << 30
	unfinishedIdle  = time.Hour
)

// uploads takes files by the tus protocol (1.0.0). A part waits in Options.Uploads until it is whole and then goes to the
// shelf. What waits from an earlier run is shelved where it is whole, and deleted where it is old.
func (s *Server) uploads() http.HandlerFunc {
	none := func(w http.ResponseWriter, r *http.Request) {
		reply(w, http.StatusServiceUnavailable, room.Refuse("upload-none"))
	}
	if s.o.Shelf == nil {
		return none
	}
	store := &parts{FileStore: filestore.New(s.o.Uploads), s: s}
	store.DirModePerm, store.FileModePerm = 0o700, 0o600
	if err := os.MkdirAll(s.o.Uploads, 0o700); err != nil {
		s.o.Log.Warn("music can't be uploaded", "err", err)
		return none
	}
	store.tidy(time.Now())
	composer := tus.NewStoreComposer()
	composer.UseCore(store)
	composer.UseTerminater(store)
	memorylocker.New().UseIn(composer)
	h, err := tus.NewHandler(tus.Config{StoreComposer: composer, BasePath: "/api/v1/uploads/", DisableDownload: true, DisableConcatenation: true,
		Cors: &tus.CorsConfig{Disable: true}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), NetworkTimeout: uploadSilent,
		PreUploadCreateCallback: store.accept, PreFinishResponseCallback: store.finish})
	if err != nil {
		s.o.Log.Error("music can't be uploaded", "err", err)
		return none
	}
	taken := http.StripPrefix("/api/v1/uploads", h)
	return func(w http.ResponseWriter, r *http.Request) {
		if id := r.PathValue("id"); strings.Trim(id, "0123456789abcdef") != "" {
			s.fail(w, r, http.StatusNotFound, "There is no such upload.")
			return
		}
		r.Header.Del("X-HTTP-Method-Override") // what may be done was decided by the method
		if r.Method == http.MethodDelete {
			taken.ServeHTTP(w, r)
			return
		}
		if s.o.Room.Snapshot().InSession() {
			w.Header().Set("Retry-After", "60")
			reply(w, http.StatusLocked, room.Refuse("upload-in-session"))
			return
		}
		if r.Method != http.MethodHead {
			select {
			case s.uploading <- struct{}{}:
				defer func() { <-s.uploading }()
			default:
				w.Header().Set("Retry-After", "5")
				reply(w, http.StatusTooManyRequests, room.Refuse("upload-busy"))
				return
			}
			done := make(chan struct{})
			defer close(done)
			body := &untilSession{ReadCloser: r.Body}
			go s.watchSession(done, &body.running)
			r.Body = body
		}
		taken.ServeHTTP(w, r)
	}
}

// watchSession sets running once a session runs, until done is closed.
func (s *Server) watchSession(done <-chan struct{}, running *atomic.Bool) {
	for {
		changed := s.o.Room.Changed()
		if s.o.Room.Snapshot().InSession() {
			running.Store(true)
			return
		}
		select {
		case <-done:
			return
		case <-changed:
		}
	}
}

// untilSession is a body that is cut when a session starts.
type untilSession struct {
	io.ReadCloser
	running atomic.Bool
}

func (u *untilSession) Read(p []byte) (int, error) {
	if u.running.Load() {
		return 0, refused(http.StatusLocked, room.Refuse("upload-in-session"))
	}
	return u.ReadCloser.Read(p)
}

// refused is an answer in this API's own form: a fault, or a *room.Refused.
func refused(status int, body any) tus.Error {
	b, _ := json.Marshal(body) // strings and numbers
	return tus.Error{ErrorCode: "ERR_REFUSED", Message: "refused", HTTPResponse: tus.HTTPResponse{
		StatusCode: status, Body: string(b) + "\n", Header: tus.HTTPHeader{"Content-Type": "application/json"}}}
}

// parts are the uploads that are not whole.
type parts struct {
	filestore.FileStore
	s *Server
}

// accept decides about an upload before a byte of it is taken.
func (p *parts) accept(hook tus.HookEvent) (tus.HTTPResponse, tus.FileInfoChanges, error) {
	u := hook.Upload
	no := func(status int, body any) (tus.HTTPResponse, tus.FileInfoChanges, error) {
		return tus.HTTPResponse{}, tus.FileInfoChanges{}, refused(status, body)
	}
	if _, err := p.s.o.Shelf.Place(u.MetaData["folder"], u.MetaData["filename"]); err != nil {
		return no(http.StatusUnprocessableEntity, refusedBy(err))
	}
	if u.Size == 0 {
		return no(http.StatusUnprocessableEntity, room.Refuse("upload-empty"))
	}
	if err := p.s.o.Shelf.Fits(u.Size, p.Path); err != nil {
		p.s.o.Log.Warn("an upload does not fit", "err", err)
		return no(http.StatusInsufficientStorage, refusedBy(err))
	}
	if !p.makeRoom(u.Size, time.Now()) {
		return no(http.StatusInsufficientStorage, room.Refuse("upload-many"))
	}
	id := make([]byte, 16)
	rand.Read(id)
	return tus.HTTPResponse{}, tus.FileInfoChanges{ID: hex.EncodeToString(id), MetaData: tus.MetaData{"folder": u.MetaData["folder"], "filename": u.MetaData["filename"]}}, nil
}

// makeRoom reports whether one more upload of this size may begin. Where there are too many it ends the oldest first, if nobody
// has sent a byte of it lately.
func (p *parts) makeRoom(size int64, now time.Time) bool {
	type part struct {
		id   string
		size int64
		last time.Time
	}
	var all []part
	bytes := size
	notes, _ := filepath.Glob(filepath.Join(p.Path, "*.info")) // the pattern is right
	for _, note := range notes {
		id := strings.TrimSuffix(filepath.Base(note), ".info")
		u, err := p.FileStore.GetUpload(context.Background(), id)
		if err != nil {
			continue // tidy says what is wrong with it
		}
		info, err := u.GetInfo(context.Background())
		st, e := os.Stat(filepath.Join(p.Path, id))
		if err != nil || e != nil {
			continue
		}
		all = append(all, part{id, info.Size, st.ModTime()})
		bytes += info.Size
	}
	slices.SortFunc(all, func(a, b part) int { return a.last.Compare(b.last) })
	for len(all) > 0 && (len(all) >= unfinishedCount || bytes > unfinishedBytes) {
		if now.Sub(all[0].last) < unfinishedIdle {
			return false
		}
		p.s.o.Log.Info("an unfinished upload was ended, because there were too many")
		p.remove(all[0].id)
		bytes -= all[0].size
		all = all[1:]
	}
	return true
}

// uploaded is where a whole upload is.
type uploaded struct {
	File  string `json:"file"`
	There bool   `json:"there"` // a file of this name and content was there already
}

// finish shelves an upload whose last byte has come, and tells where it is.
func (p *parts) finish(hook tus.HookEvent) (tus.HTTPResponse, error) {
	file, there, err := p.shelve(hook.Context, hook.Upload)
	if err != nil {
		return tus.HTTPResponse{}, err
	}
	b, err := json.Marshal(uploaded{file, there})
	return tus.HTTPResponse{StatusCode: http.StatusOK, Body: string(b) + "\n", Header: tus.HTTPHeader{"Content-Type": "application/json"}}, err
}

func (p *parts) shelve(ctx context.Context, info tus.FileInfo) (file string, there bool, err error) {
	part := filepath.Join(p.Path, info.ID)
	place, err := p.s.o.Shelf.Place(info.MetaData["folder"], info.MetaData["filename"])
	if err == nil {
		if err = synced(part); err == nil {
			file, there, err = p.s.o.Shelf.Shelve(ctx, part, place)
		}
	}
	switch {
	case full(err):
		p.remove(info.ID)
		return "", false, refused(http.StatusInsufficientStorage, room.Refuse("upload-full"))
	case err != nil:
		p.s.o.Log.Error("an upload can't be shelved", "err", err)
		return "", false, refused(http.StatusInternalServerError, room.Refuse("upload-failed"))
	}
	p.remove(info.ID)
	p.s.o.Log.Info("music was uploaded", "file", file, "there", there)
	return file, there, nil
}

// synced has a file's bytes on the disk.
func synced(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// remove deletes a part and what is noted of it. That neither is there is no error.
func (p *parts) remove(id string) {
	for _, name := range []string{id, id + ".info"} {
		if err := os.Remove(filepath.Join(p.Path, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			p.s.o.Log.Warn("a part of an upload stays", "err", err)
		}
	}
}

// tidy shelves what is whole and deletes what is too old, by the wall clock. A part whose notes can't be read is deleted
// when it is old.
func (p *parts) tidy(now time.Time) {
	es, err := os.ReadDir(p.Path)
	if err != nil {
		p.s.o.Log.Warn("the uploads can't be read", "err", err)
	}
	for _, e := range es {
		id := strings.TrimSuffix(e.Name(), ".info")
		if _, err := p.GetUpload(context.Background(), id); err != nil && !errors.Is(err, tus.ErrNotFound) {
			p.s.o.Log.Warn("an upload from before", "err", err)
		}
		// The part tells when the last byte came; notes without a part tell of themselves.
		info, err := os.Stat(filepath.Join(p.Path, id))
		if errors.Is(err, os.ErrNotExist) {
			info, err = e.Info()
		}
		if err == nil && now.Sub(info.ModTime()) > uploadKept {
			p.remove(id)
		}
	}
}

func (p *parts) NewUpload(ctx context.Context, info tus.FileInfo) (tus.Upload, error) {
	u, err := p.FileStore.NewUpload(ctx, info)
	if err != nil {
		p.remove(info.ID)
	}
	switch {
	case full(err):
		return nil, refused(http.StatusInsufficientStorage, room.Refuse("upload-full"))
	case err != nil:
		p.s.o.Log.Error("an upload can't begin", "err", err)
		return nil, refused(http.StatusInternalServerError, room.Refuse("upload-failed"))
	}
	return upload{u, p}, nil
}

// GetUpload also shelves a part that was whole when the process ended: nobody sends a byte of it any more.
func (p *parts) GetUpload(ctx context.Context, id string) (tus.Upload, error) {
	u, err := p.FileStore.GetUpload(ctx, id)
	if err != nil {
		return nil, err
	}
	info, err := u.GetInfo(ctx)
	if err == nil && info.Offset == info.Size {
		_, _, err = p.shelve(ctx, info)
	}
	return upload{u, p}, err
}

func (p *parts) AsTerminatableUpload(u tus.Upload) tus.TerminatableUpload {
	return p.FileStore.AsTerminatableUpload(u.(upload).Upload)
}

// upload is one that gives up when the disk is full.
type upload struct {
	tus.Upload
	p *parts
}

func (u upload) WriteChunk(ctx context.Context, offset int64, from io.Reader) (int64, error) {
	info, err := u.GetInfo(ctx)
	if err != nil {
		return 0, err
	}
	if err := u.p.s.o.Shelf.Fits(info.Size-offset, u.p.Path); err != nil {
		u.p.remove(info.ID)
		return 0, refused(http.StatusInsufficientStorage, refusedBy(err))
	}
	n, err := u.Upload.WriteChunk(ctx, offset, from)
	switch {
	case full(err):
		u.p.remove(info.ID)
		return n, refused(http.StatusInsufficientStorage, room.Refuse("upload-full"))
	case err != nil:
		u.p.s.o.Log.Error("an upload can't be written", "err", err)
		return n, refused(http.StatusInternalServerError, room.Refuse("upload-failed"))
	}
	return n, nil
}
