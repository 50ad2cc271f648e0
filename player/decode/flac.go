package decode

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/mewkiz/flac/frame"
)

// flacFile plays FLAC. The library decodes one frame at a time; the metadata, seeking (without a seek table too) and
// damage are handled here: a damaged frame is silence, and the sound goes on at its place after it.
type flacFile struct {
	in    *input
	hd    header
	mix   mixer
	bits  uint8
	block int64 // frames a block where all have the same length; 0: they vary
	limit int   // bytes that one frame may take
	start int64 // of the first frame in the file
	total int64 // as promised; 0: unknown
	shift int64 // number of the file's first sample: not 0 where the file was cut out of another

	r      *bufio.Reader
	off    int64 // of r in the file
	pos    int64 // the frame that comes next
	from   int64 // nothing before it is handed out
	broken int   // damaged places so far
	out    [][2]float32
}

func newFlac(in *input, at int64) (*flacFile, error) {
	f := &flacFile{in: in}
	pos := at + 4
	for range 10000 {
		var h [4]byte
		if n, err := in.ReadAt(h[:], pos); n < len(h) {
			return nil, fmt.Errorf("%w: flac metadata: %w", ErrDamaged, err)
		}
		size := int64(h[1])<<16 | int64(h[2])<<8 | int64(h[3])
		pos += 4
		if h[0]&0x7f == 0 {
			var b [18]byte
			if n, err := in.ReadAt(b[:], pos); n < len(b) || size < 34 {
				return nil, fmt.Errorf("%w: flac stream info: %w", ErrDamaged, err)
			}
			v := binary.BigEndian.Uint64(b[10:])
			f.hd = header{codec: "flac", rate: int(v >> 44), channels: int(v>>41&7) + 1, frames: int64(v & (1<<36 - 1))}
			f.bits = uint8(v>>36&31) + 1
			lo, hi := int64(binary.BigEndian.Uint16(b[:])), int64(binary.BigEndian.Uint16(b[2:]))
			if lo == hi {
				f.block = hi
			}
			if f.hd.rate < 1000 || f.bits < 4 || hi < 16 {
				return nil, fmt.Errorf("%w: flac of %d bit at %d Hz", ErrDamaged, f.bits, f.hd.rate)
			}
			f.hd.exact = f.hd.frames > 0
			f.total = f.hd.frames
			f.limit = int(hi)*f.hd.channels*(int(f.bits)+1)/8 + 1024
		}
		pos += size
		if h[0]&0x80 != 0 {
			break
		}
	}
	if f.hd.rate == 0 {
		return nil, fmt.Errorf("%w: flac without stream info", ErrDamaged)
	}
	f.mix = newMixer(f.hd.channels, 0)
	f.start = pos
	f.r = bufio.NewReaderSize(nil, 64<<10)
	f.move(pos)
	if b, _ := f.r.Peek(16); len(b) > 0 {
		if h, ok := parseFlac(b); ok {
			f.shift = f.number(h)
		}
	}
	return f, nil
}

func (f *flacFile) header() header { return f.hd }

func (f *flacFile) move(off int64) {
	f.r.Reset(f.in.section(off))
	f.off = off
}

// seek halves the file between two frames that are known until the place sought is near, which takes no seek table.
func (f *flacFile) seek(to int64) error {
	if f.total > 0 && to >= f.total {
		return io.EOF
	}
	f.from = to
	lo, hi := f.start, f.in.size
	for hi-lo > 128<<10 {
		mid := lo + (hi-lo)/2
		off, pos, err := f.find(mid, hi)
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF || pos > to {
			hi = mid
			continue
		}
		lo = off
	}
	off, pos, err := f.find(lo, f.in.size)
	if err != nil {
		return err
	}
	if pos > to {
		off, pos = f.start, 0 // damaged around there: the slow way
	}
	f.move(off)
	f.pos = pos
	return nil
}

// find is the first sound frame that starts in a stretch of the file, and the number of its first sample.
func (f *flacFile) find(lo, hi int64) (off, pos int64, err error) {
	r := bufio.NewReaderSize(f.in.section(lo), 64<<10)
	for off = lo; off < hi; off++ {
		b, err := r.Peek(16)
		if len(b) < 10 {
			if err == nil || err == io.EOF {
				err = io.EOF
			}
			return 0, 0, err
		}
		if b[0] == 0xff && b[1]&0xfe == 0xf8 {
			if h, ok := parseFlac(b); ok {
				at := f.number(h)
				if at >= 0 && (f.total == 0 || at < f.total) {
					if _, _, err := f.parse(bufio.NewReaderSize(f.in.section(off), 16<<10)); err == nil {
						return off, at, nil
					}
				}
			}
		}
		if _, err := r.Discard(1); err != nil {
			return 0, 0, err
		}
	}
	return 0, 0, io.EOF
}

