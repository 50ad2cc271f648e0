package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// steadyLog writes log lines in the order in which they came, without holding up who logs: a log that takes nothing, since
// its reader hangs or its disk is full, must not silence the music. Lines for which there is no room are left out, and
// their number is said where they would have stood.
type steadyLog struct {
	to      io.Writer
	lines   chan logLine
	dropped atomic.Uint64
	done    chan struct{}

	mu   sync.Mutex // guards kept
	kept []string   // the last lines, for who asks on the page
}

// logLine is a line, and how many before it are missing. One without text is the end.
type logLine struct {
	text    []byte
	missing uint64
}

// logLines is how many lines wait at most.
const logLines = 1024

// keptLines is how many lines are kept for the page.
const keptLines = 200

func newSteadyLog(to io.Writer) *steadyLog {
	l := &steadyLog{to: to, lines: make(chan logLine, logLines), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes a line. It never waits and never fails.
func (l *steadyLog) Write(line []byte) (int, error) {
	l.keep(line)
	missing := l.dropped.Swap(0)
	select {
	case l.lines <- logLine{append([]byte{}, line...), missing}:
	default:
		l.dropped.Add(missing + 1)
	}
	return len(line), nil
}

// keep keeps a line for the page, but for one with a code that lets a device in: that is for who is at the computer.
func (l *steadyLog) keep(line []byte) {
	if bytes.Contains(line, []byte(" code=")) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == keptLines {
		l.kept = append(l.kept[:0], l.kept[1:]...)
	}
	l.kept = append(l.kept, strings.TrimSuffix(string(line), "\n"))
}

// last are the last lines, the oldest first.
func (l *steadyLog) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

func (l *steadyLog) run() {
	defer close(l.done)
	for line := range l.lines {
		if line.missing > 0 {
			_, _ = fmt.Fprintf(l.to, "level=WARN msg=\"the log took nothing; lines are missing\" lines=%d\n", line.missing)
		}
		if line.text == nil {
			return
		}
		_, _ = l.to.Write(line.text)
	}
}

// flush waits until all is written, though no longer than for a moment. It is the last call.
func (l *steadyLog) flush() {
	end := time.NewTimer(200 * time.Millisecond)
	defer end.Stop()
	select {
	case l.lines <- logLine{missing: l.dropped.Load()}:
	case <-end.C:
		return
	}
	select {
	case <-l.done:
	case <-end.C:
	}
}
