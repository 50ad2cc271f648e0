package loudness

import (
	"math"
	"time"
)

// Stretch is a part of a file, in source time.
type Stretch struct{ From, To time.Duration }

// When a file is as good as silent (the design's promise 2: not under target - 25 LU for over 2 s).
const (
	underTarget = 22.0 // LU that a quiet moment is under the target, at least
	quietFor    = 15   // blocks of it in a row, before anything is done about it
	quietApart  = 50   // blocks between two stretches that are one to the ear
)

// Quiet finds where a file, played gain dB up or down with its curve at a target in LUFS, is so soft for 1.5 s and longer
// that it seems to have stopped: its moments are more than 22 LU under the target. The silence before its first and after
// its last sound does not count, as it is not played.
func Quiet(a *Analysis, gain float64, curve []Point, target float64) []Stretch {
	powers := a.powers(gain)
	if len(curve) > 0 {
		next := 0
		for i := range powers {
			at := time.Duration(i)*time.Second/perSecond + time.Second/perSecond/2
			for next < len(curve) && curve[next].At <= at {
				next++
			}
			db := curve[max(next-1, 0)].DB
			if next > 0 && next < len(curve) {
				p, q := curve[next-1], curve[next]
				db += (q.DB - p.DB) * float64(at-p.At) / float64(q.At-p.At)
			}
			powers[i] *= math.Pow(10, db/10)
		}
	}
	first := int(a.LeadIn * perSecond / time.Second)
	last := min(len(powers), int((a.Length()-a.LeadOut)*perSecond/time.Second))
	under := Power(target - underTarget)
	var found []Stretch
	begin := -1 // block with which the present one begins
	for i := first; i <= last; i++ {
		if i < last && i >= first+momentary && window(powers, i, momentary) < under {
			if begin < 0 {
				begin = i + 1 - momentary
			}
			continue
		}
		if begin >= 0 && i-begin >= quietFor {
			s := Stretch{time.Duration(begin) * time.Second / perSecond, time.Duration(i) * time.Second / perSecond}
			if n := len(found); n > 0 && s.From-found[n-1].To < quietApart*time.Second/perSecond {
				found[n-1].To = s.To
			} else {
				found = append(found, s)
			}
		}
		begin = -1
	}
	return found
}
