package clinic

import "time"

// Slowest is the longest publish since the last call, and Sent how many messages went to the desk.
func (l *Link) Slowest() (d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, l.slowest = l.slowest, 0
	return d
}

func (l *Link) Sent() uint64 { return l.client.Sent() }
