package loudness

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// texture hears what a stream is made of while a Meter measures it: attacks, and a spectrum of every second block. It keeps
// 80 bytes a second. At any rate its spectra are of 85 ms and reach up to 4 kHz, which a file of 8 kHz has too.
type texture struct {
	spectra []spectrum   // of blocks 0, 2, 4 …
	block   int          // number of the one that is being filled
	wanted  int          // frames that a spectrum is made of
	window  [][2]float64 // those of this block so far
	halves  int          // how often the rate is halved
	shape   []float64    // a Hann window
	fft     fft
	hz      float64   // from bin to bin
	lowest  int       // bin
	low     int       // bin: those under it are low
	tonal   int       // bin: from here on the clarity is looked for
	bands   []int     // the third of an octave that each bin belongs to; -1: none
	powers  []float64 // of the bins
	before  []float64 // amplitudes of the thirds, in the spectrum before
	now     []float64

	// Attacks are looked for twice: of notes in the differences of frames an eighth of a millisecond apart, which
	// rise by 6 dB an octave up to 4 kHz, and of low drums in all the power.
	delay        int        // frames from one to the next that is looked at
	until        int        // frames to the next
	last         [2]float64 // the one before
	notes, drums rises
	differences  float64 // the energy of those of this piece so far
	counted      int     // differences
	mean         float64 // power of about the last second
}

// spectrum is what is kept of one.
type spectrum struct{ flux, centroid, low, clarity float32 }

const (
	spectrumEvery = 2      // blocks
	spectrumSpan  = 0.0853 // s
	spectrumRate  = 11000  // Hz: a stream is not decimated to less
	lowestHz      = 50.0
	lowHz         = 150.0
	tonalHz       = 100.0 // lower tones are too close together for a spectrum so short
	highestHz     = 4000.0

	delayHz  = 8000
	maskedBy = 0.03  // what is softer than this part of the power of the last second is not heard as an attack
	nothing  = 1e-10 // power
)

func newTexture(rate int) *texture {
	t := &texture{
		delay: (rate + delayHz/2) / delayHz,
		notes: rises{rise: 1.7, span: 3}, drums: rises{rise: 3, span: 8},
	}
	for rate>>(t.halves+1) >= spectrumRate {
		t.halves++
	}
	low := float64(rate) / float64(int(1)<<t.halves)
	length := int(spectrumSpan * low)
	t.wanted = length
	for range t.halves {
		t.wanted = 2*(t.wanted-1) + len(halfBand)
	}
	t.shape = make([]float64, length)
	for i := range t.shape {
		t.shape[i] = 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(length))
	}
	t.fft = newFFT(1 << bits.Len(uint(length-1)))
	n := len(t.fft.data)
	t.hz = low / float64(n)
	bin := func(hz float64) int { return int(math.Ceil(hz / t.hz)) }
	t.lowest, t.low, t.tonal = bin(lowestHz), bin(lowHz), bin(tonalHz)
	t.powers = make([]float64, min(bin(highestHz), n/2))
	t.bands = make([]int, len(t.powers))
	for k := range t.bands {
		t.bands[k] = -1
		if k >= t.tonal {
			t.bands[k] = int(3 * math.Log2(float64(k)*t.hz/tonalHz))
		}
	}
	t.before = make([]float64, t.bands[len(t.bands)-1]+1)
	t.now = make([]float64, len(t.before))
	return t
}

// write takes frames of one piece: a hundredth of a second.
func (t *texture) write(frames [][2]float64) {
	if t.block%spectrumEvery == 0 {
		t.window = append(t.window, frames[:min(len(frames), t.wanted-len(t.window))]...)
	}
	for ; t.until < len(frames); t.until += t.delay {
		f := frames[t.until]
		left, right := f[0]-t.last[0], f[1]-t.last[1]
		t.differences += left*left + right*right
		t.counted++
		t.last = f
	}
	t.until -= len(frames)
}

// turn ends a piece of the given mean K-weighted power.
func (t *texture) turn(power float64) {
	if t.mean == 0 {
		t.mean = power
	}
	t.mean += (power - t.mean) / (perSecond * pieces)
	masked := maskedBy*t.mean + nothing
	t.notes.write(t.differences/float64(max(t.counted, 1)), masked, t.block)
	t.drums.write(power, masked, t.block)
	t.differences, t.counted = 0, 0
}

