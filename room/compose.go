package room

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"roomd/player"
	"roomd/playlists"
)

// cutting says what of the sounding music a new composition ends. What sounds of the present phase goes on, and so does
// what fades in for the next one where that begins when it was to.
type cutting int

const (
	cutNothing cutting = iota
	cutCurrent         // a skip: what sounds fades over the phase's crossfade
	cutSteer           // what was asked comes now: what sounds of the phase leaves over a long crossfade
	cutAll             // a phase was left by a tap: what sounds of others fades over the new phase's crossfade
)

func (s *Session) recompose(now time.Duration, cut cutting, eff *Effects) {
	s.compose(now, cut)
	eff.Score = true
}

// compose lays the music from now on: the present phase from what sounds in it, then each later phase. An open phase is
// laid openFor ahead and nothing behind it, as nobody knows when it ends.
func (s *Session) compose(now time.Duration, cut cutting) {
	kept := slices.DeleteFunc(s.Pieces, func(p placed) bool { return p.Start > now })
	cross := s.phase(s.Current).Crossfade
	leave := func(k int) {
		p := &kept[k]
		p.End, p.Cut, p.left = min(p.End, now+cross), true, true
		p.fadeOut = min(cross, p.End-p.Start)
	}
	rise := time.Duration(0)
	if a := s.steered(); a != nil && a.over == "" {
		rise = max(cross, softRise)
	}
	carry := -1      // the piece of the present phase that was begun last and goes on
	var coming []int // the pieces that sound of the next phase
	for k := range kept {
		p := &kept[k]
		p.fresh = false
		switch {
		case p.End <= now, p.left && p.Phase <= s.Current && !s.firstRules():
		case cut == cutCurrent, p.broke, s.firstRules() && s.broken(*p), cut == cutAll && (p.Phase != s.Current || s.firstRules()):
			leave(k)
		case cut == cutSteer && p.Phase == s.Current:
			x := s.cross(p, now, s.steered())
			p.End, p.Cut, p.left = min(p.End, now+x), true, true
			p.fadeOut = min(x, p.End-p.Start)
			rise = p.End - now // of the last, which is the one that plays: an older one is in its own ending
		case p.Phase == s.Current:
			carry = k // an older one of the same phase is in its crossfade and ends as it was to
		case p.Phase > s.Current && s.firstRules():
			leave(k)
		case p.Phase > s.Current:
			coming = append(coming, k)
		}
	}
	begin := now
	for i := s.Current; i >= 0; i = s.following(i) {
		sp, ph := &s.Spans[i], s.phase(i)
		st := stretch{
			order: ph.Order, seed: s.Begin.Seed + uint64(i), begin: begin,
			nominal: sp.Nominal, flex: s.flex(i), crossfade: ph.Crossfade,
		}
		if !s.firstRules() {
			st.since = now
		}
		if i == s.Current && sp.Nominal <= now && sp.End > now && !s.firstRules() {
			st.flex = max(st.flex, sp.End-sp.Nominal) // what follows may leave less of it, but the end that was found stays in reach
		}
		open := sp.open() && i == s.Current
		if open {
			st.nominal, st.flex = max(sp.Nominal, now)+openFor, 0
			s.laid = st.nominal
		}
		if carry >= 0 {
			c := kept[carry].piece
			c.End = kept[carry].natural
			c.Cut = false
			st.carry = &c
			kept[carry].fall = 0
		}
		var pieces []piece
		end := st.nominal
		switch {
		case s.silent(i):
		case i == s.Current:
			s.material(&st, i, kept)
			pieces, end = s.fitSteered(st, kept, carry)
		default:
			s.material(&st, i, kept)
			pieces, end = fit(st)
		}
		last := carry
		if st.carry != nil && len(pieces) > 0 {
			kept[carry].End, kept[carry].Cut = pieces[0].End, pieces[0].Cut
			pieces = pieces[1:]
		}
		for k, p := range pieces {
			n := s.place(i, p)
			if k == 0 && i == s.Current {
				n.rise = rise
			}
			// A piece that was begun this very moment and cut again goes on.
			if last = slices.IndexFunc(kept, func(p placed) bool { return p.ID == n.ID }); last < 0 {
				last = len(kept)
				kept = append(kept, n)
			}
			kept[last] = n
		}
		if s.firstRules() {
			last = len(kept) - 1
		}
		carry = -1
		j := s.following(i)
		if open {
			sp.End = sp.Nominal
			j = -1
		} else {
			sp.End = end
		}
		if j >= 0 {
			s.Spans[j].Start = end
			begin = end
			if last >= 0 && kept[last].End == end && !s.silent(j) {
				begin = end - min(s.entry(j), (kept[last].End-kept[last].Start)/2)
			}
		}
		if len(coming) > 0 {
			first := slices.IndexFunc(kept, func(p placed) bool { return p.Phase == j && (!p.left || p.End > now) })
			goesOn := first >= 0 && (kept[first].Start-begin).Abs() < fitGrid // the next phase begins when it was to
			for _, k := range coming {
				if goesOn && kept[k].Phase == j {
					carry, begin, kept[k].left = k, kept[k].Start, false
				} else {
					leave(k)
				}
			}
			coming = nil
		}
		if carry < 0 && !s.firstRules() {
			begin = max(begin, now)
		}
		if j < 0 {
			break
		}
	}
	kept = slices.DeleteFunc(kept, func(p placed) bool { return p.End <= p.Start && !s.firstRules() }) // never heard
	slices.SortStableFunc(kept, func(p, q placed) int { return cmp.Compare(p.Start, q.Start) })
	s.Pieces = kept
	s.join(now)
}

