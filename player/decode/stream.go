package decode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// source gives stereo frames at the session's rate. read is called from one goroutine and may block; stop may come
// from any other and makes read return soon. release ends what belongs to it and is called once, after the last read.
type source interface {
	// read fills dst from its start. At the end of the sound the error is io.EOF; frames that come with an error count.
	read(dst [][2]float32) (int, error)
	stop()
	release()
}

// maxLength bounds what one file may give: a file that goes on longer is broken or made to do harm.
const maxLength = 24 * time.Hour

// sampleLimit is the largest magnitude handed out (+18 dBFS). Files of floats may hold anything.
const sampleLimit = 8

// Stream hands out the frames of one file. One goroutine decodes ahead into a ring, one other may read; Buffered,
// Err and Close may be called from any.
//
// The live engine reads by TryStream, which never blocks; an offline render reads by Stream, which waits for the decoder.
type Stream struct {
	rate  int
	src   source
	skip  int64 // frames to drop before the first one handed out; owned by fill
	limit int64 // frames that the file may give at most

	mu       sync.Mutex
	more     sync.Cond // there are frames, or the end was reached
	room     sync.Cond // there is room in the ring, or the stream was closed
	ring     [][2]float32
	read     int64 // frames taken out so far
	wrote    int64 // frames put in so far
	ended    bool  // fill has put in its last frame
	closed   bool
	err      error
	finished chan struct{} // closed when fill has returned
}

func newStream(src source, opt Options, skip int64, most time.Duration) *Stream {
	ahead := opt.Ahead
	if ahead <= 0 {
		ahead = 4 * time.Second
	}
	n := max(int(ahead.Seconds()*float64(opt.Rate)), 4096)
	s := &Stream{rate: opt.Rate, src: src, skip: skip, limit: int64(most.Seconds() * float64(opt.Rate)),
		ring: make([][2]float32, n), finished: make(chan struct{})}
	s.more.L, s.room.L = &s.mu, &s.mu
	go s.fill()
	return s
}

// fill decodes ahead until the end, an error or Close. It sleeps when the ring is full and wakes when a quarter is
// free: a wake-up for each small read would cost more than the decoding.
func (s *Stream) fill() {
	defer close(s.finished)
	defer s.src.release()
	size := int64(len(s.ring))
	stuck := 0
	for {
		s.mu.Lock()
		if s.wrote-s.read == size {
			for s.wrote-s.read > size-size/4 && !s.closed {
				s.room.Wait()
			}
		}
		if s.closed {
			s.end(ErrClosed)
			s.mu.Unlock()
			return
		}
		at := s.wrote % size
		free := min(size-(s.wrote-s.read), size-at, 16384)
		s.mu.Unlock()

		dst := s.ring[at : at+free] // only fill touches the free part
		n, err := s.src.read(dst)
		sound(dst[:n])
		kept := n
		if s.skip > 0 {
			drop := int(min(s.skip, int64(n)))
			copy(dst, dst[drop:n])
			s.skip -= int64(drop)
			kept = n - drop
		}
		if n == 0 && err == nil {
			if stuck++; stuck > 100 {
				err = fmt.Errorf("%w: the decoder makes no progress", ErrDamaged)
			}
		} else {
			stuck = 0
		}

		s.mu.Lock()
		s.wrote += int64(kept)
		if err == nil && s.wrote > s.limit {
			err = fmt.Errorf("%w: more than %d frames", ErrDamaged, s.limit)
		}
		if err != nil {
			s.end(err)
			s.mu.Unlock()
			return
		}
		if kept > 0 {
			s.more.Signal()
		}
		s.mu.Unlock()
	}
}

// end is called with mu held.
func (s *Stream) end(err error) {
	if s.closed {
		err = ErrClosed
	}
	if !errors.Is(err, io.EOF) {
		s.err = err
	}
	s.ended = true
	s.more.Broadcast()
}

// sound makes frames safe to compute with: finite and of bounded magnitude.
func sound(f [][2]float32) {
	for i := range f {
		l, r := f[i][0], f[i][1]
		if l >= -sampleLimit && l <= sampleLimit && r >= -sampleLimit && r <= sampleLimit {
			continue
		}
		for c, v := range f[i] {
			if v != v {
				v = 0
			}
			f[i][c] = min(max(v, -sampleLimit), sampleLimit)
		}
	}
}

// prime waits for the first frames.
func (s *Stream) prime(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.more.Broadcast()
		s.mu.Unlock()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.wrote == 0 && !s.ended && ctx.Err() == nil {
		s.more.Wait()
	}
	switch {
	case s.wrote > 0:
		return nil
	case s.ended && s.err != nil:
		return s.err
	case s.ended:
		return ErrNoSound
	}
	return ctx.Err()
}

// Rate is the rate of the frames, in Hz.
func (s *Stream) Rate() int { return s.rate }

// Stream fills samples, waiting for the decoder where it must. It gives less than was asked for at the end of the
// sound only, and 0, false after it; Err then says whether the sound was whole.
func (s *Stream) Stream(samples [][2]float64) (int, bool) {
	done := 0
	for done < len(samples) {
		s.mu.Lock()
		for s.wrote == s.read && !s.ended && !s.closed {
			s.more.Wait()
		}
		s.mu.Unlock()
		n, ok := s.TryStream(samples[done:])
		done += n
		if !ok {
			break
		}
	}
	return done, done > 0 || len(samples) == 0
}

// TryStream fills as much of samples as has been decoded and never blocks. Where n < len(samples) and ok, the decoder
// is late ("not yet"); ok is false once the last frame has been handed out: no more will come.
func (s *Stream) TryStream(samples [][2]float64) (n int, ok bool) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, false
	}
	have := s.wrote - s.read
	ended := s.ended
	at := s.read % int64(len(s.ring))
	s.mu.Unlock()

	n = int(min(have, int64(len(samples))))
	first := s.ring[at:min(at+int64(n), int64(len(s.ring)))] // fill leaves the filled part alone
	for i, f := range first {
		samples[i] = [2]float64{float64(f[0]), float64(f[1])}
	}
	rest := samples[len(first):n]
	for i, f := range s.ring[:len(rest)] {
		rest[i] = [2]float64{float64(f[0]), float64(f[1])}
	}

	s.mu.Lock()
	s.read += int64(n)
	if size := int64(len(s.ring)); s.wrote-s.read <= size-size/4 {
		s.room.Signal()
	}
	s.mu.Unlock()
	return n, !ended || have > int64(n)
}

// Buffered is how much sound has been decoded and not yet been read.
func (s *Stream) Buffered() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.wrote-s.read) * time.Second / time.Duration(s.rate)
}

// Err is nil while the decoder runs and after a whole file; else it says why the sound ended, or what in it was
// damaged. It is known when the decoder is done, which is ahead of the reader.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the decoder, throws away what was read ahead and wakes a waiting reader. It waits for the decoder to let go of its
// child and its file, though never for more than a second. A second call does nothing. The error is always nil.
func (s *Stream) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.room.Broadcast()
	s.more.Broadcast()
	s.mu.Unlock()
	if first {
		s.src.stop()
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-s.finished:
	case <-t.C:
	}
	return nil
}
