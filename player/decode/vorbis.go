package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/jfreymuth/vorbis"
)

// vorbisFile plays Ogg Vorbis, chained files too. The library decodes packets; pages, the end of the sound inside the
// last packet, seeking and damage are handled here: the library's own reader panics at the last page of some sound files.
type vorbisFile struct {
	pages  *pages
	hd     header
	serial uint32
	dec    *vorbis.Decoder
	mix    mixer
	rate   int

	heads   int   // header packets read in this link: 3 when sound can come
	total   int64 // length of the links before this one, in frames at the first one's rate
	base    int64 // granule of this link's first frame
	pos     int64 // frames decoded in this link, counted from base
	known   bool  // base and pos are settled
	partial []byte
	skip    bool // the packet under way began on a page that was not read
	last    bool // this link's last page was read
	broken  int
	from    int64 // nothing before this frame of the file is handed out
	buf     []float32
	out     [][2]float32
}

func newVorbis(in *input, at int64) (*vorbisFile, error) {
	v := &vorbisFile{pages: &pages{in: in, at: at}}
	first, err := v.start()
	if err != nil {
		return nil, err
	}
	v.hd = header{codec: "vorbis", rate: v.rate, channels: len(v.mix)}
	n, err := v.scan(first)
	if err != nil {
		return nil, err
	}
	v.hd.frames, v.hd.exact, v.hd.cut = n, !v.pages.cut && v.pages.lost == 0, v.pages.cut
	v.pages.at, v.pages.cut, v.pages.lost = at, false, 0
	_, err = v.start()
	return v, err
}

// start reads pages up to the first that holds a vorbis stream, and gives that stream's place.
func (v *vorbisFile) start() (int64, error) {
	other := ""
	for range 1000 {
		at := v.pages.at
		p, err := v.pages.next()
		if err == io.EOF {
			if other != "" {
				return 0, fmt.Errorf("%w: ogg with %s", ErrUnsupported, other)
			}
			return 0, fmt.Errorf("%w: ogg without a stream", ErrDamaged)
		}
		if err != nil {
			return 0, err
		}
		if p.flags&2 == 0 {
			continue
		}
		if ok, err := v.link(p); ok || err != nil {
			return at, err
		}
		switch {
		case bytes.HasPrefix(p.body, []byte("OpusHead")):
			other = "opus"
		case bytes.HasPrefix(p.body, []byte("\x7fFLAC")):
			other = "flac"
		case other == "":
			other = "no vorbis"
		}
	}
	return 0, fmt.Errorf("%w: ogg without vorbis", ErrUnsupported)
}

// link begins a stream where a page opens one.
func (v *vorbisFile) link(p page) (bool, error) {
	b := p.body
	if len(b) < 30 || string(b[:7]) != "\x01vorbis" {
		return false, nil
	}
	rate, channels := int(binary.LittleEndian.Uint32(b[12:])), int(b[11])
	if rate < 1000 || rate > 768000 || channels < 1 || channels > maxChannels || b[28]&15 < 6 || b[28]>>4 > 13 || b[28]&15 > b[28]>>4 {
		return false, fmt.Errorf("%w: vorbis of %d channels at %d Hz", ErrDamaged, channels, rate)
	}
	dec := new(vorbis.Decoder)
	if err := safely(func() error { return dec.ReadHeader(b) }); err != nil {
		return false, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if v.hd.rate > 0 {
		v.total += v.pos * int64(v.hd.rate) / int64(v.rate)
	}
	v.dec, v.serial, v.rate = dec, p.serial, rate
	v.mix = vorbisMixer(channels)
	v.heads, v.base, v.pos = 1, 0, 0
	v.known, v.skip, v.last, v.partial = true, false, false, nil
	return true, nil
}

// vorbisMixer folds vorbis' own order of channels (Vorbis I, 4.3.9) into two.
func vorbisMixer(n int) mixer {
	order := map[int][]uint32{
		3: {frontLeft, frontCenter, frontRight},
		4: {frontLeft, frontRight, backLeft, backRight},
		5: {frontLeft, frontCenter, frontRight, backLeft, backRight},
		6: {frontLeft, frontCenter, frontRight, backLeft, backRight, lowFrequency},
		7: {frontLeft, frontCenter, frontRight, sideLeft, sideRight, backCenter, lowFrequency},
		8: {frontLeft, frontCenter, frontRight, sideLeft, sideRight, backLeft, backRight, lowFrequency},
	}[n]
	if order == nil {
		return newMixer(n, 0)
	}
	m := make(mixer, n)
	for i, s := range order {
		m[i] = speakerGain(s)
	}
	return m
}

func safely(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("vorbis packet: %v", r)
		}
	}()
	return do()
}

