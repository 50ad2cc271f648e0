package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"roomd/rig"
)

// blocks are the fenced blocks of a language in a section of a document, in their order.
func blocks(t *testing.T, doc, section, language string) (all []string) {
	t.Helper()
	_, text, found := strings.Cut(read(t, "../../docs/"+doc), "\n"+section+"\n")
	if end := regexp.MustCompile(`(?m)^#{2,` + fmt.Sprint(strings.Count(section, "#")) + `} `).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	if !found || len(all) == 0 {
		t.Fatalf("docs/%s has no block of %s below %q", doc, language, section)
	}
	return all
}

// topicLog collects the messages of a listener.
type topicLog struct {
	mu  sync.Mutex
	all []string // topic and payload
}

func (h *topicLog) take(topic string, payload []byte, _ bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, topic+" "+string(payload))
}

func (h *topicLog) has(t *testing.T, what string) {
	t.Helper()
	rig.Eventually(t, what+" is heard", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Contains(h.all, what)
	})
}

// only fails for each message that is none of these.
func (h *topicLog) only(t *testing.T, what string, these ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.all {
		if !slices.Contains(these, m) {
			t.Errorf("%s: %q was heard", what, m)
		}
	}
}

// TestDocsClinicBroker runs a real Mosquitto as docs/clinic.md sets it up, word for word, with the users and certificates of its commands.
// A room has its own topics and no other, whether it reads, writes, deletes, leaves a will or takes another's client ID; the desk reads
// and writes nothing; the disk keeps nothing.
func TestDocsClinicBroker(t *testing.T) {
	t.Parallel()
	const section = "### Mosquitto"
	dir, port := t.TempDir(), rig.FreePort(t)
	here := strings.NewReplacer("/etc/mosquitto", dir, "listener 8883\n", fmt.Sprintf("listener %d 127.0.0.1\n", port))
	files := map[string]string{
		"conf.d/roomd.conf": here.Replace(blocks(t, "clinic.md", section, "conf")[0]), "roomd.acl": blocks(t, "clinic.md", section, "acl")[0], "certs/.keep": "",
		"bin/sudo": "#!/bin/sh\nexec \"$@\"\n", "bin/chown": "#!/bin/sh\n", "bin/systemctl": "#!/bin/sh\n",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := exec.CommandContext(t.Context(), "bash", "-e", "-c", here.Replace(strings.Join(blocks(t, "clinic.md", section, "bash"), "")))
	script.Dir, script.Env = dir, append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// As Debian's mosquitto.conf has it: first what persists, then the files of conf.d.
	broker := rig.Mosquitto(t, "include_dir "+filepath.Join(dir, "conf.d"))
	authority := x509.NewCertPool()
	if !authority.AppendCertsFromPEM([]byte(read(t, filepath.Join(dir, "certs/authority.pem")))) {
		t.Fatal("no authority")
	}
	trusts := &tls.Config{RootCAs: authority, ServerName: "broker.clinic.example"}
	at := func(user, password string) string {
		return fmt.Sprintf("mqtts://%s:%s@127.0.0.1:%d", user, password, port)
	}
	address := map[string]string{}
	for _, m := range regexp.MustCompile(`-b \S+ (\w+) (\w+)`).FindAllStringSubmatch(strings.Join(blocks(t, "clinic.md", section, "bash"), ""), -1) {
		address[m[1]] = at(m[1], m[2])
	}
	if got := slices.Sorted(maps.Keys(address)); !slices.Equal(got, []string{"desk", "oak", "willow"}) {
		t.Fatalf("users %v", got)
	}
	visit := func(user string, v rig.Visit) *rig.Peer {
		t.Helper()
		v.TLS, v.Once = trusts, true
		p, err := v.Dial(t, address[user])
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for who, v := range map[string]string{"a wrong password": at("willow", "oak"), "an unknown user": at("elm", "elm"), "nobody": fmt.Sprintf("mqtts://127.0.0.1:%d", port)} {
		if _, err := (rig.Visit{TLS: trusts, Once: true}).Dial(t, v); err == nil {
			t.Errorf("%s is let in", who)
		}
	}

	// Own topics work, and reach the desk.
	desk, willow, oak := visit("desk", rig.Visit{}), visit("willow", rig.Visit{ClientID: "willow-1"}), visit("oak", rig.Visit{Will: "roomd/willow/status"})
	var atDesk, atWillow, atOak topicLog
	desk.Hear("roomd/#", atDesk.take)
	willow.Hear("roomd/willow/#", atWillow.take)
	for _, filter := range []string{"#", "roomd/#", "roomd/+/state", "roomd/willow/state"} {
		oak.Hear(filter, atOak.take)
	}
	willow.Say("roomd/willow/status", "online", true)
	willow.Say("roomd/willow/state", "in session", true)
	for _, h := range []*topicLog{&atDesk, &atWillow} {
		h.has(t, "roomd/willow/status online")
		h.has(t, "roomd/willow/state in session")
	}

	// Another room writes, deletes, and leaves its will; it reads nothing.
	for _, topic := range []string{"roomd/willow/state", "roomd/willow/status", "roomd/willow/about", "roomd/desk/state", "roomd/elm/state", "elsewhere"} {
		for _, payload := range []string{"forged", ""} {
			oak.Say(topic, payload, true)
		}
	}
	oak.Say("roomd/oak/state", "mine", true)
	atOak.has(t, "roomd/oak/state mine")
	oak.Drop()
	oak = visit("oak", rig.Visit{Will: "roomd/oak/status"}) // the broker is done with the one before
	oak.Say("roomd/oak/state", "back", true)
	atDesk.has(t, "roomd/oak/state back")
	oak.Drop()
	atDesk.has(t, "roomd/oak/status will") // its own will is done
	atOak.only(t, "another room", "roomd/oak/state mine")

	// The desk writes nothing, not even below its own name.
	for _, topic := range []string{"roomd/willow/state", "roomd/willow/cmd", "roomd/desk/state"} {
		for _, payload := range []string{"forged", ""} {
			desk.Say(topic, payload, true)
		}
	}
	willow.Say("roomd/willow/about", "Willow", true)
	for _, h := range []*topicLog{&atDesk, &atWillow} {
		h.has(t, "roomd/willow/about Willow")
	}

	// Another room can't throw it off by its client ID. Last, since it throws off its own.
	visit("oak", rig.Visit{ClientID: "willow-1"}).Say("roomd/oak/state", "as willow", true)
	atDesk.has(t, "roomd/oak/state as willow")
	if willow.Say("roomd/willow/state", "in session still", true); !willow.IsConnectionOpen() {
		t.Error("it was thrown off")
	}
	atDesk.has(t, "roomd/willow/state in session still")

	own := []string{"roomd/willow/status online", "roomd/willow/state in session", "roomd/willow/about Willow", "roomd/willow/state in session still"}
	atWillow.only(t, "the room", own...)
	atDesk.only(t, "the desk", append(own, "roomd/oak/state mine", "roomd/oak/state back", "roomd/oak/status will", "roomd/oak/state as willow")...)

	broker.Stop()
	for _, at := range []string{dir, broker.Dir()} {
		_ = filepath.WalkDir(at, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("in session")) {
					t.Errorf("%s keeps a state: %v", path, err)
				}
			}
			return err
		})
	}
}

