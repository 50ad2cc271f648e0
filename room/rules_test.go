package room

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"roomd/player"
)

// recorded is a session as a roomd of earlier rules journaled it, and what that roomd made of it.
type recorded struct {
	Begin  Begin `json:"begin"`
	Inputs []struct {
		AtMS  int64 `json:"at_ms"`
		Input Input `json:"input"`
	} `json:"inputs"`
	EndMS int64        `json:"end_ms"`
	View  SessionView  `json:"view"`
	Score player.Score `json:"score"`
}

// TestEarlierRules replays sessions that began under earlier rules: the arc after an upgrade is the arc before. Each file was
// written by the last roomd that had only those rules, from random sessions, and is never written anew.
func TestEarlierRules(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"rules1.json.gz", "rules2.json.gz"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			replayRecorded(t, filepath.Join("testdata", file))
		})
	}
}

func replayRecorded(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for dec := json.NewDecoder(z); ; n++ {
		var r recorded
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		s, _ := NewSession("s", r.Begin)
		for _, in := range r.Inputs {
			s, _, _ = s.Step(in.Input, time.Duration(in.AtMS)*time.Millisecond)
		}
		now := time.Duration(r.EndMS) * time.Millisecond
		s, _, _ = s.Step(Input{}, now)
		// Of what the page shows: what can be undone, and the sentences, are the present roomd's.
		ignore := cmp.Options{cmpopts.IgnoreFields(SessionView{}, "EmergencyMS", "Undo", "Timers", "Zero", "ReleaseEndsMS", "HoldEndsMS"), cmpopts.EquateEmpty(),
			cmpopts.SortSlices(func(a, b ClipView) bool { return a.StartMS < b.StartMS || a.StartMS == b.StartMS && a.EndMS < b.EndMS })}
		if d := cmp.Diff(r.View, *s.View(now), ignore); d != "" {
			t.Errorf("session %d looks different (-before +after):\n%s", n, d)
		}
		// Fades within a join may differ: after an upgrade the sound comes back from silence anyway.
		ignore = cmp.Options{cmpopts.IgnoreFields(player.Clip{}, "FadeIn", "FadeOut"), cmpopts.EquateEmpty(),
			cmpopts.SortSlices(func(a, b player.Clip) bool { return a.ID < b.ID })}
		if d := cmp.Diff(r.Score, s.Score(), ignore); d != "" {
			t.Errorf("session %d sounds different (-before +after):\n%s", n, d)
		}
		if t.Failed() {
			b, _ := json.Marshal(r.Inputs)
			t.Fatalf("%s", b)
		}
	}
	if n < 100 {
		t.Fatalf("only %d sessions are recorded", n)
	}
}
