package player

import "time"

const (
	silence = -120 // dB: what a Master means by silence
	// A glide to or from silence ends and begins here, where nothing is heard any more, and its last 6 dB taper to
	// nothing: even in dB all the way, it would be unheard for most of its time.
	floor  = -48.0
	louder = 3.0 // dB a second, at most
	// The least that any fall takes, so that it is no click.
	leastFall = 100 * time.Millisecond
)

// master is the gain that a person steers. It belongs to the loop.
type master struct {
	rate    int
	ceiling float64 // dB
	db      float64 // now; floor is silence
	to      float64
	speed   float64 // dB a second, towards to
}

// ask begins a glide; at once where nothing is heard.
func (m *master) ask(a Master, unheard bool) {
	// Anything that is no number is silence, too.
	to := floor
	if a.DB > floor {
		to = min(a.DB, m.ceiling)
	}
	m.to = to
	if unheard {
		m.db = to
		return
	}
	over := a.Over
	if to < m.db {
		over = max(over, leastFall)
	}
	m.speed = louder
	if over > 0 {
		m.speed = max(to-m.db, m.db-to) / over.Seconds()
	}
	if to > m.db {
		m.speed = min(m.speed, louder)
	}
}

// level is the present gain in dB.
func (m *master) level() float64 {
	if m.db <= floor {
		return silence
	}
	return m.db
}

func (m *master) gain() float64 {
	g := linear(m.db)
	if m.db < floor+6 {
		g *= (m.db - floor) / 6
	}
	return g
}

// process applies the gain, moving it on every 10 ms and evenly between.
func (m *master) process(block [][2]float64) {
	step := m.rate / 100
	for len(block) > 0 {
		if m.db == m.to {
			if g := m.gain(); g != 1 {
				for i := range block {
					block[i][0] *= g
					block[i][1] *= g
				}
			}
			return
		}
		n := min(step, len(block))
		g := m.gain()
		move := m.speed * float64(n) / float64(m.rate)
		if m.to > m.db {
			m.db = min(m.db+move, m.to)
		} else {
			m.db = max(m.db-move, m.to)
		}
		d := (m.gain() - g) / float64(n)
		for i := range block[:n] {
			g += d
			block[i][0] *= g
			block[i][1] *= g
		}
		block = block[n:]
	}
}
