package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"roomd/player"
	"roomd/player/decode"
	"roomd/player/output"
	"roomd/room"
)

// rate is the sampling rate of renders and analyses, and of a session whose files do not share another, Hz.
const rate = 48000

// sound is the player and its line, as the room needs them.
type sound struct {
	*player.Player
	line *output.Line
}

// openSound opens the room's sound. A device that is missing is tried again while the room runs.
func openSound(cfg room.AudioConfig, o player.Options) sound {
	oc := output.Config{Kind: cfg.Output, Device: cfg.Device, Command: cfg.Command, Rate: rate}
	if h := cfg.Headphones; h != nil {
		oc.Pairs = 2
		o.Pairs = []player.Pair{{Level: h.Level, Loudest: cfg.Reference + h.Ceiling}}
	}
	line := output.Open(oc, o.Log)
	o.Rate, o.Line, o.Open, o.OpenSoon = rate, line, openTrack, openSoon
	return sound{player.New(o), line}
}

// ahead is how much of a track is decoded before it is heard. The decoder goes on when a quarter is used up, so a file on a
// disk or a share that hangs for 10 s is not missed. It takes 5.4 MB a track at 48 kHz.
const ahead = 14 * time.Second

// openTrack opens a file for the player.
func openTrack(ctx context.Context, file string, from time.Duration, hz int) (player.Source, error) {
	s, err := decode.Open(ctx, file, decode.Options{Rate: hz, From: from, Ahead: ahead})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openSoon opens a file whose sound is waited for. The Go decoders have the first frames of what they know in a tenth of
// the time that a child takes to start; far inside a file they would have to read all that is before.
func openSoon(ctx context.Context, file string, from time.Duration, hz int) (player.Source, error) {
	if from < time.Minute {
		if s, err := decode.Open(ctx, file, decode.Options{Rate: hz, From: from, Ahead: ahead, Native: true}); err == nil {
			return s, nil
		}
	}
	return openTrack(ctx, file, from, hz)
}

// View is the sound's health.
func (s sound) View() room.SoundView {
	h := s.line.Health()
	words := []string{h.Kind}
	if h.Device != "" {
		words = append(words, h.Device)
	}
	if h.Format != "" {
		words = append(words, h.Format)
	}
	return room.SoundView{
		Output: strings.Join(words, " "), State: string(h.State),
		Underruns: h.Underruns, Reopened: h.Reopenings, LatencyMS: h.Latency.Milliseconds(),
	}
}

// problems is what is wrong with the sound. Silence that the room file asks for is no problem.
func (s sound) problems() []room.Problem {
	h := s.line.Health()
	if h.Says == "" || h.Kind == output.None {
		return nil
	}
	return []room.Problem{{Part: "sound", Says: h.Says, Do: h.Do}}
}

// listSound lists the devices that the room file can name, and the rates that each takes as they are.
func listSound(_ context.Context, c *call) error {
	if words, err := c.parse(); err != nil {
		return err
	} else if len(words) > 0 {
		return usageError{fmt.Errorf("what is %q?", words[0])}
	}
	found, err := output.Devices()
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return errors.New("there is no sound device: plug one in, or check that this user is in the group audio")
	}
	fmt.Fprintln(c.stdout, "Write one of these names as audio: {device: NAME} into the room file.")
	for _, d := range found {
		fmt.Fprintf(c.stdout, "\n%s\n    %s\n    %s\n", d.Name, d.Description, takes(d))
	}
	return nil
}

// takes are the rates that a device takes, in words.
func takes(d output.Device) string {
	var rates []string
	for _, hz := range d.Rates {
		rates = append(rates, strconv.FormatFloat(float64(hz)/1000, 'f', -1, 64))
	}
	if len(rates) == 0 {
		return "in use, or does not say what it takes"
	}
	return strings.Join(rates, ", ") + " kHz"
}
