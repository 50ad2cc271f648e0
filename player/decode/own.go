package decode

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gopxl/beep/v2"
	"github.com/gopxl/beep/v2/flac"
	"github.com/gopxl/beep/v2/mp3"
	"github.com/gopxl/beep/v2/vorbis"
	"github.com/gopxl/beep/v2/wav"

	"roomd/player/decode/endings"
)

// childWord is the first argument of a program that is to be a decoder: roomd decode FILE.
const childWord = "decode"

// maxMemory bounds what a decoder may take, in bytes: a header can ask for gigabytes.
const maxMemory = 512 << 20

// exits are the exit codes of roomd decode.
var exits = map[int]error{10: ErrDamaged, 11: ErrUnsupported, 12: ErrNoSound}

// answers: this program has called Child, so it can be its own decoder.
var answers bool

// Child makes the program a decoder where its arguments ask for one, and then does not return. Each program that opens
// files by this package calls it before anything else, test programs in TestMain.
func Child() {
	answers = true
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(childMain(os.Args[2:], os.Stdout, os.Stderr))
	}
}

// selfCommand is this program as a decoder.
func selfCommand(args ...string) (*exec.Cmd, error) {
	if !answers {
		return nil, errors.New("this program can't decode: it does not call decode.Child when it starts")
	}
	path, err := self()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, append([]string{childWord}, args...)...)
	cmd.Args[0] = "roomd"
	return cmd, nil
}

// childMain writes a file's sound, or what it says of itself as JSON, to out.
func childMain(args []string, out, says io.Writer) int {
	log.SetOutput(io.Discard) // beep's flac decoder logs a line for each frame of an uncommon rate
	debug.SetGCPercent(50)
	debug.SetTraceback("none")
	f := flag.NewFlagSet("roomd "+childWord, flag.ContinueOnError)
	f.SetOutput(says)
	rate := f.Int("rate", 48000, "write frames at this rate, in `Hz`")
	from := f.Int64("from", 0, "start at this `second`")
	asks := f.Bool("probe", false, "write what the file says of itself as JSON")
	ffprobe := f.String("ffprobe", "", "ask the ffprobe at this `path`")
	run := f.String("run", "", "leave it to the `program`, whose arguments follow the file")
	if err := f.Parse(args); err != nil {
		return 1
	}
	if *run != "" && f.NArg() > 0 {
		confine(f.Arg(0), *run)
		fmt.Fprintln(says, become(*run, append([]string{filepath.Base(*run)}, f.Args()[1:]...)))
		return 1
	}
	if f.NArg() != 1 || *rate < 8000 || *rate > 192000 || *from < 0 {
		fmt.Fprintln(says, "roomd decode takes one file, a rate of 8000 to 192000 Hz and a start of 0 or more")
		return 1
	}
	confine(f.Arg(0), *ffprobe)
	err := guarded(func() error {
		if !*asks {
			return play(f.Arg(0), *rate, *from, out)
		}
		info, err := look(context.Background(), f.Arg(0), *ffprobe)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(info)
	})
	if err == nil {
		return 0
	}
	fmt.Fprintln(says, err)
	for code, kind := range exits {
		if errors.Is(err, kind) {
			return code
		}
	}
	return 1
}

// guarded makes a panic of a decoder an error.
func guarded(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: the decoder broke: %v", ErrDamaged, r)
		}
	}()
	return do()
}

// play writes a file's frames, from a second on, at a rate.
func play(path string, rate int, from int64, out io.Writer) error {
	m, err := openOwn(path, from > 0)
	if err != nil {
		return err
	}
	if from > 0 {
		if m, err = m.seek(from * int64(m.rate)); err != nil {
			return err
		}
	}
	var re *resampler
	if m.rate != rate {
		re = newResampler(m.rate, rate)
	}
	var raw []byte
	write := func(block [][2]float32) error {
		raw = raw[:0]
		for _, f := range block {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f[0]))
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f[1]))
		}
		_, err := out.Write(raw)
		return err
	}
	for {
		block, ended := m.next()
		if re != nil {
			block = re.push(block)
		}
		if err := write(block); err != nil {
			return err
		}
		if ended == nil {
			continue
		}
		if re != nil {
			if err := write(re.flush()); err != nil {
				return err
			}
		}
		if errors.Is(ended, io.EOF) {
			return nil
		}
		return ended
	}
}

// beepFile is a file that one of beep's decoders plays.
type beepFile struct {
	beep.StreamSeekCloser
	file           section
	path, codec    string
	rate, channels int
	frames         int64 // the sound's length, as promised; 0: unknown
	each           int   // frames to ask for at once

	// In frames as the decoder counts them. Where an mp3 tells its encoder's delay and padding, the sound starts at lead, and
	// from trim to whole there is nothing.
	lead, trim, whole int64
	raw               int64 // of the next frame
	from              int64 // nothing before it is handed out

	in  [][2]float64
	out [][2]float32
}

