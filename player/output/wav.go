package output

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// A WAV file starts with this many bytes: RIFF, a chunk that a long file turns into ds64, fmt, and the data chunk's head.
const wavHeader = 12 + 8 + 28 + 8 + 16 + 8

// WAV writes stereo PCM, of 24 bit into a file or of 16 bit into a stream. One that grows over 4 GiB becomes an RF64 (EBU Tech 3306), which is the
// same with 64-bit sizes.
type WAV struct {
	file   *os.File // nil: a stream, whose sizes were known
	w      *bufio.Writer
	q      quantiser
	rate   int
	frames int64
	buf    []byte
	err    error
}

// CreateWAV makes the file, or empties it. rate is in Hz.
func CreateWAV(path string, rate int) (*WAV, error) {
	if rate <= 0 {
		return nil, fmt.Errorf("create wav %s: rate %d", path, rate)
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create wav: %w", err)
	}
	w := &WAV{file: file, w: bufio.NewWriterSize(file, 1<<18), q: newQuantiser(s243), rate: rate}
	if _, err := w.w.Write(w.header(0)); err != nil {
		return nil, errors.Join(fmt.Errorf("create wav: %w", err), file.Close())
	}
	return w, nil
}

// StreamWAV writes into a stream what will be of so many frames, of 16 bit. rate is in Hz.
func StreamWAV(to io.Writer, rate int, frames int64) (*WAV, error) {
	if rate <= 0 || frames < 0 {
		return nil, fmt.Errorf("stream wav: rate %d, %d frames", rate, frames)
	}
	w := &WAV{w: bufio.NewWriterSize(to, 1<<16), q: newQuantiser(s16), rate: rate}
	if _, err := w.w.Write(w.header(frames * int64(w.q.frame()))); err != nil {
		return nil, fmt.Errorf("stream wav: %w", err)
	}
	return w, nil
}

// Write appends the block. After an error, a full disk for instance, it answers the same error again.
func (w *WAV) Write(block [][2]float64) error {
	if w.err != nil {
		return w.err
	}
	if need := len(block) * w.q.frame(); len(w.buf) < need {
		w.buf = make([]byte, need)
	}
	if _, err := w.w.Write(w.buf[:w.q.encode(w.buf, block)]); err != nil {
		w.err = fmt.Errorf("write wav: %w", err)
		return w.err
	}
	w.frames += int64(len(block))
	return nil
}

// Close writes the sizes into the header and closes the file; a stream is flushed.
func (w *WAV) Close() error {
	err := w.err
	if err == nil {
		err = w.w.Flush()
	}
	if w.file == nil {
		return err
	}
	if err == nil {
		_, err = w.file.WriteAt(w.header(w.frames*int64(w.q.frame())), 0)
	}
	if err := errors.Join(err, w.file.Close()); err != nil {
		return fmt.Errorf("close wav: %w", err)
	}
	return nil
}

// header is the file's start where size bytes of PCM follow.
func (w *WAV) header(size int64) []byte {
	le := binary.LittleEndian
	riff, data, id, extra := uint32(0), uint32(0), "RIFF", "JUNK"
	long := size+wavHeader-8 > math.MaxUint32
	if long {
		riff, data, id, extra = math.MaxUint32, math.MaxUint32, "RF64", "ds64"
	} else {
		riff, data = uint32(size+wavHeader-8), uint32(size)
	}
	b := make([]byte, 0, wavHeader)
	b = append(b, id...)
	b = le.AppendUint32(b, riff)
	b = append(b, "WAVE"+extra...)
	b = le.AppendUint32(b, 28)
	if long {
		b = le.AppendUint64(b, uint64(size+wavHeader-8))
		b = le.AppendUint64(b, uint64(size))
		b = le.AppendUint64(b, uint64(w.frames))
		b = le.AppendUint32(b, 0)
	} else {
		b = append(b, make([]byte, 28)...)
	}
	frame := w.q.frame()
	b = append(b, "fmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 2)
	b = le.AppendUint32(b, uint32(w.rate))
	b = le.AppendUint32(b, uint32(w.rate*frame))
	b = le.AppendUint16(b, uint16(frame))
	b = le.AppendUint16(b, uint16(w.q.bits))
	b = append(b, "data"...)
	return le.AppendUint32(b, data)
}
