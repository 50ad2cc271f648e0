//go:build linux

package rig_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"roomd/rig"
)

// TestAPortIsOneTests holds that a port that a test has taken, and does not listen on at the moment, is given to no other test of this
// process or of another.
func TestAPortIsOneTests(t *testing.T) {
	const many = 500
	if os.Getenv("ROOMD_PORTS") != "" {
		var all []string
		for range many {
			all = append(all, strconv.Itoa(rig.FreePort(t)))
		}
		os.Stdout.WriteString("ports " + strings.Join(all, " ") + "\n")
		return
	}
	mine := map[string]bool{}
	for range many {
		p := strconv.Itoa(rig.FreePort(t))
		if mine[p] {
			t.Fatalf("%s was given twice", p)
		}
		mine[p] = true
	}
	other := exec.Command(os.Args[0], "-test.run=^TestAPortIsOneTests$")
	other.Env = append(os.Environ(), "ROOMD_PORTS=1")
	out, err := other.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, ports, _ := strings.Cut(string(out), "ports ")
	n := 0
	for p := range strings.FieldsSeq(strings.SplitN(ports, "\n", 2)[0]) {
		if n++; mine[p] {
			t.Fatalf("%s was given to another process too", p)
		}
	}
	if n != many {
		t.Fatalf("the other process got %d ports", n)
	}
}
