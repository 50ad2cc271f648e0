package lights

import (
	"math"
	"slices"
	"time"
)

// drive sends what is due.
func (m *machine) drive() (next time.Time) {
	if !m.open || m.off || !m.plan.active || len(m.units) == 0 {
		return time.Time{}
	}
	if t := m.rushUntil(); m.now.Before(t) {
		return t
	}
	if g := &m.group; m.grouped {
		if m.together() {
			if first := m.units[0]; !g.mode {
				g.mode, g.next, g.sent, g.repeats = true, m.now, first.sent, first.repeats
			}
			return m.along(g, m.all())
		}
		if g.mode {
			g.mode = false
			for u := range m.each() {
				u.next, u.repeats = m.now, max(u.repeats, g.repeats)
			}
		}
	}
	for u := range m.each() {
		next = sooner(next, m.along(&u.line, []*unit{u}))
	}
	return next
}

// together tells whether one command can move all members of a group. A lost one may hear it all the same, and nobody knows
// how far it would jump.
func (m *machine) together() bool {
	a := m.units[0]
	return !slices.ContainsFunc(m.units, func(u unit) bool {
		return u.heldLevel || u.heldColour || u.lost || !u.known || u.suspect > 0 || a.on != u.on ||
			math.Abs(a.away.at(m.now)-u.away.at(m.now)) > 0.05 ||
			math.Abs(a.ramp.at(m.now)-u.ramp.at(m.now)) > 1.01/254 || a.hue.distance(u.hue) > 3
	})
}

// along sends the next chunk, refresh or repeat on one line, and returns when it has to be looked at again.
func (m *machine) along(ln *line, us []*unit) time.Time {
	for _, u := range us {
		if u.heldLevel && u.heldColour {
			return time.Time{}
		}
		// An answer tells more than a guess: wait for it, a moment.
		if m.now.Before(u.waitUntil) && (!u.known || u.suspect > 0) {
			return u.waitUntil
		}
	}
	if m.now.Before(ln.next) {
		return ln.next
	}
	if us[0].lost && m.now.Sub(ln.sentAt) < refreshEvery {
		return ln.sentAt.Add(refreshEvery)
	}
	ln.next = m.now.Add(m.move(ln, us))
	return ln.next
}

