package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"roomd/rig"
	"roomd/room"
)

// masked runs roomd with another umask.
func masked(t *testing.T, umask string, args ...string) (out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `umask "$0"; exec "$@"`, umask, theBinary(t)}, args...)...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(b)
}

// served starts a roomd with another umask, pairs a device, plays a moment and edits a playlist, and ends it.
func served(t *testing.T, umask, data string) {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), data: data, addr: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), inside: []string{"sh", "-c", `umask "$0"; exec "$@"`, umask}}
	d.start()
	_, token, _ := roomd(t, nil, "token", "create", room.NewID(), "--data", data)
	d.token = strings.TrimSpace(token)
	// The second time a session runs already.
	if status, body, err := d.post(room.Command{ID: room.NewID(), Do: room.Start, Playlist: "starter/tour"}); err != nil || status != http.StatusOK && status != http.StatusConflict {
		t.Fatal(status, body, err)
	}
	d.Kill()
}

// TestFilesArePrivate tries each umask with each command that may be the first in a room's life, then all the others: whatever
// roomd makes belongs to its owner alone.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	source := newDaemon(t, nil, map[string]string{"room.yaml": fmt.Sprintf("room: Willow\naudio: {output: none}\nhttps: {listen: \"127.0.0.1:%d\"}\n", rig.FreePort(t)), "lights/a.json": "{}", "playlists/a.yaml": aPlaylist})
	archives := t.TempDir()
	if code, _, err := roomd(t, nil, "backup", archives, "--data", source.dir); code != exitOK {
		t.Fatal(err)
	}
	archive, _ := filepath.Glob(filepath.Join(archives, "*.tar.gz"))
	album := filepath.Join(t.TempDir(), "album", "01 Arrival 5m")
	music(t, album, map[string]tone{"a.flac": {300, 1, -20}})
	steps := map[string]func(t *testing.T, umask, data string){
		"serve":   served,
		"pair":    func(t *testing.T, u, data string) { masked(t, u, "pair", "--data", data) },
		"token":   func(t *testing.T, u, data string) { masked(t, u, "token", "create", room.NewID(), "--data", data) },
		"setup":   func(t *testing.T, u, data string) { masked(t, u, "setup", "--yes", "--data", data) },
		"check":   func(t *testing.T, u, data string) { masked(t, u, "check", "--data", data) },
		"doctor":  func(t *testing.T, u, data string) { masked(t, u, "doctor", "--data", data) },
		"backup":  func(t *testing.T, u, data string) { masked(t, u, "backup", archives, "--data", data) },
		"restore": func(t *testing.T, u, data string) { masked(t, u, "restore", archive[0], "--data", data) },
		"playlist": func(t *testing.T, u, data string) {
			evening := room.NewID()
			if err := errors.Join(os.MkdirAll(filepath.Join(data, "playlists"), 0o700), os.CopyFS(filepath.Join(data, "playlists", evening), os.DirFS(filepath.Dir(album)))); err != nil {
				t.Fatal(err)
			}
			if out := masked(t, u, "playlist", "new", evening, "--data", data); !strings.Contains(out, evening+".yaml") {
				t.Error(out)
			}
		},
	}
	for first := range steps {
		for _, umask := range []string{"0000", "0077"} {
			t.Run(first+" "+umask, func(t *testing.T) {
				t.Parallel()
				data := filepath.Join(t.TempDir(), "data")
				// Whatever needs a room says that there is none, and makes none.
				if slices.Contains([]string{"pair", "token", "check", "doctor", "backup"}, first) {
					words := append([]string{first, "--data", data}, map[string][]string{"token": {"list"}, "backup": {archives}}[first]...)
					if out := masked(t, umask, words...); !strings.Contains(out, "there is no room in") {
						t.Error(out)
					}
				} else {
					steps[first](t, umask, data)
					private(t, data)
				}
				// Setup makes its schema only where there is no room file yet.
				for _, name := range append([]string{"setup"}, slices.Sorted(maps.Keys(steps))...) {
					if name != first {
						steps[name](t, umask, data)
					}
				}
				served(t, umask, data)
				private(t, data)
				for _, made := range []string{"room.yaml", "room.yaml.kept", "roomd.db", "roomd.db-wal", "identity.json", ".schema/room.json", "tls/codes.key", "tls/authority.pem", "analysis/index", "lights/a.json", "uploads", "playlists/.schema/playlist.json", "playlists/a.yaml", "before-restore-*/roomd.db"} {
					if there, _ := filepath.Glob(filepath.Join(data, made)); len(there) == 0 && (first != "restore" || made != ".schema/room.json" && !strings.HasPrefix(made, "before")) {
						t.Errorf("no %s was made: this test misses it", made)
					}
				}
			})
		}
	}
	t.Cleanup(func() {
		for _, a := range archive {
			rights(t, a, 0o600)
		}
	})
}

