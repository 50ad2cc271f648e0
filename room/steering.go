package room

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"roomd/playlists"
)

// Steering: in a phase with a pool a person asks for other music than the phase's course would lay. What was asked comes after
// the piece that plays, or at once with Bring. The rest of the phase is laid anew from what was not heard; the phase's planned
// end stays.

const (
	steerCross = 30 * time.Second // the crossfade of a piece that leaves early for what was asked
	steerWait  = time.Minute      // a bed, or a piece that would last to the phase's end, leaves this long after the tap
	steerLeast = time.Minute      // what was asked has at least this much of the phase left
	steerSoon  = 5 * time.Second  // what comes within it can't be brought sooner
	softRise   = 10 * time.Second // the least fade-in out of a silence that was asked for

	mostIntensity = 5.0
)

// asking is what a person has asked of the rest of a phase. It stays in the record.
type asking struct {
	id     string // of the command
	do     Verb
	name   string        // Choose: the word
	phase  int           // in which it was asked
	at     time.Duration // of the tap
	begins time.Duration // when it comes, as things stood at the tap
	since  time.Duration // what begins later in the phase was laid for it
	over   string        // the piece that played at the tap
	leave  time.Duration // when that piece begins to leave; 0: it plays to its own end
	now    bool          // it was brought at once
	item   int           // the first piece laid for it, in the phase's music; -1: silence
	offset float64       // of the rest of the phase to its course
	want   float64       // the intensity that was asked; 0: none, but the course's
	word   string        // the word in force; empty: the whole pool
	still  bool          // the word stands for silence
	passed []int         // items that were passed over
}

// steered is what the present phase's music follows; nil: its course alone.
func (s *Session) steered() *asking {
	if n := len(s.Asked); n > 0 && s.Asked[n-1].phase == s.Current {
		return &s.Asked[n-1]
	}
	return nil
}

// first is the piece that was laid first for a, among pieces of one session; nil: none. It lies behind the one that played at the tap,
// as one that was skipped in the same moment does not.
func (a *asking) first(pieces []placed) *placed {
	after := slices.IndexFunc(pieces, func(p placed) bool { return p.ID == a.over }) + 1
	for k := range pieces[after:] {
		if p := &pieces[after+k]; p.Phase == a.phase && p.Start > a.since {
			return p
		}
	}
	return nil
}

// begins is the session time at which what was asked begins, as things stand.
func (s *Session) begins(a *asking) time.Duration {
	switch p := a.first(s.Pieces); {
	case a.still:
		if k := slices.IndexFunc(s.Pieces, func(p placed) bool { return p.ID == a.over }); k >= 0 && !a.now {
			return s.Pieces[k].End - s.Pieces[k].fadeOut
		}
		return a.since + 1
	case p != nil:
		return p.Start
	}
	return forever
}

// pooled reports whether a person can steer phase i.
func (s *Session) pooled(i int) bool { return s.phase(i).Order == playlists.Pooled && !s.silent(i) }

// line is the intensity that is asked of phase i, with what a person has asked of it; nil: none.
func (s *Session) line(i int) line {
	if a := s.steered(); a != nil && i == s.Current && a.want > 0 {
		return s.moved(i, a.offset)
	}
	return s.asked(i)
}

// moved is phase i's course, moved by an offset. A phase without a course counts as level.
func (s *Session) moved(i int, offset float64) line {
	course := s.asked(i)
	return func(at time.Duration) float64 {
		is := assumedIntensity
		if course != nil {
			is = course(at)
		}
		return min(max(is+offset, 1), mostIntensity)
	}
}

// present is the piece of the present phase that was begun last and goes on, or nil.
func (s *Session) present(now time.Duration) *placed {
	for k := len(s.Pieces) - 1; k >= 0; k-- {
		if p := &s.Pieces[k]; p.Phase == s.Current && p.Start <= now && now < p.End && !p.left {
			return p
		}
	}
	return nil
}

// intensity is a piece's; 0: not known.
func (s *Session) intensity(p *placed) float64 {
	if p == nil || p.Item < 0 {
		return 0
	}
	return s.phase(p.Phase).Music[p.Item].Rating()
}

// option is a piece of the present phase's pool that can come: a bed, or a track that was not heard in this session.
type option struct {
	item      int
	intensity float64
	before    int  // how often it was heard, above all in this session
	fits      bool // it ends within the phase
	rank      int  // in a seeded order
}

