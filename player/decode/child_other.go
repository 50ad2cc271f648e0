//go:build !linux

package decode

import (
	"os"
	"os/exec"
)

// self is this program's own file.
func self() (string, error) { return os.Executable() }

// spawn runs a child; ended is told how it ended.
func spawn(cmd *exec.Cmd, _ bool, ended func(error)) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { ended(cmd.Wait()) }()
	return nil
}

func confine(string, string) {}

// Confined says that nothing keeps a decoder from other files here.
func Confined() bool { return false }

// become runs another program in this one's place.
func become(path string, args []string) error {
	cmd := exec.Command(path, args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func widen(*os.File) {}