// move sends what is due on a line, and says for how long nothing else is.
func (m *machine) move(ln *line, us []*unit) time.Duration {
	u, now, caps := us[0], m.now, ln.addr.caps
	if !u.known {
		return m.blind(ln, us)
	}
	for _, x := range us {
		// A chunk of a fast move that had no echo by now was lost: the next one must not make up for it in one go.
		if !x.ackDue.IsZero() && now.Sub(x.sentAt) >= 250*time.Millisecond && x.echoes && x.doubts < 2 && x.on {
			x.doubts++
			y := x.before.at(now)
			x.ramp = ramp{y, y, now, now}
			m.align(x, strayed)
			x.sent, ln.sent = 0, 0
		}
	}
	way := m.course(u)
	if !u.on {
		if u.heldLevel {
			return time.Second
		}
		// Lit at its lowest level at once: a lamp that is switched on by a fade may flash its last level first.
		if m.send(ln, us, order{level: caps.Min}) {
			for _, x := range us {
				x.on = true
				x.away = away{way.floor - m.plan.at(now), now, now.Add(m.closeUp(x, resumed))}
				if _, rest := way.ends(now); rest.After(x.away.t1) {
					x.away.t1 = rest
				}
			}
		}
		return 300 * time.Millisecond
	}
	_, rest := way.ends(now)
	moving := rest.After(now)

	// Colour. A lamp that fades one attribute gets it in steps too small to see, ahead of the level's next chunk.
	hue := m.tint(u, caps, moving)
	if hue.mode != asItIs && caps.Fade != FadeBoth && now.Sub(ln.colourAt) > 200*time.Millisecond {
		if d := u.hue.distance(hue); d > colourStep && !math.IsInf(d, 1) {
			hue = u.hue.towards(hue, colourStep/d)
		}
		if m.send(ln, us, order{hue: hue}) {
			ln.colourAt = now
			// Such a lamp stands still now: go on from here.
			for _, x := range us {
				y := x.ramp.at(now)
				x.ramp = ramp{y, y, now, now}
			}
			ln.sent = 0
		}
		return 150 * time.Millisecond
	}
	if caps.Fade != FadeBoth {
		hue = colour{}
	}
	again := refreshEvery // for the colour
	if want := caps.fits(m.plan.colour(now)); m.plan.t1.After(now) && m.plan.hue != m.plan.hues || hue.mode != asItIs ||
		want.mode != asItIs && u.hue.distance(want) >= 3 && !u.heldColour {
		again = 2 * time.Second
	}
	switch {
	case u.heldLevel:
		m.paint(ln, us, hue)
		return 2 * time.Second
	case caps.Fade == FadeNone:
		return m.leap(ln, us, way)
	case !moving:
		return max(50*time.Millisecond, min(again, m.keep(ln, us, way, hue)))
	}
	level := ln.sent
	if level == 0 || u.ramp.t1.After(now.Add(time.Millisecond)) {
		level = -1 // in mid-ramp: any level is news
	}
	ch, wait, ok := way.chunk(caps, level, u.lightness(now), now)
	if ok && level == -1 && math.Abs(caps.lightness(ch.level)-u.lightness(now)) < 0.01 {
		ok, wait = false, now.Add(time.Second)
	}
	if !ok {
		m.paint(ln, us, hue)
		return max(50*time.Millisecond, min(again, wait.Sub(now)))
	}
	// Whatever came before, the lamp is not asked for more than its limit from where it is.
	most := float64(promisedSlope)
	if m.plan.kind == Planned && u.away.d == 0 {
		most = 2 * plannedSlope
	}
	from, full := u.ramp.at(now), float64(caps.Max)
	for ch.over < time.Second && ch.over < gentle(from, float64(ch.level)/full, most) {
		// Less far is better than later: chunks are counted in tenths of a second.
		back := ch.level + 1
		if float64(ch.level)/full > from {
			back = ch.level - 1
		}
		if math.Abs(float64(back)/full-from)*full < 1 {
			break
		}
		ch.level = back
	}
	// In tenths, as it is sent: the next chunk starts when this one has ended in truth.
	ch.over = tenths(min(max(ch.over, gentle(from, float64(ch.level)/full, most)), caps.MaxFade))
	if hue.mode != asItIs && u.hue.mode == asItIs {
		_ = m.send(ln, us, order{hue: hue, over: 5 * time.Second}) // the first colour is a message of its own, and slow
		hue = colour{}
	}
	_ = m.send(ln, us, order{level: ch.level, hue: hue, over: ch.over})
	if again < refreshEvery {
		return min(ch.over, 5*time.Second)
	}
	return ch.over
}

// tint is the colour that a light is due to get; none where it has it.
func (m *machine) tint(u *unit, caps Caps, moving bool) colour {
	want := caps.fits(m.plan.colour(m.now.Add(2 * time.Second)))
	if d := u.hue.distance(want); want.mode == asItIs || u.heldColour || d < 1 || d < 3 && moving {
		return colour{}
	}
	return want
}

// paint sends a colour alone, if there is one.
func (m *machine) paint(ln *line, us []*unit, hue colour) {
	if hue.mode != asItIs {
		_ = m.send(ln, us, order{hue: hue, over: 2 * time.Second})
	}
}

// keep holds a light at the end of its course: the level is repeated three times, and refreshed once a minute.
func (m *machine) keep(ln *line, us []*unit, way course, hue colour) time.Duration {
	u, now, caps := us[0], m.now, ln.addr.caps
	m.paint(ln, us, hue)
	level := caps.level(way.at(now))
	switch off := math.Abs(caps.lightness(level) - u.lightness(now)); {
	case ln.sent != level || off > 0.5 && !u.ramp.t1.After(now):
		most, least := plannedSlope, time.Second
		if u.away.d != 0 || m.plan.kind != Planned {
			most, least = promisedSlope, 300*time.Millisecond
		}
		if off <= 0.5 {
			least = repeatEvery // it is there already, unless it has just lost its power
		}
		over := min(caps.MaxFade, max(least, gentle(u.ramp.at(now), float64(level)/float64(caps.Max), most)))
		_ = m.send(ln, us, order{level: level, over: over})
		return max(over, repeatEvery)
	case ln.repeats > 0 && now.Sub(ln.sentAt) >= repeatEvery-50*time.Millisecond:
		ln.repeats--
		over := repeatEvery
		if len(us) > 1 {
			over = repeatOver
		}
		_ = m.send(ln, us, order{level: level, over: over})
		return repeatEvery
	case now.Sub(ln.sentAt) >= refreshEvery:
		_ = m.send(ln, us, order{level: level, over: refreshOver})
		return refreshEvery
	case ln.repeats > 0:
		return max(100*time.Millisecond, repeatEvery-now.Sub(ln.sentAt))
	}
	return max(100*time.Millisecond, refreshEvery-now.Sub(ln.sentAt))
}

