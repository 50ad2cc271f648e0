package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/clinic"
	"roomd/web"
)

// hub is a real roomd desk, and a device that may add rooms.
type hub struct {
	*rig.Process
	t            *testing.T
	data         string
	page, broker string
	token        string
	runs         int
	by           *http.Client
	program      string
	env, words   []string
}

func newHub(t *testing.T) *hub {
	t.Helper()
	return startHub(t, theBinary(t), nil)
}

// startHub starts a desk with a given roomd and further arguments.
func startHub(t *testing.T, program string, env []string, words ...string) *hub {
	t.Helper()
	h := &hub{t: t, program: program, env: env, words: words, data: t.TempDir(), page: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), broker: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)),
		by: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}}
	h.token = createToken(t, program, env, "page", h.data)
	h.start()
	return h
}

func (h *hub) start() {
	h.t.Helper()
	h.runs++
	log := filepath.Join(h.data, fmt.Sprintf("log%d", h.runs))
	if err := os.Mkdir(log, 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.Process = rig.Run(h.t, log, h.program, h.env, append([]string{"desk", "--name", "North clinic", "--data", h.data, "--listen", h.page, "--mqtt", h.broker}, h.words...)...)
	rig.Eventually(h.t, "the desk answers", func() bool {
		_, err := h.ask(http.MethodGet, "/api/v1/desk", nil, nil)
		return err == nil
	})
}

func (h *hub) ask(method, path string, in, out any) (status int, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, "https://"+h.page+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.by.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if out != nil {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	return resp.StatusCode, err
}

// offer lets one room in.
func (h *hub) offer() (code, link string) {
	h.t.Helper()
	var o struct{ Code, Link string }
	if status, err := h.ask(http.MethodPost, "/api/v1/desk/offers", map[string]string{"house": "East"}, &o); err != nil || status != http.StatusOK || o.Code == "" {
		h.t.Fatal(status, err)
	}
	return o.Code, o.Link
}

// deskRoom is a room as the desk's page has it.
type deskRoom struct {
	ID, Name, House, Version, Stage string
	Library                         clinic.Library
	Reached                         bool
	Held                            bool
	EndsMS                          int64 `json:"ends_ms"`
	now                             int64
}

// room is the first room that the desk shows.
func (h *hub) room() (r deskRoom, ok bool) {
	ctx, stop := context.WithTimeout(h.t.Context(), 5*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.page+"/api/v1/desk/rooms", nil)
	if err != nil {
		return r, false
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	resp, err := h.by.Do(req)
	if err != nil {
		return r, false
	}
	defer resp.Body.Close()
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return r, false
		}
		if text, is := strings.CutPrefix(line, "data: "); is {
			var e struct {
				NowMS int64 `json:"now_ms"`
				Rooms []deskRoom
			}
			if json.Unmarshal([]byte(text), &e) != nil || len(e.Rooms) == 0 {
				return r, false
			}
			e.Rooms[0].now = e.NowMS
			return e.Rooms[0], true
		}
	}
}

func (h *hub) shows(what string, ok func(r deskRoom) bool) {
	h.t.Helper()
	var last deskRoom
	defer func() {
		if h.t.Failed() {
			h.t.Logf("%s: the desk shows %+v", what, last)
		}
	}()
	rig.Eventually(h.t, what, func() bool {
		r, there := h.room()
		last = r
		return there && ok(r)
	})
}

func (d *daemon) clinic() (v web.ClinicView) {
	d.t.Helper()
	d.get("/api/v1/clinic", &v)
	return v
}

func (d *daemon) reach(want clinic.Reach) {
	d.t.Helper()
	rig.Eventually(d.t, "the room's page says "+string(want), func() bool { return d.clinic().Reach == string(want) })
}

// clinicRoom is a room that plays nothing.
func clinicRoom(t *testing.T) *daemon {
	return newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\naudio: {output: none}\nlights: {ambient: {driver: simulated}}\n",
		"playlists/evening.yaml": "name: Evening\nphases:\n  - {name: A, stage: preparation, length: 20m, music: [{bed: rain}]}\n  - {name: B, stage: administration, length: 10m, music: [{bed: rain}]}\n"})
}

// unwell are the room's problems and degraded parts.
func unwell(s room.Snapshot) (out []string) {
	for _, p := range s.Problems {
		out = append(out, p.Code)
	}
	for _, p := range s.Parts {
		if p.State != room.Working {
			out = append(out, p.Part)
		}
	}
	return out
}

