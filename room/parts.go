package room

import (
	"maps"
	"slices"
	"strings"
	"time"

	"roomd/room/lights"
)

// PartState is how a part of the room is.
type PartState string

const (
	Working  PartState = "working"
	Degraded PartState = "degraded" // the session goes on without it, or with less of it
)

// PartView is a part of the room in a snapshot.
type PartView struct {
	Part    string    `json:"part"` // one of Parts
	State   PartState `json:"state"`
	SinceMS int64     `json:"since_ms,omitempty"` // degraded: since when, on the room's clock
	Why     string    `json:"why,omitempty"`      // degraded: the first of its problems, for a therapist
	Do      string    `json:"do,omitempty"`
	Code    string    `json:"code,omitempty"` // with Args, identifies Why and Do for translation
	Args    Args      `json:"args,omitempty"`
	Details string    `json:"details,omitempty"` // for an engineer
}

// parts are the room's parts in the order of Snapshot.Parts, each with the part that its problems name.
var parts = [][2]string{{"sound", "sound"}, {"lights", "lights"}, {"broker", "broker"}, {"playlists", "playlist"},
	{"page", "link"}, {"disk", "disk"}, {"clock", "clock"}, {"room", "room"}}

// Parts are the names of a room's parts; "room" is the room file.
func Parts() (names []string) {
	for _, p := range parts {
		names = append(names, p[0])
	}
	return names
}

// ProblemName returns the name that the part's problems have, which is also its name on MQTT.
func (v PartView) ProblemName() string {
	for _, p := range parts {
		if p[0] == v.Part {
			return p[1]
		}
	}
	return v.Part
}

// partViews is the state of each part. old is the state before: a part that is still degraded keeps its since.
func partViews(old []PartView, problems []Problem, lv map[string]LightView, now time.Duration) []PartView {
	out := make([]PartView, 0, len(parts))
	for k, p := range parts {
		v := PartView{Part: p[0], State: Working}
		if i := slices.IndexFunc(problems, func(q Problem) bool { return q.Part == p[1] }); i >= 0 {
			q := problems[i]
			v = PartView{Part: p[0], State: Degraded, Why: q.Says, Do: q.Do, Code: q.Code, Args: q.Args, Details: q.Details}
		} else if p[0] == "lights" {
			for _, role := range slices.Sorted(maps.Keys(lv)) {
				if lv[role].State == "lost" && v.State == Working {
					q := lv[role].Problem()
					v = PartView{Part: p[0], State: Degraded, Why: q.Says, Do: q.Do, Code: q.Code, Args: q.Args}
				}
			}
		}
		if v.State == Degraded {
			v.SinceMS = ms(now)
			if k < len(old) && old[k].State == Degraded {
				v.SinceMS = old[k].SinceMS
			}
		}
		out = append(out, v)
	}
	return out
}

// wrongYear is a year that the wall clock can't truly show: a computer without a clock of its own wakes up in it.
const wrongYear = 2025

// clockProblem is what is wrong with the wall clock. The session does not go by it.
func clockProblem(wall time.Time) (p Problem, wrong bool) {
	return NewProblem("clock", "clock-wrong", "date", wall), wall.Year() < wrongYear
}

// Look says in sentences whether a session could begin: what does not work, or that everything does. It names lights that
// were changed by hand; they are not a fault.
func (r *Room) Look() (says string, bad bool) {
	snap := r.Snapshot()
	var out []string
	for _, p := range snap.Parts {
		if p.State == Degraded {
			out = append(out, p.Why)
		}
	}
	bad = len(out) > 0
	for _, role := range slices.Sorted(maps.Keys(snap.Lights)) {
		switch lights.State(snap.Lights[role].State) {
		case lights.Held:
			out = append(out, Say("look-held", "role", role).Text)
		case lights.Unknown:
			out = append(out, Say("look-unknown", "role", role).Text)
		}
	}
	if len(out) == 0 {
		return Say("look-well").Text, false
	}
	return strings.Join(out, " "), bad
}
