package main

import (
	"archive/tar"
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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomd/playlists"
	"roomd/room"
	"roomd/room/journal"
	"roomd/web"
)

func restoreCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "restore FILE", Short: "Put a backup in place; what was there is kept beside it", Args: takes(1, 1), Annotations: on(makesRoomByFile),
		Long:    "Put a backup in place, while no roomd runs. What was there is kept beside it. FILE is a .tar.gz that roomd backup wrote, or - for the standard input.",
		Example: "  sudo -u roomd roomd restore - </media/stick/roomd.tar.gz"}
	yes := cmd.Flags().Bool("yes", false, "ask nothing")
	tokens := cmd.Flags().Bool("tokens", false, "let the backup's devices in again")
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		return restore(cmd.Context(), c, words[0], *tokens, *yes)
	}
	return cmd
}

// restore puts a backup in the place of what is there, which is kept beside it. Whatever is in the backup, it writes to the data
// folder, the playlists folder and the room file alone, follows no link there, and lets nobody in that was not asked for.
func restore(ctx context.Context, c *call, file string, tokens, yes bool) error {
	if as := c.asOwner; as != nil && file != "-" {
		return as.restore(ctx, c, file, tokens, yes)
	} else if as != nil {
		return *as
	}
	r := &restoring{call: c, name: file, tokens: tokens, yes: yes}
	defer r.close()
	return r.run(ctx)
}

// restore has the owner restore a backup that only root may be able to open.
func (o owner) restore(ctx context.Context, c *call, file string, tokens, yes bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	args := append([]string{"restore", "/dev/fd/3"}, c.words()...)
	if tokens {
		args = append(args, "--tokens")
	}
	if yes {
		args = append(args, "--yes")
	}
	return o.again(ctx, c, args, c.stdout, f)
}

// restoring is one run of restore.
type restoring struct {
	*call
	name        string // of the archive, as it was given
	tokens, yes bool

	data, lists     *os.Root // the data folder and the playlists folder
	staged, stagedL *os.Root // a folder in each, for what was unpacked
	aside           string   // below data: for what was there
	ends            []func() // in reverse, when it is over
}

func (r *restoring) close() {
	for _, end := range slices.Backward(r.ends) {
		end()
	}
}

func (r *restoring) run(ctx context.Context) error {
	if err := r.makeData(); err != nil {
		return err
	}
	unlock, err := lockData(r.call.data)
	if err != nil {
		return err
	}
	r.ends = append(r.ends, unlock)
	about, err := r.prepare(ctx)
	if err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	n, err := r.place()
	if err != nil {
		return err
	}
	if err := tighten(r.call.data); err != nil {
		return err
	}
	fmt.Fprintf(r.stdout, "Restored: room %s as it was on %s, with %s in its playlists folder.\n", about.Room, about.Made.Local().Format("2 January 2006, 15:04"), counted(n, "file"))
	if _, err := r.data.Stat(r.aside); err == nil {
		fmt.Fprintf(r.stdout, "What was there before is in %s.\n", filepath.Join(r.call.data, r.aside))
	}
	return nil
}

// stage opens a folder, and makes one in it that is gone when the restoring is over.
func (r *restoring) stage(folder string) (root, staged *os.Root, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, nil, err
	}
	if root, err = os.OpenRoot(folder); err != nil {
		return nil, nil, err
	}
	r.ends = append(r.ends, func() { root.Close() })
	name, err := os.MkdirTemp(folder, ".restore-") // 0700
	if err != nil {
		return nil, nil, err
	}
	name = filepath.Base(name)
	r.ends = append(r.ends, func() { _ = root.RemoveAll(name) }) // a hidden folder that stays does no harm
	if staged, err = root.OpenRoot(name); err != nil {
		return nil, nil, err
	}
	r.ends = append(r.ends, func() { staged.Close() })
	return root, staged, nil
}

