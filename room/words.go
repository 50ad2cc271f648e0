package room

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Said is a sentence that a person can see. Code and Args let a page say it in its own language; Text is English.
type Said struct {
	Code string `json:"code,omitempty"`
	Args Args   `json:"args,omitempty"`
	Text string `json:"-"`
}

// Args are a sentence's arguments by name. A time.Duration is written to JSON in milliseconds, as NAME_ms.
type Args map[string]any

// MarshalJSON writes durations in milliseconds.
func (a Args) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(a))
	for name, v := range a {
		if d, ok := v.(time.Duration); ok {
			out[name+"_ms"] = ms(d)
		} else {
			out[name] = v
		}
	}
	return json.Marshal(out)
}

// say makes the sentence called code; args are its names and values in turn.
func say(code string, args ...any) Said {
	s := Said{Code: code, Text: english[code]}
	for k := 0; k+1 < len(args); k += 2 {
		if s.Args == nil {
			s.Args = Args{}
		}
		name, v := args[k].(string), args[k+1]
		s.Args[name] = v
		if d, ok := v.(time.Duration); ok {
			v = spoken(d)
		}
		s.Text = strings.ReplaceAll(s.Text, "{"+name+"}", fmt.Sprint(v))
	}
	return s
}

// refuse makes a refusal with the sentence called code.
func refuse(code string, args ...any) *Refused {
	s := say(code, args...)
	return &Refused{Reason: s.Text, Code: s.Code, Args: s.Args}
}

// of names the field of the command that is at fault.
func (r *Refused) of(field string) *Refused {
	r.Field = field
	return r
}

// problem makes a problem of part: code is its sentence, and code-do what to do about it.
func problem(part, code string, args ...any) Problem {
	s := say(code, args...)
	return Problem{Part: part, Says: s.Text, Do: english[code+"-do"], Code: s.Code, Args: s.Args}
}

// Codes are the codes of all sentences, sorted, for whoever translates them.
func Codes() []string { return slices.Sorted(maps.Keys(english)) }

// English is the sentence called code, with its arguments in braces.
func English(code string) string { return english[code] }

