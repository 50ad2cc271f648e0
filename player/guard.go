package player

import (
	"math"

	"roomd/player/loudness"
)

// What the guard holds, each a little inside what is promised.
const (
	overTarget = 6.0   // LU that a moment may be over the target
	overBefore = 8.0   // LU that it may be over the loudest moment of the 5 s before it
	underFloor = -12.0 // LU against the target that those 5 s count for at least
	guardInner = 0.1   // LU that the guard stays inside of these
	guardRise  = 4.0   // dB a second that it lets go at, at least
	overPeaks  = 14.0  // dB that a sudden peak may be over the peak of the 5 s before it
	peakFloor  = -14.0 // dB against the target that those peaks count for at least, in dBFS
)

// Guard is the last stage before the output: whatever comes in, what goes out does not startle. It holds
//
//   - the true peak at -1 dBTP (see limiter);
//   - each moment (EBU R128 momentary loudness, 400 ms) at 6 LU over the target at most, and at 8 LU over the loudest moment of
//     the 5 s before it, where target - 12 LU counts if those were softer;
//   - each moment at the ceiling at most, whatever the target;
//   - what comes at once, within a tenth of a second, at 14 dB over the peak of the 5 s before it, where target - 14 dBFS
//     counts if that was lower: a click, a scratch, a plug that is pulled (see limiter);
//   - no DC and no infrasound (see dcBlocker).
//
// What keeps all this goes through with its very bits, guardDelay frames later. Out of silence the first 400 ms are held at target - 4 LU,
// and then what follows may be 8 LU louder.
//
// How a window of 400 ms is held with a look-ahead of 70: sound is taken in hops of 5 ms, and a hop is let in at a gain
// with which every window that ends with it keeps its limit, given what has gone out. That alone would let a sudden
// sound spend a window's energy in its first moments and leave a hole; so once the guard acts it also asks
// what the rest of the window would hold if the sound went on as the look-ahead hears it. The gain then goes down evenly in dB, to
// be there when the sound is. It comes back at 4 dB a second, and faster from more than 8 dB down.
//
// The history is what went out: measured, not predicted. A Guard belongs to the loop.
type Guard struct {
	rate, hop int
	window    int // hops that any window of 400 ms touches
	inside    int // hops that lie inside of any such window
	bucket    int // hops that hold at least one moment of any 100 ms grid
	memory    int // hops of 5 s, a little less

	target, ceiling float64 // LUFS
	limits          limits  // of target and ceiling
	w               loudness.Weighting
	in              int64        // hops that came in
	fill            int          // frames of coming
	coming          [][2]float64 // the hop being filled
	audio           [slots][][2]float64
	out             [][2]float64 // the hop being handed on
	heard           [slots]loudness.Weighting
	peaks           [slots]float64

	// By hop, as rings.
	energy [hops]float64 // K-weighted, as it came in
	spent  [hops]float64 // as it goes out: measured where it has gone out, bounded before
	most   [hops]float64 // gain that it may have
	gain   float64       // at the end of the last hop that got one
	budget float64       // energy of a window, as of the last hop

	dc      dcBlocker
	first   *limiter // of what is sudden, so that the loudness is not held down for it
	limiter *limiter
	changed [slots]bool // the hop's bits are not what came in

	// What went out.
	follows  bool // outW runs; else it would be as w was
	outW     loudness.Weighting
	calm     int // hops that went out as they came in
	least    float64
	moments  int // in least
	buckets  [buckets]float64
	peak     float64 // in the bucket that is being filled
	tops     [buckets]float64
	nBuckets int64
}

const (
	guardAhead = 14  // hops of look-ahead: 70 ms
	slots      = 32  // hops under way, a power of two
	hops       = 128 // more than window + those under way, a power of two
	buckets    = 64
	sustained  = 5 // hops: what lasts so long is no click
)

// limits are the target's and the ceiling's as powers.
type limits struct{ floor, target, ceiling, peak float64 }

