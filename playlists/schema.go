package playlists

import (
	"bytes"
	_ "embed"
	"os"
	"path/filepath"
)

// Schema is the JSON Schema of a playlist file, for editors that complete and check YAML. What one value asks of
// another (stages in order, marks and phases that exist, lengths that are less than others) is Parse's alone.
//
//go:embed schema.json
var Schema []byte

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
