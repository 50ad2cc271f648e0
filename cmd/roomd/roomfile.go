package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"roomd/playlists"
	"roomd/room"
)

// roomFile is the room file as somebody writes it, beside the settings that the room has. What is written is taken over once
// it is whole and nothing plays in the room; until then, and while it has errors, the room keeps what it has.
type roomFile struct {
	call *call
	log  *slog.Logger
	cfg  room.Config // what the room has

	mu    sync.Mutex
	read  stamp              // of the file that was read last
	found playlists.Problems // in it
	err   error              // of reading it
	held  bool               // the room has what the file said before
	waits bool               // the file is right, and the room has not taken it over yet
}

// stamp tells one writing of a file from another. The zero stamp is of no file.
type stamp struct {
	at   time.Time
	size int64
}

func stampOf(path string) stamp {
	st, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{st.ModTime(), st.Size()}
}

func newRoomFile(c *call, log *slog.Logger) *roomFile { return &roomFile{call: c, log: log} }

// load reads the settings of a room that is about to be made. Where the file is wrong they are the last ones that were right;
// where there were none, each part that is wrong has its default.
func (f *roomFile) load() room.Config {
	cfg, whole := f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held, f.waits = false, false
	if !whole && !errors.Is(f.err, fs.ErrNotExist) {
		if text, err := os.ReadFile(keptRoomFile(f.call)); err == nil {
			if good, found := room.ParseConfig(f.call.config, text); len(found.Errors()) == 0 {
				cfg, f.held = good, true
			}
		}
	}
	f.cfg = cfg
	return cfg
}

// look reads the file. A whole one is kept for a power cut.
func (f *roomFile) look() (cfg room.Config, whole bool) {
	read := stampOf(f.call.config)
	cfg, found, err := room.LoadConfig(f.call.config)
	if whole = err == nil && len(found.Errors()) == 0; whole {
		if err := keepRoomFile(f.call); err != nil {
			f.log.Warn("the room file is not kept for a power cut", "err", err)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log.Error("the room file can't be read", "err", err)
	}
	for _, p := range found {
		f.log.Warn("room file", "problem", p.String())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read, f.found, f.err = read, found, err
	return cfg, whole
}

// follow takes the file over each time it has been written, until ctx ends: leave ends the room, unless something plays there.
// A file that has changed within the last second is still being written. One that is empty or gone is no change that somebody
// wants: so looks what an editor is about to replace, and what a power cut leaves.
func (f *roomFile) follow(ctx context.Context, leave func(context.Context) bool) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for last := f.read; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now := stampOf(f.call.config)
		settled := now == last
		last = now
		if settled && now != f.read && now.size > 0 {
			f.renew()
		}
		if f.waits && leave(ctx) {
			return nil
		}
	}
}

// inUse is what the room has.
func (f *roomFile) inUse() room.Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cfg
}

// renew looks at what was written.
func (f *roomFile) renew() {
	cfg, whole := f.look()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = !whole
	f.waits = whole && !reflect.DeepEqual(cfg, f.cfg)
}

// wrong is what is wrong with the file.
func (f *roomFile) wrong() (playlists.Problems, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.found, f.err
}

// Waits tells whether something was written that the room takes over in a moment, or when nothing plays there any more.
func (f *roomFile) Waits() bool {
	now := stampOf(f.call.config)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waits || now != f.read && now.size > 0
}

func (f *roomFile) problems() (out []room.Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unreadable, wrong := "room-file-unreadable", "room-file-error"
	if f.held {
		unreadable, wrong = "room-file-unreadable-held", "room-file-error-held"
	}
	if f.err != nil && !errors.Is(f.err, fs.ErrNotExist) {
		out = append(out, room.NewProblem("room", unreadable, "file", f.call.config).With(f.err.Error()))
	}
	for _, p := range f.found {
		out = append(out, room.NewProblem("room", wrong).With(p.String()))
	}
	return out
}
