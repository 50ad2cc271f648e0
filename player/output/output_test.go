package output

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
)

// libasound reads its configuration once from the environment, so a test that plays does so in a child: this test binary
// started again.

const childEnv = "ROOMD_OUTPUT_PLAY"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		playChild(spec)
		return
	}
	// These tests wait for real time far more than they compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// report is a line that the child prints: at the start, at the end, and whenever something changed.
type report struct {
	At      time.Duration // since the child's start
	Gen     uint64
	OK      bool
	Written int // frames
	Delay   time.Duration
	Longest time.Duration // that one block took
	Health  Health
	List    []Device
	Has     bool
	End     bool
}

type play struct {
	Ask    int // Hz, after the opening; 0: none
	Config Config
	For    time.Duration // of sound
	List   bool          // list the devices and end
}

// count is the sound that the child plays: frame k is k+1 steps of 32 bits on the left, less on the right, so that a
// recording tells which frame it is.
func count(k int) [2]float64 {
	v := float64(k+1) / (1 << 31)
	return [2]float64{v, -v}
}

func playChild(spec string) {
	start := time.Now()
	var p play
	if err := json.Unmarshal([]byte(spec), &p); err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	if p.List {
		list, err := Devices()
		r := report{List: list, Has: HasDevice(p.Config.Device)}
		if err != nil {
			r.Health.Error = err.Error()
		}
		_ = out.Encode(r)
		return
	}
	l := Open(p.Config, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if p.Ask != 0 {
		l.SetRate(p.Ask)
		for ok := false; !ok; _, ok = l.Prepare() {
			time.Sleep(10 * time.Millisecond)
		}
	}
	frames := int(p.For.Seconds() * float64(l.Rate()))
	block := make([][2]float64, l.Rate())
	more := make([][][2]float64, l.cfg.Pairs-1) // the other way round
	var was report
	var longest time.Duration
	for k := 0; k < frames; {
		n := min(l.Wait(nil), frames-k)
		before := time.Now()
		gen, ok := l.Prepare()
		h := l.Health()
		now := report{Gen: gen, OK: ok, Health: h}
		now.Health.Latency = 0
		if was.Gen != now.Gen || was.OK != now.OK || was.Health != now.Health {
			was = now
			now.At, now.Written, now.Delay = time.Since(start), k, l.Delay()
			_ = out.Encode(now)
		}
		for m := range more {
			more[m] = more[m][:0]
		}
		for i := range n {
			block[i] = count(k + i)
			for m := range more {
				more[m] = append(more[m], [2]float64{block[i][1], block[i][0]})
			}
		}
		if err := l.Write(block[:n], more...); err != nil {
			panic(err)
		}
		longest = max(longest, time.Since(before))
		k += n
	}
	end := report{At: time.Since(start), Written: frames, Longest: longest, Delay: l.Delay(), Health: l.Health(), OK: l.sink != nil, Gen: l.gen, End: true}
	if err := l.Close(); err != nil {
		panic(err)
	}
	_ = out.Encode(end)
}

// TestPairs holds that a device of four channels gets both pairs in step, and one of two is not taken for it.
func TestPairs(t *testing.T) {
	t.Parallel()
	card := rig.SoundCard(t, 1)
	raw := filepath.Join(t.TempDir(), "four.raw")
	card.Configure(fmt.Sprintf(`pcm.four { type file file %q format "raw" slave.pcm { type null } }`, raw))
	spec := play{Config: Config{Device: "four", Pairs: 2}, For: 500 * time.Millisecond}
	if end := start(t, card.Env(), spec).end(5 * time.Second); end.Health.State != Playing || end.Health.Format != "S32_LE" {
		t.Fatalf("%+v", end.Health)
	}
	b, err := os.ReadFile(raw)
	if err != nil || len(b) != 24000*16 {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
	for k := range 24000 {
		for ch, want := range []int{k + 1, -k - 1, -k - 1, k + 1} {
			if got := int32(binary.LittleEndian.Uint32(b[16*k+4*ch:])); got != int32(want) {
				t.Fatalf("frame %d, channel %d: %d", k, ch+1, got)
			}
		}
	}
	spec.Config.Device = "usbdac"
	if end := start(t, card.Env(), spec).end(5 * time.Second); end.Health.State != Missing || !strings.Contains(end.Health.Error, "4 channels") || end.Health.Code != "sound-pairs" {
		t.Errorf("two channels: %+v", end.Health)
	}
}

// playing is a playing child.
type playing struct {
	t *testing.T
	*exec.Cmd
	mu    sync.Mutex
	all   []report
	ended chan struct{}
	log   tail // the last line on standard error
}

func start(t *testing.T, env []string, p play) *playing {
	t.Helper()
	spec, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := &playing{t: t, Cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	c.Env = append(append(os.Environ(), env...), childEnv+"="+string(spec))
	c.Stderr = io.MultiWriter(t.Output(), &c.log)
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-c.ended
		_ = c.Wait()
	})
	go func() {
		defer close(c.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var r report
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Errorf("child: %s", lines.Bytes())
				continue
			}
			c.mu.Lock()
			c.all = append(c.all, r)
			c.mu.Unlock()
		}
	}()
	return c
}

