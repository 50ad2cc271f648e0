package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"roomd/playlists"
	"roomd/room"
)

// playlistCommand writes new playlist files, and lists, compares and restores the earlier versions of one.
func playlistCommand(c *call) *cobra.Command {
	makes := &cobra.Command{Use: "new FOLDER|LIST", Short: "Write the playlist file for a folder of music or a music player's list", Args: takes(1, 1), Annotations: on(files), Example: "  roomd playlist new ~/Music/evening"}
	makes.RunE = func(cmd *cobra.Command, words []string) error {
		return c.withLibrary(func(lib *library) error { return c.newPlaylist(cmd.Context(), lib, words[0]) })
	}
	versions := &cobra.Command{Use: "versions PLAYLIST", Short: "List the earlier versions of its file", Args: takes(1, 1), Annotations: on(files), ValidArgsFunction: c.playlistIDs(1)}
	asJSON := versions.Flags().Bool("json", false, "print them as JSON")
	versions.RunE = c.onVersions(func(_ *library, id string, d playlists.Document, _ int) error { return c.listVersions(d, *asJSON) })
	compare := &cobra.Command{Use: "compare PLAYLIST NUMBER", Short: "Show what changed since an earlier version", Args: takes(2, 2), Annotations: on(files), ValidArgsFunction: c.playlistIDs(1)}
	compare.RunE = c.onVersions(func(_ *library, id string, d playlists.Document, number int) error {
		text, err := d.Compare(number)
		if err != nil {
			return noVersion(err, id, number)
		}
		fmt.Fprint(c.stdout, text)
		return nil
	})
	restore := &cobra.Command{Use: "restore PLAYLIST NUMBER", Short: "Put an earlier version back", Args: takes(2, 2), Annotations: on(files), ValidArgsFunction: c.playlistIDs(1)}
	restore.RunE = c.onVersions(c.restoreVersion)
	return group("playlist", "Write a playlist file, or bring an earlier version back", makes, versions, compare, restore)
}

// withLibrary opens the playlists of the room.
func (c *call) withLibrary(do func(*library) error) error {
	cfg, _, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	return do(lib)
}

// onVersions opens the playlist that the first word names; the second one is the number of a version.
func (c *call) onVersions(do func(lib *library, id string, d playlists.Document, number int) error) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, words []string) (err error) {
		number := 0
		if len(words) == 2 {
			if number, err = strconv.Atoi(words[1]); err != nil {
				return usageError{fmt.Errorf("%q is not the number of a version", words[1])}
			}
		}
		return c.withLibrary(func(lib *library) error {
			id, err := lib.open(words[0])
			if err != nil {
				return err
			}
			d, err := lib.Document(id)
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			return do(lib, id, d, number)
		})
	}
}

func (c *call) listVersions(d playlists.Document, asJSON bool) error {
	versions, err := d.Versions()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.stdout, append([]playlists.Version{}, versions...))
	}
	for _, v := range versions {
		fmt.Fprintf(c.stdout, "%4d  replaced %s\n", v.Number, v.Replaced.Format("2006-01-02 15:04"))
	}
	if len(versions) == 0 {
		fmt.Fprintln(c.stdout, "There are no earlier versions: roomd has not changed this file.")
	}
	return nil
}

func (c *call) restoreVersion(lib *library, id string, d playlists.Document, number int) error {
	was, err := d.Restore(number)
	if err != nil {
		return noVersion(err, id, number)
	}
	if errs := was.Problems.Errors(); len(errs) > 0 {
		return fmt.Errorf("version %d has errors, so it was not restored: %s", number, errs[0])
	}
	if err := lib.Save(was, d.Revision); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s: version %d is restored; the text before it is kept as a version too\n", id, number)
	return nil
}

func noVersion(err error, id string, number int) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no version %d: roomd playlist versions %s lists them", id, number, id)
	}
	return err
}

// newPlaylist writes the playlist file that a folder of music or a music player's list stands for, beside it. The folder or
// list is named below the playlists folder, or by a path from here; outside of the playlists folder the file's own folder is
// the root of its music.
func (c *call) newPlaylist(ctx context.Context, lib *library, word string) error {
	root, from := c.playlists, filepath.ToSlash(filepath.Clean(word))
	if _, err := os.Stat(filepath.Join(root, word)); err != nil || !filepath.IsLocal(word) {
		real, err := filepath.EvalSymlinks(word)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no folder or list %q, here or in %s", word, root)
		}
		if err != nil {
			return errors.New(playlists.Missing(word, err))
		}
		if real, err = filepath.Abs(real); err != nil {
			return err
		}
		folder, err := filepath.EvalSymlinks(root)
		if err != nil {
			folder = root
		}
		rel, err := filepath.Rel(folder, real)
		switch {
		case err == nil && rel == ".":
			return fmt.Errorf("%s is the playlists folder itself: name a folder in it", word)
		case err != nil || !filepath.IsLocal(rel):
			root, rel = filepath.Split(real)
			root = filepath.Clean(root)
		}
		from = filepath.ToSlash(rel)
	}
	file, problems, err := playlists.WriteNew(ctx, root, from, lib.measure, lib.linked...)
	if bad := problems.Render(c.stderr); bad != nil {
		return bad
	}
	file = filepath.Join(root, filepath.FromSlash(file))
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists: move it away first", file)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, file)
	return nil
}

// schemaCommand prints the JSON Schema of a playlist or of the room file, for an editor that completes and checks them.
func schemaCommand(c *call) *cobra.Command {
	return &cobra.Command{Use: "schema playlist|room", Short: "Print the JSON Schema of a playlist or of the room file, for editors", ValidArgs: []string{"playlist", "room"}, Args: takes(1, 1),
		RunE: func(_ *cobra.Command, words []string) error {
			of := map[string][]byte{"playlist": playlists.Schema(), "room": room.ConfigSchema()}[words[0]]
			if of == nil {
				return usageError{fmt.Errorf("no schema %q", words[0])}
			}
			_, err := c.stdout.Write(of)
			return err
		}}
}
