package main

import (
	"bytes"
	"context"
	le "encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"roomd/player"
	"roomd/player/loudness"
	"roomd/playlists"
	"roomd/rig"
	"roomd/rig/judge"
	"roomd/room"
)

var corpusLists = flag.Int("corpus", 1, "how many random playlists TestCorpus renders; from 10 on with files of 192 kHz and 2 h")

// extremes are the files of the corpus, as ffmpeg makes them.
var extremes = map[string]string{
	"soft.flac":     "anoisesrc=c=pink:r=48000:d=80:a=0.5:seed=1,volume=-25dB",
	"loud.wav":      "anoisesrc=c=brown:r=44100:d=70:a=1:seed=2,volume=14dB,alimiter=limit=0.99:level=0",
	"up30.flac":     "anoisesrc=c=pink:r=48000:d=60:a=0.7:seed=3,volume='if(lt(mod(t,30),15),0.0316,1)':eval=frame",
	"down30.ogg":    "anoisesrc=c=pink:r=44100:d=90:a=0.7:seed=4,volume='if(lt(t,40),1,0.0316)':eval=frame",
	"stopped.flac":  "sine=f=330:r=44100:d=75,volume='if(between(t,25,50),0,1)':eval=frame",
	"edges.flac":    "sine=f=220:r=48000:d=60,volume='if(between(t,7,48),1,0)':eval=frame",
	"silent.wav":    "anullsrc=r=44100:cl=stereo:d=45",
	"clicks.wav":    "aevalsrc='0.003*sin(2*PI*300*t)+if(lt(mod(t,3),0.0003),0.99,0)':s=44100:d=60",
	"square.wav":    "aevalsrc='if(lt(mod(t*110,1),0.5),1,-1)':s=48000:d=50",
	"bursts.wav":    "aevalsrc='(if(lt(mod(t,9),1),1,0.01))*sin(2*PI*500*t)':s=44100:d=63",
	"mono.mp3":      "sine=f=440:r=22050:d=65,volume=6dB",
	"low.wav":       "anoisesrc=c=pink:r=8000:d=60:a=0.4:seed=5",
	"left.flac":     "sine=f=500:r=44100:d=60,pan=stereo|c0=c0|c1=0*c0,volume=12dB",
	"short.wav":     "sine=f=1000:r=44100:d=0.1,volume=15dB",
	"music.mp3":     "anoisesrc=c=pink:r=44100:d=110:a=0.6:seed=6,tremolo=f=0.1:d=0.8",
	"whisper.flac":  "anoisesrc=c=pink:r=44100:d=70:a=0.5:seed=7,volume=-40dB",
	"overs.wav":     "aevalsrc='0.999*sin(2*PI*11025*t+PI/4)':s=44100:d=40",
	"crescendo.wav": "sine=f=350:r=48000:d=100,volume='pow(10,(-60+0.6*t)/20)*8':eval=frame",
}

// great are those that take long to make, hear and play.
var great = map[string]string{
	"high.flac":  "anoisesrc=c=pink:r=192000:d=120:a=0.6:seed=8",
	"hours.flac": "anoisesrc=c=pink:r=44100:d=7200:a=0.5:seed=9,volume='if(lt(mod(t,600),300),0.2,1)':eval=frame",
}

// makeMusic has ffmpeg make files in folder, two at a time.
func makeMusic(folder string, files map[string]string) error {
	var all errgroup.Group
	all.SetLimit(2)
	for name, made := range files {
		all.Go(func() error {
			if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", made, filepath.Join(folder, name)).CombinedOutput(); err != nil {
				return fmt.Errorf("ffmpeg %s: %w\n%s", name, err, out)
			}
			return nil
		})
	}
	return all.Wait()
}

// extremeMade is the folder of the extremes, which are made once.
var extremeMade = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(binaryDir, "extremes")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return "", err
	}
	return folder, makeMusic(folder, extremes)
})

// extremeMusic puts the extremes into folder, and returns their names.
func extremeMusic(t *testing.T, folder string) []string {
	t.Helper()
	made, err := extremeMade()
	must(t, err)
	must(t, os.CopyFS(folder, os.DirFS(made)))
	return slices.Sorted(maps.Keys(extremes))
}

// TestCorpus renders random playlists of extreme files, and holds promises 1, 2 and 4 on each by ffmpeg's word: nothing
// startles in any 100 ms, nothing stops for over 2 s where music is due, and phases end on their frame.
func TestCorpus(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "playlists")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	names := extremeMusic(t, folder)
	if *corpusLists >= 10 {
		must(t, makeMusic(folder, great))
		names = slices.AppendSeq(names, maps.Keys(great))
		slices.Sort(names)
	}
	for k := range *corpusLists {
		r := rand.New(rand.NewPCG(uint64(k), 7))
		text := randomPlaylist(r, names)
		id := fmt.Sprintf("random%d", k)
		if err := os.WriteFile(filepath.Join(folder, id+".yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := holdsPromises(t, dir, id, ""); err != nil {
			t.Errorf("playlist %d: %v\n%s", k, err, text)
		}
	}
}

