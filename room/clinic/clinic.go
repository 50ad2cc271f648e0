// Package clinic is a room's link to its clinic's desk: what the room tells, live, over a second MQTT connection, and how it
// joins. The desk only watches: there is no topic that steers a room, and nothing here holds a session's past.
package clinic

// The topics of a room, below roomd/ID/. All are retained.
const (
	Root   = "roomd"  // the first level of every topic
	States = "state"  // State
	Status = "status" // {"state":"online"}, or {"state":"offline"} as the last will
	Abouts = "about"  // About
)

// State is what the desk sees of a room that runs. It names no playlist, track, level or mark.
type State struct {
	Stage  string   `json:"stage,omitempty"`   // the session's stage; empty: no session
	LeftMS int64    `json:"left_ms,omitempty"` // to the session's end as things stand, when this was sent
	Held   bool     `json:"held,omitempty"`    // the present phase stays open: nobody knows the end
	Ending bool     `json:"ending,omitempty"`  // the session is fading out
	Broken []Broken `json:"broken,omitempty"`  // the parts that don't work, the most urgent first
}

// Broken is a part of the room that doesn't work.
type Broken struct {
	Part    string `json:"part"`     // one of room.Parts
	SinceMS int64  `json:"since_ms"` // for so long, when this was sent
}

// About is what changes rarely.
type About struct {
	Name    string  `json:"name"`
	House   string  `json:"house,omitempty"` // the group that the desk shows the room in
	Version string  `json:"version"`
	Library Library `json:"library"`
}

// Library identifies the state of the playlists folder.
type Library struct {
	Revision  string `json:"revision"`             // a hash over the names and contents of its files
	ChangedMS int64  `json:"changed_ms,omitempty"` // the latest modification time of a file, Unix time
}

// Joining is what a room sends to the desk to join.
type Joining struct {
	Code string `json:"code"` // Code.Secret
	ID   string `json:"id"`   // the room's random ID, which becomes its user name and the second level of its topics
	Name string `json:"name"`
}

// Joined is the desk's answer.
type Joined struct {
	Clinic string `json:"clinic"` // the desk's name
	Broker string `json:"broker"` // mqtts://HOST:PORT
	CA     string `json:"ca"`     // PEM of the authority that signs the broker's certificate
	Secret string `json:"secret"` // the room's password at the broker
	House  string `json:"house,omitempty"`
}
