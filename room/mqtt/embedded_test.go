package mqtt_test

import (
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/mqtt"
)

func embed(t *testing.T, dir string) *mqtt.Broker {
	t.Helper()
	b, err := mqtt.Embed(mqtt.BrokerOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// kept reads the retained state topic from a broker with a fresh client.
func kept(t *testing.T, url string) string {
	t.Helper()
	var in box
	c := dial(t, mqtt.Options{Broker: url})
	c.Subscribe("room.1/#", in.put)
	open(t, c)
	rig.Eventually(t, 3*time.Second, "a retained message", func() bool { return in.count("room.1/state") > 0 })
	return in.all("room.1/state")[0]
}

func TestEmbeddedKeepsRetained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := embed(t, dir)
	c := dial(t, mqtt.Options{Broker: b.URL()})
	open(t, c)
	c.Retain("room.1/state", []byte("dusk"))
	if got := kept(t, b.URL()); got != "dusk retained" && got != "dusk" {
		t.Fatalf("got %q", got)
	}
	b.Close()
	if got := kept(t, embed(t, dir).URL()); got != "dusk retained" {
		t.Fatalf("after a restart: %q", got)
	}
}

func TestEmbeddedRefusesStrangers(t *testing.T) {
	t.Parallel()
	b := embed(t, t.TempDir())
	at := b.URL()[strings.LastIndex(b.URL(), "@")+1:]
	for _, url := range []string{"mqtt://" + at, "mqtt://roomd:guess@" + at} {
		c := dial(t, mqtt.Options{Broker: url})
		rig.Eventually(t, 5*time.Second, "refused", func() bool {
			p := c.Problem()
			return p != nil && strings.Contains(p.Says, "password")
		})
		if c.Open() {
			t.Errorf("%s was let in", url)
		}
	}
}

func TestEmbeddedPortInUse(t *testing.T) {
	b := embed(t, t.TempDir())
	var port int
	if _, p, ok := strings.Cut(b.URL()[strings.LastIndex(b.URL(), "@")+1:], ":"); ok {
		for _, r := range p {
			port = port*10 + int(r-'0')
		}
	}
	begin := time.Now()
	if _, err := mqtt.Embed(mqtt.BrokerOptions{Dir: t.TempDir(), Port: port}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("got %v", err)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("took %v", d)
	}
}

// The test's own binary is the daemon that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ROOMD_TEST_BROKER"); dir != "" {
		b, err := mqtt.Embed(mqtt.BrokerOptions{Dir: dir})
		if err != nil {
			panic(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "url"), []byte(b.URL()), 0o600); err != nil {
			panic(err)
		}
		select {}
	}
	os.Exit(m.Run())
}

func TestEmbeddedSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 {
		os.Remove(filepath.Join(dir, "url"))
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ROOMD_TEST_BROKER="+dir)
		cmd.Stderr = t.Output()
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		var url []byte
		rig.Eventually(t, 20*time.Second, "the broker is up", func() bool {
			url, _ = os.ReadFile(filepath.Join(dir, "url"))
			return len(url) > 0
		})
		if i > 0 {
			if got := kept(t, string(url)); got != "dusk retained" {
				t.Fatalf("after kill %d: %q", i, got)
			}
		}
		c := dial(t, mqtt.Options{Broker: string(url)})
		open(t, c)
		c.Retain("room.1/state", []byte("dusk"))
		kept(t, string(url))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "store.broken-*")); len(aside) > 0 {
		t.Errorf("a store was given up: %v", aside)
	}
}

func TestEmbeddedStoreBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := embed(t, dir)
	c := dial(t, mqtt.Options{Broker: b.URL()})
	open(t, c)
	c.Retain("room.1/state", []byte("dusk"))
	kept(t, b.URL())
	c.Close()
	b.Close()
	n := 0
	err := filepath.WalkDir(filepath.Join(dir, "store"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		return os.WriteFile(path, []byte("\x00garbage\xff{"), 0o600)
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files spoilt: %v", n, err)
	}
	b = embed(t, dir)
	c = dial(t, mqtt.Options{Broker: b.URL()})
	open(t, c)
	c.Retain("room.1/state", []byte("dawn"))
	if got := kept(t, b.URL()); !strings.HasPrefix(got, "dawn") {
		t.Fatalf("got %q", got)
	}

	// A store that isn't even a folder.
	c.Close()
	b.Close()
	os.RemoveAll(filepath.Join(dir, "store"))
	if err := os.WriteFile(filepath.Join(dir, "store"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	embed(t, dir)
	if aside, _ := filepath.Glob(filepath.Join(dir, "store.broken-*")); len(aside) == 0 {
		t.Error("the broken store was not kept aside")
	}
}

func BenchmarkEmbeddedStart(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		e, err := mqtt.Embed(mqtt.BrokerOptions{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		e.Close()
		b.StartTimer()
	}
}

// TestEmbeddedOnADiskThatTakesNothing starts a broker whose folder is on a full disk, and on one that can't be written.
func TestEmbeddedOnADiskThatTakesNothing(t *testing.T) {
	for name, shut := range map[string]func(*rig.Disk){"full": (*rig.Disk).Fill, "read-only": func(d *rig.Disk) { d.ReadOnly(true) }} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			spare := func() int { all, _ := filepath.Glob(tmp + "/roomd-broker*"); return len(all) }
			disk := rig.NewDisk(t, 4096)
			dir := filepath.Join(disk.Dir, "broker")
			before, err := mqtt.Embed(mqtt.BrokerOptions{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			password, _ := url.Parse(before.URL())
			before.Close()
			shut(disk)
			b, err := mqtt.Embed(mqtt.BrokerOptions{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if n := spare(); n != 1 {
				t.Errorf("%d spare folders", n)
			}
			if again, _ := url.Parse(b.URL()); again.User.String() != password.User.String() {
				t.Error("the password is another one")
			}
			b.Close()
			if spare() != 0 {
				t.Error("the spare folder is left behind")
			}
			if broken, _ := filepath.Glob(dir + "/store.broken*"); len(broken) > 0 {
				t.Errorf("a store that is whole was set aside: %v", broken)
			}
		})
	}
}

// A broker that is killed leaves nothing behind that grows: after hundreds of kills it would start no more.
func TestEmbeddedKilledOftenDoesNotGrow(t *testing.T) {
	dir := t.TempDir()
	readers := func() int {
		found, err := filepath.Glob(filepath.Join(dir, "store", "jetstream", "$G", "streams", "$MQTT_rmsgs", "obs", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	for range 4 {
		b, err := mqtt.Embed(mqtt.BrokerOptions{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		c := dial(t, mqtt.Options{Broker: b.URL()})
		open(t, c)
		var in box
		c.Subscribe("kept/#", in.put)
		c.Retain("kept/one", []byte("here"))
		rig.Eventually(t, 3*time.Second, "what is retained is there", func() bool { return in.count("kept/one") > 0 })
		// As a kill leaves it: the files as they are, the end of the process without a word.
		next := t.TempDir()
		if err := os.CopyFS(filepath.Join(next, "copy"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if n := readers(); n != 1 {
			t.Fatalf("%d readers of the retained messages", n)
		}
		c.Close()
		b.Close()
		dir = filepath.Join(next, "copy")
	}
}
