package decode

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"roomd/rig"
)

func TestProbeKnowsTheExactLength(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	forked := map[string]bool{"long.mp3": true, "16.flac": true, "q5.ogg": true, "f32.wav": true, "51.ogg": true, "a.opus": true, "aac.m4a": true, "a.wma": true}
	for _, sp := range corpus {
		for way, native := range ways {
			if native && !sp.native || !native && !forked[sp.name] {
				continue
			}
			info, err := probeWay(t, sample(t, sp.name), native)
			if err != nil {
				t.Errorf("%s, %s way: %v", sp.name, way, err)
				continue
			}
			if info.Rate != sp.rate {
				t.Errorf("%s, %s way: %d Hz, want %d", sp.name, way, info.Rate, sp.rate)
			}
			exact := sp.frames > 0 && sp.name != "a.opus"
			if exact != info.Exact && sp.name != "noinfo.mp3" || info.Exact && sp.frames > 0 && info.Frames != sp.frames {
				t.Errorf("%s, %s way: %d frames, exact %v; want %d, %v", sp.name, way, info.Frames, info.Exact, sp.frames, exact)
			}
			want := time.Second
			if strings.HasPrefix(sp.name, "long.") {
				want = 6 * time.Second
			}
			if d := info.Duration - want; d < -100*time.Millisecond || d > 100*time.Millisecond {
				t.Errorf("%s, %s way: %v long, want %v", sp.name, way, info.Duration, want)
			}
		}
	}
}

func TestProbeReadsTags(t *testing.T) {
	meta := []string{"-t", "0.5", "-metadata", "title=Träumerei", "-metadata", "artist=Clara", "-metadata", "album=Kinderszenen",
		"-metadata", "track=7/13", "-metadata", "disc=2", "-metadata", "replaygain_track_gain=-5.25 dB"}
	for _, name := range []string{"a.mp3", "a.flac", "a.ogg", "a.m4a"} {
		path := t.TempDir() + "/" + name
		ffmpeg(t, append(append([]string{"-i", sample(t, "16.wav")}, meta...), path)...)
		for way, native := range ways {
			if native && name == "a.m4a" {
				continue
			}
			info, err := probeWay(t, path, native)
			if err != nil {
				t.Errorf("%s, %s way: %v", name, way, err)
				continue
			}
			got := Info{Title: info.Title, Artist: info.Artist, Album: info.Album, Track: info.Track, Disc: info.Disc}
			if got != (Info{Title: "Träumerei", Artist: "Clara", Album: "Kinderszenen", Track: 7, Disc: 2}) {
				t.Errorf("%s, %s way: %+v", name, way, got)
			}
			if name != "a.m4a" && (!info.HasLoudness || math.Abs(info.Loudness+12.75) > 1e-9) {
				t.Errorf("%s, %s way: loudness %v, %.2f; want -12.75 LUFS", name, way, info.HasLoudness, info.Loudness)
			}
		}
	}
	path := t.TempDir() + "/a.opus"
	ffmpeg(t, "-i", sample(t, "16.wav"), "-c:a", "libopus", "-metadata", "R128_TRACK_GAIN=-512", path)
	info, err := Probe(t.Context(), path)
	if err != nil || !info.HasLoudness || info.Loudness != -21 {
		t.Errorf("opus: %+v, %v; want -21 LUFS", info, err)
	}
}

func TestProbeHearsOfVoices(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	for i, c := range []struct {
		name, tag string
		voice     bool
	}{
		{"a.mp3", "genre=Speech", true}, {"a.mp3", "genre=Audiobook", true}, {"a.mp3", "lyrics-eng=Words", true}, {"a.mp3", "genre=Ambient", false},
		{"a.flac", "genre=Guided Meditation", true}, {"a.flac", "LYRICS=Words", true}, {"a.flac", "genre=Instrumental", false}, {"a.flac", "genre=Operatic", false},
		{"a.ogg", "genre=A Cappella", true}, {"a.m4a", "lyrics=Words", true}, {"a.m4a", "genre=Classical", false},
	} {
		path := fmt.Sprintf("%s/%d-%s", t.TempDir(), i, c.name)
		ffmpeg(t, "-i", sample(t, "16.wav"), "-t", "0.5", "-metadata", c.tag, path)
		for way, native := range ways {
			if native && c.name == "a.m4a" {
				continue
			}
			if info, err := probeWay(t, path, native); err != nil || info.Voice != c.voice {
				t.Errorf("%s with %s, %s way: %v, %v", c.name, c.tag, way, info.Voice, err)
			}
		}
	}
}

