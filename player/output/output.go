// Package output hands PCM to what makes it heard: an ALSA device, a child program, or nothing at all. It writes WAV files too.
//
// A Line outlives its device: a device that is missing, pulled out, stalled or hanging is tried again until it is
// back, and meanwhile the line keeps real time, so that the music is where it would have been. No other device is
// ever taken instead.
package output

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The kinds of output.
const (
	ALSA    = "alsa"    // the computer's own sound; beep's speaker where there is no ALSA
	Command = "command" // a child that eats PCM on its standard input
	None    = "none"    // silence, in real time
)

const (
	defaultRate      = 48000
	defaultLookAhead = 120 * time.Millisecond
	maxLookAhead     = 480 * time.Millisecond // on a computer on which the sound ran dry
	retry            = 250 * time.Millisecond // between two attempts to open
	longRetry        = 2 * time.Second
	patience         = 5 * time.Second        // with an opening that does not answer
	maxStuck         = 4                      // handles that hang, before no more are opened
	stall            = 500 * time.Millisecond // a full device that takes nothing for so long is lost
	startup          = 3 * time.Second        // a sound server may play out seconds of silence first
	tick             = 100 * time.Millisecond // of a watchdog; see ticks
	// A process that was stopped finds its timers run out at once, though the device is well. So a watchdog counts
	// ticks, of which a stop uses up only one.
	ticks = int(stall/tick) + 3
)

// Config says where the sound goes. The zero value is the default ALSA device at 48 kHz.
type Config struct {
	Kind string // ALSA (also ""), Command or None
	// Device is the name of an ALSA card ("DAC", played as plughw:CARD=DAC,DEV=0) or of any ALSA pcm; "" is the one
	// called default.
	Device string
	// Command is the child and its arguments, in which {rate}, {channels}, {bits} and {format} (S16_LE) stand for what
	// it is fed. Its own buffer should stay under 100 ms: then its clock leads, else the computer's.
	Command   []string
	Pairs     int           // stereo pairs of the device's channels, from the first; 0 is one
	Bits      int           // of what a child eats: 16 (also 0) or 32
	Rate      int           // Hz; 0 is 48000
	LookAhead time.Duration // how far writing may be ahead of hearing; 0 is 120 ms
	// Speed is how many times faster than time the sound goes, for tests with a card whose clock runs faster; 0 is 1.
	Speed float64
}

func (c Config) withDefaults() Config {
	if c.Kind == "" {
		c.Kind = ALSA
	}
	if c.Rate <= 0 {
		c.Rate = defaultRate
	}
	if c.LookAhead <= 0 {
		c.LookAhead = defaultLookAhead
	}
	if c.Speed <= 0 {
		c.Speed = 1
	}
	if c.Pairs <= 0 {
		c.Pairs = 1
	}
	if c.Bits != 32 {
		c.Bits = 16
	}
	return c
}

// pace is how many frames a second of real time takes.
func (c Config) pace() float64 { return float64(c.Rate) * c.Speed }

// time is how long so many frames take.
func (c Config) time(frames float64) time.Duration {
	return time.Duration(frames / c.pace() * float64(time.Second))
}

// lookAheadFrames is the look-ahead in frames.
func (c Config) lookAheadFrames() int { return int(c.LookAhead.Seconds() * c.pace()) }

// sink is one opened device. Its methods are called by the line's owner; none of them blocks for longer than the
// watchdog allows.
type sink interface {
	// write blocks until the device took the frames. paces: it still held a fair part of what it was given before, so its
	// own clock sets the pace.
	// errUnderrun: the device had run dry; the frames are thrown away and the device is ready for the next ones.
	write(frames [][2]float64, more ...[][2]float64) (paces bool, err error)
	// fill is how many frames wait in the device's own buffer, and delay how many are still to be heard.
	fill() float64
	delay() float64
	about() about
	// close plays out what the device holds where drain is set, and gives the device back. The result is closed when
	// that is done; it is not awaited with a device that hangs.
	close(drain bool) <-chan struct{}
}

// about is what was negotiated with a device.
type about struct {
	device    string
	rate      int
	format    string
	bits      int
	resampled bool // the device's rate is another one
	holds     int  // frames that its buffer is filled with at most
	// gulp is how much more than the look-ahead a device that sets the pace may have swallowed: a sound server takes some
	// for its own buffers.
	gulp time.Duration
}

