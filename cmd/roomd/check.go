package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"roomd/playlists"
	"roomd/room"
)

// check tells all that is wrong in the room file and in playlists, with place and mend.
func check(ctx context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print the problems as JSON")
	words, err := c.parse()
	if err != nil {
		return err
	}
	cfg, problems, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, playlists.Problem{Place: playlists.Place{File: c.config}, Severity: playlists.Error,
			Says: "the room file can't be read", Write: err.Error()})
	}
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	ids := words
	if len(ids) == 0 {
		for _, p := range lib.List() {
			ids = append(ids, p.ID)
		}
	}
	var said []string
	for _, id := range ids {
		pl, found := lib.check(ctx, id)
		problems = append(problems, found...)
		if pl != nil {
			said = append(said, fmt.Sprintf("%s: %s, %d phases, %s", pl.ID, pl.Name, len(pl.Phases), playlists.FormatLength(pl.Length())))
		}
	}
	if *asJSON {
		b, err := problems.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, string(b))
	} else {
		if err := problems.Render(c.stdout); err != nil {
			return err
		}
		for _, s := range said {
			fmt.Fprintln(c.stdout, s)
		}
	}
	if len(problems.Errors()) > 0 {
		return errFound
	}
	return nil
}
