package player

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"roomd/player/beds"
)

const (
	horizon   = 12 * time.Second // decks are opened this much ahead of their start
	spare     = 4                // decks open and not yet due, at most
	lateEntry = 2 * time.Second  // the fade-in of what starts in its middle, and of a stand-in
	leave     = 3 * time.Second  // the fade-out of a clip that is gone from the score
	patience  = time.Second      // a clip that is due and not heard for so long gets its stand-in
	soon      = time.Second      // what starts within it is due already, as far as opening it goes
	slack     = 500 * time.Millisecond
)

// BedLUFS is what a bed measures at Gain 0, LUFS.
const BedLUFS = -23.0

// mixer turns a plan and a position into frames. It is one and the same for live sound and for a render: offline it
// waits for its sources, live it never does. It belongs to one goroutine.
type mixer struct {
	rate int
	ctx  context.Context // ends the openers
	open Open
	// openSoon is open for what is due already
	openSoon Open
	offline  bool
	notify   func(Event)

	plan  *plan
	next  int   // clips of the plan before this one have been looked at
	pos   int64 // session position of the next frame
	decks []*deck
	rise  bool // nothing has been heard since a gap: what comes next rises from silence

	block int // frames a mix, at most
	env   []float64
}

func newMixer(ctx context.Context, rate, block int, open Open, notify func(Event)) *mixer {
	return &mixer{
		rate: rate, ctx: ctx, open: open, openSoon: open, notify: notify, plan: newPlan(Score{}, rate),
		block: block, env: make([]float64, block),
	}
}

func (m *mixer) frames(d time.Duration) int64 { return frames(d, m.rate) }

// tail is how many frames each deck holds beyond a block, to fade out over where its source runs dry.
func (m *mixer) tail() int { return m.rate / 20 }

func (m *mixer) event(kind EventKind, d *deck, at int64, err error) {
	e := Event{Kind: kind, Clip: d.id(), At: duration(at, m.rate)}
	if err != nil {
		e.Detail = err.Error()
	}
	m.notify(e)
}

// setPlan goes over to another plan from the present position on.
func (m *mixer) setPlan(p *plan) {
	m.plan, m.next = p, 0
	kept := m.decks[:0]
	for _, d := range m.decks {
		c, ok := p.byID[d.id()]
		switch {
		case d.retired:
			kept = append(kept, d)
		case ok && c.File == d.clip.File && c.Bed == d.clip.Bed && m.adopt(d, c):
			kept = append(kept, d)
		case d.audible():
			m.retire(d)
			kept = append(kept, d)
		default:
			d.silence()
		}
	}
	clear(m.decks[len(kept):])
	m.decks = kept
}

// adopt goes over to a new description of the same clip, without a step in what is heard. It reports false where the
// deck is of no use for it.
func (m *mixer) adopt(d *deck, c *part) bool {
	old := d.clip
	switch {
	case d.over:
		// It had reached its end, and now ends later: open it again at its place.
		if c.end > old.end && !d.ranOut && c.end > m.pos+m.frames(slack) {
			return false
		}
		d.clip = *c
		return true
	case !d.begun && !d.failed:
		if c.from != old.from || c.start < m.pos && c.start != old.start {
			return false
		}
		d.clip, d.gain = *c, c.gain
		d.exit, d.stop = m.wayOut(d, c), c.from+c.end-c.start
		return true
	}
	d.stop = c.from + c.end - c.start
	if d.moved = d.moved || c.start != old.start || c.from != old.from; d.moved {
		d.stop = d.place + c.end - m.pos
	}
	if d.failed && c.fadeOut < m.frames(patience) {
		cover := *c
		m.standEnd(&cover)
		c = &cover
	}
	if from, to := d.gain.at(m.pos), c.gain.at(m.pos); from != to {
		// A level that changes under a sounding clip glides, up at 3 dB a second, down at 6.
		rate := 3.0
		if to < from {
			rate = 6
		}
		over := frames(time.Duration(max(to-from, from-to)/rate*float64(time.Second)), m.rate)
		d.gain = levels{{m.pos, from}, {m.pos + max(over, 1), to}}
	}
	curve := old.curve
	d.clip = *c
	d.clip.curve = curve // a curve that was found meanwhile would be a step
	d.exit = m.wayOut(d, c)
	return true
}

