//go:build linux

package rig

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Card is a sound card that can be unplugged, in real time or faster. Its pcm is called "usbdac" and "default".
type Card struct {
	t   testing.TB
	dir string
}

// SoundCard builds a card whose clock runs speed times as fast as time. It is there for programs that run with Env.
func SoundCard(t testing.TB, speed float64) *Card {
	t.Helper()
	built, err := buildCard(Shared(t, "fakedac"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own := strings.NewReplacer(built.dir, dir, anySpeed, strconv.FormatFloat(speed, 'f', -1, 64)).Replace(built.conf)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "asound.conf"), []byte(own), 0o644), os.WriteFile(filepath.Join(dir, cardLibrary), built.library, 0o755)); err != nil {
		t.Fatal(err)
	}
	return &Card{t, dir}
}

const (
	anySpeed    = "SPEED"
	cardLibrary = "libasound_module_pcm_fakedac.so"
)

// card is a built sound card, in a folder that is gone.
type card struct {
	dir, conf string
	library   []byte
}

var theCard struct {
	sync.Once
	card
	err error
}

// buildCard compiles the sound card, once for all tests of a package.
func buildCard(from string) (card, error) {
	c := &theCard
	c.Do(func() {
		if c.dir, c.err = os.MkdirTemp("", "fakedac"); c.err != nil {
			return
		}
		defer os.RemoveAll(c.dir)
		if out, err := exec.Command(filepath.Join(from, "build"), c.dir, anySpeed).CombinedOutput(); err != nil {
			c.err = fmt.Errorf("build the sound card: %w\n%s", err, out)
			return
		}
		conf, err := os.ReadFile(filepath.Join(c.dir, "asound.conf"))
		if err != nil {
			c.err = err
			return
		}
		c.conf = string(conf)
		c.library, c.err = os.ReadFile(filepath.Join(c.dir, cardLibrary))
	})
	return c.card, c.err
}

// Env is what a program needs in its environment to find the card.
func (c *Card) Env() []string {
	return []string{"ALSA_CONFIG_PATH=" + filepath.Join(c.dir, "asound.conf")}
}

