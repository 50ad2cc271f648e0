package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/rig"
	"roomd/rig/judge"
	"roomd/room"
)

var (
	scripts       = flag.Int("scripts", 2, "how many random scripts of commands and faults TestScripts plays")
	scriptSeed    = flag.Uint64("script.seed", 1, "the first script's seed")
	scriptWorkers = flag.Int("script.workers", 2, "how many rooms at once")
)

// scriptMusic is music of very different loudness, of 48 kHz as everything in the script.
var scriptMusic = map[string]string{
	"soft.flac":   "anoisesrc=c=pink:r=48000:d=40:a=0.02:seed=1,aformat=channel_layouts=stereo",
	"loud.mp3":    "anoisesrc=c=pink:r=48000:d=40:a=0.9:seed=2,aformat=channel_layouts=stereo",
	"jump.ogg":    "anoisesrc=c=pink:r=48000:d=40:a=0.5:seed=3,volume='if(lt(mod(t,14),7),0.03,1)':eval=frame,aformat=channel_layouts=stereo",
	"plain.flac":  "anoisesrc=c=brown:r=48000:d=40:a=0.5:seed=4,aformat=channel_layouts=stereo",
	"square.flac": "aevalsrc='if(lt(mod(t*220,1),0.5),1,-1)':s=48000:d=40,aformat=channel_layouts=stereo",
}

const scriptList = `name: Script
crossfade: 2s
bed: ocean
phases:
  - {name: One, stage: preparation, length: 15s, flex: 2s, music: [soft.flac, loud.mp3], lights: {scene: dim, fade: 12s}, marks: [Note]}
  - {name: Two, stage: administration, length: 15s, flex: 2s, music: [jump.ogg, plain.flac], lights: {scene: dusk, fade: 12s}, marks: [Note]}
  - {name: Three, stage: integration, length: 60m, music: [square.flac, loud.mp3, soft.flac, {bed: rain}], lights: {scene: dim, fade: 14s}, marks: [Note]}
`

func scriptRoom(broker string) string {
	return fmt.Sprintf(`room: Willow
audio: {output: alsa}
mqtt: {broker: %q}
marks: [Note]
lights:
  ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/hue1}
  accent: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/ikea1}
scenes:
  dim: {ambient: {level: 35}, accent: {level: 30}}
  dusk: {ambient: {level: 55}, accent: {level: 50}}
`, broker)
}

// speaker is what the room plays through, and what was heard from it.
type speaker interface {
	Env() []string
	Size() int64       // bytes heard, over every opening
	Played() rig.Sound // all of it
	Unplug()
	Plug()
}

// server is a speaker behind a sound server, which is killed and started again.
type server struct {
	*rig.Pulse
	records []*rig.Recording
}

func (s *server) Size() (n int64) {
	for _, r := range s.records {
		n += r.Size()
	}
	return n
}

func (s *server) Played() rig.Sound {
	all := rig.Sound{Rate: 48000, Bits: 32}
	for _, r := range s.records {
		all.Frames = append(all.Frames, r.Stop().Frames...)
	}
	return all
}

func (s *server) Unplug() { s.Kill() }

func (s *server) Plug() {
	s.Start()
	s.records = append(s.records, s.Record())
}

// span of time that a rule leaves out.
type excuse struct{ from, to time.Time }

func (e excuse) covers(t time.Time) bool { return !t.Before(e.from) && !t.After(e.to) }

