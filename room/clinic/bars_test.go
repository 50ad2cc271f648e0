package clinic_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	randv2 "math/rand/v2"
	"net"
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

	"roomd/rig"
	"roomd/room"
	"roomd/room/clinic"
)

// The figures of many rooms at one real desk (make bench-desk, make faults-desk).
var (
	manyRooms = flag.Int("rooms", 1000, "rooms of the desk's bars")
	barTime   = flag.Duration("for", time.Minute, "how long the rooms change in the bars")
	kills     = flag.Int("desk-kills", 3, "how often the desk is killed")
	downTime  = flag.Duration("desk-down", time.Minute, "how long the desk is gone each time")
	cutTime   = flag.Duration("cuts", 2*time.Minute, "how long links are cut at random")
)

// TestMain runs the tests or, as the child of one, a room alone in its process.
func TestMain(m *testing.M) {
	if text := os.Getenv("ROOMD_TEST_ROOM"); text != "" {
		var c childRoom
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		if _, err := clinic.Open(clinic.Options{Broker: c.Broker, Authority: c.Authority, ID: c.ID, Room: newStage(c.ID), Boot: c.ID}); err != nil {
			panic(err)
		}
		select {}
	}
	os.Exit(m.Run())
}

// childRoom is a room in a process of its own.
type childRoom struct {
	Broker, ID string
	Authority  []byte
}

// hub is a real roomd desk.
type hub struct {
	*rig.Process
	t             *testing.T
	program, data string
	page, broker  string   // addresses
	rooms         string   // address that it listens to rooms on
	inside        []string // what runs it in a network of its own
	token         string
	authority     []byte // PEM
	secrets       map[string]string
	runs          int
	links         []*clinic.Link
}

// newHub starts a desk where rooms with these IDs have joined already.
func newHub(t *testing.T, ids []string) *hub {
	t.Helper()
	return newHubIn(t, ids, "127.0.0.1")
}

