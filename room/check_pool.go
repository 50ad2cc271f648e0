package room

import (
	"fmt"
	"math"
	"time"

	"roomd/playlists"
)

// leastChoice is how much music a word of a menu needs: less is over before the next look at it.
const leastChoice = 10 * time.Minute

// poolRemarks are what a phase's pool has too little of: music of an intensity that the phase asks for, and music of a menu's word. A bed
// is always enough.
func (s *Session) poolRemarks(i int) (out []remark) {
	ph := s.phase(i)
	if ph.Order != playlists.Pooled {
		return nil
	}
	sounds := func(it playlists.Item) time.Duration {
		switch {
		case it.Bed != "":
			return ph.Length + leastChoice
		case it.Track == nil || it.Track.Problem != "":
			return 0
		}
		return max(audible(it.Track), 0)
	}
	var place playlists.Place
	var whole time.Duration
	var has, asked [6]time.Duration // by intensity
	unrated := false                // then nobody knows what the pool has of each
	for k, it := range ph.Music {
		if k == 0 {
			place = it.At
		}
		rating := source{intensity: it.Rating()}.rating()
		has[min(max(int(math.Round(rating)), 1), 5)] += sounds(it)
		whole += sounds(it)
		unrated = unrated || it.Track != nil && it.Track.Problem == "" && it.Track.Intensity == 0
	}
	if whole == 0 {
		return nil // that is said elsewhere
	}
	add := func(at playlists.Place, code, of, says, write string) {
		out = append(out, remark{at: s.Spans[i].Start, phase: i, place: at, says: says, write: write, code: code, of: of})
	}
	switch {
	case ph.Course == nil || unrated:
		if whole < ph.Length {
			add(place, "phase-little-music", ph.Name, fmt.Sprintf("phase %q has %s in its pool, and %s are planned", ph.Name, minutes(whole), minutes(ph.Length)), "add music to the pool, or {bed: ocean}")
		}
	default:
		const parts = 1000
		for k := range parts {
			x := ph.Course.From + (ph.Course.To-ph.Course.From)*(float64(k)+0.5)/parts
			asked[int(math.Round(x))] += ph.Length / parts
		}
		for x := 1; x <= 5; x++ {
			if has[x] < asked[x].Truncate(time.Second) {
				says := fmt.Sprintf("phase %q has %s at intensity %d, and %s are planned", ph.Name, minutes(has[x]), x, minutes(asked[x]))
				add(place, "phase-little-intensity", ph.Name, says, fmt.Sprintf("add music to the pool, or give some of it its intensity: {file: a.flac, intensity: %d}", x))
			}
		}
	}
	for _, c := range ph.Menu {
		var music time.Duration
		at := place
		for k, item := range c.Items {
			if k == 0 {
				at = ph.Music[item].At
			}
			music += sounds(ph.Music[item])
		}
		if !c.Silence && music < leastChoice {
			add(at, "word-little-music", c.Name, fmt.Sprintf("%q in the menu of phase %q has %s of music", c.Name, ph.Name, minutes(music)), "give it 10 min or more")
		}
	}
	return out
}

// minutes is a length of music in whole minutes, or in seconds where it is shorter.
func minutes(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
}

// Unrated counts the tracks of a playlist's pools of whose intensity nothing is known yet.
func Unrated(pl playlists.Playlist) (n int) {
	for _, ph := range pl.Phases {
		for _, it := range ph.Music {
			if ph.Order == playlists.Pooled && it.Track != nil && it.Track.Problem == "" && it.Track.Intensity == 0 {
				n++
			}
		}
	}
	return n
}
