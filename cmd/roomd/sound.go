package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomd/player"
	"roomd/player/output"
	"roomd/room"
)

// rate is the sampling rate of renders and analyses, and of a session whose files do not share another, Hz.
const rate = 48000

// rateOf is the rate at which a score is played, in Hz.
func rateOf(s player.Score) int { return cmp.Or(s.Rate, rate) }

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
	o.Rate, o.Line = rate, line
	return sound{player.New(o), line}
}

// ahead is how much of a track is decoded before it is heard. The decoder goes on when a quarter is used up, so a file on a
// disk or a share that hangs for 10 s is not missed. It takes 5.4 MB a track at 48 kHz.
const ahead = 14 * time.Second

// View is the sound's health.
func (s sound) View() room.SoundView {
	h := s.line.Health()
	words := []string{h.Kind}
	if h.Device != "" {
		words = append(words, h.Device)
	}
	return room.SoundView{
		Output: strings.Join(words, " "), State: string(h.State), Rate: h.Rate, Bits: h.Bits, Resampled: h.Resampled,
		Underruns: h.Underruns, Reopened: h.Reopenings, LatencyMS: h.Latency.Milliseconds(),
	}
}

// problems is what is wrong with the sound. Silence that the room file asks for is no problem.
func (s sound) problems() []room.Problem {
	h := s.line.Health()
	if h.Code == "" || h.Kind == output.None {
		return nil
	}
	return []room.Problem{soundProblem(h)}
}

// soundProblem says what is wrong with a line that does not play.
func soundProblem(h output.Health) room.Problem {
	details := h.Error
	if h.Device != "" && details != "" {
		details = h.Device + ": " + details
	}
	return room.NewProblem("sound", h.Code).With(details)
}

func soundCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "sound", Short: "List the sound devices and the rates that they take", Args: takes(0, 0)}
	asJSON := cmd.Flags().Bool("json", false, "print them as JSON")
	cmd.RunE = func(*cobra.Command, []string) error { return listSound(c, *asJSON) }
	return cmd
}

// listSound lists the devices that the room file can name, and the rates that each takes as they are.
func listSound(c *call, asJSON bool) error {
	found, err := output.Devices()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.stdout, append([]output.Device{}, found...))
	}
	if len(found) == 0 {
		return errors.New("there is no sound device: plug one in, or check that this user is in the group audio")
	}
	fmt.Fprintln(c.stdout, "Write one of these names as audio: {device: NAME} into the room file.")
	for _, d := range found {
		fmt.Fprintf(c.stdout, "\n%s\n    %s\n    %s\n", d.Name, d.Description, ratesOf(d))
	}
	return nil
}

// ratesOf are the rates that a device takes, in words.
func ratesOf(d output.Device) string {
	var rates []string
	for _, hz := range d.Rates {
		rates = append(rates, strconv.FormatFloat(float64(hz)/1000, 'f', -1, 64))
	}
	if len(rates) == 0 {
		return "in use, or does not say what it takes"
	}
	return strings.Join(rates, ", ") + " kHz"
}