// openOwn opens a file by its first bytes, never by its name. Where toSeek is false the mp3 decoder does not read the whole
// file first.
func openOwn(path string, toSeek bool) (*beepFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	at := skipID3(f, st.Size())
	head := make([]byte, 4096)
	n, _ := f.ReadAt(head, at)
	for head = head[:n]; len(head) > 0 && head[0] == 0; at++ {
		head = head[1:]
	}
	in := section{io.NewSectionReader(f, at, st.Size()-at), f}
	m := &beepFile{file: in, path: path, each: 1024}
	var format beep.Format
	switch starts := func(s string) bool { return bytes.HasPrefix(head, []byte(s)) }; {
	case starts("fLaC"):
		m.codec = "flac"
		m.StreamSeekCloser, format, err = flac.Decode(in)
	case starts("OggS"):
		if len(head) < 58 || string(head[28:35]) != "\x01vorbis" {
			return nil, fmt.Errorf("%w: ogg without vorbis", ErrUnsupported)
		}
		m.codec, m.channels, m.each = "vorbis", int(head[39]), 1 // beep throws away what precedes an error in one call
		if m.channels <= 2 {
			m.StreamSeekCloser, format, err = vorbis.Decode(in)
		}
	case starts("RIFF"), starts("RF64"):
		m.codec = "wav"
		m.StreamSeekCloser, format, err = wav.Decode(in)
	case len(head) > 4 && head[0] == 0xff && head[1]&0xe0 == 0xe0:
		m.codec = "mp3"
		if version, layer := head[1]>>3&3, head[1]>>1&3; version == 0 || layer != 1 {
			return nil, fmt.Errorf("%w: MPEG audio of another kind than layer III at 16 kHz and up", ErrUnsupported)
		} else if version == 2 && head[2]>>2&3 == 0 {
			// The decoder takes a padded frame for a byte shorter than it is, and what follows for noise.
			return nil, fmt.Errorf("%w: mp3 at 22.05 kHz", ErrUnsupported)
		}
		m.tag(head)
		if toSeek {
			m.StreamSeekCloser, format, err = mp3.Decode(in)
		} else {
			m.StreamSeekCloser, format, err = mp3.Decode(struct{ io.ReadCloser }{in})
		}
		if head[3]>>6 == 3 {
			m.channels = 1
		}
	default:
		kind := ErrDamaged
		if !slices.Contains(endings.Native, endings.Of(path)) {
			kind = ErrUnsupported
		}
		return nil, fmt.Errorf("%w: not mp3, flac, ogg vorbis or wav", kind)
	}
	if err != nil {
		kind := ErrDamaged
		for _, s := range []string{"unsupported", "not supported", "missing RIFF at the beginning"} {
			if strings.Contains(err.Error(), s) {
				kind = ErrUnsupported
			}
		}
		return nil, fmt.Errorf("%w: %w", kind, err)
	}
	if m.channels == 0 {
		m.channels = format.NumChannels
	}
	if m.channels < 1 || m.channels > 2 {
		return nil, fmt.Errorf("%w: %d channels", ErrUnsupported, m.channels)
	}
	m.rate = int(format.SampleRate)
	if m.rate < 1000 || m.rate > 768000 {
		return nil, fmt.Errorf("%w: a rate of %d Hz", ErrDamaged, m.rate)
	}
	switch {
	case m.codec == "wav":
		m.codec = fmt.Sprintf("pcm_s%dle", 8*format.Precision)
		if m.frames = int64(m.Len()); m.frames <= 0 {
			return nil, fmt.Errorf("%w: wav without a length", ErrUnsupported)
		}
	case m.codec != "mp3":
		m.frames = max(int64(m.Len()), 0)
	case toSeek && m.frames == 0:
		m.frames = max(int64(m.Len())-m.lead, 0)
	}
	m.from = m.lead
	m.in = make([][2]float64, m.each)
	return m, nil
}

// section is a part of a file that beep can close.
type section struct {
	*io.SectionReader
	io.Closer
}

// skipID3 is the place after the ID3v2 tags at a file's start. beep's flac decoder knows none, its mp3 decoder one.
func skipID3(in io.ReaderAt, size int64) (at int64) {
	for range 16 {
		var h [10]byte
		if n, _ := in.ReadAt(h[:], at); n < len(h) || string(h[:3]) != "ID3" || (h[6]|h[7]|h[8]|h[9])&0x80 != 0 {
			break
		}
		end := at + 10 + int64(h[6])<<21 + int64(h[7])<<14 + int64(h[8])<<7 + int64(h[9])
		if h[5]&0x10 != 0 { // a footer
			end += 10
		}
		if end > size {
			break
		}
		at = end
	}
	return at
}

