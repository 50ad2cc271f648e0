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

// NewProblem makes a problem of part: code is its sentence in english.json, and code-do what to do about it; args are the
// names and values of both in turn.
func NewProblem(part, code string, args ...any) Problem {
	s := say(code, args...)
	return Problem{Part: part, Says: s.Text, Do: say(code+"-do", args...).Text, Code: s.Code, Args: s.Args}
}

// english holds each sentence by its code. What a problem asks for has the code of its sentence and "-do".
var english = func() (m map[string]string) {
	if err := json.Unmarshal(englishJSON, &m); err != nil {
		panic(err)
	}
	return m
}()

//go:embed english.json
var englishJSON []byte

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
