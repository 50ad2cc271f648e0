package player

import (
	"errors"
	"fmt"
	"time"
)

// state is what a deck is doing.
type state int

const (
	opening state = iota // its source is opened, and waits for the clip's start
	waiting              // the clip is due, or was heard, and its source has nothing ready; after a while it is covered
	playing              // the track is heard
	covered              // the track will give nothing more, too early; the cover bed stands in
	leaving              // the clip is gone from the score, and what is heard of it fades out
	over                 // nothing more is to come; kept while its clip is in the score, so that it is not opened again
	gone                 // it has left
)

// deck plays one clip, or has the cover bed stand in for it:
//
//	opening → waiting → playing → over
//	             ↑    ↙    ↓
//	          (dry)     covered → over      any → leaving → gone
//
// As a beep.Streamer it gives the next frames of the session's line, silent where nothing of it is heard.
type deck struct {
	m     *mix
	clip  part
	state state
	track voice
	cover *voice // nil: no bed stands in
	stop  int64  // source frame just after the last that is played
	begun bool   // the track was heard, once
	// origin is the position where source frame 0 would sound, as latched when the clip began. moved says that the clip
	// begins elsewhere since then: the music goes on from where it was.
	origin int64
	moved  bool
	since  int64 // position since which it waits
	after  int64 // over: position of the frame after the last
}

func newDeck(m *mix, c *part) *deck {
	tap, place := m.tapFor(c, c.from+max(m.pos-c.start, 0))
	d := &deck{m: m, clip: *c, stop: c.from + c.end - c.start, track: voice{
		tap: tap, place: place,
		in: full, dip: full, exit: exit{back: full, out: full}, gain: c.gain, curve: c.curve, env: m.env,
	}}
	d.track.exit = d.wayOut(c)
	return d
}

func (d *deck) id() string { return d.clip.ID }

// audible reports whether anything of the deck is heard.
func (d *deck) audible() bool { return d.track.heard || d.cover != nil && d.cover.heard }

// idle reports whether the deck is open and its clip's start is still to come.
func (d *deck) idle() bool { return d.state == opening && d.clip.start > d.m.pos }

// adopt goes over to a new description of the same clip, without a step in what is heard. It reports false where the
// deck is of no use for it.
func (d *deck) adopt(c *part) bool {
	m, old := d.m, d.clip
	switch {
	case d.state == over:
		// It had reached its end, and now ends later: open it again at its place.
		if c.end > old.end && !d.track.drained && c.end > m.pos+m.frames(slack) {
			return false
		}
		d.clip = *c
		return true
	case !d.begun && d.state != covered:
		// It may be asked for sooner; a moment late it still begins at its beginning, and later what was missed is dropped.
		if c.from != old.from || c.start < m.pos-m.frames(horizon) && c.start != old.start || d.track.place != c.from && c.start != old.start {
			return false
		}
		d.clip, d.track.gain, d.track.curve = *c, c.gain, c.curve
		d.track.exit, d.stop = d.wayOut(c), c.from+c.end-c.start
		return true
	}
	d.stop = c.from + c.end - c.start
	if d.moved = d.moved || c.start != old.start || c.from != old.from; d.moved {
		d.stop = d.track.place + c.end - m.pos
	}
	if d.state == covered && c.fadeOut < m.frames(patience) {
		k := *c
		m.coverEnd(&k)
		c = &k
	}
	if from, to := d.track.gain.at(m.pos), c.gain.at(m.pos); from != to {
		// A level that changes under a sounding clip glides, up at 3 dB a second, down at 6.
		speed := 3.0
		if to < from {
			speed = 6
		}
		glide := frames(time.Duration(max(to-from, from-to)/speed*float64(time.Second)), m.rate)
		d.track.gain = levels{{m.pos, from}, {m.pos + max(glide, 1), to}}
	}
	// A curve that was found meanwhile would be a step: the track keeps its own.
	d.clip = *c
	d.track.exit = d.wayOut(c)
	return true
}

