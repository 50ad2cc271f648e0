package room

import (
	"time"

	"roomd/playlists"
)

// Span is one phase laid on session time.
type Span struct {
	Start time.Duration `json:"start"`
	// End is where the phase ends as things stand: its nominal end, moved within the phase's flex to a track's own
	// ending. An open phase ends when it is let go, so its End is only a guess.
	End     time.Duration `json:"end"`
	Nominal time.Duration `json:"nominal"`         // where the plan would end it; what flex is counted from
	Length  time.Duration `json:"length"`          // as the file says, and what a boost added
	Added   time.Duration `json:"added,omitempty"` // what a boost added
	Fade    time.Duration `json:"fade,omitempty"`  // of the music that is cut at its end; 0: the phase's crossfade
	Held    bool          `json:"held,omitempty"`
	Waiting string        `json:"waiting,omitempty"` // the mark it stays open for
	Over    bool          `json:"over,omitempty"`
	Passed  bool          `json:"passed,omitempty"` // never played: skipped by a bring-back
}

func (sp Span) open() bool { return sp.Held || sp.Waiting != "" }

// shortest is the least that a later phase is squeezed to, of the length that the file gives it.
const shortest = 0.5

// plan lays a playlist's phases one behind the other.
func plan(phases []playlists.Phase) []Span {
	spans := make([]Span, len(phases))
	var at time.Duration
	for i, ph := range phases {
		spans[i] = Span{Start: at, End: at + ph.Length, Nominal: at + ph.Length, Length: ph.Length, Waiting: ph.Until}
		at += ph.Length
	}
	return spans
}

// relay lays the phases after span i anew, from span i's end on. With keep lengths they keep their lengths and the
// session's end moves. With keep end the session still ends at end: what the change took or gave is shared by the
// later integration phases in proportion to their lengths, down to half of each; only what they can't give is
// asked of the other later phases, in the same way, since those are counted from the lozenge; and what nobody can
// give moves the session's end.
func relay(spans []Span, phases []playlists.Phase, i int, keep playlists.Keep, end time.Duration) {
	lengths := make([]time.Duration, len(spans))
	var sum time.Duration
	for j := i + 1; j < len(spans); j++ {
		if spans[j].Passed {
			continue
		}
		lengths[j] = spans[j].Length
		sum += lengths[j]
	}
	if keep != playlists.KeepLengths {
		rest := end - spans[i].End - sum // to share out: more time where positive
		rest = share(lengths, rest, func(j int) bool {
			return j > i && !spans[j].Passed && phases[j].Stage == playlists.Integration
		})
		share(lengths, rest, func(j int) bool {
			return j > i && !spans[j].Passed && phases[j].Stage != playlists.Integration
		})
	}
	at := spans[i].End
	for j := i + 1; j < len(spans); j++ {
		spans[j].Start = at
		at += lengths[j]
		spans[j].End, spans[j].Nominal = at, at
	}
}

// share gives rest to the lengths that are in, in proportion, and returns what it could not place. No length is
// taken below the shortest part of itself.
func share(lengths []time.Duration, rest time.Duration, in func(int) bool) time.Duration {
	var sum time.Duration
	last := -1
	for j, l := range lengths {
		if in(j) && l > 0 {
			sum += l
			last = j
		}
	}
	if sum == 0 || rest == 0 {
		return rest
	}
	give := rest
	if floor := -time.Duration(float64(sum) * (1 - shortest)); give < floor {
		give = floor.Round(time.Millisecond)
	}
	left := give
	for j, l := range lengths {
		if !in(j) || l <= 0 {
			continue
		}
		part := time.Duration(float64(give) * float64(l) / float64(sum)).Round(time.Millisecond)
		if j == last {
			part = left // the last takes the rounding, so that the sum is exact
		}
		lengths[j] += part
		left -= part
	}
	return rest - give
}
