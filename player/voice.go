package player

// voice is the second node of a deck: its source under the deck's fades and gains. What it gives is added to the mix as
// it is.
type voice struct {
	*tap
	heard bool  // it sounds
	place int64 // source frame of the next
	in    ramp  // how it comes, and
	exit  exit  // how it leaves, on the session's line
	dip   ramp  // the last frames before a hole, on the source's own line
	gain  levels
	curve levels // on the source's own line
	at    int64  // session position of the next frame; the deck tells it
	env   []float64
}

// Stream gives the next frames, which are there: the deck has filled the tap.
func (v *voice) Stream(dst [][2]float64) (int, bool) {
	k, ok := v.tap.Stream(dst)
	dst = dst[:k]
	n := int64(k)
	p, place := v.at, v.place
	v.at, v.place = p+n, place+n
	if n == 0 {
		return 0, ok
	}
	in, flat := v.in.flat(p, p+n)
	out, flat2 := v.exit.flat(p, p+n)
	dip, flat3 := v.dip.flat(place, place+n)
	gain, flat4 := v.gain.flat(p, p+n)
	curve, flat5 := v.curve.flat(place, place+n)
	if flat && flat2 && flat3 && flat4 && flat5 {
		if g := in * out * dip * gain * curve; g != 1 {
			for i := range dst {
				dst[i][0] *= g
				dst[i][1] *= g
			}
		}
		return k, ok
	}
	env := unit(v.env, n)
	v.in.mul(env, p)
	v.exit.mul(env, p)
	v.dip.mul(env, place)
	v.gain.mul(env, p)
	v.curve.mul(env, place)
	for i, g := range env {
		dst[i][0] *= g
		dst[i][1] *= g
	}
	return k, ok
}

// unit is n entries of env, each 1.
func unit(env []float64, n int64) []float64 {
	env = env[:n]
	for i := range env {
		env[i] = 1
	}
	return env
}

// close ends it.
func (v *voice) close() {
	if v.tap != nil {
		v.tap.close()
	}
	v.heard = false
}
