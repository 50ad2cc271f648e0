package loudness

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cache keeps analyses in a folder, by what is in a file: a file that is moved or copied is known at its new place.
//
//	KEY[:2]/KEY  one analysis; KEY is the SHA-256 of the file's bytes in hex
//	index        a line for each path: KEY SIZE MTIME PATH; and what else was noted of it: - SIZE MTIME PATH TEXT
//
// While size and modification time are as in the index a file is not read again. Analyses are written aside and
// renamed, index lines appended in one write, and a line or analysis that is not whole counts as missing: a process that
// is killed loses at most what it was writing. A second process may use the same folder. A track of four minutes takes 4 kB.
type Cache struct {
	dir string

	mu    sync.Mutex
	index *os.File
	files map[string]entry
	notes map[string]note
	// Of damaged files, by path, for as long as the process runs: what broke off may have been the decoder.
	damaged map[string]damage
}

type damage struct {
	entry
	a   Analysis
	err error
}

// note is a text on a file: its size and time say of which.
type note struct {
	entry
	text string
}

type entry struct {
	key  string
	size int64
	time int64 // ns
}

// OpenCache opens the cache in dir, which it makes where it is missing.
func OpenCache(dir string) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open loudness cache: %w", err)
	}
	c := &Cache{dir: dir, files: map[string]entry{}, notes: map[string]note{}, damaged: map[string]damage{}}
	lines, err := c.load()
	if err != nil {
		return nil, fmt.Errorf("open loudness cache: %w", err)
	}
	if lines > 2*(len(c.files)+len(c.notes))+100 {
		if err := c.compact(); err != nil {
			return nil, fmt.Errorf("open loudness cache: %w", err)
		}
	}
	c.index, err = os.OpenFile(c.indexPath(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open loudness cache: %w", err)
	}
	// So that a torn last line does not spoil the next one.
	if _, err := c.index.WriteString("\n"); err != nil {
		_ = c.index.Close()
		return nil, fmt.Errorf("open loudness cache: %w", err)
	}
	return c, nil
}

// Close closes the index.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.index.Close()
}

func (c *Cache) indexPath() string { return filepath.Join(c.dir, "index") }

func (c *Cache) load() (lines int, err error) {
	f, err := os.Open(c.indexPath())
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		path, n, ok := parseLine(sc.Text())
		switch {
		case !ok:
			continue
		case n.key == noKey:
			c.notes[path] = n
		default:
			c.files[path] = n.entry
		}
		lines++
	}
	return lines, sc.Err()
}

// noKey is what a note has in place of the file's key.
const noKey = "-"

func parseLine(line string) (path string, n note, ok bool) {
	part := strings.SplitN(line, " ", 4)
	if len(part) != 4 || len(part[0]) != 2*sha256.Size && part[0] != noKey {
		return "", note{}, false
	}
	size, err1 := strconv.ParseInt(part[1], 10, 64)
	at, err2 := strconv.ParseInt(part[2], 10, 64)
	n.entry = entry{part[0], size, at}
	quoted, err3 := strconv.QuotedPrefix(part[3])
	if errors.Join(err1, err2, err3) != nil {
		return "", note{}, false
	}
	rest := part[3][len(quoted):]
	if n.key == noKey {
		if n.text, err1 = strconv.Unquote(strings.TrimPrefix(rest, " ")); err1 != nil {
			return "", note{}, false
		}
	} else if rest != "" {
		return "", note{}, false
	}
	path, err2 = strconv.Unquote(quoted)
	return path, n, err2 == nil
}

func (e entry) line(path string) string {
	return fmt.Sprintf("%s %d %d %q\n", e.key, e.size, e.time, path)
}

func (n note) line(path string) string {
	return fmt.Sprintf("%s %d %d %q %q\n", noKey, n.size, n.time, path, n.text)
}

// Note keeps a text on the file at path as st describes it, such as its tags.
func (c *Cache) Note(path string, st os.FileInfo, text string) error {
	n := note{entry{noKey, st.Size(), st.ModTime().UnixNano()}, text}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notes[path] == n {
		return nil
	}
	if _, err := c.index.WriteString(n.line(path)); err != nil {
		return err
	}
	c.notes[path] = n
	return nil
}

// Noted is the text that was kept on a file, if the file is still as st describes it.
func (c *Cache) Noted(path string, st os.FileInfo) (text string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.notes[path]
	if !ok || !n.same(st) {
		return "", false
	}
	return n.text, true
}

func (c *Cache) compact() error {
	var b bytes.Buffer
	for path, e := range c.files {
		b.WriteString(e.line(path))
	}
	for path, n := range c.notes {
		b.WriteString(n.line(path))
	}
	return replace(c.indexPath(), b.Bytes())
}

// replace writes a file aside and renames it into place.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Lookup is what is known of a file as it is now, by its size and modification time; its bytes are not read.
func (c *Cache) Lookup(path string) (Analysis, bool) {
	a, ok, _ := c.lookup(path)
	return a, ok
}

// lookup also returns what was wrong with a damaged file.
func (c *Cache) lookup(path string) (Analysis, bool, error) {
	st, err := os.Stat(path)
	if err != nil {
		return Analysis{}, false, nil
	}
	c.mu.Lock()
	e, ok := c.files[path]
	d, broken := c.damaged[path]
	c.mu.Unlock()
	if broken && d.same(st) {
		return d.a, true, d.err
	}
	if !ok || !e.same(st) {
		return Analysis{}, false, nil
	}
	a, ok := c.read(e.key)
	return a, ok, nil
}

