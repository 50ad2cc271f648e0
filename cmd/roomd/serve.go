package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"roomd/player"
	"roomd/player/decode"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/journal"
	"roomd/room/lights"
	"roomd/room/mqtt"
	"roomd/room/topics"
	"roomd/web"
)

func serveCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Run the room", Args: takes(0, 0), Annotations: on(makesRoom), Example: "  roomd serve --link\n  roomd serve --data ~/willow --listen :9000"}
	link := cmd.Flags().Bool("link", false, "print a link that signs in a browser on this computer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), c, *link) }
	return cmd
}

// serve runs the room until it is told to end, and makes it anew when the room file asks for another one.
func serve(ctx context.Context, c *call, link bool) error {
	lines := newSteadyLog(c.stderr)
	defer lines.flush()
	log := slog.New(slog.NewTextHandler(lines, nil))
	if err := urgent(); err != nil {
		log.Info("roomd runs at an ordinary priority: on a busy computer the sound may run dry", "err", err)
	}

	// A disk that is full or can't be written is said by the journal; the room runs all the same.
	if err := c.makeData(); err != nil {
		log.Error("no data folder", "err", err)
	} else {
		if err := tighten(c.data); err != nil {
			log.Warn("other users of this computer may read some of the room's files", "err", err)
		}
		unlock, err := lockData(c.data)
		if err != nil {
			return err
		}
		defer unlock()
	}

	d := service{call: c, file: newRoomFile(c, log), page: newRoomSetup(c.settings, c.env, log), lines: lines, log: log, link: link}
	defer d.page.close()
	for before := (*room.Room)(nil); ; {
		r, err := d.live(ctx, before)
		if !errors.Is(err, room.ErrLeft) {
			return err
		}
		before = r
		log.Info("the room is made anew, as the room file says now")
	}
}

// service is what outlives a room that is made anew.
type service struct {
	*call
	file  *roomFile
	page  *roomSetup
	lines *steadyLog
	log   *slog.Logger
	link  bool // print a link to the page
}

