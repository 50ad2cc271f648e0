package room

import (
	"encoding/json"

	"roomd/playlists"
)

// Then says what to do with a mark that comes early, while a later phase waits for it.
type Then string

const (
	ThenBegin Then = "begin" // begin the phase after the waiting one now
	ThenNote  Then = "note"  // only note the mark; the later phase still waits
)

// Command is a request from a person or a schedule. Retrying with the same ID is safe: the room applies it once and repeats
// the first answer. The table of verbs lists the fields that each verb reads; the room ignores the others.
type Command struct {
	ID       string   `json:"id"` // UUID
	Do       Verb     `json:"do"`
	Playlist string   `json:"playlist,omitempty"` // start, change, check-sound, audition, arrival, rehearse: a playlist's ID
	Phase    string   `json:"phase,omitempty"`    // the phase that the sender saw; the room refuses the command if another is current
	By       string   `json:"by,omitempty"`       // extend: a duration, "5m" or "-5m"; scene: its fade; arrival: its length
	In       string   `json:"in,omitempty"`       // timer: a duration, 10 s to 3 h
	DB       *float64 `json:"db,omitempty"`       // level: dB, relative; arrival: -40 to 0
	Name     string   `json:"name,omitempty"`     // mark, timer: one of the room's or the playlist's marks; choose: a word of the phase's menu
	Then     Then     `json:"then,omitempty"`     // mark: if a later phase waits for it; empty: that phase no longer waits
	Second   bool     `json:"second,omitempty"`   // mark: a second dose, if the room's first mark was noted before
	Of       string   `json:"of,omitempty"`       // undo: ID of the command; timer-stop: ID of the timer; note: ID of the mark, empty: the whole session
	Session  string   `json:"session,omitempty"`  // note
	Text     string   `json:"text,omitempty"`     // note: at most 1,000 characters; empty: deletes the note
	Scene    string   `json:"scene,omitempty"`    // scene
	Role     string   `json:"role,omitempty"`     // follow, test-lights
	Clip     string   `json:"clip,omitempty"`     // skip: the clip that the sender heard; the room refuses the command if it has ended
	AtMS     int64    `json:"at_ms,omitempty"`    // audition, rehearse: session time
	Speed    int      `json:"speed,omitempty"`    // rehearse: 1 to 600, factor over real time
	// Device is the name of the device that sent the command; empty: a schedule or MQTT. Whoever receives a command from a device
	// fills it in and ignores the sender's.
	Device string `json:"device,omitempty"`
	// Plan is the changed playlist for revise, and the other one for change. The room fills it in and ignores the sender's.
	Plan *playlists.Playlist `json:"plan,omitempty"`
	// BeforeMS is the room time (Snapshot.NowMS) after which the room refuses the command; 0: never.
	BeforeMS int64 `json:"before_ms,omitempty"`
}

