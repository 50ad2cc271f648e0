package loudness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Source is a file that was opened to be measured.
type Source interface {
	Stream
	Close() error
}

// Scanner analyses files in the background and keeps the results in its cache. Its methods may be called from any
// goroutine.
type Scanner struct {
	Cache *Cache
	// Open opens a file at its start, and says at which rate its frames come.
	Open func(ctx context.Context, path string) (s Source, rate int, err error)
	// Workers is how many files are analysed at once; 0 is one.
	Workers int
	// Busy, where it is set and true, holds all analysis, also that of a file that is half heard: a session runs.
	Busy func() bool
	// Done, where it is set, is told of each file that was asked for, from the goroutine that has looked at it. Where err is
	// not nil and a.Frames is not 0, a is what was sound of it.
	Done func(path string, a Analysis, err error)

	mu      sync.Mutex
	wake    chan struct{} // of Run; nil while it does not run
	queue   []string
	later   []string        // those to be renewed, when queue is empty
	asked   map[string]bool // in queue or later
	renewed map[string]bool // were in later before
	current []string
	total   int
	done    int
	failed  int
}

// Progress is how far the scanner is with what it was asked for since it was last idle.
type Progress struct {
	Total, Done, Failed int
	Current             []string // paths that are being analysed
}

// Add asks for files to be analysed, after those that were asked for before. A file that is known and has not
// changed costs a stat.
func (s *Scanner) Add(paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	for _, p := range paths {
		if !s.asked[p] {
			s.asked[p] = true
			s.queue = append(s.queue, p)
			s.total++
		}
	}
	s.signal()
}

// Renew asks for files to be analysed again whose analysis is of an earlier version and lacks features. They come after all that Add asks
// for; until then, and where it fails, the earlier analysis stays. A file is tried once.
func (s *Scanner) Renew(paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	for _, p := range paths {
		if !s.asked[p] && !s.renewed[p] {
			s.asked[p], s.renewed[p] = true, true
			s.later = append(s.later, p)
			s.total++
		}
	}
	s.signal()
}

// begin counts anew where the scanner was idle.
func (s *Scanner) begin() {
	if s.total == s.done {
		s.total, s.done, s.failed = 0, 0, 0
	}
	if s.asked == nil {
		s.asked, s.renewed = map[string]bool{}, map[string]bool{}
	}
}

func (s *Scanner) signal() {
	select {
	case s.wake <- struct{}{}: // blocks for ever, and so is passed over, while it is nil
	default:
	}
}

// Progress is how far the scanner is.
func (s *Scanner) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Progress{s.total, s.done, s.failed, slices.Clone(s.current)}
}

// Run analyses until ctx ends. What it was at then is asked for again by the next Run.
func (s *Scanner) Run(ctx context.Context) {
	workers := max(s.Workers, 1)
	s.mu.Lock()
	s.wake = make(chan struct{}, workers)
	wake := s.wake
	s.mu.Unlock()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			lowPriority()
			for ctx.Err() == nil {
				if s.rest(ctx); ctx.Err() != nil {
					return
				}
				path, ok := s.take()
				if !ok {
					select {
					case <-ctx.Done():
					case <-wake:
					}
					continue
				}
				a, err := s.analyse(ctx, path)
				s.finish(ctx, path, a, err)
			}
		})
	}
	wg.Wait()
}

func (s *Scanner) take() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := &s.queue
	if len(*from) == 0 {
		from = &s.later
	}
	if len(*from) == 0 {
		return "", false
	}
	path := (*from)[0]
	*from = (*from)[1:]
	delete(s.asked, path)
	s.current = append(s.current, path)
	if len(s.queue)+len(s.later) > 0 {
		s.signal() // to the next worker
	}
	return path, true
}

func (s *Scanner) finish(ctx context.Context, path string, a Analysis, err error) {
	s.mu.Lock()
	s.current = slices.Delete(s.current, slices.Index(s.current, path), slices.Index(s.current, path)+1)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		if s.asked[path] {
			s.total--
		} else {
			s.asked[path] = true
			s.queue = slices.Insert(s.queue, 0, path)
		}
		s.mu.Unlock()
		return
	}
	s.done++
	if err != nil {
		s.failed++
	}
	s.mu.Unlock()
	if s.Done != nil {
		s.Done(path, a, err)
	}
}

// analyse finds out about a file, by the cache if it can.
func (s *Scanner) analyse(ctx context.Context, path string) (Analysis, error) {
	if a, ok, err := s.Cache.lookup(path); ok && a.Features != nil {
		return a, err
	}
	a, err := s.settled(ctx, path)
	if err != nil {
		return a, fmt.Errorf("analyse %s: %w", path, err)
	}
	return a, nil
}

// settled measures a file. One that is being written is looked at again, but not for ever: whoever sees it change asks again.
func (s *Scanner) settled(ctx context.Context, path string) (Analysis, error) {
	for range 3 {
		before, err := os.Stat(path)
		if err != nil {
			return Analysis{}, err
		}
		key, err := keyOf(ctx, path)
		if err != nil {
			return Analysis{}, err
		}
		a, had := s.Cache.read(key)
		known := had && a.Features != nil
		if !known {
			a, err = s.measure(ctx, path)
		}
		after, err2 := os.Stat(path)
		switch {
		case err2 != nil:
			return Analysis{}, err2
		case after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()):
			continue
		case err != nil && had: // it was whole when it was analysed: what breaks off is the decoder
			return Analysis{}, errors.Join(err, s.Cache.link(path, key, after))
		case err != nil && a.Frames > 0:
			s.Cache.keepDamaged(path, after, a, err)
			return a, err
		case err != nil:
			return Analysis{}, err
		}
		if !known {
			err = s.Cache.put(key, a)
		}
		return a, errors.Join(err, s.Cache.link(path, key, after))
	}
	return Analysis{}, errors.New("it changes all the time")
}

// restless is how often a scanner that is held looks whether it may go on.
const restless = time.Second

// rest waits while the scanner is held.
func (s *Scanner) rest(ctx context.Context) {
	for ctx.Err() == nil && s.Busy != nil && s.Busy() {
		select {
		case <-ctx.Done():
		case <-time.After(restless):
		}
	}
}

func (s *Scanner) measure(ctx context.Context, path string) (Analysis, error) {
	src, rate, err := s.Open(ctx, path)
	if err != nil {
		return Analysis{}, err
	}
	a, err := analyse(ctx, src, rate, func() {
		runtime.Gosched()
		s.rest(ctx)
	})
	if err2 := src.Close(); err == nil && err2 != nil {
		err = err2
	}
	return a, err
}
