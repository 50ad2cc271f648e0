package desk

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2/maybe"
)

// Registry is a file of the rooms that have joined. It holds nothing of a session. Its methods may be called from anywhere.
type Registry struct {
	path string

	mu   sync.Mutex // guards the rest
	file registryFile
}

type registryFile struct {
	Name   string                `json:"name,omitempty"`   // the clinic's
	Listen string                `json:"listen,omitempty"` // where the page is served; roomd desk pair shows it
	Rooms  map[string]registered `json:"rooms"`            // by ID
}

// registered is a room that has joined.
type registered struct {
	Name   string `json:"name"`
	House  string `json:"house,omitempty"`
	Secret string `json:"secret"` // SHA-256 in hex; the secret is 256 random bits
	Joined string `json:"joined"` // the day
}

// OpenRegistry reads the rooms from a file. A missing file is an empty registry.
func OpenRegistry(path string) (*Registry, error) {
	r := &Registry{path: path}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r.file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the desk's rooms: %w; restore %s from a backup, or delete it and have each room join again", err, path)
	}
	if r.file.Rooms == nil {
		r.file.Rooms = map[string]registered{}
	}
	return r, nil
}

// change applies a change to the registry and writes it. If the file can't be written, nothing has changed.
func (r *Registry) change(apply func(*registryFile)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.file
	next.Rooms = maps.Clone(r.file.Rooms)
	apply(&next)
	text, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = maybe.WriteFile(r.path, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("save the desk's rooms: %w", err)
	}
	r.file = next
	return nil
}

// SetUp keeps the clinic's name, if one is given, and the address of the page.
func (r *Registry) SetUp(name, listen string) error {
	if (name == "" || name == r.Name()) && listen == r.Listen() {
		return nil
	}
	return r.change(func(f *registryFile) {
		if f.Listen = listen; name != "" {
			f.Name = name
		}
	})
}

// Name returns the clinic's name.
func (r *Registry) Name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Name
}

// Listen returns the address of the page, HOST:PORT, as the last desk served it.
func (r *Registry) Listen() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Listen
}

// Admit reports whether a room has this secret.
func (r *Registry) Admit(id, secret string) bool {
	r.mu.Lock()
	is := r.file.Rooms[id]
	r.mu.Unlock()
	// A room that is not there takes as long.
	want, _ := hex.DecodeString(is.Secret)
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], want) == 1
}

// Known reports whether a room with this ID has joined.
func (r *Registry) Known(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.file.Rooms[id]
	return ok
}

// add registers a room, or a known one anew, and returns its secret.
func (r *Registry) add(id, name, house string) (secret string, err error) {
	b := make([]byte, sha256.Size)
	rand.Read(b)
	secret = hex.EncodeToString(b)
	sum := sha256.Sum256([]byte(secret))
	err = r.change(func(f *registryFile) {
		f.Rooms[id] = registered{Name: name, House: house, Secret: hex.EncodeToString(sum[:]), Joined: time.Now().Format(time.DateOnly)}
	})
	return secret, err
}

// remove forgets a room. It reports whether there was one.
func (r *Registry) remove(id string) (was bool, err error) {
	if was = r.Known(id); was {
		err = r.change(func(f *registryFile) { delete(f.Rooms, id) })
	}
	return was, err
}

// each calls use for every room, by ID.
func (r *Registry) each(use func(id string, is registered)) {
	r.mu.Lock()
	rooms := r.file.Rooms // change makes another map
	r.mu.Unlock()
	for _, id := range slices.SortedFunc(maps.Keys(rooms), strings.Compare) {
		use(id, rooms[id])
	}
}
