package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"roomd/room"
	"roomd/web"
)

const (
	socketName = "roomd.sock"
	packageRun = "/run/roomd" // systemd makes it for the package's room; the group roomd may enter it
	maxCallers = 32           // connections to one socket at once
	lineTime   = 2 * time.Minute
)

// groupLines are the commands that the running room executes for a member of the group roomd. None of them prints a note, a name, a
// password or a code, and none lets a device in: a paired device reads everything.
var groupLines = []string{"doctor", "doctor --json", "lights", "lights --json", "report -"}

// socketFolders are where the running room listens for commands: in its data folder, which is its user's alone, and under systemd
// also where the group may go.
func (c *call) socketFolders() []string {
	dirs := []string{c.data}
	if dir := c.env("RUNTIME_DIRECTORY"); dir != "" {
		dirs = append(dirs, dir)
	} else if c.data == packageData {
		dirs = append(dirs, packageRun)
	}
	return dirs
}

// inFolder calls do with the path of the socket in a folder. On Linux the path leads through the open folder: a socket's path may have
// 107 bytes only.
func inFolder[T any](dir string, do func(path string) (T, error)) (T, error) {
	if runtime.GOOS != "linux" {
		return do(filepath.Join(dir, socketName))
	}
	f, err := os.Open(dir)
	if err != nil {
		return *new(T), err
	}
	defer f.Close()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", f.Fd(), socketName))
}

// callers serves the commands that reach a running room by its sockets.
type callers struct {
	call     *call
	snapshot func() room.Snapshot
	page     http.Handler
	tokens   *web.Tokens
	listen   string     // address of the page over http
	certs    *web.Certs // nil: there is no https
	one      sync.Mutex // one line of the group's at a time
}

// callerKey is where a connection's context says that the room's own user, or root, made it.
type callerKey struct{}

// open listens in each of the room's folders and returns what serves them until a context ends. A folder that takes no socket is logged.
func (s *callers) open(h *house) (serve func(context.Context) error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /run", s.run)
	mux.HandleFunc("GET /in-session", s.inSession)
	mux.HandleFunc("POST /pair", s.own(s.pair))
	mux.HandleFunc("/", s.own(func(w http.ResponseWriter, r *http.Request) {
		s.page.ServeHTTP(w, r.WithContext(web.AsTherapist(r.Context())))
	}))
	var servers []func(context.Context)
	for _, dir := range s.call.socketFolders() {
		l, err := inFolder(dir, func(path string) (net.Listener, error) { return listenAt(path, dir == s.call.data) })
		if err != nil {
			h.log.Warn("no command reaches the running room by this folder", "folder", dir, "err", err)
			continue
		}
		var open atomic.Int32
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
			ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
				return context.WithValue(ctx, callerKey{}, ownPeer(conn))
			},
			ConnState: func(conn net.Conn, state http.ConnState) {
				switch state {
				case http.StateNew:
					if open.Add(1) > maxCallers {
						conn.Close()
					}
				case http.StateClosed, http.StateHijacked:
					open.Add(-1)
				}
			}}
		server.SetKeepAlivesEnabled(false)
		servers = append(servers, func(ctx context.Context) {
			defer context.AfterFunc(ctx, func() { server.Close() })()
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				h.log.Error("commands don't reach the running room any more", "folder", dir, "err", err)
			}
			_ = os.Remove(filepath.Join(dir, socketName)) // one that stays answers nobody
		})
	}
	return func(ctx context.Context) error {
		var done sync.WaitGroup
		for _, serve := range servers {
			done.Go(func() { serve(ctx) })
		}
		done.Wait()
		return nil
	}
}

