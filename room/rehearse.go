package room

import (
	"context"
	"time"
)

// rehearsal is a session that is gone through before any client is there: its clock and its light, without its sound, and
// faster. Nothing is kept of it.
type rehearsal struct {
	s     *Session      // replaced at each step, never changed
	zero  time.Duration // room time at which it would have begun at this speed
	speed time.Duration // times as fast
}

// maxSpeed makes 18 s of three hours. The lights go as fast as they may, and no faster.
const maxSpeed = 600

func (h *rehearsal) at(now time.Duration) time.Duration { return (now - h.zero) * h.speed }

// due is the room time at which it goes on by itself.
func (h *rehearsal) due() (time.Duration, bool) {
	at, ok := h.s.Due()
	return h.zero + (at+h.speed-1)/h.speed, ok
}

// rehearse begins one at a moment of it, with the light that the session has there.
func (r *Room) rehearse(ctx context.Context, c Command, b *Begin) (Ack, error) {
	s := Rehearsal(*b)
	at := time.Duration(c.AtMS) * time.Millisecond
	switch {
	case c.Speed < 1 || c.Speed > maxSpeed:
		return Ack{}, &Refused{Field: "speed", Reason: "how many times as fast, from 1 to 600"}
	case at < 0 || at >= s.Ends():
		return Ack{}, &Refused{Field: "at_ms", Reason: "The playlist is not that long."}
	}
	s, _, err := Step(s, Input{}, at)
	if err != nil {
		return Ack{}, err
	}
	h := &rehearsal{s: s, speed: time.Duration(c.Speed), zero: r.clock.Now() - at/time.Duration(c.Speed)}
	r.publish(func(n *state) { n.rehearsal = h })
	h.light(r, s.Light.Scene, s.Light.Over)
	ack := r.journal(ctx, Event{AtMS: ms(r.clock.Now()), Kind: kindCommand, CommandID: c.ID}, c)
	ack.Rev = r.state.Load().rev
	return ack, nil
}

// rehearseOn takes the rehearsal to where it is now.
func (r *Room) rehearseOn() {
	h := r.state.Load().rehearsal
	if h == nil {
		return
	}
	at := h.at(r.clock.Now())
	if at >= h.s.Ends() {
		r.publish(func(n *state) { n.rehearsal = nil })
		return
	}
	s, eff, err := Step(h.s, Input{}, at)
	if err != nil {
		r.o.Log.Error("a rehearsal can't go on", "err", err)
		r.publish(func(n *state) { n.rehearsal = nil })
		return
	}
	if l := eff.Light; l != nil {
		h.light(r, l.Scene, l.Over)
	}
	r.publish(func(n *state) { n.rehearsal = &rehearsal{s, h.zero, h.speed} })
}

// light moves the room's lights as it has them: never faster than unplanned light moves.
func (h *rehearsal) light(r *Room, scene string, over time.Duration) {
	r.move(LightMove{Scene: scene, Over: over / h.speed})
}

// endRehearsal ends it where one is under way. The lights end where they are.
func (r *Room) endRehearsal() (was bool) {
	if was = r.state.Load().rehearsal != nil; was {
		r.publish(func(n *state) { n.rehearsal = nil })
	}
	return was
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
