package playlists

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// seen is a file of the library's folder, as the last look found it.
type seen struct {
	file    string // below the folder, with slashes
	size    int64
	at      int64 // modification time, Unix ns
	written bool  // a playlist or a list, not music
}

// ErrBusy ends a Revision when a session has begun.
var ErrBusy = errors.New("a session runs")

const revisionDigits = 12

// Turned tells that Revision may be another one now. It has one reader.
func (l *Library) Turned() <-chan struct{} { return l.turned }

// Revision identifies what is in the folder: the same in two rooms that have the same files. It goes by the content of playlists and
// lists, and by the path and size of music, which need not be read. changed is the latest modification time of a file; zero: there
// is none. Revision ignores times that are a day or more in the future, because a wrong clock set them and they would hide later changes. It returns ErrBusy while a session runs, and reads no more than one file after one has begun.
func (l *Library) Revision(ctx context.Context) (revision string, changed time.Time, err error) {
	l.mu.Lock()
	files := slices.Clone(l.files)
	l.mu.Unlock()
	slices.SortFunc(files, func(a, b seen) int { return strings.Compare(a.file, b.file) })
	sum := sha256.New()
	for _, f := range files {
		if l.o.Busy != nil && l.o.Busy() {
			return "", time.Time{}, ErrBusy
		}
		if err := ctx.Err(); err != nil {
			return "", time.Time{}, err
		}
		content := ""
		if f.written && f.size <= maxFile {
			text, err := os.ReadFile(filepath.Join(l.o.Folder, filepath.FromSlash(f.file)))
			if errors.Is(err, fs.ErrNotExist) {
				continue // gone meanwhile: the next look finds it out
			}
			if err != nil {
				return "", time.Time{}, err
			}
			content = fmt.Sprintf("%x", sha256.Sum256(text))
		}
		fmt.Fprintf(sum, "%s\x00%d\x00%s\n", f.file, f.size, content)
		if at := time.Unix(0, f.at); at.After(changed) && time.Until(at) < 24*time.Hour {
			changed = at
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:revisionDigits], changed, nil
}
