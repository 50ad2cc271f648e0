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
	// Prepare tries, without waiting, to have the device open. gen changes whenever what is written next will not join
	// what was heard before; ok is false while there is no device.
	Prepare() (gen uint64, ok bool)
	// Write hands a block over, with one for each of Options.Pairs, and keeps the pace of real time, with a device and without one.
	Write(block [][2]float64, more ...[][2]float64) error
	// Delay is how long from now the next frame written will be heard.
	Delay() time.Duration
	// Stir says that sound will come, before the silence up to it is written.
	Stir()
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
	// OpenSoon is Open for a track that is due already: with it the first frames come sooner. nil: Open.
	OpenSoon Open
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

// pair is what a pair plays.
type pair struct {
	Pair
	last last
	gain float64
}

const (
	blocks   = 50                     // a second
	astray   = 250 * time.Millisecond // a position further off than this is a gap, not a drift
	maxSlew  = 1000                   // one frame in so many is the fastest that a drift is made up for
	waiting  = 64                     // events kept for a slow owner
	shutdown = 120 * time.Millisecond // the fade when the player is ended
)

// Player plays scores on a line. Its methods may be called from any goroutine and never wait for sound.
type Player struct {
	o      Options
	events chan Event
	// The owner's latest wishes. A newer one replaces one that has not been taken yet.
	score  atomic.Pointer[wish]
	master atomic.Pointer[Master]

	dropped atomic.Uint64
	beats   atomic.Uint64
	rate    atomic.Int64 // o.Rate, for those who make plans

	// Owned by Run, as o.Rate is.
	inner    context.Context
	wished   wish // the last that was taken
	tuning   bool // the line was asked for another rate, and has not answered
	mix      *mixer
	level    master
	last     last
	anchor   time.Time
	running  bool    // there is a score
	gen      uint64  // of the line
	up       bool    // the line had a device
	lost     bool    // it had one once, and DeviceLost was said
	written  int64   // frames
	drift    float64 // frames that the position is behind, smoothed
	residual float64 // of the slew
	buf      [][2]float64
	pairs    []pair
	more     [][][2]float64 // a block for each of pairs

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
	p := &Player{o: o, events: make(chan Event, waiting), level: master{rate: o.Rate, ceiling: o.Ceiling}}
	p.rate.Store(int64(o.Rate))
	for _, q := range o.Pairs {
		p.pairs = append(p.pairs, pair{Pair: q, gain: linear(q.Level)})
		p.more = append(p.more, nil)
	}
	return p
}

// SetScore goes over to a score whose time 0 is (or was) at anchor. The newest call wins.
func (p *Player) SetScore(s Score, anchor time.Time) {
	p.score.Store(&wish{score: s, plan: newPlan(s, int(p.rate.Load())), anchor: anchor})
}

// Stop fades everything out over 3 s and leaves the line open.
func (p *Player) Stop() { p.score.Store(&wish{plan: newPlan(Score{}, int(p.rate.Load())), stop: true}) }

// SetMaster asks for a level. Up, it is reached at 3 dB a second at most; it never passes the ceiling. Before a
// score sounds it is set at once.
func (p *Player) SetMaster(m Master) { p.master.Store(&m) }

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

// Beats is how many blocks of sound or silence, of a 50th of a second each, have been handed to the line. It grows in real
// time, also while the line has no device; where it stands still the player is stuck.
func (p *Player) Beats() uint64 { return p.beats.Load() }

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
	defer func() { p.mix.close() }()
	for ctx.Err() == nil {
		if err := p.step(); err != nil {
			return err
		}
		p.beats.Add(1)
	}
	if !p.up {
		return nil
	}
	out := ramp{p.written, p.written + frames(shutdown, p.o.Rate), quarter, 0}
	for p.written < out.to {
		p.render(0)
		p.fade(out)
		if err := p.o.Line.Write(p.buf, p.more...); err != nil {
			return err
		}
		p.written += int64(len(p.buf))
	}
	return nil
}

