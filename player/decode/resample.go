package decode

import "math"

// The resampler is a polyphase Kaiser-windowed sinc. Its taps span 68 frames of the lower of the two rates: the
// transition runs from 0.408 to 0.5 of that rate (18 to 22.05 kHz where it is 44.1 kHz), with images and aliases 96 dB down.
const (
	spanTaps    = 68
	passEdge    = 0.408 // of the lower rate
	attenuation = 96    // dB
	// maxPhases bounds the table. Rates whose ratio needs more get the phases between two of them by a straight line,
	// which errs by (π/1024)²/8 at most, -118 dB.
	maxPhases = 1024
)

// resampler changes the rate of stereo frames. It adds no delay: frame j of the output lies at j/out seconds.
// n frames in give ceil(n·out/in) frames out in all.
type resampler struct {
	up, down int64     // out/in in lowest terms
	taps     int       // a phase's coefficients; even
	phases   int       // of the table, without the one that closes it
	table    []float32 // phases+1 rows of taps
	exact    bool      // phases == up

	buf   [][2]float32 // the frames that are still needed; buf[0] is frame base of the input
	base  int64
	got   int64 // frames pushed in all
	index int64 // input frame at or before the next output frame
	frac  int64 // its place after that frame, in 1/up
	out   [][2]float32
	row   []float32 // an interpolated phase
}

func newResampler(in, out int) *resampler {
	g := gcd(in, out)
	r := &resampler{up: int64(out / g), down: int64(in / g)}
	stretch := max(1, float64(in)/float64(out)) // taps are counted at the input's rate
	r.taps = 4 * int(math.Ceil(spanTaps*stretch/4))
	r.phases, r.exact = int(r.up), true
	if r.up > maxPhases {
		r.phases, r.exact = maxPhases, false
		r.row = make([]float32, r.taps)
	}
	half := r.taps / 2
	cutoff := (passEdge + 0.5) / stretch // twice the corner's share of the input's rate
	beta := 0.1102 * (attenuation - 8.7)
	r.table = make([]float32, (r.phases+1)*r.taps)
	row := make([]float64, r.taps)
	for p := 0; p <= r.phases; p++ {
		sum := 0.0
		for k := range row {
			x := float64(k-half+1) - float64(p)/float64(r.phases)
			w := x / float64(half)
			row[k] = 0
			if w > -1 && w < 1 {
				row[k] = sinc(cutoff*x) * bessel0(beta*math.Sqrt(1-w*w))
			}
			sum += row[k]
		}
		for k, v := range row { // each phase passes the same at 0 Hz
			r.table[p*r.taps+k] = float32(v / sum)
		}
	}
	r.base = -int64(half - 1)
	r.buf = make([][2]float32, half-1, 1<<14)
	return r
}

// push takes frames and gives those that they complete, valid until the next call.
func (r *resampler) push(in [][2]float32) [][2]float32 {
	r.got += int64(len(in))
	r.out = r.out[:0]
	for len(in) > 0 {
		n := min(len(in), 4096)
		r.buf = append(r.buf, in[:n]...)
		in = in[n:]
		r.run(math.MaxInt64)
	}
	return r.out
}

// flush gives what is left at the end of the sound, valid until the next call.
func (r *resampler) flush() [][2]float32 {
	r.out = r.out[:0]
	r.buf = append(r.buf, make([][2]float32, r.taps)...)
	r.run(r.got)
	return r.out
}

// run makes output while all its taps have input, up to the input frame end.
func (r *resampler) run(end int64) {
	half := int64(r.taps / 2)
	for r.index < end {
		at := r.index - half + 1 - r.base
		if at+int64(r.taps) > int64(len(r.buf)) {
			break
		}
		h := r.row
		if r.exact {
			h = r.table[int(r.frac)*r.taps:][:r.taps]
		} else {
			p := float64(r.frac) * float64(r.phases) / float64(r.up)
			i := int(p)
			k := float32(p - float64(i))
			a, b := r.table[i*r.taps:][:r.taps], r.table[(i+1)*r.taps:][:r.taps]
			for j := range h {
				h[j] = a[j] + k*(b[j]-a[j])
			}
		}
		x := r.buf[at:][:len(h)]
		var l0, r0, l1, r1 float32
		for ; len(h) >= 4 && len(x) >= 4; h, x = h[4:], x[4:] { // taps is a multiple of 4
			l0 += h[0]*x[0][0] + h[2]*x[2][0]
			r0 += h[0]*x[0][1] + h[2]*x[2][1]
			l1 += h[1]*x[1][0] + h[3]*x[3][0]
			r1 += h[1]*x[1][1] + h[3]*x[3][1]
		}
		r.out = append(r.out, [2]float32{l0 + l1, r0 + r1})
		r.frac += r.down
		for r.frac >= r.up {
			r.frac -= r.up
			r.index++
		}
	}
	if drop := r.index - half + 1 - r.base; drop > 0 {
		drop = min(drop, int64(len(r.buf)))
		r.buf = r.buf[:copy(r.buf, r.buf[drop:])]
		r.base += drop
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel0 is the modified Bessel function of order 0, by its series.
func bessel0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}
