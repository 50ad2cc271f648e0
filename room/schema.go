package room

import _ "embed"

// ConfigSchema is the JSON Schema of a room file, for editors that complete and check YAML. What one value asks of
// another (roles and scenes that exist, cron's ranges, files that are there) is ParseConfig's alone.
//
//go:embed schema.json
var ConfigSchema []byte
