package room

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"
)

// courses remembers the last courses. While a phase is open, each snapshot lays what follows it anew, mostly as it was a second before.
var courses memo

const (
	remembered = 32
	sinceFar   = 10 * time.Minute // no crossfade is longer
)

// memo is a function's last results, by what they follow from. It is safe for concurrent use.
type memo struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte][]source
	keys [][sha256.Size]byte // the oldest first
}

// get returns the result for a key, and makes it where it is not remembered. Callers must not change it.
func (m *memo) get(key [sha256.Size]byte, search func() []source) []source {
	m.mu.Lock()
	got, ok := m.kept[key]
	m.mu.Unlock()
	if ok {
		return got
	}
	got = search()
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.kept[key]; ok {
		return got
	}
	if m.kept == nil {
		m.kept = map[[sha256.Size]byte][]source{}
	}
	if len(m.keys) == remembered {
		delete(m.kept, m.keys[0])
		m.keys = slices.Delete(m.keys, 0, 1)
	}
	m.kept[key] = got
	m.keys = append(m.keys, key)
	return got
}

// forget drops all results.
func (m *memo) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept, m.keys = nil, nil
}

// key holds all that the course of a stretch follows from, where the first way is given.
func (st *stretch) key(first way) [sha256.Size]byte {
	b := make([]byte, 0, 64*(len(st.sources)+16))
	put := func(n int64) { b = binary.LittleEndian.AppendUint64(b, uint64(n)) }
	flag := func(is bool) {
		if is {
			put(1)
		} else {
			put(0)
		}
	}
	for _, n := range []int64{int64(first.at), int64(first.last), int64(first.item), int64(st.seed), int64(st.since), int64(st.nominal), int64(st.flex), int64(st.crossfade)} {
		put(n)
	}
	flag(first.own)
	flag(st.carry != nil)
	flag(st.line != nil)
	for at := first.at; st.line != nil && at <= st.nominal+st.flex+courseStep; at += courseStep {
		put(int64(math.Float64bits(st.line(at + courseStep/2))))
	}
	for _, s := range st.sources {
		put(int64(s.item))
		put(int64(s.length))
		put(int64(math.Float64bits(s.intensity)))
		put(int64(st.heard[s.item]))
		put(int64(st.played[s.item]))
		flag(s.joined)
		flag(s.join != nil)
		if s.join != nil {
			put(int64(*s.join))
		}
	}
	return sha256.Sum256(b)
}
