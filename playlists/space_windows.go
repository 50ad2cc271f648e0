package playlists

import (
	"os"
	"path/filepath"

	win "golang.org/x/sys/windows"
)

// DiskSpace is what this user may still write to a folder's disk, and how large that is, in bytes.
func DiskSpace(dir string) (free, size uint64, err error) {
	p, err := win.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	err = win.GetDiskFreeSpaceEx(p, &free, &size, nil)
	return free, size, err
}

// syncDir does nothing where only developers run roomd.
func syncDir(*os.Root) error { return nil }

// writeAt writes a file. A power cut may leave half of it.
func writeAt(dir *os.Root, name string, text []byte, mode os.FileMode) error {
	return dir.WriteFile(name, text, mode)
}

// renameAt moves a file from one folder to another.
func renameAt(from *os.Root, name string, to *os.Root, as string) error {
	return os.Rename(filepath.Join(from.Name(), name), filepath.Join(to.Name(), as))
}