const aPlaylist = "name: Evening\nphases: [{name: A, stage: preparation, length: 10m, music: rain}]\n"

// private looks at the rights of all that is in a data folder. Music that somebody else put there is theirs.
func private(t *testing.T, data string) {
	t.Helper()
	err := filepath.WalkDir(data, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if rel, _ := filepath.Rel(data, file); strings.HasPrefix(rel, "playlists/") && !strings.Contains(rel, ".schema") && filepath.Ext(rel) != ".yaml" {
			return err
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be used by others: %v", file, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestOlderFoldersAreTightened starts in a data folder as an earlier version left it, with files of somebody else beside.
func TestOlderFoldersAreTightened(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\naudio: {output: none}\nhttps: {off: true}\n", "lights/a.json": "{}", "tls/authority.pem": "",
		"room.yaml.kept": "", "room.yaml.before-2026-01-01T000000": "", "roomd.db.damaged-1": "", "before-restore-2026-01-01T000000/tls/authority.pem": "", "analysis/ab/abc": "x",
		"notes.txt": "of somebody else", "playlists/evening/a.yaml": aPlaylist})
	err := filepath.WalkDir(d.dir, func(file string, e fs.DirEntry, err error) error {
		if mode := fs.FileMode(0o644); err == nil && e.IsDir() {
			return os.Chmod(file, 0o755)
		} else if err == nil {
			return os.Chmod(file, mode)
		}
		return err
	})
	outside := filepath.Join(t.TempDir(), "theirs")
	if err := errors.Join(err, os.Chmod(filepath.Join(d.dir, "playlists"), 0o2770|fs.ModeSetgid), os.WriteFile(outside, nil, 0o644), os.Chmod(outside, 0o644), os.Symlink(outside, filepath.Join(d.dir, "lights", "link.json"))); err != nil {
		t.Fatal(err)
	}
	d.start()
	for name, want := range map[string]fs.FileMode{".": 0o700, "room.yaml": 0o600, "room.yaml.kept": 0o600, "room.yaml.before-2026-01-01T000000": 0o600, "roomd.db": 0o600, "roomd.db-wal": 0o600, "roomd.db.damaged-1": 0o600, "lights": 0o700,
		"lights/a.json": 0o600, "tls": 0o700, "tls/codes.key": 0o600, "analysis": 0o700, "before-restore-2026-01-01T000000": 0o700, "before-restore-2026-01-01T000000/tls/authority.pem": 0o600,
		"notes.txt": 0o644, "playlists": 0o770 | fs.ModeSetgid, "playlists/evening": 0o755, "playlists/evening/a.yaml": 0o644, "../" + filepath.Base(d.dir) + "/lights/link.json": 0o644} {
		rights(t, filepath.Join(d.dir, name), want)
	}
}

// rights checks the mode of a file or folder.
func rights(t *testing.T, file string, want fs.FileMode) {
	t.Helper()
	if st, err := os.Stat(file); err != nil {
		t.Error(err)
	} else if got := st.Mode() & (fs.ModePerm | fs.ModeSetgid); got != want {
		t.Errorf("%s has %v, not %v", file, got, want)
	}
}

// The users of the tests below: roomd's, and one in its group.
const roomdID, guestID = 64101, 64102

// asUser runs a program as another user, in the group of roomd.
func asUser(t *testing.T, uid uint32, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = "/"
	gid := uint32(guestID)
	if uid == roomdID {
		gid = roomdID
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: []uint32{roomdID}}}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// installed lays a room out as the package does, and a roomd that every user may run.
func installed(t *testing.T) (program, data, lists string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be other users")
	}
	top := t.TempDir()
	for dir := top; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program, data, lists = filepath.Join(top, "roomd"), filepath.Join(top, "data"), filepath.Join(top, "playlists")
	// By a process of its own: while a file is open for writing here, a child of another test may hold it too, and nobody can start it.
	if err := errors.Join(exec.Command("cp", theBinary(t), program).Run(), os.Chmod(program, 0o755), os.Mkdir(data, 0o700), os.Chown(data, roomdID, roomdID),
		os.Mkdir(lists, 0o770), os.Chown(lists, roomdID, roomdID), os.Chmod(lists, 0o770|fs.ModeSetgid), os.Symlink(lists, filepath.Join(data, "playlists")),
		os.WriteFile(filepath.Join(data, "room.yaml"), []byte("room: Willow\nmqtt: {broker: \"mqtt://u:secret@localhost\"}\n"), 0o600), os.Chown(filepath.Join(data, "room.yaml"), roomdID, roomdID)); err != nil {
		t.Fatal(err)
	}
	return program, data, lists
}

