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
	schema, file := Schema(), filepath.Join(root, filepath.FromSlash(schemaFile))
	if was, err := os.ReadFile(file); err == nil && bytes.Equal(was, schema) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, schema, 0o644)
}
