package mqtt_test

import (
	"io"
	"log"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/mdns"

	"roomd/rig"
	"roomd/room/mqtt"
)

// TestDiscover finds a broker that a real responder tells of, and no other service. Without a network it finds nothing, in time.
func TestDiscover(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	for _, s := range []struct{ name, service string }{{"Home Assistant", "_mqtt._tcp"}, {"printer", "_ipp._tcp"}} {
		zone, err := mdns.NewMDNSService(s.name, s.service, "", "broker.local.", 1884, []net.IP{net.IPv4(192, 0, 2, 7)}, []string{"x=y"})
		if err != nil {
			t.Fatal(err)
		}
		server, err := mdns.NewServer(&mdns.Config{Zone: zone, Logger: quiet})
		if err != nil {
			t.Skipf("this network takes no multicast: %v", err)
		}
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	began := time.Now()
	found := mqtt.Discover(t.Context())
	rig.Bar(t, "brokers are looked for", "it takes", time.Since(began).Seconds(), 3, "s")
	want := mqtt.Found{Name: "Home Assistant", URL: "mqtt://192.0.2.7:1884"}
	for _, f := range found {
		if f == want {
			want.Name = ""
		} else if f.Name == "printer" {
			t.Errorf("%+v is no broker", f)
		}
	}
	if want.Name != "" {
		t.Errorf("found %+v", found)
	}
}
