package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
)

// file writes bytes to a file of the test.
func file(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(sample(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A file that was cut off plays as far as it goes, as it would have, and then says so.
func TestCutFilePlaysAsFarAsItGoes(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	for _, name := range []string{"long.mp3", "long.flac", "long.ogg", "24.wav"} {
		b := content(t, name)
		cut := file(t, name, b[:len(b)*6/10])
		for way, native := range ways {
			whole := mustAll(t, sample(t, name), Options{Rate: 44100, native: native})
			got, err := all(t, cut, Options{Rate: 44100, native: native})
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s cut, %s way: %v, want ErrDamaged", name, way, err)
			}
			if share := float64(len(got)) / float64(len(whole)); share < 0.5 || share > 0.7 {
				t.Errorf("%s cut, %s way: %.2f of its frames, want 0.6", name, way, share)
			}
			if n := max(len(got)-4608, 0); apart(got[:n], whole) > 1e-4 {
				t.Errorf("%s cut, %s way: what is left sounds otherwise", name, way)
			}
		}
	}
}

// A damaged place never sounds louder than the music around it. Without ffmpeg the sound ends there, as it was up to it; an mp3
// has no checksums, so a decoder can't always know.
func TestDamagedPlace(t *testing.T) {
	for _, name := range []string{"long.flac", "long.ogg"} {
		b := bytes.Clone(content(t, name))
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 400 {
			b[len(b)/2+i] = byte(r.Uint32())
		}
		whole := mustAll(t, sample(t, name), Options{Rate: 44100, native: true})
		got, err := all(t, file(t, name, b), Options{Rate: 44100, native: true})
		if !errors.Is(err, ErrDamaged) || len(got) < 2*44100 || len(got) > 4*44100 || apart(got, whole) > 1e-4 {
			t.Errorf("%s: %d frames, %.2g apart, and %v; want half of %d as they were, and ErrDamaged", name, len(got), apart(got, whole), err, len(whole))
		}
	}
	// The other way may leave out or end there; it must not blare.
	b := bytes.Clone(content(t, "long.flac"))
	for i := range 200 {
		b[len(b)/2+i*7] ^= 0x55
	}
	got, _ := all(t, file(t, "a.flac", b), Options{Rate: 44100})
	if len(got) < 3*44100 || len(got) > 6*44100-4096 || peak(got) > 0.45 {
		t.Errorf("damaged flac by ffmpeg: %d frames, peak %.2f; the damaged ones are to be left out", len(got), peak(got))
	}
}

// peak is the largest magnitude of a sound.
func peak(f [][2]float64) (p float64) {
	for _, v := range f {
		p = max(p, math.Abs(v[0]), math.Abs(v[1]))
	}
	return p
}

// id3 is an ID3v2 tag that holds a picture of a size.
func id3(size int) []byte {
	frame := append([]byte("APIC\x00\x00\x00\x00\x00\x00"), make([]byte, size)...)
	binary.BigEndian.PutUint32(frame[4:], uint32(size))
	n := len(frame)
	head := []byte{'I', 'D', '3', 3, 0, 0, byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}
	return append(head, frame...)
}

func TestTagsAndPicturesAreNoSound(t *testing.T) {
	rig.Arithmetic(t)
	art := id3(12 << 20)
	for _, name := range []string{"vbr.mp3", "16.flac"} {
		want := mustAll(t, sample(t, name), Options{Rate: 44100, native: true})
		for what, b := range map[string][]byte{
			"12 MB of art": append(bytes.Clone(art), content(t, name)...),
			"two tags":     append(append(id3(100), id3(3000)...), content(t, name)...),
			"a tag after":  append(bytes.Clone(content(t, name)), append([]byte("TAG"), make([]byte, 125)...)...),
		} {
			path := file(t, name, b)
			for way, native := range ways {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				got, err := all(t, path, Options{Rate: 44100, native: native})
				runtime.ReadMemStats(&after)
				if err != nil || len(got) != len(want) {
					t.Errorf("%s with %s, %s way: %d frames and %v, want %d", name, what, way, len(got), err, len(want))
				}
				if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 40 {
					t.Errorf("%s with %s, %s way: %d MB of memory", name, what, way, mb)
				}
			}
		}
	}
}

func TestChainedOggPlaysAllItsLinks(t *testing.T) {
	b := bytes.Join([][]byte{content(t, "48k.ogg"), content(t, "q5.ogg"), content(t, "48k.ogg")}, nil)
	path := file(t, "chained.ogg", b)
	got, err := all(t, path, Options{Rate: 48000})
	if err != nil || len(got) < 3*48000-2000 || len(got) > 3*48000+2 {
		t.Errorf("%d frames and %v, want %d", len(got), err, 3*48000)
	}
	// beep's decoder plays the first link, and that is said.
	if got, err := all(t, path, Options{Rate: 48000, native: true}); !errors.Is(err, ErrDamaged) || len(got) != 48000 {
		t.Errorf("without ffmpeg: %d frames and %v, want 48000 and ErrDamaged", len(got), err)
	}
}

func TestTinyFiles(t *testing.T) {
	for _, name := range []string{"16.wav", "16.flac", "cbr.mp3", "q5.ogg"} {
		path := filepath.Join(t.TempDir(), name)
		ffmpeg(t, "-i", sample(t, name), "-t", "0.1", "-map_metadata", "-1", path)
		for way, native := range ways {
			got, err := all(t, path, Options{Rate: 44100, native: native})
			most := 4410
			if name == "q5.ogg" && !native {
				most += 128 // ffmpeg plays a file of one page to the end of its last packet
			}
			if err != nil || len(got) < 4410 || len(got) > most {
				t.Errorf("0.1 s of %s, %s way: %d frames and %v, want 4410", name, way, len(got), err)
			}
		}
	}
}

func TestFilesThatCantBePlayed(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo.mp3")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	bomb := binary.LittleEndian.AppendUint32([]byte("RIFF\xff\xff\xff\x7fWAVEfmt "), 0x7ffffff0)
	for _, c := range []struct {
		what, path string
		want       []error
	}{
		{"missing", filepath.Join(dir, "none.mp3"), []error{fs.ErrNotExist}},
		{"a folder", dir, []error{ErrUnsupported}},
		{"a fifo", fifo, []error{ErrUnsupported}},
		{"empty", file(t, "empty.mp3", nil), []error{ErrNoSound}},
		{"text", file(t, "text.mp3", []byte("no music here, only words about it\n")), []error{ErrDamaged}},
		{"a text file", file(t, "text.txt", []byte("no music here, only words about it\n")), []error{ErrDamaged, ErrUnsupported}},
		{"noise", file(t, "noise.xyz", noise), []error{ErrDamaged, ErrUnsupported}},
		{"zeros", file(t, "zeros.flac", make([]byte, 4<<20)), []error{ErrDamaged}},
		{"a wav of 2 GB in 20 bytes", file(t, "bomb.wav", bomb), []error{ErrDamaged}},
		{"a flac header", file(t, "head.flac", content(t, "16.flac")[:60]), []error{ErrDamaged, ErrNoSound}},
		{"after its end", sample(t, "16.flac"), []error{ErrNoSound}},
	} {
		for way, native := range ways {
			opt := Options{Rate: 48000, native: native}
			if c.what == "after its end" {
				opt.From = time.Minute
			}
			before := spent(t)
			_, err := all(t, c.path, opt)
			if took := spent(t) - before; took > 2*time.Second {
				t.Errorf("%s, %s way: took %v of CPU", c.what, way, took)
			}
			ok := false
			for _, want := range c.want {
				ok = ok || errors.Is(err, want)
			}
			if !ok {
				t.Errorf("%s, %s way: %v, want one of %v", c.what, way, err, c.want)
			}
			if s := Says(err); s == "" || s == Says(errors.New("other")) {
				t.Errorf("%s, %s way: the therapist reads %q of %v", c.what, way, s, err)
			}
		}
	}
	if _, err := Open(t.Context(), sample(t, "16.flac"), Options{Rate: 1}); err == nil {
		t.Error("a rate of 1 Hz was taken")
	}
	if _, err := Open(t.Context(), sample(t, "16.flac"), Options{Rate: 48000, From: -1}); err == nil {
		t.Error("a start before the file was taken")
	}
}

// mutate changes a file as bad disks, downloads and editors do.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b))
		if r.IntN(2) == 0 {
			at = r.IntN(min(len(b), 400)) // the headers are where the surprises are
		}
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			for i := at; i < min(at+1+r.IntN(64), len(b)); i++ {
				b[i] = byte(r.Uint32())
			}
		case 2:
			if at > 8 {
				b = b[:at]
			}
		case 3:
			for i := at; i < min(at+4, len(b)); i++ {
				b[i] = 0xff
			}
		case 4:
			b = append(b[:at:at], b[min(at+r.IntN(2000), len(b)):]...)
		case 5:
			n := min(at+r.IntN(2000), len(b))
			b = append(b[:n:n], b[at:]...)
		}
		if len(b) < 16 {
			return b
		}
	}
	return b
}