// TestGroupAddsPlaylists has a member of roomd's group add playlists and music beside what roomd makes, and try to read what is
// the room's.
func TestGroupAddsPlaylists(t *testing.T) {
	t.Parallel()
	program, data, lists := installed(t)
	for _, args := range [][]string{{"pair"}, {"token", "create", "x"}} {
		if out, err := asUser(t, roomdID, program, append(args, "--data", data)...); err != nil {
			t.Fatal(out, err)
		}
	}
	album := filepath.Join(t.TempDir(), "01 Arrival 5m")
	music(t, album, map[string]tone{"a.flac": {300, 1, -20}})
	if out, err := asUser(t, guestID, "sh", "-c", fmt.Sprintf("mkdir -p %[1]s/evening && cp -r '%[2]s' %[1]s/evening/ && printf '%[3]s' >%[1]s/late.yaml", lists, album, strings.ReplaceAll(aPlaylist, "\n", `\n`))); err != nil {
		t.Fatal(out, err)
	}
	if out, err := asUser(t, roomdID, program, "playlist", "new", "evening", "--data", data); err != nil {
		t.Fatal(out, err)
	}
	if out, err := asUser(t, roomdID, program, "check", "late", "evening", "--data", data); err != nil {
		t.Fatal(out, err)
	}
	if out, err := asUser(t, guestID, "sh", "-c", "echo '# more' >>"+filepath.Join(lists, "evening.yaml")+" && touch "+filepath.Join(lists, ".schema", "x")); err != nil {
		t.Error("the group can't use what roomd made:", out, err)
	}
	rights(t, filepath.Join(lists, ".schema"), 0o770|fs.ModeSetgid)
	for _, private := range []string{"", "room.yaml", "roomd.db", "roomd.db-wal", "tls", "tls/codes.key", "analysis"} {
		if out, err := asUser(t, guestID, "ls", "-l", filepath.Join(data, private)); err == nil || !strings.Contains(out, "Permission denied") {
			t.Errorf("the group sees %s: %s", private, out)
		}
	}
}

