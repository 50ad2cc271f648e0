package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"roomd/playlists"
	"roomd/room"
	"roomd/room/clinic"
	"roomd/room/topics"
	"roomd/web"
)

// clinicIn is the file of the clinic that the room has joined. It is not in a backup: another computer that has it would be taken for
// this room.
func clinicIn(data string) string { return filepath.Join(data, "clinic.json") }

// revisionPause is the least time between two looks for the library's revision.
const revisionPause = 10 * time.Second

// place is the room's place in a clinic: a web.Clinic. In a room that has never joined one, nothing of it runs. What becomes of it is no
// problem of the room's: its View tells, and a line of the log.
type place struct {
	file string
	cfg  room.Config
	who  *topics.Identity
	boot string
	r    *room.Room
	lib  *library
	log  *slog.Logger

	changing sync.Mutex // held by who joins or leaves

	mu       sync.Mutex         // guards what follows
	is       *clinic.Membership // nil: no clinic, or the room file's
	link     *clinic.Link       // nil: no clinic, or the room is a copy of the one that has joined
	wrong    string             // why there is no link; for an engineer
	revision clinic.Library
	stop     func() // ends the looks at the library; nil: there are none
}

// openPlace tells the clinic that the room has joined how the room is, until close.
func openPlace(data string, cfg room.Config, who *topics.Identity, boot string, r *room.Room, lib *library, log *slog.Logger) *place {
	p := &place{file: clinicIn(data), cfg: cfg, who: who, boot: boot, r: r, lib: lib, log: log}
	if cfg.Clinic != nil {
		p.openLink(clinic.Options{Broker: cfg.Clinic.Broker, CA: cfg.Clinic.CA, ID: p.ownID(), House: cfg.Clinic.House})
		return p
	}
	m, err := clinic.Load(p.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		log.Warn("the room's place in its clinic can't be read; join the clinic again", "err", err)
	default:
		p.is = &m
		p.tellDesk(m)
	}
	return p
}

// ownID is the room's name in the topics of the clinic's own broker: its user there.
func (p *place) ownID() string {
	if u, err := url.Parse(p.cfg.Clinic.Broker); err == nil && clinic.ValidID(u.User.Username()) {
		return u.User.Username()
	}
	return p.who.ID()
}

func (p *place) tellDesk(m clinic.Membership) {
	if m.ID != p.who.ID() {
		p.log.Warn("this room has another id since it joined the clinic: its copy has its place there; join the clinic again")
		return
	}
	p.openLink(clinic.Options{Broker: m.Address(), Authority: []byte(m.CA), ID: m.ID, House: m.House})
}

// openLink opens the link to the desk.
func (p *place) openLink(o clinic.Options) {
	turned := make(chan struct{}, 1)
	o.Room, o.Boot, o.Was, o.Log = p.r, p.boot, p.who.Was(), p.log
	o.Library, o.LibraryChanged = p.library, turned
	link, err := clinic.Open(o)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link, p.wrong = link, ""; err != nil {
		p.log.Warn("the clinic's broker can't be used", "err", err)
		p.link, p.wrong = nil, err.Error()
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.followLibrary(ctx, turned)
	}()
	p.stop = func() { stop(); <-over }
}

// end closes the link, if there is one; leave as clinic.Link's.
func (p *place) end(leave bool) {
	p.mu.Lock()
	link, stop := p.link, p.stop
	p.link, p.stop = nil, nil
	p.mu.Unlock()
	if stop != nil {
		stop()
	}
	switch {
	case link == nil:
	case leave:
		link.Leave()
	default:
		link.Close()
	}
}

func (p *place) close() {
	p.changing.Lock()
	defer p.changing.Unlock()
	p.end(false)
}

func (p *place) library() clinic.Library {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.revision
}

// followLibrary keeps the library's revision, and pokes turned when it is another one. It rests while a session runs.
func (p *place) followLibrary(ctx context.Context, turned chan<- struct{}) {
	for {
		changed := p.r.Changed()
		revision, at, err := p.lib.Revision(ctx)
		switch {
		case errors.Is(err, playlists.ErrBusy):
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		case ctx.Err() != nil:
			return
		case err != nil:
			p.log.Warn("the clinic's desk does not learn which playlists the room has", "err", err)
		default:
			is := clinic.Library{Revision: revision}
			if !at.IsZero() {
				is.ChangedMS = at.UnixMilli()
			}
			p.mu.Lock()
			another := is != p.revision
			p.revision = is
			p.mu.Unlock()
			if another {
				select {
				case turned <- struct{}{}:
				default:
				}
			}
		}
		if err == nil || !errors.Is(err, playlists.ErrBusy) {
			select {
			case <-ctx.Done():
				return
			case <-p.lib.Turned():
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(revisionPause):
		}
	}
}

// View is for the page.
func (p *place) View() (v web.ClinicView) {
	p.mu.Lock()
	is, link, wrong := p.is, p.link, p.wrong
	p.mu.Unlock()
	switch {
	case p.cfg.Clinic != nil:
		v.Joined, v.Fixed = true, true
	case is != nil:
		v.Joined, v.Name = true, is.Clinic
	default:
		return v
	}
	switch {
	case link != nil:
		reach, since, problem := link.Reach()
		v.Reach, v.ForMS, v.Details = string(reach), time.Since(since).Milliseconds(), problem
	case wrong != "":
		v.Reach, v.Details = string(clinic.NotReached), wrong
	default:
		v.Reach = string(clinic.Copied)
	}
	return v
}

// Join joins a clinic, in place of the one that the room is in.
func (p *place) Join(ctx context.Context, address, code string) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	if p.cfg.Clinic != nil {
		return room.Refuse("clinic-own")
	}
	host, c, err := clinic.ReadInvitation(address, code)
	if err != nil {
		return err
	}
	m, err := clinic.Join(ctx, host, c, p.who.ID(), p.cfg.Room)
	if err != nil {
		return err
	}
	if err := m.Save(p.file); err != nil {
		refused := room.Refuse("clinic-not-kept")
		refused.Details = err.Error()
		return refused
	}
	p.end(false)
	p.mu.Lock()
	p.is = &m
	p.mu.Unlock()
	p.log.Info("the room has joined a clinic", "broker", m.Broker)
	p.tellDesk(m)
	return nil
}

// Leave leaves the clinic.
func (p *place) Leave() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	if p.cfg.Clinic != nil {
		return room.Refuse("clinic-own")
	}
	if err := gone(os.Remove(p.file)); err != nil {
		return err
	}
	p.end(true)
	p.mu.Lock()
	p.is, p.wrong = nil, ""
	p.mu.Unlock()
	p.log.Info("the room has left its clinic")
	return nil
}

var _ web.Clinic = (*place)(nil)
