package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// CheckCron says what is wrong with a schedule's time: five fields (minute, hour, day, month, weekday), as cron
// writes them; nil if nothing is.
func CheckCron(spec string) error {
	_, err := cron.ParseStandard(spec)
	return err
}

// Schedule runs the room file's jobs. A job only sends a command, so it never disturbs a session: the room refuses
// a scene while one runs, and the schedule says so. At the clock changes cron leaves out a time between 02:00 and
// 03:00 in spring and may run it twice in autumn; a scene that is set twice is the same scene.
type Schedule struct {
	cron *cron.Cron
	jobs []Job
	ids  []cron.EntryID
	do   func(context.Context, Command) (Ack, error)
	log  *slog.Logger

	mu   sync.Mutex // guards last
	last []string   // how each job's last run went, in words
}

// NewSchedule makes a schedule of jobs whose times have been checked.
func NewSchedule(jobs []Job, do func(context.Context, Command) (Ack, error), log *slog.Logger) (*Schedule, error) {
	s := &Schedule{cron: cron.New(), jobs: jobs, do: do, log: log, last: make([]string, len(jobs))}
	for k, j := range jobs {
		id, err := s.cron.AddFunc(j.At, func() { s.run(k) })
		if err != nil {
			return nil, fmt.Errorf("schedule entry %d: %w", k+1, err)
		}
		s.ids = append(s.ids, id)
	}
	return s, nil
}

// Run runs the jobs until ctx ends.
func (s *Schedule) Run(ctx context.Context) error {
	s.cron.Start()
	<-ctx.Done()
	<-s.cron.Stop().Done()
	return nil
}

// run does one job. cron runs it in a goroutine of its own and does not catch a panic.
func (s *Schedule) run(k int) {
	j := s.jobs[k]
	result := "done"
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a scheduled job panicked", "job", j.At, "panic", p)
			result = "failed"
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last[k] = time.Now().Format("Mon 15:04") + ": " + result
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := Command{ID: NewID(), Do: SetScene, Scene: j.Scene}
	if j.Fade > 0 {
		c.By = j.Fade.String()
	}
	_, err := s.do(ctx, c)
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		result = "left out: " + refused.Reason
		s.log.Info("a scheduled scene was left out", "at", j.At, "scene", j.Scene, "why", refused.Reason)
	case err != nil:
		result = "failed"
		s.log.Error("a scheduled scene failed", "at", j.At, "scene", j.Scene, "err", err)
	}
}

// View is each job with its next run and how its last one went.
func (s *Schedule) View() []ScheduleView {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ScheduleView, len(s.jobs))
	for k, j := range s.jobs {
		out[k] = ScheduleView{At: j.At, Do: "scene " + j.Scene, Last: s.last[k]}
		if next := s.cron.Entry(s.ids[k]).Schedule.Next(time.Now()); !next.IsZero() {
			out[k].Next = next.Format(time.RFC3339)
		}
	}
	return out
}
