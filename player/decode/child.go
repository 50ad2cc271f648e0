package decode

import (
	"bytes"
	"cmp"
	"context"
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

// A child that dies, or outputs nothing for stallTimeout while it is being read, is restarted at the same frame. Its first frame may
// take half of openTimeout: on a slow disk or a busy computer a restart would only lose time. After maxDeaths within a second of sound
// the file or its disk is at fault.
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

// frameSize is the bytes of one frame in a child's pipe: two little-endian 32-bit floats.
const frameSize = 8

// child is a running decoder. It writes stereo frames at the session's rate to a pipe, and nothing else.
type child struct {
	cmd    *exec.Cmd
	name   string        // of the decoder, for errors
	first  time.Duration // how long it may take to the first frame
	next   time.Duration // and from one read to the next
	out    *os.File
	said   tail
	exited chan struct{} // closed when the child has ended
	exit   error         // how; once exited is closed

	// Owned by read.
	buf    []byte
	lo, hi int // what of buf has been read from the pipe and not yet been handed out
}

// reviving is a child that is started again at its place when it dies.
type reviving struct {
	path string
	opt  Options
	ctx  context.Context // ends with the stream
	end  context.CancelFunc

	// Owned by read.
	next   int64 // the frame that is given next, from the file's start
	skip   int64 // frames of the child before it
	deaths int   // since frame lived
	lived  int64
	rests  bool // the child was given back

	mu      sync.Mutex // guards the rest
	child   *child
	stopped bool
}

func openChild(path string, opt Options, frame int64) (source, error) {
	if opt.Probe == nil {
		opt.Probe = func(ctx context.Context, path string) (Info, error) { return probe(ctx, path, tools().ffprobe, opt) }
	}
	r := &reviving{path: path, opt: opt, next: frame, lived: frame}
	r.ctx, r.end = context.WithCancel(context.Background())
	if err := r.start(); err != nil {
		r.end()
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
	c, skip, err := startDecoder(r.path, r.opt, r.next)
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
	r.end()
	r.child.stop()
}

func (r *reviving) release() {
	r.end()
	r.running().release()
}

// rest ends the child until the next read, which goes on at its frame.
func (r *reviving) rest() {
	r.rests = true
	r.running().release()
}

func (r *reviving) read(dst [][2]float32) (int, error) {
	if r.rests {
		r.rests = false
		if err := r.start(); err != nil {
			return 0, err
		}
	}
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
		case err == nil && n == 0:
			continue
		case errors.Is(err, io.EOF) && !r.opt.own():
			return n, r.whole(r.running().said.String())
		case n > 0 || !errors.Is(err, errDied):
			return n, err
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

// whole says whether all that the file promises has come. ffmpeg ends well where a file is cut off, and grumbles about what
// may follow a whole one.
func (r *reviving) whole(said string) error {
	info, err := r.opt.Probe(r.ctx, r.path)
	late := 150 * time.Millisecond // an mp3's encoder fills up its last frames
	if info.Exact {
		late = 50 * time.Millisecond
	}
	came := time.Duration(float64(r.next-r.skip) / float64(r.opt.Rate) * float64(time.Second))
	switch {
	case err != nil && r.ctx.Err() != nil:
		return ErrClosed
	case err == nil && info.Cut:
		return fmt.Errorf("%w: the file ends before the sound does", ErrDamaged)
	case err == nil && !info.Guessed && info.Duration-came > late:
		return fmt.Errorf("%w: the sound ends %.2f s early: ffmpeg: %s", ErrDamaged, (info.Duration - came).Seconds(), said)
	case said == "", err == nil && !info.Guessed && info.Duration > 0:
		return io.EOF
	}
	return fmt.Errorf("%w: ffmpeg: %s", ErrDamaged, said)
}

// startDecoder starts a child at a frame of the file: skip frames come before it.
func startDecoder(path string, opt Options, frame int64) (c *child, skip int64, err error) {
	seconds, skip := seekPlan(frame, opt.Rate)
	c = &child{
		name: "ffmpeg", first: opt.patience(openTimeout / 2), next: opt.patience(cmp.Or(opt.stall, stallTimeout)),
		buf: make([]byte, 256<<10), exited: make(chan struct{}),
	}
	if opt.own() {
		c.name, c.first = "roomd decode", opt.patience(openTimeout) // it may have to decode everything before the frame
		c.cmd, err = selfCommand("--rate", strconv.Itoa(opt.Rate), "--from", strconv.FormatInt(seconds, 10), "--", path)
	} else {
		c.cmd, err = selfCommand(append([]string{"--run", tools().ffmpeg, "--", path}, ffmpegArgs(tools().soxr, path, opt.Rate, seconds)...)...)
	}
	if err != nil {
		return nil, 0, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	c.out, c.cmd.Stdout, c.cmd.Stderr = r, w, &c.said
	widen(r)
	err = spawn(c.cmd, opt.Background, func(exit error) {
		c.exit = exit
		close(c.exited)
	})
	w.Close()
	if err != nil {
		r.Close()
		return nil, 0, fmt.Errorf("start %s: %w", c.name, err)
	}
	return c, skip, nil
}

// ffmpegArgs have ffmpeg decode a file from a whole second on.
func ffmpegArgs(soxr bool, path string, rate int, seconds int64) []string {
	args := []string{"-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-filter_threads", "1", "-protocol_whitelist", "file", "-format_whitelist", formats,
		"-err_detect:a", "crccheck+explode"} // a frame with a wrong checksum is left out: it would sound as noise
	if seconds > 0 {
		args = append(args, "-ss", strconv.FormatInt(seconds, 10))
	}
	// ffmpeg folds channels as ITU-R BS.775 says: the center and the surrounds at -3 dB, back center at -6 dB, no low-frequency
	// channel, and floats are not scaled down. It plays one channel at -3 dB; here it goes to both sides as it is, so that a
	// meter reads the same on either side as in the file.
	filters := `volume=volume=if(eq(nb_channels\,1)\,sqrt(2)\,1):precision=float,aresample=` + strconv.Itoa(rate)
	if soxr {
		filters += ":resampler=soxr"
	}
	filters += ",aformat=channel_layouts=stereo"
	// file: keeps a name with a colon or a leading dash from being read as anything but a name.
	return append(args, "-i", "file:"+path, "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-af", filters,
		"-c:a", "pcm_f32le", "-f", "f32le", "pipe:1")
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

func (c *child) read(dst [][2]float32) (int, error) {
	if c.hi-c.lo < frameSize {
		c.hi = copy(c.buf, c.buf[c.lo:c.hi])
		c.lo = 0
		for c.hi < frameSize {
			_ = c.out.SetReadDeadline(time.Now().Add(c.first)) // pipes take deadlines wherever the runtime polls them
			n, err := c.out.Read(c.buf[c.hi:])
			c.hi += n
			if err != nil {
				return 0, c.why(err)
			}
		}
		c.first = c.next
	}
	n := min(len(dst), (c.hi-c.lo)/frameSize)
	for i := range dst[:n] {
		b := c.buf[c.lo+i*frameSize:][:frameSize]
		dst[i] = [2]float32{math.Float32frombits(binary.LittleEndian.Uint32(b)), math.Float32frombits(binary.LittleEndian.Uint32(b[4:]))}
	}
	c.lo += n * frameSize
	return n, nil
}

// why turns the end of the pipe into the reason for it: io.EOF where the child ended well.
func (c *child) why(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w: %s gave nothing for %v", ErrDamaged, errDied, c.name, c.first)
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	exit := errors.New("it closed its output and stayed")
	select {
	case <-c.exited:
		exit = c.exit
	case <-time.After(c.next):
	}
	if exit == nil {
		return io.EOF
	}
	return told(c.name, exit, c.said.String())
}

// told is the error of a child by its exit and its last words.
func told(name string, exit error, said string) error {
	kind := ErrDamaged
	var e *exec.ExitError
	switch {
	case errors.As(exit, &e) && exits[e.ExitCode()] != nil:
		kind = exits[e.ExitCode()]
	case died(exit):
		return fmt.Errorf("%w: %w: %s: %w: %s", ErrDamaged, errDied, name, exit, said)
	case strings.Contains(said, "matches no streams"):
		kind = ErrNoSound
	case strings.Contains(said, "Decoder (codec"), strings.Contains(said, "Unknown decoder"), strings.Contains(said, "Rematrix is needed"):
		kind = ErrUnsupported
	}
	return fmt.Errorf("%w: %s: %w: %s", kind, name, exit, said)
}

// died says whether a signal ended the child, or what Go makes of one, 2. ffmpeg itself leaves with 255 where one asks it to.
func died(exit error) bool {
	var e *exec.ExitError
	if !errors.As(exit, &e) {
		return false
	}
	status, ok := e.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() || e.ExitCode() == 255 || e.ExitCode() == 2
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
