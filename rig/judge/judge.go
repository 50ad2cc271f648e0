// Package judge measures sound as somebody else would: with ffmpeg, and by the letter of promise 1. It is for tests.
package judge

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// Judged is what ffmpeg's ebur128 filter says.
type Judged struct {
	Integrated float64   // LUFS; -70 where there is none
	Range      float64   // LU
	Peak       float64   // dBTP
	Momentary  []float64 // LUFS, each 100 ms; the first three are before the first whole window, and -120.7
}

var (
	frameLine   = regexp.MustCompile(`M: *(-?[0-9.]+|nan|-inf) `)
	integrated  = regexp.MustCompile(`(?m)^    I: +(-?[0-9.]+) LUFS`)
	lra         = regexp.MustCompile(`(?m)^    LRA: +(-?[0-9.]+) LU`)
	peakSummary = regexp.MustCompile(`(?m)^    Peak: +(-?[0-9.]+|-inf|nan) dBFS`)
)

// FFmpeg measures frames with ffmpeg -af ebur128=peak=true.
func FFmpeg(t testing.TB, rate int, frames [][2]float64) Judged {
	t.Helper()
	raw := make([]byte, 0, len(frames)*16)
	for _, f := range frames {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(f[0]))
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(f[1]))
	}
	return ask(t, bytes.NewReader(raw), "-f", "f64le", "-ar", strconv.Itoa(rate), "-ac", "2", "-i", "-")
}

// File measures a file with ffmpeg -af ebur128=peak=true.
func File(t testing.TB, path string) Judged {
	t.Helper()
	return ask(t, nil, "-i", path)
}

func ask(t testing.TB, in io.Reader, input ...string) Judged {
	t.Helper()
	args := append([]string{"-hide_banner", "-nostdin", "-nostats", "-v", "verbose"}, input...)
	cmd := exec.Command("ffmpeg", append(args, "-af", "ebur128=peak=true", "-f", "null", "-")...)
	cmd.Stdin = in
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	number := func(b []byte) float64 {
		v, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	last := func(re *regexp.Regexp) float64 {
		all := re.FindAllSubmatch(out, -1)
		if len(all) == 0 {
			t.Fatalf("ffmpeg did not measure:\n%s", out)
		}
		return number(all[len(all)-1][1])
	}
	j := Judged{Integrated: last(integrated), Range: last(lra), Peak: last(peakSummary)}
	for _, m := range frameLine.FindAllSubmatch(out, -1) {
		j.Momentary = append(j.Momentary, number(m[1]))
	}
	return j
}

// Startles says where momentary loudnesses, one each 100 ms, break promise 1, or nothing. target is what holds at each,
// in LUFS. The promise is read in its strictest way: what overlaps with a moment is not before it, and what
// is 5 s old is no more.
func Startles(moments []float64, target func(i int) float64) string {
	for i, m := range moments {
		before := target(i) - 12
		for _, b := range moments[max(0, i-49):max(0, i-3)] {
			before = max(before, b)
		}
		switch {
		case m > target(i)+6+1e-6:
			return fmt.Sprintf("at %.1f s: %.2f LUFS, %.2f over the target", float64(i+1)/10, m, m-target(i))
		case m > before+8+1e-6:
			return fmt.Sprintf("at %.1f s: %.2f LUFS, %.2f over the 5 s before", float64(i+1)/10, m, m-before)
		}
	}
	return ""
}

// Impulses says where what is sudden breaks promise 1, or nothing: no peak of 10 ms is more than 15 dB over every one of the 5 s
// before it, where target - 14 dBFS counts if those were lower, and no mean of a second is over -40 dBFS. What is up to 60 ms old
// is not before it: the second half of a scratch is as sudden as its first. target is what holds in each 10 ms, in LUFS.
func Impulses(rate int, frames [][2]float64, target func(i int) float64) string {
	if rate < 100 {
		return fmt.Sprintf("a rate of %d Hz", rate)
	}
	var peaks []float64
	var sums [][2]float64
	for k := rate / 100; len(frames) >= k; frames = frames[k:] {
		var peak float64
		var sum [2]float64
		for _, f := range frames[:k] {
			for ch, s := range f {
				peak = max(peak, math.Abs(s))
				sum[ch] += s
			}
		}
		peaks, sums = append(peaks, peak), append(sums, sum)
	}
	db := func(x float64) float64 { return 20 * math.Log10(x) }
	var second [2]float64
	for i, p := range peaks {
		before := math.Pow(10, (target(i)-14)/20)
		for _, b := range peaks[max(0, i-500):max(0, i-6)] {
			before = max(before, b)
		}
		if over := db(p / before); over > 15 {
			return fmt.Sprintf("at %.2f s: a peak of %.1f dBFS, %.1f dB over the 5 s before", float64(i)/100, db(p), over)
		}
		for ch := range 2 {
			second[ch] += sums[i][ch]
			if i >= 100 {
				second[ch] -= sums[i-100][ch]
			}
			if mean := math.Abs(second[ch]) / float64(rate); i >= 99 && mean > 0.01 {
				return fmt.Sprintf("at %.2f s: a mean of %.1f dBFS over a second", float64(i)/100, db(mean))
			}
		}
	}
	return ""
}
