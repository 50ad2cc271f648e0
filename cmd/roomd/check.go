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

	"github.com/schollz/progressbar/v3"

	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/room"
)

// check reports all that is wrong in the room file and in playlists, with place and cure.
func check(ctx context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print all problems as JSON")
	quick := c.flags.Bool("quick", false, "don't listen to new tracks")
	strict := c.flags.Bool("strict", false, "warnings count as errors for the exit code")
	all := c.flags.Bool("all", false, "print all warnings, not only the first of each file")
	verbose := c.flags.Bool("verbose", false, "print a line for each track that is listened to")
	words, err := c.parse()
	if err != nil {
		return err
	}
	say := progress(c.stderr)
	switch {
	case *quick:
		say = nil
	case *verbose:
		say = eachTrack(c.stderr)
	}
	problems, said, err := c.checked(ctx, words, say)
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped; the tracks that were listened to are kept, so the next check goes on from here")
	}
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
		shown := problems
		if !*all {
			shown = problems.Brief()
		}
		if err := shown.Render(c.stdout); err != nil {
			return err
		}
		for _, s := range said {
			fmt.Fprintln(c.stdout, s)
		}
		fmt.Fprintf(c.stdout, "%s, %s\n", counted(len(problems.Errors()), "error"), counted(len(problems.Warnings()), "warning"))
	}
	if len(problems.Errors()) > 0 || *strict && len(problems) > 0 {
		return errFound
	}
	return nil
}

// checked are the problems of the room file and of playlists, all without words, and a line for each that can be played.
// say is told how far listening to the tracks is; nil: they are not listened to.
func (c *call) checked(ctx context.Context, words []string, say func(loudness.Progress)) (problems playlists.Problems, said []string, err error) {
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
		id, err := lib.Open(w)
		if err == nil {
			ids = append(ids, id)
			continue
		}
		var known []string
		for _, e := range lib.Library.List() {
			known = append(known, e.ID)
		}
		problems = append(problems, playlists.Problem{Place: playlists.Place{File: w}, Severity: playlists.Error,
			Says: playlists.Missing(w, err), Write: playlists.Suggest(w, known, "roomd check without a name lists them all")})
	}
	if len(words) == 0 {
		problems = append(problems, lib.Library.Problems()...)
		for _, p := range lib.List() {
			ids = append(ids, p.ID)
		}
	}
	if say != nil {
		if err := lib.hear(ctx, ids, say); err != nil {
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
	return problems, said, ctx.Err()
}

// open is the ID of the playlist that a word of the command line names: an ID or a path.
func (l *library) open(word string) (string, error) {
	id, err := l.Open(word)
	if err != nil {
		return "", errors.New(playlists.Missing(word, err))
	}
	return id, nil
}

// progress shows a bar on a terminal: how many tracks were listened to. Elsewhere it prints nothing.
func progress(to io.Writer) func(loudness.Progress) {
	f, ok := to.(*os.File)
	if !ok || !isTerminal(f) {
		return func(loudness.Progress) {}
	}
	var bar *progressbar.ProgressBar
	return func(p loudness.Progress) {
		if bar == nil {
			bar = progressbar.NewOptions(p.Total, progressbar.OptionSetWriter(f), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
				progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(true))
		}
		bar.ChangeMax(p.Total)
		if len(p.Current) > 0 {
			bar.Describe(filepath.Base(p.Current[0]))
		}
		_ = bar.Set(p.Done)
	}
}

// eachTrack writes a line for each track that is being listened to.
func eachTrack(to io.Writer) func(loudness.Progress) {
	told := map[string]bool{}
	return func(p loudness.Progress) {
		for _, file := range p.Current {
			if !told[file] {
				told[file] = true
				fmt.Fprintf(to, "listening to %d of %d: %s\n", len(told), p.Total, file)
			}
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