// options are the pieces of the present phase's pool that can still come, where the next begins at a session time.
func (s *Session) options(now, at time.Duration) []option {
	ph := s.phase(s.Current)
	begun := slices.DeleteFunc(slices.Clone(s.Pieces), func(p placed) bool { return p.Start > now })
	played := s.playedOf(s.Current, begun)
	p := s.present(now)
	left := s.ends(now) + s.flex(s.Current) - at
	rank := rand.New(rand.NewPCG(s.Begin.Seed+uint64(s.Current), 0x737465657273)).Perm(len(ph.Music))
	var out []option
	for k, it := range ph.Music {
		length := lengthOf(it)
		if length <= 0 || played[k] > 0 && it.Bed == "" || it.Track != nil && it.Track.Problem != "" || p != nil && p.Item == k || s.failed[[2]int{s.Current, k}] {
			continue
		}
		c := option{item: k, intensity: cmp.Or(it.Rating(), assumedIntensity), fits: length <= left, rank: rank[k], before: played[k] * thisSession}
		if it.Track != nil {
			c.before += s.Begin.Heard[heardAs(it.Track)]
		}
		out = append(out, c)
	}
	return out
}

// ends is where the present phase is planned to end, or how far an open one is laid.
func (s *Session) ends(now time.Duration) time.Duration {
	sp := s.Spans[s.Current]
	if sp.open() {
		return max(sp.Nominal, now) + openFor
	}
	return sp.Nominal
}

// nearest is the option nearest to an intensity, to the half: of several one that fits, then the one heard least.
func nearest(cs []option, want float64) option {
	far := func(c option) int {
		d := c.intensity - want
		return int(max(d, -d)*2 + 0.5)
	}
	return slices.MinFunc(cs, func(a, b option) int {
		late := func(c option) int {
			if c.fits {
				return 0
			}
			return 1
		}
		return cmp.Or(far(a)-far(b), late(a)-late(b), a.before-b.before, a.rank-b.rank)
	})
}

// ask is what a tap would ask at session time now, or why nothing can come of it. all gives the options.
func (s *Session) ask(do Verb, name string, now time.Duration, all func(now, at time.Duration) []option) (asking, *Refused) {
	ph := s.phase(s.Current)
	if !s.pooled(s.Current) {
		return asking{}, Refuse("no-pool", "phase", ph.Name)
	}
	a := asking{do: do, name: name, phase: s.Current, at: now, since: now - 1}
	was, pending := s.steered(), false
	if was != nil {
		pending = s.begins(was) > now
		a.passed = slices.Clone(was.passed)
	}
	end := s.ends(now)
	p := s.present(now)
	begins := now
	switch {
	case p == nil:
	case !p.Cut && p.natural > 0 && p.natural <= end-steerLeast && (was == nil || !pending || was.leave == 0):
		begins = p.natural - min(ph.Crossfade, (p.natural-p.Start)/2)
	default:
		a.leave = now + steerWait
		if pending && was.leave > now {
			a.leave = was.leave
		}
		begins = a.leave
	}
	if begins > end-steerLeast {
		return asking{}, Refuse("steer-ends", "phase", ph.Name)
	}
	a.begins = begins
	if p != nil {
		a.over = p.ID
	}
	var choice *playlists.Choice
	if do == Choose {
		k := slices.IndexFunc(ph.Menu, func(c playlists.Choice) bool { return c.Name == name })
		if k < 0 {
			return asking{}, Refuse("unknown-word", "phase", ph.Name, "name", name).Of("name")
		}
		choice = &ph.Menu[k]
		if was != nil && was.word == name && (was.do == Choose || choice.Silence) {
			return asking{}, Refuse("word-already", "name", name)
		}
		a.word = name
		if choice.Silence {
			if p != nil && a.leave == 0 {
				a.begins = p.natural
				if s.midSound(*p) {
					a.begins -= min(cmp.Or(s.Spans[s.Current].Fade, ph.Crossfade), p.natural-p.Start)
				}
			}
			a.still, a.item = true, -1
			return a, nil
		}
	}
	sounds := s.sounds(p, now)
	pick := func(ok func(option) bool) []option {
		return slices.DeleteFunc(slices.Clone(all(now, begins)), func(c option) bool { return !ok(c) })
	}
	var from []option
	course := s.moved(s.Current, 0)(begins)
	want := course
	switch do {
	case Deeper:
		a.want = min(sounds+1, mostIntensity)
		from = pick(func(c option) bool { return c.intensity >= sounds+0.5 })
	case Lighter:
		a.want = max(sounds-1, 1)
		from = pick(func(c option) bool { return c.intensity <= sounds-0.5 })
	case Another:
		want = sounds
		if was != nil && !was.still {
			a.word, a.want, a.offset = was.word, was.want, was.offset
		}
		if pending && was.do == Another {
			a.passed = append(a.passed, was.item)
		}
		from = pick(func(c option) bool {
			return c.intensity < sounds+1 && c.intensity > sounds-1 && !slices.Contains(a.passed, c.item) && s.inWord(a.word, c.item)
		})
		if next := s.comesNext(now); next != nil && len(from) > 1 { // what would come anyway is the last resort
			from = slices.DeleteFunc(from, func(c option) bool { return c.item == next.Item })
		}
	case Choose:
		from = pick(func(c option) bool { return slices.Contains(choice.Items, c.item) })
	}
	if pending && was.do == do && (do == Deeper || do == Lighter) {
		return asking{}, Refuse("steer-already")
	}
	if len(from) == 0 {
		switch do {
		case Deeper:
			return asking{}, Refuse("none-deeper", "phase", ph.Name)
		case Lighter:
			return asking{}, Refuse("none-lighter", "phase", ph.Name)
		case Another:
			return asking{}, Refuse("none-another", "phase", ph.Name)
		}
		return asking{}, Refuse("word-heard", "name", name)
	}
	if fresh := slices.DeleteFunc(slices.Clone(from), func(c option) bool { return slices.Contains(a.passed, c.item) }); len(fresh) > 0 {
		from = fresh
	}
	if do == Deeper || do == Lighter {
		want, a.offset = a.want, a.want-course
	}
	a.item = nearest(from, want).item
	if p != nil && a.leave == 0 {
		it := ph.Music[a.item]
		x := ph.Crossfade
		if join := it.Join(); join != nil {
			x = *join
		}
		a.begins = p.natural - max(0, min(x, (p.natural-p.Start)/2, lengthOf(it)/2, p.natural-now))
	}
	return a, nil
}

