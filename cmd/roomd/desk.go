package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"roomd/room"
	"roomd/room/clinic"
	"roomd/room/journal"
	"roomd/room/mqtt"
	"roomd/web"
	"roomd/web/desk"
)

const (
	packageDesk = "/var/lib/roomd-desk" // the data folder of the desk that the Debian package's service runs
	deskListen  = ":8444"               // beside a room's page on the same computer
	deskMQTT    = ":8883"
)

func deskCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "desk", Short: "Show all rooms of a clinic on one page", Args: takes(0, 0), Annotations: on(makesDesk),
		Long: `Show all rooms of a clinic on one page.

The page is served over https, at --listen (default ` + deskListen + `, or as the desk was served last). Rooms connect to --mqtt. The data folder is
` + packageDesk + ` where there is one, else ~/.local/share/roomd-desk. It holds the rooms' names and who may open the page, and nothing
of a session. docs/clinic.md tells how rooms join.`,
		Example: "  roomd desk --name \"North clinic\"\n  roomd desk --broker mqtts://desk:PASSWORD@broker.clinic.example --ca ca.pem"}
	var d deskFlags
	f := cmd.Flags()
	f.StringVar(&d.name, "name", "", "the clinic's `NAME` (default the one of the last time)")
	f.StringVar(&d.mqtt, "mqtt", deskMQTT, "`ADDRESS` that rooms connect to, HOST:PORT")
	f.StringVar(&d.broker, "broker", "", "`URL` of the clinic's own broker, mqtts://USER:PASSWORD@HOST, in place of the desk's; a password from the credential "+brokerPassword+" need not stand in it")
	f.StringVar(&d.ca, "ca", "", "`FILE` with the authority of that broker's certificate, PEM (default the system's)")
	f.StringSliceVar(&d.hosts, "host", nil, "a `NAME` of this computer that the page also answers to")
	_ = cmd.MarkFlagFilename("ca", "pem", "crt") // the flag is above
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return serveDesk(cmd.Context(), c, d) }
	cmd.AddCommand(deskPairCommand(c), deskJoinCommand(c), deskLeaveCommand(c))
	return cmd
}

// deskFlags are the options of roomd desk.
type deskFlags struct {
	name, mqtt, broker, ca string
	hosts                  []string
}

func deskPairCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "pair [NAME]", Short: "Show a code and a link that let one device open the desk's page", Args: takes(0, 1), Annotations: on(theDesk), Example: "  roomd desk pair\n  roomd desk pair \"Front desk\" --enrolls"}
	enrolls := cmd.Flags().Bool("enrolls", false, "the device may also add and remove rooms")
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		return pairDesk(cmd.Context(), c, strings.Join(words, ""), *enrolls)
	}
	return cmd
}

// usualDesk is the desk's data folder where none is named.
func usualDesk() string {
	if _, err := os.Stat(packageDesk); err == nil {
		return packageDesk
	}
	return below(os.UserHomeDir, ".local", "share", "roomd-desk")
}

// deskFile is the file with the desk's rooms.
func deskFile(data string) string { return filepath.Join(data, "desk.json") }

// openRegistry opens the desk's rooms, unless the folder is a room's.
func (c *call) openRegistry() (*desk.Registry, error) {
	if _, err := os.Stat(filepath.Join(c.data, "room.yaml")); err == nil {
		return nil, fmt.Errorf("%s is a room's folder: name another one for the desk with --data", c.data)
	}
	return desk.OpenRegistry(deskFile(c.data))
}

