package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"image/png"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/lights"
)

// tones is a playlist of five tracks with all that a picture tells, in a data folder of its own.
func tones(t *testing.T) (data string) {
	t.Helper()
	data = t.TempDir()
	lists := filepath.Join(data, "playlists")
	music(t, lists, map[string]tone{"a.wav": {500, 50, -12}, "b.flac": {400, 45, -20}, "d.wav": {700, 33, -30}, "e.wav": {350, 38, -16}})
	// One that begins with silence, and grows softer; of another rate than the others, so that all is played at 48 kHz.
	out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
		"sine=frequency=300:sample_rate=48000:duration=47,volume='if(lt(t,7),0,if(lt(t,27),0.5,0.2))':eval=frame,aformat=channel_layouts=stereo", filepath.Join(lists, "c.flac")).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(lists, "p.yaml"), []byte(`name: Tones & sea
crossfade: 6s
bed: rain
phases:
  - {name: First, stage: preparation, length: 90s, flex: 10s, level: -6, music: [a.wav, b.flac], lights: {scene: dusk, fade: 30s}}
  - {name: Second, stage: administration, length: 50s, level: -3, until: Lozenge, marks: [Lozenge], music: [c.flac, d.wav]}
  - {name: Third, stage: administration, length: 20s, music: silence}
  - {name: Last, stage: integration, length: 80s, level: -10, music: [{bed: ocean}, e.wav], lights: {scene: day, fade: 30s}}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPicture holds that the picture's data is the arc's: clips, crossfades, flex and what the bed covers as the session
// plays them, the loudness as ffmpeg judges the render, and the light as lights simulate tells it.
func TestPicture(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := tones(t)
	wav := filepath.Join(data, "out.wav")
	if code, _, errs := roomd(t, nil, "render", "p", "--out", wav, "--data", data); code != exitOK {
		t.Fatalf("render: %d %s", code, errs)
	}
	cfg, _, _ := room.LoadConfig(filepath.Join(data, "room.yaml"))
	lib := openLibrary(filepath.Join(data, "playlists"), cfg, filepath.Join(data, "analysis"), slog.New(slog.DiscardHandler))
	defer lib.Close()
	pl, err := lib.Resolve(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	v, err := lib.picture(pl, cfg, lights.Profiles{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: 1}
	s := room.Rehearsal(b)
	sc := s.ScoreWith(lib.Heard)

	if v.EndMS != s.Ends().Milliseconds() || len(v.Phases) != len(s.Spans) || len(v.Clips) != len(sc.Clips) {
		t.Fatalf("the picture has %d phases and %d clips until %d ms, the arc %d, %d, %v", len(v.Phases), len(v.Clips), v.EndMS, len(s.Spans), len(sc.Clips), s.Ends())
	}
	for i, ph := range v.Phases {
		sp, file := s.Spans[i], pl.Phases[i]
		if ph.StartMS != sp.Start.Milliseconds() || ph.EndMS != sp.End.Milliseconds() || ph.PlanMS != sp.Nominal.Milliseconds() ||
			ph.Name != file.Name || ph.Stage != string(file.Stage) || ph.Until != file.Until || ph.Target != cfg.Audio.Reference+file.Level ||
			ph.FlexMS != file.Flex.Milliseconds() || ph.Silence != (ph.Name == "Third") {
			t.Errorf("phase %d is %+v, the arc has %+v of %+v", i, ph, sp, file)
		}
	}
	// a and b end 6 s before they would side by side: the phase follows them there.
	if end := v.Phases[0].EndMS; end != 89_000 {
		t.Errorf("First ends at %d ms, its tracks at 89000", end)
	}
	covers := 0
	for i, c := range v.Clips {
		want := sc.Clips[i]
		if c.ID != want.ID || c.StartMS != want.Start.Milliseconds() || c.EndMS != want.End.Milliseconds() || c.Gain != want.Gain || c.Bed != want.Bed ||
			c.FadeInMS != want.FadeIn.Milliseconds() || c.FadeOutMS != want.FadeOut.Milliseconds() {
			t.Errorf("clip %d is %+v, the score has %+v", i, c, want)
		}
		if c.Cover != "" {
			covers++
			if c.Bed != "rain" {
				t.Errorf("%+v covers", c)
			}
		}
		if c.Bed == "ocean" && c.Cover != "" {
			t.Errorf("the bed that was written is told to cover: %+v", c)
		}
	}
	if len(v.Joins) == 0 || len(v.Joins) != len(room.Joins(sc)) || v.Joins[0].FromMS != room.Joins(sc)[0].From.Milliseconds() {
		t.Errorf("the picture's joins are %+v, the score's %+v", v.Joins, room.Joins(sc))
	}
	if covers == 0 {
		t.Error("nothing is covered; Second's d.wav would have had less than 30 s")
	}

	// The light, at times between the points too.
	plan, err := planLight(pl, cfg, lights.Profiles{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range v.Lights {
		for at := int64(0); at < v.EndMS; at += 777 {
			k := 1
			for k < len(r.Points)-1 && r.Points[k].AtMS <= at {
				k++
			}
			p, q := r.Points[k-1], r.Points[k]
			drawn := p.Level + (q.Level-p.Level)*float64(at-p.AtMS)/float64(max(1, q.AtMS-p.AtMS))
			if l, ok := plan.light.At(r.Role, time.Duration(at)*time.Millisecond); !ok || math.Abs(l.L-drawn) > 1 {
				t.Errorf("%s at %d ms is drawn at L* %.1f and is %.1f", r.Role, at, drawn, l.L)
				break
			}
		}
	}
	if len(v.Lights) != len(cfg.Lights) {
		t.Errorf("%d roles are drawn, the room has %d", len(v.Lights), len(cfg.Lights))
	}

	// The loudness, as ffmpeg judges what was rendered. A bed is drawn even; it moves by some LU around that.
	out, err := exec.Command("ffmpeg", "-nostats", "-i", wav, "-af", "ebur128", "-f", "null", "-").CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	beds := func(ms int64) bool {
		for _, c := range v.Clips {
			if c.Bed != "" && c.StartMS < ms && ms-3000 < c.EndMS {
				return true
			}
		}
		return false
	}
	loud := map[int64][2]float64{} // by step: the loudest momentary and short-term
	for _, m := range regexp.MustCompile(`t: *([0-9.]+) .*M: *(-?[0-9.]+) +S: *(-?[0-9.]+)`).FindAllStringSubmatch(string(out), -1) {
		var f [3]float64
		for i := range f {
			f[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
		k := int64(f[0]*1000-50) / v.Loudness.StepMS
		l, ok := loud[k]
		if !ok {
			l = [2]float64{-70, -70}
		}
		loud[k] = [2]float64{max(l[0], f[1]), max(l[1], f[2])}
	}
	if from := sc.Clips[2].From; from < 6900*time.Millisecond {
		t.Errorf("the silence before c.flac is played: from %v", from)
	}
	compared := 0
	for k, short := range v.Loudness.ShortTerm {
		l, end := loud[int64(k)], int64(k+1)*v.Loudness.StepMS
		if end < 4000 || l == [2]float64{} || max(l[0], l[1]) < -50 {
			continue // before ffmpeg has 3 s, and where a fade ends
		}
		within := 1.0
		if beds(end) {
			within = 5
		}
		if d := v.Loudness.Momentary[k] - l[0]; math.Abs(d) > within && l[0] > -42 {
			t.Errorf("momentary loudness at %d ms is drawn at %.1f LUFS, ffmpeg hears %.1f", end, v.Loudness.Momentary[k], l[0])
		}
		if d := short - l[1]; math.Abs(d) > within && l[1] > -42 {
			t.Errorf("short-term loudness at %d ms is drawn at %.1f LUFS, ffmpeg hears %.1f", end, short, l[1])
		}
		compared++
	}
	if compared < 150 {
		t.Errorf("only %d steps were compared", compared)
	}
	if quiet := v.Loudness.Momentary[(v.Phases[2].EndMS-5000)/v.Loudness.StepMS]; quiet != -70 {
		t.Errorf("silence is drawn at %.1f LUFS", quiet)
	}
}

// TestPlotOfAPool holds that the picture shows what a phase asks of its pool and what is laid from it.
func TestPlotOfAPool(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "playlists"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "playlists", "p.yaml"), []byte(`name: Pools
phases:
  - {name: First, stage: preparation, length: 10m, music: {bed: rain}}
  - {name: Second, stage: administration, length: 30m, intensity: 2..4, pool: [{bed: drone, intensity: 4}, {bed: ocean, intensity: 2}, {bed: rain, intensity: 3}]}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	picture := func(name string) []byte {
		out := filepath.Join(data, name)
		if code, _, errs := roomd(t, nil, "plot", "p", "--out", out, "--data", data); code != exitOK {
			t.Fatalf("plot: %d %s", code, errs)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var v room.ArcView
	if err := json.Unmarshal(picture("p.json"), &v); err != nil {
		t.Fatal(err)
	}
	if c := v.Phases[1].Course; v.Phases[0].Course != nil || c == nil || c.From != 2 || c.To != 4 {
		t.Errorf("Second plans %+v, First %+v", c, v.Phases[0].Course)
	}
	want := map[string]float64{"Drone": 4, "Ocean": 2, "Rain": 3}
	var laid []float64
	for _, c := range v.Clips {
		if c.Phase == 1 {
			laid = append(laid, c.Intensity)
		}
		if c.Phase == 0 && c.Intensity != 0 || c.Phase == 1 && c.Intensity != want[c.Title] {
			t.Errorf("%+v", c)
		}
	}
	if len(laid) < 5 || laid[0] != 2 || !slices.Contains(laid[len(laid)-2:], 4) {
		t.Errorf("laid: %v", laid)
	}
	svg := picture("p.svg")
	if !bytes.Contains(svg, []byte("intensity: planned (dashed), and of what plays")) {
		t.Error("the picture has no intensity")
	}
	if b := picture("p.png"); len(b) == 0 {
		t.Error("no PNG")
	}
}

// TestPlot holds that the command writes a picture that can be opened, with every name in it, and says what it can't do.
func TestPlot(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := tones(t)
	svg, img := filepath.Join(data, "arc.svg"), filepath.Join(data, "arc.PNG")
	for _, out := range []string{svg, img} {
		if code, _, errs := roomd(t, nil, "plot", "p", "--out", out, "--data", data); code != exitOK {
			t.Fatalf("plot: %d %s", code, errs)
		}
	}
	b, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(b, new(struct{})); err != nil {
		t.Errorf("no XML: %v", err)
	}
	if bytes.Contains(b, []byte("intensity")) {
		t.Error("it shows the intensity of a playlist without a pool")
	}
	for _, w := range []string{"Tones &amp; sea", "First", "until Lozenge", "silence", "Ocean", "1:29 min ± 10 s", "ambient, L*", ">preparation<", ">integration<"} {
		if !bytes.Contains(b, []byte(w)) {
			t.Errorf("the picture does not hold %q", w)
		}
	}
	f, err := os.Open(img)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := png.Decode(f); err != nil || p.Bounds().Dx() != 3200 {
		t.Errorf("the PNG: %v", err)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"plot", "q", "--out", svg}, exitError, `no playlist or file "q"`},
		{[]string{"plot", "p", "--out", "arc.gif"}, exitUsage, ".svg, .png or .json"},
		{[]string{"plot", "p"}, exitUsage, "--out FILE.svg"},
	} {
		if code, _, errs := roomd(t, nil, append(c.args, "--data", data)...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%v ends with %d: %s", c.args, code, errs)
		}
	}
}