var (
	errUnderrun = errors.New("the device ran dry")
	errStalled  = errors.New("the device takes no sound")
	errHangs    = errors.New("the sound system does not answer")
	errTooMany  = fmt.Errorf("%d handles hang: %w", maxStuck, errHangs)

	// ErrClosed is what Write answers after Close.
	ErrClosed = errors.New("the line is closed")
)

// Line is an output that comes back. Wait, Prepare, Write, Delay, Rest and Close belong to one goroutine, Health to all.
type Line struct {
	cfg  Config
	log  *slog.Logger
	open func(Config) (sink, error)
	base int // Hz, as it was configured

	// Owned by the goroutine that writes.
	sink    sink
	info    about
	paced   time.Time // when the present device last set the pace; zero for never
	opening chan outcome
	began   time.Time // the present attempt
	due     time.Time // the next attempt
	fails   int       // openings in a row that failed or were soon lost
	opened  time.Time
	last    <-chan struct{} // closed when the device before is given back
	gen     uint64
	clock   clock
	timer   *time.Timer
	closed  bool
	silent  int       // frames of silence that were written last
	wrote   time.Time // when the device last took something
	resting bool

	stuck atomic.Int32 // handles that were given up and have not returned
	// proven tells that the present device has taken sound steadily.
	proven bool

	mu     sync.Mutex
	health Health // guarded by mu
}

type outcome struct {
	sink sink
	err  error
}

// Open returns a line whether or not its device is there; Health says which. It waits for the first attempt, at most
// half a second.
func Open(cfg Config, log *slog.Logger) *Line {
	cfg = cfg.withDefaults()
	var open func(Config) (sink, error)
	switch cfg.Kind {
	case ALSA:
		open = openSystem
	case Command:
		open = openCommand
	case None:
	default:
		err := fmt.Errorf("unknown output %q (alsa, command, none)", cfg.Kind)
		open = func(Config) (sink, error) { return nil, err }
	}
	return newLine(cfg, log, open)
}

func newLine(cfg Config, log *slog.Logger, open func(Config) (sink, error)) *Line {
	l := &Line{cfg: cfg, base: cfg.Rate, log: log, open: open, timer: time.NewTimer(0), clock: clock{rate: cfg.pace()}}
	<-l.timer.C
	l.health = Health{State: Opening, Kind: cfg.Kind, Device: cfg.Device, Rate: cfg.Rate}
	if cfg.Kind == None {
		l.gen = 1
		l.health.State = Silent
		l.health.Code = "sound-off"
		return l
	}
	l.attempt(time.Now())
	l.timer.Reset(500 * time.Millisecond)
	select {
	case o := <-l.opening:
		l.timer.Stop()
		l.adopt(o, time.Now())
	case <-l.timer.C:
	}
	return l
}

// Rate is the line's rate in Hz. Where SetRate was called it counts once Prepare says that the device is there.
func (l *Line) Rate() int { return l.cfg.Rate }

// SetRate reopens an ALSA device at hz; call it while nothing sounds. If the device would have to resample, the line goes back to
// Config.Rate. A resting line only notes hz, and the next Prepare opens the device. Once Prepare reports the device, Rate is the rate
// that it plays at.
func (l *Line) SetRate(hz int) {
	if l.cfg.Kind != ALSA || l.closed || hz == l.cfg.Rate {
		return
	}
	switch {
	case l.sink != nil:
		l.release(false)
	case l.opening != nil:
		l.giveUp()
	}
	l.retune(hz)
	if !l.resting {
		l.attempt(time.Now())
	}
}

// Rest gives the device back while nobody needs the sound: it may sleep, and other programs may use it. Prepare opens it
// again.
func (l *Line) Rest() {
	if l.closed || l.cfg.Kind == None {
		return
	}
	l.resting = true
	switch {
	case l.opening != nil:
		l.giveUp()
		return
	case l.sink == nil:
		return
	}
	l.release(false)
	l.mu.Lock()
	l.health.State, l.health.Latency = Resting, 0
	l.mu.Unlock()
	l.log.Info("sound device given back until it is needed", "device", l.name())
}

// retune has the line count in another rate.
func (l *Line) retune(hz int) {
	l.cfg.Rate = hz
	l.clock = clock{rate: l.cfg.pace()}
}