// playThrough plays a file of about a second, whatever is in it, and fails the test where that costs more than its track:
// frames that are no sound, more of them, time or memory than such a file can take. err is the file's.
func playThrough(t *testing.T, path string, opt Options) (total int, took time.Duration, err error) {
	t.Helper()
	took = costs(t, func() {
		var s *Stream
		if s, err = Open(t.Context(), path, opt); err != nil {
			return
		}
		defer s.Close()
		buf := make([][2]float64, 8192)
		for ok := true; ok && total <= 100*48000; {
			var n int
			n, ok = s.Stream(buf)
			total += n
			for _, f := range buf[:n] {
				if !(f[0] >= -8 && f[0] <= 8 && f[1] >= -8 && f[1] <= 8) {
					t.Fatalf("a frame of %v", f)
				}
			}
		}
		err = s.Err()
	})
	// A rate of 1 kHz in a wav's header makes 1 s of it 44.
	if total > 100*48000 {
		t.Errorf("over %d frames", total)
	}
	if limit := 2*time.Second + time.Duration(total)*time.Second/48000/20; took > limit {
		t.Errorf("it took %v of CPU", took)
	}
	return total, took, err
}

// costs is the CPU time that f takes, and fails the test where f asks for over 200 MB of memory in all.
func costs(t *testing.T, f func()) time.Duration {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := spent(t)
	f()
	took := spent(t) - cpu
	runtime.ReadMemStats(&after)
	if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 200 {
		t.Errorf("%d MB of memory", mb)
	}
	return took
}

