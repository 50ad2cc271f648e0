package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// SQLite reads its write-ahead log up to the first corrupt frame and discards the rest, even if later frames are intact and
// hold acknowledged events. Format: https://www.sqlite.org/fileformat2.html#walformat

const (
	walHeader   = 32
	frameHeader = 24
	walVersion  = 3007000
)

// mendLog removes the corrupt frames before the last intact one from the write-ahead log at path, so that SQLite reads all
// intact frames. It writes the original log to aside first. mended reports whether it changed the log.
func mendLog(path, aside string) (mended bool, err error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(b) < walHeader+frameHeader+pageSize:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the journal's log: %w", err)
	}
	whole, broken := frames(b)
	if broken == 0 {
		return false, nil
	}
	if err := os.WriteFile(aside, b, 0o600); err != nil {
		return false, fmt.Errorf("set the damaged log aside: %w", err)
	}
	if err := os.WriteFile(path, rebuilt(b, whole), 0o600); err != nil {
		return false, fmt.Errorf("repair the journal's log: %w", err)
	}
	return true, nil
}

// frames returns the intact frames of a log and the number of corrupt ones before the last of them. Frames after the last
// intact one do not count: they are left over from an earlier log or were never completed.
func frames(b []byte) (whole [][]byte, broken int) {
	big := bigSums(b)
	const size = frameHeader + pageSize
	seed := stored(b[24:])
	count := 0 // corrupt frames since the last intact one
	var salt [8]byte
	known := seed == sums(b[:24], big, [2]uint32{})
	if known {
		salt = [8]byte(b[16:24])
	} else {
		count = 1
	}
	for at := walHeader; at+size <= len(b); at += size {
		f := b[at : at+size]
		ok := sums(f[frameHeader:], big, sums(f[:8], big, seed)) == stored(f[16:])
		seed = stored(f[16:])
		if ok && known && [8]byte(f[8:16]) != salt {
			break // left over from the previous log
		}
		if !ok {
			count++
			continue
		}
		salt, known = [8]byte(f[8:16]), true
		whole = append(whole, f)
		broken += count
		count = 0
	}
	return whole, broken
}

// rebuilt returns a log of the frames whole, which come from the log b.
func rebuilt(b []byte, whole [][]byte) []byte {
	big := bigSums(b)
	out := make([]byte, walHeader, len(b))
	binary.BigEndian.PutUint32(out, 0x377f0682)
	if big {
		out[3]++
	}
	binary.BigEndian.PutUint32(out[4:], walVersion)
	binary.BigEndian.PutUint32(out[8:], pageSize)
	copy(out[16:24], whole[0][8:16])
	seed := sums(out[:24], big, [2]uint32{})
	put := func(at int) {
		binary.BigEndian.PutUint32(out[at:], seed[0])
		binary.BigEndian.PutUint32(out[at+4:], seed[1])
	}
	put(24)
	for _, f := range whole {
		at := len(out)
		out = append(out, f...)
		seed = sums(f[frameHeader:], big, sums(f[:8], big, seed))
		put(at + 16)
	}
	return out
}

// bigSums reports whether a log's checksums use big-endian words. If the magic number is corrupt, it assumes little-endian,
// which nearly all computers write.
func bigSums(b []byte) bool { return binary.BigEndian.Uint32(b) == 0x377f0683 }

func stored(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// sums continues the checksum seed over b, whose length must be a multiple of 8 bytes.
func sums(b []byte, big bool, seed [2]uint32) [2]uint32 {
	word := binary.LittleEndian.Uint32
	if big {
		word = binary.BigEndian.Uint32
	}
	for ; len(b) >= 8; b = b[8:] {
		seed[0] += word(b) + seed[1]
		seed[1] += word(b[4:]) + seed[0]
	}
	return seed
}
