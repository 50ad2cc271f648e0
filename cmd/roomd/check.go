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
	problems, said, err := c.checked(ctx, words, !*quick)
	if err != nil {
		return err
	}
	if *asJSON {
		b, err := problems.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, string(b))
	} else {
		if err := playlists.Brief(problems).Render(c.stdout); err != nil {
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

// checked are the problems of the room file and of playlists, all without words, and a line for each that can be played.
func (c *call) checked(ctx context.Context, words []string, hear bool) (problems playlists.Problems, said []string, err error) {
	cfg, problems, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, playlists.Problem{Place: playlists.Place{File: c.config}, Severity: playlists.Error,
			Says: "the room file can't be read", Write: err.Error()})
	}
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	var ids []string
	for _, w := range words {
		if same(w, c.config) {
			continue // it is checked anyway
		}
		ids = append(ids, lib.called(w))
	}
	if len(words) == 0 {
		for _, p := range lib.List() {
			ids = append(ids, p.ID)
		}
	}
	if hear {
		if err := lib.hear(ctx, ids, progress(c.stderr)); err != nil {
			return nil, nil, err
		}
	}
	for _, id := range ids {
		pl, found := lib.check(ctx, id)
		problems = append(problems, found...)
		if pl != nil {
			said = append(said, fmt.Sprintf("%s: %s, %d phases, %s", pl.ID, pl.Name, len(pl.Phases), playlists.FormatLength(pl.Length())))
		}
	}
	return problems, said, nil
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

// same says whether two paths lead to one file.
func same(a, b string) bool {
	x, err := os.Stat(a)
	y, bad := os.Stat(b)
	return err == nil && bad == nil && os.SameFile(x, y)
}

// called is the ID of the playlist that a word of the command line names: by its ID, or by its file as a shell
// completes it. A word that names none is given back.
func (l *library) called(word string) string {
	if _, ok := l.Get(word); ok {
		return word
	}
	rel := filepath.ToSlash(filepath.Clean(word))
	for _, e := range l.Library.List() {
		if e.File != "" && (e.File == rel || same(word, filepath.Join(l.folder, filepath.FromSlash(e.File)))) {
			return e.ID
		}
	}
	return word
}
