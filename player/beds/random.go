package beds

import "math"

// Chance that can be entered anywhere: every random value is a hash of the seed, of what it is for, and of a place
// on the time line, so that nothing has to be generated to know it.

// mix is the finisher of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hash(seed, use uint64, place int64) uint64 {
	return mix(mix(seed^use*0xd6e8feb86659fd93) ^ uint64(place))
}

// unit is an even value in [0, 1).
func unit(seed, use uint64, place int64) float64 {
	return float64(hash(seed, use, place)>>11) / (1 << 53)
}

// wander is a smooth random value in [-1, 1] that changes its mind about every period seconds.
func wander(seed, use uint64, t, period float64) float64 {
	x := t/period + unit(seed, use, math.MinInt64)
	i := math.Floor(x)
	f := x - i
	f = f * f * f * (f*(f*6-15) + 10)
	a, b := unit(seed, use, int64(i)), unit(seed, use, int64(i)+1)
	return 2*(a+(b-a)*f) - 1
}

// white is a xorshift generator; each step gives one frame of noise for two ears.
type white uint64

func noiseAt(seed, use uint64, place int64) white { return white(hash(seed, use, place) | 1) }

func (w *white) frame() (l, r float64) {
	x := *w
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*w = x
	const scale = 1.0 / (1 << 31)
	return float64(int32(x>>32)) * scale, float64(int32(x)) * scale
}
