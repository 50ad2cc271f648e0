package room

import (
	"strings"
	"time"

	"roomd/player"
	"roomd/playlists"
)

// ArcView is the arc as a picture shows it: a session as planned, every phase let go at its planned end. Times are session
// times in milliseconds.
type ArcView struct {
	Playlist string      `json:"playlist"` // ID
	Name     string      `json:"name"`     // the playlist's
	EndMS    int64       `json:"end_ms"`
	Phases   []ArcPhase  `json:"phases"`
	Clips    []ArcClip   `json:"clips"` // by their start
	Joins    []ArcJoin   `json:"joins"` // by time
	Notes    []ArcNote   `json:"notes"` // by time
	Loudness ArcLoudness `json:"loudness"`
	Lights   []ArcLight  `json:"lights"` // a role each
}

// ArcPhase is one phase of the picture.
type ArcPhase struct {
	Name    string  `json:"name"`
	Stage   string  `json:"stage"`
	StartMS int64   `json:"start_ms"`
	EndMS   int64   `json:"end_ms"`
	PlanMS  int64   `json:"plan_ms"` // where the file would end it; EndMS is within FlexMS of it
	FlexMS  int64   `json:"flex_ms"` // how far the end may move to meet a track's own ending
	Until   string  `json:"until,omitempty"`
	Target  float64 `json:"target"` // LUFS
	Silence bool    `json:"silence,omitempty"`
	// Course is the intensity that a phase with a pool asks for; nil: it asks for none.
	Course *playlists.Course `json:"course,omitempty"`
}

// ArcClip is one stretch of one track or bed.
type ArcClip struct {
	ID        string  `json:"id"`
	Title     string  `json:"title"`
	Artist    string  `json:"artist,omitempty"`
	Phase     int     `json:"phase"` // index
	StartMS   int64   `json:"start_ms"`
	EndMS     int64   `json:"end_ms"`
	FadeInMS  int64   `json:"fade_in_ms"`
	FadeOutMS int64   `json:"fade_out_ms"`
	Gain      float64 `json:"gain"` // dB
	Bed       string  `json:"bed,omitempty"`
	// Cover: the playlist's bed, which nobody wrote here. It fills what the music leaves ("rest"), or it lies softly
	// under a track that seems to have stopped ("under").
	Cover string `json:"cover,omitempty"`
	Cut   bool   `json:"cut,omitempty"` // it ends before its track does
	// Intensity is that of a piece from a pool, 1 to 5, and 3 where nothing is known of it; 0: it is not from a pool.
	Intensity float64 `json:"intensity,omitempty"`
}

// ArcNote is what a check warns of in the music, where it is.
type ArcNote struct {
	AtMS int64  `json:"at_ms"`
	Clip string `json:"clip,omitempty"` // ID of the clip that it is about; empty: it is about the phase
	Says string `json:"says"`
}

// ArcJoin is a stretch in which one clip gives way to the next, as Joins tells it.
type ArcJoin struct {
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
}

// ArcLoudness is how loud the session is by time, foreseen from what is known of each track. Value k is for the StepMS from
// k*StepMS on, in LUFS; -70 where nothing sounds. What the guard of the last stage would take down is not foreseen.
type ArcLoudness struct {
	StepMS    int64     `json:"step_ms"`
	ShortTerm []float64 `json:"short_term"` // the loudest 3 s that end in the step
	Momentary []float64 `json:"momentary"`  // the loudest 400 ms that end in the step
}

// ArcLight is one role's light.
type ArcLight struct {
	Role   string     `json:"role"`
	Points []ArcPoint `json:"points"` // by time; straight lines between them
}

// ArcPoint is a role's light at a moment.
type ArcPoint struct {
	AtMS  int64   `json:"at_ms"`
	Level float64 `json:"level"` // L*
	Color string  `json:"color"` // as a screen shows it, #rrggbb
}

// Picture is the arc of a session as planned, and its score, of which the clips are. How loud it is and its light are left
// open: the room knows neither what is in a file nor what a lamp does.
func Picture(b Begin, heard Heard) (ArcView, player.Score) {
	s := Rehearsal(b)
	sc := s.ScoreWith(heard)
	v := ArcView{Playlist: b.Playlist.ID, Name: b.Playlist.Name, EndMS: ms(s.Ends()), Phases: []ArcPhase{}, Clips: []ArcClip{}, Joins: []ArcJoin{}, Notes: []ArcNote{}, Lights: []ArcLight{}}
	for i, sp := range s.Spans {
		ph := s.phase(i)
		v.Phases = append(v.Phases, ArcPhase{Name: ph.Name, Stage: string(ph.Stage), StartMS: ms(sp.Start), EndMS: ms(sp.End),
			PlanMS: ms(sp.Nominal), FlexMS: ms(s.flex(i)), Target: s.target(i), Silence: s.silent(i), Until: b.Playlist.Phases[i].Until, Course: ph.Course})
	}
	of := map[string]placed{}
	for _, p := range s.Pieces {
		of[p.ID] = p
	}
	for _, c := range sc.Clips {
		id, _, under := strings.Cut(c.ID, "~")
		p := of[id]
		a := ArcClip{ID: c.ID, Title: c.Title, Phase: p.Phase, StartMS: ms(c.Start), EndMS: ms(c.End), FadeInMS: ms(c.FadeIn),
			FadeOutMS: ms(c.FadeOut), Gain: c.Gain, Bed: c.Bed, Cut: p.Cut && p.natural > 0 && !under}
		if c.Bed == "" {
			a.Artist = s.phase(p.Phase).Music[p.Item].Track.Artist
		}
		switch {
		case under:
			a.Cover = "under"
		case p.Item < 0:
			a.Cover = "rest"
		case s.phase(p.Phase).Order == playlists.Pooled:
			a.Intensity = source{intensity: s.phase(p.Phase).Music[p.Item].Rating()}.rating()
		}
		v.Clips = append(v.Clips, a)
	}
	for _, j := range Joins(sc) {
		v.Joins = append(v.Joins, ArcJoin{ms(j.From), ms(j.To)})
	}
	for _, r := range s.remarks() {
		if r.clip != "" || !r.track {
			v.Notes = append(v.Notes, ArcNote{ms(r.at), r.clip, r.says})
		}
	}
	return v, sc
}

// Join is a stretch of session time in which one clip gives way to the next: a crossfade, or, where From is To, an ending
// that the next clip follows without one.
type Join struct{ From, To time.Duration }

// Joins are a score's joins, by time. A bed that lies under a track makes none, nor does silence.
func Joins(sc player.Score) []Join {
	var out []Join
	var last *player.Clip
	for k := range sc.Clips {
		c := &sc.Clips[k]
		if strings.Contains(c.ID, "~") {
			continue
		}
		if last != nil && c.Start <= last.End {
			out = append(out, Join{c.Start, min(last.End, c.End)})
		}
		last = c
	}
	return out
}