// TestScripts plays random scripts of commands and faults in real rooms: the real program, a sound card or a sound
// server, a broker, a bridge with bulbs, two tablets. What is promised is judged from outside: by what was heard, what
// the bulbs' log says, what the tablets were told and what the journal holds.
//
// A script that breaks a promise is told by its seed: -scripts 1 -script.seed N plays it again.
func TestScripts(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	// The files are heard once for all rooms.
	data := t.TempDir()
	music := filepath.Join(data, "playlists")
	if err := os.Mkdir(music, 0o755); err != nil {
		t.Fatal(err)
	}
	var making sync.WaitGroup
	for name, made := range scriptMusic {
		making.Go(func() {
			if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", made, filepath.Join(music, name)).CombinedOutput(); err != nil {
				t.Errorf("ffmpeg %s: %v\n%s", name, err, out)
			}
		})
	}
	making.Wait()
	if err := os.WriteFile(filepath.Join(music, "script.yaml"), []byte(scriptList), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := roomd(t, nil, "check", "--data", data); code != exitOK {
		t.Fatalf("check: %d %s", code, stderr)
	}
	seeds := make(chan uint64, *scripts)
	for i := range *scripts {
		seeds <- *scriptSeed + uint64(i)
	}
	close(seeds)
	t.Run("rooms", func(t *testing.T) {
		for w := range min(*scripts, *scriptWorkers) {
			t.Run(fmt.Sprint(w+1), func(t *testing.T) {
				t.Parallel()
				broker := rig.Mosquitto(t)
				bulbs := rig.Zigbee(t, broker.URL)
				for seed := range seeds {
					t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
						newScript(t, seed, data, broker, bulbs).play()
					})
				}
			})
		}
	})
}

// script is one session in which everything happens.
type script struct {
	t      *testing.T
	r      *rand.Rand
	d      *daemon
	card   speaker
	disk   *rig.Disk
	broker *rig.Broker
	bulbs  *rig.Bulbs
	music  string
	told   []string // what was done, for the one who reads a failure
	began  time.Time

	marks         map[string]bool
	maybe         map[string]bool
	level, lowest float64

	quiet  []excuse // where music may be missing
	bright []excuse // where light may be fast
	dark   []excuse // where a tablet need not be told

	mu    sync.Mutex
	grown []growth
}

// growth is how much the card had played at a time.
type growth struct {
	at    time.Time
	bytes int64
}

