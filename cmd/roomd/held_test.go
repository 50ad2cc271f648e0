package main

import (
	"path/filepath"
	"slices"
	"testing"

	"roomd/rig"
	"roomd/room"
)

// TestNothingAnalyzedInSession copies music into the playlists folder while a session runs: it is seen, and heard through only when the
// session is over.
func TestNothingAnalyzedInSession(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	ready := func(id string) (seen, ready bool) {
		var list []room.PlaylistView
		d.get("/api/v1/playlists", &list)
		k := slices.IndexFunc(list, func(v room.PlaylistView) bool { return v.ID == id })
		return k >= 0, k >= 0 && list[k].Ready
	}
	analyses := func() int {
		found, err := filepath.Glob(filepath.Join(d.data, "analysis", "??", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	rig.Eventually(t, "the starters are read", func() bool { _, ok := ready("starter/tour"); return ok })
	d.do(room.Command{Do: room.Start, Playlist: "starter/tour"})
	music(t, filepath.Join(d.data, "playlists", "new"), map[string]tone{"a.flac": {300, 60, -20}, "b.flac": {400, 60, -20}})
	rig.Eventually(t, "the music is seen", func() bool { seen, _ := ready("new"); return seen })
	then := d.snapshot().NowMS
	rig.Eventually(t, "the session goes on for some seconds", func() bool {
		return d.snapshot().NowMS > then+3000
	})
	if n := analyses(); n > 0 {
		t.Errorf("%d files were heard through while the session ran", n)
	}
	d.do(room.Command{Do: room.End})
	rig.Eventually(t, "the music is heard through after the session", func() bool { _, ok := ready("new"); return ok && analyses() == 2 })
}
