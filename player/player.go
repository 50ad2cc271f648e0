package player

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Line is where live sound goes. Its methods are called by the player's loop alone.
type Line interface {
	// Wait returns when the device has played so much that it is time to give it more, and says how many frames it
	// takes then; 0 where woken has a word before that. It keeps the pace of real time, with a device and without one.
	Wait(woken <-chan struct{}) (frames int)
	// Prepare tries, without waiting, to have the device open. gen changes whenever what is written next will not join
	// what was heard before; ok is false while there is no device.
	Prepare() (gen uint64, ok bool)
	// Write hands frames over, and as many for each of Options.Pairs.
	Write(frames [][2]float64, more ...[][2]float64) error
	// Delay is how long from now the next frame written will be heard.
	Delay() time.Duration
	// Rest gives the device back, until Prepare is called again.
	Rest()
	// SetRate asks for another rate, in Hz, while nothing sounds. Rate is the one that is taken, once Prepare is ok.
	SetRate(hz int)
	Rate() int
}

// Open opens a track at a place in it, at a rate in Hz.
type Open func(ctx context.Context, file string, from time.Duration, rate int) (Source, error)

// Options is what a player is made of. Rate, Line and Open are required.
type Options struct {
	Rate int // Hz, to begin with
	Line Line
	// Open is called in a goroutine of its own; ctx ends when the track is no longer wanted.
	Open Open
	// Now is the clock that a session's anchor is told by; nil is time.Now, whose monotonic part counts.
	Now func() time.Time
	// Ceiling is the most that a Master may ask for, in dB.
	Ceiling float64
	// Loudest is the momentary loudness that nothing passes, whatever asked for more, in LUFS; 0: none.
	Loudest float64
	// Pairs are further stereo pairs of the line: the same sound, in step, each at its own level.
	Pairs []Pair
	Log   *slog.Logger // nil: the default one
	bare  bool         // without the guard: tests of what comes before it count samples
}

// Pair is one more stereo pair, headphones for one.
type Pair struct {
	Level   float64 // dB against the first pair
	Loudest float64 // as Options.Loudest, for this pair
}

const (
	blocks   = 50                     // a second
	astray   = 250 * time.Millisecond // a position further off than this is a gap, not a drift
	maxSlew  = 1000                   // one frame in so many is the fastest that a drift is made up for
	kept     = 64                     // events kept for a slow owner
	shutdown = 120 * time.Millisecond // the fade when the player is ended
	drowse   = time.Minute            // without a session, a sound check or a page, before the device is given back
	relook   = 30 * time.Second       // for a device that was not there
)

// Player plays scores on a line. Its methods may be called from any goroutine and never wait for sound.
type Player struct {
	o      Options
	events chan Event
	// The owner's latest wishes. A newer one replaces one that has not been taken yet.
	score  atomic.Pointer[wish]
	master atomic.Pointer[Master]

	woken    chan struct{} // holds a word when there is a newer wish
	attended atomic.Bool
	roused   atomic.Bool
	asleep   atomic.Bool
	lent     atomic.Bool
	ready    atomic.Pointer[Score]

	dropped atomic.Uint64
	beats   atomic.Uint64
	rate    atomic.Int64 // o.Rate, for those who make plans

	// Owned by Run, as o.Rate is.
	inner    context.Context
	wished   wish   // the last that was taken
	tuning   bool   // the line was asked for another rate, and has not answered
	base     int    // Options.Rate, of what has no rate of its own
	asked    int    // the rate that the line was asked for last
	held     *Score // what was made ready
	path     *chain
	anchor   time.Time
	running  bool           // there is a score
	gen      uint64         // of the line
	up       bool           // the line had a device
	lost     bool           // it had one once, and DeviceLost was said
	gap      bool           // what is rendered next does not join what was heard
	written  int64          // frames
	drift    float64        // frames that the position is behind, smoothed
	residual float64        // of the slew
	buf      [][2]float64   // a burst
	more     [][][2]float64 // as much for each of Options.Pairs
	cut      [][][2]float64 // of more, what is written
	block    int            // frames that are mixed at once
	idle     time.Time      // since when nobody needs the sound; zero: somebody does

	mu     sync.Mutex // never held while anything else is done
	status Status     // guarded by mu
}

type wish struct {
	score  Score
	plan   *plan
	anchor time.Time
	stop   bool
}

// Status is how the sound is.
type Status struct {
	Running  bool          // there is a score
	Position time.Duration // session time that is heard now
	Sounding []Sounding    // what is being mixed, in score order
	Master   float64       // dB; -120 is silence
	Device   bool          // the line has a device
	Seeks    uint64        // gaps: positions that were taken up anew
	Dropped  uint64        // events that nobody fetched in time
	anchor   time.Time
}

