package charset

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"
)

// TestDecode holds that the texts of lists and tags are read in the code pages that people's computers had.
func TestDecode(t *testing.T) {
	western := []string{
		"Café del Mar", "Für Elise - Beethoven.mp3\nÉtude.mp3", "Sigur Rós/Ágætis byrjun/Svefn-g-englar.mp3", "Élan", "Noël", "Björk - Jóga",
		"#EXTM3U\n#EXTINF:213,Sigur Rós - Ágætis byrjun\nSigur Rós/Ágætis byrjun/Svefn-g-englar.mp3\n", "François Couperin – Les barricades mystérieuses", "Señorita", "Mädchen, Straße, Übung",
	}
	cyrillic := []string{"Тишина", "Группа крови", "Кино - Группа крови.mp3\nАквариум - Город золотой.mp3", "Дыхание", "Рахманинов. Вокализ"}
	kana := []string{
		"#EXTM3U\n#EXTINF:213,久石譲 - となりのトトロ\nとなりのトトロ.mp3\n#EXTINF:99,久石譲 - 風の通り道\n久石譲 - 風の通り道.mp3\n", "風の通り道 久石譲 となりのトトロ サウンドトラック",
		"となりのトトロ", "風の通り道", "戦場のメリークリスマス 坂本龍一",
	}
	for _, c := range []struct {
		name  string
		enc   encoding.Encoding
		texts []string
	}{
		{"Windows-1252", charmap.Windows1252, western},
		{"MacRoman", charmap.Macintosh, western},
		{"Windows-1251", charmap.Windows1251, cyrillic},
		{"KOI8-R", charmap.KOI8R, cyrillic},
		{"Shift-JIS", japanese.ShiftJIS, kana},
		{"EUC-JP", japanese.EUCJP, kana},
		{"EUC-KR", korean.EUCKR, []string{"사랑의 노래 김광석", "서른 즈음에"}},
		{"GBK", simplifiedchinese.GBK, []string{"月亮代表我的心 - 邓丽君"}},
		{"UTF-8", encoding.Nop, append(append(western, cyrillic...), kana...)},
		{"UTF-16", unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), append(western, kana...)},
	} {
		for _, want := range c.texts {
			raw, err := c.enc.NewEncoder().Bytes([]byte(want))
			if err != nil {
				t.Fatalf("%s can't hold %q: %v", c.name, want, err)
			}
			if got, sure := Decode(raw); got != want || !sure {
				t.Errorf("%s: %q is read as %q, sure: %v", c.name, want, got, sure)
			}
		}
	}
}

// TestDecodeAnything holds that whatever the bytes are the text is valid, and that UTF-8 is left alone.
func TestDecodeAnything(t *testing.T) {
	if got, sure := Decode([]byte("\x81\xff\x00\x9d\xfe\x02")); sure {
		t.Errorf("noise is taken for %q", got)
	}
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "data")
		if got, _ := Decode(data); !utf8.ValidString(got) {
			rt.Fatalf("%q is read as %q", data, got)
		}
		s := rapid.String().Draw(rt, "s")
		if got, sure := Decode([]byte("a" + s)); got != "a"+s || !sure {
			rt.Fatalf("%q is read as %q", s, got)
		}
	})
}
