package output

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
)

func TestAChildEatsWhatIsPlayed(t *testing.T) {
	t.Parallel()
	for bits, seconds := range map[int]float64{16: 0.3, 32: 1.5} {
		frames := int(seconds * 48000)
		path := filepath.Join(t.TempDir(), "eaten")
		// It swallows faster than sound, so the clock sets the pace.
		l := Open(Config{Kind: Command, Bits: bits, Command: []string{"sh", "-c", "echo {rate} {channels} {bits} {format} >" + path + ".args; cat >" + path}}, slog.New(slog.DiscardHandler))
		if h := l.Health(); h.State != Opening || h.Device != "sh" {
			t.Fatalf("health %+v", h)
		}
		start := time.Now()
		for k := 0; k < frames; {
			block := make([][2]float64, min(l.Wait(nil), frames-k))
			for i := range block {
				block[i] = count(k + i)
				if bits == 16 {
					block[i] = [2]float64{float64(k%100) / 128, -0.25}
				}
			}
			if _, ok := l.Prepare(); !ok {
				t.Fatal(l.Health())
			}
			if err := l.Write(block); err != nil {
				t.Fatal(err)
			}
			k += len(block)
		}
		took, ahead := time.Since(start), l.Delay()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if bits == 32 && (took < 1190*time.Millisecond || took > 2*time.Second || ahead > 310*time.Millisecond) {
			t.Errorf("1.5 s took %v and is %v ahead", took, ahead)
		}
		args, _ := os.ReadFile(path + ".args")
		if want := map[int]string{16: "48000 2 16 S16_LE\n", 32: "48000 2 32 S32_LE\n"}[bits]; string(args) != want {
			t.Errorf("arguments %q", args)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		eaten := rig.Frames(raw, bits)
		if len(eaten) != frames {
			t.Errorf("%d bits: %d frames", bits, len(eaten))
		}
		if bits == 32 {
			if n, err := counted(eaten, 0); err != nil {
				t.Errorf("%d frames: %v", n, err)
			}
		}
	}
}

func TestAChildsClockSetsThePace(t *testing.T) {
	t.Parallel()
	card := rig.SoundCard(t, 0.7)
	c := start(t, card.Env(), play{
		For:    1200 * time.Millisecond,
		Config: Config{Kind: Command, Bits: 32, Command: []string{"aplay", "-q", "-t", "raw", "-f", "{format}", "-r", "{rate}", "-c", "{channels}", "-B", "80000", "-F", "20000", "-"}},
	})
	end := c.end(6 * time.Second)
	if end.At < 1300*time.Millisecond || end.At > 2100*time.Millisecond || end.Health.Reopenings != 0 {
		t.Errorf("1.2 s at 0.7 of the speed took %v, %+v", end.At, end.Health)
	}
	if end.Delay < 20*time.Millisecond || end.Delay > 200*time.Millisecond {
		t.Errorf("delay %v", end.Delay)
	}
	if runs := counts(card.Played().Frames); len(runs) != 1 || runs[0] != [2]int{0, 1200*48 - 1} {
		t.Errorf("heard %v\n%s", runs, card.Log())
	}
}

func TestAChildThatEndsIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := Open(Config{Kind: Command, Command: []string{"sh", "-c", "echo x >>" + dir + "/starts; echo no card >&2; exit 3"}}, slog.New(slog.DiscardHandler))
	defer l.Close()
	said := false
	for start := time.Now(); time.Since(start) < 1300*time.Millisecond; {
		n := l.Wait(nil)
		l.Prepare()
		if err := l.Write(sound(n)); err != nil {
			t.Fatal(err)
		}
		h := l.Health()
		said = said || h.State == Missing && strings.Contains(h.Error, "exit status 3: no card") && h.Code == "sound-program"
	}
	if !said {
		t.Errorf("health %+v", l.Health())
	}
	// At 0, 0.25 and 0.75 s, give or take the time to notice.
	starts, _ := os.ReadFile(dir + "/starts")
	if n := strings.Count(string(starts), "x"); n < 2 || n > 3 {
		t.Errorf("%d starts in 1.3 s", n)
	}
}