// sounds is the intensity that a person hears at session time now, as far as it is known: of piece p, or the one that is asked.
func (s *Session) sounds(p *placed, now time.Duration) float64 {
	if known := s.intensity(p); known > 0 {
		return known
	}
	l := s.line(s.Current)
	if l == nil || p != nil && p.Item >= 0 {
		return assumedIntensity
	}
	return l(now)
}

// inWord reports whether an item belongs to a word of the present phase; the empty word has all.
func (s *Session) inWord(word string, item int) bool {
	if word == "" {
		return true
	}
	return slices.ContainsFunc(s.phase(s.Current).Menu, func(c playlists.Choice) bool { return c.Name == word && slices.Contains(c.Items, item) })
}

// comesNext is the next piece that is laid in the present phase, or nil.
func (s *Session) comesNext(now time.Duration) *placed {
	for k := range s.Pieces {
		if p := &s.Pieces[k]; p.Phase == s.Current && p.Start > now {
			return p
		}
	}
	return nil
}

// steer carries out Deeper, Lighter, Another and Choose.
func (s *Session) steer(c *Command, now time.Duration, eff *Effects) (Said, error) {
	name := ""
	if c.Do == Choose {
		name = c.Name
	}
	a, refused := s.ask(c.Do, name, now, s.options)
	if refused != nil {
		return Said{}, refused
	}
	a.id = c.ID
	s.Asked = append(s.Asked, a)
	s.recompose(now, cutNothing, eff)
	title := ""
	if !a.still {
		title = s.itemTitle(s.Current, a.item)
	}
	switch c.Do {
	case Deeper:
		return Say("did-deeper", "title", title), nil
	case Lighter:
		return Say("did-lighter", "title", title), nil
	case Another:
		return Say("did-another", "title", title), nil
	}
	if a.still {
		return Say("did-still", "name", a.name), nil
	}
	return Say("did-choose", "name", a.name, "title", title), nil
}

// bring lets what was asked come at once: the piece that plays leaves by a long crossfade.
func (s *Session) bring(_ *Command, now time.Duration, eff *Effects) (Said, error) {
	a := s.steered()
	switch {
	case a == nil || s.begins(a) <= now:
		return Said{}, Refuse("nothing-asked")
	case s.begins(a) <= now+steerSoon:
		return Said{}, Refuse("steer-soon")
	}
	a.now, a.since, a.leave = true, now-1, 0
	if p := s.present(now); p != nil {
		a.over = p.ID
	}
	s.recompose(now, cutSteer, eff)
	return Said{}, nil
}

// cross is how long a piece that leaves at a session time for what a asked takes: shorter where it or its phase ends sooner, or where
// what comes is short.
func (s *Session) cross(p *placed, at time.Duration, a *asking) time.Duration {
	x := min(steerCross, s.ends(at)-at)
	if p.natural > 0 {
		x = min(x, p.natural-at)
	}
	if a.item >= 0 {
		x = min(x, lengthOf(s.phase(a.phase).Music[a.item])/2)
	}
	return max(x, 0)
}