// flex is how far phase i's end may move: what the file says, and never so far that the phase or the next one is
// left with less than half of its time.
func (s *Session) flex(i int) time.Duration {
	f := min(s.phase(i).Flex, (s.Spans[i].Nominal-s.Spans[i].Start)/2)
	if j := s.following(i); j >= 0 {
		f = min(f, (s.Spans[j].Nominal-s.Spans[i].Nominal)/2)
	}
	return max(f, 0)
}

// join gives the pieces their fades: neighbors that overlap cross, in equal power; what follows silence fades in; what is
// cut before silence fades out. What leaves has its fade, and what sounds keeps the fade-in that it had.
func (s *Session) join(now time.Duration) {
	var p *placed
	for k := range s.Pieces {
		q := &s.Pieces[k]
		if q.left {
			continue
		}
		x := time.Duration(0)
		if p != nil {
			x = max(0, p.End-q.Start)
		}
		switch {
		case !q.fresh:
		case x > 0:
			q.fadeIn = min(x, q.End-q.Start)
		case !q.Joined:
			q.fadeIn = cmp.Or(q.rise, s.phase(q.Phase).Crossfade)
		}
		if p != nil && p.End > now {
			p.fadeOut = s.wayOut(p, q, x)
		}
		p = q
	}
	if p != nil && p.End > now {
		p.fadeOut = s.wayOut(p, nil, 0)
	}
}

// wayOut is how long p fades out, which overlaps the next piece, q or nil, by x.
func (s *Session) wayOut(p, q *placed, x time.Duration) time.Duration {
	on := q != nil && q.Start == p.End && q.Joined
	if x == 0 && (p.Cut || s.midSound(*p) && !on) {
		x = cmp.Or(p.fall, s.Spans[p.Phase].Fade, s.phase(p.Phase).Crossfade)
	}
	return min(x, p.End-p.Start)
}

// entry is the crossfade into phase i: its first piece's own where it has one and plays first, or the phase's.
func (s *Session) entry(i int) time.Duration {
	ph := s.phase(i)
	if ph.Order == playlists.Listed && len(ph.Music) > 0 {
		if x := ph.Music[0].Join(); x != nil {
			return *x
		}
	}
	return ph.Crossfade
}

// midSound says whether a piece ends, by the playlist's wish, where its track still sounds. A bed always does.
func (s *Session) midSound(p placed) bool {
	return s.bedOf(p) != "" || s.phase(p.Phase).Music[p.Item].Track.To > 0
}

// silent says whether phase i is planned silence.
func (s *Session) silent(i int) bool {
	m := s.phase(i).Music
	return len(m) == 1 && m[0].Silence
}

// broken says whether a piece's track turned out not to play.
func (s *Session) broken(p placed) bool { return s.failed[[2]int{p.Phase, p.Item}] }

