package player

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gopxl/beep/v2"
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

type opened struct {
	src Source
	err error
}

// tap draws from a source that is opened in the background.
type tap struct {
	opening chan opened // nil once it has answered
	cancel  context.CancelFunc
	src     Source
	buf     [][2]float64
	have    int  // frames at the head of buf
	drained bool // src has no more than have
	err     error
}

func openTap(ctx context.Context, open opener, from time.Duration, size int) *tap {
	ctx, cancel := context.WithCancel(ctx)
	t := &tap{opening: make(chan opened, 1), cancel: cancel, buf: make([][2]float64, size)}
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

// poll reports whether the source has been opened (or has failed to).
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
func (t *tap) fill(want int, wait bool) {
	if t.src == nil {
		return
	}
	want = min(want, len(t.buf))
	for t.have < want && !t.drained {
		var n int
		var ok bool
		room := t.buf[t.have:want]
		if wait {
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

// drop throws away up to k frames and says how many.
func (t *tap) drop(k int64, wait bool) int64 {
	var gone int64
	for gone < k {
		t.fill(len(t.buf), wait)
		n := int(min(k-gone, int64(t.have)))
		if n == 0 {
			break
		}
		t.take(n)
		gone += int64(n)
	}
	return gone
}

// take removes the first n frames, once they have been used.
func (t *tap) take(n int) {
	copy(t.buf, t.buf[n:t.have])
	t.have -= n
}

// close frees the source without waiting for it.
func (t *tap) close() {
	if t == nil {
		return
	}
	t.cancel()
	opening, src := t.opening, t.src
	t.opening, t.src, t.drained = nil, nil, true
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

// deck plays one clip, or stands in for it.
type deck struct {
	clip    part
	retired bool // its clip is gone from the score; it fades out

	main     *tap
	place    int64 // source frame of the first in main.buf
	origin   int64 // position where source frame 0 would sound, as latched when the clip began
	moved    bool  // its clip begins elsewhere since then; the music goes on from where it was
	stop     int64 // source frame just after the last that is played
	sounding bool  // main is being heard
	begun    bool  // it was, once
	failed   bool  // main will give nothing more, too early
	over     bool  // nothing more is to come; kept while its clip is in the score, so that it is not opened again
	over0    int64 // position of the frame after the last
	ranOut   bool  // its source has given its last frame
	waiting  int64 // position since which the clip is due and not heard; -1: it is heard

	in      ramp // on the session's line
	exit    exit
	dip     ramp // on the source's line: the last frames before a hole
	gain    levels
	stand   *tap // the bed that stands in
	standIn ramp
	standUp bool // it is being heard
	// standOut takes the stand-in out when the clip itself is back.
	standOut ramp
}

func (d *deck) id() string { return d.clip.ID }

// audible reports whether anything of the deck is heard.
func (d *deck) audible() bool { return d.sounding || d.standUp }

// silence frees the deck's sources.
func (d *deck) silence() {
	d.main.close()
	d.stand.close()
	d.stand = nil
	d.sounding, d.standUp = false, false
}