// TestWhatAProgramStartedEndsWithIt has a program end by itself after it started another.
func TestWhatAProgramStartedEndsWithIt(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/pid"
	c, err := openCommand(Config{Command: []string{"sh", "-c", "sleep 600 & echo $! >" + file}}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	<-c.(*child).done
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A killed process is a zombie until its parent collects it.
	rig.Eventually(t, "it is gone", func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

func TestAChildThatStallsIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := Open(Config{Kind: Command, Command: []string{"sh", "-c", "sleep 100 & echo $$ $! >>" + dir + "/pids; wait"}}, slog.New(slog.DiscardHandler))
	start := time.Now()
	for time.Since(start) < 5*time.Second && l.Health().Reopenings < 1 {
		n := l.Wait(nil)
		l.Prepare()
		if err := l.Write(sound(n)); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("replaced after %v", d)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	pids, _ := os.ReadFile(dir + "/pids")
	all := strings.Fields(string(pids))
	if len(all) != 4 {
		t.Errorf("started %q", all)
	}
	for _, pid := range all {
		rig.Eventually(t, "the child is gone", func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ") // its new parent may be slow to take note
		})
	}
}

func TestAMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	l := Open(Config{Kind: Command, Command: []string{"no-such-player"}}, slog.New(slog.DiscardHandler))
	defer l.Close()
	if h := l.Health(); h.State != Missing || h.Code != "sound-program-missing" {
		t.Errorf("health %+v", h)
	}
}

func TestOnlyAChildThatMakesWaitSetsThePace(t *testing.T) {
	t.Parallel()
	s, err := openCommand(Config{Kind: Command, Command: []string{"sh", "-c", "sleep 0.3; exec cat >/dev/null"}}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { <-s.close(true) }()
	paced := 0
	for i := range 4 {
		paces, err := s.write(sound(1920))
		if err != nil || paces && i == 0 {
			t.Fatalf("burst %d: paces %v, %v", i, paces, err)
		}
		if paces {
			paced++
		}
		time.Sleep(20 * time.Millisecond)
	}
	if paced == 0 {
		t.Error("a program that reads nothing sets no pace")
	}
	time.Sleep(400 * time.Millisecond)
	for i := range 4 {
		if paces, err := s.write(sound(1920)); paces || err != nil {
			t.Errorf("burst %d into a program that swallows all: paces %v, %v", i, paces, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestAProgramIsHeardBeforeItCounts plays into a pipe that nobody reads, then somebody does: one steady sentence until
// sound was taken for a while.
func TestAProgramIsHeardBeforeItCounts(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	var lines strings.Builder
	l := Open(Config{Kind: Command, Command: []string{"sh", "-c", "exec cat >" + pipe}}, slog.New(slog.NewTextHandler(&lines, nil)))
	defer l.Close()
	var said []string
	play := func(long time.Duration, until func(Health) bool) bool {
		for end := time.Now().Add(long); time.Now().Before(end); {
			n := l.Wait(nil)
			l.Prepare()
			if err := l.Write(sound(n)); err != nil {
				t.Fatal(err)
			}
			h := l.Health()
			if is := string(h.State) + ": " + h.Code; len(said) == 0 || said[len(said)-1] != is {
				said = append(said, is)
			}
			if until(h) {
				return true
			}
		}
		return false
	}
	if play(5*time.Second, func(h Health) bool { return h.State == Playing }) || len(said) != 2 || !strings.Contains(said[1], "sound-program") {
		t.Errorf("nobody reads: %q", said)
	}
	if n := strings.Count(lines.String(), "not playing"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, lines.String())
	}
	// It stays open over programs that come and go, as a reader like snapserver does.
	f, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	go func() { _, _ = io.Copy(io.Discard, f) }()
	if !play(10*time.Second, func(h Health) bool { return h.State == Playing && h.Code == "" }) || len(said) != 3 {
		t.Errorf("somebody reads: %q", said)
	}
}
