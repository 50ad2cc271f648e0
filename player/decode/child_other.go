//go:build !linux

package decode

import (
	"os"
	"os/exec"
)

// start runs cmd; its end goes to exited.
func start(cmd *exec.Cmd, exited chan<- error) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { exited <- cmd.Wait() }()
	return nil
}

func widen(*os.File) {}
