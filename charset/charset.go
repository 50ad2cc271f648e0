// Package charset reads text that does not say how it is encoded: lists and tags that older players and ripping programs
// wrote in the code page of their computer.
package charset

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	bom "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// most is how many bytes are looked at to find the encoding.
const most = 64 << 10

// doubt is the plausibility below which a text is better not shown.
const doubt = 0.5

// Decode is data as UTF-8. A byte order mark counts first, then valid UTF-8, then what the bytes are most likely: sure is
// false where that is a guess that no reader should see. The text never holds an invalid byte.
func Decode(data []byte) (text string, sure bool) {
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(string(data[:min(len(data), 3)]), mark) {
			out, _, err := transform.Bytes(bom.BOMOverride(transform.Nop), data)
			return strings.ToValidUTF8(string(out), "\ufffd"), err == nil
		}
	}
	if utf8.Valid(data) {
		return string(data), true
	}
	enc, score := detect(data)
	out, err := enc.NewDecoder().Bytes(data)
	if err != nil {
		return strings.ToValidUTF8(string(data), "\ufffd"), false
	}
	return string(out), score >= doubt
}

// detect is the likeliest encoding of bytes that are not UTF-8, and how plausible it makes them. The library's candidates
// are judged again by what they make of the words, because it was built for pages of text and takes the few accents of a
// list for Turkish, a Mac's for Windows', and overlooks a title in kana. Those code pages are always among them.
func detect(data []byte) (best encoding.Encoding, score float64) {
	data = data[:min(len(data), most)]
	var names []string
	// The detector reads pairs of bytes and leaves out a last one: line ends behind it keep it whole.
	padded := append(append(make([]byte, 0, len(data)+16), data...), "\n\n\n\n"...)
	results := candidates(padded)
	slices.SortStableFunc(results, func(a, b chardet.Result) int {
		switch {
		case a.Confidence > b.Confidence:
			return -1
		case a.Confidence < b.Confidence:
			return 1
		}
		return 0
	})
	for _, r := range results {
		if r.Confidence >= 0.2 && r.Language != "Turkish" {
			names = append(names, r.Encoding)
		}
	}
	score = -2
	for _, name := range append(names, "windows-1252", "macintosh", "shift_jis") {
		if name == "MacRoman" {
			name = "macintosh"
		}
		enc, err := htmlindex.Get(name)
		if err != nil {
			continue
		}
		out, err := enc.NewDecoder().Bytes(data)
		if err != nil {
			continue
		}
		if s := plausible(string(out)); best == nil || s > score+0.01 {
			best, score = enc, s
		}
	}
	return best, score
}

// candidates asks the library. Bytes that break it have none.
func candidates(data []byte) (out []chardet.Result) {
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	return chardet.DetectAll(data)
}

// plausible judges a decoded text by its characters outside ASCII, from -1 to 1: letters that suit their neighbors count
// for it; a sign or a capital inside a word, and two alphabets in one word, count against it.
func plausible(s string) float64 {
	runes := []rune(s)
	sum, n := 0.0, 0
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	for i, r := range runes {
		if r < utf8.RuneSelf {
			continue
		}
		n++
		before, after := at(i-1), at(i+1)
		switch {
		case r == utf8.RuneError || unicode.IsControl(r):
			sum -= 3
		case !unicode.IsLetter(r) && !unicode.IsMark(r):
			if unicode.IsLetter(before) && unicode.IsLetter(after) {
				sum--
			} else if !unicode.Is(unicode.Common, r) {
				sum++
			} else if unicode.IsLetter(before) || unicode.IsLetter(after) {
				sum -= 0.5
			}
		case r == 'ƒ': // an accented letter of a Mac, and no letter of any language that is sung
			sum--
		case unicode.IsUpper(r) && (unicode.IsLower(before) || unicode.IsLetter(before) && unicode.IsLower(after)):
			sum--
		case mixed(r, before) || mixed(r, after):
			sum--
		default:
			sum++
		}
	}
	return max(-1, sum/float64(max(n, 1)))
}

// mixed says whether two letters that stand side by side belong to different alphabets.
func mixed(a, b rune) bool {
	if !unicode.IsLetter(a) || !unicode.IsLetter(b) {
		return false
	}
	for _, t := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Hebrew, unicode.Arabic} {
		if unicode.Is(t, a) != unicode.Is(t, b) {
			return true
		}
	}
	return false
}
