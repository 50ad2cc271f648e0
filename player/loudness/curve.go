package loudness

import (
	"math"
	"time"
)

// Point is one point of a gain curve.
type Point struct {
	At time.Duration // source time
	DB float64       // 0 or less
}

// The promise (see the design's promise 1) that a curve keeps, and how.
const (
	overTarget = 6.0   // LU
	overBefore = 8.0   // LU
	underFloor = -12.0 // LU
	inner      = 0.75  // LU that a moment which is taken down ends up inside the promise, at least
	slope      = 0.3   // dB a block, up and down: 3 dB a second
	memory     = 49    // blocks that "the 5 s before" reaches back, at least
)

// Curve is the gain that keeps a file from startling when it is played gain dB up or down at a target in LUFS: with
// it no moment (momentary loudness) is more than 6 LU over the target, nor more than 8 LU over the loudest moment of the 5 s before it,
// where target - 12 LU counts if those were softer. Before the file the target counts: it is entered from music at that
// level, or from silence, where the guard of the last stage holds the promise. A moment overlaps with the 300 ms before it, so those do not count as
// before.
//
// The curve moves by 3 dB a second at most, before the event rather than after it, and is linear in dB between its points
// and flat outside them. It leaves alone what keeps the promise by itself: a file that does so throughout has no curve.
func Curve(a *Analysis, gain, target float64) []Point {
	powers := a.powers(gain)
	n := len(powers)
	c := curve{
		powers: powers, db: make([]float64, n+1), next: make([]float64, n+1),
		loudest: make([]float64, n), softest: make([]float64, n), most: make([]float64, n), least: make([]float64, n), limit: make([]float64, n),
		floor: Power(target + underFloor), target: Power(target), top: Power(target + overTarget),
	}
	touched := false
	for c.measure(); c.lower(); c.measure() {
		touched = true
		c.slope()
	}
	if !touched {
		return nil
	}
	return points(c.db)
}

type curve struct {
	floor, target, top float64 // as powers, like all here but the curve itself
	powers             []float64
	db, next           []float64 // the curve at the edges of the blocks, as it is and as it is to be

	// With the gain moving inside of them, blocks and moments are known by their bounds only.
	loudest, softest []float64 // blocks
	most, least      []float64 // moments
	limit            []float64 // of moments
}

var (
	beforePower = math.Pow(10, overBefore/10)
	innerPower  = math.Pow(10, -inner/10)
)

func power(db float64) float64 { return math.Pow(10, db/10) }

// measure finds what each moment is, with the curve as it stands, and what it may be.
func (c *curve) measure() {
	for i, p := range c.powers {
		a, b := c.db[i], c.db[i+1]
		if a == 0 && b == 0 {
			c.loudest[i], c.softest[i] = p, p
			continue
		}
		c.loudest[i], c.softest[i] = p*power(max(a, b)), p*power(min(a, b))
	}
	var queue []int // moments whose least falls from head to tail
	for i := range c.powers {
		c.most[i], c.least[i] = window(c.loudest, i, momentary), window(c.softest, i, momentary)
		if j := i - momentary; j >= 0 {
			for len(queue) > 0 && c.least[queue[len(queue)-1]] <= c.least[j] {
				queue = queue[:len(queue)-1]
			}
			queue = append(queue, j)
		}
		for len(queue) > 0 && queue[0] < i-memory {
			queue = queue[1:]
		}
		before := c.floor
		if i < memory {
			before = c.target // what it crosses with
		}
		if len(queue) > 0 {
			before = max(before, c.least[queue[0]])
		}
		c.limit[i] = min(c.top, before*beforePower)
	}
}

// lower takes the curve down where a moment is over its limit, and reports whether there was one.
func (c *curve) lower() bool {
	found := false
	copy(c.next, c.db)
	for i, p := range c.most {
		if p <= c.limit[i]*(1+1e-9) {
			continue
		}
		found = true
		by := 10 * math.Log10(c.limit[i]*innerPower/p)
		for e := max(0, i+1-momentary); e <= i+1; e++ {
			c.next[e] = min(c.next[e], c.db[e]+by)
		}
	}
	c.db, c.next = c.next, c.db
	return found
}

// slope takes the curve down where it is too steep.
func (c *curve) slope() {
	for i := 1; i < len(c.db); i++ {
		c.db[i] = min(c.db[i], c.db[i-1]+slope)
	}
	for i := len(c.db) - 2; i >= 0; i-- {
		c.db[i] = min(c.db[i], c.db[i+1]+slope)
	}
}

// points are the corners of a curve over the blocks' edges.
func points(db []float64) []Point {
	var p []Point
	add := func(i int) {
		p = append(p, Point{time.Duration(i) * time.Second / perSecond, db[i]})
	}
	for i := range db {
		if i == 0 || i == len(db)-1 {
			add(i)
			continue
		}
		if in, out := db[i]-db[i-1], db[i+1]-db[i]; math.Abs(in-out) > 1e-9 {
			add(i)
		}
	}
	return p
}