// Sounding is one clip that sounds.
type Sounding struct {
	ID, Title string
	Covered   bool // the cover bed sounds in its place
	Leaving   bool // it is gone from the score and fading out
}

// New makes a player; Run makes it play.
func New(o Options) *Player {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &Player{o: o, base: o.Rate, asked: o.Rate, events: make(chan Event, kept), woken: make(chan struct{}, 1)}
	p.rate.Store(int64(o.Rate))
	return p
}

// SetScore goes over to a score whose time 0 is (or was) at anchor. The newest call wins.
func (p *Player) SetScore(s Score, anchor time.Time) {
	p.score.Store(&wish{score: s, plan: newPlan(s, int(p.rate.Load())), anchor: anchor})
	p.wake()
}

// Stop fades everything out over 3 s and leaves the line open.
func (p *Player) Stop() {
	p.score.Store(&wish{plan: newPlan(Score{}, int(p.rate.Load())), stop: true})
	p.wake()
}

// SetMaster asks for a level. Up, it is reached at 3 dB a second at most; it never passes the ceiling. Before a
// score sounds it is set at once.
func (p *Player) SetMaster(m Master) {
	p.master.Store(&m)
	p.wake()
}

// Attend says whether somebody is there who may ask for sound at any moment. A minute after nobody is, and nothing is to sound,
// the player gives its device back and sleeps until it is needed.
func (p *Player) Attend(yes bool) {
	if p.attended.Swap(yes) != yes {
		p.wake()
	}
}

// Lend has the player give its device back as soon as nothing sounds nor is to sound, whoever is there, until it is called with
// false. A score that is set meanwhile takes the device again.
func (p *Player) Lend(yes bool) {
	if p.lent.Swap(yes) != yes {
		p.wake()
	}
}

// Rouse has the player awake for the next minute: sound may be asked for soon.
func (p *Player) Rouse() {
	p.roused.Store(true)
	p.wake()
}

// Ready prepares a score that may be started at any moment: the device switches to its rate and the first clip is opened, so that
// playback starts at once. It takes effect while the player is attended and nothing is scheduled; a sleeping player prepares when it
// wakes. The newest call wins.
func (p *Player) Ready(s Score) {
	p.ready.Store(&s)
	p.wake()
}

func (p *Player) wake() {
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// Events tells what happens to the sound. Where nobody fetches them the oldest are dropped, and counted in Status.
func (p *Player) Events() <-chan Event { return p.events }

func (p *Player) emit(e Event) {
	for {
		select {
		case p.events <- e:
			return
		default:
		}
		select {
		case <-p.events:
			p.dropped.Add(1)
		default:
		}
	}
}

// Beats grows as the player hands sound or silence to the line, in real time, also while the line has no device, and while it
// sleeps after each call. Where it stands still from one call to a later one the player is stuck.
func (p *Player) Beats() uint64 {
	n := p.beats.Load()
	if p.asleep.Load() {
		p.wake()
	}
	return n
}

// Status is how the sound is now.
func (p *Player) Status() Status {
	p.mu.Lock()
	s := p.status
	s.Sounding = slices.Clone(s.Sounding)
	p.mu.Unlock()
	if s.Running {
		s.Position = p.o.Now().Sub(s.anchor)
	}
	s.Dropped = p.dropped.Load()
	return s
}

// Run plays until ctx ends, and then fades out within a tenth of a second. It leaves the line to its owner. The
// error is the line's: it can't be written to any more.
func (p *Player) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	p.inner = inner
	p.tune()
	defer func() { p.path.mix.close() }()
	defer context.AfterFunc(ctx, p.wake)()
	for ctx.Err() == nil {
		if p.drowsy() {
			p.sleep(ctx)
			continue
		}
		if err := p.step(p.o.Line.Wait(p.woken)); err != nil {
			return err
		}
		p.beats.Add(1)
	}
	if !p.up {
		return nil
	}
	out := ramp{p.written, p.written + frames(shutdown, p.o.Rate), quarter, 0}
	for p.written < out.to {
		n := p.o.Line.Wait(nil)
		p.render(n, func() int64 { return 0 })
		p.fade(n, out)
		if err := p.write(n); err != nil {
			return err
		}
	}
	return nil
}

// drowsy reports whether nobody has needed the sound for a while, or the device is lent.
func (p *Player) drowsy() bool {
	if p.lent.Load() && p.score.Load() == nil && !p.busy() {
		return true
	}
	if p.roused.Swap(false) || p.attended.Load() || p.score.Load() != nil || p.busy() {
		p.idle = time.Time{}
		return false
	}
	if p.idle.IsZero() {
		p.idle = p.o.Now()
	}
	return p.o.Now().Sub(p.idle) >= drowse
}

