package playlists

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Limits of what is looked at on a stick.
const (
	stickFiles = 50_000
	stickLooks = 20 * time.Second
	stickFails = 50 // that are told
)

// Stick is a stick, or a disk, that is plugged in.
type Stick struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Files int    `json:"files"` // music, lists and playlists on it
	Bytes int64  `json:"bytes"` // of these
	// Unread is why it can't be read; nil where it can.
	Unread *Refusal `json:"-"`

	path string
}

// ImportState is how an import is.
type ImportState string

const (
	Importing      ImportState = "running"
	Imported       ImportState = "done"
	ImportStopped  ImportState = "stopped" // by somebody, or by a session; what is copied stays
	ImportBrokeOff ImportState = "failed"  // the stick is gone, or the disk is full; what is copied stays
)

// Import is how far the copying of a stick is.
type Import struct {
	Stick   string      `json:"stick"`            // its name
	Folder  string      `json:"folder,omitempty"` // where it goes, below the playlists folder
	State   ImportState `json:"state"`
	Files   int         `json:"files"` // copied, or there already
	Of      int         `json:"of"`
	Bytes   int64       `json:"bytes"`
	OfBytes int64       `json:"of_bytes"`
	Why     *Refusal    `json:"-"` // it ended early; nil: it did not
	LeftOut []LeftOut   `json:"-"` // the files that could not be taken
}

// LeftOut is a file that could not be taken.
type LeftOut struct {
	File string
	Why  *Refusal
}

// Errors of Start.
var (
	ErrNoStick   = errors.New("there is no such stick")
	ErrImporting = errors.New("another stick is being copied")
)

// Sticks finds what is plugged in, and copies music from it into a playlists folder. Nothing is ever played from one. Its
// methods may be called from anywhere.
type Sticks struct {
	shelf   *Shelf
	folders []string // below which sticks are mounted
	mounts  string   // the kernel's list of mounts
	log     *slog.Logger

	mu      sync.Mutex       // guards what follows
	known   map[string]Stick // looked at, by ID
	current *Import
	stop    context.CancelCauseFunc
}

// StickFolders are where systems mount what is plugged in: desktops, and the package's own unit.
var StickFolders = []string{"/media", "/run/media", "/run/roomd-sticks"}

// NewSticks makes one for a shelf. folders are those below which sticks are mounted.
func NewSticks(shelf *Shelf, folders []string, log *slog.Logger) *Sticks {
	return &Sticks{shelf: shelf, folders: folders, mounts: "/proc/self/mountinfo", log: log, known: map[string]Stick{}}
}

// notSticks are file systems that are no sticks: what hangs with a network would hang who looks at it.
var notSticks = []string{"autofs", "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "davfs"}

// mounted are the sticks that are mounted, not looked at yet, by their paths.
func (s *Sticks) mounted() ([]Stick, error) {
	f, err := os.Open(s.mounts)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	byPath := map[string]Stick{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		// 36 35 98:0 / /media/stick rw,nosuid shared:1 - vfat /dev/sda1 rw
		head, tail, ok := strings.Cut(sc.Text(), " - ")
		at, kind := strings.Fields(head), strings.Fields(tail)
		if !ok || len(at) < 5 || len(kind) < 1 || slices.Contains(notSticks, kind[0]) {
			continue
		}
		dir := unescaped(at[4])
		if !slices.ContainsFunc(s.folders, func(f string) bool { return strings.HasPrefix(dir, strings.TrimSuffix(f, "/")+"/") }) {
			continue
		}
		byPath[dir] = Stick{ID: at[0], Name: strings.ToValidUTF8(path.Base(dir), "�"), path: dir} // a later mount lies over an earlier
	}
	var out []Stick
	for _, st := range byPath {
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b Stick) int { return cmp.Compare(a.path, b.path) })
	return out, nil
}