// newHubIn is newHub at an address, run by the program inside.
func newHubIn(t *testing.T, ids []string, address string, inside ...string) *hub {
	t.Helper()
	h := &hub{t: t, data: t.TempDir(), secrets: map[string]string{}, inside: inside, page: fmt.Sprintf("%s:%d", address, rig.FreePort(t)), broker: fmt.Sprintf("%s:%d", address, rig.FreePort(t))}
	h.rooms = h.broker
	if len(inside) > 0 {
		h.rooms = ":" + h.port()
	}
	h.program = filepath.Join(t.TempDir(), "roomd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", h.program, "roomd/cmd/roomd").CombinedOutput(); err != nil {
		t.Fatalf("build: %v %s", err, out)
	}
	rooms := map[string]any{}
	for _, id := range ids {
		secret := rand.Text()
		sum := sha256.Sum256([]byte(secret))
		h.secrets[id] = secret
		rooms[id] = map[string]string{"name": "Room " + id, "house": "North", "secret": hex.EncodeToString(sum[:]), "joined": "2026-01-01"}
	}
	text, err := json.Marshal(map[string]any{"name": "North", "rooms": rooms})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.data, "desk.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), h.program, "token", "create", "page", "--observer", "--data", h.data).Output()
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	h.token = strings.TrimSpace(string(out))
	h.start()
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, l := range h.links {
			all.Go(l.Close)
		}
		all.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(h.data, "log1", "roomd.log"))
			t.Logf("the desk's first log:\n%s", log)
		}
	})
	h.authority, err = os.ReadFile(filepath.Join(h.data, "tls", "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	h.authority = h.authority[:bytes.Index(h.authority, []byte("-----END CERTIFICATE-----"))+len("-----END CERTIFICATE-----\n")]
	return h
}

// port is the broker's.
func (h *hub) port() string { return h.broker[strings.LastIndexByte(h.broker, ':')+1:] }

// start runs the desk and returns once it listens to rooms.
func (h *hub) start() {
	h.t.Helper()
	h.runs++
	log := filepath.Join(h.data, fmt.Sprintf("log%d", h.runs))
	if err := os.Mkdir(log, 0o700); err != nil {
		h.t.Fatal(err)
	}
	run := append(slices.Clone(h.inside), h.program, "desk", "--data", h.data, "--listen", h.page, "--mqtt", h.rooms)
	h.Process = rig.Run(h.t, log, run[0], nil, run[1:]...)
	for _, addr := range []string{h.broker, h.page} {
		rig.Within(h.t, 30*time.Second, "the desk listens", func() bool {
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
}

// cpu is the processor time that the desk has used.
func (h *hub) cpu() time.Duration {
	h.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.Process.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	var user, system int64
	fmt.Sscan(f[11], &user)
	fmt.Sscan(f[12], &system)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is what the desk has resident, in MB.
func (h *hub) memory(what string) (mb float64) {
	h.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.Process.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, l := range strings.Split(string(status), "\n") {
		if rest, is := strings.CutPrefix(l, what+":"); is {
			fmt.Sscan(rest, &mb)
		}
	}
	return mb * 1024 / 1e6
}

// shown is a room as a page has it.
type shown struct {
	ID      string          `json:"id"`
	Reached bool            `json:"reached"`
	Stage   string          `json:"stage"`
	EndsMS  int64           `json:"ends_ms"`
	Held    bool            `json:"held"`
	Ending  bool            `json:"ending"`
	Broken  []clinic.Broken `json:"broken"`
	now     int64           // of the event, on the desk's clock
}

// viewer is a page that reads the desk's feed, and comes back where it ends.
type viewer struct {
	mu    sync.Mutex
	rooms map[string]shown
	whole int // times that it was sent all rooms
	each  func(v shown, at time.Time)
}

// view opens a page. each is called for each room that an event holds.
func (h *hub) view(each func(v shown, at time.Time)) *viewer {
	v := &viewer{rooms: map[string]shown{}, each: each}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	h.t.Cleanup(func() { stop(); <-done })
	by := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			v.read(ctx, by, h)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return v
}

func (v *viewer) read(ctx context.Context, by *http.Client, h *hub) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.page+"/api/v1/desk/rooms", nil)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	resp, err := by.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		fmt.Fprintln(os.Stderr, "the feed:", resp.Status, string(text))
		return
	}
	for lines := bufio.NewReaderSize(resp.Body, 1<<20); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		text, is := strings.CutPrefix(line, "data: ")
		if !is {
			continue
		}
		at := time.Now()
		var e struct {
			NowMS int64   `json:"now_ms"`
			All   bool    `json:"all"`
			Rooms []shown `json:"rooms"`
		}
		if json.Unmarshal([]byte(text), &e) != nil {
			return
		}
		v.mu.Lock()
		if e.All {
			v.whole++
			clear(v.rooms)
		}
		for _, r := range e.Rooms {
			r.now = e.NowMS
			v.rooms[r.ID] = r
		}
		v.mu.Unlock()
		if v.each != nil {
			for _, r := range e.Rooms {
				v.each(r, at)
			}
		}
	}
}

func (v *viewer) room(id string) shown {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rooms[id]
}

// busyRoom is a room that changes all the time: number tells its changes apart.
type busyRoom struct {
	id string
	*stage
	link *clinic.Link

	mu      sync.Mutex
	changes []time.Time
}

// Twelve looks of a room follow each other.
var stageNames = []string{"preparation", "administration", "integration"}

const looks = 12

func lookOf(v shown) int {
	n := 4 * slices.Index(stageNames, v.Stage)
	if v.Held {
		n++
	}
	if v.Ending {
		n += 2
	}
	return n
}

// change makes the next change.
func (r *busyRoom) change() {
	r.mu.Lock()
	n := len(r.changes) % looks
	r.changes = append(r.changes, time.Now())
	r.mu.Unlock()
	state := room.Running
	if n&2 != 0 {
		state = room.Ending
	}
	r.set(func(s *room.Snapshot) {
		s.Session = &room.SessionView{State: state, StartedMS: s.NowMS, EndsAtMS: time.Hour.Milliseconds(), Phase: room.PhaseView{Stage: stageNames[n/4], Held: n&1 != 0}}
	})
}

// last is the number of the latest change, and the look that it made.
func (r *busyRoom) last() (n, look int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.changes), (len(r.changes) - 1) % looks
}

