package web

import (
	"net"
	"slices"
	"strings"
	"testing"
)

// TestAddresses compares the addresses of the kernel's tables with those that Go asks for by netlink.
func TestAddresses(t *testing.T) {
	sorted := func(ips []net.IP) string {
		var s []string
		for _, ip := range ips {
			s = append(s, ip.String())
		}
		slices.Sort(s)
		return strings.Join(s, " ")
	}
	if got, want := sorted(addresses()), sorted(interfaceAddresses()); got != want || want == "" {
		t.Errorf("%q, not %q", got, want)
	}
	const trie = "Main:\n  |-- 10.0.0.0\n     /8 host LOCAL\n  |-- 10.0.0.7\n     /32 host LOCAL\n  |-- 10.0.0.255\n     /32 link BROADCAST\nLocal:\n |-- 10.0.0.7\n  /32 host LOCAL\n |-- 10.0.0.8\n  /32 host LOCAL\n"
	if got := sorted(localFour(trie)); got != "10.0.0.7 10.0.0.8" {
		t.Error(got)
	}
}
