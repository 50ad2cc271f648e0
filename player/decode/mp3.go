package decode

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

// mp3File plays MPEG-1 and MPEG-2 layer III. The library decodes one frame at a time; finding frames, the encoder's
// delay and padding, seeking and damage are handled here, because the library hears a damaged or missing bit reservoir as loud
// noise, plays the Info frame, and is not gapless.
type mp3File struct {
	in    *input
	hd    header
	first mp3Header
	start int64 // of the first frame that holds sound

	// Raw frames are counted from the decoder's first, with the delay of the encoder and the decoder.
	lead  int64 // where the sound starts
	trim  int64 // from here to whole nothing sounds: the encoder's padding; 0: no padding known
	whole int64
	from  int64 // nothing before this raw frame is handed out

	r         *bufio.Reader
	raw       int64 // the next frame to decode
	reservoir int   // bytes of earlier main data that the library holds
	suspect   bool  // no frame follows the one found last: it may hold the damage
	feed      feeder
	dec       *mp3.Decoder
	broken    int // bad frames so far
	junk      int // bytes between frames so far
	frame     []byte
	pcm       []byte
	out       [][2]float32
}

// mp3Header is one frame's header.
type mp3Header struct {
	version  int // 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
	rate     int
	size     int // bytes with the header
	frames   int // samples a channel
	side     int // offset of the side information
	sideSize int
	mono     bool
	short    bool // the library takes the frame for a byte shorter than it is
}

