package web

import (
	"encoding/hex"
	"net"
	"os"
	"slices"
	"strings"
)

// addresses are this computer's, as the kernel's tables in /proc have them: the package lets roomd open no netlink socket,
// which net.InterfaceAddrs needs.
func addresses() []net.IP {
	four, err := os.ReadFile("/proc/net/fib_trie")
	if err != nil {
		return interfaceAddresses()
	}
	six, _ := os.ReadFile("/proc/net/if_inet6") // there is none where IPv6 is off
	return append(localFour(string(four)), localSix(string(six))...)
}

// localFour are the addresses of fib_trie that are local: one a line, each with what it is on the next.
//
//	|-- 192.168.0.7
//	   /32 host LOCAL
func localFour(trie string) (out []net.IP) {
	var last net.IP
	for line := range strings.Lines(trie) {
		line = strings.TrimSpace(line)
		if a, is := strings.CutPrefix(line, "|-- "); is {
			last = net.ParseIP(a)
		} else if line == "/32 host LOCAL" && last != nil && !slices.ContainsFunc(out, last.Equal) {
			out = append(out, last)
		}
	}
	return out
}

// localSix are the addresses of if_inet6: 32 hexadecimal digits, and what else is known of each.
func localSix(table string) (out []net.IP) {
	for line := range strings.Lines(table) {
		digits, _, _ := strings.Cut(line, " ")
		if b, err := hex.DecodeString(digits); err == nil && len(b) == net.IPv6len {
			out = append(out, b)
		}
	}
	return out
}
