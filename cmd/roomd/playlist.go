package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"roomd/playlists"
	"roomd/room"
)

const playlistUsage = "write: roomd playlist new FOLDER|LIST"

// playlistCommand writes the playlist file that a folder of music or a music player's list stands for, beside it.
func playlistCommand(ctx context.Context, c *call) error {
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 2 || words[0] != "new" {
		return usageError{errors.New(playlistUsage)}
	}
	from, err := below(c.playlists, words[1])
	if err != nil {
		return err
	}
	cfg, _, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	file, problems, err := playlists.WriteNew(ctx, c.playlists, from, lib.measure, cfg.Music...)
	if bad := problems.Render(c.stderr); bad != nil {
		return bad
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already: move it away first, nothing is written over it", filepath.Join(c.playlists, file))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there", filepath.Join(c.playlists, filepath.FromSlash(from)))
	case err != nil:
		return err
	}
	fmt.Fprintln(c.stdout, filepath.Join(c.playlists, filepath.FromSlash(file)))
	return nil
}

// below is a path of the command line as it is below the playlists folder: relative to that folder, or to where the
// command is run.
func below(root, word string) (string, error) {
	if _, err := os.Stat(filepath.Join(root, word)); err == nil && filepath.IsLocal(word) {
		return filepath.ToSlash(filepath.Clean(word)), nil
	}
	abs, err := filepath.Abs(word)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(root, abs); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel), nil
	}
	return "", fmt.Errorf("%s is not in the playlists folder %s: put the music there first", word, root)
}

// schema prints the JSON Schema of a playlist or of the room file, for an editor that completes and checks them.
func schema(_ context.Context, c *call) error {
	words, err := c.parse()
	if err != nil {
		return err
	}
	of := map[string][]byte{"playlist": playlists.Schema, "room": room.ConfigSchema}
	if len(words) != 1 || of[words[0]] == nil {
		return usageError{errors.New("write: roomd schema playlist, or roomd schema room")}
	}
	_, err = c.stdout.Write(of[words[0]])
	return err
}
