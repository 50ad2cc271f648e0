package room

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomd/playlists"
)

// TestFitPlaysListedBeds holds that a bed in the list is heard in every order, if the phase has time for it.
func TestFitPlaysListedBeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := stretch{
			order:   rapid.SampledFrom([]playlists.Order{playlists.Listed, playlists.Shuffle, playlists.BestFit}).Draw(t, "order"),
			nominal: time.Hour, flex: time.Minute, crossfade: 8 * time.Second, heard: map[int]int{}, seed: rapid.Uint64().Draw(t, "seed"),
		}
		n := rapid.IntRange(1, 6).Draw(t, "tracks")
		bed := rapid.IntRange(0, n).Draw(t, "bed")
		for i := range n + 1 {
			s := source{item: i}
			if i != bed {
				s.length = time.Duration(rapid.IntRange(60, 500).Draw(t, "length")) * time.Second
				if st.order == playlists.BestFit { // also more music than fits
					s.length = time.Duration(rapid.IntRange(60, 3000).Draw(t, "length")) * time.Second
				}
			}
			st.sources = append(st.sources, s)
		}
		st.full = st.sources
		pieces, _ := fit(st)
		for _, p := range pieces {
			if p.Item == bed {
				return
			}
			if p.Item == -1 {
				t.Fatalf("the playlist's bed plays in its place: %+v", pieces)
			}
		}
		t.Fatalf("the bed is not heard: %+v", pieces)
	})
}
