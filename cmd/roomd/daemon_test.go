package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roomd/player/decode"
	"roomd/rig"
	"roomd/room"
)

// binaryDir is where the roomd is that the tests run.
var binaryDir string

func TestMain(m *testing.M) {
	decode.Child()
	var err error
	if binaryDir, err = os.MkdirTemp("", "roomd"); err != nil {
		panic(err)
	}
	rig.SideBySide()
	code := m.Run()
	os.RemoveAll(binaryDir)
	os.Exit(code)
}

// theBinary is the path of the roomd that the tests run: the real one, built once.
func theBinary(t testing.TB) string {
	t.Helper()
	rig.Apart(t)
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds it. go test keeps a result for as long as nothing changes that the tests have linked or looked at: so they
// look at what the binary is made of.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaryDir, "roomd")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build roomd: %w\n%s", err, out)
	}
	for _, part := range []string{".", "../../player", "../../playlists", "../../room", "../../web"} {
		_ = filepath.WalkDir(part, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() && slices.Contains([]string{"node_modules", "e2e", "src"}, e.Name()) {
				return fs.SkipDir
			}
			_, err = os.Stat(path)
			return err
		})
	}
	return path, nil
})

// daemon is a roomd in a folder of its own.
type daemon struct {
	*rig.Process
	t     testing.TB
	dir   string // its log, and its data unless that is elsewhere
	data  string
	addr  string
	token string
	env   []string
	runs  int
	began time.Time // when the process was started
	// What the program is started by; nothing: by itself.
	inside  []string
	listen  string // if not addr
	program string // if not theBinary
}

// newDaemon lays out a room: files are written below its data folder, by name.
func newDaemon(t testing.TB, env []string, files map[string]string) *daemon {
	t.Helper()
	return daemonIn(t, t.TempDir(), env, files)
}

