package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestScheduleOnlySendsCommands(t *testing.T) {
	var got []Command
	answers := []error{nil, &Refused{Reason: "A session is running."}, errors.New("disk")}
	do := func(_ context.Context, c Command) (Ack, error) {
		got = append(got, c)
		if len(got) > len(answers) {
			panic("a defect of ours")
		}
		return Ack{}, answers[len(got)-1]
	}
	s, err := NewSchedule([]Job{{At: "0 8 * * MON-FRI", Scene: "dusk", Fade: 5 * time.Minute}}, Jobs{Do: do}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.set = func(time.Time) bool { return true }
	for _, want := range []string{"done", "skipped: A session is running.", "failed", "failed"} {
		s.run(t.Context(), 0)
		if v := s.View()[0]; !strings.HasSuffix(v.Last, ": "+want) || v.Next == "" || v.Do != "scene dusk" {
			t.Errorf("after a run that was %q the schedule shows %+v", want, v)
		}
	}
	if c := got[0]; c.Do != SetScene || c.Scene != "dusk" || c.By != "5m0s" || c.ID == got[1].ID {
		t.Errorf("the job sent %+v", c)
	}
}

// Music is a command, which the room refuses in a session; a check and a backup are left out by the schedule itself.
func TestScheduleJobs(t *testing.T) {
	var busy bool
	var did []string
	jobs := Jobs{
		Do: func(_ context.Context, c Command) (Ack, error) {
			did = append(did, fmt.Sprint(c.Do, " ", c.Playlist, " ", c.By, " ", *c.DB))
			return Ack{}, nil
		},
		Busy: func() bool { return busy },
		Look: func(_ context.Context, c Check) (string, bool, error) {
			did = append(did, "look "+string(c))
			return "Sound does not work.", true, nil
		},
		Backup: func(_ context.Context, folder string, keep int) (string, error) {
			did = append(did, fmt.Sprint("backup ", folder, " ", keep))
			if folder == "/full" {
				return "", errors.New("no space")
			}
			return "a.tar.gz", nil
		},
	}
	s, err := NewSchedule([]Job{
		{At: "30 8 * * *", Play: "welcome", For: 45 * time.Minute, Level: -12}, {At: "0 8 * * *", Check: CheckRoom},
		{At: "0 3 * * *", Backup: "/b", Keep: 3}, {At: "0 3 * * *", Backup: "/full", Keep: 3},
	}, jobs, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for k := range s.jobs {
			s.run(t.Context(), k)
		}
		busy = true
	}
	want := []string{"arrival welcome 45m0s -12", "look room", "backup /b 3", "backup /full 3", "arrival welcome 45m0s -12"}
	if fmt.Sprint(did) != fmt.Sprint(want) {
		t.Errorf("done were %q", did)
	}
	busy = false
	for k, want := range []string{"done", "Sound does not work.", "wrote a.tar.gz", "failed"} {
		s.run(t.Context(), k)
		if v := s.View()[k]; !strings.HasSuffix(v.Last, ": "+want) {
			t.Errorf("entry %d: %+v", k, v)
		}
	}
	busy = true
	s.run(t.Context(), 2)
	if v := s.View()[2]; !strings.HasSuffix(v.Last, ": skipped: A session is running.") {
		t.Errorf("%+v", v)
	}
}

// A schedule waits for a clock that has been set, and reschedules all jobs when it is set later.
func TestScheduleWaitsForTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs, ahead atomic.Int64
		var known atomic.Bool
		var log bytes.Buffer
		s, err := NewSchedule([]Job{{At: "* * * * *", Scene: "dusk"}}, Jobs{Do: func(context.Context, Command) (Ack, error) {
			runs.Add(1)
			return Ack{}, nil
		}}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		s.wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		s.set = func(time.Time) bool { return known.Load() }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := runs.Load(); n != 0 || s.View()[0].Next != "" {
			t.Errorf("%d runs with a clock that is not set, the next at %q", n, s.View()[0].Next)
		}
		known.Store(true)
		time.Sleep(10*time.Minute + clockLooks)
		synctest.Wait()
		if n := runs.Load(); n != 10 || s.View()[0].Next == "" {
			t.Errorf("%d runs in ten minutes, the next at %q", n, s.View()[0].Next)
		}
		if strings.Contains(log.String(), "rescheduling all jobs") {
			t.Error(log.String())
		}
		ahead.Store(int64(time.Hour))
		time.Sleep(clockLooks)
		synctest.Wait()
		if n := strings.Count(log.String(), "rescheduling all jobs"); n != 1 || !strings.Contains(log.String(), "by=1h0m0s") {
			t.Errorf("the clock was set: %s", log.String())
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := runs.Load(); n != 15 {
			t.Errorf("%d runs in fifteen minutes", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Whoever makes the sound is told half a minute before a job needs it.
func TestScheduleSaysThatAJobIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var said []string
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, what+" "+time.Now().UTC().Format("15:04:05"))
		}
		s, err := NewSchedule([]Job{{At: "0 8 * * *", Scene: "dusk"}}, Jobs{
			Do:   func(context.Context, Command) (Ack, error) { note("done"); return Ack{}, nil },
			Near: func() { note("near") },
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s.set = func(time.Time) bool { return true }
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Hour)
		defer stop()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := strings.Join(said, ", "); got != "near 07:59:30, done 08:00:00" {
			t.Error(got)
		}
	})
}
