package playlists

import "roomd/playlists/yamlfile"

// What a playlist's file and the room file share is in yamlfile; these are its names here.
type (
	Place    = yamlfile.Place
	Problem  = yamlfile.Problem
	Problems = yamlfile.Problems
	Severity = yamlfile.Severity
	Value    = yamlfile.Value
)

const (
	Error   = yamlfile.Error
	Warning = yamlfile.Warning

	maxFile   = yamlfile.MaxFile
	maxSource = yamlfile.MaxSource
	longest   = yamlfile.Longest
)

// ParseLength reads a length of time as playlists write it: 1h30m, 30m, 90s.
var ParseLength = yamlfile.ParseLength

// FormatLength writes a length of time as playlists write it, to the second.
var FormatLength = yamlfile.FormatLength

// Suggest asks whether a near word was meant, or else says otherwise.
var Suggest = yamlfile.Suggest

var (
	clip    = yamlfile.Clip
	nearest = yamlfile.Nearest
	orList  = yamlfile.OrList
)

func problem(at Place, how Severity, says, write string) Problem {
	return Problem{Place: at, Severity: how, Says: says, Write: write}
}