// The tag INTENSITY is read from each kind of tags that keeps names of anyone's choice.
func TestProbeReadsIntensity(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	for i, c := range []struct {
		name, tag string
		intensity float64
	}{
		{"a.mp3", "INTENSITY=4", 4}, {"a.mp3", "Intensity=2.5", 2.5}, {"a.flac", "INTENSITY=3", 3}, {"a.flac", "intensity=1,5", 1.5},
		{"a.ogg", "INTENSITY=5", 5}, {"a.m4a", "INTENSITY=4.5", 4.5}, {"a.opus", "INTENSITY=1", 1}, {"a.flac", "INTENSITY=high", 0},
	} {
		path := fmt.Sprintf("%s/%d-%s", t.TempDir(), i, c.name)
		args := []string{"-i", sample(t, "16.wav"), "-t", "0.5", "-metadata", c.tag}
		if c.name == "a.m4a" {
			args = append(args, "-movflags", "use_metadata_tags")
		}
		ffmpeg(t, append(args, path)...)
		for way, native := range ways {
			if native && (c.name == "a.m4a" || c.name == "a.opus") {
				continue
			}
			if info, err := probeWay(t, path, native); err != nil || info.Intensity != c.intensity {
				t.Errorf("%s with %s, %s way: %v, %v", c.name, c.tag, way, info.Intensity, err)
			}
		}
	}
}

func TestAbsurdTagsCountAsNone(t *testing.T) {
	var i Info
	for _, v := range []string{"0", "0.99", "5.01", "-3", "NaN", "Inf", "1e9", "4 of 5", "", "4,5,5"} {
		if i.tags(map[string]string{"intensity": v}); i.Intensity != 0 {
			t.Errorf("an intensity of %q counts as %v", v, i.Intensity)
		}
	}
	i.tags(map[string]string{"replaygain_track_gain": "NaN dB", "track": "-3", "disc": "x", "title": "  "})
	if i != (Info{}) {
		t.Errorf("%+v, want nothing", i)
	}
	i.tags(map[string]string{"replaygain_track_gain": "+200 dB"})
	if i.HasLoudness {
		t.Errorf("a gain of 200 dB counted: %+v", i)
	}
}

func TestFormatsSayWhatIsMissing(t *testing.T) {
	if p := Formats(); !p.FFmpeg || p.Missing != "" || p.Version == "" {
		t.Errorf("with ffmpeg: %+v", p)
	}
	with := tools
	defer func() { tools = with }()
	tools = func() toolset { return toolset{} }
	p := Formats()
	if p.FFmpeg || !strings.Contains(p.Missing, "install ffmpeg") || strings.Contains(strings.Join(p.Endings, " "), "opus") {
		t.Errorf("without ffmpeg: %+v", p)
	}
	_, err := Open(t.Context(), sample(t, "a.opus"), Options{Rate: 48000})
	if !strings.Contains(Says(err), "install ffmpeg") {
		t.Errorf("an opus file without ffmpeg: %v, %q", err, Says(err))
	}
	if got := mustAll(t, sample(t, "vbr.mp3"), Options{Rate: 44100}); len(got) != 44100 {
		t.Errorf("mp3 without ffmpeg: %d frames", len(got))
	}
	if info, err := Probe(t.Context(), sample(t, "vbr.mp3")); err != nil || info.Frames != 44100 {
		t.Errorf("mp3 without ffprobe: %+v, %v", info, err)
	}
}

// A tag of another kind after the sound makes ffmpeg grumble, and the file is whole all the same.
func TestGrumblesAboutAWholeFile(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	for name, args := range map[string][]string{"a.wv": {"-c:a", "wavpack"}, "a.flac": nil, "a.mp3": {"-b:a", "128k"}, "a.tta": nil, "a.aiff": nil} {
		path := t.TempDir() + "/" + name
		ffmpeg(t, append(append([]string{"-i", sample(t, "16.wav")}, args...), path)...)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		item := append([]byte("\x04\x00\x00\x00\x00\x00\x00\x00Title\x00"), "Dawn"...)
		foot := func(flags uint32) []byte {
			b := binary.LittleEndian.AppendUint32([]byte("APETAGEX"), 2000)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(item)+32))
			b = binary.LittleEndian.AppendUint32(b, 1)
			return append(binary.LittleEndian.AppendUint32(b, flags), make([]byte, 8)...)
		}
		if _, err = f.Write(append(append(foot(0xa0000000), item...), foot(0x80000000)...)); err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := all(t, path, Options{Rate: 44100})
		if err != nil || len(got) != 44100 {
			t.Errorf("%s with an APE tag: %d frames and %v, want 44100", name, len(got), err)
		}
	}
}
