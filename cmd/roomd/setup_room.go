package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roomd/player"
	"roomd/player/output"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/lights"
	"roomd/room/mqtt"
	"roomd/web"
)

// roomSetup sets a room up: for the console, where no room runs, and for the page of one that does.
type roomSetup struct {
	settings
	env func(string) string
	log *slog.Logger

	using   atomic.Int32 // so many are setting the room up
	writing sync.Mutex   // held while groups are made and the room file is written, or groups removed

	mu      sync.Mutex // guards what follows
	running *liveParts // nil: no room runs
	way     *brokerWay
	idle    *time.Timer // closes way
	devices []output.Device
	brokers []mqtt.Found
}

// liveParts are what a set-up needs of the room that runs.
type liveParts struct {
	file  *roomFile
	sound sound
	lamps *lights.Controller
}

// brokerWay is a set-up's own connection to a broker, and what was found there.
type brokerWay struct {
	*lights.Finder
	conn   *mqtt.Client
	broker string                    // its address, with the password
	since  atomic.Pointer[time.Time] // it is listened to; nil: it has not answered yet
	rooms  sync.Map                  // topics of the rooms on it, by their status
}

// otherRoom is the topic of a room on the broker that is not at root; empty: there is none.
func (w *brokerWay) otherRoom(root string) (topic string) {
	w.rooms.Range(func(at, _ any) bool {
		if at != root {
			topic = at.(string)
		}
		return topic == ""
	})
	return topic
}

// idleAfter is how long a set-up listens to the broker after it was last asked for something.
const idleAfter = 5 * time.Minute

func newRoomSetup(s settings, env func(string) string, log *slog.Logger) *roomSetup {
	return &roomSetup{settings: s, env: env, log: log}
}

// of is told which room runs.
func (s *roomSetup) of(p liveParts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = &p
}

func (s *roomSetup) parts() liveParts {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return liveParts{}
	}
	return *s.running
}

// busy reports whether somebody is setting the room up at this moment.
func (s *roomSetup) busy() bool { return s.using.Load() > 0 }

// use marks the room as being set up until the function that it returns is called.
func (s *roomSetup) use() func() {
	s.using.Add(1)
	return func() { s.using.Add(-1) }
}

// roomText is the room file as it is on the disk.
type roomText struct {
	cfg   room.Config
	text  []byte
	fresh bool // there is none
	found playlists.Problems
}

// read reads the room file.
func (s *roomSetup) read() (f roomText, err error) {
	f.cfg, f.found, err = room.LoadConfig(s.config)
	if f.fresh = errors.Is(err, fs.ErrNotExist); err != nil {
		if f.fresh {
			err = nil
		}
		return f, err
	}
	f.text, err = os.ReadFile(s.config)
	return f, err
}

// write writes the room file with answers in it. aside is the copy of the file as it was; empty where there was none. changed is
// false where the file stays as it is.
func (s *roomSetup) write(f roomText, answers room.Answers) (aside string, changed bool, err error) {
	now, err := room.WriteConfig(f.text, answers)
	if err != nil {
		return "", false, err
	}
	if f.fresh {
		schema := filepath.Join(".schema", "room.json")
		if err := os.MkdirAll(filepath.Join(filepath.Dir(s.config), ".schema"), 0o700); err != nil {
			return "", false, err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(s.config), schema), room.ConfigSchema(), 0o600); err != nil {
			return "", false, err
		}
		now = append([]byte(room.SchemaLine(filepath.ToSlash(schema))), now...)
	}
	if _, found := room.ParseConfig(s.config, now); len(found.Errors()) > 0 {
		return "", false, errBecomesWrong(found.Errors())
	}
	if string(now) == string(f.text) {
		return "", false, nil
	}
	if !f.fresh {
		aside = s.config + ".before-" + time.Now().Format(backupTime)
		if err := copyFile(s.config, aside, 0o600); err != nil && !errors.Is(err, fs.ErrExist) { // the older one of the same second is the one to keep
			return "", false, err
		}
	}
	// Written in place, so that it still belongs to whom it did.
	return aside, true, os.WriteFile(s.config, now, 0o600)
}

// errBecomesWrong are the errors that a room file would have.
type errBecomesWrong playlists.Problems

