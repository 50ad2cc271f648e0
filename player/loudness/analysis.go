package loudness

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"
)

// Stream is the frames of one file, from its first to its last: what beep calls a Streamer. Stream waits for what is not there yet.
type Stream interface {
	Stream(samples [][2]float64) (n int, ok bool)
	Err() error
}

// Analysis is all that the room wants to know of a file's sound before it plays.
type Analysis struct {
	Rate   int   // Hz, of the stream that was measured
	Frames int64 // at Rate, all of them

	Integrated   float64 // LUFS
	Range        float64 // LU
	MaxMomentary float64 // LUFS
	MaxShortTerm float64 // LUFS
	TruePeak     float64 // dBTP

	// LeadIn and LeadOut are the silence before the first sound and after the last: under -60 dBFS, or under what
	// would be -60 dBFS if the file were played at -23 LUFS, where that is less. Of a file without any sound LeadIn is all.
	LeadIn, LeadOut time.Duration

	// Levelled is by how many dB a Curve takes the file down at most, when its integrated loudness is brought to its
	// target; 0: it is left as it is. LevelledAt is where that is, in source time.
	Levelled   float64
	LevelledAt time.Duration

	// Blocks are the K-weighted loudness of each whole 100 ms, in hundredths of a LUFS.
	Blocks []int16

	// Features are nil where the analysis is of an earlier version.
	Features *Features

	// Damaged: the file broke off; what was sound until then is what was measured.
	Damaged bool
}

// Length is how long the file is.
func (a *Analysis) Length() time.Duration { return span(a.Frames, a.Rate) }

// Momentary is the momentary loudness at the end of each 100 ms, in LUFS. What was before the file counts as silence.
func (a *Analysis) Momentary() []float64 { return a.over(momentary) }

// ShortTerm is the short-term loudness at the end of each 100 ms, in LUFS.
func (a *Analysis) ShortTerm() []float64 { return a.over(shortTerm) }

func (a *Analysis) over(n int) []float64 {
	powers, levels := a.powers(0), make([]float64, len(a.Blocks))
	for i := range levels {
		levels[i] = Level(window(powers, i, n))
	}
	return levels
}

// powers are the blocks as powers, gain dB up.
func (a *Analysis) powers(gain float64) []float64 {
	p := make([]float64, len(a.Blocks))
	for i, b := range a.Blocks {
		if b > Silent*100 {
			p[i] = Power(float64(b)/100 + gain)
		}
	}
	return p
}

func span(frames int64, rate int) time.Duration {
	if rate == 0 {
		return 0
	}
	s, rest := frames/int64(rate), frames%int64(rate)
	return time.Duration(s)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate)
}

// Analyse measures a stream of the given rate to its end. Where the stream breaks off the error is its own, and the
// Analysis is what was sound until then.
func Analyse(ctx context.Context, s Stream, rate int) (Analysis, error) {
	return analyse(ctx, s, rate, func() {})
}

// analyse calls rest after each second of sound.
func analyse(ctx context.Context, s Stream, rate int, rest func()) (Analysis, error) {
	m := NewMeter(rate)
	m.texture = newTexture(rate)
	edges := newEdges(rate)
	buf := make([][2]float64, 8*peakBlock)
	var idle int
	var due int64
	for {
		if err := ctx.Err(); err != nil {
			return Analysis{}, err
		}
		n, ok := s.Stream(buf)
		n = min(max(n, 0), len(buf))
		if p := Peak(buf[:n]); math.IsNaN(p) || math.IsInf(p, 0) {
			a := edges.analysis(m)
			a.Damaged = true
			return a, fmt.Errorf("after %v: samples that are not numbers", a.Length())
		}
		m.Write(buf[:n])
		edges.write(buf[:n])
		if !ok {
			break
		}
		if idle++; n > 0 {
			idle = 0
		}
		if idle == 1000 {
			a := edges.analysis(m)
			a.Damaged = true
			return a, io.ErrNoProgress
		}
		if m.Frames() >= due {
			due = m.Frames() + int64(rate)
			rest()
		}
	}
	a := edges.analysis(m)
	a.level()
	err := s.Err()
	a.Damaged = err != nil
	return a, err
}

// level finds out how much of the file would startle.
func (a *Analysis) level() {
	if a.Integrated <= Silent {
		return
	}
	const target = -23 // any: only what is between the file and its target counts
	for _, p := range Curve(a, target-a.Integrated, target) {
		if -p.DB > a.Levelled {
			a.Levelled, a.LevelledAt = -p.DB, p.At
		}
	}
}

// edges finds where sound begins and ends, for each of a ladder of thresholds: which one counts is known at the end only.
type edges struct {
	size   int
	frames int64
	part   float64 // the peak of the piece that is not full yet
	steps  [steps]struct{ first, last int64 }
}

const (
	steps     = 11 // -60 dBFS, and each 5 dB lower
	stepDB    = 5.0
	edgeDB    = -60.0
	edgeLevel = -23.0
)

func newEdges(rate int) *edges {
	e := &edges{size: rate / 1000}
	for i := range e.steps {
		e.steps[i].first = -1
	}
	return e
}

func (e *edges) write(frames [][2]float64) {
	for len(frames) > 0 {
		n := min(e.size-int(e.frames%int64(e.size)), len(frames))
		e.part = max(e.part, Peak(frames[:n]))
		e.frames += int64(n)
		frames = frames[n:]
		if e.frames%int64(e.size) == 0 {
			e.mark()
		}
	}
}

// mark books the piece that ends here at the first threshold that it reaches.
func (e *edges) mark() {
	if e.part > 0 {
		i := max(0, int(math.Ceil((edgeDB-20*math.Log10(e.part))/stepDB)))
		if i < steps {
			s := &e.steps[i]
			if s.first < 0 {
				s.first = (e.frames - 1) / int64(e.size) * int64(e.size)
			}
			s.last = e.frames
		}
	}
	e.part = 0
}

func (e *edges) analysis(m *Meter) Analysis {
	e.mark()
	a := Analysis{
		Rate: m.rate, Frames: m.frames, Integrated: m.Integrated(), Range: m.Range(),
		MaxMomentary: m.MaxMomentary(), MaxShortTerm: m.MaxShortTerm(), TruePeak: m.TruePeak(),
		Blocks: make([]int16, len(m.blocks)), Features: m.texture.features(m.blocks, m.Integrated()),
	}
	for i, p := range m.blocks {
		a.Blocks[i] = int16(math.Round(max(Silent, min(Level(p), 300)) * 100))
	}
	first, last := m.frames, m.frames
	found := false
	for i, s := range e.steps {
		if s.first < 0 {
			continue
		}
		// Of thresholds lower than the file needs, none counts; where it has nothing louder, all do.
		if found && i > 0 && a.Integrated-edgeLevel > -stepDB*float64(i) {
			break
		}
		if !found {
			first, last, found = s.first, s.last, true
			continue
		}
		first, last = min(first, s.first), max(last, s.last)
	}
	a.LeadIn, a.LeadOut = span(first, m.rate), span(m.frames-last, m.rate)
	return a
}
