package decode

import (
	"errors"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestATextIsNoMusic gives texts the names of music: playlists, manifests and pictures that name other files or addresses. None
// is played, nothing that they name is opened, and whoever asks is told at once.
func TestATextIsNoMusic(t *testing.T) {
	t.Parallel()
	if tools().ffmpeg == "" {
		t.Skip("ffmpeg is not installed")
	}
	for _, ending := range []string{".m4a", ".mp3", ".wav"} {
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
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s as %s takes %v", name, ending, took)
			}
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
		t.Skip("ffmpeg is not installed")
	}
	path := filepath.Join(t.TempDir(), "a.flac")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=d=60:a=0.3:seed=1:r=44100,aformat=channel_layouts=stereo", path).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	opt := Options{Rate: 48000, Ahead: 500 * time.Millisecond}
	want := mustAll(t, path, opt)
	for name, harm := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "crashed": syscall.SIGSEGV, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
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
			for k := 0; ; k++ {
				if k%100 == 50 && k/100 < times {
					c, ok := s.src.(*reviving)
					if !ok {
						t.Fatalf("a %T", s.src)
					}
					if err := c.running().cmd.Process.Signal(harm); err != nil && !errors.Is(err, os.ErrProcessDone) {
						t.Fatal(err)
					}
				}
				n, ok := s.Stream(buf)
				if got = append(got, buf[:n]...); !ok {
					break
				}
			}
			if err := s.Err(); err != nil || len(got) != len(want) {
				t.Fatalf("%d frames, not %d: %v", len(got), len(want), err)
			}
			for i := range got {
				if math.Abs(got[i][0]-want[i][0]) > 1e-6 || math.Abs(got[i][1]-want[i][1]) > 1e-6 {
					t.Fatalf("frame %d is %v, not %v", i, got[i], want[i])
				}
			}
		})
	}
}