// pairDesk shows a code that lets one device open the desk's page. The desk that runs reads it from the data folder.
func pairDesk(ctx context.Context, c *call, name string, enrolls bool) error {
	registry, err := c.openRegistry()
	if err != nil {
		return err
	}
	store, tokens, err := sealedTokens(c)
	if err != nil {
		return err
	}
	defer store.Close()
	p, err := tokens.Offer(ctx, name, role(!enrolls), codeTime)
	if err == nil {
		err = onDisk(store)
	}
	if err != nil {
		return err
	}
	addresses, err := pages(cmp.Or(c.listen, registry.Listen(), deskListen))
	if err != nil {
		return err
	}
	print, err := web.AuthorityFingerprint(filepath.Join(c.data, "tls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s := pairingText{pairing: p, scheme: "https", addresses: addresses, may: "see all rooms", of: "desk", print: print}
	if enrolls {
		s.may = "see all rooms, and add and remove them"
	}
	s.write(c.stdout)
	return nil
}

// serveDesk runs the desk until ctx ends.
func serveDesk(ctx context.Context, c *call, d deskFlags) (err error) {
	lines := newSteadyLog(c.stderr)
	defer lines.flush()
	log := slog.New(slog.NewTextHandler(lines, nil))
	if err := c.makeData(); err != nil {
		return err
	}
	registry, err := c.openRegistry()
	if err != nil {
		return err
	}
	if err := tighten(c.data); err != nil {
		log.Warn("other users of this computer may read some of the desk's files", "err", err)
	}
	unlock, err := lockData(c.data)
	if err != nil {
		return err
	}
	defer unlock()
	if err := registry.SetUp(d.name, cmp.Or(c.listen, registry.Listen(), deskListen)); err != nil {
		return err
	}
	store, warning, err := journal.Open(filepath.Join(c.data, "roomd.db"))
	if err != nil {
		return err
	}
	defer store.Close()
	if warning != "" {
		log.Warn("the list of paired devices was damaged; pair those that are missing again", "problem", warning)
	}
	key, err := web.CodeKey(codeKeyIn(c.data))
	if err != nil {
		return err
	}
	tokens := web.NewTokens(store).SealCodes(key)
	certs, warning, err := web.NewCerts(web.CertOptions{Dir: filepath.Join(c.data, "tls"), Names: d.hosts, Log: log})
	if err != nil {
		return err
	}
	if warning != "" {
		log.Error("the desk has a new authority: each room has to join again, and each device to trust it", "problem", warning)
	}
	h := &house{log: log, gate: web.NewGate()}
	door := h.door(registry.Listen())
	door.tls = &tls.Config{GetCertificate: certs.GetCertificate, MinVersion: tls.VersionTLS12}
	host, _ := os.Hostname()
	o := desk.Options{
		Name: host, Version: version, Tokens: tokens, Certs: certs, Port: door.port(), Hosts: d.hosts, Pair: howToPairDesk(c.data), Registry: registry,
		Outside: d.broker != "", Log: log,
		Addresses: func() []string {
			all, err := pages(registry.Listen())
			if err != nil {
				return nil
			}
			return all
		},
	}
	var server *desk.Server
	if o.Outside {
		server = desk.New(o)
		stop, err := c.watchBroker(d, server.Rooms(), log)
		if err != nil {
			return err
		}
		defer stop()
	} else {
		var broker *desk.Broker
		o.Broker = func() string { return broker.Port() }
		o.Drop = func(ctx context.Context, id string) error { return broker.Drop(ctx, id) }
		server = desk.New(o)
		broker, err = desk.StartBroker(desk.BrokerOptions{Listen: d.mqtt, TLS: door.tls, Dir: brokerFolder(c), Log: log, Admit: registry.Admit, Known: registry.Known,
			Receive: func(id, topic string, payload []byte) { server.Rooms().Receive(id, topic, payload, false) }})
		if err != nil {
			return err
		}
		defer broker.Close()
		log.Info("rooms may connect", "address", net.JoinHostPort(web.Bare(d.mqtt), broker.Port()))
	}
	if list, err := tokens.List(ctx); err == nil && len(list) == 0 {
		log.Info("no device is paired yet: " + shell(deskCommandLine(c.data, "--enrolls")...) + " lets the first one in")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.listen(ctx, door, server) })
	g.Go(func() error { return certs.Run(ctx) })
	return g.Wait()
}

// watchBroker follows the rooms on the clinic's own broker until stop is called.
func (c *call) watchBroker(d deskFlags, rooms *desk.Rooms, log *slog.Logger) (stop func(), err error) {
	broker, err := withPassword(d.broker, c.env)
	if err != nil {
		return nil, err
	}
	client, err := mqtt.Dial(mqtt.Options{Broker: broker, CA: d.ca, ClockSet: room.ClockSet, Log: log})
	if err != nil {
		return nil, err
	}
	for _, topic := range []string{clinic.Abouts, clinic.Status, clinic.States} {
		client.Subscribe(clinic.Root+"/+/"+topic, func(at string, payload []byte, retained bool) {
			if levels := strings.Split(at, "/"); len(levels) == 3 {
				rooms.Receive(levels[1], topic, payload, retained)
			}
		})
	}
	client.OnConnect(rooms.SetConnected)
	return client.Close, nil
}

// brokerFolder is the folder of the desk's broker, one for each data folder. What is in it is in memory where the system has such a place.
func brokerFolder(c *call) string {
	dir := c.env("RUNTIME_DIRECTORY")
	if dir == "" {
		dir = "/dev/shm"
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		dir = os.TempDir()
	}
	return filepath.Join(dir, fmt.Sprintf("roomd-desk-%d-%x", os.Getuid(), sha256.Sum256([]byte(c.data)))[:40])
}

// deskCommandLine is what lets a device open the page of the desk in a data folder.
func deskCommandLine(data string, options ...string) []string {
	words := append([]string{"roomd", "desk", "pair"}, options...)
	if data == packageDesk {
		return append([]string{"sudo", "-u", "roomd"}, words...)
	}
	if data != usualDesk() {
		words = append(words, "--data", data)
	}
	return words
}

func howToPairDesk(data string) web.PairCommand {
	full := shell(deskCommandLine(data)...)
	if data == packageDesk || data == usualDesk() {
		return web.PairCommand{Plain: full, Full: full}
	}
	return web.PairCommand{Plain: "roomd desk pair", Full: full}
}
