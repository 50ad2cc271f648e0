package loudness

import "math"

// WithoutPeak makes a meter that does not look for true peaks, for tests of long steady tones.
func (m *Meter) WithoutPeak() *Meter {
	m.peak.most = math.Inf(1)
	return m
}

// WithTexture makes a meter that also hears what the intensity is made of, as an analysis does.
func (m *Meter) WithTexture() *Meter {
	m.texture = newTexture(m.rate)
	return m
}