// TestRootActsAsTheOwner has root run what the owner of a data folder should. Nothing in it becomes root's, root follows no link in
// it, and both lines of the guide work: a backup by root, restored by roomd.
func TestRootActsAsTheOwner(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	program, data, _ := installed(t)
	at := []string{"--data", data}
	root := func(args ...string) (int, string) {
		cmd := exec.CommandContext(t.Context(), program, append(args, at...)...)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	to := t.TempDir()
	for _, args := range [][]string{{"token", "create", "tablet"}, {"pair"}, {"setup", "--yes"}, {"check"}, {"report", filepath.Join(to, "r.zip")}, {"backup", to}} {
		if code, out := root(args...); code != exitOK {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	strangers := func() {
		t.Helper()
		err := filepath.WalkDir(data, func(file string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.Sys().(*syscall.Stat_t).Uid != roomdID && e.Name() != "playlists" {
				t.Errorf("%s is not the owner's", file)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	strangers()
	archive, _ := filepath.Glob(filepath.Join(to, "roomd-Willow-*.tar.gz"))
	if len(archive) != 1 {
		t.Fatal(archive)
	}
	if err := os.Chmod(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := asUser(t, roomdID, program, append([]string{"restore", archive[0]}, at...)...); err != nil || !strings.Contains(out, "Restored: room Willow") {
		t.Errorf("the second line of the guide: %v %s", err, out)
	}
	// One that only root may read, by root.
	if err := errors.Join(os.Chown(archive[0], 0, 0), os.Chmod(to, 0o700)); err != nil {
		t.Fatal(err)
	}
	if code, out := root("restore", archive[0]); code != exitOK {
		t.Error(code, out)
	}
	if code, out := root("token", "list"); code != exitOK || !strings.Contains(out, "tablet") {
		t.Error(code, out)
	}
	strangers()
	// What root may read and roomd may not.
	secret := filepath.Join(t.TempDir(), "secret")
	file := filepath.Join(data, "room.yaml")
	if err := errors.Join(os.WriteFile(secret, []byte("room: Secret\n"), 0o600), os.Remove(file), os.Symlink(secret, file)); err != nil {
		t.Fatal(err)
	}
	if code, out := root("backup", to); code != exitError || strings.Contains(out, "Secret") {
		t.Error(code, out)
	}
	if archives, _ := filepath.Glob(filepath.Join(to, "*.tar.gz")); len(archives) != 1 {
		t.Error(archives)
	}
}

// TestBackupRefusesLinks plants a link at each path that a backup packs.
func TestBackupRefusesLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"room.yaml", "roomd.db", "lights", "tls"} {
		d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\n", "lights/a.json": "{}", "tls/authority.pem": "x"})
		to := t.TempDir()
		planted := filepath.Join(d.dir, name)
		if err := errors.Join(os.Rename(planted, filepath.Join(to, name)), os.Symlink(filepath.Join(to, name), planted)); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := roomd(t, nil, "backup", to, "--data", d.dir); code != exitError || !strings.Contains(errs, planted+" is a link") {
			t.Errorf("%s: %d %s%s", name, code, out, errs)
		}
		if made, _ := filepath.Glob(filepath.Join(to, "*.tar.gz")); len(made) > 0 {
			t.Error("a backup was made:", made)
		}
	}
	// One in the playlists folder is left out, and the folder itself may be a link: it is the installer's.
	d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\n", "real/a.yaml": aPlaylist, "elsewhere/b.yaml": aPlaylist})
	to := t.TempDir()
	if err := errors.Join(os.RemoveAll(filepath.Join(d.dir, "playlists")), os.Symlink("real", filepath.Join(d.dir, "playlists")), os.Symlink("../elsewhere", filepath.Join(d.dir, "real", "more")), os.Symlink("../elsewhere/b.yaml", filepath.Join(d.dir, "real", "b.yaml"))); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := roomd(t, nil, "backup", to, "--data", d.dir); code != exitOK {
		t.Fatal(errs)
	}
	made, _ := filepath.Glob(filepath.Join(to, "*.tar.gz"))
	names := namesIn(t, made[0])
	if !slices.Contains(names, "playlists/a.yaml") || slices.Contains(names, "playlists/b.yaml") || slices.Contains(names, "playlists/more/b.yaml") {
		t.Error(names)
	}
}

func namesIn(t *testing.T, archive string) (names []string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(z)
	for h, err := r.Next(); err == nil; h, err = r.Next() {
		names = append(names, h.Name)
	}
	return names
}

// packed is an archive. The first file is added.
func packed(headers []tar.Header, texts []string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	about := `{"format":1,"version":"v1","room":"Willow"}`
	headers, texts = append([]tar.Header{{Name: backupAbout, Typeflag: tar.TypeReg}}, headers...), append([]string{about}, texts...)
	for k, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o4777
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(texts[k]))
		}
		if err := w.WriteHeader(&h); err != nil {
			continue // what no archive can hold
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = w.Write([]byte(texts[k]))
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

// restoreProperty restores random archives into random folders with links in them: nothing outside of the target is changed, no
// link is followed, and where restore fails before it begins, nothing is changed at all.
func restoreProperty(t *rapid.T, tmp func() string) {
	top := tmp()
	outside, data := filepath.Join(top, "outside"), filepath.Join(top, "data")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(errors.Join(os.MkdirAll(filepath.Join(outside, "folder"), 0o700), os.MkdirAll(filepath.Join(data, "playlists", "have"), 0o700)))
	for _, f := range []string{"a.yaml", "folder/a.yaml", "room.yaml", "roomd.db"} {
		must(os.WriteFile(filepath.Join(outside, f), []byte("theirs"), 0o600))
	}
	must(os.WriteFile(filepath.Join(data, "playlists", "have", "a.yaml"), []byte("ours"), 0o600))
	paths := []string{"room.yaml", "roomd.db", "roomd.db-wal", "roomd.db-shm", "lights", "tls", "lights/a.json", "tls/authority.pem", "playlists/a.yaml", "playlists/have", "playlists/have/a.yaml", "playlists/x", "playlists/x/a.yaml"}
	for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(paths), 0, 4, rapid.ID).Draw(t, "planted") {
		at := filepath.Join(data, p)
		_ = os.MkdirAll(filepath.Dir(at), 0o700)
		_ = os.RemoveAll(at)
		_ = os.Symlink(filepath.Join(outside, rapid.SampledFrom([]string{"a.yaml", "folder", "nowhere"}).Draw(t, "to")), at) // where a link is above it, it can't be
	}
	if rapid.Bool().Draw(t, "planted through a link") {
		_ = os.WriteFile(filepath.Join(outside, "a.yaml"), []byte("theirs"), 0o600)
	}
	names := append(paths, "playlists/../room.yaml", "playlists/./a.yaml", "../outside/a.yaml", outside+"/a.yaml", "playlists/../../outside/a.yaml", "playlists//a.yaml", "playlists/x/../../../outside/a.yaml", "tls", "playlists", `playlists/..\..\a.yaml`, "analysis/index", "playlists/.schema/a.yaml", "playlists/x/y/z/a.yaml")
	var headers []tar.Header
	var texts []string
	for range rapid.IntRange(0, 5).Draw(t, "files") {
		h := tar.Header{Name: rapid.SampledFrom(names).Draw(t, "name"), Typeflag: rapid.SampledFrom([]byte{tar.TypeReg, tar.TypeReg, tar.TypeReg, tar.TypeReg, tar.TypeSymlink, tar.TypeLink, tar.TypeDir, tar.TypeChar, tar.TypeFifo}).Draw(t, "type")}
		if h.Typeflag != tar.TypeReg {
			h.Linkname = rapid.SampledFrom([]string{outside, outside + "/a.yaml", "../../outside", "room.yaml"}).Draw(t, "link")
		}
		headers, texts = append(headers, h), append(texts, rapid.SampledFrom([]string{"new", "", aPlaylist}).Draw(t, "text"))
	}
	file := filepath.Join(top, "x.tar.gz")
	must(os.WriteFile(file, packed(headers, texts), 0o600))
	was, wasData := tree(t, outside), tree(t, data)
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"restore", file, "--data", data, "--yes", "--tokens"}, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
	if now := tree(t, outside); now != was {
		t.Fatalf("outside was\n%s\nand is\n%s", was, now)
	}
	if now := tree(t, data); code != exitOK && strings.Contains(errs.String(), "nothing was changed") && now != wasData {
		t.Fatalf("%s\nbut it was\n%s\nand is\n%s", errs.String(), wasData, now)
	} else if code == exitOK && strings.Contains(now, " 4") {
		t.Fatal("rights of the archive's:", now)
	} else if code != exitOK && !strings.Contains(errs.String(), "nothing was changed") {
		t.Fatalf("it began and failed: %s", errs.String())
	}
}

// tree tells of all that is in a folder.
func tree(t interface{ Fatal(...any) }, dir string) string {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %o", file, info.Mode())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(file)
			fmt.Fprintf(&b, " %q %v", text, err)
		} else if to, err := os.Readlink(file); err == nil {
			fmt.Fprint(&b, " -> ", to)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRestoreProperty(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		restoreProperty(rt, func() string { n++; return filepath.Join(top, fmt.Sprint(n)) })
	})
}

// TestRestoreAsks restores an archive whose room file runs a command: it says which, and does nothing until somebody has agreed.
func TestRestoreAsks(t *testing.T) {
	t.Parallel()
	data, file := t.TempDir(), filepath.Join(t.TempDir(), "x.tar.gz")
	if err := os.WriteFile(file, packed([]tar.Header{{Name: "room.yaml", Typeflag: tar.TypeReg}}, []string{"room: Evil\naudio: {output: {command: [sh, -c, \"touch /tmp/x\"]}}\nmqtt: {broker: \"mqtt://localhost\", commands: allowed}\n"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		typed string
		more  []string
		code  int
	}{{"", nil, exitError}, {"no\n", nil, exitError}, {"\n", nil, exitError}, {"perhaps\n", nil, exitError}, {"yes\n", nil, exitOK}, {"", []string{"--yes"}, exitOK}} {
		_ = os.Remove(filepath.Join(data, "room.yaml"))
		cmd := exec.CommandContext(t.Context(), theBinary(t), append([]string{"restore", file, "--data", data}, c.more...)...)
		cmd.Stdin = strings.NewReader(c.typed)
		b, _ := cmd.CombinedOutput()
		if out := string(b); cmd.ProcessState.ExitCode() != c.code || !strings.Contains(out, `runs this command for the sound: ["sh" "-c" "touch /tmp/x"]`) || !strings.Contains(out, "MQTT broker steer") {
			t.Errorf("%q %v: %d %s", c.typed, c.more, cmd.ProcessState.ExitCode(), out)
		}
		if _, err := os.Stat(filepath.Join(data, "room.yaml")); (err == nil) != (c.code == exitOK) {
			t.Errorf("%q: %v", c.typed, err)
		}
	}
	// By the standard input, which can't answer too.
	piped := func(more ...string) (int, string) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd := exec.CommandContext(t.Context(), theBinary(t), append([]string{"restore", "-", "--data", data}, more...)...)
		cmd.Stdin = f
		b, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(b)
	}
	if code, out := piped(); code != exitError || !strings.Contains(out, "--yes") {
		t.Error(code, out)
	}
	if code, out := piped("--yes"); code != exitOK {
		t.Error(code, out)
	}
}

// TestRestoreLetsNobodyBackIn restores an archive from before a device was sent away and another let in.
func TestRestoreLetsNobodyBackIn(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\n"})
	to := t.TempDir()
	must := func(args ...string) string {
		t.Helper()
		code, out, errs := roomd(t, nil, append(args, "--data", d.dir)...)
		if code != exitOK {
			t.Fatal(args, out, errs)
		}
		return out
	}
	must("token", "create", "lost")
	must("backup", to)
	must("token", "revoke", "lost")
	must("token", "create", "new")
	archive, _ := filepath.Glob(filepath.Join(to, "*.tar.gz"))
	if out := must("restore", archive[0]); !strings.Contains(out, "stay out: lost.") {
		t.Error(out)
	}
	if list := must("token", "list"); strings.Contains(list, "lost") || !strings.Contains(list, "new") || !strings.Contains(list, "test") {
		t.Error(list)
	}
	if out := must("restore", archive[0], "--tokens", "--yes"); !strings.Contains(out, `"lost" is let in again`) || strings.Contains(out, `"test"`) {
		t.Error(out)
	}
	if list := must("token", "list"); !strings.Contains(list, "lost") || !strings.Contains(list, "new") {
		t.Error(list)
	}
	// A journal that can't be read is what a restore is for.
	if err := os.WriteFile(filepath.Join(d.dir, "roomd.db"), bytes.Repeat([]byte("letters"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must("restore", archive[0]); !strings.Contains(out, "pair its devices again") || !strings.Contains(out, "stay out: lost, test.") {
		t.Error(out)
	}
}
