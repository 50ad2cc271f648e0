package player

import (
	"cmp"
	"context"
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
	slack     = 500 * time.Millisecond
)

// BedLUFS is what a bed measures at Gain 0, LUFS.
const BedLUFS = -23.0

// mix adds up the decks that play a plan. As a beep.Streamer it gives the frames of the session's line from its position
// on. It is one and the same for live sound and for a render: offline it waits for its sources, live it never does. It
// belongs to one goroutine.
//
// beep.Mixer is not used: it drops a streamer for good that has once been late.
type mix struct {
	rate    int
	ctx     context.Context // ends the openers
	open    Open
	offline bool
	notify  func(Event)

	plan  *plan
	next  int   // clips of the plan before this one have been looked at
	pos   int64 // session position of the next frame
	decks []*deck
	rise  bool // nothing has been heard since a gap: what comes next rises from silence

	// first is a clip that may be asked for at any moment, opened at its beginning; nil: none.
	first    *tap
	firstFor Clip

	block     int // frames a call, at most
	env       []float64
	one, side [][2]float64 // what a deck gives, and its stand-in
}

func newMix(ctx context.Context, rate, block int, open Open, notify func(Event)) *mix {
	return &mix{
		rate: rate, ctx: ctx, open: open, notify: notify, plan: newPlan(Score{}, rate), block: block,
		env: make([]float64, block), one: make([][2]float64, block), side: make([][2]float64, block),
	}
}

func (m *mix) frames(d time.Duration) int64 { return frames(d, m.rate) }

// tail is how many frames each deck holds beyond a block, to fade out over where its source runs dry.
func (m *mix) tail() int { return m.rate / 20 }

func (m *mix) event(kind EventKind, d *deck, at int64, err error) {
	e := Event{Kind: kind, Clip: d.id(), At: duration(at, m.rate)}
	if err != nil {
		e.Detail = err.Error()
	}
	m.notify(e)
}

// setPlan goes over to another plan from the present position on.
func (m *mix) setPlan(p *plan) {
	m.plan, m.next = p, 0
	for _, d := range m.decks {
		if d.idle() && p.byID[d.id()] == nil {
			m.rename(d)
		}
	}
	m.keep(func(d *deck) bool {
		c, ok := p.byID[d.id()]
		switch {
		case d.state == leaving:
		case ok && c.File == d.clip.File && c.Bed == d.clip.Bed && c.Intensity == d.clip.Intensity && d.adopt(c):
		case d.audible():
			d.retire()
		default:
			return false
		}
		return true
	})
	slices.SortStableFunc(m.decks, func(a, b *deck) int { return cmp.Compare(a.clip.start, b.clip.start) })
}

// rename gives a deck that waits open to the clip of the plan that plays the same file from the same place: the same music,
// asked for sooner or later, has another ID.
func (m *mix) rename(d *deck) {
	i := slices.IndexFunc(m.plan.clips, func(c part) bool {
		return c.File != "" && c.File == d.clip.File && c.from == d.clip.from && c.end > m.pos && m.deck(c.ID) == nil
	})
	if i >= 0 {
		d.clip.ID = m.plan.clips[i].ID
	}
}

// seek goes to another position. What is heard fades out where keep is set; otherwise it is gone already, since the
// line has had a gap. What sounds at the new position fades in.
func (m *mix) seek(to int64, keep bool) {
	delta := to - m.pos
	m.keep(func(d *deck) bool {
		switch {
		case keep && d.audible():
			if d.state != leaving {
				d.retire()
			}
			d.shift(delta)
		case !keep && delta > -m.frames(slack) && delta < m.frames(horizon) && d.begun && (d.state == playing || d.state == waiting):
			// A short gap: the source goes on, what would have sounded in the gap is thrown away.
			d.track.heard, d.state, d.since, d.track.dip = false, waiting, to, ramp{}
		default:
			return false
		}
		return true
	})
	m.pos, m.next = to, 0
	m.rise = !m.audible()
}

