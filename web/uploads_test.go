package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
)

// music is so many random bytes.
func music(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// tus sends one request of the protocol.
func (h *house) tus(t testing.TB, method, url string, body io.Reader, head ...string) (status int, answer string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"Authorization": "Bearer " + h.token, "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"} {
		req.Header.Set(k, v)
	}
	for k := 0; k+1 < len(head); k += 2 {
		req.Header.Set(head[k], head[k+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header
}

// begin begins an upload and returns its address.
func (h *house) begin(t testing.TB, folder, name string, size int) (at string, status int, answer string) {
	t.Helper()
	in := base64.StdEncoding.EncodeToString
	status, answer, header := h.tus(t, "POST", h.URL+"/api/v1/uploads", nil, "Upload-Length", strconv.Itoa(size),
		"Upload-Metadata", "filename "+in([]byte(name))+",folder "+in([]byte(folder)))
	return header.Get("Location"), status, answer
}

// offset is how much of an upload has come, once no request holds it any more.
func (h *house) offset(t testing.TB, at string) int {
	t.Helper()
	status, answer, header := h.tus(t, "HEAD", at, nil)
	n, err := strconv.Atoi(header.Get("Upload-Offset"))
	if status != http.StatusOK || err != nil {
		t.Fatalf("HEAD: %d %s %v", status, answer, err)
	}
	return n
}

// came waits until so much of an upload is in the uploads folder.
func (h *house) came(t testing.TB, at string, size int) {
	t.Helper()
	rig.Eventually(t, "the bytes that were sent have come", func() bool {
		info, err := os.Stat(filepath.Join(h.uploads, filepath.Base(at)))
		return err == nil && info.Size() >= int64(size)
	})
}

// files are all files in a folder and below.
func files(t testing.TB, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, strings.TrimPrefix(p, dir+"/"))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

// cut is a body that calls then after so many bytes, and goes on with what that returns.
type cut struct {
	from  io.Reader
	after int
	then  func() error
}

func (c *cut) Read(p []byte) (int, error) {
	if c.after == 0 {
		c.after = -1
		if err := c.then(); err != nil {
			return 0, err
		}
	}
	if c.after > 0 {
		p = p[:min(len(p), c.after)]
	}
	n, err := c.from.Read(p)
	c.after -= max(0, min(n, c.after))
	return n, err
}

// TestUploadCutThreeTimes cuts an upload at half of what is left, three times, once by a server that ends. It ends whole.
func TestUploadCutThreeTimes(t *testing.T) {
	h := open(t)
	h.room.rest(true)
	want := music(6 << 20)
	at, status, answer := h.begin(t, "music", "a.mp3", len(want))
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	have := 0
	for n := range 3 {
		half := (len(want) - have) / 2
		status, _, _ := h.tus(t, "PATCH", at, &cut{bytes.NewReader(want[have:]), half, func() error {
			h.came(t, at, have+half-64<<10)
			return io.ErrUnexpectedEOF
		}}, "Upload-Offset", strconv.Itoa(have))
		if status != 0 {
			t.Fatalf("cut %d: %d", n, status)
		}
		if n == 1 {
			path := strings.TrimPrefix(at, h.URL)
			h.Server.Close()
			h.serve(t)
			at = h.URL + path
		}
		got := h.offset(t, at)
		if got < have+half-64<<10 || got > have+half {
			t.Fatalf("cut %d after %d of %d bytes: %d have come", n, have+half, len(want), got)
		}
		have = got
	}
	status, answer, _ = h.tus(t, "PATCH", at, bytes.NewReader(want[have:]), "Upload-Offset", strconv.Itoa(have))
	if status != http.StatusOK || answer != `{"file":"music/a.mp3","there":false}`+"\n" {
		t.Fatalf("%d %s", status, answer)
	}
	got, err := os.ReadFile(filepath.Join(h.playlists, "music", "a.mp3"))
	if err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("%d bytes are shelved, not those that were sent; %v", len(got), err)
	}
	if left := files(t, h.uploads); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestUploadFillsTheDisk has something else fill the disk in the middle of an upload.
func TestUploadFillsTheDisk(t *testing.T) {
	disk := rig.NewDisk(t, 16<<10)
	h := open(t)
	h.room.rest(true)
	h.Server.Close()
	h.playlists, h.uploads = filepath.Join(disk.Dir, "playlists"), filepath.Join(disk.Dir, "uploads")
	h.serve(t)
	if _, status, answer := h.begin(t, "", "a.mp3", 16<<20); status != http.StatusInsufficientStorage || !strings.Contains(answer, "16 MB needed") {
		t.Errorf("more than the disk holds: %d %s", status, answer)
	}
	want := music(8 << 20)
	at, status, answer := h.begin(t, "", "a.mp3", len(want))
	if status != http.StatusCreated {
		t.Fatalf("%d %s", status, answer)
	}
	full := make(chan struct{})
	status, answer, _ = h.tus(t, "PATCH", at, &cut{bytes.NewReader(want), 2 << 20, func() error { disk.Fill(); close(full); return nil }}, "Upload-Offset", "0")
	<-full // the answer may come before
	// Where the server has not begun before the disk is filled, it says so at the beginning.
	if status != 0 && (status != http.StatusInsufficientStorage || !strings.Contains(answer, "disk is full") && !strings.Contains(answer, "too little space")) {
		t.Errorf("%d %s", status, answer)
	}
	rig.Eventually(t, "nothing is left behind", func() bool { return len(files(t, h.uploads))+len(files(t, h.playlists)) == 0 })
	disk.Free()
	// What was removed is free once the upload that broke off has closed it.
	rig.Eventually(t, "there is space again", func() bool { at, status, _ = h.begin(t, "", "a.mp3", len(want)); return status == http.StatusCreated })
	if status, answer, _ := h.tus(t, "PATCH", at, bytes.NewReader(want), "Upload-Offset", "0"); status != http.StatusOK {
		t.Errorf("with space again: %d %s", status, answer)
	}
	disk.Fill()
	if _, status, answer := h.begin(t, "", "a.mp3", 1<<20); status != http.StatusInsufficientStorage || !strings.Contains(answer, "too little space") {
		t.Errorf("on a full disk: %d %s", status, answer)
	}
}

// TestUploadWaitsForASession starts a session in the middle of an upload.
func TestUploadWaitsForASession(t *testing.T) {
	h := open(t)
	h.room.rest(true)
	want := music(64 << 20)
	at, _, _ := h.begin(t, "", "a.mp3", len(want))
	status, answer, _ := h.tus(t, "PATCH", at, &cut{bytes.NewReader(want), 1 << 20, func() error { h.came(t, at, 512<<10); h.room.rest(false); return nil }}, "Upload-Offset", "0")
	if status != 0 && status != http.StatusLocked {
		t.Fatalf("an upload in a session: %d %s", status, answer)
	}
	for _, m := range []string{"HEAD", "PATCH"} {
		if status, answer, _ := h.tus(t, m, at, nil, "Upload-Offset", "0"); status != http.StatusLocked || m == "PATCH" && !strings.Contains(answer, "A session is running.") {
			t.Errorf("%s in a session: %d %s", m, status, answer)
		}
	}
	h.room.rest(true)
	have := h.offset(t, at)
	if have == 0 || have == len(want) {
		t.Errorf("%d bytes have come", have)
	}
	if status, answer, _ = h.tus(t, "PATCH", at, bytes.NewReader(want[have:]), "Upload-Offset", strconv.Itoa(have)); status != http.StatusOK {
		t.Fatalf("after the session: %d %s", status, answer)
	}
	if got, err := os.ReadFile(filepath.Join(h.playlists, "a.mp3")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Whatever name an upload gives, nothing is written but what belongs into the playlists folder, and nowhere else.
func TestUploadNames(t *testing.T) {
	h := open(t)
	h.room.rest(true)
	for _, c := range [][2]string{{"", "../a.mp3"}, {"..", "a.mp3"}, {"/tmp", "a.mp3"}, {"", "/tmp/a.mp3"}, {"", ".a.mp3"}, {"", "a\n.mp3"}, {"", "room.yaml"}, {"", "a.zip"}, {"", ""}} {
		if _, status, answer := h.begin(t, c[0], c[1], 10); status != http.StatusUnprocessableEntity || !strings.HasPrefix(answer, `{"reason":`) {
			t.Errorf("%q in %q: %d %s", c[1], c[0], status, answer)
		}
	}
	if _, status, _ := h.begin(t, "", "a.mp3", 0); status != http.StatusUnprocessableEntity {
		t.Errorf("an empty file: %d", status)
	}
	if left := append(files(t, h.uploads), files(t, h.playlists)...); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	// An id can't name a file elsewhere.
	secret := filepath.Join(filepath.Dir(h.uploads), "x")
	for _, name := range []string{secret, secret + ".info"} {
		if err := os.WriteFile(name, []byte(`{"ID":"../x","Size":9}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"..%2fx", "..%2Fx", "%2e%2e%2fx"} {
		if status, answer, _ := h.tus(t, "DELETE", h.URL+"/api/v1/uploads/"+id, nil); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", id, status, answer)
		}
	}
	if _, err := os.Stat(secret); err != nil {
		t.Error(err)
	}
}

// TestUploadsFromBefore starts a server on what an earlier one left.
func TestUploadsFromBefore(t *testing.T) {
	h := open(t)
	h.room.rest(true)
	ids := map[string]string{}
	for _, name := range []string{"whole.mp3", "half.mp3", "old.mp3"} {
		at, _, _ := h.begin(t, "", name, 10)
		ids[name] = filepath.Join(h.uploads, filepath.Base(at))
		if err := os.WriteFile(ids[name], bytes.Repeat([]byte("x"), map[string]int{"whole.mp3": 10}[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.Server.Close()
	long := time.Now().Add(-uploadKept - time.Hour)
	if err := os.Chtimes(ids["old.mp3"], long, long); err != nil {
		t.Fatal(err)
	}
	h.serve(t)
	if have := files(t, h.playlists); len(have) != 1 || have[0] != "whole.mp3" {
		t.Errorf("shelved: %v", have)
	}
	if have := files(t, h.uploads); len(have) != 2 || filepath.Join(h.uploads, have[0]) != ids["half.mp3"] {
		t.Errorf("kept: %v", have)
	}
}

// TestUnfinishedUploads begins more than a room keeps: those that somebody still sends stay, the oldest of the others end.
func TestUnfinishedUploads(t *testing.T) {
	h := open(t)
	h.room.rest(true)
	var all []string
	for k := range unfinishedCount {
		at, status, answer := h.begin(t, "", fmt.Sprintf("%d.mp3", k), 10)
		if status != http.StatusCreated {
			t.Fatalf("upload %d: %d %s", k, status, answer)
		}
		all = append(all, filepath.Base(at))
	}
	if _, status, answer := h.begin(t, "", "more.mp3", 10); status != http.StatusInsufficientStorage || !strings.Contains(answer, "Too many uploads are unfinished") {
		t.Errorf("one more while all are fresh: %d %s", status, answer)
	}
	old := func(id string, by time.Duration) {
		t.Helper()
		at := time.Now().Add(-by)
		if err := os.Chtimes(filepath.Join(h.uploads, id), at, at); err != nil {
			t.Fatal(err)
		}
	}
	old(all[7], 3*time.Hour)
	old(all[9], 2*time.Hour)
	there := func(id string) bool {
		_, err := os.Stat(filepath.Join(h.uploads, id+".info"))
		return err == nil
	}
	if _, status, answer := h.begin(t, "", "more.mp3", 10); status != http.StatusCreated || there(all[7]) || !there(all[9]) {
		t.Errorf("one more where two are old: %d %s; the oldest is there: %v, the other: %v", status, answer, there(all[7]), there(all[9]))
	}
	// By bytes: what they are to have counts, since that is what they will take.
	note := filepath.Join(h.uploads, all[20]+".info")
	b, err := os.ReadFile(note)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(note, bytes.Replace(b, []byte(`"Size":10`), fmt.Appendf(nil, `"Size":%d`, int64(unfinishedBytes)), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	old(all[9], time.Minute)
	old(all[8], 2*time.Hour)
	if _, status, _ := h.begin(t, "", "again.mp3", 10); status != http.StatusInsufficientStorage {
		t.Errorf("beside a very large one that is being sent: %d", status)
	}
	old(all[20], 4*time.Hour)
	if _, status, answer := h.begin(t, "", "again.mp3", 10); status != http.StatusCreated || there(all[20]) {
		t.Errorf("beside a very large one that nobody sends: %d %s", status, answer)
	}
}
