package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"syscall"
	"time"
)

// State is how a line is, in a word.
type State string

const (
	Opening State = "opening" // the first attempt has not answered yet, or a program has not taken sound for long enough
	Playing State = "playing"
	Missing State = "missing" // never played since the start; tried again
	Lost    State = "lost"    // it played, and is tried again
	Silent  State = "silent"  // on purpose
	Closed  State = "closed"
)

// Health is how a line is.
type Health struct {
	State      State
	Kind       string
	Device     string // as it is opened, or as it was asked for
	Rate       int    // Hz that the device takes
	Format     string // as ALSA names it: S32_LE, S24_3LE, S24_LE, S16_LE
	Resampled  bool   // the device plays at another rate than Rate, and ALSA converts
	Underruns  uint64 // times the device ran dry and it could be heard
	Reopenings uint64
	Latency    time.Duration // from writing to hearing
	Hanging    int           // handles that were given up and have not returned
	Error      string        // the chain, for the log; empty where all is well
	Says, Do   string        // the same for a therapist, and how to mend it

	openings uint64
}

// Health is how the line is now. Any goroutine may ask.
func (l *Line) Health() Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.health
	h.Hanging = int(l.stuck.Load())
	return h
}

// explain puts err in words for a therapist.
func explain(cfg Config, err error) (says, do string) {
	const back = "The music comes back by itself."
	device := "The sound device"
	if cfg.Device != "" {
		device = fmt.Sprintf("The sound device %q", cfg.Device)
	}
	switch {
	case cfg.Kind == Command:
		name := "The sound program"
		if len(cfg.Command) > 0 {
			name = fmt.Sprintf("The sound program %q", cfg.Command[0])
		}
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return name + " is not installed.", "Install it, or choose another sound output in the room's settings."
		}
		return name + " does not play.", "Look in the log for what it says. It is started again until it plays."
	case cfg.Kind == File:
		return "The sound file cannot be written.", "Check that the folder exists and that the disk is not full."
	case errors.Is(err, errNoLibrary):
		return "The computer's sound system is not installed.", "Install the package libasound2 and start roomd again."
	case errors.Is(err, errTooMany):
		return "The sound system hangs.", "Restart the computer when the session allows it."
	case errors.Is(err, errHangs), errors.Is(err, errStalled):
		return device + " does not answer.", "Pull its plug, wait a moment and put it back. " + back
	case errors.Is(err, syscall.EBUSY):
		return device + " is in use by another program.", "Close the other program. " + back
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "roomd may not use the sound device.", `Add roomd's user to the group "audio" and start roomd again.`
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "The sound server does not run.", "Restart the computer if it does not come back by itself."
	case errors.Is(err, syscall.EINVAL) && cfg.Pairs > 1:
		return device + " has no four channels, for the speaker and headphones.", "Choose another sound device in the room's settings, or leave headphones out there."
	case errors.Is(err, syscall.EINVAL):
		return device + " does not take roomd's sound.", "Choose another sound device in the room's settings."
	}
	return device + " is not there.", "Check that it is plugged in and switched on. " + back
}
