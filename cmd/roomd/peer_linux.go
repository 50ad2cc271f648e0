package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// ownPeer tells whether this user or root is at the other end of a socket.
func ownPeer(conn net.Conn) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	own := false
	err = raw.Control(func(fd uintptr) {
		who, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		own = err == nil && (who.Uid == 0 || int(who.Uid) == os.Geteuid())
	})
	return err == nil && own
}