// since is how long before at the change was made that v shows.
func (r *busyRoom) since(v shown, at time.Time) (time.Duration, bool) {
	look := lookOf(v)
	if look < 0 {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := len(r.changes) - 1; n >= 0; n-- {
		if n%looks == look {
			return at.Sub(r.changes[n]), true
		}
	}
	return 0, false
}

func roomIDs(n int) (ids []string) {
	for k := range n {
		ids = append(ids, fmt.Sprintf("room%04d", k))
	}
	return ids
}

// join opens a room's link to the desk, through an address of the broker's.
func (h *hub) join(id, broker string) *busyRoom {
	h.t.Helper()
	r := &busyRoom{id: id, stage: newStage(id)}
	link, err := clinic.Open(h.options(id, broker, r.stage))
	if err != nil {
		h.t.Fatal(err)
	}
	r.link = link
	h.links = append(h.links, link)
	return r
}

func (h *hub) options(id, broker string, r clinic.Room) clinic.Options {
	m := clinic.Membership{ID: id, Joined: clinic.Joined{Broker: "mqtts://" + broker, Secret: h.secrets[id]}}
	return clinic.Options{Broker: m.Address(), Authority: h.authority, ID: id, Room: r, Boot: rand.Text()[:16]}
}

// fleet opens many rooms and waits until a page shows them all.
func (h *hub) fleet(v *viewer, ids []string) (all []*busyRoom) {
	h.t.Helper()
	began := time.Now()
	for _, id := range ids {
		r := h.join(id, h.broker)
		r.change()
		all = append(all, r)
	}
	rig.Within(h.t, time.Minute, "all rooms are shown", func() bool { return v.right(all) == len(all) })
	h.t.Logf("%d rooms were shown after %v", len(all), time.Since(began).Round(time.Millisecond))
	return all
}

// right counts the rooms that a page shows as they are.
func (v *viewer) right(all []*busyRoom) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range all {
		is := v.rooms[r.id]
		if _, look := r.last(); is.Reached && lookOf(is) == look {
			n++
		}
	}
	return n
}

// live has each room change once a second, until stop, one after the other.
func live(all []*busyRoom) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		const tick = 5 * time.Millisecond
		t := time.NewTicker(tick)
		defer t.Stop()
		began, done := time.Now(), 0
		for {
			select {
			case <-end:
				return
			case <-t.C:
			}
			for due := int(time.Since(began).Seconds() * float64(len(all))); done < due; done++ {
				all[done%len(all)].change()
			}
		}
	}()
	return func() { close(end); <-ended }
}

func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 1e9
	}
	slices.Sort(all)
	return float64(all[min(len(all)-1, int(p*float64(len(all))))].Microseconds()) / 1000
}

// TestDeskBars measures what many rooms cost a desk, and how soon two pages show their changes.
func TestDeskBars(t *testing.T) {
	rig.OnlyBars(t)
	ids := roomIDs(*manyRooms)
	h := newHub(t, ids)
	var mu sync.Mutex
	rooms := map[string]*busyRoom{}
	var took []time.Duration
	measured := false
	each := func(v shown, at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if r := rooms[v.ID]; measured && r != nil {
			if d, ok := r.since(v, at); ok {
				took = append(took, d)
			}
		}
	}
	first, second := h.view(each), h.view(each)
	all := h.fleet(first, ids)
	mu.Lock()
	for _, r := range all {
		rooms[r.id] = r
	}
	mu.Unlock()
	stop := live(all)
	rig.Within(t, 10*time.Second, "each room has changed", func() bool { n, _ := all[len(all)-1].last(); return n > 2 })
	stalls := rig.Stalls(50 * time.Millisecond)
	mu.Lock()
	measured = true
	mu.Unlock()
	cpu, began := h.cpu(), time.Now()
	before := 0
	for _, r := range all {
		n, _ := r.last()
		before += n
	}
	<-time.After(*barTime)
	used, long := h.cpu()-cpu, time.Since(began)
	stop()
	<-time.After(time.Second) // for the last changes
	mu.Lock()
	measured = false
	changes, slowest := -before, time.Duration(0)
	mu.Unlock()
	for _, r := range all {
		n, _ := r.last()
		changes += n
		slowest = max(slowest, r.link.Slowest())
	}
	n, longest := stalls()
	t.Logf("%d changes in %v; this computer stood still %d times, for %v at most", changes, long.Round(time.Millisecond), n, longest.Round(time.Millisecond))
	what := fmt.Sprintf("%d rooms, a change a second each", len(all))
	rig.Bar(t, what, "change to page, p50", percentile(took, 0.5), 500, "ms")
	rig.Bar(t, what, "change to page, p99", percentile(took, 0.99), 500, "ms")
	rig.Bar(t, what, "changes that no page showed", 100*max(0, 1-float64(len(took))/float64(2*changes)), 1, "%")
	rig.Bar(t, what, "processor of the desk", 100*used.Seconds()/long.Seconds(), 40, "% core")
	rig.Bar(t, what, "memory of the desk", h.memory("VmRSS"), 200, "MB")
	rig.Bar(t, what, "memory of the desk, at most", h.memory("VmHWM"), 200, "MB")
	barPublish(t, what, slowest, longest)
	for _, v := range []*viewer{first, second} {
		rig.Within(t, 5*time.Second, "a page shows all as they are", func() bool { return v.right(all) == len(all) })
	}
}