// live runs one room until ctx ends or the room file asks for another one: then the error is room.ErrLeft, and the room is that
// one's before. What is missing is said, on the page and in the log, and the rest works.
func (d *service) live(ctx context.Context, before *room.Room) (*room.Room, error) {
	h := &house{log: d.log, gate: web.NewGate()}
	h.restoreRoomFile(d.call)
	cfg := d.file.load()
	h.also(d.file.problems)
	plain, secure, certs := h.entrances(d.settings, cfg)

	run := make([]byte, 8)
	rand.Read(run)
	boot := hex.EncodeToString(run)
	who := h.identity(cfg, d.data, boot)
	store, err := h.record(d.data, who)
	if err != nil {
		return nil, err
	}
	defer store.Close()

	var onMQTT *topics.Topics
	conn := h.connect(d.call, cfg, boot, who, func() { onMQTT.Moved() })
	defer conn.close()
	lamps := lights.New(conn, cfg.Lights, d.log)
	profiles, err := lights.LoadProfiles(profilesIn(d.data))
	if err != nil {
		d.log.Warn("profiles of lights", "err", err)
	}
	lamps.Tested(profiles, profilesIn(d.data))
	lib := openLibrary(d.playlists, cfg, filepath.Join(d.data, "analysis"), d.log)
	defer lib.Close()
	snd := openSound(cfg.Audio, player.Options{Open: lib.opener(decode.Options{Ahead: ahead}), Ceiling: cfg.Audio.Ceiling + 12, Loudest: cfg.Audio.Reference + cfg.Audio.Ceiling, Log: d.log})
	defer snd.line.Close()
	h.also(snd.problems)
	h.also(lib.Problems)

	var schedule *room.Schedule
	r, err := room.New(ctx, room.Options{
		Config: cfg, Store: store, Sound: snd, Lights: lamps, Library: lib, Log: d.log,
		Version: version, Boot: boot, Problems: h.problems, Heard: lib.Heard, Before: before,
		Schedule: func() []room.ScheduleView { return schedule.View() },
	})
	if err != nil {
		return nil, err
	}
	lib.busy = func() bool { return r.Snapshot().InSession() }
	schedule, err = room.NewSchedule(cfg.Schedule, room.Jobs{
		Do: r.Do, Near: snd.Rouse, Busy: lib.busy,
		Look: func(ctx context.Context, what room.Check) (string, bool, error) {
			if what == room.CheckRoom {
				says, bad := r.Look()
				return says, bad, nil
			}
			return lib.look(ctx)
		},
		Backup: func(ctx context.Context, folder string, keep int) (string, error) {
			return writeBackup(ctx, d.settings, cfg.Room, folder, false, keep)
		},
	}, d.log)
	if err != nil {
		return nil, err
	}
	onMQTT = topics.New(cfg, who, r, conn, version, d.log)
	h.also(onMQTT.Problems)

	inClinic := openPlace(d.data, cfg, who, boot, r, lib, d.log)
	defer inClinic.close()

	tokens := web.NewTokens(store).SealCodes(d.codeKey())
	d.page.of(liveParts{d.file, snd, lamps})
	sync := newSyncthing(cfg.Syncthing, d.data, d.log)
	x := &exam{settings: d.settings, cfg: cfg, file: d.file, snapshot: r.Snapshot, sound: snd, lib: lib, certs: certs, who: who, sync: sync}
	o := web.Options{
		Room: r, Tokens: tokens, Files: lib, Setup: d.page, Clinic: inClinic, Doctor: x.look, Lines: d.lines.last, Watched: snd.Attend, Log: d.log,
		Uploads: filepath.Join(d.data, "uploads"), Pair: howToPair(d.data, userName(uint32(os.Getuid()))),
		Certs: certs, HTTPSPort: secure.port(), Port: plain.port(), Frame: cfg.Web.Frame, Hosts: cfg.HTTPS.Names,
		Arc: func(ctx context.Context, id string) (room.ArcView, error) {
			pl, err := lib.find(ctx, id)
			if err != nil {
				return room.ArcView{}, err
			}
			return lib.picture(pl, cfg, profiles, 1)
		},
		Audition: func(ctx context.Context, id string, p web.Part) (func(context.Context, io.Writer) error, error) {
			return lib.audition(ctx, cfg, id, p, d.log)
		},
		Chosen: func(id string) {
			go func() {
				if pl, err := lib.find(ctx, id); err == nil && !lib.busy() {
					snd.Ready(room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling}).Score())
				}
			}()
		},
		Dropped: map[string]func() map[string]uint64{
			"broker": conn.dropped, "topics": onMQTT.Dropped, "page": h.gate.Dropped,
			"lights": func() map[string]uint64 { return map[string]uint64{"flood": lamps.Dropped()} },
		},
	}
	o.Shelf, o.Sticks = d.shelves()
	server := web.New(o)
	if before == nil {
		if err := d.greet(ctx, tokens, plain.addr); err != nil {
			return nil, err
		}
	}

	commands := (&callers{call: d.call, snapshot: r.Snapshot, page: server, tokens: tokens, listen: plain.addr, certs: certs}).open(h)
	g, ctx := errgroup.WithContext(ctx)
	job := func(name string, run func(context.Context) error) {
		g.Go(func() error {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	// The sound and the lights outlive the room by a moment, so that its last word still reaches them.
	job("sound", snd.Run)
	job("lights", lamps.Run)
	job("room", r.Run)
	// Nobody who is setting the room up loses it in mid-sentence.
	leave := func(ctx context.Context) bool { return !d.page.busy() && r.Leave(ctx) }
	job("room file", func(ctx context.Context) error { return d.file.follow(ctx, leave) })
	job("groups", func(ctx context.Context) error { return d.page.tidy(ctx, cfg, who, lib.busy) })
	job("topics", onMQTT.Run)
	job("playlists", lib.Run)
	job("schedule", schedule.Run)
	w := watchdog{tell: openNotifier(d.env), every: watchdogTime(d.env), ping: r.Ping, beats: snd.Beats, log: d.log,
		status: func() string { return status(r.Snapshot().Parts) }}
	job("watchdog", w.run)
	job("lock", func(ctx context.Context) error { return d.keepLock(ctx, r, d.log) })
	if sync != nil {
		job("syncthing", func(ctx context.Context) error { return sync.run(ctx, r) })
	}
	job("first code", tokens.CountFirstCode)
	job("commands", commands)
	job("page", func(ctx context.Context) error { return h.listen(ctx, plain, server) })
	if certs != nil {
		job("https page", func(ctx context.Context) error { return h.listen(ctx, secure, server) })
		job("certificates", certs.Run)
	}
	return r, g.Wait()
}

// house gathers what is wrong in all parts of the room.
type house struct {
	log     *slog.Logger
	fixed   []room.Problem
	sources []func() []room.Problem
	doors   []*door
	gate    *web.Gate
}

// always notes a problem that stays until roomd is started again.
func (h *house) always(p room.Problem) { h.fixed = append(h.fixed, p) }

// also asks f for problems from now on. It is called before the room runs, never after.
func (h *house) also(f func() []room.Problem) { h.sources = append(h.sources, f) }

func (h *house) problems() []room.Problem {
	out := append([]room.Problem{}, h.fixed...)
	for _, f := range h.sources {
		out = append(out, f()...)
	}
	for _, d := range h.doors {
		if p := d.wrong.Load(); p != nil {
			out = append(out, *p)
		}
	}
	return out
}

// broker is what the lights and the room's topics need.
type broker interface {
	lights.Conn
	topics.Broker
}

// connection is the way to the lamps and to whoever shows the room.
type connection struct {
	broker
	local   *mqtt.Local // for simulated lamps, which are no broker's business
	base    string
	close   func()
	dropped func() map[string]uint64
}

// simulated tells whether a topic belongs to a simulated lamp.
func (c connection) simulated(topic string) bool {
	return strings.HasPrefix(topic, c.base+"/simulated/")
}

func (c connection) Publish(topic string, payload []byte) error {
	if c.simulated(topic) {
		return c.local.Publish(topic, payload)
	}
	return c.broker.Publish(topic, payload)
}

func (c connection) Subscribe(filter string, handle func(string, []byte, bool)) {
	if c.simulated(filter) {
		c.local.Subscribe(filter, handle)
		return
	}
	c.broker.Subscribe(filter, handle)
}

// Keep keeps the light of a simulated lamp over a restart.
func (c connection) Keep(topic string, payload []byte) { c.local.Keep(topic, payload) }

// nowhere is the connection of a room whose broker's address can't be used.
type nowhere struct{}

func (nowhere) Publish(string, []byte) error                 { return errors.New("no broker") }
func (nowhere) Subscribe(string, func(string, []byte, bool)) {}
func (nowhere) OnConnect(func(bool))                         {}
func (nowhere) Retain(string, []byte)                        {}
func (nowhere) Republish()                                   {}
func (nowhere) Open() bool                                   { return false }
func (nowhere) Settled() bool                                { return false }

// record opens the journal.
func (h *house) record(data string, who *topics.Identity) (*journal.Store, error) {
	path := filepath.Join(data, "roomd.db")
	st, _ := os.Stat(path)
	emptied := who.Was() != "" && st != nil && st.Size() == 0
	store, warning, err := journal.Open(path)
	if emptied && warning == "" {
		warning = "record-empty"
	}
	if err == nil && warning != "" {
		h.log.Warn("journal", "problem", warning)
		h.always(room.NewProblem("disk", warning))
	}
	return store, err
}

// codeKey is the key that pairing codes are stored by.
func (d *service) codeKey() []byte {
	key, err := web.CodeKey(codeKeyIn(d.data))
	if err != nil {
		d.log.Error("only codes that this process shows let a tablet in", "err", err)
		key = []byte(rand.Text())
	}
	return key
}

// shelves are where the page brings music to, and the sticks that it comes from; nil where no music can be brought.
func (d *service) shelves() (web.Shelf, web.Sticks) {
	shelf, err := playlists.OpenShelf(d.playlists)
	if err != nil {
		d.log.Warn("no music can be brought by the page", "err", err)
		return nil, nil
	}
	folders := playlists.StickFolders
	if more := d.env("ROOMD_STICKS"); more != "" {
		folders = filepath.SplitList(more)
	}
	return shelf, playlists.NewSticks(shelf, folders, d.log)
}

// identity is who the room is on a broker. Where it can't be kept it is another one after the next start.
func (h *house) identity(cfg room.Config, data, boot string) *topics.Identity {
	old := ""
	if _, err := os.Stat(filepath.Join(data, "roomd.db")); err == nil {
		old = topics.OldRoot(cfg)
	}
	who, err := topics.OpenIdentity(filepath.Join(data, "identity.json"), boot, old)
	if err != nil {
		h.log.Warn("the room's id is not kept", "err", err)
	}
	return who
}

// lampsFile is where simulated lamps keep their level across restarts: in memory, one file for each data folder.
func lampsFile(data string) string {
	dir := "/dev/shm"
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		dir = os.TempDir()
	}
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	return filepath.Join(dir, fmt.Sprintf("roomd-lamps-%d-%x", os.Getuid(), sha256.Sum256([]byte(data)))[:40])
}

// connect reaches the broker. Without one the session goes on and the lights stay as they are. moved is called after the
// room has taken another id, because a copy of it was on the broker first.
func (h *house) connect(c *call, cfg room.Config, boot string, who *topics.Identity, moved func()) connection {
	// An older roomd had a broker here that kept the states of sessions.
	if err := os.RemoveAll(filepath.Join(c.data, "broker")); err != nil {
		h.log.Error("the store of an older roomd's broker can't be erased; it may hold times of sessions", "err", err)
		h.always(room.NewProblem("disk", "old-broker-kept", "folder", filepath.Join(c.data, "broker")).With(err.Error()))
	}
	local := mqtt.NewLocal(lampsFile(c.data))
	if embedded(cfg) {
		return connection{local, local, cfg.MQTT.Base, local.Close, local.Dropped}
	}
	broker, err := withPassword(cfg.MQTT.Broker, c.env)
	if err != nil {
		h.log.Warn("the broker's password can't be read; trying without", "err", err)
	}
	var client *mqtt.Client
	ready := make(chan struct{})
	client, err = mqtt.Dial(mqtt.Options{Broker: broker, CA: cfg.MQTT.CA, ClockSet: room.ClockSet, Status: who.Root(cfg) + "/status", Boot: boot, Was: who.Was(), Log: h.log,
		Yield: func() {
			<-ready
			was := who.Root(cfg) + "/"
			if err := who.Renew(); err != nil {
				h.log.Warn("the room's new id is not kept", "err", err)
			}
			client.Rename(who.Root(cfg)+"/status", func(topic string) bool {
				return strings.HasPrefix(topic, was) || strings.HasPrefix(topic, "homeassistant/")
			})
			moved()
		}})
	if err != nil {
		h.log.Error("the broker's address can't be used", "err", err)
		h.always(room.NewProblem("broker", "broker-address").With(err.Error()))
		return connection{nowhere{}, local, cfg.MQTT.Base, local.Close, local.Dropped}
	}
	close(ready)
	h.log.Info("the room's topics on the broker", "root", who.Root(cfg))
	h.also(func() []room.Problem {
		if p := client.Problem(); p != nil {
			return []room.Problem{room.NewProblem("broker", p.Code, p.Args...)}
		}
		return nil
	})
	return connection{client, local, cfg.MQTT.Base, func() { client.Close(); local.Close() }, client.Dropped}
}

// door is where the page is served.
type door struct {
	addr  string      // host:port; empty: nowhere
	tls   *tls.Config // nil: over plain http
	wrong atomic.Pointer[room.Problem]
}

// door makes one whose trouble is said. It is called before the room runs, never after.
func (h *house) door(addr string) *door {
	d := &door{addr: addr}
	h.doors = append(h.doors, d)
	return d
}

func (d *door) port() string {
	_, port, _ := net.SplitHostPort(d.addr) // the room file was checked
	return port
}

// entrances are where the page is served: over http, and over https with certs; nil: there is none.
func (h *house) entrances(s settings, cfg room.Config) (plain, secure *door, certs *web.Certs) {
	plain, secure = h.door(cfg.Listen), h.door(cfg.HTTPS.Listen)
	if s.listen != "" {
		plain.addr = s.listen
	} else if secure.addr == "" {
		secure.addr = ":8443"
	}
	if !cfg.HTTPS.Off && secure.addr != "" {
		certs = h.certificates(cfg.HTTPS, filepath.Join(s.data, "tls"))
	}
	if certs != nil {
		secure.tls = &tls.Config{GetCertificate: certs.GetCertificate, MinVersion: tls.VersionTLS12}
	}
	return plain, secure, certs
}

// certificates are what https is served with; nil where there can be none.
func (h *house) certificates(cfg room.HTTPSConfig, dir string) *web.Certs {
	certs, warning, err := web.NewCerts(web.CertOptions{Dir: dir, Names: cfg.Names, File: cfg.Certificate, Key: cfg.Key, Log: h.log})
	if err != nil {
		h.log.Error("there is no https", "err", err)
		h.always(room.NewProblem("link", "certificate-none", "folder", dir).With(err.Error()))
		return nil
	}
	if warning != "" {
		h.always(room.NewProblem("link", warning))
	}
	h.also(certs.Problems)
	return certs
}

// page is what a door shows. Bye tells the devices that it ends, for as long as ctx lasts.
type page interface {
	http.Handler
	Bye(ctx context.Context)
}

// listen serves the page at a door until ctx ends. A port that is in use is tried again: the session goes on without the page.
func (h *house) listen(ctx context.Context, d *door, handler page) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ConnContext: web.ConnContext,
		TLSConfig: d.tls, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2: it has no websockets here
		ErrorLog: slog.NewLogLogger(h.log.Handler(), slog.LevelDebug)}
	told := make(chan struct{})
	stopped := context.AfterFunc(ctx, func() {
		defer close(told)
		// The tablets are told, and come back by themselves.
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 300*time.Millisecond)
		defer cancel()
		handler.Bye(bye)
		server.Close()
	})
	defer func() {
		if !stopped() {
			<-told
		}
	}()
	for {
		l, err := net.Listen("tcp", d.addr)
		if err == nil {
			l = h.gate.Listen(l)
			d.wrong.Store(nil)
			h.log.Info("the page is served", "address", l.Addr().String(), "https", d.tls != nil)
			if d.tls != nil {
				err = server.ServeTLS(l, "", "")
			} else {
				err = server.Serve(l)
			}
			if errors.Is(err, http.ErrServerClosed) {
				return nil
			}
		}
		wrong := room.NewProblem("link", "page-port", "address", d.addr).With(err.Error())
		d.wrong.Store(&wrong)
		h.log.Error("the page can't be served; trying again", "address", d.addr, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

// greet lets the first device in, once: by a link for a browser on this computer, valid for an hour, where serve was asked for one. Else
// by a code in the log, which whoever installs the room reads, where no device belongs to the room yet.
func (d *service) greet(ctx context.Context, tokens *web.Tokens, listen string) error {
	if !d.link {
		if list, err := tokens.List(ctx); err == nil && len(list) == 0 {
			if p, err := tokens.Offer(ctx, "", web.Therapist, codeTime); err == nil {
				d.log.Info("no tablet belongs to the room yet: type this code on its page; roomd pair shows a new one", "code", p.Code, "until", p.Until.Format("15:04"))
			}
		}
		return nil
	}
	p, err := tokens.Offer(ctx, "This computer", web.Therapist, time.Hour)
	if err != nil {
		return err
	}
	addresses, err := pages(listen)
	if err != nil {
		return err
	}
	own := addresses[len(addresses)-1]
	fmt.Fprintf(d.stdout, "\n  The room is open. Its page, on this computer:\n\n    http://%s/pair#%s\n\n  It can be opened once. roomd pair --data %s lets further devices in.\n\n", own, p.Link, d.data)
	return nil
}
