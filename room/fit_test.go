package room

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomd/playlists"
)

// drawStretch is a random phase to fill.
func drawStretch(t *rapid.T) stretch {
	st := stretch{
		order:     rapid.SampledFrom([]playlists.Order{playlists.Listed, playlists.Shuffle, playlists.BestFit}).Draw(t, "order"),
		seed:      rapid.Uint64().Draw(t, "seed"),
		crossfade: time.Duration(rapid.IntRange(0, 30).Draw(t, "crossfade")) * time.Second,
		flex:      time.Duration(rapid.IntRange(0, 180).Draw(t, "flex")) * time.Second,
		begin:     time.Duration(rapid.IntRange(0, 3600_000).Draw(t, "begin")) * time.Millisecond,
		heard:     map[int]int{},
	}
	st.nominal = st.begin + time.Duration(rapid.IntRange(1_000, 5400_000).Draw(t, "length"))*time.Millisecond
	st.flex = min(st.flex, (st.nominal-st.begin)/2)
	n := rapid.IntRange(0, 20).Draw(t, "tracks")
	for k := range n {
		s := source{item: k, length: time.Duration(rapid.IntRange(100, 1200_000).Draw(t, "track")) * time.Millisecond}
		if rapid.IntRange(0, 9).Draw(t, "bed") == 0 {
			s.length = 0
		}
		s.joined = k > 0 && s.length > 0 && rapid.IntRange(0, 4).Draw(t, "joined") == 0
		if rapid.IntRange(0, 4).Draw(t, "own") == 0 {
			x := time.Duration(rapid.IntRange(0, 60).Draw(t, "join")) * time.Second
			s.join = &x
		}
		st.sources = append(st.sources, s)
	}
	st.full = st.sources
	return st
}

// checkPieces holds what the rules promise of any fit.
func checkPieces(t *rapid.T, st stretch, pieces []piece, end time.Duration) {
	if d := end - st.nominal; d > st.flex || d < -st.flex {
		t.Fatalf("the phase ends %v from its nominal end, flex is %v", d, st.flex)
	}
	if len(pieces) == 0 {
		t.Fatal("nothing sounds")
	}
	if pieces[0].Start != st.begin && st.carry == nil {
		t.Fatalf("begins at %v, not at %v", pieces[0].Start, st.begin)
	}
	if last := pieces[len(pieces)-1]; last.End != end {
		t.Fatalf("the music ends at %v, the phase at %v", last.End, end)
	}
	length, join := map[int]time.Duration{}, map[int]time.Duration{-1: st.crossfade}
	for _, s := range st.full {
		length[s.item], join[s.item] = s.length, s.crossfade(st.crossfade)
	}
	for k, p := range pieces {
		if k > 0 && p.Start > pieces[k-1].End {
			t.Fatalf("a gap of %v before piece %d", p.Start-pieces[k-1].End, k)
		}
		if p.End > end || p.End < p.Start {
			t.Fatalf("piece %d: %v to %v, phase ends %v", k, p.Start, p.End, end)
		}
		if k > 0 && pieces[k-1].End-p.Start > join[p.Item] {
			t.Fatalf("piece %d overlaps by %v", k, pieces[k-1].End-p.Start)
		}
		if l := length[p.Item]; p.Item >= 0 && l > 0 && (k > 0 || st.carry == nil) {
			if p.Cut && p.End-p.Start < leastPlayed {
				t.Fatalf("piece %d is cut after %v", k, p.End-p.Start)
			}
			if !p.Cut && p.End-p.Start != l {
				t.Fatalf("piece %d lasts %v, its track %v", k, p.End-p.Start, l)
			}
			if p.Cut && k != len(pieces)-1 {
				t.Fatalf("piece %d of %d is cut", k, len(pieces))
			}
		}
	}
}

func TestFitHoldsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := drawStretch(t)
		pieces, end := fit(st)
		checkPieces(t, st, pieces, end)
		again, end2 := fit(st)
		if end != end2 || len(again) != len(pieces) {
			t.Fatal("the same stretch gave another fit")
		}
		for k := range again {
			if again[k] != pieces[k] {
				t.Fatal("the same stretch gave another fit")
			}
		}
		if st.order == playlists.Listed {
			for k := 1; k < len(pieces); k++ {
				a, b := pieces[k-1].Item, pieces[k].Item
				if a >= 0 && b >= 0 && b <= a && b != 0 && !firstOf(st, b) {
					t.Fatalf("listed order broken: %d after %d", b, a)
				}
			}
		}
	})
}

