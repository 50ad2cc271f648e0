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
	"syscall"
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

// formats are ffmpeg's demuxers for what package endings lists. Without a list ffmpeg guesses by a file's first bytes, and a text
// that it takes for a playlist or a manifest leads it to other files.
const formats = "aac,ac3,eac3,aiff,ape,asf,au,caf,dsf,flac,iff,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,ogg,tak,tta,w64,wav,wv"

// A child that gives nothing for stallTimeout while it is asked to, or dies, is started again at its place. After maxDeaths
// within a second of sound the file is at fault, or its disk: together longer than a disk takes to spin up.
const (
	stallTimeout = 5 * time.Second
	maxDeaths    = 4
)

// errDied: the child was killed, crashed or hung, which says nothing of its file.
var errDied = errors.New("the decoder died")

// reopening a file somewhere inside it starts at least this early, so that mp3's bit reservoir, opus' and aac's overlap and the
// resampler have settled at the first frame handed out.
const preroll = 300 * time.Millisecond

// seekPlan splits a place in a file, in frames at the rate, into whole seconds, where the frames of all rates fall together, and
// the frames to drop after them. From there on a resampler gives the same frames as from the file's start.
func seekPlan(frame int64, rate int) (seconds, skip int64) {
	seconds = max((frame-int64(preroll.Seconds()*float64(rate)))/int64(rate), 0)
	return seconds, frame - seconds*int64(rate)
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

// reviving is a child that is started again at its place when it dies.
type reviving struct {
	path string
	opt  Options

	// Owned by read.
	next   int64 // the frame that is given next, from the file's start
	skip   int64 // frames of the child before it
	deaths int   // since frame lived
	lived  int64

	mu      sync.Mutex // guards the rest
	child   *child
	stopped bool
}

func openFFmpeg(path string, opt Options, frame int64) (source, error) {
	r := &reviving{path: path, opt: opt, next: frame, lived: frame}
	if err := r.start(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *reviving) start() (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return ErrClosed
	}
	c, skip, err := startFFmpeg(tools(), r.path, r.opt, r.next)
	if err == nil {
		r.child, r.skip = c, skip // else the dead one stays, to be released
	}
	return err
}

// running is the child of the moment.
func (r *reviving) running() *child {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.child
}

func (r *reviving) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.child.stop()
}

func (r *reviving) release() { r.running().release() }

func (r *reviving) read(dst [][2]float32) (int, error) {
	for {
		n, err := r.running().read(dst)
		drop := min(r.skip, int64(n))
		r.skip -= drop
		n = copy(dst, dst[drop:n])
		r.next += int64(n)
		if r.next-r.lived > int64(r.opt.Rate) {
			r.lived, r.deaths = r.next, 0
		}
		switch {
		case n > 0 || err != nil && !errors.Is(err, errDied):
			return n, err
		case err == nil:
			continue
		}
		if r.deaths++; r.deaths >= maxDeaths {
			return 0, err
		}
		r.running().release()
		if err := r.start(); err != nil {
			return 0, err
		}
	}
}

// startFFmpeg starts a child at a frame of the file: skip frames come before it.
func startFFmpeg(t toolset, path string, opt Options, frame int64) (c *child, skip int64, err error) {
	seconds, skip := seekPlan(frame, opt.Rate)
	args := []string{"-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-filter_threads", "1", "-protocol_whitelist", "file", "-format_whitelist", formats,
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
	c = &child{path: path, rate: opt.Rate, place: seconds * int64(opt.Rate), cmd: exec.Command(t.ffmpeg, args...), buf: make([]byte, 256<<10), exited: make(chan struct{})}
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
		return fmt.Errorf("%w: %w: ffmpeg gave nothing for %v", ErrDamaged, errDied, stallTimeout)
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
	case died(exit):
		return fmt.Errorf("%w: %w: ffmpeg: %w: %s", ErrDamaged, errDied, exit, said)
	case strings.Contains(said, "matches no streams"):
		return fmt.Errorf("%w: ffmpeg: %w: %s", ErrNoSound, exit, said)
	case strings.Contains(said, "Decoder (codec"), strings.Contains(said, "Unknown decoder"):
		return fmt.Errorf("%w: ffmpeg: %w: %s", ErrUnsupported, exit, said)
	}
	return fmt.Errorf("%w: ffmpeg: %w: %s", ErrDamaged, exit, said)
}

// died says whether a signal ended the child. ffmpeg itself leaves with 255 where one asks it to.
func died(exit error) bool {
	var e *exec.ExitError
	if !errors.As(exit, &e) {
		return false
	}
	status, ok := e.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() || e.ExitCode() == 255
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
