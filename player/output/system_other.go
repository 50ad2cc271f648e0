//go:build !linux

package output

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/speaker"
)

// Only developers run roomd where there is no ALSA: beep's speaker plays on the default device, at 16 bits, and does
// not come back when that is lost.

var errNoLibrary = fmt.Errorf("no sound system")

// beep's speaker can be set up once in a process.
var setUp struct {
	sync.Mutex
	rate int
}

type speakers struct {
	cfg   Config
	timer *time.Timer
	room  chan struct{} // has a token when frames were played

	mu   sync.Mutex
	ring [][2]float64 // guarded by mu, as are the two below
	from int
	held int
}

func openSystem(cfg Config) (sink, error) {
	setUp.Lock()
	defer setUp.Unlock()
	if setUp.rate == 0 {
		if err := speaker.Init(beep.SampleRate(cfg.Rate), cfg.Rate/10); err != nil {
			return nil, fmt.Errorf("open the speaker: %w", err)
		}
		setUp.rate = cfg.Rate
	}
	if setUp.rate != cfg.Rate {
		return nil, fmt.Errorf("open the speaker at %d Hz: it runs at %d", cfg.Rate, setUp.rate)
	}
	s := &speakers{cfg: cfg, timer: time.NewTimer(time.Hour), room: make(chan struct{}, 1), ring: make([][2]float64, cfg.lookAheadFrames()/2)}
	speaker.Play(s)
	return s, nil
}

// Stream is beep's side.
func (s *speakers) Stream(samples [][2]float64) (int, bool) {
	s.mu.Lock()
	for i := range samples {
		samples[i] = [2]float64{}
		if s.held > 0 {
			samples[i] = s.ring[s.from]
			s.from = (s.from + 1) % len(s.ring)
			s.held--
		}
	}
	s.mu.Unlock()
	select {
	case s.room <- struct{}{}:
	default:
	}
	return len(samples), true
}

// Err is beep's.
func (s *speakers) Err() error { return nil }

func (s *speakers) write(block [][2]float64, _ ...[][2]float64) (paces bool, err error) {
	paces = s.fill() >= float64(len(s.ring))/4
	for {
		s.mu.Lock()
		n := min(len(block), len(s.ring)-s.held)
		for _, frame := range block[:n] {
			s.ring[(s.from+s.held)%len(s.ring)] = frame
			s.held++
		}
		s.mu.Unlock()
		if block = block[n:]; len(block) == 0 {
			return paces, nil
		}
		s.timer.Reset(stall)
		select {
		case <-s.room:
		case <-s.timer.C:
			return paces, errStalled
		}
	}
}

func (s *speakers) fill() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(s.held)
}

func (s *speakers) delay() float64 { return s.fill() + float64(s.cfg.Rate/10) }

func (s *speakers) about() about {
	return about{device: "the computer's speaker", rate: s.cfg.Rate, format: s16.name, bits: s16.bits, holds: len(s.ring), gulp: s.cfg.LookAhead}
}

func (s *speakers) close(drain bool) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if drain {
			<-time.After(time.Duration(s.delay() / s.cfg.pace() * float64(time.Second)))
		}
		speaker.Clear()
	}()
	return done
}

// Device is one that a Line can play on.
type Device struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Rates       []int  `json:"rates"` // Hz
}

// Devices lists nothing here: the speaker has no names.
func Devices() ([]Device, error) { return nil, nil }

// Rates are those that the speaker takes.
func Rates(string) ([]int, error) { return []int{44100, 48000, 96000}, nil }

// HasDevice is true: whether there is one shows when it is opened.
func HasDevice(string) bool { return true }

func ownGroup() *syscall.SysProcAttr { return nil }

func endGroup(*os.Process) {}

func shrinkPipe(_ *os.File, bytes int) int { return bytes }

func unread(*os.File) int { return 0 }
