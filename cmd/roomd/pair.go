package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/mdp/qrterminal/v3"

	"roomd/room"
	"roomd/web"
)

// codeTime is how long a code that is shown lets a device in.
const codeTime = 5 * time.Minute

// pair shows a code and a link that let one device in. It is run on the room's computer: that is the proof of being in the
// room.
func pair(ctx context.Context, c *call) error {
	observer := c.flags.Bool("observer", false, "the device may see the session and not steer it")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) > 1 {
		return usageError{errors.New("write: roomd pair [NAME] [--observer]; a name of several words in quotes")}
	}
	store, err := sharedStore(c)
	if err != nil {
		return err
	}
	defer store.Close()
	p, err := web.NewTokens(store).Offer(ctx, strings.Join(words, ""), role(*observer), codeTime)
	if err == nil {
		err = onDisk(store)
	}
	if err != nil {
		return err
	}
	if c.listen == "" {
		cfg, _, _ := room.LoadConfig(c.config) // what is wrong in it is said where it is served
		c.listen = cfg.Listen
	}
	addresses, err := pages(c.listen)
	if err != nil {
		return err
	}
	showPairing(c.stdout, p, addresses, *observer)
	return nil
}

// showPairing prints what a device needs, the QR code for the first of the addresses.
func showPairing(out io.Writer, p web.Pairing, addresses []string, observer bool) {
	may := "steer the room"
	if observer {
		may = "watch the session"
	}
	fmt.Fprintf(out, "\n  One device may %s by this code, until %s:\n\n      %s %s\n\n", may, p.Until.Format("15:04"), p.Code[:3], p.Code[3:])
	fmt.Fprintln(out, "  Type it on the room's page:")
	for _, a := range addresses {
		fmt.Fprintf(out, "      http://%s\n", a)
	}
	link := "http://" + addresses[0] + "/pair#" + p.Link
	fmt.Fprintf(out, "\n  Or open %s\n  or point the tablet's camera here:\n\n", link)
	qrterminal.GenerateWithConfig(link, qrterminal.Config{
		Level: qrterminal.L, Writer: out, HalfBlocks: true, QuietZone: 2,
		BlackChar: qrterminal.BLACK_BLACK, WhiteBlackChar: qrterminal.WHITE_BLACK, WhiteChar: qrterminal.WHITE_WHITE, BlackWhiteChar: qrterminal.BLACK_WHITE,
	})
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
