//go:build !linux

package decode

import "os"

// start runs the child.
func (c *child) start(bool) error {
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		c.exit = c.cmd.Wait()
		close(c.exited)
	}()
	return nil
}

func widen(*os.File) {}