// fitSteered fills the present phase's stretch with what a person has asked.
func (s *Session) fitSteered(st stretch, kept []placed, carry int) ([]piece, time.Duration) {
	a := s.steered()
	if a == nil {
		return fit(st)
	}
	pending := a.first(kept) == nil
	if c := st.carry; c != nil && pending && a.leave > 0 {
		x := s.cross(&kept[carry], a.leave, a)
		c.End, c.Cut = a.leave+x, true
		kept[carry].fall = x
	}
	if a.still {
		if st.carry == nil || !pending {
			return nil, st.nominal
		}
		c := *st.carry
		if c.End > st.nominal {
			c.End, c.Cut = st.nominal, true
		}
		return []piece{c}, st.nominal
	}
	if len(a.passed) > 0 { // what was passed over is left out where there is enough else
		var rest []source
		left := st.nominal - st.begin
		for _, src := range st.sources {
			if !slices.Contains(a.passed, src.item) || pending && src.item == a.item {
				rest = append(rest, src)
				if st.played[src.item] == 0 {
					left -= st.net(src)
				}
			}
		}
		if left < 0 {
			st.sources = rest
		}
	}
	if pending {
		if k := slices.IndexFunc(st.sources, func(src source) bool { return src.item == a.item }); k >= 0 {
			return s.layFirst(st, k, a)
		}
	}
	return s.layWord(st, a)
}

// layFirst lays source k of a stretch behind what sounds, and the rest of the stretch behind that.
func (s *Session) layFirst(st stretch, k int, a *asking) ([]piece, time.Duration) {
	src := st.sources[k]
	src.joined, src.length = false, cmp.Or(src.length, bedPiece)
	l := layer{stretch: st, at: st.begin}
	if c := st.carry; c != nil {
		l.out, l.at, l.own = []piece{*c}, c.End, !c.Cut
		if a.leave > 0 {
			x := c.End - a.leave
			src.join = &x
		}
	}
	l.place(src, src.length)
	before := l.out[:len(l.out)-1]
	first := l.out[len(l.out)-1]
	first.Joined, first.Cut = false, false
	st.carry, st.begin = &first, first.Start
	st.played = maps.Clone(st.played)
	st.played[src.item]++
	pieces, end := s.layWord(st, a)
	return slices.Concat(before, pieces), end
}

// layWord fills a stretch from the word in force, as long as it has music that was not heard, and then from the whole pool.
func (s *Session) layWord(st stretch, a *asking) ([]piece, time.Duration) {
	if a.word == "" {
		return fit(st)
	}
	var in []source
	left := st.nominal - st.begin
	if st.carry != nil {
		left = st.nominal - st.carry.End
	}
	for _, src := range st.sources {
		if s.inWord(a.word, src.item) && (st.played[src.item] == 0 || src.bed()) {
			in = append(in, src)
			src.length = cmp.Or(src.length, bedPiece)
			left -= st.net(src)
		}
	}
	if len(in) == 0 {
		return fit(st)
	}
	if left <= 0 {
		st.sources, st.full = in, in
		return fit(st)
	}
	// The word's music is laid to its end, and the rest of the pool behind its last piece.
	part := st
	part.sources, part.full, part.nominal, part.flex = in, in, st.nominal-left, 0
	pieces, _ := fit(part)
	n := 0
	for n < len(pieces) && pieces[n].Item >= 0 && (!pieces[n].Cut || n == 0 && st.carry != nil) {
		n++
	}
	if n == 0 || n == 1 && st.carry != nil {
		return fit(st)
	}
	laid := slices.Clone(pieces[:n])
	rest := st
	last := laid[n-1]
	rest.carry, rest.begin, rest.played = &last, last.Start, maps.Clone(st.played)
	for _, p := range laid {
		rest.played[p.Item]++
	}
	behind, end := fit(rest)
	return slices.Concat(laid[:n-1], behind), end
}

// itemTitle is the title of an item of phase i.
func (s *Session) itemTitle(i, item int) string {
	return s.title(placed{Phase: i, piece: piece{Item: item}})
}

// lengthOf is how long an item of a pool plays; 0: it can't.
func lengthOf(it playlists.Item) time.Duration {
	switch {
	case it.Track != nil:
		return audible(it.Track)
	case it.Bed != "":
		return bedPiece
	}
	return 0
}

