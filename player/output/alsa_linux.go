package output

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// alsa is one opened pcm. Every call into the library is made by the goroutine that run is, because any of them can
// hang (the PulseAudio plugin's do, when its server dies); the line's owner hands it a block and waits with a watchdog.
type alsa struct {
	lib  *libasound
	pcm  uintptr
	info about
	pace float64 // frames a second of real time

	// Of the line's owner, but while run has a block in work.
	q      quantiser
	buf    []byte
	chunk  int // frames that fit into buf
	timer  *time.Timer
	left   bool      // run hangs and was left to itself
	last   result    // of the last write,
	lastAt time.Time // then

	work chan int // frames in buf to play, or drainOut
	done chan result
	quit chan struct{} // closed by the owner: end soon
	gone chan struct{} // closed by run: the pcm is given back

	beats atomic.Uint32 // calls that run has made

	// Of run.
	capacity int        // frames that the device may hold
	buffer   int        // frames that it could hold
	moved    bool       // it has played something, or taken more after it was full
	took     int        // frames that it held after it took some
	full     bool       // it has been full since it was opened
	begun    bool       // it plays, since it was made ready
	frames   *int       // where the library writes a delay
	words    [3]uintptr // a call's
	sleep    *time.Timer
}

const drainOut = -1

type result struct {
	paces bool
	fill  int // frames in the device's buffer
	delay int // frames that are still to be heard
	err   error
}

// openSystem opens cfg's ALSA device, and no other.
func openSystem(cfg Config) (sink, error) {
	lib, err := loadALSA()
	if err != nil {
		return nil, err
	}
	a := &alsa{
		lib: lib, pace: cfg.pace(), timer: newTimer(), sleep: newTimer(), frames: new(int),
		work: make(chan int, 1), done: make(chan result, 1), quit: make(chan struct{}), gone: make(chan struct{}),
	}
	name := lib.pcmName(cfg.Device)
	if err := a.open(name, cfg); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	a.chunk = min(max(1, a.capacity), 4800)
	a.buf = make([]byte, a.chunk*a.q.frame())
	go a.run()
	return a, nil
}

func newTimer() *time.Timer {
	t := time.NewTimer(0)
	<-t.C
	return t
}

// pcmName is the pcm for a device's name: a card's plughw, else the name as it is.
func (lib *libasound) pcmName(device string) string {
	switch {
	case device == "":
		return "default"
	case !strings.ContainsAny(device, ":,") && lib.cardIndex(device) >= 0:
		return "plughw:CARD=" + device + ",DEV=0"
	}
	return device
}

// open tries the device as it is, without any conversion, so that the format is the device's own and 16 bit get our
// dither; then with ALSA's conversion of rate and channels, then of everything.
func (a *alsa) open(name string, cfg Config) error {
	var first error
	modes := []int32{openNoFormat | openNoResample | openNoChannels, openNoFormat, 0}
	if cfg.Pairs > 1 {
		// ALSA would leave out the channels that the device has not.
		modes = []int32{openNoFormat | openNoResample | openNoChannels, openNoFormat | openNoChannels, openNoChannels}
	}
	for _, mode := range modes {
		if err := a.lib.check("open", a.lib.open(&a.pcm, name, streamPlayback, openNonblock|mode)); err != nil {
			return err
		}
		err := a.configure(cfg)
		if err == nil {
			a.info.device = name
			a.info.resampled = mode&openNoResample == 0
			return nil
		}
		a.lib.close(a.pcm)
		if first == nil {
			first = err
		}
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
	}
	return first
}

