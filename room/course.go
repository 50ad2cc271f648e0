package room

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// course lays a pool: it searches for the order of sources whose intensity stays closest to the one that is asked for. What counts,
// in this order:
//
//   - No source comes twice in a session while another is left. In a pool of beds alone none follows itself.
//   - The phase ends on a piece's own ending, within flex. That is worth landing in intensity, on average over the stretch.
//   - The mean distance between asked and laid intensity over time is small.
//   - Among equals what was heard in this room before is left out, or comes later, and the seed decides.
//
// It searches forward in time over a grid, and keeps the best few ways to reach each cell of it. A way's cost is exact; only
// ways that were worse than others at the same place are given up.
const (
	assumedIntensity = 3.0             // of a source of which nothing is known
	bedPiece         = 6 * time.Minute // of a bed in a pool, which has no length of its own
	landing          = 0.12            // intensity
	heardBefore      = 0.06
	chance           = 0.03

	courseStep   = 5 * time.Second  // of the asked line
	courseCell   = 15 * time.Second // of the grid; less in a short stretch, and more in a long one
	courseChoice = 20               // sources of each half of intensity, for different lengths
	courseTen    = 10               // intensities are rounded to a tenth for the search
)

// line is the intensity that is asked for at a session time, 1 to 5. A nil line asks for none.
type line func(at time.Duration) float64

// asked is the intensity that phase i asks for over its planned length; nil: it asks for none.
func (s *Session) asked(i int) line {
	course, sp := s.phase(i).Course, s.Spans[i]
	if course == nil {
		return nil
	}
	return func(at time.Duration) float64 {
		x := 0.0
		if sp.Nominal > sp.Start {
			x = min(max(float64(at-sp.Start)/float64(sp.Nominal-sp.Start), 0), 1)
		}
		return course.From + (course.To-course.From)*x
	}
}

// playedOf is how often each item of phase i was heard in this session, or is to be in what is laid before it: a track in any phase, a
// bed in this one.
func (s *Session) playedOf(i int, kept []placed) map[int]int {
	tracks, beds := map[string]int{}, map[int]int{}
	for _, p := range s.past {
		if !p.undone {
			tracks[p.file]++
		}
	}
	for _, p := range kept {
		if file := s.heardAs(p); file != "" {
			tracks[file]++
		} else if p.Phase == i {
			beds[p.Item]++
		}
	}
	out := map[int]int{}
	for k, it := range s.phase(i).Music {
		if it.Track != nil {
			out[k] = tracks[heardAs(it.Track)]
		} else {
			out[k] = beds[k]
		}
	}
	return out
}

// rating is the intensity that a source counts as.
func (s source) rating() float64 {
	if s.intensity == 0 {
		return assumedIntensity
	}
	return s.intensity
}

// course is an order of the sources that follows the line to the phase's end, each with the length that it plays. The same stretch
// gives the same order.
func (st stretch) course() []source {
	start, last, own := st.begin, time.Duration(0), false
	lastItem := -1
	if c := st.carry; c != nil {
		lastItem, last = c.Item, c.End-c.Start
		switch {
		case c.End != 0:
			start, own = c.End, !c.Cut
		default:
			start = st.begin + st.crossfade
			last = start - c.Start
		}
	}
	if start >= st.nominal || own && start >= st.nominal-st.flex {
		return nil
	}
	st.begin, st.since = start, max(st.since, start-sinceFar)
	first := way{at: start, last: last, own: own, item: lastItem, from: -1, source: -1}
	return courses.get(st.key(first), func() []source { return st.search(first) })
}

// search is course from the first way on.
func (st stretch) search(first way) []source {
	pool := st.candidates()
	if len(pool) == 0 {
		return nil
	}
	c := &courser{stretch: st, pool: pool, start: first.at, span: st.nominal - first.at, carried: st.carry != nil}
	c.beds = !slices.ContainsFunc(pool, func(s candidate) bool { return !s.endless })
	c.cell = max(min(courseCell, c.span/100), c.span/400, time.Millisecond)
	c.width = min(max(600/len(pool), 3), 64)
	c.integrate()
	return c.best(first)
}