// Configure adds text to the card's ALSA configuration, further pcms for instance.
func (c *Card) Configure(text string) {
	c.t.Helper()
	f, err := os.OpenFile(filepath.Join(c.dir, "asound.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text + "\n"); err != nil {
		c.t.Fatal(err)
	}
}

// Unplug pulls the card out.
func (c *Card) Unplug() {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "unplugged"), nil, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// Plug puts the card back.
func (c *Card) Plug() {
	c.t.Helper()
	if err := os.Remove(filepath.Join(c.dir, "unplugged")); err != nil {
		c.t.Fatal(err)
	}
}

// Log is the card's log: a line for each opening, start, underrun (XRUN) and closing.
func (c *Card) Log() string {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	return string(b)
}

// Size is how many bytes of sound the card has played, over every opening.
func (c *Card) Size() int64 { return size(filepath.Join(c.dir, "pcm.raw")) }

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Sound is what was heard: 1 is full scale.
type Sound struct {
	Rate   int
	Bits   int
	Frames [][2]float64
}

// Played is all that the card has played, over every opening, in the rate and format of the last one. A card that is still open keeps
// back its last few hundred frames.
func (c *Card) Played() Sound {
	c.t.Helper()
	log := c.Log()
	last := func(what string) int {
		all := regexp.MustCompile(`hw `+what+` (\d+)`).FindAllStringSubmatch(log, -1)
		if len(all) == 0 {
			c.t.Fatalf("the card was never opened:\n%s", log)
		}
		n, _ := strconv.Atoi(all[len(all)-1][1])
		return n
	}
	raw, err := os.ReadFile(filepath.Join(c.dir, "pcm.raw"))
	if err != nil {
		c.t.Fatal(err)
	}
	bits := map[int]int{2: 16, 32: 24, 10: 32}[last("format")]
	if bits == 0 {
		c.t.Fatalf("the card was opened in an unknown format:\n%s", log)
	}
	return Sound{Rate: last("rate"), Bits: bits, Frames: Frames(raw, bits)}
}

// Frames reads interleaved little-endian stereo PCM of 16, 24 (in three bytes) or 32 bits. A last broken frame is dropped.
func Frames(raw []byte, bits int) [][2]float64 {
	size := bits / 8
	frames := make([][2]float64, len(raw)/(2*size))
	for i := range frames {
		for ch := range 2 {
			b := raw[(2*i+ch)*size:]
			var n int32
			switch bits {
			case 16:
				n = int32(binary.LittleEndian.Uint16(b)) << 16
			case 24:
				n = int32(b[0])<<8 | int32(b[1])<<16 | int32(b[2])<<24
			default:
				n = int32(binary.LittleEndian.Uint32(b))
			}
			frames[i][ch] = float64(n) / (1 << 31)
		}
	}
	return frames
}

// Pulse is a PulseAudio server of the test's own with one null sink, 48 kHz and 32 bit, called "room".
type Pulse struct {
	*Process
	t   testing.TB
	dir string
}

// PulseServer starts the server.
func PulseServer(t testing.TB) *Pulse {
	t.Helper()
	// Not t.TempDir: a socket's path has to be short.
	dir, err := os.MkdirTemp("", "pulse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := `</usr/share/alsa/alsa.conf>
pcm.pulse { type pulse }
pcm.!default { type pulse }
ctl.!default { type pulse }
`
	for name, text := range map[string]string{"asound.conf": conf, "recorder.conf": "enable-shm = no\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &Pulse{t: t, dir: dir}
	p.Start()
	return p
}

// Start starts the server again after Kill.
func (p *Pulse) Start() {
	p.t.Helper()
	socket := filepath.Join(p.dir, "socket")
	_ = os.Remove(socket)
	p.Process = Run(p.t, p.dir, "pulseaudio", p.Env(), "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
		"--high-priority=no", "--realtime=no", "--log-target=stderr",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+socket,
		"-L", "module-null-sink sink_name=room norewinds=1 rate=48000 format=s32le channels=2")
	Eventually(p.t, "pulseaudio listens", func() bool {
		return exec.Command("pactl", "--server=unix:"+socket, "info").Run() == nil
	})
}

// Env is what a program needs in its environment to play into the server, by libpulse or by ALSA's default device.
func (p *Pulse) Env() []string {
	return []string{
		"PULSE_SERVER=unix:" + filepath.Join(p.dir, "socket"), "HOME=" + p.dir, "XDG_RUNTIME_DIR=" + p.dir,
		"ALSA_CONFIG_PATH=" + filepath.Join(p.dir, "asound.conf"),
	}
}

// Recording is a running recording of all that the server plays.
type Recording struct {
	*Process
	server *Process
	t      testing.TB
	path   string
}

// Record starts to record. The first few hundred milliseconds can be missing; while nothing plays it records silence.
func (p *Pulse) Record() *Recording {
	p.t.Helper()
	r := &Recording{t: p.t, server: p.Process, path: filepath.Join(p.dir, fmt.Sprintf("recorded-%d", time.Now().UnixNano()))}
	// Over shared memory the server refers the recorder to blocks that it has not told it of (PulseAudio's bug 824).
	env := append(p.Env(), "PULSE_CLIENTCONFIG="+filepath.Join(p.dir, "recorder.conf"))
	r.Process = Run(p.t, p.dir, "parec", env, "--raw", "--device=room.monitor", "--rate=48000", "--format=s32le", "--channels=2",
		"--latency-msec=50", r.path)
	Eventually(p.t, "parec records", func() bool {
		info, err := os.Stat(r.path)
		return err == nil && info.Size() > 0
	})
	return r
}

// Size is how many bytes are recorded.
func (r *Recording) Size() int64 { return size(r.path) }

// Stop ends the recording. It fails the test if the recorder or its server ended by itself: then nothing can be said of the sound.
func (r *Recording) Stop() Sound {
	r.t.Helper()
	if !r.server.killed.Load() { // else the recorder ended with it
		for _, p := range []*Process{r.server, r.Process} {
			select {
			case <-p.Done():
				log, _ := os.ReadFile(p.log)
				r.t.Fatalf("%s ended by itself: %v\n%s", p.Path, p.err, log)
			default:
			}
		}
	}
	r.Kill()
	raw, err := os.ReadFile(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	return Sound{Rate: 48000, Bits: 32, Frames: Frames(raw, 32)}
}