// NewGuard is a guard at rest, after silence. target and ceiling are in LUFS; rate is 8000 to 192000 Hz.
func NewGuard(rate int, target, ceiling float64) *Guard {
	hop := hopOf(rate)
	wide := 0.4 * float64(rate) / float64(hop)
	g := &Guard{
		rate: rate, hop: hop,
		window: int(math.Ceil(wide)) + 1, inside: int(wide) - 1,
		bucket:  int(math.Ceil(0.1 * float64(rate) / float64(hop))),
		memory:  int(4.9 * float64(rate) / float64(hop)),
		ceiling: ceiling,
		w:       loudness.NewWeighting(rate), gain: 1, least: math.Inf(1),
		out: make([][2]float64, hop), dc: newDCBlocker(rate, hop), coming: make([][2]float64, hop),
		first: newLimiter(rate, hop, math.Inf(1)), limiter: newLimiter(rate, hop, linear(peakCeiling)),
	}
	for i := range g.audio {
		g.audio[i] = make([][2]float64, hop)
	}
	for i := range g.most {
		g.most[i] = 1
	}
	g.target = math.NaN()
	g.SetTarget(target)
	return g
}

// hopOf is how many frames a hop has.
func hopOf(rate int) int { return (rate + 100) / 200 }

// guardDelay is how many frames later a frame goes out of a guard: 95 ms, always.
func guardDelay(rate int) int { return hopOf(rate) * (1 + guardAhead + 2*limiterHops) }

// SetTarget sets the target for the frames that come in from now on. A lower one counts for every moment from then
// on, so that an abrupt one is met by an abrupt fall: let it glide ahead of where it is due.
func (g *Guard) SetTarget(lufs float64) {
	if lufs == g.target || math.IsNaN(lufs) {
		return
	}
	g.target = lufs
	g.limits = limits{
		floor:   loudness.Power(lufs + underFloor),
		target:  loudness.Power(lufs + overTarget - guardInner),
		ceiling: loudness.Power(g.ceiling - guardInner),
		peak:    linear(lufs + peakFloor),
	}
}

// Reset forgets what is under way and what was heard: from now on it is after silence.
func (g *Guard) Reset() { *g = *NewGuard(g.rate, g.target, g.ceiling) }

// Process lets block in and puts what goes out in its place. It does not allocate.
func (g *Guard) Process(block [][2]float64) {
	for len(block) > 0 {
		in := g.coming[g.fill:]
		n := min(len(in), len(block))
		copy(in, block[:n])
		copy(block[:n], g.out[g.fill:])
		g.fill += n
		block = block[n:]
		if g.fill == g.hop {
			g.fill = 0
			g.turn()
		}
	}
}

// turn takes in the hop that is full and makes the next one to go out.
func (g *Guard) turn() {
	k := g.in
	g.in++
	peak := loudness.Peak(g.coming)
	if !(peak <= absurd) {
		peak = mend(g.coming)
	}
	in := g.audio[k&(slots-1)]
	g.first.process(g.coming, peak, g.sudden(k)/g.most[(k-1)&(hops-1)], in)
	g.peaks[k&(slots-1)] = loudness.Peak(in)
	g.heard[k&(slots-1)] = g.w
	g.energy[k&(hops-1)] = g.w.Energy(in)
	g.dc.listen(in)
	g.admit(k)

	o := k - guardAhead
	g.apply(o)
	held := g.limiter.process(g.audio[o&(slots-1)], g.peaks[o&(slots-1)]*g.most[o&(hops-1)], g.sudden(o), g.out)
	g.measure(o-limiterHops, held)
}

// absurd is a magnitude that no music has: 60 dB over full scale.
const absurd = 1000

// mend makes numbers of what is none and returns the peak.
func mend(frames [][2]float64) (peak float64) {
	for i := range frames {
		for ch := range 2 {
			s := frames[i][ch]
			if math.IsNaN(s) {
				s = 0
			}
			frames[i][ch] = max(-absurd, min(s, absurd))
		}
	}
	return loudness.Peak(frames)
}

