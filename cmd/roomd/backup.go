package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomd/playlists"
	"roomd/room"
	"roomd/room/journal"
)

// A backup is a .tar.gz: backup.json, which tells what it is, then room.yaml, roomd.db, and the folders lights, tls and
// playlists. It holds keys and the record of sessions, so only its owner may read it.
const (
	backupAbout  = "backup.json"
	backupFormat = 1
	backupDB     = "roomd.db"
	backupMost   = 1 << 40 // bytes of all that is in one
)

type aboutBackup struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of roomd
	Room    string    `json:"room"`
	Made    time.Time `json:"made"`
	Music   bool      `json:"music"` // the playlists folder is whole, with its music
}

func backupCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "backup FOLDER", Short: "Write playlists, room file, sessions, keys and lights into one file", Args: takes(1, 1), Annotations: on(theRoomByFile),
		Long:    "Write playlists, room file, sessions, keys and lights into one file in FOLDER, or to the standard output if FOLDER is -. The room may be running.",
		Example: "  sudo -u roomd roomd backup - >/media/stick/roomd.tar.gz\n  roomd backup /mnt/backups --music --keep 7"}
	music := cmd.Flags().Bool("music", false, "the music too")
	keep := cmd.Flags().Int("keep", 0, "keep only the `N` newest of the room's backups in the folder (default all)")
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		return backup(cmd.Context(), c, words[0], *music, *keep)
	}
	return cmd
}

// backup writes the room into one file.
func backup(ctx context.Context, c *call, to string, music bool, keep int) (err error) {
	if keep < 0 {
		return usageError{errors.New("--keep takes a number from 0 on")}
	}
	as, name := c.asOwner, ""
	switch {
	case as != nil && to == "-":
		return *as
	case as != nil:
		// Root makes the file, in the folder that it was given; the owner reads what goes into it.
		name, err = placeBackup(to, keep, func(f *os.File) (string, error) { return as.backup(ctx, c, f, music) })
	default:
		c.noteSession(ctx, "backup")
		cfg, _, unread := room.LoadConfig(c.config)
		if unread != nil && !errors.Is(unread, fs.ErrNotExist) {
			return unread
		}
		if to == "-" {
			return packBackup(ctx, c.settings, cfg.Room, music, c.stdout)
		}
		name, err = writeBackup(ctx, c.settings, cfg.Room, to, music, keep)
	}
	if err == nil {
		fmt.Fprintln(c.stdout, filepath.Join(to, name))
	}
	return err
}

// backup has the owner pack a backup into a file, which then is the owner's too. It returns the room's name.
func (o owner) backup(ctx context.Context, c *call, to *os.File, music bool) (string, error) {
	args := append([]string{"backup", "-"}, c.words()...)
	if music {
		args = append(args, "--music")
	}
	if err := o.again(ctx, c, args, to); err != nil {
		return "", err
	}
	_ = to.Chown(int(o.uid), int(o.gid)) // a stick's file system may know no owners: then its mount says who reads it
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	z, err := gzip.NewReader(to)
	if err != nil {
		return "", err
	}
	r := tar.NewReader(z)
	if _, err := r.Next(); err != nil {
		return "", err
	}
	var about aboutBackup
	err = json.NewDecoder(r).Decode(&about)
	return about.Room, err
}

