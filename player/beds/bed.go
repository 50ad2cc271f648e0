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

// plain is the intensity of a bed that nobody gave one.
const plain = 3.0

// mood is what an intensity makes of a bed.
type mood struct {
	more  float64 // intensity over plain, -2 to 2
	speed float64 // of all that moves slowly
	level float64 // so that it is as loud as the plain bed
}

// trims are the decibels that make a bed at intensities 1 to 5 as loud as it is at 3, as measured.
var trims = map[string][5]float64{
	"drone": {-0.2, -0.1, 0, -0.2, -0.4},
	"ocean": {0.4, 0.4, 0, -0.9, -2.0},
	"rain":  {1.9, 1.7, 0, -2.3, -4.7},
}

func trim(name string, intensity float64) float64 {
	t := trims[name]
	k := min(int(intensity)-1, 3)
	return t[k] + (t[k+1]-t[k])*(intensity-float64(k+1))
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
	return At(name, plain, seed, rate, from)
}

// At is New at an intensity from 1 (calm) to 5 (intense), which is beyond that taken as the nearest; 0 is 3, the bed as New has it. The
// more intense a bed is, the faster it moves and the brighter and fuller it is. It is never louder.
func At(name string, intensity float64, seed uint64, rate int, from time.Duration) (Bed, error) {
	if intensity == 0 {
		intensity = plain
	}
	intensity = min(max(intensity, 1), 5)
	m := mood{more: intensity - plain, speed: math.Exp2((intensity - plain) / 3), level: math.Pow(10, trim(name, intensity)/20)}
	if rate < 8000 {
		return nil, fmt.Errorf("bed at %d Hz: the least is 8000", rate)
	}
	b := &bed{rate: float64(rate)}
	switch name {
	case "drone":
		b.voice = newDrone(seed, b.rate, m)
	case "ocean":
		b.voice = newOcean(seed, b.rate, m)
	case "rain":
		b.voice = newRain(seed, b.rate, m)
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
