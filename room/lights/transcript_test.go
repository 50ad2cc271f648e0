package lights

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts tells what lamps do, step by step. A line that begins with > is an input at its time; what follows it is
// what the lamp then sends (=>), notes and believes. -update rewrites the answers, which are to be read as a diff.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d transcripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if *update {
				err = os.WriteFile(file, []byte(got), 0o600)
			} else if got != string(text) {
				t.Errorf("got:\n%s\nwant:\n%s", got, text)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	var out strings.Builder
	begin := time.Unix(1_700_000_000, 0)
	now, wake := begin, time.Time{}
	var l lamp
	at := func() string {
		return fmt.Sprintf("%d:%06.3f", int(now.Sub(begin).Minutes()), (now.Sub(begin) % time.Minute).Seconds())
	}
	// Lamps that stand somewhere follow commands, and answer them and questions after 20 ms.
	stand := map[string]ramp{}
	type answer struct {
		at    time.Time
		topic string
	}
	var answers []answer
	do := func(in any) {
		before := l
		before.units = slices.Clone(l.units)
		next, packets, due := step(l, in, now)
		again, twice, _ := step(l, in, now)
		if !reflect.DeepEqual(next, again) || !reflect.DeepEqual(packets, twice) || !reflect.DeepEqual(l, before) {
			t.Fatalf("%s: the step of %T is not pure", at(), in)
		}
		l, wake = next, due
		for _, n := range l.notes {
			fmt.Fprintf(&out, "  %s %s", at(), n.text)
			for k := 0; k+1 < len(n.pairs); k += 2 {
				fmt.Fprintf(&out, ", %v %v", n.pairs[k], n.pairs[k+1])
			}
			out.WriteString("\n")
		}
		for _, p := range packets {
			fmt.Fprintf(&out, "  %s => %s %s\n", at(), p.topic, p.payload)
			for _, topic := range slices.Sorted(maps.Keys(stand)) {
				if !strings.HasPrefix(p.topic, topic+"/") && (!l.grouped || p.topic != l.group.addr.topic+"/set") {
					continue
				}
				var m struct{ Brightness, Transition float64 }
				if json.Unmarshal(p.payload, &m) == nil && m.Brightness > 0 {
					stand[topic] = ramp{stand[topic].at(now), m.Brightness, now, now.Add(time.Duration(m.Transition * float64(time.Second)))}
				}
				answers = append(answers, answer{now.Add(20 * time.Millisecond), topic})
			}
		}
	}
	for line := range strings.Lines(script) {
		if !strings.HasPrefix(line, ">") && !strings.HasPrefix(line, "#") {
			continue
		}
		out.WriteString(line)
		f := strings.Fields(line)
		if f[0] == "#" {
			continue
		}
		var m int
		var s float64
		if _, err := fmt.Sscanf(f[1], "%d:%f", &m, &s); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		to := begin.Add(time.Duration(m)*time.Minute + time.Duration(s*1000)*time.Millisecond)
		for l.drv != nil {
			if len(answers) > 0 && !answers[0].at.After(to) && !answers[0].at.After(wake) {
				a := answers[0]
				now, answers = a.at, answers[1:]
				do(heard{a.topic, fmt.Appendf(nil, `{"state":"ON","brightness":%.0f}`, stand[a.topic].at(now)), false, false})
			} else if wake.After(to) {
				break
			} else {
				now = wake
				do(nil)
			}
		}
		now = to
		rest := strings.Join(f[3:], " ")
		switch f[2] {
		case "lamp": // driver topic, or the topics of a group and its members; option=value
			l.conf = Lamp{Driver: f[3], Extra: map[string]string{}}
			l.role, l.drv = "ambient", drivers[f[3]]
			var topics []string
			for _, w := range f[4:] {
				if k, v, ok := strings.Cut(w, "="); ok {
					l.conf.Extra[k] = v
				} else {
					topics = append(topics, w)
				}
			}
			in := found{open: true}
			for _, topic := range topics[min(1, len(topics)-1):] {
				in.units = append(in.units, address{topic, l.conf.Extra, l.drv.caps(l.conf)})
			}
			if len(topics) > 1 {
				in.group = &address{topics[0], l.conf.Extra, l.drv.caps(l.conf)}
			}
			do(in)
		case "stands": // topic brightness; - is one without power
			var topic string
			var level float64
			if n, _ := fmt.Sscan(rest, &topic, &level); n == 2 {
				stand[topic] = ramp{level, level, now, now}
			} else {
				delete(stand, topic)
			}
		case "aim", "now", "urge": // L* over kelvin
			var level Level
			var over string
			_, _ = fmt.Sscan(rest, &level.L, &over, &level.Kelvin)
			d, err := time.ParseDuration(over)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			from := 0.0
			for k := range l.units {
				from = l.units[k].lightness(now)
			}
			if f[2] == "urge" {
				do(urge{plan{active: true, kind: Urgent, target: level, from: from, to: level.L, hue: level.colour(), hues: level.colour(), t0: now, t1: now.Add(d)}})
			} else {
				kind := map[string]Kind{"aim": Planned, "now": Unplanned}[f[2]]
				do(aim{turn(kind, level, from, level.colour(), 0, d, now)})
			}
		case "hear", "retained", "ours": // topic payload
			topic, payload, _ := strings.Cut(rest, " ")
			do(heard{topic, []byte(payload), f[2] == "retained", f[2] == "ours"})
		case "connection":
			do(linked{rest == "open"})
		case "bridge":
			do(bridgeIs{rest == "online"})
		case "power":
			do(regained{rest})
		case "resume":
			do(resume{})
		case "look":
			do(look{})
		case "test":
			do(pause{on: rest == "begins", why: reconnected})
		case "state":
			for k := range l.units {
				u := &l.units[k]
				fmt.Fprintf(&out, "  %s is believed at L* %.1f", u.name, u.lightness(now))
				for _, is := range []struct {
					yes  bool
					says string
				}{{!u.known, "not known"}, {!u.on, "off"}, {u.heldLevel, "held"}, {u.heldColour, "color held"}, {u.lost, "lost"}, {u.suspect > 0, "doubted"}, {l.trap, "a stored command"}, {u.reached, "reached"}} {
					if is.yes {
						out.WriteString(", " + is.says)
					}
				}
				if u.actual != nil {
					fmt.Fprintf(&out, "; last seen at L* %.1f", u.actual.L)
				}
				out.WriteString("\n")
			}
		default:
			t.Fatalf("unknown input %q", line)
		}
	}
	return out.String()
}