// tag reads a Xing or Info tag, which takes the place of an mp3's first frame, and the delay and padding that LAME and ffmpeg
// add to it. beep's decoder plays the tag and the delay as sound.
func (m *beepFile) tag(b []byte) {
	each := int64(1152)
	if b[1]>>3&3 == 2 {
		each = 576
	}
	at := -1
	for _, id := range []string{"Xing", "Info"} {
		if i := bytes.Index(b[:min(len(b), 48)], []byte(id)); i > 0 {
			at = i
		}
	}
	if at < 0 || len(b) < at+8+3*4+100+24 {
		return
	}
	flags := b[at+7]
	b = b[at+8:]
	var frames int64
	for bit, size := range []int{4, 4, 100, 4} {
		if flags&(1<<bit) == 0 {
			continue
		}
		if bit == 0 {
			frames = int64(binary.BigEndian.Uint32(b))
		}
		b = b[size:]
	}
	m.lead, m.frames = each, frames*each
	switch string(b[:4]) {
	case "LAME", "Lavf", "Lavc":
		delay, padding := int64(b[21])<<4|int64(b[22])>>4, int64(b[22]&15)<<8|int64(b[23])
		m.lead += delay + decoderDelay
		if m.frames > delay+padding {
			m.whole = each + m.frames
			m.trim = m.whole - max(padding-decoderDelay, 0)
			m.frames = m.trim - m.lead
		}
	}
}

// decoderDelay is how late an mp3 decoder is, in frames.
const decoderDelay = 529

// primed is how far before its place an mp3 is decoded, in frames of sound: beep primes one mp3 frame, and the bit reservoir
// reaches back over ten of them at the lowest rate.
const primed = 20 * 1152

// seek has next go on at a frame of the sound. Where beep's seek fails, or is wrong, the file is decoded from its start, because
// a seek of our own would be a decoder of our own.
func (m *beepFile) seek(frame int64) (*beepFile, error) {
	if m.frames > 0 && frame >= m.frames {
		return nil, ErrNoSound
	}
	target, to := m.lead+frame, frame
	switch {
	case m.codec == "mp3":
		to = max(target-primed, 0) / 1152 * 1152
	case m.codec == "flac" && !m.seekTable():
		to = 0 // beep would read the whole file to find out where its frames are
	}
	if to > 0 {
		if err := guarded(func() error { return m.Seek(int(to)) }); err != nil {
			var again error
			if m, again = openOwn(m.path, false); again != nil {
				return nil, again
			}
			to = 0
		}
	}
	m.raw, m.from = to, target
	return m, nil
}

// seekTable says whether a flac tells where its frames are.
func (m *beepFile) seekTable() bool {
	var h [4]byte
	for at := int64(4); h[0]&0x80 == 0; at += 4 + int64(h[1])<<16 + int64(h[2])<<8 + int64(h[3]) {
		if _, err := m.file.ReadAt(h[:], at); err != nil {
			return false
		}
		if h[0]&0x7f == 3 {
			return true
		}
	}
	return false
}

// next gives some frames, valid until the following call. After the last one the error is io.EOF; frames may come with it.
func (m *beepFile) next() ([][2]float32, error) {
	m.out = m.out[:0]
	for len(m.out) < 1024 {
		n, ok, in := 0, false, m.in
		if left := m.promised() - m.raw; m.frames > 0 && m.codec != "mp3" {
			// beep throws away what precedes an error in one call, and a tag that follows the sound is one. Its vorbis decoder panics
			// at the last packet where the sound ends before that.
			in = in[:min(max(left, 0), int64(len(in)))]
		}
		if len(in) == 0 {
			return m.out, m.ending(nil)
		}
		err := guarded(func() error { n, ok = m.Stream(in); return nil })
		for _, f := range in[:n] {
			if m.raw >= m.from && (m.raw < m.trim || m.raw >= m.whole) {
				m.out = append(m.out, [2]float32{float32(f[0]), float32(f[1])})
			}
			m.raw++
		}
		if err != nil {
			return m.out, m.ending(err)
		}
		if !ok || n == 0 { // a wav that is cut off gives nothing for ever
			return m.out, m.ending(m.Err())
		}
	}
	return m.out, nil
}

// promised is where the sound ends, in frames as the decoder counts them.
func (m *beepFile) promised() int64 { return max(m.whole, m.lead+m.frames) }

// ending is how the file ended. What follows the last frame that was promised is no damage.
func (m *beepFile) ending(err error) error {
	missing := m.promised() - m.raw
	if m.codec == "vorbis" {
		var page [6]byte
		if _, err := io.ReadFull(m.file, page[:]); err == nil && string(page[:4]) == "OggS" && page[5]&2 != 0 {
			return fmt.Errorf("%w: another stream follows, which roomd plays by ffmpeg only", ErrDamaged)
		}
	}
	switch {
	case m.frames > 0 && missing <= 0:
		return io.EOF
	case err != nil && errors.Is(err, ErrDamaged):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case m.frames > 0:
		return fmt.Errorf("%w: the sound ends %.2f s early", ErrDamaged, float64(missing)/float64(m.rate))
	}
	return io.EOF
}