// busy reports whether anything sounds or is scheduled to sound. It asks the score, not the mix, which gets a score only once the line
// plays at its rate.
func (p *Player) busy() bool {
	if p.path.mix.audible() {
		return true
	}
	s, now := &p.wished.score, p.elapsed()
	return p.running && (s.End == 0 || now < s.End) && slices.ContainsFunc(s.Clips, func(c Clip) bool { return now < c.End })
}

// sleep gives the device back until somebody needs the sound. A device that was not there is looked for now and then, so
// that what is said of it stays true.
func (p *Player) sleep(ctx context.Context) {
	p.asleep.Store(true)
	defer p.asleep.Store(false)
	line := p.o.Line
	missing := !p.up
	p.up, p.lost = false, false
	p.path.mix.hold(nil)
	p.report()
	line.Rest()
	t := time.NewTimer(relook)
	defer t.Stop()
	for ctx.Err() == nil && p.drowsy() {
		select {
		case <-p.woken:
			p.take(p.elapsed())
			p.beats.Add(1)
			continue
		case <-t.C:
		}
		if missing && !p.lent.Load() {
			line.Prepare()
			line.Wait(p.woken) // for the opening
			_, ok := line.Prepare()
			missing = !ok
			line.Rest()
		}
		t.Reset(relook)
	}
}

// step plays a burst of n frames.
func (p *Player) step(n int) error {
	gen, ok := p.o.Line.Prepare()
	if !ok {
		if p.up {
			p.up, p.lost = false, true
			p.path.mix.seek(p.path.mix.pos, false) // without a device nothing is audible
			p.emit(Event{Kind: DeviceLost, At: p.elapsed()})
		}
		p.take(p.elapsed())
		p.grow(n)
		p.hush(0, n)
		p.report()
		return p.write(n)
	}
	if hz := p.o.Line.Rate(); hz != p.o.Rate || p.tuning {
		n = int(int64(n) * int64(hz) / int64(p.o.Rate))
		p.retune(hz)
	}
	cut := !p.up || gen != p.gen
	p.gap = p.gap || cut
	if p.lost {
		p.lost = false
		p.emit(Event{Kind: DeviceBack, At: p.elapsed()})
	}
	p.up, p.gen = true, gen
	if cut {
		p.path.reset()
	}
	at := p.elapsed() + p.delay()
	if taken := p.take(at); taken {
		at = p.elapsed() + p.delay()
	}
	if p.tuning {
		return nil // what was rendered at the old rate would come before the first frame at the new one
	}
	if n == 0 {
		if !p.gap { // else the next burst is elsewhere
			p.path.mix.prepare()
		}
		return nil
	}
	target := frames(at, p.o.Rate)
	p.render(n, func() int64 {
		slew := p.follow(target, p.gap)
		target, p.gap = target+int64(p.block), false
		return slew
	})
	p.report()
	return p.write(n)
}

// write hands n frames of what was rendered to the line.
func (p *Player) write(n int) error {
	more := p.cut[:0]
	for _, b := range p.more {
		more = append(more, b[:n])
	}
	if err := p.o.Line.Write(p.buf[:n], more...); err != nil {
		return err
	}
	p.written += int64(n)
	return nil
}

func (p *Player) elapsed() time.Duration {
	if p.anchor.IsZero() {
		return 0
	}
	return p.o.Now().Sub(p.anchor)
}

// take goes over to what the owner wishes. It reports whether the score has changed.
func (p *Player) take(at time.Duration) bool {
	if m := p.master.Swap(nil); m != nil {
		p.path.level.ask(*m, !p.running && !p.path.mix.audible() || !p.up)
	}
	w := p.score.Swap(nil)
	if !p.asleep.Load() {
		if r := p.ready.Swap(nil); r != nil && w == nil && !p.busy() {
			return p.prepare(r)
		}
	}
	if w == nil {
		return false
	}
	if w.plan.rate != p.o.Rate {
		w.plan = newPlan(w.score, p.o.Rate)
	}
	if w.stop {
		p.running = false
		p.path.mix.setPlan(w.plan)
		return true
	}
	shift := p.anchor.Sub(w.anchor)
	fresh := p.anchor.IsZero() || shift > astray || shift < -astray
	if fresh {
		p.anchor = w.anchor
		p.path.mix.seek(frames(p.o.Now().Sub(w.anchor)+p.delay(), p.o.Rate), true)
		p.drift = 0
	}
	p.anchor, p.running, p.wished = w.anchor, true, *w
	if fresh && !p.path.mix.audible() && p.wantRate(w.score.Rate) {
		return true
	}
	p.path.mix.setPlan(w.plan)
	return true
}