func (e entry) same(st os.FileInfo) bool {
	return e.size == st.Size() && e.time == st.ModTime().UnixNano()
}

// Moved is where a file that was analysed at path is now, among files that are there: one with the same bytes. Only
// files of its length are read. It is empty where nothing is known of path, or the file is not among them.
func (c *Cache) Moved(ctx context.Context, path string, among []string) string {
	c.mu.Lock()
	was, ok := c.files[path]
	c.mu.Unlock()
	if !ok {
		return ""
	}
	for _, p := range among {
		st, err := os.Stat(p)
		if err != nil || st.Size() != was.size {
			continue
		}
		c.mu.Lock()
		e, known := c.files[p]
		c.mu.Unlock()
		key := e.key
		if !known || !e.same(st) {
			if key, err = keyOf(ctx, p); err != nil {
				continue
			}
		}
		if key == was.key {
			return p
		}
	}
	return ""
}

// keepDamaged keeps the analysis of a damaged file's playable part, with the error, in memory until the process ends.
func (c *Cache) keepDamaged(path string, st os.FileInfo, a Analysis, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.damaged[path] = damage{entry{"", st.Size(), st.ModTime().UnixNano()}, a, err}
}

func (c *Cache) entryPath(key string) string { return filepath.Join(c.dir, key[:2], key) }

func (c *Cache) read(key string) (Analysis, bool) {
	b, err := os.ReadFile(c.entryPath(key))
	if err != nil {
		return Analysis{}, false
	}
	a, err := decodeAnalysis(b)
	return a, err == nil
}

// put keeps what was measured of the file with the given bytes.
func (c *Cache) put(key string, a Analysis) error {
	path := c.entryPath(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replace(path, a.encode())
}

// link says that the file at path, as st describes it, has the bytes that key stands for.
func (c *Cache) link(path, key string, st os.FileInfo) error {
	e := entry{key, st.Size(), st.ModTime().UnixNano()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[path] == e {
		return nil
	}
	if _, err := c.index.WriteString(e.line(path)); err != nil {
		return err
	}
	c.files[path] = e
	return nil
}

// keyOf reads a file and returns its key.
func keyOf(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if _, err := io.CopyN(h, f, 1<<20); err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		} else if err != nil {
			return "", err
		}
	}
}

// An analysis on disk: a mark with the format's version, the numbers, the features, the blocks as deflated varints of their
// differences, a CRC-32 of it all. Until version 3 there were no features.
var (
	mark    = [4]byte{'r', '1', '2', '3'}
	earlier = [4]byte{'r', '1', '2', '2'}
)

type numbers struct {
	Mark                                                    [4]byte
	Rate                                                    int32
	Frames                                                  int64
	Integrated, Range, MaxMomentary, MaxShortTerm, TruePeak float64
	LeadIn, LeadOut                                         int64
	Levelled                                                float64
	LevelledAt                                              int64
	Blocks                                                  int32
}

func (a *Analysis) encode() []byte {
	var b bytes.Buffer
	// A bytes.Buffer takes everything.
	version := mark
	if a.Features == nil {
		version = earlier
	}
	_ = binary.Write(&b, binary.LittleEndian, numbers{
		version, int32(a.Rate), a.Frames, a.Integrated, a.Range, a.MaxMomentary, a.MaxShortTerm, a.TruePeak,
		int64(a.LeadIn), int64(a.LeadOut), a.Levelled, int64(a.LevelledAt), int32(len(a.Blocks)),
	})
	if a.Features != nil {
		_ = binary.Write(&b, binary.LittleEndian, a.Features)
	}
	var diffs []byte
	last := int16(0)
	for _, v := range a.Blocks {
		diffs = binary.AppendVarint(diffs, int64(v)-int64(last))
		last = v
	}
	z, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = z.Write(diffs)
	_ = z.Close()
	return binary.LittleEndian.AppendUint32(b.Bytes(), crc32.ChecksumIEEE(b.Bytes()))
}

func decodeAnalysis(b []byte) (Analysis, error) {
	var n numbers
	head := binary.Size(n)
	if len(b) < head+4 || crc32.ChecksumIEEE(b[:len(b)-4]) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return Analysis{}, errors.New("not a whole analysis")
	}
	if _, err := binary.Decode(b, binary.LittleEndian, &n); err != nil {
		return Analysis{}, err
	}
	var f *Features
	switch n.Mark {
	case mark:
		f = &Features{}
		read, err := binary.Decode(b[head:len(b)-4], binary.LittleEndian, f)
		if err != nil {
			return Analysis{}, err
		}
		head += read
	case earlier:
	default:
		return Analysis{}, errors.New("an analysis of another version")
	}
	a := Analysis{
		Rate: int(n.Rate), Frames: n.Frames, Integrated: n.Integrated, Range: n.Range, MaxMomentary: n.MaxMomentary,
		MaxShortTerm: n.MaxShortTerm, TruePeak: n.TruePeak, LeadIn: time.Duration(n.LeadIn), LeadOut: time.Duration(n.LeadOut),
		Levelled: n.Levelled, LevelledAt: time.Duration(n.LevelledAt),
		Features: f, Blocks: make([]int16, n.Blocks),
	}
	z := bufio.NewReader(flate.NewReader(bytes.NewReader(b[head : len(b)-4])))
	last := int64(0)
	for i := range a.Blocks {
		d, err := binary.ReadVarint(z)
		if err != nil {
			return Analysis{}, fmt.Errorf("block %d of %d: %w", i, len(a.Blocks), err)
		}
		last += d
		a.Blocks[i] = int16(last)
	}
	return a, nil
}
