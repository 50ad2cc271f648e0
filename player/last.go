package player

// last is the last gain stage: the guard, and the target that it measures against.
type last struct {
	guard  *Guard // nil: none, in tests
	rate   int
	target float64 // LUFS, gliding
	set    bool
}

// targetGlide is how fast the guard's target goes to another, in dB a second: ahead of a fall that the score plans, and
// after one that comes unforeseen. A fall as steep as the score's own step would cut into what is still sounding.
const targetGlide = 6.0

func newLast(o Options) last {
	if o.bare {
		return last{}
	}
	loudest := o.Loudest
	if loudest == 0 {
		loudest = 100
	}
	return last{guard: NewGuard(o.Rate, assumedTarget, loudest), rate: o.Rate}
}

// assumedTarget is the target where a score names none.
const assumedTarget = -23.0

// delay is how many frames later a frame leaves.
func (l *last) delay() int64 {
	if l.guard == nil {
		return 0
	}
	return int64(l.guard.Delay())
}

// reset forgets what is under way and what was heard.
func (l *last) reset() {
	if l.guard != nil {
		l.guard.Reset()
	}
}

// process guards a block that ends at position pos, with a person's level at db.
func (l *last) process(block [][2]float64, p *plan, pos int64, db float64) {
	if l.guard == nil {
		return
	}
	want := assumedTarget
	if p != nil {
		if t, ok := p.aim(pos, targetGlide); ok {
			want = t
		}
	}
	if want += db; !l.set {
		l.target, l.set = want, true
	}
	step := targetGlide * float64(len(block)) / float64(l.rate)
	l.target = max(l.target-step, min(l.target+step, want))
	l.guard.SetTarget(l.target)
	l.guard.Process(block)
}
