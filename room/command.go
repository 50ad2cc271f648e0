package room

import (
	"encoding/json"

	"roomd/playlists"
)

// Verb is what a command asks for.
type Verb string

const (
	Start      Verb = "start"       // a session with Playlist
	Hold       Verb = "hold"        // keep the present phase open
	Release    Verb = "release"     // let a held phase go on
	Next       Verb = "next"        // end the present phase now
	Extend     Verb = "extend"      // lengthen (or, negative, shorten) the present phase by By
	SetLevel   Verb = "level"       // louder or softer by DB
	Silence    Verb = "silence"     // fade the music out; the arc goes on
	Resume     Verb = "resume"      // music again after silence or soften or emergency
	Skip       Verb = "skip"        // the present track only
	MarkNow    Verb = "mark"        // write the moment Name
	BringBack  Verb = "bring-back"  // a composed early return
	Soften     Verb = "soften"      // music far down in 3 s, light stays
	Care       Verb = "care"        // lights for care: light to see by, music goes on
	Emergency  Verb = "emergency"   // music down, lights full, the clock runs on
	End        Verb = "end"         // fade all over 20 s and close the session
	Abort      Verb = "abort"       // close the session now (3 s)
	Undo       Verb = "undo"        // take back command Of
	Revise     Verb = "revise"      // from the next phase on the playlist as its file has it now
	SetScene   Verb = "scene"       // room lights to Scene; only while no session runs
	CheckSound Verb = "check-sound" // play a piece of Playlist at its loudest level; only while no session runs; silence ends it
	Audition   Verb = "audition"    // play Playlist from AtMS on for half a minute, as its session will; only while no session runs; silence ends it
	Arrival    Verb = "arrival"     // play Playlist for By, DB against its own loudness, before people come; only while no session runs; silence, or a session, ends it
	Rehearse   Verb = "rehearse"    // go through Playlist from AtMS on, Speed times as fast: clock and lights; only while no session runs; silence ends it
	WriteNote  Verb = "note"        // write Text to mark Of of Session, or to Session
	TestLamps  Verb = "test-lights" // find out what Role's lamps can do; only while no session runs
	Follow     Verb = "follow"      // command Role again after somebody moved it by hand; empty: all, back to the arc after care
	StartTimer Verb = "timer"       // count down In to the mark Name, silently
	StopTimer  Verb = "timer-stop"  // stop timer Of, or dismiss reminder Of
)

// Then is what an early mark means: a later phase waits for it.
type Then string

const (
	ThenBegin Then = "begin" // begin the phase after the one that waits for it, now
	ThenNote  Then = "note"  // only note it; the later phase still waits
)

// Command is what a person or a schedule asks for. ID makes a retry harmless: a repeated ID gets the first answer and is
// not applied twice. The table of verbs says which fields a verb takes; others are ignored.
type Command struct {
	ID       string   `json:"id"` // UUID
	Do       Verb     `json:"do"`
	Playlist string   `json:"playlist,omitempty"` // start, check-sound, audition, arrival, rehearse: a playlist's ID
	Phase    string   `json:"phase,omitempty"`    // the phase that was meant; where set and no longer present, the command is refused
	By       string   `json:"by,omitempty"`       // extend: a duration, "5m" or "-5m"; scene: its fade; arrival: how long
	In       string   `json:"in,omitempty"`       // timer: a duration, 10 s to 3 h
	DB       *float64 `json:"db,omitempty"`       // level: dB, relative; arrival: -40 to 0
	Name     string   `json:"name,omitempty"`     // mark, timer: one of the room's or the playlist's marks
	Then     Then     `json:"then,omitempty"`     // mark: what one that a later phase waits for means; empty: that phase no longer waits
	Second   bool     `json:"second,omitempty"`   // mark: a second dose, where the room's first mark was noted already
	Of       string   `json:"of,omitempty"`       // undo: the ID of the command to take back; timer-stop: a timer's; note: a mark's, empty: the whole session
	Session  string   `json:"session,omitempty"`  // note
	Text     string   `json:"text,omitempty"`     // note: at most 1,000 characters; empty: none
	Scene    string   `json:"scene,omitempty"`    // scene
	Role     string   `json:"role,omitempty"`     // follow, test-lights
	Clip     string   `json:"clip,omitempty"`     // skip: the clip that was meant; where set and no longer sounding, refused
	AtMS     int64    `json:"at_ms,omitempty"`    // audition, rehearse: session time
	Speed    int      `json:"speed,omitempty"`    // rehearse: 1 to 600 times as fast as the session
	// Plan is the playlist that revise takes over. The room reads it; it ignores one that a command brings.
	Plan *playlists.Playlist `json:"plan,omitempty"`
	// BeforeMS is the room clock's time in milliseconds (Snapshot.NowMS) after which the command is refused; 0: never.
	BeforeMS int64 `json:"before_ms,omitempty"`
}

