package loudness_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// judged is what ffmpeg's ebur128 filter says.
type judged struct {
	integrated, lra, peak float64
	momentary             []float64 // each 100 ms; the first three are before the first whole window
}

var (
	frameLine   = regexp.MustCompile(`M: *(-?[0-9.]+|nan|-inf) `)
	integrated  = regexp.MustCompile(`(?m)^    I: +(-?[0-9.]+) LUFS`)
	lra         = regexp.MustCompile(`(?m)^    LRA: +(-?[0-9.]+) LU`)
	peakSummary = regexp.MustCompile(`(?m)^    Peak: +(-?[0-9.]+|-inf|nan) dBFS`)
)

// judge measures frames with ffmpeg.
func judge(t testing.TB, rate int, frames [][2]float64) judged {
	t.Helper()
	raw := make([]byte, 0, len(frames)*16)
	for _, f := range frames {
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(f[0]))
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(f[1]))
	}
	cmd := exec.Command("ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-v", "verbose", "-f", "f64le", "-ar", strconv.Itoa(rate), "-ac", "2",
		"-i", "-", "-af", "ebur128=peak=true", "-f", "null", "-")
	cmd.Stdin = bytes.NewReader(raw)
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
	j := judged{integrated: last(integrated), lra: last(lra), peak: last(peakSummary)}
	for _, m := range frameLine.FindAllSubmatch(out, -1) {
		j.momentary = append(j.momentary, number(m[1]))
	}
	return j
}
