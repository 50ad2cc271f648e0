package main

import (
	"bytes"
	le "encoding/binary"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// TestAudition holds that a real room lets a part of a playlist be heard as a render has it, at the level of its phase,
// leaves its own sound and journal alone, and gives way to a session.
func TestAudition(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := tones(t)
	whole := filepath.Join(data, "whole.wav")
	if code, _, errs := roomd(t, nil, "render", "p", "--out", whole, "--data", data); code != exitOK {
		t.Fatalf("render: %d %s", code, errs)
	}
	d := daemonIn(t, data, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	d.ready("p")
	ask := func(id, query string) (*http.Response, error) {
		req, _ := http.NewRequest(http.MethodGet, "http://"+d.addr+"/api/v1/playlists/"+id+"/audition"+query, nil)
		req.Header.Set("Authorization", "Bearer "+d.token)
		return http.DefaultClient.Do(req)
	}
	hear := func(query string) []byte {
		t.Helper()
		resp, err := ask("p", query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "audio/wav" {
			t.Fatalf("%s: %s %v %s", query, resp.Status, err, b[:min(len(b), 200)])
		}
		return b
	}
	full, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	full = full[bytes.Index(full, []byte("data"))+8:]
	before := d.snapshot()
	for query, part := range map[string][2]int{"?at=20000&for=9000": {20_000, 9_000}, "?join=1": {79_000, 14_000}, "?at=210000&for=60000": {210_000, 0}} {
		b := hear(query)
		i := bytes.Index(b, []byte("data"))
		if size := int(le.LittleEndian.Uint32(b[i+4:])); size != len(b)-i-8 || part[1] > 0 && size != part[1]*48*4 {
			t.Errorf("%s says that it has %d bytes, and has %d", query, size, len(b)-i-8)
		}
		b = b[i+8:]
		most := 0.0
		for k := 48 * 200; k < len(b)/4-48*200; k++ {
			w := (part[0]*48 + k) * 6
			is := float64(int16(le.LittleEndian.Uint16(b[4*k:])))
			was := float64(int32(uint32(full[w])<<8|uint32(full[w+1])<<16|uint32(full[w+2])<<24)) / 65536
			most = max(most, math.Abs(is-was))
		}
		if most > 1.6 { // rounding and the dither
			t.Errorf("%s is off by %.1f steps of 16 bit", query, most)
		}
	}
	out := filepath.Join(data, "part.wav")
	if err := os.WriteFile(out, hear("?at=8000&for=30000"), 0o644); err != nil {
		t.Fatal(err)
	}
	if l := integrated(t, out); math.Abs(l - -29) > 0.7 { // First is at -23 - 6 LUFS
		t.Errorf("ffmpeg hears %.1f LUFS, its phase asks for -29", l)
	}
	if after := d.snapshot(); after.Rev != before.Rev && after.Session != nil || after.Checking {
		t.Errorf("the room has changed: %+v", after)
	}
	for _, c := range []struct {
		id, query string
		status    int
		says      string
	}{
		{"q", "?join=0", 404, "There is no playlist"}, {"p", "?join=4", 422, "has 4 joins"}, {"p", "?at=900000&for=2000", 422, "This playlist ends after"},
	} {
		resp, err := ask(c.id, c.query)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(b), c.says) {
			t.Errorf("%s: %s %s", c.query, resp.Status, b)
		}
	}

	// Somebody listens and takes nothing; a session starts.
	resp, err := ask("p", "?at=0&for=60000")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if busy, err := ask("p", "?join=0"); err != nil || busy.StatusCode != http.StatusConflict {
		t.Logf("the first was written already: %v", err)
	}
	d.do(room.Command{Do: room.Start, Playlist: "p"})
	began := time.Now()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("it goes on beside a session: %d bytes", len(b))
	}
	rig.Bar(t, "a session starts", "an audition ends after", time.Since(began).Seconds(), 5, "s")
	late, err := ask("p", "?join=0")
	if err != nil {
		t.Fatal(err)
	}
	defer late.Body.Close()
	if b, _ := io.ReadAll(late.Body); late.StatusCode != http.StatusConflict || !strings.Contains(string(b), "session is running") {
		t.Errorf("beside a session: %s %s", late.Status, b)
	}
}