// number is the place of a frame's first sample.
func (f *flacFile) number(h flacHeader) int64 {
	switch {
	case !h.fixed:
		return h.num - f.shift
	case f.block > 0:
		return h.num*f.block - f.shift
	}
	return h.num*int64(h.block) - f.shift
}

// parse decodes the frame at r's place and gives its length in the file.
func (f *flacFile) parse(r *bufio.Reader) (*frame.Frame, int, error) {
	head, err := r.Peek(16)
	if len(head) < 10 {
		return nil, 0, err
	}
	h, ok := parseFlac(head)
	if !ok {
		return nil, 0, fmt.Errorf("%w: no flac frame", ErrDamaged)
	}
	tap := &flacTap{r: r, left: f.limit}
	if h.chatty {
		// The library prints a line for each frame of these rates. It gets the header without the rate; the checksum
		// over what the file holds is then ours to check.
		tap.head = append(tap.head, head[:h.size]...)
		tap.head[2] &= 0xf0
		tap.head[h.size-1] = crc8(tap.head[:h.size-1])
		tap.crc = crc16(0, head[:h.size])
		tap.sum = true
		if _, err := r.Discard(h.size); err != nil {
			return nil, 0, err
		}
		tap.n = h.size
	}
	fr, err := frame.New(tap)
	if err != nil {
		return nil, tap.n, err
	}
	if fr.BitsPerSample == 0 {
		fr.BitsPerSample = f.bits
	}
	if fr.Channels.Count() != f.hd.channels || fr.BitsPerSample != f.bits || fr.BlockSize == 0 {
		return nil, tap.n, fmt.Errorf("%w: a flac frame of another format", ErrDamaged)
	}
	if err := fr.Parse(); err != nil && !(h.chatty && tap.crc == 0 && strings.Contains(err.Error(), "CRC-16")) {
		return nil, tap.n, err
	}
	for _, s := range fr.Subframes {
		if len(s.Samples) != int(fr.BlockSize) {
			return nil, tap.n, fmt.Errorf("%w: a flac frame of odd length", ErrDamaged)
		}
	}
	return fr, tap.n, nil
}

// maxHole is how long a damaged place may be, in seconds, for the sound to go on after it.
const maxHole = 2

func (f *flacFile) next() ([][2]float32, int, error) {
	if f.total > 0 && f.pos >= f.total {
		return nil, f.hd.rate, f.ending()
	}
	head, err := f.r.Peek(16)
	if len(head) == 0 {
		if err == io.EOF {
			err = f.ending()
		}
		return nil, f.hd.rate, err
	}
	h, _ := parseFlac(head)
	fr, n, err := f.safeParse(f.r)
	if err != nil {
		return f.hole(err)
	}
	if f.number(h) != f.pos && f.broken == 0 {
		f.broken++ // frames are missing or out of order
	}
	f.off += int64(n)
	f.pos += int64(fr.BlockSize)
	f.out = f.out[:0]
	scale := 1 / float32(int64(1)<<(f.bits-1))
	if f.mix.plain() {
		l, r := fr.Subframes[0].Samples, fr.Subframes[1].Samples
		for i := range l {
			f.out = append(f.out, [2]float32{float32(l[i]) * scale, float32(r[i]) * scale})
		}
	} else {
		for i := range int(fr.BlockSize) {
			var sum [2]float32
			for c, k := range f.mix {
				v := float32(fr.Subframes[c].Samples[i]) * scale
				sum[0] += k[0] * v
				sum[1] += k[1] * v
			}
			f.out = append(f.out, sum)
		}
	}
	return f.cut(), f.hd.rate, nil
}

// cut is out without what lies before from.
func (f *flacFile) cut() [][2]float32 {
	if early := f.from - (f.pos - int64(len(f.out))); early > 0 {
		return f.out[min(early, int64(len(f.out))):]
	}
	return f.out
}

func (f *flacFile) safeParse(r *bufio.Reader) (fr *frame.Frame, n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("flac frame: %v", p)
		}
	}()
	return f.parse(r)
}

