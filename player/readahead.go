package player

// readAhead lets a source work on another core while a render mixes.
func readAhead(src Source) Source {
	r := &ahead{src: src, full: make(chan chunk, 2), free: make(chan [][2]float64, 3), done: make(chan struct{})}
	for range 3 {
		r.free <- make([][2]float64, 1<<14)
	}
	go r.run()
	return r
}

type chunk struct {
	frames [][2]float64
	last   bool
	err    error
}

type ahead struct {
	src  Source
	full chan chunk
	free chan [][2]float64
	done chan struct{}

	// Owned by the reader.
	now  chunk
	used int
}

func (r *ahead) run() {
	defer close(r.full)
	for {
		var buf [][2]float64
		select {
		case buf = <-r.free:
		case <-r.done:
			return
		}
		n, ok := 0, true
		for n < len(buf) && ok {
			var k int
			k, ok = r.src.Stream(buf[n:])
			n += k
		}
		c := chunk{frames: buf[:n], last: !ok}
		if !ok {
			c.err = r.src.Err()
		}
		select {
		case r.full <- c:
		case <-r.done:
			return
		}
		if !ok {
			return
		}
	}
}

func (r *ahead) Stream(s [][2]float64) (n int, ok bool) {
	for n < len(s) {
		if r.used == len(r.now.frames) {
			if r.now.last {
				return n, false
			}
			if r.now.frames != nil {
				r.free <- r.now.frames[:cap(r.now.frames)]
			}
			r.now, r.used = <-r.full, 0
			continue
		}
		k := copy(s[n:], r.now.frames[r.used:])
		r.used += k
		n += k
	}
	return n, true
}

func (r *ahead) TryStream(s [][2]float64) (int, bool) { return r.Stream(s) }
func (r *ahead) Err() error                           { return r.now.err }

func (r *ahead) Close() error {
	close(r.done)
	for range r.full {
	}
	return r.src.Close()
}
