package decode

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seeds are small files of one kind, as several writers make them.
func seeds(f *testing.F, ending string, ways ...string) (all [][]byte) {
	f.Helper()
	dir := f.TempDir()
	for k, way := range ways {
		path := filepath.Join(dir, fmt.Sprint(k, ending))
		args := []string{"-nostdin", "-v", "error", "-f", "lavfi", "-i", "anoisesrc=r=44100:d=0.15:a=0.2,aformat=channel_layouts=stereo",
			"-metadata", "title=A title", "-metadata", "artist=Somebody", "-metadata", "track=3/9", "-metadata", "REPLAYGAIN_TRACK_GAIN=-6.2 dB"}
		args = append(append(args, strings.Fields(way)...), path)
		if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
			f.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// fuzzDecoder plays whatever the bytes are, from the start or further in.
func fuzzDecoder(f *testing.F, ending string, ways ...string) {
	for _, b := range seeds(f, ending, ways...) {
		f.Add(b, uint8(0))
		f.Add(b, uint8(5))
		f.Add(b[:len(b)/2], uint8(0))
	}
	path := filepath.Join(f.TempDir(), "fuzzed"+ending)
	f.Fuzz(func(t *testing.T, b []byte, from uint8) {
		if len(b) > 64<<10 {
			return // of what a larger file can do, this much is enough
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, _ = playThrough(t, path, Options{Rate: 48000, native: true, From: time.Duration(from) * 10 * time.Millisecond})
	})
}

func FuzzMP3(f *testing.F) {
	fuzzDecoder(f, ".mp3", "-b:a 128k", "-q:a 5 -id3v2_version 3 -write_id3v1 1", "-ar 22050 -ac 1 -b:a 32k -write_xing 0")
}

func FuzzFLAC(f *testing.F) {
	fuzzDecoder(f, ".flac", "-sample_fmt s16", "-sample_fmt s32 -ac 1", "-compression_level 0")
}

func FuzzOgg(f *testing.F) {
	fuzzDecoder(f, ".ogg", "-c:a libvorbis -q:a 0", "-c:a libvorbis -ac 1 -ar 8000")
}

func FuzzWAV(f *testing.F) {
	fuzzDecoder(f, ".wav", "-t 0.05 -c:a pcm_s16le", "-t 0.03 -c:a pcm_s24le", "-t 0.02 -c:a pcm_f32le -rf64 always", "-t 0.05 -ac 1 -c:a pcm_u8")
}

// FuzzTags reads a file's headers and tags.
func FuzzTags(f *testing.F) {
	for ending, way := range map[string]string{".mp3": "-id3v2_version 4", ".flac": "", ".ogg": "-c:a libvorbis", ".wav": "", ".m4a": "", ".opus": ""} {
		for _, b := range seeds(f, ending, "-t 0.02 "+way, "-t 0.02 -id3v2_version 3 "+way) {
			f.Add(b)
		}
	}
	f.Add([]byte("ID3\x02\x00\x00\x00\x00\x00\x20TT2\x00\x00\x04\x00ab\x00COM\x00\x00\x09\x01eng\xff\xfe\x00\x00a\x00"))
	path := filepath.Join(f.TempDir(), "fuzzed")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		costs(t, func() {
			in, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			var i Info
			i.tags(nativeTags(in))
			for _, s := range []string{i.Title, i.Artist, i.Album} {
				if len(s) > 500 || !utf8.ValidString(s) && len(s) < 500 {
					t.Errorf("a tag of %q", s)
				}
			}
			if i.HasLoudness && !(i.Loudness >= -200 && i.Loudness <= 200) || i.Track < 0 || i.Disc < 0 {
				t.Errorf("%+v", i)
			}
			if p, err := probeWay(t, path, true); err == nil && (p.Rate <= 0 || p.Channels <= 0 || p.Frames < 0 || p.Duration < 0) {
				t.Errorf("%+v", p)
			}
		})
	})
}
