package playlists

import (
	"bytes"
	"os"
	"path/filepath"
)

// schemaFile is where the schema lies in a playlists folder, for the files that roomd writes there.
const schemaFile = ".schema/playlist.json"

// writeSchema puts the schema there, unless it is there already.
func writeSchema(root string) error {
	file := filepath.Join(root, filepath.FromSlash(schemaFile))
	if was, err := os.ReadFile(file); err == nil && bytes.Equal(was, Schema) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, Schema, 0o644)
}
