package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
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
	if took := time.Since(at); took > time.Second {
		t.Errorf("logging took %v", took)
	}
	at = time.Now()
	hung := make(chan struct{})
	go func() { defer close(hung); time.Sleep(100 * time.Millisecond); p.mu.Unlock() }()
	<-hung
	l.flush()
	if took := time.Since(at); took > time.Second {
		t.Errorf("flush took %v", took)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.text.String()
	if !strings.Contains(text, "first\n") || !strings.Contains(text, "line 0\nline 1\n") || !strings.Contains(text, "lines are missing") {
		t.Errorf("the log says %.200q", text)
	}
}
