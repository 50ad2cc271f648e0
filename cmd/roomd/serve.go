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
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"roomd/player"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/journal"
	"roomd/room/lights"
	"roomd/room/mqtt"
	"roomd/room/topics"
	"roomd/web"
)

// serve runs the room until it is told to end. What is missing is said, on the page and in the log, and the rest works.
func serve(ctx context.Context, c *call) error {
	link := c.flags.Bool("link", false, "print a link that signs a browser on this computer in")
	if words, err := c.parse(); err != nil {
		return err
	} else if len(words) > 0 {
		return usageError{fmt.Errorf("what is %q?", words[0])}
	}
	lines := newSteadyLog(c.stderr)
	defer lines.flush()
	log := slog.New(slog.NewTextHandler(lines, nil))
	h := &house{log: log}
	if err := urgent(); err != nil {
		log.Info("roomd runs at an ordinary priority: on a busy computer the sound may run dry", "err", err)
	}

	// A disk that is full or can't be written is said by the journal; the room runs all the same.
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		log.Error("the data folder can't be made", "err", err)
	} else {
		unlock, err := lockData(c.data)
		if err != nil {
			return err
		}
		defer unlock()
	}

	h.restoreRoomFile(c)
	cfg, found, unread := room.LoadConfig(c.config)
	if err := unread; err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("the room file can't be read; the room runs on defaults", "err", err)
		h.always("room", "The room file can't be read, so the room runs on its defaults.", "Check that "+c.config+" is there and may be read.")
	}
	for _, p := range found {
		log.Warn("room file", "problem", p.String())
		h.always("room", "The room file has an error: "+p.String(), "Correct it and start roomd again. Until then the default is used there.")
	}
	if unread == nil && len(found.Errors()) == 0 {
		if err := keepRoomFile(c); err != nil {
			log.Warn("the room file is not kept for a power cut", "err", err)
		}
	}
	plain, secure := h.door(cfg.Listen), h.door(cfg.HTTPS.Listen)
	if c.listen != "" {
		plain.addr = c.listen
	} else if secure.addr == "" {
		secure.addr = ":8443"
	}
	var certs *web.Certs
	if !cfg.HTTPS.Off && secure.addr != "" {
		certs = h.certificates(cfg.HTTPS, filepath.Join(c.data, "tls"))
	}
	if certs != nil {
		secure.tls = &tls.Config{GetCertificate: certs.GetCertificate, MinVersion: tls.VersionTLS12}
	}

	boot := make([]byte, 8)
	rand.Read(boot)
	who := h.identity(cfg, c.data, hex.EncodeToString(boot))

	record := filepath.Join(c.data, "roomd.db")
	st, _ := os.Stat(record)
	emptied := who.Was() != "" && st != nil && st.Size() == 0
	store, warning, err := journal.Open(record)
	if emptied && warning == "" {
		warning = "The record of sessions was empty, perhaps after a power cut. Pair the tablets again."
	}
	if err != nil {
		return err
	}
	defer store.Close()
	if warning != "" {
		log.Warn("journal", "problem", warning)
		h.always("disk", warning, "Nothing needs to be done for the next session. Whoever looks after the computer should check its disk.")
	}

	var onMQTT *topics.Topics
	conn := h.connect(cfg, c.data, hex.EncodeToString(boot), who, func() { onMQTT.Moved() })
	defer conn.close()
	lamps := lights.New(conn, cfg.Lights, log)
	profiles, err := lights.LoadProfiles(profilesIn(c.data))
	if err != nil {
		log.Warn("profiles of lights", "err", err)
	}
	lamps.Tested(profiles, profilesIn(c.data))

	snd := openSound(cfg.Audio, player.Options{Ceiling: cfg.Audio.Ceiling + 12, Loudest: cfg.Audio.Reference + cfg.Audio.Ceiling, Log: log})
	defer snd.line.Close()
	h.also(snd.problems)

	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), log)
	defer lib.Close()
	h.also(lib.Problems)

	h.also(func() []room.Problem { return onMQTT.Problems() })
	var schedule *room.Schedule
	r, err := room.New(ctx, room.Options{
		Config: cfg, Store: store, Sound: snd, Lights: lamps, Library: lib, Log: log,
		Version: version, Boot: hex.EncodeToString(boot), Problems: h.problems, Heard: lib.Heard,
		Schedule: func() []room.ScheduleView { return schedule.View() },
	})
	if err != nil {
		return err
	}
	lib.busy = func() bool { return r.Snapshot().InSession() }
	schedule, err = room.NewSchedule(cfg.Schedule, room.Jobs{
		Do:   r.Do,
		Busy: func() bool { return r.Snapshot().InSession() },
		Look: func(ctx context.Context, what room.Check) (string, bool, error) {
			if what == room.CheckRoom {
				says, bad := r.Look()
				return says, bad, nil
			}
			return lib.look(ctx)
		},
		Backup: func(ctx context.Context, folder string, keep int) (string, error) {
			return writeBackup(ctx, c.settings, cfg.Room, folder, false, keep)
		},
	}, log)
	if err != nil {
		return err
	}

	onMQTT = topics.New(cfg, who, r, conn, version, log)

	var shelf web.Shelf
	var sticks web.Sticks
	if sh, err := playlists.OpenShelf(c.playlists); err != nil {
		log.Warn("no music can be brought by the page", "err", err)
	} else {
		shelf = sh
		folders := playlists.StickFolders
		if more := c.env("ROOMD_STICKS"); more != "" {
			folders = filepath.SplitList(more)
		}
		sticks = playlists.NewSticks(sh, folders, log)
	}

	tokens := web.NewTokens(store)
	arc := func(ctx context.Context, id string) (room.ArcView, error) {
		pl, err := lib.find(ctx, id)
		if err != nil {
			return room.ArcView{}, err
		}
		return lib.picture(pl, cfg, profiles, 1)
	}
	audition := func(ctx context.Context, id string, p web.Part) (func(context.Context, io.Writer) error, error) {
		return lib.audition(ctx, cfg, id, p, log)
	}
	x := &exam{settings: c.settings, cfg: cfg, problems: found, err: unread, snapshot: r.Snapshot, sound: snd, lib: lib, certs: certs, who: who}
	server := web.New(web.Options{Room: r, Arc: arc, Audition: audition, Doctor: x.look, Tokens: tokens, Files: lib, Lines: lines.last, Shelf: shelf, Sticks: sticks, Uploads: filepath.Join(c.data, "uploads"), Log: log, Certs: certs, HTTPSPort: secure.port(), Hosts: cfg.HTTPS.Names, Dropped: map[string]func() map[string]uint64{
		"broker": conn.dropped, "topics": onMQTT.Dropped, "lights": func() map[string]uint64 { return map[string]uint64{"flood": lamps.Dropped()} },
	}})
	if *link {
		if err := printLink(ctx, c, tokens, plain.addr); err != nil {
			return err
		}
	} else {
		welcome(ctx, tokens, log)
	}

	g, ctx := errgroup.WithContext(ctx)
	// The sound and the lights outlive the room by a moment, so that its last word still reaches them.
	g.Go(job("sound", func() error { return snd.Run(ctx) }))
	g.Go(job("lights", func() error { return lamps.Run(ctx) }))
	g.Go(job("room", func() error { return r.Run(ctx) }))
	g.Go(job("topics", func() error { return onMQTT.Run(ctx) }))
	g.Go(job("playlists", func() error { return lib.Run(ctx) }))
	g.Go(job("schedule", func() error { return schedule.Run(ctx) }))
	g.Go(job("watchdog", func() error {
		w := watchdog{tell: openNotifier(c.env), every: watchdogTime(c.env), ping: r.Ping, beats: snd.Beats, log: log,
			status: func() string { return status(r.Snapshot().Parts) }}
		return w.run(ctx)
	}))
	g.Go(job("page", func() error { return h.listen(ctx, plain, server) }))
	if certs != nil {
		g.Go(job("https page", func() error { return h.listen(ctx, secure, server) }))
		g.Go(job("certificates", func() error { return certs.Run(ctx) }))
	}
	return g.Wait()
}

