package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"roomd/playlists"
	"roomd/room"
	"roomd/room/lights"
)

// beginScene is the light that a rehearsal begins with, which every room has.
const beginScene = "day"

// lightPlan is the light of a whole session, and the phases that it belongs to.
type lightPlan struct {
	name   string
	roles  []string
	light  lights.Rehearsal
	phases []lightPhase
	marks  []lightMark
	end    time.Duration
}

type lightPhase struct {
	name, stage string
	start, end  time.Duration
}

type lightMark struct {
	name string
	at   time.Duration
}

// simulateLights tells a session's light as it is planned, in a table and in a picture. Phases that wait for a mark last
// as long as the file says, and the room begins by day.
func simulateLights(ctx context.Context, c *call, cfg room.Config, id, out string) error {
	log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	lib := openLibrary(c.playlists, cfg, filepath.Join(c.data, "analysis"), log)
	defer lib.Close()
	id, err := lib.open(id)
	if err != nil {
		return err
	}
	if err := lib.hear(ctx, []string{id}, progress(c.stderr)); err != nil {
		return err
	}
	pl, err := lib.Resolve(ctx, id)
	if err != nil {
		return err
	}
	tested, err := lights.LoadProfiles(profilesIn(c.data))
	if err != nil {
		log.Warn("profiles of lights", "err", err)
	}
	plan, err := planLight(pl, cfg, tested)
	if err != nil {
		return err
	}
	if err := plan.table(c.stdout); err != nil || out == "" {
		return err
	}
	return os.WriteFile(out, []byte(plan.svg()), 0o644)
}

// planLight plays the session through as planned, and lays its light.
func planLight(pl playlists.Playlist, cfg room.Config, tested lights.Profiles) (*lightPlan, error) {
	s := room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: 1})
	p := &lightPlan{name: pl.Name, roles: slices.Sorted(maps.Keys(cfg.Lights))}
	first := map[string]int{"ambient": -2, "accent": -1}
	slices.SortStableFunc(p.roles, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	var cues []lights.Cue
	last := room.LightCue{}
	for {
		if l := s.Light; l != last && l.Scene != "" {
			last = l
			scene, ok := cfg.Scenes[l.Scene]
			if !ok {
				return nil, fmt.Errorf("the room has no scene %q", l.Scene)
			}
			cues = append(cues, lights.Cue{At: l.At, Move: lights.Move{Scene: scene, Over: l.Over, Kind: lights.Planned}})
		}
		at, ok := s.Due()
		if !ok {
			break
		}
		next, _, err := s.Step(room.Input{}, at)
		if err != nil {
			return nil, err
		}
		s = next
	}
	p.end = s.Ends()
	for i, sp := range s.Spans {
		ph := pl.Phases[i]
		p.phases = append(p.phases, lightPhase{ph.Name, string(ph.Stage), sp.Start, sp.End})
		if ph.Until != "" {
			p.marks = append(p.marks, lightMark{ph.Until, sp.End})
		}
	}
	p.light = lights.Rehearse(cfg.Lights, tested, cfg.Scenes[beginScene], cues)
	if len(p.roles) == 0 || p.end <= 0 {
		return nil, errors.New("there is no light to tell of")
	}
	return p, nil
}