var mp3Rates = [2][16]int{
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

func parseMP3(b []byte) (mp3Header, bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return mp3Header{}, false
	}
	h := mp3Header{version: int(b[1]>>3) & 3, mono: b[3]>>6 == 3}
	layer, rate, fs := b[1]>>1&3, int(b[2]>>4), int(b[2]>>2)&3
	if h.version == 1 || layer != 1 || rate == 0 || rate == 15 || fs == 3 || b[3]&3 == 2 {
		return mp3Header{}, false
	}
	h.rate = [...]int{44100, 48000, 32000}[fs]
	low := 1
	switch h.version {
	case 3:
		low = 0
	case 2:
		h.rate /= 2
	case 0:
		h.rate /= 4
	}
	h.frames = 1152 >> low
	h.size = h.frames / 8 * mp3Rates[low][rate] * 1000 / h.rate
	if b[2]&2 != 0 {
		h.size++
		h.short = low == 1 && 144000*mp3Rates[low][rate]/h.rate%2 == 0
	}
	h.side = 4
	if b[1]&1 == 0 {
		h.side = 6 // a checksum
	}
	h.sideSize = [2][2]int{{32, 17}, {17, 9}}[low][b2i(h.mono)]
	return h, h.size >= h.side+h.sideSize
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fits says whether a header can belong to the same stream as h.
func (h mp3Header) fits(o mp3Header) bool { return h.version == o.version && h.rate == o.rate }

// maxJunk is how many bytes that are no frames are passed over at a file's start, and in all.
const maxJunk = 1 << 20

func newMP3(in *input, at int64) (*mp3File, error) {
	m := &mp3File{in: in}
	r := bufio.NewReaderSize(in.section(at), 64<<10)
	for junk := 0; ; junk++ {
		b, err := r.Peek(4)
		if err != nil || junk > maxJunk {
			return nil, fmt.Errorf("%w: no mp3 frame found", ErrDamaged)
		}
		h, ok := parseMP3(b)
		if ok {
			b, _ := r.Peek(h.size + 4)
			after, more := parseMP3(b[min(h.size, len(b)):])
			if more && after.fits(h) || len(b) == h.size {
				m.first = h
				break
			}
		}
		if _, err := r.Discard(1); err != nil {
			return nil, err
		}
		at++
	}
	h := m.first
	if h.version == 0 {
		return nil, fmt.Errorf("%w: MPEG-2.5 layer III", ErrUnsupported)
	}
	m.start = at
	m.hd = header{codec: "mp3", rate: h.rate, channels: 2 - b2i(h.mono)}
	b, _ := r.Peek(h.size)
	frames, bytes, delay, padding, lame, info := parseInfo(b, h)
	if info {
		m.start += int64(h.size)
		m.hd.frames = frames * int64(h.frames)
		m.hd.cut = bytes > 0 && at+bytes > in.size
		m.hd.exact = frames > 0
		if lame {
			m.lead = delay + 529
			if frames > 0 && delay+padding < m.hd.frames {
				m.whole = m.hd.frames
				m.trim = m.whole - max(padding-529, 0)
				m.hd.frames = m.trim - m.lead
			}
		}
	}
	if m.hd.frames <= 0 {
		// Without a tag only counting tells: a rate that varies shows nowhere else. It takes one reading of the file.
		m.hd.frames, m.hd.exact = m.count()
	}
	m.from = m.lead
	m.r = bufio.NewReaderSize(in.section(m.start), 64<<10)
	m.pcm = make([]byte, 1152*4)
	m.out = make([][2]float32, 1152)
	return m, nil
}

// count walks over the frames and gives their sum; exact where it met nothing else.
func (m *mp3File) count() (frames int64, exact bool) {
	m.r = bufio.NewReaderSize(m.in.section(m.start), 64<<10)
	for {
		h, err := m.find()
		if err != nil {
			exact = err == io.EOF && m.broken == 0 && m.junk == 0
			m.broken, m.junk = 0, 0
			return frames, exact
		}
		if _, err := m.r.Discard(h.size); err != nil {
			return frames, false
		}
		frames += int64(h.frames)
	}
}

// parseInfo reads a Xing, Info or VBRI tag, which takes the place of a file's first frame, and the delay and padding
// that LAME and ffmpeg add to it.
func parseInfo(b []byte, h mp3Header) (frames, size, delay, padding int64, lame, info bool) {
	if len(b) >= 4+32+26 && string(b[36:40]) == "VBRI" {
		return int64(binary.BigEndian.Uint32(b[50:])), int64(binary.BigEndian.Uint32(b[46:])), 0, 0, false, true
	}
	at := h.side + h.sideSize
	if len(b) < at+8 || !bytes.Equal(b[at:at+4], []byte("Xing")) && !bytes.Equal(b[at:at+4], []byte("Info")) {
		return
	}
	info = true
	flags := b[at+7]
	at += 8
	number := func() (v int64) {
		if len(b) >= at+4 {
			v = int64(binary.BigEndian.Uint32(b[at:]))
		}
		at += 4
		return v
	}
	if flags&1 != 0 {
		frames = number()
	}
	if flags&2 != 0 {
		size = number()
	}
	if flags&4 != 0 {
		at += 100
	}
	if flags&8 != 0 {
		at += 4
	}
	if len(b) >= at+24 {
		switch string(b[at : at+4]) {
		case "LAME", "Lavf", "Lavc":
			lame = true
			delay = int64(b[at+21])<<4 | int64(b[at+22])>>4
			padding = int64(b[at+22]&15)<<8 | int64(b[at+23])
		}
	}
	return
}

func (m *mp3File) header() header { return m.hd }

// primed is how many frames are decoded before one that is sought: the bit reservoir reaches back 511 bytes, which are 10 frames
// at the lowest rate, and two more settle the filter bank.
const primed = 12

func (m *mp3File) seek(frame int64) error {
	m.from = m.lead + frame
	for skip := max(m.from/int64(m.first.frames)-primed, 0); skip > 0; skip-- {
		h, err := m.find()
		if err != nil {
			return err
		}
		if _, err := m.r.Discard(h.size); err != nil {
			return err
		}
		m.raw += int64(h.frames)
	}
	return nil
}

// find moves to the next frame that is whole. At the end of the frames the error is io.EOF.
func (m *mp3File) find() (mp3Header, error) {
	lost := false
	for {
		b, err := m.r.Peek(4)
		if len(b) < 4 {
			if err == io.EOF && len(b) > 0 {
				m.junk += len(b)
			}
			return mp3Header{}, err
		}
		if h, ok := parseMP3(b); ok && h.fits(m.first) {
			b, err := m.r.Peek(h.size + 4)
			if len(b) < h.size {
				if err == io.EOF {
					m.broken++ // cut off in mid-frame
				}
				return mp3Header{}, err
			}
			next, ok := parseMP3(b[h.size:])
			ok = len(b) < h.size+4 || ok && next.fits(m.first)
			if !lost || ok {
				m.suspect = !ok && !closes(b[h.size:])
				return h, nil
			}
		}
		if m.tag() {
			return mp3Header{}, io.EOF
		}
		lost = true
		m.reservoir = 0
		if m.junk++; m.junk > maxJunk {
			return mp3Header{}, fmt.Errorf("%w: no mp3 frames any more", ErrDamaged)
		}
		if _, err := m.r.Discard(1); err != nil {
			return mp3Header{}, err
		}
	}
}

// tag says whether a tag of the kinds that close a file is next, or nothing but zeros: some programs fill up the last block.
func (m *mp3File) tag() bool {
	b, _ := m.r.Peek(8)
	if closes(b) && b[0] == 0 {
		b, _ = m.r.Peek(32 << 10)
		return bytes.Count(b, []byte{0}) == len(b)
	}
	return closes(b)
}

// closes says whether bytes look like the start of what may follow the last frame.
func closes(b []byte) bool {
	for _, id := range []string{"TAG", "APET", "LYRI", "ID3", "3DI"} {
		if bytes.HasPrefix(b, []byte(id)) {
			return true
		}
	}
	return len(b) > 0 && bytes.Count(b, []byte{0}) == len(b)
}

func (m *mp3File) next() ([][2]float32, int, error) {
	h, err := m.find()
	if err != nil {
		if err == io.EOF {
			err = m.ending()
		}
		return nil, m.hd.rate, err
	}
	m.frame = append(m.frame[:0], make([]byte, h.size)...)
	if _, err := io.ReadFull(m.r, m.frame); err != nil {
		return nil, m.hd.rate, err
	}
	if h.short {
		return nil, m.hd.rate, fmt.Errorf("%w: mp3 at %d Hz with this bit rate", ErrUnsupported, h.rate)
	}
	m.decode(h)
	block := m.out[:h.frames]
	lo, hi := m.raw, m.raw+int64(h.frames)
	m.raw = hi
	// What lies between trim and whole is padding.
	if m.trim > 0 && hi > m.trim && lo < m.whole {
		block = block[:max(m.trim-lo, 0)]
	}
	if lo < m.from {
		block = block[min(m.from-lo, int64(len(block))):]
	}
	return block, m.hd.rate, nil
}

// ending is how the file ended.
func (m *mp3File) ending() error {
	switch {
	case m.hd.cut, m.whole > 0 && m.raw < m.whole:
		return fmt.Errorf("%w: the file ends before the sound does", ErrDamaged)
	case m.broken > 0 || m.junk > 0:
		return fmt.Errorf("%w: %d bad frames and %d bytes of junk", ErrDamaged, m.broken, m.junk)
	}
	return io.EOF
}

// decode decodes m.frame into m.out; what can't be decoded is silence.
func (m *mp3File) decode(h mp3Header) {
	main := h.size - h.side - h.sideSize
	begin, used := sideInfo(m.frame[h.side:], h)
	if begin > m.reservoir || used > (begin+main)*8 || m.suspect {
		// Its bits are missing or wrong, as after a seek or in a damaged place, and would sound as noise. The library gets the frame with silence in it and keeps its bytes for the next.
		if m.raw >= m.from+primed*int64(h.frames) {
			m.broken++
		}
		begin = min(begin, m.reservoir)
		side := m.frame[h.side : h.side+h.sideSize]
		clear(side)
		if h.version == 3 {
			side[0], side[1] = byte(begin>>1), byte(begin<<7)
		} else {
			side[0] = byte(begin)
		}
	}
	m.reservoir = min(begin+main, 511)
	if err := m.library(h); err != nil {
		m.broken++
		m.dec, m.reservoir = nil, 0
		clear(m.out)
		return
	}
	for i := range m.out[:h.frames] {
		l, r := int16(binary.LittleEndian.Uint16(m.pcm[i*4:])), int16(binary.LittleEndian.Uint16(m.pcm[i*4+2:]))
		m.out[i] = [2]float32{float32(l) / (1 << 15), float32(r) / (1 << 15)}
	}
}

func (m *mp3File) library(h mp3Header) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("mp3 frame: %v", r)
		}
	}()
	m.feed.b = m.frame
	if m.dec == nil {
		if m.dec, err = mp3.NewDecoder(&m.feed); err != nil {
			return err
		}
	}
	_, err = io.ReadFull(m.dec, m.pcm[:h.frames*4])
	return err
}

// feeder hands the library one frame at a time.
type feeder struct{ b []byte }

func (f *feeder) Read(p []byte) (int, error) {
	if len(f.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.b)
	f.b = f.b[n:]
	return n, nil
}

// sideInfo reads how many bytes before the frame its main data begins, and how many bits it takes.
func sideInfo(b []byte, h mp3Header) (begin, used int) {
	at := 0
	get := func(n int) (v int) {
		for range n {
			v = v<<1 | int(b[at>>3]>>(7-at&7)&1)
			at++
		}
		return v
	}
	channels := 2 - b2i(h.mono)
	granules, each := 2, 59
	if h.version == 3 {
		begin = get(9)
		at += [2]int{3, 5}[b2i(h.mono)] + 4*channels
	} else {
		begin = get(8)
		at += [2]int{2, 1}[b2i(h.mono)]
		granules, each = 1, 63
	}
	for range granules * channels {
		used += get(12)
		at += each - 12
	}
	return begin, used
}