// unescaped reads the kernel's octal escapes of blanks, tabs, newlines and backslashes.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// List is what is plugged in. A stick is looked through once, which may take seconds.
func (s *Sticks) List(ctx context.Context) ([]Stick, error) {
	all, err := s.mounted()
	if err != nil {
		return nil, fmt.Errorf("look for sticks: %w", err)
	}
	known := map[string]Stick{}
	for i, st := range all {
		s.mu.Lock()
		have, ok := s.known[st.ID]
		s.mu.Unlock()
		if ok && have.path == st.path {
			all[i] = have
		} else {
			ctx, cancel := context.WithTimeout(ctx, stickLooks)
			files, err := contents(ctx, st.path)
			cancel()
			if err != nil {
				s.log.Warn("a stick can't be read", "stick", st.Name, "err", err)
				all[i].Unread = refuse("stick-unread").because(err)
			}
			for _, f := range files {
				all[i].Files++
				all[i].Bytes += f.size
			}
		}
		known[st.ID] = all[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known
	return all, nil
}

type stickFile struct {
	rel  string
	size int64
}

// contents are the files below a folder that a library is made of. Links are not followed, and hidden files left out.
func contents(ctx context.Context, dir string) (files []stickFile, err error) {
	looked := 0
	err = filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error {
		if looked++; looked > stickFiles {
			return fmt.Errorf("more than %d files", stickFiles)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case file == dir:
			return nil
		case hidden(e.Name()) || e.IsDir() && slices.Contains([]string{"system volume information", "$recycle.bin", "lost+found"}, strings.ToLower(e.Name())):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !e.Type().IsRegular() || !Belongs(e.Name()):
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		files = append(files, stickFile{filepath.ToSlash(rel), info.Size()})
		return nil
	})
	return files, err
}

// Import is the import that runs, or the last one; nil: there was none.
func (s *Sticks) Import() *Import {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil
	}
	i := *s.current
	i.LeftOut = slices.Clone(i.LeftOut)
	return &i
}

// Start copies a stick's music into the folder usb/NAME of the playlists folder, in the background. What is there already is
// left alone, so a copying that was stopped goes on. The error is ErrNoStick, ErrImporting or a *Refusal.
func (s *Sticks) Start(ctx context.Context, id string) error {
	all, err := s.mounted()
	if err != nil {
		return err
	}
	k := slices.IndexFunc(all, func(st Stick) bool { return st.ID == id })
	if k < 0 {
		return ErrNoStick
	}
	st := all[k]
	folder := path.Join("usb", strings.Trim(st.Name, ". "))
	if _, err := s.shelf.Place(folder, "x.mp3"); err != nil {
		folder = "usb/stick"
	}
	look, cancel := context.WithTimeout(ctx, stickLooks)
	defer cancel()
	files, err := contents(look, st.path)
	if err != nil {
		return refuse("stick-unread").because(err)
	}
	var sum int64
	for _, f := range files {
		sum += f.size
	}
	// What is there already needs no room; then it fits file by file.
	if err := s.shelf.Fits(sum-s.shelf.held(folder, files), s.shelf.root); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.State == Importing {
		return ErrImporting
	}
	run, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	s.current, s.stop = &Import{Stick: st.Name, Folder: folder, State: Importing, Of: len(files), OfBytes: sum}, stop
	go s.copy(run, st, folder, files)
	return nil
}

// held are the bytes of the files that a folder holds already, by their names and sizes.
func (s *Shelf) held(folder string, files []stickFile) (sum int64) {
	for _, f := range files {
		if st, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(path.Join(folder, f.rel)))); err == nil && st.Size() == f.size {
			sum += f.size
		}
	}
	return sum
}

// Stop ends an import; code is the sentence that says why. It is false where none runs.
func (s *Sticks) Stop(code string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.State != Importing {
		return false
	}
	s.stop(refuse(code))
	return true
}

// copy copies the files, one after the other.
func (s *Sticks) copy(ctx context.Context, st Stick, folder string, files []stickFile) {
	change := func(f func(*Import)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f(s.current)
	}
	end := func(state ImportState, why *Refusal) {
		change(func(i *Import) { i.State, i.Why = state, why })
		i := s.Import()
		s.log.Info("a stick was copied", "state", string(state), "files", i.Files, "of", i.Of, "left_out", len(i.LeftOut))
	}
	stopped := func() (why *Refusal) {
		errors.As(context.Cause(ctx), &why)
		return why
	}
	for _, f := range files {
		if ctx.Err() != nil {
			end(ImportStopped, stopped())
			return
		}
		dir, name := path.Split(f.rel)
		place, err := s.shelf.Place(strings.Trim(path.Join(folder, dir), "/"), name)
		var no *Refusal
		if errors.As(err, &no) {
			change(func(i *Import) { i.leaveOut(f.rel, no) })
			continue
		}
		err = s.shelf.Fits(f.size, s.shelf.root)
		if errors.As(err, &no) {
			if s.shelf.held(folder, []stickFile{f}) == 0 {
				end(ImportBrokeOff, no)
				return
			}
			err = nil
		}
		if err == nil {
			err = s.shelf.take(ctx, filepath.Join(st.path, filepath.FromSlash(f.rel)), place)
		}
		switch {
		case err == nil:
			change(func(i *Import) { i.Files++; i.Bytes += f.size })
		case ctx.Err() != nil:
			end(ImportStopped, stopped())
			return
		case !s.there(st) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENODEV):
			s.log.Warn("a stick was pulled out while it was copied", "err", err)
			end(ImportBrokeOff, refuse("stick-pulled"))
			return
		case errors.As(err, &no):
			end(ImportBrokeOff, no)
			return
		default:
			s.log.Warn("a file of a stick can't be copied", "err", err)
			change(func(i *Import) { i.leaveOut(f.rel, refuse("bring-unread").because(err)) })
		}
	}
	end(Imported, nil)
}

func (i *Import) leaveOut(file string, why *Refusal) {
	if len(i.LeftOut) < stickFails {
		i.LeftOut = append(i.LeftOut, LeftOut{strings.ToValidUTF8(file, "�"), why})
	}
}

// there says whether the stick is still plugged in.
func (s *Sticks) there(st Stick) bool {
	all, err := s.mounted()
	return err != nil || slices.ContainsFunc(all, func(o Stick) bool { return o.ID == st.ID && o.path == st.path })
}

// take copies a file to where Place said, unless it is there. Nothing of a file that could not be read whole is left.
func (s *Shelf) take(ctx context.Context, file, place string) error {
	// Looked at before it is copied: a stick that is copied again takes no longer than reading it.
	if f, err := openFolder(s.root); err == nil {
		dir, name := path.Split(place)
		if at, _, err := f.find(path.Clean(dir)); err == nil {
			if _, there, err := f.vacant(ctx, file, at, name); err == nil && there {
				return nil
			}
		}
	}
	whole, err := s.copied(ctx, file)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return refuse("stick-full").because(err)
		}
		return err
	}
	if _, _, err := s.Shelve(ctx, whole, place); err != nil {
		return errors.Join(err, os.Remove(whole))
	}
	return nil
}
