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
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomd/player"
	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/lights"
)

func plotCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "plot PLAYLIST --out FILE.svg", Short: "Draw a session: phases, music, loudness and light", Args: takes(1, 1), Annotations: on(files), ValidArgsFunction: c.playlistIDs(1), DisableFlagsInUseLine: true,
		Long:    "Draw a session as planned: phases, music, loudness and light by time. For phases with a pool the picture also shows the intensity that they plan, and that of what plays.",
		Example: "  roomd plot evening --out evening.svg\n  roomd plot starter/tour --out tour.png"}
	out := cmd.Flags().String("out", "", "the `FILE`: a picture as .svg or .png, or what it is drawn of as .json")
	seed := cmd.Flags().Uint64("seed", 1, "of shuffled phases and of pools")
	needsOut(cmd)
	cmd.RunE = func(cmd *cobra.Command, words []string) error { return plot(cmd.Context(), c, words[0], *out, *seed) }
	return cmd
}

// plot draws a playlist's arc: phases, music, loudness and light by time, as a session plays it when every phase is let go
// at its planned end.
func plot(ctx context.Context, c *call, name, out string, seed uint64) error {
	asJSON := func(v room.ArcView) ([]byte, error) { return json.MarshalIndent(v, "", "  ") }
	draw := map[string]func(room.ArcView) ([]byte, error){".svg": arcSVG, ".png": arcPNG, ".json": asJSON}[strings.ToLower(filepath.Ext(out))]
	if draw == nil {
		return usageError{fmt.Errorf("--out %s: name a file that ends in .svg, .png or .json", out)}
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
	if err := lib.hear(ctx, []string{id}, progress(c.stderr)); err != nil {
		return err
	}
	pl, err := lib.Resolve(ctx, id)
	if err != nil {
		return err
	}
	tested, err := lights.LoadProfiles(profilesIn(c.data))
	if err != nil {
		log.Warn("profiles of lights", "err", err)
	}
	v, err := lib.picture(pl, cfg, tested, seed)
	if err != nil {
		return err
	}
	b, err := draw(v)
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o644)
}

// picture is all that is drawn of a playlist's arc.
func (l *library) picture(pl playlists.Playlist, cfg room.Config, tested lights.Profiles, seed uint64) (room.ArcView, error) {
	v, sc := room.Picture(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: seed}, l.Heard)
	v.Loudness = foreseen(sc, time.Duration(v.EndMS)*time.Millisecond, func(file string) *loudness.Analysis {
		if l.cache == nil {
			return nil
		}
		return l.remember(file)
	})
	if len(cfg.Lights) == 0 {
		return v, nil
	}
	plan, err := planLight(pl, cfg, tested)
	if err != nil {
		return v, err
	}
	for _, role := range plan.roles {
		r := room.ArcLight{Role: role, Points: []room.ArcPoint{}}
		for _, p := range plan.points(role) {
			r.Points = append(r.Points, room.ArcPoint{AtMS: p.at.Milliseconds(), Level: math.Round(p.light.L*10) / 10, Color: p.light.Tint()})
		}
		v.Lights = append(v.Lights, r)
	}
	return v, nil
}

const (
	loudBlock = 100 * time.Millisecond // as loudness.Analysis has them
	loudSteps = 720                    // of the picture, at most
	softest   = -70.0                  // LUFS; what is softer counts as silence in R128 too
)

// foreseen is how loud a score is by time: the power of each clip's file, at its gain, curve and fades, summed. What has not
// been heard through, and a bed, counts as even. heard may give nil.
func foreseen(sc player.Score, end time.Duration, heard func(file string) *loudness.Analysis) room.ArcLoudness {
	powers := make([]float64, int((end+loudBlock-1)/loudBlock))
	targetAt := func(at time.Duration) (db float64) {
		for _, l := range sc.Levels {
			if l.At <= at {
				db = l.Target
			}
		}
		return db
	}
	for _, c := range sc.Clips {
		var a *loudness.Analysis
		if c.File != "" {
			a = heard(c.File)
		}
		flat := loudness.Power(targetAt(c.Start)) // a track that nothing is known of is played at its target
		if c.Bed != "" {
			flat = loudness.Power(bedLoudness + c.Gain)
		}
		g := 0
		for k := int(c.Start / loudBlock); k < len(powers) && time.Duration(k)*loudBlock < c.End; k++ {
			at := time.Duration(k)*loudBlock + loudBlock/2
			if at < c.Start || at >= c.End {
				continue
			}
			p := flat
			if a != nil {
				src := at - c.Start + c.From
				i := int(src / loudBlock)
				if i >= len(a.Blocks) {
					break
				}
				for g+1 < len(c.Curve) && c.Curve[g+1].At <= src {
					g++
				}
				p = loudness.Power(float64(a.Blocks[i])/100 + c.Gain + curveAt(c.Curve, g, src))
			}
			fade := func(x, of time.Duration) {
				if x < of {
					f := math.Sin(math.Pi / 2 * x.Seconds() / of.Seconds())
					p *= f * f
				}
			}
			fade(at-c.Start, c.FadeIn)
			fade(c.End-at, c.FadeOut)
			powers[k] += p
		}
	}
	step := max(time.Second, (end/loudSteps + loudBlock - 1).Truncate(loudBlock))
	out := room.ArcLoudness{StepMS: step.Milliseconds(), ShortTerm: []float64{}, Momentary: []float64{}}
	per := int(step / loudBlock)
	var short, mom float64 // sums over the last 30 and 4 blocks
	for k := range powers {
		short, mom = 0, 0
		for j := max(0, k-29); j <= k; j++ {
			short += powers[j] / 30
			if j > k-4 {
				mom += powers[j] / 4
			}
		}
		if k%per == 0 {
			out.ShortTerm, out.Momentary = append(out.ShortTerm, softest), append(out.Momentary, softest)
		}
		i := k / per
		out.ShortTerm[i] = max(out.ShortTerm[i], math.Round(loudness.Level(short)*10)/10)
		out.Momentary[i] = max(out.Momentary[i], math.Round(loudness.Level(mom)*10)/10)
	}
	return out
}

// bedLoudness is how loud a bed is at a gain of 0, LUFS.
const bedLoudness = -23.0

// curveAt is a gain curve at a source time, whose last point before is the g-th.
func curveAt(curve []player.GainPoint, g int, at time.Duration) float64 {
	switch {
	case len(curve) == 0:
		return 0
	case at <= curve[g].At || g+1 == len(curve):
		return curve[g].DB
	}
	p, q := curve[g], curve[g+1]
	return p.DB + (q.DB-p.DB)*(at-p.At).Seconds()/(q.At-p.At).Seconds()
}

// spanMS is a length in milliseconds as people say it.
func spanMS(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
}
