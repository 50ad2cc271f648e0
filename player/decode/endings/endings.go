// Package endings lists the names of music files: the one table that the decoder reports from and that a library knows music
// by. It imports nothing, so that whoever only looks at names needs no decoder.
package endings

import (
	"path"
	"slices"
	"strings"
)

// Native are the endings of files that roomd decodes by itself, with the dot.
var Native = []string{".mp3", ".flac", ".ogg", ".oga", ".wav"}

// Music are all endings of files that can be played where ffmpeg is installed: those of Native first.
var Music = append(slices.Clone(Native), ".opus", ".m4a", ".m4b", ".mp4", ".aac", ".alac", ".aif", ".aiff", ".aifc", ".wma", ".caf", ".w64", ".wv",
	".ape", ".mka", ".webm", ".mp2", ".ac3", ".dsf", ".dff", ".mpc", ".tta", ".tak", ".au", ".spx")

// Of is the ending of a file's name, in lower case with the dot; empty where it has none.
func Of(name string) string { return strings.ToLower(path.Ext(name)) }

// IsMusic says whether a file of this name is music, whether or not ffmpeg is installed here.
func IsMusic(name string) bool { return slices.Contains(Music, Of(name)) }
