package room

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"roomd/playlists"
)

// Fitting lays music into one phase. The rules, in order:
//
//   - A track is played from its first sound to its last: silence before and behind it is not counted.
//
//   - Tracks overlap by the phase's crossfade, or the one that the track asks for, or by half of the shorter track where
//     that is less; tracks that belong together (Joined) follow without one.
//
//   - The phase ends on the ending of the track that comes nearest to its nominal end, where that is within flex.
//     Otherwise it ends on its nominal end: the track that sounds there is faded out, if it has had 30 s by then;
//     a track that would have less is not begun, and the bed covers what is left.
//
//   - listed: in order; the list is begun again while it fits in whole; then the bed.
//     shuffle: in a seeded order, what was heard longest ago first; all are heard before one comes again.
//     fit: of all subsets, in order, the one that ends nearest to the nominal end; then the bed. Beds in the list
//     stay at their places and take the time that is left.
//     pool: see course.
//
//   - A bed in the list takes the time that the tracks around it leave; several share it evenly.
//
//     start             nominal end − flex   nominal end   + flex
//     phase     |----------------------------[-----------|-----------]
//     listed    | A ~~~~ X ~~~~ B ~~~~~~ X ~~~~ C ~~~~~~~~~~~~|          ends on C's own ending
//     | A ~~~~ X ~~~~ B ~~~ X bed ~~~~~~~~~~~~~|               C would be cut before 30 s
const (
	leastPlayed = 30 * time.Second // no track is cut before this much of it was heard
	leastBed    = 4 * time.Second  // a shorter rest is not worth a change of sound
	fitGrid     = 100 * time.Millisecond
)

// piece is one stretch of one source, as the fit places it. Times are session times.
type piece struct {
	Item   int           `json:"item"` // index in the phase's music; -1: the playlist's bed
	Start  time.Duration `json:"start"`
	End    time.Duration `json:"end"`              // where it is silent
	Cut    bool          `json:"cut,omitempty"`    // it ends before its source does
	Joined bool          `json:"joined,omitempty"` // follows the piece before it without a crossfade
}

// source is one playable entry of a phase's music.
type source struct {
	item   int
	length time.Duration // audible; 0 for a bed
	joined bool
	join   *time.Duration // its own crossfade from what plays before; nil: the phase's
	// intensity is 1 to 5; 0: not known.
	intensity float64
}

// crossfade is the one from what plays before into s, where the phase's is of.
func (s source) crossfade(of time.Duration) time.Duration {
	if s.join != nil {
		return *s.join
	}
	return of
}

func (s source) bed() bool { return s.length == 0 }

// stretch is what the fit is asked to fill.
type stretch struct {
	sources   []source // what is still to come, in order
	full      []source // the whole list, for when it is begun again
	order     playlists.Order
	seed      uint64
	heard     map[int]int   // shuffle: how often each item was heard, here and before; pool: before
	played    map[int]int   // pool: how often each item was heard in this session
	line      line          // pool: the intensity that is asked for; nil: none is
	begin     time.Duration // where the first piece starts: a fade-in before the phase's start, or now
	since     time.Duration // no piece starts before it: now
	nominal   time.Duration // where the phase should end
	flex      time.Duration
	crossfade time.Duration
	// carry is what sounds already and goes on. A track's End is its own ending. A bed has End 0: it goes on until
	// something takes over; one of the list (Item ≥ 0) for its share, the playlist's bed (-1) only where nothing else can.
	carry *piece
}

// fit fills a stretch. It returns the pieces in order, the carried one first, and where the phase ends: within flex
// of nominal. The pieces cover the stretch without a gap. The same stretch gives the same pieces.
func fit(st stretch) ([]piece, time.Duration) {
	queue := st.sources
	switch st.order {
	case playlists.Shuffle:
		queue = st.shuffled()
	case playlists.BestFit:
		queue = st.subset()
	case playlists.Pooled:
		queue = st.course()
	}
	l := layer{stretch: st, at: st.begin}
	l.lay(queue)
	return l.out, l.end
}

// layer places pieces one behind the other.
type layer struct {
	stretch
	out  []piece
	at   time.Duration // where the last piece ends
	own  bool          // the last piece ends on its own ending
	end  time.Duration // where the phase ends, once that is known
	done bool
}

