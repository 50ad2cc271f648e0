package room

import (
	"time"

	"roomd/playlists"
)

// Span is one phase placed on session time.
type Span struct {
	Start time.Duration `json:"start"`
	// End is the nominal end, moved within the phase's flex to the end of a track. For an open phase, which ends when
	// someone releases it, End is an estimate.
	End     time.Duration `json:"end"`
	Nominal time.Duration `json:"nominal"`         // planned end; flex is measured from it
	Length  time.Duration `json:"length"`          // length in the file plus Added
	Added   time.Duration `json:"added,omitempty"` // added by a boost
	Fade    time.Duration `json:"fade,omitempty"`  // fade-out of music cut at End; 0: the phase's crossfade
	Held    bool          `json:"held,omitempty"`
	Waiting string        `json:"waiting,omitempty"` // the mark that it waits for
	Over    bool          `json:"over,omitempty"`
	Passed  bool          `json:"passed,omitempty"` // skipped by a bring-back, never played
}

func (sp Span) open() bool { return sp.Held || sp.Waiting != "" }

// shortest is the smallest fraction of its length that relay may shorten a later phase to.
const shortest = 0.5

// plan places phases back to back from session time 0.
func plan(phases []playlists.Phase) []Span {
	spans := make([]Span, len(phases))
	var at time.Duration
	for i, ph := range phases {
		spans[i] = Span{Start: at, End: at + ph.Length, Nominal: at + ph.Length, Length: ph.Length, Waiting: ph.Until}
		at += ph.Length
	}
	return spans
}

// relay places the phases after span i again, starting at its end. With KeepLengths, phases keep their lengths and the
// session's end moves. Otherwise the session still ends at end: the later integration phases absorb the difference in
// proportion to their lengths, each down to shortest of its length. The other later phases, which are timed from the
// lozenge, absorb only the rest, in the same way. Whatever is left moves the session's end.
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
		rest := end - spans[i].End - sum // positive: phases get longer
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

// share spreads rest over the lengths selected by in, in proportion, and returns the remainder. No length drops below
// shortest of itself.
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
			part = left // the last one absorbs the rounding error
		}
		lengths[j] += part
		left -= part
	}
	return rest - give
}
