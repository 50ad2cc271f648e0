package playlists

import (
	"fmt"
	"maps"
	"slices"
)

// maxTold is how many warnings of one file are told where there is little room.
const maxTold = 12

// Brief is the problems where there is little room: all errors, and of each file so many warnings as are read before somebody
// mends the first of them.
func Brief(ps Problems) Problems {
	var out Problems
	told, left := map[string]int{}, map[string]bool{}
	for _, p := range ps {
		if p.Severity == Warning {
			if told[p.File]++; told[p.File] > maxTold {
				left[p.File] = true
				continue
			}
		}
		out = append(out, p)
	}
	for _, file := range slices.Sorted(maps.Keys(left)) {
		out = append(out, Problem{Place: Place{File: file}, Severity: Warning, Says: fmt.Sprintf("%d more warnings", told[file]-maxTold), Write: "roomd check --all lists them"})
	}
	return out
}
