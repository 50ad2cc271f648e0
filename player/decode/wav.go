package decode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// wav reads RIFF and RF64 WAVE files: integers of 8 to 32 bit, floats of 32 and 64. A data chunk without a length (0 or
// the largest number, as a recorder or a pipe leaves it) goes on to the file's end.
type wav struct {
	in    *input
	hd    header
	mix   mixer
	start int64 // of the data in the file
	bytes int   // a sample
	float bool

	r    *bufio.Reader
	left int64 // frames
	raw  []byte
	out  [][2]float32
}

func newWav(in *input, at int64) (*wav, error) {
	w := &wav{in: in}
	var ds64 int64 = -1
	var mask uint32
	pos := at + 12
	for range 10000 {
		var h [8]byte
		if n, err := in.ReadAt(h[:], pos); n < len(h) {
			if errors.Is(err, io.EOF) {
				break
			}
			return nil, err
		}
		id, size := string(h[:4]), int64(binary.LittleEndian.Uint32(h[4:]))
		pos += 8
		switch id {
		case "ds64":
			var b [16]byte
			if n, _ := in.ReadAt(b[:], pos); n == len(b) {
				ds64 = int64(binary.LittleEndian.Uint64(b[8:]))
			}
		case "fmt ":
			var b [40]byte
			n, _ := in.ReadAt(b[:min(size, 40)], pos)
			if n < 16 {
				return nil, fmt.Errorf("%w: wav format of %d bytes", ErrDamaged, size)
			}
			le := binary.LittleEndian
			kind, channels, bits := le.Uint16(b[:]), int(le.Uint16(b[2:])), int(le.Uint16(b[14:]))
			w.hd.rate = int(le.Uint32(b[4:]))
			if kind == 0xfffe && n >= 26 {
				mask = le.Uint32(b[20:])
				kind = le.Uint16(b[24:])
			}
			w.hd.channels, w.bytes, w.float = channels, bits/8, kind == 3
			whole := bits%8 == 0 && bits >= 8 && bits <= 32
			if kind == 3 {
				whole = bits == 32 || bits == 64
			}
			if kind != 1 && kind != 3 || !whole {
				return nil, fmt.Errorf("%w: wav of kind %d with %d bits", ErrUnsupported, kind, bits)
			}
			if channels < 1 || channels > maxChannels || w.hd.rate < 1000 || w.hd.rate > 768000 || int(le.Uint16(b[12:])) != channels*w.bytes {
				return nil, fmt.Errorf("%w: wav of %d channels at %d Hz", ErrDamaged, channels, w.hd.rate)
			}
			w.mix = newMixer(channels, mask)
			w.hd.codec = fmt.Sprintf("pcm_s%dle", bits)
			switch {
			case w.float:
				w.hd.codec = fmt.Sprintf("pcm_f%dle", bits)
			case bits == 8:
				w.hd.codec = "pcm_u8"
			}
		case "data":
			if w.mix == nil {
				return nil, fmt.Errorf("%w: wav without a format", ErrDamaged)
			}
			w.start = pos
			if size == math.MaxUint32 && ds64 > 0 {
				size = ds64
			} else if size == math.MaxUint32 || size == 0 {
				size = in.size - pos
			}
			frame := int64(w.bytes * w.hd.channels)
			have := (in.size - pos) / frame
			w.hd.frames, w.hd.exact, w.hd.cut = min(have, size/frame), true, have < size/frame
			w.left = w.hd.frames
			w.r = bufio.NewReaderSize(in.section(pos), 64<<10)
			w.raw = make([]byte, 2048*frame)
			w.out = make([][2]float32, 2048)
			return w, nil
		}
		pos += size + size&1
	}
	return nil, fmt.Errorf("%w: wav without data", ErrDamaged)
}

func (w *wav) header() header { return w.hd }

func (w *wav) seek(frame int64) error {
	if frame > w.left {
		return io.EOF
	}
	w.left -= frame
	w.r.Reset(w.in.section(w.start + frame*int64(w.bytes*w.hd.channels)))
	return nil
}

func (w *wav) next() ([][2]float32, int, error) {
	if w.left == 0 {
		if w.hd.cut {
			return nil, w.hd.rate, fmt.Errorf("%w: the file ends before the sound does", ErrDamaged)
		}
		return nil, w.hd.rate, io.EOF
	}
	n := min(w.left, int64(len(w.out)))
	frame := w.bytes * w.hd.channels
	b := w.raw[:int(n)*frame]
	if _, err := io.ReadFull(w.r, b); err != nil {
		return nil, w.hd.rate, err
	}
	w.left -= n
	for i := range w.out[:n] {
		var sum [2]float32
		for c, k := range w.mix {
			v := w.sample(b[i*frame+c*w.bytes:])
			sum[0] += k[0] * v
			sum[1] += k[1] * v
		}
		w.out[i] = sum
	}
	return w.out[:n], w.hd.rate, nil
}

func (w *wav) sample(b []byte) float32 {
	switch {
	case w.float && w.bytes == 4:
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	case w.float:
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case w.bytes == 2:
		return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15)
	case w.bytes == 3:
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)>>8) / (1 << 23)
	case w.bytes == 4:
		return float32(int32(binary.LittleEndian.Uint32(b))) / (1 << 31)
	}
	return (float32(b[0]) - 128) / 128
}