// admit decides how loud hop k may be, by what the windows that end with it hold.
func (g *Guard) admit(k int64) {
	most := g.most[(k-1)&(hops-1)]
	if most < 1 {
		// From far down it comes back faster: in about 2 s to half of that in dB.
		speed := max(guardRise, -20*math.Log10(most)/2)
		most = min(1, most*linear(speed*float64(g.hop)/float64(g.rate)))
	}
	e := g.energy[k&(hops-1)]
	o := k - guardAhead // gets its gain now; its start is bound to the last one's end

	var gone, ahead float64 // of the window that ends with hop k, without k
	for j := k - int64(g.window) + 1; j <= o; j++ {
		gone += g.spent[j&(hops-1)]
	}
	for j := o + 1; j < k; j++ {
		ahead += g.spent[j&(hops-1)]
	}
	limit := g.limit(k)
	budget := limit * 0.4 * float64(g.rate)
	share := math.Inf(1)
	if gone+ahead > budget && g.budget > budget {
		// The limit has fallen below what has gone out under an earlier one, which counts until that is
		// 400 ms ago. What comes now keeps the new one by itself.
		share = limit * float64(g.hop)
		budget = g.budget
	}
	g.budget = budget
	if most*most*e > share {
		most = math.Sqrt(share / e)
	}
	g.most[k&(hops-1)] = most
	g.spent[k&(hops-1)] = most * most * e
	if total := gone + ahead + g.spent[k&(hops-1)]; total > budget {
		g.lower(o, k, gone, budget)
	}
	if g.most[k&(hops-1)] < 1 {
		g.sustain(o, k, budget)
	}
}

// lower takes hops down, from the first loud one of the look-ahead on, until the window that ends with hop k keeps its budget.
func (g *Guard) lower(o, k int64, gone, budget float64) {
	var loudest float64
	for j := o + 1; j <= k; j++ {
		loudest = max(loudest, g.spent[j&(hops-1)])
	}
	left := budget - gone
	first := o + 1
	for g.spent[first&(hops-1)] < loudest/4 {
		left -= g.spent[first&(hops-1)]
		first++
	}
	for first > o+1 && left <= 0 {
		first--
		left += g.spent[first&(hops-1)]
	}
	var e float64
	for j := first; j <= k; j++ {
		e += g.energy[j&(hops-1)]
	}
	g.hold(first, k, math.Sqrt(max(left, 0)/e))
}

// hold takes hops first to k down to a gain.
func (g *Guard) hold(first, k int64, gain float64) {
	gain = max(gain, faintest)
	for j := first; j <= k; j++ {
		if g.most[j&(hops-1)] > gain {
			g.most[j&(hops-1)] = gain
			g.spent[j&(hops-1)] = gain * gain * g.energy[j&(hops-1)]
		}
	}
}

// faintest is as far down as the guard goes: -100 dB.
const faintest = 1e-5

// sustain asks what the windows to come would hold if the sound went on as the last hops are, and takes the
// look-ahead down so far that they keep their budget with one gain.
func (g *Guard) sustain(o, k int64, budget float64) {
	var last, loudest float64
	for j := k - sustained + 1; j <= k; j++ {
		last += g.energy[j&(hops-1)] / sustained
	}
	first := o + 3 // so that it is no click by itself
	for j := first; j <= k; j++ {
		loudest = max(loudest, g.energy[j&(hops-1)])
	}
	for g.energy[first&(hops-1)] < loudest/4 {
		first++
	}
	if first > k-sustained || last == 0 {
		return // not yet known to last
	}
	var before, during float64
	for j := k - int64(g.window) + 1; j < first; j++ {
		before += g.spent[j&(hops-1)]
	}
	for j := first; j <= k; j++ {
		during += g.energy[j&(hops-1)]
	}
	gain := math.Inf(1) // squared
	for j := k - int64(g.window) + 1; j < first; j++ {
		gain = min(gain, max(budget-before, 0)/during)
		before -= g.spent[j&(hops-1)]
		during += last
	}
	gain = min(gain, max(budget-before, 0)/during)
	g.hold(first, k, math.Sqrt(gain))
}

