package web

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"roomd/playlists"
	"roomd/rig"
)

// fakeSticks has one stick that is copied until somebody stops it.
type fakeSticks struct {
	mu     sync.Mutex
	broken bool
	now    *playlists.Import
}

func (f *fakeSticks) List(context.Context) ([]playlists.Stick, error) {
	if f.broken {
		return nil, errors.New("no mounts")
	}
	return []playlists.Stick{{ID: "1", Name: "Music", Files: 2, Bytes: 3, Unread: &playlists.Refusal{Code: "stick-unread"}}}, nil
}

func (f *fakeSticks) Import() *playlists.Import {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		return nil
	}
	i := *f.now
	return &i
}

func (f *fakeSticks) Start(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch id {
	case "1":
		f.now = &playlists.Import{Stick: "Music", Folder: "usb/Music", State: playlists.Importing, Of: 2, OfBytes: 3, LeftOut: []playlists.LeftOut{{File: "a.mp3", Why: &playlists.Refusal{Code: "bring-unread"}}}}
		return nil
	case "2":
		return playlists.ErrNoStick
	case "3":
		return playlists.ErrImporting
	case "4":
		return &playlists.Refusal{Code: "bring-space", Args: []any{"needed", 4, "left", 3}}
	}
	return errors.New("no mounts")
}

func (f *fakeSticks) Stop(code string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil || f.now.State != playlists.Importing {
		return false
	}
	f.now.State, f.now.Why = playlists.ImportStopped, &playlists.Refusal{Code: code}
	return true
}

// A session has the machine to itself: it ends the copying of a stick.
func TestASessionStopsTheCopying(t *testing.T) {
	h := open(t)
	h.room.rest(true)
	if resp, body := h.ask(t, "POST", "/api/v1/sticks/1/import", "", h.bearer()...); resp.StatusCode != http.StatusAccepted {
		t.Fatal(resp.Status, body)
	}
	h.room.rest(true) // another change of the room does not
	time.Sleep(20 * time.Millisecond)
	if i := h.sticks.Import(); i.State != playlists.Importing {
		t.Fatalf("%+v", i)
	}
	h.room.rest(false)
	rig.Eventually(t, "it is stopped", func() bool {
		i := h.sticks.Import()
		return i.State == playlists.ImportStopped && i.Why.Code == "stick-session"
	})
}
