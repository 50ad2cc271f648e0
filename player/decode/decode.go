// Package decode turns files into samples: stereo frames at the session's one rate, read ahead, so that the sound never waits for
// a disk or a child process.
//
// A child decodes, always: ffmpeg where it is installed, else this program itself as "roomd decode", which holds beep's
// decoders. Both write stereo frames to a pipe, so a file that makes a decoder crash, loop or ask for the whole memory costs
// that file only. No file is parsed in the daemon.
package decode

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"roomd/player/decode/endings"
)

// Options say how a file is opened.
type Options struct {
	// Rate is the rate of the frames handed out, in Hz: 8000 to 192000.
	Rate int
	// From is the place in the file of the first frame handed out, 0 or more. It is rounded to a frame at Rate.
	From time.Duration
	// Background has the decoder's child give way to everything else, and has it waited for: nobody listens.
	Background bool
	// Ahead is how much is decoded ahead at most; 0 means 4 s.
	Ahead time.Duration
	// Probe is asked at the end of the file, to tell whether all of its sound came. A caller that keeps what Probe told gives its own; nil
	// reads the headers again.
	Probe func(ctx context.Context, path string) (Info, error)

	native bool          // roomd decode even where ffmpeg is installed
	stall  time.Duration // in place of stallTimeout; 0: that. Tests do not wait so long
	unread time.Duration // how long a stream that nobody reads keeps its child; 0: 20 s. Tests do not wait so long
}

// own says whether roomd decodes the file by itself.
func (o Options) own() bool { return o.native || tools().ffmpeg == "" }

var (
	// ErrUnsupported: no decoder here plays this kind of file.
	ErrUnsupported = errors.New("no decoder for this kind of file")
	// ErrDamaged: the file's sound is broken or ends too early. What was sound has been handed out.
	ErrDamaged = errors.New("damaged file")
	// ErrNoSound: there is not one frame to hand out, or none after Options.From.
	ErrNoSound = errors.New("no sound in it")
	// ErrClosed: the stream was closed before its end.
	ErrClosed = errors.New("stream closed")
)

// openTimeout bounds how long a file's first frames may take. A sleeping disk needs up to 15 s, and without ffmpeg roomd decodes
// everything before them. The cover bed plays meanwhile.
var openTimeout = 20 * time.Second

// unhurried is how many times as long a child in the background may take: on a computer that is busy with other things it gets a
// few hundredths of a processor, and what it gives late is right all the same.
const unhurried = 12

func (o Options) patience(d time.Duration) time.Duration {
	if o.Background {
		return unhurried * d
	}
	return d
}

// Open starts to decode a file and returns when its first frames are there. ctx bounds the opening alone: the stream
// lives until it is closed, and its caller must close it. The error is one of fs.ErrNotExist, fs.ErrPermission,
// ErrUnsupported, ErrDamaged, ErrNoSound or ctx's own, wrapped with what the decoder said; Says puts it in a sentence.
func Open(ctx context.Context, path string, opt Options) (*Stream, error) {
	s, err := open(ctx, path, opt)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, opt Options) (*Stream, error) {
	if opt.Rate < 8000 || opt.Rate > 192000 {
		return nil, fmt.Errorf("a rate of %d Hz is not within 8000 to 192000", opt.Rate)
	}
	if opt.From < 0 {
		return nil, fmt.Errorf("can't start at %v, before the file's start", opt.From)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	size, err := regular(path)
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, ErrNoSound
	}
	src, err := openChild(path, opt, int64(math.Round(opt.From.Seconds()*float64(opt.Rate))))
	if err != nil {
		return nil, err
	}
	s := newStream(src, opt, maxLength)
	ctx, cancel := context.WithTimeout(ctx, opt.patience(openTimeout))
	defer cancel()
	if err := s.prime(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// regular is the size of a file that can be read. A FIFO or a device would block or never end.
func regular(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	if !st.Mode().IsRegular() {
		return 0, fmt.Errorf("%w: not a regular file", ErrUnsupported)
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), f.Close()
}

// Says is an error of this package as a sentence for a therapist.
func Says(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "The file is not there. Check its name, or that the disk is plugged in."
	case errors.Is(err, fs.ErrPermission):
		return "The file may not be read. Allow roomd to read it."
	case errors.Is(err, ErrUnsupported):
		if m := Formats().Missing; m != "" {
			return "This kind of file can't be played here. " + m
		}
		return "This kind of file can't be played. Use flac or mp3."
	case errors.Is(err, ErrNoSound):
		return "There is no sound in this file. Copy it again."
	case errors.Is(err, ErrDamaged):
		return "The file is damaged. Copy it again."
	case errors.Is(err, context.DeadlineExceeded):
		return "The file takes too long to read. Check its disk."
	}
	return "The file can't be played. Copy it again."
}

// Playable is what can be played here.
type Playable struct {
	FFmpeg  bool     // the ffmpeg way is used
	Version string   // of ffmpeg, as it says itself
	Endings []string // file name endings, lower case with the dot
	Missing string   // what can't be played and what to do, as a sentence; empty: nothing
}

// Formats says what can be played here.
func Formats() Playable {
	t := tools()
	if t.ffmpeg != "" {
		return Playable{FFmpeg: true, Version: t.version, Endings: endings.Music}
	}
	return Playable{Endings: endings.Native, Missing: "Without ffmpeg only ordinary mp3, flac, ogg vorbis and wav files of one or two channels are played; " +
		"for m4a, opus, aiff, wma and the rest install ffmpeg (sudo apt install ffmpeg) and start roomd again."}
}