func (e errBecomesWrong) Error() string {
	return "the room file would have errors like this; nothing was written: " + strings.Join(playlists.Problems(e).Strings(), "; ")
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// checkAnswer says what is wrong with a file that holds the answers.
func checkAnswer(a room.Answers) error {
	text, err := room.WriteConfig(nil, a)
	if err != nil {
		return err
	}
	if _, problems := room.ParseConfig("room.yaml", text); len(problems.Errors()) > 0 {
		p := problems.Errors()[0]
		return fmt.Errorf("%s (%s)", p.Says, p.Write)
	}
	return nil
}

// isUSB reports whether a sound device looks like one of the room's own, and not the computer's.
func isUSB(d output.Device) bool { return strings.Contains(strings.ToUpper(d.Description), "USB") }

// A sound device is heard for so long, out of silence and into it.
const (
	hearFor = 5 * time.Second
	hearIn  = 1500 * time.Millisecond
	hearOut = 1500 * time.Millisecond
	// findLevel is how far under the reference a device is played that somebody only looks for, dB.
	findLevel = 10.0
	// lendWait is for the room to give its device back.
	lendWait = 2 * time.Second
)

// hear plays the drone on a device, at level LUFS. The room that runs lends its own device, unless something sounds there.
func (s *roomSetup) hear(ctx context.Context, cfg room.AudioConfig, device string, level float64) error {
	if snd := s.parts().sound; snd.Player != nil {
		snd.Lend(true)
		defer snd.Lend(false)
		for end := time.Now().Add(lendWait); time.Now().Before(end); {
			if h := snd.line.Health().State; h != output.Playing && h != output.Opening {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	cfg.Output, cfg.Device, cfg.Headphones = "alsa", device, nil
	snd := openSound(cfg, player.Options{Loudest: level, Log: slog.New(slog.DiscardHandler)})
	defer snd.line.Close()
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- snd.Run(ctx) }()
	defer func() { stop(); <-done }()
	snd.SetScore(player.Score{End: hearFor, Levels: []player.Level{{Target: level}}, Cover: string(playlists.Drone),
		Clips: []player.Clip{{ID: "setup", Bed: string(playlists.Drone), Title: "Drone", End: hearFor, FadeIn: hearIn, FadeOut: hearOut, Gain: level - player.BedLUFS}}}, time.Now())
	for end := time.After(hearFor + time.Second); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			if h := snd.line.Health(); h.Code != "" {
				return asError(soundProblem(h))
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			if h := snd.line.Health(); h.Error != "" {
				return asError(soundProblem(h))
			}
		}
	}
}

// ownBroker is a broker on this computer.
const ownBroker = "mqtt://localhost:1883"

// findBrokers finds the brokers on this computer and those that tell of themselves in the network. It takes two seconds.
func findBrokers(ctx context.Context) (found []mqtt.Found) {
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", "localhost:1883"); err == nil {
		c.Close()
		found = append(found, mqtt.Found{URL: ownBroker})
	}
	own, _ := net.InterfaceAddrs()
	for _, f := range mqtt.Discover(ctx) {
		u, err := url.Parse(f.URL)
		here := err == nil && u.Port() == "1883" && slices.ContainsFunc(own, func(a net.Addr) bool {
			ip, is := a.(*net.IPNet)
			return is && ip.IP.String() == u.Hostname()
		})
		if !here || len(found) == 0 {
			found = append(found, f)
		}
	}
	return found
}

// listen is the way to the broker of cfg, whose lights are known once surveyFor has passed since it answered; errNoBroker where cfg
// has none. It returns at once; see await.
func (s *roomSetup) listen(cfg room.Config) (*brokerWay, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stay()
	if s.way != nil && s.way.broker == cfg.MQTT.Broker {
		return s.way, nil
	}
	s.hangUp()
	if embedded(cfg) {
		return nil, errNoBroker
	}
	address, err := withPassword(cfg.MQTT.Broker, s.env)
	if err != nil {
		s.log.Warn("the broker's password can't be read; trying without", "err", err)
	}
	conn, err := mqtt.Dial(mqtt.Options{Broker: address, CA: cfg.MQTT.CA, ClockSet: room.ClockSet, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	w := &brokerWay{Finder: lights.Find(conn), conn: conn, broker: cfg.MQTT.Broker}
	conn.Subscribe("+/+/status", func(topic string, payload []byte, _ bool) {
		var is struct{ Boot string }
		if json.Unmarshal(payload, &is) == nil && is.Boot != "" { // a room's
			w.rooms.Store(strings.TrimSuffix(topic, "/status"), true)
		}
	})
	conn.OnConnect(func(open bool) {
		if now := time.Now(); open {
			w.since.CompareAndSwap(nil, &now)
		}
	})
	s.way = w
	return w, nil
}

// stay has the way closed only when nobody has asked for anything for a while; mu is held.
func (s *roomSetup) stay() {
	if s.idle == nil {
		s.idle = time.AfterFunc(idleAfter, s.close)
		return
	}
	s.idle.Reset(idleAfter)
}

// hangUp closes the way to the broker; mu is held.
func (s *roomSetup) hangUp() {
	if s.way != nil {
		go s.way.conn.Close() // it takes a moment to say goodbye
		s.way = nil
	}
}

// close ends what is still open.
func (s *roomSetup) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle != nil {
		s.idle.Stop()
	}
	s.hangUp()
}

// await waits until the lights of a broker are known, or says why it does not answer.
func (s *roomSetup) await(ctx context.Context, w *brokerWay) error {
	silent := time.Now().Add(brokerWait)
	for {
		left := 50 * time.Millisecond
		if since := w.since.Load(); since != nil {
			left = time.Until(since.Add(surveyFor))
		} else if time.Now().After(silent) {
			return brokerTrouble(w.conn)
		}
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
	}
}

// brokerTrouble is why a connection does not stand.
func brokerTrouble(conn *mqtt.Client) error {
	if p := conn.Problem(); p != nil {
		return asError(room.NewProblem("broker", p.Code, p.Args...))
	}
	return errSilentBroker
}

// picking gives the broker's lights to roles.
type picking struct {
	cfg    room.Config // as the room file is
	offers []lights.Offer
	chosen map[string][]lights.Lamp // so far, by role
	groups ownGroups                // where the groups that are made are noted
}

// pick begins with the lamps of the roles that are not asked for.
func (s settings) pick(cfg room.Config, offers []lights.Offer, asked ...string) picking {
	p := picking{cfg: cfg, offers: offers, chosen: map[string][]lights.Lamp{}, groups: s.groups()}
	for role, lamps := range cfg.Lights {
		if !slices.Contains(asked, role) {
			p.chosen[role] = lamps
		}
	}
	return p
}

// simulatedLamp is what the room file has for a role without a lamp.
const simulatedLamp = "{driver: simulated}"

// give gives lamps to a role and returns what the room file says of it; empty where that stays as it is. way is where Zigbee bulbs
// are grouped; nil: nowhere. They may not overlap with lamps of another role: see anyOverlap.
func (p picking) give(ctx context.Context, way *lights.Finder, role string, lamps []lights.Lamp) (text string, err error) {
	lamps, err = p.grouped(ctx, way, role, lamps)
	if err != nil {
		return "", err
	}
	if p.chosen[role] = lamps; len(lamps) == 0 {
		return simulatedLamp, nil
	}
	same := func(a, b lights.Lamp) bool { return a.Driver == b.Driver && a.Topic == b.Topic }
	if was := p.cfg.Lights[role]; slices.EqualFunc(was, lamps, same) {
		p.chosen[role] = was // with the options that somebody wrote
		return "", nil
	}
	var texts []string
	for _, l := range lamps {
		texts = append(texts, l.YAML())
	}
	if text = strings.Join(texts, ", "); len(texts) > 1 {
		text = "[" + text + "]"
	}
	return text, nil
}

// grouped puts a group in the place of several Zigbee lamps of a bridge, so that they move together.
func (p picking) grouped(ctx context.Context, way *lights.Finder, role string, lamps []lights.Lamp) (out []lights.Lamp, err error) {
	if way == nil || len(lamps) < 2 {
		return lamps, nil
	}
	out = slices.Clone(lamps)
	for _, base := range way.Bridges() {
		var bulbs []string
		of := func(l lights.Lamp) bool {
			return l.Driver == "zigbee2mqtt" && strings.HasPrefix(l.Topic, base+"/") && len(l.Extra) == 0
		}
		for _, l := range out {
			if k := slices.IndexFunc(p.offers, func(o lights.Offer) bool { return o.Lamp.Driver == l.Driver && o.Lamp.Topic == l.Topic }); of(l) && k >= 0 && p.offers[k].Members != nil {
				bulbs = append(bulbs, p.offers[k].Members...)
			} else if of(l) {
				bulbs = append(bulbs, l.Topic)
			}
		}
		if n := len(slices.DeleteFunc(slices.Clone(out), func(l lights.Lamp) bool { return !of(l) })); n < 2 {
			continue
		}
		name, mine := groupName(p.cfg.Room, role), ""
		for _, l := range p.cfg.Lights[role] {
			if of(l) && strings.HasPrefix(l.Topic, base+"/"+name) {
				mine = l.Topic
			}
		}
		topic, mark, err := way.Group(ctx, base, name, mine, bulbs)
		if err == nil {
			err = p.groups.chosen(topic, mark, bulbs)
		}
		if err != nil {
			return nil, web.Trouble{Problem: room.NewProblem("lights", "setup-group", "role", role).With(err.Error())}
		}
		out = append([]lights.Lamp{{Driver: "zigbee2mqtt", Topic: topic}}, slices.DeleteFunc(out, of)...)
	}
	return out, nil
}

// groupName is what a role's group is called: zigbee2mqtt takes neither + nor # in a name, and nobody spaces in a topic.
func groupName(roomName, role string) string {
	words := strings.FieldsFunc(strings.ToLower(roomName+" "+role), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127)
	})
	return strings.Join(words, "-")
}

// shown is a broker's address without its password.
func shown(broker string) string {
	u, err := url.Parse(broker)
	if err != nil || u.User == nil {
		return cmp.Or(broker, "embedded")
	}
	u.User = url.User(u.User.Username())
	return u.String()
}