func (c *playing) reports() []report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// until waits for a report.
func (c *playing) until(d time.Duration, what string, ok func(report) bool) report {
	c.t.Helper()
	var found report
	rig.Within(c.t, d, what, func() bool {
		for _, r := range c.reports() {
			if ok(r) {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

// end waits for the child's end.
func (c *playing) end(d time.Duration) report {
	c.t.Helper()
	return c.until(d, "the child ends", func(r report) bool { return r.End })
}

// counted checks that every frame from first on is there once and in order, and answers how many there are.
func counted(frames [][2]float64, first int) (int, error) {
	for i, f := range frames {
		if f != count(first+i) {
			return i, fmt.Errorf("frame %d is %v, want %v", i, [2]float64{f[0] * (1 << 31), f[1] * (1 << 31)}, first+i+1)
		}
	}
	return len(frames), nil
}

// counts cuts a recording into stretches of consecutive frames: [first, last] of each.
func counts(frames [][2]float64) (runs [][2]int) {
	for _, f := range frames {
		k := int(f[0]*(1<<31)) - 1
		switch n := len(runs); {
		case k < 0 || f[1] != -f[0]:
		case n > 0 && runs[n-1][1]+1 == k:
			runs[n-1][1] = k
		default:
			runs = append(runs, [2]int{k, k})
		}
	}
	return runs
}

// steadily has f play, and once more, up to three times, where the sound ran dry more often than it should while the whole computer
// stood still for longer than its buffer lasts.
func steadily(should uint64, f func() (ends []report)) []report {
	for n := 1; ; n++ {
		stalls := rig.Stalls(45 * time.Millisecond)
		ends := f()
		still, _ := stalls()
		if n == 3 || still == 0 || !slices.ContainsFunc(ends, func(end report) bool { return end.Health.Underruns > should }) {
			return ends
		}
	}
}

func TestPlaysEachFrameOnce(t *testing.T) {
	t.Parallel()
	other := rig.SoundCard(t, 1)
	var card *rig.Card
	end := steadily(0, func() []report {
		card = rig.SoundCard(t, 1)
		return []report{start(t, card.Env(), play{Config: Config{}, For: 1500 * time.Millisecond}).end(5 * time.Second)}
	})[0]
	toNull := start(t, other.Env(), play{Config: Config{Device: "null"}, For: 2 * time.Second})
	toMissing := start(t, other.Env(), play{Config: Config{Device: "Willow"}, For: time.Second})

	played := card.Played()
	n, err := counted(played.Frames, 0)
	if err != nil || n != 72000 || played.Rate != 48000 || played.Bits != 32 {
		t.Errorf("%d frames at %d Hz, %d bits: %v", n, played.Rate, played.Bits, err)
	}
	if h := end.Health; h.Format != "S32_LE" || h.Rate != 48000 || h.Underruns != 0 || h.Reopenings != 0 || h.State != Playing || h.Resampled {
		t.Errorf("health %+v", h)
	}
	// All but the look-ahead has taken its time.
	if end.At < 1250*time.Millisecond || end.At > 2*time.Second || end.Delay < 60*time.Millisecond || end.Delay > 130*time.Millisecond {
		t.Errorf("1.5 s of sound took %v, of which %v is still to be heard", end.At, end.Delay)
	}

	// ALSA's null device swallows as fast as it can.
	end = toNull.end(5 * time.Second)
	if heard := end.At + end.Delay; heard < 1990*time.Millisecond || heard > 2300*time.Millisecond || end.Health.State != Playing {
		t.Errorf("null: 2 s of sound took %v and %v more, %+v", end.At, end.Delay, end.Health)
	}
	if end.Health.Underruns != 0 {
		t.Errorf("null: %d underruns", end.Health.Underruns)
	}

	// A missing device is named and not replaced.
	end = toMissing.end(5 * time.Second)
	if h := end.Health; h.State != Missing || h.Device != "Willow" || h.Code != "sound-missing" || end.OK {
		t.Errorf("missing: health %+v", h)
	}
	if end.At < 750*time.Millisecond || end.At > 2*time.Second {
		t.Errorf("missing: 1 s of sound took %v", end.At)
	}
	// Each attempt would print a line of the library's own.
	if last := toMissing.log.String(); !strings.Contains(last, "sound device is not playing") {
		t.Errorf("missing: standard error ends with %q", last)
	}
	if log := other.Log(); log != "" {
		t.Errorf("missing: another device was opened:\n%s", log)
	}
}

func TestComesBackWithinASecond(t *testing.T) {
	t.Parallel()
	card := rig.SoundCard(t, 1)
	c := start(t, card.Env(), play{Config: Config{Device: "usbdac"}, For: 2200 * time.Millisecond})
	c.until(5*time.Second, "it plays", func(r report) bool { return r.OK })
	time.Sleep(300 * time.Millisecond)
	card.Unplug()
	lost := c.until(time.Second, "the loss is noticed", func(r report) bool { return r.Health.State == Lost })
	if h := lost.Health; h.Error == "" || h.Code != "sound-missing" {
		t.Errorf("health %+v", h)
	}
	time.Sleep(400 * time.Millisecond)
	plugged := time.Now()
	card.Plug()
	back := c.until(time.Second, "it plays again", func(r report) bool { return r.OK && r.Health.Reopenings == 1 })
	t.Logf("back %v after the plug", time.Since(plugged).Round(time.Millisecond))
	if back.Gen == lost.Gen || back.Health.Error != "" || back.Delay != 0 {
		t.Errorf("lost %+v\nback %+v", lost, back)
	}
	end := c.end(5 * time.Second)
	// The look-ahead that was lost with the device, and that at the end.
	if end.At < 1700*time.Millisecond || end.At > 2400*time.Millisecond {
		t.Errorf("real time did not go on: 2.2 s took %v", end.At)
	}
	runs := counts(card.Played().Frames)
	if len(runs) != 2 || runs[0][0] != 0 || runs[1][0] != back.Written || runs[1][1] != 2200*48-1 {
		t.Errorf("heard %v, back from frame %d", runs, back.Written)
	}
}

func TestRecoversFromAStop(t *testing.T) {
	t.Parallel()
	server := rig.PulseServer(t)
	var heard [2][][2]int
	ends := steadily(1, func() (ends []report) {
		card, rec := rig.SoundCard(t, 1), server.Record()
		both := []*playing{start(t, card.Env(), play{For: 1500 * time.Millisecond}), start(t, server.Env(), play{For: 1500 * time.Millisecond})}
		for _, c := range both {
			c.until(5*time.Second, "it plays", func(r report) bool { return r.OK })
		}
		time.Sleep(300 * time.Millisecond)
		for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			for _, c := range both {
				if err := c.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		for _, c := range both {
			ends = append(ends, c.end(5*time.Second))
		}
		time.Sleep(200 * time.Millisecond)
		heard = [2][][2]int{counts(card.Played().Frames), counts(rec.Stop().Frames)}
		return ends
	})
	for i, end := range ends {
		// A sound server that ran dry does not always tell its client. Then nothing is lost, and the player's clock sees the gap.
		told := end.Gen == 2 && end.Health.Underruns == 1 || i == 1 && end.Gen == 1 && end.Health.Underruns == 0
		if !told || end.Health.Reopenings != 0 {
			t.Errorf("gen %d, health %+v", end.Gen, end.Health)
		}
	}
	for i, runs := range heard {
		if ends[i].Gen == 1 {
			if len(runs) != 1 || runs[0] != [2]int{0, 72000 - 1} {
				t.Errorf("%d: heard %v", i, runs)
			}
			continue
		}
		// What was rendered before the stop is not heard after it.
		if len(runs) != 2 || runs[0][0] != 0 || runs[1][0] <= runs[0][1]+1 || runs[1][1] != 72000-1 {
			t.Errorf("%d: heard %v", i, runs)
		}
	}
}

// A pipe that nobody reads blocks inside the library, for as long as its reader lives.
func TestALibraryThatHangsDoesNotHoldTheSoundUp(t *testing.T) {
	t.Parallel()
	card := rig.SoundCard(t, 1)
	card.Configure(`pcm.stuck { type file slave.pcm "null" file "|sleep 2.5" format raw }`)
	c := start(t, card.Env(), play{Config: Config{Device: "stuck"}, For: 3000 * time.Millisecond})
	lost := c.until(3*time.Second, "the loss is noticed", func(r report) bool { return r.Health.State == Lost })
	if h := lost.Health; h.Hanging == 0 || !strings.Contains(h.Error, errHangs.Error()) || h.Code != "sound-silent" {
		t.Errorf("health %+v", h)
	}
	end := c.end(8 * time.Second)
	// Four handles hang for 0.8 s each, and what would have sounded meanwhile is not made up for.
	if end.At < 2*time.Second || end.At > 7*time.Second || end.Longest > time.Second {
		t.Errorf("3 s of sound took %v, a block up to %v", end.At, end.Longest)
	}
}

// The card's configuration gives it twins that take one format or one rate.
func TestTakesTheDeviceAsItIs(t *testing.T) {
	t.Parallel()
	card := rig.SoundCard(t, 1)
	card.Configure(`
pcm.s24 { type plug slave { pcm "usbdac" format S24_3LE } }
pcm.s16 { type plug slave { pcm "usbdac" format S16_LE } }
pcm.slow { type plug slave { pcm "usbdac" rate 44100 } }
pcm.fast { type plug slave { pcm "usbdac" rate 48000 } }
`)
	// Another rate is taken where the device has it, and only there.
	for device, want := range map[string]int{"usbdac": 44100, "fast": 48000} {
		end := start(t, card.Env(), play{Config: Config{Device: device}, Ask: 44100, For: 300 * time.Millisecond}).end(5 * time.Second)
		if h := end.Health; h.State != Playing || h.Rate != want || h.Resampled || end.Written != want*3/10 {
			t.Errorf("%s at 44.1 kHz: %+v, %d frames", device, h, end.Written)
		}
		if played := card.Played(); played.Rate != want {
			t.Errorf("%s: the card got %d Hz", device, played.Rate)
		}
	}
	for device, want := range map[string]Health{
		"s24":  {Rate: 48000, Format: "S24_3LE"},
		"s16":  {Rate: 48000, Format: "S16_LE"},
		"slow": {Rate: 48000, Format: "S32_LE", Resampled: true},
	} {
		end := start(t, card.Env(), play{Config: Config{Device: device}, For: 100 * time.Millisecond}).end(5 * time.Second)
		if h := end.Health; h.State != Playing || h.Rate != want.Rate || h.Format != want.Format || h.Resampled != want.Resampled || h.Device != device {
			t.Errorf("%s: %+v", device, h)
		}
		if played := card.Played(); fmt.Sprintf("S%d", played.Bits) != want.Format[:3] {
			t.Errorf("%s: the card got %d bits", device, played.Bits)
		}
	}
	listed := start(t, card.Env(), play{List: true}).until(5*time.Second, "the list", func(r report) bool { return r.Has })
	i := slices.IndexFunc(listed.List, func(d Device) bool { return d.Name == "usbdac" })
	if i < 0 || listed.List[i].Description != "fake USB DAC" || !slices.Equal(listed.List[i].Rates, []int{44100, 48000, 88200, 96000}) {
		t.Errorf("listed %+v", listed.List)
	}
	for _, d := range listed.List {
		if d.Name == "null" {
			t.Error("null is offered")
		}
	}
	card.Unplug()
	gone := start(t, card.Env(), play{List: true})
	rig.Eventually(t, "the list without the card", func() bool { return len(gone.reports()) == 1 })
	if r := gone.reports()[0]; r.Has || len(r.List) != 0 {
		t.Errorf("unplugged, still listed: %+v", r)
	}
}
