// Package playlists reads the files that therapists write: an ordered list of phases with their music and light.
// It parses and checks a file (every problem with its line and column), resolves its music to tracks, and holds
// the starter playlists that need no file of anyone's. It plays nothing and decodes nothing.
package playlists

import "time"

// Stage is one of the three parts of the work, in this order.
type Stage string

const (
	Preparation    Stage = "preparation"
	Administration Stage = "administration"
	Integration    Stage = "integration"
)

// Keep says what a changed phase does to the session: keep its end, or keep the later lengths and move the end.
type Keep string

const (
	KeepEnd     Keep = "end"
	KeepLengths Keep = "lengths"
)

// Order says how a phase's tracks are chosen.
type Order string

const (
	Listed  Order = "listed"  // as written
	Shuffle Order = "shuffle" // seeded, no repeat until all were heard
	BestFit Order = "fit"     // the subset that lands best on the phase's end
	Pooled  Order = "pool"    // from a pool, by the phase's course; the phase has pool: or menu: in place of music:
)

// Bed names a generated sound that never ends.
type Bed string

const (
	Drone Bed = "drone"
	Ocean Bed = "ocean"
	Rain  Bed = "rain"
)

// Playlist is one playlist file, checked.
type Playlist struct {
	// ID is what a command names: the file's path below the playlists folder, with slashes and without its
	// ending ("evening/first"), or "starter/NAME" for an embedded one.
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	About     string        `json:"about,omitempty"`
	Keep      Keep          `json:"keep"`
	Crossfade time.Duration `json:"crossfade"` // between tracks, unless a phase says otherwise
	Bed       Bed           `json:"bed"`       // what covers a gap
	Phases    []Phase       `json:"phases"`
	Remind    []Reminder    `json:"remind,omitempty"`
	Boost     *Boost        `json:"boost,omitempty"`
	// Revision tells the text of its file from every other; empty where it has none.
	Revision string `json:"revision,omitempty"`
}

// Length is the session's planned length: the sum of its phases' lengths.
func (p *Playlist) Length() time.Duration {
	var sum time.Duration
	for _, ph := range p.Phases {
		sum += ph.Length
	}
	return sum
}

// Phase is one stretch of the arc.
type Phase struct {
	Name      string        `json:"name"`
	Stage     Stage         `json:"stage"`
	Length    time.Duration `json:"length"`
	Flex      time.Duration `json:"flex,omitempty"`  // how far its end may move to meet a track's own ending
	Until     string        `json:"until,omitempty"` // the mark it waits for; its length is then a guess
	Music     []Item        `json:"music,omitempty"` // what was written, resolved, in order; empty: the playlist's bed
	Order     Order         `json:"order"`
	Course    *Course       `json:"course,omitempty"` // Pooled: the intensity that is asked; nil: whatever the pool has
	Menu      []Choice      `json:"menu,omitempty"`   // Pooled: the curator's words
	Level     float64       `json:"level"`            // dB against the room's reference loudness
	Crossfade time.Duration `json:"crossfade"`        // the phase's own, or else the playlist's
	Lights    *Light        `json:"lights,omitempty"`
	Marks     []string      `json:"marks,omitempty"` // the buttons offered in this phase
	// Written is the phase as its file says it, until the playlist is resolved; then nil, and Music holds the music.
	Written *Written `json:"-"`
}

// Course is the intensity that a pool is laid to, 1 (calm) to 5 (intense): From at the phase's start, To at its end, in a straight line.
type Course struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// Choice is a word of a phase's menu and the music that it stands for.
type Choice struct {
	Name    string `json:"name"`
	Items   []int  `json:"items,omitempty"` // indices in the phase's Music
	Silence bool   `json:"silence,omitempty"`
}