// Refused says why a command was not carried out. Field is set where the command itself is at fault (422), empty where
// the room can't do it at present (409).
type Refused struct {
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`         // a sentence for a therapist
	Code   string `json:"code,omitempty"` // of the sentence, and its arguments, for another language
	Args   Args   `json:"args,omitempty"`
}

func (r *Refused) Error() string {
	if r.Field != "" {
		return r.Field + ": " + r.Reason
	}
	return r.Reason
}

// Ack answers a command that is journaled.
type Ack struct {
	ID  string `json:"id"`
	Rev uint64 `json:"rev"` // the snapshot that first shows it
	// Unsaved: the disk did not take it. It is in effect, kept in memory, and saved as soon as there is room.
	Unsaved bool `json:"unsaved,omitempty"`
}

// Snapshot is all that a tablet shows. Times inside a session count in milliseconds from its start.
type Snapshot struct {
	Boot      string               `json:"boot"`   // of this process; another means the daemon was started again
	Rev       uint64               `json:"rev"`    // grows with every change
	NowMS     int64                `json:"now_ms"` // the room's monotonic clock, as /ws time answers
	Version   string               `json:"version"`
	Room      string               `json:"room"`
	Session   *SessionView         `json:"session"`
	Lights    map[string]LightView `json:"lights"`
	Sound     SoundView            `json:"sound"`
	Problems  []Problem            `json:"problems"`
	Parts     []PartView           `json:"parts"`              // each of Parts, as it is
	Unsaved   int                  `json:"unsaved,omitempty"`  // commands that only memory holds until the disk takes them
	Checking  bool                 `json:"checking,omitempty"` // a sound check plays
	Rehearsal *RehearsalView       `json:"rehearsal,omitempty"`
	Schedule  []ScheduleView       `json:"schedule,omitempty"`
	Marks     []string             `json:"marks"`  // the room's marks
	Scenes    []string             `json:"scenes"` // the room's scenes by name
}

// InSession says whether a session runs or ends.
func (s Snapshot) InSession() bool { return s.Session != nil && s.Session.State != Ended }

// SessionState is where a session is.
type SessionState string

const (
	Running SessionState = "running"
	Ending  SessionState = "ending"
	Ended   SessionState = "ended"
)

// SessionView is the session in a snapshot.
type SessionView struct {
	ID         string       `json:"id"`
	Playlist   string       `json:"playlist"` // ID
	Name       string       `json:"name"`     // the playlist's name
	State      SessionState `json:"state"`
	StartedMS  int64        `json:"started_ms"` // on the room's monotonic clock: elapsed = now_ms - started_ms
	ElapsedMS  int64        `json:"elapsed_ms"`
	EndsAtMS   int64        `json:"ends_at_ms"` // session time
	PlannedMS  int64        `json:"planned_ms"` // session time of the end as it was planned at the start
	Phase      PhaseView    `json:"phase"`
	Phases     []PhaseView  `json:"phases"`
	Music      *MusicView   `json:"music"`
	Timeline   []ClipView   `json:"timeline"`   // what sounds when, for the picture
	LevelDB    float64      `json:"level_db"`   // a person's level, dB against the playlist's own
	CeilingDB  float64      `json:"ceiling_db"` // as far as LevelDB goes
	Silent     bool         `json:"silent"`     // silenced by a person
	Softened   bool         `json:"softened"`
	Emergency  bool         `json:"emergency"`
	Care       bool         `json:"care"`      // lights for care are on
	Returning  bool         `json:"returning"` // bring-back was asked for
	Marks      []MarkView   `json:"marks"`
	Offer      []string     `json:"offer"`        // the mark buttons of this phase
	Reminders  []RemindView `json:"reminders"`    // due and not yet answered
	Timers     []TimerView  `json:"timers"`       // known and not yet answered, due or not, by when they are due
	Undo       []UndoView   `json:"undo"`         // what can be taken back, the newest first
	Revised    bool         `json:"revised"`      // the playlist's file is another now, and can be taken over
	HoldEndsMS int64        `json:"hold_ends_ms"` // where the session would end if the phase were held now and released a minute after its planned end
	// ReleaseEndsMS is where the present phase ends if it is released now; 0: it is not held.
	ReleaseEndsMS int64 `json:"release_ends_ms,omitempty"`
}

// PhaseView is one phase in a snapshot.
type PhaseView struct {
	Name    string `json:"name"`
	Stage   string `json:"stage"`
	StartMS int64  `json:"start_ms"`
	EndMS   int64  `json:"end_ms"`
	Held    bool   `json:"held"`    // by a person
	Waiting string `json:"waiting"` // for this mark
	Scene   string `json:"scene"`
	// For the picture: LevelDB is the level of its music, dB against the room's reference; Light is the brightest light of
	// its scene, L*, 0 where it leaves the lights alone.
	LevelDB float64 `json:"level_db"`
	Light   float64 `json:"light,omitempty"`
}

// light fills in how light each phase is.
func (c Config) light(phases []PhaseView) {
	for i := range phases {
		for _, l := range c.Scenes[phases[i].Scene] {
			phases[i].Light = max(phases[i].Light, l.L)
		}
	}
}

// MusicView is what sounds now.
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
	// Second: a second dose. The clock since the dose counts from the first.
	Second bool `json:"second,omitempty"`
	// Unsaved: the disk did not take it yet; only memory holds it.
	Unsaved bool `json:"unsaved,omitempty"`
}

// RemindView is a reminder that is due.
type RemindView struct {
	Say   string   `json:"say"`
	DueMS int64    `json:"due_ms"`
	Marks []string `json:"marks"`
}

// TimerView is a silent countdown: one that a person has started, or a reminder of the playlist's.
type TimerView struct {
	ID      string   `json:"id"`
	Say     string   `json:"say"`
	SinceMS int64    `json:"since_ms"` // when it was started, session time
	DueMS   int64    `json:"due_ms"`
	Due     bool     `json:"due"`
	Marks   []string `json:"marks"` // those that answer it
	Own     bool     `json:"own"`   // a person started it
}

// UndoView is a command that can be taken back until UntilMS (session time).
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
	Actual *LightLevel `json:"actual"`         // as last observed; null: not known
	State  string      `json:"state"`          // unknown, following, held, lost
	Says   string      `json:"says,omitempty"` // which lamp, and what to do
	Lamps  []LampView  `json:"lamps"`
	// Test is how far a test of its lamps is, or what the last one has found. Testable: there is a lamp to test.
	Test     string `json:"test,omitempty"`
	Testable bool   `json:"testable,omitempty"`
}

// LampView is one lamp of a role.
type LampView struct {
	Name  string `json:"name"`
	State string `json:"state"`
	// Answer says whether the lamp has answered to lights for care or emergency: yes, waiting, no; empty: not asked.
	Answer string `json:"answer,omitempty"`
}

// LightLevel is light as people speak of it: L* from 0 to 100, and kelvin or a colour.
type LightLevel struct {
	Level  float64 `json:"level"`
	Kelvin int     `json:"kelvin,omitempty"`
	Color  string  `json:"color,omitempty"` // #rrggbb
}

// SoundView is the sound's health.
type SoundView struct {
	Output    string `json:"output"` // what plays, in words
	State     string `json:"state"`  // playing, silent, lost, none
	Underruns uint64 `json:"underruns"`
	Reopened  uint64 `json:"reopened"`
	LatencyMS int64  `json:"latency_ms"`
}

// Problem is something wrong, as a sentence a therapist understands, and what to do about it.
type Problem struct {
	Part string `json:"part"` // sound, lights, broker, playlist, room, link, disk, clock
	Says string `json:"says"`
	Do   string `json:"do"`
	Code string `json:"code,omitempty"` // of the sentence, and its arguments, for another language
	Args Args   `json:"args,omitempty"`
}

// ScheduleView is one line of the schedule.
type ScheduleView struct {
	At   string `json:"at"`   // as written
	Do   string `json:"do"`   // in words
	Next string `json:"next"` // RFC 3339, local time
	Last string `json:"last,omitempty"`
}

// SessionRecord is one session of the history.
type SessionRecord struct {
	ID       string       `json:"id"`
	Playlist string       `json:"playlist"`
	Name     string       `json:"name"`
	State    SessionState `json:"state"`
	LengthMS int64        `json:"length_ms"`
	Ending   string       `json:"ending"` // as planned, ended early, aborted, ended while the room was off
	// EndingCode is the code of Ending, for another language.
	EndingCode string `json:"ending_code,omitempty"`
	// ErasedInMS is until when it erases itself; nil: it stays, or has not ended.
	ErasedInMS *int64          `json:"erased_in_ms,omitempty"`
	Zero       string          `json:"zero,omitempty"` // the mark that times are told from
	Events     []RecordedEvent `json:"events,omitempty"`
	Notes      []WrittenNote   `json:"notes,omitempty"`
	Session    *SessionView    `json:"session,omitempty"` // as it was at its end
}

// WrittenNote is what was written to a mark, or to a session.
type WrittenNote struct {
	Of   string `json:"of,omitempty"` // the mark's ID; empty: the session
	Text string `json:"text"`
}

// RecordedEvent is one line of a session's journal.
type RecordedEvent struct {
	Seq  int64           `json:"seq"`
	AtMS int64           `json:"at_ms"` // session time
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// PlaylistView is a playlist that can be chosen.
type PlaylistView struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	About    string      `json:"about"`
	LengthMS int64       `json:"length_ms"`
	Ready    bool        `json:"ready"` // it can be started
	Phases   []PhaseView `json:"phases"`
	Errors   []string    `json:"errors"` // FILE:LINE:COL: what is wrong (how to write it)
	Warnings []string    `json:"warnings"`
	Revision string      `json:"-"` // of its file
}
