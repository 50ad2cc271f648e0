package decode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopxl/beep/v2"

	"roomd/rig"
)

var _ beep.StreamCloser = (*Stream)(nil)

// script is a source that gives what the test sends it; its samples count up.
type script struct {
	send    chan int // how many frames to give next
	end     chan error
	stopped chan struct{}
	next    float32
}

func newScript() *script {
	return &script{send: make(chan int), end: make(chan error, 1), stopped: make(chan struct{})}
}

func (s *script) read(dst [][2]float32) (int, error) {
	select {
	case n := <-s.send:
		n = min(n, len(dst))
		for i := range dst[:n] {
			dst[i] = [2]float32{s.next, -s.next}
			s.next++
		}
		return n, nil
	case err := <-s.end:
		return 0, err
	case <-s.stopped:
		return 0, errors.New("stopped")
	}
}
func (s *script) stop()    { close(s.stopped) }
func (s *script) release() {}

func TestTryStreamNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newScript()
		s := newStream(src, Options{Rate: 48000}, maxLength)
		buf := make([][2]float64, 10)
		if n, ok := s.TryStream(buf); n != 0 || !ok {
			t.Fatalf("nothing decoded: %d, %v; want 0, true", n, ok)
		}
		src.send <- 4
		synctest.Wait()
		if b := s.Buffered(); b != 4*time.Second/48000 {
			t.Errorf("%v buffered, want 4 frames", b)
		}
		if n, ok := s.TryStream(buf); n != 4 || !ok || buf[0][0] != 0 {
			t.Fatalf("late decoder: %d frames from %v, %v; want 4 from 0, true", n, buf[0], ok)
		}
		src.send <- 3
		synctest.Wait()
		src.end <- io.EOF
		synctest.Wait()
		if n, ok := s.TryStream(buf[:2]); n != 2 || !ok {
			t.Fatalf("before the end: %d, %v; want 2, true", n, ok)
		}
		if n, ok := s.TryStream(buf); n != 1 || ok {
			t.Fatalf("at the end: %d, %v; want 1, false", n, ok)
		}
		if n, ok := s.Stream(buf); n != 0 || ok || s.Err() != nil {
			t.Fatalf("after the end: %d, %v, %v", n, ok, s.Err())
		}
		s.Close()
	})
}

func TestStreamWaitsAndCloseWakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newScript()
		s := newStream(src, Options{Rate: 48000}, maxLength)
		buf := make([][2]float64, 10)
		done := make(chan int)
		go func() {
			n, _ := s.Stream(buf)
			done <- n
			n, _ = s.Stream(buf)
			done <- n
		}()
		src.send <- 4
		src.send <- 6
		if n := <-done; n != 10 {
			t.Errorf("%d frames, want the 10 that were asked for", n)
		}
		src.send <- 3
		synctest.Wait()
		s.Close()
		if n := <-done; n != 3 && n != 0 {
			t.Errorf("%d frames after Close, want what was there or none", n)
		}
		if !errors.Is(s.Err(), ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", s.Err())
		}
		s.Close()
	})
}

// A decoder that hangs holds up neither its reader nor Close.
func TestCloseLeavesAHangingDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newScript()
		s := newStream(hanging{src}, Options{Rate: 48000}, maxLength)
		done := make(chan bool)
		go func() {
			_, ok := s.Stream(make([][2]float64, 10))
			done <- ok
		}()
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			s.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case ok := <-done:
			if ok {
				t.Error("frames out of nothing")
			}
		default:
			t.Error("the reader still waits")
		}
		began := time.Now()
		<-closed
		if d := time.Since(began); d > time.Second {
			t.Errorf("Close took %v", d)
		}
		src.stop() // it comes to its senses
	})
}

// hanging does not hear stop.
type hanging struct{ *script }

func (hanging) stop() {}

// The ring goes round many times: not one frame is lost, doubled or torn.
func TestRingKeepsEveryFrame(t *testing.T) {
	src := &counter{total: 200000}
	s := newStream(src, Options{Rate: 8000, Ahead: time.Millisecond}, maxLength)
	defer s.Close()
	buf := make([][2]float64, 777)
	want := 0.0
	for {
		n, ok := s.Stream(buf)
		for _, f := range buf[:n] {
			if f[0] != math.Mod(want, 8) {
				t.Fatalf("frame %.0f is %v", want, f)
			}
			want++
		}
		if !ok {
			break
		}
	}
	if want != 200000 {
		t.Errorf("%.0f frames, want 200000", want)
	}
}

type counter struct{ at, total int }

func (c *counter) read(dst [][2]float32) (int, error) {
	n := min(len(dst), c.total-c.at, 1+c.at%1999)
	for i := range dst[:n] {
		v := float32((c.at + i) % 8)
		dst[i] = [2]float32{v, v}
	}
	c.at += n
	if c.at == c.total {
		return n, io.EOF
	}
	return n, nil
}
func (*counter) stop()    {}
func (*counter) release() {}

// broken gives what no decoder should.
type broken struct{ kind string }

func (b broken) read(dst [][2]float32) (int, error) {
	switch b.kind {
	case "no progress":
		return 0, nil
	case "wild samples":
		inf := float32(math.Inf(1))
		copy(dst, [][2]float32{{float32(math.NaN()), inf}, {-inf, 1e30}, {0.5, -0.5}})
		return 3, io.EOF
	}
	return len(dst), nil // endless
}
func (broken) stop()    {}
func (broken) release() {}

