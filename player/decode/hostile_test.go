package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
)

// TestATextIsNoMusic gives texts the names of music: playlists, manifests and pictures that name other files or addresses. None
// is played, nothing that they name is opened, and whoever asks is told at once.
func TestATextIsNoMusic(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	if tools().ffmpeg == "" {
		t.Fatal("ffmpeg is not installed")
	}
	for _, ending := range []string{".m4a", ".mp3"} {
		dir := t.TempDir()
		// The pipe can be opened for writing only while somebody has it open for reading.
		pipe := filepath.Join(dir, "secret.wav")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		host, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		called := make(chan bool, 100)
		go func() {
			for {
				c, err := host.Accept()
				if err != nil {
					return
				}
				called <- true
				_ = c.Close()
			}
		}()
		address := "http://" + host.Addr().String() + "/x.wav"
		for name, text := range map[string]string{
			"concat":      "ffconcat version 1.0\nfile secret.wav\n",
			"concat bomb": "ffconcat version 1.0\n" + strings.Repeat("file secret.wav\noutpoint 800000\n", 50),
			"HLS":         "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nsecret.wav\n#EXT-X-ENDLIST\n",
			"HLS, far":    "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + address + "\n#EXT-X-ENDLIST\n",
			"DASH": `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">` +
				`<Period><AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>` + pipe + `</BaseURL></Representation></AdaptationSet></Period></MPD>`,
			"SDP":      "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 19000 RTP/AVP 0\n",
			"subtitle": "1\n00:00:00,000 --> 00:00:10,000\nHello\n",
			"SVG":      `<svg xmlns="http://www.w3.org/2000/svg"><image href="secret.wav"/></svg>`,
			"picture":  "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89",
			"data":     "ffconcat version 1.0\nfile 'data:audio/wav;base64,UklGRg=='\n",
			"M3U":      "#EXTM3U\nsecret.wav\n",
			"metadata": ";FFMETADATA1\ntitle=x\n",
			"QT link":  `<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?><embed src="` + address + `"/>`,
		} {
			path := filepath.Join(dir, "x"+ending)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for _, asks := range []func() error{
				func() error { _, err := Probe(t.Context(), path); return err },
				func() error {
					s, err := Open(t.Context(), path, Options{Rate: 48000})
					if err == nil {
						s.Close()
					}
					return err
				},
			} {
				done := make(chan error, 1)
				go func() { done <- asks() }()
				opened := false
				for asked := true; asked; {
					select {
					case err := <-done:
						if asked = false; err == nil {
							t.Errorf("%s as %s is music", name, ending)
						}
					case <-time.After(5 * time.Millisecond):
						if w, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
							opened = true
							_ = w.Close()
						}
					}
				}
				if opened {
					t.Errorf("%s as %s opens another file", name, ending)
				}
			}
			rig.Bar(t, name+" as "+ending, "it takes", time.Since(began).Seconds(), 20, "s")
		}
		_ = host.Close()
		if len(called) > 0 {
			t.Errorf("%s: %d calls over the network", ending, len(called))
		}
	}
}

// TestAChildThatDiesIsStartedAgain kills and freezes the child in mid-track, ten times: the stream gives the same frames as one
// that was left alone. A child that dies wherever it is started ends the file.
func TestAChildThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	if tools().ffmpeg == "" {
		t.Fatal("ffmpeg is not installed")
	}
	dir := t.TempDir()
	for way, native := range ways {
		path := filepath.Join(dir, "a.flac")
		if native {
			path = filepath.Join(dir, "a.wav") // a flac's place takes long to find here with -race
		}
		ffmpeg(t, "-f", "lavfi", "-i", "anoisesrc=d=20:a=0.3:seed=1:r=44100,aformat=channel_layouts=stereo", path)
		opt := Options{Rate: 48000, Ahead: 500 * time.Millisecond, native: native}
		want := mustAll(t, path, opt)
		for name, harm := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "crashed": syscall.SIGSEGV, "frozen": syscall.SIGSTOP} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				s, err := Open(t.Context(), path, opt)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				times := 10
				if name == "frozen" { // each costs the time that tells
					times = 2
				}
				var got [][2]float64
				buf := make([][2]float64, 4800)
				slowest := time.Duration(0)
				for k := 0; ; k++ {
					if k%16 == 8 && k/16 < times {
						if err := s.src.(*reviving).running().cmd.Process.Signal(harm); err != nil && !errors.Is(err, os.ErrProcessDone) {
							t.Fatal(err)
						}
					}
					began := time.Now()
					n, ok := s.Stream(buf)
					slowest = max(slowest, time.Since(began))
					if got = append(got, buf[:n]...); !ok {
						break
					}
				}
				if err := s.Err(); err != nil || len(got) != len(want) {
					t.Fatalf("%d frames, not %d: %v", len(got), len(want), err)
				}
				if d := apart(got, want); d > 1e-6 {
					t.Fatalf("it is %.2g apart from one that was left alone", d)
				}
				t.Logf("the longest wait was %v", slowest)
			})
		}
	}
}

// TestAStarvedChildIsWaitedFor stops a child for longer than a session would wait: where nobody listens it is waited for.
func TestAStarvedChildIsWaitedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.wav")
	ffmpeg(t, "-f", "lavfi", "-i", "anoisesrc=d=60:a=0.3:seed=1:r=48000,aformat=channel_layouts=stereo", path)
	const stall = 3 * time.Second // of which a child that nobody waits for has twelve
	s, err := Open(t.Context(), path, Options{Rate: 48000, Ahead: 500 * time.Millisecond, Background: true, stall: stall})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	child := s.src.(*reviving).running()
	if err := child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(stall+time.Second, func() { _ = child.cmd.Process.Signal(syscall.SIGCONT) })
	if n := drain(s); n != 60*48000 || s.Err() != nil {
		t.Errorf("%d frames and %v", n, s.Err())
	}
	if s.src.(*reviving).running() != child {
		t.Error("another child goes on")
	}
}