// limit is the mean power that a window which ends with hop k may have.
func (g *Guard) limit(k int64) float64 {
	before := g.limits.floor
	// A bucket counts for every window that holds hop k: all of it ends before they begin, and none of it is
	// older than 5 s when they end.
	n := int64(g.bucket)
	oldest := k + int64(g.window) - int64(g.memory)
	for b := min(g.nBuckets, (k-int64(g.window))/n) - 1; b >= 0 && b*n >= oldest; b-- {
		before = max(before, g.buckets[b&(buckets-1)])
	}
	return min(g.limits.target, before*overBeforePower, g.limits.ceiling)
}

var overBeforePower = math.Pow(10, (overBefore-guardInner)/10)

// apply gives hop o its gain: from where the last one ended, towards the lowest that is ahead.
func (g *Guard) apply(o int64) {
	slot := o & (slots - 1)
	a := g.gain
	b := min(1, g.most[o&(hops-1)], g.most[(o+1)&(hops-1)])
	for j := o + 2; j <= o+guardAhead; j++ {
		if m := g.most[j&(hops-1)]; m < a {
			b = min(b, a*math.Pow(m/a, 1/float64(j-o)))
		}
	}
	g.gain = b
	audio := g.audio[slot]
	g.changed[slot] = a != 1 || b != 1
	top := max(a, b)
	g.most[o&(hops-1)] = top
	g.spent[o&(hops-1)] = top * top * g.energy[o&(hops-1)]
	if g.dc.process(audio) {
		g.peaks[slot] = loudness.Peak(audio)
		defer func() { g.changed[slot] = true }()
	}
	if !g.changed[slot] {
		return
	}
	step := (b - a) / float64(len(audio))
	for i := range audio {
		a += step
		audio[i][0] *= a
		audio[i][1] *= a
	}
}

// measure books hop h, which is in out and goes out next. held says that the limiter has changed it.
func (g *Guard) measure(h int64, held bool) {
	if h < 0 {
		return
	}
	e := g.energy[h&(hops-1)]
	as := !held && !g.changed[h&(slots-1)]
	switch {
	case as && !g.follows:
	case !g.follows:
		g.follows, g.outW = true, g.heard[h&(slots-1)]
		fallthrough
	default:
		e = g.outW.Energy(g.out)
		g.calm++
		if !as {
			g.calm = 0
		}
		// By now the two filters are as good as one.
		g.follows = g.calm < 100
	}
	g.spent[h&(hops-1)] = e

	var sum float64
	for j := h - int64(g.inside) + 1; j <= h; j++ {
		sum += g.spent[j&(hops-1)]
	}
	g.least = min(g.least, sum/(0.4*float64(g.rate)))
	g.peak = max(g.peak, loudness.Peak(g.out))
	if g.moments++; g.moments == g.bucket {
		g.buckets[g.nBuckets&(buckets-1)] = g.least
		g.tops[g.nBuckets&(buckets-1)] = g.peak
		g.nBuckets++
		g.least, g.peak, g.moments = math.Inf(1), 0, 0
	}
}

// sudden is the peak that hop h may have, by what went out in the 5 s before it. The last tenth of a second does not count,
// or a scratch would open the way for its own second half.
func (g *Guard) sudden(h int64) float64 {
	before := g.limits.peak
	n := int64(g.bucket)
	oldest := h - int64(g.memory)
	for b := min(g.nBuckets, h/n-1) - 1; b >= 0 && b*n >= oldest; b-- {
		before = max(before, g.tops[b&(buckets-1)])
	}
	return before * overPeaksGain
}

var overPeaksGain = linear(overPeaks)