// Item is one piece of a phase's music: a track, a bed, or planned silence. Exactly one of Track, Bed and Silence is set.
// A list that holds a bed plays the tracks before it, then the bed until the phase's end (or until the share of
// time that the tracks after it need); `silence` is alone in its list.
type Item struct {
	Track   *Track `json:"track,omitempty"`
	Bed     Bed    `json:"bed,omitempty"`
	Silence bool   `json:"silence,omitempty"`
	// Intensity is what the playlist gives a bed, 1 (calm) to 5 (intense); 0: nothing. A track has its own.
	Intensity float64 `json:"intensity,omitempty"`
	// Crossfade is the one from what plays before into a bed; nil: the phase's. A track has its own.
	Crossfade *time.Duration `json:"crossfade,omitempty"`
	At        Place          `json:"-"` // where it is named
}

// Rating is the item's intensity, 1 to 5; 0: not known.
func (it Item) Rating() float64 {
	if it.Track != nil {
		return it.Track.Intensity
	}
	return it.Intensity
}

// Join is the crossfade from what plays before into the item; nil: the phase's.
func (it Item) Join() *time.Duration {
	if it.Track != nil {
		return it.Track.Crossfade
	}
	return it.Crossfade
}

// Track is one music file as measured. A track that can't be played keeps its place with Problem set, so that
// the page can say which file is missing; the arc passes it over.
type Track struct {
	File    string        `json:"file"` // absolute path
	Title   string        `json:"title"`
	Artist  string        `json:"artist,omitempty"`
	Album   string        `json:"album,omitempty"`
	Length  time.Duration `json:"length"`             // of the decoded sound
	LeadIn  time.Duration `json:"lead_in,omitempty"`  // what is not played at its start: silence before the first sound, or up to From
	LeadOut time.Duration `json:"lead_out,omitempty"` // what is not played at its end: silence after the last, or from To on
	// From and To are where the playlist begins and ends it in mid-sound; 0: it plays from its first sound, to its last.
	From time.Duration `json:"from,omitempty"`
	To   time.Duration `json:"to,omitempty"`
	// Crossfade is the one from what plays before into this track; nil: the phase's.
	Crossfade *time.Duration `json:"crossfade,omitempty"`
	// Loudness is the integrated loudness in LUFS (EBU R128); HasLoudness is false until something is known of it.
	Loudness    float64 `json:"loudness,omitempty"`
	HasLoudness bool    `json:"has_loudness,omitempty"`
	TruePeak    float64 `json:"true_peak,omitempty"` // dBTP
	Measured    bool    `json:"measured,omitempty"`  // it was heard through: the figures are its own, not its tags'
	Rate        int     `json:"rate,omitempty"`      // of the file, Hz; 0: not known
	Joined      bool    `json:"joined,omitempty"`    // belongs to the track before it without a gap (one live album, or the next part of its file)
	// Intensity is 1 (calm) to 5 (intense): the curator's, else as measured; 0: not known yet.
	Intensity  float64       `json:"intensity,omitempty"`
	Rated      bool          `json:"rated,omitempty"`    // Intensity is the curator's, by its tag, its folder or the playlist; not measured
	Voice      bool          `json:"voice,omitempty"`    // its tags say that somebody speaks or sings
	Levelled   float64       `json:"levelled,omitempty"` // dB that its steepest rise is taken down by, so that it does not startle
	LevelledAt time.Duration `json:"-"`                  // where that is, in the track
	Damaged    bool          `json:"damaged,omitempty"`  // not all of it can be heard
	Copying    bool          `json:"copying,omitempty"`  // it changed a moment ago and is not whole: it is looked at again
	Problem    string        `json:"problem,omitempty"`  // why it can't be played, as a sentence for a therapist
}

// Light is the scene a phase fades to, from its start.
type Light struct {
	Scene string        `json:"scene"`
	Fade  time.Duration `json:"fade"`
}

// Reminder is a silent line on the tablet, told from a mark.
type Reminder struct {
	After string        `json:"after"` // a mark; empty: the session's start
	In    time.Duration `json:"in"`
	Say   string        `json:"say"`
	Marks []string      `json:"marks,omitempty"`
}

// Boost lengthens a phase at a second dose.
type Boost struct {
	Mark  string        `json:"mark"`
	Phase string        `json:"phase"`
	By    time.Duration `json:"by"`
}
