package topics

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2/maybe"

	"roomd/room"
)

// Identity is who a room is on a broker: a random id that is made once and survives renaming the room, and what the room
// left on the broker. Its methods may be called from anywhere.
type Identity struct {
	path string

	mu   sync.Mutex // guards what follows
	was  string     // boot of the run before this one
	kept identity
}

type identity struct {
	ID   string `json:"id"`
	Boot string `json:"boot,omitempty"` // of the last run
	// Published are the retained topics that this room may have left on the broker.
	Published []string `json:"published,omitempty"`
	// Old is BASE/NAME of a roomd that named its topics by the room's name; empty: there is nothing to move.
	Old string `json:"old,omitempty"`
}

var idShape = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// OpenIdentity reads the identity in file, or makes a new one where the file is missing or damaged. old is OldRoot of a
// room that an older roomd has run, else empty. Where the file can't be written the identity holds for this run, and err
// says so.
func OpenIdentity(file, boot, old string) (*Identity, error) {
	i := &Identity{path: file}
	text, err := os.ReadFile(file)
	if err == nil && (json.Unmarshal(text, &i.kept) != nil || !idShape.MatchString(i.kept.ID)) {
		i.kept = identity{}
	} else if errors.Is(err, fs.ErrNotExist) {
		i.kept.Old = old
	}
	if i.kept.ID == "" {
		i.kept.ID = newRoomID()
	}
	i.was, i.kept.Boot = i.kept.Boot, boot
	return i, i.save()
}

// newRoomID is eight random letters and digits that can't be mistaken for each other.
func newRoomID() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	b := make([]byte, 8)
	rand.Read(b)
	for k := range b {
		b[k] = letters[int(b[k])%len(letters)]
	}
	return string(b)
}

// ID is the room's.
func (i *Identity) ID() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.kept.ID
}

// Was is the boot of the run before this one: its last will may still be on its way.
func (i *Identity) Was() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.was
}

// Renew gives the room another id: a copy of it has the old one. What was published under the old id is the copy's now.
func (i *Identity) Renew() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kept.ID, i.kept.Published = newRoomID(), nil
	return i.save()
}

// publish notes which retained topics the room has from now on, and returns those of before that it no longer has.
func (i *Identity) publish(now []string) (gone []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, t := range i.kept.Published {
		if !slices.Contains(now, t) {
			gone = append(gone, t)
		}
	}
	// They stay noted until a run has cleared them.
	i.kept.Published = append(slices.Clone(now), gone...)
	_ = i.save() // what could not be noted is not cleared after the next rename: no more than that is lost
	return gone
}

// cleared notes that topics are no longer on the broker.
func (i *Identity) cleared(topics []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kept.Published = slices.DeleteFunc(i.kept.Published, func(t string) bool { return slices.Contains(topics, t) })
	if slices.Contains(topics, i.kept.Old+"/status") {
		i.kept.Old = ""
	}
	_ = i.save()
}

func (i *Identity) old() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.kept.Old
}

// save writes the file, whole or not at all.
func (i *Identity) save() error {
	text, err := json.MarshalIndent(i.kept, "", "  ")
	if err != nil {
		return err
	}
	err = maybe.WriteFile(i.path, append(text, '\n'), 0o600)
	if err != nil {
		return fmt.Errorf("write the room's identity: %w", err)
	}
	return nil
}

// Root is BASE/ID, under which all topics of the room are.
func (i *Identity) Root(c room.Config) string { return c.MQTT.Base + "/" + i.ID() }

// config is the topic of Home Assistant's device discovery for a room of this id.
func config(id string) string { return "homeassistant/device/roomd_" + id + "/config" }

// OldRoot is BASE/NAME, where a roomd without ids had the room's topics: the room's name in small letters, digits and
// hyphens.
func OldRoot(c room.Config) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, c.Room)
	if s = strings.Trim(s, "-"); s == "" {
		s = "room"
	}
	return c.MQTT.Base + "/" + s
}