func newScript(t *testing.T, seed uint64, data string, broker *rig.Broker, bulbs *rig.Bulbs) *script {
	s := &script{t: t, r: rand.New(rand.NewPCG(seed, 99)), broker: broker, bulbs: bulbs,
		marks: map[string]bool{}, maybe: map[string]bool{}, disk: rig.NewDisk(t, 64<<10)}
	if s.r.IntN(3) == 0 {
		p := rig.PulseServer(t)
		s.card = &server{p, []*rig.Recording{p.Record()}}
	} else {
		s.card = rig.SoundCard(t, 1)
	}
	s.d = daemonIn(t, s.disk.Dir, s.card.Env(), map[string]string{"room.yaml": scriptRoom(broker.URL)})
	s.music = filepath.Join(s.d.dir, "playlists")
	for _, folder := range []string{"playlists", "analysis"} {
		if err := os.CopyFS(filepath.Join(s.d.dir, folder), os.DirFS(filepath.Join(data, folder))); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// tell notes what is done, with its time.
func (s *script) tell(format string, a ...any) {
	s.told = append(s.told, fmt.Sprintf("%6.2f s  ", time.Since(s.began).Seconds())+fmt.Sprintf(format, a...))
}

// fault is a promise that was broken.
func (s *script) fault(format string, a ...any) {
	s.t.Helper()
	s.t.Errorf(format, a...)
}

func (s *script) play() {
	t := s.t
	s.d.start()
	s.d.lit()
	s.d.ready("script")
	s.d.do(room.Command{Do: room.SetScene, Scene: "dusk"})
	time.Sleep(8 * time.Second)
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { s.listen(stop) })
	a, b := s.follow(stop, &watch), s.follow(stop, &watch)
	s.began = time.Now()
	s.tell("start")
	s.d.do(room.Command{Do: room.Start, Playlist: "script"})
	s.quiet = append(s.quiet, excuse{s.began, s.began.Add(4 * time.Second)})
	s.bright = append(s.bright, excuse{s.began.Add(-time.Second), s.began.Add(time.Second)})
	first, early, late := s.clock()
	id := first.Session.ID
	for n := range 10 {
		time.Sleep(time.Duration(500+s.r.IntN(3500)) * time.Millisecond)
		if n%2 == 0 {
			s.command()
		} else {
			s.mishap()
		}
	}
	time.Sleep(5 * time.Second)
	// What was sent again is done once.
	for m := range s.maybe {
		s.d.do(room.Command{ID: m, Do: room.MarkNow, Name: "Note"})
		s.marks[m] = true
	}
	snap, early2, late2 := s.clock()
	switch {
	case snap.Session == nil || snap.Session.ID != id || snap.Session.State != room.Running:
		s.fault("the session did not survive: %+v", snap.Session)
	default:
		seen := map[string]int{}
		for _, m := range snap.Session.Marks {
			seen[m.ID]++
		}
		for m := range s.marks {
			if seen[m] != 1 {
				s.fault("the acknowledged mark %s is there %d times", m, seen[m])
			}
		}
		if len(seen) != len(s.marks) {
			s.fault("%d marks are there, %d were tapped", len(seen), len(s.marks))
		}
		if snap.Session.LevelDB != s.level {
			s.fault("the level is %v dB, acknowledged were %v", snap.Session.LevelDB, s.level)
		}
		if off := max(early2-late, early-late2); off > 50*time.Millisecond || snap.Session.StartedMS != first.Session.StartedMS {
			s.fault("the session's clock is off by %v, its start by %d ms", off, snap.Session.StartedMS-first.Session.StartedMS)
		}
	}
	s.d.do(room.Command{Do: room.End})
	ending := time.Now()
	s.tell("end")
	rig.Eventually(t, "the session ends", func() bool {
		time.Sleep(100 * time.Millisecond)
		x := s.d.snapshot().Session
		return x != nil && x.State == room.Ended
	})
	time.Sleep(time.Second)
	close(stop)
	watch.Wait()
	s.hear(ending)
	s.see(ending)
	for _, tb := range []*follower{a, b} {
		s.asked(tb, ending)
	}
	s.d.Kill()
	var most int
	for n := 1; n <= s.d.runs; n++ {
		log, _ := os.ReadFile(filepath.Join(s.d.dir, "log", fmt.Sprint(n), "roomd.log"))
		if i := strings.Index(string(log), "panic"); i >= 0 {
			s.fault("it panicked: %s", log[i:min(len(log), i+2000)])
		}
		most = max(most, len(log))
	}
	if most > 1<<20 {
		s.fault("a log of %d bytes", most)
	}
	if t.Failed() || testing.Verbose() {
		t.Logf("the script:\n%s", strings.Join(s.told, "\n"))
	}
}

// clock reads the room's clock against ours. It was read at some moment between the question and the answer.
func (s *script) clock() (snap room.Snapshot, early, late time.Duration) {
	asked := time.Since(s.began)
	snap = s.d.snapshot()
	at := time.Duration(snap.NowMS) * time.Millisecond
	return snap, asked - at, time.Since(s.began) - at
}

// command does one thing that a therapist may do.
func (s *script) command() {
	c := room.Command{ID: room.NewID()}
	db := 0.0
	switch n := s.r.IntN(12); n {
	case 0, 1, 2:
		c.Do, c.Name = room.MarkNow, "Note"
	case 3, 4:
		c.Do, db = room.SetLevel, float64(-1-s.r.IntN(4))
		if s.level < -3 {
			db = min(6, -s.level)
		}
		c.DB = &db
	case 5:
		c.Do, c.By = room.Extend, []string{"10s", "-5s", "2m"}[s.r.IntN(3)]
	case 6:
		c.Do = room.Next
	case 7:
		c.Do = room.Hold
	case 8:
		c.Do = room.Skip
	case 9:
		c.Do = room.Care
	case 10:
		c.Do = room.Silence
	case 11:
		c.Do = room.Soften
	}
	at := time.Now()
	status, body, err := s.d.post(c)
	s.tell("%s %v%s: %d %v", c.Do, db, c.By, status, err)
	switch {
	case err != nil && c.Do == room.MarkNow:
		s.maybe[c.ID] = true
	case err != nil:
		s.fault("%s was not answered: %v", c.Do, err)
	case status == http.StatusConflict:
		return // it can't be done now, and nothing was
	case status != http.StatusOK:
		s.fault("%s: %d %s", c.Do, status, body)
	}
	switch c.Do {
	case room.MarkNow:
		s.marks[c.ID] = true
	case room.SetLevel:
		s.level += db
		s.lowest = min(s.lowest, s.level)
	case room.Next, room.Skip:
		s.quiet = append(s.quiet, excuse{at, at.Add(3 * time.Second)})
	case room.Care:
		s.bright = append(s.bright, excuse{at.Add(-time.Second), at.Add(3500 * time.Millisecond)})
	case room.Silence, room.Soften:
		time.Sleep(4 * time.Second)
		s.d.do(room.Command{Do: room.Resume})
		s.tell("resume")
		s.quiet = append(s.quiet, excuse{at, time.Now().Add(11 * time.Second)}) // it comes back at 3 dB a second
	}
}

// back is how long music may be missing after the sound could be there again, its fade from silence included.
const back = 5 * time.Second

// mishap breaks one thing, and mends it.
func (s *script) mishap() {
	at := time.Now()
	switch n := s.r.IntN(15); n {
	case 0, 1:
		wait := time.Duration(s.r.IntN(2000)) * time.Millisecond
		s.tell("kill -9 of the daemon, back after %v", wait)
		s.restart(func() { s.d.Kill(); time.Sleep(wait) })
	case 2:
		s.tell("the daemon is stopped and started")
		s.restart(func() { s.d.terminate(s.t.Context()) })
	case 3:
		s.tell("the daemon is frozen for 3 s")
		_ = s.d.Signal(syscall.SIGSTOP)
		time.Sleep(3 * time.Second)
		_ = s.d.Signal(syscall.SIGCONT)
		s.quiet = append(s.quiet, excuse{at, time.Now().Add(back)})
		s.dark = append(s.dark, excuse{at.Add(-time.Second), time.Now().Add(2 * time.Second)})
	case 4:
		all := children(s.d.Process.Process.Pid)
		s.tell("kill -9 of %d decoders", len(all))
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	case 5:
		all := children(s.d.Process.Process.Pid)
		s.tell("%d decoders are frozen for 10 s", len(all))
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		time.Sleep(10 * time.Second)
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	case 6, 7:
		wait := time.Duration(1000+s.r.IntN(4000)) * time.Millisecond
		s.tell("the sound card is pulled out, or the sound server killed, for %v", wait)
		s.card.Unplug()
		time.Sleep(wait)
		s.card.Plug()
		s.quiet = append(s.quiet, excuse{at.Add(-time.Second), time.Now().Add(back)})
	case 8:
		s.tell("kill -9 of the broker")
		s.broker.Kill()
		time.Sleep(time.Duration(s.r.IntN(4000)) * time.Millisecond)
		s.broker.Start()
	case 9:
		s.tell("the broker is frozen for 8 s")
		s.broker.Freeze()
		time.Sleep(8 * time.Second)
		s.broker.Thaw()
	case 10:
		s.tell("a bulb's power is cut")
		s.bulbs.Cut("room1/hue1", 500*time.Millisecond)
		// It flashes by itself, and a step of the fade that reaches it before it announces itself takes it down faster than
		// that step was meant: it was to begin elsewhere.
		s.bright = append(s.bright, excuse{at.Add(-time.Second), at.Add(4 * time.Second)})
	case 11:
		name := slices.Sorted(maps.Keys(scriptMusic))[s.r.IntN(len(scriptMusic))]
		path := filepath.Join(s.music, name)
		switch s.r.IntN(4) {
		case 0:
			s.tell("%s is deleted", name)
			_ = os.Remove(path)
		case 3:
			s.tell("%s hangs whoever opens it, as a share does that is gone", name)
			_ = os.Remove(path)
			_ = syscall.Mkfifo(path, 0o644)
		case 1:
			s.tell("%s is cut short", name)
			_ = os.Truncate(path, 20_000)
		case 2:
			s.tell("%s becomes noise", name)
			noise := make([]byte, 400_000)
			for i := range noise {
				noise[i] = byte(s.r.Uint32())
			}
			_ = os.WriteFile(path, noise, 0o644)
		}
	case 12:
		s.tell("other programs take all of the processors for 4 s")
		end := time.Now().Add(4 * time.Second)
		var busy sync.WaitGroup
		for range 4 {
			busy.Go(func() {
				for x := 1.0; time.Now().Before(end); x = math.Sin(x) {
					_ = x
				}
			})
		}
		busy.Wait()
	case 13:
		s.tell("tablets that never read, talk nonsense, say a megabyte")
		s.nuisance()
	case 14:
		s.tell("the disk is full for 4 s, and a mark is tapped")
		s.disk.Fill()
		id := room.NewID()
		s.d.do(room.Command{ID: id, Do: room.MarkNow, Name: "Note"})
		s.marks[id] = true
		time.Sleep(4 * time.Second)
		s.disk.Free()
		rig.Eventually(s.t, "what was kept in memory is saved", func() bool { return s.d.snapshot().Unsaved == 0 })
	}
}

// restart ends the daemon by end and starts it again.
func (s *script) restart(end func()) {
	at := time.Now()
	end()
	s.d.start()
	s.quiet = append(s.quiet, excuse{at.Add(-time.Second), s.d.began.Add(2*time.Second + back)})
	s.dark = append(s.dark, excuse{at.Add(-time.Second), time.Now().Add(3 * time.Second)})
}

// nuisance connects tablets as no tablet should be.
func (s *script) nuisance() {
	for n := range 6 {
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+s.d.addr+"/ws", http.Header{
			"Authorization": {"Bearer " + s.d.token}, "Origin": {"http://" + s.d.addr},
		})
		if err != nil {
			s.tell("refused: %v", err)
			continue
		}
		s.t.Cleanup(func() { conn.Close() })
		switch n % 3 {
		case 1:
			_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"command","do":`))
			_ = conn.WriteMessage(websocket.BinaryMessage, []byte{0, 255, 1})
		case 2:
			_ = conn.WriteMessage(websocket.TextMessage, make([]byte, 1<<20))
		}
	}
}

// children are the processes that the daemon has started and that still run.
func children(pid int) (all []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, w := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(w); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// listen notes how much the card has played.
func (s *script) listen(stop chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.mu.Lock()
			s.grown = append(s.grown, growth{time.Now(), s.card.Size()})
			s.mu.Unlock()
		}
	}
}

// heard is what was to be heard in the room, from the session's start, with the silence of a card that is gone.
func (s *script) heard() rig.Sound {
	p := s.card.Played()
	frame := int64(2 * p.Bits / 8)
	if p.Bits == 24 {
		frame = 6
	}
	end := s.grown[len(s.grown)-1].at
	out := make([][2]float64, int(end.Sub(s.began).Seconds()*float64(p.Rate)))
	// Frames are laid where they were first seen; a stretch goes on for as long as the card plays.
	at, last := 0, s.grown[0]
	from := last.bytes / frame
	moved := last.at
	for _, g := range s.grown[1:] {
		to := g.bytes / frame
		if to == from {
			continue
		}
		if g.at.Sub(moved) > 250*time.Millisecond { // it stood still: a new stretch
			at = int(g.at.Sub(s.began).Seconds()*float64(p.Rate)) - int(to-from)
		}
		moved = g.at
		for ; from < to && from < int64(len(p.Frames)); from++ {
			if at >= 0 && at < len(out) {
				out[at] = p.Frames[from]
			}
			at++
		}
		from = to
	}
	return rig.Sound{Rate: p.Rate, Bits: p.Bits, Frames: out}
}

// hear judges the sound.
func (s *script) hear(ending time.Time) {
	p := s.heard()
	if p.Rate != 48000 {
		s.fault("files of 48 kHz were played at %d Hz", p.Rate)
		return
	}
	j := judge.FFmpeg(s.t, p.Rate, p.Frames)
	if j.Peak > -1 {
		s.fault("true peak %.2f dBTP", j.Peak)
	}
	// The level is never raised over the playlist's own: the reference is the highest target.
	target := room.DefaultConfig().Audio.Reference
	if says := judge.Startles(j.Momentary, func(int) float64 { return target }); says != "" {
		s.fault("it startles: %s", says)
	}
	if says := judge.Impulses(p.Rate, p.Frames, func(int) float64 { return target }); says != "" {
		s.fault("it startles: %s", says)
	}
	run := 0
	for i, m := range j.Momentary {
		at := s.began.Add(time.Duration(i+1) * 100 * time.Millisecond)
		excused := at.After(ending)
		for _, e := range s.quiet {
			excused = excused || e.covers(at)
		}
		if excused || m > target+s.lowest-25 {
			run = 0
			continue
		}
		if run++; run == 21 {
			s.fault("no music for 2 s before %.1f s (%.1f LUFS)", float64(i+1)/10, m)
		}
	}
}

// see judges the light.
func (s *script) see(ending time.Time) {
	for _, name := range []string{"room1/hue1", "room1/ikea1"} {
		trace := s.bulbs.Trace(name, s.began)
		var was []rig.Point // of the last second
		for _, p := range trace {
			if !p.On || p.Level < 1 {
				s.fault("%s is off at %.2f s", name, p.At.Sub(s.began).Seconds())
				break
			}
			for len(was) > 0 && p.At.Sub(was[0].At) > time.Second {
				was = was[1:]
			}
			was = append(was, p)
			// The log holds changes only: a first change after a rest is no jump, it is the next step of the one before.
			if d := math.Abs(lstar(p.Shine()) - lstar(was[0].Shine())); d > 13.5 { // a busy machine holds up one command and not the next
				excused := false
				for _, e := range s.bright {
					excused = excused || e.covers(p.At)
				}
				if !excused {
					s.fault("%s went from %.1f to %.1f L* in the second before %.2f s", name, lstar(was[0].Shine()), lstar(p.Shine()), p.At.Sub(s.began).Seconds())
					break
				}
			}
		}
	}
}

// follower is a tablet that comes back.
type follower struct {
	mu   sync.Mutex
	seen []heard
}

// follow connects a tablet, again and again.
func (s *script) follow(stop chan struct{}, watch *sync.WaitGroup) *follower {
	f := &follower{}
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			conn, _, err := websocket.DefaultDialer.Dial("ws://"+s.d.addr+"/ws", http.Header{
				"Authorization": {"Bearer " + s.d.token}, "Origin": {"http://" + s.d.addr},
			})
			if err != nil {
				time.Sleep(200 * time.Millisecond)
				continue
			}
			ended := make(chan struct{})
			go func() {
				select {
				case <-stop:
				case <-ended:
				}
				conn.Close()
			}()
			for {
				_, msg, err := conn.ReadMessage()
				if err != nil {
					break
				}
				var x struct {
					Type string `json:"type"`
					room.Snapshot
				}
				if json.Unmarshal(msg, &x) == nil && x.Type == "snapshot" {
					f.mu.Lock()
					f.seen = append(f.seen, heard{time.Now(), x.Snapshot})
					f.mu.Unlock()
				}
			}
			close(ended)
		}
	})
	return f
}

// asked judges what a tablet was told.
func (s *script) asked(f *follower, ending time.Time) {
	var last heard
	for _, h := range f.seen {
		if last.snap.Boot == h.snap.Boot && h.snap.Rev < last.snap.Rev {
			s.fault("a tablet was told revision %d after %d", h.snap.Rev, last.snap.Rev)
			return
		}
		if !last.at.IsZero() && last.at.After(s.began) && h.at.Before(ending) && last.snap.Boot == h.snap.Boot {
			gap := time.Duration(h.snap.NowMS-last.snap.NowMS) * time.Millisecond
			excused := false
			for _, e := range s.dark {
				excused = excused || e.covers(h.at)
			}
			if gap > 1600*time.Millisecond && !excused {
				s.fault("a tablet was told nothing for %v, until %.1f s", gap, h.at.Sub(s.began).Seconds())
			}
		}
		last = h
	}
	if len(f.seen) == 0 {
		s.fault("a tablet was told nothing at all")
	}
}
