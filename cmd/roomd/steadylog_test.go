package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
)

// pipe is a reader that can hang.
type pipe struct {
	mu   sync.Mutex // held while it hangs
	text bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// TestALogThatHangsHoldsNobodyUp logs into a pipe that nobody reads.
func TestALogThatHangsHoldsNobodyUp(t *testing.T) {
	var p pipe
	l := newSteadyLog(&p)
	fmt.Fprintln(l, "first")
	p.mu.Lock()
	at := time.Now()
	for n := range logLines + 500 {
		fmt.Fprintln(l, "line", n)
	}
	rig.Bar(t, "nobody reads the log", "it takes", time.Since(at).Seconds(), 1, "s")
	at = time.Now()
	hung := make(chan struct{})
	go func() { defer close(hung); time.Sleep(100 * time.Millisecond); p.mu.Unlock() }()
	<-hung
	l.flush()
	rig.Bar(t, "a log that hung", "is written in", time.Since(at).Seconds(), 1, "s")
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.text.String()
	written, missing := 0, 0
	for line := range strings.Lines(text) {
		var n int
		if _, err := fmt.Sscanf(line, "level=WARN msg=\"the log took nothing; lines are missing\" lines=%d\n", &n); err == nil {
			missing += n
			continue
		}
		if line != "first\n" && line != fmt.Sprintln("line", written+missing-1) {
			t.Errorf("after %d lines and %d missing, the log says %q", written, missing, line)
		}
		written++
	}
	if written < logLines || written+missing != 1+logLines+500 {
		t.Errorf("%d lines are written, %d are said to be missing, of %d", written, missing, 1+logLines+500)
	}
}

// TestTheLastLines holds that the page is told the newest lines, and no code that lets somebody in.
func TestTheLastLines(t *testing.T) {
	l := newSteadyLog(io.Discard)
	defer l.flush()
	for n := range keptLines + 30 {
		fmt.Fprintln(l, "line", n)
	}
	slog.New(slog.NewTextHandler(l, nil)).Info("no tablet belongs to the room yet", "code", "123456")
	fmt.Fprintln(l, "the end")
	got := l.last()
	if len(got) != keptLines || got[0] != "line 31" || got[keptLines-1] != "the end" || strings.Contains(strings.Join(got, ""), "123456") {
		t.Errorf("%d lines from %q to %q", len(got), got[0], got[len(got)-1])
	}
}
