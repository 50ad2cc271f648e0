package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// toolset is what is installed.
type toolset struct {
	ffmpeg, ffprobe string // paths; empty: not there
	version         string
	soxr            bool
}

// tools looks once; an ffmpeg that is installed later is found at the next start.
var tools = sync.OnceValue(func() toolset {
	var t toolset
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return t
	}
	out, err := exec.Command(path, "-nostdin", "-version").Output()
	if err != nil {
		return t
	}
	t.ffmpeg = path
	first, _, _ := strings.Cut(string(out), "\n")
	t.version, _, _ = strings.Cut(strings.TrimPrefix(first, "ffmpeg version "), " ")
	t.soxr = bytes.Contains(out, []byte("--enable-libsoxr"))
	t.ffprobe, _ = exec.LookPath("ffprobe")
	return t
})

// stallTimeout is how long a child may give nothing while it is asked to: longer than a disk takes to spin up.
const stallTimeout = 20 * time.Second

// reopening a file somewhere inside it starts at least this early, so that mp3's bit reservoir, opus' and aac's overlap and the
// resampler have settled at the first frame handed out.
const preroll = 300 * time.Millisecond

// seekPlan splits a place in a file into whole seconds, where the frames of all rates fall together, and the frames
// to drop after them. From there on a resampler gives the same frames as from the file's start.
func seekPlan(opt Options) (seconds, skip int64) {
	frames := int64(math.Round(opt.From.Seconds() * float64(opt.Rate)))
	seconds = max(int64((opt.From-preroll)/time.Second), 0)
	return seconds, frames - seconds*int64(opt.Rate)
}

// child is a running ffmpeg that writes WAV of 32-bit floats, at the session's rate and with the file's own channels, to a pipe.
type child struct {
	cmd    *exec.Cmd
	out    *os.File
	said   tail
	exited chan struct{} // closed when the child has ended
	exit   error         // how; once exited is closed

	path string
	rate int

	// Owned by read.
	place  int64 // frames from the file's start
	mix    mixer
	buf    []byte
	lo, hi int // what of buf has been read from the pipe and not yet been handed out
}

