package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2/maybe"

	"roomd/room"
	"roomd/room/lights"
	"roomd/room/topics"
)

// tidyTime is for the removal of groups. A set-up that is saved waits for it.
const tidyTime = 12 * time.Second

// ownGroup is a Zigbee group that a set-up of this room has made.
type ownGroup struct {
	Topic string   `json:"topic"`
	Mark  string   `json:"mark"`           // by which lights.Finder.Ungroup knows it
	Lamps []string `json:"lamps"`          // topics
	Used  bool     `json:"used,omitempty"` // the room has named it since a set-up chose it last
}

// ownGroups is the file that lists them. It stays out of backups: a room that is brought back on another computer removes no group of
// the first one's.
type ownGroups string

func (s settings) groups() ownGroups { return ownGroups(filepath.Join(s.data, "zigbee-groups.json")) }

// all are the groups; none where the file is missing or damaged.
func (f ownGroups) all() (all []ownGroup) {
	text, _ := os.ReadFile(string(f))
	if json.Unmarshal(text, &all) != nil {
		return nil
	}
	return all
}

func (f ownGroups) write(all []ownGroup) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return maybe.WriteFile(string(f), append(text, '\n'), 0o600)
}

// chosen notes that a set-up gives a group with these lamps to a role. mark is that of a group that was made, else empty: then the group
// is noted only if it was before.
func (f ownGroups) chosen(topic, mark string, lamps []string) error {
	all := f.all()
	k := slices.IndexFunc(all, func(g ownGroup) bool { return g.Topic == topic })
	switch {
	case k < 0 && mark == "":
		return nil
	case k < 0:
		all = append(all, ownGroup{Topic: topic, Mark: mark, Lamps: lamps})
	case mark != "":
		all[k] = ownGroup{Topic: topic, Mark: mark, Lamps: lamps}
	default:
		all[k].Lamps, all[k].Used = lamps, false
	}
	return f.write(all)
}

// unused tells apart which groups the room no longer names, though it did: neither in its settings nor anywhere in its file, where a
// comment counts too. It notes in all which ones the room names now.
func unused(all []ownGroup, cfg room.Config, file string) (out []ownGroup) {
	names := file + fmt.Sprint(cfg.Lights, cfg.Buttons)
	for k, g := range all {
		if strings.Contains(names, path.Base(g.Topic)) {
			all[k].Used = true
		} else if g.Used {
			out = append(out, g)
		}
	}
	return out
}

// tidy removes the Zigbee groups that set-ups of this room made and the room no longer names. It is called when the room has taken its
// settings over, and not by the set-up itself: until then the room may still use them. A group that somebody else may use stays, and so
// do all of them while another room is on the broker.
func (s *roomSetup) tidy(ctx context.Context, cfg room.Config, who *topics.Identity, inSession func() bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	groups := s.groups()
	all := groups.all()
	text, err := os.ReadFile(s.config)
	if len(all) == 0 || err != nil || inSession() {
		return nil
	}
	left := unused(all, cfg, string(text))
	if err := groups.write(all); err != nil {
		s.log.Warn("which Zigbee groups are roomd's is not kept", "err", err)
		return nil
	}
	if len(left) == 0 {
		return nil
	}
	within, stop := context.WithTimeout(ctx, tidyTime)
	defer stop()
	way, err := s.listen(cfg)
	if err == nil {
		err = s.await(within, way)
	}
	if err == nil {
		if other := way.otherRoom(who.Root(cfg)); other != "" {
			err = fmt.Errorf("another room is on the broker and may use it: %s", other)
		}
	}
	for _, g := range left {
		wrong := err
		if wrong == nil {
			wrong = way.Ungroup(within, g.Topic, g.Mark, g.Lamps)
		}
		switch {
		case ctx.Err() != nil:
			return nil // tried again with the next room
		case wrong != nil && !errors.Is(wrong, lights.ErrNoGroup):
			s.log.Info("a Zigbee group that roomd made is no longer used, and stays", "group", g.Topic, "because", wrong)
			continue
		case wrong == nil:
			s.log.Info("removed a Zigbee group that roomd made and that is no longer used", "group", g.Topic)
		}
		all = slices.DeleteFunc(all, func(o ownGroup) bool { return o.Topic == g.Topic })
		if err := groups.write(all); err != nil {
			s.log.Warn("which Zigbee groups are roomd's is not kept", "err", err)
		}
	}
	return nil
}