// step plays one block.
func (p *Player) step() error {
	gen, ok := p.o.Line.Prepare()
	if !ok {
		if p.up {
			p.up, p.lost = false, true
			p.emit(Event{Kind: DeviceLost, At: p.elapsed()})
		}
		p.take(p.elapsed())
		clear(p.buf)
		for _, b := range p.more {
			clear(b)
		}
		p.report()
		return p.o.Line.Write(p.buf, p.more...)
	}
	if hz := p.o.Line.Rate(); hz != p.o.Rate || p.tuning {
		p.retune(hz)
	}
	cut := !p.up || gen != p.gen
	if p.lost {
		p.lost = false
		p.emit(Event{Kind: DeviceBack, At: p.elapsed()})
	}
	p.up, p.gen = true, gen

	if cut {
		p.last.reset() // what is on its way in it belongs to before the gap
		for k := range p.pairs {
			p.pairs[k].last.reset()
		}
	}
	at := p.elapsed() + p.delay()
	if taken := p.take(at); taken {
		at = p.elapsed() + p.delay()
	}
	slew := p.follow(frames(at, p.o.Rate), cut)
	p.render(slew)
	p.report()
	if err := p.o.Line.Write(p.buf, p.more...); err != nil {
		return err
	}
	p.written += int64(len(p.buf))
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
		p.level.ask(*m, !p.running && !p.audible() || !p.up)
	}
	w := p.score.Swap(nil)
	if w == nil {
		return false
	}
	if w.plan.rate != p.o.Rate {
		w.plan = newPlan(w.score, p.o.Rate)
	}
	if w.stop {
		p.running = false
		p.mix.setPlan(w.plan)
		return true
	}
	p.o.Line.Stir()
	shift := p.anchor.Sub(w.anchor)
	fresh := p.anchor.IsZero() || shift > astray || shift < -astray
	if fresh {
		p.anchor = w.anchor
		p.mix.seek(frames(p.o.Now().Sub(w.anchor)+p.delay(), p.o.Rate), true)
		p.drift = 0
	}
	tune := w.score.Rate != 0 && w.score.Rate != p.o.Rate && fresh && !p.audible()
	p.anchor, p.running, p.wished = w.anchor, true, *w
	if tune {
		p.o.Line.SetRate(w.score.Rate)
		p.up, p.tuning = false, true // no loss: what comes next is an opening
		return true
	}
	p.mix.setPlan(w.plan)
	return true
}

// tune makes what depends on the rate.
func (p *Player) tune() {
	p.buf = make([][2]float64, p.o.Rate/blocks)
	p.last = newLast(p.o)
	for k := range p.pairs {
		o := p.o
		o.Loudest = p.pairs[k].Loudest
		p.pairs[k].last, p.more[k] = newLast(o), make([][2]float64, len(p.buf))
	}
	p.mix = newMixer(p.inner, p.o.Rate, len(p.buf), p.o.Open, p.emit)
	if p.o.OpenSoon != nil {
		p.mix.openSoon = p.o.OpenSoon
	}
}

// retune goes over to another rate, while nothing is heard.
func (p *Player) retune(hz int) {
	p.o.Rate, p.tuning = hz, false
	p.rate.Store(int64(hz))
	p.mix.close()
	p.tune()
	p.level.rate = hz
	p.written, p.drift, p.residual = 0, 0, 0
	if p.running {
		p.mix.setPlan(newPlan(p.wished.score, hz))
	}
}

func (p *Player) delay() time.Duration {
	if !p.up {
		return 0
	}
	return p.o.Line.Delay() + duration(p.last.delay(), p.o.Rate)
}

func (p *Player) audible() bool {
	return slices.ContainsFunc(p.mix.decks, (*deck).audible)
}

// follow keeps the position with the session's clock: by a slew where the device's clock drifts, anew after a gap.
func (p *Player) follow(target int64, cut bool) (slew int64) {
	if p.anchor.IsZero() {
		return 0
	}
	off := target - p.mix.pos
	if limit := frames(astray, p.o.Rate); cut || off > limit || off < -limit {
		// Behind, the line has run dry meanwhile, so that nothing is left to fade out.
		p.mix.seek(target, off < 0 && !cut)
		p.drift, p.residual = 0, 0
		if p.running {
			p.seeks()
		}
		return 0
	}
	p.drift += (float64(off) - p.drift) / 32
	limit := float64(len(p.buf)) / maxSlew
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

// render fills buf with the next block.
func (p *Player) render(slew int64) {
	p.mix.mix(p.buf, slew)
	p.level.process(p.buf)
	for k := range p.pairs {
		q, buf := &p.pairs[k], p.more[k]
		for i, f := range p.buf {
			buf[i] = [2]float64{f[0] * q.gain, f[1] * q.gain}
		}
		q.last.process(buf, p.mix.plan, p.mix.pos, p.level.db+q.Level)
	}
	p.last.process(p.buf, p.mix.plan, p.mix.pos, p.level.db)
}

func (p *Player) fade(r ramp) {
	n := int64(len(p.buf))
	if g, flat := r.flat(p.written, p.written+n); flat && g == 1 {
		return
	}
	env := p.mix.unit(n)
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
	s.Running, s.anchor, s.Master, s.Device = p.running, p.anchor, p.level.level(), p.up
	s.Sounding = s.Sounding[:0]
	for _, d := range p.mix.decks {
		if d.audible() {
			s.Sounding = append(s.Sounding, Sounding{d.id(), d.clip.Title, !d.sounding, d.retired})
		}
	}
}
