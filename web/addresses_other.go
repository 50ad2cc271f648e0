//go:build !linux

package web

import "net"

// addresses are this computer's.
func addresses() []net.IP { return interfaceAddresses() }
