package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2/maybe"

	"roomd/room"
)

// keptRoomFile is a copy of the last room file without errors: a power cut can leave the file itself empty.
func keptRoomFile(c *call) string { return filepath.Join(c.data, "room.yaml.kept") }

// keepRoomFile writes the copy, whole or not at all.
func keepRoomFile(c *call) error {
	text, err := os.ReadFile(c.config)
	if err != nil || emptied(text) {
		return err
	}
	if was, err := os.ReadFile(keptRoomFile(c)); err == nil && bytes.Equal(was, text) {
		return nil
	}
	return maybe.WriteFile(keptRoomFile(c), text, 0o600)
}

// restoreRoomFile sets a room file aside that a power cut has emptied, puts the kept one in its place, and says so. A
// file that somebody wants empty has a comment in it.
func (h *house) restoreRoomFile(c *call) {
	text, err := os.ReadFile(c.config)
	if err != nil || !emptied(text) {
		return
	}
	kept, err := os.ReadFile(keptRoomFile(c))
	if err != nil {
		return // it was never another
	}
	aside := fmt.Sprintf("%s.damaged-%d", c.config, time.Now().Unix())
	// The empty file stays until the kept one replaces it, so that no power cut leaves none.
	if err := errors.Join(os.WriteFile(aside, text, 0o600), maybe.WriteFile(c.config, kept, 0o600)); err != nil {
		h.log.Error("the room file is empty, and the kept one can't be put in its place", "err", err)
		h.always(room.NewProblem("room", "room-file-empty", "from", keptRoomFile(c), "to", c.config).With(err.Error()))
		return
	}
	h.log.Warn("the room file was empty; the last one without errors is in its place", "aside", aside)
	h.always(room.NewProblem("room", "room-file-restored", "file", c.config))
}

// emptied tells whether a file is what a power cut leaves: nothing, or zeros.
func emptied(text []byte) bool { return len(bytes.Trim(text, "\x00")) == 0 }
