package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"

	"roomd/room"
	"roomd/room/journal"
	"roomd/web"
)

// codeTime is how long a code that is shown lets a device in.
const codeTime = web.CodeTime

func pairCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "pair [NAME]", Short: "Show a code and a link that let one device in", Args: takes(0, 1), Annotations: on(theRoom), Example: "  roomd pair\n  roomd pair \"Anna's tablet\"\n  roomd pair --observer"}
	observer := cmd.Flags().Bool("observer", false, "the device may see the session, but not steer it")
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		return pair(cmd.Context(), c, strings.Join(words, ""), *observer)
	}
	return cmd
}

// pair shows a code and a link that let one device in. It is run on the room's computer: that is the proof of being in the
// room. The roomd that runs makes them, on a full disk too; without one they wait in the journal.
func pair(ctx context.Context, c *call, name string, observer bool) error {
	var i invitation
	form := url.Values{"name": {name}, "observer": {strconv.FormatBool(observer)}}
	answer, err := c.ask(ctx, http.MethodPost, "/pair?"+form.Encode(), 30*time.Second)
	switch {
	case errors.Is(err, errNoSocket):
		i, err = c.invite(ctx, name, observer)
	case err == nil:
		err = json.Unmarshal(answer, &i)
	}
	if err != nil {
		return err
	}
	addresses, err := pages(cmp.Or(c.listen, i.Listen))
	if err != nil {
		return err
	}
	s := pairingText{pairing: i.Pairing, scheme: "http", addresses: addresses, may: "steer the room", of: "room", print: i.Fingerprint}
	if observer {
		s.may = "watch the session"
	}
	s.write(c.stdout)
	return nil
}

// invite makes a pairing for a roomd that does not run yet.
func (c *call) invite(ctx context.Context, name string, observer bool) (i invitation, err error) {
	store, tokens, err := sealedTokens(c)
	if err != nil {
		return i, err
	}
	defer store.Close()
	i.Pairing, err = tokens.Offer(ctx, name, role(observer), codeTime)
	if err == nil {
		err = onDisk(store)
	}
	cfg, _, _ := room.LoadConfig(c.config) // what is wrong in it is said where it is served
	i.Listen = cfg.Listen
	if print, none := web.AuthorityFingerprint(filepath.Join(c.data, "tls")); none == nil && !cfg.HTTPS.Off && cfg.HTTPS.Certificate == "" {
		i.Fingerprint = print
	}
	return i, err
}

// sealedTokens opens the room's tokens beside a roomd that may be running, so that they can store codes.
func sealedTokens(c *call) (*journal.Store, *web.Tokens, error) {
	key, err := web.CodeKey(codeKeyIn(c.data))
	if err != nil {
		return nil, nil, err
	}
	store, err := sharedStore(c)
	if err != nil {
		return nil, nil, err
	}
	return store, web.NewTokens(store).SealCodes(key), nil
}

// howToPair is what whoever stands at the room's computer types to let a device in. The package's room belongs to a user of its
// own (as). A data folder that roomd pair does not find by itself is named to a therapist only: it may tell of who uses the computer.
func howToPair(data, as string) web.PairCommand {
	const plain = "roomd pair"
	if data == packageData && as == "roomd" {
		const own = "sudo -u roomd " + plain
		return web.PairCommand{Plain: own, Full: own}
	}
	if data == usualData() {
		return web.PairCommand{Plain: plain, Full: plain}
	}
	return web.PairCommand{Plain: plain, Full: shell("roomd", "pair", "--data", data)}
}

// codeKeyIn is the file with the key that pairing codes are stored by.
func codeKeyIn(data string) string { return filepath.Join(data, "tls", "codes.key") }

// pairingText is what a device needs to be let in, as a terminal shows it.
type pairingText struct {
	pairing   web.Pairing
	scheme    string   // of the page
	addresses []string // of the page; the QR code is for the first one
	may       string   // what the device may do then
	of        string   // whose page it is
	// print is the fingerprint of the page's authority, or empty: it stands here because nobody on the network can change what this
	// computer shows.
	print string
}

func (s pairingText) write(out io.Writer) {
	p := s.pairing
	// The time of day would be wrong on a computer whose clock the network has yet to set.
	fmt.Fprintf(out, "\n  One device may %s by this code, within %.0f minutes:\n\n      %s %s\n\n", s.may, time.Until(p.Until).Minutes(), p.Code[:3], p.Code[3:])
	fmt.Fprintf(out, "  Type it on the %s's page:\n", s.of)
	for _, a := range s.addresses {
		fmt.Fprintf(out, "      %s://%s\n", s.scheme, a)
	}
	link := s.scheme + "://" + s.addresses[0] + "/pair#" + p.Link
	if s.print != "" {
		link += "." + strings.ReplaceAll(s.print, ":", "")
	}
	fmt.Fprintf(out, "\n  Or open %s\n  or point the tablet's camera here:\n\n", link)
	qrterminal.GenerateWithConfig(link, qrterminal.Config{
		Level: qrterminal.L, Writer: out, HalfBlocks: true, QuietZone: 2,
		BlackChar: qrterminal.BLACK_BLACK, WhiteBlackChar: qrterminal.WHITE_BLACK, WhiteChar: qrterminal.WHITE_WHITE, BlackWhiteChar: qrterminal.BLACK_WHITE,
	})
	if s.print != "" {
		fmt.Fprintf(out, "\n  When the device makes the connection private, the certificate that it installs has to\n  show this SHA-256 fingerprint:\n\n      %s\n      %s\n", s.print[:48], s.print[48:])
	}
	fmt.Fprintln(out)
}

// pages are the addresses, host:port, that the page has on the network, the likeliest first. By its number a tablet finds
// the room also where names like room.local are not known.
func pages(listen string) ([]string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{net.JoinHostPort(host, port)}, nil
	}
	var four, six []string
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, a := range all {
			n, ok := a.(*net.IPNet)
			switch {
			case !ok || !n.IP.IsGlobalUnicast():
			case n.IP.To4() != nil:
				four = append(four, net.JoinHostPort(n.IP.String(), port))
			default:
				six = append(six, net.JoinHostPort(n.IP.String(), port))
			}
		}
	}
	return append(append(four, six...), net.JoinHostPort("localhost", port)), nil
}
