package playlists

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomd/rig"
)

// stick is a disk that is plugged in, with files on it.
func stick(t *testing.T, kib int, files map[string]string) *rig.Disk {
	t.Helper()
	d := rig.NewDisk(t, kib)
	for name, text := range files {
		file := filepath.Join(d.Dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func newSticks(shelf *Shelf, below string) *Sticks {
	return NewSticks(shelf, []string{below}, slog.New(slog.DiscardHandler))
}

// imported waits until an import has ended.
func imported(t *testing.T, s *Sticks) *Import {
	t.Helper()
	rig.Eventually(t, "the import ends", func() bool { return s.Import().State != Importing })
	return s.Import()
}

func TestStick(t *testing.T) {
	d := stick(t, 4096, map[string]string{
		"Strings/01 a.flac": "one", "Strings/02 b.MP3": "two", "evening.m3u8": "Strings/01 a.flac\n", "notes.txt": "x", ".Trashes/c.mp3": "x", "._a.mp3": "x",
		"System Volume Information/d.mp3": "x", "room.yaml": "room: Evil\n", "bad\xffname.mp3": "y", "Strings/.DS_Store": "x",
	})
	out := filepath.Join(t.TempDir(), "secret.mp3")
	if err := os.WriteFile(out, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"link.mp3", "Strings/link.mp3"} {
		if err := os.Symlink(out, filepath.Join(d.Dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Dir(out), filepath.Join(d.Dir, "folder")); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	s := newSticks(openShelf(t, root), filepath.Dir(d.Dir))
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != filepath.Base(d.Dir) || list[0].Files != 5 || list[0].Unread != nil {
		t.Fatalf("%+v %v", list, err)
	}
	folder := "usb/" + list[0].Name + "/"
	if err := s.Start(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	i := imported(t, s)
	if i.State != Imported || i.Files != 3 || i.Of != 5 || len(i.LeftOut) != 2 {
		t.Errorf("%+v", i)
	}
	want := map[string]string{folder + "Strings/01 a.flac": "one", folder + "Strings/02 b.MP3": "two", folder + "evening.m3u8": "Strings/01 a.flac\n"}
	if got := within(t, root); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("in the room are %q", got)
	}
	// Again: nothing is written twice. Another file of a name that is taken gets a number.
	if err := os.WriteFile(filepath.Join(d.Dir, "Strings/01 a.flac"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if i := imported(t, s); i.State != Imported || i.Files != 3 {
		t.Errorf("%+v", i)
	}
	want[folder+"Strings/01 a 2.flac"] = "another"
	if got := within(t, root); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("in the room are %q", got)
	}
	if err := s.Start(t.Context(), "0"); !errors.Is(err, ErrNoStick) {
		t.Error(err)
	}
	if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// TestStickInTheMiddle has the stick pulled out, somebody stop, and the disk run full while it is copied: what was copied stays,
// nothing is there in part, and copying again brings the rest.
func TestStickInTheMiddle(t *testing.T) {
	const files, size = 60, 512 << 10
	music := map[string]string{}
	for k := range files {
		music[fmt.Sprintf("Long/%02d.flac", k)] = fmt.Sprintf("%03d", k) + strings.Repeat("m", size-3)
	}
	whole := func(root string) (n int) {
		for name, text := range within(t, root) {
			if len(text) != size || !strings.Contains(name, "usb/") {
				t.Errorf("%s holds %d bytes", name, len(text))
			}
			n++
		}
		return n
	}
	for name, c := range map[string]struct {
		breaks func(s *Sticks, stick, room *rig.Disk)
		mend   func(stick, room *rig.Disk)
		state  ImportState
		why    string
	}{
		"stopped":    {func(s *Sticks, _, _ *rig.Disk) { s.Stop("stick-stopped") }, func(_, _ *rig.Disk) {}, ImportStopped, "stick-stopped"},
		"pulled out": {func(_ *Sticks, st, _ *rig.Disk) { _ = syscall.Unmount(st.Dir, syscall.MNT_DETACH) }, nil, ImportBrokeOff, "stick-pulled"},
		"disk full":  {func(_ *Sticks, _, r *rig.Disk) { r.Fill() }, func(_, r *rig.Disk) { r.Free() }, ImportBrokeOff, "bring-space stick-full"},
	} {
		t.Run(name, func(t *testing.T) {
			d := stick(t, 64<<10, music)
			room := rig.NewDisk(t, 64<<10)
			shelf := openShelf(t, filepath.Join(room.Dir, "playlists"))
			s := newSticks(shelf, filepath.Dir(d.Dir))
			list, err := s.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var id string
			for _, st := range list {
				if st.path == d.Dir {
					id = st.ID
				}
			}
			if err := s.Start(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context(), id); err != nil && !errors.Is(err, ErrImporting) {
				t.Error(err)
			}
			for s.Import().Files < 3 && s.Import().State == Importing {
				time.Sleep(time.Millisecond)
			}
			c.breaks(s, d, room)
			i := imported(t, s)
			if i.State == Imported {
				t.Fatal("all was copied before it was broken")
			}
			if i.State != c.state || i.Why == nil || !slices.Contains(strings.Fields(c.why), i.Why.Code) || i.Files < 3 || i.Files >= files {
				t.Errorf("%+v", i)
			}
			if n := whole(shelf.root); n != i.Files {
				t.Errorf("%d files are in the room, %d were told", n, i.Files)
			}
			if c.mend == nil {
				return
			}
			c.mend(d, room)
			if err := s.Start(context.Background(), id); err != nil {
				t.Fatal(err)
			}
			if i := imported(t, s); i.State != Imported || i.Files != files || whole(shelf.root) != files {
				t.Errorf("then: %+v", i)
			}
		})
	}
}

func TestMounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mountinfo")
	text := `22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
40 22 8:17 / /media/My\040Stick\0541 rw,nosuid shared:2 - vfat /dev/sdb1 rw
41 22 8:18 / /media/a/b rw - exfat /dev/sdc1 rw
42 22 0:50 / /media/nas rw - nfs4 nas:/music rw
43 22 0:51 / /media rw - tmpfs tmpfs rw
44 22 0:52 / /mediatheque/x rw - vfat /dev/sdd1 rw
45 22 8:19 / /media/a/b rw - vfat /dev/sde1 rw
broken line
46 22 - 
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSticks(nil, "/media")
	s.mounts = file
	got, err := s.mounted()
	if err != nil || len(got) != 2 || got[0].path != "/media/My Stick,1" || got[0].Name != "My Stick,1" || got[1].ID != "45" {
		t.Errorf("%+v %v", got, err)
	}
}
