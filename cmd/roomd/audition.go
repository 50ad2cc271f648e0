package main

import (
	"context"
	"io"
	"log/slog"
	"time"

	"roomd/player"
	"roomd/player/output"
	"roomd/room"
	"roomd/web"
)

// audition makes ready to write a part of a playlist as a session plays it, as WAV of 16 bit, at the rate of a session with it. Nothing is read of
// the tracks before it is written, and then without haste: another program's sound comes first.
func (l *library) audition(ctx context.Context, cfg room.Config, id string, p web.Part, log *slog.Logger) (func(context.Context, io.Writer) error, error) {
	pl, err := l.find(ctx, id)
	if err != nil {
		return nil, err
	}
	s := room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: 1})
	sc, end := s.ScoreWith(l.Heard), s.Ends()
	if p.IsJoin {
		joins := room.Joins(sc)
		if p.Join >= len(joins) {
			return nil, room.Refuse("no-join", "n", len(joins)).Of("join")
		}
		j := joins[p.Join]
		p.At = max(0, j.From-joinAround)
		p.For = min(web.MaxAudition, j.To+joinAround-p.At)
	}
	if p.At >= end {
		return nil, room.Refuse("after-end", "end", end).Of("at")
	}
	from := p.At.Truncate(time.Millisecond)
	to := min(from+p.For, end).Truncate(time.Millisecond)
	hz := rateOf(sc)
	o := player.Options{Rate: hz, Open: l.opener(gently), Ceiling: cfg.Audio.Ceiling, Loudest: cfg.Audio.Reference + cfg.Audio.Ceiling, Log: log}
	return func(ctx context.Context, out io.Writer) error {
		w, err := output.StreamWAV(out, hz, frameAt(to-from, hz))
		if err != nil {
			return err
		}
		if err := renderPart(ctx, sc, o, from, to, w.Write, nil); err != nil {
			return err
		}
		return w.Close()
	}, nil
}
