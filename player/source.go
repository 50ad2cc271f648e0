package player

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopxl/beep/v2"

	"roomd/player/beds"
)

// Source is the frames of one file or bed from the place where it was opened, at the session's rate: a beep streamer
// that can also be asked without waiting. Stream waits for what is not there yet; Err is nil for the source's own
// ending; Close may wait, so the loop leaves it to others.
type Source interface {
	beep.StreamCloser
	// TryStream hands out what is ready and never waits; (0, true) is nothing yet.
	TryStream(samples [][2]float64) (n int, ok bool)
}

// opener opens a source at a place; it may wait and is called away from the loop.
type opener func(ctx context.Context, from time.Duration) (Source, error)

// endless makes a source of a bed.
type endless struct{ bed beds.Bed }

func (e endless) Stream(s [][2]float64) (int, bool)    { e.bed.Fill(s); return len(s), true }
func (e endless) TryStream(s [][2]float64) (int, bool) { return e.Stream(s) }
func (e endless) Err() error                           { return nil }
func (e endless) Close() error                         { return nil }

type opened struct {
	src Source
	err error
}

// tap is the first node of a deck: a source that is opened in the background and held a little ahead of what is played,
// so that the deck knows of its end before it is there. It never waits, but in a render.
type tap struct {
	wait    bool        // a render: wait for the source
	opening chan opened // nil once it has answered
	cancel  context.CancelFunc
	src     Source
	buf     [][2]float64
	have    int  // frames at the head of buf
	drained bool // src has no more than have
	err     error
}

// openTap opens a source for a tap that holds up to size frames.
func openTap(ctx context.Context, open opener, from time.Duration, size int, wait bool) *tap {
	ctx, cancel := context.WithCancel(ctx)
	t := &tap{wait: wait, opening: make(chan opened, 1), cancel: cancel, buf: make([][2]float64, size)}
	answer := t.opening
	go func() {
		var o opened
		defer func() {
			if r := recover(); r != nil {
				o = opened{err: fmt.Errorf("panic: %v", r)}
			}
			answer <- o
		}()
		o.src, o.err = open(ctx, from)
	}()
	return t
}

// poll reports whether the source has been opened, or can't be.
func (t *tap) poll(wait bool) bool {
	if t.opening == nil {
		return true
	}
	var o opened
	if wait {
		o = <-t.opening
	} else {
		select {
		case o = <-t.opening:
		default:
			return false
		}
	}
	t.opening = nil
	t.src, t.err = o.src, o.err
	if t.src == nil {
		t.drained = true
		if t.err == nil {
			t.err = errors.New("nothing was opened")
		}
	}
	return true
}

var errNotNumbers = errors.New("samples that are not numbers")

// fill draws until want frames are there, or no more are to be had now.
func (t *tap) fill(want int) {
	if t.src == nil {
		return
	}
	want = min(want, len(t.buf))
	for t.have < want && !t.drained {
		var n int
		var ok bool
		room := t.buf[t.have:want]
		if t.wait {
			n, ok = t.src.Stream(room)
		} else {
			n, ok = t.src.TryStream(room)
		}
		n = min(max(n, 0), len(room))
		// Anything times zero is zero, but for what is not a number.
		var sum float64
		for _, s := range room[:n] {
			sum += s[0]*0 + s[1]*0
		}
		if sum != 0 {
			t.drained, t.err = true, errNotNumbers
			return
		}
		t.have += n
		if !ok {
			t.drained, t.err = true, t.src.Err()
			return
		}
		if n == 0 {
			return
		}
	}
}

// Stream hands out frames that are there.
func (t *tap) Stream(dst [][2]float64) (int, bool) {
	n := copy(dst, t.buf[:t.have])
	copy(t.buf, t.buf[n:t.have])
	t.have -= n
	return n, n > 0 || !t.drained
}

// Err is why the source ended too early.
func (t *tap) Err() error { return t.err }

// drop throws away up to k frames and says how many.
func (t *tap) drop(k int64) int64 {
	var gone int64
	for gone < k {
		t.fill(len(t.buf))
		n := int(min(k-gone, int64(t.have)))
		if n == 0 {
			break
		}
		copy(t.buf, t.buf[n:t.have])
		t.have -= n
		gone += int64(n)
	}
	return gone
}

// close frees the source without waiting for it.
func (t *tap) close() {
	t.cancel()
	opening, src := t.opening, t.src
	t.opening, t.src = nil, nil
	if opening == nil && src == nil {
		return
	}
	go func() {
		if opening != nil {
			src = (<-opening).src
		}
		if src != nil {
			_ = src.Close()
		}
	}()
}
