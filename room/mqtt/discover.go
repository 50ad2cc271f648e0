package mqtt

import (
	"context"
	"io"
	"log"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/mdns"
)

// Found is a broker that tells of itself in the local network.
type Found struct {
	Name string // what it calls itself
	URL  string // mqtt://ADDRESS:PORT
}

// discoverFor is how long answers are waited for.
const discoverFor = 2 * time.Second

// Discover asks the local network for brokers by mDNS (_mqtt._tcp, RFC 6763) and returns those that answer within two seconds, by name.
// A network that takes no multicast has none.
func Discover(ctx context.Context) (found []Found) {
	ctx, stop := context.WithTimeout(ctx, discoverFor)
	defer stop()
	const service = "_mqtt._tcp"
	entries := make(chan *mdns.ServiceEntry, 64) // more are left out
	_ = mdns.QueryContext(ctx, &mdns.QueryParam{Service: service, Timeout: discoverFor, Entries: entries, Logger: log.New(io.Discard, "", 0)})
	for {
		select {
		case e := <-entries:
			name, is := strings.CutSuffix(e.Name, "."+service+".local.")
			// A link-local address of IPv6 means nothing without its interface.
			if f := (Found{strings.ReplaceAll(name, `\`, ""), "mqtt://" + net.JoinHostPort(e.AddrV4.String(), strconv.Itoa(e.Port))}); is && e.AddrV4 != nil && !slices.Contains(found, f) {
				found = append(found, f)
			}
			continue
		default:
		}
		slices.SortFunc(found, func(a, b Found) int { return strings.Compare(a.Name+a.URL, b.Name+b.URL) })
		return found
	}
}
