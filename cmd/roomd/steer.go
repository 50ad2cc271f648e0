package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"roomd/room"
)

// tap is one line of a script for render --steer.
type tap struct {
	line, col int // of the command
	at        time.Duration
	command   room.Command
}

const tapWords = "deeper, lighter, another, choose WORD or now"

// readTaps reads a script of taps: a line each, the session time and the command, the earliest first. Lines that are empty or begin
// with # are left out. It returns all errors at once, each FILE:LINE:COL: what is wrong (how to write it).
func readTaps(file string) ([]tap, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var taps []tap
	var wrong []error
	n := 0
	for text := range strings.Lines(strings.TrimPrefix(string(b), "\ufeff")) {
		n++
		line := strings.TrimSpace(text)
		if line == "" || line[0] == '#' {
			continue
		}
		col := strings.Index(text, line) + 1
		say := func(col int, format string, args ...any) {
			wrong = append(wrong, fmt.Errorf("%s:%d:%d: %s", file, n, col, fmt.Sprintf(format, args...)))
		}
		clock, rest, _ := strings.Cut(line, " ")
		at, ok := readClock(clock)
		if !ok {
			say(col, "%q is not a session time (write it as 0:42:10)", clock)
			continue
		}
		if k := len(taps); k > 0 && at < taps[k-1].at {
			say(col, "%s is earlier than the line before (write the earliest tap first)", clock)
		}
		word := strings.TrimSpace(rest)
		col = strings.LastIndex(text, word) + 1
		do, name, _ := strings.Cut(word, " ")
		t := tap{n, col, at, room.Command{ID: strconv.Itoa(n), Do: room.Verb(do), Name: strings.TrimSpace(name)}}
		switch {
		case word == "":
			say(len(strings.TrimRight(text, "\r\n"))+1, "the tap is missing (write %s)", tapWords)
		case t.command.Do == room.Choose && t.command.Name == "":
			say(col+len(do), "choose has no word (write a word of the phase's menu behind it)")
		case t.command.Do == room.Choose:
		case t.command.Do != room.Deeper && t.command.Do != room.Lighter && t.command.Do != room.Another && t.command.Do != room.Bring:
			say(col, "unknown tap %q (write %s)", do, tapWords)
		case t.command.Name != "":
			say(col+len(do)+1, "unexpected %q behind %s", t.command.Name, do)
		}
		taps = append(taps, t)
	}
	return taps, errors.Join(wrong...)
}

// readClock reads a session time, h:mm:ss, with fractions of a second or without.
func readClock(s string) (time.Duration, bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 || len(parts[1]) != 2 || len(parts[2]) < 2 {
		return 0, false
	}
	h, err1 := strconv.ParseUint(parts[0], 10, 8)
	m, err2 := strconv.ParseUint(parts[1], 10, 8)
	sec, err3 := time.ParseDuration(parts[2] + "s")
	if err1 != nil || err2 != nil || err3 != nil || m > 59 || sec < 0 || sec >= time.Minute {
		return 0, false
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + sec.Truncate(time.Millisecond), true
}

// steer taps in a session, and returns it as it goes from the last tap on. What the session refuses is an error with the tap's place.
func steer(s *room.Session, file string, taps []tap) (*room.Session, error) {
	for _, t := range taps {
		next, _, err := s.Step(room.Input{Command: &t.command}, t.at)
		if err != nil {
			return nil, fmt.Errorf("%s:%d:%d: the session refuses %q: %w", file, t.line, t.col, t.command.Do, err)
		}
		s = next
	}
	return s, nil
}
