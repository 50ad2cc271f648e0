package playlists

import (
	"context"
	"embed"
	"fmt"
	"strings"
)

//go:embed starter/*.yaml
var starterFiles embed.FS

// Starters are the playlists that need no file of anyone's: the three-hour arc first, then the others by name.
func Starters() []*Playlist {
	var out []*Playlist
	for _, name := range []string{"three-hours", "quiet", "steered", "tour"} {
		file := "starter/" + name + ".yaml"
		data, err := starterFiles.ReadFile(file)
		if err != nil {
			panic(fmt.Sprintf("starter %s is not embedded: %v", name, err))
		}
		pl, problems := Parse("starter/"+name, file, data)
		out = append(out, pl)
		if len(problems) > 0 {
			panic("starter: " + strings.Join(problems.Strings(), "\n"))
		}
	}
	return out
}

// StarterFile is the text of a starter playlist, to be copied and changed; name is what follows "starter/" in its ID.
func StarterFile(name string) ([]byte, error) {
	return starterFiles.ReadFile("starter/" + name + ".yaml")
}

// resolveStarter gives a starter its beds. It names no files, so nothing is measured and nothing can be wrong.
func resolveStarter(pl *Playlist) *Playlist {
	out, _ := Resolve(context.Background(), "", pl.ID+".yaml", pl, nil, nil)
	return out
}