// keep frees the decks that are of no use any more.
func (m *mix) keep(use func(*deck) bool) {
	m.decks = slices.DeleteFunc(m.decks, func(d *deck) bool {
		if use(d) {
			return false
		}
		d.silence()
		return true
	})
}

// close frees everything.
func (m *mix) close() {
	m.keep(func(*deck) bool { return false })
	m.hold(nil)
}

// hold opens a clip's file, to be taken by the deck that plays it from its beginning; nil: none is needed.
func (m *mix) hold(c *part) {
	if m.first != nil {
		if c != nil && c.File == m.firstFor.File && c.From == m.firstFor.From {
			return
		}
		m.first.close()
		m.first = nil
	}
	if c != nil {
		m.firstFor = c.Clip
		m.first = m.openTap(c, c.from)
	}
}

func (m *mix) audible() bool { return slices.ContainsFunc(m.decks, (*deck).audible) }

func (m *mix) deck(id string) *deck {
	for _, d := range m.decks {
		if d.state != leaving && d.state != gone && d.id() == id {
			return d
		}
	}
	return nil
}

// prepare opens decks for what starts within the horizon, and for the next clip.
func (m *mix) prepare() {
	idle := 0
	for _, d := range m.decks {
		if d.idle() {
			idle++
		}
	}
	for ; m.next < len(m.plan.clips); m.next++ {
		c := &m.plan.clips[m.next]
		// The next one is always open: somebody may ask for it at any moment.
		if c.start >= m.pos+m.frames(horizon) && idle > 0 || c.start > m.pos && idle >= spare {
			return
		}
		if c.end <= m.pos || m.deck(c.ID) != nil {
			continue
		}
		if c.start > m.pos {
			idle++
		}
		i, _ := slices.BinarySearchFunc(m.decks, c.start, func(d *deck, start int64) int {
			if d.clip.start <= start {
				return -1
			}
			return 1
		})
		m.decks = slices.Insert(m.decks, i, newDeck(m, c))
	}
}

// tapFor is a clip's source and the place of its first frame: at place, or at the clip's beginning where that is held.
func (m *mix) tapFor(c *part, place int64) (*tap, int64) {
	if t := m.first; t != nil && c.File == m.firstFor.File && c.From == m.firstFor.From && place-c.from < m.frames(horizon) {
		m.first = nil
		return t, c.from
	}
	return m.openTap(c, place), place
}

func (m *mix) openTap(c *part, place int64) *tap {
	open := m.bed(c.Bed, c.Intensity, c.seed)
	if c.Bed == "" {
		file := c.File
		open = func(ctx context.Context, from time.Duration) (Source, error) {
			src, err := m.open(ctx, file, from, m.rate)
			if err == nil && m.offline {
				src = readAhead(src)
			}
			return src, err
		}
	}
	return openTap(m.ctx, open, duration(place, m.rate), m.block+m.tail(), m.offline)
}

func (m *mix) bed(name string, intensity float64, seed uint64) opener {
	return func(_ context.Context, from time.Duration) (Source, error) {
		b, err := beds.At(name, intensity, seed, m.rate, from)
		if err != nil {
			return nil, err
		}
		if m.offline {
			return readAhead(endless{b}), nil
		}
		return endless{b}, nil
	}
}

// Stream adds up the next frames of the session and moves the position on.
func (m *mix) Stream(dst [][2]float64) (int, bool) {
	clear(dst)
	m.prepare()
	for _, d := range m.decks {
		n, _ := d.Stream(m.one[:len(dst)])
		add(dst, m.one[:n])
	}
	m.pos += int64(len(dst))
	m.rise = m.rise && !m.audible()
	m.keep(func(d *deck) bool {
		return d.state < over || d.state == over && m.plan.byID[d.id()] != nil && m.pos <= d.clip.end+m.frames(slack)
	})
	return len(dst), true
}

// Err is nil: a source that fails is covered.
func (m *mix) Err() error { return nil }

func add(dst, src [][2]float64) {
	for i, f := range src {
		dst[i][0] += f[0]
		dst[i][1] += f[1]
	}
}