// TestASlowStartIsWaitedFor stops a child before its first frame, for longer than a child may stall later. The first frame must come
// from that child, not from a restarted one.
func TestASlowStartIsWaitedFor(t *testing.T) {
	t.Parallel()
	const stall = 2 * time.Second
	opt := Options{Rate: 48000, stall: stall}
	src, err := openChild(sample(t, "16.wav"), opt, 0)
	if err != nil {
		t.Fatal(err)
	}
	child := src.(*reviving).running()
	if err := child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(stall+time.Second, func() { _ = child.cmd.Process.Signal(syscall.SIGCONT) })
	s := newStream(src, opt, maxLength)
	defer s.Close()
	if err := s.prime(t.Context()); err != nil {
		t.Fatal(err)
	}
	if src.(*reviving).running() != child {
		t.Error("the first frame came from a restarted child")
	}
}

// TestADecoderCostsItsFileOnly has roomd decode meet what its decoders are known for: it ends soon, with an error, and within
// its memory.
func TestADecoderCostsItsFileOnly(t *testing.T) { // not beside others: their children's time would count
	wav, ogg, flac := content(t, "16.wav"), content(t, "q5.ogg"), content(t, "long.flac")
	le := binary.LittleEndian
	bomb := append(le.AppendUint32([]byte("RIFF\xff\xff\xff\x7fWAVEjunk"), 0x7ffffff0), make([]byte, 1<<20)...)
	frameless := bytes.Clone(wav)
	le.PutUint16(frameless[32:], 0)
	negative := append(le.AppendUint32([]byte("RIFF\xff\xff\xff\x7fWAVEjunk"), 0xfffffff0), make([]byte, 100)...)
	trimmed := bytes.Clone(ogg) // the last page says that the sound ends long before its packets do
	at := bytes.LastIndex(trimmed, []byte("OggS"))
	le.PutUint64(trimmed[at+6:], 40000)
	le.PutUint32(trimmed[at+22:], 0)
	le.PutUint32(trimmed[at+22:], oggSum(trimmed[at:]))
	for name, b := range map[string][]byte{
		"a wav that asks for 2 GB.wav": bomb, "a wav of frames without bytes.wav": frameless, "a wav with a negative chunk.wav": negative,
		"a wav that is cut off.wav": wav[:len(wav)/2], "an ogg that is cut off.ogg": ogg[:len(ogg)/2],
		"a flac that is cut off.flac": flac[:len(flac)/2],
	} {
		for _, from := range []time.Duration{0, 2 * time.Second} {
			var took time.Duration
			for range 2 { // what else runs on this computer makes time longer, seldom twice
				before := spent(t)
				got, err := all(t, file(t, name, b), Options{Rate: 48000, native: true, From: from})
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoSound) {
					t.Errorf("%s from %v: %d frames and %v, want ErrDamaged", name, from, len(got), err)
				}
				if took = spent(t) - before; took <= 5*time.Second {
					break
				}
			}
			if took > 5*time.Second {
				t.Errorf("%s from %v: %v of CPU", name, from, took)
			}
		}
	}
	if got := mustAll(t, file(t, "an ogg that ends before its packets.ogg", trimmed), Options{Rate: 44100, native: true}); len(got) != 40000 {
		t.Errorf("an ogg that ends before its packets: %d frames, want 40000", len(got))
	}
	u := syscall.Rusage{}
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil || u.Maxrss > 1<<20 {
		t.Errorf("a child took %d MB, %v", u.Maxrss>>10, err)
	}
}

// oggSum is the checksum of an ogg page whose own is 0.
func oggSum(page []byte) (c uint32) {
	for _, b := range page {
		c ^= uint32(b) << 24
		for range 8 {
			c = c<<1 ^ 0x04c11db7*(c>>31)
		}
	}
	return c
}

// TestAStreamThatWaitsKeepsNoChild holds that a stream which nobody reads gives its child back, and goes on at its frame.
func TestAStreamThatWaitsKeepsNoChild(t *testing.T) {
	t.Parallel()
	if tools().ffmpeg == "" {
		t.Fatal("ffmpeg is not installed")
	}
	path := filepath.Join(t.TempDir(), "a.mp3")
	ffmpeg(t, "-f", "lavfi", "-i", "anoisesrc=d=8:a=0.3:seed=1:r=44100,aformat=channel_layouts=stereo", path)
	for way, native := range ways {
		t.Run(way, func(t *testing.T) {
			opt := Options{Rate: 48000, Ahead: 500 * time.Millisecond, native: native}
			want := mustAll(t, path, opt)
			opt.unread = 300 * time.Millisecond
			s, err := Open(t.Context(), path, opt)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var got [][2]float64
			buf := make([][2]float64, 48000)
			for range 3 {
				first := s.src.(*reviving).running()
				select {
				case <-first.exited:
				case <-time.After(2 * time.Minute):
					t.Fatal("the child is still there")
				}
				n, _ := s.Stream(buf)
				got = append(got, buf[:n]...)
			}
			for ok := true; ok; {
				var n int
				n, ok = s.Stream(buf)
				got = append(got, buf[:n]...)
			}
			if err := s.Err(); err != nil || len(got) != len(want) {
				t.Fatalf("%d frames, not %d: %v", len(got), len(want), err)
			}
			if d := apart(got, want); d > 1e-6 {
				t.Errorf("it is %.2g apart from one that was read at once", d)
			}
		})
	}
}
