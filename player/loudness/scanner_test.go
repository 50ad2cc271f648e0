package loudness_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomd/player/loudness"
)

// desk is a scanner whose files hold one number: the level in dBFS of a second of tone, or text that is no sound.
type desk struct {
	*loudness.Scanner
	dir  string
	mu   sync.Mutex
	open int            // how many files are open
	most int            // were open at once
	read map[string]int // by file, how often it was opened
	said map[string]error
	slow time.Duration
}

func newDesk(t *testing.T, cache *loudness.Cache) *desk {
	d := &desk{dir: t.TempDir(), read: map[string]int{}, said: map[string]error{}}
	d.Scanner = &loudness.Scanner{Cache: cache, Open: d.openFile, Done: func(path string, _ loudness.Analysis, err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.said[filepath.Base(path)] = err
	}}
	return d
}

type file struct {
	sound
	d *desk
}

func (f *file) Stream(s [][2]float64) (int, bool) {
	time.Sleep(f.d.slow)
	return f.sound.Stream(s)
}

func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	f.d.open--
	return nil
}

var errBroken = errors.New("broken")

func (d *desk) openFile(_ context.Context, path string) (loudness.Source, int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.read[filepath.Base(path)]++
	f := &file{d: d}
	var db float64
	if n, _ := fmt.Sscan(string(b), &db); n == 0 {
		return nil, 0, errors.New("no sound in it")
	}
	if len(b) > 6 {
		f.err = errBroken
	}
	f.frames = tone(8000, 1, 1000, db)
	d.open++
	d.most = max(d.most, d.open)
	return f, 8000, nil
}

func (d *desk) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// scan runs the scanner until it has done what it was asked for.
func (d *desk) scan(t *testing.T, paths ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d.Add(paths...)
	var wg sync.WaitGroup
	wg.Go(func() { d.Run(ctx) })
	for p := d.Progress(); p.Done < p.Total; p = d.Progress() {
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	cancel()
	wg.Wait()
}

func opened(t *testing.T, dir string) *loudness.Cache {
	t.Helper()
	c, err := loudness.OpenCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "loudness")
		cache := opened(t, dir)
		d := newDesk(t, cache)
		a, b := d.write(t, "a", "-20"), d.write(t, "b", "-30")
		bad, torn := d.write(t, "bad", "hello"), d.write(t, "torn", "-20 torn")
		gone := filepath.Join(d.dir, "gone")
		if _, ok := cache.Lookup(a); ok {
			t.Fatal("a is known before it was heard")
		}
		d.scan(t, a, b, a, bad, torn, gone)
		if p := d.Progress(); !reflect.DeepEqual(p, loudness.Progress{Total: 5, Done: 5, Failed: 3, Current: []string{}}) {
			t.Errorf("progress %+v", p)
		}
		if d.said["a"] != nil || d.said["bad"] == nil || !errors.Is(d.said["torn"], errBroken) || !errors.Is(d.said["gone"], os.ErrNotExist) {
			t.Errorf("said %v", d.said)
		}
		knows := func(c *loudness.Cache, path string, lufs float64) {
			t.Helper()
			x, ok := c.Lookup(path)
			if !ok || x.Integrated < lufs-0.1 || x.Integrated > lufs+0.1 || x.Frames != 8000 || len(x.Blocks) != 10 {
				t.Errorf("%s: %v, %+v; want %v LUFS", filepath.Base(path), ok, x, lufs)
			}
		}
		knows(cache, a, -20)
		knows(cache, b, -30)
		if x, ok := cache.Lookup(torn); !ok || !x.Damaged {
			t.Errorf("torn: %v, %+v", ok, x)
		}

		// Asked again, nothing is read but what could not be opened.
		d.scan(t, a, b, bad, torn)
		if want := map[string]int{"a": 1, "b": 1, "bad": 2, "torn": 1}; !reflect.DeepEqual(d.read, want) {
			t.Errorf("opened %v, want %v", d.read, want)
		}
		if !errors.Is(d.said["torn"], errBroken) {
			t.Errorf("torn is sound by now: %v", d.said["torn"])
		}

		// Moved, copied, touched: known by its content.
		moved := filepath.Join(d.dir, "moved")
		if err := os.Rename(a, moved); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(b, later, later); err != nil {
			t.Fatal(err)
		}
		d.scan(t, moved, b)
		knows(cache, moved, -20)
		knows(cache, b, -30)
		if d.read["moved"] != 0 || d.read["b"] != 1 {
			t.Errorf("opened %v", d.read)
		}

		// Changed: heard again.
		d.write(t, "b", "-33")
		if _, ok := cache.Lookup(b); ok {
			t.Error("b is still known after it has changed")
		}
		d.scan(t, b)
		knows(cache, b, -33)

		// After a restart all is still known, but for the damaged one, which is tried again.
		again := newDesk(t, opened(t, dir))
		again.dir = d.dir
		knows(again.Cache, moved, -20)
		knows(again.Cache, b, -33)
		before, _ := cache.Lookup(moved)
		if after, _ := again.Cache.Lookup(moved); !reflect.DeepEqual(before, after) || !reflect.DeepEqual(after, analysed(t, 8000, tone(8000, 1, 1000, -20))) {
			t.Errorf("read back: %+v, want %+v", after, before)
		}
		again.scan(t, moved, b, torn)
		if want := map[string]int{"torn": 1}; !reflect.DeepEqual(again.read, want) {
			t.Errorf("opened after a restart: %v, want %v", again.read, want)
		}
	})
}

func TestScannerWorksTogetherAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, opened(t, t.TempDir()))
		d.Workers, d.slow = 3, time.Second
		var all []string
		for i := range 10 {
			all = append(all, d.write(t, fmt.Sprint(i), fmt.Sprint(-20-i)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		go d.Run(ctx)
		synctest.Wait()
		d.Add(all...) // while it runs and is idle
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if p := d.Progress(); p.Total != 10 || p.Done != 0 || len(p.Current) != 3 {
			t.Fatalf("under way: %+v", p)
		}
		cancel()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if p := d.Progress(); p.Total != 10 || p.Done != 0 || len(p.Current) != 0 || d.open != 0 {
			t.Fatalf("stopped: %+v, %d open", p, d.open)
		}
		d.slow = 0
		d.scan(t)
		if p := d.Progress(); p.Total != 10 || p.Done != 10 || p.Failed != 0 || d.most != 3 {
			t.Fatalf("after it went on: %+v, %d at once", p, d.most)
		}
	})
}

// While a session runs nothing is heard through: not what is asked for in it, nor the rest of what was begun before.
func TestScannerIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, opened(t, t.TempDir()))
		var session atomic.Bool
		d.slow, d.Busy = 100*time.Millisecond, session.Load
		a, b := d.write(t, "a", "-20"), d.write(t, "b", "-21")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { d.Run(ctx); close(ended) }()
		d.Add(a)
		time.Sleep(50 * time.Millisecond) // into the first file
		session.Store(true)
		d.Add(b)
		time.Sleep(3 * time.Hour)
		if p := d.Progress(); p.Done != 0 || len(p.Current) != 1 {
			t.Errorf("in the session: %+v", p)
		}
		session.Store(false)
		time.Sleep(10 * time.Second)
		if p := d.Progress(); p.Done != 2 {
			t.Errorf("after the session: %+v", p)
		}
		cancel()
		<-ended
	})
}

// Whatever is left of a cache after a crash, it opens, and what is not whole is missing.
func TestCacheSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDesk(t, opened(t, dir))
		a, b, c := d.write(t, "a", "-20"), d.write(t, "b \n\xff", "-21"), d.write(t, "c", "-22")
		d.scan(t, a, b, c)
		index := filepath.Join(dir, "index")
		whole, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		for cut := range len(whole) {
			if err := os.WriteFile(index, whole[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			again := newDesk(t, opened(t, dir))
			if cut%40 == 0 {
				again.scan(t, a, b, c)
				if len(again.read) != 0 {
					t.Fatalf("cut at %d: heard %v again", cut, again.read)
				}
				for i, p := range []string{a, b, c} {
					if x, ok := opened(t, dir).Lookup(p); !ok || x.Integrated > -19.8-float64(i) || x.Integrated < -20.2-float64(i) {
						t.Fatalf("cut at %d: %q is %v, %v", cut, p, x.Integrated, ok)
					}
				}
			}
		}
		entries, err := filepath.Glob(filepath.Join(dir, "??", "*"))
		if err != nil || len(entries) != 3 {
			t.Fatalf("%v %v", entries, err)
		}
		for i, e := range entries {
			raw, err := os.ReadFile(e)
			if err != nil {
				t.Fatal(err)
			}
			switch i {
			case 0:
				raw = nil
			case 1:
				raw = raw[:len(raw)-1]
			case 2:
				raw[len(raw)/2] ^= 1
			}
			if err := os.WriteFile(e, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		again := newDesk(t, opened(t, dir))
		for _, p := range []string{a, b, c} {
			if x, ok := again.Cache.Lookup(p); ok {
				t.Errorf("%q is known from a spoilt entry: %+v", p, x)
			}
		}
		again.scan(t, a, b, c)
		if _, ok := again.Cache.Lookup(c); !ok || len(again.read) != 3 {
			t.Errorf("not heard again: %v", again.read)
		}
	})
}

// The index does not grow for ever.
func TestCacheCompacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d := newDesk(t, opened(t, dir))
		a := d.write(t, "a", "-20")
		for i := range 150 {
			later := time.Now().Add(time.Duration(i) * time.Minute)
			if err := os.Chtimes(a, later, later); err != nil {
				t.Fatal(err)
			}
			d.scan(t, a)
		}
		before, err := os.Stat(filepath.Join(dir, "index"))
		if err != nil {
			t.Fatal(err)
		}
		c := opened(t, dir)
		after, err := os.Stat(filepath.Join(dir, "index"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Lookup(a); !ok || after.Size() > before.Size()/50 {
			t.Errorf("%v; the index has %d bytes, was %d", ok, after.Size(), before.Size())
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); slices.Contains(left, "") || len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	})
}

