package decode

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestADecoderIsConfined runs a shell where ffmpeg would run: it reads the file that it was given, and neither reads another,
// writes one, nor calls anybody.
func TestADecoderIsConfined(t *testing.T) {
	t.Parallel()
	if !Confined() {
		t.Skip("this kernel has no Landlock that knows of the network")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	mine, other := file(t, "mine.txt", []byte("a tune\n")), file(t, "other.txt", []byte("a secret\n"))
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for script, can := range map[string]bool{
		"cat " + mine:                                 true,
		"cat " + other:                                false,
		"ls " + filepath.Dir(other):                   false,
		"echo > " + filepath.Dir(other) + "/new":      false,
		"echo > " + mine:                              false,
		"echo > /dev/tcp/127.0.0.1/" + port:           false,
		"ulimit -d | grep -v unlimited":               true,
		"head -c 10 /usr/share/dict/words || ls /usr": true,
	} {
		run := func(args ...string) (string, error) {
			cmd, err := selfCommand(args...)
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.CombinedOutput()
			return strings.TrimSpace(string(out)), err
		}
		if said, err := run("--run", bash, "--", mine, "-c", script); (err == nil) != can {
			t.Errorf("%s: %v, %s; want success %v", script, err, said, can)
		}
		// The test itself: unconfined, all of it works.
		if out, err := exec.Command(bash, "-c", script).CombinedOutput(); err != nil && !strings.Contains(script, "ulimit") {
			t.Errorf("%s without roomd: %v, %s", script, err, out)
		}
		_ = os.WriteFile(mine, []byte("a tune\n"), 0o600)
	}
}
