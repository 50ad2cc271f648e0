package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/doctor"
)

var librarySize = flag.Int("library", 2000, "MB of TestSyncthingLibrary")

// peer is a real Syncthing on the loopback interface.
type peer struct {
	*rig.Process
	t               *testing.T
	home, url, key  string
	id              string
	page, transfers int // ports
}

func syncthingPeer(t *testing.T, name string) *peer {
	t.Helper()
	p := &peer{t: t, home: filepath.Join(t.TempDir(), name), key: "key-of-" + name + "-0123456789", page: rig.FreePort(t), transfers: rig.FreePort(t)}
	p.url = fmt.Sprintf("http://127.0.0.1:%d", p.page)
	if out, err := exec.CommandContext(t.Context(), "syncthing", "generate", "--no-default-folder", "--home", p.home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.start()
	p.rest(http.MethodPatch, "/rest/config/options", map[string]any{"listenAddresses": []string{fmt.Sprintf("tcp://127.0.0.1:%d", p.transfers)}, "globalAnnounceEnabled": false, "localAnnounceEnabled": false,
		"relaysEnabled": false, "natEnabled": false, "crashReportingEnabled": false, "urAccepted": -1, "startBrowser": false, "reconnectionIntervalS": 1}, nil)
	var status struct{ MyID string }
	p.rest(http.MethodGet, "/rest/system/status", nil, &status)
	p.id = status.MyID
	return p
}

func (p *peer) start() {
	p.t.Helper()
	p.Process = rig.Run(p.t, p.home, "syncthing", []string{"STNOUPGRADE=1", "STMONITORED=1", "HOME=" + p.home}, "serve", "--home", p.home, "--no-browser", "--no-restart", fmt.Sprintf("--gui-address=127.0.0.1:%d", p.page), "--gui-apikey="+p.key)
	rig.Eventually(p.t, "Syncthing answers", func() bool { _, err := p.ask(http.MethodGet, "/rest/system/ping", nil); return err == nil })
}

func (p *peer) ask(method, path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-Key", p.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %s", method, path, resp.Status, answer)
	}
	return answer, err
}

