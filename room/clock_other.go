//go:build !linux

package room

import "time"

// sinceBoot stands in where only developers run roomd: a restart there is told by the wall clock.
func sinceBoot() time.Duration { return time.Since(process) }

var process = time.Now()

// ClockSet says whether the wall clock, which shows wall, can be right.
func ClockSet(wall time.Time) bool { return wall.Year() >= wrongYear }