// barPublish holds the slowest publish to its bar. For as long as the whole computer stood still no publish could go on: that does not count.
func barPublish(t *testing.T, what string, slowest, standstill time.Duration) {
	t.Helper()
	t.Logf("the slowest publish took %v, while a thread that was due waited for a processor for up to %v", slowest, standstill)
	rig.Bar(t, what, "slowest publish, without standstills", float64(max(0, slowest-standstill).Microseconds())/1000, 5, "ms")
}

// TestDeskKilled kills the desk while all rooms go on, several times.
func TestDeskKilled(t *testing.T) {
	rig.OnlyBars(t)
	h := newHub(t, roomIDs(*manyRooms))
	h.away("killed", *kills, 5, 3, h.Kill, h.start)
}

// TestDeskFrozen freezes the desk with all its sockets open. Rooms notice by themselves, and their attempts to reconnect wait for it when it
// wakes up.
func TestDeskFrozen(t *testing.T) {
	rig.OnlyBars(t)
	h := newHub(t, roomIDs(*manyRooms))
	// The fourth message corrects the last will of the earlier connection.
	h.away("frozen", min(*kills, 3), 10, 4, func() { _ = h.Signal(syscall.SIGSTOP) }, func() { _ = h.Signal(syscall.SIGCONT) })
}

// away takes the desk away and brings it back several times while all rooms go on. Each time all rooms must be shown as they are within that
// many seconds, by that many messages of each.
func (h *hub) away(how string, times int, within, messages float64, goes, comes func()) {
	t := h.t
	t.Helper()
	v := h.view(nil)
	all := h.fleet(v, slices.Collect(maps.Keys(h.secrets)))
	<-time.After(10 * time.Second) // until each has told since when it has its topic alone
	for k := range times {
		for _, r := range all {
			r.link.Slowest()
		}
		what := fmt.Sprintf("desk %s for %v, %d of %d", how, *downTime, k+1, times)
		stop, stalls := live(all), rig.Stalls(50*time.Millisecond)
		goes()
		<-time.After(*downTime)
		stop()
		for _, r := range all {
			if _, look := r.last(); lookOf(v.room(r.id)) == look {
				r.change() // else an outdated page would count as right
			}
		}
		_, longest := stalls()
		slowest, before := time.Duration(0), map[string]uint64{}
		for _, r := range all {
			slowest = max(slowest, r.link.Slowest())
			before[r.id] = r.link.Sent()
		}
		barPublish(t, what, slowest, longest)
		comes()
		at := time.Now()
		for v.right(all) < len(all) && time.Since(at) < 30*time.Second {
			<-time.After(10 * time.Millisecond)
		}
		took := time.Since(at)
		<-time.After(3 * time.Second) // what the desk read late must not replace it
		rig.Bar(t, what, "rooms that are not shown as they are", float64(len(all)-v.right(all)), 0, "rooms")
		rig.Bar(t, what, "all shown as they are", took.Seconds(), within, "s")
		most, more := uint64(0), map[uint64]int{}
		for _, r := range all {
			most = max(most, r.link.Sent()-before[r.id])
			more[r.link.Sent()-before[r.id]]++
		}
		t.Logf("rooms by the number of their messages: %v", more)
		rig.Bar(t, what, "messages of a room", float64(most), messages, "")
	}
}

