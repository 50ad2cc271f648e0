package room

import (
	"time"

	"roomd/room/lights"
)

// Config is room.yaml: one physical room, its speaker, lights and schedule. Each field has a default.
type Config struct {
	Room     string
	Listen   string // host:port; default ":8080"
	HTTPS    HTTPSConfig
	Web      WebConfig
	Audio    AudioConfig
	MQTT     MQTTConfig
	Lights   map[string][]lights.Lamp // by role
	Scenes   map[string]lights.Scene
	Marks    []string
	Music    []string // absolute folders that links in the playlists folder may lead to
	Schedule []Job
	Buttons  []Button
	Sign     *Sign // nil: none
	// Syncthing is one on this computer that waits while a session runs; nil: there is none.
	Syncthing *SyncthingConfig
	// Clinic is the clinic's own broker; nil: the room has joined a desk by a code, or no clinic.
	Clinic   *ClinicConfig
	KeepDays int // so many days after its end a session is erased, 1 to 365; default 30
	// File is the file's path; empty where there is none and all is default.
	File string
}

// HTTPSConfig is where the page is served privately. Without a certificate the room makes its own.
type HTTPSConfig struct {
	Off              bool
	Listen           string   // host:port; empty: the default, ":8443", where the page's own address is the default too
	Certificate, Key string   // PEM files; empty: the room's own
	Names            []string // what the room is also called, beside this computer's names
}

// WebConfig is what the page does beside steering the room.
type WebConfig struct {
	Frame []string // origins, such as https://desk.clinic.example, whose pages may show the room's wall page in a frame
}

// AudioConfig is the speaker.
type AudioConfig struct {
	Output    string   // alsa, none, command; "" for alsa if there is a device, else none
	Device    string   // an ALSA device by its name; "" for the default one
	Command   []string // with Output command: a child that eats PCM on standard input
	Reference float64  // LUFS that a playlist's level 0 sounds at; default -23
	Ceiling   float64  // dB over the reference that no one gets past; default 6
	// Headphones are on the device's channels 3 and 4; nil: there are none.
	Headphones *Headphones
}

// Headphones play the same as the speaker, in step, at a level of their own.
type Headphones struct {
	Level   float64 // dB against the speaker, -30 to 12; default 0
	Ceiling float64 // dB over the reference that they never get past; default that of the speaker
}

// MQTTConfig is the broker.
type MQTTConfig struct {
	Broker string // "embedded", or mqtt://user:password@host:1883, or mqtts://…
	CA     string // PEM file, with mqtts
	Base   string // of our own topics; default "roomd"
	// Commands says that whoever may write to the broker may steer the room by BASE/ROOM/cmd; default false.
	Commands bool
}

// Button is a message on MQTT that asks for a command.
type Button struct {
	Topic    string
	Action   string // of zigbee2mqtt's JSON; empty: Payload counts
	Payload  string // the whole message
	Do       Verb
	Name     string // mark
	Playlist string // start
}

// Sign is the sign at the door: what it is sent during a session and while the room is free. Never retained.
type Sign struct {
	Topic   string
	Session string
	Free    string
}

// SyncthingConfig is how to reach Syncthing's REST API.
type SyncthingConfig struct {
	URL     string // http://127.0.0.1:8384
	KeyFile string // holds the API key
}

// ClinicConfig is a broker of a clinic's, which the room tells how it is.
type ClinicConfig struct {
	Broker string // mqtts://user:password@host:8883
	CA     string // PEM file; empty: the system's authorities
	House  string // the group that the desk shows the room in
}

// Job is one line of the schedule: a scene, music, a check or a backup.
type Job struct {
	At    string        // five cron fields, local time
	Scene string        // lights the room
	Fade  time.Duration // of Scene
	Play  string        // a playlist's ID, from its start
	For   time.Duration // how long it plays
	Level float64       // dB against the playlist's own loudness, -40 to 0
	Check Check
	// Backup is the folder that the room is backed up to; of its backups the newest Keep stay.
	Backup string
	Keep   int
}

// Check is what a job looks at.
type Check string

const (
	CheckFiles Check = "files" // playlists and their music, which is heard through
	CheckRoom  Check = "room"  // sound and lights, as before a session
)
