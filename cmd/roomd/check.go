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
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"roomd/player/loudness"
	"roomd/player/output"
	"roomd/playlists"
	"roomd/playlists/yamlfile"
	"roomd/room"
)

type checkOptions struct{ json, quick, strict, all, verbose bool }

func checkCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "check [PLAYLIST…]", Short: "Check playlists and the room file", Annotations: on(files), ValidArgsFunction: c.playlistIDs(100),
		Long:    "Check playlists and the room file, listening to each track once; all playlists without PLAYLIST. Each problem has its place and its cure.",
		Example: "  roomd check\n  roomd check evening --strict\n  roomd check ~/music/evening.yaml"}
	var o checkOptions
	f := cmd.Flags()
	f.BoolVar(&o.json, "json", false, "print all problems as JSON")
	f.BoolVar(&o.quick, "quick", false, "do not listen to new tracks, and do not ask the broker for groups of lights")
	f.BoolVar(&o.strict, "strict", false, "warnings count as errors for the exit code")
	f.BoolVar(&o.all, "all", false, "print all warnings, not only the first of each file")
	f.BoolVar(&o.verbose, "verbose", false, "print a line for each track: while it is listened to, and with its intensity")
	cmd.RunE = func(cmd *cobra.Command, words []string) error { return check(cmd.Context(), c, words, o) }
	return cmd
}

// check reports all that is wrong in the room file and in playlists, with place and cure.
func check(ctx context.Context, c *call, words []string, o checkOptions) error {
	c.noteSession(ctx, "check")
	say := progress(c.stderr)
	switch {
	case o.quick:
		say = nil
	case o.verbose:
		say = eachTrack(c.stderr)
	}
	problems, said, err := c.checked(ctx, words, say, o.verbose)
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped; the tracks that were listened to are kept, so the next check goes on from here")
	}
	if err != nil {
		return err
	}
	if o.json {
		b, err := problems.JSON()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, string(b))
	} else {
		shown := problems
		if !o.all {
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
	if len(problems.Errors()) > 0 || o.strict && len(problems) > 0 {
		return errFound
	}
	return nil
}

// checked are the problems of the room file and of playlists, all without words, and a line for each that can be played.
// say is told how far listening to the tracks is; nil: they are not listened to. With verbose, a line for each track follows, and one
// about tracks of a pool that have no intensity yet.
func (c *call) checked(ctx context.Context, words []string, say func(loudness.Progress), verbose bool) (problems playlists.Problems, said []string, err error) {
	cfg, problems, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, playlists.Problem{Place: playlists.Place{File: c.config}, Severity: playlists.Error,
			Says: "the room file can't be read", Write: err.Error()})
	}
	at := func(keys ...string) playlists.Place {
		text, _ := os.ReadFile(c.config) // it was read a moment ago
		_, v := yamlfile.Read(c.config, text)
		for _, k := range keys {
			v = v.Peek(k)
		}
		return v.Place()
	}
	if p := missingDevice(cfg.Audio, at); p != nil {
		problems = append(problems, *p)
	}
	if say != nil {
		found, err := clashes(ctx, cfg, at)
		problems = append(problems, found...)
		if err != nil && ctx.Err() == nil {
			said = append(said, "The broker does not answer, so its groups of lights were not compared with the room file; roomd doctor tells more.")
		}
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
			if verbose {
				said = append(said, intensities(pl)...)
			}
			if n := room.Unrated(*pl); n > 0 && verbose {
				said = append(said, fmt.Sprintf("%s: the intensity of %s is not known yet; a pool counts it as 3", pl.ID, counted(n, "track")))
			}
		}
	}
	return problems, said, ctx.Err()
}

// intensities is a line for each track of a playlist: how intense it is, by whom, and its file.
func intensities(pl *playlists.Playlist) (lines []string) {
	told := map[string]bool{}
	for _, ph := range pl.Phases {
		for _, it := range ph.Music {
			t := it.Track
			if t == nil || t.Problem != "" || told[t.File] {
				continue
			}
			told[t.File] = true
			says := "intensity not known"
			switch {
			case t.Rated:
				says = fmt.Sprintf("intensity %.3g, yours", t.Intensity)
			case t.Intensity > 0:
				says = fmt.Sprintf("intensity %.1f, as heard", t.Intensity)
			}
			lines = append(lines, fmt.Sprintf("  %-24s %s", says, t.File))
		}
	}
	return lines
}

// missingDevice says that the room file names a sound device that this computer does not list. A computer that lists none may not be
// the room's own, and a device that is in use is there.
func missingDevice(cfg room.AudioConfig, at func(keys ...string) playlists.Place) *playlists.Problem {
	if cfg.Device == "" || cfg.Output == output.None || cfg.Output == output.Command {
		return nil
	}
	found, err := output.Devices()
	if err != nil || len(found) == 0 || output.HasDevice(cfg.Device) {
		return nil
	}
	var names []string
	for _, d := range found {
		names = append(names, d.Name)
	}
	return &playlists.Problem{Place: at("audio", "device"), Severity: playlists.Error, Says: fmt.Sprintf("there is no sound device %q", cfg.Device),
		Write: playlists.Suggest(cfg.Device, names, "plug it in, or write one of "+strings.Join(names, ", "))}
}

// open is the ID of the playlist that a word of the command line names: an ID or a path.
func (l *library) open(word string) (string, error) {
	id, err := l.Open(word)
	if err != nil {
		return "", errors.New(playlists.Missing(word, err))
	}
	return id, nil
}

// progress shows a bar on a terminal: how many tracks were listened to. Elsewhere it prints a line from time to time.
func progress(to io.Writer) func(loudness.Progress) {
	if !isTerminal(to) {
		return now(to)
	}
	var bar *progressbar.ProgressBar
	return func(p loudness.Progress) {
		if bar == nil {
			bar = progressbar.NewOptions(p.Total, progressbar.OptionSetWriter(to), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
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

// now writes a line every ten seconds, from ten seconds on: a log is not flooded by a large library.
func now(to io.Writer) func(loudness.Progress) {
	last := time.Now()
	return func(p loudness.Progress) {
		if time.Since(last) >= 10*time.Second {
			last = time.Now()
			fmt.Fprintf(to, "listened to %d of %d tracks\n", p.Done, p.Total)
		}
	}
}

// same says whether two paths lead to one file.
func same(a, b string) bool {
	x, err := os.Stat(a)
	y, bad := os.Stat(b)
	return err == nil && bad == nil && os.SameFile(x, y)
}
