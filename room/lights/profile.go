package lights

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2/maybe"
)

// Profile is what a test has found of one lamp.
type Profile struct {
	Topic    string    `json:"topic"`
	Fade     string    `json:"fade"`   // none, one or both, as in the room file; empty: not found out
	Lowest   int       `json:"lowest"` // the lowest of its levels that is light; 0: not found out
	ReadBack bool      `json:"readBack"`
	Tested   time.Time `json:"tested"`
}

// Profiles are those of a room's lamps, by topic.
type Profiles map[string]Profile

// LoadProfiles reads all profiles in a folder; one that is not there has none. The error names each file that can't be
// used; the others are returned all the same.
func LoadProfiles(dir string) (Profiles, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the profiles of lights: %w", err)
	}
	all := Profiles{}
	var wrong []error
	for _, f := range files {
		if filepath.Ext(f.Name()) != ".json" {
			continue
		}
		var p Profile
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err == nil {
			err = json.Unmarshal(b, &p)
		}
		if err == nil && p.Topic == "" {
			err = errors.New("it names no topic")
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("profile %s: %w", f.Name(), err))
			continue
		}
		all[p.Topic] = p
	}
	return all, errors.Join(wrong...)
}

// Save writes a profile into a folder, in place of the lamp's last one.
func (p Profile) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the light's profile: %w", err)
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the light's profile: %w", err)
	}
	file := filepath.Join(dir, url.PathEscape(p.Topic)+".json")
	if err := maybe.WriteFile(file, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the light's profile: %w", err)
	}
	return nil
}

// on corrects what is known of a lamp by what was found.
func (p Profile) on(c Caps) Caps {
	c.Fade = fadeOf(Lamp{Extra: map[string]string{"fade": p.Fade}}, c.Fade)
	if p.Lowest > 0 && p.Lowest < c.Max {
		c.Min = p.Lowest
	}
	return c
}

// Tested has the controller go by what tests have found, and keep in dir what further ones find. It is called before Run;
// what the room file says of a lamp's fade still holds.
func (c *Controller) Tested(p Profiles, dir string) { c.tested, c.profiles = p, dir }

// known is what a lamp can do: its kind, corrected by its test, corrected by the room file.
func (all Profiles) known(conf Lamp, topic string, k Caps) Caps {
	if p, ok := all[topic]; ok {
		k = p.on(k)
	}
	k.Fade = fadeOf(conf, k.Fade)
	return k
}

// String says what was found, for a person who sets up a room.
func (p Profile) String() string {
	all := map[string]string{"none": "does not fade", "one": "fades level or colour at a time", "both": "fades level and colour together", "": "fade not found out"}[p.Fade]
	if p.Lowest > 0 {
		all += fmt.Sprintf(", lowest level %d", p.Lowest)
	}
	if !p.ReadBack {
		all += ", does not answer"
	}
	return all
}
