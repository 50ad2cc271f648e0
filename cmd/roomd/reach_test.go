package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"roomd/rig"
)

// TestWhoRunsWhat tries each command of the guides as each kind of user, while the room's roomd runs and while it does not. The room's
// own user and root do it. A member of the group does what the running room does for members. All others get one line with what to type,
// which then does it, and no command makes anything of its own.
func TestWhoRunsWhat(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	program, data, lists := installed(t)
	port := rig.FreePort(t)
	file := filepath.Join(data, "room.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "room: Willow\nlisten: \"127.0.0.1:%d\"\nhttps: off\naudio: {output: none}\n", port), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lists, "evening.yaml"), []byte(shortPlaylist), 0o644); err != nil {
		t.Fatal(err)
	}
	// In the place of sudo: it has the test run a line as the user that the line names.
	bin := t.TempDir()
	sudo := fmt.Sprintf("#!/bin/sh\n[ \"$1 $2\" = '-u #%[1]d' ] || exit 99\nshift 2\nexec setpriv --reuid %[1]d --regid %[1]d --clear-groups -- \"$@\"\n", roomdID)
	if err := os.WriteFile(filepath.Join(bin, "sudo"), []byte(sudo), 0o755); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(home), 0o755), os.Chmod(home, 0o777)); err != nil {
		t.Fatal(err)
	}
	// As systemd makes it.
	runtime := filepath.Join(filepath.Dir(data), "run")
	if err := errors.Join(os.Mkdir(runtime, 0o750), os.Chown(runtime, roomdID, roomdID)); err != nil {
		t.Fatal(err)
	}
	const strangerID = 64103
	users := map[string]*syscall.Credential{
		"the room's user": {Uid: roomdID, Gid: roomdID},
		"root":            nil,
		"a stranger":      {Uid: strangerID, Gid: strangerID},
		"a member":        {Uid: guestID, Gid: guestID, Groups: []uint32{roomdID}},
	}
	for user := range users {
		if err := errors.Join(os.Mkdir(filepath.Join(home, user), 0o777), os.Chmod(filepath.Join(home, user), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	roomdAs := func(user string, words ...string) (int, string, string) {
		cmd := exec.CommandContext(t.Context(), program, words...)
		cmd.Dir, cmd.Env = filepath.Join(home, user), []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(home, user), "ROOMD_DATA=" + data, "RUNTIME_DIRECTORY=" + runtime}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: users[user]}
		var out, bad strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &bad
		_ = cmd.Run() // its exit code tells
		return cmd.ProcessState.ExitCode(), out.String(), bad.String()
	}
	type row struct {
		words    []string
		up, down int // exit codes of those who may
		says     string
		member   bool // the running room does it for a member
	}
	commands := []row{
		{[]string{"setup", "--yes"}, exitOK, exitOK, "", false},
		{[]string{"pair"}, exitOK, exitOK, "One device may steer", false},
		{[]string{"pair", "Anna's tablet", "--observer"}, exitOK, exitOK, "One device may watch", false},
		{[]string{"desk"}, exitError, exitError, "is a room's folder", false}, // ROOMD_DATA names the room's
		{[]string{"desk", "pair"}, exitError, exitError, "is a room's folder", false},
		{[]string{"token", "create", "NEW", "--observer"}, exitOK, exitOK, "", false},
		{[]string{"token", "list", "--json"}, exitOK, exitOK, "[", false},
		{[]string{"token", "revoke", "nobody"}, exitError, exitError, "no token is called", false},
		{[]string{"lights"}, exitError, exitError, "the simulated ones", true},
		{[]string{"lights", "--json"}, exitError, exitError, "the simulated ones", true},
		{[]string{"lights", "test", "ambient"}, exitError, exitError, "", false},
		{[]string{"check", "--quick"}, exitOK, exitOK, "0 errors", false},
		{[]string{"check", "evening"}, exitOK, exitOK, "0 errors", false},
		{[]string{"playlist", "new", "evening"}, exitError, exitError, "no folder or list \"evening\"", false},
		{[]string{"playlist", "versions", "evening"}, exitOK, exitOK, "", false},
		{[]string{"playlist", "compare", "evening", "1"}, exitError, exitError, "has no version 1", false},
		{[]string{"playlist", "restore", "evening", "1"}, exitError, exitError, "has no version 1", false},
		{[]string{"render", "evening", "--out", "NEW.wav"}, exitOK, exitOK, "", false},
		{[]string{"plot", "evening", "--out", "NEW.svg"}, exitOK, exitOK, "", false},
		{[]string{"lights", "simulate", "evening"}, exitOK, exitOK, "", false},
		{[]string{"doctor"}, exitError, exitError, "room file", true}, // no roomd runs, or the room is silent: both are wrong
		{[]string{"doctor", "--json"}, exitError, exitError, `"check": "room file"`, true},
		{[]string{"backup", "-"}, exitOK, exitOK, "\x1f\x8b", false},
		{[]string{"backup", "."}, exitOK, exitOK, "", false},
		{[]string{"report", "-"}, exitOK, exitOK, "PK", true},
		{[]string{"report"}, exitOK, exitOK, "", true},
		{[]string{"report", "NEW.zip"}, exitOK, exitOK, "", true},
		{[]string{"restore", "-", "--yes"}, exitError, exitError, "", false},
		{[]string{"wait-idle"}, exitOK, exitOK, "", true},
		{[]string{"wait-idle", "--timeout", "5m"}, exitOK, exitOK, "", true},
		{[]string{"desk", "join", "127.0.0.1:1", "no-code"}, exitError, exitError, "", false},
		{[]string{"desk", "leave"}, exitOK, exitError, "", false},
		{[]string{"first-code"}, exitError, exitError, "not a card's code", false},
	}
	// Each command that needs a room is among them. That serve does not end is tried below.
	var missed func(cmd *cobra.Command)
	missed = func(cmd *cobra.Command) {
		if cmd.Annotations["on"] != "" && cmd.Name() != "serve" && !slices.ContainsFunc(commands, func(c row) bool {
			return strings.HasPrefix("roomd "+strings.Join(c.words, " ")+" ", cmd.CommandPath()+" ")
		}) {
			t.Errorf("%s is not tried", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			missed(sub)
		}
	}
	missed(commandLine(&call{env: os.Getenv}))
	made := 0
	try := func(up bool) {
		for _, c := range commands {
			want := c.down
			if up {
				want = c.up
			}
			if up && c.words[0] == "doctor" {
				c.says = "Version" // the running room has looked
			}
			for user := range users {
				made++
				words := slices.Clone(c.words)
				for i, w := range words {
					words[i] = strings.Replace(w, "NEW", fmt.Sprint("made-", made), 1)
				}
				code, out, bad := roomdAs(user, words...)
				if user == "the room's user" || user == "root" || user == "a member" && up && c.member {
					if code != want || !strings.Contains(out+bad, c.says) {
						t.Errorf("running %v, %s, %v: %d %.300q %s", up, user, c.words, code, out, bad)
					}
					continue
				}
				_, line, ok := strings.Cut(strings.TrimSuffix(bad, "\n"), "type: ")
				if code != exitError || out != "" || !ok || strings.Contains(line, "\n") {
					t.Errorf("running %v, %s, %v: %d %.300q %q", up, user, c.words, code, out, bad)
					continue
				}
				cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
				cmd.Dir, cmd.Env = filepath.Join(home, user), []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home}
				said, _ := cmd.CombinedOutput()
				if cmd.ProcessState.ExitCode() != want || !strings.Contains(string(said), c.says) {
					t.Errorf("running %v, %v: %s: %d %.300q", up, c.words, line, cmd.ProcessState.ExitCode(), said)
				}
			}
		}
	}
	try(false)
	for user := range users {
		if code, out, bad := roomdAs(user, "restore", "gone.tar.gz"); code != exitError || out != "" || !strings.Contains(bad, "gone.tar.gz: no such file") {
			t.Errorf("%s, restore: %d %s %s", user, code, out, bad)
		}
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(log, 0o755); err != nil {
		t.Fatal(err)
	}
	rig.Run(t, log, "setpriv", []string{"HOME=" + home, "RUNTIME_DIRECTORY=" + runtime}, "--reuid", fmt.Sprint(roomdID), "--regid", fmt.Sprint(roomdID), "--clear-groups", "--", program, "serve", "--data", data)
	rig.Eventually(t, "it runs", func() bool {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", port))
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	for dir, want := range map[string]fs.FileMode{data: 0o600, runtime: 0o660} {
		if st, err := os.Stat(filepath.Join(dir, socketName)); err != nil || st.Mode().Perm() != want || st.Mode()&fs.ModeSocket == 0 {
			t.Errorf("the socket in %s: %v %v", dir, st, err)
		}
	}
	try(true)
	for user := range users {
		code, out, bad := roomdAs(user, "serve")
		if may := user == "the room's user" || user == "root"; code != exitError || out != "" || strings.Count(bad, "another roomd uses")+strings.Count(bad, "type: sudo -u") != 1 || may != strings.Contains(bad, "another roomd") {
			t.Errorf("%s, serve: %d %s %s", user, code, out, bad)
		}
	}

	// What needs no room works for everybody. A playlist of one's own is checked, and the line says what is left out.
	mine := filepath.Join(home, "mine.yaml")
	if err := os.WriteFile(mine, []byte("name: Mine\nphases:\n  - {name: A, stage: preparation, length: 3s, music: {bed: rain}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for user := range users {
		for _, words := range [][]string{{"version"}, {"--version"}, {"schema", "room"}, {"check", "--help"}, {"completion", "zsh"}, {"check", "starter/tour"}} {
			if code, _, bad := roomdAs(user, words...); code != exitOK {
				t.Errorf("%s, %v: %d %s", user, words, code, bad)
			}
		}
		other := user != "root" && user != "the room's user"
		if code, out, bad := roomdAs(user, "check", mine); code != exitOK || !strings.Contains(out, "0 errors") || other != strings.Contains(bad, "with them: sudo -u") {
			t.Errorf("%s: %d %s %s", user, code, out, bad)
		}
		if code, _, bad := roomdAs(user, "playlist", "compare", mine, "1"); code != exitError || !strings.Contains(bad, "has no version 1") {
			t.Errorf("%s: %d %s", user, code, bad)
		}
		if code, _, bad := roomdAs(user, "check", "mine.yaml", "gone"); code != exitError || bad == "" && other {
			t.Errorf("%s: %d %s", user, code, bad)
		}
	}
	if made, _ := filepath.Glob(filepath.Join(home, "*", ".local")); len(made) > 0 {
		t.Errorf("made at home: %v", made)
	}
	err := filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := e.Info(); err == nil && info.Sys().(*syscall.Stat_t).Uid != roomdID && e.Type()&fs.ModeSymlink == 0 {
			t.Errorf("%s is not roomd's", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestNoRoomIsMade has each command that means a room look for one that is not there: it says so, in one line, and makes none.
func TestNoRoomIsMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "new", "data")
	for _, words := range [][]string{{"pair"}, {"token", "list"}, {"token", "create", "x"}, {"lights"}, {"lights", "test", "ambient"}, {"check"}, {"doctor"}, {"backup", dir}, {"backup", "-"}, {"report", "-"}, {"wait-idle"}, {"report", filepath.Join(dir, "r.zip")}} {
		code, out, bad := roomd(t, []string{"ROOMD_DATA=" + data}, words...)
		if code != exitError || out != "" || strings.Count(bad, "\n") != 1 || !strings.Contains(bad, "roomd serve --data "+data) {
			t.Errorf("%v: %d %s %s", words, code, out, bad)
		}
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
		t.Error("made:", all, err)
	}
	// What names its files needs none.
	cache := t.TempDir()
	config := filepath.Join(cache, "mine.yaml")
	if err := os.WriteFile(config, []byte("rom: X\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"ROOMD_DATA=" + data, "XDG_CACHE_HOME=" + cache}
	if code, out, bad := roomd(t, env, "check", "starter/tour"); code != exitOK || bad != "" {
		t.Errorf("%d %s %s", code, out, bad)
	}
	if code, out, _ := roomd(t, append(env, "ROOMD_CONFIG="+config), "check", "starter/tour"); code != exitError || !strings.Contains(out, "mine.yaml:1:1") {
		t.Errorf("%d %s", code, out)
	}
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestLines holds how the line to type is written: the environment that sudo drops, words with blanks, and files that only the user
// who types it may open.
func TestLines(t *testing.T) {
	t.Parallel()
	stick := t.TempDir()
	for _, l := range []struct {
		args []string
		env  map[string]string
		want string
	}{
		{[]string{"pair"}, nil, "sudo -u roomd roomd pair"},
		{[]string{"pair", "Anna's"}, map[string]string{"ROOMD_DATA": "/srv/my room"}, `sudo -u roomd roomd pair 'Anna'\''s' --data '/srv/my room'`},
		{[]string{"report"}, nil, "sudo -u roomd roomd report - >roomd-report.zip"},
		{[]string{"report", "a b.zip"}, nil, "sudo -u roomd roomd report - >'a b.zip'"},
		{[]string{"backup", stick, "--music"}, nil, "sudo -u roomd roomd backup - --music >" + stick + "/roomd.tar.gz"},
		{[]string{"restore", "old.tar.gz"}, nil, "sudo -u roomd roomd restore - <old.tar.gz"},
		{[]string{"serve"}, nil, "sudo systemctl start roomd"},
		{[]string{"setup"}, nil, "sudo -u roomd roomd setup"},
	} {
		c := &call{args: l.args, env: func(name string) string { return l.env[name] }}
		root := commandLine(c)
		c.data = packageData
		cmd, words, err := root.Find(l.args)
		if err != nil {
			t.Fatal(err)
		}
		var plain []string
		for _, w := range words {
			if !strings.HasPrefix(w, "-") {
				plain = append(plain, w)
			}
		}
		if got := strings.Replace(c.line(cmd, "roomd", plain), shell(os.Args[0]), "roomd", 1); got != l.want {
			t.Errorf("%v: %s, not %s", l.args, got, l.want)
		}
	}
}
