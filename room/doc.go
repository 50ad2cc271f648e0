// Package room runs the session: arc, step function, owner loop, schedule and room file. The step function is pure: the
// same inputs give the same session, so recovery is a replay.
package room
