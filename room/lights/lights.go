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
	Says   Said // which lamp and why; empty when all is well
	Lamps  []LampView
	// Test says how far a test of its lamps is, or how the last one ended; empty: there was none. Details are what it has
	// found, for an engineer. Testable: there is a lamp to test.
	Test     Said
	Details  string
	Testable bool
}

// Said is a sentence: its code in room/english.json, and the names and values of its arguments in turn. That of a role has
// the role's name as {role} too.
type Said struct {
	Code string
	Args []any
}

func said(code string, args ...any) Said { return Said{code, args} }

// LampView is one lamp of a role: each member of a group is one.
type LampView struct {
	Name   string
	Drawn  bool   // simulated: no lamp is lit
	Actual *Level // as last observed; nil: unknown
	State  State
}

// Answer tells whether a lamp has answered after an urgent move, with the light that was asked for.
type Answer struct {
	Role, Lamp string
	Answered   bool // false also while the answer is awaited
	Waiting    bool
}

// Conn is the connection to the broker. None of its methods waits for the network.
type Conn interface {
	// Publish sends a command, QoS 0 and never retained; it is an error where there is no connection.
	Publish(topic string, payload []byte) error
	// Subscribe has handle called for each message, over reconnects. handle must not wait.
	Subscribe(filter string, handle func(topic string, payload []byte, retained bool))
	// OnConnect calls hook after each connect and each loss, and at once where the connection stands.
	OnConnect(hook func(open bool))
	// Open tells whether the connection stands.
	Open() bool
}
