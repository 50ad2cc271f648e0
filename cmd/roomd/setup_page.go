package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2/maybe"

	"roomd/player/output"
	"roomd/room"
	"roomd/room/lights"
	"roomd/room/mqtt"
	"roomd/web"
)

// roomSetup implements web.Setup for the running room.

// The page tells how far the walk through a fresh room is by a word in this file of the data folder.
const (
	walkFile  = "setup"
	walkBegan = "began"
	walkDone  = "done"
)

// fresh reports whether nobody has set the room up yet; none: there is no room file.
func (s *roomSetup) fresh(none bool) bool {
	word, _ := os.ReadFile(filepath.Join(s.data, walkFile))
	walk := strings.TrimSpace(string(word))
	return walk == walkBegan || walk != walkDone && none
}

func (s *roomSetup) walked(word string) error {
	return maybe.WriteFile(filepath.Join(s.data, walkFile), []byte(word+"\n"), 0o600)
}

// View is the room as its file has it; where that is wrong, as it runs.
func (s *roomSetup) View() web.SetupView {
	f, err := s.read()
	run := s.parts()
	if run.file != nil && (err != nil || len(f.found.Errors()) > 0) {
		f.cfg = run.file.inUse()
	}
	cfg := f.cfg
	low, high := room.ReferenceRange()
	v := web.SetupView{
		Fresh: s.fresh(f.fresh), Room: cfg.Room,
		Sound:  web.SetupSound{Output: cmp.Or(cfg.Audio.Output, "alsa"), Device: cfg.Audio.Device, Reference: cfg.Audio.Reference, ReferenceMin: low, ReferenceMax: high},
		Lights: web.SetupLights{Broker: shown(cfg.MQTT.Broker), BrokerState: web.BrokerUnreachable, Roles: rolesOf(cfg)},
	}
	if run.file != nil {
		v.Waits, v.Problems = run.file.Waits(), run.file.problems()
	}
	s.mu.Lock()
	devices, brokers, way := s.devices, s.brokers, s.way
	s.mu.Unlock()
	for _, d := range devices {
		v.Sound.Devices = append(v.Sound.Devices, web.SoundDevice{Name: d.Name, Description: d.Description, Rates: append([]int{}, d.Rates...), USB: isUSB(d)})
	}
	for _, b := range brokers {
		v.Lights.Brokers = append(v.Lights.Brokers, web.FoundBroker{URL: b.URL, Name: b.Name})
	}
	switch {
	case embedded(cfg):
		v.Lights.BrokerState = web.BrokerEmbedded
		return v
	case way == nil || way.broker != cfg.MQTT.Broker:
		return v
	}
	if p := way.conn.Problem(); way.conn.Open() {
		v.Lights.BrokerState = web.BrokerConnected
	} else if p != nil && p.Code == "broker-password" {
		v.Lights.BrokerState = web.BrokerRefused
	}
	v.Lights.Zigbee = len(way.Bridges()) > 0
	v.Lights.JoiningMS = way.Joining(time.Now()).Milliseconds()
	for _, j := range way.Joined() {
		v.Lights.Joined = append(v.Lights.Joined, web.JoinedDevice{Name: j.Name, State: string(j.State)})
	}
	for _, o := range way.Offers() {
		role, _ := uses(cfg, nil, o)
		v.Lights.Offers = append(v.Lights.Offers, web.LightOffer{Driver: o.Lamp.Driver, Topic: o.Lamp.Topic, Name: o.Name, Kind: cmp.Or(o.Kind, o.Lamp.Driver), Members: o.Members, Role: role, Trouble: o.Trouble})
	}
	return v
}

// rolesOf are the roles of the room's scenes and lights, ambient and accent first.
func rolesOf(cfg room.Config) (all []string) {
	known := map[string]bool{"ambient": true, "accent": true}
	for role := range cfg.Lights {
		known[role] = true
	}
	for _, scene := range cfg.Scenes {
		for role := range scene {
			known[role] = true
		}
	}
	first := func(role string) int { return slices.Index([]string{"accent", "ambient"}, role) }
	return slices.SortedFunc(maps.Keys(known), func(a, b string) int {
		return cmp.Or(cmp.Compare(first(b), first(a)), cmp.Compare(a, b))
	})
}

