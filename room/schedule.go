package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"roomd/room/crontab"
)

// Jobs are the actions that a schedule can run.
type Jobs struct {
	// Do is Room.Do. Scenes and music are commands, which the room refuses during a session.
	Do func(context.Context, Command) (Ack, error)
	// Near is called half a minute before Do will be; nil: nobody asks.
	Near func()
	// Busy reports whether a session is running. Checks and backups are then skipped.
	Busy func() bool
	// Look runs a check and returns its finding as a sentence. bad means that something is wrong.
	Look func(context.Context, Check) (says string, bad bool, err error)
	// Backup writes a backup, deletes all but the newest keep, and returns the new file's name.
	Backup func(ctx context.Context, folder string, keep int) (name string, err error)
}

// Schedule runs the room file's jobs. It waits until the wall clock is set, and reschedules all jobs when the clock is set
// again later.
type Schedule struct {
	jobs  []Job
	specs []crontab.Times
	do    Jobs
	log   *slog.Logger
	wall  func() time.Time
	set   func(wall time.Time) bool // whether wall can be right

	mu   sync.Mutex // guards last
	last []string   // result of each job's last run, in words
}

// NewSchedule returns a schedule of jobs, or an error if a job's time does not parse.
func NewSchedule(jobs []Job, do Jobs, log *slog.Logger) (*Schedule, error) {
	s := &Schedule{jobs: jobs, do: do, log: log, last: make([]string, len(jobs)), wall: time.Now, set: ClockSet}
	for k, j := range jobs {
		spec, err := crontab.Parse(j.At)
		if err != nil {
			return nil, fmt.Errorf("schedule entry %d: %w", k+1, err)
		}
		s.specs = append(s.specs, spec)
	}
	return s, nil
}

const (
	clockLooks = 10 * time.Second // how often Run checks the wall clock
	clockStep  = 5 * time.Second  // drift of the wall clock that counts as a change
)

// Run runs the jobs until ctx ends.
func (s *Schedule) Run(ctx context.Context) error {
	look := time.NewTicker(clockLooks)
	defer look.Stop()
	for ctx.Err() == nil {
		began, wall := time.Now(), s.wall()
		if !s.set(wall) {
			select {
			case <-ctx.Done():
			case <-look.C:
			}
			continue
		}
		c := cron.New()
		for k, spec := range s.specs {
			c.Schedule(spec, cron.FuncJob(func() { s.run(ctx, k) }))
			if s.do.Near != nil {
				c.Schedule(early{spec}, cron.FuncJob(s.do.Near))
			}
		}
		c.Start()
		for steady := true; steady; {
			select {
			case <-ctx.Done():
				steady = false
			case <-look.C:
				// Round strips the monotonic reading, which does not follow changes to the wall clock.
				off := s.wall().Round(0).Sub(wall.Round(0)) - time.Since(began)
				if steady = off.Abs() < clockStep; !steady {
					s.log.Info("wall clock changed; rescheduling all jobs", "by", off.Round(time.Second))
				}
			}
		}
		<-c.Stop().Done()
	}
	return nil
}

// early is a job's times, each half a minute before.
type early struct{ cron.Schedule }

func (e early) Next(t time.Time) time.Time {
	const before = 30 * time.Second
	if next := e.Schedule.Next(t.Add(before)); !next.IsZero() {
		return next.Add(-before)
	}
	return time.Time{}
}

// run runs job k and records the result. It recovers panics, because cron does not.
func (s *Schedule) run(ctx context.Context, k int) {
	j := s.jobs[k]
	result := "done"
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("scheduled job panicked", "job", j.At, "panic", p)
			result = "failed"
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last[k] = s.wall().Format("Mon 15:04") + ": " + result
	}()
	says, err := s.job(ctx, j)
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		result = "skipped: " + refused.Reason
		s.log.Info("scheduled job skipped", "at", j.At, "do", j.words(), "why", refused.Reason)
	case err != nil:
		result = "failed"
		s.log.Error("scheduled job failed", "at", j.At, "do", j.words(), "err", err)
	case says != "":
		result = says
		s.log.Info("scheduled job done", "at", j.At, "do", j.words(), "says", says)
	}
}

// Time limits of jobs.
const (
	commandTime = 30 * time.Second // resolving a playlist may take seconds
	lookTime    = 6 * time.Hour    // analyzing a new music library takes hours
)

func (s *Schedule) job(ctx context.Context, j Job) (says string, err error) {
	within := lookTime
	if j.Scene != "" || j.Play != "" {
		within = commandTime
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c := Command{ID: NewID()}
	switch {
	case j.Scene != "":
		c.Do, c.Scene = SetScene, j.Scene
		if j.Fade > 0 {
			c.By = j.Fade.String()
		}
	case j.Play != "":
		c.Do, c.Playlist, c.By, c.DB = Arrival, j.Play, j.For.String(), &j.Level
	case s.do.Busy():
		return "", Refuse("schedule-busy")
	case j.Check != "":
		says, bad, err := s.do.Look(ctx, j.Check)
		if bad && err == nil {
			s.log.Warn("scheduled check found a problem", "check", string(j.Check), "says", says)
		}
		return says, err
	default:
		name, err := s.do.Backup(ctx, j.Backup, j.Keep)
		return "wrote " + name, err
	}
	_, err = s.do.Do(ctx, c)
	return "", err
}

// words describes the job, as in "scene dusk".
func (j Job) words() string {
	switch {
	case j.Scene != "":
		return "scene " + j.Scene
	case j.Play != "":
		return "play " + j.Play
	case j.Check != "":
		return "check " + string(j.Check)
	}
	return "backup to " + j.Backup
}

// View returns each job with its next run and last result. Next is empty until the wall clock is set.
func (s *Schedule) View() []ScheduleView {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ScheduleView, len(s.jobs))
	for k, j := range s.jobs {
		out[k] = ScheduleView{At: j.At, Do: j.words(), Last: s.last[k]}
		now := s.wall()
		if next := s.specs[k].Next(now); s.set(now) && !next.IsZero() {
			out[k].Next = next.Format(time.RFC3339)
		}
	}
	return out
}
