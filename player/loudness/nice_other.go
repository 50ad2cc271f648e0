//go:build !linux

package loudness

func lowPriority() {}