// job names what failed.
func job(name string, run func() error) func() error {
	return func() error {
		if err := run(); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
}

// house gathers what is wrong in all parts of the room.
type house struct {
	log     *slog.Logger
	fixed   []room.Problem
	sources []func() []room.Problem
	doors   []*door
}

// always notes a problem that stays until roomd is started again.
func (h *house) always(part, says, do string) {
	h.fixed = append(h.fixed, room.Problem{Part: part, Says: says, Do: do})
}

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
func (h *house) connect(cfg room.Config, data, boot string, who *topics.Identity, moved func()) connection {
	// An older roomd had a broker here that kept the states of sessions.
	if err := os.RemoveAll(filepath.Join(data, "broker")); err != nil {
		h.log.Error("the store of an older roomd's broker can't be erased; it may hold times of sessions", "err", err)
		h.always("disk", "What an older roomd kept about sessions can't be erased.", "Whoever looks after the computer should remove the folder broker from "+data+".")
	}
	local := mqtt.NewLocal(lampsFile(data))
	if embedded(cfg) {
		return connection{local, local, cfg.MQTT.Base, local.Close, local.Dropped}
	}
	var client *mqtt.Client
	ready := make(chan struct{})
	client, err := mqtt.Dial(mqtt.Options{Broker: cfg.MQTT.Broker, CA: cfg.MQTT.CA, Status: who.Root(cfg) + "/status", Boot: boot, Was: who.Was(), Log: h.log,
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
		h.always("broker", "The lights can't be reached: the broker's address in the room file can't be used.", "Correct mqtt in the room file and start roomd again.")
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

// certificates are what https is served with; nil where there can be none.
func (h *house) certificates(cfg room.HTTPSConfig, dir string) *web.Certs {
	const do = "Tablets that trusted the room have to trust it again: the page says how."
	certs, warning, err := web.NewCerts(web.CertOptions{Dir: dir, Names: cfg.Names, File: cfg.Certificate, Key: cfg.Key, Log: h.log})
	if err != nil {
		h.log.Error("there is no https", "err", err)
		h.always("link", "The page can't be served privately: the room's certificate can't be made or read.", "Check that "+dir+" can be written, and start roomd again. Plain http works.")
		return nil
	}
	if warning != "" {
		h.always("link", warning, do)
	}
	h.also(certs.Problems)
	return certs
}

// listen serves the page at a door until ctx ends. A port that is in use is tried again: the session goes on without the page.
func (h *house) listen(ctx context.Context, d *door, handler *web.Server) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
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
		d.wrong.Store(&room.Problem{Part: "link", Says: "The page can't be served on " + d.addr + ".", Do: "Another program may use the port: end it, or choose another in the room file."})
		h.log.Error("the page can't be served; trying again", "address", d.addr, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(2 * time.Second):
		}
	}
}

// printLink prints a link that lets a browser on this computer in, once, within an hour.
func printLink(ctx context.Context, c *call, tokens *web.Tokens, listen string) error {
	p, err := tokens.Offer(ctx, "This computer", web.Therapist, time.Hour)
	if err != nil {
		return err
	}
	addresses, err := pages(listen)
	if err != nil {
		return err
	}
	own := addresses[len(addresses)-1]
	fmt.Fprintf(c.stdout, "\n  The room is open. Its page, on this computer:\n\n    http://%s/pair#%s\n\n  It can be opened once. roomd pair --data %s lets further devices in.\n\n", own, p.Link, c.data)
	return nil
}

// welcome tells the log a code where no device belongs to the room yet: whoever installs it reads the log.
func welcome(ctx context.Context, tokens *web.Tokens, log *slog.Logger) {
	list, err := tokens.List(ctx)
	if err != nil || len(list) > 0 {
		return
	}
	if p, err := tokens.Offer(ctx, "", web.Therapist, codeTime); err == nil {
		log.Info("no tablet belongs to the room yet: type this code on its page; roomd pair shows a new one", "code", p.Code, "until", p.Until.Format("15:04"))
	}
}
