package player

import "math"

const (
	dcMean   = 0.007 // of full scale, -43 dBFS: what the mean of a second may be
	dcPasses = 0.03  // of full scale, -30 dBFS: the most that may be left below dcSlow
	dcSlow   = 8.0   // Hz, the corner of the four poles that listen
	dcHigh   = 20.0  // Hz, the corner of the two poles that take it out
	second   = 200   // hops
)

// dcBlocker takes out DC and infrasound, which move a loudspeaker's cone and are not heard. Music has too little of either
// to be touched, and goes through with its very bits: four poles at 8 Hz leave 2 % of a tone of 20 Hz. It listens to the hops
// that come in, and takes it out of those that go out 70 ms later, so that the filter is running, from rest, before what
// it is for has come.
type dcBlocker struct {
	slow, high float64 // of the filters, a hop and a frame
	means      [second][2]float64
	at         int           // in means
	sum        [2]float64    // of means
	poles      [2][4]float64 // by channel
	on         bool
	since      int // hops since anything was found
	share      float64
	low        [2][2]float64
}

func newDCBlocker(rate, hop int) dcBlocker {
	return dcBlocker{
		slow: 1 - math.Exp(-2*math.Pi*dcSlow*float64(hop)/float64(rate)),
		high: 1 - math.Exp(-2*math.Pi*dcHigh/float64(rate)),
	}
}

// listen takes note of a hop that comes in.
func (b *dcBlocker) listen(in [][2]float64) {
	var mean [2]float64
	for _, f := range in {
		mean[0] += f[0]
		mean[1] += f[1]
	}
	found := false
	for ch := range mean {
		x := mean[ch] / float64(len(in))
		b.sum[ch] += x - b.means[b.at][ch]
		b.means[b.at][ch] = x
		for k := range b.poles[ch] {
			b.poles[ch][k] += b.slow * (x - b.poles[ch][k])
			x = b.poles[ch][k]
		}
		found = found || math.Abs(x) > dcPasses || math.Abs(b.sum[ch]) > dcMean*second
	}
	b.at = (b.at + 1) % second
	if b.since++; found {
		if !b.on {
			b.on, b.share, b.low = true, 1, [2][2]float64{}
		}
		b.since = 0
	}
}

// process takes it out of a hop that goes out, and reports whether it has changed anything. A second after the last was
// found it lets go, over a fifth of a second.
func (b *dcBlocker) process(out [][2]float64) bool {
	if !b.on {
		return false
	}
	to := 1.0
	if b.since > second+guardAhead {
		to = 0
	}
	step := max(-1.0/40, min(1.0/40, to-b.share)) / float64(len(out))
	for i := range out {
		b.share += step
		for ch := range 2 {
			x := out[i][ch]
			for k := range b.low[ch] {
				b.low[ch][k] += b.high * (x - b.low[ch][k])
				x -= b.low[ch][k]
			}
			out[i][ch] += b.share * (x - out[i][ch])
		}
	}
	b.on = b.share > 1e-9
	return true
}
