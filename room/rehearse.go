package room

import "time"

// rehearsal is a session run through before any client is there: its clock and its light, without its sound, and faster.
// Nothing of it is kept.
type rehearsal struct {
	s     *Session
	zero  time.Duration // room time at which it would have begun at this speed
	speed time.Duration // times as fast
}

// maxSpeed makes 18 s of three hours. The lights go as fast as they may, and no faster.
const maxSpeed = 600

func (h *rehearsal) at(now time.Duration) time.Duration { return (now - h.zero) * h.speed }

// due is the room time at which it goes on by itself.
func (h *rehearsal) due() time.Duration {
	at, _ := h.s.Due()
	return h.zero + (at+h.speed-1)/h.speed
}

// rehearse begins one at a moment of it, with the light that the session has there.
func (st *State) rehearse(in Input, now time.Duration, eff *Effects) error {
	c := in.Command
	s := Rehearsal(*in.Begin)
	at := time.Duration(c.AtMS) * time.Millisecond
	switch {
	case c.Speed < 1 || c.Speed > maxSpeed:
		return refuse("bad-speed").of("speed")
	case at < 0 || at >= s.Ends():
		return refuse("bad-at").of("at_ms")
	}
	st.quiet(now, eff)
	s, _, _ = s.Step(Input{}, at)
	st.Rehearsal = &rehearsal{s: s, speed: time.Duration(c.Speed), zero: now - at/time.Duration(c.Speed)}
	eff.Light = st.Rehearsal.light(s.Light.Scene, s.Light.Over)
	return nil
}

// advance is the rehearsal at now; nil once it is over.
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

// light moves the room's lights, and never faster than unplanned light moves.
func (h *rehearsal) light(scene string, over time.Duration) *LightMove {
	return &LightMove{Scene: scene, Over: over / h.speed}
}

// RehearsalView is a rehearsal that is under way.
type RehearsalView struct {
	Playlist string `json:"playlist"` // ID
	Name     string `json:"name"`
	Phase    string `json:"phase"`
	AtMS     int64  `json:"at_ms"` // session time
	EndMS    int64  `json:"end_ms"`
	Speed    int    `json:"speed"` // times as fast as the session
}

func (h *rehearsal) view(now time.Duration) *RehearsalView {
	b := h.s.Begin.Playlist
	return &RehearsalView{Playlist: b.ID, Name: b.Name, Phase: h.s.phase(h.s.Current).Name, AtMS: ms(min(h.at(now), h.s.Ends())), EndMS: ms(h.s.Ends()), Speed: int(h.speed)}
}