// clock is a session time as people read it.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// table is the light of each role where a fade begins or ends, and each minute in between.
func (p *lightPlan) table(to io.Writer) error {
	times := []time.Duration{0, p.end}
	for _, ph := range p.phases {
		times = append(times, ph.start)
	}
	for _, role := range p.roles {
		b := p.light.Bends(role)
		times = append(times, b...)
		for i := 1; i < len(b); i++ {
			if p.rests(role, b[i-1], b[i]) {
				continue
			}
			for t := b[i-1].Truncate(time.Minute) + time.Minute; t < b[i]; t += time.Minute {
				times = append(times, t)
			}
		}
	}
	slices.Sort(times)
	times = slices.Compact(times)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "time\tphase\t%s\n", strings.Join(p.roles, "\t"))
	phase := -1
	for _, t := range times {
		if t > p.end {
			break
		}
		name := ""
		for i, ph := range p.phases {
			if ph.start <= t && i > phase {
				phase, name = i, ph.name
			}
		}
		fmt.Fprintf(w, "%s\t%s", clock(t), name)
		for _, role := range p.roles {
			fmt.Fprintf(w, "\t%s", p.says(role, t))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// rests tells whether a role's light stays as it is from one bend to just before the next.
func (p *lightPlan) rests(role string, from, to time.Duration) bool {
	was, _ := p.light.At(role, from)
	is, _ := p.light.At(role, to-1)
	return was == is
}

// says is a role's light in words.
func (p *lightPlan) says(role string, at time.Duration) string {
	l, ok := p.light.At(role, at)
	switch {
	case !ok:
		return "as it is"
	case l.Kelvin > 0:
		return fmt.Sprintf("L* %.1f, %d K", l.L, l.Kelvin)
	case l.Color != "":
		return fmt.Sprintf("L* %.1f, %s", l.L, l.Color)
	}
	return fmt.Sprintf("L* %.1f", l.L)
}

// Measures of the picture, in its own units.
const (
	svgWidth  = 1280
	svgLeft   = 64
	svgRight  = 32
	svgTop    = 140
	svgLane   = 190
	svgGap    = 58
	svgBottom = 44
)

// svg draws the light of each role by time: how high, as L*; in which colour, as the lamps have it, and as bright.
func (p *lightPlan) svg() string {
	height := svgTop + len(p.roles)*(svgLane+svgGap) - svgGap + svgBottom
	x := func(t time.Duration) float64 {
		return svgLeft + (svgWidth-svgLeft-svgRight)*t.Seconds()/p.end.Seconds()
	}
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, sans-serif" font-size="13">`, svgWidth, height, svgWidth, height)
	say(`<rect width="100%%" height="100%%" fill="#16130f"/>`)
	say(`<text x="%d" y="38" font-size="20" fill="#efe6da">%s</text>`, svgLeft, html.EscapeString(p.name))
	say(`<text x="%d" y="38" fill="#9a8f80" text-anchor="end">light by time, L*; %s</text>`, svgWidth-svgRight, clock(p.end))
	bottom := height - svgBottom
	for i, ph := range p.phases {
		a, z := x(ph.start), x(ph.end)
		shade := []string{"#ffffff08", "#ffffff00"}[i%2]
		say(`<rect x="%.1f" y="60" width="%.1f" height="%d" fill="%s"/>`, a, z-a, bottom-60, shade)
		say(`<line x1="%.1f" x2="%.1f" y1="60" y2="%d" stroke="#ffffff" stroke-opacity=".16"/>`, a, a, bottom)
		// A name that has no room is told by the picture's own tip.
		name := ph.name
		if room := int((z - a - 8) / 6.8); len([]rune(name)) > room {
			name = string([]rune(name)[:max(0, room-1)])
			if name != "" {
				name += "…"
			}
		}
		say(`<text x="%.1f" y="80" fill="#efe6da">%s<title>%s</title></text>`, a+7, html.EscapeString(name), html.EscapeString(ph.name))
		if i == 0 || p.phases[i-1].stage != ph.stage {
			say(`<text x="%.1f" y="98" fill="#9a8f80" font-size="11">%s</text>`, a+7, html.EscapeString(ph.stage))
		}
	}
	for _, m := range p.marks {
		say(`<line x1="%.1f" x2="%.1f" y1="60" y2="%d" stroke="#efe6da" stroke-dasharray="3 4"/>`, x(m.at), x(m.at), bottom)
		say(`<text x="%.1f" y="54" fill="#efe6da" font-size="12" text-anchor="middle">%s</text>`, x(m.at), html.EscapeString(m.name))
	}
	for i, role := range p.roles {
		p.lane(say, i, role, svgTop+float64(i)*(svgLane+svgGap), x)
	}
	step := 30 * time.Minute
	for _, s := range []time.Duration{15 * time.Minute, 5 * time.Minute, time.Minute} {
		if p.end < 5*step {
			step = s
		}
	}
	for t := time.Duration(0); t <= p.end; t += step {
		say(`<text x="%.1f" y="%d" fill="#9a8f80" text-anchor="middle">%d:%02d</text>`, x(t), bottom+24, int(t.Hours()), int(t.Minutes())%60)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// lightPoint is a light at a session time.
type lightPoint struct {
	at    time.Duration
	light lights.Level
}

// points are a role's light by time, dense enough to be drawn with straight lines; none where the light stays as it is.
func (p *lightPlan) points(role string) []lightPoint {
	var times []time.Duration
	for k := range 401 {
		times = append(times, time.Duration(float64(p.end)*float64(k)/400))
	}
	bends := p.light.Bends(role)
	for _, t := range bends {
		if t <= p.end {
			times = append(times, max(0, t-1), t) // a colour of another kind comes at once
		}
	}
	slices.Sort(times)
	var out []lightPoint
	for _, t := range times {
		l, ok := p.light.At(role, t)
		if !ok || len(out) > 0 && l == out[len(out)-1].light && t < p.end && !slices.Contains(bends, t) && !slices.Contains(bends, t+1) {
			continue
		}
		out = append(out, lightPoint{t, l})
	}
	return out
}

// lane draws one role, from y downward.
func (p *lightPlan) lane(say func(string, ...any), i int, role string, top float64, x func(time.Duration) float64) {
	y := func(l float64) float64 { return top + svgLane*(1-l/100) }
	for l := 0; l <= 100; l += 25 {
		say(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ffffff" stroke-opacity="%s"/>`, svgLeft, svgWidth-svgRight, y(float64(l)), y(float64(l)), map[bool]string{true: ".3", false: ".08"}[l == 0])
		say(`<text x="%d" y="%.1f" fill="#9a8f80" font-size="11" text-anchor="end">%d</text>`, svgLeft-8, y(float64(l))+4, l)
	}
	say(`<text x="%d" y="%.1f" fill="#efe6da" font-size="15" font-weight="600">%s</text>`, svgLeft, top-9, html.EscapeString(role))
	bends := p.light.Bends(role)
	var line, stops strings.Builder
	points := p.points(role)
	for _, q := range points {
		fmt.Fprintf(&line, " %.1f,%.1f", x(q.at), y(q.light.L))
		fmt.Fprintf(&stops, `<stop offset="%.4f" stop-color="%s" stop-opacity="%.2f"/>`, q.at.Seconds()/p.end.Seconds(), q.light.Tint(), 0.18+0.82*q.light.L/100)
	}
	if len(points) == 0 {
		return
	}
	say(`<linearGradient id="light%d" gradientUnits="userSpaceOnUse" x1="%d" x2="%d" y1="0" y2="0">%s</linearGradient>`, i, svgLeft, svgWidth-svgRight, stops.String())
	say(`<polygon fill="url(#light%d)" points="%.1f,%.1f%s %.1f,%.1f"/>`, i, x(points[0].at), y(0), line.String(), x(p.end), y(0))
	say(`<polyline fill="none" stroke="#efe6da" stroke-width="1.5" points="%s"/>`, strings.TrimSpace(line.String()))
	// Where the light comes to rest, it is told in words, as far as there is room.
	free := 0.0
	for k, t := range bends {
		rest := p.end
		if k+1 < len(bends) {
			rest = min(rest, bends[k+1])
		}
		if rest-t < time.Minute || !p.rests(role, t, rest) {
			continue
		}
		l, _ := p.light.At(role, t)
		text := strings.Replace(strings.TrimPrefix(p.says(role, t), "L* "), ".0", "", 1)
		at, anchor, wide := x(t)+6, "start", float64(len(text))*6.8
		if at+wide > svgWidth-svgRight {
			at, anchor = svgWidth-svgRight, "end"
		}
		if at >= free {
			say(`<text x="%.1f" y="%.1f" fill="#efe6da" font-size="12" text-anchor="%s" stroke="#16130f" stroke-width="4" stroke-linejoin="round" paint-order="stroke">%s</text>`,
				at, y(l.L)-8, anchor, html.EscapeString(text))
			free = at + wide
		}
	}
}