// candidates are the sources that the search looks at: for each half of intensity those heard least, enough of them to fill the
// stretch twice and to choose from.
func (st stretch) candidates() []candidate {
	all := make([]candidate, 0, len(st.sources))
	most := 0
	for _, s := range st.sources {
		most = max(most, st.heard[s.item])
	}
	for k, s := range st.sources {
		if s.bed() {
			s.length = bedPiece
		}
		c := candidate{source: s, endless: st.sources[k].bed(), played: st.played[s.item], heard: st.heard[s.item], net: st.net(s), tenth: int(math.Round(s.rating() * courseTen))}
		c.tenth = min(max(c.tenth, courseTen), 5*courseTen)
		c.mark = mix(st.seed, uint64(s.item))
		c.luck = int64(c.mark % 1000)
		// Thousandths of intensity.
		c.dear = int64(chance*1000)*c.luck/1000 + int64(1000*heardBefore)*int64(c.heard)/int64(max(most, 1))
		if c.net > 0 {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(a.played-b.played, cmp.Compare(a.dear, b.dear), a.item-b.item)
	})
	enough := 2 * (st.nominal - st.begin)
	var filled [9]struct {
		net time.Duration
		n   int
	}
	out := all[:0]
	for _, c := range all {
		if in := &filled[2*c.tenth/courseTen-2]; in.net < enough || in.n < courseChoice {
			in.net += c.net
			in.n++
			out = append(out, c)
		}
	}
	return out
}

// candidate is a source as the search sees it.
type candidate struct {
	source
	net     time.Duration
	endless bool // a bed
	played  int  // in this session
	heard   int  // in sessions before
	tenth   int  // its intensity, in tenths
	luck    int64
	mark    uint64
	dear    int64 // what using it costs, in thousandths of intensity over its length
}