// Look finds sound devices, brokers and lights anew, all at once.
func (s *roomSetup) Look(ctx context.Context) error {
	defer s.use()()
	f, _ := s.read()
	brokers := make(chan []mqtt.Found, 1)
	devices := make(chan []output.Device, 1)
	go func() { brokers <- findBrokers(ctx) }()
	go func() {
		found, err := output.Devices()
		if err != nil {
			s.log.Warn("the sound devices can't be listed", "err", err)
		}
		devices <- found
	}()
	if way, err := s.listen(f.cfg); err == nil {
		within, stop := context.WithTimeout(ctx, 5*time.Second)
		_ = s.await(within, way) // the view says how the broker is
		stop()
	}
	b, d := <-brokers, <-devices
	s.mu.Lock()
	defer s.mu.Unlock()
	s.brokers, s.devices = b, d
	return ctx.Err()
}

// hasDevice refuses a sound device that is not there.
func hasDevice(device string) error {
	if output.HasDevice(device) {
		return nil
	}
	return room.NewProblem("room", "setup-device", "device", device).Refusal().Of("device")
}

// checkReference refuses a loudness that the room file can't have.
func checkReference(lufs float64) error {
	if low, high := room.ReferenceRange(); !(lufs >= low && lufs <= high) {
		return room.Refuse("setup-reference", "least", low, "most", high).Of("reference")
	}
	return nil
}

// Play lets a device be heard. By ear a reference is set by what music of level 0 is like, so it is played as loud as that; a
// device that is only looked for is played far softer.
func (s *roomSetup) Play(ctx context.Context, device string, reference *float64) error {
	defer s.use()()
	f, err := s.read()
	if err != nil {
		return err
	}
	level := f.cfg.Audio.Reference - findLevel
	if reference != nil {
		if err := checkReference(*reference); err != nil {
			return err
		}
		level = *reference
	}
	if err := hasDevice(device); err != nil {
		return err
	}
	return s.hear(ctx, f.cfg.Audio, device, level)
}

// full is a broker's address as it was shown, with the password that the room file has.
func full(cfg room.Config, broker string) string {
	if broker == shown(cfg.MQTT.Broker) {
		return cfg.MQTT.Broker
	}
	return broker
}

// checkBroker refuses what is no address of a broker.
func checkBroker(broker string) error {
	if err := checkAnswer(room.Answers{Broker: &broker}); err != nil {
		return room.NewProblem("room", "setup-broker").With(err.Error()).Refusal().Of("broker")
	}
	return nil
}

// Try connects to a broker once.
func (s *roomSetup) Try(ctx context.Context, broker string) error {
	defer s.use()()
	f, err := s.read()
	if err != nil {
		return err
	}
	try := f.cfg
	try.MQTT.Broker = full(f.cfg, broker)
	if embedded(try) {
		return nil
	}
	if err := checkBroker(try.MQTT.Broker); err != nil {
		return err
	}
	if try.MQTT.Broker, err = withPassword(try.MQTT.Broker, s.env); err != nil {
		s.log.Warn("the broker's password can't be read; trying without", "err", err)
	}
	conn, err := reach(ctx, try)
	if err == nil {
		conn.Close()
		return nil
	}
	u, bad := url.Parse(try.MQTT.Broker)
	var t web.Trouble
	switch errors.As(err, &t); {
	case ctx.Err() != nil || bad != nil:
		return err
	case t.Code == "broker-password":
		return web.Trouble{Problem: room.NewProblem("broker", "setup-password")}
	case t.Code == "" || slices.Contains([]string{"broker-silent", "broker-waits", "broker-unknown"}, t.Code):
		return web.Trouble{Problem: room.NewProblem("broker", "setup-silent", "host", u.Host)}
	}
	return t
}