// wayOut is how d leaves by clip c, going on from where its present way out is.
func (m *mixer) wayOut(d *deck, c *part) exit {
	angle := d.exit.at(m.pos)
	e := exit{back: ramp{m.pos, m.pos + m.frames(lateEntry), angle, quarter}}
	if c.fadeOut == 0 {
		e.out = ramp{from: 1<<62 - 1, to: 1<<62 - 1, a: quarter, b: quarter}
		return e
	}
	begin, end := c.end-c.fadeOut, c.end
	if begin < m.pos && angle > 0 && d.audible() {
		if d.exit.out.to == c.end && d.exit.out.from <= m.pos {
			return d.exit // the same way out, already begun
		}
		begin, end = m.pos, max(end, m.pos+min(c.fadeOut, m.frames(leave)))
	}
	e.out = ramp{from: begin, to: end, a: e.back.at(begin), b: 0}
	return e
}

// retire fades d out over what is left of its fade, 3 s at most.
func (m *mixer) retire(d *deck) {
	d.retired = true
	end := m.pos + m.frames(leave)
	if out := d.exit.out; out.b == 0 && out.from <= m.pos {
		end = min(end, max(out.to, m.pos+1))
	}
	d.exit = exit{out: ramp{m.pos, end, d.exit.at(m.pos), 0}}
}

// seek goes to another position. What is heard fades out where keep is set; otherwise it is gone already, since the
// line has had a gap. What sounds at the new position fades in.
func (m *mixer) seek(to int64, keep bool) {
	delta := to - m.pos
	left := m.decks[:0]
	for _, d := range m.decks {
		switch {
		case keep && d.audible():
			if !d.retired {
				m.retire(d)
			}
			out := &d.exit.out
			out.from, out.to = out.from+delta, out.to+delta
			d.in.from, d.in.to = d.in.from+delta, d.in.to+delta
			d.origin += delta
			left = append(left, d)
		case !keep && delta > -m.frames(slack) && delta < m.frames(horizon) && !d.retired && d.main != nil && d.begun && !d.failed && !d.over:
			// A short gap: the source goes on, what would have sounded in the gap is thrown away.
			d.sounding, d.waiting, d.dip = false, to, ramp{}
			left = append(left, d)
		default:
			d.silence()
		}
	}
	clear(m.decks[len(left):])
	m.decks, m.pos, m.next = left, to, 0
	m.rise = !slices.ContainsFunc(left, (*deck).audible)
}

// close frees everything.
func (m *mixer) close() {
	for _, d := range m.decks {
		d.silence()
	}
	m.decks = nil
}

func (m *mixer) deck(id string) *deck {
	for _, d := range m.decks {
		if !d.retired && d.id() == id {
			return d
		}
	}
	return nil
}

// prepare opens decks for what starts within the horizon.
func (m *mixer) prepare() {
	idle := 0
	for _, d := range m.decks {
		if !d.begun && !d.failed && d.clip.start > m.pos {
			idle++
		}
	}
	for ; m.next < len(m.plan.clips); m.next++ {
		c := &m.plan.clips[m.next]
		if c.start >= m.pos+m.frames(horizon) || c.start > m.pos && idle >= spare {
			return
		}
		if c.end <= m.pos || m.deck(c.ID) != nil {
			continue
		}
		if c.start > m.pos {
			idle++
		}
		place := c.from + max(m.pos-c.start, 0)
		d := &deck{
			clip: *c, place: place, stop: c.from + c.end - c.start, waiting: -1, gain: c.gain, in: full, dip: full,
			main: openTap(m.ctx, m.opener(c, c.start < m.pos+m.frames(soon)), duration(place, m.rate), m.block+m.tail()),
		}
		d.exit = exit{back: full, out: full}
		d.exit = m.wayOut(d, c)
		i, _ := slices.BinarySearchFunc(m.decks, c.start, func(d *deck, start int64) int {
			if d.clip.start <= start {
				return -1
			}
			return 1
		})
		m.decks = slices.Insert(m.decks, i, d)
	}
}