// TestClinic joins a real desk during a session, and leaves it: the session does not notice, the desk shows the room, neither a backup
// nor a report has the room's secret, and a room that has left is as one that never joined.
func TestClinic(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	d := clinicRoom(t)
	d.start()
	if v := d.clinic(); v.Joined || v.Reach != "" {
		t.Errorf("a fresh room: %+v", v)
	}
	if strings.Contains(d.log(), "clinic") || strings.Contains(d.log(), "desk") {
		t.Errorf("a room that never joined logs\n%s", d.log())
	}
	h := newHub(t)
	d.ready("evening")
	well := unwell(d.snapshot())
	tablet := d.tablet()
	d.do(room.Command{Do: room.Start, Playlist: "evening"})

	_, link := h.offer()
	link = "https://" + h.page + link[strings.Index(link, "/join#"):]
	if code, _, bad := roomd(t, nil, "desk", "join", h.page, "ABCD", "--data", d.data); code != exitError || !strings.Contains(bad, "not a code") {
		t.Errorf("a wrong code: %d %s", code, bad)
	}
	if code, out, bad := roomd(t, nil, "desk", "join", link, "--data", d.data); code != exitOK || !strings.Contains(out, "North clinic") {
		t.Fatalf("join: %d %s %s", code, out, bad)
	}
	d.reach(clinic.Reached)
	if v := d.clinic(); v.Name != "North clinic" || !v.Joined || v.Fixed {
		t.Errorf("%+v", v)
	}
	h.shows("the session", func(r deskRoom) bool {
		left := r.EndsMS - r.now
		return r.Reached && r.Name == "Willow" && r.House == "East" && r.Stage == "preparation" && left > (29*time.Minute).Milliseconds() && left < (30*time.Minute).Milliseconds()
	})
	if r, _ := h.room(); r.Library.Revision != "" {
		t.Error("the library was read in a session")
	}
	if code, _, bad := roomd(t, nil, "desk", "join", link, "--data", d.data); code != exitError || !strings.Contains(bad, "no longer takes this code") {
		t.Errorf("a used code: %d %s", code, bad)
	}
	d.do(room.Command{Do: room.Hold})
	h.shows("held", func(r deskRoom) bool { return r.Held })

	// Over a crash the room is in the clinic and in its session.
	d.Kill()
	h.shows("not reached", func(r deskRoom) bool { return !r.Reached })
	d.start()
	d.reach(clinic.Reached)
	h.shows("the session again", func(r deskRoom) bool { return r.Reached && r.Stage == "preparation" })

	// The secret is in one file, which only the room's user reads.
	text, err := os.ReadFile(clinicIn(d.data))
	if err != nil {
		t.Fatal(err)
	}
	var m clinic.Membership
	if err := json.Unmarshal(text, &m); err != nil || m.Secret == "" {
		t.Fatal(err)
	}
	if st, err := os.Stat(clinicIn(d.data)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	packed, err := exec.CommandContext(t.Context(), theBinary(t), "backup", "-", "--data", d.data).Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range inBackup(t, packed) {
		if name == "clinic.json" || strings.Contains(text, m.Secret) {
			t.Errorf("a backup has the room's place in the clinic, in %s", name)
		}
	}
	report, err := exec.CommandContext(t.Context(), theBinary(t), "report", "-", "--data", d.data).Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range unpacked(t, report) {
		if strings.Contains(text, m.Secret) {
			t.Errorf("%s of a report has the room's secret", name)
		}
	}

	// The desk removes it: it says so, and nothing else does.
	if status, err := h.ask(http.MethodDelete, "/api/v1/desk/rooms/"+m.ID, nil, nil); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	d.reach(clinic.Refused)
	code, _ := h.offer()
	var view web.ClinicView
	if status, body := d.send(http.MethodPost, "/api/v1/clinic/join", map[string]string{"address": h.page, "code": code}); status != http.StatusOK || json.Unmarshal(body, &view) != nil || !view.Joined {
		t.Fatalf("join again: %d %s", status, body)
	}
	d.reach(clinic.Reached)
	d.do(room.Command{Do: room.End})
	rig.Eventually(t, "the session has ended", func() bool { return !d.snapshot().InSession() })
	h.shows("the library", func(r deskRoom) bool {
		return len(r.Library.Revision) == 12 && r.Library.ChangedMS > 0 && r.Stage == ""
	})
	first, _ := h.room()
	if err := os.WriteFile(filepath.Join(d.data, "playlists", "evening.yaml"), []byte("name: Evening 2\nphases: [{name: A, stage: preparation, length: 20m, music: [{bed: rain}]}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "another revision", func() bool {
		r, ok := h.room()
		return ok && r.Library.Revision != first.Library.Revision && r.Library.Revision != ""
	})

	if code, out, bad := roomd(t, nil, "desk", "leave", "--data", d.data); code != exitOK || !strings.Contains(out, "in no clinic") {
		t.Fatalf("leave: %d %s %s", code, out, bad)
	}
	if _, err := os.Stat(clinicIn(d.data)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its file: %v", err)
	}
	if v := d.clinic(); v != (web.ClinicView{}) {
		t.Errorf("left: %+v", v)
	}
	h.shows("it has left", func(r deskRoom) bool { return !r.Reached })
	if code, _, bad := roomd(t, nil, "desk", "leave", "--data", d.data); code != exitOK {
		t.Errorf("leave twice: %s", bad)
	}
	for _, s := range tablet.all() {
		if now := unwell(s.snap); !slices.Equal(now, well) {
			t.Errorf("a tablet was told of %v, before of %v", now, well)
		}
	}
	if now := unwell(d.snapshot()); !slices.Equal(now, well) {
		t.Errorf("%v, before %v", now, well)
	}
	d.Kill()
	if code, _, bad := roomd(t, nil, "desk", "leave", "--data", d.data); code != exitError || !strings.Contains(bad, "start it first") {
		t.Errorf("no room runs: %d %s", code, bad)
	}
}

// TestClinicDeskGone kills and freezes the desk in a session: no tablet learns of it, the room's own page of the clinic says it, and the log has a
// line of it.
func TestClinicDeskGone(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	d, h := clinicRoom(t), newHub(t)
	d.start()
	d.ready("evening")
	code, _ := h.offer()
	if status, body := d.send(http.MethodPost, "/api/v1/clinic/join", map[string]string{"address": h.page, "code": code}); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	h.shows("the session", func(r deskRoom) bool { return r.Reached && r.Stage == "preparation" })
	tablet := d.tablet()
	well := unwell(d.snapshot())
	h.Kill()
	d.reach(clinic.NotReached)
	rig.Eventually(t, "a line in the log", func() bool { return strings.Contains(d.log(), "desk is not reached") })
	d.do(room.Command{Do: room.Hold})
	d.do(room.Command{Do: room.Release})
	h.start()
	d.reach(clinic.Reached)
	h.shows("the session again", func(r deskRoom) bool { return r.Reached && r.Stage == "preparation" })
	if n := strings.Count(d.log(), "desk is not reached"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, d.log())
	}
	// A frozen desk answers nothing and closes nothing.
	if err := h.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.reach(clinic.NotReached)
	d.do(room.Command{Do: room.Hold})
	d.do(room.Command{Do: room.Release})
	if err := h.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	d.reach(clinic.Reached)
	h.shows("the session a third time", func(r deskRoom) bool { return r.Reached && r.Stage == "preparation" })
	if len(tablet.all()) == 0 {
		t.Error("the tablet heard nothing: this test proves nothing")
	}
	for _, s := range tablet.all() {
		if now := unwell(s.snap); !slices.Equal(now, well) {
			t.Errorf("a tablet was told of %v, before of %v", now, well)
		}
	}
	if n := strings.Count(d.log(), "desk is not reached"); n > 2 { // at most one more
		t.Errorf("%d lines in the log:\n%s", n, d.log())
	}
}

