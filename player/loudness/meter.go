package loudness

import (
	"math"
	"slices"
)

const (
	perSecond = 10 // blocks
	momentary = 4  // blocks of a momentary loudness: 400 ms
	shortTerm = 30 // blocks of a short-term loudness: 3 s
	absGate   = -70.0
)

// Meter measures a stream as EBU Tech 3341 describes: momentary loudness (400 ms), short-term
// loudness (3 s), integrated loudness with both gates, loudness range, true peak. It keeps 80 bytes a second, so that each result is
// exact at any time. Not for concurrent use.
type Meter struct {
	rate   int
	w      Weighting
	peak   truePeak
	frames int64
	blocks []float64 // mean power of each 100 ms
	sum    float64   // of the block that is being filled, up to the piece that is being filled
	from   int64     // the block's first frame

	// Pieces are hundredths of a second, for the momentary loudness as it is now.
	pieces [momentary * pieces]float64 // energies, as a ring
	piece  int                         // number of the one that is being filled
	filled float64                     // its energy so far
	next   int64                       // the frame after its last

	texture *texture // hears along; nil: only the loudness is measured
}

const pieces = 10 // in a block

// NewMeter is a meter for a rate of 8000 to 192000 Hz.
func NewMeter(rate int) *Meter {
	m := &Meter{rate: rate, w: NewWeighting(rate), peak: newTruePeak(rate)}
	m.next = m.edge(1)
	return m
}

// edge is the first frame of piece i. Where a hundredth of a second is no whole number of frames, pieces differ by one.
func (m *Meter) edge(i int) int64 {
	const n = perSecond * pieces
	return (int64(i)*int64(m.rate) + n/2) / n
}

// Write measures frames. Samples must be numbers.
func (m *Meter) Write(frames [][2]float64) {
	for len(frames) > 0 {
		n := int(min(int64(len(frames)), m.next-m.frames, peakBlock))
		m.filled += m.w.Energy(frames[:n])
		m.peak.write(frames[:n])
		if m.texture != nil {
			m.texture.write(frames[:n])
		}
		m.frames += int64(n)
		frames = frames[n:]
		if m.frames == m.next {
			m.turn()
		}
	}
}

// turn ends a piece, and a block with every tenth.
func (m *Meter) turn() {
	m.pieces[m.piece%len(m.pieces)] = m.filled
	m.sum += m.filled
	if m.texture != nil {
		m.texture.turn(m.filled * perSecond * pieces / float64(m.rate))
	}
	m.filled = 0
	m.piece++
	m.next = m.edge(m.piece + 1)
	if m.piece%pieces == 0 {
		m.blocks = append(m.blocks, m.sum/float64(m.frames-m.from))
		m.sum, m.from = 0, m.frames
		if m.texture != nil {
			m.texture.turnBlock()
		}
	}
}

// Frames is how many frames were measured.
func (m *Meter) Frames() int64 { return m.frames }

// window is the mean power of the n blocks that end with block i; what was before the first is silence.
func (m *Meter) window(i, n int) float64 { return window(m.blocks, i, n) }

func window(blocks []float64, i, n int) float64 {
	var sum float64
	for _, p := range blocks[max(i+1-n, 0) : i+1] {
		sum += p
	}
	return sum / float64(n)
}

// Momentary is the loudness of the last 400 ms in LUFS, up to a hundredth of a second ago.
func (m *Meter) Momentary() float64 {
	var sum float64
	for _, e := range m.pieces {
		sum += e
	}
	return Level(sum / (0.4 * float64(m.rate)))
}

// ShortTerm is the loudness of the last 3 s, up to a tenth of a second ago.
func (m *Meter) ShortTerm() float64 { return Level(m.window(len(m.blocks)-1, shortTerm)) }

// MaxMomentary is the largest momentary loudness so far, looked at every 100 ms. Sound shorter than a window counts as followed by silence.
func (m *Meter) MaxMomentary() float64 { return m.most(momentary) }

// MaxShortTerm is the largest short-term loudness so far.
func (m *Meter) MaxShortTerm() float64 { return m.most(shortTerm) }

func (m *Meter) most(n int) float64 {
	var most float64
	for _, p := range m.windows(n) {
		most = max(most, p)
	}
	return Level(most)
}

// windows are the powers of all whole windows of n blocks; of sound shorter than one, the window that holds it all.
func (m *Meter) windows(n int) []float64 {
	if len(m.blocks) < n {
		if m.frames == 0 {
			return nil
		}
		all := (m.sum + m.filled) / float64(m.edge(pieces)) / float64(n)
		if len(m.blocks) > 0 {
			all += m.window(len(m.blocks)-1, n)
		}
		return []float64{all}
	}
	w := make([]float64, 0, len(m.blocks)+1-n)
	for i := n - 1; i < len(m.blocks); i++ {
		w = append(w, m.window(i, n))
	}
	return w
}

// Integrated is the loudness of all so far, gated at -70 LUFS and then 10 LU under what is left (BS.1770-5, annex 1).
func (m *Meter) Integrated() float64 {
	w := m.windows(momentary)
	loud := gate(w, Power(absGate))
	return Level(mean(gate(loud, mean(loud)*math.Pow(10, -1))))
}

// Range is the loudness range in LU (EBU Tech 3342): between the 10th and the 95th percentile of the short-term loudness, gated at
// -70 LUFS and then 20 LU under the mean of what is left.
func (m *Meter) Range() float64 {
	if len(m.blocks) < shortTerm {
		return 0
	}
	loud := gate(m.windows(shortTerm), Power(absGate))
	loud = gate(loud, mean(loud)*math.Pow(10, -2))
	if len(loud) == 0 {
		return 0
	}
	slices.Sort(loud)
	at := func(q float64) float64 { return Level(loud[int(math.Round(q*float64(len(loud)-1)))]) }
	return at(0.95) - at(0.10)
}

// TruePeak is the largest true peak so far, in dBTP.
func (m *Meter) TruePeak() float64 { return decibels(m.peak.most) }

func decibels(a float64) float64 {
	if !(a > 0) {
		return Silent
	}
	return max(20*math.Log10(a), Silent)
}

// gate keeps the powers over least, in place.
func gate(powers []float64, least float64) []float64 {
	return slices.DeleteFunc(powers, func(p float64) bool { return p <= least })
}

func mean(powers []float64) float64 {
	if len(powers) == 0 {
		return 0
	}
	var sum float64
	for _, p := range powers {
		sum += p
	}
	return sum / float64(len(powers))
}
