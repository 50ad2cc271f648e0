package lights

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// A test of a lamp is gentle: but for a lamp that is brighter when it begins, it stays under L* 40, and it ends where it began.
const (
	testLow, testHigh = 20.0, 34.0 // L*
	testFade          = 4 * time.Second
	testColour        = 60.0 // mired
	glideStep         = 2.0  // L*
	glideEvery        = 500 * time.Millisecond
	settleTime        = 1200 * time.Millisecond
)

// ErrNoAnswer is the error of a test whose lamp is asked and says nothing.
var ErrNoAnswer = errors.New("it does not answer: check that it has power and its wall switch is on")

// tester is a test of one lamp.
type tester struct {
	conn Conn
	drv  driver
	addr address
	in   chan event
	is   int       // the level that it was last read at, or sent to
	rest time.Time // it is there then
	hue  colour    // that it is to get back; none while it has it
	last []byte    // what it said last
	say  func(string)
	pace pace
}

// pace is how a lamp glides: so many L* each time.
type pace struct {
	step  float64
	every time.Duration
}

// newTester makes one for a single lamp, and listens to it.
func newTester(conn Conn, o Offer, p pace, say func(string)) *tester {
	drv := drivers[o.Lamp.Driver]
	t := &tester{conn: conn, drv: drv, addr: address{o.Lamp.Topic, o.Lamp.Extra, o.Caps}, in: make(chan event, 256), say: say, pace: p}
	for _, f := range drv.hears(t.addr) {
		conn.Subscribe(f, func(topic string, payload []byte, retained bool) {
			if retained && drv.asks(t.addr, false) != nil {
				return
			}
			select {
			case t.in <- event{topic: topic, payload: payload}:
			default:
			}
		})
	}
	return t
}

// level is the level at which the lamp says that it is.
func (t *tester) level(r report) int { return int(math.Round(r.level * float64(t.addr.caps.Max))) }

// Commission finds out what a lamp can do: whether it answers, whether it fades, whether it fades when colour comes
// along, and which of its levels is the lowest that it calls light. It takes about a minute, says what it does by say,
// and leaves the lamp as it found it, also where it fails; only a lamp that was off stays lit, at its lowest level. A lamp
// that can't be asked gets a profile that says no more than that. It is not for a group, nor while anybody else moves the lamp.
func Commission(ctx context.Context, conn Conn, o Offer, say func(string)) (p Profile, err error) {
	drv := drivers[o.Lamp.Driver]
	if drv == nil || o.Members != nil {
		return Profile{}, fmt.Errorf("%s %s is not a single lamp", o.Lamp.Driver, o.Lamp.Topic)
	}
	t := newTester(conn, o, pace{glideStep, glideEvery}, say)
	p = Profile{Topic: o.Lamp.Topic, Tested: time.Now().Round(time.Second)}
	if drv.asks(t.addr, false) == nil {
		say("it can't be asked, so there is nothing to measure")
		return p, nil
	}
	say("asking where it is")
	began, err := t.read(ctx)
	if err != nil {
		return p, err
	}
	p.ReadBack = true
	if hint := ledTableHint(o, t.last); hint != "" {
		say(hint)
	}
	t.is = t.level(began)
	home := max(o.Caps.Min, t.is)
	if !began.on {
		home = o.Caps.Min
		say("it is off: lighting it at its lowest level")
		if err := t.send(ctx, order{level: o.Caps.Min}, settleTime); err != nil {
			return p, err
		}
	}
	defer func() {
		say("bringing it back to where it was")
		back, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer stop()
		err = errors.Join(err, wait(back, time.Until(t.rest)), t.recolour(back), t.glide(back, home))
	}()
	if t.addr.caps.Fade == FadeNone {
		say("roomd makes its fades of steps, whatever it can do")
	} else if p.Fade, err = t.fades(ctx, began.hue); err != nil {
		return p, err
	}
	say("finding its lowest light")
	p.Lowest, err = t.lowest(ctx)
	return p, err
}

// fades tells what the lamp fades: none, one, both. The hue is what it had.
func (t *tester) fades(ctx context.Context, hue colour) (string, error) {
	low, high := t.addr.caps.level(testLow), t.addr.caps.level(testHigh)
	t.say("going to a dim light")
	if err := t.glide(ctx, low); err != nil {
		return "", err
	}
	t.say(fmt.Sprintf("fading over %v", testFade))
	fades, err := t.fade(ctx, order{level: high, over: testFade})
	if err != nil || !fades {
		return "none", err
	}
	was := t.addr.caps.fits(colour{mode: byMired, a: 370})
	if was.mode == asItIs {
		return "both", nil // there is nothing else that it could break
	}
	if hue.mode == byMired {
		was = hue
	}
	other := was
	if other.a += testColour; other.a > float64(t.addr.caps.MaxMired) {
		other.a -= 2 * testColour
	}
	t.hue = was
	if hue.mode == byXY {
		t.hue = hue
	}
	t.say(fmt.Sprintf("fading level and white together over %v", testFade))
	t.addr.caps.Fade = FadeBoth // one message with both
	both, err := t.fade(ctx, order{level: low, hue: other, over: testFade})
	t.addr.caps.Fade = FadeOne
	if err != nil {
		return "", err
	}
	if both {
		return "both", t.recolour(ctx)
	}
	return "one", t.recolour(ctx)
}

