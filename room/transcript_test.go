package room

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/playlists"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// track is a track as measured, for tests.
func track(name string, length time.Duration, lufs float64) playlists.Item {
	return playlists.Item{Track: &playlists.Track{File: "/music/" + name + ".flac", Title: name, Length: length, Loudness: lufs, HasLoudness: true}}
}

// journey is a three-hour playlist with music of every kind.
func journey() playlists.Playlist {
	min := time.Minute
	ph := func(name string, st playlists.Stage, length time.Duration, scene string, music ...playlists.Item) playlists.Phase {
		return playlists.Phase{Name: name, Stage: st, Length: length, Crossfade: 10 * time.Second, Order: playlists.Listed,
			Lights: &playlists.Light{Scene: scene, Fade: 5 * min}, Music: music, Marks: []string{"Vitals", "Note"}}
	}
	p := playlists.Playlist{
		ID: "journey", Name: "First journey", Keep: playlists.KeepEnd, Bed: playlists.Drone, Crossfade: 10 * time.Second,
		Phases: []playlists.Phase{
			ph("Arrival", playlists.Preparation, 30*min, "dusk", track("Tide", 14*min, -20), track("Moss", 17*min, -18)),
			ph("Intention", playlists.Preparation, 10*min, "dusk", playlists.Item{Bed: playlists.Rain}),
			ph("Onset", playlists.Administration, 20*min, "floor", track("Loam", 9*min, -23), track("Fern", 12*min, -16)),
			ph("Journey", playlists.Administration, 50*min, "floor", track("Deep", 26*min, -24), track("Delta", 31*min, -19)),
			ph("Return", playlists.Administration, 20*min, "dusk", track("Dawn", 21*min, -21)),
			ph("Integration", playlists.Integration, 45*min, "day", playlists.Item{Silence: true}),
			ph("Leave", playlists.Integration, 5*min, "day", playlists.Item{Bed: playlists.Ocean}),
		},
		Remind: []playlists.Reminder{
			{After: "Lozenge", In: 7 * min, Say: "Spit or swallow", Marks: []string{"Spit", "Swallow"}},
			{After: "Lozenge", In: 40 * min, Marks: []string{"Vitals"}},
		},
		Boost: &playlists.Boost{Mark: "Booster", Phase: "Journey", By: 20 * min},
	}
	p.Phases[0].Flex = 2 * min
	p.Phases[1].Until = "Lozenge"
	p.Phases[1].Marks = []string{"Lozenge", "Vitals"}
	p.Phases[3].Level = -2
	return p
}

// revised is the journey with another Journey and one phase less.
func revised() *playlists.Playlist {
	pl := journey()
	pl.Name, pl.Revision = "Second journey", "2"
	pl.Phases[3].Music = []playlists.Item{track("Ridge", 40*time.Minute, -20)}
	return &pl
}

// short is a playlist of minutes, whose parts wait, end and cross within seconds of each other.
func short() playlists.Playlist {
	ph := func(name string, st playlists.Stage, length time.Duration, music ...playlists.Item) playlists.Phase {
		return playlists.Phase{Name: name, Stage: st, Length: length, Crossfade: 2 * time.Second, Order: playlists.Listed, Music: music,
			Lights: &playlists.Light{Scene: strings.ToLower(name), Fade: 10 * time.Second}}
	}
	p := playlists.Playlist{ID: "short", Name: "Short", Keep: playlists.KeepEnd, Bed: playlists.Drone, Crossfade: 2 * time.Second,
		Phases: []playlists.Phase{
			ph("Arrival", playlists.Preparation, 30*time.Second, track("First", 3*time.Minute, -20)),
			ph("Intention", playlists.Preparation, 40*time.Second, track("Second", 100*time.Second, -20), track("Third", 4*time.Hour, -20)),
			ph("Journey", playlists.Administration, 5*time.Minute, track("Deep", 4*time.Minute, -20), track("Delta", 4*time.Minute, -20)),
			ph("Leave", playlists.Integration, 2*time.Minute, track("Dawn", 10*time.Minute, -20)),
		},
		Boost: &playlists.Boost{Mark: "Booster", Phase: "Journey", By: 20 * time.Minute},
	}
	p.Phases[0].Flex = 5 * time.Second
	p.Phases[1].Until = "Lozenge"
	return p
}