func (l *layer) lay(queue []source) {
	share := l.bedShare(queue)
	if c := l.carry; c != nil {
		l.out = append(l.out, *c)
		switch {
		case c.End != 0:
			l.at, l.own = c.End, !c.Cut
		case c.Item >= 0 && len(queue) > 0:
			l.at = max(l.begin, l.begin+share) + l.crossfade
		case len(queue) > 0:
			l.at = l.begin + l.crossfade
		default:
			l.at = l.nominal
		}
		l.out[0].End, l.out[0].Cut = l.at, c.Cut || c.End == 0
		if l.at >= l.nominal {
			l.finish()
			return
		}
	}
	for again := true; again && !l.done; again = l.again(queue) {
		if len(l.out) > 0 && len(queue) == 0 {
			queue = l.full
			if !l.again(queue) {
				break
			}
		}
		before := len(l.out)
		for k, s := range queue {
			switch {
			case l.done:
			case l.at >= l.nominal:
				l.finish()
			case !s.bed():
				l.track(s)
			case k == len(queue)-1:
				l.cover(s)
			case share >= leastBed:
				l.place(s, share+s.crossfade(l.crossfade))
			}
		}
		if len(l.out) == before {
			break
		}
		if l.order == playlists.Listed {
			queue = l.full
		}
	}
	l.finish()
}

// bedShare is what each bed of the queue gets of the time that its tracks leave, net of crossfades.
func (l *layer) bedShare(queue []source) time.Duration {
	var beds, tracks time.Duration
	if c := l.carry; c != nil && c.End == 0 && c.Item >= 0 {
		beds++
	} else if c != nil && c.End != 0 {
		tracks += c.End - l.begin
	}
	for _, s := range queue {
		if s.bed() {
			beds++
		} else {
			tracks += l.net(s)
		}
	}
	if beds == 0 {
		return 0
	}
	return ((l.nominal - l.begin - tracks) / beds).Truncate(time.Millisecond)
}

// net is how much further a track takes the phase: its length less its overlap.
func (st *stretch) net(s source) time.Duration {
	return s.length - min(s.crossfade(st.crossfade), s.length/2)
}

// overlap is the crossfade of a piece of this length with the last one.
func (l *layer) overlap(s source, length time.Duration) time.Duration {
	if len(l.out) == 0 {
		return 0
	}
	last := l.out[len(l.out)-1]
	if s.joined && last.Item == s.item-1 && l.own {
		return 0
	}
	x := min(s.crossfade(l.crossfade), (last.End-last.Start)/2, l.at-l.since)
	return max(0, min(x, length/2))
}

func (l *layer) place(s source, length time.Duration) {
	x := l.overlap(s, length)
	joined := (s.joined || s.join != nil) && x == 0 && len(l.out) > 0
	l.out = append(l.out, piece{Item: s.item, Start: l.at - x, End: l.at - x + length, Cut: s.bed(), Joined: joined})
	l.at, l.own = l.at-x+length, !s.bed()
}

// track places one track, or ends the phase before it, or leaves it out.
func (l *layer) track(s source) {
	x := l.overlap(s, s.length)
	late := l.at - x + s.length - l.nominal // how far past the nominal end it would end
	early := l.nominal - l.at               // how far before it the last one has ended
	switch {
	case late <= 0:
		l.place(s, s.length)
	case l.endsWell() && (late > l.flex || early < late):
		l.finish()
	case late <= l.flex || l.nominal-(l.at-x) >= leastPlayed:
		l.place(s, s.length)
		l.finish()
	}
}

// endsWell says whether the phase may end where the last piece does.
func (l *layer) endsWell() bool {
	d := l.at - l.nominal
	return l.own && d <= l.flex && d >= -l.flex
}

// cover lays a bed from here to the phase's end.
func (l *layer) cover(s source) {
	if l.at < l.nominal {
		x := l.overlap(s, 2*s.crossfade(l.crossfade))
		l.out = append(l.out, piece{Item: s.item, Start: l.at - x, End: l.nominal, Cut: true})
	}
	l.at, l.own = l.nominal, false
	l.finish()
}

