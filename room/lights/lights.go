// Package lights moves the room's lights: scenes and fades in L*, one driver for each kind of lamp, and the
// reconciliation that keeps what a lamp shows and what we say of it the same. It knows no music and no session.
package lights

import "time"

// Level is the light of one role: L* from 0 to 100 (CIE 1976 lightness of the lamp's own full light), and either a
// colour temperature in kelvin, or a colour as "#rrggbb", or neither (the lamp keeps its own).
type Level struct {
	L      float64 `json:"level" yaml:"level"`
	Kelvin int     `json:"kelvin,omitempty" yaml:"kelvin,omitempty"`
	Color  string  `json:"color,omitempty" yaml:"color,omitempty"`
}

// Scene is named light by role. A role that it does not name stays as it is.
type Scene map[string]Level

// Lamp is one light of a role, as the room file describes it.
type Lamp struct {
	Driver string            `json:"driver" yaml:"driver"` // zigbee2mqtt, homeassistant, simulated, …
	Topic  string            `json:"topic" yaml:"topic"`   // the device's or group's base topic
	Extra  map[string]string `json:"extra,omitempty" yaml:"-"`
}

// Kind says how fast a move may be.
type Kind int

const (
	Planned   Kind = iota // written in a playlist: at most 2 L*/s
	Unplanned             // asked for now: at most 12 L*/s, at least 3 s
	Urgent                // lights for care, emergency: within 2 s, past a hand's hold, sent three times
)

// Move is a fade of some roles from where they are to a scene.
type Move struct {
	Scene Scene
	Over  time.Duration
	Kind  Kind
}

// State is what is known of a role's lamps.
type State string

const (
	Unknown   State = "unknown"   // nothing read back yet
	Following State = "following" // a read or a report agrees with the plan
	Held      State = "held"      // moved by a hand: not commanded until resumed
	Lost      State = "lost"      // does not answer
)

// View is one role as it is now.
type View struct {
	Target Level
	Actual *Level // as last observed (never an echo); nil: unknown
	State  State
	Says   string // which lamp and why, and what to do; empty when all is well
}
