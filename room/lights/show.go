package lights

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A lamp that is shown goes no higher than showMost, and where there is less than showLeast to see up to there, down by showDown; at
// 7 L* a second, 8 in steps.
const (
	showMost, showLeast, showDown = 40.0, 18.0, 20.0 // L*
	showReturn                    = 15 * time.Second // for the way back, also when somebody asked to end it
	showHold                      = 500 * time.Millisecond
	showLit                       = time.Second // for a person to see that it went on
)

// Lamps are the single lamps of an offer: those of a group, or itself.
func (s *Finder) Lamps(o Offer) (all []Offer) {
	if o.Members == nil {
		return []Offer{o}
	}
	for _, m := range s.Offers() {
		if m.Lamp.Driver == o.Lamp.Driver && slices.Contains(o.Members, m.Lamp.Topic) {
			all = append(all, m)
		}
	}
	return all
}

// Show moves single lamps so that a person sees which they are, all at once, and brings them back, also where ctx ends. The lamps
// that do not answer are silent; the error is ErrNoAnswer where none does. One that was off stays lit, at its lowest level. It is not
// for a lamp that anybody else moves meanwhile: see Controller.Lend.
func Show(ctx context.Context, conn Conn, lamps []Offer) (silent []string, err error) {
	var all sync.WaitGroup
	failed := make([]error, len(lamps))
	for k, o := range lamps {
		all.Go(func() { failed[k] = show(ctx, conn, o) })
	}
	all.Wait()
	for k, o := range lamps {
		if failed[k] != nil {
			silent, err = append(silent, o.Lamp.Topic), fmt.Errorf("%s: %w", o.Lamp.Topic, failed[k])
		}
	}
	if len(silent) < len(lamps) && ctx.Err() == nil {
		err = nil
	}
	return silent, err
}

func show(ctx context.Context, conn Conn, o Offer) (err error) {
	at := pace{2, 250 * time.Millisecond} // each step is a jump
	if o.Caps.Fade != FadeNone {
		at = pace{3.5, 500 * time.Millisecond}
	}
	t := newTester(conn, o, at, func(string) {})
	began, err := t.where(ctx)
	if err != nil {
		return err
	}
	home, from := o.Caps.Min, 0.0
	if began.on {
		home = max(o.Caps.Min, t.level(began))
		from = o.Caps.lightness(home)
	}
	to := showMost
	if from > showMost-showLeast {
		to = max(0, from-showDown)
	}
	t.is = home
	if from == 0 {
		if err := t.send(ctx, order{level: home}, showLit); err != nil {
			return err
		}
	}
	defer func() {
		back, stop := context.WithTimeout(context.WithoutCancel(ctx), showReturn)
		defer stop()
		if gone := t.steps(back, home); err == nil {
			err = gone
		}
	}()
	if err := t.steps(ctx, t.addr.caps.level(to)); err != nil {
		return err
	}
	return wait(ctx, showHold)
}

// where is what the lamp says of itself: asked, or as the broker has it of one that can't be asked.
func (t *tester) where(ctx context.Context) (report, error) {
	if t.drv.asks(t.addr, false) != nil {
		return t.read(ctx)
	}
	within, stop := context.WithTimeout(ctx, readTimeout)
	defer stop()
	r, ok := t.answer(within)
	if !ok || !r.hasLevel || !r.hasOn {
		return report{}, cmp.Or(ctx.Err(), ErrNoAnswer)
	}
	return r, nil
}