// randomPlaylist is a playlist of some minutes in each stage.
func randomPlaylist(r *rand.Rand, names []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: Random\ncrossfade: %ds\nbed: %s\nphases:\n", r.IntN(12), []string{"drone", "ocean", "rain"}[r.IntN(3)])
	n := 0
	for _, stage := range []string{"preparation", "administration", "integration"} {
		for range 1 + r.IntN(2) {
			n++
			fmt.Fprintf(&b, "  - {name: Phase %d, stage: %s, length: %ds, flex: %ds, level: %d, order: %s, music: ",
				n, stage, 60+r.IntN(240), r.IntN(40), -r.IntN(13), []string{"listed", "shuffle", "fit"}[r.IntN(3)])
			if r.IntN(8) == 0 {
				b.WriteString("silence}\n")
				continue
			}
			var music []string
			for range 1 + r.IntN(5) {
				if r.IntN(8) == 0 {
					music = append(music, "{bed: rain}")
				} else {
					music = append(music, names[r.IntN(len(names))])
				}
			}
			fmt.Fprintf(&b, "[%s]}\n", strings.Join(music, ", "))
		}
	}
	return b.String()
}

// holdsPromises renders a playlist, with a script of taps or without, and says which promise its sound breaks.
func holdsPromises(t *testing.T, dir, id, script string) error {
	wav, cuesFile := filepath.Join(dir, "out.wav"), filepath.Join(dir, "cues.json")
	if code, _, stderr := roomd(t, nil, "render", id, "--out", wav, "--cues", cuesFile, "--data", dir, "--steer", script); code != exitOK {
		return fmt.Errorf("render: %d %s", code, stderr)
	}
	// The arc is the arc that the render was made of.
	s, lib := rehearsalOf(t, dir, id)
	pl := s.Begin.Playlist
	if script != "" {
		taps, err := readTaps(script)
		if err != nil {
			return err
		}
		if s, err = steer(s, script, taps); err != nil {
			return err
		}
	}
	score := s.ScoreWith(lib.Heard)
	still := func(at time.Duration) bool { // nothing is to play for a while around it
		return script != "" && !slices.ContainsFunc(score.Clips, func(c player.Clip) bool {
			return c.Start+3*time.Second < at && at < c.End-min(3*time.Second, c.FadeOut)
		})
	}
	levels := score.Levels
	target := func(at time.Duration) float64 {
		now := levels[0].Target
		for _, l := range levels {
			if l.At <= at {
				now = l.Target
			}
		}
		return now
	}

	j := judge.File(t, wav)
	if j.Peak > -1 {
		return fmt.Errorf("true peak %.2f dBTP", j.Peak)
	}
	// A moment is the 400 ms before its end: its target is the higher of those that held in it.
	most := func(i int) float64 {
		end := time.Duration(i+1) * 100 * time.Millisecond
		return max(target(end), target(max(0, end-400*time.Millisecond)))
	}
	if says := judge.Startles(j.Momentary, most); says != "" {
		return fmt.Errorf("it startles: %s", says)
	}
	raw, err := os.ReadFile(wav)
	if err != nil {
		return err
	}
	body := raw[bytes.Index(raw, []byte("data"))+8:]
	hz := int(le.LittleEndian.Uint32(raw[bytes.Index(raw, []byte("fmt "))+12:])) // another chunk may come before it
	if says := judge.Impulses(hz, rig.Frames(body, 24), func(i int) float64 { return most(i / 10) }); says != "" {
		return fmt.Errorf("it startles: %s", says)
	}
	stopped := 0
	for i, m := range j.Momentary {
		at := time.Duration(i+1) * 100 * time.Millisecond
		due := at > 3*time.Second && at < s.Ends()-time.Second
		for k, sp := range s.Spans {
			music := pl.Phases[k].Music
			if len(music) == 1 && music[0].Silence && at >= sp.Start-pl.Phases[k].Crossfade && at <= sp.End+3*time.Second {
				due = false
			}
		}
		due = due && !still(at)
		if !due || m >= min(target(at), target(at+2*time.Second))-25 {
			stopped = 0
		} else if stopped++; stopped > 20 {
			return fmt.Errorf("it has stopped for 2 s at %v: %.1f LUFS, the target is %.1f", at, m, target(at))
		}
	}

	b, err := os.ReadFile(cuesFile)
	if err != nil {
		return err
	}
	var cues []player.Cue
	if err := json.Unmarshal(b, &cues); err != nil {
		return err
	}
	info, err := os.Stat(wav)
	if err != nil {
		return err
	}
	frame := func(at time.Duration) int64 { return int64(math.Round(at.Seconds() * rate)) }
	if frames := (info.Size() - 44) / 6; math.Abs(float64(frames-frame(s.Ends()))) > 100 { // the header may be longer
		return fmt.Errorf("%d frames, the arc ends with %d", frames, frame(s.Ends()))
	}
	for k, sp := range s.Spans {
		ph := pl.Phases[k]
		if d := sp.End - plannedEnd(pl.Phases, k); d.Abs() > ph.Flex {
			return fmt.Errorf("%s ends %v from its plan, its flex is %v", ph.Name, d, ph.Flex)
		}
		if len(ph.Music) == 1 && ph.Music[0].Silence || still(sp.End) {
			continue
		}
		met := false
		for _, c := range cues {
			met = met || c.Kind == "end" && c.Frame == frame(sp.End)
		}
		if !met {
			return fmt.Errorf("nothing ends on frame %d, where %s does", frame(sp.End), ph.Name)
		}
	}
	return nil
}