// Prepare is called before each block is rendered; it never blocks. It opens a lost device again when that is due.
// gen changes whenever the next block will not join what was heard before: at each opening and after an underrun; the
// block must then fade in from silence, and Delay starts at 0 again, so what it is to sound is found anew from now + Delay. ok is false while nothing can be heard because the device is not there; with None,
// which is silent on purpose, it is true.
func (l *Line) Prepare() (gen uint64, ok bool) {
	switch {
	case l.closed:
		return l.gen, false
	case l.sink != nil || l.cfg.Kind == None:
		return l.gen, true
	}
	now := time.Now()
	if l.resting {
		l.resting, l.due, l.fails = false, now, 0
	}
	switch {
	case l.opening != nil:
		select {
		case o := <-l.opening:
			l.adopt(o, now)
		default:
			if now.Sub(l.began) > patience {
				l.giveUp()
				l.due = now.Add(retry)
				l.fail(fmt.Errorf("open %s: %w", l.name(), errHangs))
			}
		}
	case !now.Before(l.due):
		l.attempt(now)
	}
	return l.gen, l.sink != nil
}

// attempt opens the device in a goroutine of its own, since an opening can hang for ever.
func (l *Line) attempt(now time.Time) {
	if l.stuck.Load() >= maxStuck {
		l.due = now.Add(retry)
		l.fail(errTooMany)
		return
	}
	l.began = now
	result, last, cfg, base := make(chan outcome, 1), l.last, l.cfg, l.base
	l.opening = result
	go func() {
		if last != nil {
			select {
			case <-last:
			case <-time.After(retry):
			}
		}
		s, err := l.open(cfg)
		if cfg.Rate != base && (err != nil || s.about().resampled) {
			// roomd's own resampler is better than the device's.
			if err == nil {
				<-s.close(false)
			}
			cfg.Rate = base
			s, err = l.open(cfg)
		}
		result <- outcome{s, err}
	}()
}

// giveUp leaves an opening to itself; what it still brings is closed.
func (l *Line) giveUp() {
	result := l.opening
	l.opening = nil
	l.stuck.Add(1)
	go func() {
		if o := <-result; o.sink != nil {
			<-o.sink.close(false)
		}
		l.stuck.Add(-1)
	}()
}

func (l *Line) adopt(o outcome, now time.Time) {
	l.opening = nil
	if o.err != nil {
		l.due = now.Add(l.pause(o.err))
		l.fail(o.err)
		return
	}
	a := o.sink.about()
	l.sink, l.info, l.paced, l.opened = o.sink, a, time.Time{}, now
	l.gen++
	l.silent = 2 * l.cfg.Rate // nothing that this device could break off
	if a.rate != l.cfg.Rate {
		l.retune(a.rate)
	}
	l.clock.restart(now)
	l.log.Info("sound device opened", "device", a.device, "rate", a.rate, "format", a.format, "resampled", a.resampled)
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	if h.openings > 0 {
		h.Reopenings++
	}
	h.openings++
	h.Device, h.Rate, h.Format, h.Bits, h.Resampled = a.device, a.rate, a.format, a.bits, a.resampled
	// A device says that it plays. A program that was started has shown nothing yet: see prove.
	if l.proven = l.cfg.Kind != Command; l.proven {
		h.State, h.Error, h.Code = Playing, "", ""
	}
}

// steady is how long a program has to take sound before it counts as playing. A pipe that nobody reads and the buffers
// before it hold a second at most.
const steady = 2 * time.Second

// prove notes that the program plays once it has taken sound for a while. Until then what was said before is said still.
func (l *Line) prove(now time.Time) {
	if l.proven || now.Sub(l.opened) < steady {
		return
	}
	l.proven = true
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	h.State, h.Error, h.Code = Playing, "", ""
}

// pause is how long to wait before the next attempt: always the same for a device that is not there, longer and longer
// for one that hangs, and so holds writing up each time, and for a child that ends as soon as it is started.
func (l *Line) pause(err error) time.Duration {
	l.fails++
	if l.cfg.Kind != Command && !errors.Is(err, errHangs) && !errors.Is(err, errStalled) {
		return retry
	}
	return min(retry<<min(l.fails-1, 5), longRetry)
}

// lose gives the present device up after err.
func (l *Line) lose(err error, now time.Time) {
	l.release(false)
	if now.Sub(l.opened) > patience {
		l.fails = 0
	}
	l.due = now.Add(l.pause(err))
	l.fail(err)
}

func (l *Line) release(drain bool) {
	done := l.sink.close(drain)
	l.sink, l.last = nil, done
	l.stuck.Add(1)
	go func() {
		<-done
		l.stuck.Add(-1)
	}()
}

