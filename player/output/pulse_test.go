package output

import (
	"syscall"
	"testing"
	"time"

	"roomd/rig"
)

func TestPlaysEachFrameOnceIntoPulseAudio(t *testing.T) {
	t.Parallel()
	server := rig.PulseServer(t)
	var runs [][2]int
	end := steadily(0, func() []report {
		rec := server.Record()
		time.Sleep(300 * time.Millisecond)
		end := start(t, server.Env(), play{For: 1500 * time.Millisecond}).end(5 * time.Second)
		time.Sleep(300 * time.Millisecond)
		runs = counts(rec.Stop().Frames)
		return []report{end}
	})[0]
	if len(runs) != 1 || runs[0] != [2]int{0, 72000 - 1} {
		t.Errorf("heard %v", runs)
	}
	if h := end.Health; h.Underruns != 0 || h.Reopenings != 0 || h.Format != "S32_LE" || end.Delay > 300*time.Millisecond {
		t.Errorf("delay %v, health %+v", end.Delay, h)
	}
}

func TestComesBackWithPulseAudio(t *testing.T) {
	t.Parallel()
	server := rig.PulseServer(t)
	c := start(t, server.Env(), play{For: 2500 * time.Millisecond})
	c.until(5*time.Second, "it plays", func(r report) bool { return r.OK })
	time.Sleep(300 * time.Millisecond)
	server.Kill()
	c.until(time.Second, "the loss is noticed", func(r report) bool { return r.Health.State == Lost })
	time.Sleep(200 * time.Millisecond)
	server.Start()
	again := time.Now()
	rec := server.Record()
	back := c.until(time.Second, "it plays again", func(r report) bool { return r.OK && r.Health.Reopenings == 1 })
	t.Logf("back %v after the server", time.Since(again).Round(time.Millisecond))
	c.end(6 * time.Second)
	runs := counts(rec.Stop().Frames)
	if len(runs) != 1 || runs[0][0] < back.Written {
		t.Errorf("heard %v, back from frame %d", runs, back.Written)
	}
}

func TestPulseAudioThatHangsDoesNotHoldTheSoundUp(t *testing.T) {
	t.Parallel()
	server := rig.PulseServer(t)
	c := start(t, server.Env(), play{For: 3 * time.Second})
	c.until(5*time.Second, "it plays", func(r report) bool { return r.OK })
	time.Sleep(300 * time.Millisecond)
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	lost := c.until(2*time.Second, "the loss is noticed", func(r report) bool { return r.Health.State == Lost })
	t.Logf("lost: %s", lost.Health.Error)
	time.Sleep(700 * time.Millisecond)
	if err := server.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.until(2*time.Second, "it plays again", func(r report) bool { return r.OK && r.Health.Reopenings == 1 })
	end := c.end(6 * time.Second)
	if end.At > 4*time.Second || end.Longest > time.Second {
		t.Errorf("3 s of sound took %v, a block up to %v", end.At, end.Longest)
	}
}