// scan walks over the pages from at on without decoding, and gives the length of all links in frames at the first one's rate.
func (v *vorbisFile) scan(at int64) (int64, error) {
	v.pages.at = at
	var before, here int64
	var serial uint32
	rate := int64(v.rate)
	for {
		p, err := v.pages.glance()
		if err == io.EOF {
			return before + here*int64(v.rate)/rate, nil
		}
		if err != nil {
			return 0, err
		}
		if p.flags&2 != 0 {
			if p.rate > 0 {
				before, here = before+here*int64(v.rate)/rate, 0
				serial, rate = p.serial, p.rate
			}
		} else if p.serial == serial && p.granule > here && p.granule < int64(maxLength.Seconds())*rate {
			here = p.granule
		}
	}
}

func (v *vorbisFile) header() header { return v.hd }

// seek starts to decode two pages before the one that holds the frame: the first packet after a jump gives nothing.
func (v *vorbisFile) seek(to int64) error {
	v.from = to
	// Chained files are short of their kind and rare: they are decoded from their start.
	if to >= v.hd.frames && v.hd.exact {
		return io.EOF
	}
	for v.heads < 3 {
		if _, _, err := v.next(); err != nil {
			return err
		}
	}
	data := v.pages.at
	if _, _, err := v.next(); err != nil && err != io.EOF { // the first page of sound settles base
		return err
	}
	v.dec.Clear()
	v.pos, v.last, v.partial, v.pages.seen, v.pages.cut = 0, false, nil, nil, false
	places := [3]int64{data, data, data}
	links := 0
	v.pages.at = data
	for {
		p, err := v.pages.glance()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if p.flags&2 != 0 && p.rate > 0 {
			links++
			break
		}
		if p.serial != v.serial || p.granule < 0 {
			continue
		}
		if p.granule-v.base > to {
			break
		}
		places[0], places[1], places[2] = places[1], places[2], p.at
	}
	if links > 0 || places[0] == data {
		v.pages.at = data
		v.known, v.base = true, 0
		return nil
	}
	v.pages.at = places[0]
	v.known, v.skip = false, true
	return nil
}

func (v *vorbisFile) next() ([][2]float32, int, error) {
	p, err := v.pages.next()
	if err == io.EOF {
		switch {
		case v.pages.cut:
			err = fmt.Errorf("%w: the file ends before the sound does", ErrDamaged)
		case v.broken > 0 || v.pages.lost > 0:
			err = fmt.Errorf("%w: %d bad packets, %d bytes of no page", ErrDamaged, v.broken, v.pages.lost)
		case v.heads < 3:
			err = fmt.Errorf("%w: ogg without sound", ErrDamaged)
		}
		return nil, v.rate, err
	}
	if err != nil {
		return nil, v.rate, err
	}
	if p.flags&2 != 0 {
		if p.serial == v.serial && v.heads == 1 {
			return nil, v.rate, nil
		}
		_, err := v.link(p)
		return nil, v.rate, err
	}
	if p.serial != v.serial || v.last {
		return nil, v.rate, nil
	}
	if p.gap {
		v.broken++
		v.partial, v.skip = nil, true
		if v.heads == 3 {
			v.dec.Clear()
			v.known = false
		}
	}
	v.out = v.out[:0]
	if err := v.packets(p); err != nil {
		return nil, v.rate, err
	}
	return v.place(p), v.rate, nil
}

// maxPacket bounds what a packet may gather over pages. Headers with pictures are the longest.
const maxPacket = 32 << 20

// packets decodes what a page completes into out.
func (v *vorbisFile) packets(p page) error {
	body := p.body
	if p.flags&1 == 0 {
		v.partial, v.skip = nil, false // a packet that was under way lost its end
	}
	at, size := 0, 0
	for i, s := range p.lacing {
		size += int(s)
		if s == 255 && i < len(p.lacing)-1 {
			continue
		}
		part := body[at : at+size]
		at += size
		size = 0
		if s == 255 { // goes on on the next page
			if len(v.partial)+len(part) > maxPacket {
				return fmt.Errorf("%w: an ogg packet without end", ErrDamaged)
			}
			v.partial = append(v.partial, part...)
			break
		}
		packet := part
		if len(v.partial) > 0 {
			packet = append(v.partial, part...)
			v.partial = nil
		}
		if v.skip {
			v.skip = false
			continue
		}
		if err := v.packet(packet); err != nil {
			return err
		}
	}
	return nil
}

