package room

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Said is a sentence that a person can see. Code and Args let a page say it in its own language; Text is English.
type Said struct {
	Code string `json:"code,omitempty"`
	Args Args   `json:"args,omitempty"`
	Text string `json:"-"`
}

// String is the sentence in English.
func (s Said) String() string { return s.Text }

// Args are a sentence's arguments by name. A Said is a sentence in the sentence. A time.Duration is written to JSON in milliseconds, as NAME_ms, a time.Time as a
// date, as NAME_date.
type Args map[string]any

// MarshalJSON writes durations in milliseconds and times as dates (ISO 8601).
func (a Args) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(a))
	for name, v := range a {
		switch v := v.(type) {
		case time.Duration:
			out[name+"_ms"] = ms(v)
		case time.Time:
			out[name+"_date"] = v.Format(time.DateOnly)
		default:
			out[name] = v
		}
	}
	return json.Marshal(out)
}

// Say makes the sentence called code; args are its names and values in turn.
func Say(code string, args ...any) Said {
	s := Said{Code: code}
	for k := 0; k+1 < len(args); k += 2 {
		if s.Args == nil {
			s.Args = Args{}
		}
		s.Args[args[k].(string)] = args[k+1]
	}
	s.Text = s.fill(english[code])
	return s
}

// fill puts the arguments into a sentence.
func (s Said) fill(text string) string {
	for name, v := range s.Args {
		switch d := v.(type) {
		case time.Duration:
			v = spoken(d)
		case time.Time:
			v = d.Format("2 January 2006")
		}
		text = strings.ReplaceAll(text, "{"+name+"}", fmt.Sprint(v))
	}
	return text
}

// Refuse makes a refusal with the sentence called code.
func Refuse(code string, args ...any) *Refused {
	s := Say(code, args...)
	return &Refused{Reason: s.Text, Code: s.Code, Args: s.Args}
}

// Of names the field of the command that is at fault.
func (r *Refused) Of(field string) *Refused {
	r.Field = field
	return r
}

// NewProblem makes a problem of part: code is its sentence in english.json, and code-do what to do about it; args are the
// names and values of both in turn. Nothing else makes one, so that each has a code; a test holds that.
func NewProblem(part, code string, args ...any) Problem {
	s := Say(code, args...)
	return Problem{Part: part, Says: s.Text, Do: s.Do(), Code: s.Code, Args: s.Args}
}

// With adds what only an engineer reads: a file's place, an error's chain, a command.
func (p Problem) With(details string) Problem {
	p.Details = details
	return p
}

// Refusal is p as the answer to somebody who asked for what can't be done: with what to do about it.
func (p Problem) Refusal() *Refused {
	return &Refused{Reason: strings.TrimSpace(p.Says + " " + p.Do), Code: p.Code, Args: p.Args, Details: p.Details}
}

// Do is what to do about it: the sentence called code-do, or empty.
func (s Said) Do() string { return s.fill(english[s.Code+"-do"]) }

// english holds each sentence by its code. What a problem asks for has the code of its sentence and "-do".
var english = func() (m map[string]string) {
	if err := json.Unmarshal(englishJSON, &m); err != nil {
		panic(err)
	}
	return m
}()

//go:embed english.json
var englishJSON []byte

// said is what is said of a role's light.
func (v LightView) said() Said {
	s := Said{Code: v.Code, Args: v.Args}
	s.Text = s.fill(english[v.Code])
	return s
}

// Problem is what is wrong with a role's light, as a problem of the lights.
func (v LightView) Problem() Problem {
	s := v.said()
	return Problem{Part: "lights", Says: s.Text, Do: s.Do(), Code: s.Code, Args: s.Args}
}

// Problem is what is wrong with the part; the zero Problem where it works.
func (v PartView) Problem() Problem {
	return Problem{Part: v.ProblemName(), Says: v.Why, Do: v.Do, Code: v.Code, Args: v.Args, Details: v.Details}
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