// offers are the broker's lights, once they are known.
func (s *roomSetup) offers(ctx context.Context, cfg room.Config) (*brokerWay, []lights.Offer, error) {
	way, err := s.listen(cfg)
	if errors.Is(err, errNoBroker) {
		return nil, nil, room.NewProblem("room", "setup-no-broker").Refusal()
	}
	if err == nil {
		err = s.await(ctx, way)
	}
	if errors.Is(err, errSilentBroker) {
		err = web.Trouble{Problem: room.NewProblem("broker", "setup-silent", "host", shown(cfg.MQTT.Broker))}
	}
	if err != nil {
		return nil, nil, err
	}
	return way, way.Offers(), nil
}

func offerAt(offers []lights.Offer, driver, topic string) (lights.Offer, bool) {
	k := slices.IndexFunc(offers, func(o lights.Offer) bool { return o.Lamp.Driver == driver && o.Lamp.Topic == topic })
	if k < 0 {
		return lights.Offer{}, false
	}
	return offers[k], true
}

// Show has a lamp, or all of a group, show itself. The roles that have it lend it.
func (s *roomSetup) Show(ctx context.Context, lamp web.SetupLamp) error {
	defer s.use()()
	f, err := s.read()
	if err != nil {
		return err
	}
	way, offers, err := s.offers(ctx, f.cfg)
	if err != nil {
		return err
	}
	o, there := offerAt(offers, lamp.Driver, lamp.Topic)
	if !there || o.Trouble != "" {
		return room.NewProblem("room", "setup-light", "topic", lamp.Topic).With(o.Trouble).Refusal().Of("topic")
	}
	var topics []string
	all := way.Lamps(o)
	for _, l := range all {
		topics = append(topics, l.Lamp.Topic)
	}
	show := func(ctx context.Context, conn lights.Conn) error {
		_, err := lights.Show(ctx, conn, all)
		return err
	}
	if run := s.parts(); run.lamps != nil {
		var refused lights.Said
		if refused, err = run.lamps.Lend(ctx, way.conn, topics, show); refused.Code != "" {
			return room.Refuse(refused.Code, refused.Args...)
		}
	} else {
		err = show(ctx, way.conn)
	}
	if err != nil && ctx.Err() == nil {
		return web.Trouble{Problem: room.NewProblem("lights", "setup-lamp-silent", "topic", lamp.Topic).With(err.Error())}
	}
	return err
}

// Join lets new Zigbee devices in.
func (s *roomSetup) Join(ctx context.Context, seconds int) error {
	defer s.use()()
	f, err := s.read()
	if err != nil {
		return err
	}
	way, _, err := s.offers(ctx, f.cfg)
	if err != nil {
		return err
	}
	switch err := way.Join(ctx, time.Duration(seconds)*time.Second); {
	case errors.Is(err, lights.ErrNoBridge):
		return web.Trouble{Problem: room.NewProblem("lights", "setup-no-zigbee")}
	case err != nil:
		return web.Trouble{Problem: room.NewProblem("lights", "setup-join").With(err.Error())}
	}
	return nil
}

// Write writes the room file.
func (s *roomSetup) Write(ctx context.Context, c web.SetupChange) error {
	defer s.use()()
	s.writing.Lock()
	defer s.writing.Unlock()
	f, err := s.read()
	if err != nil {
		return err
	}
	if wrong := f.found.Errors(); len(wrong) > 0 {
		return room.NewProblem("room", "setup-file").With(strings.Join(wrong.Strings(), "; ")).Refusal()
	}
	a, err := s.answers(ctx, f, c)
	if err != nil {
		return err
	}
	fresh := s.fresh(f.fresh)
	if (a.Room != nil || a.Device != nil || a.Reference != nil || a.Broker != nil || len(a.Lights) > 0) || c.Done && f.fresh {
		_, _, err := s.write(f, a)
		var wrong errBecomesWrong
		if errors.As(err, &wrong) {
			return room.NewProblem("room", "setup-value").With(wrong.Error()).Refusal().Of(fieldOf(c))
		}
		if err != nil {
			return err
		}
	}
	switch {
	case c.Done:
		return s.walked(walkDone)
	case fresh:
		return s.walked(walkBegan)
	}
	return nil
}

// fieldOf names one of the fields that a change has.
func fieldOf(c web.SetupChange) string {
	switch {
	case c.Lights != nil:
		return "lights"
	case c.Broker != nil:
		return "broker"
	case c.Device != nil:
		return "device"
	}
	return "room"
}