func (v *vorbisFile) packet(b []byte) error {
	if v.heads < 3 {
		if !vorbis.IsHeader(b) {
			return fmt.Errorf("%w: vorbis without headers", ErrDamaged)
		}
		v.heads++
		if b[0] == 3 { // comments are read elsewhere; the library makes room for as many as they claim
			return nil
		}
		if err := checkSetup(b); err != nil {
			return err
		}
		if err := safely(func() error { return v.dec.ReadHeader(b) }); err != nil {
			// The page's checksum was right, so it is the library that can't: files of more than two channels, some of them.
			return fmt.Errorf("%w: vorbis setup: %w", ErrUnsupported, err)
		}
		v.buf = make([]float32, v.dec.BufferSize())
		return nil
	}
	if len(b) == 0 || b[0]&1 != 0 {
		return nil // empty, or a header once more
	}
	var pcm []float32
	err := safely(func() (err error) {
		pcm, err = v.dec.DecodeInto(b, v.buf)
		return err
	})
	if err != nil {
		v.broken++
		v.dec.Clear()
		v.known = false
		return nil
	}
	n := len(v.mix)
	for i := 0; i+n <= len(pcm); i += n {
		var sum [2]float32
		for c, k := range v.mix {
			sum[0] += k[0] * pcm[i+c]
			sum[1] += k[1] * pcm[i+c]
		}
		v.out = append(v.out, sum)
	}
	return nil
}

// place settles where out lies in the file, cuts it at the link's end, fills a hole before it, and leaves out what lies
// before from.
func (v *vorbisFile) place(p page) [][2]float32 {
	n := int64(len(v.out))
	if v.heads < 3 || n == 0 && p.granule <= 0 {
		return nil
	}
	last := p.flags&4 != 0
	switch {
	case p.granule < 0: // no packet ends on this page
	case !v.known && !last:
		// After a jump or a hole the granule says where the page's sound lies.
		at := p.granule - v.base - n
		if hole := at - v.pos; v.pos > 0 && hole > 0 && hole <= maxHole*int64(v.rate) {
			v.out = append(make([][2]float32, hole), v.out...)
			n += hole
			at = v.pos
		}
		v.pos, v.known = max(at, 0), true
	case v.pos == 0 && v.base == 0 && !last && p.granule > n && v.known:
		v.base = p.granule - n // recorded from the middle of a broadcast
	case last:
		if keep := p.granule - v.base - v.pos; keep < n && keep >= 0 && v.known {
			v.out, n = v.out[:keep], keep
		}
	}
	v.last = last
	early := (v.from-v.total)*int64(v.rate)/int64(v.hd.rate) - v.pos
	v.pos += n
	if early > 0 {
		return v.out[min(early, int64(len(v.out))):]
	}
	return v.out
}

// checkSetup walks over the codebooks of a setup header, so that the library makes no room for what no file holds.
func checkSetup(b []byte) error {
	bad := fmt.Errorf("%w: vorbis codebooks", ErrDamaged)
	if len(b) < 8 || len(b) > 1<<20 {
		return bad
	}
	at, end := 56, len(b)*8
	get := func(n int) (v int) {
		for i := range n {
			if at < end {
				v |= int(b[at>>3]>>(at&7)&1) << i
			}
			at++
		}
		return v
	}
	for books := get(8) + 1; books > 0; books-- {
		if get(24) != 0x564342 {
			return bad
		}
		dims, entries := get(16), get(24)
		if dims == 0 || entries == 0 || entries > 1<<22/dims { // a product would overflow where int has 32 bits
			return bad
		}
		if get(1) == 0 {
			sparse := get(1) == 1
			for range entries {
				if !sparse || get(1) == 1 {
					at += 5
				}
			}
		} else {
			at += 5
			for done := 0; done < entries; {
				bits := 0
				for x := entries - done; x > 0; x >>= 1 {
					bits++
				}
				done += get(bits)
				if at > end {
					return bad
				}
			}
		}
		switch get(4) {
		case 0:
		case 1, 2:
			at -= 4
			kind := get(4)
			at += 64
			bits := get(4) + 1
			at++
			values := dims * entries
			if kind == 1 {
				values = 1
				for power(values+1, dims, entries) {
					values++
				}
			}
			at += values * bits
		default:
			return bad
		}
		if at > end {
			return bad
		}
	}
	return nil
}

