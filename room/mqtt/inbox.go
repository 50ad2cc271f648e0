package mqtt

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	inQueue = 2048    // messages that wait for their handlers
	inBytes = 8 << 20 // and their size together
)

// inbox queues messages for the handlers of their topics. Handlers share one goroutine and see the messages in the order
// of their arrival; what finds the queue full is dropped and counted.
type inbox struct {
	in      chan message
	waiting atomic.Int64 // bytes in in
	dropped atomic.Uint64

	mu   sync.Mutex
	subs []subscription // replaced, never changed in place
}

type message struct {
	topic    string
	payload  []byte
	retained bool
}

type subscription struct {
	filter string
	handle func(topic string, payload []byte, retained bool)
}

func newInbox() inbox { return inbox{in: make(chan message, inQueue)} }

func (b *inbox) subscribe(s subscription) {
	b.mu.Lock()
	b.subs = append(b.subs, s)
	b.mu.Unlock()
}

func (b *inbox) unsubscribe(gone func(filter string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = slices.DeleteFunc(slices.Clone(b.subs), func(s subscription) bool { return gone(s.filter) })
}

// filters are those of all subscriptions, each once.
func (b *inbox) filters() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		if !slices.Contains(out, s.filter) {
			out = append(out, s.filter)
		}
	}
	return out
}

// put queues m and never waits.
func (b *inbox) put(m message) {
	size := int64(len(m.payload))
	if b.waiting.Add(size) > inBytes {
		b.waiting.Add(-size)
		b.dropped.Add(1)
		return
	}
	select {
	case b.in <- m:
	default:
		b.waiting.Add(-size)
		b.dropped.Add(1)
	}
}

// dispatch calls the handlers until done is closed.
func (b *inbox) dispatch(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case m := <-b.in:
			b.waiting.Add(-int64(len(m.payload)))
			b.mu.Lock()
			subs := b.subs
			b.mu.Unlock()
			for _, s := range subs {
				if Match(s.filter, m.topic) {
					s.handle(m.topic, m.payload, m.retained)
				}
			}
		}
	}
}