func TestNotes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a \"b\"\n\xff.flac")
	stat := func() os.FileInfo {
		st, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "cache")
	texts := []string{"", " ", `{"title":"x - \"y\"\n"}`, "\xff\x00"}
	for _, text := range texts {
		c := opened(t, folder)
		if err := c.Note(file, stat(), text); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*loudness.Cache{c, opened(t, folder)} {
			if got, ok := c.Noted(file, stat()); !ok || got != text {
				t.Errorf("%q, %v; want %q", got, ok, text)
			}
		}
	}
	c := opened(t, folder)
	for i := range 300 { // until the index is written anew
		if err := c.Note(file, stat(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	c = opened(t, folder)
	index, err := os.ReadFile(filepath.Join(folder, "index"))
	if got, ok := c.Noted(file, stat()); err != nil || !ok || got != "299" || strings.Count(string(index), "\n") > 3 {
		t.Errorf("%q %v %v, an index of %d bytes", got, ok, err, len(index))
	}
	// Another file at the same place.
	if err := os.WriteFile(file, []byte("22"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Noted(file, stat()); ok {
		t.Errorf("%q stands on another file", got)
	}
}

// TestEarlierCache takes up an analysis that the version before features wrote: it is used as it is, is renewed after all that is new and
// never in a session, and stays where that fails.
func TestEarlierCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was, err := os.ReadFile(filepath.Join("testdata", "analysis-r122"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		first := newDesk(t, opened(t, dir))
		a, gone := first.write(t, "a", "-20"), first.write(t, "gone", "-21")
		first.scan(t, a, gone)
		entries, err := filepath.Glob(filepath.Join(dir, "??", "*"))
		if err != nil || len(entries) != 2 {
			t.Fatal(entries, err)
		}
		for _, e := range entries {
			if err := os.WriteFile(e, was, 0o600); err != nil {
				t.Fatal(err)
			}
		}

		cache := opened(t, dir)
		d := newDesk(t, cache)
		d.dir = first.dir
		fresh := d.write(t, "fresh", "-30")
		old, ok := cache.Lookup(a)
		if !ok || old.Features != nil || old.Intensity() != 0 || old.Frames != 8000 || len(old.Blocks) != 10 || old.Integrated < -20.1 || old.Integrated > -19.9 {
			t.Fatalf("an earlier analysis: %v, %+v", ok, old)
		}
		var session atomic.Bool
		var order []string
		session.Store(true)
		d.Busy = session.Load
		open := d.Open
		d.Open = func(ctx context.Context, path string) (loudness.Source, int, error) {
			order = append(order, filepath.Base(path))
			if path == gone {
				return &file{sound: sound{tone(8000, 0.5, 1000, -21), errBroken}, d: d}, 8000, nil
			}
			return open(ctx, path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { d.Run(ctx); close(ended) }()
		d.Renew(a, gone, a)
		d.Add(fresh)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if again, ok := cache.Lookup(a); !ok || again.Features != nil || len(order) > 0 {
			t.Errorf("in a session: opened %v, %+v", order, again)
		}
		session.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []string{"fresh", "a", "gone"}; !slices.Equal(order, want) {
			t.Errorf("opened %v, want %v", order, want)
		}
		if p := d.Progress(); p.Total != 3 || p.Done != 3 || p.Failed != 1 {
			t.Errorf("%+v", p)
		}
		renewed, ok := cache.Lookup(a)
		if !ok || renewed.Features == nil || renewed.Integrated != old.Integrated || !slices.Equal(renewed.Blocks, old.Blocks) {
			t.Errorf("renewed: %v, %+v", ok, renewed)
		}
		if kept, ok := cache.Lookup(gone); !ok || kept.Damaged || kept.Frames != 8000 || kept.Features != nil {
			t.Errorf("what could not be renewed: %v, %+v", ok, kept)
		}
		if !errors.Is(d.said["gone"], errBroken) {
			t.Errorf("it said %v", d.said["gone"])
		}
		d.Renew(a, gone)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(order) != 3 {
			t.Errorf("tried again: %v", order)
		}
		cancel()
		<-ended
		if after, ok := opened(t, dir).Lookup(a); !ok || !reflect.DeepEqual(after, renewed) {
			t.Errorf("read back: %v, %+v, want %+v", ok, after, renewed)
		}
	})
}
