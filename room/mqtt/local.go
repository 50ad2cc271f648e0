package mqtt

import (
	"encoding/json"
	"os"
	"slices"
	"sync"

	"github.com/google/renameio/v2/maybe"
)

// Local is the broker of a room that has none. It carries messages within this process: nothing listens on a port, and
// what is retained lives in memory. Only simulated lamps are reached by it. Its methods may be called from anywhere and
// never wait.
type Local struct {
	inbox
	file  string
	done  chan struct{}
	ended sync.WaitGroup

	mu       sync.Mutex
	retained map[string][]byte
	kept     map[string][]byte // by Keep
}

// NewLocal starts one. What an earlier one was told to Keep in file is retained again; an empty file keeps nothing.
func NewLocal(file string) *Local {
	l := &Local{inbox: newInbox(), file: file, done: make(chan struct{}), retained: map[string][]byte{}, kept: map[string][]byte{}}
	// The lamps of a file that is missing or damaged begin anew.
	// Anybody may make a file beside it: a link is not followed, and a pipe would wait for ever.
	if st, err := os.Lstat(file); err != nil || !st.Mode().IsRegular() {
	} else if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &l.kept) == nil {
		for t, payload := range l.kept {
			l.retained[t] = payload
		}
	}
	l.ended.Go(func() { l.dispatch(l.done) })
	return l
}

// Publish sends a message to its subscribers. The error is always nil.
func (l *Local) Publish(topic string, payload []byte) error {
	l.put(message{topic, slices.Clone(payload), false})
	return nil
}

// Retain makes payload the retained message of topic; an empty payload removes it.
func (l *Local) Retain(topic string, payload []byte) {
	l.mu.Lock()
	if l.retained[topic] = slices.Clone(payload); len(payload) == 0 {
		delete(l.retained, topic)
	}
	l.mu.Unlock()
	l.put(message{topic, slices.Clone(payload), false})
}

// Keep is Retain over a restart of the process: the message is written into the file, too. It is never used for what
// belongs to a session.
func (l *Local) Keep(topic string, payload []byte) {
	l.Retain(topic, payload)
	if l.file == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[topic] = slices.Clone(payload)
	// A write that breaks off or fails costs a simulated lamp its memory, and nothing else.
	if text, err := json.Marshal(l.kept); err == nil {
		_ = maybe.WriteFile(l.file, text, 0o600) // in place of a link, never through one
	}
}

// Subscribe has handle called for each message on the topics of filter, first for those that are retained.
func (l *Local) Subscribe(filter string, handle func(topic string, payload []byte, retained bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribe(subscription{filter, handle})
	for t, payload := range l.retained {
		if Match(filter, t) {
			l.put(message{t, payload, true})
		}
	}
}

// OnConnect calls hook once: the connection always stands.
func (l *Local) OnConnect(hook func(open bool)) { hook(true) }

// Open is true.
func (l *Local) Open() bool { return true }

// Settled is true: nobody else is here.
func (l *Local) Settled() bool { return true }

// Republish does nothing: what is retained can't be lost.
func (l *Local) Republish() {}

// Dropped counts the messages that came faster than they were handled.
func (l *Local) Dropped() map[string]uint64 { return map[string]uint64{"in": l.dropped.Load()} }

// Close ends it.
func (l *Local) Close() {
	close(l.done)
	l.ended.Wait()
}
