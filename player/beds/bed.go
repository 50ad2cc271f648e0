package beds

import (
	"fmt"
	"math"
	"time"
)

// Names are the beds that there are.
var Names = []string{"drone", "ocean", "rain"}

// Bed is an endless sound.
type Bed interface {
	// Fill writes the next frames, ±1 full scale. It neither allocates nor waits.
	Fill(samples [][2]float64)
}

// span is how many frames share one set of slow values, between which gains run straight. All beds work in spans
// that begin at whole multiples of it on the bed's own time line, wherever they are entered.
const span = 1024

// warm is how much is generated and thrown away before the first frame: the slowest filter has forgotten its
// start by then.
const warm = 400 * time.Millisecond

// voice generates one span; at and next are its edges in seconds on the bed's time line.
type voice interface {
	span(out *[span][2]float64, index int64, at, next float64)
}

type bed struct {
	voice voice
	rate  float64
	index int64 // of the next span
	out   [span][2]float64
	used  int
}

// New opens a bed at a place of its time line; rate is in Hz. The same name, seed and rate are always the same
// sound. An unknown name is an error.
func New(name string, seed uint64, rate int, from time.Duration) (Bed, error) {
	if rate < 8000 {
		return nil, fmt.Errorf("bed at %d Hz: the least is 8000", rate)
	}
	b := &bed{rate: float64(rate)}
	switch name {
	case "drone":
		b.voice = newDrone(seed, b.rate)
	case "ocean":
		b.voice = newOcean(seed, b.rate)
	case "rain":
		b.voice = newRain(seed, b.rate)
	default:
		return nil, fmt.Errorf("unknown bed %q (drone, ocean, rain)", name)
	}
	first := int64(math.Round(from.Seconds() * b.rate))
	start := floorDiv(first-int64(warm.Seconds()*b.rate), span)
	b.index = start
	for b.index <= floorDiv(first, span) {
		b.next()
	}
	b.used = int(first - floorDiv(first, span)*span)
	return b, nil
}

func (b *bed) next() {
	b.voice.span(&b.out, b.index, float64(b.index*span)/b.rate, float64((b.index+1)*span)/b.rate)
	b.index++
	b.used = 0
}

func (b *bed) Fill(samples [][2]float64) {
	for len(samples) > 0 {
		if b.used == span {
			b.next()
		}
		n := copy(samples, b.out[b.used:])
		b.used += n
		samples = samples[n:]
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
