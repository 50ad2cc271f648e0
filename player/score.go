// Package player turns a score into sound: clips on the session's time line in, PCM out. It knows no session, no
// phase and no light; a score says what sounds when, and a new score replaces the old one without a jump.
package player

import "time"

// Score is everything that is to sound, on the session's time line (0 is the session's start). It is a value: a
// changed arc is a new score. Clips that carry the same ID in both play on without a break.
type Score struct {
	Clips []Clip `json:"clips"` // by Start; overlaps are crossfades
	// Levels are the loudness targets over time, by At: what the startle guard measures against.
	Levels []Level `json:"levels"`
	Cover  string  `json:"cover"` // the bed (drone, ocean, rain) that covers a clip that fails
	Seed   uint64  `json:"seed"`  // of the beds
	// Rate is what its files share, in Hz: a session that starts with it is played at it where the device takes it.
	// 0: the files differ, or there are none.
	Rate int           `json:"rate,omitempty"`
	End  time.Duration `json:"end"` // nothing sounds from here on; 0: open
}

// Clip is one stretch of one source.
type Clip struct {
	ID   string `json:"id"`
	File string `json:"file,omitempty"` // absolute path of a track, or
	Bed  string `json:"bed,omitempty"`  // the name of a generated bed
	// Intensity is a bed's, 1 (calm) to 5 (intense); 0: as it always was.
	Intensity float64       `json:"intensity,omitempty"`
	Title     string        `json:"title"`
	Start     time.Duration `json:"start"`    // session time of its first frame
	End       time.Duration `json:"end"`      // session time just after its last
	From      time.Duration `json:"from"`     // place in the file that sounds at Start
	FadeIn    time.Duration `json:"fade_in"`  // from Start, equal-power (sin); 0: at once
	FadeOut   time.Duration `json:"fade_out"` // up to End, equal-power (cos); 0: the source's own ending
	// Gain is in dB, fixed for the clip: target minus the track's loudness. Beds sound at -23 LUFS where Gain is 0.
	Gain float64 `json:"gain"`
	// Curve is further gain over the source's own time, by At, linear in dB between its points: what the analysis
	// found that the startle guard needs. Empty: none.
	Curve []GainPoint `json:"curve,omitempty"`
}

// GainPoint is one point of a gain curve.
type GainPoint struct {
	At time.Duration `json:"at"` // source time
	DB float64       `json:"db"` // ≤ 0
}

// Level is the loudness target from a moment on.
type Level struct {
	At     time.Duration `json:"at"`
	Target float64       `json:"target"` // LUFS
}

// Master is what a person has asked of the whole sound: a level in dB against the score's own, reached by an
// even glide in dB. The player never gets past the ceiling that it was opened with.
type Master struct {
	DB   float64       `json:"db"`   // -inf for silence: anything at or under -120
	Over time.Duration `json:"over"` // how long the glide takes
}

// Event tells the player's owner what happened to the sound.
type Event struct {
	Kind   EventKind
	Clip   string        // the clip's ID, where it is about one
	At     time.Duration // session time
	Detail string        // the chain of errors, for the log
}

// EventKind is the kind of an Event.
type EventKind string

const (
	ClipStarted EventKind = "clip started"
	ClipFailed  EventKind = "clip failed" // could not be opened or decoded; covered
	ClipShort   EventKind = "clip short"  // ended before its length; covered from At on
	DeviceLost  EventKind = "device lost"
	DeviceBack  EventKind = "device back"
)