// configure sets the pcm up: the channels, cfg's rate, the best format, a buffer of the look-ahead in four periods.
func (a *alsa) configure(cfg Config) error {
	lib, pcm := a.lib, a.pcm
	var hw, sw uintptr
	if err := lib.check("parameters", lib.hwMalloc(&hw)); err != nil {
		return err
	}
	defer lib.hwFree(hw)
	if err := lib.check("parameters", lib.swMalloc(&sw)); err != nil {
		return err
	}
	defer lib.swFree(sw)
	if err := lib.check("parameters", lib.hwAny(pcm, hw)); err != nil {
		return err
	}
	if err := lib.check("interleaved frames", lib.setAccess(pcm, hw, accessInterleaved)); err != nil {
		return err
	}
	if err := lib.check(fmt.Sprintf("%d channels", 2*cfg.Pairs), lib.setChannels(pcm, hw, uint32(2*cfg.Pairs))); err != nil {
		return err
	}
	if err := lib.check(fmt.Sprintf("%d Hz", cfg.Rate), lib.setRate(pcm, hw, uint32(cfg.Rate), 0)); err != nil {
		return err
	}
	answer := int32(-int32(syscall.EINVAL))
	for _, f := range []format{s32, s243, s24, s16} {
		if answer = lib.setFormat(pcm, hw, formatNumber[f.name]); answer >= 0 {
			a.q = newQuantiser(f)
			a.q.pairs = cfg.Pairs
			break
		}
	}
	if err := lib.check("16, 24 or 32 bit", answer); err != nil {
		return err
	}
	want := cfg.lookAheadFrames()
	buffer, period, dir := uintptr(want), uintptr(want/4), int32(0)
	if err := lib.check("buffer", lib.setBufferNear(pcm, hw, &buffer)); err != nil {
		return err
	}
	if err := lib.check("period", lib.setPeriodNear(pcm, hw, &period, &dir)); err != nil {
		return err
	}
	if err := lib.check("set up", lib.hwParams(pcm, hw)); err != nil {
		return err
	}
	if err := lib.check("buffer", lib.getBuffer(hw, &buffer)); err != nil {
		return err
	}
	a.buffer = int(buffer)
	a.capacity = min(a.buffer, want)
	if err := lib.check("software parameters", lib.swCurrent(pcm, sw)); err != nil {
		return err
	}
	if err := lib.check("start threshold", lib.setStart(pcm, sw, uintptr(max(1, a.capacity/2)))); err != nil {
		return err
	}
	if err := lib.check("software parameters", lib.swParams(pcm, sw)); err != nil {
		return err
	}
	a.info.rate, a.info.format, a.info.bits, a.info.holds, a.info.gulp = cfg.Rate, a.q.name, a.q.bits, a.capacity, startup
	return nil
}

func (a *alsa) about() about { return a.info }

func (a *alsa) write(block [][2]float64, more ...[][2]float64) (paces bool, err error) {
	for off, n := 0, 0; off < len(block); off += n {
		if a.left {
			return false, errHangs
		}
		n = min(len(block)-off, a.chunk)
		a.q.pair(a.buf, block[off:off+n])
		for k, m := range more {
			a.q.pair(a.buf[2*a.q.bytes*(k+1):], m[off:off+n])
		}
		a.work <- n
		r, ok := a.answer()
		if !ok {
			a.left = true
			return false, fmt.Errorf("write to %s: %w", a.info.device, errHangs)
		}
		if r.err != nil {
			return false, fmt.Errorf("write to %s: %w", a.info.device, r.err)
		}
		paces = paces || r.paces && off == 0
		a.last, a.lastAt = r, time.Now()
	}
	return paces, nil
}

// answer waits for run for as long as its calls into the library come back.
func (a *alsa) answer() (result, bool) {
	for quiet, beat := 0, a.beats.Load(); quiet < ticks; quiet++ {
		a.timer.Reset(tick)
		select {
		case r := <-a.done:
			a.timer.Stop()
			return r, true
		case <-a.timer.C:
		}
		if b := a.beats.Load(); b != beat {
			quiet, beat = 0, b
		}
	}
	return result{}, false
}

func (a *alsa) fill() float64  { return a.since(a.last.fill) }
func (a *alsa) delay() float64 { return a.since(a.last.delay) }

// since is what is left of so many frames since the last write.
func (a *alsa) since(frames int) float64 {
	return max(0, float64(frames)-time.Since(a.lastAt).Seconds()*a.pace)
}

func (a *alsa) close(drain bool) <-chan struct{} {
	if drain && !a.left {
		a.work <- drainOut
	} else {
		close(a.quit)
	}
	return a.gone
}

// run owns the pcm.
func (a *alsa) run() {
	defer close(a.gone)
	defer a.lib.close(a.pcm)
	for {
		select {
		case n := <-a.work:
			if n == drainOut {
				a.drain()
				return
			}
			a.done <- a.play(n)
		case <-a.quit:
			return
		}
	}
}