// fail notes why nothing is heard. The log gets each reason once, not four times a second.
func (l *Line) fail(err error) {
	l.mu.Lock()
	h := &l.health
	if h.openings > 0 && (l.cfg.Kind != Command || l.proven || h.State == Lost) {
		h.State = Lost
	} else {
		h.State = Missing
	}
	changed := h.Error != err.Error()
	h.Error, h.Latency = err.Error(), 0
	h.Code = explain(l.cfg, err)
	l.mu.Unlock()
	if changed {
		l.log.Warn("sound device is not playing", "device", l.name(), "err", err)
	}
}

// name is the device as it was asked for.
func (l *Line) name() string {
	switch {
	case l.cfg.Kind == Command && len(l.cfg.Command) > 0:
		return l.cfg.Command[0]
	case l.cfg.Device == "":
		return "default"
	}
	return l.cfg.Device
}

// burst is how much is written at once: half of what the device holds, and two thirds in silence, where nobody hears it run
// dry. Waking up is what costs, and a command is heard no later for it: what waits for the next burst lies behind less.
func (l *Line) burst() time.Duration {
	full := l.cfg.LookAhead
	if l.sink != nil {
		full = l.cfg.time(float64(l.info.holds))
	}
	if l.silent > l.cfg.Rate {
		return full * 2 / 3
	}
	return full / 2
}

// limit is how far writing may be ahead of the computer's clock.
func (l *Line) limit(now time.Time) time.Duration {
	if l.leads(now) {
		return l.cfg.LookAhead + l.info.gulp
	}
	return l.cfg.LookAhead
}

// Wait returns when it is time for the next burst and says how many frames it has; 0 where woken has a word before that
// (nil: never), or where an opening has answered. The pace is the device's; where it is not there or swallows faster than
// sound, that of the monotonic clock.
func (l *Line) Wait(woken <-chan struct{}) int {
	if l.closed {
		return l.cfg.Rate / 5
	}
	now := time.Now()
	wait := max(0, l.clock.ahead(now)) - l.limit(now) + l.burst()
	if l.sink != nil {
		wait = max(wait, l.cfg.time(l.sink.fill()-float64(l.info.holds))+l.burst())
	}
	if wait > 0 {
		l.timer.Reset(wait)
		select {
		case <-l.timer.C:
		case o := <-l.opening:
			l.timer.Stop()
			l.adopt(o, time.Now())
			return 0
		case <-woken:
			l.timer.Stop()
			return 0
		}
		now = time.Now()
	}
	room := (l.limit(now) - max(0, l.clock.ahead(now))).Seconds() * l.cfg.pace()
	if l.sink != nil {
		room = min(room, float64(l.info.holds)-l.sink.fill())
	}
	return max(int(room), l.cfg.Rate/200)
}

// Write hands frames over, as many as Wait said. A device that fails is no error, it is tried again; an error means that
// the line is closed. more are as many frames for each of Config.Pairs after the first; an
// ALSA device and a child play them.
func (l *Line) Write(frames [][2]float64, more ...[][2]float64) error {
	switch {
	case len(more) != l.cfg.Pairs-1:
		return fmt.Errorf("%d pairs for a line of %d", len(more)+1, l.cfg.Pairs)
	case l.closed:
		return ErrClosed
	case len(frames) == 0:
		return nil
	}
	unheard := l.unheard(frames, more)
	paces := false
	if l.sink != nil {
		var err error
		paces, err = l.sink.write(frames, more...)
		now := time.Now()
		switch {
		case errors.Is(err, errUnderrun):
			l.ranDry(now, unheard)
			return nil
		case err != nil:
			l.lose(err, now)
		default:
			l.prove(now)
		}
	}
	now := time.Now()
	l.wrote = now
	l.clock.add(now, len(frames))
	if paces && l.sink != nil {
		l.follow(now, l.cfg.time(l.sink.fill()))
	}
	// Whoever is just reading it is not waited for: the next burst is soon enough.
	if l.sink != nil && l.mu.TryLock() {
		l.health.Latency = l.Delay()
		l.mu.Unlock()
	}
	return nil
}

