package loudness

import "math"

// Features are what Intensity is made of, beside the loudness range. None of them depends on the file's level, and they
// are taken from the same pass as the loudness. All are means over what sounds: the 100 ms blocks within 20 LU of the
// integrated loudness. docs/intensity.md says what they mean to a curator.
type Features struct {
	// Onsets is how many attacks begin in a second, 0 to 12. An attack is a rise of a power over its least since the last fall: by 1.7 dB in
	// 30 ms of the signal's slope, which shows notes, or by 3 dB in 80 ms of the K-weighted signal, which shows low drums; the larger
	// count holds. Energy and slope are the detection functions of Bello et al., "A tutorial on onset detection in music signals" (IEEE
	// TSAP 13(5), 2005).
	Onsets float64
	// Swell is how far the short-term loudness of EBU Tech 3341 moves in 5 s, in LU, up or down.
	Swell float64
	// Flux is the share of the spectrum that was not there 200 ms before, 0 to 1: the half-wave rectified spectral flux of Dixon,
	// "Onset detection revisited" (DAFx-06), of amplitudes in third-octave bands, divided by their sum.
	Flux float64
	// Centroid is the mean frequency in Hz, 50 to 4000, weighted by amplitude: Peeters, "A large set of audio features for sound
	// description" (IRCAM, 2004).
	Centroid float64
	// Low is the share of the power under 150 Hz, 0 to 1.
	Low float64
	// Clarity is 0 for noise and 1 for pure tones: the tonality coefficient of Johnston, "Transform coding of audio signals
	// using perceptual noise criteria" (IEEE JSAC 6(2), 1988), which is the spectral flatness in dB, divided by -60.
	Clarity float64
	// Sounding is how long something sounds, in seconds.
	Sounding float64
}

// scale is how a feature counts: not at all up to calm, fully from intense on, linearly between.
type scale struct{ calm, intense, weight float64 }

// The scales are set by hand, and their weights add up to 1. That quick, bright and rough music is heard as intense, and slow, dark and
// smooth music as calm, is what many studies agree on: Gabrielsson and Lindström, "The role of structure in the musical expression of
// emotions" (Handbook of Music and Emotion, 2010). That bass counts is our own choice.
var (
	onsetScale = scale{0, 5, 0.25}
	fluxScale  = scale{0.05, 0.35, 0.05}
	rangeScale = scale{2, 15, 0.025}
	swellScale = scale{0.5, 5, 0.025}

	// The sound's colour counts in full from one attack a second on, so that rain stays calm, and a low drone.
	noiseScale    = scale{0.55, 0.85, 0.35} // of 1 - Clarity
	centroidScale = scale{500, 1300, 0.2}
	lowScale      = scale{0.1, 0.5, 0.1}
	movedScale    = scale{0, 1, 1} // of Onsets
)

func (s scale) of(x float64) float64 {
	return s.weight * min(max((x-s.calm)/(s.intense-s.calm), 0), 1)
}

// leastSounding is how much of a file must sound for its intensity to be told, in seconds.
const leastSounding = 3

// Intensity is 1 (calm) to 5 (intense), in tenths. It is 0 where it is not known: the analysis is of an earlier version, or hardly
// anything sounds in the file.
func (a *Analysis) Intensity() float64 {
	f := a.Features
	if f == nil || f.Sounding < leastSounding {
		return 0
	}
	movement := onsetScale.of(f.Onsets) + fluxScale.of(f.Flux) + rangeScale.of(a.Range) + swellScale.of(f.Swell)
	colour := noiseScale.of(1-f.Clarity) + centroidScale.of(f.Centroid) + lowScale.of(f.Low)
	return math.Round(10*(1+4*(movement+colour*movedScale.of(f.Onsets)))) / 10
}
