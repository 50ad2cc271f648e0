package loudness_test

import (
	"slices"
	"testing"
	"time"

	"roomd/player/loudness"
)

// TestQuiet holds that what seems to have stopped is found where it begins and ends, and nothing else.
func TestQuiet(t *testing.T) {
	blocks := func(parts ...[2]int) *loudness.Analysis { // seconds at a level
		a := &loudness.Analysis{Rate: 48000}
		for _, p := range parts {
			for range p[0] * 10 {
				a.Blocks = append(a.Blocks, int16(p[1]*100))
			}
			a.Frames += int64(p[0] * 48000)
		}
		return a
	}
	s := func(from, to float64) loudness.Stretch {
		return loudness.Stretch{time.Duration(from * 1e9), time.Duration(to * 1e9)}
	}
	down := []loudness.Point{{0, 0}, {20 * time.Second, 0}, {21 * time.Second, -20}, {30 * time.Second, -20}, {31 * time.Second, 0}}
	for name, c := range map[string]struct {
		a     *loudness.Analysis
		gain  float64
		curve []loudness.Point
		want  []loudness.Stretch
	}{
		"steady":        {blocks([2]int{60, -20}), 0, nil, nil},
		"a pause":       {blocks([2]int{20, -20}, [2]int{1, -80}, [2]int{20, -20}), 0, nil, nil},
		"stopped":       {blocks([2]int{20, -20}, [2]int{10, -80}, [2]int{20, -20}), 0, nil, []loudness.Stretch{s(20, 30)}},
		"soft":          {blocks([2]int{20, -20}, [2]int{10, -44}, [2]int{20, -20}), 0, nil, nil},
		"softer":        {blocks([2]int{20, -20}, [2]int{10, -46}, [2]int{20, -20}), 0, nil, []loudness.Stretch{s(20, 30)}},
		"turned up":     {blocks([2]int{20, -20}, [2]int{10, -46}, [2]int{20, -20}), 6, nil, nil},
		"taken down":    {blocks([2]int{60, -30}), 0, down, []loudness.Stretch{s(20.7, 30.3)}},
		"a note within": {blocks([2]int{20, -20}, [2]int{5, -80}, [2]int{2, -20}, [2]int{5, -80}, [2]int{9, -20}), 0, nil, []loudness.Stretch{s(20, 32)}},
		"to the end":    {blocks([2]int{20, -20}, [2]int{10, -60}), 0, nil, []loudness.Stretch{s(20, 30)}},
		"at the edges":  {&loudness.Analysis{Rate: 48000, Frames: 48000 * 50, LeadIn: 10 * time.Second, LeadOut: 10 * time.Second, Blocks: blocks([2]int{10, -80}, [2]int{30, -20}, [2]int{10, -80}).Blocks}, 0, nil, nil},
	} {
		got := loudness.Quiet(c.a, c.gain, c.curve, -23)
		near := len(got) == len(c.want)
		for i := range got {
			near = near && (got[i].From-c.want[i].From).Abs() <= 400*time.Millisecond && (got[i].To-c.want[i].To).Abs() <= 400*time.Millisecond
		}
		if !near {
			t.Errorf("%s: %v, wanted %v", name, got, c.want)
		}
		if !slices.IsSortedFunc(got, func(a, b loudness.Stretch) int { return int(a.From - b.From) }) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
