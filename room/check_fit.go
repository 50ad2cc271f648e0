package room

import (
	"fmt"
	"time"

	"roomd/playlists"
)

// CheckFit warns where a phase has music for less than half of its length, and says what the fit does then: how often the
// music plays, and how long the bed covers. written is the playlist as parsed, pl the same one resolved.
func (c Config) CheckFit(written, pl *playlists.Playlist) playlists.Problems {
	if len(pl.Phases) == 0 || len(written.Phases) != len(pl.Phases) {
		return nil
	}
	var out playlists.Problems
	s := Rehearsal(Begin{Playlist: *pl, Reference: c.Audio.Reference, Ceiling: c.Audio.Ceiling, Seed: 1})
	for i, ph := range pl.Phases {
		w := written.Phases[i].Written
		if w == nil || len(w.Music) == 0 || s.silent(i) {
			continue
		}
		playable, listedBed := 0, false
		var music time.Duration
		for _, it := range ph.Music {
			listedBed = listedBed || it.Bed != ""
			if t := it.Track; t != nil && t.Problem == "" {
				music += t.Length - t.LeadIn - t.LeadOut
				playable++
			}
		}
		if listedBed || playable == 0 || music >= ph.Length/2 {
			continue
		}
		times, bed := map[int]int{}, time.Duration(0)
		most := 0
		for _, p := range s.Pieces {
			switch {
			case p.Phase != i:
			case p.Item < 0:
				bed += min(p.End, s.Spans[i].End) - max(p.Start, s.Spans[i].Start)
			default:
				times[p.Item]++
				most = max(most, times[p.Item])
			}
		}
		says := fmt.Sprintf("phase %q has %s of music for %s", ph.Name, playlists.FormatLength(music), playlists.FormatLength(ph.Length))
		switch {
		case most > 1 && bed >= time.Second:
			says += fmt.Sprintf(", so it plays %d times and the bed covers %s", most, playlists.FormatLength(bed))
		case most > 1:
			says += fmt.Sprintf(", so it plays %d times", most)
		case bed >= time.Second:
			says += fmt.Sprintf(", so the bed covers %s", playlists.FormatLength(bed))
		default:
			continue
		}
		out = append(out, playlists.Problem{Place: w.Music[0].Place, Severity: playlists.Warning, Says: says, Write: "add music, or {bed: ocean} as its last entry"})
	}
	return out
}