// TestDeskReconnects has all rooms lose their connection at once, by a proxy.
func TestDeskReconnects(t *testing.T) {
	rig.OnlyBars(t)
	ids := roomIDs(*manyRooms)
	h := newHub(t, ids)
	v := h.view(nil)
	p := newLine(t, h.broker)
	var all []*busyRoom
	for _, id := range ids {
		r := h.join(id, p.addr)
		r.change()
		all = append(all, r)
	}
	rig.Within(t, time.Minute, "all rooms are shown", func() bool { return v.right(all) == len(all) })
	for k := range 3 {
		p.cut()
		rig.Within(t, 20*time.Second, "none is reached", func() bool { return v.right(all) == 0 })
		for _, r := range all {
			r.change()
		}
		cpu, at := h.cpu(), time.Now()
		p.restore()
		rig.Within(t, 30*time.Second, "all are back", func() bool { return v.right(all) == len(all) })
		what := fmt.Sprintf("%d rooms lost their link at once, %d", len(all), k+1)
		rig.Bar(t, what, "all shown as they are", time.Since(at).Seconds(), 10, "s")
		t.Logf("the desk used %v of a processor for it", h.cpu()-cpu)
	}
}

// line is a TCP proxy that can be cut, or fall silent with its sockets open.
type line struct {
	addr, to string
	mu       sync.Mutex
	silent   bool              // nothing passes, and nobody is told
	dead     bool              // nobody is let in
	conns    map[net.Conn]bool // in use; false: it stays silent for ever
}

func newLine(t testing.TB, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &line{addr: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	t.Cleanup(p.cut)
	return p
}

func (p *line) serve(c net.Conn) {
	p.mu.Lock()
	dead, silent := p.dead, p.silent
	p.mu.Unlock()
	if dead {
		c.Close()
		return
	}
	on, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c], p.conns[on] = !silent, !silent
	p.mu.Unlock()
	pump := func(to, from net.Conn) {
		buf := make([]byte, 16<<10)
		for {
			n, err := from.Read(buf)
			p.mu.Lock()
			passes := p.conns[from] && !p.silent
			p.mu.Unlock()
			if err == nil && passes {
				_, err = to.Write(buf[:n])
			}
			if err != nil {
				if passes { // of a silent one nobody is told that the other side has gone
					to.Close()
				}
				from.Close()
				p.mu.Lock()
				delete(p.conns, from)
				p.mu.Unlock()
				return
			}
		}
	}
	go pump(on, c)
	pump(c, on)
}

// cut ends all connections and lets nobody in.
func (p *line) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	for c := range p.conns {
		c.Close()
	}
}

// fallSilent leaves all connections open, of which nothing passes any more.
func (p *line) fallSilent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
	for c := range p.conns {
		p.conns[c] = false
	}
}

// restore lets new connections pass. Those that have fallen silent stay so.
func (p *line) restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead, p.silent = false, false
}

// network is the desk's own, with a cable to each room.
type network struct {
	t            testing.TB
	name, prefix string
}

