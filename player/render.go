package player

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// renderBlock is the frames of one mix of a render: a fifth of a second at 48 kHz.
const renderBlock = 9600

// Cue is something that begins at a frame of a render.
type Cue struct {
	Frame int64         `json:"frame"` // counted from the session's start, at the render's rate
	At    time.Duration `json:"at_ns"`
	Kind  string        `json:"kind"` // start, fade out, end, score end, or the kind of an Event
	Clip  string        `json:"clip,omitempty"`
	Title string        `json:"title,omitempty"`
	Error string        `json:"error,omitempty"`
}

// Render writes the session's frames from one session time up to another to sink, in order, as the live player would
// mix them at level 0: the same on each run. Sources are read ahead on other cores; memory does not grow with the
// length. A clip that fails is covered, as it would be live, and told to notify (where it is not nil).
// sink owns a block until it returns.
func Render(ctx context.Context, s Score, o Options, from, to time.Duration, sink func([][2]float64) error, notify func(Event)) error {
	if notify == nil {
		notify = func(Event) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, last := frames(from, o.Rate), frames(to, o.Rate)

	const depth = 3
	free, full := make(chan [][2]float64, depth), make(chan [][2]float64, depth)
	for range depth {
		free <- make([][2]float64, renderBlock)
	}
	go func() {
		defer close(full)
		path := newChain(ctx, o, renderBlock, notify)
		m := path.mix
		defer m.close()
		m.offline = true
		m.pos = first
		late := path.late() // frames that the guard still holds when the last ones are mixed
		m.setPlan(newPlan(s, o.Rate))
		for m.pos < last+late {
			var block [][2]float64
			select {
			case block = <-free:
			case <-ctx.Done():
				return
			}
			block = block[:min(renderBlock, last+late-m.pos)]
			at := m.pos - late
			path.Stream(block)
			if at < first {
				block = block[:copy(block, block[min(first-at, int64(len(block))):])]
			}
			select {
			case full <- block:
			case <-ctx.Done():
				return
			}
		}
	}()
	left := last - first
	var err error
	for block := range full {
		if err != nil {
			continue
		}
		if err = sink(block); err != nil {
			err = fmt.Errorf("write the render: %w", err)
			cancel()
			continue
		}
		left -= int64(len(block))
		free <- block[:renderBlock]
	}
	if err == nil && left > 0 {
		err = ctx.Err()
	}
	return err
}

// Cues lists what a score begins and ends, and what happened while it was rendered, by frame.
func Cues(s Score, rate int, happened []Event) []Cue {
	var cues []Cue
	add := func(kind string, frame int64, clip, title, err string) {
		cues = append(cues, Cue{frame, duration(frame, rate), kind, clip, title, err})
	}
	for _, c := range newPlan(s, rate).clips {
		add("start", c.start, c.ID, c.Title, "")
		if c.fadeOut > 0 {
			add("fade out", c.end-c.fadeOut, c.ID, c.Title, "")
		}
		add("end", c.end, c.ID, c.Title, "")
	}
	for _, e := range happened {
		if e.Kind != ClipStarted {
			add(string(e.Kind), frames(e.At, rate), e.Clip, "", e.Detail)
		}
	}
	if s.End > 0 {
		add("score end", frames(s.End, rate), "", "", "")
	}
	slices.SortStableFunc(cues, func(a, b Cue) int { return cmp.Compare(a.Frame, b.Frame) })
	return cues
}