// play hands n frames of buf to the device, waiting while it is full.
func (a *alsa) play(n int) (r result) {
	var (
		frame  = a.q.frame()
		step   = max(1, a.capacity/5)
		off    = 0
		held   = 0
		lowest = a.buffer + 1 // what the device held at least since it last took something
		polls  = 0
		since  = time.Now()
	)
	for off < n {
		avail := a.available()
		if avail < 0 {
			r.err = a.recover(avail)
			return r
		}
		held = a.buffer - avail
		if off == 0 && polls == 0 {
			r.paces = held >= a.capacity/4
			a.moved = a.moved || held < a.took
		}
		room := a.capacity - held
		need := min(n-off, step)
		if room >= need {
			wrote := a.call(a.lib.writei, uintptr(unsafe.Pointer(&a.buf[off*frame])), uintptr(min(n-off, room)))
			switch {
			case wrote > 0:
				off, held = off+wrote, held+wrote
				a.moved = a.moved || a.full
				a.took = held
				lowest, polls, since = a.buffer+1, 0, time.Now()
				continue
			case wrote < 0 && !again(wrote):
				r.err = a.recover(wrote)
				return r
			}
		}
		if r.err = a.begin(); r.err != nil {
			return r
		}
		r.paces, a.full = true, true
		if held < lowest {
			lowest, polls, since = held, 0, time.Now()
		}
		limit := stall
		if !a.moved {
			limit = startup
		}
		if polls++; polls > ticks && time.Since(since) > limit {
			r.err = errStalled
			return r
		}
		if !a.rest(need - room) {
			r.err = errHangs
			return r
		}
	}
	if !a.begun {
		r.err = a.begin()
	}
	r.fill, r.delay = held, a.latency()
	return r
}

// begin starts a device that has something and has not begun by itself.
func (a *alsa) begin() error {
	a.begun = true
	if int32(a.call(a.lib.state, 0, 0)) != statePrepared {
		return nil
	}
	return a.lib.check("start", a.lib.start(a.pcm))
}

// latency is how many frames are still to be heard, by the device's word.
func (a *alsa) latency() int {
	if a.call(a.lib.delay, uintptr(unsafe.Pointer(a.frames)), 0) != 0 {
		return 0
	}
	return max(0, *a.frames)
}

// rest waits about as long as the device takes to play so many frames. false: the owner has given the device up.
func (a *alsa) rest(frames int) bool {
	d := time.Duration(float64(frames)/a.pace*float64(time.Second)) + time.Millisecond
	a.sleep.Reset(min(d, 100*time.Millisecond))
	select {
	case <-a.sleep.C:
		return true
	case <-a.quit:
		a.sleep.Stop()
		return false
	}
}

// available is how many frames the device has room for, or a negative error.
func (a *alsa) available() int {
	avail := a.call(a.lib.avail, 0, 0)
	if again(avail) {
		return 0
	}
	return min(avail, a.buffer)
}

func again(answer int) bool {
	return answer == -int(syscall.EAGAIN) || answer == -int(syscall.EINTR)
}

// call calls a function of the library that takes the pcm and up to two more words and answers a long, without
// allocating.
func (a *alsa) call(fn, x, y uintptr) int {
	a.words = [3]uintptr{a.pcm, x, y}
	answer, _, _ := purego.SyscallN(fn, a.words[:]...)
	runtime.KeepAlive(a)
	a.beats.Add(1)
	return int(answer)
}

// recover makes the device ready again after an underrun or a suspended computer; anything else is final.
func (a *alsa) recover(answer int) error {
	errno := syscall.Errno(-answer)
	if errno == syscall.ESTRPIPE {
		for range ticks {
			if a.lib.resume(a.pcm) != -int32(syscall.EAGAIN) {
				break
			}
			if !a.rest(a.capacity) {
				return errHangs
			}
		}
		errno = syscall.EPIPE
	}
	if errno == syscall.EPIPE {
		a.begun = false
		if err := a.lib.check("prepare after an underrun", a.lib.prepare(a.pcm)); err != nil {
			return err
		}
		return errUnderrun
	}
	return a.lib.check("play", int32(answer))
}

// drain waits until the device has played what it holds. ALSA's own drain can hang.
func (a *alsa) drain() {
	if int32(a.call(a.lib.state, 0, 0)) == statePrepared {
		a.lib.start(a.pcm)
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		avail := a.available()
		if avail < 0 {
			return
		}
		// The one is what lies before a sound server, the other what lies behind it too.
		left := max(a.buffer-avail, a.latency())
		if left == 0 || !a.rest(left) {
			return
		}
	}
}
