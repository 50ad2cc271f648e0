package player

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"
)

// plan is a score made ready for the loop, away from it: sorted, in frames, never changed again.
type plan struct {
	rate   int
	clips  []part
	byID   map[string]*part
	levels []Level
	cover  string
	end    int64 // -1: open
}

// part is a clip in frames.
type part struct {
	Clip
	start, end      int64
	from            int64
	fadeIn, fadeOut int64
	gain            levels
	curve           levels
	seed            uint64
	// follows is the clip whose own ending this one joins without a gap (neither fades); it starts with the frame
	// after that clip's last, wherever the position has drifted to meanwhile.
	follows string
	// joined says that something starts where this clip ends; runsOn, that it is the next part of the same file.
	joined, runsOn bool
}

// closing is the fade that a clip gets where the score ends before it does.
const closing = 3 * time.Second

func newPlan(s Score, rate int) *plan {
	p := &plan{rate: rate, levels: slices.Clone(s.Levels), cover: s.Cover, end: -1, byID: map[string]*part{}}
	slices.SortStableFunc(p.levels, func(a, b Level) int { return cmp.Compare(a.At, b.At) })
	if s.End > 0 {
		p.end = frames(s.End, rate)
	}
	for _, c := range s.Clips {
		if s.End > 0 && c.End > s.End {
			c.End, c.FadeOut = s.End, max(c.FadeOut, closing)
		}
		if c.End <= c.Start {
			continue
		}
		// Fades that overlap within one clip would never reach full level, and a fade can't be longer than its clip.
		length := c.End - c.Start
		c.FadeIn, c.FadeOut = min(max(c.FadeIn, 0), length), min(max(c.FadeOut, 0), length)
		q := part{
			Clip: c, start: frames(c.Start, rate), end: frames(c.End, rate), from: frames(max(c.From, 0), rate),
			fadeIn: frames(c.FadeIn, rate), fadeOut: frames(c.FadeOut, rate), seed: seedOf(s.Seed, c.ID),
		}
		if c.Gain != 0 {
			q.gain = levels{{db: c.Gain}}
		}
		for _, g := range c.Curve {
			at := frames(g.At, rate)
			if k := len(q.curve); k > 0 && q.curve[k-1].at >= at {
				continue
			}
			q.curve = append(q.curve, levelPoint{at, g.DB})
		}
		p.clips = append(p.clips, q)
	}
	slices.SortStableFunc(p.clips, func(a, b part) int { return cmp.Compare(a.start, b.start) })
	for i := range p.clips {
		c := &p.clips[i]
		p.byID[c.ID] = c
		for j := range p.clips[:i] {
			if b := &p.clips[j]; abs(b.end-c.start) <= 1 {
				b.joined = true
				if b.fadeOut == 0 && c.fadeIn == 0 && b.File != "" {
					c.follows = b.ID
					// The next part of one file: what is due goes on to the sample, so nothing is faded at the cut.
					if at := b.from + b.end - b.start; b.File == c.File && abs(at-c.from) <= 1 {
						b.runsOn, c.from = true, at
					}
				}
			}
		}
	}
	return p
}

// target is the loudness that is aimed at from position pos on, in LUFS.
func (p *plan) target(pos int64) (float64, bool) {
	at := duration(pos, p.rate)
	i, found := slices.BinarySearchFunc(p.levels, at, func(l Level, at time.Duration) int { return cmp.Compare(l.At, at) })
	if !found {
		i--
	}
	if i < 0 {
		if len(p.levels) == 0 {
			return 0, false
		}
		i = 0
	}
	return p.levels[i].Target, true
}

// aim is the target that the guard measures against at pos: before a fall it goes down at glide dB a second, to be
// there early by a moment's length, since that moment is measured against the softer target.
func (p *plan) aim(pos int64, glide float64) (float64, bool) {
	aim, ok := p.target(pos)
	at := duration(pos, p.rate)
	i, _ := slices.BinarySearchFunc(p.levels, at, func(l Level, at time.Duration) int { return cmp.Compare(l.At, at) })
	for _, l := range p.levels[i:] {
		ahead := l.At - at - moment
		if ahead > 10*time.Second {
			break
		}
		aim = min(aim, l.Target+glide*max(ahead, 0).Seconds())
	}
	return aim, ok
}

// moment is the window of EBU R128's momentary loudness.
const moment = 400 * time.Millisecond

// seedOf gives each clip its own bed: two that cross are never the same sound twice, which would add up to a bump.
func seedOf(seed uint64, id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return seed ^ h.Sum64()
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