// finish ends the phase: on the last track's own ending where flex allows, else on the nominal end, to which the
// last piece is cut or the playlist's bed covers what is left.
func (l *layer) finish() {
	switch {
	case l.done:
		return
	case l.endsWell():
		l.end = l.at
	case l.at < l.nominal:
		l.done = true
		l.cover(source{item: -1})
		l.end = l.nominal
	default:
		l.end = l.nominal
		for k := range l.out {
			if p := &l.out[k]; p.End > l.nominal {
				p.End, p.Cut = l.nominal, true
			}
		}
	}
	l.done = true
}

// again says whether the queue is begun once more.
func (l *layer) again(queue []source) bool {
	if l.done || l.endsWell() || l.order == playlists.BestFit || l.order == playlists.Pooled || len(queue) == 0 {
		return false
	}
	var sum time.Duration
	for _, s := range queue {
		if s.bed() {
			return false
		}
		sum += l.net(s)
	}
	if l.order == playlists.Shuffle {
		return sum >= leastPlayed
	}
	return sum >= leastPlayed && sum <= l.nominal-l.at
}

// shuffled is a seeded order of the sources, the least heard first.
func (st *stretch) shuffled() []source {
	q := slices.Clone(st.sources)
	r := rand.New(rand.NewPCG(st.seed, 0x726f6f6d64))
	r.Shuffle(len(q), func(i, j int) { q[i], q[j] = q[j], q[i] })
	slices.SortStableFunc(q, func(a, b source) int { return st.heard[a.item] - st.heard[b.item] })
	return q
}

// subset is the subset of the sources, in order, whose last ending comes nearest to the nominal end: subset-sum
// by dynamic programming over a grid of 100 ms, one bit set for each source.
func (st *stretch) subset() []source {
	start := st.begin
	var first time.Duration // the first track of all has no overlap before it
	if st.carry != nil && st.carry.End != 0 {
		start = st.carry.End
	} else {
		first = st.crossfade
	}
	room := st.nominal - start - first
	beds := 0 // each is heard too, so it gets its least time first
	for _, s := range st.sources {
		if s.bed() {
			beds++
			room -= leastBed
		}
	}
	if beds > 0 && room <= 0 {
		return slices.DeleteFunc(slices.Clone(st.sources), func(s source) bool { return !s.bed() })
	}
	if room <= 0 || len(st.sources) == 0 {
		return nil
	}
	top := int((room+st.flex)/fitGrid) + 1
	words := top/64 + 1
	net := func(s source) int {
		return int((st.net(s) + fitGrid/2) / fitGrid)
	}
	reach := make([][]uint64, len(st.sources)+1) // reach[k]: sums of subsets of the first k sources
	reach[0] = make([]uint64, words)
	reach[0][0] = 1
	for k, s := range st.sources {
		cur := slices.Clone(reach[k])
		if n := net(s); n > 0 && !s.bed() {
			orShifted(cur, reach[k], n)
		}
		reach[k+1] = cur
	}
	want := int(room / fitGrid)
	best, dist := -1, math.MaxInt
	for w, word := range reach[len(st.sources)] {
		for word != 0 {
			v := w*64 + bits.TrailingZeros64(word)
			word &= word - 1
			if v >= top {
				continue
			}
			if d := max(want-v, v-want); d < dist || d == dist && v < best {
				best, dist = v, d
			}
		}
	}
	// Beyond flex the rest is the bed's: then the nearest sum below the end is the better one, as nothing is cut.
	if (beds > 0 || time.Duration(dist)*fitGrid > st.flex) && best > want {
		for v := want; v >= 0; v-- {
			if reach[len(st.sources)][v/64]>>(v%64)&1 == 1 {
				best = v
				break
			}
		}
	}
	var pick []source
	for k := len(st.sources) - 1; k >= 0; k-- {
		if st.sources[k].bed() {
			pick = append(pick, st.sources[k])
			continue
		}
		if reach[k][best/64]>>(best%64)&1 == 1 {
			continue // reached without it: later tracks are dropped first
		}
		pick = append(pick, st.sources[k])
		best -= net(st.sources[k])
	}
	slices.Reverse(pick)
	return pick
}

// orShifted sets dst |= src << n.
func orShifted(dst, src []uint64, n int) {
	w, b := n/64, uint(n%64)
	for i := len(dst) - 1; i >= w; i-- {
		v := src[i-w] << b
		if b > 0 && i-w-1 >= 0 {
			v |= src[i-w-1] >> (64 - b)
		}
		dst[i] |= v
	}
}