// answers are what a change makes of the room file, each looked at.
func (s *roomSetup) answers(ctx context.Context, f roomText, c web.SetupChange) (a room.Answers, err error) {
	cfg := f.cfg
	if c.Room != nil && (*c.Room != cfg.Room || f.fresh) {
		if err := checkAnswer(room.Answers{Room: c.Room}); err != nil {
			return a, room.NewProblem("room", "setup-value").With(err.Error()).Refusal().Of("room")
		}
		a.Room, cfg.Room = c.Room, *c.Room
	}
	if c.Device != nil && *c.Device != cfg.Audio.Device {
		if cfg.Audio.Output == "command" || cfg.Audio.Output == "none" {
			return a, room.NewProblem("room", "setup-fixed").Refusal().Of("device")
		}
		if err := hasDevice(*c.Device); err != nil {
			return a, err
		}
		a.Device = c.Device
	}
	if c.Reference != nil && *c.Reference != cfg.Audio.Reference {
		if err := checkReference(*c.Reference); err != nil {
			return a, err
		}
		a.Reference = c.Reference
	}
	if c.Broker != nil {
		if broker := full(cfg, *c.Broker); broker != cfg.MQTT.Broker {
			if err := checkBroker(broker); err != nil {
				return a, err
			}
			a.Broker, cfg.MQTT.Broker = &broker, broker
		}
	}
	if len(c.Lights) == 0 && !(a.Broker != nil && embedded(cfg)) {
		return a, nil
	}
	a.Lights, err = s.assign(ctx, cfg, c.Lights)
	return a, err
}

// assign gives lamps to roles, as the room file has them. Where the room has no broker, its own lamps are simulated.
func (s *roomSetup) assign(ctx context.Context, cfg room.Config, asked map[string][]web.SetupLamp) (out map[string]string, err error) {
	roles := slices.Sorted(maps.Keys(asked))
	some := slices.ContainsFunc(roles, func(role string) bool { return len(asked[role]) > 0 })
	var way *lights.Finder
	p := s.pick(cfg, nil, roles...)
	if some {
		w, offers, err := s.offers(ctx, cfg)
		var refused *room.Refused
		if errors.As(err, &refused) {
			return nil, refused.Of("lights")
		}
		if err != nil {
			return nil, err
		}
		way, p.offers = w.Finder, offers
	}
	if embedded(cfg) {
		for role, lamps := range cfg.Lights {
			if asked[role] == nil && slices.ContainsFunc(lamps, func(l lights.Lamp) bool { return l.Driver != "simulated" }) {
				roles = append(roles, role)
			}
		}
	}
	known := rolesOf(cfg)
	given := map[string][]lights.Lamp{}
	for _, role := range roles {
		if !slices.Contains(known, role) {
			return nil, room.Refuse("unknown-role", "role", role).Of("lights")
		}
		for _, l := range asked[role] {
			if slices.ContainsFunc(given[role], func(g lights.Lamp) bool { return g.Driver == l.Driver && g.Topic == l.Topic }) {
				continue
			}
			o, there := offerAt(p.offers, l.Driver, l.Topic)
			k := slices.IndexFunc(cfg.Lights[role], func(was lights.Lamp) bool { return was.Driver == l.Driver && was.Topic == l.Topic })
			switch {
			case k >= 0: // with the options that somebody wrote
				given[role] = append(given[role], cfg.Lights[role][k])
			case !there || o.Trouble != "":
				return nil, room.NewProblem("room", "setup-light", "topic", l.Topic).With(o.Trouble).Refusal().Of("lights")
			default:
				given[role] = append(given[role], o.Lamp)
			}
		}
		if other, topic, clash := anyOverlap(p.offers, p.chosen, given[role]); clash {
			return nil, room.NewProblem("room", "setup-overlap", "topic", topic, "role", other).Refusal().Of("lights")
		}
		p.chosen[role] = given[role]
	}
	out = map[string]string{}
	for _, role := range roles {
		text, err := p.give(ctx, way, role, given[role])
		if err != nil {
			return nil, err
		}
		if text != "" {
			out[role] = text
		}
	}
	return out, nil
}

var _ web.Setup = (*roomSetup)(nil)
