//go:build unix

package playlists

import (
	"os"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// DiskSpace is what who is not root may still write to a folder's disk, and how large that is, in bytes.
func DiskSpace(dir string) (free, size uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return uint64(st.Bavail) * uint64(st.Bsize), uint64(st.Blocks) * uint64(st.Bsize), nil
}

// writeAt writes a file whole or not at all. The mode of one that is there stays; a link is replaced.
func writeAt(dir *os.Root, name string, text []byte, mode os.FileMode) error {
	return renameio.WriteFile(name, text, mode, renameio.WithRoot(dir))
}

// renameAt moves a file from one folder to another, whatever links lead to the two by now.
func renameAt(from *os.Root, name string, to *os.Root, as string) error {
	f, err := from.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := to.Open(".")
	if err != nil {
		return err
	}
	defer t.Close()
	return unix.Renameat(int(f.Fd()), name, int(t.Fd()), as)
}

// syncDir has a folder's names on the disk.
func syncDir(dir *os.Root) error {
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
