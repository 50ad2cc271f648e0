package playlists

import (
	"bytes"
	"os"
	"path"
)

// schemaFile is where the schema lies in a playlists folder, for the files that roomd writes there.
const schemaFile = ".schema/playlist.json"

// writeSchema puts the schema there, unless it is there already.
func writeSchema(root string) error {
	top, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer top.Close()
	dir, err := makeFolder(top, path.Dir(schemaFile))
	if err != nil {
		return err
	}
	defer dir.Close()
	schema := Schema()
	if was, err := dir.ReadFile(path.Base(schemaFile)); err == nil && bytes.Equal(was, schema) {
		return nil
	}
	return replaceFile(dir, path.Base(schemaFile), schema)
}
