package output

import (
	"encoding/binary"
	"math"
)

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
	pairs           int // stereo pairs in a frame
}

func newQuantiser(f format) quantiser {
	scale := math.Ldexp(1, f.bits-1)
	return quantiser{format: f, scale: scale, min: -scale, max: scale - 1, seed: 0x9e3779b97f4a7c15, pairs: 1}
}

// frame is how many bytes a frame takes.
func (q *quantiser) frame() int { return 2 * q.bytes * q.pairs }

// encode lays block down in dst, which is long enough, and more's blocks, one for each further pair and as long, beside
// it. It returns the bytes used.
func (q *quantiser) encode(dst []byte, block [][2]float64, more ...[][2]float64) int {
	q.pair(dst, block)
	for k, m := range more {
		q.pair(dst[2*q.bytes*(k+1):], m[:len(block)])
	}
	return len(block) * q.frame()
}

// pair lays one stereo pair of each frame down.
func (q *quantiser) pair(dst []byte, block [][2]float64) {
	size := q.frame()
	if q.pairs == 1 && silent(block) {
		clear(dst[:len(block)*size])
		return
	}
	for i, frame := range block {
		b := dst[i*size : i*size+2*q.bytes]
		switch q.bytes {
		case 4:
			binary.LittleEndian.PutUint64(b, uint64(uint32(q.round(frame[0]*q.scale)))|uint64(q.round(frame[1]*q.scale))<<32)
		case 3:
			both := uint64(uint32(q.round(frame[0]*q.scale)))&0xffffff | uint64(q.round(frame[1]*q.scale))<<24
			binary.LittleEndian.PutUint32(b, uint32(both))
			binary.LittleEndian.PutUint16(b[4:], uint16(both>>32))
		default:
			for ch, x := range frame {
				v := int32(0)
				if x != 0 {
					v = q.round(x*q.scale + q.dither())
				}
				binary.LittleEndian.PutUint16(b[2*ch:], uint16(v))
			}
		}
	}
}

// round rounds to nearest within the format's range. What is not a number is silence.
func (q *quantiser) round(v float64) int32 {
	// In a float64 of this size the lowest bits are the whole number, so that the adder does the rounding.
	const whole = 3 << 51
	if v >= q.max {
		v = q.max
	} else if !(v > q.min) {
		v = q.outside(v)
	}
	return int32(math.Float64bits(v + whole))
}

func (q *quantiser) outside(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return q.min
}

// dither is a triangular number in (-1, 1) steps: the difference of two even ones.
func (q *quantiser) dither() float64 {
	q.seed ^= q.seed << 13
	q.seed ^= q.seed >> 7
	q.seed ^= q.seed << 17
	return float64(int64(q.seed>>32)-int64(q.seed&0xffffffff)) / (1 << 32)
}