func plannedEnd(phases []playlists.Phase, k int) (at time.Duration) {
	for _, ph := range phases[:k+1] {
		at += ph.Length
	}
	return at
}

var corpusSteered = flag.Int("steered", 1, "how many random steered sessions TestSteeredCorpus renders")

// TestSteeredCorpus renders random pools of extreme files with random taps, and holds promises 1, 2 and 4 on each by ffmpeg's word.
func TestSteeredCorpus(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "playlists")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	names := extremeMusic(t, folder)
	asked := map[room.Verb]int{}
	for k := range *corpusSteered {
		r := rand.New(rand.NewPCG(uint64(k), 23))
		text := randomPools(r, names)
		id := fmt.Sprintf("steered%d", k)
		if err := os.WriteFile(filepath.Join(folder, id+".yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(dir, id+".txt")
		taps := randomTaps(t, r, dir, id, asked)
		if err := os.WriteFile(script, []byte(taps), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := holdsPromises(t, dir, id, script); err != nil {
			t.Errorf("session %d: %v\n%s\n%s", k, err, text, taps)
		}
	}
	t.Logf("asked: %v", asked)
	if *corpusSteered >= 10 && (asked[room.Deeper] < 3 || asked[room.Lighter] < 3 || asked[room.Another] < 3 || asked[room.Choose] < 3 || asked[room.Bring] < 10) {
		t.Errorf("too little was asked: %v", asked)
	}
}

// randomPools is a playlist of some minutes with pools of files, rated at random.
func randomPools(r *rand.Rand, names []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: Random\ncrossfade: %ds\nbed: drone\nphases:\n  - {name: Arrival, stage: preparation, length: 30s, music: rain}\n", r.IntN(12))
	for k := range 1 + r.IntN(2) {
		var pool []string
		for _, name := range names {
			if r.IntN(3) > 0 {
				pool = append(pool, fmt.Sprintf("{file: %s, intensity: %d}", name, 1+r.IntN(5)))
			}
		}
		if r.IntN(3) == 0 || len(pool) < 3 {
			pool = append(pool, "{bed: rain, intensity: 2}", "{bed: ocean, intensity: 4}")
		}
		half := len(pool) / 2
		fmt.Fprintf(&b, "  - {name: Phase %d, stage: administration, length: %ds, flex: %ds, level: %d, intensity: %d..%d,\n      pool: [%s],\n      menu: {Ground: [%s], Open: [%s], Still: silence}}\n",
			k, 240+r.IntN(240), r.IntN(30), -r.IntN(13), 1+r.IntN(5), 1+r.IntN(5), strings.Join(pool, ", "), strings.Join(pool[:half], ", "), strings.Join(pool[half:], ", "))
	}
	b.WriteString("  - {name: Leave, stage: integration, length: 40s, music: ocean}\n")
	return b.String()
}

// randomTaps is a script of taps that the session takes.
func randomTaps(t *testing.T, r *rand.Rand, dir, id string, asked map[room.Verb]int) string {
	s, _ := rehearsalOf(t, dir, id)
	var b strings.Builder
	for at := 30 * time.Second; ; {
		at += time.Duration(r.IntN(40_000)) * time.Millisecond
		if at >= s.Ends() {
			return b.String()
		}
		c := room.Command{ID: fmt.Sprint(at), Do: []room.Verb{room.Deeper, room.Lighter, room.Another, room.Choose, room.Bring, room.Bring}[r.IntN(6)]}
		if c.Do == room.Choose {
			c.Name = []string{"Ground", "Open", "Still"}[r.IntN(3)]
		}
		next, _, err := s.Step(room.Input{Command: &c}, at)
		if err != nil {
			continue
		}
		s = next
		asked[c.Do]++
		d := at.Milliseconds()
		fmt.Fprintf(&b, "%d:%02d:%02d.%03d %s %s\n", d/3_600_000, d/60_000%60, d/1000%60, d%1000, c.Do, c.Name)
	}
}

// rehearsalOf is a playlist's session as render makes it, with the library that it came from.
func rehearsalOf(t *testing.T, dir, id string) (*room.Session, *library) {
	t.Helper()
	cfg := room.DefaultConfig()
	lib := openLibrary(filepath.Join(dir, "playlists"), cfg, filepath.Join(dir, "analysis"), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { lib.Close() })
	if err := lib.hear(context.Background(), []string{id}, func(loudness.Progress) {}); err != nil {
		t.Fatal(err)
	}
	pl, err := lib.Resolve(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return room.Rehearsal(room.Begin{Playlist: pl, Reference: cfg.Audio.Reference, Ceiling: cfg.Audio.Ceiling, Seed: 1}), lib
}