// TestDocsClinicSyncthing gives a real Syncthing the folder as docs/clinic.md describes it: it takes the settings, and roomd's own files
// count as none of the folder's.
func TestDocsClinicSyncthing(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	const section = "## The same playlists in all rooms"
	room := syncthingPeer(t, "room")
	dir := t.TempDir()
	for name, text := range map[string]string{
		".stignore": blocks(t, "clinic.md", section, "stignore")[0], "evening.yaml": "name: Evening\n", "music/01.flac": "music",
		".versions/evening.1.yaml": "name: Old\n", "music/.DS_Store": "", "music/@eaDir/x": "", "music/__MACOSX/x": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	settings := strings.Replace(blocks(t, "clinic.md", section, "json")[0], "/var/lib/roomd-playlists", dir, 1)
	room.rest(http.MethodPost, "/rest/config/folders", json.RawMessage(settings), nil)
	var got struct {
		Type        string
		IgnorePerms bool
		Versioning  struct {
			Type   string
			Params map[string]string
		}
	}
	room.rest(http.MethodGet, "/rest/config/folders/library", nil, &got)
	if got.Type != "receiveonly" || !got.IgnorePerms || got.Versioning.Type != "trashcan" || got.Versioning.Params["cleanoutDays"] != "30" {
		t.Errorf("%+v", got)
	}
	room.rest(http.MethodPost, "/rest/db/scan?folder=library", nil, nil)
	var status struct {
		ReceiveOnlyChangedFiles int
		Errors                  int
	}
	room.rest(http.MethodGet, "/rest/db/status?folder=library", nil, &status)
	if status.ReceiveOnlyChangedFiles != 2 || status.Errors != 0 {
		t.Errorf("%+v: the folder has two files of its own", status)
	}
	room.rest(http.MethodPost, "/rest/db/revert?folder=library", nil, nil)
	gone := func(name string) bool { _, err := os.Stat(filepath.Join(dir, name)); return os.IsNotExist(err) }
	rig.Eventually(t, "what is the folder's own is reverted", func() bool { return gone("evening.yaml") && gone("music/01.flac") })
	if gone(".versions/evening.1.yaml") {
		t.Error("the versions of a playlist were deleted")
	}
}

// TestDocsClinicPins has apt go through the waves of docs/clinic.md in a root of its own, with its pin word for word: each wave gets its
// version and nothing else, and goes back, with a repository of all versions and with one of the newest alone.
func TestDocsClinicPins(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	for _, tool := range []string{"apt-get", "dpkg-deb", "dpkg-query"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("dpkg installs as root alone")
	}
	pinned := blocks(t, "clinic.md", "## New versions in waves", "pin")[0]
	if strings.Count(pinned, " 1.4.*\n") != 1 {
		t.Fatalf("not a pin to 1.4.*:\n%s", pinned)
	}
	root, repo := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log/apt", "etc/apt/apt.conf.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	status := filepath.Join(root, "var/lib/dpkg/status")
	write(status, "")
	write(filepath.Join(root, "etc/apt/sources.list"), "deb [trusted=yes] file:"+repo+" ./\n")
	run := func(name string, arg ...string) string {
		t.Helper()
		c := exec.CommandContext(t.Context(), name, arg...)
		c.Env = append(os.Environ(), "LC_ALL=C", "ROOMD_HOLD=off")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, arg, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	// The root has none of this computer's settings: neither its sources and pins nor its hooks.
	apt := func(arg ...string) {
		t.Helper()
		run("apt-get", append([]string{"-y", "-o", "Dir=" + root, "-o", "Dir::Etc::parts=/nonexistent", "-o", "Dir::State::status=" + status, "-o", "Dir::Bin::dpkg=/usr/bin/dpkg",
			"-o", "DPkg::Options::=--root=" + root, "-o", "DPkg::Options::=--force-script-chrootless", "-o", "APT::Sandbox::User=root"}, arg...)...)
	}
	deb := func(version string) string { return filepath.Join(root, "kept", "roomd_"+version+"_all.deb") }
	offer := func(versions ...string) { // the repository has these
		t.Helper()
		packages := ""
		for _, v := range versions {
			b, err := os.ReadFile(deb(v))
			if err != nil {
				t.Fatal(err)
			}
			write(filepath.Join(repo, filepath.Base(deb(v))), string(b))
			packages += fmt.Sprintf("%s\nFilename: ./%s\nSize: %d\nSHA256: %x\n\n", run("dpkg-deb", "-f", deb(v)), filepath.Base(deb(v)), len(b), sha256.Sum256(b))
		}
		write(filepath.Join(repo, "Packages"), packages)
		apt("update")
	}
	for _, v := range []string{"1.4.0", "1.4.1", "1.5.0"} {
		tree := filepath.Join(t.TempDir(), v)
		write(filepath.Join(tree, "DEBIAN/control"), "Package: roomd\nVersion: "+v+"\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: test\n")
		if err := os.MkdirAll(filepath.Dir(deb(v)), 0o755); err != nil {
			t.Fatal(err)
		}
		run("dpkg-deb", "-Zgzip", "--root-owner-group", "-b", tree, deb(v))
	}
	pin := func(versions string) {
		write(filepath.Join(root, "etc/apt/preferences.d/roomd"), strings.Replace(pinned, "1.4.*", versions, 1))
	}
	installed := func(when, want string) {
		t.Helper()
		if is := run("dpkg-query", "--admindir="+filepath.Dir(status), "-W", "-f", "${Version}", "roomd"); is != want {
			t.Errorf("%s: %s is installed, want %s", when, is, want)
		}
	}
	back := func() { apt("install", "--allow-downgrades", deb("1.4.0")) }
	for _, all := range []bool{true, false} {
		repository, newest := "the newest alone", "1.4.0"
		if all {
			repository, newest = "all versions", "1.4.1"
			offer("1.4.0", "1.4.1", "1.5.0")
		} else {
			offer("1.5.0")
		}
		pin("1.4.*")
		back()
		installed(repository+", at first", "1.4.0")
		apt("upgrade")
		installed(repository+", an upgrade beside the wave", newest)
		apt("install", "roomd")
		installed(repository+", an installation beside the wave", newest)
		pin("1.5.*")
		apt("install", "roomd")
		installed(repository+", in the wave", "1.5.0")
		pin("1.4.*")
		back()
		installed(repository+", back", "1.4.0")
		apt("upgrade")
		installed(repository+", an upgrade after that", newest)
	}
}