// power says whether base to the exp is no more than most.
func power(base, exp, most int) bool {
	v := 1
	for range exp {
		if v *= base; v > most {
			return false
		}
		if base == 1 {
			break
		}
	}
	return v <= most
}

// page is one page of an Ogg file.
type page struct {
	at      int64
	flags   byte // 1: goes on with a packet, 2: opens a stream, 4: closes it
	granule int64
	serial  uint32
	seq     uint32
	lacing  []byte
	body    []byte
	gap     bool  // pages of its stream are missing before it
	rate    int64 // of the vorbis stream that it opens; set by glance
}

// pages finds pages. Those with a wrong checksum are passed over.
type pages struct {
	in   *input
	at   int64
	lost int64 // bytes that belong to no page
	cut  bool  // the file ends within a page
	seen map[uint32]uint32
	buf  []byte
}

// head reads the header of the page at p.at, or of the next one after it.
func (p *pages) head() (page, int64, error) {
	var h [27 + 255]byte
	for {
		n, err := p.in.ReadAt(h[:], p.at)
		if n < 27 {
			if errors.Is(err, io.EOF) {
				p.cut = p.cut || n >= 4 && string(h[:4]) == "OggS"
				return page{}, 0, io.EOF
			}
			return page{}, 0, err
		}
		segs := int(h[26])
		if string(h[:4]) == "OggS" && h[4] == 0 && n >= 27+segs {
			pg := page{at: p.at, flags: h[5], granule: int64(binary.LittleEndian.Uint64(h[6:])), serial: binary.LittleEndian.Uint32(h[14:]), seq: binary.LittleEndian.Uint32(h[18:])}
			pg.lacing = h[27 : 27+segs]
			size := int64(27 + segs)
			for _, l := range pg.lacing {
				size += int64(l)
			}
			if p.at+size > p.in.size {
				p.cut = true
				return page{}, 0, io.EOF
			}
			return pg, size, nil
		}
		if err := p.resync(1); err != nil {
			return page{}, 0, err
		}
	}
}

// resync moves to the next place that looks like a page.
func (p *pages) resync(by int64) error {
	p.at += by
	p.lost += by
	b := make([]byte, 64<<10)
	for {
		n, err := p.in.ReadAt(b, p.at)
		if i := bytes.Index(b[:n], []byte("OggS")); i >= 0 {
			p.at += int64(i)
			p.lost += int64(i)
			return nil
		}
		if err != nil {
			p.lost += int64(n)
			return err
		}
		p.at += int64(n - 3)
		p.lost += int64(n - 3)
	}
}

// next reads the next sound page.
func (p *pages) next() (page, error) {
	for {
		pg, size, err := p.head()
		if err != nil {
			return page{}, err
		}
		if int64(cap(p.buf)) < size {
			p.buf = make([]byte, size)
		}
		b := p.buf[:size]
		if _, err := p.in.ReadAt(b, pg.at); err != nil && !(errors.Is(err, io.EOF) && pg.at+size == p.in.size) {
			return page{}, err
		}
		want := binary.LittleEndian.Uint32(b[22:])
		clear(b[22:26])
		if oggCRC(b) != want {
			if err := p.resync(1); err != nil {
				return page{}, err
			}
			continue
		}
		pg.body = b[27+len(pg.lacing):]
		if p.seen == nil {
			p.seen = map[uint32]uint32{}
		}
		before, ok := p.seen[pg.serial]
		pg.gap = ok && pg.seq != before+1 && pg.flags&2 == 0
		if len(p.seen) < 1000 {
			p.seen[pg.serial] = pg.seq
		}
		p.at = pg.at + size
		return pg, nil
	}
}

// glance reads the next page without its body.
func (p *pages) glance() (page, error) {
	pg, size, err := p.head()
	if err != nil {
		return page{}, err
	}
	if pg.flags&2 != 0 {
		var b [16]byte
		if n, _ := p.in.ReadAt(b[:], pg.at+27+int64(len(pg.lacing))); n == len(b) && string(b[:7]) == "\x01vorbis" {
			pg.rate = int64(binary.LittleEndian.Uint32(b[12:]))
		}
	}
	p.at = pg.at + size
	return pg, nil
}

var oggTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ 0x04c11db7*(c>>31)
		}
		t[i] = c
	}
	return t
}()

func oggCRC(b []byte) (c uint32) {
	for _, v := range b {
		c = c<<8 ^ oggTable[byte(c>>24)^v]
	}
	return c
}
