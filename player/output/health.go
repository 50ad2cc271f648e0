package output

import (
	"errors"
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
	Resting State = "resting" // given back until it is needed
	Closed  State = "closed"
)

// Health is how a line is.
type Health struct {
	State      State
	Kind       string
	Device     string // as it is opened, or as it was asked for
	Rate       int    // Hz that the device takes
	Format     string // as ALSA names it: S32_LE, S24_3LE, S24_LE, S16_LE
	Bits       int    // of a sample that count; 0: it is not open
	Resampled  bool   // the device plays at another rate than Rate, and ALSA converts
	Underruns  uint64 // times the device ran dry and it could be heard
	Reopenings uint64
	Latency    time.Duration // from writing to hearing
	Hanging    int           // handles that were given up and have not returned
	Error      string        // the chain, for the log; empty where all is well
	Code       string        // of the same for a therapist, in room/english.json; empty where all is well

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

// explain is the code of what err means to a therapist.
func explain(cfg Config, err error) string {
	switch {
	case cfg.Kind == Command && (errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)):
		return "sound-program-missing"
	case cfg.Kind == Command:
		return "sound-program"
	case errors.Is(err, errNoLibrary):
		return "sound-library"
	case errors.Is(err, errTooMany):
		return "sound-hangs"
	case errors.Is(err, errHangs), errors.Is(err, errStalled):
		return "sound-silent"
	case errors.Is(err, syscall.EBUSY):
		return "sound-busy"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "sound-forbidden"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "sound-server"
	case errors.Is(err, syscall.EINVAL) && cfg.Pairs > 1:
		return "sound-pairs"
	case errors.Is(err, syscall.EINVAL):
		return "sound-format"
	}
	return "sound-missing"
}
