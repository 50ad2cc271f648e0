package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"roomd/player"
	"roomd/player/output"
	"roomd/room"
)

// render writes a playlist's sound, as a session plays it, to a WAV file of 48 kHz and 24 bit. Phases that wait for a
// mark last as long as the file says. The same playlist and files give the same samples.
func render(ctx context.Context, c *call) (err error) {
	out := c.flags.String("out", "", "the WAV file")
	from := c.flags.Duration("from", 0, "session time to begin at")
	to := c.flags.Duration("to", 0, "session time to end at")
	cues := c.flags.String("cues", "", "a JSON file for what starts when")
	seed := c.flags.Uint64("seed", 1, "of shuffled phases and the beds")
	words, err := c.parse()
	if err != nil {
		return err
	}
	if len(words) != 1 || *out == "" {
		return usageError{errors.New("write: roomd render PLAYLIST --out FILE.wav [--from 10m] [--to 12m] [--cues FILE.json]")}
	}
	cfg, _, err := room.LoadConfig(c.config)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), log)
	defer lib.Close()
	// What is not known of a track yet would be guessed, and the next render of it would be another.
	if err := lib.hear(ctx, words, progress(c.stderr)); err != nil {
		return err
	}
	pl, err := lib.Resolve(ctx, words[0])
	if err != nil {
		return err
	}
	s := room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: *seed})
	end := s.Ends()
	if *to <= 0 || *to > end {
		*to = end
	}
	if *from < 0 || *from >= *to {
		return usageError{fmt.Errorf("--from %v is not before %v", *from, *to)}
	}
	score := s.ScoreWith(lib.Heard)
	began := time.Now()
	w, err := output.CreateWAV(*out, rate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	var happened []player.Event
	o := player.Options{Rate: rate, Open: openTrack, Ceiling: cfg.Audio.Ceiling, Loudest: cfg.Audio.Reference + cfg.Audio.Ceiling, Log: log}
	err = player.Render(ctx, score, o, *from, *to, w.Write, func(e player.Event) {
		happened = append(happened, e)
		if e.Kind == player.ClipFailed || e.Kind == player.ClipShort {
			log.Warn("a track can't be played on; the bed covers it", "clip", e.Clip, "at", e.At, "err", e.Detail)
		}
	})
	if err != nil {
		return err
	}
	if *cues != "" {
		b, err := json.MarshalIndent(player.Cues(score, rate, happened), "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*cues, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	length, took := *to-*from, time.Since(began)
	fmt.Fprintf(c.stdout, "%s: %v of sound in %v (%.0f times real time)\n", *out, length, took.Round(10*time.Millisecond), length.Seconds()/took.Seconds())
	return nil
}