// backupPrefix is how the names of a room's backups begin.
func backupPrefix(room string) string {
	return "roomd-" + strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>| `, r) || r < ' ' {
			return '-'
		}
		return r
	}, room) + "-"
}

const backupTime = "2006-01-02T150405"

// writeBackup writes one into a folder, whole or not at all, while a roomd may be running, and deletes all but the newest
// keep of the room's (0: none).
func writeBackup(ctx context.Context, c settings, roomName, to string, music bool, keep int) (name string, err error) {
	return placeBackup(to, keep, func(f *os.File) (string, error) {
		return roomName, packBackup(ctx, c, roomName, music, f)
	})
}

// placeBackup gives a backup its name once pack has written it, and returned the room's.
func placeBackup(to string, keep int, pack func(*os.File) (room string, err error)) (name string, err error) {
	if st, err := os.Stat(to); err != nil {
		return "", fmt.Errorf("the folder for the backup: %w", err)
	} else if !st.IsDir() {
		return "", fmt.Errorf("%s is not a folder", to)
	}
	part, err := os.CreateTemp(to, ".roomd-backup-*") // 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	made := time.Now()
	roomName, err := pack(part)
	if err = cmp.Or(err, part.Sync(), part.Close()); err != nil {
		return "", err
	}
	name = backupPrefix(roomName) + made.Format(backupTime) + ".tar.gz"
	if err := os.Rename(part.Name(), filepath.Join(to, name)); err != nil {
		return "", err
	}
	if keep > 0 {
		err = keepNewest(to, backupPrefix(roomName), name, keep)
	}
	return name, err
}

// packBackup writes a backup. It refuses a link in the place of what it packs: a link may lead to what is not the room's.
func packBackup(ctx context.Context, c settings, roomName string, music bool, to io.Writer) error {
	data, err := os.OpenRoot(c.data)
	if err != nil {
		return err
	}
	defer data.Close()
	if _, err := plain(data, backupDB, false); err != nil {
		return err
	}
	work, err := os.MkdirTemp(c.data, ".backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	copied := filepath.Join(work, backupDB)
	store, err := journal.Share(filepath.Join(c.data, backupDB))
	if err != nil {
		return err
	}
	err = store.CopyTo(ctx, copied)
	if err = cmp.Or(err, store.Close()); err != nil {
		return fmt.Errorf("copy the journal: %w", err)
	}

	z := gzip.NewWriter(to)
	w := tar.NewWriter(z)
	made := time.Now()
	about, err := json.Marshal(aboutBackup{backupFormat, version, roomName, made.Truncate(time.Second), music})
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: backupAbout, Mode: 0o600, Size: int64(len(about)), ModTime: made}); err != nil {
		return err
	}
	if _, err := w.Write(about); err != nil {
		return err
	}
	// Below the data folder a link is refused. Whoever names a file or a folder may name a link.
	config := c.config
	if real, err := filepath.EvalSymlinks(config); err == nil && filepath.Dir(config) != c.data {
		config = real
	}
	return errors.Join(
		addFile(w, filepath.Dir(config), filepath.Base(config), "room.yaml"),
		addFile(w, work, backupDB, backupDB),
		addFolder(ctx, w, c.data, "lights", "lights", nil),
		addFolder(ctx, w, c.data, "tls", "tls", nil),
		addFolder(ctx, w, c.playlists, ".", "playlists", func(name string) bool { return music || playlists.Writing(name) }),
		w.Close(), z.Close(),
	)
}

// keepNewest deletes all but the newest of a room's backups. made is the backup just written, which always stays. Backups dated after it come
// from a clock that was ahead, and are deleted first. Other files stay.
func keepNewest(folder, prefix, made string, keep int) error {
	es, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range es {
		middle, is := strings.CutPrefix(e.Name(), prefix)
		middle, ends := strings.CutSuffix(middle, ".tar.gz")
		if _, err := time.Parse(backupTime, middle); is && ends && err == nil {
			names = append(names, e.Name())
		}
	}
	rank := func(name string) int {
		if name > made {
			return 0
		}
		return 1
	}
	// Names sort by date.
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b)) })
	for _, n := range names[:max(0, len(names)-keep)] {
		if err := os.Remove(filepath.Join(folder, n)); err != nil {
			return err
		}
	}
	return nil
}

// plain says whether a file below root is there, or a folder, with folders above it that are none but folders. The error is
// a link, or whatever else stands in its place.
func plain(root *os.Root, name string, folder bool) (there bool, err error) {
	for at := name; at != "."; at = filepath.Dir(at) {
		info, err := root.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return false, err
		case at == name && !folder && info.Mode().IsRegular(), at == name && folder && info.IsDir():
			there = true
		case at != name && info.IsDir():
		case info.Mode()&fs.ModeSymlink != 0:
			return false, fmt.Errorf("%s is a link, which roomd does not follow: put the real one in its place", filepath.Join(root.Name(), at))
		default:
			return false, fmt.Errorf("%s is in the way: move it elsewhere", filepath.Join(root.Name(), at))
		}
	}
	return there, nil
}

// openPlain opens a file that is no link, nor below one.
func openPlain(root *os.Root, name string) (*os.File, error) {
	if there, err := plain(root, name, false); err != nil || !there {
		return nil, cmp.Or(err, fs.ErrNotExist)
	}
	was, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(was, now) {
		f.Close()
		return nil, cmp.Or(err, fmt.Errorf("%s was replaced while it was opened: try again", name))
	}
	return f, nil
}

// addFile adds one file of a folder; one that is not there is left out.
func addFile(w *tar.Writer, folder, file, name string) error {
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer root.Close()
	return addFrom(w, root, file, name)
}

func addFrom(w *tar.Writer, root *os.Root, file, name string) error {
	f, err := openPlain(root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: st.Size(), ModTime: st.ModTime(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	// What grows meanwhile is taken as long as it was.
	_, err = io.CopyN(w, f, st.Size())
	return err
}

// addFolder adds the files below a folder of top; only those that wants says, nil: all. Links in it are left out.
func addFolder(ctx context.Context, w *tar.Writer, top, folder, name string, wants func(string) bool) error {
	root, err := os.OpenRoot(top)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer root.Close()
	if folder != "." {
		if there, err := plain(root, folder, true); err != nil || !there {
			return err
		}
	}
	return fs.WalkDir(root.FS(), folder, func(file string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !e.Type().IsRegular() || wants != nil && !wants(e.Name()):
			return ctx.Err()
		}
		rel, err := filepath.Rel(folder, filepath.FromSlash(file))
		if err != nil {
			return err
		}
		return cmp.Or(ctx.Err(), addFrom(w, root, file, path.Join(name, filepath.ToSlash(rel))))
	})
}