// prepare does all that can fail before anything is changed: it unpacks the archive, looks at what is in it and at where it
// goes, and asks.
func (r *restoring) prepare(ctx context.Context) (about aboutBackup, err error) {
	if r.data, r.staged, err = r.stage(r.call.data); err != nil {
		return about, err
	}
	if r.lists, r.stagedL, err = r.stage(r.playlists); err != nil {
		return about, err
	}
	r.aside = "before-restore-" + time.Now().Format(backupTime)
	for n, first := 2, r.aside; ; n++ {
		if _, err := r.data.Lstat(r.aside); err != nil {
			break
		}
		r.aside = fmt.Sprintf("%s-%d", first, n)
	}
	name, archive, err := r.open()
	if err != nil {
		return about, err
	}
	defer archive.Close()
	if about, err = unpack(ctx, archive, r.staged, r.stagedL); err != nil {
		return about, fmt.Errorf("%s: %w", name, err)
	}
	if err := r.free(); err != nil {
		return about, err
	}
	says, err := r.journal(ctx)
	if err != nil {
		return about, fmt.Errorf("%s: its journal: %w", name, err)
	}
	does, err := r.does()
	if err != nil {
		return about, fmt.Errorf("%s: %w", name, err)
	}
	return about, r.confirm(ctx, append(says, does...))
}

// open opens the archive: a file, the standard input, or a file that is open already.
func (r *restoring) open() (name string, archive io.ReadCloser, err error) {
	if r.name == "-" {
		return "the standard input", io.NopCloser(r.stdin), nil
	}
	// A file that only who started roomd may open is not opened again.
	if digits, is := strings.CutPrefix(r.name, "/dev/fd/"); is {
		if n, err := strconv.ParseUint(digits, 10, 31); err == nil {
			return "the backup", os.NewFile(uintptr(n), r.name), nil
		}
	}
	archive, err = os.Open(r.name)
	return r.name, archive, err
}

// unpacked are the files in the staged playlists folder.
func (r *restoring) unpacked() (files []string, err error) {
	err = fs.WalkDir(r.stagedL.FS(), ".", func(file string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, filepath.FromSlash(file))
		}
		return err
	})
	return files, err
}