// pool is a playlist of two phases, of which the second is laid from a pool of two pieces of five minutes of each intensity.
func pool() playlists.Playlist {
	ph := playlists.Phase{Name: "Journey", Stage: playlists.Administration, Length: 30 * time.Minute, Flex: time.Minute, Crossfade: 10 * time.Second,
		Order: playlists.Pooled, Course: &playlists.Course{From: 2, To: 4}}
	for _, it := range []struct {
		name string
		of   float64
	}{{"Calm", 1}, {"Loam", 2}, {"Deep", 3}, {"Rise", 4}, {"Peak", 5}} {
		for _, part := range []string{" I", " II"} {
			t := track(it.name+part, 5*time.Minute, -20)
			t.Track.Intensity = it.of
			ph.Music = append(ph.Music, t)
		}
	}
	ph.Menu = []playlists.Choice{{Name: "Ground", Items: []int{0, 1, 2}}, {Name: "Open", Items: []int{4, 7, 9}}, {Name: "Still", Silence: true}}
	return playlists.Playlist{ID: "pool", Name: "Pool", Keep: playlists.KeepEnd, Bed: playlists.Drone, Crossfade: 10 * time.Second, Phases: []playlists.Phase{
		{Name: "Arrival", Stage: playlists.Preparation, Length: 5 * time.Minute, Order: playlists.Listed, Crossfade: 10 * time.Second, Music: []playlists.Item{track("Tide", 10*time.Minute, -20)}},
		ph,
		{Name: "Leave", Stage: playlists.Integration, Length: 5 * time.Minute, Order: playlists.Listed, Crossfade: 10 * time.Second, Music: []playlists.Item{{Bed: playlists.Ocean}}},
	}}
}

func tellSteer(w *strings.Builder, s *Session, now time.Duration) {
	v := s.View(now).Steer
	if v == nil {
		fmt.Fprintln(w, "  nothing to steer")
		return
	}
	at := func(ms int64) string { return hms(time.Duration(ms) * time.Millisecond) }
	fmt.Fprintf(w, "  sounds %g, asked %.1f", v.Intensity, v.Asked)
	if v.Word != "" {
		fmt.Fprintf(w, ", %s", v.Word)
	}
	fmt.Fprintln(w)
	if c := v.Coming; c != nil {
		fmt.Fprintf(w, "  coming: %s %s at %s: %s, %g, can be brought now: %v\n", c.Do, c.Name, at(c.AtMS), c.Title, c.Intensity, c.CanNow)
	}
	for _, do := range v.Can {
		fmt.Fprintf(w, "  %s: %s at %s\n", do, v.Offers[do].Title, at(v.Offers[do].AtMS))
	}
	for _, m := range v.Menu {
		if m.Can {
			fmt.Fprintf(w, "  %s: %s at %s\n", m.Name, m.Title, at(m.AtMS))
		}
	}
	for _, a := range s.askedViews(now) {
		fmt.Fprintf(w, "  asked at %s: %s %s", at(a.AtMS), a.Do, a.Name)
		if a.CameMS > 0 {
			fmt.Fprintf(w, "; came at %s: %s", at(a.CameMS), a.Title)
		}
		fmt.Fprintln(w)
	}
}

func hms(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	out := fmt.Sprintf("%s%d:%02d:%02d", sign, d/time.Hour, d/time.Minute%60, d/time.Second%60)
	if ms := d.Milliseconds() % 1000; ms != 0 {
		out += fmt.Sprintf(".%03d", ms)
	}
	return out
}

func parseHMS(t *testing.T, s string) time.Duration {
	var h, m int
	var sec float64
	if _, err := fmt.Sscanf(s, "%d:%d:%f", &h, &m, &sec); err != nil {
		t.Fatalf("time %q: %v", s, err)
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec*1000)*time.Millisecond
}

// tell writes what a step did.
func tell(w *strings.Builder, s *Session, notes int, eff Effects, err error) {
	for _, n := range s.Notes[min(notes, len(s.Notes)):] {
		fmt.Fprintf(w, "  %s %s: %s\n", hms(n.At), n.Kind, n.Text)
	}
	if err != nil {
		fmt.Fprintf(w, "  refused: %v\n", err)
	}
	if m := eff.Master; m != nil {
		fmt.Fprintf(w, "  master to %g dB over %v\n", m.DB, m.Over.Round(time.Millisecond))
	}
	if l := eff.Light; l != nil {
		kind := "unplanned"
		if l.Urgent {
			kind = "urgent"
		} else if l.Plan {
			kind = "planned"
		}
		fmt.Fprintf(w, "  lights %s over %v, %s", l.Scene, l.Over, kind)
		if l.Follow != "" {
			fmt.Fprintf(w, ", following again: %s", l.Follow)
		}
		fmt.Fprintln(w)
	}
}

