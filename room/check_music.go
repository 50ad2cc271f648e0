package room

import (
	"fmt"
	"path/filepath"

	"roomd/playlists"
)

// CheckMusic says what a session as planned would make of a playlist's music that its writer may not expect: what is raised
// as far as anything is, and what is not reached. The playlist is a resolved one.
func (c Config) CheckMusic(pl *playlists.Playlist) playlists.Problems {
	var out playlists.Problems
	warn := func(at playlists.Place, says, write string) {
		out = append(out, playlists.Problem{Place: at, Severity: playlists.Warning, Says: says, Write: write})
	}
	s := Rehearsal(Begin{Playlist: *pl, Reference: c.Audio.Reference, Ceiling: c.Audio.Ceiling, Seed: 1})
	reached := map[[2]int]bool{}
	for _, p := range s.Pieces {
		reached[[2]int{p.Phase, p.Item}] = true
	}
	for i, ph := range pl.Phases {
		tracks, missed := 0, 0
		var at playlists.Place
		for k, it := range ph.Music {
			t := it.Track
			if t == nil || t.Problem != "" {
				continue
			}
			if tracks++; tracks == 1 {
				at = it.At
			}
			if !reached[[2]int{i, k}] {
				missed++
			}
			if t.Measured {
				const write = "choose another recording, or leave it out"
				gain := s.gain(placed{Phase: i, piece: piece{Item: k}})
				switch name := filepath.Base(t.File); {
				case !t.HasLoudness:
					warn(it.At, fmt.Sprintf("%q is nearly silent: nothing of it can be heard", name), write)
				case gain >= maxGain:
					warn(it.At, fmt.Sprintf("%q is nearly silent: it would be raised by %.0f dB, with all its noise", name, gain), write)
				}
			}
		}
		// A shuffled phase plays the rest another time, one that fits has its choice, and how long one stays open nobody knows.
		if missed > 0 && ph.Order == playlists.Listed && ph.Until == "" {
			warn(at, fmt.Sprintf("phase %q: %d of %d tracks are not reached at this length of %s", ph.Name, missed, tracks, playlists.FormatLength(ph.Length)), "write a longer length, fewer tracks, or order: shuffle")
		}
	}
	return out
}