// mix is a number that follows from two others and looks like chance.
func mix(a, b uint64) uint64 {
	x := a*0x9e3779b97f4a7c15 + b*0xbf58476d1ce4e5b9 + 0x94d049bb133111eb
	x ^= x >> 31
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

// courser is one search.
type courser struct {
	stretch
	pool    []candidate
	start   time.Duration
	span    time.Duration
	cell    time.Duration
	width   int // ways that are kept in a cell
	carried bool
	beds    bool // there are no tracks

	asked [][]int64 // by tenth of intensity: the summed distance up to each step, in thousandths × ms
	ways  []way
	cells [][]int // indices of ways, by cell of at; the cheapest first
	used  []int   // of each candidate on the way that is looked at
}

// way is a way to a time: the candidates that led there.
type way struct {
	at     time.Duration
	last   time.Duration // length of the last piece
	own    bool          // it ended on its own ending
	item   int           // of the last piece
	source int           // the candidate; -1: none yet
	from   int           // the way before; -1: none
	cost   int64         // thousandths of intensity × ms
	set    uint64        // tells the set of candidates from others
}

// integrate prepares the distance between the line and each intensity, so that a piece's is a subtraction.
func (c *courser) integrate() {
	steps := int((c.span+c.flex)/courseStep) + 2
	c.asked = make([][]int64, 5*courseTen+1)
	if c.line == nil {
		return
	}
	want := make([]int64, steps)
	for k := range want {
		want[k] = int64(math.Round(1000 * c.line(c.start+time.Duration(k)*courseStep+courseStep/2)))
	}
	for tenth := courseTen; tenth <= 5*courseTen; tenth++ {
		sum := make([]int64, steps+1)
		for k, w := range want {
			d := w - int64(tenth)*(1000/courseTen)
			sum[k+1] = sum[k] + max(d, -d)*courseStep.Milliseconds()
		}
		c.asked[tenth] = sum
	}
}

// sum is the distance between the line and an intensity, from the start to a time.
func (c *courser) sum(tenth int, at time.Duration) int64 {
	sum := c.asked[tenth]
	if sum == nil {
		return 0
	}
	k := min(max(int((at-c.start)/courseStep), 0), len(sum)-2)
	rest := (at - c.start - time.Duration(k)*courseStep).Milliseconds()
	return sum[k] + (sum[k+1]-sum[k])*rest/courseStep.Milliseconds()
}

// overlapWith is the crossfade of a candidate with the way's last piece, as layer.overlap has it.
func (c *courser) overlapWith(w *way, s *candidate) time.Duration {
	if w.source < 0 && !c.carried || s.joined && w.item == s.item-1 && w.own {
		return 0
	}
	return max(0, min(s.crossfade(c.crossfade), w.last/2, w.at-c.since, s.length/2))
}

// best searches all ways from the first, and returns the sources of the cheapest.
func (c *courser) best(first way) []source {
	c.used = make([]int, len(c.pool))
	c.ways = append(c.ways, first)
	c.cells = [][]int{{0}}
	var whole time.Duration
	for _, s := range c.pool {
		whole += s.net
	}
	end, least := -1, math.Inf(1)
	ends := func(k int, cost int64, over time.Duration, more float64) {
		if mean := float64(cost)/float64(over.Milliseconds()+1) + more; mean < least {
			end, least = k, mean
		}
	}
	const missed = 1000 * landing
	for cell := 0; cell < len(c.cells); cell++ {
		for _, k := range c.cells[cell] {
			w := c.ways[k]
			late := w.at - c.nominal
			switch {
			case w.own && late.Abs() <= c.flex:
				ends(k, w.cost, w.at-c.start, 100*float64(late.Abs())/float64(c.span))
				continue
			case late >= 0: // cut at the nominal end
				ends(k, w.cost, c.span, missed)
				continue
			}
			fewest := c.recall(k)
			again := whole >= leastPlayed
			extended := false
			for i := range c.pool {
				s := &c.pool[i]
				if !c.beds && s.played+c.used[i] > fewest || c.used[i] > 0 && !again || s.item == w.item && len(c.pool) > 1 {
					continue
				}
				if c.extend(k, cell, i) {
					extended = true
				}
			}
			if !extended { // the bed covers what is left
				const three = assumedIntensity * courseTen
				ends(k, w.cost+c.sum(three, c.nominal)-c.sum(three, w.at), c.span, missed+1000*chance)
			}
		}
	}
	var out []source
	for k := end; c.ways[k].source >= 0; k = c.ways[k].from {
		out = append(out, c.pool[c.ways[k].source].source)
	}
	slices.Reverse(out)
	return out
}

// recall counts what a way has used. It returns how often what was played least was, its last piece aside.
func (c *courser) recall(k int) int {
	clear(c.used)
	item := c.ways[k].item
	for ; c.ways[k].source >= 0; k = c.ways[k].from {
		c.used[c.ways[k].source]++
	}
	fewest := math.MaxInt
	for i, s := range c.pool {
		if s.item != item || len(c.pool) == 1 {
			fewest = min(fewest, s.played+c.used[i])
		}
	}
	return fewest
}

// extend adds candidate i to way k. It is false where too little of it would be heard.
func (c *courser) extend(k, cell, i int) bool {
	w, s := &c.ways[k], &c.pool[i]
	begin := w.at - c.overlapWith(w, s)
	n := way{at: begin + s.length, last: s.length, own: true, item: s.item, source: i, from: k, set: w.set + s.mark}
	if n.at-c.nominal > c.flex {
		if c.nominal-begin < leastPlayed {
			return false
		}
		n.at, n.own = c.nominal, false
	}
	// What was heard before comes later: it costs more at the beginning.
	span, passed, more := c.span.Milliseconds(), (w.at - c.start).Milliseconds(), (n.at - w.at).Milliseconds()
	n.cost = w.cost + c.sum(s.tenth, n.at) - c.sum(s.tenth, w.at) + s.dear*more*(2*span-passed)/(2*span)
	c.keep(n, max(cell+1, int((n.at-c.start)/c.cell)))
	return true
}

// keep puts a way into a cell, if it is one of the best there. Of two that used the same sources, the same one last, the cheaper is kept.
func (c *courser) keep(n way, cell int) {
	for len(c.cells) <= cell {
		c.cells = append(c.cells, nil)
	}
	in := c.cells[cell]
	if len(in) == c.width && c.ways[in[len(in)-1]].cost <= n.cost {
		return
	}
	at := len(in)
	for k, o := range in {
		if w := &c.ways[o]; w.cost <= n.cost && w.set == n.set && w.item == n.item {
			return
		} else if w.cost > n.cost {
			at = k
			break
		}
	}
	c.ways = append(c.ways, n)
	in = slices.Insert(in, at, len(c.ways)-1)
	for k := at + 1; k < len(in); k++ {
		if w := &c.ways[in[k]]; w.set == n.set && w.item == n.item {
			in = slices.Delete(in, k, k+1)
			break
		}
	}
	c.cells[cell] = in[:min(len(in), c.width)]
}