func TestBrokenDecodersAreBounded(t *testing.T) {
	buf := make([][2]float64, 1<<16)
	s := newStream(broken{"no progress"}, Options{Rate: 48000}, maxLength)
	if n, ok := s.Stream(buf); n != 0 || ok || !errors.Is(s.Err(), ErrDamaged) {
		t.Errorf("no progress: %d, %v, %v; want an error", n, ok, s.Err())
	}
	s = newStream(broken{"wild samples"}, Options{Rate: 48000}, maxLength)
	n, _ := s.Stream(buf)
	want := [][2]float64{{0, 8}, {-8, 8}, {0.5, -0.5}}
	if n != 3 || [3][2]float64(buf[:3]) != [3][2]float64(want) {
		t.Errorf("wild samples come out as %v, want %v", buf[:n], want)
	}
	s = newStream(broken{"endless"}, Options{Rate: 8000}, time.Minute)
	total := drain(s)
	if !errors.Is(s.Err(), ErrDamaged) || total < 60*8000 || total > 60*8000+1<<15 {
		t.Errorf("an endless file gave %d frames and %v, want a minute and an error", total, s.Err())
	}
}

// held is how many files and children this process has.
func held(t *testing.T) (files, children int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tasks {
		b, _ := os.ReadFile(p)
		children += len(strings.Fields(string(b)))
	}
	return len(fds), children
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	long := sample(t, "long.mp3")
	buf := make([][2]float64, 4096)
	run := func(native bool, k int) {
		s, err := Open(t.Context(), long, Options{Rate: 48000, native: native})
		if err != nil {
			t.Fatal(err)
		}
		for range k % 4 {
			s.Stream(buf)
		}
		began := time.Now()
		s.Close()
		if d := time.Since(began); d > 1500*time.Millisecond {
			t.Errorf("Close took %v", d)
		}
		if n, ok := s.TryStream(buf); n != 0 || ok {
			t.Errorf("a closed stream gave %d frames, %v", n, ok)
		}
	}
	run(false, 1) // what is started once
	run(true, 1)
	files, children := held(t)
	routines := runtime.NumGoroutine()
	for k := range 12 {
		run(k%2 == 0, k)
	}
	rig.Eventually(t, "files, children and goroutines are as before", func() bool {
		f, c := held(t)
		return f <= files && c <= children && runtime.NumGoroutine() <= routines
	})
}

// A child that dies however often it is started ends the sound.
func TestChildThatAlwaysDiesEndsTheSound(t *testing.T) {
	s, err := Open(t.Context(), sample(t, "long.flac"), Options{Rate: 48000, Ahead: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pid := func() int { return s.src.(*reviving).running().cmd.Process.Pid }
	if pg, _ := syscall.Getpgid(os.Getpid()); pg == pid() {
		t.Error("the child shares our process group")
	}
	go func() {
		for !s.ended.Load() {
			_ = syscall.Kill(pid(), syscall.SIGKILL)
			time.Sleep(time.Millisecond)
		}
	}()
	total := drain(s)
	if !errors.Is(s.Err(), ErrDamaged) || total >= 11*48000/2 {
		t.Errorf("%d frames and %v after a kill", total, s.Err())
	}
}

// A child that can't be started again, as the computer has no process or no memory left, ends the sound and nothing else.
func TestChildThatCannotBeStartedAgainEndsTheSound(t *testing.T) {
	s, err := Open(t.Context(), sample(t, "long.flac"), Options{Rate: 48000, Ahead: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	was := tools
	tools = func() toolset { return toolset{ffmpeg: filepath.Join(t.TempDir(), "gone")} }
	defer func() { tools = was }()
	_ = syscall.Kill(s.src.(*reviving).running().cmd.Process.Pid, syscall.SIGKILL)
	if total := drain(s); s.Err() == nil || total >= 11*48000/2 {
		t.Errorf("%d frames and %v", total, s.Err())
	}
	s.Close()
}

// A child that hangs, on a dead disk say, is ended too.
func TestCloseEndsAHangingChild(t *testing.T) {
	s, err := Open(t.Context(), sample(t, "long.flac"), Options{Rate: 48000, Ahead: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	pid := s.src.(*reviving).running().cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	s.Close()
	rig.Eventually(t, "ffmpeg is gone", func() bool { return syscall.Kill(pid, 0) != nil })
}

// A daemon that is killed takes its decoders with it.
func TestChildDiesWithUs(t *testing.T) {
	if os.Getenv("DECODE_HOLD") != "" {
		s, err := Open(t.Context(), os.Getenv("DECODE_HOLD"), Options{Rate: 48000, Ahead: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("pid %d\n", s.src.(*reviving).running().cmd.Process.Pid)
		select {}
	}
	path := filepath.Join(t.TempDir(), "endless.flac")
	ffmpeg(t, "-f", "lavfi", "-i", "anullsrc=r=48000", "-t", "600", path)
	cmd := exec.Command(os.Args[0], "-test.run=^TestChildDiesWithUs$")
	cmd.Env = append(os.Environ(), "DECODE_HOLD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	if pg, err := syscall.Getpgid(pid); err != nil || pg != pid {
		t.Errorf("the child %d is in group %d (%v), want its own", pid, pg, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	rig.Eventually(t, "ffmpeg is gone", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(b), ") Z ")
	})
}

func drain(s *Stream) int {
	buf := make([][2]float64, 8192)
	total := 0
	for {
		n, ok := s.Stream(buf)
		total += n
		if !ok {
			return total
		}
	}
}

func TestOpenIsBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, sample(t, "16.wav"), Options{Rate: 48000}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled opening: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		src := newScript() // gives nothing
		s := newStream(src, Options{Rate: 48000}, maxLength)
		ctx, cancel := context.WithTimeout(t.Context(), openTimeout)
		defer cancel()
		began := time.Now()
		if err := s.prime(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != openTimeout {
			t.Errorf("a decoder that gives nothing: %v after %v", err, time.Since(began))
		}
		s.Close()
	})
}
