package decode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"roomd/player/decode/endings"
)

// decoder gives a file's frames at the file's own rate. Its methods are called by one goroutine.
type decoder interface {
	// header says what the file promises.
	header() header
	// seek makes next go on at a frame counted from the first that sounds. It is called before the first next, if at all.
	seek(frame int64) error
	// next gives some frames, valid until the following call, and their rate, which a chained file may change. No
	// frames without an error are fine; frames never come with one. At the end of a sound file the error is io.EOF.
	next() ([][2]float32, int, error)
}

// header is what a file's first bytes promise of its sound.
type header struct {
	codec    string // as ffmpeg names it
	rate     int
	channels int
	frames   int64 // at rate; 0: unknown
	exact    bool  // frames is what a whole file decodes to
	cut      bool  // the file is shorter than it says
}

// promise is what a file of the kinds that are known here says of its sound; false for all others.
func promise(path string) (h header, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			h, ok = header{}, false
		}
	}()
	in, err := openInput(path)
	if err != nil {
		return header{}, false
	}
	defer in.f.Close()
	dec, err := newDecoder(in, path)
	if err != nil {
		return header{}, false
	}
	return dec.header(), true
}

// nativeSource runs a Go decoder and what guards it.
type nativeSource struct {
	in   *input
	name string
	rate int
	from int64 // seconds into the file

	// Owned by read.
	dec     decoder
	re      *resampler // nil where the file has the session's rate
	reRate  int        // the rate that re was made for
	pending [][2]float32
	end     error // why no more comes from dec
}

func openNative(path string, opt Options, frame int64) (source, int64, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, 0, err
	}
	seconds, skip := seekPlan(frame, opt.Rate)
	return &nativeSource{in: in, name: path, rate: opt.Rate, from: seconds}, skip, nil
}

func (s *nativeSource) stop()    { s.in.stopped.Store(true) }
func (s *nativeSource) release() { s.in.f.Close() }

func (s *nativeSource) read(dst [][2]float32) (int, error) {
	for len(s.pending) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		s.step()
	}
	n := copy(dst, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// step decodes one block into pending, or sets end. A panic in a decoder ends the file.
func (s *nativeSource) step() {
	defer func() {
		if r := recover(); r != nil {
			s.end = fmt.Errorf("%w: the decoder broke: %v", ErrDamaged, r)
		}
	}()
	if s.in.stopped.Load() {
		s.end = ErrClosed
		return
	}
	if s.dec == nil {
		dec, err := newDecoder(s.in, s.name)
		if err == nil && s.from > 0 {
			err = dec.seek(s.from * int64(dec.header().rate))
			if errors.Is(err, io.EOF) {
				err = ErrNoSound
			}
		}
		if err != nil {
			s.end = err
			return
		}
		s.dec = dec
	}
	block, rate, err := s.dec.next()
	if err != nil {
		if s.re != nil {
			s.pending = s.re.flush()
		}
		s.end = err
		return
	}
	var rest [][2]float32
	if len(block) > 0 && rate != s.reRate {
		if rate < 1000 || rate > 768000 {
			s.end = fmt.Errorf("%w: a rate of %d Hz", ErrDamaged, rate)
			return
		}
		if s.re != nil { // a chained file: what the old resampler still holds comes first
			rest = slices.Clone(s.re.flush())
		}
		s.re, s.reRate = nil, rate
		if rate != s.rate {
			s.re = newResampler(rate, s.rate)
		}
	}
	if s.re != nil {
		block = s.re.push(block)
	}
	s.pending = block
	if len(rest) > 0 {
		s.pending = append(rest, block...)
	}
}

// newDecoder looks at a file's first bytes, never at its name, for the decoder to use.
func newDecoder(in *input, name string) (decoder, error) {
	at, err := skipID3(in)
	if err != nil {
		return nil, err
	}
	var magic [12]byte
	n, err := in.ReadAt(magic[:], at)
	if n < 4 {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%w: %d bytes", ErrDamaged, in.size)
		}
		return nil, err
	}
	switch m := string(magic[:]); {
	case m[:4] == "fLaC":
		return newFlac(in, at)
	case m[:4] == "OggS":
		return newVorbis(in, at)
	case (m[:4] == "RIFF" || m[:4] == "RF64") && m[8:] == "WAVE":
		return newWav(in, at)
	}
	dec, err := newMP3(in, at)
	if err != nil && !slices.Contains(endings.Native, endings.Of(name)) && !errors.Is(err, ErrUnsupported) {
		return nil, fmt.Errorf("%w: not mp3, flac, ogg vorbis or wav", ErrUnsupported)
	}
	return dec, err
}

// skipID3 is the place after the ID3v2 tags at a file's start: pictures of many megabytes are never read.
func skipID3(in *input) (int64, error) {
	var at int64
	for range 16 {
		var h [10]byte
		if n, err := in.ReadAt(h[:], at); n < len(h) {
			if errors.Is(err, io.EOF) {
				return at, nil
			}
			return 0, err
		}
		if string(h[:3]) != "ID3" || h[3] == 0xff || h[4] == 0xff || (h[6]|h[7]|h[8]|h[9])&0x80 != 0 {
			break
		}
		size := int64(h[6])<<21 | int64(h[7])<<14 | int64(h[8])<<7 | int64(h[9])
		if h[5]&0x10 != 0 { // a footer
			size += 10
		}
		if at+10+size > in.size {
			break // a size that can't be: let the search for a frame go on from here
		}
		at += 10 + size
	}
	return at, nil
}

// input is a file as decoders see it: it fails once the stream was closed, and it throws a decoder out that goes on
// asking at the end of the file.
type input struct {
	f       *os.File
	size    int64
	stopped atomic.Bool
	ends    int // reads at the end in a row
}

func openInput(path string) (*input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &input{f: f, size: st.Size()}, nil
}

func (in *input) check(n int, err error) (int, error) {
	if n > 0 {
		in.ends = 0
	} else if err != nil {
		if in.ends++; in.ends > 10000 {
			panic("it reads on at the end of the file")
		}
	}
	return n, err
}

func (in *input) ReadAt(p []byte, at int64) (int, error) {
	if in.stopped.Load() {
		return 0, ErrClosed
	}
	return in.check(in.f.ReadAt(p, at))
}

// section is the file from a place on, as a reader.
func (in *input) section(at int64) io.Reader {
	return io.NewSectionReader(in, at, max(in.size-at, 0))
}