func (p *peer) rest(method, path string, body, into any) {
	p.t.Helper()
	answer, err := p.ask(method, path, body)
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// shares gives the peer a folder that it shares with another.
func (p *peer) shares(id string, with *peer, how string) (dir string) {
	p.t.Helper()
	dir = filepath.Join(p.home, "shared-"+id)
	p.rest(http.MethodPut, "/rest/config/devices/"+with.id, map[string]any{"deviceID": with.id, "addresses": []string{fmt.Sprintf("tcp://127.0.0.1:%d", with.transfers)}}, nil)
	p.rest(http.MethodPut, "/rest/config/folders/"+id, map[string]any{"id": id, "path": dir, "type": how, "fsWatcherEnabled": false, "devices": []map[string]string{{"deviceID": with.id}}}, nil)
	return dir
}

// paused are the ids of the folders that are paused.
func (p *peer) paused() (ids []string) {
	p.t.Helper()
	var all []folder
	p.rest(http.MethodGet, "/rest/config/folders", nil, &all)
	for _, f := range all {
		if f.Paused {
			ids = append(ids, f.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// received is how many bytes a peer has received from all others together.
func (p *peer) received() int64 {
	p.t.Helper()
	var c struct{ Total struct{ InBytesTotal int64 } }
	p.rest(http.MethodGet, "/rest/system/connections", nil, &c)
	return c.Total.InBytesTotal
}

// offers writes a file of a mebibyte, and waits until the peer has it in its index.
func (p *peer) offers(folder, name string) {
	p.t.Helper()
	noise := make([]byte, 1<<20)
	rand.Read(noise)
	if err := os.WriteFile(filepath.Join(p.home, "shared-"+folder, name), noise, 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.rest(http.MethodPost, "/rest/db/scan?folder="+folder, nil, nil)
	p.rest(http.MethodGet, "/rest/db/file?folder="+folder+"&file="+name, nil, nil)
}

// TestSyncthingWaits has two real Syncthings share a folder: nothing moves while a session runs, over a crash of roomd, and it goes on
// afterwards. What the curator has paused stays paused. A Syncthing that is gone is no problem of the room's.
func TestSyncthingWaits(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	desk, willow := syncthingPeer(t, "desk"), syncthingPeer(t, "willow")
	for _, id := range []string{"library", "resting"} {
		desk.shares(id, willow, "sendonly")
		willow.shares(id, desk, "receiveonly")
	}
	willow.rest(http.MethodPatch, "/rest/config/folders/resting", map[string]bool{"paused": true}, nil)
	has := func(name string) func() bool {
		return func() bool {
			st, err := os.Stat(filepath.Join(willow.home, "shared-library", name))
			return err == nil && st.Size() == 1<<20
		}
	}
	rig.Eventually(t, "they are connected", func() bool { return willow.received() > 0 })
	desk.offers("library", "before")
	rig.Eventually(t, "a file comes", has("before"))

	d := holdRoom(t, "syncthing: {url: "+willow.url+", key_file: syncthing.key}\n")
	if err := os.WriteFile(filepath.Join(d.data, "syncthing.key"), []byte(willow.key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(d.data, "syncthing.paused")
	d.start()
	_, of := d.examined()
	if f := of("syncthing"); f.State != doctor.OK || !strings.Contains(f.Says, willow.url) {
		t.Errorf("%+v", f)
	}
	if now := willow.paused(); !slices.Equal(now, []string{"resting"}) {
		t.Errorf("before a session: %v", now)
	}
	all, byHand := []string{"library", "resting"}, []string{"resting"}
	pauses := func(when string, want []string) {
		t.Helper()
		rig.Eventually(t, when, func() bool { return slices.Equal(willow.paused(), want) })
	}
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	pauses("all is paused", all)
	desk.offers("library", "meanwhile")
	was := willow.received()
	still := func(when string) {
		t.Helper()
		for range 40 { // 1 MiB takes a tenth of a second
			if has("meanwhile")() || willow.received()-was > 100_000 {
				t.Fatalf("%s: %d bytes", when, willow.received()-was)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	still("in the session")
	d.Kill()
	d.start()
	still("after a crash of roomd")
	if now := willow.paused(); !slices.Equal(now, all) {
		t.Errorf("after a crash: %v", now)
	}
	t.Logf("%d bytes came in the session", willow.received()-was)
	d.do(room.Command{Do: room.Abort})
	pauses("what roomd paused goes on", byHand)
	rig.Eventually(t, "the file comes after the session", has("meanwhile"))
	rig.Eventually(t, "nothing is noted", func() bool { return !isThere(list) })

	// Syncthing is gone at the end of a session, and roomd before it comes back: it resumes where no session runs.
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	pauses("all is paused again", all)
	rig.Eventually(t, "Syncthing has saved that", func() bool {
		b, err := os.ReadFile(filepath.Join(willow.home, "config.xml"))
		return err == nil && strings.Count(string(b), "<paused>true</paused>") >= len(all)
	})
	willow.Kill()
	d.do(room.Command{Do: room.Abort})
	over := func() {
		t.Helper()
		rig.Eventually(t, "the session is over", func() bool { return !d.snapshot().InSession() })
	}
	over()
	rig.Eventually(t, "the doctor tells", func() bool { _, of := d.examined(); return of("syncthing").State == doctor.Wrong })
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	if s := d.snapshot(); len(s.Problems) > 0 || !s.InSession() {
		t.Errorf("a problem of the session: %+v", s.Problems)
	}
	d.do(room.Command{Do: room.Abort})
	over()
	d.Kill()
	willow.start()
	if now := willow.paused(); !slices.Equal(now, all) {
		t.Errorf("it forgot: %v", now)
	}
	d.start()
	pauses("a new roomd resumes what the last one paused", byHand)

	// The key is nowhere, not even after Syncthing has refused it.
	if err := os.WriteFile(filepath.Join(d.data, "syncthing.key"), []byte("wrong-"+willow.key), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, bad := roomd(t, nil, "report", "-", "--data", d.data)
	if code != exitOK {
		t.Fatal(code, bad)
	}
	told := unpacked(t, []byte(out))
	if !strings.Contains(told["doctor.txt"], "403") || !strings.Contains(told["room.yaml"], "syncthing.key") {
		t.Errorf("%s\n%s", told["doctor.txt"], told["room.yaml"])
	}
	told["log"], told["what went before"] = d.log(), bad
	for name, text := range told {
		if strings.Contains(text, willow.key) {
			t.Errorf("%s holds the key:\n%s", name, text)
		}
	}
}

// counter passes connections on to a port of the loopback interface and counts the bytes that come back.
type counter struct {
	port int
	n    atomic.Int64
}

func newCounter(t *testing.T, to int) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &counter{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			on, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				conn.Close()
				continue
			}
			pass := func(to io.Writer, from io.Reader) {
				_, _ = io.Copy(to, from) // either end may close
				conn.Close()
				on.Close()
			}
			go pass(on, conn)
			go pass(io.MultiWriter(conn, c), on)
		}
	}()
	return c
}

func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func (c *counter) mb() float64 { return float64(c.n.Load()) / 1e6 }

// TestSyncthingLibrary carries a large library into a room with the settings of docs/clinic.md, through a proxy that counts what comes:
// copied for the first time, with retagged and moved files, each with the room's Syncthing killed in the middle, and in a session.
func TestSyncthingLibrary(t *testing.T) {
	rig.OnlyBars(t)
	const section, files = "## The same playlists in all rooms", 200
	curator, willow := syncthingPeer(t, "curator"), syncthingPeer(t, "willow")
	line := newCounter(t, curator.transfers)
	from := curator.shares("library", willow, "sendonly")
	// The room alone opens the connection, through the proxy.
	curator.rest(http.MethodPatch, "/rest/config/devices/"+willow.id, map[string]any{"addresses": []string{"tcp://127.0.0.1:1"}}, nil)

	// Tags with some padding behind them, as taggers write them; what music is encoded to is noise for Syncthing.
	noise, size := randv2.NewChaCha8([32]byte{1}), 0
	names := make([]string, files)
	tags := func(title string) []byte { return append([]byte("fLaC"+title), make([]byte, 8<<10-4-len(title))...) }
	for k := range names {
		names[k] = filepath.Join(fmt.Sprintf("Playlist %d", k/10), fmt.Sprintf("%02d Track.flac", k))
		sound := make([]byte, (6<<20)*(*librarySize)/2000+randv2.IntN((8<<20)*(*librarySize)/2000))
		_, _ = noise.Read(sound)
		path := filepath.Join(from, names[k])
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, append(tags(names[k]), sound...), 0o644)); err != nil {
			t.Fatal(err)
		}
		size += 8<<10 + len(sound)
	}
	library := fmt.Sprintf("%d MB in %d files", size/1e6, files)
	curator.rest(http.MethodPost, "/rest/db/scan?folder=library", nil, nil)

	to := filepath.Join(willow.home, "library")
	var settings map[string]any
	if err := errors.Join(json.Unmarshal([]byte(blocks(t, "clinic.md", section, "json")[0]), &settings), os.Mkdir(to, 0o755),
		os.WriteFile(filepath.Join(to, ".stignore"), []byte(blocks(t, "clinic.md", section, "stignore")[0]), 0o644)); err != nil {
		t.Fatal(err)
	}
	settings["path"], settings["devices"] = to, []map[string]string{{"deviceID": curator.id}}
	willow.rest(http.MethodPut, "/rest/config/devices/"+curator.id, map[string]any{"deviceID": curator.id, "addresses": []string{fmt.Sprintf("tcp://127.0.0.1:%d", line.port)}}, nil)
	willow.rest(http.MethodPut, "/rest/config/folders/library", settings, nil)

	// same waits until the room has what the curator has: files and bytes.
	type status struct {
		GlobalFiles, GlobalBytes, NeedBytes, NeedDeletes, NeedFiles int
		State                                                       string
	}
	same := func(what string) {
		t.Helper()
		rig.Within(t, 10*time.Minute, what, func() bool {
			time.Sleep(200 * time.Millisecond)
			var is, want status
			curator.rest(http.MethodGet, "/rest/db/status?folder=library", nil, &want)
			if b, err := willow.ask(http.MethodGet, "/rest/db/status?folder=library", nil); err != nil || json.Unmarshal(b, &is) != nil {
				return false // it is just starting
			}
			return is.State == "idle" && is.GlobalFiles == want.GlobalFiles && is.GlobalBytes == want.GlobalBytes && is.NeedBytes+is.NeedDeletes+is.NeedFiles == 0
		})
	}
	killAt := func(mb float64) {
		t.Helper()
		rig.Within(t, 5*time.Minute, fmt.Sprintf("%.1f MB come", mb), func() bool { return line.mb() >= mb })
		willow.Kill()
		willow.start()
	}

	began := time.Now()
	killAt(float64(size) / 2e6)
	same("the library comes")
	t.Logf("the first copy took %v", time.Since(began).Round(time.Second))
	rig.Bar(t, library+", killed halfway", "sent again", 100*(line.mb()*1e6/float64(size)-1), 5, "%")

	was := line.mb()
	for k := range 10 { // five have padding enough for their new tags, in five the sound moves
		path := filepath.Join(from, names[k*10])
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head := tags("another title of " + names[k*10])
		if k >= 5 {
			head = append(head, make([]byte, 4<<10)...)
		}
		if err := os.WriteFile(path, append(head, b[8<<10:]...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for k := range 20 {
		old := names[k*10+5]
		path := filepath.Join(from, "Moved", filepath.Base(old))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Rename(filepath.Join(from, old), path)); err != nil {
			t.Fatal(err)
		}
	}
	curator.rest(http.MethodPost, "/rest/db/scan?folder=library", nil, nil)
	killAt(was + 0.3)
	same("the change comes")
	rig.Bar(t, library+", 10 retagged, 20 moved, killed once", "received", line.mb()-was, 30, "MB")

	d := holdRoom(t, "syncthing: {url: "+willow.url+", key_file: syncthing.key}\n")
	if err := os.WriteFile(filepath.Join(d.data, "syncthing.key"), []byte(willow.key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	rig.Eventually(t, "the folder is paused", func() bool { return slices.Equal(willow.paused(), []string{"library"}) })
	<-time.After(2 * time.Second) // until both have agreed on it
	inSession := line.n.Load()
	curator.offers("library", "meanwhile")
	<-time.After(time.Minute)
	const ping = 30 // one in 90 s keeps the connection open
	rig.Bar(t, "a session of a minute, a new file", "received beside a ping", float64(max(0, line.n.Load()-inSession-ping)), 0, "bytes")
	d.do(room.Command{Do: room.Abort})
	same("the new file comes after the session")

	err := filepath.WalkDir(from, func(path string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, path)
		if err != nil || e.IsDir() || strings.HasPrefix(rel, ".") {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		is, err := os.ReadFile(filepath.Join(to, rel))
		if err == nil && !bytes.Equal(is, want) {
			err = fmt.Errorf("%s differs", rel)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSyncthingLosesNoFolder holds the order in which roomd pauses and takes note, against a server that fails at each request in turn: a
// folder that roomd has paused is always noted, and none is resumed that was paused before.
func TestSyncthingLosesNoFolder(t *testing.T) {
	t.Parallel()
	for fails := range 12 {
		s := &syncthing{mine: filepath.Join(t.TempDir(), "syncthing.paused"), keyFile: filepath.Join(t.TempDir(), "key")}
		if err := os.WriteFile(s.keyFile, []byte("k"), 0o600); err != nil {
			t.Fatal(err)
		}
		folders := map[string]bool{"a/b": false, "c": false, "by hand": true}
		n := 0
		s.url = restFake(t, func(id string, paused *bool) (all []folder, status int) {
			n++
			if n-1 == fails {
				return nil, http.StatusInternalServerError
			}
			if paused != nil {
				folders[id] = *paused
			}
			for id, p := range folders {
				all = append(all, folder{id, p})
			}
			return all, http.StatusOK
		})
		noted := func() {
			t.Helper()
			mine, err := s.paused()
			if err != nil {
				t.Fatal(err)
			}
			for id, paused := range folders {
				if known := slices.Contains(mine, id); paused && !known && id != "by hand" || known && id == "by hand" {
					t.Errorf("request %d fails: %s is paused %v, noted %v", fails, id, paused, known)
				}
			}
		}
		for range 3 {
			err := s.pause(t.Context())
			if noted(); err == nil && !(folders["a/b"] && folders["c"]) {
				t.Errorf("request %d fails: not all are paused: %v", fails, folders)
			}
		}
		for range 3 {
			err := s.resume(t.Context())
			if noted(); err == nil && (folders["a/b"] || folders["c"]) {
				t.Errorf("request %d fails: not all go on: %v", fails, folders)
			}
		}
		if want := map[string]bool{"a/b": false, "c": false, "by hand": true}; fmt.Sprint(folders) != fmt.Sprint(want) || isThere(s.mine) {
			t.Errorf("request %d fails: in the end %v, noted %v", fails, folders, isThere(s.mine))
		}
	}
}

// TestSyncthingIsSaidOnce has it fail for long, answer, and fail again.
func TestSyncthingIsSaidOnce(t *testing.T) {
	t.Parallel()
	status := http.StatusInternalServerError
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s := newSyncthing(&room.SyncthingConfig{KeyFile: key, URL: restFake(t, func(string, *bool) ([]folder, int) { return nil, status })}, t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)))
	for k, answers := range []bool{false, false, false, true, true, false, false} {
		if status = http.StatusInternalServerError; answers {
			status = http.StatusOK
		}
		s.set(t.Context(), true)
		if good := s.look(t.Context()).State == doctor.OK; good != answers {
			t.Errorf("time %d: the doctor says %v", k, good)
		}
		want := 1
		if k > 4 {
			want = 2
		}
		if n := strings.Count(log.String(), "\n"); n != want {
			t.Errorf("time %d: %d lines: %s", k, n, &log)
		}
	}
}

// TestSyncthingIsTakenOut has the room file forget a Syncthing whose folders roomd has paused.
func TestSyncthingIsTakenOut(t *testing.T) {
	data := t.TempDir()
	var log strings.Builder
	to := slog.New(slog.NewTextHandler(&log, nil))
	if s := newSyncthing(nil, data, to); s != nil || log.Len() > 0 {
		t.Errorf("%v %s", s, &log)
	}
	if err := os.WriteFile(filepath.Join(data, "syncthing.paused"), []byte(`["library"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := newSyncthing(nil, data, to); s != nil || !strings.Contains(log.String(), "stay paused") || !strings.Contains(log.String(), "library") {
		t.Errorf("%v %s", s, &log)
	}
}

// restFake answers as Syncthing's REST API does about folders. do gets the folder and what it becomes; nil: it is only looked at.
func restFake(t *testing.T, do func(id string, paused *bool) ([]folder, int)) (url string) {
	t.Helper()
	answer := func(w http.ResponseWriter, r *http.Request) {
		var change struct{ Paused *bool }
		if r.Method == http.MethodPatch {
			if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
				t.Error(err)
			}
		}
		all, status := do(r.PathValue("id"), change.Paused)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(all)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /rest/config/folders", answer)
	mux.HandleFunc("PATCH /rest/config/folders/{id}", answer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
