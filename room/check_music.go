package room

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roomd/playlists"
)

// nearlySilent is the loudness below which a recording is probably a mistake, LUFS.
const nearlySilent = -60.0

// remark is something in a session as planned that its writer may not expect.
type remark struct {
	at          time.Duration   // session time
	phase       int             // index
	clip        string          // ID of the piece that it is about; empty: it is about the phase, or is not played
	track       bool            // it is about a track
	length      bool            // it depends on how long the phase lasts
	place       playlists.Place // where the playlist names it
	says, write string
	code, of    string
	known       bool // whoever found the music has said it already
}

// remarks are what a session as planned makes of its music: what startles or is damaged, what is raised as far as anything is,
// what can't be played, what is not reached. They are in the order of session time.
func (s *Session) remarks() []remark {
	var out []remark
	plays := map[[2]int]placed{}    // the first piece of each item
	times := map[[2]int]int{}       // how often it plays
	beds := map[int]time.Duration{} // how long the bed covers a phase
	for _, p := range slices.Backward(s.Pieces) {
		plays[[2]int{p.Phase, p.Item}] = p
		times[[2]int{p.Phase, p.Item}]++
		if p.Item < 0 {
			beds[p.Phase] += min(p.End, s.Spans[p.Phase].End) - max(p.Start, s.Spans[p.Phase].Start)
		}
	}
	for i := range s.Begin.Playlist.Phases {
		ph := s.phase(i)
		tracks, missed, broken, most := 0, 0, 0, 0
		listedBed := false
		var music time.Duration // that can be played
		var named playlists.Place
		for k, it := range ph.Music {
			t := it.Track
			if t == nil {
				listedBed = listedBed || it.Bed != ""
				continue
			}
			if tracks++; tracks == 1 {
				named = it.At
			}
			if t.Problem != "" {
				broken++
				continue
			}
			music += t.Length - t.LeadIn - t.LeadOut
			most = max(most, times[[2]int{i, k}])
			p, ok := plays[[2]int{i, k}]
			if !ok {
				missed++
				p = placed{Phase: i, piece: piece{Item: k, Start: s.Spans[i].Start}}
			}
			add := func(after time.Duration, known bool, says, write string) {
				out = append(out, remark{at: p.Start + after, phase: i, clip: p.ID, track: true, place: it.At, says: says, write: write, known: known})
			}
			name := filepath.Base(t.File)
			if at := t.LevelledAt - t.LeadIn; t.Levelled >= playlists.MuchLevelled && at >= 0 && p.Start+at < p.End {
				add(at, true, fmt.Sprintf("%q gets loud suddenly: roomd lowers it by %.0f dB", name, t.Levelled), "")
			}
			if t.Damaged {
				add(0, true, fmt.Sprintf("%q is damaged: parts of it can't be heard", name), "")
			}
			if t.Voice && ph.Stage == playlists.Administration {
				add(0, true, fmt.Sprintf("%q has vocals", name), "")
			}
			const another = "choose another recording, or leave it out"
			switch gain := s.gain(p); {
			case !t.Measured:
			case !t.HasLoudness:
				add(0, false, fmt.Sprintf("%q is nearly silent: nothing of it can be heard", name), another)
				out[len(out)-1].code, out[len(out)-1].of = "track-quiet", name
			case gain >= maxGain && t.Loudness < nearlySilent:
				add(0, false, fmt.Sprintf("%q is nearly silent: it would be raised by %.0f dB, with all its noise", name, gain), another)
				out[len(out)-1].code, out[len(out)-1].of = "track-quiet", name
			}
		}
		add := func(r remark) {
			r.at, r.phase, r.place = s.Spans[i].Start, i, named
			out = append(out, r)
		}
		if playable := tracks - broken; playable > 0 && !listedBed && ph.Order != playlists.Pooled && music < ph.Length/2 {
			if so := covered(most, beds[i]); so != "" {
				says := fmt.Sprintf("phase %q has %s of music for %s, so %s", ph.Name, playlists.FormatLength(music), playlists.FormatLength(ph.Length), so)
				add(remark{says: says, write: "add music, or {bed: ocean} as its last entry", code: "phase-little-music", of: ph.Name})
			}
		}
		// A shuffled phase plays the rest another time, and one that fits has its choice.
		if missed > 0 && ph.Order == playlists.Listed {
			says := fmt.Sprintf("phase %q: %d of %d tracks are not reached at this length of %s", ph.Name, missed, tracks-broken, playlists.FormatLength(ph.Length))
			add(remark{length: true, says: says, write: "write a longer length, fewer tracks, or order: shuffle", code: "phase-unreached", of: ph.Name})
		}
		out = append(out, s.poolRemarks(i)...)
		if broken > 0 {
			add(remark{length: true, known: true, says: fmt.Sprintf("phase %q: %d of %d tracks can't be played", ph.Name, broken, tracks)})
		}
	}
	slices.SortStableFunc(out, func(a, b remark) int { return cmp.Compare(a.at, b.at) })
	return out
}

// covered says what the fit does where there is little music; empty: nothing.
func covered(times int, bed time.Duration) string {
	var does []string
	if times > 1 {
		does = append(does, fmt.Sprintf("it plays %d times", times))
	}
	if bed >= time.Second {
		does = append(does, "the bed covers "+playlists.FormatLength(bed))
	}
	return strings.Join(does, " and ")
}

// CheckMusic says what a session as planned would make of a playlist's music that its writer may not expect. The playlist is a
// resolved one; what finding its music has said is not said again.
func (c Config) CheckMusic(pl *playlists.Playlist) playlists.Problems {
	if len(pl.Phases) == 0 {
		return nil
	}
	var out playlists.Problems
	s := Rehearsal(Begin{Playlist: *pl, Reference: c.Audio.Reference, Ceiling: c.Audio.Ceiling, Seed: 1})
	for _, r := range s.remarks() {
		// How long a phase lasts that waits for a mark nobody knows, nor what it reaches.
		if !r.known && (!r.length || pl.Phases[r.phase].Until == "") {
			out = append(out, playlists.Problem{Place: r.place, Severity: playlists.Warning, Says: r.says, Write: r.write}.About(r.code, r.of))
		}
	}
	return out
}