// wayOut is how d leaves by clip c, going on from where its present way out is.
func (d *deck) wayOut(c *part) exit {
	m := d.m
	angle := d.track.exit.at(m.pos)
	e := exit{back: ramp{m.pos, m.pos + m.frames(lateEntry), angle, quarter}}
	if c.fadeOut == 0 {
		e.out = ramp{from: 1<<62 - 1, to: 1<<62 - 1, a: quarter, b: quarter}
		return e
	}
	begin, end := c.end-c.fadeOut, c.end
	if begin < m.pos && angle > 0 && d.audible() {
		if out := d.track.exit.out; out.to == c.end && out.from <= m.pos {
			return d.track.exit // the same way out, already begun
		}
		begin, end = m.pos, max(end, m.pos+min(c.fadeOut, m.frames(leave)))
	}
	e.out = ramp{from: begin, to: end, a: e.back.at(begin), b: 0}
	return e
}

// retire fades d out over what is left of its fade, 3 s at most.
func (d *deck) retire() {
	m := d.m
	d.state = leaving
	end := m.pos + m.frames(leave)
	if out := d.track.exit.out; out.b == 0 && out.from <= m.pos {
		end = min(end, max(out.to, m.pos+1))
	}
	d.track.exit = exit{out: ramp{m.pos, end, d.track.exit.at(m.pos), 0}}
}

// shift moves all that is heard along as the position goes elsewhere.
func (d *deck) shift(delta int64) {
	out, in := &d.track.exit.out, &d.track.in
	out.from, out.to = out.from+delta, out.to+delta
	in.from, in.to = in.from+delta, in.to+delta
	d.origin += delta
}

// silence frees the deck's sources.
func (d *deck) silence() {
	d.track.close()
	d.uncover()
}

func (d *deck) uncover() {
	if d.cover != nil {
		d.cover.close()
		d.cover = nil
	}
}

// due is the frame of this block (n long) with which d starts.
func (d *deck) due(n int) (at int, ok bool) {
	if d.audible() || d.begun {
		return 0, true
	}
	pos, start := d.m.pos, d.clip.start
	if d.clip.follows != "" {
		if b := d.m.deck(d.clip.follows); b != nil && b.begun && b.state != covered {
			switch {
			case b.state == over:
				start = b.after
			case pos+int64(n) <= start+d.m.frames(slack):
				return 0, false
			}
		}
	}
	if start >= pos+int64(n) {
		return 0, false
	}
	return int(max(start-pos, 0)), true
}

// Stream gives the frames from the mix's position on.
func (d *deck) Stream(dst [][2]float64) (int, bool) {
	if d.state >= over {
		return 0, false
	}
	n := len(dst)
	clear(dst)
	at, due := d.due(n)
	ready := d.track.poll(d.m.offline && due)
	if ready && d.track.src == nil && (d.state == opening || d.state == waiting) {
		d.fail(ClipFailed, max(d.clip.start, d.m.pos), d.track.err)
	}
	if !due {
		return n, true
	}
	p := d.m.pos + int64(at)
	if p >= d.clip.end && !d.audible() {
		d.finish(p)
		return n, true
	}
	if d.state == opening {
		d.state, d.since = waiting, p
	}
	if d.state == waiting && ready {
		d.enter(p, n-at)
	}
	from := p
	if d.track.heard {
		k := d.playTrack(dst[at:], p)
		from += int64(k)
	}
	if (d.state == waiting || d.state == covered) && !d.track.heard {
		d.standFor(from)
	}
	if d.cover != nil && d.state < over {
		d.playCover(dst[at:], p)
	}
	if d.state < over && d.m.pos+int64(n) >= d.track.exit.out.to {
		d.finish(d.track.exit.out.to)
	}
	return n, true
}

// Err is nil: what fails is covered, and told as an event.
func (d *deck) Err() error { return nil }

