package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// holdRoom is a room without sound for the tests of what waits.
func holdRoom(t *testing.T, more string) *daemon {
	return newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\naudio: {output: none}\nhttps: off\n" + more, "playlists/evening.yaml": strings.Replace(aPlaylist, "music: rain", "music: {bed: rain}", 1)})
}

// isThere reports whether a file exists.
func isThere(path string) bool { _, err := os.Lstat(path); return err == nil }

// TestLock runs a daemon as the unit does. The lock is there during a session, over a crash, and gone after it; roomd wait-idle waits over
// all of that, and says once for what.
func TestLock(t *testing.T) {
	t.Parallel()
	d := holdRoom(t, "")
	run := t.TempDir()
	lock, old := filepath.Join(d.data, lockFile), filepath.Join(run, "session")
	d.env = []string{"RUNTIME_DIRECTORY=" + run}
	idle := func(words ...string) (int, string) {
		code, out, bad := roomd(t, nil, append([]string{"wait-idle", "--data", d.data}, words...)...)
		return code, out + bad
	}
	if code, said := idle(); code != exitOK || said != "" {
		t.Errorf("no roomd and no session: %d %s", code, said)
	}
	// Of a session that ended while nothing ran, and of an earlier version.
	if err := errors.Join(os.WriteFile(lock, nil, 0o600), os.WriteFile(old, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	d.start()
	rig.Eventually(t, "both are gone", func() bool { return !isThere(lock) && !isThere(old) })
	if code, said := idle(); code != exitOK || said != "" {
		t.Errorf("no session: %d %s", code, said)
	}

	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	rig.Eventually(t, "it is there", func() bool { return isThere(lock) })
	if st, err := os.Stat(lock); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st, err)
	}
	left := regexp.MustCompile(`^roomd wait-idle: a session is running in Willow, about (9|10) min left\n$`)
	if code, said := idle("--timeout", "0"); code != exitError || !left.MatchString(said) {
		t.Errorf("in a session: %d %q", code, said)
	}
	if code, said := idle("--timeout", "10ms"); code != exitError || strings.Count(said, "\n") != 2 || !strings.Contains(said, "waiting for its end\n") || !strings.Contains(said, "gave up: a session is running in Willow") {
		t.Errorf("with a limit: %d %q", code, said)
	}
	waiter := exec.CommandContext(t.Context(), theBinary(t), "wait-idle", "--data", d.data)
	says, err := os.Create(filepath.Join(run, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer says.Close()
	said := func() string { return read(t, says.Name()) }
	waiter.Stderr = says
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- waiter.Wait() }()
	rig.Eventually(t, "it says whom it waits for", func() bool { return strings.Contains(said(), "in Willow") })

	d.Kill()
	if code, said := idle("--timeout", "0"); code != exitError || !strings.Contains(said, "a session is running (roomd does not answer") {
		t.Errorf("after a crash: %d %q", code, said)
	}
	d.start()
	if d.do(room.Command{Do: room.Hold}); !isThere(lock) {
		t.Error("gone after a crash")
	}
	if code, said := idle("--timeout", "0"); code != exitError || !strings.Contains(said, "in Willow") {
		t.Errorf("taken up: %d %q", code, said)
	}
	if len(ended) > 0 {
		t.Errorf("it did not wait: %s", said())
	}
	d.do(room.Command{Do: room.Abort})
	rig.Eventually(t, "it is gone again", func() bool { return !isThere(lock) })
	if err := <-ended; err != nil || strings.Count(said(), "\n") != 1 {
		t.Errorf("%v %q", err, said())
	}

	// New settings make the room anew within the process.
	if err := os.WriteFile(filepath.Join(d.data, "room.yaml"), []byte("room: Oak\naudio: {output: none}\nhttps: off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the room has its new name", func() bool { s, err := d.peek(); return err == nil && s.Room == "Oak" })
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	rig.Eventually(t, "it is there in the new room", func() bool { return isThere(lock) })
	if code, said := idle("--timeout", "0"); code != exitError || !strings.Contains(said, "in Oak") {
		t.Errorf("%d %q", code, said)
	}
	// A lock that nobody takes away holds nobody up for ever.
	d.Kill()
	past := time.Now().Add(-lockTime - time.Minute)
	if err := os.Chtimes(lock, past, past); err != nil {
		t.Fatal(err)
	}
	if code, said := idle(); code != exitOK || said != "" {
		t.Errorf("an old lock: %d %s", code, said)
	}
	if code, _ := idle("--timeout", "-1s"); code != exitUsage {
		t.Errorf("exit %d", code)
	}
}

// TestLockThatCannotBeWritten has something else in its place: the socket tells all the same.
func TestLockThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	d := holdRoom(t, "")
	if err := os.MkdirAll(filepath.Join(d.data, lockFile, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.start()
	if code, _, bad := roomd(t, nil, "wait-idle", "--timeout", "0", "--data", d.data); code != exitOK {
		t.Errorf("%d %s", code, bad)
	}
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	if code, _, bad := roomd(t, nil, "wait-idle", "--timeout", "0", "--data", d.data); code != exitError || !strings.Contains(bad, "in Willow") {
		t.Errorf("%d %s", code, bad)
	}
	if n := strings.Count(d.log(), "the file alone"); n != 2 {
		t.Errorf("%d lines:\n%s", n, d.log())
	}
}

// TestHooks runs what the package gives apt, systemd and needrestart, for real: in a session, after it, without a roomd, with one that is broken.
func TestHooks(t *testing.T) {
	t.Parallel()
	d := holdRoom(t, "")
	d.start()
	bin := t.TempDir()
	if err := os.Symlink(theBinary(t), filepath.Join(bin, "roomd")); err != nil {
		t.Fatal(err)
	}
	run := func(env []string, name string, words ...string) (int, string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, words...)
		cmd.Env = append(append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "DATA="+d.data, "LC_ALL=C"), env...)
		out, err := cmd.CombinedOutput()
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	hold := func(env ...string) (int, string) { return run(env, "sh", "debian/hold") }
	apt := aptWith(t, run)
	// As systemd runs it, which takes no notice of its end; here it must not wait for ever.
	line := regexp.MustCompile(`(?m)^ExecStartPre=-/usr/bin/roomd (.*) --data /var/lib/roomd$`).FindStringSubmatch(read(t, "debian/apt-daily.conf"))
	if line == nil {
		t.Fatal("apt's timers wait for nothing")
	}
	daily := func() (int, string) {
		return run(nil, theBinary(t), append(strings.Fields(line[1]), "--data", d.data, "--timeout", "0")...)
	}
	// needrestart's own, with the paths of this test.
	perl := strings.NewReplacer("/usr/bin/roomd", filepath.Join(bin, "roomd"), "/var/lib/roomd/", d.data+"/").Replace(read(t, "debian/needrestart.conf"))
	restarts := func() string {
		_, out := run(nil, "perl", "-we", "use strict; our %nrconf = (restart => 'a');\n"+perl+"\nprint $nrconf{restart};")
		return out
	}
	free := func(when string) {
		t.Helper()
		if code, out := hold(); code != 0 || out != "" {
			t.Errorf("%s: %d %s", when, code, out)
		}
		if out, installed := apt(); !installed {
			t.Errorf("%s: %s", when, out)
		}
		if code, out := daily(); code != 0 || out != "" {
			t.Errorf("%s: %d %s", when, code, out)
		}
		if how := restarts(); how != "a" {
			t.Errorf("%s: needrestart restarts by %s", when, how)
		}
	}
	held := func(when, says string) {
		t.Helper()
		if code, out := hold(); code != 1 || !strings.Contains(out, says) || !strings.Contains(out, "sudo env ROOMD_HOLD=off apt") {
			t.Errorf("%s: %d %s", when, code, out)
		}
		if out, installed := apt(); installed || !strings.Contains(out, says) {
			t.Errorf("%s: apt goes on: %s", when, out)
		}
		if code, out := daily(); code != exitError || !strings.Contains(out, says) {
			t.Errorf("%s: %d %s", when, code, out)
		}
		if how := restarts(); how != "l" {
			t.Errorf("%s: needrestart restarts by %s", when, how)
		}
		// A person who knows better.
		if code, out := hold("ROOMD_HOLD=off"); code != 0 || out != "" {
			t.Errorf("%s: %d %s", when, code, out)
		}
		if out, installed := apt("ROOMD_HOLD=off"); !installed {
			t.Errorf("%s: %s", when, out)
		}
	}
	free("before a session")
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	rig.Eventually(t, "the lock is there", func() bool { return isThere(filepath.Join(d.data, lockFile)) })
	held("in a session", "in Willow, about")
	d.Kill()
	held("after a crash", "roomd does not answer")
	d.start()
	d.do(room.Command{Do: room.Abort})
	rig.Eventually(t, "the lock is gone", func() bool { return !isThere(filepath.Join(d.data, lockFile)) })
	free("after the session")
	d.Kill()
	free("without a roomd")
	// One that is broken does not keep its cure away, nor does one that is not there.
	if err := errors.Join(os.WriteFile(filepath.Join(d.data, lockFile), nil, 0o600), os.Remove(filepath.Join(bin, "roomd")), os.WriteFile(filepath.Join(bin, "roomd"), []byte("#!/bin/sh\nexit 2\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if code, out := hold(); code != 0 || out != "" {
		t.Errorf("a broken roomd: %d %s", code, out)
	}
	if err := os.Remove(filepath.Join(bin, "roomd")); err != nil {
		t.Fatal(err)
	}
	if how := restarts(); how != "a" {
		t.Errorf("without the package needrestart restarts by %s", how)
	}
	if code, out := hold("DATA=" + t.TempDir() + "/gone"); code != 0 || out != "" {
		t.Errorf("without a room: %d %s", code, out)
	}
}

// aptWith has the real apt install a package with the package's hook, into a system of its own where dpkg only takes note.
func aptWith(t *testing.T, run func(env []string, name string, words ...string) (int, string)) func(env ...string) (out string, installed bool) {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, folder := range []string{"x/DEBIAN", "state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "log"} {
		if err := os.MkdirAll(at(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	hook, err := filepath.Abs("debian/hold")
	if err != nil {
		t.Fatal(err)
	}
	conf := strings.ReplaceAll(read(t, "debian/apt.conf"), "/usr/lib/roomd/hold", hook)
	if err := errors.Join(
		os.WriteFile(at("x/DEBIAN/control"), []byte("Package: roomd-test-x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.example>\nDescription: x\n"), 0o644),
		os.WriteFile(at("state/status"), nil, 0o644), os.WriteFile(at("hook.conf"), []byte(conf), 0o644),
		os.WriteFile(at("dpkg"), fmt.Appendf(nil, "#!/bin/sh\ncase \"$*\" in *--unpack*) touch %s;; esac\n", at("installed")), 0o755),
	); err != nil {
		t.Fatal(err)
	}
	if code, out := run(nil, "dpkg-deb", "-b", at("x"), at("x.deb")); code != 0 {
		t.Fatal(out)
	}
	return func(env ...string) (string, bool) {
		_ = os.Remove(at("installed"))
		words := []string{"-c", at("hook.conf"), "-y", "-q", "-o", "Dir::Etc=" + at("etc"), "-o", "Dir::State=" + at("state"), "-o", "Dir::State::status=" + at("state/status"), "-o", "Dir::Cache=" + at("cache"),
			"-o", "Dir::Log=" + at("log"), "-o", "Dir::Bin::dpkg=" + at("dpkg"), "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1", "install", at("x.deb")}
		_, out := run(env, "apt-get", words...)
		return out, isThere(at("installed"))
	}
}

// TestByHandInASession types what reads much while a session runs: it is done, because a person asked for it, and the session is named.
func TestByHandInASession(t *testing.T) {
	t.Parallel()
	d := holdRoom(t, "")
	d.start()
	folder := t.TempDir()
	try := func() (said string) {
		t.Helper()
		for _, words := range [][]string{{"backup", folder}, {"backup", "-"}, {"check"}} {
			code, out, bad := roomd(t, nil, append(words, "--data", d.data)...)
			if code != exitOK || out == "" {
				t.Errorf("%v: %d %s", words, code, bad)
			}
			said += bad
		}
		return said
	}
	if said := try(); strings.Contains(said, "session") {
		t.Error(said)
	}
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	rig.Eventually(t, "the session runs", func() bool { return d.snapshot().InSession() })
	if said := try(); strings.Count(said, "a session is running in Willow") != 3 || !strings.Contains(said, "roomd backup: ") || !strings.Contains(said, "roomd check: ") {
		t.Error(said)
	}
}

// TestAnalysisWaits brings music in a session: it is heard through after it.
func TestAnalysisWaits(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	d := holdRoom(t, "")
	d.start()
	comes := func(name string) {
		t.Helper()
		music(t, filepath.Join(d.data, "playlists"), map[string]tone{name + ".flac": {300, 5, -20}})
		text := "name: X\nphases: [{name: A, stage: preparation, length: 1m, music: " + name + ".flac}]\n"
		if err := os.WriteFile(filepath.Join(d.data, "playlists", name+".yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	heard := func(name string) func() bool {
		return func() bool {
			var list []room.PlaylistView
			d.get("/api/v1/playlists", &list)
			i := slices.IndexFunc(list, func(p room.PlaylistView) bool { return p.ID == name })
			return i >= 0 && list[i].Ready && !slices.ContainsFunc(list[i].Remarks, func(r room.RemarkView) bool { return strings.HasPrefix(r.Code, "tracks-") })
		}
	}
	began := time.Now()
	comes("early")
	rig.Eventually(t, "it is heard through without a session", heard("early"))
	took := time.Since(began)
	d.do(room.Command{Do: room.Start, Playlist: "evening"})
	for comes("late"); time.Since(began) < 3*took+time.Second; time.Sleep(100 * time.Millisecond) {
		if heard("late")() {
			t.Fatal("it is heard through in the session")
		}
	}
	d.do(room.Command{Do: room.Abort})
	rig.Eventually(t, "it is heard through", heard("late"))
}

func TestTimeLeft(t *testing.T) {
	for left, want := range map[time.Duration]string{0: "0 s", 59_900 * time.Millisecond: "59 s", 12*time.Minute + 50*time.Second: "12 min", 2*time.Hour + 4*time.Minute: "2 h 04 min"} {
		if got := (present{Room: "Willow", LeftMS: left.Milliseconds()}).String(); got != "a session is running in Willow, about "+want+" left" {
			t.Errorf("%v: %s", left, got)
		}
	}
}