// free says whether all that was unpacked has a place: no link in its way, and no folder.
func (r *restoring) free() error {
	var errs []error
	for name, folder := range map[string]bool{"room.yaml": false, backupDB: false, backupDB + "-wal": false, backupDB + "-shm": false, "lights": true, "tls": true} {
		if name == "room.yaml" && filepath.Dir(r.config) != r.call.data {
			continue // its place was named, and may be a link
		}
		_, err := plain(r.data, name, folder)
		errs = append(errs, err)
	}
	files, err := r.unpacked()
	errs = append(errs, err)
	for _, file := range files {
		_, err := plain(r.lists, file, false)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// journal makes the unpacked journal this room's: the devices that belong to the room now go on doing so, those of the
// backup only where that was asked for. It says who would be let in.
func (r *restoring) journal(ctx context.Context) (says []string, err error) {
	if there, err := plain(r.staged, backupDB, false); err != nil || !there {
		return nil, err
	}
	store, err := journal.Share(filepath.Join(r.staged.Name(), backupDB))
	if err != nil {
		return nil, err
	}
	defer store.Close()
	present := filepath.Join(r.call.data, backupDB)
	if _, err := r.data.Lstat(backupDB); err != nil {
		present = "" // a new computer
	}
	was, err := web.NewTokens(store).List(ctx)
	if err != nil {
		return nil, err
	}
	var here []web.Token
	if present != "" {
		if here, err = tokensIn(ctx, present); err != nil {
			// Restoring may be the cure of it.
			fmt.Fprintf(r.stdout, "The journal that is here can't be read (%v): pair its devices again.\n", err)
			present = ""
		}
	}
	if err := store.AdoptTokens(ctx, present, r.tokens); err != nil {
		return nil, err
	}
	now, err := web.NewTokens(store).List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, t := range was {
		same := func(o web.Token) bool { return o.Name == t.Name && o.Created.Equal(t.Created) }
		switch {
		case slices.ContainsFunc(here, same):
		case slices.ContainsFunc(now, same):
			says = append(says, fmt.Sprintf("The device %q is let in again, as %s.", t.Name, t.Role))
		case !r.tokens:
			out = append(out, t.Name)
		}
	}
	if len(out) > 0 {
		fmt.Fprintf(r.stdout, "Devices of the backup that stay out: %s. Pair them again, or restore with --tokens.\n", strings.Join(out, ", "))
	}
	return says, nil
}

// tokensIn lists the tokens of a journal, which it brings to the present schema.
func tokensIn(ctx context.Context, db string) ([]web.Token, error) {
	store, err := journal.Share(db)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	return web.NewTokens(store).List(ctx)
}

// does says what the unpacked room file would run, or let others do.
func (r *restoring) does() (says []string, err error) {
	text, err := r.staged.ReadFile("room.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	cfg, _ := room.ParseConfig("room.yaml", text) // what is wrong in it is said when it is used
	if len(cfg.Audio.Command) > 0 {
		says = append(says, fmt.Sprintf("The room file runs this command for the sound: %q.", cfg.Audio.Command))
	}
	if cfg.MQTT.Commands {
		says = append(says, "The room file lets whoever may write to the MQTT broker steer the room.")
	}
	return says, nil
}

// confirm lists what a person has to know, and asks. With --yes it only lists.
func (r *restoring) confirm(ctx context.Context, says []string) error {
	if len(says) == 0 {
		return nil
	}
	fmt.Fprintln(r.stdout, strings.Join(says, "\n"))
	if r.yes {
		return nil
	}
	const cure = "look at the list above, then restore with --yes"
	if r.name == "-" {
		return errors.New(cure)
	}
	a := newAsker(ctx, r.stdin, r.stdout, false)
	answer := a.ask("Restore it? yes or no", "no", func(s string) error {
		if s != "yes" {
			return errors.New("type yes or no")
		}
		return nil
	})
	switch {
	case a.err != nil:
		return fmt.Errorf("nobody answered (%w): %s", a.err, cure)
	case answer != "yes":
		return errors.New("not restored")
	}
	return nil
}

// place moves what was unpacked to where it belongs, and what was there aside. n counts the playlists folder's files.
func (r *restoring) place() (n int, err error) {
	for _, name := range []string{backupDB, "lights", "tls"} {
		if _, err := r.staged.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		// A database goes with its log.
		for _, more := range []string{"", "-wal", "-shm"} {
			if _, err := r.data.Lstat(name + more); err != nil {
				continue
			}
			if err := errors.Join(r.data.MkdirAll(r.aside, 0o700), r.data.Rename(name+more, filepath.Join(r.aside, name+more))); err != nil {
				return 0, err
			}
		}
		if err := r.data.Rename(filepath.Join(filepath.Base(r.staged.Name()), name), name); err != nil {
			return 0, err
		}
	}
	if err := r.placeRoomFile(); err != nil {
		return 0, err
	}
	// Playlists are added to what is there, file by file: the music that is not in a backup stays.
	files, err := r.unpacked()
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if err := r.keep(r.lists, file, filepath.Join("playlists", file)); err != nil {
			return n, err
		}
		if err := playlists.Put(r.lists, filepath.Join(filepath.Base(r.stagedL.Name()), file), file); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (r *restoring) placeRoomFile() error {
	text, err := r.staged.ReadFile("room.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.config), 0o700); err != nil {
		return err
	}
	dir, err := os.OpenRoot(filepath.Dir(r.config))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := r.keep(dir, filepath.Base(r.config), "room.yaml"); err != nil {
		return err
	}
	return replaceIn(dir, filepath.Base(r.config), text)
}

// keep copies a file that is there aside.
func (r *restoring) keep(root *os.Root, file, as string) error {
	in, err := openPlain(root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer in.Close()
	as = filepath.Join(r.aside, as)
	if err := r.data.MkdirAll(filepath.Dir(as), 0o700); err != nil {
		return err
	}
	out, err := r.data.OpenFile(as, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// unpack writes a backup's files below two folders: what belongs to the playlists folder below lists, all else below data. It
// refuses what no backup of roomd's holds: another format, links, names that lead elsewhere, an archive that is cut or was changed.
func unpack(ctx context.Context, archive io.Reader, data, lists *os.Root) (about aboutBackup, err error) {
	z, err := gzip.NewReader(archive)
	if err != nil {
		return about, fmt.Errorf("it is no backup: %w", err)
	}
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
		top, below, has := strings.Cut(h.Name, "/")
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
		case h.Typeflag != tar.TypeReg || total > backupMost || !filepath.IsLocal(filepath.FromSlash(h.Name)) || path.Clean(h.Name) != h.Name ||
			has != slices.Contains([]string{"lights", "tls", "playlists"}, top) || !has && top != "room.yaml" && top != backupDB:
			return about, fmt.Errorf("it holds %q, which no backup does", h.Name)
		}
		root, name := data, h.Name
		if top == "playlists" {
			root, name = lists, below
		}
		if dir := path.Dir(name); dir != "." {
			if err := root.MkdirAll(dir, 0o700); err != nil {
				return about, err
			}
		}
		out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