// hole is silence up to the next sound frame.
func (f *flacFile) hole(why error) ([][2]float32, int, error) {
	f.broken++
	off, pos, err := f.find(f.off+1, min(f.off+4<<20, f.in.size))
	if err == io.EOF || err == nil && (pos < f.pos || pos-f.pos > maxHole*int64(f.hd.rate)) {
		return nil, f.hd.rate, fmt.Errorf("%w: flac at %.1f s: %w", ErrDamaged, float64(f.pos)/float64(f.hd.rate), why)
	}
	if err != nil {
		return nil, f.hd.rate, err
	}
	f.out = append(f.out[:0], make([][2]float32, pos-f.pos)...)
	f.pos = pos
	f.move(off)
	return f.cut(), f.hd.rate, nil
}

// ending is how the file ended.
func (f *flacFile) ending() error {
	switch {
	case f.pos < f.total:
		return fmt.Errorf("%w: the file ends before the sound does", ErrDamaged)
	case f.broken > 0:
		return fmt.Errorf("%w: %d damaged places", ErrDamaged, f.broken)
	}
	return io.EOF
}

// flacTap is what the library reads one frame from: it counts, bounds and, where asked, sums up the file's bytes.
type flacTap struct {
	r    *bufio.Reader
	head []byte // handed out before what r has
	n    int    // bytes taken from the file
	left int
	sum  bool
	crc  uint16
}

func (t *flacTap) Read(p []byte) (int, error) {
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		return n, nil
	}
	if t.left <= 0 {
		return 0, fmt.Errorf("%w: a flac frame without end", ErrDamaged)
	}
	n, err := t.r.Read(p[:min(len(p), t.left)])
	t.n += n
	t.left -= n
	if t.sum {
		t.crc = crc16(t.crc, p[:n])
	}
	return n, err
}

// flacHeader is the part of a frame's header that is needed to find it.
type flacHeader struct {
	fixed  bool
	block  int
	num    int64 // of the frame where fixed, else of its first sample
	size   int   // bytes with its checksum
	chatty bool  // its rate is one that the library prints lines about
}

func parseFlac(b []byte) (h flacHeader, ok bool) {
	if len(b) < 6 || b[0] != 0xff || b[1]&0xfe != 0xf8 || b[2]>>4 == 0 || b[2]&15 == 15 || b[3]>>4 > 10 || b[3]&1 != 0 || b[3]>>1&3 == 3 {
		return h, false
	}
	h.fixed = b[1]&1 == 0
	h.chatty = b[2]&15 == 2 || b[2]&15 == 7
	at := 4
	// A number as UTF-8 writes it, though of up to 36 bits.
	lead := b[at]
	n := 0
	for n < 8 && lead&(0x80>>n) != 0 {
		n++
	}
	if n == 1 || n == 8 || len(b) < at+max(n, 1) {
		return h, false
	}
	h.num = int64(lead & (0xff >> (n + 1)))
	if n == 0 {
		h.num = int64(lead)
	}
	at++
	for ; n > 1; n-- {
		if b[at]&0xc0 != 0x80 {
			return h, false
		}
		h.num = h.num<<6 | int64(b[at]&0x3f)
		at++
	}
	if len(b) < at+2 {
		return h, false
	}
	switch k := b[2] >> 4; {
	case k == 1:
		h.block = 192
	case k <= 5:
		h.block = 576 << (k - 2)
	case k == 6:
		h.block = int(b[at]) + 1
		at++
	case k == 7:
		h.block = int(b[at])<<8 + int(b[at+1]) + 1
		at += 2
	default:
		h.block = 256 << (k - 8)
	}
	switch b[2] & 15 {
	case 12:
		at++
	case 13, 14:
		at += 2
	}
	if len(b) < at+1 {
		return h, false
	}
	h.size = at + 1
	return h, crc8(b[:at]) == b[at]
}

// crc8 has the polynomial x⁸+x²+x+1.
func crc8(b []byte) (c byte) {
	for _, v := range b {
		c ^= v
		for range 8 {
			c = c<<1 ^ 7*(c>>7)
		}
	}
	return c
}

// crc16 has the polynomial x¹⁶+x¹⁵+x²+1. Over a frame and its checksum it is 0.
func crc16(c uint16, b []byte) uint16 {
	for _, v := range b {
		c ^= uint16(v) << 8
		for range 8 {
			c = c<<1 ^ 0x8005*(c>>15)
		}
	}
	return c
}