// rises finds where a power rises by so many dB over the least since it last fell by as many.
type rises struct {
	rise   float64 // dB
	span   int     // pieces whose mean counts
	recent [8]float64
	piece  int
	least  float64 // dB
	most   float64
	up     bool
	found  []int32 // the block of each
}

func (r *rises) write(power, masked float64, block int) {
	r.recent[r.piece%r.span] = power
	r.piece++
	level := 10 * math.Log10(mean(r.recent[:r.span])+masked)
	if r.piece == 1 {
		r.least = level
	}
	r.least, r.most = min(r.least, level), max(r.most, level)
	switch {
	case !r.up && level >= r.least+r.rise:
		r.up, r.most = true, level
		r.found = append(r.found, int32(block))
	case r.up && level <= r.most-r.rise:
		r.up, r.least = false, level
	}
}

// turnBlock ends a block.
func (t *texture) turnBlock() {
	t.block++
	if t.block%spectrumEvery != 1 {
		return
	}
	x := t.window
	t.window = t.window[:0]
	for range t.halves {
		x = halve(x)
	}
	z := t.fft.data
	clear(z)
	for i, w := range t.shape {
		z[t.fft.order[i]] = complex(w*x[i][0], w*x[i][1])
	}
	t.fft.transform()
	t.spectra = append(t.spectra, t.spectrum(z))
}

// spectrum takes the transform of both channels.
func (t *texture) spectrum(z []complex128) (s spectrum) {
	t.before, t.now = t.now, t.before
	clear(t.now)
	var all, low, tonal, amplitudes, weighted float64
	for k := t.lowest; k < len(t.powers); k++ {
		// Both channels' powers: that one is the real part and one the imaginary part shows in the symmetry.
		a, b := z[k], z[len(z)-k]
		p := (real(a)*real(a) + imag(a)*imag(a) + real(b)*real(b) + imag(b)*imag(b)) / 2
		t.powers[k] = p
		all += p
		if k < t.low {
			low += p
		}
		if i := t.bands[k]; i >= 0 {
			t.now[i] += p
			tonal += p
		}
		amplitude := math.Sqrt(p)
		amplitudes += amplitude
		weighted += amplitude * float64(k)
	}
	if !(tonal > 1e-12) { // hardly a bit of 16 moves
		clear(t.now)
		return s
	}
	var sum, more float64
	for i, p := range t.now {
		t.now[i] = math.Sqrt(p)
		sum += t.now[i]
		more += max(t.now[i]-t.before[i], 0)
	}
	// The logarithm of eight bins at a time: a factor is 1e-10 to 1e3.
	bins := t.powers[t.tonal:]
	scale := float64(len(bins)) / tonal
	var logs float64
	product := 1.0
	for i, p := range bins {
		product *= p*scale + 1e-10
		if i%8 == 7 || i == len(bins)-1 {
			logs += math.Log10(product)
			product = 1
		}
	}
	flatness := 10 * logs / float64(len(bins)) // dB
	return spectrum{
		flux: float32(more / sum), centroid: float32(weighted / amplitudes * t.hz), low: float32(low / all),
		clarity: float32(min(max(flatness/-60, 0), 1)),
	}
}

// features are what was heard, of blocks with the given powers, which make up a file of the given integrated loudness.
func (t *texture) features(blocks []float64, integrated float64) *Features {
	f := &Features{}
	least := Power(max(integrated-20, absGate))
	var sounding, n, moves float64
	for i, p := range blocks {
		if p <= least {
			continue
		}
		sounding++
		if i%spectrumEvery > 0 {
			continue
		}
		n++
		s := t.spectra[i/spectrumEvery]
		f.Flux += float64(s.flux)
		f.Centroid += float64(s.centroid)
		f.Low += float64(s.low)
		f.Clarity += float64(s.clarity)
	}
	if n == 0 {
		return f
	}
	f.Flux, f.Centroid, f.Low, f.Clarity = f.Flux/n, f.Centroid/n, f.Low/n, f.Clarity/n
	f.Sounding = sounding / perSecond
	for _, found := range [][]int32{t.notes.found, t.drums.found} {
		var heard float64
		for _, block := range found {
			if int(block) < len(blocks) && blocks[block] > least {
				heard++
			}
		}
		f.Onsets = max(f.Onsets, heard/f.Sounding)
	}
	const apart = 5 * perSecond
	for i := shortTerm - 1 + apart; i < len(blocks); i++ {
		if a, b := window(blocks, i-apart, shortTerm), window(blocks, i, shortTerm); a > least && b > least {
			f.Swell += math.Abs(Level(b) - Level(a))
			moves++
		}
	}
	f.Swell /= max(moves, 1)
	return f
}

