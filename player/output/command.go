package output

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// child is a program that eats PCM on its standard input.
type child struct {
	cmd   *exec.Cmd
	in    *os.File
	holds int // frames that the pipe takes
	cfg   Config
	q     quantiser
	buf   []byte
	tail  tail
	done  chan struct{} // closed when the program has ended
	err   error         // why; read after done
}

func openCommand(cfg Config) (sink, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("the command is empty")
	}
	f := s16
	if cfg.Bits == 32 {
		f = s32
	}
	c := &child{cfg: cfg, q: newQuantiser(f), done: make(chan struct{})}
	c.q.pairs = cfg.Pairs
	r := strings.NewReplacer("{rate}", strconv.Itoa(cfg.Rate), "{channels}", strconv.Itoa(2*cfg.Pairs), "{bits}", strconv.Itoa(f.bits), "{format}", f.name)
	args := make([]string, len(cfg.Command))
	for i, a := range cfg.Command {
		args[i] = r.Replace(a)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	defer out.Close()
	c.in = in
	// What lies in the pipe is heard late, so it holds no more than half the look-ahead.
	c.holds = shrinkPipe(in, cfg.lookAheadFrames()/2*c.q.frame()) / c.q.frame()
	c.cmd = exec.Command(args[0], args[1:]...)
	c.cmd.Stdin, c.cmd.Stderr = out, &c.tail
	c.cmd.SysProcAttr = ownGroup()
	// A grandchild that keeps standard error open must not keep the program from having ended.
	c.cmd.WaitDelay = tick
	if err := c.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", args[0], err), in.Close())
	}
	go func() {
		endGroup(c.cmd.Process)
		err := c.cmd.Wait()
		if err == nil {
			err = errors.New("it ended")
		}
		if last := c.tail.String(); last != "" {
			err = fmt.Errorf("%w: %s", err, last)
		}
		c.err = fmt.Errorf("%s: %w", args[0], err)
		close(c.done)
	}()
	return c, nil
}

func (c *child) write(block [][2]float64, more ...[][2]float64) (paces bool, err error) {
	if need := len(block) * c.q.frame(); len(c.buf) < need {
		c.buf = make([]byte, need)
	}
	b := c.buf[:c.q.encode(c.buf, block, more...)]
	// A program that only swallows has emptied the pipe by now.
	paces = c.fill() >= float64(c.holds)/4
	for left := ticks; len(b) > 0; {
		if err := c.in.SetWriteDeadline(time.Now().Add(tick)); err != nil {
			return false, fmt.Errorf("write to %s: %w", c.cfg.Command[0], err)
		}
		n, err := c.in.Write(b)
		b = b[n:]
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if left--; n > 0 {
				left = ticks
			} else if left == 0 {
				return false, fmt.Errorf("write to %s: %w", c.cfg.Command[0], errStalled)
			}
		default:
			select {
			case <-c.done:
				return false, c.err
			case <-time.After(tick):
				return false, fmt.Errorf("write to %s: %w", c.cfg.Command[0], err)
			}
		}
	}
	return paces, nil
}

func (c *child) fill() float64  { return float64(unread(c.in)) / float64(c.q.frame()) }
func (c *child) delay() float64 { return c.fill() }

func (c *child) about() about {
	return about{device: c.cfg.Command[0], rate: c.cfg.Rate, format: c.q.name, bits: c.q.bits, holds: c.holds, gulp: c.cfg.LookAhead / 2}
}

// close lets the program play out what it was given, for up to the look-ahead and half a second, and then ends it with
// all that it has started.
func (c *child) close(drain bool) <-chan struct{} {
	c.in.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if drain {
			select {
			case <-c.done:
			case <-time.After(c.cfg.LookAhead + stall):
			}
		}
		_ = c.cmd.Process.Kill()
		<-c.done
	}()
	return done
}

// tail keeps the last line that a program writes.
type tail struct {
	mu   sync.Mutex
	line []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = append(t.line, p...)
	text := strings.TrimRight(string(t.line), "\r\n")
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		t.line = append(t.line[:0], t.line[i+1:]...)
	}
	if over := len(t.line) - 500; over > 0 {
		t.line = append(t.line[:0], t.line[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.line))
}