// A mutated file may sound odd or not at all. It must end, soon, with bounded samples and memory, and never take the
// process with it.
func TestMutatedFilesCostThatTrackOnly(t *testing.T) {
	rig.Long(t)
	rig.Arithmetic(t)
	names := []string{"vbr.mp3", "16.flac", "q5.ogg", "16.wav", "a.opus", "aac.m4a"}
	dir := t.TempDir()
	count := map[string]int{}
	slowest := time.Duration(0)
	routines := runtime.NumGoroutine()
	for i := range *mutations {
		name := names[i%len(names)]
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, mutate(rand.New(rand.NewPCG(uint64(i), 7)), content(t, name)), 0o600); err != nil {
			t.Fatal(err)
		}
		for way, native := range ways {
			if native && i%len(names) > 3 {
				continue // not played, and said so
			}
			opt := Options{Rate: 48000, native: native}
			if i%5 == 4 {
				opt.From = 600 * time.Millisecond
			}
			total, took, err := playThrough(t, path, opt)
			if t.Failed() {
				t.Fatalf("it was mutation %d of %s, %s way", i, name, way)
			}
			slowest = max(slowest, took)
			what := "damaged"
			switch {
			case err == nil:
				what = "whole"
			case total == 0:
				what = "refused"
			}
			count[way+" "+what]++
			if i%6 != 0 && !native {
				continue
			}
			info, err := probeWay(t, path, native)
			if err == nil && (info.Duration < 0 || info.Duration > maxLength || info.Rate <= 0) {
				t.Errorf("mutation %d of %s, %s way: %+v", i, name, way, info)
			}
		}
	}
	t.Logf("%d files: %v, slowest %v of CPU", *mutations, count, slowest)
	if n := runtime.NumGoroutine(); n > routines+2 {
		t.Errorf("%d goroutines, %d before", n, routines)
	}
}

// A file in the music folder must not make the room's computer call others.
func TestNoFileReachesTheNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	called := make(chan struct{}, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			called <- struct{}{}
			c.Close()
		}
	}()
	url := "http://" + l.Addr().String() + "/a.mp3"
	for name, text := range map[string]string{
		"list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + url + "\n#EXT-X-ENDLIST\n",
		"list.mp3":  "ffconcat version 1.0\nfile " + url + "\n",
		"list.sdp":  "v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
		"list.asx":  "[Reference]\nRef1=" + url + "\n",
	} {
		path := file(t, name, []byte(text))
		if got, err := all(t, path, Options{Rate: 48000}); err == nil || len(got) > 0 {
			t.Errorf("%s: %d frames, %v", name, len(got), err)
		}
		if info, err := Probe(t.Context(), path); err == nil {
			t.Errorf("%s: %+v", name, info)
		}
	}
	select {
	case <-called:
		t.Error("a file made the decoder call a server")
	default:
	}
}