// blind moves a light that does not say where it is: so slowly that it is gentle from anywhere.
func (m *machine) blind(ln *line, us []*unit) time.Duration {
	u, now, caps := us[0], m.now, ln.addr.caps
	switch {
	case now.Before(u.ramp.t1) && ln.sent != 0:
		return u.ramp.t1.Sub(now)
	case u.heldLevel:
		return time.Second
	}
	// One that can only jump goes up from the dark, never down from a guess.
	level, over := caps.Min, time.Duration(0)
	if caps.Fade != FadeNone {
		level, over = caps.fromAnywhere(caps.level(m.course(u).at(now.Add(blindOver))))
	}
	if m.send(ln, us, order{level: level, over: over}) {
		for _, x := range us {
			x.on = true
			if !x.addr.caps.ReadBack || caps.Fade == FadeNone {
				x.known, x.ever = true, true
				if caps.Fade == FadeNone {
					m.align(x, strayed)
				}
			}
			x.away = away{}
		}
	}
	return max(over, time.Second)
}

// fromAnywhere is a ramp that is gentle wherever the light is, to level or as near to it as the lamp's longest fade allows.
func (c Caps) fromAnywhere(level int) (int, time.Duration) {
	need := func(from int) time.Duration {
		return gentle(float64(from)/float64(c.Max), float64(level)/float64(c.Max), promisedSlope)
	}
	for level < c.Max && need(c.Max) > c.MaxFade {
		level++
	}
	for level > c.Min && need(c.Min) > c.MaxFade {
		level--
	}
	return level, min(c.MaxFade, max(blindOver, need(c.Min), need(c.Max)))
}

// leap moves a light that can't fade, in steps of 2 L* at most.
func (m *machine) leap(ln *line, us []*unit, way course) time.Duration {
	u, now, caps := us[0], m.now, ln.addr.caps
	is, want := u.lightness(now), way.at(now)
	level := caps.level(is + min(2, max(-2, want-is)))
	if at := caps.level(is); level == at && caps.level(want) != at {
		if want > is {
			level++ // one level is more than 2 L* down here
		} else {
			level--
		}
	}
	_, rest := way.ends(now)
	again := rest.IsZero() && ln.repeats > 0 && now.Sub(ln.sentAt) >= repeatEvery
	if moved := level != caps.level(is); moved || again || now.Sub(ln.sentAt) >= refreshEvery {
		if again && !moved {
			ln.repeats--
		}
		_ = m.send(ln, us, order{level: level})
	}
	if math.Abs(way.slope(now)) > 2.5 {
		return 200 * time.Millisecond
	}
	return time.Second
}

// send makes one command and notes what it does to its lights. It does nothing, and is false, without a connection.
func (m *machine) send(ln *line, us []*unit, o order) bool {
	if !m.open {
		return false
	}
	o.over = max(0, o.over)
	m.packets = append(m.packets, m.drv.order(ln.addr, o)...)
	if o.level > 0 {
		ln.sent = o.level
	}
	ln.sentAt = m.now
	for _, u := range us {
		u.spoke, u.sentAt = m.now, m.now
		if u.reading > 0 {
			// Its answer could be this command's echo.
			u.reading = 0
			u.readAt = m.now.Add(readGap + 200*time.Millisecond)
		}
		if m.asked(u) {
			u.ackDue = m.now.Add(ackWithin)
		}
		u.before = u.ramp
		if o.level > 0 {
			y := float64(o.level) / float64(ln.addr.caps.Max)
			from := u.ramp.at(m.now)
			if !u.on {
				from = y
			}
			u.ramp = ramp{from, y, m.now, m.now.Add(tenths(limit(ln.addr.caps, o.over)))}
			u.sent = o.level
			u.past = append(slices.DeleteFunc(slices.Clone(u.past), func(x mark) bool { return m.now.Sub(x.at) > ourTargets }), mark{y, m.now})
		}
		if k := ln.addr.caps.fits(o.hue); k.mode != asItIs {
			u.hue = k
		}
	}
	return true
}
