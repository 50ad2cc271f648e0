package decode

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/player/decode/endings"
	"roomd/rig"
)

// TestEndings holds that each ending that counts as music is one that ffmpeg here decodes: a file of its kind is made and
// heard, and where no program makes one ffmpeg has at least to know the kind.
func TestEndings(t *testing.T) {
	rig.Long(t)
	rig.Arithmetic(t)
	t.Parallel()
	// How a kind is made where its ending alone does not say so; "": nothing here makes one, and this is its demuxer.
	make := map[string][]string{
		".oga": {"-c:a", "libvorbis"}, ".spx": {"-c:a", "libspeex", "-ar", "32000", "-f", "ogg"}, ".alac": {"-c:a", "alac", "-f", "ipod"}, ".m4b": {"-f", "ipod"}, ".mp4": {"-vn"},
		".aifc": {"-f", "aiff"}, ".wv": {"-c:a", "wavpack"}, ".webm": {"-c:a", "libopus"}, ".mka": {"-c:a", "flac"}, ".aac": {"-f", "adts"}, ".wma": {"-f", "asf"},
	}
	demuxers := map[string]string{".ape": "ape", ".dsf": "dsf", ".dff": "iff", ".mpc": "mpc", ".tak": "tak"}
	known, err := exec.Command("ffmpeg", "-v", "error", "-demuxers").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, e := range endings.Music {
		if d, ok := demuxers[e]; ok {
			if !slices.Contains(strings.Fields(string(known)), d) {
				t.Errorf("%s: ffmpeg has no demuxer %s", e, d)
			}
			continue
		}
		file := filepath.Join(dir, "a"+e)
		ffmpeg(t, slices.Concat([]string{"-f", "lavfi", "-i", "sine=440:duration=1:sample_rate=44100", "-ac", "2"}, make[e], []string{file})...)
		s, err := Open(t.Context(), file, Options{Rate: 48000})
		if err != nil {
			t.Errorf("%s can't be played: %v", e, err)
			continue
		}
		s.Close()
		if p, err := Probe(t.Context(), file); err != nil || p.Duration < 900*time.Millisecond {
			t.Errorf("%s: %+v, %v", e, p, err)
		}
	}
	if p := Formats(); !slices.Equal(p.Endings, endings.Music) {
		t.Errorf("the decoder reports %v", p.Endings)
	}
}
