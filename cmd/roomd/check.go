package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/room"
)

// check tells all that is wrong in the room file and in playlists, with place and mend.
func check(ctx context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print the problems as JSON")
	quick := c.flags.Bool("quick", false, "don't hear the tracks through that were not yet")
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
	if !*quick {
		if err := lib.hear(ctx, ids, progress(c.stderr)); err != nil {
			return err
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

// progress tells on a terminal, in one line, how far the tracks have been heard through.
func progress(to io.Writer) func(loudness.Progress) {
	f, ok := to.(*os.File)
	if !ok || !isTerminal(f) {
		return func(loudness.Progress) {}
	}
	return func(p loudness.Progress) {
		name := ""
		if len(p.Current) > 0 {
			name = filepath.Base(p.Current[0])
		}
		fmt.Fprintf(f, "\r\x1b[K")
		if p.Done < p.Total {
			fmt.Fprintf(f, "hearing %d of %d: %s", p.Done+1, p.Total, name)
		}
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}
