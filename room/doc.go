// Package room holds the session: the arc, the pure step function, the owner loop, the journal, the schedule and
// the room file. Rules are pure: the same inputs give the same session, so recovery is a replay.
package room