func (m *mixer) opener(c *part, soon bool) opener {
	if c.Bed != "" {
		return m.bed(c.Bed, c.seed)
	}
	file, open := c.File, m.open
	if soon {
		open = m.openSoon
	}
	return func(ctx context.Context, from time.Duration) (Source, error) {
		src, err := open(ctx, file, from, m.rate)
		if err == nil && m.offline {
			src = readAhead(src)
		}
		return src, err
	}
}

func (m *mixer) bed(name string, seed uint64) opener {
	return func(_ context.Context, from time.Duration) (Source, error) {
		b, err := beds.New(name, seed, m.rate, from)
		if err != nil {
			return nil, err
		}
		if m.offline {
			return readAhead(endless{b}), nil
		}
		return endless{b}, nil
	}
}

// endless makes a source of a bed.
type endless struct{ bed beds.Bed }

func (e endless) Stream(s [][2]float64) (int, bool)    { e.bed.Fill(s); return len(s), true }
func (e endless) TryStream(s [][2]float64) (int, bool) { return e.Stream(s) }
func (e endless) Err() error                           { return nil }
func (e endless) Close() error                         { return nil }

// mix adds up the next frames of the session and moves the position on by slew frames more (or fewer) than that.
func (m *mixer) mix(dst [][2]float64, slew int64) {
	clear(dst)
	m.prepare()
	for _, d := range m.decks {
		m.play(d, dst)
	}
	m.pos += int64(len(dst)) + slew
	m.rise = m.rise && !slices.ContainsFunc(m.decks, (*deck).audible)
	kept := m.decks[:0]
	for _, d := range m.decks {
		_, planned := m.plan.byID[d.id()]
		if d.over && (d.retired || !planned || m.pos > d.clip.end+m.frames(slack)) {
			d.silence()
			continue
		}
		kept = append(kept, d)
	}
	clear(m.decks[len(kept):])
	m.decks = kept
}

// due is the frame of this block (n long) with which d starts.
func (m *mixer) due(d *deck, n int) (at int, ok bool) {
	if d.audible() || d.begun {
		return 0, true
	}
	start := d.clip.start
	if d.clip.follows != "" {
		if b := m.deck(d.clip.follows); b != nil && b.begun && !b.failed {
			switch {
			case b.over:
				start = b.over0
			case m.pos+int64(n) <= start+m.frames(slack):
				return 0, false
			}
		}
	}
	if start >= m.pos+int64(n) {
		return 0, false
	}
	return int(max(start-m.pos, 0)), true
}

func (m *mixer) play(d *deck, dst [][2]float64) {
	if d.over {
		return
	}
	at, due := m.due(d, len(dst))
	ready := d.main.poll(m.offline && due)
	if ready && d.main.src == nil && !d.failed {
		m.fail(d, ClipFailed, max(d.clip.start, m.pos), d.main.err)
	}
	if !due {
		return
	}
	p := m.pos + int64(at)
	if p >= d.clip.end && !d.audible() {
		m.finish(d, p)
		return
	}
	if d.waiting < 0 && !d.sounding {
		d.waiting = p
	}
	if ready && !d.failed && !d.sounding && !d.retired {
		m.enter(d, p, len(dst)-at)
	}
	end := -1
	if d.sounding {
		end = m.playMain(d, dst[at:], p)
	}
	if !d.over && !d.sounding {
		from := p
		if end >= 0 {
			from += int64(end)
		}
		m.standFor(d, from)
	}
	if d.stand != nil && !d.over {
		m.playStand(d, dst[at:], p)
	}
	if !d.over && m.pos+int64(len(dst)) >= d.exit.out.to {
		m.finish(d, d.exit.out.to)
	}
}