// ranDry is an underrun. One that nobody hears is not counted. The first one that is heard tells that the computer is
// busier than the buffer is long, so that it is made twice as long at once, up to maxLookAhead: it is dry already, and
// has to rise from silence anyway. A process that was stopped tells nothing.
func (l *Line) ranDry(now time.Time, unheard bool) {
	stopped := now.Sub(l.wrote) > l.cfg.LookAhead+maxLookAhead
	l.gen++
	l.paced = time.Time{}
	l.clock.restart(now)
	if unheard {
		return
	}
	l.mu.Lock()
	l.health.Underruns++
	n := l.health.Underruns
	l.mu.Unlock()
	longer := min(2*l.cfg.LookAhead, max(maxLookAhead, l.cfg.LookAhead))
	l.log.Warn("sound ran dry", "underruns", n, "buffer", l.cfg.LookAhead)
	if longer > l.cfg.LookAhead && !stopped {
		l.cfg.LookAhead = longer
		l.release(false)
		l.attempt(now)
	}
}

// unheard tells whether a gap before these frames joins silence on both sides, or lies where it had been silent for a
// second, so that sound only begins a little later. Frames this short of silence may still be the zeros of a wave.
func (l *Line) unheard(frames [][2]float64, more [][][2]float64) bool {
	before := l.silent
	if !silent(frames) || slices.ContainsFunc(more, func(b [][2]float64) bool { return !silent(b) }) {
		l.silent = 0
		return before > l.cfg.Rate
	}
	l.silent = min(before+len(frames), 2*l.cfg.Rate)
	return before >= l.cfg.Rate/50
}

func silent(frames [][2]float64) bool {
	for _, f := range frames {
		if f != [2]float64{} {
			return false
		}
	}
	return true
}

// Delay is how long from now the next frame that is written will be heard, or would be without a device.
func (l *Line) Delay() time.Duration {
	now := time.Now()
	switch {
	case l.sink == nil:
		return max(0, l.clock.ahead(now))
	case l.leads(now):
		return l.cfg.time(l.sink.delay())
	}
	return max(l.cfg.time(l.sink.delay()), l.clock.ahead(now))
}

// leads tells whether the device sets the pace itself, as one does that still holds something each time it is filled.
func (l *Line) leads(now time.Time) bool {
	return l.sink != nil && now.Sub(l.paced) < time.Second
}

// follow sets the clock by a device that sets the pace and now holds so much: were it held back by the computer's clock, one
// that runs faster would be dry within an hour. No clock is off by more than a hundredth, so a device that swallows faster
// is not followed.
func (l *Line) follow(now time.Time, held time.Duration) {
	if over := l.clock.ahead(now) - held; over <= 0 {
		l.clock.set(now, held)
	} else if !l.paced.IsZero() {
		l.clock.at = l.clock.at.Add(-min(over, now.Sub(l.paced)/100))
	}
	l.paced = now
}

// Close plays out what was written and gives the device back, within a second.
func (l *Line) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	switch {
	case l.sink != nil:
		l.release(true)
		l.timer.Reset(l.cfg.LookAhead + time.Second)
		select {
		case <-l.last:
		case <-l.timer.C:
			l.log.Warn("sound device does not close", "device", l.name())
		}
	case l.opening != nil:
		l.giveUp()
	default:
		if wait := l.clock.ahead(time.Now()); wait > 0 {
			l.timer.Reset(wait)
			<-l.timer.C
		}
	}
	l.mu.Lock()
	l.health.State, l.health.Latency = Closed, 0
	l.mu.Unlock()
	return nil
}

// clock tells by the monotonic clock how far writing is ahead of sounding.
type clock struct {
	rate   float64   // frames a second of real time
	at     time.Time // when the first of frames sounds
	frames float64   // written since
}

func (c *clock) end() time.Time {
	return c.at.Add(time.Duration(c.frames / c.rate * float64(time.Second)))
}

// ahead is how much longer what was written will sound.
func (c *clock) ahead(now time.Time) time.Duration { return c.end().Sub(now) }

func (c *clock) restart(now time.Time) { c.at, c.frames = now, 0 }

// set says that what was written will sound for ahead from now.
func (c *clock) set(now time.Time, ahead time.Duration) { c.at, c.frames = now.Add(ahead), 0 }

// add counts written frames. Time in which nothing was there to sound is not made up for.
func (c *clock) add(now time.Time, frames int) {
	if c.end().Before(now) {
		c.restart(now)
	}
	c.frames += float64(frames)
	// Folded each second, so that the sum stays exact however long it runs.
	for c.frames >= c.rate {
		c.frames -= c.rate
		c.at = c.at.Add(time.Second)
	}
}