// recolour gives the lamp its colour back, if it was changed.
func (t *tester) recolour(ctx context.Context) error {
	if t.hue.mode == asItIs {
		return nil
	}
	if err := t.send(ctx, order{hue: t.hue, over: 2 * time.Second}, 2*time.Second+settleTime); err != nil {
		return err
	}
	t.hue = colour{}
	return nil
}

// ledTableHint says where a Tasmota's own setting is not what the room file has: its light would be another than asked for.
func ledTableHint(o Offer, said []byte) string {
	var s struct{ LedTable string }
	if o.Lamp.Driver != "tasmota" || json.Unmarshal(said, &s) != nil {
		return ""
	}
	switch on := o.Caps.Max == tasmotaFine; {
	case s.LedTable == "OFF" && on:
		return "its LedTable is off: write led_table: off into the room file"
	case s.LedTable == "ON" && !on:
		return "its LedTable is on: leave led_table out of the room file"
	}
	return ""
}

// fade asks for a fade and reads in its middle whether the level is on its way.
func (t *tester) fade(ctx context.Context, o order) (bool, error) {
	from := float64(t.is)
	begin := time.Now()
	if err := t.send(ctx, o, testFade*3/8); err != nil {
		return false, err
	}
	middle, err := t.read(ctx)
	took := time.Since(begin)
	if err != nil {
		return false, err
	}
	if err := wait(ctx, testFade+settleTime-took); err != nil {
		return false, err
	}
	end, err := t.read(ctx)
	if err != nil {
		return false, err
	}
	share := func(r report) float64 { return (r.level*float64(t.addr.caps.Max) - from) / (float64(o.level) - from) }
	if math.Abs(share(end)-1) > 0.2 {
		return false, fmt.Errorf("it was sent to level %d and says that it is at %.0f: does another program move it?", o.level, end.level*float64(t.addr.caps.Max))
	}
	return took < testFade && share(middle) > 0.1 && share(middle) < 0.9, nil
}

// lowest goes down to the lowest level that the lamp is known to have, and returns the one that it says it has there.
func (t *tester) lowest(ctx context.Context) (int, error) {
	if err := t.glide(ctx, t.addr.caps.Min); err != nil {
		return 0, err
	}
	r, err := t.read(ctx)
	if err != nil {
		return 0, err
	}
	least := t.level(r)
	if !r.on || least < 1 {
		least = t.addr.caps.Min + 1
		return least, t.send(ctx, order{level: least}, settleTime)
	}
	return least, nil
}

// glide moves the lamp in steps that are gentle whether it fades or not, and waits until it is there.
func (t *tester) glide(ctx context.Context, to int) error {
	if err := t.steps(ctx, to); err != nil {
		return err
	}
	return wait(ctx, settleTime)
}

func (t *tester) steps(ctx context.Context, to int) error {
	for t.is != to {
		next := t.addr.caps.level(t.addr.caps.lightness(t.is) + math.Copysign(t.pace.step, float64(to-t.is)))
		switch {
		case to > t.is:
			next = min(to, max(t.is+1, next))
		default:
			next = max(to, min(t.is-1, next))
		}
		o := order{level: next, over: t.pace.every}
		if t.addr.caps.Fade == FadeNone {
			o.over = 0
		}
		if err := t.send(ctx, o, t.pace.every); err != nil {
			return err
		}
	}
	return nil
}

// send commands the lamp and waits.
func (t *tester) send(ctx context.Context, o order, after time.Duration) error {
	for _, p := range t.drv.order(t.addr, o) {
		if err := t.conn.Publish(p.topic, p.payload); err != nil {
			return fmt.Errorf("light command to %s: %w", p.topic, err)
		}
	}
	if o.level > 0 {
		t.is, t.rest = o.level, time.Now().Add(o.over)
	}
	return wait(ctx, after)
}

// read asks the lamp where it is. No command may have been sent in the last second, whose echo would be taken for the answer.
func (t *tester) read(ctx context.Context) (report, error) {
	for range readMisses {
		r, ok, err := t.ask(ctx)
		if ok || err != nil {
			return r, err
		}
	}
	return report{}, ErrNoAnswer
}

// ask asks all questions, one after the other; the last answer counts.
func (t *tester) ask(ctx context.Context) (r report, ok bool, err error) {
	for _, q := range t.drv.asks(t.addr, true) {
		for len(t.in) > 0 {
			<-t.in
		}
		if err := t.conn.Publish(q.topic, q.payload); err != nil {
			return report{}, false, fmt.Errorf("question to %s: %w", q.topic, err)
		}
		within, stop := context.WithTimeout(ctx, readTimeout)
		r, ok = t.answer(within)
		stop()
		if ctx.Err() != nil {
			return report{}, false, ctx.Err()
		}
		if !ok {
			return report{}, false, nil
		}
	}
	return r, ok && r.hasLevel && r.hasOn, nil
}

// answer is the next thing that the lamp says of its state.
func (t *tester) answer(ctx context.Context) (report, bool) {
	for {
		select {
		case <-ctx.Done():
			return report{}, false
		case e := <-t.in:
			if r, ok := t.drv.decode(t.addr, e.topic, e.payload); ok && r.kind == saysState {
				t.last = e.payload
				return r, true
			}
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