// daemonIn does so in a folder that is there.
func daemonIn(t testing.TB, dir string, env []string, files map[string]string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: dir, env: env, addr: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))}
	d.data = d.dir
	for name, text := range files {
		path := filepath.Join(d.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.token = createToken(t, theBinary(t), nil, "test", d.dir)
	return d
}

// createToken creates a therapist's token with a given roomd.
func createToken(t testing.TB, program string, env []string, name, data string) string {
	t.Helper()
	code, out, bad := runRoomd(t, program, env, "token", "create", name, "--data", data)
	if code != exitOK {
		t.Fatalf("token: %s", bad)
	}
	return strings.TrimSpace(out)
}

// start starts the daemon and waits until it answers.
func (d *daemon) start() {
	d.t.Helper()
	d.runs++
	log := filepath.Join(d.dir, "log", fmt.Sprint(d.runs))
	if err := os.MkdirAll(log, 0o755); err != nil {
		d.t.Fatal(err)
	}
	d.began = time.Now()
	words := append(append([]string{}, d.inside...), cmp.Or(d.program, theBinary(d.t)), "serve", "--data", d.data, "--listen", cmp.Or(d.listen, d.addr))
	d.Process = rig.Run(d.t, log, words[0], d.env, words[1:]...)
	defer func() {
		if d.t.Failed() {
			_ = d.Signal(syscall.SIGQUIT) // it tells where it hangs
			time.Sleep(300 * time.Millisecond)
			d.t.Logf("the daemon's log:\n%s", d.log())
		}
	}()
	rig.Eventually(d.t, "the daemon answers", func() bool {
		select {
		case <-d.Done():
			d.t.Fatalf("the daemon ended:\n%s", d.log())
		default:
		}
		resp, err := http.Get("http://" + d.addr + "/healthz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

// log is what the present process has logged.
func (d *daemon) log() string {
	program := "roomd"
	if len(d.inside) > 0 {
		program = d.inside[0]
	}
	b, _ := os.ReadFile(filepath.Join(d.dir, "log", fmt.Sprint(d.runs), program+".log"))
	return string(b)
}

// peak is the most memory that the process has had resident, in MiB.
func (d *daemon) peak() (mib float64) {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.Process.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, l := range lines(string(status)) {
		if f := strings.Fields(l); f[0] == "VmHWM:" {
			fmt.Sscan(f[1], &mib)
		}
	}
	return mib / 1024
}

// get reads JSON from a route.
func (d *daemon) get(path string, into any) {
	d.t.Helper()
	req, _ := http.NewRequest(http.MethodGet, "http://"+d.addr+path, nil)
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatalf("GET %s: %v\n%s", path, err, d.log())
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		d.t.Fatalf("GET %s: %s %s", path, resp.Status, b)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		d.t.Fatalf("GET %s: %v", path, err)
	}
}

func (d *daemon) snapshot() room.Snapshot {
	d.t.Helper()
	var s room.Snapshot
	d.get("/api/v1/state", &s)
	return s
}

// peek is a snapshot of a room that may be on its way up or down.
func (d *daemon) peek() (s room.Snapshot, err error) {
	req, _ := http.NewRequest(http.MethodGet, "http://"+d.addr+"/api/v1/state", nil)
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// post sends a command; err is the transport's.
func (d *daemon) post(c room.Command) (status int, body string, err error) {
	b, _ := json.Marshal(c)
	req, _ := http.NewRequest(http.MethodPost, "http://"+d.addr+"/api/v1/commands", bytes.NewReader(b))
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(out), err
}

// do sends a command that has to be done.
func (d *daemon) do(c room.Command) {
	d.t.Helper()
	if c.ID == "" {
		c.ID = room.NewID()
	}
	status, body, err := d.post(c)
	if err != nil || status != http.StatusOK {
		d.t.Fatalf("%s: %d %s %v\n%s", c.Do, status, body, err, d.log())
	}
}

// ready waits until a playlist can be started and all its tracks have been measured.
func (d *daemon) ready(id string) {
	d.t.Helper()
	var last []string
	defer func() {
		if d.t.Failed() {
			d.t.Logf("%s: %v", id, last)
		}
	}()
	rig.Eventually(d.t, "the playlist is ready and measured", func() bool {
		var list []room.PlaylistView
		d.get("/api/v1/playlists", &list)
		time.Sleep(50 * time.Millisecond)
		for _, p := range list {
			if p.ID == id {
				last = p.Warnings
				// That a phase is shorter than its music is no matter of measuring.
				return p.Ready && !slices.ContainsFunc(p.Warnings, func(w string) bool { return !strings.Contains(w, "not reached") })
			}
		}
		return false
	})
}

// tablet is a websocket client that keeps what it was told.
type tablet struct {
	conn *websocket.Conn
	mu   sync.Mutex
	seen []heard
	done chan struct{}
}

type heard struct {
	at   time.Time
	snap room.Snapshot
}

// tablet connects as a paired tablet does.
func (d *daemon) tablet() *tablet {
	d.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+d.addr+"/ws", http.Header{
		"Authorization": {"Bearer " + d.token}, "Origin": {"http://" + d.addr},
	})
	if err != nil {
		d.t.Fatalf("websocket: %v", err)
	}
	tb := &tablet{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(tb.done)
		for {
			_, msg, err := conn.ReadMessage()
			at := time.Now()
			if err != nil {
				return
			}
			var s struct {
				Type string `json:"type"`
				room.Snapshot
			}
			if json.Unmarshal(msg, &s) == nil && s.Type == "snapshot" {
				tb.mu.Lock()
				tb.seen = append(tb.seen, heard{at, s.Snapshot})
				tb.mu.Unlock()
			}
		}
	}()
	d.t.Cleanup(func() { conn.Close(); <-tb.done })
	return tb
}

func (tb *tablet) all() []heard {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return append([]heard{}, tb.seen...)
}

// music makes audio files with ffmpeg: each a tone of its own frequency, at a level, for a number of seconds.
func music(t testing.TB, dir string, tones map[string]tone) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tn := range tones {
		out, err := exec.Command("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
			fmt.Sprintf("sine=frequency=%g:sample_rate=44100:duration=%g,volume=%gdB,aformat=channel_layouts=stereo", tn.hz, tn.seconds, tn.db),
			filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("ffmpeg %s: %v\n%s", name, err, out)
		}
	}
}

type tone struct{ hz, seconds, db float64 }

// roomd runs the program with a command line, and returns its exit code and what it printed.
func roomd(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runRoomd(t, theBinary(t), env, args...)
}

// runRoomd is roomd with a given program.
func runRoomd(t testing.TB, program string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	cmd.Env = append(os.Environ(), env...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !asExit(err, &exit) {
		t.Fatalf("roomd %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

func asExit(err error, into **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*into = e
	return ok
}

// lines scans text line by line.
func lines(s string) []string {
	var out []string
	for sc := bufio.NewScanner(strings.NewReader(s)); sc.Scan(); {
		out = append(out, sc.Text())
	}
	return out
}

// terminate ends the daemon as systemd would, and returns how long it took.
func (d *daemon) terminate(ctx context.Context) time.Duration {
	d.t.Helper()
	at := time.Now()
	if err := d.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.Done():
	case <-ctx.Done():
		d.t.Fatal("the daemon does not end")
	}
	return time.Since(at)
}
