package playlists

import _ "embed"

// Schema is the JSON Schema of a playlist file, for editors that complete and check YAML. What one value asks of
// another (stages in order, marks and phases that exist, lengths that are less than others) is Parse's alone.
//
//go:embed schema.json
var Schema []byte
