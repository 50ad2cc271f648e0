package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// steadyLog writes log lines in the order in which they came, without holding up who logs: a log that takes nothing, since
// its reader hangs or its disk is full, must not silence the music. Lines for which there is no room are left out, and
// their number is said.
type steadyLog struct {
	to      io.Writer
	lines   chan []byte
	dropped atomic.Uint64
	done    chan struct{}
}

// logLines is how many lines wait at most.
const logLines = 1024

func newSteadyLog(to io.Writer) *steadyLog {
	l := &steadyLog{to: to, lines: make(chan []byte, logLines), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes a line. It never waits and never fails.
func (l *steadyLog) Write(line []byte) (int, error) {
	select {
	case l.lines <- append([]byte{}, line...):
	default:
		l.dropped.Add(1)
	}
	return len(line), nil
}

func (l *steadyLog) run() {
	defer close(l.done)
	for line := range l.lines {
		if line == nil {
			return
		}
		if n := l.dropped.Swap(0); n > 0 {
			_, _ = fmt.Fprintf(l.to, "level=WARN msg=\"the log took nothing; lines are missing\" lines=%d\n", n)
		}
		_, _ = l.to.Write(line)
	}
}

// flush waits until all is written, though no longer than for a moment. It is the last call.
func (l *steadyLog) flush() {
	end := time.NewTimer(200 * time.Millisecond)
	defer end.Stop()
	select {
	case l.lines <- nil:
	case <-end.C:
		return
	}
	select {
	case <-l.done:
	case <-end.C:
	}
}
