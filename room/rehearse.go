package room

import "time"

// rehearsal is a sped-up run of a session's clock and lights, without sound, before the client arrives. It is not journaled.
type rehearsal struct {
	s     *Session
	zero  time.Duration // room time of session time 0 at this speed
	speed time.Duration // factor over real time
}

// maxSpeed turns three hours into 18 s. The limit on how fast lights change still holds.
const maxSpeed = 600

func (h *rehearsal) at(now time.Duration) time.Duration { return (now - h.zero) * h.speed }

// due returns the room time of the next planned change.
func (h *rehearsal) due() time.Duration {
	at, _ := h.s.Due()
	return h.zero + (at+h.speed-1)/h.speed
}

// rehearse starts a rehearsal at session time Command.AtMS with the lights planned for that time.
func (st *State) rehearse(in Input, now time.Duration, eff *Effects) error {
	c := in.Command
	s := Rehearsal(*in.Begin)
	at := time.Duration(c.AtMS) * time.Millisecond
	switch {
	case c.Speed < 1 || c.Speed > maxSpeed:
		return Refuse("bad-speed").Of("speed")
	case at < 0 || at >= s.Ends():
		return Refuse("bad-at").Of("at_ms")
	}
	st.quiet(now, eff)
	s, _, _ = s.Step(Input{}, at)
	st.Rehearsal = &rehearsal{s: s, speed: time.Duration(c.Speed), zero: now - at/time.Duration(c.Speed)}
	eff.Light = st.Rehearsal.light(s.Light.Scene, s.Light.Over)
	return nil
}

// advance returns the rehearsal at room time now, or nil once it is over.
func (h *rehearsal) advance(now time.Duration, eff *Effects) *rehearsal {
	at := h.at(now)
	if at >= h.s.Ends() {
		return nil
	}
	s, more, _ := h.s.Step(Input{}, at)
	if l := more.Light; l != nil {
		eff.Light = h.light(l.Scene, l.Over)
	}
	return &rehearsal{s, h.zero, h.speed}
}

// light returns the move to scene, sped up. It is not a Plan move, so the limit for unplanned light applies.
func (h *rehearsal) light(scene string, over time.Duration) *LightMove {
	return &LightMove{Scene: scene, Over: over / h.speed}
}

// RehearsalView describes the running rehearsal.
type RehearsalView struct {
	Playlist string `json:"playlist"` // ID
	Name     string `json:"name"`
	Phase    string `json:"phase"`
	AtMS     int64  `json:"at_ms"` // session time
	EndMS    int64  `json:"end_ms"`
	Speed    int    `json:"speed"` // factor over real time
}

func (h *rehearsal) view(now time.Duration) *RehearsalView {
	b := h.s.Begin.Playlist
	return &RehearsalView{Playlist: b.ID, Name: b.Name, Phase: h.s.phase(h.s.Current).Name, AtMS: ms(min(h.at(now), h.s.Ends())), EndMS: ms(h.s.Ends()), Speed: int(h.speed)}
}
