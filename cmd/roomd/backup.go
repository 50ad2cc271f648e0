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

// backup writes the room into one file.
func backup(ctx context.Context, c *call) error {
	music := c.flags.Bool("music", false, "the music too")
	keep := c.flags.Int("keep", 0, "of the room's backups in the folder only the newest stay; 0: all")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 1 || *keep < 0 {
		return usageError{errors.New("write: roomd backup FOLDER [--music] [--keep N]")}
	}
	cfg, _, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name, err := writeBackup(ctx, c.settings, cfg.Room, words[0], *music, *keep)
	if err == nil {
		fmt.Fprintln(c.stdout, filepath.Join(words[0], name))
	}
	return err
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
	if st, err := os.Stat(to); err != nil {
		return "", fmt.Errorf("the folder for the backup: %w", err)
	} else if !st.IsDir() {
		return "", fmt.Errorf("%s is no folder", to)
	}
	work, err := os.MkdirTemp(c.data, ".backup-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	db := filepath.Join(work, backupDB)
	store, err := journal.Share(filepath.Join(c.data, backupDB))
	if err != nil {
		return "", err
	}
	err = store.CopyTo(ctx, db)
	if err = cmp.Or(err, store.Close()); err != nil {
		return "", fmt.Errorf("copy the journal: %w", err)
	}

	part, err := os.CreateTemp(to, ".roomd-backup-*") // 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	z := gzip.NewWriter(part)
	w := tar.NewWriter(z)
	made := time.Now()
	about, err := json.Marshal(aboutBackup{backupFormat, version, roomName, made.Truncate(time.Second), music})
	if err != nil {
		return "", err
	}
	if err := w.WriteHeader(&tar.Header{Name: backupAbout, Mode: 0o600, Size: int64(len(about)), ModTime: made}); err != nil {
		return "", err
	}
	if _, err := w.Write(about); err != nil {
		return "", err
	}
	if err := errors.Join(
		addFile(w, c.config, "room.yaml"),
		addFile(w, db, backupDB),
		addFolder(ctx, w, profilesIn(c.data), "lights", nil),
		addFolder(ctx, w, filepath.Join(c.data, "tls"), "tls", nil),
		addFolder(ctx, w, c.playlists, "playlists", func(name string) bool { return music || playlists.Writing(name) }),
		w.Close(), z.Close(), part.Sync(), part.Close(),
	); err != nil {
		return "", err
	}
	name = backupPrefix(roomName) + made.Format(backupTime) + ".tar.gz"
	if err := os.Rename(part.Name(), filepath.Join(to, name)); err != nil {
		return "", err
	}
	if keep > 0 {
		err = keepNewest(to, backupPrefix(roomName), keep)
	}
	return name, err
}

// keepNewest deletes all but the newest of a room's backups. Other files stay.
func keepNewest(folder, prefix string, keep int) error {
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
	slices.Sort(names) // by their time
	for _, n := range names[:max(0, len(names)-keep)] {
		if err := os.Remove(filepath.Join(folder, n)); err != nil {
			return err
		}
	}
	return nil
}

// addFile adds one file; one that is not there is left out.
func addFile(w *tar.Writer, file, name string) error {
	f, err := os.Open(file)
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
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: int64(st.Mode().Perm()), Size: st.Size(), ModTime: st.ModTime(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	// What grows meanwhile is taken as long as it was.
	_, err = io.CopyN(w, f, st.Size())
	return err
}

// addFolder adds the files below a folder; only those that wants says, nil: all. Links are left out.
func addFolder(ctx context.Context, w *tar.Writer, folder, name string, wants func(string) bool) error {
	return filepath.WalkDir(folder, func(file string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && file == folder:
			return nil
		case err != nil:
			return err
		case !e.Type().IsRegular() || wants != nil && !wants(e.Name()):
			return ctx.Err()
		}
		rel, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		return cmp.Or(ctx.Err(), addFile(w, file, path.Join(name, filepath.ToSlash(rel))))
	})
}

// restore puts a backup in the place of what is there, which is kept beside it.
func restore(ctx context.Context, c *call) error {
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return usageError{errors.New("write: roomd restore FILE.tar.gz")}
	}
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return err
	}
	unlock, err := lockData(c.data)
	if err != nil {
		return err
	}
	defer unlock()
	staged, err := os.MkdirTemp(c.data, ".restore-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staged)
	about, err := unpack(ctx, words[0], staged)
	if err != nil {
		return fmt.Errorf("%s: %w; nothing was changed", words[0], err)
	}
	// Opened once, so that what can't be read is found before anything is moved.
	if _, err := os.Stat(filepath.Join(staged, backupDB)); err == nil {
		store, err := journal.Share(filepath.Join(staged, backupDB))
		if err == nil {
			err = store.Close()
		}
		if err != nil {
			return fmt.Errorf("%s: its journal: %w; nothing was changed", words[0], err)
		}
	}
	aside := filepath.Join(c.data, "before-restore-"+time.Now().Format(backupTime))
	for _, m := range []struct{ name, to string }{
		{"room.yaml", c.config}, {backupDB, filepath.Join(c.data, backupDB)}, {"lights", profilesIn(c.data)}, {"tls", filepath.Join(c.data, "tls")},
	} {
		if err := replace(filepath.Join(staged, m.name), m.to, filepath.Join(aside, m.name)); err != nil {
			return err
		}
	}
	// Playlists are added to what is there, file by file: the music that is not in a backup stays.
	n := 0
	err = filepath.WalkDir(filepath.Join(staged, "playlists"), func(file string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(filepath.Join(staged, "playlists"), file)
		if err != nil {
			return err
		}
		n++
		return replace(file, filepath.Join(c.playlists, rel), filepath.Join(aside, "playlists", rel))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Restored: room %s as it was on %s, with %s in its playlists folder.\n", about.Room, about.Made.Local().Format("2 January 2006, 15:04"), counted(n, "file"))
	if _, err := os.Stat(aside); err == nil {
		fmt.Fprintf(c.stdout, "What was there before is in %s.\n", aside)
	}
	return nil
}

// replace moves from to to, and what was there aside. From what is not there nothing is done. A database goes with its log.
func replace(from, to, aside string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, more := range []string{"", "-wal", "-shm"} {
		if _, err := os.Lstat(to + more); err == nil {
			if err := os.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
				return err
			}
			if err := move(to+more, aside+more); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return move(from, to)
}

// move renames, or copies where the two are on different disks.
func move(from, to string) error {
	err := os.Rename(from, to)
	var link *os.LinkError
	if err == nil || !errors.As(err, &link) || !crossDevice(link.Err) {
		return err
	}
	if st, err := os.Stat(from); err != nil {
		return err
	} else if st.IsDir() {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return err
		}
	} else if err := copyFile(from, to, st.Mode().Perm()); err != nil {
		return err
	}
	return os.RemoveAll(from)
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// unpack writes a backup's files below a folder. It refuses what no backup of roomd's holds: another format, links, names that
// lead elsewhere, an archive that is cut or was changed.
func unpack(ctx context.Context, file, to string) (about aboutBackup, err error) {
	f, err := os.Open(file)
	if err != nil {
		return about, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return about, fmt.Errorf("it is no backup: %w", err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return about, err
	}
	defer root.Close()
	r := tar.NewReader(z)
	var total int64
	for first := true; ; first = false {
		h, err := r.Next()
		if errors.Is(err, io.EOF) && !first {
			break
		} else if err != nil {
			return about, fmt.Errorf("it is damaged, or no backup: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return about, err
		}
		total += h.Size
		top, _, below := strings.Cut(h.Name, "/")
		switch {
		case first && h.Name == backupAbout && h.Size < 1<<16:
			if err := json.NewDecoder(r).Decode(&about); err != nil {
				return about, fmt.Errorf("it is damaged: %w", err)
			}
			if about.Format != backupFormat {
				return about, fmt.Errorf("it was written by roomd %s in another form (%d); this one knows %d", about.Version, about.Format, backupFormat)
			}
			continue
		case first:
			return about, errors.New("it is no backup of roomd's")
		case h.Typeflag != tar.TypeReg || total > backupMost || !filepath.IsLocal(filepath.FromSlash(h.Name)) ||
			below != slices.Contains([]string{"lights", "tls", "playlists"}, top) || !below && top != "room.yaml" && top != backupDB:
			return about, fmt.Errorf("it holds %q, which no backup does", h.Name)
		}
		if dir := path.Dir(h.Name); dir != "." {
			if err := root.MkdirAll(dir, 0o755); err != nil {
				return about, err
			}
		}
		out, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.Mode).Perm())
		if err != nil {
			return about, err
		}
		_, err = io.Copy(out, r)
		if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
			return about, fmt.Errorf("it is damaged at %s: %w", h.Name, err)
		}
	}
	// The end of the compressed stream carries its checksum.
	if _, err := io.Copy(io.Discard, z); err != nil {
		return about, fmt.Errorf("it is damaged: %w", err)
	}
	return about, nil
}
