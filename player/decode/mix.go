package decode

import "math/bits"

// Speakers of a channel mask, as WAVE_FORMAT_EXTENSIBLE numbers them.
const (
	frontLeft = 1 << iota
	frontRight
	frontCenter
	lowFrequency
	backLeft
	backRight
	frontLeftOfCenter
	frontRightOfCenter
	backCenter
	sideLeft
	sideRight
)

// masks are the usual layouts where a file names none (WAVE, FLAC and ffmpeg agree on them).
var masks = [...]uint32{
	1: frontCenter,
	2: frontLeft | frontRight,
	3: frontLeft | frontRight | frontCenter,
	4: frontLeft | frontRight | backLeft | backRight,
	5: frontLeft | frontRight | frontCenter | backLeft | backRight,
	6: frontLeft | frontRight | frontCenter | lowFrequency | backLeft | backRight,
	7: frontLeft | frontRight | frontCenter | lowFrequency | backCenter | sideLeft | sideRight,
	8: frontLeft | frontRight | frontCenter | lowFrequency | backLeft | backRight | sideLeft | sideRight,
}

// maxChannels bounds what a header may claim.
const maxChannels = 32

// mixer folds the channels of a file into two. One channel goes to both sides as it is, so that a meter reads the same on
// either side as in the file's one channel. More than two follow ITU-R BS.775: left = FL + 0.7071 FC + 0.7071 (BL + SL) + FLC
// + 0.5 BC, right likewise; the low-frequency channel and what has no known place are left out. The sum is not scaled down: it is float,
// and the loudness of the whole file is measured behind this door.
type mixer [][2]float32

func newMixer(channels int, mask uint32) mixer {
	m := make(mixer, channels)
	if channels == 1 {
		m[0] = [2]float32{1, 1}
		return m
	}
	if bits.OnesCount32(mask) != channels {
		mask = 0
		if channels < len(masks) {
			mask = masks[channels]
		}
	}
	if mask == 0 { // no known layout: the first two are the front
		m[0], m[1] = [2]float32{1, 0}, [2]float32{0, 1}
		return m
	}
	c := 0
	for bit := uint32(1); bit != 0 && c < channels; bit <<= 1 {
		if mask&bit == 0 {
			continue
		}
		m[c] = speakerGain(bit)
		c++
	}
	return m
}

// speakerGain is what one channel gives to left and right.
func speakerGain(speaker uint32) [2]float32 {
	const half = 0.70710678
	switch speaker {
	case frontLeft, frontLeftOfCenter:
		return [2]float32{1, 0}
	case frontRight, frontRightOfCenter:
		return [2]float32{0, 1}
	case frontCenter:
		return [2]float32{half, half}
	case backLeft, sideLeft:
		return [2]float32{half, 0}
	case backRight, sideRight:
		return [2]float32{0, half}
	case backCenter:
		return [2]float32{0.5, 0.5}
	}
	return [2]float32{}
}

// plain says that the channels already are left and right.
func (m mixer) plain() bool {
	return len(m) == 2 && m[0] == [2]float32{1, 0} && m[1] == [2]float32{0, 1}
}
