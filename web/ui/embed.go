// Package ui holds the tablet's page as it was built.
package ui

import "embed"

// Files is the built page, below dist.
//
//go:embed all:dist
var Files embed.FS