// firstOf says whether item is the first of the list that can be played: where a list is begun again.
func firstOf(st stretch, item int) bool {
	for _, s := range st.full {
		if !s.bed() {
			return s.item == item
		}
	}
	return false
}

func TestFitGoesOnFromWhatSounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := drawStretch(t)
		c := piece{Item: -1, Start: st.begin - time.Minute}
		if rapid.Bool().Draw(t, "track sounds") {
			c.Item = 1000
			c.End = st.begin + time.Duration(rapid.IntRange(1, 900_000).Draw(t, "left"))*time.Millisecond
		}
		st.carry = &c
		pieces, end := fit(st)
		checkPieces(t, st, pieces, end)
		if pieces[0].Start != c.Start || pieces[0].Item != c.Item {
			t.Fatalf("what sounded was replaced: %+v", pieces[0])
		}
	})
}

func TestFitEndsOnATracksOwnEnding(t *testing.T) {
	// Tracks of 7, 9 and 11 minutes, 10 s crossfade: 7+9 end at 15:50, 7+9+11 at 26:40, 9+11 at 19:50.
	tracks := []source{{item: 0, length: 7 * time.Minute}, {item: 1, length: 9 * time.Minute}, {item: 2, length: 11 * time.Minute}}
	for _, c := range []struct {
		order         playlists.Order
		nominal, flex time.Duration
		want          []int
		end           time.Duration
	}{
		{playlists.Listed, 16 * time.Minute, 30 * time.Second, []int{0, 1}, 15*time.Minute + 50*time.Second},
		{playlists.Listed, 16 * time.Minute, 0, []int{0, 1, -1}, 16 * time.Minute},
		{playlists.Listed, 20 * time.Minute, time.Minute, []int{0, 1, 2}, 20 * time.Minute},
		{playlists.BestFit, 20 * time.Minute, time.Minute, []int{1, 2}, 19*time.Minute + 50*time.Second},
		{playlists.Listed, 60 * time.Minute, 0, []int{0, 1, 2, 0, 1, 2, -1}, 60 * time.Minute},
	} {
		pieces, end := fit(stretch{sources: tracks, full: tracks, order: c.order, nominal: c.nominal, flex: c.flex, crossfade: 10 * time.Second, heard: map[int]int{}})
		var got []int
		for _, p := range pieces {
			got = append(got, p.Item)
		}
		if end != c.end || len(got) != len(c.want) {
			t.Errorf("%s %v±%v: %v ending at %v, want %v at %v", c.order, c.nominal, c.flex, got, end, c.want, c.end)
			continue
		}
		for k := range got {
			if got[k] != c.want[k] {
				t.Errorf("%s %v±%v: %v, want %v", c.order, c.nominal, c.flex, got, c.want)
			}
		}
	}
}

func TestShuffleHearsAllBeforeOneComesAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := stretch{order: playlists.Shuffle, seed: rapid.Uint64().Draw(t, "seed"), nominal: 4 * time.Hour, crossfade: 5 * time.Second, heard: map[int]int{}}
		n := rapid.IntRange(2, 12).Draw(t, "tracks")
		for k := range n {
			st.sources = append(st.sources, source{item: k, length: 5 * time.Minute})
			st.heard[k] = rapid.IntRange(0, 1).Draw(t, "heard")
		}
		st.full = st.sources
		pieces, _ := fit(st)
		fresh := 0
		for k := range n {
			if st.heard[k] == 0 {
				fresh++
			}
		}
		seen := map[int]bool{}
		for k := range n {
			if seen[pieces[k].Item] {
				t.Fatalf("track %d comes again before all were heard", pieces[k].Item)
			}
			seen[pieces[k].Item] = true
			if k < fresh && st.heard[pieces[k].Item] != 0 {
				t.Fatal("a track of an earlier session comes before one that was not heard yet")
			}
		}
	})
}

func BenchmarkFitSubset200(b *testing.B) {
	st := stretch{order: playlists.BestFit, nominal: time.Hour, flex: time.Minute, crossfade: 8 * time.Second, heard: map[int]int{}}
	for k := range 200 {
		st.sources = append(st.sources, source{item: k, length: time.Duration(120+k*7%400) * time.Second})
	}
	st.full = st.sources
	for b.Loop() {
		fit(st)
	}
}