// material fills in what there is to play in phase i, and what of it is still to come after the kept pieces.
func (s *Session) material(st *stretch, i int, kept []placed) {
	st.heard = map[int]int{}
	again := map[int]bool{}
	elsewhere := map[string]bool{} // what was heard in this session, or is to be, in other phases
	last := -1                     // the item begun last
	played := map[int]bool{}
	for _, p := range kept {
		if p.Phase == i && p.Item >= 0 {
			last = p.Item
			played[p.Item] = true
			st.heard[p.Item]++
		} else if p.Phase != i && s.Begin.Rules >= 3 {
			elsewhere[s.heardAs(p)] = true
		}
	}
	if st.order == playlists.Pooled {
		st.line, st.played = s.line(i), s.playedOf(i, kept)
		clear(st.heard)
	}
	for k, it := range s.phase(i).Music {
		src := source{item: k, join: it.Join(), intensity: it.Rating()}
		switch {
		case it.Track != nil:
			src.length = audible(it.Track)
			if it.Track.Problem != "" || src.length <= 0 || s.failed[[2]int{i, k}] {
				continue
			}
			src.joined = it.Track.Joined
			if s.Begin.Rules >= 3 && st.order != playlists.Pooled {
				st.heard[k] *= thisSession
			}
			st.heard[k] += s.Begin.Heard[heardAs(it.Track)]
			if elsewhere[heardAs(it.Track)] {
				again[k] = true
				if st.order == playlists.Shuffle {
					st.heard[k] += thisSession
				}
			}
		case it.Bed == "":
			continue
		}
		st.full = append(st.full, src)
		switch {
		case st.order == playlists.BestFit && (played[k] || src.bed() && s.firstRules()):
		case st.order == playlists.Listed && k <= last:
		default:
			st.sources = append(st.sources, src)
		}
	}
	heard := func(src source) bool { return again[src.item] }
	if st.order == playlists.BestFit && !slices.ContainsFunc(st.sources, func(src source) bool { return src.bed() || !heard(src) }) {
		return
	}
	if st.order == playlists.BestFit {
		st.sources = slices.DeleteFunc(st.sources, heard)
	}
}

// thisSession outweighs what was heard in earlier sessions.
const thisSession = 1 << 20

// audible is the part of a track from its first sound to its last.
func audible(t *playlists.Track) time.Duration {
	return (t.Length - t.LeadIn - t.LeadOut).Truncate(time.Microsecond)
}

// place makes a piece of the fit a piece of the session, with a name of its own.
func (s *Session) place(phase int, p piece) placed {
	// The name follows from the place, so that a piece that is laid again where it was is the same piece to the player.
	out := placed{ID: fmt.Sprintf("p%d.%d@%d", phase+1, p.Item+1, ms(p.Start)), Phase: phase, piece: p, fresh: true}
	if s.firstRules() {
		s.next++
		out.ID = fmt.Sprintf("p%d.%d", phase+1, s.next)
	}
	if p.Item >= 0 {
		if t := s.phase(phase).Music[p.Item].Track; t != nil {
			out.natural = p.Start + audible(t)
		} else if s.phase(phase).Order == playlists.Pooled {
			out.natural = p.Start + bedPiece
		}
	}
	return out
}

// bedOf is the bed that a piece plays; empty for a track.
func (s *Session) bedOf(p placed) playlists.Bed {
	if p.Item < 0 {
		return s.Begin.Playlist.Bed
	}
	return s.phase(p.Phase).Music[p.Item].Bed
}

// title is a piece's name on the page.
func (s *Session) title(p placed) string {
	if b := string(s.bedOf(p)); b != "" {
		return strings.ToUpper(b[:1]) + b[1:]
	}
	return s.phase(p.Phase).Music[p.Item].Track.Title
}

// target is the loudness that phase i plays at, LUFS.
func (s *Session) target(i int) float64 { return s.Begin.Reference + s.phase(i).Level }

// gain brings a piece to its phase's target.
func (s *Session) gain(p placed) float64 {
	loud := player.BedLUFS
	if s.bedOf(p) == "" {
		t := s.phase(p.Phase).Music[p.Item].Track
		loud = assumed
		if t.HasLoudness {
			loud = t.Loudness
		}
	}
	return min(s.target(p.Phase)-loud, maxGain)
}

// Score is what the session sounds like, as it stands.
func (s *Session) Score() player.Score {
	sc := player.Score{Cover: string(s.Begin.Playlist.Bed), Seed: s.Begin.Seed, Rate: sharedRate(&s.Begin.Playlist)}
	for _, p := range s.Pieces {
		c := player.Clip{
			ID: p.ID, Title: s.title(p), Start: p.Start, End: p.End,
			FadeIn: p.fadeIn, FadeOut: p.fadeOut, Gain: s.gain(p), Bed: string(s.bedOf(p)),
		}
		if c.Bed != "" && p.Item >= 0 {
			c.Intensity = s.phase(p.Phase).Music[p.Item].Intensity
		}
		if c.Bed == "" {
			t := s.phase(p.Phase).Music[p.Item].Track
			c.File, c.From = t.File, t.LeadIn
		}
		sc.Clips = append(sc.Clips, c)
	}
	for i, sp := range s.Spans {
		if !sp.Passed {
			sc.Levels = append(sc.Levels, player.Level{At: sp.Start, Target: s.target(i)})
		}
	}
	switch {
	case s.State != Running:
		sc.End = s.EndAt
	case !s.Spans[s.Current].open():
		sc.End = s.Spans[s.lastPhase()].End
	}
	return sc
}

