package output

import "math"

// format is how a sample is laid down in bytes, little-endian.
type format struct {
	name  string // as ALSA names it
	bits  int    // significant
	bytes int    // a sample takes
}

var (
	s32  = format{"S32_LE", 32, 4}
	s24  = format{"S24_LE", 24, 4} // in the low three of four bytes
	s243 = format{"S24_3LE", 24, 3}
	s16  = format{"S16_LE", 16, 2}
)

// quantiser turns samples into a format's bytes: rounded to nearest, never wrapped, at 16 bits with triangular dither
// of two steps, so that a fade's end does not crumble into distortion. Digital silence stays digital silence.
type quantiser struct {
	format
	scale, min, max float64
	seed            uint64
}

func newQuantiser(f format) quantiser {
	scale := math.Ldexp(1, f.bits-1)
	return quantiser{format: f, scale: scale, min: -scale, max: scale - 1, seed: 0x9e3779b97f4a7c15}
}

// frame is how many bytes a stereo frame takes.
func (q *quantiser) frame() int { return 2 * q.bytes }

// encode lays block down in dst, which is long enough, and returns the bytes used.
func (q *quantiser) encode(dst []byte, block [][2]float64) int {
	i := 0
	for _, frame := range block {
		for _, x := range frame {
			v := x * q.scale
			if q.bits == 16 && x != 0 {
				v += q.dither()
			}
			n := int32(q.clip(v))
			switch q.bytes {
			case 4:
				dst[i+3] = byte(n >> 24)
				fallthrough
			case 3:
				dst[i+2] = byte(n >> 16)
				fallthrough
			default:
				dst[i+1] = byte(n >> 8)
				dst[i] = byte(n)
			}
			i += q.bytes
		}
	}
	return i
}

// clip rounds to nearest within the format's range. What is not a number is silence.
func (q *quantiser) clip(v float64) float64 {
	switch {
	case v >= q.max:
		return q.max
	case v <= q.min:
		return q.min
	case v != v:
		return 0
	}
	return math.RoundToEven(v)
}

// dither is a triangular number in (-1, 1) steps: the difference of two even ones.
func (q *quantiser) dither() float64 {
	q.seed ^= q.seed << 13
	q.seed ^= q.seed >> 7
	q.seed ^= q.seed << 17
	return float64(int64(q.seed>>32)-int64(q.seed&0xffffffff)) / (1 << 32)
}