// enter begins to play a deck that is due at p, or goes on where it was held up, as soon as it is at its place.
func (d *deck) enter(p int64, n int) {
	m, t := d.m, &d.track
	late := p - d.clip.start
	first := !d.begun
	whole := first && t.place == d.clip.from && (late <= m.frames(slack) || d.clip.follows != "" && late <= 2*m.frames(slack))
	if !whole {
		want := d.clip.from + late
		if d.moved {
			want = p - d.origin
		}
		if skip := want - t.place; skip > 0 {
			t.place += t.drop(skip)
			if t.place < want && !t.drained {
				return
			}
		}
	}
	t.fill(n + m.tail())
	if t.have < min(n+m.tail(), len(t.buf)) && !t.drained {
		return
	}
	if t.have == 0 {
		d.ended(p, d.clip.end-p)
		return
	}
	stood := d.cover != nil && d.cover.heard
	if c := m.plan.byID[d.id()]; stood && c != nil {
		// The stand-in had given it an ending; it has its own again.
		d.clip.end, d.clip.fadeOut, d.clip.joined = c.end, c.fadeOut, c.joined
		t.exit = d.wayOut(c)
	}
	t.in = ramp{p, p + d.clip.fadeIn, 0, quarter}
	switch {
	case !whole && !m.offline:
		t.in.to = p + max(m.frames(lateEntry), d.clip.fadeIn-late)
	case !whole:
		t.in.from, t.in.to = d.clip.start, d.clip.start+d.clip.fadeIn
	}
	if m.rise && !m.offline {
		t.in.to = max(t.in.to, p+m.frames(lateEntry))
	}
	if t.in.to == t.in.from {
		t.in = full
	}
	d.origin = p - t.place
	t.dip = full
	t.heard, d.begun, d.state = true, true, playing
	if stood {
		d.cover.dip = ramp{p, p + m.frames(lateEntry), quarter, 0}
	}
	if first {
		m.event(ClipStarted, d, p, nil)
	}
}

// playTrack gives the clip's own frames, the first of which is at position p, and says how many there are.
func (d *deck) playTrack(dst [][2]float64, p int64) int {
	m, t, n := d.m, &d.track, len(dst)
	t.at = p
	t.fill(n + m.tail())
	own := d.clip.fadeOut == 0 && d.state != leaving // it ends with its own last frame
	left := t.exit.out.to - p                        // frames that are still due
	if own {
		left = d.stop - t.place
	}
	if t.drained && t.dip.b != 0 && left > int64(t.have) {
		if early := left - int64(t.have); early > m.frames(slack) || !own {
			t.dip = d.lastFade(t.have)
		}
	}
	if own && !d.clip.runsOn && t.dip.b != 0 && left < int64(t.have) && left <= int64(n+m.tail()) {
		// The file has more than the clip is to play: no step at the cut.
		t.dip = ramp{d.stop - int64(m.rate/200), d.stop, quarter, 0}
	}
	if !t.drained && t.have < min(n+m.tail(), len(t.buf)) {
		t.dip = d.lastFade(min(t.have, n))
		k, _ := t.Stream(dst)
		t.heard, d.since = false, p+int64(k)
		if d.state == playing {
			d.state = waiting
		}
		return k
	}
	k := min(n, t.have)
	if own {
		k = int(min(int64(k), max(left, 0)))
	}
	t.Stream(dst[:k])
	switch {
	case own && t.place >= d.stop:
		d.finish(p + int64(k))
	case k < n || t.drained && t.have == 0:
		d.ended(p+int64(k), left-int64(k))
	}
	return k
}

// ended is the end of d's source at position p, early frames before it was due.
func (d *deck) ended(p, early int64) {
	switch {
	case early <= d.m.frames(slack) || d.state == leaving:
		d.finish(p)
	case d.track.err != nil:
		d.fail(ClipFailed, p, d.track.err)
	default:
		d.fail(ClipShort, p, nil)
	}
}

// lastFade is the fade over the last frames of the k that are left.
func (d *deck) lastFade(k int) ramp {
	end := d.track.place + int64(k)
	return ramp{end - int64(min(k, d.m.tail())), end, quarter, 0}
}

// fail gives the track up and lets the cover bed stand in for it from position p on.
func (d *deck) fail(kind EventKind, p int64, err error) {
	d.state, d.since = covered, min(d.since, p)
	d.track.close()
	switch {
	case kind == ClipShort:
		err = fmt.Errorf("ended %v before its time", duration(max(d.clip.end-p, 0), d.m.rate).Round(time.Millisecond))
	case err == nil:
		err = errors.New("no reason given")
	}
	d.m.event(kind, d, p, err)
}

// finish ends the deck at position p.
func (d *deck) finish(p int64) {
	if d.after = p; d.state == leaving {
		d.state = gone
	} else {
		d.state = over
	}
	d.silence()
}
