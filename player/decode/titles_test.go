package decode

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"

	"roomd/rig"
)

// TestTitlesInCodePages holds that the titles of older programs are read, with ffprobe and without: ID3v1, which has no
// encoding, and ID3v2 that is called Latin-1 and is not. What can't be read is left out.
func TestTitlesInCodePages(t *testing.T) {
	rig.Arithmetic(t)
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.mp3")
	ffmpeg(t, "-f", "lavfi", "-i", "sine=440:duration=1", "-id3v2_version", "0", "-write_id3v1", "0", "-bitexact", plain)
	sound, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(sound, []byte("ID3")) {
		t.Fatal("ffmpeg wrote tags")
	}
	v1 := func(title, artist, album string) []byte {
		b := make([]byte, 128)
		copy(b, "TAG")
		copy(b[3:33], title)
		copy(b[33:63], artist)
		copy(b[63:93], album)
		b[127] = 255
		return append(bytes.Clone(sound), b...)
	}
	v2 := func(title, artist, album string) []byte {
		var frames []byte
		for _, f := range [][2]string{{"TIT2", title}, {"TPE1", artist}, {"TALB", album}} {
			frames = append(frames, f[0]...)
			frames = append(frames, 0, 0, 0, byte(len(f[1])+1), 0, 0, 0)
			frames = append(frames, f[1]...)
		}
		return append(append([]byte{'I', 'D', '3', 3, 0, 0, 0, 0, byte(len(frames) >> 7), byte(len(frames) & 127)}, frames...), sound...)
	}
	for _, c := range []struct {
		name                 string
		enc                  encoding.Encoding
		title, artist, album string
	}{
		{"latin1", charmap.ISO8859_1, "Für Elise", "Béla Bartók", "Étude"},
		{"mac", charmap.Macintosh, "Für Elise", "Béla Bartók", "Étude"},
		{"cp1251", charmap.Windows1251, "Группа крови", "Кино", "Группа крови"},
		{"sjis", japanese.ShiftJIS, "風の通り道", "久石譲", "となりのトトロ"},
		{"ascii", encoding.Nop, "Dawn", "Anna", "Tides"},
	} {
		var raw [3]string
		for i, s := range []string{c.title, c.artist, c.album} {
			if raw[i], err = c.enc.NewEncoder().String(s); err != nil {
				t.Fatal(err)
			}
		}
		for kind, data := range map[string][]byte{"v1": v1(raw[0], raw[1], raw[2]), "v2": v2(raw[0], raw[1], raw[2])} {
			file := filepath.Join(dir, c.name+kind+".mp3")
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, native := range []bool{false, true} {
				p, err := probeWay(t, file, native)
				if err != nil || p.Title != c.title || p.Artist != c.artist || p.Album != c.album {
					t.Errorf("%s in ID3%s, native %v: %q, %q, %q, %v", c.name, kind, native, p.Title, p.Artist, p.Album, err)
				}
			}
		}
	}
	file := filepath.Join(dir, "noise.mp3")
	if err := os.WriteFile(file, v1("\x81\xff\x9d\xfe\x02\x90", "", ""), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, native := range []bool{false, true} {
		if p, err := probeWay(t, file, native); err != nil || p.Title != "" {
			t.Errorf("noise is shown as %q, %v", p.Title, err)
		}
	}
}
