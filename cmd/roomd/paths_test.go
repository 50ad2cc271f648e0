package main

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"roomd/rig"
	"roomd/room"
)

// TestPaths holds for each command that takes a playlist that it takes every way to name one.
func TestPaths(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := t.TempDir()
	env := []string{"ROOMD_DATA=" + data}
	root, other := filepath.Join(data, "playlists"), t.TempDir()
	const text = "name: Short\nphases:\n  - {name: A, stage: preparation, length: 3s, music: music/one.wav, crossfade: 0s, lights: {scene: dusk, fade: 2s}}\n"
	for _, dir := range []string{root, other} {
		music(t, filepath.Join(dir, "music"), map[string]tone{"one.wav": {300, 3, -20}})
		music(t, filepath.Join(dir, "album"), map[string]tone{"one.wav": {300, 3, -20}})
		if err := os.WriteFile(filepath.Join(dir, "short.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) string {
		name = filepath.Join(other, name)
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative := func(p string) string {
		p, err := filepath.Rel(here, p)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	secret := filepath.Join(other, "secret.yaml")
	if err := os.Symlink("secret.yaml", secret); err != nil { // a loop can't be read, not even by root
		t.Fatal(err)
	}
	ways := []struct {
		name, file, folder string
		ok                 bool
	}{
		{"id", "short", "album", true},
		{"name below the folder", "short.yaml", "album", true},
		{"absolute, inside", filepath.Join(root, "short.yaml"), filepath.Join(root, "album"), true},
		{"relative, inside", relative(filepath.Join(root, "short.yaml")), relative(filepath.Join(root, "album")), true},
		{"absolute, outside", filepath.Join(other, "short.yaml"), filepath.Join(other, "album"), true},
		{"relative, outside", relative(filepath.Join(other, "short.yaml")), relative(filepath.Join(other, "album")), true},
		{"link to inside", link(filepath.Join(root, "short.yaml"), "in.yaml"), link(filepath.Join(root, "album"), "in"), true},
		{"link to outside", link(filepath.Join(other, "short.yaml"), "out.yaml"), link(filepath.Join(other, "album"), "out"), true},
		{"missing", filepath.Join(other, "gone.yaml"), filepath.Join(other, "gone"), false},
		{"unreadable", secret, secret, false},
	}
	out := filepath.Join(t.TempDir(), "out")
	commands := map[string]func(word string) []string{
		"check":    func(w string) []string { return []string{"check", w} },
		"render":   func(w string) []string { return []string{"render", w, "--out", out + ".wav"} },
		"plot":     func(w string) []string { return []string{"plot", w, "--out", out + ".svg"} },
		"simulate": func(w string) []string { return []string{"lights", "simulate", w} },
		"versions": func(w string) []string { return []string{"playlist", "versions", w} },
		"new":      func(w string) []string { return []string{"playlist", "new", w} },
	}
	for _, way := range ways {
		for name, args := range commands {
			word := way.file
			if name == "new" {
				word = way.folder
			}
			code, said, bad := roomd(t, env, args(word)...)
			if way.ok != (code == exitOK) || !way.ok && said+bad == "" {
				t.Errorf("%s, %s: %d %s %s", name, way.name, code, said, bad)
			}
			if way.ok && name == "check" && (!strings.Contains(said, "Short, 1 phases, 3s") || !strings.Contains(said, "0 errors")) {
				t.Errorf("%s, %s: %s", name, way.name, said)
			}
			_ = os.Remove(filepath.Join(root, "album.yaml"))
			_ = os.Remove(filepath.Join(other, "album.yaml"))
		}
	}

	// A tablet has no command line: a playlist is listened to by its ID, or by its file's name below the folder. No path of the
	// computer is taken, and an answer does not tell whether there is such a file.
	inside := func(to, name string) string {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(name, ".yaml")
	}
	deep := filepath.Join(root, "evening")
	if err := os.Mkdir(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "late.yaml"), []byte(strings.Replace(text, "music/", "../music/", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	heard := map[string]int{
		"short": 200, "short.yaml": 200, "evening/late": 200, "evening/late.yaml": 200,
		inside(filepath.Join(root, "short.yaml"), "in.yaml"):   200,
		inside(filepath.Join(other, "short.yaml"), "out.yaml"): 409,
		inside("loop.yaml", "loop.yaml"):                       404,
		"short.yml":                                            404, "gone": 404, "": 404,
	}
	for _, way := range ways {
		if strings.ContainsRune(way.file, '/') {
			heard[way.file] = 404
		}
	}
	d := daemonIn(t, data, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	d.ready("short")
	d.ready("evening/late")
	d.ready("in")
	for word, want := range heard {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.addr+"/api/v1/playlists/"+url.PathEscape(word)+"/audition?at=0&for=1000", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 404 && word != "" && !strings.Contains(string(said), "There is no playlist") {
			t.Errorf("listen to %q: %d %.200s", word, resp.StatusCode, said)
		}
		// In the room itself.
		status, body, err := d.post(room.Command{ID: room.NewID(), Do: room.Audition, Playlist: word})
		if err != nil || (status == 200) != (want == 200) || want == 404 && status != 422 {
			t.Errorf("audition of %q: %d %s %v", word, status, body, err)
		}
		if status == 200 {
			d.do(room.Command{Do: room.Silence})
		}
	}
}

// TestVersionsCommand lists, compares and restores a version, and says what is wrong with its number.
func TestVersionsCommand(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	env := []string{"ROOMD_DATA=" + data}
	root := filepath.Join(data, "playlists")
	const text = "name: NAME\nphases:\n  - {name: A, stage: preparation, length: 3s}\n"
	for file, name := range map[string]string{"x.yaml": "Now", ".versions/x.1.yaml": "Before"} {
		file = filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(text, "NAME", name, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"versions", "x"}, exitOK, "1  replaced 20"},
		{[]string{"compare", "x", "1"}, exitOK, "-name: Before\n+name: Now"},
		{[]string{"restore", "x", "7"}, exitError, "x has no version 7"},
		{[]string{"restore", "x", "seven"}, exitUsage, "not the number of a version"},
		{[]string{"restore", "x"}, exitUsage, "roomd playlist restore PLAYLIST NUMBER"},
		{[]string{"versions", "starter/quiet"}, exitError, "not a file"},
		{[]string{"restore", "x", "1"}, exitOK, "version 1 is restored"},
		{[]string{"versions", "x"}, exitOK, "2  replaced"},
	} {
		if code, out, bad := roomd(t, env, append([]string{"playlist"}, c.args...)...); code != c.code || !strings.Contains(out+bad, c.says) {
			t.Errorf("%v: %d %s %s", c.args, code, out, bad)
		}
	}
	if got, err := os.ReadFile(filepath.Join(root, "x.yaml")); err != nil || !strings.Contains(string(got), "Before") {
		t.Errorf("%s %v", got, err)
	}
}

// TestCheckStrict holds what makes check fail, and how much it prints.
func TestCheckStrict(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	env := []string{"ROOMD_DATA=" + data}
	var b strings.Builder
	b.WriteString("name: X\nphases:\n  - name: A\n    stage: preparation\n    length: 3s\n    crossfade: 0s\n    music:\n")
	for i := range 15 {
		b.WriteString("      - gone-" + strconv.Itoa(i) + ".flac\n")
	}
	file := filepath.Join(data, "playlists", "x.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	music(t, filepath.Join(data, "playlists"), map[string]tone{"heard.wav": {300, 3, -20}})
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"x"}, exitOK, "0 errors, "}, {[]string{"x", "--strict"}, exitError, "0 errors, "},
		{[]string{"--strict", "starter/quiet"}, exitOK, "0 errors, 0 warnings"},
		{[]string{"x"}, exitOK, "4 more warnings (roomd check --all lists them)"}, {[]string{"x", "--all"}, exitOK, `"gone-14.flac" is not there`},
	} {
		if code, out, bad := roomd(t, env, append([]string{"check"}, c.args...)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: %d %s %s", c.args, code, out, bad)
		}
	}
}

// TestCheckIsWatched holds what somebody sees while check listens: a bar on a terminal, a line a track with --verbose, nothing
// where all is known; and that it can be stopped, and goes on from there.
func TestCheckIsWatched(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	data := t.TempDir()
	tones := map[string]tone{}
	const tracks = 6
	for i := range tracks {
		tones[strconv.Itoa(i)+".flac"] = tone{200 + 30*float64(i), 90, -20}
	}
	music(t, filepath.Join(data, "playlists", "evening"), tones)
	start := func(args ...string) (*exec.Cmd, *os.File) {
		tty, slave := terminal(t)
		cmd := exec.CommandContext(t.Context(), theBinary(t), append([]string{"check", "evening"}, args...)...)
		cmd.Env = append(os.Environ(), "ROOMD_DATA="+data)
		cmd.Stderr = slave
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = slave.Close()
		return cmd, tty
	}
	cmd, tty := start("--verbose")
	seen := bufio.NewReader(tty)
	if line, err := seen.ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening to 1 of 6: ") {
		t.Fatalf("%q %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(seen) // a terminal ends with an error
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitError || !strings.Contains(string(rest), "stopped; the tracks that were listened to are kept") {
		t.Errorf("%v %s", err, rest)
	}
	cmd, tty = start()
	bar, _ := io.ReadAll(tty)
	if err := cmd.Wait(); err != nil || !regexp.MustCompile(`\d\.flac .*\(\d/\d`).Match(bar) || !strings.Contains(string(bar), "█") {
		t.Errorf("%v %q", err, bar)
	}
	cmd, tty = start("--verbose")
	again, _ := io.ReadAll(tty)
	if err := cmd.Wait(); err != nil || len(again) > 0 {
		t.Errorf("listened again: %v %s", err, again)
	}
	if _, out, bad := roomd(t, []string{"ROOMD_DATA=" + data}, "check", "evening"); bad != "" || !strings.Contains(out, "0 errors") {
		t.Errorf("%s %s", out, bad)
	}
}

// terminal opens a pseudo terminal: what is written to slave is read from tty.
func terminal(t *testing.T) (tty, slave *os.File) {
	t.Helper()
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	if err := unix.IoctlSetPointerInt(int(tty.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return tty, slave
}
