package player

// coverEnd gives a clip that a bed stands in for a fade-out: across the clip that joins it, else up to its own end.
func (m *mix) coverEnd(c *part) {
	c.fadeOut = m.frames(lateEntry)
	if c.joined {
		c.end += c.fadeOut
		c.joined = false
	}
}

// standFor opens the stand-in of a clip that is not heard, once that has lasted.
func (d *deck) standFor(p int64) {
	m, name := d.m, d.m.plan.cover
	if name == "" || d.cover != nil || p >= d.track.exit.out.to {
		return
	}
	if d.state != covered && p-d.since < m.frames(patience) {
		return
	}
	if d.clip.fadeOut < m.frames(patience) {
		// A bed has no ending of its own.
		m.coverEnd(&d.clip)
		d.track.exit = exit{back: full, out: ramp{d.clip.end - d.clip.fadeOut, d.clip.end, quarter, 0}}
	}
	open := m.bed(name, 0, d.clip.seed+1)
	d.cover = &voice{tap: openTap(m.ctx, open, duration(max(p, 0), m.rate), m.block, m.offline), dip: full, gain: levels{{}}, env: m.env}
}

// playCover adds the bed's frames, the first of which is at position p.
func (d *deck) playCover(dst [][2]float64, p int64) {
	m, v := d.m, d.cover
	if !v.poll(m.offline) || v.src == nil {
		return
	}
	if !v.heard {
		v.heard = true
		begin := max(p, d.since)
		length := m.frames(lateEntry)
		if begin == d.clip.start {
			length = max(length, d.clip.fadeIn)
		}
		v.in = ramp{begin, begin + length, 0, quarter}
	}
	v.exit, v.at, v.place = d.track.exit, p, p // its dip is on the session's line
	v.gain[0].db = 0
	if target, ok := m.plan.target(p); ok {
		v.gain[0].db = min(target-BedLUFS, 12)
	}
	v.fill(len(dst))
	n, _ := v.Stream(m.side[:len(dst)])
	add(dst, m.side[:n])
	if p+int64(n) >= v.dip.to && v.dip.b == 0 {
		d.uncover()
	}
}
