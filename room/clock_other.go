//go:build !linux

package room

import "time"

// sinceBoot stands in where only developers run roomd: a restart there is told by the wall clock.
func sinceBoot() time.Duration { return time.Since(process) }

var process = time.Now()

func clockSet(wall time.Time) bool { return wall.Year() >= wrongYear }