// halfBand is a low-pass at a quarter of the rate: a sinc in a Kaiser window (β 4), -43 dB from 8 kHz on where 48 kHz become 24
// and 24 become 12. Every second tap but the middle one is 0.
var halfBand = func() (h [19]float64) {
	const middle = len(h) / 2
	h[middle] = 0.5
	for i := range h {
		if at := float64(i - middle); (i-middle)%2 != 0 {
			w := at / float64(middle+1)
			h[i] = math.Sin(math.Pi*at/2) / (math.Pi * at) * bessel(4*math.Sqrt(1-w*w)) / bessel(4)
		}
	}
	return h
}()

// halve halves the rate of x, in place.
func halve(x [][2]float64) [][2]float64 {
	const middle = len(halfBand) / 2
	h0, h2, h4, h6, h8 := halfBand[0], halfBand[2], halfBand[4], halfBand[6], halfBand[8]
	n := (len(x)-len(halfBand))/2 + 1
	for i := range n {
		y := (*[len(halfBand)][2]float64)(x[2*i:])
		left := h0*(y[0][0]+y[18][0]) + h2*(y[2][0]+y[16][0]) + h4*(y[4][0]+y[14][0]) + h6*(y[6][0]+y[12][0]) + h8*(y[8][0]+y[10][0]) + 0.5*y[middle][0]
		right := h0*(y[0][1]+y[18][1]) + h2*(y[2][1]+y[16][1]) + h4*(y[4][1]+y[14][1]) + h6*(y[6][1]+y[12][1]) + h8*(y[8][1]+y[10][1]) + 0.5*y[middle][1]
		x[i] = [2]float64{left, right}
	}
	return x[:n]
}

// fft is a discrete Fourier transform of a power of two, in place: the radix-2 one of Cooley and Tukey.
type fft struct {
	data  []complex128
	order []int          // where each sample belongs in data before the transform: its index with the bits reversed
	turns [][]complex128 // of each stage, from the third on: half a circle in steps
}

func newFFT(n int) fft {
	f := fft{data: make([]complex128, n), order: make([]int, n)}
	for i := range f.order {
		f.order[i] = int(bits.Reverse(uint(i)) >> (bits.UintSize - bits.Len(uint(n-1))))
	}
	for size := 4; size < n; size *= 2 {
		turns := make([]complex128, size)
		for i := range turns {
			turns[i] = cmplx.Rect(1, -math.Pi*float64(i)/float64(size))
		}
		f.turns = append(f.turns, turns)
	}
	return f
}

func (f *fft) transform() {
	x := f.data
	for i := 0; i+4 <= len(x); i += 4 { // the first two stages turn by whole quarters
		a, b, c, d := x[i]+x[i+1], x[i]-x[i+1], x[i+2]+x[i+3], x[i+2]-x[i+3]
		d = complex(imag(d), -real(d))
		x[i], x[i+1], x[i+2], x[i+3] = a+c, b+d, a-c, b-d
	}
	for _, turns := range f.turns {
		size := len(turns)
		for from := 0; from < len(x); from += 2 * size {
			a, b := x[from:][:size], x[from+size:][:size]
			for i, w := range turns {
				re := real(b[i])*real(w) - imag(b[i])*imag(w)
				im := real(b[i])*imag(w) + imag(b[i])*real(w)
				a[i], b[i] = complex(real(a[i])+re, imag(a[i])+im), complex(real(a[i])-re, imag(a[i])-im)
			}
		}
	}
}