// TestClinicOfTheRoomFile tells the clinic's own broker, which the room file names.
func TestClinicOfTheRoomFile(t *testing.T) {
	t.Parallel()
	d := clinicRoom(t)
	text, err := os.ReadFile(filepath.Join(d.data, "room.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	d.writeRoomFile(string(text) + fmt.Sprintf("clinic: {broker: \"mqtts://willow:hush-hush@127.0.0.1:%d\", house: North}\n", rig.FreePort(t)))
	d.start()
	d.reach(clinic.NotReached)
	if v := d.clinic(); !v.Joined || !v.Fixed {
		t.Errorf("%+v", v)
	}
	for _, x := range []struct{ method, path string }{{http.MethodDelete, "/api/v1/clinic"}, {http.MethodPost, "/api/v1/clinic/join"}} {
		status, body := d.send(x.method, x.path, map[string]string{"address": "host", "code": clinic.NewCode(nil).String()})
		if status != http.StatusConflict || !strings.Contains(string(body), "clinic-own") {
			t.Errorf("%s: %d %s", x.path, status, body)
		}
	}
	if now := unwell(d.snapshot()); slices.Contains(now, "broker") {
		t.Errorf("the clinic's broker is a problem of the room: %v", now)
	}
	report, err := exec.CommandContext(t.Context(), theBinary(t), "report", "-", "--data", d.data).Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range unpacked(t, report) {
		if strings.Contains(text, "hush-hush") {
			t.Errorf("%s of a report has the password:\n%s", name, text)
		}
	}
}

// inBackup is what a backup holds, by name.
func inBackup(t *testing.T, packed []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(z); ; {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name] = string(text)
	}
}

// send asks a route with a body.
func (d *daemon) send(method, path string, in any) (status int, body []byte) {
	d.t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, "http://"+d.addr+path, bytes.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, body
}