// wantRate asks the line for the rate of a score, while nothing sounds. It reports whether that is another one.
func (p *Player) wantRate(hz int) bool {
	if hz == 0 {
		hz = p.base
	}
	if hz == p.asked {
		return false
	}
	p.asked = hz
	p.o.Line.SetRate(hz)
	p.up, p.tuning = false, true // no loss: what comes next is an opening
	return true
}

// prepare makes ready for a score.
func (p *Player) prepare(s *Score) bool {
	p.running = false
	p.held = nil
	if len(s.Clips) > 0 && s.Clips[0].File != "" {
		p.held = s
	}
	if p.wantRate(s.Rate) {
		return true
	}
	p.holdFirst()
	return false
}

func (p *Player) holdFirst() {
	if p.held == nil {
		p.path.mix.hold(nil)
		return
	}
	p.path.mix.hold(&newPlan(*p.held, p.o.Rate).clips[0])
}

// tune makes what depends on the rate.
func (p *Player) tune() {
	p.block = p.o.Rate / blocks
	p.buf, p.more = nil, make([][][2]float64, len(p.o.Pairs))
	p.cut = make([][][2]float64, 0, len(p.o.Pairs))
	old := p.path
	p.path = newChain(p.inner, p.o, p.block, p.emit)
	if old != nil {
		old.mix.close()
		p.path.level.db, p.path.level.to, p.path.level.speed = old.level.db, old.level.to, old.level.speed
	}
}

// grow makes room for bursts of n frames.
func (p *Player) grow(n int) {
	if n <= len(p.buf) {
		return
	}
	p.buf = make([][2]float64, n)
	for k := range p.more {
		p.more[k] = make([][2]float64, n)
	}
}

// retune goes over to another rate, while nothing is heard.
func (p *Player) retune(hz int) {
	p.o.Rate, p.tuning = hz, false
	p.rate.Store(int64(hz))
	p.tune()
	p.written, p.drift, p.residual = 0, 0, 0
	if p.running {
		p.path.mix.setPlan(newPlan(p.wished.score, hz))
	} else {
		p.holdFirst()
	}
}

func (p *Player) delay() time.Duration {
	if !p.up {
		return 0
	}
	return p.o.Line.Delay() + duration(p.path.late(), p.o.Rate)
}

// follow keeps the position with the session's clock: by a slew where the device's clock drifts, anew after a gap.
func (p *Player) follow(target int64, cut bool) (slew int64) {
	if p.anchor.IsZero() {
		return 0
	}
	off := target - p.path.mix.pos
	if limit := frames(astray, p.o.Rate); cut || off > limit || off < -limit {
		// Behind, the line has run dry meanwhile, so that nothing is left to fade out.
		p.path.mix.seek(target, off < 0 && !cut)
		p.drift, p.residual = 0, 0
		if p.running {
			p.seeks()
		}
		return 0
	}
	p.drift += (float64(off) - p.drift) / 32
	limit := float64(p.block) / maxSlew
	p.residual += max(min(p.drift/64, limit), -limit)
	whole := math.Trunc(p.residual)
	p.residual -= whole
	return int64(whole)
}

func (p *Player) seeks() {
	p.mu.Lock()
	p.status.Seeks++
	p.mu.Unlock()
}

// render fills buf with the next n frames, block by block. Before each the position is moved by what slew says.
func (p *Player) render(n int, slew func() int64) {
	p.grow(n)
	for from := 0; from < n; from += p.block {
		s := slew()
		to := min(from+p.block, n)
		if p.path.rests() {
			p.hush(from, to)
			p.path.mix.pos += int64(to - from)
		} else {
			p.path.Stream(p.buf[from:to])
			for k, pair := range p.path.pairs {
				pair.Stream(p.more[k][from:to])
			}
		}
		p.path.mix.pos += s
	}
}

// hush makes silence of frames from to to.
func (p *Player) hush(from, to int) {
	clear(p.buf[from:to])
	for _, b := range p.more {
		clear(b[from:to])
	}
}

// fade fades n frames that were rendered.
func (p *Player) fade(n int, r ramp) {
	env := unit(make([]float64, n), int64(n))
	r.mul(env, p.written)
	for i, g := range env {
		p.buf[i][0] *= g
		p.buf[i][1] *= g
		for _, b := range p.more {
			b[i][0] *= g
			b[i][1] *= g
		}
	}
}

// report renews the status, unless somebody is just reading it: the next block is soon enough.
func (p *Player) report() {
	if !p.mu.TryLock() {
		return
	}
	defer p.mu.Unlock()
	s := &p.status
	s.Running, s.anchor, s.Master, s.Device = p.running, p.anchor, p.path.level.told(), p.up
	s.Sounding = s.Sounding[:0]
	for _, d := range p.path.mix.decks {
		if d.audible() {
			s.Sounding = append(s.Sounding, Sounding{d.id(), d.clip.Title, !d.track.heard, d.state == leaving})
		}
	}
}
