package loudness

import "math"

// WithoutPeak makes a meter that does not look for true peaks, for tests of long steady tones.
func (m *Meter) WithoutPeak() *Meter {
	m.peak.most = math.Inf(1)
	return m
}
