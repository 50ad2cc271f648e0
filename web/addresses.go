package web

import "net"

// interfaceAddresses are this computer's addresses, as the system tells them.
func interfaceAddresses() (out []net.IP) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			out = append(out, n.IP)
		}
	}
	return out
}
