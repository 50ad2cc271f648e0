package decode

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
)

var mutations = flag.Int("decode.mutations", 42, "how many mutated files the mutation test plays each way")

// dir holds the files that the tests make.
var dir string

func TestMain(m *testing.M) {
	Child()
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each child of a test with -race takes a second to end
	rig.SideBySide()
	openTimeout = 2 * time.Minute // a computer that is busy with other tests opens files slowly
	var err error
	if dir, err = os.MkdirTemp("", "decode"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// music is two tones that differ between left and right, with a noise floor and a swell: something that every
// codec can do well, and in which a shift by one frame shows.
const music = "aevalsrc=0.3*sin(2*PI*440*t)*(0.6+0.4*sin(t*3))+0.02*(random(0)-0.5)|0.25*sin(2*PI*554.37*t)+0.1*sin(2*PI*3000*t)*sin(t*2)+0.02*(random(1)-0.5):s=44100:d=6"

// files makes the whole corpus by one ffmpeg, once: the start of a process is most of the work.
var files = sync.OnceValue(func() error {
	args := []string{"-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i", music}
	for _, sp := range corpus {
		if !strings.HasPrefix(sp.name, "long.") {
			args = append(args, "-t", "1")
		}
		args = append(append(args, sp.args...), filepath.Join(dir, sp.name))
	}
	out, err := exec.Command("ffmpeg", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ffmpeg %v: %w\n%s", args, err, out)
	}
	return nil
})

// sample is the path of a file of the corpus.
func sample(t testing.TB, name string) string {
	t.Helper()
	if err := files(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

func ffmpeg(t testing.TB, args ...string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", append([]string{"-nostdin", "-y", "-v", "error"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
}

// ways are the two ways behind the door.
var ways = map[string]bool{"ffmpeg": false, "native": true}

// all decodes a file from a place to its end.
func all(t testing.TB, path string, opt Options) ([][2]float64, error) {
	t.Helper()
	s, err := Open(context.Background(), path, opt)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var got [][2]float64
	buf := make([][2]float64, 8192)
	for {
		n, ok := s.Stream(buf)
		got = append(got, buf[:n]...)
		if !ok {
			return got, s.Err()
		}
	}
}

func mustAll(t testing.TB, path string, opt Options) [][2]float64 {
	t.Helper()
	got, err := all(t, path, opt)
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	return got
}

// level is the power of both sides in dB.
func level(f [][2]float64) (db [2]float64) {
	for c := range db {
		sum := 0.0
		for _, v := range f {
			sum += v[c] * v[c]
		}
		db[c] = 10 * math.Log10(sum/float64(len(f))+1e-20)
	}
	return db
}

// apart is the largest difference between two sounds, in full scale.
func apart(a, b [][2]float64) float64 {
	worst := 0.0
	for i := range min(len(a), len(b)) {
		for c := range 2 {
			worst = max(worst, math.Abs(a[i][c]-b[i][c]))
		}
	}
	return worst
}

// spec is a file of the corpus.
type spec struct {
	name   string
	args   []string
	frames int64   // at its own rate, where known
	rate   int     // its own
	native bool    // played without ffmpeg too
	near   float64 // how far both ways may be apart, in full scale
}

var corpus = []spec{
	{"cbr.mp3", []string{"-b:a", "192k"}, 44100, 44100, true, 2e-4},
	{"vbr.mp3", []string{"-q:a", "2"}, 44100, 44100, true, 2e-4},
	{"mono.mp3", []string{"-ac", "1", "-b:a", "96k"}, 44100, 44100, true, 2e-4},
	{"32k.mp3", []string{"-ar", "32000", "-b:a", "128k"}, 32000, 32000, true, 1e-3},
	{"24k.mp3", []string{"-ar", "24000", "-b:a", "64k"}, 24000, 24000, true, 5e-2},
	{"22k.mp3", []string{"-ar", "22050", "-b:a", "64k"}, 22050, 22050, false, 0},
	{"noinfo.mp3", []string{"-b:a", "192k", "-write_xing", "0"}, 0, 44100, true, 1e-3},
	{"16.flac", []string{"-sample_fmt", "s16"}, 44100, 44100, true, 1e-7},
	{"24-96.flac", []string{"-ar", "96000", "-sample_fmt", "s32"}, 96000, 96000, true, 1e-6},
	{"24k.flac", []string{"-ar", "24000"}, 24000, 24000, true, 1e-7},
	{"192k.flac", []string{"-ar", "192000"}, 192000, 192000, true, 1e-7},
	{"mono.flac", []string{"-ac", "1"}, 44100, 44100, true, 1e-7},
	{"51.flac", []string{"-af", "pan=5.1|FL=c0|FR=c1|FC=0.5*c0|LFE=c1|BL=0.2*c1|BR=0.3*c0"}, 44100, 44100, false, 0},
	{"q5.ogg", []string{"-c:a", "libvorbis", "-q:a", "5"}, 44100, 44100, true, 1e-5},
	{"48k.ogg", []string{"-c:a", "libvorbis", "-ar", "48000", "-q:a", "3"}, 48000, 48000, true, 1e-5},
	{"mono.ogg", []string{"-c:a", "libvorbis", "-ac", "1"}, 44100, 44100, true, 1e-5},
	{"51.ogg", []string{"-af", "pan=5.1|FL=c0|FR=c1|FC=0.5*c0|LFE=c1|BL=0.2*c1|BR=0.3*c0", "-c:a", "libvorbis", "-q:a", "6"}, 44100, 44100, false, 0},
	{"8.wav", []string{"-c:a", "pcm_u8"}, 44100, 44100, true, 1e-7},
	{"16.wav", []string{"-c:a", "pcm_s16le"}, 44100, 44100, true, 1e-7},
	{"24.wav", []string{"-c:a", "pcm_s24le"}, 44100, 44100, true, 1e-7},
	{"32.wav", []string{"-c:a", "pcm_s32le"}, 44100, 44100, false, 0},
	{"f32.wav", []string{"-c:a", "pcm_f32le"}, 44100, 44100, false, 0},
	{"f64.wav", []string{"-c:a", "pcm_f64le"}, 44100, 44100, false, 0},
	{"8k.wav", []string{"-ar", "8000"}, 8000, 8000, true, 1e-7},
	{"51.wav", []string{"-af", "pan=5.1|FL=c0|FR=c1|FC=0.5*c0|LFE=c1|BL=0.2*c1|BR=0.3*c0"}, 44100, 44100, false, 0},
	{"rf64.wav", []string{"-rf64", "always"}, 44100, 44100, false, 0},
	{"long.mp3", []string{"-q:a", "2"}, 264600, 44100, true, 2e-4},
	{"low.mp3", []string{"-b:a", "32k", "-ar", "44100"}, 44100, 44100, true, 2e-4},
	{"long.flac", []string{}, 264600, 44100, true, 1e-7},
	{"long.ogg", []string{"-c:a", "libvorbis", "-q:a", "5"}, 264600, 44100, true, 1e-5},
	{"long.opus", []string{"-c:a", "libopus"}, 288000, 48000, false, 0},
	{"a.opus", []string{"-c:a", "libopus", "-b:a", "128k"}, 48000, 48000, false, 0},
	{"aac.m4a", []string{"-c:a", "aac", "-b:a", "160k"}, 0, 44100, false, 0},
	{"alac.m4a", []string{"-c:a", "alac"}, 44100, 44100, false, 0},
	{"a.aiff", []string{}, 44100, 44100, false, 0},
	{"a.wma", []string{"-c:a", "wmav2"}, 0, 44100, false, 0},
}

func TestBothWaysAgree(t *testing.T) {
	rig.OnlyBars(t)
	rig.Arithmetic(t)
	t.Parallel()
	for _, sp := range corpus {
		t.Run(sp.name, func(t *testing.T) {
			path := sample(t, sp.name)
			a := mustAll(t, path, Options{Rate: sp.rate})
			if sp.frames > 0 && int64(len(a)) != sp.frames {
				t.Errorf("ffmpeg way: %d frames, want %d", len(a), sp.frames)
			}
			if !sp.native {
				if _, err := all(t, path, Options{Rate: sp.rate, native: true}); !errors.Is(err, ErrUnsupported) {
					t.Errorf("native way: %v, want ErrUnsupported", err)
				}
				return
			}
			b := mustAll(t, path, Options{Rate: sp.rate, native: true})
			if len(a) != len(b) {
				t.Errorf("%d frames by ffmpeg, %d by the native way", len(a), len(b))
			}
			la, lb := level(a), level(b)
			if math.Abs(la[0]-lb[0]) > 0.05 || math.Abs(la[1]-lb[1]) > 0.05 {
				t.Errorf("levels %.2f by ffmpeg, %.2f by the native way", la, lb)
			}
			if d := apart(a, b); d > sp.near {
				t.Errorf("samples up to %.2g apart, want %.2g", d, sp.near)
			}
		})
	}
}

func TestRatesOfBothWaysAgree(t *testing.T) {
	rig.Arithmetic(t)
	for name, rate := range map[string]int{"16.flac": 48000, "24-96.flac": 44100, "192k.flac": 48000, "8k.wav": 48000, "vbr.mp3": 96000} {
		a := mustAll(t, sample(t, name), Options{Rate: rate})
		b := mustAll(t, sample(t, name), Options{Rate: rate, native: true})
		if d := len(a) - len(b); d < -1 || d > 1 || len(a) < rate-1 || len(a) > rate+1 {
			t.Errorf("%s at %d: %d frames by ffmpeg, %d by the native way", name, rate, len(a), len(b))
		}
		la, lb := level(a), level(b)
		if math.Abs(la[0]-lb[0]) > 0.05 || math.Abs(la[1]-lb[1]) > 0.05 {
			t.Errorf("%s at %d: levels %.2f by ffmpeg, %.2f by the native way", name, rate, la, lb)
		}
	}
}

func TestSeekLandsOnTheFrame(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	froms := []time.Duration{777777 * time.Microsecond, 5123456 * time.Microsecond}
	names := map[string][]string{
		"ffmpeg": {"long.mp3", "long.flac", "long.ogg", "long.opus", "alac.m4a", "aac.m4a"},
		"native": {"long.mp3", "long.flac", "long.ogg", "24k.flac", "8k.wav"},
	}
	for way, native := range ways {
		for _, name := range names[way] {
			path := sample(t, name)
			whole := mustAll(t, path, Options{Rate: 48000, native: native})
			for _, from := range froms {
				at := int(math.Round(from.Seconds() * 48000))
				if at > len(whole) {
					break
				}
				part := mustAll(t, path, Options{Rate: 48000, native: native, From: from})
				if len(part) != len(whole)-at {
					t.Errorf("%s of %s from %v: %d frames, want %d", way, name, from, len(part), len(whole)-at)
				}
				near := 1e-4
				if name == "aac.m4a" {
					near = 0.05 // AAC fills bands with noise that is another each time
				}
				if d := apart(whole[at:], part); d > near {
					t.Errorf("%s of %s from %v: %.2g from the sound without a seek", way, name, from, d)
				}
			}
		}
	}
}

// Each of beep's decoders lands on its frame, without the preroll that Open adds.
func TestDecodersSeek(t *testing.T) {
	rig.Arithmetic(t)
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for _, name := range []string{"long.mp3", "low.mp3", "noinfo.mp3", "long.flac", "24k.flac", "long.ogg", "24.wav"} {
		run := func(to int64, most int) (got [][2]float32) {
			m, err := openOwn(sample(t, name), true)
			if err != nil {
				t.Fatal(err)
			}
			if to > 0 {
				if m, err = m.seek(to); err != nil {
					t.Fatal(err)
				}
			}
			defer m.Close()
			for len(got) < most {
				block, err := m.next()
				got = append(got, block...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s from %d: %v", name, to, err)
				}
			}
			return got[:min(len(got), most)]
		}
		whole := run(0, math.MaxInt)
		for _, share := range []int{1, 100, 333, 750, 999} {
			to := len(whole) * share / 1000
			part := run(int64(to), 10000)
			if len(part) != min(len(whole)-to, 10000) {
				t.Errorf("%s from %d: %d frames, want %d", name, to, len(part), len(whole)-to)
				continue
			}
			for i := range part {
				if d := part[i][0] - whole[to+i][0]; d > 1e-4 || d < -1e-4 {
					t.Errorf("%s from %d: frame %d is %.2g off", name, to, i, d)
					break
				}
			}
		}
	}
}

// probeWay is Probe by ffprobe, or as where it is missing.
func probeWay(t testing.TB, path string, native bool) (Info, error) {
	t.Helper()
	if native {
		return probe(t.Context(), path, "", Options{})
	}
	return Probe(t.Context(), path)
}