func openFFmpeg(t toolset, path string, opt Options) (source, int64, error) {
	seconds, skip := seekPlan(opt)
	args := []string{"-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-filter_threads", "1", "-protocol_whitelist", "file",
		"-err_detect:a", "crccheck+explode"} // a frame with a wrong checksum is left out: it would sound as noise
	if seconds > 0 {
		args = append(args, "-ss", strconv.FormatInt(seconds, 10))
	}
	resample := "aresample=" + strconv.Itoa(opt.Rate)
	if t.soxr {
		resample += ":resampler=soxr"
	}
	// file: keeps a name with a colon or a leading dash from being read as anything but a name.
	args = append(args, "-i", "file:"+path, "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-af", resample,
		"-c:a", "pcm_f32le", "-bitexact", "-f", "wav", "pipe:1")
	c := &child{path: path, rate: opt.Rate, place: seconds * int64(opt.Rate), cmd: exec.Command(t.ffmpeg, args...), buf: make([]byte, 256<<10), exited: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	c.out, c.cmd.Stdout, c.cmd.Stderr = r, w, &c.said
	widen(r)
	if err := c.start(opt.Background); err != nil {
		r.Close()
		w.Close()
		return nil, 0, fmt.Errorf("start ffmpeg: %w", err)
	}
	w.Close()
	return c, skip, nil
}

func (c *child) stop() { _ = c.cmd.Process.Kill() }

func (c *child) release() {
	c.stop()
	c.out.Close()
	select {
	case <-c.exited:
	case <-time.After(time.Second):
	}
}

// more reads until at least want bytes are there.
func (c *child) more(want int) error {
	if c.hi-c.lo >= want {
		return nil
	}
	c.hi = copy(c.buf, c.buf[c.lo:c.hi])
	c.lo = 0
	for c.hi < want {
		_ = c.out.SetReadDeadline(time.Now().Add(stallTimeout)) // pipes take deadlines wherever the runtime polls them
		n, err := c.out.Read(c.buf[c.hi:])
		c.hi += n
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *child) read(dst [][2]float32) (int, error) {
	if c.mix == nil {
		if err := c.header(); err != nil {
			return 0, c.why(err)
		}
	}
	frame := 4 * len(c.mix)
	if err := c.more(frame); err != nil {
		return 0, c.why(err)
	}
	n := min(len(dst), (c.hi-c.lo)/frame)
	b := c.buf[c.lo : c.lo+n*frame]
	c.lo += n * frame
	c.place += int64(n)
	if c.mix.plain() {
		for i := range dst[:n] {
			f := b[i*8 : i*8+8 : i*8+8]
			dst[i] = [2]float32{math.Float32frombits(binary.LittleEndian.Uint32(f)), math.Float32frombits(binary.LittleEndian.Uint32(f[4:]))}
		}
		return n, nil
	}
	for i := range dst[:n] {
		var sum [2]float32
		for ch, k := range c.mix {
			v := math.Float32frombits(binary.LittleEndian.Uint32(b[i*frame+4*ch:]))
			sum[0] += k[0] * v
			sum[1] += k[1] * v
		}
		dst[i] = sum
	}
	return n, nil
}

// header reads up to the first sample.
func (c *child) header() error {
	if err := c.more(12); err != nil {
		return err
	}
	c.lo += 12
	var channels int
	var mask uint32
	for {
		if err := c.more(8); err != nil {
			return err
		}
		id, size := string(c.buf[c.lo:c.lo+4]), binary.LittleEndian.Uint32(c.buf[c.lo+4:])
		c.lo += 8
		if id == "data" {
			break
		}
		if size > 4096 {
			return fmt.Errorf("ffmpeg's header holds %d bytes of %q", size, id)
		}
		if err := c.more(int(size)); err != nil {
			return err
		}
		if id == "fmt " && size >= 16 {
			f := c.buf[c.lo : c.lo+int(size)]
			channels = int(binary.LittleEndian.Uint16(f[2:]))
			if size >= 40 {
				mask = binary.LittleEndian.Uint32(f[20:])
			}
		}
		c.lo += int(size)
	}
	if channels < 1 || channels > maxChannels {
		return fmt.Errorf("%w: %d channels", ErrUnsupported, channels)
	}
	c.mix = newMixer(channels, mask)
	return nil
}

// why turns the end of the pipe into the reason for it.
func (c *child) why(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("ffmpeg gave nothing for %v: %w", stallTimeout, ErrDamaged)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	exit := errors.New("ffmpeg closed its output and stayed")
	select {
	case <-c.exited:
		exit = c.exit
	case <-time.After(2 * time.Second):
	}
	said := c.said.String()
	switch {
	case exit == nil:
		return c.whole(said)
	case strings.Contains(said, "matches no streams"):
		return fmt.Errorf("%w: ffmpeg: %w: %s", ErrNoSound, exit, said)
	case strings.Contains(said, "Decoder (codec"), strings.Contains(said, "Unknown decoder"):
		return fmt.Errorf("%w: ffmpeg: %w: %s", ErrUnsupported, exit, said)
	}
	return fmt.Errorf("%w: ffmpeg: %w: %s", ErrDamaged, exit, said)
}

// whole says whether all that the file promises has come. ffmpeg ends well where a file is cut off, and grumbles about what
// may follow a whole one.
func (c *child) whole(said string) error {
	h, known := promise(c.path)
	short := 0.0
	if known && h.exact {
		short = float64(h.frames)/float64(h.rate) - float64(c.place)/float64(c.rate)
	}
	switch {
	case short > 0.05:
		return fmt.Errorf("%w: the sound ends %.2f s early: ffmpeg: %s", ErrDamaged, short, said)
	case known && h.cut:
		return fmt.Errorf("%w: the file ends before the sound does", ErrDamaged)
	case said == "", known && h.exact:
		return io.EOF
	}
	return fmt.Errorf("%w: ffmpeg: %s", ErrDamaged, said)
}

// tail keeps the first lines that a child says, in one line.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), 1024-len(t.text))]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(string(t.text), ""), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