// sharedRate is the rate of all of a playlist's files, where they share one that a player goes at; else 0.
func sharedRate(pl *playlists.Playlist) (hz int) {
	for _, ph := range pl.Phases {
		for _, it := range ph.Music {
			if t := it.Track; t != nil && t.Problem == "" {
				if t.Rate < 44100 || t.Rate > 96000 || hz != 0 && t.Rate != hz {
					return 0
				}
				hz = t.Rate
			}
		}
	}
	return hz
}

// Hearing is what is known of how a file sounds at a gain and a target; the zero value: nothing needs to be done.
type Hearing struct {
	Curve []player.GainPoint // so that nothing in it startles
	Quiet []Quiet            // where it seems to have stopped
}

// Quiet is a part of a file, in source time.
type Quiet struct{ From, To time.Duration }

// Heard tells of a file played gain dB up at a target, LUFS.
type Heard func(file string, gain, target float64) Hearing

const (
	underFade  = 2 * time.Second
	underLevel = -19.0 // dB against the target: heard, and under what the music does
)

// ScoreWith is Score with what is known of each track: its gain curve, and the bed under it, softly, where it seems to
// have stopped. heard may be nil.
func (s *Session) ScoreWith(heard Heard) player.Score {
	sc := s.Score()
	if heard == nil {
		return sc
	}
	var under []player.Clip
	for k := range sc.Clips {
		c := &sc.Clips[k]
		if c.File == "" {
			continue
		}
		target := s.target(s.Pieces[k].Phase)
		h := heard(c.File, c.Gain, target)
		c.Curve = h.Curve
		for n, q := range h.Quiet {
			from, to := max(c.Start, c.Start+q.From-c.From), min(c.End, c.Start+q.To-c.From+underFade)
			if to-from < underFade {
				continue
			}
			under = append(under, player.Clip{ID: fmt.Sprintf("%s~%d", c.ID, n+1), Bed: string(s.Begin.Playlist.Bed), Title: c.Title,
				Start: from, End: to, FadeIn: underFade / 2, FadeOut: underFade, Gain: target + underLevel - player.BedLUFS})
		}
	}
	sc.Clips = append(sc.Clips, under...)
	slices.SortStableFunc(sc.Clips, func(a, b player.Clip) int { return cmp.Compare(a.Start, b.Start) })
	return sc
}

// lastPhase is the last phase that is to be played.
func (s *Session) lastPhase() int {
	for i := len(s.Spans) - 1; i > s.Current; i-- {
		if !s.Spans[i].Passed {
			return i
		}
	}
	return s.Current
}

// Rehearsal is the session as planned: each phase that waits for a mark is let go at its planned end.
func Rehearsal(b Begin) *Session {
	b.Rules = rules
	b.Playlist.Phases = slices.Clone(b.Playlist.Phases)
	for i := range b.Playlist.Phases {
		b.Playlist.Phases[i].Until = ""
	}
	s, _ := NewSession("rehearsal", b)
	return s
}

// heardAs is what a track is called in what earlier sessions played: its file, and where a part of it begins.
func heardAs(t *playlists.Track) string {
	if t.From > 0 {
		return fmt.Sprintf("%s#%v", t.File, t.From)
	}
	return t.File
}

// heardAs is what the track of a piece is called in what earlier sessions played; empty for a bed.
func (s *Session) heardAs(p placed) string {
	if s.bedOf(p) != "" {
		return ""
	}
	return heardAs(s.phase(p.Phase).Music[p.Item].Track)
}

// files are the tracks that have sounded, each once, as heardAs calls them.
func (s *Session) files() []string {
	var out []string
	add := func(file string) {
		if file != "" && !slices.Contains(out, file) {
			out = append(out, file)
		}
	}
	for _, p := range s.past {
		add(p.file)
	}
	for _, p := range s.Pieces {
		if p.Start < s.EndAt {
			add(s.heardAs(p))
		}
	}
	return out
}
