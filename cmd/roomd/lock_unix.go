//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// lockData makes sure that one roomd has the data folder: the folder itself is locked, since on a full disk no file can be
// made in it. The lock ends with the process, however it ends.
func lockData(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another roomd uses %s: end it, or choose another folder with --data", dir)
	}
	return func() { f.Close() }, nil
}

// replaceIn writes a file of this user's alone, whole or not at all, in place of a link and never through one.
func replaceIn(dir *os.Root, name string, text []byte) error {
	return renameio.WriteFile(name, text, 0o600, renameio.WithRoot(dir))
}

// keepPrivate sets the umask, whatever roomd was started with: nothing that it makes is for others. What is for the group, in a
// playlists folder, says so itself.
func keepPrivate() { unix.Umask(0o007) }

// otherOwner returns the user that a folder belongs to, if root runs roomd and the folder is not root's.
func otherOwner(dir string) (o owner, is bool) {
	st, err := os.Stat(dir)
	if err != nil || os.Geteuid() != 0 {
		return o, false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return owner{sys.Uid, sys.Gid}, ok && sys.Uid != 0
}

// holder returns an error where this user can't work in a folder: it is missing, or it belongs to another user, whose name it
// returns. What is wrong with a folder of one's own, or of root's own for root, shows where it is used.
func holder(dir string) (who string, err error) {
	st, err := os.Stat(dir)
	for at := dir; errors.Is(err, fs.ErrPermission) && at != filepath.Dir(at); {
		at = filepath.Dir(at) // the first folder on the way that can be looked at
		if above, bad := os.Stat(at); bad == nil {
			st = above
			break
		}
	}
	if st == nil {
		return "", err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || int(sys.Uid) == os.Geteuid() || os.Geteuid() == 0 {
		return "", err
	}
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, dir, unix.R_OK|unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	}
	return userName(sys.Uid), err
}

// become has a process run as the owner, with the groups that the system gives that user.
func (o owner) become(cmd *exec.Cmd) {
	as := &syscall.Credential{Uid: o.uid, Gid: o.gid}
	if u, err := user.LookupId(strconv.Itoa(int(o.uid))); err == nil {
		if g, err := strconv.ParseUint(u.Gid, 10, 32); err == nil {
			as.Gid = uint32(g)
		}
		ids, _ := u.GroupIds() // without them it runs with its own group
		for _, id := range ids {
			if g, err := strconv.ParseUint(id, 10, 32); err == nil {
				as.Groups = append(as.Groups, uint32(g))
			}
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
}