// enter begins to play a deck that is due at p, or goes on where it was held up, as soon as it is at its place.
func (m *mixer) enter(d *deck, p int64, n int) {
	late := p - d.clip.start
	first := !d.begun
	whole := first && d.place == d.clip.from && (late <= m.frames(slack) || d.clip.follows != "" && late <= 2*m.frames(slack))
	if !whole {
		want := d.clip.from + late
		if d.moved {
			want = p - d.origin
		}
		if skip := want - d.place; skip > 0 {
			d.place += d.main.drop(skip, m.offline)
			if d.place < want && !d.main.drained {
				return
			}
		}
	}
	d.main.fill(n+m.tail(), m.offline)
	if d.main.have < min(n+m.tail(), len(d.main.buf)) && !d.main.drained {
		return
	}
	if d.main.have == 0 {
		m.ended(d, p, d.clip.end-p)
		return
	}
	if c := m.plan.byID[d.id()]; d.standUp && c != nil {
		// The stand-in had given it an ending; it has its own again.
		d.clip.end, d.clip.fadeOut, d.clip.joined = c.end, c.fadeOut, c.joined
		d.exit = m.wayOut(d, c)
	}
	d.in = ramp{p, p + d.clip.fadeIn, 0, quarter}
	if !whole && !m.offline {
		d.in.to = p + max(m.frames(lateEntry), d.clip.fadeIn-late)
	} else if !whole {
		d.in.from, d.in.to = d.clip.start, d.clip.start+d.clip.fadeIn
	}
	if m.rise && !m.offline {
		d.in.to = max(d.in.to, p+m.frames(lateEntry))
	}
	if d.in.to == d.in.from {
		d.in = full
	}
	d.origin = p - d.place
	d.dip = full
	d.sounding, d.begun, d.waiting = true, true, -1
	if d.standUp {
		d.standOut = ramp{p, p + m.frames(lateEntry), quarter, 0}
	}
	if first {
		m.event(ClipStarted, d, p, nil)
	}
}

// playMain adds the clip's own frames, the first of which is at position p. Where the source has no more, it returns
// the index of the frame after the last, else -1.
func (m *mixer) playMain(d *deck, dst [][2]float64, p int64) int {
	t, n := d.main, len(dst)
	t.fill(n+m.tail(), m.offline)
	own := d.clip.fadeOut == 0 && !d.retired // it ends with its own last frame
	left := d.exit.out.to - p                // frames that are still due
	if own {
		left = d.stop - d.place
	}
	if t.drained && d.dip.b != 0 && left > int64(t.have) {
		if early := left - int64(t.have); early > m.frames(slack) || !own {
			d.dip = m.lastFade(d, t.have)
		}
	}
	if own && !d.clip.runsOn && d.dip.b != 0 && left < int64(t.have) && left <= int64(n+m.tail()) {
		// The file has more than the clip is to play: no step at the cut.
		d.dip = ramp{d.stop - int64(m.rate/200), d.stop, quarter, 0}
	}
	if !t.drained && t.have < min(n+m.tail(), len(t.buf)) {
		d.dip = m.lastFade(d, min(t.have, n))
		k := min(t.have, n)
		m.add(dst[:k], t.buf, d, p)
		t.take(k)
		d.place += int64(k)
		d.sounding, d.waiting = false, p+int64(k)
		return k
	}
	k := min(n, t.have)
	if own {
		k = int(min(int64(k), max(left, 0)))
	}
	m.add(dst[:k], t.buf, d, p)
	t.take(k)
	d.place += int64(k)
	if own && d.place >= d.stop {
		m.finish(d, p+int64(k))
		return k
	}
	if k < n || t.drained && t.have == 0 {
		m.ended(d, p+int64(k), left-int64(k))
		return k
	}
	return -1
}

// ended is the end of d's source at position p, early frames before it was due.
func (m *mixer) ended(d *deck, p, early int64) {
	d.ranOut = true
	switch {
	case early <= m.frames(slack) || d.retired:
		m.finish(d, p)
	case d.main.err != nil:
		m.fail(d, ClipFailed, p, d.main.err)
	default:
		m.fail(d, ClipShort, p, nil)
	}
}

// lastFade is the fade over the last frames of the k that are left.
func (m *mixer) lastFade(d *deck, k int) ramp {
	end := d.place + int64(k)
	return ramp{end - int64(min(k, m.tail())), end, quarter, 0}
}