func tellArc(w *strings.Builder, s *Session, now time.Duration) {
	v := s.View(now)
	fmt.Fprintf(w, "  %s, ends %s\n", v.State, hms(time.Duration(v.EndsAtMS)*time.Millisecond))
	for _, p := range v.Phases {
		at := " "
		if p.Name == v.Phase.Name {
			at = "*"
		}
		fmt.Fprintf(w, "  %s %-12s %s – %s", at, p.Name, hms(time.Duration(p.StartMS)*time.Millisecond), hms(time.Duration(p.EndMS)*time.Millisecond))
		if p.Held {
			fmt.Fprint(w, " held")
		}
		if p.Waiting != "" {
			fmt.Fprintf(w, " until %s", p.Waiting)
		}
		fmt.Fprintln(w)
	}
	for _, r := range v.Timers {
		word := "timer until"
		if r.Due {
			word = "reminder since"
		}
		fmt.Fprintf(w, "  %s %s: %s\n", word, hms(time.Duration(r.DueMS)*time.Millisecond), r.Say)
	}
	for _, m := range v.Marks {
		if m.Second {
			fmt.Fprintf(w, "  second dose at %s: %s\n", hms(time.Duration(m.AtMS)*time.Millisecond), m.Name)
		}
	}
}

func tellScore(w *strings.Builder, s *Session, now time.Duration) {
	shown := 0
	for _, c := range s.Score().Clips {
		if c.End <= now {
			continue
		}
		if shown++; shown > 8 {
			fmt.Fprintln(w, "    …")
			return
		}
		fmt.Fprintf(w, "    %-7s %-6s %s – %s in %v out %v %+.1f dB\n", c.ID, c.Title, hms(c.Start), hms(c.End), c.FadeIn, c.FadeOut, c.Gain)
	}
}

// TestTranscripts tells whole sessions as text. A line that begins with "> " is an input: a session time and a
// command; "arc" and "score" print what stands. -update rewrites what comes between; people read the diff.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			var s *Session
			var eff Effects
			n := 0
			last := map[string]string{} // command IDs by verb
			for line := range strings.Lines(string(data)) {
				line = strings.TrimRight(line, "\n")
				if strings.HasPrefix(line, "#") {
					fmt.Fprintln(&out, line)
					continue
				}
				if !strings.HasPrefix(line, "> ") {
					continue
				}
				fmt.Fprintln(&out, line)
				f := strings.Fields(line[2:])
				now := parseHMS(t, f[0])
				n++
				if s == nil {
					pl := journey()
					for _, opt := range f[2:] {
						switch opt {
						case "lengths":
							pl.Keep = playlists.KeepLengths
						case "short":
							pl = short()
						case "pool":
							pl = pool()
						}
					}
					s, eff = NewSession("s1", begin(pl))
					tell(&out, s, 0, eff, nil)
					continue
				}
				in, show := Input{}, ""
				switch verb := f[1]; verb {
				case "arc", "score", "wait", "steer":
					show = verb
				case "trouble":
					in.Trouble = &Trouble{Clip: f[2]}
					for _, p := range s.Pieces {
						if s.title(p) == f[2] && p.End > now {
							in.Trouble.Clip = p.ID
						}
					}
				default:
					c := &Command{ID: strconv.Itoa(n), Do: Verb(verb)}
					if c.Do == Revise {
						c.Plan = revised()
					}
					if c.Do == Change {
						pl := journey()
						c.Plan = &pl
					}
					if len(f) > 2 {
						arg := strings.Join(f[2:], " ")
						switch c.Do {
						case MarkNow:
							c.Name = f[2]
							c.Second = slices.Contains(f, "second")
							for _, then := range []Then{ThenBegin, ThenNote} {
								if slices.Contains(f, string(then)) {
									c.Then = then
								}
							}
						case StartTimer:
							c.Name, c.In = f[2], f[3]
						case StopTimer:
							c.Of = arg
						case Choose:
							c.Name = arg
						case Follow:
							c.Role = arg
						case Extend:
							c.By = arg
						case SetLevel:
							db, _ := strconv.ParseFloat(arg, 64)
							c.DB = &db
						case Undo:
							c.Of = arg
							if arg == "last" {
								c.Of = strconv.Itoa(n - 1)
							} else if verb, ok := strings.CutPrefix(arg, "last-"); ok {
								c.Of = last[verb]
							}
						default:
							c.Phase = arg
						}
					}
					in.Command = c
					last[verb] = c.ID
				}
				notes := len(s.Notes)
				var err error
				s, eff, err = s.Step(in, now)
				tell(&out, s, notes, eff, err)
				switch show {
				case "arc":
					tellArc(&out, s, now)
				case "score":
					tellScore(&out, s, now)
				case "steer":
					tellSteer(&out, s, now)
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(data) {
				t.Errorf("%s: the session went another way (run with -update and read the diff):\n%s", file, out.String())
			}
		})
	}
}