// english holds each sentence by its code.
var english = map[string]string{
	// why a command is refused: the command itself
	"unknown-verb":     "unknown command {verb}",
	"bad-id":           "must be a unique UUID",
	"too-late":         "Too late, so it was not applied. Tap again if you still want it.",
	"bad-by":           `must be a duration from 1 second to 1 hour (write "5m" or "-5m")`,
	"bad-db":           "must be a change in dB, from -12 to 6",
	"bad-in":           `must be a duration from 10 seconds to 3 hours (write "7m")`,
	"bad-then":         "must be begin or note",
	"bad-speed":        "must be a whole number from 1 to 600",
	"bad-at":           "The playlist is not that long.",
	"bad-arrival":      `must be a duration from 1 second to 24 hours (write "30m")`,
	"bad-arrival-db":   "must be from -40 to 0",
	"no-playlist":      "must be the id of a playlist",
	"empty-playlist":   "The playlist has no phases.",
	"broken-playlist":  "This playlist has errors. Its page lists them.",
	"unknown-scene":    "There is no scene “{scene}” in room.yaml.",
	"unknown-role":     "There is no light “{role}” in room.yaml.",
	"unknown-mark":     "“{mark}” is not a mark of this room or playlist.",
	"unknown-timer":    "There is no such timer.",
	"unknown-session":  "There is no such session.",
	"unknown-of":       "There is no such mark in this session.",
	"note-long":        "A note has at most 1,000 characters.",
	"note-unreadable":  "The note has characters that can't be read.",
	"erase-in-session": "This session is running. Erase it when it is over.",
	"erase-no-disk":    "The disk can't be written, so nothing can be erased. Try again later.",
	// why a command is refused: what the room is doing
	"no-session":        "No session is running.",
	"session-ended":     "The session has ended.",
	"session-ending":    "The session is ending.",
	"session-runs":      "A session is running. End it first.",
	"scene-in-session":  "A session is running, and its playlist controls the lights.",
	"before-only":       "That is only possible before a session.",
	"phase-over":        "{phase} is over; {now} is playing.",
	"held-already":      "The session already stays in {phase}.",
	"not-held":          "{phase} is not held.",
	"last-phase":        "{phase} is the last phase. Use End.",
	"too-short":         "That would end {phase} at once. Use Next.",
	"loudest":           "The music is as loud as this room allows.",
	"softest":           "The music is as soft as it gets. Use Silence.",
	"silent-already":    "The music is already silent.",
	"soft-already":      "The music is already soft.",
	"playing-already":   "The music is already playing.",
	"nothing-plays":     "No music is playing.",
	"track-over":        "That track is already over.",
	"nothing-else":      "{phase} has no other music to play.",
	"return-begun":      "The return has already begun.",
	"no-return":         "No later phase leads back. Use End.",
	"given-already":     "{mark} was noted {ago} ago. Press it for a second to note a second dose.",
	"emergency-first":   "This is an emergency. Use Resume: it brings music and lights back.",
	"many-timers":       "Eight timers are running. Stop one first.",
	"nothing-revised":   "The playlist has not changed.",
	"revise-lost":       "The changed playlist has no phase called {phase}, so what follows it is unknown.",
	"revise-lost-boost": "The changed playlist has no phase called {phase}, which you lengthened by {by}.",
	"revise-returning":  "The return has begun, so the playlist stays as it is.",
	"revise-crossing":   "The next phase is already fading in. Try again in a moment.",
	"undo-gone":         "That can no longer be undone.",
	"undo-order":        "Undo “{says}” first.",
	"undo-ends":         "Without that, the session would be over. Use End.",
	"no-check-music":    "This playlist has no music to check the sound with.",
	"lights-silent":     "{says}",
	// what Undo would take back
	"did-hold":       "Stay in {phase}",
	"did-release":    "{phase} goes on",
	"did-next":       "Moved on from {phase}",
	"did-next-open":  "Moved on from {phase} without {mark}",
	"did-extend":     "{phase} lengthened by {by}",
	"did-shorten":    "{phase} shortened by {by}",
	"did-louder":     "Louder",
	"did-softer":     "Softer",
	"did-silence":    "Music silenced",
	"did-resume":     "Music resumed",
	"did-soften":     "Music softened",
	"did-skip":       "Track skipped",
	"did-mark":       "{mark}",
	"did-second":     "{mark}, second dose",
	"did-begin":      "{mark}, and the journey began",
	"did-bring-back": "Bringing back",
	"did-care":       "Lights for care",
	"did-emergency":  "Emergency",
	"did-follow":     "Lights back to the playlist",
	"did-revise":     "Changed playlist taken over",
	"did-timer":      "{mark} in {in}",
	"did-timer-stop": "Timer {mark} stopped",
	// how a session ended
	"ended-planned":  "as planned",
	"ended-early":    "ended early",
	"ended-aborted":  "aborted",
	"ended-off":      "ended while the room was off",
	"ended-unread":   "could not be read after a restart",
	"ended-unknown":  "not known",
	"schedule-busy":  "A session is running.",
	"look-well":      "Sound, lights and everything else work.",
	"look-held":      "The light “{role}” was changed by hand.",
	"look-unknown":   "The light “{role}” has not answered yet.",
	"light-lost":     "The light “{role}” does not answer.",
	"clock-back":     "The computer's clock went back while it was off, so the session can't tell how long that was.",
	"clock-back-do":  "Check the time since the lozenge.",
	"clock-wrong":    "The computer's date is wrong: it says {date}.",
	"clock-wrong-do": "Sessions are still timed correctly. For the schedule, connect the computer to a network that tells the time.",
	"record-cut":     "Part of this session's record was damaged and was skipped.",
	"record-cut-do":  "Check the phase and the marks. Whoever looks after the computer should check its disk.",
	"record-lost":    "The session that was running can't be read any more, so it has ended.",
	"record-lost-do": "Start its playlist again and move on to the phase it was in.",
	"disk-warning":   "{says}", "disk-warning-do": "Whoever looks after the computer should check its disk.",
}

// endings are the codes of how a session can have ended.
var endings = []string{"ended-planned", "ended-early", "ended-aborted", "ended-off", "ended-unread", "ended-unknown"}

// endingCode is the code of an ending as the journal keeps it, in English; empty for none.
func endingCode(text string) string {
	for _, code := range endings {
		if english[code] == text {
			return code
		}
	}
	return ""
}

// spoken is a duration as a person says it: "26 s", "12 min", "1 h 04 min".
func spoken(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute, d < 2*time.Minute && d%time.Minute != 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour && d%time.Minute != 0:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d%time.Hour < time.Minute:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}