// listenAt listens at a path, in place of a socket that a killed roomd has left: this one has the data folder's lock. Another file stays.
func listenAt(path string, private bool) (net.Listener, error) {
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path) // else listening fails
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the path leads elsewhere then
	mode := os.FileMode(0o660)
	if private {
		mode = 0o600
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// own lets the room's user and root pass.
func (s *callers) own(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if own, _ := r.Context().Value(callerKey{}).(bool); !own {
			http.Error(w, "only the room's user may do this", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// invitation is what roomd pair shows.
type invitation struct {
	web.Pairing
	Listen      string // address of the page
	Fingerprint string // of the room's authority; empty: nothing to compare
}

func (s *callers) pair(w http.ResponseWriter, r *http.Request) {
	p, err := s.tokens.Offer(r.Context(), r.FormValue("name"), role(r.FormValue("observer") == "true"), codeTime)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	i := invitation{Pairing: p, Listen: s.listen}
	if s.certs != nil && !s.certs.Own() {
		i.Fingerprint = s.certs.Fingerprint()
	}
	_ = json.NewEncoder(w).Encode(i) // the caller has gone
}

// ran is what a line of the group's printed.
type ran struct {
	Code     int
	Out, Err []byte
}

// run executes one of groupLines in a process of its own, so that no defect in it ends a session.
func (s *callers) run(w http.ResponseWriter, r *http.Request) {
	line := r.FormValue("line")
	if !slices.Contains(groupLines, line) {
		http.Error(w, "not a command for the group", http.StatusForbidden)
		return
	}
	s.one.Lock()
	defer s.one.Unlock()
	ctx, stop := context.WithTimeout(r.Context(), lineTime)
	defer stop()
	var a ran
	var out, bad bytes.Buffer
	err := again(ctx, &call{stdin: strings.NewReader(""), stderr: &bad}, nil, append(strings.Fields(line), s.call.words()...), &out)
	var e ended
	if errors.As(err, &e) {
		a.Code = int(e)
	} else if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	cfg, _, _ := room.LoadConfig(s.call.config) // what the line printed may quote it
	var secret redactor
	secret.learn(cfg)
	if a.Out, a.Err = out.Bytes(), secret.clean(bad.Bytes()); !strings.HasPrefix(line, "report") {
		a.Out = secret.clean(a.Out) // a report is clean, and packed
	}
	_ = json.NewEncoder(w).Encode(a) // the caller has gone
}

// errNoSocket: no roomd listens, or not to this user.
var errNoSocket = errors.New("no command reaches it")

// dial connects to the room that runs on the data folder. It returns errNoSocket.
func (c *call) dial(ctx context.Context) (conn net.Conn, err error) {
	errs := []error{errNoSocket}
	for _, dir := range c.socketFolders() {
		conn, err := inFolder(dir, func(path string) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "unix", path) })
		if err == nil {
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", dir, err))
	}
	return nil, errors.Join(errs...)
}

// ask sends a request to the room that runs on the data folder, for so long at most.
func (c *call) ask(ctx context.Context, method, path string, limit time.Duration) ([]byte, error) {
	return c.send(ctx, method, path, http.NoBody, limit)
}

// send is ask with a body in JSON.
func (c *call) send(ctx context.Context, method, path string, body io.Reader, limit time.Duration) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	by := http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }}
	defer by.CloseIdleConnections()
	resp, err := by.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(answer)))
	}
	return answer, err
}

// member is a user who may not enter the data folder and has the running room execute a line of groupLines.
type member struct{ line string }

func (m member) Error() string { return "the running room executes " + m.line }

// asMember is the line that the running room would execute in a command's place. It has no options but --json.
func (c *call) asMember(ctx context.Context, cmd *cobra.Command, words []string, named settings) (m member, is bool) {
	m.line = strings.TrimPrefix(cmd.CommandPath(), "roomd ")
	if m.line == "report" {
		m.line += " -"
	} else if len(words) > 0 {
		return m, false
	}
	if f := cmd.Flags().Lookup("json"); f != nil && f.Value.String() == "true" {
		m.line += " --json"
	}
	if !slices.Contains(groupLines, m.line) || named.config+named.playlists+named.listen != "" {
		return m, false
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return m, false
	}
	return m, conn.Close() == nil
}

// again has the running room execute the line; the arguments stand in it already.
func (m member) again(ctx context.Context, c *call, _ []string, stdout io.Writer, _ ...*os.File) error {
	answer, err := c.ask(ctx, http.MethodPost, "/run?line="+url.QueryEscape(m.line), lineTime+time.Minute)
	if err != nil {
		return err
	}
	var a ran
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	_, bad := c.stderr.Write(a.Err)
	_, err = stdout.Write(a.Out)
	if err = errors.Join(err, bad); err == nil && a.Code != exitOK {
		return ended(a.Code)
	}
	return err
}
