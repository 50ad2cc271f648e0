package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"roomd/player"
	"roomd/player/output"
	"roomd/room"
)

type renderOptions struct {
	out, cues string
	steer     string
	from, to  time.Duration
	seed      uint64
	joins     bool
}

func renderCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "render PLAYLIST --out FILE.wav", Short: "Write a session's sound to a file", Args: takes(1, 1), Annotations: on(files), ValidArgsFunction: c.playlistIDs(1), DisableFlagsInUseLine: true,
		Long:    "Write a session's sound, as it is played, to a WAV file of 24 bit. Phases that wait for a mark last as long as the file says. --steer plays a script of taps: a line each, as 0:42:10 deeper, 0:43:00 now or 1:00:00 choose Open.",
		Example: "  roomd render evening --out evening.wav\n  roomd render evening --out part.wav --from 10m --to 12m --cues part.json\n  roomd render evening --out joins.wav --joins\n  roomd render evening --out evening.wav --steer taps.txt"}
	var r renderOptions
	f := cmd.Flags()
	f.StringVar(&r.out, "out", "", "the WAV `FILE`")
	f.DurationVar(&r.from, "from", 0, "session time to begin at")
	f.DurationVar(&r.to, "to", 0, "session time to end at (default the end)")
	f.StringVar(&r.cues, "cues", "", "a JSON `FILE` for what starts when")
	f.Uint64Var(&r.seed, "seed", 1, "of shuffled phases and the beds")
	f.StringVar(&r.steer, "steer", "", "a script of taps in a `FILE`: deeper, lighter, another, choose WORD, now")
	f.BoolVar(&r.joins, "joins", false, "only the crossfades, with 4 s before and behind each")
	needsOut(cmd)
	cmd.RunE = func(cmd *cobra.Command, words []string) error { return render(cmd.Context(), c, words[0], r) }
	return cmd
}

// needsOut has a command fail without --out.
func needsOut(cmd *cobra.Command) {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if f := cmd.Flag("out"); f.Value.String() == "" {
			return usageError{errors.New("--out FILE is missing")}
		}
		return nil
	}
}

// render writes a playlist's sound, as a session plays it, to a WAV file of 24 bit, at the rate of a session with it. Phases that wait for a
// mark last as long as the file says. The same playlist and files give the same samples.
func render(ctx context.Context, c *call, name string, r renderOptions) (err error) {
	if r.joins && (r.from != 0 || r.to != 0 || r.cues != "") {
		return usageError{errors.New("--joins is about the whole session: leave out --from, --to and --cues")}
	}
	var taps []tap
	if r.steer != "" {
		if taps, err = readTaps(r.steer); err != nil {
			return err
		}
	}
	cfg, _, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), log)
	defer lib.Close()
	id, err := lib.open(name)
	if err != nil {
		return err
	}
	// What is not known of a track yet would be guessed, and the next render of it would be another.
	if err := lib.hear(ctx, []string{id}, progress(c.stderr)); err != nil {
		return err
	}
	pl, err := lib.Resolve(ctx, id)
	if err != nil {
		return err
	}
	s := room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: r.seed})
	if s, err = steer(s, r.steer, taps); err != nil {
		return err
	}
	end := s.Ends()
	if r.to <= 0 || r.to > end {
		r.to = end
	}
	if r.from < 0 || r.from >= r.to {
		return usageError{fmt.Errorf("--from %v is not before %v", r.from, r.to)}
	}
	score := s.ScoreWith(lib.Heard)
	began := time.Now()
	hz := rateOf(score)
	w, err := output.CreateWAV(r.out, hz)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	var happened []player.Event
	notify := func(e player.Event) {
		happened = append(happened, e)
		if e.Kind == player.ClipFailed || e.Kind == player.ClipShort {
			log.Warn("a track can't be played on; the bed covers it", "clip", e.Clip, "at", e.At, "err", e.Detail)
		}
	}
	o := player.Options{Rate: hz, Open: lib.opener(gently), Ceiling: cfg.Audio.Ceiling, Loudest: cfg.Audio.Reference + cfg.Audio.Ceiling, Log: log}
	if r.joins {
		n, err := renderJoins(ctx, score, o, end, w.Write, notify, func(at time.Duration, j room.Join) {
			fmt.Fprintf(c.stdout, "%s  of %s, %.0f s\n", clock(at), clock(j.From), (j.To - j.From).Seconds())
		})
		if err == nil && n == 0 {
			fmt.Fprintln(c.stdout, "Nothing is joined in this playlist: the file has no sound.")
		}
		return err
	}
	err = player.Render(ctx, score, o, r.from, r.to, w.Write, notify)
	if err != nil {
		return err
	}
	if r.cues != "" {
		b, err := json.MarshalIndent(player.Cues(score, hz, happened), "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.cues, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	length, took := r.to-r.from, time.Since(began)
	fmt.Fprintf(c.stdout, "%s: %v of sound in %v (%.0f times real time)\n", r.out, length, took.Round(10*time.Millisecond), length.Seconds()/took.Seconds())
	return nil
}

const (
	joinAround = 4 * time.Second        // before a crossfade and behind it
	joinEdge   = 200 * time.Millisecond // fades of what is cut out
	joinGap    = 500 * time.Millisecond // of silence between two joins
	settle     = 8 * time.Second        // rendered before and dropped, so that all has settled as in a whole render
)

// renderJoins writes each of a score's joins one behind the other, 4 s before and behind each, faded at the edges, with
// silence between them. It tells say where in the file each one begins, and returns how many there are.
func renderJoins(ctx context.Context, sc player.Score, o player.Options, end time.Duration, sink func([][2]float64) error, notify func(player.Event), say func(time.Duration, room.Join)) (int, error) {
	at := time.Duration(0)
	joins := room.Joins(sc)
	for i, j := range joins {
		if i > 0 {
			if err := sink(make([][2]float64, frameAt(joinGap, o.Rate))); err != nil {
				return i, err
			}
			at += joinGap
		}
		from, to := max(0, j.From-joinAround).Truncate(time.Millisecond), min(end, j.To+joinAround).Truncate(time.Millisecond)
		say(at, j)
		if err := renderPart(ctx, sc, o, from, to, sink, notify); err != nil {
			return i, err
		}
		at += to - from
	}
	return len(joins), nil
}

// renderPart is what a whole render gives from one session time to another, with a short fade at each edge. The times
// are whole milliseconds.
func renderPart(ctx context.Context, sc player.Score, o player.Options, from, to time.Duration, sink func([][2]float64) error, notify func(player.Event)) error {
	before := min(settle, from)
	drop, n := frameAt(before, o.Rate), frameAt(to-from, o.Rate)
	edge := min(frameAt(joinEdge, o.Rate), n/2)
	pos := -drop
	return player.Render(ctx, sc, o, from-before, to, func(block [][2]float64) error {
		skip := min(max(-pos, 0), int64(len(block)))
		pos += skip
		block = block[skip:]
		for i := range block {
			if left := min(pos, n-1-pos); left < edge {
				g := math.Sin(math.Pi / 2 * float64(left) / float64(edge))
				block[i][0] *= g
				block[i][1] *= g
			}
			pos++
		}
		return sink(block)
	}, notify)
}

// frameAt is how many frames a time takes at a rate in Hz.
func frameAt(d time.Duration, hz int) int64 { return int64(d) * int64(hz) / int64(time.Second) }
