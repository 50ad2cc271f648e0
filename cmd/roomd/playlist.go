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

	"roomd/playlists"
	"roomd/room"
)

const playlistUsage = "write: roomd playlist new FOLDER|LIST, or roomd playlist versions|compare|restore PLAYLIST [NUMBER]"

// playlistCommand writes new playlist files, and lists, compares and restores the earlier versions of one.
func playlistCommand(ctx context.Context, c *call) error {
	words, err := c.parse()
	if err != nil {
		return err
	}
	cfg, _, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	number := 0
	if len(words) == 3 {
		if number, err = strconv.Atoi(words[2]); err != nil {
			return usageError{fmt.Errorf("%q is not the number of a version: %s", words[2], playlistUsage)}
		}
	}
	verb := ""
	if len(words) > 0 {
		verb = words[0]
	}
	wanted := map[string]int{"new": 2, "versions": 2, "compare": 3, "restore": 3}[verb]
	if wanted == 0 || wanted != len(words) {
		return usageError{errors.New(playlistUsage)}
	}
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	if verb == "new" {
		return c.newPlaylist(ctx, lib, words[1])
	}
	id, err := lib.open(words[1])
	if err != nil {
		return err
	}
	d, err := lib.Document(id)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	switch verb {
	case "versions":
		versions, err := d.Versions()
		if err != nil {
			return err
		}
		for _, v := range versions {
			fmt.Fprintf(c.stdout, "%4d  replaced %s\n", v.Number, v.Replaced.Format("2006-01-02 15:04"))
		}
		if len(versions) == 0 {
			fmt.Fprintln(c.stdout, "There are no earlier versions: roomd has not changed this file.")
		}
		return nil
	case "compare":
		text, err := d.Compare(number)
		if err != nil {
			return noVersion(err, id, number)
		}
		fmt.Fprint(c.stdout, text)
		return nil
	}
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

// schema prints the JSON Schema of a playlist or of the room file, for an editor that completes and checks them.
func schema(_ context.Context, c *call) error {
	words, err := c.parse()
	if err != nil {
		return err
	}
	of := map[string][]byte{"playlist": playlists.Schema(), "room": room.ConfigSchema()}
	if len(words) != 1 || of[words[0]] == nil {
		return usageError{errors.New("write: roomd schema playlist, or roomd schema room")}
	}
	_, err = c.stdout.Write(of[words[0]])
	return err
}