// SteerView is what a person can ask of the music of a phase with a pool.
type SteerView struct {
	Intensity float64              `json:"intensity"` // of what sounds, 1 to 5; 0: not known
	Asked     float64              `json:"asked"`     // what is asked now; 0: nothing
	Can       []Verb               `json:"can"`       // of deeper, lighter and another those that would change something
	Offers    map[Verb]OfferedView `json:"offers"`    // what each of them would bring, and when
	Menu      []WordView           `json:"menu"`
	Word      string               `json:"word,omitempty"` // the word in force
	Coming    *ComingView          `json:"coming"`         // what was asked and has not begun; null: nothing
}

// OfferedView is the piece that a tap would bring. AtMS is session time.
type OfferedView struct {
	Title     string  `json:"title"`
	Intensity float64 `json:"intensity"`
	AtMS      int64   `json:"at_ms"`
}

// WordView is a word of the phase's menu. Title is empty for silence, and where nothing can come of it.
type WordView struct {
	Name  string `json:"name"`
	Can   bool   `json:"can"`
	Title string `json:"title,omitempty"`
	AtMS  int64  `json:"at_ms,omitempty"`
}

// ComingView is what was asked and comes at AtMS, session time. ID is the command's, for Undo. Title is empty for silence.
type ComingView struct {
	ID        string  `json:"id"`
	Do        Verb    `json:"do"`
	Name      string  `json:"name,omitempty"` // the word
	Title     string  `json:"title,omitempty"`
	Intensity float64 `json:"intensity,omitempty"`
	AtMS      int64   `json:"at_ms"`
	CanNow    bool    `json:"can_now"` // it can be brought at once
}

// steerView is what a person can ask at session time now; nil: nothing, as the phase has no pool.
func (s *Session) steerView(now time.Duration) *SteerView {
	if s.State != Running || !s.pooled(s.Current) {
		return nil
	}
	v := &SteerView{Intensity: s.intensity(s.present(now)), Can: []Verb{}, Offers: map[Verb]OfferedView{}, Menu: []WordView{}}
	if l := s.line(s.Current); l != nil {
		v.Asked = l(now)
	}
	var all []option
	once := func(now, at time.Duration) []option { // every tap would come at the same time
		if all == nil {
			all = s.options(now, at)
		}
		return all
	}
	for _, do := range []Verb{Deeper, Lighter, Another} {
		if a, refused := s.ask(do, "", now, once); refused == nil {
			v.Can = append(v.Can, do)
			v.Offers[do] = OfferedView{s.itemTitle(s.Current, a.item), s.phase(s.Current).Music[a.item].Rating(), ms(a.begins)}
		}
	}
	for _, w := range s.phase(s.Current).Menu {
		view := WordView{Name: w.Name}
		if a, refused := s.ask(Choose, w.Name, now, once); refused == nil {
			view.Can, view.AtMS = true, ms(a.begins)
			if !a.still {
				view.Title = s.itemTitle(s.Current, a.item)
			}
		}
		v.Menu = append(v.Menu, view)
	}
	if a := s.steered(); a != nil {
		v.Word = a.word
		if at := s.begins(a); at > now && at != forever {
			v.Coming = &ComingView{ID: a.id, Do: a.do, Name: a.name, AtMS: ms(at), CanNow: at > now+steerSoon}
			if p := a.first(s.Pieces); p != nil && !a.still {
				v.Coming.Title, v.Coming.Intensity = s.title(*p), s.intensity(p)
			}
		}
	}
	return v
}

// AskedView is what a person asked of the music, and what came. Times are session times.
type AskedView struct {
	AtMS  int64  `json:"at_ms"`
	Do    Verb   `json:"do"`
	Name  string `json:"name,omitempty"` // the word
	Phase string `json:"phase"`
	// CameMS is when it came; 0: it did not, as something else was asked before, or the phase ended.
	CameMS    int64   `json:"came_ms,omitempty"`
	Now       bool    `json:"now,omitempty"`   // it was brought at once
	Title     string  `json:"title,omitempty"` // of the first piece; empty for silence
	Intensity float64 `json:"intensity,omitempty"`
}

// askedViews tells what was asked up to session time now, and what came of it.
func (s *Session) askedViews(now time.Duration) (out []AskedView) {
	for k := range s.Asked {
		a := &s.Asked[k]
		v := AskedView{AtMS: ms(a.at), Do: a.do, Name: a.name, Phase: s.phase(a.phase).Name}
		until := now
		if k+1 < len(s.Asked) {
			until = s.Asked[k+1].at
		}
		if at := s.begins(a); at <= until && at != forever {
			v.CameMS, v.Now = ms(at), a.now
			if p := a.first(s.Pieces); p != nil && !a.still {
				v.Title, v.Intensity = s.title(*p), s.intensity(p)
			}
		}
		out = append(out, v)
	}
	return out
}
