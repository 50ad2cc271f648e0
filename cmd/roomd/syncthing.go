package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2/maybe"

	"roomd/room"
	"roomd/room/doctor"
)

const (
	syncthingLook = 30 * time.Second // a folder that was added, or a Syncthing that did not answer
	syncthingTime = 20 * time.Second // for all folders
)

// syncthing pauses the folders of a Syncthing while a session runs: a paused one neither moves bytes nor reads its files through. Its
// failure is no problem of the room's: the log and the doctor tell.
//
// The folders that roomd pauses stand in a file before it does, and are resumed by that, whatever happens meanwhile: a folder that the
// curator has paused stays paused.
type syncthing struct {
	url, keyFile string
	mine         string // the file with the ids of folders that roomd has paused
	log          *slog.Logger

	mu     sync.Mutex // guards what follows
	failed error      // of the last time; nil: it went well
}

func newSyncthing(cfg *room.SyncthingConfig, data string, log *slog.Logger) *syncthing {
	mine := filepath.Join(data, "syncthing.paused")
	if cfg != nil {
		return &syncthing{url: cfg.URL, keyFile: cfg.KeyFile, mine: mine, log: log}
	}
	if ids, err := (&syncthing{mine: mine}).paused(); len(ids) > 0 || err != nil {
		log.Warn("folders of Syncthing stay paused: name it in the room file again, or resume them by hand and delete the list", "list", mine, "folders", ids)
	}
	return nil
}

// syncthingKey reads an API key from its file.
func syncthingKey(file string) (string, error) {
	b, err := os.ReadFile(file)
	return strings.TrimSpace(string(b)), err
}

// run pauses and resumes until ctx ends. Then all stays as it is: a restart does not end a session.
func (s *syncthing) run(ctx context.Context, r *room.Room) error {
	tick := time.NewTicker(syncthingLook)
	defer tick.Stop()
	for due, was := true, false; ; {
		changed := r.Changed()
		if is := r.Snapshot().InSession(); due || is != was {
			due, was = false, is
			s.set(ctx, is)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
			due = true
		}
	}
}

// set has all folders paused, or those resumed that roomd has paused. It logs what is wrong once.
func (s *syncthing) set(ctx context.Context, paused bool) {
	ctx, stop := context.WithTimeout(ctx, syncthingTime)
	defer stop()
	do := s.resume
	if paused {
		do = s.pause
	}
	err := do(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.failed == nil && !errors.Is(err, context.Canceled) {
		s.log.Warn("Syncthing is not paused in a session, or not resumed after it; trying again", "err", err)
	}
	s.failed = err
}

// folder is what roomd reads of a folder of Syncthing's.
type folder struct {
	ID     string `json:"id"`
	Paused bool   `json:"paused"`
}

func (s *syncthing) pause(ctx context.Context) error {
	mine, err := s.paused()
	if err != nil {
		return err
	}
	all, err := s.folders(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f folder) bool { return f.Paused })
	if len(all) == 0 {
		return nil
	}
	for _, f := range all {
		mine = append(mine, f.ID)
	}
	slices.Sort(mine)
	list, err := json.Marshal(slices.Compact(mine))
	if err == nil {
		err = maybe.WriteFile(s.mine, list, 0o600)
	}
	if err != nil {
		return err // nobody would know what to resume
	}
	return s.change(ctx, all, true)
}

func (s *syncthing) resume(ctx context.Context) error {
	mine, err := s.paused()
	if err != nil || mine == nil {
		return err
	}
	all, err := s.folders(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f folder) bool { return !f.Paused || !slices.Contains(mine, f.ID) })
	if err := s.change(ctx, all, false); err != nil {
		return err
	}
	return os.Remove(s.mine)
}

// paused are the folders that roomd has paused; nil: none.
func (s *syncthing) paused() (ids []string, err error) {
	list, err := os.ReadFile(s.mine)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(list, &ids)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w; delete it and resume Syncthing's folders by hand", s.mine, err)
	}
	return ids, err
}

func (s *syncthing) folders(ctx context.Context) (all []folder, err error) {
	return all, s.ask(ctx, http.MethodGet, "", nil, &all)
}

func (s *syncthing) change(ctx context.Context, folders []folder, paused bool) (err error) {
	for _, f := range folders {
		err = errors.Join(err, s.ask(ctx, http.MethodPatch, "/"+url.PathEscape(f.ID), map[string]bool{"paused": paused}, nil))
	}
	return err
}

// ask sends a request about folders. No proxy and no redirect gets the key.
func (s *syncthing) ask(ctx context.Context, method, path string, body, into any) error {
	key, err := syncthingKey(s.keyFile)
	if err != nil {
		return fmt.Errorf("the API key: %w", err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/rest/config/folders"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", key)
	by := http.Transport{DisableKeepAlives: true}
	resp, err := by.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, req.URL, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, req.URL, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(into)
}

// look is the doctor's finding.
func (s *syncthing) look(ctx context.Context) doctor.Finding {
	const check = "syncthing"
	s.mu.Lock()
	err := s.failed
	s.mu.Unlock()
	if err == nil {
		ctx, stop := context.WithTimeout(ctx, doctor.Patience)
		defer stop()
		_, err = s.folders(ctx)
	}
	if err != nil {
		return doctor.Bad(check, "doc-syncthing-bad", "address", s.url).With(err.Error())
	}
	return doctor.Good(check, "doc-syncthing", "address", s.url)
}