// add mixes frames of the clip that begin at position p.
func (m *mixer) add(dst, src [][2]float64, d *deck, p int64) {
	n := int64(len(dst))
	if n == 0 {
		return
	}
	q, place := p+n, d.place
	in, flat := d.in.flat(p, q)
	out, flat2 := d.exit.flat(p, q)
	dip, flat3 := d.dip.flat(place, place+n)
	gain, flat4 := d.gain.flat(p, q)
	curve, flat5 := d.clip.curve.flat(place, place+n)
	if flat && flat2 && flat3 && flat4 && flat5 {
		g := in * out * dip * gain * curve
		for i := range dst {
			dst[i][0] += g * src[i][0]
			dst[i][1] += g * src[i][1]
		}
		return
	}
	env := m.unit(n)
	d.in.mul(env, p)
	d.exit.mul(env, p)
	d.dip.mul(env, place)
	d.gain.mul(env, p)
	d.clip.curve.mul(env, place)
	for i, g := range env {
		dst[i][0] += g * src[i][0]
		dst[i][1] += g * src[i][1]
	}
}

func (m *mixer) unit(n int64) []float64 {
	env := m.env[:n]
	for i := range env {
		env[i] = 1
	}
	return env
}

// fail gives a clip up and lets the cover bed stand in for it from position p on.
func (m *mixer) fail(d *deck, kind EventKind, p int64, err error) {
	d.failed, d.sounding = true, false
	d.main.close()
	switch {
	case kind == ClipShort:
		err = fmt.Errorf("ended %v before its time", duration(max(d.clip.end-p, 0), m.rate).Round(time.Millisecond))
	case err == nil:
		err = errors.New("no reason given")
	}
	m.event(kind, d, p, err)
}

// standEnd gives a clip that a bed stands in for a fade-out: across the clip that joins it, else up to its own end.
func (m *mixer) standEnd(c *part) {
	c.fadeOut = m.frames(lateEntry)
	if c.joined {
		c.end += c.fadeOut
		c.joined = false
	}
}

// standFor opens the stand-in of a clip that is not heard, once that has lasted.
func (m *mixer) standFor(d *deck, p int64) {
	name := m.plan.cover
	if name == "" || d.retired || d.stand != nil || p >= d.exit.out.to {
		return
	}
	if !d.failed && p-d.waiting < m.frames(patience) {
		return
	}
	if d.clip.fadeOut < m.frames(patience) {
		// A bed has no ending of its own.
		m.standEnd(&d.clip)
		d.exit = exit{back: full, out: ramp{d.clip.end - d.clip.fadeOut, d.clip.end, quarter, 0}}
	}
	open := m.bed(name, d.clip.seed+1)
	d.stand = openTap(m.ctx, open, duration(max(p, 0), m.rate), m.block)
	d.standUp, d.standIn, d.standOut = false, ramp{}, full
}

func (m *mixer) playStand(d *deck, dst [][2]float64, p int64) {
	t := d.stand
	if !t.poll(m.offline) {
		return
	}
	if t.src == nil {
		return
	}
	if !d.standUp {
		d.standUp = true
		begin := max(p, d.waiting)
		length := m.frames(lateEntry)
		if begin == d.clip.start {
			length = max(length, d.clip.fadeIn)
		}
		d.standIn = ramp{begin, begin + length, 0, quarter}
	}
	t.fill(len(dst), m.offline)
	n := int64(t.have)
	env := m.unit(n)
	d.standIn.mul(env, p)
	d.standOut.mul(env, p)
	d.exit.mul(env, p)
	if target, ok := m.plan.target(p); ok {
		scale(env, linear(min(target-BedLUFS, 12)))
	}
	for i, g := range env {
		dst[i][0] += g * t.buf[i][0]
		dst[i][1] += g * t.buf[i][1]
	}
	t.take(int(n))
	if p+n >= d.standOut.to && d.standOut.b == 0 {
		t.close()
		d.stand, d.standUp = nil, false
	}
}

// finish ends a deck at position p.
func (m *mixer) finish(d *deck, p int64) {
	d.over, d.over0 = true, p
	d.ranOut = d.ranOut || d.main.drained
	d.silence()
}