// Refused is the error for a command that the room did not apply. Field names the invalid field (HTTP 422); it is empty if
// the command is valid but not possible now (409).
type Refused struct {
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`         // a sentence for the therapist
	Code   string `json:"code,omitempty"` // with Args, identifies Reason for translation
	Args   Args   `json:"args,omitempty"`
	// Details are for an engineer: a file's place, an error.
	Details string `json:"details,omitempty"`
}

func (r *Refused) Error() string {
	if r.Field != "" {
		return r.Field + ": " + r.Reason
	}
	return r.Reason
}

// Ack confirms a command that was applied and journaled.
type Ack struct {
	ID  string `json:"id"`
	Rev uint64 `json:"rev"` // the first snapshot that includes the command
	// Unsaved means that the command took effect but is only in memory, until the disk is writable again.
	Unsaved bool `json:"unsaved,omitempty"`
}

// Snapshot is everything that a tablet shows. Session times are milliseconds since the session's start.
type Snapshot struct {
	Boot      string               `json:"boot"`   // ID of this process; a change means that roomd restarted
	Rev       uint64               `json:"rev"`    // increases with every change
	NowMS     int64                `json:"now_ms"` // room time, as in answers to "time" on /ws
	Version   string               `json:"version"`
	Room      string               `json:"room"`
	Session   *SessionView         `json:"session"`
	Lights    map[string]LightView `json:"lights"`
	Sound     SoundView            `json:"sound"`
	Problems  []Problem            `json:"problems"`
	Parts     []PartView           `json:"parts"`              // one for each of Parts
	Unsaved   int                  `json:"unsaved,omitempty"`  // commands that are only in memory, not on disk
	Checking  bool                 `json:"checking,omitempty"` // a sound check, audition or arrival music plays
	Rehearsal *RehearsalView       `json:"rehearsal,omitempty"`
	Schedule  []ScheduleView       `json:"schedule,omitempty"`
	Marks     []string             `json:"marks"`  // the room's marks
	Scenes    []string             `json:"scenes"` // the room's scenes
}

// InSession reports whether a session is running or ending.
func (s Snapshot) InSession() bool { return s.Session != nil && s.Session.State != Ended }

// SessionState is the stage of a session's life.
type SessionState string

const (
	Running SessionState = "running"
	Ending  SessionState = "ending"
	Ended   SessionState = "ended"
)

// SessionView is the session in a snapshot.
type SessionView struct {
	ID        string       `json:"id"`
	Playlist  string       `json:"playlist"` // ID
	Name      string       `json:"name"`     // the playlist's name
	State     SessionState `json:"state"`
	StartedMS int64        `json:"started_ms"` // room time: elapsed = now_ms - started_ms
	ElapsedMS int64        `json:"elapsed_ms"`
	EndsAtMS  int64        `json:"ends_at_ms"` // session time
	PlannedMS int64        `json:"planned_ms"` // end planned at the start, session time
	Phase     PhaseView    `json:"phase"`
	Phases    []PhaseView  `json:"phases"`
	Music     *MusicView   `json:"music"`
	Steer     *SteerView   `json:"steer"`      // null: the phase has no pool
	Timeline  []ClipView   `json:"timeline"`   // all clips, for the picture
	LevelDB   float64      `json:"level_db"`   // volume set by hand, dB relative to the playlist's
	CeilingDB float64      `json:"ceiling_db"` // upper limit of LevelDB
	Silent    bool         `json:"silent"`     // silenced by hand
	Softened  bool         `json:"softened"`
	Emergency bool         `json:"emergency"`
	// EmergencyMS is when it was tapped, session time; 0: there is none.
	EmergencyMS int64        `json:"emergency_ms,omitempty"`
	Care        bool         `json:"care"`      // lights for care are on
	Returning   bool         `json:"returning"` // bring-back was used
	Marks       []MarkView   `json:"marks"`
	Zero        string       `json:"zero,omitempty"` // the mark of the dose, which is noted once; a second one says so
	Offer       []string     `json:"offer"`          // the mark buttons of this phase
	Reminders   []RemindView `json:"reminders"`      // due and unanswered
	Timers      []TimerView  `json:"timers"`         // unanswered, due or not, sorted by due time
	Undo        []UndoView   `json:"undo"`           // commands that can be undone, newest first
	Revised     bool         `json:"revised"`        // the playlist's file has changed, so revise is possible
	HoldEndsMS  int64        `json:"hold_ends_ms"`   // session end if the phase were held now and released a minute after its planned end
	// ReleaseEndsMS is the phase's end if it is released now; 0: it is not held.
	ReleaseEndsMS int64 `json:"release_ends_ms,omitempty"`
}

// PhaseView is one phase in a snapshot.
type PhaseView struct {
	Name    string `json:"name"`
	Stage   string `json:"stage"`
	StartMS int64  `json:"start_ms"`
	EndMS   int64  `json:"end_ms"`
	Held    bool   `json:"held"`    // by a person
	Waiting string `json:"waiting"` // the mark that it waits for
	Scene   string `json:"scene"`
	// For the picture: LevelDB is the music's level, dB relative to the room's reference. Light is the brightest light of
	// the scene, L*; 0: the phase does not change the lights.
	LevelDB float64 `json:"level_db"`
	Light   float64 `json:"light,omitempty"`
}

// light sets Light in each phase.
func (c Config) light(phases []PhaseView) {
	for i := range phases {
		for _, l := range c.Scenes[phases[i].Scene] {
			phases[i].Light = max(phases[i].Light, l.L)
		}
	}
}

// MusicView is the clip that is playing.
type MusicView struct {
	Clip    string `json:"clip"`
	Title   string `json:"title"`
	StartMS int64  `json:"start_ms"`
	EndMS   int64  `json:"end_ms"`
	Next    string `json:"next"`
}

// ClipView is one clip of the timeline.
type ClipView struct {
	Title   string `json:"title"`
	StartMS int64  `json:"start_ms"`
	EndMS   int64  `json:"end_ms"`
	Bed     bool   `json:"bed"`
}

// MarkView is one mark that was tapped.
type MarkView struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	AtMS int64  `json:"at_ms"`
	// Second marks a second dose. The clock since the dose counts from the first.
	Second bool `json:"second,omitempty"`
	// Unsaved means that the mark is only in memory, not on disk.
	Unsaved bool `json:"unsaved,omitempty"`
}

// RemindView is a reminder that is due.
type RemindView struct {
	Say   string   `json:"say"`
	DueMS int64    `json:"due_ms"`
	Marks []string `json:"marks"`
}

// TimerView is a silent countdown: a timer started by a person, or a reminder from the playlist.
type TimerView struct {
	ID      string   `json:"id"`
	Say     string   `json:"say"`
	SinceMS int64    `json:"since_ms"` // start, session time
	DueMS   int64    `json:"due_ms"`
	Due     bool     `json:"due"`
	Marks   []string `json:"marks"` // marks that answer it
	Own     bool     `json:"own"`   // a person started it
}

// UndoView is a command that can be undone until UntilMS (session time). A person's newest act has no limit of its own: UntilMS
// is then the session's end, or the earlier moment at which undoing it would no longer do what Says says.
type UndoView struct {
	ID      string `json:"id"`
	Do      Verb   `json:"do"`
	Says    string `json:"says"` // "Journey lengthened by 5 min"
	Code    string `json:"code"`
	Args    Args   `json:"args,omitempty"`
	UntilMS int64  `json:"until_ms"`
}

// LightView is one role's light.
type LightView struct {
	Target LightLevel  `json:"target"`
	Actual *LightLevel `json:"actual"`         // last observed; null: unknown
	State  string      `json:"state"`          // unknown, following, held, lost
	Says   string      `json:"says,omitempty"` // which lamp, and what to do
	Code   string      `json:"code,omitempty"` // with Args, identifies Says for translation: its sentence and what to do
	Args   Args        `json:"args,omitempty"`
	Lamps  []LampView  `json:"lamps"`
	// Test says how far the lamp test is, or how the last one ended. Testable means that the role has a lamp to test.
	Test     string `json:"test,omitempty"`
	TestCode string `json:"test_code,omitempty"` // with TestArgs, identifies Test for translation
	TestArgs Args   `json:"test_args,omitempty"`
	Testable bool   `json:"testable,omitempty"`
	// Details are what the test has found, for an engineer.
	Details string `json:"details,omitempty"`
}

// LampView is one lamp of a role.
type LampView struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Drawn bool   `json:"drawn,omitempty"` // simulated: no lamp is lit
	// Answer is the lamp's reply to lights for care or emergency: yes, waiting or no; empty: not asked.
	Answer string `json:"answer,omitempty"`
}

// LightLevel is a light setting: perceived brightness L*, 0 to 100, and a color temperature in kelvin or a color.
type LightLevel struct {
	Level  float64 `json:"level"`
	Kelvin int     `json:"kelvin,omitempty"`
	Color  string  `json:"color,omitempty"` // #rrggbb
}

// SoundView is the sound's health.
type SoundView struct {
	Output    string `json:"output"`              // output device, in words
	State     string `json:"state"`               // opening, playing, missing, lost, resting, silent
	Rate      int    `json:"rate,omitempty"`      // Hz that the device is given; 0: it is not open
	Bits      int    `json:"bits,omitempty"`      // of a sample
	Resampled bool   `json:"resampled,omitempty"` // the device plays at another rate, and the system converts
	Underruns uint64 `json:"underruns"`
	Reopened  uint64 `json:"reopened"`
	LatencyMS int64  `json:"latency_ms"`
}

// Problem is a fault, in a sentence that a therapist understands, and the cure.
type Problem struct {
	Part string `json:"part"` // sound, lights, broker, playlist, room, link, disk, clock
	Says string `json:"says"`
	Do   string `json:"do"`
	Code string `json:"code"` // with Args, identifies Says and Do for translation
	Args Args   `json:"args,omitempty"`
	// Details are for an engineer: a file's place, an error. They are English.
	Details string `json:"details,omitempty"`
}

// ScheduleView is one line of the schedule.
type ScheduleView struct {
	At   string `json:"at"`   // as in room.yaml
	Do   string `json:"do"`   // in words
	Next string `json:"next"` // RFC 3339, local time
	Last string `json:"last,omitempty"`
}

// SessionRecord is one session in the history.
type SessionRecord struct {
	ID       string       `json:"id"`
	Playlist string       `json:"playlist"`
	Name     string       `json:"name"`
	State    SessionState `json:"state"`
	LengthMS int64        `json:"length_ms"`
	Ending   string       `json:"ending"` // as planned, ended early, aborted, ended while the room was off
	// EndingCode identifies Ending for translation.
	EndingCode string `json:"ending_code,omitempty"`
	// EndedAgoMS is the time since its end; 0: it runs. Marks and Written count its marks and notes in a list of sessions.
	EndedAgoMS int64 `json:"ended_ago_ms,omitempty"`
	Marks      int   `json:"marks,omitempty"`
	Written    int   `json:"written,omitempty"`
	// ErasedInMS is the time left until roomd erases it; nil: never, or it has not ended.
	ErasedInMS *int64          `json:"erased_in_ms,omitempty"`
	Zero       string          `json:"zero,omitempty"` // the mark that times are counted from
	Events     []RecordedEvent `json:"events,omitempty"`
	Notes      []WrittenNote   `json:"notes,omitempty"`
	Asked      []AskedView     `json:"asked,omitempty"`   // of the music, and what came
	Session    *SessionView    `json:"session,omitempty"` // at its end
}

// WrittenNote is a note on a mark or a session.
type WrittenNote struct {
	Of   string `json:"of,omitempty"` // the mark's ID; empty: the session
	Text string `json:"text"`
	// Device is the name of the device that wrote it. It stands in the journal alone.
	Device string `json:"device,omitempty"`
}

// RecordedEvent is one event in a session's record.
type RecordedEvent struct {
	Seq  int64           `json:"seq"`
	AtMS int64           `json:"at_ms"` // session time
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// RemarkView is an error or a warning of a playlist; its Details have the file's place.
type RemarkView struct {
	Problem
	Error bool `json:"error"` // no session can start with the playlist
}

// PlaylistView is one playlist in the list to choose from.
type PlaylistView struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	About    string      `json:"about"`
	LengthMS int64       `json:"length_ms"`
	Ready    bool        `json:"ready"` // a session can start with it
	Phases   []PhaseView `json:"phases"`
	Errors   []string    `json:"errors"` // FILE:LINE:COL: what is wrong (how to write it)
	Warnings []string    `json:"warnings"`
	// Remarks are the same errors and warnings, in the same order, as sentences for a therapist.
	Remarks  []RemarkView `json:"remarks,omitempty"`
	Revision string       `json:"revision,omitempty"` // of its file
	File     string       `json:"file,omitempty"`     // below the playlists folder; empty: it is a starter
}
