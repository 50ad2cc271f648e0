package decode

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
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

// rester is a source that can give back what it holds until the next read: a stream that waits for its turn may wait for an
// hour, and has enough decoded to begin with.
type rester interface{ rest() }

// defaultUnread is how long a stream that nobody reads keeps its child.
const defaultUnread = 20 * time.Second

// maxLength bounds what one file may give: a file that goes on longer is broken or made to do harm.
const maxLength = 24 * time.Hour

// sampleLimit is the largest magnitude handed out (+18 dBFS). Files of floats may hold anything.
const sampleLimit = 8

// Stream hands out the frames of one file. One goroutine decodes ahead into a ring, one other may read; Buffered,
// Err and Close may be called from any.
//
// The live engine reads by TryStream, which takes no lock: a decoder that the kernel has put aside can't hold the sound up.
// An offline render reads by Stream, which waits for the decoder.
type Stream struct {
	rate  int
	src   source
	limit int64 // frames that the file may give at most
	// unread is how long it keeps its child while nobody reads.
	unread time.Duration

	// The reader owns what of ring has been written and not been read, fill the rest.
	ring  [][2]float32
	read  atomic.Int64 // frames taken out so far; changed by the reader
	wrote atomic.Int64 // frames put in so far; changed by fill
	ended atomic.Bool  // fill has put in its last frame

	more     chan struct{} // holds a word when there are frames, or the end was reached
	room     chan struct{} // holds a word when there is room in the ring
	closed   chan struct{}
	once     sync.Once     // closes closed
	finished chan struct{} // closed when fill has returned

	mu  sync.Mutex
	err error // guarded by mu
}

func newStream(src source, opt Options, most time.Duration) *Stream {
	ahead := opt.Ahead
	if ahead <= 0 {
		ahead = 4 * time.Second
	}
	n := max(int(ahead.Seconds()*float64(opt.Rate)), 4096)
	s := &Stream{rate: opt.Rate, src: src, unread: cmp.Or(opt.unread, defaultUnread), limit: int64(most.Seconds() * float64(opt.Rate)),
		ring: make([][2]float32, n), more: make(chan struct{}, 1), room: make(chan struct{}, 1),
		closed: make(chan struct{}), finished: make(chan struct{})}
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
		wrote := s.wrote.Load()
		if wrote-s.read.Load() == size {
			late := time.NewTimer(s.unread)
			for wrote-s.read.Load() > size-size/4 && !s.isClosed() {
				select {
				case <-s.room:
				case <-late.C:
					if r, ok := s.src.(rester); ok {
						r.rest()
					}
				case <-s.closed:
				}
			}
			late.Stop()
		}
		if s.isClosed() {
			s.end(ErrClosed)
			return
		}
		at := wrote % size
		free := min(size-(wrote-s.read.Load()), size-at, 16384)

		dst := s.ring[at : at+free] // only fill touches the free part
		n, err := s.src.read(dst)
		sound(dst[:n])
		if n == 0 && err == nil {
			if stuck++; stuck > 100 {
				err = fmt.Errorf("%w: the decoder makes no progress", ErrDamaged)
			}
		} else {
			stuck = 0
		}

		wrote += int64(n)
		s.wrote.Store(wrote)
		if err == nil && wrote > s.limit {
			err = fmt.Errorf("%w: more than %d frames", ErrDamaged, s.limit)
		}
		if err != nil {
			s.end(err)
			return
		}
		if n > 0 {
			wake(s.more)
		}
	}
}

// wake leaves a word for who waits, unless there is one already.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Stream) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// end is called by fill after its last frame.
func (s *Stream) end(err error) {
	if s.isClosed() {
		err = ErrClosed
	}
	if !errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	s.ended.Store(true)
	wake(s.more)
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
	for s.wrote.Load() == 0 && !s.ended.Load() && ctx.Err() == nil {
		select {
		case <-s.more:
		case <-ctx.Done():
		}
	}
	switch {
	case s.wrote.Load() > 0:
		return nil
	case !s.ended.Load():
		return ctx.Err()
	}
	if err := s.Err(); err != nil {
		return err
	}
	return ErrNoSound
}

// Rate is the rate of the frames, in Hz.
func (s *Stream) Rate() int { return s.rate }

// Stream fills samples, waiting for the decoder where it must. It gives less than was asked for at the end of the
// sound only, and 0, false after it; Err then says whether the sound was whole.
func (s *Stream) Stream(samples [][2]float64) (int, bool) {
	done := 0
	for done < len(samples) {
		for s.wrote.Load() == s.read.Load() && !s.ended.Load() && !s.isClosed() {
			select {
			case <-s.more:
			case <-s.closed:
			}
		}
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
	if s.isClosed() {
		return 0, false
	}
	ended := s.ended.Load() // before wrote: what is there then is all
	read := s.read.Load()
	have := s.wrote.Load() - read
	at := read % int64(len(s.ring))

	n = int(min(have, int64(len(samples))))
	first := s.ring[at:min(at+int64(n), int64(len(s.ring)))] // fill leaves the filled part alone
	for i, f := range first {
		samples[i] = [2]float64{float64(f[0]), float64(f[1])}
	}
	rest := samples[len(first):n]
	for i, f := range s.ring[:len(rest)] {
		rest[i] = [2]float64{float64(f[0]), float64(f[1])}
	}

	read += int64(n)
	s.read.Store(read)
	if size := int64(len(s.ring)); s.wrote.Load()-read <= size-size/4 {
		wake(s.room)
	}
	return n, !ended || have > int64(n)
}

// Buffered is how much sound has been decoded and not yet been read.
func (s *Stream) Buffered() time.Duration {
	return time.Duration(s.wrote.Load()-s.read.Load()) * time.Second / time.Duration(s.rate)
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
	s.once.Do(func() {
		close(s.closed)
		s.src.stop()
	})
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-s.finished:
	case <-t.C:
	}
	return nil
}
