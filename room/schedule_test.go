package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the zones of TestEveryDayOnce

	"github.com/robfig/cron/v3"
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

// Wherever the clocks are changed, and to whatever: a time of day comes once on each day that has one.
func TestEveryDayOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 5))
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			hour, minute := r.IntN(24), r.IntN(60)
			if r.IntN(2) == 0 {
				hour = r.IntN(4) // where clocks are changed
			}
			spec, err := cron.ParseStandard(fmt.Sprintf("%d %d * * *", minute, hour))
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2016, 1, 1, 0, 0, 0, 0, loc).Add(-time.Second)
			day := at
			for day.Year() < 2019 {
				at = daily{spec}.Next(at)
				day = day.AddDate(0, 0, 1)
				if at.Year() != day.Year() || at.YearDay() != day.YearDay() {
					t.Fatalf("%s: %02d:%02d comes at %v, the day is %v", zone, hour, minute, at, day)
				}
				if at.Hour() == hour && at.Minute() == minute {
					if earlier := at.Add(-time.Hour); earlier.Hour() == hour && earlier.Minute() == minute {
						t.Fatalf("%s: %02d:%02d comes the second time, %v", zone, hour, minute, at)
					}
					continue
				}
				if start, _ := at.ZoneBounds(); !at.Equal(start) {
					t.Fatalf("%s: %02d:%02d comes at %v", zone, hour, minute, at)
				}
			}
		}
	}
	// Each hour that passes is one, on a day of 23 hours and on one of 25.
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	hourly, err := cron.ParseStandard("0 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for day, want := range map[time.Time]int{time.Date(2026, 3, 29, 0, 0, 0, 0, berlin): 23, time.Date(2026, 10, 25, 0, 0, 0, 0, berlin): 25} {
		n := 0
		for at := day.Add(-time.Second); ; n++ {
			if at = (daily{hourly}).Next(at); at.Day() != day.Day() {
				break
			}
		}
		if n != want {
			t.Errorf("%v has %d hours", day, n)
		}
	}
}

func TestCheckCron(t *testing.T) {
	for spec, want := range map[string]string{
		"0 8 * * MON-FRI":      "0 8 * * 1,2,3,4,5",
		"0 8 * * SAT-SUN":      "0 8 * * 6,0",
		"0 8 * * FRI-MON":      "0 8 * * 5,6,0,1",
		"0 8 * * 7":            "0 8 * * 0",
		"0 8 * * 0-7":          "0 8 * * 0,1,2,3,4,5,6",
		"0 8 * * 5-7":          "0 8 * * 5,6,0",
		"0 8 * * Monday":       "0 8 * * 1",
		"0 8 * nov-feb *":      "0 8 * 11,12,1,2 *",
		"0 8 * December *":     "0 8 * 12 *",
		"*/15 8-18/5 1,15 * ?": "*/15 8,13,18 1,15 * ?",
		"5/20 * * * *":         "5,25,45 * * * *",
	} {
		fields := strings.Fields(spec)
		for k, f := range cronFields {
			fields[k], _ = f.parse(fields[k])
		}
		if got := strings.Join(fields, " "); got != want || CheckCron(spec) != nil || NeverRuns(spec) {
			t.Errorf("%s is %s, %v, wanted %s", spec, got, CheckCron(spec), want)
		}
	}
	for spec, says := range map[string]string{
		"every day":                  "is not five fields",
		"@every 1s":                  "is not five fields",
		"@daily":                     "is not five fields",
		"CRON_TZ=UTC 0 8 * * *":      "is not five fields",
		"CRON_TZ=Asia/Tokyo 8 * * *": `minute "CRON_TZ=Asia/Tokyo": the step`,
		"@every 1s * * *":            `minute "@every" must be from 0 to 59`,
		"61 8 * * *":                 `minute "61" must be from 0 to 59`,
		"0 24 * * *":                 `hour "24" must be from 0 to 23`,
		"0 8 0 * *":                  `day "0" must be from 1 to 31`,
		"0 8 * 13 *":                 `month "13" must be from 1 to 12, or a name like FEB`,
		"0 8 * * Mittwoch":           `weekday "Mittwoch" must be from 0 to 7, or a name like MON`,
		"0 18-8 * * *":               `hour "18-8" runs backwards`,
		"0 8 * * */0":                "the step must be from 1 to 6",
		"0 8 * * ,":                  `weekday "" must be`,
	} {
		if err := CheckCron(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, wanted %s", spec, err, says)
		}
	}
	if !NeverRuns("0 8 31 2 *") || !NeverRuns("0 8 31 APR,JUN *") || NeverRuns("0 8 29 2 *") || NeverRuns("61 8 * * *") {
		t.Error("NeverRuns")
	}
	if _, err := NewSchedule([]Job{{At: "61 8 * * *"}}, Jobs{}, slog.Default()); err == nil {
		t.Error("NewSchedule takes a time that CheckCron refuses")
	}
}
