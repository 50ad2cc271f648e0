package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"roomd/room"
)

// journals are those that roomd of each schema wrote: two sessions, of which the second was cut by a kill. The one of a
// released schema is never made anew.
var journals = []struct {
	schema int
	token  string // of "Old tablet"
	note   string
}{
	{1, "rSiTd1mlmB3BQeJQMTv6zwwOWcjzE3TTZjodfd6JUe4", ""},
	{2, "DNbUTC88OhWYsKU8gzfdcKvwAIBsAob5au-egeHngbk", ""},
	{3, "62Tjox86qMqEB6iLUlieX9ipEAPGmzHg8X9_MVs0srY", "calm throughout"},
	{4, "62Tjox86qMqEB6iLUlieX9ipEAPGmzHg8X9_MVs0srY", "calm throughout"},
	{5, "62Tjox86qMqEB6iLUlieX9ipEAPGmzHg8X9_MVs0srY", "calm throughout"},
	{6, "62Tjox86qMqEB6iLUlieX9ipEAPGmzHg8X9_MVs0srY", "calm throughout"},
	{7, "62Tjox86qMqEB6iLUlieX9ipEAPGmzHg8X9_MVs0srY", "calm throughout"},
}

// TestEarlierJournals takes up what earlier versions wrote: tablets are let in, sessions are told, and the next one begins.
func TestEarlierJournals(t *testing.T) {
	t.Parallel()
	for _, j := range journals {
		t.Run(fmt.Sprint("schema ", j.schema), func(t *testing.T) {
			t.Parallel()
			d := newDaemon(t, nil, map[string]string{
				"room.yaml":              "room: Willow\naudio: {output: none}\nlights: {ambient: {driver: simulated}}\n",
				"playlists/evening.yaml": "name: Evening\nphases: [{name: A, stage: preparation, length: 10m, music: rain}]\n",
			})
			for _, old := range []string{"roomd.db", "roomd.db-wal", "roomd.db-shm"} {
				_ = os.Remove(filepath.Join(d.data, old))
			}
			if err := copyFile(filepath.Join("testdata", "journals", fmt.Sprintf("schema%d.db", j.schema)), filepath.Join(d.data, "roomd.db"), 0o600); err != nil {
				t.Fatal(err)
			}
			if j.schema >= 4 { // since then a token ends that was not used for 90 days
				db, err := sql.Open("sqlite", filepath.Join(d.data, "roomd.db"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.Exec("UPDATE tokens SET since = unixepoch()"); err != nil {
					t.Fatal(err)
				}
				db.Close()
			}
			d.token = j.token
			d.start()
			if bad, _ := filepath.Glob(filepath.Join(d.data, "roomd.db.*")); len(bad) > 0 {
				t.Fatalf("the journal was set aside: %v", bad)
			}
			var list []room.SessionRecord
			d.get("/api/v1/sessions", &list)
			if len(list) != 2 || list[0].Ending != "ended while the room was off" || list[1].Ending != "aborted" {
				t.Fatalf("%+v", list)
			}
			for k, marks := range [][]string{{"Vitals"}, {"Vitals", "Lozenge"}} {
				var rec room.SessionRecord
				d.get("/api/v1/sessions/"+list[k].ID, &rec)
				var names []string
				for _, m := range rec.Session.Marks {
					names = append(names, m.Name)
				}
				if !slices.Equal(names, marks) || rec.Name != "Evening" {
					t.Errorf("session %d: %v in %+v", k, names, rec)
				}
				if k == 1 && (len(rec.Events) < 6 || j.note != "" && (len(rec.Notes) != 1 || rec.Notes[0].Text != j.note)) {
					t.Errorf("session %d: %+v %+v", k, rec.Events, rec.Notes)
				}
			}
			d.do(room.Command{Do: room.Start, Playlist: "evening"})
			if s := d.snapshot().Session; s == nil || s.State != room.Running {
				t.Errorf("%+v", s)
			}
			d.Kill()
			db, err := sql.Open("sqlite", filepath.Join(d.data, "roomd.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var version int
			if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != journals[len(journals)-1].schema {
				t.Errorf("schema %d, %v: a new one needs its journal here", version, err)
			}
		})
	}
}
