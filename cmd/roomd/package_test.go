package main

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestStick has the package's helper look at real file systems: it mounts the kinds that cameras and recorders write, as what they
// are, and no other.
func TestStick(t *testing.T) {
	t.Parallel()
	rules := read(t, "debian/60-roomd-stick.rules")
	for kind, want := range map[string]struct{ mkfs, mounted string }{
		"vfat": {"mkfs.vfat -C %s 4096", "vfat"}, "exfat": {"truncate -s 8M %[1]s && mkfs.exfat %[1]s", "exfat"}, "ntfs": {"truncate -s 8M %[1]s && mkfs.ntfs -F -q %[1]s", "ntfs"},
		"ext4": {"truncate -s 8M %[1]s && mkfs.ext4 -q %[1]s", ""}, "btrfs": {"truncate -s 128M %[1]s && mkfs.btrfs -q %[1]s", ""}, "nothing": {"truncate -s 8M %s", ""},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if is := regexp.MustCompile(`ID_FS_TYPE\}=="([a-z|]+)"`).FindStringSubmatch(rules); is == nil || slices.Contains(strings.Split(is[1], "|"), kind) != (want.mounted != "") {
				t.Errorf("udev's rule has %q", is)
			}
			dir := t.TempDir()
			stick, said := filepath.Join(dir, "stick"), filepath.Join(dir, "said")
			made := strings.ReplaceAll(strings.ReplaceAll(want.mkfs, "%[1]s", stick), "%s", stick)
			if out, err := exec.Command("sh", "-c", "PATH=$PATH:/sbin:/usr/sbin; "+made).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			fake := filepath.Join(dir, "systemd-mount")
			session := filepath.Join(dir, lockFile) // no roomd runs
			if err := errors.Join(os.WriteFile(fake, []byte("#!/bin/sh\n[ ! -e "+session+" ] || echo in a session\necho \"$@\" >"+said+"\n"), 0o700), os.WriteFile(session, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "sh", "debian/stick", stick, "/run/roomd-sticks/x")
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+filepath.Dir(theBinary(t))+":"+os.Getenv("PATH")+":/sbin:/usr/sbin", "DATA="+dir)
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			// It waits for the end of the session.
			still, err := exec.CommandContext(t.Context(), "sh", "-c", "sleep 0.5; cat "+said+" 2>/dev/null; true").Output()
			if err != nil || len(still) > 0 || len(ended) > 0 {
				t.Errorf("in a session: %s %v, ended %d", still, err, len(ended))
			}
			if err := os.Remove(session); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Fatal(err, out.String())
			}
			b, _ := os.ReadFile(said) // not there: nothing was mounted
			switch got := string(b); {
			case strings.Contains(out.String(), "in a session"):
				t.Error(out.String())
			case want.mounted == "" && (got != "" || !strings.Contains(out.String(), "is not mounted")):
				t.Errorf("%s %s", got, out.String())
			case want.mounted != "" && (!strings.Contains(got, "--type="+want.mounted) || !strings.Contains(got, "--fsck=no") || !strings.Contains(got, "ro,nosuid,nodev,noexec "+stick+" /run/roomd-sticks/x")):
				t.Errorf("%q %s", got, out.String())
			}
		})
	}
}

// TestPackedLinks holds that the package brings along whatever its pages link to, and whatever its units and its room file name.
func TestPackedLinks(t *testing.T) {
	t.Parallel()
	packed := map[string]string{} // where a file lands, and where it is in the source
	for _, m := range regexp.MustCompile(`\{src: "?([^",]+)"?, dst: ([^,]+),`).FindAllStringSubmatch(read(t, "debian/nfpm.yaml"), -1) {
		if !strings.Contains(m[1], "*") {
			packed[m[2]] = m[1]
			continue
		}
		found, err := filepath.Glob("../../" + m[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			packed[path.Join(m[2], filepath.Base(file))] = strings.TrimPrefix(filepath.ToSlash(file), "../../")
		}
	}
	leads := func(to string) bool {
		for at := range packed {
			if at == to || strings.HasPrefix(at, to+"/") {
				return true
			}
		}
		return false
	}
	link := regexp.MustCompile(`(?:\]\(|src="|href=")([^)":#]+)[)"#]`)
	named := regexp.MustCompile(`/usr/(?:share|lib)/(?:doc/)?roomd/[a-z][\w./-]*\w`)
	links := 0
	for at, from := range packed {
		if strings.HasPrefix(from, "bin/") {
			continue
		}
		switch filepath.Ext(at) {
		case ".md", ".html":
			for _, m := range link.FindAllStringSubmatch(read(t, "../../"+from), -1) {
				if links++; !leads(path.Join(path.Dir(at), m[1])) {
					t.Errorf("%s links to %s, which the package does not bring along", at, m[1])
				}
			}
		}
		for _, m := range named.FindAllString(read(t, "../../"+from), -1) {
			if links++; !leads(m) {
				t.Errorf("%s names %s, which the package does not bring along", at, m)
			}
		}
	}
	for _, m := range named.FindAllString(read(t, "card.go"), -1) {
		if !leads(m) {
			t.Errorf("card.go names %s, which the package does not bring along", m)
		}
	}
	if links < 100 {
		t.Errorf("only %d links found", links)
	}
}

// TestUnit asks systemd how far the services are closed. Each line that closes it has its reason above.
func TestUnit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip(err)
	}
	for _, unit := range []string{"debian/roomd.service", "debian/roomd-desk.service"} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit).CombinedOutput()
		if all := lines(strings.TrimSpace(string(out))); err != nil {
			t.Errorf("%s: %v: %s", unit, err, all[len(all)-1])
		}
		reason := ""
		for _, l := range lines(read(t, unit)) {
			switch {
			case strings.HasPrefix(l, "#"):
				reason = l
			case l == "" || strings.HasPrefix(l, "["):
				reason = ""
			case reason == "" && regexp.MustCompile(`^(Protect|Private|Restrict|Memory|Lock|No|Remove|SystemCall|Cap|Ambient|Device|ReadWrite|UMask|State|Runtime)`).MatchString(l):
				t.Errorf("%s: %s: no reason", unit, l)
			}
		}
	}
}

// TestGuidesRunNothingAsRoot reads what an installer is told: no line runs roomd as root, or writes to its own folder.
func TestGuidesRunNothingAsRoot(t *testing.T) {
	t.Parallel()
	texts, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(texts) < 5 {
		t.Fatal(texts, err)
	}
	asRoot := regexp.MustCompile(`sudo (-[A-Za-z]+ )*(/usr/bin/)?roomd\b|sudo (cp|mv|nano|sh)\b|chown -R|(cp|mv) .*/var/lib/roomd/`)
	for _, file := range append(texts, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md", "debian/room.yaml", "debian/postinst", "../../room/doctor/computer.go") {
		for n, l := range lines(read(t, file)) {
			if bad := asRoot.FindString(l); bad != "" && !strings.HasPrefix(bad, "sudo -u roomd") {
				t.Errorf("%s:%d: %s", file, n+1, bad)
			}
		}
	}
}
