package room

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

// CheckCron says what is wrong with a schedule's time, nil if nothing is: five fields (minute, hour, day, month, weekday)
// as crontab(5) has them. Weekdays and months may be written out, ranges of them may wrap, and 7 is Sunday.
func CheckCron(spec string) error {
	_, err := parseCron(spec)
	return err
}

// NeverRuns reports whether a time that CheckCron accepts never comes, as 31 February does.
func NeverRuns(spec string) bool {
	s, err := parseCron(spec)
	return err == nil && s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero()
}

func parseCron(spec string) (cron.Schedule, error) {
	fields := strings.Fields(spec)
	if len(fields) != len(cronFields) {
		return nil, fmt.Errorf(`%q is not five fields (minute, hour, day, month and weekday: "0 8 * * MON-FRI")`, spec)
	}
	for k, f := range cronFields {
		var err error
		if fields[k], err = f.parse(fields[k]); err != nil {
			return nil, err
		}
	}
	return cron.ParseStandard(strings.Join(fields, " "))
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
