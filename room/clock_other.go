//go:build !linux

package room

import "time"

// sinceBoot returns the time since this process started. Only developers run roomd here; a restart uses the wall clock.
func sinceBoot() time.Duration { return time.Since(process) }

var process = time.Now()

// ClockSet reports whether wall, read from the wall clock, has a plausible year.
func ClockSet(wall time.Time) bool { return wall.Year() >= wrongYear }