// TestArcServed holds that the page gets the same picture, beside a session too.
func TestArcServed(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	rig.Eventually(t, "the playlists are read", func() bool {
		var list []room.PlaylistView
		d.get("/api/v1/playlists", &list)
		return len(list) > 0
	})
	for i := range 2 {
		var v room.ArcView
		d.get("/api/v1/playlists/starter%2Ftour/arc", &v)
		if v.Name != "Ten-minute tour" || v.EndMS != 600_000 || len(v.Phases) != 7 || len(v.Clips) < 7 || len(v.Lights) != 2 || len(v.Loudness.Momentary) != 600 {
			t.Errorf("the arc is %+v", v)
		}
		if i == 0 {
			d.do(room.Command{Do: room.Start, Playlist: "starter/tour"})
		}
	}
}

// TestPlotOfMany draws many short tracks: each has its number in the picture and its whole name in the list, and what check warns
// of is drawn where it is.
func TestPlotOfMany(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	data := t.TempDir()
	root := filepath.Join(data, "playlists")
	tones := map[string]tone{}
	for i := range 42 {
		tones[fmt.Sprintf("%02d-track of a long name that has no room in its bar.flac", i+1)] = tone{200 + 10*float64(i), 10, -20}
	}
	music(t, filepath.Join(root, "many"), tones)
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "aevalsrc='(if(between(t,40,41),0.6,0.03))*sin(2*PI*400*t)':s=44100:d=80", filepath.Join(root, "jump.flac")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(root, "p.yaml"), []byte("name: Many\ncrossfade: 0s\nphases:\n  - {name: A, stage: preparation, length: 420s, music: many/}\n  - {name: B, stage: integration, length: 80s, music: [jump.flac, gone.flac]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	svg := filepath.Join(data, "arc.svg")
	for _, out := range []string{svg, filepath.Join(data, "arc.png")} {
		if code, _, errs := roomd(t, nil, "plot", "p", "--out", out, "--data", data); code != exitOK {
			t.Fatalf("plot: %d %s", code, errs)
		}
	}
	b, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]int{}
	for _, m := range regexp.MustCompile(`>([^<>]+)</text>`).FindAllStringSubmatch(string(b), -1) {
		texts[html.UnescapeString(m[1])]++
	}
	for i := range 42 {
		n, title := strconv.Itoa(i+1), fmt.Sprintf("%02d-track of a long name that has no room in its bar", i+1)
		if texts[n] != 2 || texts[title] != 1 {
			t.Errorf("%d is in the picture %d times, its name %d times", i+1, texts[n], texts[title])
		}
	}
	if texts["43  jump"]+texts["43"] < 1 || texts["jump"] != 1 {
		t.Errorf("jump is not drawn: %v", texts)
	}
	for _, want := range []*regexp.Regexp{regexp.MustCompile(`^43: "jump.flac" gets loud suddenly: roomd lowers it by \d+ dB$`), regexp.MustCompile(`^phase "B": 1 of 2 tracks can't be played$`)} {
		found := false
		for s := range texts {
			found = found || want.MatchString(s)
		}
		if !found {
			t.Errorf("not drawn: %v", want)
		}
	}
	// The rise is 40 s into its track, which begins at 7:00 of 8:20.
	x := plotLeft + (plotWidth-plotLeft-plotRight)*(420+40)/500
	if !regexp.MustCompile(fmt.Sprintf(`<polygon points="%.0f\.\d,[^"]*" fill="%s"`, math.Floor(x), warnFill)).Match(b) {
		t.Errorf("no warning is drawn at %.1f", x)
	}
}