// newNetwork makes one with so many cables. It needs root.
func newNetwork(t testing.TB, cables int) *network {
	t.Helper()
	n := &network{t: t, name: fmt.Sprintf("desk%d", os.Getpid()), prefix: fmt.Sprintf("10.%d", 130+os.Getpid()%100)}
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("a network can't be made (root can): %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.name).Run() }) // its ends of the cables go with it
	var here, there strings.Builder
	fmt.Fprintln(&there, "link set lo up")
	for k := range cables {
		end := fmt.Sprintf("d%d.%d", os.Getpid(), k)
		fmt.Fprintf(&here, "link add %sa type veth peer name %sb netns %s\naddr add %s.%d.1/30 dev %sa\nlink set %sa up\n", end, end, n.name, n.prefix, k, end, end)
		fmt.Fprintf(&there, "addr add %s.%d.2/30 dev %sb\nlink set %sb up\n", n.prefix, k, end, end)
	}
	n.ip(here.String())
	n.ip(there.String(), "-n", n.name)
	return n
}

func (n *network) ip(lines string, arg ...string) {
	c := exec.Command("ip", append(arg, "-batch", "-")...)
	c.Stdin = strings.NewReader(lines)
	if out, err := c.CombinedOutput(); err != nil {
		n.t.Errorf("ip: %v %s", err, out)
	}
}

// desk is the desk's address over a cable.
func (n *network) desk(cable int) string { return fmt.Sprintf("%s.%d.2", n.prefix, cable) }

// cable is one that can be pulled out. Nobody is told: both sockets stay open.
type cable struct {
	*network
	k int
}

func (c cable) set(state string) {
	c.ip(fmt.Sprintf("link set d%d.%db %s\n", os.Getpid(), c.k, state), "-n", c.name)
}
func (c cable) cut()        { c.set("down") }
func (c cable) fallSilent() { c.set("down") }
func (c cable) restore()    { c.set("up") }

// TestDeskCuts cuts the links of a hundred rooms at random: half of them hang on a cable of their own, which is pulled out, and half
// on a proxy, which ends their connections or leaves both sockets half open for ever.
func TestDeskCuts(t *testing.T) {
	rig.OnlyBars(t)
	ids := roomIDs(100)
	n := newNetwork(t, len(ids)/2+1)
	h := newHubIn(t, ids, n.desk(0), "ip", "netns", "exec", n.name)
	v := h.view(nil)
	ctx, stop := context.WithTimeout(t.Context(), *cutTime)
	defer stop()
	type link struct {
		room   *busyRoom
		way    string
		breaks interface {
			cut()
			fallSilent()
			restore()
		}
	}
	var all []link
	for k, id := range ids {
		l := link{way: "cable"}
		if k%2 == 0 {
			c := cable{n, k/2 + 1}
			l.breaks, l.room = c, h.join(id, net.JoinHostPort(n.desk(c.k), h.port()))
		} else {
			p := newLine(t, h.broker)
			l.way, l.breaks, l.room = "proxy", p, h.join(id, p.addr)
		}
		l.room.change()
		all = append(all, l)
	}
	for _, l := range all {
		rig.Within(t, 20*time.Second, l.room.id+" is shown", func() bool { return v.right([]*busyRoom{l.room}) == 1 })
	}
	var mu sync.Mutex
	back, dropped := map[string][]time.Duration{}, []time.Duration{}
	never := map[string]int{} // by room
	before, stalls := h.memory("VmRSS"), rig.Stalls(50*time.Millisecond)
	var done sync.WaitGroup
	for _, l := range all {
		done.Go(func() {
			one := []*busyRoom{l.room}
			for ctx.Err() == nil {
				<-time.After(time.Second + randv2.N(8*time.Second))
				if randv2.N(2) == 0 {
					l.breaks.fallSilent()
				} else {
					l.breaks.cut()
				}
				gone := time.Now()
				long := randv2.N(20 * time.Second)
				for time.Since(gone) < long && v.room(l.room.id).Reached {
					<-time.After(20 * time.Millisecond)
				}
				if !v.room(l.room.id).Reached {
					mu.Lock()
					dropped = append(dropped, time.Since(gone))
					mu.Unlock()
				}
				if rest := long - time.Since(gone); rest > 0 {
					<-time.After(rest)
				}
				l.room.change()
				l.breaks.restore()
				at := time.Now()
				for v.right(one) == 0 && time.Since(at) < 30*time.Second {
					<-time.After(20 * time.Millisecond)
				}
				mu.Lock()
				back[l.way] = append(back[l.way], time.Since(at))
				if v.right(one) == 0 {
					reach, since, problem := l.room.link.Reach()
					never[fmt.Sprintf("%s by %s", l.room.id, l.way)]++
					t.Logf("%s by %s did not come back: the link says %s for %v, %s", l.room.id, l.way, reach, time.Since(since).Round(time.Second), problem)
				}
				mu.Unlock()
			}
		})
	}
	done.Wait()
	times, longest := stalls()
	t.Logf("this computer stood still %d times, for %v at most; the desk had %.0f MB before and %.0f MB after", times, longest.Round(time.Millisecond), before, h.memory("VmRSS"))
	what := fmt.Sprintf("100 rooms, %d cuts in %v", len(back["cable"])+len(back["proxy"]), *cutTime)
	t.Logf("how often a room did not come back within 30 s: %v", never)
	rig.Bar(t, what, "rooms that did not come back", float64(len(never)), 0, "rooms")
	for _, way := range []string{"cable", "proxy"} {
		t.Logf("%s: %d cuts, back after p50 %.2f s, p99 %.2f s", way, len(back[way]), percentile(back[way], 0.5)/1000, percentile(back[way], 0.99)/1000)
		rig.Bar(t, what, "back after the "+way+", max", percentile(back[way], 1)/1000, 10, "s")
	}
	rig.Bar(t, what, "a network that is gone is shown, max", percentile(dropped, 1)/1000, 10, "s")
}

// TestDeskSeesTheDead kills a room's process, freezes another, and takes the network from a third.
func TestDeskSeesTheDead(t *testing.T) {
	rig.OnlyBars(t)
	ids := roomIDs(10)
	h := newHub(t, ids)
	v := h.view(nil)
	child := func(id, broker string) *rig.Process {
		o := h.options(id, broker, nil)
		text, err := json.Marshal(childRoom{o.Broker, o.ID, o.Authority})
		if err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		p := rig.Run(t, t.TempDir(), self, []string{"ROOMD_TEST_ROOM=" + string(text)})
		rig.Within(t, 20*time.Second, id+" is reached", func() bool { return v.room(id).Reached })
		return p
	}
	gone := func(id, what string, most float64) {
		t.Helper()
		at := time.Now()
		for v.room(id).Reached && time.Since(at) < 30*time.Second {
			<-time.After(5 * time.Millisecond)
		}
		rig.Bar(t, what, "shown", time.Since(at).Seconds(), most, "s")
	}
	for _, id := range ids[:5] {
		child(id, h.broker).Kill()
		gone(id, "a room's process is killed", 1)
	}
	for _, id := range ids[5:7] {
		p := child(id, h.broker)
		_ = p.Signal(syscall.SIGSTOP)
		gone(id, "a room's process is frozen", 10)
	}
	for _, id := range ids[7:] {
		l := newLine(t, h.broker)
		child(id, l.addr)
		l.fallSilent()
		gone(id, "a room's network is gone", 10)
	}
}

// TestDeskWrongClocks has rooms whose own clocks are far off, and which went on while the desk was away, show the right minutes.
func TestDeskWrongClocks(t *testing.T) {
	rig.OnlyBars(t)
	ids := roomIDs(5)
	h := newHub(t, ids)
	v := h.view(nil)
	var all []*stage
	for k, off := range []time.Duration{0, -3 * 365 * 24 * time.Hour, 50 * 365 * 24 * time.Hour, time.Hour, -time.Minute} {
		r := newStage(ids[k])
		r.snap.NowMS = off.Milliseconds()
		openLink(t, h.options(ids[k], h.broker, r))
		r.session("administration", 25*time.Minute)
		all = append(all, r)
	}
	right := func() bool {
		for k, r := range all {
			s := r.Snapshot()
			is, want := v.room(ids[k]), s.Session.StartedMS+s.Session.EndsAtMS-s.NowMS
			// The page counts from the event's time; it came a moment ago.
			if !is.Reached || is.Stage == "" || is.EndsMS-is.now-want > 25_000 || is.EndsMS-is.now-want < -1000 {
				return false
			}
		}
		return true
	}
	rig.Within(t, 20*time.Second, "the minutes are right", right)
	ends := map[string]int64{}
	for _, id := range ids {
		ends[id] = v.room(id).EndsMS
	}
	worst := 0.0
	for _, id := range ids[1:] {
		d := ends[id] - ends[ids[0]] // the first room's clock is right
		worst = max(worst, float64(max(d, -d))/1000)
	}
	rig.Bar(t, "clocks that are years off", "minutes are off by", worst, 2, "s")
	h.Kill()
	<-time.After(10 * time.Second)
	h.start()
	rig.Within(t, 20*time.Second, "the minutes are right after the desk's restart", right)
}
