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

// Jobs does what a schedule asks for.
type Jobs struct {
	// Do is the room's. A scene and music are commands, so they never disturb a session: the room refuses them in one.
	Do func(context.Context, Command) (Ack, error)
	// Busy says whether a session runs: a check or a backup is then left out.
	Busy func() bool
	// Look does a check and tells in a sentence what it found; bad: something is wrong.
	Look func(context.Context, Check) (says string, bad bool, err error)
	// Backup writes one, deletes all but the newest keep, and tells the new one's name.
	Backup func(ctx context.Context, folder string, keep int) (name string, err error)
}

// Schedule runs the room file's jobs at their times. It waits until the wall clock has been set, and begins anew when the
// clock is set later.
type Schedule struct {
	jobs  []Job
	specs []cron.Schedule
	do    Jobs
	log   *slog.Logger
	wall  func() time.Time
	set   func(wall time.Time) bool // whether it can be the time of day

	mu   sync.Mutex // guards last
	last []string   // how each job's last run went, in words
}

// NewSchedule makes a schedule of jobs whose times have been checked.
func NewSchedule(jobs []Job, do Jobs, log *slog.Logger) (*Schedule, error) {
	s := &Schedule{jobs: jobs, do: do, log: log, last: make([]string, len(jobs)), wall: time.Now, set: ClockSet}
	for k, j := range jobs {
		spec, err := parseCron(j.At)
		if err != nil {
			return nil, fmt.Errorf("schedule entry %d: %w", k+1, err)
		}
		s.specs = append(s.specs, daily{spec})
	}
	return s, nil
}

// clockLooks is how often the wall clock is looked at, and clockStep by how much it may be off what has passed since the
// last look before it counts as set.
const (
	clockLooks = 10 * time.Second
	clockStep  = 5 * time.Second
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
		}
		c.Start()
		for steady := true; steady; {
			select {
			case <-ctx.Done():
				steady = false
			case <-look.C:
				// Round strips the monotonic reading: only the wall's own time tells of a step.
				off := s.wall().Round(0).Sub(wall.Round(0)) - time.Since(began)
				if steady = off.Abs() < clockStep; !steady {
					s.log.Info("the wall clock was set; the schedule begins anew", "by", off.Round(time.Second))
				}
			}
		}
		<-c.Stop().Done()
	}
	return nil
}

// run does one job. cron runs it in a goroutine of its own and does not catch a panic.
func (s *Schedule) run(ctx context.Context, k int) {
	j := s.jobs[k]
	result := "done"
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a scheduled job panicked", "job", j.At, "panic", p)
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
		result = "left out: " + refused.Reason
		s.log.Info("a scheduled job was left out", "at", j.At, "do", j.words(), "why", refused.Reason)
	case err != nil:
		result = "failed"
		s.log.Error("a scheduled job failed", "at", j.At, "do", j.words(), "err", err)
	case says != "":
		result = says
		s.log.Info("a scheduled job was done", "at", j.At, "do", j.words(), "says", says)
	}
}

// Limits of jobs.
const (
	commandTime = 30 * time.Second // reading a playlist may take seconds
	lookTime    = 6 * time.Hour    // hearing through a library that is new
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
		return "", &Refused{Reason: "A session is running."}
	case j.Check != "":
		says, bad, err := s.do.Look(ctx, j.Check)
		if bad && err == nil {
			s.log.Warn("a scheduled check found something", "check", string(j.Check), "says", says)
		}
		return says, err
	default:
		name, err := s.do.Backup(ctx, j.Backup, j.Keep)
		return "written: " + name, err
	}
	_, err = s.do.Do(ctx, c)
	return "", err
}

// words is what a job does.
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

// View is each job with its next run and how its last one went. Until the wall clock is set there is no next run.
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

// daily is a time of cron's whose runs are once a day where its hours are written, also on the two days of the year when
// the clocks change: a time that is skipped comes when the clocks have gone forward, one that comes twice counts once.
// Where every hour is meant (a * in its place) each hour that passes is one.
type daily struct{ cron.Schedule }

const everyHour = 1 << 63 // cron's own bit for a * in a field

// Next is the first run after t, in t's location.
func (d daily) Next(t time.Time) time.Time {
	spec, ok := d.Schedule.(*cron.SpecSchedule)
	if !ok || spec.Hour&everyHour != 0 {
		return d.Schedule.Next(t)
	}
	// What the clock on the wall shows, as if nobody ever changed it.
	shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	for {
		if shown = d.Schedule.Next(shown); shown.IsZero() {
			return shown
		}
		if at := firstShown(shown, t.Location()); at.After(t) {
			return at
		}
	}
}

// firstShown is the first moment when clocks in loc show a time; where they skip it, the moment when they do.
func firstShown(shown time.Time, loc *time.Location) time.Time {
	read := func(at time.Time) time.Duration {
		_, east := at.Zone()
		return at.Add(time.Duration(east) * time.Second).Sub(shown)
	}
	at := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, loc)
	start, end := at.ZoneBounds()
	switch off := read(at); {
	case off > 0:
		return start
	case off < 0:
		return end
	}
	if !start.IsZero() {
		_, before := start.Add(-time.Second).Zone()
		_, now := at.Zone()
		if earlier := at.Add(time.Duration(now-before) * time.Second); earlier.Before(start) && read(earlier) == 0 {
			return earlier
		}
	}
	return at
}
