// Package crontab reads a schedule's times: five fields as crontab(5) has them, once a day also when the clocks change.
package crontab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// cronField is one of the five fields of a schedule's time.
type cronField struct {
	name   string
	lo, hi int
	words  []string // names of lo, lo+1, …; their first three letters do too
	wraps  bool     // a range may go past the end: SAT-MON, NOV-FEB
}

var cronFields = []cronField{
	{"minute", 0, 59, nil, false},
	{"hour", 0, 23, nil, false},
	{"day", 1, 31, nil, false},
	{"month", 1, 12, []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}, true},
	{"weekday", 0, 6, []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}, true},
}

// Times are the moments that a schedule's line names. The zero Times never come.
type Times struct{ spec cron.Schedule }

// Parse reads five fields: minute, hour, day, month, weekday. Weekdays and months may be written out, ranges of them may
// wrap, and 7 is Sunday. The error names the field that is wrong.
func Parse(spec string) (Times, error) {
	fields := strings.Fields(spec)
	if len(fields) != len(cronFields) {
		return Times{}, fmt.Errorf(`%q is not five fields (minute, hour, day, month and weekday: "0 8 * * MON-FRI")`, spec)
	}
	for k, f := range cronFields {
		var err error
		if fields[k], err = f.parse(fields[k]); err != nil {
			return Times{}, err
		}
	}
	s, err := cron.ParseStandard(strings.Join(fields, " "))
	return Times{s}, err
}

// Never reports whether the moment never comes, as 31 February does.
func (t Times) Never() bool {
	return t.spec == nil || t.spec.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero()
}

// parse returns a field as a list of numbers, or as * or */N.
func (f cronField) parse(text string) (string, error) {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(item, "/")
		n := 1
		if stepped {
			var err error
			if n, err = strconv.Atoi(step); err != nil || n < 1 || n > f.hi {
				return "", fmt.Errorf("%s %q: the step must be from 1 to %d", f.name, item, f.hi)
			}
		}
		if span == "*" || span == "?" {
			out = append(out, item)
			continue
		}
		from, to, ranged := strings.Cut(span, "-")
		a, err := f.value(from)
		if err != nil {
			return "", err
		}
		b := a
		if ranged {
			if b, err = f.value(to); err != nil {
				return "", err
			}
		} else if stepped {
			b = f.hi
		}
		size := f.hi - f.lo + 1
		if b < a && !f.wraps {
			return "", fmt.Errorf("%s %q runs backwards", f.name, item)
		}
		long := (b - a + size) % size
		if long == 0 && from != to && ranged {
			long = size - 1 // 0-7: both are Sunday
		}
		for v := 0; v <= long; v += n {
			out = append(out, strconv.Itoa(f.lo+(a-f.lo+v)%size))
		}
	}
	return strings.Join(out, ","), nil
}

// value is one number or name.
func (f cronField) value(text string) (int, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if f.name == "weekday" && n == 7 {
			n = 0
		}
		if n >= f.lo && n <= f.hi {
			return n, nil
		}
	}
	word := strings.ToLower(text)
	if k := slices.IndexFunc(f.words, func(w string) bool { return word == w || word == w[:3] }); k >= 0 {
		return f.lo + k, nil
	}
	hi := f.hi
	if f.name == "weekday" {
		hi = 7
	}
	if f.words != nil {
		first := strings.ToUpper(f.words[1][:3])
		return 0, fmt.Errorf("%s %q must be from %d to %d, or a name like %s", f.name, text, f.lo, hi, first)
	}
	return 0, fmt.Errorf("%s %q must be from %d to %d", f.name, text, f.lo, hi)
}

const everyHour = 1 << 63 // cron's bit for a * in a field

// Next returns the first run after t, in t's location, or the zero time if there is none. A time in the hour that the clocks
// skip comes when they go forward, and one in the hour that comes twice comes once; where the hour is *, every hour counts.
func (d Times) Next(t time.Time) time.Time {
	spec, ok := d.spec.(*cron.SpecSchedule)
	if !ok || spec.Hour&everyHour != 0 {
		return d.spec.Next(t)
	}
	// Compute in UTC, which has no daylight saving time, then map to t's location.
	shown := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	for {
		if shown = d.spec.Next(shown); shown.IsZero() {
			return shown
		}
		if at := firstShown(shown, t.Location()); at.After(t) {
			return at
		}
	}
}

// firstShown returns when clocks in loc first show the time shown, or when they skip it.
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
